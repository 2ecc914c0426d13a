#include "categorizer/cpu/cpu_rows.h"

#include <math.h>
#include <string.h>

/* One loop for each function, so that each is one the compiler sees through. */
#define UNARY_LOOP(fn, name, expression)                                             \
    static void loop_##fn(const float *from, float *to, int64_t n, float a, float b) \
    {                                                                                \
        (void)a;                                                                     \
        (void)b;                                                                     \
        for (int64_t i = 0; i < n; i++) {                                            \
            float x = from[i];                                                       \
            (void)x;                                                                 \
            to[i] = expression;                                                      \
        }                                                                            \
    }
NX_UNARY_LIST(UNARY_LOOP)
#undef UNARY_LOOP

static void (*const unary_loops[])(const float *, float *, int64_t, float, float) = {
#define UNARY_ROW(fn, name, expression) loop_##fn,
    NX_UNARY_LIST(UNARY_ROW)
#undef UNARY_ROW
};

/* A block in its own place may become vector code: it overlaps nothing, and its length is known. */
#define ROUND_LOOP(name, expression)                                               \
    static int64_t name(const float *from, float *to, int64_t n, float a, float b) \
    {                                                                              \
        float block[32];                                                           \
        const int64_t step = sizeof block / sizeof *block;                         \
        int64_t i = 0;                                                             \
        (void)a;                                                                   \
        (void)b;                                                                   \
        for (; i + step <= n; i += step) {                                         \
            memcpy(block, from + i, sizeof block);                                 \
            for (int k = 0; k < 32; k++) {                                         \
                float x = block[k];                                                \
                block[k] = expression;                                             \
            }                                                                      \
            memcpy(to + i, block, sizeof block);                                   \
        }                                                                          \
        return i;                                                                  \
    }
ROUND_LOOP(round_f16_blocks, nx_round_f16(x))
ROUND_LOOP(round_bf16_blocks, nx_round_bf16(x))
ROUND_LOOP(round_8_blocks, nx_round_steps(x, a, b, NX_STEPS_8))
ROUND_LOOP(round_16_blocks, nx_round_steps(x, a, b, NX_STEPS_16))
#undef ROUND_LOOP

static int64_t round_blocks(const struct nx_attr_unary *u, const float *x, float *y, int64_t n)
{
    switch (u->fn) {
    case NX_UNARY_ROUND_F16: return round_f16_blocks(x, y, n, u->a, u->b);
    case NX_UNARY_ROUND_BF16: return round_bf16_blocks(x, y, n, u->a, u->b);
    case NX_UNARY_STEPS_8: return round_8_blocks(x, y, n, u->a, u->b);
    case NX_UNARY_STEPS_16: return round_16_blocks(x, y, n, u->a, u->b);
    default: return 0;
    }
}

void nx_rows_unary(const struct nx_attr_unary *unary, const float *x, float *y, int64_t n)
{
    int64_t done = round_blocks(unary, x, y, n);
    x += done;
    y += done;
    n -= done;
    unary_loops[unary->fn](x, y, n, unary->a, unary->b);
}

static void unary(const struct nx_ref_call *c)
{
    const struct nx_shape *shape = nx_ref_in_shape(c, 0);
    nx_rows_unary(&c->node->attr.unary, nx_ref_in(c, 0), nx_ref_out(c, 0),
                  nx_ref_product(shape, 0, shape->rank));
}

/* --- binary: n elements along the last dimension, in which each operand moves by 1 or stands still --- */

#define BINARY_LOOP(kind, name, expression)                                                        \
    static void line_##kind(const float *left, int64_t l, const float *right, int64_t r, float *y, \
                            int64_t n)                                                             \
    {                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                          \
            float a = left[i * l], b = right[i * r];                                               \
            y[i] = expression;                                                                     \
        }                                                                                          \
    }
NX_BINARY_LIST(BINARY_LOOP)
#undef BINARY_LOOP

static void (*const binary_lines[])(const float *, int64_t, const float *, int64_t, float *,
                                    int64_t) = {
#define BINARY_ROW(kind, name, expression) line_##kind,
    NX_BINARY_LIST(BINARY_ROW)
#undef BINARY_ROW
};

static void binary(const struct nx_ref_call *c)
{
    const struct nx_shape *ys = nx_ref_out_shape(c, 0);
    struct nx_shape lines = *ys;
    int64_t a[NX_RANK_MAX] = {0}, b[NX_RANK_MAX] = {0}, index[NX_RANK_MAX] = {0};
    nx_ref_steps(nx_ref_in_shape(c, 0), ys, a);
    nx_ref_steps(nx_ref_in_shape(c, 1), ys, b);
    uint32_t last = ys->rank ? ys->rank - 1 : 0;
    int64_t n = ys->rank ? ys->dims[last] : 1, total = nx_ref_product(ys, 0, ys->rank);
    lines.dims[last] = 1;
    float *y = nx_ref_out(c, 0);
    for (int64_t at = 0; at < total; at += n, nx_ref_next(index, &lines))
        binary_lines[c->node->attr.binary.kind](
            nx_ref_in(c, 0) + nx_ref_offset(index, a, ys->rank), a[last],
            nx_ref_in(c, 1) + nx_ref_offset(index, b, ys->rank), b[last], y + at, n);
    if (c->node->post.act.fn != NX_UNARY_NONE)
        nx_rows_unary(&c->node->post.act, y, y, total);
}

