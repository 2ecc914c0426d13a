/* One request of several photos against a router that is a table. */
#include "function_tier/infer.h"
#include "nx_test.h"

#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

enum { REQUESTS_MAX = 80 };

/* --- the router, as far as infer.c sees it --- */

struct nx_route {
    int unused;
};

struct nx_route_request {
    nx_route_done *done;
    void *user;
    uint8_t *body;
    uint64_t bytes;
    struct nx_request_head head;
    bool over;
};

static struct nx_route route;
static struct nx_route_request requests[REQUESTS_MAX];
static uint32_t requests_count, refuse_after;
static uint64_t reserved;

enum nx_status nx_route_reserve(struct nx_route *r, uint64_t bytes, struct nx_err *err)
{
    (void)r, (void)err;
    reserved += bytes;
    return NX_OK;
}

void nx_route_unreserve(struct nx_route *r, uint64_t bytes)
{
    (void)r;
    reserved -= bytes;
}

static void end(struct nx_route_request *q)
{
    assert_false(q->over);
    q->over = true;
    reserved -= q->bytes;
    free(q->body);
}

enum nx_status nx_route_ask(struct nx_route *r, const struct nx_request_head *head,
                            const uint32_t *tags, uint32_t tags_count, uint8_t *body,
                            uint64_t body_bytes, nx_ns deadline, nx_route_done *done, void *user,
                            struct nx_route_request **request, struct nx_err *err)
{
    (void)r, (void)deadline;
    assert_int_equal(tags_count, 1);
    assert_int_equal(tags[0], head->tag);
    if (requests_count == refuse_after)
        return nx_err_set(err, NX_UNAVAILABLE, "too much");
    requests[requests_count] =
        (struct nx_route_request){done, user, body, body_bytes, *head, false};
    *request = &requests[requests_count++];
    return NX_OK;
}

static uint8_t *reply; /* of the answer that is told; NULL once it is kept */

uint8_t *nx_route_keep_reply(struct nx_route_request *q, uint32_t i)
{
    uint8_t *kept = reply;
    assert_false(q->over);
    assert_int_equal(i, 0);
    reply = NULL;
    return kept;
}

void nx_route_cancel(struct nx_route_request *q)
{
    end(q);
}

/* --- the tests --- */

static int dones;
static enum nx_status done_status;
static char done_text[NX_ERR_TEXT_BYTES];
static uint32_t done_rows;
static float done_values[8];

static void done(void *user, const struct nx_infer_result *result)
{
    assert_ptr_equal(user, &dones);
    dones++;
    done_status = result->err.status;
    memcpy(done_text, result->err.text, sizeof done_text);
    done_rows = result->rows;
    for (uint32_t i = 0; i < result->parts_count; i++)
        memcpy(&done_values[i], result->parts[i].values, sizeof(float));
}

static int set_up(void **state)
{
    (void)state;
    requests_count = 0;
    refuse_after = REQUESTS_MAX;
    reserved = 0;
    dones = 0;
    return 0;
}

static void answer(uint32_t i, float value, uint32_t columns)
{
    uint8_t *bytes = reply = malloc(64);
    uint32_t bits;
    struct nx_writer w;
    memcpy(&bits, &value, sizeof bits);
    nx_writer_init(&w, bytes, 64);
    nx_write_name(&w, "out");
    nx_write_u32(&w, 1);
    nx_write_u32(&w, columns);
    nx_write_u32(&w, 0);
    for (uint32_t k = 0; k < columns; k++)
        nx_write_u32(&w, bits);
    struct nx_answer a = {.payload = bytes, .payload_bytes = (uint32_t)nx_writer_used(&w)};
    struct nx_route_request *q = &requests[i];
    q->done(q->user, &a, 1);
    end(q);
    free(reply);
    reply = NULL;
}

static void refuse(uint32_t i, enum nx_status status, const char *why)
{
    struct nx_answer a = {0};
    nx_err_set(&a.err, status, "%s", why);
    requests[i].done(requests[i].user, &a, 1);
    end(&requests[i]);
}

static enum nx_status start(uint32_t photos, struct nx_infer **infer, struct nx_err *err)
{
    struct nx_infer_ask ask = {.model = "rose", .want = {.outputs = true}, .bodies_count = photos};
    for (uint32_t i = 0; i < photos; i++)
        ask.bodies[i] = (struct nx_infer_span){(const uint8_t *)"photo", 5};
    return nx_infer_start(&route, &ask, NX_NEVER, done, &dones, infer, err);
}

static void rows_come_in_the_order_of_the_photos(void **state)
{
    (void)state;
    struct nx_infer *infer;
    struct nx_err err;
    assert_int_equal(start(3, &infer, &err), NX_OK);
    assert_int_equal(requests_count, 3);
    assert_string_equal(requests[0].head.name, "rose");
    assert_int_equal(requests[0].head.tag, nx_tag_of_name("rose"));
    answer(2, 2.5f, 1);
    answer(0, 0.5f, 1);
    assert_int_equal(dones, 0);
    answer(1, 1.5f, 1);
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, NX_OK);
    assert_int_equal(done_rows, 3);
    assert_true(done_values[0] == 0.5f && done_values[1] == 1.5f && done_values[2] == 2.5f);
    assert_int_equal(reserved, 0);
}

static void the_first_failure_is_told_and_ends_the_others(void **state)
{
    (void)state;
    struct nx_infer *infer;
    struct nx_err err;
    assert_int_equal(start(3, &infer, &err), NX_OK);
    answer(0, 1, 1);
    refuse(1, NX_INVALID, "no picture");
    assert_int_equal(dones, 1);
    assert_int_equal(done_status, NX_INVALID);
    assert_string_equal(done_text, "photo 2 of 3: no picture");
    assert_true(requests[2].over);
    assert_int_equal(reserved, 0);
}

static void a_refused_start_leaves_nothing(void **state)
{
    (void)state;
    struct nx_infer *infer;
    struct nx_err err;
    refuse_after = 2;
    assert_int_equal(start(5, &infer, &err), NX_UNAVAILABLE);
    assert_true(requests[0].over && requests[1].over);
    assert_int_equal(reserved, 0);
    assert_int_equal(dones, 0);
}

static void a_cancelled_one_is_silent(void **state)
{
    (void)state;
    struct nx_infer *infer;
    struct nx_err err;
    assert_int_equal(start(2, &infer, &err), NX_OK);
    answer(0, 1, 1);
    nx_infer_cancel(infer);
    assert_true(requests[1].over);
    assert_int_equal(dones, 0);
}

static void a_model_that_changes_on_the_way_is_noticed(void **state)
{
    (void)state;
    struct nx_infer *infer;
    struct nx_err err;
    assert_int_equal(start(2, &infer, &err), NX_OK);
    answer(0, 1, 1);
    answer(1, 1, 2);
    assert_int_equal(done_status, NX_UNAVAILABLE);
}

#define each(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(rows_come_in_the_order_of_the_photos),
        each(the_first_failure_is_told_and_ends_the_others),
        each(a_refused_start_leaves_nothing),
        each(a_cancelled_one_is_silent),
        each(a_model_that_changes_on_the_way_is_noticed),
    };
    return cmocka_run_group_tests_name("infer", tests, NULL, NULL);
}
