#include "group/fabric/boot_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER_TAG = NX_BOOT_GUESTS_MAX };
#define MUTE_NS (100 * NX_MS)

enum nx_status nx_boot_leader_open(struct nx_bootstrap *b, struct nx_err *err)
{
    NX_TRY(nx_boot_listen(b->config.local_ip, b->config.gms_port, &b->listen_fd, err));
    b->guests = nx_calloc(NX_BOOT_GUESTS_MAX, sizeof *b->guests);
    if (!b->guests)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the leader's guests");
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        b->guests[i].conn.fd = -1;
    uint32_t interest = 0;
    nx_boot_watch(b, b->listen_fd, &interest, EPOLLIN, LISTENER_TAG);
    return NX_OK;
}

void nx_boot_leader_close(struct nx_bootstrap *b)
{
    for (int i = 0; b->guests && i < NX_BOOT_GUESTS_MAX; i++)
        nx_boot_conn_close(&b->guests[i].conn);
    free(b->guests);
    b->guests = NULL;
    if (b->listen_fd >= 0)
        close(b->listen_fd);
    b->listen_fd = -1;
}

static bool is_member(const struct nx_boot_guest *g)
{
    return g->state == NX_GUEST_GATHERED || g->state == NX_GUEST_VIEWED ||
           g->state == NX_GUEST_READY;
}

static void watch_guest(struct nx_bootstrap *b, struct nx_boot_guest *g)
{
    if (g->conn.fd >= 0)
        nx_boot_watch(b, g->conn.fd, &g->interest,
                      EPOLLIN | (nx_boot_conn_flushed(&g->conn) ? 0 : EPOLLOUT),
                      (uint32_t)(g - b->guests));
}

static void become(struct nx_boot_guest *g, enum nx_boot_guest_state state, nx_ns now)
{
    g->state = state;
    g->since = now;
}

static void drop_guest(struct nx_boot_guest *g)
{
    nx_boot_conn_close(&g->conn);
    g->state = NX_GUEST_FREE;
    g->interest = 0;
}

/* A stranger or a leaving guest makes place, the oldest first; there are always some, since
 * members are few. */
static struct nx_boot_guest *place_for_guest(struct nx_bootstrap *b)
{
    struct nx_boot_guest *oldest = NULL;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++) {
        struct nx_boot_guest *g = &b->guests[i];
        if (g->state == NX_GUEST_FREE)
            return g;
        if (!is_member(g) && (!oldest || g->since < oldest->since))
            oldest = g;
    }
    nx_assert(oldest);
    drop_guest(oldest);
    return oldest;
}

/* Out of descriptors: level-triggered readiness would spin, so the listener rests a moment. */
static void mute_listener(struct nx_bootstrap *b, nx_ns now)
{
    nx_warn("bootstrap: no connection can be accepted now: %s", strerror(errno));
    uint32_t interest = EPOLLIN;
    nx_boot_watch(b, b->listen_fd, &interest, EPOLLET, LISTENER_TAG);
    b->listen_muted_until = now + MUTE_NS;
}

static void unmute_listener(struct nx_bootstrap *b)
{
    uint32_t interest = EPOLLET;
    nx_boot_watch(b, b->listen_fd, &interest, EPOLLIN, LISTENER_TAG);
    b->listen_muted_until = 0;
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
        struct nx_boot_guest *g = place_for_guest(b);
        struct nx_err err = {0};
        if (nx_boot_conn_adopt(&g->conn, fd, &b->identity, &err) != NX_OK) {
            nx_warn("bootstrap: %s was turned away: %s", g->conn.peer, err.text);
            continue;
        }
        become(g, NX_GUEST_STRANGER, now);
        watch_guest(b, g);
    }
    return true;
}

static void refuse(struct nx_boot_guest *g, nx_ns now, const char *why)
{
    nx_warn("bootstrap: refused %s: %s", g->conn.peer, why);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (nx_boot_conn_send(&g->conn, frame, nx_boot_encode_refused(why, frame)))
        become(g, NX_GUEST_LEAVING, now);
    else
        drop_guest(g);
}

/* The host that has this id, or NULL. */
static const char *holder_of(const struct nx_bootstrap *b, nx_node node)
{
    if (node == b->mine.node)
        return b->mine.host;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (is_member(&b->guests[i]) && b->guests[i].hello.node == node)
            return b->guests[i].hello.host;
    return NULL;
}

static enum nx_status check_hello(const struct nx_bootstrap *b, const struct nx_boot_hello *hello,
                                  struct nx_err *err)
{
    NX_TRY(nx_boot_compare(&b->mine, hello, err));
    const char *holder = holder_of(b, hello->node);
    if (holder)
        return nx_err_set(err, NX_EXISTS, "node id %u is taken by %s", hello->node, holder);
    if (b->phase != NX_BOOT_GATHERING)
        return nx_err_set(err, NX_DENIED,
                          "the group has its first view; joining is not possible yet");
    return NX_OK;
}

