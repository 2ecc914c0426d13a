#include "function_tier/rest_state.h"

#include "function_tier/http/http_multipart.h"
#include "function_tier/http/json_read.h"
#include "function_tier/model_stats.h"
#include "function_tier/v2_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_TEXT_MAX = 1 << 20, INFER_TEXT_MAX = 64 << 20 };

/* --- health and facts of the server ---------------------------------------------------------------- */

static void reply_flag(struct nx_rest_call *call, int status, const char *key, bool value)
{
    struct nx_text t;
    nx_text_init(&t, 256);
    nx_text_printf(&t, "{\"%s\":%s}\n", key, value ? "true" : "false");
    nx_rest_reply_text(call, status, &t);
}

void nx_rest_v2_live(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    reply_flag(call, 200, "live", true);
}

void nx_rest_v2_ready(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    reply_flag(call, call->rest->ready ? 200 : 503, "ready", call->rest->ready);
}

void nx_rest_v2_server(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    static const char text[] =
        "{\"name\":\"nexus\",\"version\":\"" NX_VERSION "\",\"extensions\":[\"classification\","
        "\"binary_tensor_data\",\"model_repository\",\"model_configuration\",\"statistics\","
        "\"parameters\"]}\n";
    nx_rest_reply(call, 200, "application/json", text, strlen(text));
}

/* --- facts of a model ------------------------------------------------------------------------------ */

/* The call's model and version; false: refused. */
static bool name_model(struct nx_rest_call *call)
{
    struct nx_err err;
    if (!nx_rest_name_model(call, call->words[0]))
        return false;
    if (!call->words[1] ||
        nx_v2_read_version(call->model, call->words[1], &call->version, &err) == NX_OK)
        return true;
    nx_rest_refuse(call, 404, NULL, "%s", err.text);
    return false;
}

static void write_shape(struct nx_text *t, const struct nx_tensor_facts *tensor, uint32_t from)
{
    nx_text_add(t, "[");
    for (uint32_t i = from; i < tensor->rank; i++)
        nx_text_printf(t, "%s%lld", i > from ? "," : "", (long long)tensor->dims[i]);
    nx_text_add(t, "]");
}

static void write_tensors(struct nx_text *t, const struct nx_tensor_facts *tensors, uint32_t count)
{
    nx_text_add(t, "[");
    for (uint32_t i = 0; i < count; i++) {
        nx_text_add(t, i ? ",{\"name\":" : "{\"name\":");
        nx_text_json(t, tensors[i].name, strlen(tensors[i].name));
        nx_text_printf(t, ",\"datatype\":\"%s\",\"shape\":", nx_tensor_type_name(tensors[i].type));
        write_shape(t, &tensors[i], 0);
        nx_text_add(t, "}");
    }
    nx_text_add(t, "]");
}

static void write_metadata(struct nx_text *t, const char *name, const struct nx_model_facts_wire *m)
{
    nx_text_add(t, "{\"name\":");
    nx_text_json(t, name, strlen(name));
    nx_text_printf(t, ",\"versions\":[\"%llu\"],\"platform\":\"%s\",\"inputs\":",
                   (unsigned long long)m->version, nx_model_platform(m));
    write_tensors(t, m->inputs, m->inputs_count);
    nx_text_add(t, ",\"outputs\":");
    write_tensors(t, m->outputs, m->outputs_count);
    nx_text_add(t, "}\n");
}

/* Dimensions without the batch, as a configuration has them. */
static void write_config_tensors(struct nx_text *t, const struct nx_tensor_facts *tensors,
                                 uint32_t count)
{
    nx_text_add(t, "[");
    for (uint32_t i = 0; i < count; i++) {
        nx_text_add(t, i ? ",{\"name\":" : "{\"name\":");
        nx_text_json(t, tensors[i].name, strlen(tensors[i].name));
        nx_text_printf(
            t, ",\"data_type\":\"TYPE_%s\",\"dims\":", nx_tensor_type_name(tensors[i].type));
        write_shape(t, &tensors[i], nx_model_has_batch(&tensors[i]));
        nx_text_add(t, "}");
    }
    nx_text_add(t, "]");
}

