/* The wire without a socket: bytes in, bytes out, and what the service is told in between. */
#include "common/arena.h"
#include "function_tier/grpc/h2.h"
#include "h2_frames.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>

static struct nx_grpc_core core;
static struct nx_h2 *h2;
static struct h2_out in, out;
static char told[2048]; /* what the service was told, as text */
static enum nx_call_take take = NX_CALL_TAKEN;
static struct nx_call *last;

static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t at = strlen(told);
    vsnprintf(told + at, sizeof told - at, format, args);
    va_end(args);
}

static void start(struct nx_call *call, nx_ns now)
{
    (void)now;
    last = call;
    note("start ");
}

static enum nx_call_take collect(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    (void)call;
    (void)now;
    note(take == NX_CALL_HELD ? "held(%.*s) " : "message(%.*s) ", (int)(len < 20 ? len : 20),
         bytes);
    return take;
}

static void end(struct nx_call *call, nx_ns now)
{
    (void)call;
    (void)now;
    note("end ");
}

static void answer_at_end(struct nx_call *call, nx_ns now)
{
    end(call, now);
    if (nx_call_reply(call, "bye", 3) == NX_OK)
        nx_call_finish(call, NX_GRPC_OK, NULL);
    else
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "no room");
}

static void cancel(struct nx_call *call, enum nx_call_gone why)
{
    (void)call;
    note("cancel(%d) ", why);
}

static enum nx_call_take echo(struct nx_call *call, const uint8_t *bytes, size_t len, nx_ns now)
{
    collect(call, bytes, len, now);
    if (nx_call_reply(call, bytes, len) == NX_OK)
        nx_call_finish(call, NX_GRPC_OK, NULL);
    else
        nx_call_finish(call, NX_GRPC_RESOURCE_EXHAUSTED, "no room");
    return NX_CALL_TAKEN;
}

static const struct nx_grpc_method methods[] = {
    {"/t.T/Unary", NX_CALL_UNARY, NULL, start, echo, NULL, cancel, NULL},
    {"/t.T/Stream", NX_CALL_CLIENT_STREAM, NULL, start, collect, end, cancel, NULL},
    {"/t.T/Answer", NX_CALL_CLIENT_STREAM, NULL, start, collect, answer_at_end, cancel, NULL},
};

static struct nx_grpc_limits limits;

static int setup(void **state)
{
    (void)state;
    limits = nx_grpc_limits_default();
    limits.calls_max = 300;
    limits.stall_timeout_ns = 10 * NX_SEC;
    assert_int_equal(nx_grpc_core_init(&core, &limits, methods, 3), NX_OK);
    h2 = nx_h2_open(&core, "peer", 0);
    in.len = out.len = 0;
    told[0] = '\0';
    take = NX_CALL_TAKEN;
    return h2 == NULL;
}

static int teardown(void **state)
{
    (void)state;
    nx_h2_close(h2, NX_CALL_GONE_CLOSE);
    nx_grpc_core_fini(&core); /* asserts that no call, no byte and no timer is left */
    return 0;
}

static void pull_all(nx_ns now)
{
    static uint8_t scratch[65536];
    size_t n;
    nx_h2_settle(h2, now);
    while ((n = nx_h2_pull(h2, scratch, sizeof scratch, now)) > 0)
        if (out.len + n <= sizeof out.bytes)
            h2_put(&out, scratch, n);
}

/* Sends what was written to `in`, in pieces of `piece` bytes. */
static enum nx_status send_in(size_t piece, nx_ns now)
{
    enum nx_status status = NX_OK;
    core.now = now;
    for (size_t at = 0; at < in.len && status == NX_OK; at += piece) {
        size_t n = in.len - at < piece ? in.len - at : piece;
        status = nx_h2_recv(h2, in.bytes + at, n, now);
        pull_all(now);
    }
    in.len = 0;
    return status;
}

/* How many frames of a type for a stream went out; *payload is the last one's. */
static int frames_out(uint8_t type, uint32_t stream, const uint8_t **payload, size_t *len)
{
    int count = 0;
    for (size_t at = 0; at + 9 <= out.len;) {
        const uint8_t *f = out.bytes + at;
        size_t n = (size_t)f[0] << 16 | (size_t)f[1] << 8 | f[2];
        if (f[3] == type && f[8] == stream) {
            count++;
            if (payload) {
                *payload = f + 9;
                *len = n;
            }
        }
        at += 9 + n;
    }
    return count;
}

