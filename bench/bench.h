/* bench.h — what the modes of nexus-bench share: options, forked nodes, figures.
 *
 * A *cell* is one measurement: N forked processes over loopback that meet in shared memory,
 * start together, run for some seconds and leave figures there. The cells of a mode (raw, then
 * ours) are interleaved over the rounds, and a table gives medians, the spread (min … max) and
 * the ratio to raw. CPU-seconds are those of all processes of a cell together, between its start
 * and its end. */
#ifndef NX_BENCH_H
#define NX_BENCH_H

#include "common/clock.h"
#include "group/fabric/fabric.h"
#include "group/group.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_SAMPLES_MAX = 1 << 20, BENCH_ROUNDS_MAX = 99 };

struct bench_options {
    unsigned nodes, window, rounds;
    uint64_t size;
    uint64_t reply; /* bytes of an answer, p2p */
    double seconds;
    bool block;    /* sleep when there is nothing to do, instead of polling on */
    bool all_send; /* every node sends, not only the first */
    char provider[16];
    unsigned timeout_ms; /* of silent members; 0: none */
    unsigned spin_us;    /* before falling asleep, with block */
};

struct bench_figures {
    double per_second; /* messages, round trips or transfers */
    double p50_us, p99_us;
    double cpu_per_1000; /* CPU-seconds of all processes per 1,000 of them */
    double rss_mb;       /* of the largest process */
    unsigned evicted;    /* nodes that the others went on without */
    double late_ms;      /* of the latest wake-up of any of them */
};

struct bench_node_result {
    uint64_t count;
    double cpu_s, wall_s, rss_mb, wakeups_per_s;
    nx_ns late; /* how much later than asked for it woke at most */
};

/* In memory shared by the processes of one cell. */
struct bench_shared {
    struct nx_fabric_card cards[NX_MEMBERS_MAX];
    atomic_uint cards_ready, ready, stop, finished;
    atomic_bool failed;
    atomic_int victim; /* the process that is stopped or killed */
    atomic_uint evicted;
    nx_ns forked_at; /* before the first of the processes was made */
    uint16_t port;   /* of the leader's bootstrap */
    struct bench_node_result nodes[NX_MEMBERS_MAX];
    uint32_t samples_count;
    uint32_t samples_ns[BENCH_SAMPLES_MAX];
};

struct bench_run {
    const struct bench_options *options;
    struct bench_shared *shared;
    unsigned index; /* of this process; 0 measures */
    double cpu_start;
    nx_ns start;
};

typedef void (*bench_node)(struct bench_run *run);

/* bench_run.c */
bool bench_cell(const struct bench_options *options, bench_node node,
                struct bench_figures *figures); /* false: a process failed; it said why on stderr */
void bench_meet(struct bench_run *run, bool (*turn)(void *ctx), void *ctx); /* all start together */
void bench_note(struct bench_run *run, uint64_t count); /* ends the measurement */
void bench_sample(struct bench_run *run, nx_ns duration);
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct bench_row {
    struct bench_figures rounds[BENCH_ROUNDS_MAX];
    unsigned count;
};
/* The smallest value that `share` of the rounds do not exceed. */
double bench_quantile(const struct bench_row *row, size_t field_offset, double share);
double bench_median(const struct bench_row *row, size_t field_offset, double *min, double *max);
#define BENCH_MEDIAN(row, field, min, max) \
    bench_median(row, offsetof(struct bench_figures, field), min, max)
void bench_print_rate(const char *name, const struct bench_row *row, const struct bench_row *raw,
                      uint64_t size);
void bench_print_latency(const char *name, const struct bench_row *row, const struct bench_row *raw,
                         const char *of_raw);
void bench_print_machine(const struct bench_options *options, const char *mode);

/* bench_group.c: a group of all nodes in one shard, or the raw fabric between them */
struct nx_group *bench_open_group(struct bench_run *run, const struct nx_group_upcalls *upcalls,
                                  void *ctx);
void bench_group_turn(struct bench_run *run,
                      struct nx_group *group); /* polls, and sleeps or yields */
void bench_close_group(struct bench_run *run, struct nx_group *group);
void bench_no_upcalls(struct nx_group_upcalls *upcalls); /* all of them, doing nothing */

struct bench_raw {
    struct bench_run *run;
    struct nx_fabric *fabric;
    uint8_t *region;
    unsigned index, nodes;
    volatile uint64_t *awaited; /* a word that a peer will change from `now_there`, or NULL */
    uint64_t now_there;
};
void bench_open_raw(struct bench_run *run, struct bench_raw *raw);
void bench_raw_turn(struct bench_raw *raw);
void bench_close_raw(struct bench_raw *raw);
void bench_raw_write(struct bench_raw *raw, unsigned peer, uint64_t offset, uint64_t bytes,
                     bool inline_bytes); /* one write, one operation */

/* bench_raw.c: the denominators */
void bench_raw_rate(struct bench_run *run); /* one write per message and peer */
/* node 0 and 1 in turn, `size` there and `reply` back */
void bench_raw_pong(struct bench_run *run);
void bench_raw_stream(struct bench_run *run); /* `size` bytes to every peer, once */

/* modes */
int bench_main_raw(const struct bench_options *options);
int bench_main_multicast(const struct bench_options *options);
int bench_main_bulk(const struct bench_options *options);
int bench_main_p2p(const struct bench_options *options);
int bench_main_idle(const struct bench_options *options);
int bench_main_silence(const struct bench_options *options);
int bench_main_kill(const struct bench_options *options);
int bench_main_ready(const struct bench_options *options);
int bench_main_hogged(const struct bench_options *options);

#endif
