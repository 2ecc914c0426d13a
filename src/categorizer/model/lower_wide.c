/* Ops that nets for photos seldom need: products of activations, norms over layers, indices, sizes. */
#include <math.h>
#include <string.h>

#include "categorizer/model/lower.h"

/* A few bytes of a file must not unfold without end. */
#define FILLED_ELEMENTS_MAX (UINT64_C(1) << 22)

static enum nx_status read_axis(const struct nx_lower *l, const char *key, int32_t *axis)
{
    int64_t wide = *axis;
    if (nx_lower_attr(l, key) && nx_attr_is_none(nx_lower_attr(l, key)))
        return nx_lower_unsupported(l, "an axis of None");
    NX_TRY(nx_lower_int(l, key, -(int64_t)NX_RANK_MAX, NX_RANK_MAX - 1, &wide));
    *axis = (int32_t)wide;
    return NX_OK;
}

/* Adds a node that is not the op's last one. */
static enum nx_status add(struct nx_lower *l, struct nx_node *node, uint32_t *inputs, uint32_t n,
                          uint32_t *y)
{
    NX_TRY(nx_lower_add(l, node, inputs, n));
    *y = l->outputs[0];
    return NX_OK;
}

static enum nx_status add_unary(struct nx_lower *l, enum nx_unary fn, float a, uint32_t x,
                                uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {fn, a, 0}};
    return add(l, &node, &x, 1, y);
}

/* --- norms --- */

static enum nx_status read_norm_inputs(struct nx_lower *l, uint32_t inputs[3])
{
    NX_TRY(nx_lower_arity(l, 3));
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(nx_lower_weight(l, 1, &inputs[1]));
    return nx_lower_weight(l, 2, &inputs[2]);
}

enum nx_status nx_lower_layer_norm(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_LAYER_NORM, .attr.layer_norm = {1e-5f, -1, -1}};
    uint32_t inputs[3];
    NX_TRY(nx_lower_float(l, "eps", &node.attr.layer_norm.eps));
    NX_TRY(read_axis(l, "axis", &node.attr.layer_norm.first));
    node.attr.layer_norm.last = node.attr.layer_norm.first;
    NX_TRY(read_norm_inputs(l, inputs));
    return nx_lower_add(l, &node, inputs, 3);
}

/* detail: 0 InstanceNorm, 1 GroupNorm */
enum nx_status nx_lower_group_norm(struct nx_lower *l)
{
    bool grouped = l->alias->detail == 1;
    struct nx_node node = {.op = NX_OP_GROUP_NORM, .attr.group_norm = {grouped ? 1e-5f : 1e-3f, 0}};
    int64_t groups = 1;
    uint32_t inputs[3];
    NX_TRY(nx_lower_float(l, "eps", &node.attr.group_norm.eps));
    if (grouped) {
        NX_TRY(nx_lower_int(l, "num_groups", 1, INT32_MAX, &groups));
        node.attr.group_norm.groups = (int32_t)groups;
    }
    NX_TRY(read_norm_inputs(l, inputs));
    return nx_lower_add(l, &node, inputs, 3);
}

/* --- products --- */

/* detail: 0 dot, 1 batch_dot and matmul, 2 linalg_gemm2 */
enum nx_status nx_lower_matmul(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_MATMUL};
    struct nx_attr_matmul *a = &node.attr.matmul;
    uint32_t inputs[2], y;
    float alpha = 1;
    int64_t axis = -2;
    NX_TRY(nx_lower_arity(l, 2));
    NX_TRY(nx_lower_bool(l, "transpose_a", &a->transpose_a));
    NX_TRY(nx_lower_bool(l, "transpose_b", &a->transpose_b));
    a->one_matrix = l->alias->detail == 0;
    if (l->alias->detail == 2) {
        NX_TRY(nx_lower_float(l, "alpha", &alpha));
        NX_TRY(nx_lower_int(l, "axis", -2, -2, &axis));
    }
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(nx_lower_data(l, 1, &inputs[1]));
    NX_TRY(add(l, &node, inputs, 2, &y));
    return alpha == 1 ? NX_OK : add_unary(l, NX_UNARY_MUL, alpha, y, &y);
}

/* --- sizes --- */

