#include "group/log/plog_segment.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <string.h>
#include <zlib.h>

static const char segment_magic[8] = {'n', 'e', 'x', 'u', 's', 'l', 'o', 'g'};
static const uint32_t record_magic = 0x3152584eu; /* "NXR1" */

static_assert(56 + NX_SHARD_NAME_BYTES == NX_SEGMENT_HEAD_BYTES, "the shard's name ends the head");
static_assert(NX_RECORD_HEAD_BYTES % 8 == 0 && NX_SEGMENT_HEAD_BYTES % 8 == 0, "8-aligned");

static uint32_t crc_of(const uint8_t *bytes, size_t len)
{
    return (uint32_t)crc32_z(0, bytes, len);
}

/* --- the head ------------------------------------------------------------------------------------------- */

void nx_segment_encode_head(const struct nx_segment_head *head,
                            uint8_t bytes[NX_SEGMENT_HEAD_BYTES])
{
    struct nx_writer w;
    nx_writer_init(&w, bytes, NX_SEGMENT_HEAD_BYTES);
    nx_write_bytes(&w, segment_magic, sizeof segment_magic);
    nx_write_u32(&w, NX_PLOG_FORMAT);
    nx_write_u32(&w, 0);
    nx_write_bytes(&w, head->owner.group_id, NX_GROUP_ID_BYTES);
    nx_write_u64(&w, head->index);
    nx_write_u64(&w, (uint64_t)head->base);
    nx_write_u64(&w, head->salt);
    nx_write_bytes(&w, head->owner.shard, NX_SHARD_NAME_BYTES);
    nx_assert(!w.bad && nx_writer_used(&w) == NX_SEGMENT_HEAD_BYTES);
    nx_writer_init(&w, bytes + 12, 4);
    nx_write_u32(&w, crc_of(bytes + 16, NX_SEGMENT_HEAD_BYTES - 16));
}

static enum nx_status read_owner_name(struct nx_reader *r, struct nx_segment_head *head,
                                      struct nx_err *err)
{
    const uint8_t *name = nx_read_bytes(r, NX_SHARD_NAME_BYTES);
    if (!name || name[NX_SHARD_NAME_BYTES - 1] != 0)
        return nx_err_set(err, NX_CORRUPT, "the shard's name does not end");
    memcpy(head->owner.shard, name, NX_SHARD_NAME_BYTES);
    return NX_OK;
}

enum nx_status nx_segment_decode_head(const uint8_t *bytes, size_t len,
                                      struct nx_segment_head *head, struct nx_err *err)
{
    if (len < NX_SEGMENT_HEAD_BYTES)
        return nx_err_set(err, NX_CORRUPT, "a segment of %zu bytes; its head alone has %d", len,
                          NX_SEGMENT_HEAD_BYTES);
    if (memcmp(bytes, segment_magic, sizeof segment_magic) != 0)
        return nx_err_set(err, NX_CORRUPT,
                          "not a log segment: it does not begin with \"nexuslog\"");
    struct nx_reader r;
    nx_reader_init(&r, bytes + sizeof segment_magic, NX_SEGMENT_HEAD_BYTES - sizeof segment_magic);
    uint32_t format = nx_read_u32(&r), crc = nx_read_u32(&r);
    if (format != NX_PLOG_FORMAT)
        return nx_err_set(err, NX_UNSUPPORTED, "log format %u; this program reads format %d",
                          format, NX_PLOG_FORMAT);
    if (crc != crc_of(bytes + 16, NX_SEGMENT_HEAD_BYTES - 16))
        return nx_err_set(err, NX_CORRUPT, "the segment's head fails its checksum");
    struct nx_segment_head h = {0};
    memcpy(h.owner.group_id, nx_read_bytes(&r, NX_GROUP_ID_BYTES), NX_GROUP_ID_BYTES);
    h.index = nx_read_u64(&r);
    h.base = (nx_seq)nx_read_u64(&r);
    h.salt = nx_read_u64(&r);
    NX_TRY(read_owner_name(&r, &h, err));
    if (h.base < NX_SEQ_NONE)
        return nx_err_set(err, NX_CORRUPT, "a base version of %lld", (long long)h.base);
    *head = h;
    return NX_OK;
}

static void print_id(const uint8_t id[NX_GROUP_ID_BYTES], char text[2 * NX_GROUP_ID_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < NX_GROUP_ID_BYTES; i++) {
        text[2 * i] = digits[id[i] >> 4];
        text[2 * i + 1] = digits[id[i] & 15];
    }
    text[2 * NX_GROUP_ID_BYTES] = 0;
}

enum nx_status nx_plog_owner_check(const struct nx_plog_owner *found,
                                   const struct nx_plog_owner *want, struct nx_err *err)
{
    char f[2 * NX_GROUP_ID_BYTES + 1], w[2 * NX_GROUP_ID_BYTES + 1];
    print_id(found->group_id, f);
    print_id(want->group_id, w);
    if (strcmp(f, w) != 0)
        return nx_err_set(err, NX_DENIED, "the log of another group: %s; this one is %s", f, w);
    if (strcmp(found->shard, want->shard) != 0)
        return nx_err_set(err, NX_DENIED, "the log of shard \"%s\"; this one is \"%s\"",
                          found->shard, want->shard);
    return NX_OK;
}

/* --- records -------------------------------------------------------------------------------------------- */

static uint32_t head_crc(const uint8_t *head, uint64_t salt)
{
    uint8_t seed[8];
    struct nx_writer w;
    nx_writer_init(&w, seed, sizeof seed);
    nx_write_u64(&w, salt);
    return (uint32_t)crc32_z(crc_of(seed, sizeof seed), head + 8, NX_RECORD_HEAD_BYTES - 8);
}

