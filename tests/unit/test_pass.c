#include "categorizer/graph/pass.h"
#include "nx_net.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 4, SIDE = 5, TENSORS_MAX = 40, OUTPUTS_MAX = 3, BATCH = 2 };

static uint32_t count(const struct nx_net *net, enum nx_op op)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < net->graph.n_nodes; i++)
        n += net->graph.nodes[i].op == op;
    return n;
}

static void run_passes(struct nx_net *net, unsigned passes)
{
    nx_net_infer(net, BATCH);
    if (nx_pass_run(&net->graph, passes, &nx_backend_cpu_ref, &net->err) != NX_OK)
        fail_msg("%s", net->err.text);
    assert_true(nx_graph_is_sound(&net->graph));
    assert_int_equal(net->graph.batch, BATCH);
}

static void conv_bn_relu_becomes_one_node(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 1);
    uint32_t x = nx_net_input(&net, 3, SIDE, SIDE);
    uint32_t y = nx_net_bn(&net, nx_net_conv(&net, x, 3, 8, 3, false), 8);
    y = nx_net_unary(&net, y, NX_UNARY_RELU, 0);
    nx_net_outputs(&net, &y, 1);
    run_passes(&net, NX_PASS_ALL);
    assert_int_equal(net.graph.n_nodes, 1);
    assert_int_equal(net.graph.nodes[0].op, NX_OP_CONV);
    assert_true(nx_node_has_bias(&net.graph.nodes[0]));
    assert_int_equal(net.graph.nodes[0].post.act.fn, NX_UNARY_RELU);
    assert_int_equal(net.graph.n_tensors, 4); /* data, weight, bias, output: the rest is gone */
    nx_net_close(&net);
}

/* x → conv, bn, relu → conv, bn → + x → relu: two nodes, and the second sums into x's place. */
static void a_residual_block_of_v1_sums_in_place(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 2);
    uint32_t x = nx_net_conv(&net, nx_net_input(&net, 3, SIDE, SIDE), 3, 8, 3, true);
    uint32_t y = nx_net_bn(&net, nx_net_conv(&net, x, 8, 8, 3, false), 8);
    y = nx_net_conv(&net, nx_net_unary(&net, y, NX_UNARY_RELU, 0), 8, 8, 3, false);
    y = nx_net_binary(&net, NX_BINARY_ADD, nx_net_bn(&net, y, 8), x);
    y = nx_net_unary(&net, y, NX_UNARY_RELU, 0);
    nx_net_outputs(&net, &y, 1);
    run_passes(&net, NX_PASS_ALL);
    assert_int_equal(net.graph.n_nodes, 3);
    const struct nx_node *block = &net.graph.nodes[2];
    assert_true(block->post.sum);
    assert_int_equal(block->n_inputs, 4);
    assert_int_equal(block->inputs[3], net.graph.nodes[0].outputs[0]);
    assert_int_equal(block->post.act.fn, NX_UNARY_RELU);
    nx_net_close(&net);
}

/* Zero padding comes after the shift: bn, relu, conv stays scale-shift(relu), conv. */
static void bn_before_a_convolution_is_not_folded_forward(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 3);
    uint32_t x = nx_net_bn(&net, nx_net_input(&net, 3, SIDE, SIDE), 3);
    uint32_t y = nx_net_conv(&net, nx_net_unary(&net, x, NX_UNARY_RELU, 0), 3, 8, 3, false);
    nx_net_outputs(&net, &y, 1);
    run_passes(&net, NX_PASS_ALL);
    assert_int_equal(net.graph.n_nodes, 2);
    assert_int_equal(net.graph.nodes[0].op, NX_OP_SCALE_SHIFT);
    assert_int_equal(net.graph.nodes[0].post.act.fn, NX_UNARY_RELU);
    assert_int_equal(net.graph.nodes[1].op, NX_OP_CONV);
    nx_net_close(&net);
}

/* A convolution cannot write where it still reads. */
static void a_convolution_of_its_own_residual_does_not_sum_in_place(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 6);
    uint32_t x = nx_net_conv(&net, nx_net_input(&net, 3, SIDE, SIDE), 3, 8, 3, true);
    uint32_t y = nx_net_binary(&net, NX_BINARY_ADD, nx_net_conv(&net, x, 8, 8, 3, true), x);
    nx_net_outputs(&net, &y, 1);
    run_passes(&net, NX_PASS_ALL);
    assert_int_equal(net.graph.n_nodes, 3);
    assert_false(net.graph.nodes[1].post.sum);
    nx_net_close(&net);
}

