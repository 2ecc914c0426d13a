#include "function_tier/http/http_server.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "function_tier/http/http_conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 64, TIMERS_PER_TURN = 256, LOOKS_BEHIND_IDLE = 256 };

struct nx_http_limits nx_http_limits_default(void)
{
    return (struct nx_http_limits){
        .connections_max = 1024,
        .body_bytes_max = 64 << 20,
        .reply_bytes_max = 64 << 20,
        .server_buffer_bytes = 512 << 20,
        .head_timeout_ns = 10 * NX_SEC,
        .stall_timeout_ns = 15 * NX_SEC,
        .body_grace_ns = 30 * NX_SEC,
        .idle_timeout_ns = 75 * NX_SEC,
        .handling_timeout_ns = 120 * NX_SEC,
    };
}

enum nx_status nx_http_open(const struct nx_http_limits *limits,
                            const struct nx_http_service *service, uint64_t seed,
                            struct nx_http **opened, struct nx_err *err)
{
    struct nx_http *http = nx_calloc(1, sizeof *http);
    if (!http)
        return nx_err_set(err, NX_NO_MEMORY, "HTTP server: out of memory");
    http->limits = *limits;
    http->service = *service;
    http->memory.limit = limits->server_buffer_bytes;
    http->date_s = -1;
    TAILQ_INIT(&http->conns);
    TAILQ_INIT(&http->woken);
    TAILQ_INIT(&http->packed);
    SLIST_INIT(&http->dead);
    nx_prng_init(&http->prng, seed);
    http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (http->epoll_fd < 0 || nx_timers_init(&http->timers, limits->connections_max) != NX_OK) {
        nx_err_set(err, NX_IO, "HTTP server: %s", strerror(errno));
        if (http->epoll_fd >= 0)
            close(http->epoll_fd);
        free(http);
        return NX_IO;
    }
    *opened = http;
    return NX_OK;
}

static void remove_conn(struct nx_http *http, struct nx_http_conn *conn)
{
    TAILQ_REMOVE(&http->conns, conn, in_order);
    http->stats.connections--;
    nx_peers_give(conn->from);
    nx_http_conn_close(conn);
}

void nx_http_close(struct nx_http *http)
{
    struct nx_http_conn *conn;
    while ((conn = TAILQ_FIRST(&http->conns)))
        remove_conn(http, conn);
    nx_assert(http->memory.used == 0 && http->timers.count == 0 && http->stats.exchanges == 0);
    nx_grpc_budget_fini(&http->memory);
    nx_timers_fini(&http->timers);
    close(http->epoll_fd);
    free(http);
}

static void settle_woken(struct nx_http *http, nx_ns now)
{
    struct nx_http_conn *conn;
    for (uint32_t n = http->stats.connections; n > 0 && (conn = TAILQ_FIRST(&http->woken)); n--)
        nx_http_conn_settle(conn, now);
}

static bool is_spare(const struct nx_http_conn *conn, const struct nx_peer *from)
{
    return !conn->dead && conn->state == NX_HTTP_AWAIT_HEAD && (!from || conn->from == from);
}

/* The longest idle; before it, of those that come within so many places behind it, the first whose head is begun and stays
 * unfinished. A look at all of them for each newcomer would be a flood's lever. Who is in the middle of a request stays. */
static struct nx_http_conn *find_spare(struct nx_http *http, const struct nx_peer *from,
                                       nx_ns begun_age, nx_ns now)
{
    struct nx_http_conn *conn, *idle = NULL;
    unsigned looks = LOOKS_BEHIND_IDLE;
    TAILQ_FOREACH(conn, &http->conns, in_order)
    {
        if (idle && looks-- == 0)
            break;
        if (!is_spare(conn, from))
            continue;
        if (conn->head_begun && now >= conn->since + begun_age)
            return conn;
        if (!conn->head_begun && !idle)
            idle = conn;
    }
    return idle;
}

static bool evict(struct nx_http *http, const struct nx_peer *from, nx_ns begun_age, nx_ns now)
{
    struct nx_http_conn *conn = find_spare(http, from, begun_age, now);
    if (!conn)
        return false;
    nx_debug("%s: evicted to make room", conn->peer);
    http->stats.evicted++;
    remove_conn(http, conn);
    return true;
}

/* Those that were answered in this very turn become idle once their answer is sent. */
bool nx_http_evict(struct nx_http *http, const struct nx_peer *from, nx_ns begun_age, nx_ns now)
{
    if (evict(http, from, begun_age, now))
        return true;
    settle_woken(http, now);
    return evict(http, from, begun_age, now);
}

