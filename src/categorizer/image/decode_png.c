/* PNG through libspng; the only file that includes it. */
#include "categorizer/image/decode_kinds.h"
#include "categorizer/image/exif.h"

#include <spng.h>

/* Text, colour profiles and Exif may be large in honest files; this bounds what dishonest ones can
 * inflate to. */
enum { CHUNK_BYTES_MAX = 8 << 20, CHUNKS_BYTES_MAX = 16 << 20 };

/* Deflate shrinks at most 1032:1, so a picture whose rows cannot come from `len` bytes is refused
 * unallocated. */
enum { DEFLATE_RATIO_MAX = 1032 };

static enum nx_status refuse(int code, struct nx_err *err)
{
    enum nx_status status = code == SPNG_EMEM ? NX_NO_MEMORY : NX_CORRUPT;
    return nx_err_set(err, status, "the PNG cannot be decoded: %s", spng_strerror(code));
}

static unsigned bits_per_pixel(const struct spng_ihdr *h)
{
    static const unsigned channels[7] = {1, 0, 3, 1,
                                         2, 0, 4}; /* by colour type; libspng checked it */
    return channels[h->color_type % 7] * h->bit_depth;
}

static enum nx_status check_header(const struct nx_decode_job *job, const struct spng_ihdr *h,
                                   struct nx_err *err)
{
    NX_TRY(nx_decode_check_size(job, "PNG", h->width, h->height, err));
    uint64_t packed_bytes = (uint64_t)h->width * h->height * bits_per_pixel(h) / 8;
    if (packed_bytes / DEFLATE_RATIO_MAX > job->len)
        return nx_err_set(err, NX_CORRUPT, "the PNG claims %u x %u pixels but has only %zu bytes",
                          h->width, h->height, job->len);
    return NX_OK;
}

/* The chunks behind the pixels are read too, so that a file cut short anywhere is noticed. */
static int read_pixels(spng_ctx *png, struct nx_pixels *pixels)
{
    size_t bytes = (size_t)3 * pixels->width * pixels->height;
    int code = spng_decode_image(png, pixels->rgb, bytes, SPNG_FMT_RGB8, 0);
    if (code == 0)
        code = spng_decode_chunks(png);
    struct spng_exif exif;
    if (code == 0 && spng_get_exif(png, &exif) == 0)
        pixels->orientation = nx_exif_orientation((const uint8_t *)exif.data, exif.length);
    return code;
}

static enum nx_status decode_with(spng_ctx *png, const struct nx_decode_job *job,
                                  struct nx_pixels *out, struct nx_err *err)
{
    struct spng_ihdr header;
    int code = spng_set_chunk_limits(png, CHUNK_BYTES_MAX, CHUNKS_BYTES_MAX);
    if (code == 0)
        code = spng_set_png_buffer(png, job->bytes, job->len);
    if (code == 0)
        code = spng_get_ihdr(png, &header);
    if (code != 0)
        return refuse(code, err);
    NX_TRY(check_header(job, &header, err));
    struct nx_pixels pixels;
    NX_TRY(nx_decode_alloc(job, header.width, header.height, &pixels, err));
    code = read_pixels(png, &pixels);
    if (code != 0) {
        nx_pixels_free(&pixels);
        return refuse(code, err);
    }
    *out = pixels;
    return NX_OK;
}

enum nx_status nx_decode_png(const struct nx_decode_job *job, struct nx_pixels *out,
                             struct nx_err *err)
{
    spng_ctx *png = spng_ctx_new(0);
    if (!png)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the PNG decoder");
    enum nx_status status = decode_with(png, job, out, err);
    spng_ctx_free(png);
    return status;
}
