#include "function_tier/rest_state.h"

#include "function_tier/http/http_multipart.h"
#include "function_tier/http/json_read.h"
#include "function_tier/pb/pb_v2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* *value keeps its default if the parameter is not given. */
static enum nx_status number(const struct nx_http_ask *ask, const char *name, long *value,
                             struct nx_err *err)
{
    char text[32];
    enum nx_status status = parameter(ask, name, text, sizeof text, err);
    if (status == NX_NOT_FOUND)
        return NX_OK;
    if (status != NX_OK)
        return status;
    bool minus_one = strcmp(text, "-1") == 0 && strcmp(name, "timeout") == 0; /* none, there */
    if (!minus_one &&
        (text[0] == 0 || strspn(text, "0123456789") != strlen(text) || strlen(text) > 9))
        return nx_err_set(err, NX_INVALID, "Parameter %s must be an integer, got '%s'", name, text);
    *value = strtol(text, NULL, 10);
    return NX_OK;
}

static enum nx_status flag(const struct nx_http_ask *ask, const char *name, bool *value,
                           struct nx_err *err)
{
    char text[32];
    enum nx_status status = parameter(ask, name, text, sizeof text, err);
    if (status == NX_NOT_FOUND)
        return NX_OK;
    if (status != NX_OK)
        return status;
    *value = strcasecmp(text, "true") == 0;
    if (*value || strcasecmp(text, "false") == 0)
        return NX_OK;
    return nx_err_set(err, NX_INVALID, "Parameter %s must be true or false, got '%s'", name, text);
}

/* Of a Python that does not run here: a name that is none is refused all the same. */
static enum nx_status check_runtime(const struct nx_http_ask *ask, struct nx_err *err)
{
    char text[32];
    enum nx_status status = parameter(ask, "runtime", text, sizeof text, err);
    if (status == NX_NOT_FOUND ||
        (status == NX_OK && (strcmp(text, "python") == 0 || strcmp(text, "python2") == 0 ||
                             strcmp(text, "python3") == 0)))
        return NX_OK;
    return status != NX_OK ? status
                           : nx_err_set(err, NX_INVALID, "Invalid RuntimeType value: %s", text);
}

/* What the Model Server knows and we have no use for is checked all the same: a typing error must not pass. */
static enum nx_status check_register(const struct nx_http_ask *ask, struct nx_rest_call *call,
                                     struct nx_err *err)
{
    static const char *const names[] = {"batch_size", "max_batch_delay", "response_timeout"};
    long value = 0, workers = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        NX_TRY(number(ask, names[i], &value, err));
    NX_TRY(number(ask, "initial_workers", &workers, err));
    call->wants_workers = workers > 0;
    NX_TRY(flag(ask, "synchronous", &call->synchronous, err));
    NX_TRY(flag(ask, "replace", &call->replaces, err));
    return check_runtime(ask, err);
}

/* --- registering ---------------------------------------------------------------------------------- */

/* A model has one worker for each replica, and no more can be had: who asks for some is told what the Model Server tells. */
static void reply_scaled(struct nx_rest_call *call)
{
    struct nx_text t;
    nx_text_init(&t, 1024);
    nx_text_printf(&t, "{\n  \"status\": \"%s\"\n}\n",
                   call->synchronous ? "Workers scaled" : "Processing worker updates...");
    nx_rest_reply_text(call, call->synchronous ? 200 : 202, &t);
}

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
        if (call->wants_workers) {
            reply_scaled(call);
            return;
        }
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
    if (nx_install_start(call->rest->route, archive, call->model, recipe, call->replaces,
                         &nx_http_ask(call->x)->trace, registered, call, &call->install,
                         &err) == NX_OK)
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
        nx_archive_name(url, name, sizeof name);
        status = NX_OK;
    }
    if (status == NX_OK &&
        (status = parameter(ask, "recipe", recipe, sizeof recipe, &err)) == NX_NOT_FOUND) {
        recipe[0] = 0;
        status = NX_OK;
    }
    if (status == NX_OK)
        status = check_register(ask, call, &err);
    if (status != NX_OK)
        nx_rest_fail(call, &err);
    else if (nx_archive_check_url(url, &err) != NX_OK)
        refuse_archive(call, &err);
    else if (!nx_model_name_ok(name))
        nx_rest_refuse(
            call, 400, NULL,
            "'%.64s' cannot be a model's name: 1 to %d letters, digits, '.', '_', '-', and "
            "no word that stands in a path (v2, models, …)",
            name, NX_MODEL_NAME_BYTES - 1);
    else {
        memcpy(call->model, name, sizeof name);
        install_url(call, url, recipe);
    }
}

/* {"parameters": {"config": …, "file:…": …}}: none of them is known. */
static enum nx_status check_load(const struct nx_http_ask *ask, struct nx_err *err)
{
    struct nx_json j;
    char key[80];
    if (ask->body_bytes == 0)
        return NX_OK;
    nx_json_init(&j, ask->body, ask->body_bytes, err);
    for (nx_json_enter(&j, '{'); nx_json_key(&j, key, sizeof key);) {
        if (strcmp(key, "parameters") != 0) {
            nx_json_skip(&j);
            continue;
        }
        nx_json_enter(&j, '{');
        if (nx_json_key(&j, key, sizeof key))
            return nx_pb_v2_refuse_load(key, err);
    }
    return nx_json_end(&j);
}

void nx_rest_v2_load(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    struct nx_rest *r = call->rest;
    struct nx_archive *archive;
    struct nx_err err;
    if (!nx_rest_name_model(call, call->words[0]))
        return;
    call->replaces = true; /* load is reload, too */
    if (check_load(nx_http_ask(call->x), &err) != NX_OK)
        nx_rest_fail(call, &err);
    else if (nx_archive_find(r->model_store, call->model, &archive, &err) != NX_OK)
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
    struct nx_request_head head = {.op = NX_REQUEST_REMOVE, .trace = nx_http_ask(call->x)->trace};
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

/* --- scaling -------------------------------------------------------------------------------------- */

static void found(struct nx_rest_call *call, const struct nx_answer *answers, uint32_t count)
{
    (void)answers, (void)count;
    reply_scaled(call);
}

static enum nx_status check_scale(const struct nx_http_ask *ask, struct nx_rest_call *call,
                                  struct nx_err *err)
{
    long least = 1, ignored = 0;
    NX_TRY(number(ask, "min_worker", &least, err));
    long most = least;
    NX_TRY(number(ask, "max_worker", &most, err));
    NX_TRY(number(ask, "number_gpu", &ignored, err));
    NX_TRY(number(ask, "timeout", &ignored, err));
    NX_TRY(flag(ask, "synchronous", &call->synchronous, err));
    if (most < least)
        return nx_err_set(err, NX_INVALID, "max_worker cannot be less than min_worker.");
    if (most == 0)
        return nx_err_set(err, NX_INVALID,
                          "a registered model is always served; DELETE /models/%s ends that",
                          call->model);
    return NX_OK;
}

void nx_rest_scale(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    struct nx_err err;
    if (!nx_rest_name_model(call, call->words[0]))
        return;
    if (check_scale(nx_http_ask(call->x), call, &err) != NX_OK)
        nx_rest_fail(call, &err);
    else
        nx_rest_ask(call, NX_REQUEST_DESCRIBE, found);
}
