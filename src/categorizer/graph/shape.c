#include "categorizer/graph/shape.h"

#include <inttypes.h>
#include <string.h>

#include "categorizer/graph/shape_rules.h"
#include "common/nx_assert.h"

enum { WINDOW_MAX = 1 << 16 }; /* kernels, strides, dilations and paddings */

static struct nx_shape vector(int64_t n)
{
    return (struct nx_shape){.rank = 1, .dims = {n}};
}

enum nx_status nx_rule_refuse(const struct nx_rule *r, const struct nx_shape *got,
                              const char *wanted)
{
    char text[NX_SHAPE_TEXT_BYTES];
    return nx_err_set(r->err, NX_INVALID, "%s '%s' needs %s, its input is %s",
                      nx_op_name(r->node->op), r->node->name, wanted, nx_shape_text(got, text));
}

enum nx_status nx_rule_out(const struct nx_rule *r, uint32_t i, const struct nx_shape *shape)
{
    char text[NX_SHAPE_TEXT_BYTES];
    uint64_t elements;
    nx_assert(shape->rank <= NX_RANK_MAX);
    for (uint32_t d = 0; d < shape->rank; d++)
        if (shape->dims[d] < 1 || shape->dims[d] > NX_DIM_MAX)
            return nx_err_set(
                r->err, NX_INVALID, "%s '%s' would give %s: dimension %u is out of bounds",
                nx_op_name(r->node->op), r->node->name, nx_shape_text(shape, text), d);
    if (!nx_shape_elements(shape, &elements))
        return nx_err_set(r->err, NX_TOO_LARGE, "%s '%s' would give %s, over %" PRIu64 " bytes",
                          nx_op_name(r->node->op), r->node->name, nx_shape_text(shape, text),
                          NX_TENSOR_BYTES_MAX);
    r->graph->tensors[r->node->outputs[i]].shape = *shape;
    return NX_OK;
}

enum nx_status nx_rule_param(const struct nx_rule *r, uint32_t i, const struct nx_shape *shape,
                             const char *what)
{
    char wanted[NX_SHAPE_TEXT_BYTES], got[NX_SHAPE_TEXT_BYTES];
    struct nx_tensor *t = &r->graph->tensors[r->node->inputs[i]];
    if (t->shape.rank == NX_RANK_UNKNOWN) {
        uint64_t elements;
        if (!nx_shape_elements(shape, &elements))
            return nx_err_set(r->err, NX_TOO_LARGE, "%s '%s' needs a %s of %s: too large",
                              nx_op_name(r->node->op), r->node->name, what,
                              nx_shape_text(shape, wanted));
        t->shape = *shape;
    }
    if (!nx_shape_equal(&t->shape, shape))
        return nx_err_set(r->err, NX_INVALID, "%s '%s' needs a %s of %s, '%s' is %s",
                          nx_op_name(r->node->op), r->node->name, what,
                          nx_shape_text(shape, wanted), t->name, nx_shape_text(&t->shape, got));
    return NX_OK;
}

enum nx_status nx_rule_axis(const struct nx_rule *r, int64_t axis, uint32_t rank, int32_t *resolved)
{
    int64_t at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank)
        return nx_err_set(r->err, NX_INVALID,
                          "%s '%s' names axis %" PRId64 " of an input with %u dimensions",
                          nx_op_name(r->node->op), r->node->name, axis, rank);
    *resolved = (int32_t)at;
    return NX_OK;
}

static enum nx_status rule_same(const struct nx_rule *r)
{
    return nx_rule_out(r, 0, nx_rule_in(r, 0));
}

static enum nx_status rule_image(const struct nx_rule *r)
{
    if (nx_rule_in(r, 0)->rank != 4)
        return nx_rule_refuse(r, nx_rule_in(r, 0), "(N, C, H, W)");
    return NX_OK;
}

