/* http_server.h — HTTP/1.1 connections and exchanges, nothing about what they carry.
 *
 *     nx_http_open ── loop: { sleep on nx_http_fd until nx_http_next_timer; nx_http_poll } ── close
 *
 * It listens nowhere: nx_http_adopt takes a connection whose first bytes told that it speaks HTTP/1.1.
 * An exchange, as its service sees it (upcalls come from within nx_http_poll and nx_http_adopt):
 *
 *     on_head ─► (the body comes) ─► on_request ─► (the service works) ─► nx_http_reply
 *        └──────────────┴────────────────┴───────────────┴──► on_cancel        client gone, deadline, limit
 *
 *   exactly one of nx_http_reply (by the service) and on_cancel (by the wire) ends an exchange the service has seen;
 *   after it the service never touches it again. A reply may come at any time after on_head began; before the body is
 *   whole it refuses the rest: the connection closes after it.
 *
 * Bounds  struct nx_http_limits: connections, head, body, buffered bytes in all, time for each step. A client that sends
 *         or reads too slowly loses its connection; who merely waits costs a kilobyte.
 * Leave   a client that closes, or shuts its side of the connection, before it has its answer has left: its exchange is
 *         cancelled and what works on it stops. (HTTP/1.1 lets a client shut its side and await the answer; who has left
 *         looks the same until something is sent, and common proxies and servers decide likewise.)
 * Order   one exchange at a time on a connection: a pipelined request waits for the reply before it.
 * Thread  one, the one that polls. */
#ifndef NX_FUNCTION_TIER_HTTP_SERVER_H
#define NX_FUNCTION_TIER_HTTP_SERVER_H

#include "common/clock.h"
#include "common/request_trace.h"
#include "function_tier/grpc/grpc_buffer.h"
#include "function_tier/grpc/grpc_peers.h"
#include "function_tier/http/http_head.h"
#include "function_tier/tls/stream.h"

struct nx_http;
struct nx_http_exchange;

enum { NX_HTTP_SEGMENTS_MAX = 10, NX_HTTP_ABOUT_BYTES = 128, NX_HTTP_CALLER_BYTES = 32 };

/* What the client asks; valid as long as the exchange. */
struct nx_http_ask {
    const struct nx_http_head *head;
    const char *path;  /* as it came, without the query */
    const char *query; /* as it came, behind the '?'; "" without one */
    uint32_t segments_count;
    const char *segments[NX_HTTP_SEGMENTS_MAX]; /* of the path, percent-decoded; UTF-8 */
    const char *peer;                           /* "127.0.0.1:4711" */
    bool peer_is_here;
    char id[NX_REQUEST_NAME_BYTES];    /* the client's x-request-id, or a fresh one */
    struct nx_trace_ids trace;         /* this exchange's span, below the client's if it told one */
    const char *route;                 /* the pattern that its path fits, static; NULL until set */
    char caller[NX_HTTP_CALLER_BYTES]; /* who asks, as the service named them */
    char about[NX_HTTP_ABOUT_BYTES];   /* what the service says that it is about, for logs */
    nx_ns begun;                       /* when its head was whole */
    nx_ns deadline;                    /* begun + limits.handling_timeout_ns */
    const uint8_t *body;               /* from on_request on */
    size_t body_bytes;
};

struct nx_http_service {
    void *ctx;
    /* The head is known. The service sets its pointer, and may reply already: refused. */
    void (*on_head)(void *ctx, struct nx_http_exchange *x, nx_ns now);
    void (*on_request)(void *ctx, struct nx_http_exchange *x, nx_ns now); /* the body is whole */
    void (*on_cancel)(void *ctx, struct nx_http_exchange *x);
    /* The wire refuses what never reached the service: a body in the family of `path` ("" if unknown), at most cap - 1
     * bytes; the content type is returned. */
    const char *(*refusal)(void *ctx, const char *path, int status, const char *text, char *body,
                           size_t cap);
    /* For logs: `bytes` of body went out. */
    void (*on_reply)(void *ctx, const struct nx_http_ask *ask, int status, uint64_t bytes,
                     nx_ns now);
    /* NULL, or told how many bytes the body holds each time there are more, or fewer; unpacking
     * counts. May reply: refused. */
    void (*on_body)(void *ctx, struct nx_http_exchange *x, uint64_t bytes, nx_ns now);
    uint32_t samples; /* of a million traces that begin here, so many are flagged as sampled */
};

