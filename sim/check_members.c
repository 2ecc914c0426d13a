/* W1, V5, V6 and L1: deaths and leaves, what is said of them and what must stop. */
#include "check.h"

#include <inttypes.h>

struct told {
    uint64_t down;    /* ranks that this node was told are gone */
    uint64_t members; /* of its view */
    bool out;
};

/* The peer is in a view without the node, which leaves. */
static bool has_parted(const struct sim_facts *facts, const struct told *told,
                       const struct sim_record *r)
{
    size_t at = (size_t)(r - facts->trace->records);
    return facts->leaving[r->node] < at && told[r->peer].members &&
           !(told[r->peer].members >> r->node & 1);
}

static bool is_down(const struct sim_facts *facts, struct told *told, size_t at,
                    struct sim_verdict *verdict)
{
    const struct sim_record *r = &facts->trace->records[at];
    bool leaving = facts->leaving[r->peer] < at, dead = facts->killed[r->peer] < at;
    bool parted = has_parted(facts, told, r); /* who leaves is left alone by those who stay */
    if (told[r->node].down >> r->peer & 1)
        return sim_find(verdict, "V5", at, "n%u was told twice that n%u is gone", r->node, r->peer);
    told[r->node].down |= UINT64_C(1) << r->peer;
    if (sim_given_up(facts, r->peer, at) || sim_given_up(facts, r->node, at))
        return true;
    if (!leaving && !dead && !parted)
        return sim_find(verdict, "V5", at, "n%u was told that n%u is gone, which lives", r->node,
                        r->peer);
    if (r->status && !leaving)
        return sim_find(verdict, "L1", at, "n%u was told that n%u left, which died", r->node,
                        r->peer);
    if (!r->status && facts->left[r->peer] < at && !parted)
        return sim_find(verdict, "L1", at, "n%u was told that n%u died, which left cleanly",
                        r->node, r->peer);
    return true;
}

static bool may_send(const struct sim_facts *facts, const struct told *told, size_t at,
                     struct sim_verdict *verdict)
{
    const struct sim_record *r = &facts->trace->records[at];
    if (!(told[r->node].down & told[r->node].members))
        return true;
    return sim_find(verdict, "W1", at, "n%u accepted a send between a loss and the next view",
                    r->node);
}

/* How long the node itself stood still between two records of it. */
static nx_ns stood_still(const struct sim_facts *facts, unsigned node, nx_ns from, nx_ns until)
{
    nx_ns sum = 0;
    for (size_t at = 0; at < facts->trace->count && from < until; at++) {
        const struct sim_record *r = &facts->trace->records[at];
        nx_ns end = r->at + (nx_ns)r->total;
        if (r->kind != SIM_PAUSE || r->node != node || end <= from || r->at >= until)
            continue;
        nx_ns begin = r->at > from ? r->at : from;
        from = end < until ? end : until;
        sum += from - begin;
    }
    return sum;
}

/* It knows that half of its view is dead, or was cut off and put out: without a majority nobody can let it go. */
static bool knows_of_no_majority(const struct sim_facts *facts, const struct told *told,
                                 unsigned node, size_t at)
{
    uint64_t gone = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (facts->killed[n] < at || sim_given_up(facts, n, at) || (facts->out >> n & 1))
            gone |= UINT64_C(1) << n;
    gone &= told[node].members & told[node].down;
    return 2 * __builtin_popcountll(gone) >= __builtin_popcountll(told[node].members);
}

/* Another that was leaving, too, died and its connection did not tell: those who stay let both
 * go and are silent then, and who hears nobody blames nobody, so its patience ends it. */
static bool lost_fellow(const struct sim_facts *facts, const struct told *told, unsigned node,
                        size_t at)
{
    uint64_t lost = 0;
    for (unsigned n = 0; n < facts->nodes; n++)
        if (n != node && facts->leaving[n] < facts->killed[n] && facts->killed[n] < at &&
            (told[node].members >> n & 1))
            lost |= UINT64_C(1) << n;
    for (size_t i = facts->leaving[node]; lost && i < at; i++) {
        const struct sim_record *r = &facts->trace->records[i];
        if (r->kind == SIM_NOTICE && r->node == node)
            lost &= ~(UINT64_C(1) << r->peer);
    }
    return lost != 0;
}

static bool left_in_time(const struct sim_facts *facts, const struct told *told, size_t at,
                         struct sim_verdict *verdict)
{
    const struct sim_record *r = &facts->trace->records[at];
    nx_ns began = sim_free_to_leave(facts, r->node, at);
    nx_ns took = r->at - began - stood_still(facts, r->node, began, r->at);
    for (unsigned n = 0; n < facts->nodes; n++)
        if (facts->unlinked[n] && facts->given_up[n] < at)
            return true; /* it takes longer where somebody was silent before */
    if (sim_majority_lost(facts) || sim_given_up(facts, r->node, at) ||
        (told[r->node].members && knows_of_no_majority(facts, told, r->node, at)) ||
        lost_fellow(facts, told, r->node, at))
        return true;
    if (!facts->limits->leave_ns || took <= facts->limits->leave_ns)
        return true;
    return sim_find(verdict, "L1", at, "n%u took %" PRId64 " ns to leave", r->node, took);
}

static bool judge_record(const struct sim_facts *facts, struct told *told, size_t at,
                         struct sim_verdict *verdict)
{
    const struct sim_record *r = &facts->trace->records[at];
    switch (r->kind) {
    case SIM_DOWN: return is_down(facts, told, at, verdict);
    case SIM_VIEW: told[r->node].members = r->mask; return true;
    case SIM_SEND: return r->status != 0 || may_send(facts, told, at, verdict);
    case SIM_LEFT: return left_in_time(facts, told, at, verdict);
    case SIM_OUT:
        told[r->node].out = true;
        return sim_given_up(facts, r->node, at) || facts->leaving[r->node] < at ||
               sim_find(verdict, "V5", at, "n%u was put out of the group (%u)", r->node, r->status);
    default: return true;
    }
}

/* Silence alone tells of a death only where a majority is left, and only those who were never given up. */
static bool must_be_told(const struct sim_facts *facts, unsigned node, uint64_t members)
{
    size_t end = facts->trace->count;
    if (!facts->limits->timeout_ns)
        return true;
    uint64_t live = sim_alive_of(facts, members, end);
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (sim_given_up(facts, n, end))
            live &= ~(UINT64_C(1) << n);
    return (live >> node & 1) && 2 * __builtin_popcountll(live) > __builtin_popcountll(members);
}

static bool all_are_told(const struct sim_facts *facts, const struct told *told,
                         struct sim_verdict *verdict)
{
    size_t end = facts->trace->count;
    for (unsigned n = 0; n < facts->nodes; n++)
        for (unsigned peer = 0; peer < facts->nodes; peer++)
            if (n != peer && sim_alive(facts, n, end) && !sim_alive(facts, peer, end) &&
                (told[n].members >> peer & 1) && !told[n].out && !(told[n].down >> peer & 1) &&
                must_be_told(facts, n, told[n].members))
                return sim_find(verdict, "V6", end, "n%u was never told that n%u is gone", n, peer);
    for (unsigned n = 0; n < facts->nodes; n++)
        if (facts->leaving[n] < end && sim_alive(facts, n, end) && !told[n].out)
            return sim_find(verdict, "L1", end, "n%u never got to leave", n);
    return true;
}

bool check_members(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct told told[SIM_NODES_MAX] = {0};
    for (size_t at = 0; at < facts->trace->count; at++)
        if (!judge_record(facts, told, at, verdict))
            return false;
    return all_are_told(facts, told, verdict);
}
