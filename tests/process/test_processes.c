/* Groups of real processes: what group.h promises, with kills, refusals and garbage.
 *
 *   test_processes PROCESS_NODE                all of it over loopback and tcp
 *   test_processes PROCESS_NODE IP PROVIDER    what any provider must do
 *
 * The second form is what scripts/test-verbs runs in its virtual machine; its numbers suit one. */
#include "nx_ports.h"
#include "nx_test.h"
#include "process/process_driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const char *program, *ip = "127.0.0.1", *provider = "tcp";
/* How soon a death must be known: by the end of a connection, in milliseconds. These nodes have no other way to know it. */
static const nx_ns notice_ns = 20 * NX_SEC;

static int make_driver(void **state)
{
    struct driver *d = calloc(1, sizeof *d);
    d->program = program;
    d->ip = ip;
    d->provider = provider;
    d->port = nx_free_port();
    *state = d;
    return 0;
}

static int stop_driver(void **state)
{
    driver_stop_all(*state);
    free(*state);
    return 0;
}

static void await_view(struct driver *d, unsigned nodes)
{
    for (unsigned i = 0; i < nodes; i++) {
        unsigned members, rank, port;
        assert_int_equal(sscanf(driver_await(d, i, "view"),
                                "view %u members rank %u fabric_port %u", &members, &rank, &port),
                         3);
        assert_int_equal(members, nodes);
        assert_int_equal(rank, i); /* ids are given out in order */
        d->nodes[i].fabric_port = (uint16_t)port;
    }
}

static void start_group(struct driver *d, unsigned nodes, unsigned min_nodes)
{
    for (unsigned i = nodes; i-- > 0;) /* the leader last */
        driver_start(d, i, i, nodes, min_nodes, 60);
    await_view(d, nodes);
}

struct report {
    unsigned long long delivered, order, alive, wakeups;
    char status[32];
    double rss_mb;
    long long cpu_ns;
};

static struct report ask_report(struct driver *d, unsigned index)
{
    struct report r;
    driver_tell(d, index, "report");
    const char *line = driver_await(d, index, "report");
    assert_int_equal(sscanf(line,
                            "report delivered %llu order %llx status %31s alive %llx rss_mb "
                            "%lf cpu_ns %lld wakeups %llu",
                            &r.delivered, &r.order, r.status, &r.alive, &r.rss_mb, &r.cpu_ns,
                            &r.wakeups),
                     7);
    return r;
}

static struct report await_delivered(struct driver *d, unsigned index, unsigned long long count)
{
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    struct report r = ask_report(d, index);
    while (r.delivered < count) {
        if (nx_clock_now() > until)
            fail_msg("node %u delivered %llu of %llu", index, r.delivered, count);
        poll(NULL, 0, 5);
        r = ask_report(d, index);
    }
    assert_true(r.delivered == count);
    return r;
}

/* --- multicast, queries, bulk ----------------------------------------------------------------- */

static void everybody_sends(struct driver *d, unsigned nodes, unsigned count, unsigned size_max)
{
    start_group(d, nodes, 1);
    for (unsigned i = 0; i < nodes; i++)
        driver_tell(d, i, "send %u %u", count, size_max);
    struct report first = await_delivered(d, 0, (unsigned long long)count * nodes);
    for (unsigned i = 1; i < nodes; i++) {
        struct report r = await_delivered(d, i, (unsigned long long)count * nodes);
        assert_true(r.order == first.order); /* one total order */
        assert_string_equal(r.status, "ok");
    }
}

static void two_nodes_deliver_the_same_in_the_same_order(void **state)
{
    everybody_sends(*state, 2, 5000, 2000);
}

static void three_nodes_deliver_the_same_in_the_same_order(void **state)
{
    everybody_sends(*state, 3, 3000, 2000);
}

static void six_nodes_deliver_the_same_in_the_same_order(void **state)
{
    everybody_sends(*state, 6, 1000, 2000);
}

static void one_sender_is_not_delayed_by_idle_ones(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    driver_tell(d, 1, "send 2000 100000"); /* 100 MB through a window of a few */
    for (unsigned i = 0; i < 3; i++)
        await_delivered(d, i, 2000);
}

