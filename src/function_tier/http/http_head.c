#include "function_tier/http/http_head.h"

#include "common/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct parse {
    const char *at, *end;
    struct nx_http_head *head;
    int *http_status;
    struct nx_err *err;
    bool hosted;
};

__attribute__((format(printf, 3, 4))) static enum nx_status refuse(struct parse *p, int http_status,
                                                                   const char *format, ...)
{
    char text[NX_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    *p->http_status = http_status;
    return nx_err_set(p->err, http_status == 501 ? NX_UNSUPPORTED : NX_INVALID, "%s", text);
}

static bool is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool nx_http_span_is(struct nx_http_span span, const char *lower)
{
    size_t i = 0;
    for (; i < span.len && lower[i]; i++)
        if (to_lower(span.at[i]) != lower[i])
            return false;
    return i == span.len && lower[i] == 0;
}

/* The line without its CRLF; NX_AGAIN if its end has not come. A CR or LF alone is no line end, but a trick. */
static enum nx_status take_line(struct parse *p, struct nx_http_span *line)
{
    const char *lf = memchr(p->at, '\n', (size_t)(p->end - p->at));
    const char *stop = lf ? lf : p->end;
    const char *cr = memchr(p->at, '\r', (size_t)(stop - p->at));
    if (lf && (lf == p->at || lf[-1] != '\r'))
        return refuse(p, 400, "a line of the request's head ends without CR");
    if (cr && cr + 1 < stop)
        return refuse(p, 400, "a CR within a line of the request's head");
    if (!lf)
        return NX_AGAIN;
    *line = (struct nx_http_span){p->at, (size_t)(lf - 1 - p->at)};
    p->at = lf + 1;
    return NX_OK;
}

static enum nx_http_method method_of(struct nx_http_span name)
{
    static const struct {
        const char *name;
        enum nx_http_method method;
    } known[] = {{"get", NX_HTTP_GET}, {"head", NX_HTTP_HEAD},     {"post", NX_HTTP_POST},
                 {"put", NX_HTTP_PUT}, {"delete", NX_HTTP_DELETE}, {"options", NX_HTTP_OPTIONS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool upper = true; /* methods are case-sensitive */
        for (size_t k = 0; k < name.len; k++)
            upper = upper && name.at[k] >= 'A' && name.at[k] <= 'Z';
        if (upper && nx_http_span_is(name, known[i].name))
            return known[i].method;
    }
    return NX_HTTP_OTHER;
}

/* "http://host/path" → "/path": proxies send that form. */
static struct nx_http_span origin_form(struct nx_http_span target)
{
    static const char scheme[] = "http://";
    size_t skip = sizeof scheme - 1;
    if (target.len <= skip || memcmp(target.at, scheme, skip) != 0)
        return target;
    const char *slash = memchr(target.at + skip, '/', target.len - skip);
    if (!slash)
        return (struct nx_http_span){"/", 1};
    return (struct nx_http_span){slash, target.len - (size_t)(slash - target.at)};
}

static enum nx_status check_target(struct parse *p, struct nx_http_span target)
{
    if (target.len > NX_HTTP_TARGET_BYTES_MAX)
        return refuse(p, 414, "a request target of %zu bytes, the limit is %d", target.len,
                      NX_HTTP_TARGET_BYTES_MAX);
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] > '~')
            return refuse(p, 400, "byte %zu of the request target is not printable ASCII", i);
    struct nx_http_span origin = origin_form(target);
    bool star = origin.len == 1 && origin.at[0] == '*' && p->head->method == NX_HTTP_OPTIONS;
    if (!star && (origin.len == 0 || origin.at[0] != '/'))
        return refuse(p, 400, "a request target that is no path: it must begin with /");
    p->head->target = origin;
    return NX_OK;
}

