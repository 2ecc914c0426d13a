/* Windows: Conv, the pools, LRN. */
#include <string.h>

#include "categorizer/model/onnx_parts.h"

enum { AUTO_NOTSET, AUTO_SAME_UPPER, AUTO_SAME_LOWER, AUTO_VALID };

static enum nx_status read_pair(const struct nx_onnx_call *c, const char *key, int32_t least,
                                int32_t pair[2])
{
    int64_t items[2];
    uint32_t n;
    NX_TRY(nx_onnx_attr_ints(c, key, items, 2, &n));
    if (n == 0)
        return NX_OK;
    for (uint32_t i = 0; i < n; i++) {
        if (n != 2 || items[i] < least || items[i] > NX_ONNX_WINDOW_MAX)
            return nx_err_set(c->o->err, NX_INVALID,
                              "onnx: %s '%s': %s are two numbers from %d to %d, for images",
                              c->node->op, c->node->name, key, least, NX_ONNX_WINDOW_MAX);
        pair[i] = (int32_t)items[i];
    }
    return NX_OK;
}

static enum nx_status read_pads(const struct nx_onnx_call *c, struct nx_window *w)
{
    int64_t pads[4];
    uint32_t n;
    NX_TRY(nx_onnx_attr_ints(c, "pads", pads, 4, &n));
    for (uint32_t i = 0; i < n; i++)
        if (n != 4 || pads[i] < 0 || pads[i] > NX_ONNX_WINDOW_MAX)
            return nx_onnx_wrong(c, "pads are four numbers from 0 to 65536, for images");
    for (uint32_t i = 0; i < 2 && n; i++) {
        w->before[i] = (int32_t)pads[i];
        w->after[i] = (int32_t)pads[2 + i];
    }
    return NX_OK;
}

/* The padding with which the output is in / stride, rounded up; an odd pixel goes after (UPPER) or before. */
static enum nx_status same_padding(const struct nx_onnx_call *c, bool lower, const int64_t in[2],
                                   struct nx_window *w)
{
    for (int i = 0; i < 2; i++) {
        int64_t out = (in[i] + w->stride[i] - 1) / w->stride[i];
        int64_t reach = (int64_t)(w->kernel[i] - 1) * w->dilate[i] + 1;
        int64_t total = (out - 1) * w->stride[i] + reach - in[i];
        total = total < 0 ? 0 : total;
        if (total > NX_ONNX_WINDOW_MAX)
            return nx_onnx_refuse(c, "a padding of more than 65536");
        w->before[i] = (int32_t)(lower ? total - total / 2 : total / 2);
        w->after[i] = (int32_t)total - w->before[i];
    }
    return NX_OK;
}

