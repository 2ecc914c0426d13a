/* sst_table.h — the shared state table: what each member told us, and what we have to tell it.
 *
 *   seen(peer, column)  the newest value that arrived whole; changes only as the column's law says
 *   dirty(peer)         columns whose value for `peer` is newer than the last push to it
 *   epoch words         count in one view alone, and reach a peer only while it is in that view
 *   pair words          count between two members alone: the next owner of a seat does not see them
 *
 * A push carries the newest values, so counters coalesce and nothing queues. A stale row makes us
 * late, never wrong. A row that breaks its law is reported by its scan, once per offence.
 * Owner   the region belongs to the caller and outlives the table. Nothing is allocated.
 * Thread  group thread only
 * Source  Derecho, ACM TOCS 2019, the SST. Departure: a row per destination (sst_layout.h). */
#ifndef NX_GROUP_SST_TABLE_H
#define NX_GROUP_SST_TABLE_H

#include "group/sst/sst_layout.h"

struct nx_table {
    uint8_t *region;
    const struct nx_region_shape *shape;
    bool believes_torn;             /* a mutant: guards are not checked */
    bool ordered;                   /* writes of a lane land in order: a regress is an offence */
    nx_vid epoch;                   /* the tag of epoch words */
    nx_vid pair[NX_MEMBERS_MAX];    /* the tag of pair words: the view in which the younger came */
    nx_rankset here;                /* peers in our epoch: only they get our epoch words */
    uint32_t dirty[NX_MEMBERS_MAX]; /* bit c: column c */
    uint64_t seen[NX_MEMBERS_MAX][NX_COLUMNS_COUNT];
    uint64_t told[NX_MEMBERS_MAX][NX_COLUMNS_COUNT]; /* newest value for that peer */
};

/* Epoch words are of view `epoch`; every member is in it, and the youngest of it came there: the first view of a group,
 * or one's own first. */
void nx_table_init(struct nx_table *table, uint8_t *region, const struct nx_region_shape *shape,
                   bool ordered, nx_vid epoch);

/* A new epoch: its words are unsaid and unheard. Those of the old one stay as they are in the memory of a peer until
 * it is `here`, too. */
void nx_table_begin_epoch(struct nx_table *table, nx_vid epoch);

/* A seat gets a new owner. First, while nobody writes there: nothing of the old one is left in the region. … */
void nx_table_clear_seat(struct nx_table *table, nx_rank seat);
/* … Then, once the owner is a member, since view `since`: nothing is said or heard yet. What it has written meanwhile
 * counts. */
void nx_table_take_seat(struct nx_table *table, nx_rank seat, nx_vid since);

/* What stands in the row of a seat whose owner, since view `since`, is no member for us yet; 0: nothing does. */
uint64_t nx_table_peek(const struct nx_table *table, nx_rank seat, enum nx_column column,
                       nx_vid since);

/* Columns with news for the peer that may be pushed now. */
uint32_t nx_table_due(const struct nx_table *table, nx_rank peer);

/* Takes what is new in the peer's row. Returns the columns that changed (bit c) and, in *lawless,
 * those whose new value breaks their law: such a value is not taken. */
uint32_t nx_table_scan(struct nx_table *table, nx_rank peer, uint32_t *lawless);

/* Whether a scan of the peer's row would report anything. */
bool nx_table_has_news(const struct nx_table *table, nx_rank peer);

static inline uint64_t nx_table_seen(const struct nx_table *table, nx_rank peer,
                                     enum nx_column column)
{
    return table->seen[peer][column];
}

/* Sets our column for one peer, or for each of a set. The same value again is no change. */
void nx_table_tell(struct nx_table *table, nx_rank peer, enum nx_column column, uint64_t value);
void nx_table_tell_all(struct nx_table *table, nx_rankset peers, enum nx_column column,
                       uint64_t value);

/* The range of one block's dirty words for a peer: what must be pushed, as bytes from the row's
 * start. Writes the words into the outgoing row and marks them clean. Length 0: nothing is dirty
 * there. */
struct nx_row_range {
    uint32_t offset, bytes;
};
struct nx_row_range nx_table_push(struct nx_table *table, nx_rank peer, enum nx_row_block block);

#endif
