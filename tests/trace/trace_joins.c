/* Members that come: what they and the others see. */
#include "nx_test.h"
#include "nx_wire.h"

#include <string.h>

static struct wire *group_of(unsigned nodes)
{
    struct nx_core_config config = wire_config();
    return wire_open(&config, NULL, nodes);
}

/* Everybody admits it, the leader proposes it. */
static void admit_at_all(struct wire *wire, unsigned leader, unsigned seat)
{
    for (unsigned n = 0; n < wire->nodes; n++)
        if (n != seat && !wire->dead[n] && !wire->waiting[n])
            assert_int_equal(wire_admit(wire, n, leader, seat), NX_OK);
    assert_int_equal(wire_join(wire, leader, NX_RANK_BIT(seat)), NX_OK);
}

static void let_in(struct wire *wire, unsigned leader, unsigned seat)
{
    admit_at_all(wire, leader, seat);
    wire_run(wire);
    wire_welcome(wire, leader, seat);
    wire_run(wire);
}

static enum nx_status give_state(struct wire *wire, unsigned node)
{
    return wire_ask(wire, node, (struct nx_event){.type = NX_EV_STATE})->status;
}

static void who_comes_is_in_the_next_view_and_delivers_once_it_has_the_state(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_send(wire, 0, "before");
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    wire_come(wire, 2, 77);
    let_in(wire, 0, 2);
    assert_true(wire_expect(wire, "[1050] n0 > view 2 of members 7\n"
                                  "[1060] n1 > view 2 of members 7\n"));
    const struct nx_shard *shard = &nx_core_layout(wire->cores[2])->shards[0][0];
    assert_int_equal(shard->stateless, 4);
    assert_int_equal(shard->donor, 0);
    assert_int_equal(nx_core_view(wire->cores[2])->base[0][0], 2); /* a null, too */
    assert_false(nx_core_has_state(wire->cores[2]));
    assert_int_equal(wire_send(wire, 2, "too early"), NX_AGAIN);
    wire_send(wire, 0, "after");
    wire_run(wire);
    assert_true(wire_expect(wire, "[1190] n0 > delivered 2 from n0 'after'\n"
                                  "[1200] n1 > delivered 2 from n0 'after'\n"));
    assert_int_equal(give_state(wire, 2), NX_OK);
    assert_int_equal(give_state(wire, 2), NX_EXISTS);
    wire_send(wire, 2, "mine");
    wire_run(wire);
    assert_true(wire_expect(wire, "[401300] n2 > delivered 2 from n0 'after'\n"
                                  "[401340] n0 > delivered 7 from n2 'mine'\n"
                                  "[401350] n1 > delivered 7 from n2 'mine'\n"
                                  "[401360] n2 > delivered 7 from n2 'mine'\n"));
    wire_close(wire);
}

/* A view in which it lacked the state ends: what that one delivered it skips, for it is in the state of the next. */
static void who_lacks_the_state_skips_the_end_of_the_view(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire_come(wire, 3, 77);
    let_in(wire, 0, 3);
    wire->now = 1000;
    wire_send(wire, 0, "m");
    wire_run(wire);
    wire_kill(wire, 2);
    wire_turn(wire, 0);
    wire_turn(wire, 3);
    assert_int_equal(give_state(wire, 3), NX_AGAIN);
    wire_run(wire);
    assert_true(wire_expect(wire, "[70] n0 > view 2 of members f\n"
                                  "[80] n1 > view 2 of members f\n"
                                  "[90] n2 > view 2 of members f\n"
                                  "[1050] n0 > delivered 0 from n0 'm'\n"
                                  "[1060] n1 > delivered 0 from n0 'm'\n"
                                  "[1070] n2 > delivered 0 from n0 'm'\n"
                                  "[401200] n0 > lost n2: killed\n"
                                  "[401210] n3 > lost n2: killed\n"
                                  "[401230] n1 > lost n2: killed\n"
                                  "[401280] n0 > view 3 of members b\n"
                                  "[401290] n1 > view 3 of members b\n"
                                  "[401330] n3 > view 3 of members b\n"));
    assert_int_equal(nx_core_view(wire->cores[3])->stateless, 8);
    assert_int_equal(nx_core_view(wire->cores[3])->base[0][0],
                     nx_core_view(wire->cores[0])->base[0][0]);
    wire_send(wire, 1, "n");
    assert_int_equal(give_state(wire, 3), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[401430] n3 > delivered 5 from n1 'n'\n"
                                  "[401440] n0 > delivered 5 from n1 'n'\n"
                                  "[401450] n1 > delivered 5 from n1 'n'\n"));
    wire_close(wire);
}

