/* Our call: the leader and the contacts in turn, and where they send us.
 *
 *     resting ──retry_at──▶ calling ──proof, hello──▶ heard ──view or seat──▶ connecting ──go, welcome──▶ installed
 *        ▲                     │ silence, an end, later   │                       │
 *        └─────────────────────┴───── hang up ────────────┴───────────────────────┘
 *
 * The configured leader calls too, but only its contacts: they may have a group. A member calls only to probe. */
#include "group/fabric/boot_state.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static void add_target(struct nx_bootstrap *b, const char *host, uint16_t port)
{
    struct nx_boot_caller *c = &b->caller;
    struct nx_boot_address at = {.port = port};
    snprintf(at.host, sizeof at.host, "%s", host);
    if (!nx_boot_is_here(b, &at))
        c->targets[c->targets_count++] = at;
}

void nx_boot_caller_open(struct nx_bootstrap *b, nx_ns now)
{
    add_target(b, b->config.leader_ip, b->config.leader_gms_port);
    for (uint32_t i = 0; i < b->config.contacts_count; i++)
        add_target(b, b->config.contacts[i].ip, b->config.contacts[i].port);
    b->caller.retry_at = now;
    b->caller.retry_ns = NX_BOOT_RETRY_MIN_NS;
}

bool nx_boot_caller_found_none(const struct nx_bootstrap *b)
{
    return b->caller.asked >= b->caller.targets_count && !b->caller.group_seen;
}

static void watch_call(struct nx_bootstrap *b)
{
    struct nx_boot_caller *c = &b->caller;
    if (c->conn.fd >= 0)
        nx_boot_watch(b, c->conn.fd, &c->interest,
                      EPOLLIN | (nx_boot_conn_flushed(&c->conn) ? 0 : EPOLLOUT), NX_BOOT_TAG_CALL);
}

/* --- pauses ----------------------------------------------------------------------------------- */

/* After a round of all targets. Half of the pause is chance: nodes that were cut off together do not
 * come back together. */
static void rest(struct nx_bootstrap *b, nx_ns now)
{
    struct nx_boot_caller *c = &b->caller;
    nx_boot_conn_close(&c->conn);
    c->there.port = 0;
    c->redirects = 0;
    c->retry_at = now;
    bool goes_on = !c->group_seen || c->aside; /* to the next one, at once */
    if (b->phase == NX_BOOT_GATHERING && c->next < c->targets_count && goes_on)
        return;
    c->next = 0;
    c->retry_at = now + c->retry_ns / 2 + (nx_ns)nx_prng_below(&b->prng, (uint64_t)c->retry_ns);
    c->retry_ns = 2 * c->retry_ns < NX_BOOT_RETRY_MAX_NS ? 2 * c->retry_ns : NX_BOOT_RETRY_MAX_NS;
}

/* The attempt is over, for a reason that is told once as long as it stays the same. */
void nx_boot_caller_hang_up(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    struct nx_boot_caller *c = &b->caller;
    if (strcmp(c->trouble, why) != 0)
        nx_info("bootstrap: %s:%u: %s", c->at.host, c->at.port, why);
    snprintf(c->trouble, sizeof c->trouble, "%s", why);
    rest(b, now);
    if (b->phase == NX_BOOT_CONNECTING) {
        b->joining = false;
        nx_boot_enter(b, NX_BOOT_GATHERING, now, why);
    }
}

static void saw_group(struct nx_bootstrap *b)
{
    b->caller.group_seen = true;
    b->caller.asked = 0;
}

/* Nobody there knows of a group. Whoever leads the first view goes on waiting for its nodes. */
static void found_none(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    b->caller.asked++;
    if (b->caller.asked >= b->caller.targets_count)
        b->caller.group_seen = false; /* all of them say so, one after the other */
    nx_boot_caller_hang_up(b, now, why);
}

/* Whom we called cannot be reached, or is none of ours. The others come first, before it is called
 * again. */
static void fail_call(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    if (b->phase == NX_BOOT_INSTALLED)
        nx_boot_conn_close(&b->caller.conn);
    else if (b->phase == NX_BOOT_GATHERING && !b->caller.answered)
        found_none(b, now, why);
    else
        nx_boot_caller_hang_up(b, now, why);
}

/* --- speaking --------------------------------------------------------------------------------- */

