/* h2_memory.h — where a session of HTTP/2 gets its memory, and how an idle one folds it. Internal to the wire.
 *
 *     opening session ─► room: tables and a frame, 26 KiB, mostly zero ── fold ─► what is not zero, about 1 KiB
 *     later           ─► heap: entries of the header tables, frames to send   ◄─ unfold, at the same addresses
 *
 * nghttp2 takes tables and room for a frame when a session begins and keeps them to its end. They lie in a mapping of their
 * own, so that what is never touched is not resident, and while a session idles the pages go back to the system: the words
 * that are not zero are kept aside, and put back before anybody looks.
 *
 *   unfold(fold(room)) leaves every byte of the room as it was, at the address where it was
 *
 * Owner   whoever opened the room; the session's blocks are given back before it is closed. Thread  one.
 * Failure NULL or false: no memory, nothing has changed. Unfolding cannot fail. */
#ifndef NX_GRPC_H2_MEMORY_H
#define NX_GRPC_H2_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_H2_ROOM_BYTES = 32 << 10 };

struct nx_h2_room {
    uint8_t *base;    /* NX_H2_ROOM_BYTES of address space */
    size_t used;      /* of it, by blocks; no longer grows once settled */
    uint8_t *aside;   /* the folded content; NULL while the room is open */
    size_t aside_len; /* bytes in it */
    bool settled;
};

bool nx_h2_room_open(struct nx_h2_room *room);
void nx_h2_room_close(struct nx_h2_room *room);

/* What is asked for from now on comes from the heap: it would not live as long as the room. */
void nx_h2_room_settle(struct nx_h2_room *room);

/* Nobody may touch a block of a folded room. */
bool nx_h2_room_fold(struct nx_h2_room *room);
void nx_h2_room_unfold(struct nx_h2_room *room);

static inline bool nx_h2_room_folded(const struct nx_h2_room *room)
{
    return room->aside != NULL;
}

/* As malloc, calloc, realloc and free, for nghttp2; `user` is the room. */
void *nx_h2_malloc(size_t bytes, void *user);
void *nx_h2_calloc(size_t count, size_t bytes, void *user);
void *nx_h2_realloc(void *block, size_t bytes, void *user);
void nx_h2_free(void *block, void *user);

#endif
