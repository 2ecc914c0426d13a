/* grpc_echo_server.c — a server that knows nothing but bytes, for the tests of the wire.
 *
 *   Unary     replies what it got                  Sum     counts the bytes of a client stream
 *   Slow      never finishes by itself             Trickle as Sum, holding each message for a while
 *   Fail      a status with odd characters         Early   refuses a stream at its first message
 *   Big       as many bytes as the text says       Many    as many messages as the text says
 *   Health  "serving" or not: the state of the service test.Echo
 *   Stats     the server's figures as text         Meta    the value of the header x-test[-bin]
 *
 * Prints its port, serves until SIGTERM, drains, exits 0 if no call was left behind.
 * Arguments: name=value pairs for some limits (see set_limit). */
#include "function_tier/grpc/grpc_server.h"
#include "function_tier/service_health.h"

#include "common/log.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { HOLD_MESSAGES = 8 };
#define HOLD (2 * NX_MS)

struct job {
    struct nx_call *call;
    uint64_t bytes, messages;
    uint64_t left;    /* Many: replies still to send */
    nx_ns release_at; /* Trickle: when the held message is taken */
    bool held;
    LIST_ENTRY(job) in_all;
};

static LIST_HEAD(, job) jobs = LIST_HEAD_INITIALIZER(jobs);
static struct nx_grpc *server;
static struct nx_health health;
static uint64_t cancelled[NX_CALL_GONE_CLOSE + 1];
static volatile sig_atomic_t stopping;

static struct job *job_of(struct nx_call *call)
{
    return nx_call_user(call);
}

static void start(struct nx_call *call, nx_ns now)
{
    (void)now;
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    job->call = call;
    nx_call_set_user(call, job);
    LIST_INSERT_HEAD(&jobs, job, in_all);
}

static void forget(struct nx_call *call)
{
    struct job *job = job_of(call);
    if (!job)
        return;
    LIST_REMOVE(job, in_all);
    free(job);
}

static void cancel(struct nx_call *call, enum nx_call_gone why)
{
    cancelled[why]++;
    forget(call);
}

static void finish(struct nx_call *call, enum nx_grpc_code code, const char *message)
{
    forget(call);
    nx_call_finish(call, code, message);
}

static void answer(struct nx_call *call, const void *bytes, size_t len)
{
    enum nx_status status = nx_call_reply(call, bytes, len);
    if (status == NX_OK)
        finish(call, NX_GRPC_OK, NULL);
    else
        finish(call, nx_grpc_code_of(status), "no room for the reply");
}

static enum nx_call_take echo(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    answer(call, bytes, len);
    return NX_CALL_TAKEN;
}

static enum nx_call_take count(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)bytes;
    (void)now;
    job_of(call)->bytes += len;
    job_of(call)->messages++;
    return NX_CALL_TAKEN;
}

static enum nx_call_take count_slowly(struct nx_call *call, const uint8_t *bytes, size_t len,
                                      nx_ns now)
{
    struct job *job = job_of(call);
    if (job->messages % HOLD_MESSAGES == 0 && now < job->release_at) {
        job->held = true;
        return NX_CALL_HELD;
    }
    job->held = false;
    job->release_at = now + HOLD;
    return count(call, bytes, len, now);
}

static void answer_sum(struct nx_call *call, nx_ns now)
{
    (void)now;
    char text[64];
    snprintf(text, sizeof text, "%llu bytes in %llu messages",
             (unsigned long long)job_of(call)->bytes, (unsigned long long)job_of(call)->messages);
    answer(call, text, strlen(text));
}

static enum nx_call_take wait_for_ever(struct nx_call *call, const uint8_t *bytes, size_t len,
                                       nx_ns now)
{
    (void)call;
    (void)bytes;
    (void)len;
    (void)now;
    return NX_CALL_TAKEN;
}

static enum nx_call_take fail(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)bytes;
    (void)len;
    (void)now;
    nx_call_trailer(call, "x-hint", "later");
    finish(call, NX_GRPC_FAILED_PRECONDITION, "100% of the 'tulip\xc3\xa9s'\nare gone");
    return NX_CALL_TAKEN;
}

static enum nx_call_take refuse(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)bytes;
    (void)len;
    (void)now;
    finish(call, NX_GRPC_ALREADY_EXISTS, "tag 7 exists");
    return NX_CALL_TAKEN;
}

