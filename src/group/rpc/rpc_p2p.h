/* rpc_p2p.h — queries and replies between two members: streams of fragments in one ring per
 * direction.
 *
 *   a query is answered by one reply, both of any size; fragments of many streams interleave
 *   the asker's reply parts and the answerer's query parts come in order, once, without gaps
 *
 * A large stream takes one fragment per turn and leaves a quarter of the ring to small ones; who
 * was served longest ago goes first. So a gigabyte does not block a photo, nor another gigabyte.
 * The asker's slot is the answerer's slot, too (mc_stream.h), so nothing is searched. A reply may
 * end before its query does (a refusal): what still comes of the query is dropped. A cancel follows
 * its query in the ring.
 *
 *   query:  free → open → ended (reply complete, or peer down) → free at the next turn
 *                     ↘ cancelled (its record waits for room) → free
 *
 * Everything read from a ring is checked; a refusal is a sentence that names the offence.
 * Owner   rings lie in the region, `asked` in memory that the caller gives. Thread  group thread
 *         only
 * Source  Derecho's p2p connections have fixed slots sized for the largest message; here a ring of
 *         bytes. */
#ifndef NX_GROUP_RPC_P2P_H
#define NX_GROUP_RPC_P2P_H

#include "group/multicast/mc_stream.h"
#include "group/multicast/mc_window.h"
#include "group/sst/sst_layout.h"

enum {
    NX_QUERIES_MAX = NX_STREAM_SLOTS, /* open at one asker, all peers together */
    /* a stream of more is large, or of more than a quarter of the ring */
    NX_P2P_LARGE_BYTES = 64 << 10,
    /* A fragment's bytes at most, or a quarter of the ring: both ends spend a turn on each, which takes as long
     * as the copying of 64 KiB does (docs/performance.md). */
    NX_P2P_FRAGMENT_BYTES = 256 << 10,
    NX_P2P_CLAIM_TURNS = 16, /* how long a stream that found no room keeps its place in the queue */
};

/* Stands before a fragment's bytes. */
struct nx_p2p_header {
    uint64_t stream, total, offset;
};

/* A stream that we send. */
struct nx_p2p_flow {
    uint64_t total, sent;
    uint64_t served; /* the turn in which it last took room, at first that of its opening */
    bool system;     /* of the group's own layers: its fragments are flagged so */
};

enum nx_query_state { NX_QUERY_FREE, NX_QUERY_OPEN, NX_QUERY_ENDED, NX_QUERY_CANCELLED };

struct nx_query {
    enum nx_query_state state;
    nx_rank peer;
    nx_stream stream;
    void *cookie;
    struct nx_p2p_flow flow;
    bool announced; /* a fragment of it has left */
    bool replying;  /* a reply part has come */
    uint64_t reply_total, reply_received;
};

/* A query that a peer asked us. */
struct nx_asked {
    nx_stream stream;   /* 0: none */
    nx_stream answered; /* the last one in this slot whose reply is complete */
    uint64_t total, received;
    bool replying, system;
    struct nx_p2p_flow flow; /* of our reply */
};

/* The large stream that waits for room in a ring and was served longest ago. */
struct nx_p2p_claim {
    nx_stream stream; /* 0: none */
    uint64_t served, turn;
};

struct nx_p2p {
    nx_rank self;
    uint32_t members_count;
    uint64_t turn, opened;
    /* a write found room, but it is another stream's turn: the next turn may take it */
    bool postponed;
    uint64_t large_bytes, fragment_bytes;
    struct nx_window out[NX_MEMBERS_MAX];
    struct nx_intake in[NX_MEMBERS_MAX];
    struct nx_p2p_claim claims[NX_MEMBERS_MAX];
    nx_rankset unread; /* ranks whose intake may hold records */
    struct nx_query queries[NX_QUERIES_MAX];
    uint16_t free_slots[NX_QUERIES_MAX], closing[NX_QUERIES_MAX];
    uint32_t free_count, closing_count;
    struct nx_asked *asked;              /* members_max × NX_QUERIES_MAX */
    uint32_t orphans_at[NX_MEMBERS_MAX]; /* how far nx_p2p_orphan has looked */
};

/* `since`: the view in which we came; our streams' names begin there, so that none of a former owner of our rank comes
 * back. */
void nx_p2p_init(struct nx_p2p *p2p, nx_rank self, uint32_t members_count, nx_vid since,
                 uint8_t *region, const struct nx_region_shape *shape, struct nx_asked *asked);

/* A rank has a new owner, the former one's streams are closed: both directions begin. */
void nx_p2p_take_seat(struct nx_p2p *p2p, nx_rank seat);

/* --- sending; the caller checked that the peer is a live member other than ourselves --- */

/* NX_AGAIN: NX_QUERIES_MAX are open, or an empty query finds no room. A `system` query is one of the
 * group's own layers; its reply is flagged so, too. */
enum nx_status nx_p2p_ask(struct nx_p2p *p2p, nx_rank peer, uint64_t total, bool system,
                          void *cookie, nx_stream *stream);
/* Takes what fits. NX_NOT_FOUND: not open; NX_TOO_LARGE: beyond its total. */
enum nx_status nx_p2p_ask_more(struct nx_p2p *p2p, nx_stream stream, const void *bytes, size_t len,
                               size_t *taken);
void nx_p2p_cancel(struct nx_p2p *p2p, nx_stream stream);

/* NX_NOT_FOUND: no such query is open; NX_EXISTS: it is being answered; NX_AGAIN: an empty reply
 * finds no room. */
enum nx_status nx_p2p_reply(struct nx_p2p *p2p, nx_stream query, uint64_t total);
enum nx_status nx_p2p_reply_more(struct nx_p2p *p2p, nx_stream query, const void *bytes, size_t len,
                                 size_t *taken);

/* A turn begins: slots of ended queries are free again, cancels leave. True if something moved. */
bool nx_p2p_begin_turn(struct nx_p2p *p2p);

/* False for a reply part of a query that was cancelled, or a query part of one that was answered,
 * since it was taken from nx_p2p_next in this turn. */
bool nx_p2p_reply_wanted(const struct nx_p2p *p2p, nx_stream stream);
bool nx_p2p_query_wanted(const struct nx_p2p *p2p, nx_stream stream);

/* --- receiving (rpc_receive.c) --- */

/* The peer's guard says that its ring is readable up to `sent`; its counter, that it consumed ours
 * up to `consumed`. NULL, or why it is not believed. */
const char *nx_p2p_receive(struct nx_p2p *p2p, nx_rank peer, uint64_t sent);
const char *nx_p2p_free(struct nx_p2p *p2p, nx_rank peer, uint64_t consumed);

enum nx_p2p_got {
    NX_P2P_NONE,
    NX_P2P_QUERY_PART,
    NX_P2P_REPLY_PART, /* *cookie is set, too */
    NX_P2P_QUERY_GONE, /* part->stream, part->system */
    NX_P2P_CORRUPT,    /* *why says what the peer did */
};
enum nx_p2p_got nx_p2p_next(struct nx_p2p *p2p, nx_rank peer, struct nx_part *part, void **cookie,
                            const char **why);

/* The peer is down: the next of our queries to it (NX_P2P_REPLY_PART: it failed) or of its queries
 * to us (NX_P2P_QUERY_GONE); NX_P2P_NONE when all are closed. Sets part->stream and part->system. */
enum nx_p2p_got nx_p2p_orphan(struct nx_p2p *p2p, nx_rank peer, struct nx_part *part,
                              void **cookie);

#endif
