#include "function_tier/grpc/grpc_inflate.h"

#include "common/arena.h"

#include <stdbool.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

enum {
    GZIP_WINDOW_BITS = 15 + 16, /* zlib's way to ask for the gzip wrapper alone */
    ZLIB_WINDOW_BITS = 15,      /* and zlib's own */
    MEMORY_LEVEL = 8,           /* zlib's default */
    STEP_BYTES = 16384,
    GZIP_BYTES_MIN = 18, /* head and tail */
    GZIP_FIRST_BYTE = 0x1f,
    DEFLATE_RATIO_MAX = 1032, /* nothing holds more */
};

struct nx_inflater {
    z_stream z;
    size_t used; /* of the input */
    size_t bytes_max;
};

/* A gzip member ends with the length of what it holds, modulo 2^32: whoever says that it is too much, and could be right, is
 * believed. */
static bool says_too_much(const uint8_t *bytes, size_t len, size_t bytes_max)
{
    if (len < GZIP_BYTES_MIN || bytes[0] != GZIP_FIRST_BYTE)
        return false;
    const uint8_t *end = bytes + len;
    uint32_t says =
        (uint32_t)end[-1] << 24 | (uint32_t)end[-2] << 16 | (uint32_t)end[-3] << 8 | end[-4];
    return says > bytes_max && says / DEFLATE_RATIO_MAX <= len;
}

enum nx_status nx_inflater_open(enum nx_inflate_coding coding, const uint8_t *bytes, size_t len,
                                size_t bytes_max, struct nx_inflater **opened)
{
    bool gzip = coding == NX_INFLATE_GZIP;
    if (gzip && says_too_much(bytes, len, bytes_max))
        return NX_TOO_LARGE;
    struct nx_inflater *f = nx_calloc(1, sizeof *f);
    if (!f)
        return NX_NO_MEMORY;
    if (inflateInit2(&f->z, gzip ? GZIP_WINDOW_BITS : ZLIB_WINDOW_BITS) != Z_OK) {
        free(f);
        return NX_NO_MEMORY;
    }
    f->bytes_max = bytes_max;
    *opened = f;
    return NX_OK;
}

void nx_inflater_close(struct nx_inflater *f)
{
    if (f)
        inflateEnd(&f->z);
    free(f);
}

/* As much as fits dst's room. Z_BUF_ERROR is no error here: what is missing is input, or room. */
static enum nx_status inflate_into_room(struct nx_inflater *f, struct nx_grpc_buffer *dst,
                                        size_t *piece, int *zlib_status)
{
    if (dst->end == dst->cap)
        NX_TRY(nx_grpc_buffer_reserve(dst, STEP_BYTES));
    size_t room = dst->cap - dst->end < *piece ? dst->cap - dst->end : *piece;
    uInt given = f->z.avail_in;
    f->z.next_out = dst->bytes + dst->end;
    f->z.avail_out = (uInt)room;
    *zlib_status = inflate(&f->z, Z_NO_FLUSH);
    f->used += given - f->z.avail_in;
    dst->end += room - f->z.avail_out;
    *piece -= room - f->z.avail_out;
    if (nx_grpc_buffer_len(dst) > f->bytes_max)
        return NX_TOO_LARGE;
    if (*zlib_status == Z_MEM_ERROR)
        return NX_NO_MEMORY;
    return *zlib_status == Z_OK || *zlib_status == Z_STREAM_END || *zlib_status == Z_BUF_ERROR
               ? NX_OK
               : NX_CORRUPT;
}

enum nx_status nx_inflater_step(struct nx_inflater *f, const uint8_t *bytes, size_t len,
                                size_t piece, struct nx_grpc_buffer *dst)
{
    int zlib_status = Z_OK;
    f->z.next_in = bytes + f->used;
    f->z.avail_in = (uInt)(len - f->used < piece ? len - f->used : piece);
    while (piece > 0) {
        NX_TRY(inflate_into_room(f, dst, &piece, &zlib_status));
        if (zlib_status == Z_STREAM_END)
            return f->used == len ? NX_OK : NX_CORRUPT;
        if (f->z.avail_in == 0 && f->z.avail_out > 0)
            return f->used == len ? NX_CORRUPT : NX_AGAIN; /* it ended within, or in the piece */
    }
    return NX_AGAIN;
}

enum nx_status nx_grpc_deflate(const uint8_t *bytes, size_t len, struct nx_grpc_buffer *dst)
{
    z_stream z = {0};
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return NX_NO_MEMORY;
    size_t bound = deflateBound(&z, len);
    enum nx_status status = nx_grpc_buffer_reserve(dst, bound);
    if (status == NX_OK) {
        z.next_in = bytes;
        z.avail_in = (uInt)len;
        z.next_out = dst->bytes + dst->end;
        z.avail_out = (uInt)bound;
        status = deflate(&z, Z_FINISH) == Z_STREAM_END ? NX_OK : NX_INTERNAL;
        dst->end += z.total_out;
    }
    deflateEnd(&z);
    if (status != NX_OK)
        nx_grpc_buffer_free(dst);
    return status;
}
