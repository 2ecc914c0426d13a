/* step_round.h — an f32 as it would come back from an integer of 8 or 16 bits: what QuantizeLinear
 * and DequantizeLinear are together.
 *
 * With a zero point z and integers from least to least + span, q = clip(round(x / step) + z) comes back as step (q - z). As
 * z is an integer, that is step clip(round(x / step)), from least - z on, which is what `from`
 * is here: 0 or below, at least -span. Halves go to even. A NaN becomes the least. Cut first, so
 * that 1.5 * 2^23 rounds what is left; without branches, so that loops over it become vector
 * code; the kernels of the GPU include it. */
#ifndef NX_CATEGORIZER_GRAPH_STEP_ROUND_H
#define NX_CATEGORIZER_GRAPH_STEP_ROUND_H

#ifdef __CUDACC__
#define NX_STEP_ROUND __device__ static inline
#else
#define NX_STEP_ROUND static inline
#endif

#define NX_STEPS_8  255.0f
#define NX_STEPS_16 65535.0f

NX_STEP_ROUND float nx_round_steps(float x, float step, float from, float span)
{
    const float whole = 12582912.0f; /* has steps of 1, as has all up to 2^22 to either side */
    float q = x / step;
    q = q > from ? q : from;
    q = q < from + span ? q : from + span;
    return (q + whole - whole) * step;
}

#endif
