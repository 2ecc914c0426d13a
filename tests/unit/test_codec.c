#include "common/codec.h"
#include "nx_test.h"

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    uint8_t buf[32];
    struct nx_writer w;
    nx_writer_init(&w, buf, sizeof buf);
    nx_write_u8(&w, 0xab);
    nx_write_u16(&w, 0x1234);
    nx_write_u32(&w, 0xdeadbeef);
    nx_write_u64(&w, 0x0102030405060708u);
    nx_write_bytes(&w, "xyz", 3);
    assert_false(w.bad);
    assert_int_equal(nx_writer_used(&w), 18);
    assert_int_equal(buf[1], 0x34); /* little-endian */

    struct nx_reader r;
    nx_reader_init(&r, buf, nx_writer_used(&w));
    assert_int_equal(nx_read_u8(&r), 0xab);
    assert_int_equal(nx_read_u16(&r), 0x1234);
    assert_int_equal(nx_read_u32(&r), 0xdeadbeef);
    assert_true(nx_read_u64(&r) == 0x0102030405060708u);
    assert_memory_equal(nx_read_bytes(&r, 3), "xyz", 3);
    assert_int_equal(nx_reader_left(&r), 0);
    assert_false(r.bad);
}

static void past_the_end_is_bad_and_stays_bad(void **state)
{
    (void)state;
    uint8_t three[3] = {1, 2, 3};
    struct nx_reader r;
    nx_reader_init(&r, three, sizeof three);
    assert_int_equal(nx_read_u32(&r), 0);
    assert_true(r.bad);
    assert_int_equal(nx_read_u8(&r), 0);
    assert_int_equal(nx_reader_left(&r), 0);
    assert_null(nx_read_bytes(&r, 0));

    nx_reader_init(&r, three, sizeof three);
    assert_null(nx_read_bytes(&r, SIZE_MAX));
    assert_true(r.bad);

    struct nx_writer w;
    nx_writer_init(&w, three, sizeof three);
    nx_write_u32(&w, 7);
    nx_write_u8(&w, 9);
    assert_true(w.bad);
    assert_int_equal(nx_writer_used(&w), 0);
    assert_int_equal(three[0], 1);
}

static void nothing_can_be_read_from_nothing(void **state)
{
    (void)state;
    struct nx_reader r;
    nx_reader_init(&r, NULL, 0);
    assert_non_null(nx_read_bytes(&r, 0));
    assert_false(r.bad);
    assert_int_equal(nx_read_u8(&r), 0);
    assert_true(r.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(past_the_end_is_bad_and_stays_bad),
        cmocka_unit_test(nothing_can_be_read_from_nothing),
    };
    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
