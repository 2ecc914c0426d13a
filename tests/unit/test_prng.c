#include "common/prng.h"
#include "nx_test.h"

static void a_seed_is_a_sequence(void **state)
{
    (void)state;
    struct nx_prng a, b, c;
    nx_prng_init(&a, 42);
    nx_prng_init(&b, 42);
    nx_prng_init(&c, 43);
    int differ = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = nx_prng_u64(&a);
        assert_true(x == nx_prng_u64(&b));
        differ += x != nx_prng_u64(&c);
    }
    assert_int_equal(differ, 1000);
}

static void ranges_are_kept_and_filled(void **state)
{
    (void)state;
    struct nx_prng p;
    nx_prng_init(&p, 1);
    int seen[7] = {0}, hits = 0;
    for (int i = 0; i < 7000; i++) {
        int64_t v = nx_prng_between(&p, -3, 3);
        assert_true(v >= -3 && v <= 3);
        seen[v + 3]++;
        hits += nx_prng_chance(&p, 1, 4);
        double u = nx_prng_unit(&p);
        assert_true(u >= 0 && u < 1);
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_in_range(hits, 1550, 1950);
    assert_int_equal(nx_prng_below(&p, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_is_a_sequence),
        cmocka_unit_test(ranges_are_kept_and_filled),
    };
    return cmocka_run_group_tests_name("prng", tests, NULL, NULL);
}
