#include "function_tier/grpc/h2.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "function_tier/grpc/grpc_call.h"
#include "function_tier/grpc/h2_headers.h"
#include "function_tier/grpc/h2_memory.h"

#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTION_WINDOW_BYTES = 16 << 20, /* streams push back, the connection never does */
    STREAM_WINDOW_BYTES = 65535,        /* until a call turns out to be an upload */
    PING_TOKENS = 1,
    RESET_TOKENS = 10, /* a reset costs us a whole call */
};

struct nx_h2 {
    nghttp2_session *session; /* not to be touched while the room is folded */
    struct nx_room room;
    struct nx_grpc_core *core;
    const char *peer;
    void *owner;
    struct nx_grpc_budget budget;
    LIST_HEAD(, nx_call) calls;
    TAILQ_HEAD(, nx_call) woken_calls;
    TAILQ_ENTRY(nx_h2) in_woken;
    uint64_t raised_bytes; /* stream windows granted beyond STREAM_WINDOW_BYTES */
    int64_t tokens;        /* for control frames; below 0 the connection goes */
    nx_ns tokens_at, now;
    unsigned call_count, woken_count;
    bool woken, greeted, flooded;
};

/* A call changed: its frames are submitted when the session is settled. */
void nx_h2_wake(struct nx_h2 *h2, struct nx_call *call)
{
    if (!call->woken) {
        call->woken = true;
        TAILQ_INSERT_TAIL(&h2->woken_calls, call, in_woken);
        h2->woken_count++;
    }
    if (!h2->woken) {
        h2->woken = true;
        TAILQ_INSERT_TAIL(&h2->core->woken, h2, in_woken);
    }
}

static void unwake_call(struct nx_call *call)
{
    if (!call->woken)
        return;
    TAILQ_REMOVE(&call->h2->woken_calls, call, in_woken);
    call->h2->woken_count--;
    call->woken = false;
}

static void unwake(struct nx_h2 *h2)
{
    if (h2->woken)
        TAILQ_REMOVE(&h2->core->woken, h2, in_woken);
    h2->woken = false;
}

struct nx_h2 *nx_h2_next_woken(struct nx_grpc_core *core)
{
    struct nx_h2 *h2 = TAILQ_FIRST(&core->woken);
    if (h2)
        unwake(h2);
    return h2;
}

static void refill(struct nx_h2 *h2)
{
    const struct nx_grpc_limits *limits = &h2->core->limits;
    nx_ns passed = h2->now - h2->tokens_at;
    int64_t earned = passed >= 60 * NX_SEC ? limits->control_frames_burst
                                           : passed * limits->control_frames_per_s / NX_SEC;
    if (earned <= 0)
        return;
    h2->tokens += earned;
    if (h2->tokens > (int64_t)limits->control_frames_burst)
        h2->tokens = limits->control_frames_burst;
    h2->tokens_at = h2->now;
}

static int spend(struct nx_h2 *h2, int tokens)
{
    h2->tokens -= tokens;
    if (h2->tokens >= 0)
        return 0;
    refill(h2);
    if (h2->tokens >= 0)
        return 0;
    h2->flooded = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static struct nx_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

/* As with the buffers: a connection may hold as many calls as are still free for all, so that a few
 * which open streams and say nothing do not take everybody's place. */
static bool admits_call(const struct nx_h2 *h2)
{
    return h2->call_count < h2->core->limits.calls_max - h2->core->calls;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct nx_h2 *h2 = user;
    int32_t id = frame->hd.stream_id;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct nx_call *call = admits_call(h2) ? nx_calloc(1, sizeof *call) : NULL;
    if (!call) /* REFUSED_STREAM: nothing was done, the client may retry */
        return nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_REFUSED_STREAM);
    nx_call_init(call, h2->core, h2, &h2->budget, id, h2->peer, h2->now);
    LIST_INSERT_HEAD(&h2->calls, call, in_session);
    h2->call_count++;
    nghttp2_session_set_stream_user_data(session, id, call);
    return 0;
}

