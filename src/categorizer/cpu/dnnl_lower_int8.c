/* CONV, FC and SCALE_SHIFT of 8 bits, as the plan of quant.h has them. Of the first two:
 *
 *   y = act(x_step w_step[o] (sum of products + bias / (x_step w_step[o])) + r_step residual) / y_step
 *
 * A result that is to be stored comes out of the convolution as 8 bits, else as f32. */
#include <string.h>

#include "categorizer/cpu/dnnl_build.h"

static const struct nx_shape *shape_of(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return &b->v->graph.tensors[tensor].shape;
}

bool nx_dnnl_is_stored(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return b->quant && b->quant->stored[tensor];
}

enum nx_dnnl_type nx_dnnl_grid_type(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return b->quant->grids[tensor].kind == NX_GRID_U8 ? NX_DNNL_U8 : NX_DNNL_S8;
}

float nx_dnnl_step_in(const struct nx_dnnl_build *b, uint32_t tensor,
                      const struct nx_dnnl_layout *layout)
{
    return nx_dnnl_is_int8(layout) ? b->quant->grids[tensor].step : 1;
}

/* A node on its way to a primitive. */
struct dot {
    const struct nx_node *node;
    const float *steps; /* of its weights */
    float *units, *scales;
    int64_t n;
    bool stored; /* the result is to be 8 bits */
    bool act_left;
    struct nx_dnnl_scales quant;
    struct nx_dnnl_post post;
};

static bool is_dot_int8(const struct nx_dnnl_build *b, const struct nx_node *node)
{
    return b->quant && b->quant->steps[node - b->v->graph.nodes];
}

static enum nx_status begin(struct nx_dnnl_build *b, const struct nx_node *node, struct dot *d)
{
    *d = (struct dot){.node = node,
                      .steps = b->quant->steps[node - b->v->graph.nodes],
                      .n = shape_of(b, node->inputs[1])->dims[0]};
    d->units = nx_arena_array(b->arena2, (size_t)d->n, sizeof *d->units);
    d->scales = nx_arena_array(b->arena2, (size_t)d->n, sizeof *d->scales);
    if (!d->units || !d->scales)
        return nx_dnnl_out_of_memory(b);
    for (int64_t o = 0; o < d->n; o++)
        d->units[o] = b->quant->grids[node->inputs[0]].step * d->steps[o];
    return NX_OK;
}

static uint32_t residual_of(const struct nx_node *node)
{
    return node->inputs[node->n_inputs - 1];
}

/* Does cutting to 0 … 255 do what the act does? */
static bool cut_is_act(const struct nx_attr_unary *act, const struct nx_grid *y)
{
    bool clip =
        act->fn == NX_UNARY_CLIP && act->a >= 0 && act->a <= 0 && act->b >= 254.5f * y->step;
    return y->kind == NX_GRID_U8 && (act->fn == NX_UNARY_RELU || clip);
}

/* f(c x) = c f(x) for c > 0: then the last scale goes into the others. */
static bool scales_through(const struct nx_attr_unary *act)
{
    return act->fn == NX_UNARY_NONE || act->fn == NX_UNARY_RELU || act->fn == NX_UNARY_LEAKY;
}

/* Scales and post ops for a result of 8 bits (`stored`) or f32. False: the residual or the act does not allow it. */
static bool plan_scales(struct nx_dnnl_build *b, struct dot *d, bool stored)
{
    const struct nx_node *node = d->node;
    const struct nx_grid *y = &b->quant->grids[node->outputs[0]];
    d->stored = stored;
    d->act_left = !nx_dnnl_plan_post(node, &d->post);
    if (stored && (d->act_left || (node->post.sum && !nx_dnnl_is_stored(b, residual_of(node)))))
        return false;
    bool cut = stored && cut_is_act(&node->post.act, y);
    if (cut)
        d->post.n_acts = 0;
    float over = stored ? 1 / y->step : 1;
    float first = cut || scales_through(&node->post.act) ? over : 1;
    d->quant = (struct nx_dnnl_scales){
        .scales = d->scales, .n = (uint32_t)d->n, .last_scale = over / first, .sum_scale = first};
    if (stored && node->post.sum) {
        d->quant.sum_scale = first * b->quant->grids[residual_of(node)].step;
        d->quant.sum_type = nx_dnnl_grid_type(b, residual_of(node));
    }
    for (int64_t o = 0; o < d->n; o++)
        d->scales[o] = d->units[o] * first;
    d->post.quant = &d->quant;
    return true;
}

static enum nx_status make_conv(struct nx_dnnl_build *b, const struct dot *d,
                                struct nx_dnnl_conv *c, struct nx_dnnl_made *made)
{
    const struct nx_dnnl_layout *any = c->weights;
    const struct nx_dnnl_layout *before = nx_dnnl_weight_layout(b, d->node->inputs[1]);
    enum nx_status status = NX_UNSUPPORTED;
    if (before && nx_dnnl_is_int8(before)) {
        c->weights = before;
        status = nx_dnnl_unless_naive(nx_dnnl_make_conv(b->dnnl, c, &d->post, made, b->err), made);
        c->weights = any;
    }
    if (status != NX_UNSUPPORTED)
        return status;
    return nx_dnnl_unless_naive(nx_dnnl_make_conv(b->dnnl, c, &d->post, made, b->err), made);
}

