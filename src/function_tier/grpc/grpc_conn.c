#include "function_tier/grpc/grpc_conn.h"

#include "common/arena.h"
#include "common/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum {
    FLUSH_BYTES = 1 << 20, /* to one connection in one turn */
    BACKLOG_FRAMES = 256,  /* unsent frames over which a blocked peer is no longer read */
};

/* Between the announcement and the last GOAWAY: a request that is already on its way still gets in.
 */
#define DRAIN_NOTICE (500 * NX_MS)

static void drop(struct nx_grpc_conn *conn)
{
    if (!conn->dead)
        SLIST_INSERT_HEAD(&conn->core->dead, conn, in_dead);
    conn->dead = true;
}

/* So long after the last byte a session is folded; that costs some microseconds, and as many at the next byte. */
#define FOLD_AFTER NX_SEC

/* It only may grow too old. */
static bool is_quiet(const struct nx_grpc_conn *conn)
{
    bool hurried = conn->draining || conn->goaway_sent || conn->events & EPOLLOUT;
    return !hurried && nx_grpc_conn_greeted(conn) && nx_grpc_conn_idle(conn);
}

static nx_ns fold_at(const struct nx_grpc_conn *conn)
{
    return (conn->heard > conn->active ? conn->heard : conn->active) + FOLD_AFTER;
}

/* A quiet one is folded and then left asleep until it is too old: there may be many. */
static nx_ns next_look(const struct nx_grpc_conn *conn, nx_ns now)
{
    const struct nx_grpc_limits *limits = &conn->core->limits;
    nx_ns too_old = conn->active + limits->idle_timeout_ns;
    if (is_quiet(conn))
        return now < fold_at(conn) ? nx_ns_least(fold_at(conn), too_old) : too_old;
    nx_ns wait = nx_ns_least(limits->stall_timeout_ns, limits->idle_timeout_ns);
    return now + (conn->draining && wait > DRAIN_NOTICE ? DRAIN_NOTICE : wait);
}

static void fold_if_quiet(struct nx_grpc_conn *conn, nx_ns now)
{
    if (is_quiet(conn) && !nx_h2_folded(conn->h2) && now >= fold_at(conn) && nx_h2_fold(conn->h2))
        nx_stream_fold(&conn->stream);
}

/* It may just have become quiet. */
static void see_to_folding(struct nx_grpc_conn *conn, nx_ns now)
{
    if (is_quiet(conn) && !nx_h2_folded(conn->h2) && conn->timer.at > fold_at(conn))
        nx_timer_arm(&conn->core->timers, &conn->timer, next_look(conn, now));
}

static void say_goodbye(struct nx_grpc_conn *conn, nx_ns now)
{
    if (!conn->goaway_sent && conn->h2)
        nx_h2_drain(conn->h2);
    conn->goaway_sent = true;
    nx_grpc_conn_flush(conn, now);
}

/* Names each reason to give a connection up; NULL while there is none. */
static const char *reason_to_drop(const struct nx_grpc_conn *conn, nx_ns now)
{
    const struct nx_grpc_limits *limits = &conn->core->limits;
    if ((conn->events & EPOLLOUT) && now >= conn->progress + limits->stall_timeout_ns)
        return "reads nothing";
    if (!nx_grpc_conn_greeted(conn) && now >= conn->active + limits->stall_timeout_ns)
        return "never greeted";
    if (conn->goaway_sent && nx_grpc_conn_idle(conn) &&
        now >= conn->active + limits->idle_timeout_ns)
        return "idle";
    return NULL;
}

static void look_at_time(struct nx_timer *timer, nx_ns now)
{
    struct nx_grpc_conn *conn =
        (struct nx_grpc_conn *)((char *)timer - offsetof(struct nx_grpc_conn, timer));
    if (conn->dead)
        return;
    const char *reason = reason_to_drop(conn, now);
    if (reason) {
        nx_debug("%s: dropped, %s", conn->peer, reason);
        drop(conn);
        return;
    }
    if (conn->draining ||
        (nx_grpc_conn_idle(conn) && now >= conn->active + conn->core->limits.idle_timeout_ns))
        say_goodbye(conn, now);
    fold_if_quiet(conn, now);
    nx_timer_arm(&conn->core->timers, &conn->timer, next_look(conn, now));
}

