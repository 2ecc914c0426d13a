/* int8: what cpu_dnnl computes with its own code for 8 bits against cpu_ref, which rounds where the plan of quant.h says
 * and computes in f32. Where nothing is stored on a grid between, both agree as in f32; behind a
 * stored tensor a value that lies halfway between two steps may fall on either, and moves what
 * follows by a step. */
#include <stdlib.h>
#include <string.h>

#include "categorizer/cpu/dnnl_api.h"
#include "categorizer/model/calibrate.h"
#include "parity_net.h"

static const double tolerance_exact = 2e-5, tolerance_a_step = 2e-2;

static const struct nx_window three = K(3, 3, 1, 1, 1);

/* Ranges of the net's tensors on inputs such as net_compare makes. */
static struct nx_quant_range *ranges_of(struct net *net)
{
    struct nx_err err = {0};
    struct nx_calibrator *c;
    struct nx_quant_range *ranges = nx_arena_array(&net->arena, 2000, sizeof *ranges);
    float *in[4] = {NULL};
    net_infer(net);
    assert_true(net->graph.n_tensors <= 2000 && net->graph.n_inputs <= 4);
    if (nx_calibrator_open_graph(&net->graph, "cpu_dnnl", 1, &c, &err) != NX_OK)
        fail_msg("%s", err.text);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < net->graph.n_inputs; i++) {
            size_t n = nx_tensor_bytes(&net->graph.tensors[net->graph.inputs[i]]) / sizeof(float);
            in[i] = nx_arena_array(&net->arena, n, sizeof(float));
            for (size_t k = 0; k < n; k++)
                in[i][k] = (float)(nx_prng_unit(&net->prng) * 2 - 1);
        }
        assert_int_equal(nx_calibrator_see(c, (const float *const *)in, &err), NX_OK);
    }
    nx_calibrator_ranges(c, &(struct nx_calibration_how){.rule = NX_RULE_MINMAX}, ranges);
    nx_calibrator_close(c);
    return ranges;
}

struct steps {
    uint32_t int8, others; /* convolutions and inner products */
    bool print;
};

static void count_step(void *ctx, const struct nx_step_took *step)
{
    struct steps *s = ctx;
    bool dot = strncmp(step->how, "convolution", 11) == 0 || strncmp(step->how, "inner", 5) == 0;
    if (s->print)
        print_message("#   %s: %s\n", step->op, step->how);
    assert_null(strstr(step->how, " ref"));
    bool int8 = strstr(step->how, "int8") || strstr(step->how, "vnni") || strstr(step->how, "s8s8");
    s->int8 += dot && int8;
    s->others += dot && !int8;
}

static struct steps steps_of(struct net *net, const struct nx_load_options *load, bool print)
{
    struct nx_program *program;
    struct nx_err err = {0};
    struct steps steps = {.print = print};
    const struct nx_step_watch watch = {&steps, count_step};
    float *in[4] = {NULL}, *out[8] = {NULL};
    assert_int_equal(nx_backend_cpu_dnnl.load(&net->graph, load, &program, &err), NX_OK);
    for (uint32_t i = 0; i < net->graph.n_inputs; i++)
        in[i] = calloc(1, nx_tensor_bytes(&net->graph.tensors[net->graph.inputs[i]]));
    for (uint32_t i = 0; i < net->graph.n_outputs; i++)
        out[i] = calloc(1, nx_tensor_bytes(&net->graph.tensors[net->graph.outputs[i]]));
    program->watch = &watch;
    assert_int_equal(program->backend->run(program, 1, (const float *const *)in, out, &err), NX_OK);
    program->backend->free(program);
    for (int i = 0; i < 8; i++) {
        free(i < 4 ? in[i] : NULL);
        free(out[i]);
    }
    return steps;
}

/* Compares in batches of 3 to 1 on one thread, and of 1 on two; *int8 of the dots have code of 8 bits. */
static void compare(struct net *net, double tolerance, uint32_t int8, const char *name)
{
    struct net_options options = {
        .backend = &nx_backend_cpu_dnnl,
        .load = {.batch_max = 1, .precision = NX_PRECISION_INT8, .threads = 1},
        .tolerance = tolerance};
    options.load.ranges = ranges_of(net);
    struct steps steps = steps_of(net, &options.load, getenv("NX_SHOW_STEPS") != NULL);
    options.load.batch_max = 3;
    double off = net_compare(net, &options, name);
    options.load.batch_max = 1;
    options.load.threads = 2;
    net_compare(net, &options, name);
    print_message("# %s: %u in int8, %u not, off by %.1e\n", name, steps.int8, steps.others, off);
    assert_int_equal(steps.int8, int8);
}