enum nx_status nx_lower_adaptive_pooling(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_AVG, .cells = {1, 1}}};
    struct nx_tuple size = {.n = 0};
    NX_TRY(nx_lower_tuple(l, "output_size", &size));
    if (size.n > 2)
        return nx_lower_unsupported(l, "an output_size of more than 2 dimensions");
    for (uint32_t i = 0; i < 2 && size.n; i++) {
        node.attr.pool.cells[i] = size.items[size.n == 2 ? i : 0];
        if (node.attr.pool.cells[i] < 1 || node.attr.pool.cells[i] > 1 << 16)
            return nx_lower_unsupported(l, "such an output_size");
    }
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_up_sampling(struct nx_lower *l)
{
    const char *const kinds[] = {"nearest", "bilinear", NULL};
    struct nx_node node = {.op = NX_OP_RESIZE,
                           .attr.resize = {.kind = NX_RESIZE_NEAREST,
                                           .place = NX_PLACE_ASYMMETRIC,
                                           .round = NX_ROUND_FLOOR}};
    int64_t scale = 1;
    int kind = 0;
    NX_TRY(nx_lower_required(l, "scale"));
    NX_TRY(nx_lower_required(l, "sample_type"));
    NX_TRY(nx_lower_int(l, "scale", 1, 1000, &scale));
    NX_TRY(nx_lower_choice(l, "sample_type", kinds, &kind));
    if (kind == 1)
        return nx_lower_up_sampling_bilinear(l, scale);
    if (l->n_inputs != 1)
        return nx_lower_unsupported(l, "more than one input");
    node.attr.resize.scale[0] = node.attr.resize.scale[1] = (float)scale;
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_bilinear_resize(struct nx_lower *l)
{
    const char *const modes[] = {"size", NULL};
    struct nx_node node = {.op = NX_OP_RESIZE, .attr.resize.kind = NX_RESIZE_LINEAR};
    struct nx_attr_resize *a = &node.attr.resize;
    bool align = true;
    int ignored;
    NX_TRY(nx_lower_choice(l, "mode", modes, &ignored));
    NX_TRY(nx_lower_bool(l, "align_corners", &align));
    NX_TRY(nx_lower_float(l, "scale_height", &a->scale[0]));
    NX_TRY(nx_lower_float(l, "scale_width", &a->scale[1]));
    if (!(a->scale[0] > 0 && a->scale[1] > 0)) {
        a->scale[0] = a->scale[1] = 0;
        NX_TRY(nx_lower_int(l, "height", 1, 1 << 16, &a->size[0]));
        NX_TRY(nx_lower_int(l, "width", 1, 1 << 16, &a->size[1]));
    }
    if (l->n_inputs != 1)
        return nx_lower_unsupported(l, "a size like another tensor's");
    a->place = align ? NX_PLACE_ALIGN_CORNERS : NX_PLACE_HALF_PIXEL;
    return nx_lower_simple(l, &node);
}

static enum nx_status read_counts(struct nx_lower *l, const char *key, struct nx_attr_tile *a)
{
    struct nx_tuple counts = {.n = 0};
    NX_TRY(nx_lower_required(l, key));
    NX_TRY(nx_lower_tuple(l, key, &counts));
    if (counts.n < 1 || counts.n > NX_RANK_MAX)
        return nx_lower_unsupported(l, "other than 1 to 6 dimensions");
    a->n = counts.n;
    for (uint32_t i = 0; i < counts.n; i++) {
        a->counts[i] = counts.items[i];
        if (counts.items[i] < 0 || counts.items[i] > NX_DIM_MAX)
            return nx_lower_unsupported(l, "such a count");
    }
    return NX_OK;
}

enum nx_status nx_lower_tile(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_TILE, .attr.tile.kind = NX_TILE_REPEAT};
    NX_TRY(read_counts(l, "reps", &node.attr.tile));
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_broadcast_to(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_TILE, .attr.tile.kind = NX_TILE_TO};
    NX_TRY(read_counts(l, "shape", &node.attr.tile));
    return nx_lower_simple(l, &node);
}

