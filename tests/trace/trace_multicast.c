/* The sentences of the ordered multicast, each as a story: now, late, early, twice, and a crash
 * just after. */
#include "nx_test.h"
#include "nx_wire.h"

#include <string.h>

static struct wire *three(void)
{
    struct nx_core_config config = wire_config();
    return wire_open(&config, NULL, 3);
}

static void hold_all_to(struct wire *wire, unsigned dst)
{
    for (unsigned n = 0; n < wire->nodes; n++)
        wire->lanes[n][dst].held = true;
}

static void release_all_to(struct wire *wire, unsigned dst)
{
    for (unsigned n = 0; n < wire->nodes; n++)
        if (n != dst)
            wire_release(wire, n, dst);
}

/* "Delivered means held by every member": nobody delivers while one member has not got the bytes.
 */
static void nobody_delivers_what_one_has_not_received(void **state)
{
    (void)state;
    struct wire *wire = three();
    hold_all_to(wire, 2);
    wire_send(wire, 0, "m");
    wire_run(wire);
    assert_true(wire_expect(wire, ""));
    wire->now = 1000;
    release_all_to(wire, 2);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n2 > delivered 0 from n0 'm'\n"
                                  "[1020] n0 > delivered 0 from n0 'm'\n"
                                  "[1030] n1 > delivered 0 from n0 'm'\n"));
    wire_close(wire);
}

/* "A guard follows its payload": the bytes alone are nothing, the guard makes them readable. */
static void bytes_without_their_guard_are_not_read(void **state)
{
    (void)state;
    struct wire *wire = three();
    wire->lanes[0][1].held = true;
    wire_send(wire, 0, "m");
    wire_turn(wire, 0);
    wire_land(wire, 0, 1, 1); /* the ring */
    wire_turn(wire, 1);
    wire_run(wire);
    assert_true(wire_expect(wire, ""));
    wire->now = 1000;
    wire_land(wire, 0, 1, 1); /* the row */
    wire_turn(wire, 1);
    assert_true(wire_expect(wire, "[1010] n1 > delivered 0 from n0 'm'\n"));
    wire_close(wire);
}

/* "Round robin": the place of a message is its sender's, whoever was faster. */
static void the_order_is_round_robin_whoever_was_faster(void **state)
{
    (void)state;
    struct wire *wire = three();
    wire_send(wire, 2, "c");
    wire_turn(wire, 2);
    wire_send(wire, 1, "b");
    wire_turn(wire, 1);
    wire_send(wire, 0, "a");
    wire_run(wire);
    assert_true(wire_expect(wire, "[50] n2 > delivered 0 from n0 'a'\n"
                                  "[50] n2 > delivered 1 from n1 'b'\n"
                                  "[50] n2 > delivered 2 from n2 'c'\n"
                                  "[60] n0 > delivered 0 from n0 'a'\n"
                                  "[60] n0 > delivered 1 from n1 'b'\n"
                                  "[60] n0 > delivered 2 from n2 'c'\n"
                                  "[70] n1 > delivered 0 from n0 'a'\n"
                                  "[70] n1 > delivered 1 from n1 'b'\n"
                                  "[70] n1 > delivered 2 from n2 'c'\n"));
    wire_close(wire);
}

/* "An idle sender delays nobody": the others' places are filled with nulls. */
static void silent_members_fill_their_places(void **state)
{
    (void)state;
    struct wire *wire = three();
    wire_send(wire, 2, "x");
    wire_send(wire, 2, "y");
    wire_run(wire);
    assert_true(wire_expect(wire, "[70] n0 > delivered 2 from n2 'x'\n"
                                  "[70] n0 > delivered 5 from n2 'y'\n"
                                  "[80] n1 > delivered 2 from n2 'x'\n"
                                  "[80] n1 > delivered 5 from n2 'y'\n"
                                  "[90] n2 > delivered 2 from n2 'x'\n"
                                  "[90] n2 > delivered 5 from n2 'y'\n"));
    struct nx_group_stats stats;
    nx_core_get_stats(wire->cores[0], &stats);
    assert_int_equal(stats.nulls, 2);
    nx_core_get_stats(wire->cores[2], &stats);
    assert_int_equal(stats.nulls, 0);
    wire_close(wire);
}

/* "A row twice changes nothing": the same counters land again. */
static void a_row_that_lands_again_changes_nothing(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    wire->lanes[0][1].held = true;
    wire_send(wire, 0, "m");
    wire_turn(wire, 0);
    struct wire_parcel row = *wire->lanes[0][1].first->next;
    wire_release(wire, 0, 1);
    wire_turn(wire, 1);
    assert_true(wire_expect(wire, "[20] n1 > delivered 0 from n0 'm'\n"));
    memcpy(wire->regions[1] + row.write.remote_offset, row.copied, row.write.bytes);
    wire_turn(wire, 1);
    assert_true(wire_expect(wire, ""));
    assert_int_equal(nx_core_alive(wire->cores[1]), 3);
    wire_close(wire);
}

/* "Full is back-pressure": a window that one member does not drain refuses, and opens when that
 * member is back. */
static void a_slow_member_closes_the_window_and_opens_it_again(void **state)
{
    (void)state;
    struct wire *wire = three();
    wire->quiet = true;
    hold_all_to(wire, 2);
    unsigned sent = 0;
    while (wire_send(wire, 0, "0123456789012345678901234567890123456789") == NX_OK) {
        sent++;
        wire_run(wire);
        assert_true(sent < 1000);
    }
    assert_int_equal(sent, 4096 / 48);
    release_all_to(wire, 2);
    wire_run(wire);
    assert_int_equal(wire_send(wire, 0, "again"), NX_OK);
    wire_run(wire);
    struct nx_group_stats stats;
    for (unsigned n = 0; n < 3; n++) {
        nx_core_get_stats(wire->cores[n], &stats);
        assert_int_equal(stats.delivered, sent + 1);
    }
    wire_close(wire);
}

/* "A batch leaves as one write, and its guard as another." */
static void a_batch_is_two_writes_per_member(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    for (unsigned i = 0; i < 30; i++)
        wire_send(wire, 0, "small");
    wire_turn(wire, 0);
    assert_int_equal(wire->update->writes_count, 2);
    assert_int_equal(wire->update->writes[0].bytes, 30 * 16);
    assert_false(wire->update->writes[0].inline_bytes);
    assert_true(wire->update->writes[1].inline_bytes);
    wire_close(wire);
}

/* "A peer that takes no writes hears the newest value when it does." */
static void counters_coalesce_for_a_clogged_peer(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    wire->lanes[0][1].clogged = true;
    for (unsigned i = 0; i < 5; i++) {
        wire_send(wire, 0, "m");
        assert_false(wire_turn(wire, 0) && wire->update->writes_count > 0);
    }
    wire->lanes[0][1].clogged = false;
    wire_turn(wire, 0);
    assert_int_equal(wire->update->writes_count, 2);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_delivers_what_one_has_not_received),
        cmocka_unit_test(bytes_without_their_guard_are_not_read),
        cmocka_unit_test(the_order_is_round_robin_whoever_was_faster),
        cmocka_unit_test(silent_members_fill_their_places),
        cmocka_unit_test(a_row_that_lands_again_changes_nothing),
        cmocka_unit_test(a_slow_member_closes_the_window_and_opens_it_again),
        cmocka_unit_test(a_batch_is_two_writes_per_member),
        cmocka_unit_test(counters_coalesce_for_a_clogged_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
