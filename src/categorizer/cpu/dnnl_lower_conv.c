/* CONV, FC and the normalisations: the ops with weights. */
#include <string.h>

#include "categorizer/cpu/dnnl_build.h"

static const struct nx_tensor *tensor_of(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return &b->v->graph.tensors[tensor];
}

/* Weights that a node computes have no fixed layout; cpu_ref takes them as they come. */
bool nx_dnnl_weights_are_constant(const struct nx_dnnl_build *b, const struct nx_node *node)
{
    uint32_t last = node->n_inputs - (node->post.sum ? 1 : 0);
    for (uint32_t i = 1; i < last; i++)
        if (tensor_of(b, node->inputs[i])->kind != NX_TENSOR_CONSTANT)
            return false;
    return true;
}

/* What oneDNN cannot append is computed afterwards, see nx_dnnl_finish(). */
bool nx_dnnl_plan_post(const struct nx_node *node, struct nx_dnnl_post *post)
{
    *post = (struct nx_dnnl_post){.sum = node->post.sum};
    return nx_dnnl_acts(&node->post.act, post);
}

/* Where the result goes: the residual's place, or a new one in the layout `own`. */
static enum nx_status destination(struct nx_dnnl_build *b, const struct nx_node *node,
                                  const struct nx_dnnl_layout *own, uint32_t *dst)
{
    uint32_t residual = node->inputs[node->n_inputs - 1];
    if (!node->post.sum)
        return nx_dnnl_value_for(b, node->outputs[0], own, dst);
    return nx_dnnl_value_take(b, residual, own, residual == node->inputs[0], dst);
}

/* `own` is how the tensor lies, `made->dst` how the primitive sees it; they differ in the number of
 * sides at most. Then the act, if the primitive could not take it along. */
enum nx_status nx_dnnl_finish(struct nx_dnnl_build *b, const struct nx_node *node,
                              const struct nx_dnnl_made *made, struct nx_dnnl_args *args,
                              const struct nx_dnnl_layout *own, bool act_left)
{
    uint32_t dst, seen;
    NX_TRY(destination(b, node, own, &dst));
    seen = dst;
    if (!nx_dnnl_same(own, made->dst))
        NX_TRY(nx_dnnl_value_alias(b, dst, made->dst, &seen));
    nx_dnnl_arg_add(args, NX_DNNL_DST, seen);
    NX_TRY(nx_dnnl_step_call(b, made, args->n, args->args, args->values));
    nx_dnnl_value_set(b, node->outputs[0], dst);
    return act_left ? nx_dnnl_step_act(b, node) : NX_OK;
}

static enum nx_status add_bias(struct nx_dnnl_build *b, const struct nx_node *node,
                               struct nx_dnnl_args *args)
{
    if (!nx_node_has_bias(node))
        return NX_OK;
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, node->inputs[2]);
    uint32_t value;
    NX_TRY(nx_dnnl_weight_in(b, node->inputs[2], rows, rows, &value));
    nx_dnnl_arg_add(args, NX_DNNL_BIAS, value);
    return NX_OK;
}

/* (O, C/g, kh, kw), or (g, O/g, C/g, kh, kw): the same elements. */
uint32_t nx_dnnl_conv_sides(const struct nx_dnnl_build *b, const struct nx_node *node,
                            int64_t dims[NX_RANK_MAX])
{
    const int64_t *w = tensor_of(b, node->inputs[1])->shape.dims;
    int32_t groups = node->attr.conv.groups;
    if (groups == 1) {
        memcpy(dims, w, 4 * sizeof *dims);
        return 4;
    }
    const int64_t five[5] = {groups, w[0] / groups, w[1], w[2], w[3]};
    memcpy(dims, five, sizeof five);
    return 5;
}

/* Winograd does 3x3 convolutions with fewer multiplications, but puts its weights in order slowly and
 * larger. On pictures below 14 x 14 it gained 8 % of the convolution and cost 68 ms of the load. */
