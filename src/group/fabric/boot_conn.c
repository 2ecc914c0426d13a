#include "group/fabric/boot_conn.h"

#include "common/nx_assert.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum nx_status resolve(const char *ip, uint16_t port, struct addrinfo **found,
                              struct nx_err *err)
{
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    if (getaddrinfo(ip, service, &hints, found) != 0)
        return nx_err_set(err, NX_INVALID, "%s is not an IP address", ip);
    return NX_OK;
}

static enum nx_status listen_at(const struct addrinfo *at, const char *ip, uint16_t port, int *fd,
                                struct nx_err *err)
{
    int s = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return nx_err_set(err, NX_FATAL, "cannot open a socket: %s", strerror(errno));
    int on = 1;
    (void)setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on); /* a restart need not wait */
    if (bind(s, at->ai_addr, at->ai_addrlen) != 0 || listen(s, 128) != 0) {
        int e = errno;
        close(s);
        if (e == EADDRINUSE)
            return nx_err_set(err, NX_FATAL, "gms_port %u on %s is taken by another process", port,
                              ip);
        return nx_err_set(err, NX_FATAL, "cannot listen on %s, gms_port %u: %s", ip, port,
                          strerror(e));
    }
    *fd = s;
    return NX_OK;
}

enum nx_status nx_boot_listen(const char *ip, uint16_t port, int *fd, struct nx_err *err)
{
    struct addrinfo *at = NULL;
    NX_TRY(resolve(ip, port, &at, err));
    enum nx_status status = listen_at(at, ip, port, fd, err);
    freeaddrinfo(at);
    return status;
}

static void name_peer(struct nx_boot_conn *conn)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[48] = "", service[8] = "";
    if (getpeername(conn->fd, (struct sockaddr *)&address, &len) != 0 ||
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, service, sizeof service,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(conn->peer, sizeof conn->peer, "a node that is gone");
    else
        snprintf(conn->peer, sizeof conn->peer, "%s:%s", host, service);
}

static void reset(struct nx_boot_conn *conn, int fd)
{
    conn->fd = fd;
    conn->in_bytes = conn->out_bytes = conn->out_sent = 0;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* only a matter of speed */
}

/* The handshake begins, if there is a secret; a joiner's first frame is queued. */
static enum nx_status guard(struct nx_boot_conn *conn, enum nx_boot_role role,
                            const struct nx_boot_identity *self, struct nx_err *err)
{
    uint8_t nonce[NX_BOOT_NONCE_BYTES];
    if (!self->secret->given) {
        nx_boot_auth_off(&conn->auth, role);
        return NX_OK;
    }
    nx_assert(self->secret->held);
    if (!nx_boot_random(nonce, sizeof nonce))
        return nx_err_set(err, NX_FATAL, "no random bytes: %s", strerror(errno));
    if (role == NX_BOOT_LEADER)
        nx_boot_auth_lead(&conn->auth, self->secret->base, self->node, nonce);
    else
        conn->out_bytes = nx_boot_auth_join(&conn->auth, self->secret->base, self->node,
                                            self->layout_hash, nonce, conn->out);
    return NX_OK;
}

enum nx_status nx_boot_call(struct nx_boot_conn *conn, const char *ip, uint16_t port,
                            const struct nx_boot_identity *self, struct nx_err *err)
{
    struct addrinfo *at = NULL;
    NX_TRY(resolve(ip, port, &at, err));
    int s = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = s < 0 ? -1 : connect(s, at->ai_addr, at->ai_addrlen);
    int e = errno;
    freeaddrinfo(at);
    if (rc != 0 && (s < 0 || e != EINPROGRESS)) {
        if (s >= 0)
            close(s);
        return nx_err_set(err, NX_PEER_DOWN, "%s", strerror(e));
    }
    reset(conn, s);
    snprintf(conn->peer, sizeof conn->peer, "%s:%u", ip, port);
    enum nx_status status = guard(conn, NX_BOOT_JOINER, self, err);
    if (status != NX_OK)
        nx_boot_conn_close(conn);
    return status;
}

enum nx_status nx_boot_conn_adopt(struct nx_boot_conn *conn, int fd,
                                  const struct nx_boot_identity *self, struct nx_err *err)
{
    reset(conn, fd);
    name_peer(conn);
    enum nx_status status = guard(conn, NX_BOOT_LEADER, self, err);
    if (status != NX_OK)
        nx_boot_conn_close(conn);
    return status;
}

void nx_boot_conn_close(struct nx_boot_conn *conn)
{
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    nx_boot_auth_close(&conn->auth);
}

bool nx_boot_conn_settled(const struct nx_boot_conn *conn)
{
    return nx_boot_auth_settled(&conn->auth);
}

