#include "categorizer/device.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TAILQ_HEAD(jobs, nx_device_job);

struct nx_device {
    pthread_mutex_t lock; /* of all that follows, but for what the threads were started with */
    pthread_cond_t to_prepare, to_run;
    struct nx_batcher batcher;
    struct jobs waiting, done;
    bool no_more_to_prepare, no_more_to_run;
    struct nx_device_figures figures;
    struct nx_batch batch; /* of the device thread */
    int done_fd;
    pthread_t runner, preparers[NX_DEVICE_PREPARERS_MAX];
    uint32_t threads; /* that were started, the runner first */
    bool stopped;
};

static struct nx_device_job *job_of(struct nx_batch_item *item)
{
    return (struct nx_device_job *)item; /* its first member */
}

/* Rings for the first only: the loop takes all that are done when it looks. */
static void put_done(struct nx_device *d, struct nx_device_job *job)
{
    uint64_t one = 1;
    bool first = TAILQ_EMPTY(&d->done);
    job->stage = NX_DEVICE_LEFT;
    TAILQ_INSERT_TAIL(&d->done, job, in_list);
    if (!first)
        return;
    ssize_t n = write(d->done_fd, &one, sizeof one);
    nx_assert(n == sizeof one || errno == EAGAIN); /* EAGAIN: it rings already */
}

static void drop(struct nx_device *d, struct nx_device_job *job, enum nx_status why,
                 const char *sentence)
{
    if (job->err.status == NX_OK)
        nx_err_set(&job->err, why, "%s", sentence);
    put_done(d, job);
}

static void drop_cancelled(struct nx_device *d, struct nx_device_job *job)
{
    d->figures.work.cancelled++;
    nx_batcher_drop(&d->batcher, &job->item);
    drop(d, job, NX_CANCELLED, "nobody waits for this photo any more");
}

/* --- preparing ------------------------------------------------------------------------------------ */

static void drop_late(struct nx_device *d, struct nx_device_job *job)
{
    d->figures.work.late++;
    drop(d, job, NX_DEADLINE, "the photo waited too long: its deadline cannot be met any more");
}

/* Decoding takes the processors from the device's work: not for one that will be given up. */
static void prepare_one(struct nx_device *d, struct nx_device_job *job)
{
    struct nx_err err = {0};
    TAILQ_REMOVE(&d->waiting, job, in_list);
    if (nx_batcher_is_hopeless(&d->batcher, &job->item, nx_clock_now())) {
        nx_batcher_drop(&d->batcher, &job->item);
        drop_late(d, job);
        return;
    }
    job->stage = NX_DEVICE_PREPARING;
    pthread_mutex_unlock(&d->lock);
    enum nx_status status = job->ops->prepare(job, &err);
    pthread_mutex_lock(&d->lock);
    if (job->cancelled) {
        drop_cancelled(d, job);
    } else if (status != NX_OK) {
        job->err = err;
        nx_batcher_drop(&d->batcher, &job->item);
        put_done(d, job);
    } else {
        job->stage = NX_DEVICE_READY;
        job->ready_ns = nx_clock_now();
        nx_batcher_ready(&d->batcher, &job->item);
        pthread_cond_signal(&d->to_run);
    }
}