void nx_record_encode(const struct nx_record *record, uint64_t salt, uint8_t *dst)
{
    struct nx_writer w;
    size_t bytes = nx_record_bytes(record->payload_bytes);
    nx_writer_init(&w, dst, bytes);
    nx_write_u32(&w, record_magic);
    nx_write_u32(&w, 0);
    nx_write_u32(&w, record->payload_bytes);
    nx_write_u32(&w, crc_of(record->payload, record->payload_bytes));
    nx_write_u64(&w, (uint64_t)record->version);
    nx_write_u64(&w, (uint64_t)record->previous);
    nx_write_u64(&w, (uint64_t)record->durable);
    nx_write_u64(&w, record->vid);
    nx_write_u32(&w, record->kind);
    nx_write_u32(&w, 0);
    nx_write_bytes(&w, record->payload, record->payload_bytes);
    memset(w.at, 0, (size_t)(w.end - w.at));
    nx_assert(!w.bad);
    nx_writer_init(&w, dst + 4, 4);
    nx_write_u32(&w, head_crc(dst, salt));
}

/* The head's own fields: false if it is no head of this segment. `bytes` has NX_RECORD_HEAD_BYTES. */
static bool decode_record_head(const uint8_t *bytes, uint64_t salt, struct nx_record *record,
                               uint32_t *payload_crc)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, NX_RECORD_HEAD_BYTES);
    if (nx_read_u32(&r) != record_magic || nx_read_u32(&r) != head_crc(bytes, salt))
        return false;
    record->payload_bytes = nx_read_u32(&r);
    *payload_crc = nx_read_u32(&r);
    record->version = (nx_seq)nx_read_u64(&r);
    record->previous = (nx_seq)nx_read_u64(&r);
    record->durable = (nx_seq)nx_read_u64(&r);
    record->vid = nx_read_u64(&r);
    record->kind = nx_read_u32(&r);
    record->payload = bytes + NX_RECORD_HEAD_BYTES;
    return nx_read_u32(&r) == 0;
}

static bool order_holds(const struct nx_record *r)
{
    return r->previous >= NX_SEQ_NONE && r->version > r->previous && r->durable >= NX_SEQ_NONE &&
           r->durable <= r->previous;
}

enum nx_status nx_record_decode(const uint8_t *bytes, size_t len, uint64_t salt,
                                struct nx_record *record, size_t *taken, struct nx_err *err)
{
    struct nx_record r;
    uint32_t payload_crc;
    if (len < NX_RECORD_HEAD_BYTES)
        return nx_err_set(err, NX_CORRUPT, "%zu bytes are left, a record's head has %d", len,
                          NX_RECORD_HEAD_BYTES);
    if (!decode_record_head(bytes, salt, &r, &payload_crc))
        return nx_err_set(err, NX_CORRUPT, "a record's head fails its checksum");
    if (!order_holds(&r))
        return nx_err_set(err, NX_CORRUPT, "version %lld after %lld with %lld durable",
                          (long long)r.version, (long long)r.previous, (long long)r.durable);
    if (r.payload_bytes > NX_RECORD_PAYLOAD_BYTES_MAX || nx_record_bytes(r.payload_bytes) > len)
        return nx_err_set(err, NX_CORRUPT, "version %lld has %u bytes, of which %zu are there",
                          (long long)r.version, r.payload_bytes, len - NX_RECORD_HEAD_BYTES);
    if (crc_of(r.payload, r.payload_bytes) != payload_crc)
        return nx_err_set(err, NX_CORRUPT, "version %lld fails its checksum", (long long)r.version);
    *record = r;
    *taken = nx_record_bytes(r.payload_bytes);
    return NX_OK;
}

bool nx_segment_has_witness(const uint8_t *bytes, size_t len, size_t from, uint64_t salt,
                            nx_seq last)
{
    struct nx_record record;
    uint32_t crc;
    for (size_t at = from; at + NX_RECORD_HEAD_BYTES <= len; at += 8)
        if (decode_record_head(bytes + at, salt, &record, &crc) && record.durable > last)
            return true;
    return false;
}

/* The mutant believes a record whose size is possible, whatever its checksums say. */
static enum nx_status decode_unchecked(const struct nx_segment_scan *scan, struct nx_record *record,
                                       size_t *taken)
{
    struct nx_reader r;
    size_t left = scan->len - scan->offset;
    if (left < NX_RECORD_HEAD_BYTES)
        return NX_CORRUPT;
    nx_reader_init(&r, scan->bytes + scan->offset + 8, left - 8);
    *record = (struct nx_record){.payload_bytes = nx_read_u32(&r)};
    nx_read_u32(&r);
    record->version = (nx_seq)nx_read_u64(&r);
    record->previous = scan->last;
    record->payload = scan->bytes + scan->offset + NX_RECORD_HEAD_BYTES;
    *taken = nx_record_bytes(record->payload_bytes);
    return *taken <= left && record->version > scan->last ? NX_OK : NX_CORRUPT;
}

enum nx_status nx_segment_scan_next(struct nx_segment_scan *scan, struct nx_record *record,
                                    struct nx_err *err)
{
    size_t taken;
    if (scan->offset == scan->len)
        return NX_NOT_FOUND;
    if (scan->skip_checks)
        NX_TRY(decode_unchecked(scan, record, &taken));
    else
        NX_TRY(nx_record_decode(scan->bytes + scan->offset, scan->len - scan->offset, scan->salt,
                                record, &taken, err));
    if (record->previous != scan->last)
        return nx_err_set(err, NX_CORRUPT, "version %lld follows %lld; it names %lld before it",
                          (long long)record->version, (long long)scan->last,
                          (long long)record->previous);
    scan->offset += taken;
    scan->last = record->version;
    return NX_OK;
}
