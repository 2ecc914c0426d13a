/* What the log holds, once more for the tier: views, bodies, messages, in their order. */
#include "group/durable/durable_state.h"

#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

static enum nx_status cursor_next(struct nx_durable *d, struct nx_plog_cursor *cursor,
                                  struct nx_record *record, struct nx_err *err)
{
    enum nx_status status;
    while ((status = nx_plog_cursor_next(cursor, record, err)) == NX_AGAIN) {
        d->log_disk->ops->wait(d->log_disk);
        nx_disk_poll(d->log_disk);
    }
    return status;
}

/* Blobs live by references: one for each record that names one. */
enum nx_status nx_dur_take_references(struct nx_durable *d, struct nx_err *err)
{
    struct nx_plog_cursor *cursor;
    struct nx_record record;
    struct nx_dur_entry entry;
    NX_TRY(nx_plog_cursor_open(d->log, nx_plog_checkpoint_version(d->log), &cursor, err));
    enum nx_status status;
    while ((status = cursor_next(d, cursor, &record, err)) == NX_OK) {
        status = nx_dur_decode(record.kind, record.payload, record.payload_bytes, &entry, err);
        nx_dur_count(d, record.payload_bytes + entry.total, entry.kind == NX_DUR_BULK);
        if (status == NX_OK && entry.kind == NX_DUR_BULK &&
            nx_dur_add_reference(d, record.version, entry.blob) != NX_OK)
            status = nx_err_set(err, NX_NO_MEMORY, "no memory for the log");
        if (status == NX_OK && entry.kind == NX_DUR_BULK &&
            nx_blob_ref(d->blobs, entry.blob) != NX_OK)
            status = nx_err_set(err, NX_CORRUPT, "%s/%s.blob is missing; the log names it",
                                d->blob_disk->ops->place(d->blob_disk), entry.blob);
        if (status != NX_OK)
            break;
    }
    nx_plog_cursor_close(cursor);
    if (status != NX_NOT_FOUND)
        return status;
    nx_blob_collect(d->blobs);
    return NX_OK;
}

void nx_dur_end_replay(struct nx_durable *d)
{
    if (d->get)
        nx_blob_get_close(d->get);
    if (d->cursor)
        nx_plog_cursor_close(d->cursor);
    free(d->entry_bytes);
    d->get = NULL;
    d->cursor = NULL;
    d->entry_bytes = NULL;
    d->entry_pending = false;
    d->replayed = true;
}

static enum nx_status keep_entry(struct nx_durable *d, const struct nx_record *record,
                                 struct nx_err *err)
{
    NX_TRY(nx_dur_decode(record->kind, record->payload, record->payload_bytes, &d->entry, err));
    free(d->entry_bytes);
    d->entry_bytes = nx_calloc(1, d->entry.len + 1);
    if (!d->entry_bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to replay the log");
    if (d->entry.bytes)
        memcpy(d->entry_bytes, d->entry.bytes, d->entry.len);
    d->entry.bytes = d->entry_bytes;
    d->entry_version = record->version;
    d->entry_pending = true;
    d->body_done = d->entry.kind != NX_DUR_BULK;
    d->body_offset = 0;
    return NX_OK;
}

static struct nx_delivery delivery_of(const struct nx_durable *d)
{
    return (struct nx_delivery){.subgroup = d->config.subgroup,
                                .shard = d->shard,
                                .sender = d->entry.sender,
                                .seq = d->entry_version >> NX_DUR_PLACE_SHIFT,
                                .bytes = d->entry.bytes,
                                .len = d->entry.len,
                                .bulk = d->entry.kind == NX_DUR_BULK ? (nx_stream)(d->entry_version)
                                                                     : 0};
}

static enum nx_status next_piece(struct nx_durable *d, struct nx_replay *replay, struct nx_err *err)
{
    const uint8_t *bytes;
    size_t len;
    if (!d->get)
        NX_TRY(nx_blob_get_open(d->blobs, d->entry.blob, &d->get, err));
    NX_TRY(nx_blob_get_next(d->get, &bytes, &len, err));
    if (len == 0) {
        nx_blob_get_close(d->get);
        d->get = NULL;
        d->body_done = true;
        if (d->body_offset != d->entry.total)
            return nx_err_set(err, NX_CORRUPT, "blob %s has %llu bytes, its record says %llu",
                              d->entry.blob, (unsigned long long)d->body_offset,
                              (unsigned long long)d->entry.total);
        return NX_AGAIN;
    }
    replay->what = NX_REPLAYED_BODY;
    replay->delivery = delivery_of(d);
    replay->part = (struct nx_part){.peer = d->entry.sender,
                                    .stream = replay->delivery.bulk,
                                    .total = d->entry.total,
                                    .offset = d->body_offset,
                                    .bytes = bytes,
                                    .len = len};
    d->body_offset += len;
    return NX_OK;
}

static enum nx_status next_entry(struct nx_durable *d, struct nx_err *err)
{
    struct nx_record record;
    if (!d->cursor)
        NX_TRY(nx_plog_cursor_open(d->log, nx_plog_checkpoint_version(d->log), &d->cursor, err));
    NX_TRY(nx_plog_cursor_next(d->cursor, &record, err));
    return keep_entry(d, &record, err);
}

enum nx_status nx_durable_next_replayed(struct nx_durable *d, struct nx_replay *replay,
                                        struct nx_err *err)
{
    if (d->replayed || !d->log)
        return NX_NOT_FOUND;
    if (!d->entry_pending) {
        enum nx_status status = next_entry(d, err);
        if (status == NX_NOT_FOUND)
            nx_dur_end_replay(d);
        if (status != NX_OK)
            return status;
    }
    if (!d->body_done)
        return next_piece(d, replay, err);
    d->entry_pending = false;
    replay->what = d->entry.kind == NX_DUR_VIEW ? NX_REPLAYED_VIEW : NX_REPLAYED_MESSAGE;
    replay->self = d->entry.self;
    if (d->entry.kind == NX_DUR_VIEW)
        replay->view = d->entry.view;
    replay->delivery = delivery_of(d);
    return NX_OK;
}
