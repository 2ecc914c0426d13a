/* The port of a node: who calls, what it may say, how it is sent away. */
#include "group/fabric/boot_state.h"

#include "common/arena.h"
#include "common/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUTE_NS (100 * NX_MS)

/* The port that the kernel chose, where the configuration left it open. */
static uint16_t port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

enum nx_status nx_boot_guests_open(struct nx_bootstrap *b, struct nx_err *err)
{
    NX_TRY(nx_boot_listen(b->config.local_ip, b->config.gms_port, &b->listen_fd, err));
    b->mine.gms_port = port_of(b->listen_fd);
    b->guests = nx_calloc(NX_BOOT_GUESTS_MAX, sizeof *b->guests);
    if (!b->guests)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the guests of the bootstrap");
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        b->guests[i].conn.fd = -1;
    uint32_t interest = 0;
    nx_boot_watch(b, b->listen_fd, &interest, EPOLLIN, NX_BOOT_TAG_LISTENER);
    return NX_OK;
}

void nx_boot_guests_close(struct nx_bootstrap *b)
{
    if (b->guests)
        nx_bootstrap_end(b, nx_clock_now(), b->error.text);
    for (int i = 0; b->guests && i < NX_BOOT_GUESTS_MAX; i++)
        nx_boot_conn_close(&b->guests[i].conn);
    free(b->guests);
    b->guests = NULL;
    if (b->listen_fd >= 0)
        close(b->listen_fd);
    b->listen_fd = -1;
}

bool nx_boot_is_member(const struct nx_boot_guest *g)
{
    return g->state == NX_GUEST_GATHERED || g->state == NX_GUEST_VIEWED ||
           g->state == NX_GUEST_READY;
}

uint32_t nx_boot_guests_count(const struct nx_bootstrap *b, enum nx_boot_guest_state state)
{
    uint32_t count = 0;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        count += b->guests[i].state == state;
    return count;
}

struct nx_boot_guest *nx_boot_guests_next(struct nx_bootstrap *b, int64_t floor)
{
    struct nx_boot_guest *best = NULL;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++) {
        struct nx_boot_guest *g = &b->guests[i];
        if (g->state == NX_GUEST_GATHERED && g->hello.node > floor &&
            (!best || g->hello.node < best->hello.node))
            best = g;
    }
    return best;
}

static void watch_guest(struct nx_bootstrap *b, struct nx_boot_guest *g)
{
    if (g->conn.fd >= 0)
        nx_boot_watch(b, g->conn.fd, &g->interest,
                      EPOLLIN | (nx_boot_conn_flushed(&g->conn) ? 0 : EPOLLOUT),
                      (uint32_t)(g - b->guests));
}

void nx_boot_guest_become(struct nx_boot_guest *g, enum nx_boot_guest_state state, nx_ns now)
{
    g->state = state;
    g->since = now;
}

void nx_boot_guest_drop(struct nx_boot_guest *g)
{
    nx_boot_conn_close(&g->conn);
    g->state = NX_GUEST_FREE;
    g->name = 0;
    g->interest = 0;
}

static void say_farewell(struct nx_bootstrap *b, struct nx_boot_guest *g, enum nx_boot_kind kind,
                         const char *why, nx_ns now)
{
    uint8_t frame[NX_BOOT_FRAME_MAX];
    nx_boot_guest_dismiss(b, g, frame, nx_boot_encode_reason(kind, why, frame), now);
}

/* Whose connection broke will not read it; who did something wrong or nothing at all is to know. */
void nx_boot_guest_lose(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now, const char *why)
{
    bool viewed = g->state == NX_GUEST_VIEWED || g->state == NX_GUEST_READY;
    struct nx_err lost = {0};
    nx_err_set(&lost, NX_PEER_DOWN, "node %u was lost: %s", g->hello.node, why);
    if (nx_boot_is_member(g))
        nx_warn("bootstrap: node %u at %s was lost before its view: %s", g->hello.node,
                g->conn.peer, why);
    else
        nx_debug("bootstrap: %s: %s", g->conn.peer, why);
    if (nx_boot_is_member(g))
        say_farewell(b, g, NX_BOOT_LATER, why, now);
    else
        nx_boot_guest_drop(g);
    if (viewed && b->phase == NX_BOOT_CONNECTING)
        nx_boot_leader_start_over(b, now, lost.text);
}

