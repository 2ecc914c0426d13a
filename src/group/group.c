/* group.c — wiring only: the core's events and updates on one side, libfabric and the bootstrap
 * on the other.
 *
 * One poll turn, each phase bounded:
 *   1. the fabric moves; peers it found dead become events of the core
 *   2. until the first view: the bootstrap moves, the fabric connects, the view is installed
 *      afterwards: the leader's port is looked at now and then
 *   3. the core steps; its upcalls are made, in order; its writes are queued, in order
 *   4. what the upcalls asked for gets a second step, so that an answer leaves in the turn of its question
 *   5. the fabric takes the queued writes, neighbours together */
#include "group/group.h"

#include "common/arena.h"
#include "common/log.h"
#include "common/nx_assert.h"
#include "group/core/core.h"
#include "group/fabric/bootstrap.h"
#include "group/fabric/fabric.h"
#include "group/group_disk.h"
#include "group/group_transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

enum {
    /* Rings that fit the second-level cache are half again as fast over tcp as larger ones;
     * measured in docs/performance.md. */
    MC_RING_BYTES = 1 << 20,   /* small messages under way, per sender */
    BULK_RING_BYTES = 2 << 20, /* bulk bytes under way, per sender */
    P2P_RING_BYTES = 1 << 20,  /* queries and replies under way, per pair */
    PASSES_PER_TURN = 2,
};
#define PORT_EVERY_NS    (20 * NX_MS) /* how often an installed leader looks at its port while busy */
#define LEAVE_TIMEOUT_NS NX_SEC

struct nx_group {
    struct nx_group_config config;
    struct nx_group_upcalls up;
    void *ctx;
    struct nx_core *core;
    struct nx_fabric *fabric;
    struct nx_bootstrap *boot;
    struct nx_group_disk disk;
    struct nx_err disk_failed;
    uint32_t prepared; /* the bootstrap's attempt whose view the disk was told */
    struct nx_group_transfer *transfer;
    void *region;
    size_t region_bytes;
    uint32_t connecting; /* the bootstrap's attempt that the fabric connects for; 0: none */
    bool installed, told_down, in_upcall, requested, leaving;
    enum nx_change_state change; /* as last noted */
    nx_ns port_at;               /* when the bootstrap is due after the first view */
    nx_ns wake_at;               /* the core's */
    nx_ns leave_until;
    uint64_t wakeups;
    struct nx_update update, request; /* of turns; of calls, also those made in upcalls */
};

static enum nx_status request(struct nx_group *g, const struct nx_event *event);
static void tell_down(struct nx_group *g, const struct nx_err *err);

/* --- open and close --------------------------------------------------------------------------- */

