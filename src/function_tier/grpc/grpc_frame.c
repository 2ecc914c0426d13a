#include "function_tier/grpc/grpc_frame.h"

enum nx_status nx_grpc_frame_parse(const uint8_t *bytes, size_t len, uint32_t message_bytes_max,
                                   struct nx_grpc_frame *frame)
{
    *frame = (struct nx_grpc_frame){0};
    if (len > 0 && bytes[0] > 1)
        return NX_CORRUPT;
    if (len < NX_GRPC_PREFIX_BYTES)
        return NX_AGAIN;
    frame->compressed = bytes[0] == 1;
    frame->message = bytes + NX_GRPC_PREFIX_BYTES;
    frame->message_bytes = (uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 |
                           (uint32_t)bytes[3] << 8 | (uint32_t)bytes[4];
    frame->total_bytes = (size_t)NX_GRPC_PREFIX_BYTES + frame->message_bytes;
    if (frame->message_bytes > message_bytes_max)
        return NX_TOO_LARGE;
    return frame->total_bytes <= len ? NX_OK : NX_AGAIN;
}

void nx_grpc_frame_prefix(uint8_t prefix[NX_GRPC_PREFIX_BYTES], bool compressed,
                          uint32_t message_bytes)
{
    prefix[0] = compressed ? 1 : 0;
    prefix[1] = (uint8_t)(message_bytes >> 24);
    prefix[2] = (uint8_t)(message_bytes >> 16);
    prefix[3] = (uint8_t)(message_bytes >> 8);
    prefix[4] = (uint8_t)message_bytes;
}
