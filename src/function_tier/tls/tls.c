#include "function_tier/tls/tls.h"

#include "common/arena.h"
#include "common/given_file.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "function_tier/tls/tls_memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 256 };

struct nx_tls {
    char cert[PATH_BYTES], key[PATH_BYTES], client_ca[PATH_BYTES];
    SSL_CTX *context;
};

static const char *last_cause(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : "it is no PEM file of that kind";
}

/* --- files ------------------------------------------------------------------------------------------ */

/* What can be said better than by the library: is there such a file, may it be read, and by whom
 * else? And a pipe in its place would hold the loop thread. */
static enum nx_status check_file(const char *key, const char *path, bool is_secret,
                                 struct nx_err *err)
{
    struct nx_err why;
    struct stat facts;
    int fd;
    if (nx_given_open(path, &fd, &facts, &why) != NX_OK)
        return nx_err_set(err, NX_INVALID, "%s: %s", key, why.text);
    close(fd);
    if (is_secret && facts.st_mode & (S_IROTH | S_IWOTH))
        return nx_err_set(err, NX_INVALID,
                          "%s: %s is open to everybody on this machine; chmod 600 it", key, path);
    return NX_OK;
}

/* A key with a passphrase: nobody is there to type it. */
static int no_passphrase(char *text, int cap, int writing, void *user)
{
    (void)text, (void)cap, (void)writing, (void)user;
    return -1;
}

static enum nx_status use_identity(const struct nx_tls *tls, SSL_CTX *context, struct nx_err *err)
{
    NX_TRY(check_file("tls_cert", tls->cert, false, err));
    NX_TRY(check_file("tls_key", tls->key, true, err));
    if (SSL_CTX_use_certificate_chain_file(context, tls->cert) != 1)
        return nx_err_set(err, NX_INVALID, "tls_cert: %s holds no usable certificate: %s",
                          tls->cert, last_cause());
    if (SSL_CTX_use_PrivateKey_file(context, tls->key, SSL_FILETYPE_PEM) != 1)
        return nx_err_set(err, NX_INVALID, "tls_key: %s is no key to %s: %s", tls->key, tls->cert,
                          last_cause());
    if (SSL_CTX_check_private_key(context) != 1)
        return nx_err_set(err, NX_INVALID, "tls_key: %s is no key to %s: %s", tls->key, tls->cert,
                          last_cause());
    return NX_OK;
}

static enum nx_status use_client_ca(const struct nx_tls *tls, SSL_CTX *context, struct nx_err *err)
{
    if (!tls->client_ca[0])
        return NX_OK;
    NX_TRY(check_file("tls_client_ca", tls->client_ca, false, err));
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(tls->client_ca);
    if (!names || SSL_CTX_load_verify_file(context, tls->client_ca) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return nx_err_set(err, NX_INVALID, "tls_client_ca: %s holds no usable certificate: %s",
                          tls->client_ca, last_cause());
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return NX_OK;
}

/* It is served all the same: a client that does not look, or whose clock is wrong, can still be answered. */
static void warn_if_stale(const struct nx_tls *tls, SSL_CTX *context)
{
    const X509 *cert = SSL_CTX_get0_certificate(context);
    if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        nx_warn("tls_cert: %s has expired; clients will refuse it", tls->cert);
    else if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        nx_warn("tls_cert: %s is not valid yet; clients will refuse it", tls->cert);
}

/* --- the context ------------------------------------------------------------------------------------ */

static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
                           const unsigned char *offered, unsigned offered_len, void *user)
{
    (void)ssl, (void)user;
    static const unsigned char ours[] = "\x08http/1.1\x02h2";
    unsigned char *found = NULL; /* the library's signature wants it so; it is only read */
    if (SSL_select_next_proto(&found, chosen_len, ours, sizeof ours - 1, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static void set_manners(SSL_CTX *context)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
}

enum nx_status nx_tls_reload(struct nx_tls *tls, struct nx_err *err)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return nx_err_set(err, NX_NO_MEMORY, "TLS: no context: %s", last_cause());
    set_manners(context);
    enum nx_status status = use_identity(tls, context, err);
    if (status == NX_OK)
        status = use_client_ca(tls, context, err);
    ERR_clear_error();
    if (status != NX_OK) {
        SSL_CTX_free(context);
        return status;
    }
    warn_if_stale(tls, context);
    SSL_CTX_free(tls->context);
    tls->context = context;
    return NX_OK;
}

static bool is_given(const char *path)
{
    return path && path[0];
}

static enum nx_status check_names(const struct nx_tls_files *files, struct nx_err *err)
{
    if (!is_given(files->cert) && (is_given(files->key) || is_given(files->client_ca)))
        return nx_err_set(err, NX_INVALID, "%s is given, but no tls_cert",
                          is_given(files->key) ? "tls_key" : "tls_client_ca");
    if (is_given(files->cert) && !is_given(files->key))
        return nx_err_set(err, NX_INVALID, "tls_cert is given, but no tls_key");
    return NX_OK;
}

enum nx_status nx_tls_open(const struct nx_tls_files *files, struct nx_tls **tls,
                           struct nx_err *err)
{
    NX_TRY(check_names(files, err));
    *tls = NULL;
    if (!is_given(files->cert))
        return NX_OK;
    nx_tls_memory_init();
    struct nx_tls *t = nx_calloc(1, sizeof *t);
    if (!t)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for TLS");
    snprintf(t->cert, sizeof t->cert, "%s", files->cert);
    snprintf(t->key, sizeof t->key, "%s", files->key);
    snprintf(t->client_ca, sizeof t->client_ca, "%s",
             is_given(files->client_ca) ? files->client_ca : "");
    enum nx_status status = nx_tls_reload(t, err);
    if (status != NX_OK) {
        free(t);
        return status;
    }
    *tls = t;
    return NX_OK;
}

void nx_tls_close(struct nx_tls *tls)
{
    SSL_CTX_free(tls->context);
    free(tls);
}

/* NULL: none, so the state will lie on the heap. */
static struct nx_room *room_new(void)
{
    struct nx_room *room = nx_calloc(1, sizeof *room);
    if (room && nx_room_open(room, NX_TLS_ROOM_BYTES))
        return room;
    free(room);
    return NULL;
}

static void room_free(struct nx_room *room)
{
    if (room)
        nx_room_close(room);
    free(room);
}

/* Its room, if that is where it lies, is in *room; otherwise NULL is. */
static SSL *state_new(SSL_CTX *context, struct nx_room **room)
{
    *room = room_new();
    nx_tls_memory_begin(*room);
    SSL *ssl = SSL_new(context);
    nx_tls_memory_end();
    if (ssl && *room && nx_room_holds(*room, ssl))
        return ssl;
    /* The first large block of SSL_new is what it returns; it frees that block if it fails. */
    nx_assert(!ssl || !*room || (*room)->used == 0);
    room_free(*room);
    *room = NULL;
    return ssl;
}

bool nx_tls_accept(struct nx_tls *tls, int fd, struct nx_stream *stream)
{
    struct nx_room *room;
    SSL *ssl = state_new(tls->context, &room);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        nx_tls_memory_begin(room);
        SSL_free(ssl);
        nx_tls_memory_end();
        room_free(room);
        ERR_clear_error();
        return false;
    }
    SSL_set_accept_state(ssl);
    *stream = (struct nx_stream){.fd = fd, .tls = ssl, .room = room};
    return true;
}
