/* Rows first: one output row is the weighted sum of its source rows, a loop that vectorises and
 * reads memory in order; then that one row is filtered along x. Scratch is one float row and two
 * tables of taps. */
#include "categorizer/image/resize.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct taps {
    uint32_t first, count; /* source positions first .. first + count - 1 */
    const float *weights;
};

struct axis {
    struct taps *out; /* one per output position */
    float *weights;
};

static void bilinear_taps(struct taps *t, float *weights, double centre, uint32_t src)
{
    double at = centre - 0.5;
    if (at < 0)
        at = 0;
    if (at > src - 1)
        at = src - 1;
    t->first = (uint32_t)at;
    t->count = t->first + 1 < src ? 2 : 1;
    double upper = at - t->first;
    weights[0] = t->count == 2 ? (float)(1 - upper) : 1;
    weights[1] = (float)upper;
}

static void triangle_taps(struct taps *t, float *weights, double centre, double support,
                          uint32_t src)
{
    double low = fmax(centre - support + 0.5, 0), high = fmin(centre + support + 0.5, src);
    t->first = (uint32_t)low;
    t->count = (uint32_t)high - t->first;
    double sum = 0;
    for (uint32_t k = 0; k < t->count; k++)
        sum += fmax(1 - fabs((t->first + k + 0.5 - centre) / support), 0);
    for (uint32_t k = 0; k < t->count; k++)
        weights[k] = (float)(fmax(1 - fabs((t->first + k + 0.5 - centre) / support), 0) / sum);
}

static void free_axis(struct axis *a)
{
    free(a->out);
    free(a->weights);
}

/* Output positions start .. start + n - 1 of `full`, taken from `src` positions. */
static enum nx_status plan_axis(struct axis *a, enum nx_filter filter, uint32_t src, uint64_t full,
                                uint64_t start, uint32_t n, struct nx_err *err)
{
    double step = (double)src / (double)full, support = fmax(step, 1);
    size_t taps_max = filter == NX_FILTER_BILINEAR ? 2 : 2 * (size_t)ceil(support) + 1;
    a->out = nx_calloc(n, sizeof *a->out);
    a->weights = nx_calloc(n * taps_max, sizeof *a->weights);
    if (!a->out || !a->weights)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to resize a photo");
    for (uint32_t i = 0; i < n; i++) {
        float *weights = a->weights + i * taps_max;
        double centre = ((double)(start + i) + 0.5) * step;
        if (filter == NX_FILTER_BILINEAR)
            bilinear_taps(&a->out[i], weights, centre, src);
        else
            triangle_taps(&a->out[i], weights, centre, support, src);
        nx_assert_slow(a->out[i].count >= 1 && a->out[i].count <= taps_max);
        nx_assert_slow(a->out[i].first + a->out[i].count <= src);
        a->out[i].weights = weights;
    }
    return NX_OK;
}

/* sum[0..n) = the rows of t, weighted. `src` points at the first byte wanted of row 0. */
static void blend_rows(float *sum, const uint8_t *src, size_t pitch, size_t n, const struct taps *t)
{
    memset(sum, 0, n * sizeof *sum);
    for (uint32_t k = 0; k < t->count; k++) {
        const uint8_t *row = src + (size_t)(t->first + k) * pitch;
        float weight = t->weights[k];
        for (size_t i = 0; i < n; i++)
            sum[i] += weight * (float)row[i];
    }
}

static uint8_t to_level(float v)
{
    return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5f);
}

/* row holds source columns from first_column on. */
static void filter_row(uint8_t *dst, const float *row, uint32_t first_column, const struct axis *x,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct taps *t = &x->out[i];
        const float *at = row + (size_t)3 * (t->first - first_column);
        float r = 0, g = 0, b = 0;
        for (uint32_t k = 0; k < t->count; k++, at += 3) {
            r += t->weights[k] * at[0];
            g += t->weights[k] * at[1];
            b += t->weights[k] * at[2];
        }
        dst[3 * i] = to_level(r);
        dst[3 * i + 1] = to_level(g);
        dst[3 * i + 2] = to_level(b);
    }
}

static enum nx_status fill(const uint8_t *src, uint32_t src_width, const struct axis *x,
                           const struct axis *y, const struct nx_resize_window *w, uint8_t *dst,
                           struct nx_err *err)
{
    const struct taps *last = &x->out[w->width - 1];
    uint32_t first_column = x->out[0].first;
    size_t floats = (size_t)3 * (last->first + last->count - first_column);
    float *row = nx_calloc(floats, sizeof *row);
    if (!row)
        return nx_err_set(err, NX_NO_MEMORY, "no memory to resize a photo");
    for (uint32_t i = 0; i < w->height; i++) {
        blend_rows(row, src + (size_t)3 * first_column, (size_t)3 * src_width, floats, &y->out[i]);
        filter_row(dst + (size_t)3 * i * w->width, row, first_column, x, w->width);
    }
    free(row);
    return NX_OK;
}

enum nx_status nx_resize(const uint8_t *src, uint32_t src_width, uint32_t src_height,
                         enum nx_filter filter, const struct nx_resize_window *w, uint8_t *dst,
                         struct nx_err *err)
{
    nx_assert(w->width > 0 && w->height > 0);
    nx_assert(w->x + w->width <= w->full_width && w->y + w->height <= w->full_height);
    struct axis x = {0}, y = {0};
    enum nx_status status = plan_axis(&x, filter, src_width, w->full_width, w->x, w->width, err);
    if (status == NX_OK)
        status = plan_axis(&y, filter, src_height, w->full_height, w->y, w->height, err);
    if (status == NX_OK)
        status = fill(src, src_width, &x, &y, w, dst, err);
    free_axis(&x);
    free_axis(&y);
    return status;
}
