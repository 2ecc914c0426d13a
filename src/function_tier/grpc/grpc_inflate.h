/* grpc_inflate.h — gzip: one message, decompressed under a cap, piece by piece; and one, compressed.
 *
 * The output grows with what actually comes out, never with what the input claims; a claim of more than the cap is refused
 * at once. A few KB become 64 MiB at the price of a tenth of a second: what strangers send is inflated by pieces, one for
 * each turn of the loop. Sole user of zlib in the wire.
 * Thread  the server's */
#ifndef NX_GRPC_INFLATE_H
#define NX_GRPC_INFLATE_H

#include "common/status.h"
#include "function_tier/grpc/grpc_buffer.h"

#include <stddef.h>
#include <stdint.h>

enum nx_inflate_coding {
    NX_INFLATE_GZIP,
    NX_INFLATE_ZLIB
}; /* the latter is what HTTP calls deflate */

enum { NX_INFLATE_PIECE_BYTES = 256 << 10 }; /* about half a millisecond */

/* One message under way, some 40 KB. NX_TOO_LARGE: it says itself that it holds more than bytes_max. len > 0. */
struct nx_inflater;
enum nx_status nx_inflater_open(enum nx_inflate_coding coding, const uint8_t *bytes, size_t len,
                                size_t bytes_max, struct nx_inflater **inflater);
void nx_inflater_close(struct nx_inflater *inflater); /* NULL: nothing */
/* Reads and appends at most `piece` bytes. The message is the same each time; it may have moved. NX_AGAIN: there is more.
 * NX_OK: that was all. NX_TOO_LARGE: over bytes_max, or over dst's budget. NX_CORRUPT: not one whole member. What is in
 * dst then stays there. */
enum nx_status nx_inflater_step(struct nx_inflater *inflater, const uint8_t *bytes, size_t len,
                                size_t piece, struct nx_grpc_buffer *dst);

/* Appends one gzip member, at the library's fastest level, to `dst`, which is empty. NX_TOO_LARGE: over dst's budget. On
 * failure dst is empty. */
enum nx_status nx_grpc_deflate(const uint8_t *bytes, size_t len, struct nx_grpc_buffer *dst);

#endif
