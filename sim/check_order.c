/* D1, D2, D3, D5, S3, T1 and T2 for ordered messages: each shard has one agreed sequence, which whoever is
 * ahead extends. A shard whose state is lost begins another one: a generation. A member that comes gets its state
 * somewhere in the sequence, where the view began, and goes on from there.
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

enum { GENERATIONS = 8, VIEWS_MAX = 64 };

/* One generation. */
struct shard {
    size_t begins[VIEWS_MAX];         /* by view: how many were delivered before it, … */
    uint64_t begun;                   /* … of the views in this set */
    uint64_t newest;                  /* the newest that a member of the shard installed */
    struct list states;               /* hash of what a tier keeps, before each of agreed */
    uint64_t state;                   /* … and after all of them */
    struct list agreed;               /* DELIVER records */
    struct list sent[SIM_NODES_MAX];  /* SEND records, accepted */
    struct list bulks[SIM_NODES_MAX]; /* BULK records, accepted */
    size_t used[SIM_NODES_MAX];       /* how many of sent[] are in agreed */
};

struct court {
    const struct sim_facts *facts;
    struct shard shards[SIM_SUBS_MAX][SIM_SHARDS_MAX][GENERATIONS];
    /* the view that the last generation began with */
    uint64_t lost_in[SIM_SUBS_MAX][SIM_SHARDS_MAX];
    unsigned generations[SIM_SUBS_MAX][SIM_SHARDS_MAX];
    unsigned generation[SIM_NODES_MAX];
    bool has_state[SIM_NODES_MAX];
    uint64_t got_state[SIM_NODES_MAX]; /* the view in which it did */
    uint64_t members[SIM_NODES_MAX], stateless[SIM_NODES_MAX],
        needs[SIM_NODES_MAX];    /* of its shard, in its view */
    size_t place[SIM_NODES_MAX]; /* how many of its shard's agreed a node has delivered */
    int64_t last_seq[SIM_NODES_MAX];
    uint64_t vid[SIM_NODES_MAX];
    uint64_t ended; /* nodes out of the group by their own word */
};

static struct shard *shard_of(struct court *court, unsigned node)
{
    const struct sim_facts *facts = court->facts;
    return &court->shards[facts->sub[node]][facts->shard[node]][court->generation[node]];
}

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
    uint64_t live = sim_alive_of(facts, court->members[node], at) & ~court->ended;
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

static bool is_adequate(const struct court *court, unsigned node)
{
    uint64_t have = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if ((court->members[node] >> n & 1) &&
            (!(court->stateless[node] >> n & 1) || court->got_state[n] == court->vid[node]))
            have++;
    return have >= court->needs[node];
}

static bool judge_delivery(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    const struct sim_facts *facts = court->facts;
    if (!facts->serves[r->node] || facts->sub[r->node] != r->sub ||
        facts->shard[r->node] != r->shard || !(court->members[r->node] >> r->peer & 1))
        return sim_find(verdict, "D1", at,
                        "n%u delivered a message of n%u in a shard that is not both's", r->node,
                        r->peer);
    if (court->place[r->node] && r->seq <= court->last_seq[r->node])
        return sim_find(verdict, "D2", at, "n%u delivered seq %" PRId64 " after %" PRId64, r->node,
                        r->seq, court->last_seq[r->node]);
    if (!court->has_state[r->node])
        return sim_find(verdict, "T1", at,
                        "n%u delivered seq %" PRId64 " without the state before it", r->node,
                        r->seq);
    if (!is_adequate(court, r->node))
        return sim_find(verdict, "T2", at,
                        "n%u delivered seq %" PRId64 " in a shard with too few members with state",
                        r->node, r->seq);
    struct shard *shard = shard_of(court, r->node);
    size_t place = court->place[r->node]++;
    bool first = place == shard->agreed.count;
    court->last_seq[r->node] = r->seq;
    if (!first)
        return repeats(court, shard, place, at, verdict) && is_held(court, at, false, verdict);
    if (court->vid[r->node] < shard->newest)
        return sim_find(verdict, "D5", at,
                        "n%u delivered seq %" PRId64 " in view %" PRIu64
                        ", which those in view %" PRIu64 " did not",
                        r->node, r->seq, court->vid[r->node], shard->newest);
    append(&shard->states, (size_t)shard->state);
    shard->state = sim_state_hash(shard->state, r->seq, r->len, r->hash);
    append(&shard->agreed, at);
    return (r->id ? bulk_was_opened : was_sent_next)(court, shard, at, verdict) &&
           is_held(court, at, true, verdict);
}

