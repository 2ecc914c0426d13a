/* A connection from its first byte: what a stranger sends, in pieces, to a service that refuses, answers now, or later. */
#include "common/nx_assert.h"
#include "function_tier/http/http_server.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct nx_http_exchange *waiting;
static int begun, ended;

static void reply(struct nx_http_exchange *x, int status)
{
    ended++;
    nx_http_header(x, "a", "b");
    nx_http_reply(x, status, "text/plain", "hello", 5);
}

static void on_head(void *ctx, struct nx_http_exchange *x, nx_ns now)
{
    (void)ctx, (void)now;
    const struct nx_http_ask *ask = nx_http_ask(x);
    begun++;
    nx_assert(strlen(ask->id) > 0 && ask->path[0]);
    if (ask->segments_count == 1)
        reply(x, 404);
}

static void on_request(void *ctx, struct nx_http_exchange *x, nx_ns now)
{
    (void)ctx, (void)now;
    const struct nx_http_ask *ask = nx_http_ask(x);
    char value[16];
    nx_http_query(ask, "a", value, sizeof value, NULL);
    nx_assert(ask->body && ask->body_bytes <= 4096);
    if (ask->segments_count == 2)
        waiting = x;
    else
        reply(x, 200);
}

static void on_cancel(void *ctx, struct nx_http_exchange *x)
{
    (void)ctx;
    ended++;
    if (waiting == x)
        waiting = NULL;
}

static const char *refusal(void *ctx, const char *path, int status, const char *text, char *body,
                           size_t cap)
{
    (void)ctx, (void)path;
    nx_assert(status >= 400 && status < 600 && text[0]);
    body[0] = 0;
    (void)cap;
    return "text/plain";
}

/* What comes back is dropped. */
static void drain(int fd)
{
    char buffer[4096];
    while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
        continue;
}

static void turn(struct nx_http *http, int fd, nx_ns *now)
{
    *now += 3 * NX_SEC;
    nx_http_poll(http, *now);
    if (waiting) {
        struct nx_http_exchange *x = waiting;
        waiting = NULL;
        reply(x, 200);
    }
    nx_http_poll(http, *now);
    drain(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_http_limits limits = nx_http_limits_default();
    struct nx_http_service service = {NULL,    on_head, on_request, on_cancel,
                                      refusal, NULL,    NULL,       false};
    struct nx_http *http;
    struct nx_err err;
    nx_ns now = NX_SEC;
    int pair[2];
    limits.body_bytes_max = 4096;
    limits.server_buffer_bytes = 1 << 20;
    begun = ended = 0;
    waiting = NULL;
    if (len < 2 || nx_http_open(&limits, &service, 1, &http, &err) != NX_OK)
        return 0;
    nx_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    size_t step = (size_t)bytes[0] + 1, first = bytes[1] < len - 2 ? bytes[1] : len - 2;
    nx_http_adopt(http, nx_stream_plain(pair[0]), "127.0.0.1:1", true, bytes + 2, first, now);
    for (size_t at = 2 + first; at < len; at += step) {
        ssize_t n = send(pair[1], bytes + at, len - at < step ? len - at : step, MSG_NOSIGNAL);
        (void)n; /* a connection that was closed */
        turn(http, pair[1], &now);
    }
    turn(http, pair[1], &now);
    close(pair[1]);
    turn(http, pair[1], &now);
    nx_http_close(http);
    nx_assert(begun == ended);
    return 0;
}