/* It will not get the state any more, and has sent nothing but nulls: nobody waits for it, nor it for itself (L1). */
static void who_leaves_without_the_state_leaves_at_once(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_come(wire, 2, 77);
    let_in(wire, 0, 2);
    wire_send(wire, 0, "m");
    wire_run(wire);
    assert_false(nx_core_has_state(wire->cores[2]));
    nx_ns began = wire->now;
    wire_ask(wire, 2, (struct nx_event){.type = NX_EV_LEAVE});
    wire_run(wire);
    assert_true(nx_core_left(wire->cores[2]));
    assert_true(wire->now - began < WIRE_PATIENCE_NS);
    assert_int_equal(nx_view_ranks(nx_core_view(wire->cores[0])), 3);
    wire_close(wire);
}

enum { HELD_NS = 3 * WIRE_PATIENCE_NS };

/* n0 alone has the state; n1 has come and is given it, perhaps n2 as well. */
static struct wire *one_and_comers(unsigned comers)
{
    struct nx_core_config config = wire_config();
    config.leave_held_ns = HELD_NS;
    struct wire *wire = wire_open(&config, NULL, 1);
    for (unsigned n = 1; n <= comers; n++) {
        wire_come(wire, n, 76 + n);
        let_in(wire, 0, n);
    }
    return wire;
}

static void leave(struct wire *wire, unsigned node, bool anyway)
{
    wire_ask(wire, node, (struct nx_event){.type = NX_EV_LEAVE, .anyway = anyway});
}

static void who_alone_has_the_state_leaves_when_another_has_it(void **state)
{
    (void)state;
    struct wire *wire = one_and_comers(1);
    wire_ask(wire, 0, (struct nx_event){.type = NX_EV_WANT_OUT});
    wire_run(wire);
    assert_false(nx_core_may_leave(wire->cores[0]));
    assert_int_equal(nx_core_leave_awaits(wire->cores[0]), 2);
    assert_int_equal(wire_send(wire, 0, "still here"), NX_OK);
    leave(wire, 0, false);
    wire_run(wire);
    assert_int_equal(wire_send(wire, 0, "not any more"), NX_WEDGED);
    assert_false(nx_core_left(wire->cores[0]));
    assert_int_equal(nx_core_leader(wire->cores[0]), 0);
    assert_int_equal(give_state(wire, 1), NX_OK);
    nx_ns began = wire->now;
    wire_run(wire);
    assert_true(nx_core_left(wire->cores[0]));
    assert_true(wire->now - began < WIRE_PATIENCE_NS);
    assert_int_equal(nx_view_ranks(nx_core_view(wire->cores[1])), 2);
    assert_int_equal(nx_core_view(wire->cores[1])->stateless, 0);
    assert_int_equal(nx_core_lost_state(wire->cores[1]), 0);
    wire_close(wire);
}

/* Its death, its own leave, the end of patience, a word of the operator. */
static void what_ends_the_wait_for_who_is_given_the_state(void **state)
{
    (void)state;
    for (unsigned end = 0; end < 4; end++) {
        struct wire *wire = one_and_comers(2);
        leave(wire, 0, false);
        wire_run(wire);
        assert_int_equal(nx_core_leave_awaits(wire->cores[0]), 6);
        nx_ns began = wire->now;
        if (end == 0) {
            leave(wire, 1, false);
            leave(wire, 2, false);
        } else if (end == 1) {
            wire_kill(wire, 2);
            wire_run(wire);
            assert_int_equal(nx_core_leave_awaits(wire->cores[0]), 2);
            leave(wire, 1, false);
        } else if (end == 2) {
            wire->now += HELD_NS;
        } else {
            leave(wire, 0, true);
        }
        wire_run(wire);
        assert_true(nx_core_left(wire->cores[0]));
        assert_true(wire->now - began < WIRE_PATIENCE_NS + (end == 2 ? HELD_NS : 0));
        wire_close(wire);
    }
}

