#include "group/durable/dur_record.h"

#include "common/codec.h"
#include "common/nx_assert.h"

#include <string.h>

size_t nx_dur_encode_message(nx_rank sender, uint8_t *dst)
{
    struct nx_writer w;
    nx_writer_init(&w, dst, 4);
    nx_write_u32(&w, sender);
    return nx_writer_used(&w);
}

size_t nx_dur_encode_bulk(nx_rank sender, uint64_t total, const char *blob, uint8_t *dst)
{
    struct nx_writer w;
    nx_writer_init(&w, dst, NX_DUR_BULK_HEAD_BYTES);
    nx_write_u32(&w, sender);
    nx_write_u64(&w, total);
    nx_write_bytes(&w, blob, NX_BLOB_NAME_BYTES - 1);
    nx_assert(!w.bad);
    return nx_writer_used(&w);
}

size_t nx_dur_encode_view(const struct nx_view *view, nx_rank self,
                          uint8_t dst[NX_DUR_VIEW_BYTES_MAX])
{
    struct nx_writer w;
    nx_writer_init(&w, dst, NX_DUR_VIEW_BYTES_MAX);
    nx_write_u64(&w, view->vid);
    nx_write_u32(&w, view->incarnation);
    nx_write_u64(&w, view->begun);
    nx_write_u32(&w, self);
    nx_write_u32(&w, view->members_count);
    nx_write_u64(&w, view->vacant);
    nx_write_u64(&w, view->stateless);
    for (uint32_t i = 0; i < view->members_count; i++) {
        const struct nx_member *m = &view->members[i];
        nx_write_u32(&w, m->node);
        nx_write_u8(&w, (uint8_t)m->subgroup);
        nx_write_u8(&w, m->shard == NX_SHARD_NONE ? NX_DUR_NO_SHARD : (uint8_t)m->shard);
        nx_write_u64(&w, m->since);
    }
    nx_assert(!w.bad);
    return nx_writer_used(&w);
}

static bool read_view(struct nx_reader *r, struct nx_dur_entry *entry)
{
    struct nx_view *view = &entry->view;
    view->vid = nx_read_u64(r);
    view->incarnation = nx_read_u32(r);
    view->begun = nx_read_u64(r);
    entry->self = nx_read_u32(r);
    view->members_count = nx_read_u32(r);
    view->vacant = nx_read_u64(r);
    view->stateless = nx_read_u64(r);
    if (r->bad || view->vid > NX_VID_MAX || view->members_count == 0 ||
        view->members_count > NX_MEMBERS_MAX || entry->self >= view->members_count)
        return false;
    for (uint32_t i = 0; i < view->members_count; i++) {
        struct nx_member *m = &view->members[i];
        m->node = nx_read_u32(r);
        m->subgroup = nx_read_u8(r);
        uint8_t shard = nx_read_u8(r);
        m->shard = shard == NX_DUR_NO_SHARD ? NX_SHARD_NONE : shard;
        m->since = nx_read_u64(r);
        if (m->subgroup >= NX_SUBGROUPS_MAX ||
            (m->shard >= NX_SHARDS_MAX && m->shard != NX_SHARD_NONE))
            return false;
    }
    return nx_reader_left(r) == 0 && !r->bad && (nx_view_ranks(view) & NX_RANK_BIT(entry->self));
}

static bool read_bulk(struct nx_reader *r, struct nx_dur_entry *entry)
{
    entry->total = nx_read_u64(r);
    const uint8_t *blob = nx_read_bytes(r, NX_BLOB_NAME_BYTES - 1);
    if (!blob)
        return false;
    memcpy(entry->blob, blob, NX_BLOB_NAME_BYTES - 1);
    for (unsigned i = 0; i < NX_BLOB_NAME_BYTES - 1; i++)
        if (!strchr("0123456789abcdef", entry->blob[i]) || entry->blob[i] == '\0')
            return false;
    return true;
}

enum nx_status nx_dur_decode(uint32_t kind, const uint8_t *bytes, size_t len,
                             struct nx_dur_entry *entry, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    memset(entry, 0, sizeof *entry);
    entry->kind = (enum nx_dur_kind)kind;
    bool good = kind == NX_DUR_VIEW;
    if (kind == NX_DUR_MESSAGE || kind == NX_DUR_BULK) {
        entry->sender = nx_read_u32(&r);
        good = (kind == NX_DUR_MESSAGE || read_bulk(&r, entry)) && !r.bad &&
               entry->sender < NX_MEMBERS_MAX;
        entry->len = nx_reader_left(&r);
        entry->bytes = nx_read_bytes(&r, entry->len);
    }
    if (kind == NX_DUR_VIEW)
        good = read_view(&r, entry);
    return good ? NX_OK
                : nx_err_set(err, NX_CORRUPT, "a record of kind %u and %zu bytes is malformed",
                             kind, len);
}
