/* From the nodes of the file to the nodes of the graph.
 *
 * Every node is inferred as soon as it is added, for two batches (onnx_parts.h), so that a
 * lowering knows of each dimension how it depends on the batch. */
#include <inttypes.h>
#include <string.h>

#include "categorizer/graph/shape.h"
#include "categorizer/model/onnx_parts.h"
#include "common/nx_assert.h"

enum nx_status nx_onnx_refuse(const struct nx_onnx_call *c, const char *what)
{
    return nx_err_set(c->o->err, NX_UNSUPPORTED, "onnx: %s '%s': %s is not supported", c->node->op,
                      c->node->name, what);
}

enum nx_status nx_onnx_wrong(const struct nx_onnx_call *c, const char *what)
{
    return nx_err_set(c->o->err, NX_INVALID, "onnx: %s '%s': %s", c->node->op, c->node->name, what);
}

enum nx_status nx_onnx_arity(const struct nx_onnx_call *c, uint32_t least, uint32_t most)
{
    uint32_t n = c->node->n_inputs;
    if (n >= least && n <= most)
        return NX_OK;
    return nx_err_set(c->o->err, NX_INVALID, "onnx: %s '%s' has %u inputs, %u to %u were expected",
                      c->node->op, c->node->name, n, least, most);
}

bool nx_onnx_has(const struct nx_onnx_call *c, uint32_t i)
{
    return i < c->node->n_inputs && c->node->inputs[i] != NX_NONE;
}

bool nx_onnx_is_integer(const struct nx_onnx_call *c, uint32_t i)
{
    if (!nx_onnx_has(c, i))
        return false;
    const struct nx_onnx_value *v = &c->o->values[c->node->inputs[i]];
    return v->ints || v->integer;
}

bool nx_onnx_is_half(const struct nx_onnx_call *c, uint32_t i)
{
    return nx_onnx_has(c, i) && c->o->values[c->node->inputs[i]].half;
}

void nx_onnx_set_integer(struct nx_onnx_call *c, enum nx_dtype dtype)
{
    c->typed = true;
    if (c->node->outputs[0] != NX_NONE)
        c->o->values[c->node->outputs[0]].integer = nx_onnx_dtype_is_integer(dtype);
}

const struct nx_tensor *nx_onnx_tensor(const struct nx_onnx_call *c, uint32_t tensor)
{
    return &c->o->graph->tensors[tensor];
}

const float *nx_onnx_values(const struct nx_onnx_call *c, uint32_t tensor)
{
    const struct nx_tensor *t = nx_onnx_tensor(c, tensor);
    return t->kind == NX_TENSOR_CONSTANT ? t->data : NULL;
}

/* --- shapes at two batches --- */

static enum nx_status room_for_other(struct nx_onnx *o)
{
    uint32_t n = o->graph->n_tensors;
    if (n <= o->cap_other)
        return NX_OK;
    uint32_t cap = n < 64 ? 64 : 2 * n;
    struct nx_shape *bigger = nx_arena_array(o->graph->arena, cap, sizeof *bigger);
    if (!bigger)
        return nx_onnx_no_memory(o);
    if (o->cap_other)
        memcpy(bigger, o->other, o->cap_other * sizeof *bigger);
    o->other = bigger;
    o->cap_other = cap;
    return NX_OK;
}

enum nx_status nx_onnx_note_other(struct nx_onnx *o, uint32_t tensor, const struct nx_shape *shape)
{
    NX_TRY(room_for_other(o));
    o->other[tensor] = *shape;
    return NX_OK;
}

static enum nx_status infer_other(struct nx_onnx *o, uint32_t at)
{
    const struct nx_node *node = &o->graph->nodes[at];
    struct nx_tensor *tensors = o->graph->tensors;
    struct nx_shape here[NX_NODE_INPUTS_MAX];
    for (uint32_t i = 0; i < node->n_inputs; i++)
        here[i] = tensors[node->inputs[i]].shape;
    for (uint32_t i = 0; i < node->n_inputs; i++)
        tensors[node->inputs[i]].shape = o->other[node->inputs[i]];
    enum nx_status status = nx_shape_infer_node(o->graph, at, o->err);
    for (uint32_t i = 0; i < node->n_inputs; i++)
        tensors[node->inputs[i]].shape = here[i];
    return status;
}

