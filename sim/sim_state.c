/* The state of a shard, as tiers keep it and as the transfer moves it: the hash of all that was delivered, followed by bytes
 * that can be foretold from it, so that some states are large and a byte out of its place is seen. */
#include "sim_keep.h"

#include "common/nx_assert.h"
#include "group/core/mutants.h"

#include <string.h>

/* --- what a tier hands over ----------------------------------------------------------------------- */

uint64_t sim_state_bytes(const struct sim_state *state)
{
    uint64_t h = state->hash;
    return sizeof *state + ((h >> 8 & 7) ? h % 500 : h % 100000);
}

uint8_t sim_state_byte(const struct sim_state *state, uint64_t offset)
{
    uint8_t own[sizeof *state];
    memcpy(own, state, sizeof own);
    if (offset < sizeof own)
        return own[offset];
    return (uint8_t)((state->hash >> offset % 57) + offset);
}

static void *cut(void *ctx, uint32_t subgroup, uint64_t *bytes)
{
    struct sim_node *node = ctx;
    bool early = (node->world->config->core.mutants & NX_MUTANT_SNAPSHOT_BEFORE_TRIM) != 0;
    nx_assert(subgroup == node->subgroup);
    node->snapshot = early ? node->at_wedge : node->state;
    *bytes = sim_state_bytes(&node->snapshot);
    return &node->snapshot;
}

/* Some pieces are short, and some are not there yet. */
static size_t read_cut(void *ctx, void *snapshot, uint64_t offset, void *buf, size_t cap)
{
    struct sim_node *node = ctx;
    uint8_t *to = buf;
    size_t len = nx_prng_chance(&node->prng, 1, 4) ? nx_prng_below(&node->prng, cap) : cap;
    for (size_t i = 0; i < len; i++)
        to[i] = sim_state_byte(snapshot, offset + i);
    node->due = node->due || len == 0; /* it is asked again */
    return len;
}

enum nx_status sim_state_take(struct sim_state *state, uint64_t offset, const void *bytes,
                              size_t len, struct nx_err *err)
{
    const uint8_t *from = bytes;
    uint8_t own[sizeof *state];
    if (offset == 0)
        memset(state, 0, sizeof *state);
    memcpy(own, state, sizeof own);
    for (size_t i = 0; i < len; i++)
        if (offset + i < sizeof own)
            own[offset + i] = from[i];
    memcpy(state, own, sizeof own);
    for (size_t i = 0; i < len; i++)
        if (offset + i >= sizeof own && from[i] != sim_state_byte(state, offset + i))
            return nx_err_set(err, NX_CORRUPT, "byte %llu of the state is another's",
                              (unsigned long long)(offset + i));
    return NX_OK;
}

static enum nx_status take_part(void *ctx, uint32_t subgroup, uint64_t total, uint64_t offset,
                                const void *bytes, size_t len, struct nx_err *err)
{
    struct sim_node *node = ctx;
    nx_assert(subgroup == node->subgroup && total >= sizeof node->came);
    NX_TRY(sim_state_take(&node->came, offset, bytes, len, err));
    if (offset + len < total)
        return NX_OK;
    struct sim_world *world = node->world;
    if (nx_prng_chance(&node->prng, 1, 2)) {
        sim_keep_ready(node);
        return NX_OK;
    }
    nx_ns at = world->now + nx_prng_between(&node->prng, 1000, world->config->load_ns);
    sim_events_add(&world->events, at, SIM_EVENT_STATE, false, node->rank,
                   (uint32_t)nx_core_view(node->core)->vid, 0);
    return NX_OK;
}

void sim_state_loaded(struct sim_node *node, nx_vid vid)
{
    if (node->life == SIM_DEAD || nx_core_view(node->core)->vid != vid || !node->lacks)
        return;
    sim_keep_ready(node);
    sim_node_wake(node, false);
}

/* --- what the transfer asks of the core ----------------------------------------------------------- */

static enum nx_status query_open(void *ctx, nx_rank peer, uint64_t total, nx_stream *query)
{
    struct sim_node *node = ctx;
    struct nx_event event = {
        .type = NX_EV_QUERY_OPEN, .peer = peer, .total = total, .system = true};
    NX_TRY(sim_node_request(node, event));
    *query = node->answer.stream;
    return NX_OK;
}

static enum nx_status write_stream(struct sim_node *node, enum nx_event_type type, nx_stream stream,
                                   const void *bytes, size_t len, size_t *taken)
{
    struct nx_event event = {.type = type, .stream = stream, .bytes = bytes, .len = len};
    NX_TRY(sim_node_request(node, event));
    *taken = node->answer.taken;
    return NX_OK;
}

