/* Real processes that fall silent while their connections stand: stopped ones, and links that lose everything.
 *
 *   test_process_silence PROCESS_NODE
 *
 * The links are cut in a network namespace of our own, by rules that drop what one loopback address sends to another.
 * Where no namespace may be made, those tests are skipped, with a line that says so. */
#include "check.h"
#include "nx_ports.h"
#include "nx_test.h"
#include "process/process_driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Who is left behind of those that do not hear each other is judged within a twelfth of the
 * timeout: where that is tested, it is more than a busy machine lets a node wait. */
enum { TIMEOUT_MS = 1500, LINKS_TIMEOUT_MS = 6000, NODES = 3 };

static const char *program;
static bool cuts;                 /* links can be cut */
static struct sim_record own[16]; /* what the driver did to the nodes */
static unsigned own_count;
static char rules[1024]; /* for ip, by which links are to be cut */
static char prefix[] = "/tmp/nx-silence-XXXXXX";

static int make_driver(void **state)
{
    struct driver *d = calloc(1, sizeof *d);
    d->program = program;
    d->ip = "127.0.0.1";
    d->provider = "tcp";
    d->timeout_ms = TIMEOUT_MS;
    d->own_ips = true;
    d->port = nx_free_port();
    own_count = 0;
    *state = d;
    return 0;
}

static int make_links_driver(void **state)
{
    int made = make_driver(state);
    ((struct driver *)*state)->timeout_ms = LINKS_TIMEOUT_MS;
    return made;
}

/* --- the simulator's judges ------------------------------------------------------------------- */

static void note(enum sim_kind kind, unsigned node, nx_ns lasts)
{
    own[own_count++] = (struct sim_record){.at = nx_clock_now(),
                                           .kind = (uint8_t)kind,
                                           .node = (uint8_t)node,
                                           .total = (uint64_t)lasts};
}

static int by_time(const void *a, const void *b)
{
    const struct sim_record *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static void read_trace(struct sim_trace *trace, unsigned node)
{
    char path[sizeof prefix + 10], line[512];
    snprintf(path, sizeof path, "%s%u", prefix, node);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct sim_record record;
        assert_true(sim_record_parse(line, &record));
        sim_trace_add(trace, &record);
    }
    fclose(file);
    unlink(path);
}

/* All that the nodes wrote down, in one order of time. */
static void judge(const struct driver *d, unsigned nodes)
{
    const struct sim_limits limits = {.timeout_ns = d->timeout_ms * NX_MS};
    struct sim_trace trace;
    struct sim_verdict verdict;
    sim_trace_init(&trace);
    note(SIM_END, 0, 0);
    for (unsigned n = 0; n < nodes; n++)
        read_trace(&trace, n);
    for (unsigned i = 0; i < own_count; i++)
        sim_trace_add(&trace, &own[i]);
    qsort(trace.records, trace.count, sizeof *trace.records, by_time);
    if (!sim_check(&trace, &limits, &verdict))
        fail_msg("%s: %s", verdict.rule, verdict.text);
    printf("# the simulator's judges read %zu records\n", trace.count);
    sim_trace_free(&trace);
}

static bool shell(const char *format, unsigned a, unsigned b)
{
    char line[256];
    snprintf(line, sizeof line, format, a + 1, b + 1);
    return system(line) == 0;
}

static int stop_driver(void **state)
{
    if (cuts)
        (void)shell("while ip rule del pref 1 2>/dev/null; do :; done; : %u %u", 0, 0);
    driver_stop_all(*state);
    free(*state);
    return 0;
}

/* Nothing of `from` arrives at `to` any more, once cut_now was called: links that are meant to break at one time do,
 * however long a shell takes to start. */
static void cut(unsigned from, unsigned to)
{
    note(SIM_STALL, from, 60 * NX_SEC);
    own[own_count - 1].peer = (uint8_t)to;
    size_t used = strlen(rules);
    snprintf(rules + used, sizeof rules - used,
             "rule add pref 1 from 127.0.0.%u to 127.0.0.%u blackhole\n", from + 1, to + 1);
}

static void cut_now(void)
{
    FILE *ip = popen("ip -batch -", "we");
    assert_non_null(ip);
    fputs(rules, ip);
    assert_int_equal(pclose(ip), 0);
    rules[0] = '\0';
}

static void heal(void)
{
    (void)shell("while ip rule del pref 1 2>/dev/null; do :; done; : %u %u", 0, 0);
}

static void start_group(struct driver *d, unsigned nodes)
{
    for (unsigned i = nodes; i-- > 0;)
        driver_start(d, i, i, nodes, 1, 60);
    for (unsigned i = 0; i < nodes; i++)
        driver_await(d, i, "view");
}

static unsigned long long delivered(struct driver *d, unsigned index)
{
    unsigned long long count = 0;
    driver_tell(d, index, "report");
    assert_int_equal(sscanf(driver_await(d, index, "report"), "report delivered %llu", &count), 1);
    return count;
}

