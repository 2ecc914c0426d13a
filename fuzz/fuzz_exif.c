/* Any bytes as an Exif block, and as a JPEG that may hold one. */
#include "categorizer/image/exif.h"
#include "categorizer/image/jpeg_markers.h"
#include "common/nx_assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    unsigned orientation = nx_exif_orientation(bytes, len);
    nx_assert(orientation >= 1 && orientation <= 8);
    struct nx_jpeg_markers m = nx_jpeg_markers_find(bytes, len);
    nx_assert(m.scans <= len / 4);
    if (m.exif) {
        nx_assert(m.exif >= bytes && m.exif_bytes <= len - (size_t)(m.exif - bytes));
        orientation = nx_exif_orientation(m.exif, m.exif_bytes);
        nx_assert(orientation >= 1 && orientation <= 8);
    }
    return 0;
}
