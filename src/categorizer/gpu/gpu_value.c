#include "categorizer/gpu/gpu_build.h"

#include <string.h>

#include "common/nx_assert.h"

enum nx_status nx_gpu_out_of_memory(struct nx_gpu_build *b)
{
    return nx_err_set(b->err, NX_NO_MEMORY, "gpu_cudnn: out of memory for the plan");
}

/* Room for one more of `n` things; arrays double, the old ones stay in the arena till the end. */
static bool grow(struct nx_arena *arena, void **array, uint32_t n, uint32_t *cap, size_t bytes)
{
    if (n < *cap)
        return true;
    uint32_t more = *cap ? *cap * 2 : 64;
    void *larger = nx_arena_array(arena, more, bytes);
    if (!larger)
        return false;
    if (n)
        memcpy(larger, *array, n * bytes);
    *array = larger;
    *cap = more;
    return true;
}

enum nx_status nx_gpu_buffer_new(struct nx_gpu_build *b, enum nx_gpu_place place, uint64_t bytes,
                                 uint32_t *buffer)
{
    struct nx_gpu_variant *v = b->v;
    void *array = v->buffers;
    if (!grow(&b->plan->arena, &array, v->n_buffers, &v->cap_buffers, sizeof *v->buffers))
        return nx_gpu_out_of_memory(b);
    v->buffers = array;
    *buffer = v->n_buffers++;
    v->buffers[*buffer] = (struct nx_gpu_buffer){
        .place = place, .first = v->n_steps, .last = v->n_steps, .bytes = bytes};
    return NX_OK;
}

static void touch(struct nx_gpu_variant *v, const struct nx_gpu_operand *operand)
{
    if (operand->buffer != NX_NONE)
        v->buffers[operand->buffer].last = v->n_steps;
}

enum nx_status nx_gpu_step_add(struct nx_gpu_build *b, const struct nx_gpu_step *step)
{
    struct nx_gpu_variant *v = b->v;
    void *array = v->steps;
    if (!grow(&b->plan->arena, &array, v->n_steps, &v->cap_steps, sizeof *v->steps))
        return nx_gpu_out_of_memory(b);
    v->steps = array;
    const char *name = b->node ? b->node->name : "the edge of the graph";
    v->steps[v->n_steps] = *step;
    v->steps[v->n_steps].name = nx_arena_strndup(&b->plan->arena, name, strlen(name));
    if (!v->steps[v->n_steps].name)
        return nx_gpu_out_of_memory(b);
    for (uint32_t i = 0; i < step->n_x; i++)
        touch(v, &step->x[i]);
    touch(v, &step->y);
    v->n_steps++;
    return NX_OK;
}

int64_t nx_gpu_pitch_for(const struct nx_shape *shape)
{
    if (shape->rank != 4)
        return 0;
    return shape->dims[1] < NX_GPU_CHANNELS ? NX_GPU_CHANNELS : shape->dims[1];
}

static uint64_t elements_of(const struct nx_shape *shape, int64_t pitch)
{
    uint64_t n;
    bool known = nx_shape_elements(shape, &n);
    nx_assert(known); /* inferred: shape.h bounds it */
    return pitch ? n / (uint64_t)shape->dims[1] * (uint64_t)pitch : n;
}

/* An arena buffer of the plan's type; pitch 0: rows. */
static enum nx_status make(struct nx_gpu_build *b, const struct nx_shape *shape, int64_t pitch,
                           struct nx_gpu_value *value)
{
    uint64_t bytes = elements_of(shape, pitch) * nx_gpu_type_bytes(b->plan->type);
    *value = (struct nx_gpu_value){.type = b->plan->type, .nhwc = pitch > 0, .pitch = pitch};
    return nx_gpu_buffer_new(b, NX_GPU_IN_ARENA, bytes, &value->buffer);
}

enum nx_status nx_gpu_value_new(struct nx_gpu_build *b, uint32_t tensor, int64_t pitch,
                                struct nx_gpu_value *value)
{
    const struct nx_shape *shape = nx_gpu_shape(b, tensor);
    nx_assert(pitch == 0 || shape->rank == 4);
    NX_TRY(make(b, shape, pitch, value));
    b->values[tensor].native = *value;
    return NX_OK;
}

static void strides_of(const struct nx_gpu_value *value, const struct nx_shape *shape,
                       int64_t *strides)
{
    if (value->nhwc) {
        strides[1] = 1;
        strides[3] = value->pitch;
        strides[2] = strides[3] * shape->dims[3];
        strides[0] = strides[2] * shape->dims[2];
        return;
    }
    int64_t step = 1;
    for (uint32_t i = shape->rank; i-- > 0; step *= shape->dims[i])
        strides[i] = step;
}

