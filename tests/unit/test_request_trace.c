#include "common/request_trace.h"
#include "nx_test.h"

#include <string.h>

static const char good[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static struct nx_trace_ids join(const char *given, uint8_t flags)
{
    struct nx_trace_ids trace;
    struct nx_prng prng;
    nx_prng_init(&prng, 7);
    nx_trace_join(&prng, given, given ? strlen(given) : 0, flags, &trace);
    return trace;
}

static bool is_joined(const char *given)
{
    static const uint8_t above[NX_SPAN_ID_BYTES] = {0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31};
    struct nx_trace_ids trace = join(given, 0);
    return memcmp(trace.parent_id, above, sizeof above) == 0 && trace.trace_id[0] == 0x0a &&
           trace.trace_id[15] == 0x9c && memcmp(trace.span_id, above, sizeof above) != 0;
}

static void a_trace_goes_on(void **state)
{
    (void)state;
    char text[NX_TRACEPARENT_BYTES];
    assert_true(is_joined(good));
    struct nx_trace_ids trace = join(good, 0);
    assert_true(nx_trace_is_sampled(&trace));
    nx_trace_text(&trace, text);
    assert_int_equal(strlen(text), NX_TRACEPARENT_BYTES - 1);
    assert_memory_equal(text, good, 36);
    assert_string_equal(text + 52, "-01");
    assert_memory_not_equal(text + 36, good + 36, 16);
}

static void only_the_flag_that_is_known_is_passed_on(void **state)
{
    (void)state;
    char given[sizeof good];
    memcpy(given, good, sizeof good);
    memcpy(given + 53, "fe", 2);
    struct nx_trace_ids trace = join(given, NX_TRACE_SAMPLED);
    assert_true(is_joined(given));
    assert_int_equal(trace.flags, 0); /* the caller's word counts, not ours */
}

static void a_later_version_may_have_more(void **state)
{
    (void)state;
    assert_true(is_joined("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert_true(is_joined("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-else"));
    assert_false(is_joined("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01."));
}

static void what_is_malformed_begins_a_trace(void **state)
{
    (void)state;
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct nx_trace_ids trace = join(bad[i], NX_TRACE_SAMPLED);
        static const uint8_t none[NX_SPAN_ID_BYTES];
        assert_true(nx_trace_is_there(&trace));
        assert_true(nx_trace_is_sampled(&trace));
        assert_int_not_equal(trace.trace_id[0], 0x0a);
        assert_memory_equal(trace.parent_id, none, sizeof none);
    }
}

static void no_trace_is_not_sampled(void **state)
{
    (void)state;
    struct nx_trace_ids none = {.flags = NX_TRACE_SAMPLED};
    assert_false(nx_trace_is_sampled(&none));
    assert_false(nx_trace_is_there(&none));
}

static bool is_kept(const char *given, size_t len)
{
    char name[NX_REQUEST_NAME_BYTES];
    struct nx_prng prng;
    nx_prng_init(&prng, 1);
    nx_request_name(&prng, given, len, name);
    if (given && strlen(name) == len && memcmp(name, given, len) == 0)
        return true;
    /* xxxxxxxx-xxxx-4xxx-[89ab]xxx-xxxxxxxxxxxx */
    assert_int_equal(strlen(name), 36);
    assert_int_equal(strspn(name, "0123456789abcdef-"), 36);
    assert_true(name[8] == '-' && name[13] == '-' && name[18] == '-' && name[23] == '-');
    assert_int_equal(name[14], '4');
    assert_non_null(strchr("89ab", name[19]));
    return false;
}

static void names_pass_if_they_are_harmless(void **state)
{
    (void)state;
    char many[NX_REQUEST_NAME_BYTES + 1];
    memset(many, 'a', sizeof many);
    assert_true(is_kept("my.id-1_B", 9));
    assert_true(is_kept(many, NX_REQUEST_NAME_BYTES - 1));
    assert_false(is_kept(many, NX_REQUEST_NAME_BYTES));
    assert_false(is_kept(NULL, 0));
    assert_false(is_kept("", 0));
    assert_false(is_kept("a b", 3));
    assert_false(is_kept("a\nb", 3));
    assert_false(is_kept("a\0b", 3));
    assert_false(is_kept("\xff", 1));
}

static void so_many_of_a_million_are_sampled(void **state)
{
    (void)state;
    struct nx_prng prng;
    unsigned sampled = 0;
    nx_prng_init(&prng, 7);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(nx_trace_draw(&prng, 0), 0);
        assert_int_equal(nx_trace_draw(&prng, NX_TRACE_ALWAYS), NX_TRACE_SAMPLED);
        sampled += nx_trace_draw(&prng, 100000);
    }
    assert_in_range(sampled, 9500, 10500); /* of 10,000 expected: five standard deviations */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trace_goes_on),
        cmocka_unit_test(only_the_flag_that_is_known_is_passed_on),
        cmocka_unit_test(a_later_version_may_have_more),
        cmocka_unit_test(what_is_malformed_begins_a_trace),
        cmocka_unit_test(no_trace_is_not_sampled),
        cmocka_unit_test(names_pass_if_they_are_harmless),
        cmocka_unit_test(so_many_of_a_million_are_sampled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
