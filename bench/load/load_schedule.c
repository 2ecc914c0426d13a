#include "bench/load/load_schedule.h"

#include <math.h>

static nx_ns draw_gap(struct load_schedule *schedule)
{
    return (nx_ns)(-log(1 - nx_prng_unit(&schedule->prng)) * schedule->mean_gap_ns);
}

void load_schedule_init(struct load_schedule *schedule, double per_second, uint64_t seed,
                        nx_ns start)
{
    nx_prng_init(&schedule->prng, seed);
    schedule->mean_gap_ns = (double)NX_SEC / per_second;
    schedule->next = start + draw_gap(schedule);
}

nx_ns load_schedule_take(struct load_schedule *schedule)
{
    nx_ns due = schedule->next;
    schedule->next += draw_gap(schedule);
    return due;
}
