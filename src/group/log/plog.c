#include "group/log/plog.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "group/log/plog_state.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENT_BYTES = 16 << 20, BUFFER_BYTES = 1 << 20, BUFFER_BYTES_MIN = 4096 };

static const nx_ns RETRY_NS = 100 * NX_MS; /* how often a full disk is asked again */
static const nx_ns MARK_NS = NX_SEC;       /* an idle log's newest version is marked after it */

/* --- open and close ------------------------------------------------------------------------------------- */

static enum nx_status check_config(struct nx_plog_config *config, struct nx_err *err)
{
    if (!config->segment_bytes)
        config->segment_bytes = SEGMENT_BYTES;
    if (!config->buffer_bytes)
        config->buffer_bytes = BUFFER_BYTES;
    if (config->buffer_bytes < BUFFER_BYTES_MIN ||
        config->segment_bytes < config->buffer_bytes + NX_SEGMENT_HEAD_BYTES ||
        config->segment_bytes > NX_SEGMENT_BYTES_MAX)
        return nx_err_set(err, NX_INVALID,
                          "segments of %u bytes and a buffer of %u: the buffer has at least %d, "
                          "and fits with a head of %d into a segment, which has at most %d",
                          config->segment_bytes, config->buffer_bytes, BUFFER_BYTES_MIN,
                          NX_SEGMENT_HEAD_BYTES, NX_SEGMENT_BYTES_MAX);
    return NX_OK;
}

static void take_image(struct nx_plog *log, const struct nx_plog_image *image)
{
    log->segments_count = image->segments_count;
    memcpy(log->segments, image->segments, image->segments_count * sizeof *image->segments);
    log->salt = log->segments_count ? nx_plog_newest(log)->salt : log->config.salt;
    log->appended = log->durable = image->last;
    log->mark = image->mark;
    log->checkpoint = image->checkpoint.version;
    log->old_checkpoint = NX_SEQ_NONE;
    log->record_bytes_max = image->record_bytes_max > log->config.buffer_bytes
                                ? image->record_bytes_max
                                : log->config.buffer_bytes;
}

static void release(struct nx_plog *log)
{
    free(log->buffers[0]);
    free(log->buffers[1]);
    free(log);
}

static enum nx_status recover_into(struct nx_plog *log, struct nx_plog_image *image,
                                   struct nx_err *err)
{
    NX_TRY(nx_plog_recover(log->disk, &log->config.owner, NULL, log->config.mutants, image, err));
    take_image(log, image);
    return nx_plog_prepare(log, image, err);
}

static enum nx_status open_log(struct nx_plog *log, struct nx_plog_image *out, struct nx_err *err)
{
    struct nx_plog_image *image = nx_calloc(1, sizeof *image);
    for (unsigned i = 0; i < 2; i++)
        log->buffers[i] = nx_calloc(1, log->config.buffer_bytes);
    enum nx_status status = NX_NO_MEMORY;
    if (image && log->buffers[0] && log->buffers[1])
        status = recover_into(log, image, err);
    else
        nx_err_set(err, status, "no memory for a log with buffers of %u bytes",
                   log->config.buffer_bytes);
    if (status == NX_OK && out)
        *out = *image;
    free(image);
    return status;
}

enum nx_status nx_plog_open(struct nx_disk *disk, const struct nx_plog_config *config,
                            struct nx_plog **log, struct nx_plog_image *image, struct nx_err *err)
{
    struct nx_plog_config checked = *config;
    NX_TRY(check_config(&checked, err));
    struct nx_plog *l = nx_calloc(1, sizeof *l);
    if (!l)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a log");
    l->disk = disk;
    l->config = checked;
    enum nx_status status = open_log(l, image, err);
    if (status != NX_OK) {
        release(l);
        return status;
    }
    *log = l;
    return NX_OK;
}

/* Time stands still while the log closes: a full disk is not waited for. */
static void flush_all(struct nx_plog *log, nx_ns now)
{
    for (;;) {
        if (nx_plog_poll(log, now))
            continue;
        if (log->lane == NX_LANE_IDLE)
            break;
        log->disk->ops->wait(log->disk);
    }
}

static void leave_mark(struct nx_plog *log)
{
    struct nx_disk_request replace = {
        .kind = NX_DISK_REPLACE, .name = NX_MARK_NAME, .src = log->small};
    replace.len = nx_plog_encode_mark(log, log->small);
    nx_disk_run(log->disk, &replace,
                NULL); /* without it the log is as good, only less suspicious */
}

