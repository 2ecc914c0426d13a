#include "categorizer/cpu/cpu_ref_ops.h"

#include <float.h>
#include <math.h>

/* What hangs on output element `at`: the residual and the activation. */
static float post(const struct nx_ref_call *c, int64_t at, float y)
{
    if (c->node->post.sum)
        y += nx_ref_in(c, c->node->n_inputs - 1)[at];
    return nx_ref_unary(&c->node->post.act, y);
}

struct image {
    const float *plane; /* the first of `channels` planes of (h, w) */
    int64_t channels, h, w;
};

/* Up to this many neighbours in a row of the output are summed together: the same additions in the
 * same order for each of them, but along the rows of x as they lie in memory. */
enum { BLOCK = 64 };

/* The i in [0, n) for which 0 <= first + i step < limit, as [from, to). */
static void valid_range(int64_t first, int64_t step, int64_t limit, int64_t n, int64_t *from,
                        int64_t *to)
{
    *from = first < 0 ? (-first + step - 1) / step : 0;
    *to = first < limit ? (limit - 1 - first) / step + 1 : 0;
    *to = *to < n ? *to : n;
}

/* sums[i] += row . taps for n windows whose first corner is at x0, `stride` apart. */
static void add_row(double *sums, int64_t n, const float *row, int64_t width, int64_t x0,
                    const struct nx_window *w, const float *taps)
{
    for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
        int64_t first = x0 + kx * w->dilate[1], step = w->stride[1], from, to;
        valid_range(first, step, width, n, &from, &to);
        for (int64_t i = from; i < to; i++)
            sums[i] += (double)row[first + i * step] * (double)taps[kx];
    }
}

/* The dot products of one filter (channels, kh, kw) with n windows of one row, from corner (y0, x0). */
static void dot_windows(double *sums, int64_t n, const struct image *x, const struct nx_window *w,
                        const float *filter, int64_t y0, int64_t x0)
{
    for (int64_t i = 0; i < n; i++)
        sums[i] = 0;
    for (int64_t ch = 0; ch < x->channels; ch++)
        for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
            int64_t iy = y0 + ky * w->dilate[0];
            if (iy >= 0 && iy < x->h)
                add_row(sums, n, x->plane + (ch * x->h + iy) * x->w, x->w, x0, w,
                        filter + (ch * w->kernel[0] + ky) * w->kernel[1]);
        }
}

/* x: (N,C,H,W), weight: (O, C/g, kh, kw), bias: (O), y: (N,O,H',W'); one plane (H',W') of y. */
static void conv_plane(const struct nx_ref_call *c, const struct image *x, const float *filter,
                       float bias, int64_t at)
{
    const struct nx_window *w = &c->node->attr.conv.window;
    const struct nx_shape *y = nx_ref_out_shape(c, 0);
    double sums[BLOCK];
    for (int64_t oy = 0; oy < y->dims[2]; oy++)
        for (int64_t ox = 0; ox < y->dims[3]; ox += BLOCK) {
            int64_t n = y->dims[3] - ox < BLOCK ? y->dims[3] - ox : BLOCK;
            dot_windows(sums, n, x, w, filter, oy * w->stride[0] - w->before[0],
                        ox * w->stride[1] - w->before[1]);
            for (int64_t i = 0; i < n; i++, at++)
                nx_ref_out(c, 0)[at] = post(c, at, (float)(sums[i] + (double)bias));
        }
}

void nx_ref_conv(const struct nx_ref_call *c)
{
    const struct nx_attr_conv *a = &c->node->attr.conv;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *ys = nx_ref_out_shape(c, 0);
    const float *bias = nx_node_has_bias(c->node) ? nx_ref_in(c, 2) : NULL;
    int64_t group_in = xs->dims[1] / a->groups, group_out = a->filters / a->groups;
    int64_t filter_elements = group_in * a->window.kernel[0] * a->window.kernel[1];
    for (int64_t n = 0; n < ys->dims[0]; n++)
        for (int64_t o = 0; o < a->filters; o++) {
            int64_t first = n * xs->dims[1] + o / group_out * group_in;
            struct image x = {nx_ref_in(c, 0) + first * xs->dims[2] * xs->dims[3], group_in,
                              xs->dims[2], xs->dims[3]};
            conv_plane(c, &x, nx_ref_in(c, 1) + o * filter_elements, bias ? bias[o] : 0,
                       (n * a->filters + o) * ys->dims[2] * ys->dims[3]);
        }
}

/* What row x (its places `stride` apart in the output, from `first` on) adds to the outputs [from, from + n). */
static void spread_row(double *sums, int64_t from, int64_t n, const float *row, int64_t width,
                       const struct nx_window *w, const float *taps)
{
    for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
        int64_t first = kx * w->dilate[1] - w->before[1] - from, step = w->stride[1], begin, end;
        valid_range(first, step, n, width, &begin, &end);
        for (int64_t i = begin; i < end; i++)
            sums[first + i * step] += (double)row[i] * (double)taps[kx];
    }
}

