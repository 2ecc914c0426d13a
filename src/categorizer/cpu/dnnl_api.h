/* dnnl_api.h — oneDNN as this project uses it, without its types: the C interfaces of its versions
 * 2 and 3 differ, and dnnl_v2.c and dnnl_v2_make.c alone know the difference.
 *
 * A maker compiles one primitive for exact shapes and tells which layouts it wants of its tensors;
 * where the caller passed a layout of nx_dnnl_any, the choice is oneDNN's. Everything made belongs
 * to the struct nx_dnnl and lives until nx_dnnl_close.
 *
 * Thread  one at a time per struct nx_dnnl. Its computations use `threads` OpenMP threads, which
 *         belong to the calling thread; the calling thread's own setting is put back. GNU's
 *         OpenMP spins at its barriers: where more threads want to run than there are processors, 2
 *         threads took 1,196 ms for what 1 did in 199, and 222 with OMP_WAIT_POLICY=passive, which
 *         the environment must have before the process starts.
 * Failure NX_UNSUPPORTED: this combination has no implementation, do it otherwise (nothing is
 *         said in err then); NX_NO_MEMORY; NX_INTERNAL with oneDNN's own status. */
#ifndef NX_CATEGORIZER_CPU_DNNL_API_H
#define NX_CATEGORIZER_CPU_DNNL_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "categorizer/graph/graph.h"

struct nx_dnnl;
struct nx_dnnl_layout; /* shape, element type, and order in memory */
struct nx_dnnl_op;     /* a compiled primitive */
struct nx_dnnl_memory; /* a layout at an address */
struct nx_dnnl_call;   /* an op with its memories */

enum nx_dnnl_type { NX_DNNL_F32, NX_DNNL_BF16, NX_DNNL_U8, NX_DNNL_S8 };

/* `arena` holds the small parts and outlives the result. threads >= 1. */
enum nx_status nx_dnnl_open(struct nx_arena *arena, uint32_t threads, struct nx_dnnl **dnnl,
                            struct nx_err *err);
void nx_dnnl_close(struct nx_dnnl *dnnl); /* NULL is fine */

const char *nx_dnnl_version(void); /* "2.6.3" */
const char *nx_dnnl_isa(void); /* the instruction set it generates code for: "avx512_core_amx" */
bool nx_dnnl_has_bf16(void);   /* in hardware */
/* Sums of products of 8 bits in 32, in hardware. Without it oneDNN's sums of two products saturate at 16 bits. */
bool nx_dnnl_has_int8(void);

/* C (m, n) = A (m, k) · B (k, n), row-major f32, on `threads` threads: a yardstick for benchmarks. */
enum nx_status nx_dnnl_sgemm(uint32_t threads, int64_t m, int64_t n, int64_t k, const float *a,
                             const float *b, float *c);

/* Layouts. NULL means out of memory. */
const struct nx_dnnl_layout *nx_dnnl_rows(struct nx_dnnl *, enum nx_dnnl_type, uint32_t rank,
                                          const int64_t *dims); /* dense row-major */
const struct nx_dnnl_layout *nx_dnnl_any(struct nx_dnnl *, enum nx_dnnl_type, uint32_t rank,
                                         const int64_t *dims); /* of oneDNN's choice */
/* For the pictures between convolutions, where the machine has AVX-512 for f32 or AMX for bf16,
 * and always in 8 bits: channels last if asked, else, in f32, in blocks of one vector if they
 * divide into such. All else as nx_dnnl_any. Left alone, oneDNN 2.6 takes channels last for some
 * convolutions and blocks for Winograd's, with reorders between. */
const struct nx_dnnl_layout *nx_dnnl_pictures(struct nx_dnnl *, enum nx_dnnl_type,
                                              bool channels_last, uint32_t rank,
                                              const int64_t *dims);
/* (N, C, H, W) in the order N, H, W, C. */
const struct nx_dnnl_layout *nx_dnnl_channels_last(struct nx_dnnl *, enum nx_dnnl_type,
                                                   const int64_t dims[4]);
bool nx_dnnl_is_any(const struct nx_dnnl_layout *);
/* f32, element (i, j, …) at i strides[0] + j strides[1] + … */
const struct nx_dnnl_layout *nx_dnnl_strided(struct nx_dnnl *, uint32_t rank, const int64_t *dims,
                                             const int64_t *strides);
/* The part of `whole`, dense rows, that begins at first[] and has dims[]: for the whole's address. */
const struct nx_dnnl_layout *nx_dnnl_part(struct nx_dnnl *, const struct nx_dnnl_layout *whole,
                                          uint32_t rank, const int64_t *dims, const int64_t *first);