static enum nx_status check_window(const struct nx_rule *r, const struct nx_window *w)
{
    for (int i = 0; i < 2; i++) {
        bool ok = w->kernel[i] >= 1 && w->stride[i] >= 1 && w->dilate[i] >= 1 &&
                  w->before[i] >= 0 && w->after[i] >= 0 && w->kernel[i] <= WINDOW_MAX &&
                  w->stride[i] <= WINDOW_MAX && w->dilate[i] <= WINDOW_MAX &&
                  w->before[i] <= WINDOW_MAX && w->after[i] <= WINDOW_MAX;
        if (!ok)
            return nx_err_set(
                r->err, NX_INVALID,
                "%s '%s' has kernel %d, stride %d, dilation %d, padding %d and %d: out "
                "of bounds",
                nx_op_name(r->node->op), r->node->name, w->kernel[i], w->stride[i], w->dilate[i],
                w->before[i], w->after[i]);
    }
    return NX_OK;
}

/* How far the last window's start can move, in padded pixels; negative: the window does not fit. */
static int64_t window_room(const struct nx_window *w, int i, int64_t in)
{
    return in + w->before[i] + w->after[i] - ((int64_t)(w->kernel[i] - 1) * w->dilate[i] + 1);
}

static enum nx_status check_fits(const struct nx_rule *r, const struct nx_window *w)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (window_room(w, 0, x->dims[2]) < 0 || window_room(w, 1, x->dims[3]) < 0)
        return nx_err_set(r->err, NX_INVALID,
                          "%s '%s' has a window of %d x %d, larger than its padded input of "
                          "%" PRId64 " x %" PRId64,
                          nx_op_name(r->node->op), r->node->name, w->kernel[0], w->kernel[1],
                          x->dims[2], x->dims[3]);
    return NX_OK;
}

/* With post.sum the last input is added to the output, element by element. */
static enum nx_status check_residual(const struct nx_rule *r)
{
    const struct nx_node *node = r->node;
    if (!node->post.sum)
        return NX_OK;
    return nx_rule_param(r, node->n_inputs - 1, &r->graph->tensors[node->outputs[0]].shape,
                         "residual");
}

static enum nx_status rule_conv(const struct nx_rule *r)
{
    const struct nx_attr_conv *a = &r->node->attr.conv;
    const struct nx_shape *x = nx_rule_in(r, 0);
    NX_TRY(rule_image(r));
    NX_TRY(check_window(r, &a->window));
    NX_TRY(check_fits(r, &a->window));
    if (a->groups < 1 || a->filters < 1 || a->filters > NX_DIM_MAX || x->dims[1] % a->groups ||
        a->filters % a->groups)
        return nx_err_set(r->err, NX_INVALID,
                          "convolution '%s' has %d groups, which do not divide %" PRId64
                          " channels into %" PRId64 " filters",
                          r->node->name, a->groups, x->dims[1], a->filters);
    struct nx_shape weight = {
        4, {a->filters, x->dims[1] / a->groups, a->window.kernel[0], a->window.kernel[1]}};
    NX_TRY(nx_rule_param(r, 1, &weight, "weight"));
    struct nx_shape bias = vector(a->filters);
    if (nx_node_has_bias(r->node))
        NX_TRY(nx_rule_param(r, 2, &bias, "bias"));
    struct nx_shape y = {4, {x->dims[0], a->filters, 0, 0}};
    for (int i = 0; i < 2; i++)
        y.dims[2 + i] = window_room(&a->window, i, x->dims[2 + i]) / a->window.stride[i] + 1;
    NX_TRY(nx_rule_out(r, 0, &y));
    return check_residual(r);
}

/* One side of a transposed convolution's output; below 1: there is none. */
static int64_t spread_side(struct nx_attr_deconv *a, int i, int64_t in)
{
    struct nx_window *w = &a->window;
    int64_t whole = (in - 1) * w->stride[i] + (int64_t)(w->kernel[i] - 1) * w->dilate[i] + 1;
    if (a->target[i] == 0)
        return whole - w->before[i] - w->after[i] + a->extra[i];
    int64_t cut = whole - a->target[i];
    if (cut < 0 || cut > WINDOW_MAX)
        return 0;
    w->before[i] = (int32_t)((cut + 1) / 2);
    return a->target[i];
}

