#include "gpu_check.h"

static struct nx_window square(int32_t kernel, int32_t stride)
{
    int32_t pad = kernel / 2;
    return (struct nx_window){.kernel = {kernel, kernel},
                              .stride = {stride, stride},
                              .dilate = {1, 1},
                              .before = {pad, pad},
                              .after = {pad, pad}};
}

static uint32_t conv(struct net *net, uint32_t x, int64_t c, int64_t k, int32_t kernel,
                     int32_t stride, uint32_t residual, enum nx_unary act)
{
    struct nx_window w = square(kernel, stride);
    return net_conv(net, x, c, k, &w, 1, true, residual, act);
}

static uint32_t pool(struct net *net, uint32_t x, enum nx_pool kind, bool global)
{
    struct nx_node node = {.op = NX_OP_POOL,
                           .attr.pool = {.kind = kind, .global = global, .window = square(3, 2)}};
    return net_node(net, &node, &x, 1);
}

/* 1x1, 3x3, 1x1 and the way around; the shortcut's convolution first, since its place is overwritten. */
static uint32_t bottleneck(struct net *net, uint32_t x, int64_t c, int64_t k, int32_t stride)
{
    uint32_t around = c == k * 4 ? x : conv(net, x, c, k * 4, 1, stride, NX_NONE, NX_UNARY_NONE);
    uint32_t y = conv(net, x, c, k, 1, 1, NX_NONE, NX_UNARY_RELU);
    y = conv(net, y, k, k, 3, stride, NX_NONE, NX_UNARY_RELU);
    return conv(net, y, k, k * 4, 1, 1, around, NX_UNARY_RELU);
}

void gpu_check_resnet50(struct net *net)
{
    static const int blocks[] = {3, 4, 6, 3};
    const int64_t dims[] = {0, 3, 224, 224}, weight[] = {1000, 2048}, units = 1000;
    uint32_t x = net_input(net, 4, dims);
    x = pool(net, conv(net, x, 3, 64, 7, 2, NX_NONE, NX_UNARY_RELU), NX_POOL_MAX, false);
    int64_t c = 64, k = 64;
    for (int stage = 0; stage < 4; stage++, k *= 2)
        for (int i = 0; i < blocks[stage]; i++, c = k * 4)
            x = bottleneck(net, x, c, k, i == 0 && stage ? 2 : 1);
    struct nx_node fc = {.op = NX_OP_FC, .attr.fc = {.units = units, .flatten = true}};
    const uint32_t inputs[] = {pool(net, x, NX_POOL_AVG, true),
                               net_constant(net, 2, weight, -0.03, 0.03),
                               net_constant(net, 1, &units, -1, 1)};
    net_output(net, net_node(net, &fc, inputs, 3));
}
