/* message.h — what the group layer hands up, as values: a delivered message, a part of a stream.
 *
 * Bytes are borrowed: they lie in the node's region and stay as they are until the upcall returns.
 */
#ifndef NX_GROUP_MESSAGE_H
#define NX_GROUP_MESSAGE_H

#include "group/view/view.h"

#include <stddef.h>

/* Names one bulk message, query or reply in progress; never reused, never 0. A reply carries its
 * query's. */
typedef uint64_t nx_stream;

/* A delivered ordered message. For a bulk message `bytes` is its head and `bulk` its stream. */
struct nx_delivery {
    uint32_t subgroup, shard;
    nx_rank sender;
    nx_seq seq;
    const uint8_t *bytes;
    size_t len;
    nx_stream bulk; /* 0: a small message */
};

/* A piece of something that streams in; pieces of one stream come in order and without gaps.
 * first piece: offset 0; last piece: offset + len == total. total may be 0: one empty piece. */
struct nx_part {
    nx_rank peer; /* who sends it */
    nx_stream stream;
    uint64_t total, offset;
    const uint8_t *bytes;
    size_t len;
    bool system; /* of a query between the group's own layers, or of its reply; no tier sees one */
};

/* What reading a snapshot says when it cannot be read any more. */
#define NX_STATE_BROKEN SIZE_MAX

#endif