/* --- coming ----------------------------------------------------------------------------------- */

/* A stranger or a leaving guest makes place, the oldest first. Applicants that nobody seats may be
 * many, too: then the newest has no place. */
static struct nx_boot_guest *place_for_guest(struct nx_bootstrap *b)
{
    struct nx_boot_guest *oldest = NULL;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++) {
        struct nx_boot_guest *g = &b->guests[i];
        if (g->state == NX_GUEST_FREE)
            return g;
        if (!nx_boot_is_member(g) && (!oldest || g->since < oldest->since))
            oldest = g;
    }
    if (oldest)
        nx_boot_guest_drop(oldest);
    return oldest;
}

/* Out of descriptors: level-triggered readiness would spin, so the listener rests a moment. */
static void mute_listener(struct nx_bootstrap *b, nx_ns now)
{
    nx_warn("bootstrap: no connection can be accepted now: %s", strerror(errno));
    uint32_t interest = EPOLLIN;
    nx_boot_watch(b, b->listen_fd, &interest, EPOLLET, NX_BOOT_TAG_LISTENER);
    b->listen_muted_until = now + MUTE_NS;
}

static void unmute_listener(struct nx_bootstrap *b)
{
    uint32_t interest = EPOLLET;
    nx_boot_watch(b, b->listen_fd, &interest, EPOLLIN, NX_BOOT_TAG_LISTENER);
    b->listen_muted_until = 0;
}

static void take_in(struct nx_bootstrap *b, int fd, nx_ns now)
{
    struct nx_boot_guest *g = place_for_guest(b);
    struct nx_err err = {0};
    if (!g) {
        close(fd);
        return;
    }
    if (nx_boot_conn_adopt(&g->conn, fd, &b->identity, &err) != NX_OK) {
        nx_warn("bootstrap: %s was turned away: %s", g->conn.peer, err.text);
        return;
    }
    g->name = ++b->names;
    nx_boot_guest_become(g, NX_GUEST_STRANGER, now);
    watch_guest(b, g);
}

static bool accept_some(struct nx_bootstrap *b, nx_ns now)
{
    for (int i = 0; i < NX_BOOT_EVENTS_PER_POLL; i++) {
        int fd = accept4(b->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                mute_listener(b, now);
            return i > 0;
        }
        take_in(b, fd, now);
    }
    return true;
}

/* --- going ------------------------------------------------------------------------------------ */

bool nx_boot_guest_tell(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *frame,
                        size_t bytes, nx_ns now)
{
    if (!nx_boot_conn_send(&g->conn, frame, bytes)) {
        nx_boot_guest_lose(b, g, now, "it does not read");
        return false;
    }
    nx_boot_conn_flush(&g->conn); /* another frame may follow in this turn */
    watch_guest(b, g);
    return true;
}

/* Closing at once would reset the connection and take the last frame with it; so our end of it comes
 * first, and theirs is awaited. */
static void see_off(struct nx_boot_guest *g)
{
    if (g->state == NX_GUEST_LEAVING && nx_boot_conn_flushed(&g->conn) && g->conn.fd >= 0)
        (void)shutdown(g->conn.fd, SHUT_WR);
}

void nx_boot_guest_dismiss(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *frame,
                           size_t bytes, nx_ns now)
{
    if (!nx_boot_conn_send(&g->conn, frame, bytes)) {
        nx_boot_guest_drop(g);
        return;
    }
    nx_boot_guest_become(g, NX_GUEST_LEAVING, now);
    nx_boot_conn_flush(&g->conn); /* now, not at the next readiness */
    see_off(g);
    watch_guest(b, g);
}

/* We are no member yet, and do not lead: the leader says who belongs to the group. */
static bool waits_itself(const struct nx_bootstrap *b)
{
    return b->phase == NX_BOOT_GATHERING && !b->leader;
}

