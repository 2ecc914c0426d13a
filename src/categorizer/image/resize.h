/* resize.h — a window of a picture scaled to another size.
 *
 *   dst(x, y) = round( sum over taps of weight · src ),  weights of one output pixel add up to 1
 *
 * NX_FILTER_BILINEAR  two taps an axis around (i + 0.5) · src / full - 0.5, edges repeated. Going
 *                     down it skips pixels: what OpenCV's INTER_LINEAR does, and so what the 2019
 *                     demo did.
 * NX_FILTER_TRIANGLE  the triangle widened to the step of the output: every pixel counts. What
 *                     PIL's BILINEAR and torch's antialias=True do.
 * Both are within one level of the named originals. The result of the whole size never exists, only
 * the window does, so a 65535 × 1 picture costs no more than another.
 *
 * Shapes  src (src_height, src_width, 3) u8; dst (window.height, window.width, 3) u8
 * Owner   the caller; scratch is freed before return
 * Thread  any
 * Failure NX_NO_MEMORY; dst may then be partly written */
#ifndef NX_IMAGE_RESIZE_H
#define NX_IMAGE_RESIZE_H

#include "common/status.h"

#include <stdint.h>

enum nx_filter { NX_FILTER_BILINEAR, NX_FILTER_TRIANGLE };

struct nx_resize_window {
    uint64_t full_width, full_height; /* the size scaled to, each >= 1 */
    uint64_t x, y;                    /* where the window starts in it */
    uint32_t width, height;           /* of the window, which lies inside */
};

enum nx_status nx_resize(const uint8_t *src, uint32_t src_width, uint32_t src_height,
                         enum nx_filter filter, const struct nx_resize_window *window, uint8_t *dst,
                         struct nx_err *err);

#endif
