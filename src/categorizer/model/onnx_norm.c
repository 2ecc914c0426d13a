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

enum nx_status nx_onnx_instance_norm(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_SCALE_SHIFT, .attr.scale_shift = {1}};
    float eps = 1e-5f;
    uint32_t inputs[3];
    NX_TRY(nx_onnx_arity(c, 3, 3));
    NX_TRY(nx_onnx_attr_float(c, "epsilon", &eps));
    for (uint32_t i = 0; i < 3; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    uint32_t rank = shape_of(c, inputs[0]).rank;
    if (rank < 3)
        return nx_onnx_wrong(c, "an input of 3 dimensions or more is needed");
    NX_TRY(standardise(c, inputs[0], 2, rank, eps, &inputs[0]));
    return nx_onnx_finish(c, &node, inputs, 3);
}

enum nx_status nx_onnx_layer_norm(struct nx_onnx_call *c)
{
    float eps = 1e-5f;
    int64_t axis = -1;
    uint32_t x, factor, first, y;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(nx_onnx_attr_float(c, "epsilon", &eps));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, x).rank, &first));
    NX_TRY(standardise(c, x, first, shape_of(c, x).rank, eps, &y));
    NX_TRY(nx_onnx_data(c, 1, &factor));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_MUL, y, factor, &y));
    if (nx_onnx_has(c, 2)) {
        NX_TRY(nx_onnx_data(c, 2, &factor));
        NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, y, factor, &y));
    }
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

enum nx_status nx_onnx_lower_reduce(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_REDUCE, .attr.reduce.kind = (enum nx_reduce)c->detail};
    struct nx_attr_reduce *a = &node.attr.reduce;
    bool keepdims = true, none_is_none = false;
    int64_t axes[NX_RANK_MAX];
    uint32_t x, n, at;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_bool(c, "keepdims", &keepdims));
    NX_TRY(nx_onnx_attr_bool(c, "noop_with_empty_axes", &none_is_none));
    NX_TRY(nx_onnx_ints_either(c, "axes", 1, axes, NX_RANK_MAX, &n));
    if (n == 0 && none_is_none)
        return nx_onnx_identity(c, 0);
    if (n == 0)
        return nx_onnx_refuse(c, "reducing everything, photos included,");
    a->keepdims = keepdims;
    a->n = n;
    for (uint32_t i = 0; i < n; i++) {
        NX_TRY(nx_onnx_axis(c, axes[i], shape_of(c, x).rank, &at));
        NX_TRY(nx_onnx_within_photo(c, x, at));
        a->axes[i] = (int32_t)at;
    }
    return nx_onnx_finish(c, &node, &x, 1);
}
