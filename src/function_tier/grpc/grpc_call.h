/* grpc_call.h — one RPC's state machine, without HTTP/2. Internal to the wire.
 *
 *                     open ok               half-close            finish / cancel
 *   AWAIT_HEADERS ───────────► AWAIT_MESSAGES ───────► AWAIT_FINISH ───────► AWAIT_FLUSH ──► gone
 *        │  refused before it reached a service              finish / cancel      ▲
 *        └───────────────────────────┴────────────────────────────────────────────┘
 *
 *   the service knows the call  <=>  AWAIT_MESSAGES or AWAIT_FINISH
 *
 * h2.c feeds headers, bytes and the half-close in, and takes out: credit (bytes to give back to the
 * stream's window), output bytes, and the ending. Whatever a service does marks the call woken, and
 * h2.c then settles it, so that no frame is ever submitted from inside a service.
 *
 * Flow control  credit covers every byte received, except while a message is held: then nothing
 * more is given back until the service resumes, and the client stops by itself. */
#ifndef NX_GRPC_CALL_H
#define NX_GRPC_CALL_H

#include "function_tier/grpc/grpc_core.h"

#include <sys/queue.h>

enum nx_call_state {
    NX_CALL_AWAIT_HEADERS,
    NX_CALL_AWAIT_MESSAGES,
    NX_CALL_AWAIT_FINISH,
    NX_CALL_AWAIT_FLUSH,
};

enum { NX_CALL_TRAILERS_MAX = 4, NX_CALL_TRAILER_BYTES = 128, NX_CALL_STATUS_BYTES = 1024 };

struct nx_call_trailer {
    char name[NX_CALL_TRAILER_BYTES], value[NX_CALL_TRAILER_BYTES];
};

/* How the call ends; read by h2.c once state is AWAIT_FLUSH. */
struct nx_call_ending {
    int http_status; /* 200, or what a client that does not speak gRPC gets */
    enum nx_grpc_code code;
    char *message; /* percent-encoded, owned; NULL if none */
    struct nx_call_trailer *trailers;
    unsigned trailer_count;
};

struct nx_call {
    enum nx_call_state state;
    struct nx_grpc_core *core;
    struct nx_h2 *h2;
    int32_t stream_id;
    const struct nx_grpc_method *method;
    void *user;
    const char *peer;
    char caller[NX_CALL_CALLER_BYTES];
    char about[NX_CALL_ABOUT_BYTES];
    char request_id[NX_REQUEST_NAME_BYTES]; /* "" until the headers are whole */
    struct nx_trace_ids trace;
    nx_ns begun;
    uint64_t replied_bytes;
    struct nx_timer timer; /* deadline, stall and linger; looked at lazily */
    nx_ns deadline, progress;

    struct nx_grpc_buffer metadata; /* name NUL value NUL … */
    size_t header_bytes;            /* decoded, all of them, 32 added for each as RFC 9113 counts */
    bool post, content_ok, gzip_in, encoding_unknown, timeout_bad, no_room;

    struct nx_grpc_buffer in, inflated;
    struct nx_inflater *inflater; /* of the message in front, which is inflated in part */
    bool in_line;                 /* … or waits for its turn to be */
    TAILQ_ENTRY(nx_call) in_inflating;
    uint64_t received, credited; /* DATA bytes; credited <= received */
    bool waits;                  /* for news only */
    bool held, paced, half_closed, single_told, told_ended;

    struct nx_grpc_buffer out;
    bool replied, wants_writable;
    struct nx_call_ending ending;

    /* h2.c's: what was submitted, and the lists of its session */
    bool submitted, deferred, woken;
    uint32_t window_raised_bytes;
    LIST_ENTRY(nx_call) in_session;
    TAILQ_ENTRY(nx_call) in_woken;
};

/* A call on a stream whose headers begin. */
void nx_call_init(struct nx_call *call, struct nx_grpc_core *core, struct nx_h2 *h2,
                  struct nx_grpc_budget *budget, int32_t stream_id, const char *peer, nx_ns now);

/* Whose message is to be inflated on in this turn: of those that wait, each in its turn; it is woken. */
void nx_call_inflate_next(struct nx_grpc_core *core);

/* Releases what the call holds. If a service still knows it, on_cancel(why) first. */
void nx_call_fini(struct nx_call *call, enum nx_call_gone why);

/* One header. NX_TOO_LARGE when the peer went so far over the limit that the connection should go;
 * a header list over the limit otherwise only fails the call. */
enum nx_status nx_call_header(struct nx_call *call, const char *name, size_t name_len,
                              const char *value, size_t value_len);

void nx_call_headers_done(struct nx_call *call, nx_ns now); /* → AWAIT_MESSAGES or refused */
void nx_call_input(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now);
void nx_call_half_close(struct nx_call *call, nx_ns now);
void nx_call_pump(struct nx_call *call, nx_ns now); /* offers what waits, after a resume */

/* Bytes to give back to the stream's window now. */
size_t nx_call_take_credit(struct nx_call *call);

void nx_call_wrote(struct nx_call *call, nx_ns now); /* output was taken from call->out */

/* The wire ends the call: on_cancel(why) if a service knows it, then this status to the client. */
__attribute__((format(printf, 4, 5))) void nx_call_end_by_wire(struct nx_call *call,
                                                               enum nx_call_gone why,
                                                               enum nx_grpc_code code,
                                                               const char *format, ...);

/* Supplied by h2.c. */
void nx_h2_wake(struct nx_h2 *h2, struct nx_call *call);
void nx_h2_abandon(struct nx_call *call); /* the peer does not read the ending: reset the stream */

#endif
