/* The handle itself: what open refuses, what it does when memory fails, and a group of one over
 * a real fabric. */
#include "common/arena.h"
#include "group/group.h"
#include "nx_ports.h"
#include "nx_test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct seen {
    struct nx_group *group;
    unsigned views, delivered;
    size_t len;
    bool answer; /* send once more from inside the upcall */
    char down[NX_ERR_TEXT_BYTES];
};

static void on_view(void *ctx, const struct nx_view *view, const struct nx_layout *layout)
{
    struct seen *s = ctx;
    s->views++;
    assert_int_equal(view->members_count, 1);
    assert_true(layout->shards[0][0].adequate);
}

static void on_member_down(void *ctx, nx_rank rank, bool clean, const char *why)
{
    (void)ctx, (void)rank, (void)clean;
    fail_msg("a member is down: %s", why);
}

static void on_deliver(void *ctx, const struct nx_delivery *message)
{
    struct seen *s = ctx;
    s->delivered++;
    s->len += message->len;
    if (s->answer) {
        s->answer = false;
        assert_int_equal(nx_group_send(s->group, 0, "again", 5), NX_OK);
    }
}

static void on_bulk_part(void *ctx, uint32_t subgroup, const struct nx_part *part,
                         const uint8_t *head, size_t head_len)
{
    (void)ctx, (void)subgroup, (void)part, (void)head, (void)head_len;
    fail_msg("a part of our own bulk message came");
}

static void on_stream(void *ctx, nx_stream stream)
{
    (void)ctx, (void)stream;
    fail_msg("nobody asks here");
}

static void on_part(void *ctx, const struct nx_part *part)
{
    (void)ctx, (void)part;
    fail_msg("nobody asks here");
}

static void on_reply_part(void *ctx, void *cookie, const struct nx_part *part)
{
    (void)ctx, (void)cookie, (void)part;
    fail_msg("nobody answers here");
}

static void on_query_failed(void *ctx, void *cookie, enum nx_status why)
{
    (void)ctx, (void)cookie, (void)why;
    fail_msg("nobody asks here");
}

static void on_down(void *ctx, const struct nx_err *err)
{
    struct seen *s = ctx;
    assert_string_equal(s->down, ""); /* told once */
    memcpy(s->down, err->text, sizeof s->down);
}

static const struct nx_group_upcalls upcalls = {
    .view = on_view,
    .member_down = on_member_down,
    .deliver = on_deliver,
    .bulk_part = on_bulk_part,
    .bulk_aborted = on_stream,
    .query_part = on_part,
    .query_gone = on_stream,
    .reply_part = on_reply_part,
    .query_failed = on_query_failed,
    .down = on_down,
};

static struct nx_group_config lone_config(void)
{
    uint16_t port = nx_free_port();
    return (struct nx_group_config){
        .local_id = 5,
        .local_ip = "127.0.0.1",
        .gms_port = port,
        .leader_ip = "127.0.0.1",
        .leader_gms_port = port,
        .first_view_nodes = 1,
        .spec = {1, {{"ALL", 1, 1, 1, false}}},
        .provider = "tcp",
        .members_max = 2,
        .join_timeout_ns = 20 * NX_SEC,
    };
}

