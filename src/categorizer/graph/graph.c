#include "categorizer/graph/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/nx_assert.h"

static const struct {
    const char *name;
    uint32_t least, most;
} ops[] = {
#define OP_ROW(op, name, least, most, attr) {name, least, most},
    NX_OP_LIST(OP_ROW)
#undef OP_ROW
};

static const char *const unary_names[] = {
#define UNARY_ROW(fn, name, expression) name,
    NX_UNARY_LIST(UNARY_ROW)
#undef UNARY_ROW
};

static const struct {
    const char *name;
    uint32_t bytes;
} dtypes[NX_DTYPES] = {
#define DTYPE_ROW(name, code, bytes) [code] = {#name, bytes},
    NX_DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

uint32_t nx_dtype_bytes(uint32_t dtype)
{
    return dtype < NX_DTYPES ? dtypes[dtype].bytes : 0;
}

const char *nx_dtype_name(enum nx_dtype dtype)
{
    nx_assert((unsigned)dtype < NX_DTYPES);
    return dtypes[dtype].name;
}

const char *nx_op_name(enum nx_op op)
{
    nx_assert((unsigned)op < NX_OP_COUNT);
    return ops[op].name;
}

const char *nx_unary_name(enum nx_unary fn)
{
    nx_assert((unsigned)fn < NX_UNARY_COUNT);
    return unary_names[fn];
}

void nx_graph_init(struct nx_graph *graph, struct nx_arena *arena)
{
    *graph = (struct nx_graph){.arena = arena};
}

static enum nx_status no_memory(struct nx_err *err)
{
    return nx_err_set(err, NX_NO_MEMORY, "out of memory for the graph of the model");
}

/* Room for one more item in an array that the arena holds; the old array is left behind in it. */
static void *grown(struct nx_arena *arena, void *items, uint32_t n, uint32_t *cap,
                   size_t item_bytes)
{
    if (n < *cap)
        return items;
    uint32_t wanted = *cap ? *cap * 2 : 64;
    void *bigger = nx_arena_array(arena, wanted, item_bytes);
    if (!bigger)
        return NULL;
    if (n)
        memcpy(bigger, items, n * item_bytes);
    *cap = wanted;
    return bigger;
}

enum nx_status nx_graph_add_tensor(struct nx_graph *graph, enum nx_tensor_kind kind,
                                   const char *name, uint32_t *index, struct nx_err *err)
{
    if (graph->n_tensors >= NX_TENSORS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the model has more than %u tensors", NX_TENSORS_MAX);
    void *room = grown(graph->arena, graph->tensors, graph->n_tensors, &graph->cap_tensors,
                       sizeof *graph->tensors);
    char *copy = room ? nx_arena_strndup(graph->arena, name, strlen(name)) : NULL;
    if (!copy)
        return no_memory(err);
    graph->tensors = room;
    graph->tensors[graph->n_tensors] = (struct nx_tensor){
        .name = copy, .kind = kind, .shape.rank = NX_RANK_UNKNOWN, .producer = NX_NONE};
    *index = graph->n_tensors++;
    return NX_OK;
}

enum nx_status nx_graph_add_constant(struct nx_graph *graph, const char *name,
                                     const struct nx_shape *shape, const void *data,
                                     uint32_t *index, struct nx_err *err)
{
    uint32_t at;
    NX_TRY(nx_graph_add_tensor(graph, NX_TENSOR_CONSTANT, name, &at, err));
    graph->tensors[at].shape = *shape;
    graph->tensors[at].data = data;
    *index = at;
    return NX_OK;
}

static enum nx_status check_arity(const struct nx_node *node, struct nx_err *err)
{
    uint32_t least = ops[node->op].least, most = ops[node->op].most;
    if (node->n_inputs < least || node->n_inputs > most)
        return nx_err_set(err, NX_INVALID, "%s '%s' has %u inputs, it takes %u to %u",
                          ops[node->op].name, node->name, node->n_inputs, least, most);
    if (node->n_outputs < 1 || node->n_outputs > NX_NODE_OUTPUTS_MAX)
        return nx_err_set(err, NX_INVALID, "%s '%s' has %u outputs, it may have 1 to %u",
                          ops[node->op].name, node->name, node->n_outputs, NX_NODE_OUTPUTS_MAX);
    return NX_OK;
}

static enum nx_status copy_inputs(struct nx_graph *graph, struct nx_node *node, struct nx_err *err)
{
    uint32_t *inputs = nx_arena_array(graph->arena, node->n_inputs, sizeof *inputs);
    uint32_t *outputs = nx_arena_array(graph->arena, node->n_outputs, sizeof *outputs);
    char *name = nx_arena_strndup(graph->arena, node->name, strlen(node->name));
    if (!inputs || !outputs || !name)
        return no_memory(err);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        nx_assert(node->inputs[i] < graph->n_tensors);
        inputs[i] = node->inputs[i];
    }
    node->inputs = inputs;
    node->outputs = outputs;
    node->name = name;
    return NX_OK;
}

enum nx_status nx_graph_add_node(struct nx_graph *graph, const struct nx_node *node,
                                 uint32_t *index, struct nx_err *err)
{
    struct nx_node own = *node;
    NX_TRY(check_arity(&own, err));
    if (graph->n_nodes >= NX_NODES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the model has more than %u nodes", NX_NODES_MAX);
    void *room =
        grown(graph->arena, graph->nodes, graph->n_nodes, &graph->cap_nodes, sizeof *graph->nodes);
    if (!room)
        return no_memory(err);
    graph->nodes = room;
    NX_TRY(copy_inputs(graph, &own, err));
    for (uint32_t i = 0; i < own.n_outputs; i++) {
        NX_TRY(nx_graph_add_tensor(graph, NX_TENSOR_COMPUTED, own.name, &own.outputs[i], err));
        graph->tensors[own.outputs[i]].producer = graph->n_nodes;
    }
    graph->nodes[graph->n_nodes] = own;
    *index = graph->n_nodes++;
    return NX_OK;
}

static struct nx_port *make_ports(const struct nx_graph *graph, const uint32_t *tensors, uint32_t n)
{
    struct nx_port *ports = nx_arena_array(graph->arena, n, sizeof *ports);
    for (uint32_t i = 0; ports && i < n; i++)
        ports[i] = (struct nx_port){.name = graph->tensors[tensors[i]].name, .batched = true};
    return ports;
}

static uint32_t *copy_indices(struct nx_arena *arena, const uint32_t *from, uint32_t n)
{
    uint32_t *copy = nx_arena_array(arena, n, sizeof *copy);
    if (copy && n)
        memcpy(copy, from, n * sizeof *copy);
    return copy;
}

enum nx_status nx_graph_set_io(struct nx_graph *graph, const uint32_t *inputs, uint32_t n_inputs,
                               const uint32_t *outputs, uint32_t n_outputs, struct nx_err *err)
{
    uint32_t *in = copy_indices(graph->arena, inputs, n_inputs);
    uint32_t *out = copy_indices(graph->arena, outputs, n_outputs);
    struct nx_port *in_ports = make_ports(graph, inputs, n_inputs);
    struct nx_port *out_ports = make_ports(graph, outputs, n_outputs);
    if (!in || !out || !in_ports || !out_ports)
        return no_memory(err);
    graph->inputs = in;
    graph->outputs = out;
    graph->in = in_ports;
    graph->out = out_ports;
    graph->n_inputs = n_inputs;
    graph->n_outputs = n_outputs;
    return NX_OK;
}

static enum nx_status clone_nodes(const struct nx_graph *src, struct nx_graph *dst,
                                  struct nx_err *err)
{
    for (uint32_t i = 0; i < src->n_nodes; i++) {
        struct nx_node *node = &dst->nodes[i];
        *node = src->nodes[i];
        node->inputs = copy_indices(dst->arena, src->nodes[i].inputs, node->n_inputs);
        node->outputs = copy_indices(dst->arena, src->nodes[i].outputs, node->n_outputs);
        if (!node->inputs || !node->outputs)
            return no_memory(err);
    }
    return NX_OK;
}

enum nx_status nx_graph_clone(const struct nx_graph *src, struct nx_arena *arena,
                              struct nx_graph *dst, struct nx_err *err)
{
    struct nx_graph own = *src;
    own.arena = arena;
    own.cap_tensors = src->n_tensors;
    own.cap_nodes = src->n_nodes;
    own.tensors = nx_arena_array(arena, src->n_tensors, sizeof *own.tensors);
    own.nodes = nx_arena_array(arena, src->n_nodes, sizeof *own.nodes);
    if (!own.tensors || !own.nodes)
        return no_memory(err);
    if (src->n_tensors)
        memcpy(own.tensors, src->tensors, src->n_tensors * sizeof *own.tensors);
    NX_TRY(clone_nodes(src, &own, err));
    NX_TRY(nx_graph_set_io(&own, src->inputs, src->n_inputs, src->outputs, src->n_outputs, err));
    for (uint32_t i = 0; i < src->n_inputs; i++)
        own.in[i] = src->in[i];
    for (uint32_t i = 0; i < src->n_outputs; i++)
        own.out[i] = src->out[i];
    *dst = own;
    return NX_OK;
}

static bool keep_name(struct nx_arena *arena, const char **name)
{
    *name = nx_arena_strndup(arena, *name, strlen(*name));
    return *name != NULL;
}

enum nx_status nx_graph_keep_names(struct nx_graph *graph, struct nx_arena *arena,
                                   struct nx_err *err)
{
    bool kept = true;
    for (uint32_t i = 0; kept && i < graph->n_tensors; i++)
        kept = keep_name(arena, &graph->tensors[i].name);
    for (uint32_t i = 0; kept && i < graph->n_nodes; i++)
        kept = keep_name(arena, &graph->nodes[i].name);
    for (uint32_t i = 0; kept && i < graph->n_inputs; i++)
        kept = keep_name(arena, &graph->in[i].name);
    for (uint32_t i = 0; kept && i < graph->n_outputs; i++)
        kept = keep_name(arena, &graph->out[i].name);
    return kept ? NX_OK : no_memory(err);
}

static bool node_is_sound(const struct nx_graph *graph, uint32_t at)
{
    const struct nx_node *node = &graph->nodes[at];
    if ((unsigned)node->op >= NX_OP_COUNT || check_arity(node, NULL) != NX_OK)
        return false;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (node->inputs[i] >= graph->n_tensors)
            return false;
        const struct nx_tensor *t = &graph->tensors[node->inputs[i]];
        if (t->kind == NX_TENSOR_COMPUTED && t->producer >= at)
            return false;
    }
    for (uint32_t i = 0; i < node->n_outputs; i++)
        if (node->outputs[i] >= graph->n_tensors ||
            graph->tensors[node->outputs[i]].kind != NX_TENSOR_COMPUTED ||
            graph->tensors[node->outputs[i]].producer != at)
            return false;
    return true;
}

bool nx_graph_is_sound(const struct nx_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (!node_is_sound(graph, i))
            return false;
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        if (graph->inputs[i] >= graph->n_tensors ||
            graph->tensors[graph->inputs[i]].kind != NX_TENSOR_INPUT)
            return false;
    for (uint32_t i = 0; i < graph->n_outputs; i++)
        if (graph->outputs[i] >= graph->n_tensors)
            return false;
    return true;
}

bool nx_shape_elements(const struct nx_shape *shape, uint64_t *elements)
{
    uint64_t product = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0 ||
            __builtin_mul_overflow(product, (uint64_t)shape->dims[i], &product))
            return false;
        if (product > NX_TENSOR_BYTES_MAX / sizeof(float))
            return false;
    }
    *elements = product;
    return true;
}

