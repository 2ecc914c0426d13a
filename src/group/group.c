/* group.c — wiring only: the core's events and updates on one side, libfabric and the bootstrap
 * on the other.
 *
 * One poll turn, each phase bounded:
 *   1. the fabric moves; peers it found dead become events of the core
 *   2. until the first view: the bootstrap moves, the fabric connects, the view is installed
 *      afterwards: the port is looked at now and then; who applies there is admitted
 *   3. the core steps; its upcalls are made, in order; its writes are queued, in order
 *   4. what the upcalls asked for gets a second step, so that an answer leaves in the turn of its question
 *   5. the fabric takes the queued writes, neighbours together */
#include "group/group_state.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    /* Rings that fit the second-level cache are half again as fast over tcp as larger ones;
     * measured in docs/performance.md. */
    MC_RING_BYTES = 1 << 20,   /* small messages under way, per sender */
    BULK_RING_BYTES = 2 << 20, /* bulk bytes under way, per sender */
    P2P_RING_BYTES = 1 << 20,  /* queries and replies under way, per pair */
    PASSES_PER_TURN = 2,
};
#define TIMEOUT_MAX_NS (3600 * NX_SEC)
#define SPIN_MAX_NS    (10 * NX_MS)

/* --- open and close --------------------------------------------------------------------------- */

static enum nx_status check_config(const struct nx_group_config *c, struct nx_err *err)
{
    NX_TRY(nx_spec_check(&c->spec, err));
    if (c->subgroup >= c->spec.subgroups_count)
        return nx_err_set(err, NX_INVALID, "subgroup %u of %u", c->subgroup,
                          c->spec.subgroups_count);
    if (c->contacts_count > NX_CONTACTS_MAX)
        return nx_err_set(err, NX_INVALID, "%u contacts, at most %d are expected",
                          c->contacts_count, NX_CONTACTS_MAX);
    if (c->members_max < 1 || c->members_max > NX_MEMBERS_MAX)
        return nx_err_set(err, NX_INVALID, "members_max is %u, expected 1 to %d", c->members_max,
                          NX_MEMBERS_MAX);
    if (c->first_view_nodes < 1 || c->first_view_nodes > c->members_max)
        return nx_err_set(err, NX_INVALID, "the first view has %u nodes, expected 1 to %u",
                          c->first_view_nodes, c->members_max);
    if (c->timeout_ns < 0 || c->timeout_ns > TIMEOUT_MAX_NS || c->timeout_ns % NX_MS != 0)
        return nx_err_set(err, NX_INVALID,
                          "timeout_ns is %lld, expected whole milliseconds, an hour at most",
                          (long long)c->timeout_ns);
    if (c->spin_ns < 0 || c->spin_ns > SPIN_MAX_NS)
        return nx_err_set(err, NX_INVALID, "spin_ns is %lld, expected 0 to %lld",
                          (long long)c->spin_ns, (long long)SPIN_MAX_NS);
    return NX_OK;
}

