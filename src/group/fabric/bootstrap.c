#include "group/fabric/boot_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

void nx_boot_enter(struct nx_bootstrap *b, enum nx_boot_phase phase, nx_ns now, const char *why)
{
    static const char *const names[] = {"gathering", "connecting", "installed", "failed"};
    static const bool allowed[4][4] = {
        [NX_BOOT_GATHERING] = {[NX_BOOT_CONNECTING] = true, [NX_BOOT_FAILED] = true},
        [NX_BOOT_CONNECTING] =
            {[NX_BOOT_GATHERING] = true, [NX_BOOT_INSTALLED] = true, [NX_BOOT_FAILED] = true},
    };
    nx_assert(allowed[b->phase][phase]);
    nx_debug("bootstrap: %s, was %s: %s", names[phase], names[b->phase], why);
    b->phase = phase;
    b->phase_since = now;
    b->self_connected = false;
}

void nx_boot_fail(struct nx_bootstrap *b, nx_ns now)
{
    nx_boot_enter(b, NX_BOOT_FAILED, now, b->error.text);
    nx_boot_conn_close(&b->conn);
}

/* Keeps one descriptor's interest in the epoll set as wanted; `interest` is 0 while it is not in
 * the set. */
void nx_boot_watch(struct nx_bootstrap *b, int fd, uint32_t *interest, uint32_t want, uint32_t tag)
{
    if (*interest == want)
        return;
    struct epoll_event e = {.events = want, .data.u32 = tag};
    int rc = epoll_ctl(b->epoll_fd, *interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e);
    if (rc != 0)
        nx_warn("bootstrap: epoll_ctl: %s", strerror(errno));
    *interest = want;
}

/* --- the joiner ------------------------------------------------------------------------------- */

static void watch_leader(struct nx_bootstrap *b)
{
    if (b->conn.fd >= 0)
        nx_boot_watch(b, b->conn.fd, &b->interest,
                      EPOLLIN | (nx_boot_conn_flushed(&b->conn) ? 0 : EPOLLOUT), 0);
}

static void hang_up(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    snprintf(b->last_trouble, sizeof b->last_trouble, "%s", why);
    nx_boot_conn_close(&b->conn);
    b->retry_at = now + NX_BOOT_RETRY_NS;
    if (b->phase == NX_BOOT_CONNECTING)
        nx_boot_enter(b, NX_BOOT_GATHERING, now, why);
}

/* The hello carries our card: it waits for the leader's proof. */
static void say_hello(struct nx_bootstrap *b, nx_ns now)
{
    if (b->said_hello || b->conn.fd < 0 || !nx_boot_conn_settled(&b->conn))
        return;
    uint8_t frame[NX_BOOT_FRAME_MAX];
    b->said_hello = nx_boot_conn_send(&b->conn, frame, nx_boot_encode_hello(&b->mine, frame));
    if (!b->said_hello)
        hang_up(b, now, "the hello could not be sent");
}

static void call_leader(struct nx_bootstrap *b, nx_ns now)
{
    struct nx_err err = {0};
    if (nx_boot_call(&b->conn, b->config.leader_ip, b->config.leader_gms_port, &b->identity,
                     &err) != NX_OK) {
        hang_up(b, now, err.text);
        return;
    }
    b->said_hello = false;
    b->called_at = now;
    b->interest = 0;
    say_hello(b, now);
    watch_leader(b);
}

/* Who answers for the leader is none, or we do not belong to it: for good. */
static void deny_leader(struct nx_bootstrap *b, const char *why, nx_ns now)
{
    nx_err_set(&b->error, NX_DENIED, "node %u does not join at the leader %s:%u: %s",
               b->config.local_id, b->config.leader_ip, b->config.leader_gms_port, why);
    nx_boot_fail(b, now);
}

static void take_refusal(struct nx_bootstrap *b, const uint8_t *payload, size_t len, nx_ns now)
{
    char why[NX_ERR_TEXT_BYTES];
    nx_boot_decode_refused(payload, len, why, sizeof why);
    nx_err_set(&b->error, NX_DENIED, "the leader %s:%u refused node %u: %s", b->config.leader_ip,
               b->config.leader_gms_port, b->config.local_id, why);
    nx_boot_fail(b, now);
}

static void take_view(struct nx_bootstrap *b, const uint8_t *payload, size_t len, nx_ns now)
{
    struct nx_err err = {0};
    struct nx_boot_view view;
    if (nx_boot_decode_view(payload, len, &view, &err) != NX_OK) {
        hang_up(b, now, err.text);
        return;
    }
    if (view.view.members[view.rank].node != b->config.local_id ||
        view.view.members_count > b->config.members_max) {
        hang_up(b, now, "the leader's view does not fit this node");
        return;
    }
    b->view = view;
    b->attempt++;
    nx_boot_enter(b, NX_BOOT_CONNECTING, now, "the leader sent the view");
}

