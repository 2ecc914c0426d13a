#include "group/core/core.h"

#include "common/arena.h"
#include "group/core/core_state.h"
#include "group/multicast/mc_stability.h"

#include <stdlib.h>
#include <string.h>

static enum nx_status shape_of(const struct nx_core_config *config, struct nx_region_shape *shape,
                               struct nx_err *err)
{
    return nx_region_shape_init(shape, config->members_max, config->mc_ring_bytes,
                                config->bulk_ring_bytes, config->p2p_ring_bytes, err);
}

size_t nx_core_region_bytes(const struct nx_core_config *config)
{
    struct nx_region_shape shape;
    return shape_of(config, &shape, NULL) == NX_OK ? shape.bytes : 0;
}

uint64_t nx_core_layout_hash(const struct nx_core_config *config)
{
    struct nx_region_shape shape;
    return shape_of(config, &shape, NULL) == NX_OK ? nx_region_shape_hash(&shape) : 0;
}

/* A small message, and a bulk head in its first block, take at most a quarter of their ring, with
 * their headers. */
static size_t send_max_of(const struct nx_region_shape *shape)
{
    uint64_t ring = shape->mc_ring_bytes < shape->bulk_ring_bytes ? shape->mc_ring_bytes
                                                                  : shape->bulk_ring_bytes;
    return ring / 4 - 64;
}

enum nx_status nx_core_open(const struct nx_core_config *config, void *region,
                            struct nx_core **core, struct nx_err *err)
{
    struct nx_region_shape shape;
    NX_TRY(shape_of(config, &shape, err));
    NX_TRY(nx_spec_check(&config->spec, err));
    struct nx_core *opened = nx_calloc(1, sizeof *opened);
    size_t send_max = send_max_of(&shape);
    uint8_t *heads = nx_calloc(NX_BULKS_MAX, send_max);
    uint8_t *saved = nx_calloc(1, shape.mc_ring_bytes);
    struct nx_asked *asked = nx_calloc((size_t)config->members_max * NX_QUERIES_MAX, sizeof *asked);
    if (!opened || !heads || !saved || !asked) {
        free(opened);
        free(saved);
        free(heads);
        free(asked);
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the group's tables");
    }
    opened->config = *config;
    opened->shape = shape;
    opened->region = region;
    opened->send_max = send_max;
    opened->heads = heads;
    opened->saved = saved;
    opened->asked = asked;
    *core = opened;
    return NX_OK;
}

void nx_core_close(struct nx_core *core)
{
    if (!core)
        return;
    free(core->heads);
    free(core->saved);
    free(core->asked);
    free(core);
}

void nx_core_begin_shard(struct nx_core *core)
{
    struct nx_mc *mc = &core->mc;
    uint64_t nulls = mc->nulls_sent;
    nx_mc_init(mc, &core->layout, core->view.members[core->self].subgroup, core->self, core->region,
               &core->shape, core->send_max);
    mc->base = mc->senders ? core->view.base[mc->subgroup][mc->shard] : 0;
    mc->nulls_sent = nulls;
    mc->frees_early = nx_core_mutant(core, NX_MUTANT_WINDOW_OFF_BY_ONE);
    /* "No shard acts below its minimum": it waits for members, or for their state. */
    core->starved = mc->senders > 0 && !nx_core_is_adequate(core, mc->subgroup, mc->shard, mc->set);
    mc->wedged = core->starved;
    for (nx_rankset left = mc->set; left; left &= left - 1) {
        nx_rank r = (nx_rank)__builtin_ctzll(left);
        core->received[r] = core->delivered[r] = core->mc_posted[r] = 0;
    }
}

