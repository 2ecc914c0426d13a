/* The workload: what a random tier asks of its group. */
#include "sim_node.h"

#include "group/view/rankset.h"

#include <string.h>

enum { WRITES_PER_TURN = 4, WORD = 8 };

static uint64_t word_of(uint64_t id, uint64_t index)
{
    uint64_t x = (id + index * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 31;
}

void sim_text(uint64_t id, uint64_t offset, uint8_t *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        uint64_t word = word_of(id, (offset + done) / WORD);
        size_t skip = (offset + done) % WORD, some = WORD - skip;
        if (some > len - done)
            some = len - done;
        memcpy(bytes + done, (const uint8_t *)&word + skip, some);
        done += some;
    }
}

uint64_t sim_text_hash(uint64_t id, uint64_t len)
{
    uint64_t hash = SIM_HASH_EMPTY;
    for (uint64_t offset = 0; offset < len; offset += WORD) {
        uint64_t word = word_of(id, offset / WORD);
        hash = sim_hash(hash, &word, len - offset < WORD ? (size_t)(len - offset) : WORD);
    }
    return hash;
}

static void note(struct sim_node *node, enum sim_kind kind, struct sim_record record)
{
    sim_note(node->world, node->rank, kind, record);
}

static uint64_t draw_size(struct sim_node *node, uint64_t max)
{
    uint64_t size = nx_prng_chance(&node->prng, 1, 3) ? nx_prng_below(&node->prng, max + 1)
                                                      : nx_prng_below(&node->prng, max / 8 + 1);
    return nx_prng_chance(&node->prng, 1, 24) ? max : size;
}

/* The seat of another member of the view; NX_RANK_NONE: we are alone. */
static nx_rank draw_peer(struct sim_node *node)
{
    nx_rankset others = nx_view_ranks(nx_core_view(node->core)) & ~NX_RANK_BIT(node->seat);
    if (!others)
        return NX_RANK_NONE;
    for (uint64_t skip = nx_prng_below(&node->prng, (uint64_t)__builtin_popcountll(others));
         skip > 0; skip--)
        others &= others - 1;
    return nx_rankset_first(others);
}

static enum sim_op draw_op(struct sim_node *node)
{
    uint32_t sum = 0;
    for (int op = 0; op < SIM_OP_NONE; op++)
        sum += node->load->weights[op];
    uint64_t pick = nx_prng_below(&node->prng, sum);
    int op = 0;
    while (pick >= node->load->weights[op])
        pick -= node->load->weights[op++];
    return (enum sim_op)op;
}

static void draw(struct sim_node *node)
{
    const struct sim_config *config = node->world->config;
    struct sim_pending *p = &node->pending;
    *p = (struct sim_pending){.op = draw_op(node),
                              .id = (uint64_t)(node->rank + 1) << 32 | ++node->ids};
    size_t max = nx_core_send_max(node->core);
    if (p->op == SIM_OP_SEND) {
        p->len = (size_t)draw_size(node, config->small_max < max ? config->small_max : max);
        if (nx_prng_chance(&node->prng, 1, 60))
            p->len = max;
    } else if (p->op == SIM_OP_BULK) {
        p->total = 1 + draw_size(node, config->bulk_max - 1);
        p->len = WORD + nx_prng_below(&node->prng, max < 80 ? max - WORD + 1 : 73);
    } else if (p->op == SIM_OP_QUERY) {
        p->total = draw_size(node, config->query_max);
        p->peer = draw_peer(node);
        if (p->peer == NX_RANK_NONE)
            p->op = SIM_OP_NONE;
    }
    if (!node->serves && (p->op == SIM_OP_SEND || p->op == SIM_OP_BULK))
        p->op = SIM_OP_NONE;
}

static enum nx_status try_send(struct sim_node *node)
{
    struct sim_pending *p = &node->pending;
    sim_text(p->id, 0, node->bytes, p->len);
    struct nx_event event = {
        .type = NX_EV_SEND, .subgroup = node->subgroup, .bytes = node->bytes, .len = p->len};
    return sim_node_ask(node, event, SIM_SEND,
                        (struct sim_record){.sub = (uint8_t)node->subgroup,
                                            .shard = (uint8_t)node->shard,
                                            .len = p->len,
                                            .hash = sim_hash(SIM_HASH_EMPTY, node->bytes, p->len)});
}