struct nx_gpu_operand nx_gpu_operand_of(const struct nx_gpu_value *value,
                                        const struct nx_shape *shape, const struct nx_shape *space)
{
    int64_t own[NX_RANK_MAX] = {0};
    struct nx_gpu_operand operand = {
        .buffer = value->buffer, .type = value->type, .start = value->start};
    strides_of(value, shape, own);
    uint32_t lead = space->rank - shape->rank;
    for (uint32_t i = 0; i < shape->rank; i++)
        operand.stride[lead + i] = shape->dims[i] == 1 ? 0 : own[i];
    return operand;
}

struct nx_gpu_step nx_gpu_each(const struct nx_gpu_build *b, uint32_t tensor,
                               const struct nx_gpu_value *y)
{
    const struct nx_shape *shape = nx_gpu_shape(b, tensor);
    struct nx_gpu_step step = {.kind = NX_GPU_EACH,
                               .n_x = 1,
                               .y = nx_gpu_operand_of(y, shape, shape),
                               .rank = shape->rank ? shape->rank : 1,
                               .dims = {1}};
    memcpy(step.dims, shape->dims, shape->rank * sizeof *shape->dims);
    if (y->nhwc && y->pitch > shape->dims[1]) {
        step.valid = shape->dims[1];
        step.dims[1] = y->pitch;
        /* one channel counts as none to step over, but its padding does not */
        step.y.stride[1] = 1;
    }
    return step;
}

/* `to`, a new value of the same tensor, from `from`. */
static enum nx_status copy(struct nx_gpu_build *b, uint32_t tensor, const struct nx_gpu_value *from,
                           const struct nx_gpu_value *to)
{
    const struct nx_shape *shape = nx_gpu_shape(b, tensor);
    struct nx_gpu_step step = nx_gpu_each(b, tensor, to);
    step.x[0] = nx_gpu_operand_of(from, shape, shape);
    return nx_gpu_step_add(b, &step);
}

enum nx_status nx_gpu_value_native(struct nx_gpu_build *b, uint32_t tensor,
                                   struct nx_gpu_value *value)
{
    struct nx_gpu_value *native = &b->values[tensor].native;
    if (native->buffer == NX_NONE) {
        nx_assert(b->graph.tensors[tensor].kind == NX_TENSOR_CONSTANT);
        NX_TRY(nx_gpu_weights_rows(b, tensor, NX_GPU_F32, native));
    }
    *value = *native;
    return NX_OK;
}

/* Do rows and an image of exact pitch come to the same order? */
static bool has_one_order(const struct nx_shape *shape)
{
    return shape->rank == 4 && (shape->dims[1] == 1 || shape->dims[2] * shape->dims[3] == 1);
}

enum nx_status nx_gpu_value_rows(struct nx_gpu_build *b, uint32_t tensor,
                                 struct nx_gpu_value *value)
{
    const struct nx_shape *shape = nx_gpu_shape(b, tensor);
    struct nx_gpu_value native, *rows = &b->values[tensor].rows;
    NX_TRY(nx_gpu_value_native(b, tensor, &native));
    if (rows->buffer == NX_NONE && native.nhwc &&
        !(has_one_order(shape) && native.pitch == shape->dims[1])) {
        NX_TRY(make(b, shape, 0, rows));
        NX_TRY(copy(b, tensor, &native, rows));
    } else if (rows->buffer == NX_NONE) {
        *rows = native;
        rows->nhwc = false;
        rows->pitch = 0;
    }
    *value = *rows;
    return NX_OK;
}

static bool is_image(const struct nx_gpu_build *b, const struct nx_shape *shape,
                     const struct nx_gpu_value *value, bool exact)
{
    if (value->buffer == NX_NONE || value->type != b->plan->type)
        return false;
    if (shape->rank != 4)
        return true;
    return value->nhwc && (!exact || value->pitch == shape->dims[1]);
}

enum nx_status nx_gpu_value_image(struct nx_gpu_build *b, uint32_t tensor, bool exact,
                                  struct nx_gpu_value *value)
{
    const struct nx_shape *shape = nx_gpu_shape(b, tensor);
    struct nx_gpu_value native, *image = &b->values[tensor].image;
    NX_TRY(nx_gpu_value_native(b, tensor, &native));
    if (is_image(b, shape, image, exact)) {
        *value = *image;
        return NX_OK;
    }
    if (is_image(b, shape, &native, exact)) {
        *image = native;
    } else if (has_one_order(shape) && !native.nhwc && native.type == b->plan->type) {
        *image = native;
        image->nhwc = true;
        image->pitch = shape->dims[1];
    } else {
        int64_t pitch = exact && shape->rank == 4 ? shape->dims[1] : nx_gpu_pitch_for(shape);
        NX_TRY(make(b, shape, pitch, image));
        NX_TRY(copy(b, tensor, &native, image));
    }
    *value = *image;
    return NX_OK;
}
