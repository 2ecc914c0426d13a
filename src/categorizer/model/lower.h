/* lower.h — from one MXNet node to canonical nodes; for symbol.c and the lower_*.c files only.
 *
 * A lowering function reads its node's attributes (with MXNet's defaults), adds nodes to the graph and
 * says which tensors are the node's outputs. */
#ifndef NX_CATEGORIZER_MODEL_LOWER_H
#define NX_CATEGORIZER_MODEL_LOWER_H

#include <jansson.h>

#include "categorizer/graph/graph.h"
#include "categorizer/model/symbol_attr.h"

struct nx_symbol; /* symbol.c */

struct nx_lower {
    struct nx_symbol *symbol;
    struct nx_graph *graph;
    struct nx_err *err;
    const char *op, *name; /* of the MXNet node */
    uint32_t n_inputs;
    uint32_t *outputs; /* room for NX_NODE_OUTPUTS_MAX tensors */
    uint32_t n_outputs;
    const struct nx_op_name *alias; /* the row of the table that was found */
};

struct nx_op_name {
    const char *name;
    enum nx_status (*lower)(struct nx_lower *l);
    int detail; /* which of several: an nx_unary, nx_binary, … */
};

/* lower_table.c. NULL: no such op. */
const struct nx_op_name *nx_lower_find(const char *op);

/* symbol.c: the tensor that input i reads. */
enum nx_status nx_lower_data(struct nx_lower *l, uint32_t i, uint32_t *tensor);
enum nx_status nx_lower_weight(struct nx_lower *l, uint32_t i, uint32_t *tensor);
/* A weight that no input names. */
enum nx_status nx_lower_named_weight(struct nx_lower *l, const char *name, uint32_t *tensor);

/* symbol.c: attributes. Absent: the default stands. Malformed: NX_INVALID with a sentence. */
const char *nx_lower_attr(const struct nx_lower *l, const char *key); /* NULL: absent */
enum nx_status nx_lower_int(const struct nx_lower *l, const char *key, int64_t least, int64_t most,
                            int64_t *value);
enum nx_status nx_lower_bool(const struct nx_lower *l, const char *key, bool *value);
enum nx_status nx_lower_float(const struct nx_lower *l, const char *key, float *value);
enum nx_status nx_lower_tuple(const struct nx_lower *l, const char *key, struct nx_tuple *value);
/* The attribute's value, its default if absent, as the index in `choices` (NULL ends them). */
enum nx_status nx_lower_choice(const struct nx_lower *l, const char *key,
                               const char *const *choices, int *index);
/* Refuses unless the attribute is absent. */
enum nx_status nx_lower_required(const struct nx_lower *l, const char *key);
enum nx_status nx_lower_unsupported(const struct nx_lower *l, const char *what);
/* Refuses unless the node has `wanted` inputs. */
enum nx_status nx_lower_arity(const struct nx_lower *l, uint32_t wanted);

/* Adds `node` (its name and outputs are filled in here) over `inputs` and makes its outputs the
 * MXNet node's. */
enum nx_status nx_lower_add(struct nx_lower *l, struct nx_node *node, uint32_t *inputs,
                            uint32_t n_inputs);
/* The same for an op of one data input. */
enum nx_status nx_lower_simple(struct nx_lower *l, struct nx_node *node);

/* lower_nn.c */
enum nx_status nx_lower_convolution(struct nx_lower *l);
enum nx_status nx_lower_deconvolution(struct nx_lower *l);
enum nx_status nx_lower_up_sampling_bilinear(struct nx_lower *l, int64_t scale);
enum nx_status nx_lower_batch_norm(struct nx_lower *l); /* detail: 1 with a ReLU */
enum nx_status nx_lower_pooling(struct nx_lower *l);
enum nx_status nx_lower_fully_connected(struct nx_lower *l);
enum nx_status nx_lower_activation(struct nx_lower *l);
enum nx_status nx_lower_leaky_relu(struct nx_lower *l);
enum nx_status nx_lower_lrn(struct nx_lower *l);
enum nx_status nx_lower_l2_normalization(struct nx_lower *l);

