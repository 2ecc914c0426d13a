#include <string.h>

#include "categorizer/model/lower.h"

static enum nx_status read_axis(const struct nx_lower *l, const char *key, int32_t *axis)
{
    int64_t wide = *axis;
    NX_TRY(nx_lower_int(l, key, -(int64_t)NX_RANK_MAX, NX_RANK_MAX - 1, &wide));
    *axis = (int32_t)wide;
    return NX_OK;
}

enum nx_status nx_lower_concat(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_CONCAT};
    uint32_t inputs[NX_NODE_INPUTS_MAX];
    bool numpy = strcmp(l->op, "_npi_concatenate") == 0;
    node.attr.concat.axis = numpy ? 0 : 1;
    NX_TRY(read_axis(l, numpy ? "axis" : "dim", &node.attr.concat.axis));
    for (uint32_t i = 0; i < l->n_inputs; i++)
        NX_TRY(nx_lower_data(l, i, &inputs[i]));
    return nx_lower_add(l, &node, inputs, l->n_inputs);
}

enum nx_status nx_lower_flatten(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_FLATTEN};
    return nx_lower_simple(l, &node);
}

/* Before 0.9: one 0 is inferred, and keep_highest keeps the batch. */
static enum nx_status read_target_shape(struct nx_lower *l, struct nx_attr_reshape *a)
{
    struct nx_tuple shape = {.n = 0};
    bool keep_highest = false;
    NX_TRY(nx_lower_required(l, "target_shape"));
    NX_TRY(nx_lower_tuple(l, "target_shape", &shape));
    NX_TRY(nx_lower_bool(l, "keep_highest", &keep_highest));
    if (shape.n > NX_RESHAPE_CODES_MAX)
        return nx_lower_unsupported(l, "a shape of more than 16 codes");
    a->n = shape.n;
    for (uint32_t i = 0; i < shape.n; i++)
        a->codes[i] = shape.items[i] == 0 ? -1 : shape.items[i];
    if (keep_highest && shape.n)
        a->codes[0] = 0;
    return NX_OK;
}

enum nx_status nx_lower_reshape(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_CODES};
    struct nx_attr_reshape *a = &node.attr.reshape;
    struct nx_tuple shape = {.n = 0};
    NX_TRY(nx_lower_tuple(l, "shape", &shape));
    NX_TRY(nx_lower_bool(l, "reverse", &a->reverse));
    if (shape.n > NX_RESHAPE_CODES_MAX)
        return nx_lower_unsupported(l, "a shape of more than 16 codes");
    a->n = shape.n;
    memcpy(a->codes, shape.items, shape.n * sizeof *a->codes);
    if (shape.n == 0)
        NX_TRY(read_target_shape(l, a));
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_expand_dims(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_RESHAPE,
                           .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1}};
    int32_t axis = 0;
    NX_TRY(nx_lower_required(l, "axis"));
    NX_TRY(read_axis(l, "axis", &axis));
    node.attr.reshape.codes[0] = axis;
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_squeeze(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_SQUEEZE};
    struct nx_tuple axes = {.n = 0};
    NX_TRY(nx_lower_tuple(l, "axis", &axes));
    if (axes.n > NX_RANK_MAX)
        return nx_lower_unsupported(l, "an axis list of more than 6");
    node.attr.reshape.n = axes.n;
    memcpy(node.attr.reshape.codes, axes.items, axes.n * sizeof *axes.items);
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_slice_channel(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_SPLIT, .attr.split.axis = 1};
    int64_t parts = 0;
    NX_TRY(nx_lower_required(l, "num_outputs"));
    NX_TRY(nx_lower_int(l, "num_outputs", 1, NX_NODE_OUTPUTS_MAX, &parts));
    NX_TRY(read_axis(l, "axis", &node.attr.split.axis));
    NX_TRY(nx_lower_bool(l, "squeeze_axis", &node.attr.split.squeeze));
    node.n_outputs = (uint32_t)parts;
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_slice_axis(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_SLICE, .attr.slice.n = 1};
    struct nx_range *range = &node.attr.slice.ranges[0];
    const char *end = nx_lower_attr(l, "end");
    *range = (struct nx_range){0, 0, NX_SLICE_TO_END, 1};
    NX_TRY(nx_lower_required(l, "axis"));
    NX_TRY(nx_lower_required(l, "begin"));
    NX_TRY(nx_lower_required(l, "end"));
    NX_TRY(read_axis(l, "axis", &range->axis));
    NX_TRY(nx_lower_int(l, "begin", -NX_DIM_MAX, NX_DIM_MAX, &range->begin));
    if (!nx_attr_is_none(end))
        NX_TRY(nx_lower_int(l, "end", -NX_DIM_MAX, NX_DIM_MAX, &range->end));
    return nx_lower_simple(l, &node);
}

