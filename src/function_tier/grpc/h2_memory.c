#include "function_tier/grpc/h2_memory.h"

#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

void *nx_h2_malloc(size_t bytes, void *user)
{
    void *block = nx_room_take(user, bytes);
    return block ? block : nx_malloc(bytes);
}

void *nx_h2_calloc(size_t count, size_t bytes, void *user)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    void *block = nx_room_take(user, count * bytes); /* fresh, so zero, and stays untouched */
    return block ? block : nx_calloc(count, bytes);
}

void nx_h2_free(void *block, void *user)
{
    if (block && nx_room_holds(user, block))
        nx_room_give(user, block);
    else
        free(block);
}

void *nx_h2_realloc(void *block, size_t bytes, void *user)
{
    if (!block || !nx_room_holds(user, block))
        return block ? nx_realloc(block, bytes) : nx_h2_malloc(bytes, user);
    size_t old = nx_room_block_bytes(block);
    void *moved = nx_h2_malloc(bytes, user);
    if (moved)
        memcpy(moved, block, old < bytes ? old : bytes);
    if (moved)
        nx_room_give(user, block);
    return moved;
}