static enum nx_status check_config(const struct nx_group_config *c, struct nx_err *err)
{
    NX_TRY(nx_spec_check(&c->spec, err));
    if (c->subgroup >= c->spec.subgroups_count)
        return nx_err_set(err, NX_INVALID, "subgroup %u of %u", c->subgroup,
                          c->spec.subgroups_count);
    if (c->members_max < 1 || c->members_max > NX_MEMBERS_MAX)
        return nx_err_set(err, NX_INVALID, "members_max is %u, expected 1 to %d", c->members_max,
                          NX_MEMBERS_MAX);
    if (c->first_view_nodes < 1 || c->first_view_nodes > c->members_max)
        return nx_err_set(err, NX_INVALID, "the first view has %u nodes, expected 1 to %u",
                          c->first_view_nodes, c->members_max);
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

/* The bootstrap's descriptor joins the fabric's, so that sleepers wait on one. */
static enum nx_status watch_bootstrap(struct nx_group *g, struct nx_err *err)
{
    struct epoll_event want = {.events = EPOLLIN};
    if (epoll_ctl(nx_fabric_fd(g->fabric), EPOLL_CTL_ADD, nx_bootstrap_fd(g->boot), &want) != 0)
        return nx_err_set(err, NX_FATAL, "cannot watch the bootstrap: %s", strerror(errno));
    return NX_OK;
}

static enum nx_status lend_request(void *group, const struct nx_event *event)
{
    struct nx_group *g = group;
    enum nx_status status = request(g, event);
    if (event->type == NX_EV_STATE && status == NX_OK) /* nothing is delivered since the state was cut */
        nx_group_disk_cut(&g->disk, &g->up, g->ctx, g->config.subgroup, true);
    return status;
}

static void lend_down(void *group, const struct nx_err *err)
{
    tell_down(group, err);
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
    struct nx_core_config core = {
        .self = g->config.local_id,
        .spec = g->config.spec,
        .members_max = g->config.members_max,
        .mc_ring_bytes = MC_RING_BYTES,
        .p2p_ring_bytes = P2P_RING_BYTES,
        .bulk_ring_bytes = BULK_RING_BYTES,
    };
    struct nx_fabric_card card;
    g->region_bytes = nx_core_region_bytes(&core);
    NX_TRY(map_region(g, err));
    NX_TRY(open_fabric(g, &card, err));
    nx_fabric_get_caps(g->fabric, &core.caps);
    NX_TRY(nx_core_open(&core, g->region, &g->core, err));
    NX_TRY(open_transfer(g, err));
    NX_TRY(nx_bootstrap_open(&g->config, nx_core_layout_hash(&core), &card, nx_clock_now(),
                             &g->boot, err));
    NX_TRY(watch_bootstrap(g, err));
    NX_TRY(nx_group_disk_open(&g->disk, &g->config, nx_fabric_fd(g->fabric), err));
    if (g->disk.durable)
        nx_bootstrap_offer(g->boot, nx_durable_offer(g->disk.durable));
    return NX_OK;
}

enum nx_status nx_group_open(const struct nx_group_config *config,
                             const struct nx_group_upcalls *upcalls, void *ctx,
                             struct nx_group **group, struct nx_err *err)
{
    struct nx_group *g = nx_calloc(1, sizeof *g);
    if (!g)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the group");
    g->config = *config;
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
    if (g->core)
        nx_core_close(g->core);
    if (g->fabric)
        nx_fabric_close(g->fabric);
    if (g->region)
        munmap(g->region, g->region_bytes);
    free(g);
}

/* --- upcalls and writes ----------------------------------------------------------------------- */

static void tell_down(struct nx_group *g, const struct nx_err *err)
{
    if (g->told_down)
        return;
    g->told_down = true;
    if (g->up.down)
        g->up.down(g->ctx, err);
}

static void core_is_down(struct nx_group *g, const struct nx_upcall *u)
{
    struct nx_err err = {0};
    nx_err_set(&err, u->status, "%s", u->why ? u->why : nx_status_text(u->status));
    tell_down(g, &err);
}

/* A member that cannot keep what it says it keeps leaves. */
static void disk_failed(struct nx_group *g, const struct nx_err *why)
{
    if (g->disk_failed.status != NX_OK)
        return;
    nx_err_set(&g->disk_failed, why->status, "the disk failed: %s", why->text);
    if (!g->installed)
        tell_down(g, &g->disk_failed);
    else
        (void)nx_group_leave(g);
}

/* Leaves first, says why afterwards. */
static bool disk_turn(struct nx_group *g, nx_ns now)
{
    struct nx_err err = {0};
    bool busy = false;
    bool moved = nx_group_disk_turn(&g->disk, g->core, &g->up, g->ctx, now, &g->request, &busy);
    g->requested |= busy;
    if (g->disk.durable && nx_durable_status(g->disk.durable, &err) != NX_OK)
        disk_failed(g, &err);
    if (g->disk_failed.status != NX_OK && g->installed && nx_group_leave(g))
        tell_down(g, &g->disk_failed);
    return moved;
}

static void keep_upcall(struct nx_group *g, const struct nx_upcall *u)
{
    struct nx_err err = {0};
    if (nx_group_disk_upcall(&g->disk, g->core, u, false, &err) != NX_OK)
        disk_failed(g, &err);
}

/* Between layers of the group itself: nothing for a tier. */
static bool is_system(const struct nx_upcall *u)
{
    bool is_query = u->type == NX_UP_QUERY_PART || u->type == NX_UP_QUERY_GONE ||
                    u->type == NX_UP_REPLY_PART || u->type == NX_UP_QUERY_FAILED;
    return is_query && u->part.system;
}

/* An upcall that the owner left out is skipped. */
static void make_upcall(struct nx_group *g, const struct nx_upcall *u)
{
    const struct nx_group_upcalls *up = &g->up;
    keep_upcall(g, u);
    if (nx_group_transfer_upcall(g->transfer, u) || is_system(u))
        return;
    switch (u->type) {
    case NX_UP_VIEW:
        if (up->view)
            up->view(g->ctx, nx_core_view(g->core), nx_core_layout(g->core));
        nx_group_transfer_view(g->transfer, g->core);
        nx_group_disk_cut(&g->disk, &g->up, g->ctx, g->config.subgroup, false);
        return;
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
        if (up->query_part)
            up->query_part(g->ctx, &u->part);
        return;
    case NX_UP_QUERY_GONE:
        if (up->query_gone)
            up->query_gone(g->ctx, u->part.stream);
        return;
    case NX_UP_REPLY_PART:
        if (up->reply_part)
            up->reply_part(g->ctx, u->cookie, &u->part);
        return;
    case NX_UP_QUERY_FAILED:
        if (up->query_failed)
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
        nx_assert(status !=
                  NX_AGAIN); /* within what writable promised; a dead peer's are dropped */
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
        nx_warn("no primary partition: %d of %d members of view %llu are reachable",
                __builtin_popcountll(nx_core_alive(g->core)),
                __builtin_popcountll(nx_view_ranks(nx_core_view(g->core))),
                (unsigned long long)nx_core_view(g->core)->vid);
    else
        nx_debug("view change: state %d, was %d", (int)state, (int)g->change);
    g->change = state;
}

/* Steps the core with an event that may make upcalls and writes, and carries them out. */
static void step(struct nx_group *g, nx_ns now, struct nx_event *event)
{
    event->writable = nx_fabric_writable(g->fabric);
    nx_core_step(g->core, now, event, &g->update);
    g->wake_at = g->update.wake_at;
    disconnect(g);
    note_change(g);
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
        struct nx_event event = {
            .type = NX_EV_PEER_DOWN, .peer = downs[i].peer, .why = downs[i].why};
        if (g->installed)
            nx_core_step(g->core, now, &event, &g->request);
        else
            nx_bootstrap_start_over(g->boot, now, downs[i].why);
    }
    return moved;
}

static void connect_fabric(struct nx_group *g, nx_ns now)
{
    const struct nx_boot_view *v = nx_bootstrap_view(g->boot);
    struct nx_err err = {0};
    g->connecting = nx_bootstrap_attempt(g->boot);
    if (nx_fabric_connect(g->fabric, v->rank, v->view.members_count, v->cards, v->token, &err) !=
        NX_OK) {
        nx_warn("the fabric cannot connect: %s", err.text);
        nx_bootstrap_start_over(g->boot, now, "the fabric cannot connect");
    }
}

static void install(struct nx_group *g, nx_ns now)
{
    struct nx_event event = {.type = NX_EV_VIEW, .view = &nx_bootstrap_view(g->boot)->view};
    g->installed = true;
    g->port_at = now + PORT_EVERY_NS;
    step(g, now, &event);
}

static bool all_connected(const struct nx_group *g)
{
    const struct nx_boot_view *v = nx_bootstrap_view(g->boot);
    nx_rankset all = NX_RANK_BIT(v->view.members_count) - 1;
    return (nx_fabric_connected(g->fabric) | NX_RANK_BIT(v->rank)) == all;
}

/* The log is handed up, and the view of this attempt is in our note. */
static bool disk_is_ready(struct nx_group *g)
{
    struct nx_err err = {0};
    uint32_t attempt = nx_bootstrap_attempt(g->boot);
    if (!g->disk.durable)
        return true;
    if (g->disk.replaying || g->disk_failed.status != NX_OK)
        return false;
    if (g->prepared != attempt) {
        g->prepared = attempt;
        if (nx_durable_prepare(g->disk.durable, &nx_bootstrap_view(g->boot)->view, &err) != NX_OK)
            disk_failed(g, &err);
    }
    return nx_durable_prepared(g->disk.durable);
}

static bool replay_turn(struct nx_group *g)
{
    struct nx_err err = {0};
    if (!g->disk.replaying || g->disk_failed.status != NX_OK)
        return false;
    g->in_upcall = true;
    enum nx_status status = nx_group_disk_replay(&g->disk, &g->up, g->ctx, &err);
    g->in_upcall = false;
    if (status != NX_OK && status != NX_AGAIN)
        disk_failed(g, &err);
    return true;
}

static bool form_turn(struct nx_group *g, nx_ns now)
{
    bool moved = replay_turn(g);
    moved |= nx_bootstrap_poll(g->boot, now);
    enum nx_boot_phase phase = nx_bootstrap_phase(g->boot);
    if (g->connecting &&
        (phase == NX_BOOT_GATHERING || g->connecting != nx_bootstrap_attempt(g->boot))) {
        nx_fabric_disconnect(g->fabric);
        g->connecting = 0;
    }
    if (phase == NX_BOOT_CONNECTING && !g->connecting)
        connect_fabric(g, now);
    else if (phase == NX_BOOT_CONNECTING && all_connected(g) && disk_is_ready(g))
        nx_bootstrap_connected(g->boot);
    else if (phase == NX_BOOT_INSTALLED)
        install(g, now);
    else if (phase == NX_BOOT_FAILED)
        tell_down(g, nx_bootstrap_error(g->boot));
    return moved;
}

static bool port_turn(struct nx_group *g, nx_ns now)
{
    if (now < g->port_at)
        return false;
    g->port_at = now + PORT_EVERY_NS;
    return nx_bootstrap_poll(g->boot, now);
}

static bool core_turn(struct nx_group *g, nx_ns now)
{
    bool busy = false;
    for (int pass = 0; pass < PASSES_PER_TURN; pass++) {
        struct nx_event event = {.type = NX_EV_POLL, .hold = nx_group_disk_behind(&g->disk)};
        g->requested = false;
        step(g, now, &event);
        busy |= g->update.busy;
        busy |= nx_group_transfer_poll(g->transfer);
        if (!g->requested)
            break;
    }
    return busy || g->requested;
}

bool nx_group_poll(struct nx_group *g)
{
    nx_assert(!g->in_upcall);
    nx_ns now = nx_clock_now();
    bool moved = fabric_turn(g, now);                              /* 1 */
    moved |= g->installed ? port_turn(g, now) : form_turn(g, now); /* 2 */
    if (g->installed)
        moved |= core_turn(g, now); /* 3, 4 */
    moved |= disk_turn(g, now);
    nx_fabric_flush(g->fabric); /* 5 */
    return moved;
}

/* --- sleeping --------------------------------------------------------------------------------- */

int nx_group_fd(const struct nx_group *g)
{
    return nx_fabric_fd(g->fabric);
}

static nx_ns earlier(nx_ns a, nx_ns b)
{
    return a < b ? a : b;
}

/* Our row says that we sleep before the last look, so that a peer that writes after it rings.
 * The last look is at the region, since asking the fabric may land writes (tcp's trywait reads
 * its sockets). */
enum nx_status nx_group_arm(struct nx_group *g, nx_ns *wake_at)
{
    nx_assert(!g->in_upcall);
    nx_ns at = nx_bootstrap_wake_at(g->boot);
    if (g->disk.durable)
        at = earlier(at, nx_durable_wake_at(g->disk.durable));
    if (g->requested)
        return NX_AGAIN;
    if (g->installed) {
        struct nx_event event = {.type = NX_EV_SLEEP};
        step(g, nx_clock_now(), &event);
        nx_fabric_flush(g->fabric);
        if (g->update.status != NX_OK || g->update.busy || g->requested)
            return NX_AGAIN;
        at = earlier(at, g->wake_at);
        g->port_at = 0; /* what wakes us may be the port */
    }
    NX_TRY(nx_fabric_arm(g->fabric));
    if (g->installed && nx_core_has_news(g->core))
        return NX_AGAIN;
    g->wakeups++;
    *wake_at = at;
    return NX_OK;
}

/* --- requests: one core step each ------------------------------------------------------------- */

static enum nx_status request(struct nx_group *g, const struct nx_event *event)
{
    if (!g->installed)
        return NX_UNAVAILABLE;
    nx_core_step(g->core, nx_clock_now(), event, &g->request);
    g->requested |= g->request.busy;
    return g->request.status;
}

enum nx_status nx_group_send(struct nx_group *g, uint32_t subgroup, const void *bytes, size_t len)
{
    return request(g, &(struct nx_event){
                          .type = NX_EV_SEND, .subgroup = subgroup, .bytes = bytes, .len = len});
}

static enum nx_status open_stream(struct nx_group *g, const struct nx_event *event,
                                  nx_stream *stream)
{
    NX_TRY(request(g, event));
    *stream = g->request.stream;
    return NX_OK;
}

static enum nx_status write_stream(struct nx_group *g, enum nx_event_type type, nx_stream stream,
                                   const void *bytes, size_t len, size_t *taken)
{
    struct nx_event event = {.type = type, .stream = stream, .bytes = bytes, .len = len};
    NX_TRY(request(g, &event));
    *taken = g->request.taken;
    return NX_OK;
}

enum nx_status nx_bulk_open(struct nx_group *g, uint32_t subgroup, uint64_t total, const void *head,
                            size_t head_len, nx_stream *stream)
{
    struct nx_event event = {.type = NX_EV_BULK_OPEN,
                             .subgroup = subgroup,
                             .total = total,
                             .bytes = head,
                             .len = head_len};
    NX_TRY(open_stream(g, &event, stream));
    if (g->disk.durable)
        nx_durable_bulk(g->disk.durable, *stream, total, NULL, 0);
    return NX_OK;
}

enum nx_status nx_bulk_write(struct nx_group *g, nx_stream stream, const void *bytes, size_t len,
                             size_t *taken)
{
    if (nx_group_disk_behind(&g->disk))
        len = 0; /* no room: the disk is behind */
    NX_TRY(write_stream(g, NX_EV_BULK_WRITE, stream, bytes, len, taken));
    if (g->disk.durable && *taken > 0)
        nx_durable_bulk(g->disk.durable, stream, 0, bytes, *taken);
    return NX_OK;
}

void nx_bulk_abort(struct nx_group *g, nx_stream stream)
{
    (void)request(g, &(struct nx_event){.type = NX_EV_BULK_ABORT, .stream = stream});
    if (g->disk.durable)
        nx_durable_bulk_aborted(g->disk.durable, stream);
}

enum nx_status nx_query_open(struct nx_group *g, nx_rank peer, uint64_t total, void *cookie,
                             nx_stream *stream)
{
    struct nx_event event = {
        .type = NX_EV_QUERY_OPEN, .peer = peer, .total = total, .cookie = cookie};
    return open_stream(g, &event, stream);
}

enum nx_status nx_query_write(struct nx_group *g, nx_stream query, const void *bytes, size_t len,
                              size_t *taken)
{
    return write_stream(g, NX_EV_QUERY_WRITE, query, bytes, len, taken);
}

void nx_query_cancel(struct nx_group *g, nx_stream query)
{
    (void)request(g, &(struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query});
}

enum nx_status nx_reply_open(struct nx_group *g, nx_stream query, uint64_t total)
{
    return request(g,
                   &(struct nx_event){.type = NX_EV_REPLY_OPEN, .stream = query, .total = total});
}

enum nx_status nx_reply_write(struct nx_group *g, nx_stream query, const void *bytes, size_t len,
                              size_t *taken)
{
    return write_stream(g, NX_EV_REPLY_WRITE, query, bytes, len, taken);
}

void nx_group_set_load(struct nx_group *g, unsigned word, uint32_t value)
{
    (void)request(g, &(struct nx_event){.type = NX_EV_LOAD, .word = word, .value = value});
}

void nx_group_state_ready(struct nx_group *g)
{
    if (!nx_group_disk_ready(&g->disk))
        nx_group_transfer_ready(g->transfer);
}

bool nx_group_leave(struct nx_group *g)
{
    if (!g->installed)
        return true;
    nx_ns now = nx_clock_now();
    if (!g->leaving) {
        g->leaving = true;
        g->leave_until = now + LEAVE_TIMEOUT_NS;
        (void)request(g, &(struct nx_event){.type = NX_EV_LEAVE});
    }
    return nx_core_left(g->core) || now >= g->leave_until;
}

/* --- facts ------------------------------------------------------------------------------------ */

const struct nx_view *nx_group_view(const struct nx_group *g)
{
    if (g->disk.has_view)
        return &g->disk.view;
    return g->installed ? nx_core_view(g->core) : NULL;
}

const struct nx_layout *nx_group_layout(const struct nx_group *g)
{
    if (g->disk.has_view)
        return &g->disk.layout;
    return g->installed ? nx_core_layout(g->core) : NULL;
}

nx_rank nx_group_rank(const struct nx_group *g)
{
    return g->disk.has_view ? g->disk.rank : nx_core_rank(g->core);
}

nx_rankset nx_group_alive(const struct nx_group *g)
{
    return nx_core_alive(g->core);
}

enum nx_status nx_group_shard_status(const struct nx_group *g, uint32_t subgroup, uint32_t shard)
{
    return g->installed ? nx_core_shard_status(g->core, subgroup, shard) : NX_UNAVAILABLE;
}

size_t nx_group_send_max(const struct nx_group *g)
{
    return nx_core_send_max(g->core);
}

nx_seq nx_group_durable(const struct nx_group *g, uint32_t subgroup)
{
    if (subgroup < g->config.spec.subgroups_count && g->config.spec.subgroups[subgroup].persistent)
        return nx_core_durable(g->core, subgroup);
    return nx_core_settled(g->core, subgroup);
}

bool nx_group_replays(const struct nx_group *g)
{
    return g->disk.replaying;
}

nx_seq nx_group_settled(const struct nx_group *g, uint32_t subgroup)
{
    return nx_core_settled(g->core, subgroup);
}

uint32_t nx_group_load(const struct nx_group *g, nx_rank rank, unsigned word)
{
    return nx_core_load(g->core, rank, word);
}

void nx_group_get_stats(const struct nx_group *g, struct nx_group_stats *stats)
{
    struct nx_fabric_stats fabric;
    nx_core_get_stats(g->core, stats);
    nx_fabric_get_stats(g->fabric, &fabric);
    stats->writes = fabric.writes;
    stats->write_bytes = fabric.write_bytes;
    stats->doorbells = fabric.doorbells;
    stats->wakeups = g->wakeups;
}
