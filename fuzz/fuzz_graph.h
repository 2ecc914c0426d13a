/* fuzz_graph.h — what becomes of a graph that a fuzzer's bytes gave: inferred and rewritten into a sound one, or
 * refused with a sentence. */
#ifndef NX_FUZZ_GRAPH_H
#define NX_FUZZ_GRAPH_H

#include <stdint.h>
#include <stdlib.h>

#include "categorizer/graph/pass.h"
#include "categorizer/graph/plan.h"
#include "categorizer/model/input_size.h"

/* Builds a graph of the bytes and gives its inputs shapes. */
typedef enum nx_status fuzz_graph_build(const uint8_t *data, size_t size,
                                        const struct nx_size_hint *hint, struct nx_graph *graph,
                                        struct nx_err *err);

static inline enum nx_status fuzz_graph_use(fuzz_graph_build *build, const uint8_t *data,
                                            size_t size, struct nx_graph *graph, struct nx_err *err)
{
    const struct nx_size_hint hint = {16, 16};
    struct nx_plan plan;
    uint64_t bytes;
    NX_TRY(build(data, size, &hint, graph, err));
    if (!nx_graph_is_sound(graph))
        abort();
    NX_TRY(nx_pass_run(graph, NX_PASS_ALL & ~(unsigned)NX_PASS_CONSTANTS, NULL, err));
    if (!nx_graph_is_sound(graph))
        abort();
    NX_TRY(nx_plan_slots(graph, true, &plan, err));
    return nx_plan_pack(graph->arena, plan.slots, plan.n_slots, 64, &bytes, err);
}

static inline int fuzz_graph_one(fuzz_graph_build *build, const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct nx_graph graph;
    struct nx_err err = {0};
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    if (fuzz_graph_use(build, data, size, &graph, &err) != NX_OK && !err.text[0])
        abort();
    nx_arena_free(&arena);
    return 0;
}

#endif
