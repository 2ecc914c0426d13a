#include "common/log.h"
#include "nx_test.h"
#include "telemetry/otlp_json.h"
#include "telemetry/spans.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct nx_trace_ids sampled = {{0xa1}, {0xb1}, {0xc1}, NX_TRACE_SAMPLED};

static struct nx_spans *open_at(const char *url)
{
    struct nx_spans_config config = {.url = url, .node = 3, .tier = "function", .seed = 1};
    struct nx_spans *spans;
    struct nx_err err = {0};
    if (nx_spans_open(&config, &spans, &err) != NX_OK)
        fail_msg("%s", err.text);
    return spans;
}

/* A port where nobody answers, or, given a listener, somebody does. */
static int listener(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void spans_are_as_otlp_wants_them(void **state)
{
    (void)state;
    static struct nx_span whole, root;
    const struct nx_span *both[] = {&whole, &root};
    struct nx_otlp_source source = {3, "function"};
    struct nx_text text;
    whole = (struct nx_span){.ids = sampled, .kind = NX_SPAN_SERVER, .begun = 1, .ended = 1700};
    strcpy(whole.name, "POST /\"x\"");
    nx_span_text(&whole, "url.path", "/\xff\n");
    nx_span_text(&whole, "left.out", "");
    nx_span_number(&whole, "code", INT64_MIN);
    nx_span_fail(&whole, "why \"not\"");
    root = (struct nx_span){.ids = sampled, .kind = NX_SPAN_INTERNAL};
    memset(root.ids.parent_id, 0, sizeof root.ids.parent_id);
    nx_text_init(&text, 1 << 20);
    nx_otlp_json(&source, both, 2, &text);
    json_t *json = json_loadb(text.at, text.len, JSON_REJECT_DUPLICATES, NULL), *told;
    assert_non_null(json);
    json_t *resource = json_array_get(json_object_get(json, "resourceSpans"), 0);
    json_t *list =
        json_object_get(json_array_get(json_object_get(resource, "scopeSpans"), 0), "spans");
    assert_int_equal(json_array_size(list), 2);
    told = json_array_get(list, 0);
    assert_string_equal(json_string_value(json_object_get(told, "traceId")),
                        "a1000000000000000000000000000000");
    assert_string_equal(json_string_value(json_object_get(told, "spanId")), "b100000000000000");
    assert_string_equal(json_string_value(json_object_get(told, "parentSpanId")),
                        "c100000000000000");
    assert_string_equal(json_string_value(json_object_get(told, "name")), "POST /\"x\"");
    assert_string_equal(json_string_value(json_object_get(told, "endTimeUnixNano")), "1700");
    assert_int_equal(json_integer_value(json_object_get(told, "kind")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(told, "status"), "code")),
                     2);
    json_t *facts = json_object_get(told, "attributes");
    assert_int_equal(json_array_size(facts), 2);
    json_t *number = json_object_get(json_array_get(facts, 1), "value");
    assert_string_equal(json_string_value(json_object_get(number, "intValue")),
                        "-9223372036854775808");
    assert_null(json_object_get(json_array_get(list, 1), "parentSpanId"));
    json_decref(json);
    nx_text_free(&text);
}

static void only_sampled_spans_are_taken(void **state)
{
    (void)state;
    struct nx_trace_ids ids = sampled;
    struct nx_spans *spans = open_at("http://127.0.0.1:9/v1/traces");
    ids.flags = 0;
    assert_null(nx_spans_take(spans, &ids, NX_SPAN_SERVER, "x"));
    assert_null(nx_spans_take(NULL, &sampled, NX_SPAN_SERVER, "x"));
    assert_int_equal(nx_spans_figures(spans).dropped, 0);
    nx_spans_child(spans, &sampled, &ids);
    assert_memory_equal(ids.parent_id, sampled.span_id, NX_SPAN_ID_BYTES);
    assert_memory_equal(ids.trace_id, sampled.trace_id, NX_TRACE_ID_BYTES);
    nx_spans_close(spans);
}

static void quiet(void *ctx, enum nx_level level, const char *line)
{
    (void)ctx, (void)level, (void)line;
}

