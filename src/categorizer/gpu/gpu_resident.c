#include "categorizer/gpu/gpu_resident.h"

#include <inttypes.h>
#include <stdbool.h>

#include "common/nx_assert.h"

void nx_gpu_residents_init(struct nx_gpu_residents *set, const struct nx_gpu_memory *memory,
                           uint64_t budget_bytes)
{
    *set = (struct nx_gpu_residents){.memory = *memory, .budget_bytes = budget_bytes};
    pthread_mutex_init(&set->mutex, NULL);
}

void nx_gpu_residents_fini(struct nx_gpu_residents *set)
{
    nx_assert(!set->oldest && set->used_bytes == 0);
    pthread_mutex_destroy(&set->mutex);
}

void nx_gpu_resident_init(struct nx_gpu_resident *resident, const void *image, uint64_t bytes)
{
    *resident = (struct nx_gpu_resident){.image = image, .bytes = bytes};
}

static void take_out(struct nx_gpu_residents *set, struct nx_gpu_resident *r)
{
    *(r->older ? &r->older->newer : &set->oldest) = r->newer;
    *(r->newer ? &r->newer->older : &set->newest) = r->older;
    r->older = r->newer = NULL;
}

static void put_newest(struct nx_gpu_residents *set, struct nx_gpu_resident *r)
{
    r->older = set->newest;
    *(set->newest ? &set->newest->newer : &set->oldest) = r;
    set->newest = r;
}

static void drop(struct nx_gpu_residents *set, struct nx_gpu_resident *r)
{
    nx_assert(r->at && r->pins == 0);
    take_out(set, r);
    set->memory.give(set->memory.ctx, r->at);
    set->used_bytes -= r->bytes;
    r->at = NULL;
}

static bool evict_one(struct nx_gpu_residents *set)
{
    struct nx_gpu_resident *r = set->oldest;
    while (r && r->pins)
        r = r->newer;
    if (!r)
        return false;
    drop(set, r);
    set->evictions++;
    return true;
}

static enum nx_status does_not_fit(const struct nx_gpu_residents *set, uint64_t bytes,
                                   struct nx_err *err)
{
    return nx_err_set(err, NX_NO_MEMORY,
                      "gpu_cudnn: weights of %" PRIu64 " bytes do not fit, %" PRIu64 " of %" PRIu64
                      " bytes on the device are in use by running models",
                      bytes, set->used_bytes, set->budget_bytes);
}

/* The device may have less than the budget promises: then others have to go as well. */
static enum nx_status make_room(struct nx_gpu_residents *set, uint64_t bytes, void **at,
                                struct nx_err *err)
{
    if (bytes > set->budget_bytes)
        return does_not_fit(set, bytes, err);
    while (set->used_bytes > set->budget_bytes - bytes)
        if (!evict_one(set))
            return does_not_fit(set, bytes, err);
    enum nx_status status = set->memory.take(set->memory.ctx, bytes, at, err);
    while (status == NX_NO_MEMORY && evict_one(set))
        status = set->memory.take(set->memory.ctx, bytes, at, err);
    return status;
}

static enum nx_status bring(struct nx_gpu_residents *set, struct nx_gpu_resident *r,
                            struct nx_err *err)
{
    void *at;
    NX_TRY(make_room(set, r->bytes, &at, err));
    enum nx_status status = set->memory.upload(set->memory.ctx, at, r->image, r->bytes, err);
    if (status != NX_OK) {
        set->memory.give(set->memory.ctx, at);
        return status;
    }
    r->at = at;
    set->used_bytes += r->bytes;
    set->uploads++;
    put_newest(set, r);
    return NX_OK;
}

enum nx_status nx_gpu_resident_pin(struct nx_gpu_residents *set, struct nx_gpu_resident *resident,
                                   void **at, struct nx_err *err)
{
    enum nx_status status = NX_OK;
    pthread_mutex_lock(&set->mutex);
    if (!resident->at)
        status = bring(set, resident, err);
    if (status == NX_OK) {
        take_out(set, resident);
        put_newest(set, resident);
        resident->pins++;
        *at = resident->at;
    }
    pthread_mutex_unlock(&set->mutex);
    return status;
}

void nx_gpu_resident_unpin(struct nx_gpu_residents *set, struct nx_gpu_resident *resident)
{
    pthread_mutex_lock(&set->mutex);
    nx_assert(resident->pins > 0);
    resident->pins--;
    pthread_mutex_unlock(&set->mutex);
}

void nx_gpu_resident_remove(struct nx_gpu_residents *set, struct nx_gpu_resident *resident)
{
    pthread_mutex_lock(&set->mutex);
    nx_assert(resident->pins == 0);
    if (resident->at)
        drop(set, resident);
    pthread_mutex_unlock(&set->mutex);
}
