/* tls.h — a server's certificate, key and clients' authority, from files that may be replaced while it runs.
 *
 *     nx_tls_open ── nx_tls_accept* ── nx_tls_reload* ── nx_tls_close
 *
 * Connections keep what they began with; those after a reload get the new files. A reload that fails changes nothing.
 * TLS 1.2 and 1.3, the library's default ciphers, no renegotiation, no session tickets (a replaced client authority
 * would not be asked again). ALPN chooses http/1.1 before h2: HTTP/2 here is gRPC alone, gRPC's clients offer nothing
 * else, and a browser or curl, which offer both, want what HTTP/1.1 has. A client that offers neither is refused, one that
 * does not speak ALPN is told apart by its first bytes.
 * Thread   the server's. Failure  a sentence that names the key of nexus.cfg, the file and the cause.
 * Source   RFC 8446, RFC 7301; RFC 9113 section 9.2 for what HTTP/2 asks of TLS. */
#ifndef NX_FUNCTION_TIER_TLS_H
#define NX_FUNCTION_TIER_TLS_H

#include "common/status.h"
#include "function_tier/tls/stream.h"

#include <stdbool.h>

struct nx_tls;

struct nx_tls_files {
    const char *cert; /* PEM: the server's certificate, then its chain; "" or NULL: no TLS at all */
    const char *key;  /* PEM, without a passphrase; not accessible to others */
    /* PEM: who must have signed clients' certificates; "" or NULL: none is asked for */
    const char *client_ca;
};

/* *tls is NULL if the files name no certificate. The strings are copied. */
enum nx_status nx_tls_open(const struct nx_tls_files *files, struct nx_tls **tls,
                           struct nx_err *err);
enum nx_status nx_tls_reload(struct nx_tls *tls, struct nx_err *err);
void nx_tls_close(struct nx_tls *tls); /* connections may outlive it */

/* The stream of an accepted socket. False: no memory; the socket is still the caller's. */
bool nx_tls_accept(struct nx_tls *tls, int fd, struct nx_stream *stream);

#endif
