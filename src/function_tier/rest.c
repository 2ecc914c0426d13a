#include "function_tier/rest_state.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_TEXT_MAX = 64 << 20, SMALL_BODY_BYTES = 1 << 20 };

/* What a packed body of JSON alone may unpack to: it is read aside, in its turn, and packed it
 * costs its sender next to nothing. */
enum { PACKED_JSON_BYTES = 16 << 20 };

static const char json_type[] = "application/json";

/* --- errors --------------------------------------------------------------------------------------- */

static enum nx_family family_of(const char *path)
{
    return strncmp(path, "/v2", 3) == 0 && (path[3] == 0 || path[3] == '/') ? NX_FAMILY_V2
                                                                            : NX_FAMILY_MMS;
}

/* The Model Server's names, where it has one. */
static const char *exception_of(int status)
{
    switch (status) {
    case 400: return "BadRequestException";
    case 401: return "UnauthorizedException";
    case 403: return "ForbiddenException";
    case 404: return "ResourceNotFoundException";
    case 405: return "MethodNotAllowedException";
    case 408: return "RequestTimeoutException";
    case 409: return "ConflictStatusException";
    case 413: return "RequestEntityTooLargeException";
    case 429: return "TooManyRequestsException";
    case 503: return "ServiceUnavailableException";
    case 504: return "GatewayTimeoutException";
    case 507: return "InsufficientStorageException";
    default: return status < 500 ? "BadRequestException" : "InternalServerException";
    }
}

static void write_error(struct nx_text *t, enum nx_family family, int status, const char *type,
                        const char *message)
{
    if (family == NX_FAMILY_V2) {
        nx_text_add(t, "{\"error\":");
        nx_text_json(t, message, strlen(message));
        nx_text_add(t, "}\n");
    } else {
        nx_text_printf(t, "{\n  \"code\": %d,\n  \"type\": \"%s\",\n  \"message\": ", status,
                       type ? type : exception_of(status));
        nx_text_json(t, message, strlen(message));
        nx_text_add(t, "\n}\n");
    }
}

int nx_rest_status_of(enum nx_status status)
{
    switch (status) {
    case NX_OK: return 200;
    case NX_INVALID:
    case NX_CORRUPT:
    case NX_UNSUPPORTED: return 400;
    case NX_DENIED: return 403;
    case NX_NOT_FOUND: return 404;
    case NX_AGAIN:
    case NX_EXISTS: return 409;
    case NX_TOO_LARGE: return 413;
    case NX_DEADLINE: return 504;
    case NX_CANCELLED:
    case NX_UNAVAILABLE:
    case NX_PEER_DOWN:
    case NX_WEDGED: return 503;
    case NX_NO_MEMORY: return 507;
    default: return 500;
    }
}

/* --- the life of a call --------------------------------------------------------------------------- */

static void leave(struct nx_rest_call *call)
{
    struct nx_rest *r = call->rest;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    if (call->admitted)
        nx_admission_leave(r->config.admission, &call->arrival);
    nx_v2_writing_end(call->writing);
    if (call->reading)
        nx_v2_reading_end(call->reading);
    else
        nx_v2_free(call->v2);
    free(call);
}

static void stop_work(struct nx_rest_call *call)
{
    if (call->asked)
        nx_route_cancel(call->asked);
    if (call->infer)
        nx_infer_cancel(call->infer);
    if (call->install)
        nx_install_cancel(call->install);
    if (call->status)
        nx_status_cancel(call->status);
}

void nx_rest_reply(struct nx_rest_call *call, int status, const char *type, const void *body,
                   size_t len)
{
    struct nx_http_exchange *x = call->x;
    const struct nx_http_ask *ask = nx_http_ask(x);
    if (call->endpoint)
        nx_metrics_request(call->rest->metrics, call->endpoint->api, status,
                           nx_clock_now() - ask->begun);
    bool hints = (status == 429 || status == 503) && !call->over_rate;
    stop_work(call);
    leave(call);
    if (hints)
        nx_http_header(x, "Retry-After", "1");
    nx_http_reply(x, status, type, body, len);
}

