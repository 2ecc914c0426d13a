#include <string.h>

#include "categorizer/model/cast.h"
#include "categorizer/model/lower.h"

static enum nx_status add_unary(struct nx_lower *l, enum nx_unary fn, float a, float b)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {fn, a, b}};
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_unary(struct nx_lower *l)
{
    return add_unary(l, (enum nx_unary)l->alias->detail, 0, 0);
}

static enum nx_status read_scalar(struct nx_lower *l, float *scalar)
{
    bool is_int; /* an attribute of 2.0 that changes nothing in f32 */
    NX_TRY(nx_lower_arity(l, 1));
    NX_TRY(nx_lower_required(l, "scalar"));
    NX_TRY(nx_lower_bool(l, "is_int", &is_int));
    return nx_lower_float(l, "scalar", scalar);
}

enum nx_status nx_lower_scalar(struct nx_lower *l)
{
    float scalar = 0;
    NX_TRY(read_scalar(l, &scalar));
    return add_unary(l, (enum nx_unary)l->alias->detail, scalar, 0);
}

enum nx_status nx_lower_minus_scalar(struct nx_lower *l)
{
    float scalar = 0;
    NX_TRY(read_scalar(l, &scalar));
    return add_unary(l, NX_UNARY_ADD, -scalar, 0);
}

enum nx_status nx_lower_negative(struct nx_lower *l)
{
    return add_unary(l, NX_UNARY_MUL, -1, 0);
}

enum nx_status nx_lower_clip(struct nx_lower *l)
{
    float least = 0, most = 0;
    NX_TRY(nx_lower_required(l, "a_min"));
    NX_TRY(nx_lower_required(l, "a_max"));
    NX_TRY(nx_lower_float(l, "a_min", &least));
    NX_TRY(nx_lower_float(l, "a_max", &most));
    return add_unary(l, NX_UNARY_CLIP, least, most);
}

enum nx_status nx_lower_hard_sigmoid(struct nx_lower *l)
{
    float alpha = 0.2f, beta = 0.5f;
    NX_TRY(nx_lower_float(l, "alpha", &alpha));
    NX_TRY(nx_lower_float(l, "beta", &beta));
    return add_unary(l, NX_UNARY_HARD_SIGMOID, alpha, beta);
}

static enum nx_status add_binary(struct nx_lower *l, enum nx_binary kind, uint32_t a, uint32_t b)
{
    struct nx_node node = {.op = NX_OP_BINARY, .attr.binary.kind = kind};
    uint32_t inputs[] = {a, b};
    return nx_lower_add(l, &node, inputs, 2);
}

enum nx_status nx_lower_binary(struct nx_lower *l)
{
    uint32_t a, b;
    NX_TRY(nx_lower_arity(l, 2));
    NX_TRY(nx_lower_data(l, 0, &a));
    NX_TRY(nx_lower_data(l, 1, &b));
    return add_binary(l, (enum nx_binary)l->alias->detail, a, b);
}

enum nx_status nx_lower_add_n(struct nx_lower *l)
{
    uint32_t sum, next;
    NX_TRY(nx_lower_data(l, 0, &sum));
    if (l->n_inputs == 1)
        return nx_lower_identity(l);
    for (uint32_t i = 1; i < l->n_inputs; i++) {
        NX_TRY(nx_lower_data(l, i, &next));
        NX_TRY(add_binary(l, NX_BINARY_ADD, sum, next));
        sum = l->outputs[0];
    }
    return NX_OK;
}

static enum nx_status add_softmax(struct nx_lower *l, int32_t axis, bool log, float temperature)
{
    struct nx_node node = {.op = NX_OP_SOFTMAX, .attr.softmax = {axis, log, temperature}};
    return nx_lower_simple(l, &node);
}

/* The label, input 1, has no value when a trained model runs. */
enum nx_status nx_lower_softmax_output(struct nx_lower *l)
{
    bool multi_output = false, preserve_shape = false;
    NX_TRY(nx_lower_bool(l, "multi_output", &multi_output));
    NX_TRY(nx_lower_bool(l, "preserve_shape", &preserve_shape));
    return add_softmax(l, multi_output ? 1 : preserve_shape ? -1 : NX_AXIS_REST, false, 1);
}

