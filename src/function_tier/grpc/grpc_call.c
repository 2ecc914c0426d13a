#include "function_tier/grpc/grpc_call.h"

#include "common/nx_assert.h"
#include "function_tier/grpc/grpc_frame.h"
#include "function_tier/grpc/grpc_inflate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_AHEAD = 4, UPLOAD_BYTES_PER_S = 64 << 10 };

#define UPLOAD_GRACE (30 * NX_SEC)

static bool service_knows(const struct nx_call *call)
{
    return call->state == NX_CALL_AWAIT_MESSAGES || call->state == NX_CALL_AWAIT_FINISH;
}

static bool one_message_in(const struct nx_call *call)
{
    return call->method->kind == NX_CALL_UNARY || call->method->kind == NX_CALL_SERVER_STREAM;
}

/* The message in front is being inflated, or waits to be. */
static bool inflates(const struct nx_call *call)
{
    return call->inflater || call->in_line || call->core->inflate_turn == call;
}

/* Until when a client that keeps its side open is waited for: who drips is not waited for as long as it likes. */
static nx_ns upload_due(const struct nx_call *call)
{
    if (!service_knows(call) || call->half_closed || call->held || inflates(call) ||
        !(call->paced || one_message_in(call)))
        return NX_NEVER;
    return call->begun + UPLOAD_GRACE + (nx_ns)(call->received / UPLOAD_BYTES_PER_S) * NX_SEC;
}

static nx_ns next_look(const struct nx_call *call, nx_ns now)
{
    nx_ns stall = call->progress + call->core->limits.stall_timeout_ns;
    if (stall <= now)
        stall = now + call->core->limits.stall_timeout_ns;
    if (upload_due(call) < stall && upload_due(call) > now)
        stall = upload_due(call);
    return service_knows(call) && call->deadline < stall ? call->deadline : stall;
}

/* A client that owes bytes and sends none, or is owed bytes and reads none. */
static bool stalled(const struct nx_call *call, nx_ns now)
{
    bool owes = !call->half_closed && !call->held && call->method->kind != NX_CALL_BIDI;
    bool reads_nothing = nx_grpc_buffer_len(&call->out) > 0;
    return (owes || reads_nothing) && now >= call->progress + call->core->limits.stall_timeout_ns;
}

static void look_at_time(struct nx_timer *timer, nx_ns now)
{
    struct nx_call *call = (struct nx_call *)((char *)timer - offsetof(struct nx_call, timer));
    nx_ns stall_ns = call->core->limits.stall_timeout_ns;
    if (!service_knows(call)) {
        if (now >= call->progress + stall_ns) {
            nx_h2_abandon(call);
            return;
        }
    } else if (now >= call->deadline) {
        nx_call_end_by_wire(call, NX_CALL_GONE_DEADLINE, NX_GRPC_DEADLINE_EXCEEDED,
                            "deadline exceeded");
    } else if (now >= upload_due(call)) {
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_DEADLINE_EXCEEDED,
                            "the request came too slowly: %llu bytes in %lld s",
                            (unsigned long long)call->received,
                            (long long)((now - call->begun) / NX_SEC));
    } else if (stalled(call, now)) {
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_DEADLINE_EXCEEDED,
                            "no byte came or went for %lld s", (long long)(stall_ns / NX_SEC));
    }
    nx_timer_arm(&call->core->timers, &call->timer, next_look(call, now));
}

void nx_call_init(struct nx_call *call, struct nx_grpc_core *core, struct nx_h2 *h2,
                  struct nx_grpc_budget *budget, int32_t stream_id, const char *peer, nx_ns now)
{
    *call = (struct nx_call){
        .state = NX_CALL_AWAIT_HEADERS,
        .core = core,
        .h2 = h2,
        .stream_id = stream_id,
        .peer = peer,
        .timer = {.fire = look_at_time},
        .deadline = NX_NEVER,
        .ending = {.http_status = 200},
    };
    nx_grpc_buffer_init(&call->metadata, budget);
    nx_grpc_buffer_init(&call->in, budget);
    nx_grpc_buffer_init(&call->inflated, budget);
    nx_grpc_buffer_init(&call->out, budget);
    core->calls++;
    call->progress = now;
    nx_timer_arm(&core->timers, &call->timer, next_look(call, now));
}

