#include "group/rpc/rpc_p2p.h"

#include <string.h>

const char *nx_p2p_receive(struct nx_p2p *p2p, nx_rank peer, uint64_t sent)
{
    if (!nx_intake_extend(&p2p->in[peer], sent))
        return "it claims more point-to-point bytes than its window holds";
    p2p->unread |= NX_RANK_BIT(peer);
    return NULL;
}

const char *nx_p2p_free(struct nx_p2p *p2p, nx_rank peer, uint64_t consumed)
{
    struct nx_window *out = &p2p->out[peer];
    if (consumed < out->freed || consumed > out->head)
        return "it says it consumed more point-to-point bytes than we sent";
    out->freed = consumed;
    return NULL;
}

static bool fragment_fits(const struct nx_p2p_header *header, uint64_t len)
{
    return header->offset <= header->total && len <= header->total - header->offset &&
           (len > 0 || header->total == 0);
}

/* A query's fragment. *drop: what still comes of one that is answered. */
static const char *take_query(struct nx_p2p *p2p, nx_rank peer, const struct nx_p2p_header *header,
                              const struct nx_part *part, bool *drop)
{
    if (nx_stream_opener(header->stream) != peer || nx_stream_is_bulk(header->stream))
        return "its query names a stream that is not its own";
    struct nx_asked *asked =
        &p2p->asked[(size_t)peer * NX_QUERIES_MAX + nx_stream_slot(header->stream)];
    *drop = asked->answered == header->stream;
    if (*drop)
        return NULL;
    if (header->offset == 0 && asked->stream == 0) {
        asked->stream = header->stream;
        asked->total = header->total;
        asked->received = 0;
        asked->system = part->system;
    } else if (asked->stream != header->stream || asked->total != header->total ||
               asked->received != header->offset || asked->system != part->system) {
        return "its query does not go on where it ended";
    }
    asked->received += part->len;
    return NULL;
}

/* A reply's fragment. *drop: its query is cancelled. */
static const char *take_reply(struct nx_p2p *p2p, nx_rank peer, const struct nx_p2p_header *header,
                              const struct nx_part *part, bool *drop, void **cookie)
{
    if (nx_stream_opener(header->stream) != p2p->self || nx_stream_is_bulk(header->stream))
        return "its reply names a stream that is not ours";
    uint16_t slot = (uint16_t)nx_stream_slot(header->stream);
    struct nx_query *query = &p2p->queries[slot];
    *drop = query->stream != header->stream || query->state != NX_QUERY_OPEN;
    if (*drop)
        return NULL;
    if (query->peer != peer)
        return "its reply answers a query to another member";
    if (!query->announced)
        return "its reply answers a query that has not left";
    if (!query->replying) {
        query->replying = true;
        query->reply_total = header->total;
    }
    if (query->reply_total != header->total || query->reply_received != header->offset ||
        query->flow.system != part->system)
        return "its reply does not go on where it ended";
    query->reply_received += part->len;
    *cookie = query->cookie;
    if (query->reply_received == query->reply_total) {
        query->state = NX_QUERY_ENDED;
        p2p->closing[p2p->closing_count++] = slot;
    }
    return NULL;
}

/* *drop: the query was answered before its cancel came. */
static const char *take_cancel(struct nx_p2p *p2p, nx_rank peer, const uint8_t *payload,
                               uint32_t len, struct nx_part *part, bool *drop)
{
    if (len != sizeof part->stream)
        return "its cancel has an impossible length";
    nx_stream stream = nx_remote_load(payload);
    if (nx_stream_opener(stream) != peer || nx_stream_is_bulk(stream))
        return "its cancel names a stream that is not its own";
    struct nx_asked *asked = &p2p->asked[(size_t)peer * NX_QUERIES_MAX + nx_stream_slot(stream)];
    *drop = asked->answered == stream;
    if (*drop)
        return NULL;
    if (asked->stream != stream)
        return "its cancel names a query that is not open";
    *part = (struct nx_part){.peer = peer, .stream = stream, .system = asked->system};
    asked->stream = 0;
    asked->replying = false;
    return NULL;
}

