/* What the goldens (tests/parity) do not reach: widths beyond a block, uneven padding, the seam's promises. */
#include "nx_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 3, HEIGHT = 9, FILTERS = 2, NAME_BYTES = 16 };

static const float *data_of(const struct nx_net *net, uint32_t tensor)
{
    return net->graph.tensors[tensor].data;
}

/* The definition, one output at a time. */
static double conv_at(const float *x, const float *weight, const struct nx_window *w, int64_t width,
                      int64_t o, int64_t oy, int64_t ox)
{
    double sum = 0;
    for (int64_t c = 0; c < CHANNELS; c++)
        for (int64_t ky = 0; ky < w->kernel[0]; ky++)
            for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
                int64_t iy = oy * w->stride[0] - w->before[0] + ky * w->dilate[0];
                int64_t ix = ox * w->stride[1] - w->before[1] + kx * w->dilate[1];
                int64_t tap = ((o * CHANNELS + c) * w->kernel[0] + ky) * w->kernel[1] + kx;
                if (iy >= 0 && iy < HEIGHT && ix >= 0 && ix < width)
                    sum += (double)x[(c * HEIGHT + iy) * width + ix] * (double)weight[tap];
            }
    return sum;
}

static void check_conv(int64_t width, struct nx_window window)
{
    struct nx_net net;
    struct nx_program *program;
    nx_net_open(&net, (uint64_t)width);
    struct nx_node node = {.op = NX_OP_CONV, .attr.conv = {window, 1, FILTERS}};
    struct nx_shape shape = {4, {FILTERS, CHANNELS, window.kernel[0], window.kernel[1]}};
    uint32_t inputs[2] = {nx_net_input(&net, CHANNELS, HEIGHT, width), 0};
    inputs[1] = nx_net_constant(&net, shape, -1, 1);
    uint32_t y = nx_net_add(&net, node, inputs, 2);
    nx_net_outputs(&net, &y, 1);
    nx_net_infer(&net, 1);
    const struct nx_shape out_shape = net.graph.tensors[y].shape;
    float *x = calloc((size_t)(CHANNELS * HEIGHT * width), sizeof *x);
    float *out = calloc(nx_tensor_bytes(&net.graph.tensors[y]), 1);
    for (int64_t i = 0; i < CHANNELS * HEIGHT * width; i++)
        x[i] = nx_net_uniform(&net, -1, 1);
    struct nx_load_options options = {.batch_max = 1, .threads = 1};
    assert_int_equal(nx_backend_cpu_ref.load(&net.graph, &options, &program, &net.err), NX_OK);
    assert_int_equal(program->backend->run(program, 1, (const float *const[]){x}, &out, &net.err),
                     NX_OK);
    for (int64_t i = 0; i < FILTERS * out_shape.dims[2] * out_shape.dims[3]; i++) {
        int64_t ox = i % out_shape.dims[3], oy = i / out_shape.dims[3] % out_shape.dims[2];
        int64_t o = i / out_shape.dims[3] / out_shape.dims[2];
        double want = conv_at(x, data_of(&net, inputs[1]), &window, width, o, oy, ox);
        assert_true(fabs((double)out[i] - want) < 1e-5);
    }
    program->backend->free(program);
    free(x);
    free(out);
    nx_net_close(&net);
}

static void convolutions_of_any_width_and_padding(void **state)
{
    (void)state;
    static const int64_t widths[] = {7, 63, 64, 65, 130, 200};
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        check_conv(widths[i], (struct nx_window){{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}});
        check_conv(widths[i], (struct nx_window){{1, 5}, {2, 3}, {1, 1}, {0, 4}, {2, 0}});
        check_conv(widths[i], (struct nx_window){{2, 3}, {1, 2}, {3, 3}, {0, 0}, {5, 9}});
        check_conv(widths[i], (struct nx_window){{3, 1}, {1, 1}, {1, 1}, {0, 70}, {0, 70}});
    }
}

static void keep_name(void *ctx, const struct nx_step_took *step)
{
    snprintf(ctx, NAME_BYTES, "%s", step->node);
}

/* load keeps nothing of the graph: it is gone before the last run, which the address sanitizer watches. */
static void a_program_outlives_its_graph(void **state)
{
    (void)state;
    struct nx_net net;
    struct nx_program *program;
    float x[3 * 16], before[8], after[8], *out = before;
    const float *in = x;
    char name[NAME_BYTES] = "";
    const struct nx_step_watch watch = {name, keep_name};
    nx_net_open(&net, 5);
    uint32_t y = nx_net_fc(&net, nx_net_input(&net, 3, 4, 4), 48, 8);
    nx_net_outputs(&net, &y, 1);
    nx_net_infer(&net, 1);
    for (int i = 0; i < 48; i++)
        x[i] = nx_net_uniform(&net, -1, 1);
    struct nx_load_options options = {.batch_max = 1, .threads = 1};
    assert_int_equal(nx_backend_cpu_ref.load(&net.graph, &options, &program, &net.err), NX_OK);
    assert_int_equal(nx_backend_cpu_ref.run(program, 1, &in, &out, &net.err), NX_OK);
    nx_net_close(&net);
    out = after;
    program->watch = &watch;
    assert_int_equal(nx_backend_cpu_ref.run(program, 1, &in, &out, &net.err), NX_OK);
    assert_memory_equal(before, after, sizeof before);
    assert_string_equal(name, "node");
    nx_backend_cpu_ref.free(program);
}

static void outputs_may_be_inputs_and_constants(void **state)
{
    (void)state;
    struct nx_net net;
    struct nx_program *program;
    float x[2 * 3] = {1, 2, 3, 4, 5, 6}, y[2 * 3], z[3];
    const float *in = x;
    float *outs[] = {y, z};
    nx_net_open(&net, 6);
    uint32_t outputs[2] = {nx_net_input(&net, 3, 0, 0), nx_net_vector(&net, 3, 1, 1)};
    nx_net_outputs(&net, outputs, 2);
    nx_net_infer(&net, 2);
    struct nx_load_options options = {.batch_max = 2, .threads = 1};
    assert_int_equal(nx_backend_cpu_ref.load(&net.graph, &options, &program, &net.err), NX_OK);
    assert_int_equal(nx_backend_cpu_ref.run(program, 2, &in, outs, &net.err), NX_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_true(z[0] == 1 && z[2] == 1);
    nx_backend_cpu_ref.free(program);
    nx_net_close(&net);
}

static void a_weight_without_data_is_refused(void **state)
{
    (void)state;
    struct nx_net net;
    struct nx_program *program = NULL;
    nx_net_open(&net, 7);
    uint32_t y = nx_net_fc(&net, nx_net_input(&net, 3, 4, 4), 48, 8);
    nx_net_outputs(&net, &y, 1);
    nx_net_infer(&net, 1);
    net.graph.tensors[net.graph.nodes[0].inputs[1]].data = NULL;
    struct nx_load_options options = {.batch_max = 1, .threads = 1};
    assert_int_equal(nx_backend_cpu_ref.load(&net.graph, &options, &program, &net.err), NX_INVALID);
    assert_non_null(strstr(net.err.text, "'constant' has no data"));
    assert_null(program);
    nx_net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_of_any_width_and_padding),
        cmocka_unit_test(a_program_outlives_its_graph),
        cmocka_unit_test(outputs_may_be_inputs_and_constants),
        cmocka_unit_test(a_weight_without_data_is_refused),
    };
    return cmocka_run_group_tests_name("cpu_ref", tests, NULL, NULL);
}
