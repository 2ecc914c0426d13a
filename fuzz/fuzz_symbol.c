/* Any bytes as a symbol. */
#include "categorizer/model/symbol.h"

#include "fuzz_graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum nx_status build(const uint8_t *data, size_t size, const struct nx_size_hint *hint,
                            struct nx_graph *graph, struct nx_err *err)
{
    bool size_is_free;
    NX_TRY(nx_symbol_build((const char *)data, size, NULL, graph, err));
    if (!nx_graph_is_sound(graph))
        abort();
    return nx_input_size_choose(graph, hint, &size_is_free, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_graph_one(build, data, size);
}
