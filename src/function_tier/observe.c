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
}

struct nx_grpc_witness nx_observe_grpc(struct nx_observer *observer)
{
    return (struct nx_grpc_witness){.ctx = observer, .ended = call_ended};
}
