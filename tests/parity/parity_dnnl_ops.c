/* Each op of graph.h on cpu_dnnl against cpu_ref, over odd shapes, on dense rows and behind a
 * convolution (whose blocked layout then flows into the op), in batches of 1 to 3. */
#include <stdio.h>
#include <string.h>

#include "categorizer/cpu/dnnl_api.h"
#include "parity_net.h"

/* Direct convolutions sum in another order than cpu_ref, Winograd's rounds in between. */
static const double tolerance_f32 = 1e-5, tolerance_winograd = 1e-4;

static struct net_options f32(uint32_t threads)
{
    return (struct net_options){.backend = &nx_backend_cpu_dnnl,
                                .load = {.batch_max = 3, .threads = threads},
                                .tolerance = tolerance_f32};
}

/* Behind a convolution in bf16, whose result is rounded to 8 bits: only what is continuous can be compared. */
static bool bf16_too;
static const double tolerance_bf16 = 4e-2;

/* `add` appends the op under test to x (N, C, H, W). */
static void compare_op(const char *name, int64_t c, int64_t h, int64_t w,
                       void (*add)(struct net *net, uint32_t x, const void *row), const void *row)
{
    for (int i = 0; i < 4; i++) {
        struct net net;
        net_open(&net, 7 + (uint64_t)i);
        add(&net, net_source(&net, i & 1, c, h, w), row);
        struct net_options options = f32(i & 2 ? 2 : 1);
        net_compare(&net, &options, name);
        net_close(&net);
    }
    if (!bf16_too || !nx_dnnl_has_bf16())
        return;
    struct net net;
    net_open(&net, 11);
    add(&net, net_source(&net, true, c, h, w), row);
    struct net_options options = f32(1);
    options.load.precision = NX_PRECISION_BF16;
    options.tolerance = tolerance_bf16;
    net_compare(&net, &options, name);
    net_close(&net);
}

struct conv_row {
    int64_t c, h, w, o;
    int32_t groups;
    struct nx_window window;
    bool bias, sum;
    enum nx_unary act;
};

static void add_conv_row(struct net *net, uint32_t x, const void *row)
{
    const struct conv_row *r = row;
    uint32_t residual = NX_NONE;
    if (r->sum) /* of the output's shape: the same convolution with other weights */
        residual =
            net_conv(net, x, r->c, r->o, &r->window, r->groups, false, NX_NONE, NX_UNARY_NONE);
    net_output(net, net_conv(net, x, r->c, r->o, &r->window, r->groups, r->bias, residual, r->act));
}

static void convolutions(void **state)
{
    (void)state;
    bf16_too = true;
    static const struct conv_row rows[] = {
        {3, 17, 19, 8, 1, K(7, 7, 2, 1, 3), true, false, NX_UNARY_RELU},
        {16, 9, 7, 32, 1, K(1, 1, 1, 1, 0), false, false, NX_UNARY_NONE},
        {5, 11, 13, 7, 1, K(3, 3, 1, 1, 1), true, true, NX_UNARY_RELU},
        {17, 6, 6, 33, 1, K(3, 3, 2, 1, 1), true, false, NX_UNARY_LEAKY},
        {32, 8, 8, 32, 32, K(3, 3, 1, 1, 1), true, false, NX_UNARY_CLIP},
        {9, 8, 8, 9, 9, K(5, 5, 2, 1, 2), false, true, NX_UNARY_SIGMOID},
        {12, 7, 9, 18, 3, K(3, 3, 1, 1, 1), true, false, NX_UNARY_TANH},
        {8, 12, 12, 8, 1, K(3, 3, 1, 2, 2), true, false, NX_UNARY_SELU},
        {4, 10, 10, 6, 1, {{3, 5}, {2, 1}, {1, 2}, {0, 3}, {2, 1}}, true, false, NX_UNARY_NONE},
        {3, 5, 5, 4, 1, K(5, 5, 1, 1, 0), true, false, NX_UNARY_SOFTSIGN},
        {6, 5, 5, 10, 1, K(3, 3, 1, 1, 1), true, true, NX_UNARY_SOFTSIGN},
        {1, 1, 1, 1, 1, K(1, 1, 1, 1, 0), true, true, NX_UNARY_HARD_SIGMOID},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "convolution %zu", i);
        compare_op(name, rows[i].c, rows[i].h, rows[i].w, add_conv_row, &rows[i]);
    }
}

