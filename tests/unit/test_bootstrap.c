/* Nodes of a group in one thread, over loopback; cards are made up, as the fabric is not part of
 * this. */
#include "common/log.h"
#include "group/fabric/bootstrap.h"
#include "nx_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { NODES = 3, HASH = 77 };

struct fixture {
    struct nx_group_config configs[NODES + 1];
    struct nx_bootstrap *boots[NODES + 1];
    bool auto_connect; /* the fabrics connect at once */
    uint16_t port;
    char log[4096]; /* what the nodes logged */
};

static void keep_line(void *ctx, enum nx_level level, const char *line)
{
    (void)level;
    struct fixture *f = ctx;
    size_t used = strlen(f->log);
    snprintf(f->log + used, sizeof f->log - used, "%s\n", line);
}

static uint16_t free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int make_configs(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->port = free_port();
    f->auto_connect = true;
    for (uint32_t i = 0; i <= NODES; i++)
        f->configs[i] = (struct nx_group_config){
            .local_id = 10 - i, /* so that ranks are not the order of starting */
            .local_ip = "127.0.0.1",
            .gms_port = i == 0 ? f->port : 0,
            .leader_ip = "127.0.0.1",
            .leader_gms_port = f->port,
            .first_view_nodes = NODES,
            .subgroup = 0,
            .spec = {1, {{"ALL", 1, 1, 8}}},
            .provider = "tcp",
            .members_max = 8,
            .join_timeout_ns = 30 * NX_SEC,
        };
    nx_log_set_sink(keep_line, f);
    *state = f;
    return 0;
}

static int close_all(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i <= NODES; i++)
        if (f->boots[i])
            nx_bootstrap_close(f->boots[i]);
    nx_log_set_sink(NULL, NULL);
    free(f);
    return 0;
}

static struct nx_fabric_card card_of(const struct fixture *f, int i)
{
    return (struct nx_fabric_card){.address_bytes = 16, .region_key = f->configs[i].local_id};
}

static void open_node(struct fixture *f, int i)
{
    struct nx_err err = {0};
    struct nx_fabric_card card = card_of(f, i);
    if (nx_bootstrap_open(&f->configs[i], HASH, &card, nx_clock_now(), &f->boots[i], &err) != NX_OK)
        fail_msg("%s", err.text);
}

static void close_node(struct fixture *f, int i)
{
    nx_bootstrap_close(f->boots[i]);
    f->boots[i] = NULL;
}

static void turn_all(struct fixture *f)
{
    for (int i = 0; i <= NODES; i++) {
        if (!f->boots[i])
            continue;
        struct nx_fabric_card card = card_of(f, i);
        nx_bootstrap_poll(f->boots[i], nx_clock_now());
        if (nx_bootstrap_wants_card(f->boots[i]))
            nx_bootstrap_renew(f->boots[i], &card);
        if (f->auto_connect)
            nx_bootstrap_connected(f->boots[i]);
    }
}

static enum nx_boot_phase phase(const struct fixture *f, int i)
{
    return nx_bootstrap_phase(f->boots[i]);
}

