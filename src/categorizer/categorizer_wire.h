/* categorizer_wire.h — the operations that the function tier may send: the one header both tiers share.
 *
 * A query is a head followed by a body; its first 4 bytes say how long the head is, so that the body can stream:
 *
 *     u32 head_bytes | u8 version | u8 op | fields of the op | … body …
 *
 *     INFER    head: tag, time left        body: the photo
 *     INSTALL  head: request id, tag, format, three sizes, recipe   body: synset, symbol, params
 *     REMOVE   head: request id, tag       body: none
 *
 * A reply is one struct nx_answer: a status with a sentence, and what was seen on the photo.
 * All integers little-endian. Both directions are decoded as input from outside. */
#ifndef NX_CATEGORIZER_WIRE_H
#define NX_CATEGORIZER_WIRE_H

#include "common/clock.h"
#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

enum {
    NX_WIRE_VERSION = 1,
    NX_REQUEST_ID_BYTES = 16,
    NX_RECIPE_BYTES_MAX = 4096,
    NX_HEAD_BYTES_MAX = 64 + NX_RECIPE_BYTES_MAX, /* the length word included */
    NX_LABEL_BYTES_MAX = 1024,                    /* of one category, as a line of the synset */
    NX_PHOTO_BYTES_MAX = 32 * 1024 * 1024,
    NX_ANSWER_BYTES_MAX = 32 + NX_ERR_TEXT_BYTES + NX_LABEL_BYTES_MAX,
};

enum nx_request { NX_REQUEST_INFER = 1, NX_REQUEST_INSTALL = 2, NX_REQUEST_REMOVE = 3 };
enum nx_model_format { NX_FORMAT_MXNET = 1, NX_FORMAT_ONNX = 2 };

struct nx_request_id {
    uint8_t bytes[NX_REQUEST_ID_BYTES];
};

struct nx_request_head {
    enum nx_request op;
    uint32_t tag;
    nx_ns time_left_ns;           /* INFER: until the client's deadline, from now; NX_NEVER: none */
    struct nx_request_id request; /* INSTALL, REMOVE: the same when the client sends it again */
    enum nx_model_format format;
    uint64_t synset_bytes, symbol_bytes, params_bytes;
    uint32_t recipe_bytes;
    char recipe[NX_RECIPE_BYTES_MAX]; /* a preset's name or INI text; not NUL-terminated */
};

/* Words of a replica's SST row that the function tier reads: photos that wait there; 1 once it is about to leave; 1 once it
 * has the state that it lacked when its view began. */
enum { NX_LOAD_QUEUED, NX_LOAD_LEAVING, NX_LOAD_HAS_STATE };

/* Bytes written, at most NX_HEAD_BYTES_MAX; 0 if cap is too small. */
size_t nx_request_encode(const struct nx_request_head *head, void *bytes, size_t cap);

/* NX_AGAIN: the head is not whole yet. *used is how long it was. */
enum nx_status nx_request_decode(const void *bytes, size_t len, struct nx_request_head *head,
                                 size_t *used, struct nx_err *err);

struct nx_answer {
    /* Status NX_OK: done, with a text to show if it is not empty. NX_UNAVAILABLE: not by this replica, or nobody knows;
     * another one may be asked the same. */
    struct nx_err err;
    uint32_t index; /* INFER: the category … */
    float value;    /* … its output, a probability if the recipe says softmax … */
    uint32_t label_bytes;
    char label[NX_LABEL_BYTES_MAX]; /* … and its line of the synset; not NUL-terminated */
};

size_t nx_answer_encode(const struct nx_answer *answer, void *bytes, size_t cap);
enum nx_status nx_answer_decode(const void *bytes, size_t len, struct nx_answer *answer,
                                struct nx_err *err);

#endif