/* Each might rely on the other. One that stays is an heir as soon as it knows. */
static void of_two_that_have_the_state_and_leave_one_stays_until_it_is_given(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    config.leave_held_ns = HELD_NS;
    struct wire *wire = wire_open(&config, NULL, 2);
    wire_come(wire, 2, 77);
    let_in(wire, 0, 2);
    leave(wire, 0, false);
    leave(wire, 1, false);
    wire_run(wire);
    assert_false(nx_core_left(wire->cores[0]) && nx_core_left(wire->cores[1]));
    assert_int_equal(give_state(wire, 2), NX_OK);
    wire_run(wire);
    assert_true(nx_core_left(wire->cores[0]) && nx_core_left(wire->cores[1]));
    assert_int_equal(nx_core_lost_state(wire->cores[2]), 0);
    assert_int_equal(nx_core_view(wire->cores[2])->stateless, 0);
    wire_close(wire);

    wire = wire_open(&config, NULL, 2);
    wire_come(wire, 2, 77);
    let_in(wire, 0, 2);
    nx_ns began = wire->now;
    leave(wire, 0, false);
    wire_run(wire);
    assert_true(nx_core_left(wire->cores[0]));
    assert_true(wire->now - began < WIRE_PATIENCE_NS);
    wire_close(wire);
}

/* The view that brings it is under way as the leave is asked for. */
static void who_comes_in_the_view_under_way_is_waited_for(void **state)
{
    (void)state;
    struct wire *wire = one_and_comers(0);
    wire_come(wire, 1, 77);
    admit_at_all(wire, 0, 1);
    leave(wire, 0, false);
    wire_run(wire);
    wire_welcome(wire, 0, 1);
    wire_run(wire);
    assert_int_equal(nx_core_leave_awaits(wire->cores[0]), 2);
    assert_int_equal(give_state(wire, 1), NX_OK);
    wire_run(wire);
    assert_true(nx_core_left(wire->cores[0]));
    assert_int_equal(nx_core_lost_state(wire->cores[1]), 0);
    wire_close(wire);
}

static void send_bulk(struct wire *wire, unsigned node, const char *bytes, uint64_t total,
                      nx_stream *stream)
{
    const struct nx_update *update = wire_ask(
        wire, node,
        (struct nx_event){.type = NX_EV_BULK_OPEN, .total = total, .bytes = "head", .len = 4});
    assert_int_equal(update->status, NX_OK);
    *stream = update->stream;
    wire_ask(
        wire, node,
        (struct nx_event){
            .type = NX_EV_BULK_WRITE, .stream = *stream, .bytes = bytes, .len = strlen(bytes)});
}

/* Who comes has nothing of what is under way: it ends at all, and the sender begins anew. */
static void a_join_ends_the_streams_under_way(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    nx_stream stream;
    send_bulk(wire, 0, "abc", 6, &stream);
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    wire_come(wire, 2, 77);
    let_in(wire, 0, 2);
    assert_true(wire_expect(wire, "[1050] n0 > view 2 of members 7\n"
                                  "[1060] n1 > view 2 of members 7\n"
                                  "[1070] n0 > bulk aborted by n0\n"
                                  "[1080] n1 > bulk aborted by n0\n"));
    struct nx_event more = {.type = NX_EV_BULK_WRITE, .stream = stream, .bytes = "def", .len = 3};
    assert_int_equal(wire_ask(wire, 0, more)->status, NX_NOT_FOUND);
    give_state(wire, 2);
    send_bulk(wire, 0, "xyz", 3, &stream);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1180] n1 > bulk from n0 at 0 of 3 'xyz'\n"
                                  "[1190] n2 > bulk from n0 at 0 of 3 'xyz'\n"
                                  "[1220] n2 > delivered 0 from n0 bulk 'head'\n"
                                  "[1230] n0 > delivered 0 from n0 bulk 'head'\n"
                                  "[1240] n1 > delivered 0 from n0 bulk 'head'\n"));
    wire_close(wire);
}

