/* Where values that are known while loading come from. */
#include <string.h>

#include "categorizer/model/cast.h"
#include "categorizer/model/onnx_parts.h"

#define FILLED_ELEMENTS_MAX \
    (UINT64_C(1) << 22) /* a few bytes of a file must not unfold without end */

enum nx_status nx_onnx_shape(struct nx_onnx_call *c)
{
    struct nx_onnx_int dims[NX_RANK_MAX];
    int64_t start = 0, end = INT64_MAX;
    uint32_t x, n = 0;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_attr_int(c, "start", &start));
    NX_TRY(nx_onnx_attr_int(c, "end", &end));
    int64_t rank = nx_onnx_tensor(c, x)->shape.rank;
    start = start < -rank ? 0 : start < 0 ? start + rank : start;
    end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
    for (int64_t i = start; i < end; i++)
        dims[n++] = nx_onnx_dim(c, x, (uint32_t)i);
    return nx_onnx_set_ints(c, 0, false, dims, n);
}

static enum nx_status set_floats(struct nx_onnx_call *c, bool scalar, const float *values,
                                 uint32_t n)
{
    struct nx_shape shape = {scalar ? 0 : 1, {scalar ? 0 : n}};
    float *data;
    uint32_t tensor;
    NX_TRY(nx_onnx_new_constant(c, &shape, &data, &tensor));
    memcpy(data, values, n * sizeof *data);
    return nx_onnx_set(c, 0, tensor);
}

static enum nx_status set_plain_ints(struct nx_onnx_call *c, bool scalar, const int64_t *values,
                                     uint32_t n)
{
    struct nx_onnx_int items[NX_ONNX_INTS_MAX];
    for (uint32_t i = 0; i < n; i++)
        items[i] = (struct nx_onnx_int){values[i], 0};
    return nx_onnx_set_ints(c, 0, scalar, items, n);
}

enum nx_status nx_onnx_constant(struct nx_onnx_call *c)
{
    struct nx_onnx_bytes tensor = {NULL, 0}, found;
    float floats[NX_ONNX_INTS_MAX];
    int64_t ints[NX_ONNX_INTS_MAX];
    uint32_t n;
    NX_TRY(nx_onnx_attr_tensor(c, "value", &tensor));
    if (tensor.bytes) { /* from here on it is as an initialiser would be */
        if (c->node->outputs[0] != NX_NONE) {
            c->o->values[c->node->outputs[0]].initializer = tensor;
            c->o->values[c->node->outputs[0]].ready = true;
        }
        return NX_OK;
    }
    NX_TRY(nx_onnx_attr_floats(c, "value_floats", floats, NX_ONNX_INTS_MAX, &n));
    if (n)
        return set_floats(c, false, floats, n);
    NX_TRY(nx_onnx_attr_ints(c, "value_ints", ints, NX_ONNX_INTS_MAX, &n));
    if (n || nx_onnx_attr(c, "value_ints", &found))
        return set_plain_ints(c, false, ints, n);
    if (nx_onnx_attr(c, "value_float", &found)) {
        NX_TRY(nx_onnx_attr_float(c, "value_float", floats));
        return set_floats(c, true, floats, 1);
    }
    if (nx_onnx_attr(c, "value_int", &found)) {
        NX_TRY(nx_onnx_attr_int(c, "value_int", ints));
        return set_plain_ints(c, true, ints, 1);
    }
    return nx_onnx_refuse(c, "a constant that is sparse, a text or nothing");
}

/* The one element to fill with, and whether it is an integer; 0.0 without the attribute. */
static enum nx_status read_fill(struct nx_onnx_call *c, float *fill,
                                const struct nx_onnx_ints **as_int)
{
    struct nx_onnx_bytes message = {NULL, 0};
    struct nx_array array;
    const float *values;
    *fill = 0;
    *as_int = NULL;
    NX_TRY(nx_onnx_attr_tensor(c, "value", &message));
    if (!message.bytes)
        return NX_OK;
    NX_TRY(nx_onnx_tensor_read(c->o, c->node->name, message, &array));
    if (array.elements != 1)
        return nx_onnx_wrong(c, "its value is not one number");
    NX_TRY(nx_onnx_tensor_ints(c->o, &array, as_int));
    NX_TRY(nx_array_to_f32(&array, c->o->graph->arena, &values, c->o->err));
    *fill = *values;
    return NX_OK;
}