void nx_rest_reply_text(struct nx_rest_call *call, int status, struct nx_text *json)
{
    static const char sorry[] = "{\"error\":\"the reply could not be made: no memory\"}\n";
    if (json->bad || json->len == 0)
        nx_rest_reply(call, 500, json_type, sorry, sizeof sorry - 1);
    else
        nx_rest_reply(call, status, json_type, json->at, json->len);
    nx_text_free(json);
}

static void audit_refusal(const struct nx_rest_call *call, const char *message)
{
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    char what[256];
    snprintf(what, sizeof what, "%s%s%s", call->endpoint->path, call->model[0] ? " " : "",
             call->model);
    nx_audit_refusal(ask->peer, call->token, ask->id, what, message);
}

void nx_rest_refuse(struct nx_rest_call *call, int status, const char *type, const char *format,
                    ...)
{
    char message[NX_ERR_TEXT_BYTES];
    struct nx_text t;
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    nx_text_init(&t, REPLY_TEXT_MAX);
    write_error(&t, family_of(nx_http_ask(call->x)->path), status, type, message);
    if (!call->audited && call->endpoint && call->endpoint->flags & NX_ENDPOINT_MANAGES)
        audit_refusal(call, message);
    nx_rest_reply_text(call, status, &t);
}

void nx_rest_fail(struct nx_rest_call *call, const struct nx_err *err)
{
    bool over = err->status == NX_AGAIN && call->endpoint->flags & NX_ENDPOINT_INFERS;
    int status = over ? 429 : nx_rest_status_of(err->status);
    const char *type = status == 404 && call->model[0] ? "ModelNotFoundException" : NULL;
    if (status == 404 && call->model[0] && family_of(nx_http_ask(call->x)->path) == NX_FAMILY_V2) {
        struct nx_err said;
        nx_v2_say_unknown(call->model, err, &said);
        nx_rest_refuse(call, status, type, "%s", said.text);
    } else if (status == 404 && call->model[0] && call->version &&
               strstr(err->text, "its version is "))
        nx_rest_refuse(call, status, "ModelVersionNotFoundException", "model '%s': %.200s",
                       call->model, err->text);
    else if (status == 404 && call->model[0])
        nx_rest_refuse(call, status, type, "Model not found: %s", call->model);
    else
        nx_rest_refuse(call, status, type, "%s",
                       err->text[0] ? err->text : nx_status_text(err->status));
}

/* --- tokens --------------------------------------------------------------------------------------- */

/* Any of them will do; 0: none is needed. What is no endpoint is told to those whom we know. */
static unsigned scopes_of(const struct nx_endpoint *endpoint)
{
    const unsigned any = NX_MAY_INFER | NX_MAY_MANAGE | NX_MAY_OBSERVE;
    if (!endpoint || endpoint->flags & NX_ENDPOINT_TELLS)
        return any;
    if (endpoint->flags & NX_ENDPOINT_OPEN)
        return 0;
    if (endpoint->flags & NX_ENDPOINT_MANAGES)
        return NX_MAY_MANAGE;
    if (endpoint->flags & NX_ENDPOINT_LISTS)
        return NX_MAY_MANAGE | NX_MAY_OBSERVE;
    return endpoint->flags & NX_ENDPOINT_INFERS ? NX_MAY_INFER : NX_MAY_OBSERVE;
}

static void tell_when(struct nx_rest_call *call, nx_ns wait)
{
    char seconds[24];
    snprintf(seconds, sizeof seconds, "%lld", (long long)((wait + NX_SEC - 1) / NX_SEC));
    nx_http_header(call->x, "Retry-After", seconds);
    call->over_rate = true;
}

static void tell_refusal(struct nx_rest_call *call, enum nx_auth_verdict verdict,
                         const struct nx_auth_caller *caller)
{
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    const char *what = call->endpoint ? call->endpoint->path : "an unknown path";
    call->audited = verdict != NX_AUTH_LET_IN;
    if (nx_auth_is_told(verdict, scopes_of(call->endpoint)))
        nx_audit_refusal(ask->peer, caller->name, ask->id, what, caller->sentence);
}

