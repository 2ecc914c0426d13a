#include "function_tier/service_v2_state.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/model_stats.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- the life of a call ---------------------------------------------------------------------------- */

struct nx_v2_call *nx_v2_call_begin(struct nx_call *call, nx_ns now)
{
    struct nx_service_v2 *s = nx_call_ctx(call);
    struct nx_v2_call *v = nx_calloc(1, sizeof *v);
    if (!v) {
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "no memory for a call");
        return NULL;
    }
    v->service = s;
    v->call = call;
    v->begun = now;
    v->next = s->calls;
    v->link = &s->calls;
    if (v->next)
        v->next->link = &v->next;
    s->calls = v;
    nx_call_set_user(call, v);
    return v;
}

static void start(struct nx_call *call, nx_ns now)
{
    nx_v2_call_begin(call, now);
}

void nx_v2_call_dismiss(struct nx_v2_call *v)
{
    if (v->admitted)
        nx_admission_give(v->service->config.admission, v->admitted_bytes);
    v->admitted = false;
}

static void leave(struct nx_v2_call *v)
{
    *v->link = v->next;
    if (v->next)
        v->next->link = v->link;
    if (v->asked)
        nx_route_cancel(v->asked);
    if (v->infer)
        nx_infer_cancel(v->infer);
    nx_task_end(v->task);
    if (v->install)
        nx_install_cancel(v->install);
    if (v->status)
        nx_status_cancel(v->status);
    nx_v2_call_dismiss(v);
    nx_v2_free(v->request);
    free(v->unsent);
    free(v);
}

static void on_cancel(struct nx_call *call, enum nx_call_gone why)
{
    (void)why;
    struct nx_v2_call *v = nx_call_user(call);
    if (v)
        leave(v);
}

static int like_http(enum nx_grpc_code code)
{
    switch (code) {
    case NX_GRPC_OK: return 200;
    case NX_GRPC_UNAVAILABLE:
    case NX_GRPC_INTERNAL:
    case NX_GRPC_DEADLINE_EXCEEDED: return 500;
    default: return 400;
    }
}

static void count(const struct nx_v2_call *v, enum nx_grpc_code code)
{
    nx_metrics_request(v->service->metrics, NX_API_V2_GRPC, like_http(code),
                       nx_clock_now() - v->begun);
}

void nx_v2_call_fail(struct nx_v2_call *v, const struct nx_err *err)
{
    struct nx_call *call = v->call;
    bool inference = v->request != NULL || v->task;
    count(v, nx_grpc_code_of(err->status));
    leave(v);
    if (inference)
        nx_call_refuse(call, err);
    else
        nx_call_fail(call, err);
}

void nx_v2_call_finish(struct nx_v2_call *v)
{
    struct nx_call *call = v->call;
    count(v, NX_GRPC_OK);
    leave(v);
    nx_call_finish(call, NX_GRPC_OK, NULL);
}

void nx_v2_call_reply(struct nx_v2_call *v, enum nx_status encoded, uint8_t *bytes, size_t len)
{
    struct nx_err err;
    enum nx_status status = encoded == NX_OK ? nx_call_reply(v->call, bytes, len) : encoded;
    if (encoded == NX_OK)
        free(bytes);
    if (status == NX_OK) {
        nx_v2_call_finish(v);
        return;
    }
    if (encoded == NX_OK)
        nx_err_set(&err, NX_TOO_LARGE, "an answer of %zu bytes could not be sent: %s", len,
                   nx_status_text(status));
    else
        nx_err_set(&err, NX_INTERNAL, "the answer could not be encoded: %s",
                   nx_status_text(status));
    nx_v2_call_fail(v, &err);
}

static void reply_flag(struct nx_call *call, bool flag)
{
    uint8_t *bytes = nx_malloc(4);
    nx_v2_call_reply(nx_call_user(call), bytes ? NX_OK : NX_NO_MEMORY, bytes,
                     bytes ? nx_pb_v2_flag_encode(flag, bytes) : 0);
}

/* --- what methods have in common -------------------------------------------------------------------- */

static bool call_name(struct nx_v2_call *v, const char *name, const char *version)
{
    struct nx_err err;
    if (!nx_model_name_ok(name))
        nx_err_set(&err, NX_NOT_FOUND, "Request for unknown model: '%.100s' is not found", name);
    else if (nx_v2_read_version(name, version, &v->version, &err) == NX_OK) {
        memcpy(v->model, name, strlen(name) + 1);
        nx_call_set_about(v->call, name);
        return true;
    }
    nx_v2_call_fail(v, &err);
    return false;
}

