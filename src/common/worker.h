/* worker.h — a thread for the slow work of the loop thread: loading a model, running one.
 *
 *     loop thread ── submit ──► ring ──► the worker runs job after job ──► ring ── finished ──► loop thread
 *
 * Jobs run one at a time in the order of submitting. A job belongs to the worker from submit until finished
 * returns it. When one is done, done_fd (an eventfd of the caller, shared by several workers if wanted) is rung.
 * Thread  every call here is the loop thread's; job->run alone runs on the worker.
 * Bounds  at most queue_max jobs between submit and finished; then NX_AGAIN. */
#ifndef NX_COMMON_WORKER_H
#define NX_COMMON_WORKER_H

#include "common/status.h"

#include <stddef.h>

struct nx_job {
    void (*run)(struct nx_job *job); /* on the worker's thread */
};

struct nx_worker;

/* queue_max is a power of two. `name` (up to 15 bytes) is what ps and gdb show. */
enum nx_status nx_worker_open(const char *name, size_t queue_max, int done_fd,
                              struct nx_worker **worker, struct nx_err *err);

/* Runs what is queued, then ends the thread. Take what finished before closing: the rest is not returned. */
void nx_worker_drain(struct nx_worker *worker);
void nx_worker_close(struct nx_worker *worker); /* after drain, and after finished said NULL */

enum nx_status nx_worker_submit(struct nx_worker *worker, struct nx_job *job);
struct nx_job *nx_worker_finished(struct nx_worker *worker); /* NULL: none */
size_t nx_worker_underway(const struct nx_worker *worker);   /* submitted and not taken back */

#endif
