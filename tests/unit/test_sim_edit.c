/* Edits of a drawn configuration: what is parsed is what is printed, and what it takes away. */
#include "sim_edit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_prints_what_it_parsed(void **state)
{
    (void)state;
    static const char list[] = "n3,f0,f12,o1:5,b,q,t,d";
    struct sim_edits edits;
    char *text = NULL;
    size_t len;
    assert_true(sim_edits_parse(&edits, list));
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    sim_edits_print(&edits, out);
    fclose(out);
    assert_string_equal(text, list);
    free(text);
}

static void test_refuses_what_is_no_list(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "x",  "n",   "f",   "o1",  "o1:",         "n3,",
                                      ",n3", "b1", "n-1", "n3 ", "o:1", "f99999999999"};
    struct sim_edits edits;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(sim_edits_parse(&edits, bad[i]));
    char many[4 * SIM_EDITS_MAX + 4] = "b";
    for (int i = 0; i < SIM_EDITS_MAX; i++)
        strcat(many, ",b");
    assert_false(sim_edits_parse(&edits, many));
}

static struct sim_config drawn(void)
{
    struct sim_config config = {
        .nodes = 4, .tear_percent = 50, .delay_min_ns = 10, .delay_max_ns = 20, .faults_count = 4};
    config.view.members_count = 4;
    for (int n = 0; n < 4; n++)
        config.loads[n] = (struct sim_load){.ops = 10, .weights = {1, 1, 1, 1, 1}};
    config.faults[0] = (struct sim_fault){.kind = SIM_FAULT_KILL, .node = 0};
    config.faults[1] = (struct sim_fault){.kind = SIM_FAULT_CUT, .node = 0, .peer = 3};
    config.faults[2] = (struct sim_fault){.kind = SIM_FAULT_PAUSE, .node = 3};
    config.faults[3] = (struct sim_fault){.kind = SIM_FAULT_LEAVE, .node = 1};
    return config;
}

static void apply(const char *list, struct sim_config *config)
{
    struct sim_edits edits;
    assert_true(sim_edits_parse(&edits, list));
    *config = drawn();
    sim_edits_apply(&edits, config);
}

static void test_faults_keep_their_drawn_numbers(void **state)
{
    (void)state;
    struct sim_config config;
    apply("f0,f2", &config);
    assert_int_equal(config.faults_count, 2);
    assert_int_equal(config.faults[0].kind, SIM_FAULT_CUT);
    assert_int_equal(config.faults[1].kind, SIM_FAULT_LEAVE);
}

static void test_a_node_goes_with_its_faults(void **state)
{
    (void)state;
    struct sim_config config;
    apply("n3", &config);
    assert_int_equal(config.nodes, 3);
    assert_int_equal(config.view.members_count, 3);
    assert_int_equal(config.faults_count, 2);
    apply("n9,n0", &config);
    assert_int_equal(config.nodes, 4);
}

static void test_traffic_and_disorder(void **state)
{
    (void)state;
    struct sim_config config;
    apply("o1:3,o2:99,b,q,t,d", &config);
    assert_int_equal(config.loads[1].ops, 3);
    assert_int_equal(config.loads[2].ops, 10);
    assert_int_equal(config.loads[0].weights[SIM_OP_BULK], 0);
    assert_int_equal(config.loads[3].weights[SIM_OP_QUERY], 0);
    assert_int_equal(config.loads[3].weights[SIM_OP_SEND], 1);
    assert_int_equal(config.tear_percent, 0);
    assert_int_equal(config.delay_max_ns, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prints_what_it_parsed),
        cmocka_unit_test(test_refuses_what_is_no_list),
        cmocka_unit_test(test_faults_keep_their_drawn_numbers),
        cmocka_unit_test(test_a_node_goes_with_its_faults),
        cmocka_unit_test(test_traffic_and_disorder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