/* Nobody answers: what does not fit is dropped and counted, nobody waits, and the end comes. */
static void a_collector_that_is_down_costs_only_spans(void **state)
{
    (void)state;
    uint16_t port;
    char url[64];
    int fd = listener(&port); /* bound, not listening */
    uint64_t dropped = 0, begun = (uint64_t)nx_clock_now();
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/traces", port);
    nx_log_set_sink(quiet, NULL);
    struct nx_spans *spans = open_at(url);
    for (int i = 0; i < 3 * NX_SPANS_MAX; i++) {
        struct nx_span *span = nx_spans_take(spans, &sampled, NX_SPAN_CLIENT, "x");
        dropped += span == NULL;
        if (span)
            nx_spans_put(spans, span);
    }
    assert_true(dropped >= NX_SPANS_MAX);
    assert_true(nx_spans_figures(spans).dropped >= dropped);
    assert_int_equal(nx_spans_figures(spans).exported, 0);
    nx_spans_close(spans);
    assert_true((uint64_t)nx_clock_now() - begun < (uint64_t)(30 * NX_SEC));
    nx_log_set_sink(NULL, NULL);
    close(fd);
}

struct collector {
    int fd;
    char got[1 << 20];
    size_t len;
    const char *answer;
};

static void *collect(void *arg)
{
    struct collector *c = arg;
    int fd = accept(c->fd, NULL, NULL);
    const char *body = NULL;
    size_t wanted = 0;
    while (!body || c->len < (size_t)(body - c->got) + wanted) {
        ssize_t n = read(fd, c->got + c->len, sizeof c->got - 1 - c->len);
        if (n <= 0)
            break;
        c->len += (size_t)n;
        c->got[c->len] = 0;
        char *end = strstr(c->got, "\r\n\r\n"), *length = strstr(c->got, "Content-Length: ");
        body = end ? end + 4 : NULL;
        wanted = end && length ? strtoul(length + 16, NULL, 10) : 0;
    }
    ssize_t n = write(fd, c->answer, strlen(c->answer));
    assert_true(n > 0);
    close(fd);
    return NULL;
}

static struct nx_spans_figures send_one(const char *answer, struct collector *c)
{
    uint16_t port;
    char url[64];
    pthread_t thread;
    *c = (struct collector){.fd = listener(&port), .answer = answer};
    assert_int_equal(listen(c->fd, 4), 0);
    pthread_create(&thread, NULL, collect, c);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/traces", port);
    struct nx_spans *spans = open_at(url);
    struct nx_span *span = nx_spans_take(spans, &sampled, NX_SPAN_SERVER, "hello");
    nx_spans_put(spans, span);
    pthread_join(thread, NULL);
    struct nx_spans_figures f = nx_spans_figures(spans);
    while (f.exported + f.dropped + f.failures == 0) /* the answer is on its way to the thread */
        f = nx_spans_figures(spans);
    while (f.failures && f.dropped == 0)
        f = nx_spans_figures(spans);
    close(c->fd);
    nx_spans_close(spans);
    return f;
}

static void a_span_arrives(void **state)
{
    (void)state;
    static struct collector c;
    struct nx_spans_figures f = send_one("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", &c);
    assert_int_equal(f.exported, 1);
    assert_int_equal(f.dropped + f.failures, 0);
    assert_memory_equal(c.got, "POST /v1/traces HTTP/1.1\r\n", 26);
    assert_non_null(strstr(c.got, "Content-Type: application/json\r\n"));
    assert_non_null(strstr(c.got, "\"name\":\"hello\""));
}

static void what_is_refused_is_not_tried_again(void **state)
{
    (void)state;
    static struct collector c;
    nx_log_set_sink(quiet, NULL);
    struct nx_spans_figures f =
        send_one("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", &c);
    assert_int_equal(f.exported, 0);
    assert_int_equal(f.dropped, 1);
    assert_int_equal(f.failures, 1);
    nx_log_set_sink(NULL, NULL);
}

static void only_urls_are_taken(void **state)
{
    (void)state;
    static const char *const bad[] = {"127.0.0.1:4318", "file:///etc/passwd", "http://", "ftp://a/",
                                      "http://[::1"};
    struct nx_spans *spans;
    struct nx_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct nx_spans_config config = {.url = bad[i], .tier = "function"};
        assert_int_equal(nx_spans_open(&config, &spans, &err), NX_INVALID);
        assert_non_null(strstr(err.text, bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_as_otlp_wants_them),
        cmocka_unit_test(only_sampled_spans_are_taken),
        cmocka_unit_test(a_collector_that_is_down_costs_only_spans),
        cmocka_unit_test(a_span_arrives),
        cmocka_unit_test(what_is_refused_is_not_tried_again),
        cmocka_unit_test(only_urls_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
