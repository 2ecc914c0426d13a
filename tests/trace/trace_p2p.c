/* The sentences of queries and replies, and of bulk messages whose ends die. */
#include "nx_test.h"
#include "nx_wire.h"

#include <string.h>

static struct wire *pair(void)
{
    struct nx_core_config config = wire_config();
    return wire_open(&config, NULL, 2);
}

static nx_stream ask(struct wire *wire, unsigned node, unsigned peer, const char *text)
{
    struct nx_event open = {.type = NX_EV_QUERY_OPEN, .peer = peer, .total = strlen(text)};
    const struct nx_update *update = wire_ask(wire, node, open);
    assert_int_equal(update->status, NX_OK);
    nx_stream stream = update->stream;
    struct nx_event write = {
        .type = NX_EV_QUERY_WRITE, .stream = stream, .bytes = text, .len = strlen(text)};
    assert_int_equal(wire_ask(wire, node, write)->taken, strlen(text));
    return stream;
}

static enum nx_status answer(struct wire *wire, unsigned node, nx_stream query, const char *text)
{
    struct nx_event open = {.type = NX_EV_REPLY_OPEN, .stream = query, .total = strlen(text)};
    enum nx_status status = wire_ask(wire, node, open)->status;
    if (status != NX_OK || strlen(text) == 0)
        return status;
    struct nx_event write = {
        .type = NX_EV_REPLY_WRITE, .stream = query, .bytes = text, .len = strlen(text)};
    return wire_ask(wire, node, write)->status;
}

static void cancel(struct wire *wire, unsigned node, nx_stream query)
{
    wire_ask(wire, node, (struct nx_event){.type = NX_EV_QUERY_CANCEL, .stream = query});
}

static void a_query_is_answered(void **state)
{
    (void)state;
    struct wire *wire = pair();
    nx_stream query = ask(wire, 0, 1, "how many?");
    wire_run(wire);
    assert_int_equal(answer(wire, 1, query, "seven"), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > query from n0 at 0 of 9 'how many?'\n"
                                  "[200080] n0 > reply from n1 at 0 of 5 'seven'\n"));
    assert_int_equal(answer(wire, 1, query, "twice"), NX_NOT_FOUND);
    wire_close(wire);
}

static void empty_queries_and_replies_are_parts_of_no_bytes(void **state)
{
    (void)state;
    struct wire *wire = pair();
    nx_stream query = ask(wire, 0, 1, "");
    wire_run(wire);
    assert_int_equal(answer(wire, 1, query, ""), NX_OK);
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > query from n0 at 0 of 0 ''\n"
                                  "[1020] n0 > reply from n1 at 0 of 0 ''\n"));
    wire_close(wire);
}

/* "Replies may overtake one another." */
static void replies_come_in_any_order(void **state)
{
    (void)state;
    struct wire *wire = pair();
    nx_stream first = ask(wire, 0, 1, "first");
    nx_stream second = ask(wire, 0, 1, "second");
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    answer(wire, 1, second, "2");
    answer(wire, 1, first, "1");
    wire_run(wire);
    assert_true(wire_expect(wire, "[1020] n0 > reply from n1 at 0 of 1 '2'\n"
                                  "[1020] n0 > reply from n1 at 0 of 1 '1'\n"));
    wire_close(wire);
}

/* "No upcall for a query comes after its cancel": before the reply, with the reply on its way,
 * after it. */
static void a_cancelled_query_is_silent(void **state)
{
    (void)state;
    struct wire *wire = pair();
    nx_stream unsent = ask(wire, 0, 1, "a");
    cancel(wire, 0, unsent);
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > query from n0 at 0 of 1 'a'\n"
                                  "[20] n1 > query gone of n0\n"));
    nx_stream late = ask(wire, 0, 1, "b");
    wire_run(wire);
    wire->now = 1000;
    wire->trace_len = 0;
    answer(wire, 1, late, "reply");
    cancel(wire, 0, late);
    wire_turn(wire, 1); /* the reply leaves before the cancel comes */
    wire_run(wire);
    assert_true(wire_expect(wire, ""));
    cancel(wire, 0, late); /* twice, and after the end */
    cancel(wire, 0, unsent);
    nx_stream next = ask(wire, 0, 1, "c");
    wire->now = 2000;
    wire_run(wire);
    answer(wire, 1, next, "d");
    wire->now = 3000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[2020] n1 > query from n0 at 0 of 1 'c'\n"
                                  "[3020] n0 > reply from n1 at 0 of 1 'd'\n"));
    wire_close(wire);
}

