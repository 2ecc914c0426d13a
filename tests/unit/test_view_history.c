/* What an operator is told of view changes: cause, duration, the bound. */
#include "function_tier/view_history.h"
#include "nx_test.h"

#include <string.h>

static struct nx_view view_of(nx_vid vid, uint32_t count, const nx_node *nodes, nx_rankset vacant)
{
    struct nx_view view = {.vid = vid, .members_count = count, .vacant = vacant};
    for (uint32_t r = 0; r < count; r++)
        view.members[r].node = nodes[r];
    return view;
}

static const struct nx_view_change *latest(const struct nx_view_history *h)
{
    return nx_view_history_at(h, nx_view_history_count(h) - 1);
}

static void install(struct nx_view_history *h, struct nx_view view, nx_ns now)
{
    nx_view_history_view(h, &view, now, 1000 * now);
}

static void the_first_view_formed_the_group(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    assert_int_equal(nx_view_history_count(&h), 0);
    install(&h, view_of(1, 2, (nx_node[]){10, 11}, 0), 5);
    assert_int_equal(nx_view_history_count(&h), 1);
    assert_string_equal(latest(&h)->cause, "the group formed");
    assert_int_equal(latest(&h)->members, 2);
    assert_int_equal(latest(&h)->wall, 5000);
    assert_int_equal(latest(&h)->took, 0);
    assert_int_equal(h.measured, 0);
}

static void who_begins_in_a_later_view_joined(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    install(&h, view_of(9, 2, (nx_node[]){10, 11}, 0), 5);
    assert_string_equal(latest(&h)->cause, "this node joined");
}

static void a_failure_is_measured_from_its_first_sign(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    install(&h, view_of(1, 3, (nx_node[]){10, 11, 12}, 0), 5);
    nx_view_history_down(&h, 2, false, "connection lost", 100);
    nx_view_history_down(&h, 1, true, NULL, 130);
    install(&h, view_of(2, 3, (nx_node[]){10, 11, 12}, NX_RANK_BIT(1) | NX_RANK_BIT(2)), 150);
    assert_string_equal(latest(&h)->cause, "node 11 left; node 12 failed: connection lost");
    assert_int_equal(latest(&h)->took, 50);
    assert_int_equal(latest(&h)->members, 1);
    assert_int_equal(h.measured, 1);
    assert_int_equal(h.took, 50);
}

static void what_was_missed_is_forgotten_with_the_view(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    install(&h, view_of(1, 2, (nx_node[]){10, 11}, 0), 5);
    nx_view_history_down(&h, 1, true, NULL, 10);
    install(&h, view_of(2, 2, (nx_node[]){10, 11}, NX_RANK_BIT(1)), 20);
    install(&h, view_of(3, 2, (nx_node[]){10, 12}, 0), 30);
    assert_string_equal(latest(&h)->cause, "node 12 joined");
    assert_int_equal(latest(&h)->took, 0);
    install(&h, view_of(4, 2, (nx_node[]){10, 12}, NX_RANK_BIT(1)), 40);
    assert_string_equal(latest(&h)->cause, "node 12 failed");
}

static void a_seat_that_changes_hands_is_both(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    install(&h, view_of(1, 2, (nx_node[]){10, 11}, 0), 5);
    install(&h, view_of(2, 2, (nx_node[]){10, 12}, 0), 6);
    assert_string_equal(latest(&h)->cause, "node 11 failed; node 12 joined");
    install(&h, view_of(3, 2, (nx_node[]){10, 12}, 0), 7);
    assert_string_equal(latest(&h)->cause, "shards were given out again");
}

static void only_the_last_ones_are_kept(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    for (nx_vid vid = 1; vid <= 40; vid++)
        install(&h, view_of(vid, 2, (nx_node[]){10, 11}, vid % 2 ? 0 : 2), (nx_ns)vid);
    assert_int_equal(nx_view_history_count(&h), NX_VIEW_CHANGES_MAX);
    assert_int_equal(nx_view_history_at(&h, 0)->vid, 9);
    assert_int_equal(latest(&h)->vid, 40);
    assert_int_equal(h.total, 40);
}

static void long_stories_are_cut(void **state)
{
    (void)state;
    struct nx_view_history h = {0};
    nx_node nodes[NX_MEMBERS_MAX];
    char why[400];
    memset(why, 'y', sizeof why);
    why[sizeof why - 1] = 0;
    for (nx_node r = 0; r < NX_MEMBERS_MAX; r++)
        nodes[r] = 1000000 + r;
    install(&h, view_of(1, NX_MEMBERS_MAX, nodes, 0), 1);
    for (nx_rank r = 1; r < NX_MEMBERS_MAX; r++)
        nx_view_history_down(&h, r, false, why, 2);
    install(&h, view_of(2, NX_MEMBERS_MAX, nodes, 0xfffffffe), 3);
    assert_int_equal(strlen(latest(&h)->cause), NX_VIEW_CAUSE_BYTES - 1);
    assert_int_equal(latest(&h)->members, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_view_formed_the_group),
        cmocka_unit_test(who_begins_in_a_later_view_joined),
        cmocka_unit_test(a_failure_is_measured_from_its_first_sign),
        cmocka_unit_test(what_was_missed_is_forgotten_with_the_view),
        cmocka_unit_test(a_seat_that_changes_hands_is_both),
        cmocka_unit_test(only_the_last_ones_are_kept),
        cmocka_unit_test(long_stories_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
