#include "gpu_interpret.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/cpu/cpu_ref_ops.h"
#include "categorizer/gpu/gpu_space.h"

struct program {
    struct nx_program base;
    struct nx_gpu_plan *plan;
};

struct machine {
    const struct nx_gpu_variant *v;
    uint8_t *place[NX_GPU_PLACES];
};

static void *array_of(const struct machine *m, const struct nx_gpu_operand *x)
{
    const struct nx_gpu_buffer *buffer = &m->v->buffers[x->buffer];
    return m->place[buffer->place] + buffer->offset;
}

static float fetch(const struct machine *m, const struct nx_gpu_operand *x, int64_t at)
{
    return nx_gpu_fetch(array_of(m, x), x->type, (uint64_t)((int64_t)x->start + at));
}

static void store(const struct machine *m, const struct nx_gpu_operand *y, int64_t at, float value)
{
    nx_gpu_store(array_of(m, y), y->type, (uint64_t)((int64_t)y->start + at), value);
}

#define BINARY_CASE(kind, name, expression) \
    case kind: return expression;
static float binary(enum nx_binary kind, float a, float b)
{
    switch (kind) {
        NX_BINARY_LIST(BINARY_CASE)
    default: return NAN;
    }
}
#undef BINARY_CASE

static float apply(const struct nx_gpu_step *s, const float *x)
{
    switch (s->fn) {
    case NX_GPU_COPY: return x[0];
    case NX_GPU_BINARY: return binary(s->binary, x[0], x[1]);
    case NX_GPU_SCALE_SHIFT: return x[0] * x[1] + x[2];
    case NX_GPU_PRELU: return x[0] > 0 ? x[0] : x[1] * x[0];
    case NX_GPU_SELECT: return x[0] != 0 ? x[1] : x[2];
    }
    return NAN;
}

static struct nx_shape space_of(const struct nx_gpu_step *s)
{
    struct nx_shape shape = {.rank = s->rank};
    memcpy(shape.dims, s->dims, sizeof s->dims);
    return shape;
}

/* Walked as the kernel walks it. */
static void each(const struct machine *m, const struct nx_gpu_step *s)
{
    struct nx_gpu_space space;
    nx_gpu_space_of(s, &space);
    struct nx_shape shape = {.rank = space.rank};
    memcpy(shape.dims, space.dims, sizeof shape.dims);
    int64_t index[NX_RANK_MAX] = {0};
    for (int64_t i = 0; i < space.n; i++, nx_ref_next(index, &shape)) {
        float x[4] = {0}, y = 0;
        if (!space.valid || index[space.valid_dim] < space.valid) {
            for (uint32_t k = 0; k < s->n_x; k++)
                x[k] = fetch(m, &s->x[k], nx_ref_offset(index, space.x_stride[k], space.rank));
            y = nx_ref_unary(&s->act, apply(s, x));
        }
        store(m, &s->y, nx_ref_offset(index, space.y_stride, space.rank), y);
    }
}

static int64_t pixel(const struct nx_gpu_image *image, int64_t n, int64_t h, int64_t w)
{
    return ((n * image->h + h) * image->w + w) * image->c;
}

/* Filter o over the window at (n, oy, ox). */
static float window_sum(const struct machine *m, const struct nx_gpu_step *s, int64_t o, int64_t n,
                        int64_t oy, int64_t ox)
{
    const struct nx_window *w = &s->window;
    int64_t width = s->in.c / s->groups, first = o / (s->out.c / s->groups) * width;
    double sum = 0;
    for (int64_t r = 0; r < w->kernel[0]; r++)
        for (int64_t q = 0; q < w->kernel[1]; q++) {
            int64_t y = oy * w->stride[0] - w->before[0] + r * w->dilate[0];
            int64_t x = ox * w->stride[1] - w->before[1] + q * w->dilate[1];
            if (y < 0 || y >= s->in.h || x < 0 || x >= s->in.w)
                continue;
            int64_t tap = ((o * w->kernel[0] + r) * w->kernel[1] + q) * width;
            for (int64_t c = 0; c < width; c++)
                sum += (double)fetch(m, &s->x[0], pixel(&s->in, n, y, x) + first + c) *
                       (double)fetch(m, &s->x[1], tap + c);
        }
    return (float)sum;
}

static void conv(const struct machine *m, const struct nx_gpu_step *s)
{
    int64_t pixels = s->out.n * s->out.h * s->out.w;
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t o = 0; o < s->out.c; o++) {
            float y =
                window_sum(m, s, o, i / s->out.w / s->out.h, i / s->out.w % s->out.h, i % s->out.w);
            if (s->x[2].buffer != NX_NONE)
                y += fetch(m, &s->x[2], o);
            if (s->x[3].buffer != NX_NONE)
                y += fetch(m, &s->x[3], i * s->out.c + o);
            store(m, &s->y, i * s->out.c + o, nx_ref_unary(&s->act, y));
        }
}

