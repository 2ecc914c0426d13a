#include "categorizer/graph/rewrite.h"

#include <string.h>

#include "categorizer/graph/shape.h"
#include "common/nx_assert.h"

enum { NEW_CONSTANTS_PER_NODE = 2 };

static void note_use(struct nx_rewrite *rw, uint32_t tensor, uint32_t node)
{
    rw->uses[tensor]++;
    rw->previous[tensor] = rw->last[tensor];
    rw->last[tensor] = node;
    enum nx_op op = rw->graph->nodes[node].op;
    if (op == NX_OP_RESHAPE || op == NX_OP_IDENTITY)
        rw->viewed[tensor] = true;
}

static void note_uses(struct nx_rewrite *rw)
{
    struct nx_graph *graph = rw->graph;
    for (uint32_t i = 0; i < rw->cap_tensors; i++) {
        rw->forward[i] = i;
        rw->last[i] = rw->previous[i] = NX_NONE;
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        for (uint32_t k = 0; k < graph->nodes[i].n_inputs; k++)
            note_use(rw, graph->nodes[i].inputs[k], i);
    for (uint32_t i = 0; i < graph->n_outputs; i++) {
        rw->uses[graph->outputs[i]]++;
        rw->viewed[graph->outputs[i]] = true;
    }
}

enum nx_status nx_rewrite_begin(struct nx_rewrite *rw, struct nx_graph *graph, struct nx_err *err)
{
    uint32_t n = graph->n_tensors + NEW_CONSTANTS_PER_NODE * graph->n_nodes;
    *rw = (struct nx_rewrite){.graph = graph, .err = err, .cap_tensors = n};
    rw->dead = nx_arena_array(graph->arena, graph->n_nodes, sizeof *rw->dead);
    rw->forward = nx_arena_array(graph->arena, n, sizeof *rw->forward);
    rw->uses = nx_arena_array(graph->arena, n, sizeof *rw->uses);
    rw->last = nx_arena_array(graph->arena, n, sizeof *rw->last);
    rw->previous = nx_arena_array(graph->arena, n, sizeof *rw->previous);
    rw->viewed = nx_arena_array(graph->arena, n, sizeof *rw->viewed);
    if (!rw->dead || !rw->forward || !rw->uses || !rw->last || !rw->previous || !rw->viewed)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for a pass over the graph");
    note_uses(rw);
    return NX_OK;
}

/* Replacements point backwards in order, and chains are followed when they are made: one step. */
static void read_replacements(struct nx_rewrite *rw, uint32_t *tensors, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        nx_assert(tensors[i] < rw->cap_tensors);
        tensors[i] = rw->forward[tensors[i]];
    }
}

struct nx_node *nx_rewrite_visit(struct nx_rewrite *rw, uint32_t at)
{
    struct nx_node *node = &rw->graph->nodes[at];
    if (rw->dead[at])
        return NULL;
    read_replacements(rw, node->inputs, node->n_inputs);
    return node;
}

void nx_rewrite_drop(struct nx_rewrite *rw, uint32_t at, uint32_t by)
{
    struct nx_node *node = &rw->graph->nodes[at];
    uint32_t gone = node->outputs[0];
    nx_assert(node->n_outputs == 1 && rw->forward[by] == by && by != gone);
    rw->dead[at] = true;
    rw->forward[gone] = by;
    rw->uses[by] += rw->uses[gone];
    for (uint32_t i = 0; i < node->n_inputs; i++)
        rw->uses[node->inputs[i]]--;
    rw->viewed[by] |= rw->viewed[gone];
}

struct nx_node *nx_rewrite_only_producer(const struct nx_rewrite *rw, uint32_t tensor)
{
    const struct nx_tensor *t = &rw->graph->tensors[tensor];
    if (t->kind != NX_TENSOR_COMPUTED || rw->dead[t->producer] || rw->uses[tensor] != 1)
        return NULL;
    return &rw->graph->nodes[t->producer];
}

/* What the outputs need, from the last node to the first. */
static void mark_needed(const struct nx_rewrite *rw, bool *node_needed, bool *tensor_needed)
{
    const struct nx_graph *graph = rw->graph;
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        tensor_needed[graph->inputs[i]] = true;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        tensor_needed[graph->outputs[i]] = true;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        const struct nx_node *node = &graph->nodes[i];
        for (uint32_t k = 0; k < node->n_outputs; k++)
            node_needed[i] |= !rw->dead[i] && tensor_needed[node->outputs[k]];
        for (uint32_t k = 0; node_needed[i] && k < node->n_inputs; k++)
            tensor_needed[node->inputs[k]] = true;
        for (uint32_t k = 0; node_needed[i] && k < node->n_outputs; k++)
            tensor_needed[node->outputs[k]] = true;
    }
}

static void renumber(uint32_t *tensors, uint32_t n, const uint32_t *now)
{
    for (uint32_t i = 0; i < n; i++)
        tensors[i] = now[tensors[i]];
}

/* Moves what is needed to the front of the two arrays. */
static void compact(struct nx_graph *graph, const bool *node_needed, const bool *tensor_needed,
                    uint32_t *now)
{
    uint32_t tensors = 0, nodes = 0;
    for (uint32_t i = 0; i < graph->n_tensors; i++) {
        now[i] = tensors;
        if (tensor_needed[i])
            graph->tensors[tensors++] = graph->tensors[i];
    }
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        if (!node_needed[i])
            continue;
        struct nx_node *node = &graph->nodes[nodes];
        *node = graph->nodes[i];
        renumber(node->inputs, node->n_inputs, now);
        renumber(node->outputs, node->n_outputs, now);
        for (uint32_t k = 0; k < node->n_outputs; k++)
            graph->tensors[node->outputs[k]].producer = nodes;
        nodes++;
    }
    renumber(graph->inputs, graph->n_inputs, now);
    renumber(graph->outputs, graph->n_outputs, now);
    graph->n_tensors = tensors;
    graph->n_nodes = nodes;
}

enum nx_status nx_rewrite_end(struct nx_rewrite *rw)
{
    struct nx_graph *graph = rw->graph;
    bool *nodes = nx_arena_array(graph->arena, graph->n_nodes, sizeof *nodes);
    bool *tensors = nx_arena_array(graph->arena, graph->n_tensors, sizeof *tensors);
    uint32_t *now = nx_arena_array(graph->arena, graph->n_tensors, sizeof *now);
    if (!nodes || !tensors || !now)
        return nx_err_set(rw->err, NX_NO_MEMORY, "out of memory for a pass over the graph");
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        nx_rewrite_visit(rw, i);
    read_replacements(rw, graph->outputs, graph->n_outputs);
    mark_needed(rw, nodes, tensors);
    compact(graph, nodes, tensors, now);
    nx_assert_slow(nx_graph_is_sound(graph));
    return nx_shape_infer(graph, graph->batch, rw->err);
}
