#include "categorizer/image/resize.h"
#include "common/arena.h"
#include "image_pictures.h"

enum { W = 37, H = 23 };

static void draw(uint8_t *rgb)
{
    for (uint32_t i = 0; i < W * H * 3; i++)
        rgb[i] = picture_level(W, H, i / 3 % W, i / 3 / W, i % 3);
}

static struct nx_resize_window whole(uint32_t w, uint32_t h)
{
    return (struct nx_resize_window){.full_width = w, .full_height = h, .width = w, .height = h};
}

static void both_filters_are_within_a_level_of_their_originals(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = {{16, 16}, {50, 41}, {37, 23}, {7, 60}};
    static const char *const filters[] = {"bilinear", "triangle"};
    uint8_t src[W * H * 3], dst[60 * 60 * 3];
    draw(src);
    for (size_t i = 0; i < 8; i++) {
        const uint32_t *size = sizes[i / 2];
        char name[64];
        snprintf(name, sizeof name, "%s%ux%u.rgb", filters[i % 2], size[0], size[1]);
        struct nx_test_file golden = nx_test_read(IMAGES, name);
        struct nx_resize_window w = whole(size[0], size[1]);
        assert_int_equal(
            nx_resize(src, W, H, i % 2 ? NX_FILTER_TRIANGLE : NX_FILTER_BILINEAR, &w, dst, NULL),
            NX_OK);
        assert_int_equal(golden.len, (size_t)3 * size[0] * size[1]);
        int most = largest_difference(dst, golden.bytes, golden.len);
        if (most > 1)
            fail_msg("%s is %d levels off", name, most);
        free(golden.bytes);
    }
}

static void a_window_is_that_part_of_the_whole(void **state)
{
    (void)state;
    uint8_t src[W * H * 3], all[50 * 41 * 3], part[11 * 9 * 3];
    draw(src);
    for (int filter = NX_FILTER_BILINEAR; filter <= NX_FILTER_TRIANGLE; filter++) {
        struct nx_resize_window w = whole(50, 41);
        assert_int_equal(nx_resize(src, W, H, filter, &w, all, NULL), NX_OK);
        w.x = 31, w.y = 32, w.width = 11, w.height = 9; /* down to the last row */
        assert_int_equal(nx_resize(src, W, H, filter, &w, part, NULL), NX_OK);
        for (size_t y = 0; y < 9; y++)
            assert_memory_equal(part + y * 33, all + ((y + 32) * 50 + 31) * 3, 33);
    }
}

static void one_colour_stays_that_colour_at_any_shape(void **state)
{
    (void)state;
    static const uint32_t shapes[][2] = {{1, 1}, {1, 300}, {65535, 1}, {3, 2}};
    uint8_t *src = malloc(65535 * 3), dst[5 * 4 * 3];
    for (size_t i = 0; i < 65535 * 3; i++)
        src[i] = (uint8_t)(40 + i % 3 * 100);
    for (size_t i = 0; i < 8; i++) {
        struct nx_resize_window w = {.full_width = i & 1 ? 5 : 16777216,
                                     .full_height = 4,
                                     .x = i & 1 ? 0 : 9999999,
                                     .width = 5,
                                     .height = 4};
        const uint32_t *s = shapes[i / 2];
        for (int filter = NX_FILTER_BILINEAR; filter <= NX_FILTER_TRIANGLE; filter++) {
            assert_int_equal(nx_resize(src, s[0], s[1], filter, &w, dst, NULL), NX_OK);
            for (size_t k = 0; k < sizeof dst; k++)
                assert_int_equal(dst[k], 40 + k % 3 * 100);
        }
    }
    free(src);
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    uint8_t src[W * H * 3], dst[16 * 16 * 3];
    draw(src);
    struct nx_resize_window w = whole(16, 16);
    for (uint64_t nth = 1; nth <= 5; nth++) {
        nx_alloc_fail_at(nth);
        assert_int_equal(nx_resize(src, W, H, NX_FILTER_TRIANGLE, &w, dst, NULL), NX_NO_MEMORY);
    }
    nx_alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_filters_are_within_a_level_of_their_originals),
        cmocka_unit_test(a_window_is_that_part_of_the_whole),
        cmocka_unit_test(one_colour_stays_that_colour_at_any_shape),
        cmocka_unit_test(no_memory_is_an_answer),
    };
    return cmocka_run_group_tests_name("resize", tests, NULL, NULL);
}
