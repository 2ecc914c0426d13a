/* pb_v2.h — the messages of inference.GRPCInferenceService as plain values. See pb_demo.h for failures.
 *
 * Decoding draws on an allowance: twice the message and NX_PB_V2_ALLOC_EXTRA, and of an inference
 * seven times the message more, up to NX_PB_V2_ALLOC_NUMBERS, for numbers that are longer in memory
 * than as varints. Encoders give malloc'd bytes, or NX_NO_MEMORY, or NX_INVALID for text that is
 * not UTF-8.
 * Source  proto/inference.proto. */
#ifndef NX_PB_V2_H
#define NX_PB_V2_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NX_PB_V2_NAME_BYTES = 256,
    NX_PB_V2_TENSORS_MAX = 16,
    NX_PB_V2_RANK_MAX = 6,
    NX_PB_V2_ALLOC_EXTRA = 1 << 20,
    NX_PB_V2_ALLOC_NUMBERS = 128 << 20, /* 32 MiB of UINT8, four bytes each */
};

struct nx_pb_v2_bytes {
    const uint8_t *at;
    size_t len;
};

/* Name and version, or name and a flag, of the requests that are no more than that. */
struct nx_pb_v2_name {
    char name[NX_PB_V2_NAME_BYTES], version[NX_PB_V2_NAME_BYTES];
};

enum nx_pb_v2_named { /* which message it is */
                      NX_PB_V2_MODEL_READY,
                      NX_PB_V2_MODEL_METADATA,
                      NX_PB_V2_MODEL_CONFIG,
                      NX_PB_V2_MODEL_STATISTICS,
                      NX_PB_V2_LOAD,
                      NX_PB_V2_UNLOAD,
};

enum nx_status nx_pb_v2_name_decode(enum nx_pb_v2_named which, const uint8_t *bytes, size_t len,
                                    struct nx_pb_v2_name *name, struct nx_err *err);

/* A load that brings a model's configuration or files: which parameter, and what is done instead. NX_INVALID. */
enum nx_status nx_pb_v2_refuse_load(const char *parameter, struct nx_err *err);

/* --- ModelInfer: pointers into the message, until nx_pb_v2_infer_free --- */

struct nx_pb_v2_input {
    const char *name, *datatype;
    uint32_t rank;
    int64_t dims[NX_PB_V2_RANK_MAX];
    struct nx_pb_v2_bytes data;            /* raw, or the contents as raw has them; at NULL: none */
    const struct nx_pb_v2_bytes *elements; /* or the bytes contents … */
    size_t elements_count;
};

struct nx_pb_v2_output {
    const char *name;
    uint64_t classification; /* 0: not asked for */
};

struct nx_pb_v2_infer {
    const char *model, *version, *id;
    uint64_t priority; /* 0: none was given */
    bool raw;          /* the inputs came so, and the outputs go so */
    uint32_t inputs_count, outputs_count;
    struct nx_pb_v2_input inputs[NX_PB_V2_TENSORS_MAX];
    struct nx_pb_v2_output outputs[NX_PB_V2_TENSORS_MAX];
    void *message;                   /* owns what is pointed to, */
    struct nx_pb_v2_bytes *elements; /* or we do */
    uint8_t *converted[NX_PB_V2_TENSORS_MAX];
};

enum nx_status nx_pb_v2_infer_decode(const uint8_t *bytes, size_t len, struct nx_pb_v2_infer *infer,
                                     struct nx_err *err);
void nx_pb_v2_infer_free(struct nx_pb_v2_infer *infer);

/* --- replies --- */

struct nx_pb_v2_tensor {
    const char *name, *datatype;
    uint32_t code; /* of the datatype, for a configuration */
    bool batched;  /* dims[0] is the batch, which a configuration leaves out */
    uint32_t rank;
    int64_t dims[NX_PB_V2_RANK_MAX];
    struct nx_pb_v2_bytes data; /* as raw contents have it; unused in descriptions */
};

struct nx_pb_v2_result {
    const char *model, *id;
    uint64_t version;
    bool raw;    /* raw_output_contents, or contents */
    bool stream; /* a ModelStreamInferResponse around it */
    uint32_t outputs_count;
    const struct nx_pb_v2_tensor *outputs;
};

enum nx_status nx_pb_v2_result_encode(const struct nx_pb_v2_result *result, uint8_t **bytes,
                                      size_t *len);
enum nx_status nx_pb_v2_stream_error_encode(const char *message, const char *id, uint8_t **bytes,
                                            size_t *len);

struct nx_pb_v2_model {
    const char *name, *platform, *backend, *state;
    uint64_t version;
    uint32_t inputs_count, outputs_count;
    const struct nx_pb_v2_tensor *inputs, *outputs;
    uint32_t batch_max;
};

struct nx_pb_v2_duration {
    uint64_t count, ns;
};

struct nx_pb_v2_memory {
    bool gpu;
    uint32_t node;
    uint64_t bytes;
};

struct nx_pb_v2_statistics {
    const char *name;
    uint64_t version;
    uint64_t last_ms, rows, execs; /* last: since 1970 */
    struct nx_pb_v2_duration success, failure, queue, input, infer, output;
    const struct nx_pb_v2_memory *memory;
    uint32_t memory_count;
};

size_t nx_pb_v2_flag_encode(bool flag, uint8_t dst[4]); /* of the three replies that are one */
enum nx_status nx_pb_v2_server_encode(const char *version, const char *const *extensions,
                                      size_t count, uint8_t **bytes, size_t *len);
enum nx_status nx_pb_v2_metadata_encode(const struct nx_pb_v2_model *model, uint8_t **bytes,
                                        size_t *len);
enum nx_status nx_pb_v2_config_encode(const struct nx_pb_v2_model *model, uint8_t **bytes,
                                      size_t *len);
enum nx_status nx_pb_v2_statistics_encode(const struct nx_pb_v2_statistics *models, size_t count,
                                          uint8_t **bytes, size_t *len);
enum nx_status nx_pb_v2_index_encode(const struct nx_pb_v2_model *models, size_t count,
                                     uint8_t **bytes, size_t *len);

#endif