/* True if the caller was refused. */
static bool refused_by_token(struct nx_rest_call *call, nx_ns now)
{
    struct nx_auth_caller caller;
    struct nx_http_span header = nx_http_head_field(nx_http_ask(call->x)->head, "authorization");
    enum nx_auth_verdict verdict = nx_auth_check(call->rest->config.auth, header.at, header.len,
                                                 scopes_of(call->endpoint), now, &caller);
    memcpy(call->token, caller.name, sizeof call->token);
    nx_http_name_caller(call->x, caller.name);
    tell_refusal(call, verdict, &caller);
    switch (verdict) {
    case NX_AUTH_LET_IN: return false;
    case NX_AUTH_UNKNOWN:
        nx_http_header(call->x, "WWW-Authenticate",
                       header.at ? "Bearer realm=\"nexus\", error=\"invalid_token\""
                                 : "Bearer realm=\"nexus\"");
        nx_rest_refuse(call, 401, NULL, "%s", caller.sentence);
        return true;
    case NX_AUTH_SCOPE:
        nx_http_header(call->x, "WWW-Authenticate",
                       "Bearer realm=\"nexus\", error=\"insufficient_scope\"");
        nx_rest_refuse(call, 403, NULL, "%s", caller.sentence);
        return true;
    case NX_AUTH_RATE:
        tell_when(call, caller.retry_after_ns);
        nx_rest_refuse(call, 429, NULL, "%s", caller.sentence);
        return true;
    }
    return true;
}

/* --- admission ------------------------------------------------------------------------------------ */

static uint64_t announced(const struct nx_http_ask *ask)
{
    return ask->head->has_length ? ask->head->content_length : 0;
}

/* Names each reason not to let a call in; true if it was told one. Before its body is taken. */
static bool refused_at_the_door(struct nx_rest_call *call)
{
    struct nx_rest *r = call->rest;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    unsigned flags = call->endpoint->flags;
    if ((flags & NX_ENDPOINT_MANAGES) && !r->config.manage_anywhere && !ask->peer_is_here)
        nx_rest_refuse(call, 403, NULL, "%s", nx_manage_refusal);
    else if ((flags & (NX_ENDPOINT_INFERS | NX_ENDPOINT_MANAGES)) && !r->takes)
        nx_rest_refuse(call, 503, NULL, "this node takes no requests now; try again");
    else
        return false;
    return true;
}

static void lose_place(struct nx_arrival *arrival, const struct nx_err *err)
{
    nx_rest_fail((struct nx_rest_call *)((char *)arrival - offsetof(struct nx_rest_call, arrival)),
                 err);
}

/* False: over the budget, and refused. */
static bool admit(struct nx_rest_call *call, nx_ns now)
{
    struct nx_rest *r = call->rest;
    struct nx_err err;
    const struct nx_http_ask *ask = nx_http_ask(call->x);
    struct nx_http_span level = nx_http_head_field(ask->head, "nexus-priority");
    uint64_t bytes = announced(ask);
    if (nx_priority_read(level.at, level.len, &call->priority, &err) != NX_OK) {
        nx_rest_fail(call, &err);
        return false;
    }
    if (!(call->endpoint->flags & NX_ENDPOINT_INFERS) || bytes > r->config.body_bytes_max)
        return true; /* the latter: the wire refuses it with 413 */
    call->arrival.lose = lose_place;
    if (nx_admission_expect(r->config.admission, &call->arrival, bytes, now, &err) != NX_OK) {
        nx_rest_fail(call, &err);
        return false;
    }
    call->admitted = true;
    return true;
}

/* --- upcalls of the wire -------------------------------------------------------------------------- */

static struct nx_rest_call *enter(struct nx_rest *r, struct nx_http_exchange *x, nx_ns now)
{
    struct nx_rest_call *call = nx_calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->rest = r;
    call->x = x;
    call->begun = now;
    call->next = r->calls;
    call->link = &r->calls;
    if (call->next)
        call->next->link = &call->next;
    r->calls = call;
    nx_http_set_user(x, call);
    return call;
}

