#include "categorizer/backend.h"

#include <stdlib.h>
#include <string.h>

#include "categorizer/cpu/cpu_ref_int8.h"
#include "categorizer/graph/plan.h"
#include "categorizer/graph/shape.h"
#include "common/nx_assert.h"

enum { ALIGN = 64 };

struct program {
    struct nx_program base;
    struct nx_arena arena; /* all that follows lives here */
    struct nx_graph graph; /* a copy of its own, with copies of the constants and names */
    uint64_t arena_bytes;  /* of activations, in `arena` */
    uint32_t batch_max;
    float **buffer;           /* per tensor; a graph input's is set by each run */
    struct nx_ref_int8 *int8; /* NULL: f32 */
};

static struct program *own(struct nx_program *program)
{
    nx_assert(program->backend == &nx_backend_cpu_ref);
    return (struct program *)program;
}

const nx_ref_kernel nx_ref_kernels[NX_OP_COUNT] = {
    [NX_OP_CONV] = nx_ref_conv,
    [NX_OP_DECONV] = nx_ref_deconv,
    [NX_OP_FC] = nx_ref_fc,
    [NX_OP_BATCH_NORM] = nx_ref_batch_norm,
    [NX_OP_SCALE_SHIFT] = nx_ref_scale_shift,
    [NX_OP_POOL] = nx_ref_pool,
    [NX_OP_UNARY] = nx_ref_unary_op,
    [NX_OP_PRELU] = nx_ref_prelu,
    [NX_OP_BINARY] = nx_ref_binary,
    [NX_OP_WHERE] = nx_ref_where,
    [NX_OP_MATMUL] = nx_ref_matmul,
    [NX_OP_LAYER_NORM] = nx_ref_layer_norm,
    [NX_OP_GROUP_NORM] = nx_ref_group_norm,
    [NX_OP_TILE] = nx_ref_tile,
    [NX_OP_GATHER] = nx_ref_gather,
    [NX_OP_GATHER_EACH] = nx_ref_gather_each,
    [NX_OP_RESIZE] = nx_ref_resize,
    [NX_OP_CONCAT] = nx_ref_concat,
    [NX_OP_RESHAPE] = nx_ref_copy,
    [NX_OP_SOFTMAX] = nx_ref_softmax,
    [NX_OP_REDUCE] = nx_ref_reduce,
    [NX_OP_SPLIT] = nx_ref_split,
    [NX_OP_SLICE] = nx_ref_slice,
    [NX_OP_TRANSPOSE] = nx_ref_transpose,
    [NX_OP_PAD] = nx_ref_pad,
    [NX_OP_TOPK] = nx_ref_topk,
    [NX_OP_LRN] = nx_ref_lrn,
    [NX_OP_L2_NORM] = nx_ref_l2_norm,
    [NX_OP_IDENTITY] = nx_ref_copy,
};

static enum nx_status no_memory(struct nx_err *err)
{
    return nx_err_set(err, NX_NO_MEMORY, "cpu_ref: out of memory for the program");
}

static enum nx_status copy_constants(struct program *p, struct nx_err *err)
{
    for (uint32_t i = 0; i < p->graph.n_tensors; i++) {
        const struct nx_tensor *t = &p->graph.tensors[i];
        if (t->kind != NX_TENSOR_CONSTANT)
            continue;
        if (!t->data)
            return nx_err_set(err, NX_INVALID, "cpu_ref: '%s' has no data", t->name);
        p->buffer[i] = nx_arena_alloc(&p->arena, nx_tensor_bytes(t));
        if (!p->buffer[i])
            return no_memory(err);
        memcpy(p->buffer[i], t->data, nx_tensor_bytes(t));
    }
    return NX_OK;
}

static enum nx_status place_buffers(struct program *p, struct nx_err *err)
{
    struct nx_plan plan;
    uint64_t bytes;
    NX_TRY(nx_plan_slots(&p->graph, true, &plan, err));
    NX_TRY(nx_plan_pack(&p->arena, plan.slots, plan.n_slots, ALIGN, &bytes, err));
    uint8_t *room = nx_arena_alloc(&p->arena, bytes);
    p->arena_bytes = bytes;
    if (!room)
        return no_memory(err);
    for (uint32_t i = 0; i < p->graph.n_tensors; i++)
        if (plan.slot_of[i] != NX_NONE)
            p->buffer[i] = (float *)(void *)(room + plan.slots[plan.slot_of[i]].offset);
    return NX_OK;
}

static enum nx_status plan_int8(struct program *p, const struct nx_graph *graph,
                                const struct nx_load_options *options, struct nx_err *err)
{
    if (options->precision != NX_PRECISION_INT8)
        return NX_OK;
    if (!options->ranges)
        return nx_err_set(err, NX_INVALID, "cpu_ref: int8 needs a calibration");
    p->int8 = nx_arena_alloc(&p->arena, sizeof *p->int8);
    return p->int8 ? nx_ref_int8_open(graph, options->ranges, &p->arena, p->int8, err)
                   : no_memory(err);
}

