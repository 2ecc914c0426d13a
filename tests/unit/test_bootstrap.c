/* Nodes of a group in one thread, over loopback; cards are made up, as the fabric is not part of
 * this. */
#include "boot_nodes.h"
#include "nx_ports.h"

#include "group/fabric/boot_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int make_nodes(void **state)
{
    struct boot_nodes *f = calloc(1, sizeof *f);
    boot_nodes_init(f, 10, -1); /* so that ranks are not the order of starting */
    *state = f;
    return 0;
}

static int close_nodes(void **state)
{
    boot_nodes_fini(*state);
    free(*state);
    return 0;
}

static void install_all(struct boot_nodes *f)
{
    for (int i = 0; i < BOOT_NODES; i++)
        boot_nodes_open(f, i);
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
}

static void a_view_forms_leader_first_then_by_id(void **state)
{
    struct boot_nodes *f = *state;
    boot_nodes_open(f, 1);
    boot_nodes_open(f, 2);
    nx_ns until = nx_clock_now() + 120 * NX_MS;
    while (nx_clock_now() < until) /* the leader comes last; the others go on calling */
        boot_nodes_turn(f);
    assert_int_equal(boot_nodes_phase(f, 1), NX_BOOT_GATHERING);
    boot_nodes_open(f, 0);
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
    const nx_node order[BOOT_NODES] = {10, 8, 9};
    const nx_rank ranks[BOOT_NODES] = {0, 2, 1};
    for (int i = 0; i < BOOT_NODES; i++) {
        const struct nx_boot_view *v = nx_bootstrap_view(f->boots[i]);
        assert_int_equal(v->rank, ranks[i]);
        assert_true(v->token != 0 && v->token == nx_bootstrap_view(f->boots[0])->token);
        assert_int_equal(v->view.vid, 1);
        assert_int_equal(v->view.members_count, BOOT_NODES);
        for (int r = 0; r < BOOT_NODES; r++) {
            assert_int_equal(v->view.members[r].node, order[r]);
            assert_int_equal(v->cards[r].region_key, order[r]);
        }
    }
}

static void nobody_installs_before_all_are_connected(void **state)
{
    struct boot_nodes *f = *state;
    f->auto_connect = false;
    for (int i = 0; i < BOOT_NODES; i++)
        boot_nodes_open(f, i);
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 0) == NX_BOOT_CONNECTING &&
                           boot_nodes_phase(f, 1) == NX_BOOT_CONNECTING &&
                           boot_nodes_phase(f, 2) == NX_BOOT_CONNECTING);
    nx_bootstrap_connected(f->boots[0]);
    nx_bootstrap_connected(f->boots[1]);
    for (int i = 0; i < 300; i++)
        boot_nodes_turn(f);
    for (int i = 0; i < BOOT_NODES; i++)
        assert_int_equal(boot_nodes_phase(f, i), NX_BOOT_CONNECTING);
    nx_bootstrap_connected(f->boots[2]);
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
}

static void expect_refusal(struct boot_nodes *f, int i, const char *words)
{
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, i) == NX_BOOT_FAILED);
    const char *text = nx_bootstrap_error(f->boots[i])->text;
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    if (!strstr(f->log, words)) /* the leader's side says it too */
        fail_msg("the leader logged \"%s\"", f->log);
    boot_nodes_close(f, i);
}

static void a_duplicate_id_is_refused_and_the_group_forms(void **state)
{
    struct boot_nodes *f = *state;
    boot_nodes_open(f, 0);
    boot_nodes_open(f, 1);
    f->configs[BOOT_NODES].local_id = f->configs[1].local_id;
    while (!strstr(f->log, "taken")) {
        if (!f->boots[BOOT_NODES])
            for (int i = 0; i < 100; i++)
                boot_nodes_turn(f); /* node 1 is there first */
        if (!f->boots[BOOT_NODES])
            boot_nodes_open(f, BOOT_NODES);
        boot_nodes_turn(f);
    }
    expect_refusal(f, BOOT_NODES, "node id 9 is taken by 127.0.0.1");
    f->configs[BOOT_NODES].local_id = f->configs[0].local_id; /* the leader's own id */
    boot_nodes_open(f, BOOT_NODES);
    expect_refusal(f, BOOT_NODES, "node id 10 is taken by 127.0.0.1");
    boot_nodes_open(f, 2);
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
}

