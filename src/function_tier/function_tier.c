#include "function_tier/function_tier.h"

#include "common/arena.h"
#include "function_tier/grpc/grpc_server.h"
#include "function_tier/route.h"
#include "function_tier/service_demo.h"
#include "function_tier/service_health.h"

#include <stdlib.h>
#include <string.h>

enum { METHODS = NX_SERVICE_DEMO_METHODS + NX_HEALTH_METHODS };

static const char demo_service[] = "sospdemo.FunctionTierService";

struct nx_function_tier {
    struct nx_route *route;
    struct nx_service_demo *demo;
    struct nx_health health;
    struct nx_grpc_method methods[METHODS];
    struct nx_grpc *server;
    bool serving, draining;
};

/* Ready: there is a view, and nobody has asked this node to stop. */
static void set_serving(struct nx_function_tier *t, bool serving)
{
    t->serving = serving;
    nx_health_set(&t->health, "", serving);
    nx_health_set(&t->health, demo_service, serving);
}

static enum nx_status open_parts(struct nx_function_tier *t,
                                 const struct nx_function_tier_config *config, struct nx_err *err)
{
    struct nx_grpc_config grpc = {.address = config->local_ip,
                                  .port = config->client_port,
                                  .limits = nx_grpc_limits_default()};
    grpc.limits.stall_timeout_ns = NX_UPLOAD_STALL_NS;
    NX_TRY(nx_route_open(config->categorizer_subgroup, config->seed, &t->route, err));
    NX_TRY(nx_service_demo_open(t->route, &t->demo, err));
    memcpy(t->methods, nx_service_demo_methods(t->demo),
           NX_SERVICE_DEMO_METHODS * sizeof t->methods[0]);
    nx_health_init(&t->health);
    nx_health_methods(&t->health, t->methods + NX_SERVICE_DEMO_METHODS);
    set_serving(t, false);
    return nx_grpc_open(&grpc, t->methods, METHODS, &t->server, err);
}

enum nx_status nx_function_tier_open(const struct nx_function_tier_config *config,
                                     struct nx_function_tier **tier, struct nx_err *err)
{
    struct nx_function_tier *t = nx_calloc(1, sizeof *t);
    if (!t)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a function tier");
    enum nx_status status = open_parts(t, config, err);
    if (status != NX_OK) {
        nx_function_tier_close(t);
        return status;
    }
    *tier = t;
    return NX_OK;
}

const struct nx_group_upcalls *nx_function_tier_upcalls(void)
{
    return nx_route_upcalls();
}

void *nx_function_tier_ctx(struct nx_function_tier *tier)
{
    return tier->route;
}

void nx_function_tier_attach(struct nx_function_tier *tier, struct nx_group *group)
{
    nx_route_attach(tier->route, group);
}

void nx_function_tier_detach(struct nx_function_tier *tier, const char *why)
{
    struct nx_err err = {0};
    nx_err_set(&err, NX_UNAVAILABLE, "%s", why);
    set_serving(tier, false);
    nx_route_detach(tier->route, &err);
}

int nx_function_tier_fd(const struct nx_function_tier *tier)
{
    return nx_grpc_fd(tier->server);
}

nx_ns nx_function_tier_next_timer(const struct nx_function_tier *tier)
{
    return nx_grpc_next_timer(tier->server);
}

bool nx_function_tier_poll(struct nx_function_tier *tier, nx_ns now)
{
    bool moved = nx_route_poll(tier->route);
    if (!tier->serving && !tier->draining && nx_route_ready(tier->route))
        set_serving(tier, true);
    nx_service_demo_resume(tier->demo);
    return nx_grpc_poll(tier->server, now) || moved;
}

void nx_function_tier_drain(struct nx_function_tier *tier, nx_ns now)
{
    tier->draining = true;
    set_serving(tier, false);
    nx_health_end_watches(&tier->health);
    nx_grpc_drain(tier->server, now);
}

bool nx_function_tier_drained(const struct nx_function_tier *tier)
{
    return nx_grpc_drained(tier->server);
}

const struct nx_err *nx_function_tier_down(const struct nx_function_tier *tier)
{
    return nx_route_down(tier->route);
}

void nx_function_tier_close(struct nx_function_tier *tier)
{
    if (tier->server)
        nx_grpc_close(tier->server);
    if (tier->demo)
        nx_service_demo_close(tier->demo);
    if (tier->route)
        nx_route_close(tier->route);
    free(tier);
}
