#include "categorizer/model/npz.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "categorizer/model/npy.h"
#include "common/codec.h"

#define SIG_LOCAL   0x04034b50u
#define SIG_CENTRAL 0x02014b50u
#define SIG_END     0x06054b50u
#define NO_32       UINT32_MAX /* the number stands in the zip64 field */

enum {
    END_BYTES = 22,
    COMMENT_BYTES_MAX = 65535,
    ZIP64_ID = 1,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1, /* bit of the flags */
};

struct entry {
    const uint8_t *name;
    uint32_t name_len, method, flags, crc;
    uint64_t packed, bytes, offset;
};

struct parsing {
    const uint8_t *file;
    size_t len;
    struct nx_arena *arena;
    struct nx_err *err;
};

static enum nx_status corrupt(const struct parsing *p, const char *what)
{
    return nx_err_set(p->err, NX_CORRUPT, "params: a zip file %s", what);
}

static enum nx_status refuse(const struct parsing *p, const struct entry *e, enum nx_status status,
                             const char *what)
{
    return nx_err_set(p->err, status, "params: the entry '%.*s' of the zip file %s",
                      (int)(e->name_len < 120 ? e->name_len : 120), (const char *)e->name, what);
}

static struct nx_reader reader_at(const struct parsing *p, uint64_t offset)
{
    struct nx_reader r;
    nx_reader_init(&r, p->file, p->len);
    r.bad = offset > p->len;
    r.at += r.bad ? 0 : offset;
    return r;
}

/* The end record is the last thing in the file but for a comment. */
static enum nx_status find_end(const struct parsing *p, uint32_t *entries, uint64_t *directory)
{
    size_t least =
        p->len > END_BYTES + COMMENT_BYTES_MAX ? p->len - END_BYTES - COMMENT_BYTES_MAX : 0;
    for (size_t at = p->len < END_BYTES ? 0 : p->len - END_BYTES + 1; at-- > least;) {
        struct nx_reader r = reader_at(p, at);
        if (nx_read_u32(&r) != SIG_END)
            continue;
        nx_read_u32(&r); /* numbers of disks */
        nx_read_u16(&r);
        *entries = nx_read_u16(&r);
        nx_read_u32(&r); /* the directory's bytes */
        *directory = nx_read_u32(&r);
        if (r.bad)
            continue;
        if (*entries == UINT16_MAX || *directory == NO_32)
            return nx_err_set(p->err, NX_TOO_LARGE,
                              "params: a zip file of 65535 entries or 4 GiB, or more");
        return NX_OK;
    }
    return corrupt(p, "without its end: it is cut off");
}

/* Sizes that do not fit 32 bits stand in an extra field, in this order, those only. */
static bool read_zip64(struct nx_reader extra, struct entry *e)
{
    while (nx_reader_left(&extra) >= 4) {
        uint32_t id = nx_read_u16(&extra), len = nx_read_u16(&extra);
        const uint8_t *bytes = nx_read_bytes(&extra, len);
        if (!bytes || id != ZIP64_ID)
            continue;
        struct nx_reader r;
        nx_reader_init(&r, bytes, len);
        e->bytes = e->bytes == NO_32 ? nx_read_u64(&r) : e->bytes;
        e->packed = e->packed == NO_32 ? nx_read_u64(&r) : e->packed;
        e->offset = e->offset == NO_32 ? nx_read_u64(&r) : e->offset;
        return !r.bad;
    }
    return !extra.bad && e->bytes != NO_32 && e->packed != NO_32 && e->offset != NO_32;
}

static enum nx_status read_entry(const struct parsing *p, struct nx_reader *r, struct entry *e)
{
    uint32_t signature = nx_read_u32(r);
    nx_read_u32(r); /* versions */
    e->flags = nx_read_u16(r);
    e->method = nx_read_u16(r);
    nx_read_u32(r); /* time and date */
    e->crc = nx_read_u32(r);
    e->packed = nx_read_u32(r);
    e->bytes = nx_read_u32(r);
    e->name_len = nx_read_u16(r);
    uint32_t extra_len = nx_read_u16(r), comment_len = nx_read_u16(r);
    nx_read_bytes(r, 8); /* disk and attributes */
    e->offset = nx_read_u32(r);
    e->name = nx_read_bytes(r, e->name_len);
    const uint8_t *extra = nx_read_bytes(r, extra_len);
    nx_read_bytes(r, comment_len);
    if (r->bad || signature != SIG_CENTRAL)
        return corrupt(p, "whose directory is malformed or cut off");
    struct nx_reader fields;
    nx_reader_init(&fields, extra, extra_len);
    bool wide = e->packed == NO_32 || e->bytes == NO_32 || e->offset == NO_32;
    if (wide && !read_zip64(fields, e))
        return refuse(p, e, NX_CORRUPT, "has no sizes");
    return NX_OK;
}

/* Where the entry's bytes begin: behind a second head, whose lengths may differ from the first's. */
static enum nx_status find_packed(const struct parsing *p, const struct entry *e,
                                  const uint8_t **packed)
{
    struct nx_reader r = reader_at(p, e->offset);
    uint32_t signature = nx_read_u32(&r);
    nx_read_bytes(&r, 22);
    uint32_t name_len = nx_read_u16(&r), extra_len = nx_read_u16(&r);
    nx_read_bytes(&r, name_len + extra_len);
    *packed = signature == SIG_LOCAL && e->packed <= SIZE_MAX ? nx_read_bytes(&r, e->packed) : NULL;
    return *packed ? NX_OK : refuse(p, e, NX_CORRUPT, "lies beyond its end");
}

