#include "categorizer/image/exif.h"
#include "categorizer/image/jpeg_markers.h"
#include "nx_test.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *put(uint8_t *at, unsigned v, int bytes, bool big)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> 8 * (big ? bytes - 1 - i : i));
    return at + bytes;
}

/* A block with one other entry before the orientation's. Returns its length. */
static size_t write_block(uint8_t *block, bool big, unsigned type, unsigned count, unsigned value)
{
    uint8_t *at = block;
    memcpy(at, big ? "MM" : "II", 2);
    at = put(put(put(at + 2, 42, 2, big), 8, 4, big), 2, 2, big);
    at = put(put(put(put(at, 0x0100, 2, big), 3, 2, big), 1, 4, big), 40, 4, big);
    at = put(put(put(at, 0x0112, 2, big), type, 2, big), count, 4, big);
    at = put(put(at, value, 2, big), 0, 2, big);
    return (size_t)(put(at, 0, 4, big) - block);
}

static void each_orientation_is_read_in_both_byte_orders(void **state)
{
    (void)state;
    uint8_t block[64];
    for (int big = 0; big < 2; big++)
        for (unsigned o = 1; o <= 8; o++) {
            size_t len = write_block(block, big, 3, 1, o);
            assert_int_equal(nx_exif_orientation(block, len), o);
        }
}

static void nonsense_means_upright(void **state)
{
    (void)state;
    static const struct {
        unsigned type, count, value;
    } rows[] = {{3, 1, 0}, {3, 1, 9}, {3, 1, 65535}, {4, 1, 6}, {3, 2, 6}, {3, 0, 6}};
    uint8_t block[64];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = write_block(block, false, rows[i].type, rows[i].count, rows[i].value);
        assert_int_equal(nx_exif_orientation(block, len), 1);
    }
    size_t len = write_block(block, false, 3, 1, 6);
    put(block + 4, 0xffffffff, 4, false); /* IFD0 far outside */
    assert_int_equal(nx_exif_orientation(block, len), 1);
    write_block(block, false, 3, 1, 6);
    block[2] = 43; /* not TIFF */
    assert_int_equal(nx_exif_orientation(block, len), 1);
    assert_int_equal(nx_exif_orientation((const uint8_t *)"XX*\0\0\0\0\10", 8), 1);
}

static void a_block_cut_before_its_entry_ends_means_upright(void **state)
{
    (void)state;
    uint8_t block[64];
    size_t len = write_block(block, true, 3, 1, 6), entry_end = len - 4;
    for (size_t n = 0; n <= len; n++) {
        uint8_t *cut = malloc(n ? n : 1); /* its own allocation: the sanitizer guards its end */
        memcpy(cut, block, n);
        assert_int_equal(nx_exif_orientation(cut, n), n >= entry_end ? 6 : 1);
        free(cut);
    }
}

static void markers_are_counted_as_a_decoder_meets_them(void **state)
{
    (void)state;
    static const uint8_t jpeg[] = {
        0xff, 0xd8,                                 /* SOI */
        0xff, 0xe0, 0,    6,    0xff, 0xda, 0,   0, /* a "scan" in APP0 */
        0xff, 0xe1, 0,    10,   'E',  'x',  'i', 'f', 0,    0,    'I',
        'I',                                                           /* Exif, 2 bytes */
        0xff, 0xe1, 0,    9,    'E',  'x',  'i', 'f', 0,    0,    'M', /* another */
        0xff, 0xda, 0,    2,    1,    0xff, 0,   2,   0xff, 0xd0, 0xff,
        0xff,                             /* stuffing, RST0, fill */
        0xda, 0,    2,    7,              /* a second scan */
        0xff, 0xd9, 0xff, 0xda, 0,    2}; /* EOI, then rubbish */
    struct nx_jpeg_markers m = nx_jpeg_markers_find(jpeg, sizeof jpeg);
    assert_int_equal(m.scans, 2);
    assert_int_equal(m.exif_bytes, 2);
    assert_memory_equal(m.exif, "II", 2);
}

/* A frame of three components, then a scan. */
static struct nx_jpeg_markers markers_of(uint8_t frame, uint8_t in_first_scan)
{
    const uint8_t jpeg[] = {0xff, 0xd8,  0xff, 0xc4, 0,
                            8,    0,     0,    0,    0,
                            0,    9, /* tables are no frame */
                            0xff, frame, 0,    8,    8,
                            0,    16,    0,    16,   3,
                            0xff, 0xda,  0,    3,    in_first_scan,
                            0x55, 0xff,  0xda, 0,    3,
                            1,    0xff,  0xd9};
    struct nx_jpeg_markers m = nx_jpeg_markers_find(jpeg, sizeof jpeg);
    assert_int_equal(m.scans, 2);
    return m;
}

static void a_jpeg_whose_pixels_come_after_its_last_scan_is_told(void **state)
{
    (void)state;
    static const uint8_t progressive[] = {0xc2, 0xc6, 0xca, 0xce},
                         others[] = {0xc0, 0xc1, 0xc3, 0xc9};
    for (size_t i = 0; i < 4; i++) {
        assert_true(markers_of(progressive[i], 3).holds_all);
        assert_true(markers_of(others[i], 1).holds_all);
        assert_false(markers_of(others[i], 3).holds_all);
        assert_int_equal(markers_of(others[i], 3).components, 3);
    }
}

static void a_segment_longer_than_the_file_ends_the_walk(void **state)
{
    (void)state;
    static const uint8_t over[] = {0xff, 0xd8, 0xff, 0xe1, 0xff, 0xff, 'E', 'x', 'i', 'f', 0, 0};
    static const uint8_t under[] = {0xff, 0xd8, 0xff, 0xda, 0, 1, 0xff, 0xda, 0, 2};
    assert_null(nx_jpeg_markers_find(over, sizeof over).exif);
    assert_int_equal(nx_jpeg_markers_find(under, sizeof under).scans, 0);
    for (size_t n = 0; n < sizeof over; n++)
        assert_null(nx_jpeg_markers_find(over, n).exif);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_orientation_is_read_in_both_byte_orders),
        cmocka_unit_test(nonsense_means_upright),
        cmocka_unit_test(a_block_cut_before_its_entry_ends_means_upright),
        cmocka_unit_test(markers_are_counted_as_a_decoder_meets_them),
        cmocka_unit_test(a_jpeg_whose_pixels_come_after_its_last_scan_is_told),
        cmocka_unit_test(a_segment_longer_than_the_file_ends_the_walk),
    };
    return cmocka_run_group_tests_name("exif", tests, NULL, NULL);
}
