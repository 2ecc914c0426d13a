/* Nodes that join a running group, as processes: under traffic, after their death, through any member, while leaders die.
 *
 *   test_joins PROCESS_NODE                all of it over loopback and tcp
 *   test_joins PROCESS_NODE IP PROVIDER    what any provider must do
 *
 * What is judged in each: members that go on from one view to the next have delivered the same in it, in the same order; no
 * sender's message is lost, doubled or out of its order (process_work.c); who joins delivers what the others do. */
#include "nx_ports.h"
#include "nx_test.h"
#include "process/process_driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *program, *ip = "127.0.0.1", *provider = "tcp";

static int make_driver(void **state)
{
    struct driver *d = calloc(1, sizeof *d);
    d->program = program;
    d->ip = ip;
    d->provider = provider;
    d->port = d->ports[0] = nx_free_port();
    for (unsigned i = 1; i < DRIVER_NODES_MAX; i++)
        d->ports[i] = nx_free_port();
    *state = d;
    return 0;
}

static int stop_driver(void **state)
{
    driver_stop_all(*state);
    free(*state);
    return 0;
}

/* --- what nodes say --------------------------------------------------------------------------- */

struct first_view {
    unsigned members, rank;
    unsigned long long vid;
    long long at;
};

static struct first_view await_first_view(struct driver *d, unsigned index)
{
    struct first_view v;
    unsigned port;
    assert_int_equal(sscanf(driver_await(d, index, "view"),
                            "view %u members rank %u fabric_port %u vid %llu at %lld", &v.members,
                            &v.rank, &port, &v.vid, &v.at),
                     5);
    return v;
}

struct installed {
    unsigned members;
    unsigned long long vid, before, delivered, order;
    long long at;
};

static struct installed await_installed(struct driver *d, unsigned index)
{
    struct installed v;
    assert_int_equal(sscanf(driver_await(d, index, "installed"),
                            "installed %llu members %u at %lld after %llu with %llu order %llx",
                            &v.vid, &v.members, &v.at, &v.before, &v.delivered, &v.order),
                     6);
    return v;
}

/* The view of so many members, which comes sooner or later. */
static struct installed await_members(struct driver *d, unsigned index, unsigned members)
{
    struct installed v;
    do
        v = await_installed(d, index);
    while (v.members != members);
    return v;
}

static unsigned long long delivered(struct driver *d, unsigned index)
{
    unsigned long long count;
    driver_tell(d, index, "report");
    assert_int_equal(sscanf(driver_await(d, index, "report"), "report delivered %llu", &count), 1);
    return count;
}

static void await_more(struct driver *d, unsigned index, unsigned long long than)
{
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    while (delivered(d, index) <= than) {
        if (nx_clock_now() > until)
            fail_msg("node %u delivers no more", index);
        poll(NULL, 0, 2);
    }
}

static void assert_same(struct installed a, struct installed b)
{
    assert_true(a.vid == b.vid && a.before == b.before);
    assert_true(a.delivered == b.delivered && a.order == b.order);
}

static void start_group(struct driver *d, unsigned nodes)
{
    for (unsigned i = nodes; i-- > 0;)
        driver_start(d, i, i, nodes, 1, 60);
    for (unsigned i = 0; i < nodes; i++) {
        struct first_view v = await_first_view(d, i);
        assert_true(v.rank == i && v.members == nodes && v.vid == 1);
    }
}

static void flood(struct driver *d, unsigned index)
{
    driver_tell(d, index, "send 100000000 3000");
}

/* Queries go both ways between a node and rank `peer`. */
static void query(struct driver *d, unsigned index, unsigned peer)
{
    char expected[64];
    driver_tell(d, index, "query %u 50 2000 8", peer);
    snprintf(expected, sizeof expected, "queries to %u answered 50 failed 0", peer);
    driver_await(d, index, expected);
}

/* --- joins ------------------------------------------------------------------------------------ */

static void a_fourth_node_joins_under_traffic(void **state)
{
    struct driver *d = *state;
    struct installed with[3];
    start_group(d, 3);
    for (unsigned i = 0; i < 3; i++) {
        flood(d, i);
        driver_tell(d, i, "query %u 1000000 5000 8", (i + 1) % 3);
    }
    await_more(d, 0, 1000);
    nx_ns started = nx_clock_now();
    driver_start(d, 3, 3, 3, 1, 60);
    struct first_view v = await_first_view(d, 3);
    assert_true(v.rank == 3 && v.members == 4 && v.vid == 2);
    printf("# a node joined three under traffic %.0f ms after its start\n",
           (double)(v.at - started) / NX_MS);
    for (unsigned i = 0; i < 3; i++)
        with[i] = await_installed(d, i);
    assert_same(with[0], with[1]);
    assert_same(with[0], with[2]);
    assert_true(with[0].members == 4 && with[0].delivered > 1000);
    await_more(d, 3, 1000); /* what the others send … */
    unsigned long long before = delivered(d, 0);
    flood(d, 3); /* … and they what it sends */
    await_more(d, 0, before + 1000);
    query(d, 3, 1);
}

