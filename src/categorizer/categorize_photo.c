#include "categorizer/categorizer_state.h"

#include "common/arena.h"
#include "common/log_traced.h"

#include <stdlib.h>

static void set_load(struct nx_categorizer *c, int change)
{
    c->queued = (uint32_t)((int)c->queued + change);
    nx_group_set_load(c->group, NX_LOAD_QUEUED, c->queued);
}

static void close_model(struct nx_held_model *m)
{
    nx_served_close(m->served);
    free(m);
}

static void release_held(struct nx_held_model *m)
{
    if (--m->uses == 0 && m->removed)
        close_model(m);
}

void nx_held_retire(struct nx_entry *e)
{
    struct nx_held_model *m = e->model;
    e->model = NULL;
    if (!m)
        return;
    m->removed = true;
    if (m->uses == 0)
        close_model(m);
}

/* --- on the device's threads ---------------------------------------------------------------------- */

static struct nx_job_infer *infer_of(struct nx_device_job *job)
{
    return (struct nx_job_infer *)job; /* its first member */
}

static bool is_photo(const struct nx_want *want)
{
    return want->input == NX_INPUT_PHOTO;
}

/* The photo is as small as it came until here, and the tensor is only there while it waits for its batch. */
static enum nx_status prepare(struct nx_device_job *job, struct nx_err *err)
{
    struct nx_job_infer *j = infer_of(job);
    struct nx_served *served = j->model->served;
    if (!is_photo(&j->want))
        return NX_OK;
    j->tensor = nx_malloc(nx_served_facts(served)->tensor_bytes); /* filled before it is read */
    if (!j->tensor)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a photo's tensor");
    return nx_served_prepare(served, j->photo, j->photo_bytes, j->tensor, err);
}

static void run_photos(struct nx_device_job *const *jobs, uint32_t count)
{
    struct nx_served_photo photos[NX_BATCH_ITEMS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        struct nx_job_infer *j = infer_of(jobs[i]);
        photos[i] = (struct nx_served_photo){j->tensor, &j->want, &j->answer, &j->payload};
    }
    nx_served_run(infer_of(jobs[0])->model->served, photos, count);
}

