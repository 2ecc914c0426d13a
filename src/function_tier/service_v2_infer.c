#include "function_tier/service_v2_state.h"

#include "function_tier/guard.h"
#include "function_tier/v2_pb.h"

#include <stdlib.h>
#include <string.h>

static void infer_done(void *user, const struct nx_infer_result *result);
static void answer_in_stream(struct nx_v2_call *v, uint8_t *bytes, size_t len,
                             const struct nx_err *failed);

static enum nx_status header_priority(const struct nx_call *call, uint32_t *priority,
                                      struct nx_err *err)
{
    const char *level = nx_call_metadata(call, "nexus-priority");
    return nx_priority_read(level, level ? strlen(level) : 0, priority, err);
}

enum nx_status nx_v2_read_infer(const uint8_t *bytes, size_t len, struct nx_v2_request *request,
                                struct nx_v2_read *read, struct nx_err *err)
{
    NX_TRY(nx_pb_v2_infer_decode(bytes, len, &read->message, err));
    read->raw = read->message.raw;
    NX_TRY(nx_v2_pb_read(&read->message, request, err));
    return nx_v2_to_ask(request, &read->ask, err);
}

void nx_v2_read_free(struct nx_v2_read *read)
{
    nx_pb_v2_infer_free(&read->message);
    free(read->ask.whole);
    read->ask.whole = NULL;
}

/* Sends the photos or the tensor on their way; all is copied that is needed later. */
static enum nx_status ask_replicas(struct nx_v2_call *v, struct nx_v2_read *read,
                                   struct nx_err *err)
{
    struct nx_infer_ask *ask = &read->ask;
    v->raw = read->raw;
    if (!ask->want.priority)
        NX_TRY(header_priority(v->call, &ask->want.priority, err));
    ask->trace = nx_call_trace(v->call);
    enum nx_status status = nx_infer_start(v->service->route, ask, nx_call_deadline(v->call),
                                           infer_done, v, &v->infer, err);
    ask->whole = NULL; /* taken, whatever came of it */
    return status;
}

static enum nx_status read_at_once(struct nx_v2_call *v, const uint8_t *bytes, size_t len,
                                   struct nx_err *err)
{
    struct nx_v2_read read = {0};
    enum nx_status status = nx_v2_read_infer(bytes, len, v->request, &read, err);
    nx_call_set_about(v->call, v->request->model);
    if (status == NX_OK)
        status = ask_replicas(v, &read, err);
    nx_v2_read_free(&read);
    return status;
}

/* Admits the request, and has it read. */
static enum nx_status start(struct nx_v2_call *v, const uint8_t *bytes, size_t len,
                            struct nx_err *err)
{
    nx_v2_free(v->request);
    v->request = nx_v2_new();
    v->begun = nx_clock_now();
    if (!v->request)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a request");
    if (!v->service->takes)
        return nx_err_set(err, NX_UNAVAILABLE, "this node takes no requests now; try again");
    NX_TRY(nx_admission_take(v->service->config.admission, len, v->begun, err));
    v->admitted = true;
    v->admitted_bytes = len;
    return nx_v2_is_large(len) ? nx_v2_read_aside(v, bytes, len, err)
                               : read_at_once(v, bytes, len, err);
}

static void fail_request(struct nx_v2_call *v, const struct nx_err *err)
{
    if (!v->stream) {
        nx_v2_call_fail(v, err);
        return;
    }
    nx_v2_call_dismiss(v);
    answer_in_stream(v, NULL, 0, err);
}

void nx_v2_infer_read(struct nx_v2_call *v, struct nx_v2_read *read, const struct nx_err *outcome)
{
    struct nx_err err = *outcome;
    nx_call_set_about(v->call, v->request->model);
    if (err.status != NX_OK || ask_replicas(v, read, &err) != NX_OK)
        fail_request(v, &err);
}

/* --- answers ---------------------------------------------------------------------------------------- */

static enum nx_status make_reply(struct nx_v2_call *v, const struct nx_infer_result *result,
                                 struct nx_v2_reply *reply, struct nx_err *err)
{
    bool ok = result->err.status == NX_OK;
    if (result->err.status != NX_NOT_FOUND)
        nx_metrics_inference(v->service->metrics, v->request->model, ok, result->rows,
                             nx_clock_now() - v->begun);
    if (result->err.status == NX_NOT_FOUND) {
        nx_v2_say_unknown(v->request->model, &result->err, err);
        return err->status;
    }
    if (!ok) {
        *err = result->err;
        return err->status;
    }
    v->request->answered_by = result->version;
    return nx_v2_reply_make(v->request, result, reply, err);
}

