#include "function_tier/function_tier.h"

#include "common/arena.h"
#include "common/log.h"
#include "function_tier/audit.h"
#include "function_tier/grpc/grpc_server.h"
#include "function_tier/guard.h"
#include "function_tier/preload.h"
#include "function_tier/route.h"
#include "function_tier/service_control.h"
#include "function_tier/service_demo.h"
#include "function_tier/service_health.h"
#include "function_tier/service_reflection.h"
#include "function_tier/service_v2.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    V2_METHODS_AT = NX_SERVICE_DEMO_METHODS,
    HEALTH_METHODS_AT = V2_METHODS_AT + NX_SERVICE_V2_METHODS,
    CONTROL_METHODS_AT = HEALTH_METHODS_AT + NX_HEALTH_METHODS,
    REFLECTION_METHODS_AT = CONTROL_METHODS_AT + NX_SERVICE_CONTROL_METHODS,
    METHODS = REFLECTION_METHODS_AT + NX_SERVICE_REFLECTION_METHODS
};

static const char demo_service[] = "sospdemo.FunctionTierService";
static const char control_service[] = "nexus.Control";
static const char v2_service[] = "inference.GRPCInferenceService";

/* A photo of the size that is allowed, and what a message has around it. */
static const uint32_t MESSAGE_BYTES_MAX = NX_PHOTO_BYTES_MAX + (64 << 10);

struct nx_function_tier {
    struct nx_route *route;
    struct nx_service_demo *demo;
    struct nx_service_v2 *v2;
    struct nx_health health;
    struct nx_grpc_method methods[METHODS];
    struct nx_grpc *server;
    struct nx_tls *tls; /* NULL: the port is plain */
    struct nx_observer observer;
    struct nx_auth *auth; /* NULL: everybody may */
    struct nx_guard guard;
    struct nx_peers peers; /* who holds connections, on both wires */
    struct nx_admission admission;
    char local_ip[64];
    struct nx_metrics *metrics;
    struct nx_group_status *status;
    struct nx_control control;
    struct nx_rest *rest;
    struct nx_preload *preload;
    int epoll_fd; /* of the two wires' */
    bool serving, draining;
};

/* Ready: there is a view, and nobody has asked this node to stop. */
static void set_serving(struct nx_function_tier *t, bool serving)
{
    t->serving = serving;
    nx_health_set(&t->health, "", serving);
    nx_health_set(&t->health, demo_service, serving);
    nx_health_set(&t->health, control_service, serving);
    nx_health_set(&t->health, v2_service, serving);
    nx_service_v2_set_ready(t->v2, serving);
    nx_rest_set_ready(t->rest, serving);
    nx_group_status_set_ready(t->status, serving);
}

static void take_http(void *ctx, struct nx_stream stream, const char *peer, const void *first,
                      size_t len, nx_ns now)
{
    struct nx_function_tier *t = ctx;
    bool here = nx_peer_is_here(peer, t->guard.local_ip);
    nx_http_adopt(nx_rest_http(t->rest), stream, peer, here, first, len, now);
}

static bool make_room(void *ctx, const struct nx_peer *from, nx_ns begun_age, nx_ns now)
{
    struct nx_function_tier *t = ctx;
    return nx_http_evict(nx_rest_http(t->rest), from, begun_age, now);
}

static uint32_t count_http(void *ctx)
{
    struct nx_function_tier *t = ctx;
    return nx_http_stats(nx_rest_http(t->rest)).connections;
}

static enum nx_status watch(struct nx_function_tier *t, int fd, struct nx_err *err)
{
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return nx_err_set(err, NX_IO, "epoll: %s", strerror(errno));
    return NX_OK;
}

