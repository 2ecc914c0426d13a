#include "group/membership/mb_suspect.h"
#include "nx_test.h"

static void expect_loss(struct nx_suspect *suspect, nx_rank rank, bool clean, const char *why)
{
    nx_rank lost;
    bool was_clean;
    const char *reason;
    assert_true(nx_suspect_next(suspect, &lost, &was_clean, &reason));
    assert_int_equal(lost, rank);
    assert_int_equal(was_clean, clean);
    assert_string_equal(reason, why);
}

static void expect_no_loss(struct nx_suspect *suspect)
{
    nx_rank lost;
    bool clean;
    const char *why;
    assert_false(nx_suspect_next(suspect, &lost, &clean, &why));
}

static void a_failure_is_reported_once_with_its_first_reason(void **state)
{
    (void)state;
    struct nx_suspect s;
    nx_suspect_init(&s, 0, 3);
    nx_suspect_fail(&s, 2, "first");
    nx_suspect_fail(&s, 2, "second");
    nx_suspect_hear(&s, 4);
    assert_int_equal(s.alive, 3);
    assert_int_equal(s.suspected, 4);
    expect_loss(&s, 2, false, "first");
    expect_no_loss(&s);
}

static void a_leaver_is_reachable_but_not_alive_and_its_end_is_clean(void **state)
{
    (void)state;
    struct nx_suspect s;
    nx_suspect_init(&s, 0, 2);
    nx_suspect_hear_leave(&s, 1);
    assert_int_equal(s.alive, 1);
    assert_int_equal(s.reachable, 3);
    expect_loss(&s, 1, true, "it left");
    nx_suspect_fail(&s, 1, "closed");
    assert_int_equal(s.reachable, 1);
    assert_int_equal(s.suspected, 2); /* it takes no part any more */
    expect_no_loss(&s);
}

static void suspicions_beyond_the_view_are_nothing_and_of_us_are_final(void **state)
{
    (void)state;
    struct nx_suspect s;
    nx_suspect_init(&s, 1, 2);
    nx_suspect_hear(&s, ~(nx_rankset)3);
    assert_int_equal(s.alive, 3);
    assert_false(s.fenced);
    nx_suspect_hear(&s, 2);
    assert_true(s.fenced);
}

static void a_leave_ends_with_all_receipts_or_with_patience(void **state)
{
    (void)state;
    struct nx_suspect s;
    nx_suspect_init(&s, 0, 3);
    nx_suspect_settle_leave(&s, 7, 5);
    assert_false(s.left);
    nx_suspect_leave(&s, 10);
    nx_suspect_settle_leave(&s, 2, 20);
    assert_false(s.left);
    nx_suspect_fail(&s, 2, "gone");
    nx_suspect_settle_leave(&s, 2, 30);
    assert_true(s.left);
    nx_suspect_init(&s, 0, 2);
    nx_suspect_leave(&s, 10);
    nx_suspect_leave(&s, 500); /* asking again does not begin again */
    nx_suspect_settle_leave(&s, 0, 10 + NX_LEAVE_PATIENCE_NS - 1);
    assert_false(s.left);
    nx_suspect_settle_leave(&s, 0, 10 + NX_LEAVE_PATIENCE_NS);
    assert_true(s.left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_reported_once_with_its_first_reason),
        cmocka_unit_test(a_leaver_is_reachable_but_not_alive_and_its_end_is_clean),
        cmocka_unit_test(suspicions_beyond_the_view_are_nothing_and_of_us_are_final),
        cmocka_unit_test(a_leave_ends_with_all_receipts_or_with_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
