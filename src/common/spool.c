#include "common/spool.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_ALIGN \
    UINT64_C(65536) /* no page is larger: pieces can be mapped, and do not share one */
#define FILE_MAX (UINT64_C(1) << 42)

struct nx_spool {
    int fd; /* -1: not made yet */
    uint64_t end, used_bytes, limit_bytes;
    char folder[256];
};

enum nx_status nx_spool_open(const char *folder, uint64_t limit_bytes, struct nx_spool **spool,
                             struct nx_err *err)
{
    struct nx_spool *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a spool");
    if (strlen(folder) >= sizeof s->folder) {
        free(s);
        return nx_err_set(err, NX_TOO_LARGE, "the folder's name is longer than %zu bytes",
                          sizeof s->folder - 1);
    }
    s->fd = -1;
    s->limit_bytes = limit_bytes;
    strcpy(s->folder, folder);
    *spool = s;
    return NX_OK;
}

void nx_spool_close(struct nx_spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

/* Some file systems know no files without a name: there it has one for a moment. */
static int make_in(const char *folder)
{
    char name[300];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    snprintf(name, sizeof name, "%s/nexus-spool-XXXXXX", folder);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

static enum nx_status make_file(struct nx_spool *s, struct nx_err *err)
{
    if (s->fd < 0)
        s->fd = make_in(s->folder);
    if (s->fd < 0)
        s->fd = make_in("/tmp");
    if (s->fd < 0)
        return nx_err_set(err, NX_IO, "no temporary file can be made in %s or /tmp: %s", s->folder,
                          strerror(errno));
    return NX_OK;
}

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + PIECE_ALIGN - 1) & ~(PIECE_ALIGN - 1);
}

enum nx_status nx_spool_take(struct nx_spool *s, uint64_t bytes, uint64_t *at, struct nx_err *err)
{
    uint64_t left = s->limit_bytes - s->used_bytes;
    if (bytes > left || bytes > FILE_MAX || s->end > FILE_MAX)
        return nx_err_set(err, NX_UNAVAILABLE,
                          "%llu bytes are over what is left of this node's temporary file (%llu "
                          "of %llu bytes)",
                          (unsigned long long)bytes, (unsigned long long)left,
                          (unsigned long long)s->limit_bytes);
    NX_TRY(make_file(s, err));
    *at = s->end;
    s->end += rounded(bytes);
    s->used_bytes += bytes;
    return NX_OK;
}

void nx_spool_give(struct nx_spool *s, uint64_t at, uint64_t bytes)
{
    nx_assert(bytes <= s->used_bytes);
    s->used_bytes -= bytes;
    int failed;
    if (s->used_bytes == 0) {
        s->end = 0;
        failed = ftruncate(s->fd, 0);
    } else {
        failed = fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
                           (off_t)rounded(bytes));
    }
    (void)failed; /* then the room comes back when all of it is given back, or the process ends */
}

uint64_t nx_spool_used(const struct nx_spool *s)
{
    return s->used_bytes;
}

enum nx_status nx_spool_write(const struct nx_spool *s, uint64_t at, const void *bytes, size_t len,
                              struct nx_err *err)
{
    const char *from = bytes;
    while (len) {
        ssize_t n = pwrite(s->fd, from, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return nx_err_set(err, NX_IO, "cannot write to the temporary file: %s",
                              strerror(errno));
        from += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return NX_OK;
}

enum nx_status nx_spool_read(const struct nx_spool *s, uint64_t at, void *bytes, size_t len,
                             struct nx_err *err)
{
    char *to = bytes;
    while (len) {
        ssize_t n = pread(s->fd, to, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return nx_err_set(err, NX_IO, "cannot read from the temporary file: %s",
                              n ? strerror(errno) : "it ends before");
        to += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return NX_OK;
}

const void *nx_spool_map(const struct nx_spool *s, uint64_t at, size_t len)
{
    nx_assert(at % PIECE_ALIGN == 0 && len > 0);
    void *bytes = mmap(NULL, len, PROT_READ, MAP_SHARED, s->fd, (off_t)at);
    return bytes == MAP_FAILED ? NULL : bytes;
}

void nx_spool_unmap(const void *bytes, size_t len)
{
    union { /* munmap changes nothing that was const to us */
        const void *from;
        void *to;
    } cast = {.from = bytes};
    munmap(cast.to, len);
}
