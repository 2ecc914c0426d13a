/* Every op against MXNet 1.9.1's own forward pass (goldens/README.md): through the loaders, as they are and
 * after all passes, on every backend of this build, at the golden's batch and one photo at a time. */
#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/symbol.h"
#include "common/codec.h"
#include "nx_files.h"

#include <math.h>
#include <string.h>

/* |ours - golden| <= ABSOLUTE + RELATIVE |golden|: both sides sum in f32 or better, in another order. */
#define ABSOLUTE 2e-5f
#define RELATIVE 2e-5f

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

static void compare(const char *name, const char *how, const float *got, const float *want,
                    uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (!(fabsf(got[i] - want[i]) <= ABSOLUTE + RELATIVE * fabsf(want[i])))
            fail_msg("%s, %s: element %lu is %.9g, MXNet has %.9g", name, how, (unsigned long)i,
                     (double)got[i], (double)want[i]);
}

static void run_program(const struct nx_backend *backend, const struct nx_graph *graph,
                        const struct golden *g, const char *how, const float *input,
                        const float *want)
{
    struct nx_err err = {0};
    struct nx_program *program;
    const struct nx_tensor *x = &graph->tensors[graph->inputs[0]];
    const struct nx_tensor *y = &graph->tensors[graph->outputs[0]];
    uint32_t batch = graph->batch;
    uint64_t x_row = nx_tensor_bytes(x) / 4 / batch, y_row = nx_tensor_bytes(y) / 4 / batch;
    struct nx_load_options options = {.batch_max = batch, .threads = 1};
    if (backend->load(graph, &options, &program, &err) != NX_OK)
        fail_msg("%s, %s: %s", g->name, how, err.text);
    float *out = calloc(y_row * batch, sizeof *out);
    assert_int_equal(backend->run(program, batch, &input, &out, &err), NX_OK);
    compare(g->name, how, out, want, y_row * batch);
    for (uint32_t i = 0; i < batch; i++) {
        const float *one = input + i * x_row;
        assert_int_equal(backend->run(program, 1, &one, &out, &err), NX_OK);
        compare(g->name, "one photo", out, want + i * y_row, y_row);
    }
    assert_int_equal(backend->run(program, batch + 1, &input, &out, &err), NX_INVALID);
    assert_true(backend->memory_bytes(program) > y_row * batch * sizeof *out);
    backend->free(program);
    free(out);
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
    run_program(backend, &graph, g, how, input, want);
    nx_arena_free(&arena);
}

static int run_all(const struct nx_backend *backend, unsigned passes)
{
    struct nx_test_file file = nx_test_read("tests/parity/goldens", "ops.golden");
    struct nx_reader r;
    struct golden g;
    int cases = 0;
    nx_reader_init(&r, file.bytes, file.len);
    assert_memory_equal(nx_read_bytes(&r, 8), "NXGOLD1", 8);
    for (; next_golden(&r, &g); cases++)
        run_golden(backend, &g, passes);
    free(file.bytes);
    return cases;
}

static void cpu_ref_agrees_as_loaded(void **state)
{
    (void)state;
    assert_int_equal(run_all(&nx_backend_cpu_ref, 0), 101);
}

static void cpu_ref_agrees_after_all_passes(void **state)
{
    (void)state;
    assert_int_equal(run_all(&nx_backend_cpu_ref, NX_PASS_ALL), 101);
}

static void the_fastest_backend_agrees(void **state)
{
    (void)state;
    const struct nx_backend *backend = nx_backend_find("auto");
    print_message("the fastest backend of this build is %s\n", backend->name);
    assert_int_equal(run_all(backend, NX_PASS_ALL), 101);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_ref_agrees_as_loaded),
        cmocka_unit_test(cpu_ref_agrees_after_all_passes),
        cmocka_unit_test(the_fastest_backend_agrees),
    };
    return cmocka_run_group_tests_name("golden ops", tests, NULL, NULL);
}
