#include "common/room.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- the room ----------------------------------------------------------------------------------------- */

/* In front of each block in the room. */
struct head {
    alignas(max_align_t) size_t bytes;
};

bool nx_room_open(struct nx_room *room, size_t bytes)
{
    *room = (struct nx_room){0};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    bytes = (bytes + page - 1) / page * page;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return false;
    /* Neighbouring rooms join to one large mapping; huge pages would make all of it resident. */
    madvise(base, bytes, MADV_NOHUGEPAGE);
    room->base = base;
    room->bytes = bytes;
    return true;
}

/* There may be keys in it. */
static void drop_aside(struct nx_room *room)
{
    if (room->aside)
        explicit_bzero(room->aside, room->aside_len);
    free(room->aside);
}

void nx_room_close(struct nx_room *room)
{
    if (room->base)
        munmap(room->base, room->bytes);
    drop_aside(room);
    *room = (struct nx_room){0};
}

void nx_room_settle(struct nx_room *room)
{
    room->settled = true;
}

bool nx_room_holds(const struct nx_room *room, const void *block)
{
    uintptr_t at = (uintptr_t)block, base = (uintptr_t)room->base;
    return at >= base && at - base < room->bytes;
}

size_t nx_room_block_bytes(const void *block)
{
    return ((const struct head *)block - 1)->bytes;
}

/* With its head. */
static size_t whole_bytes(size_t bytes)
{
    return sizeof(struct head) +
           (bytes + sizeof(struct head) - 1) / sizeof(struct head) * sizeof(struct head);
}

void *nx_room_take(struct nx_room *room, size_t bytes)
{
    size_t left = room->bytes - room->used;
    if (room->settled || bytes > left || left - bytes < 2 * sizeof(struct head)) /* rounding */
        return NULL;
    struct head *head = (struct head *)(room->base + room->used);
    head->bytes = bytes;
    room->used += whole_bytes(bytes);
    return head + 1;
}

void nx_room_give(struct nx_room *room, void *block)
{
    struct head *head = (struct head *)block - 1;
    size_t whole = whole_bytes(head->bytes), at = (size_t)((uint8_t *)head - room->base);
    nx_assert(nx_room_holds(room, block) && at + whole <= room->used);
    memset(head, 0, whole);
    if (at + whole == room->used)
        room->used = at;
}

/* --- folding ------------------------------------------------------------------------------------------ */

/* Words of eight bytes. One that is not zero becomes a mask, bit k for byte k, and its bytes that are not zero; a run
 * of zero words becomes a mask of zero and the length of the run, 255 at most. */
enum { WORD = 8, RUN_MAX = 255 };

static size_t zero_words(const uint64_t *words, size_t count)
{
    size_t n = 0;
    while (n < count && n < RUN_MAX && words[n] == 0)
        n++;
    return n;
}

/* Writes at dst unless it is NULL; how many bytes. */
static size_t pack_word(uint64_t word, uint8_t *dst)
{
    unsigned mask = 0;
    size_t len = 1;
    for (unsigned k = 0; k < WORD; k++) {
        uint8_t byte = (uint8_t)(word >> 8 * k);
        if (!byte)
            continue;
        mask |= 1U << k;
        if (dst)
            dst[len] = byte;
        len++;
    }
    if (dst)
        dst[0] = (uint8_t)mask;
    return len;
}

static size_t pack(const uint64_t *words, size_t count, uint8_t *dst)
{
    size_t len = 0;
    for (size_t i = 0; i < count;) {
        size_t run = zero_words(words + i, count - i);
        if (run == 0) {
            len += pack_word(words[i++], dst ? dst + len : NULL);
            continue;
        }
        if (dst) {
            dst[len] = 0;
            dst[len + 1] = (uint8_t)run;
        }
        len += 2;
        i += run;
    }
    return len;
}

/* The words are zero before. */
static void unpack(const uint8_t *src, size_t len, uint64_t *words)
{
    for (size_t at = 0; at < len;) {
        unsigned mask = src[at++];
        if (mask == 0) {
            words += src[at++];
            continue;
        }
        uint64_t word = 0;
        for (unsigned k = 0; k < WORD; k++)
            if (mask & 1U << k)
                word |= (uint64_t)src[at++] << 8 * k;
        *words++ = word;
    }
}

bool nx_room_fold(struct nx_room *room)
{
    nx_assert(!room->aside);
    const uint64_t *words = (const uint64_t *)room->base;
    size_t count = room->used / WORD;
    size_t len = pack(words, count, NULL);
    uint8_t *aside = nx_malloc(len + 1);
    if (!aside)
        return false;
    pack(words, count, aside);
    /* From here on the pages read as zero. A system that refuses leaves them as they are. */
    bool folded = madvise(room->base, room->bytes, MADV_DONTNEED) == 0;
    room->aside = aside;
    room->aside_len = len;
    if (!folded) {
        drop_aside(room);
        room->aside = NULL;
    }
    return folded;
}

void nx_room_unfold(struct nx_room *room)
{
    if (!room->aside)
        return;
    unpack(room->aside, room->aside_len, (uint64_t *)room->base);
    drop_aside(room);
    room->aside = NULL;
    room->aside_len = 0;
}