static bool winograd_pays(const struct nx_dnnl_build *b, const struct nx_node *node)
{
    return b->type == NX_DNNL_F32 && !b->channels_last &&
           nx_dnnl_suits_winograd(&b->v->graph, node);
}

/* With every layout given, oneDNN may have naive code alone, which is a thousand times slower: other layouts then. */
enum nx_status nx_dnnl_unless_naive(enum nx_status status, const struct nx_dnnl_made *made)
{
    return status == NX_OK && nx_dnnl_op_is_naive(made->op) ? NX_UNSUPPORTED : status;
}

/* In order of preference: Winograd, the layout of the weights that an earlier variant chose, any. */
static enum nx_status choose_algorithm(struct nx_dnnl_build *b, const struct nx_node *node,
                                       struct nx_dnnl_conv *c, const struct nx_dnnl_post *post,
                                       struct nx_dnnl_made *made)
{
    const struct nx_dnnl_layout *any = c->weights;
    const struct nx_dnnl_layout *before = nx_dnnl_weight_layout(b, node->inputs[1]);
    enum nx_status status = NX_UNSUPPORTED;
    for (int attempt = winograd_pays(b, node) ? 0 : 2; attempt < 4 && status == NX_UNSUPPORTED;
         attempt++) {
        c->winograd = attempt < 2;
        c->weights = attempt & 1 ? any : before;
        if (c->weights)
            status = nx_dnnl_unless_naive(nx_dnnl_make_conv(b->dnnl, c, post, made, b->err), made);
    }
    c->weights = any;
    return status;
}

/* Groups of few channels cut through the blocks; those are oneDNN's to lay out. */
static enum nx_status choose_conv(struct nx_dnnl_build *b, const struct nx_node *node,
                                  struct nx_dnnl_conv *c, const struct nx_dnnl_post *post,
                                  struct nx_dnnl_made *made)
{
    int32_t groups = node->attr.conv.groups;
    bool depthwise =
        groups == node->attr.conv.filters && groups == tensor_of(b, node->inputs[0])->shape.dims[1];
    enum nx_status status = NX_UNSUPPORTED;
    bool whole = groups == 1 || depthwise || b->channels_last;
    for (int attempt = whole ? 0 : 1; attempt < 2 && status == NX_UNSUPPORTED; attempt++) {
        c->src = attempt ? nx_dnnl_any_of(b, b->type, node->inputs[0])
                         : nx_dnnl_pictures_of(b, node->inputs[0]);
        c->dst = attempt ? nx_dnnl_any_of(b, b->type, node->outputs[0])
                         : nx_dnnl_pictures_of(b, node->outputs[0]);
        if (!c->src || !c->dst)
            return nx_dnnl_out_of_memory(b);
        status = choose_algorithm(b, node, c, post, made);
    }
    return status == NX_UNSUPPORTED ? nx_dnnl_make_conv(b->dnnl, c, post, made, b->err) : status;
}

enum nx_status nx_dnnl_lower_conv(struct nx_dnnl_build *b, const struct nx_node *node)
{
    if (!nx_dnnl_weights_are_constant(b, node))
        return NX_UNSUPPORTED;
    enum nx_status int8 = nx_dnnl_lower_conv_int8(b, node);
    if (int8 != NX_UNSUPPORTED)
        return int8;
    int64_t dims[NX_RANK_MAX];
    uint32_t rank = nx_dnnl_conv_sides(b, node, dims);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, rank, dims);
    struct nx_dnnl_conv c = {.window = &node->attr.conv.window,
                             .bias = nx_node_has_bias(node),
                             .weights = nx_dnnl_any(b->dnnl, b->type, rank, dims)};
    if (!rows || !c.weights)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_post post;
    bool act_left = !nx_dnnl_plan_post(node, &post);
    struct nx_dnnl_made made;
    NX_TRY(choose_conv(b, node, &c, &post, &made));
    struct nx_dnnl_args args = {0};
    uint32_t src, weights;
    NX_TRY(nx_dnnl_value_in(b, node->inputs[0], made.src, &src));
    NX_TRY(nx_dnnl_weight_in(b, node->inputs[1], rows, made.weights, &weights));
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    nx_dnnl_arg_add(&args, NX_DNNL_WEIGHTS, weights);
    NX_TRY(add_bias(b, node, &args));
    return nx_dnnl_finish(b, node, &made, &args, made.dst, act_left);
}

