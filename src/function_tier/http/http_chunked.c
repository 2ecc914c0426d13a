#include "function_tier/http/http_chunked.h"

#include "common/nx_assert.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum nx_status take_line(const char *bytes, size_t len, size_t line_max, size_t *line,
                                struct nx_err *err)
{
    size_t seen = len < line_max ? len : line_max;
    const char *lf = memchr(bytes, '\n', seen);
    if (!lf && len >= line_max)
        return nx_err_set(err, NX_CORRUPT, "a line of the chunked body of more than %zu bytes",
                          line_max);
    if (!lf)
        return NX_AGAIN;
    if (lf == bytes || lf[-1] != '\r')
        return nx_err_set(err, NX_CORRUPT, "a line of the chunked body ends without CR");
    *line = (size_t)(lf - bytes) + 1;
    return NX_OK;
}

static enum nx_status read_size(struct nx_http_chunked *c, const char *line, size_t len,
                                struct nx_err *err)
{
    uint64_t size = 0;
    size_t i = 0;
    for (; i < len && hex_value(line[i]) >= 0; i++) {
        if (size >> 56)
            return nx_err_set(err, NX_CORRUPT, "a chunk's size of more than 15 hex digits");
        size = size << 4 | (uint64_t)hex_value(line[i]);
    }
    if (i == 0 || (line[i] != '\r' && line[i] != ';' && line[i] != ' ' && line[i] != '\t'))
        return nx_err_set(err, NX_CORRUPT, "a chunk that does not begin with its size in hex");
    c->chunk_left = size;
    c->state = size ? NX_HTTP_CHUNKED_DATA : NX_HTTP_CHUNKED_TRAILER;
    return NX_OK;
}

static enum nx_status take_trailer(struct nx_http_chunked *c, const char *bytes, size_t len,
                                   size_t *used, struct nx_err *err)
{
    size_t line;
    NX_TRY(take_line(bytes, len, NX_HTTP_TRAILER_BYTES_MAX - c->trailer_bytes, &line, err));
    c->trailer_bytes += (uint32_t)line;
    *used = line;
    if (line == 2)
        c->state = NX_HTTP_CHUNKED_DONE;
    return NX_OK;
}

static enum nx_status take_data_end(struct nx_http_chunked *c, const char *bytes, size_t len,
                                    size_t *used, struct nx_err *err)
{
    if (bytes[0] != '\r' || (len > 1 && bytes[1] != '\n'))
        return nx_err_set(err, NX_CORRUPT, "a chunk is longer than its size says");
    if (len < 2)
        return NX_AGAIN;
    *used = 2;
    c->state = NX_HTTP_CHUNKED_SIZE;
    return NX_OK;
}

enum nx_status nx_http_chunked_take(struct nx_http_chunked *c, const char *bytes, size_t len,
                                    size_t *used, const char **data_at, size_t *data,
                                    struct nx_err *err)
{
    nx_assert(c->state != NX_HTTP_CHUNKED_DONE);
    *used = *data = 0;
    *data_at = bytes;
    if (len == 0)
        return NX_AGAIN;
    if (c->state == NX_HTTP_CHUNKED_SIZE) {
        size_t line;
        NX_TRY(take_line(bytes, len, NX_HTTP_CHUNK_LINE_MAX, &line, err));
        *used = line;
        return read_size(c, bytes, line, err);
    }
    if (c->state == NX_HTTP_CHUNKED_TRAILER)
        return take_trailer(c, bytes, len, used, err);
    if (c->state == NX_HTTP_CHUNKED_DATA_END)
        return take_data_end(c, bytes, len, used, err);
    *used = *data = len < c->chunk_left ? len : (size_t)c->chunk_left;
    c->chunk_left -= *data;
    if (c->chunk_left == 0)
        c->state = NX_HTTP_CHUNKED_DATA_END;
    return NX_OK;
}
