/* Element by element. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static enum nx_status unary(struct nx_onnx_call *c, enum nx_unary fn, float a, float b)
{
    uint32_t x, y;
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_unary(c, fn, a, b, x, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_plain(struct nx_onnx_call *c)
{
    NX_TRY(nx_onnx_arity(c, 1, 1));
    return unary(c, (enum nx_unary)c->detail, 0, 0);
}

enum nx_status nx_onnx_scaled(struct nx_onnx_call *c)
{
    enum nx_unary fn = (enum nx_unary)c->detail;
    float alpha = fn == NX_UNARY_LEAKY ? 0.01f : fn == NX_UNARY_HARD_SIGMOID ? 0.2f : 1.0f;
    float beta = 0.5f;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_float(c, "alpha", &alpha));
    NX_TRY(nx_onnx_attr_float(c, "beta", &beta));
    return unary(c, fn, alpha, fn == NX_UNARY_HARD_SIGMOID ? beta : 0);
}

enum nx_status nx_onnx_negative(struct nx_onnx_call *c)
{
    NX_TRY(nx_onnx_arity(c, 1, 1));
    return unary(c, NX_UNARY_MUL, -1, 0);
}

enum nx_status nx_onnx_reciprocal(struct nx_onnx_call *c)
{
    NX_TRY(nx_onnx_arity(c, 1, 1));
    return unary(c, NX_UNARY_RDIV, 1, 0);
}

enum nx_status nx_onnx_selu(struct nx_onnx_call *c)
{
    const float usual_alpha = 1.67326319217681884765625f, usual_gamma = 1.05070102214813232421875f;
    float alpha = usual_alpha, gamma = usual_gamma;
    uint32_t x, y;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_float(c, "alpha", &alpha));
    NX_TRY(nx_onnx_attr_float(c, "gamma", &gamma));
    if (alpha == usual_alpha && gamma == usual_gamma)
        return unary(c, NX_UNARY_SELU, 0, 0);
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_ELU, alpha, 0, x, &y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_MUL, gamma, 0, y, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_gelu(struct nx_onnx_call *c)
{
    const char *const choices[] = {"none", "tanh", NULL};
    int choice = 0;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_choice(c, "approximate", choices, &choice));
    return unary(c, choice ? NX_UNARY_GELU_TANH : NX_UNARY_GELU, 0, 0);
}

enum nx_status nx_onnx_hard_swish(struct nx_onnx_call *c)
{
    NX_TRY(nx_onnx_arity(c, 1, 1));
    return unary(c, NX_UNARY_HARD_SWISH, 1.0f / 6, 0.5f);
}

/* Limits are attributes before opset 11 and inputs from then on; either may be left out. */
enum nx_status nx_onnx_clip(struct nx_onnx_call *c)
{
    float least = -FLT_MAX, most = FLT_MAX;
    bool there;
    NX_TRY(nx_onnx_arity(c, 1, 3));
    NX_TRY(nx_onnx_attr_float(c, "min", &least));
    NX_TRY(nx_onnx_attr_float(c, "max", &most));
    NX_TRY(nx_onnx_constant_float(c, 1, &least, &there));
    NX_TRY(nx_onnx_constant_float(c, 2, &most, &there));
    return unary(c, NX_UNARY_CLIP, least, most);
}

/* --- PRelu: one slope, one for each channel, or any shape that broadcasts --- */

/* Which dimension of x, if any one, does the constant vary along? It has *n elements there; without
 * one both stay as they are. */
static bool varies_along(const struct nx_shape *constant, const struct nx_shape *x, uint32_t *axis,
                         int64_t *n)
{
    if (constant->rank > x->rank)
        return false;
    uint32_t wide = 0;
    for (uint32_t i = 0; i < constant->rank; i++) {
        if (constant->dims[i] == 1)
            continue;
        wide++;
        *n = constant->dims[i];
        *axis = x->rank - constant->rank + i;
    }
    return wide <= 1;
}

static enum nx_status vector_of(struct nx_onnx_call *c, uint32_t constant, int64_t n, uint32_t *y)
{
    struct nx_shape shape = {1, {n}};
    return nx_onnx_add_constant(c, &shape, nx_onnx_values(c, constant), y);
}

static enum nx_status composed_prelu(struct nx_onnx_call *c, uint32_t x, uint32_t slope)
{
    uint32_t above, below, y;
    NX_TRY(nx_onnx_unary(c, NX_UNARY_RELU, 0, 0, x, &above));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_MIN, 0, 0, x, &below));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_MUL, below, slope, &below));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, above, below, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_prelu(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_PRELU};
    uint32_t inputs[2], axis = NX_NONE;
    int64_t n = 1;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &inputs[0]));
    NX_TRY(nx_onnx_data(c, 1, &inputs[1]));
    const struct nx_shape *x = &nx_onnx_tensor(c, inputs[0])->shape;
    bool simple = nx_onnx_values(c, inputs[1]) && x->rank >= 2 &&
                  varies_along(&nx_onnx_tensor(c, inputs[1])->shape, x, &axis, &n) &&
                  (axis == NX_NONE || axis == 1);
    if (!simple)
        return composed_prelu(c, inputs[0], inputs[1]);
    NX_TRY(vector_of(c, inputs[1], n, &inputs[1]));
    return nx_onnx_finish(c, &node, inputs, 2);
}

