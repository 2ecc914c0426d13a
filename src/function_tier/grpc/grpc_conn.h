/* grpc_conn.h — one TCP connection: a socket that moves the bytes of an HTTP/2 session. Internal.
 *
 * Where the server has a neighbour, the first bytes decide: HTTP/2 begins with "PRI ", and no method of HTTP/1 does; what
 * begins otherwise is the neighbour's, stream and bytes.
 *
 *     stream ─► server's scratch ─► nx_h2_recv        nx_h2_pull ─► server's scratch ─► stream
 *                                                          └─► pending, only if the peer is slow
 *
 * An unread backlog stops the reading: a peer that asks and never listens makes itself wait.
 * A session that has been silent for a second is folded (h2.h).
 * With TLS the handshake comes before the first bytes, and under the same clock: a peer that does
 * not finish it never greets.
 * Owner   grpc_server.c, which frees dead connections at the end of a turn. Thread  one. */
#ifndef NX_GRPC_CONN_H
#define NX_GRPC_CONN_H

#include "function_tier/grpc/grpc_core.h"
#include "function_tier/grpc/h2.h"
#include "function_tier/tls/stream.h"

#include <sys/queue.h>

/* Shared by the connections of a server, which take turns. */
struct nx_grpc_scratch {
    uint8_t in[256 << 10], out[64 << 10];
};

struct nx_grpc_conn {
    struct nx_stream stream;
    int epoll_fd;
    uint32_t events; /* as registered with epoll */
    struct nx_grpc_core *core;
    struct nx_grpc_scratch *scratch;
    struct nx_h2 *h2; /* NULL until the first bytes have told that this is HTTP/2 */
    uint8_t first[4]; /* … and these, as long as they leave it open */
    uint32_t first_bytes;
    struct nx_grpc_buffer pending; /* pulled from the session, refused by the stream */
    char peer[64];
    struct nx_peer *from; /* its address; the server's, NULL if nobody counts */
    nx_ns active;         /* when a call last began or ended */
    nx_ns heard;          /* when bytes last came */
    nx_ns progress;       /* when the peer last took bytes, while it is owed some */
    bool dead;            /* to be freed at the end of the turn */
    bool draining, goaway_sent;
    bool known;            /* the server's: greeted, and so no stranger any more */
    struct nx_timer timer; /* silent, idle, stalled, drain; looked at lazily */
    TAILQ_ENTRY(nx_grpc_conn) in_order;
    SLIST_ENTRY(nx_grpc_conn) in_dead;
};

/* Takes over the stream (also on failure: it is closed) and watches it. NULL: no memory. */
struct nx_grpc_conn *nx_grpc_conn_open(struct nx_grpc_core *core, struct nx_grpc_scratch *scratch,
                                       int epoll_fd, struct nx_stream stream, const char *peer,
                                       nx_ns now);
void nx_grpc_conn_close(struct nx_grpc_conn *conn, enum nx_call_gone why);

void nx_grpc_conn_event(struct nx_grpc_conn *conn, uint32_t events, nx_ns now);
void nx_grpc_conn_flush(struct nx_grpc_conn *conn, nx_ns now); /* settle, pull, send */
void nx_grpc_conn_drain(struct nx_grpc_conn *conn, nx_ns now);
/* Says goodbye as far as the socket takes it at once, and is dead. */
void nx_grpc_conn_part(struct nx_grpc_conn *conn, nx_ns now);

static inline bool nx_grpc_conn_idle(const struct nx_grpc_conn *conn)
{
    return !conn->h2 || nx_h2_calls(conn->h2) == 0;
}

/* Nobody waits for an answer of ours. */
static inline bool nx_grpc_conn_spare(const struct nx_grpc_conn *conn)
{
    return !conn->h2 || nx_h2_waits(conn->h2);
}

static inline bool nx_grpc_conn_greeted(const struct nx_grpc_conn *conn)
{
    return conn->h2 && nx_h2_greeted(conn->h2);
}

#endif
