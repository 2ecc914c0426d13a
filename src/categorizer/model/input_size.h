/* input_size.h — which photo does this graph take?
 *
 * Tried in this order; the first with which every shape of the graph agrees is taken:
 *   the shape that the file declares for its input
 *   C from the first convolution's weight (else 3), with  the hint, 224, other usual sides, 1 … 320
 *   where a fully connected layer reads the input as it is: squares of 1 or 3 planes, then a plain row
 * A net without fully connected layers agrees with any size, so it gets the hint.
 * Failure  the sentence of the first attempt, with the size that was tried. */
#ifndef NX_CATEGORIZER_MODEL_INPUT_SIZE_H
#define NX_CATEGORIZER_MODEL_INPUT_SIZE_H

#include "categorizer/graph/graph.h"

struct nx_size_hint {
    uint32_t height_px, width_px; /* 0: none */
};

/* Sets the shape of the graph's one input and infers the graph for a batch of 2. */
enum nx_status nx_input_size_choose(struct nx_graph *graph, const struct nx_size_hint *hint,
                                    bool *size_is_free, struct nx_err *err);

#endif
