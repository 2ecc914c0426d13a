/* disk_stream.h — a large file written in pieces, which appears under its name whole and durable, or not at all.
 *
 *   open ── write … write ── finish(name) ── NX_AGAIN … ── NX_OK: the file is there
 *
 * Two buffers: one fills while the other is written. Full means write takes less. A failure is kept and told by
 * status; the temporary file goes at close, or when its folder is opened next.
 * Thread  the disk's owner. Poll the disk first, then the stream. close waits for what is under way. */
#ifndef NX_GROUP_DISK_STREAM_H
#define NX_GROUP_DISK_STREAM_H

#include "group/log/disk.h"

struct nx_disk_stream;

/* `temporary` ends in ".tmp"; an older file of that name is removed. */
enum nx_status nx_disk_stream_open(struct nx_disk *disk, const char *temporary, size_t buffer_bytes,
                                   struct nx_disk_stream **stream, struct nx_err *err);
size_t nx_disk_stream_room(const struct nx_disk_stream *stream); /* bytes that write takes now */
size_t nx_disk_stream_write(struct nx_disk_stream *stream, const void *bytes, size_t len);
void nx_disk_stream_finish(struct nx_disk_stream *stream, const char *name);
bool nx_disk_stream_poll(struct nx_disk_stream *stream); /* true if something moved */

/* NX_AGAIN: not finished, or not durable yet. */
enum nx_status nx_disk_stream_status(const struct nx_disk_stream *stream, struct nx_err *err);
/* From now on a write or a renaming that finds no room (NX_UNAVAILABLE) is no failure: the stream is full, until retry finds
 * some.
 *
 * Nor is a sync, if there is a check. The kernel may have dropped what it found no room for, and
 * takes it for written: another sync would find nothing to do. So all is read back, given to the
 * check piece by piece, and written again, before the next sync counts. At the end `check` is
 * asked with len 0 whether all of it was the file; if it was not, that is NX_CORRUPT. A check
 * that is given an offset of 0 begins anew. Without a check such a sync is a failure. */
typedef bool nx_disk_stream_check(void *ctx, uint64_t offset, const uint8_t *bytes, size_t len);
void nx_disk_stream_wait_for_room(struct nx_disk_stream *stream, nx_disk_stream_check *check,
                                  void *ctx);
bool nx_disk_stream_is_full(const struct nx_disk_stream *stream, struct nx_err *err);
bool nx_disk_stream_is_busy(const struct nx_disk_stream *stream); /* a request is under way */
void nx_disk_stream_retry(struct nx_disk_stream *stream);         /* full, and not busy */
void nx_disk_stream_close(struct nx_disk_stream *stream);

#endif