static void winograd(void **state)
{
    (void)state;
    bf16_too = false;
    static const struct conv_row rows[] = {
        {64, 14, 14, 64, 1, K(3, 3, 1, 1, 1), true, false, NX_UNARY_RELU},
        {128, 17, 19, 64, 1, K(3, 3, 1, 1, 1), true, true, NX_UNARY_RELU},
        {80, 21, 15, 96, 1, K(3, 3, 1, 1, 1), false, false, NX_UNARY_NONE},
        {64, 28, 28, 64, 1, K(3, 3, 1, 1, 0), true, false, NX_UNARY_NONE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            struct net net;
            net_open(&net, i);
            add_conv_row(&net, net_source(&net, true, rows[i].c, rows[i].h, rows[i].w), &rows[i]);
            struct net_options options = f32(threads);
            options.tolerance = tolerance_winograd;
            double off = net_compare(&net, &options, "a 3x3 convolution");
            print_message("# 3x3 convolution %zu: off by %.1e\n", i, off);
            net_close(&net);
        }
}

static void add_fc(struct net *net, uint32_t x, int64_t k, int64_t units, bool flatten,
                   uint32_t residual, enum nx_unary act)
{
    int64_t dims[] = {units, k};
    uint32_t inputs[4] = {x, net_constant(net, 2, dims, -0.1, 0.1),
                          net_constant(net, 1, &units, -1, 1), residual};
    struct nx_node node = {.op = NX_OP_FC,
                           .post = {.sum = residual != NX_NONE, .act = {.fn = act}},
                           .attr.fc = {.units = units, .flatten = flatten}};
    net_output(net, net_node(net, &node, inputs, residual == NX_NONE ? 3 : 4));
}

static void add_flat_fc(struct net *net, uint32_t x, const void *row)
{
    (void)row;
    add_fc(net, x, 19 * 3 * 5, 11, true, NX_NONE, NX_UNARY_RELU);
}

static void add_last_fc(struct net *net, uint32_t x, const void *row)
{
    (void)row;
    add_fc(net, x, 5, 6, false, NX_NONE, NX_UNARY_SOFTSIGN);
}

static void add_fc_sum(struct net *net, uint32_t x, const void *row)
{
    (void)row;
    int64_t dims[] = {13, 19 * 3 * 5};
    uint32_t inputs[] = {x, net_constant(net, 2, dims, -0.1, 0.1)};
    struct nx_node node = {.op = NX_OP_FC, .attr.fc = {.units = 13, .flatten = true}};
    uint32_t residual = net_node(net, &node, inputs, 2);
    add_fc(net, x, 19 * 3 * 5, 13, true, residual, NX_UNARY_RELU);
}

/* Three layers of one matrix over a photo's many rows; the last adds the first's. */
static void add_fc_rows(struct net *net, uint32_t x, const void *row)
{
    const int64_t k = *(const int64_t *)row, dims[] = {k, k};
    uint32_t in[4] = {x, net_constant(net, 2, dims, -0.1, 0.1), net_constant(net, 1, &k, -1, 1)};
    struct nx_node node = {.op = NX_OP_FC, .attr.fc = {.units = k}};
    in[3] = net_node(net, &node, in, 2);
    node.post.act.fn = NX_UNARY_GELU;
    in[0] = net_node(net, &node, in, 3);
    node.post.act.fn = NX_UNARY_RELU;
    node.post.sum = true;
    net_output(net, net_node(net, &node, in, 4));
}

static void fully_connected(void **state)
{
    (void)state;
    bf16_too = true;
    compare_op("fc", 19, 3, 5, add_flat_fc, NULL);
    compare_op("fc over the last dimension", 19, 3, 5, add_last_fc, NULL);
    compare_op("fc with a sum", 19, 3, 5, add_fc_sum, NULL);
    static const int64_t widths[] = {5, 37, 64};
    for (size_t i = 0; i < 3; i++)
        compare_op("fc over many rows", 19, 7, widths[i], add_fc_rows, &widths[i]);
}

struct norm_row {
    enum nx_op op;
    int32_t axis;
    bool fix_gamma;
    enum nx_unary act;
};

static void add_norm(struct net *net, uint32_t x, const void *row)
{
    const struct norm_row *r = row;
    static const int64_t sides[] = {0, 21, 5, 6};
    int64_t n = sides[r->axis];
    uint32_t inputs[5] = {x, net_constant(net, 1, &n, -2, 2), net_constant(net, 1, &n, -1, 1),
                          net_constant(net, 1, &n, -1, 1), net_constant(net, 1, &n, 0.1, 3)};
    struct nx_node node = {.op = r->op, .post.act.fn = r->act};
    if (r->op == NX_OP_BATCH_NORM)
        node.attr.batch_norm =
            (struct nx_attr_batch_norm){.eps = 1e-3f, .axis = r->axis, .fix_gamma = r->fix_gamma};
    else
        node.attr.scale_shift.axis = r->axis;
    net_output(net, net_node(net, &node, inputs, r->op == NX_OP_BATCH_NORM ? 5 : 3));
}

static void normalisations(void **state)
{
    (void)state;
    bf16_too = true;
    static const struct norm_row rows[] = {
        {NX_OP_BATCH_NORM, 1, false, NX_UNARY_NONE},  {NX_OP_BATCH_NORM, 1, true, NX_UNARY_NONE},
        {NX_OP_BATCH_NORM, 3, false, NX_UNARY_NONE},  {NX_OP_SCALE_SHIFT, 1, false, NX_UNARY_RELU},
        {NX_OP_SCALE_SHIFT, 1, false, NX_UNARY_NONE}, {NX_OP_SCALE_SHIFT, 1, false, NX_UNARY_TANH},
        {NX_OP_SCALE_SHIFT, 2, false, NX_UNARY_RELU},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_op("normalisation", 21, 5, 6, add_norm, &rows[i]);
}

static void add_pool(struct net *net, uint32_t x, const void *row)
{
    struct nx_node node = {.op = NX_OP_POOL, .attr.pool = *(const struct nx_attr_pool *)row};
    net_output(net, net_node(net, &node, &x, 1));
}

static void pools(void **state)
{
    (void)state;
    bf16_too = true;
    static const struct nx_window windows[] = {K(3, 3, 2, 1, 1), K(2, 2, 2, 1, 0), K(3, 3, 2, 1, 0),
                                               K(5, 3, 3, 1, 1)};
    for (int i = 0; i < 3 * 3 * 2 * 4; i++) {
        struct nx_attr_pool a = {.kind = (enum nx_pool)(i % 3),
                                 .rounding = (enum nx_pool_rounding)(i / 3 % 3),
                                 .include_pad = i / 9 % 2,
                                 .window = windows[i / 18]};
        char name[64];
        snprintf(name, sizeof name, "pool kind %d, rounding %d, include %d, window %d", a.kind,
                 a.rounding, a.include_pad, i / 18);
        compare_op(name, 18, 12, 9, add_pool, &a);
    }
    for (int i = 0; i < 3; i++) {
        struct nx_attr_pool a = {.kind = (enum nx_pool)i, .global = true, .include_pad = true};
        compare_op("global pool", 18, 12, 9, add_pool, &a);
    }
}

static void add_unary(struct net *net, uint32_t x, const void *row)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = *(const struct nx_attr_unary *)row};
    net_output(net, net_node(net, &node, &x, 1));
}