/* x: the planes of one group; filter: (channels, filters of a group, kh, kw), from the output channel's own on */
static void deconv_plane(const struct nx_ref_call *c, const struct image *x, const float *filter,
                         float bias, float *out)
{
    const struct nx_attr_deconv *a = &c->node->attr.deconv;
    const struct nx_window *w = &a->window;
    const struct nx_shape *y = nx_ref_out_shape(c, 0);
    int64_t filter_step = a->filters / a->groups * w->kernel[0] * w->kernel[1];
    double sums[BLOCK];
    for (int64_t oy = 0; oy < y->dims[2]; oy++)
        for (int64_t ox = 0; ox < y->dims[3]; ox += BLOCK) {
            int64_t n = y->dims[3] - ox < BLOCK ? y->dims[3] - ox : BLOCK;
            for (int64_t i = 0; i < n; i++)
                sums[i] = (double)bias;
            for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
                int64_t at = oy + w->before[0] - ky * w->dilate[0], iy = at / w->stride[0];
                if (at < 0 || at % w->stride[0] || iy >= x->h)
                    continue;
                for (int64_t ch = 0; ch < x->channels; ch++)
                    spread_row(sums, ox, n, x->plane + (ch * x->h + iy) * x->w, x->w, w,
                               filter + ch * filter_step + ky * w->kernel[1]);
            }
            for (int64_t i = 0; i < n; i++)
                *out++ = (float)sums[i];
        }
}

void nx_ref_deconv(const struct nx_ref_call *c)
{
    const struct nx_attr_deconv *a = &c->node->attr.deconv;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *ys = nx_ref_out_shape(c, 0);
    const float *bias = nx_node_has_bias(c->node) ? nx_ref_in(c, 2) : NULL;
    int64_t group_in = xs->dims[1] / a->groups, group_out = a->filters / a->groups;
    int64_t taps = (int64_t)a->window.kernel[0] * a->window.kernel[1];
    for (int64_t n = 0; n < ys->dims[0]; n++)
        for (int64_t o = 0; o < a->filters; o++) {
            int64_t channel = o / group_out * group_in;
            struct image x = {nx_ref_in(c, 0) +
                                  (n * xs->dims[1] + channel) * xs->dims[2] * xs->dims[3],
                              group_in, xs->dims[2], xs->dims[3]};
            deconv_plane(c, &x, nx_ref_in(c, 1) + (channel * group_out + o % group_out) * taps,
                         bias ? bias[o] : 0,
                         nx_ref_out(c, 0) + (n * a->filters + o) * ys->dims[2] * ys->dims[3]);
        }
}

/* x: (rows, K), weight: (O, K), bias: (O), y: (rows, O) */
void nx_ref_fc(const struct nx_ref_call *c)
{
    const struct nx_shape *ws = nx_ref_in_shape(c, 1), *ys = nx_ref_out_shape(c, 0);
    const float *x = nx_ref_in(c, 0), *weight = nx_ref_in(c, 1);
    const float *bias = nx_node_has_bias(c->node) ? nx_ref_in(c, 2) : NULL;
    int64_t units = ws->dims[0], width = ws->dims[1];
    int64_t rows = nx_ref_product(ys, 0, ys->rank - 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < units; o++) {
            double sum = bias ? (double)bias[o] : 0;
            for (int64_t k = 0; k < width; k++)
                sum += (double)x[r * width + k] * (double)weight[o * width + k];
            nx_ref_out(c, 0)[r * units + o] = post(c, r * units + o, (float)sum);
        }
}

/* One dimension of a window: what it covers of the input, and how far it reaches with padding. */
struct span {
    int64_t from, to, extent;
};

static struct span window_span(const struct nx_attr_pool *a, int i, int64_t at, int64_t in)
{
    const struct nx_window *w = &a->window;
    if (!a->even) { /* a cell, its bounds rounded outwards */
        int64_t cells = a->cells[i], first = at * in / cells;
        int64_t end = ((at + 1) * in + cells - 1) / cells;
        return (struct span){first, end, end - first};
    }
    int64_t from = at * w->stride[i] - w->before[i], to = from + w->kernel[i];
    to = to < in + w->after[i] ? to : in + w->after[i];
    struct span s = {from < 0 ? 0 : from, to < in ? to : in, to - from};
    return s;
}

static float pool_window(const struct nx_attr_pool *a, const float *plane, int64_t width,
                         struct span y, struct span x)
{
    double sum = 0, powers = 0;
    float most = -FLT_MAX;
    int64_t count = 0;
    for (int64_t iy = y.from; iy < y.to; iy++)
        for (int64_t ix = x.from; ix < x.to; ix++, count++) {
            float v = plane[iy * width + ix];
            sum += (double)v;
            powers += a->kind == NX_POOL_LP ? pow(fabs((double)v), a->p) : 0;
            most = v > most ? v : most;
        }
    if (a->kind == NX_POOL_MAX)
        return most;
    if (a->kind == NX_POOL_LP)
        return (float)pow(powers, 1 / (double)a->p);
    if (a->kind == NX_POOL_SUM || count == 0)
        return (float)sum;
    return (float)(sum / (double)(a->include_pad ? y.extent * x.extent : count));
}

void nx_ref_pool(const struct nx_ref_call *c)
{
    const struct nx_attr_pool *a = &c->node->attr.pool;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0), *ys = nx_ref_out_shape(c, 0);
    float *out = nx_ref_out(c, 0);
    for (int64_t p = 0; p < xs->dims[0] * xs->dims[1]; p++) {
        const float *plane = nx_ref_in(c, 0) + p * xs->dims[2] * xs->dims[3];
        for (int64_t oy = 0; oy < ys->dims[2]; oy++)
            for (int64_t ox = 0; ox < ys->dims[3]; ox++)
                *out++ = pool_window(a, plane, xs->dims[3], window_span(a, 0, oy, xs->dims[2]),
                                     window_span(a, 1, ox, xs->dims[3]));
    }
}