static void query_all(struct driver *d, unsigned nodes, unsigned count, unsigned size,
                      unsigned outstanding)
{
    for (unsigned i = 0; i < nodes; i++)
        for (unsigned peer = 0; peer < nodes; peer++)
            if (peer != i)
                driver_tell(d, i, "query %u %u %u %u", peer, count, size, outstanding);
    for (unsigned i = 0; i < nodes; i++)
        for (unsigned k = 1; k < nodes; k++) {
            unsigned peer;
            unsigned long long answered, failed;
            assert_int_equal(sscanf(driver_await(d, i, "queries"),
                                    "queries to %u answered %llu failed %llu", &peer, &answered,
                                    &failed),
                             3);
            assert_true(answered == count && failed == 0);
        }
}

static void queries_of_all_sizes_go_both_ways(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    query_all(d, 3, 200, 0, 16);
    query_all(d, 3, 100, 1, 32); /* two in eleven have answers of 300 KB */
    query_all(d, 3, 100, 100, 32);
    query_all(d, 3, 1000, 1000, 32);
    query_all(d, 3, 100, 20000, 32);
    query_all(d, 3, 12, 1000000, 12);
    query_all(d, 2, 3, 8000000, 3);
}

static void a_bulk_of_64_mb_streams_through_a_bounded_window(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    driver_tell(d, 1, "bulk 64000000");
    driver_tell(d, 0, "send 500 500"); /* small messages go on meanwhile */
    for (unsigned i = 0; i < 3; i++) {
        const char *line = driver_await(d, i, "bulk");
        assert_string_equal(line, i == 1 ? "bulk from 1 got 0" : "bulk from 1 got 64000000");
        struct report r = await_delivered(d, i, 500);
        printf("# bulk of 64 MB: node %u has %.1f MB resident\n", i, r.rss_mb);
        assert_true(SANITIZED || r.rss_mb < 40);
    }
}

/* To three receivers: by the tree of a middle size, then by the chain of a large one (mc_tree.h). */
static void receivers_pass_a_bulk_on(void **state)
{
    struct driver *d = *state;
    static const unsigned sizes[] = {600000, 8000000};
    start_group(d, 4, 1);
    for (unsigned n = 0; n < 2; n++) {
        char expected[64];
        driver_tell(d, 1, "bulk %u", sizes[n]);
        driver_tell(d, 0, "send 100 500"); /* small messages go on meanwhile */
        for (unsigned i = 0; i < 4; i++) {
            snprintf(expected, sizeof expected, "bulk from 1 got %u", i == 1 ? 0 : sizes[n]);
            assert_string_equal(driver_await(d, i, "bulk"), expected);
        }
    }
    for (unsigned i = 0; i < 4; i++)
        await_delivered(d, i, 200);
}

/* The chain is 1, 2, 3, 0. Whenever node 2 dies, those behind it get every byte, and none twice. */
static void a_bulk_outlives_who_passes_it_on(void **state)
{
    struct driver *d = *state;
    start_group(d, 4, 1);
    driver_tell(d, 1, "bulk 16000000");
    poll(NULL, 0, 100); /* some of it is under way, or all */
    driver_kill(d, 2);
    for (unsigned i = 0; i < 4; i++) {
        if (i == 2)
            continue;
        const char *line = driver_await(d, i, "bulk");
        assert_string_equal(line, i == 1 ? "bulk from 1 got 0" : "bulk from 1 got 16000000");
    }
    driver_tell(d, 1, "bulk 3000000"); /* the way of the next one leaves it out */
    for (unsigned i = 0; i < 4; i++)
        if (i != 2)
            driver_await(d, i, i == 1 ? "bulk from 1 got 0" : "bulk from 1 got 3000000");
}

static void all_at_once(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    for (unsigned i = 0; i < 3; i++) {
        driver_tell(d, i, "send 2000 1000");
        driver_tell(d, i, "bulk %u", 3000000 + i);
        driver_tell(d, i, "query %u 300 5000 16", (i + 1) % 3);
    }
    for (unsigned i = 0; i < 3; i++) {
        bool queried = false;
        for (int bulks = 0; bulks < 3 || !queried;) {
            const char *line = driver_await(d, i, "");
            bulks += strncmp(line, "bulk from", 9) == 0;
            queried |= strstr(line, "answered 300 failed 0") != NULL;
        }
    }
    struct report first = await_delivered(d, 0, 6000);
    for (unsigned i = 1; i < 3; i++)
        assert_true(await_delivered(d, i, 6000).order == first.order);
}