/* The hello carries our card: it waits for the other end's proof. */
static void say_hello(struct nx_bootstrap *b, nx_ns now)
{
    struct nx_boot_caller *c = &b->caller;
    if (c->said_hello || c->conn.fd < 0 || !nx_boot_conn_settled(&c->conn))
        return;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    struct nx_boot_probe probe = {.group_id = {b->running.group_id[0], b->running.group_id[1]},
                                  .vid = b->running.vid,
                                  .node = b->mine.node};
    b->mine.clock = nx_clock_wall();
    size_t bytes = b->phase == NX_BOOT_INSTALLED
                       ? nx_boot_encode_probe(NX_BOOT_PROBE, &probe, frame)
                       : nx_boot_encode_hello(&b->mine, frame);
    c->said_hello = nx_boot_conn_send(&c->conn, frame, bytes);
    if (!c->said_hello)
        fail_call(b, now, "the hello could not be sent");
}

static void call_at(struct nx_bootstrap *b, const struct nx_boot_address *at, nx_ns now)
{
    struct nx_boot_caller *c = &b->caller;
    struct nx_err err = {0};
    c->at = *at;
    c->there.port = 0;
    c->said_hello = c->answered = c->queued = c->aside = false;
    c->called_at = now;
    c->interest = 0;
    if (nx_boot_call(&c->conn, c->at.host, c->at.port, &b->identity, &err) != NX_OK) {
        fail_call(b, now, err.text);
        return;
    }
    say_hello(b, now);
    watch_call(b);
}

static void call_next(struct nx_bootstrap *b, nx_ns now)
{
    struct nx_boot_caller *c = &b->caller;
    struct nx_boot_address at = c->there.port ? c->there : c->targets[c->next++];
    call_at(b, &at, now);
}

void nx_boot_caller_probe(struct nx_bootstrap *b, const struct nx_boot_address *at, nx_ns now)
{
    call_at(b, at, now);
}

bool nx_boot_caller_say_connected(struct nx_bootstrap *b)
{
    uint8_t frame[NX_BOOT_FRAME_MAX];
    if (!nx_boot_conn_send(&b->caller.conn, frame, nx_boot_encode_empty(NX_BOOT_CONNECTED, frame)))
        return false;
    watch_call(b);
    return true;
}

/* --- listening -------------------------------------------------------------------------------- */

/* Who answers for the leader is none, or we do not belong to it: for good. */
static void fail_for_good(struct nx_bootstrap *b, bool refused, const char *why, nx_ns now)
{
    const struct nx_boot_caller *c = &b->caller;
    if (refused)
        nx_err_set(&b->error, NX_DENIED, "the leader %s:%u refused node %u: %s", c->at.host,
                   c->at.port, b->config.local_id, why);
    else
        nx_err_set(&b->error, NX_DENIED, "node %u does not join at the leader %s:%u: %s",
                   b->config.local_id, c->at.host, c->at.port, why);
    nx_warn("bootstrap: %s", b->error.text);
    nx_boot_fail(b, now);
}

/* A contact that does not take the leader's secret may be a node that only waits for the leader,
 * which will refuse it in turn; or of a group that has another secret by now. So the leader
 * waits for it to end. */
static void refused(struct nx_bootstrap *b, bool by_them, const char *why, nx_ns now)
{
    if (!b->leader || b->phase != NX_BOOT_GATHERING || nx_boot_conn_settled(&b->caller.conn)) {
        fail_for_good(b, by_them, why, now);
        return;
    }
    saw_group(b);
    nx_boot_caller_hang_up(b, now, why);
}

static void take_reason(struct nx_bootstrap *b, enum nx_boot_kind kind, const uint8_t *payload,
                        size_t len, nx_ns now)
{
    char why[NX_ERR_TEXT_BYTES];
    nx_boot_decode_reason(payload, len, why, sizeof why);
    if (kind == NX_BOOT_REFUSED) {
        refused(b, true, why, now);
        return;
    }
    struct nx_boot_address there = b->caller.at;
    saw_group(b);
    b->caller.aside = kind == NX_BOOT_ASIDE;
    nx_boot_caller_hang_up(b, now, why);
    if (kind == NX_BOOT_LATER)
        b->caller.there = there; /* it leads: it is called again */
}

/* One that leads the first view sends everybody to itself, also from where no group is. */
static void take_redirect(struct nx_bootstrap *b, const uint8_t *payload, size_t len, nx_ns now)
{
    struct nx_boot_caller *c = &b->caller;
    struct nx_boot_address to;
    struct nx_err err = {0};
    if (nx_boot_decode_redirect(payload, len, &to, &err) != NX_OK) {
        fail_call(b, now, err.text);
        return;
    }
    c->answered = true;
    if (nx_boot_is_here(b, &to)) {
        found_none(b, now,
                   b->leader ? "it awaits the first view, as we do"
                             : "it takes this node for its leader");
        return;
    }
    if (++c->redirects > NX_BOOT_REDIRECTS_MAX) {
        nx_boot_caller_hang_up(b, now, "nodes send us to and fro");
        return;
    }
    nx_debug("bootstrap: %s:%u sends us to %s:%u", c->at.host, c->at.port, to.host, to.port);
    nx_boot_conn_close(&c->conn);
    c->there = to;
    c->retry_at = now;
}

