#include "common/worker.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "common/ring.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct nx_worker {
    pthread_t thread;
    struct nx_ring in, out;
    size_t underway; /* submitted and not yet returned; at most queue_max, so `out` is never full */
    size_t queue_max;
    int wake_fd, done_fd;
    atomic_bool stopping;
};

static void ring_bell(int fd)
{
    uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);
    nx_assert(n == sizeof one || errno == EAGAIN); /* EAGAIN: it rings already */
}

static void sleep_until_rung(int fd)
{
    uint64_t count;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)poll(&p, 1, -1); /* an interrupted wait only looks once more */
    ssize_t n = read(fd, &count, sizeof count);
    (void)n;
}

static void *work(void *arg)
{
    struct nx_worker *w = arg;
    for (;;) {
        struct nx_job *job = nx_ring_pop(&w->in);
        if (job) {
            job->run(job);
            enum nx_status pushed = nx_ring_push(&w->out, job);
            nx_assert(pushed == NX_OK);
            ring_bell(w->done_fd);
        } else if (atomic_load(&w->stopping)) {
            return NULL;
        } else {
            sleep_until_rung(w->wake_fd);
        }
    }
}

static enum nx_status start_thread(struct nx_worker *w, const char *name, struct nx_err *err)
{
    int failed = pthread_create(&w->thread, NULL, work, w);
    if (failed)
        return nx_err_set(err, NX_NO_MEMORY, "cannot start thread %s: %s", name, strerror(failed));
    pthread_setname_np(w->thread, name);
    return NX_OK;
}

enum nx_status nx_worker_open(const char *name, size_t queue_max, int done_fd,
                              struct nx_worker **worker, struct nx_err *err)
{
    struct nx_worker *w = nx_calloc(1, sizeof *w);
    if (!w)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for worker %s", name);
    w->queue_max = queue_max;
    w->done_fd = done_fd;
    w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    enum nx_status status =
        w->wake_fd < 0 ? nx_err_set(err, NX_IO, "eventfd: %s", strerror(errno)) : NX_OK;
    if (status == NX_OK &&
        (nx_ring_init(&w->in, queue_max) != NX_OK || nx_ring_init(&w->out, queue_max) != NX_OK))
        status = nx_err_set(err, NX_NO_MEMORY, "no memory for worker %s", name);
    if (status == NX_OK)
        status = start_thread(w, name, err);
    if (status != NX_OK) {
        nx_worker_close(w);
        return status;
    }
    *worker = w;
    return NX_OK;
}

enum nx_status nx_worker_submit(struct nx_worker *w, struct nx_job *job)
{
    if (w->underway == w->queue_max)
        return NX_AGAIN;
    enum nx_status pushed = nx_ring_push(&w->in, job);
    nx_assert(pushed == NX_OK);
    w->underway++;
    ring_bell(w->wake_fd);
    return NX_OK;
}

size_t nx_worker_underway(const struct nx_worker *w)
{
    return w->underway;
}

struct nx_job *nx_worker_finished(struct nx_worker *w)
{
    struct nx_job *job = nx_ring_pop(&w->out);
    if (job)
        w->underway--;
    return job;
}

void nx_worker_drain(struct nx_worker *w)
{
    if (atomic_exchange(&w->stopping, true))
        return;
    ring_bell(w->wake_fd);
    pthread_join(w->thread, NULL);
}

void nx_worker_close(struct nx_worker *w)
{
    nx_ring_fini(&w->in);
    nx_ring_fini(&w->out);
    if (w->wake_fd >= 0)
        close(w->wake_fd);
    free(w);
}
