#include "common/arena.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { BLOCK_BYTES = 16 * 1024, ALIGN = 16 };

/* Blocks from here on are mappings of their own, so that a model's memory is the system's again when it is freed. (The
 * allocator would do so only until the first large block is freed: it then keeps blocks of that size on its heaps.) The
 * address sanitizer watches, and looks for leaks in, what comes from the allocator alone. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NX_ARENA_WATCHED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(NX_ARENA_WATCHED)
#define MAP_FROM_BYTES SIZE_MAX
#else
#define MAP_FROM_BYTES ((size_t)256 * 1024)
#endif

struct nx_arena_block {
    struct nx_arena_block *older;
    size_t bytes, used; /* of `data` */
    _Alignas(ALIGN) uint8_t data[];
};

static atomic_uint_fast64_t fail_in; /* 0: never */

void nx_alloc_fail_at(uint64_t n)
{
    atomic_store(&fail_in, n);
}

static int fault_now(void)
{
    uint_fast64_t n = atomic_load_explicit(&fail_in, memory_order_relaxed);
    if (n == 0)
        return 0;
    return atomic_fetch_sub(&fail_in, 1) == 1;
}

void *nx_malloc(size_t bytes)
{
    return fault_now() ? NULL : malloc(bytes ? bytes : 1);
}

void *nx_realloc(void *block, size_t bytes)
{
    return fault_now() ? NULL : realloc(block, bytes ? bytes : 1);
}

void *nx_calloc(size_t count, size_t item_bytes)
{
    if (fault_now())
        return NULL;
    return calloc(count ? count : 1, item_bytes ? item_bytes : 1);
}

void nx_arena_init(struct nx_arena *arena, size_t limit_bytes)
{
    *arena = (struct nx_arena){.limit_bytes = limit_bytes};
}

static size_t total_of(size_t payload)
{
    return sizeof(struct nx_arena_block) + payload;
}

/* Zeroed. */
static struct nx_arena_block *make_block(size_t total)
{
    if (total < MAP_FROM_BYTES)
        return calloc(1, total);
    void *at = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static void free_block(struct nx_arena_block *block)
{
    if (total_of(block->bytes) < MAP_FROM_BYTES)
        free(block);
    else
        munmap(block, total_of(block->bytes));
}

void nx_arena_free(struct nx_arena *arena)
{
    while (arena->newest) {
        struct nx_arena_block *block = arena->newest;
        arena->newest = block->older;
        free_block(block);
    }
    arena->used_bytes = 0;
}

void nx_heap_share(void)
{
#ifdef __GLIBC__
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

void nx_heap_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

static struct nx_arena_block *add_block(struct nx_arena *arena, size_t bytes)
{
    size_t payload = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    size_t total = total_of(payload);
    if (total < payload || total > arena->limit_bytes - arena->used_bytes)
        return NULL;
    struct nx_arena_block *block = make_block(total);
    if (!block)
        return NULL;
    block->bytes = payload;
    block->older = arena->newest;
    arena->newest = block;
    arena->used_bytes += total;
    return block;
}

void *nx_arena_alloc(struct nx_arena *arena, size_t bytes)
{
    if (fault_now() || bytes > SIZE_MAX - ALIGN)
        return NULL;
    size_t need = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct nx_arena_block *block = arena->newest;
    if (!block || block->bytes - block->used < need)
        block = add_block(arena, need);
    if (!block)
        return NULL;
    void *p = block->data + block->used;
    block->used += need;
    return p;
}

void *nx_arena_array(struct nx_arena *arena, size_t count, size_t item_bytes)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, item_bytes, &bytes))
        return NULL;
    return nx_arena_alloc(arena, bytes);
}

char *nx_arena_strndup(struct nx_arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = nx_arena_alloc(arena, len + 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}
