/* categorizer_wire.h — the operations that the function tier may send: the one header both tiers share.
 *
 * A query is a head followed by a body; its first 4 bytes say how long the head is, so that the body can stream:
 *
 *     u32 head_bytes | u8 version | u8 op | tag, name | trace | fields of the op | … body …
 *
 *     INFER    head: time left, what is wanted, [version]   body: the photo, or tensors (nx_tensors_ask_encode)
 *     INSTALL  head: request id, format, replace, three sizes, recipe, [precision]   body: synset, symbol, params
 *              of version 5: … recipe, u32 calibration's size > 0                    body: … params, calibration
 *     REMOVE   head: request id                  body: none
 *     DESCRIBE head: nothing more                body: none    reply's payload: one model
 *     LIST     head: nothing more                body: none    reply's payload: the shard's models
 *
 * A model is known by its tag. It may have a name as well: its tag is then nx_tag_of_name(name), so that a name is routed
 * as a tag is. Who asks by name gets the model of that name only; who asks by tag (name empty) gets the tag's model.
 * A reply is one struct nx_answer: a status with a sentence, what was seen on the photo, and a payload.
 * All is of version 4, as it was before installs could bring a calibration; what brings none keeps its bytes, and a node of
 * an older nexus, to which version 5 is foreign, says so. All integers little-endian. Both directions are decoded as input
 * from outside. */
#ifndef NX_CATEGORIZER_WIRE_H
#define NX_CATEGORIZER_WIRE_H

#include "common/clock.h"
#include "common/precision.h"
#include "common/request_trace.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NX_WIRE_VERSION = 4,
    NX_WIRE_VERSION_CALIBRATED = 5, /* of an INSTALL's head */
    NX_REQUEST_ID_BYTES = 16,
    NX_RECIPE_BYTES_MAX = 4096,
    NX_MODEL_NAME_BYTES = 128, /* the NUL included */
    NX_MODEL_DIGEST_BYTES = 32,
    NX_TENSOR_NAME_BYTES = 64, /* the NUL included */
    NX_RECIPE_NAME_BYTES = 32, /* the NUL included */
    NX_TENSOR_RANK_MAX = 6,
    NX_MODEL_TENSORS_MAX = 16, /* inputs, and outputs, of one model */
    NX_PRIORITY_MAX = 9,       /* the last; 1 is the first, 0 the middle */
    NX_TOP_MAX = 1000,         /* categories in one row's answer */
    NX_ROWS_MAX = 1024,        /* in one query's tensors */
    /* the length word included */
    NX_HEAD_BYTES_MAX = 256 + NX_MODEL_NAME_BYTES + NX_RECIPE_BYTES_MAX,
    NX_LABEL_BYTES_MAX = 1024, /* of one category, as a line of the synset */
    NX_PHOTO_BYTES_MAX = 32 * 1024 * 1024,
    NX_ANSWER_BYTES_MAX = 32 + NX_ERR_TEXT_BYTES + NX_LABEL_BYTES_MAX, /* without its payload */
    NX_PAYLOAD_BYTES_MAX = 64 * 1024 * 1024,
};

enum nx_request {
    NX_REQUEST_INFER = 1,
    NX_REQUEST_INSTALL = 2,
    NX_REQUEST_REMOVE = 3,
    NX_REQUEST_LIST = 4,
    NX_REQUEST_DESCRIBE = 5,
};
enum nx_model_format { NX_FORMAT_MXNET = 1, NX_FORMAT_ONNX = 2 };

struct nx_request_id {
    uint8_t bytes[NX_REQUEST_ID_BYTES];
};

enum nx_input { NX_INPUT_PHOTO = 0, NX_INPUT_TENSORS = 1 };

/* What an INFER brings, and what it wants told of a photo beside the best category. TENSORS say in their body what is
 * wanted, and the rest is 0. */
struct nx_want {
    enum nx_input input;
    char tensor[NX_TENSOR_NAME_BYTES]; /* the input that it is for; "": the model's only one */
    uint32_t top_max;                  /* so many categories, the likeliest first */
    bool outputs;                      /* all of the first output */
    uint32_t priority;                 /* 0 … NX_PRIORITY_MAX */
};

/* X(constant, the Open Inference Protocol's name, bytes of an element; 0: each has its own). The codes are those of the
 * protocol's DataType. */
