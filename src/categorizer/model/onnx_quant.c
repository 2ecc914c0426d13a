/* QuantizeLinear and DequantizeLinear: what files of quantised nets have around ops that compute in f32.
 *
 * The two in a row round an activation to a grid of steps: one function (graph/step_round.h). A weight that is
 * dequantised is f32 from then on. What reads integers in between (a MaxPool, a Reshape) gets them as whole numbers. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "categorizer/graph/step_round.h"
#include "categorizer/model/dtype.h"
#include "categorizer/model/onnx_parts.h"

static bool limits_of(enum nx_dtype dtype, float *least, float *most)
{
    switch (dtype) {
    case NX_U8: *least = 0; break;
    case NX_I8: *least = -128; break;
    case NX_U16: *least = 0; break;
    case NX_I16: *least = -32768; break;
    default: return false;
    }
    *most = *least + (nx_dtype_bytes(dtype) == 1 ? NX_STEPS_8 : NX_STEPS_16);
    return true;
}

/* --- scale and zero point --- */

static enum nx_status check_scales(const struct nx_onnx_call *c, const struct nx_onnx_grid *g)
{
    for (int64_t i = 0; i < g->n; i++)
        if (!(g->scale[i] > 0) || isinf(g->scale[i]))
            return nx_err_set(c->o->err, NX_INVALID,
                              "onnx: %s '%s': its scale %" PRId64
                              " is %g, a positive number was expected",
                              c->node->op, c->node->name, i, (double)g->scale[i]);
    return NX_OK;
}

/* Input `at`: one number for all of x, or one for each place along its axis, which has to be of that length. */
static enum nx_status read_scales(struct nx_onnx_call *c, uint32_t at, int64_t axis,
                                  const struct nx_shape *x, struct nx_onnx_grid *g)
{
    uint32_t tensor;
    NX_TRY(nx_onnx_data(c, at, &tensor));
    const struct nx_shape shape = nx_onnx_tensor(c, tensor)->shape;
    g->scale = nx_onnx_values(c, tensor);
    if (!g->scale)
        return nx_onnx_refuse(c, "a scale that is not known while loading");
    if (nx_onnx_is_integer(c, at) || nx_onnx_is_half(c, at))
        return nx_onnx_refuse(c, "a scale that is not of type f32");
    if (shape.rank > 1)
        return nx_onnx_wrong(c, "its scale is neither one number nor a list of them");
    g->n = shape.rank ? shape.dims[0] : 1;
    if (g->n == 1)
        return check_scales(c, g);
    NX_TRY(nx_onnx_axis(c, axis, x->rank, &g->axis));
    if (x->dims[g->axis] != g->n)
        return nx_err_set(c->o->err, NX_INVALID,
                          "onnx: %s '%s' has %" PRId64 " scales, its input has %" PRId64
                          " places along axis %u",
                          c->node->op, c->node->name, g->n, x->dims[g->axis], g->axis);
    return check_scales(c, g);
}

static enum nx_status read_zeros(struct nx_onnx_call *c, uint32_t at, struct nx_onnx_grid *g)
{
    struct nx_array array;
    float least, most, *zero = nx_arena_array(c->o->graph->arena, (uint64_t)g->n, sizeof *zero);
    if (!zero)
        return nx_onnx_no_memory(c->o);
    memset(zero, 0, (size_t)g->n * sizeof *zero);
    g->zero = zero;
    g->has_zero = nx_onnx_has(c, at);
    if (!g->has_zero)
        return NX_OK;
    const struct nx_onnx_value *v = &c->o->values[c->node->inputs[at]];
    if (!v->initializer.bytes)
        return nx_onnx_refuse(c, "a zero point that the file does not say");
    NX_TRY(nx_onnx_tensor_read(c->o, v->name, v->initializer, &array));
    g->dtype = (enum nx_dtype)array.dtype;
    if (g->dtype != NX_I32 && !limits_of(g->dtype, &least, &most))
        return nx_err_set(c->o->err, NX_UNSUPPORTED,
                          "onnx: %s '%s': a zero point of type %s is not supported", c->node->op,
                          c->node->name, nx_dtype_name(g->dtype));
    if (array.shape.rank > 1 || array.elements != (uint64_t)g->n)
        return nx_err_set(c->o->err, NX_INVALID,
                          "onnx: %s '%s' has %" PRIu64 " zero points and %" PRId64 " scales",
                          c->node->op, c->node->name, array.elements, g->n);
    nx_dtype_to_f32_rounded(g->dtype, array.data, array.elements, zero);
    for (int64_t i = 0; i < g->n && g->dtype == NX_I32; i++)
        if (zero[i] != 0)
            return nx_onnx_wrong(c, "integers of 32 bits have a zero point of 0");
    return NX_OK;
}