static unsigned change_mutants(const struct nx_core *core)
{
    static const struct {
        enum nx_mutant mutant;
        enum nx_change_mutant change;
    } pairs[] = {{NX_MUTANT_TRIM_MAX, NX_CHANGE_TRIM_MAX},
                 {NX_MUTANT_VIEW_BEFORE_WEDGE, NX_CHANGE_BEFORE_WEDGE},
                 {NX_MUTANT_MINORITY_GOES_ON, NX_CHANGE_MINORITY},
                 {NX_MUTANT_ANYBODY_PROPOSES, NX_CHANGE_ANYBODY_PROPOSES}};
    unsigned mutants = 0;
    for (unsigned i = 0; i < sizeof pairs / sizeof *pairs; i++)
        mutants |= nx_core_mutant(core, pairs[i].mutant) ? pairs[i].change : 0;
    return mutants;
}

void nx_core_begin_change(struct nx_core *core)
{
    nx_change_begin(&core->change, core->view.vid, core->self, nx_view_ranks(&core->view),
                    change_mutants(core));
}

/* A joiner's first view: those of before may not be in it yet, and have bulk windows of before. */
static void begin_among_others(struct nx_core *core)
{
    core->table.here = 0;
    core->began_among_others = true;
    nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_INSTALLED, core->view.vid);
    /* Who accepted the change may not know that it is decided; of who comes it knows only what it is in. */
    nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_COMMITTED,
                      nx_decision_word(core->view.vid, nx_view_ranks(&core->view)));
    if (core->mc.peers)
        nx_core_cut_bulk(core, core->mc.peers);
}

/* Whether the view is the first of all of its members. */
static bool is_first_view(const struct nx_view *view)
{
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1)
        if (view->members[__builtin_ctzll(left)].since != view->vid)
            return false;
    return true;
}

/* Who is there, and what rows say of them. */
static void begin_members(struct nx_core *core, nx_ns now, const struct nx_view *view)
{
    nx_rankset ranks = nx_view_ranks(view);
    nx_table_init(&core->table, core->region, &core->shape, core->config.caps.waw, view->vid);
    core->table.believes_torn = nx_core_mutant(core, NX_MUTANT_SKIP_GUARD_CHECK);
    nx_suspect_init(&core->suspect, core->self, view->members_count);
    nx_suspect_install(&core->suspect, ranks, 0);
    nx_heart_begin(&core->heart, core->config.timeout_ns, core->self, ranks, now);
    core->heart.ignores_lateness = nx_core_mutant(core, NX_MUTANT_IGNORES_LATENESS);
    nx_core_begin_change(core);
}

/* Bulk messages, queries and replies: their windows begin with our membership. */
static void begin_streams(struct nx_core *core, const struct nx_view *view)
{
    nx_vid since = view->members[core->self].since;
    nx_bulk_init(&core->bulk, &core->mc, core->self, since, core->region, &core->shape,
                 core->heads);
    nx_bulk_plan(&core->bulk, view->vid, &core->config.schedules);
    nx_p2p_init(&core->p2p, core->self, view->members_count, since, core->region, &core->shape,
                core->asked);
    core->receipts_at = NX_NEVER;
}

static enum nx_status install_view(struct nx_core *core, nx_ns now, const struct nx_view *view)
{
    if (core->has_view)
        return NX_EXISTS;
    NX_TRY(nx_view_check(view, core->config.members_max, &core->config.spec, NULL));
    nx_rank self = nx_view_rank_of(view, core->config.self);
    if (self == NX_RANK_NONE)
        return NX_FENCED;
    core->view = *view;
    core->self = self;
    nx_layout_compute(view, &core->config.spec, &core->layout);
    begin_members(core, now, view);
    nx_core_begin_state(core);
    nx_core_begin_shard(core);
    core->settled_before = NX_SEQ_NONE;
    core->durable = NX_SEQ_NONE;
    nx_core_begin_durable(core);
    begin_streams(core, view);
    core->has_view = true;
    if (!is_first_view(view))
        begin_among_others(core);
    return NX_OK;
}

