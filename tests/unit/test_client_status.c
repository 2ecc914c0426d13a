/* What `nexus status` and `nexus top` print: plain lines whatever was sent, rates and quantiles. */
#include "cli/client_status.h"
#include "nx_test.h"

#include <string.h>

static const struct nx_pb_traffic some = {.success = 9,
                                          .failure = 1,
                                          .rows = 20,
                                          .bounds_count = 3,
                                          .bounds_us = {100, 1000, 50000},
                                          .counts = {4, 5, 0, 1}};

static void a_quantile_is_the_bound_that_the_share_kept(void **state)
{
    (void)state;
    struct nx_pb_traffic none = {0};
    assert_int_equal(nx_client_traffic_quantile(&none, 0.5), 0);
    assert_int_equal(nx_client_traffic_quantile(&some, 0.4), 100);
    assert_int_equal(nx_client_traffic_quantile(&some, 0.41), 1000);
    assert_int_equal(nx_client_traffic_quantile(&some, 0.9), 1000);
    assert_true(nx_client_traffic_quantile(&some, 0.99) == UINT64_MAX);
}

static void what_went_through_between_two_looks(void **state)
{
    (void)state;
    struct nx_pb_traffic later = some;
    later.success += 3;
    later.rows += 6;
    later.counts[1] += 3;
    struct nx_pb_traffic d = nx_client_traffic_since(&later, &some);
    assert_int_equal(d.success, 3);
    assert_int_equal(d.failure, 0);
    assert_int_equal(d.rows, 6);
    assert_int_equal(nx_client_traffic_quantile(&d, 0.99), 1000);
    d = nx_client_traffic_since(&some, &later); /* the node began anew */
    assert_int_equal(d.success, some.success);
}

static void traffic_in_words(void **state)
{
    (void)state;
    struct nx_text t;
    nx_text_init(&t, 1 << 16);
    nx_client_status_traffic(&some, 10, &t);
    assert_string_equal(t.at, "2.0 photos/s  9 answered  1 failed  p50 <= 1.0 ms  p99 > 50.0 ms\n");
    nx_text_free(&t);
    nx_text_init(&t, 1 << 16);
    nx_client_status_traffic(&(struct nx_pb_traffic){0}, 0, &t);
    assert_string_equal(t.at, "0.0 photos/s  0 answered  0 failed\n");
    nx_text_free(&t);
}

static void a_shard_of_the_dead_serves_nobody(void **state)
{
    (void)state;
    const struct nx_pb_shard shards[] = {{"function", 0, 2, 1, true},
                                         {"categorizer", 0, 2, 0, true},
                                         {"categorizer", 1, 1, 1, false}};
    const struct nx_pb_status status = {
        .version = "1", .waits_for = "", .shards = shards, .shards_count = 3};
    struct nx_text t;
    nx_text_init(&t, 1 << 16);
    nx_client_status_table(&status, &t);
    assert_non_null(strstr(t.at, "0  function           2     1  yes\n"));
    assert_non_null(
        strstr(t.at, "0  categorizer        2     0  no: none of its members is alive\n"));
    assert_non_null(strstr(t.at, "1  categorizer        1     1  no: fewer than min_nodes\n"));
    nx_text_free(&t);
}

static void no_text_moves_the_cursor(void **state)
{
    (void)state;
    static const char evil[] = "\033[2Jevil\r\n\x9b\x31m";
    const struct nx_pb_member member = {1, evil, evil, 0, true, 1, evil, 0};
    const struct nx_pb_shard shard = {evil, 0, 1, 0, false};
    const struct nx_pb_change change = {1, INT64_MAX, 5, 1, evil};
    const struct nx_pb_model_row model = {.name = evil, .state = evil, .device = evil};
    const struct nx_pb_replica replicas[] = {{1, 0, "", 0, 0, &model, 1, NULL},
                                             {2, 0, evil, 0, 0, NULL, 0, NULL}};
    const struct nx_pb_status status = {.version = evil,
                                        .waits_for = evil,
                                        .members = &member,
                                        .members_count = 1,
                                        .shards = &shard,
                                        .shards_count = 1,
                                        .changes = &change,
                                        .changes_count = 1,
                                        .replicas = replicas,
                                        .replicas_count = 2};
    struct nx_text t;
    nx_text_init(&t, 1 << 16);
    nx_client_status_table(&status, &t);
    assert_false(t.bad);
    for (const char *p = t.at; *p; p++)
        assert_true(*p == '\n' || ((unsigned char)*p >= ' ' && (unsigned char)*p < 0x7f));
    assert_non_null(strstr(t.at, "the group is forming"));
    assert_non_null(strstr(t.at, "\nwaits: ?[2Jevil"));
    assert_non_null(strstr(t.at, "no: fewer than min_nodes"));
    assert_non_null(strstr(t.at, "node 2 of shard 0 gave no list: ?[2Jevil"));
    nx_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quantile_is_the_bound_that_the_share_kept),
        cmocka_unit_test(what_went_through_between_two_looks),
        cmocka_unit_test(traffic_in_words),
        cmocka_unit_test(a_shard_of_the_dead_serves_nobody),
        cmocka_unit_test(no_text_moves_the_cursor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
