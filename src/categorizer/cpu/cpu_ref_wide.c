#include <math.h>

#include "categorizer/cpu/cpu_ref_ops.h"

/* a: (…, M, K) or (…, K, M), b: (…, K, N) or (…, N, K), y: (…, M, N) */
void nx_ref_matmul(const struct nx_ref_call *c)
{
    const struct nx_attr_matmul *m = &c->node->attr.matmul;
    const struct nx_shape *as = nx_ref_in_shape(c, 0), *bs = nx_ref_in_shape(c, 1);
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    int64_t rows = ys->dims[ys->rank - 2], columns = ys->dims[ys->rank - 1];
    int64_t inner = as->dims[as->rank - (m->transpose_a ? 2 : 1)];
    struct nx_shape outer = {.rank = ys->rank - 2}, a_outer = {.rank = as->rank - 2},
                    b_outer = {.rank = bs->rank - 2};
    int64_t a_steps[NX_RANK_MAX], b_steps[NX_RANK_MAX], index[NX_RANK_MAX] = {0};
    for (uint32_t i = 0; i < outer.rank; i++)
        outer.dims[i] = ys->dims[i];
    for (uint32_t i = 0; i < a_outer.rank; i++)
        a_outer.dims[i] = as->dims[i];
    for (uint32_t i = 0; i < b_outer.rank; i++)
        b_outer.dims[i] = bs->dims[i];
    nx_ref_steps(&a_outer, &outer, a_steps);
    nx_ref_steps(&b_outer, &outer, b_steps);
    int64_t a_row = m->transpose_a ? 1 : inner, a_column = m->transpose_a ? rows : 1;
    int64_t b_row = m->transpose_b ? 1 : columns, b_column = m->transpose_b ? inner : 1;
    float *y = nx_ref_out(c, 0);
    for (int64_t n = nx_ref_product(&outer, 0, outer.rank); n > 0;
         n--, nx_ref_next(index, &outer)) {
        const float *a = nx_ref_in(c, 0) + nx_ref_offset(index, a_steps, outer.rank) * rows * inner;
        const float *b =
            nx_ref_in(c, 1) + nx_ref_offset(index, b_steps, outer.rank) * columns * inner;
        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < columns; k++) {
                double sum = 0;
                for (int64_t j = 0; j < inner; j++)
                    sum +=
                        (double)a[i * a_row + j * a_column] * (double)b[j * b_row + k * b_column];
                *y++ = (float)sum;
            }
    }
}

struct moments {
    double mean, scale; /* 1 / sqrt(var + eps) */
};

/* n values, `step` apart. */
static struct moments moments_of(const float *x, int64_t n, int64_t step, float eps)
{
    double sum = 0, spread = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i * step];
    double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        spread += ((double)x[i * step] - mean) * ((double)x[i * step] - mean);
    return (struct moments){mean, 1 / sqrt(spread / (double)n + (double)eps)};
}

/* x as (outer, over, inner): over the middle one. */
void nx_ref_layer_norm(const struct nx_ref_call *c)
{
    const struct nx_attr_layer_norm *a = &c->node->attr.layer_norm;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    int64_t outer = nx_ref_product(xs, 0, (uint32_t)a->first);
    int64_t over = nx_ref_product(xs, (uint32_t)a->first, (uint32_t)a->last + 1);
    int64_t inner = nx_ref_product(xs, (uint32_t)a->last + 1, xs->rank);
    const float *gamma = c->node->n_inputs > 1 ? nx_ref_in(c, 1) : NULL;
    const float *beta = c->node->n_inputs > 2 ? nx_ref_in(c, 2) : NULL;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const float *x = nx_ref_in(c, 0) + o * over * inner + i;
            float *y = nx_ref_out(c, 0) + o * over * inner + i;
            struct moments m = moments_of(x, over, inner, a->eps);
            for (int64_t k = 0; k < over; k++) {
                double v = ((double)x[k * inner] - m.mean) * m.scale;
                y[k * inner] =
                    (float)(v * (gamma ? (double)gamma[k] : 1) + (beta ? (double)beta[k] : 0));
            }
        }
}