/* Once, whatever ended it. */
static void tell_ended(struct nx_call *call, enum nx_grpc_code code)
{
    const struct nx_grpc_witness *witness = &call->core->witness;
    if (call->told_ended || !call->request_id[0])
        return;
    call->told_ended = true;
    if (witness->ended)
        witness->ended(witness->ctx, call, code, call->core->now);
}

static void tell_cancelled(struct nx_call *call, enum nx_call_gone why)
{
    call->state = NX_CALL_AWAIT_FLUSH;
    call->core->stats.calls_cancelled++;
    if (!call->method->on_cancel)
        return;
    call->core->upcalls++;
    call->method->on_cancel(call, why);
    call->core->upcalls--;
}

static void end_inflating(struct nx_call *call)
{
    nx_inflater_close(call->inflater);
    call->inflater = NULL;
    if (call->in_line)
        TAILQ_REMOVE(&call->core->inflating, call, in_inflating);
    call->in_line = false;
    if (call->core->inflate_turn == call)
        call->core->inflate_turn = NULL;
}

void nx_call_fini(struct nx_call *call, enum nx_call_gone why)
{
    if (service_knows(call))
        tell_cancelled(call, why);
    tell_ended(call, NX_GRPC_CANCELLED);
    nx_timer_disarm(&call->core->timers, &call->timer);
    nx_grpc_buffer_free(&call->metadata);
    nx_grpc_buffer_free(&call->in);
    end_inflating(call);
    nx_grpc_buffer_free(&call->inflated);
    nx_grpc_buffer_free(&call->out);
    free(call->ending.message);
    free(call->ending.trailers);
    nx_assert(call->core->calls > 0);
    call->core->calls--;
}

static void set_message(struct nx_call_ending *ending, const char *text)
{
    char encoded[NX_CALL_STATUS_BYTES];
    if (nx_grpc_percent_encode(text, encoded, sizeof encoded) > 0)
        ending->message = strdup(encoded); /* NULL: the code alone must do */
}

void nx_call_end_by_wire(struct nx_call *call, enum nx_call_gone why, enum nx_grpc_code code,
                         const char *format, ...)
{
    if (call->state == NX_CALL_AWAIT_FLUSH)
        return;
    bool known = service_knows(call);
    char text[NX_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    call->state = NX_CALL_AWAIT_FLUSH;
    call->ending.code = code;
    set_message(&call->ending, text);
    call->progress = call->core->now;
    if (known)
        tell_cancelled(call, why);
    tell_ended(call, code);
    nx_grpc_buffer_free(&call->out); /* half a reply is of no use beside an error */
    nx_h2_wake(call->h2, call);
}

void nx_call_finish(struct nx_call *call, enum nx_grpc_code code, const char *message)
{
    nx_assert(service_knows(call));
    call->state = NX_CALL_AWAIT_FLUSH;
    call->ending.code = code;
    if (message)
        set_message(&call->ending, message);
    call->progress = call->core->now;
    tell_ended(call, code);
    nx_h2_wake(call->h2, call);
}

static void refuse_open(struct nx_call *call, int http_status)
{
    call->ending.http_status = http_status;
    nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_UNKNOWN, "HTTP %d", http_status);
}

/* Names each reason not to open a call; true if there was one. */
static bool refused_by_headers(struct nx_call *call)
{
    const struct nx_grpc_limits *limits = &call->core->limits;
    const enum nx_call_gone why = NX_CALL_GONE_REFUSED;
    if (call->header_bytes > limits->header_bytes_max)
        nx_call_end_by_wire(call, why, NX_GRPC_RESOURCE_EXHAUSTED,
                            "request headers of %zu bytes, the limit is %u", call->header_bytes,
                            limits->header_bytes_max);
    else if (call->no_room)
        nx_call_end_by_wire(call, why, NX_GRPC_RESOURCE_EXHAUSTED, "no room for request headers");
    else if (!call->post)
        refuse_open(call, 405);
    else if (!call->content_ok)
        refuse_open(call, 415);
    else if (!call->method)
        nx_call_end_by_wire(call, why, NX_GRPC_UNIMPLEMENTED, "unknown method %.200s",
                            nx_call_metadata(call, ":path"));
    else if (call->encoding_unknown)
        nx_call_end_by_wire(call, why, NX_GRPC_UNIMPLEMENTED,
                            "grpc-encoding %.64s is not supported, identity and gzip are",
                            nx_call_metadata(call, "grpc-encoding"));
    else if (call->timeout_bad)
        nx_call_end_by_wire(call, why, NX_GRPC_INVALID_ARGUMENT, "grpc-timeout %.64s is malformed",
                            nx_call_metadata(call, "grpc-timeout"));
    else
        return false;
    return true;
}