static void take_hello(struct nx_bootstrap *b, struct nx_boot_guest *g, const uint8_t *payload,
                       size_t len, nx_ns now)
{
    struct nx_err err = {0};
    struct nx_boot_hello hello;
    enum nx_status status = nx_boot_decode_hello(payload, len, &hello, &err);
    if (status == NX_OK && !nx_boot_conn_speaks_for(&g->conn, hello.node, hello.layout_hash))
        status = nx_err_set(&err, NX_DENIED, "its hello is of node %u, its proof of another",
                            hello.node);
    if (status == NX_OK)
        status = check_hello(b, &hello, &err);
    if (status != NX_OK) {
        refuse(g, now, err.text);
        return;
    }
    g->hello = hello;
    become(g, NX_GUEST_GATHERED, now);
    nx_info("bootstrap: node %u came from %s", hello.node, g->conn.peer);
}

static void lose_guest(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now, const char *why)
{
    bool viewed = g->state == NX_GUEST_VIEWED || g->state == NX_GUEST_READY;
    if (is_member(g))
        nx_warn("bootstrap: node %u at %s was lost before the first view: %s", g->hello.node,
                g->conn.peer, why);
    else
        nx_debug("bootstrap: %s: %s", g->conn.peer, why);
    drop_guest(g);
    if (viewed)
        nx_boot_leader_start_over(b, now, why);
}

static void take_frame(struct nx_bootstrap *b, struct nx_boot_guest *g, enum nx_boot_kind kind,
                       const uint8_t *payload, size_t len, nx_ns now)
{
    if (kind == NX_BOOT_HELLO && g->state == NX_GUEST_STRANGER)
        take_hello(b, g, payload, len, now);
    else if (kind == NX_BOOT_CONNECTED && g->state == NX_GUEST_VIEWED)
        become(g, NX_GUEST_READY, now);
    else
        lose_guest(b, g, now, "it said something out of turn");
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
            refuse(g, now, err.text);
            break;
        }
        if (status != NX_OK) {
            lose_guest(b, g, now, err.text);
            return;
        }
        take_frame(b, g, kind, payload, len, now);
        if (g->conn.fd >= 0)
            nx_boot_conn_drop(&g->conn, len);
    }
    g->conn.in_bytes = 0; /* what a leaving guest says is not read */
}

/* Closing at once would reset the connection and take the refusal with it; so its end comes
 * first. */
static void see_off(struct nx_boot_guest *g)
{
    if (g->state == NX_GUEST_LEAVING && nx_boot_conn_flushed(&g->conn) && g->conn.fd >= 0)
        (void)shutdown(g->conn.fd, SHUT_WR);
}

static bool guest_event(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_ns now)
{
    bool moved = false;
    struct nx_err err = {0};
    enum nx_status status = nx_boot_conn_move(&g->conn, &moved, &err);
    take_frames(b, g, now);
    if (status != NX_OK && g->conn.fd >= 0)
        lose_guest(b, g, now, err.text);
    else if (g->conn.fd >= 0) {
        see_off(g);
        watch_guest(b, g);
    }
    return moved || status != NX_OK;
}

bool nx_boot_leader_event(struct nx_bootstrap *b, uint32_t tag, nx_ns now)
{
    if (tag == LISTENER_TAG)
        return b->listen_muted_until == 0 && accept_some(b, now);
    nx_assert(tag < NX_BOOT_GUESTS_MAX);
    return b->guests[tag].conn.fd >= 0 && guest_event(b, &b->guests[tag], now);
}

/* --- phases ----------------------------------------------------------------------------------- */

static uint32_t count_guests(const struct nx_bootstrap *b, enum nx_boot_guest_state state)
{
    uint32_t count = 0;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        count += b->guests[i].state == state;
    return count;
}

/* Who has it may write into our memory, so it is never guessable: without random bytes there is
 * no view. */
static bool fresh_token(uint64_t *token)
{
    do
        if (!nx_boot_random(token, sizeof *token))
            return false;
    while (*token == 0);
    return true;
}

static void seat(struct nx_boot_view *view, const struct nx_boot_hello *hello)
{
    uint32_t rank = view->view.members_count++;
    struct nx_member *m = &view->view.members[rank];
    m->node = hello->node;
    m->subgroup = hello->subgroup;
    m->gms_port = hello->gms_port;
    m->address_bytes = hello->card.address_bytes;
    memcpy(m->address, hello->card.address, sizeof m->address);
    memcpy(m->host, hello->host, sizeof m->host);
    view->cards[rank] = hello->card;
}

/* The gathered guest with the lowest node id above `floor`, or NULL. */
static struct nx_boot_guest *next_gathered(struct nx_bootstrap *b, int64_t floor)
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

static bool make_view(struct nx_bootstrap *b)
{
    memset(&b->view, 0, sizeof b->view);
    if (!fresh_token(&b->view.token) ||
        !nx_boot_random(b->view.view.group_id, sizeof b->view.view.group_id))
        return false;
    b->view.view.vid = 1;
    seat(&b->view, &b->mine);
    int64_t floor = -1;
    for (struct nx_boot_guest *g; (g = next_gathered(b, floor)); floor = g->hello.node)
        seat(&b->view, &g->hello);
    nx_view_assign(NULL, &b->config.spec, &b->view.view);
    return true;
}

