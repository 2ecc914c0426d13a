/* What a member thinks of its own view and of the disk that a joiner brings. */
#include "group/group_judge.h"
#include "nx_test.h"

#include <string.h>

enum { SELF = 1, JOINER = 9 };

/* View 7 of nodes 1 … 5; its incarnation began with view 4. */
static struct nx_view our_view(void)
{
    struct nx_view view = {
        .vid = 7, .incarnation = 11, .begun = 4, .members_count = 5, .group_id = {3, 4}};
    for (nx_rank r = 0; r < view.members_count; r++)
        view.members[r] = (struct nx_member){.node = r + 1};
    return view;
}

static struct nx_boot_hello hello_of(nx_vid vid, uint32_t incarnation, nx_vid since)
{
    struct nx_view view = our_view();
    struct nx_boot_hello hello = {.node = JOINER, .offer = {.node = JOINER, .has_note = true}};
    memcpy(hello.offer.group_id, view.group_id, sizeof hello.offer.group_id);
    hello.offer.note.certain = true;
    hello.offer.note.count = 1;
    hello.offer.note.views[0] = (struct nx_dur_view){.vid = vid,
                                                     .incarnation = incarnation,
                                                     .since = since,
                                                     .count = 1,
                                                     .members = {{.node = JOINER}}};
    return hello;
}

static enum nx_disk_verdict judge(bool blocked, const struct nx_boot_hello *hello,
                                  struct nx_err *why)
{
    struct nx_view view = our_view();
    *why = (struct nx_err){0};
    return nx_judge_disk(&view, SELF, blocked, hello, why);
}

static void what_is_older_or_empty_may_join(void **state)
{
    (void)state;
    struct nx_err why;
    struct nx_boot_hello fresh = {.node = JOINER};
    struct nx_boot_hello older = hello_of(6, 11, 4), same = hello_of(7, 11, 4),
                         before = hello_of(3, 8, 1);
    for (int blocked = 0; blocked < 2; blocked++) {
        assert_int_equal(judge(blocked, &fresh, &why), NX_DISK_OPEN);
        assert_int_equal(judge(blocked, &older, &why), NX_DISK_OPEN);
        assert_int_equal(judge(blocked, &same, &why), NX_DISK_OPEN);
        assert_int_equal(judge(blocked, &before, &why), NX_DISK_OPEN);
    }
}

static void another_group_is_refused_for_good(void **state)
{
    (void)state;
    struct nx_err why;
    struct nx_boot_hello hello = hello_of(6, 11, 4);
    hello.offer.group_id[0] ^= 1;
    for (int blocked = 0; blocked < 2; blocked++) {
        assert_int_equal(judge(blocked, &hello, &why), NX_DISK_FOREIGN);
        assert_int_equal(why.status, NX_DENIED);
    }
}

/* A majority of ours went on without us. */
static void a_later_view_of_ours_says_that_we_are_behind(void **state)
{
    (void)state;
    struct nx_err why;
    struct nx_boot_hello hello = hello_of(8, 11, 4);
    for (int blocked = 0; blocked < 2; blocked++) {
        assert_int_equal(judge(blocked, &hello, &why), NX_DISK_LEFT_BEHIND);
        assert_int_equal(why.status, NX_AGAIN);
        assert_string_equal(why.text, "node 1 was left behind in view 7: the disk of node 9 holds "
                                      "view 8 of this group");
    }
}

/* All were restarted but us, who were cut off: their view begins after ours. With a majority we know better. */
static void a_restart_after_our_view_is_news_to_the_blocked(void **state)
{
    (void)state;
    struct nx_err why;
    struct nx_boot_hello hello = hello_of(9, 12, 8);
    assert_int_equal(judge(true, &hello, &why), NX_DISK_LEFT_BEHIND);
    assert_int_equal(judge(false, &hello, &why), NX_DISK_APART);
    assert_int_equal(why.status, NX_DENIED);
}

/* Both began from the same logs: who has a majority refuses, who has none sends it to others. */
static void who_was_restarted_apart_is_refused_by_a_majority_alone(void **state)
{
    (void)state;
    struct nx_err why;
    struct nx_boot_hello hello = hello_of(5, 12, 4);
    assert_int_equal(judge(false, &hello, &why), NX_DISK_APART);
    assert_int_equal(why.status, NX_DENIED);
    assert_string_equal(why.text,
                        "node 9 may not join: its disk holds view 5 of another part of the group, "
                        "which was restarted apart from this one (view 8)");
    assert_int_equal(judge(true, &hello, &why), NX_DISK_UNCLEAR);
    assert_int_equal(why.status, NX_AGAIN);
}

static void a_keeper_brings_its_log(void **state)
{
    (void)state;
    struct nx_view view = our_view();
    struct nx_boot_hello hello = hello_of(7, 11, 4);
    uint8_t shard = 77;
    uint64_t places = 0;
    hello.node = 3;
    hello.offer.has_log = true;
    hello.offer.places = 6;
    assert_true(nx_judge_log(&view, true, &hello, &shard, &places)); /* a member that died */
    assert_int_equal(shard, 0);
    assert_int_equal(places, 6);
    assert_false(nx_judge_log(&view, false, &hello, &shard, &places));
    /* it had come without the state: its log must be of this view */
    view.stateless = NX_RANK_BIT(2);
    assert_false(nx_judge_log(&view, true, &hello, &shard, &places));
    hello.offer.log_vid = nx_dur_stamp(11, 7);
    assert_true(nx_judge_log(&view, true, &hello, &shard, &places));
    hello.offer.shard = 1; /* of which it was no member */
    assert_false(nx_judge_log(&view, true, &hello, &shard, &places));
    hello.node = JOINER;
    hello.offer.shard = 0;
    assert_false(nx_judge_log(&view, true, &hello, &shard, &places));
    view.keepers[view.keepers_count++] = (struct nx_keeper){.node = JOINER, .vid = 5};
    assert_true(nx_judge_log(&view, true, &hello, &shard, &places));
    hello.offer.has_log = false;
    assert_false(nx_judge_log(&view, true, &hello, &shard, &places));
    hello.offer.has_log = true;
    hello.offer.places = UINT64_MAX;
    assert_false(nx_judge_log(&view, true, &hello, &shard, &places));
}

/* Of five, two cannot go on; of four, two may, with a proof that a third died. */
static void less_than_half_is_stuck(void **state)
{
    (void)state;
    struct nx_view view = our_view();
    for (nx_rankset alive = 1; alive < 64; alive++)
        assert_int_equal(nx_judge_for_good(&view, alive), __builtin_popcountll(alive & 0x1f) <= 2);
    view.vacant = NX_RANK_BIT(4);
    assert_false(nx_judge_for_good(&view, 3));
    assert_true(nx_judge_for_good(&view, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_or_empty_may_join),
        cmocka_unit_test(another_group_is_refused_for_good),
        cmocka_unit_test(a_later_view_of_ours_says_that_we_are_behind),
        cmocka_unit_test(a_restart_after_our_view_is_news_to_the_blocked),
        cmocka_unit_test(who_was_restarted_apart_is_refused_by_a_majority_alone),
        cmocka_unit_test(a_keeper_brings_its_log),
        cmocka_unit_test(less_than_half_is_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
