#include "categorizer/image/photo.h"
#include "common/arena.h"
#include "image_pictures.h"

#include <math.h>
#include <string.h>

enum { KEPT_EVERY = 149 }; /* of a golden tensor; EVERY in tools/goldens/image.py */

static float *tensor_of(const char *file, const struct nx_recipe *r, uint32_t c, uint32_t h,
                        uint32_t w)
{
    struct nx_test_file f = nx_test_read(IMAGES, file);
    float *out = calloc((size_t)c * h * w, sizeof *out);
    struct nx_err err = {0};
    if (nx_photo_to_tensor(f.bytes, f.len, r, c, h, w, out, NULL, &err) != NX_OK)
        fail_msg("%s: %s", file, err.text);
    free(f.bytes);
    return out;
}

/* One level of the photo, as far as the recipe's arithmetic stretches it. */
static float one_level(const struct nx_recipe *r)
{
    return r->scale / (r->std[0] < 0.3f ? 0.224f : r->std[0]) * 1.01f;
}

static void each_preset_gives_what_its_original_gives(void **state)
{
    (void)state;
    static const char *const names[] = {"demo-2019", "imagenet", "caffe-bgr", "raw-255",
                                        "grey-255"};
    for (size_t i = 0; i < 5; i++) {
        const struct nx_recipe *r = nx_recipe_preset(names[i]);
        uint32_t c = i == 4 ? 1 : 3, side = i == 4 ? 28 : 224;
        float *got = tensor_of(i == 4 ? "digit.png" : "recipe.jpg", r, c, side, side);
        char golden_name[64];
        snprintf(golden_name, sizeof golden_name, "%s.f32", names[i]);
        struct nx_test_file golden = nx_test_read(IMAGES, golden_name);
        size_t n = golden.len / sizeof(float);
        assert_int_equal(n, ((size_t)c * side * side + KEPT_EVERY - 1) / KEPT_EVERY);
        for (size_t k = 0; k < n; k++) {
            float want;
            memcpy(&want, golden.bytes + k * sizeof want, sizeof want);
            if (!(fabsf(got[k * KEPT_EVERY] - want) <= one_level(r)))
                fail_msg("%s: value %zu is %f, expected %f", names[i], k * KEPT_EVERY,
                         (double)got[k * KEPT_EVERY], (double)want);
        }
        free(golden.bytes);
        free(got);
    }
}

/* The eight files show one picture, stored eight ways. A window that is not centred on whole pixels
 * would show. */
static void each_orientation_gives_the_same_tensor(void **state)
{
    (void)state;
    struct nx_recipe r = *nx_recipe_preset("raw-255");
    r.size = 20, r.crop = 14;
    for (int fit = NX_FIT_SQUASH; fit <= NX_FIT_SHORT_SIDE; fit++) {
        r.fit = fit;
        float *upright = tensor_of("orientation1.jpg", &r, 3, 14, 17);
        static const char *const names[] = {
            "orientation2.jpg", "orientation3.jpg", "orientation4.jpg",
            "orientation5.jpg", "orientation6.jpg", "orientation7.jpg",
            "orientation8.jpg", "orientation6.png", "orientation6.webp"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            float *got = tensor_of(names[i], &r, 3, 14, 17);
            for (size_t k = 0; k < 3 * 14 * 17; k++)
                if (!(fabsf(got[k] - upright[k]) <= 6))
                    fail_msg("%s, fit %d: value %zu is %f, upright %f", names[i], fit, k,
                             (double)got[k], (double)upright[k]);
            free(got);
        }
        free(upright);
    }
}

