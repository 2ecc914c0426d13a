#include "function_tier/http/http_conn.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { BODY_RATE_BYTES_PER_S = 64 << 10, READS_PER_EVENT = 16 };

#define LINGER_NS (2 * NX_SEC) /* for what a refused client still sends */

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

void nx_http_conn_drop(struct nx_http_conn *conn)
{
    if (!conn->dead)
        SLIST_INSERT_HEAD(&conn->http->dead, conn, in_dead);
    conn->dead = true;
}

void nx_http_conn_wake(struct nx_http_conn *conn)
{
    if (!conn->woken)
        TAILQ_INSERT_TAIL(&conn->http->woken, conn, in_woken);
    conn->woken = true;
}

static void unwake(struct nx_http_conn *conn)
{
    if (conn->woken)
        TAILQ_REMOVE(&conn->http->woken, conn, in_woken);
    conn->woken = false;
}

/* --- time ----------------------------------------------------------------------------------------- */

/* So long without a request the state of TLS is folded. */
#define FOLD_AFTER NX_SEC

static bool is_idle(const struct nx_http_conn *conn)
{
    return conn->state == NX_HTTP_AWAIT_HEAD && !conn->head_begun;
}

/* When the peer's time for what is awaited ends. */
static nx_ns due(const struct nx_http_conn *conn)
{
    const struct nx_http_limits *l = &conn->http->limits;
    nx_ns stall = conn->progress + l->stall_timeout_ns;
    switch (conn->state) {
    case NX_HTTP_AWAIT_HEAD:
        return conn->since + (conn->head_begun ? l->head_timeout_ns : l->idle_timeout_ns);
    case NX_HTTP_AWAIT_BODY: {
        nx_ns slow = conn->since + l->body_grace_ns +
                     (nx_ns)(conn->body_got / BODY_RATE_BYTES_PER_S) * NX_SEC;
        return slow < stall ? slow : stall;
    }
    case NX_HTTP_AWAIT_PLAIN:
    case NX_HTTP_AWAIT_SERVICE: return conn->x->ask.deadline;
    case NX_HTTP_AWAIT_FLUSH: return stall;
    case NX_HTTP_AWAIT_END: return conn->since + LINGER_NS;
    }
    return NX_NEVER;
}

static nx_ns next_look(const struct nx_http_conn *conn, nx_ns now)
{
    nx_ns fold_at = conn->since + FOLD_AFTER, end = due(conn);
    return conn->stream.tls && is_idle(conn) && now < fold_at && fold_at < end ? fold_at : end;
}

static void look_at_time(struct nx_timer *timer, nx_ns now)
{
    struct nx_http_conn *conn =
        (struct nx_http_conn *)((char *)timer - offsetof(struct nx_http_conn, timer));
    if (conn->dead)
        return;
    if (now < due(conn)) {
        if (is_idle(conn) && now >= conn->since + FOLD_AFTER)
            nx_stream_fold(&conn->stream);
        nx_timer_arm(&conn->http->timers, &conn->timer, next_look(conn, now));
        return;
    }
    conn->http->stats.timed_out += !is_idle(conn);
    if (conn->state == NX_HTTP_AWAIT_BODY)
        nx_http_conn_refuse(conn, 408, "the request's body did not come in time");
    else if (conn->state == NX_HTTP_AWAIT_HEAD && conn->head_begun)
        nx_http_conn_refuse(conn, 408, "the request's head did not come in time");
    else if (conn->state == NX_HTTP_AWAIT_PLAIN || conn->state == NX_HTTP_AWAIT_SERVICE)
        nx_http_conn_refuse(conn, 504, "no answer came in time");
    else
        nx_http_conn_drop(conn);
}

static void leave_packed(struct nx_http_conn *conn)
{
    if (conn->state == NX_HTTP_AWAIT_PLAIN)
        TAILQ_REMOVE(&conn->http->packed, conn, in_packed);
}

void nx_http_conn_enter(struct nx_http_conn *conn, enum nx_http_state state)
{
    leave_packed(conn);
    if (state == NX_HTTP_AWAIT_PLAIN)
        TAILQ_INSERT_TAIL(&conn->http->packed, conn, in_packed);
    conn->state = state;
    conn->since = conn->progress = conn->http->now;
    conn->head_begun = false;
    nx_timer_arm(&conn->http->timers, &conn->timer, next_look(conn, conn->since));
}

/* --- the socket ----------------------------------------------------------------------------------- */

