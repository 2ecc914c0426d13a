/* gpu_device.h — the device as the module's files share it, and CUDA's errors as sentences. */
#ifndef NX_CATEGORIZER_GPU_GPU_DEVICE_H
#define NX_CATEGORIZER_GPU_GPU_DEVICE_H

#include <cudnn.h>

#include "categorizer/gpu/gpu_module.h"

struct nx_gpu_device {
    int ordinal;
    cudaMemPool_t pool; /* stream-ordered; keeps what is freed for the next one */
    cudaStream_t uploads;
    uint64_t bytes;
    char text[128];
};

/* NX_OK, or what CUDA says of `what`: NX_NO_MEMORY, NX_UNAVAILABLE where there is no device, NX_INTERNAL. */
enum nx_status nx_gpu_cuda(cudaError_t error, const char *what, struct nx_err *err);

enum nx_status nx_gpu_exec_load(struct nx_gpu_device *device, const struct nx_gpu_plan *plan,
                                struct nx_gpu_exec **exec, struct nx_err *err);
enum nx_status nx_gpu_exec_run(struct nx_gpu_exec *exec, const void *image, uint32_t batch,
                               const float *const *inputs, float *const *outputs,
                               struct nx_err *err);
enum nx_status nx_gpu_exec_time(struct nx_gpu_exec *exec, const void *image, uint32_t batch,
                                uint32_t repeats, double *seconds, struct nx_err *err);
void nx_gpu_exec_free(struct nx_gpu_exec *exec);
uint64_t nx_gpu_exec_bytes(const struct nx_gpu_exec *exec);

#endif