static enum nx_status check_deconv(const struct nx_rule *r)
{
    const struct nx_attr_deconv *a = &r->node->attr.deconv;
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (a->groups < 1 || a->filters < 1 || a->filters > NX_DIM_MAX || x->dims[1] % a->groups ||
        a->filters % a->groups)
        return nx_err_set(r->err, NX_INVALID,
                          "transposed convolution '%s' has %d groups, which do not divide %" PRId64
                          " channels into %" PRId64 " filters",
                          r->node->name, a->groups, x->dims[1], a->filters);
    for (int i = 0; i < 2; i++)
        if (a->extra[i] < 0 || a->extra[i] > WINDOW_MAX || a->target[i] < 0 ||
            a->target[i] > NX_DIM_MAX)
            return nx_err_set(r->err, NX_INVALID,
                              "transposed convolution '%s' has an output size out of bounds",
                              r->node->name);
    return NX_OK;
}

static enum nx_status rule_deconv(const struct nx_rule *r)
{
    struct nx_attr_deconv *a = &r->node->attr.deconv;
    const struct nx_shape *x = nx_rule_in(r, 0);
    NX_TRY(rule_image(r));
    NX_TRY(check_window(r, &a->window));
    NX_TRY(check_deconv(r));
    struct nx_shape weight = {
        4, {x->dims[1], a->filters / a->groups, a->window.kernel[0], a->window.kernel[1]}};
    NX_TRY(nx_rule_param(r, 1, &weight, "weight"));
    struct nx_shape bias = vector(a->filters);
    if (nx_node_has_bias(r->node))
        NX_TRY(nx_rule_param(r, 2, &bias, "bias"));
    struct nx_shape y = {4, {x->dims[0], a->filters, 0, 0}};
    for (int i = 0; i < 2; i++) {
        y.dims[2 + i] = spread_side(a, i, x->dims[2 + i]);
        if (y.dims[2 + i] < 1)
            return nx_rule_refuse(r, x,
                                  "an output of at least one pixel, which its padding leaves");
    }
    return nx_rule_out(r, 0, &y);
}

static enum nx_status rule_fc(const struct nx_rule *r)
{
    const struct nx_attr_fc *a = &r->node->attr.fc;
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (x->rank < 2)
        return nx_rule_refuse(r, x, "2 dimensions or more");
    if (a->units < 1 || a->units > NX_DIM_MAX)
        return nx_err_set(r->err, NX_INVALID, "fully connected '%s' has %" PRId64 " units",
                          r->node->name, a->units);
    struct nx_shape y = *x;
    int64_t width = x->dims[x->rank - 1];
    if (a->flatten) {
        for (uint32_t i = 1; i + 1 < x->rank; i++)
            width *= x->dims[i]; /* bounded: x is a tensor that was checked */
        y = (struct nx_shape){2, {x->dims[0], 0}};
    }
    y.dims[y.rank - 1] = a->units;
    struct nx_shape weight = {2, {a->units, width}}, bias = vector(a->units);
    NX_TRY(nx_rule_param(r, 1, &weight, "weight"));
    if (nx_node_has_bias(r->node))
        NX_TRY(nx_rule_param(r, 2, &bias, "bias"));
    NX_TRY(nx_rule_out(r, 0, &y));
    return check_residual(r);
}

static enum nx_status rule_batch_norm(const struct nx_rule *r)
{
    static const char *const what[] = {"input", "gamma", "beta", "moving mean", "moving variance"};
    const struct nx_shape *x = nx_rule_in(r, 0);
    struct nx_attr_batch_norm *a = &r->node->attr.batch_norm;
    NX_TRY(nx_rule_axis(r, a->axis, x->rank, &a->axis));
    struct nx_shape channels = vector(x->dims[a->axis]);
    for (uint32_t i = 1; i < 5; i++)
        NX_TRY(nx_rule_param(r, i, &channels, what[i]));
    return rule_same(r);
}