#define POLL_UNTIL(f, condition)                     \
    do {                                             \
        nx_ns until_ = nx_clock_now() + 20 * NX_SEC; \
        while (!(condition)) {                       \
            if (nx_clock_now() > until_)             \
                fail_msg("never: %s", #condition);   \
            turn_all(f);                             \
        }                                            \
    } while (0)

static bool installed(const struct fixture *f)
{
    return phase(f, 0) == NX_BOOT_INSTALLED && phase(f, 1) == NX_BOOT_INSTALLED &&
           phase(f, 2) == NX_BOOT_INSTALLED;
}

static void install_all(struct fixture *f)
{
    for (int i = 0; i < NODES; i++)
        open_node(f, i);
    POLL_UNTIL(f, installed(f));
}

static void a_view_forms_leader_first_then_by_id(void **state)
{
    struct fixture *f = *state;
    open_node(f, 1);
    open_node(f, 2);
    nx_ns until = nx_clock_now() + 120 * NX_MS;
    while (nx_clock_now() < until) /* the leader comes last; the others go on calling */
        turn_all(f);
    assert_int_equal(phase(f, 1), NX_BOOT_GATHERING);
    open_node(f, 0);
    POLL_UNTIL(f, installed(f));
    const nx_node order[NODES] = {10, 8, 9};
    const nx_rank ranks[NODES] = {0, 2, 1};
    for (int i = 0; i < NODES; i++) {
        const struct nx_boot_view *v = nx_bootstrap_view(f->boots[i]);
        assert_int_equal(v->rank, ranks[i]);
        assert_true(v->token != 0 && v->token == nx_bootstrap_view(f->boots[0])->token);
        assert_int_equal(v->view.vid, 1);
        assert_int_equal(v->view.members_count, NODES);
        for (int r = 0; r < NODES; r++) {
            assert_int_equal(v->view.members[r].node, order[r]);
            assert_int_equal(v->cards[r].region_key, order[r]);
        }
    }
}

static void nobody_installs_before_all_are_connected(void **state)
{
    struct fixture *f = *state;
    f->auto_connect = false;
    for (int i = 0; i < NODES; i++)
        open_node(f, i);
    POLL_UNTIL(f, phase(f, 0) == NX_BOOT_CONNECTING && phase(f, 1) == NX_BOOT_CONNECTING &&
                      phase(f, 2) == NX_BOOT_CONNECTING);
    nx_bootstrap_connected(f->boots[0]);
    nx_bootstrap_connected(f->boots[1]);
    for (int i = 0; i < 300; i++)
        turn_all(f);
    for (int i = 0; i < NODES; i++)
        assert_int_equal(phase(f, i), NX_BOOT_CONNECTING);
    nx_bootstrap_connected(f->boots[2]);
    POLL_UNTIL(f, installed(f));
}

static void expect_refusal(struct fixture *f, int i, const char *words)
{
    POLL_UNTIL(f, phase(f, i) == NX_BOOT_FAILED);
    const char *text = nx_bootstrap_error(f->boots[i])->text;
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
    if (!strstr(f->log, words)) /* the leader's side says it too */
        fail_msg("the leader logged \"%s\"", f->log);
    close_node(f, i);
}

static void a_duplicate_id_is_refused_and_the_group_forms(void **state)
{
    struct fixture *f = *state;
    open_node(f, 0);
    open_node(f, 1);
    f->configs[NODES].local_id = f->configs[1].local_id;
    while (!strstr(f->log, "taken")) {
        if (!f->boots[NODES])
            for (int i = 0; i < 100; i++)
                turn_all(f); /* node 1 is there first */
        if (!f->boots[NODES])
            open_node(f, NODES);
        turn_all(f);
    }
    expect_refusal(f, NODES, "node id 9 is taken by 127.0.0.1");
    f->configs[NODES].local_id = f->configs[0].local_id; /* the leader's own id */
    open_node(f, NODES);
    expect_refusal(f, NODES, "node id 10 is taken by 127.0.0.1");
    open_node(f, 2);
    POLL_UNTIL(f, installed(f));
}

static void another_configuration_is_refused(void **state)
{
    struct fixture *f = *state;
    open_node(f, 0);
    f->configs[1].spec.subgroups[0].num_shards = 2;
    open_node(f, 1);
    expect_refusal(f, 1, "your configuration differs: num_shards of ALL is 2");
}

/* --- a running group -------------------------------------------------------------------------- */

static void set_contact(struct fixture *f, int i, int contact)
{
    struct nx_group_config *c = &f->configs[i];
    strcpy(c->contacts[0].ip, "127.0.0.1");
    c->contacts[0].port = nx_bootstrap_port(f->boots[contact]);
    c->contacts_count = 1;
}

/* The leader's word, as its group would give it: node 3 gets seat 3. */
static struct nx_boot_view seat_of(struct fixture *f)
{
    struct nx_boot_view seat = *nx_bootstrap_view(f->boots[0]);
    seat.rank = NODES;
    seat.peers = 7;
    seat.token = 4711;
    return seat;
}

static struct nx_boot_view view_with(struct fixture *f, nx_node node)
{
    struct nx_boot_view with = seat_of(f);
    with.view.vid++;
    with.view.members_count++;
    with.view.members[NODES] = with.view.members[1];
    with.view.members[NODES].node = node;
    with.view.members[NODES].since = with.view.vid;
    with.cards[NODES] = with.cards[1];
    return with;
}

static nx_applicant await_applicant(struct fixture *f, int host)
{
    POLL_UNTIL(f, nx_bootstrap_applicant(f->boots[host]) != 0);
    return nx_bootstrap_applicant(f->boots[host]);
}

/* Any member shows the way; the seat, the fabric, the view with the newcomer. */
static void a_late_comer_gets_a_seat(void **state)
{
    struct fixture *f = *state;
    install_all(f);
    struct nx_boot_address leader = {"127.0.0.1", f->port};
    nx_bootstrap_point_to(f->boots[1], &leader, nx_clock_now());
    f->configs[NODES].leader_gms_port = nx_bootstrap_port(f->boots[1]);
    open_node(f, NODES);
    f->auto_connect = false;
    nx_applicant a = await_applicant(f, 0);
    assert_int_equal(nx_bootstrap_hello(f->boots[0], a)->node, 10 - NODES);
    assert_int_equal(nx_bootstrap_hello(f->boots[0], a)->gms_port,
                     nx_bootstrap_port(f->boots[NODES]));
    assert_int_equal(nx_bootstrap_standing(f->boots[0], a), NX_APPLICANT_WAITING);
    struct nx_boot_view seat = seat_of(f), with = view_with(f, 10 - NODES);
    nx_bootstrap_seat(f->boots[0], a, &seat, nx_clock_now());
    assert_int_equal(nx_bootstrap_applicant(f->boots[0]), 0);
    POLL_UNTIL(f, phase(f, NODES) == NX_BOOT_CONNECTING);
    assert_true(nx_bootstrap_joins(f->boots[NODES]));
    assert_true(nx_bootstrap_view(f->boots[NODES])->peers == 7);
    assert_int_equal(nx_bootstrap_standing(f->boots[0], a), NX_APPLICANT_SEATED);
    nx_bootstrap_connected(f->boots[NODES]);
    POLL_UNTIL(f, nx_bootstrap_standing(f->boots[0], a) == NX_APPLICANT_CONNECTED);
    nx_bootstrap_welcome(f->boots[0], a, &with, nx_clock_now());
    POLL_UNTIL(f, phase(f, NODES) == NX_BOOT_INSTALLED);
    assert_int_equal(nx_bootstrap_view(f->boots[NODES])->view.vid, 2);
    POLL_UNTIL(f, nx_bootstrap_standing(f->boots[0], a) == NX_APPLICANT_GONE);
}

static void who_is_put_off_tries_again(void **state)
{
    struct fixture *f = *state;
    install_all(f);
    open_node(f, NODES);
    for (int i = 0; i < 3; i++)
        nx_bootstrap_put_off(f->boots[0], await_applicant(f, 0), nx_clock_now(), "not now");
    nx_applicant a = await_applicant(f, 0);
    assert_int_equal(a > 0, 1);
    nx_bootstrap_refuse(f->boots[0], a, nx_clock_now(), "the group is full");
    expect_refusal(f, NODES, "the group is full");
}

static void a_lost_leader_is_sought_again(void **state)
{
    struct fixture *f = *state;
    install_all(f);
    set_contact(f, NODES, 1);
    open_node(f, NODES);
    nx_applicant a = await_applicant(f, 0);
    struct nx_boot_view seat = seat_of(f), with = view_with(f, 10 - NODES);
    nx_bootstrap_seat(f->boots[0], a, &seat, nx_clock_now());
    POLL_UNTIL(f, phase(f, NODES) == NX_BOOT_CONNECTING);
    close_node(f, 0); /* between the seat and the view */
    nx_bootstrap_point_to(f->boots[1], NULL, nx_clock_now());
    POLL_UNTIL(f, phase(f, NODES) == NX_BOOT_GATHERING);
    a = await_applicant(f, 1);
    nx_bootstrap_seat(f->boots[1], a, &seat, nx_clock_now());
    POLL_UNTIL(f, nx_bootstrap_standing(f->boots[1], a) == NX_APPLICANT_CONNECTED);
    nx_bootstrap_welcome(f->boots[1], a, &with, nx_clock_now());
    POLL_UNTIL(f, phase(f, NODES) == NX_BOOT_INSTALLED);
}

/* It is the leader by configuration, but its contact has a group: no second first view. */
static void a_leader_that_comes_back_finds_its_group(void **state)
{
    struct fixture *f = *state;
    install_all(f);
    close_node(f, 0);
    nx_bootstrap_point_to(f->boots[1], NULL, nx_clock_now());
    set_contact(f, 0, 1);
    open_node(f, 0);
    nx_applicant a = await_applicant(f, 1);
    open_node(f, NODES); /* calls the one that is by configuration the leader, and waits there … */
    for (int i = 0; i < 500; i++)
        turn_all(f);
    struct nx_boot_view seat = *nx_bootstrap_view(f->boots[1]);
    seat.rank = NODES;
    seat.peers = 2 | 4;
    nx_bootstrap_seat(f->boots[1], a, &seat, nx_clock_now());
    POLL_UNTIL(f, phase(f, 0) == NX_BOOT_CONNECTING);
    a = await_applicant(f, 1); /* … and is shown the way */
    assert_int_equal(nx_bootstrap_hello(f->boots[1], a)->node, 10 - NODES);
}

static void a_leader_whose_contacts_know_of_no_group_forms_one(void **state)
{
    struct fixture *f = *state;
    open_node(f, 1);
    set_contact(f, 0, 1); /* sends it back to itself */
    strcpy(f->configs[0].contacts[1].ip, "127.0.0.1");
    f->configs[0].contacts[1].port = free_port(); /* where nobody listens */
    f->configs[0].contacts_count = 2;
    open_node(f, 0);
    open_node(f, 2);
    POLL_UNTIL(f, installed(f));
}

/* Node 2 lost the others; they went on, to a view without it. */
static void who_was_left_behind_finds_out(void **state)
{
    struct fixture *f = *state;
    install_all(f);
    struct nx_boot_address at = {"127.0.0.1", f->port};
    for (int i = 0; i < NODES; i++)
        nx_bootstrap_note_view(f->boots[i], &nx_bootstrap_view(f->boots[i])->view);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        turn_all(f);
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0); /* the same view, with it */
    assert_true(nx_bootstrap_other_side(f->boots[2]) == 0);
    nx_bootstrap_note_blocked(f->boots[0], 1); /* the same view, blocked as well */
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    POLL_UNTIL(f, nx_bootstrap_other_side(f->boots[2]) == 1);
    nx_bootstrap_note_blocked(f->boots[0], 0);
    struct nx_view next = nx_bootstrap_view(f->boots[0])->view;
    next.vid = 5;
    nx_bootstrap_note_view(f->boots[0], &next);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        turn_all(f);
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0); /* a later one, with it */
    next.vacant = NX_RANK_BIT(nx_bootstrap_view(f->boots[2])->rank);
    next.group_id[0]++;
    nx_bootstrap_note_view(f->boots[0], &next);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        turn_all(f);
    assert_int_equal(nx_bootstrap_left_behind(f->boots[2]), 0); /* another group's */
    next.group_id[0]--;
    nx_bootstrap_note_view(f->boots[0], &next);
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    POLL_UNTIL(f, nx_bootstrap_left_behind(f->boots[2]) == 5);
    at.port = free_port(); /* nobody there */
    nx_bootstrap_probe(f->boots[2], &at, nx_clock_now());
    for (int i = 0; i < 2000; i++)
        turn_all(f);
    assert_true(installed(f));
}

