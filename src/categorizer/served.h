/* served.h — one installed model as a replica runs it: the engine's model, its recipe, its synset.
 *
 * open checks everything that an install brings and does all that is slow; what it refuses, no replica keeps.
 * Thread  open: any one thread. classify: one thread at a time per model. close: when nobody classifies. */
#ifndef NX_CATEGORIZER_SERVED_H
#define NX_CATEGORIZER_SERVED_H

#include "categorizer/categorizer_wire.h"
#include "categorizer/store.h"

struct nx_served;
struct nx_model;
struct nx_recipe;

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

/* What else a query may want (served_tensor.c). `body` is a photo, or a tensor of want's shape. On success the answer has
 * the first row's best category, and a payload (nx_rows_decode) that the caller frees through *payload. */
void nx_served_tell(struct nx_served *served, const struct nx_want *want, const uint8_t *body,
                    size_t len, struct nx_answer *answer, uint8_t **payload);
/* Nothing but the best category of a photo. */
bool nx_want_is_plain(const struct nx_want *want);

/* Inputs, outputs, sizes, backend; the rest of *facts is the caller's. Any thread. */
void nx_served_describe(const struct nx_served *served, struct nx_model_facts_wire *facts);

/* For served_tensor.c: the engine's model and the recipe that fits it. */
struct nx_model *nx_served_model(const struct nx_served *served);
const struct nx_recipe *nx_served_recipe(const struct nx_served *served);

#endif