static struct sim_bulk *free_bulk(struct sim_node *node)
{
    for (size_t i = 0; i < SIM_BULKS; i++)
        if (!node->bulks[i].used)
            return &node->bulks[i];
    return NULL;
}

static enum nx_status try_bulk(struct sim_node *node)
{
    struct sim_pending *p = &node->pending;
    struct sim_bulk *bulk = free_bulk(node);
    if (!bulk)
        return NX_AGAIN;
    sim_text(p->id, 0, node->bytes, p->len);
    memcpy(node->bytes, &p->id, WORD); /* makes the head unique */
    struct nx_event event = {.type = NX_EV_BULK_OPEN,
                             .subgroup = node->subgroup,
                             .total = p->total,
                             .bytes = node->bytes,
                             .len = p->len};
    enum nx_status status =
        sim_node_ask(node, event, SIM_BULK,
                     (struct sim_record){.sub = (uint8_t)node->subgroup,
                                         .shard = (uint8_t)node->shard,
                                         .total = p->total,
                                         .len = p->len,
                                         .hash = sim_hash(SIM_HASH_EMPTY, node->bytes, p->len)});
    if (status != NX_OK)
        return status;
    *bulk = (struct sim_bulk){.used = true,
                              .stream = node->answer.stream,
                              .id = p->id,
                              .total = p->total,
                              .hash = SIM_HASH_EMPTY,
                              .quit_at = p->total};
    if (nx_prng_chance(&node->prng, 1, 6))
        bulk->quit_at = nx_prng_below(&node->prng, p->total);
    return status;
}

static struct sim_query *free_query(struct sim_node *node)
{
    for (size_t i = 0; i < SIM_QUERIES; i++)
        if (!node->queries[i].used)
            return &node->queries[i];
    return NULL;
}

static enum nx_status try_query(struct sim_node *node)
{
    struct sim_pending *p = &node->pending;
    struct sim_query *query = free_query(node);
    if (!query)
        return NX_AGAIN;
    struct nx_event event = {.type = NX_EV_QUERY_OPEN,
                             .peer = p->peer,
                             .total = p->total,
                             .cookie = (void *)(uintptr_t)p->id};
    enum nx_status status = sim_node_ask(
        node, event, SIM_QUERY,
        (struct sim_record){
            .peer = (uint8_t)sim_node_who(node, p->peer), .id = p->id, .total = p->total});
    if (status != NX_OK)
        return status;
    *query = (struct sim_query){.used = true,
                                .stream = node->answer.stream,
                                .peer = p->peer,
                                .cookie = p->id,
                                .total = p->total,
                                .hash = SIM_HASH_EMPTY,
                                .reply_hash = SIM_HASH_EMPTY};
    if (nx_prng_chance(&node->prng, 1, 8))
        query->cancel_in = 1 + (uint32_t)nx_prng_below(&node->prng, 60);
    if (!p->total)
        note(node, SIM_QUERY_END, (struct sim_record){.id = p->id, .hash = SIM_HASH_EMPTY});
    return status;
}

static enum nx_status try_load(struct sim_node *node)
{
    uint32_t word = (uint32_t)nx_prng_below(&node->prng, NX_LOAD_WORDS);
    uint32_t value = (uint32_t)nx_prng_u64(&node->prng);
    note(node, SIM_LOAD, (struct sim_record){.id = word, .total = value});
    return sim_node_request(node,
                            (struct nx_event){.type = NX_EV_LOAD, .word = word, .value = value});
}

/* Requests that a tier should not make. */
static enum nx_status try_odd(struct sim_node *node)
{
    const struct sim_config *config = node->world->config;
    uint64_t pick = nx_prng_below(&node->prng, 8);
    size_t too_long = nx_core_send_max(node->core) + 1;
    nx_stream nobody = UINT64_C(0xdead) << 40;
    struct nx_event odd[] = {
        {.type = NX_EV_SEND, .subgroup = config->core.spec.subgroups_count, .len = 8},
        {.type = NX_EV_SEND, .subgroup = node->subgroup, .len = too_long},
        {.type = NX_EV_BULK_OPEN, .subgroup = NX_SUBGROUPS_MAX + 3, .total = 10, .len = 8},
        {.type = NX_EV_BULK_WRITE, .stream = nobody, .len = 8},
        {.type = NX_EV_QUERY_OPEN, .peer = NX_MEMBERS_MAX - 1, .total = 10},
        {.type = NX_EV_REPLY_OPEN, .stream = nobody, .total = 10},
        {.type = NX_EV_QUERY_OPEN, .peer = node->seat, .total = 10},
        {.type = NX_EV_BULK_OPEN, .subgroup = node->subgroup, .total = 0, .len = 8},
    };
    odd[pick].bytes = node->bytes;
    if (odd[pick].len <= sizeof node->bytes)
        sim_node_ask(node, odd[pick], SIM_ODD, (struct sim_record){.id = pick});
    return NX_OK;
}

