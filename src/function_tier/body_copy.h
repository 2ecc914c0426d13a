/* body_copy.h — the files of an INSTALL as they passed through, so that they can be sent again when their replica dies.
 *
 * Small ones lie in memory, others in the node's spool. Without room for it there is no copy, and the request goes on
 * without: then a replica's death is told to the client. */
#ifndef NX_FUNCTION_TIER_BODY_COPY_H
#define NX_FUNCTION_TIER_BODY_COPY_H

#include "common/spool.h"

#include <stdbool.h>

enum { NX_COPY_MEMORY_BYTES = 64 * 1024 }; /* above it: the spool */

struct nx_copy {
    bool whole_so_far; /* false: no room was had, or writing failed; there is none */
    uint64_t bytes, got;
    uint8_t *memory;
    struct nx_spool *spool; /* NULL: in memory */
    uint64_t at;
};

void nx_copy_open(struct nx_copy *copy, struct nx_spool *spool, uint64_t bytes);
void nx_copy_close(struct nx_copy *copy);
void nx_copy_append(struct nx_copy *copy, const uint8_t *bytes, size_t len);
/* len bytes that were appended; false, and there is no copy any more, if they cannot be read. */
bool nx_copy_read(struct nx_copy *copy, uint64_t offset, uint8_t *bytes, size_t len);

#endif
