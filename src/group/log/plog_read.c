/* plog_read.c — a cursor over the durable records, by reads of at most one buffer. */
#include "common/arena.h"
#include "common/nx_assert.h"
#include "group/log/plog_state.h"

#include <stdlib.h>
#include <string.h>

struct nx_plog_cursor {
    struct nx_plog *log;
    nx_seq after, last;     /* last: version of the record before */
    uint64_t index, offset; /* of the segment, and of `from` in it */
    bool placed, reading;
    struct nx_disk_request request;
    size_t from, have, cap;
    uint8_t buffer[];
};

enum nx_status nx_plog_cursor_open(struct nx_plog *log, nx_seq after,
                                   struct nx_plog_cursor **cursor, struct nx_err *err)
{
    struct nx_plog_cursor *c = nx_calloc(1, sizeof *c + log->record_bytes_max);
    if (!c)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to read a log");
    c->log = log;
    c->after = c->last = after;
    c->cap = log->record_bytes_max;
    *cursor = c;
    return NX_OK;
}

static void enter(struct nx_plog_cursor *c, const struct nx_plog_segment *segment)
{
    c->index = segment->index;
    c->last = segment->base;
    c->offset = NX_SEGMENT_HEAD_BYTES;
    c->from = c->have = 0;
    c->placed = true;
}

static enum nx_status overtaken(const struct nx_plog_cursor *c, struct nx_err *err)
{
    return nx_err_set(err, NX_UNAVAILABLE,
                      "records after version %lld are under the checkpoint "
                      "of version %lld",
                      (long long)c->last, (long long)c->log->checkpoint);
}

/* The newest segment that begins at or before the version the cursor starts after. */
static enum nx_status place(struct nx_plog_cursor *c, struct nx_err *err)
{
    const struct nx_plog *log = c->log;
    uint32_t i = log->segments_count;
    while (i > 0 && log->segments[i - 1].base > c->after)
        i--;
    if (i == 0)
        return overtaken(c, err);
    enter(c, &log->segments[i - 1]);
    return NX_OK;
}

static const struct nx_plog_segment *find(const struct nx_plog *log, uint64_t index)
{
    uint64_t first = log->segments[0].index;
    return index >= first && index - first < log->segments_count ? &log->segments[index - first]
                                                                 : NULL;
}

static void start_read(struct nx_plog_cursor *c, const struct nx_plog_segment *segment)
{
    size_t kept = c->have - c->from;
    memmove(c->buffer, c->buffer + c->from, kept);
    c->from = 0;
    c->have = kept;
    nx_plog_request_segment(&c->request, NX_DISK_READ, c->index);
    c->request.offset = c->offset + kept;
    c->request.dst = c->buffer + kept;
    c->request.len = c->cap - kept;
    if (c->request.len > segment->bytes - c->request.offset)
        c->request.len = segment->bytes - c->request.offset;
    c->reading = true;
    nx_disk_submit(c->log->disk, &c->request);
}

static enum nx_status finish_read(struct nx_plog_cursor *c, struct nx_err *err)
{
    if (!c->request.done)
        return NX_AGAIN;
    c->reading = false;
    if (c->request.err.status != NX_OK && err)
        *err = c->request.err;
    NX_TRY(c->request.err.status);
    if (c->request.done_bytes < c->request.len)
        return nx_err_set(err, NX_CORRUPT, "%s/%s:%llu: the segment ends too early",
                          c->log->disk->ops->place(c->log->disk), c->request.name,
                          (unsigned long long)(c->request.offset + c->request.done_bytes));
    c->have += c->request.done_bytes;
    return NX_OK;
}

static enum nx_status next_segment(struct nx_plog_cursor *c, struct nx_err *err)
{
    const struct nx_plog_segment *next = find(c->log, c->index + 1);
    if (!next)
        return NX_NOT_FOUND;
    if (next->base != c->last)
        return overtaken(c, err);
    enter(c, next);
    return NX_OK;
}

/* The next record from the buffer. NX_AGAIN: bytes are missing, and are being read. */
static enum nx_status take(struct nx_plog_cursor *c, const struct nx_plog_segment *segment,
                           struct nx_record *record, struct nx_err *err)
{
    struct nx_err why = {0};
    size_t have = c->have - c->from;
    struct nx_segment_scan scan = {.bytes = c->buffer + c->from,
                                   .len = have,
                                   .salt = segment->salt,
                                   .last = c->last,
                                   .skip_checks =
                                       c->log->config.mutants & NX_PLOG_MUTANT_SKIP_CHECKS};
    if (nx_segment_scan_next(&scan, record, &why) == NX_OK) {
        c->from += scan.offset;
        c->offset += scan.offset;
        c->last = scan.last;
        return NX_OK;
    }
    if (have < c->cap && c->offset + have < segment->bytes) {
        start_read(c, segment);
        return NX_AGAIN;
    }
    char name[NX_DISK_NAME_BYTES];
    nx_segment_name(c->index, name);
    return nx_err_set(err, NX_CORRUPT, "%s/%s:%llu: %s", c->log->disk->ops->place(c->log->disk),
                      name, (unsigned long long)c->offset, why.text);
}

static enum nx_status step(struct nx_plog_cursor *c, struct nx_record *record, struct nx_err *err)
{
    if (c->reading)
        NX_TRY(finish_read(c, err));
    if (!c->placed)
        NX_TRY(place(c, err));
    const struct nx_plog_segment *segment = find(c->log, c->index);
    if (!segment || c->offset > segment->bytes)
        return overtaken(c, err);
    if (c->offset < segment->bytes)
        return take(c, segment, record, err);
    NX_TRY(next_segment(c, err));
    return step(c, record,
                err); /* once more: a segment that follows another has records, or none follows */
}

enum nx_status nx_plog_cursor_next(struct nx_plog_cursor *c, struct nx_record *record,
                                   struct nx_err *err)
{
    enum nx_status status;
    do {
        if (c->log->durable <= c->after)
            return NX_NOT_FOUND;
        status = step(c, record, err);
    } while (status == NX_OK && record->version <= c->after);
    if (status == NX_OK)
        c->after = record->version;
    return status;
}

void nx_plog_cursor_close(struct nx_plog_cursor *c)
{
    while (c->reading && !c->request.done) {
        c->log->disk->ops->wait(c->log->disk);
        nx_disk_poll(c->log->disk);
    }
    free(c);
}
