/* More around a tensor, or less of it. */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

static const struct nx_shape *shape_of(const struct nx_onnx_call *c, uint32_t tensor)
{
    return &nx_onnx_tensor(c, tensor)->shape;
}

static enum nx_status slice(struct nx_onnx_call *c, uint32_t x, uint32_t axis, int64_t begin,
                            int64_t end, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_SLICE, .attr.slice.n = 1};
    node.attr.slice.ranges[0] = (struct nx_range){(int32_t)axis, begin, end, 1};
    return nx_onnx_add(c, &node, &x, 1, y);
}

/* What is negative takes away; what is left to be put on stays in the pads. */
static enum nx_status crop(struct nx_onnx_call *c, struct nx_attr_pad *a, uint32_t *x)
{
    for (uint32_t i = 0; i < a->n; i++) {
        int64_t side = shape_of(c, *x)->dims[i];
        int64_t first = a->before[i] < 0 ? a->before[i] : 0,
                last = a->after[i] < 0 ? a->after[i] : 0;
        if (first == 0 && last == 0)
            continue;
        if (first <= -side || last <= -side || -first - last >= side)
            return nx_onnx_wrong(c, "its negative pads leave nothing");
        NX_TRY(nx_onnx_within_photo(c, *x, i));
        NX_TRY(slice(c, *x, i, -first, side + last, x));
        a->before[i] -= first;
        a->after[i] -= last;
    }
    return NX_OK;
}

/* Each side goes on with what is at the other one. */
static enum nx_status wrap(struct nx_onnx_call *c, const struct nx_attr_pad *a, uint32_t x)
{
    for (uint32_t i = 0; i < a->n; i++) {
        struct nx_node node = {.op = NX_OP_CONCAT, .attr.concat.axis = (int32_t)i};
        int64_t side = shape_of(c, x)->dims[i];
        uint32_t parts[3], n = 0;
        if (a->before[i] == 0 && a->after[i] == 0)
            continue;
        NX_TRY(nx_onnx_within_photo(c, x, i));
        if (a->before[i] > side || a->after[i] > side)
            return nx_onnx_refuse(c, "wrapping more than once around");
        if (a->before[i])
            NX_TRY(slice(c, x, i, side - a->before[i], side, &parts[n++]));
        parts[n++] = x;
        if (a->after[i])
            NX_TRY(slice(c, x, i, 0, a->after[i], &parts[n++]));
        NX_TRY(nx_onnx_add(c, &node, parts, n, &x));
    }
    return nx_onnx_set(c, 0, x);
}

/* pads are all the befores and then all the afters, of `axes` or of all dimensions. */
static enum nx_status place_pads(const struct nx_onnx_call *c, const int64_t *pads, uint32_t n,
                                 const int64_t *axes, uint32_t n_axes, struct nx_attr_pad *a)
{
    uint32_t sides = n_axes ? n_axes : a->n, at;
    if (n != 2 * sides)
        return nx_onnx_wrong(c, "two pads for each dimension were expected");
    for (uint32_t i = 0; i < sides; i++) {
        NX_TRY(nx_onnx_axis(c, n_axes ? axes[i] : (int64_t)i, a->n, &at));
        a->before[at] = pads[i];
        a->after[at] = pads[sides + i];
    }
    return NX_OK;
}

enum nx_status nx_onnx_pad(struct nx_onnx_call *c)
{
    enum { WRAP = 3 };
    const char *const modes[] = {"constant", "edge", "reflect", "wrap", NULL};
    struct nx_node node = {.op = NX_OP_PAD};
    struct nx_attr_pad *a = &node.attr.pad;
    int64_t pads[2 * NX_RANK_MAX], axes[NX_RANK_MAX];
    uint32_t x, n, n_axes;
    int mode = 0;
    bool there;
    NX_TRY(nx_onnx_arity(c, 1, 4));
    NX_TRY(nx_onnx_data(c, 0, &x));
    a->n = shape_of(c, x)->rank;
    NX_TRY(nx_onnx_attr_choice(c, "mode", modes, &mode));
    NX_TRY(nx_onnx_attr_float(c, "value", &a->value));
    NX_TRY(nx_onnx_ints_either(c, "pads", 1, pads, 2 * NX_RANK_MAX, &n));
    NX_TRY(nx_onnx_constant_float(c, 2, &a->value, &there));
    NX_TRY(nx_onnx_constant_ints(c, 3, axes, NX_RANK_MAX, &n_axes));
    NX_TRY(place_pads(c, pads, n, axes, n_axes, a));
    NX_TRY(crop(c, a, &x));
    if (mode == WRAP)
        return wrap(c, a, x);
    a->mode = (enum nx_pad)mode;
    return nx_onnx_finish(c, &node, &x, 1);
}

/* To `wanted` along some axes, the middle staying in the middle: what is odd is at the end. */
enum nx_status nx_onnx_center_crop_pad(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_PAD};
    struct nx_attr_pad *a = &node.attr.pad;
    int64_t wanted[NX_RANK_MAX], axes[NX_RANK_MAX];
    uint32_t x, n, n_axes, at;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_constant_ints(c, 1, wanted, NX_RANK_MAX, &n));
    NX_TRY(nx_onnx_attr_ints(c, "axes", axes, NX_RANK_MAX, &n_axes));
    a->n = shape_of(c, x)->rank;
    if (n != (n_axes ? n_axes : a->n))
        return nx_onnx_wrong(c, "one side for each axis was expected");
    for (uint32_t i = 0; i < n; i++) {
        NX_TRY(nx_onnx_axis(c, n_axes ? axes[i] : (int64_t)i, a->n, &at));
        NX_TRY(nx_onnx_within_photo(c, x, at));
        int64_t side = shape_of(c, x)->dims[at];
        if (wanted[i] < 1 || wanted[i] > NX_DIM_MAX)
            return nx_onnx_wrong(c, "a side is out of bounds");
        int64_t more = wanted[i] - side;
        a->before[at] = more < 0 ? -(-more / 2) : more / 2;
        a->after[at] = more - a->before[at];
    }
    NX_TRY(crop(c, a, &x));
    return nx_onnx_finish(c, &node, &x, 1);
}
