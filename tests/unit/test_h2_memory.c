#include "function_tier/grpc/h2_memory.h"
#include "nx_test.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void small_and_large_blocks_keep_what_is_written(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, NX_H2_MAPPED_BYTES - 1, NX_H2_MAPPED_BYTES, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *block = nx_h2_malloc(sizes[i], NULL);
        assert_non_null(block);
        memset(block, 7, sizes[i]);
        nx_h2_free(block, NULL);
    }
    nx_h2_free(NULL, NULL);
}

static void a_block_that_grows_or_shrinks_keeps_its_beginning(void **state)
{
    (void)state;
    uint8_t *block = nx_h2_realloc(NULL, 4, NULL);
    memcpy(block, "abcd", 4);
    block = nx_h2_realloc(block, NX_H2_MAPPED_BYTES + 1, NULL);
    assert_memory_equal(block, "abcd", 4);
    block[NX_H2_MAPPED_BYTES] = 'z';
    block = nx_h2_realloc(block, 2 * NX_H2_MAPPED_BYTES, NULL);
    assert_int_equal(block[NX_H2_MAPPED_BYTES], 'z');
    block = nx_h2_realloc(block, 2, NULL);
    assert_memory_equal(block, "ab", 2);
    nx_h2_free(block, NULL);
}

static void cleared_blocks_are_zero_and_sums_do_not_overflow(void **state)
{
    (void)state;
    for (size_t bytes = 64; bytes <= NX_H2_MAPPED_BYTES; bytes *= 256) {
        uint8_t *dirty = nx_h2_malloc(bytes, NULL);
        memset(dirty, 1, bytes);
        nx_h2_free(dirty, NULL);
        uint8_t *block = nx_h2_calloc(bytes / 8, 8, NULL);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(block[i], 0);
        nx_h2_free(block, NULL);
    }
    volatile size_t many = SIZE_MAX / 2;
    assert_null(nx_h2_calloc(many, 3, NULL));
    assert_null(nx_h2_malloc(many * 2 + 1, NULL));
}

/* The guarantee that the file is there for. */
static void a_large_block_is_resident_only_where_it_is_touched(void **state)
{
    (void)state;
    unsigned char resident[NX_H2_MAPPED_BYTES / 4096] = {0}; /* no system has smaller pages */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = 4 * page > NX_H2_MAPPED_BYTES ? 4 * page : NX_H2_MAPPED_BYTES;
    assert_true(bytes / page <= sizeof resident);
    uint8_t *block = nx_h2_malloc(bytes, NULL);
    block[0] = 1;
    uint8_t *start = (uint8_t *)((uintptr_t)block & ~(uintptr_t)(page - 1));
    assert_int_equal(mincore(start, bytes, resident), 0);
    assert_true(resident[0] & 1);
    assert_false(resident[1] & 1);
    assert_false(resident[3] & 1);
    nx_h2_free(block, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_and_large_blocks_keep_what_is_written),
        cmocka_unit_test(a_block_that_grows_or_shrinks_keeps_its_beginning),
        cmocka_unit_test(cleared_blocks_are_zero_and_sums_do_not_overflow),
        cmocka_unit_test(a_large_block_is_resident_only_where_it_is_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
