#include "function_tier/service_reflection.h"

#include "function_tier/pb/pb_reflection.h"

#include <stdlib.h>

/* An answer that finds no room is made again when the question is offered again. */
static enum nx_call_take answer(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    struct nx_err err;
    uint8_t *reply;
    size_t reply_bytes;
    enum nx_status status = nx_pb_reflect(bytes, len, &reply, &reply_bytes, &err);
    if (status == NX_OK) {
        status = nx_call_reply(call, reply, reply_bytes);
        free(reply);
        if (status == NX_AGAIN)
            return NX_CALL_HELD;
        if (status != NX_OK)
            nx_err_set(&err, status, "the reply does not fit the connection's buffer");
    }
    if (status != NX_OK)
        nx_call_fail(call, &err);
    return NX_CALL_TAKEN;
}

static void ended(struct nx_call *call, nx_ns now)
{
    (void)now;
    nx_call_finish(call, NX_GRPC_OK, NULL);
}

static void writable(struct nx_call *call, nx_ns now)
{
    (void)now;
    nx_call_resume(call);
}

void nx_service_reflection_methods(struct nx_grpc_method rows[NX_SERVICE_REFLECTION_METHODS])
{
    static const struct nx_grpc_method both[NX_SERVICE_REFLECTION_METHODS] = {
        {.path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
         .kind = NX_CALL_BIDI,
         .on_message = answer,
         .on_end = ended,
         .on_writable = writable},
        {.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
         .kind = NX_CALL_BIDI,
         .on_message = answer,
         .on_end = ended,
         .on_writable = writable},
    };
    for (int i = 0; i < NX_SERVICE_REFLECTION_METHODS; i++)
        rows[i] = both[i];
}