/* Bytes may arrive in any pieces; what the service is told and what goes out stay the same. */
static void pieces_do_not_matter(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 7, 64, 65536};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        if (i > 0) {
            teardown(NULL);
            setup(NULL);
        }
        h2_greet(&in);
        h2_request(&in, 1, 0, "/t.T/Answer", NULL, NULL);
        h2_frame(&in, H2_DATA, 0, 1, "\0\0\0\0\3on", 7);
        h2_frame(&in, H2_DATA, 0, 1, "e\0\0\0\0\3two\0\0\0\0", 13);
        h2_frame(&in, H2_DATA, H2_END_STREAM, 1, "\0", 1);
        h2_request(&in, 3, 0, "/t.T/Unary", NULL, NULL);
        h2_message(&in, 3, H2_END_STREAM, "echo", 4);
        assert_int_equal(send_in(pieces[i], 0), NX_OK);
        assert_string_equal(told, "start message(one) message(two) message() end "
                                  "start message(echo) ");
        const uint8_t *payload;
        size_t len;
        assert_int_equal(frames_out(H2_DATA, 1, &payload, &len), 1);
        assert_int_equal(len, 8);
        assert_memory_equal(payload, "\0\0\0\0\3bye", 8);
        assert_int_equal(frames_out(H2_HEADERS, 1, NULL, NULL), 2);
        assert_int_equal(nx_h2_calls(h2), 0);
    }
}

static void open_upload(void)
{
    h2_greet(&in);
    h2_request(&in, 1, 0, "/t.T/Stream", NULL, NULL);
    assert_int_equal(send_in(65536, 0), NX_OK);
}

/* A held message stops the credit; the resume offers it again and lets the rest follow. */
static void a_held_message_closes_the_window(void **state)
{
    (void)state;
    static uint8_t block[10000];
    open_upload();
    take = NX_CALL_HELD;
    h2_message(&in, 1, 0, "first", 5);
    for (int i = 0; i < 5; i++)
        h2_message(&in, 1, 0, block, sizeof block);
    assert_int_equal(send_in(65536, 0), NX_OK);
    assert_string_equal(told, "start held(first) ");
    assert_int_equal(frames_out(H2_WINDOW, 1, NULL, NULL), 1); /* the raise, before the hold */
    assert_true(core.memory.used >= 50000);
    take = NX_CALL_TAKEN;
    nx_call_resume(last);
    assert_ptr_equal(nx_h2_next_woken(&core), h2);
    told[0] = '\0';
    pull_all(0);
    assert_string_equal(told, "message(first) message() message() message() message() message() ");
    assert_true(core.memory.used < 1000);
}

static void a_client_over_its_window_is_cut_off(void **state)
{
    (void)state;
    static uint8_t block[16000];
    open_upload();
    take = NX_CALL_HELD;
    enum nx_status status = NX_OK;
    for (int i = 0; i < 100 && status == NX_OK; i++) {
        h2_message(&in, 1, 0, block, sizeof block);
        status = send_in(65536, 0);
    }
    /* The stream is reset or the connection ends; either way little was kept. */
    assert_true(core.memory.used <= 2 * limits.stream_window_bytes);
    assert_non_null(strstr(told, "cancel(0)"));
}

static void a_deadline_cancels_and_tells_the_client(void **state)
{
    (void)state;
    h2_greet(&in);
    h2_request(&in, 1, 0, "/t.T/Stream", "grpc-timeout", "5m");
    assert_int_equal(send_in(65536, NX_SEC), NX_OK);
    assert_int_equal(nx_call_deadline(last), NX_SEC + 5 * NX_MS);
    assert_int_equal(nx_timers_next(&core.timers), NX_SEC + 5 * NX_MS);
    core.now = NX_SEC + 6 * NX_MS;
    nx_timers_run(&core.timers, core.now, 10);
    pull_all(core.now);
    assert_string_equal(told, "start cancel(1) ");
    assert_int_equal(frames_out(H2_HEADERS, 1, NULL, NULL), 1); /* trailers only */
    assert_int_equal(frames_out(H2_RST, 1, NULL, NULL), 1);     /* and: stop sending */
    assert_int_equal(nx_h2_calls(h2), 0);
}

static void a_silent_uploader_is_given_up(void **state)
{
    (void)state;
    open_upload();
    core.now = limits.stall_timeout_ns;
    nx_timers_run(&core.timers, core.now, 10);
    pull_all(core.now);
    assert_string_equal(told, "start cancel(3) ");
}

static void a_reset_reaches_the_service(void **state)
{
    (void)state;
    open_upload();
    h2_frame(&in, H2_RST, 0, 1, "\0\0\0\x08", 4);
    assert_int_equal(send_in(65536, 0), NX_OK);
    assert_string_equal(told, "start cancel(0) ");
    assert_int_equal(nx_h2_calls(h2), 0);
}

static void resets_without_end_are_a_flood(void **state)
{
    (void)state;
    h2_greet(&in);
    enum nx_status status = send_in(65536, 0);
    uint32_t stream = 1;
    int resets = 0;
    for (; status == NX_OK && resets < 5000; resets++, stream += 2) {
        h2_request(&in, stream, 0, "/t.T/Stream", NULL, NULL);
        h2_frame(&in, H2_RST, 0, stream, "\0\0\0\x08", 4);
        status = send_in(65536, 0);
    }
    assert_int_equal(status, NX_CORRUPT);
    assert_true(resets >= 1000 && resets < 1100);
    pull_all(0);
    assert_int_equal(frames_out(H2_GOAWAY, 0, NULL, NULL), 1);
}

