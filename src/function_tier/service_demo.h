/* service_demo.h — sospdemo.FunctionTierService: the calls of the SOSP'19 demo's clients.
 *
 *   Whatsthis     metadata, then the photo in chunks → "rose or beagle", in the order of the tags
 *   InstallModel  metadata, then synset, symbol, params in chunks of any size → code and description
 *   RemoveModel   tag → code and description
 *
 * What the service refuses about a model comes as a code other than 0 with a description. A stream that breaks the
 * protocol (no metadata first, more or fewer bytes than announced) ends with gRPC's INVALID_ARGUMENT, a shard
 * that cannot be reached with UNAVAILABLE, a photo's failure with its own status.
 * The files of an install are not stored here: what the group's window does not take is held back at the client.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_SERVICE_DEMO_H
#define NX_FUNCTION_TIER_SERVICE_DEMO_H

#include "function_tier/admission.h"
#include "function_tier/grpc/grpc_server.h"
#include "function_tier/metrics.h"

struct nx_service_demo;

enum { NX_SERVICE_DEMO_METHODS = 3 };

enum nx_status nx_service_demo_open(struct nx_route *route, struct nx_metrics *metrics,
                                    struct nx_admission *admission,
                                    struct nx_service_demo **service, struct nx_err *err);
/* NX_SERVICE_DEMO_METHODS of them; they live as long as the service. */
const struct nx_grpc_method *nx_service_demo_methods(const struct nx_service_demo *service);
/* The group's windows may have room again: held uploads go on with the next poll of the server. */
void nx_service_demo_resume(struct nx_service_demo *service);
void nx_service_demo_close(struct nx_service_demo *service); /* after the server */

#endif