static void on_head(void *ctx, struct nx_http_exchange *x, nx_ns now)
{
    static const char sorry[] = "no memory for a request\n";
    const struct nx_http_ask *ask = nx_http_ask(x);
    struct nx_rest_call *call = enter(ctx, x, now);
    unsigned methods;
    if (!call) {
        nx_http_reply(x, 503, "text/plain", sorry, sizeof sorry - 1);
        return;
    }
    call->endpoint = nx_rest_find(ask, call->words, &methods);
    if (call->endpoint)
        nx_http_set_route(x, call->endpoint->path);
    if (refused_by_token(call, now))
        return;
    if (!call->endpoint && methods) {
        nx_rest_allow(x, methods);
        nx_rest_refuse(call, 405, NULL,
                       "Requested method is not allowed, please refer to API document.");
    } else if (!call->endpoint && nx_rest_is_tritons_own(ask)) {
        nx_rest_refuse(call, 501, NULL, "this extension of the protocol is not implemented here");
    } else if (!call->endpoint) {
        nx_rest_refuse(call, 404, NULL, "%s", nx_rest_why_missing(ask));
    } else if (!refused_at_the_door(call) && admit(call, now)) {
        if (!(call->endpoint->flags & NX_ENDPOINT_INFERS))
            nx_http_set_body_max(x, SMALL_BODY_BYTES);
        else if (call->endpoint->handle == nx_rest_v2_infer &&
                 !nx_http_head_field(ask->head, "inference-header-content-length").at)
            nx_http_set_plain_max(x, PACKED_JSON_BYTES);
    }
}

static void on_request(void *ctx, struct nx_http_exchange *x, nx_ns now)
{
    struct nx_rest *r = ctx;
    struct nx_rest_call *call = nx_http_user(x);
    struct nx_err err;
    if (call->admitted && nx_admission_whole(r->config.admission, &call->arrival, &err) != NX_OK)
        nx_rest_fail(call, &err);
    else
        call->endpoint->handle(call, now);
}

static void on_body(void *ctx, struct nx_http_exchange *x, uint64_t bytes, nx_ns now)
{
    struct nx_rest *r = ctx;
    struct nx_rest_call *call = nx_http_user(x);
    struct nx_err err;
    if (call->admitted &&
        nx_admission_arrive(r->config.admission, &call->arrival, bytes, now, &err) != NX_OK)
        nx_rest_fail(call, &err);
}

static void on_cancel(void *ctx, struct nx_http_exchange *x)
{
    (void)ctx;
    struct nx_rest_call *call = nx_http_user(x);
    if (call->install)
        nx_audit(nx_http_ask(x)->peer, call->token, nx_http_ask(x)->id,
                 "registering %s was given up", call->model);
    stop_work(call);
    leave(call);
}

static const char *refusal(void *ctx, const char *path, int status, const char *text, char *body,
                           size_t cap)
{
    (void)ctx;
    struct nx_text t;
    nx_text_init(&t, cap - 1);
    write_error(&t, family_of(path), status, NULL, text);
    snprintf(body, cap, "%s", t.bad ? "{}\n" : t.at);
    nx_text_free(&t);
    return json_type;
}

static void on_reply(void *ctx, const struct nx_http_ask *ask, int status, uint64_t bytes,
                     nx_ns now)
{
    nx_observe_http(((struct nx_rest *)ctx)->config.observer, ask, status, bytes, now);
}

/* --- asking the shards ---------------------------------------------------------------------------- */

bool nx_rest_name_model(struct nx_rest_call *call, const char *name)
{
    if (!nx_model_name_ok(name)) {
        nx_rest_refuse(
            call, 404, "ModelNotFoundException",
            "Model not found: %.100s (a name has 1 to %d letters, digits, '.', '_', '-')", name,
            NX_MODEL_NAME_BYTES - 1);
        return false;
    }
    snprintf(call->model, sizeof call->model, "%s", name);
    nx_http_set_about(call->x, name);
    return true;
}

static void asked_done(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct nx_rest_call *call = user;
    call->asked = NULL;
    for (uint32_t i = 0; i < count; i++)
        if (answers[i].err.status != NX_OK) {
            nx_rest_fail(call, &answers[i].err);
            return;
        }
    call->told(call, answers, count);
}

void nx_rest_ask(struct nx_rest_call *call, enum nx_request op,
                 void (*told)(struct nx_rest_call *call, const struct nx_answer *answers,
                              uint32_t count))
{
    struct nx_err err;
    call->told = told;
    if (nx_model_ask(call->rest->route, op, call->model, nx_http_ask(call->x)->deadline, asked_done,
                     call, &call->asked, &err) != NX_OK)
        nx_rest_fail(call, &err);
}

