/* quant.h — which parts of a graph are computed in int8, and on which grids.
 *
 *   value = q step,  q an integer: 0 … 255 (U8) or -128 … 127 (S8)
 *
 * Activations: one grid for each tensor, from the range of its values that a calibration saw; U8 if
 * none was below 0. Weights: S8 with a step for each output channel, its largest |w| / 127. Zero is
 * 0 on every grid, so that padding stays exact.
 *
 * Computed in int8 are CONV and FC with constant weights and an input whose range is known: sums of
 * products of integers, exact; scaled, with bias, residual and act, in f32. All else is f32. A
 * tensor that only such nodes want, at last, is *stored* on its grid: its writer rounds it, and
 * every reader sees what was rounded. So stay the results of convolutions between convolutions,
 * through max and (not global) average pools and concats, whose parts share the grid of the whole,
 * and through scale-shifts; a residual is stored if the sum that takes it is. An input that is not
 * stored is rounded for each node that computes with it.
 *
 * The plan says what is rounded where; it is all that two backends have to agree on. It is a
 * function of the graph and the ranges.
 *
 * Owner   the plan lives in the arena given; nothing of the graph is kept
 * Source  Jacob et al., Quantization and Training of Neural Networks for Efficient
 *         Integer-Arithmetic-Only Inference, 2018; weights for each channel and activations for
 *         each tensor, symmetric: Krishnamoorthi, arXiv 1806.08342, 2018; Wu et al., arXiv
 *         2004.09602, 2020 */
#ifndef NX_CATEGORIZER_GRAPH_QUANT_H
#define NX_CATEGORIZER_GRAPH_QUANT_H

#include "categorizer/graph/graph.h"

/* Of a tensor's values. Finite, low <= high, both within NX_QUANT_RANGE_MAX of 0. */
struct nx_quant_range {
    bool known;
    float low, high;
};

#define NX_QUANT_RANGE_MAX 1e18f

enum nx_grid_kind { NX_GRID_NONE, NX_GRID_U8, NX_GRID_S8 };

struct nx_grid {
    enum nx_grid_kind kind;
    float step; /* 1e-18 … NX_QUANT_RANGE_MAX */
};

struct nx_quant {
    struct nx_grid *grids; /* per tensor: its range's; NX_GRID_NONE without a range */
    bool *stored;          /* per tensor */
    /* per node: of its weights, one for each output channel; NULL: computed in f32 */
    const float **steps;
    uint32_t n_int8; /* nodes that have some */
};

/* wanted[tensor]: does the plan look at its range? The others need none. */
void nx_quant_wanted_ranges(const struct nx_graph *graph, bool *wanted);

/* `graph` is inferred, passes have run, and its constants have data. ranges: per tensor. NX_NO_MEMORY. */
enum nx_status nx_quant_plan(const struct nx_graph *graph, const struct nx_quant_range *ranges,
                             struct nx_arena *arena, struct nx_quant *quant, struct nx_err *err);

/* The integer, as a float, on which x comes to lie: the nearest, of two the even one, within the kind's bounds. A NaN
 * becomes 0. */
float nx_grid_round(const struct nx_grid *grid, float x);

/* The weights of a node of `n` output channels, q[i] = w[i] / its channel's step, rounded. */
void nx_quant_weights(const float *w, uint64_t elements, const float *steps, uint64_t n, int8_t *q);

#endif
