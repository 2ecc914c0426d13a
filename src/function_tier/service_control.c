#include "function_tier/service_control.h"

#include "common/arena.h"
#include "function_tier/pb/pb_control.h"

#include <stdlib.h>

/* One call that waits for its replicas. */
struct listing {
    struct nx_call *call;
    struct nx_route_request *request;
};

/* Room for the models of one reply, beside each other. */
struct rows {
    struct nx_model_facts_wire *decoded; /* their texts are read until the reply is encoded */
    struct nx_pb_model_row *models;
    size_t count, cap;
};

static const char *format_name(enum nx_model_format format)
{
    switch (format) {
    case NX_FORMAT_MXNET: return "mxnet";
    case NX_FORMAT_ONNX: return "onnx";
    }
    return "";
}

static void add_row(struct rows *rows)
{
    const struct nx_model_facts_wire *m = &rows->decoded[rows->count];
    rows->models[rows->count++] = (struct nx_pb_model_row){
        .tag = m->tag,
        .version = m->version,
        .name = m->name,
        .state = m->ready ? "ready" : "loading",
        .format = format_name(m->format),
        .recipe = m->recipe,
        .device = m->backend,
        .weights_bytes = m->weights_bytes,
        .arena_bytes = m->arena_bytes,
        .memory_bytes = m->memory_bytes,
        .queries = m->queries,
        .batch = m->batch,
        .batch_us = m->batch_ns / (uint64_t)NX_US,
    };
}

/* What one replica sent; `replica->models` is where its rows lie. */
static enum nx_status read_rows(const struct nx_answer *answer, struct rows *rows,
                                struct nx_pb_replica *replica, struct nx_err *err)
{
    struct nx_models_memory memory;
    size_t at = 0;
    NX_TRY(nx_models_get_memory(answer->payload, answer->payload_bytes, &memory, err));
    replica->memory_used_bytes = memory.used_bytes;
    replica->memory_limit_bytes = memory.limit_bytes;
    replica->models = rows->models + rows->count;
    for (;;) {
        if (rows->count == rows->cap)
            return NX_OK; /* the cap was counted from the bytes: these are all of them */
        enum nx_status status = nx_models_next(answer->payload, answer->payload_bytes, &at,
                                               &rows->decoded[rows->count], err);
        if (status != NX_OK)
            return status == NX_NOT_FOUND ? NX_OK : status;
        add_row(rows);
        replica->models_count++;
    }
}

/* How many models the payload holds, as far as it can be read. */
static size_t count_models(const struct nx_answer *answer, struct nx_model_facts_wire *scratch)
{
    size_t at = 0, count = 0;
    struct nx_err err;
    while (answer->err.status == NX_OK &&
           nx_models_next(answer->payload, answer->payload_bytes, &at, scratch, &err) == NX_OK)
        count++;
    return count;
}

static enum nx_status make_rows(const struct nx_answer *answers, uint32_t count, struct rows *rows)
{
    struct nx_model_facts_wire *scratch = nx_calloc(1, sizeof *scratch);
    for (uint32_t i = 0; scratch && i < count; i++)
        rows->cap += count_models(&answers[i], scratch);
    free(scratch);
    rows->cap++; /* so that the end of the last list is met within it */
    rows->decoded = nx_calloc(rows->cap, sizeof *rows->decoded);
    rows->models = nx_calloc(rows->cap, sizeof *rows->models);
    return scratch && rows->decoded && rows->models ? NX_OK : NX_NO_MEMORY;
}

static enum nx_status encode(const struct nx_route_request *request,
                             const struct nx_answer *answers, uint32_t count, struct rows *rows,
                             uint8_t **bytes, size_t *len, struct nx_err *err)
{
    struct nx_pb_replica replicas[NX_MEMBERS_MAX] = {0};
    struct nx_err why[NX_MEMBERS_MAX] = {0};
    if (make_rows(answers, count, rows) != NX_OK)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a list");
    for (uint32_t i = 0; i < count; i++) {
        struct nx_route_asked asked = nx_route_asked(request, i);
        why[i] = answers[i].err;
        replicas[i].node = asked.node;
        replicas[i].shard = asked.shard;
        if (why[i].status == NX_OK && read_rows(&answers[i], rows, &replicas[i], &why[i]) != NX_OK)
            replicas[i].models_count = 0;
        replicas[i].error = why[i].status == NX_OK ? "" : why[i].text;
    }
    return nx_pb_list_encode(replicas, count, bytes, len, err);
}

static void reply(struct nx_call *call, const uint8_t *bytes, size_t len)
{
    if (nx_call_reply(call, bytes, len) == NX_OK)
        nx_call_finish(call, NX_GRPC_OK, NULL);
    else
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED,
                       "the reply does not fit the connection's buffer");
}

static void listed(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct listing *l = user;
    struct nx_call *call = l->call;
    struct rows rows = {0};
    struct nx_err err = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum nx_status status = encode(l->request, answers, count, &rows, &bytes, &len, &err);
    nx_call_set_user(call, NULL);
    free(l);
    if (status == NX_OK)
        reply(call, bytes, len);
    else
        nx_call_fail(call, &err);
    free(bytes);
    free(rows.decoded);
    free(rows.models);
}

static enum nx_call_take list(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    struct nx_err err = {0};
    struct nx_route *route = nx_call_ctx(call);
    struct listing *l = nx_calloc(1, sizeof *l);
    enum nx_status status = l ? nx_pb_list_request_decode(bytes, len, &err)
                              : nx_err_set(&err, NX_NO_MEMORY, "no memory for a call");
    if (status == NX_OK) {
        l->call = call;
        status = nx_route_list(route, nx_call_deadline(call), listed, l, &l->request, &err);
    }
    if (status == NX_OK) {
        nx_call_set_user(call, l);
    } else {
        free(l);
        nx_call_fail(call, &err);
    }
    return NX_CALL_TAKEN;
}

static void cancelled(struct nx_call *call, enum nx_call_gone why)
{
    (void)why;
    struct listing *l = nx_call_user(call);
    if (!l)
        return;
    nx_route_cancel(l->request);
    free(l);
}

void nx_service_control_methods(struct nx_route *route,
                                struct nx_grpc_method rows[NX_SERVICE_CONTROL_METHODS])
{
    rows[0] = (struct nx_grpc_method){.path = "/nexus.Control/ListModels",
                                      .kind = NX_CALL_UNARY,
                                      .ctx = route,
                                      .on_message = list,
                                      .on_cancel = cancelled};
}