bool nx_boot_conn_speaks_for(const struct nx_boot_conn *conn, nx_node joiner, uint64_t layout_hash)
{
    const struct nx_boot_auth *a = &conn->auth;
    return a->state == NX_AUTH_OFF || (a->joiner == joiner && a->layout_hash == layout_hash);
}

static bool queue(struct nx_boot_conn *conn, const uint8_t *frame, size_t bytes)
{
    nx_assert(bytes <= sizeof conn->out);
    if (!nx_boot_conn_flushed(conn))
        return false;
    memcpy(conn->out, frame, bytes);
    conn->out_bytes = bytes;
    conn->out_sent = 0;
    return true;
}

bool nx_boot_conn_send(struct nx_boot_conn *conn, const uint8_t *frame, size_t bytes)
{
    nx_assert(nx_boot_conn_settled(conn) || frame[4] == NX_BOOT_REFUSED); /* no card leaves here */
    if (!queue(conn, frame, bytes))
        return false;
    conn->out_bytes = nx_boot_auth_seal(&conn->auth, conn->out, bytes);
    return conn->out_bytes != 0;
}

bool nx_boot_conn_flushed(const struct nx_boot_conn *conn)
{
    return conn->out_sent == conn->out_bytes;
}

static bool try_again(int e)
{
    return e == EAGAIN || e == EWOULDBLOCK || e == EINTR || e == ENOTCONN || e == EINPROGRESS;
}

static enum nx_status write_some(struct nx_boot_conn *conn, bool *moved, struct nx_err *err)
{
    while (!nx_boot_conn_flushed(conn)) {
        ssize_t n = send(conn->fd, conn->out + conn->out_sent, conn->out_bytes - conn->out_sent,
                         MSG_NOSIGNAL);
        if (n < 0 && try_again(errno))
            return NX_OK;
        if (n < 0)
            return nx_err_set(err, NX_PEER_DOWN, "%s", strerror(errno));
        conn->out_sent += (size_t)n;
        *moved = true;
    }
    return NX_OK;
}

void nx_boot_conn_flush(struct nx_boot_conn *conn)
{
    bool moved;
    struct nx_err err = {0};
    (void)write_some(conn, &moved, &err);
}

static enum nx_status read_some(struct nx_boot_conn *conn, bool *moved, struct nx_err *err)
{
    size_t room = sizeof conn->in - conn->in_bytes;
    if (room == 0)
        return NX_OK;
    ssize_t n = recv(conn->fd, conn->in + conn->in_bytes, room, 0);
    if (n < 0 && try_again(errno))
        return NX_OK;
    if (n < 0)
        return nx_err_set(err, NX_PEER_DOWN, "%s", strerror(errno));
    if (n == 0)
        return nx_err_set(err, NX_PEER_DOWN, "the connection was closed");
    conn->in_bytes += (size_t)n;
    *moved = true;
    return NX_OK;
}

enum nx_status nx_boot_conn_move(struct nx_boot_conn *conn, bool *moved, struct nx_err *err)
{
    enum nx_status written = write_some(conn, moved, err);
    enum nx_status status = read_some(conn, moved, written == NX_OK ? err : NULL);
    return written == NX_OK ? status
                            : written; /* what it said before it hung up is there to take */
}

static void forget(struct nx_boot_conn *conn, size_t bytes)
{
    nx_assert(bytes <= conn->in_bytes);
    conn->in_bytes -= bytes;
    memmove(conn->in, conn->in + bytes, conn->in_bytes);
}

/* One frame of the handshake: taken, answered, gone. */
static enum nx_status shake(struct nx_boot_conn *conn, enum nx_boot_kind kind,
                            const uint8_t *payload, size_t len, struct nx_err *err)
{
    uint8_t reply[NX_BOOT_FRAME_MAX];
    size_t reply_bytes;
    NX_TRY(nx_boot_auth_take(&conn->auth, kind, payload, len, reply, &reply_bytes, err));
    forget(conn, len + NX_BOOT_HEAD_BYTES);
    if (reply_bytes > 0 && !queue(conn, reply, reply_bytes))
        return nx_err_set(err, NX_CORRUPT, "it answers what it cannot have read yet");
    return NX_OK;
}

enum nx_status nx_boot_conn_peek(struct nx_boot_conn *conn, enum nx_boot_kind *kind,
                                 const uint8_t **payload, size_t *len, struct nx_err *err)
{
    for (;;) {
        NX_TRY(nx_boot_find_frame(conn->in, conn->in_bytes, kind, payload, len, err));
        if (!nx_boot_auth_wants(&conn->auth, *kind))
            return nx_boot_auth_open(&conn->auth, *kind, *payload, len, err);
        NX_TRY(shake(conn, *kind, *payload, *len, err));
    }
}

void nx_boot_conn_drop(struct nx_boot_conn *conn, size_t payload_len)
{
    forget(conn, payload_len + NX_BOOT_HEAD_BYTES + nx_boot_auth_count(&conn->auth));
}
