/* decode.h — photo bytes → pixels. The bytes are hostile until decoded.
 *
 *   NX_OK  ⇒  width · height <= limits->pixels_max, and rgb holds 3 · width · height bytes
 *
 * The kind is told by the first bytes, not by a name: JPEG, PNG or WebP. The header is read first,
 * and a picture over the limit is refused before anything of its size is allocated. A photo that is
 * cut short or damaged is refused as a whole (NX_CORRUPT): half a picture would get a confident
 * wrong answer. Two exceptions leave every pixel as it was: stray bytes between JPEG segments,
 * which some cameras write, and a PNG without the checksum of its empty last chunk.
 * Alpha is dropped, not blended. 16 bits become the upper 8, palettes and greys become RGB. A CMYK
 * JPEG is NX_UNSUPPORTED.
 *
 * Shapes  rgb: (height, width, 3) u8, rows from the top *as stored*; `orientation` (exif.h) is not
 *         applied yet
 * Owner   the caller gives pixels back with nx_pixels_free
 * Thread  any
 * Memory  at most 3 · pixels_max bytes, and what a decoder holds beside until it is done: all
 *         coefficients of a JPEG of several scans (up to 6 bytes a pixel), a lossless WebP's pixels
 *         (4), alpha (2), else some rows. Both are taken from limits->budget, but for the rows */
#ifndef NX_IMAGE_DECODE_H
#define NX_IMAGE_DECODE_H

#include "common/budget.h"
#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

struct nx_pixels {
    uint8_t *rgb;
    uint32_t width, height;
    unsigned orientation;     /* 1..8 */
    struct nx_budget *budget; /* what rgb was taken from, or NULL */
};

/* JPEG's own limit, held for all kinds: it bounds the tables of a resize. */
#define NX_PHOTO_SIDE_MAX 65535

struct nx_photo_limits {
    uint64_t pixels_max;
    /* see Memory; rgb is taken from it, until nx_pixels_free: NX_NO_MEMORY; NULL: no bound */
    struct nx_budget *budget;
};

#define NX_PHOTO_LIMITS_DEFAULT ((struct nx_photo_limits){.pixels_max = 64u * 1000 * 1000})

/* `short_side` > 0 says that no more than this many pixels on the shorter side are of use: a JPEG
 * is then decoded at the smallest of 1/1, 1/2, 1/4, 1/8 that still has them. 0 decodes all.
 * `limits` NULL means the default. On failure *out is untouched. */
enum nx_status nx_photo_decode(const uint8_t *bytes, size_t len, uint32_t short_side,
                               const struct nx_photo_limits *limits, struct nx_pixels *out,
                               struct nx_err *err);

void nx_pixels_free(struct nx_pixels *pixels); /* empties it; a zeroed one is fine */

#endif