void nx_rest_infer(struct nx_rest_call *call, struct nx_infer_ask *ask, nx_infer_done *done)
{
    struct nx_err err;
    ask->trace = &nx_http_ask(call->x)->trace;
    if (!ask->want.priority)
        ask->want.priority = call->priority;
    if (nx_infer_start(call->rest->route, ask, nx_http_ask(call->x)->deadline, done, call,
                       &call->infer, &err) != NX_OK)
        nx_rest_fail(call, &err);
}

bool nx_rest_inferred(struct nx_rest_call *call, const struct nx_infer_result *result)
{
    bool ok = result->err.status == NX_OK;
    call->infer = NULL;
    if (result->err.status != NX_NOT_FOUND) /* names that nobody has would fill the table */
        nx_metrics_inference(call->rest->metrics, call->model, ok, result->rows,
                             nx_clock_now() - call->begun);
    if (!ok)
        nx_rest_fail(call, &result->err);
    return ok;
}

/* --- the service ---------------------------------------------------------------------------------- */

enum nx_status nx_rest_open(const struct nx_rest_config *config, struct nx_route *route,
                            struct nx_metrics *metrics, struct nx_group_status *group_status,
                            struct nx_rest **rest, struct nx_err *err)
{
    struct nx_rest *r = nx_calloc(1, sizeof *r);
    if (!r)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the HTTP services");
    r->config = *config;
    r->route = route;
    r->metrics = metrics;
    r->status = group_status;
    snprintf(r->model_store, sizeof r->model_store, "%s", config->model_store);
    r->config.model_store = r->model_store;
    snprintf(r->only_model, sizeof r->only_model, "%s", config->only_model);
    if (r->config.body_bytes_max > config->admission->bytes_max)
        r->config.body_bytes_max = config->admission->bytes_max; /* more could never be let in */
    struct nx_http_limits limits = nx_http_limits_default();
    limits.connections_max = config->connections_max;
    limits.body_bytes_max = r->config.body_bytes_max;
    limits.handling_timeout_ns = config->response_timeout_ns;
    struct nx_http_service service = {r,       on_head,  on_request, on_cancel,
                                      refusal, on_reply, on_body,    config->observer->samples};
    enum nx_status status = nx_v2_reader_open(&r->reader, err);
    if (status == NX_OK)
        status = nx_v2_writer_open(nx_v2_reader_fd(r->reader), &r->writer, err);
    if (status == NX_OK)
        status = nx_http_open(&limits, &service, config->seed, &r->http, err);
    if (status != NX_OK) {
        if (r->writer)
            nx_v2_writer_close(r->writer);
        if (r->reader)
            nx_v2_reader_close(r->reader);
        free(r);
        return status;
    }
    *rest = r;
    return NX_OK;
}

void nx_rest_close(struct nx_rest *r)
{
    nx_v2_reader_stop(r->reader); /* what it holds draws on the server's budget */
    nx_v2_writer_stop(r->writer);
    nx_http_close(r->http);
    nx_assert(!r->calls); /* the server has cancelled them */
    nx_v2_writer_close(r->writer);
    nx_v2_reader_close(r->reader); /* last: its bell is the writer's, too */
    free(r);
}

struct nx_http *nx_rest_http(struct nx_rest *rest)
{
    return rest->http;
}

int nx_rest_fd(const struct nx_rest *rest)
{
    return nx_v2_reader_fd(rest->reader);
}

void nx_rest_set_ready(struct nx_rest *rest, bool ready)
{
    rest->ready = ready;
    rest->takes |= ready;
}

void nx_rest_set_grpc(struct nx_rest *rest, const struct nx_grpc *grpc)
{
    rest->grpc = grpc;
}

bool nx_rest_resume(struct nx_rest *r)
{
    bool any = nx_v2_reader_poll(r->reader), installs = r->installs;
    any |= nx_v2_writer_poll(r->writer); /* behind the reader: the bell is read */
    r->installs = false;
    for (struct nx_rest_call *call = installs ? r->calls : NULL, *next; call; call = next) {
        next = call->next; /* an install that fails ends its call */
        r->installs |= call->install != NULL;
        if (call->install)
            any |= !nx_install_pump(call->install);
    }
    return any;
}
