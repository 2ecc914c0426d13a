#include "check.h"

#include "common/nx_assert.h"

#include <stdarg.h>
#include <string.h>

bool sim_find(struct sim_verdict *verdict, const char *rule, size_t at, const char *format, ...)
{
    snprintf(verdict->rule, sizeof verdict->rule, "%s", rule);
    verdict->at = at;
    va_list args;
    va_start(args, format);
    vsnprintf(verdict->text, sizeof verdict->text, format, args);
    va_end(args);
    return false;
}

static void note_record(struct sim_facts *facts, const struct sim_record *r, size_t at)
{
    nx_assert(r->node < SIM_NODES_MAX && r->peer < SIM_NODES_MAX);
    if (r->node >= facts->nodes)
        facts->nodes = r->node + 1u;
    switch (r->kind) {
    case SIM_VIEW:
        facts->vid[r->node] = r->id;
        facts->first_vid = facts->first_vid ? facts->first_vid : r->id;
        break;
    case SIM_COMES:
        if (r->peer != r->node)
            facts->came_back[r->peer] = at;
        break;
    case SIM_MEMBER: /* who stays keeps its shard */
        facts->grew[r->sub][r->shard] |=
            facts->serves[r->node] && (r->mask & ~facts->members[r->node]);
        if (facts->serves[r->node])
            break;
        facts->serves[r->node] = true;
        facts->late[r->node] = facts->vid[r->node] > facts->first_vid;
        facts->lacked[r->node] = (r->id >> r->node & 1) != 0;
        facts->sub[r->node] = r->sub;
        facts->shard[r->node] = r->shard;
        facts->members[r->node] = r->mask;
        break;
    case SIM_STATE: facts->late[r->node] = true; break;
    case SIM_KILL: facts->killed[r->node] = at; break;
    case SIM_SHARD: facts->stopped |= (uint64_t)(r->status != 0) << r->node; break;
    case SIM_OUT:
        facts->out |= UINT64_C(1) << r->node;
        facts->stopped |= UINT64_C(1) << r->node;
        break;
    case SIM_BLOCKED: facts->blocked |= UINT64_C(1) << r->node; break;
    case SIM_LEAVE: facts->leaving[r->node] = at; break;
    case SIM_LEFT: facts->left[r->node] = at; break;
    case SIM_CUT:
        facts->given_up[r->node] = at < facts->given_up[r->node] ? at : facts->given_up[r->node];
        facts->given_up[r->peer] = at < facts->given_up[r->peer] ? at : facts->given_up[r->peer];
        break;
    default: break;
    }
}

void sim_facts_collect(struct sim_facts *facts, const struct sim_trace *trace,
                       const struct sim_limits *limits)
{
    *facts = (struct sim_facts){.trace = trace, .limits = limits};
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        facts->killed[n] = facts->leaving[n] = facts->left[n] = facts->given_up[n] =
            facts->came_back[n] = trace->count;
    for (size_t at = 0; at < trace->count; at++)
        note_record(facts, &trace->records[at], at);
    if (limits->timeout_ns)
        sim_find_silence(facts);
}

bool sim_alive(const struct sim_facts *facts, unsigned node, size_t at)
{
    return facts->killed[node] >= at && facts->left[node] >= at;
}

bool sim_given_up(const struct sim_facts *facts, unsigned node, size_t at)
{
    return facts->given_up[node] < at;
}

uint64_t sim_alive_of(const struct sim_facts *facts, uint64_t mask, size_t at)
{
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (!sim_alive(facts, n, at))
            mask &= ~(UINT64_C(1) << n);
    return mask;
}

/* To the others a leaver is dead, too, that they lost before they could let it go, whether or not it was told. */
static bool is_dead(const struct sim_facts *facts, unsigned node)
{
    size_t left = facts->left[node];
    return facts->killed[node] < facts->trace->count || (facts->out >> node & 1) ||
           (left < facts->trace->count && sim_given_up(facts, node, left));
}

static bool is_half_dead(const struct sim_facts *facts, uint64_t members)
{
    uint64_t killed = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        killed |= is_dead(facts, n) ? UINT64_C(1) << n : 0;
    return 2 * __builtin_popcountll(members & killed) >= __builtin_popcountll(members);
}

bool sim_majority_lost(const struct sim_facts *facts)
{
    uint64_t all = facts->nodes < 64 ? (UINT64_C(1) << facts->nodes) - 1 : ~UINT64_C(0);
    bool lost = is_half_dead(facts, all);
    for (size_t at = 0; at < facts->trace->count && !lost; at++)
        if (facts->trace->records[at].kind == SIM_VIEW)
            lost = is_half_dead(facts, facts->trace->records[at].mask);
    return lost;
}

bool sim_shard_whole(const struct sim_facts *facts, unsigned node, unsigned but)
{
    size_t end = facts->trace->count;
    if (facts->grew[facts->sub[node]][facts->shard[node]])
        return false;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (n != but && (facts->members[node] >> n & 1) &&
            (!sim_alive(facts, n, end) || facts->leaving[n] < end || sim_given_up(facts, n, end)))
            return false;
    return facts->serves[node];
}

static bool check_life(const struct sim_trace *life, const struct sim_limits *limits,
                       struct sim_verdict *verdict)
{
    static sim_judge *const judges[] = {check_fabric, check_order,    check_bulk,
                                        check_p2p,    check_members,  check_views,
                                        check_links,  check_liveness, check_leaves};
    struct sim_facts facts;
    sim_facts_collect(&facts, life, limits);
    for (size_t i = 0; i < sizeof judges / sizeof *judges; i++)
        if (!judges[i](&facts, verdict))
            return false;
    return true;
}

/* Of the last life, with the trace of all. */
static bool check_lives(const struct sim_trace *trace, const struct sim_trace *last,
                        const struct sim_limits *limits, struct sim_verdict *verdict)
{
    struct sim_facts facts;
    sim_facts_collect(&facts, last, limits);
    facts.trace = trace;
    return check_disks(&facts, verdict);
}

bool sim_check(const struct sim_trace *trace, const struct sim_limits *limits,
               struct sim_verdict *verdict)
{
    struct sim_trace life = {0};
    size_t from = 0;
    *verdict = (struct sim_verdict){0};
    for (size_t at = 0; at < trace->count; at++) {
        if (trace->records[at].kind != SIM_OUTAGE && at + 1 < trace->count)
            continue;
        life = (struct sim_trace){.records = trace->records + from, .count = at + 1 - from};
        if (!check_life(&life, limits, verdict)) {
            verdict->at += from;
            return false;
        }
        from = at + 1;
    }
    return check_lives(trace, &life, limits, verdict);
}
