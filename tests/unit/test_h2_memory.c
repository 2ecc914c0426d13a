#include "function_tier/grpc/h2_memory.h"
#include "nx_test.h"

#include <stdint.h>
#include <string.h>

static void blocks_lie_in_the_room_while_there_is_room(void **state)
{
    (void)state;
    struct nx_room room;
    assert_true(nx_room_open(&room, NX_H2_ROOM_BYTES));
    static const size_t sizes[] = {0, 1, 100, 16 << 10, 100000, NX_H2_ROOM_BYTES, 8};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = nx_h2_malloc(sizes[i], &room);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 16, 0);
        assert_int_equal(nx_room_holds(&room, block), sizes[i] <= 16 << 10);
        memset(block, 7, sizes[i]);
        nx_h2_free(block, &room);
    }
    nx_room_settle(&room);
    void *late = nx_h2_malloc(8, &room);
    assert_false(nx_room_holds(&room, late));
    nx_h2_free(late, &room);
    nx_h2_free(NULL, &room);
    nx_room_close(&room);
}

static void a_block_that_grows_or_shrinks_keeps_its_beginning(void **state)
{
    (void)state;
    struct nx_room room;
    assert_true(nx_room_open(&room, NX_H2_ROOM_BYTES));
    uint8_t *block = nx_h2_realloc(NULL, 4, &room);
    memcpy(block, "abcd", 4);
    block = nx_h2_realloc(block, 100, &room);
    assert_true(nx_room_holds(&room, block));
    assert_memory_equal(block, "abcd", 4);
    block = nx_h2_realloc(block, 100000, &room);
    assert_false(nx_room_holds(&room, block));
    block[99999] = 'z';
    block = nx_h2_realloc(block, 200000, &room);
    assert_memory_equal(block, "abcd", 4);
    assert_int_equal(block[99999], 'z');
    block = nx_h2_realloc(block, 2, &room);
    assert_memory_equal(block, "ab", 2);
    nx_h2_free(block, &room);
    nx_room_close(&room);
}

static void cleared_blocks_are_zero_and_sums_do_not_overflow(void **state)
{
    (void)state;
    struct nx_room room;
    assert_true(nx_room_open(&room, NX_H2_ROOM_BYTES));
    static const uint8_t zero[1024];
    uint8_t *block = nx_h2_calloc(128, 8, &room);
    assert_memory_equal(block, zero, sizeof zero);
    nx_room_settle(&room);
    uint8_t *late = nx_h2_calloc(128, 8, &room);
    assert_memory_equal(late, zero, sizeof zero);
    nx_h2_free(late, &room);
    volatile size_t many = SIZE_MAX / 2;
    assert_null(nx_h2_calloc(many, 3, &room));
    nx_room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_lie_in_the_room_while_there_is_room),
        cmocka_unit_test(a_block_that_grows_or_shrinks_keeps_its_beginning),
        cmocka_unit_test(cleared_blocks_are_zero_and_sums_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