/* --- death and departure ---------------------------------------------------------------------- */

struct down {
    unsigned rank, clean;
    long long at;
    char status[32];
};

static struct down await_down(struct driver *d, unsigned index)
{
    struct down down;
    assert_int_equal(sscanf(driver_await(d, index, "down"), "down %u clean %u at %lld status %31s",
                            &down.rank, &down.clean, &down.at, down.status),
                     4);
    return down;
}

/* The survivors install the next view; how long after the kill. */
static void await_next_view(struct driver *d, unsigned index, unsigned members, nx_ns killed)
{
    unsigned long long vid;
    unsigned count;
    long long at;
    assert_int_equal(sscanf(driver_await(d, index, "installed"),
                            "installed %llu members %u at %lld", &vid, &count, &at),
                     3);
    printf("# node %u installed view %llu after %.2f ms\n", index, vid,
           (double)(at - killed) / NX_MS);
    assert_int_equal(count, members);
}

static void kill_one_of_three(struct driver *d, unsigned min_nodes, const char *status)
{
    start_group(d, 3, min_nodes);
    driver_tell(d, 2, "silent");
    driver_tell(d, 0, "query 2 32 3000 32"); /* never answered */
    (void)ask_report(d, 2);
    nx_ns killed = nx_clock_now();
    kill(d->nodes[2].pid, SIGKILL);
    for (unsigned i = 0; i < 2; i++) {
        struct down down = await_down(d, i);
        printf("# kill -9 of a member: node %u knew after %.2f ms\n", i,
               (double)(down.at - killed) / NX_MS);
        assert_int_equal(down.rank, 2);
        assert_int_equal(down.clean, 0);
        assert_true(down.at - killed < notice_ns);
        assert_string_equal(down.status, status);
    }
    unsigned long long answered, failed;
    long long at;
    assert_int_equal(sscanf(driver_await(d, 0, "queries to 2"),
                            "queries to 2 answered %llu failed %llu at %lld", &answered, &failed,
                            &at),
                     3);
    assert_true(answered == 0 && failed == 32 && at - killed < notice_ns);
    for (unsigned i = 0; i < 2; i++)
        await_next_view(d, i, 2, killed);
    if (min_nodes > 2) { /* ordered sends are refused, with the reason, … */
        driver_tell(d, 1, "send 1 100");
        assert_string_equal(driver_await(d, 1, "send"), "send refused unavailable after 0");
    } else { /* … or delivered among those that are left; … */
        driver_tell(d, 1, "send 10 100");
        for (unsigned i = 0; i < 2; i++)
            await_delivered(d, i, 10);
    }
    driver_tell(d, 0, "query 2 1 10 1"); /* … a new query to the dead fails at once … */
    driver_await(d, 0, "queries to 2 answered 0 failed 1");
    driver_tell(d, 0, "query 1 100 1000 8"); /* … but the living go on answering */
    driver_await(d, 0, "queries to 1 answered 100 failed 0");
    assert_true(ask_report(d, 0).alive == 3);
}

static void a_killed_member_is_noticed_and_the_others_go_on(void **state)
{
    kill_one_of_three(*state, 1, "ok");
}

static void a_shard_below_its_minimum_is_unavailable(void **state)
{
    kill_one_of_three(*state, 3, "unavailable");
}

static void a_member_killed_under_load_is_noticed(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    for (unsigned i = 0; i < 3; i++) {
        driver_tell(d, i, "send 1000000 3000");
        driver_tell(d, i, "query %u 1000000 20000 16", (i + 1) % 3);
    }
    while (ask_report(d, 0).delivered < 1000)
        poll(NULL, 0, 1);
    nx_ns killed = nx_clock_now();
    kill(d->nodes[1].pid, SIGKILL);
    for (unsigned i = 0; i < 3; i += 2) {
        struct down down = await_down(d, i);
        printf("# kill -9 under load: node %u knew after %.2f ms\n", i,
               (double)(down.at - killed) / NX_MS);
        assert_int_equal(down.rank, 1);
        assert_true(down.at - killed < notice_ns);
    }
    driver_await(d, 0, "queries to 1");
    assert_true(ask_report(d, 2).alive == 5);
}