struct conv_row {
    int64_t c, h, w, o;
    int32_t groups;
    struct nx_window window;
    bool bias;
    enum nx_unary act;
};

static const struct conv_row conv_rows[] = {
    {3, 17, 19, 8, 1, K(7, 7, 2, 1, 3), true, NX_UNARY_RELU},
    {16, 9, 7, 32, 1, K(1, 1, 1, 1, 0), false, NX_UNARY_NONE},
    {5, 11, 13, 7, 1, K(3, 3, 1, 1, 1), true, NX_UNARY_RELU},
    {17, 6, 6, 33, 1, K(3, 3, 2, 1, 1), true, NX_UNARY_LEAKY},
    {32, 8, 8, 32, 32, K(3, 3, 1, 1, 1), true, NX_UNARY_CLIP},
    {9, 8, 8, 9, 9, K(5, 5, 2, 1, 2), false, NX_UNARY_SIGMOID},
    {64, 7, 9, 64, 2, K(3, 3, 1, 1, 1), true, NX_UNARY_TANH},
    {8, 12, 12, 8, 1, K(3, 3, 1, 2, 2), true, NX_UNARY_NONE},
    {4, 10, 10, 6, 1, {{3, 5}, {2, 1}, {1, 2}, {0, 3}, {2, 1}}, true, NX_UNARY_NONE},
    {3, 5, 5, 4, 1, K(5, 5, 1, 1, 0), true, NX_UNARY_SOFTSIGN},
    {1, 1, 1, 1, 1, K(1, 1, 1, 1, 0), true, NX_UNARY_NONE},
};

/* Of an input of both signs (s8), and behind a ReLU (u8). */
static void convolutions_agree_as_in_f32(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof conv_rows / sizeof *conv_rows; i++) {
        const struct conv_row *r = &conv_rows[i / 2];
        struct net net;
        char name[40];
        net_open(&net, i);
        uint32_t x = net_source(&net, false, r->c, r->h, r->w);
        struct nx_node relu = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_RELU};
        if (i % 2)
            x = net_node(&net, &relu, &x, 1);
        net_output(&net,
                   net_conv(&net, x, r->c, r->o, &r->window, r->groups, r->bias, NX_NONE, r->act));
        snprintf(name, sizeof name, "convolution %zu of %s", i / 2, i % 2 ? "u8" : "s8");
        compare(&net, tolerance_exact, 1, name);
        net_close(&net);
    }
}

static uint32_t pool(struct net *net, uint32_t x, enum nx_pool kind, int32_t stride)
{
    struct nx_node node = {.op = NX_OP_POOL,
                           .attr.pool = {.kind = kind, .window = K(3, 3, 1, 1, 1)}};
    node.attr.pool.window.stride[0] = node.attr.pool.window.stride[1] = stride;
    return net_node(net, &node, &x, 1);
}

/* conv+relu, maybe a pool, conv: what lies between stays in 8 bits. `act` of 0.1 … 0.6, see net_conv. */
static void results_stay_in_int8(void **state)
{
    (void)state;
    static const enum nx_unary acts[] = {NX_UNARY_RELU, NX_UNARY_NONE,  NX_UNARY_CLIP,
                                         NX_UNARY_TANH, NX_UNARY_LEAKY, NX_UNARY_SOFTSIGN};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        for (int pooled = 0; pooled < 3; pooled++) {
            struct net net;
            char name[64];
            net_open(&net, i);
            uint32_t x = net_source(&net, false, 5, 13, 11);
            x = net_conv(&net, x, 5, 24, &three, 1, true, NX_NONE, acts[i]);
            if (pooled)
                x = pool(&net, x, pooled == 1 ? NX_POOL_MAX : NX_POOL_AVG, pooled);
            net_output(&net, net_conv(&net, x, 24, 17, &three, 1, true, NX_NONE, NX_UNARY_NONE));
            snprintf(name, sizeof name, "%s and %s", nx_unary_name(acts[i]),
                     pooled == 0   ? "no pool"
                     : pooled == 1 ? "max pool"
                                   : "mean pool");
            compare(&net, tolerance_a_step, 2, name);
            net_close(&net);
        }
}

/* Bottlenecks: the residual is what a ReLU gave (u8), or a convolution (s8), and comes to lie under another grid. With
 * `other` somebody who takes f32 reads the sum as well. */
