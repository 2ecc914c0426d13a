#include "function_tier/service_health.h"

#include "common/arena.h"
#include "function_tier/pb/pb_health.h"

#include <stdlib.h>
#include <string.h>

struct nx_health_watch {
    struct nx_call *call;
    struct nx_health *health;
    char service[NX_PB_SERVICE_NAME_BYTES];
    bool asked;              /* the request has come */
    enum nx_pb_serving told; /* what the client heard last */
    TAILQ_ENTRY(nx_health_watch) in_all;
};

void nx_health_init(struct nx_health *health)
{
    *health = (struct nx_health){0};
    TAILQ_INIT(&health->watches);
}

static const char going_away[] = "the server is going away";

static enum nx_pb_serving state_of(const struct nx_health *health, const char *service)
{
    for (unsigned i = 0; i < health->count; i++)
        if (strcmp(health->services[i].name, service) == 0)
            return health->services[i].serving ? NX_PB_SERVING : NX_PB_NOT_SERVING;
    return NX_PB_SERVICE_UNKNOWN;
}

static enum nx_status tell(struct nx_call *call, enum nx_pb_serving serving)
{
    uint8_t reply[NX_PB_HEALTH_REPLY_BYTES];
    size_t len = nx_pb_health_encode(serving, reply);
    return nx_call_reply(call, reply, len);
}

static enum nx_call_take check(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    struct nx_err err = {0};
    char service[NX_PB_SERVICE_NAME_BYTES];
    enum nx_status status = nx_pb_health_decode(bytes, len, service, &err);
    enum nx_pb_serving serving = NX_PB_SERVING_UNKNOWN;
    if (status == NX_OK) {
        serving = state_of(nx_call_ctx(call), service);
        if (serving == NX_PB_SERVICE_UNKNOWN)
            status = nx_err_set(&err, NX_NOT_FOUND, "unknown service %s", service);
    }
    if (status == NX_OK && (status = tell(call, serving)) != NX_OK)
        nx_err_set(&err, status, "no room for the reply");
    if (status == NX_OK)
        nx_call_finish(call, NX_GRPC_OK, NULL);
    else
        nx_call_fail(call, &err);
    return NX_CALL_TAKEN;
}

static void forget_watch(struct nx_health_watch *watch)
{
    TAILQ_REMOVE(&watch->health->watches, watch, in_all);
    watch->health->watches_count--;
    free(watch);
}

/* A client that does not read gets the latest state once it does, not every one in between. */
static void tell_watch(struct nx_health_watch *watch)
{
    enum nx_pb_serving serving = state_of(watch->health, watch->service);
    if (!watch->asked || serving == watch->told)
        return;
    enum nx_status status = tell(watch->call, serving);
    if (status == NX_OK)
        watch->told = serving;
    if (status == NX_OK || status == NX_AGAIN)
        return;
    struct nx_call *call = watch->call;
    forget_watch(watch);
    nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "no room for the reply");
}

static void end_watch(struct nx_health_watch *watch, const char *why)
{
    struct nx_call *call = watch->call;
    forget_watch(watch);
    nx_call_finish(call, NX_GRPC_UNAVAILABLE, why);
}

/* Nobody needs a token to watch: the oldest makes room, and may come again. */
static void watch_start(struct nx_call *call, nx_ns now)
{
    (void)now;
    struct nx_health *health = nx_call_ctx(call);
    if (health->ended) {
        nx_call_finish(call, NX_GRPC_UNAVAILABLE, going_away);
        return;
    }
    if (health->watches_count == NX_HEALTH_WATCHES_MAX)
        end_watch(TAILQ_FIRST(&health->watches),
                  "too many clients watch, and this is the oldest; try again");
    struct nx_health_watch *watch = nx_calloc(1, sizeof *watch);
    if (!watch) {
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    watch->call = call;
    watch->health = health;
    nx_call_only_waits(call);
    nx_call_set_user(call, watch);
    TAILQ_INSERT_TAIL(&health->watches, watch, in_all);
    health->watches_count++;
}

static enum nx_call_take watch_asked(struct nx_call *call, const uint8_t *bytes, size_t len,
                                     nx_ns now)
{
    (void)now;
    struct nx_health_watch *watch = nx_call_user(call);
    struct nx_err err = {0};
    if (nx_pb_health_decode(bytes, len, watch->service, &err) == NX_OK) {
        watch->asked = true;
        tell_watch(watch);
    } else {
        forget_watch(watch);
        nx_call_fail(call, &err);
    }
    return NX_CALL_TAKEN;
}

static void watch_writable(struct nx_call *call, nx_ns now)
{
    (void)now;
    tell_watch(nx_call_user(call));
}

static void watch_cancelled(struct nx_call *call, enum nx_call_gone why)
{
    (void)why;
    forget_watch(nx_call_user(call));
}

void nx_health_methods(struct nx_health *health, struct nx_grpc_method rows[NX_HEALTH_METHODS])
{
    rows[0] = (struct nx_grpc_method){
        .path = "/grpc.health.v1.Health/Check",
        .kind = NX_CALL_UNARY,
        .ctx = health,
        .on_message = check,
    };
    rows[1] = (struct nx_grpc_method){
        .path = "/grpc.health.v1.Health/Watch",
        .kind = NX_CALL_SERVER_STREAM,
        .ctx = health,
        .on_start = watch_start,
        .on_message = watch_asked,
        .on_writable = watch_writable,
        .on_cancel = watch_cancelled,
    };
}

static void tell_all(struct nx_health *health)
{
    struct nx_health_watch *watch = TAILQ_FIRST(&health->watches);
    while (watch) {
        struct nx_health_watch *next = TAILQ_NEXT(watch, in_all);
        tell_watch(watch);
        watch = next;
    }
}

enum nx_status nx_health_set(struct nx_health *health, const char *service, bool serving)
{
    unsigned i = 0;
    while (i < health->count && strcmp(health->services[i].name, service) != 0)
        i++;
    if (i == NX_HEALTH_SERVICES_MAX || strlen(service) >= NX_HEALTH_NAME_BYTES)
        return NX_TOO_LARGE;
    if (i == health->count) {
        health->count++;
        memcpy(health->services[i].name, service, strlen(service) + 1);
    }
    health->services[i].serving = serving;
    tell_all(health);
    return NX_OK;
}

void nx_health_end_watches(struct nx_health *health)
{
    health->ended = true;
    struct nx_health_watch *watch;
    while ((watch = TAILQ_FIRST(&health->watches)))
        end_watch(watch, going_away);
}
