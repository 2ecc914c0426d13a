#include "categorizer/model/symbol.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/lower.h"
#include "common/nx_assert.h"

enum { ATTR_GENERATIONS = 3 };
static const char *const attr_keys[ATTR_GENERATIONS] = {"attrs", "attr", "param"};

struct ref {
    uint32_t node, output;
};

struct source { /* one entry of "nodes" */
    const char *op, *name;
    const json_t *attrs[ATTR_GENERATIONS]; /* NULL where a generation's key is absent */
    struct ref *inputs;
    uint32_t n_inputs;
    bool variable, needed;
    uint32_t *outputs; /* tensors, once lowered; a variable has one, NX_NONE until it is read */
    uint32_t n_outputs;
};

struct nx_symbol {
    struct nx_graph *graph;
    struct nx_err *err;
    const struct nx_params *params;
    struct source *nodes, *current;
    uint32_t n_nodes;
    struct ref head;
    uint32_t data_input; /* tensor, or NX_NONE */
};

static enum nx_status no_memory(const struct nx_symbol *s)
{
    return nx_err_set(s->err, NX_NO_MEMORY, "out of memory for the symbol");
}

static enum nx_status not_a_symbol(const struct nx_symbol *s, const char *what)
{
    return nx_err_set(s->err, NX_CORRUPT, "symbol: %s", what);
}

/* [node, output] or [node, output, version]; the version is MXNet's own business. */
static bool read_ref(const json_t *json, struct ref *ref)
{
    const json_t *node = json_array_get(json, 0), *output = json_array_get(json, 1);
    if (json_array_size(json) < 2 || json_array_size(json) > 3 || !json_is_integer(node) ||
        !json_is_integer(output))
        return false;
    json_int_t n = json_integer_value(node), o = json_integer_value(output);
    if (n < 0 || n >= NX_TENSORS_MAX || o < 0 || o >= NX_NODE_OUTPUTS_MAX)
        return false;
    *ref = (struct ref){(uint32_t)n, (uint32_t)o};
    return true;
}

static enum nx_status read_inputs(struct nx_symbol *s, uint32_t at, const json_t *inputs)
{
    struct source *node = &s->nodes[at];
    size_t n = json_array_size(inputs);
    if (n > NX_NODE_INPUTS_MAX)
        return nx_err_set(s->err, NX_TOO_LARGE, "symbol: node '%s' has %zu inputs, at most %u",
                          node->name, n, NX_NODE_INPUTS_MAX);
    node->n_inputs = (uint32_t)n;
    node->inputs = nx_arena_array(s->graph->arena, n, sizeof *node->inputs);
    if (!node->inputs)
        return no_memory(s);
    for (uint32_t i = 0; i < n; i++) {
        if (!read_ref(json_array_get(inputs, i), &node->inputs[i]))
            return nx_err_set(s->err, NX_CORRUPT,
                              "symbol: input %u of node '%s' is not [node, output]", i, node->name);
        if (node->inputs[i].node >= at)
            return nx_err_set(
                s->err, NX_CORRUPT,
                "symbol: node %u '%s' reads node %u, which does not come before it: a "
                "cycle, or nodes out of order",
                at, node->name, node->inputs[i].node);
    }
    return NX_OK;
}

static enum nx_status read_node(struct nx_symbol *s, uint32_t at, const json_t *json)
{
    struct source *node = &s->nodes[at];
    node->op = json_string_value(json_object_get(json, "op"));
    node->name = json_string_value(json_object_get(json, "name"));
    const json_t *inputs = json_object_get(json, "inputs");
    if (!node->op || !node->name || (inputs && !json_is_array(inputs)))
        return nx_err_set(s->err, NX_CORRUPT, "symbol: node %u has no op, name or list of inputs",
                          at);
    for (int i = 0; i < ATTR_GENERATIONS; i++) {
        const json_t *attrs = json_object_get(json, attr_keys[i]);
        node->attrs[i] = json_is_object(attrs) ? attrs : NULL;
    }
    if (json_array_size(json_object_get(json, "subgraphs")))
        return nx_err_set(s->err, NX_UNSUPPORTED, "symbol: node '%s' has subgraphs", node->name);
    node->variable = strcmp(node->op, "null") == 0;
    return read_inputs(s, at, inputs);
}

static enum nx_status read_nodes(struct nx_symbol *s, const json_t *root)
{
    const json_t *nodes = json_object_get(root, "nodes");
    size_t n = json_array_size(nodes);
    if (n == 0)
        return not_a_symbol(s, "there is no list \"nodes\" in it, or an empty one");
    if (n > NX_TENSORS_MAX)
        return nx_err_set(s->err, NX_TOO_LARGE, "symbol: %zu nodes, at most %u are supported", n,
                          NX_TENSORS_MAX);
    s->nodes = nx_arena_array(s->graph->arena, n, sizeof *s->nodes);
    if (!s->nodes)
        return no_memory(s);
    s->n_nodes = (uint32_t)n;
    for (uint32_t i = 0; i < n; i++)
        NX_TRY(read_node(s, i, json_array_get(nodes, i)));
    return NX_OK;
}