/* Everything but the kernel, which is there. x is an image. */
static enum nx_status read_window(const struct nx_onnx_call *c, const struct nx_shape *x,
                                  struct nx_window *w)
{
    const char *const choices[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
    int automatic = AUTO_NOTSET;
    w->stride[0] = w->stride[1] = w->dilate[0] = w->dilate[1] = 1;
    NX_TRY(read_pair(c, "strides", 1, w->stride));
    NX_TRY(read_pair(c, "dilations", 1, w->dilate));
    NX_TRY(nx_onnx_attr_choice(c, "auto_pad", choices, &automatic));
    if (automatic == AUTO_VALID)
        return NX_OK;
    if (automatic == AUTO_NOTSET)
        return read_pads(c, w);
    return same_padding(c, automatic == AUTO_SAME_LOWER, x->dims + 2, w);
}

static enum nx_status read_image(struct nx_onnx_call *c, uint32_t *x)
{
    NX_TRY(nx_onnx_data(c, 0, x));
    if (nx_onnx_tensor(c, *x)->shape.rank != 4)
        return nx_onnx_refuse(c, "an input that is not (N, C, H, W)");
    return NX_OK;
}

/* The weight's last two sides, or kernel_shape, which the rule compares with the weight. */
static enum nx_status read_kernel(const struct nx_onnx_call *c, const struct nx_shape *weight,
                                  const char *wanted, struct nx_window *w)
{
    if (weight->rank != 4 || weight->dims[2] > NX_ONNX_WINDOW_MAX ||
        weight->dims[3] > NX_ONNX_WINDOW_MAX)
        return nx_err_set(c->o->err, NX_UNSUPPORTED,
                          "onnx: %s '%s': a weight that is not %s is not supported", c->node->op,
                          c->node->name, wanted);
    w->kernel[0] = (int32_t)weight->dims[2];
    w->kernel[1] = (int32_t)weight->dims[3];
    return read_pair(c, "kernel_shape", 1, w->kernel);
}

enum nx_status nx_onnx_conv(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_CONV};
    struct nx_attr_conv *a = &node.attr.conv;
    uint32_t inputs[3], n = nx_onnx_has(c, 2) ? 3 : 2;
    int64_t groups = 1;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(read_image(c, &inputs[0]));
    for (uint32_t i = 1; i < n; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    struct nx_shape weight = nx_onnx_tensor(c, inputs[1])->shape;
    NX_TRY(read_kernel(c, &weight, "(M, C / group, kH, kW)", &a->window));
    NX_TRY(nx_onnx_attr_int(c, "group", &groups));
    if (groups < 1 || groups > INT32_MAX)
        return nx_onnx_wrong(c, "group is out of bounds");
    NX_TRY(read_window(c, &nx_onnx_tensor(c, inputs[0])->shape, &a->window));
    a->groups = (int32_t)groups;
    a->filters = weight.dims[0];
    return nx_onnx_finish(c, &node, inputs, n);
}

/* What is cut off of the output, `total` pixels: the odd one before, or after with SAME_UPPER. */
static enum nx_status cut_sides(const struct nx_onnx_call *c, const struct nx_shape *x,
                                const int64_t *wanted, bool upper, struct nx_attr_deconv *a)
{
    struct nx_window *w = &a->window;
    for (int i = 0; i < 2; i++) {
        int64_t whole = (x->dims[2 + i] - 1) * w->stride[i] +
                        (int64_t)(w->kernel[i] - 1) * w->dilate[i] + 1 + a->extra[i];
        int64_t total = whole - wanted[i];
        if (total < 0) { /* then more pixels come behind */
            a->extra[i] -= (int32_t)(total < -NX_ONNX_WINDOW_MAX ? -NX_ONNX_WINDOW_MAX : total);
            total = 0;
        }
        if (total > NX_ONNX_WINDOW_MAX || a->extra[i] > NX_ONNX_WINDOW_MAX)
            return nx_onnx_refuse(c, "a padding of more than 65536");
        w->before[i] = (int32_t)(upper ? total / 2 : total - total / 2);
        w->after[i] = (int32_t)total - w->before[i];
    }
    return NX_OK;
}

/* What is cut off: as pads say, or such that the output has output_shape, or stride times the input's sides. */
static enum nx_status read_cuts(const struct nx_onnx_call *c, const struct nx_shape *x,
                                struct nx_attr_deconv *a)
{
    const char *const choices[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", NULL};
    int64_t wanted[4];
    int automatic = AUTO_NOTSET;
    uint32_t n;
    NX_TRY(nx_onnx_attr_choice(c, "auto_pad", choices, &automatic));
    NX_TRY(nx_onnx_attr_ints(c, "output_shape", wanted, 4, &n));
    if (n != 0 && n != 2)
        return nx_onnx_refuse(c, "an output_shape that is not (H, W)");
    for (int i = 0; i < 2 && n; i++)
        if (wanted[i] < 1 || wanted[i] > NX_DIM_MAX)
            return nx_onnx_wrong(c, "its output_shape is out of bounds");
    if (n)
        return cut_sides(c, x, wanted, automatic == AUTO_SAME_UPPER, a);
    if (automatic == AUTO_VALID)
        return NX_OK;
    if (automatic == AUTO_NOTSET)
        return read_pads(c, &a->window);
    for (int i = 0; i < 2; i++)
        wanted[i] = x->dims[2 + i] * a->window.stride[i];
    return cut_sides(c, x, wanted, automatic == AUTO_SAME_UPPER, a);
}

enum nx_status nx_onnx_deconv(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_DECONV};
    struct nx_attr_deconv *a = &node.attr.deconv;
    uint32_t inputs[3], n = nx_onnx_has(c, 2) ? 3 : 2;
    int64_t groups = 1;
    NX_TRY(nx_onnx_arity(c, 2, 3));
    NX_TRY(read_image(c, &inputs[0]));
    for (uint32_t i = 1; i < n; i++)
        NX_TRY(nx_onnx_data(c, i, &inputs[i]));
    NX_TRY(nx_onnx_attr_int(c, "group", &groups));
    if (groups < 1 || groups > INT32_MAX)
        return nx_onnx_wrong(c, "group is out of bounds");
    NX_TRY(
        read_kernel(c, &nx_onnx_tensor(c, inputs[1])->shape, "(C, M / group, kH, kW)", &a->window));
    a->window.stride[0] = a->window.stride[1] = a->window.dilate[0] = a->window.dilate[1] = 1;
    NX_TRY(read_pair(c, "strides", 1, a->window.stride));
    NX_TRY(read_pair(c, "dilations", 1, a->window.dilate));
    NX_TRY(read_pair(c, "output_padding", 0, a->extra));
    NX_TRY(read_cuts(c, &nx_onnx_tensor(c, inputs[0])->shape, a));
    a->groups = (int32_t)groups;
    if (__builtin_mul_overflow(nx_onnx_tensor(c, inputs[1])->shape.dims[1], groups, &a->filters))
        return nx_onnx_wrong(c, "group is out of bounds");
    return nx_onnx_finish(c, &node, inputs, n);
}

/* LpPool's and GlobalLpPool's exponent */
static enum nx_status read_exponent(const struct nx_onnx_call *c, struct nx_attr_pool *a)
{
    int64_t p = 2;
    NX_TRY(nx_onnx_attr_int(c, "p", &p));
    if (p < 1 || p > 64)
        return nx_onnx_wrong(c, "its p is not from 1 to 64");
    a->p = (int32_t)p;
    return NX_OK;
}

/* A mean or a root of integers would be an integer again; a largest one is one. */
static enum nx_status check_numbers(struct nx_onnx_call *c)
{
    if (c->detail != NX_POOL_MAX && nx_onnx_is_integer(c, 0))
        return nx_onnx_refuse(c, "an input of integers");
    return NX_OK;
}

enum nx_status nx_onnx_pool(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_POOL, .attr.pool.kind = (enum nx_pool)c->detail};
    struct nx_attr_pool *a = &node.attr.pool;
    bool ceil_mode = false;
    uint32_t x;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(check_numbers(c));
    NX_TRY(read_image(c, &x));
    NX_TRY(read_pair(c, "kernel_shape", 1, a->window.kernel));
    if (a->window.kernel[0] == 0)
        return nx_onnx_wrong(c, "it has no kernel_shape");
    NX_TRY(read_window(c, &nx_onnx_tensor(c, x)->shape, &a->window));
    NX_TRY(read_exponent(c, a));
    NX_TRY(nx_onnx_attr_bool(c, "ceil_mode", &ceil_mode));
    NX_TRY(nx_onnx_attr_bool(c, "count_include_pad", &a->include_pad));
    if (a->window.dilate[0] != 1 || a->window.dilate[1] != 1)
        return nx_onnx_refuse(c, "dilation");
    a->rounding = ceil_mode ? NX_ROUND_UP_INSIDE : NX_ROUND_DOWN;
    return nx_onnx_finish(c, &node, &x, 1);
}

