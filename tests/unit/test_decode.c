#include "categorizer/image/decode.h"
#include "common/arena.h"
#include "image_pictures.h"

#include <string.h>

static struct nx_pixels decode_file(const char *name, uint32_t short_side)
{
    struct nx_test_file f = nx_test_read(IMAGES, name);
    struct nx_pixels pixels = {0};
    struct nx_err err = {0};
    enum nx_status status = nx_photo_decode(f.bytes, f.len, short_side, NULL, &pixels, &err);
    if (status != NX_OK)
        fail_msg("%s: %s", name, err.text);
    free(f.bytes);
    return pixels;
}

static void expect_refusal(const uint8_t *bytes, size_t len, enum nx_status want, const char *text)
{
    struct nx_pixels pixels = {.width = 77};
    struct nx_err err = {0};
    assert_int_equal(nx_photo_decode(bytes, len, 0, NULL, &pixels, &err), want);
    assert_string_equal(err.text, text);
    assert_int_equal(pixels.width, 77); /* untouched */
    assert_null(pixels.rgb);
}

/* What each kind of PNG of the drawing becomes, level for level. */
static uint8_t level_as(const char *kind, uint32_t x, uint32_t y, uint32_t c)
{
    bool grey = strncmp(kind, "grey", 4) == 0;
    uint8_t level = picture_level(37, 23, x, y, grey ? 0 : c);
    return strcmp(kind, "grey1.png") == 0 ? (level > 127 ? 255 : 0) : level;
}

static void every_kind_of_png_becomes_rgb8(void **state)
{
    (void)state;
    static const char *const names[] = {"rgb8.png",   "rgba8.png", "grey8.png",
                                        "grey16.png", "rgb16.png", "grey1.png"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct nx_pixels p = decode_file(names[i], 0);
        assert_int_equal(p.width, 37);
        assert_int_equal(p.height, 23);
        assert_int_equal(p.orientation, 1);
        for (uint32_t at = 0; at < 37 * 23 * 3; at++)
            if (p.rgb[at] != level_as(names[i], at / 3 % 37, at / 3 / 37, at % 3))
                fail_msg("%s differs at byte %u", names[i], at);
        nx_pixels_free(&p);
    }
}

static void expect_like(const char *name, const char *golden, int tolerance)
{
    struct nx_pixels p = decode_file(name, 0);
    struct nx_test_file g = nx_test_read(IMAGES, golden);
    assert_int_equal((size_t)p.width * p.height * 3, g.len);
    int most = largest_difference(p.rgb, g.bytes, g.len);
    if (most > tolerance)
        fail_msg("%s is %d levels off, allowed are %d", name, most, tolerance);
    nx_pixels_free(&p);
    free(g.bytes);
}

static void palettes_jpeg_and_webp_look_like_their_originals(void **state)
{
    (void)state;
    expect_like("palette.png", "palette.rgb", 0);
    expect_like("lossless.webp", "smooth40x30.rgb", 0);
    expect_like("444.jpg", "smooth40x30.rgb", 6);
    expect_like("420.jpg", "smooth40x30.rgb", 24);
    expect_like("progressive.jpg", "smooth40x30.rgb", 24);
    expect_like("lossy.webp", "smooth40x30.rgb", 40);
    struct nx_pixels grey = decode_file("grey.jpg", 0);
    for (uint32_t i = 0; i < grey.width * grey.height; i++)
        assert_true(grey.rgb[3 * i] == grey.rgb[3 * i + 1] &&
                    grey.rgb[3 * i] == grey.rgb[3 * i + 2]);
    nx_pixels_free(&grey);
}

static void orientation_is_reported_from_every_kind(void **state)
{
    (void)state;
    static const char *const names[] = {"orientation6.jpg", "orientation6.png",
                                        "orientation6.webp"};
    for (size_t i = 0; i < 3; i++) {
        struct nx_pixels p = decode_file(names[i], 0);
        assert_int_equal(p.orientation, 6);
        assert_int_equal(p.width, 24); /* as stored */
        nx_pixels_free(&p);
    }
}

