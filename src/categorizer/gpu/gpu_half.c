#include "categorizer/gpu/gpu_half.h"

#include "categorizer/graph/half_round.h"

#include <math.h>
#include <string.h>

uint16_t nx_gpu_to_f16(float value)
{
    uint32_t bits = nx_half_bits(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) /* 65520, the first that rounds beyond 65504 */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) /* below the smallest normal: in units of 2^-24 */
        return (uint16_t)(sign | (uint32_t)lrintf(fabsf(value) * 16777216.0f));
    uint32_t half = (rest - 0x38000000) >> 13, lost = rest & 0x1fff;
    half += lost > 0x1000 || (lost == 0x1000 && (half & 1));
    return (uint16_t)(sign | half);
}

float nx_gpu_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
             fraction = half & 0x3ff;
    if (exponent == 31)
        return nx_half_float(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0)
        return (sign ? -1.0f : 1.0f) * ldexpf((float)fraction, -24);
    return nx_half_float(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t nx_gpu_to_bf16(float value)
{
    uint32_t bits = nx_half_bits(value);
    if (value != value)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float nx_gpu_from_bf16(uint16_t bits)
{
    return nx_half_float((uint32_t)bits << 16);
}

void nx_gpu_store(void *array, enum nx_gpu_type type, uint64_t i, float value)
{
    uint16_t narrow = type == NX_GPU_F16 ? nx_gpu_to_f16(value) : nx_gpu_to_bf16(value);
    if (type == NX_GPU_F32)
        memcpy((uint8_t *)array + i * 4, &value, 4);
    else
        memcpy((uint8_t *)array + i * 2, &narrow, 2);
}

float nx_gpu_fetch(const void *array, enum nx_gpu_type type, uint64_t i)
{
    float value;
    uint16_t narrow;
    if (type == NX_GPU_F32) {
        memcpy(&value, (const uint8_t *)array + i * 4, 4);
        return value;
    }
    memcpy(&narrow, (const uint8_t *)array + i * 2, 2);
    return type == NX_GPU_F16 ? nx_gpu_from_f16(narrow) : nx_gpu_from_bf16(narrow);
}
