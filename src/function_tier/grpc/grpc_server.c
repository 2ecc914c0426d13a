#include "function_tier/grpc/grpc_server.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "function_tier/grpc/grpc_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_PER_TURN = 64, ACCEPTS_PER_TURN = 64, TIMERS_PER_TURN = 256, BACKLOG = 512 };

enum { SOCKET_UNSENT_BYTES = 256 << 10 };

#define EVICT_AFTER   NX_SEC        /* without a call but such that only wait, at least */
#define LISTENER_REST (100 * NX_MS) /* when not even the spare descriptor could be had */

TAILQ_HEAD(nx_grpc_conns, nx_grpc_conn);

struct nx_grpc {
    struct nx_grpc_core core;
    struct nx_grpc_scratch scratch;
    struct nx_grpc_conns strangers; /* who have not greeted yet, in the order of coming */
    struct nx_grpc_conns conns;     /* the others, by activity, the longest idle first */
    int epoll_fd, spare_fd;
    int listen_fds[1 + NX_GRPC_ALSO_MAX];
    uint32_t listen_count;
    uint16_t port; /* of the first */
    bool draining;
    struct nx_tls *tls;
    struct nx_peers *peers;
    struct nx_timer listener_timer; /* armed while the listeners rest */
};

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static const char *key_of(const struct nx_grpc_address *address)
{
    return address->key ? address->key : "listen address";
}

static enum nx_status resolve(const struct nx_grpc_address *address, struct addrinfo **found,
                              struct nx_err *err)
{
    char port[8];
    snprintf(port, sizeof port, "%u", address->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    int rc = getaddrinfo(address->ip, port, &hints, found);
    if (rc == 0)
        return NX_OK;
    return nx_err_set(err, NX_INVALID, "%s: %s is not a numeric IP address: %s", key_of(address),
                      address->ip, gai_strerror(rc));
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return 0;
    return ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
                                          : ((struct sockaddr_in *)&at)->sin_port);
}

static enum nx_status listen_on(struct nx_grpc *server, const struct nx_grpc_address *address,
                                struct nx_err *err)
{
    struct addrinfo *at;
    NX_TRY(resolve(address, &at, err));
    int one = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* A client by IPv4 at [::] would be one of a single /64 with all others, and not known as one of this machine. */
    bool only_six = at->ai_family != AF_INET6 ||
                    (fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) == 0);
    bool ok = only_six && fd >= 0 &&
              setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) == 0 &&
              bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    int cause = errno;
    freeaddrinfo(at);
    if (ok) {
        if (server->listen_count == 0)
            server->port = bound_port(fd);
        server->listen_fds[server->listen_count++] = fd;
        return NX_OK;
    }
    if (fd >= 0)
        close(fd);
    return nx_err_set(err, NX_IO,
                      strchr(address->ip, ':') ? "%s: cannot listen on [%s]:%u: %s"
                                               : "%s: cannot listen on %s:%u: %s",
                      key_of(address), address->ip, address->port, strerror(cause));
}

static bool watch_listeners(struct nx_grpc *server, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = NULL};
    bool ok = true;
    for (uint32_t i = 0; i < server->listen_count; i++)
        ok &= epoll_ctl(server->epoll_fd, op, server->listen_fds[i], &event) == 0;
    return ok;
}

static void wake_listeners(struct nx_timer *timer, nx_ns now)
{
    (void)now;
    struct nx_grpc *server =
        (struct nx_grpc *)((char *)timer - offsetof(struct nx_grpc, listener_timer));
    if (server->spare_fd < 0)
        server->spare_fd = open_spare();
    if (!server->draining)
        watch_listeners(server, EPOLL_CTL_MOD, EPOLLIN);
}

static enum nx_status open_descriptors(struct nx_grpc *server, const struct nx_grpc_config *config,
                                       struct nx_err *err)
{
    NX_TRY(listen_on(server, &config->at, err));
    for (uint32_t i = 0; i < config->also_count; i++)
        NX_TRY(listen_on(server, &config->also[i], err));
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    server->spare_fd = open_spare();
    if (server->epoll_fd < 0 || server->spare_fd < 0 ||
        !watch_listeners(server, EPOLL_CTL_ADD, EPOLLIN))
        return nx_err_set(err, NX_IO, "gRPC server on %s:%u: %s", config->at.ip, config->at.port,
                          strerror(errno));
    return NX_OK;
}