/* In microseconds. */
static long long leave_one_of_three(struct driver *d)
{
    start_group(d, 3, 1);
    driver_tell(d, 0, "send 100 1000");
    for (unsigned i = 0; i < 3; i++)
        await_delivered(d, i, 100);
    driver_tell(d, 2, "leave");
    long long us;
    assert_int_equal(sscanf(driver_await(d, 2, "left"), "left after_us %lld", &us), 1);
    printf("# a clean leave took %.2f ms\n", (double)us / 1000);
    assert_int_equal(driver_await_exit(d, 2), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct down down = await_down(d, i);
        assert_int_equal(down.rank, 2);
        assert_int_equal(down.clean, 1);
    }
    return us;
}

/* One that does takes 1 s each time; on a busy machine another may take long for once. */
static void a_clean_leave_costs_no_timeout(void **state)
{
    for (unsigned tries = 0; tries < 5; tries++) {
        if (leave_one_of_three(*state) < 800000)
            return;
        driver_stop_all(*state);
    }
    fail_msg("a leave waits for its timeout");
}

/* --- refusals --------------------------------------------------------------------------------- */

static void a_duplicate_id_is_refused(void **state)
{
    struct driver *d = *state;
    driver_start(d, 0, 0, 3, 1, 60);
    driver_start(d, 1, 7, 3, 1, 60);
    driver_start(d, 2, 7, 3, 1, 60);
    driver_await(d, 1, "open");
    driver_await(d, 2, "open");
    struct pollfd out[2] = {{.fd = d->nodes[1].out, .events = POLLIN},
                            {.fd = d->nodes[2].out, .events = POLLIN}};
    assert_true(poll(out, 2, 60000) > 0);
    unsigned loser = out[0].revents ? 1 : 2; /* whichever came second is told so */
    const char *line = driver_await(d, loser, "failed");
    assert_non_null(strstr(line, "node id 7 is taken by 127.0.0.1"));
    assert_int_equal(driver_await_exit(d, loser), 3);
    driver_start(d, loser, 8, 3, 1, 60); /* and the group forms with another */
    for (unsigned i = 0; i < 3; i++)
        driver_await(d, i, "view 3 members");
}

static void a_wrong_configuration_is_refused(void **state)
{
    struct driver *d = *state;
    driver_start(d, 0, 0, 2, 1, 60);
    driver_start(d, 1, 1, 2, 2, 60); /* another min_nodes */
    const char *line = driver_await(d, 1, "failed");
    assert_non_null(strstr(line, "your configuration differs: min_nodes of ALL is 2 at your node "
                                 "and 1 at the leader"));
    assert_int_equal(driver_await_exit(d, 1), 3);
    driver_start(d, 1, 1, 2, 1, 60);
    await_view(d, 2);
    driver_start(d, 2, 5, 2, 3, 60); /* and when the group stands */
    line = driver_await(d, 2, "failed");
    assert_non_null(strstr(line, "your configuration differs: min_nodes of ALL is 3"));
    assert_int_equal(driver_await_exit(d, 2), 3);
}

static void a_taken_port_is_told_at_open(void **state)
{
    struct driver *d = *state;
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(d->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 1), 0);
    driver_start(d, 0, 0, 2, 1, 60);
    char expected[96];
    snprintf(expected, sizeof expected,
             "refused gms_port %u on 127.0.0.1 is taken by another process", d->port);
    assert_string_equal(driver_await(d, 0, "refused"), expected);
    assert_int_equal(driver_await_exit(d, 0), 4);
    close(fd);
}

static void nodes_that_wait_in_vain_say_for_whom(void **state)
{
    struct driver *d = *state;
    driver_start(d, 1, 1, 3, 1, 60);
    driver_await(d, 1, "open"); /* so it calls when the leader comes */
    driver_start(d, 0, 0, 3, 1, 4);
    assert_non_null(strstr(driver_await(d, 0, "failed"), "only 2 of 3 nodes came within 4 s"));
    assert_non_null(strstr(driver_await(d, 1, "failed"), "only 2 of 3 nodes came within 4 s"));
}