/* x where the other is 1, and x where it is not: only its shape counts. */
enum nx_status nx_lower_broadcast_like(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_WHERE};
    uint32_t inputs[3];
    NX_TRY(nx_lower_arity(l, 2));
    if (nx_lower_attr(l, "lhs_axes") && !nx_attr_is_none(nx_lower_attr(l, "lhs_axes")))
        return nx_lower_unsupported(l, "lhs_axes");
    NX_TRY(nx_lower_data(l, 0, &inputs[1]));
    NX_TRY(nx_lower_data(l, 1, &inputs[0]));
    NX_TRY(add_unary(l, NX_UNARY_CONSTANT, 1, inputs[0], &inputs[0]));
    inputs[2] = inputs[1];
    return nx_lower_add(l, &node, inputs, 3);
}

/* --- indices --- */

enum nx_status nx_lower_take(struct nx_lower *l)
{
    const char *const modes[] = {"clip", "wrap", NULL};
    struct nx_node node = {.op = NX_OP_GATHER};
    uint32_t inputs[2];
    int mode = 0;
    NX_TRY(nx_lower_arity(l, 2));
    NX_TRY(read_axis(l, "axis", &node.attr.gather.axis));
    NX_TRY(nx_lower_choice(l, "mode", modes, &mode));
    node.attr.gather.wrap = mode == 1;
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(nx_lower_data(l, 1, &inputs[1]));
    return nx_lower_add(l, &node, inputs, 2);
}

enum nx_status nx_lower_embedding(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_GATHER};
    uint32_t inputs[2];
    NX_TRY(nx_lower_arity(l, 2));
    NX_TRY(nx_lower_data(l, 0, &inputs[1]));
    NX_TRY(nx_lower_weight(l, 1, &inputs[0]));
    return nx_lower_add(l, &node, inputs, 2);
}

enum nx_status nx_lower_where(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_WHERE};
    uint32_t inputs[3];
    NX_TRY(nx_lower_arity(l, 3));
    for (uint32_t i = 0; i < 3; i++)
        NX_TRY(nx_lower_data(l, i, &inputs[i]));
    return nx_lower_add(l, &node, inputs, 3);
}

/* detail: nx_reduce */
enum nx_status nx_lower_arg_reduce(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_REDUCE,
                           .attr.reduce = {.kind = (enum nx_reduce)l->alias->detail, .n = 1}};
    bool channel = strcmp(l->op, "argmax_channel") == 0;
    node.attr.reduce.axes[0] = 1;
    NX_TRY(nx_lower_bool(l, "keepdims", &node.attr.reduce.keepdims));
    if (!channel) {
        NX_TRY(nx_lower_required(l, "axis"));
        NX_TRY(read_axis(l, "axis", &node.attr.reduce.axes[0]));
    }
    return nx_lower_simple(l, &node);
}

/* detail: 0 topk, 1 sort, 2 argsort. topk is largest first by default, the other two are smallest first. */
enum nx_status nx_lower_topk(struct nx_lower *l)
{
    const char *const kinds[] = {"indices", "value", "both", NULL};
    const char *const dtypes[] = {"float32", "int32", "int64", "float64", NULL};
    bool sorts = l->alias->detail > 0;
    struct nx_node node = {.op = NX_OP_TOPK,
                           .attr.topk = {.axis = -1, .k = sorts ? 0 : 1, .smallest = sorts}};
    struct nx_attr_topk *a = &node.attr.topk;
    int kind = l->alias->detail == 1, ignored;
    uint32_t x, values;
    NX_TRY(read_axis(l, "axis", &a->axis));
    NX_TRY(nx_lower_int(l, "k", 0, NX_TOPK_SIDE_MAX, &a->k));
    NX_TRY(nx_lower_bool(l, "is_ascend", &a->smallest));
    NX_TRY(nx_lower_choice(l, "ret_typ", kinds, &kind));
    NX_TRY(nx_lower_choice(l, "dtype", dtypes, &ignored));
    NX_TRY(nx_lower_data(l, 0, &x));
    a->gives = kind == 0 ? NX_TOPK_INDICES : NX_TOPK_VALUES;
    NX_TRY(add(l, &node, &x, 1, &values));
    if (kind < 2)
        return NX_OK;
    a->gives = NX_TOPK_INDICES;
    NX_TRY(nx_lower_add(l, &node, &x, 1));
    l->outputs[1] = l->outputs[0];
    l->outputs[0] = values;
    l->n_outputs = 2;
    return NX_OK;
}