static void step_view(struct nx_core *core, nx_ns now, const struct nx_event *event,
                      struct nx_update *update)
{
    update->status = install_view(core, now, event->view);
    if (update->status != NX_OK)
        return;
    /* Whoever let us in was perhaps in the view before alone. */
    if (!is_first_view(&core->view))
        update->disconnect =
            (NX_RANK_BIT(core->config.members_max) - 1) & ~nx_view_ranks(&core->view);
    update->upcalls[update->upcalls_count++] = (struct nx_upcall){.type = NX_UP_VIEW};
    update->busy = true;
}

static void step_peer_down(struct nx_core *core, const struct nx_event *event,
                           struct nx_update *update)
{
    if (!core->has_view || event->peer >= core->config.members_max || event->peer == core->self) {
        update->status = NX_INVALID;
        return;
    }
    if (!(nx_view_ranks(&core->view) & NX_RANK_BIT(event->peer))) {
        core->stillborn |= core->admitted & NX_RANK_BIT(event->peer);
        return;
    }
    nx_core_last_look(core, event->peer);
    nx_suspect_fail(&core->suspect, event->peer, event->why ? event->why : "its connection ended");
    update->busy = true;
}

void nx_core_step(struct nx_core *core, nx_ns now, const struct nx_event *event,
                  struct nx_update *update)
{
    update->status = NX_OK;
    update->stream = 0;
    update->taken = 0;
    update->busy = false;
    update->wake_at = NX_NEVER;
    update->disconnect = 0;
    update->upcalls_count = 0;
    update->writes_count = 0;
    switch (event->type) {
    case NX_EV_VIEW: step_view(core, now, event, update); return;
    case NX_EV_POLL: nx_core_turn(core, now, event, update); return;
    case NX_EV_SLEEP: nx_core_sleep(core, now, event->writable, update); return;
    case NX_EV_PEER_DOWN: step_peer_down(core, event, update); return;
    case NX_EV_DURABLE: nx_core_durable_here(core, event, update); return;
    case NX_EV_SEND:
    case NX_EV_BULK_OPEN:
    case NX_EV_BULK_WRITE:
    case NX_EV_BULK_ABORT:
    case NX_EV_QUERY_OPEN:
    case NX_EV_QUERY_WRITE:
    case NX_EV_QUERY_CANCEL:
    case NX_EV_REPLY_OPEN:
    case NX_EV_REPLY_WRITE:
    case NX_EV_LOAD:
    case NX_EV_ADMIT:
    case NX_EV_JOIN:
    case NX_EV_STATE:
    case NX_EV_WANT_OUT:
    case NX_EV_LEAVE: nx_core_request(core, now, event, update); return;
    }
    update->status = NX_INVALID;
}

bool nx_core_upcall_wanted(const struct nx_core *core, const struct nx_upcall *upcall)
{
    switch (upcall->type) {
    case NX_UP_REPLY_PART:
    case NX_UP_QUERY_FAILED: return nx_p2p_reply_wanted(&core->p2p, upcall->part.stream);
    case NX_UP_QUERY_PART: return nx_p2p_query_wanted(&core->p2p, upcall->part.stream);
    case NX_UP_VIEW:
    case NX_UP_MEMBER_DOWN:
    case NX_UP_DELIVER:
    case NX_UP_BULK_PART:
    case NX_UP_BULK_ABORTED:
    case NX_UP_QUERY_GONE:
    case NX_UP_DOWN: return true;
    }
    return true;
}

bool nx_core_has_news(const struct nx_core *core)
{
    if (!core->has_view || core->down != NX_OK)
        return false;
    for (nx_rankset left = nx_core_others(core); left; left &= left - 1)
        if (nx_table_has_news(&core->table, (nx_rank)__builtin_ctzll(left)))
            return true;
    return nx_core_relays_have_news(core) ||
           (!core->change.decided && core->change.changed && nx_core_is_proven(core));
}

const struct nx_view *nx_core_view(const struct nx_core *core)
{
    return core->has_view ? &core->view : NULL;
}

