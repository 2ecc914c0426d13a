#include "function_tier/grpc/grpc_timer.h"

#include "common/arena.h"
#include "common/nx_assert.h"

#include <stdlib.h>

enum nx_status nx_timers_init(struct nx_timers *timers, uint32_t count_max)
{
    struct nx_timer **heap = nx_calloc(count_max, sizeof heap[0]);
    if (!heap)
        return NX_NO_MEMORY;
    *timers = (struct nx_timers){.heap = heap, .count_max = count_max};
    return NX_OK;
}

void nx_timers_fini(struct nx_timers *timers)
{
    free(timers->heap);
    *timers = (struct nx_timers){0};
}

static void put(struct nx_timers *timers, uint32_t place, struct nx_timer *timer)
{
    timers->heap[place] = timer;
    timer->slot = place + 1;
}

static void sift_up(struct nx_timers *timers, uint32_t place, struct nx_timer *timer)
{
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (timers->heap[parent]->at <= timer->at)
            break;
        put(timers, place, timers->heap[parent]);
        place = parent;
    }
    put(timers, place, timer);
}

static void sift_down(struct nx_timers *timers, uint32_t place, struct nx_timer *timer)
{
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timer->at <= timers->heap[child]->at)
            break;
        put(timers, place, timers->heap[child]);
        place = child;
    }
    put(timers, place, timer);
}

static void sift(struct nx_timers *timers, uint32_t place, struct nx_timer *timer)
{
    if (place > 0 && timers->heap[(place - 1) / 2]->at > timer->at)
        sift_up(timers, place, timer);
    else
        sift_down(timers, place, timer);
}

void nx_timer_arm(struct nx_timers *timers, struct nx_timer *timer, nx_ns at)
{
    timer->at = at;
    if (!timer->slot) {
        nx_assert(timers->count < timers->count_max);
        put(timers, timers->count++, timer);
    }
    sift(timers, timer->slot - 1, timer);
}

void nx_timer_disarm(struct nx_timers *timers, struct nx_timer *timer)
{
    if (!timer->slot)
        return;
    uint32_t place = timer->slot - 1;
    struct nx_timer *last = timers->heap[--timers->count];
    timer->slot = 0;
    if (last != timer)
        sift(timers, place, last);
}

bool nx_timers_run(struct nx_timers *timers, nx_ns now, unsigned fires_max)
{
    for (unsigned fired = 0; nx_timers_next(timers) <= now; fired++) {
        if (fired == fires_max)
            return true;
        struct nx_timer *timer = timers->heap[0];
        nx_timer_disarm(timers, timer);
        timer->fire(timer, now);
    }
    return false;
}

nx_ns nx_timers_next(const struct nx_timers *timers)
{
    return timers->count ? timers->heap[0]->at : NX_NEVER;
}