/* What somebody else still reads is neither folded into nor overwritten. */
static void shared_results_are_left_alone(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 4);
    uint32_t x = nx_net_conv(&net, nx_net_input(&net, 3, SIDE, SIDE), 3, 8, 3, true);
    uint32_t outputs[3] = {nx_net_bn(&net, x, 8), 0, 0};
    outputs[1] = nx_net_binary(&net, NX_BINARY_ADD, nx_net_conv(&net, x, 8, 8, 1, true), x);
    outputs[2] = nx_net_unary(&net, x, NX_UNARY_RELU, 0);
    nx_net_outputs(&net, outputs, 3);
    run_passes(&net, NX_PASS_ALL);
    assert_int_equal(count(&net, NX_OP_CONV), 2);
    assert_int_equal(count(&net, NX_OP_SCALE_SHIFT), 1);
    assert_int_equal(count(&net, NX_OP_BINARY), 1);
    assert_int_equal(count(&net, NX_OP_UNARY), 1);
    for (uint32_t i = 0; i < net.graph.n_nodes; i++)
        assert_false(net.graph.nodes[i].post.sum);
    nx_net_close(&net);
}

static void constants_and_dead_nodes_disappear(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 5);
    uint32_t x = nx_net_input(&net, 3, SIDE, SIDE);
    uint32_t a = nx_net_unary(&net, nx_net_vector(&net, SIDE, 1, 2), NX_UNARY_SQUARE, 0);
    uint32_t y = nx_net_binary(&net, NX_BINARY_MUL, x, a);
    nx_net_conv(&net, x, 3, 8, 3, true); /* nobody reads it */
    nx_net_outputs(&net, &y, 1);
    run_passes(&net, NX_PASS_ALL);
    assert_int_equal(net.graph.n_nodes, 1);
    const struct nx_tensor *folded = &net.graph.tensors[net.graph.nodes[0].inputs[1]];
    assert_int_equal(folded->kind, NX_TENSOR_CONSTANT);
    for (int i = 0; i < SIDE; i++)
        assert_true(((const float *)folded->data)[i] >= 1);
    nx_net_close(&net);
}

/* A random net: every tensor is (N, CHANNELS, SIDE, SIDE), so that anything fits anything. */
struct random_net {
    struct nx_net net;
    uint32_t tensors[TENSORS_MAX], n;
};

static uint32_t any(struct random_net *r)
{
    return r->tensors[nx_prng_below(&r->net.prng, r->n)];
}

static uint32_t recent(struct random_net *r)
{
    return nx_prng_chance(&r->net.prng, 2, 3) ? r->tensors[r->n - 1] : any(r);
}

