/* How long does a group go on with a member that was stopped (SIGSTOP), whose connections stand? */
#include "bench/bench.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct silence {
    struct bench_run *run;
    bool viewed, out;
};

static void on_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct silence *s = ctx;
    (void)layout;
    s->viewed |= view->vid > 1;
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    (void)ctx, (void)rank, (void)clean, (void)why;
}

static void on_down(void *ctx, const struct nx_err *err)
{
    struct silence *s = ctx;
    (void)err;
    s->out = true;
}

/* Idle as a node in service is: it sleeps until something comes or is due. */
static void rest(struct silence *s, struct nx_group *group, nx_ns until)
{
    nx_ns wake_at, now;
    while ((now = nx_clock_now()) < until && !s->viewed && !s->out) {
        if (nx_group_poll(group) || nx_group_arm(group, &wake_at) != NX_OK)
            continue;
        nx_ns left = (wake_at < until ? wake_at : until) - now;
        struct pollfd p = {.fd = nx_group_fd(group), .events = POLLIN};
        poll(&p, 1, left < 0 ? 0 : (int)(left / NX_MS) + 1);
    }
}

static void stop_and_wait(struct silence *s, struct nx_group *group)
{
    struct bench_run *run = s->run;
    pid_t victim = (pid_t)atomic_load(&run->shared->victim);
    nx_ns timeout = (nx_ns)run->options->timeout_ms * NX_MS;
    rest(s, group, nx_clock_now() + timeout / 2 + nx_clock_now() % (timeout / 2));
    nx_ns stopped_at = nx_clock_now();
    kill(victim, SIGSTOP);
    rest(s, group, stopped_at + 4 * timeout);
    if (!s->viewed)
        bench_die("no view without the stopped member within four timeouts");
    bench_sample(run, nx_clock_now() - stopped_at);
    bench_note(run, 1);
    kill(victim, SIGCONT);
}

static void silence_node(struct bench_run *run)
{
    struct silence s = {.run = run};
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    upcalls.view = on_view;
    upcalls.member_down = on_member_down;
    upcalls.down = on_down;
    if (run->index == run->options->nodes - 1)
        atomic_store(&run->shared->victim, getpid());
    struct nx_group *group = bench_open_group(run, &upcalls, &s);
    if (run->index == 0)
        stop_and_wait(&s, group);
    else
        rest(&s, group, nx_clock_now() + 20 * NX_SEC);
    if (run->index == run->options->nodes - 1 && !s.out)
        bench_die("the stopped member was not fenced when it woke");
    if (run->index != 0)
        bench_note(run, 1);
    if (!s.out) {
        bench_close_group(run, group);
        return;
    }
    atomic_fetch_add(&run->shared->finished, 1);
    nx_group_close(group);
}

int bench_main_silence(const struct bench_options *o)
{
    struct bench_row row = {.count = 0};
    double min, max;
    if (o->timeout_ms == 0 || o->nodes < 3) {
        fputs("nexus-bench: silence needs a timeout, and three nodes for a majority\n", stderr);
        return 2;
    }
    bench_print_machine(o, "silence");
    for (unsigned i = 0; i < o->rounds; i++)
        if (!bench_cell(o, silence_node, &row.rounds[row.count++]))
            return 1;
    double timeout = o->timeout_ms * 1e3, p50 = BENCH_MEDIAN(&row, p50_us, &min, &max);
    printf("  SIGSTOP to the view without it %.0f ms (%.0f … %.0f), %.3f × the timeout of %u ms "
           "(%.3f … %.3f)\n",
           p50 / 1e3, min / 1e3, max / 1e3, p50 / timeout, o->timeout_ms, min / timeout,
           max / timeout);
    return 0;
}
