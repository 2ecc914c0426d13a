/* pass.h — rewriting a graph into a cheaper one that computes the same.
 *
 * A run takes a graph with weights and leaves a sound one inferred for the same batch, without dead
 * nodes and tensors. Infer for a batch of 2 or more before it: a batch of 1 looks like any other 1.
 * Its outputs agree with those before exactly, but where the list says "rounds". New constants live
 * in the graph's arena.
 *
 *   NX_PASS_NO_OPS       drops IDENTITY, RESHAPE to the same shape, PAD by nothing, CONCAT of one, and the Flatten before
 *                        an FC that flattens by itself
 *   NX_PASS_CONSTANTS    nodes with only constant inputs are computed now, by `evaluator`
 *   NX_PASS_PATTERNS     x sigmoid(x), GELU and layer norms that are spelled out in small ops become one (rounds)
 *   NX_PASS_PAD          a PAD with zeros in H and W goes into its CONV
 *   NX_PASS_FOLD_BN      BATCH_NORM or SCALE_SHIFT after CONV or FC, or a sum or product with one constant for each
 *                        channel, also behind a TRANSPOSE: into weights and bias (rounds)
 *   NX_PASS_SCALE_SHIFT  what BATCH_NORM is left becomes SCALE_SHIFT (rounds). Never folded forward into a convolution:
 *                        zero padding comes after the shift
 *   NX_PASS_SUM          CONV or FC whose result is only added to r, where r dies: post.sum; before ACTIVATION, so that
 *                        relu(conv(x) + r) is one node
 *   NX_PASS_ACTIVATION   UNARY after CONV, FC, SCALE_SHIFT or BINARY: their post.act */
#ifndef NX_CATEGORIZER_GRAPH_PASS_H
#define NX_CATEGORIZER_GRAPH_PASS_H

#include "categorizer/backend.h"

enum nx_pass {
    NX_PASS_NO_OPS = 1u << 0,
    NX_PASS_CONSTANTS = 1u << 1,
    NX_PASS_PAD = 1u << 2,
    NX_PASS_FOLD_BN = 1u << 3,
    NX_PASS_SCALE_SHIFT = 1u << 4,
    NX_PASS_SUM = 1u << 5,
    NX_PASS_ACTIVATION = 1u << 6,
    NX_PASS_PATTERNS = 1u << 7,
    NX_PASS_ALL = (1u << 8) - 1
};

/* Runs the passes whose bit is set, in the order that makes them meet, then compacts. `evaluator`
 * is nx_backend_cpu_ref; it may be NULL without NX_PASS_CONSTANTS. On failure the graph is spent.
 */
enum nx_status nx_pass_run(struct nx_graph *graph, unsigned passes,
                           const struct nx_backend *evaluator, struct nx_err *err);

#endif