/* It has asked, and waits: nothing of it is read, and that it has left must still be seen. */
static bool awaits_us(const struct nx_http_conn *conn)
{
    return conn->state == NX_HTTP_AWAIT_PLAIN || conn->state == NX_HTTP_AWAIT_SERVICE;
}

static void watch_what_matters(struct nx_http_conn *conn)
{
    bool reads = conn->state == NX_HTTP_AWAIT_HEAD || conn->state == NX_HTTP_AWAIT_BODY ||
                 conn->state == NX_HTTP_AWAIT_END;
    bool blocked = reads && conn->stream.recv_blocked;
    bool writes = blocked || nx_grpc_buffer_len(&conn->out) > 0;
    uint32_t events = (reads && !blocked ? (uint32_t)EPOLLIN : 0) |
                      (writes ? (uint32_t)EPOLLOUT : 0) |
                      (awaits_us(conn) ? (uint32_t)EPOLLRDHUP : 0);
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (events == conn->events)
        return;
    conn->events = events;
    if (epoll_ctl(conn->http->epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) != 0)
        nx_http_conn_drop(conn);
}

static void send_waiting(struct nx_http_conn *conn, nx_ns now)
{
    size_t len = nx_grpc_buffer_len(&conn->out);
    if (len == 0)
        return;
    ssize_t n = nx_stream_send(&conn->stream, nx_grpc_buffer_span(&conn->out), len);
    if (n < 0) {
        nx_http_conn_drop(conn);
        return;
    }
    if (n > 0) {
        conn->progress = now;
        nx_grpc_buffer_pop(&conn->out, (size_t)n);
    }
}

/* --- the request ---------------------------------------------------------------------------------- */

/* False: the service has refused the rest. */
static bool tell_bytes(struct nx_http_conn *conn, nx_ns now)
{
    struct nx_http_exchange *x = conn->x;
    uint64_t plain = nx_grpc_buffer_len(&x->unpack.plain);
    if (conn->http->service.on_body)
        conn->http->service.on_body(conn->http->service.ctx, x,
                                    nx_grpc_buffer_len(&x->body) + plain, now);
    return conn->x == x;
}

static void body_plain(struct nx_http_conn *conn, nx_ns now)
{
    struct nx_http_exchange *x = conn->x;
    static const uint8_t nothing[1];
    x->ask.body = nx_grpc_buffer_len(&x->body) ? nx_grpc_buffer_span(&x->body) : nothing;
    x->ask.body_bytes = nx_grpc_buffer_len(&x->body);
    nx_http_conn_enter(conn, NX_HTTP_AWAIT_SERVICE);
    conn->http->service.on_request(conn->http->service.ctx, x, now);
}

static void body_whole(struct nx_http_conn *conn, nx_ns now)
{
    struct nx_http_exchange *x = conn->x;
    struct nx_err err;
    int http_status;
    enum nx_status status =
        nx_http_unpack_begin(&x->unpack, &x->head, x->plain_max, &x->body, &http_status, &err);
    if (status == NX_OK)
        body_plain(conn, now);
    else if (status == NX_AGAIN)
        nx_http_conn_enter(conn, NX_HTTP_AWAIT_PLAIN);
    else
        nx_http_conn_refuse(conn, http_status, err.text);
}

void nx_http_conn_unpack(struct nx_http_conn *conn, nx_ns now)
{
    struct nx_http_exchange *x = conn->x;
    struct nx_err err;
    int http_status;
    enum nx_status status = nx_http_unpack_step(&x->unpack, &x->body, &http_status, &err);
    if (status != NX_OK && status != NX_AGAIN) {
        nx_http_conn_refuse(conn, http_status, err.text);
    } else if (!tell_bytes(conn, now)) {
        return;
    } else if (status == NX_OK) {
        body_plain(conn, now);
    } else {
        TAILQ_REMOVE(&conn->http->packed, conn, in_packed);
        TAILQ_INSERT_TAIL(&conn->http->packed, conn, in_packed);
    }
}

static void refuse_large(struct nx_http_conn *conn, uint64_t bytes)
{
    char text[160];
    snprintf(text, sizeof text, "Request of %s%llu bytes exceeds max_request_size=%llu",
             conn->x->head.chunked ? "more than " : "", (unsigned long long)bytes,
             (unsigned long long)conn->x->body_max);
    nx_http_conn_refuse(conn, 413, text);
}

