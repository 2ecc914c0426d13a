/* D1, D2, D3, D5 and S3 for ordered messages: each shard has one agreed sequence, which whoever is
 * ahead extends.
 *
 *   agreed       m0 m1 m2 m3 m4 m5    who delivers a k-th message first appends it: D1, D3, D5
 *   n0's place            ^           others must repeat it: D2; all still hold its bytes: S3 */
#include "check.h"

#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct list {
    size_t *at; /* record indices */
    size_t count, capacity;
};

struct shard {
    struct list agreed;               /* DELIVER records */
    struct list sent[SIM_NODES_MAX];  /* SEND records, accepted */
    struct list bulks[SIM_NODES_MAX]; /* BULK records, accepted */
    size_t used[SIM_NODES_MAX];       /* how many of sent[] are in agreed */
};

struct court {
    const struct sim_facts *facts;
    struct shard shards[SIM_SUBS_MAX][SIM_SHARDS_MAX];
    size_t place[SIM_NODES_MAX]; /* how many of its shard's agreed a node has delivered */
    int64_t last_seq[SIM_NODES_MAX];
    uint64_t vid[SIM_NODES_MAX];
    uint64_t ended; /* nodes out of the group by their own word */
    struct {
        uint64_t
            vid; /* the newest that a member of the shard installed, and what was delivered before it */
        size_t delivered;
    } newest[SIM_SUBS_MAX][SIM_SHARDS_MAX];
};

static void append(struct list *list, size_t at)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 64;
        list->at = realloc(list->at, list->capacity * sizeof *list->at);
        nx_assert(list->at != NULL);
    }
    list->at[list->count++] = at;
}

static const struct sim_record *record(const struct court *court, size_t at)
{
    return &court->facts->trace->records[at];
}

static bool same_bytes(const struct sim_record *a, const struct sim_record *b)
{
    return a->len == b->len && a->hash == b->hash;
}

/* The next small message of its sender, or what is wrong with it. */
static bool was_sent_next(struct court *court, struct shard *shard, size_t at,
                          struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    const struct list *sent = &shard->sent[r->peer];
    size_t next = shard->used[r->peer]++;
    if (next < sent->count && same_bytes(r, record(court, sent->at[next])))
        return true;
    for (size_t i = 0; i < sent->count; i++)
        if (i != next && same_bytes(r, record(court, sent->at[i])))
            return i < next ? sim_find(verdict, "D1", at, "n%u delivered message %zu of n%u twice",
                                       r->node, i, r->peer)
                            : sim_find(verdict, "D3", at,
                                       "n%u delivered message %zu of n%u where %zu was due",
                                       r->node, i, r->peer, next);
    return sim_find(verdict, "D1", at,
                    "n%u delivered %" PRIu64 " bytes at seq %" PRId64 " that n%u did not send",
                    r->node, r->len, r->seq, r->peer);
}

static bool bulk_was_opened(struct court *court, struct shard *shard, size_t at,
                            struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    struct list *bulks = &shard->bulks[r->peer];
    for (size_t i = 0; i < bulks->count; i++)
        if (same_bytes(r, record(court, bulks->at[i]))) {
            bulks->at[i] = bulks->at[--bulks->count]; /* once */
            return true;
        }
    return sim_find(verdict, "D1", at,
                    "n%u delivered a bulk at seq %" PRId64
                    " that n%u did not open, or delivered before",
                    r->node, r->seq, r->peer);
}

static bool repeats(struct court *court, const struct shard *shard, size_t place, size_t at,
                    struct sim_verdict *verdict)
{
    const struct sim_record *mine = record(court, at),
                            *first = record(court, shard->agreed.at[place]);
    if (mine->seq == first->seq && mine->peer == first->peer && same_bytes(mine, first) &&
        !mine->id == !first->id)
        return true;
    return sim_find(verdict, "D2", at,
                    "n%u and n%u disagree on message %zu: seq %" PRId64 " of n%u and seq %" PRId64
                    " of n%u",
                    mine->node, first->node, place, mine->seq, mine->peer, first->seq, first->peer);
}

/* Members that must hold what the node delivers: alive, in the same view, and not about to leave. */
static uint64_t holders(const struct court *court, size_t at)
{
    const struct sim_facts *facts = court->facts;
    unsigned node = record(court, at)->node;
    uint64_t live = sim_alive_of(facts, facts->members[node], at) & ~court->ended;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (court->vid[n] != court->vid[node] || facts->leaving[n] < at ||
            sim_given_up(facts, n, at))
            live &= ~(UINT64_C(1) << n);
    return live;
}

