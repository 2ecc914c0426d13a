/* What members see when one of them dies, leaves or writes nonsense. */
#include "nx_test.h"
#include "nx_wire.h"

#include "group/sst/sst_layout.h"

#include <string.h>

static struct wire *group_of(unsigned nodes)
{
    struct nx_core_config config = wire_config();
    return wire_open(&config, NULL, nodes);
}

static void a_death_is_told_once_and_the_next_view_comes(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire_send(wire, 0, "before");
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    wire_kill(wire, 2);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n0 > lost n2: killed\n"
                                  "[1020] n1 > lost n2: killed\n"
                                  "[1050] n0 > view 2 of members 3\n"
                                  "[1060] n1 > view 2 of members 3\n"));
    assert_int_equal(nx_core_shard_status(wire->cores[0], 0, 0), NX_OK);
    assert_int_equal(nx_core_alive(wire->cores[1]), 3);
    assert_int_equal(wire_send(wire, 0, "after"), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1110] n1 > delivered 3 from n0 'after'\n"
                                  "[1120] n0 > delivered 3 from n0 'after'\n"));
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_PEER_DOWN, .peer = 2, .why = "again"});
    wire_run(wire);
    assert_true(wire_expect(wire, ""));
    wire_close(wire);
}

/* D5, D6: what all survivors received is delivered before the view, in the old order, though the dead never had it. */
static void what_all_survivors_hold_is_delivered_before_the_view(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire->lanes[0][2].held = true;
    wire_send(wire, 0, "m");
    wire_run(wire);
    wire_kill(wire, 2);
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n0 > lost n2: killed\n"
                                  "[1020] n1 > lost n2: killed\n"
                                  "[1050] n0 > delivered 0 from n0 'm'\n"
                                  "[1060] n1 > delivered 0 from n0 'm'\n"
                                  "[1070] n0 > view 2 of members 3\n"
                                  "[1080] n1 > view 2 of members 3\n"));
    wire_close(wire);
}

/* A sender that dies with its message at one of two: neither of them delivers it. */
static void a_message_that_only_one_survivor_holds_is_not_delivered(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire->lanes[0][2].held = true;
    wire_send(wire, 0, "m");
    wire_turn(wire, 0);
    wire_turn(wire, 1);
    wire_kill(wire, 0);
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n1 > lost n0: killed\n"
                                  "[1020] n2 > lost n0: killed\n"
                                  "[1050] n1 > view 2 of members 6\n"
                                  "[1060] n2 > view 2 of members 6\n"));
    wire_close(wire);
}

/* D6: a survivor's message that another survivor lacks is sent again in the next view, once. */
static void a_survivors_message_beyond_the_trim_is_sent_again(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire->lanes[0][1].held = true;
    wire_send(wire, 0, "m");
    wire_turn(wire, 0);
    wire_turn(wire, 2);
    wire_kill(wire, 2);
    wire->now = 1000;
    wire_turn(wire, 1);
    wire_release(wire, 0, 1);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n1 > lost n2: killed\n"
                                  "[1020] n0 > lost n2: killed\n"
                                  "[1040] n0 > view 2 of members 3\n"
                                  "[1050] n1 > view 2 of members 3\n"
                                  "[1070] n1 > delivered 0 from n0 'm'\n"
                                  "[1080] n0 > delivered 0 from n0 'm'\n"));
    wire_close(wire);
}

/* V2: half of a view is no majority. It takes no sends, and says why. */
static void half_of_a_view_is_blocked(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire->now = 1000;
    wire_kill(wire, 1);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n0 > lost n1: killed\n"));
    assert_int_equal(nx_core_change_state(wire->cores[0]), NX_CHANGE_BLOCKED);
    assert_int_equal(nx_core_shard_status(wire->cores[0], 0, 0), NX_WEDGED);
    assert_int_equal(wire_send(wire, 0, "m"), NX_WEDGED);
    wire_close(wire);
}

/* "Below min_nodes a shard is unavailable." */
static void below_its_minimum_a_shard_is_unavailable(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    config.spec.subgroups[0].min_nodes = 2;
    struct wire *wire = wire_open(&config, NULL, 2);
    wire_kill(wire, 1);
    wire_run(wire);
    assert_int_equal(nx_core_shard_status(wire->cores[0], 0, 0), NX_UNAVAILABLE);
    assert_int_equal(wire_send(wire, 0, "m"), NX_UNAVAILABLE);
    wire_close(wire);
}

