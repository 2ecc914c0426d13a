/* Ops that are shifts, masks and places along an axis: by other ops. */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static const struct nx_shape *shape_of(const struct nx_onnx_call *c, uint32_t tensor)
{
    return &nx_onnx_tensor(c, tensor)->shape;
}

/* --- CumSum --- */

/* Where y[i] is x[i - by] along the axis (backwards: x[i + by]), and 0 where there is none. */
static enum nx_status shift(struct nx_onnx_call *c, uint32_t x, uint32_t axis, int64_t by,
                            bool backwards, uint32_t *y)
{
    struct nx_node pad = {.op = NX_OP_PAD, .attr.pad = {.mode = NX_PAD_CONSTANT}};
    struct nx_node part = {.op = NX_OP_SLICE, .attr.slice.n = 1};
    int64_t side = shape_of(c, x)->dims[axis], first = backwards ? by : 0;
    pad.attr.pad.n = shape_of(c, x)->rank;
    (backwards ? pad.attr.pad.after : pad.attr.pad.before)[axis] = by;
    part.attr.slice.ranges[0] = (struct nx_range){(int32_t)axis, first, first + side, 1};
    NX_TRY(nx_onnx_add(c, &pad, &x, 1, y));
    return nx_onnx_add(c, &part, y, 1, y);
}

/* After each turn an element holds the sum of twice as many: as many turns as the side has binary digits. */
enum nx_status nx_onnx_cum_sum(struct nx_onnx_call *c)
{
    bool exclusive = false, backwards = false;
    int64_t axis;
    uint32_t x, at, n, before;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_constant_ints(c, 1, &axis, 1, &n));
    NX_TRY(nx_onnx_attr_bool(c, "exclusive", &exclusive));
    NX_TRY(nx_onnx_attr_bool(c, "reverse", &backwards));
    if (n != 1)
        return nx_onnx_wrong(c, "one axis was expected");
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, x)->rank, &at));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    if (exclusive)
        NX_TRY(shift(c, x, at, 1, backwards, &x));
    for (int64_t by = 1; by < shape_of(c, x)->dims[at]; by *= 2) {
        NX_TRY(shift(c, x, at, by, backwards, &before));
        NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, x, before, &x));
    }
    return nx_onnx_set(c, 0, x);
}

/* --- places along an axis --- */

/* first, first + 1, …, `n` of them, in a shape that puts them along one dimension of `rank`. */
static enum nx_status places(struct nx_onnx_call *c, int64_t first, int64_t n, uint32_t axis,
                             uint32_t rank, uint32_t *y)
{
    struct nx_shape shape = {.rank = rank};
    float *data;
    for (uint32_t i = 0; i < rank; i++)
        shape.dims[i] = i == axis ? n : 1;
    NX_TRY(nx_onnx_new_constant(c, &shape, &data, y));
    for (int64_t i = 0; i < n; i++)
        data[i] = (float)(first + i);
    return NX_OK;
}

/* Before opset 13 all dimensions from the axis on count as one. */
static enum nx_status flatten_from(struct nx_onnx_call *c, uint32_t x, uint32_t axis, uint32_t *y)
{
    struct nx_onnx_int dims[NX_RANK_MAX], rest = {1, 0};
    for (uint32_t i = 0; i < axis; i++)
        dims[i] = nx_onnx_dim(c, x, i);
    for (uint32_t i = axis; i < shape_of(c, x)->rank; i++) {
        NX_TRY(nx_onnx_within_photo(c, x, i));
        rest.base *= shape_of(c, x)->dims[i];
    }
    dims[axis] = rest;
    return nx_onnx_reshape(c, x, dims, axis + 1, y);
}

static enum nx_status reshape_like(struct nx_onnx_call *c, uint32_t x, uint32_t like, uint32_t *y)
{
    struct nx_onnx_int dims[NX_RANK_MAX];
    uint32_t rank = shape_of(c, like)->rank;
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = nx_onnx_dim(c, like, i);
    return nx_onnx_reshape(c, x, dims, rank, y);
}

/* 1 at the first largest along the axis, 0 elsewhere. */
enum nx_status nx_onnx_hardmax(struct nx_onnx_call *c)
{
    struct nx_node most = {.op = NX_OP_REDUCE,
                           .attr.reduce = {.kind = NX_REDUCE_ARGMAX, .keepdims = true, .n = 1}};
    bool flattens = c->o->opset < 13;
    int64_t axis = flattens ? 1 : -1;
    uint32_t x, at, rows, all, y;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, x)->rank, &at));
    NX_TRY(nx_onnx_within_photo(c, x, at));
    rows = x;
    if (flattens)
        NX_TRY(flatten_from(c, x, at, &rows));
    int64_t side = shape_of(c, rows)->dims[at];
    if (side > NX_TOPK_SIDE_MAX)
        return nx_onnx_refuse(c, "such a long side");
    most.attr.reduce.axes[0] = (int32_t)at;
    NX_TRY(places(c, 0, side, at, shape_of(c, rows)->rank, &all));
    NX_TRY(nx_onnx_add(c, &most, &rows, 1, &y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_EQ, all, y, &y));
    if (flattens)
        NX_TRY(reshape_like(c, y, x, &y));
    return nx_onnx_set(c, 0, y);
}

