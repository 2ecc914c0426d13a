#include "group/view/view.h"
#include "nx_test.h"

#include <string.h>

static struct nx_view view_of(uint32_t count)
{
    struct nx_view view = {.vid = 1, .members_count = count};
    for (uint32_t r = 0; r < count; r++)
        view.members[r] = (struct nx_member){.node = 10 * r, .subgroup = r % 2};
    return view;
}

static struct nx_group_spec spec_of_two(void)
{
    return (struct nx_group_spec){
        .subgroups_count = 2,
        .subgroups = {{.name = "A", .num_shards = 1, .min_nodes = 1, .max_nodes = 2},
                      {.name = "B", .num_shards = 2, .min_nodes = 1, .max_nodes = 2}}};
}

static void a_node_has_its_rank(void **state)
{
    (void)state;
    struct nx_view view = view_of(3);
    assert_int_equal(nx_view_rank_of(&view, 20), 2);
    assert_int_equal(nx_view_rank_of(&view, 5), NX_RANK_NONE);
}

static void expect_view_refused(const struct nx_view *view, uint32_t members_max,
                                enum nx_status status, const char *text)
{
    struct nx_err err = {0};
    struct nx_group_spec spec = spec_of_two();
    assert_int_equal(nx_view_check(view, members_max, &spec, &err), status);
    assert_string_equal(err.text, text);
}

static void a_view_from_outside_is_checked(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of_two();
    struct nx_view good = view_of(4), view = good;
    assert_int_equal(nx_view_check(&view, 4, &spec, NULL), NX_OK);
    expect_view_refused(&view, 3, NX_INVALID, "a view of 4 members; expected 1 to 3");
    view.members[1].subgroup = 2;
    expect_view_refused(&view, 4, NX_INVALID, "node 10 names subgroup 2 of 2");
    view = good;
    view.members[2].shard = 1;
    expect_view_refused(&view, 4, NX_INVALID, "node 20 stands in shard 1 of 1");
    view.members[2].shard = NX_SHARD_NONE;
    assert_int_equal(nx_view_check(&view, 4, &spec, NULL), NX_OK);
    view.members[2].since = 2;
    expect_view_refused(&view, 4, NX_INVALID, "node 20 came in a later view");
    view = good;
    view.members[3].node = 10;
    expect_view_refused(&view, 4, NX_EXISTS, "node 10 stands twice in the view");
    view = good;
    view.vacant = view.stateless = 4;
    expect_view_refused(&view, 4, NX_INVALID,
                        "a view in which those lack the state that are not there");
    view.members_count = 0;
    assert_int_equal(nx_view_check(&view, 4, &spec, NULL), NX_INVALID);
    view.members_count = UINT32_MAX;
    assert_int_equal(nx_view_check(&view, NX_MEMBERS_MAX, &spec, NULL), NX_INVALID);
}

static void a_subgroup_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct nx_group_spec spec = spec_of_two();
    assert_int_equal(nx_spec_find(&spec, "B"), 1);
    assert_int_equal(nx_spec_find(&spec, "BB"), NX_SUBGROUPS_MAX);
    assert_int_equal(nx_spec_find(&spec, ""), NX_SUBGROUPS_MAX);
}

static void expect_refusal(struct nx_group_spec spec, enum nx_status status, const char *text)
{
    struct nx_err err = {0};
    assert_int_equal(nx_spec_check(&spec, &err), status);
    assert_string_equal(err.text, text);
}

static void a_specification_from_a_file_is_checked(void **state)
{
    (void)state;
    struct nx_group_spec good = spec_of_two(), bad = good;
    assert_int_equal(nx_spec_check(&good, NULL), NX_OK);
    bad.subgroups_count = 5;
    expect_refusal(bad, NX_INVALID, "5 subgroups; expected 1 to 4");
    bad = good;
    bad.subgroups[1].name[0] = 'A';
    expect_refusal(bad, NX_EXISTS, "subgroup A stands twice");
    bad = good;
    memset(bad.subgroups[0].name, 'x', sizeof bad.subgroups[0].name);
    expect_refusal(bad, NX_INVALID, "subgroup 0: its name must have 1 to 31 bytes");
    bad = good;
    bad.subgroups[0].num_shards = 33;
    expect_refusal(bad, NX_INVALID, "subgroup A: num_shards is 33; expected 1 to 32");
    bad = good;
    bad.subgroups[0].min_nodes = 0;
    expect_refusal(bad, NX_INVALID, "subgroup A: min_nodes is 0; expected 1 to 32");
    bad = good;
    bad.subgroups[0].min_nodes = 3;
    expect_refusal(bad, NX_INVALID, "subgroup A: max_nodes is 2, below min_nodes 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_has_its_rank),
        cmocka_unit_test(a_view_from_outside_is_checked),
        cmocka_unit_test(a_subgroup_is_found_by_its_whole_name),
        cmocka_unit_test(a_specification_from_a_file_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
