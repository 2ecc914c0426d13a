#include <math.h>
#include <string.h>

#include "categorizer/graph/rewrite.h"

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

/* y = scale x + shift per channel: what BATCH_NORM and SCALE_SHIFT do. */
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

static enum nx_status read_affine(const struct nx_rewrite *rw, const struct nx_node *node,
                                  struct affine *a)
{
    struct nx_arena *arena = rw->graph->arena;
    a->channels = rw->graph->tensors[node->inputs[1]].shape.dims[0];
    a->scale = nx_arena_array(arena, (size_t)a->channels, sizeof *a->scale);
    a->shift = nx_arena_array(arena, (size_t)a->channels, sizeof *a->shift);
    if (!a->scale || !a->shift)
        return nx_err_set(rw->err, NX_NO_MEMORY, "out of memory to fold '%s'", node->name);
    if (node->op == NX_OP_BATCH_NORM)
        read_batch_norm(rw, node, a);
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

/* CONV or FC whose channels the node scales: dimension 1 of a convolution, the last of an FC. */
static struct nx_node *foldable_producer(const struct nx_rewrite *rw, const struct nx_node *node)
{
    struct nx_node *dot = nx_rewrite_only_producer(rw, node->inputs[0]);
    if (!dot || (dot->op != NX_OP_CONV && dot->op != NX_OP_FC) || dot->post.sum ||
        dot->post.act.fn != NX_UNARY_NONE)
        return NULL;
    int32_t axis =
        node->op == NX_OP_BATCH_NORM ? node->attr.batch_norm.axis : node->attr.scale_shift.axis;
    uint32_t rank = rw->graph->tensors[node->inputs[0]].shape.rank;
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
    NX_TRY(scaled_weight(rw, dot->inputs[1], &a, &weight));
    NX_TRY(folded_bias(rw, node->name, old_bias, &a, &bias));
    inputs[0] = dot->inputs[0];
    inputs[1] = weight;
    inputs[2] = bias;
    dot->inputs = inputs;
    dot->n_inputs = 3;
    return NX_OK;
}

static bool is_affine(const struct nx_rewrite *rw, const struct nx_node *node)
{
    return (node->op == NX_OP_BATCH_NORM || node->op == NX_OP_SCALE_SHIFT) &&
           node->post.act.fn == NX_UNARY_NONE && has_constant_vectors(rw, node);
}

enum nx_status nx_pass_fold_bn(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        struct nx_node *dot = is_affine(&rw, node) ? foldable_producer(&rw, node) : NULL;
        if (!dot)
            continue;
        NX_TRY(fold_into(&rw, dot, node));
        nx_rewrite_drop(&rw, i, node->inputs[0]);
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
