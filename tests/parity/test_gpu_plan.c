/* The plan for a GPU, without one: nets of the zoo's kinds keep their results, memory is shared only when it
 * may be, every batch has its bucket, and what has no step is named. */
#include <math.h>
#include <string.h>

#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"
#include "common/arena.h"
#include "gpu_interpret.h"
#include "parity_net.h"

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

static const struct {
    const char *name;
    void (*make)(struct net *net);
} zoo[] = {{"resnet v1", resnet_v1},
           {"resnet v2", resnet_v2},
           {"mobilenet", mobilenet},
           {"densenet", densenet},
           {"shufflenet", shufflenet}};
enum { ZOO = sizeof zoo / sizeof *zoo };

/* Passes run. */
static void open_zoo(struct net *net, size_t i)
{
    struct nx_err err = {0};
    net_open(net, 1 + i);
    zoo[i].make(net);
    net_infer(net);
    assert_int_equal(nx_shape_infer(&net->graph, 2, &err), NX_OK);
    if (nx_pass_run(&net->graph, NX_PASS_ALL, &nx_backend_cpu_ref, &err) != NX_OK)
        fail_msg("%s: %s", zoo[i].name, err.text);
    assert_int_equal(nx_shape_infer(&net->graph, 1, &err), NX_OK);
}

static void compare_zoo(const struct nx_backend *backend, double tolerance, uint32_t batch_max)
{
    for (size_t i = 0; i < ZOO; i++) {
        struct net net;
        open_zoo(&net, i);
        struct net_options options = {.backend = backend,
                                      .load = {.batch_max = batch_max, .threads = 1},
                                      .tolerance = tolerance};
        double off = net_compare(&net, &options, zoo[i].name);
        print_message("# %s on %s: off by %.1e\n", zoo[i].name, backend->name, off);
        net_close(&net);
    }
}

static void the_zoo_keeps_its_results(void **state)
{
    (void)state;
    compare_zoo(&gpu_interpret_f32, 2e-6, 5);
}

/* What rounding every tensor costs; a device rounds at the same places. */
static void narrow_types_cost_little(void **state)
{
    (void)state;
    compare_zoo(&gpu_interpret_f16, 1e-2, 2);
    compare_zoo(&gpu_interpret_bf16, 6e-2, 2);
}

static struct nx_gpu_plan *plan_of(const struct net *net, uint32_t batch_max)
{
    struct nx_gpu_plan *plan;
    struct nx_err err = {0};
    if (nx_gpu_plan_build(&net->graph, batch_max, NX_GPU_F16, &plan, &err) != NX_OK)
        fail_msg("%s", err.text);
    return plan;
}

/* Independent of how the plan packs: every two buffers, every step. */
static void check_memory(const struct nx_gpu_variant *v)
{
    for (uint32_t i = 0; i < v->n_buffers; i++) {
        const struct nx_gpu_buffer *a = &v->buffers[i];
        assert_int_equal(a->offset % NX_GPU_ALIGN, 0);
        assert_true(a->offset + a->bytes <= v->place_bytes[a->place]);
        for (uint32_t k = 0; k < i; k++) {
            const struct nx_gpu_buffer *b = &v->buffers[k];
            bool meet = a->first <= b->last && b->first <= a->last;
            bool overlap = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
            if (a->place == b->place && (meet || a->place != NX_GPU_IN_ARENA))
                assert_false(overlap);
        }
    }
}

static void check_step(const struct nx_gpu_variant *v, uint32_t at)
{
    const struct nx_gpu_step *s = &v->steps[at];
    for (uint32_t i = 0; i <= s->n_x; i++) {
        uint32_t buffer = i < s->n_x ? s->x[i].buffer : s->y.buffer;
        if (buffer == NX_NONE)
            continue;
        assert_in_range(at, v->buffers[buffer].first, v->buffers[buffer].last);
        if (i < s->n_x) /* a kernel may not read what it writes */
            assert_int_not_equal(buffer, s->y.buffer);
    }
}

static void memory_is_shared_only_in_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < ZOO; i++) {
        struct net net;
        open_zoo(&net, i);
        struct nx_gpu_plan *plan = plan_of(&net, 4);
        assert_int_equal(plan->n_variants, 3);
        for (uint32_t k = 0; k < plan->n_variants; k++) {
            check_memory(&plan->variants[k]);
            for (uint32_t at = 0; at < plan->variants[k].n_steps; at++)
                check_step(&plan->variants[k], at);
        }
        nx_gpu_plan_free(plan);
        net_close(&net);
    }
}

/* Batch norm, residual and ReLU cost no step of their own. */
static void residual_blocks_are_fused(void **state)
{
    (void)state;
    struct net net;
    uint32_t convs = 0, residuals = 0, biases = 0;
    open_zoo(&net, 0);
    struct nx_gpu_plan *plan = plan_of(&net, 1);
    const struct nx_gpu_variant *v = &plan->variants[0];
    for (uint32_t i = 0; i < v->n_steps; i++) {
        convs += v->steps[i].kind == NX_GPU_CONV;
        biases += v->steps[i].kind == NX_GPU_CONV && v->steps[i].x[2].buffer != NX_NONE;
        residuals += v->steps[i].kind == NX_GPU_CONV && v->steps[i].x[3].buffer != NX_NONE;
    }
    assert_int_equal(convs, 6);
    assert_int_equal(biases, 4);
    assert_int_equal(residuals, 2);
    assert_int_equal(v->n_steps, 6 + 2 + 1 + 2); /* pools, softmax, the edges */
    assert_int_equal(v->steps[1].in.c, NX_GPU_CHANNELS);
    nx_gpu_plan_free(plan);
    net_close(&net);
}