static const char *take_fragment(struct nx_p2p *p2p, nx_rank peer, const struct nx_record *record,
                                 const uint8_t *payload, struct nx_part *part, void **cookie,
                                 bool *drop)
{
    struct nx_p2p_header header;
    if (record->flags & ~NX_REC_SYSTEM)
        return "its point-to-point fragment has a foreign flag";
    if (record->len < sizeof header || record->len - sizeof header > p2p->fragment_bytes)
        return "its point-to-point fragment has an impossible length";
    nx_remote_copy(&header, payload, sizeof header);
    uint64_t len = record->len - sizeof header;
    if (!fragment_fits(&header, len))
        return "its point-to-point fragment lies outside its stream";
    *part = (struct nx_part){.peer = peer,
                             .stream = header.stream,
                             .total = header.total,
                             .offset = header.offset,
                             .bytes = payload + sizeof header,
                             .len = len,
                             .system = (record->flags & NX_REC_SYSTEM) != 0};
    return record->kind == NX_REC_QUERY ? take_query(p2p, peer, &header, part, drop)
                                        : take_reply(p2p, peer, &header, part, drop, cookie);
}

static enum nx_p2p_got take_record(struct nx_p2p *p2p, nx_rank peer, const struct nx_record *record,
                                   const uint8_t *payload, struct nx_part *part, void **cookie,
                                   const char **why)
{
    bool drop = false;
    enum nx_p2p_got got = NX_P2P_CORRUPT;
    switch (record->kind) {
    case NX_REC_QUERY:
    case NX_REC_REPLY:
        *why = take_fragment(p2p, peer, record, payload, part, cookie, &drop);
        got = record->kind == NX_REC_QUERY ? NX_P2P_QUERY_PART : NX_P2P_REPLY_PART;
        break;
    case NX_REC_CANCEL:
        *why = take_cancel(p2p, peer, payload, record->len, part, &drop);
        got = NX_P2P_QUERY_GONE;
        break;
    default: *why = "its point-to-point ring holds a record of a foreign kind";
    }
    if (*why)
        return NX_P2P_CORRUPT;
    return drop ? NX_P2P_NONE : got;
}

enum nx_p2p_got nx_p2p_next(struct nx_p2p *p2p, nx_rank peer, struct nx_part *part, void **cookie,
                            const char **why)
{
    for (;;) {
        struct nx_record record;
        const uint8_t *payload;
        switch (nx_intake_next(&p2p->in[peer], &record, &payload)) {
        case NX_INTAKE_EMPTY: p2p->unread &= ~NX_RANK_BIT(peer); return NX_P2P_NONE;
        case NX_INTAKE_CORRUPT:
            *why = "its point-to-point ring holds a malformed record";
            return NX_P2P_CORRUPT;
        case NX_INTAKE_RECORD: break;
        }
        enum nx_p2p_got got = take_record(p2p, peer, &record, payload, part, cookie, why);
        if (got != NX_P2P_NONE)
            return got;
    }
}

static bool orphan_query(struct nx_p2p *p2p, nx_rank peer, uint16_t slot)
{
    struct nx_query *query = &p2p->queries[slot];
    if (query->peer != peer)
        return false;
    if (query->state == NX_QUERY_CANCELLED)
        query->announced = false; /* nobody is left to tell */
    if (query->state != NX_QUERY_OPEN)
        return false;
    query->state = NX_QUERY_ENDED;
    p2p->closing[p2p->closing_count++] = slot;
    return true;
}

enum nx_p2p_got nx_p2p_orphan(struct nx_p2p *p2p, nx_rank peer, struct nx_part *part, void **cookie)
{
    uint32_t *at = &p2p->orphans_at[peer];
    while (*at < NX_QUERIES_MAX) {
        uint16_t slot = (uint16_t)(*at)++;
        struct nx_query *query = &p2p->queries[slot];
        if (orphan_query(p2p, peer, slot)) {
            part->stream = query->stream;
            part->system = query->flow.system;
            *cookie = query->cookie;
            return NX_P2P_REPLY_PART;
        }
    }
    while (*at < 2 * NX_QUERIES_MAX) {
        struct nx_asked *asked =
            &p2p->asked[(size_t)peer * NX_QUERIES_MAX + (*at)++ - NX_QUERIES_MAX];
        if (asked->stream) {
            part->stream = asked->stream;
            part->system = asked->system;
            asked->stream = 0;
            asked->replying = false;
            return NX_P2P_QUERY_GONE;
        }
    }
    return NX_P2P_NONE;
}
