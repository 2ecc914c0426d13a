/* budget.h — a bound on bytes that several threads share.
 *
 *   used_bytes <= limit_bytes
 *
 * Memory is taken before it is allocated and given back after it is freed.
 * Thread  any */
#ifndef NX_COMMON_BUDGET_H
#define NX_COMMON_BUDGET_H

#include "common/status.h"

#include <stdatomic.h>
#include <stdint.h>

struct nx_budget {
    _Atomic uint64_t used_bytes;
    uint64_t limit_bytes; /* set once */
};

/* NX_NO_MEMORY names `what` ("a photo") with the figures. */
enum nx_status nx_budget_take(struct nx_budget *budget, uint64_t bytes, const char *what,
                              struct nx_err *err);
void nx_budget_give(struct nx_budget *budget, uint64_t bytes);
uint64_t nx_budget_left(struct nx_budget *budget);

#endif