/* Its number goes on in the same shard: what it sends as a new member counts from 0 again. */
static void a_killed_node_is_back(void **state)
{
    struct driver *d = *state;
    start_group(d, 3);
    flood(d, 0);
    await_more(d, 2, 500);
    driver_kill(d, 1);
    struct installed without[2] = {await_members(d, 0, 2), await_members(d, 2, 2)};
    assert_same(without[0], without[1]);
    nx_ns started = nx_clock_now();
    driver_start(d, 1, 1, 3, 1, 60);
    struct first_view v = await_first_view(d, 1);
    printf("# a killed node was back %.0f ms after its start\n", (double)(v.at - started) / NX_MS);
    assert_true(v.members == 3);
    struct installed with[2] = {await_members(d, 0, 3), await_members(d, 2, 3)};
    assert_same(with[0], with[1]);
    await_more(d, 1, 500);
    flood(d, 1);
    await_more(d, 2, delivered(d, 2) + 500);
    query(d, 0, v.rank);
}

static void kill_and_restart(struct driver *d, unsigned times)
{
    start_group(d, 3);
    flood(d, 2);
    for (unsigned n = 0; n < times;
         n++) { /* no pause: its death may not be known when it is back */
        driver_kill(d, 1);
        driver_start(d, 1, 1, 3, 1, 60);
        struct first_view v = await_first_view(d, 1);
        assert_int_equal(v.members, 3);
        await_more(d, 1, 20);
    }
    query(d, 0, 2);
}

static void a_node_killed_again_and_again_is_back_each_time(void **state)
{
    kill_and_restart(*state, 8);
}

/* One of two is no majority; its former self is dead beyond doubt, since another listens where it did. */
static void one_of_two_is_reborn(void **state)
{
    for (unsigned dies = 0; dies < 2; dies++) {
        struct driver *d = *state;
        start_group(d, 2);
        unsigned lives = 1 - dies;
        driver_tell(d, lives, "send 100 1000");
        await_more(d, lives, 99);
        driver_kill(d, dies);
        driver_await(d, lives, "down");
        driver_start(d, dies, dies, 2, 1, 60);
        struct first_view v = await_first_view(d, dies);
        assert_int_equal(v.members, 2);
        assert_int_equal(await_members(d, lives, 2).members, 2);
        driver_tell(d, dies, "send 100 1000");
        await_more(d, lives, 199);
        await_more(d, dies, 99);
        query(d, lives, v.rank);
        driver_stop_all(d);
    }
}

/* It knows of one member only, which does not lead. */
static void a_join_goes_through_any_member(void **state)
{
    struct driver *d = *state;
    start_group(d, 3);
    uint16_t leader = d->port, ports[DRIVER_NODES_MAX];
    memcpy(ports, d->ports, sizeof ports);
    d->port = ports[2];
    memset(d->ports, 0, sizeof d->ports);
    d->ports[3] = ports[3];
    driver_start(d, 3, 3, 3, 1, 60);
    struct first_view v = await_first_view(d, 3);
    assert_true(v.rank == 3 && v.members == 4);
    d->port = leader;
    query(d, 3, 0);
}

/* At any moment of the join: the next leader takes over, and the joiner finds it. */
static void leaders_die_while_nodes_join(void **state)
{
    static const int after_ms[] = {0, 5, 10, 15, 20, 25, 30, 40};
    for (size_t i = 0; i < sizeof after_ms / sizeof *after_ms; i++) {
        struct driver *d = *state;
        start_group(d, 4);
        flood(d, 2);
        driver_start(d, 4, 4, 4, 1, 60);
        driver_await(d, 4, "open");
        poll(NULL, 0, after_ms[i]); /* the moment of the join in which the leader dies */
        driver_kill(d, 0);
        struct first_view v = await_first_view(d, 4);
        printf("# leader killed %d ms after the joiner opened: view %llu of %u\n", after_ms[i],
               v.vid, v.members);
        if (v.members > 4)
            await_members(d, 4, 4);
        await_more(d, 4, 100);
        query(d, 4, 3);
        driver_stop_all(d);
    }
}

