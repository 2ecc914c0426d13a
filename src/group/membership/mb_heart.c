#include "group/membership/mb_heart.h"

#include "group/view/rankset.h"

#include <string.h>

static nx_ns period(const struct nx_heart *heart)
{
    return heart->timeout / NX_BEATS_PER_TIMEOUT;
}

static nx_ns listened(const struct nx_heart *heart, nx_ns now)
{
    return now - heart->late;
}

void nx_heart_begin(struct nx_heart *heart, nx_ns timeout, nx_rank self, nx_rankset members,
                    nx_ns now)
{
    memset(heart, 0, sizeof *heart);
    heart->timeout = timeout;
    heart->self = self;
    heart->due = NX_NEVER;
    heart->beat_at = now;
    nx_heart_install(heart, members, now);
}

void nx_heart_install(struct nx_heart *heart, nx_rankset members, nx_ns now)
{
    nx_assert(members & NX_RANK_BIT(heart->self));
    for (nx_rankset left = members & ~heart->members; left;) {
        nx_rank rank = nx_rankset_take(&left);
        heart->silent_at[rank] = listened(heart, now) + NX_FIRST_TIMEOUTS * heart->timeout;
        heart->links[rank] = (struct nx_links){0, 0};
    }
    heart->members = members;
    heart->clique = members;
}

void nx_heart_turn(struct nx_heart *heart, nx_ns now)
{
    heart->prompted = false;
    if (now > heart->due && !heart->ignores_lateness)
        heart->late += now - heart->due;
    heart->due = NX_NEVER;
}

void nx_heart_hear(struct nx_heart *heart, nx_rank rank, bool beat, nx_ns now)
{
    heart->prompted |= beat;
    heart->silent_at[rank] = listened(heart, now) + heart->timeout;
}

void nx_heart_hear_links(struct nx_heart *heart, nx_rank rank, uint64_t word)
{
    heart->links[rank] = nx_links_of(word);
}

/* Our own links, from our own ears and from those whom we hear. */
static void find_links(struct nx_heart *heart, nx_rankset reachable, nx_ns now)
{
    struct nx_links own = {0, 0};
    for (nx_rankset left = reachable & ~NX_RANK_BIT(heart->self); left;) {
        nx_rank rank = nx_rankset_take(&left);
        if (listened(heart, now) >= heart->silent_at[rank])
            own.unheard |= 1u << rank;
        else if (heart->links[rank].unheard >> heart->self & 1)
            own.broken |= 1u << rank;
    }
    own.broken |= own.unheard;
    heart->links[heart->self] = own;
}

/* Those who were silent for half the timeout: two beats are overdue. */
static nx_rankset doubtful(const struct nx_heart *heart, nx_rankset reachable, nx_ns now)
{
    nx_rankset set = 0;
    for (nx_rankset left = reachable & ~NX_RANK_BIT(heart->self); left;) {
        nx_rank rank = nx_rankset_take(&left);
        if (listened(heart, now) > heart->silent_at[rank] - heart->timeout / 2)
            set |= NX_RANK_BIT(rank);
    }
    return set;
}

static bool is_majority(const struct nx_heart *heart, nx_rankset set)
{
    return 2 * __builtin_popcountll(set) > __builtin_popcountll(heart->members);
}

/* Whether a lower rank may be the lowest of another clique that is a majority: of the members of ours it has at most those
 * that do not call their link to it broken; of the others, for all we know, all. */
static bool may_judge_instead(const struct nx_heart *heart, nx_rank rank, nx_rankset reachable)
{
    nx_rankset with = (reachable & ~heart->clique) | NX_RANK_BIT(rank);
    for (nx_rankset left = heart->clique; left;) {
        nx_rank of = nx_rankset_take(&left);
        if (!(heart->links[of].broken >> rank & 1))
            with |= NX_RANK_BIT(of);
    }
    return is_majority(heart, with);
}

static bool has_rival(const struct nx_heart *heart, nx_rankset reachable)
{
    nx_rankset lower = (NX_RANK_BIT(heart->self) - 1) & reachable & ~heart->clique;
    for (nx_rankset left = lower; left;)
        if (may_judge_instead(heart, nx_rankset_take(&left), reachable))
            return true;
    return false;
}

static bool is_judge(const struct nx_heart *heart)
{
    return is_majority(heart, heart->clique) &&
           (heart->clique & (NX_RANK_BIT(heart->self) - 1)) == 0;
}

