#include "function_tier/grpc/grpc_frame.h"
#include "nx_test.h"

static void a_frame_is_complete_to_the_byte(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 0, 0, 0, 3, 'a', 'b', 'c', 'd'};
    struct nx_grpc_frame frame;
    for (size_t len = 0; len < 8; len++) {
        assert_int_equal(nx_grpc_frame_parse(bytes, len, 3, &frame), NX_AGAIN);
        assert_int_equal(frame.total_bytes, len < NX_GRPC_PREFIX_BYTES ? 0 : 8);
    }
    assert_int_equal(nx_grpc_frame_parse(bytes, sizeof bytes, 3, &frame), NX_OK);
    assert_int_equal(frame.total_bytes, 8);
    assert_int_equal(frame.message_bytes, 3);
    assert_ptr_equal(frame.message, bytes + 5);
    assert_true(frame.compressed);
}

static void limits_and_flags_are_judged_early(void **state)
{
    (void)state;
    struct nx_grpc_frame frame;
    const uint8_t bad[] = {2};
    assert_int_equal(nx_grpc_frame_parse(bad, 1, 9, &frame), NX_CORRUPT);
    const uint8_t huge[] = {0, 0xff, 0xff, 0xff, 0xff};
    assert_int_equal(nx_grpc_frame_parse(huge, 5, 1 << 20, &frame), NX_TOO_LARGE);
    assert_int_equal(frame.message_bytes, UINT32_MAX);
    assert_int_equal(nx_grpc_frame_parse(huge, 5, UINT32_MAX, &frame), NX_AGAIN);
    assert_true(frame.total_bytes == (size_t)UINT32_MAX + 5);
}

static void the_prefix_round_trips(void **state)
{
    (void)state;
    uint8_t prefix[NX_GRPC_PREFIX_BYTES];
    struct nx_grpc_frame frame;
    nx_grpc_frame_prefix(prefix, false, 0x01020304);
    assert_int_equal(nx_grpc_frame_parse(prefix, sizeof prefix, UINT32_MAX, &frame), NX_AGAIN);
    assert_int_equal(frame.message_bytes, 0x01020304);
    assert_false(frame.compressed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_complete_to_the_byte),
        cmocka_unit_test(limits_and_flags_are_judged_early),
        cmocka_unit_test(the_prefix_round_trips),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
