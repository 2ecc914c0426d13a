#include "categorizer/graph/quant.h"

#include <math.h>
#include <string.h>

/* Sums of 255 · 127 stay within 31 bits up to here. */
#define PRODUCTS_MAX UINT64_C(66000)

/* Steps within these: then the product of two is a normal number. */
#define STEP_MIN 1e-18f
#define STEP_MAX NX_QUANT_RANGE_MAX

struct planning {
    const struct nx_graph *graph;
    const struct nx_quant_range *ranges;
    struct nx_quant *quant;
    struct nx_arena *arena;
    bool *can, *wanted; /* per tensor: could its writer store it? does a reader want it? */
    uint32_t *class;    /* per tensor: another one that shares its grid; itself at the end */
};

static bool is_dot(const struct nx_node *node)
{
    return node->op == NX_OP_CONV || node->op == NX_OP_FC;
}

static bool has_constant_weights(const struct nx_graph *graph, const struct nx_node *node)
{
    uint32_t last = node->n_inputs - (node->post.sum ? 1 : 0);
    for (uint32_t i = 1; i < last; i++)
        if (graph->tensors[node->inputs[i]].kind != NX_TENSOR_CONSTANT)
            return false;
    return true;
}

/* Moves or compares values, so that its result may stay on the grid of what comes in. A global
 * mean is worth more digits: it is small, and every class hangs on it. */
static bool keeps_grid(const struct nx_graph *graph, const struct nx_node *node)
{
    if (node->op == NX_OP_CONCAT)
        return graph->tensors[node->outputs[0]].shape.rank == 4;
    const struct nx_attr_pool *pool = &node->attr.pool;
    return node->op == NX_OP_POOL && (pool->kind == NX_POOL_MAX ||
                                      (pool->kind == NX_POOL_AVG && !pool->global && pool->even));
}

/* A batch norm that did not fold: between a sum and a convolution, as ResNet v2 has them. */
static bool is_affine(const struct nx_graph *graph, const struct nx_node *node)
{
    return node->op == NX_OP_SCALE_SHIFT && node->attr.scale_shift.axis == 1 &&
           graph->tensors[node->inputs[0]].shape.rank == 4 && has_constant_weights(graph, node);
}

void nx_quant_wanted_ranges(const struct nx_graph *graph, bool *wanted)
{
    memset(wanted, 0, graph->n_tensors * sizeof *wanted);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = &graph->nodes[i];
        bool dot = is_dot(node) && has_constant_weights(graph, node);
        if (dot)
            wanted[node->inputs[0]] = true;
        if ((dot && node->op == NX_OP_CONV) || keeps_grid(graph, node) || is_affine(graph, node))
            wanted[node->outputs[0]] = true;
    }
}

static float largest(const float *values, uint64_t n)
{
    float most = 0;
    for (uint64_t i = 0; i < n; i++)
        most = !(fabsf(values[i]) <= most) ? fabsf(values[i]) : most; /* a NaN stays */
    return most;
}

/* Steps for the channels' weights; NULL: they do not suit int8, or no memory. */
static const float *weight_steps(struct planning *p, const struct nx_node *node, bool *no_memory)
{
    const struct nx_tensor *w = &p->graph->tensors[node->inputs[1]];
    uint64_t elements, n = (uint64_t)w->shape.dims[0];
    if (!w->data || !nx_shape_elements(&w->shape, &elements) || elements / n > PRODUCTS_MAX)
        return NULL;
    float *steps = nx_arena_array(p->arena, n, sizeof *steps);
    *no_memory = !steps;
    for (uint64_t o = 0; steps && o < n; o++) {
        float most = largest((const float *)w->data + o * (elements / n), elements / n);
        steps[o] = most == 0 ? 1 : most / 127;
        if (!(steps[o] >= STEP_MIN && steps[o] <= STEP_MAX))
            return NULL;
    }
    return steps;
}

static struct nx_grid grid_of(const struct nx_quant_range *range)
{
    bool u8 = range->low >= 0;
    float most = fmaxf(-range->low, range->high);
    float step = most / (u8 ? 255 : 127);
    if (step < STEP_MIN) /* 0 throughout: any grid holds that */
        step = 1;
    return (struct nx_grid){u8 ? NX_GRID_U8 : NX_GRID_S8, step};
}

static enum nx_status plan_dots(struct planning *p, struct nx_err *err)
{
    for (uint32_t i = 0; i < p->graph->n_nodes; i++) {
        const struct nx_node *node = &p->graph->nodes[i];
        bool no_memory = false;
        if (!is_dot(node) || !has_constant_weights(p->graph, node) ||
            !p->ranges[node->inputs[0]].known)
            continue;
        p->quant->steps[i] = weight_steps(p, node, &no_memory);
        if (no_memory)
            return nx_err_set(err, NX_NO_MEMORY, "out of memory for the steps of the weights");
        p->quant->n_int8 += p->quant->steps[i] != NULL;
    }
    return NX_OK;
}

