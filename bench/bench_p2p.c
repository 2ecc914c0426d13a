/* How long does a query take, and how many are answered per second with many outstanding? */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTSTANDING_MAX = 1024 };

struct query {
    nx_stream stream; /* 0: idle */
    uint64_t sent;
    bool open;
};

struct answer {
    nx_stream stream;
    uint64_t sent;
    bool opened;
};

struct state {
    struct bench_run *run;
    struct nx_group *group;
    uint8_t *bytes;
    struct query queries[OUTSTANDING_MAX];
    struct answer answers[OUTSTANDING_MAX]; /* a ring: not yet all handed over */
    unsigned answers_first, answers_count;
    unsigned window;
    uint64_t answered;
    bool closing;
};

static void push_answers(struct state *s)
{
    uint64_t reply = s->run->options->reply;
    while (s->answers_count > 0) {
        struct answer *a = &s->answers[s->answers_first % OUTSTANDING_MAX];
        size_t taken = 0;
        if (!a->opened && nx_reply_open(s->group, a->stream, reply) != NX_OK)
            return;
        a->opened = true;
        while (a->sent < reply &&
               nx_reply_write(s->group, a->stream, s->bytes + a->sent, reply - a->sent, &taken) ==
                   NX_OK &&
               taken > 0)
            a->sent += taken;
        if (a->sent < reply)
            return;
        s->answers_first++;
        s->answers_count--;
    }
}

static void query_part(void *ctx, const struct nx_part *part)
{
    struct state *s = ctx;
    if (part->offset + part->len < part->total)
        return;
    if (s->answers_count == OUTSTANDING_MAX)
        bench_die("too many queries at once");
    s->answers[(s->answers_first + s->answers_count++) % OUTSTANDING_MAX] =
        (struct answer){.stream = part->stream};
    push_answers(s);
}

static void reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    struct state *s = ctx;
    struct query *q = cookie;
    if (part->offset + part->len < part->total)
        return;
    q->open = false;
    s->answered++;
}

static void push_query(struct state *s, struct query *q)
{
    uint64_t size = s->run->options->size;
    if (!q->open) {
        if (s->closing || nx_query_open(s->group, 1, size, q, &q->stream) != NX_OK)
            return;
        q->open = true;
        q->sent = 0;
    }
    size_t taken = 0;
    while (q->sent < size &&
           nx_query_write(s->group, q->stream, s->bytes + q->sent, size - q->sent, &taken) ==
               NX_OK &&
           taken > 0)
        q->sent += taken;
}

static bool any_open(const struct state *s)
{
    for (unsigned i = 0; i < s->window; i++)
        if (s->queries[i].open)
            return true;
    return false;
}

static void ask(struct state *s)
{
    struct bench_run *run = s->run;
    nx_ns until = run->start + (nx_ns)(run->options->seconds * NX_SEC), now = nx_clock_now();
    while (!s->closing || any_open(s)) {
        uint64_t before = s->answered;
        for (unsigned i = 0; i < s->window; i++)
            push_query(s, &s->queries[i]);
        bench_group_turn(run, s->group);
        if (s->answered == before)
            continue;
        nx_ns then = now;
        now = nx_clock_now();
        if (s->window == 1)
            bench_sample(run, now - then);
        s->closing = now >= until;
    }
}

static void query_node(struct bench_run *run)
{
    struct state *s = calloc(1, sizeof *s);
    struct nx_group_upcalls upcalls;
    bench_no_upcalls(&upcalls);
    upcalls.query_part = query_part;
    upcalls.reply_part = reply_part;
    s->run = run;
    s->window = run->options->window;
    s->bytes = calloc(1, run->options->size + run->options->reply);
    s->group = bench_open_group(run, &upcalls, s);
    if (run->index == 0)
        ask(s);
    while (run->index > 0 && !atomic_load(&run->shared->stop)) {
        push_answers(s);
        bench_group_turn(run, s->group);
    }
    bench_note(run, s->answered);
    bench_close_group(run, s->group);
    free(s->bytes);
    free(s);
}

int bench_main_p2p(const struct bench_options *o)
{
    struct bench_row raw = {.count = 0}, one = {.count = 0}, many = {.count = 0};
    struct bench_options single = *o;
    single.window = 1;
    if (o->window > OUTSTANDING_MAX)
        bench_die("at most %d outstanding", OUTSTANDING_MAX);
    for (unsigned i = 0; i < o->rounds; i++)
        if (!bench_cell(&single, bench_raw_pong, &raw.rounds[raw.count++]) ||
            !bench_cell(&single, query_node, &one.rounds[one.count++]) ||
            !bench_cell(o, query_node, &many.rounds[many.count++]))
            return 1;
    char name[64];
    bench_print_machine(o, "point-to-point queries");
    printf("  %llu bytes there, %llu back\n", (unsigned long long)o->size,
           (unsigned long long)o->reply);
    bench_print_latency("raw round trip", &raw, NULL, "");
    bench_print_latency("query, 1 outstanding", &one, &raw, "raw round trip");
    bench_print_rate("raw round trips", &raw, NULL, o->size + o->reply);
    bench_print_rate("queries, 1 outstanding", &one, &raw, o->size + o->reply);
    snprintf(name, sizeof name, "queries, %u outstanding", o->window);
    bench_print_rate(name, &many, &raw, o->size + o->reply);
    return 0;
}