static void joiners_die_while_they_join(void **state)
{
    struct driver *d = *state;
    start_group(d, 3);
    flood(d, 0);
    for (int ms = 0; ms < 12; ms += 2) {
        driver_start(d, 3, 3, 3, 1, 60);
        driver_await(d, 3, "open");
        poll(NULL, 0, ms); /* the moment of the join in which it dies */
        driver_kill(d, 3);
    }
    driver_start(d, 3, 3, 3, 1, 60); /* and at last it stays */
    assert_int_equal(await_first_view(d, 3).members, 4);
    await_more(d, 3, 100);
    query(d, 3, 2);
}

static void several_join_at_once(void **state)
{
    struct driver *d = *state;
    start_group(d, 3);
    flood(d, 1);
    for (unsigned i = 3; i < 8; i++)
        driver_start(d, i, i, 3, 1, 60);
    for (unsigned i = 3; i < 8; i++)
        await_first_view(d, i);
    await_members(d, 0, 8);
    for (unsigned i = 3; i < 8; i++)
        await_more(d, i, 100);
    query(d, 7, 0);
}

/* --- a crowd at the port ---------------------------------------------------------------------- */

enum { CROWD = 10000, AT_ONCE = 400 };

static int call(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_true(connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS);
    return fd;
}

/* Silent ones and ones with garbage, some hundreds at any time, none of which goes by itself; meanwhile the group orders
 * its messages, and one joins. */
static void ten_thousand_strangers_stop_nobody(void **state)
{
    struct driver *d = *state;
    static int fds[AT_ONCE];
    start_group(d, 3);
    flood(d, 0);
    unsigned long long before = delivered(d, 2);
    for (int i = 0; i < CROWD; i++) {
        int *fd = &fds[i % AT_ONCE];
        if (i >= AT_ONCE)
            close(*fd);
        *fd = call(d->ports[i % 3]);
        if (i % 2)
            (void)send(*fd, "\x40\0\0\0\1half a hello", 17, MSG_NOSIGNAL);
        if (i == CROWD / 2)
            driver_start(d, 3, 3, 3, 1, 60);
        if (i % 50 == 0)
            poll(NULL, 0, 1); /* so that nodes see most of them */
    }
    assert_int_equal(await_first_view(d, 3).members, 4);
    for (int i = 0; i < AT_ONCE; i++)
        close(fds[i]);
    await_more(d, 2, before + 1000);
    await_more(d, 3, 100);
    query(d, 1, 0);
}

/* --- refusals --------------------------------------------------------------------------------- */

/* For a while it could be a node that has moved, whose death is not known yet; then it cannot. */
static void a_live_twin_is_not_let_in(void **state)
{
    struct driver *d = *state;
    start_group(d, 3);
    driver_start(d, 3, 1, 3, 1, 60);
    const char *line = driver_await(d, 3, "failed");
    assert_non_null(strstr(line, "refused node 1: node id 1 is taken by the member at 127.0.0.1:"));
    assert_int_equal(driver_await_exit(d, 3), 3);
    query(d, 0, 1);
}

static void a_full_group_says_so(void **state)
{
    struct driver *d = *state;
    start_group(d, 8); /* as many as a test node's members_max */
    driver_start(d, 8, 8, 8, 1, 60);
    const char *line = driver_await(d, 8, "failed");
    assert_non_null(strstr(line, "the group is full: it has 8 members (members_max)"));
    assert_int_equal(driver_await_exit(d, 8), 3);
    driver_kill(d, 7);
    await_members(d, 0, 7);
    driver_start(d, 8, 8, 8, 1, 60); /* there is a seat now */
    assert_int_equal(await_first_view(d, 8).members, 8);
    query(d, 0, 7);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make_driver, stop_driver)

static void a_killed_node_is_back_on_any_provider(void **state)
{
    kill_and_restart(*state, 3);
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: test_joins PROCESS_NODE [IP PROVIDER]\n");
        return 2;
    }
    program = argv[1];
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest any[] = {
        WITH(a_fourth_node_joins_under_traffic),
        WITH(a_killed_node_is_back_on_any_provider),
        WITH(one_of_two_is_reborn),
    };
    const struct CMUnitTest tests[] = {
        WITH(a_fourth_node_joins_under_traffic),
        WITH(a_killed_node_is_back),
        WITH(a_node_killed_again_and_again_is_back_each_time),
        WITH(one_of_two_is_reborn),
        WITH(a_join_goes_through_any_member),
        WITH(leaders_die_while_nodes_join),
        WITH(joiners_die_while_they_join),
        WITH(several_join_at_once),
        WITH(ten_thousand_strangers_stop_nobody),
        WITH(a_live_twin_is_not_let_in),
        WITH(a_full_group_says_so),
    };
    if (argc == 2)
        return cmocka_run_group_tests(tests, NULL, NULL);
    ip = argv[2];
    provider = argv[3];
    return cmocka_run_group_tests_name("joins on any provider", any, NULL, NULL);
}
