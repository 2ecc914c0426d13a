#include "categorizer/model/synset.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static struct nx_arena arena;
static struct nx_synset synset;
static struct nx_err err;

static enum nx_status parse(const char *text, size_t len, uint32_t wanted)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    nx_arena_free(&arena);
    nx_arena_init(&arena, 1 << 20);
    enum nx_status status = nx_synset_parse(copy, len, wanted, &arena, &synset, &err);
    free(copy);
    return status;
}

static void lines_are_kept_as_they_are(void **state)
{
    (void)state;
    static const char *const same[] = {"n01440764 tench\nrose\n", "n01440764 tench\nrose",
                                       "n01440764 tench\r\nrose\r\n", "n01440764 tench\nrose\n\n\n",
                                       "n01440764 tench\nrose\nmore than the model has\n"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(parse(same[i], strlen(same[i]), 2), NX_OK);
        assert_string_equal(synset.names[0], "n01440764 tench");
        assert_string_equal(synset.names[1], "rose");
    }
    assert_int_equal(parse("a\n\n\xc3\xa9t\xc3\xa9\n", 9, 3), NX_OK);
    assert_string_equal(synset.names[1], "");
    assert_string_equal(synset.names[2], "\xc3\xa9t\xc3\xa9");
}

static void too_few_lines_are_counted(void **state)
{
    (void)state;
    assert_int_equal(parse("a\nb\nc\nd\ne\n", 10, 8), NX_INVALID);
    assert_string_equal(err.text, "synset has 5 lines, the model has 8 outputs");
    assert_int_equal(parse("\n", 1, 1), NX_INVALID);
}

static void lines_that_are_no_text_are_named(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "a\n\xff\n",           "a\n\xc3\n",      "a\n\xc0\x80\n",     "a\n\xed\xa0\x80\n",
        "a\n\xf5\x80\x80\x80", "a\nb\x1b[31m\n", "a\n\xe0\x9f\xbf\n", "a\n\xf4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(parse(wrong[i], strlen(wrong[i]), 2), NX_CORRUPT);
        assert_non_null(strstr(err.text, "line 2"));
    }
    assert_int_equal(parse("a\0b\nc\n", 6, 2), NX_CORRUPT);
    char longest[1100];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(parse(longest, 1024, 1), NX_OK);
    assert_int_equal(parse(longest, 1025, 1), NX_CORRUPT);
    nx_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_kept_as_they_are),
        cmocka_unit_test(too_few_lines_are_counted),
        cmocka_unit_test(lines_that_are_no_text_are_named),
    };
    return cmocka_run_group_tests_name("synset", tests, NULL, NULL);
}
