#include "group/rpc/rpc_p2p.h"

#include <string.h>

static_assert(sizeof(struct nx_p2p_header) == 24, "the same at every member");

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void nx_p2p_init(struct nx_p2p *p2p, nx_rank self, uint32_t members_count, nx_vid since,
                 uint8_t *region, const struct nx_region_shape *shape, struct nx_asked *asked)
{
    memset(p2p, 0, sizeof *p2p);
    p2p->self = self;
    p2p->members_count = members_count;
    p2p->asked = asked;
    p2p->opened = nx_stream_first(since);
    uint64_t ring_bytes = shape->p2p_ring_bytes;
    p2p->large_bytes = smaller(ring_bytes / 4, NX_P2P_LARGE_BYTES);
    p2p->fragment_bytes = smaller(ring_bytes / 4, NX_P2P_FRAGMENT_BYTES);
    for (nx_rank r = 0; r < shape->members_max; r++) {
        nx_window_init(&p2p->out[r], region + nx_p2p_out_offset(shape, r), ring_bytes);
        nx_intake_init(&p2p->in[r], region + nx_p2p_in_offset(shape, r), ring_bytes);
    }
    for (uint32_t i = 0; i < NX_QUERIES_MAX; i++)
        p2p->free_slots[i] = (uint16_t)(NX_QUERIES_MAX - 1 - i);
    p2p->free_count = NX_QUERIES_MAX;
}

void nx_p2p_take_seat(struct nx_p2p *p2p, nx_rank seat)
{
    uint64_t ring_bytes = p2p->out[seat].ring_bytes;
    nx_window_init(&p2p->out[seat], p2p->out[seat].ring, ring_bytes);
    nx_intake_init(&p2p->in[seat], p2p->in[seat].ring, ring_bytes);
    p2p->claims[seat] = (struct nx_p2p_claim){0};
    p2p->orphans_at[seat] = 0;
    p2p->unread &= ~NX_RANK_BIT(seat);
    memset(&p2p->asked[(size_t)seat * NX_QUERIES_MAX], 0, NX_QUERIES_MAX * sizeof *p2p->asked);
    if (seat >= p2p->members_count)
        p2p->members_count = seat + 1;
}

static bool is_large(const struct nx_p2p *p2p, const struct nx_p2p_flow *flow)
{
    return flow->total > p2p->large_bytes;
}

/* Whether there is room for a fragment of `len` bytes to come; *most is how many of them it may take. */
static bool find_room(const struct nx_p2p *p2p, nx_rank peer, const struct nx_p2p_flow *flow,
                      size_t len, size_t *most)
{
    const struct nx_window *out = &p2p->out[peer];
    uint64_t spare = is_large(p2p, flow) ? out->ring_bytes / 4 : 0;
    uint64_t room = nx_window_room(out, spare);
    /* Scraps of room are not worth a fragment; an emptying ring always comes to more. */
    size_t least = len < p2p->fragment_bytes / 4 ? len : p2p->fragment_bytes / 4;
    if (room < sizeof(struct nx_p2p_header) + least)
        return false;
    size_t payload = room - sizeof(struct nx_p2p_header);
    *most = payload < p2p->fragment_bytes ? payload : p2p->fragment_bytes;
    return true;
}

/* One fragment, if there is room. False: none. */
static bool put_fragment(struct nx_p2p *p2p, nx_rank peer, uint8_t kind, nx_stream stream,
                         struct nx_p2p_flow *flow, const uint8_t *bytes, size_t len, size_t *took)
{
    struct nx_window *out = &p2p->out[peer];
    size_t most;
    if (!find_room(p2p, peer, flow, len, &most))
        return false;
    size_t take = len < most ? len : most;
    struct nx_p2p_header header = {stream, flow->total, flow->sent};
    struct nx_record record = {.len = (uint32_t)(sizeof header + take),
                               .kind = kind,
                               .flags = flow->system ? NX_REC_SYSTEM : 0};
    uint8_t *payload = nx_window_append(out, &record);
    nx_assert(payload != NULL);
    memcpy(payload, &header, sizeof header);
    if (take)
        memcpy(payload + sizeof header, bytes, take);
    flow->sent += take;
    *took = take;
    return true;
}