/* Its commit is not delivered yet: it ends, too. */
static void a_join_ends_a_committed_stream_that_is_not_delivered(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    nx_stream stream;
    send_bulk(wire, 0, "abc", 3, &stream);
    wire_turn(wire, 0);
    wire_turn(wire, 1); /* has all, and says so */
    wire->lanes[0][1].held = true;
    wire_turn(wire, 0); /* commits */
    wire_turn(wire, 0);
    wire->trace_len = 0;
    wire_come(wire, 2, 77);
    assert_int_equal(wire_admit(wire, 1, 0, 2), NX_OK);
    assert_int_equal(wire_admit(wire, 0, 0, 2), NX_OK);
    /* n1 freezes its count before the commit comes. */
    wire_ask(wire, 1, (struct nx_event){.type = NX_EV_POLL});
    assert_int_equal(wire_join(wire, 0, 4), NX_OK);
    wire_run(wire);
    wire_release(wire, 0, 1);
    wire_run(wire);
    wire_welcome(wire, 0, 2);
    wire_run(wire);
    assert_true(wire_expect(wire, "[110] n0 > view 2 of members 7\n"
                                  "[120] n1 > view 2 of members 7\n"
                                  "[130] n0 > bulk aborted by n0\n"
                                  "[140] n1 > bulk aborted by n0\n"));
    wire_close(wire);
}

/* The seat of one that is gone: nothing of the former owner counts, and all that was closed begins anew. */
static void a_seat_has_a_new_owner(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    struct nx_event load = {.type = NX_EV_LOAD, .word = 0, .value = 7};
    wire_ask(wire, 2, load);
    load.value = 5;
    wire_ask(wire, 1, load);
    wire_send(wire, 2, "old");
    const struct nx_update *asked =
        wire_ask(wire, 2, (struct nx_event){.type = NX_EV_QUERY_OPEN, .peer = 0, .total = 8});
    wire_ask(wire, 2,
             (struct nx_event){
                 .type = NX_EV_QUERY_WRITE, .stream = asked->stream, .bytes = "old", .len = 3});
    wire_run(wire);
    wire_kill(wire, 2);
    wire_run(wire);
    wire->trace_len = 0;
    wire->now = 1000;
    wire_come(wire, 2, 77);
    let_in(wire, 0, 2);
    give_state(wire, 2);
    wire_run(wire);
    assert_int_equal(nx_core_load(wire->cores[0], 2, 0), 0);
    assert_int_equal(nx_core_load(wire->cores[2], 1, 0), 5);
    wire_send(wire, 2, "new");
    asked = wire_ask(wire, 2, (struct nx_event){.type = NX_EV_QUERY_OPEN, .peer = 0, .total = 3});
    wire_ask(wire, 2,
             (struct nx_event){
                 .type = NX_EV_QUERY_WRITE, .stream = asked->stream, .bytes = "new", .len = 3});
    wire_run(wire);
    assert_true(wire_expect(wire, "[1050] n0 > view 3 of members 7\n"
                                  "[1060] n1 > view 3 of members 7\n"
                                  "[1230] n0 > query from n2 at 0 of 3 'new'\n"
                                  "[1260] n0 > delivered 5 from n2 'new'\n"
                                  "[1270] n1 > delivered 5 from n2 'new'\n"
                                  "[1280] n2 > delivered 5 from n2 'new'\n"));
    wire_close(wire);
}

/* One of two is killed: the other is blocked until the dead one's node asks to come back. */
static void of_two_a_killed_one_may_come_back(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_kill(wire, 1);
    wire_run(wire);
    assert_int_equal(nx_core_change_state(wire->cores[0]), NX_CHANGE_BLOCKED);
    wire->trace_len = 0;
    wire->now = 1000;
    wire_come(wire, 2, 101);
    struct nx_member stranger = {.node = 200}; /* proves nothing */
    struct nx_event admit = {.type = NX_EV_ADMIT, .vid = 1, .rank = 2, .member = &stranger};
    assert_int_equal(wire_ask(wire, 0, admit)->status, NX_OK);
    wire_run(wire);
    assert_int_equal(nx_core_change_state(wire->cores[0]), NX_CHANGE_BLOCKED);
    assert_int_equal(wire_admit(wire, 0, 0, 2), NX_OK);
    wire_run(wire);
    assert_int_equal(wire_join(wire, 0, 4), NX_NOT_FOUND); /* the view that admitted it is over */
    let_in(wire, 0, 2);
    assert_true(wire_expect(wire, "[1020] n0 > view 2 of members 1\n"
                                  "[1040] n0 > view 3 of members 5\n"));
    wire_close(wire);
}