void nx_plog_close(struct nx_plog *log)
{
    nx_plog_checkpoint_abort(log);
    flush_all(log, log->retry_at ? log->retry_at - 1 : 0);
    if (log->failed.status == NX_OK && log->durable > log->mark)
        leave_mark(log);
    release(log);
}

/* --- append --------------------------------------------------------------------------------------------- */

static bool is_reset(const struct nx_plog *log)
{
    return log->writer && log->writer_version > log->appended;
}

enum nx_status nx_plog_append(struct nx_plog *log, nx_seq version, nx_vid vid, uint32_t kind,
                              const void *bytes, size_t len)
{
    nx_assert(version > log->appended);
    if (log->failed.status != NX_OK)
        return log->failed.status;
    if (len > log->config.buffer_bytes - NX_RECORD_HEAD_BYTES - 7)
        return NX_TOO_LARGE;
    size_t record_bytes = nx_record_bytes(len);
    if (record_bytes > log->config.buffer_bytes - log->filled || is_reset(log))
        return NX_AGAIN;
    struct nx_record record = {.version = version,
                               .previous = log->appended,
                               .durable = log->durable,
                               .vid = vid,
                               .kind = kind,
                               .payload = bytes,
                               .payload_bytes = (uint32_t)len};
    nx_record_encode(&record, log->salt, log->buffers[log->filling] + log->filled);
    log->filled += record_bytes;
    log->appended = version;
    log->stats.records++;
    log->stats.bytes += record_bytes;
    return NX_OK;
}

/* --- the lane ------------------------------------------------------------------------------------------- */

static void stop(struct nx_plog *log, const struct nx_err *why)
{
    log->failed = *why;
}

static void submit_flush(struct nx_plog *log)
{
    struct nx_plog_segment *newest = nx_plog_newest(log);
    nx_plog_request_segment(&log->request, NX_DISK_WRITE, newest->index);
    log->request.offset = newest->bytes;
    log->request.src = log->buffers[log->filling ^ 1];
    log->request.len = log->flight_bytes;
    nx_disk_submit(log->disk, &log->request);
    nx_plog_request_segment(&log->sync, NX_DISK_SYNC, newest->index);
    log->sync.done = log->config.mutants & NX_PLOG_MUTANT_SKIP_SYNC;
    if (!log->sync.done)
        nx_disk_submit(log->disk, &log->sync);
    log->lane = NX_LANE_FLUSHING;
}

static void start_roll(struct nx_plog *log)
{
    if (log->segments_count == NX_PLOG_SEGMENTS_MAX) {
        nx_err_set(&log->failed, NX_TOO_LARGE, "%s: %d segments and no checkpoint over them",
                   log->disk->ops->place(log->disk), NX_PLOG_SEGMENTS_MAX);
        return;
    }
    struct nx_plog_segment next = nx_plog_next_segment(log);
    nx_plog_request_segment(&log->request, NX_DISK_REPLACE, next.index);
    log->request.src = log->small;
    log->request.len = nx_plog_encode_head(log, &next, log->small);
    nx_disk_submit(log->disk, &log->request);
    log->lane = NX_LANE_ROLLING;
}

static void start_mark(struct nx_plog *log)
{
    log->request =
        (struct nx_disk_request){.kind = NX_DISK_REPLACE, .name = NX_MARK_NAME, .src = log->small};
    log->request.len = nx_plog_encode_mark(log, log->small);
    log->mark = log->durable;
    nx_disk_submit(log->disk, &log->request);
    log->lane = NX_LANE_MARKING;
}

/* A log that was opened on a full disk has no segment yet: `roll` stands for it. */
static bool is_filled(struct nx_plog *log, size_t bytes)
{
    const struct nx_plog_segment *newest = nx_plog_newest(log);
    return newest->bytes > NX_SEGMENT_HEAD_BYTES &&
           newest->bytes + bytes > log->config.segment_bytes;
}

static void start_batch(struct nx_plog *log)
{
    size_t bytes = log->flight_bytes ? log->flight_bytes : log->filled;
    if (log->roll || is_filled(log, bytes)) {
        start_roll(log);
        return;
    }
    if (!log->flight_bytes) {
        log->flight_bytes = log->filled;
        log->flight_last = log->appended;
        log->filling ^= 1;
        log->filled = 0;
    }
    submit_flush(log);
}

