/* grpc_server.h — a gRPC server on HTTP/2: frames and calls, nothing about what they carry.
 *
 *     nx_grpc_open ── loop: { sleep on nx_grpc_fd until nx_grpc_next_timer; nx_grpc_poll } ── close
 *
 * A call, as its service sees it (every upcall comes from within nx_grpc_poll):
 *
 *     on_start ─► on_message* ─► on_end ─► (the service works) ─► nx_call_reply* ─► nx_call_finish
 *         └────────────┴────────────┴──────────────┴──► on_cancel        client gone, deadline,
 * limit
 *
 *   exactly one of nx_call_finish (by the service) and on_cancel (by the wire) ends a call; after
 *   it the service never touches the call again. nx_call_finish may come at any time after on_start
 *   began, also long after on_end, and also before the client has sent everything.
 *
 * Back-pressure  a service that cannot take a message now answers NX_CALL_HELD. The wire keeps the
 *         message, lets the stream's flow-control window close, and offers the message again,
 * whole, after nx_call_resume. Held bytes of a call <= one message + one stream window, so an
 *         upload of any length passes in bounded memory.
 * Bounds  struct nx_grpc_limits: connections, calls, streams, header bytes, message bytes, buffered
 *         bytes per connection and in all, control frames per second, idle and stalled time.
 * Thread  all of it, services included, belongs to the one thread that polls. None is started.
 * Idle    with nothing due, nothing runs: nx_grpc_fd is silent and nx_grpc_next_timer far away.
 * Failure hostile or broken peers lose their call or their connection, never the listener.
 *         Descriptor exhaustion closes half-open and idle connections, or the new one. */
#ifndef NX_GRPC_SERVER_H
#define NX_GRPC_SERVER_H

#include "common/clock.h"
#include "common/request_trace.h"
#include "common/status.h"
#include "function_tier/grpc/grpc_peers.h"
#include "function_tier/grpc/grpc_status.h"
#include "function_tier/tls/tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nx_grpc; /* the server */
struct nx_call; /* one RPC */

enum nx_call_kind {
    NX_CALL_UNARY,         /* one message in, one out */
    NX_CALL_CLIENT_STREAM, /* many in, one out */
    NX_CALL_SERVER_STREAM, /* one in, many out */
    NX_CALL_BIDI,          /* many in, many out, in any interleaving */
};

enum { NX_CALL_CALLER_BYTES = 32, NX_CALL_ABOUT_BYTES = 128 };

enum nx_call_take {
    NX_CALL_TAKEN, /* done with these bytes */
    NX_CALL_HELD,  /* not now: offer them again after nx_call_resume */
};

/* Why the wire ended a call. */
enum nx_call_gone {
    NX_CALL_GONE_RESET,      /* the client cancelled */
    NX_CALL_GONE_DEADLINE,   /* grpc-timeout, or limits.call_timeout_ns, has passed */
    NX_CALL_GONE_CONNECTION, /* the connection broke or was closed */
    NX_CALL_GONE_REFUSED, /* the wire refused what the client sent: malformed, too large, stalled */
    NX_CALL_GONE_CLOSE,   /* nx_grpc_close */
};

/* One method of a service. Unused upcalls may be NULL, on_message excepted. The struct, and what it
 * points to, outlives the server. */
struct nx_grpc_method {
    const char *path; /* "/sospdemo.FunctionTierService/Whatsthis" */
    enum nx_call_kind kind;
    void *ctx; /* the service's own: nx_call_ctx */

    /* Path, metadata and deadline are known. May set the user pointer; may finish. */
    void (*on_start)(struct nx_call *call, nx_ns now);

    /* One whole message, decompressed; `bytes` is valid during the upcall only. len may be 0.
     * UNARY and SERVER_STREAM: called once (per offer), after the client has half-closed; a client
     * that sends none or two is refused by the wire. */
    enum nx_call_take (*on_message)(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now);

    /* The client has half-closed and every message was taken. CLIENT_STREAM and BIDI only. */
    void (*on_end)(struct nx_call *call, nx_ns now);

    /* The call is over and `call` dies with this upcall; the client is told by the wire. */
    void (*on_cancel)(struct nx_call *call, enum nx_call_gone why);

    /* After nx_call_reply said NX_AGAIN: the output has drained. */
    void (*on_writable)(struct nx_call *call, nx_ns now);
};

