/* guard.h — tokens at the door of gRPC: which scope each method takes, and the refusal.
 *
 * A method that the table does not name takes manage: what was forgotten is shut, not open.
 *   no or unknown token   UNAUTHENTICATED
 *   without the scope     PERMISSION_DENIED
 *   too often             RESOURCE_EXHAUSTED, with the trailer grpc-retry-pushback-ms
 * Thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_GUARD_H
#define NX_FUNCTION_TIER_GUARD_H

#include "function_tier/auth.h"
#include "function_tier/grpc/grpc_server.h"

/* For nx_grpc_config; auth may be NULL. */
struct nx_grpc_guard nx_guard(struct nx_auth *auth);

/* The scopes that a path takes, any of them; 0: none. */
unsigned nx_guard_scopes(const char *path);

/* One more request within a call, as of now: a stream is no way around a rate, nor around a token that was revoked.
 * NX_OK, or what the request is answered. */
enum nx_status nx_guard_again(struct nx_auth *auth, struct nx_call *call, struct nx_err *err);

#endif
