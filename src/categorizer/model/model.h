/* model.h — a model's files in, a thing that answers out.
 *
 * nx_model_open reads the files, checks all that can be checked (formats, shapes of every weight,
 * names enough for every output), rewrites the graph and has a backend load it. When it returns
 * NX_OK the model can run: whatever is slow the first time has been done. It keeps nothing of
 * `files`, which may be given back at once. Two formats: MXNet's symbol and params, or one ONNX file.
 *
 * Input   one photo is (C, H, W) f32, dense. C, H and W are the model's own: the data variable's
 *         __shape__, else what the first convolution and the fully connected layers need, else the
 *         hint (nets that take any size), else 3 x 224 x 224. `size_is_free` tells the last two
 * cases. Output  the symbol's first head, flattened to one row of `outputs` f32 per photo. Thread
 * open: any. run: one thread at a time per model; models are independent of each other. Failure one
 * sentence that names the thing, what was needed and what came. A failed open leaves nothing
 * behind; a failed run leaves the model usable. */
#ifndef NX_CATEGORIZER_MODEL_MODEL_H
#define NX_CATEGORIZER_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "categorizer/backend.h"
#include "common/budget.h"
#include "common/status.h"

/* Bounds on a model's files; a larger one is NX_TOO_LARGE. */
#define NX_SYMBOL_BYTES_MAX (UINT64_C(8) << 20)
#define NX_PARAMS_BYTES_MAX (UINT64_C(8) << 30)
#define NX_ONNX_BYTES_MAX   NX_PARAMS_BYTES_MAX
#define NX_SYNSET_BYTES_MAX (UINT64_C(16) << 20)
#define NX_CLASS_BYTES_MAX  1024u                   /* one line of the synset */
#define NX_MODEL_WORK_MAX   UINT64_C(2000000000000) /* nx_graph_work for one photo: 500 ResNet-50 */

struct nx_model; /* opaque */

struct nx_file {
    const void *bytes; /* NULL: there is none */
    size_t len;
};

struct nx_model_files {
    struct nx_file synset;         /* may be missing: then classes have no names */
    struct nx_file symbol, params; /* MXNet's two files, */
    struct nx_file onnx;           /* or this one and neither of them */
};

struct nx_model_options {
    const char *backend; /* a name for nx_backend_find, or "auto" */
    struct nx_load_options load;
    uint32_t hint_height_px, hint_width_px; /* the recipe's size, for nets that take any; 0: 224 */
    struct nx_budget *budget; /* what the model may hold is taken from it before it is allocated, until
                                 close; NULL: no bound */
};

struct nx_model_facts {
    uint32_t channels, height_px,
        width_px;          /* one photo; (C, 1, 1) when the model takes plain rows */
    bool size_is_free;     /* any H x W would have done */
    uint32_t outputs;      /* f32 per photo */
    uint64_t params;       /* how many weights, as in the file */
    uint64_t macs;         /* multiply-adds for one photo */
    uint64_t nonfinite;    /* how many of the weights are infinite or no number, */
    const char *nonfinite_name; /* and the tensor of the first one; NULL: none */
    uint64_t weights_bytes;     /* of the constants after all rewriting, as f32 */
    uint64_t activation_bytes;  /* planned for a full batch */
    uint64_t memory_bytes;      /* everything held until close, host and device */
    const char *backend;   /* which one it runs on */
};

enum nx_status nx_model_open(const struct nx_model_files *files,
                             const struct nx_model_options *options, struct nx_model **model,
                             struct nx_err *err);
void nx_model_close(struct nx_model *model); /* NULL is fine */

const struct nx_model_facts *nx_model_facts(const struct nx_model *model); /* lives as long as it */

/* NUL-terminated UTF-8, the synset's line as it is; "" without a synset. i < outputs. */
const char *nx_model_class(const struct nx_model *model, uint32_t i);

/* inputs: n x (C, H, W), outputs: n x outputs; 1 <= n <= options->load.batch_max. */
enum nx_status nx_model_run(struct nx_model *model, uint32_t n, const float *inputs, float *outputs,
                            struct nx_err *err);

struct nx_top {
    uint32_t index;
    float value;
};

/* The min(k, n) largest of values[0..n), largest first; equal ones by lowest index; a NaN is
 * smaller than everything. Returns how many there are. */
uint32_t nx_topk(const float *values, uint32_t n, uint32_t k, struct nx_top *top);

/* values[i] = exp(values[i]) / sum, for recipes that ask for it. */
void nx_softmax(float *values, uint32_t n);

#endif