/* The first of a shard to install a view says where the old one ends; nobody was beyond, and all who follow agree. */
static bool judge_view(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    const struct sim_facts *facts = court->facts;
    bool first = court->vid[r->node] == 0;
    court->vid[r->node] = r->id;
    if (!facts->serves[r->node] || first || !court->has_state[r->node])
        return true;
    struct shard *shard = shard_of(court, r->node);
    size_t place = court->place[r->node], agreed = shard->agreed.count;
    if (r->id > shard->newest && r->id < VIEWS_MAX) {
        shard->newest = r->id;
        shard->begins[r->id] = place;
        shard->begun |= UINT64_C(1) << r->id;
        return place == agreed || sim_find(verdict, "D5", at,
                                           "n%u installed view %" PRIu64
                                           " with %zu messages delivered, another had %zu",
                                           r->node, r->id, place, agreed);
    }
    return r->id != shard->newest || place == shard->begins[r->id] ||
           sim_find(verdict, "D4", at,
                    "n%u installed view %" PRIu64 " with %zu messages delivered, another with %zu",
                    r->node, r->id, place, shard->begins[r->id]);
}

/* The node begins with the empty state: nobody has another. */
static bool begins_empty(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    unsigned *generations = &court->generations[r->sub][r->shard];
    struct shard *shard = &court->shards[r->sub][r->shard][*generations];
    uint64_t vid = court->vid[r->node];
    if (shard->agreed.count > 0 && court->lost_in[r->sub][r->shard] != vid) {
        nx_assert(*generations + 1 < GENERATIONS);
        court->lost_in[r->sub][r->shard] = vid;
        shard = &court->shards[r->sub][r->shard][++*generations];
        shard->state = SIM_HASH_EMPTY;
    }
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if ((r->mask & ~r->id) >> n & 1 && court->has_state[n] &&
            court->generation[n] != *generations)
            return sim_find(verdict, "T1", at,
                            "n%u begins view %" PRIu64 " with the empty state, but n%u has another",
                            r->node, vid, n);
    court->generation[r->node] = *generations;
    court->place[r->node] = 0;
    court->has_state[r->node] = true;
    return true;
}

static bool judge_member(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    court->members[r->node] = r->mask;
    court->stateless[r->node] = r->id;
    court->needs[r->node] = r->total;
    if (r->id >> r->node & 1) {
        court->has_state[r->node] = false;
        court->generation[r->node] = court->generations[r->sub][r->shard];
        return true;
    }
    return court->has_state[r->node] || begins_empty(court, at, verdict);
}

/* The life of a group that keeps its shards on disks begins with what those hold. */
static bool judge_begin(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    struct shard *shard = shard_of(court, r->node);
    uint64_t vid = court->vid[r->node];
    if (shard->agreed.count == 0)
        shard->state = r->hash;
    if (vid < VIEWS_MAX && vid > shard->newest) {
        shard->newest = vid;
        shard->begins[vid] = 0;
        shard->begun |= UINT64_C(1) << vid;
    }
    uint64_t state = shard->agreed.count ? shard->states.at[0] : shard->state;
    return state == r->hash ||
           sim_find(verdict, "P2", at,
                    "n%u begins view %" PRIu64 " with another state than others of its shard",
                    r->node, vid);
}

