#include "sim_keep.h"

#include "common/nx_assert.h"

static void note(struct sim_node *node, enum sim_kind kind, struct sim_record record)
{
    sim_note(node->world, node->rank, kind, record);
}

static void take_delivery(struct sim_node *node, const struct nx_delivery *d)
{
    uint64_t members = 0;
    if (node->serves)
        members = sim_node_whose(
            node, nx_core_layout(node->core)->shards[node->subgroup][node->shard].set);
    uint64_t hash = sim_hash(SIM_HASH_EMPTY, d->bytes, d->len);
    node->state.hash = sim_state_hash(node->state.hash, d->seq, d->len, hash);
    node->state.count++;
    node->delivered = d->seq;
    note(node, SIM_DELIVER,
         (struct sim_record){
             .sub = (uint8_t)d->subgroup,
             .shard = (uint8_t)d->shard,
             .peer = (uint8_t)sim_node_who(node, d->sender),
             .seq = d->seq,
             .len = d->len,
             .hash = hash,
             .id = d->bulk,
             .mask = sim_world_holders(node->world, node->rank, d->bytes, d->len, members)});
}

static struct sim_inflow *inflow_of(struct sim_node *node, nx_stream stream, bool make)
{
    struct sim_inflow *room = NULL;
    for (size_t i = 0; i < sizeof node->inflows / sizeof *node->inflows; i++) {
        struct sim_inflow *in = &node->inflows[i];
        if (in->used && in->stream == stream)
            return in;
        if (!in->used && !room)
            room = in;
    }
    if (!make)
        return NULL;
    nx_assert(room != NULL);
    *room = (struct sim_inflow){.used = true, .stream = stream, .hash = SIM_HASH_EMPTY};
    return room;
}

static struct sim_record part_record(const struct sim_node *node, const struct nx_part *part,
                                     uint64_t id, uint64_t hash)
{
    return (struct sim_record){.peer = (uint8_t)sim_node_who(node, part->peer),
                               .id = id,
                               .offset = part->offset,
                               .len = part->len,
                               .total = part->total,
                               .hash = hash};
}

static void take_bulk_part(struct sim_node *node, const struct nx_upcall *upcall)
{
    const struct nx_part *part = &upcall->part;
    if (part->offset == 0)
        note(node, SIM_HEAD,
             (struct sim_record){.peer = (uint8_t)sim_node_who(node, part->peer),
                                 .id = part->stream,
                                 .len = upcall->head_len,
                                 .hash = sim_hash(SIM_HASH_EMPTY, upcall->head, upcall->head_len)});
    struct sim_inflow *in = inflow_of(node, part->stream, true);
    in->hash = sim_hash(in->hash, part->bytes, part->len);
    note(node, SIM_PART, part_record(node, part, part->stream, in->hash));
    if (part->offset + part->len == part->total)
        in->used = false;
}

/* Ours: a view in which somebody came ended it. */
static void lose_own_bulk(struct sim_node *node, nx_stream stream)
{
    for (size_t i = 0; i < SIM_BULKS; i++)
        if (node->bulks[i].used && node->bulks[i].stream == stream)
            node->bulks[i].used = false;
    note(node, SIM_BULK_CUT, (struct sim_record){.id = stream});
}

static void lose_bulk(struct sim_node *node, nx_stream stream)
{
    struct sim_inflow *in = inflow_of(node, stream, false);
    if (in)
        in->used = false;
    note(node, SIM_ABORTED, (struct sim_record){.id = stream});
}

static struct sim_served *served_of(struct sim_node *node, nx_stream stream)
{
    for (size_t i = 0; i < node->served_high; i++)
        if (node->served[i].used && node->served[i].stream == stream)
            return &node->served[i];
    return NULL;
}

static struct sim_served *serve(struct sim_node *node, const struct nx_part *part)
{
    for (size_t i = 0; i < SIM_SERVED; i++)
        if (!node->served[i].used) {
            node->served[i] = (struct sim_served){
                .used = true, .stream = part->stream, .peer = part->peer, .hash = SIM_HASH_EMPTY};
            if (i >= node->served_high)
                node->served_high = i + 1;
            return &node->served[i];
        }
    nx_assert(!"more queries at once than all askers may have");
    return NULL;
}

/* The size and bytes of a reply follow from the question's hash, so that an answer can be told
 * from others. A few are answered before they are whole, as a refusal would be. */
