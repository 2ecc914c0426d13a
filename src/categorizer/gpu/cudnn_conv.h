/* cudnn_conv.h — a CONV step as one cuDNN execution plan.
 *
 * conv + bias + residual + act in one graph by heuristic A, else by the fallback heuristic; else the
 * convolution alone the same way, and the rest by nx_gpu_launch_epilogue.
 * Thread  as its handle: one at a time. */
#ifndef NX_CATEGORIZER_GPU_CUDNN_CONV_H
#define NX_CATEGORIZER_GPU_CUDNN_CONV_H

#include <cudnn.h>

#include "categorizer/gpu/gpu_kernels.h"

struct nx_cudnn_conv {
    cudnnBackendDescriptor_t plan; /* NULL: not built */
    uint64_t workspace_bytes;
    bool is_fused;
};

/* NX_UNSUPPORTED names the step if cuDNN has no engine for it. */
enum nx_status nx_cudnn_conv_build(cudnnHandle_t handle, const struct nx_gpu_step *step,
                                   struct nx_cudnn_conv *conv, struct nx_err *err);
void nx_cudnn_conv_free(struct nx_cudnn_conv *conv);
/* Into the handle's stream, which is `stream`. */
enum nx_status nx_cudnn_conv_run(cudnnHandle_t handle, const struct nx_cudnn_conv *conv,
                                 const struct nx_gpu_step *step, const struct nx_gpu_pointers *at,
                                 void *workspace, cudaStream_t stream, struct nx_err *err);

#endif