static enum nx_status infer_both(struct nx_onnx *o, uint32_t at)
{
    const struct nx_node *node = &o->graph->nodes[at];
    NX_TRY(room_for_other(o));
    NX_TRY(infer_other(o, at));
    for (uint32_t i = 0; i < node->n_outputs; i++)
        o->other[node->outputs[i]] = o->graph->tensors[node->outputs[i]].shape;
    return nx_shape_infer_node(o->graph, at, o->err);
}

struct nx_onnx_int nx_onnx_dim(const struct nx_onnx_call *c, uint32_t tensor, uint32_t dim)
{
    int64_t here = nx_onnx_tensor(c, tensor)->shape.dims[dim];
    int64_t per_photo = c->o->other[tensor].dims[dim] - here;
    return (struct nx_onnx_int){here - NX_ONNX_BATCH * per_photo, per_photo};
}

enum nx_status nx_onnx_within_photo(const struct nx_onnx_call *c, uint32_t tensor, uint32_t dim)
{
    if (nx_onnx_dim(c, tensor, dim).per_photo == 0)
        return NX_OK;
    return nx_onnx_refuse(c, "working across the photos of a batch");
}

/* --- what a lowering adds --- */

enum nx_status nx_onnx_add(struct nx_onnx_call *c, struct nx_node *node, uint32_t *inputs,
                           uint32_t n_inputs, uint32_t *tensor)
{
    uint32_t index;
    node->name = c->node->name;
    node->inputs = inputs;
    node->n_inputs = n_inputs;
    node->n_outputs = node->n_outputs ? node->n_outputs : 1;
    NX_TRY(nx_graph_add_node(c->o->graph, node, &index, c->o->err));
    NX_TRY(infer_both(c->o, index));
    *tensor = c->o->graph->nodes[index].outputs[0];
    return NX_OK;
}

enum nx_status nx_onnx_set(struct nx_onnx_call *c, uint32_t output, uint32_t tensor)
{
    nx_assert(output < c->node->n_outputs);
    if (c->node->outputs[output] == NX_NONE)
        return NX_OK;
    c->o->values[c->node->outputs[output]].tensor = tensor;
    c->o->values[c->node->outputs[output]].ready = true;
    return NX_OK;
}

enum nx_status nx_onnx_finish(struct nx_onnx_call *c, struct nx_node *node, uint32_t *inputs,
                              uint32_t n_inputs)
{
    uint32_t tensor;
    NX_TRY(nx_onnx_add(c, node, inputs, n_inputs, &tensor));
    return nx_onnx_set(c, 0, tensor);
}

enum nx_status nx_onnx_set_ints(struct nx_onnx_call *c, uint32_t output, bool scalar,
                                const struct nx_onnx_int *items, uint32_t n)
{
    struct nx_onnx_ints *ints = nx_arena_alloc(c->o->graph->arena, sizeof *ints);
    struct nx_onnx_int *own = nx_arena_array(c->o->graph->arena, n, sizeof *own);
    nx_assert(output < c->node->n_outputs && n <= NX_ONNX_INTS_MAX && (!scalar || n == 1));
    if (!ints || !own)
        return nx_onnx_no_memory(c->o);
    if (n)
        memcpy(own, items, n * sizeof *own);
    *ints = (struct nx_onnx_ints){n, scalar, own};
    if (c->node->outputs[output] == NX_NONE)
        return NX_OK;
    c->o->values[c->node->outputs[output]].ints = ints;
    c->o->values[c->node->outputs[output]].ready = true;
    return NX_OK;
}

enum nx_status nx_onnx_add_constant(struct nx_onnx_call *c, const struct nx_shape *shape,
                                    const float *data, uint32_t *tensor)
{
    NX_TRY(nx_graph_add_constant(c->o->graph, c->node->name, shape, data, tensor, c->o->err));
    return nx_onnx_note_other(c->o, *tensor, shape);
}

