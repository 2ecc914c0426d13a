/* gpu_plan.h — what a device is to do for a graph, as data: built and tested without a device.
 *
 *   graph ──nx_gpu_plan_build──▶ one weight image, and for each batch bucket 1, 2, 4, … a list of steps
 *
 * There are five kinds of steps, whose meaning is gpu_interpret.c in the tests:
 *   CONV      y = act(conv(x0, x1) + bias + residual); a fully connected layer is one with a 1x1 window
 *   POOL      as NX_OP_POOL
 *   EACH      y[i] = act(fn(x0[i], x1[i], x2[i])) over an index space, each operand with strides of its
 *             own: copies, layouts, concat, slices, broadcasting, scale-shift, every elementwise op
 *   SOFTMAX   along one dimension of an index space
 *   LRN       as NX_OP_LRN
 * An operand lies in a buffer; a buffer lies in one of four places. Only the arena's are shared in time:
 *
 *   two arena buffers overlap  ⇒  no step needs both
 *
 * Layout  images NHWC: element (n,c,h,w) at ((n H + h) W + w) pitch + c. A pitch is C, or 8 for images of
 *         fewer channels that an EACH step wrote (the tensor cores want eights): what is beyond C is 0.
 *         All else is dense rows. Filters are (K, R, S, C / groups) with C padded as the image's is.
 * Types   inputs and outputs are f32; in between the plan's type; scale, shift and other constants of EACH
 *         are f32. Sums are taken in f32. A plan of NX_GPU_F32 is for tests: its results are exact.
 * Owner   all in the plan's arena; nothing of the graph is kept.
 * Thread  building: one at a time; a built plan is read only. */
#ifndef NX_CATEGORIZER_GPU_GPU_PLAN_H
#define NX_CATEGORIZER_GPU_GPU_PLAN_H

#include "categorizer/gpu/gpu_half.h"
#include "categorizer/graph/graph.h"

#define NX_GPU_BUCKET_MAX   128u /* larger batches run in several */
#define NX_GPU_VARIANTS_MAX 8u   /* 1, 2, 4, … 128 */
#define NX_GPU_ALIGN        256u
#define NX_GPU_CHANNELS     8 /* of an image that has fewer */

enum nx_gpu_place { NX_GPU_IN_ARENA, NX_GPU_IN_IMAGE, NX_GPU_IN_INPUT, NX_GPU_IN_OUTPUT };
#define NX_GPU_PLACES 4

struct nx_gpu_buffer {
    enum nx_gpu_place place;
    uint32_t first, last; /* steps that touch it, both included */
    uint64_t bytes;
    uint64_t offset; /* in its place, a multiple of NX_GPU_ALIGN */
};

struct nx_gpu_operand {
    uint32_t buffer; /* NX_NONE: none */
    enum nx_gpu_type type;
    uint64_t start;              /* elements into the buffer */
    int64_t stride[NX_RANK_MAX]; /* elements, along each of the step's dims; 0 repeats */
};

enum nx_gpu_kind { NX_GPU_CONV, NX_GPU_POOL, NX_GPU_EACH, NX_GPU_SOFTMAX, NX_GPU_LRN };
#define NX_GPU_KINDS 5

enum nx_gpu_fn {
    NX_GPU_COPY,        /* x0 */
    NX_GPU_BINARY,      /* binary(x0, x1) */
    NX_GPU_SCALE_SHIFT, /* x0 x1 + x2 */
    NX_GPU_PRELU,       /* x0 > 0 ? x0 : x1 x0 */
    NX_GPU_SELECT       /* x0 != 0 ? x1 : x2 */
};

/* An image as a CONV or POOL reads or writes it. */
struct nx_gpu_image {
    int64_t n, c, h, w; /* c counts the padding up to the pitch */
};

struct nx_gpu_step {
    enum nx_gpu_kind kind;
    const char *name; /* of the node it is from */
    uint32_t n_x;
    struct nx_gpu_operand x[4]; /* CONV: image, filter, bias or none, residual or none */
    struct nx_gpu_operand y;
    struct nx_attr_unary act; /* CONV: only what its epilogue can compute */
    uint32_t rank;            /* EACH, SOFTMAX: the index space, 1 … NX_RANK_MAX */
    int64_t dims[NX_RANK_MAX];
    enum nx_gpu_fn fn;
    enum nx_binary binary;
    /* EACH: y is 0 where the index along dimension 1 is this or more; 0: everywhere valid */
    int64_t valid;
    uint32_t axis; /* SOFTMAX: a dimension of dims */
    bool log;
    float temperature;
    struct nx_gpu_image in, out; /* CONV, POOL, LRN */
    struct nx_window window;     /* CONV */
    int32_t groups;
    struct nx_attr_pool pool;
    struct nx_attr_lrn lrn;
};

struct nx_gpu_variant {
    uint32_t batch;
    struct nx_gpu_buffer *buffers;
    struct nx_gpu_step *steps;
    uint32_t n_buffers, n_steps;
    uint32_t cap_buffers, cap_steps;
    uint64_t place_bytes[NX_GPU_PLACES];
};

/* A graph's input or output as run's caller has it. */
struct nx_gpu_port {
    uint64_t floats; /* of a row, or of the whole where it has no batch */
    bool batched;
    uint64_t *offset; /* per variant, in its place */
};

struct nx_gpu_plan {
    struct nx_arena arena;
    enum nx_gpu_type type;
    uint32_t batch_max;
    uint8_t *image; /* the weights */
    uint64_t image_bytes;
    struct nx_gpu_variant variants[NX_GPU_VARIANTS_MAX];
    uint32_t n_variants;
    struct nx_gpu_port *in, *out;
    uint32_t n_in, n_out;
};

/* From an inferred graph whose passes have run. NX_UNSUPPORTED names the node and what there is no step
 * for; NX_NO_MEMORY; NX_INVALID for a constant without data. Nothing is left behind. */
enum nx_status nx_gpu_plan_build(const struct nx_graph *graph, uint32_t batch_max,
                                 enum nx_gpu_type type, struct nx_gpu_plan **plan,
                                 struct nx_err *err);
void nx_gpu_plan_free(struct nx_gpu_plan *plan);

/* The smallest variant that holds `rows`, else the largest. */
const struct nx_gpu_variant *nx_gpu_plan_variant(const struct nx_gpu_plan *plan, uint32_t rows);

#endif
