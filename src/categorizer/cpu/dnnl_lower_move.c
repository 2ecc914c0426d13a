/* Elements moved by reorders between layouts, and what else is a layout and a primitive. */
#include "categorizer/cpu/dnnl_build.h"

static const struct nx_shape *shape_of(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return &b->v->graph.tensors[tensor].shape;
}

static void dense_strides(const struct nx_shape *shape, int64_t *strides)
{
    int64_t step = 1;
    for (uint32_t i = shape->rank; i-- > 0; step *= shape->dims[i])
        strides[i] = step;
}

/* The dense rows of `tensor` are in `value`, under whatever layout. */
static enum nx_status set_rows(struct nx_dnnl_build *b, uint32_t tensor, uint32_t value)
{
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, tensor);
    uint32_t alias;
    if (!rows)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_alias(b, value, rows, &alias));
    nx_dnnl_value_set(b, tensor, alias);
    b->v->rows_value[tensor] = alias;
    return NX_OK;
}

/* A copy of `from`, which is seen under `part`, as the dense rows of `out`. */
static enum nx_status copy_out(struct nx_dnnl_build *b, uint32_t from,
                               const struct nx_dnnl_layout *part, const struct nx_dnnl_layout *to,
                               uint32_t out)
{
    uint32_t seen, dst;
    if (!part || !to)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_alias(b, from, part, &seen));
    NX_TRY(nx_dnnl_value_new(b, to, &dst));
    NX_TRY(nx_dnnl_step_reorder(b, seen, dst));
    return set_rows(b, out, dst);
}

/* (N, H, W, C) rows as a picture: oneDNN knows that layout, nothing has to move. */
static bool is_picture_view(const struct nx_dnnl_build *b, const struct nx_node *node,
                            const struct nx_dnnl_layout *native, const struct nx_dnnl_layout *rows)
{
    const int32_t *perm = node->attr.transpose.perm;
    bool picture = shape_of(b, node->inputs[0])->rank == 4 && perm[0] == 0 && perm[1] == 3 &&
                   perm[2] == 1 && perm[3] == 2;
    return picture && nx_dnnl_same(native, rows);
}

static enum nx_status view_as_picture(struct nx_dnnl_build *b, const struct nx_node *node,
                                      uint32_t src)
{
    const struct nx_shape *y = shape_of(b, node->outputs[0]);
    int64_t in[NX_RANK_MAX], strides[NX_RANK_MAX];
    uint32_t view;
    dense_strides(shape_of(b, node->inputs[0]), in);
    for (uint32_t i = 0; i < y->rank; i++)
        strides[i] = in[node->attr.transpose.perm[i]];
    const struct nx_dnnl_layout *layout = nx_dnnl_strided(b->dnnl, y->rank, y->dims, strides);
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_alias(b, src, layout, &view));
    nx_dnnl_value_set(b, node->outputs[0], view);
    return NX_OK;
}

/* A picture with its channels last, seen as the rows that it is: nothing has to move either. */
static bool is_rows_view(const struct nx_dnnl_build *b, const struct nx_node *node,
                         const struct nx_dnnl_layout *native)
{
    const struct nx_shape *y = shape_of(b, node->outputs[0]);
    int64_t in[NX_RANK_MAX], out[NX_RANK_MAX];
    if (nx_dnnl_type_of(native) != NX_DNNL_F32 || !nx_dnnl_strides(native, in))
        return false;
    dense_strides(y, out);
    for (uint32_t i = 0; i < y->rank; i++)
        if (in[node->attr.transpose.perm[i]] != out[i] && y->dims[i] != 1)
            return false;
    return true;
}

/* From whatever layout x has, in one go: the dense rows of y are x in another order. */
enum nx_status nx_dnnl_lower_transpose(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_shape *x = shape_of(b, node->inputs[0]);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, node->inputs[0]);
    int64_t out[NX_RANK_MAX], strides[NX_RANK_MAX];
    uint32_t src, dst;
    if (x->rank < 1)
        return NX_UNSUPPORTED;
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
    if (!rows)
        return nx_dnnl_out_of_memory(b);
    if (is_picture_view(b, node, b->v->values[src].layout, rows))
        return view_as_picture(b, node, src);
    if (is_rows_view(b, node, b->v->values[src].layout))
        return set_rows(b, node->outputs[0], src);
    dense_strides(shape_of(b, node->outputs[0]), out);
    for (uint32_t i = 0; i < x->rank; i++)
        strides[node->attr.transpose.perm[i]] = out[i];
    const struct nx_dnnl_layout *layout = nx_dnnl_strided(b->dnnl, x->rank, x->dims, strides);
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_new(b, layout, &dst));
    NX_TRY(nx_dnnl_step_reorder(b, src, dst));
    return set_rows(b, node->outputs[0], dst);
}

/* A part of dense rows; NX_UNSUPPORTED if some are skipped or walked backwards. */
enum nx_status nx_dnnl_lower_slice(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_attr_slice *a = &node->attr.slice;
    const struct nx_shape *y = shape_of(b, node->outputs[0]);
    uint32_t src;
    for (uint32_t i = 0; i < y->rank; i++)
        if (a->stride[i] != 1)
            return NX_UNSUPPORTED;
    if (y->rank < 1)
        return NX_UNSUPPORTED;
    NX_TRY(nx_dnnl_value_rows(b, node->inputs[0], &src));
    return copy_out(b, src,
                    nx_dnnl_part(b->dnnl, b->v->values[src].layout, y->rank, y->dims, a->first),
                    nx_dnnl_rows_of(b, node->outputs[0]), node->outputs[0]);
}

