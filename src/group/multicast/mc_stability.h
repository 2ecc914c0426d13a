/* mc_stability.h — which received messages may be delivered?
 *
 *   delivered <= frontier = min over the shard's members r of received[r]
 *
 * received[r] counts the places of the total order, from the first, that r holds without a gap.
 * Columns only grow, so a stale row makes the frontier late, never wrong. A suspected row still
 * counts: the frontier then stands still, and the shard is wedged until the next view.
 * Shapes  received[]: one count per rank of the view
 * Source  Derecho, ACM TOCS 2019, the section on stability. Departure: counts (next seq) instead of
 *         last seqs. */
#ifndef NX_GROUP_MC_STABILITY_H
#define NX_GROUP_MC_STABILITY_H

#include "group/view/view.h"

/* The least of `counts` over the ranks in `shard`, which is not empty. */
uint64_t nx_stability_frontier(const uint64_t *counts, nx_rankset shard);

/* Places of the total order held without a gap, from what was received of each sender: the first
 * place that is missing. `indexes` has one count per sender. */
uint64_t nx_stability_received(const uint64_t *indexes, uint32_t senders);

/* How many messages a sender must have sent, so that nobody waits for it: each message of the
 * others has a place, and every place before it is filled. */
uint64_t nx_stability_wanted(const uint64_t *indexes, uint32_t sender, uint32_t senders);

#endif