struct nx_dnnl_fc_view nx_dnnl_view_fc(const struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_shape *x = &tensor_of(b, node->inputs[0])->shape;
    struct nx_dnnl_fc_view v = {.rank = x->rank};
    v.y[1] = node->attr.fc.units;
    if (node->attr.fc.flatten && x->rank >= 2 && x->rank <= 4) {
        memcpy(v.x, x->dims, sizeof v.x);
        memcpy(v.w, x->dims, sizeof v.w);
    } else {
        uint64_t elements = 1;
        nx_shape_elements(x, &elements);
        v.rank = 2;
        v.rows = true;
        v.x[1] = v.w[1] = tensor_of(b, node->inputs[1])->shape.dims[1];
        v.x[0] = (int64_t)elements / v.x[1];
    }
    v.y[0] = v.x[0];
    v.w[0] = v.y[1];
    return v;
}

enum nx_status nx_dnnl_fc_source(struct nx_dnnl_build *b, const struct nx_node *node,
                                 const struct nx_dnnl_fc_view *v,
                                 const struct nx_dnnl_layout *wanted, uint32_t *src)
{
    if (!v->rows)
        return nx_dnnl_value_in(b, node->inputs[0], wanted, src);
    uint32_t rows;
    NX_TRY(nx_dnnl_value_rows(b, node->inputs[0], &rows));
    if (nx_dnnl_type_of(wanted) == NX_DNNL_F32)
        return nx_dnnl_value_alias(b, rows, wanted, src);
    const struct nx_dnnl_layout *plain = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, v->rank, v->x);
    if (!plain)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_alias(b, rows, plain, &rows));
    NX_TRY(nx_dnnl_value_new(b, wanted, src));
    b->v->values[*src].step = nx_dnnl_step_in(b, node->inputs[0], wanted);
    return nx_dnnl_step_reorder(b, rows, *src);
}

/* Told by one photo, so that it is the same code, and one layout of the weights, for every
 * batch. In bf16 and for few rows the other code is as fast. */
static bool has_many_rows(const struct nx_dnnl_build *b, const struct nx_node *node,
                          const struct nx_dnnl_fc_view *v)
{
    enum { MANY = 64 };
    return v->rows && b->type == NX_DNNL_F32 &&
           v->x[0] >= MANY * tensor_of(b, node->inputs[0])->shape.dims[0];
}

static enum nx_status make_fc(struct nx_dnnl_build *b, const struct nx_dnnl_fc *f, bool many_rows,
                              const struct nx_dnnl_post *post, struct nx_dnnl_made *made)
{
    if (many_rows) {
        enum nx_status status =
            nx_dnnl_unless_naive(nx_dnnl_make_fc_rows(b->dnnl, f, post, made, b->err), made);
        if (status != NX_UNSUPPORTED)
            return status;
    }
    return nx_dnnl_make_fc(b->dnnl, f, post, made, b->err);
}

static enum nx_status choose_fc(struct nx_dnnl_build *b, const struct nx_node *node,
                                struct nx_dnnl_fc *f, bool many_rows,
                                const struct nx_dnnl_post *post, struct nx_dnnl_made *made)
{
    const struct nx_dnnl_layout *any = f->weights;
    f->weights = nx_dnnl_weight_layout(b, node->inputs[1]);
    enum nx_status status = NX_UNSUPPORTED;
    if (f->weights)
        status = nx_dnnl_unless_naive(make_fc(b, f, many_rows, post, made), made);
    if (status != NX_UNSUPPORTED)
        return status;
    f->weights = any;
    return make_fc(b, f, many_rows, post, made);
}

