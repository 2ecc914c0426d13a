/* D7, L2, Q1, A1: what was accepted is delivered, in time; work ends; what must be refused is
 * refused. */
#include "check.h"
#include "sim_map.h"

#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdlib.h>

struct court {
    const struct sim_facts *facts;
    size_t *sent[SIM_NODES_MAX]; /* accepted small sends by sender */
    size_t sent_count[SIM_NODES_MAX];
    size_t taken[SIM_NODES_MAX][SIM_NODES_MAX]; /* [receiver][sender] small deliveries */
    size_t bulks_ended[SIM_NODES_MAX];
    struct sim_map ended; /* 1 for these */
    size_t bulks_taken[SIM_NODES_MAX][SIM_NODES_MAX];
    uint64_t writes[SIM_NODES_MAX][SIM_NODES_MAX]; /* after IDLE */
    uint64_t load[SIM_NODES_MAX][8];
    nx_ns stated[SIM_SUBS_MAX][SIM_SHARDS_MAX]; /* when somebody of the shard got its state */
    bool idle;
};

/* Who waits for its shard's state holds the senders' windows, also while its disk takes the note
 * that its old log is void: the promise is of a shard whose members have it. */
static bool in_time(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *records = court->facts->trace->records, *r = &records[at];
    if (r->id) {
        court->bulks_taken[r->node][r->peer]++;
        return true;
    }
    size_t k = court->taken[r->node][r->peer]++;
    if (!court->facts->limits->deliver_ns || court->facts->late[r->node] ||
        k >= court->sent_count[r->peer])
        return true;
    nx_ns from = records[court->sent[r->peer][k]].at;
    nx_ns stated = court->stated[r->sub % SIM_SUBS_MAX][r->shard % SIM_SHARDS_MAX];
    nx_ns took = r->at - (from > stated ? from : stated);
    return took <= court->facts->limits->deliver_ns ||
           sim_find(verdict, "D7", at, "n%u delivered message %zu of n%u after %" PRId64 " ns",
                    r->node, k, r->peer, took);
}

/* To ask or answer a member that died without a notice, while no majority may say so. Nothing else waits then. */
static bool waits_for_the_dead(const struct sim_facts *facts, const struct sim_record *r)
{
    return (r->id == SIM_STUCK_QUERY || r->id == SIM_STUCK_REPLY) &&
           (facts->blocked >> r->node & 1) && !sim_alive(facts, r->peer, facts->trace->count);
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    bool fresh;
    switch (r->kind) {
    case SIM_SEND:
        if (!r->status)
            court->sent[r->node][court->sent_count[r->node]++] = at;
        return true;
    case SIM_DELIVER: return in_time(court, at, verdict);
    case SIM_STATE:
        court->stated[court->facts->sub[r->node]][court->facts->shard[r->node]] = r->at;
        return true;
    case SIM_BULK_END:
        court->bulks_ended[r->node]++;
        *sim_map_at(&court->ended, r->node, r->id, &fresh) = 1;
        return true;
    case SIM_BULK_CUT:
        court->bulks_ended[r->node] -= *sim_map_at(&court->ended, r->node, r->id, &fresh);
        return true;
    case SIM_LOAD: court->load[r->node][r->id & 7] = r->total; return true;
    case SIM_LOADS:
        if (sim_alive(court->facts, r->peer, at) && !sim_given_up(court->facts, r->peer, at) &&
            !sim_given_up(court->facts, r->node, at) && court->load[r->peer][r->id & 7] != r->total)
            return sim_find(verdict, "D7", at,
                            "n%u reads %" PRIu64 " in n%u's load word %" PRIu64
                            ", which says %" PRIu64,
                            r->node, r->total, r->peer, r->id, court->load[r->peer][r->id & 7]);
        return true;
    case SIM_IDLE: court->idle = true; return true;
    case SIM_WRITE: court->writes[r->node][r->peer] += court->idle; return true;
    case SIM_ODD:
        return r->status != 0 ||
               sim_find(verdict, "A1", at, "n%u accepted odd request %" PRIx64, r->node, r->id);
    case SIM_STUCK:
        return waits_for_the_dead(court->facts, r) ||
               sim_find(verdict, "D7", at, "n%u waits for ever (%" PRIx64 ")", r->node, r->id);
    case SIM_END:
        return r->status == 0 || sim_find(verdict, "Q1", at, "the group does not come to rest");
    default: return true;
    }
}

