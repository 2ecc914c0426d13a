/* service_control.h — nexus.Control: what an operator asks.
 *
 *   ListModels  every live replica of every shard is asked at once; one that does not answer is listed with the
 *               reason in place of its models
 *
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_SERVICE_CONTROL_H
#define NX_FUNCTION_TIER_SERVICE_CONTROL_H

#include "function_tier/grpc/grpc_server.h"
#include "function_tier/route.h"

enum { NX_SERVICE_CONTROL_METHODS = 1 };

/* `route` outlives the server. */
void nx_service_control_methods(struct nx_route *route,
                                struct nx_grpc_method rows[NX_SERVICE_CONTROL_METHODS]);

#endif
