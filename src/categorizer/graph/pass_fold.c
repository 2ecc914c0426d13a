#include <math.h>
#include <string.h>

#include "categorizer/graph/rewrite.h"
#include "common/nx_assert.h"

enum { PADDING_MAX = 1 << 15 };

static bool pads_image_with_zeros(const struct nx_attr_pad *a)
{
    bool image_only = a->n == 4 && !a->before[0] && !a->after[0] && !a->before[1] && !a->after[1];
    bool small = image_only && a->before[2] <= PADDING_MAX && a->after[2] <= PADDING_MAX &&
                 a->before[3] <= PADDING_MAX && a->after[3] <= PADDING_MAX;
    return small && a->mode == NX_PAD_CONSTANT && a->value == 0;
}

/* The convolution pads its input by itself; the PAD dies if nobody else reads it. */
static void take_padding(struct nx_rewrite *rw, struct nx_node *conv)
{
    const struct nx_tensor *x = &rw->graph->tensors[conv->inputs[0]];
    if (x->kind != NX_TENSOR_COMPUTED || rw->graph->nodes[x->producer].op != NX_OP_PAD)
        return;
    const struct nx_node *pad = &rw->graph->nodes[x->producer];
    struct nx_window *w = &conv->attr.conv.window;
    for (int i = 0; i < 2; i++)
        if (w->before[i] > PADDING_MAX || w->after[i] > PADDING_MAX)
            return;
    if (!pads_image_with_zeros(&pad->attr.pad))
        return;
    for (int i = 0; i < 2; i++) {
        w->before[i] += (int32_t)pad->attr.pad.before[2 + i];
        w->after[i] += (int32_t)pad->attr.pad.after[2 + i];
    }
    conv->inputs[0] = pad->inputs[0];
}

enum nx_status nx_pass_pad(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        if (node->op == NX_OP_CONV)
            take_padding(&rw, node);
    }
    return nx_rewrite_end(&rw);
}

/* y = scale x + shift per channel: what BATCH_NORM and SCALE_SHIFT do, and a sum or product with one constant for each
 * channel. */
struct affine {
    double *scale, *shift;
    int64_t channels;
};

static bool has_constant_vectors(const struct nx_rewrite *rw, const struct nx_node *node)
{
    for (uint32_t i = 1; i < node->n_inputs; i++)
        if (!nx_rewrite_data(rw, node->inputs[i]))
            return false;
    return true;
}

static void read_batch_norm(const struct nx_rewrite *rw, const struct nx_node *node,
                            struct affine *a)
{
    const float *gamma = nx_rewrite_data(rw, node->inputs[1]);
    const float *beta = nx_rewrite_data(rw, node->inputs[2]);
    const float *mean = nx_rewrite_data(rw, node->inputs[3]);
    const float *var = nx_rewrite_data(rw, node->inputs[4]);
    const struct nx_attr_batch_norm *attr = &node->attr.batch_norm;
    for (int64_t c = 0; c < a->channels; c++) {
        double g = attr->fix_gamma ? 1 : (double)gamma[c];
        a->scale[c] = g / sqrt((double)var[c] + (double)attr->eps);
        a->shift[c] = (double)beta[c] - (double)mean[c] * a->scale[c];
    }
}

static void read_scale_shift(const struct nx_rewrite *rw, const struct nx_node *node,
                             struct affine *a)
{
    const float *scale = nx_rewrite_data(rw, node->inputs[1]);
    const float *shift = nx_rewrite_data(rw, node->inputs[2]);
    for (int64_t c = 0; c < a->channels; c++) {
        a->scale[c] = (double)scale[c];
        a->shift[c] = (double)shift[c];
    }
}

/* The constant of a BINARY that has one value for each place along one dimension of the result: which operand is it?
 * -1: there is none. */
static int vector_operand(const struct nx_rewrite *rw, const struct nx_node *node, int32_t *axis)
{
    const struct nx_shape *y = &rw->graph->tensors[node->outputs[0]].shape;
    for (int side = 0; side < 2; side++) {
        const struct nx_tensor *t = &rw->graph->tensors[node->inputs[side]];
        uint32_t wide = 0, n_wide = 0;
        for (uint32_t i = 0; i < t->shape.rank; i++)
            if (t->shape.dims[i] != 1) {
                wide = i + y->rank - t->shape.rank;
                n_wide++;
            }
        if (!t->data || n_wide != 1 || t->shape.rank > y->rank)
            continue;
        *axis = (int32_t)wide;
        return side;
    }
    return -1;
}

