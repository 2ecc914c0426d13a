#include "cli/client_text.h"
#include "nx_test.h"

#include <string.h>

static void utf8_is_what_the_standard_allows(void **state)
{
    (void)state;
    static const char *const good[] = {
        "", "plain", "é", "€", "😀", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",     "\xc0\x80",         "\xc1\xbf", "\xc3", "\xe0\x9f\xbf",    "\xed\xa0\x80",
        "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf5\x80", "\xff", "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(nx_client_text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(nx_client_text_is_utf8(bad[i], strlen(bad[i])));
}

static void a_nul_within_is_no_text(void **state)
{
    (void)state;
    assert_false(nx_client_text_is_utf8("a\0b", 3));
    assert_true(nx_client_text_is_utf8("a\0b", 1));
}

static void what_is_printed_moves_no_cursor(void **state)
{
    (void)state;
    char text[] = "a\nb\x1b[2J\x7f é\xc2\x9b"
                  "1m\xff\xe2\x82|";
    nx_client_text_make_printable(text);
    assert_string_equal(text, "a?b?[2J? é?1m???|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_what_the_standard_allows),
        cmocka_unit_test(a_nul_within_is_no_text),
        cmocka_unit_test(what_is_printed_moves_no_cursor),
    };
    return cmocka_run_group_tests_name("client_text", tests, NULL, NULL);
}
