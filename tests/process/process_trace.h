/* process_trace.h — what a test node does and is told, as lines of the simulator's trace: its judges read them, too.
 *
 * A node writes to the file that NX_TRACE_PREFIX and its rank name, if that is set. Times are of the machine's one monotonic
 * clock. Who holds a delivered message's bytes a process cannot see: it names all members. */
#ifndef NX_PROCESS_TRACE_H
#define NX_PROCESS_TRACE_H

#include "group/group.h"

void trace_view(nx_rank self, const struct nx_view *view, const struct nx_layout *layout);
void trace_down(nx_rank self, nx_rank rank, bool clean);
void trace_out(nx_rank self, enum nx_status status);
void trace_send(nx_rank self, nx_ns at, const void *bytes, size_t len);
void trace_deliver(nx_rank self, const struct nx_delivery *m, const struct nx_layout *layout);

#endif
