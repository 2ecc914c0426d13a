/* V6 where nothing went wrong but one silence: whatever it was, when it is over a majority goes
 * on. Deaths that come on top (of who lets a member in that was put out, say) are more than one
 * silence: then it is owed where most of the newest view live. */
#include "check.h"

struct court {
    uint64_t chain[64]; /* members by vid */
    uint64_t vid[SIM_NODES_MAX], newest;
    uint64_t out, killed; /* killed: not for being put out */
};

static void note_record(struct court *court, const struct sim_record *r)
{
    if (r->kind == SIM_VIEW && r->id < 64) {
        court->vid[r->node] = r->id;
        court->chain[r->id] = r->mask;
    } else if (r->kind == SIM_OUT) {
        court->out |= UINT64_C(1) << r->node;
    } else if (r->kind == SIM_KILL) {
        court->killed |= (UINT64_C(1) << r->node) & ~court->out;
    }
}

static bool most(uint64_t set, uint64_t members)
{
    return 2 * __builtin_popcountll(set & members) > __builtin_popcountll(members);
}

bool check_links(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    size_t end = facts->trace->count;
    uint64_t all = (UINT64_C(1) << facts->nodes) - 1, live = sim_alive_of(facts, all, end);
    if (!facts->limits->one_incident || !most(live, all))
        return true;
    struct court court = {.newest = 0};
    for (size_t at = 0; at < end; at++)
        note_record(&court, &facts->trace->records[at]);
    for (unsigned n = 0; n < facts->nodes; n++)
        if (court.vid[n] > court.newest && !(court.out >> n & 1))
            court.newest = court.vid[n];
    uint64_t going = 0;
    for (unsigned n = 0; n < facts->nodes; n++)
        if (court.vid[n] == court.newest && (live >> n & 1))
            going |= UINT64_C(1) << n;
    going &= ~court.out & ~facts->blocked;
    uint64_t members = court.newest ? court.chain[court.newest] : all;
    bool owed = !(court.killed & members) || most(live, members);
    return !owed || most(going, members) ||
           sim_find(verdict, "V6", end,
                    "after one silence only %llx of view %llu with members %llx go on",
                    (unsigned long long)going, (unsigned long long)court.newest,
                    (unsigned long long)members);
}