/* Pages are zero and cost nothing until they are touched. */
static enum nx_status map_region(struct nx_group *g, struct nx_err *err)
{
    void *region = mmap(NULL, g->region_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        return nx_err_set(err, NX_NO_MEMORY, "cannot map a region of %zu bytes: %s",
                          g->region_bytes, strerror(errno));
    g->region = region;
    return NX_OK;
}

static enum nx_status open_fabric(struct nx_group *g, struct nx_fabric_card *card,
                                  struct nx_err *err)
{
    struct nx_fabric_config config = {.members_max = g->config.members_max};
    memcpy(config.provider, g->config.provider, sizeof config.provider);
    memcpy(config.domain, g->config.domain, sizeof config.domain);
    memcpy(config.local_ip, g->config.local_ip, sizeof config.local_ip);
    return nx_fabric_open(&config, g->region, g->region_bytes, &g->fabric, card, err);
}

enum nx_status nx_group_open_below(struct nx_group *g, struct nx_fabric_card *card,
                                   struct nx_err *err)
{
    NX_TRY(map_region(g, err));
    NX_TRY(open_fabric(g, card, err));
    NX_TRY(nx_fabric_watch(g->fabric, g->epoll_fd, err));
    nx_fabric_get_caps(g->fabric, &g->core_config.caps);
    return nx_core_open(&g->core_config, g->region, &g->core, err);
}

void nx_group_close_below(struct nx_group_below *below, size_t region_bytes)
{
    if (below->core)
        nx_core_close(below->core);
    if (below->fabric)
        nx_fabric_close(below->fabric);
    if (below->region)
        munmap(below->region, region_bytes);
}

/* Sleepers wait on one descriptor, whatever lies below it. */
static enum nx_status watch_bootstrap(struct nx_group *g, struct nx_err *err)
{
    struct epoll_event want = {.events = EPOLLIN};
    if (epoll_ctl(g->epoll_fd, EPOLL_CTL_ADD, nx_bootstrap_fd(g->boot), &want) != 0)
        return nx_err_set(err, NX_FATAL, "cannot watch the bootstrap: %s", strerror(errno));
    return NX_OK;
}

static enum nx_status lend_request(void *group, const struct nx_event *event)
{
    enum nx_status status = nx_group_request(group, event);
    /* nothing is delivered since the state was cut */
    if (event->type == NX_EV_STATE && status == NX_OK)
        nx_group_keep_state(group);
    return status;
}

static void lend_down(void *group, const struct nx_err *err)
{
    nx_group_tell_down(group, err);
}

static enum nx_status open_transfer(struct nx_group *g, struct nx_err *err)
{
    struct nx_group_loan loan = {.group = g,
                                 .request = lend_request,
                                 .answer = &g->request,
                                 .down = lend_down,
                                 .up = &g->up,
                                 .ctx = g->ctx};
    g->transfer = nx_group_transfer_open(&loan, g->config.members_max);
    return g->transfer ? NX_OK : nx_err_set(err, NX_NO_MEMORY, "no memory for the group");
}

static enum nx_status open_all(struct nx_group *g, struct nx_err *err)
{
    NX_TRY(check_config(&g->config, err));
    nx_spin_init(&g->spin, g->config.spin_ns);
    NX_TRY(open_transfer(g, err));
    g->core_config = (struct nx_core_config){
        .self = g->config.local_id,
        .spec = g->config.spec,
        .members_max = g->config.members_max,
        .mc_ring_bytes = MC_RING_BYTES,
        .p2p_ring_bytes = P2P_RING_BYTES,
        .bulk_ring_bytes = BULK_RING_BYTES,
        .timeout_ns = g->config.timeout_ns,
        .leave_held_ns = NX_GROUP_LEAVE_HELD_NS,
    };
    g->region_bytes = nx_core_region_bytes(&g->core_config);
    g->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (g->epoll_fd < 0)
        return nx_err_set(err, NX_FATAL, "epoll_create1: %s", strerror(errno));
    struct nx_fabric_card card;
    NX_TRY(nx_group_open_below(g, &card, err));
    NX_TRY(nx_bootstrap_open(&g->config, nx_core_layout_hash(&g->core_config), &card,
                             nx_clock_now(), &g->boot, err));
    NX_TRY(watch_bootstrap(g, err));
    return nx_group_keep_open(g, err);
}

enum nx_status nx_group_open(const struct nx_group_config *config,
                             const struct nx_group_upcalls *upcalls, void *ctx,
                             struct nx_group **group, struct nx_err *err)
{
    struct nx_group *g = nx_calloc(1, sizeof *g);
    if (!g)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the group");
    g->config = *config;
    g->epoll_fd = -1;
    g->up = *upcalls;
    g->ctx = ctx;
    enum nx_status status = open_all(g, err);
    if (status != NX_OK) {
        nx_group_close(g);
        return status;
    }
    *group = g;
    return NX_OK;
}

void nx_group_close(struct nx_group *g)
{
    nx_assert(!g->in_upcall);
    nx_group_transfer_close(g->transfer); /* its snapshot goes back to the tier */
    if (g->boot)
        nx_bootstrap_close(g->boot);
    nx_group_disk_close(&g->disk, &g->up, g->ctx);
    nx_group_close_below(&g->below, g->region_bytes);
    if (g->epoll_fd >= 0)
        close(g->epoll_fd);
    free(g);
}

/* --- upcalls and writes ----------------------------------------------------------------------- */

void nx_group_tell_down(struct nx_group *g, const struct nx_err *err)
{
    if (g->told_down)
        return;
    g->told_down = true;
    if (g->boot)
        nx_bootstrap_end(g->boot, nx_clock_now(), err->text);
    if (g->up.down)
        g->up.down(g->ctx, err);
}

static void core_is_down(struct nx_group *g, const struct nx_upcall *u)
{
    struct nx_err err = {0};
    nx_err_set(&err, u->status, "%s", u->why ? u->why : nx_status_text(u->status));
    nx_group_tell_down(g, &err);
}

/* "A shard in which nobody has the state begins with the empty one": that is worth a line. */
static void note_lost_state(const struct nx_group *g)
{
    nx_rankset lost = nx_core_lost_state(g->core);
    const struct nx_view *view = nx_core_view(g->core);
    for (; lost; lost &= lost - 1) {
        const struct nx_member *member = &view->members[__builtin_ctzll(lost)];
        nx_warn("view %llu: node %u begins shard %u of %s empty: nobody has its state",
                (unsigned long long)view->vid, member->node, member->shard,
                g->config.spec.subgroups[member->subgroup].name);
    }
}

/* "A shard that is on disks waits for whoever keeps it": said when somebody new is waited for. */
static void note_keepers(struct nx_group *g)
{
    const struct nx_view *view = nx_core_view(g->core);
    bool same = view->keepers_count == g->keepers_count &&
                memcmp(view->keepers, g->keepers, sizeof g->keepers) == 0;
    g->keepers_count = view->keepers_count;
    memcpy(g->keepers, view->keepers, sizeof g->keepers);
    for (uint32_t i = 0; !same && i < view->keepers_count; i++)
        nx_warn("view %llu: shard %u of %s is on disks alone and waits for node %u, or another "
                "that keeps its log",
                (unsigned long long)view->vid, view->keepers[i].shard,
                g->config.spec.subgroups[view->keepers[i].subgroup].name, view->keepers[i].node);
}

static void tell_view(struct nx_group *g)
{
    note_lost_state(g);
    note_keepers(g);
    if (g->up.view)
        g->up.view(g->ctx, nx_core_view(g->core), nx_core_layout(g->core));
    nx_group_transfer_view(g->transfer, g->core);
    nx_group_disk_cut(&g->disk, &g->up, g->ctx, g->config.subgroup, false);
}

/* An upcall that the owner left out is skipped. What is `system` is between the group's own layers: no tier hears of it. */
static void make_upcall(struct nx_group *g, const struct nx_upcall *u)
{
    const struct nx_group_upcalls *up = &g->up;
    nx_group_keep_upcall(g, u);
    if (nx_group_transfer_upcall(g->transfer, u))
        return;
    switch (u->type) {
    case NX_UP_VIEW: tell_view(g); return;
    case NX_UP_MEMBER_DOWN:
        if (up->member_down)
            up->member_down(g->ctx, u->rank, u->clean, u->why);
        return;
    case NX_UP_DELIVER:
        if (up->deliver)
            up->deliver(g->ctx, &u->delivery);
        return;
    case NX_UP_BULK_PART:
        if (up->bulk_part)
            up->bulk_part(g->ctx, u->subgroup, &u->part, u->head, u->head_len);
        return;
    case NX_UP_BULK_ABORTED:
        if (up->bulk_aborted)
            up->bulk_aborted(g->ctx, u->part.stream);
        return;
    case NX_UP_QUERY_PART:
        if (u->part.system)
            nx_group_system_part(g, &u->part);
        else if (up->query_part)
            up->query_part(g->ctx, &u->part);
        return;
    case NX_UP_QUERY_GONE:
        if (u->part.system)
            nx_group_system_gone(g, u->part.stream);
        else if (up->query_gone)
            up->query_gone(g->ctx, u->part.stream);
        return;
    case NX_UP_REPLY_PART:
        if (u->part.system)
            ((struct nx_ask *)u->cookie)->reply(g, u->cookie, &u->part);
        else if (up->reply_part)
            up->reply_part(g->ctx, u->cookie, &u->part);
        return;
    case NX_UP_QUERY_FAILED:
        if (u->part.system)
            ((struct nx_ask *)u->cookie)->reply(g, u->cookie, NULL);
        else if (up->query_failed)
            up->query_failed(g->ctx, u->cookie, u->status);
        return;
    case NX_UP_DOWN: core_is_down(g, u); return;
    }
}

static void make_upcalls(struct nx_group *g)
{
    nx_assert(!g->in_upcall);
    g->in_upcall = true;
    for (uint32_t i = 0; i < g->update.upcalls_count; i++)
        if (nx_core_upcall_wanted(g->core, &g->update.upcalls[i]))
            make_upcall(g, &g->update.upcalls[i]);
    g->in_upcall = false;
}

static void post_writes(struct nx_group *g)
{
    for (uint32_t i = 0; i < g->update.writes_count; i++) {
        enum nx_status status = nx_fabric_post(g->fabric, &g->update.writes[i]);
        /* within what writable promised; a dead peer's are dropped */
        nx_assert(status != NX_AGAIN);
    }
}

static void disconnect(struct nx_group *g)
{
    for (nx_rankset left = g->update.disconnect; left; left &= left - 1)
        nx_fabric_drop(g->fabric, (nx_rank)__builtin_ctzll(left));
}

/* A group that cannot go on says so, once. */
static void note_change(struct nx_group *g)
{
    enum nx_change_state state = nx_core_change_state(g->core);
    if (state == g->change)
        return;
    if (state == NX_CHANGE_BLOCKED)
        nx_warn("no primary partition: %d of %d members of view %llu are heard",
                __builtin_popcountll(nx_core_heard(g->core)),
                __builtin_popcountll(nx_view_ranks(nx_core_view(g->core))),
                (unsigned long long)nx_core_view(g->core)->vid);
    else
        nx_debug("view change: state %d, was %d", (int)state, (int)g->change);
    g->change = state;
}

/* Steps the core with an event that may make upcalls and writes, and carries them out. */
void nx_group_step(struct nx_group *g, nx_ns now, struct nx_event *event)
{
    event->writable = nx_fabric_writable(g->fabric);
    nx_core_step(g->core, now, event, &g->update);
    g->wake_at = g->update.wake_at;
    disconnect(g);
    note_change(g);
    nx_group_note_view(g, now);
    make_upcalls(g);
    post_writes(g);
}

/* --- the poll turn ---------------------------------------------------------------------------- */

static bool fabric_turn(struct nx_group *g, nx_ns now)
{
    struct nx_fabric_event downs[NX_MEMBERS_MAX];
    uint32_t count = 0;
    bool moved = nx_fabric_poll(g->fabric, downs, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (g->installed)
            nx_group_peer_lost(g, now, downs[i].peer, downs[i].why);
        else
            nx_group_form_lost(g, now, downs[i].peer, downs[i].why);
    }
    return moved;
}

static bool core_turn(struct nx_group *g, nx_ns now)
{
    bool busy = false;
    for (int pass = 0; pass < PASSES_PER_TURN; pass++) {
        struct nx_event event = {.type = NX_EV_POLL, .hold = nx_group_disk_behind(&g->disk)};
        g->requested = false;
        nx_group_step(g, now, &event);
        busy |= g->update.busy;
        busy |= nx_group_transfer_poll(g->transfer, g->core);
        if (!g->requested)
            break;
    }
    return busy || g->requested;
}

bool nx_group_poll(struct nx_group *g)
{
    nx_assert(!g->in_upcall);
    if (g->gave_up)
        return false;
    nx_ns now = nx_clock_now();
    bool moved = fabric_turn(g, now);                                                /* 1 */
    moved |= g->installed ? nx_group_port_turn(g, now) : nx_group_form_turn(g, now); /* 2 */
    if (g->installed && !g->gave_up)
        moved |= core_turn(g, now); /* 3, 4 */
    moved |= nx_group_keep_turn(g, now);
    nx_fabric_flush(g->fabric); /* 5 */
    nx_spin_note(&g->spin, now, moved);
    return moved;
}

/* --- sleeping --------------------------------------------------------------------------------- */

int nx_group_fd(const struct nx_group *g)
{
    return g->epoll_fd;
}

/* Our row says that we sleep before the last look, so that a peer that writes after it rings.
 * The last look is at the region, since asking the fabric may land writes (tcp's trywait reads
 * its sockets). */
enum nx_status nx_group_arm(struct nx_group *g, nx_ns *wake_at)
{
    nx_assert(!g->in_upcall);
    *wake_at = NX_NEVER;
    if (g->gave_up)
        return NX_OK;
    nx_ns at = nx_bootstrap_wake_at(g->boot);
    if (g->disk.durable)
        at = nx_ns_least(at, nx_durable_wake_at(g->disk.durable));
    if (g->requested)
        return NX_AGAIN;
    if (nx_spin_goes_on(&g->spin, nx_clock_now())) {
        sched_yield(); /* what is awaited may have to be computed on this core */
        return NX_AGAIN;
    }
    if (g->installed) {
        struct nx_event event = {.type = NX_EV_SLEEP};
        nx_group_step(g, nx_clock_now(), &event);
        nx_fabric_flush(g->fabric);
        if (g->update.status != NX_OK || g->update.busy || g->requested)
            return NX_AGAIN;
        at = nx_ns_least(at, nx_ns_least(g->wake_at, nx_group_port_wake_at(g)));
        g->port_at = 0; /* what wakes us may be the port */
    }
    NX_TRY(nx_fabric_arm(g->fabric));
    if (g->installed && nx_core_has_news(g->core))
        return NX_AGAIN;
    g->wakeups++;
    *wake_at = at;
    return NX_OK;
}

enum nx_status nx_group_request(struct nx_group *g, const struct nx_event *event)
{
    if (!g->installed || g->gave_up)
        return NX_UNAVAILABLE;
    nx_core_step(g->core, nx_clock_now(), event, &g->request);
    g->requested |= g->request.busy;
    return g->request.status;
}
