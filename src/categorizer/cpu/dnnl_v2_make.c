/* oneDNN 2.x: primitives. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "categorizer/cpu/dnnl_v2.h"

static void add_act(struct nx_dnnl_post *post, dnnl_alg_kind_t fn, float alpha, float beta)
{
    post->acts[post->n_acts++] = (struct nx_dnnl_act){(int32_t)fn, alpha, beta};
}

/* The functions of two steps and of constants; the rest is a table. */
static bool composed_acts(const struct nx_attr_unary *u, struct nx_dnnl_post *post)
{
    switch (u->fn) {
    case NX_UNARY_SELU:
        add_act(post, dnnl_eltwise_elu, 1.6732632423543772f, 0);
        add_act(post, dnnl_eltwise_linear, 1.0507009873554805f, 0);
        return true;
    case NX_UNARY_HARD_SIGMOID:
        add_act(post, dnnl_eltwise_linear, u->a, u->b);
        add_act(post, dnnl_eltwise_clip, 0, 1);
        return true;
    case NX_UNARY_HARD_SWISH: /* oneDNN has the usual one only */
        if (u->a != 1.0f / 6 || u->b != 0.5f)
            return false;
        add_act(post, dnnl_eltwise_hardswish, 0, 0);
        return true;
    case NX_UNARY_SWISH: add_act(post, dnnl_eltwise_swish, u->a, 0); return true;
    case NX_UNARY_ADD: add_act(post, dnnl_eltwise_linear, 1, u->a); return true;
    case NX_UNARY_RSUB: add_act(post, dnnl_eltwise_linear, -1, u->a); return true;
    case NX_UNARY_MUL: add_act(post, dnnl_eltwise_linear, u->a, 0); return true;
    case NX_UNARY_DIV: add_act(post, dnnl_eltwise_linear, 1 / u->a, 0); return true;
    case NX_UNARY_RDIV: add_act(post, dnnl_eltwise_pow, u->a, -1); return true;
    case NX_UNARY_POW: add_act(post, dnnl_eltwise_pow, 1, u->a); return true;
    case NX_UNARY_MAX: add_act(post, dnnl_eltwise_clip, u->a, INFINITY); return true;
    case NX_UNARY_MIN: add_act(post, dnnl_eltwise_clip, -INFINITY, u->a); return true;
    case NX_UNARY_CLIP: add_act(post, dnnl_eltwise_clip, u->a, u->b); return true;
    case NX_UNARY_LEAKY: add_act(post, dnnl_eltwise_relu, u->a, 0); return true;
    case NX_UNARY_ELU: add_act(post, dnnl_eltwise_elu, u->a, 0); return true;
    default: return false;
    }
}

bool nx_dnnl_acts(const struct nx_attr_unary *unary, struct nx_dnnl_post *post)
{
    static const dnnl_alg_kind_t plain[NX_UNARY_COUNT] = {
        [NX_UNARY_RELU] = dnnl_eltwise_relu,
        [NX_UNARY_GELU] = dnnl_eltwise_gelu_erf,
        [NX_UNARY_GELU_TANH] = dnnl_eltwise_gelu_tanh,
        [NX_UNARY_SIGMOID] = dnnl_eltwise_logistic,
        [NX_UNARY_TANH] = dnnl_eltwise_tanh,
        [NX_UNARY_SOFTRELU] = dnnl_eltwise_soft_relu,
        [NX_UNARY_LOG_SIGMOID] = dnnl_eltwise_logsigmoid,
        [NX_UNARY_MISH] = dnnl_eltwise_mish,
        [NX_UNARY_EXP] = dnnl_eltwise_exp,
        [NX_UNARY_LOG] = dnnl_eltwise_log,
        [NX_UNARY_SQRT] = dnnl_eltwise_sqrt,
        [NX_UNARY_SQUARE] = dnnl_eltwise_square,
        [NX_UNARY_ABS] = dnnl_eltwise_abs,
    };
    post->n_acts = 0;
    if (unary->fn == NX_UNARY_NONE || composed_acts(unary, post))
        return true;
    if (plain[unary->fn] == dnnl_alg_kind_undef)
        return false;
    add_act(post, plain[unary->fn], 0, 0);
    return true;
}

