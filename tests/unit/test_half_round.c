/* Rounding to f16 and bf16, against arithmetic in double. */
#include "nx_test.h"

#include <math.h>

#include "categorizer/graph/half_round.h"
#include "common/prng.h"

struct half {
    float (*round)(float x);
    int bits;        /* of the significand, the leading one among them */
    int least, most; /* exponents of normal numbers */
};

static float round_f16(float x)
{
    return nx_round_f16(x);
}

static float round_bf16(float x)
{
    return nx_round_bf16(x);
}

static const struct half halves[] = {{round_f16, 11, -14, 15}, {round_bf16, 8, -126, 127}};

/* In steps of the last bit; what is not below the next power of 2 is infinite. */
static float expected(const struct half *h, float x)
{
    if (x == 0 || isnan(x) || isinf(x))
        return x;
    int exponent = ilogb((double)x) < h->least ? h->least : ilogb((double)x);
    double step = ldexp(1, exponent - (h->bits - 1));
    double y = copysign(nearbyint(fabs((double)x) / step) * step, (double)x);
    return fabs(y) >= ldexp(1, h->most + 1) ? copysignf(INFINITY, x) : (float)y;
}

static void check(const struct half *h, float x)
{
    float y = h->round(x), e = expected(h, x);
    if (isnan(x))
        assert_true(isnan(y));
    else if (nx_half_bits(y) != nx_half_bits(e))
        fail_msg("%a rounded to %d bits is %a, %a was expected", (double)x, h->bits, (double)y,
                 (double)e);
    assert_true(isnan(y) || h->round(y) == y);
}

static void what_lies_near_a_step_and_in_the_middle(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++)
        for (uint32_t high = 0; high < 0x10000; high++)
            for (uint32_t low = 0; low < 0x10000; low += 0x1000)
                for (uint32_t near = 0; near < 3; near++)
                    check(&halves[i], nx_half_float((high << 16 | low) + near - 1));
}

static void anything(void **state)
{
    struct nx_prng prng = {0};
    (void)state;
    nx_prng_init(&prng, 7);
    for (int i = 0; i < 1000000; i++)
        check(&halves[i & 1], nx_half_float((uint32_t)nx_prng_u64(&prng)));
}

static void ends_of_the_range(void **state)
{
    (void)state;
    assert_true(nx_round_f16(65504) == 65504);
    assert_true(nx_round_f16(65519.99f) == 65504);
    assert_true(isinf(nx_round_f16(65520)));
    assert_true(nx_round_f16(-70000) == -INFINITY);
    assert_true(nx_round_f16(0x1p-24f) == 0x1p-24f);
    assert_true(nx_round_f16(0x1p-25f) == 0);
    assert_true(signbit(nx_round_f16(-0x1p-25f)));
    assert_true(isinf(nx_round_bf16(3.4e38f)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lies_near_a_step_and_in_the_middle),
        cmocka_unit_test(anything),
        cmocka_unit_test(ends_of_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
