/* oneDNN 2.x: the engine, layouts, memories and calls. */
#include <stdio.h>
#include <string.h>

#include "categorizer/cpu/dnnl_v2.h"
#include "common/nx_assert.h"

enum nx_status nx_dnnl_translate(dnnl_status_t status, const char *what, struct nx_err *err)
{
    if (status == dnnl_success)
        return NX_OK;
    if (status == dnnl_unimplemented || status == dnnl_invalid_arguments)
        return NX_UNSUPPORTED;
    if (status == dnnl_out_of_memory)
        return nx_err_set(err, NX_NO_MEMORY, "oneDNN has no memory to %s", what);
    return nx_err_set(err, NX_INTERNAL, "oneDNN cannot %s (its status %d)", what, (int)status);
}

enum nx_status nx_dnnl_no_memory(struct nx_err *err)
{
    return nx_err_set(err, NX_NO_MEMORY, "out of memory for oneDNN's plans");
}

int nx_dnnl_take_threads(int threads)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    return before;
}

enum nx_status nx_dnnl_open(struct nx_arena *arena, uint32_t threads, struct nx_dnnl **dnnl,
                            struct nx_err *err)
{
    struct nx_dnnl *d = nx_arena_alloc(arena, sizeof *d);
    if (!d)
        return nx_dnnl_no_memory(err);
    d->arena = arena;
    d->threads = (int)threads;
    dnnl_status_t status = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (status != dnnl_success)
        return nx_dnnl_translate(status, "open the CPU", err);
    status = dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags);
    if (status != dnnl_success) {
        dnnl_engine_destroy(d->engine);
        return nx_dnnl_translate(status, "open a stream", err);
    }
    *dnnl = d;
    return NX_OK;
}

void nx_dnnl_close(struct nx_dnnl *d)
{
    if (!d)
        return;
    for (struct nx_dnnl_memory *m = d->memories; m; m = m->older)
        dnnl_memory_destroy(m->memory);
    for (struct nx_dnnl_op *op = d->ops; op; op = op->older)
        dnnl_primitive_destroy(op->primitive);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
}

const char *nx_dnnl_version(void)
{
    static _Thread_local char text[32];
    const dnnl_version_t *v = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", v->major, v->minor, v->patch);
    return text;
}

const char *nx_dnnl_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41: return "sse41";
    case dnnl_cpu_isa_avx: return "avx";
    case dnnl_cpu_isa_avx2: return "avx2";
    case dnnl_cpu_isa_avx2_vnni: return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core: return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni: return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16: return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx: return "avx512_core_amx";
    default: return "another";
    }
}

bool nx_dnnl_has_bf16(void)
{
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return isa == dnnl_cpu_isa_avx512_core_bf16 || isa == dnnl_cpu_isa_avx512_core_amx;
}

bool nx_dnnl_has_int8(void)
{
    int isa = (int)dnnl_get_effective_cpu_isa();
    int avx512 = (int)dnnl_cpu_isa_avx512_core_vnni, avx2 = (int)dnnl_cpu_isa_avx2_vnni;
    return (isa & avx512) == avx512 || isa == avx2;
}

enum nx_status nx_dnnl_sgemm(uint32_t threads, int64_t m, int64_t n, int64_t k, const float *a,
                             const float *b, float *c)
{
    int before = nx_dnnl_take_threads((int)threads);
    dnnl_status_t status = dnnl_sgemm('N', 'N', m, n, k, 1, a, k, b, n, 0, c, n);
    nx_dnnl_take_threads(before);
    return nx_dnnl_translate(status, "multiply matrices", NULL);
}

const struct nx_dnnl_layout *nx_dnnl_keep(struct nx_dnnl *d, const dnnl_memory_desc_t *md)
{
    struct nx_dnnl_layout *layout = nx_arena_alloc(d->arena, sizeof *layout);
    if (layout)
        layout->md = *md;
    return layout;
}

dnnl_data_type_t nx_dnnl_data_type(enum nx_dnnl_type type)
{
    static const dnnl_data_type_t types[] = {[NX_DNNL_F32] = dnnl_f32,
                                             [NX_DNNL_BF16] = dnnl_bf16,
                                             [NX_DNNL_U8] = dnnl_u8,
                                             [NX_DNNL_S8] = dnnl_s8};
    return types[type];
}

/* oneDNN reads arrays of its own length, whatever the rank. */
static void widen(dnnl_dims_t out, uint32_t n, const int64_t *dims)
{
    memset(out, 0, sizeof(dnnl_dims_t));
    memcpy(out, dims, n * sizeof *dims);
}

