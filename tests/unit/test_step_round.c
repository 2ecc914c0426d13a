/* Rounding to steps, against QuantizeLinear and DequantizeLinear in double. */
#include "nx_test.h"

#include <math.h>

#include "categorizer/graph/step_round.h"
#include "common/prng.h"

static float expected(float x, float step, int zero, int least, int most)
{
    double q = nearbyint((double)(x / step)) + zero;
    q = q > least ? q : least; /* of a NaN, too */
    q = q < most ? q : most;
    return (float)(q - zero) * step;
}

static void check(float x, float step, int zero, int least, int most)
{
    float y = nx_round_steps(x, step, (float)(least - zero), (float)(most - least));
    float e = expected(x, step, zero, least, most);
    if (y != e)
        fail_msg("%a in steps of %a from %d to %d, zero %d: %a, not %a", (double)x, (double)step,
                 least, most, zero, (double)y, (double)e);
}

static const int limits[][2] = {{0, 255}, {-128, 127}, {0, 65535}, {-32768, 32767}};

static void every_step_and_half_step_of_8_bits(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++)
        for (int zero = limits[k][0]; zero <= limits[k][1]; zero++)
            for (int half = -600; half <= 600; half++) {
                check((float)half / 2, 1, zero, limits[k][0], limits[k][1]);
                check((float)half * 0.013f / 2, 0.013f, zero, limits[k][0], limits[k][1]);
            }
}

static void random_values_of_all_kinds(void **state)
{
    (void)state;
    struct nx_prng prng;
    nx_prng_init(&prng, 7);
    for (int i = 0; i < 1000000; i++) {
        const int *at = limits[nx_prng_below(&prng, 4)];
        int zero = at[0] + (int)nx_prng_below(&prng, (uint64_t)(at[1] - at[0]) + 1);
        float step = ldexpf(1 + (float)nx_prng_below(&prng, 1000) / 1000,
                            (int)nx_prng_below(&prng, 40) - 30);
        float place = (float)((double)nx_prng_below(&prng, 1 << 24) / (1 << 23) - 1);
        check(step * place * (float)(1 << nx_prng_below(&prng, 20)), step, zero, at[0], at[1]);
    }
}

static void what_is_no_number_or_beyond_all(void **state)
{
    (void)state;
    const float odd[] = {NAN,      -NAN,   INFINITY, -INFINITY, 3.4e38f,
                         -3.4e38f, 1e-45f, -1e-45f,  0,         -0.0f};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        for (int k = 0; k < 4; k++) {
            check(odd[i], 1e-30f, limits[k][0] + 9, limits[k][0], limits[k][1]);
            check(odd[i], 0.5f, limits[k][1], limits[k][0], limits[k][1]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_and_half_step_of_8_bits),
        cmocka_unit_test(random_values_of_all_kinds),
        cmocka_unit_test(what_is_no_number_or_beyond_all),
    };
    return cmocka_run_group_tests_name("step_round", tests, NULL, NULL);
}
