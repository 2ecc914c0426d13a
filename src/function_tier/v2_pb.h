/* v2_pb.h — ModelInfer as protobuf, both ways. */
#ifndef NX_FUNCTION_TIER_V2_PB_H
#define NX_FUNCTION_TIER_V2_PB_H

#include "function_tier/pb/pb_v2.h"
#include "function_tier/v2_reply.h"

/* Fills *request from a decoded message, into which it then points. */
enum nx_status nx_v2_pb_read(const struct nx_pb_v2_infer *infer, struct nx_v2_request *request,
                             struct nx_err *err);

/* The reply's bytes, malloc'd. raw: as raw_output_contents. stream: as an answer within a stream. */
enum nx_status nx_v2_pb_write(const struct nx_v2_request *request, bool raw, bool stream,
                              const struct nx_v2_reply *reply, uint8_t **bytes, size_t *len,
                              struct nx_err *err);

#endif