const struct nx_dnnl_layout *nx_dnnl_rows(struct nx_dnnl *d, enum nx_dnnl_type type, uint32_t rank,
                                          const int64_t *dims)
{
    nx_assert(rank >= 1 && rank <= NX_RANK_MAX);
    dnnl_dims_t sides, strides = {0};
    widen(sides, rank, dims);
    strides[rank - 1] = 1;
    for (uint32_t i = rank - 1; i-- > 0;)
        strides[i] = strides[i + 1] * sides[i + 1];
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_strides(&md, (int)rank, sides, nx_dnnl_data_type(type), strides) !=
        dnnl_success)
        return NULL;
    return nx_dnnl_keep(d, &md);
}

const struct nx_dnnl_layout *nx_dnnl_strided(struct nx_dnnl *d, uint32_t rank, const int64_t *dims,
                                             const int64_t *strides)
{
    nx_assert(rank >= 1 && rank <= NX_RANK_MAX);
    dnnl_dims_t sides, steps;
    widen(sides, rank, dims);
    widen(steps, rank, strides);
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_strides(&md, (int)rank, sides, dnnl_f32, steps) != dnnl_success)
        return NULL;
    return nx_dnnl_keep(d, &md);
}

const struct nx_dnnl_layout *nx_dnnl_part(struct nx_dnnl *d, const struct nx_dnnl_layout *whole,
                                          uint32_t rank, const int64_t *dims, const int64_t *first)
{
    nx_assert(rank >= 1 && rank <= NX_RANK_MAX);
    dnnl_dims_t sides, offsets;
    widen(sides, rank, dims);
    widen(offsets, rank, first);
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_submemory(&md, &whole->md, sides, offsets) != dnnl_success)
        return NULL;
    return nx_dnnl_keep(d, &md);
}

static const struct nx_dnnl_layout *tagged(struct nx_dnnl *d, enum nx_dnnl_type type, uint32_t rank,
                                           const int64_t *dims, dnnl_format_tag_t tag)
{
    nx_assert(rank >= 1 && rank <= NX_RANK_MAX);
    dnnl_dims_t sides;
    widen(sides, rank, dims);
    dnnl_memory_desc_t md;
    if (dnnl_memory_desc_init_by_tag(&md, (int)rank, sides, nx_dnnl_data_type(type), tag) !=
        dnnl_success)
        return NULL;
    return nx_dnnl_keep(d, &md);
}

const struct nx_dnnl_layout *nx_dnnl_any(struct nx_dnnl *d, enum nx_dnnl_type type, uint32_t rank,
                                         const int64_t *dims)
{
    return tagged(d, type, rank, dims, dnnl_format_tag_any);
}

