/* A status goes over the wire and comes back the same; what is none is refused; the JSON is one object. */
#include "function_tier/pb/pb_status.h"
#include "nx_test.h"

#include <stdlib.h>
#include <string.h>

static struct nx_err err;

static const struct nx_pb_member members[] = {
    {0, "127.0.0.1", "function", 0, false, 1, "alive", 0},
    {1, "::1", "categorizer", 0, true, 7, "stateless", 0},
    {2, "10.0.0.3", "categorizer", 3, false, 2, "leaving", 41},
};
static const struct nx_pb_shard shards[] = {{"function", 0, 1, 1, true},
                                            {"categorizer", 3, 2, 1, false}};
static const struct nx_pb_change changes[] = {{1, 1700000000123, 0, 3, "the group formed"},
                                              {2, 1700000009999, 812, 2, "node 9 \"failed\""}};
static const struct nx_pb_model_row models[] = {{7, 1ull << 40, "a-name", "ready", "mxnet",
                                                 "imagenet", "cpu_dnnl", "f32", 1, 2, 3, 4, 5, 6, 0,
                                                 0, 0, 0, 0}};
static const struct nx_pb_replica replicas[] = {{2, 3, "", 10, 20, models, 1, NULL},
                                                {4, 3, "no answer in time", 0, 0, NULL, 0, NULL}};

static const struct nx_pb_status sample = {.node = 5,
                                           .version = "1.2",
                                           .ready = true,
                                           .vid = 2,
                                           .uptime_ms = 99,
                                           .waits_for = "node 4",
                                           .members = members,
                                           .members_count = 3,
                                           .shards = shards,
                                           .shards_count = 2,
                                           .changes = changes,
                                           .changes_count = 2,
                                           .replicas = replicas,
                                           .replicas_count = 2,
                                           .traffic = {4, 3, 2, 1, 2, {10, 20}, {5, 6, 7}}};

static char *json_of(const struct nx_pb_status *status)
{
    struct nx_text text;
    nx_text_init(&text, 1 << 20);
    nx_pb_status_json(status, &text);
    assert_false(text.bad);
    return text.at;
}

static void both_sides_agree(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_pb_status back;
    uint8_t *bytes;
    size_t len;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    assert_int_equal(nx_pb_status_encode(&sample, &bytes, &len, &err), NX_OK);
    assert_int_equal(nx_pb_status_decode(bytes, len, &arena, &back, &err), NX_OK);
    free(bytes);
    char *there = json_of(&sample), *here = json_of(&back); /* which tells every field */
    assert_string_equal(there, here);
    free(there);
    free(here);
    nx_arena_free(&arena);
}

static void json_has_what_scripts_ask_for(void **state)
{
    (void)state;
    static const char *const parts[] = {"{\"node\": 5, \"version\": \"1.2\", \"ready\": true, ",
                                        "\"vid\": 2, \"uptime_ms\": 99, \"waits_for\": \"node 4\",",
                                        "\"shard\": null",
                                        "\"state\": \"leaving\", \"queued\": 41}",
                                        "\"adequate\": false}",
                                        "\"cause\": \"node 9 \\\"failed\\\"\"}",
                                        "\"error\": \"no answer in time\"",
                                        "\"version\": 1099511627776",
                                        "\"bounds_us\": [10,20], \"counts\": [5,6,7]}}\n"};
    char *json = json_of(&sample);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(json, parts[i]))
            fail_msg("no %s in %s", parts[i], json);
    free(json);
}

static void an_empty_status_is_one(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_pb_status back;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    assert_int_equal(nx_pb_status_decode(NULL, 0, &arena, &back, &err), NX_OK);
    assert_int_equal(back.vid, 0);
    assert_int_equal(back.members_count, 0);
    assert_string_equal(back.version, "");
    nx_arena_free(&arena);
}

static void broken_bytes_are_refused(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_pb_status back;
    uint8_t *bytes;
    size_t len;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    assert_int_equal(nx_pb_status_encode(&sample, &bytes, &len, &err), NX_OK);
    for (size_t cut = 1; cut < len; cut++) {
        uint8_t *part = malloc(cut); /* so that a read behind it is noticed */
        assert_non_null(part);
        memcpy(part, bytes, cut);
        (void)nx_pb_status_decode(part, cut, &arena, &back, &err);
        free(part);
    }
    assert_int_equal(nx_pb_status_decode(bytes, len - 1, &arena, &back, &err), NX_CORRUPT);
    free(bytes);
    assert_int_equal(nx_pb_status_request_decode((const uint8_t *)"", 0, &err), NX_OK);
    assert_int_equal(nx_pb_status_request_decode((const uint8_t *)"\xff", 1, &err), NX_CORRUPT);
    nx_arena_free(&arena);
}

/* Traffic of one bound and one count: the last count has no bound, so there must be one more. */
static void a_histogram_that_does_not_fit_is_left_out(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x52, 8, 0x08, 3, 0x2a, 1, 9, 0x32, 1, 9};
    struct nx_arena arena;
    struct nx_pb_status back;
    nx_arena_init(&arena, NX_PB_STATUS_ALLOC_BYTES);
    assert_int_equal(nx_pb_status_decode(bytes, sizeof bytes, &arena, &back, &err), NX_OK);
    assert_int_equal(back.traffic.success, 3);
    assert_int_equal(back.traffic.bounds_count, 0);
    nx_arena_free(&arena);
}

static void memory_may_run_out(void **state)
{
    (void)state;
    uint8_t *bytes;
    size_t len;
    for (uint64_t n = 1; n <= 3; n++) {
        nx_alloc_fail_at(n);
        enum nx_status status = nx_pb_status_encode(&sample, &bytes, &len, &err);
        nx_alloc_fail_at(0);
        if (status == NX_OK)
            free(bytes);
        else
            assert_int_equal(status, NX_NO_MEMORY);
        assert_true(n > 1 || status == NX_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(json_has_what_scripts_ask_for),
        cmocka_unit_test(an_empty_status_is_one),
        cmocka_unit_test(broken_bytes_are_refused),
        cmocka_unit_test(a_histogram_that_does_not_fit_is_left_out),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
