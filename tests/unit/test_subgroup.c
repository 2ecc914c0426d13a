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
    nx_layout_compute(&view, &spec, &layout);
    return layout;
}

static const struct nx_subgroup_spec one_shard = {"F", 1, 1, 8}, two_pairs = {"C", 2, 1, 2};

static void two_nodes_are_one_and_one(void **state)
{
    (void)state;
    struct nx_layout l = lay_out("FC", one_shard, (struct nx_subgroup_spec){"C", 1, 1, 8});
    assert_int_equal(l.shards[0][0].set, 1);
    assert_int_equal(l.shards[1][0].set, 2);
    assert_true(l.shards[0][0].adequate && l.shards[1][0].adequate);
}

static void four_nodes_are_two_and_two_whatever_the_order_of_starting(void **state)
{
    (void)state;
    struct nx_layout l = lay_out("CFFC", one_shard, (struct nx_subgroup_spec){"C", 1, 1, 8});
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
    struct nx_subgroup_spec c = {"C", 2, 2, 3};
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_are_one_and_one),
        cmocka_unit_test(four_nodes_are_two_and_two_whatever_the_order_of_starting),
        cmocka_unit_test(six_nodes_are_two_and_two_shards_of_two),
        cmocka_unit_test(minimum_first_then_evenly_then_spares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