static void every_batch_has_a_bucket(void **state)
{
    (void)state;
    struct net net;
    open_zoo(&net, 0);
    struct nx_gpu_plan *plan = plan_of(&net, 300);
    assert_int_equal(plan->n_variants, NX_GPU_VARIANTS_MAX);
    for (uint32_t rows = 1; rows <= 300; rows++) {
        uint32_t bucket = nx_gpu_plan_variant(plan, rows)->batch;
        assert_true(bucket >= rows || bucket == NX_GPU_BUCKET_MAX);
        assert_true(bucket / 2 < rows);
    }
    nx_gpu_plan_free(plan);
    plan = plan_of(&net, 6);
    assert_int_equal(plan->n_variants, 4); /* 1, 2, 4, 6 */
    assert_int_equal(nx_gpu_plan_variant(plan, 5)->batch, 6);
    nx_gpu_plan_free(plan);
    struct nx_err err = {0};
    assert_int_equal(nx_gpu_plan_build(&net.graph, 0, NX_GPU_F16, &plan, &err), NX_INVALID);
    net_close(&net);
}

static void what_has_no_step_is_named(void **state)
{
    (void)state;
    struct net net;
    struct nx_gpu_plan *plan;
    struct nx_err err = {0};
    net_open(&net, 1);
    struct nx_node norm = {.op = NX_OP_L2_NORM, .attr.l2_norm = {NX_L2_INSTANCE, 1e-3f}};
    uint32_t x = net_source(&net, true, 8, 4, 4);
    net_output(&net, net_node(&net, &norm, &x, 1));
    net_infer(&net);
    assert_int_equal(nx_gpu_plan_build(&net.graph, 1, NX_GPU_F16, &plan, &err), NX_UNSUPPORTED);
    assert_string_equal(err.text, "gpu_cudnn: no step for 'node', a l2 norm");
    net_close(&net);
}

static void weights_beyond_f16_are_refused(void **state)
{
    (void)state;
    struct net net;
    struct nx_gpu_plan *plan;
    struct nx_err err = {0};
    int64_t dims[] = {1, 1, 1, 1};
    net_open(&net, 1);
    uint32_t inputs[] = {net_source(&net, false, 1, 4, 4), net_constant(&net, 4, dims, 7e4, 8e4)};
    struct nx_node node = {.op = NX_OP_CONV,
                           .attr.conv = {.window = net_one_by_one, .groups = 1, .filters = 1}};
    net_output(&net, net_node(&net, &node, inputs, 2));
    net_infer(&net);
    assert_int_equal(nx_gpu_plan_build(&net.graph, 1, NX_GPU_F16, &plan, &err), NX_UNSUPPORTED);
    assert_non_null(strstr(err.text, "bf16 would do"));
    assert_int_equal(nx_gpu_plan_build(&net.graph, 1, NX_GPU_BF16, &plan, &err), NX_OK);
    nx_gpu_plan_free(plan);
    net_close(&net);
}

static void no_allocation_may_fail_unseen(void **state)
{
    (void)state;
    struct net net;
    open_zoo(&net, 0);
    for (uint64_t n = 1;; n++) {
        struct nx_gpu_plan *plan;
        nx_alloc_fail_at(n);
        enum nx_status status = nx_gpu_plan_build(&net.graph, 2, NX_GPU_F16, &plan, NULL);
        nx_alloc_fail_at(0);
        if (status == NX_OK) {
            assert_true(n > 5);
            nx_gpu_plan_free(plan);
            break;
        }
        assert_int_equal(status, NX_NO_MEMORY);
    }
    net_close(&net);
}

/* Every f16 there is comes back as itself; between two of them the nearer one wins, halves to even. */
static void halves_round_to_nearest(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x7c00; bits++) {
        float here = nx_gpu_from_f16((uint16_t)bits);
        assert_int_equal(nx_gpu_to_f16(here), bits);
        assert_int_equal(nx_gpu_to_f16(-here), bits | 0x8000);
        if (bits == 0x7bff)
            break;
        float next = nx_gpu_from_f16((uint16_t)(bits + 1)), middle = (here + next) / 2;
        assert_int_equal(nx_gpu_to_f16(middle), bits + (bits & 1));
        assert_int_equal(nx_gpu_to_f16(nextafterf(middle, 1e9f)), bits + 1);
        assert_int_equal(nx_gpu_to_f16(nextafterf(middle, 0)), bits);
    }
    assert_true(isnan(nx_gpu_from_f16(nx_gpu_to_f16(NAN))));
    assert_true(isinf(nx_gpu_from_f16(nx_gpu_to_f16(65520))));
    assert_int_equal(nx_gpu_to_f16(65519), 0x7bff);
    assert_true(isnan(nx_gpu_from_bf16(nx_gpu_to_bf16(NAN))));
    assert_int_equal(nx_gpu_to_bf16(1.00390625f), 0x3f80); /* 1 + 2^-8, halfway: to even */
    assert_int_equal(nx_gpu_to_bf16(1.01171875f), 0x3f82);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_zoo_keeps_its_results),
        cmocka_unit_test(narrow_types_cost_little),
        cmocka_unit_test(memory_is_shared_only_in_time),
        cmocka_unit_test(residual_blocks_are_fused),
        cmocka_unit_test(every_batch_has_a_bucket),
        cmocka_unit_test(what_has_no_step_is_named),
        cmocka_unit_test(weights_beyond_f16_are_refused),
        cmocka_unit_test(no_allocation_may_fail_unseen),
        cmocka_unit_test(halves_round_to_nearest),
    };
    return cmocka_run_group_tests_name("gpu plan", tests, NULL, NULL);
}
