#include "function_tier/aside.h"

#include "common/arena.h"

#include <stdlib.h>

enum { WORKERS = 2 };

struct nx_aside {
    struct nx_worker *workers[WORKERS]; /* of short tasks, of long ones */
    atomic_bool stopping;
};

enum nx_status nx_aside_open(const char *const names[2], int bell, struct nx_aside **aside,
                             struct nx_err *err)
{
    struct nx_aside *a = nx_calloc(1, sizeof *a);
    if (!a)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for workers");
    enum nx_status status = NX_OK;
    for (int i = 0; i < WORKERS && status == NX_OK; i++)
        status = nx_worker_open(names[i], NX_ASIDE_TASKS_MAX, bell, &a->workers[i], err);
    if (status != NX_OK) {
        nx_aside_close(a);
        return status;
    }
    *aside = a;
    return NX_OK;
}

/* Takes back what the workers have done with. */
bool nx_aside_poll(struct nx_aside *a)
{
    bool any = false;
    for (int i = 0; i < WORKERS; i++) {
        struct nx_job *job;
        while (a->workers[i] && (job = nx_worker_finished(a->workers[i]))) {
            struct nx_task *task = (struct nx_task *)job;
            any = true;
            task->with_the_worker = false;
            if (atomic_load(&task->ended))
                task->drop(task);
            else
                task->done(task);
        }
    }
    return any;
}

void nx_aside_close(struct nx_aside *a)
{
    if (!a)
        return;
    atomic_store(&a->stopping, true);
    for (int i = 0; i < WORKERS; i++)
        if (a->workers[i])
            nx_worker_drain(a->workers[i]);
    nx_aside_poll(a); /* all of them are ended */
    for (int i = 0; i < WORKERS; i++)
        if (a->workers[i])
            nx_worker_close(a->workers[i]);
    free(a);
}

/* On the worker's thread. */
static void run(struct nx_job *job)
{
    struct nx_task *task = (struct nx_task *)job;
    if (!atomic_load(&task->ended) && !atomic_load(&task->aside->stopping))
        task->work(task);
}

enum nx_status nx_aside_submit(struct nx_aside *a, struct nx_task *task, bool is_long,
                               struct nx_err *err)
{
    task->job.run = run;
    task->aside = a;
    task->with_the_worker = true;
    if (nx_worker_submit(a->workers[is_long], &task->job) == NX_OK)
        return NX_OK;
    task->with_the_worker = false;
    return nx_err_set(err, NX_AGAIN,
                      "%d large inferences wait for their turn at this node; try again",
                      NX_ASIDE_TASKS_MAX);
}

void nx_task_end(struct nx_task *task)
{
    if (!task)
        return;
    if (task->with_the_worker)
        atomic_store(&task->ended, true);
    else
        task->drop(task);
}
