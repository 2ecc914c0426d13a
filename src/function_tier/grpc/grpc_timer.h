/* grpc_timer.h — deadlines without system calls: a binary heap of timers embedded in their owners.
 *
 *   next == min over the armed timers of at
 *
 * arm, move and disarm cost O(log n) and cannot fail: the heap's memory is taken at init.
 * Owner  the heap owns nothing but its array. Thread  the server's. */
#ifndef NX_GRPC_TIMER_H
#define NX_GRPC_TIMER_H

#include "common/clock.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

struct nx_timer {
    nx_ns at;
    uint32_t slot; /* place in the heap + 1; 0 while not armed */
    void (*fire)(struct nx_timer *timer, nx_ns now);
};

struct nx_timers {
    struct nx_timer **heap;
    uint32_t count, count_max;
};

enum nx_status nx_timers_init(struct nx_timers *timers, uint32_t count_max);
void nx_timers_fini(struct nx_timers *timers);

/* Arms, or moves if armed. At most count_max timers are armed at once (asserted). */
void nx_timer_arm(struct nx_timers *timers, struct nx_timer *timer, nx_ns at);
void nx_timer_disarm(struct nx_timers *timers, struct nx_timer *timer);

/* Disarms and fires what is due, at most `fires_max` timers, each of which may arm again. True if
 * more are due. */
bool nx_timers_run(struct nx_timers *timers, nx_ns now, unsigned fires_max);

nx_ns nx_timers_next(const struct nx_timers *timers); /* NX_NEVER if none */

#endif