enum nx_status nx_onnx_new_constant(struct nx_onnx_call *c, const struct nx_shape *shape,
                                    float **data, uint32_t *tensor)
{
    uint64_t elements;
    bool known = nx_shape_elements(shape, &elements);
    nx_assert(known);
    *data = nx_arena_array(c->o->graph->arena, elements, sizeof **data);
    if (!*data)
        return nx_onnx_no_memory(c->o);
    return nx_onnx_add_constant(c, shape, *data, tensor);
}

enum nx_status nx_onnx_unary(struct nx_onnx_call *c, enum nx_unary fn, float a, float b, uint32_t x,
                             uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_UNARY, .attr.unary = {fn, a, b}};
    return nx_onnx_add(c, &node, &x, 1, y);
}

enum nx_status nx_onnx_binary(struct nx_onnx_call *c, enum nx_binary kind, uint32_t a, uint32_t b,
                              uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_BINARY, .attr.binary.kind = kind};
    uint32_t inputs[] = {a, b};
    return nx_onnx_add(c, &node, inputs, 2, y);
}

enum nx_status nx_onnx_reduce(struct nx_onnx_call *c, enum nx_reduce kind, uint32_t x,
                              uint32_t first, uint32_t last, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_REDUCE,
                           .attr.reduce = {.kind = kind, .keepdims = true, .n = last - first}};
    for (uint32_t i = first; i < last; i++) {
        NX_TRY(nx_onnx_within_photo(c, x, i));
        node.attr.reduce.axes[i - first] = (int32_t)i;
    }
    return nx_onnx_add(c, &node, &x, 1, y);
}

enum nx_status nx_onnx_reshape(struct nx_onnx_call *c, uint32_t x, const struct nx_onnx_int *dims,
                               uint32_t n, uint32_t *y)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_CODES};
    struct nx_attr_reshape *a = &node.attr.reshape;
    bool inferred = false;
    for (uint32_t i = 0; i < n; i++)
        inferred |= dims[i].per_photo == 0 && dims[i].base == -1;
    if (n < 1 || n > NX_RESHAPE_CODES_MAX)
        return nx_onnx_refuse(c, "such a number of dimensions");
    a->n = n;
    for (uint32_t i = 0; i < n; i++) {
        a->codes[i] = dims[i].base;
        if (dims[i].per_photo == 0)
            continue;
        struct nx_onnx_int here = {0, 0};
        if (i < nx_onnx_tensor(c, x)->shape.rank)
            here = nx_onnx_dim(c, x, i);
        bool copied = here.base == dims[i].base && here.per_photo == dims[i].per_photo;
        if (!copied && inferred)
            return nx_onnx_refuse(c, "a shape with two dimensions that depend on the batch");
        inferred |= !copied;
        a->codes[i] = copied ? 0 : -1;
    }
    return nx_onnx_add(c, &node, &x, 1, y);
}

enum nx_status nx_onnx_identity(struct nx_onnx_call *c, uint32_t i)
{
    struct nx_node node = {.op = NX_OP_IDENTITY};
    uint32_t x;
    NX_TRY(nx_onnx_data(c, i, &x));
    return nx_onnx_finish(c, &node, &x, 1);
}

enum nx_status nx_onnx_axis(const struct nx_onnx_call *c, int64_t axis, uint32_t rank,
                            uint32_t *resolved)
{
    int64_t at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank)
        return nx_err_set(c->o->err, NX_INVALID,
                          "onnx: %s '%s' names axis %" PRId64 " of an input with %u dimensions",
                          c->node->op, c->node->name, axis, rank);
    *resolved = (uint32_t)at;
    return NX_OK;
}

/* --- what a lowering reads --- */

static enum nx_status input_value(const struct nx_onnx_call *c, uint32_t i,
                                  struct nx_onnx_value **value)
{
    if (!nx_onnx_has(c, i))
        return nx_err_set(c->o->err, NX_INVALID, "onnx: %s '%s' has no input %u", c->node->op,
                          c->node->name, i);
    struct nx_onnx_value *v = &c->o->values[c->node->inputs[i]];
    if (!v->ready)
        return nx_err_set(
            c->o->err, NX_CORRUPT,
            "onnx: %s '%s' reads '%s', which is not computed before it: a cycle, nodes "
            "out of order, or an output that is not supported",
            c->node->op, c->node->name, v->name);
    *value = v;
    return NX_OK;
}

