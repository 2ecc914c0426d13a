/* Any bytes as an ONNX file. */
#include "categorizer/model/onnx.h"

#include "categorizer/graph/shape.h"
#include "fuzz_graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum nx_status build(const uint8_t *data, size_t size, const struct nx_size_hint *hint,
                            struct nx_graph *graph, struct nx_err *err)
{
    bool size_is_free;
    NX_TRY(nx_onnx_build(data, size, hint, graph, &size_is_free, err));
    if (!nx_graph_is_sound(graph))
        abort();
    NX_TRY(nx_shape_infer(graph, 1, err));
    return nx_shape_infer(graph, 2, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_graph_one(build, data, size);
}