static unsigned long number(const uint8_t *bytes, size_t len)
{
    char text[24] = {0};
    memcpy(text, bytes, len < sizeof text ? len : sizeof text - 1);
    return strtoul(text, NULL, 10);
}

static enum nx_call_take big(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    size_t wanted = number(bytes, len);
    uint8_t *reply = calloc(1, wanted + 1);
    answer(call, reply, reply ? wanted : 0);
    free(reply);
    return NX_CALL_TAKEN;
}

static void send_more(struct nx_call *call, nx_ns now)
{
    (void)now;
    static const uint8_t message[4096];
    struct job *job = job_of(call);
    while (job->left > 0) {
        enum nx_status status = nx_call_reply(call, message, sizeof message);
        if (status == NX_AGAIN)
            return;
        if (status != NX_OK) {
            finish(call, nx_grpc_code_of(status), "no room");
            return;
        }
        job->left--;
    }
    finish(call, NX_GRPC_OK, NULL);
}

static enum nx_call_take many(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    job_of(call)->left = number(bytes, len);
    send_more(call, now);
    return NX_CALL_TAKEN;
}

static enum nx_call_take meta(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)bytes;
    (void)len;
    (void)now;
    const char *plain = nx_call_metadata(call, "x-test");
    const char *base64 = nx_call_metadata(call, "x-test-bin");
    char reply[256];
    size_t at = (size_t)snprintf(reply, 128, "%s ", plain ? plain : "none"), decoded = 0;
    if (base64 &&
        !nx_grpc_base64_decode(base64, strlen(base64), reply + at, sizeof reply - at, &decoded)) {
        finish(call, NX_GRPC_INVALID_ARGUMENT, "x-test-bin is not base64");
        return NX_CALL_TAKEN;
    }
    answer(call, reply, at + decoded);
    return NX_CALL_TAKEN;
}

static enum nx_call_take set_health(struct nx_call *call, const uint8_t *bytes, size_t len,
                                    nx_ns now)
{
    nx_health_set(&health, "test.Echo", len == 7 && memcmp(bytes, "serving", 7) == 0);
    return echo(call, bytes, len, now);
}

static enum nx_call_take chat(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)now;
    enum nx_status status = nx_call_reply(call, bytes, len);
    if (status == NX_AGAIN)
        return NX_CALL_HELD;
    if (status != NX_OK)
        finish(call, nx_grpc_code_of(status), "no room");
    return NX_CALL_TAKEN;
}

static void chat_end(struct nx_call *call, nx_ns now)
{
    (void)now;
    finish(call, NX_GRPC_OK, NULL);
}

static void chat_writable(struct nx_call *call, nx_ns now)
{
    (void)now;
    nx_call_resume(call);
}

static long rss_kib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    long kib = -1;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static enum nx_call_take stats(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)bytes;
    (void)len;
    (void)now;
    struct nx_grpc_stats s = nx_grpc_stats(server);
    char text[512];
    snprintf(text, sizeof text,
             "connections=%u calls=%u buffered=%llu accepted=%llu refused=%llu evicted=%llu "
             "abused=%llu reset=%llu deadline=%llu lost=%llu wire=%llu peak_kib=%ld cpu_ms=%lld",
             s.connections, s.calls, (unsigned long long)s.buffered_bytes,
             (unsigned long long)s.connections_accepted, (unsigned long long)s.connections_refused,
             (unsigned long long)s.connections_evicted, (unsigned long long)s.connections_abused,
             (unsigned long long)cancelled[NX_CALL_GONE_RESET],
             (unsigned long long)cancelled[NX_CALL_GONE_DEADLINE],
             (unsigned long long)cancelled[NX_CALL_GONE_CONNECTION],
             (unsigned long long)cancelled[NX_CALL_GONE_REFUSED], rss_kib(),
             (long long)(nx_clock_process_cpu() / NX_MS));
    answer(call, text, strlen(text));
    return NX_CALL_TAKEN;
}

#define UNARY(name, message)                                                  \
    {                                                                         \
        .path = "/test.Echo/" name, .kind = NX_CALL_UNARY, .on_start = start, \
        .on_message = message, .on_cancel = cancel                            \
    }
