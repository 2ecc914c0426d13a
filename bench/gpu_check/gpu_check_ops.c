/* One net for each op, the shapes odd on purpose. */
#include "gpu_check.h"

static void conv_with(struct net *net, int64_t c, int64_t k, struct nx_window w, int32_t groups,
                      enum nx_unary act)
{
    uint32_t x = net_source(net, false, c, 11, 9);
    net_output(net, net_conv(net, x, c, k, &w, groups, true, NX_NONE, act));
}

#define CONV(name, c, k, groups, act, ...)                                  \
    static void name(struct net *net)                                       \
    {                                                                       \
        conv_with(net, c, k, (struct nx_window){__VA_ARGS__}, groups, act); \
    }
CONV(conv_1x1, 16, 24, 1, NX_UNARY_RELU, .kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1})
CONV(conv_3x3, 16, 24, 1, NX_UNARY_RELU, .kernel = {3, 3}, .stride = {1, 1}, .dilate = {1, 1},
     .before = {1, 1}, .after = {1, 1})
CONV(conv_of_3, 3, 32, 1, NX_UNARY_LEAKY, .kernel = {7, 7}, .stride = {2, 2}, .dilate = {1, 1},
     .before = {3, 3}, .after = {3, 3})
CONV(conv_odd, 13, 7, 1, NX_UNARY_NONE, .kernel = {3, 2}, .stride = {2, 1}, .dilate = {1, 1})
CONV(conv_dilated, 16, 16, 1, NX_UNARY_SIGMOID, .kernel = {3, 3}, .stride = {1, 1},
     .dilate = {2, 2}, .before = {2, 2}, .after = {2, 2})
CONV(conv_grouped, 32, 32, 4, NX_UNARY_RELU, .kernel = {3, 3}, .stride = {1, 1}, .dilate = {1, 1},
     .before = {1, 1}, .after = {1, 1})
CONV(conv_depthwise, 24, 24, 24, NX_UNARY_RELU, .kernel = {3, 3}, .stride = {2, 2},
     .dilate = {1, 1}, .before = {1, 1}, .after = {1, 1})
#undef CONV

static void residual(struct net *net)
{
    uint32_t x = net_source(net, true, 16, 8, 8), y = net_source(net, true, 16, 8, 8);
    net_output(net, net_conv(net, x, 16, 16, &net_one_by_one, 1, true, y, NX_UNARY_RELU));
}

static void pool_with(struct net *net, enum nx_pool kind, bool global, int64_t cells)
{
    struct nx_node node = {
        .op = NX_OP_POOL,
        .attr.pool = {
            .kind = kind,
            .global = global,
            .rounding = NX_ROUND_UP,
            .p = 2,
            .cells = {cells, cells},
            .window = {.kernel = {3, 2},
                       .stride = {2, 2},
                       .dilate = {1, 1},
                       .before = {1, 0},
                       .after = {1, 0}}}}; /* no window is empty: its -FLT_MAX is -inf in f16 */
    uint32_t x = net_source(net, true, 10, 9, 8);
    net_output(net, net_node(net, &node, &x, 1));
}

#define POOL(name, kind, global, cells)      \
    static void name(struct net *net)        \
    {                                        \
        pool_with(net, kind, global, cells); \
    }
POOL(pool_max, NX_POOL_MAX, false, 0)
POOL(pool_avg, NX_POOL_AVG, false, 0)
POOL(pool_lp, NX_POOL_LP, false, 0)
POOL(pool_global, NX_POOL_AVG, true, 0)
POOL(pool_cells, NX_POOL_AVG, false, 4)
#undef POOL

static void of_one(struct net *net, const struct nx_node *node)
{
    uint32_t x = net_source(net, true, 12, 5, 7);
    net_output(net, net_node(net, node, &x, 1));
}

static void softmax_channels(struct net *net)
{
    of_one(net,
           &(struct nx_node){.op = NX_OP_SOFTMAX, .attr.softmax = {.axis = 1, .temperature = 1}});
}

static void softmax_log_all(struct net *net)
{
    of_one(net, &(struct nx_node){
                    .op = NX_OP_SOFTMAX,
                    .attr.softmax = {.axis = NX_AXIS_REST, .log = true, .temperature = 2}});
}

static void lrn(struct net *net)
{
    of_one(net, &(struct nx_node){.op = NX_OP_LRN, .attr.lrn = {5, 1e-2f, 0.75f, 1}});
}

static void transpose(struct net *net)
{
    of_one(net, &(struct nx_node){.op = NX_OP_TRANSPOSE,
                                  .attr.transpose = {.n = 4, .axes = {0, 3, 1, 2}}});
}

/* Functions that take any x; a device's own exp and erf differ in the last bits. */
static void unaries(struct net *net)
{
    static const enum nx_unary fns[] = {NX_UNARY_RELU,       NX_UNARY_GELU, NX_UNARY_TANH,
                                        NX_UNARY_HARD_SWISH, NX_UNARY_ELU,  NX_UNARY_SWISH,
                                        NX_UNARY_SOFTRELU,   NX_UNARY_MISH};
    uint32_t x = net_source(net, true, 6, 5, 5);
    for (size_t i = 0; i < sizeof fns / sizeof *fns; i++) {
        struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {fns[i], 0.3f, 0.6f}};
        net_output(net, net_node(net, &node, &x, 1));
    }
}

/* The second reads an image whose three channels have become eight, and writes one. */
static void padded(struct net *net)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {NX_UNARY_ADD, 0.3f, 0}};
    uint32_t x = net_source(net, false, 3, 6, 5);
    x = net_node(net, &node, &x, 1);
    x = net_node(net, &node, &x, 1);
    net_output(net, net_conv(net, x, 3, 8, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE));
}

static void broadcast(struct net *net)
{
    const int64_t dims[] = {1, 9, 1, 4};
    struct nx_node node = {.op = NX_OP_BINARY, .attr.binary.kind = NX_BINARY_MUL};
    const uint32_t inputs[] = {net_source(net, true, 9, 3, 4), net_constant(net, 4, dims, -1, 1)};
    net_output(net, net_node(net, &node, inputs, 2));
}

const struct gpu_check_op gpu_check_ops[] = {
    {"conv 1x1", conv_1x1},
    {"conv 3x3", conv_3x3},
    {"conv 7x7 of 3 channels", conv_of_3},
    {"conv of odd shape", conv_odd},
    {"conv dilated, sigmoid", conv_dilated},
    {"conv grouped", conv_grouped},
    {"conv depthwise", conv_depthwise},
    {"conv + residual", residual},
    {"pool max", pool_max},
    {"pool avg", pool_avg},
    {"pool lp", pool_lp},
    {"pool global", pool_global},
    {"pool adaptive", pool_cells},
    {"softmax over channels", softmax_channels},
    {"log softmax over all", softmax_log_all},
    {"lrn", lrn},
    {"transpose", transpose},
    {"eight functions", unaries},
    {"functions of 3 channels", padded},
    {"multiply, broadcast", broadcast},
};
const unsigned gpu_check_n_ops = sizeof gpu_check_ops / sizeof *gpu_check_ops;
