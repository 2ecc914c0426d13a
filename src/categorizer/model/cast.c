#include "categorizer/model/cast.h"

#include "categorizer/graph/half_round.h"

enum nx_unary nx_cast_rounding(enum nx_dtype to)
{
    return to == NX_F16 ? NX_UNARY_ROUND_F16 : to == NX_BF16 ? NX_UNARY_ROUND_BF16 : NX_UNARY_NONE;
}

enum nx_status nx_cast_constant(struct nx_graph *graph, uint32_t from, enum nx_unary rounding,
                                uint32_t *to, struct nx_err *err)
{
    const struct nx_tensor *t = &graph->tensors[from];
    uint64_t bytes = nx_tensor_bytes(t), n = bytes / sizeof(float);
    const float *x = t->data;
    float *y = nx_arena_alloc(graph->arena, bytes);
    if (!y)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the weight '%s'", t->name);
    for (uint64_t i = 0; i < n; i++)
        y[i] = rounding == NX_UNARY_ROUND_F16 ? nx_round_f16(x[i]) : nx_round_bf16(x[i]);
    return nx_graph_add_constant(graph, t->name, &t->shape, y, to, err);
}