/* --- Trilu --- */

/* 1 where row + k <= column (upper) or column <= row + k. */
static enum nx_status triangle(struct nx_onnx_call *c, const struct nx_shape *x, int64_t k,
                               bool upper, uint32_t *mask)
{
    const int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    struct nx_shape shape = {2, {rows, columns}};
    float *data;
    k = k > columns ? columns : k < -rows ? -rows : k; /* beyond, all is on one side */
    NX_TRY(nx_onnx_new_constant(c, &shape, &data, mask));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < columns; q++)
            *data++ = (float)(upper ? q >= r + k : q <= r + k);
    return NX_OK;
}

enum nx_status nx_onnx_trilu(struct nx_onnx_call *c)
{
    enum { ELEMENTS_MAX = 1 << 24 };
    struct nx_node node = {.op = NX_OP_WHERE};
    const struct nx_shape scalar = {.rank = 0};
    bool upper = true;
    int64_t k = 0;
    uint32_t n, x, inputs[3];
    float *zero;
    NX_TRY(nx_onnx_arity(c, 1, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_constant_ints(c, 1, &k, 1, &n));
    NX_TRY(nx_onnx_attr_bool(c, "upper", &upper));
    const struct nx_shape shape = *shape_of(c, x);
    if (shape.rank < 2)
        return nx_onnx_wrong(c, "matrices are needed");
    NX_TRY(nx_onnx_within_photo(c, x, shape.rank - 1));
    NX_TRY(nx_onnx_within_photo(c, x, shape.rank - 2));
    if (shape.dims[shape.rank - 1] > ELEMENTS_MAX / shape.dims[shape.rank - 2])
        return nx_onnx_refuse(c, "such a large matrix");
    NX_TRY(triangle(c, &shape, k, upper, &inputs[0]));
    NX_TRY(nx_onnx_new_constant(c, &scalar, &zero, &inputs[2]));
    *zero = 0;
    inputs[1] = x;
    return nx_onnx_finish(c, &node, inputs, 3);
}

/* --- EyeLike --- */

/* Of its input, the shape alone counts. */
enum nx_status nx_onnx_eye_like(struct nx_onnx_call *c)
{
    enum { ELEMENTS_MAX = 1 << 24 };
    enum nx_dtype type;
    int64_t k = 0, code = 0;
    uint32_t x, y;
    float *data;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "k", &k));
    NX_TRY(nx_onnx_attr_int(c, "dtype", &code));
    const struct nx_shape shape = *shape_of(c, x);
    if (shape.rank != 2)
        return nx_onnx_wrong(c, "a matrix is needed");
    type = nx_onnx_is_integer(c, 0) ? NX_I64 : NX_F32;
    if (code && (code < 0 || !nx_onnx_dtype((uint64_t)code, &type)))
        return nx_onnx_refuse(c, "a matrix of such a type");
    for (uint32_t i = 0; i < 2; i++)
        if (nx_onnx_dim(c, x, i).per_photo)
            return nx_onnx_refuse(c, "a shape that depends on the number of photos");
    if (shape.dims[0] > ELEMENTS_MAX / shape.dims[1])
        return nx_onnx_refuse(c, "such a large matrix");
    NX_TRY(nx_onnx_new_constant(c, &shape, &data, &y));
    for (int64_t r = 0; r < shape.dims[0]; r++)
        for (int64_t q = 0; q < shape.dims[1]; q++)
            *data++ = (float)(q - r == k);
    nx_onnx_set_integer(c, type);
    return nx_onnx_set(c, 0, y);
}

/* --- ReverseSequence --- */

/* A list, one number for each place along `axis` of x, in a shape that puts it there. */
static enum nx_status lay_along(struct nx_onnx_call *c, uint32_t list, uint32_t x, uint32_t axis,
                                uint32_t *y)
{
    struct nx_onnx_int dims[NX_RANK_MAX], have;
    const uint32_t rank = shape_of(c, x)->rank;
    for (uint32_t i = 0; i < rank; i++)
        dims[i] = (struct nx_onnx_int){1, 0};
    dims[axis] = nx_onnx_dim(c, x, axis);
    if (shape_of(c, list)->rank != 1)
        return nx_onnx_wrong(c, "its lengths are not a list");
    have = nx_onnx_dim(c, list, 0);
    if (have.base != dims[axis].base || have.per_photo != dims[axis].per_photo)
        return nx_onnx_wrong(c, "it has not one length for each sequence");
    return nx_onnx_reshape(c, list, dims, rank, y);
}

