/* The seam: a program is one variant for each batch size of 1, 2, 4, … up to batch_max, and a batch
 * runs as the largest that fit it: 7 = 4 + 2 + 1. No row is computed that nobody asked for. A model
 * that keeps its threads busy with one photo has the variant of 1 only. */
#include <stdlib.h>
#include <string.h>

#include "categorizer/cpu/cpu_rows.h"
#include "categorizer/cpu/dnnl_build.h"
#include "categorizer/graph/shape.h"
#include "common/nx_assert.h"
#include "common/unconst.h"

enum { VARIANTS_MAX = 14, ALIGN = 64 }; /* 1 … 4096, and batch_max itself */

struct program {
    struct nx_program base;
    struct nx_arena arena; /* all that follows lives here */
    struct nx_dnnl *dnnl;
    uint64_t weights_bytes, arena_bytes; /* of `arena` */
    uint32_t batch_max, n_variants;
    struct nx_dnnl_variant variants[VARIANTS_MAX]; /* by growing batch */
};

static struct program *own(struct nx_program *program)
{
    nx_assert(program->backend == &nx_backend_cpu_dnnl);
    return (struct program *)program;
}

static void dnnl_free(struct nx_program *program)
{
    struct program *p = own(program);
    nx_dnnl_close(p->dnnl);
    nx_arena_free(&p->arena);
    free(p);
}

/* The constants' data belongs to the caller and is gone after the load. */
static void forget_data(struct nx_graph *graph)
{
    for (uint32_t t = 0; t < graph->n_tensors; t++)
        graph->tensors[t].data = NULL;
}

static enum nx_status build_variant(struct nx_dnnl_build *b, struct nx_dnnl_variant *v,
                                    uint64_t *bytes)
{
    b->v = v;
    NX_TRY(nx_graph_clone(b->source, b->arena, &v->graph, b->err));
    NX_TRY(nx_shape_infer(&v->graph, v->batch, b->err));
    NX_TRY(nx_dnnl_lower(b));
    forget_data(&v->graph);
    return nx_dnnl_pack(b, bytes);
}

/* With a GMAC of work for each thread, batches of 8 gave ResNet-50 7 % (f32) and 8 % (bf16) on a
 * Sapphire Rapids, nothing on a Zen 5, and cost 108 MB and a load twice as long. Concats that cost nothing do so for
 * one photo only: SqueezeNet lost 10 % by batches. In int8 a photo is less work: there ResNet-50 gained 30 % with one thread
 * and 40 % with two, for 13 MB. */
static bool one_is_enough(const struct nx_graph *graph, enum nx_precision precision,
                          uint32_t threads, bool joins)
{
    static const uint64_t million = 1000 * 1000;
    uint64_t macs = nx_graph_macs(graph) / graph->batch;
    uint64_t enough = joins ? 100 * million : 1000 * million;
    return macs / threads >= (precision == NX_PRECISION_INT8 ? 10 * 1000 * million : enough);
}

static void dnnl_estimate(const struct nx_graph *graph, const struct nx_load_options *options,
                          struct nx_load_estimate *estimate)
{
    bool blocks = options->precision == NX_PRECISION_F32 && !nx_dnnl_wants_channels_last(graph);
    bool joins = blocks && nx_dnnl_may_join(graph);
    estimate->at_once =
        one_is_enough(graph, options->precision, options->threads, joins) ? 1 : options->batch_max;
    nx_dnnl_estimate(graph, options->precision, blocks, estimate);
}

static void plan_batches(struct program *p, bool only_one)
{
    if (only_one) {
        p->variants[p->n_variants++].batch = 1;
        return;
    }
    for (uint32_t batch = 1; batch < p->batch_max; batch *= 2)
        p->variants[p->n_variants++].batch = batch;
    p->variants[p->n_variants++].batch = p->batch_max;
}

/* One arena serves all variants, since only one runs at a time. */
static enum nx_status build(struct program *p, struct nx_dnnl_build *b,
                            const struct nx_load_options *options)
{
    uint64_t most = 0, bytes = 0;
    plan_batches(
        p, one_is_enough(b->source, options->precision, options->threads, nx_dnnl_has_joins(b)));
    for (uint32_t i = 0; i < p->n_variants; i++) {
        NX_TRY(build_variant(b, &p->variants[i], &bytes));
        most = bytes > most ? bytes : most;
    }
    uint8_t *room = most < SIZE_MAX - ALIGN ? nx_arena_alloc(&p->arena, most + ALIGN) : NULL;
    if (!room)
        return nx_dnnl_out_of_memory(b);
    room += (ALIGN - (uintptr_t)room % ALIGN) % ALIGN;
    p->weights_bytes = b->weights_bytes;
    p->arena_bytes = most;
    for (uint32_t i = 0; i < p->n_variants; i++) {
        b->v = &p->variants[i];
        NX_TRY(nx_dnnl_bind_all(b, room));
    }
    return NX_OK;
}