static enum nx_status read_head(struct nx_symbol *s, const json_t *root)
{
    const json_t *heads = json_object_get(root, "heads");
    if (!read_ref(json_array_get(heads, 0), &s->head))
        return not_a_symbol(s, "its list \"heads\" does not begin with [node, output]");
    if (s->head.node >= s->n_nodes)
        return nx_err_set(s->err, NX_CORRUPT, "symbol: the head is node %u of %u", s->head.node,
                          s->n_nodes);
    return NX_OK;
}

/* References only point backwards, so one walk from the end finds all that the head needs. */
static void mark_needed(struct nx_symbol *s)
{
    s->nodes[s->head.node].needed = true;
    for (uint32_t i = s->n_nodes; i-- > 0;)
        for (uint32_t k = 0; s->nodes[i].needed && k < s->nodes[i].n_inputs; k++)
            s->nodes[s->nodes[i].inputs[k].node].needed = true;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum nx_status check_unique_variables(struct nx_symbol *s)
{
    const char **names = nx_arena_array(s->graph->arena, s->n_nodes, sizeof *names);
    uint32_t n = 0;
    if (!names)
        return no_memory(s);
    for (uint32_t i = 0; i < s->n_nodes; i++)
        if (s->nodes[i].variable && s->nodes[i].needed)
            names[n++] = s->nodes[i].name;
    if (n)
        qsort(names, n, sizeof *names, by_text);
    for (uint32_t i = 1; i < n; i++)
        if (strcmp(names[i - 1], names[i]) == 0)
            return nx_err_set(s->err, NX_CORRUPT, "symbol: two variables are named '%s'", names[i]);
    return NX_OK;
}

static const char *source_attr(const struct source *node, const char *key)
{
    for (int i = 0; i < ATTR_GENERATIONS; i++) {
        const char *value = json_string_value(json_object_get(node->attrs[i], key));
        if (value)
            return value;
    }
    return NULL;
}

/* A constant of this name. Without params its shape and data stay unknown. */
static enum nx_status make_constant(struct nx_symbol *s, const char *name,
                                    const struct nx_array *array, uint32_t *tensor)
{
    uint32_t at;
    const float *values = NULL;
    NX_TRY(nx_graph_add_tensor(s->graph, NX_TENSOR_CONSTANT, name, &at, s->err));
    if (array) {
        if (array->elements == 0)
            return nx_err_set(s->err, NX_INVALID, "params: the array '%s' is empty", name);
        NX_TRY(nx_array_to_f32(array, s->graph->arena, &values, s->err));
        s->graph->tensors[at].shape = array->shape;
        s->graph->tensors[at].data = values;
    }
    *tensor = at;
    return NX_OK;
}

/* The shape the file declares for its input, if it is whole; its first dimension is the batch. */
static void read_declared_shape(const struct source *node, struct nx_shape *shape)
{
    struct nx_tuple tuple;
    const char *text = source_attr(node, "__shape__");
    if (!text || !nx_attr_tuple(text, &tuple) || tuple.n < 2 || tuple.n > NX_RANK_MAX)
        return;
    for (uint32_t i = 1; i < tuple.n; i++)
        if (tuple.items[i] < 1 || tuple.items[i] > NX_DIM_MAX)
            return;
    *shape = (struct nx_shape){.rank = tuple.n};
    memcpy(shape->dims, tuple.items, tuple.n * sizeof *shape->dims);
    shape->dims[0] = 1;
}

static enum nx_status make_input(struct nx_symbol *s, const struct source *node, uint32_t *tensor)
{
    uint32_t at;
    if (s->data_input != NX_NONE)
        return nx_err_set(s->err, NX_INVALID,
                          "the params have no array for '%s' nor for '%s': one input is expected",
                          s->graph->tensors[s->data_input].name, node->name);
    NX_TRY(nx_graph_add_tensor(s->graph, NX_TENSOR_INPUT, node->name, &at, s->err));
    read_declared_shape(node, &s->graph->tensors[at].shape);
    s->data_input = at;
    *tensor = at;
    return NX_OK;
}

static enum nx_status read_variable(struct nx_lower *l, struct source *node, bool weight)
{
    struct nx_symbol *s = l->symbol;
    const struct nx_array *array = s->params ? nx_params_find(s->params, node->name) : NULL;
    if (array || (weight && !s->params))
        return make_constant(s, node->name, array, &node->outputs[0]);
    if (weight)
        return nx_err_set(s->err, NX_INVALID, "the params have no array '%s', which %s '%s' needs",
                          node->name, l->op, l->name);
    return make_input(s, node, &node->outputs[0]);
}

static enum nx_status read_input(struct nx_lower *l, uint32_t i, bool weight, uint32_t *tensor)
{
    struct nx_symbol *s = l->symbol;
    if (i >= l->n_inputs)
        return nx_lower_arity(l, i + 1);
    struct ref ref = s->current->inputs[i];
    struct source *node = &s->nodes[ref.node];
    if (ref.output >= node->n_outputs)
        return nx_err_set(s->err, NX_CORRUPT, "%s '%s' reads output %u of '%s', which has %u",
                          l->op, l->name, ref.output, node->name, node->n_outputs);
    if (node->outputs[ref.output] == NX_NONE)
        NX_TRY(read_variable(l, node, weight));
    *tensor = node->outputs[ref.output];
    return NX_OK;
}

enum nx_status nx_lower_data(struct nx_lower *l, uint32_t i, uint32_t *tensor)
{
    return read_input(l, i, false, tensor);
}

enum nx_status nx_lower_weight(struct nx_lower *l, uint32_t i, uint32_t *tensor)
{
    return read_input(l, i, true, tensor);
}

enum nx_status nx_lower_named_weight(struct nx_lower *l, const char *name, uint32_t *tensor)
{
    struct nx_symbol *s = l->symbol;
    const struct nx_array *array = s->params ? nx_params_find(s->params, name) : NULL;
    if (!array && s->params)
        return nx_err_set(s->err, NX_INVALID, "the params have no array '%s', which %s '%s' needs",
                          name, l->op, l->name);
    return make_constant(s, name, array, tensor);
}

const char *nx_lower_attr(const struct nx_lower *l, const char *key)
{
    return source_attr(l->symbol->current, key);
}

static enum nx_status lower_node(struct nx_symbol *s, struct source *node)
{
    uint32_t outputs[NX_NODE_OUTPUTS_MAX];
    const struct nx_op_name *alias = nx_lower_find(node->op);
    struct nx_lower l = {.symbol = s,
                         .graph = s->graph,
                         .err = s->err,
                         .op = node->op,
                         .name = node->name,
                         .n_inputs = node->n_inputs,
                         .outputs = outputs,
                         .alias = alias};
    if (!alias)
        return nx_err_set(s->err, NX_UNSUPPORTED, "symbol: node '%s' is of unknown op '%s'",
                          node->name, node->op);
    s->current = node;
    NX_TRY(alias->lower(&l));
    node->outputs = nx_arena_array(s->graph->arena, l.n_outputs, sizeof *node->outputs);
    if (!node->outputs)
        return no_memory(s);
    memcpy(node->outputs, outputs, l.n_outputs * sizeof *outputs);
    node->n_outputs = l.n_outputs;
    return NX_OK;
}

static enum nx_status start_variable(struct nx_symbol *s, struct source *node)
{
    node->outputs = nx_arena_array(s->graph->arena, 1, sizeof *node->outputs);
    if (!node->outputs)
        return no_memory(s);
    node->outputs[0] = NX_NONE;
    node->n_outputs = 1;
    return NX_OK;
}

static enum nx_status lower_all(struct nx_symbol *s)
{
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        struct source *node = &s->nodes[i];
        if (node->needed)
            NX_TRY(node->variable ? start_variable(s, node) : lower_node(s, node));
    }
    const struct source *head = &s->nodes[s->head.node];
    if (head->variable || s->head.output >= head->n_outputs)
        return nx_err_set(s->err, NX_CORRUPT, "symbol: the head is output %u of '%s', which %s",
                          s->head.output, head->name,
                          head->variable ? "is a variable" : "has fewer");
    if (s->data_input == NX_NONE)
        return nx_err_set(s->err, NX_INVALID,
                          "symbol: no data input, the params hold every variable that is read");
    return nx_graph_set_io(s->graph, &s->data_input, 1, &head->outputs[s->head.output], 1, s->err);
}

static enum nx_status build(struct nx_symbol *s, const json_t *root)
{
    if (!json_is_object(root))
        return not_a_symbol(s, "not a JSON object");
    NX_TRY(read_nodes(s, root));
    NX_TRY(read_head(s, root));
    mark_needed(s);
    NX_TRY(check_unique_variables(s));
    return lower_all(s);
}

enum nx_status nx_symbol_build(const char *json, size_t len, const struct nx_params *params,
                               struct nx_graph *graph, struct nx_err *err)
{
    struct nx_symbol s = {.graph = graph, .err = err, .params = params, .data_input = NX_NONE};
    json_error_t wrong;
    /* The parser bounds its own depth (2,048) and refuses a NUL inside a string. */
    json_t *root = json_loadb(json, len, 0, &wrong);
    if (!root)
        return nx_err_set(err, NX_CORRUPT, "symbol: not JSON: %s (line %d, column %d)", wrong.text,
                          wrong.line, wrong.column);
    enum nx_status status = build(&s, root);
    json_decref(root);
    return status;
}
