/* The walk over the nodes: oneDNN where it has an implementation, loops over dense rows where not. */
#include "categorizer/cpu/dnnl_build.h"

typedef enum nx_status (*lowering)(struct nx_dnnl_build *b, const struct nx_node *node);

/* Without an entry, or where it says NX_UNSUPPORTED: dense rows (cpu_rows.h). */
static const lowering lowerings[NX_OP_COUNT] = {
    [NX_OP_CONV] = nx_dnnl_lower_conv,
    [NX_OP_FC] = nx_dnnl_lower_fc,
    [NX_OP_BATCH_NORM] = nx_dnnl_lower_norm,
    [NX_OP_SCALE_SHIFT] = nx_dnnl_lower_norm,
    [NX_OP_POOL] = nx_dnnl_lower_pool,
    [NX_OP_UNARY] = nx_dnnl_lower_unary,
    [NX_OP_PRELU] = nx_dnnl_lower_prelu,
    [NX_OP_BINARY] = nx_dnnl_lower_binary,
    [NX_OP_CONCAT] = nx_dnnl_lower_concat,
    [NX_OP_LRN] = nx_dnnl_lower_lrn,
    [NX_OP_TRANSPOSE] = nx_dnnl_lower_transpose,
    [NX_OP_SLICE] = nx_dnnl_lower_slice,
    [NX_OP_SPLIT] = nx_dnnl_lower_split,
    [NX_OP_REDUCE] = nx_dnnl_lower_reduce,
    [NX_OP_MATMUL] = nx_dnnl_lower_matmul,
    [NX_OP_RESHAPE] = nx_dnnl_lower_view,
    [NX_OP_SOFTMAX] = nx_dnnl_lower_softmax,
    [NX_OP_IDENTITY] = nx_dnnl_lower_view,
    [NX_OP_LAYER_NORM] = nx_dnnl_lower_layer_norm,
};

static enum nx_status lower_node(struct nx_dnnl_build *b, const struct nx_node *node)
{
    lowering lower = lowerings[node->op];
    b->node = node;
    enum nx_status status = lower ? lower(b, node) : NX_UNSUPPORTED;
    return status == NX_UNSUPPORTED ? nx_dnnl_step_ref(b, node) : status;
}

static enum nx_status start(struct nx_dnnl_build *b)
{
    struct nx_dnnl_variant *v = b->v;
    v->first_value = nx_arena_array(b->arena, v->graph.n_tensors, sizeof *v->first_value);
    v->rows_value = nx_arena_array(b->arena, v->graph.n_tensors, sizeof *v->rows_value);
    if (!v->first_value || !v->rows_value)
        return nx_dnnl_out_of_memory(b);
    for (uint32_t t = 0; t < v->graph.n_tensors; t++)
        v->first_value[t] = v->rows_value[t] = NX_NONE;
    for (uint32_t i = 0; i < v->graph.n_inputs; i++) {
        uint32_t value;
        NX_TRY(nx_dnnl_value_outside(b, NX_DNNL_IN_INPUT, i, &value));
        nx_dnnl_value_set(b, v->graph.inputs[i], value);
    }
    return NX_OK;
}

enum nx_status nx_dnnl_lower(struct nx_dnnl_build *b)
{
    NX_TRY(start(b));
    NX_TRY(nx_dnnl_plan_spots(b));
    for (uint32_t i = 0; i < b->v->graph.n_nodes; i++)
        NX_TRY(lower_node(b, &b->v->graph.nodes[i]));
    b->node = NULL;
    for (uint32_t i = 0; i < b->v->graph.n_outputs; i++) {
        uint32_t from, to;
        NX_TRY(nx_dnnl_value_native(b, b->v->graph.outputs[i], &from));
        NX_TRY(nx_dnnl_value_outside(b, NX_DNNL_IN_OUTPUT, i, &to));
        NX_TRY(nx_dnnl_step_reorder(b, from, to));
    }
    return NX_OK;
}
