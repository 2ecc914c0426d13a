/* blob_store.h — files named by what they hold: the bytes of models, beside the log that mentions them.
 *
 *   a blob named h is there   =>  it was durable before it had the name, and SHA-256(its bytes) was h
 *   get ends with NX_OK       =>  the bytes given have SHA-256 h (a rotten blob ends with NX_CORRUPT)
 *
 * Putting the same bytes twice gives the same name and one file. A blob lives while it has references; the counts
 * are in memory, because the truth about who needs a blob is the replicated state: after a restart its user takes
 * a reference for each blob that the recovered state or a kept record names, then calls nx_blob_collect.
 *
 * Folder  of its own: a log's opening removes what it takes for unfinished
 * Files   <64 hex digits>.blob, put-N.tmp; other names are left alone
 * Thread  the disk's owner; open waits for the disk, the others never, closing a put or a get for one request
 * Memory  two buffers of 256 KiB a put, one a get; at most NX_BLOBS_MAX blobs */
#ifndef NX_GROUP_BLOB_STORE_H
#define NX_GROUP_BLOB_STORE_H

#include "group/log/disk.h"

enum { NX_BLOBS_MAX = 1024, NX_BLOB_NAME_BYTES = 65 /* 64 lower-case hex digits and NUL */ };

struct nx_blob_store;
struct nx_blob_put;
struct nx_blob_get;

/* Removes unfinished puts. The blobs that are there have no references yet. */
enum nx_status nx_blob_store_open(struct nx_disk *disk, struct nx_blob_store **store,
                                  struct nx_err *err);
void nx_blob_store_close(struct nx_blob_store *store); /* no put or get is open */
bool nx_blob_poll(struct nx_blob_store *store);        /* polls the disk, and removes what is due */

enum nx_status nx_blob_put_open(struct nx_blob_store *store, struct nx_blob_put **put,
                                struct nx_err *err);
size_t nx_blob_put_write(struct nx_blob_put *put, const void *bytes, size_t len); /* taken */
void nx_blob_put_finish(struct nx_blob_put *put);
bool nx_blob_put_poll(struct nx_blob_put *put);
/* NX_OK: durable, `name` is written, and the caller holds one reference (once per put). NX_AGAIN: not yet. */
enum nx_status nx_blob_put_status(struct nx_blob_put *put, char name[NX_BLOB_NAME_BYTES],
                                  struct nx_err *err);
void nx_blob_put_close(struct nx_blob_put *put);
/* As of nx_disk_stream: a full disk is waited for, also one that says so only when the blob is synced. */
void nx_blob_put_wait_for_room(struct nx_blob_put *put);
bool nx_blob_put_is_full(const struct nx_blob_put *put, struct nx_err *err);
bool nx_blob_put_is_busy(const struct nx_blob_put *put);
void nx_blob_put_retry(struct nx_blob_put *put);

enum nx_status nx_blob_ref(struct nx_blob_store *store, const char *name); /* NX_NOT_FOUND */
enum nx_status nx_blob_unref(struct nx_blob_store *store,
                             const char *name);            /* the last one removes it */
void nx_blob_collect(struct nx_blob_store *store);         /* removes blobs without references */
uint32_t nx_blob_count(const struct nx_blob_store *store); /* NX_BLOBS_MAX at most */

enum nx_status nx_blob_get_open(struct nx_blob_store *store, const char *name,
                                struct nx_blob_get **get, struct nx_err *err);
/* NX_OK with *len > 0: bytes, valid until the next call, not verified yet; with *len = 0: the end, all verified.
 * NX_AGAIN: the disk is reading. */
enum nx_status nx_blob_get_next(struct nx_blob_get *get, const uint8_t **bytes, size_t *len,
                                struct nx_err *err);
void nx_blob_get_close(struct nx_blob_get *get);

#endif