static void another_configuration_is_refused(void **state)
{
    struct boot_nodes *f = *state;
    boot_nodes_open(f, 0);
    f->configs[1].spec.subgroups[0].num_shards = 2;
    boot_nodes_open(f, 1);
    expect_refusal(f, 1, "your configuration differs: num_shards of ALL is 2");
}

/* --- a running group -------------------------------------------------------------------------- */

static void set_contact(struct boot_nodes *f, int i, int contact)
{
    struct nx_group_config *c = &f->configs[i];
    strcpy(c->contacts[0].ip, "127.0.0.1");
    c->contacts[0].port = nx_bootstrap_port(f->boots[contact]);
    c->contacts_count = 1;
}

/* The leader's word, as its group would give it: node 3 gets seat 3. */
static struct nx_boot_view seat_of(struct boot_nodes *f)
{
    struct nx_boot_view seat = *nx_bootstrap_view(f->boots[0]);
    seat.rank = BOOT_NODES;
    seat.peers = 7;
    seat.token = 4711;
    return seat;
}

static struct nx_boot_view view_with(struct boot_nodes *f, nx_node node)
{
    struct nx_boot_view with = seat_of(f);
    with.view.vid++;
    with.view.members_count++;
    with.view.members[BOOT_NODES] = with.view.members[1];
    with.view.members[BOOT_NODES].node = node;
    with.view.members[BOOT_NODES].since = with.view.vid;
    with.cards[BOOT_NODES] = with.cards[1];
    return with;
}

static nx_applicant await_applicant(struct boot_nodes *f, int host)
{
    BOOT_POLL_UNTIL(f, nx_bootstrap_applicant(f->boots[host]) != 0);
    return nx_bootstrap_applicant(f->boots[host]);
}

/* Any member shows the way; the seat, the fabric, the view with the newcomer. */
static void a_late_comer_gets_a_seat(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    struct nx_boot_address leader = {"127.0.0.1", f->port};
    nx_bootstrap_point_to(f->boots[1], &leader, nx_clock_now());
    f->configs[BOOT_NODES].leader_gms_port = nx_bootstrap_port(f->boots[1]);
    boot_nodes_open(f, BOOT_NODES);
    f->auto_connect = false;
    nx_applicant a = await_applicant(f, 0);
    assert_int_equal(nx_bootstrap_hello(f->boots[0], a)->node, 10 - BOOT_NODES);
    assert_int_equal(nx_bootstrap_hello(f->boots[0], a)->gms_port,
                     nx_bootstrap_port(f->boots[BOOT_NODES]));
    assert_int_equal(nx_bootstrap_standing(f->boots[0], a), NX_APPLICANT_WAITING);
    struct nx_boot_view seat = seat_of(f), with = view_with(f, 10 - BOOT_NODES);
    nx_bootstrap_seat(f->boots[0], a, &seat, nx_clock_now());
    assert_int_equal(nx_bootstrap_applicant(f->boots[0]), 0);
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, BOOT_NODES) == NX_BOOT_CONNECTING);
    assert_true(nx_bootstrap_joins(f->boots[BOOT_NODES]));
    assert_true(nx_bootstrap_view(f->boots[BOOT_NODES])->peers == 7);
    assert_int_equal(nx_bootstrap_standing(f->boots[0], a), NX_APPLICANT_SEATED);
    nx_bootstrap_connected(f->boots[BOOT_NODES]);
    BOOT_POLL_UNTIL(f, nx_bootstrap_standing(f->boots[0], a) == NX_APPLICANT_CONNECTED);
    nx_bootstrap_welcome(f->boots[0], a, &with, nx_clock_now());
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, BOOT_NODES) == NX_BOOT_INSTALLED);
    assert_int_equal(nx_bootstrap_view(f->boots[BOOT_NODES])->view.vid, 2);
    BOOT_POLL_UNTIL(f, nx_bootstrap_standing(f->boots[0], a) == NX_APPLICANT_GONE);
}