void nx_boot_guest_refuse(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now,
                          const char *why)
{
    bool aside = waits_itself(b) && nx_boot_conn_settled(&g->conn);
    nx_warn("bootstrap: refused %s: %s", g->conn.peer, why);
    say_farewell(b, g, aside ? NX_BOOT_ASIDE : NX_BOOT_REFUSED, why, now);
}

void nx_boot_guest_put_off(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now,
                           const char *why)
{
    nx_info("bootstrap: %s has to try again: %s", g->conn.peer, why);
    say_farewell(b, g, b->blocked ? NX_BOOT_ASIDE : NX_BOOT_LATER, why, now);
}

void nx_bootstrap_end(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    struct nx_err err = {0};
    nx_err_set(&err, NX_FATAL, "node %u ends%s%s", b->mine.node, why[0] ? ": " : "", why);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i])) {
            nx_info("bootstrap: %s has to ask others: %s", b->guests[i].conn.peer, err.text);
            say_farewell(b, &b->guests[i], NX_BOOT_ASIDE, err.text, now);
        }
}

void nx_boot_guest_redirect(struct nx_bootstrap *b, struct nx_boot_guest *g,
                            const struct nx_boot_address *to, nx_ns now)
{
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (to->port == 0)
        nx_boot_guest_put_off(b, g, now, "nobody leads this group now");
    else
        nx_boot_guest_dismiss(b, g, frame, nx_boot_encode_redirect(to, frame), now);
}

/* --- speaking --------------------------------------------------------------------------------- */

static bool gathers(const struct nx_bootstrap *b)
{
    bool forms = b->leader && !b->joining && b->phase == NX_BOOT_GATHERING;
    return forms || (b->phase == NX_BOOT_INSTALLED && b->leads);
}

/* A node that cannot keep it shows it where the leader is. */
static void send_on(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now)
{
    struct nx_boot_address first = {.port = b->config.leader_gms_port};
    memcpy(first.host, b->config.leader_ip, sizeof first.host);
    if (b->phase == NX_BOOT_INSTALLED)
        nx_boot_guest_redirect(b, g, &b->current, now);
    else if (b->phase == NX_BOOT_FAILED)
        nx_boot_guest_put_off(b, g, now, "this node has left its group");
    else if (b->joining)
        nx_boot_guest_redirect(b, g, &b->caller.at, now);
    else if (!b->leader)
        nx_boot_guest_redirect(b, g, &first, now);
    else
        nx_boot_guest_put_off(b, g, now, "the first view is under way");
}

static enum nx_status check_hello(const struct nx_bootstrap *b, const struct nx_boot_guest *g,
                                  const struct nx_boot_hello *hello, struct nx_err *err)
{
    if (!nx_boot_conn_speaks_for(&g->conn, hello->node, hello->layout_hash))
        return nx_err_set(err, NX_DENIED, "its hello is of node %u, its proof of another",
                          hello->node);
    NX_TRY(nx_boot_compare(&b->mine, hello, err));
    NX_TRY(nx_boot_compare_clocks(hello, nx_clock_wall(), b->config.clock_skew_ns, err));
    if (b->phase == NX_BOOT_GATHERING && gathers(b))
        return nx_boot_leader_check(b, hello, err);
    return NX_OK;
}

static void take_hello(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *payload,
                       size_t len, nx_ns now)
{
    struct nx_err err = {0};
    struct nx_boot_hello hello;
    enum nx_status status = nx_boot_decode_hello(payload, len, &hello, &err);
    if (status == NX_OK)
        status = check_hello(b, g, &hello, &err);
    if (status != NX_OK) {
        nx_boot_guest_refuse(b, g, now, err.text);
        return;
    }
    if (!gathers(b)) {
        send_on(b, g, now);
        return;
    }
    g->hello = hello;
    nx_boot_guest_become(g, NX_GUEST_GATHERED, now);
    nx_info("bootstrap: node %u came from %s", hello.node, g->conn.peer);
    uint8_t frame[NX_BOOT_FRAME_MAX], running = b->phase == NX_BOOT_INSTALLED;
    nx_boot_guest_tell(b, g, frame, nx_boot_encode(NX_BOOT_WAIT, &running, 1, frame), now);
}

