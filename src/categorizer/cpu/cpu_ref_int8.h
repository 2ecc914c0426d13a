/* cpu_ref_int8.h — cpu_ref in int8: the kernels of f32 on values that were rounded to their grids.
 *
 * A product of two integers on grids, and a sum of such in double, is what integer arithmetic gives; so this says what
 * quant.h means, with none of the code that is held to it. For cpu_ref.c only. */
#ifndef NX_CATEGORIZER_CPU_CPU_REF_INT8_H
#define NX_CATEGORIZER_CPU_CPU_REF_INT8_H

#include "categorizer/cpu/cpu_ref_ops.h"
#include "categorizer/graph/quant.h"

struct nx_ref_int8 {
    struct nx_quant quant;
    float **weights; /* per node in int8: its weights, rounded */
    float *room;     /* for one input, rounded */
};

/* All in `arena`. `graph` is inferred for the largest batch. NX_NO_MEMORY. */
enum nx_status nx_ref_int8_open(const struct nx_graph *graph, const struct nx_quant_range *ranges,
                                struct nx_arena *arena, struct nx_ref_int8 *int8,
                                struct nx_err *err);

/* As the kernel of the node's op, by the plan. buffer[] is as it was but for the outputs. */
void nx_ref_int8_run(const struct nx_ref_int8 *int8, const struct nx_graph *graph,
                     const struct nx_node *node, float **buffer);

#endif