static void send_view(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_rank rank, nx_ns now)
{
    struct nx_boot_view copy = b->view;
    copy.rank = rank;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (!nx_boot_conn_send(&g->conn, frame, nx_boot_encode_view(&copy, frame))) {
        lose_guest(b, g, now, "it does not read");
        return;
    }
    become(g, NX_GUEST_VIEWED, now);
    watch_guest(b, g);
}

static bool try_view(struct nx_bootstrap *b, nx_ns now)
{
    if (count_guests(b, NX_GUEST_GATHERED) + 1 < b->config.first_view_nodes)
        return false;
    if (!make_view(b)) {
        nx_err_set(&b->error, NX_FATAL, "no random bytes for the view's token: %s",
                   strerror(errno));
        nx_boot_fail(b, now);
        return true;
    }
    nx_assert(b->view.view.members_count == b->config.first_view_nodes);
    b->attempt++;
    nx_boot_enter(b, NX_BOOT_CONNECTING, now, "all nodes of the first view have come");
    for (nx_rank rank = 1; rank < b->view.view.members_count; rank++) {
        struct nx_boot_guest *g = next_gathered(b, (int64_t)b->view.view.members[rank].node - 1);
        if (b->phase != NX_BOOT_CONNECTING || !g)
            break; /* one was lost on the way: all start over */
        send_view(b, g, rank, now);
    }
    return true;
}

void nx_boot_leader_start_over(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    if (b->phase != NX_BOOT_CONNECTING)
        return;
    nx_warn("bootstrap: the first view starts over: %s", why);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (is_member(&b->guests[i]))
            drop_guest(&b->guests[i]); /* they call again */
    nx_boot_enter(b, NX_BOOT_GATHERING, now, why);
}

/* A node that cannot be told go has lost its connection; the installed view will see it as dead. */
static bool try_go(struct nx_bootstrap *b, nx_ns now)
{
    uint32_t others = b->config.first_view_nodes - 1;
    if (!b->self_connected || count_guests(b, NX_GUEST_READY) < others)
        return false;
    nx_boot_enter(b, NX_BOOT_INSTALLED, now, "all are connected");
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_empty(NX_BOOT_GO, frame);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++) {
        struct nx_boot_guest *g = &b->guests[i];
        if (g->state != NX_GUEST_READY)
            continue;
        (void)nx_boot_conn_send(&g->conn, frame, bytes);
        become(g, NX_GUEST_LEAVING, now);
        (void)guest_event(b, g, now); /* go leaves now, not at the next readiness */
    }
    return true;
}

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

static bool expire_guests(struct nx_bootstrap *b, nx_ns now)
{
    bool any = false;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (now >= timeout_of(&b->guests[i])) {
            lose_guest(b, &b->guests[i], now, "it said nothing in time");
            any = true;
        }
    return any;
}

static void give_up(struct nx_bootstrap *b, nx_ns now)
{
    nx_err_set(&b->error, NX_DEADLINE, "only %u of %u nodes came within %g s",
               count_guests(b, NX_GUEST_GATHERED) + 1, b->config.first_view_nodes,
               (double)b->config.join_timeout_ns / (double)NX_SEC);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (is_member(&b->guests[i])) {
            refuse(&b->guests[i], now, b->error.text);
            (void)guest_event(b, &b->guests[i], now);
        }
    nx_boot_fail(b, now);
}

bool nx_boot_leader_turn(struct nx_bootstrap *b, nx_ns now)
{
    bool moved = expire_guests(b, now);
    if (b->listen_muted_until && now >= b->listen_muted_until)
        unmute_listener(b);
    if (b->phase == NX_BOOT_GATHERING)
        moved |= try_view(b, now);
    if (b->phase == NX_BOOT_CONNECTING)
        moved |= try_go(b, now);
    if (b->phase == NX_BOOT_CONNECTING && now >= b->phase_since + NX_BOOT_CONNECT_TIMEOUT_NS)
        nx_boot_leader_start_over(b, now, "the fabric was not connected in time");
    if (b->phase <= NX_BOOT_CONNECTING && now >= b->deadline)
        give_up(b, now);
    return moved;
}

nx_ns nx_boot_leader_wake_at(const struct nx_bootstrap *b)
{
    nx_ns at = b->phase <= NX_BOOT_CONNECTING ? b->deadline : NX_NEVER;
    if (b->phase == NX_BOOT_CONNECTING && b->phase_since + NX_BOOT_CONNECT_TIMEOUT_NS < at)
        at = b->phase_since + NX_BOOT_CONNECT_TIMEOUT_NS;
    if (b->listen_muted_until && b->listen_muted_until < at)
        at = b->listen_muted_until;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (timeout_of(&b->guests[i]) < at)
            at = timeout_of(&b->guests[i]);
    return at;
}