/* "A suspicion is everybody's": who saw no death hears of it. */
static void a_suspicion_spreads(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire->dead[2] = true;
    wire->lanes[2][0].cut = wire->lanes[0][2].cut = true;
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_PEER_DOWN, .peer = 2, .why = "killed"});
    wire_run(wire);
    assert_true(wire_expect(wire, "[10] n0 > lost n2: killed\n"
                                  "[20] n1 > lost n2: another member lost it\n"
                                  "[50] n0 > view 2 of members 3\n"
                                  "[60] n1 > view 2 of members 3\n"));
    assert_int_equal(nx_core_alive(wire->cores[1]), 3);
    assert_int_equal(nx_core_shard_status(wire->cores[1], 0, 0), NX_OK);
    wire_close(wire);
}

/* "Who is suspected is out": it is told, says so, and does nothing any more. */
static void a_suspected_member_fences_itself(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire->lanes[0][2].cut = true;
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_PEER_DOWN, .peer = 2, .why = "one-way cut"});
    wire_run(wire);
    assert_true(wire_expect(wire,
                            "[10] n0 > lost n2: one-way cut\n"
                            "[20] n1 > lost n2: another member lost it\n"
                            "[30] n2 > down, fenced: another member takes this node for failed\n"
                            "[60] n0 > view 2 of members 3\n"
                            "[70] n1 > view 2 of members 3\n"));
    assert_int_equal(wire_send(wire, 2, "m"), NX_FENCED);
    assert_false(wire_turn(wire, 2));
    assert_int_equal(wire->update->writes_count, 0);
    assert_true(wire_expect(wire, ""));
    wire_close(wire);
}

/* "A clean leave costs no time-out", and what was sent before it is delivered. The leaver waits for receipts, which
 * ride alone after 200 us. */
static void a_leaver_goes_cleanly_after_its_last_message(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_send(wire, 1, "last");
    wire_ask(wire, 1, (struct nx_event){.type = NX_EV_LEAVE});
    assert_false(nx_core_left(wire->cores[1]));
    wire_run(wire);
    assert_true(wire_expect(wire, "[40] n1 > delivered 1 from n1 'last'\n"
                                  "[50] n0 > delivered 1 from n1 'last'\n"
                                  "[200080] n0 > lost n1 cleanly: it left\n"
                                  "[200140] n0 > view 2 of members 1\n"));
    assert_true(nx_core_left(wire->cores[1]));
    assert_int_equal(wire_send(wire, 0, "m"), NX_OK);
    /* Its connection ends: no news, and no suspicion. */
    wire->dead[1] = true;
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_PEER_DOWN, .peer = 1, .why = "closed"});
    wire_run(wire);
    assert_true(wire_expect(wire, "[200170] n0 > delivered 2 from n0 'm'\n"));
    wire_close(wire);
}

/* "What comes of a leaver after its leave is nothing", and it asks nothing new. */
static void a_leaver_asks_nothing_after_its_leave(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire->lanes[0][1].held = true; /* its leave waits for the receipt of its query */
    struct nx_event query = {.type = NX_EV_QUERY_OPEN, .peer = 1, .total = 2};
    nx_stream stream = wire_ask(wire, 0, query)->stream;
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_LEAVE});
    wire->now = NX_SEC;
    wire_turn(wire, 0);
    struct nx_event bytes = {.type = NX_EV_QUERY_WRITE, .stream = stream, .bytes = "??", .len = 2};
    assert_int_equal(wire_ask(wire, 0, bytes)->status, NX_OK);
    assert_int_equal(wire_ask(wire, 0, query)->status, NX_WEDGED);
    wire_land(wire, 0, 1, 1);
    wire_turn(wire, 1);
    wire_release(wire, 0, 1);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1000000020] n1 > lost n0 cleanly: it left\n"
                                  "[1000000080] n1 > view 2 of members 2\n"));
    wire_close(wire);
}

static void all_may_leave_at_once(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    for (unsigned n = 0; n < 3; n++)
        wire_ask(wire, n, (struct nx_event){.type = NX_EV_LEAVE});
    wire_run(wire);
    for (unsigned n = 0; n < 3; n++)
        assert_true(nx_core_left(wire->cores[n]));
    wire_close(wire);
}

/* "Its patience ends": a peer that never answers delays a leave by a second at most. */
static void a_leaver_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire->lanes[1][0].held = true;
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_LEAVE});
    wire_run(wire);
    assert_false(nx_core_left(wire->cores[0]));
    wire_turn(wire, 0);
    assert_true(wire->update->wake_at <= NX_SEC + 100);
    wire->now = NX_SEC + 100;
    wire_turn(wire, 0);
    assert_true(nx_core_left(wire->cores[0]));
    wire_close(wire);
}

