/* params.h — the arrays of an MXNet `.params` file (versions 0 to 3, and 2.0's npz), checked to the last byte.
 *
 * Layout, all little-endian, nothing aligned:  u64 0x112 | u64 0 | u64 N | N arrays | u64 N | N names.
 * An array starts with a version word (or, before 0.11, with its number of dimensions), then shape,
 * device, dtype and dense row-major data. The file must end where the last name ends.
 * Owner   arrays and names live in the arena; `data` points into the file's bytes.
 * Failure NX_CORRUPT names the array and what was wrong; NX_UNSUPPORTED: sparse arrays
 *         and what npz.h does not take; NX_TOO_LARGE; NX_NO_MEMORY.
 * Source  MXNet 1.9.1, src/ndarray/ndarray.cc: NDArray::Load, LegacyLoad. */
#ifndef NX_CATEGORIZER_MODEL_PARAMS_H
#define NX_CATEGORIZER_MODEL_PARAMS_H

#include "categorizer/graph/graph.h"

#define NX_ARRAY_NAME_BYTES_MAX 4096u

struct nx_array {
    const char *name; /* without "arg:" or "aux:" */
    uint32_t dtype;   /* nx_dtype */
    struct nx_shape shape;
    uint64_t elements;   /* 0: an array that was saved empty */
    const uint8_t *data; /* elements x the dtype's size, not aligned */
};

struct nx_params {
    struct nx_array *arrays; /* sorted by name, no two alike */
    uint32_t n;
};

enum nx_status nx_params_parse(const void *bytes, size_t len, struct nx_arena *arena,
                               struct nx_params *params, struct nx_err *err);

/* NULL if there is none. */
const struct nx_array *nx_params_find(const struct nx_params *params, const char *name);

/* The values as f32: in place where the file holds aligned f32 (the bytes must then outlive the
 * result), else converted into the arena. Integers beyond 2^24 and f64 round. */
enum nx_status nx_array_to_f32(const struct nx_array *array, struct nx_arena *arena,
                               const float **values, struct nx_err *err);

#endif
