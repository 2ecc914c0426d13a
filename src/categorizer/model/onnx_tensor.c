/* TensorProto: into the same struct nx_array as an array of a .params file. */
#include <inttypes.h>
#include <string.h>

#include "categorizer/model/onnx_parts.h"

enum {
    T_DIMS = 1,
    T_TYPE = 2,
    T_SEGMENT = 3,
    T_FLOATS = 4,
    T_INT32S = 5,
    T_INT64S = 7,
    T_RAW = 9,
    T_DOUBLES = 10,
    T_UINT64S = 11,
    T_EXTERNAL = 13,
    T_LOCATION = 14
};

/* TensorProto.DataType by code: our type, and the field that holds it when raw_data does not. */
static const struct {
    bool known;
    uint32_t dtype, field;
} types[] = {
    [1] = {true, NX_F32, T_FLOATS},   [2] = {true, NX_U8, T_INT32S},
    [3] = {true, NX_I8, T_INT32S},    [4] = {true, NX_U16, T_INT32S},
    [5] = {true, NX_I16, T_INT32S},   [6] = {true, NX_I32, T_INT32S},
    [7] = {true, NX_I64, T_INT64S},   [9] = {true, NX_BOOL, T_INT32S},
    [10] = {true, NX_F16, T_INT32S},  [11] = {true, NX_F64, T_DOUBLES},
    [12] = {true, NX_U32, T_UINT64S}, [13] = {true, NX_U64, T_UINT64S},
    [16] = {true, NX_BF16, T_INT32S},
};

bool nx_onnx_dtype(uint64_t code, enum nx_dtype *dtype)
{
    if (code >= sizeof types / sizeof *types || !types[code].known)
        return false;
    *dtype = (enum nx_dtype)types[code].dtype;
    return true;
}

/* Of those in onnx.proto3 that are refused: " (int4)". */
static const char *name_of(uint64_t code)
{
    static const char *const names[] = {
        [8] = " (string)",          [14] = " (complex64)",      [15] = " (complex128)",
        [17] = " (float8e4m3fn)",   [18] = " (float8e4m3fnuz)", [19] = " (float8e5m2)",
        [20] = " (float8e5m2fnuz)", [21] = " (uint4)",          [22] = " (int4)",
        [23] = " (float4e2m1)",
    };
    return code < sizeof names / sizeof *names && names[code] ? names[code] : "";
}

static enum nx_status corrupt(const struct nx_onnx *o, const char *name, const char *what)
{
    return nx_err_set(o->err, NX_CORRUPT, "onnx: the weight '%s' %s", name, what);
}

static enum nx_status add_dim(const struct nx_onnx *o, struct nx_array *a, uint64_t dim)
{
    if (a->shape.rank >= NX_RANK_MAX)
        return nx_err_set(o->err, NX_UNSUPPORTED,
                          "onnx: the weight '%s' has more than %u dimensions", a->name,
                          NX_RANK_MAX);
    if (dim > NX_DIM_MAX)
        return corrupt(o, a->name, "has a dimension that is negative or over 2^31");
    a->shape.dims[a->shape.rank++] = (int64_t)dim;
    return NX_OK;
}

static enum nx_status add_dims(const struct nx_onnx *o, struct nx_array *a,
                               const struct nx_proto_field *f)
{
    if (f->wire == NX_PROTO_VARINT)
        return add_dim(o, a, f->value);
    if (f->wire != NX_PROTO_BYTES)
        return corrupt(o, a->name, "has malformed dimensions");
    struct nx_reader r;
    nx_reader_init(&r, f->bytes, f->len);
    while (!r.bad && nx_reader_left(&r))
        NX_TRY(add_dim(o, a, nx_proto_varint(&r)));
    return r.bad ? corrupt(o, a->name, "has malformed dimensions") : NX_OK;
}

/* Shape and type; *raw is set where there is raw_data. */
static enum nx_status read_head(const struct nx_onnx *o, struct nx_onnx_bytes message,
                                struct nx_array *a, uint32_t *type, struct nx_onnx_bytes *raw)
{
    struct nx_reader r;
    struct nx_proto_field f;
    uint64_t code = 0;
    nx_reader_init(&r, message.bytes, message.len);
    while (nx_proto_next(&r, &f)) {
        if (f.number == T_DIMS)
            NX_TRY(add_dims(o, a, &f));
        if (nx_proto_is_varint(&f, T_TYPE))
            code = f.value;
        if (nx_proto_is_bytes(&f, T_RAW))
            *raw = (struct nx_onnx_bytes){f.bytes, f.len};
        if (f.number == T_EXTERNAL || (nx_proto_is_varint(&f, T_LOCATION) && f.value))
            return nx_err_set(
                o->err, NX_UNSUPPORTED,
                "onnx: the weight '%s' lies in another file (external data); save the "
                "model as one file",
                a->name);
        if (f.number == T_SEGMENT)
            return nx_err_set(o->err, NX_UNSUPPORTED, "onnx: the weight '%s' is in segments",
                              a->name);
    }
    if (r.bad)
        return corrupt(o, a->name, "is malformed or cut off");
    if (code >= sizeof types / sizeof *types || !types[code].known)
        return nx_err_set(o->err, NX_UNSUPPORTED,
                          "onnx: the weight '%s' has data type %" PRIu64
                          "%s, which is not supported",
                          a->name, code, name_of(code));
    *type = (uint32_t)code;
    return NX_OK;
}

