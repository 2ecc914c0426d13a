#include "common/arena.h"
#include "common/room.h"
#include "nx_test.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM_BYTES = 32 << 10 };

static void blocks_lie_apart_and_are_zero_until_the_room_is_full(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 16 << 10};
    static const uint8_t zero[16 << 10];
    struct nx_room room;
    assert_true(nx_room_open(&room, ROOM_BYTES - 1)); /* rounded up */
    assert_int_equal(room.bytes, ROOM_BYTES);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = nx_room_take(&room, sizes[i]);
        assert_non_null(block);
        assert_true(nx_room_holds(&room, block));
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_int_equal(nx_room_block_bytes(block), sizes[i]);
        assert_memory_equal(block, zero, sizes[i]);
        memset(block, 7, sizes[i]);
    }
    assert_null(nx_room_take(&room, 16 << 10));
    assert_null(nx_room_take(&room, SIZE_MAX));
    assert_non_null(nx_room_take(&room, 8));
    nx_room_settle(&room);
    assert_null(nx_room_take(&room, 8));
    assert_false(nx_room_holds(&room, &room));
    nx_room_close(&room);
    nx_room_close(&room); /* nothing left to close */
}

static void a_block_that_is_given_back_costs_nothing_when_folded(void **state)
{
    (void)state;
    struct nx_room room;
    assert_true(nx_room_open(&room, ROOM_BYTES));
    uint8_t *kept = nx_room_take(&room, 40);
    assert_true(nx_room_fold(&room));
    size_t before = room.aside_len;
    nx_room_unfold(&room);
    uint8_t *first = nx_room_take(&room, 1000), *second = nx_room_take(&room, 1000);
    memset(first, 0xff, 1000);
    memset(second, 0xff, 1000);
    memset(kept, 1, 40);
    nx_room_give(&room, first); /* not the youngest: its place is lost */
    size_t used = room.used;
    nx_room_give(&room, second);
    assert_true(room.used < used);
    assert_ptr_equal(nx_room_take(&room, 1000), second);
    assert_int_equal(second[999], 0);
    nx_room_give(&room, second);
    assert_true(nx_room_fold(&room));
    assert_in_range(room.aside_len, before, before + 64);
    nx_room_unfold(&room);
    assert_int_equal(kept[39], 1);
    nx_room_close(&room);
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
        struct nx_room room;
        static uint8_t before[ROOM_BYTES];
        assert_true(nx_room_open(&room, ROOM_BYTES));
        nx_room_take(&room, 1000);
        uint8_t *block = nx_room_take(&room, 20000);
        fill(block, 20000, seed);
        if (seed == 1)
            memset(block, 0xff, 20000);
        memcpy(before, room.base, sizeof before);
        for (unsigned times = 0; times < 2; times++) {
            assert_true(nx_room_fold(&room));
            assert_true(nx_room_folded(&room));
            nx_room_unfold(&room);
            assert_false(nx_room_folded(&room));
            assert_memory_equal(room.base, before, sizeof before);
        }
        nx_room_unfold(&room); /* does nothing */
        nx_room_close(&room);
    }
}

static unsigned resident_pages(const struct nx_room *room)
{
    unsigned char resident[ROOM_BYTES / 4096] = {0}; /* no system has smaller pages */
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = ROOM_BYTES / page;
    unsigned n = 0;
    assert_int_equal(mincore(room->base, ROOM_BYTES, resident), 0);
    for (size_t i = 0; i < pages; i++)
        n += resident[i] & 1;
    return n;
}

/* The guarantees that the file is there for. */
static void a_room_is_resident_only_where_it_is_touched_and_not_when_folded(void **state)
{
    (void)state;
    struct nx_room room;
    assert_true(nx_room_open(&room, ROOM_BYTES));
    assert_int_equal(resident_pages(&room), 0);
    uint8_t *block = nx_room_take(&room, 20000);
    assert_int_equal(resident_pages(&room), 1);
    block[0] = 1;
    assert_true(nx_room_fold(&room));
    assert_int_equal(resident_pages(&room), 0);
    assert_in_range(room.aside_len, 1, 64);
    nx_room_unfold(&room);
    assert_int_equal(block[0], 1);
    assert_true(nx_room_fold(&room));
    nx_room_close(&room); /* also when folded */
}

static void without_memory_a_room_stays_open(void **state)
{
    (void)state;
    struct nx_room room;
    assert_true(nx_room_open(&room, ROOM_BYTES));
    uint8_t *block = nx_room_take(&room, 100);
    memset(block, 9, 100);
    nx_alloc_fail_at(1);
    assert_false(nx_room_fold(&room));
    nx_alloc_fail_at(0);
    assert_false(nx_room_folded(&room));
    assert_int_equal(block[99], 9);
    nx_room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_lie_apart_and_are_zero_until_the_room_is_full),
        cmocka_unit_test(a_block_that_is_given_back_costs_nothing_when_folded),
        cmocka_unit_test(folding_and_unfolding_leaves_every_byte),
        cmocka_unit_test(a_room_is_resident_only_where_it_is_touched_and_not_when_folded),
        cmocka_unit_test(without_memory_a_room_stays_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
