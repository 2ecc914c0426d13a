#include "group/rpc/rpc_p2p.h"
#include "nx_test.h"
#include "nx_wire.h"

#include <stdlib.h>
#include <string.h>

static nx_stream open_query(struct wire *wire, uint64_t total)
{
    struct nx_event event = {.type = NX_EV_QUERY_OPEN, .peer = 1, .total = total};
    const struct nx_update *update = wire_ask(wire, 0, event);
    assert_int_equal(update->status, NX_OK);
    return update->stream;
}

static size_t offer(struct wire *wire, nx_stream stream, size_t len)
{
    static const uint8_t bytes[1 << 17];
    assert_true(len <= sizeof bytes);
    struct nx_event event = {
        .type = NX_EV_QUERY_WRITE, .stream = stream, .bytes = bytes, .len = len};
    const struct nx_update *update = wire_ask(wire, 0, event);
    assert_int_equal(update->status, NX_OK);
    return update->taken;
}

static struct wire *pair_with_rings(uint32_t bytes)
{
    struct nx_core_config config = wire_config();
    config.p2p_ring_bytes = bytes;
    struct wire *wire = wire_open(&config, NULL, 2);
    wire->quiet = true;
    return wire;
}

/* Each is offered in the same order in every turn, and the ring is always full. */
static void large_streams_share_a_ring_whatever_the_order_of_asking(void **state)
{
    (void)state;
    enum { STREAMS = 5, TURNS = 4000 };
    struct wire *wire = pair_with_rings(1 << 14);
    nx_stream streams[STREAMS];
    uint64_t taken[STREAMS] = {0}, most = 0, least = UINT64_MAX;
    for (unsigned i = 0; i < STREAMS; i++)
        streams[i] = open_query(wire, (uint64_t)1 << 40);
    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned i = 0; i < STREAMS; i++)
            taken[i] += offer(wire, streams[i], 1 << 16);
        wire_turn(wire, 0);
        if (turn % 3 == 0)
            wire_turn(wire, 1);
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        most = taken[i] > most ? taken[i] : most;
        least = taken[i] < least ? taken[i] : least;
    }
    assert_true(least > 0 && most < least + least / 4);
    wire_close(wire);
}

/* "A gigabyte does not block a photo": a quarter of the ring is for small ones. */
static void a_small_query_passes_a_large_one(void **state)
{
    (void)state;
    struct wire *wire = pair_with_rings(1 << 14);
    nx_stream large = open_query(wire, (uint64_t)1 << 30);
    for (unsigned turn = 0; turn < 10; turn++) {
        offer(wire, large, 1 << 16);
        wire_turn(wire, 0);
    }
    assert_int_equal(offer(wire, large, 1 << 16), 0);
    nx_stream small = open_query(wire, 2000);
    assert_int_equal(offer(wire, small, 2000), 2000);
    wire_close(wire);
}

/* A stream that waits for room but is never offered again keeps nobody waiting for ever. */
static void who_stops_asking_loses_its_place(void **state)
{
    (void)state;
    struct wire *wire = pair_with_rings(1 << 14);
    nx_stream first = open_query(wire, (uint64_t)1 << 30);
    for (unsigned turn = 0; turn < 10; turn++) {
        offer(wire, first, 1 << 16);
        wire_turn(wire, 0);
    }
    nx_stream second = open_query(wire, (uint64_t)1 << 30);
    assert_int_equal(offer(wire, first, 1 << 16), 0); /* its claim */
    wire_turn(wire, 1);
    wire_turn(wire, 0);
    uint64_t taken = 0;
    for (unsigned turn = 0; turn < 2 * NX_P2P_CLAIM_TURNS && taken == 0; turn++) {
        taken += offer(wire, second, 1 << 16);
        wire_turn(wire, 0);
    }
    assert_true(taken > 0);
    wire_close(wire);
}

