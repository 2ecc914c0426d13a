/* One HTTP/2 connection without a socket. The first byte says in which pieces the rest arrives, the
 * second how the services behave. Whatever comes: no crash, no leak, every call told that it is over
 * exactly once, and nothing of the budget left behind (nx_grpc_core_fini asserts it). */
#include "function_tier/grpc/h2.h"
#include "function_tier/service_health.h"

#include <stdlib.h>
#include <string.h>

enum { CALLS_MAX = 16, HOLD = 1, FINISH_EARLY = 2, NEVER_FINISH = 4, SLOW_CLOCK = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct nx_call *open_calls[CALLS_MAX];
static unsigned behaviour, offers;

static void require(bool holds)
{
    if (!holds)
        abort();
}

static struct nx_call **slot_of(struct nx_call *call)
{
    for (unsigned i = 0; i < CALLS_MAX; i++)
        if (open_calls[i] == call)
            return &open_calls[i];
    return NULL;
}

static void start(struct nx_call *call, nx_ns now)
{
    (void)now;
    require(!slot_of(call) && slot_of(NULL));
    *slot_of(NULL) = call;
    nx_call_metadata(call, "x-none");
}

static void forget(struct nx_call *call)
{
    require(slot_of(call) != NULL);
    *slot_of(call) = NULL;
}

static void finish(struct nx_call *call, const void *bytes, size_t len)
{
    forget(call);
    enum nx_status status = nx_call_reply(call, bytes, len);
    nx_call_finish(call, nx_grpc_code_of(status), "done");
}

static enum nx_call_take take(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    require(slot_of(call) != NULL);
    if ((behaviour & HOLD) && offers++ % 2 == 0)
        return NX_CALL_HELD;
    if (behaviour & FINISH_EARLY)
        finish(call, bytes, len);
    return NX_CALL_TAKEN;
}

static enum nx_call_take echo(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    require(slot_of(call) != NULL);
    if (!(behaviour & NEVER_FINISH))
        finish(call, bytes, len);
    return NX_CALL_TAKEN;
}

static void end(struct nx_call *call, nx_ns now)
{
    (void)now;
    if (!(behaviour & NEVER_FINISH))
        finish(call, "end", 3);
}

static void cancel(struct nx_call *call, enum nx_call_gone why)
{
    (void)why;
    forget(call);
}

static void settle(struct nx_h2 *h2, nx_ns now)
{
    static uint8_t scratch[65536];
    for (unsigned i = 0; i < CALLS_MAX; i++)
        if (open_calls[i])
            nx_call_resume(open_calls[i]);
    nx_h2_settle(h2, now);
    while (nx_h2_pull(h2, scratch, sizeof scratch, now) > 0)
        continue;
}

static void feed(struct nx_grpc_core *core, struct nx_h2 *h2, const uint8_t *bytes, size_t len,
                 size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        nx_grpc_core_begin_turn(core, core->now + (behaviour & SLOW_CLOCK ? 3 * NX_SEC : NX_MS));
        size_t n = len - at < piece ? len - at : piece;
        if (nx_h2_recv(h2, bytes + at, n, core->now) != NX_OK)
            return;
        nx_timers_run(&core->timers, core->now, 100);
        settle(h2, core->now);
        if (nx_h2_over(h2))
            return;
        if (behaviour & SLOW_CLOCK)
            nx_h2_fold(h2); /* if it is silent */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    static struct nx_health health;
    struct nx_grpc_method methods[2 + NX_HEALTH_METHODS] = {
        {"/t.T/Unary", NX_CALL_UNARY, NULL, start, echo, NULL, cancel, NULL},
        {"/t.T/Stream", NX_CALL_CLIENT_STREAM, NULL, start, take, end, cancel, NULL},
    };
    struct nx_grpc_limits limits = nx_grpc_limits_default();
    limits.calls_max = CALLS_MAX;
    limits.message_bytes_max = 1 << 16;
    limits.connection_buffer_bytes = 1 << 18;
    limits.stall_timeout_ns = 10 * NX_SEC;
    struct nx_grpc_core core;
    nx_health_init(&health);
    nx_health_set(&health, "", true);
    nx_health_methods(&health, methods + 2);
    behaviour = bytes[1];
    offers = 0;
    memset(open_calls, 0, sizeof open_calls);
    if (nx_grpc_core_init(&core, &limits, methods, 2 + NX_HEALTH_METHODS) != NX_OK)
        return 0;
    struct nx_h2 *h2 = nx_h2_open(&core, "fuzz", 0);
    require(h2 != NULL);
    feed(&core, h2, bytes + 2, len - 2, (size_t)bytes[0] + 1);
    nx_h2_close(h2, NX_CALL_GONE_CLOSE);
    for (unsigned i = 0; i < CALLS_MAX; i++)
        require(!open_calls[i]);
    nx_grpc_core_fini(&core);
    return 0;
}