/* Element (i, j, …) at i strides[0] + j strides[1] + …; false if it is not so simple. */
bool nx_dnnl_strides(const struct nx_dnnl_layout *, int64_t strides[NX_RANK_MAX]);
bool nx_dnnl_same(const struct nx_dnnl_layout *, const struct nx_dnnl_layout *);
size_t nx_dnnl_bytes(const struct nx_dnnl_layout *);
enum nx_dnnl_type nx_dnnl_type_of(const struct nx_dnnl_layout *);
bool nx_dnnl_is_int8(const struct nx_dnnl_layout *);
/* The same order of memory for elements of another type. NULL: no memory. */
const struct nx_dnnl_layout *nx_dnnl_retyped(struct nx_dnnl *, const struct nx_dnnl_layout *,
                                             enum nx_dnnl_type);

/* y = act(op(x) + what y held before), the act as up to two elementwise functions one after the
 * other. */
#define NX_DNNL_ACTS_MAX 2
struct nx_dnnl_act {
    int32_t fn; /* oneDNN's name for it */
    float alpha, beta;
};
/* Of a CONV or FC in 8 bits: y = last_scale act(scales[o] (sum of products + bias) + sum_scale · what y held before). */
struct nx_dnnl_scales {
    const float *scales; /* per output channel */
    uint32_t n;
    float sum_scale, last_scale;
    enum nx_dnnl_type sum_type; /* of what y held before; as wide as y's */
};
struct nx_dnnl_post {
    bool sum;
    const struct nx_dnnl_scales *quant; /* NULL: all scales are 1 */
    uint32_t n_acts;
    struct nx_dnnl_act acts[NX_DNNL_ACTS_MAX];
};

/* False if oneDNN has no such function. */
bool nx_dnnl_acts(const struct nx_attr_unary *unary, struct nx_dnnl_post *post);

struct nx_dnnl_made {
    struct nx_dnnl_op *op;
    const struct nx_dnnl_layout *src, *src1, *weights, *dst; /* NULL where the op has none */
    const struct nx_dnnl_layout *scratch;                    /* NULL: it needs none */
};

/* weights (O, C/g, kh, kw), with groups > 1 as (g, O/g, C/g, kh, kw). bias is f32 (O). */
struct nx_dnnl_conv {
    const struct nx_window *window;
    bool winograd; /* ask for Winograd's algorithm: NX_UNSUPPORTED if it does not apply */
    bool bias;
    const struct nx_dnnl_layout *src, *weights, *dst;
};
enum nx_status nx_dnnl_make_conv(struct nx_dnnl *, const struct nx_dnnl_conv *,
                                 const struct nx_dnnl_post *, struct nx_dnnl_made *,
                                 struct nx_err *);

struct nx_dnnl_fc {
    bool bias;
    const struct nx_dnnl_layout *src, *weights, *dst; /* (N, …), (O, …), (N, O) */
};
enum nx_status nx_dnnl_make_fc(struct nx_dnnl *, const struct nx_dnnl_fc *,
                               const struct nx_dnnl_post *, struct nx_dnnl_made *, struct nx_err *);
/* The same, of dense rows, by the code for products of matrices. It cuts many rows into even parts for each thread. */
enum nx_status nx_dnnl_make_fc_rows(struct nx_dnnl *, const struct nx_dnnl_fc *,
                                    const struct nx_dnnl_post *, struct nx_dnnl_made *,
                                    struct nx_err *);

/* y = scale (x - mean) / sqrt(var + eps) + shift over dimension 1, then ReLU if asked. Arguments
 * MEAN, VARIANCE, SHIFT, and SCALE unless scale is false: f32 (C). */
enum nx_status nx_dnnl_make_norm(struct nx_dnnl *, const struct nx_dnnl_layout *x, float eps,
                                 bool scale, bool relu, struct nx_dnnl_made *, struct nx_err *);

/* Over the last dimension of x, (rows, n); arguments SCALE and SHIFT: f32 (n). */
enum nx_status nx_dnnl_make_layer_norm(struct nx_dnnl *, const struct nx_dnnl_layout *x, float eps,
                                       struct nx_dnnl_made *, struct nx_err *);

/* exp(x) over its sum along `axis`; log: the logarithm of that. */
enum nx_status nx_dnnl_make_softmax(struct nx_dnnl *, const struct nx_dnnl_layout *x, uint32_t axis,
                                    bool log, struct nx_dnnl_made *, struct nx_err *);

/* AVG divides by the kernel's area if include_pad, else by the part inside the picture. */
struct nx_dnnl_pool {
    bool max, include_pad;
    int32_t kernel[2], stride[2], before[2], after[2];
    const struct nx_dnnl_layout *src, *dst;
};
enum nx_status nx_dnnl_make_pool(struct nx_dnnl *, const struct nx_dnnl_pool *,
                                 struct nx_dnnl_made *, struct nx_err *);

