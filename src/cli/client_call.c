#include "cli/client_call.h"

#include "cli/client_args.h"
#include "cli/client_dial.h"
#include "common/arena.h"
#include "common/nx_assert.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    RECONNECT_MS = 200, /* a node that starts, or was too busy, is asked again so soon */
    SLICE_MS = 50,
    REPLY_BYTES_MAX = 1 << 20,
};

/* What is in the library's hands; each bit is also the completion queue's tag for it. */
enum pending { PENDING_WATCH = 1, PENDING_STATUS = 2, PENDING_REPLY = 4, PENDING_SEND = 8 };

struct nx_client_call {
    const char *node;
    const volatile sig_atomic_t *interrupted;
    uint32_t timeout_s;
    gpr_timespec deadline;
    grpc_completion_queue *queue;
    grpc_channel *channel;
    grpc_call *call;  /* NULL until the connection stands */
    unsigned pending; /* enum pending, or-ed */
    bool is_tls, cancelled, send_failed;
    grpc_metadata_array headers, trailers;
    grpc_byte_buffer *reply; /* NULL: none came */
    grpc_status_code code;
    grpc_slice message;
};

/* The library's own log lines would stand between ours; what matters comes back as a status. */
static void drop_log_line(gpr_log_func_args *args)
{
    (void)args;
}

static gpr_timespec in_ms(int64_t ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static gpr_timespec earlier(gpr_timespec a, gpr_timespec b)
{
    return gpr_time_cmp(a, b) < 0 ? a : b;
}

static void cancel(struct nx_client_call *call)
{
    if (call->call && !call->cancelled)
        grpc_call_cancel(call->call, NULL);
    call->cancelled = true;
}

/* Takes one completion, or gives up after a slice of time so that an interrupt is seen. */
static void run_queue(struct nx_client_call *call)
{
    grpc_event event = grpc_completion_queue_next(call->queue, in_ms(SLICE_MS), NULL);
    if (event.type == GRPC_OP_COMPLETE) {
        unsigned what = (unsigned)(uintptr_t)event.tag;
        call->pending &= ~what;
        call->send_failed = call->send_failed || (what == PENDING_SEND && !event.success);
    }
    if (*call->interrupted)
        cancel(call);
}

static void start_ops(struct nx_client_call *call, const grpc_op *ops, size_t count,
                      enum pending what)
{
    nx_assert(!(call->pending & what));
    grpc_call_error error =
        grpc_call_start_batch(call->call, ops, count, (void *)(uintptr_t)what, NULL);
    nx_assert(error == GRPC_CALL_OK); /* else the batch itself is malformed: our mistake */
    call->pending |= what;
}

static enum nx_status interrupted(struct nx_err *err)
{
    return nx_err_set(err, NX_CANCELLED, "interrupted");
}

static void watch(struct nx_client_call *call, grpc_connectivity_state state, gpr_timespec limit)
{
    call->pending |= PENDING_WATCH;
    grpc_channel_watch_connectivity_state(call->channel, state, earlier(in_ms(SLICE_MS), limit),
                                          call->queue, (void *)(uintptr_t)PENDING_WATCH);
    while (call->pending & PENDING_WATCH)
        run_queue(call);
}

/* Why it took too long: what the last attempt came to, or that nothing was heard at all. */
static enum nx_status say_late(const struct nx_client_call *call, bool failed, gpr_timespec limit,
                               struct nx_err *err)
{
    uint32_t patience_ms;
    if (failed)
        return nx_client_dial_why(call->node, call->is_tls, &patience_ms, err);
    return nx_err_set(err, NX_UNAVAILABLE,
                      "no function tier node answers at %s: no answer within %u ms", call->node,
                      gpr_time_cmp(limit, call->deadline) < 0 ? (unsigned)CONNECT_TIMEOUT_MS
                                                              : call->timeout_s * 1000);
}

/* Waits until the channel is ready; the library tries again and again. What the first failure was decides whether there is
 * any use in that. A state change is awaited in short watches, because a watch cannot be taken
 * back and an interrupt must not wait for it. */
static enum nx_status await_ready(struct nx_client_call *call, struct nx_err *err)
{
    gpr_timespec limit = earlier(in_ms(CONNECT_TIMEOUT_MS), call->deadline);
    bool failed = false;
    uint32_t patience_ms = CONNECT_TIMEOUT_MS;
    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(call->channel, 1);
        if (state == GRPC_CHANNEL_READY)
            return NX_OK;
        if (state == GRPC_CHANNEL_TRANSIENT_FAILURE && !failed) {
            failed = true;
            nx_client_dial_why(call->node, call->is_tls, &patience_ms, err);
            limit = earlier(limit, in_ms(patience_ms));
        }
        if (*call->interrupted)
            return interrupted(err);
        if (patience_ms == 0)
            return NX_UNAVAILABLE;
        if (gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), limit) >= 0)
            return say_late(call, failed, limit, err);
        watch(call, state, limit);
    }
}