static void a_jpeg_is_decoded_at_the_smallest_scale_that_is_of_use(void **state)
{
    (void)state;
    static const struct {
        uint32_t wanted, width, height;
    } rows[] = {{0, 1100, 900},  {451, 1100, 900}, {450, 550, 450}, {226, 550, 450},
                {225, 275, 225}, {114, 275, 225},  {113, 138, 113}, {1, 138, 113}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nx_pixels p = decode_file("large.jpg", rows[i].wanted);
        assert_int_equal(p.width, rows[i].width);
        assert_int_equal(p.height, rows[i].height);
        nx_pixels_free(&p);
    }
}

static void a_photo_cut_anywhere_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"444.jpg",     "progressive.jpg",  "orientation6.jpg",
                                        "rgb8.png",    "orientation6.png", "lossy.webp",
                                        "palette.png", "lossless.webp",    "orientation6.webp"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct nx_test_file f = nx_test_read(IMAGES, names[i]);
        /* IEND's checksum guards nothing */
        size_t whole = strstr(names[i], ".png") ? f.len - 4 : f.len;
        for (size_t n = 0; n < whole; n++) {
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, f.bytes, n);
            struct nx_pixels p = {0};
            struct nx_err err = {0};
            if (nx_photo_decode(cut, n, 0, NULL, &p, &err) == NX_OK)
                fail_msg("%s decoded from %zu of %zu bytes", names[i], n, f.len);
            assert_true(err.text[0] != '\0');
            free(cut);
        }
        free(f.bytes);
    }
}

static void what_is_not_a_photo_is_named_by_its_first_bytes(void **state)
{
    (void)state;
    expect_refusal((const uint8_t *)"%PDF-1.4", 8, NX_INVALID,
                   "the photo is neither JPEG, PNG nor WebP (first bytes 25 50 44 46)");
    expect_refusal((const uint8_t *)"\xff\xd8", 2, NX_INVALID,
                   "the photo is neither JPEG, PNG nor WebP (first bytes ff d8)");
    expect_refusal((const uint8_t *)"RIFF\0\0\0\0WAVE", 12, NX_INVALID,
                   "the photo is neither JPEG, PNG nor WebP (first bytes 52 49 46 46)");
    expect_refusal((const uint8_t *)"", 0, NX_INVALID, "the photo is empty");
}

static uint32_t crc_of(const uint8_t *p, size_t n)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void put_be32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The test PNG with other sides in its header, and the right checksum. */
static struct nx_test_file png_claiming(uint32_t width, uint32_t height)
{
    struct nx_test_file f = nx_test_read(IMAGES, "rgb8.png");
    put_be32(f.bytes + 16, width);
    put_be32(f.bytes + 20, height);
    put_be32(f.bytes + 29, crc_of(f.bytes + 12, 17));
    return f;
}

static void a_png_claiming_too_much_is_refused_by_its_header(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height;
        enum nx_status status;
        const char *text;
    } rows[] = {
        {100000, 100000, NX_TOO_LARGE,
         "the PNG claims 100000 x 100000 pixels, the limit is 64 megapixels"},
        {8001, 8000, NX_TOO_LARGE, "the PNG claims 8001 x 8000 pixels, the limit is 64 megapixels"},
        {8000, 8000, NX_CORRUPT, "the PNG claims 8000 x 8000 pixels but has only 208 bytes"},
        {65536, 1, NX_TOO_LARGE, "the PNG claims 65536 x 1 pixels, the limit is 65535 on a side"},
        {0, 7, NX_CORRUPT, "the PNG cannot be decoded: invalid image width"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nx_test_file f = png_claiming(rows[i].width, rows[i].height);
        expect_refusal(f.bytes, f.len, rows[i].status, rows[i].text);
        free(f.bytes);
    }
}

static void a_jpeg_claiming_too_much_is_refused_by_its_header(void **state)
{
    (void)state;
    struct nx_test_file f = nx_test_read(IMAGES, "444.jpg");
    uint8_t *frame = memmem(f.bytes, f.len, "\xff\xc0", 2);
    assert_non_null(frame);
    memcpy(frame + 5, "\xea\x60\xea\x60", 4);
    expect_refusal(f.bytes, f.len, NX_TOO_LARGE,
                   "the JPEG claims 60000 x 60000 pixels, the limit is 64 megapixels");
    free(f.bytes);
}

