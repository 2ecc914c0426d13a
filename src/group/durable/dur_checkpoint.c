/* A log that begins anew with a checkpoint.
 *
 *   WANTED ─ begin ─▶ VOIDING ─ the note says void ─▶ WRITING ─ the checkpoint is durable ─▶ CLEARING ─ the note ─▶ NONE
 *
 * Between VOIDING and NONE the note says that this log counts for nothing, so a restart looks elsewhere. What is delivered
 * meanwhile waits in the queue. A full disk leads from WRITING back to VOIDING: the same state is given once more. */
#include "group/durable/durable_state.h"

#include "common/arena.h"
#include "common/codec.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

void nx_dur_want_reset(struct nx_durable *d)
{
    nx_dur_compact_stop(d);
    nx_dur_stop_reset(d);
    d->reset = NX_RESET_WANTED;
    d->records = d->continuous = false;
}

void nx_dur_stop_reset(struct nx_durable *d)
{
    d->reset = NX_RESET_NONE;
    d->rewound = false;
    nx_dur_has_room(d, NX_DUR_STATE);
}

void nx_dur_set_head(struct nx_durable *d, const struct nx_view *view, nx_rank self)
{
    struct nx_writer w;
    size_t len = nx_dur_encode_view(view, self, d->view_head + NX_DUR_CHECKPOINT_HEAD_BYTES);
    nx_writer_init(&w, d->view_head, NX_DUR_CHECKPOINT_HEAD_BYTES);
    nx_write_u32(&w, NX_DUR_CHECKPOINT_MAGIC);
    nx_write_u32(&w, (uint32_t)len);
    d->view_head_bytes = NX_DUR_CHECKPOINT_HEAD_BYTES + len;
}

static bool head_is_written(struct nx_durable *d)
{
    d->head_at +=
        nx_plog_checkpoint_write(d->log, d->head + d->head_at, d->head_bytes - d->head_at);
    return d->head_at == d->head_bytes;
}

static size_t write_checkpoint(struct nx_durable *d, const void *bytes, size_t len)
{
    size_t taken = head_is_written(d) ? nx_plog_checkpoint_write(d->log, bytes, len) : 0;
    d->state_bytes += taken;
    return taken;
}

enum nx_status nx_dur_checkpoint_poll(struct nx_durable *d, struct nx_err *err)
{
    if (d->state_ended && head_is_written(d))
        nx_plog_checkpoint_end(d->log);
    return nx_plog_checkpoint_status(d->log, err);
}

void nx_durable_has_state(struct nx_durable *d)
{
    if (d->log && !d->records && d->reset == NX_RESET_NONE)
        nx_dur_want_reset(d);
}

bool nx_durable_wants_checkpoint(const struct nx_durable *d)
{
    return d->failed.status == NX_OK && (d->reset == NX_RESET_WANTED || nx_dur_compact_is_due(d));
}

void nx_durable_checkpoint_begin(struct nx_durable *d)
{
    d->state_ended = d->rewound = false;
    memcpy(d->head, d->view_head, d->view_head_bytes);
    d->head_bytes = d->view_head_bytes;
    d->head_at = d->state_bytes = 0;
    if (d->reset != NX_RESET_WANTED) {
        nx_dur_compact_begin(d);
        return;
    }
    nx_assert(!d->first);
    d->reset = NX_RESET_VOIDING;
    d->reset_to = nx_dur_version_of_view(d->base, 0);
    d->newest = d->reset_to;
    d->records = d->continuous = true;
    d->note.void_log = true;
    d->note_dirty = true;
}

size_t nx_durable_checkpoint_write(struct nx_durable *d, const void *bytes, size_t len)
{
    bool writes = d->reset == NX_RESET_WRITING || d->compact == NX_COMPACT_WRITING;
    return writes && d->failed.status == NX_OK ? write_checkpoint(d, bytes, len) : 0;
}

bool nx_durable_checkpoint_goes_on(const struct nx_durable *d)
{
    bool resets = d->reset == NX_RESET_VOIDING || d->reset == NX_RESET_WRITING;
    return (resets || d->compact != NX_COMPACT_NONE) && d->failed.status == NX_OK;
}

