/* dnnl_build.h — a graph becoming calls of oneDNN; for the files of cpu_dnnl only.
 *
 *   tensor ──has──▶ values: one per layout it was wanted in, the first is what its node wrote
 *   value  ──lies in──▶ buffer: a place in the arena, a weight, or the caller's input or output
 *   step   ──reads and writes──▶ values: a primitive, or an op of cpu_ref on dense rows
 *
 * Lowering walks the nodes and appends steps; where a value is wanted in another layout than it has,
 * a reorder comes in between. Buffers learn from the steps that touch them how long they live, and
 * are packed once all steps are known. A variant is all of this for one batch size; the variants of
 * a program share weights and arena.
 * Weights are put into their layout when first wanted, and asked for in that layout by the variants
 * that follow. */
#ifndef NX_CATEGORIZER_CPU_DNNL_BUILD_H
#define NX_CATEGORIZER_CPU_DNNL_BUILD_H

#include "categorizer/backend.h"
#include "categorizer/cpu/dnnl_api.h"
#include "categorizer/graph/plan.h"

enum nx_dnnl_place { NX_DNNL_IN_ARENA, NX_DNNL_IN_WEIGHTS, NX_DNNL_IN_INPUT, NX_DNNL_IN_OUTPUT };

struct nx_dnnl_buffer {
    enum nx_dnnl_place place;
    uint32_t index; /* of the graph's input or output */
    bool shared;    /* several tensors lie here: not to be overwritten by one of them */
    size_t bytes;
    uint64_t offset;      /* in the arena, once packed */
    void *at;             /* weights from the start; the arena's once it is there; NULL outside */
    uint32_t first, last; /* steps that touch it; first > last: none */
};

struct nx_dnnl_value {
    const struct nx_dnnl_layout *layout;
    uint32_t buffer;
    size_t offset; /* in it */
    float step;    /* what lies here times this is the value; 1 but in 8 bits */
    uint32_t next; /* another value of the same tensor, NX_NONE at the end */
    struct nx_dnnl_memory *memory;
};

enum nx_dnnl_step_kind {
    NX_DNNL_STEP_CALL, /* a primitive */
    NX_DNNL_STEP_REF,  /* a node computed on dense rows, by cpu_rows or cpu_ref */
    NX_DNNL_STEP_ACT,  /* an elementwise function over one value of dense rows, in place */
    NX_DNNL_STEP_EACH /* one that leaves 0 as it is, from one value in f32 to one in the same layout */
};

struct nx_dnnl_step {
    enum nx_dnnl_step_kind kind;
    const struct nx_dnnl_op *op;
    const struct nx_node *node; /* whose work it is; NULL: copying the outputs out */
    uint32_t n;                 /* of values */
    uint32_t *args, *values;
};

struct nx_dnnl_variant {
    uint32_t batch;
    struct nx_graph graph; /* inferred for `batch`; constants have no data any more */
    struct nx_dnnl_buffer *buffers;
    struct nx_dnnl_value *values;
    struct nx_dnnl_step *steps;
    uint32_t n_buffers, n_values, n_steps;
    uint32_t cap_buffers, cap_values, cap_steps;
    uint32_t *first_value; /* per tensor; NX_NONE before it is written */
    uint32_t *rows_value;  /* per tensor: its value of dense f32 rows, for cpu_ref; or NX_NONE */
    float **rows;          /* per tensor: where that lies */
    struct nx_dnnl_call **calls; /* per step; NULL where cpu_ref computes */
};

/* A weight in a layout, in the list of its tensor; or a vector that holds one value throughout, or is a node's. */
struct nx_dnnl_weight {
    float fill; /* of such a vector; of a node's, which input it is */
    const struct nx_dnnl_layout *layout;
    void *at;
    struct nx_dnnl_weight *older;
};

/* Where a concat wants one of its parts, so that nothing has to be copied. */
struct nx_dnnl_spot {
    uint32_t buffer; /* NX_NONE: nobody cares */
    size_t offset;
    bool joins; /* it is such a concat's result */
};

