/* The file's structure: which names there are, who writes and who reads them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/onnx_parts.h"

/* ModelProto, GraphProto, NodeProto, ValueInfoProto, OperatorSetIdProto: field numbers of onnx.proto. */
enum {
    MODEL_IR = 1,
    MODEL_PRODUCER = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_FUNCTION = 25
};
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15
};
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_DOMAIN = 7 };
enum { INFO_NAME = 1, TENSOR_NAME = 8 };

enum { NAME_BYTES_MAX = 4096 };

enum nx_status nx_onnx_no_memory(const struct nx_onnx *o)
{
    return nx_err_set(o->err, NX_NO_MEMORY, "out of memory for the ONNX file");
}

static enum nx_status malformed(const struct nx_onnx *o, const char *what)
{
    return nx_err_set(o->err, NX_CORRUPT,
                      "onnx: not a whole ONNX file: its %s is malformed or cut off", what);
}

static enum nx_status copy_name(const struct nx_onnx *o, const uint8_t *bytes, size_t len,
                                const char **name)
{
    if (len > NAME_BYTES_MAX)
        return nx_err_set(o->err, NX_CORRUPT, "onnx: a name of %zu bytes, at most %d are possible",
                          len, NAME_BYTES_MAX);
    if (memchr(bytes, '\0', len))
        return nx_err_set(o->err, NX_CORRUPT, "onnx: a NUL in a name");
    *name = nx_arena_strndup(o->graph->arena, (const char *)bytes, len);
    return *name ? NX_OK : nx_onnx_no_memory(o);
}

/* The string in field `number` of a message; "" if there is none. */
static enum nx_status string_of(const struct nx_onnx *o, struct nx_onnx_bytes message,
                                uint32_t number, const char *what, const char **text)
{
    struct nx_reader r;
    struct nx_proto_field f, found = {.bytes = message.bytes};
    nx_reader_init(&r, message.bytes, message.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_bytes(&f, number))
            found = f;
    return r.bad ? malformed(o, what) : copy_name(o, found.bytes, found.len, text);
}

/* --- the model: versions and the graph's bytes --- */

static bool is_default_domain(const char *domain)
{
    return !*domain || strcmp(domain, "ai.onnx") == 0;
}

static enum nx_status read_opset(struct nx_onnx *o, struct nx_onnx_bytes message)
{
    struct nx_reader r;
    struct nx_proto_field f;
    const char *domain;
    int64_t version = 0;
    NX_TRY(string_of(o, message, OPSET_DOMAIN, "list of opsets", &domain));
    nx_reader_init(&r, message.bytes, message.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_varint(&f, OPSET_VERSION))
            version = (int64_t)f.value;
    if (is_default_domain(domain))
        o->opset = version;
    return NX_OK;
}

enum nx_status nx_onnx_check_versions(const struct nx_onnx *o)
{
    if (o->ir < NX_ONNX_IR_MIN)
        return nx_err_set(o->err, o->ir ? NX_UNSUPPORTED : NX_CORRUPT,
                          "onnx: IR version %" PRId64 ", %d or later is needed", o->ir,
                          NX_ONNX_IR_MIN);
    if (o->opset < NX_ONNX_OPSET_MIN || o->opset > NX_ONNX_OPSET_MAX)
        return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: opset %" PRId64 ", %d to %d are supported",
                          o->opset, NX_ONNX_OPSET_MIN, NX_ONNX_OPSET_MAX);
    if (o->has_functions)
        return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: the model has functions of its own");
    return NX_OK;
}

