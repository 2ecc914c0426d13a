/* How pictures lie in memory, and where: one order for all of a graph's, and the parts of a concat side by side from
 * the start. */
#include "categorizer/cpu/dnnl_build.h"

static const struct nx_shape *shape_of(const struct nx_graph *graph, uint32_t tensor)
{
    return &graph->tensors[tensor].shape;
}

/* oneDNN's blocks hold 16 channels on AVX-512. */
enum { LANES = 16 };

static bool cuts_blocks(const struct nx_graph *graph, uint32_t tensor)
{
    const struct nx_shape *shape = shape_of(graph, tensor);
    return shape->rank == 4 && shape->dims[1] % LANES != 0;
}

/* Between (N, C, H, W) and (N, H, W, C), in either direction. */
static bool turns_channels(const struct nx_node *node)
{
    const int32_t *perm = node->attr.transpose.perm;
    bool to_last = perm[1] == 2 && perm[2] == 3 && perm[3] == 1;
    bool to_first = perm[1] == 3 && perm[2] == 1 && perm[3] == 2;
    return perm[0] == 0 && (to_last || to_first);
}

/* Blocks are the faster order, Winograd's algorithm wants them, and a concat of them costs nothing. But channels that
 * do not fill the last block lie there as padding, through which oneDNN's fast code for multiplications of a channel
 * by its gate does not see (RegNetY ran at a seventh of its speed), and a net that computes on (N, H, W, C) between its
 * convolutions would have each picture reordered. */
bool nx_dnnl_wants_channels_last(const struct nx_graph *graph)
{
    uint64_t all = 0, cut = 0, turned = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = &graph->nodes[i];
        uint32_t y = node->outputs[0];
        uint64_t n = nx_tensor_bytes(&graph->tensors[y]);
        if (node->op == NX_OP_CONV) {
            all += n;
            cut += cuts_blocks(graph, y) ? n : 0;
        }
        if (node->op == NX_OP_TRANSPOSE && shape_of(graph, y)->rank == 4 && turns_channels(node))
            turned += n;
    }
    return cut > all / 4 || turned > all / 4;
}

static const struct nx_dnnl_layout *pictures(struct nx_dnnl_build *b, const struct nx_shape *shape)
{
    return nx_dnnl_pictures(b->dnnl, b->type, b->channels_last, shape->rank, shape->dims);
}

const struct nx_dnnl_layout *nx_dnnl_pictures_of(struct nx_dnnl_build *b, uint32_t tensor)
{
    return pictures(b, shape_of(&b->v->graph, tensor));
}

/* Pictures put together along the channels, each a whole number of blocks. */
static bool puts_blocks_together(const struct nx_graph *graph, const struct nx_node *node)
{
    if (node->op != NX_OP_CONCAT || node->attr.concat.axis != 1 ||
        shape_of(graph, node->outputs[0])->rank != 4)
        return false;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (cuts_blocks(graph, node->inputs[i]))
            return false;
    return true;
}

bool nx_dnnl_may_join(const struct nx_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (puts_blocks_together(graph, &graph->nodes[i]))
            return true;
    return false;
}

/* In blocks, each part of one photo is a piece of the whole without gaps. */
static bool joins(struct nx_dnnl_build *b, const struct nx_graph *graph, const struct nx_node *node)
{
    if (b->channels_last || !puts_blocks_together(graph, node))
        return false;
    const struct nx_dnnl_layout *whole = pictures(b, shape_of(graph, node->outputs[0]));
    return whole && !nx_dnnl_is_any(whole);
}

bool nx_dnnl_has_joins(struct nx_dnnl_build *b)
{
    for (uint32_t i = 0; i < b->source->n_nodes; i++)
        if (joins(b, b->source, &b->source->nodes[i]))
            return true;
    return false;
}