struct nx_dnnl_build {
    struct nx_dnnl *dnnl;
    struct nx_arena *arena;        /* what the program keeps */
    struct nx_arena *arena2;       /* what only the load needs */
    struct nx_dnnl *loader;        /* reorders weights, then goes with arena2 */
    enum nx_dnnl_type type;        /* to compute in */
    bool channels_last;            /* the order of all pictures */
    struct nx_dnnl_spot *spots;    /* per tensor of v->graph */
    const struct nx_graph *source; /* has the constants' data */
    const struct nx_quant *quant;  /* of source; NULL: nothing is in int8 */
    /* per node of source, in int8: its vectors in units of its grids */
    struct nx_dnnl_weight **vectors;
    struct nx_dnnl_weight **weights; /* per tensor of source, and one list more for the vectors */
    uint64_t weights_bytes;          /* of these */
    struct nx_dnnl_variant *v;
    const struct nx_node *node; /* being lowered */
    struct nx_err *err;
};

/* Dense rows, in f32, of the tensor's shape; a scalar counts as one row of one. NULL: no memory. */
const struct nx_dnnl_layout *nx_dnnl_rows_of(struct nx_dnnl_build *b, uint32_t tensor);
const struct nx_dnnl_layout *nx_dnnl_any_of(struct nx_dnnl_build *b, enum nx_dnnl_type type,
                                            uint32_t tensor);

/* A new value in a new place of the arena. */
enum nx_status nx_dnnl_value_new(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                 uint32_t *value);
/* A place in the arena for several values. */
enum nx_status nx_dnnl_buffer_new(struct nx_dnnl_build *b, size_t bytes, uint32_t *buffer);
/* A new value in that place; the buffer counts as shared. */
enum nx_status nx_dnnl_value_at(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                const struct nx_dnnl_spot *spot, uint32_t *value);
/* The graph's i-th input or output, as the caller's dense rows. */
enum nx_status nx_dnnl_value_outside(struct nx_dnnl_build *b, enum nx_dnnl_place place, uint32_t i,
                                     uint32_t *value);
/* The bytes at `at`, which the program owns. */
enum nx_status nx_dnnl_value_weight(struct nx_dnnl_build *b, const struct nx_dnnl_layout *layout,
                                    void *at, uint32_t *value);
/* The same bytes under another layout of the same size; the buffer counts as shared. */
enum nx_status nx_dnnl_value_alias(struct nx_dnnl_build *b, uint32_t value,
                                   const struct nx_dnnl_layout *layout, uint32_t *alias);
/* `tensor` as its node wrote it, but in f32 at least. Constants come as dense rows. */
enum nx_status nx_dnnl_value_native(struct nx_dnnl_build *b, uint32_t tensor, uint32_t *value);
/* The same, on its grid if it is stored there: for steps that know what to do with 8 bits. */
enum nx_status nx_dnnl_value_stored(struct nx_dnnl_build *b, uint32_t tensor, uint32_t *value);
/* `tensor` in that layout; appends a reorder if it has none. */
enum nx_status nx_dnnl_value_in(struct nx_dnnl_build *b, uint32_t tensor,
                                const struct nx_dnnl_layout *layout, uint32_t *value);
/* As dense f32 rows, and known to cpu_ref's kernels. */
enum nx_status nx_dnnl_value_rows(struct nx_dnnl_build *b, uint32_t tensor, uint32_t *value);
/* A tensor that dies in the step to come, in that layout and free to be overwritten: the value it
 * has, unless others lie there too or `read` says that the step reads it as well; then a copy. */
enum nx_status nx_dnnl_value_take(struct nx_dnnl_build *b, uint32_t tensor,
                                  const struct nx_dnnl_layout *layout, bool read, uint32_t *value);
/* A new value in the place of one that dies, of the same bytes. */
enum nx_status nx_dnnl_value_over(struct nx_dnnl_build *b, uint32_t value,
                                  const struct nx_dnnl_layout *layout, uint32_t *over);
/* Now `tensor` is this value, and no other. */
void nx_dnnl_value_set(struct nx_dnnl_build *b, uint32_t tensor, uint32_t value);

