#include "categorizer/cpu/cpu_ref_int8.h"

static enum nx_status round_weights(const struct nx_graph *graph, uint32_t i,
                                    struct nx_arena *arena, struct nx_ref_int8 *int8)
{
    const struct nx_tensor *w = &graph->tensors[graph->nodes[i].inputs[1]];
    const float *data = w->data, *steps = int8->quant.steps[i];
    uint64_t elements = nx_tensor_bytes(w) / sizeof(float), n = (uint64_t)w->shape.dims[0];
    float *rounded = nx_arena_array(arena, elements, sizeof *rounded);
    if (!rounded)
        return NX_NO_MEMORY;
    for (uint64_t k = 0; k < elements; k++) {
        const struct nx_grid grid = {NX_GRID_S8, steps[k / (elements / n)]};
        rounded[k] = nx_grid_round(&grid, data[k]) * grid.step;
    }
    int8->weights[i] = rounded;
    return NX_OK;
}

static enum nx_status open_rooms(const struct nx_graph *graph, struct nx_arena *arena,
                                 struct nx_ref_int8 *int8)
{
    uint64_t most = 0;
    int8->weights = nx_arena_array(arena, graph->n_nodes, sizeof *int8->weights);
    if (!int8->weights)
        return NX_NO_MEMORY;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        uint64_t bytes = nx_tensor_bytes(&graph->tensors[graph->nodes[i].inputs[0]]);
        if (!int8->quant.steps[i])
            continue;
        NX_TRY(round_weights(graph, i, arena, int8));
        most = bytes > most ? bytes : most;
    }
    int8->room = nx_arena_alloc(arena, most);
    return int8->room ? NX_OK : NX_NO_MEMORY;
}

enum nx_status nx_ref_int8_open(const struct nx_graph *graph, const struct nx_quant_range *ranges,
                                struct nx_arena *arena, struct nx_ref_int8 *int8,
                                struct nx_err *err)
{
    NX_TRY(nx_quant_plan(graph, ranges, arena, &int8->quant, err));
    if (open_rooms(graph, arena, int8) != NX_OK)
        return nx_err_set(err, NX_NO_MEMORY, "cpu_ref: out of memory for the weights in int8");
    return NX_OK;
}

static void round_all(const struct nx_grid *grid, const float *x, float *y, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        y[i] = nx_grid_round(grid, x[i]) * grid->step;
}

static uint64_t floats_of(const struct nx_graph *graph, uint32_t tensor)
{
    return nx_tensor_bytes(&graph->tensors[tensor]) / sizeof(float);
}

void nx_ref_int8_run(const struct nx_ref_int8 *int8, const struct nx_graph *graph,
                     const struct nx_node *node, float **buffer)
{
    const struct nx_quant *quant = &int8->quant;
    const struct nx_ref_call call = {graph, node, buffer};
    uint32_t i = (uint32_t)(node - graph->nodes), x = node->inputs[0], y = node->outputs[0];
    bool in_int8 = quant->steps[i] != NULL;
    float *own_x = buffer[x], *own_w = in_int8 ? buffer[node->inputs[1]] : NULL;
    if (in_int8) {
        round_all(&quant->grids[x], own_x, int8->room, floats_of(graph, x));
        buffer[x] = int8->room;
        buffer[node->inputs[1]] = int8->weights[i];
    }
    nx_ref_kernels[node->op](&call);
    if (in_int8) {
        buffer[x] = own_x;
        buffer[node->inputs[1]] = own_w;
    }
    if (quant->stored[y])
        round_all(&quant->grids[y], buffer[y], buffer[y], floats_of(graph, y));
}