/* The node that sends somebody away, and that one. */
static void expect_both_say(struct boot_nodes *f, const char *here, const char *there)
{
    char nothing[64];
    snprintf(nothing, sizeof nothing, "127.0.0.1:%u: the connection was closed", f->port);
    nx_ns until = nx_clock_now() + 2 * NX_SEC;
    while (!strstr(f->log, there) && nx_clock_now() < until)
        boot_nodes_turn(f);
    if (!strstr(f->log, there) || !strstr(f->log, here) || strstr(f->log, nothing))
        fail_msg("\"%s\" and \"%s\" are not both in \"%s\"", here, there, f->log);
}

/* Whoever waits learns why its leader ends from the leader, not from an end of the connection. */
static void who_waits_is_told_why_its_leader_ends(void **state)
{
    struct boot_nodes *f = *state;
    char there[128];
    install_all(f);
    boot_nodes_open(f, BOOT_NODES);
    (void)await_applicant(f, 0);
    nx_bootstrap_end(f->boots[0], nx_clock_now(), "its disk broke");
    snprintf(there, sizeof there, "127.0.0.1:%u: node 10 ends: its disk broke", f->port);
    expect_both_say(f, "has to ask others: node 10 ends: its disk broke", there);
    (void)await_applicant(f, 0); /* this one goes on */
    boot_nodes_close(f, 0);
    snprintf(there, sizeof there, "127.0.0.1:%u: node 10 ends\n", f->port);
    expect_both_say(f, "has to ask others: node 10 ends\n", there);
    assert_int_equal(boot_nodes_phase(f, BOOT_NODES), NX_BOOT_GATHERING);
}

/* A reason that came before the end of a connection is read, also by who finds the end when it writes. */
static void the_last_word_is_read_after_a_write_that_failed(void **state)
{
    (void)state;
    int ends[2];
    struct nx_boot_conn conn = {.fd = -1};
    struct nx_err err = {0};
    uint8_t frame[NX_BOOT_FRAME_MAX];
    const uint8_t *payload;
    enum nx_boot_kind kind;
    size_t len, bytes = nx_boot_encode_reason(NX_BOOT_LATER, "not now", frame);
    bool moved = false;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(write(ends[1], frame, bytes), (ssize_t)bytes);
    close(ends[1]);
    conn.fd = ends[0];
    nx_boot_auth_off(&conn.auth, NX_BOOT_JOINER);
    assert_true(nx_boot_conn_send(&conn, frame, bytes));
    assert_int_equal(nx_boot_conn_move(&conn, &moved, &err), NX_PEER_DOWN);
    assert_string_equal(err.text, "Broken pipe");
    assert_int_equal(nx_boot_conn_peek(&conn, &kind, &payload, &len, &err), NX_OK);
    assert_int_equal(kind, NX_BOOT_LATER);
    assert_memory_equal(payload, "not now", 7);
    nx_boot_conn_close(&conn);
}

static void who_is_put_off_tries_again(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    boot_nodes_open(f, BOOT_NODES);
    for (int i = 0; i < 3; i++)
        nx_bootstrap_put_off(f->boots[0], await_applicant(f, 0), nx_clock_now(), "not now");
    nx_applicant a = await_applicant(f, 0);
    assert_int_equal(a > 0, 1);
    nx_bootstrap_refuse(f->boots[0], a, nx_clock_now(), "the group is full");
    expect_refusal(f, BOOT_NODES, "the group is full");
}

/* Who is in no primary view puts nobody off without the others being asked, too. */
static void who_is_put_off_by_the_blocked_asks_others(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    nx_bootstrap_note_blocked(f->boots[0], 1);
    nx_bootstrap_point_to(f->boots[1], NULL, nx_clock_now()); /* so each of them leads a side */
    set_contact(f, BOOT_NODES, 1);
    boot_nodes_open(f, BOOT_NODES);
    for (int i = 0; i < 3; i++) {
        nx_bootstrap_put_off(f->boots[0], await_applicant(f, 0), nx_clock_now(), "we are blocked");
        nx_applicant a = await_applicant(f, 1);
        assert_string_equal(nx_bootstrap_waits_for(f->boots[BOOT_NODES]), "we are blocked");
        nx_bootstrap_note_blocked(f->boots[1], 1);
        nx_bootstrap_put_off(f->boots[1], a, nx_clock_now(), "we are blocked");
        nx_bootstrap_note_blocked(f->boots[1], 0);
    }
    assert_int_equal(boot_nodes_phase(f, BOOT_NODES), NX_BOOT_GATHERING);
}

