/* How long do processes take from their making until all are in the first view? Beside it, what libfabric takes for the
 * same number of them to open and to connect to each other, without a group. */
#include "bench/bench.h"

#include <stdio.h>

/* All have met: from here on nothing is measured. */
static void note_ready(struct bench_run *run)
{
    run->cpu_start = 0; /* the process's whole life counts */
    if (run->index == 0)
        bench_sample(run, run->start - run->shared->forked_at);
    bench_note(run, 1);
}

static void ready_node(struct bench_run *run)
{
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    struct nx_group *group = bench_open_group(run, &upcalls, NULL);
    note_ready(run);
    bench_close_group(run, group);
}

static void connected_node(struct bench_run *run)
{
    struct bench_raw raw;
    bench_open_raw(run, &raw);
    note_ready(run);
    bench_close_raw(&raw);
}

static void print(const char *what, const struct bench_row *row, const struct bench_row *raw)
{
    double min, max, ms = BENCH_MEDIAN(row, p50_us, &min, &max) / 1e3;
    printf("  %-28s %6.0f ms (%.0f … %.0f)  %.3f CPU-s", what, ms, min / 1e3, max / 1e3,
           BENCH_MEDIAN(row, cpu_per_1000, NULL, NULL) / 1e3);
    if (raw)
        printf("  %.2f × raw", ms * 1e3 / BENCH_MEDIAN(raw, p50_us, NULL, NULL));
    printf("\n");
}

int bench_main_ready(const struct bench_options *o)
{
    struct bench_row raw = {.count = 0}, ready = {.count = 0};
    for (unsigned i = 0; i < o->rounds; i++)
        if (!bench_cell(o, connected_node, &raw.rounds[raw.count++]) ||
            !bench_cell(o, ready_node, &ready.rounds[ready.count++]))
            return 1;
    bench_print_machine(o, "ready");
    print("libfabric open and connected", &raw, NULL);
    print("in the first view", &ready, &raw);
    return 0;
}