/* x: (N, C, inner) */
void nx_ref_group_norm(const struct nx_ref_call *c)
{
    const struct nx_attr_group_norm *a = &c->node->attr.group_norm;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    int64_t channels = xs->dims[1], inner = nx_ref_product(xs, 2, xs->rank);
    int64_t groups = a->groups ? a->groups : channels, each = channels / groups;
    /* a factor for each group */
    int64_t step = nx_ref_in_shape(c, 1)->dims[0] == channels ? 1 : each;
    for (int64_t g = 0; g < xs->dims[0] * groups; g++) {
        const float *x = nx_ref_in(c, 0) + g * each * inner;
        float *y = nx_ref_out(c, 0) + g * each * inner;
        struct moments m = moments_of(x, each * inner, 1, a->eps);
        for (int64_t k = 0; k < each * inner; k++) {
            int64_t channel = (g % groups * each + k / inner) / step;
            double v = ((double)x[k] - m.mean) * m.scale;
            y[k] = (float)(v * (double)nx_ref_in(c, 1)[channel] + (double)nx_ref_in(c, 2)[channel]);
        }
    }
}

void nx_ref_where(const struct nx_ref_call *c)
{
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    int64_t steps[3][NX_RANK_MAX], index[NX_RANK_MAX] = {0}, n = nx_ref_product(ys, 0, ys->rank);
    for (uint32_t i = 0; i < 3; i++)
        nx_ref_steps(nx_ref_in_shape(c, i), ys, steps[i]);
    for (int64_t i = 0; i < n; i++, nx_ref_next(index, ys)) {
        uint32_t from = nx_ref_in(c, 0)[nx_ref_offset(index, steps[0], ys->rank)] != 0 ? 1 : 2;
        nx_ref_out(c, 0)[i] = nx_ref_in(c, from)[nx_ref_offset(index, steps[from], ys->rank)];
    }
}

void nx_ref_tile(const struct nx_ref_call *c)
{
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *ys = nx_ref_out_shape(c, 0);
    struct nx_shape wide = {.rank = ys->rank}; /* x with as many dimensions as y */
    int64_t steps[NX_RANK_MAX], index[NX_RANK_MAX] = {0}, n = nx_ref_product(ys, 0, ys->rank);
    uint32_t more = ys->rank - xs->rank;
    for (uint32_t i = 0; i < ys->rank; i++)
        wide.dims[i] = i < more ? 1 : xs->dims[i - more];
    nx_ref_steps(&wide, &wide, steps);
    for (int64_t i = 0; i < n; i++, nx_ref_next(index, ys)) {
        int64_t at = 0;
        for (uint32_t d = 0; d < ys->rank; d++)
            at += index[d] % wide.dims[d] * steps[d];
        nx_ref_out(c, 0)[i] = nx_ref_in(c, 0)[at];
    }
}

/* Which of the `side` places does an index name? A NaN names the first. */
static int64_t place_of(const struct nx_attr_gather *a, float index, int64_t side)
{
    double at = (double)truncf(index);
    if (a->wrap)
        at = (double)nx_mod((float)at, (float)side);
    else if (a->negative_is_from_end && at < 0)
        at += (double)side;
    return at >= (double)(side - 1) ? side - 1 : at > 0 ? (int64_t)at : 0;
}

/* x as (outer, side, inner), y as (outer, indices, inner) */
void nx_ref_gather(const struct nx_ref_call *c)
{
    const struct nx_attr_gather *a = &c->node->attr.gather;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *is = nx_ref_in_shape(c, 1);
    int64_t outer = nx_ref_product(xs, 0, (uint32_t)a->axis), side = xs->dims[a->axis];
    int64_t inner = nx_ref_product(xs, (uint32_t)a->axis + 1, xs->rank);
    int64_t n = nx_ref_product(is, 0, is->rank);
    float *y = nx_ref_out(c, 0);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < n; i++) {
            int64_t at = place_of(a, nx_ref_in(c, 1)[i], side);
            for (int64_t k = 0; k < inner; k++)
                *y++ = nx_ref_in(c, 0)[(o * side + at) * inner + k];
        }
}