void nx_v2_infer_written(struct nx_v2_call *v, uint8_t *bytes, size_t len,
                         const struct nx_err *outcome)
{
    if (v->stream)
        answer_in_stream(v, bytes, len, outcome);
    else if (outcome->status != NX_OK)
        nx_v2_call_fail(v, outcome);
    else
        nx_v2_call_reply(v, NX_OK, bytes, len);
}

/* Large answers by a worker, which then has the reply, and `infer` that its data lies in. */
static void write_reply(struct nx_v2_call *v, struct nx_infer *infer, struct nx_v2_reply *reply)
{
    uint8_t *bytes = NULL;
    size_t len = 0, data = 0;
    struct nx_err err = {0};
    for (uint32_t i = 0; i < reply->count; i++)
        data += reply->tensors[i].data_bytes;
    if (nx_v2_is_large(data) && nx_v2_write_aside(v, infer, reply, data, &err) == NX_OK)
        return;
    if (err.status == NX_OK)
        nx_v2_pb_write(v->request, v->raw, v->stream, reply, &bytes, &len, &err);
    nx_v2_reply_free(reply);
    nx_v2_infer_written(v, bytes, len, &err);
}

static void infer_done(void *user, const struct nx_infer_result *result)
{
    struct nx_v2_call *v = user;
    struct nx_infer *infer = v->infer;
    struct nx_v2_reply reply;
    struct nx_err err = {0};
    v->infer = NULL;
    nx_v2_call_dismiss(v);
    if (make_reply(v, result, &reply, &err) == NX_OK)
        write_reply(v, infer, &reply);
    else
        nx_v2_infer_written(v, NULL, 0, &err);
}

/* --- ModelInfer ------------------------------------------------------------------------------------- */

enum nx_call_take nx_v2_take_infer(struct nx_call *call, const uint8_t *bytes, size_t len,
                                   nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    struct nx_err err;
    if (start(v, bytes, len, &err) != NX_OK)
        nx_v2_call_fail(v, &err);
    return NX_CALL_TAKEN;
}

/* --- ModelStreamInfer ------------------------------------------------------------------------------- */

void nx_v2_stream_start(struct nx_call *call, nx_ns now)
{
    struct nx_v2_call *v = nx_v2_call_begin(call, now);
    if (v)
        v->stream = true;
}

static bool is_idle(const struct nx_v2_call *v)
{
    return !v->infer && !v->task && !v->unsent;
}

/* Sends the answer that waits, if there is room; then the next request may come, or the end. */
static void go_on(struct nx_v2_call *v)
{
    struct nx_err err;
    enum nx_status status = v->unsent ? nx_call_reply(v->call, v->unsent, v->unsent_bytes) : NX_OK;
    if (status == NX_AGAIN)
        return; /* on_writable */
    free(v->unsent);
    v->unsent = NULL;
    if (status != NX_OK) {
        nx_err_set(&err, NX_TOO_LARGE, "an answer of %zu bytes could not be sent: %s",
                   v->unsent_bytes, nx_status_text(status));
        nx_v2_call_fail(v, &err);
    } else if (v->held) {
        v->held = false;
        nx_call_resume(v->call);
    } else if (v->ended) {
        nx_v2_call_finish(v);
    }
}

/* Takes the bytes over; without them the error is told. */
static void answer_in_stream(struct nx_v2_call *v, uint8_t *bytes, size_t len,
                             const struct nx_err *failed)
{
    struct nx_err err;
    enum nx_status status = NX_OK;
    v->unsent = bytes;
    v->unsent_bytes = len;
    if (failed->status != NX_OK)
        status = nx_pb_v2_stream_error_encode(failed->text, v->request ? v->request->id : "",
                                              &v->unsent, &v->unsent_bytes);
    if (status != NX_OK) {
        nx_err_set(&err, NX_INTERNAL, "an answer could not be encoded: %s", nx_status_text(status));
        nx_v2_call_fail(v, &err);
        return;
    }
    go_on(v);
}

enum nx_call_take nx_v2_take_stream(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    struct nx_err err;
    v->held = !is_idle(v);
    if (v->held)
        return NX_CALL_HELD;
    enum nx_status status = NX_OK;
    if (v->asked_before) /* the first was counted with the call */
        status = nx_guard_again(v->service->config.auth, call, &err);
    v->asked_before = true;
    if (status == NX_OK)
        status = start(v, bytes, len, &err);
    if (status != NX_OK)
        fail_request(v, &err);
    return NX_CALL_TAKEN;
}

void nx_v2_end_stream(struct nx_call *call, nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    v->ended = true;
    if (is_idle(v))
        go_on(v);
}

void nx_v2_stream_writable(struct nx_call *call, nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    if (v->unsent)
        go_on(v);
}
