/* dnnl_v2.h — what the files of oneDNN 2.x share; nobody else includes it, and it alone includes
 * oneDNN. Its descriptors are plain structs that are filled first and compiled second; version 3
 * has other calls for the same. */
#ifndef NX_CATEGORIZER_CPU_DNNL_V2_H
#define NX_CATEGORIZER_CPU_DNNL_V2_H

#include <oneapi/dnnl/dnnl.h>

#include "categorizer/cpu/dnnl_api.h"

#if DNNL_VERSION_MAJOR != 2
#error "this file speaks oneDNN 2.x"
#endif

/* oneDNN here runs on GNU's OpenMP. Declared by hand, since another compiler's <omp.h> may belong to
 * another runtime; the build links this one by name. */
void omp_set_num_threads(int threads);
int omp_get_max_threads(void);

struct nx_dnnl_layout {
    dnnl_memory_desc_t md;
};

struct nx_dnnl_op {
    dnnl_primitive_t primitive;
    const char *text;
    struct nx_dnnl_op *older;
};

struct nx_dnnl_memory {
    dnnl_memory_t memory;
    struct nx_dnnl_memory *older;
};

struct nx_dnnl_call {
    dnnl_primitive_t primitive;
    int n;
    dnnl_exec_arg_t *args;
};

struct nx_dnnl {
    struct nx_arena *arena;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int threads;
    struct nx_dnnl_op *ops;
    struct nx_dnnl_memory *memories;
};

enum nx_status nx_dnnl_translate(dnnl_status_t status, const char *what, struct nx_err *err);
enum nx_status nx_dnnl_no_memory(struct nx_err *err);
int nx_dnnl_take_threads(int threads); /* of the calling thread; returns what it had before */
dnnl_data_type_t nx_dnnl_data_type(enum nx_dnnl_type type);
const struct nx_dnnl_layout *nx_dnnl_keep(struct nx_dnnl *d, const dnnl_memory_desc_t *md);

#endif
