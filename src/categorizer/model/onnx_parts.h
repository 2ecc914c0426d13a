/* onnx_parts.h — what the onnx*.c files share; not for others. */
#ifndef NX_CATEGORIZER_MODEL_ONNX_PARTS_H
#define NX_CATEGORIZER_MODEL_ONNX_PARTS_H

#include "categorizer/model/onnx.h"
#include "categorizer/model/params.h"
#include "categorizer/model/proto_walk.h"

#define NX_ONNX_OPSET_MIN 7
#define NX_ONNX_OPSET_MAX 21
#define NX_ONNX_IR_MIN    3
#define NX_ONNX_INTS_MAX  1024u /* integers of one value that folding keeps */

enum { NX_ONNX_WINDOW_MAX = 1 << 16, NX_ONNX_SPARES = 64 };

struct nx_onnx_bytes { /* a message or a string, in the file */
    const uint8_t *bytes;
    size_t len;
};

/* An integer that may depend on the batch. */
struct nx_onnx_int {
    int64_t base, per_photo;
};

struct nx_onnx_ints {
    uint32_t n;
    bool scalar; /* of rank 0; else of rank 1 */
    struct nx_onnx_int *items;
};

/* How QuantizeLinear rounded: q = round(x / scale) + zero, cut to what dtype holds. */
struct nx_onnx_grid {
    enum nx_dtype dtype;
    bool has_zero; /* the node says a zero point, and by it the type */
    int64_t n;     /* of scales and zeros: 1, or one for each place along axis */
    uint32_t axis;
    const float *scale, *zero;
    uint32_t of; /* the tensor x */
};

/* What one name of the file stands for. */
struct nx_onnx_value {
    const char *name;
    struct nx_onnx_bytes initializer,
        info;                        /* TensorProto, ValueInfoProto of a graph input; or NULL */
    uint32_t writer;                 /* node, or NX_NONE */
    uint32_t tensor;                 /* of the graph, once it has one; NX_NONE */
    const struct nx_onnx_ints *ints; /* known integers; NULL */
    bool ready;                      /* a tensor, integers or an initialiser is there */
    bool integer;                    /* of an integer type or bool; once it is ready and read */
    bool half;                       /* an initialiser of f16 or bf16; once it is read */
    const struct nx_onnx_grid *grid; /* what QuantizeLinear gave; NULL */
};

struct nx_onnx_node {
    struct nx_onnx_bytes message;
    const char *op, *name;
    uint32_t *inputs, *outputs; /* values; NX_NONE where the name is empty */
    uint32_t n_inputs, n_outputs;
    bool needed;
};

/* An input of the file that its outputs depend on. */
struct nx_onnx_input {
    uint32_t value, tensor; /* tensor: the graph's input, (N, C, H, W) where channels_last */
    struct nx_shape shape;  /* as declared, 0 where the file leaves a dimension open */
    enum nx_dtype dtype;
    bool batched, channels_last; /* channels_last: the file takes it as (N, H, W, C) */
};

struct nx_onnx_head {
    uint32_t value;
    enum nx_dtype dtype;
};

struct nx_onnx {
    struct nx_graph *graph;
    struct nx_err *err;
    struct nx_onnx_value *values; /* sorted by name; behind them NX_ONNX_SPARES without one */
    struct nx_onnx_node *nodes;
    uint32_t n_values, n_nodes;
    uint32_t spares; /* the first value for a lowering that is made of others */
    struct nx_onnx_input inputs[NX_PORTS_MAX]; /* in the file's order */
    struct nx_onnx_head heads[NX_PORTS_MAX];
    uint32_t n_inputs, n_heads;
    bool unbatched; /* all is of one size, and no dimension is the batch */
    int64_t opset, ir;
    bool has_functions;
    const char *producer, *producer_version;
    int64_t declared_batch; /* 0: the file leaves it open */
    const struct nx_size_hint *hint;
    bool size_is_free;
    /* per tensor: its shape at OTHER_BATCH, where the graph's is at BATCH */
    struct nx_shape *other;
    uint32_t cap_other;
};

