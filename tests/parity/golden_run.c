#include "golden_run.h"

#include "categorizer/graph/pass.h"
#include "gpu_interpret.h"

#include <math.h>
#include <string.h>

#define TOLERANCE 2e-5f

void nx_golden_name(struct nx_reader *r, char *dst, size_t cap)
{
    uint32_t len = nx_read_u32(r);
    const uint8_t *name = nx_read_bytes(r, len);
    assert_non_null(name);
    snprintf(dst, cap, "%.*s", (int)len, (const char *)name);
}

static void compare(const struct nx_golden_run *run, const char *how, const float *got,
                    const float *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        float off = fabsf(got[i] - want[i]);
        if (!(off <= TOLERANCE * (1 + fabsf(want[i]))))
            fail_msg("%s, %s, %s: element %lu is %.9g, %s has %.9g", run->name, run->how, how,
                     (unsigned long)i, (double)got[i], run->peer, (double)want[i]);
        *run->largest = fmaxf(*run->largest, off / (1 + fabsf(want[i])));
    }
}

void nx_golden_check(const struct nx_backend *backend, const struct nx_graph *graph,
                     const struct nx_golden_run *run)
{
    struct nx_err err = {0};
    struct nx_program *program;
    const struct nx_tensor *x = &graph->tensors[graph->inputs[0]];
    const struct nx_tensor *y = &graph->tensors[graph->outputs[0]];
    uint32_t batch = graph->batch;
    uint64_t x_row = nx_tensor_bytes(x) / 4 / batch, y_row = nx_tensor_bytes(y) / 4 / batch;
    struct nx_load_options options = {.batch_max = batch, .threads = 1};
    if (backend->load(graph, &options, &program, &err) != NX_OK)
        fail_msg("%s, %s: %s", run->name, run->how, err.text);
    float *outs[NX_PORTS_MAX]; /* only the first is compared */
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        outs[i] = malloc(nx_tensor_bytes(&graph->tensors[graph->outputs[i]]));
    float *out = outs[0];
    assert_int_equal(backend->run(program, batch, &run->input, outs, &err), NX_OK);
    compare(run, "all photos", out, run->want, y_row * batch);
    for (uint32_t i = 0; i < batch; i++) {
        const float *one = run->input + i * x_row;
        assert_int_equal(backend->run(program, 1, &one, outs, &err), NX_OK);
        compare(run, "one photo", out, run->want + i * y_row, y_row);
    }
    assert_int_equal(backend->run(program, batch + 1, &run->input, outs, &err), NX_INVALID);
    assert_true(backend->memory_bytes(program) > y_row * batch * sizeof *out);
    backend->free(program);
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        free(outs[i]);
}

const struct nx_backend *nx_golden_fastest_cpu(void)
{
    const struct nx_backend *dnnl = nx_backend_find("cpu_dnnl");
    return dnnl ? dnnl : &nx_backend_cpu_ref;
}

static const struct nx_golden_set *the_set; /* of this program */

static void run_file(size_t i, const struct nx_backend *backend, unsigned passes)
{
    const char *name = the_set->files[i].name;
    struct nx_test_file file = nx_test_read("tests/parity/goldens", name);
    struct nx_reader r;
    int cases = 0;
    float largest = 0;
    nx_reader_init(&r, file.bytes, file.len);
    assert_memory_equal(nx_read_bytes(&r, 8), the_set->magic, 8);
    while (the_set->next(&r, backend, passes, &largest))
        cases++;
    free(file.bytes);
    print_message("# %s, %s%s: %d cases, off by %.1e (1 + |golden|) at most\n", name, backend->name,
                  passes ? " with passes" : "", cases, (double)largest);
    assert_int_equal(cases, the_set->files[i].cases);
}

static void run_all(const struct nx_backend *backend, unsigned passes)
{
    for (size_t i = 0; i < NX_GOLDEN_FILES_MAX && the_set->files[i].name; i++)
        run_file(i, backend, passes);
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
    assert_in_range(gpu_interpret_planned, the_set->planned, UINT32_MAX);
}

int nx_golden_main(const struct nx_golden_set *set)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cpu_ref_agrees_as_loaded),
        cmocka_unit_test(cpu_ref_agrees_after_all_passes),
        cmocka_unit_test(the_fastest_cpu_backend_agrees),
        cmocka_unit_test(the_plan_for_a_gpu_agrees),
    };
    the_set = set;
    return cmocka_run_group_tests_name(set->name, tests, NULL, NULL);
}
