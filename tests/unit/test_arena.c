#include "common/arena.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct nx_arena a;
    nx_arena_init(&a, 1 << 20);
    uint8_t *last = NULL;
    size_t last_bytes = 0;
    for (size_t n = 0; n < 200; n++) {
        uint8_t *p = nx_arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(!last || p >= last + last_bytes || p + n <= last);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
        last = p;
        last_bytes = n;
    }
    assert_string_equal(nx_arena_strndup(&a, "rosemary", 4), "rose");
    nx_arena_free(&a);
    assert_int_equal(a.used_bytes, 0);
}

static void the_limit_holds(void **state)
{
    (void)state;
    struct nx_arena a;
    nx_arena_init(&a, 100 * 1024);
    assert_null(nx_arena_alloc(&a, 101 * 1024));
    assert_null(nx_arena_array(&a, SIZE_MAX / 2, 4));
    assert_null(nx_arena_alloc(&a, SIZE_MAX));
    int got = 0;
    while (nx_arena_alloc(&a, 4096))
        assert_true(++got < 100);
    assert_true(got >= 20);
    assert_true(a.used_bytes <= a.limit_bytes);
    nx_arena_free(&a);
    assert_non_null(nx_arena_alloc(&a, 4096));
    nx_arena_free(&a);
}

static void the_nth_allocation_fails_once(void **state)
{
    (void)state;
    struct nx_arena a;
    nx_arena_init(&a, 1 << 20);
    nx_alloc_fail_at(2);
    assert_non_null(nx_arena_alloc(&a, 8));
    assert_null(nx_arena_alloc(&a, 8));
    void *p = nx_calloc(2, 8);
    assert_non_null(p);
    free(p);
    nx_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(the_nth_allocation_fails_once),
    };
    return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
