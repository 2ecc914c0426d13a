/* aside.h — work on large inferences that threads of their own do, so that the loop thread never waits for it.
 *
 *     nx_aside_submit ──► task->work on a worker ──► (the bell) nx_aside_poll ──► task->done ── nx_task_end ──► task->drop
 *          └── nx_task_end at any time: done is not called any more
 *
 * Two workers: one for what is short, so that it does not queue behind what is long. A task and all that it holds are the
 * worker's from submit until done; one that is ended meanwhile is dropped by a later poll, and if
 * no worker has begun it, passed over.
 *
 * Thread  the loop's; task->work alone runs on the workers'.
 * Bounds  NX_ASIDE_TASKS_MAX for each worker, ended ones that a worker still has included; then NX_AGAIN. */
#ifndef NX_FUNCTION_TIER_ASIDE_H
#define NX_FUNCTION_TIER_ASIDE_H

#include "common/worker.h"

#include <stdatomic.h>
#include <stdbool.h>

enum { NX_ASIDE_TASKS_MAX = 1024 };

struct nx_aside;

/* The first field of what the caller allocates. */
struct nx_task {
    struct nx_job job; /* first */
    void (*work)(struct nx_task *task);
    void (*done)(struct nx_task *task); /* on the loop's thread, in poll; it may end the task */
    void (*drop)(struct nx_task *task); /* frees it, on the loop's thread */
    const struct nx_aside *aside;
    atomic_bool ended;
    bool with_the_worker; /* the loop thread's */
};

/* `bell` is rung when poll has something to do; others may ring it, too, and somebody else reads it. */
enum nx_status nx_aside_open(const char *const names[2], int bell, struct nx_aside **aside,
                             struct nx_err *err);
bool nx_aside_poll(struct nx_aside *aside); /* true: there was something */
/* Waits for what the workers are at; what is not begun is passed over. No task may be left that
 * was not ended. NULL is fine. */
void nx_aside_close(struct nx_aside *aside);

/* work, done and drop are set. NX_AGAIN: nothing has happened, and the task is the caller's. */
enum nx_status nx_aside_submit(struct nx_aside *aside, struct nx_task *task, bool is_long,
                               struct nx_err *err);
void nx_task_end(
    struct nx_task *task); /* from within done or after it, or to cancel; NULL is fine */

#endif