/* One plane of an image as dense rows of cpu_ref, pooled by it. */
static void pool_plane(const struct machine *m, const struct nx_gpu_step *s, int64_t n, int64_t c,
                       float *in, float *out)
{
    struct nx_tensor tensors[] = {
        {.shape = {4, {1, 1, s->in.h, s->in.w}}},
        {.shape = {4, {1, 1, s->out.h, s->out.w}}},
    };
    struct nx_graph graph = {.tensors = tensors, .n_tensors = 2};
    uint32_t x = 0, y = 1;
    struct nx_node node = {
        .op = NX_OP_POOL, .n_inputs = 1, .n_outputs = 1, .inputs = &x, .outputs = &y};
    node.attr.pool = s->pool;
    float *buffers[] = {in, out};
    for (int64_t i = 0; i < s->in.h * s->in.w; i++)
        in[i] = fetch(m, &s->x[0], (n * s->in.h * s->in.w + i) * s->in.c + c);
    struct nx_ref_call call = {&graph, &node, buffers};
    nx_ref_pool(&call);
    for (int64_t i = 0; i < s->out.h * s->out.w; i++)
        store(m, &s->y, (n * s->out.h * s->out.w + i) * s->out.c + c, out[i]);
}

static void pool(const struct machine *m, const struct nx_gpu_step *s)
{
    float *in = calloc((size_t)(s->in.h * s->in.w), sizeof *in);
    float *out = calloc((size_t)(s->out.h * s->out.w), sizeof *out);
    for (int64_t n = 0; n < s->in.n; n++)
        for (int64_t c = 0; c < s->in.c; c++)
            pool_plane(m, s, n, c, in, out);
    free(in);
    free(out);
}

static void softmax_line(const struct machine *m, const struct nx_gpu_step *s, int64_t x, int64_t y)
{
    int64_t x_step = s->x[0].stride[s->axis], y_step = s->y.stride[s->axis], n = s->dims[s->axis];
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, (double)fetch(m, &s->x[0], x + i * x_step));
    for (int64_t i = 0; i < n; i++)
        sum += exp(((double)fetch(m, &s->x[0], x + i * x_step) - most) / (double)s->temperature);
    for (int64_t i = 0; i < n; i++) {
        double v = ((double)fetch(m, &s->x[0], x + i * x_step) - most) / (double)s->temperature;
        store(m, &s->y, y + i * y_step, (float)(s->log ? v - log(sum) : exp(v) / sum));
    }
}

static void softmax(const struct machine *m, const struct nx_gpu_step *s)
{
    struct nx_shape lines = space_of(s);
    lines.dims[s->axis] = 1;
    int64_t index[NX_RANK_MAX] = {0}, n = nx_ref_product(&lines, 0, lines.rank);
    for (int64_t i = 0; i < n; i++, nx_ref_next(index, &lines))
        softmax_line(m, s, nx_ref_offset(index, s->x[0].stride, s->rank),
                     nx_ref_offset(index, s->y.stride, s->rank));
}

static void lrn(const struct machine *m, const struct nx_gpu_step *s)
{
    int64_t n = s->in.n * s->in.h * s->in.w * s->in.c;
    for (int64_t i = 0; i < n; i++) {
        int64_t c = i % s->in.c, from = c - s->lrn.size / 2, to = c + s->lrn.size / 2;
        double sum = 0;
        for (int64_t k = from < 0 ? 0 : from; k <= to && k < s->in.c; k++)
            sum += pow((double)fetch(m, &s->x[0], i - c + k), 2);
        double base = (double)s->lrn.knorm + (double)s->lrn.alpha / s->lrn.size * sum;
        store(m, &s->y, i,
              (float)((double)fetch(m, &s->x[0], i) * pow(base, -(double)s->lrn.beta)));
    }
}

static void (*const kinds[NX_GPU_KINDS])(const struct machine *m, const struct nx_gpu_step *s) = {
    [NX_GPU_CONV] = conv,       [NX_GPU_POOL] = pool, [NX_GPU_EACH] = each,
    [NX_GPU_SOFTMAX] = softmax, [NX_GPU_LRN] = lrn,
};

/* `rows` of each port between the caller's arrays and the place, as a run of the device copies them. */
static void copy_ports(const struct nx_gpu_port *ports, uint32_t n, uint32_t variant,
                       uint8_t *place, uint32_t done, uint32_t rows, const float *const *from,
                       float *const *to)
{
    for (uint32_t i = 0; i < n; i++) {
        uint64_t skip = ports[i].batched ? done * ports[i].floats : 0;
        uint64_t bytes = ports[i].floats * (ports[i].batched ? rows : 1) * sizeof(float);
        uint8_t *here = place + ports[i].offset[variant];
        if (from)
            memcpy(here, from[i] + skip, bytes);
        else
            memcpy(to[i] + skip, here, bytes);
    }
}

