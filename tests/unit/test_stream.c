/* Streams over socket pairs: plain, and through TLS with a client of the same library at the other end. */
#include "common/arena.h"
#include "function_tier/tls/tls.h"
#include "function_tier/tls/tls_memory.h"
#include "nx_test.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/nexus-stream-XXXXXX";
static char cert[64], key[64];
static struct nx_tls *tls;
static struct nx_stream server;
static SSL_CTX *context;
static SSL *client;
static int pair[2];
static uint8_t got[1 << 20];

static void write_identity(void)
{
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    X509_gmtime_adj(X509_getm_notBefore(x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, pkey);
    X509_sign(x509, pkey, EVP_sha256());
    FILE *f = fopen(cert, "we");
    assert_non_null(f);
    PEM_write_X509(f, x509);
    fclose(f);
    f = fopen(key, "we");
    assert_non_null(f);
    fchmod(fileno(f), 0600);
    PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    X509_free(x509);
    EVP_PKEY_free(pkey);
}

static int make_files(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    nx_tls_memory_init(); /* before the first use of OpenSSL, as a server does */
    assert_non_null(mkdtemp(folder));
    snprintf(cert, sizeof cert, "%s/cert.pem", folder);
    snprintf(key, sizeof key, "%s/key.pem", folder);
    write_identity();
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(cert);
    unlink(key);
    return rmdir(folder);
}

static int set_up(void **state)
{
    (void)state;
    struct nx_err err;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    assert_int_equal(nx_tls_open(&(struct nx_tls_files){cert, key, NULL}, &tls, &err), NX_OK);
    assert_true(nx_tls_accept(tls, pair[0], &server));
    context = SSL_CTX_new(TLS_client_method());
    client = SSL_new(context);
    SSL_set_fd(client, pair[1]);
    SSL_set_connect_state(client);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    nx_stream_close(&server);
    nx_stream_close(&server); /* of an empty one: nothing */
    nx_tls_close(tls);
    SSL_free(client);
    SSL_CTX_free(context);
    close(pair[1]);
    return 0;
}

static void shake_hands(void)
{
    for (int i = 0; i < 10 && !SSL_is_init_finished(client); i++) {
        SSL_do_handshake(client);
        ERR_clear_error();
        assert_int_equal(nx_stream_recv(&server, got, sizeof got), 0);
    }
    assert_true(SSL_is_init_finished(client));
}

static void nothing_that_came_stays_inside(void **state)
{
    (void)state;
    static uint8_t bytes[50000];
    size_t n;
    shake_hands();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    assert_int_equal(SSL_write_ex(client, bytes, sizeof bytes, &n), 1);
    assert_int_equal(n, sizeof bytes);
    /* one record, and no second */
    ssize_t first = nx_stream_recv(&server, got, NX_STREAM_ROOM + 100);
    assert_true(first > 0 && first <= NX_STREAM_ROOM);
    assert_int_equal(SSL_pending(server.tls), 0);
    ssize_t rest = nx_stream_recv(&server, got + first, sizeof got - (size_t)first);
    assert_int_equal(first + rest, sizeof bytes);
    assert_memory_equal(got, bytes, sizeof bytes);
    assert_int_equal(nx_stream_recv(&server, got, sizeof got), 0);
}

static void what_the_socket_refuses_is_sent_later_from_elsewhere(void **state)
{
    (void)state;
    enum { LEN = 3 << 20 };
    uint8_t *bytes = malloc(LEN), *copy = malloc(LEN), *heard = malloc(LEN);
    size_t sent = 0, len = 0, n;
    shake_hands();
    for (size_t i = 0; i < LEN; i++)
        bytes[i] = copy[i] = (uint8_t)(i * 31 >> 3);
    for (bool turn = false; len < LEN; turn = !turn) {
        ssize_t some = nx_stream_send(&server, (turn ? bytes : copy) + sent, LEN - sent);
        assert_true(some >= 0);
        sent += (size_t)some;
        while (len < LEN && SSL_read_ex(client, heard + len, LEN - len, &n) == 1)
            len += n;
        ERR_clear_error();
    }
    assert_memory_equal(heard, bytes, LEN);
    free(bytes);
    free(copy);
    free(heard);
}

static void an_end_is_told_after_the_bytes_before_it(void **state)
{
    (void)state;
    size_t n;
    shake_hands();
    SSL_write_ex(client, "last", 4, &n);
    SSL_shutdown(client);
    assert_int_equal(nx_stream_recv(&server, got, sizeof got), 4);
    assert_int_equal(nx_stream_recv(&server, got, sizeof got), -1);
    nx_stream_shut(&server);
    assert_int_equal(SSL_shutdown(client), 1); /* its close_notify has come */
}

/* An idle one is folded again and again; whichever call comes next finds it as it was. */
static void a_folded_stream_goes_on(void **state)
{
    (void)state;
    uint8_t heard[16];
    size_t n;
    assert_non_null(server.room);
    nx_stream_fold(&server); /* in the handshake: not yet */
    assert_false(nx_room_folded(server.room));
    shake_hands();
    for (int i = 0; i < 3; i++) {
        nx_stream_fold(&server);
        nx_stream_fold(&server);
        assert_true(nx_room_folded(server.room));
        assert_int_equal(SSL_write_ex(client, "question", 8, &n), 1);
        assert_int_equal(nx_stream_recv(&server, got, sizeof got), 8);
        assert_false(nx_room_folded(server.room));
        nx_stream_fold(&server);
        assert_int_equal(nx_stream_send(&server, "answer", 6), 6);
        assert_int_equal(SSL_read_ex(client, heard, sizeof heard, &n), 1);
        assert_int_equal(n, 6);
    }
    nx_stream_fold(&server);
    nx_stream_shut(&server);
    assert_int_equal(SSL_read_ex(client, heard, sizeof heard, &n), 0);
    assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
    nx_stream_fold(&server); /* and closed while folded */
}

static void without_memory_a_stream_stays_unfolded(void **state)
{
    (void)state;
    shake_hands();
    nx_alloc_fail_at(1);
    nx_stream_fold(&server);
    nx_alloc_fail_at(0);
    assert_false(nx_room_folded(server.room));
}

/* Wherever memory ends, the socket stays the caller's, or there is a stream. */
static void accepting_survives_the_lack_of_memory(void **state)
{
    (void)state;
    unsigned refused = 0;
    bool accepted = false;
    for (unsigned nth = 1; !accepted || nth < 4; nth++) {
        struct nx_stream stream;
        int other[2];
        assert_true(nth < 200);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
        nx_alloc_fail_at(nth);
        accepted = nx_tls_accept(tls, other[0], &stream);
        nx_alloc_fail_at(0);
        refused += !accepted;
        if (accepted)
            nx_stream_close(&stream);
        else
            close(other[0]);
        close(other[1]);
    }
    assert_true(refused > 0);
}

static void what_is_no_tls_ends_it(void **state)
{
    (void)state;
    assert_int_equal(send(pair[1], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(nx_stream_recv(&server, got, sizeof got), -1);
}

static void a_record_that_was_changed_ends_it(void **state)
{
    (void)state;
    shake_hands();
    static const uint8_t forged[5 + 64] = {0x17, 3, 3, 0, 64};
    assert_int_equal(send(pair[1], forged, sizeof forged, 0), sizeof forged);
    assert_int_equal(nx_stream_recv(&server, got, sizeof got), -1);
}

static void a_reload_counts_for_the_next_and_a_bad_one_not_at_all(void **state)
{
    (void)state;
    struct nx_err err;
    struct nx_stream later;
    int other[2];
    chmod(key, 0644);
    assert_int_equal(nx_tls_reload(tls, &err), NX_DENIED);
    assert_non_null(strstr(err.text, "tls_key: "));
    chmod(key, 0600);
    shake_hands(); /* this one, and those to come, as before */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
    assert_int_equal(nx_tls_reload(tls, &err), NX_OK);
    assert_true(nx_tls_accept(tls, other[0], &later));
    nx_stream_close(&later);
    close(other[1]);
}

static void plain_streams_say_the_same_things(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    struct nx_stream plain = nx_stream_plain(fds[0]);
    assert_int_equal(nx_stream_recv(&plain, got, sizeof got), 0);
    assert_int_equal(send(fds[1], "abc", 3, 0), 3);
    assert_int_equal(nx_stream_recv(&plain, got, sizeof got), 3);
    while (nx_stream_send(&plain, got, sizeof got) > 0)
        continue;
    assert_int_equal(nx_stream_send(&plain, got, sizeof got), 0);
    close(fds[1]);
    assert_int_equal(nx_stream_send(&plain, got, sizeof got), -1);
    nx_stream_close(&plain);
    assert_int_equal(plain.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_that_came_stays_inside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_socket_refuses_is_sent_later_from_elsewhere,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_is_told_after_the_bytes_before_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_folded_stream_goes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_a_stream_stays_unfolded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(accepting_survives_the_lack_of_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_tls_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_that_was_changed_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reload_counts_for_the_next_and_a_bad_one_not_at_all,
                                        set_up, tear_down),
        cmocka_unit_test(plain_streams_say_the_same_things),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
