#include "categorizer/gpu/gpu_plan.h"

#include <stdlib.h>
#include <string.h>

#include "categorizer/gpu/gpu_build.h"
#include "categorizer/graph/plan.h"
#include "categorizer/graph/shape.h"

/* NULL: there is no step for it, and the graph stays with another backend. */
static enum nx_status (*const lower[NX_OP_COUNT])(struct nx_gpu_build *b) = {
    [NX_OP_CONV] = nx_gpu_lower_conv,
    [NX_OP_FC] = nx_gpu_lower_fc,
    [NX_OP_SCALE_SHIFT] = nx_gpu_lower_scale_shift,
    [NX_OP_POOL] = nx_gpu_lower_pool,
    [NX_OP_UNARY] = nx_gpu_lower_each,
    [NX_OP_PRELU] = nx_gpu_lower_each,
    [NX_OP_BINARY] = nx_gpu_lower_each,
    [NX_OP_WHERE] = nx_gpu_lower_each,
    [NX_OP_IDENTITY] = nx_gpu_lower_each,
    [NX_OP_CONCAT] = nx_gpu_lower_concat,
    [NX_OP_RESHAPE] = nx_gpu_lower_reshape,
    [NX_OP_SOFTMAX] = nx_gpu_lower_softmax,
    [NX_OP_REDUCE] = nx_gpu_lower_reduce,
    [NX_OP_SPLIT] = nx_gpu_lower_part,
    [NX_OP_SLICE] = nx_gpu_lower_part,
    [NX_OP_TRANSPOSE] = nx_gpu_lower_part,
    [NX_OP_LRN] = nx_gpu_lower_lrn,
};

enum nx_status nx_gpu_refuse(struct nx_gpu_build *b, const char *why)
{
    return nx_err_set(b->err, NX_UNSUPPORTED, "gpu_cudnn: no step for '%s', a %s%s%s",
                      b->node->name, nx_op_name(b->node->op), *why ? ": " : "", why);
}

/* No value yet but the graph's inputs, dense f32 rows of the caller's. */
static enum nx_status begin(struct nx_gpu_build *b)
{
    struct nx_gpu_value none = {.buffer = NX_NONE};
    for (uint32_t t = 0; t < b->graph.n_tensors; t++) {
        b->values[t] = (struct nx_gpu_values){none, none, none};
        for (struct nx_gpu_packed *p = b->packed[t]; p; p = p->older)
            p->buffer = NX_NONE;
    }
    for (uint32_t i = 0; i < b->graph.n_inputs; i++) {
        uint32_t t = b->graph.inputs[i];
        struct nx_gpu_value *value = &b->values[t].native;
        *value = (struct nx_gpu_value){.type = NX_GPU_F32};
        NX_TRY(nx_gpu_buffer_new(b, NX_GPU_IN_INPUT, nx_tensor_bytes(&b->graph.tensors[t]),
                                 &value->buffer));
    }
    return NX_OK;
}

static enum nx_status lower_nodes(struct nx_gpu_build *b)
{
    for (uint32_t i = 0; i < b->graph.n_nodes; i++) {
        b->node = &b->graph.nodes[i];
        if (!lower[b->node->op])
            return nx_gpu_refuse(b, "");
        NX_TRY(lower[b->node->op](b));
    }
    b->node = NULL;
    return NX_OK;
}

/* What the caller gets: dense f32 rows. */
static enum nx_status leave(struct nx_gpu_build *b, uint32_t i)
{
    uint32_t t = b->graph.outputs[i];
    const struct nx_shape *shape = nx_gpu_shape(b, t);
    struct nx_gpu_value from, to = {.type = NX_GPU_F32};
    NX_TRY(nx_gpu_value_native(b, t, &from));
    NX_TRY(
        nx_gpu_buffer_new(b, NX_GPU_IN_OUTPUT, nx_tensor_bytes(&b->graph.tensors[t]), &to.buffer));
    struct nx_gpu_step step = nx_gpu_each(b, t, &to);
    step.x[0] = nx_gpu_operand_of(&from, shape, shape);
    return nx_gpu_step_add(b, &step);
}

/* Inputs and outputs lie one behind the other, in the order of the graph's. */
static void line_up(struct nx_gpu_build *b, enum nx_gpu_place place, struct nx_gpu_port *ports)
{
    uint64_t at = 0;
    uint32_t variant = (uint32_t)(b->v - b->plan->variants), k = 0;
    for (uint32_t i = 0; i < b->v->n_buffers; i++) {
        struct nx_gpu_buffer *buffer = &b->v->buffers[i];
        if (buffer->place != place)
            continue;
        buffer->offset = at;
        ports[k++].offset[variant] = at;
        at += (buffer->bytes + NX_GPU_ALIGN - 1) / NX_GPU_ALIGN * NX_GPU_ALIGN;
    }
    b->v->place_bytes[place] = at;
}