void nx_http_set_peers(struct nx_http *http, struct nx_peers *peers)
{
    http->peers = peers;
}

static bool has_room(struct nx_http *http, nx_ns now)
{
    return http->stats.connections < http->limits.connections_max ||
           nx_http_evict(http, NULL, 0, now);
}

static void refuse(struct nx_http *http, struct nx_stream *stream)
{
    http->stats.refused++;
    nx_stream_close(stream);
}

void nx_http_adopt(struct nx_http *http, struct nx_stream stream, const char *peer,
                   bool peer_is_here, const void *first, size_t len, nx_ns now)
{
    http->now = now;
    struct nx_peer *from = http->peers ? nx_peers_take(http->peers, peer) : NULL;
    if ((http->peers && !from) || !has_room(http, now)) {
        nx_peers_give(from);
        refuse(http, &stream);
        return;
    }
    struct nx_http_conn *conn = nx_http_conn_open(http, stream, peer, peer_is_here, now);
    if (!conn) {
        http->stats.refused++;
        nx_peers_give(from);
        return;
    }
    conn->from = from;
    TAILQ_INSERT_TAIL(&http->conns, conn, in_order);
    http->stats.connections++;
    http->stats.accepted++;
    nx_http_conn_input(conn, first, len, now);
    nx_http_conn_wake(conn);
}

/* A head that comes in drops is no activity: its connection keeps its place in the order. */
static void note_activity(struct nx_http *http, struct nx_http_conn *conn)
{
    bool drips = conn->state == NX_HTTP_AWAIT_HEAD && conn->head_begun;
    if (drips || TAILQ_NEXT(conn, in_order) == NULL)
        return;
    TAILQ_REMOVE(&http->conns, conn, in_order);
    TAILQ_INSERT_TAIL(&http->conns, conn, in_order);
}

static void close_idle(struct nx_http *http)
{
    struct nx_http_conn *conn;
    TAILQ_FOREACH(conn, &http->conns, in_order)
    if (conn->state == NX_HTTP_AWAIT_HEAD && !conn->head_begun)
        nx_http_conn_drop(conn);
}

static void sweep(struct nx_http *http)
{
    struct nx_http_conn *conn;
    while ((conn = SLIST_FIRST(&http->dead))) {
        SLIST_REMOVE_HEAD(&http->dead, in_dead);
        remove_conn(http, conn);
    }
}

/* One piece a turn, whoever waits: others are served between. */
static void unpack_next(struct nx_http *http, nx_ns now)
{
    struct nx_http_conn *conn = TAILQ_FIRST(&http->packed);
    if (conn && !conn->dead)
        nx_http_conn_unpack(conn, now);
}

/* The phases of a turn: 1 events, 2 timers, 3 a piece of a packed body, 4 replies that services have made, 5 the dead. */
bool nx_http_poll(struct nx_http *http, nx_ns now)
{
    struct epoll_event events[EVENTS_PER_TURN];
    http->now = now;
    int n = epoll_wait(http->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < n; i++) {
        nx_http_conn_event(events[i].data.ptr, events[i].events, now);
        note_activity(http, events[i].data.ptr);
    }
    bool more = nx_timers_run(&http->timers, now, TIMERS_PER_TURN);
    unpack_next(http, now);
    settle_woken(http, now);
    if (http->draining)
        close_idle(http);
    sweep(http);
    return more || n == EVENTS_PER_TURN || !TAILQ_EMPTY(&http->woken) ||
           !TAILQ_EMPTY(&http->packed);
}

nx_ns nx_http_next_timer(const struct nx_http *http)
{
    if (!SLIST_EMPTY(&http->dead) || !TAILQ_EMPTY(&http->packed))
        return 0;
    return TAILQ_EMPTY(&http->woken) ? nx_timers_next(&http->timers) : 0;
}

int nx_http_fd(const struct nx_http *http)
{
    return http->epoll_fd;
}

void nx_http_announce_drain(struct nx_http *http)
{
    http->announced = true;
}

void nx_http_drain(struct nx_http *http, nx_ns now)
{
    http->draining = http->announced = true;
    http->now = now;
    close_idle(http);
    sweep(http);
}

bool nx_http_drained(const struct nx_http *http)
{
    return http->draining && TAILQ_EMPTY(&http->conns);
}

struct nx_http_stats nx_http_stats(const struct nx_http *http)
{
    struct nx_http_stats stats = http->stats;
    stats.buffered_bytes = http->memory.used;
    return stats;
}
