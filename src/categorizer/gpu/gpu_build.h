/* gpu_build.h — a graph becoming steps; for the gpu_plan and gpu_lower files only.
 *
 *   tensor ──has──▶ up to three values: as its node wrote it, as rows, as an NHWC image of the plan's type
 * A value that is wanted in another form is made by an EACH step when first wanted. Constants go into the
 * weight image in the form that is wanted, once for all variants. */
#ifndef NX_CATEGORIZER_GPU_GPU_BUILD_H
#define NX_CATEGORIZER_GPU_GPU_BUILD_H

#include "categorizer/gpu/gpu_plan.h"

struct nx_gpu_value {
    uint32_t buffer; /* NX_NONE: not made yet */
    enum nx_gpu_type type;
    bool nhwc;     /* else rows */
    int64_t pitch; /* of NHWC: elements from one pixel to the next */
    uint64_t start;
};

struct nx_gpu_values {
    struct nx_gpu_value native, rows, image;
};

/* A constant as the image has it, in the list of its tensor. */
struct nx_gpu_packed {
    struct nx_gpu_packed *older, *next; /* of this tensor; in the order of offsets */
    int64_t key[2];
    enum nx_gpu_type type;
    uint64_t bytes, offset;
    uint8_t *data;
    uint32_t buffer; /* of the variant being built, NX_NONE if it has none yet */
};

struct nx_gpu_build {
    struct nx_gpu_plan *plan;
    struct nx_gpu_variant *v;
    struct nx_arena *scratch;      /* for the whole build */
    struct nx_graph graph;         /* inferred for v->batch; shares the data of constants */
    struct nx_gpu_values *values;  /* per tensor */
    struct nx_gpu_packed **packed; /* per tensor: the newest */
    struct nx_gpu_packed *first, *last;
    const struct nx_node *node; /* being lowered */
    struct nx_err *err;
};

static inline const struct nx_shape *nx_gpu_shape(const struct nx_gpu_build *b, uint32_t tensor)
{
    return &b->graph.tensors[tensor].shape;
}

enum nx_status nx_gpu_out_of_memory(struct nx_gpu_build *b);
/* NX_UNSUPPORTED: "gpu_cudnn: no step for 'name', a convolution: why". */
enum nx_status nx_gpu_refuse(struct nx_gpu_build *b, const char *why);

/* gpu_value.c */
enum nx_status nx_gpu_buffer_new(struct nx_gpu_build *b, enum nx_gpu_place place, uint64_t bytes,
                                 uint32_t *buffer);
enum nx_status nx_gpu_value_native(struct nx_gpu_build *b, uint32_t tensor,
                                   struct nx_gpu_value *value);
enum nx_status nx_gpu_value_rows(struct nx_gpu_build *b, uint32_t tensor,
                                 struct nx_gpu_value *value);
/* NHWC in the plan's type; `exact`: with a pitch of C. The tensor is an image, or counts as one: (N,C) as
 * (N,C,1,1). */
enum nx_status nx_gpu_value_image(struct nx_gpu_build *b, uint32_t tensor, bool exact,
                                  struct nx_gpu_value *value);
/* Where a node's output goes: an image with that pitch if it has rank 4, else rows. */
enum nx_status nx_gpu_value_new(struct nx_gpu_build *b, uint32_t tensor, int64_t pitch,
                                struct nx_gpu_value *value);
int64_t nx_gpu_pitch_for(const struct nx_shape *shape); /* of what an EACH step writes */
/* The value with the strides of `shape`, which has up to `rank` dimensions, aligned with the last and
 * broadcast (NumPy's rule). */
struct nx_gpu_operand nx_gpu_operand_of(const struct nx_gpu_value *value,
                                        const struct nx_shape *shape, const struct nx_shape *space);
/* Appends; the buffers that it names live from their first step to this one. */
enum nx_status nx_gpu_step_add(struct nx_gpu_build *b, const struct nx_gpu_step *step);
/* A step of that kind over the output's index space, padding included; y set. */
struct nx_gpu_step nx_gpu_each(const struct nx_gpu_build *b, uint32_t tensor,
                               const struct nx_gpu_value *y);

/* gpu_weights.c: a constant in the image. */
enum nx_status nx_gpu_weights_rows(struct nx_gpu_build *b, uint32_t tensor, enum nx_gpu_type type,
                                   struct nx_gpu_value *value);
/* (O, C, R, S) → (O, R, S, pitch); of a fully connected layer (O, C R S) likewise, given C, R, S. */
enum nx_status nx_gpu_weights_filter(struct nx_gpu_build *b, uint32_t tensor, const int64_t crs[3],
                                     int64_t pitch, struct nx_gpu_value *value);
enum nx_status nx_gpu_weights_finish(struct nx_gpu_build *b);

/* gpu_lower_*.c */
enum nx_status nx_gpu_lower_conv(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_fc(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_pool(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_reduce(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_lrn(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_softmax(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_scale_shift(struct nx_gpu_build *b);
/* UNARY, BINARY, PRELU, WHERE, IDENTITY */
enum nx_status nx_gpu_lower_each(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_concat(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_reshape(struct nx_gpu_build *b);
enum nx_status nx_gpu_lower_part(struct nx_gpu_build *b); /* SPLIT, SLICE, TRANSPOSE */

#endif
