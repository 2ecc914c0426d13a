/* gpu_kernels.h — the steps that are kernels of ours, and the epilogue of a convolution that cuDNN would not fuse.
 *
 * Launches go into the stream and return at once. NULL, or the CUDA runtime's words for what went wrong. */
#ifndef NX_CATEGORIZER_GPU_GPU_KERNELS_H
#define NX_CATEGORIZER_GPU_GPU_KERNELS_H

#include <cuda_runtime_api.h>

#include "categorizer/gpu/gpu_plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a step's operands start on the device. */
struct nx_gpu_pointers {
    const void *x[4];
    void *y;
};

/* POOL, EACH, SOFTMAX, LRN. */
const char *nx_gpu_launch(const struct nx_gpu_step *step, const struct nx_gpu_pointers *at,
                          cudaStream_t stream);

/* y = act(y + bias + residual) after a CONV; x[2] and x[3] may be NULL. */
const char *nx_gpu_launch_epilogue(const struct nx_gpu_step *step, const struct nx_gpu_pointers *at,
                                   cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
