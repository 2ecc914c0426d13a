/* client_dial.h — why does nobody answer at an address?
 *
 * The gRPC library says only that it could not connect. This asks the system again, with a plain
 * TCP connection to each address of the host, greets whoever takes it as an HTTP/2 client does,
 * and puts into a sentence what came of it.
 * Thread  any; waits at most about two seconds per address. */
#ifndef NX_CLI_CLIENT_DIAL_H
#define NX_CLI_CLIENT_DIAL_H

#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

/* node is host:port, checked; is_tls: TLS was tried. Returns NX_UNAVAILABLE, always. *patience_ms: how long trying
 * again makes sense. 0: the name is unknown, or something else listens there; a second if nobody
 * listens, as a node may be about to start; longer if it may be too busy just now. */
enum nx_status nx_client_dial_why(const char *node, bool is_tls, uint32_t *patience_ms,
                                  struct nx_err *err);

#endif