static enum nx_status read_version(struct parse *p, struct nx_http_span version)
{
    if (version.len != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
        return refuse(p, 400, "a request line that does not end in an HTTP version");
    if (version.at[5] != '1' || version.at[7] < '0' || version.at[7] > '9')
        return refuse(p, 505, "HTTP version %.3s is not supported, 1.0 and 1.1 are",
                      version.at + 5);
    p->head->minor_0 = version.at[7] == '0';
    p->head->keep_alive = !p->head->minor_0;
    return NX_OK;
}

static enum nx_status read_request_line(struct parse *p, struct nx_http_span line)
{
    const char *end = line.at + line.len;
    const char *space = memchr(line.at, ' ', line.len);
    const char *last = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;
    if (!space || !last || space == line.at)
        return refuse(p, 400, "a request line that is not \"METHOD /path HTTP/1.1\"");
    struct nx_http_span method = {line.at, (size_t)(space - line.at)};
    for (size_t i = 0; i < method.len; i++)
        if (!is_token_byte(method.at[i]))
            return refuse(p, 400, "byte %zu of the request's method is no letter", i);
    p->head->method = method_of(method);
    NX_TRY(read_version(p, (struct nx_http_span){last + 1, (size_t)(end - last - 1)}));
    return check_target(p, (struct nx_http_span){space + 1, (size_t)(last - space - 1)});
}

static enum nx_status read_length(struct parse *p, struct nx_http_span value)
{
    uint64_t length = 0;
    if (p->head->has_length)
        return refuse(p, 400, "Content-Length is given twice");
    if (value.len == 0 || value.len > 18)
        return refuse(p, 400, "Content-Length is not a number of at most 18 digits");
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return refuse(p, 400, "Content-Length is not a number");
        length = length * 10 + (uint64_t)(value.at[i] - '0');
    }
    p->head->has_length = true;
    p->head->content_length = length;
    return NX_OK;
}

static enum nx_status read_transfer_encoding(struct parse *p, struct nx_http_span value)
{
    if (p->head->chunked)
        return refuse(p, 400, "Transfer-Encoding is given twice");
    if (!nx_http_span_is(value, "chunked"))
        return refuse(p, 501, "Transfer-Encoding is supported as \"chunked\" only");
    if (p->head->minor_0)
        return refuse(p, 400, "Transfer-Encoding in an HTTP/1.0 request");
    p->head->chunked = true;
    return NX_OK;
}

static void read_connection(struct nx_http_head *head, struct nx_http_span value)
{
    while (value.len > 0) {
        const char *comma = memchr(value.at, ',', value.len);
        size_t len = comma ? (size_t)(comma - value.at) : value.len, next = comma ? len + 1 : len;
        struct nx_http_span token = {value.at, len};
        while (token.len && (token.at[0] == ' ' || token.at[0] == '\t'))
            token.at++, token.len--;
        while (token.len && (token.at[token.len - 1] == ' ' || token.at[token.len - 1] == '\t'))
            token.len--;
        if (nx_http_span_is(token, "close"))
            head->keep_alive = false;
        else if (nx_http_span_is(token, "keep-alive") && head->minor_0)
            head->keep_alive = true;
        value.at += next;
        value.len -= next;
    }
}

static enum nx_status read_known_field(struct parse *p, const struct nx_http_field *field)
{
    if (nx_http_span_is(field->name, "content-length"))
        return read_length(p, field->value);
    if (nx_http_span_is(field->name, "transfer-encoding"))
        return read_transfer_encoding(p, field->value);
    if (nx_http_span_is(field->name, "connection")) {
        read_connection(p->head, field->value);
    } else if (nx_http_span_is(field->name, "expect")) {
        if (!nx_http_span_is(field->value, "100-continue"))
            return refuse(p, 417, "Expect is supported as \"100-continue\" only");
        p->head->expects_continue = !p->head->minor_0;
    } else if (nx_http_span_is(field->name, "host")) {
        if (p->hosted)
            return refuse(p, 400, "Host is given twice");
        p->hosted = true;
    }
    return NX_OK;
}

