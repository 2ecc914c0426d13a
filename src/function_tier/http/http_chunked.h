/* http_chunked.h — the chunked transfer coding, undone piece by piece. Pure.
 *
 *     4;ext CRLF wiki CRLF 0 CRLF trailer: x CRLF CRLF  →  "wiki", done
 *
 * Source  RFC 9112, section 7.1. Extensions and trailers are read and dropped, within bounds. */
#ifndef NX_FUNCTION_TIER_HTTP_CHUNKED_H
#define NX_FUNCTION_TIER_HTTP_CHUNKED_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_HTTP_CHUNK_LINE_MAX = 256, NX_HTTP_TRAILER_BYTES_MAX = 4096 };

enum nx_http_chunked_state {
    NX_HTTP_CHUNKED_SIZE, /* a chunk's size line */
    NX_HTTP_CHUNKED_DATA,
    NX_HTTP_CHUNKED_DATA_END, /* the CRLF behind the data */
    NX_HTTP_CHUNKED_TRAILER,
    NX_HTTP_CHUNKED_DONE,
};

struct nx_http_chunked { /* zeroed at the start */
    enum nx_http_chunked_state state;
    uint64_t chunk_left;
    uint32_t trailer_bytes;
};

/* Consumes *used of the bytes. NX_OK: *data of them, at *data_at, are body (0: only framing moved); call again with the
 * rest. NX_AGAIN: more bytes are needed. NX_CORRUPT with a sentence. Not to be called once DONE. */
enum nx_status nx_http_chunked_take(struct nx_http_chunked *chunked, const char *bytes, size_t len,
                                    size_t *used, const char **data_at, size_t *data,
                                    struct nx_err *err);

#endif