/* Dimension 1 of a result, as a mask. */
enum { CHANNELS = 1 << 1 };

static dnnl_status_t set_post(dnnl_primitive_attr_t attr, const struct nx_dnnl_post *post)
{
    dnnl_post_ops_t ops;
    dnnl_status_t status = dnnl_post_ops_create(&ops);
    if (status != dnnl_success)
        return status;
    const struct nx_dnnl_scales *q = post->quant;
    if (post->sum && q)
        status = dnnl_post_ops_append_sum_v2(ops, q->sum_scale, nx_dnnl_data_type(q->sum_type));
    else if (post->sum)
        status = dnnl_post_ops_append_sum(ops, 1);
    for (uint32_t i = 0; i < post->n_acts && status == dnnl_success; i++)
        status = dnnl_post_ops_append_eltwise(ops, q && i + 1 == post->n_acts ? q->last_scale : 1,
                                              (dnnl_alg_kind_t)post->acts[i].fn,
                                              post->acts[i].alpha, post->acts[i].beta);
    if (q && status == dnnl_success)
        status = dnnl_primitive_attr_set_output_scales(attr, q->n, CHANNELS, q->scales);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

/* Scratch memory is ours to plan. */
static dnnl_status_t make_attr(const struct nx_dnnl_post *post, dnnl_primitive_attr_t *attr)
{
    dnnl_status_t status = dnnl_primitive_attr_create(attr);
    if (status != dnnl_success)
        return status;
    status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success && post)
        status = set_post(*attr, post);
    if (status != dnnl_success)
        dnnl_primitive_attr_destroy(*attr);
    return status;
}

/* NULL for "there is none"; *failed if there is no room to keep it. */
static const struct nx_dnnl_layout *queried(struct nx_dnnl *d, dnnl_primitive_desc_t pd,
                                            dnnl_query_t what, int index, bool *failed)
{
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, what, index);
    if (!md || md->ndims == 0)
        return NULL;
    const struct nx_dnnl_layout *layout = nx_dnnl_keep(d, md);
    *failed |= !layout;
    return layout;
}

static const char *kind_name(dnnl_primitive_desc_t pd)
{
    dnnl_primitive_kind_t kind = dnnl_undefined_primitive;
    dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &kind);
    switch (kind) {
    case dnnl_reorder: return "reorder";
    case dnnl_concat: return "concat";
    case dnnl_convolution: return "convolution";
    case dnnl_eltwise: return "elementwise";
    case dnnl_pooling: return "pooling";
    case dnnl_lrn: return "lrn";
    case dnnl_batch_normalization: return "normalization";
    case dnnl_layer_normalization: return "layer norm";
    case dnnl_softmax: return "softmax";
    case dnnl_logsoftmax: return "log softmax";
    case dnnl_inner_product: return "inner product";
    case dnnl_binary: return "binary";
    case dnnl_matmul: return "matmul";
    case dnnl_prelu: return "prelu";
    default: return "another";
    }
}

const char *nx_dnnl_op_text(const struct nx_dnnl_op *op)
{
    return op->text;
}

bool nx_dnnl_op_is_naive(const struct nx_dnnl_op *op)
{
    return strstr(op->text, " ref") != NULL;
}

/* NULL: no memory. */
static const char *text_of(struct nx_dnnl *d, dnnl_primitive_desc_t pd)
{
    const char *code = NULL, *kind = kind_name(pd);
    if (dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &code) != dnnl_success || !code)
        code = "";
    size_t bytes = strlen(kind) + strlen(code) + 2;
    char *text = nx_arena_alloc(d->arena, bytes);
    if (text)
        snprintf(text, bytes, "%s %s", kind, code);
    return text;
}