static bool watch(struct nx_grpc_conn *conn, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};
    conn->events = events;
    return epoll_ctl(conn->epoll_fd, op, conn->stream.fd, &event) == 0;
}

static bool open_session(struct nx_grpc_conn *conn, nx_ns now)
{
    conn->h2 = nx_h2_open(conn->core, conn->peer, now);
    if (conn->h2)
        nx_h2_set_owner(conn->h2, conn);
    return conn->h2 != NULL;
}

struct nx_grpc_conn *nx_grpc_conn_open(struct nx_grpc_core *core, struct nx_grpc_scratch *scratch,
                                       int epoll_fd, struct nx_stream stream, const char *peer,
                                       nx_ns now)
{
    struct nx_grpc_conn *conn = nx_calloc(1, sizeof *conn);
    if (!conn)
        goto no_conn;
    *conn = (struct nx_grpc_conn){
        .stream = stream,
        .epoll_fd = epoll_fd,
        .core = core,
        .scratch = scratch,
        .active = now,
        .progress = now,
        .timer = {.fire = look_at_time},
    };
    snprintf(conn->peer, sizeof conn->peer, "%s", peer);
    nx_grpc_buffer_init(&conn->pending, &core->memory);
    if (!core->neighbour.take && !open_session(conn, now))
        goto no_session;
    if (!watch(conn, EPOLL_CTL_ADD, EPOLLIN))
        goto not_watched;
    nx_timer_arm(&core->timers, &conn->timer, next_look(conn, now));
    return conn;

not_watched:
    if (conn->h2)
        nx_h2_close(conn->h2, NX_CALL_GONE_CONNECTION);
no_session:
    free(conn);
no_conn:
    nx_stream_close(&stream);
    return NULL;
}

void nx_grpc_conn_close(struct nx_grpc_conn *conn, enum nx_call_gone why)
{
    nx_timer_disarm(&conn->core->timers, &conn->timer);
    if (conn->h2)
        nx_h2_close(conn->h2, why);
    nx_grpc_buffer_free(&conn->pending);
    nx_stream_close(&conn->stream);
    free(conn);
}

static void send_pending(struct nx_grpc_conn *conn, nx_ns now)
{
    size_t len = nx_grpc_buffer_len(&conn->pending);
    if (len == 0)
        return;
    ssize_t n = nx_stream_send(&conn->stream, nx_grpc_buffer_span(&conn->pending), len);
    if (n < 0) {
        drop(conn);
        return;
    }
    nx_grpc_buffer_pop(&conn->pending, (size_t)n);
    if (n > 0)
        conn->progress = now;
}

/* Sends one scratch full; returns how many bytes the session gave. */
static size_t send_pulled(struct nx_grpc_conn *conn, nx_ns now)
{
    uint8_t *out = conn->scratch->out;
    size_t len = nx_h2_pull(conn->h2, out, sizeof conn->scratch->out, now);
    if (len == 0)
        return 0;
    ssize_t n = nx_stream_send(&conn->stream, out, len);
    if (n < 0 || ((size_t)n < len &&
                  nx_grpc_buffer_append(&conn->pending, out + n, len - (size_t)n) != NX_OK))
        drop(conn);
    if (n > 0)
        conn->progress = now;
    return len;
}

/* A peer that reads nothing is given the stall timeout from here on. */
static void watch_stall(struct nx_grpc_conn *conn, nx_ns now)
{
    conn->progress = now;
    nx_timer_arm(&conn->core->timers, &conn->timer, next_look(conn, now));
}

static void watch_what_matters(struct nx_grpc_conn *conn, bool more, nx_ns now)
{
    bool was_blocked = conn->events & EPOLLOUT;
    bool blocked = nx_grpc_buffer_len(&conn->pending) > 0;
    uint32_t events = blocked || more || conn->stream.recv_blocked ? EPOLLOUT : 0;
    bool listens = !blocked || !conn->h2 || nx_h2_backlog(conn->h2) < BACKLOG_FRAMES;
    if (listens && !conn->stream.recv_blocked)
        events |= EPOLLIN;
    if (events == conn->events)
        return;
    if (!watch(conn, EPOLL_CTL_MOD, events))
        drop(conn);
    else if (!was_blocked && events & EPOLLOUT)
        watch_stall(conn, now);
}

