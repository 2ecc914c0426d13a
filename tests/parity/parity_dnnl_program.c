/* Programs of cpu_dnnl as a whole: what may lie where, precisions, batches, refusals, threads. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/cpu/dnnl_api.h"
#include "categorizer/graph/pass.h"
#include "parity_net.h"

/* Winograd's convolutions round in between; bf16 has 8 bits. */
static const double tolerance_f32 = 1e-5, tolerance_winograd = 1e-4, tolerance_bf16 = 3e-2;

static struct net_options f32(uint32_t threads)
{
    return (struct net_options){.backend = &nx_backend_cpu_dnnl,
                                .load = {.batch_max = 3, .threads = threads},
                                .tolerance = tolerance_f32};
}

/* The sum of a convolution with its own source, and with a tensor that another view shares: whoever
 * overwrites, nobody may read it afterwards. The passes decide what is fused. */
static void views_and_residuals_keep_out_of_each_others_way(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct net net;
        net_open(&net, 3);
        uint32_t r = net_source(&net, true, 16, 4, 4);
        struct nx_node view = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_FLATTEN};
        struct nx_node copy = {.op = NX_OP_IDENTITY};
        struct nx_node act = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_TANH};
        struct nx_node add = {.op = NX_OP_BINARY, .attr.binary.kind = NX_BINARY_ADD};
        uint32_t seen = i < 2 ? net_node(&net, i ? &view : &copy, &r, 1) : NX_NONE;
        uint32_t x = i < 2 ? net_node(&net, &act, &r, 1) : r;
        uint32_t y = net_conv(&net, x, 16, 16, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE);
        net_output(&net, net_node(&net, &add, (uint32_t[]){y, r}, 2));
        if (i < 2)
            net_output(&net, net_node(&net, &act, &seen, 1));
        net_infer(&net);
        struct nx_err err = {0};
        assert_int_equal(nx_pass_run(&net.graph, NX_PASS_SUM, NULL, &err), NX_OK);
        struct net_options options = f32(2);
        net_compare(&net, &options, "a view beside a residual");
        net_close(&net);
    }
}

/* A bottleneck as ResNet v2 has it, and a batch that no power of two divides. */
static void add_block(struct net *net, uint32_t x)
{
    static const struct nx_window three = {
        .kernel = {3, 3}, .stride = {1, 1}, .dilate = {1, 1}, .before = {1, 1}, .after = {1, 1}};
    int64_t c = 64;
    uint32_t norm[] = {x, net_constant(net, 1, &c, 0.5, 1.5), net_constant(net, 1, &c, -1, 1)};
    struct nx_node scale_shift = {
        .op = NX_OP_SCALE_SHIFT, .post.act.fn = NX_UNARY_RELU, .attr.scale_shift.axis = 1};
    uint32_t a = net_node(net, &scale_shift, norm, 3);
    uint32_t d = net_conv(net, a, 64, 16, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU);
    uint32_t e = net_conv(net, d, 16, 16, &three, 1, true, NX_NONE, NX_UNARY_RELU);
    net_output(net, net_conv(net, e, 16, 64, &net_one_by_one, 1, true, x, NX_UNARY_NONE));
}

static void a_block_in_both_precisions_and_any_batch(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 <= (nx_dnnl_has_bf16() ? 1 : 0); bf16++) {
        struct net net;
        net_open(&net, 11);
        add_block(&net, net_source(&net, true, 64, 9, 7));
        struct net_options options = f32(2);
        options.load.batch_max = 7;
        options.load.precision = bf16 ? NX_PRECISION_BF16 : NX_PRECISION_F32;
        options.tolerance = bf16 ? tolerance_bf16 : tolerance_winograd;
        double off = net_compare(&net, &options, bf16 ? "block in bf16" : "block in f32");
        print_message("# block in %s: off by %.1e\n", bf16 ? "bf16" : "f32", off);
        net_close(&net);
    }
}

static void a_load_refuses_what_it_cannot_run(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, 1);
    net_output(&net, net_source(&net, true, 4, 3, 3));
    net_infer(&net);
    struct nx_program *p = NULL;
    struct nx_err err = {0};
    struct nx_load_options options = {.batch_max = 0, .threads = 1};
    assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &options, &p, &err), NX_INVALID);
    options = (struct nx_load_options){.batch_max = 1, .threads = 0};
    assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &options, &p, &err), NX_INVALID);
    assert_null(p);
    options.threads = 1;
    assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &options, &p, &err), NX_OK);
    assert_true(nx_backend_cpu_dnnl.memory(p).all > 0);
    float *outputs[1] = {NULL};
    const float *inputs[1] = {NULL};
    assert_int_equal(nx_backend_cpu_dnnl.run(p, 2, inputs, outputs, &err), NX_INVALID);
    assert_string_equal(err.text, "cpu_dnnl: a batch of 2, this program takes 1 to 1");
    nx_backend_cpu_dnnl.free(p);
    net.graph.tensors[net.graph.nodes[0].inputs[1]].data = NULL;
    assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &options, &p, &err), NX_INVALID);
    net_close(&net);
}

struct runner {
    pthread_t thread;
    struct nx_program *program;
    float in[64 * 9 * 7], first[64 * 9 * 7], out[64 * 9 * 7];
    bool same;
};

