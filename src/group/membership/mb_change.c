#include "group/membership/mb_change.h"

#include "common/nx_assert.h"

#include <string.h>

#define TO(state) (1u << NX_CHANGE_##state)

/* Which states may follow which. A suspicion may come at any time, so what was reached may have to be awaited again. */
static const unsigned successors[] = {
    [NX_CHANGE_STEADY] = TO(AWAIT_WEDGES) | TO(AWAIT_PROMISES) | TO(AWAIT_PROPOSAL) |
                         TO(AWAIT_STANCES) | TO(BLOCKED) | TO(DELIVERING),
    [NX_CHANGE_AWAIT_WEDGES] =
        TO(AWAIT_PROMISES) | TO(AWAIT_PROPOSAL) | TO(AWAIT_STANCES) | TO(BLOCKED) | TO(DELIVERING),
    [NX_CHANGE_AWAIT_PROMISES] = TO(AWAIT_STANCES) | TO(BLOCKED) | TO(DELIVERING),
    [NX_CHANGE_AWAIT_PROPOSAL] =
        TO(AWAIT_WEDGES) | TO(AWAIT_PROMISES) | TO(AWAIT_STANCES) | TO(BLOCKED) | TO(DELIVERING),
    [NX_CHANGE_AWAIT_STANCES] = TO(BLOCKED) | TO(DELIVERING),
    [NX_CHANGE_BLOCKED] = TO(DELIVERING),
    [NX_CHANGE_DELIVERING] = 0,
};

static void check_invariant(const struct nx_change *change)
{
    nx_assert(!(change->removal & ~change->members));
    nx_assert(change->decided == 0 || change->decided == change->removal);
    nx_assert(change->removal == 0 || change->wedged);
    nx_assert((change->state == NX_CHANGE_STEADY) == !change->wedged);
    nx_assert((change->state == NX_CHANGE_DELIVERING) == (change->decided != 0));
}

static bool move(struct nx_change *change, enum nx_change_state state)
{
    if (change->state == state)
        return false;
    nx_assert(successors[change->state] >> state & 1);
    change->state = state;
    return true;
}

void nx_change_begin(struct nx_change *change, nx_vid vid, nx_rank self, nx_rankset members,
                     unsigned mutants)
{
    nx_assert(members & NX_RANK_BIT(self));
    memset(change, 0, sizeof *change);
    change->vid = vid;
    change->self = self;
    change->members = members;
    change->mutants = mutants;
}

void nx_change_hear_stance(struct nx_change *change, nx_rank rank, uint64_t word)
{
    change->stances[rank] = nx_stance_of(word);
}

void nx_change_hear_wedged(struct nx_change *change, nx_rank rank, uint64_t word)
{
    if (word == 0 || (change->wedges & NX_RANK_BIT(rank)))
        return;
    change->wedges |= NX_RANK_BIT(rank);
    change->counts[rank] = word - 1;
}

void nx_change_hear_decision(struct nx_change *change, uint64_t word)
{
    if (change->decided == 0 && change->removal != 0 &&
        word == nx_decision_word(change->vid + 1, change->removal))
        change->decided = change->removal;
}

static void wedge(struct nx_change *change, uint64_t held)
{
    change->wedged = true;
    change->count = held;
    change->wedges |= NX_RANK_BIT(change->self);
    change->counts[change->self] = held;
}

static bool is_majority(const struct nx_change *change, nx_rankset counted)
{
    if (change->mutants & NX_CHANGE_MINORITY)
        return true;
    return 2 * __builtin_popcountll(counted) > __builtin_popcountll(change->members);
}

static enum nx_change_state awaited(const struct nx_change *change, nx_rankset counted,
                                    nx_rank leader)
{
    if (change->decided != 0)
        return NX_CHANGE_DELIVERING;
    if (!is_majority(change, counted))
        return NX_CHANGE_BLOCKED;
    if (change->removal != 0)
        return NX_CHANGE_AWAIT_STANCES;
    if (leader == change->self)
        return counted & ~change->wedges ? NX_CHANGE_AWAIT_WEDGES : NX_CHANGE_AWAIT_PROMISES;
    return counted & ~change->wedges ? NX_CHANGE_AWAIT_WEDGES : NX_CHANGE_AWAIT_PROPOSAL;
}

bool nx_change_turn(struct nx_change *change, nx_rankset suspected, nx_rankset leavers,
                    uint64_t held)
{
    nx_assert(!(suspected & NX_RANK_BIT(change->self)));
    change->suspected |= suspected & change->members;
    nx_rankset counted = change->members & ~change->suspected;
    leavers &= change->members;
    if (!change->wedged && (change->suspected | leavers | (change->wedges & counted)))
        wedge(change, held);
    if (!change->wedged)
        return false;
    nx_rank leader = (nx_rank)__builtin_ctzll(counted);
    if (change->mutants & NX_CHANGE_ANYBODY_PROPOSES)
        leader = change->self;
    if (change->decided == 0 && is_majority(change, counted)) {
        if (leader == change->self)
            nx_propose_as_leader(change, counted, leavers);
        else
            nx_propose_follow(change, leader);
    }
    bool moved = move(change, awaited(change, counted, leader));
    check_invariant(change);
    return moved;
}