struct nx_http_limits {
    uint32_t connections_max;
    uint64_t body_bytes_max;
    uint64_t reply_bytes_max;
    uint64_t server_buffer_bytes; /* bodies and replies of all connections */
    nx_ns head_timeout_ns;        /* from its first byte to its last */
    nx_ns stall_timeout_ns;       /* a peer that owes bytes, or reads none, for so long */
    nx_ns body_grace_ns;          /* then a body must have come at 64 KiB/s on average */
    nx_ns idle_timeout_ns;        /* between requests */
    nx_ns handling_timeout_ns;    /* of the service: then 504 */
};

struct nx_http_limits nx_http_limits_default(void);

enum nx_status nx_http_open(const struct nx_http_limits *limits,
                            const struct nx_http_service *service, uint64_t seed,
                            struct nx_http **http, struct nx_err *err);
void nx_http_close(struct nx_http *http);

/* Takes over the stream and the bytes read from it so far; also on failure, when it is closed. */
void nx_http_adopt(struct nx_http *http, struct nx_stream stream, const char *peer,
                   bool peer_is_here, const void *first, size_t len, nx_ns now);
/* Closes one connection that can be spared: one whose head was begun longer than `begun_age`
 * ago, or the longest idle; of `from` alone unless that is NULL. False: there is none. */
bool nx_http_evict(struct nx_http *http, const struct nx_peer *from, nx_ns begun_age, nx_ns now);
/* Right after open: connections count there. `peers` outlives http. */
void nx_http_set_peers(struct nx_http *http, struct nx_peers *peers);

int nx_http_fd(const struct nx_http *http); /* an epoll descriptor */
bool nx_http_poll(struct nx_http *http, nx_ns now);
nx_ns nx_http_next_timer(const struct nx_http *http); /* as of nx_grpc_next_timer */

/* From now on each reply is its connection's last; connections still come and are served. */
void nx_http_announce_drain(struct nx_http *http);
/* Idle connections close, the others after their reply. */
void nx_http_drain(struct nx_http *http, nx_ns now);
bool nx_http_drained(const struct nx_http *http);

struct nx_http_stats {
    uint32_t connections, exchanges; /* now */
    uint64_t buffered_bytes;         /* now */
    uint64_t accepted, refused, evicted, abused, timed_out, requests;
};
struct nx_http_stats nx_http_stats(const struct nx_http *http);

/* The rest is for services, on an exchange that is not over. */

const struct nx_http_ask *nx_http_ask(const struct nx_http_exchange *x);
void nx_http_set_user(struct nx_http_exchange *x, void *user);
void *nx_http_user(const struct nx_http_exchange *x);
/* In on_head: a bound below limits.body_bytes_max. */
void nx_http_set_body_max(struct nx_http_exchange *x, uint64_t bytes);

/* In on_head: a bound on what a packed body inflates to, if that is to be less. */
void nx_http_set_plain_max(struct nx_http_exchange *x, uint64_t bytes);

/* For logs; cut where the ask has no more room. */
void nx_http_set_about(struct nx_http_exchange *x, const char *about);
void nx_http_set_route(struct nx_http_exchange *x, const char *route);
void nx_http_name_caller(struct nx_http_exchange *x, const char *name);

/* From on_request on: the body is the caller's, who frees it before the server closes; *body is
 * unused before. ask->body stays what it is until then. */
void nx_http_take_body(struct nx_http_exchange *x, struct nx_grpc_buffer *body);

/* A header beside those that every reply has. Both are copied; too many are dropped. No control bytes. */
void nx_http_header(struct nx_http_exchange *x, const char *name, const char *value);
/* Ends the exchange; the body is copied. 500 goes out instead if there is no room for it. */
void nx_http_reply(struct nx_http_exchange *x, int status, const char *content_type,
                   const void *body, size_t len);

/* The value of a query parameter, decoded. NX_NOT_FOUND; NX_INVALID with a sentence: malformed or over cap - 1 bytes. */
enum nx_status nx_http_query(const struct nx_http_ask *ask, const char *name, char *dst, size_t cap,
                             struct nx_err *err);
/* The same for a string of that form: a query, or an urlencoded body. */
enum nx_status nx_http_form_value(struct nx_http_span form, const char *name, char *dst, size_t cap,
                                  struct nx_err *err);

/* "GET"; "OTHER" for what is none of ours */
const char *nx_http_method_name(enum nx_http_method method);

#endif
