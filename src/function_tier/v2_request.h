/* v2_request.h — one ModelInfer of the Open Inference Protocol v2, whichever wire brought it.
 *
 * The REST and the gRPC service fill struct nx_v2_request; nx_v2_to_ask checks it and turns it into what the shards are
 * asked. Data is always raw: row-major, little-endian; a BYTES element is u32 length and bytes.
 *
 *   one input of BYTES [N] or [N,1]  N encoded photos, through the model's recipe
 *   else                             tensors, in the types and shapes that the model declares
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

struct nx_v2_input {
    char name[NX_TENSOR_NAME_BYTES];
    enum nx_tensor_type type;
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
    uint64_t answered_by; /* the version that did, for the reply */
    char id[NX_V2_ID_BYTES];
    uint32_t inputs_count, outputs_count; /* outputs 0: all of them */
    bool binary_outputs;                  /* of outputs that do not say */
    uint64_t priority;                    /* 0: none was given */
    struct nx_v2_input inputs[NX_V2_INPUTS_MAX];
    struct nx_v2_output outputs[NX_V2_OUTPUTS_MAX];
    uint8_t head[NX_TENSORS_HEAD_BYTES_MAX]; /* nx_v2_to_ask's */
};

struct nx_v2_request *nx_v2_new(void);          /* NULL: no memory */
void nx_v2_free(struct nx_v2_request *request); /* NULL is fine */

/* A version as clients write it: "" is 0, for whichever serves. NX_NOT_FOUND: it is no number that a version has. */
enum nx_status nx_v2_read_version(const char *model, const char *text, uint64_t *version,
                                  struct nx_err *err);
/* NX_NOT_FOUND, with both, if another one than this serves. */
enum nx_status nx_v2_check_version(const char *model, uint64_t asked, uint64_t serving,
                                   struct nx_err *err);
/* A replica's NX_NOT_FOUND in the protocol's words. */
void nx_v2_say_unknown(const char *model, const struct nx_err *told, struct nx_err *err);

/* Checks all that can be checked without the model. *ask points into the request. */
enum nx_status nx_v2_to_ask(struct nx_v2_request *request, struct nx_infer_ask *ask,
                            struct nx_err *err);
#endif
