#include "common/given_file.h"

#include "common/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 << 10 };

/* --- opening ------------------------------------------------------------------------------------------ */

static const char *kind_of(mode_t mode)
{
    if (S_ISDIR(mode))
        return "a directory";
    if (S_ISFIFO(mode))
        return "a pipe";
    if (S_ISCHR(mode) || S_ISBLK(mode))
        return "a device";
    return S_ISSOCK(mode) ? "a socket" : "something else";
}

static enum nx_status check_kind(const char *path, mode_t mode, bool pipes, struct nx_err *err)
{
    if (S_ISREG(mode) || (pipes && S_ISFIFO(mode)))
        return NX_OK;
    return nx_err_set(err, NX_INVALID, "%s is %s, not a plain file", path, kind_of(mode));
}

static enum nx_status cannot_read(const char *path, int error, struct nx_err *err)
{
    struct stat facts;
    if (error == ENXIO && stat(path, &facts) == 0) /* a socket, or a device without its hardware */
        return check_kind(path, facts.st_mode, false, err);
    return nx_err_set(err, NX_IO, "cannot read %s: %s", path, strerror(error));
}

static enum nx_status open_kind(const char *path, bool pipes, int *fd, struct stat *facts,
                                struct nx_err *err)
{
    int opened = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (opened < 0)
        return cannot_read(path, errno, err);
    enum nx_status status = fstat(opened, facts) == 0 ? check_kind(path, facts->st_mode, pipes, err)
                                                      : cannot_read(path, errno, err);
    if (status == NX_OK)
        *fd = opened;
    else
        close(opened);
    return status;
}

enum nx_status nx_given_open(const char *path, int *fd, struct stat *facts, struct nx_err *err)
{
    struct stat own;
    return open_kind(path, false, fd, facts ? facts : &own, err);
}

/* --- reading ------------------------------------------------------------------------------------------ */

/* Until a pipe has bytes or has ended. */
static enum nx_status await(int fd, const char *path, nx_ns until, struct nx_err *err)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    for (;;) {
        nx_ns left = until - nx_clock_now();
        if (left <= 0)
            return nx_err_set(err, NX_DEADLINE, "%s is a pipe whose end did not come in time",
                              path);
        int ready = poll(&wait, 1, (int)((left + NX_MS - 1) / NX_MS));
        if (ready > 0)
            return NX_OK;
        if (ready < 0 && errno != EINTR)
            return cannot_read(path, errno, err);
    }
}

/* `until` of 0: never waits, as what is plain never lets one. */
static enum nx_status read_until(int fd, const char *path, nx_ns until, void *bytes, size_t want,
                                 size_t *got, struct nx_err *err)
{
    *got = 0;
    while (*got < want) {
        if (until)
            NX_TRY(await(fd, path, until, err));
        ssize_t n = read(fd, (char *)bytes + *got, want - *got);
        if (n == 0)
            return NX_OK;
        if (n > 0)
            *got += (size_t)n;
        else if (errno != EINTR && !(until && errno == EAGAIN))
            return cannot_read(path, errno, err);
    }
    return NX_OK;
}

enum nx_status nx_given_read(int fd, const char *path, void *bytes, size_t want, size_t *got,
                             struct nx_err *err)
{
    return read_until(fd, path, 0, bytes, want, got, err);
}

/* One byte more than may be is asked for, so that too much is seen; memory grows with what has come. */
static enum nx_status read_all(int fd, const char *path, size_t most, nx_ns until, char **bytes,
                               size_t *len, struct nx_err *err)
{
    size_t got = 0, want = 0;
    *len = 0;
    while (got == want && *len <= most) {
        want = most - *len < PIECE_BYTES ? most - *len + 1 : PIECE_BYTES;
        char *more = nx_realloc(*bytes, *len + want + 1);
        if (!more)
            return nx_err_set(err, NX_NO_MEMORY, "no memory for %s", path);
        *bytes = more;
        NX_TRY(read_until(fd, path, until, more + *len, want, &got, err));
        *len += got;
    }
    if (*len > most)
        return nx_err_set(err, NX_TOO_LARGE, "%s has more than the %zu bytes that may be", path,
                          most);
    (*bytes)[*len] = 0;
    return NX_OK;
}

enum nx_status nx_given_read_whole(const char *path, const struct nx_given_how *how, char **bytes,
                                   size_t *len, struct stat *facts, struct nx_err *err)
{
    struct stat own;
    char *all = NULL;
    size_t all_bytes;
    int fd = -1;
    if (!facts)
        facts = &own;
    NX_TRY(open_kind(path, how->pipe_wait > 0, &fd, facts, err));
    nx_ns until = S_ISFIFO(facts->st_mode) ? nx_clock_now() + how->pipe_wait : 0;
    enum nx_status status = read_all(fd, path, how->bytes_max, until, &all, &all_bytes, err);
    close(fd);
    if (status != NX_OK) {
        free(all);
        return status;
    }
    *bytes = all;
    *len = all_bytes;
    return NX_OK;
}
