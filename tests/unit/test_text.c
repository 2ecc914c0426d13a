#include "common/text.h"
#include "nx_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void text_grows(void **state)
{
    (void)state;
    struct nx_text t;
    nx_text_init(&t, 100000);
    assert_null(t.at);
    for (int i = 0; i < 5000; i++)
        nx_text_printf(&t, "%d,", i % 10);
    assert_false(t.bad);
    assert_int_equal(t.len, 10000);
    assert_int_equal(strlen(t.at), 10000);
    nx_text_free(&t);
}

static void the_bound_holds(void **state)
{
    (void)state;
    struct nx_text t;
    nx_text_init(&t, 5);
    nx_text_add(&t, "hello");
    assert_false(t.bad);
    nx_text_add(&t, "!");
    assert_true(t.bad);
    nx_text_add(&t, "");
    assert_true(t.bad);
    assert_string_equal(t.at, "hello");
    nx_text_free(&t);
}

static void strings_are_json(void **state)
{
    (void)state;
    struct nx_text t;
    nx_text_init(&t, 1000);
    nx_text_json(&t, "a\"\\\n\x01/\xc3\xa9\xff\x80z\0", 12);
    assert_string_equal(t.at, "\"a\\\"\\\\\\n\\u0001/\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz\\u0000\"");
    nx_text_free(&t);
}

static void floats_read_back(void **state)
{
    (void)state;
    const float values[] = {0,        1,       -2.5f,  0.1f,  1e-38f,   3.4028235e38f,
                            16777216, 0.9408f, 1e-45f, -0.0f, 123456792};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct nx_text t;
        nx_text_init(&t, 1000);
        nx_text_float(&t, values[i]);
        assert_true(strtof(t.at, NULL) == values[i]);
        nx_text_free(&t);
    }
    struct nx_text t;
    nx_text_init(&t, 1000);
    nx_text_float(&t, NAN);
    nx_text_float(&t, INFINITY);
    assert_string_equal(t.at, "nullnull");
    nx_text_free(&t);
}

static void assert_float_is(float value, const char *want)
{
    struct nx_text t;
    nx_text_init(&t, 1000);
    nx_text_float(&t, value);
    assert_string_equal(t.at, want);
    nx_text_free(&t);
}

static void floats_are_short(void **state)
{
    (void)state;
    assert_float_is(0.1f, "0.1");
    assert_float_is(-0.1f, "-0.1");
    assert_float_is(1, "1");
    assert_float_is(0, "0");
    assert_float_is(100, "100");
    assert_float_is(0.0001f, "0.0001");
    assert_float_is(999999.5f, "999999.5");
    assert_float_is(0.99999994f, "0.99999994");
    assert_float_is(123456792, "123456792");
    assert_float_is(999999936, "999999936");
    assert_float_is(1e20f, "1e+20");
    assert_float_is(0.33333334f, "0.33333334");
    assert_float_is(16777217.0f, "16777216");
    assert_float_is(1e-5f, "1e-05");
    assert_float_is(-1.2345679e-7f, "-1.2345679e-07");
    assert_float_is(2.5e-11f, "2.5e-11");
    assert_float_is(1e-13f, "1e-13");
    assert_float_is(1e-20f, "1e-20");
}

/* Every pattern of bits that is a number, in steps that meet all exponents; and what is around powers of ten. */
static void every_float_reads_back(void **state)
{
    (void)state;
    for (uint64_t bits = 0; bits < UINT64_C(1) << 32; bits += 99991) {
        uint32_t pattern = (uint32_t)bits;
        float value;
        struct nx_text t;
        memcpy(&value, &pattern, sizeof value);
        if (!isfinite(value))
            continue;
        nx_text_init(&t, 100);
        nx_text_float(&t, value);
        if (strtof(t.at, NULL) != value)
            fail_msg("%s is not %.9g", t.at, (double)value);
        nx_text_free(&t);
    }
    for (float power = 1e-15f; power < 1e11f; power *= 10) {
        float value = power;
        for (int i = 0; i < 64; i++)
            value = nextafterf(value, 0);
        for (int i = 0; i < 128; i++, value = nextafterf(value, INFINITY)) {
            struct nx_text t;
            nx_text_init(&t, 100);
            nx_text_float(&t, value);
            if (strtof(t.at, NULL) != value)
                fail_msg("%s is not %.9g", t.at, (double)value);
            nx_text_free(&t);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows),       cmocka_unit_test(the_bound_holds),
        cmocka_unit_test(strings_are_json), cmocka_unit_test(floats_read_back),
        cmocka_unit_test(floats_are_short), cmocka_unit_test(every_float_reads_back),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