static uint32_t random_pool(struct random_net *r)
{
    struct nx_node node = {.op = NX_OP_POOL};
    uint32_t x = recent(r);
    node.attr.pool = (struct nx_attr_pool){
        .kind = (enum nx_pool)nx_prng_below(&r->net.prng, 3),
        .include_pad = nx_prng_chance(&r->net.prng, 1, 2),
        .window = {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
    };
    return nx_net_add(&r->net, node, &x, 1);
}

static uint32_t random_no_op(struct random_net *r)
{
    struct nx_node reshape = {.op = NX_OP_RESHAPE};
    struct nx_node identity = {.op = NX_OP_IDENTITY};
    reshape.attr.reshape = (struct nx_attr_reshape){.n = 3, .codes = {0, CHANNELS, -2}};
    uint32_t x = recent(r);
    return nx_net_add(&r->net, nx_prng_chance(&r->net.prng, 1, 2) ? reshape : identity, &x, 1);
}

/* Through (N, CHANNELS SIDE, SIDE) and back: two views that are not no-ops. */
static uint32_t random_views(struct random_net *r)
{
    struct nx_node merge = {.op = NX_OP_RESHAPE}, split = {.op = NX_OP_RESHAPE};
    merge.attr.reshape = (struct nx_attr_reshape){.n = 3, .codes = {0, -3, 0}};
    split.attr.reshape = (struct nx_attr_reshape){.n = 5, .codes = {0, -4, CHANNELS, -1, 0}};
    uint32_t x = recent(r), y = nx_net_add(&r->net, merge, &x, 1);
    return nx_net_add(&r->net, split, &y, 1);
}

/* A 3 x 3 convolution that gets its padding from a PAD. */
static uint32_t random_padded_conv(struct random_net *r)
{
    struct nx_node pad = {.op = NX_OP_PAD};
    pad.attr.pad = (struct nx_attr_pad){.n = 4, .before = {0, 0, 2, 0}, .after = {0, 0, 0, 2}};
    if (nx_prng_chance(&r->net.prng, 1, 4))
        pad.attr.pad.value = 0.5f;
    uint32_t x = recent(r), y = nx_net_add(&r->net, pad, &x, 1);
    y = nx_net_conv(&r->net, y, CHANNELS, CHANNELS, 3, true);
    struct nx_node *conv = &r->net.graph.nodes[r->net.graph.n_nodes - 1];
    memset(conv->attr.conv.window.before, 0, sizeof conv->attr.conv.window.before);
    memset(conv->attr.conv.window.after, 0, sizeof conv->attr.conv.window.after);
    return y;
}

static uint32_t random_constant_sum(struct random_net *r)
{
    uint32_t a = nx_net_vector(&r->net, SIDE, -1, 1);
    uint32_t b = nx_net_unary(&r->net, nx_net_vector(&r->net, 1, -1, 1), NX_UNARY_TANH, 0);
    uint32_t sum = nx_net_binary(&r->net, NX_BINARY_SUB, a, b);
    return nx_net_binary(&r->net, NX_BINARY_ADD, recent(r), sum);
}

static uint32_t random_unary(struct random_net *r)
{
    static const enum nx_unary fns[] = {NX_UNARY_RELU, NX_UNARY_LEAKY, NX_UNARY_TANH, NX_UNARY_CLIP,
                                        NX_UNARY_MUL};
    return nx_net_unary(&r->net, recent(r), fns[nx_prng_below(&r->net.prng, 5)], -0.5f);
}

/* One convolution on a path of two, or both paths, ending in an addition. */
static uint32_t random_block(struct random_net *r)
{
    uint32_t x = recent(r), other = x;
    uint32_t y = nx_net_conv(&r->net, x, CHANNELS, CHANNELS, 1, true);
    if (nx_prng_chance(&r->net.prng, 1, 3))
        other = nx_net_conv(&r->net, x, CHANNELS, CHANNELS, 1, false);
    if (nx_prng_chance(&r->net.prng, 1, 3))
        other = nx_net_unary(&r->net, other, NX_UNARY_RELU, 0);
    y = nx_net_conv(&r->net, nx_net_unary(&r->net, y, NX_UNARY_RELU, 0), CHANNELS, CHANNELS, 3,
                    true);
    bool first = nx_prng_chance(&r->net.prng, 1, 2);
    return nx_net_binary(&r->net, NX_BINARY_ADD, first ? y : other, first ? other : y);
}

/* x sigmoid(x), or GELU with its half taken first or last, the factors on either side. */
static uint32_t spelled_out_function(struct nx_net *net, uint32_t x, uint32_t form)
{
    bool left = form & 1;
    if (form < 2) {
        uint32_t s = nx_net_unary(net, x, NX_UNARY_SIGMOID, 0);
        return nx_net_binary(net, NX_BINARY_MUL, left ? s : x, left ? x : s);
    }
    uint32_t e = form & 4 ? nx_net_unary(net, x, NX_UNARY_DIV, 1.41421356f)
                          : nx_net_unary(net, x, NX_UNARY_MUL, 0.70710678f);
    e = nx_net_unary(net, nx_net_unary(net, e, NX_UNARY_ERF, 0), NX_UNARY_ADD, 1);
    if (form & 2) {
        uint32_t half = nx_net_unary(net, x, NX_UNARY_MUL, 0.5f);
        return nx_net_binary(net, NX_BINARY_MUL, left ? half : e, left ? e : half);
    }
    uint32_t product = nx_net_binary(net, NX_BINARY_MUL, left ? x : e, left ? e : x);
    return nx_net_unary(net, product, NX_UNARY_MUL, 0.5f);
}

static uint32_t last_mean(struct nx_net *net, uint32_t x)
{
    struct nx_node node = {
        .op = NX_OP_REDUCE,
        .attr.reduce = {.kind = NX_REDUCE_MEAN, .keepdims = true, .n = 1, .axes = {-1}}};
    return nx_net_add(net, node, &x, 1);
}

static uint32_t spelled_out_layer_norm(struct nx_net *net, uint32_t x, bool left)
{
    uint32_t gamma = nx_net_vector(net, SIDE, 0.5f, 1.5f), beta = nx_net_vector(net, SIDE, -1, 1);
    uint32_t d = nx_net_binary(net, NX_BINARY_SUB, x, last_mean(net, x));
    uint32_t spread = last_mean(net, nx_net_unary(net, d, NX_UNARY_SQUARE, 0));
    spread = nx_net_unary(net, nx_net_unary(net, spread, NX_UNARY_ADD, 0.01f), NX_UNARY_SQRT, 0);
    uint32_t y = nx_net_binary(net, NX_BINARY_DIV, d, spread);
    y = nx_net_binary(net, NX_BINARY_MUL, left ? gamma : y, left ? y : gamma);
    return nx_net_binary(net, NX_BINARY_ADD, left ? beta : y, left ? y : beta);
}

static uint32_t random_spelled_out(struct random_net *r)
{
    uint32_t form = (uint32_t)nx_prng_below(&r->net.prng, 10);
    return form < 8 ? spelled_out_function(&r->net, recent(r), form)
                    : spelled_out_layer_norm(&r->net, recent(r), form & 1);
}

static uint32_t random_node(struct random_net *r)
{
    bool bias = nx_prng_chance(&r->net.prng, 1, 2);
    switch (nx_prng_below(&r->net.prng, 16)) {
    case 14:
    case 15: return random_spelled_out(r);
    case 0:
    case 1:
    case 2: return nx_net_conv(&r->net, recent(r), CHANNELS, CHANNELS, bias ? 3 : 1, bias);
    case 3:
    case 4: return nx_net_bn(&r->net, recent(r), CHANNELS);
    case 5: return random_unary(r);
    case 6:
    case 7: return nx_net_binary(&r->net, NX_BINARY_ADD, recent(r), any(r));
    case 8: return random_pool(r);
    case 9: return bias ? random_no_op(r) : random_views(r);
    case 10: return random_padded_conv(r);
    case 11:
    case 12: return random_block(r);
    default: return random_constant_sum(r);
    }
}

static void build_random(struct random_net *r, uint64_t seed)
{
    uint32_t outputs[OUTPUTS_MAX];
    nx_net_open(&r->net, seed);
    r->tensors[0] = nx_net_input(&r->net, CHANNELS, SIDE, SIDE);
    r->n = 1;
    uint64_t nodes = 1 + nx_prng_below(&r->net.prng, 12);
    for (uint64_t i = 0; i < nodes; i++)
        r->tensors[r->n] = random_node(r), r->n++;
    uint32_t n = 1 + (uint32_t)nx_prng_below(&r->net.prng, OUTPUTS_MAX);
    outputs[0] = r->tensors[r->n - 1];
    for (uint32_t i = 1; i < n; i++)
        outputs[i] = any(r);
    nx_net_outputs(&r->net, outputs, n);
    nx_net_infer(&r->net, BATCH);
}

enum { ELEMENTS = BATCH * CHANNELS * SIDE * SIDE };

static void run(const struct nx_graph *graph, const float *input, float results[][ELEMENTS])
{
    struct nx_load_options options = {.batch_max = BATCH, .threads = 1};
    struct nx_program *program;
    struct nx_err err = {0};
    float *outputs[TENSORS_MAX * 4];
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        outputs[i] = results[i];
    if (nx_backend_cpu_ref.load(graph, &options, &program, &err) != NX_OK)
        fail_msg("%s", err.text);
    assert_int_equal(nx_backend_cpu_ref.run(program, BATCH, &input, outputs, &err), NX_OK);
    nx_backend_cpu_ref.free(program);
}

static float largest(const float *values)
{
    float most = 1;
    for (int i = 0; i < ELEMENTS; i++)
        most = fabsf(values[i]) > most ? fabsf(values[i]) : most;
    return most;
}

/* Returns how many sums were fused, so that a test can tell that it tested any. */
static int check_random(uint64_t seed, unsigned passes, bool exactly)
{
    int sums = 0;
    struct random_net r;
    float input[ELEMENTS], before[OUTPUTS_MAX][ELEMENTS], after[OUTPUTS_MAX][ELEMENTS];
    build_random(&r, seed);
    for (int i = 0; i < ELEMENTS; i++)
        input[i] = nx_net_uniform(&r.net, -1, 1);
    run(&r.net.graph, input, before);
    run_passes(&r.net, passes);
    run(&r.net.graph, input, after);
    for (uint32_t o = 0; o < r.net.graph.n_outputs; o++)
        for (int i = 0; i < ELEMENTS; i++)
            if (exactly ? before[o][i] != after[o][i]
                        : fabsf(before[o][i] - after[o][i]) > 1e-4f * largest(before[o]))
                fail_msg("seed %lu, passes 0x%x: output %u[%d] was %.9g, is %.9g",
                         (unsigned long)seed, passes, o, i, (double)before[o][i],
                         (double)after[o][i]);
    for (uint32_t i = 0; i < r.net.graph.n_nodes; i++)
        sums += r.net.graph.nodes[i].post.sum;
    nx_net_close(&r.net);
    return sums;
}

/* Behind a convolution the function goes into it: one node is left of six. */
static void spelled_out_functions_become_one(void **state)
{
    (void)state;
    for (uint32_t form = 0; form < 10; form++) {
        struct nx_net net;
        nx_net_open(&net, form);
        uint32_t x = nx_net_conv(&net, nx_net_input(&net, 3, SIDE, SIDE), 3, 4, 1, true);
        uint32_t y = form < 8 ? spelled_out_function(&net, x, form)
                              : spelled_out_layer_norm(&net, x, form & 1);
        nx_net_outputs(&net, &y, 1);
        run_passes(&net, NX_PASS_ALL);
        assert_int_equal(net.graph.n_nodes, form < 8 ? 1 : 2);
        enum nx_unary act = net.graph.nodes[0].post.act.fn;
        assert_int_equal(act, form < 2 ? NX_UNARY_SWISH : form < 8 ? NX_UNARY_GELU : NX_UNARY_NONE);
        assert_int_equal(count(&net, NX_OP_LAYER_NORM), form < 8 ? 0 : 1);
        nx_net_close(&net);
    }
}

struct vector_row {
    enum nx_binary kind;
    uint32_t rank;
    int64_t dims[4];
    bool turned, folds; /* turned: to (N, H, W, C) before */
};

/* A sum or product with one value for each channel goes into the convolution; along another side, or over several
 * sides, it stays. */
static void check_vector(const struct vector_row *row, uint64_t seed)
{
    struct nx_net net;
    float input[ELEMENTS], before[OUTPUTS_MAX][ELEMENTS], after[OUTPUTS_MAX][ELEMENTS];
    struct nx_shape shape = {.rank = row->rank};
    memcpy(shape.dims, row->dims, sizeof row->dims);
    nx_net_open(&net, seed);
    uint32_t x = nx_net_conv(&net, nx_net_input(&net, CHANNELS, SIDE, SIDE), CHANNELS, CHANNELS, 3,
                             seed & 1);
    struct nx_node turn = {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 4, .axes = {0, 2, 3, 1}}};
    if (row->turned)
        x = nx_net_add(&net, turn, &x, 1);
    uint32_t c = nx_net_constant(&net, shape, 0.5f, 2);
    uint32_t y =
        seed & 2 ? nx_net_binary(&net, row->kind, c, x) : nx_net_binary(&net, row->kind, x, c);
    nx_net_outputs(&net, &y, 1);
    nx_net_infer(&net, BATCH);
    for (int i = 0; i < ELEMENTS; i++)
        input[i] = nx_net_uniform(&net, -1, 1);
    run(&net.graph, input, before);
    run_passes(&net, NX_PASS_ALL);
    run(&net.graph, input, after);
    assert_int_equal(count(&net, NX_OP_BINARY), row->folds ? 0 : 1);
    for (int i = 0; i < ELEMENTS; i++)
        if (!(fabsf(before[0][i] - after[0][i]) <= 1e-4f * largest(before[0])))
            fail_msg("seed %d: [%d] was %.9g, is %.9g", (int)seed, i, (double)before[0][i],
                     (double)after[0][i]);
    nx_net_close(&net);
}