/* Of a running group: for a seat. Of another leader: for the nodes of its first view. */
static void take_wait(struct nx_bootstrap *b, const uint8_t *payload, size_t len, nx_ns now)
{
    b->caller.answered = true;
    b->caller.queued = len == 1 && payload[0] == 1;
    b->caller.called_at = now;
    if (b->caller.queued)
        saw_group(b);
    else if (b->leader)
        found_none(b, now, "it awaits a first view of its own");
}

static void take_view(struct nx_bootstrap *b, enum nx_boot_kind kind, const uint8_t *payload,
                      size_t len, nx_ns now)
{
    struct nx_err err = {0};
    struct nx_boot_view view;
    bool seat = kind == NX_BOOT_SEAT;
    if (nx_boot_decode_view(kind, payload, len, &view, &err) != NX_OK) {
        fail_call(b, now, err.text);
        return;
    }
    bool ours = !seat && view.view.members[view.rank].node == b->config.local_id;
    if (ours == seat || view.rank >= b->config.members_max ||
        view.view.members_count > b->config.members_max || b->needs_card) {
        fail_call(b, now, "the leader's view does not fit this node");
        return;
    }
    b->view = view;
    b->attempt++;
    b->joining = seat;
    b->caller.answered = true;
    b->caller.retry_ns = NX_BOOT_RETRY_MIN_NS;
    nx_boot_enter(b, NX_BOOT_CONNECTING, now,
                  seat ? "a seat was given" : "the leader sent the view");
    for (int i = 0; seat && b->leader && i < NX_BOOT_GUESTS_MAX; i++)
        if (nx_boot_is_member(&b->guests[i])) /* our first view will not be: theirs is there, too */
            nx_boot_guest_redirect(b, &b->guests[i], &b->caller.at, now);
}

static void take_welcome(struct nx_bootstrap *b, const uint8_t *payload, size_t len, nx_ns now)
{
    struct nx_err err = {0};
    struct nx_boot_view view;
    if (nx_boot_decode_view(NX_BOOT_WELCOME, payload, len, &view, &err) != NX_OK) {
        nx_boot_caller_hang_up(b, now, err.text);
        return;
    }
    const struct nx_member *m = &view.view.members[view.rank];
    if (view.token != b->view.token || view.rank != b->view.rank ||
        view.view.vid <= b->view.view.vid || view.view.members_count > b->config.members_max ||
        m->node != b->config.local_id) {
        nx_boot_caller_hang_up(b, now, "the leader's view is not the one of our seat");
        return;
    }
    b->view = view;
    nx_boot_enter(b, NX_BOOT_INSTALLED, now, "the group has us");
}

/* Our group, a later view, and we are not in it: the majority went on. Or the same view, and blocked like ours. Or no view
 * yet: there the group begins again. */
static void take_probed(struct nx_bootstrap *b, const uint8_t *payload, size_t len)
{
    struct nx_boot_probe there;
    struct nx_err err = {0};
    bool ours = nx_boot_decode_probe(payload, len, &there, &err) == NX_OK &&
                memcmp(there.group_id, b->running.group_id, sizeof there.group_id) == 0;
    if (ours && !there.member && there.vid > b->running.vid)
        b->left_behind = there.vid;
    b->restarts |= ours && there.vid == 0;
    if (ours && there.vid == b->running.vid)
        b->other_side = there.alive & nx_view_ranks(&b->running);
    nx_boot_conn_close(&b->caller.conn);
}

