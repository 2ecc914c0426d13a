#include "function_tier/http/http_multipart.h"

#include <string.h>
#include <sys/types.h>

static struct nx_http_span trim(struct nx_http_span s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
        s.at++, s.len--;
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

struct nx_http_span nx_http_media_type(struct nx_http_span field)
{
    const char *semicolon = field.len ? memchr(field.at, ';', field.len) : NULL;
    if (semicolon)
        field.len = (size_t)(semicolon - field.at);
    return trim(field);
}

/* Where the parameter that begins at `at` ends: a semicolon outside quotes, or `end`. */
static const char *parameter_end(const char *at, const char *end)
{
    bool quoted = false;
    for (; at < end && (quoted || *at != ';'); at++) {
        if (*at == '"')
            quoted = !quoted;
        else if (quoted && *at == '\\' && at + 1 < end)
            at++;
    }
    return at;
}

static bool unquote(struct nx_http_span value, char *dst, size_t cap)
{
    size_t used = 0, i = 0;
    bool quoted = value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"';
    if (quoted)
        value.at++, value.len -= 2;
    for (; i < value.len; i++) {
        if (quoted && value.at[i] == '\\' && i + 1 < value.len)
            i++;
        if (used + 1 >= cap || value.at[i] == 0)
            return false;
        dst[used++] = value.at[i];
    }
    dst[used] = 0;
    return true;
}

bool nx_http_parameter(struct nx_http_span field, const char *name, char *dst, size_t cap)
{
    const char *end = field.at + field.len;
    const char *at = field.len ? parameter_end(field.at, end) : end;
    while (at < end) {
        const char *begin = at + 1;
        at = parameter_end(begin, end);
        const char *equals = memchr(begin, '=', (size_t)(at - begin));
        if (!equals)
            continue;
        struct nx_http_span key = trim((struct nx_http_span){begin, (size_t)(equals - begin)});
        if (nx_http_span_is(key, name))
            return unquote(trim((struct nx_http_span){equals + 1, (size_t)(at - equals - 1)}), dst,
                           cap);
    }
    return false;
}

static bool boundary_ok(const char *boundary)
{
    size_t len = strlen(boundary);
    if (len == 0 || boundary[len - 1] == ' ')
        return false;
    for (; *boundary; boundary++)
        if (*boundary < ' ' || *boundary > '~')
            return false;
    return true;
}

enum nx_status nx_http_multipart_init(struct nx_http_multipart *m, struct nx_http_span content_type,
                                      const uint8_t *body, size_t len, struct nx_err *err)
{
    char boundary[NX_HTTP_BOUNDARY_MAX + 1];
    if (!nx_http_span_is(nx_http_media_type(content_type), "multipart/form-data"))
        return nx_err_set(err, NX_INVALID, "the body is no multipart/form-data");
    if (!nx_http_parameter(content_type, "boundary", boundary, sizeof boundary) ||
        !boundary_ok(boundary))
        return nx_err_set(err, NX_INVALID,
                          "multipart/form-data without a boundary of 1 to %d characters",
                          NX_HTTP_BOUNDARY_MAX);
    *m = (struct nx_http_multipart){.at = body, .end = len ? body + len : body};
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, strlen(boundary));
    m->delimiter_bytes = 4 + strlen(boundary);
    return NX_OK;
}

/* The first delimiter may stand at the very start, without its CRLF. */
static enum nx_status skip_preamble(struct nx_http_multipart *m, struct nx_err *err)
{
    size_t bare = m->delimiter_bytes - 2;
    m->begun = true;
    if ((size_t)(m->end - m->at) >= bare && memcmp(m->at, m->delimiter + 2, bare) == 0) {
        m->at += bare;
        return NX_OK;
    }
    const uint8_t *found =
        memmem(m->at, (size_t)(m->end - m->at), m->delimiter, m->delimiter_bytes);
    if (!found)
        return nx_err_set(err, NX_CORRUPT, "a multipart body without its boundary");
    m->at = found + m->delimiter_bytes;
    return NX_OK;
}

/* Behind a delimiter: "--" ends it all, else the line ends. */
static enum nx_status after_delimiter(struct nx_http_multipart *m, struct nx_err *err)
{
    if (m->end - m->at >= 2 && memcmp(m->at, "--", 2) == 0)
        return NX_NOT_FOUND;
    while (m->at < m->end && (*m->at == ' ' || *m->at == '\t'))
        m->at++;
    if (m->end - m->at < 2 || memcmp(m->at, "\r\n", 2) != 0)
        return nx_err_set(err, NX_CORRUPT, "a multipart boundary that its line does not end with");
    m->at += 2;
    return NX_OK;
}

static void read_field(struct nx_http_span line, struct nx_http_part *part, bool *named)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (!colon)
        return;
    struct nx_http_span name = {line.at, (size_t)(colon - line.at)};
    struct nx_http_span value =
        trim((struct nx_http_span){colon + 1, line.len - (size_t)(colon + 1 - line.at)});
    if (nx_http_span_is(name, "content-disposition"))
        *named = nx_http_parameter(value, "name", part->name, sizeof part->name);
    else if (nx_http_span_is(name, "content-type"))
        part->content_type = value;
}

static enum nx_status read_part_head(struct nx_http_multipart *m, struct nx_http_part *part,
                                     struct nx_err *err)
{
    const uint8_t *begin = m->at;
    bool named = false;
    for (;;) {
        size_t left = (size_t)(m->end - m->at);
        const uint8_t *lf = left ? memchr(m->at, '\n', left) : NULL;
        if (!lf || lf - begin >= NX_HTTP_PART_HEAD_MAX || lf == m->at || lf[-1] != '\r')
            return nx_err_set(err, NX_CORRUPT,
                              "a multipart part whose head is malformed or over %d bytes",
                              NX_HTTP_PART_HEAD_MAX);
        struct nx_http_span line = {(const char *)m->at, (size_t)(lf - 1 - m->at)};
        m->at = lf + 1;
        if (line.len == 0)
            break;
        read_field(line, part, &named);
    }
    if (!named)
        return nx_err_set(err, NX_CORRUPT, "a multipart part without a name of 1 to %d bytes",
                          NX_HTTP_PART_NAME_BYTES - 1);
    return NX_OK;
}

enum nx_status nx_http_multipart_next(struct nx_http_multipart *m, struct nx_http_part *part,
                                      struct nx_err *err)
{
    struct nx_http_part found = {0};
    if (!m->begun)
        NX_TRY(skip_preamble(m, err));
    NX_TRY(after_delimiter(m, err));
    NX_TRY(read_part_head(m, &found, err));
    /* An empty part: the CRLF that ends its head is the delimiter's. */
    const uint8_t *from = m->at - 2;
    const uint8_t *next = memmem(from, (size_t)(m->end - from), m->delimiter, m->delimiter_bytes);
    if (!next)
        return nx_err_set(err, NX_CORRUPT, "a multipart part that is not ended by its boundary");
    found.bytes = m->at;
    found.len = next > m->at ? (size_t)(next - m->at) : 0;
    m->at = next + m->delimiter_bytes;
    *part = found;
    return NX_OK;
}