static void await_delivered(struct driver *d, unsigned index, unsigned long long count)
{
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    while (delivered(d, index) < count) {
        assert_true(nx_clock_now() < until);
        poll(NULL, 0, 10);
    }
}

static void await_status(struct driver *d, unsigned node, const char *status)
{
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    driver_tell(d, node, "report");
    while (!strstr(driver_await(d, node, "report"), status)) {
        assert_true(nx_clock_now() < until);
        poll(NULL, 0, 100);
        driver_tell(d, node, "report");
    }
}

/* The two that go on install a view of two. How long after `since`, in timeouts. */
static double await_view_of_two(struct driver *d, unsigned index, nx_ns since)
{
    unsigned long long vid;
    unsigned members;
    long long at;
    assert_int_equal(sscanf(driver_await(d, index, "installed"),
                            "installed %llu members %u at %lld", &vid, &members, &at),
                     3);
    assert_int_equal(members, 2);
    double timeouts = (double)(at - since) / ((double)d->timeout_ms * NX_MS);
    printf("# node %u: view %llu without the silent one after %.2f timeouts\n", index, vid,
           timeouts);
    return timeouts;
}

static void expect_both_go_on(struct driver *d, unsigned a, unsigned b, unsigned long long before)
{
    driver_tell(d, a, "send 20 300");
    await_delivered(d, a, before + 20);
    await_delivered(d, b, before + 20);
}

static void expect_fenced(struct driver *d, unsigned index)
{
    const char *line = driver_await(d, index, "failed");
    assert_non_null(strstr(line, "another member takes this node for failed"));
    assert_int_equal(driver_await_exit(d, index), 3);
}

static void stop_one(struct driver *d, unsigned silent)
{
    unsigned a = silent == 0 ? 1 : 0, b = silent == 2 ? 1 : 2;
    start_group(d, NODES);
    driver_tell(d, a, "send 50 300");
    for (unsigned i = 0; i < NODES; i++)
        await_delivered(d, i, 50);
    nx_ns since = nx_clock_now();
    kill(d->nodes[silent].pid, SIGSTOP);
    note(SIM_PAUSE, silent, 60 * NX_SEC);              /* much more than it will be */
    assert_true(await_view_of_two(d, a, since) > 0.5); /* not by a connection's end */
    (void)await_view_of_two(d, b, since);
    expect_both_go_on(d, a, b, 50);
    kill(d->nodes[silent].pid, SIGCONT);
    expect_fenced(d, silent);
    expect_both_go_on(d, b, a, 70);
    judge(d, NODES);
}

static void a_stopped_member_is_left_behind_and_fenced_when_it_wakes(void **state)
{
    stop_one(*state, 2);
}

static void a_stopped_leader_is_left_behind_and_fenced_when_it_wakes(void **state)
{
    stop_one(*state, 0);
}

static void a_short_stop_costs_nothing(void **state)
{
    struct driver *d = *state;
    start_group(d, NODES);
    for (int i = 0; i < 4; i++) {
        kill(d->nodes[1].pid, SIGSTOP);
        poll(NULL, 0, TIMEOUT_MS / 4);
        kill(d->nodes[1].pid, SIGCONT);
        poll(NULL, 0, TIMEOUT_MS / 4);
    }
    driver_tell(d, 0, "send 20 300");
    for (unsigned i = 0; i < NODES; i++)
        await_delivered(d, i, 20);
}

static void all_stopped_together_go_on_together(void **state)
{
    struct driver *d = *state;
    start_group(d, NODES);
    for (unsigned i = 0; i < NODES; i++)
        kill(d->nodes[i].pid, SIGSTOP);
    unsigned first = own_count;
    for (unsigned i = 0; i < NODES; i++)
        note(SIM_PAUSE, i, 0);
    poll(NULL, 0, 2 * TIMEOUT_MS);
    for (unsigned i = 0; i < NODES; i++) {
        own[first + i].total = (uint64_t)(nx_clock_now() - own[first + i].at);
        kill(d->nodes[i].pid, SIGCONT);
    }
    driver_tell(d, 0, "send 20 300");
    for (unsigned i = 0; i < NODES; i++)
        await_delivered(d, i, 20);
    judge(d, NODES);
}

static void of_two_the_other_blocks_and_goes_on_when_it_is_back(void **state)
{
    struct driver *d = *state;
    start_group(d, 2);
    driver_tell(d, 1, "send 50 300");
    await_delivered(d, 0, 50); /* both have heard one another */
    kill(d->nodes[1].pid, SIGSTOP);
    await_status(d, 0, "status wedged");
    kill(d->nodes[1].pid, SIGCONT);
    await_status(d, 0, "status ok");
    driver_tell(d, 0, "send 20 300");
    for (unsigned i = 0; i < 2; i++)
        await_delivered(d, i, 70);
}

