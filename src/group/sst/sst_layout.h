/* sst_layout.h — where everything lies in a node's region. The same at every member, from the
 * configuration alone.
 *
 *   rows in     members_max × row     row[s]: what member s tells us; written by s alone
 *   rows out    members_max × row     row[d]: what we tell member d; source of our writes to it
 *   multicast   members_max × ring    ring[s]: ordered messages of s; ring[self] is a source, too
 *   bulk        members_max × ring    ring[s]: bulk blocks of sender s; same
 *   p2p in      members_max × ring    ring[s]: written by s
 *   p2p out     members_max × ring    ring[d]: the source of our writes into p2p in of d
 *   relay in    members_max² words    word[w][s]: bytes of sender s that member w has passed on to us; written by w
 *   relay out   members_max² words    word[d][s]: the same of ours, for member d
 *
 * A member that passes on bulk bytes of another sender writes them into that sender's bulk ring, at the same offsets.
 *
 * A row is 24 guarded words in three blocks of 128 bytes, each pushed as one inline write at most:
 *
 *   hot    counters that move with the traffic       slow   states that move a few times in a view
 *   steady what moves by itself, or hardly ever
 *
 * Rows are kept per destination, since half of the hot words concern one peer only (what we sent
 * it, what we consumed of its): so everything we have to tell a peer leaves as one write, after the
 * payload that it guards. Untouched pages cost nothing: resident memory follows the members that
 * exist.
 *
 * Source  Derecho's SST. Departure: pairwise columns stand in the row of the pair, not in arrays
 *         pushed to all. */
#ifndef NX_GROUP_SST_LAYOUT_H
#define NX_GROUP_SST_LAYOUT_H

#include "common/nx_assert.h"
#include "group/sst/sst_guard.h"
#include "group/view/view.h"

#include <stddef.h>

/* How a column may change; anything else from a peer is nonsense, and the peer is treated as
 * failed. */
enum nx_column_law {
    NX_LAW_GROWS, /* a counter: never below what was seen */
    NX_LAW_FREE,  /* any value */
};

/* How long a column's word counts: PAIR while both stay members, EPOCH in one view alone. */
enum nx_column_life { NX_LIFE_PAIR, NX_LIFE_EPOCH };

/* X(column, law, life). Hot words first; the order is the layout. */
#define NX_COLUMN_LIST(X)                                                                         \
    X(NX_COL_MC_RECEIVED, NX_LAW_GROWS, NX_LIFE_EPOCH)  /* places held of the order, no gap */    \
    X(NX_COL_MC_DELIVERED, NX_LAW_GROWS, NX_LIFE_EPOCH) /* places handed up of the order */       \
    X(NX_COL_MC_SENT, NX_LAW_GROWS, NX_LIFE_EPOCH)      /* bytes in our multicast ring: guard */  \
    X(NX_COL_BULK_SENT, NX_LAW_GROWS, NX_LIFE_EPOCH)    /* bytes in our bulk ring: guard */       \
    X(NX_COL_BULK_CONSUMED, NX_LAW_GROWS, NX_LIFE_PAIR) /* bytes handed up of your bulk ring */   \
    X(NX_COL_P2P_SENT, NX_LAW_GROWS, NX_LIFE_PAIR)      /* bytes written to you: guard */         \
    X(NX_COL_P2P_CONSUMED, NX_LAW_GROWS, NX_LIFE_PAIR)  /* bytes handed up of yours */            \
    X(NX_COL_SLEEP, NX_LAW_GROWS, NX_LIFE_PAIR)         /* odd: asleep, ring to wake */           \
    X(NX_COL_STANCE, NX_LAW_FREE, NX_LIFE_EPOCH)        /* struct nx_stance, one word */          \
    X(NX_COL_WEDGED, NX_LAW_GROWS, NX_LIFE_EPOCH)       /* nx_wedged_word: what it holds */       \
    X(NX_COL_LEAVING, NX_LAW_GROWS, NX_LIFE_PAIR)       /* 1: we leave; no failure follows */     \
    X(NX_COL_COMMITTED, NX_LAW_GROWS, NX_LIFE_PAIR)     /* struct nx_decision, one word */        \
    X(NX_COL_INSTALLED, NX_LAW_GROWS, NX_LIFE_PAIR)     /* the vid we are in, or the farewell */  \
    X(NX_COL_LOAD_LOW, NX_LAW_FREE, NX_LIFE_PAIR)       /* load words 0 and 1, first one lower */ \
    X(NX_COL_LOAD_HIGH, NX_LAW_FREE, NX_LIFE_PAIR)      /* load words 2 and 3 */                  \
    X(NX_COL_LINKS, NX_LAW_FREE, NX_LIFE_PAIR)          /* struct nx_links, one word */           \
    X(NX_COL_HEARTBEAT, NX_LAW_GROWS, NX_LIFE_PAIR)     /* beats of our heart */                  \
    X(NX_COL_HAS_STATE, NX_LAW_GROWS, NX_LIFE_EPOCH)    /* 1: it lacked its state, and has it */  \
    X(NX_COL_BULK_BASE, NX_LAW_GROWS, NX_LIFE_PAIR)     /* nx_bulk_base_word: our ring begins */  \
    X(NX_COL_MC_PERSISTED, NX_LAW_GROWS, NX_LIFE_EPOCH) /* core_durable.c: what is on our disk */ \
    X(NX_COL_REBORN, NX_LAW_GROWS, NX_LIFE_EPOCH)       /* ranks whose nodes ask to join: dead */ \
    X(NX_COL_PARTING, NX_LAW_GROWS, NX_LIFE_EPOCH)      /* ranks that are known to want to leave */

