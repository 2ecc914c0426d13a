/* rewrite.h — what the passes share: replacing a node's result by another tensor, in one walk.
 *
 * A pass visits the nodes in order. nx_rewrite_visit gives it each live node with its inputs
 * already replaced; nx_rewrite_drop makes all later users of the node's output read another tensor,
 * computed before. nx_rewrite_end removes what is dead and infers the shapes again. For the pass*.c
 * files only. */
#ifndef NX_CATEGORIZER_GRAPH_REWRITE_H
#define NX_CATEGORIZER_GRAPH_REWRITE_H

#include "categorizer/backend.h"

struct nx_rewrite {
    struct nx_graph *graph;
    struct nx_err *err;
    bool *dead;                /* per node */
    uint32_t *forward;         /* per tensor: what its users read now; itself, or an earlier one */
    uint32_t *uses;            /* per tensor: by nodes and as graph outputs */
    uint32_t *last, *previous; /* per tensor: its two latest users, NX_NONE if none */
    bool *viewed;              /* per tensor: read by RESHAPE or IDENTITY, or a graph output */
    uint32_t cap_tensors;      /* of the arrays per tensor: room for the constants a pass adds */
};

enum nx_status nx_rewrite_begin(struct nx_rewrite *rw, struct nx_graph *graph, struct nx_err *err);
struct nx_node *nx_rewrite_visit(struct nx_rewrite *rw, uint32_t at); /* NULL: dropped */
/* Node `at` has one output and computes what tensor `by` holds. */
void nx_rewrite_drop(struct nx_rewrite *rw, uint32_t at, uint32_t by);
enum nx_status nx_rewrite_end(struct nx_rewrite *rw);

/* The live node whose output `tensor` is, if that has exactly one use; else NULL. */
struct nx_node *nx_rewrite_only_producer(const struct nx_rewrite *rw, uint32_t tensor);

static inline const float *nx_rewrite_data(const struct nx_rewrite *rw, uint32_t tensor)
{
    return rw->graph->tensors[tensor].data;
}

enum nx_status nx_pass_patterns(struct nx_graph *graph, struct nx_err *err);
enum nx_status nx_pass_pad(struct nx_graph *graph, struct nx_err *err);
enum nx_status nx_pass_fold_bn(struct nx_graph *graph, struct nx_err *err);
enum nx_status nx_pass_scale_shift(struct nx_graph *graph, struct nx_err *err);
enum nx_status nx_pass_sum(struct nx_graph *graph, struct nx_err *err);
enum nx_status nx_pass_activation(struct nx_graph *graph, struct nx_err *err);

#endif