static void a_clock_far_off_is_refused(void **state)
{
    struct fixture *f = *state;
    f->configs[0].clock_skew_ns = 1; /* nobody is as near as that */
    open_node(f, 0);
    open_node(f, 1);
    expect_refusal(f, 1, "the clock of node 9 is 0.0 s behind this node's, at most 1e-09 s");
}

static void a_node_lost_while_connecting_lets_the_others_start_over(void **state)
{
    struct fixture *f = *state;
    f->auto_connect = false;
    for (int i = 0; i < NODES; i++)
        open_node(f, i);
    POLL_UNTIL(f, phase(f, 1) == NX_BOOT_CONNECTING && phase(f, 2) == NX_BOOT_CONNECTING);
    uint64_t token = nx_bootstrap_view(f->boots[0])->token;
    uint32_t attempt = nx_bootstrap_attempt(f->boots[1]);
    close_node(f, 2);
    POLL_UNTIL(f, phase(f, 0) == NX_BOOT_GATHERING && phase(f, 1) == NX_BOOT_GATHERING);
    open_node(f, 2);
    f->auto_connect = true;
    POLL_UNTIL(f, installed(f));
    assert_true(nx_bootstrap_view(f->boots[0])->token != token);
    assert_true(nx_bootstrap_attempt(f->boots[1]) > attempt);
}

