/* service_v2_aside.c — large ModelInfers: decoded, and their answers encoded, by workers.
 *
 * Contents of a type (fp32_contents and the like) are a varint for each number, and 30 MB of them a fifth of a second: a loop
 * that read them would be late for its group. */
#include "function_tier/service_v2_state.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/v2_pb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Up to here at once, which takes two milliseconds at the worst; up to there by the worker of the short ones. */
enum { INLINE_BYTES = 256 << 10, SHORT_BYTES = 2 << 20 };

bool nx_v2_is_large(size_t bytes)
{
    return bytes > INLINE_BYTES;
}

static enum nx_status give(struct nx_v2_call *v, struct nx_task *task, size_t bytes,
                           struct nx_err *err)
{
    NX_TRY(nx_aside_submit(v->service->aside, task, bytes > SHORT_BYTES, err));
    v->task = task;
    return NX_OK;
}

/* --- requests --------------------------------------------------------------------------------------- */

struct reading {
    struct nx_task task; /* first */
    struct nx_v2_call *v;
    uint8_t *block; /* that the message lies in */
    const uint8_t *bytes;
    size_t len;
    struct nx_v2_request *request; /* the call's, meanwhile */
    struct nx_v2_read read;
    /* the call's place, meanwhile: one that has left holds its bytes until it is dropped */
    struct nx_admission *admission;
    struct nx_err err;
};

static void decode(struct nx_task *task)
{
    struct reading *r = (struct reading *)task;
    if (nx_v2_read_infer(r->bytes, r->len, r->request, &r->read, &r->err) != NX_OK)
        return;
    r->err.status = NX_OK;
    if (r->read.ask.want.input == NX_INPUT_TENSORS && nx_infer_join(&r->read.ask, &r->err) == NX_OK)
        nx_pb_v2_infer_free(&r->read.message); /* all that is wanted of it is in one piece */
}

static void drop_reading(struct nx_task *task)
{
    struct reading *r = (struct reading *)task;
    nx_v2_read_free(&r->read);
    nx_v2_free(r->request);
    if (r->admission)
        nx_admission_give(r->admission, r->len);
    free(r->block);
    free(r);
}

static void decoded(struct nx_task *task)
{
    struct reading *r = (struct reading *)task;
    struct nx_v2_call *v = r->v;
    v->task = NULL;
    v->request = r->request;
    v->admitted = true;
    r->request = NULL;
    r->admission = NULL;
    nx_v2_infer_read(v, &r->read, &r->err); /* the call may be over */
    nx_task_end(task);
}

/* The message as bytes of our own: without a copy if it has its memory for itself. */
static uint8_t *own(struct nx_call *call, const uint8_t *bytes, size_t len, const uint8_t **at)
{
    uint8_t *block = nx_call_take_message(call, bytes, len);
    *at = bytes;
    if (!block && (block = nx_malloc(len))) {
        memcpy(block, bytes, len);
        *at = block;
    }
    return block;
}

enum nx_status nx_v2_read_aside(struct nx_v2_call *v, const uint8_t *bytes, size_t len,
                                struct nx_err *err)
{
    struct reading *r = nx_calloc(1, sizeof *r);
    if (r)
        r->block = own(v->call, bytes, len, &r->bytes);
    if (!r || !r->block) {
        free(r);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request of %zu bytes", len);
    }
    r->task.work = decode;
    r->task.done = decoded;
    r->task.drop = drop_reading;
    r->v = v;
    r->len = len;
    r->request = v->request;
    if (give(v, &r->task, len, err) != NX_OK) {
        r->request = NULL;
        drop_reading(&r->task);
        return err->status;
    }
    nx_assert(v->admitted && v->admitted_bytes == len);
    r->admission = v->service->config.admission;
    v->admitted = false;
    v->request = NULL;
    return NX_OK;
}

/* --- answers ---------------------------------------------------------------------------------------- */

struct writing {
    struct nx_task task; /* first */
    struct nx_v2_call *v;
    struct nx_v2_request *request; /* the call's, meanwhile */
    struct nx_infer *infer;        /* what the reply's data lies in */
    struct nx_v2_reply reply;
    char names[NX_V2_OUTPUTS_MAX][NX_TENSOR_NAME_BYTES];
    bool raw, stream;
    uint8_t *bytes;
    size_t len;
    struct nx_err err;
};

static void encode(struct nx_task *task)
{
    struct writing *w = (struct writing *)task;
    w->err.status =
        nx_v2_pb_write(w->request, w->raw, w->stream, &w->reply, &w->bytes, &w->len, &w->err);
}

static void drop_writing(struct nx_task *task)
{
    struct writing *w = (struct writing *)task;
    nx_v2_reply_free(&w->reply);
    nx_v2_free(w->request);
    if (w->infer)
        nx_infer_cancel(w->infer);
    free(w->bytes);
    free(w);
}

static void encoded(struct nx_task *task)
{
    struct writing *w = (struct writing *)task;
    struct nx_v2_call *v = w->v;
    uint8_t *bytes = w->bytes;
    v->task = NULL;
    v->request = w->request;
    w->request = NULL;
    w->bytes = NULL;
    nx_v2_infer_written(v, bytes, w->len, &w->err); /* the call may be over */
    nx_task_end(task);
}

static void fill(struct writing *w, const struct nx_v2_reply *reply)
{
    w->reply = *reply;
    for (uint32_t i = 0; i < reply->count; i++) {
        snprintf(w->names[i], sizeof w->names[i], "%s", reply->tensors[i].name);
        w->reply.tensors[i].name = w->names[i];
    }
}

enum nx_status nx_v2_write_aside(struct nx_v2_call *v, struct nx_infer *infer,
                                 const struct nx_v2_reply *reply, size_t bytes, struct nx_err *err)
{
    struct writing *w = nx_calloc(1, sizeof *w);
    if (!w)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an answer");
    w->task.work = encode;
    w->task.done = encoded;
    w->task.drop = drop_writing;
    w->v = v;
    w->request = v->request;
    w->raw = v->raw;
    w->stream = v->stream;
    fill(w, reply);
    if (give(v, &w->task, bytes, err) != NX_OK) {
        free(w);
        return err->status;
    }
    nx_infer_keep(infer); /* not before it is ours to end */
    w->infer = infer;
    v->request = NULL;
    return NX_OK;
}
