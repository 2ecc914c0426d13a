/* half_round.h — an f32 as it would come back from f16 or bf16: what a cast to these types is, where all is computed in f32.
 *
 * To the nearest, halves to even. Beyond what the type holds it is infinite, below its smallest
 * normal number in steps of its smallest; a NaN stays one. Without branches, so that loops over
 * it become vector code; the kernels of the GPU include it. */
#ifndef NX_CATEGORIZER_GRAPH_HALF_ROUND_H
#define NX_CATEGORIZER_GRAPH_HALF_ROUND_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define NX_HALF_ROUND __device__ static inline
#else
#define NX_HALF_ROUND static inline
#endif

NX_HALF_ROUND uint32_t nx_half_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

NX_HALF_ROUND float nx_half_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

NX_HALF_ROUND uint32_t nx_half_choose(bool first, uint32_t a, uint32_t b)
{
    uint32_t mask = 0u - (uint32_t)first;
    return (a & mask) | (b & ~mask);
}

NX_HALF_ROUND float nx_round_f16(float x)
{
    const uint32_t infinite = 0x7f800000, smallest_normal = 0x38800000, first_beyond = 0x47800000;
    uint32_t bits = nx_half_bits(x), rest = bits & 0x7fffffff;
    uint32_t normal = (rest + 0xfff + (rest >> 13 & 1)) & ~0x1fffu;
    uint32_t tiny = nx_half_bits(nx_half_float(rest) + 0.5f - 0.5f); /* 0.5 has steps of 2^-24 */
    uint32_t half = nx_half_choose(rest < smallest_normal, tiny, normal);
    half = nx_half_choose(normal >= first_beyond, infinite, half);
    half = nx_half_choose(rest > infinite, rest, half);
    return nx_half_float(half | (bits & 0x80000000));
}

NX_HALF_ROUND float nx_round_bf16(float x)
{
    uint32_t bits = nx_half_bits(x);
    uint32_t half = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
    return nx_half_float(nx_half_choose((bits & 0x7fffffff) > 0x7f800000, bits, half));
}

#endif
