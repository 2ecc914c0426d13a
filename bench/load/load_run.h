/* load_run.h — one measurement: threads that send on schedule, and what came of it.
 *
 *   open loop     requests are due when a Poisson process says so; from_due counts from then, whenever they were sent
 *   closed loop   so many clients, each asks again when it was answered; from_due then is load_hist_correct's figure,
 *                 with the median of from_sent as the interval
 *
 *   due == answered + sum over broken[]           all counts are of requests due after the warm-up
 *
 * Latencies are of the requests that succeeded (2xx, gRPC 0); the rest is counted by status.
 * Thread  load_run blocks its caller until every answer is there or has run out of time. */
#ifndef NX_BENCH_LOAD_RUN_H
#define NX_BENCH_LOAD_RUN_H

#include "bench/load/load_conn.h"
#include "bench/load/load_hist.h"

enum { LOAD_TARGETS_MAX = 16, LOAD_THREADS_MAX = 64, LOAD_HTTP_CODES = 600, LOAD_GRPC_CODES = 17 };

struct load_options {
    struct load_target targets[LOAD_TARGETS_MAX]; /* connections go round them */
    unsigned targets_count;
    double rate;      /* per second, all threads together; 0: closed loop */
    unsigned clients; /* of the closed loop */
    unsigned connections, streams, threads;
    nx_ns duration, warmup, timeout;
    uint64_t seed;
    struct load_tls *tls;
};

struct load_result {
    uint64_t due, answered, ok;
    uint64_t http[LOAD_HTTP_CODES], grpc[LOAD_GRPC_CODES]; /* codes beyond count as the last */
    uint64_t broken[LOAD_FATES];                           /* by fate; LOAD_ANSWERED unused */
    uint64_t connects_failed;
    struct load_hist from_due, from_sent;
    nx_ns took;  /* duration, without the warm-up and the wait for the last answers */
    nx_ns cpu;   /* of the generator's threads, in that time and the wait */
    nx_ns spent; /* that time and the wait */
};

/* NX_UNAVAILABLE and a sentence: no connection could be made. NX_FATAL: no thread; the process should end. */
enum nx_status load_run(const struct load_options *options, struct load_result *result,
                        struct nx_err *err);

#endif
