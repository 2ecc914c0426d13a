/* Members that come: seats and their cards before the view, what begins with it, the state of a shard
 * (docs/view-change.md §8). */
#include "group/core/core_state.h"

#include "group/view/rankset.h"

/* --- before: seats --- */

bool nx_core_is_proven(const struct nx_core *core)
{
    const struct nx_change *change = &core->change;
    uint64_t word = nx_decision_word(core->view.vid + 1, change->members ^ change->changed);
    for (nx_rankset left = nx_change_joins(change); left;)
        if (nx_table_peek(&core->table, nx_rankset_take(&left), NX_COL_COMMITTED,
                          core->view.vid + 1) == word)
            return true;
    return false;
}

/* Seats that the change under way holds, or whose former owner is not done with. */
static nx_rankset held_seats(const struct nx_core *core)
{
    nx_rankset joins = nx_change_joins(&core->change);
    if (nx_core_mutant(core, NX_MUTANT_SEAT_GIVEN_TWICE))
        joins = 0;
    return joins | core->joins | core->orphaning | core->vacated | core->suspect.unreported;
}

/* "In one view a member takes a seat's card from one leader alone." What another leader has given away may have been
 * accepted somewhere, and be decided. */
static bool is_given(const struct nx_core *core, nx_rank seat, nx_rank leader)
{
    return core->admitted_in[seat] == core->view.vid && core->admitted_by[seat] != leader &&
           !nx_core_mutant(core, NX_MUTANT_SEAT_GIVEN_TWICE);
}

/* Whether the node is a member that neither failed nor leaves. */
static bool is_here(const struct nx_core *core, nx_node node)
{
    nx_rank rank = nx_view_rank_of(&core->view, node);
    return rank != NX_RANK_NONE && (core->suspect.alive & NX_RANK_BIT(rank));
}

static enum nx_status may_admit(const struct nx_core *core, const struct nx_event *event)
{
    if (!event->member || event->rank >= core->config.members_max ||
        event->member->subgroup >= core->config.spec.subgroups_count)
        return NX_INVALID;
    if ((nx_view_ranks(&core->view) & NX_RANK_BIT(event->rank)) ||
        is_here(core, event->member->node))
        return NX_EXISTS;
    if (event->vid != core->view.vid || event->peer != nx_suspect_leader(&core->suspect) ||
        (held_seats(core) & NX_RANK_BIT(event->rank)) || is_given(core, event->rank, event->peer))
        return NX_AGAIN;
    return NX_OK;
}

enum nx_status nx_core_admit(struct nx_core *core, const struct nx_event *event)
{
    /* What it proves does not depend on the seat: a group that waits for it may have none left in this view. Nor on what we
     * know: it counts once we suspect the former self, of whose death we may hear later than the leader. */
    if (event->member && event->vid == core->view.vid) {
        nx_rank former = nx_view_rank_of(&core->view, event->member->node);
        if (former != NX_RANK_NONE)
            core->reborn |= NX_RANK_BIT(former) & ~NX_RANK_BIT(core->self);
    }
    NX_TRY(may_admit(core, event));
    core->cards[event->rank] = *event->member;
    core->admitted |= NX_RANK_BIT(event->rank);
    core->stillborn &= ~NX_RANK_BIT(event->rank);
    core->admitted_in[event->rank] = core->view.vid;
    core->admitted_by[event->rank] = event->peer;
    /* Rings need no clearing: a byte is read once a counter covers it, and the counters begin anew. */
    if (!nx_core_mutant(core, NX_MUTANT_SEAT_NOT_CLEARED))
        nx_table_clear_seat(&core->table, event->rank);
    return NX_OK;
}

nx_rankset nx_core_cards(const struct nx_core *core)
{
    nx_rankset cards = 0;
    for (nx_rankset left = core->admitted; left; left &= left - 1)
        if (core->admitted_in[__builtin_ctzll(left)] == core->view.vid)
            cards |= left & -left;
    return cards;
}

/* Each node once, and no member that stays. */
static bool are_strangers(const struct nx_core *core, nx_rankset seats)
{
    for (nx_rankset left = seats; left; left &= left - 1) {
        nx_node node = core->cards[__builtin_ctzll(left)].node;
        if (is_here(core, node))
            return false;
        for (nx_rankset others = left & (left - 1); others;)
            if (core->cards[nx_rankset_take(&others)].node == node)
                return false;
    }
    return true;
}

enum nx_status nx_core_join(struct nx_core *core, const struct nx_event *event)
{
    const struct nx_suspect *suspect = &core->suspect;
    if (event->ranks == 0 || (event->ranks & nx_view_ranks(&core->view)))
        return NX_INVALID;
    for (nx_rankset left = event->ranks; left;) {
        unsigned seat = nx_rankset_take(&left);
        if (!(nx_core_cards(core) >> seat & 1) || core->admitted_by[seat] != core->self)
            return NX_NOT_FOUND;
    }
    if (!are_strangers(core, event->ranks | core->joins))
        return NX_EXISTS;
    /* Who leaves takes part, but does not answer any more: it may not know the card. */
    bool parting = suspect->leaving || (suspect->leaves_seen & suspect->reachable);
    if (nx_suspect_leader(suspect) != core->self || parting || core->change.changed ||
        core->change.state == NX_CHANGE_BLOCKED)
        return NX_AGAIN;
    core->joins |= event->ranks;
    return NX_OK;
}

