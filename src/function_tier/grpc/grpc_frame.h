/* grpc_frame.h — length-prefixed messages: one flag byte, a length of 4 bytes (big-endian), the
 * message.
 *
 * Pure; nothing is copied or allocated.
 * Source  gRPC over HTTP/2, "Length-Prefixed-Message". */
#ifndef NX_GRPC_FRAME_H
#define NX_GRPC_FRAME_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NX_GRPC_PREFIX_BYTES 5

struct nx_grpc_frame {
    bool compressed;
    const uint8_t *message; /* in place, behind the prefix */
    uint32_t message_bytes;
    size_t total_bytes; /* prefix and message; known as soon as the prefix is complete, else 0 */
};

/* The frame that starts at `bytes`.
 * NX_OK        it is complete: total_bytes <= len.
 * NX_AGAIN     more bytes are needed.
 * NX_TOO_LARGE message_bytes > message_bytes_max, as soon as the prefix says so.
 * NX_CORRUPT   the flag byte is neither 0 nor 1. */
enum nx_status nx_grpc_frame_parse(const uint8_t *bytes, size_t len, uint32_t message_bytes_max,
                                   struct nx_grpc_frame *frame);

void nx_grpc_frame_prefix(uint8_t prefix[NX_GRPC_PREFIX_BYTES], bool compressed,
                          uint32_t message_bytes);

#endif