/* Whether a large stream may look for room now, or another one waits longer. */
static bool is_its_turn(struct nx_p2p *p2p, nx_rank peer, nx_stream stream,
                        const struct nx_p2p_flow *flow)
{
    const struct nx_p2p_claim *claim = &p2p->claims[peer];
    if (flow->served == p2p->turn && flow->sent > 0)
        return false;
    bool stands = claim->stream != 0 && p2p->turn - claim->turn <= NX_P2P_CLAIM_TURNS;
    return !stands || claim->stream == stream || flow->served < claim->served;
}

static void put_large(struct nx_p2p *p2p, nx_rank peer, uint8_t kind, nx_stream stream,
                      struct nx_p2p_flow *flow, const uint8_t *bytes, size_t len, size_t *taken)
{
    struct nx_p2p_claim *claim = &p2p->claims[peer];
    if (!is_its_turn(p2p, peer, stream, flow)) {
        size_t most;
        /* a full window moves by itself */
        p2p->postponed |= find_room(p2p, peer, flow, len, &most);
        return;
    }
    if (!put_fragment(p2p, peer, kind, stream, flow, bytes, len, taken)) {
        *claim = (struct nx_p2p_claim){stream, flow->served, p2p->turn};
        return;
    }
    flow->served = p2p->turn;
    if (claim->stream == stream)
        claim->stream = 0;
}

static void put_bytes(struct nx_p2p *p2p, nx_rank peer, uint8_t kind, nx_stream stream,
                      struct nx_p2p_flow *flow, const uint8_t *bytes, size_t len, size_t *taken)
{
    *taken = 0;
    if (len == 0)
        return;
    if (is_large(p2p, flow)) {
        put_large(p2p, peer, kind, stream, flow, bytes, len, taken);
        return;
    }
    size_t took = 0;
    for (; *taken < len; *taken += took)
        if (!put_fragment(p2p, peer, kind, stream, flow, bytes + *taken, len - *taken, &took))
            return;
}

static struct nx_query *find_query(struct nx_p2p *p2p, nx_stream stream)
{
    struct nx_query *query = &p2p->queries[nx_stream_slot(stream)];
    return query->state == NX_QUERY_OPEN && query->stream == stream ? query : NULL;
}

enum nx_status nx_p2p_ask(struct nx_p2p *p2p, nx_rank peer, uint64_t total, bool system,
                          void *cookie, nx_stream *stream)
{
    nx_assert(peer < p2p->members_count && peer != p2p->self);
    if (p2p->free_count == 0)
        return NX_AGAIN;
    uint32_t slot = p2p->free_slots[p2p->free_count - 1];
    nx_stream name = nx_stream_make(p2p->self, false, p2p->opened + 1, slot);
    struct nx_p2p_flow flow = {.total = total, .served = p2p->turn, .system = system};
    size_t took;
    if (total == 0 && !put_fragment(p2p, peer, NX_REC_QUERY, name, &flow, NULL, 0, &took))
        return NX_AGAIN;
    p2p->free_count--;
    p2p->opened++;
    p2p->queries[slot] = (struct nx_query){.state = NX_QUERY_OPEN,
                                           .peer = peer,
                                           .stream = name,
                                           .cookie = cookie,
                                           .flow = flow,
                                           .announced = total == 0};
    *stream = name;
    return NX_OK;
}

enum nx_status nx_p2p_ask_more(struct nx_p2p *p2p, nx_stream stream, const void *bytes, size_t len,
                               size_t *taken)
{
    struct nx_query *query = find_query(p2p, stream);
    if (!query)
        return NX_NOT_FOUND;
    if (len > query->flow.total - query->flow.sent)
        return NX_TOO_LARGE;
    put_bytes(p2p, query->peer, NX_REC_QUERY, stream, &query->flow, bytes, len, taken);
    query->announced |= *taken > 0;
    return NX_OK;
}

