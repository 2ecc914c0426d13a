/* WebP through libwebp's decoder; the only file that includes it. */
#include "categorizer/image/decode_kinds.h"
#include "categorizer/image/exif.h"
#include "categorizer/image/webp_tables.h"

#include <stdbool.h>
#include <string.h>
#include <webp/decode.h>

enum { RIFF_HEADER_BYTES = 12, CHUNK_HEADER_BYTES = 8 };

static uint32_t u32_le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* libwebp ignores chunks behind the picture, so it would not miss them. Its callers have checked
 * "RIFF....WEBP". */
static bool is_cut_short(const uint8_t *bytes, size_t len)
{
    return (uint64_t)u32_le(bytes + 4) + CHUNK_HEADER_BYTES > len;
}

/* Walks the RIFF chunks to "EXIF". Some writers keep JPEG's "Exif\0\0" in front of the block. */
static unsigned find_orientation(const uint8_t *bytes, size_t len)
{
    size_t at = RIFF_HEADER_BYTES;
    while (len >= CHUNK_HEADER_BYTES && at <= len - CHUNK_HEADER_BYTES) {
        const uint8_t *chunk = bytes + at;
        size_t size = u32_le(chunk + 4), left = len - at - CHUNK_HEADER_BYTES;
        if (size > left)
            return 1;
        const uint8_t *body = chunk + CHUNK_HEADER_BYTES;
        if (memcmp(chunk, "EXIF", 4) == 0) {
            size_t skip = size >= 6 && memcmp(body, "Exif\0\0", 6) == 0 ? 6 : 0;
            return nx_exif_orientation(body + skip, size - skip);
        }
        at += CHUNK_HEADER_BYTES + size + (size & 1);
    }
    return 1;
}

static enum nx_status refuse(VP8StatusCode code, struct nx_err *err)
{
    static const char *const texts[] = {
        [VP8_STATUS_OUT_OF_MEMORY] = "out of memory",
        [VP8_STATUS_INVALID_PARAM] = "invalid parameter",
        [VP8_STATUS_BITSTREAM_ERROR] = "damaged bytes",
        [VP8_STATUS_UNSUPPORTED_FEATURE] = "a feature that libwebp lacks",
        [VP8_STATUS_SUSPENDED] = "it is cut short",
        [VP8_STATUS_NOT_ENOUGH_DATA] = "it is cut short",
    };
    const char *text = (size_t)code < sizeof texts / sizeof texts[0] ? texts[code] : NULL;
    return nx_err_set(err, code == VP8_STATUS_OUT_OF_MEMORY ? NX_NO_MEMORY : NX_CORRUPT,
                      "the WebP cannot be decoded: %s", text ? text : "unknown cause");
}

static enum nx_status read_pixels(const struct nx_decode_job *job, WebPDecoderConfig *config,
                                  struct nx_pixels *out, struct nx_err *err)
{
    struct nx_pixels pixels;
    NX_TRY(nx_decode_alloc(job, (uint32_t)config->input.width, (uint32_t)config->input.height,
                           &pixels, err));
    config->output.colorspace = MODE_RGB;
    config->output.is_external_memory = 1;
    config->output.u.RGBA.rgba = pixels.rgb;
    config->output.u.RGBA.stride = (int)pixels.width * 3;
    config->output.u.RGBA.size = (size_t)3 * pixels.width * pixels.height;
    VP8StatusCode code = WebPDecode(job->bytes, job->len, config);
    if (code != VP8_STATUS_OK) {
        nx_pixels_free(&pixels);
        return refuse(code, err);
    }
    pixels.orientation = find_orientation(job->bytes, job->len);
    *out = pixels;
    return NX_OK;
}

/* Where a lossless stream begins in that chunk, 0: it is none. */
static size_t stream_at(const uint8_t *chunk, size_t size)
{
    enum { VP8L_HEADER_BYTES = 5, ALPHA_HEADER_BYTES = 1, ALPHA_LOSSLESS = 1 };
    const uint8_t *body = chunk + CHUNK_HEADER_BYTES;
    if (memcmp(chunk, "VP8L", 4) == 0 && size >= VP8L_HEADER_BYTES)
        return VP8L_HEADER_BYTES;
    if (memcmp(chunk, "ALPH", 4) == 0 && size >= ALPHA_HEADER_BYTES &&
        (body[0] & 3) == ALPHA_LOSSLESS)
        return ALPHA_HEADER_BYTES;
    return 0;
}

/* The one lossless stream that libwebp decodes: of the picture, or of the last alpha before it. False without one, and where
 * the picture has no chunk around it, which libwebp takes as well. */
static bool find_stream(const struct nx_decode_job *job, const uint8_t **stream, size_t *len)
{
    bool found = false, ends = memcmp(job->bytes + RIFF_HEADER_BYTES, "VP8", 3) != 0;
    for (size_t at = RIFF_HEADER_BYTES; !ends && at <= job->len - CHUNK_HEADER_BYTES;) {
        const uint8_t *chunk = job->bytes + at;
        size_t size = u32_le(chunk + 4), left = job->len - at - CHUNK_HEADER_BYTES;
        size = size < left ? size : left;
        size_t skip = stream_at(chunk, size);
        if (skip) {
            *stream = chunk + CHUNK_HEADER_BYTES + skip;
            *len = size - skip;
            found = true;
        }
        ends = memcmp(chunk, "VP8 ", 4) == 0 || memcmp(chunk, "VP8L", 4) == 0;
        at += CHUNK_HEADER_BYTES + size + (size & 1);
    }
    return found;
}

/* libwebp has a lossless picture in 4 bytes a pixel before it writes rgb, and decodes alpha, which
 * is not asked for, too: into 1, through 4 if that is lossless. */
static uint64_t held_bytes(const struct nx_decode_job *job, const WebPBitstreamFeatures *input)
{
    enum { LOSSLESS = 2 }; /* decode.h of libwebp says it in a comment */
    const uint32_t width = (uint32_t)input->width, height = (uint32_t)input->height;
    const uint64_t pixels = (uint64_t)width * height;
    const uint8_t *stream = NULL;
    size_t len = 0;
    bool lossless = input->format == LOSSLESS;
    if (!lossless && !input->has_alpha)
        return 0;
    if (find_stream(job, &stream, &len))
        return (lossless ? 4 : 5) * pixels + nx_webp_tables_bytes(stream, len, width, height);
    return lossless ? 4 * pixels + nx_webp_tables_most(width, height) : pixels;
}

enum nx_status nx_decode_webp(const struct nx_decode_job *job, struct nx_pixels *out,
                              struct nx_err *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return nx_err_set(err, NX_INTERNAL, "libwebp is of another version than its headers");
    VP8StatusCode code = WebPGetFeatures(job->bytes, job->len, &config.input);
    if (code != VP8_STATUS_OK)
        return refuse(code, err);
    if (config.input.has_animation)
        return nx_err_set(err, NX_UNSUPPORTED, "the WebP is an animation, expected one picture");
    NX_TRY(nx_decode_check_size(job, "WebP", (uint64_t)config.input.width,
                                (uint64_t)config.input.height, err));
    if (is_cut_short(job->bytes, job->len))
        return refuse(VP8_STATUS_NOT_ENOUGH_DATA, err);
    uint64_t held = held_bytes(job, &config.input);
    NX_TRY(nx_decode_hold(job, held, err));
    enum nx_status status = read_pixels(job, &config, out, err);
    nx_decode_release(job, held);
    return status;
}
