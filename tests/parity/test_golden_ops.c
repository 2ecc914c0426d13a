/* Every op against MXNet 1.9.1's own forward pass (goldens/README.md): through the loaders, as they are and
 * after all passes, on every backend of this build, at the golden's batch and one photo at a time. */
#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/symbol.h"
#include "common/codec.h"
#include "golden_run.h"
#include "gpu_interpret.h"

#include <string.h>

/* Both sides sum in f32 or better, in another order. */
#define ABSOLUTE 2e-5f
#define RELATIVE 2e-5f

/* At least so many of the goldens have a plan for a GPU. */
#define PLANNED 200

struct golden {
    char name[64];
    const char *symbol;
    size_t symbol_len;
    const uint8_t *params;
    size_t params_len;
};

static bool next_golden(struct nx_reader *r, struct golden *g)
{
    if (nx_reader_left(r) == 0)
        return false;
    uint32_t len = nx_read_u32(r);
    const uint8_t *name = nx_read_bytes(r, len);
    assert_non_null(name);
    snprintf(g->name, sizeof g->name, "%.*s", (int)len, (const char *)name);
    g->symbol_len = nx_read_u32(r);
    g->symbol = (const char *)nx_read_bytes(r, g->symbol_len);
    g->params_len = nx_read_u32(r);
    g->params = nx_read_bytes(r, g->params_len);
    assert_non_null(g->params);
    return true;
}

static void run_golden(const struct nx_backend *backend, const struct golden *g, unsigned passes)
{
    char how[64];
    struct nx_err err = {0};
    struct nx_arena arena;
    struct nx_params params;
    struct nx_graph graph;
    const float *input, *want;
    snprintf(how, sizeof how, "%s%s", backend->name, passes ? " with passes" : "");
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    enum nx_status status = nx_params_parse(g->params, g->params_len, &arena, &params, &err);
    if (status == NX_OK)
        status = nx_symbol_build(g->symbol, g->symbol_len, &params, &graph, &err);
    const struct nx_array *x = nx_params_find(&params, "golden:input");
    const struct nx_array *y = nx_params_find(&params, "golden:output");
    if (status == NX_OK)
        status = nx_shape_infer(&graph, (uint32_t)x->shape.dims[0], &err);
    if (status == NX_OK)
        status = nx_pass_run(&graph, passes, &nx_backend_cpu_ref, &err);
    if (status != NX_OK)
        fail_msg("%s, %s: %s", g->name, how, err.text);
    assert_true(nx_shape_equal(&graph.tensors[graph.inputs[0]].shape, &x->shape));
    assert_true(nx_shape_equal(&graph.tensors[graph.outputs[0]].shape, &y->shape));
    assert_int_equal(nx_array_to_f32(x, &arena, &input, &err), NX_OK);
    assert_int_equal(nx_array_to_f32(y, &arena, &want, &err), NX_OK);
    float largest = 0;
    struct nx_golden_run run = {g->name, how, "MXNet", input, want, ABSOLUTE, RELATIVE, &largest};
    unsigned refused = gpu_interpret_refused;
    nx_golden_check(backend, &graph, &run);
    if (strncmp(g->name, "net_", 4) == 0 && gpu_interpret_refused > refused)
        fail_msg("%s is of the zoo and has no plan for a GPU", g->name);
    nx_arena_free(&arena);
}

static const struct {
    const char *name;
    int cases;
} files[] = {{"ops.golden", 101}, {"ops_wide.golden", 159}, {"ops_more.golden", 30}};

static void run_file(const char *name, int wanted, const struct nx_backend *backend,
                     unsigned passes)
{
    struct nx_test_file file = nx_test_read("tests/parity/goldens", name);
    struct nx_reader r;
    struct golden g;
    int cases = 0;
    nx_reader_init(&r, file.bytes, file.len);
    assert_memory_equal(nx_read_bytes(&r, 8), "NXGOLD1", 8);
    for (; next_golden(&r, &g); cases++)
        run_golden(backend, &g, passes);
    free(file.bytes);
    assert_int_equal(cases, wanted);
}

static void run_all(const struct nx_backend *backend, unsigned passes)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        run_file(files[i].name, files[i].cases, backend, passes);
}

static void cpu_ref_agrees_as_loaded(void **state)
{
    (void)state;
    run_all(&nx_backend_cpu_ref, 0);
}

static void cpu_ref_agrees_after_all_passes(void **state)
{
    (void)state;
    run_all(&nx_backend_cpu_ref, NX_PASS_ALL);
}

static void the_fastest_cpu_backend_agrees(void **state)
{
    (void)state;
    const struct nx_backend *backend = nx_golden_fastest_cpu();
    print_message("the fastest CPU backend of this build is %s\n", backend->name);
    run_all(backend, NX_PASS_ALL);
}

static void the_plan_for_a_gpu_agrees(void **state)
{
    (void)state;
    run_all(&gpu_interpret_or_ref, NX_PASS_ALL);
    print_message("# %u have a plan for a GPU, %u would run on the CPU\n", gpu_interpret_planned,
                  gpu_interpret_refused);
    assert_in_range(gpu_interpret_planned, PLANNED, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_ref_agrees_as_loaded),
        cmocka_unit_test(cpu_ref_agrees_after_all_passes),
        cmocka_unit_test(the_fastest_cpu_backend_agrees),
        cmocka_unit_test(the_plan_for_a_gpu_agrees),
    };
    return cmocka_run_group_tests_name("golden ops", tests, NULL, NULL);
}