/* "A joiner's state equals its donor's at the view's start." */
static bool judge_state(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    struct shard *shard = shard_of(court, r->node);
    bool known = r->id < VIEWS_MAX && (shard->begun >> r->id & 1) && r->id == court->vid[r->node];
    size_t place = known ? shard->begins[r->id] : 0;
    uint64_t state = place < shard->agreed.count ? shard->states.at[place] : shard->state;
    if (!known || state != r->hash || court->has_state[r->node])
        return sim_find(verdict, "T1", at,
                        "n%u got a state in view %" PRIu64
                        " that is not that of its shard at the view's start",
                        r->node, r->id);
    court->has_state[r->node] = true;
    court->got_state[r->node] = r->id;
    court->place[r->node] = place;
    if (place > 0)
        court->last_seq[r->node] = record(court, shard->agreed.at[place - 1])->seq;
    return true;
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = record(court, at);
    if (r->kind == SIM_VIEW)
        return judge_view(court, at, verdict);
    if (r->kind == SIM_MEMBER)
        return judge_member(court, at, verdict);
    if (r->kind == SIM_BEGINS)
        return judge_begin(court, at, verdict);
    if (r->kind == SIM_STATE)
        return judge_state(court, at, verdict);
    if (r->kind == SIM_OUT)
        court->ended |= UINT64_C(1) << r->node;
    if (r->kind == SIM_DELIVER)
        return judge_delivery(court, at, verdict);
    if (r->kind == SIM_SEND && !r->status)
        append(&shard_of(court, r->node)->sent[r->node], at);
    if (r->kind == SIM_BULK && !r->status)
        append(&shard_of(court, r->node)->bulks[r->node], at);
    return true;
}

static void dismiss(struct court *court)
{
    struct shard *shards = &court->shards[0][0][0];
    for (unsigned s = 0; s < SIM_SUBS_MAX * SIM_SHARDS_MAX * GENERATIONS; s++) {
        struct shard *shard = &shards[s];
        free(shard->agreed.at);
        free(shard->states.at);
        for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
            free(shard->sent[n].at);
            free(shard->bulks[n].at);
        }
    }
    free(court);
}

static bool goes_on(const struct court *court, unsigned node)
{
    const struct sim_facts *facts = court->facts;
    size_t end = facts->trace->count;
    return facts->serves[node] && facts->leaving[node] == end && sim_alive(facts, node, end) &&
           !sim_given_up(facts, node, end) && !(court->ended >> node & 1);
}

/* At the end its shard takes sends, so members of it have the state; all of those go on, so one of them has given it. */
static bool must_have_state(const struct court *court, unsigned node)
{
    const struct sim_facts *facts = court->facts;
    uint64_t donors = 0;
    for (unsigned n = 0; n < facts->nodes; n++) {
        if (!(court->members[node] >> n & 1) || !court->has_state[n])
            continue;
        if (!goes_on(court, n))
            return false;
        donors |= UINT64_C(1) << n;
    }
    return donors && !((facts->stopped | facts->blocked) >> node & 1);
}

/* Who came later, or lacked the state for a while, has at the end what the others have, and what it sent is delivered. */
static bool all_have_all(struct court *court, struct sim_verdict *verdict)
{
    const struct sim_facts *facts = court->facts;
    size_t end = facts->trace->count;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        if (!goes_on(court, n))
            continue;
        if (!court->has_state[n] && must_have_state(court, n))
            return sim_find(verdict, "T1", end, "n%u never got the state of its shard", n);
        if ((facts->stopped >> n & 1) || !facts->late[n] || !court->has_state[n])
            continue;
        const struct shard *shard = shard_of(court, n);
        if (court->vid[n] == shard->newest || shard->newest == 0)
            if (court->place[n] != shard->agreed.count || shard->used[n] != shard->sent[n].count)
                return sim_find(verdict, "D6", end,
                                "n%u, which came later, delivered %zu of %zu messages, and %zu of "
                                "its %zu are delivered",
                                n, court->place[n], shard->agreed.count, shard->used[n],
                                shard->sent[n].count);
    }
    return true;
}

bool check_order(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court *court = calloc(1, sizeof *court);
    nx_assert(court != NULL);
    court->facts = facts;
    for (unsigned s = 0; s < SIM_SUBS_MAX * SIM_SHARDS_MAX; s++)
        court->shards[s / SIM_SHARDS_MAX][s % SIM_SHARDS_MAX][0].state = SIM_HASH_EMPTY;
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++)
        ok = judge_record(court, at, verdict);
    ok = ok && all_have_all(court, verdict);
    dismiss(court);
    return ok;
}
