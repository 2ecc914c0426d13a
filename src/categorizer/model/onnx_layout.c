/* The same elements in another shape or order. */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

enum nx_status nx_onnx_pass_on(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *ints;
    bool training = false;
    NX_TRY(nx_onnx_arity(c, 1, 3));
    NX_TRY(nx_onnx_known(c, 0, &ints));
    if (ints)
        return nx_onnx_set_ints(c, 0, ints->scalar, ints->items, ints->n);
    if (nx_onnx_has(c, 2)) { /* Dropout's training_mode, a bool */
        float value;
        NX_TRY(nx_onnx_constant_float(c, 2, &value, &training));
        if (value != 0)
            return nx_onnx_refuse(c, "training_mode");
    }
    return nx_onnx_identity(c, 0);
}

/* Dimensions before `axis` become one, and those from it on become one. */
enum nx_status nx_onnx_flatten(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_FLATTEN};
    struct nx_onnx_int flat[2] = {{-1, 0}, {1, 0}};
    int64_t axis = 1;
    uint32_t x, at = 0, y;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "axis", &axis));
    uint32_t rank = nx_onnx_tensor(c, x)->shape.rank;
    if (axis != (int64_t)rank)
        NX_TRY(nx_onnx_axis(c, axis, rank, &at));
    else
        at = rank;
    if (at == 1)
        return nx_onnx_finish(c, &node, &x, 1);
    for (uint32_t i = at; i < rank; i++) {
        NX_TRY(nx_onnx_within_photo(c, x, i));
        flat[1].base *= nx_onnx_dim(c, x, i).base;
    }
    NX_TRY(nx_onnx_reshape(c, x, flat, 2, &y));
    return nx_onnx_set(c, 0, y);
}

/* A file made for a batch of n says n where the batch is meant: where x has it, too. */
static bool means_batch(const struct nx_onnx_call *c, uint32_t x, int64_t first)
{
    if (c->o->declared_batch < 1 || nx_onnx_tensor(c, x)->shape.rank < 1)
        return false;
    struct nx_onnx_int dim = nx_onnx_dim(c, x, 0);
    int64_t here;
    return dim.per_photo > 0 && dim.base == 0 &&
           !__builtin_mul_overflow(dim.per_photo, c->o->declared_batch, &here) && here == first;
}

enum nx_status nx_onnx_lower_reshape(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *known, *shape;
    struct nx_onnx_int dims[NX_RESHAPE_CODES_MAX];
    bool zero_is_zero = false;
    uint32_t x, y;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_known(c, 0, &known));
    NX_TRY(nx_onnx_known(c, 1, &shape));
    NX_TRY(nx_onnx_attr_bool(c, "allowzero", &zero_is_zero));
    if (!shape || shape->n > NX_RESHAPE_CODES_MAX)
        return nx_onnx_refuse(c, "a shape that depends on the photo's content");
    if (known && shape->n <= 1) /* of integers: to a list or a number */
        return known->n == 1 || shape->n == 1
                   ? nx_onnx_set_ints(c, 0, shape->n == 0, known->items, known->n)
                   : nx_onnx_wrong(c, "several integers cannot become one");
    NX_TRY(nx_onnx_data(c, 0, &x));
    for (uint32_t i = 0; i < shape->n; i++) {
        dims[i] = shape->items[i];
        if (dims[i].per_photo == 0 && (dims[i].base < -1 || (dims[i].base == 0 && zero_is_zero)))
            return nx_onnx_wrong(c, "a dimension is 0 or negative");
    }
    if (shape->n && dims[0].per_photo == 0 && dims[0].base > 0 && means_batch(c, x, dims[0].base))
        dims[0] = (struct nx_onnx_int){0, 0};
    NX_TRY(nx_onnx_reshape(c, x, dims, shape->n, &y));
    return nx_onnx_set(c, 0, y);
}

enum nx_status nx_onnx_transpose(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_TRANSPOSE, .attr.transpose.kind = NX_TRANSPOSE_REVERSE};
    struct nx_attr_transpose *a = &node.attr.transpose;
    int64_t perm[NX_RANK_MAX];
    uint32_t x, at;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_ints(c, "perm", perm, NX_RANK_MAX, &a->n));
    for (uint32_t i = 0; i < a->n; i++) {
        NX_TRY(nx_onnx_axis(c, perm[i], nx_onnx_tensor(c, x)->shape.rank, &at));
        a->axes[i] = (int32_t)at;
    }
    if (a->n)
        a->kind = NX_TRANSPOSE_AXES;
    return nx_onnx_finish(c, &node, &x, 1);
}
