/* A plan on the device. Two slots of staging memory take turns, so that the next batch travels while one is
 * computed; each (variant, slot) is captured as a CUDA graph when it has run once, and again when the weights
 * have moved.
 *
 *   copies   ──in 0──┬──in 1──┬─ …
 *   compute          └─0─out 0└─1─out 1 … */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/gpu/cudnn_conv.h"
#include "categorizer/gpu/gpu_device.h"

enum { SLOTS = 2 };

struct captured {
    cudaGraphExec_t graph; /* NULL: not captured, or would not be */
    const void *image;     /* the weights it was captured with */
    bool has_run;          /* once without: libraries load themselves at a first call */
    bool refused;
};

struct slot {
    uint8_t *host_in, *host_out; /* pinned */
    uint8_t *in, *out;
    cudaEvent_t brought, done;
    uint32_t variant, first, rows; /* of what is under way; rows 0: nothing is */
};

struct nx_gpu_exec {
    struct nx_gpu_device *device;
    const struct nx_gpu_plan *plan;
    cudnnHandle_t cudnn;
    cudaStream_t copies, compute;
    uint8_t *arena, *workspace;
    uint64_t arena_bytes, workspace_bytes, in_bytes, out_bytes;
    struct slot slots[SLOTS];
    struct nx_cudnn_conv *convs[NX_GPU_VARIANTS_MAX]; /* per step */
    struct captured captured[NX_GPU_VARIANTS_MAX][SLOTS];
};

static enum nx_status plan_convs(struct nx_gpu_exec *e, struct nx_err *err)
{
    for (uint32_t v = 0; v < e->plan->n_variants; v++) {
        const struct nx_gpu_variant *variant = &e->plan->variants[v];
        e->convs[v] = nx_calloc(variant->n_steps, sizeof *e->convs[v]);
        if (!e->convs[v])
            return nx_err_set(err, NX_NO_MEMORY, "gpu_cudnn: out of memory for the program");
        for (uint32_t i = 0; i < variant->n_steps; i++) {
            struct nx_cudnn_conv *conv = &e->convs[v][i];
            if (variant->steps[i].kind != NX_GPU_CONV)
                continue;
            NX_TRY(nx_cudnn_conv_build(e->cudnn, &variant->steps[i], conv, err));
            if (conv->workspace_bytes > e->workspace_bytes)
                e->workspace_bytes = conv->workspace_bytes;
        }
    }
    return NX_OK;
}

static enum nx_status on_device(struct nx_gpu_exec *e, uint64_t bytes, uint8_t **at,
                                struct nx_err *err)
{
    void *made;
    NX_TRY(
        nx_gpu_cuda(cudaMallocAsync(&made, bytes ? bytes : 1, e->compute), "device memory", err));
    *at = made;
    return nx_gpu_cuda(cudaMemsetAsync(made, 0, bytes, e->compute), "device memory", err);
}

static enum nx_status on_host(uint64_t bytes, uint8_t **at, struct nx_err *err)
{
    void *made;
    NX_TRY(nx_gpu_cuda(cudaMallocHost(&made, bytes ? bytes : 1), "pinned memory", err));
    memset(made, 0, bytes);
    *at = made;
    return NX_OK;
}

static enum nx_status make_slot(struct nx_gpu_exec *e, struct slot *s, struct nx_err *err)
{
    NX_TRY(on_host(e->in_bytes, &s->host_in, err));
    NX_TRY(on_host(e->out_bytes, &s->host_out, err));
    NX_TRY(on_device(e, e->in_bytes, &s->in, err));
    NX_TRY(on_device(e, e->out_bytes, &s->out, err));
    NX_TRY(nx_gpu_cuda(cudaEventCreateWithFlags(&s->brought, cudaEventDisableTiming), "an event",
                       err));
    return nx_gpu_cuda(cudaEventCreateWithFlags(&s->done, cudaEventDisableTiming), "an event", err);
}

static void measure(struct nx_gpu_exec *e)
{
    for (uint32_t v = 0; v < e->plan->n_variants; v++) {
        const uint64_t *bytes = e->plan->variants[v].place_bytes;
        if (bytes[NX_GPU_IN_ARENA] > e->arena_bytes)
            e->arena_bytes = bytes[NX_GPU_IN_ARENA];
        if (bytes[NX_GPU_IN_INPUT] > e->in_bytes)
            e->in_bytes = bytes[NX_GPU_IN_INPUT];
        if (bytes[NX_GPU_IN_OUTPUT] > e->out_bytes)
            e->out_bytes = bytes[NX_GPU_IN_OUTPUT];
    }
}

