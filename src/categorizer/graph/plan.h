/* plan.h — where in one arena does every computed tensor live?
 *
 *   two slots overlap in the arena  ⇒  no step needs both
 *
 * A step is a node's index. A slot is needed from the step that writes it to the last that reads it
 * (graph outputs: to the end). Backends with layouts of their own fill in the bytes; the packing
 * does not care what is inside.
 * Source  greedy by size, best fit: Pisarchyk and Lee, Efficient Memory Management for Deep Neural
 *         Net Inference, 2020. */
#ifndef NX_CATEGORIZER_GRAPH_PLAN_H
#define NX_CATEGORIZER_GRAPH_PLAN_H

#include "categorizer/graph/graph.h"

struct nx_slot {
    uint32_t first, last; /* steps, both included */
    uint64_t bytes;       /* 0: takes no room */
    uint64_t offset;      /* filled in by nx_plan_pack, a multiple of its align */
};

struct nx_plan {
    uint32_t *slot_of; /* per tensor: its slot; NX_NONE for inputs and constants */
    struct nx_slot *slots;
    uint32_t n_slots;
};

/* Slots, lifetimes and row-major bytes of an inferred graph, in the graph's arena.
 * The output of a node with post.sum shares its residual's slot always; that of RESHAPE and
 * IDENTITY shares its input's slot if `views` (for backends whose tensors are dense row-major) and
 * the input is a computed tensor. Which graph outputs are copied out is the backend's choice: their
 * slots live to the end. */
enum nx_status nx_plan_slots(const struct nx_graph *graph, bool views, struct nx_plan *plan,
                             struct nx_err *err);

/* Gives every slot its offset; *arena_bytes is the size of the arena that holds them all. `align`
 * is a power of two. */
enum nx_status nx_plan_pack(struct nx_arena *scratch, struct nx_slot *slots, uint32_t n_slots,
                            uint64_t align, uint64_t *arena_bytes, struct nx_err *err);

#endif
