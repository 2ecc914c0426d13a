/* cast.h — casts to f16 and bf16, where all is computed in f32: the values are rounded to what that type holds.
 *
 * What is computed is rounded by a node; a weight here, once, so that it stays a constant to whatever reads it, of any
 * size. To f32 and f64, and from f16 on, nothing is to be done. */
#ifndef NX_CATEGORIZER_MODEL_CAST_H
#define NX_CATEGORIZER_MODEL_CAST_H

#include "categorizer/graph/graph.h"

/* The function that a cast to a floating point type is; NX_UNARY_NONE: it changes nothing. */
enum nx_unary nx_cast_rounding(enum nx_dtype to);

/* *to: a new constant, `from` rounded. `from` is a constant with data, of known shape. NX_NO_MEMORY, NX_TOO_LARGE. */
enum nx_status nx_cast_constant(struct nx_graph *graph, uint32_t from, enum nx_unary rounding,
                                uint32_t *to, struct nx_err *err);

#endif
