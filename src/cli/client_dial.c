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

enum { DIAL_TIMEOUT_MS = 1000, HOST_BYTES = NX_CLIENT_NODE_BYTES_MAX + 1 };

/* errno of one TCP connection to the address; 0 if somebody takes it. */
static int dial(const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, to->ai_protocol);
    if (fd < 0)
        return errno;
    int error = connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? errno : 0;
    if (error == EINPROGRESS) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof error;
        if (poll(&wait, 1, DIAL_TIMEOUT_MS) <= 0)
            error = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
            error = errno;
    }
    close(fd);
    return error;
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

enum nx_status nx_client_dial_why(const char *node, bool is_tls, struct nx_err *err)
{
    char host[HOST_BYTES];
    const char *port = split(node, host);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    int failure = getaddrinfo(host, port, &hints, &found);
    if (failure)
        return say(node, failure == EAI_SYSTEM ? strerror(errno) : gai_strerror(failure), err);
    int error = 0;
    for (struct addrinfo *at = found; at; at = at->ai_next)
        if ((error = dial(at)) == 0)
            break;
    freeaddrinfo(found);
    const char *deaf = is_tls ? "no TLS connection could be agreed on (does --ca vouch for this "
                                "name, and is --cert asked for?)"
                              : "what listens there does not speak gRPC, or wants TLS (--ca)";
    return say(node, error ? strerror(error) : deaf, err);
}
