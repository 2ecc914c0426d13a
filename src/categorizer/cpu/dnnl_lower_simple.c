/* Ops without weights, or with little of them. */
#include "categorizer/cpu/dnnl_build.h"
#include "categorizer/graph/step_round.h"

static const struct nx_shape *shape_of(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return &b->v->graph.tensors[tensor].shape;
}

/* One source, one destination, in the layouts of `made`. */
static enum nx_status one_to_one(struct nx_dnnl_build *b, const struct nx_node *node,
                                 const struct nx_dnnl_made *made, uint32_t src)
{
    uint32_t dst;
    NX_TRY(nx_dnnl_value_for(b, node->outputs[0], made->dst, &dst));
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_DST}, both[] = {src, dst};
    NX_TRY(nx_dnnl_step_call(b, made, 2, args, both));
    nx_dnnl_value_set(b, node->outputs[0], dst);
    return NX_OK;
}

/* Where the windows of one side end, and whether oneDNN divides by the same area as MXNet: there
 * the divisor is cut at the padded edge, here it is the whole kernel. */
static bool window_fits(const struct nx_dnnl_pool *p, const struct nx_attr_pool *a, int side,
                        int64_t in, int64_t out, int32_t *after)
{
    int32_t kernel = p->kernel[side], before = p->before[side];
    int64_t last = (out - 1) * p->stride[side] - before;
    bool some_is_empty = before >= kernel || last >= in;
    int64_t end = last + kernel - in;
    if (some_is_empty || end > INT32_MAX)
        return false;
    *after = end > a->window.after[side] ? (int32_t)end : a->window.after[side];
    return a->kind == NX_POOL_MAX || !a->include_pad || end <= a->window.after[side];
}

/* See remake_if_naive. */
static enum nx_status remake_pool_if_naive(struct nx_dnnl_build *b, const struct nx_node *node,
                                           struct nx_dnnl_pool *p, struct nx_dnnl_made *made,
                                           uint32_t *src)
{
    struct nx_dnnl_made other;
    if (!nx_dnnl_op_is_naive(made->op))
        return NX_OK;
    p->src =
        nx_dnnl_channels_last(b->dnnl, nx_dnnl_type_of(p->src), shape_of(b, node->inputs[0])->dims);
    if (!p->src)
        return nx_dnnl_out_of_memory(b);
    enum nx_status status = nx_dnnl_make_pool(b->dnnl, p, &other, b->err);
    if (status == NX_UNSUPPORTED || (status == NX_OK && nx_dnnl_op_is_naive(other.op)))
        return NX_OK;
    NX_TRY(status);
    *made = other;
    return nx_dnnl_value_in(b, node->inputs[0], p->src, src);
}

static enum nx_status make_pool(struct nx_dnnl_build *b, const struct nx_node *node,
                                struct nx_dnnl_pool *p, uint32_t src, struct nx_dnnl_made *made)
{
    p->src = b->v->values[src].layout;
    p->dst = nx_dnnl_any_of(b, nx_dnnl_type_of(p->src), node->outputs[0]);
    return p->dst ? nx_dnnl_make_pool(b->dnnl, p, made, b->err) : nx_dnnl_out_of_memory(b);
}

