/* Replies as the load generator reads them: whole, in pieces of any size, and what is none. */
#include "bench/load/load_h1.h"
#include "nx_test.h"

#include <string.h>

static struct load_h1 h1;

static int fresh(void **state)
{
    (void)state;
    h1 = (struct load_h1){0};
    return 0;
}

static enum load_h1_progress feed(const char *text, size_t *used)
{
    return load_h1_feed(&h1, text, strlen(text), used);
}

static void a_reply_ends_where_its_length_says(void **state)
{
    (void)state;
    const char *two = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\n"
                      "content-length: 0\r\nconnection: close\r\n\r\n";
    size_t used, more;
    assert_int_equal(feed(two, &used), LOAD_H1_WHOLE);
    assert_int_equal(h1.status, 200);
    assert_false(h1.closes);
    assert_memory_equal(two + used - 5, "hello", 5);
    assert_int_equal(feed(two + used, &more), LOAD_H1_WHOLE);
    assert_int_equal(h1.status, 404);
    assert_true(h1.closes);
    assert_int_equal(used + more, strlen(two));
}

static void pieces_make_the_same(void **state)
{
    (void)state;
    const char *reply = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\nA: b\r\n\r\nabc";
    size_t len = strlen(reply), used;
    for (size_t piece = 1; piece < len; piece++)
        for (size_t at = 0; at < len; at += piece) {
            size_t n = at + piece < len ? piece : len - at;
            enum load_h1_progress p = load_h1_feed(&h1, reply + at, n, &used);
            assert_int_equal(used, n);
            assert_int_equal(p, at + n == len ? LOAD_H1_WHOLE : LOAD_H1_MORE);
        }
    assert_int_equal(h1.status, 429);
}

static void an_interim_reply_is_not_the_answer(void **state)
{
    (void)state;
    size_t used;
    assert_int_equal(feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", &used),
                     LOAD_H1_WHOLE);
    assert_int_equal(h1.status, 204);
}

static void what_is_no_reply(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    };
    size_t used;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fresh(state);
        assert_int_equal(feed(bad[i], &used), LOAD_H1_BROKEN);
    }
}

static void a_head_without_end_is_refused(void **state)
{
    (void)state;
    size_t used;
    enum load_h1_progress progress = feed("HTTP/1.1 200 OK\r\n", &used);
    for (int i = 0; i < LOAD_H1_HEAD_BYTES && progress == LOAD_H1_MORE; i++)
        progress = feed("A: b\r\n", &used);
    assert_int_equal(progress, LOAD_H1_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_reply_ends_where_its_length_says, fresh),
        cmocka_unit_test_setup(pieces_make_the_same, fresh),
        cmocka_unit_test_setup(an_interim_reply_is_not_the_answer, fresh),
        cmocka_unit_test_setup(what_is_no_reply, fresh),
        cmocka_unit_test_setup(a_head_without_end_is_refused, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