enum nx_status nx_dnnl_lower_fc(struct nx_dnnl_build *b, const struct nx_node *node)
{
    if (!nx_dnnl_weights_are_constant(b, node))
        return NX_UNSUPPORTED;
    enum nx_status int8 = nx_dnnl_lower_fc_int8(b, node);
    if (int8 != NX_UNSUPPORTED)
        return int8;
    struct nx_dnnl_fc_view v = nx_dnnl_view_fc(b, node);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, v.rank, v.w);
    const struct nx_dnnl_layout *out_rows = nx_dnnl_rows_of(b, node->outputs[0]);
    struct nx_dnnl_fc f = {.bias = nx_node_has_bias(node),
                           .src = v.rows ? nx_dnnl_rows(b->dnnl, b->type, v.rank, v.x)
                                         : nx_dnnl_any(b->dnnl, b->type, v.rank, v.x),
                           .weights = nx_dnnl_any(b->dnnl, b->type, v.rank, v.w),
                           .dst = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 2, v.y)};
    if (!rows || !out_rows || !f.src || !f.weights || !f.dst)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_post post;
    bool act_left = !nx_dnnl_plan_post(node, &post);
    struct nx_dnnl_made made;
    NX_TRY(choose_fc(b, node, &f, has_many_rows(b, node, &v), &post, &made));
    struct nx_dnnl_args args = {0};
    uint32_t src, weights;
    NX_TRY(nx_dnnl_fc_source(b, node, &v, made.src, &src));
    NX_TRY(nx_dnnl_weight_in(b, node->inputs[1], rows, made.weights, &weights));
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    nx_dnnl_arg_add(&args, NX_DNNL_WEIGHTS, weights);
    NX_TRY(add_bias(b, node, &args));
    return nx_dnnl_finish(b, node, &made, &args, out_rows, act_left);
}

/* oneDNN normalises over dimension 1 of what has 2 to 5 dimensions. */
static bool norm_fits(const struct nx_dnnl_build *b, const struct nx_node *node)
{
    int32_t axis =
        node->op == NX_OP_BATCH_NORM ? node->attr.batch_norm.axis : node->attr.scale_shift.axis;
    uint32_t rank = tensor_of(b, node->inputs[0])->shape.rank;
    return axis == 1 && rank >= 2 && rank <= 5 && nx_dnnl_weights_are_constant(b, node);
}

static enum nx_status add_vector(struct nx_dnnl_build *b, uint32_t arg, uint32_t tensor,
                                 struct nx_dnnl_args *args)
{
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, tensor);
    uint32_t value;
    NX_TRY(nx_dnnl_weight_in(b, tensor, rows, rows, &value));
    nx_dnnl_arg_add(args, arg, value);
    return NX_OK;
}

static enum nx_status add_filled(struct nx_dnnl_build *b, uint32_t arg, int64_t n, float fill,
                                 struct nx_dnnl_args *args)
{
    uint32_t value;
    NX_TRY(nx_dnnl_weight_fill(b, n, fill, &value));
    nx_dnnl_arg_add(args, arg, value);
    return NX_OK;
}

/* A scale-shift is a normalisation of mean 0 and variance 1. */
static enum nx_status add_moments(struct nx_dnnl_build *b, const struct nx_node *node,
                                  struct nx_dnnl_args *args)
{
    int64_t channels = tensor_of(b, node->inputs[0])->shape.dims[1];
    bool fixed = node->op == NX_OP_BATCH_NORM && node->attr.batch_norm.fix_gamma;
    if (!fixed)
        NX_TRY(add_vector(b, NX_DNNL_SCALE, node->inputs[1], args));
    NX_TRY(add_vector(b, NX_DNNL_SHIFT, node->inputs[2], args));
    if (node->op == NX_OP_BATCH_NORM) {
        NX_TRY(add_vector(b, NX_DNNL_MEAN, node->inputs[3], args));
        return add_vector(b, NX_DNNL_VARIANCE, node->inputs[4], args);
    }
    NX_TRY(add_filled(b, NX_DNNL_MEAN, channels, 0, args));
    return add_filled(b, NX_DNNL_VARIANCE, channels, 1, args);
}

