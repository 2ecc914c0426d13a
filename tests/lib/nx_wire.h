/* nx_wire.h — a group in one process: cores joined by lanes that move writes by memcpy, and a trace
 * of their upcalls.
 *
 * One lane per ordered pair of nodes. A posted write queues in its lane and lands at once, or, on a
 * held lane, when the test says so; the bytes are read from the source when they land (inline ones
 * when they are posted). Each turn of a node is 10 ns of time. Upcalls become trace lines:
 *
 *   [120] n1 > delivered 7 from n0 'text'
 *
 * Single thread; dies on misuse. For tests and micro-benchmarks alone. */
#ifndef NX_TEST_WIRE_H
#define NX_TEST_WIRE_H

#include "group/core/core.h"
#include "group/core/mutants.h"

#include <stdio.h>

enum { WIRE_NODES_MAX = 8, WIRE_TRACE_BYTES = 1 << 16 };

#define WIRE_PATIENCE_NS (10 * NX_MS)

struct wire_parcel {
    struct nx_write write;
    uint8_t copied[NX_INLINE_MAX];
    struct wire_parcel *next;
};

struct wire_lane {
    bool held, cut; /* cut: the peer is dead, writes vanish */
    bool clogged;   /* the fabric takes no writes: not writable */
    struct wire_parcel *first, **last;
};

struct wire {
    unsigned nodes;
    struct nx_core_config config;
    struct nx_core *cores[WIRE_NODES_MAX];
    uint8_t *regions[WIRE_NODES_MAX];
    nx_node ids[WIRE_NODES_MAX];
    bool dead[WIRE_NODES_MAX], busy[WIRE_NODES_MAX];
    bool waiting[WIRE_NODES_MAX];   /* it comes, but has no view yet */
    nx_ns wake_at[WIRE_NODES_MAX];  /* as the last update said */
    unsigned bells[WIRE_NODES_MAX]; /* doorbells that landed at the node */
    struct wire_lane lanes[WIRE_NODES_MAX][WIRE_NODES_MAX];
    nx_ns now;
    bool quiet; /* no trace */
    /* Sees every upcall first; true: not traced. */
    bool (*hook)(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *upcall);
    void *ctx;
    struct nx_update *update, *inner; /* of the turn, and of requests inside it */
    size_t trace_len;
    char trace[WIRE_TRACE_BYTES];
};

/* tiers[n]: node n's subgroup in config->spec. config->self is filled in. All get the view; nothing
 * has run yet. */
struct wire *wire_open(const struct nx_core_config *config, const uint32_t *tiers, unsigned nodes);
void wire_close(struct wire *wire);

/* A node comes, to a seat that nobody owns or whose owner is dead: a fresh core, region and lanes; node id `node`. */
void wire_come(struct wire *wire, unsigned seat, nx_node node);
/* Member `at` is asked by `leader` to admit it; the leader proposes the seats; one that is in gets the leader's view. */
enum nx_status wire_admit(struct wire *wire, unsigned at, unsigned leader, unsigned seat);
enum nx_status wire_join(struct wire *wire, unsigned leader, nx_rankset seats);
void wire_welcome(struct wire *wire, unsigned leader, unsigned seat);

/* A configuration with one subgroup "TIER" of one shard of 1 … 8 nodes, small rings, a tcp-like
 * fabric. */
struct nx_core_config wire_config(void);

bool wire_turn(struct wire *wire, unsigned node);            /* one POLL; true: busy */
enum nx_status wire_sleep(struct wire *wire, unsigned node); /* one SLEEP */
/* Turns of all live nodes until nobody is busy, nor wants to be woken within WIRE_PATIENCE_NS;
 * time jumps where all wait. Dies after 100,000 rounds. */
void wire_run(struct wire *wire);

void wire_land(struct wire *wire, unsigned src, unsigned dst, unsigned count); /* of a held lane */
void wire_release(struct wire *wire, unsigned src, unsigned dst); /* lands all; held no more */
void wire_kill(struct wire *wire, unsigned node); /* what is in its lanes is lost; peers are told */

/* Requests; the stream or bytes taken in wire->inner. */
const struct nx_update *wire_ask(struct wire *wire, unsigned node, struct nx_event event);
enum nx_status wire_send(struct wire *wire, unsigned node, const char *text);

/* Compares the trace since the last call with the expected lines, and clears it. Prints both if
 * they differ. */
bool wire_expect(struct wire *wire, const char *expected);

#endif
