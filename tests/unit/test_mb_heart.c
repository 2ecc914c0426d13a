/* Who is unheard, who may condemn, and who goes on: nodes are hearts that hear one another as a table says. */
#include "group/membership/mb_heart.h"
#include "nx_test.h"

#include <string.h>

enum {
    T = 900,
    PERIOD = T / NX_BEATS_PER_TIMEOUT,
    DWELL = T / NX_DWELLS_PER_TIMEOUT,
    NODES_MAX = 8
};

struct net {
    unsigned nodes;
    struct nx_heart hearts[NODES_MAX];
    nx_rankset hears[NODES_MAX]; /* whom node n hears */
    nx_rankset out[NODES_MAX];   /* whom it condemned or was told of */
    nx_ns stopped_until[NODES_MAX];
    nx_rankset fenced;
};

static nx_rankset all(const struct net *net)
{
    return NX_RANK_BIT(net->nodes) - 1;
}

static void begin(struct net *net, unsigned nodes)
{
    memset(net, 0, sizeof *net);
    net->nodes = nodes;
    for (nx_rank n = 0; n < nodes; n++) {
        net->hears[n] = all(net);
        nx_heart_begin(&net->hearts[n], T, n, all(net), 0);
        for (nx_rank peer = 0; peer < nodes; peer++)
            if (peer != n)
                nx_heart_hear(&net->hearts[n], peer, false, 0);
    }
}

/* One turn: hears all that it can, condemns, tells those that it can reach. */
static void turn(struct net *net, nx_rank n, nx_ns now)
{
    struct nx_heart *heart = &net->hearts[n];
    nx_heart_turn(heart, now);
    for (nx_rank peer = 0; peer < net->nodes; peer++) {
        bool silent = now < net->stopped_until[peer] || !(net->hears[n] >> peer & 1);
        if (peer == n || silent || ((net->out[n] | net->fenced) >> peer & 1))
            continue;
        if (net->out[peer] >> n & 1)
            net->fenced |= NX_RANK_BIT(n);
        nx_heart_hear(heart, peer, true, now);
        nx_heart_hear_links(heart, peer, nx_heart_links(&net->hearts[peer]));
        net->out[n] |= net->out[peer] & ~NX_RANK_BIT(n);
    }
    if (net->fenced >> n & 1)
        return;
    net->out[n] |= nx_heart_judge(heart, all(net) & ~net->out[n], now);
    heart->due = now + 10;
}

static void run(struct net *net, nx_ns from, nx_ns until)
{
    for (nx_ns now = from; now < until; now += 10)
        for (nx_rank n = 0; n < net->nodes; n++)
            if (now >= net->stopped_until[n] && !(net->fenced >> n & 1))
                turn(net, n, now);
}

static void cut(struct net *net, nx_rank from, nx_rank to)
{
    net->hears[to] &= ~NX_RANK_BIT(from);
}

static void cut_both(struct net *net, nx_rank a, nx_rank b)
{
    cut(net, a, b);
    cut(net, b, a);
}

static void nobody_is_condemned_while_all_are_heard(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 5);
    run(&net, 0, 20 * T);
    for (nx_rank n = 0; n < 5; n++) {
        assert_int_equal(net.out[n], 0);
        assert_int_equal(net.hearts[n].clique, 31);
    }
}

static void a_silent_member_is_condemned_after_the_timeout_and_not_before(void **state)
{
    (void)state;
    for (nx_rank silent = 0; silent < 3; silent++) {
        struct net net;
        begin(&net, 3);
        run(&net, 0, T);
        net.stopped_until[silent] = 100 * T;
        run(&net, T, 2 * T - 20);
        for (nx_rank n = 0; n < 3; n++)
            assert_int_equal(net.out[n], 0);
        run(&net, 2 * T - 20, 2 * T + DWELL + 30);
        for (nx_rank n = 0; n < 3; n++)
            assert_int_equal(net.out[n], n == silent ? 0 : NX_RANK_BIT(silent));
    }
}

