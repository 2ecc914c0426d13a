/* Convolutions, and fully connected layers as such: (N, C, H, W) times (O, C H W) is a 1x1 convolution of
 * (N, 1, 1, H W C) once the weights are in that order. */
#include "categorizer/gpu/gpu_build.h"

static bool conv_takes(const struct nx_attr_unary *act)
{
    switch (act->fn) {
    case NX_UNARY_NONE:
    case NX_UNARY_RELU:
    case NX_UNARY_LEAKY: return true;
    case NX_UNARY_CLIP: return act->a == 0 && act->b > 0; /* ReLU6 */
    default: return false;
    }
}

static struct nx_gpu_operand plain(const struct nx_gpu_value *value)
{
    return (struct nx_gpu_operand){
        .buffer = value->buffer, .type = value->type, .start = value->start};
}

static const struct nx_gpu_operand none = {.buffer = NX_NONE};

static bool is_constant(const struct nx_gpu_build *b, uint32_t input)
{
    return b->graph.tensors[b->node->inputs[input]].kind == NX_TENSOR_CONSTANT;
}

/* Bias, residual and y of a step that has its image and its filter. */
static enum nx_status finish_dot(struct nx_gpu_build *b, struct nx_gpu_step *step)
{
    const struct nx_node *node = b->node;
    uint32_t out = node->outputs[0], last = node->inputs[node->n_inputs - 1];
    bool takes = conv_takes(&node->post.act);
    int64_t pitch = nx_gpu_shape(b, out)->rank == 4 ? step->out.c : 0;
    struct nx_gpu_value value;
    step->n_x = 4;
    step->x[2] = step->x[3] = none;
    if (nx_node_has_bias(node)) {
        NX_TRY(nx_gpu_weights_rows(b, node->inputs[2], b->plan->type, &value));
        step->x[2] = plain(&value);
    }
    if (node->post.sum) {
        NX_TRY(nx_gpu_value_image(b, last, true, &value));
        step->x[3] = plain(&value);
    }
    if (takes)
        step->act = node->post.act;
    NX_TRY(nx_gpu_value_new(b, out, pitch, &value));
    step->y = plain(&value);
    NX_TRY(nx_gpu_step_add(b, step));
    if (takes)
        return NX_OK;
    struct nx_gpu_value before = value;
    const struct nx_shape *shape = nx_gpu_shape(b, out);
    NX_TRY(nx_gpu_value_new(b, out, pitch, &value));
    struct nx_gpu_step each = nx_gpu_each(b, out, &value);
    each.x[0] = nx_gpu_operand_of(&before, shape, shape);
    each.act = node->post.act;
    return nx_gpu_step_add(b, &each);
}

enum nx_status nx_gpu_lower_conv(struct nx_gpu_build *b)
{
    const struct nx_node *node = b->node;
    const struct nx_attr_conv *a = &node->attr.conv;
    const struct nx_shape *x = nx_gpu_shape(b, node->inputs[0]),
                          *y = nx_gpu_shape(b, node->outputs[0]);
    struct nx_gpu_value image, filter;
    if (!is_constant(b, 1) || (nx_node_has_bias(node) && !is_constant(b, 2)))
        return nx_gpu_refuse(b, "its weights are computed");
    NX_TRY(nx_gpu_value_image(b, node->inputs[0], a->groups > 1, &image));
    const int64_t crs[] = {x->dims[1] / a->groups, a->window.kernel[0], a->window.kernel[1]};
    NX_TRY(nx_gpu_weights_filter(b, node->inputs[1], crs, image.pitch / a->groups, &filter));
    struct nx_gpu_step step = {.kind = NX_GPU_CONV,
                               .x = {plain(&image), plain(&filter)},
                               .in = {x->dims[0], image.pitch, x->dims[2], x->dims[3]},
                               .out = {y->dims[0], y->dims[1], y->dims[2], y->dims[3]},
                               .window = a->window,
                               .groups = a->groups};
    return finish_dot(b, &step);
}

enum nx_status nx_gpu_lower_fc(struct nx_gpu_build *b)
{
    const struct nx_node *node = b->node;
    const struct nx_shape *x = nx_gpu_shape(b, node->inputs[0]),
                          *w = nx_gpu_shape(b, node->inputs[1]);
    struct nx_gpu_value image, filter;
    if (!is_constant(b, 1) || (nx_node_has_bias(node) && !is_constant(b, 2)))
        return nx_gpu_refuse(b, "its weights are computed");
    bool turned = node->attr.fc.flatten && x->rank == 4;
    int64_t crs[] = {w->dims[1], 1, 1}, pitch = w->dims[1], rows = 1;
    if (turned || x->rank != 4)
        NX_TRY(nx_gpu_value_image(b, node->inputs[0], false, &image));
    else
        NX_TRY(nx_gpu_value_rows(b, node->inputs[0], &image));
    if (image.type != b->plan->type)
        return nx_gpu_refuse(b, "it reads a constant");
    if (turned) {
        for (int i = 0; i < 3; i++)
            crs[i] = x->dims[i + 1];
        pitch = image.pitch;
    }
    NX_TRY(nx_gpu_weights_filter(b, node->inputs[1], crs, pitch, &filter));
    const struct nx_shape *y = nx_gpu_shape(b, node->outputs[0]);
    for (uint32_t i = 0; i + 1 < y->rank; i++)
        rows *= y->dims[i];
    struct nx_gpu_step step = {
        .kind = NX_GPU_CONV,
        .x = {plain(&image), plain(&filter)},
        .in = {rows, crs[1] * crs[2] * pitch, 1, 1},
        .out = {rows, w->dims[0], 1, 1},
        .window = {.kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1}},
        .groups = 1,
    };
    if (y->rank == 4)
        return nx_gpu_refuse(b, "its output has four dimensions");
    return finish_dot(b, &step);
}