/* Not defined on all of the line, or so steep there that the rounding of x would be all there is. */
static const enum nx_unary partial[] = {
    NX_UNARY_LOG,  NX_UNARY_SQRT,  NX_UNARY_RDIV,  NX_UNARY_RSQRT, NX_UNARY_LOG1P,
    NX_UNARY_LOG2, NX_UNARY_LOG10, NX_UNARY_RCBRT, NX_UNARY_CBRT,  NX_UNARY_ACOSH,
    NX_UNARY_ASIN, NX_UNARY_ACOS,  NX_UNARY_ATANH, NX_UNARY_TAN,   NX_UNARY_RMOD};

static bool is_partial(enum nx_unary fn)
{
    for (size_t i = 0; i < sizeof partial / sizeof partial[0]; i++)
        if (partial[i] == fn)
            return true;
    return false;
}

static void unary_functions(void **state)
{
    (void)state;
    for (int fn = NX_UNARY_RELU; fn < NX_UNARY_COUNT; fn++) {
        struct nx_attr_unary u = {.fn = (enum nx_unary)fn, .a = 0.25f, .b = 0.75f};
        if (fn == NX_UNARY_POW)
            u.a = 2; /* of negative numbers too */
        bf16_too = fn <= NX_UNARY_ABS;
        if (!is_partial(u.fn))
            compare_op(nx_unary_name(u.fn), 19, 4, 3, add_unary, &u);
    }
}

/* In blocks that channels do not fill, too: from -128 on 0 is a step, from 1 on it is none. The
 * steps are wide: what lies halfway between two, but for the last bits, may go either way. */
static void roundings_to_steps(void **state)
{
    (void)state;
    static const struct nx_attr_unary rows[] = {{NX_UNARY_STEPS_8, 0.013f, -128},
                                                {NX_UNARY_STEPS_8, 0.013f, 0},
                                                {NX_UNARY_STEPS_8, 0.013f, 1},
                                                {NX_UNARY_STEPS_16, 0.017f, -32768},
                                                {NX_UNARY_STEPS_16, 0.1f, -9}};
    bf16_too = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int64_t c = 3; c <= 32; c += c == 3 ? 13 : 8)
            compare_op(nx_unary_name(rows[i].fn), c, 5, 3, add_unary, &rows[i]);
}

struct shifted_row {
    struct nx_attr_unary shift, fn;
};

static void add_shifted_unary(struct net *net, uint32_t x, const void *row)
{
    const struct shifted_row *r = row;
    struct nx_node shift = {.op = NX_OP_UNARY, .attr.unary = r->shift};
    add_unary(net, net_node(net, &shift, &x, 1), &r->fn);
}

