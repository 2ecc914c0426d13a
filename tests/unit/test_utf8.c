#include "common/utf8.h"
#include "nx_test.h"

static void sequences(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len, sequence;
    } cases[] = {{"a", 1, 1},
                 {"\xc3\xa9x", 3, 2},
                 {"\xe2\x82\xac", 3, 3},
                 {"\xf0\x9f\x8c\xb7", 4, 4},
                 {"\0", 1, 0},
                 {"\x80", 1, 0},
                 {"\xc3", 1, 0},
                 {"\xe0\x80\x80", 3, 0},
                 {"\xed\xa0\x80", 3, 0},
                 {"\xf4\x90\x80\x80", 4, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(nx_utf8_sequence((const uint8_t *)cases[i].text, cases[i].len),
                         cases[i].sequence);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sequences)};
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
