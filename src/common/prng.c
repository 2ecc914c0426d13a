#include "common/prng.h"

#include "common/nx_assert.h"

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void nx_prng_init(struct nx_prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->s[i] = splitmix(&seed);
}

uint64_t nx_prng_u64(struct nx_prng *prng)
{
    uint64_t *s = prng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t nx_prng_below(struct nx_prng *prng, uint64_t bound)
{
    nx_assert(bound > 0);
    uint64_t reject_below = (0 - bound) % bound, x;
    do
        x = nx_prng_u64(prng);
    while (x < reject_below);
    return x % bound;
}

int64_t nx_prng_between(struct nx_prng *prng, int64_t low, int64_t high)
{
    nx_assert(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low;
    uint64_t off = span == UINT64_MAX ? nx_prng_u64(prng) : nx_prng_below(prng, span + 1);
    return (int64_t)((uint64_t)low + off);
}

bool nx_prng_chance(struct nx_prng *prng, uint32_t numerator, uint32_t denominator)
{
    return nx_prng_below(prng, denominator) < numerator;
}

double nx_prng_unit(struct nx_prng *prng)
{
    return (double)(nx_prng_u64(prng) >> 11) * 0x1.0p-53;
}
