/* Normalisations, softmax and reductions. */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static struct nx_shape shape_of(const struct nx_onnx_call *c, uint32_t tensor)
{
    return nx_onnx_tensor(c, tensor)->shape;
}

enum nx_status nx_onnx_batch_norm(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_BATCH_NORM, .attr.batch_norm = {1e-5f, false, 1}};
    bool training = false, spatial = true;
    uint32_t inputs[5];
    NX_TRY(nx_onnx_arity(c, 5, 5));
    NX_TRY(nx_onnx_attr_float(c, "epsilon", &node.attr.batch_norm.eps));
    NX_TRY(nx_onnx_attr_bool(c, "training_mode", &training));
    NX_TRY(nx_onnx_attr_bool(c, "spatial", &spatial));
    if (training)
        return nx_onnx_refuse(c, "training_mode");
    if (!spatial)
        return nx_onnx_refuse(c, "spatial = 0");
    for (uint32_t i = 0; i < 5; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    return nx_onnx_finish(c, &node, inputs, 5);
}

/* (x - mean) / sqrt(var + eps), over the dimensions first … last-1. */
static enum nx_status standardise(struct nx_onnx_call *c, uint32_t x, uint32_t first, uint32_t last,
                                  float eps, uint32_t *y)
{
    uint32_t mean, centred, spread;
    NX_TRY(nx_onnx_reduce(c, NX_REDUCE_MEAN, x, first, last, &mean));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_SUB, x, mean, &centred));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_SQUARE, 0, 0, centred, &spread));
    NX_TRY(nx_onnx_reduce(c, NX_REDUCE_MEAN, spread, first, last, &spread));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_ADD, eps, 0, spread, &spread));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_SQRT, 0, 0, spread, &spread));
    return nx_onnx_binary(c, NX_BINARY_DIV, centred, spread, y);
}

enum nx_status nx_onnx_group_norm(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_GROUP_NORM, .attr.group_norm.eps = 1e-5f};
    struct nx_attr_group_norm *a = &node.attr.group_norm;
    int64_t groups = 0;
    uint32_t inputs[3];
    NX_TRY(nx_onnx_arity(c, 3, 3));
    NX_TRY(nx_onnx_attr_float(c, "epsilon", &a->eps));
    NX_TRY(nx_onnx_attr_int(c, "num_groups", &groups));
    for (uint32_t i = 0; i < 3; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    if (shape_of(c, inputs[0]).rank < 3)
        return nx_onnx_wrong(c, "an input of 3 dimensions or more is needed");
    if (c->detail && (groups < 1 || groups > INT32_MAX))
        return nx_onnx_wrong(c, "its num_groups is missing or out of bounds");
    a->groups = c->detail ? (int32_t)groups : 0;
    return nx_onnx_finish(c, &node, inputs, 3);
}

/* Is the factor one number for each element of the dimensions from `first` on? */
static bool is_whole(const struct nx_onnx_call *c, uint32_t x, uint32_t factor, uint32_t first)
{
    struct nx_shape xs = shape_of(c, x), fs = shape_of(c, factor);
    for (uint32_t i = 0; i < fs.rank && fs.rank == xs.rank - first; i++)
        if (fs.dims[i] != xs.dims[first + i])
            return false;
    return fs.rank == xs.rank - first;
}

static enum nx_status composed_layer_norm(struct nx_onnx_call *c, const uint32_t *inputs,
                                          uint32_t n, uint32_t first, float eps)
{
    uint32_t y;
    NX_TRY(standardise(c, inputs[0], first, shape_of(c, inputs[0]).rank, eps, &y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_MUL, y, inputs[1], &y));
    if (n > 2)
        NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, y, inputs[2], &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_layer_norm(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_LAYER_NORM, .attr.layer_norm = {1e-5f, 0, -1}};
    float *eps = &node.attr.layer_norm.eps;
    int64_t axis = -1;
    uint32_t inputs[3], n = nx_onnx_has(c, 2) ? 3 : 2, first;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(nx_onnx_attr_float(c, "epsilon", eps));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    for (uint32_t i = 0; i < n; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, inputs[0]).rank, &first));
    node.attr.layer_norm.first = (int32_t)first;
    bool whole = true;
    for (uint32_t i = 1; i < n; i++)
        whole &= is_whole(c, inputs[0], inputs[i], first);
    if (!whole)
        return composed_layer_norm(c, inputs, n, first, *eps);
    for (uint32_t i = first; i < shape_of(c, inputs[0]).rank; i++)
        NX_TRY(nx_onnx_within_photo(c, inputs[0], i));
    return nx_onnx_finish(c, &node, inputs, n);
}

/* x / (sum |x|^p)^(1/p) along one axis, p being 1 or 2 */
enum nx_status nx_onnx_lp_norm(struct nx_onnx_call *c)
{
    int64_t axis = -1, p = 2;
    uint32_t x, at, norm, y;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_attr_int(c, "p", &p));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, x).rank, &at));
    if (p != 1 && p != 2)
        return nx_onnx_wrong(c, "its p is neither 1 nor 2");
    norm = x;
    if (p == 1)
        NX_TRY(nx_onnx_unary(c, NX_UNARY_ABS, 0, 0, x, &norm));
    NX_TRY(nx_onnx_reduce(c, p == 1 ? NX_REDUCE_SUM : NX_REDUCE_NORM, norm, at, at + 1, &norm));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_DIV, x, norm, &y));
    return nx_onnx_set(c, 0, y);
}