static void write_config(struct nx_text *t, const char *name, const struct nx_model_facts_wire *m)
{
    nx_text_add(t, "{\"name\":");
    nx_text_json(t, name, strlen(name));
    nx_text_printf(t, ",\"platform\":\"%s\",\"backend\":\"%s\",\"max_batch_size\":%d,\"input\":",
                   nx_model_platform(m), m->backend, nx_model_batch_max(m));
    write_config_tensors(t, m->inputs, m->inputs_count);
    nx_text_add(t, ",\"output\":");
    write_config_tensors(t, m->outputs, m->outputs_count);
    nx_text_add(t, "}\n");
}

/* False: refused; the call asks for another one. */
static bool serves_version(struct nx_rest_call *call, const struct nx_model_list *list)
{
    struct nx_err err;
    if (list->count == 0 ||
        nx_v2_check_version(call->model, call->version, list->models[0].version, &err) == NX_OK)
        return true;
    nx_rest_refuse(call, 404, NULL, "%s", err.text);
    return false;
}

/* The one model that a DESCRIBE tells of, written by `write`. */
static void reply_model(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count,
                        void (*write)(struct nx_text *t, const char *name,
                                      const struct nx_model_facts_wire *model))
{
    struct nx_model_list list;
    struct nx_text t;
    if (!nx_rest_gather(call, answers, count, &list))
        return;
    if (list.count == 0 || !list.models[0].ready) {
        nx_model_list_free(&list);
        nx_rest_refuse(call, 503, NULL, "model '%s' is being installed; try again", call->model);
    } else if (!serves_version(call, &list)) {
        nx_model_list_free(&list);
    } else {
        nx_text_init(&t, SMALL_TEXT_MAX);
        write(&t, call->model, &list.models[0]);
        nx_model_list_free(&list);
        nx_rest_reply_text(call, 200, &t);
    }
}

static void metadata_told(struct nx_rest_call *call, const struct nx_answer *a, uint32_t count)
{
    reply_model(call, a, count, write_metadata);
}

static void config_told(struct nx_rest_call *call, const struct nx_answer *a, uint32_t count)
{
    reply_model(call, a, count, write_config);
}

static void write_ready(struct nx_text *t, const char *name, const struct nx_model_facts_wire *m)
{
    (void)m;
    nx_text_add(t, "{\"name\":");
    nx_text_json(t, name, strlen(name));
    nx_text_add(t, ",\"ready\":true}\n");
}

static void ready_told(struct nx_rest_call *call, const struct nx_answer *a, uint32_t count)
{
    reply_model(call, a, count, write_ready);
}

void nx_rest_v2_model(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (name_model(call))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, metadata_told);
}

void nx_rest_v2_config(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (name_model(call))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, config_told);
}

void nx_rest_v2_model_ready(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (name_model(call))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, ready_told);
}

/* --- statistics ------------------------------------------------------------------------------------- */

static void write_duration(struct nx_text *t, const char *key, uint64_t count, uint64_t ns)
{
    nx_text_printf(t, "\"%s\":{\"count\":%llu,\"ns\":%llu}", key, (unsigned long long)count,
                   (unsigned long long)ns);
}

