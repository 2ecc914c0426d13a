/* mc_deliver.h — the next message of the total order, once it is stable.
 *
 *   delivered <= min(frontier, received);  one message after the other, no gap, nulls skipped
 *
 * Bytes lie in the sender's ring and stay until `delivered` is published: the caller publishes it
 * in the same update or a later one, after the upcall.
 * Failure  a ring that changed after it was received names its sender
 * Source   Derecho, ACM TOCS 2019: in-order delivery at the stability frontier. Departure: none. */
#ifndef NX_GROUP_MC_DELIVER_H
#define NX_GROUP_MC_DELIVER_H

#include "group/multicast/mc_shard.h"

enum nx_deliver_got {
    NX_DELIVER_NONE,    /* nothing is deliverable now */
    NX_DELIVER_MESSAGE, /* *delivery is filled; `bulk` is set for a commit */
    NX_DELIVER_AGAIN,   /* the turn's share of nulls is skipped; more may follow */
    NX_DELIVER_CORRUPT, /* delivery->sender is not to be believed, for *why */
};

/* Places of the order that one call looks at: a bound on the work of a turn. */
enum { NX_DELIVER_PLACES_MAX = 4096 };

enum nx_deliver_got nx_deliver_next(struct nx_mc *mc, uint64_t frontier,
                                    struct nx_delivery *delivery, const char **why);

#endif
