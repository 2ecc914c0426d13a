#include "group/view/view.h"
#include "nx_test.h"

/* "F" nodes of subgroup 0, "C" of subgroup 1, in rank order. */
static struct nx_layout lay_out(const char *tiers, struct nx_subgroup_spec f,
                                struct nx_subgroup_spec c)
{
    struct nx_group_spec spec = {.subgroups_count = 2, .subgroups = {f, c}};
    struct nx_view view = {.vid = 1};
    for (; tiers[view.members_count]; view.members_count++)
        view.members[view.members_count] = (struct nx_member){
            .node = view.members_count, .subgroup = tiers[view.members_count] == 'C'};
    struct nx_layout layout;
    assert_int_equal(nx_view_assign(NULL, &spec, &view), 0);
    assert_int_equal(view.stateless, 0);
    nx_layout_compute(&view, &spec, &layout);
    return layout;
}

static const struct nx_subgroup_spec one_shard = {"F", 1, 1, 8, false},
                                     two_pairs = {"C", 2, 1, 2, false};

static void two_nodes_are_one_and_one(void **state)
{
    (void)state;
    struct nx_layout l = lay_out("FC", one_shard, (struct nx_subgroup_spec){"C", 1, 1, 8, false});
    assert_int_equal(l.shards[0][0].set, 1);
    assert_int_equal(l.shards[1][0].set, 2);
    assert_true(l.shards[0][0].adequate && l.shards[1][0].adequate);
}

static void four_nodes_are_two_and_two_whatever_the_order_of_starting(void **state)
{
    (void)state;
    struct nx_layout l = lay_out("CFFC", one_shard, (struct nx_subgroup_spec){"C", 1, 1, 8, false});
    assert_int_equal(l.shards[0][0].set, 2 | 4);
    assert_int_equal(l.shards[1][0].set, 1 | 8);
    assert_int_equal(l.shards[1][0].members[1], 3);
}

static void six_nodes_are_two_and_two_shards_of_two(void **state)
{
    (void)state;
    struct nx_layout l = lay_out("FFCCCC", one_shard, two_pairs);
    assert_int_equal(l.shards_count[1], 2);
    assert_int_equal(l.shards[1][0].set, 4 | 16);
    assert_int_equal(l.shards[1][1].set, 8 | 32);
    uint32_t shard;
    assert_true(nx_layout_shard_of(&l, 1, 3, &shard));
    assert_int_equal(shard, 1);
    assert_false(nx_layout_shard_of(&l, 1, 0, &shard));
    assert_false(nx_layout_shard_of(&l, 2, 0, &shard));
    assert_false(nx_layout_shard_of(&l, 1, NX_RANK_NONE, &shard));
}

/* Minimum first, shard after shard; what is left over spreads evenly; beyond max_nodes are spares.
 */
static void minimum_first_then_evenly_then_spares(void **state)
{
    (void)state;
    struct nx_subgroup_spec c = {"C", 2, 2, 3, false};
    struct nx_layout l = lay_out("CCC", one_shard, c);
    assert_int_equal(l.shards[1][0].set, 3);
    assert_int_equal(l.shards[1][1].set, 4);
    assert_true(l.shards[1][0].adequate);
    assert_false(l.shards[1][1].adequate);
    l = lay_out("CCCCCCCC", one_shard, c);
    assert_int_equal(l.shards[1][0].members_count, 3);
    assert_int_equal(l.shards[1][1].members_count, 3);
    uint32_t shard;
    assert_false(nx_layout_shard_of(&l, 1, 7, &shard));
    assert_false(l.shards[0][0].adequate);
}

/* --- one view after the other: one subgroup, "C" --- */

static struct nx_group_spec spec_of(struct nx_subgroup_spec c)
{
    return (struct nx_group_spec){.subgroups_count = 1, .subgroups = {c}};
}

static struct nx_view first_view(const struct nx_group_spec *spec, uint32_t members)
{
    struct nx_view view = {.vid = 1, .members_count = members};
    for (uint32_t r = 0; r < members; r++)
        view.members[r].node = 10 + r;
    nx_view_assign(NULL, spec, &view);
    return view;
}

/* The next view, without `gone`, and with node `comes` at `seat` if that is not 0. */
static struct nx_view next_of(const struct nx_view *view, const struct nx_group_spec *spec,
                              nx_rankset gone, nx_node comes, nx_rank seat, nx_rankset *lost)
{
    struct nx_view next = *view;
    next.vid++;
    next.vacant |= gone;
    if (comes) {
        next.vacant &= ~NX_RANK_BIT(seat);
        next.members[seat] = (struct nx_member){.node = comes};
        if (seat >= next.members_count)
            next.members_count = seat + 1;
    }
    *lost = nx_view_assign(view, spec, &next);
    return next;
}

static void who_comes_fills_the_shard_that_lacks_members_and_lacks_its_state(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of((struct nx_subgroup_spec){"C", 2, 2, 4, false});
    struct nx_view view = first_view(&spec, 4);
    nx_rankset lost;
    struct nx_view next = next_of(&view, &spec, 4, 99, 4, &lost);
    struct nx_layout l;
    nx_layout_compute(&next, &spec, &l);
    assert_int_equal(l.shards[0][0].set, 3);
    assert_int_equal(l.shards[0][1].set, 8 | 16);
    assert_int_equal(next.stateless, 16);
    assert_int_equal(l.shards[0][1].stateless, 16);
    assert_int_equal(l.shards[0][1].donor, 3);
    assert_false(l.shards[0][1].adequate); /* two members, one with state */
    assert_int_equal(next.members[4].since, 2);
    assert_int_equal(next.members[3].since, 1);
    assert_int_equal(lost, 0);
}