/* The node as an affine of *x along *axis of it; false: it is none that is known now. */
static bool is_affine(const struct nx_rewrite *rw, const struct nx_node *node, uint32_t *x,
                      int32_t *axis)
{
    bool binary = node->op == NX_OP_BINARY && (node->attr.binary.kind == NX_BINARY_ADD ||
                                               node->attr.binary.kind == NX_BINARY_MUL);
    bool norm = node->op == NX_OP_BATCH_NORM || node->op == NX_OP_SCALE_SHIFT;
    if (node->post.act.fn != NX_UNARY_NONE || (!binary && !norm))
        return false;
    if (norm) {
        *x = node->inputs[0];
        *axis =
            node->op == NX_OP_BATCH_NORM ? node->attr.batch_norm.axis : node->attr.scale_shift.axis;
        return has_constant_vectors(rw, node);
    }
    int side = vector_operand(rw, node, axis);
    *x = side < 0 ? NX_NONE : node->inputs[1 - side];
    return side >= 0 && nx_shape_equal(&rw->graph->tensors[*x].shape,
                                       &rw->graph->tensors[node->outputs[0]].shape);
}

static void read_binary(const struct nx_rewrite *rw, const struct nx_node *node, struct affine *a)
{
    int32_t axis;
    const float *values = nx_rewrite_data(rw, node->inputs[vector_operand(rw, node, &axis)]);
    bool adds = node->attr.binary.kind == NX_BINARY_ADD;
    for (int64_t c = 0; c < a->channels; c++) {
        a->scale[c] = adds ? 1 : (double)values[c];
        a->shift[c] = adds ? (double)values[c] : 0;
    }
}

static enum nx_status read_affine(const struct nx_rewrite *rw, const struct nx_node *node,
                                  struct affine *a)
{
    struct nx_arena *arena = rw->graph->arena;
    uint32_t x;
    int32_t axis;
    nx_assert(is_affine(rw, node, &x, &axis));
    a->channels = rw->graph->tensors[x].shape.dims[axis];
    a->scale = nx_arena_array(arena, (size_t)a->channels, sizeof *a->scale);
    a->shift = nx_arena_array(arena, (size_t)a->channels, sizeof *a->shift);
    if (!a->scale || !a->shift)
        return nx_err_set(rw->err, NX_NO_MEMORY, "out of memory to fold '%s'", node->name);
    if (node->op == NX_OP_BATCH_NORM)
        read_batch_norm(rw, node, a);
    else if (node->op == NX_OP_BINARY)
        read_binary(rw, node, a);
    else
        read_scale_shift(rw, node, a);
    return NX_OK;
}

static enum nx_status add_constant(struct nx_rewrite *rw, const char *name,
                                   const struct nx_shape *shape, float **data, uint32_t *index)
{
    uint64_t elements = 0;
    if (!nx_shape_elements(shape, &elements))
        return nx_err_set(rw->err, NX_TOO_LARGE, "'%s' is too large", name);
    *data = nx_arena_array(rw->graph->arena, elements, sizeof **data);
    if (!*data)
        return nx_err_set(rw->err, NX_NO_MEMORY, "out of memory to fold '%s'", name);
    return nx_graph_add_constant(rw->graph, name, shape, *data, index, rw->err);
}

static enum nx_status scaled_weight(struct nx_rewrite *rw, uint32_t weight, const struct affine *a,
                                    uint32_t *index)
{
    struct nx_shape shape = rw->graph->tensors[weight].shape;
    const float *from = nx_rewrite_data(rw, weight);
    float *to;
    NX_TRY(add_constant(rw, rw->graph->tensors[weight].name, &shape, &to, index));
    int64_t row = 1;
    for (uint32_t i = 1; i < shape.rank; i++)
        row *= shape.dims[i];
    for (int64_t o = 0; o < a->channels; o++)
        for (int64_t k = 0; k < row; k++)
            to[o * row + k] = (float)((double)from[o * row + k] * a->scale[o]);
    return NX_OK;
}