static void plan_can(struct planning *p)
{
    for (uint32_t i = 0; i < p->graph->n_nodes; i++) {
        const struct nx_node *node = &p->graph->nodes[i];
        bool can = (p->quant->steps[i] && node->op == NX_OP_CONV) || is_affine(p->graph, node);
        if (keeps_grid(p->graph, node)) {
            can = true;
            for (uint32_t k = 0; k < node->n_inputs; k++)
                can = can && p->can[node->inputs[k]];
        }
        for (uint32_t k = 0; k < node->n_outputs; k++)
            p->can[node->outputs[k]] = can && p->ranges[node->outputs[k]].known;
    }
}

/* From the last node to the first. */
static void plan_wanted(struct planning *p)
{
    for (uint32_t i = p->graph->n_nodes; i-- > 0;) {
        const struct nx_node *node = &p->graph->nodes[i];
        bool on = p->wanted[node->outputs[0]] && p->can[node->outputs[0]];
        if (p->quant->steps[i] || (on && is_affine(p->graph, node)))
            p->wanted[node->inputs[0]] = true;
        if (on && node->post.sum)
            p->wanted[node->inputs[node->n_inputs - 1]] = true;
        for (uint32_t k = 0; on && keeps_grid(p->graph, node) && k < node->n_inputs; k++)
            p->wanted[node->inputs[k]] = true;
    }
    for (uint32_t t = 0; t < p->graph->n_tensors; t++)
        p->quant->stored[t] = p->can[t] && p->wanted[t];
}

static uint32_t class_of(struct planning *p, uint32_t t)
{
    while (p->class[t] != t) {
        p->class[t] = p->class[p->class[t]];
        t = p->class[t];
    }
    return t;
}

static void join_classes(struct planning *p)
{
    for (uint32_t t = 0; t < p->graph->n_tensors; t++)
        p->class[t] = t;
    for (uint32_t i = 0; i < p->graph->n_nodes; i++) {
        const struct nx_node *node = &p->graph->nodes[i];
        if (!keeps_grid(p->graph, node) || !p->quant->stored[node->outputs[0]])
            continue;
        for (uint32_t k = 0; k < node->n_inputs; k++)
            p->class[class_of(p, node->inputs[k])] = class_of(p, node->outputs[0]);
    }
}

/* A class has the least range that holds its members' all. */
static enum nx_status plan_grids(struct planning *p, struct nx_err *err)
{
    struct nx_quant_range *all = nx_arena_array(p->arena, p->graph->n_tensors, sizeof *all);
    if (!all)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the plan of int8");
    join_classes(p);
    for (uint32_t t = 0; t < p->graph->n_tensors; t++) {
        const struct nx_quant_range *own = &p->ranges[t];
        struct nx_quant_range *range = &all[class_of(p, t)];
        if (own->known && range->known)
            *range = (struct nx_quant_range){true, fminf(range->low, own->low),
                                             fmaxf(range->high, own->high)};
        else if (own->known)
            *range = *own;
    }
    for (uint32_t t = 0; t < p->graph->n_tensors; t++)
        if (p->ranges[t].known)
            p->quant->grids[t] = grid_of(&all[class_of(p, t)]);
    return NX_OK;
}

enum nx_status nx_quant_plan(const struct nx_graph *graph, const struct nx_quant_range *ranges,
                             struct nx_arena *arena, struct nx_quant *quant, struct nx_err *err)
{
    uint32_t tensors = graph->n_tensors;
    *quant = (struct nx_quant){
        .grids = nx_arena_array(arena, tensors, sizeof *quant->grids),
        .stored = nx_arena_array(arena, tensors, sizeof *quant->stored),
        .steps = nx_arena_array(arena, graph->n_nodes, sizeof *quant->steps),
    };
    struct planning p = {
        .graph = graph,
        .ranges = ranges,
        .quant = quant,
        .arena = arena,
        .can = nx_arena_array(arena, tensors, sizeof *p.can),
        .wanted = nx_arena_array(arena, tensors, sizeof *p.wanted),
        .class = nx_arena_array(arena, tensors, sizeof *p.class),
    };
    if (!quant->grids || !quant->stored || !quant->steps || !p.can || !p.wanted || !p.class)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the plan of int8");
    NX_TRY(plan_dots(&p, err));
    plan_can(&p);
    plan_wanted(&p);
    return plan_grids(&p, err);
}

float nx_grid_round(const struct nx_grid *grid, float x)
{
    float low = grid->kind == NX_GRID_U8 ? 0 : -128, high = grid->kind == NX_GRID_U8 ? 255 : 127;
    float q = rintf(x * (1 / grid->step));
    return q != q ? 0 : q < low ? low : q > high ? high : q;
}

void nx_quant_weights(const float *w, uint64_t elements, const float *steps, uint64_t n, int8_t *q)
{
    uint64_t each = elements / n;
    for (uint64_t o = 0; o < n; o++) {
        const struct nx_grid grid = {NX_GRID_S8, steps[o]};
        for (uint64_t i = o * each; i < (o + 1) * each; i++)
            q[i] = (int8_t)nx_grid_round(&grid, w[i]);
    }
}
