/* recipe.h — how a photo becomes a model's input. It belongs to the model, not to the server.
 *
 *   scale the photo to `size` (fit, filter) → cut `crop` from the centre → order the channels →
 *   tensor[c] = (level · scale - mean[c]) / std[c],   level in 0..255, c in the channels' order
 *
 * The model's own input shape beats size and crop: for an input of h × w the crop is h × w and the
 * size grows or shrinks by the same ratio (size · w / crop, size · h / crop, rounded).
 *
 * Source  the 2019 demo's server for demo-2019; MXNet's and torchvision's ImageNet convention;
 *         Caffe's means. */
#ifndef NX_IMAGE_RECIPE_H
#define NX_IMAGE_RECIPE_H

#include "categorizer/image/resize.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nx_fit {
    NX_FIT_SQUASH,     /* both sides to size; the aspect is lost */
    NX_FIT_SHORT_SIDE, /* the aspect is kept, the picture just covers the size */
};

enum nx_channels { NX_CHANNELS_RGB, NX_CHANNELS_BGR, NX_CHANNELS_GREY };

struct nx_recipe {
    uint32_t size, crop; /* pixels; 1 <= crop <= size <= NX_RECIPE_SIDE_MAX */
    enum nx_fit fit;
    enum nx_filter filter;
    enum nx_channels channels;
    float scale;
    float mean[3], std[3]; /* in the order of the channels; grey uses the first */
    bool softmax;          /* the model's output are logits: apply softmax to them */
};

#define NX_RECIPE_SIDE_MAX  4096
#define NX_RECIPE_TEXT_MAX  4096 /* bytes of recipe text */
#define NX_RECIPE_VALUE_MAX 1e6f /* |scale|, |mean|, |std|, and 1 / std */

/* name       size crop fit        filter    order  value                             softmax
 * demo-2019   256  224 squash     bilinear  rgb    level / 256                       no
 * imagenet    256  224 short-side triangle  rgb    (level / 255 - mean) / std        yes
 * caffe-bgr   256  224 short-side triangle  bgr    level - (104, 117, 123)           no
 * raw-255     256  224 short-side triangle  rgb    level: the graph does the rest    no
 * grey-255     28   28 squash     triangle  grey   level / 255                       no */
#define NX_RECIPE_DEFAULT "demo-2019"

/* The preset of that name; NULL if there is none. It lives for ever. */
const struct nx_recipe *nx_recipe_preset(const char *name);

/* `text` is the name of a preset or INI text, which starts from demo-2019 or from the preset that
 * its first key names:
 *
 *     preset = imagenet                 ; optional, first
 *     size = 256
 *     crop = 224
 *     fit = squash | short-side
 *     filter = bilinear | triangle
 *     order = rgb | bgr | grey
 *     scale = 1/255                     ; a number or a quotient of two
 *     mean = 0.485 0.456 0.406          ; three numbers, or one for all
 *     std = 0.229 0.224 0.225
 *     softmax = yes | no
 *
 * A line starts with its key. Anything else is NX_INVALID with the line: "recipe line 3: ...".
 * *out is written only on success. Any thread, but not beside one that changes libinih's global
 * settings. */
enum nx_status nx_recipe_parse(const char *text, size_t len, struct nx_recipe *out,
                               struct nx_err *err);

/* Whether the recipe can fill an input of that shape; to be asked when a model is installed. */
enum nx_status nx_recipe_check(const struct nx_recipe *recipe, uint32_t channels, uint32_t height,
                               uint32_t width, struct nx_err *err);

#endif