static void take_frame(struct nx_bootstrap *b, struct nx_boot_guest *g, enum nx_boot_kind kind,
                       const uint8_t *payload, size_t len, nx_ns now)
{
    if (kind == NX_BOOT_HELLO && g->state == NX_GUEST_STRANGER)
        take_hello(b, g, payload, len, now);
    else if (kind == NX_BOOT_PROBE && g->state == NX_GUEST_STRANGER)
        nx_boot_host_probed(b, g, payload, len, now);
    else if (kind == NX_BOOT_CONNECTED && g->state == NX_GUEST_VIEWED)
        nx_boot_guest_become(g, NX_GUEST_READY, now);
    else
        nx_boot_guest_lose(b, g, now, "it said something out of turn");
}

static void take_frames(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now)
{
    while (g->conn.fd >= 0 && g->state != NX_GUEST_LEAVING) {
        enum nx_boot_kind kind;
        const uint8_t *payload;
        size_t len;
        struct nx_err err = {0};
        enum nx_status status = nx_boot_conn_peek(&g->conn, &kind, &payload, &len, &err);
        if (status == NX_AGAIN)
            return;
        if (status == NX_DENIED) {
            nx_boot_guest_refuse(b, g, now, err.text);
            break;
        }
        if (status != NX_OK) {
            nx_boot_guest_lose(b, g, now, err.text);
            return;
        }
        take_frame(b, g, kind, payload, len, now);
        if (g->conn.fd >= 0 && g->state != NX_GUEST_LEAVING)
            nx_boot_conn_drop(&g->conn, len);
    }
    g->conn.in_bytes = 0; /* what a leaving guest says is not read */
}

static bool guest_event(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now)
{
    bool moved = false;
    struct nx_err err = {0};
    enum nx_status status = nx_boot_conn_move(&g->conn, &moved, &err);
    take_frames(b, g, now);
    if (status != NX_OK && g->conn.fd >= 0)
        nx_boot_guest_lose(b, g, now, err.text);
    else if (g->conn.fd >= 0) {
        see_off(g);
        watch_guest(b, g);
    }
    return moved || status != NX_OK;
}

bool nx_boot_guests_event(struct nx_bootstrap *b, uint32_t tag, nx_ns now)
{
    if (tag == NX_BOOT_TAG_LISTENER)
        return b->listen_muted_until == 0 && accept_some(b, now);
    nx_assert(tag < NX_BOOT_GUESTS_MAX);
    return b->guests[tag].conn.fd >= 0 && guest_event(b, &b->guests[tag], now);
}

/* --- time ------------------------------------------------------------------------------------- */

static nx_ns timeout_of(const struct nx_boot_guest *g)
{
    switch (g->state) {
    case NX_GUEST_STRANGER: return g->since + NX_BOOT_HELLO_TIMEOUT_NS;
    case NX_GUEST_LEAVING: return g->since + NX_BOOT_LEAVE_TIMEOUT_NS;
    case NX_GUEST_VIEWED: return g->since + NX_BOOT_CONNECT_TIMEOUT_NS;
    case NX_GUEST_FREE:
    case NX_GUEST_GATHERED:
    case NX_GUEST_READY: break;
    }
    return NX_NEVER;
}

bool nx_boot_guests_turn(struct nx_bootstrap *b, nx_ns now)
{
    bool any = false;
    if (b->listen_muted_until && now >= b->listen_muted_until)
        unmute_listener(b);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (now >= timeout_of(&b->guests[i])) {
            nx_boot_guest_lose(b, &b->guests[i], now, "it said nothing in time");
            any = true;
        }
    return any;
}

nx_ns nx_boot_guests_wake_at(const struct nx_bootstrap *b)
{
    nx_ns at = b->listen_muted_until ? b->listen_muted_until : NX_NEVER;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (timeout_of(&b->guests[i]) < at)
            at = timeout_of(&b->guests[i]);
    return at;
}
