#include "common/budget.h"

#include "common/nx_assert.h"

enum nx_status nx_budget_take(struct nx_budget *budget, uint64_t bytes, const char *what,
                              struct nx_err *err)
{
    uint64_t used = atomic_load(&budget->used_bytes);
    do {
        uint64_t left = budget->limit_bytes - used;
        if (bytes > left)
            return nx_err_set(err, NX_NO_MEMORY,
                              "%s of %llu bytes is over what is left of this node's model memory "
                              "(%llu of %llu bytes)",
                              what, (unsigned long long)bytes, (unsigned long long)left,
                              (unsigned long long)budget->limit_bytes);
    } while (!atomic_compare_exchange_weak(&budget->used_bytes, &used, used + bytes));
    return NX_OK;
}

void nx_budget_give(struct nx_budget *budget, uint64_t bytes)
{
    uint64_t before = atomic_fetch_sub(&budget->used_bytes, bytes);
    nx_assert(bytes <= before);
}

uint64_t nx_budget_left(struct nx_budget *budget)
{
    return budget->limit_bytes - atomic_load(&budget->used_bytes);
}