/* The proof may come before the death is known. */
static void a_proof_waits_for_the_suspicion(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_come(wire, 2, 101);
    assert_int_equal(wire_admit(wire, 0, 0, 2), NX_EXISTS);
    wire_run(wire);
    assert_int_equal(nx_core_change_state(wire->cores[0]), NX_CHANGE_STEADY);
    wire->now = 1000;
    wire->trace_len = 0;
    wire_kill(wire, 1);
    wire_run(wire);
    /* W1: what is sent when the loss is told is of the old view, so the new one is a turn later */
    assert_true(wire_expect(wire, "[1010] n0 > lost n1: killed\n"
                                  "[1020] n0 > view 2 of members 1\n"));
    assert_int_equal(nx_core_view(wire->cores[0])->vid, 2);
    assert_int_equal(nx_view_ranks(nx_core_view(wire->cores[0])), 1);
    wire_close(wire);
}

/* A dead leader gave the only seat away: what another ADMIT of it proves counts, though it is refused. */
static void a_refused_admit_tells_of_a_death(void **state)
{
    (void)state;
    struct wire *wire = group_of(4);
    wire_come(wire, 4, 77);
    assert_int_equal(wire_admit(wire, 3, 0, 4), NX_OK);
    wire_kill(wire, 0);
    wire_kill(wire, 1);
    wire_run(wire);
    assert_int_equal(nx_core_change_state(wire->cores[2]), NX_CHANGE_BLOCKED);
    wire->ids[4] = 101;
    assert_int_equal(wire_admit(wire, 2, 2, 4), NX_OK);
    assert_int_equal(wire_admit(wire, 3, 2, 4), NX_AGAIN);
    wire_run(wire);
    assert_int_equal(nx_core_view(wire->cores[2])->vid, 2);
    assert_int_equal(nx_core_view(wire->cores[3])->vid, 2);
    wire_close(wire);
}

static void what_may_not_be_admitted_is_refused(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    struct nx_member member = {.node = 77};
    struct nx_event admit = {.type = NX_EV_ADMIT, .vid = 1, .rank = 3, .member = &member};
    wire_come(wire, 3, 77);
    assert_int_equal(wire_admit(wire, 1, 1, 3), NX_AGAIN); /* rank 0 leads */
    admit.rank = 2;
    assert_int_equal(wire_ask(wire, 0, admit)->status, NX_EXISTS);
    admit.rank = WIRE_NODES_MAX;
    assert_int_equal(wire_ask(wire, 0, admit)->status, NX_INVALID);
    admit.rank = 3;
    member.node = 101;
    assert_int_equal(wire_ask(wire, 0, admit)->status, NX_EXISTS); /* it lives */
    member.node = 77;
    admit.vid = 2;
    assert_int_equal(wire_ask(wire, 0, admit)->status, NX_AGAIN); /* of another view */
    member.subgroup = 1;
    assert_int_equal(wire_ask(wire, 0, admit)->status, NX_INVALID);
    assert_int_equal(wire_join(wire, 0, 8), NX_NOT_FOUND);
    assert_int_equal(wire_join(wire, 0, 1), NX_INVALID);
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(wire_admit(wire, n, 0, 3), NX_OK);
    assert_int_equal(wire_admit(wire, 0, 0, 3), NX_OK); /* again */
    assert_int_equal(wire_join(wire, 0, 8), NX_OK);
    assert_int_equal(wire_admit(wire, 0, 0, 3), NX_AGAIN); /* it is proposed */
    assert_int_equal(nx_core_leader(wire->cores[1]), 0);
    assert_int_equal(give_state(wire, 0), NX_EXISTS);
    wire_close(wire);
}