enum nx_status nx_dnnl_lower_pool(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_attr_pool *a = &node->attr.pool;
    const int64_t *x = shape_of(b, node->inputs[0])->dims, *y = shape_of(b, node->outputs[0])->dims;
    if (a->kind == NX_POOL_SUM || a->kind == NX_POOL_LP || !a->even)
        return NX_UNSUPPORTED;
    struct nx_dnnl_pool p = {.max = a->kind == NX_POOL_MAX, .include_pad = a->include_pad};
    for (int side = 0; side < 2; side++) {
        p.kernel[side] = a->window.kernel[side];
        p.stride[side] = a->window.stride[side];
        p.before[side] = a->window.before[side];
        if (!window_fits(&p, a, side, x[2 + side], y[2 + side], &p.after[side]))
            return NX_UNSUPPORTED;
    }
    uint32_t src;
    struct nx_dnnl_made made;
    enum nx_status status = NX_UNSUPPORTED;
    if (nx_dnnl_is_stored(b, node->outputs[0])) {
        NX_TRY(nx_dnnl_value_stored(b, node->inputs[0], &src));
        status = nx_dnnl_unless_naive(make_pool(b, node, &p, src, &made), &made);
    }
    if (status == NX_UNSUPPORTED) {
        NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
        NX_TRY(make_pool(b, node, &p, src, &made));
        status = remake_pool_if_naive(b, node, &p, &made, &src);
    }
    NX_TRY(status);
    return one_to_one(b, node, &made, src);
}

/* Does all of the value lie together, with nothing between but the zeros that fill the last block of channels? */
static bool is_whole(const struct nx_dnnl_build *b, uint32_t tensor, uint32_t value)
{
    enum { BLOCK = 16 };
    const struct nx_shape *shape = shape_of(b, tensor);
    const struct nx_dnnl_value *v = &b->v->values[value];
    int64_t strides[NX_RANK_MAX];
    uint64_t dense = nx_tensor_bytes(&b->v->graph.tensors[tensor]);
    uint64_t filled = dense;
    if (shape->rank >= 2 && !nx_dnnl_strides(v->layout, strides))
        filled = dense / (uint64_t)shape->dims[1] *
                 (((uint64_t)shape->dims[1] + BLOCK - 1) / BLOCK * BLOCK);
    uint64_t bytes = nx_dnnl_bytes(v->layout);
    return nx_dnnl_type_of(v->layout) == NX_DNNL_F32 && (bytes == dense || bytes == filled) &&
           b->v->buffers[v->buffer].place == NX_DNNL_IN_ARENA;
}

/* Does it round, and leave 0 as it is? Steps do where 0 is among them. */
static bool is_rounding(const struct nx_attr_unary *u)
{
    switch (u->fn) {
    case NX_UNARY_ROUND_F16:
    case NX_UNARY_ROUND_BF16: return true;
    case NX_UNARY_STEPS_8: return u->b <= 0 && u->b >= -NX_STEPS_8;
    case NX_UNARY_STEPS_16: return u->b <= 0 && u->b >= -NX_STEPS_16;
    default: return false;
    }
}

/* Such a rounding asks for no order: no need to bring the value to rows and back. */
static enum nx_status lower_rounding(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t src, dst;
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
    if (!is_whole(b, node->inputs[0], src))
        return NX_UNSUPPORTED;
    NX_TRY(nx_dnnl_value_new(b, b->v->values[src].layout, &dst));
    NX_TRY(nx_dnnl_step_each(b, node, src, dst));
    nx_dnnl_value_set(b, node->outputs[0], dst);
    return NX_OK;
}

enum nx_status nx_dnnl_lower_unary(struct nx_dnnl_build *b, const struct nx_node *node)
{
    struct nx_dnnl_post chain;
    if (is_rounding(&node->attr.unary))
        return lower_rounding(b, node);
    if (!nx_dnnl_acts(&node->attr.unary, &chain) || chain.n_acts == 0)
        return NX_UNSUPPORTED;
    uint32_t src, n_made = 0;
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
    struct nx_dnnl_made made[NX_DNNL_ACTS_MAX];
    for (; n_made < chain.n_acts; n_made++)
        NX_TRY(nx_dnnl_make_act(b->dnnl, b->v->values[src].layout, &chain.acts[n_made],
                                &made[n_made], b->err));
    NX_TRY(one_to_one(b, node, &made[0], src));
    uint32_t dst = b->v->first_value[node->outputs[0]];
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_DST}, both[] = {dst, dst};
    return n_made == 1 ? NX_OK : nx_dnnl_step_call(b, &made[1], 2, args, both);
}