enum nx_status nx_lower_softmax_activation(struct nx_lower *l)
{
    const char *const modes[] = {"instance", "channel", NULL};
    int mode = 0;
    NX_TRY(nx_lower_choice(l, "mode", modes, &mode));
    return add_softmax(l, mode == 1 ? 1 : NX_AXIS_REST, false, 1);
}

enum nx_status nx_lower_softmax(struct nx_lower *l)
{
    int64_t axis = -1;
    float temperature = 1;
    bool use_length = false;
    NX_TRY(nx_lower_int(l, "axis", -(int64_t)NX_RANK_MAX, NX_RANK_MAX - 1, &axis));
    NX_TRY(nx_lower_float(l, "temperature", &temperature));
    NX_TRY(nx_lower_bool(l, "use_length", &use_length));
    if (use_length)
        return nx_lower_unsupported(l, "use_length");
    return add_softmax(l, (int32_t)axis, l->alias->detail != 0, temperature);
}

enum nx_status nx_lower_reduce_attr(struct nx_lower *l, struct nx_attr_reduce *a)
{
    struct nx_tuple axes = {.n = 0};
    NX_TRY(nx_lower_tuple(l, "axis", &axes));
    NX_TRY(nx_lower_bool(l, "keepdims", &a->keepdims));
    NX_TRY(nx_lower_bool(l, "exclude", &a->exclude));
    if (axes.n > NX_RANK_MAX)
        return nx_lower_unsupported(l, "an axis list of more than 6");
    a->n = axes.n;
    for (uint32_t i = 0; i < axes.n; i++) {
        if (axes.items[i] < -(int64_t)NX_RANK_MAX || axes.items[i] >= (int64_t)NX_RANK_MAX)
            return nx_lower_unsupported(l, "such an axis");
        a->axes[i] = (int32_t)axes.items[i];
    }
    return NX_OK;
}

enum nx_status nx_lower_reduce(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_REDUCE};
    NX_TRY(nx_lower_reduce_attr(l, &node.attr.reduce));
    node.attr.reduce.kind = (enum nx_reduce)l->alias->detail;
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_identity(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_IDENTITY};
    return nx_lower_simple(l, &node);
}

static enum nx_status cast_to_half(struct nx_lower *l, enum nx_unary rounding)
{
    uint32_t x;
    NX_TRY(nx_lower_data(l, 0, &x));
    const struct nx_tensor *t = &l->graph->tensors[x];
    if (t->kind != NX_TENSOR_CONSTANT || !t->data)
        return add_unary(l, rounding, 0, 0);
    l->n_outputs = 1;
    return nx_cast_constant(l->graph, x, rounding, &l->outputs[0], l->err);
}

/* All is computed in f32: a cast to f16 or bf16 rounds, one to f32 or f64 does nothing. To an integer it cuts. */
enum nx_status nx_lower_cast(struct nx_lower *l)
{
    const char *const names[] = {"float32", "float16", "float64", "bfloat16", "int8",
                                 "uint8",   "int32",   "int64",   NULL};
    static const enum nx_dtype types[] = {NX_F32, NX_F16, NX_F64, NX_BF16};
    enum { FIRST_INTEGER = sizeof types / sizeof types[0] };
    int type = 0;
    NX_TRY(nx_lower_required(l, "dtype"));
    NX_TRY(nx_lower_choice(l, "dtype", names, &type));
    if (type >= FIRST_INTEGER)
        return add_unary(l, NX_UNARY_TRUNC, 0, 0);
    enum nx_unary rounding = nx_cast_rounding(types[type]);
    return rounding == NX_UNARY_NONE ? nx_lower_identity(l) : cast_to_half(l, rounding);
}

enum nx_status nx_lower_reciprocal(struct nx_lower *l)
{
    return add_unary(l, NX_UNARY_RDIV, 1, 0);
}

enum nx_status nx_lower_constant_like(struct nx_lower *l)
{
    return add_unary(l, NX_UNARY_CONSTANT, (float)l->alias->detail, 0);
}

enum nx_status nx_lower_angle(struct nx_lower *l)
{
    const double degrees = 57.29577951308232;
    return add_unary(l, NX_UNARY_MUL, (float)(l->alias->detail ? degrees : 1 / degrees), 0);
}