void nx_p2p_cancel(struct nx_p2p *p2p, nx_stream stream)
{
    struct nx_query *query = &p2p->queries[nx_stream_slot(stream)];
    if (query->stream != stream)
        return;
    if (query->state == NX_QUERY_OPEN) {
        query->state = NX_QUERY_CANCELLED;
        p2p->closing[p2p->closing_count++] = (uint16_t)nx_stream_slot(stream);
    } else if (query->state == NX_QUERY_ENDED) {
        /* It is in the list already, and parts of its reply may still be about to be handed up. */
        query->state = NX_QUERY_CANCELLED;
        query->announced = false;
    }
}

static struct nx_asked *find_asked(struct nx_p2p *p2p, nx_stream stream, nx_rank *asker)
{
    *asker = nx_stream_opener(stream);
    if (*asker >= p2p->members_count || *asker == p2p->self || nx_stream_is_bulk(stream))
        return NULL;
    struct nx_asked *asked = &p2p->asked[(size_t)*asker * NX_QUERIES_MAX + nx_stream_slot(stream)];
    return asked->stream == stream ? asked : NULL;
}

static void finish_reply(struct nx_asked *asked)
{
    asked->answered = asked->stream;
    asked->stream = 0;
    asked->replying = false;
}

enum nx_status nx_p2p_reply(struct nx_p2p *p2p, nx_stream query, uint64_t total)
{
    nx_rank asker;
    struct nx_asked *asked = find_asked(p2p, query, &asker);
    if (!asked)
        return NX_NOT_FOUND;
    if (asked->replying)
        return NX_EXISTS;
    struct nx_p2p_flow flow = {.total = total, .served = p2p->turn, .system = asked->system};
    size_t took;
    if (total == 0 && !put_fragment(p2p, asker, NX_REC_REPLY, query, &flow, NULL, 0, &took))
        return NX_AGAIN;
    asked->flow = flow;
    asked->replying = true;
    if (total == 0)
        finish_reply(asked);
    return NX_OK;
}

enum nx_status nx_p2p_reply_more(struct nx_p2p *p2p, nx_stream query, const void *bytes, size_t len,
                                 size_t *taken)
{
    nx_rank asker;
    struct nx_asked *asked = find_asked(p2p, query, &asker);
    if (!asked || !asked->replying)
        return NX_NOT_FOUND;
    if (len > asked->flow.total - asked->flow.sent)
        return NX_TOO_LARGE;
    put_bytes(p2p, asker, NX_REC_REPLY, query, &asked->flow, bytes, len, taken);
    if (asked->flow.sent == asked->flow.total)
        finish_reply(asked);
    return NX_OK;
}

/* False: the cancel finds no room yet. */
static bool announce_cancel(struct nx_p2p *p2p, const struct nx_query *query)
{
    struct nx_record record = {.len = sizeof query->stream, .kind = NX_REC_CANCEL};
    uint8_t *payload = nx_window_append(&p2p->out[query->peer], &record);
    if (payload)
        memcpy(payload, &query->stream, sizeof query->stream);
    return payload != NULL;
}

bool nx_p2p_begin_turn(struct nx_p2p *p2p)
{
    p2p->turn++;
    uint32_t kept = 0, count = p2p->closing_count;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t slot = p2p->closing[i];
        struct nx_query *query = &p2p->queries[slot];
        if (query->state == NX_QUERY_CANCELLED && query->announced &&
            !announce_cancel(p2p, query)) {
            p2p->closing[kept++] = slot;
            continue;
        }
        query->state = NX_QUERY_FREE;
        p2p->free_slots[p2p->free_count++] = slot;
    }
    p2p->closing_count = kept;
    return kept < count;
}

bool nx_p2p_reply_wanted(const struct nx_p2p *p2p, nx_stream stream)
{
    const struct nx_query *query = &p2p->queries[nx_stream_slot(stream)];
    return query->stream == stream && query->state != NX_QUERY_CANCELLED;
}

bool nx_p2p_query_wanted(const struct nx_p2p *p2p, nx_stream stream)
{
    nx_rank asker = nx_stream_opener(stream);
    nx_assert(asker < p2p->members_count);
    return p2p->asked[(size_t)asker * NX_QUERIES_MAX + nx_stream_slot(stream)].answered != stream;
}
