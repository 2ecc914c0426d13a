#include "categorizer/image/recipe.h"

#include <string.h>

#define ONES    \
    {           \
        1, 1, 1 \
    }
#define NONE    \
    {           \
        0, 0, 0 \
    }

static const struct preset {
    const char *name;
    struct nx_recipe recipe;
} presets[] = {
    {"demo-2019",
     {256, 224, NX_FIT_SQUASH, NX_FILTER_BILINEAR, NX_CHANNELS_RGB, 1.0f / 256, NONE, ONES, false}},
    {"imagenet",
     {256,
      224,
      NX_FIT_SHORT_SIDE,
      NX_FILTER_TRIANGLE,
      NX_CHANNELS_RGB,
      1.0f / 255,
      {0.485f, 0.456f, 0.406f},
      {0.229f, 0.224f, 0.225f},
      true}},
    {"caffe-bgr",
     {256,
      224,
      NX_FIT_SHORT_SIDE,
      NX_FILTER_TRIANGLE,
      NX_CHANNELS_BGR,
      1,
      {104, 117, 123},
      ONES,
      false}},
    {"raw-255",
     {256, 224, NX_FIT_SHORT_SIDE, NX_FILTER_TRIANGLE, NX_CHANNELS_RGB, 1, NONE, ONES, false}},
    {"grey-255",
     {28, 28, NX_FIT_SQUASH, NX_FILTER_TRIANGLE, NX_CHANNELS_GREY, 1.0f / 255, NONE, ONES, false}},
};

const struct nx_recipe *nx_recipe_preset(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i].recipe;
    return NULL;
}

enum nx_status nx_recipe_check(const struct nx_recipe *recipe, uint32_t channels, uint32_t height,
                               uint32_t width, struct nx_err *err)
{
    unsigned given = recipe->channels == NX_CHANNELS_GREY ? 1 : 3;
    if (channels != given)
        return nx_err_set(err, NX_INVALID, "the model takes %u channels, the recipe gives %u (%s)",
                          channels, given, given == 1 ? "grey" : "colour");
    if (width < 1 || width > NX_RECIPE_SIDE_MAX || height < 1 || height > NX_RECIPE_SIDE_MAX)
        return nx_err_set(err, NX_INVALID,
                          "the model takes pictures of %u x %u pixels, a side may be 1 to %d",
                          width, height, NX_RECIPE_SIDE_MAX);
    uint64_t longest = width > height ? width : height;
    if (longest * recipe->size / recipe->crop > NX_RECIPE_SIDE_MAX)
        return nx_err_set(
            err, NX_INVALID,
            "the recipe's size %u for a crop of %u means over %d pixels for this model",
            recipe->size, recipe->crop, NX_RECIPE_SIDE_MAX);
    return NX_OK;
}
