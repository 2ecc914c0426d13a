#include "categorizer/cpu/cpu_ref_ops.h"

#include <float.h>
#include <math.h>

#define UNARY_FN(fn, name, expression)                 \
    static float apply_##fn(float x, float a, float b) \
    {                                                  \
        (void)x;                                       \
        (void)a;                                       \
        (void)b;                                       \
        return expression;                             \
    }
NX_UNARY_LIST(UNARY_FN)
#undef UNARY_FN

static float (*const unary_fns[])(float x, float a, float b) = {
#define UNARY_ROW(fn, name, expression) apply_##fn,
    NX_UNARY_LIST(UNARY_ROW)
#undef UNARY_ROW
};

float nx_ref_unary(const struct nx_attr_unary *unary, float x)
{
    return unary_fns[unary->fn](x, unary->a, unary->b);
}

/* Row-major x as (outer, dims[axis], inner). */
struct split_shape {
    int64_t outer, axis, inner;
};

static struct split_shape around(const struct nx_shape *shape, int32_t axis)
{
    struct split_shape s = {nx_ref_product(shape, 0, (uint32_t)axis), shape->dims[axis],
                            nx_ref_product(shape, (uint32_t)axis + 1, shape->rank)};
    return s;
}

void nx_ref_batch_norm(const struct nx_ref_call *c)
{
    const struct nx_attr_batch_norm *a = &c->node->attr.batch_norm;
    struct split_shape s = around(nx_ref_in_shape(c, 0), a->axis);
    const float *gamma = nx_ref_in(c, 1), *beta = nx_ref_in(c, 2);
    const float *mean = nx_ref_in(c, 3), *var = nx_ref_in(c, 4);
    const float *x = nx_ref_in(c, 0);
    float *y = nx_ref_out(c, 0);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t ch = 0; ch < s.axis; ch++) {
            double g = a->fix_gamma ? 1 : (double)gamma[ch];
            double k = g / sqrt((double)var[ch] + (double)a->eps);
            for (int64_t i = 0; i < s.inner; i++)
                *y++ = (float)(((double)*x++ - (double)mean[ch]) * k + (double)beta[ch]);
        }
}

void nx_ref_scale_shift(const struct nx_ref_call *c)
{
    struct split_shape s = around(nx_ref_in_shape(c, 0), c->node->attr.scale_shift.axis);
    const float *x = nx_ref_in(c, 0), *scale = nx_ref_in(c, 1), *shift = nx_ref_in(c, 2);
    float *y = nx_ref_out(c, 0);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t ch = 0; ch < s.axis; ch++)
            for (int64_t i = 0; i < s.inner; i++) {
                double v = (double)*x++ * (double)scale[ch] + (double)shift[ch];
                *y++ = nx_ref_unary(&c->node->post.act, (float)v);
            }
}

void nx_ref_unary_op(const struct nx_ref_call *c)
{
    const struct nx_shape *shape = nx_ref_in_shape(c, 0);
    int64_t n = nx_ref_product(shape, 0, shape->rank);
    const float *x = nx_ref_in(c, 0);
    float *y = nx_ref_out(c, 0);
    for (int64_t i = 0; i < n; i++)
        y[i] = nx_ref_unary(&c->node->attr.unary, x[i]);
}

void nx_ref_prelu(const struct nx_ref_call *c)
{
    struct split_shape s = around(nx_ref_in_shape(c, 0), 1);
    const float *x = nx_ref_in(c, 0), *slope = nx_ref_in(c, 1);
    bool one = nx_ref_in_shape(c, 1)->dims[0] == 1;
    float *y = nx_ref_out(c, 0);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t ch = 0; ch < s.axis; ch++)
            for (int64_t i = 0; i < s.inner; i++, x++)
                *y++ = *x > 0 ? *x : slope[one ? 0 : ch] * *x;
}