static void a_node_whose_fabric_fails_makes_all_start_over(void **state)
{
    struct fixture *f = *state;
    f->auto_connect = false;
    for (int i = 0; i < NODES; i++)
        open_node(f, i);
    POLL_UNTIL(f, phase(f, 1) == NX_BOOT_CONNECTING && phase(f, 2) == NX_BOOT_CONNECTING);
    uint32_t attempt = nx_bootstrap_attempt(f->boots[2]);
    nx_bootstrap_start_over(f->boots[1], nx_clock_now(), "a peer cannot be reached");
    POLL_UNTIL(f, nx_bootstrap_attempt(f->boots[2]) > attempt);
    f->auto_connect = true;
    POLL_UNTIL(f, installed(f));
}

static void too_few_nodes_in_time_is_one_sentence(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 2; i++) {
        f->configs[i].join_timeout_ns = i == 0 ? 300 * NX_MS : 20 * NX_SEC;
        open_node(f, i);
    }
    POLL_UNTIL(f, phase(f, 0) == NX_BOOT_FAILED);
    assert_string_equal(nx_bootstrap_error(f->boots[0])->text,
                        "only 2 of 3 nodes came within 0.3 s");
    POLL_UNTIL(f, phase(f, 1) == NX_BOOT_FAILED);
    assert_non_null(strstr(nx_bootstrap_error(f->boots[1])->text, "only 2 of 3 nodes came"));
}

