/* install.h — a model of the model store goes to its shard: read and sent on in pieces, as the window has room.
 *
 * Registering is the install of docs/architecture.md: one ordered multicast, answered when every replica has the model.
 * Memory  one chunk, whatever the model's size. Owner, thread  the loop thread. */
#ifndef NX_FUNCTION_TIER_INSTALL_H
#define NX_FUNCTION_TIER_INSTALL_H

#include "function_tier/archive.h"
#include "function_tier/route.h"

struct nx_install;

typedef void nx_install_done(void *user, const struct nx_err *err); /* NX_OK: installed */

/* Takes the archive over once it says NX_OK. `recipe` may be ""; `replace`: in place of the model of
 * that name, if there is one; `trace`: the request's span. `done` comes from nx_group_poll or from pump, once. With
 * `replace` NX_AGAIN says that another change of the same model was first. */
enum nx_status nx_install_start(struct nx_route *route, struct nx_archive *archive,
                                const char *name, const char *recipe, bool replace,
                                const struct nx_trace_ids *trace, nx_install_done *done, void *user,
                                struct nx_install **install, struct nx_err *err);
/* After nx_group_poll: sends what there is room for. False: it is over, `done` was called and the install is gone. */
bool nx_install_pump(struct nx_install *install);
void nx_install_cancel(struct nx_install *install);

/* A fresh id for a request whose client brings none. */
enum nx_status nx_install_request_id(struct nx_request_id *id, struct nx_err *err);

#endif
