#include "categorizer/model/params.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/dtype.h"
#include "categorizer/model/npz.h"
#include "common/codec.h"

#define LIST_MAGIC 0x112u
#define MAGIC_V1   0xF993FAC8u
#define MAGIC_V2   0xF993FAC9u
#define MAGIC_V3   0xF993FACAu

enum { FILE_RANK_MAX = 8, STORAGE_DENSE = 0, STORAGE_UNDEFINED = -1 };

struct parsing {
    struct nx_reader reader;
    struct nx_arena *arena;
    struct nx_err *err;
    uint64_t at; /* which array, for sentences */
};

static enum nx_status corrupt(struct parsing *p, const char *what)
{
    return nx_err_set(p->err, NX_CORRUPT, "params: array %" PRIu64 " %s", p->at, what);
}

static enum nx_status cut_off(struct parsing *p)
{
    return corrupt(p, "is cut off: the file ends in it");
}

/* V0 has u32 dimensions, the others i64. */
static enum nx_status read_dims(struct parsing *p, uint32_t rank, bool narrow,
                                struct nx_array *array)
{
    if (rank > FILE_RANK_MAX)
        return nx_err_set(p->err, NX_CORRUPT,
                          "params: array %" PRIu64 " has %" PRIu32
                          " dimensions or an unknown version, 0 to %d are possible",
                          p->at, rank, FILE_RANK_MAX);
    if (rank > NX_RANK_MAX)
        return nx_err_set(p->err, NX_UNSUPPORTED,
                          "params: array %" PRIu64 " has %" PRIu32 " dimensions, at most %u are "
                          "supported",
                          p->at, rank, NX_RANK_MAX);
    array->shape = (struct nx_shape){.rank = rank};
    for (uint32_t i = 0; i < rank; i++) {
        uint64_t dim = narrow ? nx_read_u32(&p->reader) : nx_read_u64(&p->reader);
        if (dim > NX_DIM_MAX)
            return corrupt(p, "has a dimension that is negative or over 2^31");
        array->shape.dims[i] = (int64_t)dim;
    }
    return p->reader.bad ? cut_off(p) : NX_OK;
}

static enum nx_status read_data(struct parsing *p, struct nx_array *array)
{
    nx_read_u32(&p->reader); /* device type: files saved on a GPU say so, and it does not matter */
    nx_read_u32(&p->reader); /* device id */
    array->dtype = nx_read_u32(&p->reader);
    if (p->reader.bad)
        return cut_off(p);
    if (array->dtype >= NX_DTYPES)
        return nx_err_set(p->err, NX_CORRUPT,
                          "params: array %" PRIu64 " has dtype %" PRIu32 ", 0 to %d are known",
                          p->at, array->dtype, NX_DTYPES - 1);
    if (!nx_shape_elements(&array->shape, &array->elements))
        return nx_err_set(p->err, NX_TOO_LARGE,
                          "params: array %" PRIu64 " would be over %" PRIu64 " bytes", p->at,
                          NX_TENSOR_BYTES_MAX);
    array->data = nx_read_bytes(&p->reader, array->elements * nx_dtype_bytes(array->dtype));
    return array->data ? NX_OK : cut_off(p);
}

/* V2 and V3: storage type, shape, and the end for an array that holds nothing. */
static enum nx_status read_modern(struct parsing *p, bool numpy, struct nx_array *array)
{
    int32_t storage = (int32_t)nx_read_u32(&p->reader);
    if (p->reader.bad)
        return cut_off(p);
    if (storage != STORAGE_DENSE && storage != STORAGE_UNDEFINED)
        return nx_err_set(p->err, storage == 1 || storage == 2 ? NX_UNSUPPORTED : NX_CORRUPT,
                          "params: array %" PRIu64 " has storage type %" PRId32
                          ", only dense arrays are supported",
                          p->at, storage);
    uint32_t rank = nx_read_u32(&p->reader);
    if (p->reader.bad)
        return cut_off(p);
    if ((numpy && rank == UINT32_MAX) || (!numpy && rank == 0))
        return NX_OK;
    NX_TRY(read_dims(p, rank, false, array));
    return read_data(p, array);
}

static enum nx_status read_array(struct parsing *p, struct nx_array *array)
{
    uint32_t version = nx_read_u32(&p->reader);
    if (p->reader.bad)
        return cut_off(p);
    if (version == MAGIC_V2 || version == MAGIC_V3)
        return read_modern(p, version == MAGIC_V3, array);
    bool narrow = version != MAGIC_V1;
    uint32_t rank = narrow ? version : nx_read_u32(&p->reader);
    if (p->reader.bad)
        return cut_off(p);
    if (rank == 0)
        return NX_OK;
    NX_TRY(read_dims(p, rank, narrow, array));
    return read_data(p, array);
}

static enum nx_status read_name(struct parsing *p, struct nx_array *array)
{
    uint64_t len = nx_read_u64(&p->reader);
    if (!p->reader.bad && len > NX_ARRAY_NAME_BYTES_MAX)
        return nx_err_set(p->err, NX_CORRUPT,
                          "params: the name of array %" PRIu64 " has %" PRIu64
                          " bytes, at most %u are possible",
                          p->at, len, NX_ARRAY_NAME_BYTES_MAX);
    const char *text = (const char *)nx_read_bytes(&p->reader, len);
    if (!text)
        return corrupt(p, "has a name that is cut off: the file ends in it");
    if (memchr(text, '\0', len))
        return corrupt(p, "has a NUL in its name");
    array->name = nx_arena_strndup(p->arena, text, len);
    if (!array->name)
        return nx_err_set(p->err, NX_NO_MEMORY, "out of memory for the params");
    return NX_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct nx_array *)a)->name, ((const struct nx_array *)b)->name);
}

