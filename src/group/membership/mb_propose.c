/* The rules by which a change is proposed, accepted and decided: docs/view-change.md §4, which also says why two leaders
 * cannot decide differently, nor give one seat to two. */
#include "group/membership/mb_change.h"

#include "common/nx_assert.h"
#include "group/view/rankset.h"

static uint32_t ranks_below(nx_rank rank)
{
    return (uint32_t)(NX_RANK_BIT(rank) - 1);
}

static nx_rankset others_of(const struct nx_change *change, nx_rankset set)
{
    return set & ~NX_RANK_BIT(change->self);
}

/* "In every such stance all ranks below the leader are suspected." Ranks that are no members need no suspicion. */
static bool has_promised(const struct nx_change *change, nx_rank rank, nx_rank leader)
{
    uint32_t below = ranks_below(leader) & (uint32_t)change->members;
    return (change->stances[rank].suspected & below) == below;
}

static bool all_promised(const struct nx_change *change, nx_rankset counted)
{
    for (nx_rankset left = others_of(change, counted); left;)
        if (!has_promised(change, nx_rankset_take(&left), change->self))
            return false;
    return true;
}

/* Whether all show what we accepted already: then it may be decided, and we must not leave it. */
static bool must_keep(const struct nx_change *change, nx_rankset counted)
{
    if (change->changed == 0)
        return false;
    for (nx_rankset left = others_of(change, counted); left;)
        if (change->stances[nx_rankset_take(&left)].changed != change->changed)
            return false;
    return true;
}

static bool all_show_ours(const struct nx_change *change, nx_rankset counted)
{
    struct nx_stance ours = nx_change_stance(change);
    for (nx_rankset left = others_of(change, counted); left;) {
        struct nx_stance theirs = change->stances[nx_rankset_take(&left)];
        if (theirs.suspected != ours.suspected || theirs.changed != ours.changed)
            return false;
    }
    return true;
}

/* A leader makes its own joins alone: another's, which not all accepted, are dropped. */
static void propose(struct nx_change *change, nx_rankset counted,
                    const struct nx_change_facts *facts)
{
    nx_rankset removal = change->changed | change->suspected | facts->leavers;
    for (nx_rankset left = others_of(change, counted); left;)
        removal |= change->stances[nx_rankset_take(&left)].changed;
    change->made |= facts->joins & ~change->members;
    change->changed = (removal & change->members) | change->made;
}

void nx_propose_as_leader(struct nx_change *change, nx_rankset counted,
                          const struct nx_change_facts *facts)
{
    bool frozen = !(counted & ~change->wedges) || (change->mutants & NX_CHANGE_BEFORE_WEDGE);
    bool promised = all_promised(change, counted) || (change->mutants & NX_CHANGE_ANYBODY_PROPOSES);
    if (frozen && promised && !must_keep(change, counted))
        propose(change, counted, facts);
    if (change->changed != 0 && all_show_ours(change, counted))
        change->decided = change->changed;
}

void nx_propose_follow(struct nx_change *change, nx_rank leader, nx_rankset cards)
{
    struct nx_stance theirs = change->stances[leader];
    nx_rankset joins = theirs.changed & ~change->members;
    if (theirs.changed == 0 || (joins & ~cards) || !has_promised(change, leader, leader))
        return;
    nx_rankset going_on = change->members & ~(nx_rankset)theirs.changed;
    if (!(going_on & ~change->wedges) || (change->mutants & NX_CHANGE_BEFORE_WEDGE)) {
        change->changed = theirs.changed;
        change->leavers |= theirs.changed & change->members & ~theirs.suspected;
    }
}
