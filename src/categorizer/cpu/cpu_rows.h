/* cpu_rows.h — ops over dense rows in tight loops, for what cpu_dnnl leaves to neither oneDNN nor cpu_ref.
 *
 * The same contract as cpu_ref_ops.h, whose kernels define the results; these sum in double as well but in another
 * order, and take exp and the like in f32. */
#ifndef NX_CATEGORIZER_CPU_CPU_ROWS_H
#define NX_CATEGORIZER_CPU_CPU_ROWS_H

#include "categorizer/cpu/cpu_ref_ops.h"

/* NULL: cpu_ref's loop is as good. */
extern const nx_ref_kernel nx_rows_kernels[NX_OP_COUNT];

/* y[i] = unary(x[i]); x may be y. */
void nx_rows_unary(const struct nx_attr_unary *unary, const float *x, float *y, int64_t n);

#endif
