#include "group/membership/mb_change.h"
#include "nx_test.h"

enum { ALL_3 = 7, ALL_5 = 31 };

static bool turn(struct nx_change *change, nx_rankset suspected, nx_rankset leavers, uint64_t held)
{
    struct nx_change_facts facts = {
        .suspected = suspected, .leavers = leavers, .held = held, .has_state = true};
    return nx_change_turn(change, &facts);
}

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
            nx_change_hear_wedged(&change, r, nx_wedged_word(r, true));
    turn(&change, suspected, 0, self);
    return change;
}

static void without_a_loss_nothing_moves(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, ALL_3, 0);
    assert_false(turn(&change, 0, 0, 9));
    assert_int_equal(change.state, NX_CHANGE_STEADY);
    assert_false(change.wedged);
}

/* "A member that sees another's WEDGED wedges", and its count is frozen. */
static void a_wedge_is_catching_and_freezes_the_count(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 2, ALL_3, 0);
    nx_change_hear_wedged(&change, 0, nx_wedged_word(5, true));
    assert_true(turn(&change, 0, 0, 9));
    assert_int_equal(change.state, NX_CHANGE_AWAIT_WEDGES);
    assert_int_equal(change.count, 9);
    turn(&change, 0, 0, 12);
    assert_int_equal(change.count, 9);
    nx_change_hear_wedged(&change, 0, nx_wedged_word(7, true)); /* nor does another's change */
    assert_int_equal(change.counts[0], 5);
}

static void the_leader_proposes_once_all_counts_are_known(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, ALL_3, 0);
    turn(&change, 4, 0, 3);
    assert_int_equal(change.changed, 0);
    nx_change_hear_wedged(&change, 1, nx_wedged_word(3, true));
    turn(&change, 4, 0, 3);
    assert_int_equal(change.changed, 4);
    assert_int_equal(change.state, NX_CHANGE_AWAIT_STANCES);
    nx_change_hear_stance(&change, 1, stance(0, 4)); /* not our stance yet */
    turn(&change, 4, 0, 3);
    assert_int_equal(change.decided, 0);
    nx_change_hear_stance(&change, 1, stance(4, 4));
    assert_true(turn(&change, 4, 0, 3));
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
    turn(&change, 1, 0, 2);
    assert_int_equal(change.changed, 0);
    nx_change_hear_stance(&change, 1, stance(1, 1));
    turn(&change, 1, 0, 2);
    assert_int_equal(change.changed, 1);
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
    turn(&change, 0, 0, 2);
    assert_int_equal(change.leavers, 2);
}

/* "keep": what all whom it counts on accepted may be decided already, also if the leader that proposed it is dead. */
static void a_new_leader_keeps_what_all_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_5, 16);
    nx_change_hear_stance(&change, 0, stance(16, 16));
    turn(&change, 16, 0, 1);
    assert_int_equal(change.changed, 16);
    turn(&change, 17, 0, 1); /* the leader dies */
    nx_change_hear_stance(&change, 2, stance(17, 16));
    nx_change_hear_stance(&change, 3, stance(17, 16));
    turn(&change, 17, 0, 1);
    assert_int_equal(change.decided, 16);
}

static void a_new_leader_proposes_more_if_one_had_not_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_5, 16);
    nx_change_hear_stance(&change, 0, stance(16, 16));
    turn(&change, 16, 0, 1);
    nx_change_hear_stance(&change, 2, stance(16, 16)); /* no promise yet */
    nx_change_hear_stance(&change, 3, stance(17, 0));
    turn(&change, 17, 0, 1);
    assert_int_equal(change.changed, 16);
    nx_change_hear_stance(&change, 2, stance(17, 16));
    turn(&change, 17, 0, 1);
    assert_int_equal(change.changed, 17);
}

/* "More than half of V(k)", and the leavers that take part are of it. */
static void half_is_blocked_and_a_leaver_counts(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, 3, 0);
    turn(&change, 2, 0, 0);
    assert_int_equal(change.state, NX_CHANGE_BLOCKED);
    nx_change_begin(&change, 4, 0, 3, 0);
    nx_change_hear_wedged(&change, 1, nx_wedged_word(0, true));
    turn(&change, 0, 2, 0);
    assert_int_equal(change.changed, 2);
    nx_change_hear_stance(&change, 1, stance(0, 2));
    turn(&change, 0, 2, 0);
    assert_int_equal(change.decided, 2);
}

/* What a hostile row may say. */
static void nonsense_is_not_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_3, 4);
    nx_change_hear_stance(&change, 0, stance(4, 1u << 9)); /* no member */
    turn(&change, 4, 0, 1);
    assert_int_equal(change.changed, 0);
    nx_change_hear_decision(&change, nx_decision_word(5, 0));
    turn(&change, 4, 0, 1);
    assert_int_equal(change.decided, 0);
}