bool nx_shape_equal(const struct nx_shape *a, const struct nx_shape *b)
{
    return a->rank == b->rank && a->rank <= NX_RANK_MAX &&
           memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0;
}

uint64_t nx_tensor_bytes(const struct nx_tensor *tensor)
{
    uint64_t elements;
    nx_assert(tensor->shape.rank <= NX_RANK_MAX && nx_shape_elements(&tensor->shape, &elements));
    return elements * sizeof(float);
}

const char *nx_shape_text(const struct nx_shape *shape, char text[NX_SHAPE_TEXT_BYTES])
{
    if (shape->rank > NX_RANK_MAX) {
        snprintf(text, NX_SHAPE_TEXT_BYTES, "unknown");
        return text;
    }
    static_assert(NX_RANK_MAX * 22 + 3 <= NX_SHAPE_TEXT_BYTES, "every dimension is printed");
    size_t at = 0;
    text[at++] = '(';
    for (uint32_t i = 0; i < shape->rank; i++) {
        const char *comma = i ? ", " : "";
        at += (size_t)snprintf(text + at, NX_SHAPE_TEXT_BYTES - at, "%s%" PRId64, comma,
                               shape->dims[i]);
    }
    text[at++] = ')';
    text[at] = '\0';
    return text;
}

static uint64_t elements_from(const struct nx_shape *shape, uint32_t first)
{
    uint64_t product = 1;
    for (uint32_t i = first; i < shape->rank; i++)
        product *= (uint64_t)shape->dims[i];
    return product;
}