/* All accepted what the leader proposed before it died: it is kept. The joiner, whom nobody lets in, goes with it. */
static void a_join_that_all_accepted_outlives_its_leader(void **state)
{
    (void)state;
    struct wire *wire = group_of(4);
    wire_come(wire, 4, 77);
    admit_at_all(wire, 0, 4);
    wire->now = 1000;
    for (unsigned n = 0; n < 4; n++)
        wire_turn(wire, n); /* wedged */
    wire_turn(wire, 0);     /* proposes */
    for (unsigned n = 1; n < 4; n++)
        wire_turn(wire, n); /* accepts */
    wire_kill(wire, 0);
    wire_run(wire);
    wire_kill(wire, 4);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1090] n1 > lost n0: killed\n"
                                  "[1100] n2 > lost n0: killed\n"
                                  "[1110] n3 > lost n0: killed\n"
                                  "[1120] n1 > view 2 of members 1f\n"
                                  "[1130] n2 > view 2 of members 1f\n"
                                  "[1140] n3 > view 2 of members 1f\n"
                                  "[1210] n1 > lost n4: killed\n"
                                  "[1220] n2 > lost n4: killed\n"
                                  "[1230] n3 > lost n4: killed\n"
                                  "[1240] n1 > view 3 of members e\n"
                                  "[1250] n2 > view 3 of members e\n"
                                  "[1260] n3 > view 3 of members e\n"));
    wire_close(wire);
}

/* The leader has decided and let the joiner in, and dies before anybody else hears of it. */
static void a_joiner_is_the_proof_of_its_view(void **state)
{
    (void)state;
    struct wire *wire = group_of(2);
    wire_come(wire, 2, 77);
    admit_at_all(wire, 0, 2);
    wire->now = 1000;
    for (unsigned turn = 0; turn < 4 && nx_core_view(wire->cores[0])->vid == 1; turn++) {
        wire_turn(wire, 0);
        /* the wedge and the proposal come, the decision does not */
        wire->lanes[0][1].held = turn > 0;
        wire_turn(wire, 1);
    }
    assert_int_equal(nx_core_view(wire->cores[0])->vid, 2);
    assert_int_equal(nx_core_view(wire->cores[1])->vid, 1);
    wire_welcome(wire, 0, 2);
    wire_kill(wire, 0);
    wire_run(wire);
    assert_int_equal(nx_core_view(wire->cores[1])->vid, 3);
    assert_int_equal(nx_view_ranks(nx_core_view(wire->cores[1])), 6);
    assert_int_equal(nx_core_view(wire->cores[2])->vid, 3);
    wire_close(wire);
}

/* A seat that a dead leader gave away stays so until the next view: somebody may have accepted it. */
static void a_seat_is_given_by_one_leader_in_a_view(void **state)
{
    (void)state;
    struct wire *wire = group_of(4);
    wire_come(wire, 4, 77);
    assert_int_equal(wire_admit(wire, 3, 0, 4), NX_OK);
    wire->now = 1000;
    wire_kill(wire, 0);
    assert_int_equal(wire_admit(wire, 1, 1, 4), NX_OK);
    assert_int_equal(wire_admit(wire, 3, 1, 4), NX_AGAIN);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n1 > lost n0: killed\n"
                                  "[1020] n2 > lost n0: killed\n"
                                  "[1030] n3 > lost n0: killed\n"
                                  "[1070] n1 > view 2 of members e\n"
                                  "[1080] n2 > view 2 of members e\n"
                                  "[1090] n3 > view 2 of members e\n"));
    assert_int_equal(wire_admit(wire, 3, 1, 4), NX_OK);
    assert_int_equal(wire_join(wire, 1, 16),
                     NX_NOT_FOUND); /* n1 itself admitted it in the view before */
    wire_close(wire);
}

/* A joiner that dies before its view is installed, and removed by the next. */
static void a_joiner_that_dies_is_installed_and_removed(void **state)
{
    (void)state;
    struct wire *wire = group_of(3);
    wire_come(wire, 3, 77);
    admit_at_all(wire, 0, 3);
    wire->now = 1000;
    wire_kill(wire, 3);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1070] n0 > view 2 of members f\n"
                                  "[1080] n1 > view 2 of members f\n"
                                  "[1090] n2 > view 2 of members f\n"
                                  "[1100] n0 > lost n3: its connection ended\n"
                                  "[1110] n1 > lost n3: its connection ended\n"
                                  "[1120] n2 > lost n3: its connection ended\n"
                                  "[1130] n0 > view 3 of members 7\n"
                                  "[1140] n1 > view 3 of members 7\n"
                                  "[1150] n2 > view 3 of members 7\n"));
    wire_close(wire);
}