static struct nx_dur_offer offer_of(const struct boot_nodes *f, int i, const struct nx_view *view)
{
    struct nx_dur_offer offer = {
        .node = f->configs[i].local_id, .shard = NX_DUR_NO_SHARD, .has_note = true};
    struct nx_dur_view *noted = &offer.note.views[offer.note.count++];
    memcpy(offer.group_id, view->group_id, sizeof offer.group_id);
    offer.note.certain = true;
    *noted = (struct nx_dur_view){.vid = view->vid, .count = view->members_count};
    for (nx_rank r = 0; r < view->members_count; r++)
        noted->members[r] = (struct nx_dur_member){.node = view->members[r].node};
    return offer;
}

/* The leader was started again and gathers disks: whoever is left of its group and asks is told, but no other group. */
static void a_leader_that_gathers_disks_says_so(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    struct nx_view view = nx_bootstrap_view(f->boots[2])->view;
    struct nx_dur_offer offer = offer_of(f, 0, &view);
    struct nx_boot_address at = {"127.0.0.1", f->port};
    nx_bootstrap_note_view(f->boots[2], &view);
    boot_nodes_close(f, 0);
    boot_nodes_open(f, 0);
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            offer.group_id[0] ^= 1; /* another group's */
        else if (round == 2)
            offer.group_id[0] ^= 1;
        if (round > 0)
            nx_bootstrap_offer(f->boots[0], &offer);
        nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
        nx_ns until = nx_clock_now() + 300 * NX_MS;
        while (round < 2 && nx_clock_now() < until)
            boot_nodes_turn(f);
        assert_false(round < 2 && nx_bootstrap_restarts(f->boots[2]));
    }
    BOOT_POLL_UNTIL(f, nx_bootstrap_restarts(f->boots[2]));
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0);
    nx_bootstrap_note_view(f->boots[2], &view);
    assert_false(nx_bootstrap_restarts(f->boots[2]));
}

/* Of three, the one that is left and one that was started again are enough; not at once, a third may be about to come. */
static void the_blocked_count_disks(void **state)
{
    struct boot_nodes *f = *state;
    struct nx_err err = {0};
    install_all(f);
    struct nx_view view = nx_bootstrap_view(f->boots[0])->view;
    struct nx_dur_offer mine = offer_of(f, 0, &view), theirs = offer_of(f, 1, &view);
    nx_bootstrap_note_view(f->boots[0], &view);
    nx_bootstrap_note_blocked(f->boots[0], 1);
    nx_bootstrap_offer(f->boots[0], &mine);
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 1, &err), NX_AGAIN);
    assert_string_equal(err.text, "waiting for nodes 8, 9 of view 1: 1 of its 3 members is here, "
                                  "2 are needed");
    nx_bootstrap_note_blocked(f->boots[0], 1 | 2); /* another one is left: its disk is like ours */
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 2, &err), NX_AGAIN);
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 2 + 2 * NX_SEC, &err), NX_OK);
    nx_bootstrap_note_blocked(f->boots[0], 1);
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 3, &err), NX_AGAIN);
    boot_nodes_close(f, 1);
    boot_nodes_open(f, 1);
    nx_bootstrap_offer(f->boots[1], &theirs);
    (void)await_applicant(f, 0);
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 4, &err), NX_AGAIN);
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 4 + 2 * NX_SEC, &err), NX_OK);
    mine.has_note = false; /* our own disk counts for nothing */
    nx_bootstrap_offer(f->boots[0], &mine);
    assert_int_equal(nx_bootstrap_may_restart(f->boots[0], 5 + 4 * NX_SEC, &err), NX_AGAIN);
}

