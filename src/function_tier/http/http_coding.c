#include "function_tier/http/http_coding.h"

#include "function_tier/grpc/grpc_inflate.h"

#include <string.h>

enum { PACK_BYTES_MIN = 1024, PACK_BYTES_MAX = 4 << 20 };

enum nx_status nx_http_unpack(const struct nx_http_head *head, uint64_t bytes_max,
                              struct nx_grpc_buffer *body, int *http_status, struct nx_err *err)
{
    struct nx_http_span coding = nx_http_head_field(head, "content-encoding");
    struct nx_grpc_buffer plain;
    size_t len = nx_grpc_buffer_len(body);
    if (len == 0 || coding.len == 0 || nx_http_span_is(coding, "identity"))
        return NX_OK;
    *http_status = 415;
    bool zlib = nx_http_span_is(coding, "deflate");
    if (!zlib && !nx_http_span_is(coding, "gzip") && !nx_http_span_is(coding, "x-gzip"))
        return nx_err_set(err, NX_UNSUPPORTED,
                          "Content-Encoding %.*s is not supported, gzip, deflate and identity are",
                          coding.len < 40 ? (int)coding.len : 40, coding.at);
    nx_grpc_buffer_init(&plain, body->budget);
    enum nx_status status =
        zlib ? nx_zlib_inflate(nx_grpc_buffer_span(body), len, bytes_max, &plain)
             : nx_grpc_inflate(nx_grpc_buffer_span(body), len, bytes_max, &plain);
    if (status == NX_OK) {
        nx_grpc_buffer_free(body);
        *body = plain;
        return NX_OK;
    }
    *http_status = status == NX_CORRUPT ? 400 : status == NX_TOO_LARGE ? 413 : 503;
    if (status == NX_CORRUPT)
        return nx_err_set(err, status, "a body of %zu bytes is not one %s", len,
                          zlib ? "zlib stream" : "gzip member");
    return nx_err_set(err, status,
                      "a body of %zu bytes inflates over max_request_size=%llu, or over what this "
                      "node has room for now",
                      len, (unsigned long long)bytes_max);
}

/* ";q=0", ";q=0.000": never. */
static bool is_refused(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == ';'))
        at++;
    if (end - at < 3 || (at[0] != 'q' && at[0] != 'Q') || at[1] != '=')
        return false;
    for (at += 2; at < end; at++)
        if (*at >= '1' && *at <= '9')
            return false;
    return true;
}

bool nx_http_accepts_gzip(struct nx_http_span accept)
{
    const char *at = accept.at, *end = at ? at + accept.len : at;
    while (at < end) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == ','))
            at++;
        const char *comma = at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
        const char *stop = comma ? comma : end, *word = at;
        while (at < stop && *at != ' ' && *at != '\t' && *at != ';')
            at++;
        struct nx_http_span name = {word, (size_t)(at - word)};
        if (nx_http_span_is(name, "gzip") || nx_http_span_is(name, "x-gzip") ||
            nx_http_span_is(name, "*"))
            return !is_refused(at, stop);
        at = stop;
    }
    return false;
}

static bool is_text(const char *type)
{
    return strncmp(type, "text/", 5) == 0 || strncmp(type, "application/json", 16) == 0;
}

bool nx_http_pack(const struct nx_http_head *head, const char *content_type, const void *body,
                  size_t len, struct nx_grpc_buffer *packed)
{
    return len >= PACK_BYTES_MIN && len <= PACK_BYTES_MAX && is_text(content_type) &&
           nx_http_accepts_gzip(nx_http_head_field(head, "accept-encoding")) &&
           nx_grpc_deflate(body, len, packed) == NX_OK && nx_grpc_buffer_len(packed) < len;
}