/* Below its minimum with state a shard waits; once the joiner has it, all that was sent is delivered. */
static void a_shard_waits_for_the_state(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    config.spec.subgroups[0].min_nodes = 2;
    struct wire *wire = wire_open(&config, NULL, 3);
    wire_kill(wire, 2);
    wire_run(wire);
    wire_kill(wire, 1);
    wire_run(wire);
    wire_come(wire, 2, 101);
    assert_int_equal(wire_admit(wire, 0, 0, 2), NX_OK);
    wire_run(wire);
    let_in(wire, 0, 2);
    assert_int_equal(nx_core_shard_status(wire->cores[0], 0, 0), NX_UNAVAILABLE);
    assert_int_equal(wire_send(wire, 0, "m"), NX_UNAVAILABLE);
    wire->trace_len = 0;
    wire->now = 1000;
    assert_int_equal(give_state(wire, 2), NX_OK);
    wire_run(wire);
    assert_int_equal(nx_core_shard_status(wire->cores[0], 0, 0), NX_OK);
    assert_int_equal(wire_send(wire, 0, "m"), NX_OK);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1060] n2 > delivered 0 from n0 'm'\n"
                                  "[1070] n0 > delivered 0 from n0 'm'\n"));
    wire_close(wire);
}

/* A spare takes the place of one that is gone. */
static void a_spare_is_promoted(void **state)
{
    (void)state;
    struct nx_core_config config = wire_config();
    config.spec.subgroups[0].max_nodes = 2;
    struct wire *wire = wire_open(&config, NULL, 3);
    wire->now = 1000;
    wire_kill(wire, 1);
    wire_run(wire);
    assert_int_equal(nx_core_layout(wire->cores[0])->shards[0][0].set, 5);
    assert_int_equal(nx_core_view(wire->cores[2])->stateless, 4);
    wire_send(wire, 0, "m");
    give_state(wire, 2);
    wire_run(wire);
    assert_true(wire_expect(wire, "[1010] n0 > lost n1: killed\n"
                                  "[1020] n2 > lost n1: killed\n"
                                  "[1050] n0 > view 2 of members 5\n"
                                  "[1060] n2 > view 2 of members 5\n"
                                  "[1110] n2 > delivered 0 from n0 'm'\n"
                                  "[1120] n0 > delivered 0 from n0 'm'\n"));
    wire_close(wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_is_in_the_next_view_and_delivers_once_it_has_the_state),
        cmocka_unit_test(who_lacks_the_state_skips_the_end_of_the_view),
        cmocka_unit_test(who_leaves_without_the_state_leaves_at_once),
        cmocka_unit_test(who_alone_has_the_state_leaves_when_another_has_it),
        cmocka_unit_test(what_ends_the_wait_for_who_is_given_the_state),
        cmocka_unit_test(of_two_that_have_the_state_and_leave_one_stays_until_it_is_given),
        cmocka_unit_test(who_comes_in_the_view_under_way_is_waited_for),
        cmocka_unit_test(a_join_ends_the_streams_under_way),
        cmocka_unit_test(a_join_ends_a_committed_stream_that_is_not_delivered),
        cmocka_unit_test(a_seat_has_a_new_owner),
        cmocka_unit_test(of_two_a_killed_one_may_come_back),
        cmocka_unit_test(a_proof_waits_for_the_suspicion),
        cmocka_unit_test(a_refused_admit_tells_of_a_death),
        cmocka_unit_test(what_may_not_be_admitted_is_refused),
        cmocka_unit_test(a_join_that_all_accepted_outlives_its_leader),
        cmocka_unit_test(a_joiner_is_the_proof_of_its_view),
        cmocka_unit_test(a_seat_is_given_by_one_leader_in_a_view),
        cmocka_unit_test(a_joiner_that_dies_is_installed_and_removed),
        cmocka_unit_test(a_shard_waits_for_the_state),
        cmocka_unit_test(a_spare_is_promoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
