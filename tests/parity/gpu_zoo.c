#include "gpu_zoo.h"

#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"

static const struct nx_window three = {
    .kernel = {3, 3}, .stride = {1, 1}, .dilate = {1, 1}, .before = {1, 1}, .after = {1, 1}};
static const struct nx_window halving = {
    .kernel = {3, 3}, .stride = {2, 2}, .dilate = {1, 1}, .before = {1, 1}, .after = {1, 1}};

static uint32_t unary(struct net *net, uint32_t x, enum nx_unary fn, float a, float b)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {fn, a, b}};
    return net_node(net, &node, &x, 1);
}

static uint32_t binary(struct net *net, enum nx_binary kind, uint32_t x, uint32_t y)
{
    struct nx_node node = {.op = NX_OP_BINARY, .attr.binary.kind = kind};
    const uint32_t inputs[] = {x, y};
    return net_node(net, &node, inputs, 2);
}

static uint32_t concat(struct net *net, const uint32_t *inputs, uint32_t n)
{
    struct nx_node node = {.op = NX_OP_CONCAT, .attr.concat.axis = 1};
    return net_node(net, &node, inputs, n);
}

static uint32_t pool(struct net *net, uint32_t x, enum nx_pool kind, bool global)
{
    struct nx_node node = {.op = NX_OP_POOL,
                           .attr.pool = {.kind = kind,
                                         .global = global,
                                         .rounding = NX_ROUND_UP,
                                         .include_pad = true,
                                         .p = 2,
                                         .window = {.kernel = {3, 3},
                                                    .stride = {2, 2},
                                                    .dilate = {1, 1},
                                                    .before = {1, 0},
                                                    .after = {1, 0}}}};
    return net_node(net, &node, &x, 1);
}

static uint32_t batch_norm(struct net *net, uint32_t x, int64_t c)
{
    struct nx_node node = {.op = NX_OP_BATCH_NORM, .attr.batch_norm = {.eps = 1e-3f, .axis = 1}};
    const uint32_t inputs[] = {x, net_constant(net, 1, &c, 0.5, 1.5),
                               net_constant(net, 1, &c, -1, 1), net_constant(net, 1, &c, -1, 1),
                               net_constant(net, 1, &c, 0.5, 1.5)};
    return net_node(net, &node, inputs, 5);
}

static uint32_t fc(struct net *net, uint32_t x, int64_t width, int64_t units)
{
    const int64_t dims[] = {units, width};
    struct nx_node node = {.op = NX_OP_FC, .attr.fc = {.units = units, .flatten = true}};
    const uint32_t inputs[] = {x, net_constant(net, 2, dims, -0.3, 0.3),
                               net_constant(net, 1, &units, -1, 1)};
    return net_node(net, &node, inputs, 3);
}

static void softmax_output(struct net *net, uint32_t x)
{
    struct nx_node node = {.op = NX_OP_SOFTMAX, .attr.softmax = {.axis = 1, .temperature = 1}};
    net_output(net, net_node(net, &node, &x, 1));
}

static uint32_t conv(struct net *net, uint32_t x, int64_t c, int64_t k, const struct nx_window *w,
                     int32_t groups)
{
    return net_conv(net, x, c, k, w, groups, false, NX_NONE, NX_UNARY_NONE);
}

/* v1: conv, bn, relu, conv, bn, + shortcut, relu; the input has three channels. */
static void resnet_v1(struct net *net)
{
    uint32_t x = net_source(net, false, 3, 13, 13);
    x = unary(net, batch_norm(net, conv(net, x, 3, 16, &halving, 1), 16), NX_UNARY_RELU, 0, 0);
    x = pool(net, x, NX_POOL_MAX, false);
    uint32_t y = conv(net, x, 16, 16, &three, 1);
    y = unary(net, batch_norm(net, y, 16), NX_UNARY_RELU, 0, 0);
    y = batch_norm(net, conv(net, y, 16, 16, &three, 1), 16);
    x = unary(net, binary(net, NX_BINARY_ADD, y, x), NX_UNARY_RELU, 0, 0);
    y = unary(net, conv(net, x, 16, 16, &net_one_by_one, 1), NX_UNARY_RELU, 0, 0);
    y = conv(net, y, 16, 16, &three, 1);
    x = unary(net, binary(net, NX_BINARY_ADD, x, y), NX_UNARY_RELU, 0, 0);
    softmax_output(net, fc(net, pool(net, x, NX_POOL_AVG, true), 16, 10));
}

