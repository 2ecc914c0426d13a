/* What is computed element by element, and what only moves elements. */
#include "categorizer/gpu/gpu_build.h"

/* The node's i-th input, broadcast over its output. */
static enum nx_status operand(struct nx_gpu_build *b, uint32_t i, struct nx_gpu_operand *x)
{
    uint32_t in = b->node->inputs[i];
    struct nx_gpu_value value;
    NX_TRY(nx_gpu_value_native(b, in, &value));
    *x = nx_gpu_operand_of(&value, nx_gpu_shape(b, in), nx_gpu_shape(b, b->node->outputs[0]));
    return NX_OK;
}

/* A vector along one dimension of the output. */
static enum nx_status along(struct nx_gpu_build *b, uint32_t i, uint32_t axis,
                            struct nx_gpu_operand *x)
{
    uint32_t in = b->node->inputs[i];
    struct nx_gpu_value value;
    NX_TRY(nx_gpu_value_rows(b, in, &value));
    *x = (struct nx_gpu_operand){.buffer = value.buffer, .type = value.type, .start = value.start};
    x->stride[axis] = nx_gpu_shape(b, in)->dims[0] == 1 ? 0 : 1;
    return NX_OK;
}

/* Step over the node's only output, its first input set. */
static enum nx_status open_step(struct nx_gpu_build *b, struct nx_gpu_step *step)
{
    uint32_t out = b->node->outputs[0];
    struct nx_gpu_value y;
    struct nx_gpu_operand x;
    NX_TRY(operand(b, 0, &x));
    NX_TRY(nx_gpu_value_new(b, out, nx_gpu_pitch_for(nx_gpu_shape(b, out)), &y));
    *step = nx_gpu_each(b, out, &y);
    step->x[0] = x;
    step->act = b->node->post.act;
    return NX_OK;
}

enum nx_status nx_gpu_lower_scale_shift(struct nx_gpu_build *b)
{
    uint32_t axis = (uint32_t)b->node->attr.scale_shift.axis;
    struct nx_gpu_step step;
    NX_TRY(open_step(b, &step));
    step.fn = NX_GPU_SCALE_SHIFT;
    step.n_x = 3;
    NX_TRY(along(b, 1, axis, &step.x[1]));
    NX_TRY(along(b, 2, axis, &step.x[2]));
    return nx_gpu_step_add(b, &step);
}

enum nx_status nx_gpu_lower_each(struct nx_gpu_build *b)
{
    const struct nx_node *node = b->node;
    struct nx_gpu_step step;
    NX_TRY(open_step(b, &step));
    step.n_x = node->n_inputs;
    if (node->op == NX_OP_PRELU) {
        step.fn = NX_GPU_PRELU;
        NX_TRY(along(b, 1, 1, &step.x[1]));
        return nx_gpu_step_add(b, &step);
    }
    for (uint32_t i = 1; i < node->n_inputs; i++)
        NX_TRY(operand(b, i, &step.x[i]));
    if (node->op == NX_OP_UNARY)
        step.act = node->attr.unary;
    if (node->op == NX_OP_BINARY) {
        step.fn = NX_GPU_BINARY;
        step.binary = node->attr.binary.kind;
    }
    if (node->op == NX_OP_WHERE)
        step.fn = NX_GPU_SELECT;
    return nx_gpu_step_add(b, &step);
}

/* Each input into its part of the output. */
enum nx_status nx_gpu_lower_concat(struct nx_gpu_build *b)
{
    const struct nx_node *node = b->node;
    uint32_t out = node->outputs[0], axis = (uint32_t)node->attr.concat.axis;
    const struct nx_shape *ys = nx_gpu_shape(b, out);
    struct nx_gpu_value x, y;
    int64_t at = 0;
    NX_TRY(nx_gpu_value_new(b, out, ys->rank == 4 ? ys->dims[1] : 0, &y));
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct nx_shape *xs = nx_gpu_shape(b, node->inputs[i]);
        NX_TRY(nx_gpu_value_native(b, node->inputs[i], &x));
        struct nx_gpu_step step = nx_gpu_each(b, out, &y);
        step.x[0] = nx_gpu_operand_of(&x, xs, xs);
        step.y.start += (uint64_t)(at * step.y.stride[axis]);
        step.dims[axis] = xs->dims[axis];
        at += xs->dims[axis];
        NX_TRY(nx_gpu_step_add(b, &step));
    }
    return NX_OK;
}

/* The same rows under another shape; no step if they are rows already. */
enum nx_status nx_gpu_lower_reshape(struct nx_gpu_build *b)
{
    return nx_gpu_value_rows(b, b->node->inputs[0], &b->values[b->node->outputs[0]].native);
}

/* Where along x the k-th output's dimension i runs: x's own dimension. */
static uint32_t source_dim(const struct nx_node *node, uint32_t i)
{
    if (node->op == NX_OP_TRANSPOSE)
        return (uint32_t)node->attr.transpose.perm[i];
    bool skips = node->op == NX_OP_SPLIT && node->attr.split.squeeze;
    return skips && i >= (uint32_t)node->attr.split.axis ? i + 1 : i;
}

static enum nx_status lower_output(struct nx_gpu_build *b, uint32_t k,
                                   const struct nx_gpu_operand *whole)
{
    const struct nx_node *node = b->node;
    const struct nx_shape *xs = nx_gpu_shape(b, node->inputs[0]),
                          *ys = nx_gpu_shape(b, node->outputs[k]);
    struct nx_gpu_value y;
    NX_TRY(nx_gpu_value_new(b, node->outputs[k], nx_gpu_pitch_for(ys), &y));
    struct nx_gpu_step step = nx_gpu_each(b, node->outputs[k], &y);
    int64_t start = (int64_t)whole->start;
    step.x[0] = *whole;
    for (uint32_t i = 0; i < NX_RANK_MAX; i++)
        step.x[0].stride[i] = i < ys->rank ? whole->stride[source_dim(node, i)] : 0;
    if (node->op == NX_OP_SPLIT) {
        uint32_t axis = (uint32_t)node->attr.split.axis;
        start += k * (xs->dims[axis] / node->n_outputs) * whole->stride[axis];
    }
    for (uint32_t i = 0; node->op == NX_OP_SLICE && i < xs->rank; i++) {
        start += node->attr.slice.first[i] * whole->stride[i];
        step.x[0].stride[i] *= node->attr.slice.stride[i];
    }
    step.x[0].start = (uint64_t)start;
    return nx_gpu_step_add(b, &step);
}

enum nx_status nx_gpu_lower_part(struct nx_gpu_build *b)
{
    uint32_t in = b->node->inputs[0];
    const struct nx_shape *xs = nx_gpu_shape(b, in);
    struct nx_gpu_value x;
    NX_TRY(nx_gpu_value_native(b, in, &x));
    struct nx_gpu_operand whole = nx_gpu_operand_of(&x, xs, xs);
    for (uint32_t k = 0; k < b->node->n_outputs; k++)
        NX_TRY(lower_output(b, k, &whole));
    return NX_OK;
}
