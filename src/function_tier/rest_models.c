#include "function_tier/rest_state.h"

#include "function_tier/http/http_multipart.h"
#include "function_tier/http/json_read.h"
#include "function_tier/model_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 100, LIST_TEXT_MAX = 64 << 20 };

/* --- parameters: query, urlencoded body or JSON body, in this order -------------------------------- */

static enum nx_status json_parameter(const struct nx_http_ask *ask, const char *name, char *dst,
                                     size_t cap, struct nx_err *err)
{
    struct nx_json j;
    char key[64];
    enum nx_status found = NX_NOT_FOUND;
    nx_json_init(&j, ask->body, ask->body_bytes, err);
    for (nx_json_enter(&j, '{'); nx_json_key(&j, key, sizeof key);) {
        uint64_t number;
        bool flag;
        if (strcmp(key, name) != 0) {
            nx_json_skip(&j);
            continue;
        }
        found = NX_OK;
        if (nx_json_peek(&j) == '0' && nx_json_uint(&j, UINT32_MAX, &number))
            snprintf(dst, cap, "%llu", (unsigned long long)number);
        else if ((nx_json_peek(&j) == 't' || nx_json_peek(&j) == 'f') && nx_json_bool(&j, &flag))
            snprintf(dst, cap, "%s", flag ? "true" : "false");
        else
            nx_json_string(&j, dst, cap);
    }
    return nx_json_end(&j) == NX_OK ? found : NX_INVALID;
}

static enum nx_status parameter(const struct nx_http_ask *ask, const char *name, char *dst,
                                size_t cap, struct nx_err *err)
{
    enum nx_status status = nx_http_query(ask, name, dst, cap, err);
    if (status != NX_NOT_FOUND || ask->body_bytes == 0)
        return status;
    struct nx_http_span type = nx_http_media_type(nx_http_head_field(ask->head, "content-type"));
    if (nx_http_span_is(type, "application/json"))
        return json_parameter(ask, name, dst, cap, err);
    struct nx_http_span form = {(const char *)ask->body, ask->body_bytes};
    return nx_http_form_value(form, name, dst, cap, err);
}

/* What the Model Server knows and we have no use for is checked all the same: a typing error must not pass. */
static enum nx_status check_numbers(const struct nx_http_ask *ask, struct nx_err *err)
{
    static const char *const names[] = {"batch_size", "max_batch_delay", "initial_workers",
                                        "response_timeout"};
    char text[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        enum nx_status status = parameter(ask, names[i], text, sizeof text, err);
        if (status == NX_NOT_FOUND)
            continue;
        if (status != NX_OK)
            return status;
        if (text[0] == 0 || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9)
            return nx_err_set(err, NX_INVALID, "Parameter %s must be an integer, got '%s'",
                              names[i], text);
    }
    return NX_OK;
}

/* --- registering ---------------------------------------------------------------------------------- */

static void registered(void *user, const struct nx_err *err)
{
    struct nx_rest_call *call = user;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    bool v2 = call->endpoint->api == NX_API_V2_REST;
    struct nx_text t;
    call->install = NULL;
    if (err->status == NX_EXISTS) {
        nx_rest_refuse(call, 409, NULL, "Model %s is already registered.", call->model);
    } else if (err->status == NX_INVALID || err->status == NX_CORRUPT ||
               err->status == NX_UNSUPPORTED || err->status == NX_TOO_LARGE) {
        nx_rest_refuse(call, 400, "InvalidModelException", "%s", err->text);
    } else if (err->status != NX_OK) {
        nx_rest_fail(call, err);
    } else {
        nx_audit(ask->peer, call->token, ask->id, "model %s registered", call->model);
        nx_text_init(&t, 1024);
        if (v2)
            nx_text_add(&t, "{}\n");
        else
            nx_text_printf(&t, "{\n  \"status\": \"Model \\\"%s\\\" registered\"\n}\n",
                           call->model);
        nx_rest_reply_text(call, 200, &t);
    }
}

static void refuse_archive(struct nx_rest_call *call, const struct nx_err *err)
{
    bool missing = err->status == NX_NOT_FOUND;
    if (err->status == NX_IO || err->status == NX_NO_MEMORY)
        nx_rest_refuse(call, 500, NULL, "%s", err->text);
    else
        nx_rest_refuse(call, missing ? 404 : 400,
                       missing ? "ModelNotFoundException" : "InvalidModelException", "%s",
                       err->text);
}

static void install(struct nx_rest_call *call, struct nx_archive *archive, const char *recipe)
{
    struct nx_err err;
    call->rest->installs = true;
    if (nx_install_start(call->rest->route, archive, call->model, recipe, registered, call,
                         &call->install, &err) == NX_OK)
        return;
    nx_archive_close(archive);
    nx_rest_fail(call, &err);
}