/* --- links ------------------------------------------------------------------------------------ */

static void need_cuts(void)
{
    if (cuts)
        return;
    printf("# skipped: this machine lets us make no network namespace with rules for its links\n");
    skip();
}

/* Between the first two of three; the third hears both. The lower rank stays. */
static void cut_between_two(struct driver *d, bool there, bool back)
{
    need_cuts();
    start_group(d, NODES);
    nx_ns since = nx_clock_now();
    if (there)
        cut(0, 1);
    if (back)
        cut(1, 0);
    cut_now();
    (void)await_view_of_two(d, 0, since);
    (void)await_view_of_two(d, 2, since);
    expect_fenced(d, 1);
    expect_both_go_on(d, 0, 2, 0);
    judge(d, NODES);
}

static void of_two_without_a_link_one_goes_on(void **state)
{
    cut_between_two(*state, true, true);
}

static void of_two_with_a_link_one_way_one_goes_on(void **state)
{
    cut_between_two(*state, true, false);
}

static void a_silent_host_is_left_behind(void **state)
{
    struct driver *d = *state;
    need_cuts();
    start_group(d, NODES);
    nx_ns since = nx_clock_now();
    for (unsigned i = 1; i < NODES; i++) {
        cut(0, i);
        cut(i, 0);
    }
    cut_now();
    (void)await_view_of_two(d, 1, since);
    (void)await_view_of_two(d, 2, since);
    expect_both_go_on(d, 1, 2, 0);
    await_status(d, 0, "status wedged");
}

static unsigned count_serving(struct driver *d)
{
    unsigned count = 0;
    for (unsigned i = 0; i < NODES; i++) {
        const char *report = driver_report(d, i);
        count += report && strstr(report, "status ok");
    }
    return count;
}

/* TCP tries each connection again after a pause of its own: the two that hear one another first
 * may leave the third behind. */
static void without_any_link_all_block_and_go_on_when_it_heals(void **state)
{
    struct driver *d = *state;
    need_cuts();
    start_group(d, NODES);
    for (unsigned a = 0; a < NODES; a++)
        for (unsigned b = 0; b < NODES; b++)
            if (a != b)
                cut(a, b);
    cut_now();
    for (unsigned i = 0; i < NODES; i++)
        await_status(d, i, "status wedged");
    heal();
    nx_ns until = nx_clock_now() + 60 * NX_SEC; /* the pauses get ever longer */
    while (count_serving(d) < 2) {
        assert_true(nx_clock_now() < until);
        poll(NULL, 0, 100);
    }
}

static void remove_traces(void)
{
    char path[sizeof prefix + 8];
    unlink(prefix);
    for (unsigned n = 0; n < NODES; n++) {
        snprintf(path, sizeof path, "%s%u", prefix, n);
        unlink(path);
    }
}

/* A network of our own, with rules that come before the local table. */
static bool make_network(void)
{
    char map[64];
    uid_t uid = getuid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
    int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, map, strlen(map)) > 0;
    if (fd >= 0)
        close(fd);
    return ok && system("ip link set lo up && ip rule add pref 10 from all lookup local && "
                        "ip rule del pref 0 && ip rule add pref 1 from 127.0.0.9 to 127.0.0.8 "
                        "blackhole && ip rule del pref 1") == 0;
}

static bool can_make_network(void)
{
    pid_t pid = fork();
    int status = 1;
    if (pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(nowhere, STDERR_FILENO);
        _exit(!make_network());
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

#define WITH(test)       cmocka_unit_test_setup_teardown(test, make_driver, stop_driver)
#define WITH_LINKS(test) cmocka_unit_test_setup_teardown(test, make_links_driver, stop_driver)

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: test_process_silence PROCESS_NODE\n");
        return 2;
    }
    program = argv[1];
    signal(SIGPIPE, SIG_IGN);
    int file = mkstemp(prefix);
    if (file < 0)
        return 2;
    close(file);
    setenv("NX_TRACE_PREFIX", prefix, 1);
    cuts = can_make_network() && make_network();
    const struct CMUnitTest tests[] = {
        WITH(a_stopped_member_is_left_behind_and_fenced_when_it_wakes),
        WITH(a_stopped_leader_is_left_behind_and_fenced_when_it_wakes),
        WITH(a_short_stop_costs_nothing),
        WITH(all_stopped_together_go_on_together),
        WITH(of_two_the_other_blocks_and_goes_on_when_it_is_back),
        WITH_LINKS(of_two_without_a_link_one_goes_on),
        WITH_LINKS(of_two_with_a_link_one_way_one_goes_on),
        WITH_LINKS(a_silent_host_is_left_behind),
        WITH(without_any_link_all_block_and_go_on_when_it_heals),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove_traces();
    return failed;
}
