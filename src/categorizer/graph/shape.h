/* shape.h — what shape has every tensor?
 *
 * nx_shape_infer walks the nodes in order and computes each output's shape from its inputs' and the
 * attributes, before anything runs. Parameters whose shape follows from the op (the weights and
 * biases of CONV and FC, the four vectors of BATCH_NORM, PRELU's slopes) get it when they have none
 * yet, so a graph without weights infers too; those that have one are checked.
 *
 * After success every tensor has a shape of at least 1 in every dimension, every attribute marked
 * "resolved" in graph.h is set, and a backend need check nothing. May be called again with another
 * batch. Failure: NX_INVALID (a mismatch), NX_TOO_LARGE; the sentence names the node, what it needs
 * and what it got; the graph must not be used then except to infer again. */
#ifndef NX_CATEGORIZER_GRAPH_SHAPE_H
#define NX_CATEGORIZER_GRAPH_SHAPE_H

#include "categorizer/graph/graph.h"

/* Sets dimension 0 of every graph input to `batch` (1 … NX_BATCH_MAX); the other dimensions of the
 * inputs are the caller's to have set. */
enum nx_status nx_shape_infer(struct nx_graph *graph, uint32_t batch, struct nx_err *err);

/* One node alone, from the shapes its inputs have now; for loaders that need shapes while they build. */
enum nx_status nx_shape_infer_node(struct nx_graph *graph, uint32_t node, struct nx_err *err);

#endif
