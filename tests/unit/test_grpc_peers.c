/* Whose connections there are: one address is one peer, whatever its port, and a share bounds it. */
#include "function_tier/grpc/grpc_peers.h"
#include "nx_test.h"

static struct nx_peers peers;

static void ports_are_one_address_and_addresses_are_not(void **state)
{
    (void)state;
    nx_peers_init(&peers, 2, 7);
    struct nx_peer *a = nx_peers_take(&peers, "127.0.0.1:1");
    struct nx_peer *b = nx_peers_take(&peers, "127.0.0.1:65000");
    struct nx_peer *c = nx_peers_take(&peers, "127.0.0.2:1");
    struct nx_peer *mapped = nx_peers_take(&peers, "[::ffff:127.0.0.1]:9");
    assert_ptr_equal(a, b);
    assert_ptr_equal(a, mapped);
    assert_ptr_not_equal(a, c);
    assert_int_equal(a->held, 3);
    for (int i = 0; i < 3; i++)
        nx_peers_give(a);
    nx_peers_give(c);
}

static void a_network_of_64_bits_is_one_address(void **state)
{
    (void)state;
    nx_peers_init(&peers, 2, 7);
    struct nx_peer *a = nx_peers_take(&peers, "[2001:db8:1:2::1]:1");
    struct nx_peer *b = nx_peers_take(&peers, "[2001:db8:1:2:ffff::1%eth0]:2");
    struct nx_peer *c = nx_peers_take(&peers, "[2001:db8:1:3::1]:1");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    nx_peers_give(a);
    nx_peers_give(b);
    nx_peers_give(c);
}

static void a_share_is_over_with_the_next_one(void **state)
{
    (void)state;
    nx_peers_init(&peers, 2, 7);
    struct nx_peer *a = nx_peers_take(&peers, "10.0.0.1:1");
    nx_peers_take(&peers, "10.0.0.1:2");
    assert_false(nx_peer_over_share(a));
    nx_peers_take(&peers, "10.0.0.1:3");
    assert_true(nx_peer_over_share(a));
    nx_peers_give(a);
    assert_false(nx_peer_over_share(a));
    nx_peers_give(a);
    nx_peers_give(a);
}

static void what_is_no_address_counts_as_one(void **state)
{
    (void)state;
    nx_peers_init(&peers, 2, 7);
    struct nx_peer *a = nx_peers_take(&peers, "unknown");
    struct nx_peer *b = nx_peers_take(&peers, "[");
    struct nx_peer *c =
        nx_peers_take(&peers, "1111111111111111111111111111111111111111111111111111111111111111:1");
    assert_ptr_equal(a, b);
    assert_ptr_equal(a, c);
    for (int i = 0; i < 3; i++)
        nx_peers_give(a);
    nx_peers_give(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_one_address_and_addresses_are_not),
        cmocka_unit_test(a_network_of_64_bits_is_one_address),
        cmocka_unit_test(a_share_is_over_with_the_next_one),
        cmocka_unit_test(what_is_no_address_counts_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
