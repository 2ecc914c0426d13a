#include "group/membership/mb_change.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

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
    [NX_CHANGE_BLOCKED] = TO(AWAIT_WEDGES) | TO(AWAIT_PROMISES) | TO(AWAIT_PROPOSAL) |
                          TO(AWAIT_STANCES) | TO(DELIVERING),
    [NX_CHANGE_DELIVERING] = 0,
};

static void check_invariant(const struct nx_change *change, nx_rankset cards)
{
    nx_assert(!(change->changed & ~change->members & ~cards));
    nx_assert(change->decided == 0 || change->decided == change->changed);
    nx_assert(change->changed == 0 || change->wedged);
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
    if (word >> 1 == 0 || (change->wedges & NX_RANK_BIT(rank)))
        return;
    change->wedges |= NX_RANK_BIT(rank);
    change->stateful |= word & 1 ? NX_RANK_BIT(rank) : 0;
    change->counts[rank] = (word >> 1) - 1;
}

void nx_change_hear_decision(struct nx_change *change, uint64_t word)
{
    if (change->decided == 0 && change->changed != 0 &&
        word == nx_decision_word(change->vid + 1, change->changed))
        change->decided = change->changed;
}

static void wedge(struct nx_change *change, const struct nx_change_facts *facts)
{
    change->wedged = true;
    change->count = facts->held;
    change->wedges |= NX_RANK_BIT(change->self);
    change->stateful |= facts->has_state ? NX_RANK_BIT(change->self) : 0;
    change->counts[change->self] = facts->held;
}

/* More than half of the view; or half of it, if one of the others is known to be dead: then they are no half. */
static bool is_majority(const struct nx_change *change, nx_rankset counted, nx_rankset reborn)
{
    if (change->mutants & NX_CHANGE_MINORITY)
        return true;
    int members = __builtin_popcountll(change->members);
    reborn &= change->suspected;
    return 2 * __builtin_popcountll(counted | reborn) > members &&
           2 * __builtin_popcountll(counted) >= members;
}

static enum nx_change_state awaited(const struct nx_change *change, nx_rankset counted,
                                    bool majority, nx_rank leader)
{
    if (change->decided != 0)
        return NX_CHANGE_DELIVERING;
    if (!majority)
        return NX_CHANGE_BLOCKED;
    if (change->changed != 0)
        return NX_CHANGE_AWAIT_STANCES;
    if (counted & ~change->wedges)
        return NX_CHANGE_AWAIT_WEDGES;
    return leader == change->self ? NX_CHANGE_AWAIT_PROMISES : NX_CHANGE_AWAIT_PROPOSAL;
}

static bool is_wanted(const struct nx_change *change, nx_rankset counted,
                      const struct nx_change_facts *facts)
{
    return (change->suspected | (facts->leavers & change->members) | facts->joins |
            (change->wedges & counted)) != 0;
}

bool nx_change_turn(struct nx_change *change, const struct nx_change_facts *facts)
{
    nx_assert(!(facts->suspected & NX_RANK_BIT(change->self)));
    change->suspected |= facts->suspected & change->members;
    nx_rankset counted = change->members & ~change->suspected;
    if (!change->wedged && is_wanted(change, counted, facts))
        wedge(change, facts);
    if (!change->wedged)
        return false;
    nx_rank leader = nx_rankset_first(counted);
    if (change->mutants & NX_CHANGE_ANYBODY_PROPOSES)
        leader = change->self;
    bool majority = is_majority(change, counted, facts->reborn);
    if (change->decided == 0 && majority) {
        if (leader == change->self)
            nx_propose_as_leader(change, counted, facts);
        else
            nx_propose_follow(change, leader, facts->cards);
    }
    bool moved = move(change, awaited(change, counted, majority, leader));
    check_invariant(change, facts->cards);
    return moved;
}
