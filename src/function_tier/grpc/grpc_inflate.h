/* grpc_inflate.h — gzip: one message, decompressed under a cap; and one, compressed.
 *
 * The output grows with what actually comes out, never with what the input claims; sole user of
 * zlib in the wire. Thread  the server's. */
#ifndef NX_GRPC_INFLATE_H
#define NX_GRPC_INFLATE_H

#include "common/status.h"
#include "function_tier/grpc/grpc_buffer.h"

#include <stddef.h>
#include <stdint.h>

/* Appends to `dst`, which is empty. NX_TOO_LARGE: over bytes_max, or over dst's budget. NX_CORRUPT:
 * not one whole gzip member. On failure dst is empty. */
enum nx_status nx_grpc_inflate(const uint8_t *bytes, size_t len, size_t bytes_max,
                               struct nx_grpc_buffer *dst);

/* The same for a zlib stream, which HTTP calls deflate. */
enum nx_status nx_zlib_inflate(const uint8_t *bytes, size_t len, size_t bytes_max,
                               struct nx_grpc_buffer *dst);

/* Appends one gzip member, at the library's fastest level, to `dst`, which is empty. NX_TOO_LARGE: over dst's budget. On
 * failure dst is empty. */
enum nx_status nx_grpc_deflate(const uint8_t *bytes, size_t len, struct nx_grpc_buffer *dst);

#endif