/* --- garbage ---------------------------------------------------------------------------------- */

enum { STRANGERS = 200 };

static int call(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0)
        fail_msg("nobody listens: %s", strerror(errno));
    return fd;
}

/* Every kind of stranger: silent, half a frame, noise, a frame of the largest size that never
 * ends. */
static void pester(uint16_t port, int fds[STRANGERS], unsigned seed)
{
    for (int i = 0; i < STRANGERS; i++) {
        uint8_t noise[512];
        fds[i] = call(port);
        for (size_t k = 0; k < sizeof noise; k++)
            noise[k] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
        if (i % 4 == 1)
            (void)send(fds[i], "\x40\0\0\0\1half", 9, MSG_NOSIGNAL);
        else if (i % 4 == 2)
            (void)send(fds[i], noise, sizeof noise, MSG_NOSIGNAL);
        else if (i % 4 == 3)
            (void)send(fds[i], "\xfc\x1f\0\0\1", 5, MSG_NOSIGNAL);
    }
}

static void hang_up(int fds[STRANGERS])
{
    for (int i = 0; i < STRANGERS; i++)
        close(fds[i]);
}

static void garbage_at_the_port_disturbs_nobody(void **state)
{
    struct driver *d = *state;
    int fds[STRANGERS], more[STRANGERS];
    driver_start(d, 0, 0, 3, 1, 60);
    driver_await(d, 0, "open");
    pester(d->port, fds, 1);
    driver_start(d, 1, 1, 3, 1, 60);
    driver_start(d, 2, 2, 3, 1, 60);
    await_view(d, 3);
    pester(d->port, more, 2); /* and when the group stands */
    query_all(d, 3, 100, 1000, 8);
    hang_up(fds);
    hang_up(more);
    driver_tell(d, 0, "send 100 100");
    for (unsigned i = 0; i < 3; i++)
        await_delivered(d, i, 100);
}

/* The port answers nobody while no member is to call: none of these gets through. */
static void pester_shut(uint16_t port, int fds[STRANGERS])
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_true(fds[i] >= 0);
        assert_int_not_equal(connect(fds[i], (struct sockaddr *)&to, sizeof to), 0);
    }
}

static void garbage_at_the_fabric_disturbs_nobody(void **state)
{
    struct driver *d = *state;
    int fds[STRANGERS];
    start_group(d, 2, 1);
    pester_shut(d->nodes[1].fabric_port, fds);
    query_all(d, 2, 1000, 1000, 8);
    hang_up(fds);
    query_all(d, 2, 1000, 1000, 8);
}

/* --- idleness --------------------------------------------------------------------------------- */

static bool all_sleep(struct driver *d, unsigned nodes)
{
    struct report before[DRIVER_NODES_MAX];
    bool all = true;
    for (unsigned i = 0; i < nodes; i++)
        before[i] = ask_report(d, i);
    poll(NULL, 0, 2000); /* the time that is measured */
    for (unsigned i = 0; i < nodes; i++) {
        struct report r = ask_report(d, i);
        double percent = (double)(r.cpu_ns - before[i].cpu_ns) / (2 * NX_SEC) * 100;
        printf("# idle node %u: %.3f %% CPU, %.1f wake-ups/s, %.1f MB resident\n", i, percent,
               (double)(r.wakeups - before[i].wakeups) / 2, r.rss_mb);
        all &= percent < (SANITIZED ? 2.0 : 0.5);
    }
    return all;
}

static void idle_nodes_sleep(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    for (unsigned tries = 0; tries < 10; tries++) /* what opening costs may not be over yet */
        if (all_sleep(d, 3))
            return;
    fail_msg("nodes without work use the processor");
}

/* --- any provider ----------------------------------------------------------------------------- */

static void three_nodes_agree_on_any_provider(void **state)
{
    everybody_sends(*state, 3, 500, 2000);
}

static void queries_go_both_ways_on_any_provider(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    query_all(d, 3, 50, 0, 16);
    query_all(d, 3, 100, 100, 32);
    query_all(d, 3, 20, 20000, 16);
    query_all(d, 2, 2, 3000000, 2);
}