static enum nx_status try_pending(struct sim_node *node)
{
    switch (node->pending.op) {
    case SIM_OP_SEND: return try_send(node);
    case SIM_OP_BULK: return try_bulk(node);
    case SIM_OP_QUERY: return try_query(node);
    case SIM_OP_LOAD: return try_load(node);
    case SIM_OP_ODD: return try_odd(node);
    case SIM_OP_NONE: break;
    }
    return NX_OK;
}

static void note_full(struct sim_node *node)
{
    if (!node->pending.refused)
        note(node, SIM_FULL, (struct sim_record){.id = (uint64_t)node->pending.op});
    node->pending.refused = true;
}

/* New operations, until the burst or the room ends. */
static void start_operations(struct sim_node *node)
{
    nx_ns now = node->world->now;
    for (uint32_t i = 0; i < node->load->burst; i++) {
        if (node->pending.op == SIM_OP_NONE) {
            if (!node->ops_left || now < node->next_op_at)
                return;
            node->ops_left--;
            draw(node);
        }
        if (try_pending(node) == NX_AGAIN) {
            note_full(node);
            return;
        }
        node->pending.op = SIM_OP_NONE;
    }
    node->next_op_at = now + nx_prng_between(&node->prng, 0, node->load->gap_ns);
}

/* A text that is being handed over: a bulk, a query, a reply. */
struct flow {
    enum nx_event_type type;
    nx_stream stream;
    uint64_t id, until;
    uint64_t *offset, *hash;
};

/* Hands over bytes [*offset, until) in a few writes, as far as the core takes them. True: it may
 * take more. */
static bool hand_over(struct sim_node *node, const struct flow *flow, enum nx_status *status)
{
    *status = NX_OK;
    for (int i = 0; i < WRITES_PER_TURN && *flow->offset < flow->until; i++) {
        uint64_t len = 1 + nx_prng_below(&node->prng, sizeof node->bytes);
        if (len > flow->until - *flow->offset)
            len = flow->until - *flow->offset;
        sim_text(flow->id, *flow->offset, node->bytes, (size_t)len);
        struct nx_event event = {
            .type = flow->type, .stream = flow->stream, .bytes = node->bytes, .len = (size_t)len};
        *status = sim_node_request(node, event);
        if (*status != NX_OK)
            return false;
        *flow->hash = sim_hash(*flow->hash, node->bytes, node->answer.taken);
        *flow->offset += node->answer.taken;
        if (node->answer.taken < len)
            return false;
    }
    return *flow->offset < flow->until;
}

static void quit_bulk(struct sim_node *node, struct sim_bulk *bulk)
{
    bulk->used = false;
    note(node, SIM_BULK_QUIT, (struct sim_record){.id = bulk->stream});
    sim_node_request(node, (struct nx_event){.type = NX_EV_BULK_ABORT, .stream = bulk->stream});
}

static bool feed_bulk(struct sim_node *node, struct sim_bulk *bulk)
{
    enum nx_status status;
    if (bulk->quit_at < bulk->total && bulk->offset >= bulk->quit_at) {
        quit_bulk(node, bulk);
        return false;
    }
    struct flow flow = {NX_EV_BULK_WRITE, bulk->stream,  bulk->id,
                        bulk->quit_at,    &bulk->offset, &bulk->hash};
    bool more = hand_over(node, &flow, &status);
    if (bulk->offset == bulk->total) {
        bulk->used = false;
        note(node, SIM_BULK_END, (struct sim_record){.id = bulk->stream, .hash = bulk->hash});
    } else if (status != NX_OK && status != NX_AGAIN) {
        bulk->used = false;
        note(node, SIM_BULK_LOST,
             (struct sim_record){.id = bulk->stream, .status = (uint8_t)status});
    }
    return more || (bulk->used && bulk->offset == bulk->quit_at);
}

