#include "group/log/plog_recover.h"

#include "common/arena.h"
#include "common/codec.h"
#include "common/nx_assert.h"
#include "group/log/plog_note.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recovery {
    struct nx_disk *disk;
    const struct nx_plog_owner *want;
    const struct nx_plog_visitor *visitor;
    uint32_t mutants;
    struct nx_plog_image *image;
    struct nx_err *err;
    struct nx_disk_entry *entries;
    size_t entries_count;
    bool owner_known;
};

__attribute__((format(printf, 4, 5))) static enum nx_status refuse(struct recovery *r,
                                                                   const char *name,
                                                                   uint64_t offset,
                                                                   const char *format, ...)
{
    char text[240];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nx_err_set(r->err, NX_CORRUPT, "%s/%s:%llu: %s", r->disk->ops->place(r->disk), name,
                      (unsigned long long)offset, text);
}

enum nx_status nx_plog_read_file(struct nx_disk *disk, const char *name, void *dst, size_t cap,
                                 size_t *len, struct nx_err *err)
{
    struct nx_disk_request read = {.kind = NX_DISK_READ, .dst = dst, .len = cap};
    snprintf(read.name, sizeof read.name, "%s", name);
    NX_TRY(nx_disk_run(disk, &read, err));
    *len = read.done_bytes;
    return NX_OK;
}

/* All files of a folder belong to one owner, and to the one that is wanted. */
static enum nx_status check_owner(struct recovery *r, const char *name,
                                  const struct nx_plog_owner *found)
{
    const struct nx_plog_owner *want = r->owner_known ? &r->image->owner : r->want;
    if (want && nx_plog_owner_check(found, want, r->err) != NX_OK) {
        nx_err_prefix(r->err, "%s/%s:0", r->disk->ops->place(r->disk), name);
        return NX_DENIED;
    }
    r->image->owner = *found;
    r->owner_known = true;
    return NX_OK;
}

/* --- the checkpoint and the mark ------------------------------------------------------------------------ */

static enum nx_status read_checkpoint(struct recovery *r)
{
    struct nx_checkpoint *checkpoint = &r->image->checkpoint;
    const char *newest = NULL;
    nx_seq version, best = NX_SEQ_NONE;
    for (size_t i = 0; i < r->entries_count; i++)
        if (nx_checkpoint_name_parse(r->entries[i].name, &version) && version > best) {
            best = version;
            newest = r->entries[i].name;
        }
    if (!newest)
        return NX_OK;
    NX_TRY(nx_checkpoint_read(r->disk, newest, NULL, NULL, checkpoint, r->err));
    if (checkpoint->version != best)
        return refuse(r, newest, 0, "a checkpoint of version %lld under this name",
                      (long long)checkpoint->version);
    NX_TRY(check_owner(r, newest, &checkpoint->owner));
    r->image->last_vid = checkpoint->vid;
    if (r->visitor->checkpoint)
        r->visitor->checkpoint(r->visitor->ctx, newest, checkpoint);
    return NX_OK;
}

static enum nx_status read_mark(struct recovery *r)
{
    uint8_t note[NX_NOTE_HEAD_BYTES + 8 + 1]; /* one more byte is one too many */
    const uint8_t *bytes;
    size_t len, bytes_len;
    struct nx_plog_owner owner;
    struct nx_err why = {0};
    enum nx_status status = nx_plog_read_file(r->disk, NX_MARK_NAME, note, sizeof note, &len, &why);
    if (status == NX_NOT_FOUND)
        return NX_OK;
    if (status != NX_OK)
        return nx_err_set(r->err, status, "%s", why.text);
    if (nx_note_decode(note, len, &owner, &bytes, &bytes_len, &why) != NX_OK || bytes_len != 8)
        return refuse(r, NX_MARK_NAME, 0, "%s", why.text[0] ? why.text : "not 8 bytes");
    NX_TRY(check_owner(r, NX_MARK_NAME, &owner));
    struct nx_reader reader;
    nx_reader_init(&reader, bytes, bytes_len);
    r->image->mark = (nx_seq)nx_read_u64(&reader);
    return NX_OK;
}

/* --- which segments ------------------------------------------------------------------------------------- */

