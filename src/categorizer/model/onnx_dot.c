/* Gemm and MatMul: FC, with the weight as (units, width) and factors taken into it. */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static uint32_t rank_of(const struct nx_onnx_call *c, uint32_t tensor)
{
    return nx_onnx_tensor(c, tensor)->shape.rank;
}

static enum nx_status transpose(struct nx_onnx_call *c, uint32_t x, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_TRANSPOSE, .attr.transpose.kind = NX_TRANSPOSE_REVERSE};
    return nx_onnx_add(c, &node, &x, 1, y);
}

/* Tiles keep both sides in the cache: a VGG has 100 million weights here. */
static void copy_transposed(const float *from, int64_t rows, int64_t columns, float factor,
                            float *to)
{
    enum { TILE = 32 };
    for (int64_t r0 = 0; r0 < rows; r0 += TILE)
        for (int64_t c0 = 0; c0 < columns; c0 += TILE)
            for (int64_t r = r0; r < rows && r < r0 + TILE; r++)
                for (int64_t c = c0; c < columns && c < c0 + TILE; c++)
                    to[c * rows + r] = factor * from[r * columns + c];
}

/* A constant's values times `factor`, transposed if wanted; a node where the values come later. */
static enum nx_status prepare(struct nx_onnx_call *c, uint32_t x, bool transposed, float factor,
                              uint32_t *y)
{
    const float *from = nx_onnx_values(c, x);
    struct nx_shape shape = nx_onnx_tensor(c, x)->shape;
    float *to;
    *y = x;
    if (!transposed && factor == 1)
        return NX_OK;
    if (!from) {
        if (transposed)
            NX_TRY(transpose(c, x, y));
        return factor == 1 ? NX_OK : nx_onnx_unary(c, NX_UNARY_MUL, factor, 0, *y, y);
    }
    uint64_t n = nx_tensor_bytes(nx_onnx_tensor(c, x)) / sizeof *from;
    if (transposed)
        shape = (struct nx_shape){2, {shape.dims[1], shape.dims[0]}};
    NX_TRY(nx_onnx_new_constant(c, &shape, &to, y));
    if (transposed)
        copy_transposed(from, shape.dims[1], shape.dims[0], factor, to);
    else
        for (uint64_t i = 0; i < n; i++)
            to[i] = factor * from[i];
    return NX_OK;
}

static enum nx_status add_fc(struct nx_onnx_call *c, uint32_t *inputs, uint32_t n, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_FC,
                           .attr.fc.units = nx_onnx_tensor(c, inputs[1])->shape.dims[0]};
    return nx_onnx_add(c, &node, inputs, n, y);
}

/* Is C one number for each of the units? Then it is a bias. */
static bool is_bias(const struct nx_onnx_call *c, uint32_t tensor, int64_t units)
{
    const struct nx_shape *s = &nx_onnx_tensor(c, tensor)->shape;
    return nx_onnx_values(c, tensor) && ((s->rank == 1 && s->dims[0] == units) ||
                                         (s->rank == 2 && s->dims[0] == 1 && s->dims[1] == units));
}

static enum nx_status as_vector(struct nx_onnx_call *c, uint32_t x, uint32_t *y)
{
    struct nx_shape shape = nx_onnx_tensor(c, x)->shape;
    *y = x;
    if (shape.rank == 1)
        return NX_OK;
    shape = (struct nx_shape){1, {shape.dims[1]}};
    return nx_onnx_add_constant(c, &shape, nx_onnx_values(c, x), y);
}