static enum nx_status rule_scale_shift(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    struct nx_attr_scale_shift *a = &r->node->attr.scale_shift;
    NX_TRY(nx_rule_axis(r, a->axis, x->rank, &a->axis));
    struct nx_shape channels = vector(x->dims[a->axis]);
    NX_TRY(nx_rule_param(r, 1, &channels, "scale"));
    NX_TRY(nx_rule_param(r, 2, &channels, "shift"));
    return rule_same(r);
}

static int64_t pooled(const struct nx_attr_pool *a, int i, int64_t in)
{
    int64_t stride = a->window.stride[i], room = window_room(&a->window, i, in);
    int64_t last = (room + stride - 1) / stride;
    switch (a->rounding) {
    case NX_ROUND_DOWN: return room / stride + 1;
    case NX_ROUND_UP: return last + 1;
    case NX_ROUND_UP_INSIDE: return last * stride >= in + a->window.before[i] ? last : last + 1;
    case NX_ROUND_SAME:
        return (in + a->window.before[i] + a->window.after[i] + stride - 1) / stride;
    }
    return 0;
}

/* Cells of one size are an ordinary pooling. */
static enum nx_status rule_cells(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    struct nx_attr_pool *a = &r->node->attr.pool;
    struct nx_shape y = {4, {x->dims[0], x->dims[1], a->cells[0], a->cells[1]}};
    if (a->cells[0] < 1 || a->cells[1] < 1 || x->dims[2] > WINDOW_MAX || x->dims[3] > WINDOW_MAX)
        return nx_rule_refuse(r, x, "at least one cell, and at most 65536 x 65536 pixels");
    a->even = x->dims[2] % a->cells[0] == 0 && x->dims[3] % a->cells[1] == 0;
    a->window = (struct nx_window){.kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1}};
    for (int i = 0; i < 2 && a->even; i++)
        a->window.kernel[i] = a->window.stride[i] = (int32_t)(x->dims[2 + i] / a->cells[i]);
    return nx_rule_out(r, 0, &y);
}

static enum nx_status rule_pool(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    struct nx_attr_pool *a = &r->node->attr.pool;
    NX_TRY(rule_image(r));
    if (a->cells[0] || a->cells[1])
        return rule_cells(r);
    a->even = true;
    if (a->kind == NX_POOL_LP && (a->p < 1 || a->p > 64))
        return nx_err_set(r->err, NX_INVALID, "pooling '%s' has p = %d, 1 to 64 are possible",
                          r->node->name, a->p);
    if (a->global) {
        if (x->dims[2] > WINDOW_MAX || x->dims[3] > WINDOW_MAX)
            return nx_rule_refuse(r, x, "at most 65536 x 65536 pixels");
        a->window = (struct nx_window){.kernel = {(int32_t)x->dims[2], (int32_t)x->dims[3]},
                                       .stride = {1, 1}};
    }
    a->window.dilate[0] = a->window.dilate[1] = 1;
    NX_TRY(check_window(r, &a->window));
    NX_TRY(check_fits(r, &a->window));
    struct nx_shape y = {4, {x->dims[0], x->dims[1], 1, 1}};
    for (int i = 0; i < 2 && !a->global; i++)
        y.dims[2 + i] = pooled(a, i, x->dims[2 + i]);
    return nx_rule_out(r, 0, &y);
}

static enum nx_status rule_prelu(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    const struct nx_shape *slope = nx_rule_in(r, 1);
    if (x->rank < 2)
        return nx_rule_refuse(r, x, "2 dimensions or more");
    struct nx_shape one = vector(1), channels = vector(x->dims[1]);
    if (!nx_shape_equal(slope, &one))
        NX_TRY(nx_rule_param(r, 1, &channels, "slope"));
    return rule_same(r);
}

