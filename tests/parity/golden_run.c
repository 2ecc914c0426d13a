#include "golden_run.h"

#include <math.h>

static void compare(const struct nx_golden_run *run, const char *how, const float *got,
                    const float *want, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        float off = fabsf(got[i] - want[i]);
        if (!(off <= run->absolute + run->relative * fabsf(want[i])))
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