/* One node on its way into the graph. */
struct nx_onnx_call {
    struct nx_onnx *o;
    struct nx_onnx_node *node;
    int detail; /* of the table's row */
    bool typed; /* it has said whether its output 0 is of integers */
};

struct nx_onnx_op {
    const char *name;
    enum nx_status (*lower)(struct nx_onnx_call *c);
    int detail; /* which of several: an nx_unary, nx_binary, … */
};

/* onnx_table.c. NULL: no such op. */
const struct nx_onnx_op *nx_onnx_find_op(const char *name);

/* onnx_read.c: the file's structure, without its meaning. */
enum nx_status nx_onnx_read(struct nx_onnx *o, const void *bytes, size_t len);
/* NX_UNSUPPORTED: an IR version or an opset out of range, or functions of the model's own. */
enum nx_status nx_onnx_check_versions(const struct nx_onnx *o);
enum nx_status nx_onnx_no_memory(const struct nx_onnx *o);

/* onnx_tensor.c: TensorProto. Refuses external data, strings, segments, what is cut off. */
enum nx_status nx_onnx_tensor_read(const struct nx_onnx *o, const char *name,
                                   struct nx_onnx_bytes message, struct nx_array *array);
/* Its integers, or NULL if it holds no integers, too many, or has rank 2 or more. */
enum nx_status nx_onnx_tensor_ints(const struct nx_onnx *o, const struct nx_array *array,
                                   const struct nx_onnx_ints **ints);

bool nx_onnx_dtype_is_integer(enum nx_dtype dtype); /* or bool */

/* The dtype of a code of TensorProto.DataType. False: none that numbers have here. */
bool nx_onnx_dtype(uint64_t code, enum nx_dtype *dtype);

/* onnx_input.c: the types of the graph's inputs, and which of them have a batch. */
enum nx_status nx_onnx_make_inputs(struct nx_onnx *o);
/* The element type that a ValueInfoProto says; false if it says none that is known. */
bool nx_onnx_info_dtype(struct nx_onnx_bytes info, enum nx_dtype *dtype);

/* onnx_io.c: which nodes the outputs need and which inputs these read; then the graph's own ports. */
void nx_onnx_mark_needed(struct nx_onnx *o);
enum nx_status nx_onnx_begin(struct nx_onnx *o);
enum nx_status nx_onnx_end(struct nx_onnx *o);
bool nx_onnx_all_fixed(const struct nx_onnx *o); /* no input leaves a dimension open */

/* onnx_attr.c. Absent: the default stands. Of another type: NX_INVALID with a sentence. */
bool nx_onnx_attr(const struct nx_onnx_call *c, const char *key, struct nx_onnx_bytes *attribute);
enum nx_status nx_onnx_attr_int(const struct nx_onnx_call *c, const char *key, int64_t *value);
enum nx_status nx_onnx_attr_float(const struct nx_onnx_call *c, const char *key, float *value);
enum nx_status nx_onnx_attr_bool(const struct nx_onnx_call *c, const char *key, bool *value);
/* *n is set to how many there are, 0 without the attribute; more than cap are refused. */
enum nx_status nx_onnx_attr_ints(const struct nx_onnx_call *c, const char *key, int64_t *items,
                                 uint32_t cap, uint32_t *n);
enum nx_status nx_onnx_attr_floats(const struct nx_onnx_call *c, const char *key, float *items,
                                   uint32_t cap, uint32_t *n);
enum nx_status nx_onnx_attr_choice(const struct nx_onnx_call *c, const char *key,
                                   const char *const *choices, int *index);
enum nx_status nx_onnx_attr_tensor(const struct nx_onnx_call *c, const char *key,
                                   struct nx_onnx_bytes *message);
enum nx_status nx_onnx_attrs_check(const struct nx_onnx_call *c); /* well-formed, no subgraph */

/* onnx_build.c: while loading every tensor has its shape for NX_ONNX_BATCH photos in the graph, and its
 * shape for NX_ONNX_OTHER_BATCH in o->other. */
