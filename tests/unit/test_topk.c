#include "categorizer/model/model.h"
#include "nx_test.h"

#include <math.h>

static void largest_first_and_ties_by_index(void **state)
{
    (void)state;
    const float values[] = {1, 5, 3, 5, -INFINITY, 4};
    struct nx_top top[6];
    assert_int_equal(nx_topk(values, 6, 4, top), 4);
    const uint32_t order[] = {1, 3, 5, 2};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(top[i].index, order[i]);
        assert_true(top[i].value == values[order[i]]);
    }
    assert_int_equal(nx_topk(values, 6, 100, (struct nx_top[100]){{0, 0}}), 6);
    assert_int_equal(nx_topk(values, 6, 0, top), 0);
}

static void a_nan_never_wins(void **state)
{
    (void)state;
    const float values[] = {NAN, -INFINITY, NAN, -2};
    struct nx_top top[4];
    assert_int_equal(nx_topk(values, 4, 4, top), 4);
    const uint32_t order[] = {3, 1, 0, 2};
    for (int i = 0; i < 4; i++)
        assert_int_equal(top[i].index, order[i]);
}

static void softmax_does_not_overflow(void **state)
{
    (void)state;
    float values[] = {1000, 1000, -1000};
    nx_softmax(values, 3);
    assert_true(values[0] == 0.5f && values[1] == 0.5f && values[2] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_first_and_ties_by_index),
        cmocka_unit_test(a_nan_never_wins),
        cmocka_unit_test(softmax_does_not_overflow),
    };
    return cmocka_run_group_tests_name("topk", tests, NULL, NULL);
}
