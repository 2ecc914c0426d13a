/* decode_kinds.h — what decode.c shares with the one file per kind; nobody else includes it. */
#ifndef NX_IMAGE_DECODE_KINDS_H
#define NX_IMAGE_DECODE_KINDS_H

#include "categorizer/image/decode.h"

struct nx_decode_job {
    const uint8_t *bytes;
    size_t len;
    uint32_t short_side; /* 0: decode all */
    uint64_t pixels_max;
    struct nx_budget *budget; /* or NULL */
};

/* Each decodes one kind whose first bytes have been checked, and writes *out only on success. */
enum nx_status nx_decode_jpeg(const struct nx_decode_job *, struct nx_pixels *, struct nx_err *);
enum nx_status nx_decode_png(const struct nx_decode_job *, struct nx_pixels *, struct nx_err *);
enum nx_status nx_decode_webp(const struct nx_decode_job *, struct nx_pixels *, struct nx_err *);

/* The limit, asked before allocating: NX_TOO_LARGE with a sentence, NX_CORRUPT for an empty side.
 */
enum nx_status nx_decode_check_size(const struct nx_decode_job *job, const char *kind,
                                    uint64_t width, uint64_t height, struct nx_err *err);

/* What the decoder holds of the whole picture beside rgb, and is given back when it is done: NX_NO_MEMORY. */
enum nx_status nx_decode_hold(const struct nx_decode_job *, uint64_t bytes, struct nx_err *err);
void nx_decode_release(const struct nx_decode_job *, uint64_t bytes);

/* Zeroed rgb for width × height, which passed the limit. The caller owns it on NX_OK. */
enum nx_status nx_decode_alloc(const struct nx_decode_job *job, uint32_t width, uint32_t height,
                               struct nx_pixels *pixels, struct nx_err *err);

#endif