static void unary_functions_where_they_are_defined(void **state)
{
    (void)state;
    bf16_too = false;
    for (size_t i = 0; i < sizeof partial / sizeof partial[0]; i++) {
        struct shifted_row row = {.shift.fn = NX_UNARY_EXP, .fn = {.fn = partial[i], .a = 0.7f}};
        if (partial[i] == NX_UNARY_ACOSH)
            row.shift = (struct nx_attr_unary){.fn = NX_UNARY_HYPOT, .a = 1.5f};
        if (partial[i] == NX_UNARY_ASIN || partial[i] == NX_UNARY_ACOS ||
            partial[i] == NX_UNARY_ATANH || partial[i] == NX_UNARY_TAN)
            row.shift = (struct nx_attr_unary){.fn = NX_UNARY_SIGMOID};
        compare_op(nx_unary_name(partial[i]), 19, 4, 3, add_shifted_unary, &row);
    }
    struct shifted_row power = {.shift.fn = NX_UNARY_EXP, .fn = {.fn = NX_UNARY_POW, .a = 0.7f}};
    compare_op("power", 19, 4, 3, add_shifted_unary, &power);
}

struct binary_row {
    enum nx_binary kind;
    bool swapped;
    uint32_t rank;
    int64_t dims[4]; /* of the constant operand */
};

static void add_binary(struct net *net, uint32_t x, const void *row)
{
    const struct binary_row *r = row;
    struct nx_node positive = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_EXP};
    if (r->kind == NX_BINARY_DIV && r->swapped) /* near 0 the rounding of x would be all there is */
        x = net_node(net, &positive, &x, 1);
    uint32_t b = net_constant(net, r->rank, r->dims, 0.5, 2);
    uint32_t inputs[] = {r->swapped ? b : x, r->swapped ? x : b};
    struct nx_node node = {.op = NX_OP_BINARY,
                           .post.act.fn = r->kind == NX_BINARY_ADD ? NX_UNARY_RELU : NX_UNARY_NONE,
                           .attr.binary.kind = r->kind};
    net_output(net, net_node(net, &node, inputs, 2));
}

/* Of numbers that are well above 0. */
static void add_positive_binary(struct net *net, uint32_t x, const void *row)
{
    struct nx_node positive = {.op = NX_OP_UNARY, .attr.unary = {.fn = NX_UNARY_HYPOT, .a = 0.8f}};
    add_binary(net, net_node(net, &positive, &x, 1), row);
}

/* Two computed operands: same shape, and squeeze-and-excite's (N, C, 1, 1). */
static void add_computed_binary(struct net *net, uint32_t x, const void *row)
{
    const struct nx_attr_binary *a = row;
    struct nx_node pool = {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_AVG, .global = true}};
    struct nx_node tanh_of = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_TANH};
    struct nx_node binary = {.op = NX_OP_BINARY, .attr.binary = *a};
    uint32_t same[] = {x, net_node(net, &tanh_of, &x, 1)};
    uint32_t excite[] = {x, net_node(net, &pool, &x, 1)};
    net_output(net, net_node(net, &binary, same, 2));
    net_output(net, net_node(net, &binary, excite, 2));
}

