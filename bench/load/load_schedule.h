/* load_schedule.h — when requests are due in an open loop: a Poisson process, whatever becomes of them.
 *
 *   gaps are exponential with mean 1 / rate;   same seed, same times
 *
 * The next time is all there is: what is due and was not yet sent waits here, in no queue, and is taken later with the
 * time at which it was due. So a generator that was kept waiting still counts what it could not ask. */
#ifndef NX_BENCH_LOAD_SCHEDULE_H
#define NX_BENCH_LOAD_SCHEDULE_H

#include "common/clock.h"
#include "common/prng.h"

struct load_schedule {
    struct nx_prng prng;
    double mean_gap_ns;
    nx_ns next; /* when the next request is due */
};

/* per_second > 0. The first is due one gap behind `start`. */
void load_schedule_init(struct load_schedule *schedule, double per_second, uint64_t seed,
                        nx_ns start);
nx_ns load_schedule_take(struct load_schedule *schedule); /* next, and on to the one behind it */

#endif
