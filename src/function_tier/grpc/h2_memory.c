#include "function_tier/grpc/h2_memory.h"

#include "common/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* In front of each block. */
struct head {
    alignas(max_align_t) size_t bytes;
};

static bool is_mapped(const struct head *head)
{
    return head->bytes >= NX_H2_MAPPED_BYTES;
}

static struct head *map(size_t whole)
{
    void *at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void *nx_h2_malloc(size_t bytes, void *user)
{
    (void)user;
    if (bytes > SIZE_MAX - sizeof(struct head))
        return NULL;
    size_t whole = sizeof(struct head) + bytes;
    struct head *head = bytes >= NX_H2_MAPPED_BYTES ? map(whole) : nx_malloc(whole);
    if (!head)
        return NULL;
    head->bytes = bytes;
    return head + 1;
}

void *nx_h2_calloc(size_t count, size_t bytes, void *user)
{
    if (bytes && count > SIZE_MAX / bytes)
        return NULL;
    void *block = nx_h2_malloc(count * bytes, user);
    if (block && count * bytes < NX_H2_MAPPED_BYTES) /* a fresh mapping is zero, and untouched */
        memset(block, 0, count * bytes);
    return block;
}

void nx_h2_free(void *block, void *user)
{
    (void)user;
    if (!block)
        return;
    struct head *head = (struct head *)block - 1;
    if (is_mapped(head))
        munmap(head, sizeof *head + head->bytes);
    else
        free(head);
}

void *nx_h2_realloc(void *block, size_t bytes, void *user)
{
    void *grown = nx_h2_malloc(bytes, user);
    if (!grown || !block)
        return grown;
    size_t old = ((struct head *)block - 1)->bytes;
    memcpy(grown, block, old < bytes ? old : bytes);
    nx_h2_free(block, user);
    return grown;
}