static void binaries(void **state)
{
    (void)state;
    bf16_too = true;
    static const struct binary_row rows[] = {
        {NX_BINARY_ADD, false, 4, {1, 19, 1, 1}}, {NX_BINARY_MUL, true, 4, {1, 19, 1, 1}},
        {NX_BINARY_SUB, false, 1, {1}},           {NX_BINARY_SUB, true, 1, {1}},
        {NX_BINARY_DIV, false, 3, {19, 1, 1}},    {NX_BINARY_DIV, true, 3, {19, 1, 1}},
        {NX_BINARY_MAX, false, 2, {4, 3}},        {NX_BINARY_MIN, true, 4, {1, 1, 4, 1}},
        {NX_BINARY_ADD, false, 0, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_op("binary with a constant", 19, 4, 3, add_binary, &rows[i]);
    for (int kind = 0; kind < NX_BINARY_COUNT; kind++) {
        struct nx_attr_binary a = {.kind = (enum nx_binary)kind};
        bool steep = kind == NX_BINARY_DIV || kind == NX_BINARY_POW || kind == NX_BINARY_MOD ||
                     kind == NX_BINARY_FMOD || kind == NX_BINARY_ATAN2 ||
                     (kind >= NX_BINARY_EQ && kind <= NX_BINARY_LE);
        struct binary_row row = {a.kind, true, 4, {1, 19, 1, 3}};
        bf16_too = kind <= NX_BINARY_MIN || kind == NX_BINARY_HYPOT;
        if (!steep)
            compare_op("binary", 19, 4, 3, add_computed_binary, &a);
        else if (kind != NX_BINARY_DIV)
            compare_op("binary of two different shapes", 19, 4, 3, add_positive_binary, &row);
    }
}

static void add_concat(struct net *net, uint32_t x, const void *row)
{
    const struct nx_attr_concat *a = row;
    struct nx_node relu = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_RELU};
    uint32_t more = net_node(net, &relu, &x, 1);
    uint32_t wide = net_conv(net, x, 19, 19, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE);
    uint32_t inputs[] = {x, more, wide};
    struct nx_node node = {.op = NX_OP_CONCAT, .attr.concat = *a};
    net_output(net, net_node(net, &node, inputs, 3));
}

static void concats(void **state)
{
    (void)state;
    bf16_too = true;
    for (int32_t axis = 1; axis < 4; axis++) {
        struct nx_attr_concat a = {.axis = axis};
        compare_op("concat", 19, 4, 3, add_concat, &a);
    }
}

/* As DenseNet has it: each concat is the first part of the next. One part comes twice, one is a picture of the graph's
 * input, one a residual's place, and the parts are read by others as well. */
static void add_nested_concat(struct net *net, uint32_t x, const void *row)
{
    const int64_t *c = row;
    struct nx_node concat = {.op = NX_OP_CONCAT, .attr.concat = {.axis = 1}};
    struct nx_node relu = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_RELU};
    struct nx_node add = {.op = NX_OP_BINARY, .attr.binary.kind = NX_BINARY_ADD};
    static const struct nx_window three = K(3, 3, 1, 1, 1);
    uint32_t parts[4];
    parts[0] = net_conv(net, x, *c, 64, &three, 1, true, NX_NONE, NX_UNARY_RELU);
    parts[1] = net_conv(net, parts[0], 64, 32, &net_one_by_one, 1, false, NX_NONE, NX_UNARY_RELU);
    parts[2] = x;
    uint32_t first = net_node(net, &concat, parts, 3);
    uint32_t wide =
        net_conv(net, first, 96 + *c, 96 + *c, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE);
    uint32_t both[2] = {wide, first}, more[4] = {first, net_node(net, &add, both, 2)};
    more[2] = net_conv(net, x, *c, 32, &net_one_by_one, 1, true, parts[1], NX_UNARY_NONE);
    more[3] = net_node(net, &relu, &parts[0], 1);
    uint32_t second = net_node(net, &concat, more, 4), twice[2] = {second, second};
    uint32_t third = net_node(net, &concat, twice, 2);
    net_output(net, third);
    net_output(net, net_conv(net, third, 4 * *c + 576, 16, &net_one_by_one, 1, true, NX_NONE,
                             NX_UNARY_NONE));
}

static void concats_of_blocks_lie_together_from_the_start(void **state)
{
    (void)state;
    bf16_too = true;
    static const int64_t full = 16, odd = 24;
    compare_op("nested concats", full, 9, 7, add_nested_concat, &full);
    compare_op("nested concats of odd channels", odd, 9, 7, add_nested_concat, &odd);
}

/* A channel times its gate, where the channels do not fill a block: alone in a net of full blocks, and in a net that
 * lies channels last as a whole. */
static void add_gate(struct net *net, uint32_t x, const void *row)
{
    const int64_t *c = row;
    struct nx_node mean = {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_AVG, .global = true}};
    struct nx_node gate = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_SIGMOID};
    struct nx_node mul = {.op = NX_OP_BINARY, .attr.binary.kind = NX_BINARY_MUL};
    static const struct nx_window three = K(3, 3, 1, 1, 1);
    uint32_t y = net_conv(net, x, c[0], c[1], &three, 1, true, NX_NONE, NX_UNARY_RELU);
    uint32_t s = net_node(net, &mean, &y, 1);
    s = net_conv(net, s, c[1], c[1], &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE);
    uint32_t both[2] = {y, net_node(net, &gate, &s, 1)};
    uint32_t gated = net_node(net, &mul, both, 2);
    net_output(net, net_conv(net, gated, c[1], c[0], &three, 1, true, NX_NONE, NX_UNARY_RELU));
    uint32_t all = net_conv(net, x, c[0], c[0], &three, 1, true, NX_NONE, NX_UNARY_NONE);
    net_output(net, net_conv(net, all, c[0], c[0], &three, 1, true, NX_NONE, NX_UNARY_NONE));
}