static void cancel_query(struct sim_node *node, struct sim_query *query)
{
    query->used = false;
    note(node, SIM_CANCEL, (struct sim_record){.id = query->cookie});
    sim_node_request(node, (struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query->stream});
}

static bool feed_query(struct sim_node *node, struct sim_query *query)
{
    enum nx_status status;
    if (query->cancel_in && --query->cancel_in == 0) {
        cancel_query(node, query);
        return false;
    }
    if (query->offset == query->total)
        return false;
    struct flow flow = {NX_EV_QUERY_WRITE, query->stream,  query->cookie,
                        query->total,      &query->offset, &query->hash};
    bool more = hand_over(node, &flow, &status);
    if (query->offset == query->total)
        note(node, SIM_QUERY_END, (struct sim_record){.id = query->cookie, .hash = query->hash});
    else if (status != NX_OK && status != NX_AGAIN) {
        query->offset = query->total; /* its failure is told, or was */
        note(node, SIM_QUERY_LOST,
             (struct sim_record){.id = query->cookie, .status = (uint8_t)status});
    }
    return more;
}

/* One that was answered is forgotten: nothing more is told of it. Of one that was cancelled meanwhile parts may still
 * come up, and then that it is gone. */
static void end_reply(struct sim_served *served, enum nx_status status, bool whole)
{
    if (status == NX_NOT_FOUND)
        served->lost = true;
    else if (status == NX_OK ? whole : status != NX_AGAIN)
        served->used = false;
}

static void open_reply(struct sim_node *node, struct sim_served *served)
{
    struct nx_event event = {
        .type = NX_EV_REPLY_OPEN, .stream = served->stream, .total = served->reply_total};
    enum nx_status status = sim_node_ask(
        node, event, SIM_REPLY,
        (struct sim_record){.id = served->stream,
                            .total = served->reply_total,
                            .hash = sim_text_hash(served->reply_id, served->reply_total)});
    served->opened = status == NX_OK;
    end_reply(served, status, served->reply_total == 0);
}

static bool feed_reply(struct sim_node *node, struct sim_served *served)
{
    enum nx_status status;
    uint64_t hash = SIM_HASH_EMPTY;
    if (!served->ready || served->lost)
        return false;
    if (served->wait) {
        served->wait--;
        return true;
    }
    if (!served->opened)
        open_reply(node, served);
    if (!served->used || !served->opened)
        return false;
    struct flow flow = {NX_EV_REPLY_WRITE,   served->stream,  served->reply_id,
                        served->reply_total, &served->offset, &hash};
    bool more = hand_over(node, &flow, &status);
    end_reply(served, status, served->offset == served->reply_total);
    return more;
}

void sim_work_inside(struct sim_node *node)
{
    struct sim_bulk *bulk = &node->bulks[nx_prng_below(&node->prng, SIM_BULKS)];
    struct sim_query *query = &node->queries[nx_prng_below(&node->prng, SIM_QUERIES / 8)];
    if (bulk->used && bulk->quit_at < bulk->total)
        quit_bulk(node, bulk);
    if (query->used && query->cancel_in)
        cancel_query(node, query);
    for (size_t i = 0; i < node->served_high; i++)
        if (node->served[i].used && !node->served[i].wait)
            node->due |= feed_reply(node, &node->served[i]);
    start_operations(node);
}

bool sim_work(struct sim_node *node)
{
    bool more = false;
    for (size_t i = 0; i < SIM_BULKS; i++)
        if (node->bulks[i].used)
            more |= feed_bulk(node, &node->bulks[i]);
    for (size_t i = 0; i < SIM_QUERIES; i++)
        if (node->queries[i].used)
            more |= feed_query(node, &node->queries[i]);
    for (size_t i = 0; i < node->served_high; i++)
        if (node->served[i].used)
            more |= feed_reply(node, &node->served[i]);
    start_operations(node);
    return more || (node->ops_left && node->pending.op == SIM_OP_NONE &&
                    node->next_op_at <= node->world->now);
}

bool sim_work_is_done(const struct sim_node *node)
{
    return !node->ops_left || node->pending.op != SIM_OP_NONE;
}
