/* B1, B2, and D1, D5 for bulk messages. A bulk is known by its head, which the workload makes
 * unique; the stream's number is a name local to a node. */
#include "check.h"
#include "sim_map.h"

#include "common/nx_assert.h"

#include <inttypes.h>
#include <stdlib.h>

struct bulk {
    unsigned sender;
    uint64_t members, total, hash; /* hash: of all its bytes, once handed over */
    uint64_t holds;                /* members that were given every part */
    size_t since;                  /* the record that opened it */
    bool ended, quit, cut;         /* cut: a join ended it */
};

/* One bulk coming in at one node. */
struct incoming {
    struct bulk *bulk;
    uint64_t offset, hash;
    size_t since; /* the record of its head */
    bool whole, aborted;
};

struct court {
    const struct sim_facts *facts;
    struct bulk *bulks;
    struct incoming *incoming;
    size_t bulks_count, incoming_count;
    uint64_t members[SIM_NODES_MAX]; /* of its shard, as the node said last */
    size_t grew[SIM_NODES_MAX];      /* the record in which it last named one that it had not */
    bool lacks[SIM_NODES_MAX];       /* it has no state */
    struct sim_map by_head, by_sender, by_receiver; /* index + 1 into bulks, bulks, incoming */
};

static struct bulk *bulk_of(const struct court *court, const struct sim_map *map, uint64_t a,
                            uint64_t b)
{
    const uint64_t *index = sim_map_find(map, a, b);
    return index && *index ? &court->bulks[*index - 1] : NULL;
}

static struct incoming *incoming_of(const struct court *court, const struct sim_record *r)
{
    const uint64_t *index = sim_map_find(&court->by_receiver, r->node, r->id);
    return index && *index ? &court->incoming[*index - 1] : NULL;
}

static bool opens(struct court *court, const struct sim_record *r, size_t at,
                  struct sim_verdict *verdict)
{
    bool fresh;
    if (r->status)
        return true;
    court->bulks[court->bulks_count++] = (struct bulk){.sender = r->node,
                                                       .members = court->facts->members[r->node],
                                                       .total = r->total,
                                                       .since = at};
    *sim_map_at(&court->by_head, r->hash, r->len, &fresh) = court->bulks_count;
    *sim_map_at(&court->by_sender, r->node, r->id, &fresh) = court->bulks_count;
    return fresh ||
           sim_find(verdict, "B1", at, "n%u was given stream %" PRIx64 " twice", r->node, r->id);
}

static bool comes_in(struct court *court, const struct sim_record *r, size_t at,
                     struct sim_verdict *verdict)
{
    bool fresh;
    struct bulk *bulk = bulk_of(court, &court->by_head, r->hash, r->len);
    if (!bulk || bulk->sender != r->peer)
        return sim_find(verdict, "B1", at, "n%u was given the head of a bulk that n%u did not open",
                        r->node, r->peer);
    court->incoming[court->incoming_count++] =
        (struct incoming){.bulk = bulk, .hash = SIM_HASH_EMPTY, .since = at};
    *sim_map_at(&court->by_receiver, r->node, r->id, &fresh) = court->incoming_count;
    return fresh || sim_find(verdict, "B1", at, "n%u met stream %" PRIx64 " twice", r->node, r->id);
}

static bool takes_part(struct court *court, const struct sim_record *r, size_t at,
                       struct sim_verdict *verdict)
{
    struct incoming *in = incoming_of(court, r);
    if (!in || in->bulk->sender != r->peer)
        return sim_find(verdict, "B1", at,
                        "n%u was given a part of stream %" PRIx64 " before its head", r->node,
                        r->id);
    if (in->aborted)
        return sim_find(verdict, "B2", at,
                        "n%u was given a part of stream %" PRIx64 " after its abort", r->node,
                        r->id);
    if (r->offset != in->offset || in->whole || r->total != in->bulk->total)
        return sim_find(verdict, "B1", at,
                        "n%u was given bytes %" PRIu64 " of %" PRIu64 " of a bulk where %" PRIu64
                        " of %" PRIu64 " was due",
                        r->node, r->offset, r->total, in->offset, in->bulk->total);
    in->offset += r->len;
    if (in->offset < in->bulk->total)
        return true;
    in->whole = true;
    in->bulk->holds |= UINT64_C(1) << r->node;
    if (in->bulk->ended && in->bulk->hash == r->hash)
        return true;
    return sim_find(verdict, "B1", at,
                    "n%u was given a bulk of n%u whose bytes are not the sender's", r->node,
                    r->peer);
}

static void note_place(struct court *court, const struct sim_record *r, size_t at)
{
    if (court->members[r->node] && (r->mask & ~court->members[r->node]))
        court->grew[r->node] = at;
    court->members[r->node] = r->mask;
    court->lacks[r->node] = r->id >> r->node & 1;
}

/* A view in which somebody comes to the shard ends it at each member that is in that view; one that lacks the state is told
 * instead of a delivery. */
static bool is_cut(const struct court *court, unsigned node, size_t since)
{
    return court->grew[node] > since || court->lacks[node];
}

