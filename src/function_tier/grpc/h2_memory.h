/* h2_memory.h — where sessions of HTTP/2 get their memory. Internal to the wire.
 *
 * A session keeps room for one frame, 16 KiB, of which a connection that has had small frames only touches the first page.
 * On the heap that room lands on pages that others have used, and all of it is resident; mapped for itself it costs
 * what is touched.
 * Thread  any; blocks are given back by whoever owns them. Failure  NULL: no memory. */
#ifndef NX_GRPC_H2_MEMORY_H
#define NX_GRPC_H2_MEMORY_H

#include <stddef.h>

enum { NX_H2_MAPPED_BYTES = 16 << 10 }; /* from this size on a block is mapped */

/* As malloc, calloc, realloc and free; `user` is not looked at. */
void *nx_h2_malloc(size_t bytes, void *user);
void *nx_h2_calloc(size_t count, size_t bytes, void *user);
void *nx_h2_realloc(void *block, size_t bytes, void *user);
void nx_h2_free(void *block, void *user);

#endif