enum nx_status nx_onnx_global_pool(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_POOL,
                           .attr.pool = {.kind = (enum nx_pool)c->detail, .global = true}};
    uint32_t x;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(check_numbers(c));
    NX_TRY(read_exponent(c, &node.attr.pool));
    NX_TRY(read_image(c, &x));
    return nx_onnx_finish(c, &node, &x, 1);
}

enum nx_status nx_onnx_lrn(struct nx_onnx_call *c)
{
    struct nx_node node = {.op = NX_OP_LRN, .attr.lrn = {0, 1e-4f, 0.75f, 1.0f}};
    struct nx_attr_lrn *a = &node.attr.lrn;
    int64_t size = 0;
    uint32_t x;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(read_image(c, &x));
    NX_TRY(nx_onnx_attr_int(c, "size", &size));
    NX_TRY(nx_onnx_attr_float(c, "alpha", &a->alpha));
    NX_TRY(nx_onnx_attr_float(c, "beta", &a->beta));
    NX_TRY(nx_onnx_attr_float(c, "bias", &a->knorm));
    if (size < 1 || size > NX_ONNX_WINDOW_MAX)
        return nx_onnx_wrong(c, "size is out of bounds");
    a->size = (int32_t)size;
    return nx_onnx_finish(c, &node, &x, 1);
}
