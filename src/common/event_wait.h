/* event_wait.h — sleep on an epoll descriptor, to the nanosecond.
 *
 * Guarantee  not before an event or the end of `left`, also where the system has no epoll_pwait2:
 *            Linux before 5.11, and sandboxes that know no newer calls. There ppoll and epoll_wait
 *            do the same in two calls
 * Thread     any
 * Failure    -1 with errno, as of epoll_wait: EINTR */
#ifndef NX_COMMON_EVENT_WAIT_H
#define NX_COMMON_EVENT_WAIT_H

#include "common/clock.h"

#include <sys/epoll.h>

/* How many events there are; 0: `left` is over. left NX_NEVER: no end; below 0: as 0. */
int nx_event_wait(int epoll_fd, struct epoll_event *events, int events_max, nx_ns left);

#endif
