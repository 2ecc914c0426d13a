/* grpc_reply.c — what a service asks of its call: replies, trailers, facts. */
#include "function_tier/grpc/grpc_call.h"

#include "common/arena.h"
#include "common/nx_assert.h"
#include "function_tier/grpc/grpc_frame.h"
#include "function_tier/grpc/grpc_inflate.h"

#include <stdio.h>
#include <string.h>

/* Below, the wrapper eats what is won; above, the loop would stand for too long. */
enum { PACK_BYTES_MIN = 1024, PACK_BYTES_MAX = 4 << 20 };

static bool one_message_out(const struct nx_call *call)
{
    return call->method->kind == NX_CALL_UNARY || call->method->kind == NX_CALL_CLIENT_STREAM;
}

/* A client that compresses is answered in kind, where that makes the message smaller. */
static bool packs(const struct nx_call *call, const void *bytes, size_t len,
                  struct nx_grpc_buffer *packed)
{
    return call->gzip_in && len >= PACK_BYTES_MIN && len <= PACK_BYTES_MAX &&
           nx_grpc_deflate(bytes, len, packed) == NX_OK && nx_grpc_buffer_len(packed) < len;
}

static enum nx_status append_message(struct nx_call *call, bool compressed, const void *bytes,
                                     size_t len)
{
    if (nx_grpc_buffer_reserve(&call->out, NX_GRPC_PREFIX_BYTES + len) != NX_OK)
        return NX_NO_MEMORY;
    uint8_t prefix[NX_GRPC_PREFIX_BYTES];
    nx_grpc_frame_prefix(prefix, compressed, (uint32_t)len);
    enum nx_status status = nx_grpc_buffer_append(&call->out, prefix, sizeof prefix);
    nx_assert(status == NX_OK);
    status = nx_grpc_buffer_append(&call->out, bytes, len);
    nx_assert(status == NX_OK);
    return NX_OK;
}

enum nx_status nx_call_reply(struct nx_call *call, const void *bytes, size_t len)
{
    nx_assert(call->state != NX_CALL_AWAIT_HEADERS && call->state != NX_CALL_AWAIT_FLUSH);
    nx_assert(!one_message_out(call) || !call->replied);
    size_t max = call->core->limits.reply_bytes_max, waiting = nx_grpc_buffer_len(&call->out);
    if (len > max)
        return NX_TOO_LARGE;
    if (waiting > 0 && waiting + len > max) {
        call->wants_writable = true;
        return NX_AGAIN;
    }
    struct nx_grpc_buffer packed;
    nx_grpc_buffer_init(&packed, call->out.budget);
    bool pack = packs(call, bytes, len, &packed);
    enum nx_status status =
        pack ? append_message(call, true, nx_grpc_buffer_span(&packed), nx_grpc_buffer_len(&packed))
             : append_message(call, false, bytes, len);
    nx_grpc_buffer_free(&packed);
    NX_TRY(status);
    call->replied = true;
    call->replied_bytes += len;
    call->progress = call->core->now;
    nx_h2_wake(call->h2, call);
    return NX_OK;
}

void nx_call_fail(struct nx_call *call, const struct nx_err *err)
{
    const char *text = err->text[0] ? err->text : nx_status_text(err->status);
    nx_call_finish(call, nx_grpc_code_of(err->status), text);
}

enum nx_status nx_call_trailer(struct nx_call *call, const char *name, const char *value)
{
    struct nx_call_ending *ending = &call->ending;
    if (strlen(name) >= NX_CALL_TRAILER_BYTES || strlen(value) >= NX_CALL_TRAILER_BYTES ||
        ending->trailer_count == NX_CALL_TRAILERS_MAX)
        return NX_TOO_LARGE;
    if (!ending->trailers)
        ending->trailers = nx_calloc(NX_CALL_TRAILERS_MAX, sizeof ending->trailers[0]);
    if (!ending->trailers)
        return NX_NO_MEMORY;
    struct nx_call_trailer *trailer = &ending->trailers[ending->trailer_count++];
    memcpy(trailer->name, name, strlen(name) + 1);
    memcpy(trailer->value, value, strlen(value) + 1);
    return NX_OK;
}

void nx_call_only_waits(struct nx_call *call)
{
    call->waits = true;
}

void nx_call_set_user(struct nx_call *call, void *user)
{
    call->user = user;
}

void *nx_call_user(const struct nx_call *call)
{
    return call->user;
}

void *nx_call_ctx(const struct nx_call *call)
{
    return call->method->ctx;
}

const char *nx_call_path(const struct nx_call *call)
{
    const char *path = call->method ? call->method->path : nx_call_metadata(call, ":path");
    return path ? path : ""; /* a header list over the limit */
}

bool nx_call_is_known(const struct nx_call *call)
{
    return call->method != NULL;
}

const char *nx_call_peer(const struct nx_call *call)
{
    return call->peer;
}

nx_ns nx_call_deadline(const struct nx_call *call)
{
    return call->deadline;
}

void nx_call_name_caller(struct nx_call *call, const char *name)
{
    snprintf(call->caller, sizeof call->caller, "%s", name);
}

const char *nx_call_request_id(const struct nx_call *call)
{
    return call->request_id;
}

const struct nx_trace_ids *nx_call_trace(const struct nx_call *call)
{
    return &call->trace;
}

void nx_call_set_about(struct nx_call *call, const char *about)
{
    snprintf(call->about, sizeof call->about, "%s", about);
}

const char *nx_call_about(const struct nx_call *call)
{
    return call->about;
}

struct nx_call_figures nx_call_figures(const struct nx_call *call)
{
    return (struct nx_call_figures){call->begun, call->received, call->replied_bytes};
}

const char *nx_call_caller(const struct nx_call *call)
{
    return call->caller;
}
