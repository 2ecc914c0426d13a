/* disk.h — the seam to stable storage: one folder of files with flat names, changed by requests in order.
 *
 *   submit(a) before submit(b)            =>  a is carried out before b
 *   done(SYNC f) without an error         =>  every WRITE to f done before it survives a crash, and f's name
 *   done(REPLACE, RENAME, REMOVE) without an error  =>  it survives a crash, whole; a crash before that leaves
 *                                                       the state before or the state after, no mixture
 *   WRITE without a SYNC                  =>  after a crash any of its 512-byte sectors may be old, new or torn
 *
 * A failed WRITE may have written a part; writing the same bytes at the same offset again is safe. After a SYNC
 * that failed nothing is known of the writes before it, and syncing again proves nothing (the kernel has dropped
 * the pages): the owner stops using the file.
 *
 * Status     NX_UNAVAILABLE  no space: the same request may do later       NX_NOT_FOUND  no such file
 *            NX_IO           the device failed                             NX_DENIED     not permitted, read only
 *            NX_CANCELLED    the disk is gone (virtual: the crash)
 * Owner      the request and its bytes are the caller's, and are not touched by him from submit until `done`
 * Thread     submit, poll and wait by the owning thread only; the file disk works on a thread of its own
 * Two users  disk_file.c (folders), sim/sim_disk.c (the virtual disk of the simulator) */
#ifndef NX_GROUP_DISK_H
#define NX_GROUP_DISK_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_DISK_NAME_BYTES = 96, NX_DISK_SECTOR_BYTES = 512 };

enum nx_disk_kind {
    NX_DISK_WRITE,   /* src[len] at `offset`; makes the file if there is none */
    NX_DISK_SYNC,    /* what was written to the file before */
    NX_DISK_READ,    /* at most len bytes at `offset` to dst; fewer only at the end of the file */
    NX_DISK_REPLACE, /* the whole file becomes src[len], which is small */
    NX_DISK_RENAME,  /* name becomes `to`, in place of what was called so */
    NX_DISK_REMOVE,  /* a file that is not there is removed already */
    NX_DISK_LIST,    /* dst is struct nx_disk_entry[len]; NX_TOO_LARGE if there are more files */
    NX_DISK_KINDS
};

struct nx_disk_entry {
    char name[NX_DISK_NAME_BYTES];
    uint64_t bytes;
};

struct nx_disk_request {
    enum nx_disk_kind kind;
    char name[NX_DISK_NAME_BYTES], to[NX_DISK_NAME_BYTES];
    uint64_t offset;
    const void *src;
    void *dst;
    size_t len;
    /* answered */
    bool done;
    size_t done_bytes; /* WRITE, READ: bytes; LIST: entries */
    struct nx_err err; /* NX_OK, or the sentence */
    /* the disk's */
    struct nx_disk_request *next;
};

struct nx_disk {
    const struct nx_disk_ops *ops;
};

struct nx_disk_ops {
    void (*submit)(struct nx_disk *disk, struct nx_disk_request *request);
    bool (*poll)(struct nx_disk *disk);    /* marks what is done; true if there was some */
    void (*wait)(struct nx_disk *disk);    /* until poll would say true; something is under way */
    int (*fd)(const struct nx_disk *disk); /* readable when poll has work; -1: none */
    const char *(*place)(const struct nx_disk *disk); /* for sentences: the folder */
    /* Bytes that may still be written, as far as the disk can tell now; it promises none of them. */
    uint64_t (*room)(const struct nx_disk *disk);
    void (*close)(struct nx_disk *disk); /* nothing is under way */
};

static inline void nx_disk_submit(struct nx_disk *disk, struct nx_disk_request *request)
{
    request->done = false;
    disk->ops->submit(disk, request);
}

static inline bool nx_disk_poll(struct nx_disk *disk)
{
    return disk->ops->poll(disk);
}

/* For the owner's loop: readable when poll has work; -1: this disk has none. */
static inline int nx_disk_fd(const struct nx_disk *disk)
{
    return disk->ops->fd(disk);
}

/* Submits and waits: for opening and inspecting, never inside a group's turn. */
static inline enum nx_status nx_disk_run(struct nx_disk *disk, struct nx_disk_request *request,
                                         struct nx_err *err)
{
    nx_disk_submit(disk, request);
    while (!request->done) {
        disk->ops->wait(disk);
        disk->ops->poll(disk);
    }
    if (request->err.status != NX_OK && err)
        *err = request->err;
    return request->err.status;
}

/* Letters, digits, '.', '-', '_'; not empty, not beginning with '.', shorter than NX_DISK_NAME_BYTES. */
bool nx_disk_name_ok(const char *name);

enum nx_disk_access {
    NX_DISK_OWN,      /* makes the folder if there is none; NX_EXISTS if another process owns it */
    NX_DISK_READ_ONLY /* of a folder that another process may own */
};

enum nx_status nx_disk_file_open(const char *folder, enum nx_disk_access access,
                                 struct nx_disk **disk, struct nx_err *err);

static inline void nx_disk_close(struct nx_disk *disk)
{
    disk->ops->close(disk);
}

#endif