void nx_durable_checkpoint_end(struct nx_durable *d)
{
    d->state_ended = true;
}

/* The mark, segments from the newest, checkpoints from the newest. */
static int removal_order(const void *a, const void *b)
{
    const struct nx_disk_entry *x = a, *y = b;
    bool x_mark = strcmp(x->name, NX_MARK_NAME) == 0, y_mark = strcmp(y->name, NX_MARK_NAME) == 0;
    return x_mark != y_mark ? y_mark - x_mark : strcmp(y->name, x->name);
}

/* In an order that leaves a log that can be opened, wherever a crash cuts it short. */
enum nx_status nx_dur_remove_files(struct nx_durable *d, struct nx_err *err)
{
    struct nx_disk_entry *entries = nx_calloc(NX_PLOG_FILES_MAX, sizeof *entries);
    if (!entries)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to clear the log");
    struct nx_disk_request list = {.kind = NX_DISK_LIST, .dst = entries, .len = NX_PLOG_FILES_MAX};
    enum nx_status status = nx_disk_run(d->log_disk, &list, err);
    if (status == NX_OK)
        qsort(entries, list.done_bytes, sizeof *entries, removal_order);
    for (size_t i = 0; status == NX_OK && i < list.done_bytes; i++) {
        struct nx_disk_request remove = {.kind = NX_DISK_REMOVE};
        memcpy(remove.name, entries[i].name, sizeof remove.name);
        status = nx_disk_run(d->log_disk, &remove, err);
    }
    free(entries);
    return status;
}

/* The old log goes, with its bodies; an empty one stands in its place. */
static enum nx_status wipe(struct nx_durable *d, struct nx_err *err)
{
    nx_dur_end_replay(d);
    nx_plog_close(d->log);
    d->log = NULL;
    nx_dur_drop_references(d, INT64_MAX);
    d->grown = d->grown_bodies = 0;
    NX_TRY(nx_dur_remove_files(d, err));
    return nx_dur_open_log(d, err);
}

enum nx_status nx_dur_begin_empty(struct nx_durable *d, struct nx_err *err)
{
    enum nx_status status = wipe(d, err);
    if (status != NX_OK) {
        nx_durable_fail(d, err);
        return status;
    }
    d->note.void_log = false; /* the note is written for the view that begins */
    return NX_OK;
}

static void begin_writing(struct nx_durable *d)
{
    struct nx_err err = {0};
    nx_seq newest = d->newest;
    enum nx_status status = wipe(d, &err);
    if (status == NX_OK)
        status = nx_plog_checkpoint_begin(d->log, d->reset_to, d->stamp, &err);
    if (status != NX_OK)
        nx_durable_fail(d, &err);
    d->newest = newest;
    d->reset = NX_RESET_WRITING;
}

/* The disk is full: from the beginning, after a while. The note says void already. */
static void rewind_writing(struct nx_durable *d, const struct nx_err *err)
{
    nx_dur_is_full(d, NX_DUR_STATE, err);
    d->reset = NX_RESET_VOIDING;
    d->rewound = true;
    d->state_ended = false;
    d->head_at = d->state_bytes = 0;
}

bool nx_durable_checkpoint_rewound(struct nx_durable *d)
{
    bool rewound = d->rewound;
    d->rewound = false;
    return rewound;
}

static bool finish_writing(struct nx_durable *d)
{
    struct nx_err err = {0};
    enum nx_status status = nx_dur_checkpoint_poll(d, &err);
    if (status == NX_AGAIN)
        return false;
    if (status == NX_UNAVAILABLE) {
        rewind_writing(d, &err);
        return true;
    }
    if (status != NX_OK) {
        nx_durable_fail(d, &err);
        return true;
    }
    nx_dur_has_room(d, NX_DUR_STATE);
    d->reset = NX_RESET_CLEARING;
    d->note.void_log = false;
    d->note_dirty = true;
    return true;
}

