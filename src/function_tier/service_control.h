/* service_control.h — nexus.Control: what an operator asks.
 *
 *   ListModels  every live replica of every shard is asked at once; one that does not answer is listed with the
 *               reason in place of its models
 *   Status      group_status.h's facts; answered also while the group forms
 *
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_SERVICE_CONTROL_H
#define NX_FUNCTION_TIER_SERVICE_CONTROL_H

#include "function_tier/group_status.h"
#include "function_tier/grpc/grpc_server.h"

enum { NX_SERVICE_CONTROL_METHODS = 2 };

struct nx_control {
    struct nx_route *route;
    struct nx_group_status *status;
};

/* `control` outlives the server. */
void nx_service_control_methods(struct nx_control *control,
                                struct nx_grpc_method rows[NX_SERVICE_CONTROL_METHODS]);

#endif