/* An initialiser becomes integers that are known, or a tensor of the graph, when it is first read. */
static enum nx_status read_weight(struct nx_onnx_call *c, struct nx_onnx_value *v)
{
    struct nx_array array;
    const float *values;
    NX_TRY(nx_onnx_tensor_read(c->o, v->name, v->initializer, &array));
    v->integer = nx_onnx_dtype_is_integer((enum nx_dtype)array.dtype);
    v->half = array.dtype == NX_F16 || array.dtype == NX_BF16;
    NX_TRY(nx_onnx_tensor_ints(c->o, &array, &v->ints));
    if (v->ints)
        return NX_OK;
    if (array.elements == 0)
        return nx_err_set(c->o->err, NX_INVALID, "onnx: the weight '%s' is empty", v->name);
    NX_TRY(nx_array_to_f32(&array, c->o->graph->arena, &values, c->o->err));
    NX_TRY(
        nx_graph_add_constant(c->o->graph, v->name, &array.shape, values, &v->tensor, c->o->err));
    return nx_onnx_note_other(c->o, v->tensor, &array.shape);
}

static enum nx_status read_input(struct nx_onnx_call *c, uint32_t i, struct nx_onnx_value **value)
{
    NX_TRY(input_value(c, i, value));
    bool unread = !(*value)->ints && (*value)->tensor == NX_NONE;
    return unread && (*value)->initializer.bytes ? read_weight(c, *value) : NX_OK;
}

static enum nx_status ints_to_tensor(struct nx_onnx_call *c, struct nx_onnx_value *v)
{
    struct nx_shape shape = {v->ints->scalar ? 0 : 1, {v->ints->scalar ? 0 : v->ints->n}};
    float *data;
    if (v->ints->n == 0)
        return nx_onnx_wrong(c, "an input is empty");
    for (uint32_t i = 0; i < v->ints->n; i++)
        if (v->ints->items[i].per_photo)
            return nx_onnx_refuse(c, "arithmetic with the number of photos");
    NX_TRY(nx_onnx_new_constant(c, &shape, &data, &v->tensor));
    for (uint32_t i = 0; i < v->ints->n; i++)
        data[i] = (float)v->ints->items[i].base;
    return NX_OK;
}

enum nx_status nx_onnx_data(struct nx_onnx_call *c, uint32_t i, uint32_t *tensor)
{
    struct nx_onnx_value *v;
    NX_TRY(read_input(c, i, &v));
    if (v->tensor == NX_NONE)
        NX_TRY(ints_to_tensor(c, v));
    *tensor = v->tensor;
    return NX_OK;
}

enum nx_status nx_onnx_known(struct nx_onnx_call *c, uint32_t i, const struct nx_onnx_ints **ints)
{
    struct nx_onnx_value *v;
    NX_TRY(read_input(c, i, &v));
    *ints = v->ints;
    return NX_OK;
}

enum nx_status nx_onnx_constant_ints(struct nx_onnx_call *c, uint32_t i, int64_t *items,
                                     uint32_t cap, uint32_t *n)
{
    const struct nx_onnx_ints *ints;
    *n = 0;
    if (!nx_onnx_has(c, i))
        return NX_OK;
    NX_TRY(nx_onnx_known(c, i, &ints));
    if (!ints || ints->n > cap)
        return nx_err_set(c->o->err, NX_UNSUPPORTED,
                          "onnx: %s '%s': input %u is not a list of at most %u integers that the "
                          "file says or its shapes give",
                          c->node->op, c->node->name, i, cap);
    for (uint32_t k = 0; k < ints->n; k++) {
        if (ints->items[k].per_photo)
            return nx_onnx_refuse(c, "an index that depends on the number of photos");
        items[k] = ints->items[k].base;
    }
    *n = ints->n;
    return NX_OK;
}

