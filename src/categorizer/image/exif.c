#include "categorizer/image/exif.h"

#include <stdbool.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12, HEADER_BYTES = 8 };

struct tiff {
    const uint8_t *bytes;
    size_t len;
    bool big_endian;
};

static bool inside(const struct tiff *t, size_t at, size_t bytes)
{
    return at <= t->len && bytes <= t->len - at;
}

/* The caller has checked that the bytes are there. */
static unsigned u16_at(const struct tiff *t, size_t at)
{
    unsigned a = t->bytes[at], b = t->bytes[at + 1];
    return t->big_endian ? a << 8 | b : b << 8 | a;
}

static uint32_t u32_at(const struct tiff *t, size_t at)
{
    uint32_t a = u16_at(t, at), b = u16_at(t, at + 2);
    return t->big_endian ? a << 16 | b : b << 16 | a;
}

static bool read_header(struct tiff *t, uint32_t *ifd_at)
{
    if (!inside(t, 0, HEADER_BYTES))
        return false;
    bool little = t->bytes[0] == 'I' && t->bytes[1] == 'I';
    t->big_endian = t->bytes[0] == 'M' && t->bytes[1] == 'M';
    if ((!little && !t->big_endian) || u16_at(t, 2) != 42)
        return false;
    *ifd_at = u32_at(t, 4);
    return inside(t, *ifd_at, 2);
}

unsigned nx_exif_orientation(const uint8_t *tiff, size_t len)
{
    struct tiff t = {.bytes = tiff, .len = len};
    uint32_t ifd_at;
    if (!read_header(&t, &ifd_at))
        return 1;
    unsigned entries = u16_at(&t, ifd_at);
    for (unsigned i = 0; i < entries; i++) {
        size_t at = (size_t)ifd_at + 2 + (size_t)i * ENTRY_BYTES;
        if (!inside(&t, at, ENTRY_BYTES))
            return 1;
        if (u16_at(&t, at) != TAG_ORIENTATION)
            continue;
        unsigned value = u16_at(&t, at + 8);
        bool usable = u16_at(&t, at + 2) == TYPE_SHORT && u32_at(&t, at + 4) == 1;
        return usable && value >= 1 && value <= 8 ? value : 1;
    }
    return 1;
}
