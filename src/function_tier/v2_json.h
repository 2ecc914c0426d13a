/* v2_json.h — ModelInfer as JSON with the binary tensor data extension, both ways.
 *
 *     {"inputs":[{"name","shape","datatype","parameters":{"binary_data_size":n},…}],…} bytes of the tensors, in order
 *     └──────────────────── Inference-Header-Content-Length bytes ───────────────────┘
 *
 * Source  the Open Inference Protocol's REST text and Triton's extensions binary_tensor_data and classification. */
#ifndef NX_FUNCTION_TIER_V2_JSON_H
#define NX_FUNCTION_TIER_V2_JSON_H

#include "common/text.h"
#include "function_tier/v2_reply.h"

/* json_bytes: the header's value, or len without one. Inputs point into `body` or into memory that nx_v2_free frees. */
enum nx_status nx_v2_json_read(const uint8_t *body, size_t len, size_t json_bytes,
                               struct nx_v2_request *request, struct nx_err *err);

/* A raw request (header value 0): the whole body is one BYTES element of the only input. */
enum nx_status nx_v2_raw_read(const uint8_t *body, size_t len, struct nx_v2_request *request,
                              struct nx_err *err);

/* Appends the reply: JSON, then outputs that are wanted so or that JSON has no form for (FP16,
 * BF16) as bytes. *json_bytes: where the binary begins; *binary: whether there is any. */
void nx_v2_json_write(const struct nx_v2_request *request, const struct nx_v2_reply *reply,
                      struct nx_text *text, size_t *json_bytes, bool *binary);

#endif