static void residuals_change_their_grid(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        bool of_relu = i & 1, other = i & 2, relu_last = i & 4;
        struct net net;
        char name[64];
        net_open(&net, (uint64_t)i);
        uint32_t x = net_source(&net, false, 16, 9, 7);
        x = net_conv(&net, x, 16, 16, &three, 1, true, NX_NONE,
                     of_relu ? NX_UNARY_RELU : NX_UNARY_NONE);
        for (int block = 0; block < 2; block++) {
            uint32_t y = net_conv(&net, x, 16, 8, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU);
            y = net_conv(&net, y, 8, 8, &three, 1, true, NX_NONE, NX_UNARY_RELU);
            x = net_conv(&net, y, 8, 16, &net_one_by_one, 1, true, x,
                         relu_last ? NX_UNARY_RELU : NX_UNARY_NONE);
        }
        if (other) {
            struct nx_node tanh = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_TANH};
            net_output(&net, net_node(&net, &tanh, &x, 1));
        }
        net_output(&net,
                   net_conv(&net, x, 16, 8, &net_one_by_one, 1, false, NX_NONE, NX_UNARY_NONE));
        snprintf(name, sizeof name, "residual of %s, %s%s", of_relu ? "u8" : "s8",
                 relu_last ? "relu" : "no relu", other ? ", read elsewhere" : "");
        compare(&net, tolerance_a_step, 8, name);
        net_close(&net);
    }
}

/* The parts of a concat share the grid of the whole; one that comes from elsewhere makes all of it f32. */
static void concats_share_a_grid(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct net net;
        net_open(&net, (uint64_t)i);
        uint32_t x = net_source(&net, false, 6, 8, 10), parts[3];
        uint32_t a = net_conv(&net, x, 6, 16, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU);
        parts[0] = net_conv(&net, a, 16, 10, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU);
        parts[1] = net_conv(&net, a, 16, 7, &three, 1, true, NX_NONE,
                            i == 1 ? NX_UNARY_NONE : NX_UNARY_RELU);
        struct nx_node abs = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_ABS};
        parts[2] = i == 2 ? net_node(&net, &abs, &a, 1) : pool(&net, a, NX_POOL_MAX, 1);
        struct nx_node concat = {.op = NX_OP_CONCAT, .attr.concat.axis = 1};
        uint32_t y = net_node(&net, &concat, parts, 3);
        net_output(&net, net_conv(&net, y, 33, 9, &three, 1, true, NX_NONE, NX_UNARY_NONE));
        compare(&net, tolerance_a_step, 4, i == 2 ? "a concat with f32" : "a concat");
        net_close(&net);
    }
}

/* Pre-activation blocks, as ResNet v2 has them: the sum goes through a scale-shift, with and
 * without a ReLU, in 8 bits or from f32 (an input), for channels that fill no vector. */
static void scale_shifts_stay_in_int8(void **state)
{
    (void)state;
    static const enum nx_unary acts[] = {NX_UNARY_RELU, NX_UNARY_NONE, NX_UNARY_TANH};
    for (int i = 0; i < 6; i++) {
        bool of_input = i % 2;
        struct net net;
        char name[64];
        int64_t c = 19;
        net_open(&net, (uint64_t)i);
        uint32_t x = net_source(&net, false, c, 7, 9);
        if (!of_input)
            x = net_conv(&net, x, c, c, &three, 1, true, NX_NONE, NX_UNARY_NONE);
        uint32_t norm[] = {x, net_constant(&net, 1, &c, -1.5, 1.5),
                           net_constant(&net, 1, &c, -1, 1)};
        struct nx_node scale_shift = {
            .op = NX_OP_SCALE_SHIFT, .post.act.fn = acts[i / 2], .attr.scale_shift.axis = 1};
        uint32_t y = net_node(&net, &scale_shift, norm, 3);
        y = net_conv(&net, y, c, c, &three, 1, true, of_input ? NX_NONE : x, NX_UNARY_NONE);
        norm[0] = y;
        y = net_node(&net, &scale_shift, norm, 3);
        net_output(&net,
                   net_conv(&net, y, c, 8, &net_one_by_one, 1, false, NX_NONE, NX_UNARY_NONE));
        snprintf(name, sizeof name, "scale-shift, %s, of %s", nx_unary_name(acts[i / 2]),
                 of_input ? "f32" : "s8");
        compare(&net, tolerance_a_step, of_input ? 2 : 3, name);
        net_close(&net);
    }
}