/* Before opset 13 the dimensions from `axis` on are one, and the softmax is over all of them. */
static enum nx_status flat_softmax(struct nx_onnx_call *c, uint32_t x, uint32_t axis)
{
    struct nx_node node = {.op = NX_OP_SOFTMAX, .attr.softmax = {1, c->detail != 0, 1}};
    struct nx_shape shape = shape_of(c, x);
    struct nx_onnx_int dims[NX_RANK_MAX], flat[2] = {{-1, 0}, {1, 0}};
    uint32_t y;
    for (uint32_t i = 0; i < shape.rank; i++) {
        dims[i] = nx_onnx_dim(c, x, i);
        if (i >= axis)
            NX_TRY(nx_onnx_within_photo(c, x, i));
        flat[1].base *= i >= axis ? dims[i].base : 1;
    }
    NX_TRY(nx_onnx_reshape(c, x, flat, 2, &y));
    NX_TRY(nx_onnx_add(c, &node, &y, 1, &y));
    NX_TRY(nx_onnx_reshape(c, y, dims, shape.rank, &y));
    return nx_onnx_set(c, 0, y);
}

/* (x - mean) / (its deviation + 1e-9), over `axes`. */
enum nx_status nx_onnx_mean_variance(struct nx_onnx_call *c)
{
    static const int64_t usual[] = {0, 2, 3};
    struct nx_node mean = {.op = NX_OP_REDUCE,
                           .attr.reduce = {.kind = NX_REDUCE_MEAN, .keepdims = true}};
    struct nx_attr_reduce *a = &mean.attr.reduce;
    int64_t axes[NX_RANK_MAX];
    uint32_t x, y, at;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_ints(c, "axes", axes, NX_RANK_MAX, &a->n));
    if (a->n == 0) {
        memcpy(axes, usual, sizeof usual);
        a->n = sizeof usual / sizeof usual[0];
    }
    for (uint32_t i = 0; i < a->n; i++) {
        NX_TRY(nx_onnx_axis(c, axes[i], shape_of(c, x).rank, &at));
        NX_TRY(nx_onnx_within_photo(c, x, at));
        a->axes[i] = (int32_t)at;
    }
    NX_TRY(nx_onnx_add(c, &mean, &x, 1, &y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_SUB, x, y, &x));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_SQUARE, 0, 0, x, &y));
    NX_TRY(nx_onnx_add(c, &mean, &y, 1, &y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_SQRT, 0, 0, y, &y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_ADD, 1e-9f, 0, y, &y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_DIV, x, y, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_softmax(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_SOFTMAX, .attr.softmax = {0, c->detail != 0, 1}};
    bool flattens = c->o->opset < 13;
    int64_t axis = flattens ? 1 : -1;
    uint32_t x, at;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    uint32_t rank = shape_of(c, x).rank;
    NX_TRY(nx_onnx_axis(c, axis, rank, &at));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    node.attr.softmax.axis = flattens && at == 1 ? NX_AXIS_REST : (int32_t)at;
    if (flattens && at != 1 && at + 1 != rank)
        return flat_softmax(c, x, at);
    return nx_onnx_finish(c, &node, &x, 1);
}

/* Attribute or input `axes`; *none: there are none, and the op passes its input on. */
static enum nx_status read_reduce(struct nx_onnx_call *c, uint32_t x, struct nx_attr_reduce *a,
                                  bool *none)
{
    bool keepdims = true, none_is_none = false;
    int64_t axes[NX_RANK_MAX];
    uint32_t at;
    NX_TRY(nx_onnx_attr_bool(c, "keepdims", &keepdims));
    NX_TRY(nx_onnx_attr_bool(c, "noop_with_empty_axes", &none_is_none));
    NX_TRY(nx_onnx_ints_either(c, "axes", 1, axes, NX_RANK_MAX, &a->n));
    a->keepdims = keepdims;
    *none = a->n == 0 && none_is_none;
    if (*none)
        return NX_OK;
    if (a->n == 0) { /* all of them */
        a->n = shape_of(c, x).rank;
        for (uint32_t i = 0; i < a->n; i++)
            axes[i] = i;
    }
    for (uint32_t i = 0; i < a->n; i++) {
        NX_TRY(nx_onnx_axis(c, axes[i], shape_of(c, x).rank, &at));
        NX_TRY(nx_onnx_within_photo(c, x, at));
        a->axes[i] = (int32_t)at;
    }
    return NX_OK;
}

/* A mean, a root or a logarithm of integers would be an integer again: runtimes differ in how it is cut. */
static enum nx_status refuse_integers(struct nx_onnx_call *c)
{
    if (nx_onnx_is_integer(c, 0))
        return nx_onnx_refuse(c, "an input of integers");
    return NX_OK;
}

/* What comes before the sum, and what after it; NX_UNARY_NONE: nothing. */
struct around_sum {
    enum nx_unary before, after;
};

static enum nx_status reduce(struct nx_onnx_call *c, struct nx_node *node, struct around_sum fns)
{
    bool none;
    uint32_t x, y;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    enum nx_reduce kind = node->attr.reduce.kind;
    if (kind == NX_REDUCE_MEAN || kind == NX_REDUCE_NORM || fns.after != NX_UNARY_NONE)
        NX_TRY(refuse_integers(c));
    NX_TRY(read_reduce(c, x, &node->attr.reduce, &none));
    if (fns.before != NX_UNARY_NONE)
        NX_TRY(nx_onnx_unary(c, fns.before, 0, 0, x, &x));
    y = x;
    if (!none)
        NX_TRY(nx_onnx_add(c, node, &x, 1, &y));
    if (fns.after != NX_UNARY_NONE || y == x)
        NX_TRY(nx_onnx_unary(c, fns.after, 0, 0, y, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_lower_reduce(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_REDUCE, .attr.reduce.kind = (enum nx_reduce)c->detail};
    return reduce(c, &node, (struct around_sum){NX_UNARY_NONE, NX_UNARY_NONE});
}

/* detail: an nx_unary before the sum; ReduceLogSum has its one behind it */
enum nx_status nx_onnx_reduce_sum_of(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_REDUCE, .attr.reduce.kind = NX_REDUCE_SUM};
    enum nx_unary fn = (enum nx_unary)c->detail;
    bool after = fn == NX_UNARY_LOG;
    return reduce(c, &node,
                  (struct around_sum){after ? NX_UNARY_NONE : fn, after ? fn : NX_UNARY_NONE});
}

/* log(sum exp x) = max x + log(sum exp(x - max x)), which cannot overflow */
enum nx_status nx_onnx_reduce_log_sum_exp(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_REDUCE}, narrow = {.op = NX_OP_RESHAPE};
    struct nx_attr_reduce *a = &node.attr.reduce;
    bool none, keepdims;
    uint32_t x, most, y;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(refuse_integers(c));
    NX_TRY(read_reduce(c, x, a, &none));
    if (none)
        return nx_onnx_identity(c, 0);
    keepdims = a->keepdims;
    a->keepdims = true;
    a->kind = NX_REDUCE_MAX;
    NX_TRY(nx_onnx_add(c, &node, &x, 1, &most));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_SUB, x, most, &y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_EXP, 0, 0, y, &y));
    a->kind = NX_REDUCE_SUM;
    NX_TRY(nx_onnx_add(c, &node, &y, 1, &y));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_LOG, 0, 0, y, &y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, y, most, &y));
    if (keepdims)
        return nx_onnx_set(c, 0, y);
    narrow.attr.reshape = (struct nx_attr_reshape){.kind = NX_RESHAPE_SQUEEZE, .n = a->n};
    for (uint32_t i = 0; i < a->n; i++)
        narrow.attr.reshape.codes[i] = a->axes[i];
    return nx_onnx_finish(c, &narrow, &y, 1);
}