static enum nx_status prepare(struct nx_gpu_exec *e, struct nx_err *err)
{
    NX_TRY(nx_gpu_cuda(cudaSetDevice(e->device->ordinal), "the device", err));
    NX_TRY(
        nx_gpu_cuda(cudaStreamCreateWithFlags(&e->copies, cudaStreamNonBlocking), "a stream", err));
    NX_TRY(nx_gpu_cuda(cudaStreamCreateWithFlags(&e->compute, cudaStreamNonBlocking), "a stream",
                       err));
    cudnnStatus_t status = cudnnCreate(&e->cudnn);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnSetStream(e->cudnn, e->compute);
    if (status != CUDNN_STATUS_SUCCESS)
        return nx_err_set(err, NX_UNAVAILABLE, "gpu_cudnn: cuDNN does not start: %s",
                          cudnnGetErrorString(status));
    measure(e);
    NX_TRY(plan_convs(e, err));
    NX_TRY(on_device(e, e->arena_bytes, &e->arena, err));
    NX_TRY(on_device(e, e->workspace_bytes, &e->workspace, err));
    for (int i = 0; i < SLOTS; i++)
        NX_TRY(make_slot(e, &e->slots[i], err));
    return nx_gpu_cuda(cudaStreamSynchronize(e->compute), "device memory", err);
}

enum nx_status nx_gpu_exec_load(struct nx_gpu_device *device, const struct nx_gpu_plan *plan,
                                struct nx_gpu_exec **exec, struct nx_err *err)
{
    struct nx_gpu_exec *e = nx_calloc(1, sizeof *e);
    if (!e)
        return nx_err_set(err, NX_NO_MEMORY, "gpu_cudnn: out of memory for the program");
    e->device = device;
    e->plan = plan;
    enum nx_status status = prepare(e, err);
    if (status != NX_OK)
        nx_gpu_exec_free(e);
    else
        *exec = e;
    return status;
}

static void free_slot(struct nx_gpu_exec *e, struct slot *s)
{
    cudaFreeHost(s->host_in); /* NULL is well */
    cudaFreeHost(s->host_out);
    if (s->in)
        cudaFreeAsync(s->in, e->compute);
    if (s->out)
        cudaFreeAsync(s->out, e->compute);
    if (s->brought)
        cudaEventDestroy(s->brought);
    if (s->done)
        cudaEventDestroy(s->done);
}

static void free_programs(struct nx_gpu_exec *e)
{
    for (uint32_t v = 0; v < e->plan->n_variants; v++) {
        for (int i = 0; i < SLOTS; i++)
            if (e->captured[v][i].graph)
                cudaGraphExecDestroy(e->captured[v][i].graph);
        for (uint32_t i = 0; e->convs[v] && i < e->plan->variants[v].n_steps; i++)
            nx_cudnn_conv_free(&e->convs[v][i]);
        free(e->convs[v]);
    }
}

void nx_gpu_exec_free(struct nx_gpu_exec *e)
{
    cudaSetDevice(e->device->ordinal);
    if (e->compute)
        cudaStreamSynchronize(e->compute);
    free_programs(e);
    for (int i = 0; i < SLOTS; i++)
        free_slot(e, &e->slots[i]);
    if (e->arena)
        cudaFreeAsync(e->arena, e->compute);
    if (e->workspace)
        cudaFreeAsync(e->workspace, e->compute);
    if (e->cudnn)
        cudnnDestroy(e->cudnn);
    if (e->copies)
        cudaStreamDestroy(e->copies);
    if (e->compute)
        cudaStreamDestroy(e->compute);
    free(e);
}

uint64_t nx_gpu_exec_bytes(const struct nx_gpu_exec *e)
{
    uint64_t convs = 0;
    for (uint32_t v = 0; v < e->plan->n_variants; v++)
        convs += e->plan->variants[v].n_steps * sizeof *e->convs[v];
    return sizeof *e + convs + e->arena_bytes + e->workspace_bytes +
           SLOTS * 2 * (e->in_bytes + e->out_bytes);
}

/* Where the four places lie for one run. */
struct bases {
    const uint8_t *read[NX_GPU_PLACES];
    uint8_t *write[NX_GPU_PLACES]; /* NULL: nobody writes there */
};