static enum nx_status rule_softmax(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    struct nx_attr_softmax *a = &r->node->attr.softmax;
    if (a->axis == NX_AXIS_REST && x->rank < 2)
        return nx_rule_refuse(r, x, "2 dimensions or more");
    if (a->axis != NX_AXIS_REST)
        NX_TRY(nx_rule_axis(r, a->axis, x->rank, &a->axis));
    if (!(a->temperature > 0))
        return nx_err_set(r->err, NX_INVALID, "softmax '%s' has temperature %g, it must be above 0",
                          r->node->name, (double)a->temperature);
    return rule_same(r);
}

static enum nx_status reduce_mask(const struct nx_rule *r, uint32_t rank)
{
    struct nx_attr_reduce *a = &r->node->attr.reduce;
    uint32_t all = (1u << rank) - 1, named = 0;
    if (a->n > NX_RANK_MAX)
        return nx_err_set(r->err, NX_INVALID, "reduce '%s' names %u axes", r->node->name, a->n);
    for (uint32_t i = 0; i < a->n; i++) {
        int32_t axis;
        NX_TRY(nx_rule_axis(r, a->axes[i], rank, &axis));
        named |= 1u << axis;
    }
    a->mask = a->n == 0 ? all : a->exclude ? all & ~named : named;
    bool index = a->kind == NX_REDUCE_ARGMAX || a->kind == NX_REDUCE_ARGMIN;
    if (index && (a->mask == 0 || (a->mask & (a->mask - 1)) != 0) && rank != 1)
        return nx_err_set(r->err, NX_INVALID,
                          "reduce '%s' gives an index along other than one axis", r->node->name);
    return NX_OK;
}

static enum nx_status rule_reduce(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    const struct nx_attr_reduce *a = &r->node->attr.reduce;
    NX_TRY(reduce_mask(r, x->rank));
    struct nx_shape y = {.rank = 0};
    for (uint32_t i = 0; i < x->rank; i++) {
        bool gone = a->mask >> i & 1;
        if (!gone || a->keepdims)
            y.dims[y.rank++] = gone ? 1 : x->dims[i];
    }
    if (y.rank == 0)
        y = vector(1);
    return nx_rule_out(r, 0, &y);
}

static enum nx_status rule_topk(const struct nx_rule *r)
{
    struct nx_attr_topk *a = &r->node->attr.topk;
    struct nx_shape y = *nx_rule_in(r, 0);
    NX_TRY(nx_rule_axis(r, a->axis, y.rank, &a->axis));
    int64_t side = y.dims[a->axis];
    if (a->k < 0 || a->k > side || side > NX_TOPK_SIDE_MAX)
        return nx_err_set(r->err, NX_INVALID, "top k '%s' takes %" PRId64 " of %" PRId64,
                          r->node->name, a->k, side);
    y.dims[a->axis] = a->k ? a->k : side;
    return nx_rule_out(r, 0, &y);
}

static enum nx_status rule_lrn(const struct nx_rule *r)
{
    const struct nx_attr_lrn *a = &r->node->attr.lrn;
    NX_TRY(rule_image(r));
    if (a->size < 1 || a->size % 2 == 0)
        return nx_err_set(r->err, NX_INVALID,
                          "local response norm '%s' has a size of %d, it must be odd",
                          r->node->name, a->size);
    return rule_same(r);
}

static enum nx_status rule_l2_norm(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    uint32_t least = r->node->attr.l2_norm.mode == NX_L2_INSTANCE ? 2 : 3;
    if (x->rank < least)
        return nx_rule_refuse(r, x, least == 2 ? "2 dimensions or more" : "3 dimensions or more");
    return rule_same(r);
}

typedef enum nx_status (*rule)(const struct nx_rule *r);

