#include "function_tier/http/http_chunked.h"
#include "nx_test.h"

#include <string.h>

/* Feeds `text` in pieces of `step` bytes; the body goes to `body`. What was not consumed is offered again. */
static enum nx_status feed(const char *text, size_t step, char *body, size_t *used_all,
                           struct nx_err *err)
{
    struct nx_http_chunked c = {0};
    size_t len = strlen(text), used_total = 0, offered = 0;
    body[0] = 0;
    while (c.state != NX_HTTP_CHUNKED_DONE) {
        const char *data_at;
        size_t used, data;
        enum nx_status status = nx_http_chunked_take(&c, text + used_total, offered - used_total,
                                                     &used, &data_at, &data, err);
        if (status == NX_AGAIN && offered == len)
            return NX_AGAIN;
        if (status == NX_AGAIN)
            offered = offered + step < len ? offered + step : len;
        else if (status != NX_OK)
            return status;
        strncat(body, data_at, data);
        used_total += used;
    }
    *used_all = used_total;
    return NX_OK;
}

static void chunks_are_joined(void **state)
{
    (void)state;
    const char *text = "4\r\nwiki\r\n6;a=b\r\npedia \r\nA \r\n0123456789\r\n0\r\nX: y\r\n\r\nGET";
    char body[64];
    size_t used;
    struct nx_err err;
    for (size_t step = 1; step < strlen(text); step++) {
        assert_int_equal(feed(text, step, body, &used, &err), NX_OK);
        assert_string_equal(body, "wikipedia 0123456789");
        assert_int_equal(used, strlen(text) - 3);
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {"\r\n",
                         "x\r\n",
                         "-1\r\n",
                         "4\nwiki",
                         "4\r\nwikipedia\r\n",
                         "fffffffffffffffff\r\n",
                         "0x4\r\n",
                         "4\r\nwiki\rx"};
    char body[64];
    size_t used;
    struct nx_err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t step = 1; step < 20; step += 6)
            assert_int_equal(feed(bad[i], step, body, &used, &err), NX_CORRUPT);
}

static void lines_have_bounds(void **state)
{
    (void)state;
    static char text[10000];
    char body[64];
    size_t used;
    struct nx_err err;
    memset(text, 'e', 400);
    memcpy(text, "4;", 2);
    assert_int_equal(feed(text, 50, body, &used, &err), NX_CORRUPT);
    memset(text, 'e', sizeof text - 1);
    memcpy(text, "0\r\n", 3);
    for (size_t i = 3; i + 102 < sizeof text; i += 100)
        memcpy(text + i + 98, "\r\n", 2);
    assert_int_equal(feed(text, 50, body, &used, &err), NX_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(lines_have_bounds),
    };
    return cmocka_run_group_tests_name("http_chunked", tests, NULL, NULL);
}