static enum nx_status compile(struct nx_dnnl *d, dnnl_primitive_desc_t pd,
                              struct nx_dnnl_made *made, struct nx_err *err)
{
    bool failed = false;
    struct nx_dnnl_made m = {
        .op = nx_arena_alloc(d->arena, sizeof *m.op),
        .src = queried(d, pd, dnnl_query_src_md, 0, &failed),
        .src1 = queried(d, pd, dnnl_query_src_md, 1, &failed),
        .weights = queried(d, pd, dnnl_query_weights_md, 0, &failed),
        .dst = queried(d, pd, dnnl_query_dst_md, 0, &failed),
        .scratch = queried(d, pd, dnnl_query_scratchpad_md, 0, &failed),
    };
    if (!m.op || failed || !(m.op->text = text_of(d, pd)))
        return nx_dnnl_no_memory(err);
    dnnl_status_t status = dnnl_primitive_create(&m.op->primitive, pd);
    if (status != dnnl_success)
        return nx_dnnl_translate(status, "compile a primitive", err);
    m.op->older = d->ops;
    d->ops = m.op;
    *made = m;
    return NX_OK;
}

/* A primitive is compiled for the threads it will run on: they decide how the work is cut. */
struct making {
    struct nx_dnnl *d;
    dnnl_primitive_attr_t attr;
    int threads_before;
    dnnl_primitive_desc_t pd;
};

static enum nx_status begin(struct making *m, struct nx_dnnl *d, const struct nx_dnnl_post *post,
                            struct nx_err *err)
{
    dnnl_status_t status = make_attr(post, &m->attr);
    if (status != dnnl_success)
        return nx_dnnl_translate(status, "set attributes", err);
    m->d = d;
    m->threads_before = nx_dnnl_take_threads(d->threads);
    return NX_OK;
}

static enum nx_status end(struct making *m, dnnl_status_t planned, struct nx_dnnl_made *made,
                          struct nx_err *err)
{
    enum nx_status status = nx_dnnl_translate(planned, "plan a primitive", err);
    if (status == NX_OK) {
        status = compile(m->d, m->pd, made, err);
        dnnl_primitive_desc_destroy(m->pd);
    }
    dnnl_primitive_attr_destroy(m->attr);
    nx_dnnl_take_threads(m->threads_before);
    return status;
}

/* `filled` is the status of the call that filled `desc`. */
static enum nx_status make(struct nx_dnnl *d, dnnl_status_t filled, const_dnnl_op_desc_t desc,
                           const struct nx_dnnl_post *post, struct nx_dnnl_made *made,
                           struct nx_err *err)
{
    if (filled != dnnl_success)
        return nx_dnnl_translate(filled, "describe a primitive", err);
    struct making m;
    NX_TRY(begin(&m, d, post, err));
    return end(&m, dnnl_primitive_desc_create(&m.pd, desc, m.attr, d->engine, NULL), made, err);
}

/* Spatial pairs, as long as oneDNN reads them. `less` is taken off: its dilation counts from 0. */
static void pair(dnnl_dims_t out, const int32_t two[2], int32_t less)
{
    memset(out, 0, sizeof(dnnl_dims_t));
    out[0] = two[0] - less;
    out[1] = two[1] - less;
}

static dnnl_memory_desc_t bias_desc(int64_t units)
{
    dnnl_dims_t dims = {units};
    dnnl_memory_desc_t md;
    dnnl_memory_desc_init_by_tag(&md, 1, dims, dnnl_f32, dnnl_a);
    return md;
}

enum nx_status nx_dnnl_make_conv(struct nx_dnnl *d, const struct nx_dnnl_conv *c,
                                 const struct nx_dnnl_post *post, struct nx_dnnl_made *made,
                                 struct nx_err *err)
{
    dnnl_dims_t strides, dilates, before, after;
    pair(strides, c->window->stride, 0);
    pair(dilates, c->window->dilate, 1);
    pair(before, c->window->before, 0);
    pair(after, c->window->after, 0);
    dnnl_memory_desc_t bias = bias_desc(c->dst->md.dims[1]);
    dnnl_convolution_desc_t desc;
    dnnl_status_t filled = dnnl_dilated_convolution_forward_desc_init(
        &desc, dnnl_forward_inference,
        c->winograd ? dnnl_convolution_winograd : dnnl_convolution_direct, &c->src->md,
        &c->weights->md, c->bias ? &bias : NULL, &c->dst->md, strides, dilates, before, after);
    return make(d, filled, &desc, post, made, err);
}

