/* served.h — one installed model as a replica runs it: the engine's model, its recipe, its synset, its profile.
 *
 * open checks everything that an install brings, does all that is slow, and runs the model until it is warm, which
 * gives its profile (profile.h); what it refuses, no replica keeps. Memory is taken from the budget before it is
 * allocated: a model that does not fit is refused with the figures before it takes any.
 * Thread  open: any one thread. prepare: any, side by side. run: one thread at a time per model. close: when nobody
 *         prepares or runs. */
#ifndef NX_CATEGORIZER_SERVED_H
#define NX_CATEGORIZER_SERVED_H

#include "categorizer/categorizer_wire.h"
#include "categorizer/profile.h"
#include "categorizer/store.h"
#include "common/budget.h"

struct nx_served;
struct nx_model;
struct nx_model_port;

struct nx_served_options {
    const char *backend; /* a name that nx_backend_find knows */
    uint32_t threads;    /* of one batch */
    uint32_t batch_max;  /* photos of one batch at most */
    struct nx_budget *budget;
    const char *profiles; /* a folder of files that `nexus profile` wrote; "": none */
};

struct nx_served_facts {
    enum nx_model_format format;
    char recipe[NX_RECIPE_NAME_BYTES]; /* a preset's name, or "custom" */
    char backend[16];
    enum nx_precision precision;
    bool takes_photos;                   /* else tensors only */
    uint64_t weights_bytes, arena_bytes; /* as the backend holds them */
    uint64_t memory_bytes;               /* all of it */
    uint64_t tensor_bytes;               /* of one photo, prepared */
    uint32_t threads, batch_max;
    struct nx_profile profile; /* a file's, if there is one, or measured while it was warmed up */
    char note[NX_ERR_TEXT_BYTES / 2]; /* what whoever installs should know; "": nothing */
};

/* `body` is synset, symbol (or, with NX_FORMAT_ONNX, the ONNX file), params (then none) and the calibration, if there is
 * one, one after the other, as long as `head` says. *digest is its SHA-256, also when the model is refused. */
enum nx_status nx_served_open(const struct nx_request_head *head, const uint8_t *body,
                              const struct nx_served_options *options, struct nx_served **served,
                              struct nx_digest *digest, struct nx_err *err);
void nx_served_close(struct nx_served *served);

/* Measures anew, on the calling thread; nobody runs it meanwhile. */
enum nx_status nx_served_measure(struct nx_served *served, const struct nx_profile_plan *plan,
                                 struct nx_profile *profile, struct nx_err *err);
/* Whose profile that is: this digest's, on this backend in this precision, machine and number of threads. */
void nx_served_origin(const struct nx_served *served, const struct nx_digest *digest,
                      struct nx_profile_origin *origin);

const struct nx_served_facts *nx_served_facts(const struct nx_served *served);

/* A photo as the model wants it: facts->tensor_bytes in `tensor`, the caller's. */
enum nx_status nx_served_prepare(const struct nx_served *served, const uint8_t *photo, size_t len,
                                 float *tensor, struct nx_err *err);

/* What is on each of `count` (1 … batch_max) photos. Each answer's err says why if nothing could be told of that one. A
 * want that is not plain has a payload (nx_rows_decode), which the caller frees through *payload. */
struct nx_served_photo {
    const float *tensor;
    const struct nx_want *want;
    struct nx_answer *answer; /* filled in */
    uint8_t **payload;        /* filled in if there is one */
};
void nx_served_run(struct nx_served *served, const struct nx_served_photo *photos, uint32_t count);

/* What tensors come to: `body` is nx_tensors_ask_encode's and what follows it, the payload nx_tensors_decode's
 * (served_tensors.c). Every input by its name, any of the outputs. Runs on the thread that runs photos. */
void nx_served_tell(struct nx_served *served, const uint8_t *body, size_t len,
                    struct nx_answer *answer, uint8_t **payload);
/* Nothing but the best category of a photo. */
bool nx_want_is_plain(const struct nx_want *want);

/* Inputs, outputs, sizes, backend; the rest of *facts is the caller's. Any thread. */
void nx_served_describe(const struct nx_served *served, struct nx_model_facts_wire *facts);

/* Between served.c, served_photo.c and served_tensors.c: the engine's model; the name by which clients know input or
 * output i; and one photo's row of the output told as wanted. */
struct nx_model *nx_served_model(const struct nx_served *served);
void nx_served_port_name(const struct nx_model_port *ports, uint32_t i, bool input,
                         char name[NX_TENSOR_NAME_BYTES]);
enum nx_status nx_served_tell_row(const struct nx_served *served, const struct nx_want *want,
                                  float *row, struct nx_answer *answer, uint8_t **payload,
                                  struct nx_err *err);

#endif
