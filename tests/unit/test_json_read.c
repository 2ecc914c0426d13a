#include "function_tier/http/json_read.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static struct nx_json j;
static struct nx_err err;

static void init(const char *text)
{
    err = (struct nx_err){0};
    nx_json_init(&j, text, strlen(text), &err);
}

static void an_object_is_walked(void **state)
{
    (void)state;
    char key[8], text[16];
    bool flag = false;
    uint64_t number = 0;
    int others = 0;
    init(" {\"id\":\"a\\u00e4\\ud83d\\ude00\\n\", \"on\": true,\"n\":3e2, "
         "\"x\":{\"y\":[1,[2,{}],null]},"
         "\"averylongkey\":[] } ");
    for (nx_json_enter(&j, '{'); nx_json_key(&j, key, sizeof key);) {
        if (strcmp(key, "id") == 0)
            nx_json_string(&j, text, sizeof text);
        else if (strcmp(key, "on") == 0)
            nx_json_bool(&j, &flag);
        else if (strcmp(key, "n") == 0)
            nx_json_uint(&j, 1000, &number);
        else {
            others++;
            nx_json_skip(&j);
        }
    }
    assert_int_equal(nx_json_end(&j), NX_OK);
    assert_string_equal(text, "a\xc3\xa4\xf0\x9f\x98\x80\n");
    assert_true(flag && number == 300 && others == 2);
}

static void numbers_are_what_the_library_says(void **state)
{
    (void)state;
    const char *good[] = {
        "0",
        "-0",
        "1",
        "-17",
        "0.1",
        "3.14159265358979",
        "1e5",
        "1E-5",
        "2.5e+10",
        "123456789012345678901234567890",
        "0.000000000000000000000001",
        "1e400",
        "-1e-400",
        "1.7976931348623157e308",
        "9007199254740993",
        "5e-324",
        "0.30000000000000004",
        "1234567.8901234567890123456789012345678901234567890123456789012345678901234567e3"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value;
        init(good[i]);
        assert_true(nx_json_number(&j, &value));
        assert_int_equal(nx_json_end(&j), NX_OK);
        double wanted = strtod(good[i], NULL);
        assert_true(value == wanted || (value - wanted) / wanted < 1e-15);
    }
    const char *bad[] = {"",    "-",   "+1",  "01",       "1.",  ".5", "1e",
                         "1e+", "0x1", "NaN", "Infinity", "1 2", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value;
        init(bad[i]);
        bool ok = nx_json_number(&j, &value);
        assert_false(ok && nx_json_end(&j) == NX_OK);
    }
}

static void whole_numbers_have_bounds(void **state)
{
    (void)state;
    const char *bad[] = {"-1", "1.5", "256", "1e300", "\"1\""};
    uint64_t value;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        init(bad[i]);
        assert_false(nx_json_uint(&j, 255, &value));
        assert_true(err.text[0] != 0);
    }
    init("255");
    assert_true(nx_json_uint(&j, 255, &value) && value == 255);
}

static bool take_float(struct nx_json *json, void *user, size_t i, double value)
{
    float *dst = user;
    (void)json;
    dst[i] = (float)value;
    return true;
}

static bool read_floats(float *dst, size_t count)
{
    return nx_json_numbers(&j, count, false, take_float, dst);
}

static void nested_arrays_are_flattened(void **state)
{
    (void)state;
    float values[6];
    init("[[1,2.5],[[-3],4],[],[5,6e0]]");
    assert_true(read_floats(values, 6));
    assert_int_equal(nx_json_end(&j), NX_OK);
    assert_true(values[1] == 2.5f && values[2] == -3 && values[5] == 6);
    init("[[1,2,3]]");
    assert_false(read_floats(values, 2));
    init("[1,2]");
    assert_false(read_floats(values, 3));
    init("[1,\"a\"]");
    assert_false(read_floats(values, 2));
    init("[1,2");
    assert_false(read_floats(values, 2));
}

static void what_is_no_json_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {"",
                         " ",
                         "{",
                         "[",
                         "}",
                         "{\"a\"}",
                         "{\"a\":}",
                         "{\"a\":1,}",
                         "{,}",
                         "[1,]",
                         "[,1]",
                         "{a:1}",
                         "{\"a\":1 \"b\":2}",
                         "[1 2]",
                         "\"",
                         "\"\\",
                         "\"\\x\"",
                         "\"\\u12\"",
                         "\"\\ud800\"",
                         "\"\\udc00\\ud800\"",
                         "\"\n\"",
                         "\"\xff\"",
                         "nul",
                         "truefalse",
                         "{}x",
                         "[}",
                         "{]",
                         "'a'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        init(bad[i]);
        nx_json_skip(&j);
        assert_int_equal(nx_json_end(&j), NX_INVALID);
        assert_non_null(strstr(err.text, "at byte "));
    }
}

/* What was expected, and what came. */
static void a_refusal_names_what_came(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {{"[NaN]", "expected a number, got NaN, which JSON does not have"},
                {"[-Infinity]", "expected a number, got -Infinity, which JSON does not have"},
                {"[\"1\"]", "expected a number, got a string"},
                {"[null]", "expected a number, got null"},
                {"[{}]", "expected a number, got an object"},
                {"[1 2]", "expected ',' or ']', got 2"},
                {"[1", "expected ',' or ']', got the end"},
                {"[,]", "expected a number, got ','"},
                {"[\x01]", "expected a number, got byte 0x01"},
                {"7", "expected an array, got 7"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float values[4];
        init(rows[i].text);
        assert_false(read_floats(values, 1));
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: %s", rows[i].text, err.text);
    }
}

static void depth_has_a_bound(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, '[', 10000);
    memset(text + 10000, ']', 9999);
    init(text);
    assert_false(nx_json_skip(&j));
    assert_non_null(strstr(err.text, "nested deeper than 64"));
    memset(text, 0, sizeof text);
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    init(text);
    assert_true(nx_json_skip(&j));
    assert_int_equal(nx_json_end(&j), NX_OK);
}

static void strings_have_bounds(void **state)
{
    (void)state;
    char text[4];
    size_t len;
    init("\"abcd\"");
    assert_false(nx_json_string(&j, text, sizeof text));
    init("\"a\\u0000b\"");
    assert_false(nx_json_string(&j, text, sizeof text));
    init("\"a\\u0000b\"");
    assert_true(nx_json_string_bytes(&j, text, sizeof text, &len));
    assert_int_equal(len, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_walked),
        cmocka_unit_test(numbers_are_what_the_library_says),
        cmocka_unit_test(whole_numbers_have_bounds),
        cmocka_unit_test(nested_arrays_are_flattened),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(a_refusal_names_what_came),
        cmocka_unit_test(depth_has_a_bound),
        cmocka_unit_test(strings_have_bounds),
    };
    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
