/* gpu_half.h — the numbers a device stores: f32, f16 (IEEE binary16) and bf16.
 *
 * To a narrower type is rounded to nearest, halves to even; what is over f16's 65504 becomes infinite.
 * NaN stays NaN. */
#ifndef NX_CATEGORIZER_GPU_GPU_HALF_H
#define NX_CATEGORIZER_GPU_GPU_HALF_H

#include <stdint.h>

enum nx_gpu_type { NX_GPU_F32, NX_GPU_F16, NX_GPU_BF16 };

#define NX_GPU_F16_MOST 65504.0f

static inline uint32_t nx_gpu_type_bytes(enum nx_gpu_type type)
{
    return type == NX_GPU_F32 ? 4 : 2;
}

uint16_t nx_gpu_to_f16(float value);
float nx_gpu_from_f16(uint16_t bits);
uint16_t nx_gpu_to_bf16(float value);
float nx_gpu_from_bf16(uint16_t bits);

/* Element `i` of an array of `type`. */
void nx_gpu_store(void *array, enum nx_gpu_type type, uint64_t i, float value);
float nx_gpu_fetch(const void *array, enum nx_gpu_type type, uint64_t i);

#endif