/* It lives, stays, was never cut off, and its shard takes sends. Of who came later check_order knows what it has. */
static bool goes_on(const struct court *court, unsigned node)
{
    const struct sim_facts *facts = court->facts;
    size_t end = facts->trace->count;
    return facts->serves[node] && sim_alive(facts, node, end) && facts->leaving[node] == end &&
           !sim_given_up(facts, node, end) && !(facts->stopped >> node & 1) && !facts->late[node];
}

static bool all_is_delivered(const struct court *court, struct sim_verdict *verdict)
{
    const struct sim_facts *facts = court->facts;
    for (unsigned n = 0; n < facts->nodes; n++)
        for (unsigned s = 0; s < facts->nodes; s++) {
            if (!goes_on(court, n) || !goes_on(court, s) || !(facts->members[n] >> s & 1))
                continue;
            if (court->taken[n][s] != court->sent_count[s] ||
                court->bulks_taken[n][s] != court->bulks_ended[s])
                return sim_find(verdict, sim_shard_whole(facts, n, SIM_NOBODY) ? "D7" : "D6",
                                facts->trace->count,
                                "n%u delivered %zu of %zu messages and %zu of %zu bulks of n%u", n,
                                court->taken[n][s], court->sent_count[s], court->bulks_taken[n][s],
                                court->bulks_ended[s], s);
        }
    return true;
}

/* Half of its view was dead by then, or taken for dead: nobody was left who could let it go with its messages. */
static bool left_alone(const struct sim_facts *facts, unsigned node)
{
    size_t left = facts->left[node];
    uint64_t view = 0, gone = 0;
    for (size_t at = 0; at < left; at++) {
        const struct sim_record *r = &facts->trace->records[at];
        view = r->kind == SIM_VIEW && r->node == node ? r->mask : view;
    }
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (facts->killed[n] < left || sim_given_up(facts, n, left))
            gone |= UINT64_C(1) << n;
    return view && 2 * __builtin_popcountll(gone & view) >= __builtin_popcountll(view);
}

static bool leavers_messages_are_delivered(const struct court *court, struct sim_verdict *verdict)
{
    const struct sim_facts *facts = court->facts;
    size_t end = facts->trace->count;
    if (sim_majority_lost(facts))
        return true;
    for (unsigned s = 0; s < facts->nodes; s++) {
        if (facts->left[s] == end || sim_given_up(facts, s, end) || !sim_shard_whole(facts, s, s) ||
            left_alone(facts, s))
            continue;
        for (unsigned n = 0; n < facts->nodes; n++)
            if ((facts->members[s] >> n & 1) && !facts->late[n] && !facts->lacked[n] &&
                (court->taken[n][s] != court->sent_count[s] ||
                 court->bulks_taken[n][s] != court->bulks_ended[s]))
                return sim_find(
                    verdict, "L2", end,
                    "n%u delivered %zu of %zu messages and %zu of %zu bulks of n%u, which left", n,
                    court->taken[n][s], court->sent_count[s], court->bulks_taken[n][s],
                    court->bulks_ended[s], s);
    }
    return true;
}

static bool is_quiet(const struct court *court, struct sim_verdict *verdict)
{
    if (sim_majority_lost(court->facts))
        return true; /* what waits for a leaver's patience begins when that ends */
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        for (unsigned p = 0; p < SIM_NODES_MAX; p++)
            if (court->writes[n][p] > court->facts->limits->idle_writes)
                return sim_find(verdict, "Q1", court->facts->trace->count,
                                "n%u wrote %" PRIu64 " times to n%u without work", n,
                                court->writes[n][p], p);
    return true;
}

bool check_liveness(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court *court = calloc(1, sizeof *court);
    nx_assert(court != NULL);
    court->facts = facts;
    size_t sends[SIM_NODES_MAX] = {0};
    for (size_t at = 0; at < facts->trace->count; at++)
        sends[facts->trace->records[at].node] += facts->trace->records[at].kind == SIM_SEND;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        court->sent[n] = calloc(sends[n] + 1, sizeof **court->sent);
        nx_assert(court->sent[n] != NULL);
    }
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++)
        ok = judge_record(court, at, verdict);
    ok = ok && all_is_delivered(court, verdict) && leavers_messages_are_delivered(court, verdict) &&
         is_quiet(court, verdict);
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        free(court->sent[n]);
    sim_map_free(&court->ended);
    free(court);
    return ok;
}
