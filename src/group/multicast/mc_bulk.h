/* mc_bulk.h — messages of any size, streamed to every other member of the shard through a bounded
 * window.
 *
 *   consumed(r) <= sent,   freed = min over the live peers of consumed,   sent − freed <= ring
 *
 * A bulk message goes out as blocks; receivers take each block as it comes. When every peer has
 * consumed the last one, the sender appends a commit (the stream and the head) to the ordered
 * multicast: its delivery is the delivery of the bulk message, so the promises D1–D5 of small
 * messages hold for it without more. Several may interleave. An abort, or the sender's death, ends
 * it at the receivers before any delivery.
 *
 *   own:   free → taking → draining → committed → free
 *             ↖ aborting ← taking, draining
 *             ↖ lost ← any but free: a cut
 *
 * A member that comes to the shard has nothing of what is under way, so the view in which one comes *cuts*: all
 * streams that are not delivered end, at both ends, and each ring begins at a base that its sender names.
 *
 * A slot stays committed until every member has delivered the commit, since it is the slot of the
 * receivers' tables, too.
 *
 * Who writes a sender's bytes to whom is its plan (mc_tree.h): a view begins with sequential; a plan record in the ring
 * itself, at the same position for everybody, says what holds for the bytes behind it. So each byte reaches a member by
 * one way, and nothing late can land on what came after it:
 *
 *   a member that passes bytes on does so for those that it has taken, up to the plan record under the old plan; only
 *   then does it read past the record
 *   a view's end ends all plans: nothing is passed on by who is wedged, and the sender itself writes to each member of the
 *   next view from where that member's reading ended (core_relay.c)
 *
 * Owner   the rings lie in the region; heads are kept in memory that the caller gives. Thread
 *         group thread only
 * Source  Behrens et al., RDMC, DSN 2018. Departure: what is passed on are bytes of the sender's window, which it keeps
 *         until everybody has taken them, so a relay's death costs nothing but a view change. */
#ifndef NX_GROUP_MC_BULK_H
#define NX_GROUP_MC_BULK_H

#include "group/multicast/mc_shard.h"
#include "group/multicast/mc_stream.h"
#include "group/multicast/mc_tree.h"

enum {
    NX_BULKS_MAX = 16,              /* open at one sender */
    NX_BULK_BLOCK_BYTES = 256 << 10 /* a block's payload at most, or a quarter of the ring */
};

/* Stands before a block's bytes. */
struct nx_bulk_header {
    uint64_t stream, total, offset;
    uint32_t head_bytes; /* of the head, before the first block's bytes, padded to 8; else 0 */
    uint32_t zero;
};

enum nx_bulk_state {
    NX_BULK_FREE,
    NX_BULK_TAKING,
    NX_BULK_DRAINING,
    NX_BULK_COMMITTED,
    NX_BULK_ABORTING,
    NX_BULK_LOST, /* a view that a member comes in ended it; its owner is still to be told */
};

struct nx_bulk_own {
    enum nx_bulk_state state;
    nx_stream stream;
    uint64_t total, taken;
    uint64_t end; /* draining: all bytes have arrived when everybody consumed up to here;
                     committed: the place behind the commit in the order */
    uint32_t head_len;
    enum nx_schedule schedule; /* that its size asks for */
};

/* NX_COL_BULK_BASE: since the cut at the start of view `vid` the sender's ring begins at `base`. */
enum { NX_BULK_BASE_BITS = 40 };
static inline uint64_t nx_bulk_base_word(nx_vid vid, uint64_t base)
{
    return vid << NX_BULK_BASE_BITS | base / 8;
}

struct nx_bulk_theirs {
    nx_stream stream; /* 0: none */
    uint64_t total, received;
};

struct nx_bulk {
    struct nx_mc *mc; /* the shard it belongs to */
    uint8_t *heads;   /* NX_BULKS_MAX × mc->send_max */
    uint64_t opened;
    uint64_t busy; /* bit i: own[i] is not free */
    uint64_t block_bytes;
    /* an epoch begins: a member may still have to deliver commits of the last one */
    bool keeps_slots;
    struct nx_window out;
    bool cut;       /* this view began with one: what is sent goes only to those who are in it */
    nx_vid cut_vid; /* the last view that did */
    uint64_t base;  /* of our ring since then */
    nx_rankset awaited; /* peers whose base is not known yet: nothing of their rings is read */
    struct nx_intake in[NX_MEMBERS_MAX]; /* per rank */
    nx_rankset unread;                   /* ranks whose intake may hold records */
    nx_vid epoch;
    struct nx_schedule_limits limits;
    /* Per sender, ours too: the plan of the bytes that are read, or appended, now; and the next one, while the plan
     * record is behind us but not with everybody whom the old plan makes us pass it on to. */
    enum nx_schedule plans[NX_MEMBERS_MAX], next[NX_MEMBERS_MAX];
    nx_rankset turning; /* senders between two plans */
    struct nx_bulk_own own[NX_BULKS_MAX];
    struct nx_bulk_theirs theirs[NX_MEMBERS_MAX][NX_BULKS_MAX]; /* per rank */
};