static void remove_call(struct nx_h2 *h2, struct nx_call *call, enum nx_call_gone why)
{
    nx_call_fini(call, why);
    unwake_call(call);
    LIST_REMOVE(call, in_session);
    h2->raised_bytes -= call->window_raised_bytes;
    h2->call_count--;
    free(call);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *user)
{
    (void)code;
    struct nx_call *call = call_of(session, stream_id);
    if (call)
        remove_call(user, call, NX_CALL_GONE_RESET);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct nx_h2 *h2 = user;
    (void)flags;
    struct nx_call *call = call_of(session, frame->hd.stream_id);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || !call)
        return 0;
    if (nx_call_header(call, (const char *)name, name_len, (const char *)value, value_len) == NX_OK)
        return 0;
    h2->flooded = true;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static void raise_window(struct nx_h2 *h2, struct nx_call *call)
{
    uint32_t window = h2->core->limits.stream_window_bytes;
    if (call->window_raised_bytes || call->received < STREAM_WINDOW_BYTES / 2 ||
        window <= STREAM_WINDOW_BYTES ||
        h2->raised_bytes + window > h2->core->limits.connection_buffer_bytes / 2)
        return;
    if (nghttp2_session_set_local_window_size(h2->session, 0, call->stream_id, (int32_t)window))
        return;
    call->window_raised_bytes = window;
    h2->raised_bytes += window;
}

static void give_credit(struct nx_h2 *h2, struct nx_call *call)
{
    size_t credit = nx_call_take_credit(call);
    if (credit)
        nghttp2_session_consume_stream(h2->session, call->stream_id, credit);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                         const uint8_t *bytes, size_t len, void *user)
{
    struct nx_h2 *h2 = user;
    (void)flags;
    /* Always: the memory behind it is bounded by the streams' windows and by the budget. */
    nghttp2_session_consume_connection(session, len);
    struct nx_call *call = call_of(session, stream_id);
    if (!call) {
        nghttp2_session_consume_stream(session, stream_id, len);
        return 0;
    }
    nx_call_input(call, bytes, len, h2->now);
    raise_window(h2, call);
    give_credit(h2, call);
    return 0;
}

static int control_cost(const nghttp2_frame *frame)
{
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM: return RESET_TOKENS;
    case NGHTTP2_PING:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PRIORITY: return PING_TOKENS;
    case NGHTTP2_DATA: return frame->hd.length == 0 && !ends ? PING_TOKENS : 0;
    default: return 0;
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct nx_h2 *h2 = user;
    int cost = control_cost(frame);
    if (cost && spend(h2, cost))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (frame->hd.type == NGHTTP2_SETTINGS)
        h2->greeted = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    struct nx_call *call = call_of(session, frame->hd.stream_id);
    if (!call)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        nx_call_headers_done(call, h2->now);
    if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
        nx_call_half_close(call, h2->now);
    return 0;
}

/* Refused streams and stream errors come here; each makes us send a reset. */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int code,
                            void *user)
{
    (void)session;
    (void)frame;
    (void)code;
    return spend(user, RESET_TOKENS);
}

static int submit_trailers(struct nx_h2 *h2, struct nx_call *call)
{
    nghttp2_nv nv[NX_H2_ENDING_HEADERS_MAX];
    char code[16];
    size_t n = nx_h2_ending_headers(&call->ending, code, nv);
    return nghttp2_submit_trailer(h2->session, call->stream_id, nv, n);
}

static ssize_t read_output(nghttp2_session *session, int32_t stream_id, uint8_t *dst, size_t cap,
                           uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)stream_id;
    struct nx_h2 *h2 = user;
    struct nx_call *call = source->ptr;
    size_t n = nx_grpc_buffer_len(&call->out);
    if (n > cap)
        n = cap;
    if (n > 0) {
        memcpy(dst, nx_grpc_buffer_span(&call->out), n);
        nx_grpc_buffer_pop(&call->out, n);
        nx_call_wrote(call, h2->now);
    }
    if (nx_grpc_buffer_len(&call->out) > 0)
        return (ssize_t)n;
    if (call->state == NX_CALL_AWAIT_FLUSH) {
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        return submit_trailers(h2, call) ? NGHTTP2_ERR_CALLBACK_FAILURE : (ssize_t)n;
    }
    if (n == 0) {
        call->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

static int submit_ending(struct nx_h2 *h2, struct nx_call *call)
{
    nghttp2_nv nv[NX_H2_RESPONSE_HEADERS_MAX + NX_H2_ENDING_HEADERS_MAX];
    char code[16], trace[NX_TRACEPARENT_BYTES];
    if (call->ending.http_status != 200) {
        nv[0] = nx_h2_header(":status", call->ending.http_status == 405 ? "405" : "415");
        return nghttp2_submit_response(h2->session, call->stream_id, nv, 1, NULL);
    }
    size_t n = nx_h2_response_headers(call, trace, nv);
    n += nx_h2_ending_headers(&call->ending, code, nv + n);
    return nghttp2_submit_response(h2->session, call->stream_id, nv, n, NULL);
}

static int submit_response(struct nx_h2 *h2, struct nx_call *call)
{
    nghttp2_nv nv[NX_H2_RESPONSE_HEADERS_MAX];
    char trace[NX_TRACEPARENT_BYTES];
    size_t n = nx_h2_response_headers(call, trace, nv);
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_output};
    return nghttp2_submit_response(h2->session, call->stream_id, nv, n, &provider);
}

