/* arena.h — memory by lifetime: many allocations, one release.
 *
 * An arena grows by blocks from the C library, large ones from the system, and frees them all at once; it never gives back
 * one allocation. `limit_bytes` bounds what it takes in all, so that input from outside cannot make it
 * grow without end.
 *
 * Thread   one at a time
 * Failure  NULL, and the arena is as before */
#ifndef NX_COMMON_ARENA_H
#define NX_COMMON_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct nx_arena_block;

struct nx_arena {
    struct nx_arena_block *newest;
    size_t used_bytes; /* taken from the C library */
    size_t limit_bytes;
};

void nx_arena_init(struct nx_arena *arena, size_t limit_bytes);
void nx_arena_free(struct nx_arena *arena); /* everything; the arena is empty and usable again */

/* Zeroed memory, aligned to 16. NULL when the limit or the C library refuses. bytes may be 0
 * (non-NULL). */
void *nx_arena_alloc(struct nx_arena *arena, size_t bytes);
void *nx_arena_array(struct nx_arena *arena, size_t count,
                     size_t item_bytes); /* checks the product */
char *nx_arena_strndup(struct nx_arena *arena, const char *text, size_t len);

/* One heap for all threads of the process: else each has its own, of which the C library keeps the end for ever, up to
 * tens of MB. Blocks of 4 MiB and more are mappings of their own, however many there were: what bodies took goes back
 * when they are freed. Before the first thread begins. */
void nx_heap_share(void);
/* What the C library keeps of freed memory goes back to the system. It walks the heap: for after something large, not
 * for every day. Any thread. */
void nx_heap_trim(void);

/* Tests only: the n-th allocation from now (1 = the next) fails, in arenas and in the three
 * below. 0 switches off. */
void nx_alloc_fail_at(uint64_t n);

/* calloc that tests can make fail; every plain allocation of ours goes through these. Release
 * with free(). */
void *nx_calloc(size_t count, size_t item_bytes);
/* as nx_calloc, not zeroed: for bytes that are written before they are read */
void *nx_malloc(size_t bytes);
void *nx_realloc(void *block, size_t bytes); /* likewise; NULL: the block is as it was */

#endif
