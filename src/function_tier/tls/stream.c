#include "function_tier/tls/stream.h"

#include "common/log.h"
#include "common/nx_assert.h"
#include "function_tier/tls/tls_memory.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- plain ------------------------------------------------------------------------------------------ */

static bool is_not_now(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static ssize_t recv_plain(int fd, void *dst, size_t cap)
{
    ssize_t n = recv(fd, dst, cap, 0);
    if (n < 0 && is_not_now(errno))
        return 0;
    return n > 0 ? n : -1;
}

static ssize_t send_plain(int fd, const void *bytes, size_t len)
{
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    return n < 0 && is_not_now(errno) ? 0 : n;
}

/* --- TLS -------------------------------------------------------------------------------------------- */

/* Before OpenSSL sees it again. */
static void unfold(struct nx_stream *stream)
{
    if (stream->room)
        nx_room_unfold(stream->room);
}

/* One line for whoever wonders why a client cannot connect; -1. */
static ssize_t tell_broken(const struct nx_stream *stream, int why)
{
    unsigned long code = ERR_peek_error();
    if (why == SSL_ERROR_SSL && code)
        nx_debug("TLS on descriptor %d: %s%s", stream->fd, ERR_reason_error_string(code),
                 SSL_is_init_finished(stream->tls) ? "" : " (handshake)");
    ERR_clear_error();
    return -1;
}

/* The client's last word of the handshake asks for no answer. A client that sends its request in a second small packet waits
 * for this acknowledgement, which the kernel would keep back for 40 ms. */
static void acknowledge_at_once(const struct nx_stream *stream)
{
    int one = 1;
    setsockopt(stream->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one); /* no TCP: no delay */
}

static ssize_t recv_tls(struct nx_stream *stream, uint8_t *dst, size_t cap)
{
    size_t got = 0, n = 0;
    bool shaking = !SSL_is_init_finished(stream->tls);
    stream->recv_blocked = false;
    while (cap - got >= NX_STREAM_ROOM) {
        ERR_clear_error();
        if (SSL_read_ex(stream->tls, dst + got, cap - got, &n) == 1) {
            got += n;
            continue;
        }
        int why = SSL_get_error(stream->tls, 0);
        stream->recv_blocked = why == SSL_ERROR_WANT_WRITE;
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE || got > 0)
            break; /* an end behind bytes is met again at the next call */
        return tell_broken(stream, why);
    }
    if (shaking && got == 0 && SSL_is_init_finished(stream->tls))
        acknowledge_at_once(stream);
    nx_assert(SSL_pending(stream->tls) == 0);
    return (ssize_t)got;
}

static ssize_t send_tls(struct nx_stream *stream, const uint8_t *bytes, size_t len)
{
    size_t sent = 0, n = 0;
    while (sent < len) {
        ERR_clear_error();
        if (SSL_write_ex(stream->tls, bytes + sent, len - sent, &n) == 1) {
            sent += n;
            continue;
        }
        int why = SSL_get_error(stream->tls, 0);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
            break;
        return tell_broken(stream, why);
    }
    return (ssize_t)sent;
}

/* --- both ------------------------------------------------------------------------------------------- */

ssize_t nx_stream_recv(struct nx_stream *stream, void *dst, size_t cap)
{
    unfold(stream);
    nx_assert(cap >= NX_STREAM_ROOM);
    return stream->tls ? recv_tls(stream, dst, cap) : recv_plain(stream->fd, dst, cap);
}

ssize_t nx_stream_send(struct nx_stream *stream, const void *bytes, size_t len)
{
    unfold(stream);
    return stream->tls ? send_tls(stream, bytes, len) : send_plain(stream->fd, bytes, len);
}

void nx_stream_fold(struct nx_stream *stream)
{
    if (stream->room && !nx_room_folded(stream->room) && SSL_is_init_finished(stream->tls))
        nx_room_fold(stream->room);
}

void nx_stream_shut(struct nx_stream *stream)
{
    unfold(stream);
    if (stream->tls && SSL_is_init_finished(stream->tls))
        SSL_shutdown(stream->tls);
    ERR_clear_error();
    shutdown(stream->fd, SHUT_WR);
}

static void free_tls(struct nx_stream *stream)
{
    nx_tls_memory_begin(stream->room);
    SSL_free(stream->tls);
    nx_tls_memory_end();
    if (stream->room)
        nx_room_close(stream->room);
    free(stream->room);
}

void nx_stream_close(struct nx_stream *stream)
{
    if (stream->fd < 0)
        return;
    unfold(stream);
    if (stream->tls) {
        if (SSL_is_init_finished(stream->tls))
            SSL_shutdown(stream->tls);
        free_tls(stream);
        ERR_clear_error();
    }
    close(stream->fd);
    *stream = nx_stream_plain(-1);
}
