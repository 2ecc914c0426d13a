#include "common/status.h"
#include "nx_test.h"

#include <string.h>

static void text_is_one_printable_line(void **state)
{
    (void)state;
    struct nx_err err = {0};
    assert_int_equal(nx_err_set(&err, NX_CORRUPT, "tag %d has \"%s\"", 7, "a\nb\x1b[2J"),
                     NX_CORRUPT);
    assert_string_equal(err.text, "tag 7 has \"a?b?[2J\"");
    assert_int_equal(err.status, NX_CORRUPT);
    assert_int_equal(nx_err_set(NULL, NX_AGAIN, "nobody listens"), NX_AGAIN);
}

static void long_text_is_cut_visibly(void **state)
{
    (void)state;
    char big[2 * NX_ERR_TEXT_BYTES];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = 0;
    struct nx_err err;
    nx_err_set(&err, NX_INVALID, "%s", big);
    assert_int_equal(strlen(err.text), NX_ERR_TEXT_BYTES - 1);
    assert_string_equal(err.text + NX_ERR_TEXT_BYTES - 4, "...");
    nx_err_prefix(&err, "model %d", 3);
    assert_memory_equal(err.text, "model 3: xxx", 12);
    assert_string_equal(err.text + NX_ERR_TEXT_BYTES - 4, "...");
}

static void prefix_keeps_the_cause(void **state)
{
    (void)state;
    struct nx_err err;
    nx_err_set(&err, NX_NOT_FOUND, "no tag 9");
    nx_err_prefix(&err, "shard %d", 1);
    assert_string_equal(err.text, "shard 1: no tag 9");
    assert_int_equal(err.status, NX_NOT_FOUND);
}

static void every_status_has_a_name_and_a_scope(void **state)
{
    (void)state;
    for (int s = 0; s < NX_STATUS_COUNT; s++) {
        assert_string_not_equal(nx_status_name((enum nx_status)s), "unknown");
        assert_true(strlen(nx_status_text((enum nx_status)s)) > 1);
    }
    assert_string_equal(nx_status_name((enum nx_status)999), "unknown");
    assert_int_equal(nx_status_scope(NX_AGAIN), NX_SCOPE_NONE);
    assert_int_equal(nx_status_scope(NX_WEDGED), NX_SCOPE_VIEW);
    assert_int_equal(nx_status_scope(NX_FENCED), NX_SCOPE_NODE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_one_printable_line),
        cmocka_unit_test(long_text_is_cut_visibly),
        cmocka_unit_test(prefix_keeps_the_cause),
        cmocka_unit_test(every_status_has_a_name_and_a_scope),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
