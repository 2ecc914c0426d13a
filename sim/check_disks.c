/* P1, P2, P3, P4 and P6: what a group that keeps its shards on disks brings back after all of its nodes have died.
 *
 *   story      m0 m1 m2 m3 m4 m5      what a shard has delivered, in all lives of the group
 *   acked            ^                told durable: each later life begins behind it (P1)
 *   begins              ^             so many; all who begin agree (P2), the rest is cut
 *   cut                   m4 m5       a disk may still hold it, and nothing that is in neither (P3)
 *
 * What was cut may be gone back to, with what was told in its place cut, as long as that was not acknowledged: a life may
 * end before all know that it began.
 */
#include "check.h"
#include "sim_map.h"

#include "common/nx_assert.h"
#include "common/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct place {
    int64_t seq;
    uint64_t len, hash, body,
        at;                 /* body: hash of its bulk's bytes, 0: none; at: how many are before */
    uint64_t before, state; /* of a tier, before and after it */
};

struct places {
    struct place *list;
    size_t count, capacity;
};

struct story {
    struct places told, cut;
    int64_t acked;
    bool begun, kept; /* in this life; on disks */
    uint64_t begins, state;
    size_t fresh; /* of `cut`: by the last outage */
};

struct court {
    const struct sim_facts *facts;
    struct story stories[SIM_SUBS_MAX][SIM_SHARDS_MAX];
    struct sim_map bodies; /* of bulks, by node and stream */
    uint64_t id[SIM_NODES_MAX], members[SIM_NODES_MAX], vid[SIM_NODES_MAX];
    int64_t delivered[SIM_NODES_MAX], durable[SIM_NODES_MAX];
    uint64_t came;          /* nodes, by id, of this life */
    uint64_t acked_vid;     /* the newest view in which anything was acknowledged … */
    uint64_t later[64];     /* … its members, and those of what was installed after it, by view */
    uint64_t last_replayed; /* the node, and … */
    int64_t last_seq;       /* … what of it */
    unsigned lives;
    bool viewed;   /* in this life */
    bool rotten;   /* a disk lost what it held: nothing is promised but that it tells no lies */
    bool troubled; /* somebody died, left, or was cut off in this life */
};

static struct story *story_of(struct court *court, const struct sim_record *r)
{
    return &court->stories[r->sub % SIM_SUBS_MAX][r->shard % SIM_SHARDS_MAX];
}

static void append(struct places *places, const struct place *place)
{
    if (places->count == places->capacity) {
        places->capacity = places->capacity ? places->capacity * 2 : 64;
        places->list = realloc(places->list, places->capacity * sizeof *places->list);
        nx_assert(places->list != NULL);
    }
    places->list[places->count++] = *place;
}

static uint64_t state_after(const struct story *story, uint64_t count)
{
    return count ? story->told.list[count - 1].state : SIM_HASH_EMPTY;
}

static const struct place *find_cut(const struct story *story, uint64_t count, uint64_t state)
{
    for (size_t i = 0; i < story->cut.count; i++)
        if (story->cut.list[i].at + 1 == count && story->cut.list[i].state == state)
            return &story->cut.list[i];
    return NULL;
}

/* Some shard once had this state, after so many deliveries. */
static bool was_state(const struct story *story, uint64_t count, uint64_t state)
{
    bool told = count <= story->told.count && state_after(story, count) == state;
    return told || find_cut(story, count, state);
}

static bool is_place(const struct place *p, const struct sim_record *r)
{
    return p->seq == r->seq && p->len == r->len && p->hash == r->hash && p->body == r->mask;
}

static bool was_told(const struct story *story, const struct sim_record *r)
{
    size_t low = 0, high = story->told.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (story->told.list[middle].seq < r->seq)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < story->told.count && is_place(&story->told.list[low], r))
        return true;
    for (size_t i = 0; i < story->cut.count; i++)
        if (is_place(&story->cut.list[i], r))
            return true;
    return false;
}

static void tell(struct court *court, const struct sim_record *r)
{
    struct story *story = story_of(court, r);
    bool fresh;
    court->delivered[r->node] = r->seq;
    if (story->told.count && r->seq <= story->told.list[story->told.count - 1].seq)
        return;
    struct place place = {.seq = r->seq, .len = r->len, .hash = r->hash, .at = story->told.count};
    if (r->id)
        place.body = *sim_map_at(&court->bodies, r->node, r->id, &fresh);
    place.before = state_after(story, place.at);
    place.state = sim_state_hash(place.before, r->seq, r->len, r->hash);
    append(&story->told, &place);
}