/* --- members that come --- */

static bool turn_with(struct nx_change *change, nx_rankset suspected, nx_rankset joins,
                      nx_rankset cards)
{
    struct nx_change_facts facts = {
        .suspected = suspected, .joins = joins, .cards = cards, .has_state = true};
    return nx_change_turn(change, &facts);
}

static void a_leader_makes_its_joins(void **state)
{
    (void)state;
    struct nx_change change;
    nx_change_begin(&change, 4, 0, 3, 0);
    assert_true(turn_with(&change, 0, 8, 8));
    assert_true(change.wedged);
    nx_change_hear_wedged(&change, 1, nx_wedged_word(0, false));
    turn_with(&change, 0, 8, 8);
    assert_int_equal(change.changed, 8);
    nx_change_hear_stance(&change, 1, stance(0, 8));
    turn_with(&change, 0, 8, 8);
    assert_int_equal(change.decided, 8);
    assert_int_equal(change.stateful, 1);
    assert_int_equal(nx_trim_compute(&change, 3), 0);
}

/* "A follower accepts a change with joins only if it holds the card of each." */
static void a_follower_accepts_only_whom_it_knows(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, 3, 0);
    nx_change_hear_stance(&change, 0, stance(0, 8 | 16));
    nx_change_hear_wedged(&change, 0, nx_wedged_word(0, true));
    turn_with(&change, 0, 0, 8);
    assert_int_equal(change.changed, 0);
    turn_with(&change, 0, 0, 8 | 16);
    assert_int_equal(change.changed, 8 | 16);
    assert_int_equal(change.leavers, 0);
    assert_int_equal(nx_change_joins(&change), 8 | 16);
}

/* Not all accepted what the dead leader proposed: its joins are not made. */
static void a_new_leader_drops_the_joins_of_another(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_3, 0);
    nx_change_hear_stance(&change, 0, stance(0, 8));
    nx_change_hear_wedged(&change, 0, nx_wedged_word(0, true));
    nx_change_hear_wedged(&change, 2, nx_wedged_word(0, true));
    turn_with(&change, 0, 0, 8);
    assert_int_equal(change.changed, 8);
    nx_change_hear_stance(&change, 2, stance(1, 0));
    turn_with(&change, 1, 16, 8 | 16);
    assert_int_equal(change.changed, 1 | 16);
    turn_with(&change, 1, 16, 8 | 16);
    assert_int_equal(change.changed, 1 | 16);
}

static void a_new_leader_keeps_joins_that_all_accepted(void **state)
{
    (void)state;
    struct nx_change change = wedged(1, ALL_3, 0);
    nx_change_hear_stance(&change, 0, stance(0, 8));
    nx_change_hear_wedged(&change, 0, nx_wedged_word(0, true));
    turn_with(&change, 0, 0, 8);
    nx_change_hear_stance(&change, 2, stance(1, 8));
    turn_with(&change, 1, 0, 8);
    assert_int_equal(change.decided, 8);
}

/* "Half of a view suffices if one of the others is known to be dead." */
static void a_half_goes_on_when_one_of_the_others_is_reborn(void **state)
{
    (void)state;
    struct nx_change change;
    struct nx_change_facts facts = {.suspected = 2};
    nx_change_begin(&change, 4, 0, 3, 0);
    nx_change_turn(&change, &facts);
    assert_int_equal(change.state, NX_CHANGE_BLOCKED);
    facts.reborn = 2;
    nx_change_turn(&change, &facts);
    assert_int_equal(change.decided, 2);
    nx_change_begin(&change, 4, 0, ALL_3, 0); /* a third does not, whoever is reborn */
    facts.suspected = facts.reborn = 6;
    nx_change_turn(&change, &facts);
    assert_int_equal(change.state, NX_CHANGE_BLOCKED);
    nx_change_begin(&change, 4, 0, 3, 0); /* nor does one that nobody suspects */
    facts = (struct nx_change_facts){.suspected = 2, .reborn = 1};
    nx_change_turn(&change, &facts);
    assert_int_equal(change.state, NX_CHANGE_BLOCKED);
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
        cmocka_unit_test(a_leader_makes_its_joins),
        cmocka_unit_test(a_follower_accepts_only_whom_it_knows),
        cmocka_unit_test(a_new_leader_drops_the_joins_of_another),
        cmocka_unit_test(a_new_leader_keeps_joins_that_all_accepted),
        cmocka_unit_test(a_half_goes_on_when_one_of_the_others_is_reborn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