static grpc_channel_credentials *make_credentials(const struct nx_client_identity *identity)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = identity->key, .cert_chain = identity->cert};
    if (!identity->ca)
        return grpc_insecure_credentials_create();
    return grpc_ssl_credentials_create(identity->ca, identity->key ? &pair : NULL, NULL, NULL);
}

/* Retries are off: they would buffer the upload, and an install is retried by its request id, by
 * somebody who decided to. So is the HTTP proxy of the environment: the node's address is meant. */
static grpc_channel *make_channel(const char *node, const struct nx_client_identity *identity)
{
    grpc_arg args[] = {
        {.type = GRPC_ARG_INTEGER, .key = (char[]){GRPC_ARG_ENABLE_RETRIES}, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER, .key = (char[]){GRPC_ARG_ENABLE_HTTP_PROXY}, .value.integer = 0},
        {.type = GRPC_ARG_INTEGER,
         .key = (char[]){GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION},
         .value.integer = 1},
        {.type = GRPC_ARG_INTEGER,
         .key = (char[]){GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH},
         .value.integer = REPLY_BYTES_MAX},
        {.type = GRPC_ARG_INTEGER,
         .key = (char[]){GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS},
         .value.integer = RECONNECT_MS},
        {.type = GRPC_ARG_INTEGER,
         .key = (char[]){GRPC_ARG_MIN_RECONNECT_BACKOFF_MS},
         .value.integer = RECONNECT_MS},
        {.type = GRPC_ARG_INTEGER,
         .key = (char[]){GRPC_ARG_MAX_RECONNECT_BACKOFF_MS},
         .value.integer = 5 * RECONNECT_MS},
    };
    grpc_channel_args list = {.num_args = sizeof args / sizeof args[0], .args = args};
    grpc_channel_credentials *credentials = make_credentials(identity);
    /* The library adds "dns:///" to what is no URI; a plain host name could pass for a scheme. */
    char target[16 + NX_CLIENT_NODE_BYTES_MAX];
    snprintf(target, sizeof target, "%s%s", *node == '[' ? "" : "dns:///", node);
    grpc_channel *channel = grpc_channel_create(target, credentials, &list);
    grpc_channel_credentials_release(credentials);
    return channel;
}