/* The layout in which an earlier variant keeps that weight; NULL if there is none. */
const struct nx_dnnl_layout *nx_dnnl_weight_layout(const struct nx_dnnl_build *b, uint32_t tensor);
/* The constant `tensor`, whose rows are seen as `rows` (the same elements, maybe other sides), in
 * `layout`. */
enum nx_status nx_dnnl_weight_in(struct nx_dnnl_build *b, uint32_t tensor,
                                 const struct nx_dnnl_layout *rows,
                                 const struct nx_dnnl_layout *layout, uint32_t *value);
/* The same on the grids of its channels, `steps` for each side of dimension 0; `rows` are of s8. */
enum nx_status nx_dnnl_weight_int8(struct nx_dnnl_build *b, uint32_t tensor, const float *steps,
                                   const struct nx_dnnl_layout *rows,
                                   const struct nx_dnnl_layout *layout, uint32_t *value);
/* `layout`, of n f32: the vector that is input `input` of `node`, over units[]. NX_UNSUPPORTED: that is no number. */
enum nx_status nx_dnnl_weight_over(struct nx_dnnl_build *b, const struct nx_node *node,
                                   uint32_t input, const float *units, int64_t n,
                                   const struct nx_dnnl_layout *layout, uint32_t *value);
/* f32 (n), all of them `fill`. */
enum nx_status nx_dnnl_weight_fill(struct nx_dnnl_build *b, int64_t n, float fill, uint32_t *value);

#define NX_DNNL_ARGS_MAX 10
struct nx_dnnl_args {
    uint32_t n;
    uint32_t args[NX_DNNL_ARGS_MAX], values[NX_DNNL_ARGS_MAX];
};
static inline void nx_dnnl_arg_add(struct nx_dnnl_args *a, uint32_t arg, uint32_t value)
{
    a->args[a->n] = arg;
    a->values[a->n++] = value;
}

/* Appends a copy from one value to another of the same shape. */
enum nx_status nx_dnnl_step_reorder(struct nx_dnnl_build *b, uint32_t from, uint32_t to);
/* Appends the primitive with its values and, if it needs some, scratch memory. */
enum nx_status nx_dnnl_step_call(struct nx_dnnl_build *b, const struct nx_dnnl_made *made,
                                 uint32_t n, const uint32_t *args, const uint32_t *values);
/* Appends the node as cpu_ref computes it. */
enum nx_status nx_dnnl_step_ref(struct nx_dnnl_build *b, const struct nx_node *node);
/* Appends node->post.act over the node's output. */
enum nx_status nx_dnnl_step_act(struct nx_dnnl_build *b, const struct nx_node *node);
/* Appends node->attr.unary, which gives 0 for 0, over all that lies in `src`, padding as well, to `dst`: in the arena, f32,
 * of one layout. */
enum nx_status nx_dnnl_step_each(struct nx_dnnl_build *b, const struct nx_node *node, uint32_t src,
                                 uint32_t dst);
/* Where a value lies in the end. */
void *nx_dnnl_address(const struct nx_dnnl_variant *v, uint32_t value);

/* dnnl_lower_int8.c. Is the tensor to lie on its grid? */
bool nx_dnnl_is_stored(const struct nx_dnnl_build *b, uint32_t tensor);
enum nx_dnnl_type nx_dnnl_grid_type(const struct nx_dnnl_build *b, uint32_t tensor);
/* The step of a value of `tensor` in that layout. */
float nx_dnnl_step_in(const struct nx_dnnl_build *b, uint32_t tensor,
                      const struct nx_dnnl_layout *layout);
