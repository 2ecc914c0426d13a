/* http_exchange.c — one request and its reply: facts, headers, request ids. */
#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/http/http_coding.h"
#include "function_tier/http/http_conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPLY_HEAD_BYTES = 896 + NX_HTTP_EXTRA_HEADER_BYTES, REFUSAL_BYTES = 1024 };

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Content"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Unknown";
}

const char *nx_http_method_name(enum nx_http_method method)
{
    switch (method) {
    case NX_HTTP_GET: return "GET";
    case NX_HTTP_HEAD: return "HEAD";
    case NX_HTTP_POST: return "POST";
    case NX_HTTP_PUT: return "PUT";
    case NX_HTTP_DELETE: return "DELETE";
    case NX_HTTP_OPTIONS: return "OPTIONS";
    case NX_HTTP_OTHER: break;
    }
    return "OTHER";
}

/* --- the request -------------------------------------------------------------------------------- */

/* Two traceparents are none. */
static struct nx_http_span traceparent(const struct nx_http_head *head)
{
    static const char name[] = "traceparent";
    struct nx_http_span found = {NULL, 0};
    for (uint32_t i = 0, seen = 0; i < head->fields_count; i++)
        if (nx_http_span_is(head->fields[i].name, name))
            found = seen++ ? (struct nx_http_span){NULL, 0} : head->fields[i].value;
    return found;
}

static void name_request(struct nx_http *http, struct nx_http_exchange *x)
{
    struct nx_http_span id = nx_http_head_field(&x->head, "x-request-id");
    struct nx_http_span parent = traceparent(&x->head);
    nx_request_name(&http->prng, id.at, id.len, x->ask.id);
    nx_trace_join(&http->prng, parent.at, parent.len,
                  nx_trace_draw(&http->prng, http->service.samples), &x->ask.trace);
}

/* "/v2/models/a%2Fb" → "v2", "models", "a/b". A segment that does not decode makes the path one that nobody has. */
static bool split_path(struct nx_http_ask *ask, char *room, size_t cap)
{
    const char *at = ask->path;
    while (*at == '/' && at[1]) {
        size_t len = strcspn(at + 1, "/");
        if (ask->segments_count == NX_HTTP_SEGMENTS_MAX ||
            !nx_http_decode((struct nx_http_span){at + 1, len}, false, room, cap))
            return false;
        ask->segments[ask->segments_count++] = room;
        cap -= strlen(room) + 1;
        room += strlen(room) + 1;
        at += len + 1;
    }
    return true;
}

/* text: the head's bytes | path NUL | query NUL | segments, each with its NUL */
static bool read_target(struct nx_http_exchange *x, char *room, size_t cap)
{
    struct nx_http_span target = x->head.target;
    const char *mark = memchr(target.at, '?', target.len);
    size_t path = mark ? (size_t)(mark - target.at) : target.len;
    size_t query = mark ? target.len - path - 1 : 0;
    x->ask.path = memcpy(room, target.at, path);
    room[path] = 0;
    room += path + 1;
    x->ask.query = room;
    if (query)
        memcpy(room, mark + 1, query);
    room[query] = 0;
    room += query + 1;
    return split_path(&x->ask, room, cap - path - query - 2);
}

static void count_exchange(struct nx_http_conn *conn, int by)
{
    conn->http->stats.exchanges += (uint32_t)by;
}

struct nx_http_exchange *nx_http_exchange_open(struct nx_http_conn *conn, const char *bytes,
                                               size_t len, nx_ns now)
{
    size_t room = 3 * NX_HTTP_TARGET_BYTES_MAX, used;
    int status;
    struct nx_http_exchange *x = nx_calloc(1, sizeof *x);
    char *text = x ? nx_malloc(len + room) : NULL;
    if (!text) {
        free(x);
        return NULL;
    }
    memcpy(text, bytes, len);
    enum nx_status parsed = nx_http_head_parse(text, len, &x->head, &used, &status, NULL);
    nx_assert(parsed == NX_OK && used == len); /* the same bytes a second time, where they stay */
    x->conn = conn;
    x->text = text;
    x->body_max = x->plain_max = conn->http->limits.body_bytes_max;
    nx_grpc_buffer_init(&x->body, &conn->http->memory);
    x->ask = (struct nx_http_ask){.head = &x->head,
                                  .peer = conn->peer,
                                  .peer_is_here = conn->peer_is_here,
                                  .begun = now,
                                  .deadline = now + conn->http->limits.handling_timeout_ns};
    name_request(conn->http, x);
    if (!read_target(x, text + len, room))
        x->ask.segments_count = NX_HTTP_SEGMENTS_MAX + 1;
    count_exchange(conn, 1);
    return x;
}

