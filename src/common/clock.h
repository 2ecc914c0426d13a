/* clock.h — the one place that reads a clock. Everything else takes `now` as a parameter. */
#ifndef NX_COMMON_CLOCK_H
#define NX_COMMON_CLOCK_H

#include <stdint.h>

#pragma GCC visibility push(default) /* what libnexus-group exports */

/* nanoseconds; a point in time counts from an arbitrary start and never goes back */
typedef int64_t nx_ns;

#define NX_US    ((nx_ns)1000)
#define NX_MS    ((nx_ns)1000000)
#define NX_SEC   ((nx_ns)1000000000)
#define NX_NEVER INT64_MAX

/* The earlier of two times, the shorter of two spans. */
static inline nx_ns nx_ns_least(nx_ns a, nx_ns b)
{
    return a < b ? a : b;
}

nx_ns nx_clock_now(void);         /* monotonic */
nx_ns nx_clock_wall(void);        /* since 1970, for log lines and file stamps only */
nx_ns nx_clock_thread_cpu(void);  /* CPU time of the calling thread */
nx_ns nx_clock_process_cpu(void); /* CPU time of the process */

#pragma GCC visibility pop

#endif
