/* The load generator's histogram: how exact, and what its correction adds. */
#include "bench/load/load_hist.h"
#include "common/prng.h"
#include "nx_test.h"

#include <stdlib.h>

static struct load_hist hist, other;

static int empty(void **state)
{
    (void)state;
    hist = other = (struct load_hist){0};
    return 0;
}

static int ascending(const void *a, const void *b)
{
    nx_ns x = *(const nx_ns *)a, y = *(const nx_ns *)b;
    return (x > y) - (x < y);
}

static void quantiles_are_within_a_hundredth(void **state)
{
    (void)state;
    enum { N = 20000 };
    static nx_ns values[N];
    static const double qs[] = {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1};
    struct nx_prng prng;
    nx_prng_init(&prng, 3);
    for (int i = 0; i < N; i++) { /* from 1 ns to 17 minutes, every power of two as often */
        values[i] = (nx_ns)(nx_prng_u64(&prng) >> (24 + nx_prng_below(&prng, 40)));
        load_hist_add(&hist, values[i], 1);
    }
    qsort(values, N, sizeof *values, ascending);
    for (size_t i = 0; i < sizeof qs / sizeof *qs; i++) {
        nx_ns exact = values[(size_t)(qs[i] * N + 0.5) - 1], got = load_hist_quantile(&hist, qs[i]);
        assert_true(got >= exact && got <= exact + exact / 100 + 1);
    }
    assert_int_equal(hist.max, values[N - 1]);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (nx_ns v = 0; v < 256; v++)
        load_hist_add(&hist, v, 1);
    for (nx_ns v = 0; v < 256; v++)
        assert_int_equal(load_hist_quantile(&hist, (double)(v + 1) / 256), v);
}

static void nothing_gives_zero_and_the_extremes_count(void **state)
{
    (void)state;
    assert_int_equal(load_hist_quantile(&hist, 0.99), 0);
    assert_true(load_hist_mean(&hist) == 0);
    load_hist_add(&hist, -5, 1);
    load_hist_add(&hist, INT64_MAX, 1);
    assert_int_equal(load_hist_quantile(&hist, 0.5), 0);
    assert_int_equal(load_hist_quantile(&hist, 1), LOAD_HIST_MAX);
}

static void two_become_one(void **state)
{
    (void)state;
    load_hist_add(&hist, 10, 3);
    load_hist_add(&other, 200, 1);
    load_hist_merge(&hist, &other);
    assert_int_equal(hist.total, 4);
    assert_int_equal(hist.max, 200);
    assert_int_equal(load_hist_quantile(&hist, 0.75), 10);
    assert_int_equal(load_hist_quantile(&hist, 0.76), 200);
    assert_true(load_hist_mean(&hist) == 57.5);
}

/* Tene's example: a request each 10 ms over 100 s, then one of 100 s. */
static void the_correction_adds_what_was_not_asked(void **state)
{
    (void)state;
    load_hist_add(&hist, NX_MS, 10000);
    load_hist_add(&hist, 100 * NX_SEC, 1);
    assert_true(load_hist_quantile(&hist, 0.99) < 2 * NX_MS);
    load_hist_correct(&hist, 10 * NX_MS, &other);
    assert_int_equal(other.total, 20000);
    assert_true(load_hist_quantile(&other, 0.75) > 49 * NX_SEC);
    assert_true(load_hist_quantile(&other, 0.75) < 51 * NX_SEC);
    assert_int_equal(other.max, hist.max);
}

static void what_is_quick_needs_no_correction(void **state)
{
    (void)state;
    load_hist_add(&hist, 100, 7);
    load_hist_correct(&hist, 100, &other);
    assert_int_equal(other.total, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(quantiles_are_within_a_hundredth, empty),
        cmocka_unit_test_setup(small_values_are_exact, empty),
        cmocka_unit_test_setup(nothing_gives_zero_and_the_extremes_count, empty),
        cmocka_unit_test_setup(two_become_one, empty),
        cmocka_unit_test_setup(the_correction_adds_what_was_not_asked, empty),
        cmocka_unit_test_setup(what_is_quick_needs_no_correction, empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