/* In blocks that the channels do not fill, oneDNN 2.6 on AVX2 normalises what lies beyond them
 * with what lies beyond the vectors. That was to be 0; where it becomes no number, the
 * convolution behind multiplies its zeros with it. */
static enum nx_status norm_source(struct nx_dnnl_build *b, const struct nx_node *node,
                                  uint32_t *src)
{
    const struct nx_shape *x = &tensor_of(b, node->inputs[0])->shape;
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], src));
    const struct nx_dnnl_layout *native = b->v->values[*src].layout;
    if (x->rank != 4)
        return NX_OK;
    const struct nx_dnnl_layout *last =
        nx_dnnl_channels_last(b->dnnl, nx_dnnl_type_of(native), x->dims);
    if (!last)
        return nx_dnnl_out_of_memory(b);
    return nx_dnnl_bytes(native) == nx_dnnl_bytes(last)
               ? NX_OK
               : nx_dnnl_value_in(b, node->inputs[0], last, src);
}

enum nx_status nx_dnnl_lower_norm(struct nx_dnnl_build *b, const struct nx_node *node)
{
    if (!norm_fits(b, node))
        return NX_UNSUPPORTED;
    enum nx_status int8 = nx_dnnl_lower_affine_int8(b, node);
    if (int8 != NX_UNSUPPORTED)
        return int8;
    bool batch_norm = node->op == NX_OP_BATCH_NORM;
    float eps = batch_norm ? node->attr.batch_norm.eps : 0;
    bool scale = !batch_norm || !node->attr.batch_norm.fix_gamma;
    bool relu = node->post.act.fn == NX_UNARY_RELU;
    uint32_t src;
    NX_TRY(norm_source(b, node, &src));
    struct nx_dnnl_made made;
    NX_TRY(nx_dnnl_make_norm(b->dnnl, b->v->values[src].layout, eps, scale, relu, &made, b->err));
    struct nx_dnnl_args args = {0};
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    NX_TRY(add_moments(b, node, &args));
    return nx_dnnl_finish(b, node, &made, &args, made.dst,
                          !relu && node->post.act.fn != NX_UNARY_NONE);
}

/* Over the last dimension alone: dense rows. */
enum nx_status nx_dnnl_lower_layer_norm(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_attr_layer_norm *a = &node->attr.layer_norm;
    const struct nx_shape *x = &tensor_of(b, node->inputs[0])->shape;
    uint64_t elements = 0;
    nx_shape_elements(x, &elements);
    if (a->first != a->last || (uint32_t)a->last + 1 != x->rank || node->n_inputs != 3 ||
        !nx_dnnl_weights_are_constant(b, node) || elements == 0)
        return NX_UNSUPPORTED;
    int64_t n = x->dims[a->last];
    const int64_t sides[2] = {(int64_t)elements / n, n};
    const struct nx_dnnl_layout *flat = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 2, sides);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, node->outputs[0]);
    struct nx_dnnl_made made;
    if (!flat || !rows)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_make_layer_norm(b->dnnl, flat, a->eps, &made, b->err));
    struct nx_dnnl_args args = {0};
    uint32_t native, src;
    NX_TRY(nx_dnnl_value_rows(b, node->inputs[0], &native));
    NX_TRY(nx_dnnl_value_alias(b, native, made.src, &src));
    nx_dnnl_arg_add(&args, NX_DNNL_SRC, src);
    NX_TRY(add_vector(b, NX_DNNL_SCALE, node->inputs[1], &args));
    NX_TRY(add_vector(b, NX_DNNL_SHIFT, node->inputs[2], &args));
    return nx_dnnl_finish(b, node, &made, &args, rows, false);
}