static void take_frame(struct nx_bootstrap *b, enum nx_boot_kind kind, const uint8_t *payload,
                       size_t len, nx_ns now)
{
    if (kind == NX_BOOT_REFUSED)
        take_refusal(b, payload, len, now);
    else if (kind == NX_BOOT_VIEW && b->phase == NX_BOOT_GATHERING)
        take_view(b, payload, len, now);
    else if (kind == NX_BOOT_GO && b->phase == NX_BOOT_CONNECTING && b->self_connected)
        nx_boot_enter(b, NX_BOOT_INSTALLED, now, "the leader said go");
    else
        hang_up(b, now, "the leader said something out of turn");
}

static bool take_frames(struct nx_bootstrap *b, nx_ns now)
{
    bool any = false;
    while (b->conn.fd >= 0 && b->phase <= NX_BOOT_CONNECTING) {
        enum nx_boot_kind kind;
        const uint8_t *payload;
        size_t len;
        struct nx_err err = {0};
        enum nx_status status = nx_boot_conn_peek(&b->conn, &kind, &payload, &len, &err);
        if (status == NX_AGAIN)
            break;
        any = true;
        if (status != NX_OK) {
            if (status == NX_DENIED)
                deny_leader(b, err.text, now);
            else
                hang_up(b, now, err.text);
            break;
        }
        take_frame(b, kind, payload, len, now);
        if (b->conn.fd >= 0)
            nx_boot_conn_drop(&b->conn, len);
    }
    return any;
}

static bool joiner_event(struct nx_bootstrap *b, nx_ns now)
{
    bool moved = false;
    struct nx_err err = {0};
    enum nx_status status = nx_boot_conn_move(&b->conn, &moved, &err);
    moved |= take_frames(b, now);
    say_hello(b, now);
    if (status != NX_OK && b->conn.fd >= 0 && b->phase <= NX_BOOT_CONNECTING)
        hang_up(b, now, err.text);
    watch_leader(b);
    return moved || status != NX_OK;
}

static bool proof_is_awaited(const struct nx_bootstrap *b)
{
    return b->phase == NX_BOOT_GATHERING && b->conn.fd >= 0 && !nx_boot_conn_settled(&b->conn);
}

static bool proof_is_late(const struct nx_bootstrap *b, nx_ns now)
{
    return proof_is_awaited(b) && now >= b->called_at + NX_BOOT_PROOF_TIMEOUT_NS;
}

static bool joiner_turn(struct nx_bootstrap *b, nx_ns now)
{
    if (b->phase == NX_BOOT_INSTALLED && b->conn.fd >= 0) {
        nx_boot_conn_close(&b->conn);
        nx_boot_secret_wipe(&b->secret); /* nobody is called, and nobody calls, any more */
    }
    if (proof_is_late(b, now))
        hang_up(b, now, "the leader did not prove itself in time");
    if (b->phase == NX_BOOT_CONNECTING && now >= b->phase_since + 2 * NX_BOOT_CONNECT_TIMEOUT_NS)
        hang_up(b, now, "the fabric was not connected in time");
    if (b->phase == NX_BOOT_GATHERING && b->conn.fd < 0 && now >= b->retry_at) {
        call_leader(b, now);
        return true;
    }
    return false;
}

/* --- everybody -------------------------------------------------------------------------------- */

static void describe_self(struct nx_bootstrap *b, uint64_t layout_hash,
                          const struct nx_fabric_card *card)
{
    const struct nx_group_config *c = &b->config;
    b->mine = (struct nx_boot_hello){
        .version = NX_BOOT_VERSION,
        .layout_hash = layout_hash,
        .members_max = c->members_max,
        .first_view_nodes = c->first_view_nodes,
        .spec = c->spec,
        .node = c->local_id,
        .subgroup = c->subgroup,
        .gms_port = c->gms_port,
        .card = *card,
    };
    memcpy(b->mine.provider, c->provider, sizeof b->mine.provider);
    memcpy(b->mine.host, c->local_ip, sizeof b->mine.host);
}

enum nx_status nx_bootstrap_open(const struct nx_group_config *config, uint64_t layout_hash,
                                 const struct nx_fabric_card *card, nx_ns now,
                                 struct nx_bootstrap **boot, struct nx_err *err)
{
    nx_assert(config->first_view_nodes >= 1 && config->first_view_nodes <= config->members_max);
    struct nx_bootstrap *b = nx_calloc(1, sizeof *b);
    if (!b)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the bootstrap");
    b->config = *config;
    describe_self(b, layout_hash, card);
    b->identity = (struct nx_boot_identity){&b->secret, config->local_id, layout_hash};
    b->deadline = now + config->join_timeout_ns;
    b->phase_since = b->retry_at = now;
    b->conn.fd = b->listen_fd = -1;
    b->leader = strcmp(config->local_ip, config->leader_ip) == 0 &&
                config->gms_port == config->leader_gms_port;
    b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    enum nx_status status = NX_OK;
    if (b->epoll_fd < 0)
        status = nx_err_set(err, NX_FATAL, "epoll_create1: %s", strerror(errno));
    else
        status = nx_boot_secret_load(config->secret_file, &b->secret, err);
    if (status == NX_OK && b->leader)
        status = nx_boot_leader_open(b, err);
    if (status != NX_OK) {
        nx_bootstrap_close(b);
        return status;
    }
    nx_boot_secret_warn(&b->secret, config->local_ip, config->leader_ip);
    *boot = b;
    return NX_OK;
}