/* Node 2 dies while it writes its last beat: some have it, node 3 has not. */
static void whom_a_dying_member_did_not_reach_is_not_blamed(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 4);
    run(&net, 0, T);
    cut(&net, 2, 3);
    run(&net, T, 2 * T - 50);
    net.stopped_until[2] = 100 * T;
    run(&net, 2 * T - 50, 4 * T);
    for (nx_rank n = 0; n < 4; n++)
        assert_int_equal(net.out[n], n == 2 ? 0 : NX_RANK_BIT(2));
}

/* Node 0 falls silent, and its last beat of node 2 is younger than that of node 1. */
static void who_hears_less_and_less_blames_nobody(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 3);
    run(&net, 0, T);
    cut_both(&net, 0, 1);
    run(&net, T, T + PERIOD);
    cut_both(&net, 0, 2);
    run(&net, T + PERIOD, 2 * T + PERIOD - 10);
    assert_int_equal(net.out[0], 0);
    run(&net, 2 * T + PERIOD - 10, 4 * T);
    assert_int_equal(net.out[0], 0);
    assert_int_equal(net.out[1], 1);
    assert_int_equal(net.out[2], 1);
}

static void a_member_that_was_stopped_finds_nobody_silent(void **state)
{
    (void)state;
    struct nx_heart heart;
    nx_heart_begin(&heart, T, 0, 7, 0);
    nx_heart_hear(&heart, 1, true, 0);
    nx_heart_hear(&heart, 2, true, 0);
    (void)nx_heart_beat(&heart, 0);
    heart.due = nx_heart_next(&heart, 7);
    nx_heart_turn(&heart, 50 * T);
    (void)nx_heart_beat(&heart, 50 * T);
    (void)nx_heart_judge(&heart, 7, 50 * T);
    assert_int_equal(heart.links[0].unheard, 0);
    heart.due = nx_heart_next(&heart, 7);
    assert_true(heart.due > 50 * T); /* and looks again as if no time had passed */
    nx_heart_turn(&heart, 51 * T);
    assert_int_equal(nx_heart_judge(&heart, 7, 51 * T), 0);
    assert_int_equal(heart.links[0].unheard, 0);
}

/* Node 2 of three is stopped at this time. Whether node 0 condemns it before it goes on for good. */
static bool is_condemned_for(nx_ns stopped_at, nx_ns pause)
{
    struct nx_heart judge, sleeper;
    nx_heart_begin(&judge, T, 0, 7, 0);
    nx_heart_begin(&sleeper, T, 2, 7, 0);
    bool condemned = false;
    for (nx_ns now = 0; now < stopped_at + pause + T; now += 5) {
        bool runs = now < stopped_at || now >= stopped_at + pause;
        nx_heart_turn(&judge, now);
        nx_heart_hear(&judge, 1, true, now);
        if (runs && nx_heart_beat(&sleeper, now))
            nx_heart_hear(&judge, 2, true, now);
        condemned |= nx_heart_judge(&judge, 7, now) != 0;
        judge.due = now + 5;
    }
    return condemned;
}

static void a_pause_of_nearly_the_timeout_is_survived(void **state)
{
    (void)state;
    for (nx_ns at = T; at < T + 2 * PERIOD; at += 5) {
        assert_false(is_condemned_for(at, T - PERIOD + DWELL - 10));
        assert_true(is_condemned_for(at, T + DWELL + 10));
    }
    assert_true(12 * (T - PERIOD + DWELL) >= 11 * T);
}

/* A turn of node 0 that hears node 2, and node 1 if that is awake. */
static nx_rankset turn_of_waker(struct nx_heart *heart, bool awake, nx_ns now)
{
    nx_heart_turn(heart, now);
    nx_heart_hear(heart, 2, true, now);
    if (awake)
        nx_heart_hear(heart, 1, true, now);
    heart->due = now + 10;
    return nx_heart_judge(heart, 7, now);
}

