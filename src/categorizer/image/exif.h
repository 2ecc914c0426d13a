/* exif.h — which way is up? The orientation a camera wrote beside the pixels.
 *
 *   1 upright            2 mirrored left-right   3 turned by 180        4 mirrored top-bottom
 *   5 transposed         6 turn right to view    7 anti-transposed      8 turn left to view
 *
 * From 5 on, the stored rows are the columns of the picture as seen. A block that is damaged, or
 * has no orientation, means 1: a wrong hint must not cost the user an answer.
 *
 * Shapes  `tiff` is the block from its byte-order mark ("II*" or "MM" and 42), any length
 * Owner   the caller; nothing is kept, nothing is allocated
 * Thread  any
 * Source  CIPA DC-008 (Exif 2.3) and TIFF 6.0: tag 0x0112 in IFD0 */
#ifndef NX_IMAGE_EXIF_H
#define NX_IMAGE_EXIF_H

#include <stddef.h>
#include <stdint.h>

unsigned nx_exif_orientation(const uint8_t *tiff, size_t len); /* 1..8 */

#endif
