#include "common/ring.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>

enum nx_status nx_ring_init(struct nx_ring *ring, size_t capacity)
{
    nx_assert(capacity > 0 && (capacity & (capacity - 1)) == 0);
    void **items = nx_calloc(capacity, sizeof *items);
    if (!items)
        return NX_NO_MEMORY;
    ring->items = items;
    ring->mask = capacity - 1;
    atomic_init(&ring->pushed, 0);
    atomic_init(&ring->popped, 0);
    return NX_OK;
}

void nx_ring_fini(struct nx_ring *ring)
{
    free(ring->items);
    ring->items = NULL;
}

enum nx_status nx_ring_push(struct nx_ring *ring, void *item)
{
    nx_assert(item);
    size_t pushed = atomic_load_explicit(&ring->pushed, memory_order_relaxed);
    /* pairs with the release in nx_ring_pop: the slot is read before it is written again */
    size_t popped = atomic_load_explicit(&ring->popped, memory_order_acquire);
    if (pushed - popped > ring->mask)
        return NX_AGAIN;
    ring->items[pushed & ring->mask] = item;
    /* pairs with the acquire in nx_ring_pop: the item is there before the count says so */
    atomic_store_explicit(&ring->pushed, pushed + 1, memory_order_release);
    return NX_OK;
}

void *nx_ring_pop(struct nx_ring *ring)
{
    size_t popped = atomic_load_explicit(&ring->popped, memory_order_relaxed);
    /* pairs with the release in nx_ring_push */
    size_t pushed = atomic_load_explicit(&ring->pushed, memory_order_acquire);
    if (popped == pushed)
        return NULL;
    void *item = ring->items[popped & ring->mask];
    /* pairs with the acquire in nx_ring_push */
    atomic_store_explicit(&ring->popped, popped + 1, memory_order_release);
    return item;
}

size_t nx_ring_count(struct nx_ring *ring)
{
    size_t popped = atomic_load_explicit(&ring->popped, memory_order_acquire);
    size_t pushed = atomic_load_explicit(&ring->pushed, memory_order_acquire);
    return pushed - popped;
}