/* The library keeps references of its own on what it is given. */
static void start_call(struct nx_client_call *call, const char *method, const char *token)
{
    char bearer[NX_CLIENT_TOKEN_BYTES_MAX + sizeof "Bearer "];
    grpc_metadata authorization = {.key = grpc_slice_from_static_string("authorization")};
    snprintf(bearer, sizeof bearer, "Bearer %s", token ? token : "");
    authorization.value = grpc_slice_from_copied_string(bearer);
    grpc_slice path = grpc_slice_from_copied_string(method);
    call->call = grpc_channel_create_call(call->channel, NULL, GRPC_PROPAGATE_DEFAULTS, call->queue,
                                          path, NULL, call->deadline, NULL);
    grpc_slice_unref(path);
    grpc_op ends[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                       {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
    ends[0].data.send_initial_metadata.count = token ? 1 : 0;
    ends[0].data.send_initial_metadata.metadata = &authorization;
    ends[1].data.recv_status_on_client.trailing_metadata = &call->trailers;
    ends[1].data.recv_status_on_client.status = &call->code;
    ends[1].data.recv_status_on_client.status_details = &call->message;
    start_ops(call, ends, 2, PENDING_STATUS);
    grpc_slice_unref(authorization.value);
    grpc_op comes[2] = {{.op = GRPC_OP_RECV_INITIAL_METADATA}, {.op = GRPC_OP_RECV_MESSAGE}};
    comes[0].data.recv_initial_metadata.recv_initial_metadata = &call->headers;
    comes[1].data.recv_message.recv_message = &call->reply;
    start_ops(call, comes, 2, PENDING_REPLY);
}

enum nx_status nx_client_call_open(const char *node, const struct nx_client_identity *identity,
                                   const char *method, uint32_t timeout_s,
                                   const volatile sig_atomic_t *interrupted,
                                   struct nx_client_call **call, struct nx_err *err)
{
    struct nx_client_call *opened = nx_calloc(1, sizeof *opened);
    if (!opened)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a call to %s", node);
    gpr_set_log_function(drop_log_line);
    grpc_init();
    opened->node = node;
    opened->is_tls = identity->ca != NULL;
    opened->interrupted = interrupted;
    opened->timeout_s = timeout_s;
    opened->deadline = in_ms((int64_t)timeout_s * 1000);
    opened->message = grpc_empty_slice();
    grpc_metadata_array_init(&opened->headers);
    grpc_metadata_array_init(&opened->trailers);
    opened->queue = grpc_completion_queue_create_for_next(NULL);
    opened->channel = make_channel(node, identity);
    enum nx_status status = await_ready(opened, err);
    if (status != NX_OK) {
        nx_client_call_close(opened);
        return status;
    }
    start_call(opened, method, identity->token);
    *call = opened;
    return NX_OK;
}

/* True while the stream is open for more. After a failed send the status is on its way: it says
 * why.
 */
static bool send_op(struct nx_client_call *call, const grpc_op *op)
{
    if (!(call->pending & PENDING_STATUS))
        return false;
    start_ops(call, op, 1, PENDING_SEND);
    while ((call->pending & PENDING_STATUS) &&
           (call->send_failed || (call->pending & PENDING_SEND)))
        run_queue(call);
    return call->pending & PENDING_STATUS;
}

bool nx_client_call_send(struct nx_client_call *call, const void *message, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(message, len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = buffer;
    bool open = send_op(call, &op);
    grpc_byte_buffer_destroy(buffer); /* the library keeps its own reference on the slice */
    return open;
}

/* Statuses of the wire, in their order from 0, and ours. */
static const struct {
    const char *name;
    enum nx_status status;
} codes[] = {
    {"OK", NX_OK},
    {"CANCELLED", NX_CANCELLED},
    {"UNKNOWN", NX_INTERNAL},
    {"INVALID_ARGUMENT", NX_INVALID},
    {"DEADLINE_EXCEEDED", NX_DEADLINE},
    {"NOT_FOUND", NX_NOT_FOUND},
    {"ALREADY_EXISTS", NX_EXISTS},
    {"PERMISSION_DENIED", NX_DENIED},
    {"RESOURCE_EXHAUSTED", NX_AGAIN},
    {"FAILED_PRECONDITION", NX_INVALID},
    {"ABORTED", NX_AGAIN},
    {"OUT_OF_RANGE", NX_INVALID},
    {"UNIMPLEMENTED", NX_UNSUPPORTED},
    {"INTERNAL", NX_INTERNAL},
    {"UNAVAILABLE", NX_UNAVAILABLE},
    {"DATA_LOSS", NX_CORRUPT},
    {"UNAUTHENTICATED", NX_DENIED},
};

static enum nx_status say_code(const struct nx_client_call *call, struct nx_err *err)
{
    size_t known = sizeof codes / sizeof codes[0], code = (size_t)call->code;
    const char *name = code < known ? codes[code].name : "an unknown status";
    if (call->cancelled)
        return interrupted(err);
    if (call->code == GRPC_STATUS_DEADLINE_EXCEEDED)
        return nx_err_set(err, NX_DEADLINE, "%s gave no answer within %u s", call->node,
                          call->timeout_s);
    size_t len = GRPC_SLICE_LENGTH(call->message);
    enum nx_status status = code < known ? codes[code].status : NX_INTERNAL;
    if (!len)
        return nx_err_set(err, status, "%s: %s", call->node, name);
    return nx_err_set(err, status, "%s: %.*s (%s)", call->node, len < 1024 ? (int)len : 1024,
                      (const char *)GRPC_SLICE_START_PTR(call->message), name);
}

static enum nx_status take_reply(const struct nx_client_call *call, uint8_t **reply, size_t *len,
                                 struct nx_err *err)
{
    grpc_byte_buffer_reader reader;
    if (!call->reply || !grpc_byte_buffer_reader_init(&reader, call->reply))
        return nx_err_set(err, NX_CORRUPT, "%s answered OK without a reply", call->node);
    grpc_slice whole = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    uint8_t *bytes = nx_calloc(GRPC_SLICE_LENGTH(whole) + 1, 1);
    if (bytes) {
        memcpy(bytes, GRPC_SLICE_START_PTR(whole), GRPC_SLICE_LENGTH(whole));
        *reply = bytes;
        *len = GRPC_SLICE_LENGTH(whole);
    }
    grpc_slice_unref(whole);
    return bytes ? NX_OK : nx_err_set(err, NX_NO_MEMORY, "no memory for the reply");
}

enum nx_status nx_client_call_finish(struct nx_client_call *call, uint8_t **reply, size_t *len,
                                     struct nx_err *err)
{
    grpc_op half_close = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    send_op(call, &half_close);
    while (call->pending)
        run_queue(call);
    if (call->code != GRPC_STATUS_OK)
        return say_code(call, err);
    return take_reply(call, reply, len, err);
}

void nx_client_call_close(struct nx_client_call *call)
{
    if (call->pending & PENDING_STATUS)
        cancel(call);
    while (call->pending)
        run_queue(call);
    if (call->call)
        grpc_call_unref(call->call);
    grpc_channel_destroy(call->channel);
    grpc_completion_queue_shutdown(call->queue);
    while (grpc_completion_queue_next(call->queue, in_ms(SLICE_MS), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(call->queue);
    grpc_metadata_array_destroy(&call->headers);
    grpc_metadata_array_destroy(&call->trailers);
    grpc_byte_buffer_destroy(call->reply);
    grpc_slice_unref(call->message);
    grpc_shutdown_blocking();
    free(call);
}