/* Cancels the other query from inside the first reply's upcall, in the same turn as the other's
 * reply. */
struct canceller {
    nx_stream other;
    unsigned replies;
};

static bool cancel_other(void *ctx, struct wire *wire, unsigned node, const struct nx_upcall *up)
{
    struct canceller *canceller = ctx;
    if (up->type != NX_UP_REPLY_PART)
        return false;
    canceller->replies++;
    cancel(wire, node, canceller->other);
    return true;
}

static void a_cancel_inside_an_upcall_takes_effect_at_once(void **state)
{
    (void)state;
    struct wire *wire = pair();
    nx_stream first = ask(wire, 0, 1, "first");
    struct canceller canceller = {.other = ask(wire, 0, 1, "second")};
    wire_run(wire);
    answer(wire, 1, first, "1");
    answer(wire, 1, canceller.other, "2");
    wire->hook = cancel_other;
    wire->ctx = &canceller;
    wire_run(wire);
    assert_int_equal(canceller.replies, 1);
    wire_close(wire);
}

/* "A reply may end before its query does": the rest of the query is refused, and what had left is
 * dropped. */
static void an_early_reply_ends_the_query(void **state)
{
    (void)state;
    struct wire *wire = pair();
    struct nx_event open = {.type = NX_EV_QUERY_OPEN, .peer = 1, .total = 6};
    nx_stream query = wire_ask(wire, 0, open)->stream;
    struct nx_event half = {.type = NX_EV_QUERY_WRITE, .stream = query, .bytes = "abc", .len = 3};
    wire_ask(wire, 0, half);
    wire_run(wire);
    assert_int_equal(answer(wire, 1, query, "no"), NX_OK);
    wire->lanes[1][0].held = true;
    wire_turn(wire, 1);
    half.len = 2;
    assert_int_equal(wire_ask(wire, 0, half)->status, NX_OK); /* on its way when the reply comes */
    wire_turn(wire, 0);
    wire_release(wire, 1, 0);
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > query from n0 at 0 of 6 'abc'\n"
                                  "[1010] n0 > reply from n1 at 0 of 2 'no'\n"));
    half.len = 1;
    assert_int_equal(wire_ask(wire, 0, half)->status, NX_NOT_FOUND);
    assert_int_equal(nx_core_alive(wire->cores[1]), 3);
    wire_close(wire);
}

/* "A query whose peer dies fails", and the dead one's queries are forgotten. */
static void the_death_of_a_peer_ends_its_streams(void **state)
{
    (void)state;
    struct wire *wire = pair();
    ask(wire, 0, 1, "to the dead");
    nx_stream theirs = ask(wire, 1, 0, "from the dead");
    struct nx_event bulk = {.type = NX_EV_BULK_OPEN, .total = 9};
    nx_stream stream = wire_ask(wire, 1, bulk)->stream;
    wire_ask(
        wire, 1,
        (struct nx_event){.type = NX_EV_BULK_WRITE, .stream = stream, .bytes = "part", .len = 4});
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    wire_kill(wire, 1);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n0 > lost n1: killed\n"
                                  "[1010] n0 > bulk aborted by n1\n"
                                  "[1010] n0 > query failed to n1: peer down\n"
                                  "[1010] n0 > query gone of n1\n"));
    assert_int_equal(answer(wire, 0, theirs, "late"), NX_NOT_FOUND);
    struct nx_event open = {.type = NX_EV_QUERY_OPEN, .peer = 1, .total = 1};
    assert_int_equal(wire_ask(wire, 0, open)->status, NX_PEER_DOWN);
    wire_close(wire);
}

