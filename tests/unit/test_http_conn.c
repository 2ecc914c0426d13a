/* Connections over socket pairs, with a clock of the test's own: what a peer is allowed, and for how long. */
#include "function_tier/grpc/grpc_inflate.h"
#include "function_tier/http/http_server.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct nx_http *http;
static struct nx_http_exchange *last; /* to be answered by the test */
static int heads, requests, cancels, refusals, refused_status;
static int peer = -1;
static nx_ns now;
static char got[1 << 20];
static size_t got_bytes;

static void on_head(void *ctx, struct nx_http_exchange *x, nx_ns at)
{
    (void)ctx, (void)at;
    heads++;
    if (strcmp(nx_http_ask(x)->path, "/refuse") == 0)
        nx_http_reply(x, 404, "text/plain", "no", 2);
    else if (strcmp(nx_http_ask(x)->path, "/small") == 0)
        nx_http_set_body_max(x, 4);
}

static void on_request(void *ctx, struct nx_http_exchange *x, nx_ns at)
{
    (void)ctx, (void)at;
    requests++;
    last = x;
    if (strcmp(nx_http_ask(x)->path, "/now") == 0)
        nx_http_reply(x, 200, "text/plain", nx_http_ask(x)->body, nx_http_ask(x)->body_bytes);
}

static void on_cancel(void *ctx, struct nx_http_exchange *x)
{
    (void)ctx, (void)x;
    cancels++;
}

static const char *refusal(void *ctx, const char *path, int status, const char *text, char *body,
                           size_t cap)
{
    (void)ctx, (void)path;
    refusals++;
    refused_status = status;
    snprintf(body, cap, "%s", text);
    return "text/plain";
}

static int set_up(void **state)
{
    (void)state;
    struct nx_http_limits limits = nx_http_limits_default();
    struct nx_http_service service = {NULL,    on_head, on_request, on_cancel,
                                      refusal, NULL,    NULL,       false};
    limits.connections_max = 3;
    limits.body_bytes_max = 100000;
    limits.server_buffer_bytes = 1 << 20;
    heads = requests = cancels = refusals = refused_status = 0;
    now = 1000 * NX_SEC;
    got_bytes = 0;
    assert_int_equal(nx_http_open(&limits, &service, 7, &http, NULL), NX_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nx_http_close(http);
    if (peer >= 0)
        close(peer);
    peer = -1;
    return 0;
}

static int connect_with(const char *first)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    nx_http_adopt(http, nx_stream_plain(pair[0]), "127.0.0.1:1", true, first, strlen(first), now);
    return pair[1];
}

static void turn(nx_ns passed)
{
    now += passed;
    while (nx_http_poll(http, now))
        continue;
    nx_http_poll(http, now);
}

static void say(const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn(0);
}

/* What has come so far; true once the server has closed. */
static bool hear(void)
{
    ssize_t n;
    while ((n = recv(peer, got + got_bytes, sizeof got - 1 - got_bytes, 0)) > 0)
        got_bytes += (size_t)n;
    got[got_bytes] = 0;
    return n == 0;
}

static bool heard(const char *text)
{
    hear();
    return strstr(got, text) != NULL;
}

static void a_head_that_drips_is_given_ten_seconds(void **state)
{
    (void)state;
    peer = connect_with("GET / HT");
    for (int i = 0; i < 9; i++) {
        turn(NX_SEC);
        say("T");
        assert_int_equal(refusals, 0);
    }
    turn(2 * NX_SEC);
    assert_int_equal(refused_status, 408);
    assert_true(heard("HTTP/1.1 408 "));
    turn(3 * NX_SEC); /* and what it still sends is not read for ever */
    assert_int_equal(nx_http_stats(http).connections, 0);
}