#define STREAM(name, message, end)                                                    \
    {                                                                                 \
        .path = "/test.Echo/" name, .kind = NX_CALL_CLIENT_STREAM, .on_start = start, \
        .on_message = message, .on_end = end, .on_cancel = cancel                     \
    }

static struct nx_grpc_method methods[] = {
    {0}, /* the health service's */
    {0},
    UNARY("Unary", echo),
    UNARY("Slow", wait_for_ever),
    UNARY("Fail", fail),
    UNARY("Big", big),
    UNARY("Meta", meta),
    UNARY("Health", set_health),
    UNARY("Stats", stats),
    STREAM("Sum", count, answer_sum),
    STREAM("Trickle", count_slowly, answer_sum),
    STREAM("Early", refuse, answer_sum),
    {.path = "/test.Echo/Chat",
     .kind = NX_CALL_BIDI,
     .on_start = start,
     .on_message = chat,
     .on_end = chat_end,
     .on_cancel = cancel,
     .on_writable = chat_writable},
    {.path = "/test.Echo/Many",
     .kind = NX_CALL_SERVER_STREAM,
     .on_start = start,
     .on_message = many,
     .on_cancel = cancel,
     .on_writable = send_more},
};

static bool set_limit(struct nx_grpc_limits *limits, const char *arg)
{
    unsigned long value;
    if (sscanf(arg, "connections=%lu", &value) == 1)
        limits->connections_max = (uint32_t)value;
    else if (sscanf(arg, "message=%lu", &value) == 1)
        limits->message_bytes_max = (uint32_t)value;
    else if (sscanf(arg, "buffer=%lu", &value) == 1)
        limits->connection_buffer_bytes = (uint32_t)value;
    else if (sscanf(arg, "reply=%lu", &value) == 1)
        limits->reply_bytes_max = (uint32_t)value;
    else if (sscanf(arg, "calls=%lu", &value) == 1)
        limits->calls_max = (uint32_t)value;
    else if (sscanf(arg, "idle_ms=%lu", &value) == 1)
        limits->idle_timeout_ns = (nx_ns)value * NX_MS;
    else if (sscanf(arg, "stall_ms=%lu", &value) == 1)
        limits->stall_timeout_ns = (nx_ns)value * NX_MS;
    else
        return false;
    return true;
}

/* Takes held messages whose time has come; returns when to look again. */
static nx_ns release_held(nx_ns now)
{
    nx_ns next = NX_NEVER;
    struct job *job;
    LIST_FOREACH(job, &jobs, in_all)
    {
        if (!job->held)
            continue;
        if (job->release_at <= now)
            nx_call_resume(job->call);
        else if (job->release_at < next)
            next = job->release_at;
    }
    return next;
}

static void sleep_until(nx_ns at)
{
    struct pollfd fd = {.fd = nx_grpc_fd(server), .events = POLLIN};
    nx_ns wait = at - nx_clock_now();
    if (wait > 100 * NX_MS)
        wait = 100 * NX_MS; /* a signal may come just before the poll */
    poll(&fd, 1, wait <= 0 ? 0 : (int)((wait + NX_MS - 1) / NX_MS));
}

static void serve(void)
{
    while (!nx_grpc_drained(server)) {
        nx_ns now = nx_clock_now(), next = release_held(now);
        if (stopping) {
            nx_health_end_watches(&health);
            nx_grpc_drain(server, now);
        }
        if (nx_grpc_poll(server, now))
            continue;
        nx_ns timer = nx_grpc_next_timer(server);
        sleep_until(timer < next ? timer : next);
    }
}

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

int main(int argc, char **argv)
{
    struct nx_grpc_config config = {.at = {.ip = "127.0.0.1"}, .limits = nx_grpc_limits_default()};
    for (int i = 1; i < argc; i++)
        if (!set_limit(&config.limits, argv[i])) {
            fprintf(stderr, "unknown limit %s\n", argv[i]);
            return 2;
        }
    nx_health_init(&health);
    nx_health_methods(&health, methods);
    nx_health_set(&health, "", true);
    struct nx_err err = {0};
    if (nx_grpc_open(&config, methods, sizeof methods / sizeof methods[0], &server, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    signal(SIGTERM, stop);
    printf("%u\n", nx_grpc_port(server));
    fflush(stdout);
    serve();
    nx_grpc_close(server);
    return LIST_EMPTY(&jobs) ? 0 : 3;
}
