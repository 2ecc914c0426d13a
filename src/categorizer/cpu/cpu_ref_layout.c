#include "categorizer/cpu/cpu_ref_ops.h"

#include <string.h>

static void strides_of(const struct nx_shape *shape, int64_t *strides)
{
    int64_t step = 1;
    for (uint32_t i = shape->rank; i-- > 0; step *= shape->dims[i])
        strides[i] = step;
}

void nx_ref_copy(const struct nx_ref_call *c)
{
    const struct nx_shape *shape = nx_ref_out_shape(c, 0);
    int64_t n = nx_ref_product(shape, 0, shape->rank);
    if (nx_ref_out(c, 0) != nx_ref_in(c, 0))
        memcpy(nx_ref_out(c, 0), nx_ref_in(c, 0), (size_t)n * sizeof(float));
}

void nx_ref_concat(const struct nx_ref_call *c)
{
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    uint32_t axis = (uint32_t)c->node->attr.concat.axis;
    int64_t outer = nx_ref_product(ys, 0, axis), y_row = nx_ref_product(ys, axis, ys->rank);
    float *y = nx_ref_out(c, 0);
    for (uint32_t i = 0; i < c->node->n_inputs; i++) {
        const struct nx_shape *xs = nx_ref_in_shape(c, i);
        int64_t row = nx_ref_product(xs, axis, xs->rank);
        for (int64_t o = 0; o < outer; o++)
            memcpy(y + o * y_row, nx_ref_in(c, i) + o * row, (size_t)row * sizeof(float));
        y += row;
    }
}

void nx_ref_split(const struct nx_ref_call *c)
{
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    uint32_t axis = (uint32_t)c->node->attr.split.axis;
    int64_t outer = nx_ref_product(xs, 0, axis), x_row = nx_ref_product(xs, axis, xs->rank);
    int64_t row = x_row / c->node->n_outputs;
    for (uint32_t i = 0; i < c->node->n_outputs; i++)
        for (int64_t o = 0; o < outer; o++)
            memcpy(nx_ref_out(c, i) + o * row, nx_ref_in(c, 0) + o * x_row + i * row,
                   (size_t)row * sizeof(float));
}

/* y[index] = x[corner + sum of index[d] steps[d]] for every index of y. */
static void gather(const struct nx_ref_call *c, int64_t corner, const int64_t *steps)
{
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    int64_t strides[NX_RANK_MAX], n = nx_ref_product(ys, 0, ys->rank);
    strides_of(ys, strides);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = corner;
        for (uint32_t d = 0; d < ys->rank; d++)
            at += i / strides[d] % ys->dims[d] * steps[d];
        nx_ref_out(c, 0)[i] = nx_ref_in(c, 0)[at];
    }
}

void nx_ref_slice(const struct nx_ref_call *c)
{
    const struct nx_attr_slice *a = &c->node->attr.slice;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    int64_t steps[NX_RANK_MAX], corner = 0;
    strides_of(xs, steps);
    for (uint32_t d = 0; d < xs->rank; d++) {
        corner += a->first[d] * steps[d];
        steps[d] *= a->stride[d];
    }
    gather(c, corner, steps);
}

void nx_ref_transpose(const struct nx_ref_call *c)
{
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    int64_t strides[NX_RANK_MAX], steps[NX_RANK_MAX];
    strides_of(xs, strides);
    for (uint32_t d = 0; d < xs->rank; d++)
        steps[d] = strides[c->node->attr.transpose.perm[d]];
    gather(c, 0, steps);
}

/* Where in a dimension of `dim` elements does position `at` read? -1: in constant padding. */
static int64_t pad_source(enum nx_pad mode, int64_t at, int64_t dim)
{
    if (at >= 0 && at < dim)
        return at;
    if (mode == NX_PAD_EDGE)
        return at < 0 ? 0 : dim - 1;
    if (mode == NX_PAD_REFLECT)
        return at < 0 ? -at : 2 * (dim - 1) - at;
    return -1;
}

static float pad_value(const struct nx_ref_call *c, int64_t i, const int64_t *x_strides,
                       const int64_t *y_strides)
{
    const struct nx_attr_pad *a = &c->node->attr.pad;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *ys = nx_ref_out_shape(c, 0);
    int64_t at = 0;
    for (uint32_t d = 0; d < xs->rank; d++) {
        int64_t index = i / y_strides[d] % ys->dims[d] - a->before[d];
        int64_t source = pad_source(a->mode, index, xs->dims[d]);
        if (source < 0)
            return a->value;
        at += source * x_strides[d];
    }
    return nx_ref_in(c, 0)[at];
}

void nx_ref_pad(const struct nx_ref_call *c)
{
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    int64_t x_strides[NX_RANK_MAX], y_strides[NX_RANK_MAX], n = nx_ref_product(ys, 0, ys->rank);
    strides_of(nx_ref_in_shape(c, 0), x_strides);
    strides_of(ys, y_strides);
    for (int64_t i = 0; i < n; i++)
        nx_ref_out(c, 0)[i] = pad_value(c, i, x_strides, y_strides);
}
