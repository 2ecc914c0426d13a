#include "common/arena.h"
#include "function_tier/grpc/h2_memory.h"
#include "nx_test.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool in_room(const struct nx_h2_room *room, const void *block)
{
    const uint8_t *at = block;
    return at >= room->base && at < room->base + NX_H2_ROOM_BYTES;
}

static void blocks_lie_in_the_room_while_there_is_room(void **state)
{
    (void)state;
    struct nx_h2_room room;
    assert_true(nx_h2_room_open(&room));
    static const size_t sizes[] = {0, 1, 100, 16 << 10, 100000, NX_H2_ROOM_BYTES, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = nx_h2_malloc(sizes[i], &room);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_int_equal(in_room(&room, block), sizes[i] <= 16 << 10);
        memset(block, 7, sizes[i]);
        nx_h2_free(block, &room);
    }
    nx_h2_room_settle(&room);
    void *late = nx_h2_malloc(8, &room);
    assert_false(in_room(&room, late));
    nx_h2_free(late, &room);
    nx_h2_free(NULL, &room);
    nx_h2_room_close(&room);
}

static void a_block_that_grows_or_shrinks_keeps_its_beginning(void **state)
{
    (void)state;
    struct nx_h2_room room;
    assert_true(nx_h2_room_open(&room));
    uint8_t *block = nx_h2_realloc(NULL, 4, &room);
    memcpy(block, "abcd", 4);
    block = nx_h2_realloc(block, 100, &room);
    assert_true(in_room(&room, block));
    assert_memory_equal(block, "abcd", 4);
    block = nx_h2_realloc(block, 100000, &room);
    assert_false(in_room(&room, block));
    block[99999] = 'z';
    block = nx_h2_realloc(block, 200000, &room);
    assert_memory_equal(block, "abcd", 4);
    assert_int_equal(block[99999], 'z');
    block = nx_h2_realloc(block, 2, &room);
    assert_memory_equal(block, "ab", 2);
    nx_h2_free(block, &room);
    nx_h2_room_close(&room);
}

static void cleared_blocks_are_zero_and_sums_do_not_overflow(void **state)
{
    (void)state;
    struct nx_h2_room room;
    assert_true(nx_h2_room_open(&room));
    static const uint8_t zero[1024];
    uint8_t *block = nx_h2_calloc(128, 8, &room);
    assert_memory_equal(block, zero, sizeof zero);
    nx_h2_room_settle(&room);
    uint8_t *late = nx_h2_calloc(128, 8, &room);
    assert_memory_equal(late, zero, sizeof zero);
    nx_h2_free(late, &room);
    volatile size_t many = SIZE_MAX / 2;
    assert_null(nx_h2_calloc(many, 3, &room));
    nx_h2_room_close(&room);
}

/* Every kind of word: zero runs of all lengths, single bytes anywhere, words without a zero byte. */
static void fill(uint8_t *block, size_t bytes, unsigned seed)
{
    srand(seed);
    for (size_t at = 0; at < bytes;) {
        size_t run = (size_t)rand() % 40;
        bool dense = rand() % 2;
        for (size_t i = 0; i < run && at < bytes; i++, at++)
            block[at] = (uint8_t)(dense || rand() % 4 == 0 ? rand() % 256 : 0);
        at += (size_t)(rand() % 4 == 0 ? rand() % 5000 : rand() % 20);
    }
}

static void folding_and_unfolding_leaves_every_byte(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 50; seed++) {
        struct nx_h2_room room;
        static uint8_t before[NX_H2_ROOM_BYTES];
        assert_true(nx_h2_room_open(&room));
        nx_h2_calloc(1, 1000, &room);
        uint8_t *block = nx_h2_calloc(1, 20000, &room);
        fill(block, 20000, seed);
        if (seed == 1)
            memset(block, 0xff, 20000);
        memcpy(before, room.base, sizeof before);
        for (unsigned times = 0; times < 2; times++) {
            assert_true(nx_h2_room_fold(&room));
            assert_true(nx_h2_room_folded(&room));
            nx_h2_room_unfold(&room);
            assert_false(nx_h2_room_folded(&room));
            assert_memory_equal(room.base, before, sizeof before);
        }
        nx_h2_room_unfold(&room); /* does nothing */
        nx_h2_room_close(&room);
    }
}

static unsigned resident_pages(const struct nx_h2_room *room)
{
    unsigned char resident[NX_H2_ROOM_BYTES / 4096] = {0}; /* no system has smaller pages */
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = NX_H2_ROOM_BYTES / page;
    unsigned n = 0;
    assert_int_equal(mincore(room->base, NX_H2_ROOM_BYTES, resident), 0);
    for (size_t i = 0; i < pages; i++)
        n += resident[i] & 1;
    return n;
}

/* The guarantees that the file is there for. */
static void a_room_is_resident_only_where_it_is_touched_and_not_when_folded(void **state)
{
    (void)state;
    struct nx_h2_room room;
    assert_true(nx_h2_room_open(&room));
    assert_int_equal(resident_pages(&room), 0);
    uint8_t *block = nx_h2_calloc(1, 20000, &room);
    assert_int_equal(resident_pages(&room), 1);
    block[0] = 1;
    assert_true(nx_h2_room_fold(&room));
    assert_int_equal(resident_pages(&room), 0);
    assert_in_range(room.aside_len, 1, 64);
    nx_h2_room_unfold(&room);
    assert_int_equal(block[0], 1);
    assert_true(nx_h2_room_fold(&room));
    nx_h2_room_close(&room); /* also when folded */
}

static void without_memory_a_room_stays_open(void **state)
{
    (void)state;
    struct nx_h2_room room;
    assert_true(nx_h2_room_open(&room));
    uint8_t *block = nx_h2_malloc(100, &room);
    memset(block, 9, 100);
    nx_alloc_fail_at(1);
    assert_false(nx_h2_room_fold(&room));
    nx_alloc_fail_at(0);
    assert_false(nx_h2_room_folded(&room));
    assert_int_equal(block[99], 9);
    nx_h2_room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_lie_in_the_room_while_there_is_room),
        cmocka_unit_test(a_block_that_grows_or_shrinks_keeps_its_beginning),
        cmocka_unit_test(cleared_blocks_are_zero_and_sums_do_not_overflow),
        cmocka_unit_test(folding_and_unfolding_leaves_every_byte),
        cmocka_unit_test(a_room_is_resident_only_where_it_is_touched_and_not_when_folded),
        cmocka_unit_test(without_memory_a_room_stays_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
