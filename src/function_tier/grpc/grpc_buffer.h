/* grpc_buffer.h — bytes that wait, counted against budgets.
 *
 *   budget.used == sum of the capacities of the buffers that draw on it, and on the budgets below
 * it budget.used <= budget.limit
 *
 *      0        start            end          cap
 *      ├─ popped ─┼──── span ─────┼── room ────┤
 *
 * Owner   the buffer owns its bytes until nx_grpc_buffer_free. Thread  the server's.
 * Failure NX_TOO_LARGE when a budget refuses, NX_NO_MEMORY when the C library does; the buffer is
 *         as before. */
#ifndef NX_GRPC_BUFFER_H
#define NX_GRPC_BUFFER_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

struct nx_grpc_budget {
    uint64_t used, limit;          /* bytes */
    struct nx_grpc_budget *parent; /* charged as well; NULL at the top */
};

struct nx_grpc_buffer {
    struct nx_grpc_budget *budget;
    uint8_t *bytes;
    size_t start, end, cap;
};

void nx_grpc_buffer_init(struct nx_grpc_buffer *buffer, struct nx_grpc_budget *budget);
void nx_grpc_buffer_free(struct nx_grpc_buffer *buffer); /* empty and usable again */

static inline size_t nx_grpc_buffer_len(const struct nx_grpc_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* NULL while nothing was ever appended, or all of it popped. */
static inline uint8_t *nx_grpc_buffer_span(const struct nx_grpc_buffer *buffer)
{
    return buffer->bytes ? buffer->bytes + buffer->start : NULL;
}

/* Room for `len` bytes behind the span. Grows at least by half, so that a message that comes in
 * small pieces is moved a constant number of times per byte. */
enum nx_status nx_grpc_buffer_reserve(struct nx_grpc_buffer *buffer, size_t len);

enum nx_status nx_grpc_buffer_append(struct nx_grpc_buffer *buffer, const void *bytes, size_t len);

/* Drops the first `len` bytes of the span; an empty buffer gives its memory back. */
void nx_grpc_buffer_pop(struct nx_grpc_buffer *buffer, size_t len);

#endif
