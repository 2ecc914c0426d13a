#include "function_tier/rest_state.h"

#include <string.h>

enum { METRICS_TEXT_MAX = 16 << 20 };

/* Both dialects' keys in one object, unless one of them was chosen. Always 200, as theirs: whether traffic should come is
 * /v2/health/ready's to say. */
void nx_rest_ping(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    struct nx_text t;
    bool ok = call->rest->ready;
    enum nx_compat compat = call->rest->config.compat;
    nx_text_init(&t, 1024);
    nx_text_add(&t, "{");
    if (compat != NX_COMPAT_1_X)
        nx_text_printf(&t, "\n  \"health\": \"%s\"", ok ? "healthy!" : "unhealthy!");
    if (compat != NX_COMPAT_0_4)
        nx_text_printf(&t, "%s\n  \"status\": \"%s\"", compat == NX_COMPAT_BOTH ? "," : "",
                       ok ? "Healthy" : "Unhealthy");
    nx_text_add(&t, "\n}\n");
    nx_rest_reply_text(call, 200, &t);
}

static void reply_metrics(struct nx_rest_call *call, struct nx_text *t)
{
    if (t->bad)
        nx_rest_refuse(call, 500, NULL, "the metrics could not be written: no memory");
    else
        nx_rest_reply(call, 200, "text/plain; version=0.0.4; charset=utf-8", t->len ? t->at : "",
                      t->len);
    nx_text_free(t);
}

static void metrics_told(void *user, const struct nx_pb_status *status)
{
    struct nx_rest_call *call = user;
    struct nx_rest *r = call->rest;
    struct nx_metrics_sources from = {r->route, r->http, r->grpc, r->config.observer->spans,
                                      status};
    struct nx_text t;
    call->status = NULL;
    nx_text_init(&t, METRICS_TEXT_MAX);
    nx_metrics_write(r->metrics, &from, &t);
    reply_metrics(call, &t);
}

static void status_told(void *user, const struct nx_pb_status *status)
{
    struct nx_rest_call *call = user;
    struct nx_text t;
    call->status = NULL;
    nx_text_init(&t, METRICS_TEXT_MAX);
    nx_pb_status_json(status, &t);
    nx_rest_reply_text(call, 200, &t);
}

void nx_rest_ask_status(struct nx_rest_call *call, nx_status_done *done)
{
    struct nx_err err;
    struct nx_status_ask *under_way;
    if (nx_status_ask(call->rest->status, nx_http_ask(call->x)->deadline, done, call, &under_way,
                      &err) != NX_OK)
        nx_rest_fail(call, &err);
    else if (under_way)
        call->status = under_way;
}

void nx_rest_metrics(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    nx_rest_ask_status(call, metrics_told);
}

void nx_rest_status(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    nx_rest_ask_status(call, status_told);
}

static void triton_told(void *user, const struct nx_pb_status *status)
{
    struct nx_rest_call *call = user;
    struct nx_text t;
    call->status = NULL;
    nx_text_init(&t, METRICS_TEXT_MAX);
    nx_metrics_write_triton(call->rest->metrics, call->rest->route, status, &t);
    reply_metrics(call, &t);
}

void nx_rest_metrics_triton(struct nx_rest_call *call, nx_ns now)
{
    (void)now;
    nx_rest_ask_status(call, triton_told);
}