/* Two traceparents are none. */
static const char *traceparent(const struct nx_call *call)
{
    static const char name[] = "traceparent";
    const char *found = nx_call_metadata(call, name);
    return found && nx_call_metadata_after(call, name, found) ? NULL : found;
}

static void name_call(struct nx_call *call, nx_ns now)
{
    const char *id = nx_call_metadata(call, "x-request-id"), *parent = traceparent(call);
    struct nx_grpc_core *core = call->core;
    nx_request_name(&core->prng, id, id ? strlen(id) : 0, call->request_id);
    nx_trace_join(&core->prng, parent, parent ? strlen(parent) : 0,
                  nx_trace_draw(&core->prng, core->witness.samples), &call->trace);
    call->begun = now;
}

void nx_call_headers_done(struct nx_call *call, nx_ns now)
{
    const struct nx_grpc_limits *limits = &call->core->limits;
    call->progress = now;
    name_call(call, now);
    if (call->deadline == NX_NEVER) /* a relative timeout until now */
        call->deadline = limits->call_timeout_ns;
    call->deadline = call->deadline < NX_NEVER - now ? call->deadline + now : NX_NEVER;
    if (!refused_by_headers(call)) {
        call->state = NX_CALL_AWAIT_MESSAGES;
        call->core->stats.calls_started++;
        call->core->upcalls++;
        if (call->core->guard.admit)
            call->core->guard.admit(call->core->guard.ctx, call, now);
        if (call->state == NX_CALL_AWAIT_MESSAGES && call->method->on_start)
            call->method->on_start(call, now);
        call->core->upcalls--;
    }
    nx_timer_arm(&call->core->timers, &call->timer, next_look(call, now));
}

static enum nx_call_take offer(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    call->core->upcalls++;
    enum nx_call_take take = call->method->on_message(call, bytes, len, now);
    call->core->upcalls--;
    if (call->state == NX_CALL_AWAIT_FLUSH)
        return NX_CALL_TAKEN;
    call->held = take == NX_CALL_HELD;
    return take;
}

static void refuse_inflating(struct nx_call *call, enum nx_status status, uint32_t bytes)
{
    if (status == NX_INVALID)
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_INTERNAL,
                            "a compressed message in a call without grpc-encoding gzip");
    else if (status == NX_CORRUPT)
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_INVALID_ARGUMENT,
                            "a message of %u bytes is not one gzip member", bytes);
    else
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_RESOURCE_EXHAUSTED,
                            "a message of %u bytes inflates over the limit of %u bytes", bytes,
                            call->core->limits.message_bytes_max);
}

static bool has_turn(const struct nx_call *call)
{
    const struct nx_grpc_core *core = call->core;
    bool nobody_waits = !core->inflate_turn && TAILQ_EMPTY(&core->inflating);
    return core->inflate_left > 0 && (core->inflate_turn == call || nobody_waits);
}

/* What this turn has left for it. A message that was held is inflated already. */
static enum nx_status inflate_more(struct nx_call *call, const struct nx_grpc_frame *frame)
{
    size_t had = nx_grpc_buffer_len(&call->inflated), *left = &call->core->inflate_left;
    if (!call->inflater) {
        if (had > 0)
            return NX_OK;
        if (!call->gzip_in)
            return NX_INVALID;
        if (frame->message_bytes == 0)
            return NX_CORRUPT;
        if (!has_turn(call))
            return NX_AGAIN; /* an inflater is some 40 KB */
        NX_TRY(nx_inflater_open(NX_INFLATE_GZIP, frame->message, frame->message_bytes,
                                call->core->limits.message_bytes_max, &call->inflater));
    }
    if (!has_turn(call))
        return NX_AGAIN;
    enum nx_status status = nx_inflater_step(call->inflater, frame->message, frame->message_bytes,
                                             *left, &call->inflated);
    size_t came = nx_grpc_buffer_len(&call->inflated) - had;
    /* A step that reads much and makes little counts as a whole one. */
    *left = status == NX_AGAIN || came > *left ? 0 : *left - came;
    return status;
}