/* A lane is of photos or of tensors. */
static void run(struct nx_device_job *const *jobs, uint32_t count)
{
    if (is_photo(&infer_of(jobs[0])->want)) {
        run_photos(jobs, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct nx_job_infer *j = infer_of(jobs[i]);
        nx_served_tell(j->model->served, j->photo, j->photo_bytes, &j->answer, &j->payload);
    }
}

static const struct nx_device_ops ops = {.prepare = prepare, .run = run};

/* --- on the loop thread ----------------------------------------------------------------------------- */

static void free_infer(struct nx_categorizer *c, struct nx_job_infer *j)
{
    nx_budget_give(&c->budget, j->budget_bytes);
    free(j->payload);
    free(j->photo);
    free(j->tensor);
    free(j);
}

/* The photo's bytes are in the budget already. */
static struct nx_job_infer *make_infer(struct nx_categorizer *c, struct nx_incoming *in,
                                       struct nx_held_model *model, nx_ns now, struct nx_err *err)
{
    uint64_t tensor_bytes =
        is_photo(&in->head.want) ? nx_served_facts(model->served)->tensor_bytes : 0;
    nx_ns left = in->head.time_left_ns;
    if (nx_budget_take(&c->budget, tensor_bytes, "a photo's tensor", err) != NX_OK)
        return NULL;
    struct nx_job_infer *j = nx_calloc(1, sizeof *j);
    if (!j) {
        nx_budget_give(&c->budget, tensor_bytes);
        nx_err_set(err, NX_NO_MEMORY, "no memory for a photo's job");
        return NULL;
    }
    j->job.ops = &ops;
    j->job.item.priority = in->head.want.priority;
    j->job.item.deadline_ns = left > NX_NEVER - now ? NX_NEVER : now + left;
    j->job.item.bytes = in->body_bytes + tensor_bytes;
    j->in = in;
    j->tag = in->head.tag;
    j->trace = in->head.trace;
    j->model = model;
    j->want = in->head.want;
    /* set before other threads can see it; ours to free once it is submitted */
    j->photo = in->body;
    j->photo_bytes = in->body_bytes;
    j->budget_bytes = tensor_bytes;
    return j;
}

static enum nx_status submit(struct nx_categorizer *c, struct nx_incoming *in,
                             const struct nx_entry *e, struct nx_err *err)
{
    struct nx_held_model *model = e->model;
    nx_ns now = nx_clock_now();
    struct nx_job_infer *j = make_infer(c, in, model, now, err);
    if (!j)
        return err->status;
    j->version = e->generation;
    struct nx_lane *lane = is_photo(&j->want) ? &model->photos : &model->tensors;
    if (nx_device_submit(c->device, lane, &j->job, now, err) != NX_OK) {
        j->photo = NULL; /* still the operation's */
        free_infer(c, j);
        return err->status;
    }
    nx_incoming_take_body(in); /* its thread may read it already; nobody frees it before finish */
    j->budget_bytes += j->photo_bytes;
    model->uses++;
    in->job = j;
    in->state = NX_INCOMING_RUNNING;
    set_load(c, 1);
    return NX_OK;
}

void nx_photo_start(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_err err = {0};
    struct nx_entry *e = nx_store_find(c->store, in->head.tag);
    if (!e || e->state != NX_ENTRY_READY || !nx_store_is_named(e, in->head.name))
        nx_store_say_missing(in->head.tag, in->head.name, &err);
    else if (in->head.version && in->head.version != e->generation)
        nx_err_set(&err, NX_NOT_FOUND, "version %llu is not found, its version is %llu",
                   (unsigned long long)in->head.version, (unsigned long long)e->generation);
    else if (in->body_bytes == 0)
        nx_err_set(&err, NX_INVALID, "the %s is empty",
                   is_photo(&in->head.want) ? "photo" : "tensor");
    else if (!e->model) {
        in->state = NX_INCOMING_AWAITING;
        return;
    } else if (submit(c, in, e, &err) == NX_OK)
        return;
    nx_categorizer_refuse(c, in, &err);
}

void nx_photo_drop(struct nx_categorizer *c, struct nx_job_infer *j)
{
    release_held(j->model);
    free_infer(c, j);
}

/* One part of the work on a photo, from and to a point of nx_clock_now; 0: it did not come to that. */
static void trace_part(struct nx_spans *spans, const struct nx_trace_ids *above, const char *name,
                       nx_ns from, nx_ns to, uint32_t batch)
{
    struct nx_trace_ids ids;
    nx_ns shift = nx_clock_wall() - nx_clock_now();
    if (!from || !to)
        return;
    nx_spans_child(spans, above, &ids);
    struct nx_span *span = nx_spans_take(spans, &ids, NX_SPAN_INTERNAL, name);
    if (!span)
        return;
    span->begun = from + shift;
    span->ended = to + shift;
    if (batch)
        nx_span_number(span, "nexus.batch", batch);
    nx_spans_put(spans, span);
}

/* The whole of it, below the asker's span, and its parts: decoding, the wait for a batch, the batch. */
static void trace_photo(struct nx_spans *spans, const struct nx_job_infer *j)
{
    const struct nx_device_job *job = &j->job;
    struct nx_trace_ids ids;
    nx_ns now = nx_clock_now(), shift = nx_clock_wall() - now;
    if (!spans || !nx_trace_is_sampled(&j->trace))
        return;
    nx_spans_child(spans, &j->trace, &ids);
    trace_part(spans, &ids, "prepare", job->item.arrived_ns, job->ready_ns, 0);
    trace_part(spans, &ids, "queue", job->ready_ns, job->begun_ns, 0);
    trace_part(spans, &ids, "run", job->begun_ns, job->ended_ns, job->batch);
    struct nx_span *span = nx_spans_take(spans, &ids, NX_SPAN_SERVER, "infer");
    if (!span)
        return;
    span->begun = job->item.arrived_ns + shift;
    span->ended = now + shift;
    nx_span_number(span, "nexus.tag", j->tag);
    nx_span_number(span, "nexus.bytes", (int64_t)j->photo_bytes);
    if (j->answer.err.status != NX_OK)
        nx_span_fail(span, j->answer.err.text);
    nx_spans_put(spans, span);
}

void nx_photo_finish(struct nx_categorizer *c, struct nx_job_infer *j)
{
    set_load(c, -1);
    if (j->job.err.status != NX_OK)
        j->answer = (struct nx_answer){.err = j->job.err};
    bool answered = j->answer.err.status == NX_OK;
    j->model->queries += answered;
    if (answered && j->job.begun_ns) { /* the figures are of as many as are counted */
        j->model->execs += j->job.leads;
        j->model->queue_ns += (uint64_t)(j->job.begun_ns - j->job.ready_ns);
        j->model->run_ns += (uint64_t)(j->job.ended_ns - j->job.begun_ns);
        j->model->input_ns += (uint64_t)(j->job.ready_ns - j->job.item.arrived_ns);
        j->model->output_ns += (uint64_t)(nx_clock_now() - j->job.ended_ns);
    }
    nx_log_traced(NX_LOG_DEBUG, &j->trace, "tag %u: a photo of %llu bytes: %s%.*s", j->tag,
                  (unsigned long long)j->photo_bytes, j->answer.err.text,
                  (int)j->answer.label_bytes, j->answer.label);
    trace_photo(c->config.spans, j);
    if (j->in) {
        j->in->answer = j->answer;
        j->in->answer.version = j->answer.err.status == NX_OK ? j->version : 0;
        j->in->job = NULL;
        nx_categorizer_answer(c, j->in);
    }
    nx_photo_drop(c, j);
}

void nx_photo_cancel(struct nx_categorizer *c, struct nx_incoming *in)
{
    struct nx_job_infer *j = in->job;
    in->job = NULL;
    j->in = NULL;
    nx_device_cancel(c->device, &j->job);
}