static void write_durations(struct nx_text *t, const struct nx_model_stats *m)
{
    const struct {
        const char *key;
        uint64_t count, ns;
    } rows[] = {{"success", m->counts.success, m->counts.success_ns},
                {"fail", m->counts.failure, m->counts.failure_ns},
                {"queue", m->work.photos, m->work.queue_ns},
                {"compute_input", m->work.photos, m->work.input_ns},
                {"compute_infer", m->work.photos, m->work.run_ns},
                {"compute_output", m->work.photos, m->work.output_ns},
                {"cache_hit", 0, 0},
                {"cache_miss", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        nx_text_add(t, i ? "," : "");
        write_duration(t, rows[i].key, rows[i].count, rows[i].ns);
    }
}

static void write_stats(struct nx_text *t, const struct nx_model_stats *m)
{
    nx_text_add(t, "{\"name\":");
    nx_text_json(t, m->name, strlen(m->name));
    nx_text_printf(t,
                   ",\"version\":\"%llu\",\"last_inference\":%lld,\"inference_count\":%llu,"
                   "\"execution_count\":%llu,\"inference_stats\":{",
                   (unsigned long long)m->version, (long long)m->counts.last_ms,
                   (unsigned long long)m->counts.rows, (unsigned long long)m->work.execs);
    write_durations(t, m);
    nx_text_add(t, "},\"batch_stats\":[],\"memory_usage\":[");
    for (uint32_t i = 0; i < m->memory_count; i++)
        nx_text_printf(t, "%s{\"type\":\"%s\",\"id\":%u,\"byte_size\":%llu}", i ? "," : "",
                       m->memory[i].gpu ? "GPU" : "CPU", m->memory[i].node,
                       (unsigned long long)m->memory[i].bytes);
    nx_text_add(t, "]}");
}

static void stats_told(void *user, const struct nx_pb_status *status)
{
    struct nx_rest_call *call = user;
    struct nx_model_stats_list list;
    struct nx_text t;
    call->status = NULL;
    struct nx_err err;
    nx_text_init(&t, INFER_TEXT_MAX);
    if (nx_model_stats_gather(call->rest->metrics, status, call->model, &list) != NX_OK)
        t.bad = true;
    else if (call->version && nx_v2_check_version(call->model, call->version,
                                                  list.models[0].version, &err) != NX_OK) {
        nx_model_stats_free(&list);
        nx_rest_refuse(call, 404, NULL, "%s", err.text);
        return;
    }
    nx_text_add(&t, "{\"model_stats\":[");
    for (uint32_t i = 0; i < list.count; i++) {
        nx_text_add(&t, i ? "," : "");
        write_stats(&t, &list.models[i]);
    }
    nx_text_add(&t, "]}\n");
    nx_model_stats_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

/* The model is there, so that there is something to tell of it. */
static void model_found(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    (void)answers, (void)count;
    nx_rest_ask_status(call, stats_told);
}

void nx_rest_v2_stats(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (!call->words[0])
        nx_rest_ask(call, NX_REQUEST_LIST, model_found);
    else if (name_model(call))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, model_found);
}

/* --- inference ------------------------------------------------------------------------------------- */

static void reply_written(struct nx_rest_call *call, const struct nx_text *t, size_t json_bytes,
                          bool binary)
{
    struct nx_text none;
    if (t->bad || t->len == 0) {
        nx_text_init(&none, SMALL_TEXT_MAX);
        nx_rest_reply_text(call, 500, &none);
    } else if (binary) {
        char length[24];
        snprintf(length, sizeof length, "%zu", json_bytes);
        nx_http_header(call->x, "Inference-Header-Content-Length", length);
        nx_rest_reply(call, 200, "application/octet-stream", t->at, t->len);
    } else {
        nx_rest_reply(call, 200, "application/json", t->at, t->len);
    }
}

static void written_aside(void *user, const struct nx_text *text, size_t json_bytes, bool binary)
{
    struct nx_rest_call *call = user;
    struct nx_v2_writing *writing = call->writing;
    call->writing = NULL; /* the text goes with it */
    reply_written(call, text, json_bytes, binary);
    nx_v2_writing_end(writing);
}

static void release_answer(void *answer)
{
    nx_infer_cancel(answer);
}

/* The reply is the writer's, or gone with the call. */
static void write_aside(struct nx_rest_call *call, struct nx_v2_reply *reply,
                        struct nx_infer *infer)
{
    struct nx_err err;
    if (nx_v2_writer_submit(call->rest->writer, call->v2, reply, infer ? release_answer : NULL,
                            infer, written_aside, call, &call->writing, &err) == NX_OK) {
        if (infer)
            nx_infer_keep(infer);
        return;
    }
    nx_v2_reply_free(reply);
    nx_rest_fail(call, &err);
}

static void inferred(void *user, const struct nx_infer_result *result)
{
    struct nx_rest_call *call = user;
    struct nx_infer *infer = call->infer;
    struct nx_v2_reply reply;
    struct nx_text t;
    struct nx_err err;
    size_t json_bytes;
    bool binary;
    if (!nx_rest_inferred(call, result))
        return;
    call->v2->answered_by = result->version;
    if (nx_v2_reply_make(call->v2, result, &reply, &err) != NX_OK) {
        nx_rest_fail(call, &err);
    } else if (nx_v2_writer_wants(&reply)) {
        write_aside(call, &reply, result->tensors ? infer : NULL);
    } else {
        nx_text_init(&t, INFER_TEXT_MAX);
        nx_v2_json_write(call->v2, &reply, &t, &json_bytes, &binary);
        nx_v2_reply_free(&reply);
        reply_written(call, &t, json_bytes, binary);
        nx_text_free(&t);
    }
}

/* The header's value; len without one. */
static enum nx_status json_length(const struct nx_http_ask *ask, bool *given, size_t *bytes,
                                  struct nx_err *err)
{
    struct nx_http_span value = nx_http_head_field(ask->head, "inference-header-content-length");
    *given = value.at != NULL;
    *bytes = ask->body_bytes;
    if (!value.at)
        return NX_OK;
    *bytes = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9' || value.len > 12)
            return nx_err_set(err, NX_INVALID, "Inference-Header-Content-Length is not a number");
        *bytes = *bytes * 10 + (size_t)(value.at[i] - '0');
    }
    return value.len ? NX_OK
                     : nx_err_set(err, NX_INVALID, "Inference-Header-Content-Length is empty");
}