static void a_constant_for_each_channel_goes_into_the_convolution(void **state)
{
    (void)state;
    static const struct vector_row rows[] = {
        {NX_BINARY_ADD, 3, {CHANNELS, 1, 1}, false, true},
        {NX_BINARY_MUL, 4, {1, CHANNELS, 1, 1}, false, true},
        {NX_BINARY_SUB, 3, {CHANNELS, 1, 1}, false, false},
        {NX_BINARY_ADD, 1, {SIDE}, false, false},
        {NX_BINARY_MUL, 3, {CHANNELS, SIDE, 1}, false, false},
        {NX_BINARY_ADD, 1, {CHANNELS}, true, true},
        {NX_BINARY_MUL, 2, {1, CHANNELS}, true, true},
        {NX_BINARY_MUL, 2, {SIDE, 1}, true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (uint64_t seed = 0; seed < 4; seed++)
            check_vector(&rows[i], seed);
}

static void all_passes_keep_what_random_nets_compute(void **state)
{
    (void)state;
    int sums = 0;
    for (uint64_t seed = 1; seed <= 600; seed++)
        sums += check_random(seed, NX_PASS_ALL, false);
    assert_true(sums > 40);
}

static void any_set_of_passes_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1001; seed <= 1600; seed++)
        check_random(seed, (unsigned)(seed * 2654435761u >> 8) & NX_PASS_ALL, false);
}

