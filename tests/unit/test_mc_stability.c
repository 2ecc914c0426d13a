#include "group/multicast/mc_order.h"
#include "group/multicast/mc_stability.h"
#include "nx_test.h"

static void places_and_indexes_are_each_others_inverse(void **state)
{
    (void)state;
    for (uint32_t senders = 1; senders <= 5; senders++)
        for (uint64_t seq = 0; seq < 100; seq++) {
            uint32_t sender = nx_order_sender(seq, senders);
            uint64_t index = nx_order_index(seq, senders);
            assert_int_equal(nx_order_seq(index, sender, senders), seq);
            uint64_t below = 0;
            for (uint64_t before = 0; before < seq; before++)
                below += nx_order_sender(before, senders) == sender;
            assert_int_equal(nx_order_indexes_below(seq, sender, senders), below);
        }
    assert_int_equal(nx_order_indexes_below((uint64_t)1 << 60, 0, 1), (uint64_t)1 << 60);
}

static void the_frontier_is_the_slowest_member_of_the_shard(void **state)
{
    (void)state;
    const uint64_t received[] = {7, 3, 0, 9};
    assert_int_equal(nx_stability_frontier(received, 1 | 2 | 8), 3);
    assert_int_equal(nx_stability_frontier(received, 1 | 8), 7);
    assert_int_equal(nx_stability_frontier(received, 15), 0);
}

static void received_ends_at_the_first_missing_place(void **state)
{
    (void)state;
    assert_int_equal(nx_stability_received((const uint64_t[]){0, 5, 5}, 3), 0);
    assert_int_equal(nx_stability_received((const uint64_t[]){1, 0, 5}, 3), 1);
    assert_int_equal(nx_stability_received((const uint64_t[]){2, 2, 1}, 3), 5);
    assert_int_equal(nx_stability_received((const uint64_t[]){4}, 1), 4);
}

/* Once everybody has sent what is wanted, every message has its place filled before it, and nobody
 * wants more. */
static void what_is_wanted_completes_the_order_and_no_more(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 6 * 6 * 6; code++) {
        uint64_t indexes[3] = {code % 6, code / 6 % 6, code / 36};
        uint64_t newest = 0, most = 0;
        for (uint32_t s = 0; s < 3; s++) {
            if (indexes[s] > 0 && nx_order_seq(indexes[s] - 1, s, 3) + 1 > newest)
                newest = nx_order_seq(indexes[s] - 1, s, 3) + 1;
            most = indexes[s] > most ? indexes[s] : most;
        }
        for (uint32_t s = 0; s < 3; s++) {
            uint64_t wanted = nx_stability_wanted(indexes, s, 3);
            assert_true(wanted <= most);
            if (wanted > indexes[s])
                indexes[s] = wanted;
        }
        assert_true(nx_stability_received(indexes, 3) >= newest);
        for (uint32_t s = 0; s < 3; s++)
            assert_true(nx_stability_wanted(indexes, s, 3) <= indexes[s]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_and_indexes_are_each_others_inverse),
        cmocka_unit_test(the_frontier_is_the_slowest_member_of_the_shard),
        cmocka_unit_test(received_ends_at_the_first_missing_place),
        cmocka_unit_test(what_is_wanted_completes_the_order_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