void nx_bootstrap_close(struct nx_bootstrap *b)
{
    nx_boot_leader_close(b);
    nx_boot_conn_close(&b->conn);
    if (b->epoll_fd >= 0)
        close(b->epoll_fd);
    nx_boot_secret_wipe(&b->secret);
    free(b);
}

static void give_up(struct nx_bootstrap *b, nx_ns now)
{
    double seconds = (double)b->config.join_timeout_ns / (double)NX_SEC;
    if (b->conn.fd >= 0 || !b->last_trouble[0])
        nx_err_set(&b->error, NX_DEADLINE,
                   "no first view within %g s: the leader %s:%u still waits for other nodes",
                   seconds, b->config.leader_ip, b->config.leader_gms_port);
    else
        nx_err_set(&b->error, NX_DEADLINE, "no first view within %g s: the leader %s:%u: %s",
                   seconds, b->config.leader_ip, b->config.leader_gms_port, b->last_trouble);
    nx_boot_fail(b, now);
}

static bool turn(struct nx_bootstrap *b, nx_ns now)
{
    if (b->leader)
        return nx_boot_leader_turn(b, now);
    if (b->phase <= NX_BOOT_CONNECTING && now >= b->deadline) {
        give_up(b, now);
        return true;
    }
    return joiner_turn(b, now);
}

bool nx_bootstrap_poll(struct nx_bootstrap *b, nx_ns now)
{
    if (b->phase == NX_BOOT_FAILED)
        return false;
    struct epoll_event events[NX_BOOT_EVENTS_PER_POLL];
    int n = epoll_wait(b->epoll_fd, events, NX_BOOT_EVENTS_PER_POLL, 0);
    bool moved = false;
    for (int i = 0; i < n; i++) {
        if (b->leader)
            moved |= nx_boot_leader_event(b, events[i].data.u32, now);
        else if (b->conn.fd >= 0)
            moved |= joiner_event(b, now);
    }
    return turn(b, now) || moved;
}

enum nx_boot_phase nx_bootstrap_phase(const struct nx_bootstrap *b)
{
    return b->phase;
}

const struct nx_boot_view *nx_bootstrap_view(const struct nx_bootstrap *b)
{
    return &b->view;
}

uint32_t nx_bootstrap_attempt(const struct nx_bootstrap *b)
{
    return b->attempt;
}

const struct nx_err *nx_bootstrap_error(const struct nx_bootstrap *b)
{
    return &b->error;
}

void nx_bootstrap_connected(struct nx_bootstrap *b)
{
    if (b->phase != NX_BOOT_CONNECTING || b->self_connected)
        return;
    if (!b->leader) {
        uint8_t frame[NX_BOOT_FRAME_MAX];
        if (!nx_boot_conn_send(&b->conn, frame, nx_boot_encode_empty(NX_BOOT_CONNECTED, frame)))
            return; /* the hello has not left yet: impossible, as it was answered; asked again anyway */
        watch_leader(b);
    }
    b->self_connected = true;
}

void nx_bootstrap_start_over(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    if (b->phase != NX_BOOT_CONNECTING)
        return;
    if (b->leader)
        nx_boot_leader_start_over(b, now, why);
    else
        hang_up(b, now, why);
}

int nx_bootstrap_fd(const struct nx_bootstrap *b)
{
    return b->epoll_fd;
}

nx_ns nx_bootstrap_wake_at(const struct nx_bootstrap *b)
{
    if (b->leader)
        return nx_boot_leader_wake_at(b);
    if (proof_is_awaited(b) && b->called_at + NX_BOOT_PROOF_TIMEOUT_NS < b->deadline)
        return b->called_at + NX_BOOT_PROOF_TIMEOUT_NS;
    if (b->phase == NX_BOOT_GATHERING && b->conn.fd < 0)
        return b->retry_at < b->deadline ? b->retry_at : b->deadline;
    if (b->phase == NX_BOOT_CONNECTING) {
        nx_ns late = b->phase_since + 2 * NX_BOOT_CONNECT_TIMEOUT_NS;
        return late < b->deadline ? late : b->deadline;
    }
    return b->phase == NX_BOOT_GATHERING ? b->deadline : NX_NEVER;
}
