#include "function_tier/grpc/grpc_core.h"

#include "common/nx_assert.h"
#include "function_tier/grpc/grpc_call.h"
#include "function_tier/grpc/grpc_inflate.h"

#include <string.h>

struct nx_grpc_limits nx_grpc_limits_default(void)
{
    return (struct nx_grpc_limits){
        .connections_max = 1024,
        .calls_max = 4096,
        .streams_per_connection = 256,
        .header_bytes_max = 16 << 10,
        .message_bytes_max = 16 << 20,
        .reply_bytes_max = 16 << 20,
        .stream_window_bytes = 1 << 20,
        .connection_buffer_bytes = 64 << 20,
        .server_buffer_bytes = 256 << 20,
        .control_frames_burst = 10000,
        .control_frames_per_s = 5000,
        .idle_timeout_ns = 600 * NX_SEC,
        .stall_timeout_ns = 60 * NX_SEC,
        .call_timeout_ns = 3600 * NX_SEC,
    };
}

enum nx_status nx_grpc_core_init(struct nx_grpc_core *core, const struct nx_grpc_limits *limits,
                                 const struct nx_grpc_method *methods, size_t method_count)
{
    /* Sums with these stay far from the end of their types. */
    nx_assert(limits->control_frames_per_s <= 1000000);
    nx_assert(limits->idle_timeout_ns > 0 && limits->idle_timeout_ns <= NX_NEVER / 4);
    nx_assert(limits->stall_timeout_ns > 0 && limits->stall_timeout_ns <= NX_NEVER / 4);
    *core = (struct nx_grpc_core){
        .limits = *limits,
        .methods = methods,
        .method_count = method_count,
        .memory = {.limit = limits->server_buffer_bytes},
        .inflate_left = NX_INFLATE_PIECE_BYTES,
    };
    TAILQ_INIT(&core->woken);
    TAILQ_INIT(&core->inflating);
    SLIST_INIT(&core->dead);
    /* One timer for each call, each connection and the listener. */
    return nx_timers_init(&core->timers, limits->calls_max + limits->connections_max + 1);
}

void nx_grpc_core_fini(struct nx_grpc_core *core)
{
    nx_assert(core->calls == 0 && core->memory.used == 0 && core->timers.count == 0);
    nx_grpc_budget_fini(&core->memory);
    nx_timers_fini(&core->timers);
}

void nx_grpc_core_begin_turn(struct nx_grpc_core *core, nx_ns now)
{
    core->now = now;
    core->inflate_left = NX_INFLATE_PIECE_BYTES;
    nx_call_inflate_next(core);
}

const struct nx_grpc_method *nx_grpc_core_method(const struct nx_grpc_core *core, const char *path,
                                                 size_t len)
{
    for (size_t i = 0; i < core->method_count; i++)
        if (strlen(core->methods[i].path) == len && !memcmp(core->methods[i].path, path, len))
            return &core->methods[i];
    return NULL;
}
