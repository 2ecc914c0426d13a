#include "categorizer/model/symbol_attr.h"
#include "nx_test.h"

#include <math.h>

static void tuples_in_every_spelling(void **state)
{
    (void)state;
    static const char *const three_three[] = {"(3, 3)", "(3,3)", "[3, 3]", "(3L, 3L)",
                                              " ( 3 ,3,) "};
    struct nx_tuple t;
    for (size_t i = 0; i < sizeof three_three / sizeof *three_three; i++) {
        assert_true(nx_attr_tuple(three_three[i], &t));
        assert_int_equal(t.n, 2);
        assert_int_equal(t.items[0], 3);
        assert_int_equal(t.items[1], 3);
    }
    assert_true(nx_attr_tuple("()", &t) && t.n == 0);
    assert_true(nx_attr_tuple("(7,)", &t) && t.n == 1 && t.items[0] == 7);
    assert_true(nx_attr_tuple("-7", &t) && t.n == 1 && t.items[0] == -7);
    assert_true(nx_attr_tuple("(None, 1)", &t) && t.n == 2 && t.items[0] == NX_TUPLE_NONE);
}

static void what_is_no_tuple(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "(",
                                        "(3",
                                        "(3, x)",
                                        "3, 3)",
                                        "(3 3)",
                                        "(3)) ",
                                        "(1.5, 2)",
                                        "None,",
                                        "(,)",
                                        "[3)",
                                        "(--3)",
                                        "(99999999999999999999)"};
    struct nx_tuple t = {.n = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (nx_attr_tuple(wrong[i], &t))
            fail_msg("\"%s\" was taken for a tuple", wrong[i]);
    assert_int_equal(t.n, 77);
    char many[200] = "(1";
    for (int i = 0; i < 32; i++)
        many[2 + 2 * i] = ',', many[3 + 2 * i] = '1';
    many[66] = ')';
    assert_false(nx_attr_tuple(many, &t));
}

static void scalars(void **state)
{
    (void)state;
    int64_t i = 5;
    float f = 5;
    bool b = false;
    assert_true(nx_attr_int("64L", &i) && i == 64);
    assert_false(nx_attr_int("6x", &i) || nx_attr_int("", &i) || nx_attr_int("1e3", &i));
    assert_int_equal(i, 64);
    assert_true(nx_attr_bool("True", &b) && b);
    assert_true(nx_attr_bool("0", &b) && !b);
    assert_false(nx_attr_bool("yes", &b));
    assert_true(nx_attr_float("1e-4", &f) && fabsf(f - 1e-4f) < 1e-10f);
    assert_true(nx_attr_float("inf", &f) && isinf(f));
    assert_false(nx_attr_float("nan", &f) || nx_attr_float("1,5", &f) || nx_attr_float("", &f));
    assert_true(nx_attr_is_none("None") && !nx_attr_is_none("none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tuples_in_every_spelling),
        cmocka_unit_test(what_is_no_tuple),
        cmocka_unit_test(scalars),
    };
    return cmocka_run_group_tests_name("symbol attributes", tests, NULL, NULL);
}
