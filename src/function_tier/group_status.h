/* group_status.h — how the group is, as this node sees it: asked for by gRPC, by HTTP and by the page.
 *
 * What this node knows itself is there at once; models and memory are asked of every live replica. One that does not answer
 * within NX_STATUS_PATIENCE_NS, or by the deadline, is in the status with the reason, and a group
 * that forms gives a status without replicas: asking how things are works when they are bad.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_GROUP_STATUS_H
#define NX_FUNCTION_TIER_GROUP_STATUS_H

#include "function_tier/metrics.h"
#include "function_tier/pb/pb_status.h"

/* A replica that takes longer than that is told as silent. */
#define NX_STATUS_PATIENCE_NS (2 * NX_SEC)

struct nx_group_status; /* this node's source of it */
struct nx_status_ask;   /* one question under way */

enum nx_status nx_group_status_open(uint32_t node, struct nx_route *route,
                                    const struct nx_metrics *metrics,
                                    struct nx_group_status **source, struct nx_err *err);
void nx_group_status_close(struct nx_group_status *source); /* when no question is under way */
void nx_group_status_set_ready(struct nx_group_status *source, bool ready);

/* Called once, unless the question is cancelled, which is over when it returns; `status` lives that long. */
typedef void nx_status_done(void *user, const struct nx_pb_status *status);

/* nx_function_tier's: ends what has waited long enough; until when nothing is due. */
void nx_group_status_poll(struct nx_group_status *source, nx_ns now);
nx_ns nx_group_status_next_timer(const struct nx_group_status *source);

/* *ask is set before `done` can run, and to NULL if it ran already. */
enum nx_status nx_status_ask(struct nx_group_status *source, nx_ns deadline, nx_status_done *done,
                             void *user, struct nx_status_ask **ask, struct nx_err *err);
void nx_status_cancel(struct nx_status_ask *ask);

#endif
