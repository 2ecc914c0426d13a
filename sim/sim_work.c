/* The workload: what a random tier asks of its group. */
#include "sim_node.h"

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

/* A step on behalf of the tier; *status is what the core said. False: the node died. */
static bool ask(struct sim_node *node, struct nx_event event, enum nx_status *status)
{
    if (!sim_node_step(node, &event))
        return false;
    *status = node->update.status;
    return true;
}

static uint64_t draw_size(struct sim_node *node, uint64_t max)
{
    uint64_t size = nx_prng_chance(&node->prng, 1, 3) ? nx_prng_below(&node->prng, max + 1)
                                                      : nx_prng_below(&node->prng, max / 8 + 1);
    return nx_prng_chance(&node->prng, 1, 24) ? max : size;
}

static nx_rank draw_peer(struct sim_node *node)
{
    nx_rank peer = (nx_rank)nx_prng_below(&node->prng, node->world->config->nodes - 1);
    return peer + (peer >= node->rank);
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
    *p = (struct sim_pending){.op = draw_op(node), .id = (uint64_t)(node->rank + 1) << 32 | ++node->ids};
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
        if (config->nodes == 1)
            p->op = SIM_OP_NONE;
        else
            p->peer = draw_peer(node);
    }
    if (!node->serves && (p->op == SIM_OP_SEND || p->op == SIM_OP_BULK))
        p->op = SIM_OP_NONE;
}

static bool try_send(struct sim_node *node, enum nx_status *status)
{
    struct sim_pending *p = &node->pending;
    sim_text(p->id, 0, node->bytes, p->len);
    struct nx_event event = {
        .type = NX_EV_SEND, .subgroup = node->subgroup, .bytes = node->bytes, .len = p->len};
    bool lives = sim_node_ask(node, &event, SIM_SEND,
                              (struct sim_record){.sub = (uint8_t)node->subgroup,
                                                  .shard = (uint8_t)node->shard,
                                                  .len = p->len,
                                                  .hash = sim_hash(SIM_HASH_EMPTY, node->bytes, p->len)});
    *status = node->update.status;
    return lives;
}

static struct sim_bulk *free_bulk(struct sim_node *node)
{
    for (size_t i = 0; i < SIM_BULKS; i++)
        if (!node->bulks[i].used)
            return &node->bulks[i];
    return NULL;
}

static bool try_bulk(struct sim_node *node, enum nx_status *status)
{
    struct sim_pending *p = &node->pending;
    struct sim_bulk *bulk = free_bulk(node);
    *status = NX_AGAIN;
    if (!bulk)
        return true;
    sim_text(p->id, 0, node->bytes, p->len);
    memcpy(node->bytes, &p->id, WORD); /* makes the head unique */
    struct nx_event event = {.type = NX_EV_BULK_OPEN, .subgroup = node->subgroup, .total = p->total,
                             .bytes = node->bytes, .len = p->len};
    bool lives = sim_node_ask(node, &event, SIM_BULK,
                              (struct sim_record){.sub = (uint8_t)node->subgroup,
                                                  .shard = (uint8_t)node->shard,
                                                  .total = p->total,
                                                  .len = p->len,
                                                  .hash = sim_hash(SIM_HASH_EMPTY, node->bytes, p->len)});
    *status = node->update.status;
    if (*status == NX_OK)
        *bulk = (struct sim_bulk){.used = true, .stream = node->update.stream, .id = p->id, .total = p->total,
                                  .hash = SIM_HASH_EMPTY,
                                  .quit_at = nx_prng_chance(&node->prng, 1, 6) ? nx_prng_below(&node->prng, p->total) : p->total};
    return lives;
}

static struct sim_query *free_query(struct sim_node *node)
{
    for (size_t i = 0; i < SIM_QUERIES; i++)
        if (!node->queries[i].used)
            return &node->queries[i];
    return NULL;
}

static bool try_query(struct sim_node *node, enum nx_status *status)
{
    struct sim_pending *p = &node->pending;
    struct sim_query *query = free_query(node);
    *status = NX_AGAIN;
    if (!query)
        return true;
    struct nx_event event = {.type = NX_EV_QUERY_OPEN, .peer = p->peer, .total = p->total, .cookie = (void *)(uintptr_t)p->id};
    bool lives = sim_node_ask(node, &event, SIM_QUERY,
                              (struct sim_record){.peer = (uint8_t)p->peer, .id = p->id, .total = p->total});
    *status = node->update.status;
    if (*status != NX_OK)
        return lives;
    *query = (struct sim_query){.used = true, .stream = node->update.stream, .peer = p->peer, .cookie = p->id,
                                .total = p->total, .hash = SIM_HASH_EMPTY, .reply_hash = SIM_HASH_EMPTY};
    if (nx_prng_chance(&node->prng, 1, 8))
        query->cancel_in = 1 + (uint32_t)nx_prng_below(&node->prng, 60);
    if (!p->total)
        note(node, SIM_QUERY_END, (struct sim_record){.id = p->id, .hash = SIM_HASH_EMPTY});
    return lives;
}