static void close_listeners(struct nx_grpc *server)
{
    for (uint32_t i = 0; i < server->listen_count; i++)
        close(server->listen_fds[i]); /* leaves epoll by itself */
    server->listen_count = 0;
}

static void close_descriptors(struct nx_grpc *server)
{
    close_listeners(server);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    if (server->spare_fd >= 0)
        close(server->spare_fd);
}

enum nx_status nx_grpc_open(const struct nx_grpc_config *config,
                            const struct nx_grpc_method *methods, size_t method_count,
                            struct nx_grpc **opened, struct nx_err *err)
{
    struct nx_grpc *server = nx_calloc(1, sizeof *server);
    if (!server)
        return nx_err_set(err, NX_NO_MEMORY, "gRPC server: out of memory");
    server->epoll_fd = server->spare_fd = -1;
    server->listener_timer.fire = wake_listeners;
    TAILQ_INIT(&server->strangers);
    TAILQ_INIT(&server->conns);
    enum nx_status status =
        nx_grpc_core_init(&server->core, &config->limits, methods, method_count);
    if (status != NX_OK) {
        free(server);
        return nx_err_set(err, status, "gRPC server: out of memory");
    }
    server->core.neighbour = config->neighbour;
    server->core.guard = config->guard;
    server->core.witness = config->witness;
    nx_prng_init(&server->core.prng, config->seed);
    server->tls = config->tls;
    server->peers = config->peers;
    status = open_descriptors(server, config, err);
    if (status != NX_OK) {
        close_descriptors(server);
        nx_grpc_core_fini(&server->core);
        free(server);
        return status;
    }
    *opened = server;
    return NX_OK;
}

static void remove_conn(struct nx_grpc *server, struct nx_grpc_conn *conn, enum nx_call_gone why)
{
    TAILQ_REMOVE(conn->known ? &server->conns : &server->strangers, conn, in_order);
    server->core.stats.connections--;
    nx_peers_give(conn->from);
    nx_grpc_conn_close(conn, why);
}

void nx_grpc_close(struct nx_grpc *server)
{
    nx_assert(server->core.upcalls == 0);
    struct nx_grpc_conn *conn;
    while ((conn = TAILQ_FIRST(&server->conns)) || (conn = TAILQ_FIRST(&server->strangers)))
        remove_conn(server, conn, NX_CALL_GONE_CLOSE);
    nx_timer_disarm(&server->core.timers, &server->listener_timer);
    close_descriptors(server);
    nx_grpc_core_fini(&server->core);
    free(server);
}

static void sweep(struct nx_grpc *server)
{
    struct nx_grpc_conn *conn;
    while ((conn = SLIST_FIRST(&server->core.dead))) {
        SLIST_REMOVE_HEAD(&server->core.dead, in_dead);
        remove_conn(server, conn, NX_CALL_GONE_CONNECTION);
    }
}

static void evict(struct nx_grpc *server, struct nx_grpc_conn *conn, nx_ns now)
{
    nx_debug("%s: evicted to make room", conn->peer);
    server->core.stats.connections_evicted++;
    nx_grpc_conn_part(conn, now);
    sweep(server);
}

static bool is_from(const struct nx_grpc_conn *conn, const struct nx_peer *from)
{
    return !from || conn->from == from;
}

/* Who has come first, if it is of that age. */
static bool evict_stranger(struct nx_grpc *server, const struct nx_peer *from, nx_ns age, nx_ns now)
{
    struct nx_grpc_conn *conn = TAILQ_FIRST(&server->strangers);
    while (conn && !is_from(conn, from))
        conn = TAILQ_NEXT(conn, in_order);
    if (!conn || now < conn->active + age)
        return false;
    evict(server, conn, now);
    return true;
}

/* Whoever has been without a call, or with such as only wait, for longest. Who had one just now
 * stays: a newcomer's need does not weigh more than a busy client's next request. */
static bool evict_spare(struct nx_grpc *server, const struct nx_peer *from, nx_ns now)
{
    struct nx_grpc_conn *conn = TAILQ_FIRST(&server->conns);
    while (conn && (!is_from(conn, from) || !nx_grpc_conn_spare(conn)))
        conn = TAILQ_NEXT(conn, in_order);
    if (!conn || now < conn->active + EVICT_AFTER)
        return false;
    evict(server, conn, now);
    return true;
}