static enum nx_status read_model(struct nx_onnx *o, const void *bytes, size_t len,
                                 struct nx_onnx_bytes *graph)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, bytes, len);
    while (nx_proto_next(&r, &f)) {
        if (nx_proto_is_varint(&f, MODEL_IR))
            o->ir = (int64_t)f.value;
        if (nx_proto_is_bytes(&f, MODEL_OPSET))
            NX_TRY(read_opset(o, (struct nx_onnx_bytes){f.bytes, f.len}));
        o->has_functions |= nx_proto_is_bytes(&f, MODEL_FUNCTION);
        if (!nx_proto_is_bytes(&f, MODEL_GRAPH))
            continue;
        if (graph->bytes)
            return nx_err_set(o->err, NX_CORRUPT, "onnx: the model has two graphs");
        *graph = (struct nx_onnx_bytes){f.bytes, f.len};
    }
    if (r.bad)
        return malformed(o, "ModelProto");
    struct nx_onnx_bytes model = {bytes, len};
    NX_TRY(string_of(o, model, MODEL_PRODUCER, "ModelProto", &o->producer));
    NX_TRY(string_of(o, model, MODEL_PRODUCER_VERSION, "ModelProto", &o->producer_version));
    if (graph->bytes)
        return NX_OK;
    NX_TRY(nx_onnx_check_versions(o)); /* a surer sign of what it is */
    return nx_err_set(o->err, NX_CORRUPT, "onnx: the model has no graph");
}

/* --- the graph: first how much there is, then each name --- */

struct counts {
    uint64_t nodes, initializers, inputs, node_outputs;
};

static enum nx_status count_outputs(const struct nx_onnx *o, const struct nx_proto_field *node,
                                    uint64_t *outputs)
{
    struct nx_reader r;
    struct nx_proto_field f;
    uint64_t in = 0, out = 0;
    nx_reader_init(&r, node->bytes, node->len);
    while (nx_proto_next(&r, &f)) {
        in += nx_proto_is_bytes(&f, NODE_INPUT);
        out += nx_proto_is_bytes(&f, NODE_OUTPUT);
    }
    if (r.bad)
        return malformed(o, "list of nodes");
    if (in > NX_NODE_INPUTS_MAX || out > NX_NODE_OUTPUTS_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE,
                          "onnx: a node with %" PRIu64 " inputs and %" PRIu64
                          " outputs, at most %u are supported",
                          in, out, NX_NODE_INPUTS_MAX);
    *outputs += out;
    return NX_OK;
}

static enum nx_status check_counts(const struct nx_onnx *o, const struct counts *n)
{
    if (n->nodes > NX_NODES_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE, "onnx: more than %u nodes", NX_NODES_MAX);
    if (n->initializers + n->inputs + n->node_outputs > NX_TENSORS_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE, "onnx: more than %u tensors", NX_TENSORS_MAX);
    return NX_OK;
}

static enum nx_status count(const struct nx_onnx *o, struct nx_onnx_bytes graph, struct counts *n)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, graph.bytes, graph.len);
    while (nx_proto_next(&r, &f)) {
        if (nx_proto_is_bytes(&f, GRAPH_SPARSE))
            return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: the model has sparse weights");
        n->initializers += nx_proto_is_bytes(&f, GRAPH_INITIALIZER);
        n->inputs += nx_proto_is_bytes(&f, GRAPH_INPUT);
        n->nodes += nx_proto_is_bytes(&f, GRAPH_NODE);
        if (nx_proto_is_bytes(&f, GRAPH_NODE))
            NX_TRY(count_outputs(o, &f, &n->node_outputs));
        NX_TRY(check_counts(o, n));
    }
    if (r.bad)
        return malformed(o, "GraphProto");
    if (n->nodes == 0)
        return nx_err_set(o->err, NX_CORRUPT, "onnx: the graph has no nodes");
    return NX_OK;
}

static struct nx_onnx_value *new_value(struct nx_onnx *o)
{
    struct nx_onnx_value *v = &o->values[o->n_values++];
    *v = (struct nx_onnx_value){.writer = NX_NONE, .tensor = NX_NONE};
    return v;
}

