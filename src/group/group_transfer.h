/* group_transfer.h — the state transfer (transfer/) between a group's core and its tier: wiring only.
 *
 * Part of group.c, which hands over the upcalls that are the transfer's, the views, and one poll in every turn. */
#ifndef NX_GROUP_GROUP_TRANSFER_H
#define NX_GROUP_GROUP_TRANSFER_H

#include "group/core/core.h"

struct nx_group_transfer;

/* What the group lends to it. */
struct nx_group_loan {
    void *group;
    enum nx_status (*request)(void *group, const struct nx_event *event); /* a step of the core … */
    const struct nx_update *answer;                                       /* … and its answer */
    void (*down)(void *group, const struct nx_err *err);
    const struct nx_group_upcalls *up; /* the tier */
    void *ctx;
};

/* NULL: no memory. */
struct nx_group_transfer *nx_group_transfer_open(const struct nx_group_loan *loan,
                                                 uint32_t members_max);
void nx_group_transfer_close(struct nx_group_transfer *transfer); /* NULL: nothing to close */

/* After the tier's `view`, before anything else is handed up. */
void nx_group_transfer_view(struct nx_group_transfer *transfer, const struct nx_core *core);
/* True if this upcall was the transfer's. */
bool nx_group_transfer_upcall(struct nx_group_transfer *transfer, const struct nx_upcall *upcall);
/* True if something moved. */
bool nx_group_transfer_poll(struct nx_group_transfer *transfer, const struct nx_core *core);
void nx_group_transfer_ready(struct nx_group_transfer *transfer);

#endif
