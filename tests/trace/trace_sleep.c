/* Who sleeps says so, and is woken: a fabric whose plain writes wake nobody. */
#include "nx_test.h"
#include "nx_wire.h"

static struct wire *group_of(unsigned nodes)
{
    struct nx_core_config config = wire_config();
    config.caps.wakes_on_plain_write = false;
    struct wire *wire = wire_open(&config, NULL, nodes);
    wire_run(wire);
    return wire;
}

/* "The last write of a batch to a sleeping peer is a doorbell", and only to a sleeping one. */
static void the_last_write_to_a_sleeper_rings(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    assert_int_equal(wire_sleep(wire, 1), NX_OK);
    assert_int_equal(wire->update->writes_count, 2);
    wire_turn(wire, 0);
    wire_send(wire, 0, "m");
    wire_turn(wire, 0);
    assert_int_equal(wire->update->writes_count, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(wire->update->writes[i].doorbell,
                         wire->update->writes[i].peer == 1 && wire->update->writes[i].inline_bytes);
    wire_close(wire);
}

/* "An awake one is not rung": after its next turn's row has come. */
static void who_woke_up_is_not_rung_again(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_sleep(wire, 1);
    wire_turn(wire, 0);
    wire_send(wire, 0, "m");
    wire_run(wire);
    unsigned bells = wire->bells[1];
    assert_true(bells >= 1);
    wire_send(wire, 0, "n");
    wire_run(wire);
    assert_int_equal(wire->bells[1], bells);
    wire_close(wire);
}

/* "It looks once more, then blocks": a write that crossed its good night is followed by a bell, …
 */
static void a_write_that_crosses_the_good_night_is_followed_by_a_bell(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire->lanes[0][1].held = true;
    wire->lanes[1][0].held = true;
    wire_send(wire, 0, "m");
    wire_turn(wire, 0); /* not landed yet */
    wire_sleep(wire, 1);
    wire_release(wire, 1, 0);
    wire_turn(wire, 0);
    assert_int_equal(wire->update->writes_count, 1);
    assert_true(wire->update->writes[0].doorbell);
    wire_turn(wire, 0);
    assert_int_equal(wire->update->writes_count, 0);
    wire_close(wire);
}

/* … also when its writer went to sleep before it heard that good night; and then the night is
 * quiet. */
static void two_good_nights_that_cross_leave_nobody_asleep_over_a_message(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire->lanes[0][1].held = true;
    wire->lanes[1][0].held = true;
    wire_send(wire, 0, "m");
    wire_turn(wire, 0);
    wire_sleep(wire, 1);
    wire_sleep(wire, 0);
    wire_release(wire, 0, 1);
    wire_release(wire, 1, 0);
    assert_int_equal(wire->bells[1], 1);
    wire_run(wire);
    for (unsigned round = 0; round < 3; round++) {
        wire_sleep(wire, 0);
        wire_sleep(wire, 1);
    }
    unsigned bells = wire->bells[0] + wire->bells[1];
    wire_sleep(wire, 0);
    wire_sleep(wire, 1);
    assert_int_equal(wire->bells[0] + wire->bells[1], bells);
    wire_close(wire);
}

/* "Everybody must know": a peer that takes no writes keeps us awake. */
static void nobody_sleeps_before_all_know(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire->lanes[1][0].clogged = true;
    assert_int_equal(wire_sleep(wire, 1), NX_AGAIN);
    wire->lanes[1][0].clogged = false;
    assert_int_equal(wire_sleep(wire, 1), NX_OK);
    wire_close(wire);
}

/* Q1: … but not one whose link is broken for longer than the timeout. It is told once it takes writes. */
static void who_is_not_heard_keeps_nobody_awake(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    config.caps.wakes_on_plain_write = false;
    config.timeout_ns = 30 * NX_MS;
    struct wire *wire = wire_open(&config, NULL, 2);
    for (unsigned turns = 0; turns < 4; turns++)
        wire_turn(wire, turns % 2);
    wire->lanes[1][0].clogged = wire->lanes[0][1].held = true;
    assert_int_equal(wire_sleep(wire, 1), NX_AGAIN);
    for (unsigned beats = 0; beats < 12; beats++) { /* the first word has more time */
        wire->now = wire->wake_at[1];
        wire_turn(wire, 1);
    }
    assert_int_equal(wire_sleep(wire, 1), NX_OK);
    assert_int_equal(wire->update->writes_count, 0);
    wire->lanes[1][0].clogged = false;
    assert_int_equal(wire_sleep(wire, 1), NX_OK);
    assert_int_equal(wire->update->writes_count, 1);
    assert_int_equal(wire_sleep(wire, 1), NX_OK);
    assert_int_equal(wire->update->writes_count, 0);
    wire_close(wire);
}

/* Q1, "woken for nothing": it goes back to sleep without a word, and its peer's good night wakes
 * nobody. */
static void a_wake_up_for_nothing_is_not_spread(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_sleep(wire, 0);
    wire_sleep(wire, 1);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned n = 0; n < 2; n++) {
            assert_false(wire_turn(wire, n));
            assert_int_equal(wire_sleep(wire, n), NX_OK);
            assert_int_equal(wire->update->writes_count, 0);
        }
    wire_close(wire);
}

/* "Where plain writes wake, nothing needs saying." */
static void nothing_is_said_where_writes_wake(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    struct wire *wire = wire_open(&config, NULL, 2);
    wire_run(wire);
    assert_int_equal(wire_sleep(wire, 1), NX_OK);
    assert_int_equal(wire->update->writes_count, 0);
    wire_send(wire, 0, "m");
    wire_run(wire);
    assert_int_equal(wire->bells[1], 0);
    wire_close(wire);
}

/* Q1, "idle means idle": after the last receipt nobody writes, and nobody is busy. */
static void an_idle_group_writes_nothing(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    for (unsigned n = 0; n < 3; n++)
        wire_send(wire, n, "m");
    wire_run(wire);
    for (unsigned n = 0; n < 3; n++) {
        assert_false(wire_turn(wire, n));
        assert_int_equal(wire->update->writes_count, 0);
    }
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_write_to_a_sleeper_rings),
        cmocka_unit_test(who_woke_up_is_not_rung_again),
        cmocka_unit_test(a_write_that_crosses_the_good_night_is_followed_by_a_bell),
        cmocka_unit_test(two_good_nights_that_cross_leave_nobody_asleep_over_a_message),
        cmocka_unit_test(nobody_sleeps_before_all_know),
        cmocka_unit_test(who_is_not_heard_keeps_nobody_awake),
        cmocka_unit_test(a_wake_up_for_nothing_is_not_spread),
        cmocka_unit_test(nothing_is_said_where_writes_wake),
        cmocka_unit_test(an_idle_group_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