/* Of inputs `at` and at + 1. */
static enum nx_status read_grid(struct nx_onnx_call *c, uint32_t at, int64_t axis,
                                const struct nx_shape *x, enum nx_dtype dtype,
                                struct nx_onnx_grid *g)
{
    *g = (struct nx_onnx_grid){.dtype = dtype, .of = NX_NONE};
    NX_TRY(read_scales(c, at, axis, x, g));
    return read_zeros(c, at + 1, g);
}

/* --- weights --- */

/* Calls of f(value, scale, zero) for each of the elements. */
static void each(const struct nx_onnx_grid *g, const struct nx_shape *shape, float *values,
                 float (*f)(float x, float scale, float zero, const struct nx_onnx_grid *g))
{
    uint64_t all = 1, inner = 1;
    nx_shape_elements(shape, &all);
    for (uint32_t i = g->axis + 1; i < shape->rank && g->n > 1; i++)
        inner *= (uint64_t)shape->dims[i];
    inner = g->n > 1 ? inner : all;
    for (uint64_t at = 0; at < all; at += inner) {
        uint64_t k = at / inner % (uint64_t)g->n;
        for (uint64_t i = 0; i < inner; i++)
            values[at + i] = f(values[at + i], g->scale[k], g->zero[k], g);
    }
}

static float quantized(float x, float scale, float zero, const struct nx_onnx_grid *g)
{
    float least = 0, most = 0, q = rintf(x / scale) + zero;
    limits_of(g->dtype, &least, &most);
    q = q > least ? q : least;
    return q < most ? q : most;
}

static float dequantized(float q, float scale, float zero, const struct nx_onnx_grid *g)
{
    (void)g;
    return (q - zero) * scale;
}

static enum nx_status fold(struct nx_onnx_call *c, const struct nx_onnx_grid *g, uint32_t x,
                           float (*f)(float x, float scale, float zero,
                                      const struct nx_onnx_grid *g),
                           uint32_t *y)
{
    const struct nx_shape shape = nx_onnx_tensor(c, x)->shape;
    const float *from = nx_onnx_values(c, x);
    float *to;
    NX_TRY(nx_onnx_new_constant(c, &shape, &to, y));
    memcpy(to, from, nx_tensor_bytes(nx_onnx_tensor(c, x)));
    each(g, &shape, to, f);
    return NX_OK;
}

