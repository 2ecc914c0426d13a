/* nx_params_file.h — writes `.params` files for tests, of any version and as wrong as wanted. */
#ifndef NX_PARAMS_FILE_H
#define NX_PARAMS_FILE_H

#include "nx_test.h"

#include "common/codec.h"

#include <string.h>

#define NX_PARAMS_FILE_BYTES 65536

struct nx_params_file {
    uint8_t bytes[NX_PARAMS_FILE_BYTES];
    struct nx_writer w;
};

static inline void nx_pf_begin(struct nx_params_file *f, uint64_t arrays)
{
    nx_writer_init(&f->w, f->bytes, sizeof f->bytes);
    nx_write_u64(&f->w, 0x112);
    nx_write_u64(&f->w, 0);
    nx_write_u64(&f->w, arrays);
}

/* The head of an array of version 0 … 3, up to its data. */
static inline void nx_pf_head(struct nx_params_file *f, int version, uint32_t rank,
                              const int64_t *dims, uint32_t dtype)
{
    static const uint32_t magics[] = {0, 0xF993FAC8u, 0xF993FAC9u, 0xF993FACAu};
    if (version > 0)
        nx_write_u32(&f->w, magics[version]);
    if (version > 1)
        nx_write_u32(&f->w, 0);
    nx_write_u32(&f->w, rank);
    for (uint32_t i = 0; i < rank; i++) {
        if (version == 0)
            nx_write_u32(&f->w, (uint32_t)dims[i]);
        else
            nx_write_u64(&f->w, (uint64_t)dims[i]);
    }
    nx_write_u32(&f->w, 1);
    nx_write_u32(&f->w, 0);
    nx_write_u32(&f->w, dtype);
}

static inline void nx_pf_floats(struct nx_params_file *f, const float *values, size_t n)
{
    nx_write_bytes(&f->w, values, n * sizeof *values);
}

/* A whole V2 array of n f32 that are first, first + 1, … */
static inline void nx_pf_array(struct nx_params_file *f, uint32_t rank, const int64_t *dims,
                               float first)
{
    int64_t n = 1;
    for (uint32_t i = 0; i < rank; i++)
        n *= dims[i];
    nx_pf_head(f, 2, rank, dims, 0);
    for (int64_t i = 0; i < n; i++) {
        float v = first + (float)i;
        nx_pf_floats(f, &v, 1);
    }
}

static inline void nx_pf_names(struct nx_params_file *f, uint64_t n)
{
    nx_write_u64(&f->w, n);
}

static inline void nx_pf_name(struct nx_params_file *f, const char *name)
{
    nx_write_u64(&f->w, strlen(name));
    nx_write_bytes(&f->w, name, strlen(name));
}

static inline size_t nx_pf_len(const struct nx_params_file *f)
{
    assert_false(f->w.bad);
    return nx_writer_used(&f->w);
}

#endif