static enum nx_status build(struct program *p, const struct nx_graph *graph, struct nx_err *err)
{
    NX_TRY(nx_graph_clone(graph, &p->arena, &p->graph, err));
    NX_TRY(nx_graph_keep_names(&p->graph, &p->arena, err));
    NX_TRY(nx_shape_infer(&p->graph, p->batch_max, err));
    p->buffer = nx_arena_array(&p->arena, p->graph.n_tensors, sizeof *p->buffer);
    if (!p->buffer)
        return no_memory(err);
    NX_TRY(copy_constants(p, err));
    return place_buffers(p, err);
}

static void ref_free(struct nx_program *program)
{
    struct program *p = own(program);
    nx_arena_free(&p->arena);
    free(p);
}

static enum nx_status ref_check(const struct nx_load_options *options, struct nx_err *err)
{
    if (options->precision == NX_PRECISION_BF16)
        return nx_err_set(err, NX_UNSUPPORTED, "cpu_ref computes in f32 and int8, not in bf16");
    return NX_OK;
}

static enum nx_status ref_load(const struct nx_graph *graph, const struct nx_load_options *options,
                               struct nx_program **program, struct nx_err *err)
{
    NX_TRY(ref_check(options, err));
    struct program *p = nx_calloc(1, sizeof *p);
    if (!p)
        return no_memory(err);
    p->base.backend = &nx_backend_cpu_ref;
    p->batch_max = options->batch_max;
    nx_arena_init(&p->arena, options->bytes_max ? options->bytes_max : SIZE_MAX);
    enum nx_status status = build(p, graph, err);
    if (status == NX_OK)
        status = plan_int8(p, &p->graph, options, err);
    if (status != NX_OK) {
        ref_free(&p->base);
        return status;
    }
    *program = &p->base;
    return NX_OK;
}

static void copy_outputs(const struct program *p, float *const *outputs)
{
    for (uint32_t i = 0; i < p->graph.n_outputs; i++) {
        uint32_t t = p->graph.outputs[i];
        memcpy(outputs[i], p->buffer[t], nx_tensor_bytes(&p->graph.tensors[t]));
    }
}

/* Kernels read inputs only; the buffers are not const because they also hold what is written. */
static float *as_buffer(const float *input)
{
    union {
        const float *read;
        float *write;
    } u = {.read = input};
    return u.write;
}

static void run_node(const struct program *p, const struct nx_node *node)
{
    const struct nx_step_watch *watch = p->base.watch;
    nx_ns start = watch ? nx_clock_now() : 0;
    struct nx_ref_call call = {&p->graph, node, p->buffer};
    if (p->int8)
        nx_ref_int8_run(p->int8, &p->graph, node, p->buffer);
    else
        nx_ref_kernels[node->op](&call);
    if (watch)
        watch->took(watch->ctx, &(struct nx_step_took){node->name, nx_op_name(node->op),
                                                       "plain loops", nx_clock_now() - start});
}

static enum nx_status ref_run(struct nx_program *program, uint32_t batch,
                              const float *const *inputs, float *const *outputs, struct nx_err *err)
{
    struct program *p = own(program);
    if (batch < 1 || batch > p->batch_max)
        return nx_err_set(err, NX_INVALID, "cpu_ref: a batch of %u, this program takes 1 to %u",
                          batch, p->batch_max);
    if (p->graph.batch != batch)
        NX_TRY(nx_shape_infer(&p->graph, batch, err));
    for (uint32_t i = 0; i < p->graph.n_inputs; i++)
        p->buffer[p->graph.inputs[i]] = as_buffer(inputs[i]);
    for (uint32_t i = 0; i < p->graph.n_nodes; i++)
        run_node(p, &p->graph.nodes[i]);
    copy_outputs(p, outputs);
    return NX_OK;
}

static struct nx_program_bytes ref_memory(const struct nx_program *program)
{
    const struct program *p = (const struct program *)program;
    struct nx_program_bytes bytes = {.arena = p->arena_bytes,
                                     .all = sizeof *p + p->arena.used_bytes};
    for (uint32_t i = 0; i < p->graph.n_tensors; i++)
        if (p->graph.tensors[i].kind == NX_TENSOR_CONSTANT)
            bytes.weights += nx_tensor_bytes(&p->graph.tensors[i]);
    return bytes;
}

const struct nx_backend nx_backend_cpu_ref = {
    .name = "cpu_ref",
    .check = ref_check,
    .load = ref_load,
    .run = ref_run,
    .free = ref_free,
    .memory = ref_memory,
};