static bool is_cut_short(struct court *court, const struct sim_record *r, size_t at,
                         struct sim_verdict *verdict)
{
    struct bulk *bulk = bulk_of(court, &court->by_sender, r->node, r->id);
    if (bulk)
        bulk->cut = true;
    return (bulk && is_cut(court, r->node, bulk->since)) ||
           sim_find(verdict, "B2", at,
                    "n%u was told that its own stream %" PRIx64 " has ended, though nobody came",
                    r->node, r->id);
}

static bool aborts(struct court *court, const struct sim_record *r, size_t at,
                   struct sim_verdict *verdict)
{
    struct incoming *in = incoming_of(court, r);
    if (!in || in->aborted)
        return sim_find(verdict, "B2", at,
                        "n%u was told twice, or of nothing, that stream %" PRIx64 " is aborted",
                        r->node, r->id);
    in->aborted = true;
    const struct sim_facts *facts = court->facts;
    unsigned sender = in->bulk->sender;
    if (is_cut(court, r->node, in->since))
        return true;
    /* Who is put out though it lives loses all others, and with them what they had begun. */
    if (in->bulk->quit || !sim_alive(facts, sender, at) || facts->leaving[sender] < at ||
        sim_given_up(facts, sender, at) || sim_given_up(facts, r->node, at))
        return true;
    return sim_find(verdict, "B2", at, "n%u was told that a bulk of n%u, which goes on, is aborted",
                    r->node, sender);
}

static bool is_delivered(struct court *court, const struct sim_record *r, size_t at,
                         struct sim_verdict *verdict)
{
    struct bulk *bulk = bulk_of(court, &court->by_head, r->hash, r->len);
    if (!r->id || !bulk)
        return true; /* not a bulk, or D1's to judge */
    struct incoming *in = incoming_of(court, r);
    if (r->node != bulk->sender && (!in || in->bulk != bulk || !in->whole))
        return sim_find(verdict, "B1", at, "n%u delivered a bulk of n%u before all its parts",
                        r->node, r->peer);
    if (bulk->quit || bulk->cut || (in && r->node != bulk->sender && in->aborted))
        return sim_find(verdict, "B2", at, "n%u delivered a bulk of n%u that was aborted", r->node,
                        r->peer);
    uint64_t others = bulk->members & ~(UINT64_C(1) << bulk->sender);
    uint64_t lack = sim_alive_of(court->facts, others, at) & ~bulk->holds;
    for (unsigned n = 0; n < SIM_NODES_MAX; n++)
        if (court->facts->leaving[n] < at || sim_given_up(court->facts, n, at) ||
            court->facts->late[n])
            lack &= ~(UINT64_C(1) << n);
    return !lack || sim_find(verdict, "D5", at,
                             "n%u delivered a bulk of n%u, of which members %" PRIx64 " lack parts",
                             r->node, r->peer, lack);
}

static bool judge_record(struct court *court, size_t at, struct sim_verdict *verdict)
{
    const struct sim_record *r = &court->facts->trace->records[at];
    struct bulk *mine = NULL;
    switch (r->kind) {
    case SIM_BULK: return opens(court, r, at, verdict);
    case SIM_HEAD: return comes_in(court, r, at, verdict);
    case SIM_PART: return takes_part(court, r, at, verdict);
    case SIM_ABORTED: return aborts(court, r, at, verdict);
    case SIM_DELIVER: return is_delivered(court, r, at, verdict);
    case SIM_BULK_CUT: return is_cut_short(court, r, at, verdict);
    case SIM_MEMBER: note_place(court, r, at); return true;
    case SIM_BULK_END:
    case SIM_BULK_QUIT: mine = bulk_of(court, &court->by_sender, r->node, r->id); break;
    default: break;
    }
    if (mine && r->kind == SIM_BULK_END) {
        mine->ended = true;
        mine->hash = r->hash;
    } else if (mine) {
        mine->quit = true;
    }
    return true;
}

/* A receiver in a whole shard that began a bulk whose sender gave it up must have been told. */
static bool ends_are_told(const struct court *court, struct sim_verdict *verdict)
{
    for (size_t i = 0; i < court->incoming_count; i++) {
        const struct incoming *in = &court->incoming[i];
        if (in->bulk->quit && !in->aborted &&
            sim_shard_whole(court->facts, in->bulk->sender, SIM_NOBODY))
            return sim_find(verdict, "B2", court->facts->trace->count,
                            "a receiver was never told that a bulk of n%u is aborted",
                            in->bulk->sender);
    }
    return true;
}

bool check_bulk(const struct sim_facts *facts, struct sim_verdict *verdict)
{
    struct court court = {.facts = facts};
    size_t bulks = 1, heads = 1;
    for (size_t at = 0; at < facts->trace->count; at++) {
        bulks += facts->trace->records[at].kind == SIM_BULK;
        heads += facts->trace->records[at].kind == SIM_HEAD;
    }
    court.bulks = calloc(bulks, sizeof *court.bulks);
    court.incoming = calloc(heads, sizeof *court.incoming);
    nx_assert(court.bulks && court.incoming);
    bool ok = true;
    for (size_t at = 0; ok && at < facts->trace->count; at++)
        ok = judge_record(&court, at, verdict);
    ok = ok && ends_are_told(&court, verdict);
    sim_map_free(&court.by_head);
    sim_map_free(&court.by_sender);
    sim_map_free(&court.by_receiver);
    free(court.bulks);
    free(court.incoming);
    return ok;
}