static enum nx_status note_names(struct nx_onnx *o, struct nx_onnx_bytes graph)
{
    struct nx_reader r;
    struct nx_proto_field f;
    uint32_t node = 0;
    nx_reader_init(&r, graph.bytes, graph.len);
    while (nx_proto_next(&r, &f)) {
        struct nx_onnx_bytes message = {f.bytes, f.len};
        if (nx_proto_is_bytes(&f, GRAPH_INITIALIZER)) {
            struct nx_onnx_value *v = new_value(o);
            v->initializer = message;
            v->ready = true;
            NX_TRY(string_of(o, message, TENSOR_NAME, "list of weights", &v->name));
        } else if (nx_proto_is_bytes(&f, GRAPH_INPUT)) {
            struct nx_onnx_value *v = new_value(o);
            v->info = message;
            NX_TRY(string_of(o, message, INFO_NAME, "list of inputs", &v->name));
        } else if (nx_proto_is_bytes(&f, GRAPH_NODE)) {
            o->nodes[node++].message = message;
        }
    }
    return NX_OK;
}

static enum nx_status note_written(struct nx_onnx *o, uint32_t at)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, o->nodes[at].message.bytes, o->nodes[at].message.len);
    while (nx_proto_next(&r, &f)) {
        if (!nx_proto_is_bytes(&f, NODE_OUTPUT) || f.len == 0)
            continue;
        struct nx_onnx_value *v = new_value(o);
        v->writer = at;
        NX_TRY(copy_name(o, f.bytes, f.len, &v->name));
    }
    return NX_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct nx_onnx_value *)a)->name, ((const struct nx_onnx_value *)b)->name);
}

/* An initialiser and a graph input of one name are one weight (IR 3). Other namesakes are two values. */
static enum nx_status merge_names(struct nx_onnx *o)
{
    uint32_t kept = 0;
    if (o->n_values)
        qsort(o->values, o->n_values, sizeof *o->values, by_name);
    for (uint32_t i = 0; i < o->n_values; i++) {
        struct nx_onnx_value *v = &o->values[i], *last = kept ? &o->values[kept - 1] : NULL;
        if (!last || strcmp(last->name, v->name) != 0) {
            o->values[kept++] = *v;
            continue;
        }
        bool one = (last->initializer.bytes && !last->info.bytes && v->info.bytes) ||
                   (last->info.bytes && !last->initializer.bytes && v->initializer.bytes);
        if (!one)
            return nx_err_set(o->err, NX_CORRUPT, "onnx: '%s' is there twice", v->name);
        if (v->initializer.bytes)
            last->initializer = v->initializer;
        else
            last->info = v->info;
        last->ready = true;
    }
    o->n_values = kept;
    return NX_OK;
}

static int name_against(const void *key, const void *item)
{
    return strcmp(key, ((const struct nx_onnx_value *)item)->name);
}

static enum nx_status find_value(const struct nx_onnx *o, const char *name, const char *reader,
                                 uint32_t *value)
{
    const struct nx_onnx_value *v =
        o->n_values ? bsearch(name, o->values, o->n_values, sizeof *o->values, name_against) : NULL;
    if (!v)
        return nx_err_set(o->err, NX_CORRUPT,
                          "onnx: %s reads '%s', which nothing in the file gives", reader, name);
    *value = (uint32_t)(v - o->values);
    return NX_OK;
}

static enum nx_status read_link(struct nx_onnx *o, struct nx_onnx_node *node,
                                const struct nx_proto_field *f)
{
    const char *name;
    uint32_t value = NX_NONE;
    if (f->len) {
        NX_TRY(copy_name(o, f->bytes, f->len, &name));
        NX_TRY(find_value(o, name, node->op, &value));
    }
    if (f->number == NODE_INPUT)
        node->inputs[node->n_inputs++] = value;
    else
        node->outputs[node->n_outputs++] = value;
    return NX_OK;
}

static enum nx_status make_room(struct nx_onnx *o, struct nx_onnx_node *node)
{
    struct nx_reader r;
    struct nx_proto_field f;
    uint32_t in = 0, out = 0;
    nx_reader_init(&r, node->message.bytes, node->message.len);
    while (nx_proto_next(&r, &f)) {
        in += nx_proto_is_bytes(&f, NODE_INPUT);
        out += nx_proto_is_bytes(&f, NODE_OUTPUT);
    }
    node->inputs = nx_arena_array(o->graph->arena, in, sizeof *node->inputs);
    node->outputs = nx_arena_array(o->graph->arena, out, sizeof *node->outputs);
    return node->inputs && node->outputs ? NX_OK : nx_onnx_no_memory(o);
}

