/* A member that writes whatever it likes into the others' regions: they may lose it, and must not
 * break. */
#include "nx_test.h"
#include "nx_wire.h"

#include "common/prng.h"
#include "group/multicast/mc_window.h"
#include "group/rpc/rpc_p2p.h"
#include "group/sst/sst_layout.h"

#include <stdlib.h>
#include <string.h>

struct world {
    struct wire *wire;
    struct nx_region_shape shape;
    struct nx_prng prng;
    uint64_t sum; /* every byte handed up is read, so that the sanitizer sees it */
};

/* The different offences that were noticed, over all runs. */
static const char *offences[64];
static unsigned offences_count;

static void note_offence(const char *why)
{
    for (unsigned i = 0; i < offences_count; i++)
        if (strcmp(offences[i], why) == 0)
            return;
    assert_true(offences_count < 64);
    offences[offences_count++] = why;
}

static void touch(struct world *world, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        world->sum += bytes[i];
}

static bool read_all(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    struct world *world = ctx;
    switch (up->type) {
    case NX_UP_MEMBER_DOWN:
    case NX_UP_DOWN: note_offence(up->why); return true;
    case NX_UP_DELIVER: touch(world, up->delivery.bytes, up->delivery.len); break;
    case NX_UP_BULK_PART:
        touch(world, up->part.bytes, up->part.len);
        touch(world, up->head, up->head_len);
        break;
    case NX_UP_QUERY_PART:
    case NX_UP_REPLY_PART: touch(world, up->part.bytes, up->part.len); break;
    default: return true;
    }
    if (up->type == NX_UP_QUERY_PART) {
        wire_ask(
            wire, node,
            (struct nx_event){.type = NX_EV_REPLY_OPEN, .stream = up->part.stream, .total = 3});
        wire_ask(
            wire, node,
            (struct nx_event){
                .type = NX_EV_REPLY_WRITE, .stream = up->part.stream, .bytes = "abc", .len = 3});
    }
    return true;
}

static uint64_t odd_value(struct world *world)
{
    static const uint64_t values[] = {0,    1,    7,          8,          16,         24,
                                      32,   4088, 4096,       4104,       UINT32_MAX, UINT64_MAX,
                                      1023, 1024, 1ull << 55, 1ull << 56, 1ull << 63, 3ull << 56};
    uint64_t value = values[nx_prng_below(&world->prng, sizeof values / sizeof values[0])];
    return nx_prng_chance(&world->prng, 1, 3) ? value + nx_prng_below(&world->prng, 64) : value;
}

/* Something that looks like a record, with impossible or unlikely fields now and then. */
static void forge_record(struct world *world, uint8_t *at)
{
    struct nx_record record = {.len = (uint32_t)nx_prng_below(&world->prng, 200),
                               .kind = (uint8_t)nx_prng_below(&world->prng, 11),
                               .tag = (uint16_t)nx_prng_below(&world->prng, 4)};
    if (nx_prng_chance(&world->prng, 1, 8))
        record.len = (uint32_t)odd_value(world);
    memcpy(at, &record, sizeof record);
    nx_stream stream =
        nx_stream_make((nx_rank)nx_prng_below(&world->prng, 4), nx_prng_chance(&world->prng, 1, 2),
                       nx_prng_below(&world->prng, 3), (uint32_t)nx_prng_below(&world->prng, 20));
    uint64_t words[4] = {stream, nx_prng_below(&world->prng, 300),
                         nx_prng_chance(&world->prng, 1, 2) ? 0 : nx_prng_below(&world->prng, 300),
                         nx_prng_chance(&world->prng, 1, 2) ? 0 : odd_value(world)};
    memcpy(at + 8, words, sizeof words);
}

/* A well-placed record behind the last one, with its guard: only what it says is wrong. */
static void append_forged(struct world *world)
{
    static const enum nx_column guards[] = {NX_COL_MC_SENT, NX_COL_BULK_SENT, NX_COL_P2P_SENT};
    uint8_t *region = world->wire->regions[0];
    uint64_t rings[] = {nx_mc_ring_offset(&world->shape, 1), nx_bulk_ring_offset(&world->shape, 1),
                        nx_p2p_in_offset(&world->shape, 1)};
    unsigned which = (unsigned)nx_prng_below(&world->prng, 3);
    struct nx_guarded *guard =
        (struct nx_guarded *)(void *)(region + nx_row_in_offset(&world->shape, 1)) + guards[which];
    uint64_t at = guard->value % 4096;
    if (at > 3500 || at % 8 != 0)
        return;
    forge_record(world, region + rings[which] + at);
    struct nx_record record;
    memcpy(&record, region + rings[which] + at, sizeof record);
    uint64_t len = record.kind == NX_REC_NULLS ? 0 : record.len % 256;
    nx_guard_put(guard, guard->value + nx_record_bytes(len), nx_column_tag(guards[which], 1));
}