static enum nx_status add_constant(struct nx_lower *l, const struct nx_shape *shape, float **data,
                                   uint32_t *tensor)
{
    uint64_t elements;
    if (!nx_shape_elements(shape, &elements) || elements == 0 || elements > FILLED_ELEMENTS_MAX)
        return nx_lower_unsupported(l, "a constant of no or of more than 4194304 elements");
    *data = nx_arena_array(l->graph->arena, elements, sizeof **data);
    if (!*data)
        return nx_err_set(l->err, NX_NO_MEMORY, "out of memory for %s '%s'", l->op, l->name);
    return nx_graph_add_constant(l->graph, l->name, shape, *data, tensor, l->err);
}

static enum nx_status finish_constant(struct nx_lower *l, uint32_t tensor)
{
    struct nx_node node = {.op = NX_OP_IDENTITY};
    return nx_lower_add(l, &node, &tensor, 1);
}

/* detail: the value; -1: the attribute `value` */
enum nx_status nx_lower_filled(struct nx_lower *l)
{
    struct nx_tuple sides = {.n = 0};
    struct nx_shape shape = {.rank = 0};
    float value = (float)l->alias->detail, *data;
    uint32_t tensor;
    uint64_t n;
    if (l->alias->detail < 0) {
        NX_TRY(nx_lower_required(l, "value"));
        NX_TRY(nx_lower_float(l, "value", &value));
    }
    NX_TRY(nx_lower_tuple(l, "shape", &sides));
    if (sides.n < 1 || sides.n > NX_RANK_MAX)
        return nx_lower_unsupported(l, "a shape of other than 1 to 6 dimensions");
    shape.rank = sides.n;
    for (uint32_t i = 0; i < sides.n; i++) {
        shape.dims[i] = sides.items[i];
        if (sides.items[i] < 1 || sides.items[i] > NX_DIM_MAX)
            return nx_lower_unsupported(l, "a shape that the file leaves open");
    }
    NX_TRY(add_constant(l, &shape, &data, &tensor));
    for (uint64_t i = 0; nx_shape_elements(&shape, &n) && i < n; i++)
        data[i] = value;
    return finish_constant(l, tensor);
}

enum nx_status nx_lower_arange(struct nx_lower *l)
{
    float start = 0, stop = 0, step = 1, *data;
    int64_t repeat = 1;
    uint32_t tensor;
    const char *end = nx_lower_attr(l, "stop");
    NX_TRY(nx_lower_float(l, "start", &start));
    NX_TRY(nx_lower_float(l, "stop", &stop));
    NX_TRY(nx_lower_float(l, "step", &step));
    NX_TRY(nx_lower_int(l, "repeat", 1, NX_DIM_MAX, &repeat));
    if (!end || nx_attr_is_none(end)) { /* as range(stop) */
        stop = start;
        start = 0;
    }
    double count = ceil(((double)stop - (double)start) / (double)step);
    if (!(count >= 1 && count * (double)repeat <= (double)FILLED_ELEMENTS_MAX))
        return nx_lower_unsupported(l, "a range of none or of more than 4194304 numbers");
    struct nx_shape shape = {1, {(int64_t)count * repeat}};
    NX_TRY(add_constant(l, &shape, &data, &tensor));
    for (int64_t i = 0; i < shape.dims[0]; i++)
        data[i] = start + (float)(i / repeat) * step;
    return finish_constant(l, tensor);
}