/* A weight of the file, input i, goes from its integers to f32 in one copy. */
static enum nx_status dequantize_weight(struct nx_onnx_call *c, uint32_t i, int64_t axis,
                                        struct nx_onnx_grid *g, uint32_t *y)
{
    const struct nx_onnx_value *v = &c->o->values[c->node->inputs[i]];
    struct nx_array array;
    float least, most, *to;
    NX_TRY(nx_onnx_tensor_read(c->o, v->name, v->initializer, &array));
    enum nx_dtype dtype = (enum nx_dtype)array.dtype;
    if (dtype != NX_I32 && !limits_of(dtype, &least, &most))
        return nx_err_set(c->o->err, NX_INVALID,
                          "onnx: %s '%s': '%s' is of type %s, integers of 8, 16 or 32 bits were "
                          "expected",
                          c->node->op, c->node->name, v->name, nx_dtype_name(dtype));
    if (array.elements == 0)
        return nx_err_set(c->o->err, NX_INVALID, "onnx: the weight '%s' is empty", v->name);
    NX_TRY(read_grid(c, i + 1, axis, &array.shape, dtype, g));
    if (g->dtype != dtype)
        return nx_onnx_wrong(c, "a zero point is of another type than its input");
    NX_TRY(nx_onnx_new_constant(c, &array.shape, &to, y));
    nx_dtype_to_f32_rounded(dtype, array.data, array.elements, to);
    each(g, &array.shape, to, dequantized);
    return NX_OK;
}

/* --- activations --- */

/* One number, or a list that lies along the axis of a tensor of that rank. */
static enum nx_status along(struct nx_onnx_call *c, const struct nx_onnx_grid *g,
                            const float *values, uint32_t rank, uint32_t *y)
{
    struct nx_shape shape = {.rank = 0};
    if (g->n > 1)
        shape.rank = rank - g->axis;
    for (uint32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = i == 0 ? g->n : 1;
    return nx_onnx_add_constant(c, &shape, values, y);
}

/* Divided as a tensor: by a number a backend may multiply with what is 1 / scale but for its last bit. */
static enum nx_status quantize_by_parts(struct nx_onnx_call *c, const struct nx_onnx_grid *g,
                                        uint32_t x, uint32_t *y)
{
    float least, most;
    uint32_t scale, zero, rank = nx_onnx_tensor(c, x)->shape.rank;
    limits_of(g->dtype, &least, &most);
    NX_TRY(along(c, g, g->scale, rank, &scale));
    NX_TRY(along(c, g, g->zero, rank, &zero));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_DIV, x, scale, y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_RINT, 0, 0, *y, y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, *y, zero, y));
    return nx_onnx_unary(c, NX_UNARY_CLIP, least, most, *y, y);
}

static enum nx_status dequantize_by_parts(struct nx_onnx_call *c, const struct nx_onnx_grid *g,
                                          uint32_t x, uint32_t *y)
{
    uint32_t scale, zero, rank = nx_onnx_tensor(c, x)->shape.rank;
    NX_TRY(along(c, g, g->scale, rank, &scale));
    NX_TRY(along(c, g, g->zero, rank, &zero));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_SUB, x, zero, y));
    return nx_onnx_binary(c, NX_BINARY_MUL, *y, scale, y);
}

/* The grid stays known of the result: whoever takes it back to f32 takes x instead, and rounds it. */
static enum nx_status note_grid(struct nx_onnx_call *c, const struct nx_onnx_grid *g, uint32_t x)
{
    struct nx_onnx_grid *own = nx_arena_alloc(c->o->graph->arena, sizeof *own);
    if (!own)
        return nx_onnx_no_memory(c->o);
    *own = *g;
    own->of = x;
    if (c->node->outputs[0] != NX_NONE)
        c->o->values[c->node->outputs[0]].grid = own;
    return NX_OK;
}

enum nx_status nx_onnx_quantize_output(struct nx_onnx_call *c, uint32_t x, uint32_t at,
                                       int64_t axis, enum nx_dtype dtype)
{
    struct nx_onnx_grid g;
    uint32_t y;
    NX_TRY(read_grid(c, at, axis, &nx_onnx_tensor(c, x)->shape, dtype, &g));
    if (g.n > 1)
        NX_TRY(nx_onnx_within_photo(c, x, g.axis));
    if (g.dtype == NX_I32)
        return nx_onnx_refuse(c, "rounding to other than integers of 8 or 16 bits");
    nx_onnx_set_integer(c, g.dtype);
    if (nx_onnx_values(c, x)) {
        NX_TRY(fold(c, &g, x, quantized, &y));
        return nx_onnx_set(c, 0, y);
    }
    NX_TRY(quantize_by_parts(c, &g, x, &y));
    NX_TRY(note_grid(c, &g, x));
    return nx_onnx_set(c, 0, y);
}

