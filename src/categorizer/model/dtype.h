/* dtype.h — numbers of every type from and to f32. Bytes are little-endian and need no alignment. */
#ifndef NX_CATEGORIZER_MODEL_DTYPE_H
#define NX_CATEGORIZER_MODEL_DTYPE_H

#include "categorizer/graph/graph.h"

/* values[i] = element i. False, and *wrong its index, at the first integer beyond 2^24 in either direction: f32
 * does not hold all of those. f64 rounds. */
bool nx_dtype_to_f32(enum nx_dtype dtype, const void *data, uint64_t n, float *values,
                     uint64_t *wrong);
/* The same, with integers rounded as well: for weights. */
void nx_dtype_to_f32_rounded(enum nx_dtype dtype, const void *data, uint64_t n, float *values);

/* data[i] = values[i]: integers towards zero and cut to their range, NaN as 0; a bool is 1 unless the value is 0. */
void nx_dtype_from_f32(enum nx_dtype dtype, const float *values, uint64_t n, void *data);

#endif
