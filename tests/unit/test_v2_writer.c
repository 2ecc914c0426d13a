#include "function_tier/v2_writer.h"
#include "nx_test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct nx_v2_writer *writer;
static struct nx_v2_request request;
static struct nx_err err;
static int bell, submitted, released_in_all;

static int opened(void **state)
{
    (void)state;
    submitted = released_in_all = 0;
    bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    snprintf(request.model, sizeof request.model, "m");
    snprintf(request.id, sizeof request.id, "42");
    request.answered_by = 7;
    return bell >= 0 && nx_v2_writer_open(bell, &writer, &err) == NX_OK ? 0 : -1;
}

static int closed(void **state)
{
    (void)state;
    nx_v2_writer_close(writer);
    close(bell);
    assert_int_equal(released_in_all, submitted);
    return 0;
}

/* An FP32 output of `count` halves, whose data and name go with it. */
static struct nx_v2_reply reply_of(size_t count, bool binary)
{
    static char name[8];
    struct nx_v2_reply reply = {.count = 1};
    struct nx_v2_tensor *t = &reply.tensors[0];
    const float half = 0.5F;
    snprintf(name, sizeof name, "y");
    t->owned = malloc(count * sizeof half);
    assert_non_null(t->owned);
    for (size_t i = 0; i < count; i++)
        memcpy(t->owned + i * sizeof half, &half, sizeof half);
    t->name = name;
    t->type = NX_TYPE_FP32;
    t->rank = 1;
    t->dims[0] = count;
    t->data = t->owned;
    t->data_bytes = count * sizeof half;
    t->binary = binary;
    return reply;
}

struct client {
    struct nx_v2_writing *writing;
    int told;
    char first[200];
    size_t len, json_bytes;
    bool bad, binary;
};

static void release(void *answer)
{
    (void)answer;
    released_in_all++;
}

static void told(void *user, const struct nx_text *text, size_t json_bytes, bool binary)
{
    struct client *c = user;
    c->told++;
    c->bad = text->bad;
    c->len = text->len;
    c->json_bytes = json_bytes;
    c->binary = binary;
    snprintf(c->first, sizeof c->first, "%s", text->at ? text->at : "");
}

static enum nx_status submit(struct client *c, size_t count)
{
    struct nx_v2_reply reply = reply_of(count, false);
    *c = (struct client){0};
    enum nx_status status =
        nx_v2_writer_submit(writer, &request, &reply, release, NULL, told, c, &c->writing, &err);
    reply.tensors[0].name = NULL; /* nobody may look at it any more */
    if (status != NX_OK)
        nx_v2_reply_free(&reply);
    submitted += status == NX_OK;
    return status;
}

static void wait_for(const struct client *c)
{
    while (!c->told) {
        uint64_t rung;
        struct pollfd p = {.fd = bell, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        assert_int_equal(read(bell, &rung, sizeof rung), sizeof rung);
        nx_v2_writer_poll(writer);
    }
}

static void small_and_binary_replies_are_not_for_it(void **state)
{
    (void)state;
    struct nx_v2_reply reply = reply_of(NX_V2_WRITER_INLINE_BYTES / sizeof(float), false);
    assert_false(nx_v2_writer_wants(&reply));
    nx_v2_reply_free(&reply);
    reply = reply_of(NX_V2_WRITER_INLINE_BYTES / sizeof(float) + 1, false);
    assert_true(nx_v2_writer_wants(&reply));
    reply.tensors[0].binary = true;
    assert_false(nx_v2_writer_wants(&reply));
    nx_v2_reply_free(&reply);
}

static void replies_are_written_and_told_once(void **state)
{
    (void)state;
    static const char head[] =
        "{\"model_name\":\"m\",\"model_version\":\"7\",\"id\":\"42\",\"outputs\":[{\"name\":\"y\","
        "\"datatype\":\"FP32\",\"shape\":[3],\"data\":[0.5,0.5,0.5]}]}";
    struct client small, large;
    assert_int_equal(submit(&large, 3 << 20), NX_OK);
    assert_int_equal(submit(&small, 3), NX_OK);
    assert_int_equal(small.told + large.told, 0); /* from within poll alone */
    wait_for(&small);
    assert_string_equal(small.first, head);
    assert_int_equal(small.json_bytes, small.len);
    assert_false(small.bad || small.binary);
    wait_for(&large);
    assert_int_equal(large.len, sizeof head - 1 + 6 + 4 * ((3 << 20) - 3));
    nx_v2_writer_poll(writer);
    assert_int_equal(small.told + large.told, 2);
    nx_v2_writing_end(small.writing);
    nx_v2_writing_end(large.writing);
}

static void what_does_not_fit_is_told_as_bad(void **state)
{
    (void)state;
    struct client c;
    assert_int_equal(submit(&c, NX_V2_WRITER_TEXT_MAX / 4), NX_OK); /* ",0.5" each, and a head */
    wait_for(&c);
    assert_true(c.bad);
    nx_v2_writing_end(c.writing);
}

static void who_leaves_is_told_nothing(void **state)
{
    (void)state;
    struct client gone[4], stays;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(submit(&gone[i], 1 << 20), NX_OK);
        nx_v2_writing_end(gone[i].writing); /* one that is being written, others that wait */
    }
    assert_int_equal(submit(&stays, 1 << 20), NX_OK);
    wait_for(&stays);
    nx_v2_writing_end(stays.writing);
    for (int i = 0; i < 4; i++)
        assert_int_equal(gone[i].told, 0);
}

/* Also those that are larger than the bound are written, if nothing else waits. */
static void what_waits_is_bounded(void **state)
{
    (void)state;
    const size_t most = NX_V2_WRITER_BYTES / sizeof(float);
    struct client first, second;
    assert_int_equal(submit(&first, most + 1), NX_OK);
    assert_int_equal(submit(&second, 1), NX_AGAIN);
    assert_non_null(strstr(err.text, "replies of 268435460 bytes wait"));
    wait_for(&first);
    assert_true(first.bad);
    nx_v2_writing_end(first.writing);
    assert_int_equal(submit(&second, 1), NX_OK);
    wait_for(&second);
    nx_v2_writing_end(second.writing);
}

/* As a server does it that stops while replies are written. */
static void what_is_left_is_not_told_when_it_stops(void **state)
{
    (void)state;
    struct client left[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(submit(&left[i], 1 << 20), NX_OK);
    nx_v2_writer_stop(writer);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(left[i].told, 0);
        nx_v2_writing_end(left[i].writing);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_and_binary_replies_are_not_for_it, opened, closed),
        cmocka_unit_test_setup_teardown(replies_are_written_and_told_once, opened, closed),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_told_as_bad, opened, closed),
        cmocka_unit_test_setup_teardown(who_leaves_is_told_nothing, opened, closed),
        cmocka_unit_test_setup_teardown(what_waits_is_bounded, opened, closed),
        cmocka_unit_test_setup_teardown(what_is_left_is_not_told_when_it_stops, opened, closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