/* index == 0, 1, 2, … as on_value, else off_value */
enum nx_status nx_lower_one_hot(struct nx_lower *l)
{
    struct nx_node wide = {.op = NX_OP_RESHAPE,
                           .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1, .codes = {-1}}};
    struct nx_node equal = {.op = NX_OP_BINARY, .attr.binary.kind = NX_BINARY_EQ};
    int64_t depth = 0;
    float on = 1, off = 0, *data;
    uint32_t inputs[2], y;
    NX_TRY(nx_lower_required(l, "depth"));
    NX_TRY(nx_lower_int(l, "depth", 1, (int64_t)FILLED_ELEMENTS_MAX, &depth));
    NX_TRY(nx_lower_float(l, "on_value", &on));
    NX_TRY(nx_lower_float(l, "off_value", &off));
    struct nx_shape shape = {1, {depth}};
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(add_unary(l, NX_UNARY_TRUNC, 0, inputs[0], &inputs[0]));
    NX_TRY(add(l, &wide, inputs, 1, &inputs[0]));
    NX_TRY(add_constant(l, &shape, &data, &inputs[1]));
    for (int64_t i = 0; i < depth; i++)
        data[i] = (float)i;
    NX_TRY(add(l, &equal, inputs, 2, &y));
    NX_TRY(add_unary(l, NX_UNARY_MUL, on - off, y, &y));
    return off == 0 ? NX_OK : add_unary(l, NX_UNARY_ADD, off, y, &y);
}

/* --- several in a row --- */

enum nx_status nx_lower_softmin(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_SOFTMAX, .attr.softmax = {-1, false, 1}};
    uint32_t x;
    NX_TRY(read_axis(l, "axis", &node.attr.softmax.axis));
    NX_TRY(nx_lower_float(l, "temperature", &node.attr.softmax.temperature));
    NX_TRY(nx_lower_data(l, 0, &x));
    NX_TRY(add_unary(l, NX_UNARY_MUL, -1, x, &x));
    return nx_lower_add(l, &node, &x, 1);
}

static enum nx_status expand(struct nx_lower *l, int64_t axis, uint32_t x, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_RESHAPE,
                           .attr.reshape = {.kind = NX_RESHAPE_EXPAND, .n = 1, .codes = {axis}}};
    return add(l, &node, &x, 1, y);
}

enum nx_status nx_lower_stack(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_CONCAT};
    uint32_t inputs[NX_NODE_INPUTS_MAX];
    NX_TRY(read_axis(l, "axis", &node.attr.concat.axis));
    for (uint32_t i = 0; i < l->n_inputs; i++) {
        NX_TRY(nx_lower_data(l, i, &inputs[i]));
        NX_TRY(expand(l, node.attr.concat.axis, inputs[i], &inputs[i]));
    }
    return nx_lower_add(l, &node, inputs, l->n_inputs);
}

/* Each element `repeats` times: copies along a new axis behind its own, which then become one. */
enum nx_status nx_lower_repeat(struct nx_lower *l)
{
    struct nx_node copies = {.op = NX_OP_CONCAT};
    struct nx_node merge = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_CODES};
    struct nx_attr_reshape *m = &merge.attr.reshape;
    uint32_t inputs[NX_NODE_INPUTS_MAX], x;
    int64_t repeats = 1;
    int32_t axis = -1;
    NX_TRY(nx_lower_required(l, "repeats"));
    NX_TRY(nx_lower_required(l, "axis"));
    NX_TRY(nx_lower_int(l, "repeats", 1, NX_NODE_INPUTS_MAX, &repeats));
    NX_TRY(read_axis(l, "axis", &axis));
    if (axis < 0 || axis + 1 >= (int32_t)NX_RANK_MAX)
        return nx_lower_unsupported(l, "an axis counted from the end");
    NX_TRY(nx_lower_data(l, 0, &x));
    NX_TRY(expand(l, axis + 1, x, &x));
    for (int64_t i = 0; i < repeats; i++)
        inputs[i] = x;
    copies.attr.concat.axis = axis + 1;
    NX_TRY(add(l, &copies, inputs, (uint32_t)repeats, &x));
    while (m->n < (uint32_t)axis)
        m->codes[m->n++] = 0;
    m->codes[m->n++] = -3;
    m->codes[m->n++] = -2;
    return nx_lower_add(l, &merge, &x, 1);
}

enum nx_status nx_lower_flip(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_SLICE};
    struct nx_tuple axes = {.n = 0};
    NX_TRY(nx_lower_required(l, "axis"));
    NX_TRY(nx_lower_tuple(l, "axis", &axes));
    if (axes.n < 1 || axes.n > NX_RANK_MAX)
        return nx_lower_unsupported(l, "such a number of axes");
    for (uint32_t i = 0; i < axes.n; i++) {
        if (axes.items[i] < -(int64_t)NX_RANK_MAX || axes.items[i] >= (int64_t)NX_RANK_MAX)
            return nx_lower_unsupported(l, "such an axis");
        node.attr.slice.ranges[i] =
            (struct nx_range){(int32_t)axes.items[i], INT64_MAX, INT64_MIN, -1};
    }
    node.attr.slice.n = axes.n;
    return nx_lower_simple(l, &node);
}