static uint32_t neighbours_count(const struct nx_grpc *server)
{
    const struct nx_grpc_neighbour *neighbour = &server->core.neighbour;
    return neighbour->take ? neighbour->count(neighbour->ctx) : 0;
}

static bool neighbour_makes_room(struct nx_grpc *server, const struct nx_peer *from,
                                 nx_ns begun_age, nx_ns now)
{
    const struct nx_grpc_neighbour *neighbour = &server->core.neighbour;
    return neighbour->take && neighbour->make_room(neighbour->ctx, from, begun_age, now);
}

/* Half-open strangers go first, then a spare connection of the wire that has more of them, so that neither wire's clients
 * can push out the other's. Young strangers are the last: with a neighbour one may be a client whose first bytes are on
 * their way. `from`: of this address alone, unless NULL. */
static bool make_room(struct nx_grpc *server, const struct nx_peer *from, nx_ns now)
{
    if (evict_stranger(server, from, server->core.neighbour.take ? EVICT_AFTER : 0, now))
        return true;
    if (neighbours_count(server) > server->core.stats.connections &&
        neighbour_makes_room(server, from, EVICT_AFTER, now))
        return true;
    return evict_spare(server, from, now) || neighbour_makes_room(server, from, 0, now) ||
           evict_stranger(server, from, 0, now);
}

