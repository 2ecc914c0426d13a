/* nx_net.h — small graphs for tests, built in a few words, with seeded weights. */
#ifndef NX_NET_H
#define NX_NET_H

#include "nx_test.h"

#include "categorizer/backend.h"
#include "categorizer/graph/shape.h"
#include "common/prng.h"

struct nx_net {
    struct nx_arena arena;
    struct nx_graph graph;
    struct nx_prng prng;
    struct nx_err err;
};

static inline void nx_net_open(struct nx_net *net, uint64_t seed)
{
    *net = (struct nx_net){.err.status = NX_OK};
    nx_arena_init(&net->arena, 64 << 20);
    nx_graph_init(&net->graph, &net->arena);
    nx_prng_init(&net->prng, seed);
}

static inline void nx_net_close(struct nx_net *net)
{
    nx_arena_free(&net->arena);
}

static inline float nx_net_uniform(struct nx_net *net, float low, float high)
{
    return low + (high - low) * (float)nx_prng_unit(&net->prng);
}

/* The input (N, c, h, w); rank 2 and (N, c) if h is 0. */
static inline uint32_t nx_net_input(struct nx_net *net, int64_t c, int64_t h, int64_t w)
{
    uint32_t t;
    assert_int_equal(nx_graph_add_tensor(&net->graph, NX_TENSOR_INPUT, "data", &t, &net->err),
                     NX_OK);
    net->graph.tensors[t].shape = (struct nx_shape){h ? 4 : 2, {1, c, h, w}};
    return t;
}

static inline uint32_t nx_net_constant(struct nx_net *net, struct nx_shape shape, float low,
                                       float high)
{
    uint64_t n = 0;
    uint32_t t;
    assert_true(nx_shape_elements(&shape, &n));
    float *data = nx_arena_array(&net->arena, n, sizeof *data);
    assert_non_null(data);
    for (uint64_t i = 0; i < n; i++)
        data[i] = nx_net_uniform(net, low, high);
    assert_int_equal(nx_graph_add_constant(&net->graph, "constant", &shape, data, &t, &net->err),
                     NX_OK);
    return t;
}

static inline uint32_t nx_net_vector(struct nx_net *net, int64_t n, float low, float high)
{
    return nx_net_constant(net, (struct nx_shape){1, {n}}, low, high);
}

/* Adds the node and infers what is there so far; the first output. */
static inline uint32_t nx_net_add(struct nx_net *net, struct nx_node node, uint32_t *inputs,
                                  uint32_t n)
{
    uint32_t at;
    node.name = "node";
    node.inputs = inputs;
    node.n_inputs = n;
    node.n_outputs = node.n_outputs ? node.n_outputs : 1;
    if (nx_graph_add_node(&net->graph, &node, &at, &net->err) != NX_OK)
        fail_msg("%s", net->err.text);
    return net->graph.nodes[at].outputs[0];
}

static inline uint32_t nx_net_conv(struct nx_net *net, uint32_t x, int64_t in, int64_t out,
                                   int32_t kernel, bool bias)
{
    struct nx_node node = {.op = NX_OP_CONV};
    int32_t pad = kernel / 2;
    node.attr.conv =
        (struct nx_attr_conv){{{kernel, kernel}, {1, 1}, {1, 1}, {pad, pad}, {pad, pad}}, 1, out};
    struct nx_shape weight = {4, {out, in, kernel, kernel}};
    uint32_t inputs[3] = {x, nx_net_constant(net, weight, -0.3f, 0.3f), 0};
    if (bias)
        inputs[2] = nx_net_vector(net, out, -0.5f, 0.5f);
    return nx_net_add(net, node, inputs, bias ? 3 : 2);
}

static inline uint32_t nx_net_fc(struct nx_net *net, uint32_t x, int64_t in, int64_t out)
{
    struct nx_node node = {.op = NX_OP_FC, .attr.fc = {out, true}};
    struct nx_shape weight = {2, {out, in}};
    uint32_t inputs[] = {x, nx_net_constant(net, weight, -0.3f, 0.3f)};
    return nx_net_add(net, node, inputs, 2);
}

static inline uint32_t nx_net_bn(struct nx_net *net, uint32_t x, int64_t channels)
{
    struct nx_node node = {.op = NX_OP_BATCH_NORM, .attr.batch_norm = {1e-5f, false, 1}};
    uint32_t inputs[] = {
        x, nx_net_vector(net, channels, 0.5f, 1.5f), nx_net_vector(net, channels, -0.5f, 0.5f),
        nx_net_vector(net, channels, -0.5f, 0.5f), nx_net_vector(net, channels, 0.5f, 1.5f)};
    return nx_net_add(net, node, inputs, 5);
}

static inline uint32_t nx_net_unary(struct nx_net *net, uint32_t x, enum nx_unary fn, float a)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {fn, a, 1}};
    return nx_net_add(net, node, &x, 1);
}

static inline uint32_t nx_net_binary(struct nx_net *net, enum nx_binary kind, uint32_t a,
                                     uint32_t b)
{
    struct nx_node node = {.op = NX_OP_BINARY, .attr.binary.kind = kind};
    uint32_t inputs[] = {a, b};
    return nx_net_add(net, node, inputs, 2);
}

static inline void nx_net_outputs(struct nx_net *net, uint32_t *outputs, uint32_t n)
{
    uint32_t input = 0; /* nx_net_input comes first */
    assert_int_equal(nx_graph_set_io(&net->graph, &input, 1, outputs, n, &net->err), NX_OK);
}

static inline void nx_net_infer(struct nx_net *net, uint32_t batch)
{
    if (nx_shape_infer(&net->graph, batch, &net->err) != NX_OK)
        fail_msg("%s", net->err.text);
}

#endif
