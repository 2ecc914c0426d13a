/* What do plain one-sided writes of this provider reach? The denominators of all other modes.
 *
 * Through nx_fabric, one provider operation per write; libfabric's own share of the time is far
 * larger. */
#include "bench/bench.h"

#include <stdio.h>
#include <string.h>

enum {
    GUARD_AT = 0,      /* rows of 64 bytes, one per writer */
    ECHO_AT = 64 * 64, /* same */
    PAYLOAD_AT = 1 << 20,
    PAYLOAD_BYTES = 60 << 20,
    CHUNK_BYTES = 256 << 10,
    WRITES_PER_TURN = 8,
};

static volatile uint64_t *word(const struct bench_raw *raw, uint64_t at)
{
    return (volatile uint64_t *)(void *)(raw->region + at);
}

/* Polls until a peer has changed the word to something that will do. */
static void await_word(struct bench_raw *raw, uint64_t at, uint64_t not_this, uint64_t or_this)
{
    raw->awaited = word(raw, at);
    while ((raw->now_there = *raw->awaited) == not_this || (or_this && raw->now_there != or_this)) {
        if (atomic_load(&raw->run->shared->stop))
            break;
        bench_raw_turn(raw);
    }
    raw->awaited = NULL;
}

static bool all_writable(const struct bench_raw *raw)
{
    nx_rankset others = (NX_RANK_BIT(raw->nodes) - 1) & ~NX_RANK_BIT(raw->index);
    return nx_fabric_writable(raw->fabric) == others;
}

/* Announces `count` to everybody after all that was written, and waits until everybody has
 * echoed it. */
static void settle(struct bench_raw *raw, uint64_t count)
{
    while (!all_writable(raw))
        bench_raw_turn(raw);
    *word(raw, GUARD_AT) = count;
    for (unsigned peer = 1; peer < raw->nodes; peer++)
        bench_raw_write(raw, peer, GUARD_AT, 8, true);
    for (unsigned peer = 1; peer < raw->nodes; peer++)
        await_word(raw, ECHO_AT + 64 * (uint64_t)peer, 0, count);
}

static void echo(struct bench_raw *raw)
{
    await_word(raw, GUARD_AT, 0, 0);
    uint64_t at = ECHO_AT + 64 * (uint64_t)raw->index;
    *word(raw, at) = *word(raw, GUARD_AT);
    bench_raw_write(raw, 0, at, 8, true);
}

static void write_messages(struct bench_raw *raw, uint64_t size, unsigned window, uint64_t *count)
{
    for (int i = 0; i < WRITES_PER_TURN && all_writable(raw); i++) {
        uint64_t slot = *count % window * size % (PAYLOAD_BYTES - size);
        for (unsigned peer = 1; peer < raw->nodes; peer++)
            bench_raw_write(raw, peer, PAYLOAD_AT + slot, size, size <= NX_INLINE_MAX);
        ++*count;
    }
}

void bench_raw_rate(struct bench_run *run)
{
    struct bench_raw raw;
    uint64_t count = 0;
    bench_open_raw(run, &raw);
    if (run->index == 0) {
        nx_ns until = run->start + (nx_ns)(run->options->seconds * NX_SEC);
        while (nx_clock_now() < until) {
            write_messages(&raw, run->options->size, run->options->window, &count);
            bench_raw_turn(&raw);
        }
        settle(&raw, count);
    } else {
        echo(&raw);
    }
    bench_note(run, count);
    bench_close_raw(&raw);
}

/* The last word of a message is its number: it lands last where bytes land in order (tcp). */
void bench_raw_pong(struct bench_run *run)
{
    struct bench_raw raw;
    const struct bench_options *o = run->options;
    uint64_t there = (o->size < 8 ? 8 : o->size + 7) & ~7ull;
    uint64_t back = (o->reply < 8 ? 8 : o->reply + 7) & ~7ull;
    uint64_t ask_at = PAYLOAD_AT, answer_at = PAYLOAD_AT + (32 << 20), n = 0;
    bench_open_raw(run, &raw);
    if (run->index == 0) {
        nx_ns until = run->start + (nx_ns)(o->seconds * NX_SEC), now = nx_clock_now();
        while (now < until) {
            *word(&raw, ask_at + there - 8) = ++n;
            bench_raw_write(&raw, 1, ask_at, there, there <= NX_INLINE_MAX);
            await_word(&raw, answer_at + back - 8, n - 1, n);
            nx_ns then = now;
            now = nx_clock_now();
            bench_sample(run, now - then);
        }
    }
    while (run->index == 1 && !atomic_load(&run->shared->stop)) {
        ++n;
        await_word(&raw, ask_at + there - 8, n - 1, n);
        if (atomic_load(&run->shared->stop))
            break;
        *word(&raw, answer_at + back - 8) = n;
        bench_raw_write(&raw, 0, answer_at, back, back <= NX_INLINE_MAX);
    }
    bench_note(run, n);
    bench_close_raw(&raw);
}

void bench_raw_stream(struct bench_run *run)
{
    struct bench_raw raw;
    uint64_t size = run->options->size;
    bench_open_raw(run, &raw);
    if (run->index == 0) {
        memset(raw.region + PAYLOAD_AT, 1, 4 << 20);
        run->start = nx_clock_now();
        for (uint64_t at = 0; at < size; at += CHUNK_BYTES) {
            uint64_t bytes = size - at < CHUNK_BYTES ? size - at : CHUNK_BYTES;
            while (!all_writable(&raw))
                bench_raw_turn(&raw);
            for (unsigned peer = 1; peer < raw.nodes; peer++)
                bench_raw_write(&raw, peer, PAYLOAD_AT + at % (4 << 20), bytes, false);
        }
        settle(&raw, size);
    } else {
        echo(&raw);
    }
    bench_note(run, 1);
    bench_close_raw(&raw);
}

int bench_main_raw(const struct bench_options *o)
{
    struct bench_row rate = {.count = 0}, pong = {.count = 0};
    struct bench_options pair = *o;
    pair.nodes = 2;
    pair.reply = o->size;
    for (unsigned i = 0; i < o->rounds; i++) {
        if (!bench_cell(o, bench_raw_rate, &rate.rounds[rate.count++]) ||
            !bench_cell(&pair, bench_raw_pong, &pong.rounds[pong.count++]))
            return 1;
    }
    bench_print_machine(o, "raw");
    printf("  %llu bytes, window %u\n", (unsigned long long)o->size, o->window);
    bench_print_rate("one write per message", &rate, NULL, o->size);
    bench_print_latency("round trip", &pong, NULL, "");
    return 0;
}
