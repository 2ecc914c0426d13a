#include "function_tier/http/http_multipart.h"
#include "nx_test.h"

#include <string.h>

static struct nx_http_multipart m;
static struct nx_http_part part;
static struct nx_err err;

static enum nx_status init(const char *type, const char *body)
{
    return nx_http_multipart_init(&m, (struct nx_http_span){type, strlen(type)},
                                  (const uint8_t *)body, strlen(body), &err);
}

static void parts_come_in_order(void **state)
{
    (void)state;
    const char *body =
        "preamble\r\n--b\r\nContent-Disposition: form-data; name=\"data\"; "
        "filename=\"a;b\\\".jpg\"\r\nContent-Type: image/jpeg\r\n\r\nby\r\ntes\r\n"
        "--b\r\ncontent-disposition: form-data; name=plain\r\n\r\n\r\n--b--\r\nepilogue";
    assert_int_equal(init("Multipart/Form-Data; charset=x; boundary=\"b\"", body), NX_OK);
    assert_int_equal(nx_http_multipart_next(&m, &part, &err), NX_OK);
    assert_string_equal(part.name, "data");
    assert_int_equal(part.len, 7);
    assert_memory_equal(part.bytes, "by\r\ntes", 7);
    assert_true(nx_http_span_is(part.content_type, "image/jpeg"));
    assert_int_equal(nx_http_multipart_next(&m, &part, &err), NX_OK);
    assert_string_equal(part.name, "plain");
    assert_int_equal(part.len, 0);
    assert_null(part.content_type.at);
    assert_int_equal(nx_http_multipart_next(&m, &part, &err), NX_NOT_FOUND);
}

static void types_that_are_none(void **state)
{
    (void)state;
    static const char too_long[] =
        "multipart/form-data; boundary=0123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789";
    const char *bad[] = {"",
                         "image/jpeg",
                         "multipart/form-data",
                         "multipart/form-data; boundary=",
                         "multipart/form-data; boundary=\"a\x01\"",
                         "multipart/mixed; boundary=b",
                         too_long};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(init(bad[i], ""), NX_INVALID);
}

static void broken_bodies_are_refused(void **state)
{
    (void)state;
    const char *bad[] = {
        "",
        "--c\r\n",
        "--b",
        "--bx\r\n",
        "--b\r\n",
        "--b\r\n\r\nno name\r\n--b--",
        "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nnot ended",
        "--b\r\nContent-Disposition: form-data; name=\"a\"\n\nx\r\n--b--",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(init("multipart/form-data; boundary=b", bad[i]), NX_OK);
        assert_int_equal(nx_http_multipart_next(&m, &part, &err), NX_CORRUPT);
        assert_true(err.text[0] != 0);
    }
}

static void parameters(void **state)
{
    (void)state;
    char value[8];
    const char *text = "a/b; x=1;y=\"2;\\\"3\" ; z; w=toolongvalue";
    struct nx_http_span field = {text, strlen(text)};
    assert_true(nx_http_parameter(field, "x", value, sizeof value));
    assert_string_equal(value, "1");
    assert_true(nx_http_parameter(field, "y", value, sizeof value));
    assert_string_equal(value, "2;\"3");
    assert_false(nx_http_parameter(field, "z", value, sizeof value));
    assert_false(nx_http_parameter(field, "w", value, sizeof value));
    assert_true(nx_http_span_is(nx_http_media_type(field), "a/b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_in_order),
        cmocka_unit_test(types_that_are_none),
        cmocka_unit_test(broken_bodies_are_refused),
        cmocka_unit_test(parameters),
    };
    return cmocka_run_group_tests_name("http_multipart", tests, NULL, NULL);
}