/* Where place t of a sequence of that length comes from: length - 1 - t, or t behind its end. */
static enum nx_status reversed_places(struct nx_onnx_call *c, uint32_t t, uint32_t length,
                                      uint32_t *y)
{
    struct nx_node choose = {.op = NX_OP_WHERE};
    uint32_t inputs[3] = {[2] = t};
    NX_TRY(nx_onnx_binary(c, NX_BINARY_LT, t, length, &inputs[0]));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_SUB, length, t, &inputs[1]));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_ADD, -1, 0, inputs[1], &inputs[1]));
    return nx_onnx_add(c, &choose, inputs, 3, y);
}

enum nx_status nx_onnx_reverse_sequence(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_GATHER_EACH};
    int64_t batch_axis = 1, time_axis = 0;
    uint32_t inputs[2], length, batch, time, t, none;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &inputs[0]));
    NX_TRY(nx_onnx_data(c, 1, &length));
    NX_TRY(nx_onnx_attr_int(c, "batch_axis", &batch_axis));
    NX_TRY(nx_onnx_attr_int(c, "time_axis", &time_axis));
    const struct nx_shape shape = *shape_of(c, inputs[0]);
    NX_TRY(nx_onnx_axis(c, batch_axis, shape.rank, &batch));
    NX_TRY(nx_onnx_axis(c, time_axis, shape.rank, &time));
    NX_TRY(nx_onnx_within_photo(c, inputs[0], time));
    if (batch == time)
        return nx_onnx_wrong(c, "its batch_axis is its time_axis");
    if (shape.dims[time] > NX_TOPK_SIDE_MAX)
        return nx_onnx_refuse(c, "such a long side");
    node.attr.gather.axis = (int32_t)time;
    NX_TRY(lay_along(c, length, inputs[0], batch, &length));
    NX_TRY(places(c, 0, shape.dims[time], time, shape.rank, &t));
    NX_TRY(reversed_places(c, t, length, &t));
    NX_TRY(nx_onnx_unary(c, NX_UNARY_CONSTANT, 0, 0, inputs[0], &none)); /* for its shape */
    NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, none, t, &inputs[1]));
    return nx_onnx_finish(c, &node, inputs, 2);
}

/* --- OneHot --- */

/* 1 where an index, a 1 at `axis`, names that place: from 0 on, or from -n. */
static enum nx_status names_place(struct nx_onnx_call *c, uint32_t indices, uint32_t axis,
                                  int64_t n, uint32_t *y)
{
    uint32_t rank = shape_of(c, indices)->rank, forwards, backwards;
    NX_TRY(places(c, 0, n, axis, rank, &forwards));
    NX_TRY(places(c, -n, n, axis, rank, &backwards));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_EQ, indices, forwards, &forwards));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_EQ, indices, backwards, &backwards));
    return nx_onnx_binary(c, NX_BINARY_OR, forwards, backwards, y);
}

static enum nx_status part_of_pair(struct nx_onnx_call *c, uint32_t pair, int64_t i, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_SLICE, .attr.slice = {.n = 1, .ranges = {{0, i, i + 1, 1}}}};
    return nx_onnx_add(c, &node, &pair, 1, y);
}

enum nx_status nx_onnx_one_hot(struct nx_onnx_call *c)
{
    enum { DEPTH_MAX = 1 << 20 };
    struct nx_node widen = {.op = NX_OP_RESHAPE,
                            .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1}};
    struct nx_node node = {.op = NX_OP_WHERE};
    int64_t axis = -1;
    float depth;
    uint32_t indices, at, values, inputs[3];
    bool there;
    NX_TRY(nx_onnx_arity(c, 3, 3));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    NX_TRY(nx_onnx_data(c, 0, &indices));
    NX_TRY(nx_onnx_constant_float(c, 1, &depth, &there));
    NX_TRY(nx_onnx_data(c, 2, &values));
    if (!there || !(depth >= 1 && depth <= DEPTH_MAX))
        return nx_onnx_refuse(c, "a depth out of 1 to 1048576");
    if (shape_of(c, values)->rank != 1 || shape_of(c, values)->dims[0] != 2)
        return nx_onnx_wrong(c, "its values are two, off and on");
    if (shape_of(c, indices)->rank >= NX_RANK_MAX)
        return nx_onnx_refuse(c, "indices of so many dimensions");
    NX_TRY(nx_onnx_axis(c, axis, shape_of(c, indices)->rank + 1, &at));
    widen.attr.reshape.codes[0] = at;
    NX_TRY(nx_onnx_add(c, &widen, &indices, 1, &indices));
    NX_TRY(names_place(c, indices, at, (int64_t)depth, &inputs[0]));
    NX_TRY(part_of_pair(c, values, 1, &inputs[1]));
    NX_TRY(part_of_pair(c, values, 0, &inputs[2]));
    return nx_onnx_finish(c, &node, inputs, 3);
}