enum nx_status nx_dnnl_lower_split(struct nx_dnnl_build *b, const struct nx_node *node)
{
    struct nx_shape part = *shape_of(b, node->inputs[0]);
    int32_t axis = node->attr.split.axis;
    int64_t first[NX_RANK_MAX] = {0};
    uint32_t src;
    NX_TRY(nx_dnnl_value_rows(b, node->inputs[0], &src));
    part.dims[axis] /= node->n_outputs;
    /* before the squeeze */
    const struct nx_dnnl_layout *to = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, part.rank, part.dims);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        first[axis] = (int64_t)i * part.dims[axis];
        NX_TRY(copy_out(
            b, src, nx_dnnl_part(b->dnnl, b->v->values[src].layout, part.rank, part.dims, first),
            to, node->outputs[i]));
    }
    return NX_OK;
}

/* The mean or the maximum of each plane is a pooling. */
enum nx_status nx_dnnl_lower_reduce(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_attr_reduce *a = &node->attr.reduce;
    const struct nx_shape *x = shape_of(b, node->inputs[0]);
    uint32_t src, dst, plain;
    if (x->rank != 4 || a->mask != (1u << 2 | 1u << 3) || x->dims[2] > 1024 || x->dims[3] > 1024 ||
        (a->kind != NX_REDUCE_MEAN && a->kind != NX_REDUCE_MAX))
        return NX_UNSUPPORTED;
    const int64_t dims[4] = {x->dims[0], x->dims[1], 1, 1};
    NX_TRY(nx_dnnl_value_native(b, node->inputs[0], &src));
    struct nx_dnnl_pool p = {.max = a->kind == NX_REDUCE_MAX,
                             .kernel = {(int32_t)x->dims[2], (int32_t)x->dims[3]},
                             .stride = {1, 1},
                             .src = b->v->values[src].layout};
    p.dst = nx_dnnl_any(b->dnnl, nx_dnnl_type_of(p.src), 4, dims);
    const struct nx_dnnl_layout *rows = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 4, dims);
    if (!p.dst || !rows)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_made made;
    NX_TRY(nx_dnnl_make_pool(b->dnnl, &p, &made, b->err));
    NX_TRY(nx_dnnl_value_new(b, made.dst, &dst));
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_DST}, both[] = {src, dst};
    NX_TRY(nx_dnnl_step_call(b, &made, 2, args, both));
    if (a->keepdims) {
        nx_dnnl_value_set(b, node->outputs[0], dst);
        return NX_OK;
    }
    NX_TRY(nx_dnnl_value_new(b, rows, &plain));
    NX_TRY(nx_dnnl_step_reorder(b, dst, plain));
    return set_rows(b, node->outputs[0], plain);
}

/* The operand's rows with as many sides as the result, the last two exchanged where it says so. */
static enum nx_status operand(struct nx_dnnl_build *b, uint32_t tensor, uint32_t rank,
                              bool transposed, uint32_t *value)
{
    const struct nx_shape *x = shape_of(b, tensor);
    int64_t dims[NX_RANK_MAX], strides[NX_RANK_MAX], own[NX_RANK_MAX];
    uint32_t more = rank - x->rank, last = rank - 1;
    dense_strides(x, own);
    for (uint32_t i = 0; i < rank; i++) {
        dims[i] = i < more ? 1 : x->dims[i - more];
        strides[i] = i < more ? own[0] * x->dims[0] : own[i - more];
    }
    if (transposed) {
        int64_t dim = dims[last], stride = strides[last];
        dims[last] = dims[last - 1];
        strides[last] = strides[last - 1];
        dims[last - 1] = dim;
        strides[last - 1] = stride;
    }
    const struct nx_dnnl_layout *layout = nx_dnnl_strided(b->dnnl, rank, dims, strides);
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_rows(b, tensor, value));
    return nx_dnnl_value_alias(b, *value, layout, value);
}

enum nx_status nx_dnnl_lower_matmul(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_attr_matmul *m = &node->attr.matmul;
    uint32_t rank = shape_of(b, node->outputs[0])->rank, x, w, dst;
    const struct nx_dnnl_layout *rows = nx_dnnl_rows_of(b, node->outputs[0]);
    struct nx_dnnl_made made;
    if (!rows)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(operand(b, node->inputs[0], rank, m->transpose_a, &x));
    NX_TRY(operand(b, node->inputs[1], rank, m->transpose_b, &w));
    NX_TRY(nx_dnnl_make_matmul(b->dnnl, b->v->values[x].layout, b->v->values[w].layout, rows, &made,
                               b->err));
    NX_TRY(nx_dnnl_value_new(b, rows, &dst));
    const uint32_t args[] = {NX_DNNL_SRC, NX_DNNL_WEIGHTS, NX_DNNL_DST}, values[] = {x, w, dst};
    NX_TRY(nx_dnnl_step_call(b, &made, 3, args, values));
    nx_dnnl_value_set(b, node->outputs[0], dst);
    b->v->rows_value[node->outputs[0]] = dst;
    return NX_OK;
}
