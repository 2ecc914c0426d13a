/* The pure parsers of HTTP/1.1: heads, chunks, multipart bodies, escapes. The first byte chooses. */
#include "common/nx_assert.h"
#include "function_tier/http/http_chunked.h"
#include "function_tier/http/http_multipart.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_span(struct nx_http_span span, const char *from, size_t len)
{
    nx_assert(span.len == 0 || (span.at >= from && span.at + span.len <= from + len));
}

static void try_head(const char *bytes, size_t len)
{
    struct nx_http_head head;
    struct nx_err err = {0};
    size_t used = 0;
    int status = 0;
    enum nx_status parsed = nx_http_head_parse(bytes, len, &head, &used, &status, &err);
    if (parsed == NX_AGAIN) {
        nx_assert(len < NX_HTTP_HEAD_BYTES_MAX);
        return;
    }
    if (parsed != NX_OK) {
        nx_assert(status >= 400 && status < 600 && err.text[0]);
        return;
    }
    nx_assert(used <= len && memcmp(bytes + used - 4, "\r\n\r\n", 4) == 0);
    nx_assert(!(head.chunked && head.has_length) && head.target.len > 0);
    if (head.target.len > 1)
        check_span(head.target, bytes, used); /* "/" may be ours */
    for (uint32_t i = 0; i < head.fields_count; i++)
        check_span(head.fields[i].value, bytes, used);
    nx_assert(nx_http_head_parse(bytes, used - 1, &head, &used, &status, &err) != NX_OK);
}

/* Whole, and byte by byte, give the same body and end. */
static void try_chunked(const char *bytes, size_t len)
{
    size_t totals[2] = {0}, ends[2] = {0};
    for (int pass = 0; pass < 2; pass++) {
        struct nx_http_chunked c = {0};
        struct nx_err err = {0};
        size_t at = 0, seen = pass ? 0 : len;
        while (c.state != NX_HTTP_CHUNKED_DONE) {
            const char *data_at;
            size_t used, data;
            enum nx_status s =
                nx_http_chunked_take(&c, bytes + at, seen - at, &used, &data_at, &data, &err);
            if (s == NX_AGAIN && seen < len) {
                seen++;
                continue;
            }
            if (s != NX_OK)
                break;
            nx_assert(used > 0 && used <= seen - at && data <= used);
            totals[pass] += data;
            at += used;
        }
        ends[pass] = c.state == NX_HTTP_CHUNKED_DONE ? at : 0;
    }
    nx_assert(ends[0] == ends[1] && (ends[0] == 0 || totals[0] == totals[1]));
}

/* A field, a NUL, and the body. */
static void try_multipart(const char *bytes, size_t len)
{
    const char *nul = memchr(bytes, 0, len);
    struct nx_http_multipart m;
    struct nx_http_part part;
    struct nx_err err;
    char value[64];
    if (!nul)
        return;
    size_t field = (size_t)(nul - bytes), body = len - field - 1;
    nx_http_parameter((struct nx_http_span){bytes, field}, "name", value, sizeof value);
    if (nx_http_multipart_init(&m, (struct nx_http_span){bytes, field}, (const uint8_t *)nul + 1,
                               body, &err) != NX_OK)
        return;
    while (nx_http_multipart_next(&m, &part, &err) == NX_OK)
        nx_assert(part.bytes >= (const uint8_t *)nul + 1 &&
                  part.bytes + part.len <= (const uint8_t *)bytes + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char decoded[256];
    if (len == 0)
        return 0;
    const char *rest = (const char *)bytes + 1;
    switch (bytes[0] & 3) {
    case 0: try_head(rest, len - 1); break;
    case 1: try_chunked(rest, len - 1); break;
    case 2: try_multipart(rest, len - 1); break;
    default:
        nx_http_decode((struct nx_http_span){rest, len - 1}, bytes[0] & 4, decoded, sizeof decoded);
    }
    return 0;
}
