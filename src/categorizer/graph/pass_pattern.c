/* What exporters spell out in small ops is one op again. Nothing that is replaced has to be unused: what others read
 * of it stays, the rest is no longer needed by anybody. */
#include <math.h>

#include "categorizer/graph/rewrite.h"

/* The node that computes the tensor, if it is of that op. */
static const struct nx_node *made_by(const struct nx_rewrite *rw, uint32_t tensor, enum nx_op op)
{
    const struct nx_tensor *t = &rw->graph->tensors[tensor];
    if (t->kind != NX_TENSOR_COMPUTED || rw->graph->nodes[t->producer].op != op)
        return NULL;
    return &rw->graph->nodes[t->producer];
}

/* tensor = fn(x), with a near `a`: where does it read x? NX_NONE: it does not. */
static uint32_t through(const struct nx_rewrite *rw, uint32_t tensor, enum nx_unary fn, double a)
{
    const struct nx_node *node = tensor == NX_NONE ? NULL : made_by(rw, tensor, NX_OP_UNARY);
    if (!node || node->attr.unary.fn != fn || fabs((double)node->attr.unary.a - a) > 1e-5)
        return NX_NONE;
    return node->inputs[0];
}

static const struct nx_node *binary_at(const struct nx_rewrite *rw, uint32_t tensor,
                                       enum nx_binary kind)
{
    const struct nx_node *node = tensor == NX_NONE ? NULL : made_by(rw, tensor, NX_OP_BINARY);
    bool plain = node && node->attr.binary.kind == kind && node->post.act.fn == NX_UNARY_NONE;
    return plain ? node : NULL;
}

static void become_unary(struct nx_node *node, enum nx_unary fn, uint32_t x)
{
    node->op = NX_OP_UNARY;
    node->attr.unary = (struct nx_attr_unary){fn, 1, 0};
    node->n_inputs = 1;
    node->inputs[0] = x;
}

/* x sigmoid(x) */
static bool take_swish(const struct nx_rewrite *rw, struct nx_node *node)
{
    if (node->op != NX_OP_BINARY || node->attr.binary.kind != NX_BINARY_MUL ||
        node->post.act.fn != NX_UNARY_NONE)
        return false;
    for (int side = 0; side < 2; side++) {
        uint32_t x = node->inputs[side];
        if (through(rw, node->inputs[1 - side], NX_UNARY_SIGMOID, 0) == x) {
            become_unary(node, NX_UNARY_SWISH, x);
            return true;
        }
    }
    return false;
}

/* 1 + erf(x / sqrt 2): where is x? */
static uint32_t through_erf(const struct nx_rewrite *rw, uint32_t tensor)
{
    uint32_t inside = through(rw, through(rw, tensor, NX_UNARY_ADD, 1), NX_UNARY_ERF, 0);
    uint32_t x = through(rw, inside, NX_UNARY_DIV, 1.4142135623730951);
    return x == NX_NONE ? through(rw, inside, NX_UNARY_MUL, 0.7071067811865476) : x;
}

/* `half` times 1 + erf(x / sqrt 2): the x, if half is x, or with `halved` x / 2. */
static uint32_t gelu_of(const struct nx_rewrite *rw, const struct nx_node *product, bool halved)
{
    for (int side = 0; side < 2; side++) {
        uint32_t x = through_erf(rw, product->inputs[1 - side]), half = product->inputs[side];
        if (x == NX_NONE)
            continue;
        if (halved)
            half = through(rw, half, NX_UNARY_MUL, 0.5);
        if (half == x)
            return x;
    }
    return NX_NONE;
}

/* (x / 2) (1 + erf(x / sqrt 2)), or the same with the half taken last */
static void take_gelu(const struct nx_rewrite *rw, struct nx_node *node)
{
    uint32_t x = NX_NONE;
    if (node->op == NX_OP_BINARY && node->attr.binary.kind == NX_BINARY_MUL &&
        node->post.act.fn == NX_UNARY_NONE)
        x = gelu_of(rw, node, true);
    if (node->op == NX_OP_UNARY && node->attr.unary.fn == NX_UNARY_MUL &&
        node->attr.unary.a == 0.5f) {
        const struct nx_node *product = binary_at(rw, node->inputs[0], NX_BINARY_MUL);
        x = product ? gelu_of(rw, product, false) : NX_NONE;
    }
    if (x != NX_NONE)
        become_unary(node, NX_UNARY_GELU, x);
}

