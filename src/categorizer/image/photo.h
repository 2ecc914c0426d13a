/* photo.h — a photo as a client sent it → the tensor a model takes. What the categorizer calls.
 *
 * Shapes  out (channels, height, width) f32, for one picture
 * Owner   the caller; nothing is kept. Scratch is the decoded photo (decode.h) and one window
 * Thread  any, and meant for threads of its own: 12 megapixels cost as much as a small network
 * Failure a status and one sentence; `out` is then unspecified */
#ifndef NX_IMAGE_PHOTO_H
#define NX_IMAGE_PHOTO_H

#include "categorizer/image/decode.h"
#include "categorizer/image/recipe.h"

/* Pixels as decoded → tensor: fit, filter, crop, orientation, channels, normalisation. */
enum nx_status nx_recipe_apply(const struct nx_recipe *recipe, const struct nx_pixels *pixels,
                               uint32_t channels, uint32_t height, uint32_t width, float *out,
                               struct nx_err *err);

/* Decode and apply. With the triangle filter a large JPEG is decoded at a fraction of its size
 * (decode.h), which moves a probability by a few hundredths at most; with the bilinear filter it is
 * not, since what the 2019 demo saw is single pixels of the full picture. `limits` NULL means the
 * default. */
enum nx_status nx_photo_to_tensor(const uint8_t *bytes, size_t len, const struct nx_recipe *recipe,
                                  uint32_t channels, uint32_t height, uint32_t width, float *out,
                                  const struct nx_photo_limits *limits, struct nx_err *err);

#endif
