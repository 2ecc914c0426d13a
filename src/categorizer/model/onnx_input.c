/* ValueInfoProto of the inputs: what one photo is, and where the batch stands. */
#include <inttypes.h>

#include "categorizer/model/input_size.h"
#include "categorizer/model/onnx_parts.h"

/* ValueInfoProto, TypeProto, TypeProto.Tensor, TensorShapeProto: field numbers of onnx.proto. */
enum {
    INFO_TYPE = 2,
    TYPE_TENSOR = 1,
    TENSOR_ELEMENT = 1,
    TENSOR_SHAPE = 2,
    SHAPE_DIM = 1,
    DIM_VALUE = 1
};

enum { DEFAULT_SIDE_PX = 224, DEFAULT_CHANNELS = 3, SIDE_MIN_PX = 8 };

/* The message in field `number`; bytes NULL if there is none. False: malformed. */
static bool inner(struct nx_onnx_bytes message, uint32_t number, struct nx_onnx_bytes *found)
{
    struct nx_reader r;
    struct nx_proto_field f;
    *found = (struct nx_onnx_bytes){NULL, 0};
    nx_reader_init(&r, message.bytes, message.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_bytes(&f, number))
            *found = (struct nx_onnx_bytes){f.bytes, f.len};
    return !r.bad;
}

/* 0: a name, nothing, or -1, as some writers say "any". */
static int64_t dim_value(const struct nx_proto_field *dim)
{
    struct nx_reader r;
    struct nx_proto_field f;
    int64_t value = 0;
    nx_reader_init(&r, dim->bytes, dim->len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_varint(&f, DIM_VALUE))
            value = (int64_t)f.value;
    return value < 0 ? 0 : value;
}

static const char *name_of(const struct nx_onnx *o, const struct nx_onnx_input *input)
{
    return o->values[input->value].name;
}

static enum nx_status refuse(const struct nx_onnx *o, const struct nx_onnx_input *input,
                             const char *what)
{
    return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: the input '%s' %s", name_of(o, input), what);
}

/* Field TENSOR_ELEMENT: absent it is 0, which no type has. */
static uint64_t element_code(struct nx_onnx_bytes tensor)
{
    struct nx_reader r;
    struct nx_proto_field f;
    uint64_t code = 0;
    nx_reader_init(&r, tensor.bytes, tensor.len);
    while (nx_proto_next(&r, &f))
        if (nx_proto_is_varint(&f, TENSOR_ELEMENT))
            code = f.value;
    return code;
}

bool nx_onnx_info_dtype(struct nx_onnx_bytes info, enum nx_dtype *dtype)
{
    struct nx_onnx_bytes type, tensor;
    return inner(info, INFO_TYPE, &type) && type.bytes && inner(type, TYPE_TENSOR, &tensor) &&
           tensor.bytes && nx_onnx_dtype(element_code(tensor), dtype);
}

static enum nx_status read_type(const struct nx_onnx *o, struct nx_onnx_input *input)
{
    struct nx_shape *shape = &input->shape;
    struct nx_onnx_bytes type, tensor, dims;
    struct nx_reader r;
    struct nx_proto_field f;
    *shape = (struct nx_shape){.rank = 0};
    if (!inner(o->values[input->value].info, INFO_TYPE, &type) || !type.bytes ||
        !inner(type, TYPE_TENSOR, &tensor) || !tensor.bytes ||
        !inner(tensor, TENSOR_SHAPE, &dims) || !dims.bytes)
        return refuse(o, input, "is not a tensor whose number of dimensions is said");
    nx_reader_init(&r, dims.bytes, dims.len);
    while (nx_proto_next(&r, &f)) {
        if (!nx_proto_is_bytes(&f, SHAPE_DIM))
            continue;
        if (shape->rank >= NX_RANK_MAX)
            return refuse(o, input, "has more than 6 dimensions");
        shape->dims[shape->rank++] = dim_value(&f);
    }
    if (r.bad)
        return nx_err_set(o->err, NX_CORRUPT, "onnx: the type of the input '%s' is malformed",
                          name_of(o, input));
    if (!nx_onnx_dtype(element_code(tensor), &input->dtype))
        return refuse(o, input, "does not take numbers of a type that is known");
    return NX_OK;
}

