#include "categorizer/image/recipe.h"
#include "nx_test.h"

#include <stdio.h>
#include <string.h>

static void expect(const char *text, const struct nx_recipe *want)
{
    struct nx_recipe got;
    struct nx_err err = {0};
    if (nx_recipe_parse(text, strlen(text), &got, &err) != NX_OK)
        fail_msg("%s: %s", text, err.text);
    assert_int_equal(got.size, want->size);
    assert_int_equal(got.crop, want->crop);
    assert_int_equal(got.fit, want->fit);
    assert_int_equal(got.filter, want->filter);
    assert_int_equal(got.channels, want->channels);
    assert_int_equal(got.softmax, want->softmax);
    assert_float_equal(got.scale, want->scale, 1e-9);
    for (int i = 0; i < 3; i++) {
        assert_float_equal(got.mean[i], want->mean[i], 1e-7);
        assert_float_equal(got.std[i], want->std[i], 1e-7);
    }
}

static void expect_refusal(const char *text, const char *sentence)
{
    struct nx_recipe got = {.size = 77};
    struct nx_err err = {0};
    assert_int_equal(nx_recipe_parse(text, strlen(text), &got, &err), NX_INVALID);
    assert_string_equal(err.text, sentence);
    assert_int_equal(got.size, 77);
}

static void a_preset_is_known_by_its_name(void **state)
{
    (void)state;
    static const char *const names[] = {"demo-2019", "imagenet", "caffe-bgr", "raw-255",
                                        "grey-255"};
    for (size_t i = 0; i < 5; i++) {
        char with_newline[32];
        snprintf(with_newline, sizeof with_newline, "%s\n", names[i]);
        expect(names[i], nx_recipe_preset(names[i]));
        expect(with_newline, nx_recipe_preset(names[i]));
    }
    assert_null(nx_recipe_preset("demo"));
    assert_non_null(nx_recipe_preset(NX_RECIPE_DEFAULT));
}

static void text_changes_what_it_names_and_no_more(void **state)
{
    (void)state;
    struct nx_recipe r = *nx_recipe_preset("demo-2019");
    r.softmax = true;
    expect("softmax = yes\n", &r);
    r = *nx_recipe_preset("imagenet");
    r.size = r.crop = 299;
    r.mean[0] = r.mean[1] = r.mean[2] = 0.5f;
    r.std[0] = 0.25f, r.std[1] = -1, r.std[2] = 2;
    r.channels = NX_CHANNELS_BGR;
    r.fit = NX_FIT_SQUASH;
    r.filter = NX_FILTER_BILINEAR;
    r.scale = 2.0f / 51;
    expect("; a comment\npreset = imagenet\nsize=299\ncrop : 299\r\nmean = 0.5\nstd=1/4,-1  2.0\n"
           "order = bgr ; after a value\nfit = squash\nfilter = bilinear\nscale = 10/255",
           &r);
}

