/* service_health.h — the standard health service, grpc.health.v1.Health: Check and Watch.
 *
 *     nx_health_init ─► nx_health_methods into the server's table ─► nx_health_set, at any time
 *
 * Check answers the state last set, NOT_FOUND for a name never set. Watch sends the state now and
 * after every change; an unknown name is told as SERVICE_UNKNOWN and may become known. A client that watches gives its
 * connection when room is needed, and over NX_HEALTH_WATCHES_MAX the oldest Watch ends: UNAVAILABLE, come again.
 * Owner   the caller; outlives the server. Thread  the server's. */
#ifndef NX_FUNCTION_TIER_SERVICE_HEALTH_H
#define NX_FUNCTION_TIER_SERVICE_HEALTH_H

#include "function_tier/grpc/grpc_server.h"

#include <sys/queue.h>

enum { NX_HEALTH_SERVICES_MAX = 8, NX_HEALTH_NAME_BYTES = 64, NX_HEALTH_METHODS = 2 };
enum { NX_HEALTH_WATCHES_MAX = 1024 };

struct nx_health_watch;

struct nx_health {
    struct {
        char name[NX_HEALTH_NAME_BYTES];
        bool serving;
    } services[NX_HEALTH_SERVICES_MAX];
    unsigned count;
    bool ended; /* no more watches */
    uint32_t watches_count;
    TAILQ_HEAD(, nx_health_watch) watches; /* the oldest first */
};

void nx_health_init(struct nx_health *health);

/* The rows for Check and Watch. */
void nx_health_methods(struct nx_health *health, struct nx_grpc_method rows[NX_HEALTH_METHODS]);

/* "" is the server as a whole. NX_TOO_LARGE: one name too many, or too long. */
enum nx_status nx_health_set(struct nx_health *health, const char *service, bool serving);

/* Ends every Watch with UNAVAILABLE, those to come as well: a drain would otherwise wait for them. */
void nx_health_end_watches(struct nx_health *health);

#endif
