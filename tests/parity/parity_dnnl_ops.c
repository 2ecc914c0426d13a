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

#define K(kh, kw, s, d, p)                \
    {                                     \
        {kh, kw}, {s, s}, {d, d}, {p, p}, \
        {                                 \
            p, p                          \
        }                                 \
    }

static void convolutions(void **state)
{
    (void)state;
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

static void fully_connected(void **state)
{
    (void)state;
    compare_op("fc", 19, 3, 5, add_flat_fc, NULL);
    compare_op("fc over the last dimension", 19, 3, 5, add_last_fc, NULL);
    compare_op("fc with a sum", 19, 3, 5, add_fc_sum, NULL);
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

static void unary_functions(void **state)
{
    (void)state;
    for (int fn = NX_UNARY_RELU; fn < NX_UNARY_COUNT; fn++) {
        struct nx_attr_unary u = {.fn = (enum nx_unary)fn, .a = 0.25f, .b = 0.75f};
        if (fn == NX_UNARY_POW)
            u.a = 2; /* of negative numbers too */
        if (fn == NX_UNARY_LOG || fn == NX_UNARY_SQRT || fn == NX_UNARY_RDIV)
            continue; /* defined on a part of the line: below */
        compare_op(nx_unary_name(u.fn), 19, 4, 3, add_unary, &u);
    }
}

static void add_unary_of_positive(struct net *net, uint32_t x, const void *row)
{
    struct nx_node shift = {.op = NX_OP_UNARY, .attr.unary = {.fn = NX_UNARY_EXP}};
    add_unary(net, net_node(net, &shift, &x, 1), row);
}

static void unary_functions_of_positive_numbers(void **state)
{
    (void)state;
    static const enum nx_unary fns[] = {NX_UNARY_LOG, NX_UNARY_SQRT, NX_UNARY_RDIV, NX_UNARY_POW};
    for (size_t i = 0; i < 4; i++) {
        struct nx_attr_unary u = {.fn = fns[i], .a = 0.7f};
        compare_op(nx_unary_name(u.fn), 19, 4, 3, add_unary_of_positive, &u);
    }
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
    static const struct binary_row rows[] = {
        {NX_BINARY_ADD, false, 4, {1, 19, 1, 1}}, {NX_BINARY_MUL, true, 4, {1, 19, 1, 1}},
        {NX_BINARY_SUB, false, 1, {1}},           {NX_BINARY_SUB, true, 1, {1}},
        {NX_BINARY_DIV, false, 3, {19, 1, 1}},    {NX_BINARY_DIV, true, 3, {19, 1, 1}},
        {NX_BINARY_MAX, false, 2, {4, 3}},        {NX_BINARY_MIN, true, 4, {1, 1, 4, 1}},
        {NX_BINARY_ADD, false, 0, {0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_op("binary with a constant", 19, 4, 3, add_binary, &rows[i]);
    static const enum nx_binary kinds[] = {NX_BINARY_ADD, NX_BINARY_SUB, NX_BINARY_MUL};
    for (size_t i = 0; i < 3; i++) {
        struct nx_attr_binary a = {.kind = kinds[i]};
        compare_op("binary", 19, 4, 3, add_computed_binary, &a);
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
    for (int32_t axis = 1; axis < 4; axis++) {
        struct nx_attr_concat a = {.axis = axis};
        compare_op("concat", 19, 4, 3, add_concat, &a);
    }
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
        {.op = NX_OP_SPLIT, .n_outputs = 4, .attr.split = {.axis = 1}},
        {.op = NX_OP_SLICE, .attr.slice = {.n = 1, .ranges = {{2, 1, 3, 1}}}},
        {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 4, .axes = {0, 2, 3, 1}}},
        {.op = NX_OP_PAD,
         .attr.pad =
             {.mode = NX_PAD_REFLECT, .n = 4, .before = {0, 0, 1, 2}, .after = {0, 0, 2, 1}}},
        {.op = NX_OP_L2_NORM, .attr.l2_norm = {.mode = NX_L2_CHANNEL, .eps = 1e-10f}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        compare_op(nx_op_name(rows[i].op), 20, 4, 6, add_node_row, &rows[i]);
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
        cmocka_unit_test(unary_functions_of_positive_numbers),
        cmocka_unit_test(binaries),
        cmocka_unit_test(concats),
        cmocka_unit_test(the_other_ops),
    };
    return cmocka_run_group_tests_name("dnnl_ops", tests, print_machine, NULL);
}