enum { NX_ONNX_BATCH = 2, NX_ONNX_OTHER_BATCH = 3 };
enum nx_status nx_onnx_note_other(struct nx_onnx *o, uint32_t tensor, const struct nx_shape *shape);

/* Inputs and outputs of a call. */
enum nx_status nx_onnx_refuse(const struct nx_onnx_call *c, const char *what); /* NX_UNSUPPORTED */
enum nx_status nx_onnx_wrong(const struct nx_onnx_call *c, const char *what);  /* NX_INVALID */
enum nx_status nx_onnx_arity(const struct nx_onnx_call *c, uint32_t least, uint32_t most);
bool nx_onnx_has(const struct nx_onnx_call *c, uint32_t i); /* is input i there? */
/* Is input i, which has been read, of an integer type? */
bool nx_onnx_is_integer(const struct nx_onnx_call *c, uint32_t i);
bool nx_onnx_is_half(const struct nx_onnx_call *c, uint32_t i); /* an initialiser of f16 or bf16 */
/* Says so of output 0. Where no lowering does, it follows (onnx_build.c). */
void nx_onnx_set_integer(struct nx_onnx_call *c, enum nx_dtype dtype);
/* Input i as a tensor of the graph. */
enum nx_status nx_onnx_data(struct nx_onnx_call *c, uint32_t i, uint32_t *tensor);
/* Input i as integers known now, NULL if they are not; refused if input i is not there. */
enum nx_status nx_onnx_known(struct nx_onnx_call *c, uint32_t i, const struct nx_onnx_ints **ints);
/* Input i as integers that do not depend on the batch. *n is 0 if input i is not there. */
enum nx_status nx_onnx_constant_ints(struct nx_onnx_call *c, uint32_t i, int64_t *items,
                                     uint32_t cap, uint32_t *n);
/* Attribute `key` of old opsets, or input i of new ones. */
enum nx_status nx_onnx_ints_either(struct nx_onnx_call *c, const char *key, uint32_t i,
                                   int64_t *items, uint32_t cap, uint32_t *n);
/* Input i as one number. *there tells whether input i is there. */
enum nx_status nx_onnx_constant_float(struct nx_onnx_call *c, uint32_t i, float *value,
                                      bool *there);

const struct nx_tensor *nx_onnx_tensor(const struct nx_onnx_call *c, uint32_t tensor);
/* Values of a constant tensor; NULL for all others. */
const float *nx_onnx_values(const struct nx_onnx_call *c, uint32_t tensor);
struct nx_onnx_int nx_onnx_dim(const struct nx_onnx_call *c, uint32_t tensor, uint32_t dim);
/* Refuses a dimension that grows with the batch. */
enum nx_status nx_onnx_within_photo(const struct nx_onnx_call *c, uint32_t tensor, uint32_t dim);

enum nx_status nx_onnx_set(struct nx_onnx_call *c, uint32_t output, uint32_t tensor);
enum nx_status nx_onnx_set_ints(struct nx_onnx_call *c, uint32_t output, bool scalar,
                                const struct nx_onnx_int *items, uint32_t n);
/* Adds `node` over the inputs, infers it, and gives its first output's tensor. */
enum nx_status nx_onnx_add(struct nx_onnx_call *c, struct nx_node *node, uint32_t *inputs,
                           uint32_t n_inputs, uint32_t *tensor);
/* The same, as output 0 of the call. */
enum nx_status nx_onnx_finish(struct nx_onnx_call *c, struct nx_node *node, uint32_t *inputs,
                              uint32_t n_inputs);
enum nx_status nx_onnx_add_constant(struct nx_onnx_call *c, const struct nx_shape *shape,
                                    const float *data, uint32_t *tensor);
/* The result is dense and belongs to the caller to fill. */
enum nx_status nx_onnx_new_constant(struct nx_onnx_call *c, const struct nx_shape *shape,
                                    float **data, uint32_t *tensor);
