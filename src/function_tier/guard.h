/* guard.h — the door of gRPC: which scope each method takes, who may manage from where, and the refusal.
 *
 * A method that the table does not name takes manage: what was forgotten is shut, not open.
 *   no or unknown token   UNAUTHENTICATED
 *   without the scope     PERMISSION_DENIED
 *   too often             RESOURCE_EXHAUSTED, with the trailer grpc-retry-pushback-ms
 *   manages from elsewhere   PERMISSION_DENIED, unless manage_anywhere
 * Thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_GUARD_H
#define NX_FUNCTION_TIER_GUARD_H

#include "function_tier/auth.h"
#include "function_tier/grpc/grpc_server.h"

struct nx_guard {
    struct nx_auth *auth; /* NULL: no tokens */
    bool manage_anywhere;
    const char *local_ip; /* this node's: who comes from there is on this machine */
};

/* For nx_grpc_config; the guard outlives the server. */
struct nx_grpc_guard nx_guard_upcall(struct nx_guard *guard);

/* One more request within a call, as of now: a stream is no way around a rate, nor around a token that was revoked.
 * NX_OK, or what the request is answered. */
enum nx_status nx_guard_again(struct nx_auth *auth, struct nx_call *call, struct nx_err *err);

#endif
