#include "group/multicast/mc_stability.h"

#include "common/nx_assert.h"
#include "group/multicast/mc_order.h"
#include "group/view/rankset.h"

uint64_t nx_stability_frontier(const uint64_t *counts, nx_rankset shard)
{
    nx_assert(shard != 0);
    uint64_t least = UINT64_MAX;
    for (nx_rankset left = shard; left;) {
        uint64_t count = counts[nx_rankset_take(&left)];
        least = count < least ? count : least;
    }
    return least;
}

uint64_t nx_stability_received(const uint64_t *indexes, uint32_t senders)
{
    uint64_t first_missing = UINT64_MAX;
    for (uint32_t s = 0; s < senders; s++) {
        uint64_t missing = nx_order_seq(indexes[s], s, senders);
        first_missing = missing < first_missing ? missing : first_missing;
    }
    return first_missing;
}

uint64_t nx_stability_wanted(const uint64_t *indexes, uint32_t sender, uint32_t senders)
{
    uint64_t wanted = 0;
    for (uint32_t s = 0; s < senders; s++) {
        /* Also behind its newest message: the next one then finds its round complete and needs no
         * third hop. */
        wanted = s != sender && indexes[s] > wanted ? indexes[s] : wanted;
    }
    return wanted;
}
