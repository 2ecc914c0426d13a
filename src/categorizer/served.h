/* served.h — one installed model as a replica runs it: the engine's model, its recipe, its synset.
 *
 * open checks everything that an install brings and does all that is slow; what it refuses, no replica keeps.
 * Thread  open: any one thread. classify: one thread at a time per model. close: when nobody classifies. */
#ifndef NX_CATEGORIZER_SERVED_H
#define NX_CATEGORIZER_SERVED_H

#include "categorizer/categorizer_wire.h"
#include "categorizer/store.h"

struct nx_served;

struct nx_served_options {
    const char *backend; /* a name that nx_backend_find knows */
    uint32_t threads;    /* of one inference */
};

/* `body` is synset, symbol (or, with NX_FORMAT_ONNX, the ONNX file) and params (then none) one after the other, as
 * long as `head` says. *digest is its SHA-256,
 * also when the model is refused. */
enum nx_status nx_served_open(const struct nx_request_head *head, const uint8_t *body,
                              const struct nx_served_options *options, struct nx_served **served,
                              struct nx_digest *digest, struct nx_err *err);
void nx_served_close(struct nx_served *served);

uint64_t nx_served_bytes(const struct nx_served *served);

/* What is on the photo: fills *answer, whose err says why if nothing could be told. */
void nx_served_classify(struct nx_served *served, const uint8_t *photo, size_t len,
                        struct nx_answer *answer);

#endif
