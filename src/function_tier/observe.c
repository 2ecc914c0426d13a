#include "function_tier/observe.h"

#include "common/log.h"

#include <stdio.h>

enum { PATH_BYTES = 512, TRACE_TEXT_BYTES = 2 * NX_TRACE_ID_BYTES + 1 };

/* Of either wire. */
struct request {
    const char *id, *method, *path, *about, *caller, *peer;
    const char *status_name; /* "status", "grpc_status" */
    int status;
    const struct nx_trace_ids *trace;
    nx_ns took;
    uint64_t bytes_in, bytes_out;
};

static void tell(const struct nx_observer *o, const struct request *r)
{
    char path[PATH_BYTES], trace[TRACE_TEXT_BYTES];
    if (!o->log_requests && !nx_log_enabled(NX_LOG_DEBUG))
        return;
    snprintf(path, sizeof path, "%s", r->path);
    nx_hex(r->trace->trace_id, NX_TRACE_ID_BYTES, trace);
    const struct nx_log_field fields[] = {
        {"kind", "request", 0},
        {"request", r->id, 0},
        {"trace_id", trace, 0},
        {"method", r->method, 0},
        {"path", path, 0},
        {"model", r->about, 0},
        {r->status_name, NULL, r->status},
        {"duration_us", NULL, r->took / NX_US},
        {"bytes_in", NULL, (int64_t)r->bytes_in},
        {"bytes_out", NULL, (int64_t)r->bytes_out},
        {"client", r->peer, 0},
        {"token", r->caller, 0},
    };
    nx_log_facts(o->log_requests ? NX_LOG_INFO : NX_LOG_DEBUG, "request answered", fields,
                 sizeof fields / sizeof *fields);
}

/* Only what is this node's fault fails a server's span. */
static void finish_span(const struct nx_observer *o, struct nx_span *span, const struct request *r,
                        bool failed)
{
    char status[32];
    span->ended = nx_clock_wall();
    span->begun = span->ended - r->took;
    nx_span_text(span, "client.address", r->peer);
    nx_span_text(span, "nexus.request_id", r->id);
    nx_span_text(span, "nexus.model", r->about);
    if (failed) {
        snprintf(status, sizeof status, "%s %d", r->status_name, r->status);
        nx_span_fail(span, status);
    }
    nx_spans_put(o->spans, span);
}

static void trace_http(const struct nx_observer *o, const struct nx_http_ask *ask,
                       const struct request *r)
{
    char name[NX_SPAN_NAME_BYTES];
    if (ask->route)
        snprintf(name, sizeof name, "%s /%s", r->method, ask->route);
    else
        snprintf(name, sizeof name, "%s", r->method);
    struct nx_span *span = nx_spans_take(o->spans, r->trace, NX_SPAN_SERVER, name);
    if (!span)
        return;
    nx_span_text(span, "http.request.method", r->method);
    nx_span_text(span, "url.path", r->path);
    nx_span_number(span, "http.response.status_code", r->status);
    finish_span(o, span, r, r->status >= 500);
}

static bool is_our_fault(enum nx_grpc_code code)
{
    return code == NX_GRPC_UNKNOWN || code == NX_GRPC_DEADLINE_EXCEEDED ||
           code == NX_GRPC_UNIMPLEMENTED || code == NX_GRPC_INTERNAL ||
           code == NX_GRPC_UNAVAILABLE || code == NX_GRPC_DATA_LOSS;
}

static void trace_grpc(const struct nx_observer *o, const struct request *r, bool known)
{
    const char *name = known ? r->path + 1 : "unknown"; /* without the slash */
    struct nx_span *span = nx_spans_take(o->spans, r->trace, NX_SPAN_SERVER, name);
    if (!span)
        return;
    nx_span_text(span, "rpc.system", "grpc");
    nx_span_text(span, "rpc.method", r->path);
    nx_span_number(span, "rpc.grpc.status_code", r->status);
    finish_span(o, span, r, is_our_fault((enum nx_grpc_code)r->status));
}

void nx_observe_http(struct nx_observer *o, const struct nx_http_ask *ask, int status,
                     uint64_t bytes, nx_ns now)
{
    const struct request r = {.id = ask->id,
                              .method = nx_http_method_name(ask->head->method),
                              .path = ask->path,
                              .about = ask->about,
                              .caller = ask->caller,
                              .peer = ask->peer,
                              .status_name = "status",
                              .status = status,
                              .trace = &ask->trace,
                              .took = now - ask->begun,
                              .bytes_in = ask->body_bytes,
                              .bytes_out = bytes};
    tell(o, &r);
    trace_http(o, ask, &r);
}

static void call_ended(void *ctx, const struct nx_call *call, enum nx_grpc_code code, nx_ns now)
{
    struct nx_call_figures figures = nx_call_figures(call);
    const struct request r = {.id = nx_call_request_id(call),
                              .method = "gRPC",
                              .path = nx_call_path(call),
                              .about = nx_call_about(call),
                              .caller = nx_call_caller(call),
                              .peer = nx_call_peer(call),
                              .status_name = "grpc_status",
                              .status = (int)code,
                              .trace = nx_call_trace(call),
                              .took = now - figures.begun,
                              .bytes_in = figures.bytes_in,
                              .bytes_out = figures.bytes_out};
    tell(ctx, &r);
    trace_grpc(ctx, &r, nx_call_is_known(call));
}

struct nx_grpc_witness nx_observe_grpc(struct nx_observer *observer)
{
    return (struct nx_grpc_witness){
        .ctx = observer, .ended = call_ended, .samples = observer->samples};
}
