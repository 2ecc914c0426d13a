/* sst_guard.h — a counter that says itself whether it was read whole.
 *
 *   {value, seal(value)}: 16 bytes
 *
 * A peer's write lands in any pieces, in any order inside the write, while we look. A reader takes
 * a value only if the seal fits. A plain complement does not suffice: where single bytes land, byte
 * k of the value and byte k of the complement can both be new while the rest is old, and the
 * mixture still agrees with itself (old 0x00ff, new 0x0100, seen 0x01ff). The seal is a mixing
 * bijection, so a mixture fits with a chance of 2^-64. A zeroed word is not sealed: nothing was
 * written yet.
 *
 * Memory  remote-written words are read through nx_remote_load alone: relaxed, untorn for our side.
 *         The fence after an accepted guard pairs with the order of the writer's writes on its lane
 *         (fabric.h: payload first, guard second).
 * Source  Derecho's SST guards by write order and assumes untorn words. Departure: the seal
 *         (above). The mixing is the finalizer of MurmurHash3, a bijection. */
#ifndef NX_GROUP_SST_GUARD_H
#define NX_GROUP_SST_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct nx_guarded {
    uint64_t value, seal;
};

/* The one accessor for an 8-byte word that a peer may write at any time. `at` is 8-aligned. */
static inline uint64_t nx_remote_load(const void *at)
{
    return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

/* Copies `bytes` (a multiple of 8) from 8-aligned remote memory: what is checked afterwards is what
 * is used. */
static inline void nx_remote_copy(void *dst, const void *src, unsigned bytes)
{
    for (unsigned at = 0; at < bytes; at += 8) {
        uint64_t word = nx_remote_load((const uint8_t *)src + at);
        memcpy((uint8_t *)dst + at, &word, sizeof word);
    }
}

static inline uint64_t nx_guard_seal(uint64_t value)
{
    uint64_t x = value ^ 0x9e3779b97f4a7c15u; /* so that zeroed memory is not sealed */
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53u;
    x ^= x >> 33;
    return x;
}

/* A word is sealed for a tag: a reader that expects another tag does not see it. Epoch words carry their vid, so what was
 * written in another view is not there (docs/view-change.md). */
static inline uint64_t nx_guard_seal_for(uint64_t value, uint64_t tag)
{
    return nx_guard_seal(value ^ tag * 0xd6e8feb86659fd93u);
}

static inline void nx_guard_put(struct nx_guarded *word, uint64_t value, uint64_t tag)
{
    word->value = value;
    word->seal = nx_guard_seal_for(value, tag);
}

/* False: torn, of another tag, or never written; *value is untouched. */
static inline bool nx_guard_get(const struct nx_guarded *word, uint64_t tag, uint64_t *value)
{
    uint64_t seen = nx_remote_load(&word->value);
    if (nx_remote_load(&word->seal) != nx_guard_seal_for(seen, tag))
        return false;
    atomic_thread_fence(memory_order_acquire);
    *value = seen;
    return true;
}

#endif
