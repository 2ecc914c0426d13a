/* JPEG through libjpeg-turbo's TurboJPEG interface; the only file that includes it. */
#include "categorizer/image/decode_kinds.h"
#include "categorizer/image/exif.h"
#include "categorizer/image/jpeg_markers.h"

#include <stdbool.h>
#include <string.h>
#include <turbojpeg.h>

/* A progressive file may repeat scans without end, each a pass over all coefficients. Encoders
 * write 6 to 14. */
enum { SCANS_MAX = 64 };

struct jpeg {
    tjhandle tj;
    int width, height, subsampling, colorspace;
};

static enum nx_status refuse(tjhandle tj, struct nx_err *err)
{
    return nx_err_set(err, NX_CORRUPT, "the JPEG cannot be decoded: %s", tjGetErrorStr2(tj));
}

static enum nx_status read_header(const struct nx_decode_job *job, struct jpeg *j,
                                  struct nx_err *err)
{
    if (tjDecompressHeader3(j->tj, job->bytes, job->len, &j->width, &j->height, &j->subsampling,
                            &j->colorspace) != 0)
        return refuse(j->tj, err);
    if (j->colorspace == TJCS_CMYK || j->colorspace == TJCS_YCCK)
        return nx_err_set(err, NX_UNSUPPORTED, "the JPEG is CMYK, expected RGB or grey");
    return nx_decode_check_size(job, "JPEG", (uint64_t)j->width, (uint64_t)j->height, err);
}

static int scaled(int side, int denominator)
{
    return (side + denominator - 1) / denominator;
}

static int pick_denominator(const struct jpeg *j, uint32_t short_side)
{
    int least = j->width < j->height ? j->width : j->height;
    int denominator = 1;
    while (short_side > 0 && denominator < 8 &&
           (uint32_t)scaled(least, denominator * 2) >= short_side)
        denominator *= 2;
    return denominator;
}

/* libjpeg tells damage as a warning and goes on with grey; that is a refusal here. Only stray bytes
 * between segments leave every pixel as it was. Its wording has not changed since 1991. */
static bool harmless(tjhandle tj)
{
    return tjGetErrorCode(tj) == TJERR_WARNING &&
           strstr(tjGetErrorStr2(tj), "extraneous bytes before marker") != NULL;
}

/* Of all blocks, 64 of 2 bytes each; chroma is one block in each unit of all that TurboJPEG
 * knows. They are held at every scale. */
static uint64_t coefficient_bytes(const struct jpeg *j)
{
    int across = tjMCUWidth[j->subsampling], down = tjMCUHeight[j->subsampling];
    int blocks = across / 8 * (down / 8) + (j->subsampling == TJSAMP_GRAY ? 0 : 2);
    uint64_t units =
        (uint64_t)((j->width + across - 1) / across) * (uint64_t)((j->height + down - 1) / down);
    return units * (uint64_t)blocks * 64 * 2;
}

static enum nx_status decompress(const struct nx_decode_job *job, const struct jpeg *j,
                                 struct nx_pixels *out, struct nx_err *err)
{
    int denominator = pick_denominator(j, job->short_side);
    int width = scaled(j->width, denominator), height = scaled(j->height, denominator);
    struct nx_pixels pixels;
    NX_TRY(nx_decode_alloc(job, (uint32_t)width, (uint32_t)height, &pixels, err));
    if (tjDecompress2(j->tj, job->bytes, job->len, pixels.rgb, width, 0, height, TJPF_RGB, 0) !=
            0 &&
        !harmless(j->tj)) {
        nx_pixels_free(&pixels);
        return refuse(j->tj, err);
    }
    *out = pixels;
    return NX_OK;
}

static enum nx_status decompress_within(const struct nx_decode_job *job, const struct jpeg *j,
                                        bool all_coefficients, struct nx_pixels *out,
                                        struct nx_err *err)
{
    uint64_t held = all_coefficients ? coefficient_bytes(j) : 0;
    NX_TRY(nx_decode_hold(job, held, err));
    enum nx_status status = decompress(job, j, out, err);
    nx_decode_release(job, held);
    return status;
}

enum nx_status nx_decode_jpeg(const struct nx_decode_job *job, struct nx_pixels *out,
                              struct nx_err *err)
{
    struct nx_jpeg_markers markers = nx_jpeg_markers_find(job->bytes, job->len);
    if (markers.scans > SCANS_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the JPEG has %u scans, the limit is %d",
                          markers.scans, SCANS_MAX);
    struct jpeg j = {.tj = tjInitDecompress()};
    if (!j.tj)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the JPEG decoder");
    enum nx_status status = read_header(job, &j, err);
    if (status == NX_OK)
        status = decompress_within(job, &j, markers.holds_all, out, err);
    if (status == NX_OK && markers.exif)
        out->orientation = nx_exif_orientation(markers.exif, markers.exif_bytes);
    tjDestroy(j.tj);
    return status;
}
