#include "common/clock.h"

#include <time.h>

static nx_ns read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (nx_ns)t.tv_sec * NX_SEC + t.tv_nsec;
}

nx_ns nx_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

nx_ns nx_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

nx_ns nx_clock_thread_cpu(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

nx_ns nx_clock_process_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