#define NX_TENSOR_TYPE_LIST(X)     \
    X(NX_TYPE_NONE, "", 0)         \
    X(NX_TYPE_BOOL, "BOOL", 1)     \
    X(NX_TYPE_UINT8, "UINT8", 1)   \
    X(NX_TYPE_UINT16, "UINT16", 2) \
    X(NX_TYPE_UINT32, "UINT32", 4) \
    X(NX_TYPE_UINT64, "UINT64", 8) \
    X(NX_TYPE_INT8, "INT8", 1)     \
    X(NX_TYPE_INT16, "INT16", 2)   \
    X(NX_TYPE_INT32, "INT32", 4)   \
    X(NX_TYPE_INT64, "INT64", 8)   \
    X(NX_TYPE_FP16, "FP16", 2)     \
    X(NX_TYPE_FP32, "FP32", 4)     \
    X(NX_TYPE_FP64, "FP64", 8)     \
    X(NX_TYPE_BYTES, "BYTES", 0)   \
    X(NX_TYPE_BF16, "BF16", 2)

enum nx_tensor_type {
#define NX_TENSOR_TYPE_ENUM(type, name, bytes) type,
    NX_TENSOR_TYPE_LIST(NX_TENSOR_TYPE_ENUM)
#undef NX_TENSOR_TYPE_ENUM
        NX_TENSOR_TYPE_COUNT
};

enum nx_tensor_type nx_tensor_type_of(const char *name); /* NX_TYPE_NONE: unknown */
const char *nx_tensor_type_name(enum nx_tensor_type type);
uint32_t nx_tensor_type_bytes(enum nx_tensor_type type);

struct nx_request_head {
    enum nx_request op;
    uint32_t tag;
    char name[NX_MODEL_NAME_BYTES]; /* "": by tag alone */
    /* the asker's span, under which the replica's are; its parent is not sent */
    struct nx_trace_ids trace;
    nx_ns time_left_ns;           /* INFER: until the client's deadline, from now; NX_NEVER: none */
    struct nx_want want;          /* INFER */
    uint64_t version;             /* INFER: by this version of the model alone; 0: by any */
    struct nx_request_id request; /* INSTALL, REMOVE: the same when the client sends it again */
    enum nx_model_format format;
    bool replace; /* INSTALL: in place of the tag's model, if there is one */
    /* INSTALL: as the shard's order has it, the same at all replicas. INT8 with a calibration, and never without; else the
     * entry replica sets it from its configuration, whatever the query says, and on the wire it
     * is there unless it is F32. */
    enum nx_precision precision;
    uint64_t synset_bytes, symbol_bytes, params_bytes;
    /* 0: none. As decoded of any size: nx_calibration_read is for 8 MiB at most */
    uint32_t calibration_bytes;
    uint32_t recipe_bytes;
    char recipe[NX_RECIPE_BYTES_MAX]; /* a preset's name or INI text; not NUL-terminated */
};

/* Words of a replica's SST row that the function tier reads: photos that wait there, and 1 once it is about to leave. */
enum { NX_LOAD_QUEUED, NX_LOAD_LEAVING };

/* Bytes written, at most NX_HEAD_BYTES_MAX; 0 if cap is too small. */
size_t nx_request_encode(const struct nx_request_head *head, void *bytes, size_t cap);

/* NX_AGAIN: the head is not whole yet. *used is how long it was. */
enum nx_status nx_request_decode(const void *bytes, size_t len, struct nx_request_head *head,
                                 size_t *used, struct nx_err *err);

/* What the head of an INSTALL says of its body; false if the sum overflows. */
bool nx_install_body_bytes(const struct nx_request_head *head, uint64_t *bytes);

struct nx_answer {
    /* Status NX_OK: done, with a text to show if it is not empty. NX_UNAVAILABLE: not by this replica, or nobody knows;
     * another one may be asked the same. */
    struct nx_err err;
    uint32_t index;   /* INFER: the category … */
    float value;      /* … its output, a probability if the recipe says softmax … */
    uint64_t version; /* INFER: of the model that answered; 0: none did */
    uint32_t label_bytes;
    char label[NX_LABEL_BYTES_MAX]; /* … and its line of the synset; not NUL-terminated */
    const uint8_t *payload; /* as the op and the want say; the sender's, or in the bytes decoded */
    uint32_t payload_bytes;
};