static void the_limit_is_the_callers(void **state)
{
    (void)state;
    struct nx_test_file f = nx_test_read(IMAGES, "lossless.webp");
    struct nx_photo_limits limits = {.pixels_max = 40 * 30};
    struct nx_pixels p = {0};
    struct nx_err err = {0};
    assert_int_equal(nx_photo_decode(f.bytes, f.len, 0, &limits, &p, &err), NX_OK);
    nx_pixels_free(&p);
    limits.pixels_max--;
    assert_int_equal(nx_photo_decode(f.bytes, f.len, 0, &limits, &p, &err), NX_TOO_LARGE);
    assert_string_equal(err.text,
                        "the WebP claims 40 x 30 pixels, the limit is 0.001199 megapixels");
    free(f.bytes);
}

static void cmyk_is_refused(void **state)
{
    (void)state;
    struct nx_test_file f = nx_test_read(IMAGES, "cmyk.jpg");
    expect_refusal(f.bytes, f.len, NX_UNSUPPORTED, "the JPEG is CMYK, expected RGB or grey");
    free(f.bytes);
}

/* The last scan of a progressive file again and again: each would be a pass over the whole picture.
 */
static void a_jpeg_with_scans_without_end_is_refused(void **state)
{
    (void)state;
    struct nx_test_file f = nx_test_read(IMAGES, "progressive.jpg");
    size_t last = f.len - 1;
    while (memcmp(f.bytes + --last, "\xff\xda", 2) != 0) {
    }
    size_t scan = f.len - 2 - last, len = last;
    uint8_t *bomb = malloc(f.len + 70 * scan);
    memcpy(bomb, f.bytes, last);
    for (int i = 0; i < 70; i++, len += scan)
        memcpy(bomb + len, f.bytes + last, scan);
    memcpy(bomb + len, "\xff\xd9", 2);
    struct nx_err err = {0};
    struct nx_pixels p = {0};
    assert_int_equal(nx_photo_decode(bomb, len + 2, 0, NULL, &p, &err), NX_TOO_LARGE);
    assert_non_null(strstr(err.text, "scans, the limit is 64"));
    free(bomb);
    free(f.bytes);
}

static void stray_bytes_between_segments_do_no_harm(void **state)
{
    (void)state;
    struct nx_test_file f = nx_test_read(IMAGES, "444.jpg");
    uint8_t *with = malloc(f.len + 3);
    memcpy(with, f.bytes, f.len - 2);
    memcpy(with + f.len - 2, "\1\2\3\xff\xd9", 5);
    struct nx_pixels p = {0};
    struct nx_err err = {0};
    assert_int_equal(nx_photo_decode(with, f.len + 3, 0, NULL, &p, &err), NX_OK);
    struct nx_pixels original = decode_file("444.jpg", 0);
    assert_memory_equal(p.rgb, original.rgb, (size_t)p.width * p.height * 3);
    nx_pixels_free(&p);
    nx_pixels_free(&original);
    free(with);
    free(f.bytes);
}

/* What fits is taken until it is freed, what does not is refused, a photo cut short holds nothing. What is held beside the
 * pixels while they are decoded: of 420, 3 x 2 units of 6 blocks of 64 coefficients; of what is
 * lossless, 4 bytes a pixel, its small pictures of 22 pixels, and the tables of one group of codes. */
static const struct {
    const char *name;
    uint64_t pixels, beside;
} decoded[] = {
    {"444.jpg", 40 * 30, 0},
    {"rgb8.png", 37 * 23, 0},
    {"lossy.webp", 40 * 30, 0},
    {"progressive.jpg", 40 * 30, 3 * 2 * 6 * 64 * 2},
    {"lossless.webp", 40 * 30, 4 * 40 * 30 + 4 * 22 + 4 * 2957 + 600},
};

