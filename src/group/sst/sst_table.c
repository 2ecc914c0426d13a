#include "group/sst/sst_table.h"

#include "group/view/rankset.h"

#include <string.h>

static uint32_t block_mask(enum nx_row_block block)
{
    return ((1u << NX_BLOCK_WORDS) - 1) << (unsigned)block * NX_BLOCK_WORDS;
}

static const uint8_t laws[] = {
#define NX_COLUMN_LAW(column, law, life) law,
    NX_COLUMN_LIST(NX_COLUMN_LAW)
#undef NX_COLUMN_LAW
};

/* Bit c: column c is an epoch word. */
enum {
#define NX_COLUMN_EPOCH(column, law, life) +((life) == NX_LIFE_EPOCH ? 1 << (column) : 0)
    EPOCH_MASK = 0 NX_COLUMN_LIST(NX_COLUMN_EPOCH)
#undef NX_COLUMN_EPOCH
};

static uint64_t tag_of(const struct nx_table *table, nx_rank peer, unsigned c)
{
    return (unsigned)EPOCH_MASK >> c & 1 ? table->epoch : table->pair[peer];
}

void nx_table_init(struct nx_table *table, uint8_t *region, const struct nx_region_shape *shape,
                   bool ordered, nx_vid epoch)
{
    memset(table, 0, sizeof *table);
    table->epoch = epoch;
    table->here = ~(nx_rankset)0;
    table->region = region;
    table->shape = shape;
    table->ordered = ordered;
    for (nx_rank peer = 0; peer < NX_MEMBERS_MAX; peer++)
        table->pair[peer] = epoch;
}

void nx_table_clear_seat(struct nx_table *table, nx_rank seat)
{
    memset(table->region + nx_row_in_offset(table->shape, seat), 0, NX_ROW_BYTES);
    memset(table->region + nx_row_out_offset(table->shape, seat), 0, NX_ROW_BYTES);
}

void nx_table_take_seat(struct nx_table *table, nx_rank seat, nx_vid since)
{
    table->pair[seat] = since;
    table->dirty[seat] = 0;
    memset(table->seen[seat], 0, sizeof table->seen[seat]);
    memset(table->told[seat], 0, sizeof table->told[seat]);
}

static bool lawful(enum nx_column column, uint64_t old, uint64_t new)
{
    switch ((enum nx_column_law)laws[column]) {
    case NX_LAW_GROWS: return new >= old;
    case NX_LAW_FREE: return true;
    }
    return false;
}

void nx_table_begin_epoch(struct nx_table *table, nx_vid epoch)
{
    nx_assert(epoch > table->epoch);
    table->epoch = epoch;
    table->here = 0;
    for (nx_rank peer = 0; peer < NX_MEMBERS_MAX; peer++) {
        for (unsigned c = 0; c < NX_COLUMNS_COUNT; c++)
            if ((unsigned)EPOCH_MASK >> c & 1)
                table->seen[peer][c] = table->told[peer][c] = 0;
        table->dirty[peer] &= ~(uint32_t)EPOCH_MASK;
    }
}

uint64_t nx_table_peek(const struct nx_table *table, nx_rank seat, enum nx_column column,
                       nx_vid since)
{
    const uint8_t *row = table->region + nx_row_in_offset(table->shape, seat);
    uint64_t value;
    return nx_guard_get((const struct nx_guarded *)(const void *)row + column, since, &value)
               ? value
               : 0;
}

uint32_t nx_table_due(const struct nx_table *table, nx_rank peer)
{
    bool here = (table->here & NX_RANK_BIT(peer)) != 0;
    return here ? table->dirty[peer] : table->dirty[peer] & ~(uint32_t)EPOCH_MASK;
}

static bool read_word(const struct nx_table *table, const struct nx_guarded *word, uint64_t tag,
                      uint64_t *value)
{
    if (table->believes_torn) {
        *value = nx_remote_load(&word->value);
        return true;
    }
    return nx_guard_get(word, tag, value);
}

/* Whether the peer's column c holds another value than the one we took, whole. The common case
 * costs one load. */
static bool is_news(const struct nx_table *table, nx_rank peer, unsigned c, uint64_t *value)
{
    const uint8_t *row = table->region + nx_row_in_offset(table->shape, peer);
    const struct nx_guarded *word = (const void *)(row + c * sizeof *word);
    uint64_t seen = table->seen[peer][c];
    return nx_remote_load(&word->value) != seen &&
           read_word(table, word, tag_of(table, peer, c), value) && *value != seen;
}

uint32_t nx_table_scan(struct nx_table *table, nx_rank peer, uint32_t *lawless)
{
    uint64_t *seen = table->seen[peer];
    uint32_t changed = 0;
    *lawless = 0;
    /* The writer pushes the row's first block first: who sees a word of a later one sees what stood before it. */
    for (unsigned c = NX_COLUMNS_COUNT; c-- > 0;) {
        uint64_t value;
        if (!is_news(table, peer, c, &value))
            continue;
        if (lawful(c, seen[c], value)) {
            seen[c] = value;
            changed |= 1u << c;
        } else if (table->ordered) {
            *lawless |= 1u << c;
        }
    }
    return changed;
}

bool nx_table_has_news(const struct nx_table *table, nx_rank peer)
{
    uint64_t value;
    for (unsigned c = 0; c < NX_COLUMNS_COUNT; c++)
        if (is_news(table, peer, c, &value) &&
            (table->ordered || lawful(c, table->seen[peer][c], value)))
            return true;
    return false;
}

void nx_table_tell(struct nx_table *table, nx_rank peer, enum nx_column column, uint64_t value)
{
    if (table->told[peer][column] == value)
        return;
    nx_assert(lawful(column, table->told[peer][column], value));
    table->told[peer][column] = value;
    table->dirty[peer] |= 1u << column;
}

void nx_table_tell_all(struct nx_table *table, nx_rankset peers, enum nx_column column,
                       uint64_t value)
{
    for (nx_rankset left = peers; left;)
        nx_table_tell(table, nx_rankset_take(&left), column, value);
}

struct nx_row_range nx_table_push(struct nx_table *table, nx_rank peer, enum nx_row_block block)
{
    uint32_t dirty = nx_table_due(table, peer) & block_mask(block);
    if (!dirty)
        return (struct nx_row_range){0, 0};
    uint8_t *row = table->region + nx_row_out_offset(table->shape, peer);
    for (uint32_t left = dirty; left; left &= left - 1) {
        unsigned c = (unsigned)__builtin_ctz(left);
        nx_guard_put((struct nx_guarded *)(void *)(row + c * sizeof(struct nx_guarded)),
                     table->told[peer][c], tag_of(table, peer, c));
    }
    table->dirty[peer] &= ~dirty;
    unsigned first = (unsigned)__builtin_ctz(dirty);
    unsigned last = 31 - (unsigned)__builtin_clz(dirty);
    return (struct nx_row_range){first * (uint32_t)sizeof(struct nx_guarded),
                                 (last - first + 1) * (uint32_t)sizeof(struct nx_guarded)};
}
