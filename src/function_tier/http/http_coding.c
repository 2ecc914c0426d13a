#include "function_tier/http/http_coding.h"

#include <string.h>

enum { PACK_BYTES_MIN = 1024, PACK_BYTES_MAX = 4 << 20 };

void nx_http_unpack_end(struct nx_http_unpack *unpack)
{
    nx_inflater_close(unpack->inflater);
    if (unpack->plain.budget)
        nx_grpc_buffer_free(&unpack->plain);
    *unpack = (struct nx_http_unpack){0};
}

static enum nx_status refuse(struct nx_http_unpack *unpack, enum nx_status status, size_t len,
                             int *http_status, struct nx_err *err)
{
    uint64_t bytes_max = unpack->bytes_max;
    nx_http_unpack_end(unpack);
    *http_status = status == NX_CORRUPT ? 400 : status == NX_TOO_LARGE ? 413 : 503;
    if (status == NX_CORRUPT)
        return nx_err_set(err, status,
                          "a body of %zu bytes is not one gzip member, or one zlib stream, as its "
                          "Content-Encoding says",
                          len);
    return nx_err_set(err, status,
                      "a body of %zu bytes inflates over the limit of %llu bytes, or over what "
                      "this node has room for now",
                      len, (unsigned long long)bytes_max);
}

enum nx_status nx_http_unpack_begin(struct nx_http_unpack *unpack, const struct nx_http_head *head,
                                    uint64_t bytes_max, struct nx_grpc_buffer *body,
                                    int *http_status, struct nx_err *err)
{
    struct nx_http_span coding = nx_http_head_field(head, "content-encoding");
    size_t len = nx_grpc_buffer_len(body);
    if (len == 0 || coding.len == 0 || nx_http_span_is(coding, "identity"))
        return NX_OK;
    *http_status = 415;
    bool zlib = nx_http_span_is(coding, "deflate");
    if (!zlib && !nx_http_span_is(coding, "gzip") && !nx_http_span_is(coding, "x-gzip"))
        return nx_err_set(err, NX_UNSUPPORTED,
                          "Content-Encoding %.*s is not supported, gzip, deflate and identity are",
                          coding.len < 40 ? (int)coding.len : 40, coding.at);
    nx_grpc_buffer_init(&unpack->plain, body->budget);
    unpack->bytes_max = bytes_max;
    enum nx_status status =
        nx_inflater_open(zlib ? NX_INFLATE_ZLIB : NX_INFLATE_GZIP, nx_grpc_buffer_span(body), len,
                         bytes_max, &unpack->inflater);
    return status == NX_OK ? NX_AGAIN : refuse(unpack, status, len, http_status, err);
}

enum nx_status nx_http_unpack_step(struct nx_http_unpack *unpack, struct nx_grpc_buffer *body,
                                   int *http_status, struct nx_err *err)
{
    size_t len = nx_grpc_buffer_len(body);
    enum nx_status status = nx_inflater_step(unpack->inflater, nx_grpc_buffer_span(body), len,
                                             NX_INFLATE_PIECE_BYTES, &unpack->plain);
    if (status == NX_AGAIN)
        return status;
    if (status != NX_OK)
        return refuse(unpack, status, len, http_status, err);
    nx_grpc_buffer_free(body);
    *body = unpack->plain;
    nx_grpc_buffer_init(&unpack->plain, body->budget);
    nx_http_unpack_end(unpack);
    return NX_OK;
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

static bool accepts_gzip(struct nx_http_span accept)
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
           accepts_gzip(nx_http_head_field(head, "accept-encoding")) &&
           nx_grpc_deflate(body, len, packed) == NX_OK && nx_grpc_buffer_len(packed) < len;
}