static enum nx_status reshape(struct nx_lower *l, uint32_t x, const int64_t *codes, uint32_t n,
                              uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape = {.kind = NX_RESHAPE_CODES, .n = n}};
    memcpy(node.attr.reshape.codes, codes, n * sizeof *codes);
    return add(l, &node, &x, 1, y);
}

/* detail: 0 depth to space, 1 space to depth. The six dimensions in between are (N, b, b, C, H, W) of the deep
 * side, in another order. */
enum nx_status nx_lower_depth_space(struct nx_lower *l)
{
    bool to_depth = l->alias->detail == 1;
    struct nx_node node = {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 6}};
    static const int32_t spread[6] = {0, 3, 4, 1, 5, 2}, gather[6] = {0, 3, 5, 1, 2, 4};
    int64_t b = 0;
    uint32_t x, y;
    NX_TRY(nx_lower_required(l, "block_size"));
    NX_TRY(nx_lower_int(l, "block_size", 1, 1 << 16, &b));
    memcpy(node.attr.transpose.axes, to_depth ? gather : spread, sizeof spread);
    const int64_t deep[2][6] = {{0, -4, b, -1, -2}, {0, 0, -4, b, -1, -2}};
    const int64_t flat[2][8] = {{0, 0, -4, -1, b, -2}, {0, 0, 0, 0, -4, -1, b}};
    const int64_t to_flat[4] = {0, 0, -3, -3}, to_deep[4] = {0, -3, 0, 0};
    NX_TRY(nx_lower_data(l, 0, &x));
    NX_TRY(reshape(l, x, to_depth ? flat[0] : deep[0], to_depth ? 6 : 5, &y));
    NX_TRY(reshape(l, y, to_depth ? flat[1] : deep[1], to_depth ? 7 : 6, &y));
    NX_TRY(add(l, &node, &y, 1, &y));
    if (!to_depth)
        return reshape(l, y, to_flat, 4, &y);
    const int64_t first[5] = {0, -3, 0, 0, 0}; /* (N, b b, C, H, W), then (N, b b C, H, W) */
    NX_TRY(reshape(l, y, first, 5, &y));
    return reshape(l, y, to_deep, 4, &y);
}

/* ord 1 is the sum of magnitudes, ord 2 the Euclidean norm. */
enum nx_status nx_lower_norm(struct nx_lower *l)
{
    int64_t ord = 2;
    uint32_t x, y;
    struct nx_node node = {.op = NX_OP_REDUCE};
    NX_TRY(nx_lower_int(l, "ord", 1, 2, &ord));
    NX_TRY(nx_lower_reduce_attr(l, &node.attr.reduce));
    node.attr.reduce.kind = ord == 2 ? NX_REDUCE_NORM : NX_REDUCE_SUM;
    NX_TRY(nx_lower_data(l, 0, &x));
    if (ord == 1)
        NX_TRY(add_unary(l, NX_UNARY_ABS, 0, x, &x));
    return add(l, &node, &x, 1, &y);
}

static enum nx_status slice_part(struct nx_lower *l, uint32_t x, int32_t axis, int64_t begin,
                                 int64_t end, bool squeeze, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_SLICE, .attr.slice.n = 1};
    struct nx_node narrow = {.op = NX_OP_RESHAPE,
                             .attr.reshape = {.kind = NX_RESHAPE_SQUEEZE, .n = 1, .codes = {axis}}};
    node.attr.slice.ranges[0] = (struct nx_range){axis, begin, end, 1};
    NX_TRY(add(l, &node, &x, 1, y));
    return squeeze ? add(l, &narrow, y, 1, y) : NX_OK;
}