static void *prepare(void *arg)
{
    struct nx_device *d = arg;
    pthread_mutex_lock(&d->lock);
    while (!d->no_more_to_prepare || !TAILQ_EMPTY(&d->waiting)) {
        if (TAILQ_EMPTY(&d->waiting))
            pthread_cond_wait(&d->to_prepare, &d->lock);
        else
            prepare_one(d, TAILQ_FIRST(&d->waiting));
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* --- running -------------------------------------------------------------------------------------- */

static void give_up_late(struct nx_device *d, struct nx_batch_item *late)
{
    while (late) {
        struct nx_batch_item *next = late->next;
        drop_late(d, job_of(late));
        late = next;
    }
}

static void count_wait(struct nx_work *work, nx_ns waited)
{
    int k = 0;
    while (k < NX_WAIT_STEPS - 1 && waited > (nx_ns)nx_wait_bounds_us[k] * NX_US)
        k++;
    work->waits[k]++;
    work->wait_ns += (uint64_t)waited;
}

static void count_batch(struct nx_device *d, struct nx_device_job *const *jobs, uint32_t count,
                        nx_ns start, nx_ns took)
{
    struct nx_work *work = &d->figures.work;
    static_assert(1 << (NX_BATCH_STEPS - 1) == NX_BATCH_ITEMS_MAX, "every size has its step");
    int k = 0;
    while (count > 1u << k)
        k++;
    work->sizes[k]++;
    work->batches++;
    work->photos += count;
    work->busy_ns += (uint64_t)took;
    for (uint32_t i = 0; i < count; i++)
        count_wait(work, start - jobs[i]->ready_ns);
}

static void run_batch(struct nx_device *d, struct nx_batch *batch)
{
    struct nx_device_job *jobs[NX_BATCH_ITEMS_MAX];
    for (uint32_t i = 0; i < batch->count; i++) {
        jobs[i] = job_of(batch->items[i]);
        jobs[i]->stage = NX_DEVICE_LEFT;
    }
    pthread_mutex_unlock(&d->lock);
    nx_ns start = nx_clock_now();
    jobs[0]->ops->run(jobs, batch->count);
    nx_ns took = nx_clock_now() - start;
    pthread_mutex_lock(&d->lock);
    nx_batcher_ran(&d->batcher, batch->lane, batch->count, took);
    count_batch(d, jobs, batch->count, start, took);
    for (uint32_t i = 0; i < batch->count; i++) {
        jobs[i]->begun_ns = start;
        jobs[i]->ended_ns = start + took;
        jobs[i]->batch = batch->count;
        jobs[i]->leads = i == 0;
        put_done(d, jobs[i]);
    }
}

static void *run(void *arg)
{
    struct nx_device *d = arg;
    pthread_mutex_lock(&d->lock);
    for (;;) {
        nx_batcher_next(&d->batcher, nx_clock_now(), &d->batch);
        give_up_late(d, d->batch.late);
        if (d->batch.lane)
            run_batch(d, &d->batch);
        else if (d->no_more_to_run)
            break;
        else
            pthread_cond_wait(&d->to_run, &d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* --- the loop thread's calls ------------------------------------------------------------------------ */

static enum nx_status start_thread(struct nx_device *d, pthread_t *thread, void *(*entry)(void *),
                                   const char *name, struct nx_err *err)
{
    int failed = pthread_create(thread, NULL, entry, d);
    if (failed)
        return nx_err_set(err, NX_NO_MEMORY, "cannot start thread %s: %s", name, strerror(failed));
    pthread_setname_np(*thread, name);
    d->threads++;
    return NX_OK;
}

static enum nx_status start_threads(struct nx_device *d, uint32_t preparers, struct nx_err *err)
{
    NX_TRY(start_thread(d, &d->runner, run, "nexus-device", err));
    for (uint32_t i = 0; i < preparers; i++)
        NX_TRY(start_thread(d, &d->preparers[i], prepare, "nexus-decode", err));
    return NX_OK;
}

enum nx_status nx_device_open(const struct nx_device_options *options, struct nx_device **device,
                              struct nx_err *err)
{
    nx_assert(options->preparers >= 1 && options->preparers <= NX_DEVICE_PREPARERS_MAX);
    struct nx_device *d = nx_calloc(1, sizeof *d);
    if (!d)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the device's queue");
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->to_prepare, NULL);
    pthread_cond_init(&d->to_run, NULL);
    TAILQ_INIT(&d->waiting);
    TAILQ_INIT(&d->done);
    nx_batcher_init(&d->batcher, options->items_max, options->bytes_max);
    d->done_fd = options->done_fd;
    enum nx_status status = start_threads(d, options->preparers, err);
    if (status != NX_OK) {
        nx_device_stop(d);
        nx_device_close(d);
        return status;
    }
    *device = d;
    return NX_OK;
}

enum nx_status nx_device_submit(struct nx_device *d, struct nx_lane *lane,
                                struct nx_device_job *job, nx_ns now, struct nx_err *err)
{
    pthread_mutex_lock(&d->lock);
    enum nx_status status = nx_batcher_admit(&d->batcher, lane, &job->item, now, err);
    if (status == NX_OK) {
        job->stage = NX_DEVICE_WAITING;
        TAILQ_INSERT_TAIL(&d->waiting, job, in_list);
        pthread_cond_signal(&d->to_prepare);
    } else {
        d->figures.work.refused++;
    }
    pthread_mutex_unlock(&d->lock);
    return status;
}

static void cancel(struct nx_device *d, struct nx_device_job *job)
{
    job->cancelled = true;
    if (job->stage == NX_DEVICE_WAITING)
        TAILQ_REMOVE(&d->waiting, job, in_list);
    if (job->stage == NX_DEVICE_WAITING || job->stage == NX_DEVICE_READY)
        drop_cancelled(d, job);
}

void nx_device_cancel(struct nx_device *d, struct nx_device_job *job)
{
    pthread_mutex_lock(&d->lock);
    cancel(d, job);
    pthread_mutex_unlock(&d->lock);
}

struct nx_device_job *nx_device_finished(struct nx_device *d)
{
    pthread_mutex_lock(&d->lock);
    struct nx_device_job *job = TAILQ_FIRST(&d->done);
    if (job)
        TAILQ_REMOVE(&d->done, job, in_list);
    pthread_mutex_unlock(&d->lock);
    return job;
}

struct nx_device_figures nx_device_figures(struct nx_device *d)
{
    pthread_mutex_lock(&d->lock);
    struct nx_device_figures figures = d->figures;
    figures.ready = d->batcher.ready;
    pthread_mutex_unlock(&d->lock);
    return figures;
}

double nx_device_pace(struct nx_device *d, const struct nx_lane *lane)
{
    pthread_mutex_lock(&d->lock);
    double pace = lane->pace;
    pthread_mutex_unlock(&d->lock);
    return pace;
}

static void end_preparing(struct nx_device *d)
{
    struct nx_device_job *job;
    pthread_mutex_lock(&d->lock);
    while ((job = TAILQ_FIRST(&d->waiting)))
        cancel(d, job);
    d->no_more_to_prepare = true;
    pthread_cond_broadcast(&d->to_prepare);
    pthread_mutex_unlock(&d->lock);
    for (uint32_t i = 1; i < d->threads; i++)
        pthread_join(d->preparers[i - 1], NULL);
}

/* First those who make batches, then the one who runs them: what is ready by then still runs. */
void nx_device_stop(struct nx_device *d)
{
    if (d->stopped)
        return;
    d->stopped = true;
    end_preparing(d);
    if (d->threads == 0)
        return;
    pthread_mutex_lock(&d->lock);
    d->no_more_to_run = true;
    pthread_cond_signal(&d->to_run);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->runner, NULL);
}

void nx_device_close(struct nx_device *d)
{
    nx_assert(d->stopped && TAILQ_EMPTY(&d->done));
    pthread_cond_destroy(&d->to_run);
    pthread_cond_destroy(&d->to_prepare);
    pthread_mutex_destroy(&d->lock);
    free(d);
}
