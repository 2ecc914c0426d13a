#include "categorizer/gpu/gpu_device.h"

#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>

enum nx_status nx_gpu_cuda(cudaError_t error, const char *what, struct nx_err *err)
{
    enum nx_status status = NX_INTERNAL;
    if (error == cudaSuccess)
        return NX_OK;
    if (error == cudaErrorMemoryAllocation)
        status = NX_NO_MEMORY;
    if (error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ||
        error == cudaErrorInitializationError || error == cudaErrorStubLibrary)
        status = NX_UNAVAILABLE;
    cudaGetLastError(); /* it would stick to the next kernel */
    return nx_err_set(err, status, "gpu_cudnn: %s: %s", what, cudaGetErrorString(error));
}

/* Without a driver this is where cuDNN says NOT_INITIALIZED. */
static enum nx_status check_cudnn(struct nx_err *err)
{
    cudnnHandle_t handle;
    cudnnStatus_t status = cudnnCreate(&handle);
    if (status != CUDNN_STATUS_SUCCESS)
        return nx_err_set(err, NX_UNAVAILABLE, "gpu_cudnn: cuDNN does not start: %s",
                          cudnnGetErrorString(status));
    cudnnDestroy(handle);
    return NX_OK;
}

static enum nx_status prepare(struct nx_gpu_device *device, struct nx_err *err)
{
    struct cudaDeviceProp facts;
    size_t free_bytes, all_bytes;
    uint64_t keep = UINT64_MAX;
    NX_TRY(check_cudnn(err));
    NX_TRY(nx_gpu_cuda(cudaGetDeviceProperties(&facts, device->ordinal), "its properties", err));
    NX_TRY(nx_gpu_cuda(cudaMemGetInfo(&free_bytes, &all_bytes), "its memory", err));
    NX_TRY(
        nx_gpu_cuda(cudaDeviceGetDefaultMemPool(&device->pool, device->ordinal), "its pool", err));
    NX_TRY(
        nx_gpu_cuda(cudaMemPoolSetAttribute(device->pool, cudaMemPoolAttrReleaseThreshold, &keep),
                    "its pool", err));
    NX_TRY(nx_gpu_cuda(cudaStreamCreateWithFlags(&device->uploads, cudaStreamNonBlocking),
                       "a stream", err));
    size_t version = cudnnGetVersion();
    device->bytes = all_bytes;
    snprintf(device->text, sizeof device->text, "%.80s, cuDNN %zu.%zu.%zu", facts.name,
             version / 10000, version / 100 % 100, version % 100);
    return NX_OK;
}

static void close_device(struct nx_gpu_device *device)
{
    if (device->uploads)
        cudaStreamDestroy(device->uploads);
    free(device);
}

static enum nx_status open_device(struct nx_gpu_device **device, struct nx_err *err)
{
    int n = 0;
    NX_TRY(nx_gpu_cuda(cudaGetDeviceCount(&n), "no device answers", err));
    if (n < 1)
        return nx_err_set(err, NX_UNAVAILABLE, "gpu_cudnn: there is no device");
    struct nx_gpu_device *own = nx_calloc(1, sizeof *own);
    if (!own)
        return nx_err_set(err, NX_NO_MEMORY, "gpu_cudnn: out of memory for the device");
    enum nx_status status = prepare(own, err);
    if (status == NX_OK)
        *device = own;
    else
        close_device(own);
    return status;
}

static enum nx_status take(void *ctx, uint64_t bytes, void **at, struct nx_err *err)
{
    struct nx_gpu_device *device = ctx;
    NX_TRY(nx_gpu_cuda(cudaSetDevice(device->ordinal), "the device", err));
    NX_TRY(nx_gpu_cuda(cudaMallocAsync(at, bytes, device->uploads), "memory for weights", err));
    return nx_gpu_cuda(cudaStreamSynchronize(device->uploads), "memory for weights", err);
}

static void give(void *ctx, void *at)
{
    struct nx_gpu_device *device = ctx;
    cudaFreeAsync(at, device->uploads);
}

static enum nx_status upload(void *ctx, void *to, const void *from, uint64_t bytes,
                             struct nx_err *err)
{
    struct nx_gpu_device *device = ctx;
    NX_TRY(nx_gpu_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, device->uploads),
                       "upload of weights", err));
    return nx_gpu_cuda(cudaStreamSynchronize(device->uploads), "upload of weights", err);
}

static void device_memory(struct nx_gpu_device *device, struct nx_gpu_memory *memory)
{
    *memory = (struct nx_gpu_memory){device, take, give, upload};
}

static const char *describe(const struct nx_gpu_device *device)
{
    return device->text;
}

static uint64_t memory_bytes(const struct nx_gpu_device *device)
{
    return device->bytes;
}

extern const struct nx_gpu_module nx_gpu_module;
__attribute__((visibility("default"))) const struct nx_gpu_module nx_gpu_module = {
    .layout = NX_GPU_MODULE_LAYOUT,
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .memory_bytes = memory_bytes,
    .memory = device_memory,
    .load = nx_gpu_exec_load,
    .run = nx_gpu_exec_run,
    .time = nx_gpu_exec_time,
    .free = nx_gpu_exec_free,
    .exec_bytes = nx_gpu_exec_bytes,
};
