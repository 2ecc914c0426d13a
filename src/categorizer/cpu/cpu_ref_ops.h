/* cpu_ref_ops.h — one op in plain C, as its definition reads; for cpu_ref.c, and for what
 * cpu_dnnl leaves to it.
 *
 * buffer[t] is tensor t of the graph: dense row-major f32 of the inferred shape. A kernel reads its
 * node's inputs and writes its outputs, which do not overlap, except that the output of a node with
 * post.sum may be its residual. Sums are taken in double. Nothing can fail: shape.h has checked. */
#ifndef NX_CATEGORIZER_CPU_CPU_REF_OPS_H
#define NX_CATEGORIZER_CPU_CPU_REF_OPS_H

#include "categorizer/graph/graph.h"
#include "categorizer/graph/half_round.h"
#include "categorizer/graph/step_round.h"

struct nx_ref_call {
    const struct nx_graph *graph;
    const struct nx_node *node;
    float *const *buffer;
};

static inline const float *nx_ref_in(const struct nx_ref_call *c, uint32_t i)
{
    return c->buffer[c->node->inputs[i]];
}

static inline float *nx_ref_out(const struct nx_ref_call *c, uint32_t i)
{
    return c->buffer[c->node->outputs[i]];
}

static inline const struct nx_shape *nx_ref_in_shape(const struct nx_ref_call *c, uint32_t i)
{
    return &c->graph->tensors[c->node->inputs[i]].shape;
}

static inline const struct nx_shape *nx_ref_out_shape(const struct nx_ref_call *c, uint32_t i)
{
    return &c->graph->tensors[c->node->outputs[i]].shape;
}

/* Product of the dimensions first … last-1. */
static inline int64_t nx_ref_product(const struct nx_shape *shape, uint32_t first, uint32_t last)
{
    int64_t product = 1;
    for (uint32_t i = first; i < last; i++)
        product *= shape->dims[i];
    return product;
}

typedef void (*nx_ref_kernel)(const struct nx_ref_call *c);
extern const nx_ref_kernel nx_ref_kernels[NX_OP_COUNT]; /* one for each op */

float nx_ref_unary(const struct nx_attr_unary *unary, float x);

float nx_mod(float a, float b); /* see graph.h */

/* How far one step along each of y's dimensions moves in x; 0 where x is broadcast. */
void nx_ref_steps(const struct nx_shape *x, const struct nx_shape *y, int64_t *steps);
int64_t nx_ref_offset(const int64_t *index, const int64_t *steps, uint32_t rank);
void nx_ref_next(int64_t *index, const struct nx_shape *shape); /* in row-major order */

/* cpu_ref_conv.c: dot products and windows */
void nx_ref_conv(const struct nx_ref_call *c);
void nx_ref_fc(const struct nx_ref_call *c);
void nx_ref_deconv(const struct nx_ref_call *c);
void nx_ref_pool(const struct nx_ref_call *c);

/* cpu_ref_math.c: element by element, and normalisations */
void nx_ref_batch_norm(const struct nx_ref_call *c);
void nx_ref_scale_shift(const struct nx_ref_call *c);
void nx_ref_unary_op(const struct nx_ref_call *c);
void nx_ref_prelu(const struct nx_ref_call *c);
void nx_ref_binary(const struct nx_ref_call *c);
void nx_ref_softmax(const struct nx_ref_call *c);
void nx_ref_reduce(const struct nx_ref_call *c);
void nx_ref_lrn(const struct nx_ref_call *c);
void nx_ref_l2_norm(const struct nx_ref_call *c);

/* cpu_ref_wide.c */
void nx_ref_matmul(const struct nx_ref_call *c);
void nx_ref_layer_norm(const struct nx_ref_call *c);
void nx_ref_group_norm(const struct nx_ref_call *c);
void nx_ref_where(const struct nx_ref_call *c);
void nx_ref_tile(const struct nx_ref_call *c);
void nx_ref_gather(const struct nx_ref_call *c);
void nx_ref_gather_each(const struct nx_ref_call *c);
void nx_ref_resize(const struct nx_ref_call *c);

/* cpu_ref_topk.c */
void nx_ref_topk(const struct nx_ref_call *c);

/* cpu_ref_layout.c: elements moved, nothing computed */
void nx_ref_concat(const struct nx_ref_call *c);
void nx_ref_copy(const struct nx_ref_call *c); /* RESHAPE, IDENTITY */
void nx_ref_split(const struct nx_ref_call *c);
void nx_ref_slice(const struct nx_ref_call *c);
void nx_ref_transpose(const struct nx_ref_call *c);
void nx_ref_pad(const struct nx_ref_call *c);

#endif
