/* What does a node cost that has nothing to do? */
#include "bench/bench.h"

#include <poll.h>
#include <stdio.h>

static void idle_node(struct bench_run *run)
{
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    struct nx_group *group = bench_open_group(run, &upcalls, NULL);
    nx_ns until = run->start + (nx_ns)(run->options->seconds * NX_SEC), now;
    struct nx_group_stats before, after;
    nx_group_get_stats(group, &before);
    while ((now = nx_clock_now()) < until) {
        nx_ns wake_at;
        if (nx_group_poll(group) || nx_group_arm(group, &wake_at) != NX_OK)
            continue;
        nx_ns left = (wake_at < until ? wake_at : until) - now;
        struct pollfd p = {.fd = nx_group_fd(group), .events = POLLIN};
        poll(&p, 1, left < 0 ? 0 : (int)(left / NX_MS) + 1);
    }
    nx_group_get_stats(group, &after);
    bench_note(run, 1);
    struct bench_node_result *r = &run->shared->nodes[run->index];
    r->wakeups_per_s = (double)(after.wakeups - before.wakeups) / r->wall_s;
    if (run->index == 0)
        printf("  node 0: %.4f %% CPU, %.1f wake-ups/s, RSS %.1f MB\n", r->cpu_s / r->wall_s * 100,
               r->wakeups_per_s, r->rss_mb);
    fflush(stdout);
    bench_close_group(run, group);
}

int bench_main_idle(const struct bench_options *o)
{
    struct bench_row idle = {.count = 0};
    struct bench_options block = *o;
    block.block = true;
    bench_print_machine(&block, "idle");
    for (unsigned i = 0; i < o->rounds; i++)
        if (!bench_cell(&block, idle_node, &idle.rounds[idle.count++]))
            return 1;
    printf("  %.4f %% CPU per node, RSS of the largest %.1f MB\n",
           BENCH_MEDIAN(&idle, cpu_per_1000, NULL, NULL) / 10 / o->nodes / o->seconds,
           BENCH_MEDIAN(&idle, rss_mb, NULL, NULL));
    return 0;
}
