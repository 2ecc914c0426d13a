#include "categorizer/cpu/cpu_ref_ops.h"

/* The first k of one line of x, found in place: the output's own elements are a heap whose root is the last of the
 * k best so far, then are sorted. Elements are values, or f32 indices into the line. */
struct line {
    const float *x;
    float *y;
    int64_t step; /* between the elements of a line, in x and y */
    const struct nx_attr_topk *attr;
};

/* NaN behind all numbers. */
static int compare_values(const struct line *l, float a, float b)
{
    if (a != a || b != b)
        return (a != a) - (b != b);
    return l->attr->smallest ? (a > b) - (a < b) : (a < b) - (a > b);
}

/* Does element a come before b? */
static bool comes_before(const struct line *l, float a, float b)
{
    if (l->attr->gives == NX_TOPK_VALUES)
        return compare_values(l, a, b) < 0;
    int order = compare_values(l, l->x[(int64_t)a * l->step], l->x[(int64_t)b * l->step]);
    return order ? order < 0 : a < b;
}

/* Moves y[at] down until none of its children comes behind it. */
static void sift(const struct line *l, int64_t at, int64_t n)
{
    float moved = l->y[at * l->step];
    for (int64_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_before(l, l->y[child * l->step], l->y[(child + 1) * l->step]))
            child++;
        if (!comes_before(l, moved, l->y[child * l->step]))
            break;
        l->y[at * l->step] = l->y[child * l->step];
    }
    l->y[at * l->step] = moved;
}

static void sort_line(const struct line *l, int64_t side, int64_t k)
{
    bool values = l->attr->gives == NX_TOPK_VALUES;
    for (int64_t i = 0; i < k; i++)
        l->y[i * l->step] = values ? l->x[i * l->step] : (float)i;
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sift(l, i, k);
    for (int64_t i = k; i < side; i++) {
        float next = values ? l->x[i * l->step] : (float)i;
        if (!comes_before(l, next, l->y[0]))
            continue;
        l->y[0] = next;
        sift(l, 0, k);
    }
    for (int64_t n = k - 1; n > 0; n--) {
        float last = l->y[0];
        l->y[0] = l->y[n * l->step];
        l->y[n * l->step] = last;
        sift(l, 0, n);
    }
}

/* x: (outer, side, inner), y: (outer, k, inner) */
void nx_ref_topk(const struct nx_ref_call *c)
{
    const struct nx_attr_topk *a = &c->node->attr.topk;
    const struct nx_shape *xs = nx_ref_in_shape(c, 0);
    uint32_t axis = (uint32_t)a->axis;
    int64_t outer = nx_ref_product(xs, 0, axis), side = xs->dims[axis];
    int64_t inner = nx_ref_product(xs, axis + 1, xs->rank), k = a->k ? a->k : side;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            struct line l = {nx_ref_in(c, 0) + o * side * inner + i,
                             nx_ref_out(c, 0) + o * k * inner + i, inner, a};
            sort_line(&l, side, k);
        }
}
