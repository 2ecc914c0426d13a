/* shape_rules.h — the rules of single ops, shared by the files that implement shape.h.
 *
 * A rule reads the shapes of its node's inputs (all known), resolves the node's attributes and sets
 * the shapes of its outputs. It refuses with a sentence; it never asserts on what a file said. */
#ifndef NX_CATEGORIZER_GRAPH_SHAPE_RULES_H
#define NX_CATEGORIZER_GRAPH_SHAPE_RULES_H

#include "categorizer/graph/graph.h"

struct nx_rule {
    struct nx_graph *graph;
    struct nx_node *node;
    struct nx_err *err;
};

static inline const struct nx_shape *nx_rule_in(const struct nx_rule *r, uint32_t i)
{
    return &r->graph->tensors[r->node->inputs[i]].shape;
}

/* Output i gets `shape` if every dimension is in bounds. */
enum nx_status nx_rule_out(const struct nx_rule *r, uint32_t i, const struct nx_shape *shape);

/* Input i must have, or gets, `shape`. `what` names it: "weight". */
enum nx_status nx_rule_param(const struct nx_rule *r, uint32_t i, const struct nx_shape *shape,
                             const char *what);

/* -rank … rank-1 → 0 … rank-1. */
enum nx_status nx_rule_axis(const struct nx_rule *r, int64_t axis, uint32_t rank,
                            int32_t *resolved);

/* Refuses with "<op> '<name>' needs <wanted>, its input is <shape>". */
enum nx_status nx_rule_refuse(const struct nx_rule *r, const struct nx_shape *got,
                              const char *wanted);

/* shape_layout.c: ops that move elements and compute nothing. */
enum nx_status nx_rule_concat(const struct nx_rule *r);
enum nx_status nx_rule_reshape(const struct nx_rule *r);
enum nx_status nx_rule_split(const struct nx_rule *r);
enum nx_status nx_rule_slice(const struct nx_rule *r);
enum nx_status nx_rule_transpose(const struct nx_rule *r);
enum nx_status nx_rule_pad(const struct nx_rule *r);

/* shape_wide.c: ops of several inputs, and those that give more than they take. */
enum nx_status nx_rule_binary(const struct nx_rule *r);
enum nx_status nx_rule_where(const struct nx_rule *r);
enum nx_status nx_rule_matmul(const struct nx_rule *r);
enum nx_status nx_rule_layer_norm(const struct nx_rule *r);
enum nx_status nx_rule_group_norm(const struct nx_rule *r);
enum nx_status nx_rule_tile(const struct nx_rule *r);
enum nx_status nx_rule_gather(const struct nx_rule *r);
enum nx_status nx_rule_gather_each(const struct nx_rule *r);
enum nx_status nx_rule_resize(const struct nx_rule *r);

#endif
