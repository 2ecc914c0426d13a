/* mc_order.h — a sender's n-th message ↔ its place in the shard's total order: round robin over the
 * senders.
 *
 *   seq = index × senders + sender
 *
 *          index 0      index 1      index 2
 *   s0     seq 0        seq 3        seq 6
 *   s1     seq 1        seq 4        seq 7
 *   s2     seq 2        seq 5        seq 8
 *
 * Source  Derecho, ACM TOCS 2019. Departure: none; an idle sender fills its places with nulls, as
 *         in Spindle. */
#ifndef NX_GROUP_MC_ORDER_H
#define NX_GROUP_MC_ORDER_H

#include "group/view/view.h"

static inline uint64_t nx_order_seq(uint64_t index, uint32_t sender, uint32_t senders)
{
    return index * senders + sender;
}

static inline uint32_t nx_order_sender(uint64_t seq, uint32_t senders)
{
    return (uint32_t)(seq % senders);
}

static inline uint64_t nx_order_index(uint64_t seq, uint32_t senders)
{
    return seq / senders;
}

/* How many of the first `seqs` places belong to `sender`. */
static inline uint64_t nx_order_indexes_below(uint64_t seqs, uint32_t sender, uint32_t senders)
{
    return seqs > sender ? (seqs - sender - 1) / senders + 1 : 0;
}

#endif
