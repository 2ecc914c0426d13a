/* client_file.h — a file that is announced by size and then sent piece by piece.
 *
 *   the bytes handed out = the file's bytes at open, or the read fails
 *
 * A file whose size or modification time changes between open and its last byte is refused: the
 * last piece is not handed out, so that a receiver that counts never has a torn file complete.
 * Failure  one sentence with the path: NX_IO not readable, NX_INVALID not a plain file or empty,
 *          NX_TOO_LARGE over what a 32-bit size can announce, NX_CORRUPT changed meanwhile */
#ifndef NX_CLI_CLIENT_FILE_H
#define NX_CLI_CLIENT_FILE_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct nx_client_file {
    int fd;           /* -1 while closed */
    const char *path; /* the caller's */
    uint32_t size_bytes;
    uint32_t read_bytes; /* how far it has been handed out */
    struct timespec modified;
};

/* Opens without waiting (a FIFO does not hang) and checks. *file is closed after a failure. */
enum nx_status nx_client_file_open(struct nx_client_file *file, const char *path,
                                   struct nx_err *err);

/* The next bytes: *len = min(cap, what is left), 0 at the end. cap > 0. */
enum nx_status nx_client_file_read(struct nx_client_file *file, void *bytes, size_t cap,
                                   size_t *len, struct nx_err *err);

void nx_client_file_close(struct nx_client_file *file); /* closed already: nothing happens */

/* What goes on the wire as the recipe: `recipe` itself where it is a name ([a-z0-9-]+), the text of
 * the file where it is a path (it has '/' or '.'). It is UTF-8 without NUL; with the one at its end
 * it fits `cap`, or NX_TOO_LARGE. *text is undefined after a failure. */
enum nx_status nx_client_recipe_text(const char *recipe, char *text, size_t cap,
                                     struct nx_err *err);

#endif