/* Channels last, or as oneDNN wants it. */
static enum nx_status choose_layouts(struct nx_dnnl_build *b, const struct dot *d,
                                     struct nx_dnnl_conv *c, struct nx_dnnl_made *made)
{
    uint32_t x = d->node->inputs[0], y = d->node->outputs[0];
    enum nx_dnnl_type x_type = nx_dnnl_grid_type(b, x);
    enum nx_dnnl_type y_type = d->stored ? nx_dnnl_grid_type(b, y) : NX_DNNL_F32;
    enum nx_status status = NX_UNSUPPORTED;
    for (int attempt = 0; attempt < 2 && status == NX_UNSUPPORTED; attempt++) {
        c->src = attempt ? nx_dnnl_any_of(b, x_type, x)
                         : nx_dnnl_channels_last(b->dnnl, x_type, shape_of(b, x)->dims);
        c->dst = attempt ? nx_dnnl_any_of(b, y_type, y)
                         : nx_dnnl_channels_last(b->dnnl, y_type, shape_of(b, y)->dims);
        if (!c->src || !c->dst)
            return nx_dnnl_out_of_memory(b);
        status = make_conv(b, d, c, made);
    }
    return status;
}

/* 8 bits out if they are wanted and possible, else f32 out. */
static enum nx_status choose_conv(struct nx_dnnl_build *b, struct dot *d, struct nx_dnnl_conv *c,
                                  struct nx_dnnl_made *made)
{
    enum nx_status status = NX_UNSUPPORTED;
    if (nx_dnnl_is_stored(b, d->node->outputs[0]) && plan_scales(b, d, true))
        status = choose_layouts(b, d, c, made);
    if (status != NX_UNSUPPORTED)
        return status;
    plan_scales(b, d, false);
    return choose_layouts(b, d, c, made);
}

/* The residual lies where the result will, maybe as the other type of 8 bits, on its own grid. */
static enum nx_status finish_stored(struct nx_dnnl_build *b, const struct dot *d,
                                    const struct nx_dnnl_made *made, struct nx_dnnl_args *args)
{
    const struct nx_node *node = d->node;
    uint32_t y = node->outputs[0], dst;
    if (!node->post.sum) {
        NX_TRY(nx_dnnl_value_for(b, y, made->dst, &dst));
    } else {
        const struct nx_dnnl_layout *layout =
            nx_dnnl_retyped(b->dnnl, made->dst, d->quant.sum_type);
        uint32_t residual = residual_of(node), taken;
        NX_TRY(nx_dnnl_value_take(b, residual, layout, residual == node->inputs[0], &taken));
        NX_TRY(nx_dnnl_value_over(b, taken, made->dst, &dst));
        b->v->values[dst].step = nx_dnnl_step_in(b, y, made->dst);
    }
    nx_dnnl_arg_add(args, NX_DNNL_DST, dst);
    NX_TRY(nx_dnnl_step_call(b, made, args->n, args->args, args->values));
    nx_dnnl_value_set(b, y, dst);
    return NX_OK;
}

static enum nx_status add_weights(struct nx_dnnl_build *b, const struct dot *d,
                                  const struct nx_dnnl_layout *rows,
                                  const struct nx_dnnl_made *made, struct nx_dnnl_args *args)
{
    uint32_t weights;
    NX_TRY(nx_dnnl_weight_int8(b, d->node->inputs[1], d->steps, rows, made->weights, &weights));
    nx_dnnl_arg_add(args, NX_DNNL_WEIGHTS, weights);
    return NX_OK;
}

/* First of all that is appended, since there may be none. */
static enum nx_status add_bias(struct nx_dnnl_build *b, const struct dot *d,
                               struct nx_dnnl_args *args)
{
    uint32_t bias;
    if (!nx_node_has_bias(d->node))
        return NX_OK;
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 1, &d->n);
    if (!rows)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_weight_over(b, d->node, 2, d->units, d->n, rows, &bias));
    nx_dnnl_arg_add(args, NX_DNNL_BIAS, bias);
    return NX_OK;
}

enum nx_status nx_dnnl_lower_conv_int8(struct nx_dnnl_build *b, const struct nx_node *node)
{
    struct dot d;
    if (!is_dot_int8(b, node))
        return NX_UNSUPPORTED;
    NX_TRY(begin(b, node, &d));
    int64_t dims[NX_RANK_MAX];
    uint32_t rank = nx_dnnl_conv_sides(b, node, dims), src;
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_S8, rank, dims);
    struct nx_dnnl_conv c = {.window = &node->attr.conv.window,
                             .bias = nx_node_has_bias(node),
                             .weights = nx_dnnl_any(b->dnnl, NX_DNNL_S8, rank, dims)};
    if (!rows || !c.weights)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_made made;
    struct nx_dnnl_args args = {0};
    NX_TRY(choose_conv(b, &d, &c, &made));
    NX_TRY(add_bias(b, &d, &args));
    NX_TRY(add_weights(b, &d, rows, &made, &args));
    NX_TRY(nx_dnnl_value_in(b, node->inputs[0], made.src, &src));
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    return d.stored ? finish_stored(b, &d, &made, &args)
                    : nx_dnnl_finish(b, node, &made, &args, made.dst, d.act_left);
}

