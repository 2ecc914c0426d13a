#include "function_tier/grpc/grpc_buffer.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST_BYTES = 256, SPARE_WASTE_MAX = 4, CHEAP_BYTES_MAX = 64 << 10, LEAST_GROWTH = 8 };

void nx_grpc_buffer_init(struct nx_grpc_buffer *buffer, struct nx_grpc_budget *budget)
{
    *buffer = (struct nx_grpc_buffer){.budget = budget};
}

static enum nx_status charge(struct nx_grpc_budget *budget, size_t bytes)
{
    for (struct nx_grpc_budget *b = budget; b; b = b->parent) {
        if (bytes > b->limit - b->used)
            return NX_TOO_LARGE;
        if (b->parent && b->used + bytes > b->parent->limit - b->parent->used)
            return NX_TOO_LARGE;
    }
    for (struct nx_grpc_budget *b = budget; b; b = b->parent)
        b->used += bytes;
    return NX_OK;
}

static void discharge(struct nx_grpc_budget *budget, size_t bytes)
{
    for (struct nx_grpc_budget *b = budget; b; b = b->parent) {
        nx_assert(b->used >= bytes);
        b->used -= bytes;
    }
}

static struct nx_grpc_budget *top_of(struct nx_grpc_budget *budget)
{
    while (budget->parent)
        budget = budget->parent;
    return budget;
}

static void keep_or_free(struct nx_grpc_budget *top, uint8_t *bytes, size_t cap)
{
    bool keeps = cap >= NX_GRPC_SPARE_BYTES_MIN && cap <= NX_GRPC_SPARE_BYTES_MAX;
    if (!keeps || cap <= top->spare_bytes) {
        free(bytes);
        return;
    }
    free(top->spare);
    top->spare = bytes;
    top->spare_bytes = cap;
}

/* The spare block if it is large enough and no waste; *cap becomes its size. */
static uint8_t *take_spare(struct nx_grpc_budget *budget, size_t *cap)
{
    struct nx_grpc_budget *top = top_of(budget);
    if (top->spare_bytes < *cap || top->spare_bytes / SPARE_WASTE_MAX > *cap ||
        charge(budget, top->spare_bytes) != NX_OK)
        return NULL;
    uint8_t *bytes = top->spare;
    *cap = top->spare_bytes;
    top->spare = NULL;
    top->spare_bytes = 0;
    return bytes;
}

void nx_grpc_budget_fini(struct nx_grpc_budget *budget)
{
    nx_assert(budget->used == 0 && !budget->parent);
    free(budget->spare);
    *budget = (struct nx_grpc_budget){.limit = budget->limit};
}

void nx_grpc_buffer_free(struct nx_grpc_buffer *buffer)
{
    keep_or_free(top_of(buffer->budget), buffer->bytes, buffer->cap);
    discharge(buffer->budget, buffer->cap);
    nx_grpc_buffer_init(buffer, buffer->budget);
}

uint8_t *nx_grpc_buffer_release(struct nx_grpc_buffer *buffer)
{
    uint8_t *bytes = buffer->bytes;
    discharge(buffer->budget, buffer->cap);
    nx_grpc_buffer_init(buffer, buffer->budget);
    return bytes;
}

static void move_to_front(struct nx_grpc_buffer *buffer)
{
    size_t len = nx_grpc_buffer_len(buffer);
    memmove(buffer->bytes, nx_grpc_buffer_span(buffer), len);
    buffer->start = 0;
    buffer->end = len;
}

/* In place, or by moving its pages: of a large block the system copies nothing. */
static enum nx_status stretch(struct nx_grpc_buffer *buffer, size_t cap)
{
    NX_TRY(charge(buffer->budget, cap - buffer->cap));
    uint8_t *bytes = nx_realloc(buffer->bytes, cap);
    if (!bytes) {
        discharge(buffer->budget, cap - buffer->cap);
        return NX_NO_MEMORY;
    }
    buffer->bytes = bytes;
    buffer->cap = cap;
    return NX_OK;
}

static enum nx_status grow(struct nx_grpc_buffer *buffer, size_t cap)
{
    size_t len = nx_grpc_buffer_len(buffer);
    if (buffer->bytes && buffer->start == 0 && cap > NX_GRPC_SPARE_BYTES_MAX)
        return stretch(buffer, cap);
    uint8_t *bytes = take_spare(buffer->budget, &cap);
    if (!bytes) {
        NX_TRY(charge(buffer->budget, cap));
        bytes = nx_malloc(cap);
    }
    if (!bytes) {
        discharge(buffer->budget, cap);
        return NX_NO_MEMORY;
    }
    if (len)
        memcpy(bytes, nx_grpc_buffer_span(buffer), len);
    nx_grpc_buffer_free(buffer);
    buffer->bytes = bytes;
    buffer->end = len;
    buffer->cap = cap;
    return NX_OK;
}

enum nx_status nx_grpc_buffer_reserve(struct nx_grpc_buffer *buffer, size_t len)
{
    size_t used = nx_grpc_buffer_len(buffer);
    if (len <= buffer->cap - buffer->end)
        return NX_OK;
    /* Moving pays only if at least half is free; otherwise every small append could move it all. */
    if (used + len <= buffer->cap && buffer->start >= buffer->cap / 2) {
        move_to_front(buffer);
        return NX_OK;
    }
    size_t wanted = used + len, half_more = buffer->cap + buffer->cap / 2;
    size_t cap = wanted > half_more ? wanted : half_more;
    if (cap < SMALLEST_BYTES)
        cap = SMALLEST_BYTES;
    if (grow(buffer, cap) == NX_OK)
        return NX_OK;
    /* Little by little only while that is cheap: each step may copy it all. */
    size_t least = buffer->cap + buffer->cap / LEAST_GROWTH;
    return grow(buffer, buffer->cap > CHEAP_BYTES_MAX && wanted < least ? least : wanted);
}

enum nx_status nx_grpc_buffer_append(struct nx_grpc_buffer *buffer, const void *bytes, size_t len)
{
    if (len == 0)
        return NX_OK;
    NX_TRY(nx_grpc_buffer_reserve(buffer, len));
    memcpy(buffer->bytes + buffer->end, bytes, len);
    buffer->end += len;
    return NX_OK;
}

void nx_grpc_buffer_pop(struct nx_grpc_buffer *buffer, size_t len)
{
    nx_assert(len <= nx_grpc_buffer_len(buffer));
    buffer->start += len;
    if (buffer->start == buffer->end && buffer->cap)
        nx_grpc_buffer_free(buffer);
}