bool nx_v2_call_read(struct nx_v2_call *v, enum nx_pb_v2_named which, const uint8_t *bytes,
                     size_t len)
{
    struct nx_pb_v2_name name;
    struct nx_err err;
    if (nx_pb_v2_name_decode(which, bytes, len, &name, &err) != NX_OK) {
        nx_v2_call_fail(v, &err);
        return false;
    }
    if (which == NX_PB_V2_MODEL_STATISTICS && name.name[0] == 0)
        return true; /* all models */
    return call_name(v, name.name, name.version);
}

static void asked_done(void *user, const struct nx_answer *answers, uint32_t answers_count)
{
    struct nx_v2_call *v = user;
    struct nx_model_list list;
    struct nx_err err = {0};
    v->asked = NULL;
    for (uint32_t i = 0; i < answers_count && err.status == NX_OK; i++)
        err = answers[i].err;
    if (err.status == NX_NOT_FOUND)
        nx_err_set(&err, NX_NOT_FOUND, "Request for unknown model: '%s' is not found", v->model);
    if (err.status == NX_OK)
        nx_model_list_gather(answers, answers_count, &list, &err);
    if (err.status != NX_OK) {
        nx_v2_call_fail(v, &err);
        return;
    }
    if (v->version && list.count &&
        nx_v2_check_version(v->model, v->version, list.models[0].version, &err) != NX_OK)
        nx_v2_call_fail(v, &err);
    else
        v->told(v, &list);
    nx_model_list_free(&list);
}

void nx_v2_call_ask(struct nx_v2_call *v, enum nx_request op,
                    void (*told)(struct nx_v2_call *v, const struct nx_model_list *list))
{
    struct nx_err err;
    v->told = told;
    if (nx_model_ask(v->service->route, op, v->model, nx_call_deadline(v->call), asked_done, v,
                     &v->asked, &err) != NX_OK)
        nx_v2_call_fail(v, &err);
}

/* --- facts ------------------------------------------------------------------------------------------ */

static enum nx_call_take take_live(struct nx_call *call, const uint8_t *bytes, size_t len,
                                   nx_ns now)
{
    (void)bytes, (void)len, (void)now;
    reply_flag(call, true);
    return NX_CALL_TAKEN;
}

static enum nx_call_take take_ready(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now)
{
    (void)bytes, (void)len, (void)now;
    reply_flag(call, ((struct nx_service_v2 *)nx_call_ctx(call))->ready);
    return NX_CALL_TAKEN;
}

static enum nx_call_take take_server(struct nx_call *call, const uint8_t *bytes, size_t len,
                                     nx_ns now)
{
    static const char *const extensions[] = {"classification", "model_repository",
                                             "model_configuration", "statistics", "parameters"};
    (void)bytes, (void)len, (void)now;
    uint8_t *reply = NULL;
    size_t reply_len = 0;
    enum nx_status status = nx_pb_v2_server_encode(
        NX_VERSION, extensions, sizeof extensions / sizeof *extensions, &reply, &reply_len);
    nx_v2_call_reply(nx_call_user(call), status, reply, reply_len);
    return NX_CALL_TAKEN;
}

static void ready_told(struct nx_v2_call *v, const struct nx_model_list *list)
{
    reply_flag(v->call, list->count > 0 && list->models[0].ready);
}

/* Not there is not ready, as Triton has it. */
static void ready_done(void *user, const struct nx_answer *answers, uint32_t answers_count)
{
    struct nx_v2_call *v = user;
    if (answers[0].err.status != NX_NOT_FOUND) {
        asked_done(user, answers, answers_count);
        return;
    }
    v->asked = NULL;
    reply_flag(v->call, false);
}

static enum nx_call_take take_model_ready(struct nx_call *call, const uint8_t *bytes, size_t len,
                                          nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    struct nx_err err;
    v->told = ready_told;
    if (nx_v2_call_read(v, NX_PB_V2_MODEL_READY, bytes, len) &&
        nx_model_ask(v->service->route, NX_REQUEST_DESCRIBE, v->model, nx_call_deadline(call),
                     ready_done, v, &v->asked, &err) != NX_OK)
        nx_v2_call_fail(v, &err);
    return NX_CALL_TAKEN;
}

static void fill_tensors(const struct nx_tensor_facts *from, uint32_t n, struct nx_pb_v2_tensor *to)
{
    for (uint32_t i = 0; i < n; i++) {
        to[i] = (struct nx_pb_v2_tensor){.name = from[i].name,
                                         .datatype = nx_tensor_type_name(from[i].type),
                                         .code = from[i].type,
                                         .batched = nx_model_has_batch(&from[i]),
                                         .rank = from[i].rank};
        memcpy(to[i].dims, from[i].dims, sizeof to[i].dims);
    }
}