/* Each in its turn: who comes while others wait goes to the end of the line, and so does who is not done. */
static void stand_in_line(struct nx_call *call)
{
    if (call->core->inflate_turn == call)
        call->core->inflate_turn = NULL;
    if (!call->in_line)
        TAILQ_INSERT_TAIL(&call->core->inflating, call, in_inflating);
    call->in_line = true;
}

void nx_call_inflate_next(struct nx_grpc_core *core)
{
    struct nx_call *call = TAILQ_FIRST(&core->inflating);
    if (core->inflate_turn || !call)
        return;
    TAILQ_REMOVE(&core->inflating, call, in_inflating);
    call->in_line = false;
    core->inflate_turn = call;
    nx_h2_wake(call->h2, call);
}

/* True if the message is there in full. It goes on in the next turn, or the call is over. */
static bool inflate(struct nx_call *call, const struct nx_grpc_frame *frame)
{
    enum nx_status status = inflate_more(call, frame);
    if (status == NX_AGAIN) {
        stand_in_line(call);
        return false;
    }
    end_inflating(call);
    if (status != NX_OK)
        refuse_inflating(call, status, frame->message_bytes);
    return status == NX_OK;
}

/* True if the message is done with, and the next may come. */
static bool deliver(struct nx_call *call, const struct nx_grpc_frame *frame, nx_ns now)
{
    if (!frame->compressed)
        return offer(call, frame->message, frame->message_bytes, now) == NX_CALL_TAKEN;
    if (!inflate(call, frame))
        return false;
    enum nx_call_take take =
        offer(call, nx_grpc_buffer_span(&call->inflated), nx_grpc_buffer_len(&call->inflated), now);
    if (take == NX_CALL_TAKEN)
        nx_grpc_buffer_free(&call->inflated);
    return take == NX_CALL_TAKEN;
}

static void refuse_frame(struct nx_call *call, enum nx_status status,
                         const struct nx_grpc_frame *frame)
{
    if (status == NX_TOO_LARGE)
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_RESOURCE_EXHAUSTED,
                            "a message of %u bytes, the limit is %u", frame->message_bytes,
                            call->core->limits.message_bytes_max);
    else
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_INTERNAL,
                            "a message that starts with neither 0 nor 1");
}

/* The single message of a unary call waits for the half-close, which proves it is the only one. */
static bool waits_for_half_close(struct nx_call *call, const struct nx_grpc_frame *frame,
                                 size_t len)
{
    if (!one_message_in(call))
        return false;
    if (frame->total_bytes && len > frame->total_bytes) {
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_INVALID_ARGUMENT,
                            "more than one message in a call that takes one");
        return true;
    }
    return !call->half_closed;
}

/* Offers the whole messages of a span; returns how many of its bytes are done with. */
static size_t offer_span(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    size_t used = 0;
    while (service_knows(call) && !call->held && used < len) {
        struct nx_grpc_frame frame;
        enum nx_status status = nx_grpc_frame_parse(bytes + used, len - used,
                                                    call->core->limits.message_bytes_max, &frame);
        if (status == NX_TOO_LARGE || status == NX_CORRUPT)
            refuse_frame(call, status, &frame);
        else if (waits_for_half_close(call, &frame, len - used) || status == NX_AGAIN)
            break;
        else if (!deliver(call, &frame, now))
            break;
        else {
            used += frame.total_bytes;
            call->single_told = true;
        }
    }
    return service_knows(call) ? used : len;
}

/* How long the input gets, as far as the message in its front tells: known at once, but no more than KEEP_AHEAD times what
 * is here, since a claim costs nothing. */
static size_t length_ahead(const struct nx_call *call, const uint8_t *bytes, size_t len)
{
    struct nx_grpc_frame frame;
    size_t here = nx_grpc_buffer_len(&call->in);
    size_t most = (here + len) * KEEP_AHEAD;
    const uint8_t *front = here ? nx_grpc_buffer_span(&call->in) : bytes;
    if (nx_grpc_frame_parse(front, here ? here : len, call->core->limits.message_bytes_max,
                            &frame) != NX_AGAIN ||
        frame.total_bytes < here + len)
        return here + len;
    return frame.total_bytes < most ? frame.total_bytes : most;
}

static void keep(struct nx_call *call, const uint8_t *bytes, size_t len)
{
    size_t more = length_ahead(call, bytes, len) - nx_grpc_buffer_len(&call->in);
    (void)nx_grpc_buffer_reserve(&call->in, more); /* without it the room comes bit by bit */
    if (nx_grpc_buffer_append(&call->in, bytes, len) != NX_OK)
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_RESOURCE_EXHAUSTED,
                            "no room to keep %zu bytes of this call", len);
}

