/* How fast does one large message stream to all other members of the shard? */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE_BYTES = 512 << 10 };

struct state {
    uint64_t delivered;
    uint64_t received;
};

static void deliver(void *ctx, const struct nx_delivery *message)
{
    struct state *s = ctx;
    s->delivered += message->bulk != 0;
}

static void bulk_part(void *ctx, uint32_t subgroup, const struct nx_part *part, const uint8_t *head,
                      size_t head_len)
{
    (void)subgroup, (void)head, (void)head_len;
    struct state *s = ctx;
    s->received += part->len;
}

static void stream_all(struct bench_run *run, struct nx_group *group, const uint8_t *source)
{
    uint64_t size = run->options->size, at = 0;
    nx_stream stream;
    if (nx_bulk_open(group, 0, size, "bench", 5, &stream) != NX_OK)
        bench_die("the bulk message was refused");
    while (at < size) {
        size_t taken = 0, len = size - at < SOURCE_BYTES ? size - at : SOURCE_BYTES;
        enum nx_status status = nx_bulk_write(group, stream, source, len, &taken);
        if (status != NX_OK && status != NX_AGAIN)
            bench_die("the bulk message failed: %s", nx_status_text(status));
        at += status == NX_OK ? taken : 0;
        bench_group_turn(run, group);
    }
}

static void bulk_node(struct bench_run *run)
{
    struct state s = {0};
    struct nx_group_upcalls upcalls;
    uint8_t *source = calloc(1, SOURCE_BYTES);
    bench_no_upcalls(&upcalls);
    upcalls.deliver = deliver;
    upcalls.bulk_part = bulk_part;
    struct nx_group *group = bench_open_group(run, &upcalls, &s);
    if (run->index == 0) {
        memset(source, 1, SOURCE_BYTES);
        run->start = nx_clock_now();
        stream_all(run, group, source);
    }
    while (s.delivered == 0)
        bench_group_turn(run, group);
    if (run->index > 0 && s.received != run->options->size)
        bench_die("%llu bytes came", (unsigned long long)s.received);
    bench_note(run, 1);
    bench_close_group(run, group);
    free(source);
}

int bench_main_bulk(const struct bench_options *o)
{
    struct bench_row raw = {.count = 0}, bulk = {.count = 0};
    for (unsigned i = 0; i < o->rounds; i++)
        if (!bench_cell(o, bench_raw_stream, &raw.rounds[raw.count++]) ||
            !bench_cell(o, bulk_node, &bulk.rounds[bulk.count++]))
            return 1;
    bench_print_machine(o, "bulk");
    printf("  %.1f MB to %u replicas, RSS of the largest process %.1f MB\n", (double)o->size / 1e6,
           o->nodes - 1, BENCH_MEDIAN(&bulk, rss_mb, NULL, NULL));
    bench_print_rate("raw, 256 KiB writes", &raw, NULL, o->size);
    bench_print_rate("bulk multicast", &bulk, &raw, o->size);
    return 0;
}