static void a_lost_leader_is_sought_again(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    set_contact(f, BOOT_NODES, 1);
    boot_nodes_open(f, BOOT_NODES);
    nx_applicant a = await_applicant(f, 0);
    struct nx_boot_view seat = seat_of(f), with = view_with(f, 10 - BOOT_NODES);
    nx_bootstrap_seat(f->boots[0], a, &seat, nx_clock_now());
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, BOOT_NODES) == NX_BOOT_CONNECTING);
    boot_nodes_close(f, 0); /* between the seat and the view */
    nx_bootstrap_point_to(f->boots[1], NULL, nx_clock_now());
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, BOOT_NODES) == NX_BOOT_GATHERING);
    a = await_applicant(f, 1);
    nx_bootstrap_seat(f->boots[1], a, &seat, nx_clock_now());
    BOOT_POLL_UNTIL(f, nx_bootstrap_standing(f->boots[1], a) == NX_APPLICANT_CONNECTED);
    nx_bootstrap_welcome(f->boots[1], a, &with, nx_clock_now());
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, BOOT_NODES) == NX_BOOT_INSTALLED);
}

/* It is the leader by configuration, but its contact has a group: no second first view. */
static void a_leader_that_comes_back_finds_its_group(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    boot_nodes_close(f, 0);
    nx_bootstrap_point_to(f->boots[1], NULL, nx_clock_now());
    set_contact(f, 0, 1);
    boot_nodes_open(f, 0);
    nx_applicant a = await_applicant(f, 1);
    /* calls the one that is by configuration the leader, and waits there … */
    boot_nodes_open(f, BOOT_NODES);
    for (int i = 0; i < 500; i++)
        boot_nodes_turn(f);
    struct nx_boot_view seat = *nx_bootstrap_view(f->boots[1]);
    seat.rank = BOOT_NODES;
    seat.peers = 2 | 4;
    nx_bootstrap_seat(f->boots[1], a, &seat, nx_clock_now());
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 0) == NX_BOOT_CONNECTING);
    a = await_applicant(f, 1); /* … and is shown the way */
    assert_int_equal(nx_bootstrap_hello(f->boots[1], a)->node, 10 - BOOT_NODES);
}

static void a_leader_whose_contacts_know_of_no_group_forms_one(void **state)
{
    struct boot_nodes *f = *state;
    boot_nodes_open(f, 1);
    set_contact(f, 0, 1); /* sends it back to itself */
    strcpy(f->configs[0].contacts[1].ip, "127.0.0.1");
    f->configs[0].contacts[1].port = nx_free_port(); /* where nobody listens */
    f->configs[0].contacts_count = 2;
    boot_nodes_open(f, 0);
    boot_nodes_open(f, 2);
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
}

/* Node 2 lost the others; they went on, to a view without it. */
static void who_was_left_behind_finds_out(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    struct nx_boot_address at = {"127.0.0.1", f->port};
    for (int i = 0; i < BOOT_NODES; i++)
        nx_bootstrap_note_view(f->boots[i], &nx_bootstrap_view(f->boots[i])->view);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        boot_nodes_turn(f);
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0); /* the same view, with it */
    assert_true(nx_bootstrap_other_side(f->boots[2]) == 0);
    nx_bootstrap_note_blocked(f->boots[0], 1); /* the same view, blocked as well */
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    BOOT_POLL_UNTIL(f, nx_bootstrap_other_side(f->boots[2]) == 1);
    nx_bootstrap_note_blocked(f->boots[0], 0);
    struct nx_view next = nx_bootstrap_view(f->boots[0])->view;
    next.vid = 5;
    nx_bootstrap_note_view(f->boots[0], &next);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        boot_nodes_turn(f);
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0); /* a later one, with it */
    next.vacant = NX_RANK_BIT(nx_bootstrap_view(f->boots[2])->rank);
    next.group_id[0]++;
    nx_bootstrap_note_view(f->boots[0], &next);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        boot_nodes_turn(f);
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0); /* another group's */
    next.group_id[0]--;
    nx_bootstrap_note_view(f->boots[0], &next);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    BOOT_POLL_UNTIL(f, nx_bootstrap_left_behind(f->boots[2]) == 5);
    at.port = nx_free_port(); /* nobody there */
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        boot_nodes_turn(f);
    assert_true(boot_nodes_installed(f));
}

static void a_clock_far_off_is_refused(void **state)
{
    struct boot_nodes *f = *state;
    f->configs[0].clock_skew_ns = 1; /* nobody is as near as that */
    boot_nodes_open(f, 0);
    boot_nodes_open(f, 1);
    expect_refusal(f, 1, "the clock of node 9 is 0.0 s behind this node's, at most 1e-09 s");
}

