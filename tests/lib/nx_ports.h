/* nx_ports.h — TCP ports for tests that run side by side: nobody else's for as long as the process lives.
 *
 * Ports come in blocks, below the range from which the kernel gives ports to connections. Whoever takes a block binds
 * its name, an abstract Unix address: it goes with the process, and is seen where the ports are, in one network namespace.
 * port_blocks.py does the same in Python. */
#ifndef NX_PORTS_H
#define NX_PORTS_H

#include "nx_test.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { NX_PORTS_FIRST = 10000, NX_PORTS_PER_BLOCK = 100, NX_PORTS_BLOCKS = 220 };

/* The name stays bound until the process ends. */
static inline bool nx_ports_take(unsigned block)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "nexus-test-ports-%u", block);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
    if (bind(fd, (struct sockaddr *)&name, size) == 0)
        return true;
    close(fd);
    return false;
}

static inline unsigned nx_ports_take_any(void)
{
    for (unsigned k = 0; k < NX_PORTS_BLOCKS; k++) {
        unsigned block = ((unsigned)getpid() + k) % NX_PORTS_BLOCKS;
        if (nx_ports_take(block))
            return block;
    }
    fail_msg("no block of ports is free");
    return 0;
}

static inline bool nx_ports_listens_nowhere(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool free = bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return free;
}

/* One that was not given out before. */
static inline uint16_t nx_free_port(void)
{
    static unsigned block, given;
    for (;;) {
        if (given++ % NX_PORTS_PER_BLOCK == 0)
            block = nx_ports_take_any();
        unsigned port =
            NX_PORTS_FIRST + block * NX_PORTS_PER_BLOCK + (given - 1) % NX_PORTS_PER_BLOCK;
        if (nx_ports_listens_nowhere((uint16_t)port))
            return (uint16_t)port;
    }
}

#endif