/* --- arithmetic --- */

/* x op number, or number op x. */
static bool with_number(int kind, bool number_first, float number, struct nx_attr_unary *u)
{
    static const enum nx_unary fns[][2] = {
        [NX_BINARY_ADD] = {NX_UNARY_ADD, NX_UNARY_ADD},
        [NX_BINARY_SUB] = {NX_UNARY_ADD, NX_UNARY_RSUB},
        [NX_BINARY_MUL] = {NX_UNARY_MUL, NX_UNARY_MUL},
        [NX_BINARY_DIV] = {NX_UNARY_DIV, NX_UNARY_RDIV},
        [NX_BINARY_MAX] = {NX_UNARY_MAX, NX_UNARY_MAX},
        [NX_BINARY_MIN] = {NX_UNARY_MIN, NX_UNARY_MIN},
    };
    if (kind > NX_BINARY_MIN)
        return false;
    bool minus = kind == NX_BINARY_SUB && !number_first;
    *u = (struct nx_attr_unary){fns[kind][number_first], minus ? -number : number, 0};
    return true;
}

/* x + v and x * v, one number for each channel, can go into the convolution before. */
static enum nx_status add_channels(struct nx_onnx_call *c, int kind, uint32_t x, uint32_t vector,
                                   int64_t n, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_SCALE_SHIFT, .attr.scale_shift = {1}};
    struct nx_shape shape = {1, {n}};
    const float *values = nx_onnx_values(c, vector);
    float *data[2]; /* scale, shift */
    uint32_t inputs[3] = {x};
    for (int k = 0; k < 2; k++)
        NX_TRY(nx_onnx_new_constant(c, &shape, &data[k], &inputs[1 + k]));
    for (int64_t i = 0; i < n; i++) {
        data[0][i] = kind == NX_BINARY_MUL ? values[i] : 1;
        data[1][i] = kind == NX_BINARY_ADD ? values[i] : kind == NX_BINARY_SUB ? -values[i] : 0;
    }
    return nx_onnx_add(c, &node, inputs, 3, y);
}

static enum nx_status combine(struct nx_onnx_call *c, int kind, uint32_t a, uint32_t b, uint32_t *y)
{
    bool first = nx_onnx_values(c, a) && !nx_onnx_values(c, b);
    uint32_t x = first ? b : a, constant = first ? a : b, axis = NX_NONE;
    const struct nx_shape shape = nx_onnx_tensor(c, x)->shape;
    struct nx_attr_unary u;
    int64_t n = 1;
    bool simple = nx_onnx_values(c, constant) &&
                  varies_along(&nx_onnx_tensor(c, constant)->shape, &shape, &axis, &n);
    if (simple && n == 1 && with_number(kind, first, *nx_onnx_values(c, constant), &u))
        return nx_onnx_unary(c, u.fn, u.a, u.b, x, y);
    bool affine =
        kind == NX_BINARY_ADD || kind == NX_BINARY_MUL || (kind == NX_BINARY_SUB && !first);
    if (simple && affine && axis == 1 && shape.rank >= 2 && n == shape.dims[1])
        return add_channels(c, kind, x, constant, n, y);
    return nx_onnx_binary(c, (enum nx_binary)kind, a, b, y);
}

/* On integers that are known: + and - of any, * where one side does not depend on the batch, exact /. */
static bool combine_ints(int kind, struct nx_onnx_int a, struct nx_onnx_int b,
                         struct nx_onnx_int *y)
{
    struct nx_onnx_int factor = a.per_photo ? b : a, other = a.per_photo ? a : b;
    switch (kind) {
    case NX_BINARY_ADD:
        return !__builtin_add_overflow(a.base, b.base, &y->base) &&
               !__builtin_add_overflow(a.per_photo, b.per_photo, &y->per_photo);
    case NX_BINARY_SUB:
        return !__builtin_sub_overflow(a.base, b.base, &y->base) &&
               !__builtin_sub_overflow(a.per_photo, b.per_photo, &y->per_photo);
    case NX_BINARY_MUL:
        return !factor.per_photo && !__builtin_mul_overflow(factor.base, other.base, &y->base) &&
               !__builtin_mul_overflow(factor.base, other.per_photo, &y->per_photo);
    case NX_BINARY_DIV:
        if (b.per_photo || b.base < 1 || a.base < 0 || a.per_photo % b.base ||
            (a.per_photo && a.base % b.base))
            return false;
        *y = (struct nx_onnx_int){a.base / b.base, a.per_photo / b.base};
        return true;
    default: return false;
    }
}

