/* L3: a leave takes no state along while another is given it; and for how long L1 bears with that. */
#include "check.h"

#include <inttypes.h>

struct holders {
    uint64_t has_state, dead, leaving;
    uint64_t shard[SIM_NODES_MAX]; /* the members of its shard, as each node knows them */
};

static void note(struct holders *holders, const struct sim_record *r)
{
    uint64_t bit = UINT64_C(1) << r->node;
    switch (r->kind) {
    case SIM_MEMBER:
        holders->shard[r->node] = r->mask;
        holders->has_state &= ~bit;
        holders->has_state |= r->id & bit ? 0 : bit;
        break;
    case SIM_STATE: holders->has_state |= bit; break;
    case SIM_LEAVE: holders->leaving |= bit; break;
    case SIM_KILL:
    case SIM_LEFT: holders->dead |= bit; break;
    default: break;
    }
}

/* Somebody of its shard is given the state, which nobody else has who stays. Who was put out may have been dead to the
 * leaver or not: so whom to leave out depends on what is asked. */
static bool is_held(const struct holders *holders, unsigned node, uint64_t needy_not,
                    uint64_t heirs_not)
{
    uint64_t stay = holders->shard[node] & ~holders->dead & ~holders->leaving;
    uint64_t needy = stay & ~holders->has_state & ~needy_not;
    uint64_t heirs = stay & holders->has_state & ~heirs_not;
    return (holders->has_state >> node & 1) && needy && !heirs;
}

static uint64_t given_up(const struct sim_facts *facts, size_t at)
{
    uint64_t set = facts->out;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        set |= (uint64_t)sim_given_up(facts, n, at) << n;
    return set;
}

/* The first view without the node, which left at `at`: who is in it and lacks the state has lost whom to get it from. */
static size_t gone_in(const struct sim_facts *facts, unsigned node, size_t at)
{
    const struct sim_record *records = facts->trace->records;
    for (size_t i = facts->leaving[node]; i < at; i++)
        if (records[i].kind == SIM_VIEW && records[i].node != node &&
            !(records[i].mask >> node & 1) && records[i].id > facts->vid[node])
            return i;
    return at;
}

/* When the leave of a node that left at `at` was last held back, perhaps; `always`: from beginning to end, for certain. */
static nx_ns last_held(const struct sim_facts *facts, unsigned node, size_t at, bool *always)
{
    struct holders holders = {0};
    const struct sim_record *records = facts->trace->records;
    size_t began = facts->leaving[node];
    nx_ns until = records[began].at;
    uint64_t lost = given_up(facts, at) | UINT64_C(1) << node;
    size_t gone = gone_in(facts, node, at);
    *always = true;
    for (size_t i = 0; i <= at; i++) {
        bool held = i > began && is_held(&holders, node, 0, given_up(facts, i));
        if (held)
            until = records[i].at;
        note(&holders, &records[i]);
        if (i >= began && i < gone)
            *always = *always && is_held(&holders, node, lost, 0);
    }
    return until;
}

nx_ns sim_free_to_leave(const struct sim_facts *facts, unsigned node, size_t at)
{
    bool always;
    nx_ns began = facts->trace->records[facts->leaving[node]].at;
    nx_ns until = last_held(facts, node, at, &always);
    return until - began < facts->limits->held_ns ? until : began + facts->limits->held_ns;
}

static bool took_along(const struct sim_facts *facts, unsigned node, size_t at)
{
    bool always;
    const struct sim_record *records = facts->trace->records;
    nx_ns took = records[at].at - records[facts->leaving[node]].at;
    if (took >= facts->limits->held_ns || sim_given_up(facts, node, at) ||
        (facts->out >> node & 1) || sim_majority_lost(facts))
        return false;
    (void)last_held(facts, node, at, &always);
    return always;
}

bool check_leaves(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    for (size_t at = 0; at < facts->trace->count; at++) {
        const struct sim_record *r = &facts->trace->records[at];
        if (r->kind == SIM_LEFT && took_along(facts, r->node, at))
            return sim_find(verdict, "L3", at,
                            "n%u left with the only state of its shard, which another was given",
                            r->node);
    }
    return true;
}
