/* Schedules of bulk bytes: everybody is reached, once, over as many hops as the shape says. */
#include "group/multicast/mc_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Members reached from `rank`, itself included; counts the longest way down. */
static nx_rankset reach(enum nx_schedule schedule, nx_rankset members, nx_rank sender, nx_rank rank,
                        unsigned hops, unsigned *depth)
{
    nx_rankset reached = NX_RANK_BIT(rank);
    if (hops > *depth)
        *depth = hops;
    for (nx_rankset left = nx_tree_children(schedule, members, sender, rank); left;
         left &= left - 1) {
        nx_rankset more =
            reach(schedule, members, sender, (nx_rank)__builtin_ctzll(left), hops + 1, depth);
        assert_true((reached & more) == 0); /* nobody gets it twice */
        nx_rank child = (nx_rank)__builtin_ctzll(left);
        assert_int_equal(nx_tree_parent(schedule, members, sender, child), rank);
        reached |= more;
    }
    return reached;
}

static unsigned log2_down(unsigned n)
{
    unsigned bits = 0;
    while (n >> (bits + 1))
        bits++;
    return bits;
}

static unsigned depth_of(enum nx_schedule schedule, unsigned members)
{
    switch (schedule) {
    case NX_SCHEDULE_CHAIN: return members - 1;
    case NX_SCHEDULE_BINOMIAL: return log2_down(members);
    case NX_SCHEDULE_SEQUENTIAL:
    case NX_SCHEDULES_COUNT: break;
    }
    return members > 1;
}

static void test_every_member_is_reached_once(void **state)
{
    (void)state;
    static const nx_rankset sets[] = {0x1,    0x3,        0x15,       0xff,
                                      0xf0f1, 0x7fffffff, 0xffffffff, 0xa0000001};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        for (nx_rankset left = sets[i]; left; left &= left - 1)
            for (int schedule = 0; schedule < NX_SCHEDULES_COUNT; schedule++) {
                nx_rank sender = (nx_rank)__builtin_ctzll(left);
                unsigned depth = 0;
                assert_true(reach((enum nx_schedule)schedule, sets[i], sender, sender, 0, &depth) ==
                            sets[i]);
                assert_int_equal(depth, depth_of((enum nx_schedule)schedule,
                                                 (unsigned)__builtin_popcountll(sets[i])));
            }
}

static void test_what_the_sender_writes_itself(void **state)
{
    (void)state;
    assert_int_equal(nx_tree_children(NX_SCHEDULE_SEQUENTIAL, 0xff, 3, 3), 0xf7);
    assert_int_equal(nx_tree_children(NX_SCHEDULE_CHAIN, 0xff, 7, 7), 0x01);
    assert_int_equal(nx_tree_children(NX_SCHEDULE_BINOMIAL, 0xff, 0, 0), 0x16);
    assert_int_equal(nx_tree_children(NX_SCHEDULE_BINOMIAL, 0xff, 0, 1), 0x28);
}

static void test_relays_are_for_many_receivers_and_large_messages(void **state)
{
    (void)state;
    const struct nx_schedule_limits defaults = {0},
                                    small = {.binomial_bytes = 10, .chain_bytes = 20};
    assert_int_equal(nx_schedule_choose(&defaults, UINT64_C(1) << 30, 2), NX_SCHEDULE_SEQUENTIAL);
    assert_int_equal(nx_schedule_choose(&defaults, 1000, 31), NX_SCHEDULE_SEQUENTIAL);
    assert_int_equal(nx_schedule_choose(&defaults, 1 << 20, 3), NX_SCHEDULE_BINOMIAL);
    assert_int_equal(nx_schedule_choose(&defaults, UINT64_C(1) << 30, 3), NX_SCHEDULE_CHAIN);
    assert_int_equal(nx_schedule_choose(&small, 9, 3), NX_SCHEDULE_SEQUENTIAL);
    assert_int_equal(nx_schedule_choose(&small, 19, 3), NX_SCHEDULE_BINOMIAL);
    assert_int_equal(nx_schedule_choose(&small, 20, 3), NX_SCHEDULE_CHAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_member_is_reached_once),
        cmocka_unit_test(test_what_the_sender_writes_itself),
        cmocka_unit_test(test_relays_are_for_many_receivers_and_large_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
