#include "function_tier/service_control.h"

#include "common/arena.h"
#include "function_tier/replica_list.h"

#include <stdlib.h>

/* One call that waits for its replicas. */
struct asking {
    struct nx_call *call;
    struct nx_route_request *list; /* one of the two is under way */
    struct nx_status_ask *status;
};

static void reply(struct nx_call *call, const uint8_t *bytes, size_t len)
{
    if (nx_call_reply(call, bytes, len) == NX_OK)
        nx_call_finish(call, NX_GRPC_OK, NULL);
    else
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED,
                       "the reply does not fit the connection's buffer");
}

static void finish(struct asking *a, enum nx_status status, uint8_t *bytes, size_t len,
                   const struct nx_err *err)
{
    struct nx_call *call = a->call;
    nx_call_set_user(call, NULL);
    free(a);
    if (status == NX_OK)
        reply(call, bytes, len);
    else
        nx_call_fail(call, err);
    free(bytes);
}

static void listed(void *user, const struct nx_answer *answers, uint32_t count)
{
    struct asking *a = user;
    struct nx_replica_list list;
    struct nx_err err = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum nx_status status = nx_replica_list_gather(a->list, answers, count, &list, &err);
    if (status == NX_OK)
        status = nx_pb_list_encode(list.replicas, list.count, &bytes, &len, &err);
    nx_replica_list_free(&list);
    finish(a, status, bytes, len, &err);
}

static void told(void *user, const struct nx_pb_status *facts)
{
    struct nx_err err = {0};
    uint8_t *bytes = NULL;
    size_t len = 0;
    enum nx_status status = nx_pb_status_encode(facts, &bytes, &len, &err);
    finish(user, status, bytes, len, &err);
}

static struct asking *begin(struct nx_call *call, struct nx_err *err)
{
    struct asking *a = nx_calloc(1, sizeof *a);
    if (!a) {
        nx_err_set(err, NX_NO_MEMORY, "no memory for a call");
        return NULL;
    }
    a->call = call;
    nx_call_set_user(call, a);
    return a;
}

static void refuse(struct asking *a, struct nx_call *call, const struct nx_err *err)
{
    nx_call_set_user(call, NULL);
    free(a);
    nx_call_fail(call, err);
}

static enum nx_call_take list(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    struct nx_err err = {0};
    const struct nx_control *control = nx_call_ctx(call);
    struct asking *a = begin(call, &err);
    if (!a || nx_pb_list_request_decode(bytes, len, &err) != NX_OK ||
        nx_route_list(control->route, nx_call_deadline(call), listed, a, &a->list, &err) != NX_OK)
        refuse(a, call, &err);
    return NX_CALL_TAKEN;
}

static enum nx_call_take status(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    struct nx_err err = {0};
    struct nx_status_ask *under_way;
    const struct nx_control *control = nx_call_ctx(call);
    struct asking *a = begin(call, &err);
    if (!a || nx_pb_status_request_decode(bytes, len, &err) != NX_OK ||
        nx_status_ask(control->status, nx_call_deadline(call), told, a, &under_way, &err) != NX_OK)
        refuse(a, call, &err);
    else if (under_way)
        a->status = under_way; /* else it is answered, and `a` is gone */
    return NX_CALL_TAKEN;
}

static void cancelled(struct nx_call *call, enum nx_call_gone why)
{
    (void)why;
    struct asking *a = nx_call_user(call);
    if (!a)
        return;
    if (a->list)
        nx_route_cancel(a->list);
    if (a->status)
        nx_status_cancel(a->status);
    free(a);
}

void nx_service_control_methods(struct nx_control *control,
                                struct nx_grpc_method rows[NX_SERVICE_CONTROL_METHODS])
{
    rows[0] = (struct nx_grpc_method){.path = "/nexus.Control/ListModels",
                                      .kind = NX_CALL_UNARY,
                                      .ctx = control,
                                      .on_message = list,
                                      .on_cancel = cancelled};
    rows[1] = (struct nx_grpc_method){.path = "/nexus.Control/Status",
                                      .kind = NX_CALL_UNARY,
                                      .ctx = control,
                                      .on_message = status,
                                      .on_cancel = cancelled};
}
