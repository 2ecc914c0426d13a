#include "function_tier/tls/tls_memory.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    SLOT_BYTES = 32 << 10,
    SLOT_FROM_BYTES = 16 << 10, /* a record buffer, or a handshake's message */
    SLOTS_MAX = 1024,
    SLOTS_KEPT = 16, /* free ones that may stay resident for whoever is next */
};

static _Thread_local struct nx_room *named;

static struct {
    pthread_mutex_t lock;
    uint8_t *base;             /* SLOTS_MAX * SLOT_BYTES of address space */
    uint16_t free[SLOTS_MAX];  /* a stack; the last given back is the next taken */
    uint32_t free_count, warm; /* warm: of the free ones, those that are resident at most */
} slots = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- slots -------------------------------------------------------------------------------------------- */

static void open_slots(void)
{
    size_t bytes = (size_t)SLOTS_MAX * SLOT_BYTES;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return;
    madvise(base, bytes, MADV_NOHUGEPAGE);
    slots.base = base;
    for (uint32_t i = 0; i < SLOTS_MAX; i++)
        slots.free[i] = (uint16_t)(SLOTS_MAX - 1 - i);
    slots.free_count = SLOTS_MAX;
}

static bool is_slot(const void *block)
{
    uintptr_t at = (uintptr_t)block, base = (uintptr_t)slots.base;
    return slots.base && at >= base && at - base < (size_t)SLOTS_MAX * SLOT_BYTES;
}

static void *take_slot(void)
{
    uint8_t *slot = NULL;
    pthread_mutex_lock(&slots.lock);
    if (slots.free_count > 0)
        slot = slots.base + (size_t)slots.free[--slots.free_count] * SLOT_BYTES;
    if (slots.warm > 0)
        slots.warm--;
    pthread_mutex_unlock(&slots.lock);
    return slot;
}

static void give_slot(uint8_t *slot)
{
    uint16_t number = (uint16_t)((size_t)(slot - slots.base) / SLOT_BYTES);
    pthread_mutex_lock(&slots.lock);
    nx_assert(slots.free_count < SLOTS_MAX);
    if (slots.warm < SLOTS_KEPT)
        slots.warm++;
    else
        madvise(slot, SLOT_BYTES, MADV_DONTNEED);
    slots.free[slots.free_count++] = number;
    pthread_mutex_unlock(&slots.lock);
}

/* --- for OpenSSL -------------------------------------------------------------------------------------- */

static void *from_room(size_t bytes)
{
    void *block = named && bytes >= NX_TLS_STATE_BYTES ? nx_room_take(named, bytes) : NULL;
    if (block)
        nx_room_settle(named);
    return block;
}

static void *on_malloc(size_t bytes, const char *file, int line)
{
    (void)file, (void)line;
    void *block = from_room(bytes);
    if (!block && bytes >= SLOT_FROM_BYTES && bytes <= SLOT_BYTES)
        block = take_slot();
    return block ? block : nx_malloc(bytes);
}

static void on_free(void *block, const char *file, int line)
{
    (void)file, (void)line;
    if (!block || (named && nx_room_holds(named, block)))
        return;
    if (is_slot(block))
        give_slot(block);
    else
        free(block);
}

/* Out of a slot, or a room, to the heap; what is on the heap stays there. */
static void *on_realloc(void *block, size_t bytes, const char *file, int line)
{
    bool in_room = block && named && nx_room_holds(named, block);
    if (!block || (!in_room && !is_slot(block)))
        return block ? nx_realloc(block, bytes) : on_malloc(bytes, file, line);
    size_t old = in_room ? nx_room_block_bytes(block) : SLOT_BYTES;
    void *moved = nx_malloc(bytes);
    if (!moved)
        return NULL;
    memcpy(moved, block, old < bytes ? old : bytes);
    on_free(block, file, line);
    return moved;
}

static void init_once(void)
{
    open_slots();
    if (CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free) != 1)
        nx_debug("TLS: OpenSSL is in use already and keeps its memory on the heap");
}

void nx_tls_memory_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_once);
}

void nx_tls_memory_begin(struct nx_room *room)
{
    nx_assert(!named);
    named = room;
}

void nx_tls_memory_end(void)
{
    named = NULL;
}