const struct nx_layout *nx_core_layout(const struct nx_core *core)
{
    return core->has_view ? &core->layout : NULL;
}

nx_rank nx_core_rank(const struct nx_core *core)
{
    return core->has_view ? core->self : NX_RANK_NONE;
}

nx_rankset nx_core_alive(const struct nx_core *core)
{
    return core->has_view ? core->suspect.alive : 0;
}

nx_rankset nx_core_heard(const struct nx_core *core)
{
    return nx_core_alive(core) & ~(nx_rankset)core->heart.links[core->self].broken;
}

nx_rank nx_core_leader(const struct nx_core *core)
{
    if (!core->has_view)
        return NX_RANK_NONE;
    nx_rankset stay = core->suspect.alive;
    if (core->suspect.leaving)
        stay &= ~NX_RANK_BIT(core->self);
    return stay ? (nx_rank)__builtin_ctzll(stay) : NX_RANK_NONE;
}

bool nx_core_has_state(const struct nx_core *core)
{
    return core->has_view && core->has_state;
}

nx_rankset nx_core_with_state(const struct nx_core *core)
{
    return core->has_view ? core->with_state : 0;
}

nx_rankset nx_core_lost_state(const struct nx_core *core)
{
    return core->has_view ? core->lost_state : 0;
}

enum nx_status nx_core_shard_status(const struct nx_core *core, uint32_t subgroup, uint32_t shard)
{
    if (!core->has_view)
        return NX_UNAVAILABLE;
    if (subgroup >= core->layout.subgroups_count || shard >= core->layout.shards_count[subgroup])
        return NX_INVALID;
    if (!nx_core_is_adequate(core, subgroup, shard, core->suspect.alive))
        return NX_UNAVAILABLE;
    return nx_core_change_state(core) == NX_CHANGE_BLOCKED ? NX_WEDGED : NX_OK;
}

enum nx_change_state nx_core_change_state(const struct nx_core *core)
{
    if (!core->has_view)
        return NX_CHANGE_STEADY;
    return core->heart.isolated ? NX_CHANGE_BLOCKED : core->change.state;
}

nx_seq nx_core_settled(const struct nx_core *core, uint32_t subgroup)
{
    if (!core->has_view || core->mc.senders == 0 || subgroup != core->mc.subgroup)
        return NX_SEQ_NONE;
    if (core->mc.peers & ~core->table.here)
        /* who is not in this view yet may not have delivered the old one */
        return core->settled_before;
    return (nx_seq)(core->mc.base + nx_stability_frontier(core->delivered, core->mc.set)) - 1;
}

size_t nx_core_send_max(const struct nx_core *core)
{
    return core->send_max;
}

uint32_t nx_core_load(const struct nx_core *core, nx_rank rank, unsigned word)
{
    if (!core->has_view || rank >= core->view.members_count || word >= NX_LOAD_WORDS)
        return 0;
    if (rank == core->self)
        return core->load[word];
    uint64_t pair =
        nx_table_seen(&core->table, rank, word < 2 ? NX_COL_LOAD_LOW : NX_COL_LOAD_HIGH);
    return (uint32_t)(pair >> (word % 2 * 32));
}

nx_rankset nx_core_leave_awaits(const struct nx_core *core)
{
    return core->has_view && core->down == NX_OK && !core->announced ? core->awaited : 0;
}

bool nx_core_may_leave(const struct nx_core *core)
{
    return nx_core_leave_awaits(core) == 0 && !core->undecided;
}

bool nx_core_is_leaving(const struct nx_core *core)
{
    return core->has_view && core->suspect.leaving;
}

bool nx_core_left(const struct nx_core *core)
{
    return !core->has_view || core->down != NX_OK || core->suspect.left;
}

void nx_core_get_stats(const struct nx_core *core, struct nx_group_stats *stats)
{
    *stats = core->stats;
    stats->nulls = core->mc.nulls_sent;
}