enum nx_status nx_dnnl_make_fc(struct nx_dnnl *d, const struct nx_dnnl_fc *f,
                               const struct nx_dnnl_post *post, struct nx_dnnl_made *made,
                               struct nx_err *err)
{
    dnnl_memory_desc_t bias = bias_desc(f->dst->md.dims[1]);
    dnnl_inner_product_desc_t desc;
    dnnl_status_t filled =
        dnnl_inner_product_forward_desc_init(&desc, dnnl_forward_inference, &f->src->md,
                                             &f->weights->md, f->bias ? &bias : NULL, &f->dst->md);
    return make(d, filled, &desc, post, made, err);
}

/* (O, K) seen as (K, O), or the other way round; "any" stays so. */
static dnnl_status_t turn(const dnnl_memory_desc_t *md, dnnl_memory_desc_t *turned)
{
    static const int swapped[2] = {1, 0};
    return dnnl_memory_desc_permute_axes(turned, md, swapped);
}

static dnnl_status_t describe_rows(const struct nx_dnnl_fc *f, dnnl_matmul_desc_t *desc)
{
    dnnl_memory_desc_t weights, bias;
    dnnl_dims_t units = {1, f->dst->md.dims[1]};
    dnnl_status_t status = turn(&f->weights->md, &weights);
    if (status == dnnl_success)
        status = dnnl_memory_desc_init_by_tag(&bias, 2, units, dnnl_f32, dnnl_ab);
    if (status == dnnl_success)
        status =
            dnnl_matmul_desc_init(desc, &f->src->md, &weights, f->bias ? &bias : NULL, &f->dst->md);
    return status;
}

enum nx_status nx_dnnl_make_fc_rows(struct nx_dnnl *d, const struct nx_dnnl_fc *f,
                                    const struct nx_dnnl_post *post, struct nx_dnnl_made *made,
                                    struct nx_err *err)
{
    dnnl_matmul_desc_t desc;
    dnnl_memory_desc_t weights;
    NX_TRY(make(d, describe_rows(f, &desc), &desc, post, made, err));
    NX_TRY(nx_dnnl_translate(turn(&made->weights->md, &weights), "turn a matrix", err));
    made->weights = nx_dnnl_keep(d, &weights);
    return made->weights ? NX_OK : nx_dnnl_no_memory(err);
}