/* --- reductions over neighbouring dimensions: x as (outer, over, inner) --- */

struct folded {
    int64_t outer, over, inner;
};

/* False if the reduced dimensions do not stand together. */
static bool fold(const struct nx_shape *x, uint32_t mask, struct folded *f)
{
    uint32_t first = 0, last;
    while (first < x->rank && !(mask >> first & 1))
        first++;
    for (last = first; last < x->rank && (mask >> last & 1);)
        last++;
    *f = (struct folded){nx_ref_product(x, 0, first), nx_ref_product(x, first, last),
                         nx_ref_product(x, last, x->rank)};
    return mask >> last == 0;
}

/* Four sums at a time: one chain of additions would wait for each. */
static double sum_of(const float *x, int64_t n)
{
    double sums[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; k++)
            sums[k] += (double)x[i + k];
    for (; i < n; i++)
        sums[0] += (double)x[i];
    return sums[0] + sums[1] + sums[2] + sums[3];
}

enum { COLUMNS = 256 }; /* at a time, where what is summed lies across */

static void sum_columns(const float *x, const struct folded *f, double factor, float *y)
{
    double sums[COLUMNS];
    for (int64_t first = 0; first < f->inner; first += COLUMNS) {
        int64_t n = f->inner - first < COLUMNS ? f->inner - first : COLUMNS;
        memset(sums, 0, sizeof sums);
        for (int64_t k = 0; k < f->over; k++)
            for (int64_t i = 0; i < n; i++)
                sums[i] += (double)x[k * f->inner + first + i];
        for (int64_t i = 0; i < n; i++)
            y[first + i] = (float)(sums[i] * factor);
    }
}

static void reduce(const struct nx_ref_call *c)
{
    const struct nx_attr_reduce *a = &c->node->attr.reduce;
    struct folded f;
    bool sums = a->kind == NX_REDUCE_MEAN || a->kind == NX_REDUCE_SUM;
    if (!sums || !fold(nx_ref_in_shape(c, 0), a->mask, &f)) {
        nx_ref_reduce(c);
        return;
    }
    double factor = a->kind == NX_REDUCE_MEAN ? 1 / (double)f.over : 1;
    for (int64_t o = 0; o < f.outer; o++) {
        const float *x = nx_ref_in(c, 0) + o * f.over * f.inner;
        if (f.inner == 1)
            nx_ref_out(c, 0)[o] = (float)(sum_of(x, f.over) * factor);
        else
            sum_columns(x, &f, factor, nx_ref_out(c, 0) + o * f.inner);
    }
}

/* --- norms and softmax over what lies together; cpu_ref has the others --- */

static void layer_norm(const struct nx_ref_call *c)
{
    const struct nx_attr_layer_norm *a = &c->node->attr.layer_norm;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    int64_t rows = nx_ref_product(xs, 0, (uint32_t)a->first);
    int64_t n = nx_ref_product(xs, (uint32_t)a->first, xs->rank);
    const float *gamma = c->node->n_inputs > 1 ? nx_ref_in(c, 1) : NULL;
    const float *beta = c->node->n_inputs > 2 ? nx_ref_in(c, 2) : NULL;
    if ((uint32_t)a->last + 1 != xs->rank || !gamma || !beta) {
        nx_ref_layer_norm(c);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        const float *x = nx_ref_in(c, 0) + r * n;
        float *y = nx_ref_out(c, 0) + r * n;
        float mean = (float)(sum_of(x, n) / (double)n);
        for (int64_t i = 0; i < n; i++)
            y[i] = x[i] - mean;
        double sums[4] = {0, 0, 0, 0};
        for (int64_t i = 0; i < n; i++)
            sums[i & 3] += (double)y[i] * (double)y[i];
        double var = (sums[0] + sums[1] + sums[2] + sums[3]) / (double)n;
        float scale = (float)(1 / sqrt(var + (double)a->eps));
        for (int64_t i = 0; i < n; i++)
            y[i] = y[i] * scale * gamma[i] + beta[i];
    }
}

static void softmax_row(const struct nx_attr_softmax *a, const float *x, float *y, int64_t n)
{
    float most = -INFINITY, share = 1 / a->temperature;
    for (int64_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++)
        y[i] = expf((x[i] - most) * share);
    double sum = sum_of(y, n);
    float factor = (float)(1 / sum), shift = (float)log(sum);
    for (int64_t i = 0; i < n; i++)
        y[i] = a->log ? (x[i] - most) * share - shift : y[i] * factor;
}

static void softmax(const struct nx_ref_call *c)
{
    const struct nx_attr_softmax *a = &c->node->attr.softmax;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    int64_t total = nx_ref_product(xs, 0, xs->rank);
    int64_t n = a->axis == NX_AXIS_REST ? total / xs->dims[0] : xs->dims[xs->rank - 1];
    if (a->axis != NX_AXIS_REST && (uint32_t)a->axis + 1 != xs->rank) {
        nx_ref_softmax(c);
        return;
    }
    for (int64_t at = 0; at < total; at += n)
        softmax_row(a, nx_ref_in(c, 0) + at, nx_ref_out(c, 0) + at, n);
}

const nx_ref_kernel nx_rows_kernels[NX_OP_COUNT] = {
    [NX_OP_UNARY] = unary,           [NX_OP_BINARY] = binary,   [NX_OP_REDUCE] = reduce,
    [NX_OP_LAYER_NORM] = layer_norm, [NX_OP_SOFTMAX] = softmax,
};