/* zlib counts in 32 bits. */
static uInt piece(uint64_t left)
{
    return left > 1u << 30 ? 1u << 30 : (uInt)left;
}

static int inflate_all(z_stream *z, const struct entry *e, const uint8_t *from, uint8_t *to)
{
    uint64_t in = 0, out = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        union {
            const uint8_t *read;
            Bytef *zlib; /* which does not write there */
        } u = {.read = from + in};
        uInt give = piece(e->packed - in), take = piece(e->bytes - out);
        z->next_in = u.zlib;
        z->avail_in = give;
        z->next_out = to + out;
        z->avail_out = take;
        code = inflate(z, Z_NO_FLUSH);
        in += give - z->avail_in;
        out += take - z->avail_out;
    }
    return code == Z_STREAM_END && out == e->bytes ? Z_OK : Z_DATA_ERROR;
}

static enum nx_status unpack(const struct parsing *p, const struct entry *e, const uint8_t *packed,
                             const uint8_t **bytes)
{
    z_stream z = {0};
    if (e->bytes > NX_TENSOR_BYTES_MAX)
        return refuse(p, e, NX_TOO_LARGE, "is too large");
    uint8_t *to = nx_arena_alloc(p->arena, e->bytes);
    if (!to || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return refuse(p, e, NX_NO_MEMORY, "does not fit in memory");
    int code = inflate_all(&z, e, packed, to);
    inflateEnd(&z);
    *bytes = to;
    return code == Z_OK ? NX_OK : refuse(p, e, NX_CORRUPT, "is not well packed");
}

static uint32_t crc_of(const uint8_t *bytes, uint64_t len)
{
    uLong crc = crc32(0, NULL, 0);
    for (uint64_t at = 0; at < len;) {
        uInt n = piece(len - at);
        crc = crc32(crc, bytes + at, n);
        at += n;
    }
    return (uint32_t)crc;
}

static enum nx_status read_name(const struct parsing *p, const struct entry *e,
                                struct nx_array *array)
{
    uint32_t len = e->name_len;
    const char *text = (const char *)e->name;
    if (len <= 4 || len > NX_ARRAY_NAME_BYTES_MAX || memcmp(text + len - 4, ".npy", 4) != 0)
        return refuse(p, e, NX_UNSUPPORTED, "is not an array (.npy)");
    if (memchr(text, '/', len))
        return refuse(p, e, NX_UNSUPPORTED,
                      "is part of a sparse array: only dense ones are supported");
    if (memchr(text, '\0', len))
        return refuse(p, e, NX_CORRUPT, "has a NUL in its name");
    array->name = nx_arena_strndup(p->arena, text, len - 4);
    return array->name ? NX_OK : refuse(p, e, NX_NO_MEMORY, "does not fit in memory");
}

static enum nx_status read_array(const struct parsing *p, const struct entry *e,
                                 struct nx_array *array)
{
    const uint8_t *packed, *bytes;
    struct nx_npy npy;
    if (e->flags & ENCRYPTED || (e->method != STORED && e->method != DEFLATED))
        return refuse(p, e, NX_UNSUPPORTED, "is encrypted, or compressed by other than deflate");
    NX_TRY(read_name(p, e, array));
    NX_TRY(find_packed(p, e, &packed));
    bytes = packed;
    if (e->method == DEFLATED)
        NX_TRY(unpack(p, e, packed, &bytes));
    else if (e->packed != e->bytes)
        return refuse(p, e, NX_CORRUPT, "has two sizes");
    enum nx_status status = nx_npy_parse(bytes, e->bytes, &npy, p->err);
    if (status != NX_OK) {
        nx_err_prefix(p->err, "params: %s", array->name);
        return status;
    }
    if (crc_of(bytes, e->bytes) != e->crc)
        return refuse(p, e, NX_CORRUPT, "has another checksum than it says");
    array->dtype = npy.dtype;
    array->shape = npy.shape;
    array->data = npy.data;
    array->elements = npy.bytes / nx_dtype_bytes(npy.dtype);
    return NX_OK;
}

enum nx_status nx_npz_parse(const void *bytes, size_t len, struct nx_arena *arena,
                            struct nx_params *params, struct nx_err *err)
{
    const struct parsing p = {bytes, len, arena, err};
    uint64_t directory = 0;
    struct nx_params own = {.n = 0};
    NX_TRY(find_end(&p, &own.n, &directory));
    if (own.n > NX_TENSORS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "params: %u arrays, at most %u are supported", own.n,
                          NX_TENSORS_MAX);
    own.arrays = nx_arena_array(arena, own.n, sizeof *own.arrays);
    if (!own.arrays)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the params");
    struct nx_reader r = reader_at(&p, directory);
    for (uint32_t i = 0; i < own.n; i++) {
        struct entry e = {0};
        NX_TRY(read_entry(&p, &r, &e));
        NX_TRY(read_array(&p, &e, &own.arrays[i]));
    }
    *params = own;
    return NX_OK;
}