enum nx_status nx_dnnl_make_act(struct nx_dnnl *, const struct nx_dnnl_layout *x,
                                const struct nx_dnnl_act *, struct nx_dnnl_made *, struct nx_err *);
enum nx_status nx_dnnl_make_prelu(struct nx_dnnl *, const struct nx_dnnl_layout *x,
                                  const struct nx_dnnl_layout *slope, struct nx_dnnl_made *,
                                  struct nx_err *);
/* y = a x + b for each channel, rounded and cut to y's type: x and y (N, C, H, W), a and b f32
 * (1, C, 1, 1). Arguments SRC1 for a, ADDEND for b. */
enum nx_status nx_dnnl_make_affine(struct nx_dnnl *, const struct nx_dnnl_layout *x,
                                   const struct nx_dnnl_layout *vector,
                                   const struct nx_dnnl_layout *dst, struct nx_dnnl_made *,
                                   struct nx_err *);
/* b may have 1 where a has more. */
enum nx_status nx_dnnl_make_binary(struct nx_dnnl *, enum nx_binary kind,
                                   const struct nx_dnnl_layout *a, const struct nx_dnnl_layout *b,
                                   const struct nx_dnnl_layout *dst, const struct nx_dnnl_post *,
                                   struct nx_dnnl_made *, struct nx_err *);
enum nx_status nx_dnnl_make_concat(struct nx_dnnl *, uint32_t axis, uint32_t n,
                                   const struct nx_dnnl_layout *const *srcs,
                                   const struct nx_dnnl_layout *dst, struct nx_dnnl_made *,
                                   struct nx_err *);
/* a (…, M, K), b (…, K, N) → (…, M, N), of one rank; b as WEIGHTS. A side of … may be 1 in a or b. */
enum nx_status nx_dnnl_make_matmul(struct nx_dnnl *, const struct nx_dnnl_layout *a,
                                   const struct nx_dnnl_layout *b, const struct nx_dnnl_layout *dst,
                                   struct nx_dnnl_made *, struct nx_err *);
enum nx_status nx_dnnl_make_lrn(struct nx_dnnl *, const struct nx_dnnl_layout *x,
                                const struct nx_attr_lrn *, struct nx_dnnl_made *, struct nx_err *);
/* Between layouts and types of one shape: y = scale x, rounded and cut to y's type. */
enum nx_status nx_dnnl_make_reorder(struct nx_dnnl *, const struct nx_dnnl_layout *src,
                                    const struct nx_dnnl_layout *dst, float scale,
                                    struct nx_dnnl_made *, struct nx_err *);

/* What kind of primitive it is and which code oneDNN runs for it: "convolution jit:avx512_core". */
const char *nx_dnnl_op_text(const struct nx_dnnl_op *);

/* Is that the code which stands in for combinations that oneDNN has no fast one for? */
bool nx_dnnl_op_is_naive(const struct nx_dnnl_op *);

/* Arguments of a call; the i-th source of a concat is NX_DNNL_SRC_N + i. */
enum nx_dnnl_arg {
    NX_DNNL_SRC,
    NX_DNNL_SRC1,
    NX_DNNL_WEIGHTS,
    NX_DNNL_BIAS,
    NX_DNNL_SCALE,
    NX_DNNL_SHIFT,
    NX_DNNL_MEAN,
    NX_DNNL_VARIANCE,
    NX_DNNL_ADDEND, /* of an affine's */
    NX_DNNL_DST,
    NX_DNNL_SCRATCH,
    NX_DNNL_SRC_N
};

/* `at` (64-byte aligned for speed) is the caller's and lives as long as the memory is used. NULL is
 * allowed until the first run. Where a layout rounds the shape up, the excess is zeroed now. */
enum nx_status nx_dnnl_bind(struct nx_dnnl *, const struct nx_dnnl_layout *, void *at,
                            struct nx_dnnl_memory **, struct nx_err *);
void nx_dnnl_rebind(struct nx_dnnl_memory *, void *at);

enum nx_status nx_dnnl_prepare(struct nx_dnnl *, const struct nx_dnnl_op *, uint32_t n,
                               const uint32_t *args, struct nx_dnnl_memory *const *memories,
                               struct nx_dnnl_call **, struct nx_err *);

/* Runs the calls in order and returns when all are done. */
enum nx_status nx_dnnl_run(struct nx_dnnl *, struct nx_dnnl_call *const *calls, uint32_t n,
                           struct nx_err *);

#endif