void nx_http_exchange_free(struct nx_http_exchange *x)
{
    count_exchange(x->conn, -1);
    nx_http_unpack_end(&x->unpack);
    nx_grpc_buffer_free(&x->body);
    free(x->text);
    free(x);
}

const struct nx_http_ask *nx_http_ask(const struct nx_http_exchange *x)
{
    return &x->ask;
}

void nx_http_set_user(struct nx_http_exchange *x, void *user)
{
    x->user = user;
}

void *nx_http_user(const struct nx_http_exchange *x)
{
    return x->user;
}

void nx_http_take_body(struct nx_http_exchange *x, struct nx_grpc_buffer *body)
{
    *body = x->body;
    nx_grpc_buffer_init(&x->body, &x->conn->http->memory);
}

void nx_http_set_about(struct nx_http_exchange *x, const char *about)
{
    snprintf(x->ask.about, sizeof x->ask.about, "%s", about);
}

void nx_http_set_route(struct nx_http_exchange *x, const char *route)
{
    x->ask.route = route;
}

void nx_http_name_caller(struct nx_http_exchange *x, const char *name)
{
    snprintf(x->ask.caller, sizeof x->ask.caller, "%s", name);
}

void nx_http_set_body_max(struct nx_http_exchange *x, uint64_t bytes)
{
    if (bytes < x->body_max)
        x->body_max = bytes;
    nx_http_set_plain_max(x, bytes);
}

void nx_http_set_plain_max(struct nx_http_exchange *x, uint64_t bytes)
{
    if (bytes < x->plain_max)
        x->plain_max = bytes;
}

enum nx_status nx_http_form_value(struct nx_http_span form, const char *name, char *dst, size_t cap,
                                  struct nx_err *err)
{
    size_t wanted = strlen(name);
    for (size_t i = 0; i < form.len;) {
        const char *at = form.at + i;
        const char *amp = memchr(at, '&', form.len - i);
        size_t len = amp ? (size_t)(amp - at) : form.len - i;
        i += len + 1;
        if (len < wanted || memcmp(at, name, wanted) != 0 || (len > wanted && at[wanted] != '='))
            continue;
        size_t skip = len > wanted ? wanted + 1 : wanted;
        if (!nx_http_decode((struct nx_http_span){at + skip, len - skip}, true, dst, cap))
            return nx_err_set(err, NX_INVALID,
                              "Parameter %s is malformed, or longer than %zu bytes.", name,
                              cap - 1);
        return NX_OK;
    }
    return NX_NOT_FOUND;
}

enum nx_status nx_http_query(const struct nx_http_ask *ask, const char *name, char *dst, size_t cap,
                             struct nx_err *err)
{
    return nx_http_form_value((struct nx_http_span){ask->query, strlen(ask->query)}, name, dst, cap,
                              err);
}

/* --- the reply ---------------------------------------------------------------------------------- */

void nx_http_header(struct nx_http_exchange *x, const char *name, const char *value)
{
    size_t left = sizeof x->extra - x->extra_bytes;
    int n = snprintf(x->extra + x->extra_bytes, left, "%s: %s\r\n", name, value);
    if (n > 0 && (size_t)n < left)
        x->extra_bytes += (size_t)n;
}

static const char *date_now(struct nx_http *http)
{
    int64_t second = (int64_t)(nx_clock_wall() / NX_SEC);
    if (second != http->date_s) {
        time_t t = (time_t)second;
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(http->date, sizeof http->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        http->date_s = second;
    }
    return http->date;
}

struct reply {
    int status;
    const char *type, *id, *extra;
    const struct nx_trace_ids *trace; /* NULL: there is none */
    size_t extra_bytes;
    const void *body;
    size_t len;
    bool no_body; /* of HEAD: the length alone */
};

static bool write_reply(struct nx_http_conn *conn, const struct reply *r)
{
    char head[REPLY_HEAD_BYTES], trace[NX_TRACEPARENT_BYTES] = "";
    if (r->trace)
        nx_trace_text(r->trace, trace);
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nx-request-id: %s\r\n%s%s%s"
                     "Cache-Control: no-cache, no-store, must-revalidate, private\r\n"
                     "Pragma: no-cache\r\nExpires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                     "Content-Type: %s\r\nContent-Length: %zu\r\nConnection: %s\r\n%.*s\r\n",
                     r->status, reason_of(r->status), date_now(conn->http), r->id,
                     r->trace ? "traceresponse: " : "", trace, r->trace ? "\r\n" : "", r->type,
                     r->len, conn->close_after ? "close" : "keep-alive", (int)r->extra_bytes,
                     r->extra ? r->extra : "");
    nx_assert(n > 0 && (size_t)n < sizeof head);
    size_t body = r->no_body ? 0 : r->len;
    if (nx_grpc_buffer_reserve(&conn->out, (size_t)n + body) != NX_OK ||
        nx_grpc_buffer_append(&conn->out, head, (size_t)n) != NX_OK)
        return false;
    return body == 0 || nx_grpc_buffer_append(&conn->out, r->body, body) == NX_OK;
}

