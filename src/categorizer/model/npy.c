#include "categorizer/model/npy.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/codec.h"

enum { MAGIC_BYTES = 6, HEADER_BYTES_MAX = 65536, ALIGN = 64 };
static const uint8_t magic[MAGIC_BYTES + 1] = "\x93NUMPY";

static const char *const descrs[NX_DTYPES] = {
    [NX_F32] = "<f4", [NX_F64] = "<f8", [NX_F16] = "<f2", [NX_U8] = "|u1",
    [NX_I32] = "<i4", [NX_I8] = "|i1",  [NX_I64] = "<i8", [NX_BOOL] = "|b1",
    [NX_I16] = "<i2", [NX_U16] = "<u2", [NX_U32] = "<u4", [NX_U64] = "<u8",
};

static enum nx_status corrupt(struct nx_err *err, const char *what)
{
    return nx_err_set(err, NX_CORRUPT, "npy: %s", what);
}

/* The header is a Python dict in a text that was copied and ends in NUL: where does the value of `key` begin? */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at ? strchr(at, ':') : NULL;
    return at ? at + 1 + strspn(at + 1, " ") : NULL;
}

static enum nx_status read_descr(const char *header, struct nx_npy *npy, struct nx_err *err)
{
    const char *text = value_of(header, "'descr'");
    for (int i = 0; text && i < NX_DTYPES; i++) {
        size_t n = descrs[i] ? strlen(descrs[i]) : 0;
        if (n && text[0] == '\'' && !strncmp(text + 1, descrs[i], n) && text[1 + n] == '\'') {
            npy->dtype = (enum nx_dtype)i;
            return NX_OK;
        }
    }
    return nx_err_set(err, NX_UNSUPPORTED, "npy: numbers of the type %.12s",
                      text ? text : "nothing");
}

static bool read_number(const char **text, int64_t *number)
{
    const char *start = *text;
    int64_t v = 0;
    for (; **text >= '0' && **text <= '9' && v <= NX_DIM_MAX; (*text)++)
        v = 10 * v + (**text - '0');
    *number = v;
    return *text > start && v <= NX_DIM_MAX;
}

/* (2, 3), (2,) or () */
static enum nx_status read_shape(const char *header, struct nx_npy *npy, struct nx_err *err)
{
    const char *text = value_of(header, "'shape'");
    if (!text || *text++ != '(')
        return corrupt(err, "its header has no shape");
    while (*text && *text != ')') {
        if (npy->shape.rank == NX_RANK_MAX)
            return nx_err_set(err, NX_UNSUPPORTED, "npy: more than %u dimensions", NX_RANK_MAX);
        if (!read_number(&text, &npy->shape.dims[npy->shape.rank++]))
            return corrupt(err, "its shape has a dimension that is no number, or over 2^31");
        text += strspn(text, ", ");
    }
    return *text ? NX_OK : corrupt(err, "its shape does not end");
}

static enum nx_status read_header(const char *header, struct nx_npy *npy, struct nx_err *err)
{
    const char *order = value_of(header, "'fortran_order'");
    if (!order)
        return corrupt(err, "its header does not say the order");
    if (strncmp(order, "False", 5) != 0)
        return nx_err_set(err, NX_UNSUPPORTED, "npy: Fortran's order; save a contiguous copy");
    NX_TRY(read_descr(header, npy, err));
    return read_shape(header, npy, err);
}

enum nx_status nx_npy_parse(const void *file, size_t len, struct nx_npy *npy, struct nx_err *err)
{
    struct nx_reader r;
    struct nx_npy own = {.dtype = NX_F32};
    char header[HEADER_BYTES_MAX + 1];
    uint64_t elements;
    nx_reader_init(&r, file, len);
    const uint8_t *start = nx_read_bytes(&r, MAGIC_BYTES);
    if (!start || memcmp(start, magic, MAGIC_BYTES) != 0)
        return corrupt(err, "not a file of NumPy's");
    uint8_t version = nx_read_u8(&r);
    nx_read_u8(&r);
    uint32_t header_len = version == 1 ? nx_read_u16(&r) : nx_read_u32(&r);
    if (r.bad || version < 1 || version > 3 || header_len > HEADER_BYTES_MAX)
        return corrupt(err, "a version or a length of its header that is not known");
    const uint8_t *text = nx_read_bytes(&r, header_len);
    if (!text || memchr(text, '\0', header_len))
        return corrupt(err, "its header is cut off");
    memcpy(header, text, header_len);
    header[header_len] = '\0';
    NX_TRY(read_header(header, &own, err));
    if (!nx_shape_elements(&own.shape, &elements))
        return nx_err_set(err, NX_TOO_LARGE, "npy: over %" PRIu64 " bytes", NX_TENSOR_BYTES_MAX);
    own.bytes = elements * nx_dtype_bytes(own.dtype);
    if (nx_reader_left(&r) != own.bytes)
        return nx_err_set(err, NX_CORRUPT, "npy: %" PRIu64 " bytes of data expected, %zu are there",
                          own.bytes, nx_reader_left(&r));
    own.data = nx_read_bytes(&r, own.bytes);
    *npy = own;
    return NX_OK;
}

static int print_shape(char *text, size_t cap, const struct nx_shape *shape)
{
    size_t at = 0;
    for (uint32_t i = 0; i < shape->rank; i++)
        at += (size_t)snprintf(text + at, cap - at, "%" PRId64 ",%s", shape->dims[i],
                               i + 1 < shape->rank ? " " : "");
    text[at] = '\0';
    return (int)at;
}

enum nx_status nx_npy_write(FILE *out, const struct nx_npy *npy, struct nx_err *err)
{
    char dims[NX_RANK_MAX * 24], header[NX_RANK_MAX * 24 + 128];
    if (!descrs[npy->dtype])
        return nx_err_set(err, NX_UNSUPPORTED, "npy: NumPy has no name for %s",
                          nx_dtype_name(npy->dtype));
    print_shape(dims, sizeof dims, &npy->shape);
    int n =
        snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
                 descrs[npy->dtype], dims);
    int padded = (MAGIC_BYTES + 4 + n + 1 + ALIGN - 1) / ALIGN * ALIGN - MAGIC_BYTES - 4;
    const uint8_t head[] = {1, 0, (uint8_t)(padded & 0xff), (uint8_t)(padded >> 8)};
    fwrite(magic, 1, MAGIC_BYTES, out);
    fwrite(head, 1, sizeof head, out);
    fprintf(out, "%-*s\n", padded - 1, header);
    if (fwrite(npy->data, 1, npy->bytes, out) != npy->bytes || ferror(out))
        return nx_err_set(err, NX_IO, "npy: %s", strerror(errno));
    return NX_OK;
}
