/* The seam: a plan, the module that has CUDA, and whose weights are on the device. The module and the device
 * are found once for the process, when somebody first asks for them, and stay. */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "categorizer/gpu/gpu_cudnn.h"
#include "categorizer/gpu/gpu_module.h"
#include "common/log.h"
#include "common/nx_assert.h"

struct program {
    struct nx_program base;
    struct nx_gpu_plan *plan;
    struct nx_gpu_exec *exec;
    struct nx_gpu_resident resident;
};

static struct {
    const struct nx_gpu_module *module;
    struct nx_gpu_device *device;
    struct nx_gpu_residents residents;
    struct nx_err err; /* why there is none */
} gpu;

/* Beside the program, or in ../lib as installed; never from where the user happens to stand. */
static void *open_beside(const char *folder)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    size_t room = sizeof path - (size_t)(slash - path);
    int len = snprintf(slash, room, "%s/%s", folder, NX_GPU_MODULE_FILE);
    return (size_t)len < room ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
}

static enum nx_status find_module(struct nx_err *err)
{
    void *library = open_beside("");
    if (!library)
        library = open_beside("/../lib");
    if (!library) {
        const char *why = dlerror();
        return nx_err_set(err, NX_UNAVAILABLE, "gpu_cudnn: %s", why ? why : "no module");
    }
    gpu.module = dlsym(library, NX_GPU_MODULE_SYMBOL);
    if (!gpu.module || gpu.module->layout != NX_GPU_MODULE_LAYOUT)
        return nx_err_set(err, NX_UNAVAILABLE,
                          "gpu_cudnn: " NX_GPU_MODULE_FILE
                          " is of another build than this program");
    return NX_OK;
}

/* Without a driver the module's half gigabyte of libraries need not be touched. */
static enum nx_status find_driver(struct nx_err *err)
{
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    if (!driver)
        return nx_err_set(err, NX_UNAVAILABLE,
                          "gpu_cudnn: no NVIDIA driver on this machine (libcuda.so.1)");
    dlclose(driver);
    return NX_OK;
}

/* A fifth stays for activations and cuDNN. */
static void open_once(void)
{
    struct nx_gpu_memory memory;
    enum nx_status status = find_driver(&gpu.err);
    if (status != NX_OK) {
        nx_info("%s; models run on the CPU", gpu.err.text);
        return;
    }
    status = find_module(&gpu.err);
    if (status == NX_OK)
        status = gpu.module->open(&gpu.device, &gpu.err);
    if (status != NX_OK) {
        nx_warn("%s; models run on the CPU", gpu.err.text);
        return;
    }
    gpu.module->memory(gpu.device, &memory);
    nx_gpu_residents_init(&gpu.residents, &memory, gpu.module->memory_bytes(gpu.device) / 5 * 4);
    nx_info("gpu_cudnn on %s", gpu.module->describe(gpu.device));
}

static bool is_there(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_once);
    return gpu.device != NULL;
}

static struct program *own(struct nx_program *program)
{
    nx_assert(program->backend == &nx_backend_gpu_cudnn);
    return (struct program *)program;
}

static void cudnn_free(struct nx_program *program)
{
    struct program *p = own(program);
    nx_gpu_resident_remove(&gpu.residents, &p->resident);
    if (p->exec)
        gpu.module->free(p->exec);
    if (p->plan)
        nx_gpu_plan_free(p->plan);
    free(p);
}

static enum nx_status run_at(struct program *p, uint32_t batch, const float *const *inputs,
                             float *const *outputs, struct nx_err *err)
{
    void *image;
    NX_TRY(nx_gpu_resident_pin(&gpu.residents, &p->resident, &image, err));
    enum nx_status status = gpu.module->run(p->exec, image, batch, inputs, outputs, err);
    nx_gpu_resident_unpin(&gpu.residents, &p->resident);
    return status;
}

static enum nx_status cudnn_run(struct nx_program *program, uint32_t batch,
                                const float *const *inputs, float *const *outputs,
                                struct nx_err *err)
{
    struct program *p = own(program);
    if (batch < 1 || batch > p->plan->batch_max)
        return nx_err_set(err, NX_INVALID, "gpu_cudnn: a batch of %u, this program takes 1 to %u",
                          batch, p->plan->batch_max);
    return run_at(p, batch, inputs, outputs, err);
}

/* Each bucket runs twice before the model counts as ready: what is slow the first time is cuDNN's loading of
 * its kernels, the second time the capture. */
