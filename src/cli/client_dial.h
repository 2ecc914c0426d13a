/* client_dial.h — why does nobody answer at an address?
 *
 * The gRPC library says only that it could not connect. This asks the system again, with a plain
 * TCP connection to each address of the host, and puts the answer into a sentence.
 * Thread any; waits at most about a second per address. */
#ifndef NX_CLI_CLIENT_DIAL_H
#define NX_CLI_CLIENT_DIAL_H

#include "common/status.h"

#include <stdbool.h>

/* node is host:port, checked; is_tls: TLS was tried. Returns NX_UNAVAILABLE, always. */
enum nx_status nx_client_dial_why(const char *node, bool is_tls, struct nx_err *err);

#endif
