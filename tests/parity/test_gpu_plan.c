/* The plan for a GPU, without one: nets of the zoo's kinds keep their results, memory is shared only when it
 * may be, every batch has its bucket, and what has no step is named. */
#include <math.h>
#include <string.h>

#include "common/arena.h"
#include "gpu_check.h"
#include "gpu_interpret.h"
#include "gpu_zoo.h"

static void compare_zoo(const struct nx_backend *backend, double tolerance, uint32_t batch_max)
{
    for (size_t i = 0; i < GPU_ZOO; i++) {
        struct net net;
        gpu_zoo_open(&net, i);
        struct net_options options = {.backend = backend,
                                      .load = {.batch_max = batch_max, .threads = 1},
                                      .tolerance = tolerance};
        double off = net_compare(&net, &options, gpu_zoo[i].name);
        print_message("# %s on %s: off by %.1e\n", gpu_zoo[i].name, backend->name, off);
        net_close(&net);
    }
}

static void the_zoo_keeps_its_results(void **state)
{
    (void)state;
    compare_zoo(&gpu_interpret_f32, 2e-6, 5);
}

/* And within the tolerances that a device is held to. */
static void every_op_keeps_its_results(void **state)
{
    (void)state;
    static const struct {
        const struct nx_backend *backend;
        double tolerance;
    } types[] = {
        {&gpu_interpret_f32, 5e-6}, {&gpu_interpret_f16, 1e-2}, {&gpu_interpret_bf16, 6e-2}};
    for (unsigned i = 0; i < gpu_check_n_ops; i++)
        for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
            struct net net;
            struct net_options options = {.backend = types[k].backend,
                                          .load = {.batch_max = 3, .threads = 1},
                                          .tolerance = types[k].tolerance};
            net_open(&net, 100 + i);
            gpu_check_ops[i].make(&net);
            net_compare(&net, &options, gpu_check_ops[i].name);
            net_close(&net);
        }
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
    for (size_t i = 0; i < GPU_ZOO; i++) {
        struct net net;
        gpu_zoo_open(&net, i);
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
    gpu_zoo_open(&net, 0);
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

/* 53 convolutions and the fully connected layer, two pools, the edges; weights and little more. */
static void resnet50_is_58_steps(void **state)
{
    (void)state;
    struct net net;
    net_open(&net, 50);
    gpu_check_resnet50(&net);
    net_infer(&net);
    struct nx_gpu_plan *plan = plan_of(&net, 128);
    const struct nx_gpu_variant *v = &plan->variants[NX_GPU_VARIANTS_MAX - 1];
    assert_int_equal(v->n_steps, 54 + 2 + 2);
    print_message("# ResNet-50: %u steps, weights %lu bytes, arena for 128 photos %lu bytes\n",
                  v->n_steps, (unsigned long)plan->image_bytes,
                  (unsigned long)v->place_bytes[NX_GPU_IN_ARENA]);
    assert_in_range(plan->image_bytes, 51 << 20 >> 1, 53 << 20);
    /* what the account of a model's memory leans on: the host's image is part of the plan's arena, once */
    assert_in_range(plan->arena.used_bytes, plan->image_bytes, plan->image_bytes + (4 << 20));
    nx_gpu_plan_free(plan);
    net_close(&net);
}

static void every_batch_has_a_bucket(void **state)
{
    (void)state;
    struct net net;
    gpu_zoo_open(&net, 0);
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
    gpu_zoo_open(&net, 0);
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
        cmocka_unit_test(every_op_keeps_its_results),
        cmocka_unit_test(narrow_types_cost_little),
        cmocka_unit_test(memory_is_shared_only_in_time),
        cmocka_unit_test(residual_blocks_are_fused),
        cmocka_unit_test(resnet50_is_58_steps),
        cmocka_unit_test(every_batch_has_a_bucket),
        cmocka_unit_test(what_has_no_step_is_named),
        cmocka_unit_test(weights_beyond_f16_are_refused),
        cmocka_unit_test(no_allocation_may_fail_unseen),
        cmocka_unit_test(halves_round_to_nearest),
    };
    return cmocka_run_group_tests_name("gpu plan", tests, NULL, NULL);
}
