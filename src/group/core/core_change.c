/* The view change as part of a turn: what rows say of the membership, the wedge, the install (docs/view-change.md §6). */
#include "group/core/core_state.h"

#include <string.h>

/* The peer is in our view. Of our bulk bytes it has what it took before; all else is written to it again. */
static void greet(struct nx_core *core, nx_rank peer)
{
    core->table.here |= NX_RANK_BIT(peer);
    uint64_t from = core->consumed[peer];
    if (core->bulk.cut && from < core->bulk.base)
        from = core->bulk.base;
    if (!nx_core_mutant(core, NX_MUTANT_RESUMES_BLINDLY))
        core->bulk_posted[peer] = from;
}

static void hear_installed(struct nx_core *core, nx_rank peer)
{
    uint64_t vid = nx_table_seen(&core->table, peer, NX_COL_INSTALLED);
    if (vid == NX_FAREWELL)
        core->suspect.fenced = true;
    else if (vid == core->view.vid)
        greet(core, peer);
}

static void hear_stance(struct nx_core *core, nx_rank peer)
{
    uint64_t word = nx_table_seen(&core->table, peer, NX_COL_STANCE);
    nx_change_hear_stance(&core->change, peer, word);
    if (!nx_core_mutant(core, NX_MUTANT_DEAF_TO_SUSPICION))
        nx_suspect_hear(&core->suspect, nx_stance_of(word).suspected);
}

static void hear_wedged(struct nx_core *core, nx_rank peer)
{
    uint64_t word = nx_table_seen(&core->table, peer, NX_COL_WEDGED);
    bool ours = (core->mc.peers & NX_RANK_BIT(peer)) != 0;
    if (word < nx_wedged_word(ours ? core->received[peer] : 0, false))
        nx_suspect_fail(&core->suspect, peer, "it froze fewer messages than it received");
    else
        nx_change_hear_wedged(&core->change, peer, word);
}

/* Who asked one member for a seat may die before it asks the next: what it proves holds for all. */
static void hear_reborn(struct nx_core *core, nx_rank peer)
{
    nx_rankset ranks = nx_table_seen(&core->table, peer, NX_COL_REBORN);
    core->reborn |= ranks & nx_view_ranks(&core->view) & ~NX_RANK_BIT(core->self);
}

void nx_core_hear_change(struct nx_core *core, nx_rank peer, uint32_t changed)
{
    if (changed & 1u << NX_COL_STANCE)
        hear_stance(core, peer);
    if (changed & 1u << NX_COL_WEDGED)
        hear_wedged(core, peer);
    if (changed & 1u << NX_COL_LEAVING)
        nx_suspect_hear_leave(&core->suspect, peer);
    if (changed & 1u << NX_COL_INSTALLED)
        hear_installed(core, peer);
    if (changed & 1u << NX_COL_REBORN)
        hear_reborn(core, peer);
    if (changed & 1u << NX_COL_HAS_STATE)
        core->with_state |= NX_RANK_BIT(peer);
    if (changed & 1u << NX_COL_PARTING)
        nx_core_hear_parting(core, peer);
}

static void hear_decisions(struct nx_core *core)
{
    for (nx_rankset left = nx_core_others(core); left; left &= left - 1)
        nx_change_hear_decision(
            &core->change,
            nx_table_seen(&core->table, (nx_rank)__builtin_ctzll(left), NX_COL_COMMITTED));
    if (nx_core_is_proven(core))
        nx_change_hear_decision(&core->change,
                                nx_decision_word(core->view.vid + 1, core->change.changed));
}

/* "A member that finds itself suspected, or out of a view that it did not want to leave, is fenced." */
static bool is_fenced(const struct nx_core *core)
{
    bool out = (core->change.decided & NX_RANK_BIT(core->self)) != 0;
    return core->suspect.fenced || (out && !core->announced);
}

/* What this member says of who goes and comes, and what it holds. */
static struct nx_change_facts facts_of(const struct nx_core *core)
{
    nx_rankset leavers = core->suspect.leaves_seen;
    if (core->announced)
        leavers |= NX_RANK_BIT(core->self);
    return (struct nx_change_facts){.suspected = core->suspect.suspected,
                                    .leavers = leavers,
                                    .joins = core->joins,
                                    .cards = nx_core_cards(core),
                                    .reborn = core->reborn,
                                    .held = core->mc.received,
                                    .has_state = core->has_state};
}