/* lower_math.c */
enum nx_status nx_lower_unary(struct nx_lower *l);  /* detail: nx_unary, no parameter */
enum nx_status nx_lower_scalar(struct nx_lower *l); /* detail: nx_unary with a = `scalar` */
enum nx_status nx_lower_minus_scalar(struct nx_lower *l);
enum nx_status nx_lower_negative(struct nx_lower *l);
enum nx_status nx_lower_clip(struct nx_lower *l);
enum nx_status nx_lower_hard_sigmoid(struct nx_lower *l);
enum nx_status nx_lower_binary(struct nx_lower *l); /* detail: nx_binary */
enum nx_status nx_lower_add_n(struct nx_lower *l);
enum nx_status nx_lower_softmax_output(struct nx_lower *l);
enum nx_status nx_lower_softmax_activation(struct nx_lower *l);
enum nx_status nx_lower_softmax(struct nx_lower *l); /* detail: 1 = log */
enum nx_status nx_lower_reduce(struct nx_lower *l);  /* detail: nx_reduce */
enum nx_status nx_lower_identity(struct nx_lower *l);
enum nx_status nx_lower_cast(struct nx_lower *l);
enum nx_status nx_lower_reciprocal(struct nx_lower *l);
enum nx_status nx_lower_constant_like(struct nx_lower *l); /* detail: the value */
enum nx_status nx_lower_angle(struct nx_lower *l);         /* detail: 1 to degrees */

/* The attributes axis, keepdims and exclude. */
enum nx_status nx_lower_reduce_attr(struct nx_lower *l, struct nx_attr_reduce *a);

/* lower_wide.c */
enum nx_status nx_lower_layer_norm(struct nx_lower *l);
enum nx_status nx_lower_group_norm(struct nx_lower *l); /* detail: 0 of instances, 1 of groups */
enum nx_status nx_lower_matmul(struct nx_lower *l);     /* detail: 0 dot, 1 batch_dot, 2 gemm2 */
enum nx_status nx_lower_adaptive_pooling(struct nx_lower *l);
enum nx_status nx_lower_up_sampling(struct nx_lower *l);
enum nx_status nx_lower_bilinear_resize(struct nx_lower *l);
enum nx_status nx_lower_tile(struct nx_lower *l);
enum nx_status nx_lower_broadcast_to(struct nx_lower *l);
enum nx_status nx_lower_broadcast_like(struct nx_lower *l);
enum nx_status nx_lower_take(struct nx_lower *l);
enum nx_status nx_lower_embedding(struct nx_lower *l);
enum nx_status nx_lower_where(struct nx_lower *l);
enum nx_status nx_lower_arg_reduce(struct nx_lower *l); /* detail: nx_reduce */
enum nx_status nx_lower_topk(struct nx_lower *l);       /* detail: 0 topk, 1 sort, 2 argsort */
enum nx_status nx_lower_filled(struct nx_lower *l);     /* detail: the value, -1: an attribute */
enum nx_status nx_lower_arange(struct nx_lower *l);
enum nx_status nx_lower_one_hot(struct nx_lower *l);
enum nx_status nx_lower_softmin(struct nx_lower *l);
enum nx_status nx_lower_stack(struct nx_lower *l);
enum nx_status nx_lower_repeat(struct nx_lower *l);
enum nx_status nx_lower_flip(struct nx_lower *l);
enum nx_status nx_lower_depth_space(struct nx_lower *l); /* detail: 1 space to depth */
enum nx_status nx_lower_norm(struct nx_lower *l);
enum nx_status nx_lower_split_v2(struct nx_lower *l);
enum nx_status nx_lower_multicast(struct nx_lower *l);
enum nx_status nx_lower_npx_reshape(struct nx_lower *l); /* detail: 1 NumPy's codes only */

/* lower_layout.c */
enum nx_status nx_lower_concat(struct nx_lower *l);
enum nx_status nx_lower_flatten(struct nx_lower *l);
enum nx_status nx_lower_reshape(struct nx_lower *l);
enum nx_status nx_lower_expand_dims(struct nx_lower *l);
enum nx_status nx_lower_squeeze(struct nx_lower *l);
enum nx_status nx_lower_slice_channel(struct nx_lower *l);
enum nx_status nx_lower_slice_axis(struct nx_lower *l);
enum nx_status nx_lower_slice(struct nx_lower *l);
enum nx_status nx_lower_transpose(struct nx_lower *l);
enum nx_status nx_lower_swap_axis(struct nx_lower *l);
enum nx_status nx_lower_pad(struct nx_lower *l);

#endif
