/* client_call.h — one gRPC call with a stream of messages going out and one reply coming back.
 *
 *   messages are sent one at a time; at most one is in the library's hands
 *
 * so memory stays at one message however large the upload is, and the far end's flow control sets
 * the pace. A reply may come before everything was sent: a refusal, usually. Sending then stops.
 *
 * Order    open; send, as often as it returns true; finish, at most once; close
 * Thread   one thread for all of it
 * Cancel   `interrupted` is looked at at least every 50 ms; once it is not 0 the call is cancelled
 * Failure  one sentence that names the node. NX_UNAVAILABLE nobody answers there, or went away;
 *          NX_DEADLINE; NX_CANCELLED; else the status the node answered with */
#ifndef NX_CLI_CLIENT_CALL_H
#define NX_CLI_CLIENT_CALL_H

#include "common/status.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nx_client_call;

/* How to show who one is, and whom one believes. PEM text, NUL-terminated. ca NULL: no TLS. cert and key: both or
 * neither. token NULL: none. */
struct nx_client_identity {
    const char *ca, *cert, *key, *token;
};

/* Connects, within a few seconds, and starts the call. `method` is "/service/Method"; timeout_s
 * counts from now to the reply. Nothing of a request is sent before the connection stands. node,
 * method and interrupted outlive the call; identity only this one. */
enum nx_status nx_client_call_open(const char *node, const struct nx_client_identity *identity,
                                   const char *method, uint32_t timeout_s,
                                   const volatile sig_atomic_t *interrupted,
                                   struct nx_client_call **call, struct nx_err *err);

/* Copies the message and waits until the transport took it. False: the call has ended, and finish
 * says how; the message may have arrived all the same, for a reply can overtake the news that the
 * last message went out. */
bool nx_client_call_send(struct nx_client_call *call, const void *message, size_t len);

/* Says that nothing more comes, waits for the end, and gives the reply's bytes: the caller frees
 * *reply. */
enum nx_status nx_client_call_finish(struct nx_client_call *call, uint8_t **reply, size_t *len,
                                     struct nx_err *err);

/* Cancels the call if it has not ended, and releases everything. */
void nx_client_call_close(struct nx_client_call *call);

#endif