static void gates_of_odd_channels(void **state)
{
    (void)state;
    bf16_too = true;
    static const int64_t rows[][2] = {{64, 20}, {24, 104}, {19, 7}, {64, 48}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_op("gate", rows[i][0], 9, 7, add_gate, rows[i]);
}

/* A ConvNeXt block: depthwise, then rows of channels, a layer norm, two matrices, back. */
static void add_convnext(struct net *net, uint32_t x, const void *row)
{
    const int64_t *c = row;
    const struct nx_window seven = {
        .kernel = {7, 7}, .stride = {1, 1}, .dilate = {1, 1}, .before = {3, 3}, .after = {3, 3}};
    struct nx_node to_last = {.op = NX_OP_TRANSPOSE,
                              .attr.transpose = {.n = 4, .axes = {0, 2, 3, 1}}};
    struct nx_node to_first = {.op = NX_OP_TRANSPOSE,
                               .attr.transpose = {.n = 4, .axes = {0, 3, 1, 2}}};
    struct nx_node norm = {.op = NX_OP_LAYER_NORM,
                           .attr.layer_norm = {.eps = 1e-6f, .first = 3, .last = 3}};
    struct nx_node add = {.op = NX_OP_BINARY, .attr.binary.kind = NX_BINARY_ADD};
    uint32_t y = net_conv(net, x, *c, *c, &seven, (int32_t)*c, true, NX_NONE, NX_UNARY_NONE);
    uint32_t ins[3] = {net_node(net, &to_last, &y, 1), net_constant(net, 1, c, 0.5, 1.5),
                       net_constant(net, 1, c, -0.5, 0.5)};
    y = net_node(net, &norm, ins, 3);
    for (int i = 0; i < 2; i++) {
        const int64_t dims[2] = {*c, *c};
        struct nx_node fc = {.op = NX_OP_FC, .attr.fc = {.units = *c}};
        uint32_t pair[2] = {y, net_constant(net, 2, dims, -0.3, 0.3)};
        fc.post.act.fn = i == 0 ? NX_UNARY_GELU : NX_UNARY_NONE;
        y = net_node(net, &fc, pair, 2);
    }
    uint32_t both[2] = {x, net_node(net, &to_first, &y, 1)};
    net_output(net, net_node(net, &add, both, 2));
}

static void rows_of_channels_between_convolutions(void **state)
{
    (void)state;
    bf16_too = false;
    static const int64_t widths[] = {16, 19};
    for (size_t i = 0; i < 2; i++)
        compare_op("ConvNeXt block", widths[i], 8, 5, add_convnext, &widths[i]);
}

static void add_prelu(struct net *net, uint32_t x, const void *row)
{
    uint32_t inputs[] = {x, net_constant(net, 1, row, -0.5, 0.5)};
    struct nx_node node = {.op = NX_OP_PRELU};
    net_output(net, net_node(net, &node, inputs, 2));
}

static void add_node_row(struct net *net, uint32_t x, const void *row)
{
    const struct nx_node *node = row;
    uint32_t first = net_node(net, node, &x, 1);
    for (uint32_t i = 0; i < (node->n_outputs ? node->n_outputs : 1); i++)
        net_output(net, first + i);
}

/* Channel shuffle as ShuffleNet has it: split, one half on, both together, shuffled. */
static void add_shuffle(struct net *net, uint32_t x, const void *row)
{
    (void)row;
    struct nx_node split = {.op = NX_OP_SPLIT, .n_outputs = 2, .attr.split = {.axis = 1}};
    struct nx_node concat = {.op = NX_OP_CONCAT, .attr.concat = {.axis = 1}};
    struct nx_node apart = {.op = NX_OP_RESHAPE,
                            .attr.reshape = {.n = 6, .codes = {0, -4, 2, -1, 0, 0}}};
    struct nx_node swap = {.op = NX_OP_TRANSPOSE,
                           .attr.transpose = {.n = 5, .axes = {0, 2, 1, 3, 4}}};
    struct nx_node merge = {.op = NX_OP_RESHAPE, .attr.reshape = {.n = 4, .codes = {0, -3, 0, 0}}};
    uint32_t left = net_node(net, &split, &x, 1);
    uint32_t right =
        net_conv(net, left + 1, 9, 9, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU);
    uint32_t inputs[] = {left, right}, y = net_node(net, &concat, inputs, 2);
    y = net_node(net, &apart, &y, 1);
    y = net_node(net, &swap, &y, 1);
    y = net_node(net, &merge, &y, 1);
    net_output(net, net_conv(net, y, 18, 7, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE));
}

struct matmul_row {
    struct nx_attr_matmul attr;
    bool second_is_constant;
};

/* x (N, 6, 4, 5) with itself, or with a constant that stands for all photos. */
static void add_matmul(struct net *net, uint32_t x, const void *row)
{
    const struct matmul_row *r = row;
    static const int64_t square[] = {6, 5, 5};
    struct nx_node tanh_of = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_TANH};
    uint32_t inputs[] = {x, r->second_is_constant ? net_constant(net, 3, square, -1, 1)
                                                  : net_node(net, &tanh_of, &x, 1)};
    struct nx_node node = {.op = NX_OP_MATMUL, .attr.matmul = r->attr};
    net_output(net, net_node(net, &node, inputs, 2));
}

struct wide_row {
    enum nx_op op;
    int32_t groups;
};