static struct nx_gpu_pointers resolve(const struct nx_gpu_variant *v, const struct bases *bases,
                                      const struct nx_gpu_step *step)
{
    struct nx_gpu_pointers at = {{NULL, NULL, NULL, NULL}, NULL};
    for (uint32_t i = 0; i < step->n_x; i++) {
        if (step->x[i].buffer == NX_NONE)
            continue;
        const struct nx_gpu_buffer *b = &v->buffers[step->x[i].buffer];
        at.x[i] = bases->read[b->place] + b->offset +
                  step->x[i].start * nx_gpu_type_bytes(step->x[i].type);
    }
    const struct nx_gpu_buffer *b = &v->buffers[step->y.buffer];
    at.y = bases->write[b->place] + b->offset + step->y.start * nx_gpu_type_bytes(step->y.type);
    return at;
}

static enum nx_status launch_steps(struct nx_gpu_exec *e, uint32_t variant,
                                   const struct bases *bases, struct nx_err *err)
{
    const struct nx_gpu_variant *v = &e->plan->variants[variant];
    for (uint32_t i = 0; i < v->n_steps; i++) {
        const struct nx_gpu_step *step = &v->steps[i];
        struct nx_gpu_pointers at = resolve(v, bases, step);
        if (step->kind == NX_GPU_CONV) {
            NX_TRY(nx_cudnn_conv_run(e->cudnn, &e->convs[variant][i], step, &at, e->workspace,
                                     e->compute, err));
            continue;
        }
        const char *wrong = nx_gpu_launch(step, &at, e->compute);
        if (wrong)
            return nx_err_set(err, NX_INTERNAL, "gpu_cudnn: '%s': %s", step->name, wrong);
    }
    return NX_OK;
}

/* What cannot be captured still runs, launch by launch. */
static void capture(struct nx_gpu_exec *e, uint32_t variant, const struct bases *bases,
                    struct captured *c)
{
    cudaGraph_t graph = NULL;
    if (c->graph)
        cudaGraphExecDestroy(c->graph);
    c->graph = NULL;
    c->image = bases->read[NX_GPU_IN_IMAGE];
    if (cudaStreamBeginCapture(e->compute, cudaStreamCaptureModeThreadLocal) != cudaSuccess) {
        c->refused = true;
        return;
    }
    enum nx_status status = launch_steps(e, variant, bases, NULL);
    bool ended = cudaStreamEndCapture(e->compute, &graph) == cudaSuccess && status == NX_OK;
    if (!ended || cudaGraphInstantiate(&c->graph, graph, 0) != cudaSuccess) {
        c->refused = true;
        c->graph = NULL;
    }
    if (graph)
        cudaGraphDestroy(graph);
    cudaGetLastError();
}

static enum nx_status compute(struct nx_gpu_exec *e, uint32_t variant, uint32_t at,
                              const void *image, struct nx_err *err)
{
    struct slot *s = &e->slots[at];
    struct captured *c = &e->captured[variant][at];
    struct bases bases = {.read = {e->arena, image, s->in, s->out},
                          .write = {e->arena, NULL, NULL, s->out}};
    if (c->has_run && !c->refused && c->image != image)
        capture(e, variant, &bases, c);
    if (c->graph)
        return nx_gpu_cuda(cudaGraphLaunch(c->graph, e->compute), "a graph", err);
    NX_TRY(launch_steps(e, variant, &bases, err));
    c->has_run = true;
    return NX_OK;
}

/* Rows from `first` on of the caller's arrays, into or out of pinned memory. */
static void copy_rows(const struct nx_gpu_port *port, uint32_t variant, uint8_t *pinned,
                      const struct slot *s, const float *from, float *to)
{
    uint64_t skip = port->batched ? s->first * port->floats : 0;
    uint64_t bytes = port->floats * (port->batched ? s->rows : 1) * sizeof(float);
    if (from)
        memcpy(pinned + port->offset[variant], from + skip, bytes);
    else
        memcpy(to + skip, pinned + port->offset[variant], bytes);
}

static enum nx_status start(struct nx_gpu_exec *e, uint32_t at, const void *image,
                            const float *const *inputs, struct nx_err *err)
{
    struct slot *s = &e->slots[at];
    const uint64_t *bytes = e->plan->variants[s->variant].place_bytes;
    for (uint32_t i = 0; i < e->plan->n_in; i++)
        copy_rows(&e->plan->in[i], s->variant, s->host_in, s, inputs[i], NULL);
    NX_TRY(nx_gpu_cuda(cudaMemcpyAsync(s->in, s->host_in, bytes[NX_GPU_IN_INPUT],
                                       cudaMemcpyHostToDevice, e->copies),
                       "a copy to the device", err));
    NX_TRY(nx_gpu_cuda(cudaEventRecord(s->brought, e->copies), "an event", err));
    NX_TRY(nx_gpu_cuda(cudaStreamWaitEvent(e->compute, s->brought, 0), "an event", err));
    NX_TRY(compute(e, s->variant, at, image, err));
    NX_TRY(nx_gpu_cuda(cudaMemcpyAsync(s->host_out, s->out, bytes[NX_GPU_IN_OUTPUT],
                                       cudaMemcpyDeviceToHost, e->compute),
                       "a copy from the device", err));
    return nx_gpu_cuda(cudaEventRecord(s->done, e->compute), "an event", err);
}