/* Node 0 was stopped, and node 1 found it silent before it was stopped, too. Node 0 wakes first: what node 1 says is old. */
static void who_wakes_does_not_blame_those_that_could_not_hear_it(void **state)
{
    (void)state;
    struct nx_heart heart;
    nx_ns now = 2 * T;
    nx_heart_begin(&heart, T, 0, 7, 0);
    heart.due = 10;
    nx_heart_turn(&heart, now);
    nx_heart_hear(&heart, 1, true, now);
    nx_heart_hear_links(&heart, 1, nx_links_word((struct nx_links){1, 1}));
    assert_int_equal(turn_of_waker(&heart, false, now), 0);
    for (; now < 3 * T - 20; now += 10)
        assert_int_equal(turn_of_waker(&heart, false, now), 0);
    struct nx_heart stubborn = heart;
    nx_heart_hear_links(&heart, 1, 0);
    assert_int_equal(turn_of_waker(&heart, true, now), 0);
    assert_int_equal(heart.clique, 7);
    /* it heard what was written since, or could have, and says it again */
    assert_int_equal(turn_of_waker(&stubborn, true, now), NX_RANK_BIT(1));
}

static void all_that_were_stopped_together_go_on(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 4);
    run(&net, 0, T);
    for (nx_rank n = 0; n < 4; n++)
        net.stopped_until[n] = 40 * T + n * T / 4; /* they wake one after the other */
    run(&net, T, 50 * T);
    for (nx_rank n = 0; n < 4; n++)
        assert_int_equal(net.out[n], 0);
}

static void of_two_that_do_not_hear_one_another_the_higher_goes(void **state)
{
    (void)state;
    for (unsigned nodes = 3; nodes <= 6; nodes++)
        for (nx_rank a = 0; a < nodes; a++)
            for (nx_rank b = 0; b < nodes; b++) {
                struct net net;
                if (a == b)
                    continue;
                begin(&net, nodes);
                cut(&net, a, b);
                if (a < b)
                    cut(&net, b, a); /* else one-way, from the higher to the lower or … */
                run(&net, 0, 4 * T);
                nx_rankset gone = NX_RANK_BIT(a > b ? a : b);
                for (nx_rank n = 0; n < nodes; n++)
                    if (!(gone >> n & 1))
                        assert_int_equal(net.out[n], gone);
            }
}

static void one_that_hears_nobody_goes_though_all_hear_it(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 3);
    net.hears[0] = 1;
    run(&net, 0, 4 * T);
    assert_int_equal(net.out[1], 1);
    assert_int_equal(net.out[2], 1);
    assert_int_equal(net.out[0], 0); /* a minority condemns nobody */
    assert_true(net.hearts[0].isolated);
}

static void a_low_rank_with_few_links_does_not_take_the_others_along(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 5);
    for (nx_rank n = 2; n < 5; n++)
        cut_both(&net, 0, n);
    run(&net, 0, 6 * T);
    for (nx_rank n = 1; n < 5; n++)
        assert_int_equal(net.out[n], 1);
}

static void without_a_majority_nobody_goes_and_all_go_on_when_the_links_are_back(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 4);
    cut_both(&net, 0, 2), cut_both(&net, 0, 3), cut_both(&net, 1, 2), cut_both(&net, 1, 3);
    run(&net, 0, 10 * T);
    for (nx_rank n = 0; n < 4; n++) {
        assert_int_equal(net.out[n], 0);
        assert_true(net.hearts[n].isolated);
        net.hears[n] = all(&net);
    }
    run(&net, 10 * T, 11 * T);
    for (nx_rank n = 0; n < 4; n++) {
        assert_int_equal(net.out[n], 0);
        assert_false(net.hearts[n].isolated);
    }
}

static void a_ring_with_a_chord_too_few_finds_its_clique(void **state)
{
    (void)state;
    struct net net;
    begin(&net, 7); /* broken: 0-1, 2-3, 4-5: one of each pair goes, four stay */
    cut_both(&net, 0, 1), cut_both(&net, 2, 3), cut_both(&net, 4, 5);
    run(&net, 0, 5 * T);
    for (nx_rank n = 0; n < 7; n += 2)
        assert_int_equal(net.out[n], NX_RANK_BIT(1) | NX_RANK_BIT(3) | NX_RANK_BIT(5));
}

/* Whatever links break: who is condemned was an end of a broken one; two members that go on never condemn one another, and
 * where a majority is linked, some majority goes on. */