static void add_wide(struct net *net, uint32_t x, const void *row)
{
    const struct wide_row *r = row;
    static const int64_t twenty = 20, six = 6, three[] = {2, 2}, each[] = {20, 1, 1};
    struct nx_node node = {.op = r->op};
    uint32_t inputs[3] = {x};
    if (r->op == NX_OP_GROUP_NORM) {
        node.attr.group_norm = (struct nx_attr_group_norm){1e-3f, r->groups};
        inputs[1] = net_constant(net, 1, &twenty, 0.5, 1.5);
        inputs[2] = net_constant(net, 1, &twenty, -1, 1);
    } else if (r->op == NX_OP_LAYER_NORM) {
        node.attr.layer_norm = (struct nx_attr_layer_norm){1e-3f, -1, -1};
        inputs[1] = net_constant(net, 1, &six, 0.5, 1.5);
        inputs[2] = net_constant(net, 1, &six, -1, 1);
    } else if (r->op == NX_OP_GATHER) {
        node.attr.gather = (struct nx_attr_gather){.axis = 1, .wrap = r->groups};
        inputs[1] = net_constant(net, 2, three, -3, 30);
    } else if (r->op == NX_OP_GATHER_EACH) {
        struct nx_node places = {.op = NX_OP_UNARY, .attr.unary = {NX_UNARY_MUL, 20, 0}};
        node.attr.gather = (struct nx_attr_gather){.axis = 1, .negative_is_from_end = true};
        inputs[1] = net_node(net, &places, &x, 1);
    } else {
        inputs[1] = x;
        inputs[2] = net_constant(net, 3, each, -1, 1);
        struct nx_node above = {.op = NX_OP_UNARY, .attr.unary = {.fn = NX_UNARY_GT, .a = 0.1f}};
        inputs[0] = net_node(net, &above, &x, 1);
    }
    bool two = r->op == NX_OP_GATHER || r->op == NX_OP_GATHER_EACH;
    net_output(net, net_node(net, &node, inputs, two ? 2 : 3));
}

static void ops_of_several_inputs(void **state)
{
    (void)state;
    bf16_too = true;
    static const struct matmul_row products[] = {{{false, true, false}, false},
                                                 {{true, false, false}, false},
                                                 {{false, false, false}, true},
                                                 {{false, true, false}, true}};
    static const struct wide_row rows[] = {
        {NX_OP_GROUP_NORM, 0}, {NX_OP_GROUP_NORM, 4}, {NX_OP_LAYER_NORM, 0}, {NX_OP_GATHER, 0},
        {NX_OP_GATHER, 1},     {NX_OP_WHERE, 0},      {NX_OP_GATHER_EACH, 0}};
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        compare_op("matrix product", 6, 4, 5, add_matmul, &products[i]);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bf16_too = rows[i].op != NX_OP_WHERE && rows[i].op != NX_OP_GATHER_EACH;
        compare_op(nx_op_name(rows[i].op), 20, 4, 6, add_wide, &rows[i]);
    }
    bf16_too = true;
    compare_op("channel shuffle", 18, 5, 3, add_shuffle, NULL);
}

/* x (N, 20, 4, 6), with 20 filters of each of the groups' channels */
static void add_deconv(struct net *net, uint32_t x, const void *row)
{
    static const int64_t many = 20;
    const struct nx_attr_deconv *a = row;
    const int64_t sides[] = {20, a->filters / a->groups, a->window.kernel[0], a->window.kernel[1]};
    uint32_t inputs[] = {x, net_constant(net, 4, sides, -1, 1), net_constant(net, 1, &many, -1, 1)};
    struct nx_node node = {.op = NX_OP_DECONV, .attr.deconv = *a};
    net_output(net, net_node(net, &node, inputs, 3));
}