/* Nodes that the plan has in int8. NX_UNSUPPORTED: it is none, or there is no code for it; nothing was appended. */
enum nx_status nx_dnnl_lower_conv_int8(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_fc_int8(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_affine_int8(struct nx_dnnl_build *b, const struct nx_node *node);

/* What CONV and FC share, in any precision. dnnl_lower_conv.c */
bool nx_dnnl_weights_are_constant(const struct nx_dnnl_build *b, const struct nx_node *node);
uint32_t nx_dnnl_conv_sides(const struct nx_dnnl_build *b, const struct nx_node *node,
                            int64_t dims[NX_RANK_MAX]); /* of the weights; returns how many */
bool nx_dnnl_plan_post(const struct nx_node *node,
                       struct nx_dnnl_post *post); /* false: an act is left */
enum nx_status nx_dnnl_finish(struct nx_dnnl_build *b, const struct nx_node *node,
                              const struct nx_dnnl_made *made, struct nx_dnnl_args *args,
                              const struct nx_dnnl_layout *own, bool act_left);
/* NX_UNSUPPORTED for naive code. */
enum nx_status nx_dnnl_unless_naive(enum nx_status status, const struct nx_dnnl_made *made);

/* (N, …) as it lies, with weights in its sides; or (…, K) as (M, K) rows. The result is (M, O) dense
 * rows in f32, whatever the type of the sources. */
struct nx_dnnl_fc_view {
    uint32_t rank;
    int64_t x[NX_RANK_MAX], w[NX_RANK_MAX], y[2];
    bool rows; /* x has to be dense rows */
};
struct nx_dnnl_fc_view nx_dnnl_view_fc(const struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_fc_source(struct nx_dnnl_build *b, const struct nx_node *node,
                                 const struct nx_dnnl_fc_view *v,
                                 const struct nx_dnnl_layout *wanted, uint32_t *src);

/* dnnl_place.c. For a whole graph, inferred: are pictures to lie with their channels last? */
bool nx_dnnl_wants_channels_last(const struct nx_graph *graph);
/* `tensor` in the order of pictures; may be "any", see nx_dnnl_pictures. NULL: no memory. */
const struct nx_dnnl_layout *nx_dnnl_pictures_of(struct nx_dnnl_build *b, uint32_t tensor);
/* Does a concat of b->source cost nothing, for a batch of 1? */
bool nx_dnnl_has_joins(struct nx_dnnl_build *b);
/* Of a graph, inferred, if its pictures lie in blocks: before there is a build. */
bool nx_dnnl_may_join(const struct nx_graph *graph);
/* dnnl_estimate.c: a CONV that Winograd's algorithm is asked for, in f32 and blocks. */
bool nx_dnnl_suits_winograd(const struct nx_graph *graph, const struct nx_node *node);
/* Weights and scratch memory, for estimate->at_once photos, of a graph whose pictures lie in blocks or do not. */
void nx_dnnl_estimate(const struct nx_graph *graph, enum nx_precision precision, bool blocks,
                      struct nx_load_estimate *estimate);
/* Fills b->spots for b->v->graph. */
enum nx_status nx_dnnl_plan_spots(struct nx_dnnl_build *b);
/* A new value for what a node writes: at the tensor's spot if it has one in that layout. */
enum nx_status nx_dnnl_value_for(struct nx_dnnl_build *b, uint32_t tensor,
                                 const struct nx_dnnl_layout *layout, uint32_t *value);
/* A concat whose parts have spots. NX_UNSUPPORTED: it is not one. */
enum nx_status nx_dnnl_lower_join(struct nx_dnnl_build *b, const struct nx_node *node);

/* Lowers every node of b->v->graph and copies the outputs out. dnnl_lower.c */
enum nx_status nx_dnnl_lower(struct nx_dnnl_build *b);

/* One op each: NX_UNSUPPORTED means that cpu_ref has to do it, and nothing was appended. */
enum nx_status nx_dnnl_lower_conv(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_fc(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_norm(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_layer_norm(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_softmax(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_pool(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_unary(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_prelu(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_binary(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_concat(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_lrn(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_transpose(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_slice(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_split(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_reduce(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_matmul(struct nx_dnnl_build *b, const struct nx_node *node);
enum nx_status nx_dnnl_lower_view(struct nx_dnnl_build *b, const struct nx_node *node);

/* Gives every buffer its place in an arena of *bytes. */
enum nx_status nx_dnnl_pack(struct nx_dnnl_build *b, uint64_t *bytes);
/* Binds every value to its place in the arena at `base`, and prepares the calls. */
enum nx_status nx_dnnl_bind_all(struct nx_dnnl_build *b, uint8_t *base);

enum nx_status nx_dnnl_out_of_memory(struct nx_dnnl_build *b);

#endif