/* Before the gRPC server, which hands connections to it. */
static enum nx_status open_rest(struct nx_function_tier *t, uint32_t local_id,
                                const struct nx_rest_config *config, struct nx_err *err)
{
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (t->epoll_fd < 0)
        return nx_err_set(err, NX_IO, "epoll: %s", strerror(errno));
    t->metrics = nx_metrics_open();
    if (!t->metrics)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for metrics");
    NX_TRY(nx_group_status_open(local_id, t->route, t->metrics, &t->status, err));
    NX_TRY(nx_rest_open(config, t->route, t->metrics, t->status, &t->rest, err));
    NX_TRY(watch(t, nx_rest_fd(t->rest), err));
    return watch(t, nx_http_fd(nx_rest_http(t->rest)), err);
}

static enum nx_status open_auth(struct nx_function_tier *t,
                                const struct nx_function_tier_config *config, struct nx_err *err)
{
    NX_TRY(nx_auth_open(config->tokens, &t->auth, err));
    if (t->auth && !t->tls && !nx_peer_is_loopback(config->local_ip))
        nx_warn("tokens without tls_cert: whoever sees the network sees clients' tokens");
    return NX_OK;
}

static enum nx_status open_parts(struct nx_function_tier *t,
                                 const struct nx_function_tier_config *config, struct nx_err *err)
{
    struct nx_rest_config rest = config->rest;
    struct nx_grpc_config grpc = {.at = {config->local_ip, config->client_port},
                                  .also_count = config->listen_also_count,
                                  .limits = nx_grpc_limits_default(),
                                  .neighbour = {t, take_http, make_room, count_http}};
    memcpy(grpc.also, config->listen_also, sizeof grpc.also);
    NX_TRY(nx_tls_open(&config->tls, &t->tls, err));
    grpc.tls = t->tls;
    NX_TRY(open_auth(t, config, err));
    snprintf(t->local_ip, sizeof t->local_ip, "%s", config->local_ip);
    t->guard = (struct nx_guard){t->auth, rest.manage_anywhere, t->local_ip};
    grpc.guard = nx_guard_upcall(&t->guard);
    rest.auth = t->auth;
    nx_admission_init(&t->admission, config->requests_max, config->requests_bytes_max);
    rest.admission = &t->admission;
    t->observer = (struct nx_observer){.log_requests = config->log_requests,
                                       .spans = config->spans,
                                       .samples = config->spans ? config->spans_per_million : 0};
    rest.observer = &t->observer;
    grpc.witness = nx_observe_grpc(&t->observer);
    grpc.seed = ~config->seed; /* other ids than the other wire's */
    grpc.limits.connections_max = rest.connections_max = config->connections_max;
    grpc.limits.stall_timeout_ns = NX_UPLOAD_STALL_NS;
    grpc.limits.message_bytes_max = MESSAGE_BYTES_MAX;
    NX_TRY(nx_route_open(config->categorizer_subgroup, config->seed, &t->route, err));
    nx_route_set_spans(t->route, config->spans);
    NX_TRY(nx_preload_open(t->route, rest.model_store, config->load_models, &t->preload, err));
    rest.only_model = nx_preload_only(t->preload);
    NX_TRY(open_rest(t, config->local_id, &rest, err));
    nx_peers_init(&t->peers, (config->connections_max + 1) / 2, config->seed);
    nx_http_set_peers(nx_rest_http(t->rest), &t->peers);
    grpc.peers = &t->peers;
    NX_TRY(nx_service_demo_open(t->route, t->metrics, &t->admission, &t->demo, err));
    memcpy(t->methods, nx_service_demo_methods(t->demo),
           NX_SERVICE_DEMO_METHODS * sizeof t->methods[0]);
    NX_TRY(nx_service_v2_open(&rest, t->route, t->metrics, t->status, nx_rest_fd(t->rest), &t->v2,
                              err));
    memcpy(t->methods + V2_METHODS_AT, nx_service_v2_methods(t->v2),
           NX_SERVICE_V2_METHODS * sizeof t->methods[0]);
    nx_health_init(&t->health);
    nx_health_methods(&t->health, t->methods + HEALTH_METHODS_AT);
    t->control = (struct nx_control){t->route, t->status};
    nx_service_control_methods(&t->control, t->methods + CONTROL_METHODS_AT);
    nx_service_reflection_methods(t->methods + REFLECTION_METHODS_AT);
    set_serving(t, false);
    NX_TRY(nx_grpc_open(&grpc, t->methods, METHODS, &t->server, err));
    nx_rest_set_grpc(t->rest, t->server);
    return watch(t, nx_grpc_fd(t->server), err);
}