/* Every output element is a dot product, of CONV and FC with one row of the weight. Every element that a DECONV
 * reads is multiplied with such a row. */
static uint64_t node_macs(const struct nx_graph *graph, const struct nx_node *node)
{
    if (node->op != NX_OP_CONV && node->op != NX_OP_FC && node->op != NX_OP_MATMUL &&
        node->op != NX_OP_DECONV)
        return 0;
    uint32_t each = node->op == NX_OP_DECONV ? node->inputs[0] : node->outputs[0];
    uint64_t out = elements_from(&graph->tensors[each].shape, 0);
    uint64_t row = elements_from(&graph->tensors[node->inputs[1]].shape, 1), macs;
    if (node->op == NX_OP_MATMUL) {
        const struct nx_shape *a = &graph->tensors[node->inputs[0]].shape;
        row = (uint64_t)a->dims[a->rank - (node->attr.matmul.transpose_a ? 2 : 1)];
    }
    return __builtin_mul_overflow(out, row, &macs) ? UINT64_MAX : macs;
}

static uint64_t sum_over_nodes(const struct nx_graph *graph,
                               uint64_t (*of)(const struct nx_graph *, const struct nx_node *))
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        if (__builtin_add_overflow(total, of(graph, &graph->nodes[i]), &total))
            return UINT64_MAX;
    return total;
}

