/* plog_segment.h — the bytes of the log's files, and what of them may be believed.
 *
 * A segment is a head, then records back to back, each padded with zeros to 8 bytes (little-endian):
 *
 *   head    0 "nexuslog"   8 u32 format  12 u32 crc of 16…127  16 group id  32 u64 index  40 i64 base
 *          48 u64 salt    56 shard name, zero-padded, to 128
 *   record  0 u32 magic    4 u32 crc of 8…55 (begun with the salt)           8 u32 payload bytes
 *          12 u32 crc of the payload   16 i64 version   24 i64 previous      32 i64 durable
 *          40 u64 vid     48 u32 kind  52 u32 zero      56 payload
 *
 *   base      the version before the first record        previous  the version before this one: none is missing
 *   durable   the newest version known to be on this disk when the record was written
 *   salt      differs between logs, so that a record copied into a payload, or left over from another file,
 *             is no record
 *
 * Torn or rotten? One batch is under way at a time, so after a crash only the last batch of the last segment
 * may be bad. A bad place after version v is *torn*, and cut, unless something says that a version > v was on
 * disk: a later record's `durable`, a later segment, or the mark. Then it is *rotten*, and the log is refused.
 * Rot within the last batch written before a crash looks torn; the other replicas' logs hold what is cut (P1).
 *
 * Owner  all pure functions over the caller's bytes; a record's payload points into them. */
#ifndef NX_GROUP_PLOG_SEGMENT_H
#define NX_GROUP_PLOG_SEGMENT_H

#include "common/status.h"
#include "group/view/view.h"

#include <stddef.h>

enum {
    NX_GROUP_ID_BYTES = 16,
    NX_SHARD_NAME_BYTES = 72, /* with its NUL */
    NX_SEGMENT_HEAD_BYTES = 128,
    NX_RECORD_HEAD_BYTES = 56,
    NX_PLOG_FORMAT = 1,
    NX_SEGMENT_BYTES_MAX = 64 << 20, /* a larger file is no segment */
    NX_RECORD_PAYLOAD_BYTES_MAX =
        NX_SEGMENT_BYTES_MAX - NX_SEGMENT_HEAD_BYTES - NX_RECORD_HEAD_BYTES,
};

struct nx_plog_owner {
    uint8_t group_id[NX_GROUP_ID_BYTES];
    char shard[NX_SHARD_NAME_BYTES];
};

struct nx_segment_head {
    struct nx_plog_owner owner;
    uint64_t index; /* 1, 2, … without a gap */
    nx_seq base;
    uint64_t salt;
};

struct nx_record {
    nx_seq version, previous, durable;
    nx_vid vid;
    uint32_t kind; /* the log's user's */
    uint32_t payload_bytes;
    const uint8_t *payload;
};

void nx_segment_encode_head(const struct nx_segment_head *head,
                            uint8_t bytes[NX_SEGMENT_HEAD_BYTES]);
enum nx_status nx_segment_decode_head(const uint8_t *bytes, size_t len,
                                      struct nx_segment_head *head, struct nx_err *err);

/* NX_DENIED, and a sentence that shows both, if the two differ. */
enum nx_status nx_plog_owner_check(const struct nx_plog_owner *found,
                                   const struct nx_plog_owner *want, struct nx_err *err);

static inline size_t nx_record_bytes(size_t payload_bytes)
{
    return (NX_RECORD_HEAD_BYTES + payload_bytes + 7) & ~(size_t)7;
}

/* Writes nx_record_bytes(payload_bytes) bytes. */
void nx_record_encode(const struct nx_record *record, uint64_t salt, uint8_t *dst);

/* The record at the start of `bytes`; *taken is its size. With NX_CORRUPT `err` says what is wrong with it. */
enum nx_status nx_record_decode(const uint8_t *bytes, size_t len, uint64_t salt,
                                struct nx_record *record, size_t *taken, struct nx_err *err);

/* Is there, at or after `from` (8-aligned), a record's head that knows a version > `last` to be on disk? */
bool nx_segment_has_witness(const uint8_t *bytes, size_t len, size_t from, uint64_t salt,
                            nx_seq last);

/* Passes over a segment's records in order. */
struct nx_segment_scan {
    const uint8_t *bytes;
    size_t len, offset; /* offset: of the next record, or of the bad place */
    uint64_t salt;
    nx_seq last;          /* version of the record before */
    uint32_t skip_checks; /* tests only: a mutant, see plog.h */
};

/* NX_OK with a record, NX_NOT_FOUND at the end, NX_CORRUPT at the bad place. */
enum nx_status nx_segment_scan_next(struct nx_segment_scan *scan, struct nx_record *record,
                                    struct nx_err *err);

#endif