static bool is_grid_of(const struct nx_onnx_grid *a, const struct nx_onnx_grid *b)
{
    return a && a->n == 1 && b->n == 1 && a->scale[0] == b->scale[0] && a->zero[0] == b->zero[0];
}

static enum nx_status round_to_grid(struct nx_onnx_call *c, const struct nx_onnx_grid *g,
                                    uint32_t *y)
{
    float least, most;
    limits_of(g->dtype, &least, &most);
    enum nx_unary fn = nx_dtype_bytes(g->dtype) == 1 ? NX_UNARY_STEPS_8 : NX_UNARY_STEPS_16;
    return nx_onnx_unary(c, fn, g->scale[0], least - g->zero[0], g->of, y);
}

enum nx_status nx_onnx_dequantize_input(struct nx_onnx_call *c, uint32_t i, int64_t axis,
                                        struct nx_onnx_grid *g, uint32_t *y)
{
    uint32_t x;
    const struct nx_onnx_value *v = nx_onnx_has(c, i) ? &c->o->values[c->node->inputs[i]] : NULL;
    if (v && v->initializer.bytes)
        return dequantize_weight(c, i, axis, g, y);
    NX_TRY(nx_onnx_data(c, i, &x));
    if (!nx_onnx_is_integer(c, i))
        return nx_onnx_wrong(c, "an input to be dequantised is not of integers");
    NX_TRY(read_grid(c, i + 1, axis, &nx_onnx_tensor(c, x)->shape, NX_U8, g));
    if (v->grid && g->has_zero && g->dtype != v->grid->dtype)
        return nx_onnx_wrong(c, "a zero point is of another type than its input");
    if (g->n > 1)
        NX_TRY(nx_onnx_within_photo(c, x, g->axis));
    if (nx_onnx_values(c, x))
        return fold(c, g, x, dequantized, y);
    if (is_grid_of(v->grid, g))
        return round_to_grid(c, v->grid, y);
    return dequantize_by_parts(c, g, x, y);
}

/* --- the two nodes --- */

static enum nx_status read_axis(const struct nx_onnx_call *c, int64_t *axis)
{
    int64_t block = 0;
    *axis = 1;
    NX_TRY(nx_onnx_attr_int(c, "axis", axis));
    NX_TRY(nx_onnx_attr_int(c, "block_size", &block));
    return block == 0 ? NX_OK : nx_onnx_refuse(c, "a scale for each block of an axis");
}

static enum nx_status read_output_type(const struct nx_onnx_call *c, enum nx_dtype *dtype)
{
    float least, most;
    int64_t code = 0;
    *dtype = NX_U8;
    NX_TRY(nx_onnx_attr_int(c, "output_dtype", &code));
    if (code == 0)
        return NX_OK;
    if (code < 0 || !nx_onnx_dtype((uint64_t)code, dtype) || !limits_of(*dtype, &least, &most))
        return nx_onnx_refuse(c, "rounding to other than integers of 8 or 16 bits");
    return NX_OK;
}

enum nx_status nx_onnx_quantize(struct nx_onnx_call *c)
{
    enum nx_dtype dtype;
    int64_t axis;
    uint32_t x;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(read_output_type(c, &dtype));
    NX_TRY(read_axis(c, &axis));
    return nx_onnx_quantize_output(c, x, 1, axis, dtype);
}

enum nx_status nx_onnx_dequantize(struct nx_onnx_call *c)
{
    struct nx_onnx_grid g;
    int64_t axis;
    uint32_t y;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(read_axis(c, &axis));
    NX_TRY(nx_onnx_dequantize_input(c, 0, axis, &g, &y));
    nx_onnx_set_integer(c, NX_F32);
    return nx_onnx_set(c, 0, y);
}
