#include "common/prng.h"
#include "group/sst/sst_table.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

struct pair {
    struct nx_region_shape shape;
    uint8_t *regions[2];
    struct nx_table tables[2];
};

static struct pair *open_pair(bool ordered)
{
    struct pair *pair = calloc(1, sizeof *pair);
    assert_int_equal(nx_region_shape_init(&pair->shape, 2, 4096, 4096, 4096, NULL), NX_OK);
    for (unsigned n = 0; n < 2; n++) {
        pair->regions[n] = calloc(1, pair->shape.bytes);
        nx_table_init(&pair->tables[n], pair->regions[n], &pair->shape, ordered, 1);
    }
    return pair;
}

static void close_pair(struct pair *pair)
{
    free(pair->regions[0]);
    free(pair->regions[1]);
    free(pair);
}

/* Lands what node 0 pushes to node 1, and returns its length. */
static uint32_t push(struct pair *pair, enum nx_row_block block)
{
    struct nx_row_range range = nx_table_push(&pair->tables[0], 1, block);
    memcpy(pair->regions[1] + nx_row_in_offset(&pair->shape, 0) + range.offset,
           pair->regions[0] + nx_row_out_offset(&pair->shape, 1) + range.offset, range.bytes);
    return range.bytes;
}

static void a_push_carries_what_changed_and_no_more(void **state)
{
    (void)state;
    struct pair *pair = open_pair(true);
    uint32_t lawless;
    assert_int_equal(push(pair, NX_BLOCK_HOT), 0);
    nx_table_tell(&pair->tables[0], 1, NX_COL_MC_SENT, 24);
    nx_table_tell(&pair->tables[0], 1, NX_COL_BULK_CONSUMED, 8);
    nx_table_tell(&pair->tables[0], 1, NX_COL_LEAVING, 1);
    assert_int_equal(push(pair, NX_BLOCK_HOT), 3 * 16);
    assert_int_equal(nx_table_scan(&pair->tables[1], 0, &lawless),
                     1u << NX_COL_MC_SENT | 1u << NX_COL_BULK_CONSUMED);
    assert_int_equal(lawless, 0);
    assert_int_equal(nx_table_seen(&pair->tables[1], 0, NX_COL_MC_SENT), 24);
    assert_int_equal(push(pair, NX_BLOCK_SLOW), 16);
    assert_int_equal(nx_table_scan(&pair->tables[1], 0, &lawless), 1u << NX_COL_LEAVING);
    nx_table_tell(&pair->tables[0], 1, NX_COL_MC_SENT, 24);
    assert_int_equal(push(pair, NX_BLOCK_HOT), 0);
    assert_int_equal(nx_table_scan(&pair->tables[1], 0, &lawless), 0);
    close_pair(pair);
}

static void put_in(struct pair *pair, enum nx_column column, uint64_t value)
{
    nx_guard_put(
        (struct nx_guarded *)(void *)(pair->regions[1] + nx_row_in_offset(&pair->shape, 0)) +
            column,
        value, nx_column_tag(column, 1));
}

/* S1: a counter never goes back; the load may do what it likes. */
static void columns_keep_their_laws(void **state)
{
    (void)state;
    struct pair *pair = open_pair(true);
    uint32_t lawless;
    put_in(pair, NX_COL_MC_SENT, 64);
    put_in(pair, NX_COL_LOAD_LOW, 9);
    nx_table_scan(&pair->tables[1], 0, &lawless);
    assert_int_equal(lawless, 0);
    put_in(pair, NX_COL_MC_SENT, 56);
    put_in(pair, NX_COL_LOAD_LOW, 3);
    assert_int_equal(nx_table_scan(&pair->tables[1], 0, &lawless), 1u << NX_COL_LOAD_LOW);
    assert_int_equal(lawless, 1u << NX_COL_MC_SENT);
    assert_int_equal(nx_table_seen(&pair->tables[1], 0, NX_COL_MC_SENT), 64);
    close_pair(pair);
}

/* Where a lane keeps no order, an old row may land late: it is ignored, and no offence. */
static void a_late_row_is_no_offence_without_order(void **state)
{
    (void)state;
    struct pair *pair = open_pair(false);
    uint32_t lawless;
    put_in(pair, NX_COL_MC_SENT, 64);
    nx_table_scan(&pair->tables[1], 0, &lawless);
    put_in(pair, NX_COL_MC_SENT, 8);
    assert_int_equal(nx_table_scan(&pair->tables[1], 0, &lawless), 0);
    assert_int_equal(lawless, 0);
    assert_int_equal(nx_table_seen(&pair->tables[1], 0, NX_COL_MC_SENT), 64);
    close_pair(pair);
}

