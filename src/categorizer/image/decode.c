#include "categorizer/image/decode.h"

#include "categorizer/image/decode_kinds.h"
#include "common/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *magic;
    size_t magic_bytes;
    const char *second; /* at byte 8; NULL: none */
    enum nx_status (*decode)(const struct nx_decode_job *, struct nx_pixels *, struct nx_err *);
} kinds[] = {
    {"\xff\xd8\xff", 3, NULL, nx_decode_jpeg},
    {"\x89PNG\r\n\x1a\n", 8, NULL, nx_decode_png},
    {"RIFF", 4, "WEBP", nx_decode_webp},
};

static const struct kind *sniff(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const struct kind *k = &kinds[i];
        if (len < k->magic_bytes || memcmp(bytes, k->magic, k->magic_bytes) != 0)
            continue;
        if (!k->second || (len >= 12 && memcmp(bytes + 8, k->second, 4) == 0))
            return k;
    }
    return NULL;
}

static enum nx_status refuse_unknown(const uint8_t *bytes, size_t len, struct nx_err *err)
{
    if (len == 0)
        return nx_err_set(err, NX_INVALID, "the photo is empty");
    char hex[4 * 3 + 1] = "";
    for (size_t i = 0; i < 4 && i < len; i++)
        snprintf(hex + 3 * i, 4, " %02x", bytes[i]);
    return nx_err_set(err, NX_INVALID, "the photo is neither JPEG, PNG nor WebP (first bytes%s)",
                      hex);
}

enum nx_status nx_photo_decode(const uint8_t *bytes, size_t len, uint32_t short_side,
                               const struct nx_photo_limits *limits, struct nx_pixels *out,
                               struct nx_err *err)
{
    const struct kind *kind = sniff(bytes, len);
    if (!kind)
        return refuse_unknown(bytes, len, err);
    struct nx_photo_limits l = limits ? *limits : NX_PHOTO_LIMITS_DEFAULT;
    struct nx_decode_job job = {.bytes = bytes,
                                .len = len,
                                .short_side = short_side,
                                .pixels_max = l.pixels_max,
                                .budget = l.budget};
    return kind->decode(&job, out, err);
}

enum nx_status nx_decode_check_size(const struct nx_decode_job *job, const char *kind,
                                    uint64_t width, uint64_t height, struct nx_err *err)
{
    if (width == 0 || height == 0)
        return nx_err_set(err, NX_CORRUPT, "the %s claims %llu x %llu pixels", kind,
                          (unsigned long long)width, (unsigned long long)height);
    if (width > job->pixels_max || height > job->pixels_max / width)
        return nx_err_set(err, NX_TOO_LARGE,
                          "the %s claims %llu x %llu pixels, the limit is %.6g megapixels", kind,
                          (unsigned long long)width, (unsigned long long)height,
                          (double)job->pixels_max / 1e6);
    if (width > NX_PHOTO_SIDE_MAX || height > NX_PHOTO_SIDE_MAX)
        return nx_err_set(err, NX_TOO_LARGE,
                          "the %s claims %llu x %llu pixels, the limit is %d on a side", kind,
                          (unsigned long long)width, (unsigned long long)height, NX_PHOTO_SIDE_MAX);
    return NX_OK;
}

static uint64_t bytes_of(uint32_t width, uint32_t height)
{
    return (uint64_t)width * 3 * height;
}

enum nx_status nx_decode_hold(const struct nx_decode_job *job, uint64_t bytes, struct nx_err *err)
{
    return job->budget ? nx_budget_take(job->budget, bytes, "a photo's decoder", err) : NX_OK;
}

void nx_decode_release(const struct nx_decode_job *job, uint64_t bytes)
{
    if (job->budget)
        nx_budget_give(job->budget, bytes);
}

enum nx_status nx_decode_alloc(const struct nx_decode_job *job, uint32_t width, uint32_t height,
                               struct nx_pixels *pixels, struct nx_err *err)
{
    uint64_t bytes = bytes_of(width, height);
    if (job->budget)
        NX_TRY(nx_budget_take(job->budget, bytes, "a decoded photo", err));
    *pixels = (struct nx_pixels){.rgb = bytes <= SIZE_MAX ? nx_calloc(1, bytes) : NULL,
                                 .width = width,
                                 .height = height,
                                 .orientation = 1,
                                 .budget = job->budget};
    if (pixels->rgb)
        return NX_OK;
    nx_pixels_free(pixels);
    return nx_err_set(err, NX_NO_MEMORY, "no memory for a picture of %u x %u pixels", width,
                      height);
}

void nx_pixels_free(struct nx_pixels *pixels)
{
    if (pixels->budget)
        nx_budget_give(pixels->budget, bytes_of(pixels->width, pixels->height));
    free(pixels->rgb);
    *pixels = (struct nx_pixels){.orientation = 1};
}
