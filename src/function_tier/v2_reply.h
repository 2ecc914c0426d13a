/* v2_reply.h — what a ModelInfer came to as the protocol's output tensors, whichever wire tells it.
 *
 * Photos give one output of a row each; tensors give what was asked for, or every output of the model.
 * Owner  the reply's data points into the result, or is freed by nx_v2_reply_free. */
#ifndef NX_FUNCTION_TIER_V2_REPLY_H
#define NX_FUNCTION_TIER_V2_REPLY_H

#include "function_tier/v2_request.h"

struct nx_v2_tensor {
    const char *name;
    enum nx_tensor_type type;
    uint32_t rank;
    uint64_t dims[NX_TENSOR_RANK_MAX];
    const uint8_t *data; /* raw, of any alignment */
    size_t data_bytes;
    bool binary;    /* REST: bytes behind the JSON */
    uint8_t *owned; /* or NULL */
};

struct nx_v2_reply {
    uint32_t count;
    struct nx_v2_tensor tensors[NX_V2_OUTPUTS_MAX];
};

/* result->err is NX_OK. NX_INVALID: another output was asked for than there is. */
enum nx_status nx_v2_reply_make(const struct nx_v2_request *request,
                                const struct nx_infer_result *result, struct nx_v2_reply *reply,
                                struct nx_err *err);
void nx_v2_reply_free(struct nx_v2_reply *reply);

/* JSON, and the protocol's typed contents, have no form for it: it goes as raw bytes always. */
bool nx_v2_is_raw_only(enum nx_tensor_type type);

#endif
