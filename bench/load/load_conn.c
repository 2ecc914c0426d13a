#include "bench/load/load_conn.h"

#include "common/arena.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RETRY_AFTER (50 * NX_MS)

/* --- ends ------------------------------------------------------------------------------------------- */

static void end_call(struct load_conn *conn, struct load_call *call, struct load_end end)
{
    struct load_call copy = *call;
    call->used = false;
    conn->busy--;
    conn->plan->ended(conn->plan->ctx, conn, &copy, end);
}

static void h2_done(void *ctx, void *user, struct load_h2_end end)
{
    struct load_conn *conn = ctx;
    struct load_end e = {.fate = LOAD_ANSWERED, .grpc = true, .code = end.grpc};
    if (!((struct load_call *)user)->used)
        return; /* told when the connection broke */
    if (end.broken)
        e.fate = LOAD_RESET;
    else if (end.grpc < 0)
        e = (struct load_end){end.http && end.http != 200 ? LOAD_ANSWERED : LOAD_MALFORMED, false,
                              end.http};
    end_call(conn, user, e);
}

static void go_down(struct load_conn *conn, enum load_fate fate, nx_ns now)
{
    conn->failed += conn->state != LOAD_CONN_UP;
    conn->state = LOAD_CONN_DOWN;
    conn->retry_at = now + RETRY_AFTER;
    nx_stream_close(&conn->stream);
    for (unsigned i = 0; i < conn->plan->streams; i++)
        if (conn->calls[i].used)
            end_call(conn, &conn->calls[i], (struct load_end){.fate = fate});
    if (conn->h2)
        load_h2_close(conn->h2);
    conn->h2 = NULL;
    free(conn->pending);
    conn->pending = NULL;
}

/* --- opening ---------------------------------------------------------------------------------------- */

bool load_conn_init(struct load_conn *conn, struct load_plan *plan,
                    const struct load_target *target)
{
    *conn = (struct load_conn){.plan = plan, .target = target, .stream = nx_stream_plain(-1)};
    conn->calls = nx_calloc(plan->streams, sizeof *conn->calls);
    return conn->calls != NULL;
}

void load_conn_abandon(struct load_conn *conn)
{
    if (conn->state != LOAD_CONN_DOWN)
        go_down(conn, LOAD_TIMED_OUT, 0);
}

void load_conn_free(struct load_conn *conn)
{
    load_conn_abandon(conn);
    free(conn->calls);
}

static void watch(struct load_conn *conn, uint32_t events, nx_ns now)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    if (events == conn->events)
        return;
    conn->events = events;
    if (epoll_ctl(conn->plan->epoll_fd, EPOLL_CTL_MOD, conn->stream.fd, &event) != 0)
        go_down(conn, LOAD_CLOSED, now);
}