/* The request is whole, or `err` says what is wrong with it. */
static void read_done(void *user, const struct nx_err *err)
{
    struct nx_rest_call *call = user;
    struct nx_infer_ask ask;
    struct nx_err wrong = *err;
    if (wrong.status == NX_OK && nx_v2_to_ask(call->v2, &ask, &wrong) == NX_OK)
        nx_rest_infer(call, &ask, inferred);
    else
        nx_rest_refuse(call, nx_rest_status_of(wrong.status), NULL, "%s", wrong.text);
}

static void read_aside(struct nx_rest_call *call, size_t json_bytes)
{
    struct nx_grpc_buffer body;
    struct nx_err err;
    nx_http_take_body(call->x, &body);
    if (nx_v2_reader_submit(call->rest->reader, &body, json_bytes, call->v2, read_done, call,
                            &call->reading, &err) == NX_OK)
        return;
    nx_grpc_buffer_free(&body);
    nx_rest_fail(call, &err);
}

static void read_infer(struct nx_rest_call *call)
{
    const struct nx_http_ask *http = nx_http_ask(call->x);
    struct nx_v2_request *q = call->v2;
    struct nx_err err = {0};
    size_t bytes;
    bool given;
    memcpy(q->model, call->model, sizeof q->model);
    if (call->words[1])
        snprintf(q->version, sizeof q->version, "%s", call->words[1]);
    enum nx_status status = json_length(http, &given, &bytes, &err);
    if (status == NX_OK && bytes > NX_V2_READER_INLINE_BYTES) {
        read_aside(call, bytes);
        return;
    }
    if (status == NX_OK)
        status = given && bytes == 0
                     ? nx_v2_raw_read(http->body, http->body_bytes, q, &err)
                     : nx_v2_json_read(http->body, http->body_bytes, bytes, q, &err);
    err.status = status;
    read_done(call, &err);
}

void nx_rest_v2_infer(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (!name_model(call))
        return;
    call->v2 = nx_v2_new();
    if (!call->v2)
        nx_rest_refuse(call, 503, NULL, "no memory for a request");
    else
        read_infer(call);
}
