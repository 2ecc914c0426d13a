/* service_v2.h — inference.GRPCInferenceService: the Open Inference Protocol v2 by gRPC.
 *
 * ModelInfer is the same request as the REST one (v2_request.h). A stream's requests are answered
 * one after the other, in their order; a request that fails is an error_message in the stream,
 * which goes on.
 * Load and unload change models: for loopback peers unless manage_anywhere; each is logged.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_SERVICE_V2_H
#define NX_FUNCTION_TIER_SERVICE_V2_H

#include "function_tier/grpc/grpc_server.h"
#include "function_tier/metrics.h"
#include "function_tier/rest.h"
#include "function_tier/route.h"

struct nx_service_v2;

enum { NX_SERVICE_V2_METHODS = 12 };

/* config.model_store lives as long as the service, and so does `bell`, which is rung when resume has something to do. */
enum nx_status nx_service_v2_open(const struct nx_rest_config *config, struct nx_route *route,
                                  struct nx_metrics *metrics, struct nx_group_status *group_status,
                                  int bell, struct nx_service_v2 **service, struct nx_err *err);
const struct nx_grpc_method *nx_service_v2_methods(const struct nx_service_v2 *service);
void nx_service_v2_set_ready(struct nx_service_v2 *service, bool ready);
bool nx_service_v2_resume(struct nx_service_v2 *service); /* as nx_rest_resume */
void nx_service_v2_close(struct nx_service_v2 *service);  /* after the server */

#endif
