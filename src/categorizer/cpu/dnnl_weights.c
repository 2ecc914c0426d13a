/* Weights in the layout that computes fastest: reordered once, when first wanted. */
#include <math.h>
#include <string.h>

#include "categorizer/cpu/dnnl_build.h"
#include "common/unconst.h"

enum { ALIGN = 64 };

static void *alloc_aligned(struct nx_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - ALIGN)
        return NULL;
    uint8_t *p = nx_arena_alloc(arena, bytes + ALIGN);
    return p ? p + (ALIGN - (uintptr_t)p % ALIGN) % ALIGN : NULL;
}

static struct nx_dnnl_weight *find(struct nx_dnnl_weight *list, float fill,
                                   const struct nx_dnnl_layout *layout)
{
    for (struct nx_dnnl_weight *w = list; w; w = w->older)
        if (memcmp(&w->fill, &fill, sizeof fill) == 0 && nx_dnnl_same(w->layout, layout))
            return w;
    return NULL;
}

const struct nx_dnnl_layout *nx_dnnl_weight_layout(const struct nx_dnnl_build *b, uint32_t tensor)
{
    return b->weights[tensor] ? b->weights[tensor]->layout : NULL;
}

static enum nx_status add(struct nx_dnnl_build *b, struct nx_dnnl_weight **list, float fill,
                          const struct nx_dnnl_layout *layout, struct nx_dnnl_weight **weight)
{
    struct nx_dnnl_weight *w = nx_arena_alloc(b->arena, sizeof *w);
    void *at = alloc_aligned(b->arena, nx_dnnl_bytes(layout));
    if (!w || !at)
        return nx_dnnl_out_of_memory(b);
    *w = (struct nx_dnnl_weight){.fill = fill, .layout = layout, .at = at, .older = *list};
    *list = w;
    b->weights_bytes += nx_dnnl_bytes(layout);
    *weight = w;
    return NX_OK;
}

static enum nx_status convert(struct nx_dnnl_build *b, const void *data,
                              const struct nx_dnnl_layout *rows, const struct nx_dnnl_weight *w)
{
    struct nx_dnnl_made made;
    enum nx_status status = nx_dnnl_make_reorder(b->loader, rows, w->layout, 1, &made, b->err);
    if (status == NX_UNSUPPORTED)
        return nx_err_set(b->err, NX_INTERNAL, "cpu_dnnl: oneDNN cannot reorder a weight");
    NX_TRY(status);
    uint32_t args[3] = {NX_DNNL_SRC, NX_DNNL_DST, NX_DNNL_SCRATCH}, n = 2;
    struct nx_dnnl_memory *memories[3];
    NX_TRY(nx_dnnl_bind(b->loader, rows, nx_unconst(data), &memories[0], b->err));
    NX_TRY(nx_dnnl_bind(b->loader, w->layout, w->at, &memories[1], b->err));
    if (made.scratch) {
        void *scratch = alloc_aligned(b->arena2, nx_dnnl_bytes(made.scratch));
        if (!scratch)
            return nx_dnnl_out_of_memory(b);
        NX_TRY(nx_dnnl_bind(b->loader, made.scratch, scratch, &memories[n++], b->err));
    }
    struct nx_dnnl_call *call;
    NX_TRY(nx_dnnl_prepare(b->loader, made.op, n, args, memories, &call, b->err));
    return nx_dnnl_run(b->loader, &call, 1, b->err);
}

enum nx_status nx_dnnl_weight_in(struct nx_dnnl_build *b, uint32_t tensor,
                                 const struct nx_dnnl_layout *rows,
                                 const struct nx_dnnl_layout *layout, uint32_t *value)
{
    if (!rows || !layout)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_weight **list = &b->weights[tensor], *w = find(*list, 0, layout);
    if (!w) {
        const struct nx_tensor *t = &b->source->tensors[tensor];
        if (!t->data)
            return nx_err_set(b->err, NX_INVALID, "cpu_dnnl: '%s' has no data", t->name);
        NX_TRY(add(b, list, 0, layout, &w));
        if (nx_dnnl_same(rows, layout))
            memcpy(w->at, t->data, nx_dnnl_bytes(layout));
        else
            NX_TRY(convert(b, t->data, rows, w));
    }
    return nx_dnnl_value_weight(b, w->layout, w->at, value);
}

/* What compensates for the offset of a source in s8 comes with the layout, and with the reorder into it. */
static enum nx_status add_int8(struct nx_dnnl_build *b, uint32_t tensor, const float *steps,
                               const struct nx_dnnl_layout *rows,
                               const struct nx_dnnl_layout *layout, struct nx_dnnl_weight **w)
{
    const struct nx_tensor *t = &b->source->tensors[tensor];
    uint64_t elements = nx_dnnl_bytes(rows);
    int8_t *q = alloc_aligned(b->arena2, elements);
    if (!q)
        return nx_dnnl_out_of_memory(b);
    nx_quant_weights(t->data, elements, steps, (uint64_t)t->shape.dims[0], q);
    NX_TRY(add(b, &b->weights[tensor], 0, layout, w));
    return convert(b, q, rows, *w);
}

enum nx_status nx_dnnl_weight_int8(struct nx_dnnl_build *b, uint32_t tensor, const float *steps,
                                   const struct nx_dnnl_layout *rows,
                                   const struct nx_dnnl_layout *layout, uint32_t *value)
{
    struct nx_dnnl_weight *w = find(b->weights[tensor], 0, layout);
    if (!w)
        NX_TRY(add_int8(b, tensor, steps, rows, layout, &w));
    return nx_dnnl_value_weight(b, w->layout, w->at, value);
}

enum nx_status nx_dnnl_weight_over(struct nx_dnnl_build *b, const struct nx_node *node,
                                   uint32_t input, const float *units, int64_t n,
                                   const struct nx_dnnl_layout *layout, uint32_t *value)
{
    struct nx_dnnl_weight **list = &b->vectors[node - b->v->graph.nodes];
    struct nx_dnnl_weight *w = find(*list, (float)input, layout);
    const float *data = b->source->tensors[node->inputs[input]].data;
    for (int64_t i = 0; !w && i < n; i++)
        if (!data || !isfinite(data[i] / units[i]))
            return NX_UNSUPPORTED;
    if (!w) {
        NX_TRY(add(b, list, (float)input, layout, &w));
        float *at = w->at;
        for (int64_t i = 0; i < n; i++)
            at[i] = data[i] / units[i];
    }
    return nx_dnnl_value_weight(b, w->layout, w->at, value);
}

enum nx_status nx_dnnl_weight_fill(struct nx_dnnl_build *b, int64_t n, float fill, uint32_t *value)
{
    const struct nx_dnnl_layout *layout = nx_dnnl_rows(b->dnnl, NX_DNNL_F32, 1, &n);
    if (!layout)
        return nx_dnnl_out_of_memory(b);
    struct nx_dnnl_weight **list = &b->weights[b->source->n_tensors],
                          *w = find(*list, fill, layout);
    if (!w) {
        NX_TRY(add(b, list, fill, layout, &w));
        float *at = w->at;
        for (int64_t i = 0; i < n; i++)
            at[i] = fill;
    }
    return nx_dnnl_value_weight(b, w->layout, w->at, value);
}