static int submit_output(struct nx_h2 *h2, struct nx_call *call)
{
    bool over = call->state == NX_CALL_AWAIT_FLUSH;
    bool waiting = nx_grpc_buffer_len(&call->out) > 0;
    if (!over && !waiting)
        return 0;
    if (!call->submitted) {
        call->submitted = true;
        return waiting ? submit_response(h2, call) : submit_ending(h2, call);
    }
    if (!call->deferred)
        return 0;
    call->deferred = false;
    return nghttp2_session_resume_data(h2->session, call->stream_id);
}

static void settle_call(struct nx_h2 *h2, struct nx_call *call, nx_ns now)
{
    unwake_call(call);
    nx_call_pump(call, now);
    give_credit(h2, call);
    if (submit_output(h2, call) != 0)
        nx_h2_abandon(call);
}

void nx_h2_settle(struct nx_h2 *h2, nx_ns now)
{
    h2->now = now;
    unwake(h2);
    /* A service that wakes its call from an upcall of this very pass is served in the next turn. */
    for (unsigned n = h2->woken_count; n > 0 && h2->woken_count > 0; n--)
        settle_call(h2, TAILQ_FIRST(&h2->woken_calls), now);
}

void nx_h2_abandon(struct nx_call *call)
{
    nghttp2_submit_rst_stream(call->h2->session, 0, call->stream_id, NGHTTP2_CANCEL);
    nx_h2_wake(call->h2, call);
}

/* A client that still uploads is told to stop, but only after the trailers: a reset submitted with
 * them would overtake them and hide the status. */
static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)user;
    int32_t id = frame->hd.stream_id;
    if (frame->hd.type == NGHTTP2_HEADERS && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(session, id) == 0)
        return nghttp2_submit_rst_stream(session, 0, id, NGHTTP2_NO_ERROR);
    return 0;
}

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *cb;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return NULL;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    return cb;
}

static nghttp2_option *options_new(const struct nx_grpc_limits *limits)
{
    nghttp2_option *option;
    if (nghttp2_option_new(&option) != 0)
        return NULL;
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, 0); /* we push nothing */
#ifdef NX_H2_HAVE_RESET_RATE_LIMIT
    /* Ours is the one that counts: the library's 33 resets a second are too few for a busy client
     * whose deadlines expire. */
    nghttp2_option_set_stream_reset_rate_limit(option,
                                               limits->control_frames_burst / RESET_TOKENS + 1,
                                               limits->control_frames_per_s / RESET_TOKENS + 1);
#else
    (void)limits;
#endif
    return option;
}

static int greet(struct nx_h2 *h2)
{
    const struct nx_grpc_limits *limits = &h2->core->limits;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_per_connection},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_bytes_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
    };
    int rc = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries,
                                     sizeof entries / sizeof entries[0]);
    return rc ? rc
              : nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                      CONNECTION_WINDOW_BYTES);
}

static bool session_open(struct nx_h2 *h2)
{
    nghttp2_session_callbacks *cb = callbacks_new();
    nghttp2_option *option = options_new(&h2->core->limits);
    nghttp2_mem memory = {&h2->room, nx_h2_malloc, nx_h2_free, nx_h2_calloc, nx_h2_realloc};
    bool ok = cb && option && nx_room_open(&h2->room, NX_H2_ROOM_BYTES) &&
              nghttp2_session_server_new3(&h2->session, cb, h2, option, &memory) == 0;
    if (cb)
        nghttp2_session_callbacks_del(cb);
    if (option)
        nghttp2_option_del(option);
    return ok && greet(h2) == 0;
}

