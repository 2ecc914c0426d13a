/* What the outputs need, and the graph's inputs and outputs. */
#include <stdlib.h>

#include "categorizer/graph/shape.h"
#include "categorizer/model/onnx_parts.h"

static void need_writer(struct nx_onnx *o, uint32_t value)
{
    uint32_t writer = value == NX_NONE ? NX_NONE : o->values[value].writer;
    if (writer != NX_NONE)
        o->nodes[writer].needed = true;
}

/* Nodes stand in an order in which they can run, so one walk from the end finds all the heads need. */
void nx_onnx_mark_needed(struct nx_onnx *o)
{
    for (uint32_t i = 0; i < o->n_heads; i++)
        need_writer(o, o->heads[i].value);
    for (uint32_t i = o->n_nodes; i-- > 0;) {
        const struct nx_onnx_node *node = &o->nodes[i];
        for (uint32_t k = 0; node->needed && k < node->n_inputs; k++)
            need_writer(o, node->inputs[k]);
    }
}

static enum nx_status note_input(struct nx_onnx *o, uint32_t value)
{
    const struct nx_onnx_value *v = &o->values[value];
    if (v->initializer.bytes || v->writer != NX_NONE)
        return NX_OK;
    for (uint32_t i = 0; i < o->n_inputs; i++)
        if (o->inputs[i].value == value)
            return NX_OK;
    if (o->n_inputs == NX_PORTS_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE, "onnx: the model reads more than %u inputs",
                          NX_PORTS_MAX);
    o->inputs[o->n_inputs++].value = value;
    return NX_OK;
}

static bool comes_before(const struct nx_onnx *o, uint32_t a, uint32_t b)
{
    return o->values[o->inputs[a].value].info.bytes < o->values[o->inputs[b].value].info.bytes;
}

/* As they stand in the file, whose values are sorted by name: by where they were found. */
static void sort_inputs(struct nx_onnx *o)
{
    for (uint32_t i = 1; i < o->n_inputs; i++)
        for (uint32_t k = i; k > 0 && comes_before(o, k, k - 1); k--) {
            struct nx_onnx_input swap = o->inputs[k];
            o->inputs[k] = o->inputs[k - 1];
            o->inputs[k - 1] = swap;
        }
}

static enum nx_status find_inputs(struct nx_onnx *o)
{
    for (uint32_t i = 0; i < o->n_nodes; i++)
        for (uint32_t k = 0; o->nodes[i].needed && k < o->nodes[i].n_inputs; k++)
            if (o->nodes[i].inputs[k] != NX_NONE)
                NX_TRY(note_input(o, o->nodes[i].inputs[k]));
    if (o->n_inputs == 0)
        return nx_err_set(o->err, NX_INVALID, "onnx: the outputs read no input of the graph");
    sort_inputs(o);
    return NX_OK;
}

static enum nx_status set_batch(struct nx_onnx *o, const struct nx_onnx_input *input)
{
    struct nx_shape *here = &o->graph->tensors[input->tensor].shape, other = *here;
    uint64_t elements;
    if (input->batched) {
        here->dims[0] = NX_ONNX_BATCH;
        other.dims[0] = NX_ONNX_OTHER_BATCH;
    }
    if (!nx_shape_elements(&other, &elements) || elements == 0)
        return nx_err_set(o->err, NX_TOO_LARGE, "onnx: the input '%s' is empty or too large",
                          o->values[input->value].name);
    return nx_onnx_note_other(o, input->tensor, &other);
}

/* The graph takes (N, C, H, W); the file's nodes read it through a transposition. */
static enum nx_status present_channels_last(struct nx_onnx *o, const struct nx_onnx_input *input)
{
    struct nx_onnx_value *data = &o->values[input->value];
    struct nx_onnx_node at = {.op = "Transpose", .name = data->name};
    struct nx_onnx_call c = {.o = o, .node = &at};
    struct nx_node node = {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 4, .axes = {0, 2, 3, 1}}};
    uint32_t x = input->tensor;
    return nx_onnx_add(&c, &node, &x, 1, &data->tensor);
}

enum nx_status nx_onnx_begin(struct nx_onnx *o)
{
    NX_TRY(find_inputs(o));
    NX_TRY(nx_onnx_make_inputs(o));
    for (uint32_t i = 0; i < o->n_inputs; i++) {
        NX_TRY(set_batch(o, &o->inputs[i]));
        if (o->inputs[i].channels_last)
            NX_TRY(present_channels_last(o, &o->inputs[i]));
    }
    return NX_OK;
}

bool nx_onnx_all_fixed(const struct nx_onnx *o)
{
    for (uint32_t i = 0; i < o->n_inputs; i++)
        for (uint32_t k = 0; k < o->inputs[i].shape.rank; k++)
            if (o->inputs[i].shape.dims[k] == 0)
                return false;
    return o->n_inputs > 0;
}

static enum nx_status find_outputs(const struct nx_onnx *o, uint32_t outputs[NX_PORTS_MAX])
{
    for (uint32_t i = 0; i < o->n_heads; i++) {
        const struct nx_onnx_value *head = &o->values[o->heads[i].value];
        if (head->tensor == NX_NONE || o->graph->tensors[head->tensor].kind != NX_TENSOR_COMPUTED)
            return nx_err_set(o->err, NX_INVALID,
                              "onnx: the output '%s' is not computed from the model's inputs",
                              head->name);
        outputs[i] = head->tensor;
    }
    return NX_OK;
}

static bool grows_with_batch(const struct nx_onnx *o, uint32_t tensor)
{
    const struct nx_shape *here = &o->graph->tensors[tensor].shape, *other = &o->other[tensor];
    return here->rank >= 1 && here->dims[0] != other->dims[0];
}

static void describe_ports(struct nx_onnx *o, const uint32_t *outputs)
{
    for (uint32_t i = 0; i < o->n_inputs; i++)
        o->graph->in[i] = (struct nx_port){o->values[o->inputs[i].value].name, o->inputs[i].dtype,
                                           o->inputs[i].batched};
    for (uint32_t i = 0; i < o->n_heads; i++)
        o->graph->out[i] = (struct nx_port){o->values[o->heads[i].value].name, o->heads[i].dtype,
                                            grows_with_batch(o, outputs[i])};
}

enum nx_status nx_onnx_end(struct nx_onnx *o)
{
    uint32_t inputs[NX_PORTS_MAX], outputs[NX_PORTS_MAX];
    NX_TRY(find_outputs(o, outputs));
    for (uint32_t i = 0; i < o->n_inputs; i++)
        inputs[i] = o->inputs[i].tensor;
    NX_TRY(nx_graph_set_io(o->graph, inputs, o->n_inputs, outputs, o->n_heads, o->err));
    describe_ports(o, outputs);
    return nx_shape_infer(o->graph, NX_ONNX_BATCH, o->err);
}