static void install_url(struct nx_rest_call *call, const char *url, const char *recipe)
{
    struct nx_rest *r = call->rest;
    struct nx_archive *archive;
    struct nx_err err;
    if (r->model_store[0] == 0)
        nx_rest_refuse(
            call, 400, NULL,
            "models are registered by url only where the key model_store names a folder");
    else if (nx_archive_open(r->model_store, url, &archive, &err) != NX_OK)
        refuse_archive(call, &err);
    else
        install(call, archive, recipe);
}

static void name_of_url(const char *url, char *name, size_t cap)
{
    size_t len = strnlen(url, cap - 1); /* an url that is longer than a name is refused as such */
    memcpy(name, url, len);
    name[len] = 0;
    char *dot = strrchr(name, '.');
    if (dot && dot > name &&
        (strcmp(dot, ".model") == 0 || strcmp(dot, ".mar") == 0 || strcmp(dot, ".zip") == 0))
        *dot = 0;
}

void nx_rest_register(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    static char recipe[NX_RECIPE_BYTES_MAX + 1]; /* one thread, and used up before the next call */
    char url[2 * NX_ARCHIVE_URL_BYTES_MAX], name[NX_MODEL_NAME_BYTES];
    struct nx_err err = {0};
    enum nx_status status = parameter(ask, "url", url, sizeof url, &err);
    if (status == NX_NOT_FOUND)
        nx_err_set(&err, status = NX_INVALID, "Parameter url is required.");
    if (status == NX_OK &&
        (status = parameter(ask, "model_name", name, sizeof name, &err)) == NX_NOT_FOUND) {
        name_of_url(url, name, sizeof name);
        status = NX_OK;
    }
    if (status == NX_OK &&
        (status = parameter(ask, "recipe", recipe, sizeof recipe, &err)) == NX_NOT_FOUND) {
        recipe[0] = 0;
        status = NX_OK;
    }
    if (status == NX_OK)
        status = check_numbers(ask, &err);
    if (status != NX_OK)
        nx_rest_fail(call, &err);
    else if (!nx_model_name_ok(name))
        nx_rest_refuse(
            call, 400, NULL,
            "'%.64s' cannot be a model's name: 1 to %d letters, digits, '.', '_', '-', and "
            "no word that begins a path (v2, models, …)",
            name, NX_MODEL_NAME_BYTES - 1);
    else {
        memcpy(call->model, name, sizeof name);
        install_url(call, url, recipe);
    }
}

void nx_rest_v2_load(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    struct nx_rest *r = call->rest;
    struct nx_archive *archive;
    struct nx_err err;
    if (!nx_rest_name_model(call, call->words[0]))
        return;
    if (nx_archive_find(r->model_store, call->model, &archive, &err) != NX_OK)
        refuse_archive(call, &err);
    else
        install(call, archive, "");
}

/* --- removing ------------------------------------------------------------------------------------- */

static void removed(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct nx_rest_call *call = user;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    struct nx_text t;
    (void)count;
    call->asked = NULL;
    if (answers[0].err.status != NX_OK) {
        nx_rest_fail(call, &answers[0].err);
        return;
    }
    nx_audit(ask->peer, call->token, ask->id, "model %s unregistered", call->model);
    nx_text_init(&t, 1024);
    if (call->endpoint->api == NX_API_V2_REST)
        nx_text_add(&t, "{}\n");
    else
        nx_text_printf(&t, "{\n  \"status\": \"Model \\\"%s\\\" unregistered\"\n}\n", call->model);
    nx_rest_reply_text(call, 200, &t);
}

static void unregister(struct nx_rest_call *call)
{
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE};
    struct nx_err err;
    if (!nx_rest_name_model(call, call->words[0]))
        return;
    nx_head_set_name(&head, call->model);
    if (nx_install_request_id(&head.request, &err) != NX_OK ||
        nx_route_change(call->rest->route, &head, removed, call, &call->asked, &err) != NX_OK)
        nx_rest_fail(call, &err);
}

void nx_rest_unregister(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    unregister(call);
}

void nx_rest_v2_unload(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    unregister(call);
}

/* --- listing -------------------------------------------------------------------------------------- */

