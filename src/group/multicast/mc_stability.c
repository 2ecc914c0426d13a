#include "group/multicast/mc_stability.h"

#include "common/nx_assert.h"
#include "group/multicast/mc_order.h"

uint64_t nx_stability_frontier(const uint64_t *counts, nx_rankset shard)
{
    nx_assert(shard != 0);
    uint64_t least = UINT64_MAX;
    for (nx_rankset left = shard; left; left &= left - 1) {
        uint64_t count = counts[__builtin_ctzll(left)];
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
        /* In the round of its newest message, only the senders before it come first. */
        uint64_t rounds = sender < s ? indexes[s] : indexes[s] - (indexes[s] > 0);
        wanted = s != sender && rounds > wanted ? rounds : wanted;
    }
    return wanted;
}
