#include "categorizer/incoming.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static struct nx_budget budget;
static struct nx_incomings all;

static int reset(void **state)
{
    (void)state;
    budget = (struct nx_budget){.limit_bytes = 1000};
    all = (struct nx_incomings){.budget = &budget};
    return 0;
}

static size_t encode_photo(uint8_t *bytes, size_t body)
{
    struct nx_request_head head = {.op = NX_REQUEST_INFER, .tag = 3, .time_left_ns = NX_NEVER};
    size_t len = nx_request_encode(&head, bytes, NX_HEAD_BYTES_MAX);
    for (size_t i = 0; i < body; i++)
        bytes[len + i] = (uint8_t)i;
    return len + body;
}

/* However the stream is cut, the head and the body come out the same. */
static void any_cut_gives_the_same(void **state)
{
    (void)state;
    uint8_t bytes[NX_HEAD_BYTES_MAX + 100];
    size_t len = encode_photo(bytes, 100);
    for (size_t step = 1; step <= len; step++) {
        struct nx_incoming *in = nx_incoming_add(&all, step, len);
        for (size_t at = 0; at < len; at += step)
            nx_incoming_feed(&all, in, bytes + at, len - at < step ? len - at : step);
        assert_int_equal(in->refused.status, NX_OK);
        assert_int_equal(in->head.tag, 3);
        assert_int_equal(in->body_got, 100);
        assert_memory_equal(in->body, bytes + len - 100, 100);
        assert_int_equal(budget.used_bytes, 100);
        nx_incoming_drop(&all, in);
        assert_int_equal(budget.used_bytes, 0);
    }
}

static void over_the_budget_is_read_and_dropped(void **state)
{
    (void)state;
    uint8_t bytes[NX_HEAD_BYTES_MAX + 1001];
    size_t len = encode_photo(bytes, 1001);
    struct nx_incoming *in = nx_incoming_add(&all, 1, len);
    nx_incoming_feed(&all, in, bytes, len - 500);
    nx_incoming_feed(&all, in, bytes + len - 500, 500);
    assert_int_equal(in->got, in->total);
    assert_null(in->body);
    assert_int_equal(in->refused.status, NX_NO_MEMORY);
    assert_int_equal(budget.used_bytes, 0);
    nx_incoming_drop(&all, in);
}

static void files_must_be_as_long_as_announced(void **state)
{
    (void)state;
    struct nx_request_head head = {.op = NX_REQUEST_INSTALL,
                                   .format = NX_FORMAT_MXNET,
                                   .synset_bytes = 10,
                                   .symbol_bytes = 10,
                                   .params_bytes = 10};
    uint8_t bytes[NX_HEAD_BYTES_MAX + 64] = {0};
    size_t len = nx_request_encode(&head, bytes, NX_HEAD_BYTES_MAX);
    struct nx_incoming *in = nx_incoming_add(&all, 1, len + 31);
    nx_incoming_feed(&all, in, bytes, len + 31);
    assert_int_equal(in->refused.status, NX_INVALID);
    assert_string_equal(in->refused.text, "the files are announced as 30 bytes, 31 came");
    nx_incoming_drop(&all, in);

    head.params_bytes = UINT64_MAX; /* the sum overflows */
    len = nx_request_encode(&head, bytes, NX_HEAD_BYTES_MAX);
    in = nx_incoming_add(&all, 2, len + 19);
    nx_incoming_feed(&all, in, bytes, len + 19);
    assert_int_equal(in->refused.status, NX_INVALID);
    nx_incoming_drop(&all, in);
}

static void a_calibration_counts_and_has_its_bound(void **state)
{
    (void)state;
    struct nx_request_head head = {.op = NX_REQUEST_INSTALL,
                                   .format = NX_FORMAT_MXNET,
                                   .synset_bytes = 10,
                                   .symbol_bytes = 10,
                                   .params_bytes = 10,
                                   .precision = NX_PRECISION_INT8,
                                   .calibration_bytes = 7};
    uint8_t bytes[NX_HEAD_BYTES_MAX + 64] = {0};
    size_t len = nx_request_encode(&head, bytes, NX_HEAD_BYTES_MAX);
    struct nx_incoming *in = nx_incoming_add(&all, 1, len + 37);
    nx_incoming_feed(&all, in, bytes, len + 37);
    assert_int_equal(in->refused.status, NX_OK);
    assert_int_equal(in->body_bytes, 37);
    nx_incoming_drop(&all, in);

    head.calibration_bytes = (8 << 20) + 1;
    len = nx_request_encode(&head, bytes, NX_HEAD_BYTES_MAX);
    in = nx_incoming_add(&all, 2, len + 30 + head.calibration_bytes);
    nx_incoming_feed(&all, in, bytes, len);
    assert_int_equal(in->refused.status, NX_TOO_LARGE);
    assert_string_equal(in->refused.text,
                        "the calibration has 8388609 bytes, at most 8388608 are possible");
    assert_null(in->body);
    nx_incoming_drop(&all, in);
}

static void a_stream_that_ends_in_its_head_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[NX_HEAD_BYTES_MAX + 100];
    size_t len = encode_photo(bytes, 0);
    struct nx_incoming *in = nx_incoming_add(&all, 1, len - 1);
    nx_incoming_feed(&all, in, bytes, len - 1);
    assert_int_equal(in->refused.status, NX_CORRUPT);
    nx_incoming_drop(&all, in);
    in = nx_incoming_add(&all, 2, 100);
    memset(bytes, 0xff, 100);
    nx_incoming_feed(&all, in, bytes, 100);
    assert_int_equal(in->refused.status, NX_CORRUPT);
    nx_incoming_drop(&all, in);
}

static void each_is_found_and_visited_once(void **state)
{
    (void)state;
    for (nx_stream s = 1; s <= NX_INCOMING_MAX; s++)
        assert_non_null(nx_incoming_add(&all, s << 32 | s, 1));
    assert_null(nx_incoming_add(&all, 77777777, 1));
    struct nx_incoming *in = NULL;
    uint64_t visited = 0, sum = 0;
    while ((in = nx_incoming_next(&all, in))) {
        visited++;
        sum += in->stream & 0xffffffff;
    }
    assert_int_equal(visited, NX_INCOMING_MAX);
    assert_int_equal(sum, (uint64_t)NX_INCOMING_MAX * (NX_INCOMING_MAX + 1) / 2);
    for (nx_stream s = 1; s <= NX_INCOMING_MAX; s++)
        nx_incoming_drop(&all, nx_incoming_find(&all, s << 32 | s));
    assert_int_equal(all.count, 0);
}

#define each(f) cmocka_unit_test_setup(f, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(any_cut_gives_the_same),
        each(over_the_budget_is_read_and_dropped),
        each(files_must_be_as_long_as_announced),
        each(a_calibration_counts_and_has_its_bound),
        each(a_stream_that_ends_in_its_head_is_refused),
        each(each_is_found_and_visited_once),
    };
    return cmocka_run_group_tests_name("incoming", tests, NULL, NULL);
}
