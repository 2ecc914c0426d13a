#include "categorizer/model/dtype.h"

#include <math.h>
#include <string.h>

#define EXACT_MAX (INT64_C(1) << 24)

static uint64_t read_le(const uint8_t *bytes, uint32_t len)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < len; i++)
        v |= (uint64_t)bytes[i] << (8 * i);
    return v;
}

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* IEEE half: 1 sign, 5 exponent (bias 15), 10 fraction. Subnormals are fraction x 2^-24. */
static float half_to_float(uint32_t half)
{
    uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    if (exponent == 0) {
        float small = (float)fraction * 0x1p-24f;
        return sign ? -small : small;
    }
    uint32_t wide = exponent == 0x1f ? 0xff : exponent + 112;
    return float_of_bits(sign | wide << 23 | fraction << 13);
}

static float element(enum nx_dtype dtype, uint64_t bits)
{
    double d;
    switch (dtype) {
    case NX_F32: return float_of_bits((uint32_t)bits);
    case NX_F64: memcpy(&d, &bits, sizeof d); return (float)d;
    case NX_F16: return half_to_float((uint32_t)bits);
    case NX_BF16: return float_of_bits((uint32_t)bits << 16);
    case NX_U8:
    case NX_BOOL:
    case NX_U16:
    case NX_U32:
    case NX_U64: return (float)bits;
    case NX_I8: return (float)(int8_t)bits;
    case NX_I16: return (float)(int16_t)bits;
    case NX_I32: return (float)(int32_t)bits;
    case NX_I64: return (float)(int64_t)bits;
    case NX_DTYPES: break;
    }
    return 0;
}

void nx_dtype_to_f32_rounded(enum nx_dtype dtype, const void *data, uint64_t n, float *values)
{
    const uint8_t *from = data;
    uint32_t width = nx_dtype_bytes(dtype);
    for (uint64_t i = 0; i < n; i++)
        values[i] = element(dtype, read_le(from + i * width, width));
}

/* Is it an integer that f32 may round? */
static bool is_inexact(enum nx_dtype dtype, uint64_t bits)
{
    int64_t v = 0;
    switch (dtype) {
    case NX_I32: v = (int32_t)bits; break;
    case NX_I64: v = (int64_t)bits; break;
    case NX_U32:
    case NX_U64: return bits > (uint64_t)EXACT_MAX;
    default: break; /* the others are narrow, or no integers */
    }
    return v > EXACT_MAX || v < -EXACT_MAX;
}

bool nx_dtype_to_f32(enum nx_dtype dtype, const void *data, uint64_t n, float *values,
                     uint64_t *wrong)
{
    const uint8_t *from = data;
    uint32_t width = nx_dtype_bytes(dtype);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t bits = read_le(from + i * width, width);
        if (is_inexact(dtype, bits)) {
            *wrong = i;
            return false;
        }
        values[i] = element(dtype, bits);
    }
    return true;
}

static uint32_t bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* To the nearest, ties to even; too large is infinite. */
static uint16_t half_of(float f)
{
    uint32_t bits = bits_of_float(f), sign = bits >> 16 & 0x8000;
    float size = fabsf(f);
    if (isnan(f))
        return (uint16_t)(sign | 0x7e00);
    if (size >= 65520.0f)
        return (uint16_t)(sign | 0x7c00);
    if (size < 0x1p-14f) /* subnormal: multiples of 2^-24 */
        return (uint16_t)(sign | (uint32_t)lrintf(size * 0x1p24f));
    uint32_t odd = bits >> 13 & 1, rounded = (bits & 0x7fffffff) + 0xfff + odd;
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

static uint16_t bf16_of(float f)
{
    uint32_t bits = bits_of_float(f);
    if (isnan(f))
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint64_t integer_of(float f, double least, double most)
{
    double v = isnan(f) ? 0 : (double)f;
    if (v <= least)
        return (uint64_t)(int64_t)least;
    if (v >= most)
        return most > 9.3e18 ? UINT64_MAX : most > 9.2e18 ? INT64_MAX : (uint64_t)most;
    return v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
}

static uint64_t bits_in(enum nx_dtype dtype, float f)
{
    double d = (double)f;
    uint64_t bits;
    switch (dtype) {
    case NX_F32: return bits_of_float(f);
    case NX_F64: memcpy(&bits, &d, sizeof bits); return bits;
    case NX_F16: return half_of(f);
    case NX_BF16: return bf16_of(f);
    case NX_BOOL: return f != 0;
    case NX_U8: return integer_of(f, 0, UINT8_MAX);
    case NX_U16: return integer_of(f, 0, UINT16_MAX);
    case NX_U32: return integer_of(f, 0, UINT32_MAX);
    case NX_U64: return integer_of(f, 0, 0x1p64);
    case NX_I8: return integer_of(f, INT8_MIN, INT8_MAX);
    case NX_I16: return integer_of(f, INT16_MIN, INT16_MAX);
    case NX_I32: return integer_of(f, INT32_MIN, INT32_MAX);
    case NX_I64: return integer_of(f, -0x1p63, 0x1p63);
    case NX_DTYPES: break;
    }
    return 0;
}

void nx_dtype_from_f32(enum nx_dtype dtype, const float *values, uint64_t n, void *data)
{
    uint8_t *to = data;
    uint32_t width = nx_dtype_bytes(dtype);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t bits = bits_in(dtype, values[i]);
        for (uint32_t k = 0; k < width; k++)
            to[i * width + k] = (uint8_t)(bits >> 8 * k);
    }
}
