/* A log that begins anew with a checkpoint.
 *
 *   WANTED ─ begin ─▶ VOIDING ─ the note says void ─▶ WRITING ─ the checkpoint is durable ─▶ CLEARING ─ the note ─▶ NONE
 *
 * Between VOIDING and NONE the note says that this log counts for nothing, so a restart looks elsewhere. What is delivered
 * meanwhile waits in the queue. */
#include "group/durable/durable_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

void nx_dur_want_reset(struct nx_durable *d)
{
    d->reset = NX_RESET_WANTED;
    d->records = d->continuous = false;
}

void nx_durable_has_state(struct nx_durable *d)
{
    if (d->log && !d->records && d->reset == NX_RESET_NONE)
        nx_dur_want_reset(d);
}

bool nx_durable_wants_checkpoint(const struct nx_durable *d)
{
    return d->reset == NX_RESET_WANTED && d->failed.status == NX_OK;
}

void nx_durable_checkpoint_begin(struct nx_durable *d)
{
    nx_assert(d->reset == NX_RESET_WANTED && !d->first);
    d->reset = NX_RESET_VOIDING;
    d->state_ended = false;
    d->reset_to = nx_dur_version_of_view(d->base, 0);
    d->newest = d->reset_to;
    d->records = d->continuous = true;
    d->note.void_log = true;
    d->note_dirty = true;
}

size_t nx_durable_checkpoint_write(struct nx_durable *d, const void *bytes, size_t len)
{
    return d->reset == NX_RESET_WRITING ? nx_plog_checkpoint_write(d->log, bytes, len) : 0;
}

void nx_durable_checkpoint_end(struct nx_durable *d)
{
    d->state_ended = true;
}

static enum nx_status remove_files(struct nx_durable *d, struct nx_err *err)
{
    struct nx_disk_entry *entries = nx_calloc(NX_PLOG_FILES_MAX, sizeof *entries);
    if (!entries)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to clear the log");
    struct nx_disk_request list = {.kind = NX_DISK_LIST, .dst = entries, .len = NX_PLOG_FILES_MAX};
    enum nx_status status = nx_disk_run(d->log_disk, &list, err);
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
    NX_TRY(remove_files(d, err));
    NX_TRY(nx_dur_open_log(d, err));
    NX_TRY(nx_plog_checkpoint_begin(d->log, d->reset_to, d->stamp, err));
    return NX_OK;
}

static void begin_writing(struct nx_durable *d)
{
    struct nx_err err = {0};
    nx_seq newest = d->newest;
    if (wipe(d, &err) != NX_OK)
        nx_durable_fail(d, &err);
    d->newest = newest;
    d->reset = NX_RESET_WRITING;
}

static bool finish_writing(struct nx_durable *d)
{
    struct nx_err err = {0};
    if (d->state_ended)
        nx_plog_checkpoint_end(d->log);
    enum nx_status status = nx_plog_checkpoint_status(d->log, &err);
    if (status == NX_AGAIN)
        return false;
    if (status != NX_OK) {
        nx_durable_fail(d, &err);
        return true;
    }
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
        if (note_done)
            begin_writing(d);
        return note_done;
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

enum nx_status nx_dur_find_checkpoint(struct nx_durable *d, struct nx_err *err)
{
    char name[NX_DISK_NAME_BYTES];
    struct nx_checkpoint checkpoint;
    nx_seq version = nx_plog_checkpoint_version(d->log);
    d->has_checkpoint = version != NX_SEQ_NONE;
    d->checkpoint_bytes = 0;
    if (!d->has_checkpoint)
        return NX_OK;
    nx_checkpoint_name(version, name);
    NX_TRY(nx_checkpoint_read(d->log_disk, name, NULL, NULL, &checkpoint, err));
    d->checkpoint_bytes = checkpoint.bytes;
    return NX_OK;
}

bool nx_durable_has_checkpoint(const struct nx_durable *d, uint64_t *bytes)
{
    *bytes = d->checkpoint_bytes;
    return d->has_checkpoint && !d->replayed;
}

enum nx_status nx_durable_replay_checkpoint(struct nx_durable *d, nx_checkpoint_sink *sink,
                                            void *ctx, struct nx_err *err)
{
    char name[NX_DISK_NAME_BYTES];
    struct nx_checkpoint checkpoint;
    nx_checkpoint_name(nx_plog_checkpoint_version(d->log), name);
    return nx_checkpoint_read(d->log_disk, name, sink, ctx, &checkpoint, err);
}
