#include "group/log/plog_note.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <string.h>
#include <zlib.h>

static const char note_magic[8] = {'n', 'e', 'x', 'u', 's', 'n', 'o', 't'};

static_assert(NX_NOTE_HEAD_BYTES == 8 + 8 + NX_GROUP_ID_BYTES + NX_SHARD_NAME_BYTES + 4, "layout");

size_t nx_note_encode(const struct nx_plog_owner *owner, const void *bytes, size_t len,
                      uint8_t *dst)
{
    struct nx_writer w;
    nx_assert(len <= NX_NOTE_BYTES_MAX);
    nx_writer_init(&w, dst, NX_NOTE_HEAD_BYTES + len);
    nx_write_bytes(&w, note_magic, sizeof note_magic);
    nx_write_u32(&w, NX_PLOG_FORMAT);
    nx_write_u32(&w, 0);
    nx_write_bytes(&w, owner->group_id, NX_GROUP_ID_BYTES);
    nx_write_bytes(&w, owner->shard, NX_SHARD_NAME_BYTES);
    nx_write_u32(&w, (uint32_t)len);
    nx_write_bytes(&w, bytes, len);
    size_t used = nx_writer_used(&w);
    nx_assert(!w.bad && used == NX_NOTE_HEAD_BYTES + len);
    nx_writer_init(&w, dst + 12, 4);
    nx_write_u32(&w, (uint32_t)crc32_z(0, dst + 16, used - 16));
    return used;
}

enum nx_status nx_note_decode(const uint8_t *note, size_t len, struct nx_plog_owner *owner,
                              const uint8_t **bytes, size_t *bytes_len, struct nx_err *err)
{
    if (len < NX_NOTE_HEAD_BYTES || memcmp(note, note_magic, sizeof note_magic) != 0)
        return nx_err_set(err, NX_CORRUPT, "not a note: %zu bytes, or another beginning", len);
    struct nx_reader r;
    nx_reader_init(&r, note + sizeof note_magic, len - sizeof note_magic);
    uint32_t format = nx_read_u32(&r), crc = nx_read_u32(&r);
    if (format != NX_PLOG_FORMAT)
        return nx_err_set(err, NX_UNSUPPORTED, "note format %u; this program reads format %d",
                          format, NX_PLOG_FORMAT);
    if (crc != (uint32_t)crc32_z(0, note + 16, len - 16))
        return nx_err_set(err, NX_CORRUPT, "the note fails its checksum");
    const uint8_t *id = nx_read_bytes(&r, NX_GROUP_ID_BYTES);
    const uint8_t *shard = nx_read_bytes(&r, NX_SHARD_NAME_BYTES);
    uint32_t claimed = nx_read_u32(&r);
    if (r.bad || shard[NX_SHARD_NAME_BYTES - 1] != 0 || claimed != nx_reader_left(&r))
        return nx_err_set(err, NX_CORRUPT, "a note of %u bytes, of which %zu are there", claimed,
                          nx_reader_left(&r));
    memcpy(owner->group_id, id, NX_GROUP_ID_BYTES);
    memcpy(owner->shard, shard, NX_SHARD_NAME_BYTES);
    *bytes = nx_read_bytes(&r, claimed);
    *bytes_len = claimed;
    return NX_OK;
}
