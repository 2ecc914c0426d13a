/* descriptors.h — how many files and sockets this process may have, and how many of them are for clients.
 *
 * The soft limit is there for select(2), which nothing here calls: a server may use all that the hard one grants.
 *
 *   connections <= limit - NX_DESCRIPTORS_KEPT       the group, the log, models and listeners have the rest;
 *                                                    of a small limit half
 *
 * Thread  any, once, before others start. */
#ifndef NX_COMMON_DESCRIPTORS_H
#define NX_COMMON_DESCRIPTORS_H

#include "common/status.h"

#include <stdint.h>

enum {
    NX_DESCRIPTORS_KEPT = 256,
    NX_CONNECTIONS_USUAL_MAX = 65536, /* unless more are asked for: where the limit is none */
};

/* How many connections `limit` descriptors leave room for. limit >= 2. */
uint32_t nx_descriptors_room(uint64_t limit);

/* Raises the soft limit to the hard one. *connections: 0 becomes what there is room for, NX_CONNECTIONS_USUAL_MAX at most;
 * any other number stays, or is refused as NX_INVALID if there is no room for it. */
enum nx_status nx_descriptors_plan(uint32_t *connections, struct nx_err *err);

#endif
