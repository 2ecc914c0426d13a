#include <inttypes.h>
#include <string.h>

#include "categorizer/graph/shape_rules.h"

/* Dimension i counted from the right; 1 where there is none. */
static int64_t dim_from_right(const struct nx_shape *shape, uint32_t i)
{
    return i < shape->rank ? shape->dims[shape->rank - 1 - i] : 1;
}

/* NumPy's rule, for the dimensions that are `skip` or more from the right. */
static enum nx_status broadcast(const struct nx_rule *r, const struct nx_shape *a,
                                const struct nx_shape *b, uint32_t skip, struct nx_shape *y)
{
    *y = (struct nx_shape){.rank = a->rank > b->rank ? a->rank : b->rank};
    for (uint32_t i = skip; i < y->rank; i++) {
        int64_t p = dim_from_right(a, i), q = dim_from_right(b, i);
        if (p != q && p != 1 && q != 1) {
            char left[NX_SHAPE_TEXT_BYTES], right[NX_SHAPE_TEXT_BYTES];
            return nx_err_set(r->err, NX_INVALID, "%s '%s' cannot combine %s with %s",
                              nx_op_name(r->node->op), r->node->name, nx_shape_text(a, left),
                              nx_shape_text(b, right));
        }
        y->dims[y->rank - 1 - i] = p == 1 ? q : p;
    }
    return NX_OK;
}

