/* A member that left every upcall out: whatever the others send it, it goes on, and holds nobody up. Both members
 * live in this process, polled in turns. */
#include "group/group.h"
#include "nx_ports.h"
#include "nx_test.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BULK_BYTES = 8 << 20 }; /* more than the window holds */

struct talker {
    struct nx_group *group;
    unsigned messages, bulks, failed_queries, clean_leaves;
};

static void on_deliver(void *ctx, const struct nx_delivery *message)
{
    struct talker *t = ctx;
    if (message->bulk)
        t->bulks++;
    else
        t->messages++;
}

static void on_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    struct talker *t = ctx;
    assert_ptr_equal(cookie, t);
    assert_int_equal(why, NX_PEER_DOWN);
    t->failed_queries++;
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    struct talker *t = ctx;
    (void)rank;
    if (!clean)
        fail_msg("the quiet member is lost: %s", why);
    t->clean_leaves++;
}

static const struct nx_group_upcalls talker_upcalls = {
    .deliver = on_deliver, .query_failed = on_query_failed, .member_down = on_member_down};
static const struct nx_group_upcalls no_upcalls;

static struct nx_group *open_member(uint16_t port, nx_node node, const struct nx_group_upcalls *up,
                                    void *ctx)
{
    struct nx_group_config c = {
        .local_id = node,
        .local_ip = "127.0.0.1",
        .gms_port = (uint16_t)(port + node),
        .leader_ip = "127.0.0.1",
        .leader_gms_port = port,
        .first_view_nodes = 2,
        .members_max = 2,
        .spec = {1, {{"ALL", 1, 1, 2, false}}},
        .provider = "tcp",
        .join_timeout_ns = 30 * NX_SEC,
    };
    struct nx_group *group = NULL;
    struct nx_err err = {0};
    if (nx_group_open(&c, up, ctx, &group, &err) != NX_OK)
        fail_msg("%s", err.text);
    return group;
}

static void turn(struct talker *t, struct nx_group *quiet, nx_ns until)
{
    nx_group_poll(t->group);
    nx_group_poll(quiet);
    if (nx_clock_now() > until)
        fail_msg("no progress: %u messages, %u bulks", t->messages, t->bulks);
}

static void send_everything(struct talker *t, struct nx_group *quiet, nx_ns until)
{
    static const uint8_t bytes[64 << 10];
    nx_stream bulk, query;
    size_t taken;
    assert_int_equal(nx_group_send(t->group, 0, "hello", 5), NX_OK);
    assert_int_equal(nx_group_send(quiet, 0, "hello", 5), NX_OK);
    nx_rank peer = 1 - nx_group_rank(t->group);
    assert_int_equal(nx_query_open(t->group, peer, sizeof bytes, t, &query), NX_OK);
    assert_int_equal(nx_query_write(t->group, query, bytes, sizeof bytes, &taken), NX_OK);
    assert_int_equal(nx_query_open(t->group, peer, 0, t, &query), NX_OK);
    nx_query_cancel(t->group, query);
    assert_int_equal(nx_bulk_open(t->group, 0, BULK_BYTES, "head", 4, &bulk), NX_OK);
    for (size_t sent = 0; sent < BULK_BYTES; sent += taken) {
        assert_int_equal(nx_bulk_write(t->group, bulk, bytes, sizeof bytes, &taken), NX_OK);
        turn(t, quiet, until);
    }
    assert_int_equal(nx_bulk_open(t->group, 0, 100, NULL, 0, &bulk), NX_OK);
    assert_int_equal(nx_bulk_write(t->group, bulk, bytes, 50, &taken), NX_OK);
    turn(t, quiet, until);
    nx_bulk_abort(t->group, bulk);
}

static void a_member_without_upcalls_holds_nobody_up(void **state)
{
    (void)state;
    struct talker t = {0};
    uint16_t port = nx_free_port();
    nx_ns until = nx_clock_now() + 50 * NX_SEC;
    t.group = open_member(port, 0, &talker_upcalls, &t);
    struct nx_group *quiet = open_member(port, 1, &no_upcalls, NULL);
    while (!nx_group_view(t.group) || !nx_group_view(quiet))
        turn(&t, quiet, until);
    send_everything(&t, quiet, until);
    while (t.messages < 2 || t.bulks < 1)
        turn(&t, quiet, until);
    assert_int_equal(t.failed_queries, 0); /* unanswered, since nobody took it */
    while (!nx_group_leave(quiet))
        turn(&t, quiet, until);
    nx_group_close(quiet);
    while (t.clean_leaves < 1 || t.failed_queries < 1) {
        nx_group_poll(t.group);
        assert_true(nx_clock_now() < until);
    }
    nx_group_close(t.group);
}

static void without_a_leader_it_gives_up_in_silence(void **state)
{
    (void)state;
    struct nx_group_config c = {
        .local_id = 1,
        .local_ip = "127.0.0.1",
        .leader_ip = "127.0.0.1",
        .gms_port = nx_free_port(),
        .leader_gms_port = nx_free_port(),
        .first_view_nodes = 2,
        .members_max = 2,
        .spec = {1, {{"ALL", 1, 1, 2, false}}},
        .provider = "tcp",
        .join_timeout_ns = NX_MS,
    };
    struct nx_group *group = NULL;
    assert_int_equal(nx_group_open(&c, &no_upcalls, NULL, &group, NULL), NX_OK);
    for (nx_ns end = nx_clock_now() + 20 * NX_MS; nx_clock_now() < end;)
        nx_group_poll(group);
    assert_null(nx_group_view(group));
    assert_int_equal(nx_group_send(group, 0, "x", 1), NX_UNAVAILABLE);
    nx_group_close(group);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_without_upcalls_holds_nobody_up),
        cmocka_unit_test(without_a_leader_it_gives_up_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