static bool may_be_side(int64_t dim)
{
    return dim == 0 || dim >= SIDE_MIN_PX;
}

/* TensorFlow's tools write (N, H, W, C); a photo with a side of 1 or 3 pixels there is not. */
static bool is_channels_last(const struct nx_shape *s)
{
    return s->rank == 4 && (s->dims[3] == 1 || s->dims[3] == 3) && may_be_side(s->dims[1]) &&
           may_be_side(s->dims[2]);
}

/* What the file leaves open of one photo. */
static enum nx_status choose_open_dims(struct nx_onnx *o, const struct nx_onnx_input *input,
                                       struct nx_shape *shape)
{
    const int64_t usual[4] = {0, DEFAULT_CHANNELS,
                              o->hint->height_px ? o->hint->height_px : DEFAULT_SIDE_PX,
                              o->hint->width_px ? o->hint->width_px : DEFAULT_SIDE_PX};
    for (uint32_t i = input->batched; i < shape->rank; i++) {
        if (shape->dims[i] > NX_DIM_MAX)
            return nx_err_set(o->err, NX_TOO_LARGE,
                              "onnx: the input '%s' has a dimension of %" PRId64, name_of(o, input),
                              shape->dims[i]);
        if (shape->dims[i])
            continue;
        if (shape->rank != 4 || i == 0)
            return refuse(o, input, "has a dimension that is open, 0 or negative");
        shape->dims[i] = usual[i];
        o->size_is_free |= i >= 2;
    }
    return NX_OK;
}

/* The batch is dimension 0 of every input that leaves it open. Where none does, one input has it there, and
 * of several those that agree with the first. */
static void choose_batched(struct nx_onnx *o)
{
    bool open = false;
    const struct nx_shape *first = &o->inputs[0].shape;
    for (uint32_t i = 0; i < o->n_inputs; i++)
        open |= o->inputs[i].shape.rank > 0 && o->inputs[i].shape.dims[0] == 0;
    for (uint32_t i = 0; i < o->n_inputs && !o->unbatched; i++) {
        const struct nx_shape *shape = &o->inputs[i].shape;
        bool same = first->rank > 0 && shape->rank > 0 && shape->dims[0] == first->dims[0];
        o->inputs[i].batched = open ? shape->rank > 0 && shape->dims[0] == 0 : same;
    }
    o->declared_batch = open || o->unbatched ? 0 : first->dims[0];
}

static enum nx_status make_input(struct nx_onnx *o, struct nx_onnx_input *input)
{
    struct nx_shape shape = input->shape;
    struct nx_onnx_value *v = &o->values[input->value];
    input->channels_last = o->n_inputs == 1 && !o->unbatched && is_channels_last(&shape);
    if (input->channels_last)
        shape = (struct nx_shape){4, {shape.dims[0], shape.dims[3], shape.dims[1], shape.dims[2]}};
    NX_TRY(choose_open_dims(o, input, &shape));
    NX_TRY(nx_graph_add_tensor(o->graph, NX_TENSOR_INPUT, v->name, &input->tensor, o->err));
    o->graph->tensors[input->tensor].shape = shape;
    v->tensor = input->tensor;
    v->integer = nx_onnx_dtype_is_integer(input->dtype);
    v->ready = true;
    return NX_OK;
}

enum nx_status nx_onnx_make_inputs(struct nx_onnx *o)
{
    for (uint32_t i = 0; i < o->n_inputs; i++)
        NX_TRY(read_type(o, &o->inputs[i]));
    choose_batched(o);
    for (uint32_t i = 0; i < o->n_inputs; i++)
        NX_TRY(make_input(o, &o->inputs[i]));
    return NX_OK;
}