static bool dial(struct load_conn *conn, int fd)
{
    int one = 1;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = conn};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *)&conn->target->address, conn->target->len) != 0 &&
        errno != EINPROGRESS)
        return false;
    return epoll_ctl(conn->plan->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void load_conn_connect(struct load_conn *conn, nx_ns now)
{
    int fd = socket(conn->target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    conn->state = LOAD_CONN_CONNECTING;
    conn->since = now;
    conn->stream = nx_stream_plain(fd);
    conn->events = EPOLLOUT;
    if (fd < 0 || !dial(conn, fd) ||
        (conn->plan->tls && !load_tls_dress(conn->plan->tls, &conn->stream)))
        go_down(conn, LOAD_CLOSED, now);
}

static void come_up(struct load_conn *conn, nx_ns now)
{
    conn->state = LOAD_CONN_UP;
    conn->h1 = (struct load_h1){0};
    watch(conn, EPOLLIN, now);
    if (conn->state != LOAD_CONN_UP || !conn->target->request.grpc)
        return;
    conn->h2 = load_h2_open(&conn->target->request, conn->plan->streams, conn->stream.tls != NULL,
                            (struct load_h2_upcall){h2_done, conn});
    if (!conn->h2)
        go_down(conn, LOAD_CLOSED, now);
    else
        load_conn_flush(conn, now);
}

static void shake(struct load_conn *conn, nx_ns now)
{
    bool writes;
    int done = load_tls_shake(&conn->stream, &writes);
    if (done < 0)
        go_down(conn, LOAD_CLOSED, now);
    else if (done > 0)
        come_up(conn, now);
    else
        watch(conn, writes ? EPOLLOUT : EPOLLIN, now);
}

static void finish_connect(struct load_conn *conn, nx_ns now)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(conn->stream.fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error) {
        go_down(conn, LOAD_CLOSED, now);
        return;
    }
    conn->state = LOAD_CONN_SHAKING;
    if (conn->stream.tls)
        shake(conn, now);
    else
        come_up(conn, now);
}

/* --- asking ----------------------------------------------------------------------------------------- */

unsigned load_conn_room(const struct load_conn *conn)
{
    if (conn->state != LOAD_CONN_UP)
        return 0;
    return conn->h2 ? load_h2_room(conn->h2) : 1 - conn->busy;
}

static struct load_call *free_call(struct load_conn *conn)
{
    for (unsigned i = 0;; i++)
        if (!conn->calls[(i + conn->busy) % conn->plan->streams].used)
            return &conn->calls[(i + conn->busy) % conn->plan->streams];
}

void load_conn_ask(struct load_conn *conn, nx_ns due, nx_ns now)
{
    struct load_call *call = free_call(conn);
    *call = (struct load_call){.due = due, .sent = now, .used = true};
    conn->busy++;
    conn->h1_sent = 0;
    if (conn->h2 && (call->stream = load_h2_start(conn->h2, call)) < 0)
        end_call(conn, call, (struct load_end){.fate = LOAD_RESET});
}

static void flush_h1(struct load_conn *conn, nx_ns now)
{
    const struct load_request *request = &conn->target->request;
    if (conn->busy && conn->h1_sent < request->len) {
        ssize_t n = nx_stream_send(&conn->stream, request->bytes + conn->h1_sent,
                                   request->len - conn->h1_sent);
        if (n < 0) {
            go_down(conn, LOAD_CLOSED, now);
            return;
        }
        conn->h1_sent += (size_t)n;
    }
    watch(conn, conn->busy && conn->h1_sent < request->len ? EPOLLIN | EPOLLOUT : EPOLLIN, now);
}

/* What the socket refuses is kept; false: the connection is broken. */
static bool send_or_keep(struct load_conn *conn, const uint8_t *bytes, size_t len)
{
    ssize_t n = nx_stream_send(&conn->stream, bytes, len);
    if (n < 0 || (size_t)n == len)
        return n >= 0;
    conn->pending = malloc(len - (size_t)n);
    if (!conn->pending)
        return false;
    memcpy(conn->pending, bytes + n, len - (size_t)n);
    conn->pending_at = 0;
    conn->pending_len = len - (size_t)n;
    return true;
}

static bool send_kept(struct load_conn *conn)
{
    ssize_t n = nx_stream_send(&conn->stream, conn->pending + conn->pending_at,
                               conn->pending_len - conn->pending_at);
    if (n < 0)
        return false;
    conn->pending_at += (size_t)n;
    if (conn->pending_at == conn->pending_len) {
        free(conn->pending);
        conn->pending = NULL;
    }
    return true;
}

static void flush_h2(struct load_conn *conn, nx_ns now)
{
    bool fine = !conn->pending || send_kept(conn);
    size_t len = 1;
    while (fine && len > 0 && !conn->pending) {
        len = load_h2_pull(conn->h2, conn->plan->out, sizeof conn->plan->out);
        fine = len == 0 || send_or_keep(conn, conn->plan->out, len);
    }
    if (!fine || load_h2_over(conn->h2))
        go_down(conn, LOAD_CLOSED, now);
    else
        watch(conn, conn->pending ? EPOLLIN | EPOLLOUT : EPOLLIN, now);
}

void load_conn_flush(struct load_conn *conn, nx_ns now)
{
    if (conn->state != LOAD_CONN_UP)
        return;
    if (conn->h2)
        flush_h2(conn, now);
    else
        flush_h1(conn, now);
}

/* --- hearing ---------------------------------------------------------------------------------------- */

static void hear_h1(struct load_conn *conn, const char *bytes, size_t len, nx_ns now)
{
    size_t used;
    enum load_h1_progress progress = load_h1_feed(&conn->h1, bytes, len, &used);
    if (progress == LOAD_H1_MORE)
        return;
    if (progress == LOAD_H1_BROKEN || used < len || !conn->busy) {
        go_down(conn, LOAD_MALFORMED, now);
        return;
    }
    bool refused = conn->h1_sent < conn->target->request.len; /* answered before it was whole */
    end_call(conn, &conn->calls[0],
             (struct load_end){.fate = LOAD_ANSWERED, .code = conn->h1.status});
    if (conn->h1.closes || refused)
        go_down(conn, LOAD_CLOSED, now);
    if (conn->state == LOAD_CONN_DOWN)
        conn->retry_at = now;
}

static void hear(struct load_conn *conn, nx_ns now)
{
    struct load_plan *plan = conn->plan;
    ssize_t n = nx_stream_recv(&conn->stream, plan->in, sizeof plan->in);
    if (n < 0)
        go_down(conn, LOAD_CLOSED, now);
    else if (n > 0 && !conn->h2)
        hear_h1(conn, (const char *)plan->in, (size_t)n, now);
    else if (n > 0 && !load_h2_recv(conn->h2, plan->in, (size_t)n))
        go_down(conn, LOAD_MALFORMED, now);
}

void load_conn_event(struct load_conn *conn, uint32_t events, nx_ns now)
{
    switch (conn->state) {
    case LOAD_CONN_DOWN: break;
    case LOAD_CONN_CONNECTING: finish_connect(conn, now); break;
    case LOAD_CONN_SHAKING: shake(conn, now); break;
    case LOAD_CONN_UP:
        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
            hear(conn, now);
        load_conn_flush(conn, now);
        break;
    }
}

void load_conn_sweep(struct load_conn *conn, nx_ns now)
{
    nx_ns timeout = conn->plan->timeout;
    if (conn->state == LOAD_CONN_DOWN)
        return;
    if (conn->state != LOAD_CONN_UP && now - conn->since > timeout) {
        go_down(conn, LOAD_TIMED_OUT, now);
        return;
    }
    for (unsigned i = 0; i < conn->plan->streams && conn->busy; i++) {
        struct load_call *call = &conn->calls[i];
        if (!call->used || now - call->sent <= timeout)
            continue;
        if (!conn->h2) {
            go_down(conn, LOAD_TIMED_OUT, now);
            return;
        }
        load_h2_cancel(conn->h2, call->stream);
        end_call(conn, call, (struct load_end){.fate = LOAD_TIMED_OUT});
    }
}