enum nx_status nx_onnx_unary(struct nx_onnx_call *c, enum nx_unary fn, float a, float b, uint32_t x,
                             uint32_t *y);
enum nx_status nx_onnx_binary(struct nx_onnx_call *c, enum nx_binary kind, uint32_t a, uint32_t b,
                              uint32_t *y);
enum nx_status nx_onnx_reduce(struct nx_onnx_call *c, enum nx_reduce kind, uint32_t x,
                              uint32_t first, uint32_t last, uint32_t *y); /* keeps the dims as 1 */
/* x with the dimensions `dims`, of which one may depend on the batch. */
enum nx_status nx_onnx_reshape(struct nx_onnx_call *c, uint32_t x, const struct nx_onnx_int *dims,
                               uint32_t n, uint32_t *y);
enum nx_status nx_onnx_identity(struct nx_onnx_call *c, uint32_t i);
/* -rank … rank-1 as 0 … rank-1. */
enum nx_status nx_onnx_axis(const struct nx_onnx_call *c, int64_t axis, uint32_t rank,
                            uint32_t *resolved);

/* onnx_nn.c, onnx_dot.c */
enum nx_status nx_onnx_conv(struct nx_onnx_call *c);
enum nx_status nx_onnx_deconv(struct nx_onnx_call *c);
enum nx_status nx_onnx_pool(struct nx_onnx_call *c);        /* detail: nx_pool */
enum nx_status nx_onnx_global_pool(struct nx_onnx_call *c); /* detail: nx_pool */
enum nx_status nx_onnx_lrn(struct nx_onnx_call *c);
enum nx_status nx_onnx_gemm(struct nx_onnx_call *c);
enum nx_status nx_onnx_matmul(struct nx_onnx_call *c);
/* onnx_norm.c */
enum nx_status nx_onnx_batch_norm(struct nx_onnx_call *c);
enum nx_status nx_onnx_group_norm(struct nx_onnx_call *c); /* detail: 0 of instances, 1 of groups */
enum nx_status nx_onnx_layer_norm(struct nx_onnx_call *c);
enum nx_status nx_onnx_lp_norm(struct nx_onnx_call *c);
enum nx_status nx_onnx_mean_variance(struct nx_onnx_call *c);
enum nx_status nx_onnx_softmax(struct nx_onnx_call *c);       /* detail: 1 = log */
enum nx_status nx_onnx_lower_reduce(struct nx_onnx_call *c);  /* detail: nx_reduce */
enum nx_status nx_onnx_reduce_sum_of(struct nx_onnx_call *c); /* detail: nx_unary */
enum nx_status nx_onnx_reduce_log_sum_exp(struct nx_onnx_call *c);
enum nx_status nx_onnx_arg_reduce(struct nx_onnx_call *c); /* detail: nx_reduce */
enum nx_status nx_onnx_topk(struct nx_onnx_call *c);
/* onnx_wide.c */
enum nx_status nx_onnx_compare(struct nx_onnx_call *c); /* detail: nx_binary */
enum nx_status nx_onnx_mod(struct nx_onnx_call *c);
enum nx_status nx_onnx_where(struct nx_onnx_call *c);
enum nx_status nx_onnx_expand(struct nx_onnx_call *c);
enum nx_status nx_onnx_tile(struct nx_onnx_call *c);
enum nx_status nx_onnx_resize(struct nx_onnx_call *c);
enum nx_status nx_onnx_depth_space(struct nx_onnx_call *c); /* detail: 1 space to depth */
enum nx_status nx_onnx_range(struct nx_onnx_call *c);
enum nx_status nx_onnx_size(struct nx_onnx_call *c);
/* onnx_math.c */
enum nx_status nx_onnx_plain(struct nx_onnx_call *c);  /* detail: nx_unary, no parameter */
enum nx_status nx_onnx_scaled(struct nx_onnx_call *c); /* detail: nx_unary with alpha, beta */
enum nx_status nx_onnx_negative(struct nx_onnx_call *c);
enum nx_status nx_onnx_reciprocal(struct nx_onnx_call *c);
enum nx_status nx_onnx_selu(struct nx_onnx_call *c);
enum nx_status nx_onnx_gelu(struct nx_onnx_call *c);
enum nx_status nx_onnx_hard_swish(struct nx_onnx_call *c);
enum nx_status nx_onnx_clip(struct nx_onnx_call *c);
enum nx_status nx_onnx_prelu(struct nx_onnx_call *c);
enum nx_status nx_onnx_arithmetic(struct nx_onnx_call *c); /* detail: nx_binary */
enum nx_status nx_onnx_variadic(struct nx_onnx_call *c);   /* detail: nx_binary */
enum nx_status nx_onnx_mean(struct nx_onnx_call *c);
enum nx_status nx_onnx_pow(struct nx_onnx_call *c);
enum nx_status nx_onnx_shrink(struct nx_onnx_call *c);
enum nx_status nx_onnx_is_inf(struct nx_onnx_call *c);
/* onnx_layout.c */
enum nx_status nx_onnx_flatten(struct nx_onnx_call *c);
enum nx_status nx_onnx_lower_reshape(struct nx_onnx_call *c);
enum nx_status nx_onnx_transpose(struct nx_onnx_call *c);
enum nx_status nx_onnx_pass_on(struct nx_onnx_call *c); /* Identity, Dropout */
/* onnx_pad.c, onnx_mask.c */
enum nx_status nx_onnx_pad(struct nx_onnx_call *c);
enum nx_status nx_onnx_center_crop_pad(struct nx_onnx_call *c);
enum nx_status nx_onnx_cum_sum(struct nx_onnx_call *c);
enum nx_status nx_onnx_hardmax(struct nx_onnx_call *c);
enum nx_status nx_onnx_trilu(struct nx_onnx_call *c);
enum nx_status nx_onnx_eye_like(struct nx_onnx_call *c);
enum nx_status nx_onnx_reverse_sequence(struct nx_onnx_call *c);
enum nx_status nx_onnx_one_hot(struct nx_onnx_call *c);
/* onnx_quant.c */
enum nx_status nx_onnx_quantize(struct nx_onnx_call *c);
enum nx_status nx_onnx_dequantize(struct nx_onnx_call *c);
/* Input i as f32, by its scale and its zero point, inputs i + 1 and i + 2: of these *g. Where
 * there is one for each place along `axis`, there are that many. */