/* Equal parts, or parts that begin at the indices, of which the first is 0. */
enum nx_status nx_lower_split_v2(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_SPLIT};
    struct nx_tuple at = {.n = 0};
    int64_t sections = 0;
    int32_t axis = 1;
    uint32_t x, parts[NX_TUPLE_MAX];
    NX_TRY(nx_lower_int(l, "sections", 0, NX_NODE_OUTPUTS_MAX, &sections));
    NX_TRY(read_axis(l, "axis", &axis));
    NX_TRY(nx_lower_bool(l, "squeeze_axis", &node.attr.split.squeeze));
    if (sections > 0) {
        node.attr.split.axis = axis;
        node.n_outputs = (uint32_t)sections;
        return nx_lower_simple(l, &node);
    }
    NX_TRY(nx_lower_tuple(l, "indices", &at));
    NX_TRY(nx_lower_data(l, 0, &x));
    if (at.n == 0 || at.items[0] != 0)
        return nx_lower_unsupported(l, "indices that do not begin with 0");
    for (uint32_t i = 0; i < at.n; i++)
        NX_TRY(slice_part(l, x, axis, at.items[i], i + 1 < at.n ? at.items[i + 1] : NX_SLICE_TO_END,
                          node.attr.split.squeeze, &parts[i]));
    memcpy(l->outputs, parts, at.n * sizeof *parts);
    l->n_outputs = at.n;
    return NX_OK;
}

/* Did a cast to f16 or bf16 give this tensor, and which? NX_UNARY_NONE: none did. */
static enum nx_unary rounding_of(const struct nx_lower *l, uint32_t tensor)
{
    const struct nx_tensor *t = &l->graph->tensors[tensor];
    const struct nx_node *node = t->producer == NX_NONE ? NULL : &l->graph->nodes[t->producer];
    enum nx_unary fn = node && node->op == NX_OP_UNARY ? node->attr.unary.fn : NX_UNARY_NONE;
    return fn == NX_UNARY_ROUND_F16 || fn == NX_UNARY_ROUND_BF16 ? fn : NX_UNARY_NONE;
}

/* All inputs in the widest of their types, which is as they are, or in the narrowest: then all are rounded if one was. */
enum nx_status nx_lower_multicast(struct nx_lower *l)
{
    uint32_t outputs[NX_NODE_INPUTS_MAX];
    struct nx_node node = {.op = NX_OP_IDENTITY};
    bool narrow = false;
    NX_TRY(nx_lower_bool(l, "cast_narrow", &narrow));
    for (uint32_t i = 0; i < l->n_inputs; i++) {
        NX_TRY(nx_lower_data(l, i, &outputs[i]));
        enum nx_unary rounding = narrow ? rounding_of(l, outputs[i]) : NX_UNARY_NONE;
        if (rounding != NX_UNARY_NONE)
            node = (struct nx_node){.op = NX_OP_UNARY, .attr.unary = {rounding, 0, 0}};
    }
    for (uint32_t i = 0; i < l->n_inputs; i++)
        NX_TRY(add(l, &node, &outputs[i], 1, &outputs[i]));
    memcpy(l->outputs, outputs, l->n_inputs * sizeof *outputs);
    l->n_outputs = l->n_inputs;
    return NX_OK;
}

/* 2.0's codes: -1 infer, -2 copy, -4 copy the rest, -5 merge two, -6 a b split. */
enum nx_status nx_lower_npx_reshape(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_CODES};
    struct nx_attr_reshape *a = &node.attr.reshape;
    struct nx_tuple shape = {.n = 0};
    bool numpy = l->alias->detail == 1;
    NX_TRY(nx_lower_required(l, "newshape"));
    NX_TRY(nx_lower_tuple(l, "newshape", &shape));
    NX_TRY(nx_lower_bool(l, "reverse", &a->reverse));
    if (shape.n < 1 || shape.n > NX_RESHAPE_CODES_MAX)
        return nx_lower_unsupported(l, "a shape of other than 1 to 16 codes");
    a->n = shape.n;
    for (uint32_t i = 0; i < shape.n; i++) {
        static const int64_t ours[] = {[1] = -1, [2] = 0, [4] = -2, [5] = -3, [6] = -4};
        int64_t code = shape.items[i];
        if (code == 0 || code == -3 || code < (numpy ? -1 : -6))
            return nx_lower_unsupported(l, "such a code in newshape");
        a->codes[i] = code < 0 ? ours[-code] : code;
    }
    return nx_lower_simple(l, &node);
}