/* Before anything is lowered. Channels last: what oneDNN's code for 8 bits is made for. */
static enum nx_status plan_int8(struct nx_dnnl_build *b, const struct nx_load_options *options,
                                struct nx_quant *quant)
{
    NX_TRY(nx_quant_plan(b->source, options->ranges, b->arena2, quant, b->err));
    b->vectors = nx_arena_array(b->arena2, b->source->n_nodes, sizeof *b->vectors);
    b->quant = quant;
    b->channels_last = true;
    return b->vectors ? NX_OK : nx_dnnl_out_of_memory(b);
}

static enum nx_status open_and_build(struct program *p, const struct nx_graph *graph,
                                     const struct nx_load_options *options,
                                     struct nx_arena *scratch, struct nx_err *err)
{
    struct nx_graph source; /* all variants share its names */
    struct nx_quant quant;
    struct nx_dnnl_build b = {
        .arena = &p->arena,
        .arena2 = scratch,
        .type = options->precision == NX_PRECISION_BF16 ? NX_DNNL_BF16 : NX_DNNL_F32,
        .source = &source,
        .err = err,
    };
    NX_TRY(nx_graph_clone(graph, scratch, &source, err));
    NX_TRY(nx_graph_keep_names(&source, &p->arena, err));
    b.weights = nx_arena_array(scratch, (size_t)graph->n_tensors + 1, sizeof *b.weights);
    if (!b.weights)
        return nx_dnnl_out_of_memory(&b);
    NX_TRY(nx_dnnl_open(&p->arena, options->threads, &p->dnnl, err));
    NX_TRY(nx_dnnl_open(scratch, options->threads, &b.loader, err));
    b.dnnl = p->dnnl;
    b.channels_last = b.type == NX_DNNL_BF16 || nx_dnnl_wants_channels_last(graph);
    enum nx_status status = NX_OK;
    if (options->precision == NX_PRECISION_INT8)
        status = plan_int8(&b, options, &quant);
    if (status == NX_OK)
        status = build(p, &b, options);
    nx_dnnl_close(b.loader);
    return status;
}

static enum nx_status dnnl_check(const struct nx_load_options *options, struct nx_err *err)
{
    if (options->precision == NX_PRECISION_BF16 && !nx_dnnl_has_bf16())
        return nx_err_set(err, NX_UNSUPPORTED, "cpu_dnnl: this machine has no bf16, it is %s",
                          nx_dnnl_isa());
    if (options->precision == NX_PRECISION_INT8 && !nx_dnnl_has_int8())
        return nx_err_set(err, NX_UNSUPPORTED,
                          "cpu_dnnl: int8 needs VNNI, this machine has none, it is %s",
                          nx_dnnl_isa());
    if (options->batch_max < 1 || options->batch_max > NX_BATCH_MAX)
        return nx_err_set(err, NX_INVALID, "cpu_dnnl: batch_max is %u, expected 1 to %u",
                          options->batch_max, NX_BATCH_MAX);
    if (options->threads < 1)
        return nx_err_set(err, NX_INVALID, "cpu_dnnl: 0 threads, expected at least 1");
    return NX_OK;
}

static enum nx_status dnnl_load(const struct nx_graph *graph, const struct nx_load_options *options,
                                struct nx_program **program, struct nx_err *err)
{
    NX_TRY(dnnl_check(options, err));
    if (options->precision == NX_PRECISION_INT8 && !options->ranges)
        return nx_err_set(err, NX_INVALID, "cpu_dnnl: int8 needs a calibration");
    struct program *p = nx_calloc(1, sizeof *p);
    if (!p)
        return nx_err_set(err, NX_NO_MEMORY, "cpu_dnnl: out of memory for the program");
    p->base.backend = &nx_backend_cpu_dnnl;
    p->batch_max = options->batch_max;
    struct nx_arena scratch;
    nx_arena_init(&p->arena, options->bytes_max ? options->bytes_max : SIZE_MAX);
    nx_arena_init(&scratch, SIZE_MAX);
    enum nx_status status = open_and_build(p, graph, options, &scratch, err);
    nx_arena_free(&scratch);
    if (status != NX_OK) {
        dnnl_free(&p->base);
        return status;
    }
    *program = &p->base;
    return NX_OK;
}

/* How far the caller's array moves on with each photo: what has no batch stays. */
static size_t row_floats(const struct nx_dnnl_variant *v, const struct nx_port *port,
                         uint32_t tensor)
{
    if (!port->batched)
        return 0;
    return nx_tensor_bytes(&v->graph.tensors[tensor]) / sizeof(float) / v->batch;
}

static const float *input_at(const struct nx_dnnl_variant *v, uint32_t k, uint32_t done,
                             const float *const *inputs)
{
    return inputs[k] + done * row_floats(v, &v->graph.in[k], v->graph.inputs[k]);
}

