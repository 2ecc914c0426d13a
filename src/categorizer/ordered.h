/* ordered.h — what the replicas of a shard multicast to each other, in order.
 *
 *     u8 kind | INSTALL, REMOVE: the operation's head as in categorizer_wire.h
 *             | MARK: nothing; who delivered it is in the view in which it was sent, or in a later one
 *             | VOTE: u64 version | u8 status | u16 text_bytes | text | 32 bytes digest
 *
 * An INSTALL is the head of a bulk message whose body is the operation's: synset, symbol,
 * params, calibration; or, for a request that the shard knows already, a small message without a
 * body. */
#ifndef NX_CATEGORIZER_ORDERED_H
#define NX_CATEGORIZER_ORDERED_H

#include "categorizer/categorizer_wire.h"
#include "categorizer/store.h"

enum nx_ordered_kind {
    NX_ORDERED_INSTALL = 1,
    NX_ORDERED_REMOVE = 2,
    NX_ORDERED_VOTE = 3,
    NX_ORDERED_MARK = 4
};

enum { NX_ORDERED_BYTES_MAX = 1 + NX_HEAD_BYTES_MAX };

struct nx_ordered_vote {
    nx_seq version; /* of the install */
    struct nx_err failure;
    struct nx_digest digest;
};

struct nx_ordered {
    enum nx_ordered_kind kind;
    union {
        struct nx_request_head op;   /* INSTALL, REMOVE */
        struct nx_ordered_vote vote; /* VOTE */
    };
};

/* Bytes written; 0 if cap is too small. */
size_t nx_ordered_encode(const struct nx_ordered *message, void *bytes, size_t cap);
enum nx_status nx_ordered_decode(const void *bytes, size_t len, struct nx_ordered *message,
                                 struct nx_err *err);

#endif
