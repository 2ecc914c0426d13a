/* Does gpu_cudnn compute what cpu_ref does, and how fast? One table, for docs/performance.md.
 * Exit: 0 all within tolerance, 1 not, 77 no device answers. */
#include "gpu_check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "categorizer/gpu/gpu_cudnn.h"
#include "common/clock.h"
#include "gpu_zoo.h"

#define F16_TOLERANCE   1e-2
#define BF16_TOLERANCE  6e-2
#define GFLOP_PER_IMAGE 8.18

enum { BATCHES = 5, NO_DEVICE = 77 };

static int failures;

/* Prints one row; a NaN is a failure too. */
static void compare(struct net *net, const char *name, uint32_t batch_max)
{
    const double tolerance[] = {F16_TOLERANCE, BF16_TOLERANCE};
    double off[2];
    for (int i = 0; i < 2; i++) {
        struct net_options options = {
            .backend = &nx_backend_gpu_cudnn,
            .load = {.batch_max = batch_max,
                     .threads = 1,
                     .precision = i ? NX_PRECISION_BF16 : NX_PRECISION_F32},
            .tolerance = INFINITY};
        off[i] = net_compare(net, &options, name);
    }
    bool good = off[0] <= tolerance[0] && off[1] <= tolerance[1];
    failures += !good;
    printf("| %-24s | %8.1e | %8.1e | %s |\n", name, off[0], off[1], good ? "ok" : "OFF");
    fflush(stdout);
}

static void compare_all(void)
{
    printf("| against cpu_ref          |      f16 |     bf16 |    |\n|---|---|---|---|\n");
    for (unsigned i = 0; i < gpu_check_n_ops; i++) {
        struct net net;
        net_open(&net, 100 + i);
        gpu_check_ops[i].make(&net);
        compare(&net, gpu_check_ops[i].name, 3);
        net_close(&net);
    }
    for (size_t i = 0; i < GPU_ZOO; i++) {
        struct net net;
        gpu_zoo_open(&net, i);
        compare(&net, gpu_zoo[i].name, 5);
        net_close(&net);
    }
    struct net net;
    net_open(&net, 50);
    gpu_check_resnet50(&net);
    compare(&net, "ResNet-50", 1);
    net_close(&net);
}

static void must(enum nx_status status, const struct nx_err *err)
{
    if (status != NX_OK)
        fail_msg("gpu-check: %s", err->text);
}

/* Seconds of one run through the seam, f32 rows in host memory to f32 rows: the median of `n`. */
static double whole_run(struct nx_program *p, uint32_t batch, const float *in, float *out, int n)
{
    struct nx_err err = {0};
    double times[64];
    for (int i = 0; i < n; i++) {
        nx_ns from = nx_clock_now();
        must(p->backend->run(p, batch, &in, &out, &err), &err);
        double took = (double)(nx_clock_now() - from) / 1e9;
        int at = i;
        for (; at > 0 && times[at - 1] > took; at--)
            times[at] = times[at - 1];
        times[at] = took;
    }
    return times[n / 2];
}

static void time_batches(const char *type, enum nx_precision precision)
{
    static const uint32_t batches[BATCHES] = {1, 8, 32, 64, 128};
    struct nx_err err = {0};
    struct nx_program *program;
    struct net net;
    net_open(&net, 50);
    gpu_check_resnet50(&net);
    net_infer(&net);
    const struct nx_load_options options = {.batch_max = 128, .threads = 1, .precision = precision};
    nx_ns from = nx_clock_now();
    must(nx_backend_gpu_cudnn.load(&net.graph, &options, &program, &err), &err);
    double load = (double)(nx_clock_now() - from) / 1e9;
    float *in = calloc((size_t)128 * 3 * 224 * 224, sizeof *in), *out = calloc(128000, sizeof *out);
    assert_true(in && out);
    for (size_t i = 0; i < (size_t)128 * 3 * 224 * 224; i++)
        in[i] = (float)(nx_prng_unit(&net.prng) * 2 - 1);
    for (int i = 0; i < BATCHES; i++) {
        double seconds, whole = whole_run(program, batches[i], in, out, 31);
        must(nx_gpu_cudnn_time(program, batches[i], 200, &seconds, &err), &err);
        double rate = batches[i] / seconds;
        printf("| nexus %-4s | %5u | %9.3f | %9.0f | %9.3f | %9.0f | %7.1f |\n", type, batches[i],
               seconds * 1e3, rate, whole * 1e3, batches[i] / whole, rate * GFLOP_PER_IMAGE / 1e3);
        fflush(stdout);
    }
    printf("nexus %s: loaded and warm in %.2f s, %.0f MB on host and device\n", type, load,
           (double)nx_backend_gpu_cudnn.memory(program).all / 1e6);
    nx_backend_gpu_cudnn.free(program);
    free(in);
    free(out);
    net_close(&net);
}

int main(void)
{
    if (!nx_backend_gpu_cudnn.is_there()) {
        fprintf(stderr, "gpu-check: no device, nothing was checked: %s\n", nx_gpu_cudnn_describe());
        return NO_DEVICE;
    }
    printf("gpu-check on %s\n\n", nx_gpu_cudnn_describe());
    compare_all();
    printf("\n| ResNet-50  | batch | device ms |     img/s |  whole ms |     img/s | TFLOP/s |\n"
           "|---|---|---|---|---|---|---|\n");
    time_batches("f16", NX_PRECISION_F32);
    time_batches("bf16", NX_PRECISION_BF16);
    if (failures)
        fprintf(stderr, "gpu-check: %d rows are OFF\n", failures);
    return failures ? 1 : 0;
}