enum nx_status nx_dnnl_lower_prelu(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_shape *x = shape_of(b, node->inputs[0]);
    uint32_t slope = node->inputs[1], src, weights;
    if (b->v->graph.tensors[slope].kind != NX_TENSOR_CONSTANT || x->rank < 2 || x->rank > 5)
        return NX_UNSUPPORTED;
    int64_t sides[NX_RANK_MAX] = {
        1, shape_of(b, slope)->rank ? shape_of(b, slope)->dims[0] : 1, 1, 1, 1, 1};
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, x->rank, sides);
    const struct nx_dnnl_layout *any = nx_dnnl_any(b->dnnl, NX_DNNL_F32, x->rank, sides);
    if (!rows || !any)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
    struct nx_dnnl_made made;
    NX_TRY(nx_dnnl_make_prelu(b->dnnl, b->v->values[src].layout, any, &made, b->err));
    uint32_t dst;
    NX_TRY(nx_dnnl_weight_in(b, slope, rows, made.weights, &weights));
    NX_TRY(nx_dnnl_value_for(b, node->outputs[0], made.dst, &dst));
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_WEIGHTS, NX_DNNL_DST};
    const uint32_t values[] = {src, weights, dst};
    NX_TRY(nx_dnnl_step_call(b, &made, 3, args, values));
    nx_dnnl_value_set(b, node->outputs[0], dst);
    return NX_OK;
}

/* The operand with the output's shape comes first, which oneDNN requires; the other may be
 * stretched. */
static bool order_operands(const struct nx_dnnl_build *b, const struct nx_node *node,
                           uint32_t operands[2])
{
    const struct nx_shape *out = shape_of(b, node->outputs[0]);
    bool commutes =
        node->attr.binary.kind != NX_BINARY_SUB && node->attr.binary.kind != NX_BINARY_DIV;
    int first = nx_shape_equal(shape_of(b, node->inputs[0]), out) ? 0 : 1;
    if (!nx_shape_equal(shape_of(b, node->inputs[first]), out) || (first == 1 && !commutes))
        return false;
    operands[0] = node->inputs[first];
    operands[1] = node->inputs[1 - first];
    return out->rank >= 1;
}

/* The second operand with as many sides as the first, in a layout that suits the first's. */
static enum nx_status second_layout(struct nx_dnnl_build *b, const uint32_t operands[2],
                                    enum nx_dnnl_type type, const struct nx_dnnl_layout **layout)
{
    const struct nx_shape *a = shape_of(b, operands[0]), *s = shape_of(b, operands[1]);
    int64_t sides[NX_RANK_MAX];
    for (uint32_t i = 0; i < a->rank; i++)
        sides[i] = i < a->rank - s->rank ? 1 : s->dims[i - (a->rank - s->rank)];
    *layout = s->rank == a->rank ? nx_dnnl_any(b->dnnl, type, a->rank, sides)
                                 : nx_dnnl_rows(b->dnnl, NX_DNNL_F32, a->rank, sides);
    return *layout ? NX_OK : nx_dnnl_out_of_memory(b);
}

static enum nx_status second_value(struct nx_dnnl_build *b, const uint32_t operands[2],
                                   const struct nx_dnnl_layout *wanted, uint32_t *value)
{
    if (shape_of(b, operands[0])->rank == shape_of(b, operands[1])->rank)
        return nx_dnnl_value_in(b, operands[1], wanted, value);
    NX_TRY(nx_dnnl_value_rows(b, operands[1], value));
    return nx_dnnl_value_alias(b, *value, wanted, value);
}

