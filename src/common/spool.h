/* spool.h — room for bytes that are too many for memory: pieces of one temporary file without a name.
 *
 *   take(bytes) → at      room, until give(at, bytes)
 *   read(at + k) = what was last written there
 *
 * The file is made by the first take, in `folder`, or in /tmp if that takes no files; nothing is left of it when the process
 * ends, however it ends. What is given back is given back to the disk at once (a hole in the file),
 * so a spool is as large as what is in use.
 * Owner, thread  take, give and close: one thread. write, read, map: any thread, of pieces that are taken.
 * Bounds         limit_bytes in use; one file descriptor. */
#ifndef NX_COMMON_SPOOL_H
#define NX_COMMON_SPOOL_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

struct nx_spool;

enum nx_status nx_spool_open(const char *folder, uint64_t limit_bytes, struct nx_spool **spool,
                             struct nx_err *err);
void nx_spool_close(struct nx_spool *spool); /* whatever is still taken goes with it */

enum nx_status nx_spool_take(struct nx_spool *spool, uint64_t bytes, uint64_t *at,
                             struct nx_err *err);
void nx_spool_give(struct nx_spool *spool, uint64_t at, uint64_t bytes);
uint64_t nx_spool_used(const struct nx_spool *spool);

enum nx_status nx_spool_write(const struct nx_spool *spool, uint64_t at, const void *bytes,
                              size_t len, struct nx_err *err);
enum nx_status nx_spool_read(const struct nx_spool *spool, uint64_t at, void *bytes, size_t len,
                             struct nx_err *err);

/* A taken piece, read only, as memory that costs none of ours; NULL if it cannot be mapped. */
const void *nx_spool_map(const struct nx_spool *spool, uint64_t at, size_t len);
void nx_spool_unmap(const void *bytes, size_t len);

#endif
