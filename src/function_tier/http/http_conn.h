/* http_conn.h — one HTTP/1.1 connection. Internal to the wire.
 *
 *   AWAIT_HEAD ─head─► AWAIT_BODY ─whole─► (AWAIT_PLAIN ─unpacked─►) AWAIT_SERVICE ─reply─► AWAIT_FLUSH ─┬─► AWAIT_HEAD
 *                          └────── reply before the body is whole ─────────────┴─► AWAIT_END ─► gone
 *
 *   the service knows the exchange  <=>  `told` and the state is AWAIT_BODY, AWAIT_PLAIN or AWAIT_SERVICE
 *
 * AWAIT_END: the reply is out and our side is shut; what the client still sends is read and dropped for a while, because a
 * close with unread bytes resets the connection and takes the reply with it. */
#ifndef NX_FUNCTION_TIER_HTTP_CONN_H
#define NX_FUNCTION_TIER_HTTP_CONN_H

#include "common/prng.h"
#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/grpc/grpc_peers.h"
#include "function_tier/grpc/grpc_timer.h"
#include "function_tier/http/http_chunked.h"
#include "function_tier/http/http_coding.h"
#include "function_tier/http/http_server.h"

#include <sys/queue.h>

enum nx_http_state {
    NX_HTTP_AWAIT_HEAD,
    NX_HTTP_AWAIT_BODY,
    NX_HTTP_AWAIT_PLAIN, /* the body is whole, and travelled packed */
    NX_HTTP_AWAIT_SERVICE,
    NX_HTTP_AWAIT_FLUSH,
    NX_HTTP_AWAIT_END,
};

enum { NX_HTTP_EXTRA_HEADER_BYTES = 512 };

struct nx_http_exchange {
    struct nx_http_conn *conn;
    void *user;
    struct nx_http_ask ask;
    struct nx_http_head head;
    struct nx_http_chunked chunked;
    struct nx_grpc_buffer body;
    struct nx_http_unpack unpack;
    uint64_t body_max, plain_max;           /* as it comes, and unpacked */
    char extra[NX_HTTP_EXTRA_HEADER_BYTES]; /* "name: value\r\n"… */
    size_t extra_bytes;
    char *text; /* the head's bytes, then path, query and segments; owned */
};

struct nx_http_conn {
    struct nx_stream stream;
    uint32_t events;
    struct nx_http *http;
    enum nx_http_state state;
    struct nx_http_exchange *x; /* from its head to its reply */
    /* what is not consumed yet: a part of a head, or pipelined requests */
    struct nx_grpc_buffer in;
    struct nx_grpc_buffer out;
    nx_ns since;    /* when the state began */
    nx_ns progress; /* when the peer last sent or took bytes */
    uint64_t body_got;
    bool told, close_after, dead, woken, head_begun;
    bool peer_is_here;
    char peer[64];
    struct nx_peer *from; /* its address; the server's, NULL if nobody counts */
    struct nx_timer timer;
    TAILQ_ENTRY(nx_http_conn) in_order;
    TAILQ_ENTRY(nx_http_conn) in_woken;
    TAILQ_ENTRY(nx_http_conn) in_packed; /* in AWAIT_PLAIN */
    SLIST_ENTRY(nx_http_conn) in_dead;
};

TAILQ_HEAD(nx_http_conns, nx_http_conn);

struct nx_http {
    struct nx_http_limits limits;
    struct nx_http_service service;
    struct nx_grpc_budget memory;
    struct nx_timers timers;
    struct nx_peers *peers;
    struct nx_http_conns conns;  /* by activity, the longest idle first */
    struct nx_http_conns woken;  /* replied to outside their own turn */
    struct nx_http_conns packed; /* whose bodies are unpacked, one piece a turn, each in its turn */
    struct nx_prng prng;         /* of request ids */
    int epoll_fd;
    bool announced, draining; /* each reply is a connection's last; idle ones close as well */
    SLIST_HEAD(, nx_http_conn) dead; /* freed at the end of the turn */
    nx_ns now;
    char date[64]; /* of the second date_s */
    int64_t date_s;
    struct nx_http_stats stats;
    char scratch[64 << 10];
};

static inline bool nx_http_conn_serves(const struct nx_http_conn *conn)
{
    return conn->state == NX_HTTP_AWAIT_BODY || conn->state == NX_HTTP_AWAIT_PLAIN ||
           conn->state == NX_HTTP_AWAIT_SERVICE;
}

/* http_conn.c */
struct nx_http_conn *nx_http_conn_open(struct nx_http *http, struct nx_stream stream,
                                       const char *peer, bool peer_is_here, nx_ns now);
void nx_http_conn_close(struct nx_http_conn *conn);
void nx_http_conn_event(struct nx_http_conn *conn, uint32_t events, nx_ns now);
void nx_http_conn_input(struct nx_http_conn *conn, const char *bytes, size_t len, nx_ns now);
void nx_http_conn_settle(struct nx_http_conn *conn, nx_ns now); /* send; go on with what waits */
void nx_http_conn_drop(struct nx_http_conn *conn);              /* freed at the end of the turn */
void nx_http_conn_wake(struct nx_http_conn *conn);
void nx_http_conn_enter(struct nx_http_conn *conn, enum nx_http_state state);

void nx_http_conn_unpack(struct nx_http_conn *conn, nx_ns now); /* a piece; in AWAIT_PLAIN */

/* http_exchange.c: an exchange from the head in `bytes`; NULL: no memory. */
struct nx_http_exchange *nx_http_exchange_open(struct nx_http_conn *conn, const char *bytes,
                                               size_t len, nx_ns now);
void nx_http_exchange_free(struct nx_http_exchange *x);
/* A refusal by the wire, of the exchange under way or (x NULL) of what was no request; the connection closes. */
void nx_http_conn_refuse(struct nx_http_conn *conn, int status, const char *text);

#endif
