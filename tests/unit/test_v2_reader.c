#include "function_tier/v2_reader.h"
#include "nx_test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct nx_grpc_budget budget;
static struct nx_v2_reader *reader;
static struct nx_err err;

static int opened(void **state)
{
    (void)state;
    budget = (struct nx_grpc_budget){.limit = UINT64_C(1) << 30};
    return nx_v2_reader_open(&reader, &err) == NX_OK ? 0 : -1;
}

static int closed(void **state)
{
    (void)state;
    nx_v2_reader_close(reader);
    assert_int_equal(budget.used, 0);
    nx_grpc_budget_fini(&budget);
    return 0;
}

/* An FP32 input of `count` ones; with `wrong`, one more than its shape. */
static struct nx_grpc_buffer body_of(size_t count, bool wrong)
{
    static const char head[] =
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[%zu],\"data\":[";
    size_t room = 2 * count + 200;
    char *text = malloc(room);
    struct nx_grpc_buffer body;
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, room, head, count);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + len, "1,", 2);
        len += 2;
    }
    len -= !wrong;
    len += (size_t)snprintf(text + len, room - len, "%s]}]}", wrong ? "1" : "");
    nx_grpc_buffer_init(&body, &budget);
    assert_int_equal(nx_grpc_buffer_append(&body, text, len), NX_OK);
    free(text);
    return body;
}

struct client {
    struct nx_v2_reading *reading;
    struct nx_v2_request *request;
    int told;
    struct nx_err err;
};

static void told(void *user, const struct nx_err *what)
{
    struct client *c = user;
    c->told++;
    c->err = *what;
}

static enum nx_status submit(struct client *c, size_t count, bool wrong)
{
    struct nx_grpc_buffer body = body_of(count, wrong);
    *c = (struct client){.request = nx_v2_new()};
    assert_non_null(c->request);
    enum nx_status status = nx_v2_reader_submit(reader, &body, nx_grpc_buffer_len(&body),
                                                c->request, told, c, &c->reading, &err);
    assert_int_equal(nx_grpc_buffer_len(&body) == 0,
                     status == NX_OK); /* it was taken over, or not */
    nx_grpc_buffer_free(&body);
    if (status != NX_OK)
        nx_v2_free(c->request);
    return status;
}

static void wait_for(const struct client *c)
{
    while (!c->told) {
        struct pollfd p = {.fd = nx_v2_reader_fd(reader), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 60000), 1);
        nx_v2_reader_poll(reader);
    }
}

static void bodies_are_read_and_told_once(void **state)
{
    (void)state;
    struct client small, large, wrong;
    assert_int_equal(submit(&small, 10, false), NX_OK);
    assert_int_equal(submit(&large, 3 << 20, false), NX_OK);
    assert_int_equal(submit(&wrong, 1000, true), NX_OK);
    assert_int_equal(small.told + large.told + wrong.told, 0); /* from within poll alone */
    wait_for(&small);
    wait_for(&large);
    wait_for(&wrong);
    assert_int_equal(small.err.status, NX_OK);
    assert_int_equal(large.err.status, NX_OK);
    assert_int_equal(large.request->inputs[0].data_bytes, sizeof(float) * (3 << 20));
    assert_int_equal(wrong.err.status, NX_INVALID);
    assert_non_null(strstr(wrong.err.text, "more than the 1000 elements"));
    nx_v2_reader_poll(reader);
    assert_int_equal(small.told + large.told + wrong.told, 3);
    nx_v2_reading_end(small.reading);
    nx_v2_reading_end(large.reading);
    nx_v2_reading_end(wrong.reading);
}

/* A short body does not wait for the long ones that came before it: their worker is another. */
static void a_short_body_passes_long_ones(void **state)
{
    (void)state;
    enum { LONG = 8 };
    struct client waits[LONG], quick;
    for (int i = 0; i < LONG; i++)
        assert_int_equal(submit(&waits[i], 2 << 20, false), NX_OK);
    for (int i = 1; i < LONG; i++)
        nx_v2_reading_end(waits[i].reading); /* as many as can be had, for next to nothing */
    assert_int_equal(submit(&quick, 100, false), NX_OK);
    wait_for(&quick);
    wait_for(&waits[0]);
    nx_v2_reading_end(quick.reading);
    nx_v2_reading_end(waits[0].reading);
}

static void who_leaves_is_told_nothing(void **state)
{
    (void)state;
    struct client gone[5], stays;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(submit(&gone[i], 1 << 20, i % 2), NX_OK);
        nx_v2_reading_end(gone[i].reading); /* one that is walked, others that wait */
    }
    assert_int_equal(submit(&stays, 1 << 20, false), NX_OK);
    wait_for(&stays);
    nx_v2_reading_end(stays.reading);
    for (int i = 0; i < 5; i++)
        assert_int_equal(gone[i].told, 0);
    assert_int_equal(budget.used, 0); /* in their order: those before it have come back */
}

static void there_is_a_bound(void **state)
{
    (void)state;
    static struct client many[NX_V2_READINGS_MAX + 1];
    int taken = 0;
    while (taken < NX_V2_READINGS_MAX) /* nobody polls: those that are read wait too */
        assert_int_equal(submit(&many[taken++], 1, false), NX_OK);
    assert_int_equal(submit(&many[taken], 1, false), NX_AGAIN);
    assert_non_null(strstr(err.text, "wait to be read"));
    for (int i = 0; i < taken; i++)
        wait_for(&many[i]);
    for (int i = 0; i < taken; i++)
        nx_v2_reading_end(many[i].reading);
}

/* A node that ends with readings under way: they are ended once nothing moves any more. */
static void a_stop_leaves_nothing_behind(void **state)
{
    (void)state;
    struct client kept, gone;
    assert_int_equal(submit(&kept, 1 << 20, false), NX_OK);
    assert_int_equal(submit(&gone, 1 << 20, false), NX_OK);
    nx_v2_reading_end(gone.reading);
    nx_v2_reader_stop(reader);
    nx_v2_reading_end(kept.reading);
    assert_int_equal(kept.told + gone.told, 0);
    assert_int_equal(budget.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bodies_are_read_and_told_once, opened, closed),
        cmocka_unit_test_setup_teardown(a_short_body_passes_long_ones, opened, closed),
        cmocka_unit_test_setup_teardown(who_leaves_is_told_nothing, opened, closed),
        cmocka_unit_test_setup_teardown(there_is_a_bound, opened, closed),
        cmocka_unit_test_setup_teardown(a_stop_leaves_nothing_behind, opened, closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
