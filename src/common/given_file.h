/* given_file.h — a file whose path a user or a configuration gave, opened and read without surprises.
 *
 *   whatever lies at the path, the caller neither waits for it without end nor reads more than it has room for
 *
 * A directory, a device, a socket is refused. So is a pipe, unless the caller has time for it: one
 * that is read whole, once, may be a pipe, for the sake of a shell's <(…); then its writer has
 * pipe_wait to come and to end.
 * Thread   any; a pipe lets it wait.
 * Failure  one sentence that begins with or names the path: NX_IO not readable, NX_INVALID no file of a kind that is taken,
 *          NX_TOO_LARGE more than bytes_max, NX_DEADLINE a pipe that nobody fills or ends, NX_NO_MEMORY. */
#ifndef NX_COMMON_GIVEN_FILE_H
#define NX_COMMON_GIVEN_FILE_H

#include "common/clock.h"
#include "common/status.h"

#include <stddef.h>
#include <sys/stat.h>

/* A plain file, open for reading. *fd is the caller's to close; `facts` are of what was opened, and may be NULL. */
enum nx_status nx_given_open(const char *path, int *fd, struct stat *facts, struct nx_err *err);

/* The next `want` bytes of it; *got is less only at its end. */
enum nx_status nx_given_read(int fd, const char *path, void *bytes, size_t want, size_t *got,
                             struct nx_err *err);

struct nx_given_how {
    size_t bytes_max;
    nx_ns pipe_wait; /* 0: a pipe is refused */
};

/* The whole of it: *len bytes and a NUL behind them, which the caller frees. */
enum nx_status nx_given_read_whole(const char *path, const struct nx_given_how *how, char **bytes,
                                   size_t *len, struct stat *facts, struct nx_err *err);

#endif
