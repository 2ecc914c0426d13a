/* gpu_cudnn.h — what gpu-check asks of gpu_cudnn beyond the seam. */
#ifndef NX_CATEGORIZER_GPU_GPU_CUDNN_H
#define NX_CATEGORIZER_GPU_GPU_CUDNN_H

#include "categorizer/backend.h"

/* Of the device that answers, "NVIDIA H200, cuDNN 9.19.0", or why there is none. */
const char *nx_gpu_cudnn_describe(void);

/* Seconds of one batch on the device alone, without the way there and back. A program of gpu_cudnn. */
enum nx_status nx_gpu_cudnn_time(struct nx_program *program, uint32_t batch, uint32_t repeats,
                                 double *seconds, struct nx_err *err);

#endif
