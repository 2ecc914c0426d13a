/* mapped_file.h — a whole file as bytes, read-only.
 *
 * Failure  one sentence with the path: NX_IO not readable, NX_INVALID not a plain file or empty. A file that is
 *          cut while it is mapped ends the process with SIGBUS: for tools that run on the user's own files. */
#ifndef NX_CLI_MAPPED_FILE_H
#define NX_CLI_MAPPED_FILE_H

#include "common/status.h"

#include <stddef.h>

struct nx_mapped_file {
    const void *bytes; /* NULL: nothing is mapped */
    size_t len;
};

enum nx_status nx_mapped_file_open(const char *path, struct nx_mapped_file *file,
                                   struct nx_err *err);
void nx_mapped_file_close(struct nx_mapped_file *file);

#endif