static void name_peer(const struct sockaddr_storage *at, socklen_t len, char *peer, size_t cap)
{
    char host[48], port[8];
    if (getnameinfo((const struct sockaddr *)at, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(peer, cap, "unknown");
    else
        snprintf(peer, cap, at->ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

static void refuse_fd(struct nx_grpc *server, int fd)
{
    server->core.stats.connections_refused++;
    close(fd);
}

/* The kernel keeps little for a peer that does not read, and gives it up as we do. All three are
 * improvements that a socket can do without, so a refusal is no error. */
static void set_socket_bounds(struct nx_grpc *server, int fd)
{
    int one = 1, unsent = SOCKET_UNSENT_BYTES;
    unsigned stall_ms = (unsigned)(server->core.limits.stall_timeout_ns / NX_MS);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof stall_ms);
}

/* An address at its share makes room among its own; then there is room for all, or somebody makes some. */
static bool has_room(struct nx_grpc *server, const struct nx_peer *from, nx_ns now)
{
    if (from && nx_peer_over_share(from) && !make_room(server, from, now))
        return false;
    uint32_t count = server->core.stats.connections + neighbours_count(server);
    return count < server->core.limits.connections_max || make_room(server, NULL, now);
}

/* False: the descriptor is still the caller's to close. */
static bool open_conn(struct nx_grpc *server, int fd, const char *peer, struct nx_peer *from,
                      nx_ns now)
{
    struct nx_stream stream = nx_stream_plain(fd);
    if (!has_room(server, from, now))
        return false;
    set_socket_bounds(server, fd);
    if (server->tls && !nx_tls_accept(server->tls, fd, &stream))
        return false;
    struct nx_grpc_conn *conn =
        nx_grpc_conn_open(&server->core, &server->scratch, server->epoll_fd, stream, peer, now);
    if (!conn) {
        server->core.stats.connections_refused++;
        nx_peers_give(from);
        return true;
    }
    conn->from = from;
    TAILQ_INSERT_TAIL(&server->strangers, conn, in_order);
    server->core.stats.connections++;
    server->core.stats.connections_accepted++;
    nx_grpc_conn_flush(conn, now); /* our SETTINGS need not wait for the client's */
    return true;
}

static void admit(struct nx_grpc *server, int fd, const char *peer, nx_ns now)
{
    struct nx_peer *from = server->peers ? nx_peers_take(server->peers, peer) : NULL;
    bool counted = from || !server->peers;
    if (counted && open_conn(server, fd, peer, from, now))
        return;
    nx_peers_give(from);
    refuse_fd(server, fd);
}

/* accept reports the lack of descriptors before it looks whether there is anybody to accept. */
static bool somebody_waits(int listen_fd)
{
    struct pollfd fd = {.fd = listen_fd, .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

/* Out of descriptors: an idle connection makes room, or the spare descriptor takes the caller off
 * the queue and hangs up. Left there, it would keep the listener readable for ever. */
static bool make_a_descriptor(struct nx_grpc *server, int listen_fd, nx_ns now)
{
    if (!somebody_waits(listen_fd))
        return false;
    if (make_room(server, NULL, now))
        return true;
    if (server->spare_fd >= 0) {
        close(server->spare_fd);
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            refuse_fd(server, fd);
        server->spare_fd = open_spare();
        return server->spare_fd >= 0;
    }
    watch_listeners(server, EPOLL_CTL_MOD, 0);
    nx_timer_arm(&server->core.timers, &server->listener_timer, now + LISTENER_REST);
    return false;
}

static void accept_some(struct nx_grpc *server, int listen_fd, nx_ns now)
{
    for (int i = 0; i < ACCEPTS_PER_TURN && !server->draining; i++) {
        struct sockaddr_storage at;
        socklen_t len = sizeof at;
        int fd = accept4(listen_fd, (struct sockaddr *)&at, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            char peer[64];
            name_peer(&at, len, peer, sizeof peer);
            admit(server, fd, peer, now);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (!make_a_descriptor(server, listen_fd, now))
                return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        }
    }
}

/* The order of connections is by activity, so that eviction looks at the front. */
static void note_activity(struct nx_grpc *server, struct nx_grpc_conn *conn, nx_ns now)
{
    if (!conn->known && !nx_grpc_conn_greeted(conn))
        return;
    if (conn->known && (conn->active != now || TAILQ_NEXT(conn, in_order) == NULL))
        return;
    TAILQ_REMOVE(conn->known ? &server->conns : &server->strangers, conn, in_order);
    TAILQ_INSERT_TAIL(&server->conns, conn, in_order);
    conn->known = true;
}

/* The phases of a turn: 1 events of connections, 2 new connections (last of the events, because an
 * eviction frees one that may have an event here, and after the dead, who hold places that others
 * want), 3 timers, 4 what services woke, 5 the dead. */
bool nx_grpc_poll(struct nx_grpc *server, nx_ns now)
{
    struct epoll_event events[EVENTS_PER_TURN];
    bool listener = false;
    nx_grpc_core_begin_turn(&server->core, now);
    int n = epoll_wait(server->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < n; i++) {
        struct nx_grpc_conn *conn = events[i].data.ptr;
        if (conn) {
            nx_grpc_conn_event(conn, events[i].events, now);
            note_activity(server, conn, now);
        } else {
            listener = true;
        }
    }
    sweep(server);
    for (uint32_t i = 0; listener && i < server->listen_count; i++)
        accept_some(server, server->listen_fds[i], now);
    bool more = nx_timers_run(&server->core.timers, now, TIMERS_PER_TURN);
    struct nx_h2 *h2;
    for (unsigned turns = 0;
         turns < server->core.stats.connections && (h2 = nx_h2_next_woken(&server->core)); turns++)
        nx_grpc_conn_flush(nx_h2_owner(h2), now);
    sweep(server);
    return more || n == EVENTS_PER_TURN || !TAILQ_EMPTY(&server->core.woken) ||
           !TAILQ_EMPTY(&server->core.inflating);
}

nx_ns nx_grpc_next_timer(const struct nx_grpc *server)
{
    return TAILQ_EMPTY(&server->core.woken) && TAILQ_EMPTY(&server->core.inflating)
               ? nx_timers_next(&server->core.timers)
               : 0;
}

void nx_grpc_drain(struct nx_grpc *server, nx_ns now)
{
    if (server->draining)
        return;
    server->draining = true;
    server->core.now = now;
    nx_timer_disarm(&server->core.timers, &server->listener_timer);
    close_listeners(server);
    struct nx_grpc_conn *conn;
    TAILQ_FOREACH(conn, &server->conns, in_order)
    nx_grpc_conn_drain(conn, now);
    TAILQ_FOREACH(conn, &server->strangers, in_order)
    nx_grpc_conn_drain(conn, now);
    sweep(server);
}

bool nx_grpc_drained(const struct nx_grpc *server)
{
    return server->draining && server->core.stats.connections == 0;
}

int nx_grpc_fd(const struct nx_grpc *server)
{
    return server->epoll_fd;
}

uint16_t nx_grpc_port(const struct nx_grpc *server)
{
    return server->port;
}

struct nx_grpc_stats nx_grpc_stats(const struct nx_grpc *server)
{
    struct nx_grpc_stats stats = server->core.stats;
    stats.calls = server->core.calls;
    stats.buffered_bytes = server->core.memory.used;
    return stats;
}