static void a_bulk_streams_on_any_provider(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    driver_tell(d, 1, "bulk 16000000");
    driver_tell(d, 0, "send 100 500"); /* small messages go on meanwhile */
    for (unsigned i = 0; i < 3; i++) {
        const char *line = driver_await(d, i, "bulk");
        assert_string_equal(line, i == 1 ? "bulk from 1 got 0" : "bulk from 1 got 16000000");
        await_delivered(d, i, 100);
    }
}

static bool is_nearly_idle(struct driver *d, unsigned node)
{
    struct report before = ask_report(d, node);
    poll(NULL, 0, 2000); /* the idle time that is measured */
    struct report idle = ask_report(d, node);
    double percent = (double)(idle.cpu_ns - before.cpu_ns) / (2 * NX_SEC) * 100;
    printf("# idle node: %.2f %% CPU, %.1f wake-ups/s, %.1f MB resident\n", percent,
           (double)(idle.wakeups - before.wakeups) / 2, idle.rss_mb);
    /* Of an emulated processor; one that spins has all it can get. */
    return percent < 40 && idle.wakeups - before.wakeups < 24;
}

/* The commands go to node 0 alone, so only its writes can wake node 1, twenty times. */
static void a_sleeper_is_woken_on_any_provider(void **state)
{
    struct driver *d = *state;
    start_group(d, 3, 1);
    unsigned tries = 0;
    while (!is_nearly_idle(d, 1)) /* what opening costs may not be over yet */
        assert_true(++tries < 10);
    nx_ns asked = nx_clock_now();
    driver_tell(d, 0, "query 1 20 100 1");
    driver_await(d, 0, "queries to 1 answered 20 failed 0");
    printf("# 20 queries in turn to a sleeping node: %.0f ms\n",
           (double)(nx_clock_now() - asked) / NX_MS);
    assert_true(nx_clock_now() - asked < 15 * NX_SEC); /* its own timer would take 20 s and more */
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, make_driver, stop_driver)

static int test_any_provider(void)
{
    const struct CMUnitTest tests[] = {
        WITH(three_nodes_agree_on_any_provider),
        WITH(queries_go_both_ways_on_any_provider),
        WITH(a_bulk_streams_on_any_provider),
        WITH(receivers_pass_a_bulk_on),
        WITH(a_bulk_outlives_who_passes_it_on),
        WITH(a_killed_member_is_noticed_and_the_others_go_on),
        WITH(a_member_killed_under_load_is_noticed),
        WITH(a_clean_leave_costs_no_timeout),
        WITH(a_sleeper_is_woken_on_any_provider),
    };
    return cmocka_run_group_tests_name("any provider", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 4) {
        fprintf(stderr, "usage: test_processes PROCESS_NODE [IP PROVIDER]\n");
        return 2;
    }
    program = argv[1];
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4) {
        ip = argv[2];
        provider = argv[3];
        return test_any_provider();
    }
    const struct CMUnitTest tests[] = {
        WITH(two_nodes_deliver_the_same_in_the_same_order),
        WITH(three_nodes_deliver_the_same_in_the_same_order),
        WITH(six_nodes_deliver_the_same_in_the_same_order),
        WITH(one_sender_is_not_delayed_by_idle_ones),
        WITH(queries_of_all_sizes_go_both_ways),
        WITH(a_bulk_of_64_mb_streams_through_a_bounded_window),
        WITH(receivers_pass_a_bulk_on),
        WITH(a_bulk_outlives_who_passes_it_on),
        WITH(all_at_once),
        WITH(a_killed_member_is_noticed_and_the_others_go_on),
        WITH(a_shard_below_its_minimum_is_unavailable),
        WITH(a_member_killed_under_load_is_noticed),
        WITH(a_clean_leave_costs_no_timeout),
        WITH(a_duplicate_id_is_refused),
        WITH(a_wrong_configuration_is_refused),
        WITH(a_taken_port_is_told_at_open),
        WITH(nodes_that_wait_in_vain_say_for_whom),
        WITH(garbage_at_the_port_disturbs_nobody),
        WITH(garbage_at_the_fabric_disturbs_nobody),
        WITH(idle_nodes_sleep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
