/* room.h — a few blocks that live together, folded while nobody needs them.
 *
 *     open ── { take, give, settle, fold, unfold }* ── close
 *
 *     a mapping of its own: what is never touched is not resident ─ fold ─► the words that are not zero, packed, on the heap
 *                                                                 ◄ unfold ─ at the same addresses
 *
 * For what a library keeps for each of many connections that idle: large, mostly zero, and looked at by nobody meanwhile.
 *
 *   unfold(fold(room)) leaves every byte of the room as it was, at the address where it was
 *
 * Owner   whoever opened it; its blocks go with it. Thread  one at a time. A folded room reads as zero: nobody may
 *         touch its blocks. Failure  NULL or false: no memory, and nothing has changed. Unfolding cannot fail. */
#ifndef NX_COMMON_ROOM_H
#define NX_COMMON_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nx_room {
    uint8_t *base;    /* page-aligned */
    size_t bytes;     /* of address space, whole pages */
    size_t used;      /* of it, by blocks */
    uint8_t *aside;   /* the folded content; NULL while the room is open */
    size_t aside_len; /* bytes in it */
    bool settled;
};

/* `bytes` is rounded up to pages. */
bool nx_room_open(struct nx_room *room, size_t bytes);
void nx_room_close(struct nx_room *room); /* also a folded one, or one that never opened */

/* A zeroed block, aligned to 16. NULL: the room is settled, or has not so much left. */
void *nx_room_take(struct nx_room *room, size_t bytes);
size_t nx_room_block_bytes(const void *block); /* as asked for */
bool nx_room_holds(const struct nx_room *room, const void *block);
/* Zeroes it, so that it costs nothing when folded; its place is used again only if it is the youngest. */
void nx_room_give(struct nx_room *room, void *block);
void nx_room_settle(struct nx_room *room); /* no more blocks */

bool nx_room_fold(struct nx_room *room);
void nx_room_unfold(struct nx_room *room); /* does nothing to an open one */

static inline bool nx_room_folded(const struct nx_room *room)
{
    return room->aside != NULL;
}

#endif
