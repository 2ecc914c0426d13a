/* audit.h — who changed what is served, or was not let. As JSON the line has "kind":"audit". */
#ifndef NX_FUNCTION_TIER_AUDIT_H
#define NX_FUNCTION_TIER_AUDIT_H

#include "function_tier/auth.h"

/* "audit: PEER, token NAME, request ID: …" on stderr, at every log level; without a token ("") it is left out. */
__attribute__((format(printf, 4, 5))) void nx_audit(const char *peer, const char *token,
                                                    const char *request_id, const char *format,
                                                    ...);

/* What the node itself did, asked by whoever runs it: "audit: …" without a peer. */
__attribute__((format(printf, 1, 2))) void nx_audit_node(const char *format, ...);

/* Everybody who was not let in; who is let in, but too often, only where models would have changed. */
static inline bool nx_auth_is_told(enum nx_auth_verdict verdict, unsigned scopes)
{
    return verdict == NX_AUTH_RATE ? scopes == NX_MAY_MANAGE : verdict != NX_AUTH_LET_IN;
}
/* What was refused: 10 lines a second, 20 at once, whoever asks, so that strangers cannot fill the
 * disk; a line says how many
 * were left out before it. False: it was not told. Thread  the loop thread. */
bool nx_audit_refusal(const char *peer, const char *token, const char *request_id, const char *what,
                      const char *why);

bool nx_peer_is_loopback(const char *peer); /* "127.0.0.1:4711", "[::1]:4711" */
/* Whether the peer is on this machine: the loopback, or the address that this node has itself. */
bool nx_peer_is_here(const char *peer, const char *local_ip);
extern const char nx_manage_refusal[]; /* who manages models from elsewhere is told */

#endif