static enum nx_status make_binary(struct nx_dnnl_build *b, const struct nx_node *node,
                                  const uint32_t operands[2], const struct nx_dnnl_layout *a,
                                  const struct nx_dnnl_post *post, struct nx_dnnl_made *made)
{
    const struct nx_dnnl_layout *any = nx_dnnl_any_of(b, nx_dnnl_type_of(a), node->outputs[0]);
    const struct nx_dnnl_layout *second;
    NX_TRY(second_layout(b, operands, nx_dnnl_type_of(a), &second));
    if (!any)
        return nx_dnnl_out_of_memory(b);
    return nx_dnnl_make_binary(b->dnnl, node->attr.binary.kind, a, second, any, post, made, b->err);
}

/* oneDNN has slow code only for some operands in blocks that are not full; with channels last it has fast one. */
static enum nx_status remake_if_naive(struct nx_dnnl_build *b, const struct nx_node *node,
                                      const uint32_t operands[2], const struct nx_dnnl_post *post,
                                      uint32_t *a, struct nx_dnnl_made *made)
{
    const struct nx_shape *shape = shape_of(b, operands[0]);
    struct nx_dnnl_made other;
    if (!nx_dnnl_op_is_naive(made->op) || shape->rank != 4)
        return NX_OK;
    const struct nx_dnnl_layout *last =
        nx_dnnl_channels_last(b->dnnl, nx_dnnl_type_of(b->v->values[*a].layout), shape->dims);
    if (!last)
        return nx_dnnl_out_of_memory(b);
    enum nx_status status = make_binary(b, node, operands, last, post, &other);
    if (status == NX_UNSUPPORTED || (status == NX_OK && nx_dnnl_op_is_naive(other.op)))
        return NX_OK;
    NX_TRY(status);
    *made = other;
    return nx_dnnl_value_in(b, operands[0], last, a);
}

enum nx_status nx_dnnl_lower_binary(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t operands[2], a, second, dst, out = node->outputs[0];
    struct nx_dnnl_post post = {0};
    if (node->attr.binary.kind > NX_BINARY_MIN) /* of arithmetic that oneDNN does not have */
        return NX_UNSUPPORTED;
    if (!order_operands(b, node, operands))
        return NX_UNSUPPORTED;
    bool act_left = !nx_dnnl_acts(&node->post.act, &post);
    NX_TRY(nx_dnnl_value_native(b, operands[0], &a));
    struct nx_dnnl_made made;
    NX_TRY(make_binary(b, node, operands, b->v->values[a].layout, &post, &made));
    NX_TRY(remake_if_naive(b, node, operands, &post, &a, &made));
    NX_TRY(second_value(b, operands, made.src1, &second));
    NX_TRY(nx_dnnl_value_for(b, node->outputs[0], made.dst, &dst));
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_SRC1, NX_DNNL_DST}, values[] = {a, second, dst};
    NX_TRY(nx_dnnl_step_call(b, &made, 3, args, values));
    nx_dnnl_value_set(b, out, dst);
    return act_left ? nx_dnnl_step_act(b, node) : NX_OK;
}

/* The parts of a concat as they are to be put together: on the grid of the whole, if all of them are. */
static enum nx_status parts_of(struct nx_dnnl_build *b, const struct nx_node *node,
                               uint32_t *values, enum nx_dnnl_type *type)
{
    uint32_t y = node->outputs[0];
    bool stored = nx_dnnl_is_stored(b, y);
    for (uint32_t i = 0; stored && i < node->n_inputs; i++) {
        NX_TRY(nx_dnnl_value_stored(b, node->inputs[i], &values[i]));
        stored = nx_dnnl_is_int8(b->v->values[values[i]].layout);
    }
    *type = stored ? nx_dnnl_grid_type(b, y) : b->type;
    for (uint32_t i = 0; !stored && i < node->n_inputs; i++)
        NX_TRY(nx_dnnl_value_native(b, node->inputs[i], &values[i]));
    return NX_OK;
}

