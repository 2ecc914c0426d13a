#include "common/log_json.h"
#include "nx_test.h"

#include <jansson.h>
#include <string.h>

enum { ROOM = 4096 };
static char bytes[ROOM + 16];

static json_t *write_line(const char *message, const struct nx_log_field *fields, size_t count,
                          size_t cap)
{
    struct nx_log_line line = {1700000000123456789, "warn", 3, message, fields, count};
    json_error_t why;
    memset(bytes, '#', sizeof bytes);
    size_t len = nx_log_json(&line, bytes, cap);
    assert_in_range(len, 2, cap);
    assert_int_equal(bytes[cap], '#');
    assert_null(memchr(bytes, '\n', len));
    json_t *parsed = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
    if (!parsed)
        fail_msg("%s: %.*s", why.text, (int)len, bytes);
    return parsed;
}

static const char *text_of(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void a_line_says_when_where_and_what(void **state)
{
    (void)state;
    const struct nx_log_field fields[] = {
        {"request", "my-id", 0}, {"status", NULL, -5}, {"model", "", 0}};
    json_t *line = write_line("row 3 wedged", fields, 3, ROOM);
    assert_string_equal(text_of(line, "time"), "2023-11-14T22:13:20.123456Z");
    assert_string_equal(text_of(line, "level"), "warn");
    assert_int_equal(json_integer_value(json_object_get(line, "node")), 3);
    assert_string_equal(text_of(line, "message"), "row 3 wedged");
    assert_string_equal(text_of(line, "request"), "my-id");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), -5);
    assert_null(json_object_get(line, "model"));
    json_decref(line);
}

static void hostile_bytes_stay_text(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *read;
    } rows[] = {
        {"\",\"level\":\"error", "\",\"level\":\"error"},
        {"a\nb\r\tc\\", "a\nb\r\tc\\"},
        {"\x01\x1f\x7f", "\x01\x1f\x7f"},
        {"\xff\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"ros\xc3\xa9 \xf0\x9f\x8c\xb9", "ros\xc3\xa9 \xf0\x9f\x8c\xb9"},
        {"cut \xf0\x9f\x8c", "cut \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct nx_log_field field = {"path", rows[i].raw, 0};
        json_t *line = write_line(rows[i].raw, &field, 1, ROOM);
        assert_string_equal(text_of(line, "message"), rows[i].read);
        assert_string_equal(text_of(line, "path"), rows[i].read);
        assert_string_equal(text_of(line, "level"), "warn");
        json_decref(line);
    }
}

/* Cut at each length, with characters of each width: whole objects, of whole characters. */
static void what_is_too_long_is_cut_well(void **state)
{
    (void)state;
    static const char *const units[] = {"a", "\"", "\x01", "\xc3\xa9", "\xf0\x9f\x8c\xb9", "\xff"};
    static char message[3000], path[3000];
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t len = strlen(units[u]);
        for (size_t i = 0; i + len < sizeof path; i += len)
            memcpy(path + i, units[u], len + 1);
        memcpy(message, path, sizeof path);
        for (size_t cap = NX_LOG_JSON_BYTES_MIN; cap < ROOM; cap += 13) {
            const struct nx_log_field fields[] = {
                {"request", "my-id", 0}, {"path", path, 0}, {"status", NULL, 200}};
            json_decref(write_line(message, fields, 3, cap));
        }
    }
}

static void a_long_message_leaves_room_for_facts(void **state)
{
    (void)state;
    static char message[ROOM];
    memset(message, 'm', sizeof message - 1);
    const struct nx_log_field fields[] = {{"request", "my-id", 0}, {"status", NULL, 200}};
    json_t *line = write_line(message, fields, 2, ROOM);
    assert_string_equal(text_of(line, "request"), "my-id");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    json_decref(line);
}

static void keep(void *ctx, enum nx_level level, const char *line)
{
    (void)level;
    *(char **)ctx = strdup(line);
}

/* The one process-wide switch: last, as there is no way back. */
static void every_line_is_an_object_from_then_on(void **state)
{
    (void)state;
    char *line = NULL;
    const struct nx_log_field fields[] = {{"path", "/a\nb", 0}, {"status", NULL, 404}};
    nx_log_set_sink(keep, &line);
    nx_log_facts(NX_LOG_INFO, "request answered", fields, 2);
    assert_string_equal(line, "request answered, path /a?b, status 404");
    free(line);
    nx_log_set_json(12);
    nx_log_write(NX_LOG_WARN, "a \"%s\" of %d", "row", 3);
    json_t *parsed = json_loads(line, 0, NULL);
    assert_string_equal(text_of(parsed, "message"), "a \"row\" of 3");
    assert_int_equal(json_integer_value(json_object_get(parsed, "node")), 12);
    json_decref(parsed);
    free(line);
    nx_log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_when_where_and_what),
        cmocka_unit_test(hostile_bytes_stay_text),
        cmocka_unit_test(what_is_too_long_is_cut_well),
        cmocka_unit_test(a_long_message_leaves_room_for_facts),
        cmocka_unit_test(every_line_is_an_object_from_then_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
