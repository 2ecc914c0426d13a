/* Pooling, reductions that are pooling, and the two normalisations along an axis. */
#include "categorizer/gpu/gpu_build.h"

static struct nx_gpu_operand plain(const struct nx_gpu_value *value)
{
    return (struct nx_gpu_operand){
        .buffer = value->buffer, .type = value->type, .start = value->start};
}

static struct nx_gpu_image image_of(const struct nx_shape *shape, int64_t pitch)
{
    return (struct nx_gpu_image){shape->dims[0], pitch, shape->dims[2], shape->dims[3]};
}

static enum nx_status windows(struct nx_gpu_build *b, struct nx_gpu_step *step)
{
    uint32_t in = b->node->inputs[0], out = b->node->outputs[0];
    struct nx_gpu_value x, y;
    NX_TRY(nx_gpu_value_image(b, in, false, &x));
    NX_TRY(nx_gpu_value_new(b, out, x.pitch, &y));
    step->n_x = 1;
    step->x[0] = plain(&x);
    step->y = plain(&y);
    step->in = image_of(nx_gpu_shape(b, in), x.pitch);
    step->out = image_of(nx_gpu_shape(b, out), x.pitch);
    return nx_gpu_step_add(b, step);
}

enum nx_status nx_gpu_lower_pool(struct nx_gpu_build *b)
{
    struct nx_gpu_step step = {.kind = NX_GPU_POOL, .pool = b->node->attr.pool};
    return windows(b, &step);
}

enum nx_status nx_gpu_lower_lrn(struct nx_gpu_build *b)
{
    struct nx_gpu_step step = {.kind = NX_GPU_LRN, .lrn = b->node->attr.lrn};
    return windows(b, &step);
}

/* Over H and W it is global pooling. */
enum nx_status nx_gpu_lower_reduce(struct nx_gpu_build *b)
{
    const struct nx_attr_reduce *a = &b->node->attr.reduce;
    uint32_t in = b->node->inputs[0], out = b->node->outputs[0];
    const struct nx_shape *shape = nx_gpu_shape(b, in);
    bool knows = a->kind == NX_REDUCE_MEAN || a->kind == NX_REDUCE_SUM || a->kind == NX_REDUCE_MAX;
    if (shape->rank != 4 || a->mask != 0xc || !knows)
        return nx_gpu_refuse(b, "only mean, sum and max over height and width are known");
    struct nx_gpu_value x, y;
    NX_TRY(nx_gpu_value_image(b, in, true, &x));
    NX_TRY(nx_gpu_value_new(b, out, nx_gpu_shape(b, out)->rank == 4 ? x.pitch : 0, &y));
    struct nx_gpu_step step = {
        .kind = NX_GPU_POOL,
        .n_x = 1,
        .x = {plain(&x)},
        .y = plain(&y),
        .in = image_of(shape, x.pitch),
        .out = {shape->dims[0], x.pitch, 1, 1},
        .pool = {.kind = a->kind == NX_REDUCE_MEAN  ? NX_POOL_AVG
                         : a->kind == NX_REDUCE_SUM ? NX_POOL_SUM
                                                    : NX_POOL_MAX,
                 .even = true,
                 .window = {.kernel = {(int32_t)shape->dims[2], (int32_t)shape->dims[3]},
                            .stride = {1, 1},
                            .dilate = {1, 1}}}};
    return nx_gpu_step_add(b, &step);
}

/* All of a row as one line. */
static enum nx_status softmax_of_rows(struct nx_gpu_build *b, struct nx_gpu_step *step)
{
    uint32_t in = b->node->inputs[0], out = b->node->outputs[0];
    const struct nx_shape *shape = nx_gpu_shape(b, in);
    struct nx_shape two = {.rank = 2, .dims = {shape->dims[0], 1}};
    struct nx_gpu_value x, y;
    for (uint32_t i = 1; i < shape->rank; i++)
        two.dims[1] *= shape->dims[i];
    NX_TRY(nx_gpu_value_rows(b, in, &x));
    NX_TRY(nx_gpu_value_new(b, out, 0, &y));
    step->rank = 2;
    step->dims[0] = two.dims[0];
    step->dims[1] = two.dims[1];
    step->axis = 1;
    step->x[0] = nx_gpu_operand_of(&x, &two, &two);
    step->y = nx_gpu_operand_of(&y, &two, &two);
    return nx_gpu_step_add(b, step);
}

enum nx_status nx_gpu_lower_softmax(struct nx_gpu_build *b)
{
    const struct nx_attr_softmax *a = &b->node->attr.softmax;
    uint32_t in = b->node->inputs[0], out = b->node->outputs[0];
    const struct nx_shape *shape = nx_gpu_shape(b, in);
    struct nx_gpu_step step = {
        .kind = NX_GPU_SOFTMAX, .n_x = 1, .log = a->log, .temperature = a->temperature};
    if (a->axis == NX_AXIS_REST)
        return softmax_of_rows(b, &step);
    struct nx_gpu_value x, y;
    NX_TRY(nx_gpu_value_native(b, in, &x));
    NX_TRY(nx_gpu_value_new(b, out, shape->rank == 4 ? shape->dims[1] : 0, &y));
    step.rank = shape->rank;
    for (uint32_t i = 0; i < shape->rank; i++)
        step.dims[i] = shape->dims[i];
    step.axis = (uint32_t)a->axis;
    step.x[0] = nx_gpu_operand_of(&x, shape, shape);
    step.y = nx_gpu_operand_of(&y, shape, shape);
    return nx_gpu_step_add(b, &step);
}