/* One dirty trick of node 1 against node 0's region. */
static void attack(struct world *world)
{
    uint8_t *region = world->wire->regions[0];
    struct nx_prng *prng = &world->prng;
    uint64_t rings[] = {nx_mc_ring_offset(&world->shape, 1), nx_bulk_ring_offset(&world->shape, 1),
                        nx_p2p_in_offset(&world->shape, 1)};
    uint8_t *ring = region + rings[nx_prng_below(prng, 3)];
    struct nx_guarded *row = (void *)(region + nx_row_in_offset(&world->shape, 1));
    switch (nx_prng_below(prng, 8)) {
    case 0: forge_record(world, ring + nx_prng_below(prng, 500) * 8); break;
    case 1: forge_record(world, ring + nx_prng_below(prng, 8) * 8); break;
    case 2: {
        unsigned column = (unsigned)nx_prng_below(prng, NX_COLUMNS_COUNT);
        nx_guard_put(&row[column], odd_value(world), nx_column_tag(column, 1));
        break;
    }
    case 3: {
        unsigned column = (unsigned)nx_prng_below(prng, NX_BLOCK_WORDS);
        nx_guard_put(&row[column], row[column].value + 8 * nx_prng_below(prng, 20),
                     nx_column_tag(column, 1));
        break;
    }
    default: append_forged(world); break;
    }
}

static void ask_something(struct world *world, unsigned node)
{
    struct wire *wire = world->wire;
    wire_send(wire, node, "a message of nobody's");
    struct nx_event open = {
        .type = NX_EV_QUERY_OPEN, .peer = (node + 1) % 3, .total = 3, .cookie = world};
    const struct nx_update *update = wire_ask(wire, node, open);
    if (update->status == NX_OK)
        wire_ask(
            wire, node,
            (struct nx_event){
                .type = NX_EV_QUERY_WRITE, .stream = update->stream, .bytes = "why", .len = 3});
}

static void play(uint64_t seed, bool own_memory_too)
{
    struct nx_core_config config = wire_config();
    config.members_max = 3;
    struct world world = {0};
    world.wire = wire_open(&config, NULL, 3);
    world.wire->hook = read_all;
    world.wire->ctx = &world;
    nx_prng_init(&world.prng, seed);
    assert_int_equal(nx_region_shape_init(&world.shape, config.members_max, config.mc_ring_bytes,
                                          config.bulk_ring_bytes, config.p2p_ring_bytes, NULL),
                     NX_OK);
    for (unsigned step = 0; step < 60; step++) {
        if (nx_prng_chance(&world.prng, 1, 2))
            ask_something(&world, (unsigned)nx_prng_below(&world.prng, 3));
        if (step > 10 && nx_prng_chance(&world.prng, 1, 2))
            attack(&world);
        if (own_memory_too && nx_prng_chance(&world.prng, 1, 20)) {
            uint64_t at =
                nx_prng_chance(&world.prng, 1, 2)
                    ? nx_prng_below(&world.prng, world.shape.bytes)
                    : nx_mc_ring_offset(&world.shape, 0) + nx_prng_below(&world.prng, 256);
            world.wire->regions[0][at] = (uint8_t)nx_prng_u64(&world.prng);
        }
        wire_turn(world.wire, (unsigned)nx_prng_below(&world.prng, 3));
    }
    for (unsigned turn = 0; turn < 20; turn++)
        wire_turn(world.wire, turn % 3);
    wire_close(world.wire);
}

static void no_trick_of_a_member_breaks_another(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1500; seed++)
        play(seed, false);
    for (unsigned i = 0; i < offences_count; i++)
        print_message("noticed: %s\n", offences[i]);
    assert_true(offences_count >= 25);
}

/* A member has the key to all of our region: even our own rings and rows out. */
static void nor_does_a_scribble_over_our_own_memory(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 500; seed++)
        play(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_trick_of_a_member_breaks_another),
        cmocka_unit_test(nor_does_a_scribble_over_our_own_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
