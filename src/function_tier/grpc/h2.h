/* h2.h — HTTP/2 for one connection: bytes in, bytes out, calls in between. Sole user of nghttp2.
 *
 *     transport bytes ─► nx_h2_recv ─► calls ─► service
 *     transport bytes ◄─ nx_h2_pull ◄─ nx_h2_settle ◄─ what the services did
 *
 * No socket and no clock: the transport (plain TCP now, TLS later, a fuzz target) moves the bytes.
 * Bounds  streams, header bytes and buffers by limits; control frames by a token bucket, in which
 *         RST_STREAM weighs ten times a PING; unsent acknowledgements by nghttp2.
 * Owner   whoever opened it. Thread  one. Nothing here is called from a service. */
#ifndef NX_GRPC_H2_H
#define NX_GRPC_H2_H

#include "function_tier/grpc/grpc_core.h"

/* NULL if there is no memory. `peer` is kept and outlives the session. */
struct nx_h2 *nx_h2_open(struct nx_grpc_core *core, const char *peer, nx_ns now);

/* Cancels the calls that services still know. */
void nx_h2_close(struct nx_h2 *h2, enum nx_call_gone why);

/* Takes all of `bytes`. NX_CORRUPT: a protocol error or a flood; send what nx_h2_pull still gives
 * (a GOAWAY) and close. */
enum nx_status nx_h2_recv(struct nx_h2 *h2, const uint8_t *bytes, size_t len, nx_ns now);

/* Gives the memory of a session back that has no call and nothing to send, but for what it must know to go on; the
 * next bytes, or a drain, take it again. False: it is not that silent, or there is no memory. */
bool nx_h2_fold(struct nx_h2 *h2);
bool nx_h2_folded(const struct nx_h2 *h2);

/* Carries out what services asked for since the last time. */
void nx_h2_settle(struct nx_h2 *h2, nx_ns now);

/* Room that nx_h2_pull needs at least. */
#define NX_H2_PULL_BYTES 20480

/* Writes frames to send into dst while NX_H2_PULL_BYTES fit; 0 when there is nothing. */
size_t nx_h2_pull(struct nx_h2 *h2, uint8_t *dst, size_t cap, nx_ns now);

/* A drain in two steps: the client learns of it, and is refused only what it sends much later. */
void nx_h2_announce_drain(struct nx_h2 *h2);
void nx_h2_drain(struct nx_h2 *h2);      /* GOAWAY: no new calls, those in flight go on */
bool nx_h2_over(const struct nx_h2 *h2); /* nothing left to send or to wait for */
unsigned nx_h2_calls(const struct nx_h2 *h2);
bool nx_h2_waits(const struct nx_h2 *h2); /* all of its calls, if any, only wait */
/* Before the connection is taken from the client: its calls end with UNAVAILABLE and this sentence. */
void nx_h2_part(struct nx_h2 *h2, const char *sentence);
bool nx_h2_greeted(const struct nx_h2 *h2);   /* the client's SETTINGS have come */
size_t nx_h2_backlog(const struct nx_h2 *h2); /* frames that wait to be pulled */

/* The session's owner, for whom nx_h2_next_woken gives. */
void nx_h2_set_owner(struct nx_h2 *h2, void *owner);
void *nx_h2_owner(const struct nx_h2 *h2);
struct nx_h2 *nx_h2_next_woken(struct nx_grpc_core *core); /* pops one; NULL when none is left */

#endif