static bool try_load(struct sim_node *node, enum nx_status *status)
{
    uint32_t word = (uint32_t)nx_prng_below(&node->prng, NX_LOAD_WORDS), value = (uint32_t)nx_prng_u64(&node->prng);
    note(node, SIM_LOAD, (struct sim_record){.id = word, .total = value});
    return ask(node, (struct nx_event){.type = NX_EV_LOAD, .word = word, .value = value}, status);
}

/* Requests that a tier should not make. */
static bool try_odd(struct sim_node *node, enum nx_status *status)
{
    const struct sim_config *config = node->world->config;
    uint64_t pick = nx_prng_below(&node->prng, 6);
    size_t max = nx_core_send_max(node->core);
    nx_stream nobody = UINT64_C(0xdead) << 40;
    struct nx_event odd[] = {
        {.type = NX_EV_SEND, .subgroup = config->core.spec.subgroups_count, .bytes = node->bytes, .len = 8},
        {.type = NX_EV_SEND, .subgroup = node->subgroup, .bytes = node->bytes, .len = max + 1},
        {.type = NX_EV_BULK_OPEN, .subgroup = NX_SUBGROUPS_MAX + 3, .total = 10, .bytes = node->bytes, .len = 8},
        {.type = NX_EV_BULK_WRITE, .stream = nobody, .bytes = node->bytes, .len = 8},
        {.type = NX_EV_QUERY_OPEN, .peer = config->nodes, .total = 10},
        {.type = NX_EV_REPLY_OPEN, .stream = nobody, .total = 10},
    };
    bool lives = max + 1 > sizeof node->bytes && pick == 1 ? true : ask(node, odd[pick], status);
    if (lives && node->update.status != NX_AGAIN)
        note(node, SIM_ODD, (struct sim_record){.id = pick, .status = (uint8_t)node->update.status});
    *status = NX_OK;
    return lives;
}

static bool try_pending(struct sim_node *node, enum nx_status *status)
{
    *status = NX_OK;
    switch (node->pending.op) {
    case SIM_OP_SEND: return try_send(node, status);
    case SIM_OP_BULK: return try_bulk(node, status);
    case SIM_OP_QUERY: return try_query(node, status);
    case SIM_OP_LOAD: return try_load(node, status);
    case SIM_OP_ODD: return try_odd(node, status);
    case SIM_OP_NONE: return true;
    }
    return true;
}

/* New operations, until the burst or the room ends. */
static bool start_operations(struct sim_node *node)
{
    nx_ns now = node->world->now;
    for (uint32_t i = 0; i < node->load->burst; i++) {
        enum nx_status status;
        if (node->pending.op == SIM_OP_NONE) {
            if (!node->ops_left || now < node->next_op_at)
                return true;
            node->ops_left--;
            draw(node);
        }
        if (!try_pending(node, &status))
            return false;
        if (status == NX_AGAIN)
            return true;
        node->pending.op = SIM_OP_NONE;
    }
    node->next_op_at = now + nx_prng_between(&node->prng, 0, node->load->gap_ns);
    return true;
}

/* Hands over bytes [*offset, total) of text id through `type` until the core takes no more. False: the node died. */
static bool hand_over(struct sim_node *node, enum nx_event_type type, nx_stream stream, uint64_t id, uint64_t total,
                      uint64_t *offset, uint64_t *hash, enum nx_status *status, bool *more)
{
    *status = NX_OK;
    for (int i = 0; i < WRITES_PER_TURN && *offset < total; i++) {
        uint64_t len = 1 + nx_prng_below(&node->prng, sizeof node->bytes);
        if (len > total - *offset)
            len = total - *offset;
        sim_text(id, *offset, node->bytes, (size_t)len);
        bool lives = ask(node, (struct nx_event){.type = type, .stream = stream, .bytes = node->bytes, .len = (size_t)len}, status);
        size_t taken = node->update.status == NX_OK ? node->update.taken : 0;
        *hash = sim_hash(*hash, node->bytes, taken);
        *offset += taken;
        if (!lives)
            return false;
        if (taken < len || *status != NX_OK)
            return true;
    }
    *more = *more || *offset < total;
    return true;
}

