#include "function_tier/grpc/grpc_status.h"
#include "nx_test.h"

#include <string.h>

static void timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        nx_ns ns; /* -1: refused */
    } cases[] = {
        {"1H", 3600 * NX_SEC},
        {"2M", 120 * NX_SEC},
        {"30S", 30 * NX_SEC},
        {"100m", 100 * NX_MS},
        {"7u", 7 * NX_US},
        {"9n", 9},
        {"0n", 0},
        {"99999999H", NX_NEVER / 4},
        {"99999999S", 99999999 * NX_SEC},
        {"", -1},
        {"S", -1},
        {"1", -1},
        {"-1S", -1},
        {"1 S", -1},
        {"1s", -1},
        {"123456789n", -1},
        {"0x1S", -1},
        {"1.5S", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        nx_ns timeout = -1;
        bool ok = nx_grpc_timeout_parse(cases[i].text, strlen(cases[i].text), &timeout);
        assert_int_equal(ok, cases[i].ns >= 0);
        assert_int_equal(timeout, cases[i].ns);
    }
}

static void percent_encoding(void **state)
{
    (void)state;
    char dst[32];
    assert_int_equal(nx_grpc_percent_encode("rose or beagle~", dst, sizeof dst), 15);
    assert_string_equal(dst, "rose or beagle~");
    nx_grpc_percent_encode("100%\n\xc3\xa9\x7f", dst, sizeof dst);
    assert_string_equal(dst, "100%25%0A%C3%A9%7F");
    assert_int_equal(nx_grpc_percent_encode("abc", dst, 3), 2);
    assert_string_equal(dst, "ab");
    assert_int_equal(nx_grpc_percent_encode("a\n", dst, 4), 1); /* never half an escape */
    assert_string_equal(dst, "a");
    assert_int_equal(nx_grpc_percent_encode("a\n", dst, 5), 4);
}

static void content_types(void **state)
{
    (void)state;
    static const char *const good[] = {"application/grpc", "application/grpc+proto",
                                       "Application/GRPC", "application/grpc;charset=utf-8",
                                       "application/grpc+proto; x=y"};
    static const char *const bad[] = {"",
                                      "application/grp",
                                      "application/grpc-web",
                                      "application/grpc+json",
                                      "application/grpc+protox",
                                      "text/plain",
                                      "application/json"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(nx_grpc_content_type_ok(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(nx_grpc_content_type_ok(bad[i], strlen(bad[i])));
}

static void base64(void **state)
{
    (void)state;
    char dst[8];
    size_t len = 77;
    assert_true(nx_grpc_base64_decode("AP9hYg", 6, dst, sizeof dst, &len));
    assert_int_equal(len, 4);
    assert_memory_equal(dst,
                        "\0\xff"
                        "ab",
                        4);
    assert_true(nx_grpc_base64_decode("AP9hYg==", 8, dst, sizeof dst, &len));
    assert_true(nx_grpc_base64_decode("", 0, dst, sizeof dst, &len));
    assert_int_equal(len, 0);
    assert_false(nx_grpc_base64_decode("A", 1, dst, sizeof dst, &len));
    assert_false(nx_grpc_base64_decode("A===", 4, dst, sizeof dst, &len));
    assert_false(nx_grpc_base64_decode("AA=", 3, dst, sizeof dst, &len));
    assert_false(nx_grpc_base64_decode("A*AA", 4, dst, sizeof dst, &len));
    assert_false(nx_grpc_base64_decode("AP9hYg", 6, dst, 3, &len));
}

static void every_status_has_a_code(void **state)
{
    (void)state;
    for (int s = NX_OK; s < NX_STATUS_COUNT; s++) {
        assert_int_equal(nx_grpc_code_of((enum nx_status)s) == NX_GRPC_OK, s == NX_OK);
        assert_int_not_equal(nx_grpc_code_of((enum nx_status)s), NX_GRPC_UNKNOWN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts),
        cmocka_unit_test(percent_encoding),
        cmocka_unit_test(content_types),
        cmocka_unit_test(base64),
        cmocka_unit_test(every_status_has_a_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