struct nx_h2 *nx_h2_open(struct nx_grpc_core *core, const char *peer, nx_ns now)
{
    struct nx_h2 *h2 = nx_calloc(1, sizeof *h2);
    if (!h2)
        return NULL;
    TAILQ_INIT(&h2->woken_calls);
    h2->core = core;
    h2->peer = peer;
    h2->now = h2->tokens_at = now;
    h2->tokens = core->limits.control_frames_burst;
    h2->budget = (struct nx_grpc_budget){.limit = core->limits.connection_buffer_bytes,
                                         .parent = &core->memory};
    if (session_open(h2))
        return h2;
    nghttp2_session_del(h2->session);
    nx_room_close(&h2->room);
    free(h2);
    return NULL;
}

bool nx_h2_fold(struct nx_h2 *h2)
{
    if (nx_h2_folded(h2))
        return true;
    bool silent = h2->call_count == 0 && !nghttp2_session_want_write(h2->session) &&
                  nghttp2_session_want_read(h2->session);
    return silent && nx_room_fold(&h2->room);
}

bool nx_h2_folded(const struct nx_h2 *h2)
{
    return nx_room_folded(&h2->room);
}

void nx_h2_close(struct nx_h2 *h2, enum nx_call_gone why)
{
    nx_room_unfold(&h2->room);
    while (!LIST_EMPTY(&h2->calls))
        remove_call(h2, LIST_FIRST(&h2->calls), why);
    unwake(h2);
    nx_assert(h2->budget.used == 0);
    nghttp2_session_del(h2->session);
    nx_room_close(&h2->room);
    free(h2);
}

enum nx_status nx_h2_recv(struct nx_h2 *h2, const uint8_t *bytes, size_t len, nx_ns now)
{
    h2->now = now;
    nx_room_unfold(&h2->room);
    ssize_t taken = nghttp2_session_mem_recv(h2->session, bytes, len);
    if (taken == (ssize_t)len)
        return NX_OK;
    nx_debug("%s: http/2 %s", h2->peer, h2->flooded ? "flood" : nghttp2_strerror((int)taken));
    nghttp2_session_terminate_session(h2->session, h2->flooded || taken == NGHTTP2_ERR_FLOODED
                                                       ? NGHTTP2_ENHANCE_YOUR_CALM
                                                       : NGHTTP2_PROTOCOL_ERROR);
    return NX_CORRUPT;
}

size_t nx_h2_pull(struct nx_h2 *h2, uint8_t *dst, size_t cap, nx_ns now)
{
    size_t used = 0;
    h2->now = now;
    if (nx_h2_folded(h2)) /* it had nothing to send */
        return 0;
    while (cap - used >= NX_H2_PULL_BYTES) {
        const uint8_t *frame;
        ssize_t n = nghttp2_session_mem_send(h2->session, &frame);
        if (n <= 0)
            break;
        nx_assert((size_t)n <= NX_H2_PULL_BYTES);
        memcpy(dst + used, frame, (size_t)n);
        used += (size_t)n;
    }
    return used;
}

void nx_h2_announce_drain(struct nx_h2 *h2)
{
    nx_room_unfold(&h2->room);
    nghttp2_submit_shutdown_notice(h2->session);
}

void nx_h2_drain(struct nx_h2 *h2)
{
    nx_room_unfold(&h2->room);
    nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h2->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

bool nx_h2_over(const struct nx_h2 *h2)
{
    return !nx_h2_folded(h2) && !nghttp2_session_want_read(h2->session) &&
           !nghttp2_session_want_write(h2->session);
}

unsigned nx_h2_calls(const struct nx_h2 *h2)
{
    return h2->call_count;
}

bool nx_h2_waits(const struct nx_h2 *h2)
{
    const struct nx_call *call;
    LIST_FOREACH(call, &h2->calls, in_session)
    if (!call->waits)
        return false;
    return true;
}

void nx_h2_part(struct nx_h2 *h2, const char *sentence)
{
    struct nx_call *call;
    LIST_FOREACH(call, &h2->calls, in_session)
    nx_call_end_by_wire(call, NX_CALL_GONE_CONNECTION, NX_GRPC_UNAVAILABLE, "%s", sentence);
    nx_h2_drain(h2);
}

bool nx_h2_greeted(const struct nx_h2 *h2)
{
    return h2->greeted;
}

size_t nx_h2_backlog(const struct nx_h2 *h2)
{
    return nx_h2_folded(h2) ? 0 : nghttp2_session_get_outbound_queue_size(h2->session);
}

void nx_h2_set_owner(struct nx_h2 *h2, void *owner)
{
    h2->owner = owner;
}

void *nx_h2_owner(const struct nx_h2 *h2)
{
    return h2->owner;
}