struct nx_grpc_limits {
    uint32_t connections_max; /* the neighbour's too; half-open, idle and waiting ones make room */
    uint32_t calls_max;       /* of all connections; one may hold as many as are free for all */
    uint32_t streams_per_connection;  /* SETTINGS_MAX_CONCURRENT_STREAMS */
    uint32_t header_bytes_max;        /* decoded, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    uint32_t message_bytes_max;       /* in and decompressed; over it RESOURCE_EXHAUSTED */
    uint32_t reply_bytes_max;         /* unsent bytes of one call's replies */
    uint32_t stream_window_bytes;     /* for calls that upload; others keep 64 KiB */
    uint32_t connection_buffer_bytes; /* all that one connection's calls may buffer */
    uint64_t server_buffer_bytes;     /* all connections together; shared as calls_max is */
    uint32_t control_frames_burst;    /* PING, SETTINGS, PRIORITY, RST_STREAM, empty DATA … */
    uint32_t control_frames_per_s;    /* … over it GOAWAY(ENHANCE_YOUR_CALM) */
    nx_ns idle_timeout_ns;            /* a connection without calls */
    nx_ns stall_timeout_ns;           /* the peer owes bytes, or reads none, for so long */
    nx_ns call_timeout_ns;            /* the deadline of a call that brings none */
};

struct nx_grpc_limits nx_grpc_limits_default(void);

/* Who gets the connections whose first bytes are not HTTP/2's. `take` owns the stream from then on, also when it fails;
 * `make_room` closes a connection of its own that can be spared when there is no room for a new one: idle, or with a request
 * that is begun and no more for `begun_age`; of `from` alone if that is not NULL. `count` says
 * how many it has. All are called from within poll. */
struct nx_grpc_neighbour {
    void *ctx;
    void (*take)(void *ctx, struct nx_stream stream, const char *peer, const void *first,
                 size_t len, nx_ns now);
    bool (*make_room)(void *ctx, const struct nx_peer *from, nx_ns begun_age, nx_ns now);
    uint32_t (*count)(void *ctx);
};

/* Asked before a call reaches its service: metadata and path are known. It may name the caller, and may finish the call,
 * of which the service then never hears. */
struct nx_grpc_guard {
    void *ctx;
    void (*admit)(void *ctx, struct nx_call *call, nx_ns now); /* NULL: everybody is let in */
};

/* Told of each call once it is over for its service, or was refused before that: for logs. */
struct nx_grpc_witness {
    void *ctx;
    void (*ended)(void *ctx, const struct nx_call *call, enum nx_grpc_code code,
                  nx_ns now); /* NULL: nobody looks */
    uint32_t samples; /* of a million traces that begin here, so many are flagged as sampled */
};

enum { NX_GRPC_ALSO_MAX = 4 };

struct nx_grpc_address {
    const char *ip;  /* numeric IPv4 or IPv6 */
    uint16_t port;   /* 0: any */
    const char *key; /* who gave it, for sentences: a key of nexus.cfg; NULL: not known */
};

struct nx_grpc_config {
    struct nx_grpc_address at;                     /* nx_grpc_port tells its port */
    struct nx_grpc_address also[NX_GRPC_ALSO_MAX]; /* where the same is served */
    uint32_t also_count;
    struct nx_grpc_limits limits;
    struct nx_grpc_neighbour neighbour; /* take NULL: there is none, the port speaks HTTP/2 only */
    struct nx_grpc_guard guard;
    struct nx_grpc_witness witness;
    uint64_t seed;          /* of request ids and trace ids */
    struct nx_tls *tls;     /* outlives the server; NULL: plain */
    struct nx_peers *peers; /* outlives the server; NULL: an address may hold all connections */
};

/* Listens. `methods` outlives the server. On failure *server is untouched and `err` names address,
 * port and cause. */
enum nx_status nx_grpc_open(const struct nx_grpc_config *config,
                            const struct nx_grpc_method *methods, size_t method_count,
                            struct nx_grpc **server, struct nx_err *err);

/* Cancels what is in flight (NX_CALL_GONE_CLOSE) and releases everything. Not from an upcall. */
void nx_grpc_close(struct nx_grpc *server);

/* No new connections, GOAWAY on those that are; calls in flight go on. Done when nx_grpc_drained.
 */
void nx_grpc_drain(struct nx_grpc *server, nx_ns now);
bool nx_grpc_drained(const struct nx_grpc *server); /* draining, and no connection is left */

/* Readable when poll has work; an epoll descriptor, so it nests in another epoll. */
int nx_grpc_fd(const struct nx_grpc *server);
uint16_t nx_grpc_port(const struct nx_grpc *server);

/* One turn: bounded work, never blocks. True if more is known to be waiting. */
bool nx_grpc_poll(struct nx_grpc *server, nx_ns now);

