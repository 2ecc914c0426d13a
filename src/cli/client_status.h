/* client_status.h — asks a function tier node how its group is, and tells it as tables.
 *
 * A table's lines have no control bytes, whatever the node sent; what is wrong stands in words, not in colour alone.
 * Thread  one at a time. */
#ifndef NX_CLI_CLIENT_STATUS_H
#define NX_CLI_CLIENT_STATUS_H

#include "cli/client_call.h"
#include "function_tier/pb/pb_status.h"

#include <signal.h>

/* One call. The status lives in `arena`; node, identity and interrupted as of nx_client_call_open. */
enum nx_status nx_client_status(const char *node, const struct nx_client_identity *identity,
                                uint32_t timeout_s, const volatile sig_atomic_t *interrupted,
                                struct nx_arena *arena, struct nx_pb_status *status,
                                struct nx_err *err);

/* Group, members, shards, models, views. */
void nx_client_status_table(const struct nx_pb_status *status, struct nx_text *text);

/* What went through the node in seconds: since its start, or between two states of its counters. */
void nx_client_status_traffic(const struct nx_pb_traffic *traffic, double seconds,
                              struct nx_text *text);
/* later - earlier, counter by counter; later if the node began anew in between. */
struct nx_pb_traffic nx_client_traffic_since(const struct nx_pb_traffic *later,
                                             const struct nx_pb_traffic *earlier);
/* A bound that the share q of all inferences kept; 0 if there were none, UINT64_MAX over the last bound. */
uint64_t nx_client_traffic_quantile(const struct nx_pb_traffic *traffic, double q);

#endif