/* Counters count on to the end of their type. */
static void counters_reach_their_limit(void **state)
{
    (void)state;
    struct pair *pair = open_pair(true);
    uint32_t lawless;
    const uint64_t values[] = {1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX - 1, UINT64_MAX};
    for (unsigned i = 0; i < 5; i++) {
        nx_table_tell(&pair->tables[0], 1, NX_COL_P2P_SENT, values[i]);
        push(pair, NX_BLOCK_HOT);
        assert_int_equal(nx_table_scan(&pair->tables[1], 0, &lawless), 1u << NX_COL_P2P_SENT);
        assert_int_equal(nx_table_seen(&pair->tables[1], 0, NX_COL_P2P_SENT), values[i]);
    }
    close_pair(pair);
}

/* Any mixture of two guards, byte by byte, is one of the two or is not believed. */
static void no_mixture_of_two_guards_is_believed(void **state)
{
    (void)state;
    struct nx_prng prng;
    nx_prng_init(&prng, 7);
    for (unsigned i = 0; i < 200000; i++) {
        uint64_t old = i % 4 ? nx_prng_below(&prng, 70000) : 0, value;
        uint64_t new = old + 1 + nx_prng_below(&prng, 300);
        struct nx_guarded from = {0, 0}, to, seen;
        if (old)
            nx_guard_put(&from, old, 0);
        nx_guard_put(&to, new, 0);
        uint16_t landed = (uint16_t)nx_prng_u64(&prng);
        if (i % 2)
            landed = (uint16_t)((landed & 0xff) * 0x101); /* the same bytes of both halves */
        for (unsigned b = 0; b < 16; b++)
            ((uint8_t *)&seen)[b] = ((uint8_t *)(landed >> b & 1 ? &to : &from))[b];
        if (nx_guard_get(&seen, 0, &value))
            assert_true(value == old || value == new);
    }
    uint64_t value = 5;
    struct nx_guarded zero = {0, 0};
    assert_false(nx_guard_get(&zero, 0, &value));
    assert_int_equal(value, 5);
    nx_guard_put(&zero, 0, 0);
    assert_true(nx_guard_get(&zero, 0, &value));
    assert_int_equal(value, 0);
}

static void the_shape_is_checked_and_told_by_its_hash(void **state)
{
    (void)state;
    struct nx_region_shape a, b;
    struct nx_err err;
    assert_int_equal(nx_region_shape_init(&a, 3, 4096, 8192, 16384, &err), NX_OK);
    assert_int_equal(a.bytes, 3 * (2 * NX_ROW_BYTES + 4096 + 8192 + 2 * 16384));
    assert_true(nx_p2p_out_offset(&a, 2) + 16384 == a.bytes);
    assert_int_equal(nx_region_shape_init(&b, 3, 4096, 8192, 32768, &err), NX_OK);
    assert_true(nx_region_shape_hash(&a) != nx_region_shape_hash(&b));
    assert_int_equal(nx_region_shape_init(&b, 3, 4097, 8192, 16384, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "mc_ring_bytes is 4097"));
    assert_int_equal(nx_region_shape_init(&b, 3, 4096, 0, 16384, &err), NX_INVALID);
    assert_int_equal(nx_region_shape_init(&b, 3, 4096, 8192, 1u << 31, &err), NX_INVALID);
    assert_int_equal(nx_region_shape_init(&b, 33, 4096, 8192, 16384, &err), NX_INVALID);
    assert_int_equal(nx_region_shape_init(&b, 0, 4096, 8192, 16384, &err), NX_INVALID);
    assert_int_equal(nx_region_shape_init(&b, 32, 1 << 30, 1 << 30, 1 << 30, &err), NX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_push_carries_what_changed_and_no_more),
        cmocka_unit_test(columns_keep_their_laws),
        cmocka_unit_test(a_late_row_is_no_offence_without_order),
        cmocka_unit_test(counters_reach_their_limit),
        cmocka_unit_test(no_mixture_of_two_guards_is_believed),
        cmocka_unit_test(the_shape_is_checked_and_told_by_its_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