enum nx_status nx_onnx_constant_of_shape(struct nx_onnx_call *c)
{
    const struct nx_onnx_ints *as_int;
    int64_t dims[NX_RANK_MAX], ints[NX_ONNX_INTS_MAX];
    struct nx_shape shape = {.rank = 0};
    uint64_t elements;
    uint32_t tensor;
    float fill, *data;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(nx_onnx_constant_ints(c, 0, dims, NX_RANK_MAX, &shape.rank));
    NX_TRY(read_fill(c, &fill, &as_int));
    nx_onnx_set_integer(c, as_int ? NX_I64 : NX_F32);
    memcpy(shape.dims, dims, shape.rank * sizeof *dims);
    for (uint32_t i = 0; i < shape.rank; i++)
        if (dims[i] < 1 || dims[i] > NX_DIM_MAX)
            return nx_onnx_wrong(c, "a dimension is out of bounds");
    if (!nx_shape_elements(&shape, &elements) || elements > FILLED_ELEMENTS_MAX)
        return nx_err_set(c->o->err, NX_TOO_LARGE, "onnx: %s '%s' would make more than %u elements",
                          c->node->op, c->node->name, (unsigned)FILLED_ELEMENTS_MAX);
    if (as_int && shape.rank <= 1 && elements <= NX_ONNX_INTS_MAX) {
        for (uint64_t i = 0; i < elements; i++)
            ints[i] = as_int->items[0].base;
        return set_plain_ints(c, shape.rank == 0, ints, (uint32_t)elements);
    }
    NX_TRY(nx_onnx_new_constant(c, &shape, &data, &tensor));
    for (uint64_t i = 0; i < elements; i++)
        data[i] = fill;
    return nx_onnx_set(c, 0, tensor);
}

static enum nx_status cast_to_half(struct nx_onnx_call *c, enum nx_unary rounding)
{
    uint32_t x, y;
    NX_TRY(nx_onnx_data(c, 0, &x));
    if (!nx_onnx_values(c, x)) {
        NX_TRY(nx_onnx_unary(c, rounding, 0, 0, x, &y));
        return nx_onnx_set(c, 0, y);
    }
    NX_TRY(nx_cast_constant(c->o->graph, x, rounding, &y, c->o->err));
    NX_TRY(nx_onnx_note_other(c->o, y, &nx_onnx_tensor(c, y)->shape));
    return nx_onnx_set(c, 0, y);
}

/* All is computed in f32: a cast to f16 or bf16 rounds, one to f32 or f64 does nothing. To an integer it cuts, to a
 * bool it asks. Integers that are known stay what they are. */
static enum nx_status cast_to(struct nx_onnx_call *c, enum nx_dtype to)
{
    const struct nx_onnx_ints *ints;
    uint32_t x, y;
    NX_TRY(nx_onnx_known(c, 0, &ints));
    nx_onnx_set_integer(c, to);
    if (ints && (to == NX_I32 || to == NX_I64))
        return nx_onnx_set_ints(c, 0, ints->scalar, ints->items, ints->n);
    if (nx_cast_rounding(to) != NX_UNARY_NONE)
        return cast_to_half(c, nx_cast_rounding(to));
    if (to == NX_F32 || to == NX_F64)
        return nx_onnx_identity(c, 0);
    NX_TRY(nx_onnx_data(c, 0, &x));
    NX_TRY(nx_onnx_unary(c, to == NX_BOOL ? NX_UNARY_NE : NX_UNARY_TRUNC, 0, 0, x, &y));
    return nx_onnx_set(c, 0, y);
}

static enum nx_status read_cast(const struct nx_onnx_call *c, enum nx_dtype *to)
{
    int64_t code = 0;
    NX_TRY(nx_onnx_attr_int(c, "to", &code));
    if (code < 0 || !nx_onnx_dtype((uint64_t)code, to))
        return nx_onnx_refuse(c, "a cast to such a type");
    return NX_OK;
}

enum nx_status nx_onnx_cast(struct nx_onnx_call *c)
{
    enum nx_dtype to;
    NX_TRY(nx_onnx_arity(c, 1, 1));
    NX_TRY(read_cast(c, &to));
    return cast_to(c, to);
}

/* The type of a weight, of an input of the graph or of what a Cast gave. Of all else that is no integer it is f32: to f16
 * and bf16 alone a Cast rounds. */
static enum nx_status type_of(struct nx_onnx_call *c, uint32_t i, enum nx_dtype *type)
{
    const struct nx_onnx_value *v = &c->o->values[c->node->inputs[i]];
    struct nx_onnx_call writer = {.o = c->o};
    struct nx_array array;
    *type = NX_F32;
    if (v->initializer.bytes) {
        NX_TRY(nx_onnx_tensor_read(c->o, v->name, v->initializer, &array));
        *type = (enum nx_dtype)array.dtype;
        return NX_OK;
    }
    if (v->info.bytes && nx_onnx_info_dtype(v->info, type))
        return NX_OK;
    if (v->writer != NX_NONE)
        writer.node = &c->o->nodes[v->writer];
    if (writer.node && strcmp(writer.node->op, "Cast") == 0)
        return read_cast(&writer, type);
    if (nx_onnx_is_integer(c, i))
        return nx_onnx_refuse(c, "a cast to the integers that an op gives");
    return NX_OK;
}

enum nx_status nx_onnx_cast_like(struct nx_onnx_call *c)
{
    enum nx_dtype to;
    NX_TRY(nx_onnx_arity(c, 2, 2));
    if (!nx_onnx_has(c, 1))
        return nx_onnx_wrong(c, "it has no input 1");
    NX_TRY(type_of(c, 1, &to));
    return cast_to(c, to);
}