static enum nx_status query_write(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken)
{
    return write_stream(ctx, NX_EV_QUERY_WRITE, query, bytes, len, taken);
}

static void query_cancel(void *ctx, nx_stream query)
{
    sim_node_request(ctx, (struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query});
}

static enum nx_status reply_open(void *ctx, nx_stream query, uint64_t total)
{
    return sim_node_request(
        ctx, (struct nx_event){.type = NX_EV_REPLY_OPEN, .stream = query, .total = total});
}

static enum nx_status reply_write(void *ctx, nx_stream query, const void *bytes, size_t len,
                                  size_t *taken)
{
    return write_stream(ctx, NX_EV_REPLY_WRITE, query, bytes, len, taken);
}

/* A view that is ending refuses: the state of the next one will come. */
static void has_state(void *ctx)
{
    struct sim_node *node = ctx;
    if (sim_node_request(node, (struct nx_event){.type = NX_EV_STATE}) != NX_OK)
        return;
    node->lacks = false;
    node->state = node->came;
    sim_keep_cut(node, true);
    sim_note(node->world, node->rank, SIM_STATE,
             (struct sim_record){.id = nx_core_view(node->core)->vid, .hash = node->state.hash});
}

/* Nothing that the simulator does to a member is a reason: T1 sees it, as a state that never comes. */
static void failed(void *ctx, const struct nx_err *why)
{
    (void)ctx, (void)why;
}

struct nx_transfer *sim_state_open(struct sim_node *node)
{
    struct nx_transfer_host host = {.ctx = node,
                                    .query_open = query_open,
                                    .query_write = query_write,
                                    .query_cancel = query_cancel,
                                    .reply_open = reply_open,
                                    .reply_write = reply_write,
                                    .has_state = has_state,
                                    .failed = failed,
                                    .snapshot = cut,
                                    .read = read_cut,
                                    .part = take_part};
    return nx_transfer_open(&host, node->world->config->core.members_max);
}

/* The moment at which a leave may take the state along. */
static void perhaps_part(struct sim_node *node)
{
    struct sim_world *world = node->world;
    const struct sim_config *config = world->config;
    if (world->partings >= config->partings_max || !nx_prng_chance(&world->prng, 1, 3))
        return;
    world->partings++;
    nx_ns at = world->now + nx_prng_between(&world->prng, 0, config->load_ns);
    sim_events_add(&world->events, at, SIM_EVENT_PARTING, false, node->rank, 0, 0);
}

void sim_state_begin_view(struct sim_node *node)
{
    const struct nx_view *view = nx_core_view(node->core);
    bool lacked = node->lacks;
    node->lacks = (view->stateless & NX_RANK_BIT(node->seat)) != 0;
    if (lacked && !node->lacks)
        node->state = (struct sim_state){.hash = SIM_HASH_EMPTY}; /* nobody has another */
    if (!node->serves)
        return;
    const struct nx_shard *shard = &nx_core_layout(node->core)->shards[node->subgroup][node->shard];
    nx_transfer_view(node->transfer, &(struct nx_transfer_view){.vid = view->vid,
                                                                .self = node->seat,
                                                                .donor = shard->donor,
                                                                .subgroup = node->subgroup,
                                                                .stateless = shard->stateless});
    if (shard->stateless)
        perhaps_part(node);
}

bool sim_state_poll(struct sim_node *node)
{
    nx_transfer_lacking(node->transfer, ~nx_core_with_state(node->core));
    return nx_transfer_poll(node->transfer);
}

/* True if it was the transfer's. */
bool sim_state_upcall(struct sim_node *node, const struct nx_upcall *upcall)
{
    bool is_query = upcall->type == NX_UP_QUERY_PART || upcall->type == NX_UP_QUERY_GONE ||
                    upcall->type == NX_UP_REPLY_PART || upcall->type == NX_UP_QUERY_FAILED;
    if (!is_query || !upcall->part.system)
        return false;
    if (upcall->type == NX_UP_QUERY_PART)
        nx_transfer_query_part(node->transfer, &upcall->part);
    else if (upcall->type == NX_UP_QUERY_GONE)
        nx_transfer_query_gone(node->transfer, upcall->part.stream);
    else if (upcall->type == NX_UP_REPLY_PART)
        nx_transfer_reply_part(node->transfer, &upcall->part);
    else
        nx_transfer_query_failed(node->transfer, upcall->part.stream, upcall->status);
    return true;
}