enum nx_status nx_dnnl_make_norm(struct nx_dnnl *d, const struct nx_dnnl_layout *x, float eps,
                                 bool scale, bool relu, struct nx_dnnl_made *made,
                                 struct nx_err *err)
{
    unsigned flags = dnnl_use_global_stats | dnnl_use_shift;
    flags |= scale ? (unsigned)dnnl_use_scale : 0;
    flags |= relu ? (unsigned)dnnl_fuse_norm_relu : 0;
    dnnl_batch_normalization_desc_t desc;
    dnnl_status_t filled = dnnl_batch_normalization_forward_desc_init(&desc, dnnl_forward_inference,
                                                                      &x->md, eps, flags);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_layer_norm(struct nx_dnnl *d, const struct nx_dnnl_layout *x, float eps,
                                       struct nx_dnnl_made *made, struct nx_err *err)
{
    dnnl_layer_normalization_desc_t desc;
    dnnl_status_t filled = dnnl_layer_normalization_forward_desc_init(
        &desc, dnnl_forward_inference, &x->md, NULL, eps, dnnl_use_scale | dnnl_use_shift);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_softmax(struct nx_dnnl *d, const struct nx_dnnl_layout *x,
                                    uint32_t axis, bool log, struct nx_dnnl_made *made,
                                    struct nx_err *err)
{
    dnnl_softmax_desc_t desc;
    dnnl_status_t filled =
        (log ? dnnl_logsoftmax_forward_desc_init
             : dnnl_softmax_forward_desc_init)(&desc, dnnl_forward_inference, &x->md, (int)axis);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_pool(struct nx_dnnl *d, const struct nx_dnnl_pool *p,
                                 struct nx_dnnl_made *made, struct nx_err *err)
{
    dnnl_dims_t strides, kernel, before, after;
    pair(strides, p->stride, 0);
    pair(kernel, p->kernel, 0);
    pair(before, p->before, 0);
    pair(after, p->after, 0);
    dnnl_alg_kind_t kind = p->max           ? dnnl_pooling_max
                           : p->include_pad ? dnnl_pooling_avg_include_padding
                                            : dnnl_pooling_avg_exclude_padding;
    dnnl_pooling_desc_t desc;
    dnnl_status_t filled =
        dnnl_pooling_forward_desc_init(&desc, dnnl_forward_inference, kind, &p->src->md,
                                       &p->dst->md, strides, kernel, before, after);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_act(struct nx_dnnl *d, const struct nx_dnnl_layout *x,
                                const struct nx_dnnl_act *act, struct nx_dnnl_made *made,
                                struct nx_err *err)
{
    dnnl_eltwise_desc_t desc;
    dnnl_status_t filled = dnnl_eltwise_forward_desc_init(
        &desc, dnnl_forward_inference, (dnnl_alg_kind_t)act->fn, &x->md, act->alpha, act->beta);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_prelu(struct nx_dnnl *d, const struct nx_dnnl_layout *x,
                                  const struct nx_dnnl_layout *slope, struct nx_dnnl_made *made,
                                  struct nx_err *err)
{
    dnnl_prelu_desc_t desc;
    dnnl_status_t filled =
        dnnl_prelu_forward_desc_init(&desc, dnnl_forward_inference, &x->md, &slope->md);
    return make(d, filled, &desc, NULL, made, err);
}

/* b's sides in a's order of memory, since oneDNN's fast code wants both alike: channels in blocks, or
 * dense rows (which is the same as channels last when b has no other sides). */
static dnnl_memory_desc_t like(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b)
{
    const dnnl_blocking_desc_t *order = &a->format_desc.blocking;
    if (memcmp(a->dims, b->dims, sizeof a->dims) == 0)
        return *a;
    dnnl_memory_desc_t md;
    bool blocked = a->format_kind == dnnl_blocked && a->ndims == 4 && order->inner_nblks == 1 &&
                   order->inner_idxs[0] == 1;
    dnnl_format_tag_t tag = dnnl_abcd;
    if (blocked && (order->inner_blks[0] == 16 || order->inner_blks[0] == 8))
        tag = order->inner_blks[0] == 16 ? dnnl_aBcd16b : dnnl_aBcd8b;
    static const dnnl_format_tag_t rows[] = {dnnl_a,    dnnl_ab,    dnnl_abc,
                                             dnnl_abcd, dnnl_abcde, dnnl_abcdef};
    if (a->ndims != 4)
        tag = rows[a->ndims - 1];
    dnnl_memory_desc_init_by_tag(&md, b->ndims, b->dims, b->data_type, tag);
    return md;
}

enum nx_status nx_dnnl_make_binary(struct nx_dnnl *d, enum nx_binary kind,
                                   const struct nx_dnnl_layout *a, const struct nx_dnnl_layout *b,
                                   const struct nx_dnnl_layout *dst,
                                   const struct nx_dnnl_post *post, struct nx_dnnl_made *made,
                                   struct nx_err *err)
{
    static const dnnl_alg_kind_t kinds[] = {
        [NX_BINARY_ADD] = dnnl_binary_add, [NX_BINARY_SUB] = dnnl_binary_sub,
        [NX_BINARY_MUL] = dnnl_binary_mul, [NX_BINARY_DIV] = dnnl_binary_div,
        [NX_BINARY_MAX] = dnnl_binary_max, [NX_BINARY_MIN] = dnnl_binary_min,
    };
    dnnl_memory_desc_t second =
        b->md.format_kind == dnnl_format_kind_any ? like(&a->md, &b->md) : b->md;
    dnnl_binary_desc_t desc;
    dnnl_status_t filled = dnnl_binary_desc_init(&desc, kinds[kind], &a->md, &second, &dst->md);
    return make(d, filled, &desc, post, made, err);
}

static dnnl_status_t append_addend(dnnl_primitive_attr_t attr, const dnnl_memory_desc_t *addend)
{
    dnnl_post_ops_t ops;
    dnnl_status_t status = dnnl_post_ops_create(&ops);
    if (status != dnnl_success)
        return status;
    status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, addend);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return status;
}

enum nx_status nx_dnnl_make_affine(struct nx_dnnl *d, const struct nx_dnnl_layout *x,
                                   const struct nx_dnnl_layout *vector,
                                   const struct nx_dnnl_layout *dst, struct nx_dnnl_made *made,
                                   struct nx_err *err)
{
    struct making m;
    dnnl_binary_desc_t desc;
    NX_TRY(begin(&m, d, NULL, err));
    dnnl_status_t status =
        dnnl_binary_desc_init(&desc, dnnl_binary_mul, &x->md, &vector->md, &dst->md);
    if (status == dnnl_success)
        status = append_addend(m.attr, &vector->md);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&m.pd, &desc, m.attr, d->engine, NULL);
    return end(&m, status, made, err);
}

enum nx_status nx_dnnl_make_matmul(struct nx_dnnl *d, const struct nx_dnnl_layout *a,
                                   const struct nx_dnnl_layout *b, const struct nx_dnnl_layout *dst,
                                   struct nx_dnnl_made *made, struct nx_err *err)
{
    dnnl_matmul_desc_t desc;
    dnnl_status_t filled = dnnl_matmul_desc_init(&desc, &a->md, &b->md, NULL, &dst->md);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_lrn(struct nx_dnnl *d, const struct nx_dnnl_layout *x,
                                const struct nx_attr_lrn *lrn, struct nx_dnnl_made *made,
                                struct nx_err *err)
{
    dnnl_lrn_desc_t desc;
    dnnl_status_t filled =
        dnnl_lrn_forward_desc_init(&desc, dnnl_forward_inference, dnnl_lrn_across_channels, &x->md,
                                   lrn->size, lrn->alpha, lrn->beta, lrn->knorm);
    return make(d, filled, &desc, NULL, made, err);
}

enum nx_status nx_dnnl_make_concat(struct nx_dnnl *d, uint32_t axis, uint32_t n,
                                   const struct nx_dnnl_layout *const *srcs,
                                   const struct nx_dnnl_layout *dst, struct nx_dnnl_made *made,
                                   struct nx_err *err)
{
    dnnl_memory_desc_t *mds = nx_arena_array(d->arena, n, sizeof *mds);
    if (!mds)
        return nx_dnnl_no_memory(err);
    for (uint32_t i = 0; i < n; i++)
        mds[i] = srcs[i]->md;
    struct making m;
    NX_TRY(begin(&m, d, NULL, err));
    return end(&m,
               dnnl_concat_primitive_desc_create(&m.pd, &dst->md, (int)n, (int)axis, mds, m.attr,
                                                 d->engine),
               made, err);
}

enum nx_status nx_dnnl_make_reorder(struct nx_dnnl *d, const struct nx_dnnl_layout *src,
                                    const struct nx_dnnl_layout *dst, float scale,
                                    struct nx_dnnl_made *made, struct nx_err *err)
{
    struct making m;
    NX_TRY(begin(&m, d, NULL, err));
    dnnl_status_t status = dnnl_success;
    if (scale < 1 || scale > 1)
        status = dnnl_primitive_attr_set_output_scales(m.attr, 1, 0, &scale);
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&m.pd, &src->md, d->engine, &dst->md, d->engine,
                                                    m.attr);
    return end(&m, status, made, err);
}