/* A page of the list: 1 … LIST_MAX models from `next_page_token` on. False: refused. */
static bool read_page(struct nx_rest_call *call, uint32_t *from, uint32_t *limit)
{
    static const char *const names[] = {"next_page_token", "limit"};
    uint32_t values[] = {0, LIST_MAX};
    for (int i = 0; i < 2; i++) {
        char text[16];
        struct nx_err err;
        enum nx_status status =
            nx_http_query(nx_http_ask(call->x), names[i], text, sizeof text, &err);
        if (status == NX_NOT_FOUND)
            continue;
        if (status != NX_OK || text[0] == 0 || strspn(text, "0123456789") != strlen(text) ||
            strlen(text) > 9) {
            nx_rest_refuse(call, 400, NULL, "Parameter %s must be an integer, got '%s'", names[i],
                           status == NX_OK ? text : "what is none");
            return false;
        }
        values[i] = (uint32_t)strtoul(text, NULL, 10);
    }
    *from = values[0];
    *limit = values[1] < 1 ? 1 : values[1] > LIST_MAX ? LIST_MAX : values[1];
    return true;
}

static void write_page(const struct nx_model_list *list, uint32_t from, uint32_t limit,
                       struct nx_text *t)
{
    uint32_t i = from;
    nx_text_add(t, "{\n");
    if (from + limit < list->count)
        nx_text_printf(t, "  \"nextPageToken\": \"%u\",\n", from + limit);
    nx_text_add(t, "  \"models\": [");
    for (; i < list->count && i < from + limit; i++) {
        nx_text_printf(t, "%s\n    {\n      \"modelName\": ", i > from ? "," : "");
        nx_text_json(t, list->models[i].name, strlen(list->models[i].name));
        nx_text_printf(t, ",\n      \"modelUrl\": \"\",\n      \"tag\": %u\n    }",
                       list->models[i].tag);
    }
    nx_text_add(t, i > from ? "\n  ]\n}\n" : "]\n}\n");
}

static void listed(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    struct nx_model_list list;
    struct nx_err err;
    struct nx_text t;
    uint32_t from, limit;
    if (!read_page(call, &from, &limit))
        return;
    if (nx_model_list_gather(answers, count, &list, &err) != NX_OK) {
        nx_rest_fail(call, &err);
        return;
    }
    nx_text_init(&t, LIST_TEXT_MAX);
    write_page(&list, from, limit, &t);
    nx_model_list_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_list(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    nx_rest_ask(call, NX_REQUEST_LIST, listed);
}

static void described(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    struct nx_model_list list;
    struct nx_err err;
    struct nx_text t;
    if (nx_model_list_gather(answers, count, &list, &err) != NX_OK) {
        nx_rest_fail(call, &err);
        return;
    }
    const struct nx_model_facts_wire *m = &list.models[0];
    nx_text_init(&t, 1 << 20);
    nx_text_add(&t, "{\n  \"modelName\": ");
    nx_text_json(&t, call->model, strlen(call->model));
    nx_text_printf(&t,
                   ",\n  \"modelVersion\": \"1\",\n  \"modelUrl\": \"\",\n  \"tag\": %u,\n"
                   "  \"engine\": \"%s\",\n  \"runtime\": \"%s\",\n  \"minWorkers\": 1,\n"
                   "  \"maxWorkers\": 1,\n  \"batchSize\": 1,\n  \"maxBatchDelay\": 0,\n"
                   "  \"loadedAtStartup\": false,\n  \"workers\": [\n    {\n      \"id\": \"1\",\n"
                   "      \"status\": \"%s\",\n      \"gpu\": false,\n      \"memoryUsage\": %llu\n"
                   "    }\n  ]\n}\n",
                   m->tag, m->format == NX_FORMAT_ONNX ? "ONNX" : "MXNet", m->backend,
                   m->ready ? "READY" : "LOADING", (unsigned long long)m->memory_bytes);
    nx_model_list_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_describe(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    if (nx_rest_name_model(call, call->words[0]))
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, described);
}

/* Triton's index; of a body, only that it is JSON. */
static void indexed(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    struct nx_model_list list;
    struct nx_err err;
    struct nx_text t;
    if (nx_model_list_gather(answers, count, &list, &err) != NX_OK) {
        nx_rest_fail(call, &err);
        return;
    }
    nx_text_init(&t, LIST_TEXT_MAX);
    nx_text_add(&t, "[");
    for (uint32_t i = 0; i < list.count; i++) {
        nx_text_add(&t, i ? ",{\"name\":" : "{\"name\":");
        nx_text_json(&t, list.models[i].name, strlen(list.models[i].name));
        nx_text_printf(&t, ",\"version\":\"1\",\"state\":\"%s\",\"reason\":\"\"}",
                       list.models[i].ready ? "READY" : "LOADING");
    }
    nx_text_add(&t, "]\n");
    nx_model_list_free(&list);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_v2_index(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    struct nx_json j;
    struct nx_err err;
    nx_json_init(&j, ask->body, ask->body_bytes, &err);
    if (ask->body_bytes > 0) {
        nx_json_skip(&j);
        if (nx_json_end(&j) != NX_OK) {
            nx_rest_fail(call, &err);
            return;
        }
    }
    nx_rest_ask(call, NX_REQUEST_LIST, indexed);
}