void nx_ref_gather_each(const struct nx_ref_call *c)
{
    const struct nx_attr_gather *a = &c->node->attr.gather;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *ys = nx_ref_out_shape(c, 0);
    int64_t steps[NX_RANK_MAX] = {0}, index[NX_RANK_MAX] = {0};
    int64_t total = nx_ref_product(ys, 0, ys->rank), side = xs->dims[a->axis];
    for (uint32_t i = 0; i < xs->rank; i++)
        steps[i] = nx_ref_product(xs, i + 1, xs->rank);
    const int64_t along = steps[a->axis];
    steps[a->axis] = 0;
    for (int64_t i = 0; i < total; i++, nx_ref_next(index, ys))
        nx_ref_out(c, 0)[i] = nx_ref_in(c, 0)[nx_ref_offset(index, steps, ys->rank) +
                                              along * place_of(a, nx_ref_in(c, 1)[i], side)];
}

static float place_in(const struct nx_attr_resize *a, int i, int64_t o, int64_t in, int64_t out)
{
    float at = (float)o;
    switch (a->place) {
    case NX_PLACE_HALF_PIXEL: at = (at + 0.5f) * a->step[i] - 0.5f; break;
    case NX_PLACE_HALF_PIXEL_OR_ZERO: at = out > 1 ? (at + 0.5f) * a->step[i] - 0.5f : 0; break;
    case NX_PLACE_ASYMMETRIC: at = at * a->step[i]; break;
    case NX_PLACE_ALIGN_CORNERS: at = out > 1 ? at * (float)(in - 1) / (float)(out - 1) : 0; break;
    }
    return at;
}

static int64_t cut(float at, int64_t side)
{
    return at <= 0 ? 0 : at >= (float)(side - 1) ? side - 1 : (int64_t)at;
}

static int64_t nearest(enum nx_resize_round round, float at, int64_t side)
{
    switch (round) {
    case NX_ROUND_FLOOR: return cut(floorf(at), side);
    case NX_ROUND_CEIL: return cut(ceilf(at), side);
    case NX_ROUND_HALF_DOWN: return cut(ceilf(at - 0.5f), side);
    case NX_ROUND_HALF_UP: return cut(floorf(at + 0.5f), side);
    }
    return 0;
}

/* Between the two places around `at`, which is cut to the image. */
struct between {
    int64_t low, high;
    float share; /* of high */
};

static struct between around(float at, int64_t side)
{
    float inside = at < 0 ? 0 : at > (float)(side - 1) ? (float)(side - 1) : at;
    struct between b = {.low = cut(floorf(inside), side)};
    b.high = b.low + 1 < side ? b.low + 1 : b.low;
    b.share = inside - (float)b.low;
    return b;
}

static float linear(const float *plane, int64_t width, struct between y, struct between x)
{
    const float *top = plane + y.low * width, *bottom = plane + y.high * width;
    float above = top[x.low] * (1 - x.share) + top[x.high] * x.share;
    float below = bottom[x.low] * (1 - x.share) + bottom[x.high] * x.share;
    return above * (1 - y.share) + below * y.share;
}

/* x: (planes, H, W), y: (planes, H', W') */
void nx_ref_resize(const struct nx_ref_call *c)
{
    const struct nx_attr_resize *a = &c->node->attr.resize;
    const int64_t *in = nx_ref_in_shape(c, 0)->dims + 2, *out = nx_ref_out_shape(c, 0)->dims + 2;
    int64_t planes = nx_ref_product(nx_ref_in_shape(c, 0), 0, 2);
    float *y = nx_ref_out(c, 0);
    for (int64_t p = 0; p < planes; p++) {
        const float *plane = nx_ref_in(c, 0) + p * in[0] * in[1];
        for (int64_t oy = 0; oy < out[0]; oy++) {
            float at_y = place_in(a, 0, oy, in[0], out[0]);
            for (int64_t ox = 0; ox < out[1]; ox++) {
                float at_x = place_in(a, 1, ox, in[1], out[1]);
                *y++ = a->kind == NX_RESIZE_LINEAR
                           ? linear(plane, in[1], around(at_y, in[0]), around(at_x, in[1]))
                           : plane[nearest(a->round, at_y, in[0]) * in[1] +
                                   nearest(a->round, at_x, in[1])];
            }
        }
    }
}
