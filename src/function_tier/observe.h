/* observe.h — what is told of each request once it is answered, refused or given up, by whichever API.
 *
 * A log line, "request answered", with the request's id, its trace, what was asked, by whom, and
 * how it ended: at level debug, or at every level if `log_requests`.
 * A span, kind SERVER, if the request's trace is sampled and spans are exported.
 * Thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_OBSERVE_H
#define NX_FUNCTION_TIER_OBSERVE_H

#include "function_tier/grpc/grpc_server.h"
#include "function_tier/http/http_server.h"
#include "telemetry/spans.h"

struct nx_observer {
    bool log_requests;
    struct nx_spans *spans; /* NULL: none are exported */
    uint32_t samples; /* of a million traces that begin here, so many are told; 0 without spans */
};

/* As nx_http_service's on_reply. */
void nx_observe_http(struct nx_observer *observer, const struct nx_http_ask *ask, int status,
                     uint64_t bytes, nx_ns now);
/* For nx_grpc_config; the observer outlives the server. */
struct nx_grpc_witness nx_observe_grpc(struct nx_observer *observer);

#endif