enum nx_status nx_function_tier_open(const struct nx_function_tier_config *config,
                                     struct nx_function_tier **tier, struct nx_err *err)
{
    struct nx_function_tier *t = nx_calloc(1, sizeof *t);
    if (!t)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a function tier");
    t->epoll_fd = -1;
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
    return tier->epoll_fd;
}

nx_ns nx_function_tier_next_timer(const struct nx_function_tier *tier)
{
    nx_ns grpc = nx_grpc_next_timer(tier->server);
    nx_ns http = nx_http_next_timer(nx_rest_http(tier->rest));
    nx_ns status = nx_group_status_next_timer(tier->status);
    nx_ns preload = nx_preload_next_timer(tier->preload);
    return nx_ns_least(nx_ns_least(grpc, http), nx_ns_least(status, preload));
}

bool nx_function_tier_poll(struct nx_function_tier *tier, nx_ns now)
{
    bool moved = nx_route_poll(tier->route);
    if (!tier->serving && !tier->draining && nx_route_ready(tier->route))
        set_serving(tier, true);
    nx_service_demo_resume(tier->demo);
    moved |= nx_rest_resume(tier->rest);
    moved |= nx_service_v2_resume(tier->v2);
    moved |= nx_preload_poll(tier->preload, now);
    nx_group_status_poll(tier->status, now);
    moved |= nx_grpc_poll(tier->server, now); /* first: it hands new connections to the other */
    return nx_http_poll(nx_rest_http(tier->rest), now) || moved;
}

static enum nx_status reload(struct nx_function_tier *tier, struct nx_err *err)
{
    if (tier->tls)
        NX_TRY(nx_tls_reload(tier->tls, err));
    return tier->auth ? nx_auth_reload(tier->auth, err) : NX_OK;
}

void nx_function_tier_reload(struct nx_function_tier *tier)
{
    struct nx_err err;
    if (reload(tier, &err) == NX_OK)
        nx_audit_node("SIGHUP: files for clients' connections read again");
    else
        nx_audit_node("SIGHUP: all stays as it was: %s", err.text);
}

void nx_function_tier_announce_drain(struct nx_function_tier *tier)
{
    if (!tier->draining)
        nx_audit_node("this node stops: it drains");
    tier->draining = true;
    set_serving(tier, false);
    nx_http_announce_drain(nx_rest_http(tier->rest));
}

void nx_function_tier_drain(struct nx_function_tier *tier, nx_ns now)
{
    nx_function_tier_announce_drain(tier);
    nx_health_end_watches(&tier->health);
    nx_grpc_drain(tier->server, now);
    nx_http_drain(nx_rest_http(tier->rest), now);
}

bool nx_function_tier_drained(const struct nx_function_tier *tier)
{
    return nx_grpc_drained(tier->server) && nx_http_drained(nx_rest_http(tier->rest));
}

const struct nx_err *nx_function_tier_down(const struct nx_function_tier *tier)
{
    return nx_route_down(tier->route);
}

void nx_function_tier_close(struct nx_function_tier *tier)
{
    if (tier->server)
        nx_grpc_close(tier->server);
    if (tier->v2)
        nx_service_v2_close(tier->v2); /* its workers ring the other's bell */
    if (tier->rest)
        nx_rest_close(tier->rest);
    if (tier->preload)
        nx_preload_close(tier->preload);
    if (tier->status)
        nx_group_status_close(tier->status);
    if (tier->metrics)
        nx_metrics_close(tier->metrics);
    if (tier->epoll_fd >= 0)
        close(tier->epoll_fd);
    if (tier->demo)
        nx_service_demo_close(tier->demo);
    if (tier->auth)
        nx_auth_close(tier->auth);
    if (tier->tls)
        nx_tls_close(tier->tls);
    if (tier->route)
        nx_route_close(tier->route);
    free(tier);
}
