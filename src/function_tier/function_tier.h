/* function_tier.h — a node of the function tier: takes clients' requests by gRPC and HTTP, on one port, and routes them to
 * the shards.
 *
 * Thread  the loop thread, which owns the group; no other is started.
 * Idle    nothing runs; wait on nx_function_tier_fd and on the timer. */
#ifndef NX_FUNCTION_TIER_H
#define NX_FUNCTION_TIER_H

#include "function_tier/grpc/grpc_server.h"
#include "function_tier/rest.h"
#include "function_tier/tls/tls.h"
#include "group/group.h"
#include "telemetry/spans.h"

/* An upload that sends nothing for so long is given up: it holds room that others wait for. */
#define NX_UPLOAD_STALL_NS (15 * NX_SEC)

struct nx_function_tier;

struct nx_function_tier_config {
    uint32_t local_id;                                    /* this node's */
    uint32_t categorizer_subgroup;                        /* in the group's spec */
    const char *local_ip;                                 /* clients' address … */
    uint16_t client_port;                                 /* … and port: gRPC and HTTP/1.1 */
    struct nx_grpc_address listen_also[NX_GRPC_ALSO_MAX]; /* the same is served there */
    uint32_t listen_also_count;
    uint64_t seed;               /* of the replica choice */
    struct nx_tls_files tls;     /* paths; no certificate: plain */
    struct nx_spans *spans;      /* outlives the tier; NULL: none are exported */
    uint32_t spans_per_million;  /* of traces that begin here */
    bool log_requests;           /* a line for each, whatever the level */
    uint32_t connections_max;    /* of clients, both wires together */
    uint32_t requests_max;       /* inferences under way, by whichever API … */
    uint64_t requests_bytes_max; /* … and their bodies */
    const char *load_models;     /* as of nx_preload_open */
    const char *tokens;          /* path; "": everybody may do everything */
    struct nx_rest_config rest;
};

/* Listens at once; requests are answered "the group is still forming" until the first view. */
enum nx_status nx_function_tier_open(const struct nx_function_tier_config *config,
                                     struct nx_function_tier **tier, struct nx_err *err);

/* To be given to nx_group_open with nx_function_tier_ctx; then attach what it opened, before the first poll. */
const struct nx_group_upcalls *nx_function_tier_upcalls(void);
void *nx_function_tier_ctx(struct nx_function_tier *tier);
void nx_function_tier_attach(struct nx_function_tier *tier, struct nx_group *group);

/* The group is about to be closed, another may be attached: what is under way is answered "unavailable", and so is what
 * comes meanwhile. */
void nx_function_tier_detach(struct nx_function_tier *tier, const char *why);

int nx_function_tier_fd(const struct nx_function_tier *tier);
nx_ns nx_function_tier_next_timer(const struct nx_function_tier *tier);
/* To be called after every nx_group_poll, which may have made room in the windows. True if more is waiting. */
bool nx_function_tier_poll(struct nx_function_tier *tier, nx_ns now);

/* Reads the files that clients' connections depend on again. On failure all stays as it was. The
 * audit is told either way. */
void nx_function_tier_reload(struct nx_function_tier *tier);

/* The first step of a drain: probes are told that this node is not ready, and all who come are served as before, until those
 * who send them have noticed. */
void nx_function_tier_announce_drain(struct nx_function_tier *tier);
/* No new connections; what is under way is finished. Poll until drained. */
void nx_function_tier_drain(struct nx_function_tier *tier, nx_ns now);
bool nx_function_tier_drained(const struct nx_function_tier *tier);

/* Why this node cannot go on in its group; status NX_OK: it can. */
const struct nx_err *nx_function_tier_down(const struct nx_function_tier *tier);

/* before the group: it cancels its queries */
void nx_function_tier_close(struct nx_function_tier *tier);

#endif
