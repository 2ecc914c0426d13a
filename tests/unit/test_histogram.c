#include <float.h>
#include <math.h>
#include <string.h>

#include "categorizer/model/histogram.h"
#include "common/prng.h"
#include "nx_test.h"

static void zeros_have_no_width(void **state)
{
    (void)state;
    static struct nx_histogram h;
    static const float zeros[9] = {0};
    memset(&h, 0, sizeof h);
    assert_true(nx_histogram_percentile(&h, 99) == 0);
    nx_histogram_add(&h, zeros, 9);
    assert_int_equal(h.n, 9);
    assert_true(nx_histogram_percentile(&h, 99.9) == 0 && nx_histogram_percentile(&h, 100) == 0);
}

/* Against the sorted truth, whatever comes first: the width grows as it must. */
static void percentiles_are_off_by_a_bin(void **state)
{
    (void)state;
    enum { N = 4096u };
    for (uint64_t seed = 0; seed < 20; seed++) {
        static struct nx_histogram h;
        static float values[N];
        struct nx_prng prng;
        nx_prng_init(&prng, seed);
        memset(&h, 0, sizeof h);
        for (int i = 0; i < N; i++) {
            values[i] = (float)pow(nx_prng_unit(&prng), 3) * (i % 2 ? -8 : 8);
            nx_histogram_add(&h, &values[i], 1);
        }
        for (uint32_t percent = 1; percent <= 100; percent += 9) {
            double got = nx_histogram_percentile(&h, percent);
            uint32_t below = 0, surely = 0, n = N;
            for (int i = 0; i < N; i++) {
                below += fabs((double)values[i]) <= got;
                surely += fabs((double)values[i]) <= got - h.width;
            }
            assert_true(below >= n * percent / 100);
            assert_true(surely <= (n * percent + 99) / 100);
        }
        assert_true(h.width <= 8.0 / (NX_HISTOGRAM_BINS / 2));
        assert_true(nx_histogram_percentile(&h, 100) <= 8);
    }
}

static void extremes_are_numbers_like_others(void **state)
{
    (void)state;
    static struct nx_histogram h;
    static const float values[] = {FLT_TRUE_MIN, -1,       FLT_MAX,   -FLT_MAX,
                                   NAN,          INFINITY, -INFINITY, 0};
    memset(&h, 0, sizeof h);
    nx_histogram_add(&h, values, 8);
    assert_int_equal(h.n, 5);
    assert_int_equal(h.nonfinite, 3);
    assert_true(h.low == -FLT_MAX && h.high == FLT_MAX);
    assert_true(nx_histogram_percentile(&h, 100) == FLT_MAX);
    assert_true(nx_histogram_percentile(&h, 60) < FLT_MAX / 500);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < NX_HISTOGRAM_BINS; i++)
        sum += h.counts[i];
    assert_int_equal(sum, 5);
}

static void rare_large_values_are_cut(void **state)
{
    (void)state;
    static struct nx_histogram h;
    memset(&h, 0, sizeof h);
    for (int i = 0; i < 100000; i++) {
        float x = i == 500 ? 1000.0f : (float)(i % 100) / 100;
        nx_histogram_add(&h, &x, 1);
    }
    assert_true(nx_histogram_percentile(&h, 99.99) < 2);
    assert_true(nx_histogram_percentile(&h, 100) == 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_have_no_width),
        cmocka_unit_test(percentiles_are_off_by_a_bin),
        cmocka_unit_test(extremes_are_numbers_like_others),
        cmocka_unit_test(rare_large_values_are_cut),
    };
    return cmocka_run_group_tests_name("histogram", tests, NULL, NULL);
}
