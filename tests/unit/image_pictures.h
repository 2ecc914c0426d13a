/* image_pictures.h — what the photo tests share: the drawing behind the test pictures and a measure
 * of likeness. */
#ifndef IMAGE_PICTURES_H
#define IMAGE_PICTURES_H

#include "nx_files.h"

#define IMAGES "tests/data/image"

/* The same formula as picture() in tools/goldens/image.py. */
static inline uint8_t picture_level(uint32_t w, uint32_t h, uint32_t x, uint32_t y, uint32_t c)
{
    uint32_t across = x * 255 / (w > 1 ? w - 1 : 1), down = y * 255 / (h > 1 ? h - 1 : 1);
    return (uint8_t)(c == 0 ? across : c == 1 ? down : (x + 2 * y) * 7 % 256 / 2 + 32);
}

static inline int largest_difference(const uint8_t *a, const uint8_t *b, size_t n)
{
    int most = 0;
    for (size_t i = 0; i < n; i++)
        if (abs(a[i] - b[i]) > most)
            most = abs(a[i] - b[i]);
    return most;
}

#endif