/* --- an outage, and what comes back --------------------------------------------------------------------------- */

static bool replays(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    if (court->last_replayed == r->id && r->seq <= court->last_seq)
        return sim_find(verdict, "P2", at,
                        "node %" PRIu64 " hands up seq %" PRId64 " of its log after %" PRId64,
                        r->id, r->seq, court->last_seq);
    court->last_replayed = r->id;
    court->last_seq = r->seq;
    return was_told(story_of(court, r), r) || sim_find(verdict, "P3", at,
                                                       "node %" PRIu64 " hands up seq %" PRId64
                                                       " of its log, which was never delivered so",
                                                       r->id, r->seq);
}

static bool restores(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    court->last_replayed = 0;
    if (was_state(story_of(court, r), r->total, r->hash))
        return true;
    return sim_find(verdict, "P2", at,
                    "node %" PRIu64 " comes with %" PRIu64
                    " messages, which its shard never had so",
                    r->id, r->total);
}

/* The story becomes that which led to this state. Returns how much of it is left; the newest
 * `fresh` of `cut` is the rest. */
static uint64_t go_back(struct story *story, uint64_t count, uint64_t state)
{
    struct places branch = {0};
    while (count > story->told.count || state_after(story, count) != state) {
        const struct place *p = find_cut(story, count, state);
        nx_assert(p != NULL);
        append(&branch, p);
        state = p->before;
        count--;
    }
    story->fresh = story->told.count - count;
    for (size_t i = count; i < story->told.count; i++)
        append(&story->cut, &story->told.list[i]);
    story->told.count = count;
    while (branch.count > 0)
        append(&story->told, &branch.list[--branch.count]);
    free(branch.list);
    return count;
}

static bool begins(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    struct story *story = story_of(court, r);
    story->kept |= r->id != 0;
    if (story->begun)
        return (r->total == story->begins && r->hash == story->state) ||
               sim_find(verdict, "P2", at,
                        "n%u begins with %" PRIu64 " messages, another with other %" PRIu64,
                        r->node, r->total, story->begins);
    if (!was_state(story, r->total, r->hash))
        return sim_find(verdict, "P2", at,
                        "n%u begins with %" PRIu64 " messages, which its shard never had so",
                        r->node, r->total);
    uint64_t kept = go_back(story, r->total, r->hash);
    for (size_t i = story->cut.count - story->fresh; i < story->cut.count; i++)
        if (story->cut.list[i].seq <= story->acked && !court->rotten)
            return sim_find(verdict, "P1", at,
                            "n%u begins with %" PRIu64 " messages, %" PRIu64
                            " of them those of the life before; seq %" PRId64
                            ", which was acknowledged as durable, is gone",
                            r->node, r->total, kept, story->cut.list[i].seq);
    story->begun = true;
    story->begins = r->total;
    story->state = r->hash;
    return true;
}

static unsigned count(uint64_t set)
{
    return (unsigned)__builtin_popcountll(set);
}

/* Who begins again is a majority of the view of the last acknowledgement, or of one that followed it. */
static bool may_begin(const struct court *court, size_t at, struct sim_verdict *verdict)
{
    bool may = court->lives == 0 || court->acked_vid == 0 || court->rotten;
    for (uint64_t vid = court->acked_vid; !may && vid < 64; vid++)
        may = court->later[vid] &&
              2 * count(court->later[vid] & court->came) > count(court->later[vid]);
    return may ||
           sim_find(verdict, "P4", at,
                    "the group begins again with %u nodes, no majority of the %u of view "
                    "%" PRIu64 ", in which something was acknowledged",
                    count(court->came), count(court->later[court->acked_vid]), court->acked_vid);
}

static uint64_t ids_of(const struct court *court, uint64_t processes)
{
    uint64_t ids = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        ids |= processes >> n & 1 ? UINT64_C(1) << (court->id[n] & 63) : 0;
    return ids;
}

static bool installs(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    bool first = !court->viewed;
    court->viewed = true;
    court->vid[r->node] = r->id;
    court->members[r->node] = ids_of(court, r->mask);
    if (first && !may_begin(court, at, verdict))
        return false;
    if (first) /* what was installed above it is forgotten */
        for (uint64_t vid = r->id; vid < 64; vid++)
            court->later[vid] = 0;
    if (r->id < 64)
        court->later[r->id] = court->members[r->node];
    return true;
}

