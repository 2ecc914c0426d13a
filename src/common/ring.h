/* ring.h — a bounded queue of pointers between exactly one producer thread and one consumer thread.
 *
 *   0 <= pushed - popped <= capacity
 *
 * Full is back-pressure: push says NX_AGAIN and the producer keeps the item. Items come out in the
 * order they went in. Nothing blocks; who wants to sleep pairs the ring with an eventfd. */
#ifndef NX_COMMON_RING_H
#define NX_COMMON_RING_H

#include "common/status.h"

#include <stdatomic.h>
#include <stddef.h>

struct nx_ring {
    void **items;
    size_t mask;                       /* capacity - 1 */
    _Alignas(64) atomic_size_t pushed; /* written by the producer only */
    _Alignas(64) atomic_size_t popped; /* written by the consumer only */
};

/* `capacity` is a power of two. NX_NO_MEMORY otherwise leaves the ring untouched. */
enum nx_status nx_ring_init(struct nx_ring *ring, size_t capacity);
void nx_ring_fini(struct nx_ring *ring);

enum nx_status nx_ring_push(struct nx_ring *ring, void *item); /* producer; item is not NULL */
void *nx_ring_pop(struct nx_ring *ring);                       /* consumer; NULL when empty */
size_t nx_ring_count(struct nx_ring *ring);                    /* either; a snapshot */

#endif
