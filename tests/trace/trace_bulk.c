/* The sentences of bulk messages. */
#include "nx_test.h"
#include "nx_wire.h"

#include <string.h>

static struct wire *group_of(unsigned nodes)
{
    struct nx_core_config config = wire_config();
    return wire_open(&config, NULL, nodes);
}

static nx_stream open_bulk(struct wire *wire, unsigned node, uint64_t total, const char *head)
{
    struct nx_event event = {
        .type = NX_EV_BULK_OPEN, .total = total, .bytes = head, .len = strlen(head)};
    const struct nx_update *update = wire_ask(wire, node, event);
    assert_int_equal(update->status, NX_OK);
    return update->stream;
}

static enum nx_status put(struct wire *wire, unsigned node, nx_stream stream, const char *text)
{
    struct nx_event event = {
        .type = NX_EV_BULK_WRITE, .stream = stream, .bytes = text, .len = strlen(text)};
    return wire_ask(wire, node, event)->status;
}

/* "Receivers take parts as they come; it is delivered in the same order as small messages." */
static void parts_come_at_once_and_the_delivery_in_the_order(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    nx_stream stream = open_bulk(wire, 0, 6, "head");
    put(wire, 0, stream, "one");
    wire_send(wire, 0, "small");
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > bulk from n0 at 0 of 6 'one'\n"
                                  "[20] n1 > delivered 0 from n0 'small'\n"
                                  "[30] n0 > delivered 0 from n0 'small'\n"));
    wire->now = 1000;
    put(wire, 0, stream, "two");
    assert_int_equal(put(wire, 0, stream, "x"), NX_TOO_LARGE);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1020] n1 > bulk from n0 at 3 of 6 'two'\n"
                                  "[1040] n1 > delivered 2 from n0 bulk 'head'\n"
                                  "[1050] n0 > delivered 2 from n0 bulk 'head'\n"));
    assert_int_equal(put(wire, 0, stream, "x"), NX_NOT_FOUND);
    wire_close(wire);
}

/* "When every member holds all its bytes": one that has not consumed the last part holds the commit
 * back. */
static void the_commit_waits_for_the_slowest(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    nx_stream stream = open_bulk(wire, 0, 3, "h");
    wire->lanes[2][0].held = true;
    put(wire, 0, stream, "abc");
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > bulk from n0 at 0 of 3 'abc'\n"
                                  "[30] n2 > bulk from n0 at 0 of 3 'abc'\n"));
    wire->now = 1000;
    wire_release(wire, 2, 0);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1030] n2 > delivered 0 from n0 bulk 'h'\n"
                                  "[1040] n0 > delivered 0 from n0 bulk 'h'\n"
                                  "[1050] n1 > delivered 0 from n0 bulk 'h'\n"));
    wire_close(wire);
}

/* L2: who leaves after the last byte leaves the message behind. */
static void a_leaver_leaves_what_it_handed_over(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    nx_stream stream = open_bulk(wire, 1, 3, "h");
    put(wire, 1, stream, "abc");
    wire_ask(wire, 1, (struct nx_event){.type = NX_EV_LEAVE});
    wire_run(wire);
    assert_true(wire_expect(wire, "[30] n0 > bulk from n1 at 0 of 3 'abc'\n"
                                  "[60] n1 > delivered 1 from n1 bulk 'h'\n"
                                  "[70] n0 > delivered 1 from n1 bulk 'h'\n"
                                  "[200100] n0 > lost n1 cleanly: it left\n"
                                  "[200160] n0 > view 2 of members 1\n"));
    wire_close(wire);
}

/* "Several may interleave": each goes on where it ended. */
static void two_of_one_sender_interleave(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    nx_stream a = open_bulk(wire, 0, 4, "A"), b = open_bulk(wire, 0, 4, "B");
    put(wire, 0, b, "b1");
    put(wire, 0, a, "a1");
    put(wire, 0, b, "b2");
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > bulk from n0 at 0 of 4 'b1'\n"
                                  "[20] n1 > bulk from n0 at 0 of 4 'a1'\n"
                                  "[20] n1 > bulk from n0 at 2 of 4 'b2'\n"
                                  "[40] n1 > delivered 0 from n0 bulk 'B'\n"
                                  "[50] n0 > delivered 0 from n0 bulk 'B'\n"));
    wire_close(wire);
}

/* "The sender's death ends it before any delivery", also when all bytes have come and the commit
 * has not. */
static void a_dead_senders_bulk_is_aborted(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    nx_stream stream = open_bulk(wire, 0, 3, "h");
    put(wire, 0, stream, "abc");
    wire_turn(wire, 0);
    wire_turn(wire, 1);
    wire_kill(wire, 0);
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > bulk from n0 at 0 of 3 'abc'\n"
                                  "[1010] n1 > lost n0: killed\n"
                                  "[1020] n2 > lost n0: killed\n"
                                  "[1050] n1 > view 2 of members 6\n"
                                  "[1060] n2 > view 2 of members 6\n"
                                  "[1070] n1 > bulk aborted by n0\n"));
    wire_close(wire);
}

/* "Commit only when every member has it": a death is no consent, not even of the last receiver. */
static void a_death_commits_nothing(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    nx_stream stream = open_bulk(wire, 0, 3, "h");
    put(wire, 0, stream, "abc");
    wire_turn(wire, 0);
    wire_kill(wire, 1);
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n0 > lost n1: killed\n"));
    struct nx_group_stats stats;
    nx_core_get_stats(wire->cores[0], &stats);
    assert_int_equal(stats.delivered, 0);
    wire_close(wire);
}

/* A receiver's death holds a bulk up until the next view, where it goes on among those that are left. */
static void a_bulk_outlives_a_receiver(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    nx_stream stream = open_bulk(wire, 0, 6, "h");
    put(wire, 0, stream, "abc");
    wire_run(wire);
    wire_kill(wire, 2);
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    assert_int_equal(put(wire, 0, stream, "def"), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1020] n1 > bulk from n0 at 3 of 6 'def'\n"
                                  "[1040] n1 > delivered 0 from n0 bulk 'h'\n"
                                  "[1050] n0 > delivered 0 from n0 bulk 'h'\n"));
    wire_close(wire);
}

/* "NX_AGAIN: so many are open", and a bad total or head is refused. */
static void bounds_are_kept(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    struct nx_event event = {.type = NX_EV_BULK_OPEN, .total = 0};
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_INVALID);
    event.total = 1;
    event.subgroup = 1;
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_INVALID);
    event.subgroup = 0;
    static const uint8_t head[4096];
    event.bytes = head;
    event.len = nx_core_send_max(wire->cores[0]) + 1;
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_TOO_LARGE);
    event.len--;
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(wire_ask(wire, 0, event)->status, NX_OK);
    assert_int_equal(wire_ask(wire, 0, event)->status, NX_AGAIN);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_at_once_and_the_delivery_in_the_order),
        cmocka_unit_test(the_commit_waits_for_the_slowest),
        cmocka_unit_test(a_leaver_leaves_what_it_handed_over),
        cmocka_unit_test(two_of_one_sender_interleave),
        cmocka_unit_test(a_dead_senders_bulk_is_aborted),
        cmocka_unit_test(a_death_commits_nothing),
        cmocka_unit_test(a_bulk_outlives_a_receiver),
        cmocka_unit_test(bounds_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