static void take_query_part(struct sim_node *node, const struct nx_part *part)
{
    struct sim_served *served = served_of(node, part->stream);
    if (!served)
        served = serve(node, part);
    served->hash = sim_hash(served->hash, part->bytes, part->len);
    note(node, SIM_ASKED, part_record(node, part, part->stream, served->hash));
    bool whole = part->offset + part->len == part->total;
    if (served->ready || (!whole && !nx_prng_chance(&node->prng, 1, 20)))
        return;
    uint64_t size = served->hash >> 20;
    served->ready = true;
    served->reply_id = served->hash;
    served->wait = size & 3;
    served->reply_total =
        (size >> 2 & 3) ? (size >> 4) % 200 : (size >> 4) % (node->world->config->query_max + 1);
}

static void forget_query(struct sim_node *node, nx_stream stream)
{
    struct sim_served *served = served_of(node, stream);
    if (served)
        served->used = false;
    note(node, SIM_GONE, (struct sim_record){.id = stream});
}

static struct sim_query *query_of(struct sim_node *node, uint64_t cookie)
{
    for (size_t i = 0; i < SIM_QUERIES; i++)
        if (node->queries[i].used && node->queries[i].cookie == cookie)
            return &node->queries[i];
    return NULL;
}

static void take_reply_part(struct sim_node *node, uint64_t cookie, const struct nx_part *part)
{
    struct sim_query *query = query_of(node, cookie);
    uint64_t hash = sim_hash(query ? query->reply_hash : SIM_HASH_EMPTY, part->bytes, part->len);
    note(node, SIM_ANSWER, part_record(node, part, cookie, hash));
    if (!query)
        return; /* R1 sees it */
    query->reply_hash = hash;
    query->reply_offset += part->len;
    if (query->reply_offset == part->total)
        query->used = false;
}

static void lose_query(struct sim_node *node, uint64_t cookie, enum nx_status why)
{
    struct sim_query *query = query_of(node, cookie);
    if (query)
        query->used = false;
    note(node, SIM_FAILED, (struct sim_record){.id = cookie, .status = (uint8_t)why});
}

static void lose_member(struct sim_node *node, nx_rank rank, bool clean)
{
    node->gone |= NX_RANK_BIT(rank);
    for (size_t i = 0; i < SIM_SERVED; i++)
        if (node->served[i].peer == rank && !node->served[i].ready)
            node->served[i].used = false;
    note(node, SIM_DOWN,
         (struct sim_record){.peer = (uint8_t)sim_node_who(node, rank), .status = clean});
}

/* All that a view says, but for addresses. */
static uint64_t view_hash(const struct nx_view *view)
{
    uint64_t hash = sim_hash(SIM_HASH_EMPTY, &view->stateless, sizeof view->stateless);
    hash = sim_hash(hash, view->base, sizeof view->base);
    for (nx_rankset left = nx_view_ranks(view); left; left &= left - 1) {
        const struct nx_member *member = &view->members[__builtin_ctzll(left)];
        uint64_t facts[] = {(uint64_t)__builtin_ctzll(left), member->node, member->subgroup,
                            member->shard, member->since};
        hash = sim_hash(hash, facts, sizeof facts);
    }
    return hash;
}

static void install(struct sim_node *node)
{
    const struct nx_view *view = nx_core_view(node->core);
    note(node, SIM_VIEW,
         (struct sim_record){.id = view->vid,
                             .mask = sim_node_whose(node, nx_view_ranks(view)),
                             .hash = view_hash(view)});
    sim_node_begin_view(node);
    sim_keep_cut(node, false);
}

void sim_upcall(struct sim_node *node, const struct nx_upcall *upcall)
{
    uint64_t cookie = (uint64_t)(uintptr_t)upcall->cookie;
    sim_keep_upcall(node, upcall);
    if (sim_state_upcall(node, upcall))
        return;
    switch (upcall->type) {
    case NX_UP_VIEW: install(node); break;
    case NX_UP_MEMBER_DOWN: lose_member(node, upcall->rank, upcall->clean); break;
    case NX_UP_DELIVER: take_delivery(node, &upcall->delivery); break;
    case NX_UP_BULK_PART: take_bulk_part(node, upcall); break;
    case NX_UP_BULK_ABORTED:
        if (upcall->part.peer == node->seat)
            lose_own_bulk(node, upcall->part.stream);
        else
            lose_bulk(node, upcall->part.stream);
        break;
    case NX_UP_QUERY_PART: take_query_part(node, &upcall->part); break;
    case NX_UP_QUERY_GONE: forget_query(node, upcall->part.stream); break;
    case NX_UP_REPLY_PART: take_reply_part(node, cookie, &upcall->part); break;
    case NX_UP_QUERY_FAILED: lose_query(node, cookie, upcall->status); break;
    case NX_UP_DOWN:
        note(node, SIM_OUT, (struct sim_record){.status = (uint8_t)upcall->status});
        break;
    }
}