float nx_mod(float a, float b)
{
    float m = b == 0 ? 0 : fmodf(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

#define BINARY_FN(kind, name, expression)       \
    static float apply_##kind(float a, float b) \
    {                                           \
        return expression;                      \
    }
NX_BINARY_LIST(BINARY_FN)
#undef BINARY_FN

static float (*const binary_fns[])(float a, float b) = {
#define BINARY_ROW(kind, name, expression) apply_##kind,
    NX_BINARY_LIST(BINARY_ROW)
#undef BINARY_ROW
};

void nx_ref_steps(const struct nx_shape *x, const struct nx_shape *y, int64_t *steps)
{
    int64_t step = 1;
    for (uint32_t i = 0; i < y->rank; i++) {
        int64_t dim = i < x->rank ? x->dims[x->rank - 1 - i] : 1;
        steps[y->rank - 1 - i] = dim == 1 ? 0 : step;
        step *= dim;
    }
}

int64_t nx_ref_offset(const int64_t *index, const int64_t *steps, uint32_t rank)
{
    int64_t at = 0;
    for (uint32_t i = 0; i < rank; i++)
        at += index[i] * steps[i];
    return at;
}

void nx_ref_next(int64_t *index, const struct nx_shape *shape)
{
    for (uint32_t i = shape->rank; i-- > 0;) {
        if (++index[i] < shape->dims[i])
            return;
        index[i] = 0;
    }
}

void nx_ref_binary(const struct nx_ref_call *c)
{
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    int64_t a_steps[NX_RANK_MAX], b_steps[NX_RANK_MAX], index[NX_RANK_MAX] = {0};
    int64_t n = nx_ref_product(ys, 0, ys->rank);
    nx_ref_steps(nx_ref_in_shape(c, 0), ys, a_steps);
    nx_ref_steps(nx_ref_in_shape(c, 1), ys, b_steps);
    for (int64_t i = 0; i < n; i++, nx_ref_next(index, ys)) {
        float a = nx_ref_in(c, 0)[nx_ref_offset(index, a_steps, ys->rank)];
        float b = nx_ref_in(c, 1)[nx_ref_offset(index, b_steps, ys->rank)];
        nx_ref_out(c, 0)[i] =
            nx_ref_unary(&c->node->post.act, binary_fns[c->node->attr.binary.kind](a, b));
    }
}

/* n values `step` apart, with the largest taken out first so that exp cannot overflow. */
static void softmax_line(const struct nx_attr_softmax *a, const float *x, float *y, int64_t n,
                         int64_t step)
{
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = (double)x[i * step] > most ? (double)x[i * step] : most;
    for (int64_t i = 0; i < n; i++)
        sum += exp(((double)x[i * step] - most) / (double)a->temperature);
    for (int64_t i = 0; i < n; i++) {
        double v = ((double)x[i * step] - most) / (double)a->temperature;
        y[i * step] = (float)(a->log ? v - log(sum) : exp(v) / sum);
    }
}

void nx_ref_softmax(const struct nx_ref_call *c)
{
    const struct nx_attr_softmax *a = &c->node->attr.softmax;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    struct split_shape s = {xs->dims[0], nx_ref_product(xs, 1, xs->rank), 1};
    if (a->axis != NX_AXIS_REST)
        s = around(xs, a->axis);
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++) {
            int64_t at = o * s.axis * s.inner + i;
            softmax_line(a, nx_ref_in(c, 0) + at, nx_ref_out(c, 0) + at, s.axis, s.inner);
        }
}

/* The part of x that one element of y stands for: a corner and the extents of the reduced axes. */
static float reduce_part(const struct nx_attr_reduce *a, const float *corner,
                         const struct nx_shape *part, const int64_t *steps)
{
    int64_t index[NX_RANK_MAX] = {0}, n = nx_ref_product(part, 0, part->rank), where = 0;
    double sum = 0, product = 1, squares = 0;
    float most = -INFINITY, least = INFINITY;
    bool down = a->kind == NX_REDUCE_ARGMIN;
    for (int64_t i = 0; i < n; i++, nx_ref_next(index, part)) {
        float v = corner[nx_ref_offset(index, steps, part->rank)];
        bool better = down ? v < least : v > most, equal = down ? v == least : v == most;
        where = better || (equal && a->last_index) ? i : where;
        sum += (double)v;
        product *= (double)v;
        squares += (double)v * (double)v;
        most = v > most ? v : most;
        least = v < least ? v : least;
    }
    switch (a->kind) {
    case NX_REDUCE_MEAN: return (float)(sum / (double)n);
    case NX_REDUCE_SUM: return (float)sum;
    case NX_REDUCE_MAX: return most;
    case NX_REDUCE_MIN: return least;
    case NX_REDUCE_PROD: return (float)product;
    case NX_REDUCE_NORM: return (float)sqrt(squares);
    case NX_REDUCE_ARGMAX:
    case NX_REDUCE_ARGMIN: return (float)where;
    }
    return NAN;
}

void nx_ref_reduce(const struct nx_ref_call *c)
{
    const struct nx_attr_reduce *a = &c->node->attr.reduce;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    struct nx_shape kept = *xs, part = *xs;
    int64_t steps[NX_RANK_MAX], index[NX_RANK_MAX] = {0};
    nx_ref_steps(xs, xs, steps);
    for (uint32_t i = 0; i < xs->rank; i++)
        (a->mask >> i & 1 ? &kept : &part)->dims[i] = 1;
    int64_t n = nx_ref_product(&kept, 0, kept.rank);
    for (int64_t i = 0; i < n; i++, nx_ref_next(index, &kept)) {
        const float *corner = nx_ref_in(c, 0) + nx_ref_offset(index, steps, xs->rank);
        nx_ref_out(c, 0)[i] = reduce_part(a, corner, &part, steps);
    }
}

/* x: (N,C,H,W); the window is channels c - size/2 … c + size/2, cut to what exists. */
void nx_ref_lrn(const struct nx_ref_call *c)
{
    const struct nx_attr_lrn *a = &c->node->attr.lrn;
    struct split_shape s = around(nx_ref_in_shape(c, 0), 1);
    for (int64_t at = 0; at < s.outer * s.axis * s.inner; at++) {
        int64_t ch = at / s.inner % s.axis, from = ch - a->size / 2, to = ch + a->size / 2;
        double sum = 0;
        for (int64_t k = from < 0 ? 0 : from; k <= to && k < s.axis; k++) {
            double v = (double)nx_ref_in(c, 0)[at + (k - ch) * s.inner];
            sum += v * v;
        }
        double base = (double)a->knorm + (double)a->alpha / a->size * sum;
        nx_ref_out(c, 0)[at] = (float)((double)nx_ref_in(c, 0)[at] * pow(base, -(double)a->beta));
    }
}

static void l2_line(const float *x, float *y, int64_t n, int64_t step, float eps)
{
    double sum = (double)eps;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i * step] * (double)x[i * step];
    for (int64_t i = 0; i < n; i++)
        y[i * step] = (float)((double)x[i * step] / sqrt(sum));
}

void nx_ref_l2_norm(const struct nx_ref_call *c)
{
    const struct nx_attr_l2_norm *a = &c->node->attr.l2_norm;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    struct split_shape s = {xs->dims[0], nx_ref_product(xs, 1, xs->rank), 1};
    if (a->mode == NX_L2_CHANNEL)
        s = around(xs, 1);
    if (a->mode == NX_L2_SPATIAL)
        s = (struct split_shape){xs->dims[0] * xs->dims[1], nx_ref_product(xs, 2, xs->rank), 1};
    for (int64_t o = 0; o < s.outer; o++)
        for (int64_t i = 0; i < s.inner; i++) {
            int64_t at = o * s.axis * s.inner + i;
            l2_line(nx_ref_in(c, 0) + at, nx_ref_out(c, 0) + at, s.axis, s.inner, a->eps);
        }
}
