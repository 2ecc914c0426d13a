/* mc_stream.h — names of streams: unique in the group, for ever, and found without a search.
 *
 *   | rank + 1: 8 bits | bulk: 1 bit | count: 45 bits | slot: 10 bits |
 *
 * The member that opens the stream names it; `slot` is its place in that member's table, and in its
 * peers' tables of that member's streams. `count` only grows, and begins with the view in which the
 * member came, so no name comes back within 2^24 streams of a member that is gone. */
#ifndef NX_GROUP_MC_STREAM_H
#define NX_GROUP_MC_STREAM_H

#include "group/view/message.h"

enum { NX_STREAM_SLOT_BITS = 10, NX_STREAM_SLOTS = 1 << NX_STREAM_SLOT_BITS };

static inline nx_stream nx_stream_make(nx_rank rank, bool bulk, uint64_t count, uint32_t slot)
{
    return (uint64_t)(rank + 1) << 56 | (uint64_t)bulk << 55 |
           (count << NX_STREAM_SLOT_BITS & (((uint64_t)1 << 55) - 1)) | slot;
}

/* The count before the first stream of a member that came in view `since`. */
static inline uint64_t nx_stream_first(nx_vid since)
{
    return (since - 1) << 24;
}

static inline uint32_t nx_stream_slot(nx_stream stream)
{
    return (uint32_t)stream & (NX_STREAM_SLOTS - 1);
}

static inline bool nx_stream_is_bulk(nx_stream stream)
{
    return stream >> 55 & 1;
}

/* Who opened it; NX_RANK_NONE for 0, and possibly a rank beyond the view for nonsense. */
static inline nx_rank nx_stream_opener(nx_stream stream)
{
    return (nx_rank)(stream >> 56) - 1;
}

#endif
