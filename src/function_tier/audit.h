/* audit.h — who changed what is served, or was not let. */
#ifndef NX_FUNCTION_TIER_AUDIT_H
#define NX_FUNCTION_TIER_AUDIT_H

#include <stdbool.h>

/* "audit: PEER, token NAME, request ID: …" on stderr, at every log level; without a token ("") it is left out. */
__attribute__((format(printf, 4, 5))) void nx_audit(const char *peer, const char *token,
                                                    const char *request_id, const char *format,
                                                    ...);

bool nx_peer_is_loopback(const char *peer); /* "127.0.0.1:4711", "[::1]:4711" */
/* Whether the peer is on this machine: the loopback, or the address that this node has itself. */
bool nx_peer_is_here(const char *peer, const char *local_ip);
extern const char nx_manage_refusal[]; /* who manages models from elsewhere is told */

#endif
