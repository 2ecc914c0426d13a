#include <inttypes.h>
#include <string.h>

#include "categorizer/graph/shape_rules.h"

enum nx_status nx_rule_concat(const struct nx_rule *r)
{
    struct nx_attr_concat *a = &r->node->attr.concat;
    struct nx_shape y = *nx_rule_in(r, 0);
    NX_TRY(nx_rule_axis(r, a->axis, y.rank, &a->axis));
    for (uint32_t i = 1; i < r->node->n_inputs; i++) {
        const struct nx_shape *x = nx_rule_in(r, i);
        struct nx_shape same = *x;
        same.dims[a->axis] = y.dims[a->axis];
        if (!nx_shape_equal(&same, &y)) {
            char first[NX_SHAPE_TEXT_BYTES], other[NX_SHAPE_TEXT_BYTES];
            return nx_err_set(r->err, NX_INVALID, "concat '%s' cannot join %s and %s along axis %d",
                              r->node->name, nx_shape_text(nx_rule_in(r, 0), first),
                              nx_shape_text(x, other), a->axis);
        }
        y.dims[a->axis] += x->dims[a->axis];
    }
    return nx_rule_out(r, 0, &y);
}

/* The state of matching reshape codes with the input's dimensions, left to right. */
struct matching {
    const struct nx_rule *r;
    struct nx_shape in, out;
    const int64_t *codes;
    uint32_t n, at, used; /* codes, the next code, the next input dimension */
    int32_t inferred;     /* the output dimension that is -1; -1: none */
};

static enum nx_status refuse_code(const struct matching *m, const char *why)
{
    char text[NX_SHAPE_TEXT_BYTES];
    return nx_err_set(m->r->err, NX_INVALID, "reshape '%s' of %s: %s", m->r->node->name,
                      nx_shape_text(nx_rule_in(m->r, 0), text), why);
}

static enum nx_status push(struct matching *m, int64_t dim)
{
    if (m->out.rank >= NX_RANK_MAX)
        return refuse_code(m, "more than 6 dimensions");
    m->out.dims[m->out.rank++] = dim;
    return NX_OK;
}

static enum nx_status take(struct matching *m, int64_t *dim)
{
    if (m->used >= m->in.rank)
        return refuse_code(m, "a code refers to a dimension that the input does not have");
    *dim = m->in.dims[m->used++];
    return NX_OK;
}

static enum nx_status push_inferred(struct matching *m)
{
    if (m->inferred >= 0)
        return refuse_code(m, "more than one -1");
    m->inferred = (int32_t)m->out.rank;
    m->used++;
    return push(m, 1);
}

static enum nx_status push_rest(struct matching *m)
{
    while (m->used < m->in.rank)
        NX_TRY(push(m, m->in.dims[m->used++]));
    return NX_OK;
}

static enum nx_status push_merged(struct matching *m)
{
    int64_t a = 0, b = 0;
    NX_TRY(take(m, &a));
    NX_TRY(take(m, &b));
    return push(m, a * b); /* both are dimensions of one checked tensor */
}

/* -4, a, b: one dimension becomes a x b; one of the two may be -1. */
static enum nx_status push_split(struct matching *m)
{
    int64_t whole = 0;
    NX_TRY(take(m, &whole));
    if (m->n - m->at < 2)
        return refuse_code(m, "-4 without its two sizes");
    int64_t a = m->codes[m->at++], b = m->codes[m->at++];
    if (a == -1 && b > 0)
        a = whole / b;
    else if (b == -1 && a > 0)
        b = whole / a;
    if (a < 1 || b < 1 || a > whole || b > whole || a * b != whole)
        return refuse_code(m, "-4 does not divide its dimension");
    NX_TRY(push(m, a));
    return push(m, b);
}

static enum nx_status match_one(struct matching *m, int64_t code)
{
    int64_t dim = 0;
    switch (code) {
    case 0: NX_TRY(take(m, &dim)); return push(m, dim);
    case -1: return push_inferred(m);
    case -2: return push_rest(m);
    case -3: return push_merged(m);
    case -4: return push_split(m);
    default: break;
    }
    if (code < 0 || code > NX_DIM_MAX)
        return refuse_code(m, "a code that means nothing");
    m->used++;
    return push(m, code);
}

static void reverse_dims(int64_t *dims, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        int64_t swap = dims[i];
        dims[i] = dims[n - 1 - i];
        dims[n - 1 - i] = swap;
    }
}

/* The -1 takes what the others leave, and then both sides must have the same elements. */
static enum nx_status finish(struct matching *m)
{
    uint64_t in, out;
    if (!nx_shape_elements(&m->in, &in) || !nx_shape_elements(&m->out, &out) || out == 0)
        return refuse_code(m, "too large");
    if (m->inferred >= 0 && in % out == 0) {
        m->out.dims[m->inferred] = (int64_t)(in / out);
        out = in;
    }
    char text[NX_SHAPE_TEXT_BYTES], from[NX_SHAPE_TEXT_BYTES];
    if (in != out)
        return nx_err_set(m->r->err, NX_INVALID, "reshape '%s' cannot turn %s into %s",
                          m->r->node->name, nx_shape_text(nx_rule_in(m->r, 0), from),
                          nx_shape_text(&m->out, text));
    return nx_rule_out(m->r, 0, &m->out);
}

