#include "common/event_wait.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

static atomic_bool is_missing; /* epoll_pwait2, which does not come later */

/* Sandboxes answer EPERM for what they do not know. */
static int wait_in_one_call(int epoll_fd, struct epoll_event *events, int events_max,
                            const struct timespec *left)
{
    int n = epoll_pwait2(epoll_fd, events, events_max, left, NULL);
    if (n < 0 && (errno == ENOSYS || errno == EPERM))
        atomic_store_explicit(&is_missing, true, memory_order_relaxed);
    return n;
}

static int wait_in_two_calls(int epoll_fd, struct epoll_event *events, int events_max,
                             const struct timespec *left)
{
    struct pollfd set = {.fd = epoll_fd, .events = POLLIN};
    int n = ppoll(&set, 1, left, NULL);
    return n > 0 ? epoll_wait(epoll_fd, events, events_max, 0) : n;
}

int nx_event_wait(int epoll_fd, struct epoll_event *events, int events_max, nx_ns left)
{
    nx_ns t = left < 0 ? 0 : left;
    const struct timespec span = {.tv_sec = t / NX_SEC, .tv_nsec = t % NX_SEC};
    const struct timespec *until = left == NX_NEVER ? NULL : &span;
    if (!atomic_load_explicit(&is_missing, memory_order_relaxed)) {
        int n = wait_in_one_call(epoll_fd, events, events_max, until);
        if (!atomic_load_explicit(&is_missing, memory_order_relaxed))
            return n;
    }
    return wait_in_two_calls(epoll_fd, events, events_max, until);
}