static void reply_model(struct nx_v2_call *v, const struct nx_model_list *list,
                        enum nx_status (*encode)(const struct nx_pb_v2_model *model,
                                                 uint8_t **bytes, size_t *len))
{
    struct nx_pb_v2_tensor inputs[NX_MODEL_TENSORS_MAX], outputs[NX_MODEL_TENSORS_MAX];
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct nx_err err;
    if (list->count == 0 || !list->models[0].ready) {
        nx_err_set(&err, NX_UNAVAILABLE, "model '%s' is being installed; try again", v->model);
        nx_v2_call_fail(v, &err);
        return;
    }
    const struct nx_model_facts_wire *m = &list->models[0];
    fill_tensors(m->inputs, m->inputs_count, inputs);
    fill_tensors(m->outputs, m->outputs_count, outputs);
    struct nx_pb_v2_model model = {.name = v->model,
                                   .version = m->version,
                                   .platform = nx_model_platform(m),
                                   .backend = m->backend,
                                   .inputs_count = m->inputs_count,
                                   .outputs_count = m->outputs_count,
                                   .inputs = inputs,
                                   .outputs = outputs,
                                   .batch_max = nx_model_batch_max(m)};
    enum nx_status status = encode(&model, &bytes, &len);
    nx_v2_call_reply(v, status, bytes, len);
}

static void metadata_told(struct nx_v2_call *v, const struct nx_model_list *list)
{
    reply_model(v, list, nx_pb_v2_metadata_encode);
}

static void config_told(struct nx_v2_call *v, const struct nx_model_list *list)
{
    reply_model(v, list, nx_pb_v2_config_encode);
}

static enum nx_call_take take_metadata(struct nx_call *call, const uint8_t *bytes, size_t len,
                                       nx_ns now)
{
    (void)now;
    if (nx_v2_call_read(nx_call_user(call), NX_PB_V2_MODEL_METADATA, bytes, len))
        nx_v2_call_ask(nx_call_user(call), NX_REQUEST_DESCRIBE, metadata_told);
    return NX_CALL_TAKEN;
}

static enum nx_call_take take_config(struct nx_call *call, const uint8_t *bytes, size_t len,
                                     nx_ns now)
{
    (void)now;
    if (nx_v2_call_read(nx_call_user(call), NX_PB_V2_MODEL_CONFIG, bytes, len))
        nx_v2_call_ask(nx_call_user(call), NX_REQUEST_DESCRIBE, config_told);
    return NX_CALL_TAKEN;
}

/* *memory: room for that of all its replicas. */
static struct nx_pb_v2_statistics statistics_of(const struct nx_model_stats *m,
                                                struct nx_pb_v2_memory *memory)
{
    const struct nx_model_work *w = &m->work;
    for (uint32_t i = 0; i < m->memory_count; i++)
        memory[i] =
            (struct nx_pb_v2_memory){m->memory[i].gpu, m->memory[i].node, m->memory[i].bytes};
    return (struct nx_pb_v2_statistics){.name = m->name,
                                        .version = m->version,
                                        .last_ms = (uint64_t)m->counts.last_ms,
                                        .rows = m->counts.rows,
                                        .execs = w->execs,
                                        .success = {m->counts.success, m->counts.success_ns},
                                        .failure = {m->counts.failure, m->counts.failure_ns},
                                        .queue = {w->photos, w->queue_ns},
                                        .input = {w->photos, w->input_ns},
                                        .infer = {w->photos, w->run_ns},
                                        .output = {w->photos, w->output_ns},
                                        .memory = memory,
                                        .memory_count = m->memory_count};
}

static enum nx_status encode_statistics(const struct nx_model_stats_list *list, uint8_t **bytes,
                                        size_t *len)
{
    uint32_t memory_count = 0, used = 0;
    for (uint32_t i = 0; i < list->count; i++)
        memory_count += list->models[i].memory_count;
    struct nx_pb_v2_statistics *models = nx_calloc(list->count + 1, sizeof *models);
    struct nx_pb_v2_memory *memory = nx_calloc(memory_count + 1, sizeof *memory);
    enum nx_status status = NX_NO_MEMORY;
    for (uint32_t i = 0; models && memory && i < list->count; i++) {
        models[i] = statistics_of(&list->models[i], memory + used);
        used += list->models[i].memory_count;
    }
    if (models && memory)
        status = nx_pb_v2_statistics_encode(models, list->count, bytes, len);
    free(models);
    free(memory);
    return status;
}

static void statistics_told(void *user, const struct nx_pb_status *facts)
{
    struct nx_v2_call *v = user;
    struct nx_model_stats_list list;
    uint8_t *bytes = NULL;
    size_t len = 0;
    v->status = NULL;
    enum nx_status status = nx_model_stats_gather(v->service->metrics, facts, v->model, &list);
    struct nx_err err;
    if (status == NX_OK && v->version &&
        nx_v2_check_version(v->model, v->version, list.models[0].version, &err) != NX_OK) {
        nx_model_stats_free(&list);
        nx_v2_call_fail(v, &err);
        return;
    }
    if (status == NX_OK)
        status = encode_statistics(&list, &bytes, &len);
    nx_model_stats_free(&list);
    nx_v2_call_reply(v, status, bytes, len);
}

