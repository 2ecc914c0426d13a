/* http_multipart.h — a multipart/form-data body that is here as a whole: its parts, in place. Pure.
 *
 *     --b CRLF Content-Disposition: form-data; name="data"; filename="kitten.jpg" CRLF
 *     Content-Type: image/jpeg CRLF CRLF …bytes… CRLF --b--
 *
 * Source  RFC 7578, RFC 2046. Bounds  NX_HTTP_PART_HEAD_MAX for a part's head; the caller counts parts. */
#ifndef NX_FUNCTION_TIER_HTTP_MULTIPART_H
#define NX_FUNCTION_TIER_HTTP_MULTIPART_H

#include "function_tier/http/http_head.h"

enum { NX_HTTP_BOUNDARY_MAX = 70, NX_HTTP_PART_HEAD_MAX = 4096, NX_HTTP_PART_NAME_BYTES = 128 };

struct nx_http_multipart {
    char delimiter[NX_HTTP_BOUNDARY_MAX + 5]; /* CRLF -- boundary */
    size_t delimiter_bytes;
    const uint8_t *at, *end;
    bool begun;
};

struct nx_http_part {
    char name[NX_HTTP_PART_NAME_BYTES];
    struct nx_http_span content_type; /* at NULL: not given */
    const uint8_t *bytes;
    size_t len;
};

/* `content_type` is the request's; NX_INVALID unless it is multipart/form-data with a legal boundary. */
enum nx_status nx_http_multipart_init(struct nx_http_multipart *m, struct nx_http_span content_type,
                                      const uint8_t *body, size_t len, struct nx_err *err);

/* The next part; NX_NOT_FOUND after the last one, NX_CORRUPT with a sentence. */
enum nx_status nx_http_multipart_next(struct nx_http_multipart *m, struct nx_http_part *part,
                                      struct nx_err *err);

/* The value of a parameter of a field such as `form-data; name="data"`, unquoted; false if it has none or no room. */
bool nx_http_parameter(struct nx_http_span field, const char *name, char *dst, size_t cap);

/* The media type itself, without parameters: "multipart/form-data". */
struct nx_http_span nx_http_media_type(struct nx_http_span field);

#endif