enum nx_status nx_rule_binary(const struct nx_rule *r)
{
    struct nx_shape y;
    NX_TRY(broadcast(r, nx_rule_in(r, 0), nx_rule_in(r, 1), 0, &y));
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_where(const struct nx_rule *r)
{
    struct nx_shape values, y;
    NX_TRY(broadcast(r, nx_rule_in(r, 1), nx_rule_in(r, 2), 0, &values));
    NX_TRY(broadcast(r, nx_rule_in(r, 0), &values, 0, &y));
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_matmul(const struct nx_rule *r)
{
    const struct nx_attr_matmul *m = &r->node->attr.matmul;
    const struct nx_shape *a = nx_rule_in(r, 0), *b = nx_rule_in(r, 1);
    struct nx_shape y;
    if (a->rank < 2 || b->rank < 2)
        return nx_rule_refuse(r, a->rank < 2 ? a : b, "matrices");
    if (m->one_matrix && (b->rank > 2 || (m->transpose_a && a->rank > 2)))
        return nx_rule_refuse(r, b->rank > 2 ? b : a, "a matrix");
    NX_TRY(broadcast(r, a, b, 2, &y));
    int64_t rows = a->dims[a->rank - (m->transpose_a ? 1 : 2)];
    int64_t left = a->dims[a->rank - (m->transpose_a ? 2 : 1)];
    int64_t right = b->dims[b->rank - (m->transpose_b ? 1 : 2)];
    if (left != right)
        return nx_err_set(r->err, NX_INVALID,
                          "matrix product '%s' needs sides that meet, they are %" PRId64
                          " and %" PRId64,
                          r->node->name, left, right);
    y.dims[y.rank - 2] = rows;
    y.dims[y.rank - 1] = b->dims[b->rank - (m->transpose_b ? 2 : 1)];
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_layer_norm(const struct nx_rule *r)
{
    struct nx_attr_layer_norm *a = &r->node->attr.layer_norm;
    const struct nx_shape *x = nx_rule_in(r, 0);
    NX_TRY(nx_rule_axis(r, a->first, x->rank, &a->first));
    NX_TRY(nx_rule_axis(r, a->last, x->rank, &a->last));
    if (a->first > a->last)
        return nx_rule_refuse(r, x, "axes in their order");
    struct nx_shape over = {.rank = (uint32_t)(a->last - a->first) + 1};
    memcpy(over.dims, x->dims + a->first, over.rank * sizeof *over.dims);
    if (r->node->n_inputs > 1)
        NX_TRY(nx_rule_param(r, 1, &over, "gamma"));
    if (r->node->n_inputs > 2)
        NX_TRY(nx_rule_param(r, 2, &over, "beta"));
    return nx_rule_out(r, 0, x);
}

enum nx_status nx_rule_group_norm(const struct nx_rule *r)
{
    const struct nx_attr_group_norm *a = &r->node->attr.group_norm;
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (x->rank < 2)
        return nx_rule_refuse(r, x, "2 dimensions or more");
    if (a->groups < 0 || (a->groups > 0 && x->dims[1] % a->groups))
        return nx_err_set(r->err, NX_INVALID,
                          "group norm '%s' has %d groups of %" PRId64 " channels", r->node->name,
                          a->groups, x->dims[1]);
    struct nx_shape each = {1, {x->dims[1]}}, group = {1, {a->groups}};
    bool per_group = a->groups && nx_shape_equal(nx_rule_in(r, 1), &group);
    NX_TRY(nx_rule_param(r, 1, per_group ? &group : &each, "gamma"));
    NX_TRY(nx_rule_param(r, 2, per_group ? &group : &each, "beta"));
    return nx_rule_out(r, 0, x);
}

static enum nx_status refuse_tile(const struct nx_rule *r, const char *why)
{
    char text[NX_SHAPE_TEXT_BYTES];
    return nx_err_set(r->err, NX_INVALID, "tile '%s' of %s: %s", r->node->name,
                      nx_shape_text(nx_rule_in(r, 0), text), why);
}

enum nx_status nx_rule_tile(const struct nx_rule *r)
{
    const struct nx_attr_tile *a = &r->node->attr.tile;
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (a->n > NX_RANK_MAX || x->rank > NX_RANK_MAX)
        return refuse_tile(r, "more than 6 dimensions");
    struct nx_shape y = {.rank = a->n > x->rank ? a->n : x->rank};
    for (uint32_t i = 0; i < y.rank; i++) { /* from the right */
        int64_t side = dim_from_right(x, i), to = i < a->n ? a->counts[a->n - 1 - i] : 1;
        if (a->kind == NX_TILE_TO) {
            to = i < a->n && to != 0 ? to : side;
            if (side != to && side != 1)
                return refuse_tile(r, "a side that is not 1 cannot become another");
        } else if (to < 1 || to > NX_DIM_MAX || __builtin_mul_overflow(to, side, &to)) {
            return refuse_tile(r, "a count is out of bounds");
        }
        y.dims[y.rank - 1 - i] = to;
    }
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_gather(const struct nx_rule *r)
{
    struct nx_attr_gather *a = &r->node->attr.gather;
    const struct nx_shape *x = nx_rule_in(r, 0), *at = nx_rule_in(r, 1);
    struct nx_shape y = {.rank = 0};
    NX_TRY(nx_rule_axis(r, a->axis, x->rank, &a->axis));
    if (x->rank + at->rank > NX_RANK_MAX + 1)
        return nx_rule_refuse(r, at, "a result of at most 6 dimensions");
    for (int32_t i = 0; i < a->axis; i++)
        y.dims[y.rank++] = x->dims[i];
    for (uint32_t i = 0; i < at->rank; i++)
        y.dims[y.rank++] = at->dims[i];
    for (uint32_t i = (uint32_t)a->axis + 1; i < x->rank; i++)
        y.dims[y.rank++] = x->dims[i];
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_gather_each(const struct nx_rule *r)
{
    struct nx_attr_gather *a = &r->node->attr.gather;
    const struct nx_shape *x = nx_rule_in(r, 0), *at = nx_rule_in(r, 1);
    NX_TRY(nx_rule_axis(r, a->axis, x->rank, &a->axis));
    if (at->rank != x->rank)
        return nx_rule_refuse(r, at, "indices of as many dimensions as its input");
    for (uint32_t i = 0; i < x->rank; i++)
        if (i != (uint32_t)a->axis && at->dims[i] > x->dims[i])
            return nx_rule_refuse(r, at, "indices within its input's other dimensions");
    return nx_rule_out(r, 0, at);
}

enum nx_status nx_rule_resize(const struct nx_rule *r)
{
    struct nx_attr_resize *a = &r->node->attr.resize;
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (x->rank != 4)
        return nx_rule_refuse(r, x, "(N, C, H, W)");
    struct nx_shape y = *x;
    for (int i = 0; i < 2; i++) {
        double in = (double)x->dims[2 + i], out = (double)a->size[i];
        if (a->size[i] == 0)
            out = in * (double)a->scale[i];
        if (!(out >= 1 && out <= (double)NX_DIM_MAX))
            return nx_err_set(r->err, NX_INVALID, "resize '%s' gives a side of %g", r->node->name,
                              out);
        y.dims[2 + i] = (int64_t)out;
        a->step[i] = a->scale[i] > 0 ? 1 / a->scale[i] : (float)(in / (double)y.dims[2 + i]);
    }
    return nx_rule_out(r, 0, &y);
}
