/* metrics.h — what this node counts, and its text for Prometheus.
 *
 * Counters only grow; latencies are histograms with fixed bounds, so that nodes can be summed. A model gets counters of its
 * own while there is room for NX_METRICS_MODELS; those after it are counted together as "other".
 * Format  Prometheus' text exposition format 0.0.4, clean under `promtool check metrics`.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_METRICS_H
#define NX_FUNCTION_TIER_METRICS_H

#include "common/clock.h"
#include "common/text.h"
#include "function_tier/grpc/grpc_server.h"
#include "function_tier/http/http_server.h"
#include "function_tier/pb/pb_status.h"
#include "function_tier/route.h"
#include "telemetry/spans.h"

enum { NX_METRICS_MODELS = 128 };

/* X(constant, label) */
#define NX_METRICS_API_LIST(X)   \
    X(NX_API_MMS, "mms")         \
    X(NX_API_V2_REST, "v2_rest") \
    X(NX_API_V2_GRPC, "v2_grpc") \
    X(NX_API_OPERATIONS, "operations")

enum nx_api {
#define NX_METRICS_API_ENUM(api, label) api,
    NX_METRICS_API_LIST(NX_METRICS_API_ENUM)
#undef NX_METRICS_API_ENUM
        NX_API_COUNT
};

struct nx_metrics;

struct nx_metrics *nx_metrics_open(void); /* NULL: no memory */
void nx_metrics_close(struct nx_metrics *metrics);

/* One request was answered, with an HTTP status or its like. */
void nx_metrics_request(struct nx_metrics *metrics, enum nx_api api, int status, nx_ns took);
/* One inference was answered: `rows` photos or rows. */
void nx_metrics_inference(struct nx_metrics *metrics, const char *model, bool ok, uint32_t rows,
                          nx_ns took);

struct nx_model_counts {
    uint64_t success, failure, rows;
    uint64_t success_ns, failure_ns; /* sums */
    int64_t last_ms;                 /* when the last one was answered, since 1970; 0: none */
};
/* Of a model that was asked since the start; zeros for others. */
struct nx_model_counts nx_metrics_model(const struct nx_metrics *metrics, const char *model);

/* All inferences since the start. */
void nx_metrics_traffic(const struct nx_metrics *metrics, struct nx_pb_traffic *traffic);

/* What the text tells beside the counters. */
struct nx_metrics_sources {
    const struct nx_route *route;
    const struct nx_http *http;
    const struct nx_grpc *grpc;
    const struct nx_spans *spans;      /* NULL: none are exported */
    const struct nx_pb_status *status; /* the group, and what its replicas hold */
};

void nx_metrics_write(const struct nx_metrics *metrics, const struct nx_metrics_sources *from,
                      struct nx_text *text);
/* Triton's names for the same: nv_inference_*. Its units are not Prometheus' (promtool says so),
 * hence apart. Requests are this node's; executions and queues those of all replicas, the same
 * at each node. */
void nx_metrics_write_triton(const struct nx_metrics *metrics, const struct nx_route *route,
                             const struct nx_pb_status *status, struct nx_text *text);

#endif