static enum nx_status collect(struct nx_gpu_exec *e, struct slot *s, float *const *outputs,
                              struct nx_err *err)
{
    if (s->rows == 0)
        return NX_OK;
    enum nx_status status = nx_gpu_cuda(cudaEventSynchronize(s->done), "a run", err);
    for (uint32_t i = 0; status == NX_OK && i < e->plan->n_out; i++)
        copy_rows(&e->plan->out[i], s->variant, s->host_out, s, NULL, outputs[i]);
    s->rows = 0;
    return status;
}

static enum nx_status run_all(struct nx_gpu_exec *e, const void *image, uint32_t batch,
                              const float *const *inputs, float *const *outputs, struct nx_err *err)
{
    uint32_t at = 0;
    for (uint32_t done = 0; done < batch; done += NX_GPU_BUCKET_MAX, at = (at + 1) % SLOTS) {
        struct slot *s = &e->slots[at];
        NX_TRY(collect(e, s, outputs, err));
        s->first = done;
        s->rows = batch - done < NX_GPU_BUCKET_MAX ? batch - done : NX_GPU_BUCKET_MAX;
        s->variant = (uint32_t)(nx_gpu_plan_variant(e->plan, s->rows) - e->plan->variants);
        NX_TRY(start(e, at, image, inputs, err));
    }
    for (int i = 0; i < SLOTS; i++)
        NX_TRY(collect(e, &e->slots[(at + (uint32_t)i) % SLOTS], outputs, err));
    return NX_OK;
}

enum nx_status nx_gpu_exec_run(struct nx_gpu_exec *e, const void *image, uint32_t batch,
                               const float *const *inputs, float *const *outputs,
                               struct nx_err *err)
{
    NX_TRY(nx_gpu_cuda(cudaSetDevice(e->device->ordinal), "the device", err));
    enum nx_status status = run_all(e, image, batch, inputs, outputs, err);
    if (status != NX_OK) { /* nothing may still write when the caller goes on */
        cudaStreamSynchronize(e->copies);
        cudaStreamSynchronize(e->compute);
        for (int i = 0; i < SLOTS; i++)
            e->slots[i].rows = 0;
    }
    return status;
}

static enum nx_status time_launches(struct nx_gpu_exec *e, const void *image, uint32_t batch,
                                    uint32_t repeats, cudaEvent_t marks[2], double *seconds,
                                    struct nx_err *err)
{
    uint32_t variant = (uint32_t)(nx_gpu_plan_variant(e->plan, batch) - e->plan->variants);
    float ms = 0;
    NX_TRY(compute(e, variant, 0, image, err)); /* so that no capture is timed */
    NX_TRY(nx_gpu_cuda(cudaEventRecord(marks[0], e->compute), "an event", err));
    for (uint32_t i = 0; i < repeats; i++)
        NX_TRY(compute(e, variant, 0, image, err));
    NX_TRY(nx_gpu_cuda(cudaEventRecord(marks[1], e->compute), "an event", err));
    NX_TRY(nx_gpu_cuda(cudaEventSynchronize(marks[1]), "a run", err));
    NX_TRY(nx_gpu_cuda(cudaEventElapsedTime(&ms, marks[0], marks[1]), "an event", err));
    *seconds = (double)ms / 1e3 / repeats;
    return NX_OK;
}

enum nx_status nx_gpu_exec_time(struct nx_gpu_exec *e, const void *image, uint32_t batch,
                                uint32_t repeats, double *seconds, struct nx_err *err)
{
    cudaEvent_t marks[2] = {NULL, NULL};
    enum nx_status status = nx_gpu_cuda(cudaSetDevice(e->device->ordinal), "the device", err);
    for (int i = 0; i < 2 && status == NX_OK; i++)
        status = nx_gpu_cuda(cudaEventCreate(&marks[i]), "an event", err);
    if (status == NX_OK)
        status = time_launches(e, image, batch, repeats, marks, seconds, err);
    cudaStreamSynchronize(e->compute);
    for (int i = 0; i < 2; i++)
        if (marks[i])
            cudaEventDestroy(marks[i]);
    return status;
}