/* When poll wants to be called at the latest even if the descriptor stays silent: NX_NEVER, a
 * timer, or 0 when a service has replied, finished or resumed since the last poll. Ask just before
 * sleeping. */
nx_ns nx_grpc_next_timer(const struct nx_grpc *server);

struct nx_grpc_stats {
    uint32_t connections, calls;   /* now */
    uint64_t buffered_bytes;       /* now: messages in assembly or held, replies unsent */
    uint64_t connections_accepted; /* these only grow */
    uint64_t connections_refused;  /* over connections_max, or out of descriptors */
    uint64_t connections_evicted;  /* those that made room */
    uint64_t connections_abused;   /* closed for flooding or a protocol error */
    uint64_t calls_started, calls_cancelled;
};
struct nx_grpc_stats nx_grpc_stats(const struct nx_grpc *server);

/* The rest is for services, on a call that is not over. */

/* Buffers one reply message (a copy). UNARY and CLIENT_STREAM: once. NX_TOO_LARGE: over
 * reply_bytes_max, and never possible. NX_AGAIN: not now, on_writable follows. NX_NO_MEMORY: the
 * connection's or the server's buffers are full. Nothing is buffered unless NX_OK. */
enum nx_status nx_call_reply(struct nx_call *call, const void *bytes, size_t len);

/* Ends the call after the replies buffered so far. `message` may be NULL; it is percent-encoded and
 * cut at 1 KiB. The call is no longer the service's when this returns. */
void nx_call_finish(struct nx_call *call, enum nx_grpc_code code, const char *message);
void nx_call_fail(struct nx_call *call, const struct nx_err *err); /* finish, with err's words */

/* A trailer beside grpc-status, such as grpc-retry-pushback-ms. Name in lower case, value printable
 * ASCII, both copied; NX_TOO_LARGE after a few. */
enum nx_status nx_call_trailer(struct nx_call *call, const char *name, const char *value);

/* From now on its messages must come at 64 KiB/s on average, after 30 s, until the client
 * half-closes; as the one of UNARY and SERVER_STREAM must anyhow. Over it: NX_CALL_GONE_REFUSED,
 * and DEADLINE_EXCEEDED. */
void nx_call_pace(struct nx_call *call);

/* From within on_message, which is going to answer NX_CALL_TAKEN: the block that the message
 * lies in, and that is the service's to free() from now on; the message stays where it is in it.
 * NULL: others lie in it, too; who wants to keep it has to copy. */
uint8_t *nx_call_take_message(struct nx_call *call, const uint8_t *bytes, size_t len);

/* A held message is offered again, and those behind it follow; from the next poll on. */
void nx_call_resume(struct nx_call *call);

/* The call only waits for news from now on: it keeps no connection when room is needed. */
void nx_call_only_waits(struct nx_call *call);

void nx_call_set_user(struct nx_call *call, void *user);
void *nx_call_user(const struct nx_call *call); /* NULL until set */
void *nx_call_ctx(const struct nx_call *call);  /* the method's ctx */
const char *nx_call_path(const struct nx_call *call);
bool nx_call_is_known(const struct nx_call *call);    /* there is such a method */
const char *nx_call_peer(const struct nx_call *call); /* "127.0.0.1:4711" */
/* Who calls, as the guard named them, for logs; "" if it did not. Cut at NX_CALL_CALLER_BYTES - 1. */
void nx_call_name_caller(struct nx_call *call, const char *name);
const char *nx_call_caller(const struct nx_call *call);
/* The client's x-request-id, or a fresh one, and the call's span, below the client's if it told
 * one. The client gets both, as x-request-id and traceresponse in the initial metadata. */
const char *nx_call_request_id(const struct nx_call *call);
const struct nx_trace_ids *nx_call_trace(const struct nx_call *call);
/* What the call is about, for logs; cut at NX_CALL_ABOUT_BYTES - 1. */
void nx_call_set_about(struct nx_call *call, const char *about);
const char *nx_call_about(const struct nx_call *call); /* "" until set */
struct nx_call_figures {
    nx_ns begun; /* its headers were whole */
    uint64_t bytes_in, bytes_out;
};
struct nx_call_figures nx_call_figures(const struct nx_call *call);
nx_ns nx_call_deadline(const struct nx_call *call); /* the client's or call_timeout_ns's */

/* The value of the first header of that name (lower case), or NULL; valid as long as the call.
 * Names ending in -bin: nx_grpc_base64_decode. */
const char *nx_call_metadata(const struct nx_call *call, const char *name);
/* The next one of that name behind `value`, which one of these two gave. */
const char *nx_call_metadata_after(const struct nx_call *call, const char *name, const char *value);

#endif
