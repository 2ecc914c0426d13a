/* plog.h — the durable versioned log of a shard.
 *
 *   nx_plog_durable(log) = v   =>   every appended version <= v is on this disk and survives a crash (P1)
 *   after open                       the log is a prefix of what was appended; only versions > the last v told
 *                                    may be missing (P2), and no byte of it is other than what was appended (P3)
 *   append never waits               a slow disk makes durable late and, when the buffer is full, append say
 *                                    NX_AGAIN; nothing else (P6)
 *
 * One batch is under way at a time: what is appended meanwhile goes with the next one, under one fdatasync.
 *
 *      append ─► filling buffer ─┐        ┌────────── durable moves ──────────┐
 *                                ▼        │                                   │
 *      IDLE ─► (ROLLING: new segment) ─► FLUSHING: write, sync ─► IDLE ─► CLEANING: what a checkpoint covers
 *
 * No space on the disk (NX_UNAVAILABLE) is tried again every 100 ms. Any other failure, and NX_PLOG_SEGMENTS_MAX
 * segments without a checkpoint over them, stop the log for good, and nx_plog_status tells it: durable stands
 * still, appends are refused, and the node should leave or go on without durability.
 *
 * Files   plog_names.h; their bytes plog_segment.h, plog_checkpoint.h, plog_note.h
 * Thread  the disk's owner; open, close and checkpoint_abort wait for the disk, the others never
 * Memory  two buffers of buffer_bytes, and one while a checkpoint is written; all bounded */
#ifndef NX_GROUP_PLOG_H
#define NX_GROUP_PLOG_H

#include "common/clock.h"
#include "group/log/plog_recover.h"

struct nx_plog;

struct nx_plog_config {
    struct nx_plog_owner owner;
    uint32_t segment_bytes; /* a new segment is begun beyond it; 0: 16 MiB */
    uint32_t buffer_bytes;  /* bound on a batch and on one record; 0: 1 MiB */
    uint64_t salt;          /* random, for a new log */
    uint32_t mutants;       /* tests only */
};

/* Recovers, cuts a torn tail, removes what is unfinished, and makes the log ready for appends after image->last.
 * All that was recovered is durable when it returns. `image` may be NULL. */
enum nx_status nx_plog_open(struct nx_disk *disk, const struct nx_plog_config *config,
                            struct nx_plog **log, struct nx_plog_image *image, struct nx_err *err);

/* Waits until all that was appended is durable (unless the log has failed), leaves a mark, and frees the log. */
void nx_plog_close(struct nx_plog *log);

/* version > every version before; gaps are allowed. NX_AGAIN: the buffer is full, or the log is being reset by a
 * checkpoint ahead of it; NX_TOO_LARGE; or why the log has stopped. */
enum nx_status nx_plog_append(struct nx_plog *log, nx_seq version, nx_vid vid, uint32_t kind,
                              const void *bytes, size_t len);

/* Bounded work; true if something moved. Polls the disk, too. */
bool nx_plog_poll(struct nx_plog *log, nx_ns now);
nx_ns nx_plog_wake_at(const struct nx_plog *log); /* when poll is due without the disk's ringing */

nx_seq nx_plog_durable(const struct nx_plog *log); /* only grows */
nx_seq nx_plog_last(const struct nx_plog *log);    /* newest appended */
enum nx_status nx_plog_status(const struct nx_plog *log, struct nx_err *err);
/* What is to be flushed found no room, and waits for some. */
bool nx_plog_is_full(const struct nx_plog *log, struct nx_err *err);

/* --- checkpoints ---------------------------------------------------------------------------------------- */

/* The state after `version`, streamed; when it is durable, segments wholly under it and older checkpoints go.
 * version > nx_plog_last: the log continues from there (a joiner's state transfer); nothing may be unflushed.
 * NX_AGAIN: one is under way, or the above; NX_INVALID: not newer than the last one. */
enum nx_status nx_plog_checkpoint_begin(struct nx_plog *log, nx_seq version, nx_vid vid,
                                        struct nx_err *err);
size_t nx_plog_checkpoint_write(struct nx_plog *log, const void *bytes, size_t len); /* taken */
void nx_plog_checkpoint_end(struct nx_plog *log);
/* NX_AGAIN: under way; NX_OK: the last one begun is durable (or none was begun); else why it failed: the log goes
 * on with the checkpoint before. */
enum nx_status nx_plog_checkpoint_status(const struct nx_plog *log, struct nx_err *err);
void nx_plog_checkpoint_abort(struct nx_plog *log);           /* waits for one request */
nx_seq nx_plog_checkpoint_version(const struct nx_plog *log); /* newest durable one; NX_SEQ_NONE */

/* --- reading -------------------------------------------------------------------------------------------- */

struct nx_plog_cursor;

/* Reads the durable records with versions > `after`, in order, while the log goes on. Close before the log. */
enum nx_status nx_plog_cursor_open(struct nx_plog *log, nx_seq after,
                                   struct nx_plog_cursor **cursor, struct nx_err *err);
/* NX_OK: *record, valid until the next call; NX_AGAIN: the disk is reading; NX_NOT_FOUND: at the durable frontier;
 * NX_UNAVAILABLE: a checkpoint has overtaken the cursor; NX_CORRUPT: file and offset. */
enum nx_status nx_plog_cursor_next(struct nx_plog_cursor *cursor, struct nx_record *record,
                                   struct nx_err *err);
void nx_plog_cursor_close(struct nx_plog_cursor *cursor);

struct nx_plog_stats {
    uint64_t records, bytes, batches, segments;
};
void nx_plog_get_stats(const struct nx_plog *log, struct nx_plog_stats *stats);

#endif