static void passes_that_do_not_round_change_no_bit(void **state)
{
    (void)state;
    unsigned exact =
        NX_PASS_ALL & ~(unsigned)(NX_PASS_FOLD_BN | NX_PASS_SCALE_SHIFT | NX_PASS_PATTERNS);
    for (uint64_t seed = 2001; seed <= 2600; seed++)
        check_random(seed, exact, true);
}

/* With every tensor an output nothing is reused in memory; the plan must not show. */
static void the_memory_plan_changes_no_bit(void **state)
{
    (void)state;
    static float planned[OUTPUTS_MAX][ELEMENTS], apart[TENSORS_MAX * 4][ELEMENTS];
    for (uint64_t seed = 3001; seed <= 3300; seed++) {
        struct random_net r;
        float input[ELEMENTS];
        uint32_t outputs[TENSORS_MAX + OUTPUTS_MAX], n = 0;
        build_random(&r, seed);
        for (int i = 0; i < ELEMENTS; i++)
            input[i] = nx_net_uniform(&r.net, -1, 1);
        run_passes(&r.net, NX_PASS_ACTIVATION);
        run(&r.net.graph, input, planned);
        for (; n < r.net.graph.n_outputs; n++)
            outputs[n] = r.net.graph.outputs[n];
        for (uint32_t i = 0; i < r.net.graph.n_nodes; i++) {
            uint32_t t = r.net.graph.nodes[i].outputs[0];
            if (nx_tensor_bytes(&r.net.graph.tensors[t]) == ELEMENTS * sizeof(float))
                outputs[n++] = t;
        }
        uint32_t compared = r.net.graph.n_outputs;
        nx_net_outputs(&r.net, outputs, n);
        run(&r.net.graph, input, apart);
        assert_memory_equal(planned, apart, compared * sizeof *planned);
        nx_net_close(&r.net);
    }
}