static void end_exchange(struct nx_http_conn *conn, int status, uint64_t bytes)
{
    struct nx_http_exchange *x = conn->x;
    if (conn->http->service.on_reply)
        conn->http->service.on_reply(conn->http->service.ctx, &x->ask, status, bytes,
                                     conn->http->now);
    nx_http_exchange_free(x);
    conn->x = NULL;
    conn->told = false;
}

void nx_http_reply(struct nx_http_exchange *x, int status, const char *content_type,
                   const void *body, size_t len)
{
    static const char no_room[] = "no room for the reply\n";
    struct nx_http_conn *conn = x->conn;
    nx_assert(conn->x == x && conn->told && nx_http_conn_serves(conn));
    if (conn->state == NX_HTTP_AWAIT_BODY || !x->head.keep_alive || conn->http->announced)
        conn->close_after = true;
    struct reply r = {.status = status,
                      .type = content_type,
                      .id = x->ask.id,
                      .trace = &x->ask.trace,
                      .extra = x->extra,
                      .extra_bytes = x->extra_bytes,
                      .body = body,
                      .len = len,
                      .no_body = x->head.method == NX_HTTP_HEAD};
    nx_http_unpack_end(&x->unpack);
    nx_grpc_buffer_free(&x->body); /* its room may be what the reply needs */
    struct nx_grpc_buffer packed;
    nx_grpc_buffer_init(&packed, &conn->http->memory);
    if (nx_http_pack(&x->head, content_type, body, len, &packed)) {
        nx_http_header(x, "Content-Encoding", "gzip");
        nx_http_header(x, "Vary", "Accept-Encoding");
        r.extra_bytes = x->extra_bytes;
        r.body = nx_grpc_buffer_span(&packed);
        r.len = nx_grpc_buffer_len(&packed);
    }
    if (len > conn->http->limits.reply_bytes_max || !write_reply(conn, &r)) {
        conn->close_after = true;
        r.status = status = 500;
        r.extra_bytes = 0;
        r.type = "text/plain";
        r.body = no_room;
        r.len = sizeof no_room - 1;
        if (!write_reply(conn, &r))
            nx_http_conn_drop(conn);
    }
    nx_grpc_buffer_free(&packed);
    end_exchange(conn, status, r.no_body ? 0 : r.len);
    nx_http_conn_enter(conn, NX_HTTP_AWAIT_FLUSH);
    nx_http_conn_wake(conn);
}

void nx_http_conn_refuse(struct nx_http_conn *conn, int status, const char *text)
{
    struct nx_http *http = conn->http;
    char body[REFUSAL_BYTES], id[NX_REQUEST_NAME_BYTES];
    struct nx_http_exchange *x = conn->x;
    const char *type = http->service.refusal(http->service.ctx, x ? x->ask.path : "", status, text,
                                             body, sizeof body);
    nx_request_name(&http->prng, NULL, 0, id);
    conn->close_after = true;
    struct reply r = {.status = status,
                      .type = type,
                      .id = x ? x->ask.id : id,
                      .trace = x ? &x->ask.trace : NULL,
                      .body = body,
                      .len = strlen(body),
                      .no_body = x && x->head.method == NX_HTTP_HEAD};
    bool written = write_reply(conn, &r);
    if (x) {
        if (conn->told)
            http->service.on_cancel(http->service.ctx, x);
        conn->told = false;
        end_exchange(conn, status, r.no_body ? 0 : r.len);
    }
    if (!written)
        nx_http_conn_drop(conn);
    nx_http_conn_enter(conn, NX_HTTP_AWAIT_FLUSH);
    nx_http_conn_wake(conn);
}
