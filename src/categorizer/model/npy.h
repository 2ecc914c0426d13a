/* npy.h — NumPy's .npy files: one tensor each.
 *
 * Versions 1 to 3, little-endian, C order, at most 6 dimensions, of the numbers that nx_dtype names but bf16, for
 * which NumPy has no name.
 * Failure  NX_CORRUPT or NX_UNSUPPORTED with a sentence.
 * Source   numpy/lib/format.py, the module's documentation. */
#ifndef NX_CATEGORIZER_MODEL_NPY_H
#define NX_CATEGORIZER_MODEL_NPY_H

#include "categorizer/graph/graph.h"

#include <stdio.h>

struct nx_npy {
    enum nx_dtype dtype;
    struct nx_shape shape;
    const void *data; /* within the file's bytes */
    uint64_t bytes;
};

enum nx_status nx_npy_parse(const void *file, size_t len, struct nx_npy *npy, struct nx_err *err);

/* Version 1. NX_UNSUPPORTED for bf16; NX_IO. */
enum nx_status nx_npy_write(FILE *out, const struct nx_npy *npy, struct nx_err *err);

#endif