static void the_models_shape_beats_the_recipes(void **state)
{
    (void)state;
    struct nx_recipe r = *nx_recipe_preset("raw-255");
    r.filter = NX_FILTER_BILINEAR;
    r.fit = NX_FIT_SQUASH;
    r.size = 74,
    r.crop = 37; /* for an input of 23 x 37: 46 x 74, the photo doubled, its middle half */
    float *got = tensor_of("rgb8.png", &r, 3, 23, 37);
    /* red runs 0..255 over 37 columns; the middle half of it */
    assert_float_equal(got[0], 255.0 / 36 * 8.75, 2);
    assert_float_equal(got[36], 255.0 / 36 * 26.75, 2);
    free(got);
}

static void scaled_decoding_moves_little(void **state)
{
    (void)state;
    const struct nx_recipe *r = nx_recipe_preset("raw-255");
    struct nx_test_file f = nx_test_read(IMAGES, "large.jpg");
    struct nx_pixels full = {0};
    assert_int_equal(nx_photo_decode(f.bytes, f.len, 0, NULL, &full, NULL), NX_OK);
    enum { VALUES = 3 * 96 * 96 };
    float *from_full = calloc(VALUES, sizeof(float));
    assert_int_equal(nx_recipe_apply(r, &full, 3, 96, 96, from_full, NULL), NX_OK);
    float *scaled = tensor_of("large.jpg", r, 3, 96, 96);
    double sum = 0;
    for (size_t i = 0; i < VALUES; i++)
        sum += fabs((double)(from_full[i] - scaled[i]));
    assert_true(sum / VALUES < 1.5);
    nx_pixels_free(&full);
    free(from_full);
    free(scaled);
    free(f.bytes);
}

static void a_strip_of_any_shape_costs_a_window(void **state)
{
    (void)state;
    uint8_t *rgb = malloc(3 * 65535);
    memset(rgb, 200, 3 * 65535);
    struct nx_pixels wide = {.rgb = rgb, .width = 65535, .height = 1, .orientation = 1};
    struct nx_pixels tall = {.rgb = rgb, .width = 1, .height = 65535, .orientation = 8};
    float out[3 * 32 * 32];
    const struct nx_recipe *r = nx_recipe_preset("raw-255");
    assert_int_equal(nx_recipe_apply(r, &wide, 3, 32, 32, out, NULL), NX_OK);
    assert_float_equal(out[3 * 32 * 32 - 1], 200, 0);
    assert_int_equal(nx_recipe_apply(r, &tall, 3, 32, 32, out, NULL), NX_OK);
    assert_float_equal(out[0], 200, 0);
    free(rgb);
}

static void refusals_pass_through(void **state)
{
    (void)state;
    struct nx_err err = {0};
    float out[1];
    const struct nx_recipe *r = nx_recipe_preset("demo-2019");
    assert_int_equal(nx_photo_to_tensor((const uint8_t *)"GIF8", 4, r, 3, 8, 8, out, NULL, &err),
                     NX_INVALID);
    assert_int_equal(nx_photo_to_tensor((const uint8_t *)"GIF8", 4, r, 1, 8, 8, out, NULL, &err),
                     NX_INVALID);
    assert_string_equal(err.text, "the model takes 1 channels, the recipe gives 3 (colour)");
    struct nx_test_file f = nx_test_read(IMAGES, "rgb8.png");
    float tensor[3 * 8 * 8];
    for (uint64_t nth = 1; nth <= 7; nth++) {
        nx_alloc_fail_at(nth);
        assert_int_equal(nx_photo_to_tensor(f.bytes, f.len, r, 3, 8, 8, tensor, NULL, &err),
                         NX_NO_MEMORY);
    }
    nx_alloc_fail_at(0);
    free(f.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_preset_gives_what_its_original_gives),
        cmocka_unit_test(each_orientation_gives_the_same_tensor),
        cmocka_unit_test(the_models_shape_beats_the_recipes),
        cmocka_unit_test(scaled_decoding_moves_little),
        cmocka_unit_test(a_strip_of_any_shape_costs_a_window),
        cmocka_unit_test(refusals_pass_through),
    };
    return cmocka_run_group_tests_name("photo", tests, NULL, NULL);
}
