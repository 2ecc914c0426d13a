/* pb_health.h — the messages of grpc.health.v1.Health as plain values. See pb_demo.h for failures.
 * Source  proto/health.proto. */
#ifndef NX_PB_HEALTH_H
#define NX_PB_HEALTH_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum nx_pb_serving { /* the numbers of the wire */
                     NX_PB_SERVING_UNKNOWN = 0,
                     NX_PB_SERVING = 1,
                     NX_PB_NOT_SERVING = 2,
                     NX_PB_SERVICE_UNKNOWN = 3,
};

enum { NX_PB_SERVICE_NAME_BYTES = 256, NX_PB_HEALTH_REPLY_BYTES = 16 };

/* The service asked for; "" is the server as a whole. */
enum nx_status nx_pb_health_decode(const uint8_t *bytes, size_t len,
                                   char service[NX_PB_SERVICE_NAME_BYTES], struct nx_err *err);
size_t nx_pb_health_encode(enum nx_pb_serving serving, uint8_t dst[NX_PB_HEALTH_REPLY_BYTES]);

#endif