static enum nx_status arithmetic_on_ints(struct nx_onnx_call *c, const struct nx_onnx_ints *a,
                                         const struct nx_onnx_ints *b)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    uint32_t n = a->n > b->n ? a->n : b->n;
    if ((a->n != n && a->n != 1) || (b->n != n && b->n != 1))
        return nx_onnx_wrong(c, "its two lists of integers are of different lengths");
    for (uint32_t i = 0; i < n; i++)
        if (!combine_ints(c->detail, a->items[a->n == 1 ? 0 : i], b->items[b->n == 1 ? 0 : i],
                          &items[i]))
            return nx_onnx_refuse(c, "such arithmetic on shapes");
    return nx_onnx_set_ints(c, 0, a->scalar && b->scalar, items, n);
}

/* Cut towards zero. Below 2^24 the rounded quotient never reaches the next integer; times a reciprocal, as a
 * backend may divide by a number of a unary step, it would fall short of it. */
static enum nx_status divide_integers(struct nx_onnx_call *c, uint32_t a, uint32_t b)
{
    uint32_t y;
    NX_TRY(nx_onnx_binary(c, NX_BINARY_DIV, a, b, &y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_TRUNC, 0, 0, y, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_arithmetic(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *x, *z;
    uint32_t a, b, y;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_known(c, 0, &x));
    NX_TRY(nx_onnx_known(c, 1, &z));
    if (x && z && x->n && z->n)
        return arithmetic_on_ints(c, x, z);
    NX_TRY(nx_onnx_data(c, 0, &a));
    NX_TRY(nx_onnx_data(c, 1, &b));
    if (c->detail == NX_BINARY_DIV && (nx_onnx_is_integer(c, 0) || nx_onnx_is_integer(c, 1)))
        return divide_integers(c, a, b);
    NX_TRY(combine(c, c->detail, a, b, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_variadic(struct nx_onnx_call *c)
{
    uint32_t sum, next;
    NX_TRY(nx_onnx_arity(c, 1, NX_NODE_INPUTS_MAX));
    if (c->node->n_inputs == 1)
        return nx_onnx_identity(c, 0);
    NX_TRY(nx_onnx_data(c, 0, &sum));
    for (uint32_t i = 1; i < c->node->n_inputs; i++) {
        NX_TRY(nx_onnx_data(c, i, &next));
        NX_TRY(combine(c, c->detail, sum, next, &sum));
    }
    return nx_onnx_set(c, 0, sum);
}

enum nx_status nx_onnx_mean(struct nx_onnx_call *c)
{
    uint32_t sum, next;
    NX_TRY(nx_onnx_arity(c, 1, NX_NODE_INPUTS_MAX));
    NX_TRY(nx_onnx_data(c, 0, &sum));
    for (uint32_t i = 1; i < c->node->n_inputs; i++) {
        NX_TRY(nx_onnx_data(c, i, &next));
        NX_TRY(combine(c, NX_BINARY_ADD, sum, next, &sum));
    }
    NX_TRY(nx_onnx_unary(c, NX_UNARY_DIV, (float)c->node->n_inputs, 0, sum, &sum));
    return nx_onnx_set(c, 0, sum);
}

enum nx_status nx_onnx_pow(struct nx_onnx_call *c)
{
    uint32_t x, exponent, y;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_data(c, 1, &exponent));
    const float *value = nx_onnx_values(c, exponent);
    bool whole = value && *value >= 0 && *value == truncf(*value);
    if (nx_onnx_is_integer(c, 0) &&
        !(whole && nx_tensor_bytes(nx_onnx_tensor(c, exponent)) == sizeof *value))
        return nx_onnx_refuse(c,
                              "an integer to a power that is not one whole number of the file's");
    if (!value || nx_tensor_bytes(nx_onnx_tensor(c, exponent)) != sizeof *value) {
        NX_TRY(nx_onnx_binary(c, NX_BINARY_POW, x, exponent, &y));
        return nx_onnx_set(c, 0, y);
    }
    if (*value == 2)
        return unary(c, NX_UNARY_SQUARE, 0, 0);
    if (*value == 0.5f)
        return unary(c, NX_UNARY_SQRT, 0, 0);
    return unary(c, NX_UNARY_POW, *value, 0);
}

enum nx_status nx_onnx_shrink(struct nx_onnx_call *c)
{
    float lambda = 0.5f, bias = 0;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_float(c, "lambd", &lambda));
    NX_TRY(nx_onnx_attr_float(c, "bias", &bias));
    return unary(c, NX_UNARY_SHRINK, lambda, bias);
}

enum nx_status nx_onnx_is_inf(struct nx_onnx_call *c)
{
    bool negative = true, positive = true;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_bool(c, "detect_negative", &negative));
    NX_TRY(nx_onnx_attr_bool(c, "detect_positive", &positive));
    if (!negative || !positive)
        return nx_onnx_refuse(c, "one sign only");
    return unary(c, NX_UNARY_IS_INF, 0, 0);
}