bool nx_core_change(struct nx_core *core)
{
    struct nx_suspect *suspect = &core->suspect;
    if (core->change.changed)
        hear_decisions(core);
    if (is_fenced(core)) {
        suspect->left = core->leave_asked;
        core->down = NX_FENCED;
        core->down_why = "another member takes this node for failed";
        return true;
    }
    struct nx_change_facts facts = facts_of(core);
    bool moved = nx_change_turn(&core->change, &facts);
    /* A leave that we only hear of from the leader is one, too. */
    for (nx_rankset left = core->change.leavers & ~NX_RANK_BIT(core->self) & ~suspect->leaves_seen;
         left; left &= left - 1)
        nx_suspect_hear_leave(suspect, (nx_rank)__builtin_ctzll(left));
    core->mc.wedged |= core->change.wedged;
    core->mc.trimming = core->change.decided != 0 && core->mc.senders > 0 &&
                        !(core->change.decided & NX_RANK_BIT(core->self));
    return moved;
}

uint64_t nx_core_trim(const struct nx_core *core)
{
    return nx_trim_compute(&core->change, core->mc.set);
}

/* Leavers that take part must have the decision before we forget them. */
static bool leavers_are_told(const struct nx_core *core)
{
    nx_rankset leavers = core->change.decided & core->suspect.reachable;
    for (nx_rankset left = leavers; left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        uint32_t bit = 1u << NX_COL_COMMITTED;
        if (core->table.told[peer][NX_COL_COMMITTED] !=
                nx_decision_word(core->view.vid + 1, core->change.decided) ||
            (core->table.dirty[peer] & bit))
            return false;
    }
    return true;
}

/* Who is told of a loss may send inside that upcall: the next view is not there before it is told, too. */
static bool tells_of_loss(const struct nx_update *update)
{
    for (uint32_t i = 0; i < update->upcalls_count; i++)
        if (update->upcalls[i].type == NX_UP_MEMBER_DOWN)
            return true;
    return false;
}

static bool may_install(const struct nx_core *core, const struct nx_update *update)
{
    const struct nx_change *change = &core->change;
    if (change->state != NX_CHANGE_DELIVERING || (change->decided & NX_RANK_BIT(core->self)))
        return false;
    if (core->mc.trimming && core->mc.delivered < nx_core_trim(core))
        return false;
    return leavers_are_told(core) && !(core->suspect.unreported & change->decided) &&
           !tells_of_loss(update) && update->upcalls_count < NX_UPCALLS_PER_STEP;
}

/* "Whoever accepted C has seen the counts of all who go on": of every shard, so all know where each one's order goes on.
 * One that nobody goes on in starts again where its last view did. */
static void add_trims(const struct nx_core *core, struct nx_view *next)
{
    for (uint32_t g = 0; g < core->layout.subgroups_count; g++)
        for (uint32_t s = 0; s < core->layout.shards_count[g]; s++) {
            nx_rankset set = core->layout.shards[g][s].set;
            if (set & ~core->change.decided)
                next->base[g][s] += nx_trim_compute(&core->change, set);
        }
}

/* Returns who is new in our shard of it, all of its members if we are; 0: nobody. */
static nx_rankset next_view(struct nx_core *core)
{
    struct nx_view next;
    nx_core_next_view(core, &next);
    add_trims(core, &next);
    core->lost_state = nx_view_assign(&core->view, &core->config.spec, &next);
    core->view = next;
    nx_layout_compute(&core->view, &core->config.spec, &core->layout);
    uint32_t shard, subgroup = core->view.members[core->self].subgroup;
    if (!nx_layout_shard_of(&core->layout, subgroup, core->self, &shard))
        return 0;
    return core->layout.shards[subgroup][shard].set & ~core->mc.set;
}

/* Whoever installed before us is here; of the others we shall hear. */
static void begin_table(struct nx_core *core, nx_rankset joined)
{
    nx_table_begin_epoch(&core->table, core->view.vid);
    nx_core_take_seats(core, joined);
    for (nx_rankset left = nx_core_others(core); left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        if (nx_table_seen(&core->table, peer, NX_COL_INSTALLED) == core->view.vid)
            greet(core, peer);
        nx_table_tell(&core->table, peer, NX_COL_INSTALLED, core->view.vid);
    }
}

/* The new epoch of our shard: our undelivered messages are appended again; streams go on, or are cut. */
static void next_epoch(struct nx_core *core, uint64_t saved, nx_rankset fresh)
{
    nx_core_begin_shard(core);
    core->bulk.cut = false;
    core->bulk.awaited &= core->mc.peers;
    if (!nx_core_mutant(core, NX_MUTANT_FORGETS_UNDELIVERED))
        nx_mc_restore(&core->mc, core->saved, saved);
    if (core->mc.senders)
        nx_bulk_begin_epoch(&core->bulk, core->view.vid);
    memset(core->relayed, 0, sizeof core->relayed);
    if (fresh)
        nx_core_cut_bulk(core, fresh & core->mc.peers);
    nx_core_settle_relays(core);
    core->delivered_at = core->delivered_told_at = 0;
}

