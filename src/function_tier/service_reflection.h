/* service_reflection.h — server reflection, v1 and v1alpha: grpcurl and its like ask it what can be called here.
 *
 * Thread  the loop thread. Nothing is kept between requests. */
#ifndef NX_FUNCTION_TIER_SERVICE_REFLECTION_H
#define NX_FUNCTION_TIER_SERVICE_REFLECTION_H

#include "function_tier/grpc/grpc_server.h"

enum { NX_SERVICE_REFLECTION_METHODS = 2 };

void nx_service_reflection_methods(struct nx_grpc_method rows[NX_SERVICE_REFLECTION_METHODS]);

#endif
