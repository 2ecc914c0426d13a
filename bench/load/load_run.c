#include "bench/load/load_run.h"

#include "bench/load/load_worker.h"
#include "common/arena.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct run {
    struct load_worker workers[LOAD_THREADS_MAX];
    struct load_result results[LOAD_THREADS_MAX];
    pthread_t threads[LOAD_THREADS_MAX];
    pthread_barrier_t connected, begun;
    atomic_uint up;
    nx_ns start; /* written between the two barriers */
};

struct thread_start {
    struct run *run;
    unsigned index;
};

static void *work(void *arg)
{
    struct thread_start start = *(struct thread_start *)arg;
    struct run *run = start.run;
    struct load_worker *worker = &run->workers[start.index];
    free(arg);
    atomic_fetch_add(&run->up, load_worker_connect(worker));
    pthread_barrier_wait(&run->connected);
    pthread_barrier_wait(&run->begun);
    if (atomic_load(&run->up) > 0)
        load_worker_measure(worker, run->start);
    return NULL;
}

static void merge(struct load_result *all, const struct load_result *one)
{
    all->due += one->due;
    all->answered += one->answered;
    all->ok += one->ok;
    all->connects_failed += one->connects_failed;
    all->cpu += one->cpu;
    if (one->spent > all->spent)
        all->spent = one->spent;
    for (int i = 0; i < LOAD_HTTP_CODES; i++)
        all->http[i] += one->http[i];
    for (int i = 0; i < LOAD_GRPC_CODES; i++)
        all->grpc[i] += one->grpc[i];
    for (int i = 0; i < LOAD_FATES; i++)
        all->broken[i] += one->broken[i];
    load_hist_merge(&all->from_due, &one->from_due);
    load_hist_merge(&all->from_sent, &one->from_sent);
}

/* What a closed loop did not ask while it waited, at its usual pace. */
static void correct(struct load_result *result)
{
    nx_ns interval = load_hist_quantile(&result->from_sent, 0.5);
    if (interval > 0)
        load_hist_correct(&result->from_sent, interval, &result->from_due);
}

static bool start_threads(struct run *run, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct thread_start *start = nx_calloc(1, sizeof *start);
        if (!start)
            return false;
        *start = (struct thread_start){run, i};
        if (pthread_create(&run->threads[i], NULL, work, start) != 0)
            return false;
    }
    return true;
}

static enum nx_status run_threads(struct run *run, const struct load_options *options,
                                  struct nx_err *err)
{
    pthread_barrier_init(&run->connected, NULL, options->threads + 1);
    pthread_barrier_init(&run->begun, NULL, options->threads + 1);
    if (!start_threads(run, options->threads))
        return nx_err_set(err, NX_FATAL, "cannot start %u threads", options->threads);
    pthread_barrier_wait(&run->connected);
    run->start = nx_clock_now();
    pthread_barrier_wait(&run->begun);
    for (unsigned i = 0; i < options->threads; i++)
        pthread_join(run->threads[i], NULL);
    pthread_barrier_destroy(&run->connected);
    pthread_barrier_destroy(&run->begun);
    if (atomic_load(&run->up) == 0)
        return nx_err_set(err, NX_UNAVAILABLE, "none of %u connections could be made",
                          options->connections);
    return NX_OK;
}

enum nx_status load_run(const struct load_options *options, struct load_result *result,
                        struct nx_err *err)
{
    struct run *run = nx_calloc(1, sizeof *run);
    bool fine = run != NULL;
    for (unsigned i = 0; fine && i < options->threads; i++)
        fine = load_worker_init(&run->workers[i], options, i, &run->results[i]);
    enum nx_status status =
        fine ? run_threads(run, options, err)
             : nx_err_set(err, NX_NO_MEMORY, "no memory for %u connections", options->connections);
    if (status == NX_FATAL)
        return status; /* threads that did start wait at the barrier with what is theirs */
    *result = (struct load_result){.took = options->duration};
    for (unsigned i = 0; run && i < options->threads; i++) {
        load_worker_free(&run->workers[i]);
        merge(result, &run->results[i]);
    }
    free(run);
    if (options->rate <= 0)
        correct(result);
    return status;
}
