/* grpc_buffer.h — bytes that wait, counted against budgets.
 *
 *   budget.used == sum of the capacities of the buffers that draw on it, and on the budgets below it
 *   budget.used <= budget.limit
 *
 *      0        start            end          cap
 *      ├─ popped ─┼──── span ─────┼── room ────┤
 *
 * The budget at the top keeps one large block that was given back, uncounted, for the next message
 * of about that size: to get it from the system for each, page by page, costs an upload half of its
 * time.
 *
 * Owner   the buffer owns its bytes until nx_grpc_buffer_free. Thread  the server's.
 * Failure NX_TOO_LARGE when a budget refuses, NX_NO_MEMORY when the C library does; the buffer is
 *         as before. */
#ifndef NX_GRPC_BUFFER_H
#define NX_GRPC_BUFFER_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum { NX_GRPC_SPARE_BYTES_MIN = 128 << 10, NX_GRPC_SPARE_BYTES_MAX = 4 << 20 };

struct nx_grpc_budget {
    uint64_t used, limit;          /* bytes */
    struct nx_grpc_budget *parent; /* charged as well; NULL at the top */
    uint8_t *spare;                /* at the top: NULL, or … */
    size_t spare_bytes;            /* … NX_GRPC_SPARE_BYTES_MIN to _MAX */
};

struct nx_grpc_buffer {
    struct nx_grpc_budget *budget;
    uint8_t *bytes;
    size_t start, end, cap;
};

/* Of one at the top on which no buffer draws any more. */
void nx_grpc_budget_fini(struct nx_grpc_budget *budget);

void nx_grpc_buffer_init(struct nx_grpc_buffer *buffer, struct nx_grpc_budget *budget);
void nx_grpc_buffer_free(struct nx_grpc_buffer *buffer); /* empty and usable again */

/* Its block, which is the caller's to free() from now on and no budget's; the buffer is empty and usable again. */
uint8_t *nx_grpc_buffer_release(struct nx_grpc_buffer *buffer);

static inline size_t nx_grpc_buffer_len(const struct nx_grpc_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* NULL while nothing was ever appended, or all of it popped. */
static inline uint8_t *nx_grpc_buffer_span(const struct nx_grpc_buffer *buffer)
{
    return buffer->bytes ? buffer->bytes + buffer->start : NULL;
}

/* Room for `len` bytes behind the span. Grows at least by half, or by an eighth if the budget has no more, so that a message
 * that comes in small pieces is moved a constant number of times per byte; only a small one (64 KiB) gets what is left. */
enum nx_status nx_grpc_buffer_reserve(struct nx_grpc_buffer *buffer, size_t len);

enum nx_status nx_grpc_buffer_append(struct nx_grpc_buffer *buffer, const void *bytes, size_t len);

/* Drops the first `len` bytes of the span; an empty buffer gives its memory back. */
void nx_grpc_buffer_pop(struct nx_grpc_buffer *buffer, size_t len);

#endif
