#include "function_tier/pb/pb_v2_contents.h"

#include "common/arena.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

/* X(field, element there). Its elements lie together in memory, little-endian as raw ones do. */
#define FIELDS(X)                        \
    X(bool_contents, protobuf_c_boolean) \
    X(int_contents, int32_t)             \
    X(int64_contents, int64_t)           \
    X(uint_contents, uint32_t)           \
    X(uint64_contents, uint64_t)         \
    X(fp32_contents, float)              \
    X(fp64_contents, double)

enum field {
#define FIELD_ENUM(name, type) FIELD_##name,
    FIELDS(FIELD_ENUM)
#undef FIELD_ENUM
};

static const struct {
    const char *datatype;
    enum field field;
    uint32_t bytes; /* of a raw element */
} kinds[] = {
    {"BOOL", FIELD_bool_contents, 1},     {"INT8", FIELD_int_contents, 1},
    {"INT16", FIELD_int_contents, 2},     {"INT32", FIELD_int_contents, 4},
    {"INT64", FIELD_int64_contents, 8},   {"UINT8", FIELD_uint_contents, 1},
    {"UINT16", FIELD_uint_contents, 2},   {"UINT32", FIELD_uint_contents, 4},
    {"UINT64", FIELD_uint64_contents, 8}, {"FP32", FIELD_fp32_contents, 4},
    {"FP64", FIELD_fp64_contents, 8},
};

static const uint32_t widths[] = {
#define FIELD_WIDTH(name, type) sizeof(type),
    FIELDS(FIELD_WIDTH)
#undef FIELD_WIDTH
};

static int find_kind(const char *datatype)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].datatype, datatype) == 0)
            return (int)i;
    return -1;
}

int nx_pb_v2_contents_kinds(const Inference__InferTensorContents *c)
{
    int n = c->n_bytes_contents > 0;
#define FIELD_COUNT(name, type) n += c->n_##name > 0;
    FIELDS(FIELD_COUNT)
#undef FIELD_COUNT
    return n;
}

static const uint8_t *field_of(const Inference__InferTensorContents *c, enum field field, size_t *n)
{
    switch (field) {
#define FIELD_CASE(name, type) \
    case FIELD_##name: *n = c->n_##name; return (const uint8_t *)c->name;
        FIELDS(FIELD_CASE)
#undef FIELD_CASE
    }
    return NULL;
}

/* The low bytes of each element; false at the first that they do not hold. */
static bool narrow(const uint8_t *from, uint32_t width, bool is_signed, size_t n, uint32_t bytes,
                   uint8_t *to)
{
    for (size_t i = 0; i < n; i++, from += width, to += bytes) {
        uint8_t filler = is_signed && (from[bytes - 1] & 0x80) ? 0xff : 0;
        memcpy(to, from, bytes);
        for (uint32_t k = bytes; k < width; k++)
            if (from[k] != filler)
                return false;
    }
    return true;
}

enum nx_status nx_pb_v2_contents_read(const char *name, const char *datatype,
                                      const Inference__InferTensorContents *c, uint8_t **owned,
                                      struct nx_pb_v2_bytes *data, struct nx_err *err)
{
    int kind = find_kind(datatype), fields = nx_pb_v2_contents_kinds(c);
    size_t n = 0;
    if (fields == 0)
        return NX_OK;
    if (fields > 1)
        return nx_err_set(err, NX_INVALID, "input '%s' has contents of two datatypes", name);
    const uint8_t *from = kind < 0 ? NULL : field_of(c, kinds[kind].field, &n);
    if (n == 0)
        return nx_err_set(err, NX_INVALID, "input '%s' of datatype %s has contents of another",
                          name, datatype);
    uint32_t bytes = kinds[kind].bytes, width = widths[kinds[kind].field];
    *data = (struct nx_pb_v2_bytes){from, n * bytes};
    if (bytes == width)
        return NX_OK;
    *owned = nx_calloc(n, bytes);
    if (!*owned)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for %zu elements", n);
    data->at = *owned;
    if (narrow(from, width, kinds[kind].field == FIELD_int_contents, n, bytes, *owned))
        return NX_OK;
    return nx_err_set(err, NX_INVALID, "input '%s' has a number that is no %s", name, datatype);
}

static enum nx_status split_elements(const struct nx_pb_v2_tensor *t,
                                     Inference__InferTensorContents *c, void **owned)
{
    struct nx_reader r;
    size_t count = 0;
    nx_reader_init(&r, t->data.at, t->data.len);
    for (; !r.bad && nx_reader_left(&r) > 0; count++)
        nx_read_bytes(&r, nx_read_u32(&r));
    ProtobufCBinaryData *elements = nx_calloc(count + 1, sizeof *elements);
    if (!elements)
        return NX_NO_MEMORY;
    *owned = elements;
    nx_reader_init(&r, t->data.at, t->data.len);
    for (size_t i = 0; i < count; i++) {
        elements[i].len = nx_read_u32(&r);
        elements[i].data = (uint8_t *)(uintptr_t)nx_read_bytes(&r, elements[i].len);
        if (r.bad)
            return NX_CORRUPT;
    }
    c->bytes_contents = elements;
    c->n_bytes_contents = count;
    return NX_OK;
}

static void widen(const uint8_t *from, uint32_t bytes, bool is_signed, size_t n, uint32_t width,
                  uint8_t *to)
{
    for (size_t i = 0; i < n; i++, from += bytes, to += width) {
        memset(to, is_signed && (from[bytes - 1] & 0x80) ? 0xff : 0, width);
        memcpy(to, from, bytes);
    }
}

enum nx_status nx_pb_v2_contents_write(const struct nx_pb_v2_tensor *t,
                                       Inference__InferTensorContents *c, void **owned)
{
    int kind = find_kind(t->datatype);
    inference__infer_tensor_contents__init(c);
    if (strcmp(t->datatype, "BYTES") == 0)
        return split_elements(t, c, owned);
    if (kind < 0)
        return NX_INVALID;
    enum field field = kinds[kind].field;
    uint32_t bytes = kinds[kind].bytes;
    size_t n = t->data.len / bytes;
    *owned = nx_calloc(n + 1, widths[field]);
    if (!*owned)
        return NX_NO_MEMORY;
    widen(t->data.at, bytes, field == FIELD_int_contents, n, widths[field], *owned);
    switch (field) {
#define FIELD_SET(name, type) \
    case FIELD_##name:        \
        c->name = *owned;     \
        c->n_##name = n;      \
        break;
        FIELDS(FIELD_SET)
#undef FIELD_SET
    }
    return NX_OK;
}
