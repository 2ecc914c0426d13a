/* jpeg_markers.h — what a JPEG says before any pixel is decoded: its Exif block, how many scans
 * it has, and whether a decoder holds all of the picture's coefficients.
 *
 * The walk follows the segment lengths and, inside entropy-coded data, the stuffing rule (a marker
 * is 0xff followed by neither 0, 0xff nor RST0..7), so it counts the scans that a decoder would
 * meet, and a marker inside a thumbnail is not taken for one. Damage ends the walk; what was found
 * until then stands.
 *
 * Owner   the caller; `exif` points into `bytes`
 * Thread  any
 * Source  ITU-T T.81 annex B; CIPA DC-008 on APP1 */
#ifndef NX_IMAGE_JPEG_MARKERS_H
#define NX_IMAGE_JPEG_MARKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nx_jpeg_markers {
    const uint8_t *exif; /* the first Exif block from its byte-order mark; NULL if there is none */
    size_t exif_bytes;
    unsigned scans, components; /* components: of the frame; 0: there is none */
    /* It is progressive, or its first scan lacks a component: pixels come after the last scan. */
    bool holds_all;
};

struct nx_jpeg_markers nx_jpeg_markers_find(const uint8_t *bytes, size_t len);

#endif