static enum nx_status read_names(struct parsing *p, struct nx_params *params)
{
    uint64_t names = nx_read_u64(&p->reader);
    if (p->reader.bad)
        return nx_err_set(p->err, NX_CORRUPT, "params: cut off before the names of the arrays");
    if (names != params->n)
        return nx_err_set(p->err, NX_CORRUPT, "params: %" PRIu32 " arrays have %" PRIu64 " names",
                          params->n, names);
    for (p->at = 0; p->at < names; p->at++)
        NX_TRY(read_name(p, &params->arrays[p->at]));
    if (nx_reader_left(&p->reader))
        return nx_err_set(p->err, NX_CORRUPT, "params: %zu bytes follow the last name",
                          nx_reader_left(&p->reader));
    return NX_OK;
}

static enum nx_status sort_by_name(struct nx_params *params, struct nx_err *err)
{
    for (uint32_t i = 0; i < params->n; i++) {
        const char *name = params->arrays[i].name;
        bool kind = strncmp(name, "arg:", 4) == 0 || strncmp(name, "aux:", 4) == 0;
        params->arrays[i].name = kind && name[4] ? name + 4 : name;
    }
    if (params->n)
        qsort(params->arrays, params->n, sizeof *params->arrays, by_name);
    for (uint32_t i = 1; i < params->n; i++)
        if (strcmp(params->arrays[i - 1].name, params->arrays[i].name) == 0)
            return nx_err_set(err, NX_CORRUPT, "params: two arrays are named '%s'",
                              params->arrays[i].name);
    return NX_OK;
}

static enum nx_status read_head(struct parsing *p, uint64_t *arrays)
{
    size_t len = nx_reader_left(&p->reader);
    uint64_t magic = nx_read_u64(&p->reader), reserved = nx_read_u64(&p->reader);
    *arrays = nx_read_u64(&p->reader);
    if (p->reader.bad)
        return nx_err_set(p->err, NX_CORRUPT, "params: %zu bytes are too few for a parameter file",
                          len);
    if (magic != LIST_MAGIC)
        return nx_err_set(p->err, NX_CORRUPT,
                          "params: not an MXNet parameter file, it starts with 0x%" PRIx64
                          " instead of 0x112",
                          magic);
    if (reserved != 0)
        return nx_err_set(p->err, NX_CORRUPT,
                          "params: the reserved word at byte 8 is 0x%" PRIx64 " instead of 0",
                          reserved);
    if (*arrays > len / 4)
        return nx_err_set(p->err, NX_CORRUPT, "params: %" PRIu64 " arrays in %zu bytes", *arrays,
                          len);
    if (*arrays > NX_TENSORS_MAX)
        return nx_err_set(p->err, NX_TOO_LARGE,
                          "params: %" PRIu64 " arrays, at most %u are supported", *arrays,
                          NX_TENSORS_MAX);
    return NX_OK;
}

static enum nx_status parse_list(const void *bytes, size_t len, struct nx_arena *arena,
                                 struct nx_params *params, struct nx_err *err)
{
    struct parsing p = {.arena = arena, .err = err};
    uint64_t n;
    nx_reader_init(&p.reader, bytes, len);
    NX_TRY(read_head(&p, &n));
    params->n = (uint32_t)n;
    params->arrays = nx_arena_array(arena, n, sizeof *params->arrays);
    if (!params->arrays)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the params");
    for (p.at = 0; p.at < n; p.at++)
        NX_TRY(read_array(&p, &params->arrays[p.at]));
    return read_names(&p, params);
}

enum nx_status nx_params_parse(const void *bytes, size_t len, struct nx_arena *arena,
                               struct nx_params *params, struct nx_err *err)
{
    struct nx_params own;
    if (len >= 6 && memcmp(bytes, "\x93NUMPY", 6) == 0)
        return nx_err_set(err, NX_UNSUPPORTED,
                          "params: this is one array of NumPy's (npy), its name is not in it");
    if (len >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
        NX_TRY(nx_npz_parse(bytes, len, arena, &own, err));
    else
        NX_TRY(parse_list(bytes, len, arena, &own, err));
    NX_TRY(sort_by_name(&own, err));
    *params = own;
    return NX_OK;
}

static int name_against(const void *key, const void *item)
{
    return strcmp(key, ((const struct nx_array *)item)->name);
}

const struct nx_array *nx_params_find(const struct nx_params *params, const char *name)
{
    if (params->n == 0)
        return NULL;
    return bsearch(name, params->arrays, params->n, sizeof *params->arrays, name_against);
}

static bool host_is_little_endian(void)
{
    uint32_t one = 1;
    uint8_t first;
    memcpy(&first, &one, 1);
    return first == 1;
}

enum nx_status nx_array_to_f32(const struct nx_array *array, struct nx_arena *arena,
                               const float **values, struct nx_err *err)
{
    if (array->dtype == NX_F32 && (uintptr_t)array->data % sizeof(float) == 0 &&
        host_is_little_endian()) {
        *values = (const float *)(const void *)array->data;
        return NX_OK;
    }
    float *own = nx_arena_array(arena, array->elements, sizeof *own);
    if (!own)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the weight '%s'", array->name);
    *values = own;
    if (array->dtype == NX_F32 && host_is_little_endian()) {
        memcpy(own, array->data, array->elements * sizeof *own);
        return NX_OK;
    }
    nx_dtype_to_f32_rounded((enum nx_dtype)array->dtype, array->data, array->elements, own);
    return NX_OK;
}
