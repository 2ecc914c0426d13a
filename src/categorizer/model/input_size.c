#include "categorizer/model/input_size.h"

#include <inttypes.h>

#include "categorizer/graph/shape.h"
#include "common/nx_assert.h"

enum { TRIAL_BATCH = 2, DEFAULT_SIDE_PX = 224, DEFAULT_CHANNELS = 3, SIDE_MAX_PX = 320 };

/* What the nodes that read the input (or something of its channels and size) say of it. */
struct needs {
    int64_t channels; /* 0: not said */
    int64_t row;      /* elements of one photo that an FC wants; 0: not said */
};

static bool keeps_channels(enum nx_op op)
{
    return op == NX_OP_IDENTITY || op == NX_OP_UNARY || op == NX_OP_BATCH_NORM ||
           op == NX_OP_SCALE_SHIFT || op == NX_OP_POOL || op == NX_OP_PAD || op == NX_OP_LRN ||
           op == NX_OP_BINARY || op == NX_OP_L2_NORM;
}

static bool is_flatten(const struct nx_node *node)
{
    return node->op == NX_OP_RESHAPE && node->attr.reshape.kind == NX_RESHAPE_FLATTEN;
}

static int64_t constant_dim(const struct nx_graph *graph, uint32_t tensor, uint32_t dim)
{
    const struct nx_shape *shape = &graph->tensors[tensor].shape;
    return shape->rank != NX_RANK_UNKNOWN && dim < shape->rank ? shape->dims[dim] : 0;
}

/* Follows the data from the input through what keeps its channels to the first weights. */
static struct needs read_needs(const struct nx_graph *graph)
{
    struct needs needs = {0, 0};
    uint32_t now = graph->inputs[0];
    bool whole = true; /* still every element of the photo */
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = &graph->nodes[i];
        if (node->inputs[0] != now)
            continue;
        if (node->op == NX_OP_CONV) {
            needs.channels = constant_dim(graph, node->inputs[1], 1) * node->attr.conv.groups;
            return needs;
        }
        if (node->op == NX_OP_FC) {
            needs.row = whole ? constant_dim(graph, node->inputs[1], 1) : 0;
            return needs;
        }
        if (!keeps_channels(node->op) && !is_flatten(node))
            return needs;
        if (node->op == NX_OP_BATCH_NORM && node->attr.batch_norm.axis == 1)
            needs.channels = constant_dim(graph, node->inputs[1], 0);
        whole = whole && node->op != NX_OP_POOL && node->op != NX_OP_PAD;
        now = node->outputs[0];
    }
    return needs;
}

static enum nx_status try_shape(struct nx_graph *graph, const struct nx_shape *shape,
                                struct nx_err *err)
{
    graph->tensors[graph->inputs[0]].shape = *shape;
    return nx_shape_infer(graph, TRIAL_BATCH, err);
}

static struct nx_shape image(int64_t channels, int64_t height, int64_t width)
{
    return (struct nx_shape){4, {1, channels, height, width}};
}

static int64_t square_root(int64_t n)
{
    int64_t side = 1;
    while (side < 46340 && side * side < n)
        side++;
    return side * side == n ? side : 0;
}

/* An FC that reads the photo as it is: 784 is 1 x 28 x 28, 3072 is 3 x 32 x 32, 100003 a plain row. */
static enum nx_status choose_row(struct nx_graph *graph, int64_t row, struct nx_err *err)
{
    int64_t grey = square_root(row), colour = row % 3 == 0 ? square_root(row / 3) : 0;
    struct nx_shape plain = {2, {1, row}};
    struct nx_shape square = image(colour ? 3 : 1, colour ? colour : grey, colour ? colour : grey);
    if ((grey || colour) && try_shape(graph, &square, NULL) == NX_OK)
        return NX_OK;
    return try_shape(graph, &plain, err);
}

static bool fits(struct nx_graph *graph, int64_t channels, int64_t height, int64_t width)
{
    struct nx_shape shape = image(channels, height, width);
    return try_shape(graph, &shape, NULL) == NX_OK;
}

static enum nx_status choose_image(struct nx_graph *graph, int64_t channels,
                                   const struct nx_size_hint *hint, struct nx_err *err)
{
    static const int64_t usual[] = {224, 299, 227, 32, 28, 64, 112, 96, 128, 256};
    int64_t height = hint->height_px ? hint->height_px : DEFAULT_SIDE_PX;
    int64_t width = hint->width_px ? hint->width_px : DEFAULT_SIDE_PX;
    struct nx_shape first = image(channels, height, width);
    enum nx_status status = try_shape(graph, &first, err);
    if (status != NX_INVALID)
        return status;
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (fits(graph, channels, usual[i], usual[i]))
            return NX_OK;
    for (int64_t side = 1; side <= SIDE_MAX_PX; side++)
        if (fits(graph, channels, side, side))
            return NX_OK;
    nx_err_prefix(err, "no input size fits; with %" PRId64 " x %" PRId64 " x %" PRId64, channels,
                  height, width);
    return status;
}

/* Twice the size in both directions also agrees: then any size does that the windows allow. */
static bool other_sizes_fit(struct nx_graph *graph)
{
    struct nx_shape chosen = graph->tensors[graph->inputs[0]].shape;
    if (chosen.rank != 4)
        return false;
    bool fit = fits(graph, chosen.dims[1], 2 * chosen.dims[2], 2 * chosen.dims[3]);
    enum nx_status again = try_shape(graph, &chosen, NULL);
    nx_assert(again == NX_OK);
    return fit;
}

enum nx_status nx_input_size_choose(struct nx_graph *graph, const struct nx_size_hint *hint,
                                    bool *size_is_free, struct nx_err *err)
{
    struct nx_shape declared = graph->tensors[graph->inputs[0]].shape;
    struct needs needs = read_needs(graph);
    *size_is_free = false;
    if (graph->n_inputs > 1) /* each of them declares its shape (symbol.h) */
        return nx_shape_infer(graph, TRIAL_BATCH, err);
    if (declared.rank != NX_RANK_UNKNOWN)
        return try_shape(graph, &declared, err);
    if (needs.row)
        return choose_row(graph, needs.row, err);
    NX_TRY(choose_image(graph, needs.channels ? needs.channels : DEFAULT_CHANNELS, hint, err));
    *size_is_free = other_sizes_fit(graph);
    return NX_OK;
}
