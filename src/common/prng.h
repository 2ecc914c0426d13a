/* prng.h — seeded pseudo-random numbers: same seed, same sequence, on every machine.
 * Source: Blackman and Vigna, xoshiro256**, seeded through splitmix64. Not for secrets. */
#ifndef NX_COMMON_PRNG_H
#define NX_COMMON_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct nx_prng {
    uint64_t s[4];
};

void nx_prng_init(struct nx_prng *prng, uint64_t seed);
uint64_t nx_prng_u64(struct nx_prng *prng);

/* Uniform in [0, bound); bound > 0. */
uint64_t nx_prng_below(struct nx_prng *prng, uint64_t bound);

/* Uniform in [low, high], both included; low <= high. */
int64_t nx_prng_between(struct nx_prng *prng, int64_t low, int64_t high);

/* True with probability numerator/denominator. */
bool nx_prng_chance(struct nx_prng *prng, uint32_t numerator, uint32_t denominator);

/* Uniform in [0, 1). */
double nx_prng_unit(struct nx_prng *prng);

#endif
