/* gpu_resident.h — whose weights are on the device?
 *
 *   used = sum of the bytes of those there <= budget;  one that is pinned stays
 *
 * Every model's weight image stays in host memory. A run pins its model: if its image is not on the device
 * it is uploaded, and for that the least recently used ones that nobody has pinned are dropped. The next
 * upload may land elsewhere, so an address holds only while pinned.
 * Owner   the caller owns the structs and the host images, both until nx_gpu_resident_remove.
 * Thread  any; uploads happen one at a time.
 * Failure NX_NO_MEMORY with both numbers; the set is as if the call had not been, but for what was dropped. */
#ifndef NX_CATEGORIZER_GPU_GPU_RESIDENT_H
#define NX_CATEGORIZER_GPU_GPU_RESIDENT_H

#include <pthread.h>
#include <stdint.h>

#include "common/status.h"

/* The device's memory; a test brings its own. */
struct nx_gpu_memory {
    void *ctx;
    enum nx_status (*take)(void *ctx, uint64_t bytes, void **at, struct nx_err *err);
    void (*give)(void *ctx, void *at);
    /* Done when it returns. */
    enum nx_status (*upload)(void *ctx, void *to, const void *from, uint64_t bytes,
                             struct nx_err *err);
};

struct nx_gpu_resident {
    const void *image; /* on the host */
    uint64_t bytes;
    void *at; /* on the device; NULL: not there */
    uint32_t pins;
    struct nx_gpu_resident *older, *newer; /* among those on the device, by last use */
};

struct nx_gpu_residents {
    pthread_mutex_t mutex;
    struct nx_gpu_memory memory;
    uint64_t budget_bytes, used_bytes;
    uint64_t uploads, evictions; /* only grow */
    struct nx_gpu_resident *oldest, *newest;
};

void nx_gpu_residents_init(struct nx_gpu_residents *set, const struct nx_gpu_memory *memory,
                           uint64_t budget_bytes);
void nx_gpu_residents_fini(struct nx_gpu_residents *set); /* all have been removed */

/* Known from now on, uploaded by its first pin. */
void nx_gpu_resident_init(struct nx_gpu_resident *resident, const void *image, uint64_t bytes);
enum nx_status nx_gpu_resident_pin(struct nx_gpu_residents *set, struct nx_gpu_resident *resident,
                                   void **at, struct nx_err *err);
void nx_gpu_resident_unpin(struct nx_gpu_residents *set, struct nx_gpu_resident *resident);
/* Not pinned; off the device afterwards. */
void nx_gpu_resident_remove(struct nx_gpu_residents *set, struct nx_gpu_resident *resident);

#endif