static void more_than_announced_is_refused(void **state)
{
    (void)state;
    struct wire *wire = pair_with_rings(1 << 14);
    nx_stream query = open_query(wire, 3);
    struct nx_event event = {.type = NX_EV_QUERY_WRITE, .stream = query, .bytes = "four", .len = 4};
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_TOO_LARGE);
    event.len = 3;
    assert_int_equal(wire_ask(wire, 0, event)->taken, 3);
    event.len = 1;
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_TOO_LARGE);
    event.stream = query + 1;
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_NOT_FOUND);
    struct nx_event reply = {.type = NX_EV_REPLY_OPEN, .stream = query, .total = 1};
    assert_int_equal(wire_ask(wire, 0, reply)->status, NX_NOT_FOUND);
    reply.stream = UINT64_MAX;
    assert_int_equal(wire_ask(wire, 1, reply)->status, NX_NOT_FOUND);
    reply.stream = 0;
    assert_int_equal(wire_ask(wire, 1, reply)->status, NX_NOT_FOUND);
    struct nx_event open = {.type = NX_EV_QUERY_OPEN, .peer = 0, .total = 1};
    assert_int_equal(wire_ask(wire, 0, open)->status, NX_INVALID);
    open.peer = 7;
    assert_int_equal(wire_ask(wire, 0, open)->status, NX_INVALID);
    wire_close(wire);
}

/* Names of streams carry their opener, their slot and their kind, and do not come back. */
static void names_say_who_and_where(void **state)
{
    (void)state;
    nx_stream name = nx_stream_make(31, true, ((uint64_t)1 << 45) - 1, 1023);
    assert_int_equal(nx_stream_opener(name), 31);
    assert_int_equal(nx_stream_slot(name), 1023);
    assert_true(nx_stream_is_bulk(name));
    assert_false(nx_stream_is_bulk(nx_stream_make(0, false, UINT64_MAX, 0)));
    assert_true(nx_stream_make(0, false, 0, 0) != 0);
    assert_int_equal(nx_stream_opener(0), NX_RANK_NONE);
}

/* Reply parts are bounded per step, and the rest comes with the next. */
static void an_update_is_bounded(void **state)
{
    (void)state;
    struct wire *wire = pair_with_rings(1 << 17);
    for (unsigned i = 0; i < 700; i++)
        assert_int_equal(offer(wire, open_query(wire, 4), 4), 4);
    wire_turn(wire, 0);
    unsigned upcalls = 0, turns = 0;
    do {
        wire_turn(wire, 1);
        assert_true(wire->update->upcalls_count <= NX_UPCALLS_PER_STEP);
        upcalls += wire->update->upcalls_count;
        turns++;
    } while (wire->update->busy && turns < 50);
    assert_int_equal(upcalls, 700);
    assert_true(turns >= 3);
    wire_close(wire);
}

/* The cancel came in the same turn as the bytes before it: an answer to these finds nothing, and what was taken is still
 * handed up, the end last. */
static void what_came_before_a_cancel_is_handed_up(void **state)
{
    (void)state;
    struct wire *wire = pair_with_rings(1 << 14);
    nx_stream query = open_query(wire, 12);
    assert_int_equal(offer(wire, query, 4), 4);
    assert_int_equal(offer(wire, query, 4), 4);
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query});
    wire_turn(wire, 0);
    wire_turn(wire, 1);
    assert_int_equal(wire->update->upcalls_count, 3);
    struct nx_upcall part = wire->update->upcalls[1], gone = wire->update->upcalls[2];
    assert_int_equal(part.type, NX_UP_QUERY_PART);
    assert_int_equal(part.part.offset, 4);
    assert_int_equal(gone.type, NX_UP_QUERY_GONE);
    struct nx_event reply = {.type = NX_EV_REPLY_OPEN, .stream = part.part.stream, .total = 1};
    assert_int_equal(wire_ask(wire, 1, reply)->status, NX_NOT_FOUND);
    assert_true(nx_core_upcall_wanted(wire->cores[1], &part));
    assert_true(nx_core_upcall_wanted(wire->cores[1], &gone));
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_streams_share_a_ring_whatever_the_order_of_asking),
        cmocka_unit_test(a_small_query_passes_a_large_one),
        cmocka_unit_test(who_stops_asking_loses_its_place),
        cmocka_unit_test(more_than_announced_is_refused),
        cmocka_unit_test(names_say_who_and_where),
        cmocka_unit_test(an_update_is_bounded),
        cmocka_unit_test(what_came_before_a_cancel_is_handed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
