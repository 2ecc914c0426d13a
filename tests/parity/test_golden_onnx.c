/* ONNX files against ONNX Runtime (goldens/README.md): through the loader, as they are and after all passes, on
 * every backend of this build, at the golden's batch and one photo at a time. */
#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/input_size.h"
#include "categorizer/model/onnx.h"
#include "common/codec.h"
#include "golden_run.h"
#include "gpu_interpret.h"

#include <string.h>

/* Both sides sum in f32 or better, in another order. */
#define ABSOLUTE 2e-5f
#define RELATIVE 2e-5f

/* At least so many of the goldens have a plan for a GPU. */
#define PLANNED 202

struct golden_tensor {
    struct nx_shape shape;
    float *values;
};

struct golden {
    char name[64];
    uint8_t *file; /* of its own, so that the address sanitizer sees a read past it */
    size_t len;
    struct golden_tensor x, y;
};

static struct golden_tensor read_tensor(struct nx_reader *r)
{
    struct golden_tensor t = {.shape.rank = nx_read_u32(r)};
    uint64_t n;
    assert_in_range(t.shape.rank, 0, NX_RANK_MAX);
    for (uint32_t i = 0; i < t.shape.rank; i++)
        t.shape.dims[i] = nx_read_u32(r);
    assert_true(nx_shape_elements(&t.shape, &n));
    t.values = malloc(n * sizeof *t.values);
    const uint8_t *bytes = nx_read_bytes(r, n * sizeof *t.values);
    assert_non_null(bytes);
    memcpy(t.values, bytes, n * sizeof *t.values);
    return t;
}

static bool next_golden(struct nx_reader *r, struct golden *g)
{
    if (nx_reader_left(r) == 0)
        return false;
    uint32_t len = nx_read_u32(r);
    const uint8_t *name = nx_read_bytes(r, len);
    assert_non_null(name);
    snprintf(g->name, sizeof g->name, "%.*s", (int)len, (const char *)name);
    g->len = nx_read_u32(r);
    const uint8_t *file = nx_read_bytes(r, g->len);
    assert_non_null(file);
    g->file = malloc(g->len);
    memcpy(g->file, file, g->len);
    g->x = read_tensor(r);
    g->y = read_tensor(r);
    return true;
}

static void run_golden(const struct nx_backend *backend, const struct golden *g, unsigned passes,
                       float *largest)
{
    char how[64];
    struct nx_err err = {0};
    struct nx_arena arena;
    struct nx_graph graph;
    const struct nx_size_hint hint = {6, 6};
    bool size_is_free;
    snprintf(how, sizeof how, "%s%s", backend->name, passes ? " with passes" : "");
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    enum nx_status status = nx_onnx_build(g->file, g->len, &hint, &graph, &size_is_free, &err);
    if (status == NX_OK)
        status = nx_pass_run(&graph, passes, &nx_backend_cpu_ref, &err);
    if (status == NX_OK)
        status = nx_shape_infer(&graph, (uint32_t)g->x.shape.dims[0], &err);
    if (status != NX_OK)
        fail_msg("%s, %s: %s", g->name, how, err.text);
    assert_int_equal(size_is_free, strcmp(g->name, "open_size") == 0);
    assert_true(nx_shape_equal(&graph.tensors[graph.inputs[0]].shape, &g->x.shape));
    if (!nx_shape_equal(&graph.tensors[graph.outputs[0]].shape, &g->y.shape)) {
        char ours[NX_SHAPE_TEXT_BYTES], theirs[NX_SHAPE_TEXT_BYTES];
        fail_msg("%s, %s: the output is %s, ONNX Runtime has %s", g->name, how,
                 nx_shape_text(&graph.tensors[graph.outputs[0]].shape, ours),
                 nx_shape_text(&g->y.shape, theirs));
    }
    struct nx_golden_run run = {g->name,     how,      "ONNX Runtime", g->x.values,
                                g->y.values, ABSOLUTE, RELATIVE,       largest};
    nx_golden_check(backend, &graph, &run);
    nx_arena_free(&arena);
}

static const struct {
    const char *name;
    int cases;
} files[] = {{"onnx.golden", 173}, {"onnx_wide.golden", 101}, {"onnx_more.golden", 27}};

static void run_file(const char *name, int wanted, const struct nx_backend *backend,
                     unsigned passes)
{
    struct nx_test_file file = nx_test_read("tests/parity/goldens", name);
    struct nx_reader r;
    struct golden g;
    int cases = 0;
    float largest = 0;
    nx_reader_init(&r, file.bytes, file.len);
    assert_memory_equal(nx_read_bytes(&r, 8), "NXGOLD2", 8);
    for (; next_golden(&r, &g); cases++) {
        run_golden(backend, &g, passes, &largest);
        free(g.file);
        free(g.x.values);
        free(g.y.values);
    }
    free(file.bytes);
    print_message("# %s, %s%s: %d cases, off by %.1e (1 + |golden|) at most\n", name, backend->name,
                  passes ? " with passes" : "", cases, (double)largest);
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
    run_all(nx_golden_fastest_cpu(), NX_PASS_ALL);
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
    return cmocka_run_group_tests_name("golden onnx", tests, NULL, NULL);
}
