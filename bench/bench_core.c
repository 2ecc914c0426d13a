/* bench_core.c — how much CPU time does the pure core take per message, without any fabric?
 *
 * All nodes of a group run in this thread, joined by memcpy (tests/lib/nx_wire.h). Prints, per
 * message and in nanoseconds, the time of all nodes together, divided by messages × nodes: what one
 * node spends on one message, its copies included; and the cost of a turn that finds nothing.
 * Usage: bench_core [seconds per case] */
#include "nx_wire.h"

#include "common/clock.h"

#include <stdlib.h>
#include <string.h>

struct tally {
    uint64_t delivered, replies;
};

static bool count(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    struct tally *tally = ctx;
    if (up->type == NX_UP_DELIVER)
        tally->delivered++;
    if (up->type == NX_UP_REPLY_PART)
        tally->replies++;
    if (up->type == NX_UP_QUERY_PART) {
        wire_ask(wire, node,
                 (struct nx_event){
                     .type = NX_EV_REPLY_OPEN, .stream = up->part.stream, .total = up->part.len});
        wire_ask(wire, node,
                 (struct nx_event){.type = NX_EV_REPLY_WRITE,
                                   .stream = up->part.stream,
                                   .bytes = up->part.bytes,
                                   .len = up->part.len});
    }
    return true;
}

static struct wire *open_wire(unsigned nodes, struct tally *tally)
{
    struct nx_core_config config = wire_config();
    config.mc_ring_bytes = 1 << 20;
    config.p2p_ring_bytes = 1 << 18;
    config.bulk_ring_bytes = 1 << 22;
    config.members_max = nodes;
    struct wire *wire = wire_open(&config, NULL, nodes);
    memset(tally, 0, sizeof *tally);
    wire->hook = count;
    wire->ctx = tally;
    return wire;
}

static void multicast(unsigned nodes, unsigned senders, size_t len, unsigned batch, double seconds)
{
    struct tally tally;
    struct wire *wire = open_wire(nodes, &tally);
    static uint8_t bytes[1 << 18];
    struct nx_event event = {.type = NX_EV_SEND, .bytes = bytes, .len = len};
    nx_ns start = nx_clock_thread_cpu(), end = start;
    uint64_t sent = 0, writes = 0;
    while (end - start < (nx_ns)(seconds * (double)NX_SEC)) {
        for (unsigned n = 0; n < senders; n++)
            for (unsigned i = 0; i < batch; i++)
                sent += wire_ask(wire, n, event)->status == NX_OK;
        for (unsigned n = 0; n < nodes; n++) {
            wire_turn(wire, n);
            writes += wire->update->writes_count;
        }
        end = nx_clock_thread_cpu();
    }
    double per = (double)(end - start) / (double)(tally.delivered ? tally.delivered : 1);
    printf("multicast  %u nodes, %u senders, %6zu B, batch %3u: %8.1f ns per message and node, "
           "%.2f writes per message, %.2f M delivered/s\n",
           nodes, senders, len, batch, per, (double)writes / (double)sent, 1e3 / per);
    wire_close(wire);
}

static void queries(size_t len, unsigned outstanding, double seconds)
{
    struct tally tally;
    struct wire *wire = open_wire(2, &tally);
    static uint8_t bytes[1 << 16];
    uint64_t asked = 0, writes = 0, turns = 0;
    nx_ns start = nx_clock_thread_cpu(), end = start;
    while (end - start < (nx_ns)(seconds * (double)NX_SEC)) {
        while (asked - tally.replies < outstanding) {
            struct nx_event open = {.type = NX_EV_QUERY_OPEN, .peer = 1, .total = len};
            nx_stream stream = wire_ask(wire, 0, open)->stream;
            wire_ask(wire, 0,
                     (struct nx_event){
                         .type = NX_EV_QUERY_WRITE, .stream = stream, .bytes = bytes, .len = len});
            asked++;
        }
        for (unsigned n = 0; n < 2; n++, turns++) {
            wire_turn(wire, n);
            writes += wire->update->writes_count;
        }
        end = nx_clock_thread_cpu();
    }
    double per = (double)(end - start) / (double)tally.replies;
    printf(
        "queries    %zu B each way, %u outstanding: %8.1f ns per query, both nodes, %.2f writes, "
        "%.2f turns\n",
        len, outstanding, per, (double)writes / (double)tally.replies,
        (double)turns / (double)tally.replies);
    wire_close(wire);
}

static void idle(unsigned nodes)
{
    struct tally tally;
    struct wire *wire = open_wire(nodes, &tally);
    enum { TURNS = 1000000 };
    wire_run(wire);
    nx_ns start = nx_clock_thread_cpu();
    for (unsigned i = 0; i < TURNS; i++)
        wire_turn(wire, 0);
    printf("idle turn  %u nodes: %.1f ns\n", nodes,
           (double)(nx_clock_thread_cpu() - start) / (double)TURNS);
    wire_close(wire);
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.5;
    static const unsigned batches[] = {1, 8, 64};
    for (unsigned i = 0; i < 3; i++)
        multicast(2, 1, 100, batches[i], seconds);
    multicast(2, 2, 100, 64, seconds);
    multicast(3, 3, 100, 64, seconds);
    multicast(8, 8, 100, 64, seconds);
    multicast(8, 1, 100, 64, seconds);
    multicast(3, 3, 10240, 8, seconds);
    multicast(3, 3, 65536, 2, seconds);
    queries(100, 1, seconds);
    queries(100, 64, seconds);
    queries(20480, 8, seconds);
    idle(2);
    idle(8);
    return 0;
}
