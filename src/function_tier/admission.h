/* admission.h — how much a node takes on at once: one budget for inferences by every API.
 *
 *     requests <= requests_max  and  bytes of their bodies <= bytes_max
 *
 * Over it a request is refused at once, not queued, and told when to come again: by HTTP 429 and Retry-After, by gRPC
 * RESOURCE_EXHAUSTED and the trailer grpc-retry-pushback-ms. A body counts as long as its sender says it is.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_ADMISSION_H
#define NX_FUNCTION_TIER_ADMISSION_H

#include "function_tier/grpc/grpc_server.h"

struct nx_admission {
    uint32_t requests_max, requests;
    uint64_t bytes_max, bytes;
};

/* NX_AGAIN: over the budget. What was taken is given back once. */
enum nx_status nx_admission_take(struct nx_admission *admission, uint64_t bytes,
                                 struct nx_err *err);
void nx_admission_give(struct nx_admission *admission, uint64_t bytes);

/* The header nexus-priority: "1" first … "9" last, "0" and none the middle. `text` may be NULL. */
enum nx_status nx_priority_read(const char *text, size_t len, uint32_t *priority,
                                struct nx_err *err);

/* Ends an inference by gRPC: NX_AGAIN is RESOURCE_EXHAUSTED, and that and UNAVAILABLE say when to come again. */
void nx_call_refuse(struct nx_call *call, const struct nx_err *err);

#endif
