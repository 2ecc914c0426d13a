/* plog_compact.c — checkpoints, and removing what they cover. */
#include "common/log.h"
#include "common/nx_assert.h"
#include "group/log/plog_state.h"

#include <string.h>

enum nx_status nx_plog_checkpoint_begin(struct nx_plog *log, nx_seq version, nx_vid vid,
                                        struct nx_err *err)
{
    NX_TRY(nx_plog_status(log, err));
    if (log->writer)
        return nx_err_set(err, NX_AGAIN, "a checkpoint is under way");
    if (version > log->appended && (log->filled || log->flight_bytes))
        return nx_err_set(err, NX_AGAIN, "records before the checkpoint are not on disk yet");
    if (version <= log->checkpoint || version < 0)
        return nx_err_set(err, NX_INVALID, "a checkpoint of version %lld after one of %lld",
                          (long long)version, (long long)log->checkpoint);
    struct nx_checkpoint checkpoint = {.owner = log->config.owner, .version = version, .vid = vid};
    NX_TRY(nx_checkpoint_open(log->disk, &checkpoint, &log->writer, err));
    log->writer_version = version;
    log->writer_ended = false;
    log->checkpoint_err = (struct nx_err){.status = NX_OK};
    return NX_OK;
}

size_t nx_plog_checkpoint_write(struct nx_plog *log, const void *bytes, size_t len)
{
    return log->writer && !log->writer_ended ? nx_checkpoint_write(log->writer, bytes, len) : 0;
}

void nx_plog_checkpoint_end(struct nx_plog *log)
{
    if (log->writer && !log->writer_ended)
        nx_checkpoint_finish(log->writer);
    log->writer_ended = true;
}

enum nx_status nx_plog_checkpoint_status(const struct nx_plog *log, struct nx_err *err)
{
    if (log->writer)
        return NX_AGAIN;
    if (err && log->checkpoint_err.status != NX_OK)
        *err = log->checkpoint_err;
    return log->checkpoint_err.status;
}

static void drop_writer(struct nx_plog *log)
{
    nx_checkpoint_close(log->writer);
    log->writer = NULL;
}

void nx_plog_checkpoint_abort(struct nx_plog *log)
{
    if (log->writer)
        drop_writer(log);
}

nx_seq nx_plog_checkpoint_version(const struct nx_plog *log)
{
    return log->checkpoint;
}

/* The newest segment stays, whatever the checkpoint covers. */
static void count_covered(struct nx_plog *log)
{
    while (log->covered + 1 < log->segments_count &&
           log->segments[log->covered + 1].base <= log->checkpoint)
        log->covered++;
}

static void published(struct nx_plog *log)
{
    log->old_checkpoint = log->checkpoint;
    log->checkpoint = log->writer_version;
    if (log->checkpoint > log->appended) {
        log->appended = log->durable = log->checkpoint;
        log->roll = true;
    }
    count_covered(log);
}

bool nx_plog_checkpoint_poll(struct nx_plog *log)
{
    count_covered(log);
    if (!log->writer)
        return false;
    bool moved = nx_checkpoint_poll(log->writer);
    enum nx_status status = nx_checkpoint_status(log->writer, &log->checkpoint_err);
    if (status == NX_AGAIN)
        return moved;
    if (status == NX_OK)
        published(log);
    drop_writer(log);
    return true;
}

bool nx_plog_clean(struct nx_plog *log)
{
    if (log->old_checkpoint == NX_SEQ_NONE && log->covered == 0)
        return false;
    if (log->old_checkpoint != NX_SEQ_NONE) {
        log->request = (struct nx_disk_request){.kind = NX_DISK_REMOVE};
        nx_checkpoint_name(log->old_checkpoint, log->request.name);
    } else {
        nx_plog_request_segment(&log->request, NX_DISK_REMOVE, log->segments[0].index);
    }
    nx_disk_submit(log->disk, &log->request);
    return true;
}

/* A file that could not be removed is removed at the next open. */
void nx_plog_cleaned(struct nx_plog *log)
{
    if (log->request.err.status != NX_OK && log->request.err.status != NX_CANCELLED)
        nx_warn("%s", log->request.err.text);
    if (log->old_checkpoint != NX_SEQ_NONE) {
        log->old_checkpoint = NX_SEQ_NONE;
        return;
    }
    nx_assert(log->covered > 0 && log->segments_count > 1);
    log->covered--;
    log->segments_count--;
    memmove(log->segments, log->segments + 1, log->segments_count * sizeof *log->segments);
}
