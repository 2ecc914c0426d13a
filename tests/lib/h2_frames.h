/* h2_frames.h — HTTP/2 frames written by hand, for tests and fuzz seeds of the wire. */
#ifndef H2_FRAMES_H
#define H2_FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    H2_DATA = 0,
    H2_HEADERS = 1,
    H2_RST = 3,
    H2_SETTINGS = 4,
    H2_PING = 6,
    H2_GOAWAY = 7,
    H2_WINDOW = 8
};
enum { H2_END_STREAM = 1, H2_END_HEADERS = 4 };

struct h2_out {
    uint8_t bytes[65536];
    size_t len;
};

static inline void h2_put(struct h2_out *out, const void *bytes, size_t len)
{
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static inline void h2_frame(struct h2_out *out, uint8_t type, uint8_t flags, uint32_t stream,
                            const void *payload, size_t len)
{
    const uint8_t head[9] = {(uint8_t)(len >> 16),
                             (uint8_t)(len >> 8),
                             (uint8_t)len,
                             type,
                             flags,
                             (uint8_t)(stream >> 24),
                             (uint8_t)(stream >> 16),
                             (uint8_t)(stream >> 8),
                             (uint8_t)stream};
    h2_put(out, head, sizeof head);
    if (len)
        h2_put(out, payload, len);
}

static inline void h2_greet(struct h2_out *out)
{
    h2_put(out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    h2_frame(out, H2_SETTINGS, 0, 0, NULL, 0);
}

/* A literal header without indexing and without Huffman; both shorter than 127 bytes. */
static inline void h2_literal(struct h2_out *block, const char *name, const char *value)
{
    uint8_t n = (uint8_t)strlen(name), v = (uint8_t)strlen(value);
    h2_put(block, "\0", 1);
    h2_put(block, &n, 1);
    h2_put(block, name, n);
    h2_put(block, &v, 1);
    h2_put(block, value, v);
}

static inline void h2_request(struct h2_out *out, uint32_t stream, uint8_t flags, const char *path,
                              const char *extra_name, const char *extra_value)
{
    static struct h2_out block;
    block.len = 0;
    h2_literal(&block, ":method", "POST");
    h2_literal(&block, ":scheme", "http");
    h2_literal(&block, ":path", path);
    h2_literal(&block, ":authority", "x");
    h2_literal(&block, "content-type", "application/grpc");
    h2_literal(&block, "te", "trailers");
    if (extra_name)
        h2_literal(&block, extra_name, extra_value);
    h2_frame(out, H2_HEADERS, (uint8_t)(flags | H2_END_HEADERS), stream, block.bytes, block.len);
}

/* One gRPC message in one DATA frame. */
static inline void h2_message(struct h2_out *out, uint32_t stream, uint8_t flags, const void *bytes,
                              size_t len)
{
    static uint8_t payload[20000];
    const uint8_t prefix[5] = {0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                               (uint8_t)len};
    memcpy(payload, prefix, 5);
    memcpy(payload + 5, bytes, len);
    h2_frame(out, H2_DATA, flags, stream, payload, len + 5);
}

#endif