static void run_variant(const struct nx_gpu_plan *plan, uint32_t done, uint32_t rows,
                        const float *const *inputs, float *const *outputs)
{
    struct machine m = {.v = nx_gpu_plan_variant(plan, rows)};
    uint32_t variant = (uint32_t)(m.v - plan->variants);
    for (int i = 0; i < NX_GPU_PLACES; i++) {
        m.place[i] = malloc(m.v->place_bytes[i] + 1);
        memset(m.place[i], 0xff, m.v->place_bytes[i]); /* NaN in every type */
    }
    memcpy(m.place[NX_GPU_IN_IMAGE], plan->image, plan->image_bytes);
    copy_ports(plan->in, plan->n_in, variant, m.place[NX_GPU_IN_INPUT], done, rows, inputs, NULL);
    for (uint32_t i = 0; i < m.v->n_steps; i++)
        kinds[m.v->steps[i].kind](&m, &m.v->steps[i]);
    copy_ports(plan->out, plan->n_out, variant, m.place[NX_GPU_IN_OUTPUT], done, rows, NULL,
               outputs);
    for (int i = 0; i < NX_GPU_PLACES; i++)
        free(m.place[i]);
}

static enum nx_status interpret_run(struct nx_program *program, uint32_t batch,
                                    const float *const *inputs, float *const *outputs,
                                    struct nx_err *err)
{
    const struct nx_gpu_plan *plan = gpu_interpret_plan(program);
    if (batch < 1 || batch > plan->batch_max)
        return nx_err_set(err, NX_INVALID, "a batch of %u, expected 1 to %u", batch,
                          plan->batch_max);
    for (uint32_t done = 0; done < batch; done += NX_GPU_BUCKET_MAX) {
        uint32_t rows = batch - done < NX_GPU_BUCKET_MAX ? batch - done : NX_GPU_BUCKET_MAX;
        run_variant(plan, done, rows, inputs, outputs);
    }
    return NX_OK;
}

const struct nx_gpu_plan *gpu_interpret_plan(const struct nx_program *program)
{
    return ((const struct program *)program)->plan;
}

static enum nx_status load(const struct nx_backend *backend, enum nx_gpu_type type,
                           const struct nx_graph *graph, const struct nx_load_options *options,
                           struct nx_program **program, struct nx_err *err)
{
    struct nx_gpu_plan *plan;
    NX_TRY(nx_gpu_plan_build(graph, options->batch_max, type, &plan, err));
    struct program *p = calloc(1, sizeof *p);
    p->base.backend = backend;
    p->plan = plan;
    *program = &p->base;
    return NX_OK;
}

static void interpret_free(struct nx_program *program)
{
    nx_gpu_plan_free(((struct program *)program)->plan);
    free(program);
}

static struct nx_program_bytes interpret_memory(const struct nx_program *program)
{
    const struct nx_gpu_plan *plan = gpu_interpret_plan(program);
    return (struct nx_program_bytes){.weights = plan->image_bytes, .all = plan->arena.used_bytes};
}

#define INTERPRETER(name_, type_)                                                       \
    static enum nx_status load_##name_(const struct nx_graph *graph,                    \
                                       const struct nx_load_options *options,           \
                                       struct nx_program **program, struct nx_err *err) \
    {                                                                                   \
        return load(&name_, type_, graph, options, program, err);                       \
    }                                                                                   \
    const struct nx_backend name_ = {.name = #name_,                                    \
                                     .load = load_##name_,                              \
                                     .run = interpret_run,                              \
                                     .free = interpret_free,                            \
                                     .memory = interpret_memory};
INTERPRETER(gpu_interpret_f32, NX_GPU_F32)
INTERPRETER(gpu_interpret_f16, NX_GPU_F16)
INTERPRETER(gpu_interpret_bf16, NX_GPU_BF16)

unsigned gpu_interpret_planned, gpu_interpret_refused;

static enum nx_status either_load(const struct nx_graph *graph,
                                  const struct nx_load_options *options,
                                  struct nx_program **program, struct nx_err *err)
{
    enum nx_status status = gpu_interpret_f32.load(graph, options, program, err);
    gpu_interpret_planned += status == NX_OK;
    gpu_interpret_refused += status == NX_UNSUPPORTED;
    return status == NX_UNSUPPORTED ? nx_backend_cpu_ref.load(graph, options, program, err)
                                    : status;
}

static enum nx_status either_run(struct nx_program *program, uint32_t batch,
                                 const float *const *inputs, float *const *outputs,
                                 struct nx_err *err)
{
    return program->backend->run(program, batch, inputs, outputs, err);
}

static void either_free(struct nx_program *program)
{
    program->backend->free(program);
}

static struct nx_program_bytes either_memory(const struct nx_program *program)
{
    return program->backend->memory(program);
}

const struct nx_backend gpu_interpret_or_ref = {
    .name = "the GPU's plan",
    .load = either_load,
    .run = either_run,
    .free = either_free,
    .memory = either_memory,
};