static bool mark_is_due(const struct nx_plog *log, nx_ns now)
{
    return log->durable > log->mark && now >= log->durable_since + MARK_NS;
}

/* Removing files and flushing take turns, so that a checkpoint over many segments holds no acknowledgement up. */
static bool start_next(struct nx_plog *log, nx_ns now)
{
    bool data = log->flight_bytes || log->filled;
    if (log->failed.status != NX_OK || log->retry_at > now)
        return false;
    log->retry_at = 0;
    bool cleaned = log->cleaned && data;
    log->cleaned = false;
    if (!cleaned && nx_plog_clean(log))
        log->lane = NX_LANE_CLEANING;
    else if (data)
        start_batch(log);
    else if (mark_is_due(log, now))
        start_mark(log);
    return log->lane != NX_LANE_IDLE;
}

static void flushed(struct nx_plog *log, nx_ns now)
{
    struct nx_plog_segment *newest = nx_plog_newest(log);
    newest->bytes += log->flight_bytes;
    newest->file_bytes = newest->bytes;
    newest->last = log->durable = log->flight_last;
    log->flight_bytes = 0;
    log->durable_since = now;
    log->full.status = NX_OK;
    log->stats.batches++;
}

static void rolled(struct nx_plog *log)
{
    log->segments[log->segments_count] = nx_plog_next_segment(log);
    log->segments_count++;
    log->roll = false;
}

static void wait_for_room(struct nx_plog *log, const struct nx_err *why, nx_ns now)
{
    log->full = *why;
    log->retry_at = now + RETRY_NS;
}

/* The mark only sharpens suspicion: a failure to write it is no reason to stop. */
static void finish_lane(struct nx_plog *log, nx_ns now)
{
    enum nx_plog_lane was = log->lane;
    const struct nx_err *err = &log->request.err;
    if (was == NX_LANE_FLUSHING && err->status == NX_OK)
        err = &log->sync.err;
    log->lane = NX_LANE_IDLE;
    log->cleaned = was == NX_LANE_CLEANING;
    if (log->cleaned)
        nx_plog_cleaned(log);
    else if (was == NX_LANE_MARKING)
        return;
    else if (err->status == NX_UNAVAILABLE)
        wait_for_room(log, err, now);
    else if (err->status != NX_OK)
        stop(log, err);
    else if (was == NX_LANE_FLUSHING)
        flushed(log, now);
    else
        rolled(log);
}

static bool lane_is_done(const struct nx_plog *log)
{
    return log->request.done && (log->lane != NX_LANE_FLUSHING || log->sync.done);
}

bool nx_plog_poll(struct nx_plog *log, nx_ns now)
{
    bool moved = nx_disk_poll(log->disk);
    moved |= nx_plog_checkpoint_poll(log);
    if (log->lane != NX_LANE_IDLE && lane_is_done(log)) {
        finish_lane(log, now);
        moved = true;
    }
    if (log->lane == NX_LANE_IDLE)
        moved |= start_next(log, now);
    return moved;
}

nx_ns nx_plog_wake_at(const struct nx_plog *log)
{
    if (log->failed.status != NX_OK || log->lane != NX_LANE_IDLE)
        return NX_NEVER;
    if (log->retry_at)
        return log->retry_at;
    return log->durable > log->mark ? log->durable_since + MARK_NS : NX_NEVER;
}

/* --- facts ---------------------------------------------------------------------------------------------- */

nx_seq nx_plog_durable(const struct nx_plog *log)
{
    return log->durable;
}

nx_seq nx_plog_last(const struct nx_plog *log)
{
    return log->appended;
}

enum nx_status nx_plog_status(const struct nx_plog *log, struct nx_err *err)
{
    if (log->failed.status != NX_OK && err)
        *err = log->failed;
    return log->failed.status;
}

bool nx_plog_is_full(const struct nx_plog *log, struct nx_err *err)
{
    if (log->full.status != NX_OK && err)
        *err = log->full;
    return log->full.status != NX_OK;
}

void nx_plog_get_stats(const struct nx_plog *log, struct nx_plog_stats *stats)
{
    *stats = log->stats;
    stats->segments = log->segments_count;
}