static void *run_often(void *arg)
{
    struct runner *r = arg;
    const float *in[] = {r->in};
    float *first[] = {r->first}, *out[] = {r->out};
    r->same = r->program->backend->run(r->program, 1, in, first, NULL) == NX_OK;
    for (int i = 0; i < 50 && r->same; i++)
        r->same = r->program->backend->run(r->program, 1, in, out, NULL) == NX_OK &&
                  memcmp(r->out, r->first, sizeof r->out) == 0;
    return NULL;
}

/* Two programs of one graph, each in a thread of its own, with other inputs. */
static void programs_run_at_once_and_repeat_themselves(void **state)
{
    (void)state;
    static struct runner runners[2];
    struct net net;
    net_open(&net, 11);
    add_block(&net, net_source(&net, true, 64, 9, 7));
    net_infer(&net);
    struct nx_load_options options = {.batch_max = 1, .threads = 2};
    for (int i = 0; i < 2; i++) {
        for (size_t k = 0; k < 64 * 9 * 7; k++)
            runners[i].in[k] = (float)(nx_prng_unit(&net.prng) * 2 - 1);
        assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &options, &runners[i].program, NULL),
                         NX_OK);
    }
    net_close(&net); /* the programs keep nothing of it */
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&runners[i].thread, NULL, run_often, &runners[i]), 0);
    for (int i = 0; i < 2; i++) {
        pthread_join(runners[i].thread, NULL);
        assert_true(runners[i].same);
        nx_backend_cpu_dnnl.free(runners[i].program);
    }
    assert_memory_not_equal(runners[0].first, runners[1].first, sizeof runners[0].first);
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, 1);
    add_block(&net, net_source(&net, true, 64, 5, 5));
    net_infer(&net);
    struct nx_load_options options = {.batch_max = 2, .threads = 1};
    enum nx_status status = NX_NO_MEMORY;
    uint64_t nth = 1;
    for (; status != NX_OK && nth < 5000; nth += 7) {
        struct nx_program *p = NULL;
        struct nx_err err = {0};
        nx_alloc_fail_at(nth);
        status = nx_backend_cpu_dnnl.load(&net.graph, &options, &p, &err);
        nx_alloc_fail_at(0);
        if (status == NX_OK)
            nx_backend_cpu_dnnl.free(p);
        else if (status != NX_NO_MEMORY)
            fail_msg("allocation %u: %s", (unsigned)nth, err.text);
    }
    assert_int_equal(status, NX_OK);
    assert_true(nth > 100);
    net_close(&net);
}

struct naive_steps {
    uint32_t steps, naive;
};

static void count_naive(void *ctx, const struct nx_step_took *step)
{
    struct naive_steps *n = ctx;
    n->steps++;
    n->naive += strstr(step->how, " ref") != NULL;
    assert_true(step->node[0] == 0 || strcmp(step->node, "node") == 0); /* its graph is gone */
}

/* A batch of 8 finds weights that the batches of 1 to 4 have laid out; it must not end with code that is a thousand
 * times slower because of them. The widths are RegNet's and MobileNet's. */
static void no_batch_gets_naive_convolutions(void **state)
{
    (void)state;
    static const int64_t rows[][2] = {{104, 28}, {208, 14}, {440, 7}, {96, 14}, {160, 7}, {320, 7}};
    for (uint32_t k = 0; k < 2 * sizeof rows / sizeof rows[0]; k++) {
        struct net net;
        struct nx_err err = {0};
        struct nx_program *program;
        int64_t c = rows[k / 2][0], side = rows[k / 2][1];
        net_open(&net, 5);
        uint32_t x = net_source(&net, true, c, side, side);
        x = net_conv(&net, x, c, c, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU);
        net_output(&net,
                   net_conv(&net, x, c, 4 * c, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_RELU));
        net_infer(&net);
        struct nx_load_options load = {.batch_max = 8, .threads = 2};
        load.precision = k % 2 && nx_dnnl_has_bf16() ? NX_PRECISION_BF16 : NX_PRECISION_F32;
        assert_int_equal(nx_backend_cpu_dnnl.load(&net.graph, &load, &program, &err), NX_OK);
        net_close(&net);
        struct naive_steps found = {0, 0};
        const struct nx_step_watch watch = {&found, count_naive};
        size_t n = (size_t)(8 * c * side * side);
        float *in = calloc(n, sizeof *in), *out = calloc(4 * n, sizeof *out);
        const float *ins[] = {in};
        assert_true(in && out);
        program->watch = &watch;
        for (uint32_t batch = 1; batch <= 8; batch++)
            assert_int_equal(program->backend->run(program, batch, ins, &out, &err), NX_OK);
        assert_true(found.steps > 8);
        if (found.naive)
            fail_msg("%u of %u steps are naive for %d channels", found.naive, found.steps, (int)c);
        program->backend->free(program);
        free(in);
        free(out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_and_residuals_keep_out_of_each_others_way),
        cmocka_unit_test(a_block_in_both_precisions_and_any_batch),
        cmocka_unit_test(a_load_refuses_what_it_cannot_run),
        cmocka_unit_test(programs_run_at_once_and_repeat_themselves),
        cmocka_unit_test(no_memory_is_an_answer),
        cmocka_unit_test(no_batch_gets_naive_convolutions),
    };
    return cmocka_run_group_tests_name("dnnl_program", tests, NULL, NULL);
}