/* v2: bn on the input and before each convolution, which do not fold. */
static void resnet_v2(struct net *net)
{
    uint32_t x = batch_norm(net, net_source(net, false, 3, 9, 9), 3);
    x = conv(net, x, 3, 16, &three, 1);
    uint32_t y = unary(net, batch_norm(net, x, 16), NX_UNARY_RELU, 0, 0);
    y = conv(net, y, 16, 16, &three, 1);
    x = binary(net, NX_BINARY_ADD, y, x);
    x = unary(net, batch_norm(net, x, 16), NX_UNARY_RELU, 0, 0);
    net_output(net, fc(net, x, 16 * 81, 7));
}

/* Depthwise, ReLU6, and a squeeze-and-excite with a hard sigmoid. */
static void mobilenet(struct net *net)
{
    uint32_t x = net_source(net, false, 3, 10, 10);
    x = unary(net, conv(net, x, 3, 24, &halving, 1), NX_UNARY_CLIP, 0, 6);
    x = unary(net, conv(net, x, 24, 24, &three, 24), NX_UNARY_HARD_SWISH, 1 / 6.0f, 0.5f);
    uint32_t s = conv(net, pool(net, x, NX_POOL_AVG, true), 24, 8, &net_one_by_one, 1);
    s = unary(net, s, NX_UNARY_RELU, 0, 0);
    s = conv(net, s, 8, 24, &net_one_by_one, 1);
    x = binary(net, NX_BINARY_MUL, x, unary(net, s, NX_UNARY_HARD_SIGMOID, 0.2f, 0.5f));
    x = conv(net, x, 24, 5, &net_one_by_one, 1);
    struct nx_node flatten = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_FLATTEN};
    net_output(net, net_node(net, &flatten, &x, 1));
}

/* Concats, also of an odd number of channels, ceil pooling, a depthwise convolution of the image. */
static void densenet(struct net *net)
{
    uint32_t in = net_source(net, false, 3, 8, 8), x = conv(net, in, 3, 3, &three, 3);
    for (int64_t c = 3; c < 15; c += 5) {
        uint32_t y = unary(net, batch_norm(net, x, c), NX_UNARY_RELU, 0, 0);
        const uint32_t both[] = {x, conv(net, y, c, 5, &three, 1)};
        x = concat(net, both, 2);
    }
    x = pool(net, x, NX_POOL_AVG, false);
    softmax_output(net, fc(net, pool(net, x, NX_POOL_MAX, true), 18, 4));
}

/* Split, transpose and reshape, as ShuffleNet shuffles channels; grouped convolutions; LRN. */
static void shufflenet(struct net *net)
{
    uint32_t x = conv(net, net_source(net, false, 4, 6, 6), 4, 16, &three, 2);
    struct nx_node split = {.op = NX_OP_SPLIT, .n_outputs = 2, .attr.split.axis = 1};
    uint32_t left = net_node(net, &split, &x, 1);
    const uint32_t both[] = {conv(net, left + 1, 8, 8, &three, 4), left};
    x = concat(net, both, 2);
    struct nx_node apart = {.op = NX_OP_RESHAPE,
                            .attr.reshape = {.n = 5, .codes = {0, 2, 8, 6, 6}}};
    struct nx_node swap = {.op = NX_OP_TRANSPOSE,
                           .attr.transpose = {.n = 5, .axes = {0, 2, 1, 3, 4}}};
    struct nx_node back = {.op = NX_OP_RESHAPE, .attr.reshape = {.n = 4, .codes = {0, 16, 6, 6}}};
    x = net_node(net, &apart, &x, 1);
    x = net_node(net, &swap, &x, 1);
    x = net_node(net, &back, &x, 1);
    struct nx_node lrn = {.op = NX_OP_LRN, .attr.lrn = {5, 1e-2f, 0.75f, 2}};
    x = net_node(net, &lrn, &x, 1);
    net_output(net, conv(net, x, 16, 8, &halving, 1));
}

const struct gpu_zoo_net gpu_zoo[GPU_ZOO] = {
    {"resnet v1", resnet_v1}, {"resnet v2", resnet_v2},   {"mobilenet", mobilenet},
    {"densenet", densenet},   {"shufflenet", shufflenet},
};

void gpu_zoo_passes(struct net *net, const char *name)
{
    struct nx_err err = {0};
    net_infer(net);
    enum nx_status status = nx_shape_infer(&net->graph, 2, &err);
    if (status == NX_OK)
        status = nx_pass_run(&net->graph, NX_PASS_ALL, &nx_backend_cpu_ref, &err);
    if (status == NX_OK)
        status = nx_shape_infer(&net->graph, 1, &err);
    if (status != NX_OK)
        fail_msg("%s: %s", name, err.text);
}

void gpu_zoo_open(struct net *net, size_t i)
{
    net_open(net, 1 + i);
    gpu_zoo[i].make(net);
    gpu_zoo_passes(net, gpu_zoo[i].name);
}