/* `since`: as for nx_p2p_init. */
void nx_bulk_init(struct nx_bulk *bulk, struct nx_mc *mc, nx_rank self, nx_vid since,
                  uint8_t *region, const struct nx_region_shape *shape, uint8_t *heads);

/* --- a view in which somebody comes to the shard --- */

/* Before the new epoch, at a member that goes on: our streams that are not delivered are lost. */
void nx_bulk_cut(struct nx_bulk *bulk);
/* After it: nothing is read of the peers until their bases are known; `fresh` of them are new here. */
void nx_bulk_await_bases(struct nx_bulk *bulk, nx_vid vid, uint8_t *region,
                         const struct nx_region_shape *shape, nx_rankset fresh);
/* If peer's word is of the cut that we await: its ring begins there, and is readable up to `sent` if that is beyond it.
 * Its old streams are closed. NULL, or why the peer is not believed. */
const char *nx_bulk_take_base(struct nx_bulk *bulk, nx_rank peer, uint64_t word, uint64_t sent);
/* One of our lost streams, freed; 0: none is left. */
nx_stream nx_bulk_next_lost(struct nx_bulk *bulk);

/* --- plans --- */

/* At the beginning of this member: the view it begins in, and from which sizes on messages are passed on. */
void nx_bulk_plan(struct nx_bulk *bulk, nx_vid epoch, const struct nx_schedule_limits *limits);

/* Whom this member writes sender's bytes to, and who writes them to it. */
nx_rankset nx_bulk_children(const struct nx_bulk *bulk, nx_rank sender);
nx_rank nx_bulk_parent(const struct nx_bulk *bulk, nx_rank sender);

/* All that stands before sender's plan record is with our children: the next plan holds. */
void nx_bulk_turn(struct nx_bulk *bulk, nx_rank sender);

/* --- the sender's side; the caller checked that the shard may send --- */

/* total > 0, head_len <= send_max. NX_AGAIN: NX_BULKS_MAX are open. */
enum nx_status nx_bulk_start(struct nx_bulk *bulk, uint64_t total, const void *head,
                             size_t head_len, nx_stream *stream);
/* Takes what fits. NX_NOT_FOUND: not open (any more); NX_TOO_LARGE: beyond its total. */
enum nx_status nx_bulk_put(struct nx_bulk *bulk, nx_stream stream, const void *bytes, size_t len,
                           size_t *taken);
void nx_bulk_give_up(struct nx_bulk *bulk, nx_stream stream);

/* Some of our messages have been handed over whole, or given up, and are neither in the order nor announced yet. */
bool nx_bulk_owes(const struct nx_bulk *bulk);

/* The live peers have consumed `consumed` bytes, and the shard's members have delivered `delivered`
 * places: frees the bytes, commits what has arrived everywhere, frees the slots of delivered ones,
 * and announces aborts that waited for room. True if something moved. */
bool nx_bulk_settle(struct nx_bulk *bulk, uint64_t consumed, uint64_t delivered);

/* --- the receiver's side --- */

/* Peer's ring is readable up to `sent`. NULL, or why the peer is not believed. */
const char *nx_bulk_receive(struct nx_bulk *bulk, nx_rank peer, uint64_t sent);

enum nx_bulk_got { NX_BULK_NONE, NX_BULK_PART, NX_BULK_ABORTED, NX_BULK_CORRUPT };

/* The next block or abort of `peer`. part->peer and part->stream are set for PART and ABORTED. */
enum nx_bulk_got nx_bulk_next(struct nx_bulk *bulk, nx_rank peer, struct nx_part *part,
                              const uint8_t **head, size_t *head_len, const char **why);

/* A commit of `peer` is to be delivered: closes the stream. False if not all of its bytes have
 * come. */
bool nx_bulk_commit(struct nx_bulk *bulk, nx_rank peer, nx_stream stream);

/* Peer is gone: closes one of its open streams, and returns it; 0 when none is left. A stream whose bytes have all come
 * may be committed below the trim: it is closed only when the peer is out of the view. */
nx_stream nx_bulk_orphan(struct nx_bulk *bulk, nx_rank peer, bool out);

/* A new epoch of the shard has begun and our undelivered messages are appended again: finds the commits' new places.
 * Slots of those that were delivered are kept until the caller says that all members are in the new epoch
 * (keeps_slots). Plans are sequential again, and of what is readable only what was read counts. */
void nx_bulk_begin_epoch(struct nx_bulk *bulk, nx_vid epoch);

#endif