static void a_body_that_is_silent_or_slow_is_given_up(void **state)
{
    (void)state;
    peer = connect_with("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    turn(14 * NX_SEC);
    assert_int_equal(refusals, 0);
    turn(2 * NX_SEC);
    assert_int_equal(refused_status, 408);
    assert_int_equal(cancels, 1);
    close(peer);
    refusals = 0;
    peer = connect_with("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n");
    for (int i = 0; i < 40 && !refusals; i++) { /* never silent for long, and far too slow */
        turn(2 * NX_SEC);
        send(peer, "x", 1, MSG_NOSIGNAL);
        turn(0);
    }
    assert_int_equal(refusals, 1);
}

static void a_service_that_does_not_answer_is_a_504(void **state)
{
    (void)state;
    peer = connect_with("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    turn(119 * NX_SEC);
    assert_int_equal(cancels, 0);
    turn(2 * NX_SEC);
    assert_int_equal(cancels, 1);
    assert_true(heard("HTTP/1.1 504 "));
}

static void idle_connections_end_silently(void **state)
{
    (void)state;
    peer = connect_with("GET /now HTTP/1.1\r\nHost: h\r\n\r\n");
    turn(0);
    assert_true(heard("HTTP/1.1 200 "));
    size_t before = got_bytes;
    turn(76 * NX_SEC);
    assert_true(hear());
    assert_int_equal(got_bytes, before);
    assert_int_equal(nx_http_stats(http).timed_out, 0);
}

static void an_answer_may_come_later_and_the_next_request_waits(void **state)
{
    (void)state;
    peer =
        connect_with("GET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /now HTTP/1.1\r\nHost: h\r\n\r\n");
    turn(0);
    assert_int_equal(heads, 1);
    assert_false(heard("HTTP/1.1"));
    nx_http_header(last, "X-More", "yes");
    nx_http_reply(last, 200, "text/plain", "first", 5);
    assert_int_equal(nx_http_next_timer(http), 0);
    turn(0);
    turn(0);
    assert_int_equal(requests, 2);
    assert_true(heard("X-More: yes\r\n\r\nfirstHTTP/1.1 200 OK\r\n"));
}

static void a_refusal_before_the_body_reaches_the_client(void **state)
{
    (void)state;
    peer = connect_with("POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n");
    static char body[50000];
    memset(body, 'x', sizeof body - 1);
    for (int i = 0; i < 5; i++) {
        send(peer, body, 10000, MSG_NOSIGNAL);
        turn(0);
    }
    assert_true(heard("HTTP/1.1 404 "));
    assert_true(heard("Connection: close\r\n"));
    turn(3 * NX_SEC);
    assert_true(hear());
}

static void bounds_of_bodies(void **state)
{
    (void)state;
    peer = connect_with("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    turn(0);
    assert_true(heard("HTTP/1.1 413 "));
    close(peer);
    got_bytes = 0;
    peer = connect_with(
        "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2");
    turn(0);
    assert_false(heard("HTTP/1.1"));
    say("\r\nde\r\n");
    assert_true(heard("HTTP/1.1 413 "));
}

static void a_client_that_leaves_cancels(void **state)
{
    (void)state;
    peer = connect_with("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    turn(0);
    close(peer);
    peer = -1;
    turn(0);
    assert_int_equal(cancels, 1);
    assert_int_equal(nx_http_stats(http).connections, 0);
}

static void a_client_that_leaves_cancels_what_is_worked_on(void **state)
{
    (void)state;
    peer = connect_with("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    turn(0);
    assert_int_equal(requests, 1);
    close(peer);
    peer = -1;
    turn(0);
    assert_int_equal(cancels, 1);
    assert_int_equal(nx_http_stats(http).connections, 0);
}

static void a_client_that_shuts_its_side_has_left(void **state)
{
    (void)state;
    peer = connect_with("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    turn(0);
    shutdown(peer, SHUT_WR);
    turn(0);
    assert_int_equal(cancels, 1);
    assert_true(hear());
}

static void idle_ones_make_room_and_busy_ones_do_not(void **state)
{
    (void)state;
    int fds[4];
    for (int i = 0; i < 3; i++)
        fds[i] = connect_with("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    fds[3] = connect_with("GET /now HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_int_equal(nx_http_stats(http).refused, 1);
    assert_false(nx_http_evict(http, NULL, 0, now));
    nx_http_reply(last, 200, "text/plain", "", 0); /* answered: idle as soon as that is sent */
    assert_true(nx_http_evict(http, NULL, 0, now));
    assert_int_equal(nx_http_stats(http).connections, 2);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    turn(0);
}

static bool is_closed(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_PEEK) == 0;
}

static void a_head_that_drips_goes_before_the_idle(void **state)
{
    (void)state;
    int idle = connect_with("");
    int drips[2] = {connect_with("GET / HT"), connect_with("GET / HT")};
    turn(NX_SEC / 2);
    assert_int_equal(send(drips[0], "T", 1, MSG_NOSIGNAL), 1); /* and is no younger by it */
    turn(NX_SEC / 2);
    for (int i = 0; i < 2; i++) {
        assert_true(nx_http_evict(http, NULL, NX_SEC, now));
        assert_true(is_closed(drips[i]));
        assert_false(is_closed(idle));
    }
    assert_true(nx_http_evict(http, NULL, NX_SEC, now));
    assert_true(is_closed(idle));
    for (int i = 0; i < 2; i++)
        close(drips[i]);
    close(idle);
}

static void a_young_head_stays_while_it_may(void **state)
{
    (void)state;
    peer = connect_with("GET / HT");
    assert_false(nx_http_evict(http, NULL, NX_SEC, now));
    assert_true(nx_http_evict(http, NULL, 0, now));
}

static void an_address_makes_room_among_its_own(void **state)
{
    (void)state;
    static struct nx_peers peers;
    nx_peers_init(&peers, 1, 7);
    nx_http_set_peers(http, &peers);
    peer = connect_with("");
    struct nx_peer *other = nx_peers_take(&peers, "127.0.0.2:1");
    struct nx_peer *same = nx_peers_take(&peers, "127.0.0.1:2");
    assert_true(nx_peer_over_share(same)); /* the connection counts */
    assert_false(nx_http_evict(http, other, 0, now));
    assert_true(nx_http_evict(http, same, 0, now));
    assert_int_equal(same->held, 1); /* and no longer does */
    nx_peers_give(other);
    nx_peers_give(same);
}

static void a_drain_ends_the_idle_and_waits_for_the_busy(void **state)
{
    (void)state;
    peer = connect_with("GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    struct nx_http_exchange *busy = last;
    int idle = connect_with("GET /now HTTP/1.1\r\nHost: h\r\n\r\n");
    turn(0);
    nx_http_drain(http, now);
    assert_int_equal(nx_http_stats(http).connections, 1);
    assert_false(nx_http_drained(http));
    nx_http_reply(busy, 200, "text/plain", "done", 4);
    turn(0);
    assert_true(heard("Connection: close\r\n"));
    assert_true(heard("done"));
    turn(3 * NX_SEC);
    assert_true(nx_http_drained(http));
    close(idle);
}

/* --- bodies that travel packed --------------------------------------------------------------------- */

static int connect_with_packed(size_t plain_bytes)
{
    struct nx_grpc_budget budget = {.limit = 64 << 20};
    struct nx_grpc_buffer packed;
    uint8_t *plain = calloc(1, plain_bytes);
    char head[160];
    assert_non_null(plain);
    nx_grpc_buffer_init(&packed, &budget);
    assert_int_equal(nx_grpc_deflate(plain, plain_bytes, &packed), NX_OK);
    int n = snprintf(head, sizeof head,
                     "POST /later HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     nx_grpc_buffer_len(&packed));
    int fd = connect_with("");
    assert_int_equal(send(fd, head, (size_t)n, 0), n);
    assert_int_equal(send(fd, nx_grpc_buffer_span(&packed), nx_grpc_buffer_len(&packed), 0),
                     (ssize_t)nx_grpc_buffer_len(&packed));
    free(plain);
    nx_grpc_buffer_free(&packed);
    nx_grpc_budget_fini(&budget);
    return fd;
}

static int set_up_large(void **state)
{
    struct nx_http_limits limits = nx_http_limits_default();
    struct nx_http_service service = {NULL,    on_head, on_request, on_cancel,
                                      refusal, NULL,    NULL,       false};
    set_up(state);
    nx_http_close(http);
    limits.body_bytes_max = 8 << 20;
    limits.connections_max = 8;
    return nx_http_open(&limits, &service, 7, &http, NULL) == NX_OK ? 0 : 1;
}

static void others_are_served_while_a_body_is_unpacked(void **state)
{
    (void)state;
    int bomb = connect_with_packed(8 << 20), turns = 0;
    for (int i = 0; i < 4; i++)
        assert_true(nx_http_poll(http, now) && nx_http_next_timer(http) == 0);
    peer = connect_with("GET /now HTTP/1.1\r\nHost: h\r\n\r\n");
    nx_http_poll(http, now);
    assert_true(requests == 1 && heard("HTTP/1.1 200 "));
    while (requests == 1 && turns++ < 100)
        nx_http_poll(http, now);
    assert_true(turns > 20 && turns < 40); /* 8 MiB by 256 KiB */
    assert_int_equal(nx_http_ask(last)->body_bytes, 8 << 20);
    nx_http_reply(last, 200, "text/plain", "", 0);
    close(bomb);
}

static void the_short_do_not_wait_for_the_long(void **state)
{
    (void)state;
    int bombs[4], turns = 0;
    for (int i = 0; i < 4; i++)
        bombs[i] = connect_with_packed(8 << 20);
    peer = connect_with_packed(1000);
    while (requests == 0 && turns++ < 100)
        nx_http_poll(http, now);
    assert_true(requests == 1 && turns < 10 && nx_http_ask(last)->body_bytes == 1000);
    for (int i = 0; i < 4; i++)
        close(bombs[i]);
}

static void a_bomb_that_says_so_is_refused_at_once(void **state)
{
    (void)state;
    peer = connect_with_packed((8 << 20) + 1);
    nx_http_poll(http, now);
    assert_int_equal(refused_status, 413);
    assert_true(heard("HTTP/1.1 413 ") && heard("inflates over the limit of 8388608 bytes"));
}

static void a_client_that_leaves_while_its_body_is_unpacked(void **state)
{
    (void)state;
    peer = connect_with_packed(8 << 20);
    nx_http_poll(http, now);
    close(peer);
    peer = -1;
    turn(0);
    assert_int_equal(requests, 0);
    assert_int_equal(cancels, 1);
}

#define each(f)  cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define large(f) cmocka_unit_test_setup_teardown(f, set_up_large, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(a_head_that_drips_is_given_ten_seconds),
        each(a_body_that_is_silent_or_slow_is_given_up),
        each(a_service_that_does_not_answer_is_a_504),
        each(idle_connections_end_silently),
        each(an_answer_may_come_later_and_the_next_request_waits),
        each(a_refusal_before_the_body_reaches_the_client),
        each(bounds_of_bodies),
        each(a_client_that_leaves_cancels),
        each(a_client_that_leaves_cancels_what_is_worked_on),
        each(a_client_that_shuts_its_side_has_left),
        each(idle_ones_make_room_and_busy_ones_do_not),
        each(a_head_that_drips_goes_before_the_idle),
        each(a_young_head_stays_while_it_may),
        each(an_address_makes_room_among_its_own),
        each(a_drain_ends_the_idle_and_waits_for_the_busy),
        large(others_are_served_while_a_body_is_unpacked),
        large(the_short_do_not_wait_for_the_long),
        large(a_bomb_that_says_so_is_refused_at_once),
        large(a_client_that_leaves_while_its_body_is_unpacked),
    };
    return cmocka_run_group_tests_name("http_conn", tests, NULL, NULL);
}