enum nx_status nx_dnnl_lower_concat(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t n = node->n_inputs;
    enum nx_status joined = nx_dnnl_lower_join(b, node);
    if (joined != NX_UNSUPPORTED)
        return joined;
    const struct nx_dnnl_layout **layouts = nx_arena_array(b->arena2, n, sizeof *layouts);
    uint32_t *args = nx_arena_array(b->arena2, 2 * (size_t)n + 2, sizeof *args);
    if (!layouts || !args)
        return nx_dnnl_out_of_memory(b);
    uint32_t *values = args + n + 1;
    enum nx_dnnl_type type;
    NX_TRY(parts_of(b, node, values, &type));
    for (uint32_t i = 0; i < n; i++) {
        layouts[i] = b->v->values[values[i]].layout;
        args[i] = NX_DNNL_SRC_N + i;
        if (nx_dnnl_type_of(layouts[i]) != type)
            return NX_UNSUPPORTED;
    }
    const struct nx_dnnl_layout *any = nx_dnnl_any_of(b, type, node->outputs[0]);
    if (!any)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_made made;
    NX_TRY(nx_dnnl_make_concat(b->dnnl, (uint32_t)node->attr.concat.axis, n, layouts, any, &made,
                               b->err));
    args[n] = NX_DNNL_DST;
    NX_TRY(nx_dnnl_value_new(b, made.dst, &values[n]));
    b->v->values[values[n]].step = nx_dnnl_step_in(b, node->outputs[0], made.dst);
    NX_TRY(nx_dnnl_step_call(b, &made, n + 1, args, values));
    nx_dnnl_value_set(b, node->outputs[0], values[n]);
    return NX_OK;
}

enum nx_status nx_dnnl_lower_lrn(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t src;
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
    struct nx_dnnl_made made;
    NX_TRY(nx_dnnl_make_lrn(b->dnnl, b->v->values[src].layout, &node->attr.lrn, &made, b->err));
    return one_to_one(b, node, &made, src);
}

/* Over dense rows; over all of a photo: as one dimension. */
enum nx_status nx_dnnl_lower_softmax(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_attr_softmax *a = &node->attr.softmax;
    const struct nx_shape *x = shape_of(b, node->inputs[0]);
    uint64_t elements = 0;
    nx_shape_elements(x, &elements);
    if (a->temperature != 1 || x->rank < 1 || elements == 0)
        return NX_UNSUPPORTED;
    const int64_t all[2] = {x->dims[0], (int64_t)elements / x->dims[0]};
    bool rest = a->axis == NX_AXIS_REST;
    const struct nx_dnnl_layout *seen =
        rest ? nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 2, all) : nx_dnnl_rows_of(b, node->inputs[0]);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, node->outputs[0]);
    struct nx_dnnl_made made;
    if (!seen || !rows)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(
        nx_dnnl_make_softmax(b->dnnl, seen, rest ? 1 : (uint32_t)a->axis, a->log, &made, b->err));
    uint32_t in, src, out, dst;
    NX_TRY(nx_dnnl_value_rows(b, node->inputs[0], &in));
    NX_TRY(nx_dnnl_value_alias(b, in, made.src ? made.src : seen, &src));
    NX_TRY(nx_dnnl_value_new(b, rows, &out));
    NX_TRY(nx_dnnl_value_alias(b, out, made.dst, &dst));
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_DST}, both[] = {src, dst};
    NX_TRY(nx_dnnl_step_call(b, &made, 2, args, both));
    nx_dnnl_value_set(b, node->outputs[0], out);
    b->v->rows_value[node->outputs[0]] = out;
    return NX_OK;
}

/* RESHAPE and IDENTITY move nothing: the same dense rows under other sides. */
enum nx_status nx_dnnl_lower_view(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, node->outputs[0]);
    if (!rows)
        return nx_dnnl_out_of_memory(b);
    uint32_t in, out;
    NX_TRY(nx_dnnl_value_rows(b, node->inputs[0], &in));
    NX_TRY(nx_dnnl_value_alias(b, in, rows, &out));
    nx_dnnl_value_set(b, node->outputs[0], out);
    b->v->rows_value[node->outputs[0]] = out;
    return NX_OK;
}