static void a_node_lost_while_connecting_lets_the_others_start_over(void **state)
{
    struct boot_nodes *f = *state;
    char there[128];
    f->auto_connect = false;
    for (int i = 0; i < BOOT_NODES; i++)
        boot_nodes_open(f, i);
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 1) == NX_BOOT_CONNECTING &&
                           boot_nodes_phase(f, 2) == NX_BOOT_CONNECTING);
    uint64_t token = nx_bootstrap_view(f->boots[0])->token;
    uint32_t attempt = nx_bootstrap_attempt(f->boots[1]);
    boot_nodes_close(f, 2);
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 0) == NX_BOOT_GATHERING &&
                           boot_nodes_phase(f, 1) == NX_BOOT_GATHERING);
    snprintf(there, sizeof there, "127.0.0.1:%u: the first view starts over: node 8 was lost",
             f->port);
    expect_both_say(f, "has to try again: the first view starts over: node 8 was lost", there);
    boot_nodes_open(f, 2);
    f->auto_connect = true;
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
    assert_true(nx_bootstrap_view(f->boots[0])->token != token);
    assert_true(nx_bootstrap_attempt(f->boots[1]) > attempt);
}

static void a_node_whose_fabric_fails_makes_all_start_over(void **state)
{
    struct boot_nodes *f = *state;
    f->auto_connect = false;
    for (int i = 0; i < BOOT_NODES; i++)
        boot_nodes_open(f, i);
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 1) == NX_BOOT_CONNECTING &&
                           boot_nodes_phase(f, 2) == NX_BOOT_CONNECTING);
    uint32_t attempt = nx_bootstrap_attempt(f->boots[2]);
    nx_bootstrap_start_over(f->boots[1], nx_clock_now(), "a peer cannot be reached");
    BOOT_POLL_UNTIL(f, nx_bootstrap_attempt(f->boots[2]) > attempt);
    f->auto_connect = true;
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
}

static void too_few_nodes_in_time_is_one_sentence(void **state)
{
    struct boot_nodes *f = *state;
    for (int i = 0; i < 2; i++) {
        f->configs[i].join_timeout_ns = i == 0 ? 300 * NX_MS : 20 * NX_SEC;
        boot_nodes_open(f, i);
    }
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 0) == NX_BOOT_FAILED);
    assert_string_equal(nx_bootstrap_error(f->boots[0])->text,
                        "only 2 of 3 nodes came within 0.3 s");
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 1) == NX_BOOT_FAILED);
    assert_non_null(strstr(nx_bootstrap_error(f->boots[1])->text, "only 2 of 3 nodes came"));
}

static void an_absent_leader_is_one_sentence(void **state)
{
    struct boot_nodes *f = *state;
    f->configs[1].join_timeout_ns = 200 * NX_MS;
    boot_nodes_open(f, 1);
    BOOT_POLL_UNTIL(f, boot_nodes_phase(f, 1) == NX_BOOT_FAILED);
    const char *text = nx_bootstrap_error(f->boots[1])->text;
    assert_non_null(strstr(text, "Connection refused"));
    assert_non_null(strstr(text, "the leader 127.0.0.1:"));
}

static void a_taken_port_is_one_sentence(void **state)
{
    struct boot_nodes *f = *state;
    boot_nodes_open(f, 0);
    struct nx_bootstrap *other = NULL;
    struct nx_err err = {0};
    struct nx_fabric_card card = {.address_bytes = 16};
    assert_int_equal(nx_bootstrap_open(&f->configs[0], BOOT_HASH, &card, 0, &other, &err),
                     NX_FATAL);
    char expected[80];
    snprintf(expected, sizeof expected, "gms_port %u on 127.0.0.1 is taken by another process",
             f->port);
    assert_string_equal(err.text, expected);
}

static int stranger(const struct boot_nodes *f)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(f->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(connect(fd, (struct sockaddr *)&a, sizeof a) == 0 || errno == EINPROGRESS);
    return fd;
}