static enum nx_status plan_join(struct nx_dnnl_build *b, const struct nx_node *node)
{
    size_t bytes = nx_tensor_bytes(&b->v->graph.tensors[node->outputs[0]]);
    struct nx_dnnl_spot *whole = &b->spots[node->outputs[0]];
    if (whole->buffer == NX_NONE) {
        NX_TRY(nx_dnnl_buffer_new(b, bytes, &whole->buffer));
        whole->offset = 0;
    }
    size_t offset = whole->offset;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        struct nx_dnnl_spot *part = &b->spots[node->inputs[i]];
        if (part->buffer == NX_NONE)
            *part = (struct nx_dnnl_spot){.buffer = whole->buffer, .offset = offset};
        offset += nx_tensor_bytes(&b->v->graph.tensors[node->inputs[i]]);
    }
    whole->joins = true;
    return NX_OK;
}

/* From the last node to the first: a concat that is itself part of a later one lies inside that. */
enum nx_status nx_dnnl_plan_spots(struct nx_dnnl_build *b)
{
    const struct nx_graph *graph = &b->v->graph;
    b->spots = nx_arena_array(b->arena2, graph->n_tensors, sizeof *b->spots);
    if (!b->spots)
        return nx_dnnl_out_of_memory(b);
    for (uint32_t t = 0; t < graph->n_tensors; t++)
        b->spots[t].buffer = NX_NONE;
    for (uint32_t i = graph->n_nodes; i-- > 0;) {
        const struct nx_node *node = &graph->nodes[i];
        if (b->v->batch == 1 && joins(b, graph, node))
            NX_TRY(plan_join(b, node));
    }
    return NX_OK;
}

enum nx_status nx_dnnl_value_for(struct nx_dnnl_build *b, uint32_t tensor,
                                 const struct nx_dnnl_layout *layout, uint32_t *value)
{
    const struct nx_dnnl_spot *spot = &b->spots[tensor];
    if (!layout || spot->buffer == NX_NONE) {
        NX_TRY(nx_dnnl_value_new(b, layout, value));
        b->v->values[*value].step = nx_dnnl_step_in(b, tensor, layout);
        return NX_OK;
    }
    const struct nx_dnnl_layout *wanted = nx_dnnl_pictures_of(b, tensor);
    if (!wanted)
        return nx_dnnl_out_of_memory(b);
    return nx_dnnl_same(layout, wanted) ? nx_dnnl_value_at(b, layout, spot, value)
                                        : nx_dnnl_value_new(b, layout, value);
}

/* What its node did not write at its spot is copied there. */
static enum nx_status settle_part(struct nx_dnnl_build *b, uint32_t tensor,
                                  const struct nx_dnnl_spot *spot)
{
    const struct nx_dnnl_layout *layout = nx_dnnl_pictures_of(b, tensor);
    uint32_t native, there;
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    NX_TRY(nx_dnnl_value_native(b, tensor, &native));
    const struct nx_dnnl_value *v = &b->v->values[native];
    if (v->buffer == spot->buffer && v->offset == spot->offset && nx_dnnl_same(v->layout, layout))
        return NX_OK;
    NX_TRY(nx_dnnl_value_at(b, layout, spot, &there));
    return nx_dnnl_step_reorder(b, native, there);
}

enum nx_status nx_dnnl_lower_join(struct nx_dnnl_build *b, const struct nx_node *node)
{
    const struct nx_dnnl_spot *whole = &b->spots[node->outputs[0]];
    if (!whole->joins)
        return NX_UNSUPPORTED;
    struct nx_dnnl_spot part = {.buffer = whole->buffer, .offset = whole->offset};
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        NX_TRY(settle_part(b, node->inputs[i], &part));
        part.offset += nx_tensor_bytes(&b->v->graph.tensors[node->inputs[i]]);
    }
    uint32_t value;
    NX_TRY(nx_dnnl_value_at(b, nx_dnnl_pictures_of(b, node->outputs[0]), whole, &value));
    nx_dnnl_value_set(b, node->outputs[0], value);
    return NX_OK;
}