/* When the member was last heard, in listening time, counted from the finding. We hear ourselves. */
static nx_ns heard_after(const struct nx_heart *heart, nx_rank rank)
{
    return rank == heart->self ? NX_NEVER
                               : heart->silent_at[rank] - heart->timeout - heart->doomed_at;
}

static bool says_unheard(const struct nx_heart *heart, nx_rank rank, nx_rank whom)
{
    return heart->links[rank].unheard >> whom & 1;
}

/* The end that we would keep may be dying: its last beat may have reached us and not the other
 * end. So it has to be heard once more; if it is not, it falls silent here as well. And what the
 * other end says may be old: the kept one was stopped, or we, and went on before the other could
 * read it. So who is to go for its own words has to be heard again, too. */
static bool is_confirmed_link(const struct nx_heart *heart, nx_rank kept, nx_rank going)
{
    if (!((heart->links[kept].broken >> going | heart->links[going].broken >> kept) & 1))
        return true;
    return heard_after(heart, kept) > 0 &&
           (!says_unheard(heart, going, kept) ||
            heard_after(heart, going) > heart->timeout / NX_DWELLS_PER_TIMEOUT);
}

/* Of the links that others call broken, whose ends we both hear. */
static bool is_confirmed(const struct nx_heart *heart)
{
    nx_rankset own = heart->links[heart->self].unheard;
    for (nx_rankset left = heart->doomed & ~own; left; left &= left - 1)
        for (nx_rankset kept = heart->clique; kept;)
            if (!is_confirmed_link(heart, nx_rankset_take(&kept), nx_rankset_first(left)))
                return false;
    return true;
}

/* It may be we who hear less and less, one member after the other: whom we keep we have to hear, so many that they are a
 * majority. A doubtful one is heard again, or falls silent, too. */
static bool is_certain(const struct nx_heart *heart)
{
    return is_majority(heart, heart->clique & ~heart->doubtful) && is_confirmed(heart);
}

/* In listening time. */
static nx_ns judged_at(const struct nx_heart *heart)
{
    return heart->doomed_at +
           (heart->rivalled ? heart->timeout : heart->timeout / NX_DWELLS_PER_TIMEOUT);
}

nx_rankset nx_heart_judge(struct nx_heart *heart, nx_rankset reachable, nx_ns now)
{
    if (heart->timeout == 0)
        return 0;
    find_links(heart, reachable, now);
    heart->doubtful = doubtful(heart, reachable, now);
    heart->clique = nx_links_clique(heart->links, reachable, heart->self, heart->doubtful,
                                    (uint32_t)__builtin_popcountll(heart->members));
    heart->isolated = heart->clique != reachable && !is_majority(heart, heart->clique);
    nx_rankset rest = reachable & ~heart->clique;
    if (!is_judge(heart))
        rest = 0;
    heart->doomed &= rest;
    if (!heart->doomed) {
        heart->doomed = rest;
        heart->doomed_at = listened(heart, now);
    }
    heart->rivalled = heart->doomed && has_rival(heart, reachable);
    bool holds = listened(heart, now) >= judged_at(heart) && is_certain(heart);
    return holds ? heart->doomed : 0;
}

/* Beats go together: who is woken by another's beat and would have to wake soon for its own beats at once. */
bool nx_heart_beat(struct nx_heart *heart, nx_ns now)
{
    nx_ns at = heart->prompted ? heart->beat_at - period(heart) / 2 : heart->beat_at;
    if (heart->timeout == 0 || now < at)
        return false;
    heart->beat_at = now + period(heart);
    heart->beats++;
    return true;
}

nx_ns nx_heart_next(const struct nx_heart *heart, nx_rankset reachable)
{
    if (heart->timeout == 0)
        return NX_NEVER;
    nx_ns at = heart->beat_at;
    if (heart->doomed && judged_at(heart) + heart->late < at && is_certain(heart))
        at = judged_at(heart) + heart->late;
    nx_rankset awaited =
        reachable & ~NX_RANK_BIT(heart->self) & ~(nx_rankset)heart->links[heart->self].unheard;
    for (nx_rankset left = awaited; left;) {
        nx_ns silent_at = heart->silent_at[nx_rankset_take(&left)] + heart->late;
        at = silent_at < at ? silent_at : at;
    }
    return at;
}