static nx_stream ask_system(struct wire *wire, unsigned node, unsigned peer, const char *text)
{
    struct nx_event open = {
        .type = NX_EV_QUERY_OPEN, .peer = peer, .total = strlen(text), .system = true};
    nx_stream stream = wire_ask(wire, node, open)->stream;
    struct nx_event write = {
        .type = NX_EV_QUERY_WRITE, .stream = stream, .bytes = text, .len = strlen(text)};
    if (write.len > 0)
        assert_int_equal(wire_ask(wire, node, write)->taken, write.len);
    return stream;
}

/* What the group's own layers ask is told apart from what tiers ask: part, reply, cancel, death. */
static void a_system_query_says_so_to_its_end(void **state)
{
    (void)state;
    struct wire *wire = pair();
    nx_stream query = ask_system(wire, 0, 1, "admit");
    nx_stream empty = ask_system(wire, 0, 1, "");
    wire_run(wire);
    answer(wire, 1, query, "yes");
    answer(wire, 1, empty, "");
    wire->now = 1000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[20] n1 > system query from n0 at 0 of 5 'admit'\n"
                                  "[20] n1 > system query from n0 at 0 of 0 ''\n"
                                  "[1020] n0 > system reply from n1 at 0 of 3 'yes'\n"
                                  "[1020] n0 > system reply from n1 at 0 of 0 ''\n"));
    nx_stream given_up = ask_system(wire, 0, 1, "a");
    wire_turn(wire, 0);
    cancel(wire, 0, given_up);
    ask_system(wire, 0, 1, "to the dead");
    ask_system(wire, 1, 0, "from the dead");
    wire->now = 2000;
    wire_run(wire);
    wire_kill(wire, 1);
    wire->now = 3000;
    wire_run(wire);
    assert_true(wire_expect(wire, "[2020] n1 > system query from n0 at 0 of 1 'a'\n"
                                  "[2020] n1 > system query from n0 at 0 of 11 'to the dead'\n"
                                  "[2020] n1 > system query gone of n0\n"
                                  "[2030] n0 > system query from n1 at 0 of 13 'from the dead'\n"
                                  "[3010] n0 > lost n1: killed\n"
                                  "[3010] n0 > system query failed to n1: peer down\n"
                                  "[3010] n0 > system query gone of n1\n"));
    wire_close(wire);
}

/* "Bounded tables": the last slot is the last; more streams than fit into one update all end. */
static void all_slots_can_be_open_and_all_fail_at_once(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    config.p2p_ring_bytes = 1 << 17;
    struct wire *wire = wire_open(&config, NULL, 2);
    wire->quiet = true;
    struct nx_event open = {.type = NX_EV_QUERY_OPEN, .peer = 1, .total = 1};
    unsigned opened = 0;
    while (wire_ask(wire, 0, open)->status == NX_OK)
        opened++;
    assert_int_equal(opened, 1024);
    assert_int_equal(wire->inner->status, NX_AGAIN);
    wire_kill(wire, 1);
    unsigned upcalls = 0;
    for (unsigned turn = 0; turn < 30 && wire->busy[0]; turn++) {
        wire_turn(wire, 0);
        upcalls += wire->update->upcalls_count;
    }
    assert_int_equal(upcalls, 1 + 1024);
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_answered),
        cmocka_unit_test(empty_queries_and_replies_are_parts_of_no_bytes),
        cmocka_unit_test(replies_come_in_any_order),
        cmocka_unit_test(a_cancelled_query_is_silent),
        cmocka_unit_test(a_cancel_inside_an_upcall_takes_effect_at_once),
        cmocka_unit_test(an_early_reply_ends_the_query),
        cmocka_unit_test(the_death_of_a_peer_ends_its_streams),
        cmocka_unit_test(a_system_query_says_so_to_its_end),
        cmocka_unit_test(all_slots_can_be_open_and_all_fail_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