static void take_frame(struct nx_bootstrap *b, enum nx_boot_kind kind, const uint8_t *payload,
                       size_t len, nx_ns now)
{
    if (b->phase == NX_BOOT_INSTALLED) {
        if (kind == NX_BOOT_PROBED)
            take_probed(b, payload, len);
        nx_boot_conn_close(&b->caller.conn); /* whatever else: nothing was found */
        return;
    }
    bool gathering = b->phase == NX_BOOT_GATHERING;
    bool connected = b->phase == NX_BOOT_CONNECTING && b->self_connected;
    if (kind == NX_BOOT_REFUSED || kind == NX_BOOT_LATER || kind == NX_BOOT_ASIDE)
        take_reason(b, kind, payload, len, now);
    else if (kind == NX_BOOT_REDIRECT && gathering)
        take_redirect(b, payload, len, now);
    else if (kind == NX_BOOT_WAIT && gathering)
        take_wait(b, payload, len, now);
    else if ((kind == NX_BOOT_SEAT || (kind == NX_BOOT_VIEW && !b->leader)) && gathering)
        take_view(b, kind, payload, len, now);
    else if (kind == NX_BOOT_GO && connected && !b->joining)
        nx_boot_enter(b, NX_BOOT_INSTALLED, now, "the leader said go");
    else if (kind == NX_BOOT_WELCOME && connected && b->joining)
        take_welcome(b, payload, len, now);
    else
        fail_call(b, now, "it said something out of turn");
}

static bool take_frames(struct nx_bootstrap *b, nx_ns now)
{
    struct nx_boot_conn *conn = &b->caller.conn;
    bool any = false;
    while (conn->fd >= 0 && b->phase != NX_BOOT_FAILED) {
        enum nx_boot_kind kind;
        const uint8_t *payload;
        size_t len;
        struct nx_err err = {0};
        enum nx_status status = nx_boot_conn_peek(conn, &kind, &payload, &len, &err);
        if (status == NX_AGAIN)
            break;
        any = true;
        if (status != NX_OK && b->phase == NX_BOOT_INSTALLED)
            nx_boot_conn_close(conn);
        else if (status == NX_DENIED)
            refused(b, false, err.text, now);
        else if (status != NX_OK)
            fail_call(b, now, err.text);
        else
            take_frame(b, kind, payload, len, now);
        if (status != NX_OK)
            break;
        if (conn->fd >= 0)
            nx_boot_conn_drop(conn, len);
    }
    return any;
}

bool nx_boot_caller_event(struct nx_bootstrap *b, nx_ns now)
{
    struct nx_boot_conn *conn = &b->caller.conn;
    bool moved = false;
    struct nx_err err = {0};
    if (conn->fd < 0)
        return false;
    bool was_installed = b->phase == NX_BOOT_INSTALLED;
    enum nx_status status = nx_boot_conn_move(conn, &moved, &err);
    moved |= take_frames(b, now);
    say_hello(b, now);
    if (status != NX_OK && conn->fd >= 0)
        fail_call(b, now, err.text);
    if (b->phase == NX_BOOT_INSTALLED && !was_installed)
        nx_boot_conn_close(conn); /* the call has brought us in */
    watch_call(b);
    return moved || status != NX_OK;
}

/* --- time ------------------------------------------------------------------------------------- */

/* When the other end's silence ends the call. */
static nx_ns silent_at(const struct nx_bootstrap *b)
{
    const struct nx_boot_caller *c = &b->caller;
    if (c->conn.fd < 0 || b->phase == NX_BOOT_FAILED)
        return NX_NEVER;
    if (b->phase == NX_BOOT_INSTALLED)
        return c->called_at + NX_BOOT_ANSWER_TIMEOUT_NS;
    if (b->phase == NX_BOOT_CONNECTING)
        return b->leader && !b->joining ? NX_NEVER
                                        : b->phase_since + 2 * NX_BOOT_CONNECT_TIMEOUT_NS;
    if (c->queued)
        return c->called_at + NX_BOOT_QUEUE_TIMEOUT_NS;
    return c->answered ? NX_NEVER : c->called_at + NX_BOOT_ANSWER_TIMEOUT_NS;
}

static bool may_call(const struct nx_bootstrap *b)
{
    return b->phase == NX_BOOT_GATHERING && b->caller.conn.fd < 0 && b->caller.targets_count > 0 &&
           !b->needs_card;
}

bool nx_boot_caller_turn(struct nx_bootstrap *b, nx_ns now)
{
    if (now >= silent_at(b))
        fail_call(b, now,
                  b->phase == NX_BOOT_CONNECTING          ? "the fabric was not connected in time"
                  : nx_boot_conn_settled(&b->caller.conn) ? "it did not answer in time"
                                                          : "it did not prove itself in time");
    if (!may_call(b) || now < b->caller.retry_at)
        return false;
    call_next(b, now);
    return true;
}

nx_ns nx_boot_caller_wake_at(const struct nx_bootstrap *b)
{
    nx_ns at = silent_at(b);
    return may_call(b) && b->caller.retry_at < at ? b->caller.retry_at : at;
}
