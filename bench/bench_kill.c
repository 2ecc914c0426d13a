/* How long does a group stand still when a member is killed (SIGKILL)? From the signal to the first delivery in the view
 * without it, at a member that sends one message after the other. */
#include "bench/bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SENDER = 1, LOAD_MS = 20 }; /* the sender's rank: neither the leader's nor the last */

struct kill {
    struct bench_run *run;
    struct nx_group *group;
    uint8_t *bytes;
    uint64_t sent, delivered;
    bool viewed, over; /* the next view is here; something was delivered in it */
};

static void on_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct kill *k = ctx;
    (void)layout;
    k->viewed |= view->vid > 1;
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    (void)ctx, (void)rank, (void)clean, (void)why;
}

static void on_deliver(void *ctx, const struct nx_delivery *message)
{
    struct kill *k = ctx;
    (void)message;
    k->delivered++; /* nobody else sends */
    k->over |= k->viewed;
}

/* One message outstanding; while the view changes, a send is tried again. */
static void send_turn(struct kill *k)
{
    if (k->sent == k->delivered &&
        nx_group_send(k->group, 0, k->bytes, k->run->options->size) == NX_OK)
        k->sent++;
    bench_group_turn(k->run, k->group);
}

static void kill_under_load(struct kill *k, bool of_leader)
{
    struct bench_run *run = k->run;
    nx_ns until = nx_clock_now() + (LOAD_MS + nx_clock_now() % LOAD_MS) * NX_MS;
    while (nx_clock_now() < until || atomic_load(&run->shared->victim) == 0)
        send_turn(k);
    nx_ns killed_at = nx_clock_now(), patience = killed_at + 20 * NX_SEC;
    kill((pid_t)atomic_load(&run->shared->victim), SIGKILL);
    while (!k->over && nx_clock_now() < patience)
        send_turn(k);
    if (!k->over)
        bench_die("nothing was delivered after the death of %s",
                  of_leader ? "the leader" : "a member");
    bench_sample(run, nx_clock_now() - killed_at);
    atomic_store(&run->shared->stop, 1);
    atomic_fetch_add(&run->shared->finished, 1); /* for the dead */
}

static void kill_node(struct bench_run *run, bool of_leader)
{
    struct kill k = {.run = run, .bytes = calloc(1, run->options->size)};
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    upcalls.view = on_view;
    upcalls.member_down = on_member_down;
    upcalls.deliver = on_deliver;
    k.group = bench_open_group(run, &upcalls, &k);
    nx_rank rank = nx_group_rank(k.group);
    if (rank == (of_leader ? 0 : run->options->nodes - 1))
        atomic_store(&run->shared->victim, getpid());
    if (rank == SENDER)
        kill_under_load(&k, of_leader);
    while (!atomic_load(&run->shared->stop))
        bench_group_turn(run, k.group);
    bench_close_group(run, k.group);
    free(k.bytes);
}

static void kill_leader(struct bench_run *run)
{
    kill_node(run, true);
}

static void kill_last(struct bench_run *run)
{
    kill_node(run, false);
}

static void print(const char *who, const struct bench_row *row)
{
    size_t p50 = offsetof(struct bench_figures, p50_us);
    printf(
        "  kill -9 of %-11s to the first delivery in the next view: median %.2f ms (%.2f … %.2f), "
        "9 of 10 within %.2f ms\n",
        who, bench_quantile(row, p50, 0.5) / 1e3, bench_quantile(row, p50, 0) / 1e3,
        bench_quantile(row, p50, 1) / 1e3, bench_quantile(row, p50, 0.9) / 1e3);
}

int bench_main_kill(const struct bench_options *o)
{
    struct bench_row leader = {.count = 0}, last = {.count = 0};
    if (o->nodes < 3) {
        fputs("nexus-bench: kill needs three nodes for a majority\n", stderr);
        return 2;
    }
    for (unsigned i = 0; i < o->rounds; i++)
        if (!bench_cell(o, kill_last, &last.rounds[last.count++]) ||
            !bench_cell(o, kill_leader, &leader.rounds[leader.count++]))
            return 1;
    bench_print_machine(o, "kill");
    print("a member", &last);
    print("the leader", &leader);
    return 0;
}
