#include "function_tier/http/http_head.h"
#include "nx_test.h"

#include <stdio.h>
#include <string.h>

static struct nx_http_head head;
static struct nx_err err;
static size_t used;
static int status;

static enum nx_status parse(const char *text)
{
    return nx_http_head_parse(text, strlen(text), &head, &used, &status, &err);
}

static void assert_span(struct nx_http_span span, const char *text)
{
    assert_int_equal(span.len, strlen(text));
    assert_memory_equal(span.at, text, span.len);
}

static void a_request_is_read(void **state)
{
    (void)state;
    const char *text = "POST /v2/models/x/infer?a=b HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n"
                       "Expect: 100-Continue\r\nX-Empty:\r\nConnection: foo , Close\r\n\r\nbody";
    for (size_t cut = 0; cut < strlen(text) - 4; cut++)
        assert_int_equal(nx_http_head_parse(text, cut, &head, &used, &status, &err), NX_AGAIN);
    assert_int_equal(parse(text), NX_OK);
    assert_int_equal(used, strlen(text) - 4);
    assert_int_equal(head.method, NX_HTTP_POST);
    assert_span(head.target, "/v2/models/x/infer?a=b");
    assert_true(head.has_length && head.content_length == 12 && head.expects_continue);
    assert_false(head.keep_alive);
    assert_span(nx_http_head_field(&head, "host"), "h");
    assert_span(nx_http_head_field(&head, "x-empty"), "");
    assert_null(nx_http_head_field(&head, "x-absent").at);
}

static void other_forms(void **state)
{
    (void)state;
    assert_int_equal(parse("GET http://h:80/a HTTP/1.1\r\nHost: h\r\n\r\n"), NX_OK);
    assert_span(head.target, "/a");
    assert_int_equal(parse("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), NX_OK);
    assert_span(head.target, "/");
    assert_int_equal(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), NX_OK);
    assert_int_equal(parse("\r\nGET / HTTP/1.0\r\n\r\n"), NX_OK);
    assert_true(head.minor_0 && !head.keep_alive);
    assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), NX_OK);
    assert_true(head.keep_alive);
    assert_int_equal(parse("BREW / HTTP/1.1\r\nHost: h\r\n\r\n"), NX_OK);
    assert_int_equal(head.method, NX_HTTP_OTHER);
    assert_int_equal(parse("get / HTTP/1.1\r\nHost: h\r\n\r\n"), NX_OK);
    assert_int_equal(head.method, NX_HTTP_OTHER);
}

static void every_refusal_has_its_status(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"\n", 400},
        {"GET / HTTP/1.1\nHost: h\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET / \r\n\r\n", 400},
        {" / HTTP/1.1\r\n\r\n", 400},
        {"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"GET / HTTP/1.x\r\nHost: h\r\n\r\n", 505},
        {"GET / FTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\n: v\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nA : v\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\x01\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1,1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
         "chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: h\r\nExpect: a cake\r\n\r\n", 417},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        status = 0;
        assert_int_not_equal(parse(cases[i].text), NX_OK);
        assert_int_equal(status, cases[i].status);
        assert_true(err.text[0] != 0);
    }
}

static void too_much_is_refused(void **state)
{
    (void)state;
    static char text[64 << 10];
    memset(text, 'a', sizeof text - 1);
    memcpy(text, "GET /", 5);
    assert_int_equal(parse(text), NX_INVALID);
    assert_int_equal(status, 431);
    memcpy(text + 6000, " HTTP/1.1\r\n", 11);
    assert_int_equal(parse(text), NX_INVALID);
    assert_int_equal(status, 414);
    size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < NX_HTTP_FIELDS_MAX; i++)
        at += (size_t)sprintf(text + at, "a: b\r\n");
    sprintf(text + at, "\r\n");
    assert_int_equal(parse(text), NX_INVALID);
    assert_int_equal(status, 431);
}

static bool decodes(const char *text, bool form, const char *expected)
{
    char out[16];
    return nx_http_decode((struct nx_http_span){text, strlen(text)}, form, out, sizeof out) &&
           strcmp(out, expected) == 0;
}

static void percent_escapes(void **state)
{
    (void)state;
    assert_true(decodes("a%2Fb", false, "a/b"));
    assert_true(decodes("a+b", false, "a+b"));
    assert_true(decodes("a+b", true, "a b"));
    assert_true(decodes("%c3%A4", false, "\xc3\xa4"));
    const char *bad[] = {"%", "%4", "a%", "%4x", "%00", "%0a", "%ff", "%c3", "0123456789abcdef"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(decodes(bad[i], false, bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read),
        cmocka_unit_test(other_forms),
        cmocka_unit_test(every_refusal_has_its_status),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(percent_escapes),
    };
    return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