static void drop_input(struct nx_call *call)
{
    nx_grpc_buffer_free(&call->in);
    nx_grpc_buffer_free(&call->inflated);
    end_inflating(call);
    call->held = false;
}

static void end_input(struct nx_call *call, nx_ns now)
{
    if (!call->half_closed || call->held || inflates(call) || !service_knows(call))
        return;
    size_t left = nx_grpc_buffer_len(&call->in);
    if (left > 0) {
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_INVALID_ARGUMENT,
                            "the stream ended within a message, after %zu of its bytes", left);
        return;
    }
    if (one_message_in(call) && !call->single_told) {
        nx_call_end_by_wire(call, NX_CALL_GONE_REFUSED, NX_GRPC_INVALID_ARGUMENT,
                            "no message in a call that takes one");
        return;
    }
    if (call->state != NX_CALL_AWAIT_MESSAGES)
        return;
    call->state = NX_CALL_AWAIT_FINISH;
    if (one_message_in(call) || !call->method->on_end)
        return;
    call->core->upcalls++;
    call->method->on_end(call, now);
    call->core->upcalls--;
}

void nx_call_pump(struct nx_call *call, nx_ns now)
{
    if (call->wants_writable && service_knows(call) && nx_grpc_buffer_len(&call->out) == 0) {
        call->wants_writable = false;
        call->core->upcalls++;
        if (call->method->on_writable)
            call->method->on_writable(call, now);
        call->core->upcalls--;
    }
    if (service_knows(call) && !call->held) {
        size_t used =
            offer_span(call, nx_grpc_buffer_span(&call->in), nx_grpc_buffer_len(&call->in), now);
        if (nx_grpc_buffer_len(&call->in) > 0) /* the service has not taken it whole */
            nx_grpc_buffer_pop(&call->in, used);
        end_input(call, now);
    }
    if (call->state == NX_CALL_AWAIT_FLUSH)
        drop_input(call);
}

void nx_call_input(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    call->received += len;
    if (!service_knows(call))
        return;
    call->progress = now;
    if (nx_grpc_buffer_len(&call->in) > 0) {
        keep(call, bytes, len);
        nx_call_pump(call, now);
        return;
    }
    size_t used = offer_span(call, bytes, len, now);
    if (used < len)
        keep(call, bytes + used, len - used);
    if (call->state == NX_CALL_AWAIT_FLUSH)
        drop_input(call);
}

void nx_call_half_close(struct nx_call *call, nx_ns now)
{
    call->half_closed = true;
    call->progress = now;
    nx_call_pump(call, now);
}

void nx_call_pace(struct nx_call *call)
{
    /* its timer is armed behind on_start, and looks again before the grace has passed */
    call->paced = true;
}

/* Whether these are the last bytes of the buffer, with `before` others in front. */
static bool is_alone(const struct nx_grpc_buffer *buffer, const uint8_t *bytes, size_t len,
                     size_t before)
{
    return buffer->bytes && nx_grpc_buffer_len(buffer) == before + len &&
           nx_grpc_buffer_span(buffer) + before == bytes;
}

uint8_t *nx_call_take_message(struct nx_call *call, const uint8_t *bytes, size_t len)
{
    nx_assert(call->core->upcalls > 0 && len > 0);
    if (is_alone(&call->in, bytes, len, NX_GRPC_PREFIX_BYTES))
        return nx_grpc_buffer_release(&call->in);
    return is_alone(&call->inflated, bytes, len, 0) ? nx_grpc_buffer_release(&call->inflated)
                                                    : NULL;
}

void nx_call_resume(struct nx_call *call)
{
    nx_assert(service_knows(call));
    if (!call->held)
        return;
    call->held = false;
    call->progress = call->core->now;
    nx_h2_wake(call->h2, call);
}

size_t nx_call_take_credit(struct nx_call *call)
{
    if (call->held || inflates(call))
        return 0;
    uint64_t credit = call->received - call->credited;
    call->credited = call->received;
    return (size_t)credit;
}

void nx_call_wrote(struct nx_call *call, nx_ns now)
{
    call->progress = now;
    if (call->wants_writable && nx_grpc_buffer_len(&call->out) == 0)
        nx_h2_wake(call->h2, call);
}
