/* rankset.h — walking over a set of ranks, from the lowest.
 *
 *     for (nx_rankset left = set; left;) {
 *         nx_rank rank = nx_rankset_take(&left);
 *         …
 *     }
 *
 * The body has each rank of `set` once, ascending; `left` holds those that are still to come.
 * Owner   values. Thread  any. */
#ifndef NX_GROUP_RANKSET_H
#define NX_GROUP_RANKSET_H

#include "group/view/view.h"

/* The lowest rank of a set that is not empty. */
static inline nx_rank nx_rankset_first(nx_rankset set)
{
    return (nx_rank)__builtin_ctzll(set);
}

/* The same, which is then out of the set. */
static inline nx_rank nx_rankset_take(nx_rankset *left)
{
    nx_rank rank = nx_rankset_first(*left);
    *left &= *left - 1;
    return rank;
}

#endif