static void each_refusal_names_its_line(void **state)
{
    (void)state;
    expect_refusal("imagnet", "unknown recipe 'imagnet', expected demo-2019, imagenet, caffe-bgr, "
                              "raw-255 or grey-255 or key = value lines");
    expect_refusal("", "unknown recipe '', expected demo-2019, imagenet, caffe-bgr, raw-255 or "
                       "grey-255 or key = value lines");
    expect_refusal("size = 256\nsise = 3\n", "recipe line 2: unknown key 'sise'");
    expect_refusal("size = 256\nfit = fill\nfoo = 1",
                   "recipe line 2: fit = 'fill', expected squash or short-side");
    expect_refusal("\n\nsize = 0", "recipe line 3: size = '0', expected 1 to 4096");
    expect_refusal("size = 4097", "recipe line 1: size = '4097', expected 1 to 4096");
    expect_refusal("size = -1", "recipe line 1: size = '-1', expected 1 to 4096");
    expect_refusal("size = 99999999999999999999999",
                   "recipe line 1: size = '99999999999999999999999', expected 1 to 4096");
    expect_refusal("preset = foo", "recipe line 1: preset = 'foo', expected demo-2019, imagenet, "
                                   "caffe-bgr, raw-255 or grey-255");
    expect_refusal("size = 300\npreset = imagenet", "recipe line 2: 'preset' must come first");
    expect_refusal("size = 300\nsize = 300", "recipe line 2: 'size' comes twice");
    expect_refusal("[recipe]\nsize = 300", "recipe line 2: section [recipe], expected none");
    expect_refusal("mean = 1 2\nscale=1",
                   "recipe line 1: mean = '1 2', expected one number or three");
    expect_refusal("mean = 1 2 3 4",
                   "recipe line 1: mean = '1 2 3 4', expected one number or three");
    expect_refusal("std = 1 0 1",
                   "recipe line 1: std = '1 0 1', expected one number or three, none of them 0");
    expect_refusal("scale = nan",
                   "recipe line 1: scale = 'nan', expected a number other than 0, or "
                   "a quotient such as 1/255");
    expect_refusal("scale = 1/0",
                   "recipe line 1: scale = '1/0', expected a number other than 0, or "
                   "a quotient such as 1/255");
    expect_refusal("softmax = maybe", "recipe line 1: softmax = 'maybe', expected yes or no");
    expect_refusal("softmax = yes\nrubbish\n", "recipe line 2: expected 'key = value'");
    expect_refusal("crop = 300", "recipe: crop 300 is larger than size 256");
}

static void text_that_is_too_long_or_no_text_is_refused(void **state)
{
    (void)state;
    char text[NX_RECIPE_TEXT_MAX + 1];
    memset(text, ';', sizeof text);
    struct nx_recipe got;
    struct nx_err err = {0};
    assert_int_equal(nx_recipe_parse(text, sizeof text, &got, &err), NX_TOO_LARGE);
    assert_string_equal(err.text, "the recipe has 4097 bytes, the limit is 4096");
    text[0] = '\n';
    assert_int_equal(nx_recipe_parse(text, 4096, &got, &err), NX_INVALID);
    assert_string_equal(err.text, "recipe line 2: 4095 bytes long, the limit is 190");
    assert_int_equal(nx_recipe_parse("size\0=3", 7, &got, &err), NX_INVALID);
    assert_string_equal(err.text, "the recipe is not text: it holds a zero byte");
    assert_int_equal(nx_recipe_parse(NULL, 0, &got, &err), NX_INVALID);
}

static void a_recipe_that_cannot_fill_the_input_is_refused(void **state)
{
    (void)state;
    struct nx_err err = {0};
    const struct nx_recipe *demo = nx_recipe_preset("demo-2019");
    const struct nx_recipe *grey = nx_recipe_preset("grey-255");
    assert_int_equal(nx_recipe_check(demo, 3, 224, 224, &err), NX_OK);
    assert_int_equal(nx_recipe_check(grey, 1, 28, 28, &err), NX_OK);
    assert_int_equal(nx_recipe_check(demo, 1, 28, 28, &err), NX_INVALID);
    assert_string_equal(err.text, "the model takes 1 channels, the recipe gives 3 (colour)");
    assert_int_equal(nx_recipe_check(grey, 3, 28, 28, &err), NX_INVALID);
    assert_int_equal(nx_recipe_check(demo, 3, 0, 224, &err), NX_INVALID);
    assert_int_equal(nx_recipe_check(demo, 3, 224, 4097, &err), NX_INVALID);
    assert_int_equal(nx_recipe_check(demo, 3, 224, 4000, &err), NX_INVALID);
    assert_string_equal(err.text, "the recipe's size 256 for a crop of 224 means over 4096 pixels "
                                  "for this model");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preset_is_known_by_its_name),
        cmocka_unit_test(text_changes_what_it_names_and_no_more),
        cmocka_unit_test(each_refusal_names_its_line),
        cmocka_unit_test(text_that_is_too_long_or_no_text_is_refused),
        cmocka_unit_test(a_recipe_that_cannot_fill_the_input_is_refused),
    };
    return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
