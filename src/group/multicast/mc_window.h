/* mc_window.h — a bounded stream of records in a ring of bytes: the sender's end and a receiver's
 * end.
 *
 *   freed <= pushed(peer) <= head            head − freed <= ring
 *   read  <= sent <= head                    bytes [read, sent) are readable
 *
 * Positions count bytes since the start of the view and never wrap; a byte lies at position & (ring
 * − 1). A record is an 8-byte header and its payload, padded to 8; it never wraps: a pad record
 * fills the end of the ring.
 *
 *   | len u32 | kind u8 | flags u8 | tag u16 | payload … | pad to 8 |
 *
 * The sender appends at head; the ring's bytes are the source of its writes, so they stay until
 * every receiver says that it consumed them (freed). Full is back-pressure. The receiver's ring is
 * written by the peer: every header is copied once, checked, and then believed.
 * Owner   the ring lies in the region; both ends are values. Thread  group thread only */
#ifndef NX_GROUP_MC_WINDOW_H
#define NX_GROUP_MC_WINDOW_H

#include "common/nx_assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_RECORD_HEADER_BYTES = 8 };

/* Kinds of records, in all rings; 0 is never valid, so that unwritten memory is not a record. */
enum nx_record_kind {
    NX_REC_PAD = 1, /* skips to the ring's start */
    NX_REC_MESSAGE, /* multicast: one message; tag: low bits of its index */
    NX_REC_NULLS,   /* multicast: `len` messages that say nothing; no payload follows */
    NX_REC_COMMIT,  /* multicast: u64 stream, then the head of a bulk message */
    NX_REC_BLOCK,   /* bulk: struct nx_bulk_header, then bytes */
    NX_REC_ABORT,   /* bulk: u64 stream */
    NX_REC_QUERY,   /* p2p: struct nx_p2p_header, then bytes */
    NX_REC_REPLY,   /* p2p: same */
    NX_REC_CANCEL,  /* p2p: u64 stream */
};

enum { NX_REC_SYSTEM = 1 }; /* a flag of queries and replies: between the group's own layers */

struct nx_record {
    uint32_t len; /* of the payload; NX_REC_NULLS: how many */
    uint8_t kind, flags;
    uint16_t tag;
};
static_assert(sizeof(struct nx_record) == NX_RECORD_HEADER_BYTES, "the header is one word");

/* Bytes that a record takes in a ring. */
static inline uint64_t nx_record_bytes(uint64_t len)
{
    return NX_RECORD_HEADER_BYTES + ((len + 7) & ~(uint64_t)7);
}

struct nx_window {
    uint8_t *ring;
    uint64_t ring_bytes, head, freed;
};

void nx_window_init(struct nx_window *window, uint8_t *ring, uint64_t ring_bytes);

/* Appends a record and returns its payload to fill in; NULL if the window is full. */
uint8_t *nx_window_append(struct nx_window *window, const struct nx_record *record);

/* The longest payload that nx_window_append takes now, leaving `spare` bytes free; 0 if none (or
 * only an empty one). */
uint64_t nx_window_room(const struct nx_window *window, uint64_t spare);

struct nx_intake {
    const uint8_t *ring;
    uint64_t ring_bytes, sent, read;
};

void nx_intake_init(struct nx_intake *intake, const uint8_t *ring, uint64_t ring_bytes);

/* Takes the sender's guard. False if it claims more than the window can hold, or an odd position.
 */
bool nx_intake_extend(struct nx_intake *intake, uint64_t sent);

enum nx_intake_got { NX_INTAKE_EMPTY, NX_INTAKE_RECORD, NX_INTAKE_CORRUPT };

/* The next record, and past it; pads are skipped. *payload stays readable until the sender is told.
 */
enum nx_intake_got nx_intake_next(struct nx_intake *intake, struct nx_record *record,
                                  const uint8_t **payload);

#endif