static void an_absent_leader_is_one_sentence(void **state)
{
    struct fixture *f = *state;
    f->configs[1].join_timeout_ns = 200 * NX_MS;
    open_node(f, 1);
    POLL_UNTIL(f, phase(f, 1) == NX_BOOT_FAILED);
    const char *text = nx_bootstrap_error(f->boots[1])->text;
    assert_non_null(strstr(text, "Connection refused"));
    assert_non_null(strstr(text, "the leader 127.0.0.1:"));
}

static void a_taken_port_is_one_sentence(void **state)
{
    struct fixture *f = *state;
    open_node(f, 0);
    struct nx_bootstrap *other = NULL;
    struct nx_err err = {0};
    struct nx_fabric_card card = {.address_bytes = 16};
    assert_int_equal(nx_bootstrap_open(&f->configs[0], HASH, &card, 0, &other, &err), NX_FATAL);
    char expected[80];
    snprintf(expected, sizeof expected, "gms_port %u on 127.0.0.1 is taken by another process",
             f->port);
    assert_string_equal(err.text, expected);
}

static int stranger(const struct fixture *f)
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
    struct fixture *f = *state;
    enum { STRANGERS = 200 };
    int fds[STRANGERS];
    open_node(f, 0);
    uint8_t hello_head[] = {60, 0, 0, 0, NX_BOOT_HELLO, 1, 2};
    for (int i = 0; i < STRANGERS; i++) {
        fds[i] = stranger(f);
        turn_all(f);
        if (i % 3 == 0) /* a half-said hello; every third says nothing; the rest talks HTTP */
            assert_int_equal(send(fds[i], hello_head, sizeof hello_head, MSG_NOSIGNAL),
                             sizeof hello_head);
        else if (i % 3 == 1)
            assert_int_equal(send(fds[i], "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    }
    open_node(f, 1);
    open_node(f, 2);
    POLL_UNTIL(f, installed(f));
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
    struct fixture *f = *state;
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
            open_node(f, NODES);
        if (i % 8 == 0)
            turn_all(f);
        if (f->boots[NODES] && !a)
            a = nx_bootstrap_applicant(f->boots[0]);
    }
    POLL_UNTIL(f, a || (a = nx_bootstrap_applicant(f->boots[0])));
    int highest = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(highest < AT_ONCE + 200); /* ours, the guests', and what the test holds itself */
    close(highest);
    for (int i = 0; i < AT_ONCE; i++)
        close(fds[i]);
    assert_true(installed(f));
}

static void the_silent_are_hung_up_on(void **state)
{
    struct fixture *f = *state;
    install_all(f);
    int silent = stranger(f);
    POLL_UNTIL(f, ended(silent)); /* by the hello timeout */
    close(silent);
    assert_true(installed(f));
}

int main(void)
{
#define WITH(test) cmocka_unit_test_setup_teardown(test, make_configs, close_all)
    const struct CMUnitTest tests[] = {
        WITH(a_view_forms_leader_first_then_by_id),
        WITH(nobody_installs_before_all_are_connected),
        WITH(a_duplicate_id_is_refused_and_the_group_forms),
        WITH(another_configuration_is_refused),
        WITH(a_late_comer_gets_a_seat),
        WITH(who_is_put_off_tries_again),
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
