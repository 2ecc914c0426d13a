/* pb_demo.h — the messages of sospdemo.FunctionTierService as plain structs.
 *
 * Decoders take hostile bytes: NX_CORRUPT for what is not the message, NX_TOO_LARGE for what is over
 * a bound below, with one sentence in `err`; outputs are untouched on failure. They say what the
 * bytes are, not whether the request makes sense: a tag that nobody installed, or sizes of 0, are for
 * the service to judge.
 * Encoders write into the caller's buffer; NX_TOO_LARGE if it does not fit, NX_INVALID for text that
 * is not UTF-8.
 * Thread  any; no state. Source  proto/sospdemo.proto. */
#ifndef NX_PB_DEMO_H
#define NX_PB_DEMO_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NX_PB_TAGS_MAX = 64,
    NX_PB_REQUEST_ID_BYTES = 16,
    NX_PB_RECIPE_BYTES = 16384, /* with its NUL */
    NX_PB_FORMAT_BYTES = 32,    /* with its NUL */
    NX_PB_MODEL_BYTES = 128,    /* a name, with its NUL */
    NX_PB_CHUNK_PREFIX_BYTES = 11,
};

#define NX_PB_CHUNK_PREFIX_BYTES 11

/* One message of an upload: either metadata, or a chunk. An empty message is an empty chunk. */
struct nx_pb_part {
    bool metadata;
    const uint8_t *chunk; /* in place, inside the decoded bytes */
    size_t chunk_bytes;
};

struct nx_pb_model_name {
    char name[NX_PB_MODEL_BYTES];
    uint64_t version; /* 0: whichever serves */
};

struct nx_pb_photo {
    uint32_t photo_bytes;
    uint32_t tags[NX_PB_TAGS_MAX]; /* in the client's order, repetitions kept */
    uint32_t tag_count;
    uint32_t model_count; /* so many are written */
    struct nx_pb_model_name models[NX_PB_TAGS_MAX];
};

struct nx_pb_model {
    uint32_t tag, synset_bytes, symbol_bytes, params_bytes, calibration_bytes;
    bool has_request_id;
    uint8_t request_id[NX_PB_REQUEST_ID_BYTES];
    char recipe[NX_PB_RECIPE_BYTES]; /* a name or the text of an INI file; "" if absent */
    char format[NX_PB_FORMAT_BYTES]; /* "" if absent */
    bool replace;
};

struct nx_pb_removal {
    uint32_t tag;
    bool has_request_id;
    uint8_t request_id[NX_PB_REQUEST_ID_BYTES];
};

/* What the function tier reads. *photo and *model are written only if part->metadata. */
enum nx_status nx_pb_whatsthis_decode(const uint8_t *bytes, size_t len, struct nx_pb_part *part,
                                      struct nx_pb_photo *photo, struct nx_err *err);
enum nx_status nx_pb_install_decode(const uint8_t *bytes, size_t len, struct nx_pb_part *part,
                                    struct nx_pb_model *model, struct nx_err *err);
enum nx_status nx_pb_removal_decode(const uint8_t *bytes, size_t len, struct nx_pb_removal *removal,
                                    struct nx_err *err);

/* What it answers. */
struct nx_pb_photo_reply {
    const char *desc;
    const char *const *labels; /* count of them, as many probabilities; count may be 0 */
    const float *probabilities;
    size_t count;
};
enum nx_status nx_pb_photo_reply_encode(const struct nx_pb_photo_reply *reply, void *dst,
                                        size_t cap, size_t *len);
enum nx_status nx_pb_model_reply_encode(int32_t error_code, const char *error_desc, void *dst,
                                        size_t cap, size_t *len);

/* What a client sends. A chunk is its prefix and then the bytes themselves, which need no copy. */
enum nx_status nx_pb_photo_encode(const struct nx_pb_photo *photo, void *dst, size_t cap,
                                  size_t *len);
enum nx_status nx_pb_model_encode(const struct nx_pb_model *model, void *dst, size_t cap,
                                  size_t *len);
enum nx_status nx_pb_removal_encode(const struct nx_pb_removal *removal, void *dst, size_t cap,
                                    size_t *len);
size_t nx_pb_chunk_prefix(uint8_t prefix[NX_PB_CHUNK_PREFIX_BYTES], size_t chunk_bytes);

/* What a client reads; text is cut to cap and NUL-terminated. */
enum nx_status nx_pb_photo_reply_decode(const uint8_t *bytes, size_t len, char *desc, size_t cap,
                                        struct nx_err *err);
enum nx_status nx_pb_model_reply_decode(const uint8_t *bytes, size_t len, int32_t *error_code,
                                        char *error_desc, size_t cap, struct nx_err *err);

#endif
