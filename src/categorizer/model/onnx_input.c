/* ValueInfoProto of the data: what one photo is. */
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

static enum nx_status refuse(const struct nx_onnx *o, const char *what)
{
    return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: the input '%s' %s", o->values[o->data].name,
                      what);
}

static enum nx_status read_shape(const struct nx_onnx *o, struct nx_shape *shape)
{
    struct nx_onnx_bytes type, tensor, dims;
    struct nx_reader r;
    struct nx_proto_field f;
    *shape = (struct nx_shape){.rank = 0};
    if (!inner(o->values[o->data].info, INFO_TYPE, &type) || !type.bytes ||
        !inner(type, TYPE_TENSOR, &tensor) || !tensor.bytes ||
        !inner(tensor, TENSOR_SHAPE, &dims) || !dims.bytes)
        return refuse(o, "is not a tensor whose number of dimensions is said");
    nx_reader_init(&r, dims.bytes, dims.len);
    while (nx_proto_next(&r, &f)) {
        if (!nx_proto_is_bytes(&f, SHAPE_DIM))
            continue;
        if (shape->rank >= NX_RANK_MAX)
            return refuse(o, "has more than 6 dimensions");
        shape->dims[shape->rank++] = dim_value(&f);
    }
    if (r.bad)
        return nx_err_set(o->err, NX_CORRUPT, "onnx: the type of the input '%s' is malformed",
                          o->values[o->data].name);
    return shape->rank ? NX_OK : refuse(o, "is a scalar");
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
static enum nx_status choose_open_dims(struct nx_onnx *o, struct nx_shape *shape)
{
    const int64_t usual[4] = {0, DEFAULT_CHANNELS,
                              o->hint->height_px ? o->hint->height_px : DEFAULT_SIDE_PX,
                              o->hint->width_px ? o->hint->width_px : DEFAULT_SIDE_PX};
    for (uint32_t i = 1; i < shape->rank; i++) {
        if (shape->dims[i] > NX_DIM_MAX)
            return nx_err_set(o->err, NX_TOO_LARGE,
                              "onnx: the input '%s' has a dimension of %" PRId64,
                              o->values[o->data].name, shape->dims[i]);
        if (shape->dims[i])
            continue;
        if (shape->rank != 4)
            return refuse(o, "leaves open how large it is");
        shape->dims[i] = usual[i];
        o->size_is_free |= i >= 2;
    }
    return NX_OK;
}

enum nx_status nx_onnx_make_input(struct nx_onnx *o)
{
    struct nx_shape shape;
    struct nx_onnx_value *v = &o->values[o->data];
    NX_TRY(read_shape(o, &shape));
    o->channels_last = is_channels_last(&shape);
    if (o->channels_last)
        shape = (struct nx_shape){4, {shape.dims[0], shape.dims[3], shape.dims[1], shape.dims[2]}};
    NX_TRY(choose_open_dims(o, &shape));
    o->declared_batch = shape.dims[0];
    NX_TRY(nx_graph_add_tensor(o->graph, NX_TENSOR_INPUT, v->name, &o->input, o->err));
    o->graph->tensors[o->input].shape = shape;
    v->tensor = o->input;
    v->ready = true;
    return NX_OK;
}
