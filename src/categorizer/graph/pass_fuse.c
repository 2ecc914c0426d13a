#include <string.h>

#include "categorizer/graph/rewrite.h"

static bool takes_activation(const struct nx_node *node)
{
    bool op = node->op == NX_OP_CONV || node->op == NX_OP_FC || node->op == NX_OP_SCALE_SHIFT ||
              node->op == NX_OP_BINARY;
    return op && node->post.act.fn == NX_UNARY_NONE;
}

/* A rounding is done where the value lies, in any layout, rather than by who computes it. */
static bool is_activation(const struct nx_node *node)
{
    enum nx_unary fn = node->op == NX_OP_UNARY ? node->attr.unary.fn : NX_UNARY_NONE;
    bool rounds = fn == NX_UNARY_ROUND_F16 || fn == NX_UNARY_ROUND_BF16 || fn == NX_UNARY_STEPS_8 ||
                  fn == NX_UNARY_STEPS_16;
    return node->op == NX_OP_UNARY && !rounds;
}

enum nx_status nx_pass_activation(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        struct nx_node *before =
            is_activation(node) ? nx_rewrite_only_producer(&rw, node->inputs[0]) : NULL;
        if (!before || !takes_activation(before))
            continue;
        before->post.act = node->attr.unary;
        nx_rewrite_drop(&rw, i, node->inputs[0]);
    }
    return nx_rewrite_end(&rw);
}

/* May the result of `dot`, which comes to stand where `residual` was, overwrite it?  The residual
 * must be there before dot runs, and nobody may read it later, by itself or through a view. */
static bool may_overwrite(const struct nx_rewrite *rw, uint32_t dot, uint32_t add,
                          uint32_t residual)
{
    const struct nx_tensor *r = &rw->graph->tensors[residual];
    if (r->kind != NX_TENSOR_COMPUTED || r->producer >= dot || rw->viewed[residual])
        return false;
    enum nx_op made_by = rw->graph->nodes[r->producer].op;
    if (made_by == NX_OP_RESHAPE || made_by == NX_OP_IDENTITY)
        return false;
    return rw->last[residual] == add &&
           (rw->previous[residual] == NX_NONE || rw->previous[residual] < dot);
}

static bool is_plain_add(const struct nx_graph *graph, const struct nx_node *node)
{
    const struct nx_shape *y = &graph->tensors[node->outputs[0]].shape;
    return node->op == NX_OP_BINARY && node->attr.binary.kind == NX_BINARY_ADD &&
           node->post.act.fn == NX_UNARY_NONE && node->inputs[0] != node->inputs[1] &&
           nx_shape_equal(&graph->tensors[node->inputs[0]].shape, y) &&
           nx_shape_equal(&graph->tensors[node->inputs[1]].shape, y);
}

static enum nx_status append_input(struct nx_rewrite *rw, struct nx_node *node, uint32_t tensor)
{
    uint32_t *inputs = nx_arena_array(rw->graph->arena, node->n_inputs + 1, sizeof *inputs);
    if (!inputs)
        return nx_err_set(rw->err, NX_NO_MEMORY, "out of memory for a pass over the graph");
    memcpy(inputs, node->inputs, node->n_inputs * sizeof *inputs);
    inputs[node->n_inputs++] = tensor;
    node->inputs = inputs;
    return NX_OK;
}

/* The CONV or FC behind input `side` of the addition, if it can take the other side as residual. */
static struct nx_node *sum_taker(const struct nx_rewrite *rw, uint32_t add, uint32_t side)
{
    const struct nx_node *node = &rw->graph->nodes[add];
    struct nx_node *dot = nx_rewrite_only_producer(rw, node->inputs[side]);
    if (!dot || (dot->op != NX_OP_CONV && dot->op != NX_OP_FC) || dot->post.sum ||
        dot->post.act.fn != NX_UNARY_NONE)
        return NULL;
    uint32_t at = rw->graph->tensors[node->inputs[side]].producer;
    return may_overwrite(rw, at, add, node->inputs[1 - side]) ? dot : NULL;
}

static enum nx_status fuse_sum(struct nx_rewrite *rw, uint32_t add, uint32_t side,
                               struct nx_node *dot)
{
    const struct nx_node *node = &rw->graph->nodes[add];
    uint32_t result = node->inputs[side], residual = node->inputs[1 - side];
    uint32_t sum = node->outputs[0];
    NX_TRY(append_input(rw, dot, residual));
    dot->post.sum = true;
    rw->uses[residual]++;             /* by dot; the drop takes the addition's away */
    rw->last[result] = rw->last[sum]; /* the addition was its only reader */
    rw->previous[result] = rw->previous[sum];
    nx_rewrite_drop(rw, add, result);
    return NX_OK;
}

enum nx_status nx_pass_sum(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = nx_rewrite_visit(&rw, i);
        if (!is_plain_add(graph, node))
            continue;
        for (uint32_t side = 0; side < 2 && !rw.dead[i]; side++) {
            struct nx_node *dot = sum_taker(&rw, i, side);
            if (dot)
                NX_TRY(fuse_sum(&rw, i, side, dot));
        }
    }
    return nx_rewrite_end(&rw);
}
