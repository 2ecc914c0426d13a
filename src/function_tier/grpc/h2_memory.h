/* h2_memory.h — where a session of HTTP/2 gets its memory. Internal to the wire.
 *
 *     as long as there is room ─► its room, which folds while it idles (room.h)
 *     then                     ─► the heap
 *
 * nghttp2 takes tables and room for a frame, 26 KB, when a session begins and keeps them to its
 * end. The entries of its header tables, most of which come with the first calls and stay, find
 * room behind these.
 * Thread  one. Failure  NULL: no memory. */
#ifndef NX_GRPC_H2_MEMORY_H
#define NX_GRPC_H2_MEMORY_H

#include "common/room.h"

enum { NX_H2_ROOM_BYTES = 32 << 10 };

/* As malloc, calloc, realloc and free; `user` is the session's room. */
void *nx_h2_malloc(size_t bytes, void *user);
void *nx_h2_calloc(size_t count, size_t bytes, void *user);
void *nx_h2_realloc(void *block, size_t bytes, void *user);
void nx_h2_free(void *block, void *user);

#endif