const struct nx_dnnl_layout *nx_dnnl_pictures(struct nx_dnnl *d, enum nx_dnnl_type type,
                                              bool channels_last, uint32_t rank,
                                              const int64_t *dims)
{
    enum { LANES = 16 };
    int isa = (int)dnnl_get_effective_cpu_isa();
    bool avx512 = (isa & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
    bool ours = avx512 && type == NX_DNNL_F32 && rank == 4;
    bool amx = type == NX_DNNL_BF16 && isa == (int)dnnl_cpu_isa_avx512_core_amx && rank == 4;
    bool int8 = (type == NX_DNNL_U8 || type == NX_DNNL_S8) && rank == 4;
    if ((ours || amx || int8) && channels_last)
        return tagged(d, type, rank, dims, dnnl_acdb);
    bool fits = ours && dims[1] % LANES == 0;
    return tagged(d, type, rank, dims, fits ? dnnl_aBcd16b : dnnl_format_tag_any);
}

const struct nx_dnnl_layout *nx_dnnl_channels_last(struct nx_dnnl *d, enum nx_dnnl_type type,
                                                   const int64_t dims[4])
{
    return tagged(d, type, 4, dims, dnnl_acdb);
}

bool nx_dnnl_is_any(const struct nx_dnnl_layout *layout)
{
    return layout->md.format_kind == dnnl_format_kind_any;
}

bool nx_dnnl_strides(const struct nx_dnnl_layout *layout, int64_t strides[NX_RANK_MAX])
{
    const dnnl_memory_desc_t *md = &layout->md;
    if (md->format_kind != dnnl_blocked || md->format_desc.blocking.inner_nblks != 0)
        return false;
    memcpy(strides, md->format_desc.blocking.strides, (size_t)md->ndims * sizeof *strides);
    return true;
}

bool nx_dnnl_same(const struct nx_dnnl_layout *a, const struct nx_dnnl_layout *b)
{
    return a == b || dnnl_memory_desc_equal(&a->md, &b->md);
}

size_t nx_dnnl_bytes(const struct nx_dnnl_layout *layout)
{
    return dnnl_memory_desc_get_size(&layout->md);
}

enum nx_dnnl_type nx_dnnl_type_of(const struct nx_dnnl_layout *layout)
{
    switch (layout->md.data_type) {
    case dnnl_bf16: return NX_DNNL_BF16;
    case dnnl_u8: return NX_DNNL_U8;
    case dnnl_s8: return NX_DNNL_S8;
    default: return NX_DNNL_F32;
    }
}

bool nx_dnnl_is_int8(const struct nx_dnnl_layout *layout)
{
    return layout->md.data_type == dnnl_u8 || layout->md.data_type == dnnl_s8;
}

const struct nx_dnnl_layout *nx_dnnl_retyped(struct nx_dnnl *d, const struct nx_dnnl_layout *layout,
                                             enum nx_dnnl_type type)
{
    dnnl_memory_desc_t md = layout->md;
    md.data_type = nx_dnnl_data_type(type);
    return nx_dnnl_keep(d, &md);
}

enum nx_status nx_dnnl_bind(struct nx_dnnl *d, const struct nx_dnnl_layout *layout, void *at,
                            struct nx_dnnl_memory **memory, struct nx_err *err)
{
    struct nx_dnnl_memory *m = nx_arena_alloc(d->arena, sizeof *m);
    if (!m)
        return nx_dnnl_no_memory(err);
    dnnl_status_t status =
        dnnl_memory_create(&m->memory, &layout->md, d->engine, at ? at : DNNL_MEMORY_NONE);
    if (status != dnnl_success)
        return nx_err_set(err, NX_INTERNAL, "oneDNN cannot bind memory (its status %d)",
                          (int)status);
    m->older = d->memories;
    d->memories = m;
    *memory = m;
    return NX_OK;
}

void nx_dnnl_rebind(struct nx_dnnl_memory *memory, void *at)
{
    dnnl_status_t status = dnnl_memory_set_data_handle(memory->memory, at);
    nx_assert(status == dnnl_success); /* it fails only on arguments of ours */
}

static int arg_index(uint32_t arg)
{
    static const int known[NX_DNNL_SRC_N] = {
        [NX_DNNL_SRC] = DNNL_ARG_SRC,
        [NX_DNNL_SRC1] = DNNL_ARG_SRC_1,
        [NX_DNNL_WEIGHTS] = DNNL_ARG_WEIGHTS,
        [NX_DNNL_BIAS] = DNNL_ARG_BIAS,
        [NX_DNNL_SCALE] = DNNL_ARG_SCALE,
        [NX_DNNL_SHIFT] = DNNL_ARG_SHIFT,
        [NX_DNNL_MEAN] = DNNL_ARG_MEAN,
        [NX_DNNL_VARIANCE] = DNNL_ARG_VARIANCE,
        [NX_DNNL_ADDEND] = DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
        [NX_DNNL_DST] = DNNL_ARG_DST,
        [NX_DNNL_SCRATCH] = DNNL_ARG_SCRATCHPAD,
    };
    return arg < NX_DNNL_SRC_N ? known[arg] : DNNL_ARG_MULTIPLE_SRC + (int)(arg - NX_DNNL_SRC_N);
}

enum nx_status nx_dnnl_prepare(struct nx_dnnl *d, const struct nx_dnnl_op *op, uint32_t n,
                               const uint32_t *args, struct nx_dnnl_memory *const *memories,
                               struct nx_dnnl_call **call, struct nx_err *err)
{
    struct nx_dnnl_call *c = nx_arena_alloc(d->arena, sizeof *c);
    dnnl_exec_arg_t *exec = nx_arena_array(d->arena, n, sizeof *exec);
    if (!c || !exec)
        return nx_dnnl_no_memory(err);
    for (uint32_t i = 0; i < n; i++)
        exec[i] = (dnnl_exec_arg_t){arg_index(args[i]), memories[i]->memory};
    *c = (struct nx_dnnl_call){.primitive = op->primitive, .n = (int)n, .args = exec};
    *call = c;
    return NX_OK;
}

enum nx_status nx_dnnl_run(struct nx_dnnl *d, struct nx_dnnl_call *const *calls, uint32_t n,
                           struct nx_err *err)
{
    int before = nx_dnnl_take_threads(d->threads);
    dnnl_status_t status = dnnl_success;
    for (uint32_t i = 0; i < n && status == dnnl_success; i++)
        status =
            dnnl_primitive_execute(calls[i]->primitive, d->stream, calls[i]->n, calls[i]->args);
    if (status == dnnl_success)
        status = dnnl_stream_wait(d->stream);
    nx_dnnl_take_threads(before);
    if (status != dnnl_success)
        return nx_err_set(err, NX_INTERNAL, "oneDNN cannot compute (its status %d)", (int)status);
    return NX_OK;
}
