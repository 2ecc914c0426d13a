/* model.h — a model's files in, a thing that answers out.
 *
 * nx_model_open reads the files, checks all that can be checked (formats, shapes of every weight,
 * names enough for every output), rewrites the graph and has a backend load it. When it returns
 * NX_OK the model can run: whatever is slow the first time has been done. It keeps nothing of
 * `files`, which may be given back at once. Two formats: MXNet's symbol and params, or one ONNX file.
 *
 * Two ways to run it:
 *   photos   nx_model_run: (C, H, W) f32 each, dense, in; the first output, flattened to one row of `outputs`
 *            f32 for each, out. C, H and W are the model's own: the data variable's __shape__, else what the
 *            first convolution and the fully connected layers need, else the hint (nets that take any size),
 *            else 3 x 224 x 224. `size_is_free` tells the last two cases.
 *   tensors  nx_model_infer: every input by its name, and the outputs that are asked for, in the types and
 *            shapes that the file declares. What is computed is computed in f32 all the same: an integer
 *            beyond 2^24, which f32 does not hold, is refused.
 * Thread   open: any. run, infer: one thread at a time per model; models are independent of each other.
 * Failure  one sentence that names the thing, what was needed and what came. A failed open leaves nothing
 *          behind; a failed run leaves the model usable. */
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
    struct nx_file calibration;    /* for load.precision INT8, which needs it (calibration.h) */
};

struct nx_model_options {
    const char *backend;                    /* a name for nx_backend_find, or "auto" */
    struct nx_load_options load;            /* ranges: left to nx_model_open */
    uint32_t hint_height_px, hint_width_px; /* the recipe's size, for nets that take any; 0: 224 */
    /* What the model may hold is taken from it before it is allocated, until close; NULL: no bound. */
    struct nx_budget *budget;
};

/* An input or an output, for a batch of 1. */
struct nx_model_port {
    const char *name; /* the file's; NUL-terminated, not checked to be printable */
    enum nx_dtype dtype;
    bool batched; /* dims[0] is the batch; else the shape is the same for every batch */
    struct nx_shape shape;
};

struct nx_model_facts {
    const struct nx_model_port *in, *out; /* live as long as the model */
    uint32_t n_in, n_out;
    bool batched;      /* some input has a batch; else every run is of 1 */
    bool takes_photos; /* one input, (N, C, H, W) */
    uint32_t channels, height_px,
        width_px;               /* one photo; (C, 1, 1) when the model takes plain rows; else 0 */
    bool size_is_free;          /* any H x W would have done */
    uint32_t outputs;           /* f32 per photo, of the first output */
    uint64_t params;            /* how many weights, as in the file */
    uint64_t macs;              /* multiply-adds for one photo */
    uint64_t nonfinite;         /* how many of the weights are infinite or no number, */
    const char *nonfinite_name; /* and the tensor of the first one; NULL: none */
    uint64_t weights_bytes;    /* of the constants after all rewriting, as the backend holds them */
    uint64_t activation_bytes; /* the arena, for as many rows as are computed at once */
    uint64_t memory_bytes;     /* everything held until close, host and device */
    uint64_t planned_bytes;    /* what memory_bytes was thought to be before the load */
    const char *backend;       /* which one it runs on */
};

enum nx_status nx_model_open(const struct nx_model_files *files,
                             const struct nx_model_options *options, struct nx_model **model,
                             struct nx_err *err);
void nx_model_close(struct nx_model *model); /* NULL is fine */

const struct nx_model_facts *nx_model_facts(const struct nx_model *model); /* lives as long as it */

/* NUL-terminated UTF-8, the synset's line as it is; "" without a synset. i < outputs. */
const char *nx_model_class(const struct nx_model *model, uint32_t i);

/* inputs: n x (C, H, W), outputs: n x outputs; 1 <= n <= options->load.batch_max. NX_INVALID for a model of
 * several inputs, or one without a batch. */
enum nx_status nx_model_run(struct nx_model *model, uint32_t n, const float *inputs, float *outputs,
                            struct nx_err *err);

/* Brought by a caller. dims[0] of what is batched is the batch, the same one for all of a call. */
struct nx_tensor_in {
    const char *name;
    enum nx_dtype dtype;
    struct nx_shape shape;
    const void *data; /* dense row-major, aligned for its dtype or not */
    uint64_t bytes;
};

/* Asked for by a caller, who brings name, data and how many bytes there are; dtype, shape and bytes used come
 * back. */
struct nx_tensor_out {
    const char *name;
    void *data;
    uint64_t bytes;
    enum nx_dtype dtype;
    struct nx_shape shape;
};

/* Bytes of output i (of facts->out) for that batch. */
uint64_t nx_model_output_bytes(const struct nx_model *model, uint32_t i, uint32_t batch);

/* Every input exactly once, in any order; any of the outputs, none twice. NX_INVALID: a name that is not the
 * model's, one that is missing or there twice, another dtype or shape, batches that differ or pass batch_max,
 * bytes that are not the shape's, too little room for an output, an integer that f32 does not hold. */
enum nx_status nx_model_infer(struct nx_model *model, const struct nx_tensor_in *inputs,
                              uint32_t n_inputs, struct nx_tensor_out *outputs, uint32_t n_outputs,
                              struct nx_err *err);

/* From the next run on `watch` is told each step and what it took; NULL: no more. */
void nx_model_watch(struct nx_model *model, const struct nx_step_watch *watch);

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