bool nx_core_install(struct nx_core *core, nx_ns now, struct nx_update *update)
{
    if (!may_install(core, update))
        return false;
    nx_rankset before = nx_view_ranks(&core->view);
    nx_rankset removed = core->change.decided & before, joined = core->change.decided & ~before;
    core->settled_before = nx_core_settled(core, core->mc.subgroup);
    update->disconnect = removed & ~core->suspect.reachable;
    if (nx_core_mutant(core, NX_MUTANT_EVICTED_WRITES))
        update->disconnect = 0;
    nx_core_tell_change(core, 0);
    nx_rankset fresh = next_view(core);
    if (fresh)
        nx_bulk_cut(&core->bulk);
    uint64_t saved = nx_mc_save(&core->mc, fresh != 0, core->saved);
    nx_suspect_install(&core->suspect, nx_view_ranks(&core->view), joined);
    nx_heart_install(&core->heart, nx_view_ranks(&core->view), now);
    nx_core_begin_parting(core, nx_view_ranks(&core->view) & ~joined);
    core->orphaning |= removed;
    core->vacated |= removed;
    begin_table(core, joined);
    nx_core_begin_change(core);
    nx_core_begin_state(core);
    nx_core_begin_durable(core);
    next_epoch(core, saved, fresh);
    (void)nx_core_change(core); /* what is known already ends this view, too */
    nx_core_add_upcall(update, NX_UP_VIEW);
    return true;
}

/* --- telling --- */

/* Who lacks the state has ordered nothing but nulls, and as it asks for nothing any more it will not get it, nor deliver. */
static bool owes_order(const struct nx_core *core)
{
    return core->has_state && !core->mc.wedged &&
           (core->mc.out.freed != core->mc.out.head || nx_bulk_owes(&core->bulk));
}

/* All that we sent is consumed, so whoever hears of our leave has everything before it. What waits for a view change is
 * sent after it. */
static bool is_drained(const struct nx_core *core)
{
    bool blocked = core->change.state == NX_CHANGE_BLOCKED;
    if ((core->change.state != NX_CHANGE_STEADY && !blocked) || owes_order(core))
        return false;
    for (nx_rankset left = core->suspect.alive & nx_core_others(core); left; left &= left - 1) {
        const struct nx_window *out = &core->p2p.out[__builtin_ctzll(left)];
        if (out->freed != out->head)
            return false;
    }
    return true;
}

/* Members that know the view without us. */
static nx_rankset knowing(const struct nx_core *core)
{
    nx_rankset set = 0;
    if (!(core->change.decided & NX_RANK_BIT(core->self)))
        return 0;
    uint64_t word = nx_decision_word(core->view.vid + 1, core->change.decided);
    for (nx_rankset left = nx_core_others(core); left; left &= left - 1) {
        nx_rank peer = (nx_rank)__builtin_ctzll(left);
        if (nx_table_seen(&core->table, peer, NX_COL_COMMITTED) == word)
            set |= NX_RANK_BIT(peer);
    }
    return set;
}

static void tell_leave(struct nx_core *core, nx_ns now)
{
    struct nx_suspect *suspect = &core->suspect;
    if (!suspect->leaving || (core->awaited && !core->announced))
        return;
    if (is_drained(core) || now >= suspect->leave_until - NX_LEAVE_PATIENCE_NS / 2)
        core->announced = true;
    if (!core->announced)
        return;
    nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_LEAVING, 1);
    nx_suspect_settle_leave(suspect, knowing(core), now);
}

void nx_core_tell_change(struct nx_core *core, nx_ns now)
{
    const struct nx_change *change = &core->change;
    nx_rankset others = nx_core_others(core);
    if (change->wedged) {
        nx_table_tell_all(&core->table, others, NX_COL_STANCE,
                          nx_stance_word(nx_change_stance(change)));
        nx_table_tell_all(&core->table, others, NX_COL_WEDGED,
                          nx_wedged_word(change->count, change->stateful >> core->self & 1));
        nx_table_tell_all(&core->table, others, NX_COL_REBORN, core->reborn);
    }
    if (change->decided)
        nx_table_tell_all(&core->table, others, NX_COL_COMMITTED,
                          nx_decision_word(core->view.vid + 1, change->decided));
    nx_core_tell_parting(core);
    tell_leave(core, now);
}
