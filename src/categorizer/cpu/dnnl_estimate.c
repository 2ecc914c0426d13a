/* What a program will hold, told from the graph alone: for who has to have the room before it is loaded. */
#include "categorizer/cpu/dnnl_build.h"

enum { BLOCK = 16, TILE = 4, TRANSFORMED = (TILE + 2) * (TILE + 2) };

static const struct nx_shape *shape_of(const struct nx_graph *graph, uint32_t tensor)
{
    return &graph->tensors[tensor].shape;
}

bool nx_dnnl_suits_winograd(const struct nx_graph *graph, const struct nx_node *node)
{
    const struct nx_window *w = &node->attr.conv.window;
    const int64_t *x = shape_of(graph, node->inputs[0])->dims;
    return node->op == NX_OP_CONV && node->attr.conv.groups == 1 && w->kernel[0] == 3 &&
           w->kernel[1] == 3 && w->stride[0] == 1 && w->stride[1] == 1 && w->dilate[0] == 1 &&
           w->dilate[1] == 1 && x[1] >= 64 && node->attr.conv.filters >= 64 &&
           x[2] * x[3] >= 14 * 14;
}

static uint64_t filled_up(int64_t n)
{
    return ((uint64_t)n + BLOCK - 1) / BLOCK * BLOCK;
}

/* Elements of the weights of a node as they will lie. */
static uint64_t weight_elements(const struct nx_graph *graph, const struct nx_node *node,
                                bool winograd)
{
    const struct nx_shape *w = shape_of(graph, node->inputs[1]);
    uint64_t elements = nx_tensor_bytes(&graph->tensors[node->inputs[1]]) / sizeof(float);
    if (winograd)
        return elements / 9 * TRANSFORMED;
    if (node->op == NX_OP_FC && w->rank == 2)
        return filled_up(w->dims[0]) * filled_up(w->dims[1]);
    return elements;
}

/* The transformed weights once more, and the tiles of pictures and results. */
static uint64_t winograd_scratch(const struct nx_graph *graph, const struct nx_node *node,
                                 uint64_t weights, uint32_t photos)
{
    const int64_t *x = shape_of(graph, node->inputs[0])->dims;
    const int64_t *y = shape_of(graph, node->outputs[0])->dims;
    uint64_t tiles = (uint64_t)((y[2] + TILE - 1) / TILE) * (uint64_t)((y[3] + TILE - 1) / TILE);
    return (weights + tiles * photos * TRANSFORMED * (uint64_t)(x[1] + y[1])) * sizeof(float);
}

static bool has_matrix(const struct nx_graph *graph, const struct nx_node *node)
{
    return (node->op == NX_OP_CONV || node->op == NX_OP_FC) &&
           graph->tensors[node->inputs[1]].kind == NX_TENSOR_CONSTANT;
}

void nx_dnnl_estimate(const struct nx_graph *graph, enum nx_precision precision, bool blocks,
                      struct nx_load_estimate *e)
{
    static const uint32_t bytes_of[] = {[NX_PRECISION_F32] = sizeof(float),
                                        [NX_PRECISION_BF16] = sizeof(uint16_t),
                                        [NX_PRECISION_INT8] = 1};
    uint32_t bytes_each = bytes_of[precision];
    e->element_bytes = bytes_each;
    e->weights = e->scratch = 0;
    for (uint32_t t = 0; t < graph->n_tensors; t++)
        if (graph->tensors[t].kind == NX_TENSOR_CONSTANT)
            e->weights += nx_tensor_bytes(&graph->tensors[t]);
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = &graph->nodes[i];
        if (!has_matrix(graph, node))
            continue;
        bool winograd = blocks && nx_dnnl_suits_winograd(graph, node);
        uint64_t n = weight_elements(graph, node, winograd);
        uint64_t plain = nx_tensor_bytes(&graph->tensors[node->inputs[1]]);
        uint64_t scratch = winograd ? winograd_scratch(graph, node, n, e->at_once) : 0;
        e->weights = e->weights - plain + n * bytes_each;
        e->scratch = scratch > e->scratch ? scratch : e->scratch;
    }
}
