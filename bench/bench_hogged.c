/* Is a living member taken for dead where every core has more to do than it can? Two processes for each core compute
 * without end while the nodes of a group, idle as in service, listen to each other. */
#include "bench/bench.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HOGS_PER_CORE = 2, HOGS_MAX = 256 };

struct hogs {
    pid_t pids[HOGS_MAX];
    unsigned count;
};

struct hogged {
    struct bench_run *run;
    bool out;
};

static void start_hogs(struct hogs *hogs)
{
    long wanted = HOGS_PER_CORE * sysconf(_SC_NPROCESSORS_ONLN);
    fflush(stdout);
    for (hogs->count = 0; hogs->count < wanted && hogs->count < HOGS_MAX; hogs->count++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (volatile uint64_t n = 0;;)
                n = n + 1;
        }
        hogs->pids[hogs->count] = pid;
    }
}

static void stop_hogs(const struct hogs *hogs)
{
    for (unsigned i = 0; i < hogs->count; i++)
        if (hogs->pids[i] > 0 && kill(hogs->pids[i], SIGKILL) == 0)
            waitpid(hogs->pids[i], NULL, 0);
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    struct hogged *h = ctx;
    if (clean)
        return;
    printf("  after %.1f s node %u says that rank %u is gone: %s\n",
           (double)(nx_clock_now() - h->run->start) / NX_SEC, h->run->index, rank, why);
    fflush(stdout);
}

static void on_down(void *ctx, const struct nx_err *err)
{
    struct hogged *h = ctx;
    (void)err;
    h->out = true;
    atomic_fetch_add(&h->run->shared->evicted, 1);
}

static void sleep_until(struct bench_node_result *result, int fd, nx_ns at)
{
    struct timespec left = {0};
    nx_ns now = nx_clock_now();
    if (at > now)
        left = (struct timespec){.tv_sec = (at - now) / NX_SEC, .tv_nsec = (at - now) % NX_SEC};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    if (ppoll(&p, 1, &left, NULL) == 0 && nx_clock_now() - at > result->late)
        result->late = nx_clock_now() - at;
}

static void hogged_node(struct bench_run *run)
{
    struct hogged h = {.run = run};
    struct bench_node_result *result = &run->shared->nodes[run->index];
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    upcalls.member_down = on_member_down;
    upcalls.down = on_down;
    struct nx_group *group = bench_open_group(run, &upcalls, &h);
    nx_ns until = run->start + (nx_ns)(run->options->seconds * NX_SEC), wake_at;
    while (nx_clock_now() < until && !h.out)
        if (!nx_group_poll(group) && !h.out && nx_group_arm(group, &wake_at) == NX_OK)
            sleep_until(result, nx_group_fd(group), wake_at < until ? wake_at : until);
    bench_note(run, 1);
    if (!h.out) {
        bench_close_group(run, group);
        return;
    }
    atomic_fetch_add(&run->shared->finished, 1);
    nx_group_close(group);
}

int bench_main_hogged(const struct bench_options *o)
{
    struct bench_row row = {.count = 0};
    struct hogs hogs;
    if (o->timeout_ms == 0) {
        fputs("nexus-bench: hogged needs a timeout\n", stderr);
        return 2;
    }
    bench_print_machine(o, "hogged");
    start_hogs(&hogs);
    bool ok = true;
    for (unsigned i = 0; i < o->rounds && ok; i++)
        ok = bench_cell(o, hogged_node, &row.rounds[row.count++]);
    stop_hogs(&hogs);
    for (unsigned i = 0; i < row.count && ok; i++)
        printf("  %u of %u living nodes evicted in %.0f s, timeout %u ms, %u processes that hog; "
               "the latest "
               "wake-up came %.1f ms too late\n",
               row.rounds[i].evicted, o->nodes, o->seconds, o->timeout_ms, hogs.count,
               row.rounds[i].late_ms);
    return ok ? 0 : 1;
}
