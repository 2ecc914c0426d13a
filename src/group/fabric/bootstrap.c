#include "group/fabric/boot_state.h"

#include "common/arena.h"
#include "common/log.h"

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
    b->needs_card |= phase == NX_BOOT_GATHERING;
    b->phase = phase;
    b->phase_since = now;
    b->self_connected = false;
}

void nx_boot_fail(struct nx_bootstrap *b, nx_ns now)
{
    nx_boot_enter(b, NX_BOOT_FAILED, now, b->error.text);
    nx_boot_conn_close(&b->caller.conn);
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

bool nx_boot_is_here(const struct nx_bootstrap *b, const struct nx_boot_address *at)
{
    return at->port == b->mine.gms_port && strcmp(at->host, b->mine.host) == 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static void describe_self(struct nx_bootstrap *b, uint64_t layout_hash,
                          const struct nx_fabric_card *card)
{
    const struct nx_group_config *c = &b->config;
    b->mine = (struct nx_boot_hello){
        .version = NX_BOOT_VERSION,
        .layout_hash = layout_hash,
        .members_max = c->members_max,
        .first_view_nodes = c->first_view_nodes,
        .timeout_ms = (uint32_t)(c->timeout_ns / NX_MS),
        .spec = c->spec,
        .node = c->local_id,
        .subgroup = c->subgroup,
        .gms_port = c->gms_port,
        .card = *card,
    };
    memcpy(b->mine.provider, c->provider, sizeof b->mine.provider);
    memcpy(b->mine.host, c->local_ip, sizeof b->mine.host);
}

static enum nx_status open_all(struct nx_bootstrap *b, nx_ns now, struct nx_err *err)
{
    uint64_t seed = 0;
    b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (b->epoll_fd < 0)
        return nx_err_set(err, NX_FATAL, "epoll_create1: %s", strerror(errno));
    if (!nx_boot_random(&seed, sizeof seed))
        return nx_err_set(err, NX_FATAL, "no random bytes: %s", strerror(errno));
    nx_prng_init(&b->prng, seed);
    NX_TRY(nx_boot_secret_load(b->config.secret_file, &b->secret, err));
    NX_TRY(nx_boot_guests_open(b, err));
    nx_boot_caller_open(b, now);
    return NX_OK;
}

enum nx_status nx_bootstrap_open(const struct nx_group_config *config, uint64_t layout_hash,
                                 const struct nx_fabric_card *card, nx_ns now,
                                 struct nx_bootstrap **boot, struct nx_err *err)
{
    nx_assert(config->first_view_nodes >= 1 && config->first_view_nodes <= config->members_max);
    nx_assert(config->contacts_count <= NX_CONTACTS_MAX);
    struct nx_bootstrap *b = nx_calloc(1, sizeof *b);
    if (!b)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the bootstrap");
    b->config = *config;
    if (b->config.clock_skew_ns == 0)
        b->config.clock_skew_ns = NX_CLOCK_SKEW_NS;
    describe_self(b, layout_hash, card);
    b->identity = (struct nx_boot_identity){&b->secret, config->local_id, layout_hash};
    b->deadline = now + config->join_timeout_ns;
    b->phase_since = now;
    b->restart_at = NX_NEVER;
    b->caller.conn.fd = b->listen_fd = b->epoll_fd = -1;
    b->leader = strcmp(config->local_ip, config->leader_ip) == 0 &&
                config->gms_port == config->leader_gms_port;
    enum nx_status status = open_all(b, now, err);
    if (status != NX_OK) {
        nx_bootstrap_close(b);
        return status;
    }
    nx_boot_secret_warn(&b->secret, config->local_ip, config->leader_ip);
    *boot = b;
    return NX_OK;
}

void nx_bootstrap_offer(struct nx_bootstrap *b, const struct nx_dur_offer *offer)
{
    b->mine.offer = *offer;
}

void nx_bootstrap_close(struct nx_bootstrap *b)
{
    nx_boot_guests_close(b);
    nx_boot_conn_close(&b->caller.conn);
    if (b->epoll_fd >= 0)
        close(b->epoll_fd);
    nx_boot_secret_wipe(&b->secret);
    free(b);
}

/* --- turns ------------------------------------------------------------------------------------ */

/* As a joiner: what we know of the one that we called last. The leader says whom it awaits. */
static void give_up(struct nx_bootstrap *b, nx_ns now)
{
    const struct nx_boot_caller *c = &b->caller;
    double seconds = (double)b->config.join_timeout_ns / (double)NX_SEC;
    bool waits = c->conn.fd >= 0 && c->answered && !c->queued;
    if (waits)
        nx_err_set(&b->error, NX_DEADLINE,
                   "no first view within %g s: the leader %s:%u still waits for other nodes",
                   seconds, c->at.host, c->at.port);
    else
        nx_err_set(&b->error, NX_DEADLINE, "no view within %g s: the leader %s:%u: %s", seconds,
                   c->at.host, c->at.port,
                   c->trouble[0] ? c->trouble
                   : c->queued   ? "it had no seat for us in time"
                                 : "it has not answered");
    nx_boot_fail(b, now);
}

static bool turn(struct nx_bootstrap *b, nx_ns now)
{
    bool moved = nx_boot_guests_turn(b, now);
    if (b->leader && !b->joining && b->phase <= NX_BOOT_CONNECTING)
        moved |= nx_boot_leader_turn(b, now);
    moved |= nx_boot_caller_turn(b, now);
    if (b->phase <= NX_BOOT_CONNECTING && now >= b->deadline) {
        give_up(b, now);
        moved = true;
    }
    return moved;
}

bool nx_bootstrap_poll(struct nx_bootstrap *b, nx_ns now)
{
    struct epoll_event events[NX_BOOT_EVENTS_PER_POLL];
    int n = epoll_wait(b->epoll_fd, events, NX_BOOT_EVENTS_PER_POLL, 0);
    bool moved = false;
    for (int i = 0; i < n; i++) {
        if (events[i].data.u32 == NX_BOOT_TAG_CALL)
            moved |= nx_boot_caller_event(b, now);
        else
            moved |= nx_boot_guests_event(b, events[i].data.u32, now);
    }
    return turn(b, now) || moved;
}

enum nx_boot_phase nx_bootstrap_phase(const struct nx_bootstrap *b)
{
    return b->phase;
}

bool nx_bootstrap_wants_card(const struct nx_bootstrap *b)
{
    return b->needs_card;
}

void nx_bootstrap_renew(struct nx_bootstrap *b, const struct nx_fabric_card *card)
{
    nx_assert(b->needs_card);
    b->needs_card = false;
    b->mine.card = *card;
}

const struct nx_boot_view *nx_bootstrap_view(const struct nx_bootstrap *b)
{
    return &b->view;
}

bool nx_bootstrap_joins(const struct nx_bootstrap *b)
{
    return b->joining;
}

const char *nx_bootstrap_waits_for(const struct nx_bootstrap *b)
{
    bool gathers = b->leader && !b->caller.group_seen && b->restart.verdict == NX_DUR_WAIT;
    return gathers ? b->restart.why.text : b->caller.group_seen ? b->caller.trouble : "";
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
    if ((!b->leader || b->joining) && !nx_boot_caller_say_connected(b))
        return; /* the hello has not left yet: impossible, as it was answered; asked again anyway */
    b->self_connected = true;
}

bool nx_bootstrap_is_connected(const struct nx_bootstrap *b)
{
    return b->self_connected;
}

void nx_bootstrap_start_over(struct nx_bootstrap *b, nx_ns now, const char *why)
{
    if (b->phase != NX_BOOT_CONNECTING)
        return;
    if (b->leader && !b->joining)
        nx_boot_leader_start_over(b, now, why);
    else
        nx_boot_caller_hang_up(b, now, why);
}

/* Who has it may write into our memory, so it is never guessable. */
bool nx_bootstrap_token(uint64_t *token)
{
    do
        if (!nx_boot_random(token, sizeof *token))
            return false;
    while (*token == 0);
    return true;
}

uint16_t nx_bootstrap_port(const struct nx_bootstrap *b)
{
    return b->mine.gms_port;
}

int nx_bootstrap_fd(const struct nx_bootstrap *b)
{
    return b->epoll_fd;
}

nx_ns nx_bootstrap_wake_at(const struct nx_bootstrap *b)
{
    nx_ns at = nx_ns_least(nx_boot_guests_wake_at(b), nx_boot_caller_wake_at(b));
    if (b->phase >= NX_BOOT_INSTALLED)
        return at;
    at = nx_ns_least(at, b->deadline);
    return b->leader && !b->joining ? nx_ns_least(at, nx_boot_leader_wake_at(b)) : at;
}
