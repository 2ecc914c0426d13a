#include "categorizer/categorizer_state.h"

#include "common/arena.h"
#include "common/log.h"

#include <stdlib.h>

static void set_load(struct nx_categorizer *c, int change)
{
    c->queued = (uint32_t)((int)c->queued + change);
    nx_group_set_load(c->group, NX_LOAD_QUEUED, c->queued);
}

static void close_model(struct nx_categorizer *c, struct nx_held_model *m)
{
    nx_served_close(m->served);
    nx_budget_give(&c->budget, m->bytes);
    free(m);
}

void nx_held_release(struct nx_categorizer *c, struct nx_held_model *m)
{
    if (--m->uses == 0 && m->removed)
        close_model(c, m);
}

void nx_held_retire(struct nx_categorizer *c, struct nx_entry *e)
{
    struct nx_held_model *m = e->model;
    e->model = NULL;
    if (!m)
        return;
    m->removed = true;
    if (m->uses == 0)
        close_model(c, m);
}

static void run_infer(struct nx_job *job)
{
    struct nx_job_infer *j = (struct nx_job_infer *)job;
    if (atomic_load_explicit(&j->cancelled, memory_order_relaxed))
        nx_err_set(&j->answer.err, NX_CANCELLED, "nobody waits for this photo any more");
    else if (nx_clock_now() > j->deadline_ns)
        nx_err_set(&j->answer.err, NX_DEADLINE, "the deadline passed while the photo was queued");
    else
        nx_served_classify(j->model->served, j->photo, j->photo_bytes, &j->answer);
}

static struct nx_job_infer *make_infer(struct nx_incoming *in, struct nx_held_model *model)
{
    struct nx_job_infer *j = nx_calloc(1, sizeof *j);
    if (!j)
        return NULL;
    nx_ns now = nx_clock_now(), left = in->head.time_left_ns;
    j->job.run = run_infer;
    j->in = in;
    j->tag = in->head.tag;
    j->model = model;
    j->deadline_ns = left > NX_NEVER - now ? NX_NEVER : now + left;
    j->photo = in->body; /* set before the worker can see it; ours to free once it is submitted */
    j->photo_bytes = in->body_bytes;
    atomic_init(&j->cancelled, false);
    return j;
}

void nx_photo_start(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_err err = {0};
    struct nx_entry *e = nx_store_find(c->store, in->head.tag);
    struct nx_job_infer *j = NULL;
    if (!e || e->state != NX_ENTRY_READY)
        nx_err_set(&err, NX_NOT_FOUND, "tag %u is not installed", in->head.tag);
    else if (in->body_bytes == 0)
        nx_err_set(&err, NX_INVALID, "the photo is empty");
    else if (!e->model) {
        in->state = NX_INCOMING_AWAITING;
        return;
    } else if (!(j = make_infer(in, e->model)))
        nx_err_set(&err, NX_NO_MEMORY, "no memory for a photo's job");
    else if (nx_worker_submit(c->device, &j->job) != NX_OK)
        nx_err_set(&err, NX_UNAVAILABLE, "%d photos wait at this replica already",
                   NX_DEVICE_QUEUE_MAX);
    if (err.status != NX_OK) {
        free(j);
        nx_categorizer_refuse(c, in, &err);
        return;
    }
    nx_incoming_take_body(in);
    j->model->uses++;
    in->job = j;
    in->state = NX_INCOMING_RUNNING;
    set_load(c, 1);
}

void nx_photo_finish(struct nx_categorizer *c, struct nx_job_infer *j)
{
    set_load(c, -1);
    nx_budget_give(&c->budget, j->photo_bytes);
    nx_held_release(c, j->model);
    nx_debug("tag %u: a photo of %llu bytes: %s%.*s", j->tag, (unsigned long long)j->photo_bytes,
             j->answer.err.text, (int)j->answer.label_bytes, j->answer.label);
    if (j->in) {
        j->in->answer = j->answer;
        j->in->job = NULL;
        nx_categorizer_answer(c, j->in);
    }
    free(j->photo);
    free(j);
}
