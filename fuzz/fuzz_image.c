/* Any bytes as a photo: an answer within the limits, and a tensor of finite numbers. */
#include "categorizer/image/photo.h"
#include "common/nx_assert.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum { SIDE = 16 };
    struct nx_photo_limits limits = {.pixels_max = 1 << 18};
    const char *name = len % 2 ? "demo-2019" : "imagenet";
    float out[3 * SIDE * SIDE];
    struct nx_err err = {0};
    enum nx_status status =
        nx_photo_to_tensor(bytes, len, nx_recipe_preset(name), 3, SIDE, SIDE, out, &limits, &err);
    nx_assert((status == NX_OK) == (err.text[0] == '\0'));
    for (int i = 0; status == NX_OK && i < 3 * SIDE * SIDE; i++)
        nx_assert(isfinite(out[i]));
    return 0;
}