static void every_failed_allocation_is_answered(void **state)
{
    (void)state;
    enum nx_status status = NX_NO_MEMORY;
    for (uint64_t n = 1; status == NX_NO_MEMORY; n++) {
        struct random_net r;
        build_random(&r, 77);
        nx_alloc_fail_at(n);
        status = nx_pass_run(&r.net.graph, NX_PASS_ALL, &nx_backend_cpu_ref, &r.net.err);
        nx_alloc_fail_at(0);
        assert_true(status == NX_OK || status == NX_NO_MEMORY);
        nx_net_close(&r.net);
    }
    assert_int_equal(status, NX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_bn_relu_becomes_one_node),
        cmocka_unit_test(a_residual_block_of_v1_sums_in_place),
        cmocka_unit_test(bn_before_a_convolution_is_not_folded_forward),
        cmocka_unit_test(a_convolution_of_its_own_residual_does_not_sum_in_place),
        cmocka_unit_test(shared_results_are_left_alone),
        cmocka_unit_test(constants_and_dead_nodes_disappear),
        cmocka_unit_test(spelled_out_functions_become_one),
        cmocka_unit_test(a_constant_for_each_channel_goes_into_the_convolution),
        cmocka_unit_test(all_passes_keep_what_random_nets_compute),
        cmocka_unit_test(any_set_of_passes_does),
        cmocka_unit_test(passes_that_do_not_round_change_no_bit),
        cmocka_unit_test(the_memory_plan_changes_no_bit),
        cmocka_unit_test(every_failed_allocation_is_answered),
    };
    return cmocka_run_group_tests_name("pass", tests, NULL, NULL);
}