/* detail: nx_reduce */
/* Its two outputs are two nodes, of which a pass takes out the one that nobody reads. */
enum nx_status nx_onnx_topk(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_TOPK};
    struct nx_attr_topk *a = &node.attr.topk;
    bool largest = true, sorted = true;
    int64_t axis = -1;
    uint32_t x, at, n, y;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_attr_bool(c, "largest", &largest));
    NX_TRY(nx_onnx_attr_bool(c, "sorted", &sorted));
    NX_TRY(nx_onnx_attr_int(c, "k", &a->k)); /* of opset 9 and before */
    if (nx_onnx_has(c, 1))
        NX_TRY(nx_onnx_constant_ints(c, 1, &a->k, 1, &n));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, x).rank, &at));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    if (a->k < 1)
        return nx_onnx_wrong(c, "its k is missing or below 1");
    a->axis = (int32_t)at;
    a->smallest = !largest;
    for (uint32_t i = 0; i < c->node->n_outputs && i < 2; i++) {
        a->gives = i ? NX_TOPK_INDICES : NX_TOPK_VALUES;
        NX_TRY(nx_onnx_add(c, &node, &x, 1, &y));
        NX_TRY(nx_onnx_set(c, i, y));
    }
    return NX_OK;
}

enum nx_status nx_onnx_arg_reduce(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_REDUCE,
                           .attr.reduce = {.kind = (enum nx_reduce)c->detail, .n = 1}};
    struct nx_attr_reduce *a = &node.attr.reduce;
    bool keepdims = true;
    int64_t axis = 0;
    uint32_t x, at;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_attr_bool(c, "keepdims", &keepdims));
    NX_TRY(nx_onnx_attr_bool(c, "select_last_index", &a->last_index));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, x).rank, &at));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    a->axes[0] = (int32_t)at;
    a->keepdims = keepdims;
    return nx_onnx_finish(c, &node, &x, 1);
}
