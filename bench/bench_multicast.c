/* How many ordered, stable messages per second, and how long from send to the sender's own
 * delivery? */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state {
    struct bench_run *run;
    struct nx_group *group;
    uint64_t sent, own_delivered, delivered;
    nx_rank rank;
};

static void deliver(void *ctx, const struct nx_delivery *message)
{
    struct state *s = ctx;
    s->delivered++;
    if (message->sender == s->rank)
        s->own_delivered++;
}

static bool sends(const struct bench_run *run)
{
    return run->index == 0 || run->options->all_send;
}

static void fill_window(struct state *s, const uint8_t *bytes)
{
    const struct bench_options *o = s->run->options;
    while (s->sent - s->own_delivered < o->window &&
           nx_group_send(s->group, 0, bytes, o->size) == NX_OK)
        s->sent++;
}

static void open_state(struct bench_run *run, struct state *s)
{
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    upcalls.deliver = deliver;
    *s = (struct state){.run = run};
    s->group = bench_open_group(run, &upcalls, s);
    s->rank = nx_group_rank(s->group);
    if (run->options->size > nx_group_send_max(s->group))
        bench_die("a message is at most %zu bytes", nx_group_send_max(s->group));
}

static void rate_node(struct bench_run *run)
{
    struct state s;
    uint8_t *bytes = calloc(1, run->options->size + 1);
    open_state(run, &s);
    nx_ns until = run->start + (nx_ns)(run->options->seconds * NX_SEC);
    if (sends(run))
        while (nx_clock_now() < until) {
            fill_window(&s, bytes);
            bench_group_turn(run, s.group);
        }
    while (s.own_delivered < s.sent || (run->index > 0 && !atomic_load(&run->shared->stop)))
        bench_group_turn(run, s.group);
    bench_note(run, s.delivered);
    bench_close_group(run, s.group);
    free(bytes);
}

static void latency_node(struct bench_run *run)
{
    struct state s;
    uint8_t *bytes = calloc(1, run->options->size + 1);
    open_state(run, &s);
    nx_ns until = run->start + (nx_ns)(run->options->seconds * NX_SEC), now = nx_clock_now();
    while (run->index == 0 && now < until) {
        if (nx_group_send(s.group, 0, bytes, run->options->size) != NX_OK)
            bench_die("one message does not fit the window");
        s.sent++;
        while (s.own_delivered < s.sent)
            bench_group_turn(run, s.group);
        nx_ns then = now;
        now = nx_clock_now();
        bench_sample(run, now - then);
    }
    while (run->index > 0 && !atomic_load(&run->shared->stop))
        bench_group_turn(run, s.group);
    bench_note(run, s.delivered);
    bench_close_group(run, s.group);
    free(bytes);
}

int bench_main_multicast(const struct bench_options *o)
{
    struct bench_row raw = {.count = 0}, rate = {.count = 0}, pong = {.count = 0},
                     latency = {.count = 0};
    struct bench_options pair = *o;
    pair.nodes = 2;
    pair.reply = o->size;
    for (unsigned i = 0; i < o->rounds; i++) {
        if (!bench_cell(o, bench_raw_rate, &raw.rounds[raw.count++]) ||
            !bench_cell(o, rate_node, &rate.rounds[rate.count++]) ||
            !bench_cell(&pair, bench_raw_pong, &pong.rounds[pong.count++]) ||
            !bench_cell(o, latency_node, &latency.rounds[latency.count++]))
            return 1;
        pong.rounds[pong.count - 1].p50_us /= 2; /* one way */
        pong.rounds[pong.count - 1].p99_us /= 2;
    }
    bench_print_machine(o, "multicast, ordered and stable");
    printf("  %llu bytes, window %u, %s\n", (unsigned long long)o->size, o->window,
           o->all_send ? "every node sends" : "one node sends");
    bench_print_rate("raw, one write per message", &raw, NULL, o->size);
    bench_print_rate("multicast", &rate, &raw, o->size);
    bench_print_latency("raw, one way", &pong, NULL, "");
    bench_print_latency("send to own delivery", &latency, &pong, "raw one way");
    return 0;
}
