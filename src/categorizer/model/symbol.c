#include "categorizer/model/symbol.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/lower.h"
#include "categorizer/model/survey.h"
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
    struct ref heads[NX_PORTS_MAX];
    uint32_t n_heads;
    uint32_t inputs[NX_PORTS_MAX]; /* tensors */
    enum nx_dtype dtypes[NX_PORTS_MAX];
    uint32_t n_inputs;
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

static enum nx_status read_heads(struct nx_symbol *s, const json_t *root)
{
    const json_t *heads = json_object_get(root, "heads");
    size_t n = json_array_size(heads);
    if (n > NX_PORTS_MAX)
        return nx_err_set(s->err, NX_TOO_LARGE, "symbol: %zu heads, at most %u are supported", n,
                          NX_PORTS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        if (!read_ref(json_array_get(heads, i), &s->heads[i]))
            return not_a_symbol(s, "its list \"heads\" has an entry that is not [node, output]");
        if (s->heads[i].node >= s->n_nodes)
            return nx_err_set(s->err, NX_CORRUPT, "symbol: a head is node %u of %u",
                              s->heads[i].node, s->n_nodes);
    }
    s->n_heads = (uint32_t)n;
    return n ? NX_OK : not_a_symbol(s, "its list \"heads\" does not begin with [node, output]");
}

/* References only point backwards, so one walk from the end finds all that the heads need. */
static void mark_needed(struct nx_symbol *s)
{
    for (uint32_t i = 0; i < s->n_heads; i++)
        s->nodes[s->heads[i].node].needed = true;
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

/* What the file says of the numbers that come in; f32 where it says nothing that is known. */
static enum nx_dtype declared_dtype(const struct source *node)
{
    const char *text = source_attr(node, "__dtype__");
    int64_t code;
    bool known = text && nx_attr_int(text, &code) && code >= 0 && code < NX_DTYPES;
    return known ? (enum nx_dtype)code : NX_F32;
}

/* One input may leave its shape open. Of several each has to declare it: a variable that neither the params
 * nor the file know anything of is a weight that was forgotten. */
static enum nx_status make_input(struct nx_symbol *s, const struct source *node, uint32_t *tensor)
{
    const struct nx_tensor *first = s->n_inputs ? &s->graph->tensors[s->inputs[0]] : NULL;
    struct nx_shape shape = {.rank = NX_RANK_UNKNOWN};
    uint32_t at;
    read_declared_shape(node, &shape);
    if (first && (first->shape.rank == NX_RANK_UNKNOWN || shape.rank == NX_RANK_UNKNOWN))
        return nx_err_set(
            s->err, NX_INVALID,
            "the params have no array for '%s' nor for '%s': one input is expected, or "
            "inputs that all declare their __shape__",
            first->name, node->name);
    if (s->n_inputs == NX_PORTS_MAX)
        return nx_err_set(s->err, NX_TOO_LARGE, "symbol: more than %u inputs", NX_PORTS_MAX);
    NX_TRY(nx_graph_add_tensor(s->graph, NX_TENSOR_INPUT, node->name, &at, s->err));
    s->graph->tensors[at].shape = shape;
    s->dtypes[s->n_inputs] = declared_dtype(node);
    s->inputs[s->n_inputs++] = at;
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

/* MXNet calls an output <node>_output, or <node>_output1 where the node has several. */
static enum nx_status name_output(struct nx_symbol *s, struct ref ref, const char **name)
{
    const struct source *node = &s->nodes[ref.node];
    size_t room = strlen(node->name) + sizeof "_output" + 10;
    char *text = nx_arena_alloc(s->graph->arena, room);
    if (!text)
        return no_memory(s);
    if (node->n_outputs == 1)
        snprintf(text, room, "%s_output", node->name);
    else
        snprintf(text, room, "%s_output%u", node->name, ref.output);
    *name = text;
    return NX_OK;
}

/* Symbols of one node list all that MXNet's op gives: LeakyReLU a mask, BatchNorm mean and variance, which only
 * training reads. Behind the first head these are left out. */
static void drop_training_outputs(struct nx_symbol *s)
{
    uint32_t kept = 1;
    for (uint32_t i = 1; i < s->n_heads; i++) {
        const struct source *head = &s->nodes[s->heads[i].node];
        if (head->variable || head->n_outputs != 1 || s->heads[i].output == 0)
            s->heads[kept++] = s->heads[i];
    }
    s->n_heads = kept;
}

static enum nx_status find_outputs(const struct nx_symbol *s, uint32_t outputs[NX_PORTS_MAX])
{
    for (uint32_t i = 0; i < s->n_heads; i++) {
        const struct source *head = &s->nodes[s->heads[i].node];
        if (head->variable || s->heads[i].output >= head->n_outputs)
            return nx_err_set(s->err, NX_CORRUPT, "symbol: head %u is output %u of '%s', which %s",
                              i, s->heads[i].output, head->name,
                              head->variable ? "is a variable" : "has fewer");
        outputs[i] = head->outputs[s->heads[i].output];
    }
    return NX_OK;
}

static enum nx_status set_io(struct nx_symbol *s)
{
    uint32_t outputs[NX_PORTS_MAX];
    drop_training_outputs(s);
    NX_TRY(find_outputs(s, outputs));
    if (s->n_inputs == 0)
        return nx_err_set(s->err, NX_INVALID,
                          "symbol: no data input, the params hold every variable that is read");
    NX_TRY(nx_graph_set_io(s->graph, s->inputs, s->n_inputs, outputs, s->n_heads, s->err));
    for (uint32_t i = 0; i < s->n_inputs; i++)
        s->graph->in[i].dtype = s->dtypes[i];
    for (uint32_t i = 0; i < s->n_heads; i++)
        NX_TRY(name_output(s, s->heads[i], &s->graph->out[i].name));
    return NX_OK;
}

static enum nx_status lower_all(struct nx_symbol *s)
{
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        struct source *node = &s->nodes[i];
        if (node->needed)
            NX_TRY(node->variable ? start_variable(s, node) : lower_node(s, node));
    }
    return set_io(s);
}

static enum nx_status read_structure(struct nx_symbol *s, const json_t *root)
{
    if (!json_is_object(root))
        return not_a_symbol(s, "not a JSON object");
    NX_TRY(read_nodes(s, root));
    NX_TRY(read_heads(s, root));
    mark_needed(s);
    return NX_OK;
}

static enum nx_status build(struct nx_symbol *s, const json_t *root)
{
    NX_TRY(read_structure(s, root));
    NX_TRY(check_unique_variables(s));
    return lower_all(s);
}

static enum nx_status count_ops(const struct nx_symbol *s, struct nx_survey *survey)
{
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        const struct source *node = &s->nodes[i];
        if (node->needed && !node->variable)
            NX_TRY(nx_survey_count(survey, node->op, nx_lower_find(node->op), s->err));
    }
    return NX_OK;
}

