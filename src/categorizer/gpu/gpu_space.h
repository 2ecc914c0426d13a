/* gpu_space.h — the index space of an EACH step as its kernel walks it.
 *
 * The same elements as the step's own dims: dimensions of 1 are gone, the others stand by falling stride of y, so
 * that neighbouring threads write neighbouring elements, and two that lie one in the other for every operand are
 * one. Most steps come out with one or two dimensions. */
#ifndef NX_CATEGORIZER_GPU_GPU_SPACE_H
#define NX_CATEGORIZER_GPU_GPU_SPACE_H

#include "categorizer/gpu/gpu_plan.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nx_gpu_space {
    int64_t n; /* of elements */
    uint32_t rank, n_x;
    int64_t dims[NX_RANK_MAX], x_stride[3][NX_RANK_MAX], y_stride[NX_RANK_MAX];
    int64_t valid; /* y is 0 from this index of dimension valid_dim on; 0: nowhere */
    uint32_t valid_dim;
    enum nx_gpu_type x_type[3], y_type;
    enum nx_gpu_fn fn;
    enum nx_binary binary;
    struct nx_attr_unary act;
};

void nx_gpu_space_of(const struct nx_gpu_step *step, struct nx_gpu_space *space);

#ifdef __cplusplus
}
#endif

#endif