enum nx_status nx_dnnl_lower_fc_int8(struct nx_dnnl_build *b, const struct nx_node *node)
{
    struct dot d;
    if (!is_dot_int8(b, node))
        return NX_UNSUPPORTED;
    NX_TRY(begin(b, node, &d));
    plan_scales(b, &d, false);
    struct nx_dnnl_fc_view v = nx_dnnl_view_fc(b, node);
    enum nx_dnnl_type type = nx_dnnl_grid_type(b, node->inputs[0]);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_S8, v.rank, v.w);
    const struct nx_dnnl_layout *out_rows = nx_dnnl_rows_of(b, node->outputs[0]);
    struct nx_dnnl_fc f = {.bias = nx_node_has_bias(node),
                           .src = v.rows ? nx_dnnl_rows(b->dnnl, type, v.rank, v.x)
                                         : nx_dnnl_any(b->dnnl, type, v.rank, v.x),
                           .weights = nx_dnnl_any(b->dnnl, NX_DNNL_S8, v.rank, v.w),
                           .dst = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 2, v.y)};
    if (!rows || !out_rows || !f.src || !f.weights || !f.dst)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_made made;
    struct nx_dnnl_args args = {0};
    uint32_t src;
    NX_TRY(nx_dnnl_unless_naive(nx_dnnl_make_fc(b->dnnl, &f, &d.post, &made, b->err), &made));
    NX_TRY(add_bias(b, &d, &args));
    NX_TRY(add_weights(b, &d, rows, &made, &args));
    NX_TRY(nx_dnnl_fc_source(b, node, &v, made.src, &src));
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    return nx_dnnl_finish(b, node, &made, &args, out_rows, d.act_left);
}

/* Scale and shift in units of the result's grid, the scale of the source's as well. */
static enum nx_status add_vectors(struct nx_dnnl_build *b, const struct nx_node *node, float x_step,
                                  const struct nx_dnnl_layout *vector, struct nx_dnnl_args *args)
{
    int64_t n = shape_of(b, node->inputs[0])->dims[1];
    float y_step = b->quant->grids[node->outputs[0]].step;
    float *units = nx_arena_array(b->arena2, (size_t)n, sizeof *units);
    uint32_t scale, shift;
    if (!units)
        return nx_dnnl_out_of_memory(b);
    for (int64_t i = 0; i < n; i++)
        units[i] = y_step / x_step;
    NX_TRY(nx_dnnl_weight_over(b, node, 1, units, n, vector, &scale));
    for (int64_t i = 0; i < n; i++)
        units[i] = y_step;
    NX_TRY(nx_dnnl_weight_over(b, node, 2, units, n, vector, &shift));
    nx_dnnl_arg_add(args, NX_DNNL_SRC1, scale);
    nx_dnnl_arg_add(args, NX_DNNL_ADDEND, shift);
    return NX_OK;
}

/* From f32 or 8 bits to 8 bits in one go. */
enum nx_status nx_dnnl_lower_affine_int8(struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t x = node->inputs[0], y = node->outputs[0], src, dst;
    if (node->op != NX_OP_SCALE_SHIFT || !nx_dnnl_is_stored(b, y) ||
        (node->post.act.fn != NX_UNARY_NONE && !cut_is_act(&node->post.act, &b->quant->grids[y])))
        return NX_UNSUPPORTED;
    NX_TRY(nx_dnnl_value_stored(b, x, &src));
    const int64_t *dims = shape_of(b, x)->dims, sides[4] = {1, dims[1], 1, 1};
    enum nx_dnnl_type type = nx_dnnl_type_of(b->v->values[src].layout);
    const struct nx_dnnl_layout *from = nx_dnnl_channels_last(b->dnnl, type, dims);
    const struct nx_dnnl_layout *to = nx_dnnl_channels_last(b->dnnl, nx_dnnl_grid_type(b, y), dims);
    const struct nx_dnnl_layout *vector = nx_dnnl_channels_last(b->dnnl, NX_DNNL_F32, sides);
    if (!from || !to || !vector)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_made made;
    struct nx_dnnl_args args = {0};
    NX_TRY(
        nx_dnnl_unless_naive(nx_dnnl_make_affine(b->dnnl, from, vector, to, &made, b->err), &made));
    NX_TRY(add_vectors(b, node, nx_dnnl_step_in(b, x, from), vector, &args));
    NX_TRY(nx_dnnl_value_in(b, x, from, &src));
    NX_TRY(nx_dnnl_value_for(b, y, to, &dst));
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    nx_dnnl_arg_add(&args, NX_DNNL_DST, dst);
    NX_TRY(nx_dnnl_step_call(b, &made, args.n, args.args, args.values));
    nx_dnnl_value_set(b, y, dst);
    return NX_OK;
}
