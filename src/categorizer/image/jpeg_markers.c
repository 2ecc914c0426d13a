#include "categorizer/image/jpeg_markers.h"

#include <string.h>

enum {
    TEM = 0x01,
    SOF0 = 0xc0,
    DHT = 0xc4,
    JPG = 0xc8,
    DAC = 0xcc,
    SOF15 = 0xcf,
    RST0 = 0xd0,
    SOI = 0xd8,
    EOI = 0xd9,
    SOS = 0xda,
    APP1 = 0xe1
};

static bool stands_alone(uint8_t marker)
{
    return marker == TEM || (marker >= RST0 && marker <= SOI);
}

/* SOF0..15; among their codes are those of three other segments. */
static bool starts_frame(uint8_t marker)
{
    return marker >= SOF0 && marker <= SOF15 && marker != DHT && marker != JPG && marker != DAC;
}

/* Frame: precision, height, width, components. Scan: components. */
static void note_scans(struct nx_jpeg_markers *m, uint8_t marker, const uint8_t *body, size_t len)
{
    if (starts_frame(marker) && len > 5) {
        m->components = body[5];
        m->holds_all |= (marker & 3) == 2; /* SOF2, 6, 10, 14 */
    }
    if (marker == SOS && m->scans++ == 0 && len > 0)
        m->holds_all |= body[0] < m->components;
}

static void note_segment(struct nx_jpeg_markers *m, uint8_t marker, const uint8_t *body, size_t len)
{
    static const uint8_t exif_mark[6] = {'E', 'x', 'i', 'f', 0, 0};
    note_scans(m, marker, body, len);
    if (marker == APP1 && !m->exif && len > sizeof exif_mark &&
        memcmp(body, exif_mark, sizeof exif_mark) == 0) {
        m->exif = body + sizeof exif_mark;
        m->exif_bytes = len - sizeof exif_mark;
    }
}

/* From `at`, the position behind the next marker's code byte, or NULL. Skips entropy-coded data. */
static const uint8_t *next_marker(const uint8_t *at, const uint8_t *end, uint8_t *marker)
{
    while (at < end && (at = memchr(at, 0xff, (size_t)(end - at))) != NULL) {
        while (at < end && *at == 0xff)
            at++;
        if (at < end && *at != 0 && !stands_alone(*at)) {
            *marker = *at;
            return at + 1;
        }
    }
    return NULL;
}

struct nx_jpeg_markers nx_jpeg_markers_find(const uint8_t *bytes, size_t len)
{
    struct nx_jpeg_markers m = {0};
    const uint8_t *at = bytes, *end = bytes + len;
    uint8_t marker;
    while ((at = next_marker(at, end, &marker)) != NULL && marker != EOI) {
        if (end - at < 2)
            break;
        size_t segment = (size_t)at[0] << 8 | at[1]; /* counts its own two bytes */
        if (segment < 2 || segment > (size_t)(end - at))
            break;
        note_segment(&m, marker, at + 2, segment - 2);
        at += segment;
    }
    return m;
}