static enum nx_status folded_bias(struct nx_rewrite *rw, const char *name, const float *bias,
                                  const struct affine *a, uint32_t *index)
{
    struct nx_shape shape = {1, {a->channels}};
    float *to;
    NX_TRY(add_constant(rw, name, &shape, &to, index));
    for (int64_t o = 0; o < a->channels; o++)
        to[o] = (float)((bias ? (double)bias[o] * a->scale[o] : 0) + a->shift[o]);
    return NX_OK;
}

/* CONV or FC whose channels an affine of x along `axis` scales: dimension 1 of a convolution, the last of an FC, or
 * what a transposition in between makes of them. */
static struct nx_node *foldable_producer(const struct nx_rewrite *rw, uint32_t x, int32_t axis)
{
    struct nx_node *dot = nx_rewrite_only_producer(rw, x);
    if (dot && dot->op == NX_OP_TRANSPOSE) {
        axis = dot->attr.transpose.perm[axis];
        x = dot->inputs[0];
        dot = nx_rewrite_only_producer(rw, x);
    }
    if (!dot || (dot->op != NX_OP_CONV && dot->op != NX_OP_FC) || dot->post.sum ||
        dot->post.act.fn != NX_UNARY_NONE)
        return NULL;
    uint32_t rank = rw->graph->tensors[x].shape.rank;
    if (axis != (dot->op == NX_OP_CONV ? 1 : (int32_t)rank - 1))
        return NULL;
    for (uint32_t i = 1; i < dot->n_inputs; i++)
        if (!nx_rewrite_data(rw, dot->inputs[i]))
            return NULL;
    return dot;
}

static enum nx_status fold_into(struct nx_rewrite *rw, struct nx_node *dot,
                                const struct nx_node *node)
{
    struct affine a;
    uint32_t weight, bias;
    const float *old_bias = nx_node_has_bias(dot) ? nx_rewrite_data(rw, dot->inputs[2]) : NULL;
    uint32_t *inputs = nx_arena_array(rw->graph->arena, 3, sizeof *inputs);
    if (!inputs)
        return nx_err_set(rw->err, NX_NO_MEMORY, "out of memory to fold '%s'", node->name);
    NX_TRY(read_affine(rw, node, &a));
    bool adds = node->op == NX_OP_BINARY && node->attr.binary.kind == NX_BINARY_ADD;
    weight = dot->inputs[1];
    if (!adds)
        NX_TRY(scaled_weight(rw, weight, &a, &weight));
    NX_TRY(folded_bias(rw, node->name, old_bias, &a, &bias));
    inputs[0] = dot->inputs[0];
    inputs[1] = weight;
    inputs[2] = bias;
    dot->inputs = inputs;
    dot->n_inputs = 3;
    return NX_OK;
}

enum nx_status nx_pass_fold_bn(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        uint32_t x;
        int32_t axis;
        struct nx_node *dot =
            is_affine(&rw, node, &x, &axis) ? foldable_producer(&rw, x, axis) : NULL;
        if (!dot)
            continue;
        NX_TRY(fold_into(&rw, dot, node));
        nx_rewrite_drop(&rw, i, x);
    }
    return nx_rewrite_end(&rw);
}

static enum nx_status to_scale_shift(struct nx_rewrite *rw, struct nx_node *node)
{
    struct affine a;
    NX_TRY(read_affine(rw, node, &a));
    struct nx_shape shape = {1, {a.channels}};
    float *scale, *shift;
    NX_TRY(add_constant(rw, node->name, &shape, &scale, &node->inputs[1]));
    NX_TRY(add_constant(rw, node->name, &shape, &shift, &node->inputs[2]));
    for (int64_t c = 0; c < a.channels; c++) {
        scale[c] = (float)a.scale[c];
        shift[c] = (float)a.shift[c];
    }
    int32_t axis = node->attr.batch_norm.axis;
    node->op = NX_OP_SCALE_SHIFT;
    node->attr.scale_shift = (struct nx_attr_scale_shift){axis};
    node->n_inputs = 3;
    return NX_OK;
}

enum nx_status nx_pass_scale_shift(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        if (node->op == NX_OP_BATCH_NORM && has_constant_vectors(&rw, node))
            NX_TRY(to_scale_shift(&rw, node));
    }
    return nx_rewrite_end(&rw);
}
