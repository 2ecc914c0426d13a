#include "function_tier/pb/pb_health.h"

#include "common/nx_assert.h"
#include "function_tier/pb/pb_unpack.h"
#include "health.pb-c.h"

#include <stdbool.h>
#include <string.h>

enum { REQUEST_BYTES_MAX = 4096, ALLOC_BYTES_MAX = 16384 };

static_assert((int)NX_PB_SERVING ==
                  (int)GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING,
              "the numbers of the wire");
static_assert((int)NX_PB_SERVICE_UNKNOWN ==
                  (int)GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN,
              "the numbers of the wire");

enum nx_status nx_pb_health_decode(const uint8_t *bytes, size_t len,
                                   char service[NX_PB_SERVICE_NAME_BYTES], struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&grpc__health__v1__health_check_request__descriptor, "a health request",
                        bytes, len, REQUEST_BYTES_MAX, ALLOC_BYTES_MAX, &message, err));
    const char *name = ((Grpc__Health__V1__HealthCheckRequest *)message)->service;
    size_t name_len = strlen(name);
    bool fits = name_len < NX_PB_SERVICE_NAME_BYTES;
    if (fits)
        memcpy(service, name, name_len + 1);
    nx_pb_release(message);
    return fits ? NX_OK
                : nx_err_set(err, NX_TOO_LARGE, "a service name of %zu bytes, the limit is %d",
                             name_len, NX_PB_SERVICE_NAME_BYTES - 1);
}

size_t nx_pb_health_encode(enum nx_pb_serving serving, uint8_t dst[NX_PB_HEALTH_REPLY_BYTES])
{
    Grpc__Health__V1__HealthCheckResponse message;
    grpc__health__v1__health_check_response__init(&message);
    message.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)serving;
    size_t len = 0;
    enum nx_status status = nx_pb_pack(&message.base, dst, NX_PB_HEALTH_REPLY_BYTES, &len);
    nx_assert(status == NX_OK);
    return len;
}
