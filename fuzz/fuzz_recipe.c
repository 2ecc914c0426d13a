/* Any bytes as a recipe: what is accepted is within the bounds that recipe.h states. */
#include "categorizer/image/recipe.h"
#include "common/nx_assert.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_recipe r;
    struct nx_err err = {0};
    if (nx_recipe_parse((const char *)bytes, len, &r, &err) != NX_OK) {
        nx_assert(err.text[0] != '\0');
        return 0;
    }
    nx_assert(r.crop >= 1 && r.crop <= r.size && r.size <= NX_RECIPE_SIDE_MAX);
    nx_assert(fabsf(r.scale) <= NX_RECIPE_VALUE_MAX);
    for (int i = 0; i < 3; i++) {
        nx_assert(fabsf(r.mean[i]) <= NX_RECIPE_VALUE_MAX);
        nx_assert(fabsf(1 / r.std[i]) <= NX_RECIPE_VALUE_MAX * 1.001f);
    }
    return 0;
}