/* The model is there, so that there is something to tell of it. The call may be over when this returns. */
static void ask_statistics(struct nx_v2_call *v, const struct nx_model_list *list)
{
    struct nx_err err;
    struct nx_status_ask *under_way;
    (void)list;
    if (nx_status_ask(v->service->status, nx_call_deadline(v->call), statistics_told, v, &under_way,
                      &err) != NX_OK)
        nx_v2_call_fail(v, &err);
    else if (under_way)
        v->status = under_way;
}

static enum nx_call_take take_statistics(struct nx_call *call, const uint8_t *bytes, size_t len,
                                         nx_ns now)
{
    (void)now;
    struct nx_v2_call *v = nx_call_user(call);
    if (nx_v2_call_read(v, NX_PB_V2_MODEL_STATISTICS, bytes, len))
        nx_v2_call_ask(v, v->model[0] ? NX_REQUEST_DESCRIBE : NX_REQUEST_LIST, ask_statistics);
    return NX_CALL_TAKEN;
}

/* --- the service ------------------------------------------------------------------------------------ */

enum nx_status nx_service_v2_open(const struct nx_rest_config *config, struct nx_route *route,
                                  struct nx_metrics *metrics, struct nx_group_status *group_status,
                                  int bell, struct nx_service_v2 **service, struct nx_err *err)
{
    static const char *const workers[] = {"nexus-infer", "nexus-infer-lg"};
#define PATH(name) "/inference.GRPCInferenceService/" name
    static const struct nx_grpc_method unary[] = {
        {.path = PATH("ServerLive"), .on_message = take_live},
        {.path = PATH("ServerReady"), .on_message = take_ready},
        {.path = PATH("ServerMetadata"), .on_message = take_server},
        {.path = PATH("ModelReady"), .on_message = take_model_ready},
        {.path = PATH("ModelMetadata"), .on_message = take_metadata},
        {.path = PATH("ModelConfig"), .on_message = take_config},
        {.path = PATH("ModelStatistics"), .on_message = take_statistics},
        {.path = PATH("ModelInfer"), .on_message = nx_v2_take_infer},
        {.path = PATH("RepositoryIndex"), .on_message = nx_v2_take_index},
        {.path = PATH("RepositoryModelLoad"), .on_message = nx_v2_take_load},
        {.path = PATH("RepositoryModelUnload"), .on_message = nx_v2_take_unload},
    };
    static const struct nx_grpc_method stream = {.path = PATH("ModelStreamInfer"),
                                                 .kind = NX_CALL_BIDI,
                                                 .on_start = nx_v2_stream_start,
                                                 .on_message = nx_v2_take_stream,
                                                 .on_end = nx_v2_end_stream,
                                                 .on_writable = nx_v2_stream_writable};
#undef PATH
    struct nx_service_v2 *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the service");
    if (nx_aside_open(workers, bell, &s->aside, err) != NX_OK) {
        free(s);
        return err->status;
    }
    static_assert(sizeof unary / sizeof *unary + 1 == NX_SERVICE_V2_METHODS, "all of them");
    s->config = *config;
    s->route = route;
    s->metrics = metrics;
    s->status = group_status;
    memcpy(s->methods, unary, sizeof unary);
    s->methods[NX_SERVICE_V2_METHODS - 1] = stream;
    for (int i = 0; i < NX_SERVICE_V2_METHODS; i++) {
        s->methods[i].ctx = s;
        s->methods[i].on_cancel = on_cancel;
        if (!s->methods[i].on_start)
            s->methods[i].on_start = start;
    }
    *service = s;
    return NX_OK;
}

const struct nx_grpc_method *nx_service_v2_methods(const struct nx_service_v2 *service)
{
    return service->methods;
}

void nx_service_v2_set_ready(struct nx_service_v2 *service, bool ready)
{
    service->ready = ready;
    service->takes |= ready;
}

bool nx_service_v2_resume(struct nx_service_v2 *service)
{
    bool any = nx_aside_poll(service->aside), installs = service->installs;
    service->installs = false;
    for (struct nx_v2_call *v = installs ? service->calls : NULL, *next; v; v = next) {
        next = v->next; /* an install that fails ends its call */
        service->installs |= v->install != NULL;
        if (v->install)
            any |= !nx_install_pump(v->install);
    }
    return any;
}

void nx_service_v2_close(struct nx_service_v2 *service)
{
    nx_assert(!service->calls); /* the server has cancelled them */
    nx_aside_close(service->aside);
    free(service);
}
