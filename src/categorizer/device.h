/* device.h — the threads around the batcher: photos are prepared side by side, batches run one after the other.
 *
 *     loop thread ── submit ──► [to prepare] ── preparing threads ──► batcher ── device thread ──► [done] ── finished
 *                       └──────── cancel takes it out of either, at once ───────────►┘
 *
 * The device thread asks the batcher for the next batch as soon as it is free, and sleeps only if nothing is ready.
 * A job is the device's from submit until finished returns it. Its `err` says why it did not run (NX_DEADLINE,
 * NX_CANCELLED, or what prepare said); NX_OK: `run` has had it. When the first of some is done, done_fd is rung.
 * Thread  every call here is the loop thread's; job->ops are called on the device's threads, without its lock.
 * Bounds  the batcher's: photos and bytes from submit to the start of their batch; then one batch. */
#ifndef NX_CATEGORIZER_DEVICE_H
#define NX_CATEGORIZER_DEVICE_H

#include "categorizer/batcher.h"
#include "categorizer/categorizer_wire.h"

#include <sys/queue.h>

struct nx_device;
struct nx_device_job;

struct nx_device_ops {
    /* One job, beside others of its lane. Not NX_OK: it is done, and *err is its answer. */
    enum nx_status (*prepare)(struct nx_device_job *job, struct nx_err *err);
    void (*run)(struct nx_device_job *const *jobs, uint32_t count); /* all of one lane */
};

enum nx_device_stage { NX_DEVICE_WAITING, NX_DEVICE_PREPARING, NX_DEVICE_READY, NX_DEVICE_LEFT };

/* The head of the caller's own struct, zeroed, with ops, item.deadline_ns and item.bytes filled in. */
struct nx_device_job {
    struct nx_batch_item item; /* first */
    const struct nx_device_ops *ops;
    struct nx_err err;
    enum nx_device_stage stage;
    nx_ns ready_ns, begun_ns, ended_ns; /* prepared; its batch began, and ended: 0 until then */
    uint32_t batch;                     /* how many were in it */
    bool leads;                         /* it was the first of them */
    bool cancelled;
    TAILQ_ENTRY(nx_device_job) in_list; /* to prepare, or done */
};

struct nx_device_options {
    uint32_t preparers; /* threads, 1 … NX_DEVICE_PREPARERS_MAX */
    uint32_t items_max;
    uint64_t bytes_max;
    int done_fd; /* an eventfd of the caller */
};

enum { NX_DEVICE_PREPARERS_MAX = 16 };

struct nx_device_figures {
    uint32_t ready; /* prepared, and waiting for a batch now */
    struct nx_work work;
};

enum nx_status nx_device_open(const struct nx_device_options *options, struct nx_device **device,
                              struct nx_err *err);

/* Cancels what waits to be prepared, runs what is ready, ends the threads. Take what finished before closing. */
void nx_device_stop(struct nx_device *device);
void nx_device_close(struct nx_device *device); /* after stop, and after finished said NULL */

/* Refused as nx_batcher_admit does; the job is then still the caller's. The lane outlives its jobs. */
enum nx_status nx_device_submit(struct nx_device *device, struct nx_lane *lane,
                                struct nx_device_job *job, nx_ns now, struct nx_err *err);
void nx_device_cancel(struct nx_device *device, struct nx_device_job *job);
struct nx_device_job *nx_device_finished(struct nx_device *device); /* NULL: none */

struct nx_device_figures nx_device_figures(struct nx_device *device);
double nx_device_pace(struct nx_device *device, const struct nx_lane *lane); /* batcher.h */

#endif