static enum nx_status warm_up(struct program *p, struct nx_err *err)
{
    const struct nx_gpu_plan *plan = p->plan;
    uint32_t most = plan->variants[plan->n_variants - 1].batch;
    float *ports[2][NX_PORTS_MAX] = {{NULL}};
    enum nx_status status = NX_OK;
    for (uint32_t i = 0; i < plan->n_in + plan->n_out; i++) {
        bool in = i < plan->n_in;
        const struct nx_gpu_port *port = in ? &plan->in[i] : &plan->out[i - plan->n_in];
        float **at = in ? &ports[0][i] : &ports[1][i - plan->n_in];
        *at = nx_calloc(port->floats * (port->batched ? most : 1), sizeof(float));
        if (!*at)
            status = nx_err_set(err, NX_NO_MEMORY, "gpu_cudnn: out of memory to warm up");
    }
    for (uint32_t v = 0; v < plan->n_variants; v++)
        for (int twice = 0; twice < 2 && status == NX_OK; twice++)
            status =
                run_at(p, plan->variants[v].batch, (const float *const *)ports[0], ports[1], err);
    for (uint32_t i = 0; i < NX_PORTS_MAX; i++) {
        free(ports[0][i]);
        free(ports[1][i]);
    }
    return status;
}

static enum nx_status build(struct program *p, const struct nx_graph *graph,
                            const struct nx_load_options *options, struct nx_err *err)
{
    enum nx_gpu_type type = options->precision == NX_PRECISION_BF16 ? NX_GPU_BF16 : NX_GPU_F16;
    NX_TRY(nx_gpu_plan_build(graph, options->batch_max, type, &p->plan, err));
    nx_gpu_resident_init(&p->resident, p->plan->image, p->plan->image_bytes);
    NX_TRY(gpu.module->load(gpu.device, p->plan, &p->exec, err));
    return warm_up(p, err);
}

static enum nx_status cudnn_check(const struct nx_load_options *options, struct nx_err *err)
{
    if (!is_there())
        return nx_err_set(err, NX_UNAVAILABLE, "%s", gpu.err.text);
    if (options->precision != NX_PRECISION_F32 && options->precision != NX_PRECISION_BF16)
        return nx_err_set(err, NX_UNSUPPORTED, "gpu_cudnn does not compute in %s",
                          nx_precision_name(options->precision));
    return NX_OK;
}

static enum nx_status cudnn_load(const struct nx_graph *graph,
                                 const struct nx_load_options *options, struct nx_program **program,
                                 struct nx_err *err)
{
    NX_TRY(cudnn_check(options, err));
    struct program *p = nx_calloc(1, sizeof *p);
    if (!p)
        return nx_err_set(err, NX_NO_MEMORY, "gpu_cudnn: out of memory for the program");
    p->base.backend = &nx_backend_gpu_cudnn;
    enum nx_status status = build(p, graph, options, err);
    if (status != NX_OK)
        cudnn_free(&p->base);
    else
        *program = &p->base;
    return status;
}

/* The weight image counts twice: on the host, within the plan's arena, for the next upload, and as large again for its
 * copy on the device, which an eviction takes away but any run may bring back. */
static struct nx_program_bytes cudnn_memory(const struct nx_program *program)
{
    const struct program *p = (const struct program *)program;
    uint64_t exec = gpu.module->exec_bytes(p->exec);
    return (struct nx_program_bytes){.weights = 2 * p->plan->image_bytes,
                                     .arena = exec,
                                     .all = sizeof *p + p->plan->arena.used_bytes +
                                            p->plan->image_bytes + exec};
}

const char *nx_gpu_cudnn_describe(void)
{
    return is_there() ? gpu.module->describe(gpu.device) : gpu.err.text;
}

enum nx_status nx_gpu_cudnn_time(struct nx_program *program, uint32_t batch, uint32_t repeats,
                                 double *seconds, struct nx_err *err)
{
    struct program *p = own(program);
    void *image;
    NX_TRY(nx_gpu_resident_pin(&gpu.residents, &p->resident, &image, err));
    enum nx_status status = gpu.module->time(p->exec, image, batch, repeats, seconds, err);
    nx_gpu_resident_unpin(&gpu.residents, &p->resident);
    return status;
}

const struct nx_backend nx_backend_gpu_cudnn = {
    .name = "gpu_cudnn",
    .is_there = is_there,
    .check = cudnn_check,
    .load = cudnn_load,
    .run = cudnn_run,
    .free = cudnn_free,
    .memory = cudnn_memory,
};