static void what_decoding_holds_is_taken_from_a_budget(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof decoded / sizeof decoded[0]; i++) {
        struct nx_test_file f = nx_test_read(IMAGES, decoded[i].name);
        uint64_t bytes = 3 * decoded[i].pixels;
        struct nx_budget budget = {.limit_bytes = bytes + decoded[i].beside};
        struct nx_photo_limits limits = {.pixels_max = 10000, .budget = &budget};
        struct nx_pixels p = {0};
        struct nx_err err = {0};
        assert_int_equal(nx_photo_decode(f.bytes, f.len, 0, &limits, &p, &err), NX_OK);
        assert_int_equal(budget.used_bytes, bytes);
        nx_pixels_free(&p);
        assert_int_equal(budget.used_bytes, 0);
        assert_int_not_equal(nx_photo_decode(f.bytes, f.len - 40, 0, &limits, &p, &err), NX_OK);
        assert_int_equal(budget.used_bytes, 0);
        nx_alloc_fail_at(1);
        assert_int_equal(nx_photo_decode(f.bytes, f.len, 0, &limits, &p, &err), NX_NO_MEMORY);
        nx_alloc_fail_at(0);
        assert_int_equal(budget.used_bytes, 0);
        budget.limit_bytes--;
        assert_int_equal(nx_photo_decode(f.bytes, f.len, 0, &limits, &p, &err), NX_NO_MEMORY);
        assert_non_null(strstr(err.text, "a decoded photo of "));
        assert_int_equal(budget.used_bytes, 0);
        free(f.bytes);
    }
}

/* They are held at every scale, and their refusal is told from the pixels'. */
static void a_smaller_copy_of_a_progressive_jpeg_needs_all_coefficients(void **state)
{
    (void)state;
    struct nx_test_file f = nx_test_read(IMAGES, "progressive.jpg");
    struct nx_budget budget = {.limit_bytes = 4608 + 3 * 5 * 4};
    struct nx_photo_limits limits = {.pixels_max = 10000, .budget = &budget};
    struct nx_pixels p = {0};
    struct nx_err err = {0};
    assert_int_equal(nx_photo_decode(f.bytes, f.len, 4, &limits, &p, &err), NX_OK);
    assert_int_equal(p.width, 5);
    assert_int_equal(p.height, 4);
    nx_pixels_free(&p);
    budget.limit_bytes = 4607;
    assert_int_equal(nx_photo_decode(f.bytes, f.len, 4, &limits, &p, &err), NX_NO_MEMORY);
    assert_non_null(strstr(err.text, "a photo's decoder of 4608 bytes"));
    assert_int_equal(budget.used_bytes, 0);
    free(f.bytes);
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    static const char *const names[] = {"444.jpg", "rgb8.png", "lossy.webp"};
    for (size_t i = 0; i < 3; i++) {
        struct nx_test_file f = nx_test_read(IMAGES, names[i]);
        nx_alloc_fail_at(1);
        expect_refusal(f.bytes, f.len, NX_NO_MEMORY,
                       i == 1 ? "no memory for a picture of 37 x 23 pixels"
                              : "no memory for a picture of 40 x 30 pixels");
        nx_alloc_fail_at(0);
        free(f.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_png_becomes_rgb8),
        cmocka_unit_test(palettes_jpeg_and_webp_look_like_their_originals),
        cmocka_unit_test(orientation_is_reported_from_every_kind),
        cmocka_unit_test(a_jpeg_is_decoded_at_the_smallest_scale_that_is_of_use),
        cmocka_unit_test(a_photo_cut_anywhere_is_refused),
        cmocka_unit_test(what_is_not_a_photo_is_named_by_its_first_bytes),
        cmocka_unit_test(a_png_claiming_too_much_is_refused_by_its_header),
        cmocka_unit_test(a_jpeg_claiming_too_much_is_refused_by_its_header),
        cmocka_unit_test(the_limit_is_the_callers),
        cmocka_unit_test(cmyk_is_refused),
        cmocka_unit_test(a_jpeg_with_scans_without_end_is_refused),
        cmocka_unit_test(stray_bytes_between_segments_do_no_harm),
        cmocka_unit_test(what_decoding_holds_is_taken_from_a_budget),
        cmocka_unit_test(a_smaller_copy_of_a_progressive_jpeg_needs_all_coefficients),
        cmocka_unit_test(no_memory_is_an_answer),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
