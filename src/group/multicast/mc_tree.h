/* mc_tree.h — who passes a sender's bulk bytes on to whom: a schedule as a pure function.
 *
 *   from the sender, every other member of the shard is reached, each from one member
 *
 * With m members, of which member number i stands i places behind the sender, round the shard:
 *
 *   sequential   the sender writes to all: depth 1, the sender's link carries m − 1 copies
 *   binomial     i passes on to i + 2^k for each 2^k > i: depth and copies of the sender log2 m
 *   chain        i passes on to i + 1: depth m − 1, every link carries one copy
 *
 * Source  Behrens et al., RDMC, DSN 2018: pipelined blocks over these shapes. Departure: no timetable of blocks; a member
 *         passes on what it holds, and the window is the pipeline. */
#ifndef NX_GROUP_MC_TREE_H
#define NX_GROUP_MC_TREE_H

#include "group/view/view.h"

enum nx_schedule {
    NX_SCHEDULE_SEQUENTIAL,
    NX_SCHEDULE_BINOMIAL,
    NX_SCHEDULE_CHAIN,
    NX_SCHEDULES_COUNT,
};

/* The members that `self` passes the bytes of `sender` on to; for the sender, those it writes to itself. Both are among
 * `members`, a shard's. */
nx_rankset nx_tree_children(enum nx_schedule schedule, nx_rankset members, nx_rank sender,
                            nx_rank self);

/* The member that `self`, who is not the sender, gets them from. */
nx_rank nx_tree_parent(enum nx_schedule schedule, nx_rankset members, nx_rank sender, nx_rank self);

/* From which size on a message is passed on by its receivers; 0: the default. */
struct nx_schedule_limits {
    uint64_t binomial_bytes, chain_bytes;
};

/* The schedule for a message of `total` bytes to so many receivers. */
enum nx_schedule nx_schedule_choose(const struct nx_schedule_limits *limits, uint64_t total,
                                    uint32_t receivers);

#endif
