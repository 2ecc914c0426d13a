/* V1, V2, V3, V4 and the progress half of V6: one chain of views, with a majority behind each. */
#include "check.h"

#include <inttypes.h>

enum { VIEWS_MAX = 64 };

struct court {
    const struct sim_facts *facts;
    uint64_t chain[VIEWS_MAX];   /* members by vid; 0: not installed */
    uint64_t hash[VIEWS_MAX];    /* all that the view says */
    uint64_t decided[VIEWS_MAX]; /* what the first said that is decided for a view; 0: nobody did */
    uint64_t vid[SIM_NODES_MAX], first[SIM_NODES_MAX]; /* the last and the first view of a node */
    uint64_t out;                                      /* nodes that said that they are out */
};

static unsigned count(uint64_t set)
{
    return (unsigned)__builtin_popcountll(set);
}

/* Leavers consent to the view without them. Half suffices, if one of the others is dead: its node came again. */
static bool has_majority(const struct court *court, size_t at, uint64_t before, uint64_t after)
{
    uint64_t reborn = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        if ((before >> n & 1) && court->facts->leaving[n] < at)
            after |= UINT64_C(1) << n;
        if (court->facts->came_back[n] < at)
            reborn |= UINT64_C(1) << n;
    }
    return 2 * count(before & (after | reborn)) > count(before) &&
           2 * count(before & after) >= count(before);
}

static bool joins_chain(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    uint64_t vid = r->id;
    bool follows = vid == court->vid[r->node] + 1 || court->vid[r->node] == 0;
    if (vid == 0 || vid >= VIEWS_MAX || !follows || !(r->mask >> r->node & 1))
        return sim_find(verdict, "V3", at,
                        "n%u installed view %" PRIu64 " of members %" PRIx64 " after view %" PRIu64,
                        r->node, vid, r->mask, court->vid[r->node]);
    court->vid[r->node] = vid;
    if (court->first[r->node] == 0)
        court->first[r->node] = vid;
    if (court->chain[vid] && (court->chain[vid] != r->mask || court->hash[vid] != r->hash))
        return sim_find(verdict, "V1", at,
                        "n%u installed view %" PRIu64 " with members %" PRIx64
                        ", another with %" PRIx64,
                        r->node, vid, r->mask, court->chain[vid]);
    court->chain[vid] = r->mask;
    court->hash[vid] = r->hash;
    if (vid > court->facts->first_vid && !has_majority(court, at, court->chain[vid - 1], r->mask))
        return sim_find(verdict, "V2", at,
                        "n%u installed view %" PRIu64 " of %u members, no majority of %u", r->node,
                        vid, count(r->mask), count(court->chain[vid - 1]));
    return true;
}

/* Also of a view that nobody lives to install. Who comes in a view says of it something else. */
static bool agrees(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    uint64_t vid = r->total >> 32;
    if (r->status != SIM_LAW_DECISION || vid == 0 || vid >= VIEWS_MAX ||
        vid <= court->first[r->peer])
        return true;
    if (!court->decided[vid])
        court->decided[vid] = r->total;
    return court->decided[vid] == r->total ||
           sim_find(verdict, "V1", at,
                    "n%u says that view %" PRIu64 " changes members %" PRIx32
                    ", another decided %" PRIx32,
                    r->peer, vid, (uint32_t)r->total, (uint32_t)court->decided[vid]);
}

/* Nothing of a node that is not in the view is handed up. */
static bool is_of_a_member(const struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    if (!court->vid[r->node] || (court->chain[court->vid[r->node]] >> r->peer & 1))
        return true;
    return sim_find(verdict, "V4", at,
                    "n%u was handed something of n%u, which is not in view %" PRIu64, r->node,
                    r->peer, court->vid[r->node]);
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    switch (r->kind) {
    case SIM_VIEW: return joins_chain(court, at, verdict);
    case SIM_COLUMN: return agrees(court, at, verdict);
    case SIM_OUT: court->out |= UINT64_C(1) << r->node; return true;
    case SIM_DELIVER:
    case SIM_HEAD:
    case SIM_PART:
    case SIM_ASKED:
    case SIM_ANSWER: return is_of_a_member(court, at, verdict);
    default: return true;
    }
}

/* At rest: if a majority of the newest view that a live node is in lives and was never cut off,
 * it is in a view without dead. */
static bool has_gone_on(const struct court *court, struct sim_verdict *verdict)
{
    const struct sim_facts *facts = court->facts;
    size_t end = facts->trace->count;
    uint64_t newest = 0, live, last = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (sim_alive(facts, n, end) && !(court->out >> n & 1) && court->vid[n] > last)
            last = court->vid[n]; /* what only the dead installed, nobody can know */
    newest = court->chain[last];
    live = sim_alive_of(facts, newest, end) & ~court->out;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (sim_given_up(facts, n, end))
            live &= ~(UINT64_C(1) << n);
    if (last == 0 || live == newest || 2 * count(live) <= count(newest))
        return true;
    uint64_t waiting = newest & ~live;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (sim_given_up(facts, n, end) && sim_alive(facts, n, end))
            waiting &= ~(UINT64_C(1) << n); /* it may still be a member, or not */
    return !waiting || sim_find(verdict, "V6", end,
                                "members %" PRIx64 " are a majority of %" PRIx64
                                ", but installed no view without %" PRIx64,
                                live, newest, waiting);
}

bool check_views(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court court = {.facts = facts};
    for (size_t at = 0; at < facts->trace->count; at++)
        if (!judge_record(&court, at, verdict))
            return false;
    return has_gone_on(&court, verdict);
}