/* A header that the client put into the table before the session was folded is known afterwards, and so is what has been
 * counted: windows, streams. */
static void a_folded_session_goes_on(void **state)
{
    (void)state;
    static struct h2_out block;
    h2_greet(&in);
    assert_int_equal(send_in(65536, 0), NX_OK);
    for (uint32_t stream = 1; stream < 9; stream += 2) {
        block.len = 0;
        h2_literal(&block, ":method", "POST");
        h2_literal(&block, ":scheme", "http");
        h2_literal(&block, ":authority", "x");
        if (stream == 1)
            h2_put(&block, "\x44\x0a/t.T/Unary", 12); /* :path, to be indexed */
        else
            h2_put(&block, "\xbe", 1); /* the youngest of the table */
        h2_literal(&block, "content-type", "application/grpc");
        h2_literal(&block, "te", "trailers");
        h2_frame(&in, H2_HEADERS, H2_END_HEADERS, stream, block.bytes, block.len);
        assert_int_equal(send_in(65536, 0), NX_OK);
        assert_false(nx_h2_fold(h2)); /* the call is not over */
        h2_message(&in, stream, H2_END_STREAM, "echo", 4);
        assert_int_equal(send_in(65536, 0), NX_OK);
        assert_int_equal(nx_h2_calls(h2), 0);
        assert_true(nx_h2_fold(h2));
        assert_true(nx_h2_folded(h2));
        assert_false(nx_h2_over(h2));
        assert_int_equal(nx_h2_backlog(h2), 0);
        pull_all(0); /* nothing, and it stays folded */
        assert_true(nx_h2_folded(h2));
    }
    assert_string_equal(told, "start message(echo) start message(echo) start message(echo) "
                              "start message(echo) ");
    out.len = 0;
    nx_h2_drain(h2);
    pull_all(0);
    assert_int_equal(frames_out(H2_GOAWAY, 0, NULL, NULL), 1);
}

static void slow_resets_are_none(void **state)
{
    (void)state;
    h2_greet(&in);
    uint32_t stream = 1;
    for (int i = 0; i < 5000; i++, stream += 2) {
        h2_request(&in, stream, 0, "/t.T/Stream", NULL, NULL);
        h2_frame(&in, H2_RST, 0, stream, "\0\0\0\x08", 4);
        out.len = told[0] = 0;
        assert_int_equal(send_in(65536, i * 4 * NX_MS), NX_OK);
    }
}

/* Of 4 places one connection gets 2; 2 stay for others, who would get 1 of them. */
static void calls_over_the_share_are_refused_unseen(void **state)
{
    (void)state;
    core.limits.calls_max = 4;
    h2_greet(&in);
    for (uint32_t stream = 1; stream < 7; stream += 2)
        h2_request(&in, stream, 0, "/t.T/Stream", NULL, NULL);
    assert_int_equal(send_in(65536, 0), NX_OK);
    assert_string_equal(told, "start start ");
    const uint8_t *payload;
    size_t len;
    assert_int_equal(frames_out(H2_RST, 5, &payload, &len), 1);
    assert_int_equal(payload[3], 7); /* REFUSED_STREAM: safe to retry */
}

/* The n-th allocation of ours fails, for every n: an error or an answer, never a leak. */
static void any_allocation_may_fail(void **state)
{
    (void)state;
    static uint8_t block[9000];
    for (uint64_t n = 1; n < 40; n++) {
        in.len = 0;
        h2_greet(&in);
        h2_request(&in, 1, 0, "/t.T/Answer", "x-some", "metadata");
        h2_message(&in, 1, 0, block, sizeof block);
        h2_message(&in, 1, H2_END_STREAM, block, sizeof block);
        h2_request(&in, 3, 0, "/t.T/Unary", NULL, NULL);
        h2_message(&in, 3, H2_END_STREAM, block, sizeof block);
        nx_alloc_fail_at(n);
        enum nx_status status = send_in(1000, 0);
        nx_alloc_fail_at(0);
        assert_true(status == NX_OK || status == NX_CORRUPT);
        assert_true(core.upcalls == 0);
        teardown(NULL);
        setup(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(a_held_message_closes_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_over_its_window_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deadline_cancels_and_tells_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_uploader_is_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reset_reaches_the_service, setup, teardown),
        cmocka_unit_test_setup_teardown(resets_without_end_are_a_flood, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folded_session_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_resets_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(calls_over_the_share_are_refused_unseen, setup, teardown),
        cmocka_unit_test_setup_teardown(any_allocation_may_fail, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