/* An op of another domain is known under no name here: "com.microsoft.QLinearAdd". */
static enum nx_status prefix_domain(const struct nx_onnx *o, const char *domain, const char **op)
{
    size_t room = strlen(domain) + strlen(*op) + 2;
    char *text = nx_arena_alloc(o->graph->arena, room);
    if (!text)
        return nx_onnx_no_memory(o);
    snprintf(text, room, "%s.%s", domain, *op);
    *op = text;
    return NX_OK;
}

static enum nx_status read_node(struct nx_onnx *o, struct nx_onnx_node *node)
{
    struct nx_reader r;
    struct nx_proto_field f;
    const char *domain;
    NX_TRY(string_of(o, node->message, NODE_OP, "list of nodes", &node->op));
    NX_TRY(string_of(o, node->message, NODE_NAME, "list of nodes", &node->name));
    NX_TRY(string_of(o, node->message, NODE_DOMAIN, "list of nodes", &domain));
    NX_TRY(make_room(o, node));
    nx_reader_init(&r, node->message.bytes, node->message.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_bytes(&f, NODE_INPUT) || nx_proto_is_bytes(&f, NODE_OUTPUT))
            NX_TRY(read_link(o, node, &f));
    if (!*node->name && node->n_outputs && node->outputs[0] != NX_NONE)
        node->name = o->values[node->outputs[0]].name; /* as its result is called */
    return is_default_domain(domain) ? NX_OK : prefix_domain(o, domain, &node->op);
}

static enum nx_status read_head(struct nx_onnx *o, struct nx_onnx_bytes info)
{
    const char *name;
    struct nx_onnx_head head = {.dtype = NX_F32};
    if (o->n_heads == NX_PORTS_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE, "onnx: the graph has more than %u outputs",
                          NX_PORTS_MAX);
    NX_TRY(string_of(o, info, INFO_NAME, "list of outputs", &name));
    NX_TRY(find_value(o, name, "an output", &head.value));
    nx_onnx_info_dtype(info, &head.dtype);
    o->heads[o->n_heads++] = head;
    return NX_OK;
}

static enum nx_status read_heads(struct nx_onnx *o, struct nx_onnx_bytes graph)
{
    struct nx_reader r;
    struct nx_proto_field f;
    nx_reader_init(&r, graph.bytes, graph.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_bytes(&f, GRAPH_OUTPUT))
            NX_TRY(read_head(o, (struct nx_onnx_bytes){f.bytes, f.len}));
    if (o->n_heads == 0)
        return nx_err_set(o->err, NX_CORRUPT, "onnx: the graph has no outputs");
    return NX_OK;
}

enum nx_status nx_onnx_read(struct nx_onnx *o, const void *bytes, size_t len)
{
    struct nx_onnx_bytes graph = {NULL, 0};
    struct counts n = {0};
    NX_TRY(read_model(o, bytes, len, &graph));
    NX_TRY(count(o, graph, &n));
    o->spares = (uint32_t)(n.initializers + n.inputs + n.node_outputs);
    o->values = nx_arena_array(o->graph->arena, o->spares + NX_ONNX_SPARES, sizeof *o->values);
    o->nodes = nx_arena_array(o->graph->arena, n.nodes, sizeof *o->nodes);
    if (!o->values || !o->nodes)
        return nx_onnx_no_memory(o);
    o->n_nodes = (uint32_t)n.nodes;
    NX_TRY(note_names(o, graph));
    for (uint32_t i = 0; i < o->n_nodes; i++)
        NX_TRY(note_written(o, i));
    NX_TRY(merge_names(o));
    for (uint32_t i = 0; i < o->n_nodes; i++)
        NX_TRY(read_node(o, &o->nodes[i]));
    return read_heads(o, graph);
}