static void take_card(struct nx_view *next, nx_rank seat, nx_node node, uint64_t keeps)
{
    next->members[seat] = (struct nx_member){.node = node, .shard = 0, .keeps = keeps};
    next->vacant &= ~NX_RANK_BIT(seat);
    next->members_count = seat >= next->members_count ? seat + 1 : next->members_count;
}

/* Nobody but who was there when the state was last anywhere can bring it back. */
static void a_shard_on_disks_waits_for_its_keepers(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of((struct nx_subgroup_spec){"C", 2, 1, 2, true});
    struct nx_view view = first_view(&spec, 4), next; /* shards {0, 2} and {1, 3} */
    nx_rankset lost;
    struct nx_layout l;
    next = next_of(&view, &spec, 4, 0, 0, &lost);
    assert_int_equal(next.keepers_count, 0);
    view = next_of(&next, &spec, 1, 0, 0, &lost);
    assert_int_equal(view.keepers_count, 1); /* node 12 knows less: it is not waited for */
    assert_true(nx_view_keeper(&view, 10, 0, 0) && !nx_view_keeper(&view, 12, 0, 0));
    assert_true(view.keepers[0].vid == 2 && !view.keepers[0].late);
    assert_int_equal(view.base[0][0], 1);
    next = next_of(&view, &spec, 0, 99, 4, &lost); /* a fresh one */
    assert_int_equal(next.members[4].shard, 0);
    assert_int_equal(next.stateless, 16);
    assert_int_equal(next.keepers_count, 1);
    view = next;
    view.vid++;
    take_card(&view, 0, 10, 41);
    nx_view_assign(&next, &spec, &view);
    nx_layout_compute(&view, &spec, &l);
    assert_int_equal(l.shards[0][0].set, 1 | 16);
    assert_int_equal(l.shards[0][0].donor, 0);
    assert_int_equal(view.stateless, 16);
    assert_int_equal(view.base[0][0], 40);
    assert_int_equal(view.keepers_count, 0);
    assert_int_equal(view.members[0].keeps, 0);
}

/* Of two that say so in one view, and of one that says so of a shard that lives, the state is the others'. */
static void a_log_counts_only_where_nobody_has_the_state(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of((struct nx_subgroup_spec){"C", 1, 1, 4, true});
    struct nx_view view = first_view(&spec, 3), next;
    nx_rankset lost;
    next = view;
    next.vid++;
    take_card(&next, 3, 99, 7);
    nx_view_assign(&view, &spec, &next);
    assert_int_equal(next.stateless, 8);
    assert_int_equal(next.base[0][0], 0);
    view.members[2].subgroup = 0;
    next = next_of(&view, &spec, 7, 0, 0, &lost);
    assert_int_equal(next.keepers_count, 3);
    view = next;
    view.vid++;
    take_card(&view, 0, 10, 7);
    take_card(&view, 1, 11, 9);
    nx_view_assign(&next, &spec, &view);
    assert_int_equal(view.stateless, 2);
    assert_int_equal(view.base[0][0], 6);
}

static void a_spare_goes_before_who_comes(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of((struct nx_subgroup_spec){"C", 1, 1, 2, false});
    struct nx_view view = first_view(&spec, 3);
    assert_int_equal(view.members[2].shard, NX_SHARD_NONE);
    nx_rankset lost;
    struct nx_view next = next_of(&view, &spec, 2, 99, 3, &lost);
    assert_int_equal(next.members[2].shard, 0);
    assert_int_equal(next.members[3].shard, NX_SHARD_NONE);
    assert_int_equal(next.stateless, 4);
}

/* The seat of one that is gone is another's: it keeps nothing. */
static void a_new_owner_of_a_seat_is_new(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of((struct nx_subgroup_spec){"C", 1, 1, 8, false});
    struct nx_view view = first_view(&spec, 2);
    nx_rankset lost;
    struct nx_view next = next_of(&view, &spec, 0, 99, 1, &lost);
    assert_int_equal(next.members[1].since, 2);
    assert_int_equal(next.stateless, 2);
}

static void a_shard_that_nobody_has_the_state_of_begins_empty(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of((struct nx_subgroup_spec){"C", 1, 1, 8, false});
    struct nx_view view = first_view(&spec, 2);
    nx_rankset lost;
    struct nx_view next = next_of(&view, &spec, 3, 99, 2, &lost);
    assert_int_equal(next.stateless, 0);
    assert_int_equal(lost, 0); /* nothing was ever delivered there */
    view.base[0][0] = 7;
    next = next_of(&view, &spec, 3, 99, 2, &lost);
    assert_int_equal(next.stateless, 0);
    assert_int_equal(lost, 4);
    spec.subgroups[0].persistent = true;
    next = next_of(&view, &spec, 3, 99, 2, &lost);
    assert_int_equal(next.stateless, 4);
    assert_int_equal(lost, 0);
    struct nx_layout l;
    nx_layout_compute(&next, &spec, &l);
    assert_false(l.shards[0][0].adequate);
    assert_int_equal(l.shards[0][0].donor, NX_RANK_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_are_one_and_one),
        cmocka_unit_test(four_nodes_are_two_and_two_whatever_the_order_of_starting),
        cmocka_unit_test(six_nodes_are_two_and_two_shards_of_two),
        cmocka_unit_test(minimum_first_then_evenly_then_spares),
        cmocka_unit_test(who_comes_fills_the_shard_that_lacks_members_and_lacks_its_state),
        cmocka_unit_test(a_shard_on_disks_waits_for_its_keepers),
        cmocka_unit_test(a_log_counts_only_where_nobody_has_the_state),
        cmocka_unit_test(a_spare_goes_before_who_comes),
        cmocka_unit_test(a_new_owner_of_a_seat_is_new),
        cmocka_unit_test(a_shard_that_nobody_has_the_state_of_begins_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