/* Rows from `done` on of the caller's arrays. */
static void bind_outside(struct nx_dnnl_variant *v, uint32_t done, const float *const *inputs,
                         float *const *outputs)
{
    for (uint32_t i = 0; i < v->n_values; i++) {
        const struct nx_dnnl_buffer *buffer = &v->buffers[v->values[i].buffer];
        uint32_t k = buffer->index;
        if (buffer->place == NX_DNNL_IN_INPUT)
            nx_dnnl_rebind(v->values[i].memory, nx_unconst(input_at(v, k, done, inputs)));
        else if (buffer->place == NX_DNNL_IN_OUTPUT)
            nx_dnnl_rebind(v->values[i].memory,
                           outputs[k] +
                               done * row_floats(v, &v->graph.out[k], v->graph.outputs[k]));
    }
    for (uint32_t t = 0; t < v->graph.n_tensors; t++) {
        if (v->rows_value[t] == NX_NONE)
            continue;
        const struct nx_dnnl_buffer *buffer = &v->buffers[v->values[v->rows_value[t]].buffer];
        if (buffer->place == NX_DNNL_IN_INPUT)
            v->rows[t] = nx_unconst(input_at(v, buffer->index, done, inputs));
    }
}

static void compute_plainly(const struct nx_dnnl_variant *v, const struct nx_dnnl_step *step)
{
    const struct nx_node *node = step->node;
    if (step->kind == NX_DNNL_STEP_REF) {
        const struct nx_ref_call call = {&v->graph, node, v->rows};
        (nx_rows_kernels[node->op] ? nx_rows_kernels : nx_ref_kernels)[node->op](&call);
        return;
    }
    float *y = v->rows[node->outputs[0]];
    size_t n = nx_tensor_bytes(&v->graph.tensors[node->outputs[0]]) / sizeof *y;
    nx_rows_unary(&node->post.act, y, y, (int64_t)n);
}

static enum nx_status run_step(struct program *p, const struct nx_dnnl_variant *v, uint32_t i,
                               struct nx_err *err)
{
    if (v->calls[i])
        return nx_dnnl_run(p->dnnl, &v->calls[i], 1, err);
    compute_plainly(v, &v->steps[i]);
    return NX_OK;
}

static const char *how_of(const struct nx_dnnl_step *step)
{
    if (step->kind == NX_DNNL_STEP_CALL)
        return nx_dnnl_op_text(step->op);
    if (step->kind == NX_DNNL_STEP_ACT)
        return "loops over rows, the act";
    return nx_rows_kernels[step->node->op] ? "loops over rows" : "plain loops";
}

static enum nx_status run_watched(struct program *p, const struct nx_dnnl_variant *v,
                                  struct nx_err *err)
{
    const struct nx_step_watch *watch = p->base.watch;
    for (uint32_t i = 0; i < v->n_steps; i++) {
        const struct nx_node *node = v->steps[i].node;
        nx_ns start = nx_clock_now();
        NX_TRY(run_step(p, v, i, err));
        const struct nx_step_took took = {node ? node->name : "", node ? nx_op_name(node->op) : "",
                                          how_of(&v->steps[i]), nx_clock_now() - start};
        watch->took(watch->ctx, &took);
    }
    return NX_OK;
}

/* Calls of oneDNN that follow each other go to it together. */
static enum nx_status run_steps(struct program *p, const struct nx_dnnl_variant *v,
                                struct nx_err *err)
{
    if (p->base.watch)
        return run_watched(p, v, err);
    for (uint32_t i = 0; i < v->n_steps;) {
        if (!v->calls[i]) {
            compute_plainly(v, &v->steps[i++]);
            continue;
        }
        uint32_t first = i;
        while (i < v->n_steps && v->calls[i])
            i++;
        NX_TRY(nx_dnnl_run(p->dnnl, v->calls + first, i - first, err));
    }
    return NX_OK;
}

static enum nx_status dnnl_run(struct nx_program *program, uint32_t batch,
                               const float *const *inputs, float *const *outputs,
                               struct nx_err *err)
{
    struct program *p = own(program);
    if (batch < 1 || batch > p->batch_max)
        return nx_err_set(err, NX_INVALID, "cpu_dnnl: a batch of %u, this program takes 1 to %u",
                          batch, p->batch_max);
    uint32_t i = p->n_variants;
    for (uint32_t done = 0; done < batch; done += p->variants[i].batch) {
        i = p->n_variants - 1;
        while (p->variants[i].batch > batch - done)
            i--;
        bind_outside(&p->variants[i], done, inputs, outputs);
        NX_TRY(run_steps(p, &p->variants[i], err));
    }
    return NX_OK;
}

static struct nx_program_bytes dnnl_memory(const struct nx_program *program)
{
    const struct program *p = (const struct program *)program;
    return (struct nx_program_bytes){.weights = p->weights_bytes,
                                     .arena = p->arena_bytes,
                                     .all = sizeof *p + p->arena.used_bytes};
}

const struct nx_backend nx_backend_cpu_dnnl = {
    .name = "cpu_dnnl",
    .check = dnnl_check,
    .estimate = dnnl_estimate,
    .load = dnnl_load,
    .run = dnnl_run,
    .free = dnnl_free,
    .memory = dnnl_memory,
};