static enum nx_status pack_arena(struct nx_gpu_build *b)
{
    struct nx_gpu_variant *v = b->v;
    struct nx_slot *slots = nx_arena_array(b->scratch, v->n_buffers, sizeof *slots);
    if (!slots)
        return nx_gpu_out_of_memory(b);
    for (uint32_t i = 0; i < v->n_buffers; i++) {
        bool ours = v->buffers[i].place == NX_GPU_IN_ARENA;
        slots[i] = (struct nx_slot){.first = v->buffers[i].first,
                                    .last = v->buffers[i].last,
                                    .bytes = ours ? v->buffers[i].bytes : 0};
    }
    NX_TRY(nx_plan_pack(b->scratch, slots, v->n_buffers, NX_GPU_ALIGN,
                        &v->place_bytes[NX_GPU_IN_ARENA], b->err));
    for (uint32_t i = 0; i < v->n_buffers; i++)
        if (v->buffers[i].place == NX_GPU_IN_ARENA)
            v->buffers[i].offset = slots[i].offset;
    return NX_OK;
}

static enum nx_status build_variant(struct nx_gpu_build *b, const struct nx_graph *graph)
{
    NX_TRY(nx_graph_clone(graph, b->scratch, &b->graph, b->err));
    NX_TRY(nx_shape_infer(&b->graph, b->v->batch, b->err));
    NX_TRY(begin(b));
    NX_TRY(lower_nodes(b));
    for (uint32_t i = 0; i < b->graph.n_outputs; i++)
        NX_TRY(leave(b, i));
    line_up(b, NX_GPU_IN_INPUT, b->plan->in);
    line_up(b, NX_GPU_IN_OUTPUT, b->plan->out);
    return pack_arena(b);
}

static enum nx_status make_ports(struct nx_gpu_build *b, const struct nx_graph *graph,
                                 const struct nx_port *from, const uint32_t *tensors, uint32_t n,
                                 struct nx_gpu_port **ports)
{
    *ports = nx_arena_array(&b->plan->arena, n, sizeof **ports);
    for (uint32_t i = 0; *ports && i < n; i++) {
        struct nx_gpu_port *port = &(*ports)[i];
        uint64_t floats = nx_tensor_bytes(&graph->tensors[tensors[i]]) / sizeof(float);
        port->batched = from[i].batched;
        port->floats = port->batched ? floats / graph->batch : floats;
        port->offset = nx_arena_array(&b->plan->arena, NX_GPU_VARIANTS_MAX, sizeof *port->offset);
        if (!port->offset)
            return nx_gpu_out_of_memory(b);
    }
    return *ports ? NX_OK : nx_gpu_out_of_memory(b);
}

static void choose_buckets(struct nx_gpu_plan *plan)
{
    uint32_t most = plan->batch_max < NX_GPU_BUCKET_MAX ? plan->batch_max : NX_GPU_BUCKET_MAX;
    for (uint32_t batch = 1; batch < most; batch *= 2)
        plan->variants[plan->n_variants++].batch = batch;
    plan->variants[plan->n_variants++].batch = most;
}

static enum nx_status build(struct nx_gpu_build *b, const struct nx_graph *graph)
{
    struct nx_gpu_plan *plan = b->plan;
    plan->n_in = graph->n_inputs;
    plan->n_out = graph->n_outputs;
    NX_TRY(make_ports(b, graph, graph->in, graph->inputs, plan->n_in, &plan->in));
    NX_TRY(make_ports(b, graph, graph->out, graph->outputs, plan->n_out, &plan->out));
    b->values = nx_arena_array(b->scratch, graph->n_tensors, sizeof *b->values);
    b->packed = nx_arena_array(b->scratch, graph->n_tensors, sizeof *b->packed);
    if (!b->values || !b->packed)
        return nx_gpu_out_of_memory(b);
    choose_buckets(plan);
    for (uint32_t i = 0; i < plan->n_variants; i++) {
        b->v = &plan->variants[i];
        NX_TRY(build_variant(b, graph));
    }
    NX_TRY(nx_gpu_weights_finish(b));
    for (uint32_t i = 0; i < plan->n_variants; i++)
        plan->variants[i].place_bytes[NX_GPU_IN_IMAGE] = plan->image_bytes;
    return NX_OK;
}

enum nx_status nx_gpu_plan_build(const struct nx_graph *graph, uint32_t batch_max,
                                 enum nx_gpu_type type, struct nx_gpu_plan **plan,
                                 struct nx_err *err)
{
    if (batch_max < 1 || batch_max > NX_BATCH_MAX)
        return nx_err_set(err, NX_INVALID, "gpu_cudnn: batch_max is %u, expected 1 to %u",
                          batch_max, NX_BATCH_MAX);
    struct nx_gpu_plan *own = nx_calloc(1, sizeof *own);
    if (!own)
        return nx_err_set(err, NX_NO_MEMORY, "gpu_cudnn: out of memory for the plan");
    struct nx_arena scratch;
    nx_arena_init(&own->arena, SIZE_MAX);
    nx_arena_init(&scratch, SIZE_MAX);
    own->type = type;
    own->batch_max = batch_max;
    struct nx_gpu_build b = {.plan = own, .scratch = &scratch, .err = err};
    enum nx_status status = build(&b, graph);
    nx_arena_free(&scratch);
    if (status != NX_OK)
        nx_gpu_plan_free(own);
    else
        *plan = own;
    return status;
}

void nx_gpu_plan_free(struct nx_gpu_plan *plan)
{
    nx_arena_free(&plan->arena);
    free(plan);
}

const struct nx_gpu_variant *nx_gpu_plan_variant(const struct nx_gpu_plan *plan, uint32_t rows)
{
    uint32_t i = 0;
    while (i + 1 < plan->n_variants && plan->variants[i].batch < rows)
        i++;
    return &plan->variants[i];
}
