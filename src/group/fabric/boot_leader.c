/* The first view: the configured leader gathers its nodes, connects them and lets them go. */
#include "group/fabric/boot_state.h"

#include "common/log.h"

#include <errno.h>
#include <string.h>

/* The host that has this id, or NULL. */
static const char *holder_of(const struct nx_bootstrap *b, nx_node node)
{
    if (node == b->mine.node)
        return b->mine.host;
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i]) && b->guests[i].hello.node == node)
            return b->guests[i].hello.host;
    return NULL;
}

enum nx_status nx_boot_leader_check(const struct nx_bootstrap *b, const struct nx_boot_hello *hello,
                                    struct nx_err *err)
{
    const char *holder = holder_of(b, hello->node);
    if (holder)
        return nx_err_set(err, NX_EXISTS, "node id %u is taken by %s", hello->node, holder);
    return nx_boot_restart_check(b, hello, err);
}

static void seat(struct nx_boot_view *view, const struct nx_boot_hello *hello)
{
    uint32_t rank = view->view.members_count++;
    view->view.members[rank] = nx_boot_member(hello);
    view->cards[rank] = hello->card;
}

/* Beyond first_view_nodes nobody is seated: who comes early waits for the running group. One that begins again takes
 * whoever has come. */
static uint32_t seats_of(const struct nx_bootstrap *b)
{
    return b->restart.verdict == NX_DUR_START ? b->config.members_max : b->config.first_view_nodes;
}

static bool make_view(struct nx_bootstrap *b)
{
    memset(&b->view, 0, sizeof b->view);
    if (!nx_bootstrap_token(&b->view.token) || !nx_bootstrap_token(&b->view.view.group_id[0]) ||
        !nx_bootstrap_token(&b->view.view.group_id[1]))
        return false;
    seat(&b->view, &b->mine);
    int64_t floor = -1;
    for (struct nx_boot_guest *g;
         b->view.view.members_count < seats_of(b) && (g = nx_boot_guests_next(b, floor));
         floor = g->hello.node)
        seat(&b->view, &g->hello);
    b->view.peers = nx_view_ranks(&b->view.view) & ~NX_RANK_BIT(0);
    nx_boot_restart_fill(b);
    return true;
}

static void send_view(struct nx_bootstrap *b, struct nx_boot_guest *g, nx_rank rank, nx_ns now)
{
    struct nx_boot_view copy = b->view;
    copy.rank = rank;
    copy.peers = nx_view_ranks(&copy.view) & ~NX_RANK_BIT(rank);
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (nx_boot_guest_tell(b, g, frame, nx_boot_encode_view(NX_BOOT_VIEW, &copy, frame), now))
        nx_boot_guest_become(g, NX_GUEST_VIEWED, now);
}

static bool try_view(struct nx_bootstrap *b, nx_ns now)
{
    if (b->needs_card || !nx_boot_caller_found_none(b) || !nx_boot_restart_may_begin(b, now))
        return false;
    if (!make_view(b)) {
        nx_err_set(&b->error, NX_FATAL, "no random bytes for the view's token: %s",
                   strerror(errno));
        nx_boot_fail(b, now);
        return true;
    }
    nx_boot_conn_close(&b->caller.conn);
    b->attempt++;
    nx_boot_enter(b, NX_BOOT_CONNECTING, now, "all nodes of the first view have come");
    for (nx_rank rank = 1; rank < b->view.view.members_count; rank++) {
        struct nx_boot_guest *g =
            nx_boot_guests_next(b, (int64_t)b->view.view.members[rank].node - 1);
        if (b->phase != NX_BOOT_CONNECTING || !g)
            break; /* one was lost on the way: all start over */
        send_view(b, g, rank, now);
    }
    return true;
}

void nx_boot_leader_start_over(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    if (b->phase != NX_BOOT_CONNECTING || b->joining)
        return;
    nx_warn("bootstrap: the first view starts over: %s", why);
    struct nx_err err = {0};
    nx_err_set(&err, NX_AGAIN, "the first view starts over: %s", why);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i]))
            nx_boot_guest_put_off(b, &b->guests[i], now, err.text);
    nx_boot_enter(b, NX_BOOT_GATHERING, now, why);
}

/* A node that cannot be told go has lost its connection; the installed view will see it as dead.
 * Who came too late for the first view is an applicant of the group now. */
static bool try_go(struct nx_bootstrap *b, nx_ns now)
{
    uint32_t others = b->view.view.members_count - 1;
    if (!b->self_connected || nx_boot_guests_count(b, NX_GUEST_READY) < others)
        return false;
    b->leads = true;
    nx_boot_enter(b, NX_BOOT_INSTALLED, now, "all are connected");
    uint8_t frame[NX_BOOT_FRAME_MAX];
    size_t bytes = nx_boot_encode_empty(NX_BOOT_GO, frame);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (b->guests[i].state == NX_GUEST_READY)
            nx_boot_guest_dismiss(b, &b->guests[i], frame, bytes, now);
    return true;
}

static void give_up(struct nx_bootstrap *b, nx_ns now)
{
    const struct nx_boot_caller *c = &b->caller;
    double seconds = (double)b->config.join_timeout_ns / (double)NX_SEC;
    if (c->group_seen)
        nx_err_set(&b->error, NX_DEADLINE, "no view within %g s: the leader %s:%u: %s", seconds,
                   c->at.host, c->at.port, c->trouble);
    else if (b->restart.verdict == NX_DUR_WAIT && b->restart.why.status != NX_OK)
        nx_err_set(&b->error, NX_DEADLINE, "the group did not begin again within %g s: %s", seconds,
                   b->restart.why.text);
    else
        nx_err_set(&b->error, NX_DEADLINE, "only %u of %u nodes came within %g s",
                   nx_boot_guests_count(b, NX_GUEST_GATHERED) + 1, b->config.first_view_nodes,
                   seconds);
    for (int i = 0; i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i]))
            nx_boot_guest_refuse(b, &b->guests[i], now, b->error.text);
    nx_boot_fail(b, now);
}

bool nx_boot_leader_turn(struct nx_bootstrap *b, nx_ns now)
{
    bool moved = false;
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
    if (b->phase == NX_BOOT_GATHERING)
        return b->restart_at;
    return b->phase == NX_BOOT_CONNECTING ? b->phase_since + NX_BOOT_CONNECT_TIMEOUT_NS : NX_NEVER;
}