static enum nx_status read_field(struct parse *p, struct nx_http_span line)
{
    struct nx_http_head *head = p->head;
    const char *colon = memchr(line.at, ':', line.len), *end = line.at + line.len;
    if (head->fields_count == NX_HTTP_FIELDS_MAX)
        return refuse(p, 431, "more than %d header fields", NX_HTTP_FIELDS_MAX);
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return refuse(p, 400, "a header field that is continued on the next line");
    if (!colon || colon == line.at)
        return refuse(p, 400, "header field %u is not \"name: value\"", head->fields_count + 1);
    struct nx_http_field *field = &head->fields[head->fields_count];
    field->name = (struct nx_http_span){line.at, (size_t)(colon - line.at)};
    for (size_t i = 0; i < field->name.len; i++)
        if (!is_token_byte(field->name.at[i]))
            return refuse(p, 400, "the name of header field %u has a byte that is not allowed",
                          head->fields_count + 1);
    const char *at = colon + 1;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    field->value = (struct nx_http_span){at, (size_t)(end - at)};
    for (size_t i = 0; i < field->value.len; i++)
        if ((unsigned char)at[i] < ' ' ? at[i] != '\t' : at[i] == 0x7f)
            return refuse(p, 400, "the value of header field %u has a control byte",
                          head->fields_count + 1);
    head->fields_count++;
    return read_known_field(p, field);
}

static enum nx_status check_whole(struct parse *p)
{
    if (p->head->chunked && p->head->has_length)
        return refuse(p, 400, "both Content-Length and Transfer-Encoding");
    if (!p->hosted && !p->head->minor_0)
        return refuse(p, 400, "an HTTP/1.1 request without Host");
    return NX_OK;
}

static enum nx_status parse_lines(struct parse *p)
{
    struct nx_http_span line;
    if (p->at < p->end && *p->at != '\r' && !is_token_byte(*p->at)) /* a TLS client, for one */
        return refuse(p, 400, "byte 0 of the request begins no method");
    NX_TRY(take_line(p, &line));
    if (line.len == 0) /* an empty line before the request, as RFC 9112 2.2 allows */
        NX_TRY(take_line(p, &line));
    NX_TRY(read_request_line(p, line));
    for (;;) {
        NX_TRY(take_line(p, &line));
        if (line.len == 0)
            return check_whole(p);
        NX_TRY(read_field(p, line));
    }
}

enum nx_status nx_http_head_parse(const char *bytes, size_t len, struct nx_http_head *head,
                                  size_t *used, int *http_status, struct nx_err *err)
{
    size_t seen = len < NX_HTTP_HEAD_BYTES_MAX ? len : NX_HTTP_HEAD_BYTES_MAX;
    struct parse p = {bytes, bytes + seen, head, http_status, err, false};
    head->method = NX_HTTP_OTHER;
    head->target = (struct nx_http_span){"", 0};
    head->minor_0 = head->keep_alive = head->expects_continue = head->chunked = false;
    head->has_length = false;
    head->content_length = 0;
    head->fields_count = 0;
    enum nx_status status = parse_lines(&p);
    if (status == NX_AGAIN && len >= NX_HTTP_HEAD_BYTES_MAX)
        return refuse(&p, 431, "a request head of more than %d bytes", NX_HTTP_HEAD_BYTES_MAX);
    if (status == NX_OK)
        *used = (size_t)(p.at - bytes);
    return status;
}

struct nx_http_span nx_http_head_field(const struct nx_http_head *head, const char *name)
{
    for (uint32_t i = 0; i < head->fields_count; i++)
        if (nx_http_span_is(head->fields[i].name, name))
            return head->fields[i].value;
    return (struct nx_http_span){NULL, 0};
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool nx_http_decode(struct nx_http_span text, bool form, char *dst, size_t cap)
{
    size_t used = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if ((unsigned char)c < ' ' || c == 0x7f || used + 1 >= cap)
            return false;
        dst[used++] = c;
    }
    dst[used] = 0;
    return nx_utf8_ok(dst, used);
}
