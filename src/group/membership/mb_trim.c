#include "common/nx_assert.h"
#include "group/membership/mb_change.h"

#include "group/view/rankset.h"

/* "trim = min over the shard's members in V(k) \ C of their frozen received counts" */
uint64_t nx_trim_compute(const struct nx_change *change, nx_rankset shard)
{
    nx_assert(change->decided != 0);
    nx_rankset going_on = shard & ~change->decided;
    nx_assert(going_on != 0 && !(shard & ~change->members));
    nx_assert(!(going_on & ~change->wedges) || (change->mutants & NX_CHANGE_BEFORE_WEDGE));
    bool most = (change->mutants & NX_CHANGE_TRIM_MAX) != 0;
    uint64_t trim = most ? 0 : UINT64_MAX;
    for (nx_rankset left = going_on; left;) {
        uint64_t count = change->counts[nx_rankset_take(&left)];
        trim = (count < trim) != most ? count : trim;
    }
    return trim;
}