/* Values of a typed field, gathered densely as raw_data would have them. */
struct gathering {
    uint8_t *to;
    uint64_t n, wanted;
    uint32_t width;
};

static bool put(struct gathering *g, uint64_t value)
{
    if (g->n >= g->wanted)
        return false;
    for (uint32_t i = 0; i < g->width; i++)
        g->to[g->n * g->width + i] = (uint8_t)(value >> (8 * i));
    g->n++;
    return true;
}

static bool put_packed(struct gathering *g, const struct nx_proto_field *f, bool fixed)
{
    struct nx_reader r;
    nx_reader_init(&r, f->bytes, f->len);
    if (fixed) {
        if (f->len % g->width || f->len / g->width > g->wanted - g->n)
            return false;
        if (f->len)
            memcpy(g->to + g->n * g->width, f->bytes, f->len);
        g->n += f->len / g->width;
        return true;
    }
    while (nx_reader_left(&r) && !r.bad)
        if (!put(g, nx_proto_varint(&r)))
            return false;
    return !r.bad;
}

static enum nx_status gather_typed(const struct nx_onnx *o, struct nx_onnx_bytes message,
                                   uint32_t field, struct nx_array *a)
{
    struct gathering g = {.wanted = a->elements, .width = nx_dtype_bytes(a->dtype)};
    bool fixed = field == T_FLOATS || field == T_DOUBLES, fits = true;
    struct nx_reader r;
    struct nx_proto_field f;
    if (a->elements > message.len) /* each takes a byte at least, so nothing is taken for a lie */
        return corrupt(o, a->name, "has fewer values than its dimensions say");
    g.to = nx_arena_array(o->graph->arena, a->elements, g.width);
    if (!g.to)
        return nx_onnx_no_memory(o);
    nx_reader_init(&r, message.bytes, message.len);
    while (fits && nx_proto_next(&r, &f))
        if (f.number == field)
            fits = f.wire == NX_PROTO_BYTES ? put_packed(&g, &f, fixed) : put(&g, f.value);
    if (!fits || g.n != g.wanted)
        return corrupt(o, a->name, "has another number of values than its dimensions say");
    a->data = g.to;
    return NX_OK;
}

enum nx_status nx_onnx_tensor_read(const struct nx_onnx *o, const char *name,
                                   struct nx_onnx_bytes message, struct nx_array *array)
{
    struct nx_array a = {.name = name};
    struct nx_onnx_bytes raw = {NULL, 0};
    uint32_t type = 0;
    NX_TRY(read_head(o, message, &a, &type, &raw));
    a.dtype = types[type].dtype;
    if (!nx_shape_elements(&a.shape, &a.elements))
        return nx_err_set(o->err, NX_TOO_LARGE,
                          "onnx: the weight '%s' would be over %" PRIu64 " bytes", name,
                          NX_TENSOR_BYTES_MAX);
    if (!raw.bytes) {
        NX_TRY(gather_typed(o, message, types[type].field, &a));
    } else {
        if (raw.len != a.elements * nx_dtype_bytes(a.dtype))
            return nx_err_set(o->err, NX_CORRUPT,
                              "onnx: the weight '%s' has %zu bytes, its dimensions and type say "
                              "%" PRIu64,
                              name, raw.len, a.elements * nx_dtype_bytes(a.dtype));
        a.data = raw.bytes;
    }
    *array = a;
    return NX_OK;
}

static int64_t int_at(const struct nx_array *a, uint64_t i)
{
    uint32_t width = nx_dtype_bytes(a->dtype);
    uint64_t bits = 0;
    for (uint32_t k = 0; k < width; k++)
        bits |= (uint64_t)a->data[i * width + k] << (8 * k);
    switch (a->dtype) {
    case NX_I8: return (int8_t)bits;
    case NX_I16: return (int16_t)bits;
    case NX_I32: return (int32_t)bits;
    default: return (int64_t)bits;
    }
}

bool nx_onnx_dtype_is_integer(enum nx_dtype dtype)
{
    return dtype != NX_F32 && dtype != NX_F64 && dtype != NX_F16 && dtype != NX_BF16;
}

enum nx_status nx_onnx_tensor_ints(const struct nx_onnx *o, const struct nx_array *array,
                                   const struct nx_onnx_ints **ints)
{
    *ints = NULL;
    if (!nx_onnx_dtype_is_integer(array->dtype) || array->shape.rank > 1 ||
        array->elements > NX_ONNX_INTS_MAX)
        return NX_OK;
    struct nx_onnx_ints *own = nx_arena_alloc(o->graph->arena, sizeof *own);
    struct nx_onnx_int *items = nx_arena_array(o->graph->arena, array->elements, sizeof *items);
    if (!own || !items)
        return nx_onnx_no_memory(o);
    for (uint64_t i = 0; i < array->elements; i++)
        items[i].base = int_at(array, i);
    *own = (struct nx_onnx_ints){(uint32_t)array->elements, array->shape.rank == 0, items};
    *ints = own;
    return NX_OK;
}