/* --- the view that they come in --- */

/* "A member that goes on lacks the state if its WEDGED said so; who comes lacks it." */
void nx_core_next_view(const struct nx_core *core, struct nx_view *next)
{
    nx_rankset members = nx_view_ranks(&core->view);
    nx_rankset joined = core->change.decided & ~members;
    *next = core->view;
    next->vid++;
    next->vacant |= core->change.decided & members;
    for (nx_rankset left = joined; left;) {
        nx_rank seat = nx_rankset_take(&left);
        next->members[seat] = core->cards[seat];
        for (; next->members_count <= seat; next->members_count++)
            next->vacant |= NX_RANK_BIT(next->members_count);
    }
    next->vacant &= ~joined;
    next->stateless = nx_view_ranks(next) & ~joined & ~core->change.stateful;
}

static void take_seat(struct nx_core *core, nx_rank seat)
{
    bool clears = !nx_core_mutant(core, NX_MUTANT_SEAT_NOT_CLEARED);
    nx_table_take_seat(&core->table, seat, clears ? core->view.vid : 1);
    nx_p2p_take_seat(&core->p2p, seat);
    core->p2p_posted[seat] = 0;
    core->owing &= ~NX_RANK_BIT(seat);
    core->unrung &= ~NX_RANK_BIT(seat);
    core->ring &= ~NX_RANK_BIT(seat);
    if (core->stillborn & NX_RANK_BIT(seat))
        nx_suspect_fail(&core->suspect, seat, "its connection ended");
    core->stillborn &= ~NX_RANK_BIT(seat);
}

void nx_core_take_seats(struct nx_core *core, nx_rankset joined)
{
    for (nx_rankset left = joined; left;)
        take_seat(core, nx_rankset_take(&left));
    core->admitted &= ~joined;
    core->joins = 0;
    core->reborn &= nx_view_ranks(&core->view) & ~joined;
    nx_core_tell_loads(core, joined);
}

void nx_core_begin_state(struct nx_core *core)
{
    core->with_state = nx_view_ranks(&core->view) & ~core->view.stateless;
    if (nx_core_mutant(core, NX_MUTANT_STATELESS_ADEQUATE))
        core->with_state = nx_view_ranks(&core->view);
    core->has_state = !(core->view.stateless & NX_RANK_BIT(core->self));
}

/* --- bulk streams end where somebody comes --- */

void nx_core_cut_bulk(struct nx_core *core, nx_rankset fresh)
{
    struct nx_bulk *bulk = &core->bulk;
    nx_bulk_await_bases(bulk, core->view.vid, core->region, &core->shape, fresh);
    bulk->base = bulk->out.head;
    core->ending = (core->mc.peers & ~fresh) | NX_RANK_BIT(core->self);
    for (nx_rankset left = core->mc.peers; left;) {
        nx_rank peer = nx_rankset_take(&left);
        core->bulk_posted[peer] = bulk->out.head;
        if (fresh & NX_RANK_BIT(peer))
            core->consumed[peer] = bulk->out.head;
        nx_table_tell(&core->table, peer, NX_COL_BULK_BASE,
                      nx_bulk_base_word(core->view.vid, bulk->out.head));
    }
}

void nx_core_take_bases(struct nx_core *core)
{
    for (nx_rankset left = core->bulk.awaited & nx_core_others(core) & ~core->ending; left;) {
        nx_rank peer = nx_rankset_take(&left);
        const char *why = nx_bulk_take_base(&core->bulk, peer,
                                            nx_table_seen(&core->table, peer, NX_COL_BULK_BASE),
                                            nx_table_seen(&core->table, peer, NX_COL_BULK_SENT));
        if (why)
            nx_suspect_fail(&core->suspect, peer, why);
    }
}

/* --- the state of a shard --- */

enum nx_status nx_core_take_state(struct nx_core *core)
{
    if (core->mc.senders == 0)
        return NX_INVALID;
    if (core->has_state)
        return NX_EXISTS;
    if (core->change.wedged)
        return NX_AGAIN; /* our WEDGED says that we lack it: we get that of the next view */
    core->has_state = true;
    core->with_state |= NX_RANK_BIT(core->self);
    nx_table_tell_all(&core->table, nx_core_others(core), NX_COL_HAS_STATE, 1);
    return NX_OK;
}

bool nx_core_is_adequate(const struct nx_core *core, uint32_t subgroup, uint32_t shard,
                         nx_rankset among)
{
    nx_rankset there = core->layout.shards[subgroup][shard].set & core->with_state & among;
    return (uint32_t)__builtin_popcountll(there) >= core->config.spec.subgroups[subgroup].min_nodes;
}

/* "No shard acts below its minimum": it begins when enough of its members have the state. */
bool nx_core_feed_shard(struct nx_core *core)
{
    struct nx_mc *mc = &core->mc;
    if (!core->starved || core->change.wedged ||
        !nx_core_is_adequate(core, mc->subgroup, mc->shard, mc->set))
        return false;
    core->starved = mc->wedged = false;
    for (nx_rankset left = mc->peers & nx_core_others(core); left;) {
        nx_rank peer = nx_rankset_take(&left);
        const char *why = nx_mc_receive(mc, mc->sender_of[peer],
                                        nx_table_seen(&core->table, peer, NX_COL_MC_SENT));
        if (why)
            nx_suspect_fail(&core->suspect, peer, why);
    }
    return true;
}