enum nx_column {
#define NX_COLUMN_ENUM(column, law, life) column,
    NX_COLUMN_LIST(NX_COLUMN_ENUM)
#undef NX_COLUMN_ENUM
        NX_COLUMNS_COUNT
};

/* What a column's words are sealed for in view `epoch`, between two of which the younger came in view `pair`. */
static inline uint64_t nx_column_tag(unsigned column, nx_vid epoch, nx_vid pair)
{
    static const uint8_t lives[] = {
#define NX_COLUMN_LIFE(column, law, life) life,
        NX_COLUMN_LIST(NX_COLUMN_LIFE)
#undef NX_COLUMN_LIFE
    };
    return lives[column] == NX_LIFE_EPOCH ? epoch : pair;
}

/* In NX_COL_INSTALLED: the reader is out. */
#define NX_FAREWELL UINT64_MAX

enum { NX_ROW_WORDS = 24, NX_BLOCK_WORDS = 8, NX_ROW_BYTES = 384 };

enum nx_row_block { NX_BLOCK_HOT, NX_BLOCK_SLOW, NX_BLOCK_STEADY, NX_BLOCKS_COUNT };

static_assert((int)NX_COLUMNS_COUNT <= (int)NX_ROW_WORDS, "a row holds every column");
static_assert(NX_ROW_WORDS * sizeof(struct nx_guarded) == NX_ROW_BYTES, "rows have no holes");
static_assert((int)NX_BLOCKS_COUNT * (int)NX_BLOCK_WORDS == (int)NX_ROW_WORDS, "blocks fill a row");
static_assert((int)NX_COL_SLEEP == (int)NX_BLOCK_WORDS - 1, "the hot columns fill the first block");
static_assert((int)NX_COL_HEARTBEAT == 2 * (int)NX_BLOCK_WORDS, "the third block begins there");

struct nx_region_shape {
    uint32_t members_max, mc_ring_bytes, bulk_ring_bytes, p2p_ring_bytes;
    uint64_t rows_in, rows_out, mc, bulk, p2p_in, p2p_out; /* offsets of the areas */
    uint64_t relay_in, relay_out;                          /* the same */
    uint64_t bytes;                                        /* in all */
};

/* Bounds of what a configuration may ask for; a ring is a power of two. */
enum { NX_RING_BYTES_MIN = 4096, NX_RING_BYTES_MAX = 1 << 30 };

/* Checks the sizes and computes the offsets. NX_INVALID names the size that does not fit. */
enum nx_status nx_region_shape_init(struct nx_region_shape *shape, uint32_t members_max,
                                    uint32_t mc_ring_bytes, uint32_t bulk_ring_bytes,
                                    uint32_t p2p_ring_bytes, struct nx_err *err);

/* Two nodes understand each other's regions only if their hashes agree. */
uint64_t nx_region_shape_hash(const struct nx_region_shape *shape);

static inline uint64_t nx_row_in_offset(const struct nx_region_shape *shape, nx_rank rank)
{
    return shape->rows_in + (uint64_t)rank * NX_ROW_BYTES;
}

static inline uint64_t nx_row_out_offset(const struct nx_region_shape *shape, nx_rank rank)
{
    return shape->rows_out + (uint64_t)rank * NX_ROW_BYTES;
}

static inline uint64_t nx_mc_ring_offset(const struct nx_region_shape *shape, nx_rank rank)
{
    return shape->mc + (uint64_t)rank * shape->mc_ring_bytes;
}

static inline uint64_t nx_bulk_ring_offset(const struct nx_region_shape *shape, nx_rank rank)
{
    return shape->bulk + (uint64_t)rank * shape->bulk_ring_bytes;
}

static inline uint64_t nx_relay_in_offset(const struct nx_region_shape *shape, nx_rank writer,
                                          nx_rank sender)
{
    return shape->relay_in +
           ((uint64_t)writer * shape->members_max + sender) * sizeof(struct nx_guarded);
}

static inline uint64_t nx_relay_out_offset(const struct nx_region_shape *shape, nx_rank peer,
                                           nx_rank sender)
{
    return shape->relay_out +
           ((uint64_t)peer * shape->members_max + sender) * sizeof(struct nx_guarded);
}

static inline uint64_t nx_p2p_in_offset(const struct nx_region_shape *shape, nx_rank rank)
{
    return shape->p2p_in + (uint64_t)rank * shape->p2p_ring_bytes;
}

static inline uint64_t nx_p2p_out_offset(const struct nx_region_shape *shape, nx_rank rank)
{
    return shape->p2p_out + (uint64_t)rank * shape->p2p_ring_bytes;
}

#endif
