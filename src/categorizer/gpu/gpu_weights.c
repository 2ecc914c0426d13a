#include <math.h>
#include <string.h>

#include "categorizer/gpu/gpu_build.h"

static uint64_t aligned(uint64_t bytes)
{
    return (bytes + NX_GPU_ALIGN - 1) / NX_GPU_ALIGN * NX_GPU_ALIGN;
}

static struct nx_gpu_packed *find(const struct nx_gpu_build *b, uint32_t tensor,
                                  const int64_t key[2], enum nx_gpu_type type)
{
    struct nx_gpu_packed *p = b->packed[tensor];
    while (p && (p->key[0] != key[0] || p->key[1] != key[1] || p->type != type))
        p = p->older;
    return p;
}

static enum nx_status append(struct nx_gpu_build *b, uint32_t tensor, const int64_t key[2],
                             enum nx_gpu_type type, uint64_t elements,
                             struct nx_gpu_packed **packed)
{
    const struct nx_tensor *t = &b->graph.tensors[tensor];
    if (!t->data)
        return nx_err_set(b->err, NX_INVALID, "gpu_cudnn: '%s' has no data", t->name);
    struct nx_gpu_packed *p = nx_arena_alloc(b->scratch, sizeof *p);
    uint64_t bytes = elements * nx_gpu_type_bytes(type);
    uint8_t *data = nx_arena_alloc(b->scratch, bytes);
    if (!p || !data)
        return nx_gpu_out_of_memory(b);
    *p = (struct nx_gpu_packed){.older = b->packed[tensor],
                                .key = {key[0], key[1]},
                                .type = type,
                                .bytes = bytes,
                                .offset = b->plan->image_bytes,
                                .data = data,
                                .buffer = NX_NONE};
    b->plan->image_bytes += aligned(bytes);
    b->packed[tensor] = p;
    *(b->last ? &b->last->next : &b->first) = p;
    b->last = p;
    *packed = p;
    return NX_OK;
}

/* A weight that f16 cannot hold would make every answer infinite. */
static enum nx_status put(struct nx_gpu_build *b, uint32_t tensor, struct nx_gpu_packed *p,
                          uint64_t at, float value)
{
    nx_gpu_store(p->data, p->type, at, value);
    if (p->type != NX_GPU_F16 || !isfinite(value) || fabsf(value) < NX_GPU_F16_MOST)
        return NX_OK;
    return nx_err_set(b->err, NX_UNSUPPORTED,
                      "gpu_cudnn: '%s' has the weight %g, f16 ends at %g; bf16 would do",
                      b->graph.tensors[tensor].name, (double)value, (double)NX_GPU_F16_MOST);
}

/* Each variant has a buffer of its own for what they share. */
static enum nx_status as_value(struct nx_gpu_build *b, struct nx_gpu_packed *p,
                               struct nx_gpu_value *value)
{
    if (p->buffer == NX_NONE) {
        NX_TRY(nx_gpu_buffer_new(b, NX_GPU_IN_IMAGE, p->bytes, &p->buffer));
        b->v->buffers[p->buffer].offset = p->offset;
    }
    *value = (struct nx_gpu_value){.buffer = p->buffer, .type = p->type};
    return NX_OK;
}

enum nx_status nx_gpu_weights_rows(struct nx_gpu_build *b, uint32_t tensor, enum nx_gpu_type type,
                                   struct nx_gpu_value *value)
{
    const int64_t key[2] = {0, 0};
    struct nx_gpu_packed *p = find(b, tensor, key, type);
    const struct nx_tensor *t = &b->graph.tensors[tensor];
    if (!p) {
        uint64_t n = nx_tensor_bytes(t) / sizeof(float);
        NX_TRY(append(b, tensor, key, type, n, &p));
        for (uint64_t i = 0; i < n; i++)
            NX_TRY(put(b, tensor, p, i, ((const float *)t->data)[i]));
    }
    return as_value(b, p, value);
}

/* from: (O, C, R S), to: (O, R S, pitch); what is beyond C stays 0. */
static enum nx_status turn(struct nx_gpu_build *b, uint32_t tensor, struct nx_gpu_packed *p,
                           int64_t filters, const int64_t crs[3], int64_t pitch)
{
    const float *from = b->graph.tensors[tensor].data;
    int64_t taps = crs[1] * crs[2];
    for (int64_t o = 0; o < filters; o++)
        for (int64_t c = 0; c < crs[0]; c++)
            for (int64_t i = 0; i < taps; i++)
                NX_TRY(put(b, tensor, p, (uint64_t)((o * taps + i) * pitch + c), *from++));
    return NX_OK;
}

enum nx_status nx_gpu_weights_filter(struct nx_gpu_build *b, uint32_t tensor, const int64_t crs[3],
                                     int64_t pitch, struct nx_gpu_value *value)
{
    const int64_t key[2] = {crs[1] * crs[2], pitch};
    struct nx_gpu_packed *p = find(b, tensor, key, b->plan->type);
    int64_t filters = nx_gpu_shape(b, tensor)->dims[0];
    if (!p) {
        uint64_t n = (uint64_t)filters * (uint64_t)crs[1] * (uint64_t)crs[2] * (uint64_t)pitch;
        NX_TRY(append(b, tensor, key, b->plan->type, n, &p));
        NX_TRY(turn(b, tensor, p, filters, crs, pitch));
    }
    return as_value(b, p, value);
}

enum nx_status nx_gpu_weights_finish(struct nx_gpu_build *b)
{
    b->plan->image = nx_arena_alloc(&b->plan->arena, b->plan->image_bytes);
    if (!b->plan->image)
        return nx_gpu_out_of_memory(b);
    for (const struct nx_gpu_packed *p = b->first; p; p = p->next)
        memcpy(b->plan->image + p->offset, p->data, p->bytes);
    return NX_OK;
}
