#include "categorizer/ordered.h"
#include "nx_test.h"

#include <string.h>

static void a_vote_comes_back(void **state)
{
    (void)state;
    struct nx_ordered m = {.kind = NX_ORDERED_VOTE,
                           .vote = {.version = 1ll << 40, .digest = {{1, 2, 3}}}},
                      back;
    struct nx_err err;
    nx_err_set(&m.vote.failure, NX_UNSUPPORTED, "operator Foo is not known");
    uint8_t bytes[NX_ORDERED_BYTES_MAX + 1];
    size_t len = nx_ordered_encode(&m, bytes, sizeof bytes);
    assert_int_equal(nx_ordered_decode(bytes, len, &back, &err), NX_OK);
    assert_int_equal(back.vote.version, 1ll << 40);
    assert_int_equal(back.vote.failure.status, NX_UNSUPPORTED);
    assert_string_equal(back.vote.failure.text, "operator Foo is not known");
    assert_memory_equal(&back.vote.digest, &m.vote.digest, NX_DIGEST_BYTES);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(nx_ordered_decode(bytes, cut, &back, &err), NX_CORRUPT);
    assert_int_equal(nx_ordered_decode(bytes, len + 1, &back, &err), NX_CORRUPT);
}

static void operations_keep_their_kind(void **state)
{
    (void)state;
    struct nx_ordered m = {.kind = NX_ORDERED_REMOVE, .op = {.op = NX_REQUEST_REMOVE, .tag = 5}},
                      back;
    struct nx_err err;
    uint8_t bytes[NX_ORDERED_BYTES_MAX];
    size_t len = nx_ordered_encode(&m, bytes, sizeof bytes);
    assert_int_equal(nx_ordered_decode(bytes, len, &back, &err), NX_OK);
    assert_int_equal(back.op.tag, 5);
    bytes[0] = NX_ORDERED_INSTALL; /* a removal that calls itself an install */
    assert_int_equal(nx_ordered_decode(bytes, len, &back, &err), NX_CORRUPT);
    bytes[0] = 9;
    assert_int_equal(nx_ordered_decode(bytes, len, &back, &err), NX_CORRUPT);
    assert_int_equal(nx_ordered_decode(bytes, 0, &back, &err), NX_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_vote_comes_back),
                                       cmocka_unit_test(operations_keep_their_kind)};
    return cmocka_run_group_tests_name("ordered", tests, NULL, NULL);
}