void nx_grpc_conn_flush(struct nx_grpc_conn *conn, nx_ns now)
{
    if (conn->dead)
        return;
    if (!conn->h2) {
        watch_what_matters(conn, false, now);
        return;
    }
    if (!nx_grpc_conn_idle(conn))
        conn->active = now;
    nx_h2_settle(conn->h2, now);
    send_pending(conn, now);
    size_t sent = 0, len = 1;
    while (!conn->dead && len > 0 && sent < FLUSH_BYTES &&
           nx_grpc_buffer_len(&conn->pending) == 0) {
        len = send_pulled(conn, now);
        sent += len;
    }
    if (nx_grpc_buffer_len(&conn->pending) == 0 && nx_h2_over(conn->h2))
        drop(conn);
    if (!conn->dead)
        watch_what_matters(conn, sent >= FLUSH_BYTES, now);
    if (!conn->dead)
        see_to_folding(conn, now);
}

static void hand_over(struct nx_grpc_conn *conn, const uint8_t *bytes, size_t len, nx_ns now)
{
    const struct nx_grpc_neighbour *neighbour = &conn->core->neighbour;
    struct nx_stream stream = conn->stream;
    epoll_ctl(conn->epoll_fd, EPOLL_CTL_DEL, stream.fd, NULL);
    conn->stream = nx_stream_plain(-1);
    neighbour->take(neighbour->ctx, stream, conn->peer, bytes, len, now);
    drop(conn);
}

/* The first bytes, those that were kept in front. True once this is HTTP/2. */
static bool is_ours(struct nx_grpc_conn *conn, const uint8_t *bytes, size_t len, nx_ns now)
{
    static const char preface[] = "PRI ";
    size_t known = len < sizeof preface - 1 ? len : sizeof preface - 1;
    if (memcmp(bytes, preface, known) != 0) {
        hand_over(conn, bytes, len, now);
    } else if (known < sizeof preface - 1) {
        memcpy(conn->first, bytes, len);
        conn->first_bytes = (uint32_t)len;
    } else if (!open_session(conn, now)) {
        drop(conn);
    }
    return conn->h2 != NULL;
}

static void receive(struct nx_grpc_conn *conn, nx_ns now)
{
    uint8_t *in = conn->scratch->in;
    size_t kept = conn->first_bytes;
    memcpy(in, conn->first, kept);
    ssize_t n = nx_stream_recv(&conn->stream, in + kept, sizeof conn->scratch->in - kept);
    if (n == 0)
        return;
    if (n < 0) {
        drop(conn);
        return;
    }
    n += (ssize_t)kept;
    conn->first_bytes = 0;
    conn->heard = now;
    if (!conn->h2 && !is_ours(conn, in, (size_t)n, now))
        return;
    if (nx_h2_recv(conn->h2, in, (size_t)n, now) == NX_OK)
        return;
    conn->core->stats.connections_abused++;
    nx_grpc_conn_flush(conn, now); /* the GOAWAY, if the socket takes it */
    drop(conn);
}

void nx_grpc_conn_event(struct nx_grpc_conn *conn, uint32_t events, nx_ns now)
{
    if (conn->dead)
        return;
    if (events & (EPOLLERR | EPOLLHUP))
        drop(conn);
    else if (events & EPOLLIN || conn->stream.recv_blocked)
        receive(conn, now);
    nx_grpc_conn_flush(conn, now);
}

void nx_grpc_conn_drain(struct nx_grpc_conn *conn, nx_ns now)
{
    conn->draining = true;
    if (!conn->h2) {
        drop(conn);
        return;
    }
    nx_h2_announce_drain(conn->h2);
    nx_grpc_conn_flush(conn, now);
    nx_timer_arm(&conn->core->timers, &conn->timer, next_look(conn, now));
}

void nx_grpc_conn_part(struct nx_grpc_conn *conn, nx_ns now)
{
    if (conn->h2)
        nx_h2_part(conn->h2, "the server has no room for a connection that only waits; try again");
    nx_grpc_conn_flush(conn, now);
    drop(conn);
}