enum nx_status nx_onnx_ints_either(struct nx_onnx_call *c, const char *key, uint32_t i,
                                   int64_t *items, uint32_t cap, uint32_t *n)
{
    if (nx_onnx_has(c, i))
        return nx_onnx_constant_ints(c, i, items, cap, n);
    return nx_onnx_attr_ints(c, key, items, cap, n);
}

enum nx_status nx_onnx_constant_float(struct nx_onnx_call *c, uint32_t i, float *value, bool *there)
{
    uint32_t tensor;
    *there = nx_onnx_has(c, i);
    if (!*there)
        return NX_OK;
    NX_TRY(nx_onnx_data(c, i, &tensor));
    const float *values = nx_onnx_values(c, tensor);
    if (!values || nx_tensor_bytes(nx_onnx_tensor(c, tensor)) != sizeof *values)
        return nx_err_set(c->o->err, NX_UNSUPPORTED,
                          "onnx: %s '%s': input %u is not one number that the file says",
                          c->node->op, c->node->name, i);
    *value = *values;
    return NX_OK;
}

/* --- the whole --- */

/* All is computed in f32, so what an integer type changes (a quotient is cut) must be known: most ops give
 * what their first input is. */
static bool gives_integers(const struct nx_onnx_call *c, uint32_t output)
{
    static const char *const always[] = {"Shape", "Size", "ArgMax", "ArgMin"};
    const char *op = c->node->op;
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (strcmp(op, always[i]) == 0)
            return true;
    if (strcmp(op, "TopK") == 0 && output == 1)
        return true;
    if (strcmp(op, "OneHot") == 0)
        return nx_onnx_is_integer(c, 2);
    return nx_onnx_is_integer(c, strcmp(op, "Where") == 0 ? 1 : 0);
}

static void note_integers(struct nx_onnx_call *c)
{
    for (uint32_t i = c->typed; i < c->node->n_outputs; i++)
        if (c->node->outputs[i] != NX_NONE)
            c->o->values[c->node->outputs[i]].integer = gives_integers(c, i);
}

static enum nx_status lower(struct nx_onnx *o, struct nx_onnx_node *node)
{
    struct nx_onnx_call c = {.o = o, .node = node};
    const struct nx_onnx_op *op = nx_onnx_find_op(node->op);
    NX_TRY(nx_onnx_attrs_check(&c));
    if (!op)
        return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: node '%s' is of unknown op '%s'",
                          node->name, node->op);
    if (node->n_outputs == 0)
        return nx_onnx_wrong(&c, "it has no output");
    c.detail = op->detail;
    NX_TRY(op->lower(&c));
    note_integers(&c);
    return NX_OK;
}

static enum nx_status build(struct nx_onnx *o, const void *bytes, size_t len)
{
    NX_TRY(nx_onnx_read(o, bytes, len));
    NX_TRY(nx_onnx_check_versions(o));
    nx_onnx_mark_needed(o);
    NX_TRY(nx_onnx_begin(o));
    for (uint32_t i = 0; i < o->n_nodes; i++)
        if (o->nodes[i].needed)
            NX_TRY(lower(o, &o->nodes[i]));
    return nx_onnx_end(o);
}

/* A file whose sizes are all fixed may have no batch at all: then what works across its first dimension
 * is what it means. Its second reading decides; the sentence is the first's. */
enum nx_status nx_onnx_build(const void *bytes, size_t len, const struct nx_size_hint *hint,
                             struct nx_graph *graph, bool *size_is_free, struct nx_err *err)
{
    struct nx_onnx o = {.graph = graph, .err = err, .hint = hint};
    struct nx_onnx fixed = {.graph = graph, .hint = hint, .unbatched = true};
    enum nx_status status = build(&o, bytes, len);
    bool retry = (status == NX_UNSUPPORTED || status == NX_INVALID) && nx_onnx_all_fixed(&o);
    if (retry) {
        nx_graph_init(graph, graph->arena);
        status = build(&fixed, bytes, len) == NX_OK ? NX_OK : status;
    }
    NX_TRY(status);
    *size_is_free = o.size_is_free;
    return NX_OK;
}
