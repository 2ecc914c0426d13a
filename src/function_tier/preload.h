/* preload.h — models of the model store that are registered when the group is up.
 *
 *     ASKING ──not there──► INSTALLING ──ok──► the next
 *        │ ▲                    │
 *        │ └──after a pause─────┴─ somebody else was faster; a shard that cannot serve yet
 *        └──there──► COMPARING ──► the next (other bytes: an error is logged, the model stays as it is)
 *
 * Several nodes may name the same models: each is installed once, by the ordered install, and the others find its bytes
 * equal. A model that cannot be registered is an error in the log, and the others go on.
 * One at a time, in the order given. Blocks on local disk reads, a slice in each poll.
 * Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_PRELOAD_H
#define NX_FUNCTION_TIER_PRELOAD_H

#include "function_tier/route.h"

struct nx_preload;

/* `models`: "" none; "ALL", every archive and folder of the store; or "FILE, NAME=FILE, …".
 * NX_INVALID: what is no list, with the item; NX_IO: there is no such store. */
enum nx_status nx_preload_open(struct nx_route *route, const char *store, const char *models,
                               struct nx_preload **preload, struct nx_err *err);
void nx_preload_close(struct nx_preload *preload); /* before the route */

/* the one model's name; "": not one */
const char *nx_preload_only(const struct nx_preload *preload);

nx_ns nx_preload_next_timer(const struct nx_preload *preload);
bool nx_preload_poll(struct nx_preload *preload, nx_ns now); /* true: it has more to do at once */

#endif