size_t nx_answer_encode(const struct nx_answer *answer, void *bytes, size_t cap);
enum nx_status nx_answer_decode(const void *bytes, size_t len, struct nx_answer *answer,
                                struct nx_err *err);

/* The tag of a name: its number if it is one ("7", without leading zeros), else a hash. The same name always has the same
 * tag; two names may share one, then the second cannot be installed while the first is. */
uint32_t nx_tag_of_name(const char *name);
/* Whether `name` can be a model's: 1 to NX_MODEL_NAME_BYTES - 1 bytes of letters, digits, '.', '_', '-', and not one of the
 * words that begin paths ("v2", "models", …). */
bool nx_model_name_ok(const char *name);
bool nx_name_is_number(const char *name); /* of a tag */
/* Aims a head at the model of that name: tag, and name unless it is a number. */
void nx_head_set_name(struct nx_request_head *head, const char *name);

/* --- payloads -------------------------------------------------------------------------------------------- */

struct nx_tensor_facts {
    char name[NX_TENSOR_NAME_BYTES];
    enum nx_tensor_type type;
    uint32_t rank;                    /* <= NX_TENSOR_RANK_MAX */
    int64_t dims[NX_TENSOR_RANK_MAX]; /* -1: any; only the first one, the batch, can be */
};

/* One model, as DESCRIBE and LIST tell it. */
struct nx_model_facts_wire {
    uint32_t tag;
    char name[NX_MODEL_NAME_BYTES]; /* "": it was installed by tag */
    bool ready;                     /* else it is being installed */
    enum nx_model_format format;
    uint64_t version; /* larger for every install of its shard */
    /* SHA-256 of synset, symbol, params, calibration; 0 until it is ready */
    uint8_t digest[NX_MODEL_DIGEST_BYTES];
    uint64_t params, memory_bytes; /* memory: all that it holds at this replica, of which … */
    uint64_t weights_bytes, arena_bytes; /* … these are weights, and the arena */
    char backend[16];
    enum nx_precision precision;       /* INT8: it was installed with a calibration */
    char recipe[NX_RECIPE_NAME_BYTES]; /* a preset's name, or "custom" */
    uint64_t queries;                  /* answered by this replica */
    uint64_t execs;                    /* batches of it that ran here */
    uint64_t queue_ns, run_ns;         /* summed over photos: waits for a batch, and batches */
    uint64_t input_ns,
        output_ns;  /* likewise: until it was prepared, and from its batch to its answer */
    uint32_t batch; /* the best size here, and what one of it takes */
    uint64_t batch_ns;
    uint32_t inputs_count, outputs_count;
    struct nx_tensor_facts inputs[NX_MODEL_TENSORS_MAX], outputs[NX_MODEL_TENSORS_MAX];
};

enum { NX_BATCH_STEPS = 9, NX_WAIT_STEPS = 15 };

/* What a replica's queue came to since its start; all but nothing only grows. Words of 64 bits, as they are sent. */
struct nx_work {
    uint64_t batches, photos, busy_ns; /* that ran; tensors count as photos */
    uint64_t refused; /* at once: no room, or the answer would have come too late */
    uint64_t late;    /* given up: their deadline could not be met any more */
    uint64_t cancelled;
    uint64_t wait_ns; /* from prepared to the start of the batch, of all photos that ran */
    uint64_t sizes[NX_BATCH_STEPS]; /* [k]: batches of up to 2^k photos, and over 2^(k-1) */
    /* [k]: photos that waited up to nx_wait_bounds_us[k]; the last: longer */
    uint64_t waits[NX_WAIT_STEPS];
    uint64_t spans_exported, spans_dropped;
    /* Now: of the messages that this replica has delivered, those that are not yet delivered, or
     * kept on the disks, by all */
    uint64_t unsettled, undurable;
};
extern const uint32_t nx_wait_bounds_us[NX_WAIT_STEPS - 1];

enum {
    NX_MODELS_HEAD_BYTES = 20 + sizeof(struct nx_work),
    NX_MODEL_FACTS_BYTES_MAX = 368 + NX_MODEL_DIGEST_BYTES + NX_MODEL_NAME_BYTES +
                               2 * NX_MODEL_TENSORS_MAX * (NX_TENSOR_NAME_BYTES + 64)
};

/* Of a replica, for models. */
struct nx_models_memory {
    uint64_t used_bytes, limit_bytes;
};