static bool feed_bulk(struct sim_node *node, struct sim_bulk *bulk, bool *more)
{
    enum nx_status status;
    if (bulk->quit_at < bulk->total && bulk->offset >= bulk->quit_at) {
        bulk->used = false;
        note(node, SIM_BULK_QUIT, (struct sim_record){.id = bulk->stream});
        return ask(node, (struct nx_event){.type = NX_EV_BULK_ABORT, .stream = bulk->stream}, &status);
    }
    uint64_t before = bulk->offset, until = bulk->quit_at < bulk->total ? bulk->quit_at : bulk->total;
    bool lives = hand_over(node, NX_EV_BULK_WRITE, bulk->stream, bulk->id, until, &bulk->offset, &bulk->hash, &status, more);
    if (bulk->offset == bulk->total && before < bulk->total) {
        bulk->used = false;
        note(node, SIM_BULK_END, (struct sim_record){.id = bulk->stream, .hash = bulk->hash});
    } else if (lives && status != NX_OK && status != NX_AGAIN) {
        bulk->used = false;
        note(node, SIM_BULK_LOST, (struct sim_record){.id = bulk->stream, .status = (uint8_t)status});
    }
    return lives;
}

static bool feed_query(struct sim_node *node, struct sim_query *query, bool *more)
{
    enum nx_status status;
    if (query->cancel_in && --query->cancel_in == 0) {
        query->used = false;
        note(node, SIM_CANCEL, (struct sim_record){.id = query->cookie});
        return ask(node, (struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query->stream}, &status);
    }
    if (query->offset == query->total)
        return true;
    uint64_t cookie = query->cookie;
    bool lives = hand_over(node, NX_EV_QUERY_WRITE, query->stream, cookie, query->total, &query->offset, &query->hash, &status, more);
    if (query->offset == query->total)
        note(node, SIM_QUERY_END, (struct sim_record){.id = cookie, .hash = query->hash});
    else if (lives && status != NX_OK && status != NX_AGAIN) {
        query->offset = query->total; /* its failure is told, or was */
        note(node, SIM_QUERY_LOST, (struct sim_record){.id = cookie, .status = (uint8_t)status});
    }
    return lives;
}

static bool open_reply(struct sim_node *node, struct sim_served *served)
{
    enum nx_status status;
    struct nx_event event = {.type = NX_EV_REPLY_OPEN, .stream = served->stream, .total = served->reply_total};
    bool lives = ask(node, event, &status);
    status = node->update.status;
    if (status == NX_AGAIN)
        return lives;
    note(node, SIM_REPLY,
         (struct sim_record){.id = served->stream,
                             .total = served->reply_total,
                             .hash = sim_text_hash(served->hash, served->reply_total),
                             .status = (uint8_t)status});
    served->opened = true;
    if (status != NX_OK || !served->reply_total)
        served->used = false;
    return lives;
}

static bool feed_reply(struct sim_node *node, struct sim_served *served, bool *more)
{
    enum nx_status status;
    uint64_t ignored = SIM_HASH_EMPTY;
    if (!served->whole)
        return true;
    if (served->wait) {
        served->wait--;
        *more = true;
        return true;
    }
    if (!served->opened && !open_reply(node, served))
        return false;
    if (!served->used || !served->opened)
        return true;
    bool lives = hand_over(node, NX_EV_REPLY_WRITE, served->stream, served->hash, served->reply_total, &served->offset, &ignored,
                           &status, more);
    if (served->offset == served->reply_total || (status != NX_OK && status != NX_AGAIN))
        served->used = false;
    return lives;
}

bool sim_work(struct sim_node *node)
{
    bool more = false;
    for (size_t i = 0; i < SIM_BULKS; i++)
        if (node->bulks[i].used && !feed_bulk(node, &node->bulks[i], &more))
            return false;
    for (size_t i = 0; i < SIM_QUERIES; i++)
        if (node->queries[i].used && !feed_query(node, &node->queries[i], &more))
            return false;
    for (size_t i = 0; i < node->served_high; i++)
        if (node->served[i].used && !feed_reply(node, &node->served[i], &more))
            return false;
    if (!start_operations(node))
        return false;
    return more || (node->ops_left && node->pending.op == SIM_OP_NONE && node->next_op_at <= node->world->now);
}

bool sim_work_is_done(const struct sim_node *node)
{
    return !node->ops_left || node->pending.op != SIM_OP_NONE;
}