enum nx_status nx_onnx_dequantize_input(struct nx_onnx_call *c, uint32_t i, int64_t axis,
                                        struct nx_onnx_grid *g, uint32_t *y);
/* x as integers, by scale and zero point in inputs `at` and at + 1, as output 0. dtype: of these, without a zero point. */
enum nx_status nx_onnx_quantize_output(struct nx_onnx_call *c, uint32_t x, uint32_t at,
                                       int64_t axis, enum nx_dtype dtype);
/* onnx_qlinear.c */
enum nx_status nx_onnx_qlinear(struct nx_onnx_call *c); /* detail: which of its forms */
/* onnx_index.c: on shapes and on data */
enum nx_status nx_onnx_concat(struct nx_onnx_call *c);
enum nx_status nx_onnx_gather(struct nx_onnx_call *c);
enum nx_status nx_onnx_gather_elements(struct nx_onnx_call *c);
enum nx_status nx_onnx_slice(struct nx_onnx_call *c);
enum nx_status nx_onnx_split(struct nx_onnx_call *c);
enum nx_status nx_onnx_squeeze(struct nx_onnx_call *c);
enum nx_status nx_onnx_unsqueeze(struct nx_onnx_call *c);
/* onnx_constant.c */
enum nx_status nx_onnx_shape(struct nx_onnx_call *c);
enum nx_status nx_onnx_constant(struct nx_onnx_call *c);
enum nx_status nx_onnx_constant_of_shape(struct nx_onnx_call *c);
enum nx_status nx_onnx_cast(struct nx_onnx_call *c);
enum nx_status nx_onnx_cast_like(struct nx_onnx_call *c);

#endif