static void fully_connected_layers_agree_as_in_f32(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct net net;
        net_open(&net, (uint64_t)i);
        bool flatten = i < 2;
        uint32_t x = net_source(&net, false, 19, i == 1 ? 1 : 3, i == 1 ? 1 : 5);
        int64_t units = 11, sides[] = {units, i == 0 ? 19 * 15 : i == 1 ? 19 : 5};
        uint32_t inputs[3] = {x, net_constant(&net, 2, sides, -0.1, 0.1),
                              net_constant(&net, 1, &units, -1, 1)};
        struct nx_node fc = {.op = NX_OP_FC,
                             .post.act.fn = i == 2 ? NX_UNARY_SOFTSIGN : NX_UNARY_RELU,
                             .attr.fc = {.units = units, .flatten = flatten}};
        net_output(&net, net_node(&net, &fc, inputs, 3));
        compare(&net, tolerance_exact, 1, flatten ? "fully connected" : "rows of a matrix");
        net_close(&net);
    }
}

/* Without a range a node stays in f32, as all of it did before. */
static void what_has_no_range_is_f32(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, 5);
    uint32_t x = net_source(&net, true, 8, 6, 6);
    net_output(&net, net_conv(&net, x, 8, 8, &three, 1, true, NX_NONE, NX_UNARY_RELU));
    struct nx_quant_range *ranges = ranges_of(&net);
    struct nx_load_options load = {
        .batch_max = 1, .threads = 1, .precision = NX_PRECISION_INT8, .ranges = ranges};
    assert_int_equal(steps_of(&net, &load, false).int8, 2);
    ranges[x].known = false;
    struct steps steps = steps_of(&net, &load, false);
    assert_int_equal(steps.int8, 1);
    assert_int_equal(steps.others, 1);
    net_compare(&net,
                &(struct net_options){
                    .backend = &nx_backend_cpu_dnnl, .load = load, .tolerance = tolerance_exact},
                "one of two in int8");
    net_close(&net);
}

static void a_load_without_ranges_is_refused(void **state)
{
    (void)state;
    struct net net;
    struct nx_err err = {0};
    struct nx_program *p = NULL;
    net_open(&net, 5);
    net_output(&net, net_source(&net, true, 8, 6, 6));
    net_infer(&net);
    struct nx_load_options load = {.batch_max = 1, .threads = 1, .precision = NX_PRECISION_INT8};
    assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &load, &p, &err), NX_INVALID);
    assert_string_equal(err.text, "cpu_dnnl: int8 needs a calibration");
    assert_int_equal(nx_backend_cpu_ref.load(&net.graph, &load, &p, &err), NX_INVALID);
    assert_null(p);
    net_close(&net);
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, 1);
    uint32_t x = net_source(&net, true, 8, 5, 5);
    x = net_conv(&net, x, 8, 8, &three, 1, true, NX_NONE, NX_UNARY_RELU);
    net_output(&net, net_conv(&net, x, 8, 8, &three, 1, true, NX_NONE, NX_UNARY_RELU));
    struct nx_load_options load = {.batch_max = 1, .threads = 1, .precision = NX_PRECISION_INT8};
    load.ranges = ranges_of(&net);
    for (int ref = 0; ref < 2; ref++) {
        const struct nx_backend *backend = ref ? &nx_backend_cpu_ref : &nx_backend_cpu_dnnl;
        enum nx_status status = NX_NO_MEMORY;
        for (uint64_t nth = 1; status != NX_OK && nth < 5000; nth += 3) {
            struct nx_program *p = NULL;
            struct nx_err err = {0};
            nx_alloc_fail_at(nth);
            status = backend->load(&net.graph, &load, &p, &err);
            nx_alloc_fail_at(0);
            if (status == NX_OK)
                p->backend->free(p);
            else if (status != NX_NO_MEMORY)
                fail_msg("allocation %u: %s", (unsigned)nth, err.text);
        }
        assert_int_equal(status, NX_OK);
    }
    net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_agree_as_in_f32),
        cmocka_unit_test(results_stay_in_int8),
        cmocka_unit_test(residuals_change_their_grid),
        cmocka_unit_test(concats_share_a_grid),
        cmocka_unit_test(scale_shifts_stay_in_int8),
        cmocka_unit_test(fully_connected_layers_agree_as_in_f32),
        cmocka_unit_test(what_has_no_range_is_f32),
        cmocka_unit_test(a_load_without_ranges_is_refused),
        cmocka_unit_test(no_memory_is_an_answer),
    };
    print_message("# oneDNN %s, %s, int8 %s\n", nx_dnnl_version(), nx_dnnl_isa(),
                  nx_dnnl_has_int8() ? "yes" : "no");
    if (!nx_dnnl_has_int8()) {
        print_message("SKIP: int8 needs VNNI\n");
        return 0;
    }
    return cmocka_run_group_tests_name("dnnl_int8", tests, NULL, NULL);
}