/* ["int", 10901]: MXNet 1.9.1. Files of 0.8 and before say nothing. */
static void read_producer(const json_t *root, struct nx_survey *survey)
{
    const json_t *said = json_object_get(json_object_get(root, "attrs"), "mxnet_version");
    json_int_t v = json_integer_value(json_array_get(said, 1));
    if (v > 0 && v < 100000000)
        snprintf(survey->producer, sizeof survey->producer, "MXNet %d.%d.%d", (int)(v / 10000),
                 (int)(v / 100 % 100), (int)(v % 100));
    else
        snprintf(survey->producer, sizeof survey->producer, "MXNet 0.8 or before");
}

static enum nx_status parse(const char *json, size_t len, json_t **root, struct nx_err *err)
{
    json_error_t wrong;
    /* The parser bounds its own depth (2,048) and refuses a NUL inside a string. */
    *root = json_loadb(json, len, 0, &wrong);
    if (!*root)
        return nx_err_set(err, NX_CORRUPT, "symbol: not JSON: %s (line %d, column %d)", wrong.text,
                          wrong.line, wrong.column);
    return NX_OK;
}

enum nx_status nx_symbol_survey(const char *json, size_t len, struct nx_arena *arena,
                                struct nx_survey *survey, struct nx_err *err)
{
    struct nx_graph graph;
    struct nx_symbol s = {.graph = &graph, .err = err};
    json_t *root;
    nx_graph_init(&graph, arena);
    nx_survey_init(survey, "MXNet symbol and params", arena);
    NX_TRY(parse(json, len, &root, err));
    read_producer(root, survey);
    enum nx_status status = read_structure(&s, root);
    if (status == NX_OK)
        status = count_ops(&s, survey);
    json_decref(root);
    return status;
}

enum nx_status nx_symbol_build(const char *json, size_t len, const struct nx_params *params,
                               struct nx_graph *graph, struct nx_err *err)
{
    struct nx_symbol s = {.graph = graph, .err = err, .params = params};
    json_t *root;
    NX_TRY(parse(json, len, &root, err));
    enum nx_status status = build(&s, root);
    json_decref(root);
    return status;
}