static void acknowledge(struct court *court, const struct sim_record *r)
{
    struct story *story = story_of(court, r);
    court->durable[r->node] = r->seq;
    story->acked = r->seq > story->acked ? r->seq : story->acked;
    if (court->vid[r->node] > court->acked_vid && court->vid[r->node] < 64)
        court->acked_vid = court->vid[r->node];
}

static void end_life(struct court *court)
{
    court->lives++;
    court->viewed = court->troubled = false;
    court->came = court->last_replayed = 0;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++) {
        court->vid[n] = court->members[n] = 0;
        court->delivered[n] = court->durable[n] = -1;
    }
    for (unsigned s = 0; s < SIM_SUBS_MAX * SIM_SHARDS_MAX; s++)
        court->stories[s / SIM_SHARDS_MAX][s % SIM_SHARDS_MAX].begun = false;
    sim_map_free(&court->bodies);
    court->bodies = (struct sim_map){0};
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    bool fresh;
    switch (r->kind) {
    case SIM_COMES:
        court->id[r->node] = r->id;
        court->came |= UINT64_C(1) << (r->id & 63);
        return true;
    case SIM_VIEW: return installs(court, at, verdict);
    case SIM_BULK_END:
    case SIM_PART: *sim_map_at(&court->bodies, r->node, r->id, &fresh) = r->hash; return true;
    case SIM_DELIVER: tell(court, r); return true;
    case SIM_DURABLE: acknowledge(court, r); return true;
    case SIM_REPLAY: return replays(court, at, verdict);
    case SIM_RESTORE:
    case SIM_OFFER: return restores(court, at, verdict);
    case SIM_BEGINS: return begins(court, at, verdict);
    case SIM_BROKEN:
        return court->rotten ||
               sim_find(verdict, "P3", at,
                        "node %" PRIu64 " cannot read its disk, or note on it (%u), though that "
                        "kept its promises",
                        r->id, r->status);
    case SIM_ROT: court->rotten = true; return true;
    case SIM_HALT:
        return court->rotten || sim_find(verdict, "P4", at,
                                         "all %" PRIu64 " nodes that can have come back, and the "
                                         "group does not begin again",
                                         r->total);
    case SIM_KILL:
    case SIM_LEAVE:
    case SIM_OUT:
    case SIM_CUT: court->troubled = true; return true;
    case SIM_DISK:
        court->troubled = true;
        return r->status != NX_UNAVAILABLE || court->facts->limits->full_ends ||
               sim_find(verdict, "P6", at, "n%u ends, for lack of room on its disk", r->node);
    case SIM_OUTAGE: end_life(court); return true;
    default: return true;
    }
}

/* "A slow disk delays durable acknowledgements": it does not prevent them. */
static bool all_is_durable(const struct court *court, struct sim_verdict *verdict)
{
    for (unsigned n = 0; n < SIM_NODES_MAX && !court->troubled; n++) {
        const struct sim_facts *facts = court->facts;
        const struct story *story = &court->stories[facts->sub[n]][facts->shard[n]];
        if (facts->serves[n] && story->kept && !(facts->stopped >> n & 1) &&
            court->durable[n] < court->delivered[n])
            return sim_find(verdict, "P6", facts->trace->count,
                            "n%u has delivered up to seq %" PRId64 " and knows of %" PRId64
                            " that it is durable",
                            n, court->delivered[n], court->durable[n]);
    }
    return true;
}

bool check_disks(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court *court = calloc(1, sizeof *court);
    nx_assert(court != NULL);
    court->facts = facts;
    end_life(court);
    court->lives = 0;
    for (unsigned s = 0; s < SIM_SUBS_MAX * SIM_SHARDS_MAX; s++)
        court->stories[s / SIM_SHARDS_MAX][s % SIM_SHARDS_MAX].acked = -1;
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++)
        ok = judge_record(court, at, verdict);
    ok = ok && all_is_durable(court, verdict);
    for (unsigned s = 0; s < SIM_SUBS_MAX * SIM_SHARDS_MAX; s++) {
        free(court->stories[s / SIM_SHARDS_MAX][s % SIM_SHARDS_MAX].told.list);
        free(court->stories[s / SIM_SHARDS_MAX][s % SIM_SHARDS_MAX].cut.list);
    }
    sim_map_free(&court->bodies);
    free(court);
    return ok;
}