uint64_t nx_graph_macs(const struct nx_graph *graph)
{
    return sum_over_nodes(graph, node_macs);
}

enum { TOPK_STEPS = 48 }; /* 2 log2(NX_TOPK_SIDE_MAX): in and out of a heap */

/* Elements of the input that one element of the output looks at. */
static uint64_t node_reach(const struct nx_node *node, const struct nx_shape *x)
{
    if (node->op == NX_OP_POOL) {
        const int32_t *kernel = node->attr.pool.window.kernel;
        uint64_t image = (uint64_t)x->dims[2] * (uint64_t)x->dims[3];
        uint64_t window = (uint64_t)kernel[0] * (uint64_t)kernel[1];
        return window < image ? window : image;
    }
    if (node->op == NX_OP_TOPK)
        return TOPK_STEPS;
    if (node->op == NX_OP_LRN && node->attr.lrn.size < x->dims[1])
        return (uint64_t)node->attr.lrn.size;
    return node->op == NX_OP_LRN ? (uint64_t)x->dims[1] : 1;
}

uint64_t nx_graph_node_work(const struct nx_graph *graph, const struct nx_node *node)
{
    const struct nx_shape *x = &graph->tensors[node->inputs[0]].shape;
    uint64_t in = elements_from(x, 0), work = node_macs(graph, node), windows;
    for (uint32_t i = 0; i < node->n_outputs; i++)
        in += elements_from(&graph->tensors[node->outputs[i]].shape, 0);
    if (__builtin_mul_overflow(in, node_reach(node, x), &windows))
        return UINT64_MAX;
    return __builtin_add_overflow(work, windows, &work) ? UINT64_MAX : work;
}

uint64_t nx_graph_work(const struct nx_graph *graph)
{
    return sum_over_nodes(graph, nx_graph_node_work);
}