static void whatever_links_break_a_linked_majority_goes_on(void **state)
{
    (void)state;
    for (unsigned broken = 0; broken < 1u << 10; broken++) { /* the ten links of five members */
        struct net net;
        begin(&net, 5);
        nx_rankset ends = 0;
        struct nx_links links[5] = {{0, 0}};
        unsigned bit = 0;
        for (nx_rank a = 0; a < 5; a++)
            for (nx_rank b = a + 1; b < 5; b++, bit++) {
                if (!(broken >> bit & 1))
                    continue;
                cut_both(&net, a, b);
                links[a].broken |= 1u << b;
                links[b].broken |= 1u << a;
                ends |= NX_RANK_BIT(a) | NX_RANK_BIT(b);
            }
        run(&net, 0, 6 * T);
        bool could = false, does = false;
        for (nx_rank n = 0; n < 5; n++) {
            could |= __builtin_popcountll(nx_links_clique(links, 31, n, 0, 5)) >= 3;
            assert_int_equal(net.out[n] & ~ends, 0);
        }
        for (nx_rank n = 0; n < 5; n++) {
            nx_rankset with = 31 & ~net.out[n];
            bool agree = __builtin_popcountll(with) >= 3;
            for (nx_rank m = 0; m < 5; m++)
                if (with >> m & 1)
                    agree &= net.out[m] == net.out[n] && !(with & ~net.hears[m]);
            does |= agree;
        }
        assert_int_equal(does, could);
    }
}

static void beats_come_together_and_not_more_often(void **state)
{
    (void)state;
    struct nx_heart heart;
    nx_heart_begin(&heart, T, 0, 3, 0);
    assert_true(nx_heart_beat(&heart, 0));
    assert_false(nx_heart_beat(&heart, PERIOD - 1));
    nx_heart_turn(&heart, PERIOD / 2 - 10);
    nx_heart_hear(&heart, 1, true, PERIOD / 2 - 10);
    assert_false(nx_heart_beat(&heart, PERIOD / 2 - 10));
    nx_heart_turn(&heart, PERIOD - 10);
    nx_heart_hear(&heart, 1, true, PERIOD - 10);
    assert_true(nx_heart_beat(&heart, PERIOD - 10));
    assert_int_equal(heart.beats, 2);
}

static void a_heart_that_is_off_neither_beats_nor_judges(void **state)
{
    (void)state;
    struct nx_heart heart;
    nx_heart_begin(&heart, 0, 0, 7, 0);
    assert_false(nx_heart_beat(&heart, NX_SEC));
    assert_int_equal(nx_heart_judge(&heart, 7, 1000 * NX_SEC), 0);
    assert_true(nx_heart_next(&heart, 7) == NX_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_condemned_while_all_are_heard),
        cmocka_unit_test(a_silent_member_is_condemned_after_the_timeout_and_not_before),
        cmocka_unit_test(whom_a_dying_member_did_not_reach_is_not_blamed),
        cmocka_unit_test(who_hears_less_and_less_blames_nobody),
        cmocka_unit_test(a_member_that_was_stopped_finds_nobody_silent),
        cmocka_unit_test(who_wakes_does_not_blame_those_that_could_not_hear_it),
        cmocka_unit_test(a_pause_of_nearly_the_timeout_is_survived),
        cmocka_unit_test(all_that_were_stopped_together_go_on),
        cmocka_unit_test(of_two_that_do_not_hear_one_another_the_higher_goes),
        cmocka_unit_test(one_that_hears_nobody_goes_though_all_hear_it),
        cmocka_unit_test(a_low_rank_with_few_links_does_not_take_the_others_along),
        cmocka_unit_test(without_a_majority_nobody_goes_and_all_go_on_when_the_links_are_back),
        cmocka_unit_test(a_ring_with_a_chord_too_few_finds_its_clique),
        cmocka_unit_test(whatever_links_break_a_linked_majority_goes_on),
        cmocka_unit_test(beats_come_together_and_not_more_often),
        cmocka_unit_test(a_heart_that_is_off_neither_beats_nor_judges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
