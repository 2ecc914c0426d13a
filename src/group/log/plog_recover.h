/* plog_recover.h — reads a log's folder and says what of it may be believed; changes nothing.
 *
 *   image.last = newest version v such that every version the log ever had <= v is in it or under its checkpoint
 *
 * A torn tail (see plog_segment.h) is reported in the image; opening cuts it. Anything else that is wrong is
 * NX_CORRUPT with "folder/file:offset: why"; another group's or shard's log NX_DENIED. Nothing bad is ever given
 * to a visitor (P3).
 * Blocks on the disk; holds one segment in memory at a time. */
#ifndef NX_GROUP_PLOG_RECOVER_H
#define NX_GROUP_PLOG_RECOVER_H

#include "group/log/disk.h"
#include "group/log/plog_checkpoint.h"
#include "group/log/plog_names.h"
#include "group/log/plog_segment.h"

enum { NX_PLOG_SEGMENTS_MAX = 1024, NX_PLOG_FILES_MAX = NX_PLOG_SEGMENTS_MAX + 64 };

struct nx_plog_segment {
    uint64_t index, salt;
    nx_seq base, last; /* last: base while there are no records */
    uint64_t bytes;    /* of the head and of records that may be believed */
    uint64_t file_bytes;
};

struct nx_plog_image {
    bool empty; /* neither segments nor a checkpoint: a new log; `owner` is not set */
    struct nx_plog_owner owner;
    struct nx_checkpoint checkpoint; /* version NX_SEQ_NONE: none */
    nx_seq first, last;              /* of the records after the checkpoint; first > last: none */
    nx_vid last_vid;                 /* of the newest record or of the checkpoint */
    nx_seq mark;                     /* known to be on disk for certain */
    size_t record_bytes_max;
    uint32_t segments_count;
    uint64_t torn_bytes; /* at the last segment's end, to be cut */
    char torn_why[160];
    struct nx_plog_segment segments[NX_PLOG_SEGMENTS_MAX]; /* those in use, ascending */
};

/* Called in the order of the files. Any may be NULL. */
struct nx_plog_visitor {
    void *ctx;
    void (*checkpoint)(void *ctx, const char *name, const struct nx_checkpoint *checkpoint);
    void (*segment)(void *ctx, const char *name, const struct nx_segment_head *head);
    void (*record)(void *ctx, const char *name, uint64_t offset, const struct nx_record *record);
};

/* Tests only: seeded defects, bits of nx_plog_config.mutants. */
enum {
    NX_PLOG_MUTANT_SKIP_SYNC = 1 << 0,   /* says durable what was merely written (P1) */
    NX_PLOG_MUTANT_SKIP_CHECKS = 1 << 1, /* believes records whatever their checksums (P3) */
    NX_PLOG_MUTANT_SKIP_SETTLE = 1 << 2, /* counts what a dead process wrote, unsynced (P1) */
};

/* `want` NULL accepts any owner. `image` is large: allocate it. On NX_CORRUPT it holds what was found before. */
enum nx_status nx_plog_recover(struct nx_disk *disk, const struct nx_plog_owner *want,
                               const struct nx_plog_visitor *visitor, uint32_t mutants,
                               struct nx_plog_image *image, struct nx_err *err);

/* For recovery and opening: the file's first `cap` bytes to dst. */
enum nx_status nx_plog_read_file(struct nx_disk *disk, const char *name, void *dst, size_t cap,
                                 size_t *len, struct nx_err *err);

#endif