static int by_index(const void *a, const void *b)
{
    const struct nx_plog_segment *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static enum nx_status read_segment_head(struct recovery *r, struct nx_plog_segment *segment)
{
    char name[NX_DISK_NAME_BYTES];
    uint8_t bytes[NX_SEGMENT_HEAD_BYTES];
    size_t len;
    struct nx_segment_head head;
    struct nx_err why = {0};
    nx_segment_name(segment->index, name);
    NX_TRY(nx_plog_read_file(r->disk, name, bytes, sizeof bytes, &len, r->err));
    if (nx_segment_decode_head(bytes, len, &head, &why) != NX_OK)
        return refuse(r, name, 0, "%s", why.text);
    NX_TRY(check_owner(r, name, &head.owner));
    if (head.index != segment->index)
        return refuse(r, name, 0, "segment %llu under this name", (unsigned long long)head.index);
    segment->base = segment->last = head.base;
    segment->salt = head.salt;
    return NX_OK;
}

static enum nx_status list_segments(struct recovery *r)
{
    struct nx_plog_image *image = r->image;
    uint64_t index;
    for (size_t i = 0; i < r->entries_count; i++) {
        if (!nx_segment_name_parse(r->entries[i].name, &index))
            continue;
        if (image->segments_count == NX_PLOG_SEGMENTS_MAX)
            return refuse(r, r->entries[i].name, 0, "more than %d segments", NX_PLOG_SEGMENTS_MAX);
        image->segments[image->segments_count++] =
            (struct nx_plog_segment){.index = index, .file_bytes = r->entries[i].bytes};
    }
    qsort(image->segments, image->segments_count, sizeof *image->segments, by_index);
    for (uint32_t i = 0; i < image->segments_count; i++)
        NX_TRY(read_segment_head(r, &image->segments[i]));
    return NX_OK;
}

/* Segments wholly under the checkpoint no longer count, whichever of them are still there. */
static enum nx_status drop_covered(struct recovery *r)
{
    struct nx_plog_image *image = r->image;
    char name[NX_DISK_NAME_BYTES];
    uint32_t start = image->segments_count;
    while (start > 0 && image->segments[start - 1].base > image->checkpoint.version)
        start--;
    if (start == 0 && image->segments_count > 0) {
        nx_segment_name(image->segments[0].index, name);
        return refuse(r, name, 0, "the log begins after version %lld; what is before is missing",
                      (long long)image->segments[0].base);
    }
    if (start > 0)
        start--;
    image->segments_count -= start;
    memmove(image->segments, image->segments + start,
            image->segments_count * sizeof *image->segments);
    return NX_OK;
}

/* --- their records -------------------------------------------------------------------------------------- */

static nx_seq floor_of(const struct nx_plog_image *image, nx_seq last)
{
    return last > image->checkpoint.version ? last : image->checkpoint.version;
}

/* A bad place: torn, or rotten? */
static enum nx_status judge_end(struct recovery *r, struct nx_plog_segment *segment,
                                const struct nx_segment_scan *scan, bool newest,
                                const struct nx_err *why)
{
    struct nx_plog_image *image = r->image;
    char name[NX_DISK_NAME_BYTES];
    nx_seq sure = floor_of(image, segment->last);
    nx_segment_name(segment->index, name);
    if (!newest)
        return refuse(r, name, scan->offset, "%s; segments follow", why->text);
    if (nx_segment_has_witness(scan->bytes, scan->len, scan->offset, scan->salt, sure))
        return refuse(r, name, scan->offset, "%s; later records say that it was on disk",
                      why->text);
    if (image->mark > sure)
        return refuse(r, name, scan->offset, "%s; by the mark version %lld was on disk", why->text,
                      (long long)image->mark);
    image->torn_bytes = scan->len - scan->offset;
    snprintf(image->torn_why, sizeof image->torn_why, "%.150s", why->text);
    return NX_OK;
}

static void take_record(struct recovery *r, const char *name, uint64_t offset,
                        const struct nx_record *record)
{
    size_t bytes = nx_record_bytes(record->payload_bytes);
    if (bytes > r->image->record_bytes_max)
        r->image->record_bytes_max = bytes;
    if (record->version > r->image->checkpoint.version)
        r->image->last_vid = record->vid;
    if (r->visitor->record)
        r->visitor->record(r->visitor->ctx, name, offset, record);
}

static enum nx_status scan_segment(struct recovery *r, struct nx_plog_segment *segment,
                                   const uint8_t *bytes, size_t len, bool newest)
{
    char name[NX_DISK_NAME_BYTES];
    struct nx_err why = {0};
    struct nx_record record;
    enum nx_status status;
    struct nx_segment_scan scan = {.bytes = bytes,
                                   .len = len,
                                   .offset = NX_SEGMENT_HEAD_BYTES,
                                   .salt = segment->salt,
                                   .last = segment->base,
                                   .skip_checks = r->mutants & NX_PLOG_MUTANT_SKIP_CHECKS};
    nx_segment_name(segment->index, name);
    uint64_t offset = scan.offset;
    while ((status = nx_segment_scan_next(&scan, &record, &why)) == NX_OK) {
        take_record(r, name, offset, &record);
        offset = scan.offset;
    }
    segment->bytes = offset;
    segment->last = scan.last;
    return status == NX_CORRUPT ? judge_end(r, segment, &scan, newest, &why) : NX_OK;
}

static enum nx_status load_and_scan(struct recovery *r, struct nx_plog_segment *segment,
                                    bool newest)
{
    char name[NX_DISK_NAME_BYTES];
    size_t len;
    nx_segment_name(segment->index, name);
    if (segment->file_bytes > NX_SEGMENT_BYTES_MAX)
        return refuse(r, name, 0, "a segment of %llu bytes; the largest has %d",
                      (unsigned long long)segment->file_bytes, NX_SEGMENT_BYTES_MAX);
    if (r->visitor->segment) {
        struct nx_segment_head head = {.owner = r->image->owner,
                                       .index = segment->index,
                                       .base = segment->base,
                                       .salt = segment->salt};
        r->visitor->segment(r->visitor->ctx, name, &head);
    }
    uint8_t *bytes = nx_calloc(1, segment->file_bytes);
    if (!bytes)
        return nx_err_set(r->err, NX_NO_MEMORY, "no memory for a segment of %llu bytes",
                          (unsigned long long)segment->file_bytes);
    enum nx_status status =
        nx_plog_read_file(r->disk, name, bytes, segment->file_bytes, &len, r->err);
    if (status == NX_OK && len < NX_SEGMENT_HEAD_BYTES)
        status = refuse(r, name, len, "the segment became shorter while it was read");
    if (status == NX_OK)
        status = scan_segment(r, segment, bytes, len, newest);
    free(bytes);
    return status;
}

static enum nx_status follows(struct recovery *r, const struct nx_plog_segment *before,
                              const struct nx_plog_segment *segment)
{
    char name[NX_DISK_NAME_BYTES];
    nx_segment_name(segment->index, name);
    if (segment->index != before->index + 1)
        return refuse(r, name, 0, "segments %llu to %llu are missing",
                      (unsigned long long)before->index + 1,
                      (unsigned long long)segment->index - 1);
    if (segment->base != before->last)
        return refuse(r, name, 0, "it begins after version %lld; the segment before ends with %lld",
                      (long long)segment->base, (long long)before->last);
    return NX_OK;
}

static enum nx_status read_segments(struct recovery *r)
{
    struct nx_plog_image *image = r->image;
    for (uint32_t i = 0; i < image->segments_count; i++) {
        NX_TRY(load_and_scan(r, &image->segments[i], i + 1 == image->segments_count));
        if (i > 0)
            NX_TRY(follows(r, &image->segments[i - 1], &image->segments[i]));
    }
    nx_seq last =
        image->segments_count ? image->segments[image->segments_count - 1].last : NX_SEQ_NONE;
    image->last = floor_of(image, last);
    image->first = image->checkpoint.version + 1;
    if (image->mark > image->last)
        return refuse(r, NX_MARK_NAME, 0, "version %lld was on disk; the log ends with %lld",
                      (long long)image->mark, (long long)image->last);
    return NX_OK;
}

static enum nx_status read_folder(struct recovery *r)
{
    struct nx_disk_request list = {
        .kind = NX_DISK_LIST, .dst = r->entries, .len = NX_PLOG_FILES_MAX};
    NX_TRY(nx_disk_run(r->disk, &list, r->err));
    r->entries_count = list.done_bytes;
    NX_TRY(read_checkpoint(r));
    NX_TRY(read_mark(r));
    NX_TRY(list_segments(r));
    NX_TRY(drop_covered(r));
    r->image->empty = r->image->segments_count == 0 && r->image->checkpoint.version == NX_SEQ_NONE;
    return read_segments(r);
}

enum nx_status nx_plog_recover(struct nx_disk *disk, const struct nx_plog_owner *want,
                               const struct nx_plog_visitor *visitor, uint32_t mutants,
                               struct nx_plog_image *image, struct nx_err *err)
{
    static const struct nx_plog_visitor nobody = {0};
    struct recovery r = {.disk = disk,
                         .want = want,
                         .visitor = visitor ? visitor : &nobody,
                         .mutants = mutants,
                         .image = image,
                         .err = err};
    memset(image, 0, sizeof *image);
    image->checkpoint.version = image->mark = image->last = NX_SEQ_NONE;
    r.entries = nx_calloc(NX_PLOG_FILES_MAX, sizeof *r.entries);
    if (!r.entries)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a list of files");
    enum nx_status status = read_folder(&r);
    free(r.entries);
    return status;
}