static void garbage_and_silence_do_not_keep_the_group_from_forming(void **state)
{
    struct boot_nodes *f = *state;
    enum { STRANGERS = 200 };
    int fds[STRANGERS];
    boot_nodes_open(f, 0);
    uint8_t hello_head[] = {60, 0, 0, 0, NX_BOOT_HELLO, 1, 2};
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = stranger(f);
        boot_nodes_turn(f);
        if (i % 3 == 0) /* a half-said hello; every third says nothing; the rest talks HTTP */
            assert_int_equal(send(fds[i], hello_head, sizeof hello_head, MSG_NOSIGNAL),
                             sizeof hello_head);
        else if (i % 3 == 1)
            assert_int_equal(send(fds[i], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    }
    boot_nodes_open(f, 1);
    boot_nodes_open(f, 2);
    BOOT_POLL_UNTIL(f, boot_nodes_installed(f));
    for (int i = 0; i < STRANGERS; i++)
        close(fds[i]);
}

static bool ended(int fd)
{
    uint8_t byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EINPROGRESS);
}

enum { CROWD = 10000, AT_ONCE = 500 };

/* Ten thousand of them, some hundreds at once, none of which ever ends by itself: descriptors stay
 * bounded, and who belongs to the group is heard. */
static void a_crowd_at_the_port_is_bounded_and_shuts_nobody_out(void **state)
{
    struct boot_nodes *f = *state;
    static int fds[AT_ONCE];
    install_all(f);
    for (int i = 0; i < AT_ONCE; i++)
        fds[i] = -1;
    nx_applicant a = 0;
    for (int i = 0; i < CROWD; i++) {
        int *fd = &fds[i % AT_ONCE];
        if (*fd >= 0)
            close(*fd);
        *fd = stranger(f);
        if (i % 2)
            (void)send(*fd, "\x40\0\0\0\1half", 9, MSG_NOSIGNAL);
        if (i == CROWD / 2)
            boot_nodes_open(f, BOOT_NODES);
        if (i % 8 == 0)
            boot_nodes_turn(f);
        if (f->boots[BOOT_NODES] && !a)
            a = nx_bootstrap_applicant(f->boots[0]);
    }
    BOOT_POLL_UNTIL(f, a || (a = nx_bootstrap_applicant(f->boots[0])));
    int highest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(highest < AT_ONCE + 200); /* ours, the guests', and what the test holds itself */
    close(highest);
    for (int i = 0; i < AT_ONCE; i++)
        close(fds[i]);
    assert_true(boot_nodes_installed(f));
}

static void the_silent_are_hung_up_on(void **state)
{
    struct boot_nodes *f = *state;
    install_all(f);
    int silent = stranger(f);
    BOOT_POLL_UNTIL(f, ended(silent)); /* by the hello timeout */
    close(silent);
    assert_true(boot_nodes_installed(f));
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, make_nodes, close_nodes)
    const struct CMUnitTest tests[] = {
        WITH(a_view_forms_leader_first_then_by_id),
        WITH(nobody_installs_before_all_are_connected),
        WITH(a_duplicate_id_is_refused_and_the_group_forms),
        WITH(another_configuration_is_refused),
        WITH(a_late_comer_gets_a_seat),
        WITH(who_waits_is_told_why_its_leader_ends),
        cmocka_unit_test(the_last_word_is_read_after_a_write_that_failed),
        WITH(who_is_put_off_tries_again),
        WITH(who_is_put_off_by_the_blocked_asks_others),
        WITH(a_leader_that_gathers_disks_says_so),
        WITH(the_blocked_count_disks),
        WITH(a_lost_leader_is_sought_again),
        WITH(a_leader_that_comes_back_finds_its_group),
        WITH(a_leader_whose_contacts_know_of_no_group_forms_one),
        WITH(who_was_left_behind_finds_out),
        WITH(a_clock_far_off_is_refused),
        WITH(a_node_lost_while_connecting_lets_the_others_start_over),
        WITH(a_node_whose_fabric_fails_makes_all_start_over),
        WITH(too_few_nodes_in_time_is_one_sentence),
        WITH(an_absent_leader_is_one_sentence),
        WITH(a_taken_port_is_one_sentence),
        WITH(garbage_and_silence_do_not_keep_the_group_from_forming),
        WITH(a_crowd_at_the_port_is_bounded_and_shuts_nobody_out),
        WITH(the_silent_are_hung_up_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
