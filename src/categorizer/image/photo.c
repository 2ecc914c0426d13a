#include "categorizer/image/photo.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>

/* The picture as stored, seen from the picture as shown:
 * (u, v) = transpose ? (y, x) : (x, y), then each flipped within the stored size. */
static const struct turn {
    bool transpose, flip_u, flip_v;
} turns[9] = {
    [1] = {false, false, false}, [2] = {false, true, false}, [3] = {false, true, true},
    [4] = {false, false, true},  [5] = {true, false, false}, [6] = {true, false, true},
    [7] = {true, true, true},    [8] = {true, true, false},
};

struct sides {
    uint64_t width, height;
};

static struct sides swap_if(bool swap, struct sides s)
{
    return swap ? (struct sides){s.height, s.width} : s;
}

static uint64_t scale_side(uint32_t side, const struct nx_recipe *r)
{
    return ((uint64_t)side * r->size + r->crop / 2) / r->crop;
}

/* The size the shown picture is scaled to, before the crop. */
static struct sides full_size(const struct nx_recipe *r, struct sides shown, struct sides target)
{
    if (r->fit == NX_FIT_SQUASH)
        return target;
    if (target.width * shown.height >= target.height * shown.width)
        return (struct sides){target.width, shown.height * target.width / shown.width};
    return (struct sides){shown.width * target.height / shown.height, target.height};
}

/* The crop, centred in the shown picture, as a window of the stored one. */
static struct nx_resize_window stored_window(struct sides full, struct sides crop,
                                             const struct turn *t)
{
    struct sides at = {(full.width - crop.width) / 2, (full.height - crop.height) / 2};
    full = swap_if(t->transpose, full);
    crop = swap_if(t->transpose, crop);
    at = swap_if(t->transpose, at);
    return (struct nx_resize_window){
        .full_width = full.width,
        .full_height = full.height,
        .x = t->flip_u ? full.width - at.width - crop.width : at.width,
        .y = t->flip_v ? full.height - at.height - crop.height : at.height,
        .width = (uint32_t)crop.width,
        .height = (uint32_t)crop.height,
    };
}

/* ITU-R BT.601 luma, as PIL's "L" and OpenCV's grey. */
static uint8_t luma(const uint8_t *rgb)
{
    return (uint8_t)((299u * rgb[0] + 587u * rgb[1] + 114u * rgb[2] + 500) / 1000);
}

static uint8_t level_of(const uint8_t *rgb, enum nx_channels channels, uint32_t c)
{
    switch (channels) {
    case NX_CHANNELS_RGB: return rgb[c];
    case NX_CHANNELS_BGR: return rgb[2 - c];
    case NX_CHANNELS_GREY: return luma(rgb);
    }
    return 0;
}

static void fill_table(float table[256], const struct nx_recipe *r, uint32_t c)
{
    for (int level = 0; level < 256; level++)
        table[level] = ((float)level * r->scale - r->mean[c]) / r->std[c];
}

/* One plane (height, width) of the tensor from the stored window's pixels. */
static void write_plane(float *out, uint32_t height, uint32_t width, const uint8_t *rgb,
                        const struct turn *t, const struct nx_recipe *r, uint32_t c)
{
    float table[256];
    fill_table(table, r, c);
    size_t columns = t->transpose ? height : width, rows = t->transpose ? width : height;
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            size_t u = t->transpose ? y : x, v = t->transpose ? x : y;
            u = t->flip_u ? columns - 1 - u : u;
            v = t->flip_v ? rows - 1 - v : v;
            *out++ = table[level_of(rgb + 3 * (v * columns + u), r->channels, c)];
        }
}

enum nx_status nx_recipe_apply(const struct nx_recipe *recipe, const struct nx_pixels *pixels,
                               uint32_t channels, uint32_t height, uint32_t width, float *out,
                               struct nx_err *err)
{
    NX_TRY(nx_recipe_check(recipe, channels, height, width, err));
    nx_assert(pixels->orientation >= 1 && pixels->orientation <= 8);
    const struct turn *turn = &turns[pixels->orientation];
    struct sides shown = swap_if(turn->transpose, (struct sides){pixels->width, pixels->height});
    struct sides target = {scale_side(width, recipe), scale_side(height, recipe)};
    struct nx_resize_window window =
        stored_window(full_size(recipe, shown, target), (struct sides){width, height}, turn);
    uint8_t *rgb = nx_calloc((size_t)width * height, 3);
    if (!rgb)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a picture of %u x %u pixels", width,
                          height);
    enum nx_status status =
        nx_resize(pixels->rgb, pixels->width, pixels->height, recipe->filter, &window, rgb, err);
    for (uint32_t c = 0; status == NX_OK && c < channels; c++)
        write_plane(out + (size_t)c * height * width, height, width, rgb, turn, recipe, c);
    free(rgb);
    return status;
}

/* What a scaled decode must leave on the shorter side, whatever the shape of the photo. */
static uint32_t useful_side(const struct nx_recipe *r, uint32_t height, uint32_t width)
{
    if (r->filter == NX_FILTER_BILINEAR)
        return 0;
    return (uint32_t)scale_side(width > height ? width : height, r);
}

enum nx_status nx_photo_to_tensor(const uint8_t *bytes, size_t len, const struct nx_recipe *recipe,
                                  uint32_t channels, uint32_t height, uint32_t width, float *out,
                                  const struct nx_photo_limits *limits, struct nx_err *err)
{
    NX_TRY(nx_recipe_check(recipe, channels, height, width, err));
    struct nx_pixels pixels;
    NX_TRY(nx_photo_decode(bytes, len, useful_side(recipe, height, width), limits, &pixels, err));
    enum nx_status status = nx_recipe_apply(recipe, &pixels, channels, height, width, out, err);
    nx_pixels_free(&pixels);
    return status;
}