static void transposed_convolutions(void **state)
{
    (void)state;
    bf16_too = true;
    static const struct nx_attr_deconv rows[] = {
        {.window = K(2, 2, 2, 1, 0), .groups = 1, .filters = 20},
        {.window = K(4, 3, 2, 1, 1), .extra = {1, 0}, .groups = 4, .filters = 20},
        {.window = K(4, 4, 2, 1, 0), .target = {8, 12}, .groups = 20, .filters = 20},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_op("transposed convolution", 20, 4, 6, add_deconv, &rows[i]);
}

static void the_other_ops(void **state)
{
    (void)state;
    static const int64_t one = 1, all = 20;
    compare_op("prelu", 20, 4, 6, add_prelu, &one);
    compare_op("prelu", 20, 4, 6, add_prelu, &all);
    static const struct nx_node rows[] = {
        {.op = NX_OP_LRN, .attr.lrn = {.size = 5, .alpha = 0.1f, .beta = 0.75f, .knorm = 2}},
        {.op = NX_OP_SOFTMAX, .attr.softmax = {.axis = 1, .temperature = 1}},
        {.op = NX_OP_SOFTMAX, .attr.softmax = {.axis = -1, .log = true, .temperature = 2}},
        {.op = NX_OP_RESHAPE, .attr.reshape = {.kind = NX_RESHAPE_FLATTEN}},
        {.op = NX_OP_IDENTITY},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_MEAN, .n = 2, .axes = {2, 3}}},
        {.op = NX_OP_REDUCE,
         .attr.reduce = {.kind = NX_REDUCE_MEAN, .keepdims = true, .n = 2, .axes = {2, 3}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_MAX, .n = 2, .axes = {2, 3}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_SUM, .n = 1, .axes = {-1}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_MEAN, .n = 1, .axes = {1}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_SUM, .n = 2, .axes = {1, 3}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_MIN, .n = 1, .axes = {2}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_PROD, .n = 1, .axes = {2}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_NORM, .n = 3, .axes = {1, 2, 3}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_ARGMAX, .n = 1, .axes = {1}}},
        {.op = NX_OP_REDUCE, .attr.reduce = {.kind = NX_REDUCE_ARGMIN, .n = 1, .axes = {3}}},
        {.op = NX_OP_SPLIT, .n_outputs = 2, .attr.split = {.axis = 2}},
        {.op = NX_OP_SPLIT, .n_outputs = 6, .attr.split = {.axis = 3, .squeeze = true}},
        {.op = NX_OP_SLICE, .attr.slice = {.n = 2, .ranges = {{1, 3, 20, 1}, {3, -5, -1, 1}}}},
        {.op = NX_OP_SLICE, .attr.slice = {.n = 2, .ranges = {{1, 18, 2, -3}, {3, 0, 6, 2}}}},
        {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 4, .axes = {0, 3, 1, 2}}},
        {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 4, .axes = {0, 3, 2, 1}}},
        {.op = NX_OP_TRANSPOSE,
         .attr.transpose = {.kind = NX_TRANSPOSE_SWAP, .n = 2, .axes = {1, 2}}},
        {.op = NX_OP_LAYER_NORM, .attr.layer_norm = {1e-5f, -1, -1}},
        {.op = NX_OP_LAYER_NORM, .attr.layer_norm = {1e-3f, 1, 1}},
        {.op = NX_OP_TILE, .attr.tile = {NX_TILE_REPEAT, 3, {2, 1, 3}}},
        {.op = NX_OP_RESIZE,
         .attr.resize = {NX_RESIZE_NEAREST, NX_PLACE_ASYMMETRIC, NX_ROUND_FLOOR, {0}, {2, 3}, {0}}},
        {.op = NX_OP_RESIZE,
         .attr.resize = {NX_RESIZE_LINEAR, NX_PLACE_HALF_PIXEL, NX_ROUND_FLOOR, {7, 5}, {0}, {0}}},
        {.op = NX_OP_SOFTMAX, .attr.softmax = {.axis = NX_AXIS_REST, .temperature = 1}},
        {.op = NX_OP_SOFTMAX, .attr.softmax = {.axis = 3, .temperature = 0.5f}},
        {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_AVG, .cells = {2, 3}}},
        {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_AVG, .cells = {3, 4}}},
        {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_LP, .p = 2, .window = K(2, 2, 2, 1, 0)}},
        {.op = NX_OP_SPLIT, .n_outputs = 4, .attr.split = {.axis = 1}},
        {.op = NX_OP_SLICE, .attr.slice = {.n = 1, .ranges = {{2, 1, 3, 1}}}},
        {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 4, .axes = {0, 2, 3, 1}}},
        {.op = NX_OP_PAD,
         .attr.pad =
             {.mode = NX_PAD_REFLECT, .n = 4, .before = {0, 0, 1, 2}, .after = {0, 0, 2, 1}}},
        {.op = NX_OP_L2_NORM, .attr.l2_norm = {.mode = NX_L2_CHANNEL, .eps = 1e-10f}},
        {.op = NX_OP_TOPK, .attr.topk = {.axis = 1, .k = 3}},
        {.op = NX_OP_TOPK, .attr.topk = {NX_TOPK_INDICES, true, 3, 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool index = (rows[i].op == NX_OP_REDUCE && rows[i].attr.reduce.kind >= NX_REDUCE_ARGMAX) ||
                     (rows[i].op == NX_OP_TOPK && rows[i].attr.topk.gives == NX_TOPK_INDICES);
        bf16_too = !index;
        compare_op(nx_op_name(rows[i].op), 20, 4, 6, add_node_row, &rows[i]);
    }
}

static int print_machine(void **state)
{
    (void)state;
    print_message("# oneDNN %s, %s, bf16 %s\n", nx_dnnl_version(), nx_dnnl_isa(),
                  nx_dnnl_has_bf16() ? "yes" : "no");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(winograd),
        cmocka_unit_test(fully_connected),
        cmocka_unit_test(normalisations),
        cmocka_unit_test(pools),
        cmocka_unit_test(unary_functions),
        cmocka_unit_test(roundings_to_steps),
        cmocka_unit_test(unary_functions_where_they_are_defined),
        cmocka_unit_test(binaries),
        cmocka_unit_test(concats),
        cmocka_unit_test(concats_of_blocks_lie_together_from_the_start),
        cmocka_unit_test(gates_of_odd_channels),
        cmocka_unit_test(rows_of_channels_between_convolutions),
        cmocka_unit_test(ops_of_several_inputs),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(the_other_ops),
    };
    return cmocka_run_group_tests_name("dnnl_ops", tests, print_machine, NULL);
}
