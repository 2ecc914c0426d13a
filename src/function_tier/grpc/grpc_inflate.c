#include "function_tier/grpc/grpc_inflate.h"

#define ZLIB_CONST
#include <zlib.h>

enum {
    GZIP_WINDOW_BITS = 15 + 16, /* zlib's way to ask for the gzip wrapper alone */
    ZLIB_WINDOW_BITS = 15,      /* and zlib's own */
    MEMORY_LEVEL = 8,           /* zlib's default */
    STEP_BYTES = 16384,
};

static enum nx_status inflate_step(z_stream *z, size_t bytes_max, struct nx_grpc_buffer *dst,
                                   int *zlib_status)
{
    if (dst->end == dst->cap)
        NX_TRY(nx_grpc_buffer_reserve(dst, STEP_BYTES));
    z->next_out = dst->bytes + dst->end;
    z->avail_out = (uInt)(dst->cap - dst->end);
    uInt room = z->avail_out;
    *zlib_status = inflate(z, Z_NO_FLUSH);
    dst->end += room - z->avail_out;
    if (nx_grpc_buffer_len(dst) > bytes_max)
        return NX_TOO_LARGE;
    if (*zlib_status == Z_MEM_ERROR)
        return NX_NO_MEMORY;
    if (*zlib_status != Z_OK && *zlib_status != Z_STREAM_END)
        return NX_CORRUPT; /* Z_BUF_ERROR too: the input ended within the member */
    return NX_OK;
}

static enum nx_status inflate_all(z_stream *z, size_t bytes_max, struct nx_grpc_buffer *dst)
{
    int zlib_status = Z_OK;
    while (zlib_status != Z_STREAM_END)
        NX_TRY(inflate_step(z, bytes_max, dst, &zlib_status));
    return z->avail_in == 0 ? NX_OK : NX_CORRUPT;
}

static enum nx_status inflate_as(int window_bits, const uint8_t *bytes, size_t len,
                                 size_t bytes_max, struct nx_grpc_buffer *dst)
{
    z_stream z = {0};
    if (inflateInit2(&z, window_bits) != Z_OK)
        return NX_NO_MEMORY;
    z.next_in = bytes;
    z.avail_in = (uInt)len;
    enum nx_status status = inflate_all(&z, bytes_max, dst);
    inflateEnd(&z);
    if (status != NX_OK)
        nx_grpc_buffer_free(dst);
    return status;
}

enum nx_status nx_grpc_inflate(const uint8_t *bytes, size_t len, size_t bytes_max,
                               struct nx_grpc_buffer *dst)
{
    return inflate_as(GZIP_WINDOW_BITS, bytes, len, bytes_max, dst);
}

enum nx_status nx_zlib_inflate(const uint8_t *bytes, size_t len, size_t bytes_max,
                               struct nx_grpc_buffer *dst)
{
    return inflate_as(ZLIB_WINDOW_BITS, bytes, len, bytes_max, dst);
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