static bool is_held(const struct court *court, size_t at, bool first, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    uint64_t live = holders(court, at);
    if (r->id || (r->mask & live) == live)
        return true;
    return sim_find(verdict, first ? "D5" : "S3", at,
                    "n%u delivered seq %" PRId64 " of n%u, of which members %" PRIx64
                    " hold no copy%s",
                    r->node, r->seq, r->peer, live & ~r->mask, first ? "" : " any more");
}

static bool judge_delivery(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    const struct sim_facts *facts = court->facts;
    if (!facts->serves[r->node] || facts->sub[r->node] != r->sub ||
        facts->shard[r->node] != r->shard || !(facts->members[r->node] >> r->peer & 1))
        return sim_find(verdict, "D1", at,
                        "n%u delivered a message of n%u in a shard that is not both's", r->node,
                        r->peer);
    if (court->place[r->node] && r->seq <= court->last_seq[r->node])
        return sim_find(verdict, "D2", at, "n%u delivered seq %" PRId64 " after %" PRId64, r->node,
                        r->seq, court->last_seq[r->node]);
    struct shard *shard = &court->shards[r->sub][r->shard];
    size_t place = court->place[r->node]++;
    bool first = place == shard->agreed.count;
    court->last_seq[r->node] = r->seq;
    if (!first)
        return repeats(court, shard, place, at, verdict) && is_held(court, at, false, verdict);
    if (court->vid[r->node] < court->newest[r->sub][r->shard].vid)
        return sim_find(verdict, "D5", at,
                        "n%u delivered seq %" PRId64 " in view %" PRIu64
                        ", which those in view %" PRIu64 " did not",
                        r->node, r->seq, court->vid[r->node], court->newest[r->sub][r->shard].vid);
    append(&shard->agreed, at);
    return (r->id ? bulk_was_opened : was_sent_next)(court, shard, at, verdict) &&
           is_held(court, at, true, verdict);
}

/* The first of a shard to install a view says where the old one ends; nobody was beyond, and all who follow agree. */
static bool judge_view(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    const struct sim_facts *facts = court->facts;
    unsigned sub = facts->sub[r->node], s = facts->shard[r->node];
    size_t place = court->place[r->node], agreed = court->shards[sub][s].agreed.count;
    court->vid[r->node] = r->id;
    if (!facts->serves[r->node] || r->id == 1)
        return true;
    if (r->id > court->newest[sub][s].vid) {
        court->newest[sub][s].vid = r->id;
        court->newest[sub][s].delivered = place;
        return place == agreed || sim_find(verdict, "D5", at,
                                           "n%u installed view %" PRIu64
                                           " with %zu messages delivered, another had %zu",
                                           r->node, r->id, place, agreed);
    }
    return r->id != court->newest[sub][s].vid || place == court->newest[sub][s].delivered ||
           sim_find(verdict, "D4", at,
                    "n%u installed view %" PRIu64 " with %zu messages delivered, another with %zu",
                    r->node, r->id, place, court->newest[sub][s].delivered);
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    if (r->kind == SIM_VIEW)
        return judge_view(court, at, verdict);
    if (r->kind == SIM_OUT)
        court->ended |= UINT64_C(1) << r->node;
    if (r->kind == SIM_DELIVER)
        return judge_delivery(court, at, verdict);
    if (r->kind == SIM_SEND && !r->status)
        append(&court->shards[r->sub][r->shard].sent[r->node], at);
    if (r->kind == SIM_BULK && !r->status)
        append(&court->shards[r->sub][r->shard].bulks[r->node], at);
    return true;
}

static void dismiss(struct court *court)
{
    for (unsigned s = 0; s < SIM_SUBS_MAX * SIM_SHARDS_MAX; s++) {
        struct shard *shard = &court->shards[s / SIM_SHARDS_MAX][s % SIM_SHARDS_MAX];
        free(shard->agreed.at);
        for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
            free(shard->sent[n].at);
            free(shard->bulks[n].at);
        }
    }
    free(court);
}

bool check_order(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court *court = calloc(1, sizeof *court);
    nx_assert(court != NULL);
    court->facts = facts;
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++)
        ok = judge_record(court, at, verdict);
    dismiss(court);
    return ok;
}
