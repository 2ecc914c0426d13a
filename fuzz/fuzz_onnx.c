/* Any bytes as an ONNX file: built, inferred and rewritten into a sound graph, or refused with a sentence. */
#include <stdint.h>
#include <stdlib.h>

#include "categorizer/graph/pass.h"
#include "categorizer/graph/plan.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/input_size.h"
#include "categorizer/model/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum nx_status use(const uint8_t *data, size_t size, struct nx_graph *graph,
                          struct nx_err *err)
{
    const struct nx_size_hint hint = {16, 16};
    bool size_is_free;
    struct nx_plan plan;
    uint64_t bytes;
    NX_TRY(nx_onnx_build(data, size, &hint, graph, &size_is_free, err));
    if (!nx_graph_is_sound(graph))
        abort();
    NX_TRY(nx_shape_infer(graph, 1, err));
    NX_TRY(nx_shape_infer(graph, 2, err));
    NX_TRY(nx_pass_run(graph, NX_PASS_ALL & ~(unsigned)NX_PASS_CONSTANTS, NULL, err));
    if (!nx_graph_is_sound(graph))
        abort();
    NX_TRY(nx_plan_slots(graph, true, &plan, err));
    return nx_plan_pack(graph->arena, plan.slots, plan.n_slots, 64, &bytes, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_arena arena;
    struct nx_graph graph;
    struct nx_err err = {0};
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    if (use(data, size, &graph, &err) != NX_OK && !err.text[0])
        abort();
    nx_arena_free(&arena);
    return 0;
}
