/* gpu_module.h — what libnexus-gpu.so offers: all that needs CUDA, behind one table found by dlsym.
 *
 * nexus itself links nothing of CUDA, so it starts where there is none (docs/decisions/0009). Both sides are
 * built from one tree; `layout` refuses a module of another build.
 * Thread  open and close: once each. memory: any thread. An exec: one thread at a time, several execs at once.
 * Failure NX_UNAVAILABLE where no device answers; NX_NO_MEMORY; NX_UNSUPPORTED; NX_INTERNAL. */
#ifndef NX_CATEGORIZER_GPU_GPU_MODULE_H
#define NX_CATEGORIZER_GPU_GPU_MODULE_H

#include "categorizer/gpu/gpu_plan.h"
#include "categorizer/gpu/gpu_resident.h"

struct nx_gpu_device;
struct nx_gpu_exec;

#define NX_GPU_MODULE_FILE   "libnexus-gpu.so"
#define NX_GPU_MODULE_SYMBOL "nx_gpu_module"
#define NX_GPU_MODULE_LAYOUT \
    ((uint64_t)sizeof(struct nx_gpu_step) << 32 | sizeof(struct nx_gpu_plan))

struct nx_gpu_module {
    uint64_t layout;
    enum nx_status (*open)(struct nx_gpu_device **device, struct nx_err *err);
    void (*close)(struct nx_gpu_device *device);
    const char *(*describe)(const struct nx_gpu_device *device);  /* "NVIDIA H200, cuDNN 9.19.0" */
    uint64_t (*memory_bytes)(const struct nx_gpu_device *device); /* all it has */
    void (*memory)(struct nx_gpu_device *device, struct nx_gpu_memory *memory);
    /* Plans every convolution, takes the arena and the staging buffers. `plan` outlives the exec. */
    enum nx_status (*load)(struct nx_gpu_device *device, const struct nx_gpu_plan *plan,
                           struct nx_gpu_exec **exec, struct nx_err *err);
    /* As backend.h's run, with the weights at `image` on the device. Returns when it is done. */
    enum nx_status (*run)(struct nx_gpu_exec *exec, const void *image, uint32_t batch,
                          const float *const *inputs, float *const *outputs, struct nx_err *err);
    /* The steps alone, `repeats` times over what lies on the device: seconds of one. After a run of `batch`. */
    enum nx_status (*time)(struct nx_gpu_exec *exec, const void *image, uint32_t batch,
                           uint32_t repeats, double *seconds, struct nx_err *err);
    void (*free)(struct nx_gpu_exec *exec);
    uint64_t (*exec_bytes)(const struct nx_gpu_exec *exec); /* pinned and on the device */
};

#endif
