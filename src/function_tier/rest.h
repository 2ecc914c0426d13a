/* rest.h — the HTTP/1.1 APIs of this node: operations, MXNet Model Server, Open Inference Protocol v2.
 *
 *   family of a path    errors look like
 *   /v2 …               {"error": "…"}
 *   all others          {"code": 404, "type": "ModelNotFoundException", "message": "…"}
 *
 * Every reply has x-request-id. Admission: over NX_ROUTE_QUERIES_MAX or the budget of admission.h a
 * request is refused at once with 429 and Retry-After; a shard that cannot serve is 503 and
 * Retry-After. Management is for loopback peers unless manage_anywhere. With tokens: 401, 403, and
 * 429 over a token's rate. Who changes models, or is not let, is logged with the request's id.
 * docs/operations.md lists the endpoints.
 * Owner, thread  the loop thread */
#ifndef NX_FUNCTION_TIER_REST_H
#define NX_FUNCTION_TIER_REST_H

#include "function_tier/admission.h"
#include "function_tier/auth.h"
#include "function_tier/group_status.h"
#include "function_tier/http/http_server.h"
#include "function_tier/metrics.h"
#include "function_tier/observe.h"
#include "function_tier/route.h"

struct nx_rest;

/* Shapes of the Model Server's replies: 0.4 nests predictions, 1.x does not; both: as the path's dialect. */
enum nx_compat { NX_COMPAT_BOTH, NX_COMPAT_0_4, NX_COMPAT_1_X };

struct nx_rest_config {
    const char *model_store; /* "": models cannot be registered by url */
    const char *only_model;  /* what /invocations means by default; "": nothing */
    bool manage_anywhere;
    enum nx_compat compat;
    struct nx_admission *admission; /* of all APIs; outlives the services */
    uint32_t connections_max;
    uint64_t body_bytes_max;
    nx_ns response_timeout_ns;    /* of the group: then 504 */
    uint64_t seed;                /* of request ids */
    struct nx_auth *auth;         /* outlives the services; NULL: everybody may */
    struct nx_observer *observer; /* outlives the services */
};

enum nx_status nx_rest_open(const struct nx_rest_config *config, struct nx_route *route,
                            struct nx_metrics *metrics, struct nx_group_status *group_status,
                            struct nx_rest **rest, struct nx_err *err);
void nx_rest_close(struct nx_rest *rest); /* before the route */

struct nx_http *nx_rest_http(struct nx_rest *rest);
/* beside the wire's: readable when nx_rest_resume has something to do */
int nx_rest_fd(const struct nx_rest *rest);
/* What probes are told. From the first time on that it is true, requests are taken until the close. */
void nx_rest_set_ready(struct nx_rest *rest, bool ready);
/* For /metrics, which tells of the gRPC server as well. */
void nx_rest_set_grpc(struct nx_rest *rest, const struct nx_grpc *grpc);
/* The group's windows may have room: installs go on. True if something moved. */
bool nx_rest_resume(struct nx_rest *rest);

#endif
