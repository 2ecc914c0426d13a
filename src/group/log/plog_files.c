/* plog_files.c — the log's folder while nothing else happens in it: made ready at open. */
#include "common/arena.h"
#include "common/codec.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "group/log/plog_state.h"

#include <stdlib.h>
#include <string.h>

void nx_plog_request_segment(struct nx_disk_request *request, enum nx_disk_kind kind,
                             uint64_t index)
{
    *request = (struct nx_disk_request){.kind = kind};
    nx_segment_name(index, request->name);
}

struct nx_plog_segment nx_plog_next_segment(const struct nx_plog *log)
{
    uint64_t index = log->segments_count ? log->segments[log->segments_count - 1].index + 1 : 1;
    nx_seq base = log->durable;
    return (struct nx_plog_segment){.index = index,
                                    .salt = log->salt,
                                    .base = base,
                                    .last = base,
                                    .bytes = NX_SEGMENT_HEAD_BYTES,
                                    .file_bytes = NX_SEGMENT_HEAD_BYTES};
}

size_t nx_plog_encode_head(const struct nx_plog *log, const struct nx_plog_segment *segment,
                           uint8_t *dst)
{
    struct nx_segment_head head = {.owner = log->config.owner,
                                   .index = segment->index,
                                   .base = segment->base,
                                   .salt = segment->salt};
    nx_segment_encode_head(&head, dst);
    return NX_SEGMENT_HEAD_BYTES;
}

size_t nx_plog_encode_mark(const struct nx_plog *log, uint8_t *dst)
{
    uint8_t version[8];
    struct nx_writer w;
    nx_writer_init(&w, version, sizeof version);
    nx_write_u64(&w, (uint64_t)log->durable);
    return nx_note_encode(&log->config.owner, version, sizeof version, dst);
}

static enum nx_status remove_file(struct nx_plog *log, const char *name, struct nx_err *err)
{
    struct nx_disk_request remove = {.kind = NX_DISK_REMOVE};
    memcpy(remove.name, name, strlen(name) + 1);
    return nx_disk_run(log->disk, &remove, err);
}

/* Unfinished, or under the checkpoint. Other names are not ours. */
static bool is_leftover(const struct nx_plog *log, const char *name)
{
    uint64_t index;
    nx_seq version;
    if (nx_segment_name_parse(name, &index))
        return log->segments_count > 0 && index < log->segments[0].index;
    if (nx_checkpoint_name_parse(name, &version))
        return version < log->checkpoint;
    return nx_name_is_unfinished(name);
}

static enum nx_status remove_leftovers(struct nx_plog *log, struct nx_err *err)
{
    struct nx_disk_entry *entries = nx_calloc(NX_PLOG_FILES_MAX, sizeof *entries);
    if (!entries)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a list of files");
    struct nx_disk_request list = {.kind = NX_DISK_LIST, .dst = entries, .len = NX_PLOG_FILES_MAX};
    enum nx_status status = nx_disk_run(log->disk, &list, err);
    for (size_t i = 0; status == NX_OK && i < list.done_bytes; i++)
        if (is_leftover(log, entries[i].name))
            status = remove_file(log, entries[i].name, err);
    free(entries);
    return status;
}

static enum nx_status rewrite(struct nx_plog *log, struct nx_plog_segment *segment,
                              struct nx_err *err)
{
    struct nx_disk_request request;
    size_t len;
    uint8_t *bytes = nx_calloc(1, segment->bytes);
    if (!bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a segment");
    nx_plog_request_segment(&request, NX_DISK_REPLACE, segment->index);
    request.src = bytes;
    request.len = segment->bytes;
    enum nx_status status =
        nx_plog_read_file(log->disk, request.name, bytes, segment->bytes, &len, err);
    if (status == NX_OK && len != segment->bytes)
        status = nx_err_set(err, NX_IO, "%s became shorter while it was read", request.name);
    if (status == NX_OK)
        status = nx_disk_run(log->disk, &request, err);
    free(bytes);
    segment->file_bytes = segment->bytes;
    return status;
}

/* After a process died, what it wrote may be in the kernel alone, and if a sync had failed, syncing again would
 * not bring it to the disk. So the newest segment is written anew, without its torn tail, before it counts. After
 * a clean stop the mark says that all of it is on the disk. */
static enum nx_status settle_newest(struct nx_plog *log, const struct nx_plog_image *image,
                                    struct nx_err *err)
{
    struct nx_plog_segment *newest = nx_plog_newest(log);
    bool settled = image->mark >= newest->last || log->config.mutants & NX_PLOG_MUTANT_SKIP_SETTLE;
    if (image->torn_bytes == 0 && settled)
        return NX_OK;
    if (image->torn_bytes > 0)
        nx_info("%s: segment %llu cut at %llu, %llu bytes after version %lld: %s",
                log->disk->ops->place(log->disk), (unsigned long long)newest->index,
                (unsigned long long)newest->bytes, (unsigned long long)image->torn_bytes,
                (long long)newest->last, image->torn_why);
    return rewrite(log, newest, err);
}

static enum nx_status begin_segment(struct nx_plog *log, struct nx_err *err)
{
    struct nx_plog_segment next = nx_plog_next_segment(log);
    struct nx_disk_request request;
    nx_plog_request_segment(&request, NX_DISK_REPLACE, next.index);
    request.src = log->small;
    request.len = nx_plog_encode_head(log, &next, log->small);
    NX_TRY(nx_disk_run(log->disk, &request, err));
    log->segments[log->segments_count++] = next;
    log->roll = false;
    return NX_OK;
}

enum nx_status nx_plog_prepare(struct nx_plog *log, const struct nx_plog_image *image,
                               struct nx_err *err)
{
    if (log->segments_count > 0)
        NX_TRY(settle_newest(log, image, err));
    NX_TRY(remove_leftovers(log, err));
    if (log->segments_count > 0 && nx_plog_newest(log)->last == log->appended)
        return NX_OK;
    if (log->segments_count == NX_PLOG_SEGMENTS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "%d segments under a checkpoint",
                          NX_PLOG_SEGMENTS_MAX);
    enum nx_status status = begin_segment(log, err);
    log->roll = status == NX_UNAVAILABLE; /* the disk is full: with the first batch, then */
    return log->roll ? NX_OK : status;
}
