/* A walk over a set of ranks: each once, ascending, at both ends of the word. */
#include "group/view/rankset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_empty_set_has_no_turn(void **state)
{
    (void)state;
    for (nx_rankset left = 0; left;)
        fail_msg("rank %u", nx_rankset_take(&left));
}

static void each_rank_comes_once_and_in_order(void **state)
{
    (void)state;
    nx_rankset set = NX_RANK_BIT(0) | NX_RANK_BIT(5) | NX_RANK_BIT(31) | NX_RANK_BIT(63);
    nx_rankset seen = 0;
    for (nx_rankset left = set; left;) {
        nx_rank rank = nx_rankset_take(&left);
        assert_true(seen < NX_RANK_BIT(rank));
        seen |= NX_RANK_BIT(rank);
        assert_int_equal(seen | left, set);
        assert_int_equal(seen & left, 0);
    }
    assert_int_equal(seen, set);
}

static void the_first_stays(void **state)
{
    (void)state;
    nx_rankset left = NX_RANK_BIT(7) | NX_RANK_BIT(9);
    assert_int_equal(nx_rankset_first(left), 7);
    assert_int_equal(nx_rankset_take(&left), 7);
    assert_int_equal(nx_rankset_first(left), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_set_has_no_turn),
        cmocka_unit_test(each_rank_comes_once_and_in_order),
        cmocka_unit_test(the_first_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