bool nx_dur_reset_poll(struct nx_durable *d)
{
    bool note_done = !d->note_dirty && !d->note_busy;
    if (d->failed.status != NX_OK)
        return false;
    switch (d->reset) {
    case NX_RESET_NONE:
    case NX_RESET_WANTED: return false;
    case NX_RESET_VOIDING:
        if (!note_done || !nx_dur_may_try(d, NX_DUR_STATE))
            return false;
        begin_writing(d);
        return true;
    case NX_RESET_WRITING: return finish_writing(d);
    case NX_RESET_CLEARING:
        if (note_done) {
            d->reset = NX_RESET_NONE;
            nx_info("the log begins at place %llu", (unsigned long long)nx_dur_places(d->reset_to));
        }
        return note_done;
    }
    return false;
}

/* --- replay ----------------------------------------------------------------------------------------------------- */

struct head_reader {
    uint8_t bytes[NX_DUR_CHECKPOINT_HEAD_MAX];
    size_t got;
};

static enum nx_status take_head(void *ctx, const uint8_t *bytes, size_t len)
{
    struct head_reader *head = ctx;
    size_t room = sizeof head->bytes - head->got;
    size_t taken = len < room ? len : room;
    memcpy(head->bytes + head->got, bytes, taken);
    head->got += taken;
    return NX_OK;
}

static enum nx_status decode_head(struct nx_durable *d, const struct head_reader *head,
                                  const char *name, struct nx_err *err)
{
    struct nx_reader r;
    nx_reader_init(&r, head->bytes, head->got);
    uint32_t magic = nx_read_u32(&r);
    uint32_t len = nx_read_u32(&r);
    if (r.bad || magic != NX_DUR_CHECKPOINT_MAGIC || len > nx_reader_left(&r))
        return nx_err_set(err, NX_CORRUPT, "%s: its state does not begin with a view", name);
    d->checkpoint_head = NX_DUR_CHECKPOINT_HEAD_BYTES + len;
    return nx_dur_decode(NX_DUR_VIEW, nx_read_bytes(&r, len), len, &d->checkpoint_view, err);
}

enum nx_status nx_dur_find_checkpoint(struct nx_durable *d, struct nx_err *err)
{
    char name[NX_DISK_NAME_BYTES];
    struct nx_checkpoint checkpoint;
    struct head_reader head = {.got = 0};
    nx_seq version = nx_plog_checkpoint_version(d->log);
    d->has_checkpoint = version != NX_SEQ_NONE;
    d->checkpoint_bytes = d->state_bytes = 0;
    if (!d->has_checkpoint)
        return NX_OK;
    nx_checkpoint_name(version, name);
    NX_TRY(nx_checkpoint_read(d->log_disk, name, take_head, &head, &checkpoint, err));
    NX_TRY(decode_head(d, &head, name, err));
    d->checkpoint_bytes = d->state_bytes = checkpoint.bytes - d->checkpoint_head;
    return NX_OK;
}

bool nx_durable_has_checkpoint(const struct nx_durable *d, uint64_t *bytes, struct nx_replay *view)
{
    *bytes = d->checkpoint_bytes;
    *view = (struct nx_replay){
        .what = NX_REPLAYED_VIEW, .self = d->checkpoint_view.self, .view = d->checkpoint_view.view};
    return d->has_checkpoint && !d->replayed;
}

struct skipping {
    nx_checkpoint_sink *sink;
    void *ctx;
    size_t skip;
};

static enum nx_status skip_head(void *ctx, const uint8_t *bytes, size_t len)
{
    struct skipping *s = ctx;
    size_t skipped = len < s->skip ? len : s->skip;
    s->skip -= skipped;
    return len > skipped ? s->sink(s->ctx, bytes + skipped, len - skipped) : NX_OK;
}

enum nx_status nx_durable_replay_checkpoint(struct nx_durable *d, nx_checkpoint_sink *sink,
                                            void *ctx, struct nx_err *err)
{
    char name[NX_DISK_NAME_BYTES];
    struct nx_checkpoint checkpoint;
    struct skipping skipping = {.sink = sink, .ctx = ctx, .skip = d->checkpoint_head};
    nx_checkpoint_name(nx_plog_checkpoint_version(d->log), name);
    return nx_checkpoint_read(d->log_disk, name, skip_head, &skipping, &checkpoint, err);
}