/* u32 count | u64 used | u64 limit | work | each model. Bytes written; 0: cap is too small.
 * Memory and work are 0 until they are set. */
size_t nx_models_encode(const struct nx_model_facts_wire *models, uint32_t count, void *bytes,
                        size_t cap);
void nx_models_set_memory(void *encoded, const struct nx_models_memory *memory);
enum nx_status nx_models_get_memory(const void *bytes, size_t len, struct nx_models_memory *memory,
                                    struct nx_err *err);
void nx_models_set_work(void *encoded, const struct nx_work *work);
enum nx_status nx_models_get_work(const void *bytes, size_t len, struct nx_work *work,
                                  struct nx_err *err);
/* The i-th call gives the i-th model. *at is 0 at first. NX_NOT_FOUND after the last, NX_CORRUPT. */
enum nx_status nx_models_next(const void *bytes, size_t len, size_t *at,
                              struct nx_model_facts_wire *model, struct nx_err *err);

/* What an INFER of a photo that wants more than the best category is told. */
struct nx_rows {
    char output[NX_TENSOR_NAME_BYTES];
    uint32_t rows, columns;   /* of the output; columns 0 unless `outputs` was wanted */
    uint32_t top;             /* categories per row */
    const uint8_t *values;    /* rows x columns f32, little-endian, any alignment */
    const uint8_t *top_bytes; /* rows x top: u32 index | f32 value | u16 label bytes | label */
    size_t top_len;
};

struct nx_top_entry {
    uint32_t index;
    float value;
    const char *label; /* not NUL-terminated */
    uint32_t label_bytes;
};

enum nx_status nx_rows_decode(const void *bytes, size_t len, struct nx_rows *rows,
                              struct nx_err *err);
/* The next of rows x top entries, row by row; *at is 0 at first. False: there are no more. */
bool nx_rows_next_top(const struct nx_rows *rows, size_t *at, struct nx_top_entry *entry);

/* --- tensors: the body and the payload of an INFER of TENSORS (wire_tensors.c) ------------------------------ */

struct nx_tensor_part {
    char name[NX_TENSOR_NAME_BYTES];
    enum nx_tensor_type type;
    uint32_t rank;
    uint64_t dims[NX_TENSOR_RANK_MAX];
    /* row-major, little-endian; BYTES: u32 length and bytes, each. Not owned */
    const uint8_t *data;
    uint64_t bytes;
};

struct nx_tensors {
    uint32_t rows; /* of an answer: how large the batch was */
    uint32_t count;
    struct nx_tensor_part parts[NX_MODEL_TENSORS_MAX];
};

struct nx_output_want {
    char name[NX_TENSOR_NAME_BYTES];
    /* 0: the tensor; else its largest elements of each row, as BYTES (nx_class_encode) */
    uint32_t top_max;
};

struct nx_tensors_ask {
    uint32_t outputs_count; /* 0: all outputs */
    struct nx_output_want outputs[NX_MODEL_TENSORS_MAX];
    struct nx_tensors in;
};

enum {
    NX_TENSORS_HEAD_BYTES_MAX =
        16 + NX_MODEL_TENSORS_MAX * (2 * NX_TENSOR_NAME_BYTES + 16 + 8 * NX_TENSOR_RANK_MAX)
};

/* The head alone: behind it come the parts' bytes, in their order. Bytes written; 0: cap is too small. */
size_t nx_tensors_encode(const struct nx_tensors *tensors, void *bytes, size_t cap);
size_t nx_tensors_ask_encode(const struct nx_tensors_ask *ask, void *bytes, size_t cap);
/* Head and parts. NX_CORRUPT: cut, surplus, bytes that are not those of type and shape. */
enum nx_status nx_tensors_decode(const void *bytes, size_t len, struct nx_tensors *tensors,
                                 struct nx_err *err);
enum nx_status nx_tensors_ask_decode(const void *bytes, size_t len, struct nx_tensors_ask *ask,
                                     struct nx_err *err);

/* Elements of a shape; false if it overflows or a dimension is over INT32_MAX. */
bool nx_tensor_elements(const uint64_t *dims, uint32_t rank, uint64_t *elements);

/* A category as an element of a BYTES tensor: u32 length and "0.940800:281:tabby cat". Bytes needed; written if dst is
 * not NULL. */
size_t nx_class_encode(const struct nx_top_entry *entry, uint8_t *dst);

#endif
