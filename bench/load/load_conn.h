/* load_conn.h — one connection to a node, and the calls that are under way on it.
 *
 *   DOWN ─connect─► CONNECTING ─► SHAKING (TLS) ─► UP ─┐
 *     ▲                  └─────────────┴────── any failure: calls under way are told, then again after a while
 *
 * HTTP/1.1 carries one call at a time, HTTP/2 as many as streams and server allow.
 * Owner   a worker. Thread  the worker's. */
#ifndef NX_BENCH_LOAD_CONN_H
#define NX_BENCH_LOAD_CONN_H

#include "bench/load/load_h1.h"
#include "bench/load/load_h2.h"
#include "bench/load/load_tls.h"
#include "common/clock.h"

#include <sys/queue.h>
#include <sys/socket.h>

enum load_fate {
    LOAD_ANSWERED,  /* with a status */
    LOAD_CLOSED,    /* the connection ended before the answer */
    LOAD_RESET,     /* the stream did */
    LOAD_MALFORMED, /* the answer is none */
    LOAD_TIMED_OUT,
    LOAD_UNSENT, /* due, but there was never room for it */
    LOAD_FATES,
};

struct load_end {
    enum load_fate fate;
    bool grpc; /* code is a gRPC status; otherwise an HTTP one */
    int code;
};

struct load_call {
    nx_ns due, sent;
    int32_t stream;
    bool used;
};

struct load_target {
    struct sockaddr_storage address;
    socklen_t len;
    struct load_request request;
};

struct load_conn;

/* What the connections of a worker share. */
struct load_plan {
    unsigned streams; /* per connection; 1 with HTTP/1.1 */
    struct load_tls *tls;
    nx_ns timeout;
    void *ctx;
    void (*ended)(void *ctx, struct load_conn *conn, const struct load_call *call,
                  struct load_end end);
    int epoll_fd;
    uint8_t in[64 << 10], out[64 << 10];
};

enum load_conn_state { LOAD_CONN_DOWN, LOAD_CONN_CONNECTING, LOAD_CONN_SHAKING, LOAD_CONN_UP };

struct load_conn {
    struct load_plan *plan;
    const struct load_target *target;
    enum load_conn_state state;
    struct nx_stream stream;
    uint32_t events;
    struct load_call *calls; /* plan->streams of them */
    unsigned busy;
    nx_ns since;     /* when it began to connect */
    nx_ns retry_at;  /* when DOWN */
    uint64_t failed; /* attempts to connect that came to nothing */
    struct load_h1 h1;
    size_t h1_sent; /* of the request under way */
    struct load_h2 *h2;
    uint8_t *pending; /* frames that the socket refused; owned */
    size_t pending_at, pending_len;
    bool is_ready, is_dirty; /* in the worker's lists */
    TAILQ_ENTRY(load_conn) in_ready, in_dirty;
};

/* false: no memory. */
bool load_conn_init(struct load_conn *conn, struct load_plan *plan,
                    const struct load_target *target);
void load_conn_abandon(struct load_conn *conn); /* calls under way are told as out of time */
void load_conn_free(struct load_conn *conn);    /* that, too */

void load_conn_connect(struct load_conn *conn, nx_ns now); /* of one that is DOWN */
unsigned load_conn_room(const struct load_conn *conn);
/* There is room. Sent by the next load_conn_flush. */
void load_conn_ask(struct load_conn *conn, nx_ns due, nx_ns now);
void load_conn_flush(struct load_conn *conn, nx_ns now);
void load_conn_event(struct load_conn *conn, uint32_t events, nx_ns now);
void load_conn_sweep(struct load_conn *conn, nx_ns now); /* calls over their time */

#endif