static enum nx_status reshape_codes(const struct nx_rule *r)
{
    const struct nx_attr_reshape *a = &r->node->attr.reshape;
    int64_t codes[NX_RESHAPE_CODES_MAX];
    struct matching m = {
        .r = r, .in = *nx_rule_in(r, 0), .codes = codes, .n = a->n, .inferred = -1};
    if (a->n < 1 || a->n > NX_RESHAPE_CODES_MAX)
        return refuse_code(&m, "1 to 16 codes are needed");
    memcpy(codes, a->codes, a->n * sizeof *codes);
    if (a->reverse) {
        reverse_dims(codes, a->n);
        reverse_dims(m.in.dims, m.in.rank);
    }
    while (m.at < m.n) {
        int64_t code = codes[m.at++];
        if (a->reverse && code == -4)
            return refuse_code(&m, "-4 from the right");
        NX_TRY(match_one(&m, code));
    }
    if (a->reverse) {
        reverse_dims(m.out.dims, m.out.rank);
        m.inferred = m.inferred < 0 ? -1 : (int32_t)m.out.rank - 1 - m.inferred;
    }
    return finish(&m);
}

static enum nx_status flatten(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    if (x->rank < 1)
        return nx_rule_refuse(r, x, "1 dimension or more");
    struct nx_shape y = {2, {x->dims[0], 1}};
    for (uint32_t i = 1; i < x->rank; i++)
        y.dims[1] *= x->dims[i];
    return nx_rule_out(r, 0, &y);
}

static enum nx_status expand(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    struct nx_shape y = {.rank = x->rank + 1};
    int32_t axis;
    if (y.rank > NX_RANK_MAX)
        return nx_rule_refuse(r, x, "at most 5 dimensions");
    NX_TRY(nx_rule_axis(r, r->node->attr.reshape.codes[0], y.rank, &axis));
    for (uint32_t i = 0, from = 0; i < y.rank; i++)
        y.dims[i] = i == (uint32_t)axis ? 1 : x->dims[from++];
    return nx_rule_out(r, 0, &y);
}

