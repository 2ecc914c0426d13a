#include "group/membership/mb_change.h"
#include "nx_test.h"

enum { ALL_3 = 7, ALL_5 = 31 };

static uint64_t stance(nx_rankset suspected, nx_rankset removal)
{
    return nx_stance_word((struct nx_stance){(uint32_t)suspected, (uint32_t)removal});
}

/* Member `self` of `members` that sees every other's wedge, with as many messages as its rank. */
static struct nx_change wedged(nx_rank self, nx_rankset members, nx_rankset suspected)
{
    struct nx_change change;
    nx_change_begin(&change, 4, self, members, 0);
    for (nx_rank r = 0; r < 5; r++)
        if ((members & ~suspected & NX_RANK_BIT(r)) && r != self)
            nx_change_hear_wedged(&change, r, r + 1);
    nx_change_turn(&change, suspected, 0, self);
    return change;
}

static void without_a_loss_nothing_moves(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, ALL_3, 0);
    assert_false(nx_change_turn(&change, 0, 0, 9));
    assert_int_equal(change.state, NX_CHANGE_STEADY);
    assert_false(change.wedged);
}

/* "A member that sees another's WEDGED wedges", and its count is frozen. */
static void a_wedge_is_catching_and_freezes_the_count(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 2, ALL_3, 0);
    nx_change_hear_wedged(&change, 0, 6);
    assert_true(nx_change_turn(&change, 0, 0, 9));
    assert_int_equal(change.state, NX_CHANGE_AWAIT_WEDGES);
    assert_int_equal(change.count, 9);
    nx_change_turn(&change, 0, 0, 12);
    assert_int_equal(change.count, 9);
    nx_change_hear_wedged(&change, 0, 8); /* nor does another's change */
    assert_int_equal(change.counts[0], 5);
}

static void the_leader_proposes_once_all_counts_are_known(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, ALL_3, 0);
    nx_change_turn(&change, 4, 0, 3);
    assert_int_equal(change.removal, 0);
    nx_change_hear_wedged(&change, 1, 4);
    nx_change_turn(&change, 4, 0, 3);
    assert_int_equal(change.removal, 4);
    assert_int_equal(change.state, NX_CHANGE_AWAIT_STANCES);
    nx_change_hear_stance(&change, 1, stance(0, 4)); /* not our stance yet */
    nx_change_turn(&change, 4, 0, 3);
    assert_int_equal(change.decided, 0);
    nx_change_hear_stance(&change, 1, stance(4, 4));
    assert_true(nx_change_turn(&change, 4, 0, 3));
    assert_int_equal(change.decided, 4);
    assert_int_equal(nx_trim_compute(&change, ALL_3), 3);
    assert_int_equal(nx_trim_compute(&change, 1), 3);
}

/* "A follower accepts what its leader shows, if that one knows that it leads." */
static void a_follower_follows_a_leader_that_leads(void **state)
{
    (void)state;
    struct nx_change change = wedged(2, ALL_3, 1);
    nx_change_hear_stance(&change, 1, stance(0, 1)); /* an acceptance of rank 0's proposal */
    nx_change_turn(&change, 1, 0, 2);
    assert_int_equal(change.removal, 0);
    nx_change_hear_stance(&change, 1, stance(1, 1));
    nx_change_turn(&change, 1, 0, 2);
    assert_int_equal(change.removal, 1);
    nx_change_hear_decision(&change, nx_decision_word(5, 3)); /* another removal: not ours */
    nx_change_hear_decision(&change, nx_decision_word(6, 1)); /* another view */
    assert_int_equal(change.decided, 0);
    nx_change_hear_decision(&change, nx_decision_word(5, 1));
    assert_int_equal(change.decided, 1);
}

/* A leave is told by the leader's proposal, too: the leaver's own word may be late. */
static void who_is_removed_without_suspicion_leaves(void **state)
{
    (void)state;
    struct nx_change change = wedged(2, ALL_3, 0);
    nx_change_hear_stance(&change, 0, stance(0, 2));
    nx_change_turn(&change, 0, 0, 2);
    assert_int_equal(change.leavers, 2);
}

/* "keep": what all whom it counts on accepted may be decided already, also if the leader that proposed it is dead. */
static void a_new_leader_keeps_what_all_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_5, 16);
    nx_change_hear_stance(&change, 0, stance(16, 16));
    nx_change_turn(&change, 16, 0, 1);
    assert_int_equal(change.removal, 16);
    nx_change_turn(&change, 17, 0, 1); /* the leader dies */
    nx_change_hear_stance(&change, 2, stance(17, 16));
    nx_change_hear_stance(&change, 3, stance(17, 16));
    nx_change_turn(&change, 17, 0, 1);
    assert_int_equal(change.decided, 16);
}

static void a_new_leader_proposes_more_if_one_had_not_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_5, 16);
    nx_change_hear_stance(&change, 0, stance(16, 16));
    nx_change_turn(&change, 16, 0, 1);
    nx_change_hear_stance(&change, 2, stance(16, 16)); /* no promise yet */
    nx_change_hear_stance(&change, 3, stance(17, 0));
    nx_change_turn(&change, 17, 0, 1);
    assert_int_equal(change.removal, 16);
    nx_change_hear_stance(&change, 2, stance(17, 16));
    nx_change_turn(&change, 17, 0, 1);
    assert_int_equal(change.removal, 17);
}

/* "More than half of V(k)", and the leavers that take part are of it. */
static void half_is_blocked_and_a_leaver_counts(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, 3, 0);
    nx_change_turn(&change, 2, 0, 0);
    assert_int_equal(change.state, NX_CHANGE_BLOCKED);
    nx_change_begin(&change, 4, 0, 3, 0);
    nx_change_hear_wedged(&change, 1, 1);
    nx_change_turn(&change, 0, 2, 0);
    assert_int_equal(change.removal, 2);
    nx_change_hear_stance(&change, 1, stance(0, 2));
    nx_change_turn(&change, 0, 2, 0);
    assert_int_equal(change.decided, 2);
}

/* What a hostile row may say. */
static void nonsense_is_not_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_3, 4);
    nx_change_hear_stance(&change, 0, stance(4, 1u << 9)); /* no member */
    nx_change_turn(&change, 4, 0, 1);
    assert_int_equal(change.removal, 0);
    nx_change_hear_decision(&change, nx_decision_word(5, 0));
    nx_change_turn(&change, 4, 0, 1);
    assert_int_equal(change.decided, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_loss_nothing_moves),
        cmocka_unit_test(a_wedge_is_catching_and_freezes_the_count),
        cmocka_unit_test(the_leader_proposes_once_all_counts_are_known),
        cmocka_unit_test(a_follower_follows_a_leader_that_leads),
        cmocka_unit_test(who_is_removed_without_suspicion_leaves),
        cmocka_unit_test(a_new_leader_keeps_what_all_accepted),
        cmocka_unit_test(a_new_leader_proposes_more_if_one_had_not_accepted),
        cmocka_unit_test(half_is_blocked_and_a_leaver_counts),
        cmocka_unit_test(nonsense_is_not_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