static const rule rules[NX_OP_COUNT] = {
    [NX_OP_CONV] = rule_conv,
    [NX_OP_DECONV] = rule_deconv,
    [NX_OP_FC] = rule_fc,
    [NX_OP_BATCH_NORM] = rule_batch_norm,
    [NX_OP_SCALE_SHIFT] = rule_scale_shift,
    [NX_OP_POOL] = rule_pool,
    [NX_OP_UNARY] = rule_same,
    [NX_OP_PRELU] = rule_prelu,
    [NX_OP_BINARY] = nx_rule_binary,
    [NX_OP_WHERE] = nx_rule_where,
    [NX_OP_MATMUL] = nx_rule_matmul,
    [NX_OP_LAYER_NORM] = nx_rule_layer_norm,
    [NX_OP_GROUP_NORM] = nx_rule_group_norm,
    [NX_OP_TILE] = nx_rule_tile,
    [NX_OP_GATHER] = nx_rule_gather,
    [NX_OP_GATHER_EACH] = nx_rule_gather_each,
    [NX_OP_RESIZE] = nx_rule_resize,
    [NX_OP_CONCAT] = nx_rule_concat,
    [NX_OP_RESHAPE] = nx_rule_reshape,
    [NX_OP_SOFTMAX] = rule_softmax,
    [NX_OP_REDUCE] = rule_reduce,
    [NX_OP_SPLIT] = nx_rule_split,
    [NX_OP_SLICE] = nx_rule_slice,
    [NX_OP_TRANSPOSE] = nx_rule_transpose,
    [NX_OP_PAD] = nx_rule_pad,
    [NX_OP_TOPK] = rule_topk,
    [NX_OP_LRN] = rule_lrn,
    [NX_OP_L2_NORM] = rule_l2_norm,
    [NX_OP_IDENTITY] = rule_same,
};

/* Inputs a rule may give a shape; the others must have one. */
static uint32_t shaped_inputs(const struct nx_node *node)
{
    switch (node->op) {
    case NX_OP_CONV:
    case NX_OP_DECONV:
    case NX_OP_FC:
    case NX_OP_BATCH_NORM:
    case NX_OP_SCALE_SHIFT:
    case NX_OP_LAYER_NORM:
    case NX_OP_GROUP_NORM:
    case NX_OP_PRELU: return 1;
    default: return node->n_inputs;
    }
}

enum nx_status nx_shape_infer_node(struct nx_graph *graph, uint32_t at, struct nx_err *err)
{
    struct nx_node *node = &graph->nodes[at];
    struct nx_rule r = {graph, node, err};
    for (uint32_t i = 0; i < shaped_inputs(node); i++)
        if (nx_rule_in(&r, i)->rank == NX_RANK_UNKNOWN)
            return nx_err_set(err, NX_INVALID, "%s '%s' reads '%s', whose shape is not known",
                              nx_op_name(node->op), node->name,
                              graph->tensors[node->inputs[i]].name);
    if (node->n_outputs != 1 && node->op != NX_OP_SPLIT)
        return nx_err_set(err, NX_INVALID, "%s '%s' has %u outputs, it gives 1",
                          nx_op_name(node->op), node->name, node->n_outputs);
    return rules[node->op](&r);
}

static enum nx_status set_batch(struct nx_graph *graph, uint32_t batch, struct nx_err *err)
{
    for (uint32_t i = 0; i < graph->n_inputs; i++) {
        struct nx_tensor *t = &graph->tensors[graph->inputs[i]];
        bool batched = graph->in[i].batched;
        uint64_t elements;
        if (t->shape.rank < batched || t->shape.rank > NX_RANK_MAX)
            return nx_err_set(err, NX_INVALID, "input '%s' has no shape", t->name);
        if (batched)
            t->shape.dims[0] = batch;
        if (!nx_shape_elements(&t->shape, &elements) || elements == 0)
            return nx_err_set(err, NX_TOO_LARGE, "input '%s' is empty or too large at batch %u",
                              t->name, batch);
    }
    return NX_OK;
}

enum nx_status nx_shape_infer(struct nx_graph *graph, uint32_t batch, struct nx_err *err)
{
    if (batch < 1 || batch > NX_BATCH_MAX)
        return nx_err_set(err, NX_INVALID, "a batch of %u, it must be 1 to %u", batch,
                          NX_BATCH_MAX);
    graph->batch = 0;
    NX_TRY(set_batch(graph, batch, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        NX_TRY(nx_shape_infer_node(graph, i, err));
    graph->batch = batch;
    return NX_OK;
}
