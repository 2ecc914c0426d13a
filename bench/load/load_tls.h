/* load_tls.h — TLS as a client: whom to trust, who we are. Sole user of OpenSSL here; the bytes
 * then go through nx_stream. */
#ifndef NX_BENCH_LOAD_TLS_H
#define NX_BENCH_LOAD_TLS_H

#include "common/status.h"
#include "function_tier/tls/stream.h"

struct load_tls;

struct load_tls_files {
    const char *ca;         /* PEM; NULL: any server is believed */
    const char *cert, *key; /* PEM; NULL: none is shown */
};

enum nx_status load_tls_open(const struct load_tls_files *files, bool h2, struct load_tls **tls,
                             struct nx_err *err);
void load_tls_close(struct load_tls *tls);

/* A session on the connected descriptor; false: no memory. Many threads may do so at once. */
bool load_tls_dress(struct load_tls *tls, struct nx_stream *stream);
/* 1: the handshake is through; 0: call again when the descriptor is ready; -1: it failed. *writes: it waits to write. */
int load_tls_shake(struct nx_stream *stream, bool *writes);

#endif