static void begin_body(struct nx_http_conn *conn, nx_ns now)
{
    struct nx_http_exchange *x = conn->x;
    if (x->head.content_length > x->body_max)
        refuse_large(conn, x->head.content_length);
    else if (!x->head.chunked && x->head.content_length == 0)
        body_whole(conn, now);
    else if (x->head.expects_continue &&
             nx_grpc_buffer_append(&conn->out, continue_line, sizeof continue_line - 1) != NX_OK)
        nx_http_conn_drop(conn);
}

static void take_head(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    struct nx_http *http = conn->http;
    conn->x = nx_http_exchange_open(conn, bytes, len, now);
    if (!conn->x) {
        nx_http_conn_refuse(conn, 503, "no memory for a request");
        return;
    }
    conn->body_got = 0;
    nx_http_conn_enter(conn, NX_HTTP_AWAIT_BODY);
    http->stats.requests++;
    conn->told = true;
    http->service.on_head(http->service.ctx, conn->x, now);
    if (conn->state == NX_HTTP_AWAIT_BODY)
        begin_body(conn, now);
}

static size_t consume_head(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    static struct nx_http_head head; /* 2 KiB; one thread */
    struct nx_err err;
    size_t used = 0;
    int status = 400;
    if (!conn->head_begun && len > 0) {
        conn->head_begun = true;
        conn->since = now;
        nx_timer_arm(&conn->http->timers, &conn->timer, due(conn));
    }
    enum nx_status parsed = nx_http_head_parse(bytes, len, &head, &used, &status, &err);
    if (parsed == NX_AGAIN)
        return 0;
    if (parsed != NX_OK) {
        conn->http->stats.abused++;
        nx_http_conn_refuse(conn, status, err.text);
        return len;
    }
    take_head(conn, bytes, used, now);
    return used;
}

/* False: refused, there is no room. */
static bool keep_body(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    struct nx_http_exchange *x = conn->x;
    conn->body_got += len;
    if (conn->body_got > x->body_max) {
        refuse_large(conn, conn->body_got);
        return false;
    }
    if (nx_grpc_buffer_append(&x->body, bytes, len) == NX_OK)
        return tell_bytes(conn, now);
    nx_http_conn_refuse(conn, 503, "this node has no room for the request's body now; try again");
    return false;
}

static size_t consume_plain(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    uint64_t left = conn->x->head.content_length - conn->body_got;
    size_t take = len < left ? len : (size_t)left;
    if (!keep_body(conn, bytes, take, now))
        return len;
    if (conn->body_got == conn->x->head.content_length)
        body_whole(conn, now);
    return take;
}

static size_t consume_chunked(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    struct nx_http_chunked *chunked = &conn->x->chunked;
    const char *data_at;
    size_t used, data;
    struct nx_err err;
    enum nx_status status = nx_http_chunked_take(chunked, bytes, len, &used, &data_at, &data, &err);
    if (status == NX_AGAIN)
        return 0;
    if (status != NX_OK) {
        conn->http->stats.abused++;
        nx_http_conn_refuse(conn, 400, err.text);
        return len;
    }
    if (data && !keep_body(conn, data_at, data, now))
        return len;
    if (chunked->state == NX_HTTP_CHUNKED_DONE)
        body_whole(conn, now);
    return used;
}

/* One step; returns how many bytes it is done with. 0: it waits for more, or for something else. */
static size_t consume(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    switch (conn->state) {
    case NX_HTTP_AWAIT_HEAD: return consume_head(conn, bytes, len, now);
    case NX_HTTP_AWAIT_BODY:
        return conn->x->head.chunked ? consume_chunked(conn, bytes, len, now)
                                     : consume_plain(conn, bytes, len, now);
    case NX_HTTP_AWAIT_PLAIN:
    case NX_HTTP_AWAIT_SERVICE:
    case NX_HTTP_AWAIT_FLUSH: return 0;
    case NX_HTTP_AWAIT_END: return len;
    }
    return 0;
}

static size_t consume_all(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    size_t used = 0, step = 1;
    while (!conn->dead && used < len && step > 0) {
        step = consume(conn, bytes + used, len - used, now);
        used += step;
    }
    return used;
}

static void consume_kept(struct nx_http_conn *conn, nx_ns now)
{
    size_t len = nx_grpc_buffer_len(&conn->in);
    if (len == 0)
        return;
    size_t used = consume_all(conn, (const char *)nx_grpc_buffer_span(&conn->in), len, now);
    nx_grpc_buffer_pop(&conn->in, used);
}