/* A row with a sealed word in member 0's region as if member 1 had written it. */
static void forge(struct wire *wire, enum nx_column column, uint64_t value)
{
    struct nx_region_shape shape;
    const struct nx_core_config *c = &wire->config;
    assert_int_equal(nx_region_shape_init(&shape, c->members_max, c->mc_ring_bytes,
                                          c->bulk_ring_bytes, c->p2p_ring_bytes, NULL),
                     NX_OK);
    uint8_t *row = wire->regions[0] + nx_row_in_offset(&shape, 1);
    nx_guard_put((struct nx_guarded *)(void *)row + column, value, nx_column_tag(column, 1, 1));
}

/* What a ring holds is looked at when it is handed up, so its offence is reported a turn later. */
static void expect_distrust(enum nx_column column, uint64_t value, const char *why)
{
    struct wire *wire = group_of(3);
    wire_send(wire, 1, "m");
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    forge(wire, column, value);
    wire_turn(wire, 0);
    if (wire->trace_len == 0)
        wire_turn(wire, 0);
    char line[256];
    snprintf(line, sizeof line, "[%lld] n0 > lost n1: %s\n", (long long)wire->now, why);
    assert_true(wire_expect(wire, line));
    assert_int_equal(wire_send(wire, 0, "m"), NX_AGAIN); /* the view is changing */
    wire_close(wire);
}

static void nonsense_in_a_row_is_a_failure_of_its_member(void **state)
{
    (void)state;
    expect_distrust(NX_COL_MC_SENT, 1 << 20,
                    "it claims more multicast bytes than its window holds");
    expect_distrust(NX_COL_MC_SENT, 17, "it claims more multicast bytes than its window holds");
    expect_distrust(NX_COL_MC_SENT, 0, "its row went back");
    expect_distrust(NX_COL_MC_SENT, 64, "its multicast ring holds a malformed record");
    expect_distrust(NX_COL_MC_RECEIVED, 1000, "it says it received messages that we never sent");
    expect_distrust(NX_COL_MC_DELIVERED, 1000, "it says it delivered messages that are not stable");
    expect_distrust(NX_COL_BULK_SENT, UINT64_MAX,
                    "it claims more bulk bytes than its window holds");
    expect_distrust(NX_COL_BULK_CONSUMED, 8, "it says it consumed bulk bytes that we never sent");
    expect_distrust(NX_COL_P2P_SENT, 4104,
                    "it claims more point-to-point bytes than its window holds");
    expect_distrust(NX_COL_P2P_SENT, 8, "its point-to-point ring holds a malformed record");
    expect_distrust(NX_COL_P2P_CONSUMED, 8,
                    "it says it consumed more point-to-point bytes than we sent");
}

/* "A guard says itself whether it is whole": a torn one is not there. */
static void a_torn_guard_is_not_believed(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    struct nx_region_shape shape;
    const struct nx_core_config *c = &wire->config;
    nx_region_shape_init(&shape, c->members_max, c->mc_ring_bytes, c->bulk_ring_bytes,
                         c->p2p_ring_bytes, NULL);
    struct nx_guarded *word =
        (struct nx_guarded *)(void *)(wire->regions[0] + nx_row_in_offset(&shape, 1)) +
        NX_COL_MC_SENT;
    word->value = 4096; /* the value alone; then with a plain complement */
    wire_turn(wire, 0);
    word->seal = ~word->value;
    wire_turn(wire, 0);
    assert_true(wire_expect(wire, ""));
    assert_int_equal(nx_core_alive(wire->cores[0]), 3);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_death_is_told_once_and_the_next_view_comes),
        cmocka_unit_test(what_all_survivors_hold_is_delivered_before_the_view),
        cmocka_unit_test(a_survivors_message_beyond_the_trim_is_sent_again),
        cmocka_unit_test(half_of_a_view_is_blocked),
        cmocka_unit_test(a_message_that_only_one_survivor_holds_is_not_delivered),
        cmocka_unit_test(below_its_minimum_a_shard_is_unavailable),
        cmocka_unit_test(a_suspicion_spreads),
        cmocka_unit_test(a_suspected_member_fences_itself),
        cmocka_unit_test(a_leaver_goes_cleanly_after_its_last_message),
        cmocka_unit_test(a_leaver_asks_nothing_after_its_leave),
        cmocka_unit_test(all_may_leave_at_once),
        cmocka_unit_test(a_leaver_does_not_wait_for_ever),
        cmocka_unit_test(nonsense_in_a_row_is_a_failure_of_its_member),
        cmocka_unit_test(a_torn_guard_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