static void expect_refusal(const struct nx_group_config *config, const char *words)
{
    struct nx_group *group = NULL;
    struct nx_err err = {0};
    struct seen s = {0};
    assert_int_not_equal(nx_group_open(config, &upcalls, &s, &group, &err), NX_OK);
    assert_null(group);
    if (!strstr(err.text, words))
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void a_wrong_configuration_is_one_sentence(void **state)
{
    (void)state;
    struct nx_group_config c = lone_config();
    c.subgroup = 1;
    expect_refusal(&c, "subgroup 1 of 1");
    c = lone_config();
    c.members_max = NX_MEMBERS_MAX + 1;
    expect_refusal(&c, "members_max is 33, expected 1 to 32");
    c = lone_config();
    c.first_view_nodes = 3;
    expect_refusal(&c, "the first view has 3 nodes, expected 1 to 2");
    c = lone_config();
    c.spec.subgroups[0].num_shards = 0;
    expect_refusal(&c, "num_shards");
    c = lone_config();
    c.spin_ns = NX_SEC;
    expect_refusal(&c, "spin_ns is 1000000000, expected 0 to 10000000");
    c = lone_config();
    strcpy(c.provider, "nosuch");
    expect_refusal(&c, "nosuch");
    c = lone_config();
    strcpy(c.leader_ip, "here");
    strcpy(c.local_ip, "here");
    expect_refusal(&c, "here");
}

/* Each of our allocations fails in turn: open says so, keeps nothing, and works when memory is
 * back. */
static void open_without_memory_leaves_nothing(void **state)
{
    (void)state;
    struct nx_group_config c = lone_config();
    struct seen s = {0};
    for (uint64_t n = 1; n < 100; n++) {
        struct nx_group *group = NULL;
        struct nx_err err = {0};
        nx_alloc_fail_at(n);
        enum nx_status status = nx_group_open(&c, &upcalls, &s, &group, &err);
        nx_alloc_fail_at(0);
        if (status == NX_OK) {
            assert_true(n > 4); /* the handle, the fabric and its slots, the core, the bootstrap */
            nx_group_close(group);
            return;
        }
        assert_int_equal(status, NX_NO_MEMORY);
        assert_true(err.text[0] != '\0');
    }
    fail_msg("open never ran out of allocations");
}

static void poll_until(struct nx_group *group, const unsigned *count, unsigned wanted)
{
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    while (*count < wanted) {
        nx_ns wake_at;
        if (nx_clock_now() > until)
            fail_msg("%u of %u", *count, wanted);
        if (nx_group_poll(group) || nx_group_arm(group, &wake_at) != NX_OK)
            continue;
        struct pollfd p = {.fd = nx_group_fd(group), .events = POLLIN};
        poll(&p, 1, 10);
    }
}

static void a_group_of_one_delivers_to_itself(void **state)
{
    (void)state;
    struct nx_group_config c = lone_config();
    struct seen s = {.answer = true};
    struct nx_err err = {0};
    assert_int_equal(nx_group_open(&c, &upcalls, &s, &s.group, &err), NX_OK);
    assert_null(nx_group_view(s.group));
    assert_int_equal(nx_group_send(s.group, 0, "early", 5), NX_UNAVAILABLE);
    assert_int_equal(nx_group_shard_status(s.group, 0, 0), NX_UNAVAILABLE);
    poll_until(s.group, &s.views, 1);
    assert_int_equal(nx_group_rank(s.group), 0);
    assert_int_equal(nx_group_shard_status(s.group, 0, 0), NX_OK);
    assert_int_equal(nx_group_send(s.group, 0, "hello", 5), NX_OK);
    poll_until(s.group, &s.delivered, 2); /* the second one was sent from inside the upcall */
    assert_int_equal(s.len, 10);
    while (!nx_group_leave(s.group))
        nx_group_poll(s.group);
    nx_group_close(s.group);
    assert_int_equal(s.views, 1);
}

static void one_who_looks_on_falls_asleep_when_nothing_comes(void **state)
{
    (void)state;
    struct nx_group_config c = lone_config();
    struct seen s = {0};
    struct nx_err err = {0};
    nx_ns wake_at = 0, until = nx_clock_now() + 60 * NX_SEC;
    c.spin_ns = NX_MS;
    assert_int_equal(nx_group_open(&c, &upcalls, &s, &s.group, &err), NX_OK);
    poll_until(s.group, &s.views, 1);
    assert_int_equal(nx_group_send(s.group, 0, "hello", 5), NX_OK);
    poll_until(s.group, &s.delivered, 1);
    while (nx_group_poll(s.group) || nx_group_arm(s.group, &wake_at) != NX_OK)
        assert_true(nx_clock_now() < until);
    while (!nx_group_leave(s.group))
        nx_group_poll(s.group);
    nx_group_close(s.group);
}

static void a_group_that_never_forms_is_down_once(void **state)
{
    (void)state;
    struct nx_group_config c = lone_config();
    struct seen s = {0};
    struct nx_err err = {0};
    c.first_view_nodes = 2;
    c.join_timeout_ns = 50 * NX_MS;
    assert_int_equal(nx_group_open(&c, &upcalls, &s, &s.group, &err), NX_OK);
    nx_ns until = nx_clock_now() + 60 * NX_SEC;
    while (!s.down[0] && nx_clock_now() < until)
        nx_group_poll(s.group);
    assert_string_equal(s.down, "only 1 of 2 nodes came within 0.05 s");
    for (int i = 0; i < 100; i++)
        nx_group_poll(s.group);
    assert_true(nx_group_leave(s.group));
    nx_group_close(s.group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_configuration_is_one_sentence),
        cmocka_unit_test(open_without_memory_leaves_nothing),
        cmocka_unit_test(a_group_of_one_delivers_to_itself),
        cmocka_unit_test(one_who_looks_on_falls_asleep_when_nothing_comes),
        cmocka_unit_test(a_group_that_never_forms_is_down_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