void nx_http_conn_input(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    size_t used = 0;
    conn->progress = now;
    if (nx_grpc_buffer_len(&conn->in) == 0)
        used = consume_all(conn, bytes, len, now);
    if (used == len || conn->dead)
        return;
    if (nx_grpc_buffer_append(&conn->in, bytes + used, len - used) != NX_OK) {
        nx_http_conn_drop(conn);
        return;
    }
    if (used == 0)
        consume_kept(conn, now);
}

static bool reads_more(const struct nx_http_conn *conn)
{
    return !conn->dead && (conn->state == NX_HTTP_AWAIT_HEAD || conn->state == NX_HTTP_AWAIT_BODY ||
                           conn->state == NX_HTTP_AWAIT_END);
}

static void receive(struct nx_http_conn *conn, nx_ns now)
{
    for (int i = 0; i < READS_PER_EVENT && reads_more(conn); i++) {
        ssize_t n = nx_stream_recv(&conn->stream, conn->http->scratch, sizeof conn->http->scratch);
        if (n == 0)
            return;
        if (n < 0) {
            nx_http_conn_drop(conn);
            return;
        }
        nx_http_conn_input(conn, conn->http->scratch, (size_t)n, now);
        if ((size_t)n + NX_STREAM_ROOM <= sizeof conn->http->scratch)
            return;
    }
}

/* --- turns ---------------------------------------------------------------------------------------- */

static void after_flush(struct nx_http_conn *conn)
{
    if (conn->close_after) {
        nx_stream_shut(&conn->stream);
        nx_grpc_buffer_free(&conn->in);
        nx_http_conn_enter(conn, NX_HTTP_AWAIT_END);
    } else {
        nx_http_conn_enter(conn, NX_HTTP_AWAIT_HEAD);
    }
}

/* Pipelined requests are answered one by one; whoever does not read the answers is not served the next. */
void nx_http_conn_settle(struct nx_http_conn *conn, nx_ns now)
{
    unwake(conn);
    if (conn->dead)
        return;
    send_waiting(conn, now);
    if (!conn->dead && conn->state == NX_HTTP_AWAIT_FLUSH && nx_grpc_buffer_len(&conn->out) == 0) {
        after_flush(conn);
        consume_kept(conn, now);
        if (!conn->dead && conn->state == NX_HTTP_AWAIT_BODY)
            send_waiting(conn, now);
    }
    if (!conn->dead)
        watch_what_matters(conn);
}

void nx_http_conn_event(struct nx_http_conn *conn, uint32_t events, nx_ns now)
{
    if (conn->dead)
        return;
    bool left = events & EPOLLRDHUP && awaits_us(conn);
    if (events & (EPOLLERR | EPOLLHUP) || left) {
        nx_http_conn_drop(conn);
        return;
    }
    if (events & EPOLLIN || conn->stream.recv_blocked)
        receive(conn, now);
    nx_http_conn_settle(conn, now);
}

struct nx_http_conn *nx_http_conn_open(struct nx_http *http, struct nx_stream stream,
                                       const char *peer, bool peer_is_here, nx_ns now)
{
    struct nx_http_conn *conn = nx_calloc(1, sizeof *conn);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    if (!conn || epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, stream.fd, &event) != 0) {
        free(conn);
        nx_stream_close(&stream);
        return NULL;
    }
    conn->stream = stream;
    conn->events = EPOLLIN;
    conn->http = http;
    conn->peer_is_here = peer_is_here;
    conn->timer.fire = look_at_time;
    snprintf(conn->peer, sizeof conn->peer, "%s", peer);
    nx_grpc_buffer_init(&conn->in, &http->memory);
    nx_grpc_buffer_init(&conn->out, &http->memory);
    http->now = now;
    nx_http_conn_enter(conn, NX_HTTP_AWAIT_HEAD);
    return conn;
}

void nx_http_conn_close(struct nx_http_conn *conn)
{
    struct nx_http *http = conn->http;
    if (conn->x && conn->told)
        http->service.on_cancel(http->service.ctx, conn->x);
    if (conn->x)
        nx_http_exchange_free(conn->x);
    unwake(conn);
    leave_packed(conn);
    nx_timer_disarm(&http->timers, &conn->timer);
    nx_grpc_buffer_free(&conn->in);
    nx_grpc_buffer_free(&conn->out);
    nx_stream_close(&conn->stream);
    free(conn);
}
