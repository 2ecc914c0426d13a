/* load_worker.h — one thread of a measurement: its connections, its share of the load. Internal to the load generator.
 *
 *   open loop     sends while a request is due and a connection has room
 *   closed loop   sends while fewer than `clients` are under way and a connection has room */
#ifndef NX_BENCH_LOAD_WORKER_H
#define NX_BENCH_LOAD_WORKER_H

#include "bench/load/load_run.h"
#include "bench/load/load_schedule.h"

TAILQ_HEAD(load_conns, load_conn);

struct load_worker {
    const struct load_options *options;
    unsigned index;
    struct load_plan plan;
    struct load_conn *conns;
    unsigned conns_count, clients, under_way;
    struct load_conns ready, dirty; /* with room for calls; with calls that are not flushed */
    struct load_schedule schedule;
    nx_ns measured_from, until; /* what is due before or behind that does not count */
    nx_ns swept;
    struct load_result *result;
};

/* Its share of connections and clients. false: no memory, or no descriptor. */
bool load_worker_init(struct load_worker *worker, const struct load_options *options,
                      unsigned index, struct load_result *result);
void load_worker_free(struct load_worker *worker);

/* Until all its connections are up, or timeout has passed. How many are. */
unsigned load_worker_connect(struct load_worker *worker);
void load_worker_measure(struct load_worker *worker, nx_ns start);

#endif
