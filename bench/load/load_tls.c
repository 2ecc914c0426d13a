#include "bench/load/load_tls.h"

#include "common/arena.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

struct load_tls {
    SSL_CTX *context;
};

static enum nx_status use_files(SSL_CTX *context, const struct load_tls_files *files,
                                struct nx_err *err)
{
    if (files->ca && SSL_CTX_load_verify_locations(context, files->ca, NULL) != 1)
        return nx_err_set(err, NX_INVALID, "cannot use %s as certificates to trust", files->ca);
    SSL_CTX_set_verify(context, files->ca ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (files->cert && SSL_CTX_use_certificate_chain_file(context, files->cert) != 1)
        return nx_err_set(err, NX_INVALID, "cannot use %s as a certificate", files->cert);
    if (files->key && SSL_CTX_use_PrivateKey_file(context, files->key, SSL_FILETYPE_PEM) != 1)
        return nx_err_set(err, NX_INVALID, "cannot use %s as a private key", files->key);
    return NX_OK;
}

enum nx_status load_tls_open(const struct load_tls_files *files, bool h2, struct load_tls **tls,
                             struct nx_err *err)
{
    static const unsigned char offers[2][9] = {"\x08http/1.1", "\x02h2"};
    struct load_tls *t = nx_calloc(1, sizeof *t);
    if (t)
        t->context = SSL_CTX_new(TLS_client_method());
    if (!t || !t->context) {
        free(t);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for TLS");
    }
    /* What is sent as our certificate is what the file holds, its chain only if that is in it. */
    SSL_CTX_set_mode(t->context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_NO_AUTO_CHAIN |
                                     SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                     SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_protos(t->context, offers[h2], h2 ? 3 : 9);
    enum nx_status status = use_files(t->context, files, err);
    ERR_clear_error();
    if (status != NX_OK)
        load_tls_close(t);
    else
        *tls = t;
    return status;
}

void load_tls_close(struct load_tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

bool load_tls_dress(struct load_tls *tls, struct nx_stream *stream)
{
    SSL *ssl = SSL_new(tls->context);
    if (!ssl || SSL_set_fd(ssl, stream->fd) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return false;
    }
    SSL_set_connect_state(ssl);
    stream->tls = ssl;
    return true;
}

int load_tls_shake(struct nx_stream *stream, bool *writes)
{
    ERR_clear_error();
    int done = SSL_do_handshake(stream->tls);
    int why = done == 1 ? SSL_ERROR_NONE : SSL_get_error(stream->tls, done);
    *writes = why == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    if (done == 1)
        return 1;
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}
