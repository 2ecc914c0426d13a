/* http_head.h — the head of an HTTP/1.1 request: bytes in, facts out. Pure.
 *
 *   used == the bytes up to and including the empty line;  NX_AGAIN <=> that line has not come yet
 *
 * Strict where leniency lets two servers disagree about where a request ends: line ends are CRLF, no folded lines, one
 * Host, one Content-Length of digits only, Transfer-Encoding is exactly "chunked" and excludes Content-Length.
 * Spans point into the bytes given, but for the "/" that "http://host" stands for. Nothing is allocated.
 * Source  RFC 9112; RFC 9110 for the names. */
#ifndef NX_FUNCTION_TIER_HTTP_HEAD_H
#define NX_FUNCTION_TIER_HTTP_HEAD_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NX_HTTP_HEAD_BYTES_MAX = 16 << 10,
    NX_HTTP_TARGET_BYTES_MAX = 4 << 10,
    NX_HTTP_FIELDS_MAX = 64,
};

enum nx_http_method {
    NX_HTTP_GET = 1,
    NX_HTTP_HEAD = 2,
    NX_HTTP_POST = 4,
    NX_HTTP_PUT = 8,
    NX_HTTP_DELETE = 16,
    NX_HTTP_OPTIONS = 32,
    NX_HTTP_OTHER = 64,
};

struct nx_http_span {
    const char *at;
    size_t len;
};

struct nx_http_field {
    struct nx_http_span name, value;
};

struct nx_http_head {
    enum nx_http_method method;
    struct nx_http_span target; /* origin form: begins with '/', or is "*" */
    bool minor_0;               /* HTTP/1.0 */
    bool keep_alive, expects_continue, chunked, has_length;
    uint64_t content_length; /* 0 without one */
    uint32_t fields_count;
    struct nx_http_field fields[NX_HTTP_FIELDS_MAX];
};

/* On a refusal *http_status is what the client is told (400, 414, 417, 431, 501, 505), `err` the sentence. */
enum nx_status nx_http_head_parse(const char *bytes, size_t len, struct nx_http_head *head,
                                  size_t *used, int *http_status, struct nx_err *err);

/* The value of the first field of that name (lower case), or an empty span with at == NULL. */
struct nx_http_span nx_http_head_field(const struct nx_http_head *head, const char *name);

/* Equal but for the case of ASCII letters; `lower` is in lower case. */
bool nx_http_span_is(struct nx_http_span span, const char *lower);

/* Percent-decodes `text` to at most cap - 1 bytes and a NUL; '+' becomes a space if `form`. False: a malformed escape, a
 * NUL or control byte, bytes that are not UTF-8, or no room. */
bool nx_http_decode(struct nx_http_span text, bool form, char *dst, size_t cap);

#endif