/* None means: from the end where the walk starts, to the end where it stops. */
static struct nx_range range_of(int32_t axis, int64_t begin, int64_t end, int64_t step)
{
    bool back = step != NX_TUPLE_NONE && step < 0;
    struct nx_range range = {axis, begin, end, step == NX_TUPLE_NONE ? 1 : step};
    if (begin == NX_TUPLE_NONE)
        range.begin = back ? INT64_MAX : 0;
    if (end == NX_TUPLE_NONE)
        range.end = back ? INT64_MIN : NX_SLICE_TO_END;
    return range;
}

enum nx_status nx_lower_slice(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_SLICE};
    struct nx_tuple begin = {.n = 0}, end = {.n = 0}, step = {.n = 0};
    NX_TRY(nx_lower_tuple(l, "begin", &begin));
    NX_TRY(nx_lower_tuple(l, "end", &end));
    NX_TRY(nx_lower_tuple(l, "step", &step));
    if (begin.n == 0 || begin.n != end.n || begin.n > NX_RANK_MAX || (step.n && step.n != begin.n))
        return nx_err_set(l->err, NX_INVALID,
                          "%s '%s' has begin, end and step of %u, %u and %u entries", l->op,
                          l->name, begin.n, end.n, step.n);
    node.attr.slice.n = begin.n;
    for (uint32_t i = 0; i < begin.n; i++)
        node.attr.slice.ranges[i] = range_of((int32_t)i, begin.items[i], end.items[i],
                                             step.n ? step.items[i] : NX_TUPLE_NONE);
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_transpose(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_TRANSPOSE};
    struct nx_attr_transpose *a = &node.attr.transpose;
    struct nx_tuple axes = {.n = 0};
    NX_TRY(nx_lower_tuple(l, "axes", &axes));
    if (axes.n > NX_RANK_MAX)
        return nx_lower_unsupported(l, "an axis list of more than 6");
    a->kind = axes.n ? NX_TRANSPOSE_AXES : NX_TRANSPOSE_REVERSE;
    a->n = axes.n;
    for (uint32_t i = 0; i < axes.n; i++) {
        if (axes.items[i] < -(int64_t)NX_RANK_MAX || axes.items[i] >= (int64_t)NX_RANK_MAX)
            return nx_lower_unsupported(l, "such an axis");
        a->axes[i] = (int32_t)axes.items[i];
    }
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_swap_axis(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_TRANSPOSE,
                           .attr.transpose = {.kind = NX_TRANSPOSE_SWAP, .n = 2}};
    NX_TRY(read_axis(l, "dim1", &node.attr.transpose.axes[0]));
    NX_TRY(read_axis(l, "dim2", &node.attr.transpose.axes[1]));
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_pad(struct nx_lower *l)
{
    const char *const modes[] = {"constant", "edge", "reflect", NULL};
    struct nx_node node = {.op = NX_OP_PAD};
    struct nx_attr_pad *a = &node.attr.pad;
    struct nx_tuple widths = {.n = 0};
    int mode = 0;
    NX_TRY(nx_lower_required(l, "mode"));
    NX_TRY(nx_lower_choice(l, "mode", modes, &mode));
    NX_TRY(nx_lower_tuple(l, "pad_width", &widths));
    NX_TRY(nx_lower_float(l, "constant_value", &a->value));
    if (widths.n == 0 || widths.n % 2 || widths.n > 2 * NX_RANK_MAX)
        return nx_err_set(l->err, NX_INVALID, "%s '%s' has %u pad_widths, two for each dimension",
                          l->op, l->name, widths.n);
    a->mode = (enum nx_pad)mode;
    a->n = widths.n / 2;
    for (uint32_t i = 0; i < a->n; i++) {
        a->before[i] = widths.items[2 * i];
        a->after[i] = widths.items[2 * i + 1];
    }
    return nx_lower_simple(l, &node);
}
