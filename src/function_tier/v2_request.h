/* v2_request.h — one ModelInfer of the Open Inference Protocol v2, whichever wire brought it.
 *
 * The REST and the gRPC service fill struct nx_v2_request; nx_v2_to_ask checks it and turns it into what the shards are
 * asked. Data is always raw: row-major, little-endian; a BYTES element is u32 length and bytes.
 *
 *   BYTES [N] or [N,1]  N encoded photos, through the model's recipe
 *   FP32 of the model's shape  a tensor
 *
 * Source  the protocol's text in proto/inference.proto. */
#ifndef NX_FUNCTION_TIER_V2_REQUEST_H
#define NX_FUNCTION_TIER_V2_REQUEST_H

#include "function_tier/infer.h"

enum {
    NX_V2_ID_BYTES = 128,
    NX_V2_VERSION_BYTES = 32,
    NX_V2_OUTPUTS_MAX = NX_MODEL_TENSORS_MAX,
    NX_V2_INPUTS_MAX = NX_MODEL_TENSORS_MAX,
};

/* X(constant, name, bytes of an element; 0: not fixed) */
#define NX_V2_TYPE_LIST(X)       \
    X(NX_V2_NONE, "", 0)         \
    X(NX_V2_BOOL, "BOOL", 1)     \
    X(NX_V2_UINT8, "UINT8", 1)   \
    X(NX_V2_UINT16, "UINT16", 2) \
    X(NX_V2_UINT32, "UINT32", 4) \
    X(NX_V2_UINT64, "UINT64", 8) \
    X(NX_V2_INT8, "INT8", 1)     \
    X(NX_V2_INT16, "INT16", 2)   \
    X(NX_V2_INT32, "INT32", 4)   \
    X(NX_V2_INT64, "INT64", 8)   \
    X(NX_V2_FP16, "FP16", 2)     \
    X(NX_V2_BF16, "BF16", 2)     \
    X(NX_V2_FP32, "FP32", 4)     \
    X(NX_V2_FP64, "FP64", 8)     \
    X(NX_V2_BYTES, "BYTES", 0)

enum nx_v2_type {
#define NX_V2_TYPE_ENUM(type, name, bytes) type,
    NX_V2_TYPE_LIST(NX_V2_TYPE_ENUM)
#undef NX_V2_TYPE_ENUM
        NX_V2_TYPE_COUNT
};

enum nx_v2_type nx_v2_type_of(const char *name); /* NX_V2_NONE: unknown */
const char *nx_v2_type_name(enum nx_v2_type type);

struct nx_v2_input {
    char name[NX_TENSOR_NAME_BYTES];
    enum nx_v2_type type;
    uint32_t rank;
    uint64_t dims[NX_TENSOR_RANK_MAX];
    const uint8_t *data; /* NULL: none came */
    size_t data_bytes;
    uint8_t *owned; /* what `data` points to if it was converted; freed by nx_v2_free */
};

struct nx_v2_output {
    char name[NX_TENSOR_NAME_BYTES];
    uint32_t classification; /* 0: the tensor itself */
    bool binary;             /* REST: bytes behind the JSON */
};

struct nx_v2_request {
    char model[NX_MODEL_NAME_BYTES], version[NX_V2_VERSION_BYTES];
    char id[NX_V2_ID_BYTES];
    uint32_t inputs_count, outputs_count; /* outputs 0: all of them */
    bool binary_outputs;                  /* of outputs that do not say */
    uint64_t priority;                    /* 0: none was given */
    struct nx_v2_input inputs[NX_V2_INPUTS_MAX];
    struct nx_v2_output outputs[NX_V2_OUTPUTS_MAX];
};

struct nx_v2_request *nx_v2_new(void);          /* NULL: no memory */
void nx_v2_free(struct nx_v2_request *request); /* NULL is fine */

/* The only version that there is: "", "1". NX_NOT_FOUND for others. */
enum nx_status nx_v2_check_version(const char *model, const char *version, struct nx_err *err);

/* elements of a shape; false if it overflows or a dimension is over INT32_MAX */
bool nx_v2_elements(const uint64_t *dims, uint32_t rank, uint64_t *elements);

/* Checks all that can be checked without the model. *ask points into the request. */
enum nx_status nx_v2_to_ask(const struct nx_v2_request *request, struct nx_infer_ask *ask,
                            struct nx_err *err);
/* The outputs that were asked for are those that came. */
enum nx_status nx_v2_check_result(const struct nx_v2_request *request,
                                  const struct nx_infer_result *result, struct nx_err *err);

/* The classification extension's "0.940800:281:n02124075 Egyptian cat" entries of a result as BYTES data: u32 length and
 * text each. Bytes written; with dst NULL how many are needed. */
size_t nx_v2_classes(const struct nx_infer_result *result, uint8_t *dst);

#endif