/* Y = alpha A B + beta C, with A and B transposed at will. */
enum nx_status nx_onnx_gemm(struct nx_onnx_call *c)
{
    float alpha = 1, beta = 1;
    bool a_transposed = false, b_transposed = false;
    uint32_t inputs[3], n = 2, addend, y;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(nx_onnx_attr_float(c, "alpha", &alpha));
    NX_TRY(nx_onnx_attr_float(c, "beta", &beta));
    NX_TRY(nx_onnx_attr_bool(c, "transA", &a_transposed));
    NX_TRY(nx_onnx_attr_bool(c, "transB", &b_transposed));
    NX_TRY(nx_onnx_data(c, 0, &inputs[0]));
    NX_TRY(nx_onnx_data(c, 1, &inputs[1]));
    if (rank_of(c, inputs[0]) != 2 || rank_of(c, inputs[1]) != 2)
        return nx_onnx_wrong(c, "A and B must be matrices");
    if (a_transposed)
        NX_TRY(transpose(c, inputs[0], &inputs[0]));
    NX_TRY(prepare(c, inputs[1], !b_transposed, alpha, &inputs[1]));
    if (!nx_onnx_has(c, 2) || beta == 0) {
        NX_TRY(add_fc(c, inputs, n, &y));
        return nx_onnx_set(c, 0, y);
    }
    NX_TRY(nx_onnx_data(c, 2, &addend));
    NX_TRY(prepare(c, addend, false, beta, &addend));
    if (is_bias(c, addend, nx_onnx_tensor(c, inputs[1])->shape.dims[0])) {
        NX_TRY(as_vector(c, addend, &inputs[2]));
        NX_TRY(add_fc(c, inputs, 3, &y));
        return nx_onnx_set(c, 0, y);
    }
    NX_TRY(add_fc(c, inputs, n, &y));
    NX_TRY(nx_onnx_binary(c, NX_BINARY_ADD, y, addend, &y));
    return nx_onnx_set(c, 0, y);
}

/* A vector is a matrix of one row, or of one column. */
static enum nx_status as_matrix(struct nx_onnx_call *c, uint32_t x, int64_t at, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_RESHAPE,
                           .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1, .codes = {at}}};
    *y = x;
    return rank_of(c, x) == 1 ? nx_onnx_add(c, &node, &x, 1, y) : NX_OK;
}

static enum nx_status without(struct nx_onnx_call *c, uint32_t x, int64_t at, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_RESHAPE,
                           .attr.reshape = {.kind = NX_RESHAPE_SQUEEZE, .n = 1, .codes = {at}}};
    return nx_onnx_add(c, &node, &x, 1, y);
}

/* Of two activations. What is summed over, and b's columns, are within a photo. */
static enum nx_status multiply(struct nx_onnx_call *c, const uint32_t *given)
{
    struct nx_node node = {.op = NX_OP_MATMUL};
    uint32_t in[2], y;
    bool row = rank_of(c, given[0]) == 1, column = rank_of(c, given[1]) == 1;
    NX_TRY(as_matrix(c, given[0], 0, &in[0]));
    NX_TRY(as_matrix(c, given[1], 1, &in[1]));
    NX_TRY(nx_onnx_within_photo(c, in[0], rank_of(c, in[0]) - 1));
    NX_TRY(nx_onnx_within_photo(c, in[1], rank_of(c, in[1]) - 1));
    NX_TRY(nx_onnx_within_photo(c, in[1], rank_of(c, in[1]) - 2));
    NX_TRY(nx_onnx_add(c, &node, in, 2, &y));
    if (column)
        NX_TRY(without(c, y, -1, &y));
    if (row)
        NX_TRY(without(c, y, column ? -1 : -2, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_matmul(struct nx_onnx_call *c)
{
    uint32_t inputs[2], y;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &inputs[0]));
    NX_TRY(nx_onnx_data(c, 1, &inputs[1]));
    uint32_t rank = rank_of(c, inputs[0]);
    if (rank < 1 || rank_of(c, inputs[1]) < 1)
        return nx_onnx_wrong(c, "a number is no matrix");
    if (rank < 2 || rank_of(c, inputs[1]) != 2 || !nx_onnx_values(c, inputs[1]))
        return multiply(c, inputs);
    NX_TRY(nx_onnx_within_photo(c, inputs[0], rank - 1));
    NX_TRY(prepare(c, inputs[1], true, 1, &inputs[1]));
    NX_TRY(add_fc(c, inputs, 2, &y));
    return nx_onnx_set(c, 0, y);
}
