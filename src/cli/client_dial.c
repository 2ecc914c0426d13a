#include "cli/client_dial.h"

#include "cli/client_args.h"
#include "common/nx_assert.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, REFUSED_PATIENCE_MS = 1000 };
enum { DIAL_TIMEOUT_MS = 1000, HOST_BYTES = NX_CLIENT_NODE_BYTES_MAX + 1 };

/* What whoever listens says to an HTTP/2 client's greeting. */
enum heard {
    HEARD_NOTHING,
    HEARD_END, /* it hung up */
    HEARD_HTTP2,
    HEARD_TLS,
    HEARD_OTHER,
};

/* errno; 0 once it is ready for `events`. */
static int await(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    int n = poll(&wait, 1, DIAL_TIMEOUT_MS);
    return n > 0 ? 0 : n == 0 ? ETIMEDOUT : errno;
}

/* errno of one TCP connection to the address; 0 if somebody takes it, and *fd is the connection. */
static int dial(const struct addrinfo *to, int *fd)
{
    *fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (*fd < 0)
        return errno;
    int error = connect(*fd, to->ai_addr, to->ai_addrlen) < 0 ? errno : 0;
    socklen_t len = sizeof error;
    if (error == EINPROGRESS && (error = await(*fd, POLLOUT)) == 0 &&
        getsockopt(*fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error)
        close(*fd);
    return error;
}

/* A server of HTTP/2 begins with SETTINGS, whatever else it thinks of us. */
static enum heard greet(int fd)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    uint8_t said[16];
    enum { SETTINGS = 4, TLS_ALERT = 21, TLS_MAJOR = 3 };
    if (send(fd, preface, sizeof preface, MSG_NOSIGNAL) < 0 || await(fd, POLLIN) != 0)
        return HEARD_NOTHING;
    ssize_t n = recv(fd, said, sizeof said, 0);
    if (n <= 0)
        return HEARD_END;
    if (n >= 9 && said[0] == 0 && said[3] == SETTINGS)
        return HEARD_HTTP2;
    return n >= 2 && said[0] == TLS_ALERT && said[1] == TLS_MAJOR ? HEARD_TLS : HEARD_OTHER;
}

static const char *explain(enum heard heard, bool is_tls)
{
    static const char no_tls[] = "no TLS connection could be agreed on (does --ca vouch for this "
                                 "name, and is --cert asked for?)";
    switch (heard) {
    case HEARD_NOTHING: return "what listens there takes connections and says nothing";
    case HEARD_END:
        return is_tls ? no_tls
                      : "what listens there hangs up at once; probably it wants TLS (--ca)";
    case HEARD_HTTP2:
        return is_tls ? "what listens there speaks gRPC without TLS, so without --ca"
                      : "it speaks HTTP/2, but no connection came about";
    case HEARD_TLS: return is_tls ? no_tls : "what listens there wants TLS (--ca)";
    case HEARD_OTHER: return "what listens there does not speak gRPC";
    }
    return "";
}

static bool is_hopeless(enum heard heard, bool is_tls)
{
    return heard == HEARD_OTHER || heard == HEARD_TLS || (heard == HEARD_HTTP2 && is_tls);
}

/* "Connection refused" reads as the end of a sentence once it starts small. */
static enum nx_status say(const char *node, const char *why, struct nx_err *err)
{
    return nx_err_set(err, NX_UNAVAILABLE, "no function tier node answers at %s: %c%s", node,
                      tolower((unsigned char)*why), why + 1);
}

/* Splits host:port or [v6]:port. */
static const char *split(const char *node, char host[HOST_BYTES])
{
    const char *colon = strrchr(node, ':');
    const char *start = *node == '[' ? node + 1 : node;
    size_t len = (size_t)(colon - start) - (*node == '[');
    nx_assert(len < HOST_BYTES);
    memcpy(host, start, len);
    host[len] = 0;
    return colon + 1;
}

enum nx_status nx_client_dial_why(const char *node, bool is_tls, uint32_t *patience_ms,
                                  struct nx_err *err)
{
    char host[HOST_BYTES];
    const char *port = split(node, host);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int failure = getaddrinfo(host, port, &hints, &found);
    *patience_ms = failure && failure != EAI_AGAIN && failure != EAI_SYSTEM ? 0 : PATIENCE_MS;
    if (failure)
        return say(node, failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure), err);
    int error = 0, fd = -1;
    for (struct addrinfo *at = found; at; at = at->ai_next)
        if ((error = dial(at, &fd)) == 0)
            break;
    freeaddrinfo(found);
    if (error == ECONNREFUSED)
        *patience_ms = REFUSED_PATIENCE_MS;
    if (error)
        return say(node, strerror(error), err);
    enum heard heard = greet(fd);
    close(fd);
    if (is_hopeless(heard, is_tls))
        *patience_ms = 0;
    return say(node, explain(heard, is_tls), err);
}