static enum nx_status squeeze(const struct nx_rule *r)
{
    const struct nx_attr_reshape *a = &r->node->attr.reshape;
    const struct nx_shape *x = nx_rule_in(r, 0);
    uint32_t gone = 0;
    if (a->n > NX_RANK_MAX)
        return nx_rule_refuse(r, x, "at most 6 axes");
    for (uint32_t i = 0; i < a->n; i++) {
        int32_t axis;
        NX_TRY(nx_rule_axis(r, a->codes[i], x->rank, &axis));
        if (x->dims[axis] != 1)
            return nx_rule_refuse(r, x, "a 1 in every dimension that it takes out");
        gone |= 1u << axis;
    }
    /* Without axes every 1 goes but the batch, which is 1 only by chance. */
    for (uint32_t i = 1; a->n == 0 && i < x->rank; i++)
        gone |= (uint32_t)(x->dims[i] == 1) << i;
    struct nx_shape y = {.rank = 0};
    for (uint32_t i = 0; i < x->rank; i++)
        if (!(gone >> i & 1))
            y.dims[y.rank++] = x->dims[i];
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_reshape(const struct nx_rule *r)
{
    switch (r->node->attr.reshape.kind) {
    case NX_RESHAPE_CODES: return reshape_codes(r);
    case NX_RESHAPE_FLATTEN: return flatten(r);
    case NX_RESHAPE_EXPAND: return expand(r);
    case NX_RESHAPE_SQUEEZE: return squeeze(r);
    }
    return nx_rule_refuse(r, nx_rule_in(r, 0), "a known kind of reshape");
}

enum nx_status nx_rule_split(const struct nx_rule *r)
{
    struct nx_attr_split *a = &r->node->attr.split;
    struct nx_shape y = *nx_rule_in(r, 0);
    NX_TRY(nx_rule_axis(r, a->axis, y.rank, &a->axis));
    int64_t width = y.dims[a->axis];
    if (width % r->node->n_outputs || (a->squeeze && width != r->node->n_outputs))
        return nx_err_set(r->err, NX_INVALID,
                          "split '%s' cannot cut %" PRId64 " along axis %d into %u parts",
                          r->node->name, width, a->axis, r->node->n_outputs);
    y.dims[a->axis] = width / r->node->n_outputs;
    if (a->squeeze) {
        for (uint32_t i = (uint32_t)a->axis; i + 1 < y.rank; i++)
            y.dims[i] = y.dims[i + 1];
        y.dims[--y.rank] = 0;
    }
    for (uint32_t i = 0; i < r->node->n_outputs; i++)
        NX_TRY(nx_rule_out(r, i, &y));
    return NX_OK;
}

/* An index of Python's: from the end when negative, cut to what exists. */
static int64_t clamp_index(int64_t at, int64_t dim, int64_t least, int64_t most)
{
    if (at < 0)
        at = at < -dim ? -1 : at + dim;
    return at < least ? least : at > most ? most : at;
}

static enum nx_status slice_one(const struct nx_rule *r, const struct nx_range *range,
                                struct nx_shape *y)
{
    struct nx_attr_slice *a = &r->node->attr.slice;
    int32_t axis;
    NX_TRY(nx_rule_axis(r, range->axis, y->rank, &axis));
    int64_t dim = nx_rule_in(r, 0)->dims[axis], step = range->step;
    if (step == 0 || step > NX_DIM_MAX || step < -NX_DIM_MAX)
        return nx_err_set(r->err, NX_INVALID, "slice '%s' has a step of %" PRId64, r->node->name,
                          step);
    int64_t begin, end, count;
    if (step > 0) {
        begin = clamp_index(range->begin, dim, 0, dim);
        end = clamp_index(range->end, dim, 0, dim);
        count = (end - begin + step - 1) / step;
    } else {
        begin = clamp_index(range->begin, dim, -1, dim - 1);
        end = clamp_index(range->end, dim, -1, dim - 1);
        count = (begin - end - step - 1) / -step;
    }
    if (count < 1)
        return nx_err_set(r->err, NX_INVALID,
                          "slice '%s' takes nothing of the %" PRId64 " along axis %d",
                          r->node->name, dim, axis);
    a->first[axis] = begin;
    a->stride[axis] = step;
    y->dims[axis] = count;
    return NX_OK;
}

enum nx_status nx_rule_slice(const struct nx_rule *r)
{
    struct nx_attr_slice *a = &r->node->attr.slice;
    struct nx_shape y = *nx_rule_in(r, 0);
    for (uint32_t i = 0; i < NX_RANK_MAX; i++) {
        a->first[i] = 0;
        a->stride[i] = 1;
    }
    if (a->n > NX_RANK_MAX)
        return nx_rule_refuse(r, &y, "at most 6 ranges");
    for (uint32_t i = 0; i < a->n; i++)
        NX_TRY(slice_one(r, &a->ranges[i], &y));
    return nx_rule_out(r, 0, &y);
}

static enum nx_status resolve_perm(const struct nx_rule *r, uint32_t rank)
{
    struct nx_attr_transpose *a = &r->node->attr.transpose;
    for (uint32_t i = 0; i < rank; i++)
        a->perm[i] = (int32_t)(a->kind == NX_TRANSPOSE_REVERSE ? rank - 1 - i : i);
    if (a->kind == NX_TRANSPOSE_REVERSE)
        return NX_OK;
    if (a->n != (a->kind == NX_TRANSPOSE_SWAP ? 2 : rank))
        return nx_rule_refuse(r, nx_rule_in(r, 0), "one axis for each dimension");
    if (a->kind == NX_TRANSPOSE_SWAP) {
        int32_t p, q;
        NX_TRY(nx_rule_axis(r, a->axes[0], rank, &p));
        NX_TRY(nx_rule_axis(r, a->axes[1], rank, &q));
        a->perm[p] = q;
        a->perm[q] = p;
        return NX_OK;
    }
    for (uint32_t i = 0; i < rank; i++)
        NX_TRY(nx_rule_axis(r, a->axes[i], rank, &a->perm[i]));
    return NX_OK;
}

enum nx_status nx_rule_transpose(const struct nx_rule *r)
{
    const struct nx_shape *x = nx_rule_in(r, 0);
    const struct nx_attr_transpose *a = &r->node->attr.transpose;
    struct nx_shape y = {.rank = x->rank};
    uint32_t seen = 0;
    NX_TRY(resolve_perm(r, x->rank));
    for (uint32_t i = 0; i < x->rank; i++) {
        y.dims[i] = x->dims[a->perm[i]];
        seen |= 1u << a->perm[i];
    }
    if (seen != (1u << x->rank) - 1)
        return nx_rule_refuse(r, x, "axes that are a permutation");
    return nx_rule_out(r, 0, &y);
}

enum nx_status nx_rule_pad(const struct nx_rule *r)
{
    const struct nx_attr_pad *a = &r->node->attr.pad;
    struct nx_shape y = *nx_rule_in(r, 0);
    if (a->n != y.rank)
        return nx_rule_refuse(r, &y, "two paddings for each dimension");
    for (uint32_t i = 0; i < y.rank; i++) {
        int64_t most = a->mode == NX_PAD_REFLECT ? y.dims[i] - 1 : NX_DIM_MAX;
        if (a->before[i] < 0 || a->after[i] < 0 || a->before[i] > most || a->after[i] > most)
            return nx_err_set(r->err, NX_INVALID,
                              "pad '%s' adds %" PRId64 " and %" PRId64
                              " to dimension %u: out of bounds",
                              r->node->name, a->before[i], a->after[i], i);
        y.dims[i] += a->before[i] + a->after[i];
    }
    return nx_rule_out(r, 0, &y);
}