/* The mean over the last dimension, kept as 1: of what? */
static uint32_t through_mean(const struct nx_rewrite *rw, uint32_t tensor)
{
    const struct nx_node *node = tensor == NX_NONE ? NULL : made_by(rw, tensor, NX_OP_REDUCE);
    if (!node || node->attr.reduce.kind != NX_REDUCE_MEAN || !node->attr.reduce.keepdims)
        return NX_NONE;
    uint32_t rank = rw->graph->tensors[node->inputs[0]].shape.rank;
    return rank && node->attr.reduce.mask == 1u << (rank - 1) ? node->inputs[0] : NX_NONE;
}

/* A constant for each place of x's last dimension, the other side of a binary node; NX_NONE: there is none. */
static uint32_t vector_beside(const struct nx_rewrite *rw, const struct nx_node *node, int side,
                              int64_t n)
{
    uint32_t t = node->inputs[side];
    const struct nx_shape *shape = &rw->graph->tensors[t].shape;
    return nx_rewrite_data(rw, t) && shape->rank == 1 && shape->dims[0] == n ? t : NX_NONE;
}

/* d / sqrt(mean(d²) + eps), d = x - mean(x): the x */
static uint32_t standardised(const struct nx_rewrite *rw, const struct nx_node *quotient,
                             float *eps)
{
    uint32_t d = quotient->inputs[0];
    const struct nx_node *centred = binary_at(rw, d, NX_BINARY_SUB);
    uint32_t shifted = through(rw, quotient->inputs[1], NX_UNARY_SQRT, 0);
    const struct nx_node *add = shifted == NX_NONE ? NULL : made_by(rw, shifted, NX_OP_UNARY);
    if (!centred || !add || add->attr.unary.fn != NX_UNARY_ADD || !(add->attr.unary.a > 0))
        return NX_NONE;
    *eps = add->attr.unary.a;
    if (through(rw, through_mean(rw, add->inputs[0]), NX_UNARY_SQUARE, 0) != d ||
        through_mean(rw, centred->inputs[1]) != centred->inputs[0])
        return NX_NONE;
    return centred->inputs[0];
}

static void take_layer_norm(const struct nx_rewrite *rw, struct nx_node *node)
{
    uint32_t rank = rw->graph->tensors[node->outputs[0]].shape.rank;
    float eps;
    if (node->op != NX_OP_BINARY || node->attr.binary.kind != NX_BINARY_ADD || rank < 1 ||
        node->post.act.fn != NX_UNARY_NONE)
        return;
    int64_t n = rw->graph->tensors[node->outputs[0]].shape.dims[rank - 1];
    for (int i = 0; i < 4; i++) { /* the vectors may stand on either side */
        const struct nx_node *product = binary_at(rw, node->inputs[i & 1], NX_BINARY_MUL);
        uint32_t beta = vector_beside(rw, node, 1 - (i & 1), n);
        if (!product || beta == NX_NONE)
            continue;
        uint32_t gamma = vector_beside(rw, product, 1 - (i >> 1), n);
        const struct nx_node *quotient = binary_at(rw, product->inputs[i >> 1], NX_BINARY_DIV);
        uint32_t x = quotient && gamma != NX_NONE ? standardised(rw, quotient, &eps) : NX_NONE;
        uint32_t *inputs =
            x == NX_NONE ? NULL : nx_arena_array(rw->graph->arena, 3, sizeof *inputs);
        if (!inputs) /* without memory it stays what it was */
            continue;
        inputs[0] = x;
        inputs[1] = gamma;
        inputs[2] = beta;
        node->op = NX_OP_LAYER_NORM;
        node->inputs = inputs;
        node->n_inputs = 3;
        node->attr.layer_norm =
            (struct nx_attr_layer_norm){eps, (int32_t)rank - 1, (int32_t)rank - 1};
        return;
    }
}

enum nx_status nx_pass_patterns(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        if (take_swish(&rw, node))
            continue;
        take_gelu(&rw, node);
        take_layer_norm(&rw, node);
    }
    return nx_rewrite_end(&rw);
}
