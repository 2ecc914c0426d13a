#include "common/config.h"
#include "nx_test.h"

#include <stdio.h>
#include <string.h>

static const char good[] = "[NEXUS]\n"
                           "leader_ip = 127.0.0.1 ; the first node\n"
                           "local_id = 3\n"
                           "local_ip = 127.0.0.2\n"
                           "tier = categorizer\n"
                           "first_view_nodes = 4\n"
                           "[SUBGROUP/CATEGORIZER_TIER]\n"
                           "max_nodes = 2\n";

static struct nx_config config;
static struct nx_err err;

/* Up to four options, NULL after the last. */
static enum nx_status parse(const char *text, const char *a, const char *b, const char *c,
                            const char *d)
{
    const char *options[] = {a, b, c, d};
    char *argv[4];
    int argc = 0;
    for (; argc < 4 && options[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)options[argc];
    err = (struct nx_err){0};
    return nx_config_parse(text, "nexus.cfg", argc, argv, &config, &err);
}

static void a_file_and_its_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse(good, NULL, NULL, NULL, NULL), NX_OK);
    assert_int_equal(config.local_id, 3);
    assert_string_equal(config.leader_ip, "127.0.0.1");
    assert_string_equal(config.local_ip, "127.0.0.2");
    assert_int_equal(config.leader_gms_port, 23580);
    assert_int_equal(config.client_port, 28003);
    assert_string_equal(config.provider, "tcp");
    assert_int_equal(config.categorizer_tier.max_nodes, 2);
    assert_int_equal(config.categorizer_tier.num_shards, 1);
    assert_string_equal(config.secret_file, "");
    assert_int_equal(config.members_max, 8);
    assert_int_equal(config.contacts_count, 0);
    assert_int_equal(config.clock_skew_s, 60);
    assert_string_equal(config.rejoin, "yes");
}

static void contacts_are_a_list(void **state)
{
    (void)state;
    assert_int_equal(
        parse(good, "--contacts=10.0.0.1:23580 , 127.0.0.1:1,9.8.7.6:65535", NULL, NULL, NULL),
        NX_OK);
    assert_int_equal(config.contacts_count, 3);
    assert_string_equal(config.contact[0].ip, "10.0.0.1");
    assert_int_equal(config.contact[0].port, 23580);
    assert_string_equal(config.contact[1].ip, "127.0.0.1");
    assert_int_equal(config.contact[2].port, 65535);
    static const char *const bad[] = {
        "10.0.0.1", "10.0.0.1:",  "10.0.0.1:0",  "10.0.0.1:65536",      "host:1",
        ":1",       "1.2.3.4:5x", "1.2.3.4:5,,", "1.2.3.4:5 1.2.3.4:6", ","};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(good, "--contacts", bad[i], NULL, NULL), NX_INVALID);
        assert_non_null(strstr(err.text, "contacts must be IPv4 addresses with ports"));
    }
    assert_int_equal(parse(good, "--contacts",
                           "1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,"
                           "1.1.1.1:8,1.1.1.1:9",
                           NULL, NULL),
                     NX_INVALID);
    assert_non_null(strstr(err.text, "more than 8 addresses"));
    assert_int_equal(parse(good, "--members_max=3", NULL, NULL, NULL), NX_INVALID);
    assert_non_null(strstr(err.text, "members_max is 3, but first_view_nodes is 4"));
    assert_int_equal(parse(good, "--first_view_nodes=30", NULL, NULL, NULL), NX_OK);
    assert_int_equal(config.members_max, 32);
}

static void a_secret_s_path_may_be_longer_than_other_texts(void **state)
{
    (void)state;
    char path[NX_CONFIG_PATH_BYTES + 1];
    memset(path, 'p', sizeof path);
    path[NX_CONFIG_PATH_BYTES - 1] = 0;
    assert_int_equal(parse(good, "--secret_file", path, NULL, NULL), NX_OK);
    assert_string_equal(config.secret_file, path);
    path[NX_CONFIG_PATH_BYTES - 1] = 'p';
    path[NX_CONFIG_PATH_BYTES] = 0;
    assert_int_equal(parse(good, "--secret_file", path, NULL, NULL), NX_INVALID);
    assert_string_equal(err.text, "option --secret_file: secret_file is longer than 255 bytes");
}

static void clients_may_come_by_either_protocol(void **state)
{
    (void)state;
    assert_int_equal(
        parse(good, "--CLIENTS/listen", "[::1]:8080, 127.0.0.1:8081,[2001:db8::7]:1", NULL, NULL),
        NX_OK);
    assert_int_equal(config.listen_count, 3);
    assert_string_equal(config.listen_at[0].ip, "::1");
    assert_int_equal(config.listen_at[0].port, 8080);
    assert_string_equal(config.listen_at[1].ip, "127.0.0.1");
    assert_string_equal(config.listen_at[2].ip, "2001:db8::7");
    static const char *const bad[] = {"::1:8080", "[::1]",     "[::1]8080",     "[::1:8080",
                                      "[]:8080",  "[::1]:",    "[127.0.0.1]:1", "[::1]:0",
                                      "[::g]:1",  "[::1]:1 x", "[::1,::1]:1",   "::1]:80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(good, "--CLIENTS/listen", bad[i], NULL, NULL), NX_INVALID);
        assert_non_null(strstr(err.text, "or IPv6 ones, such as \"[::1]:8080\""));
    }
    assert_int_equal(parse(good, "--contacts", "[::1]:8080", NULL, NULL),
                     NX_INVALID); /* of nodes */
}

static void a_precision_is_one_of_two(void **state)
{
    (void)state;
    assert_int_equal(parse(good, NULL, NULL, NULL, NULL), NX_OK);
    assert_string_equal(config.precision, "f32");
    assert_int_equal(parse(good, "--CATEGORIZER/precision=bf16", NULL, NULL, NULL), NX_OK);
    assert_string_equal(config.precision, "bf16");
    assert_int_equal(parse(good, "--CATEGORIZER/precision=f16", NULL, NULL, NULL), NX_INVALID);
    assert_non_null(strstr(err.text, "precision must be f32 or bf16, not \"f16\""));
    assert_null(strstr(err.text, "--calibration"));
    assert_int_equal(parse(good, "--CATEGORIZER/precision=int8", NULL, NULL, NULL), NX_INVALID);
    assert_non_null(strstr(err.text,
                           "precision must be f32 or bf16, not \"int8\": int8 comes with a "
                           "model, 'nexus client ... installmodel ... --calibration FILE'"));
}

static void the_command_line_wins(void **state)
{
    (void)state;
    assert_int_equal(parse(good, "--local_id=7", "--RDMA/provider=verbs",
                           "--SUBGROUP/CATEGORIZER_TIER/max_nodes", "5"),
                     NX_OK);
    assert_int_equal(config.local_id, 7);
    assert_int_equal(config.client_port, 28007);
    assert_string_equal(config.provider, "verbs");
    assert_int_equal(config.categorizer_tier.max_nodes, 5);
}

struct bad {
    const char *more, *option, *value, *sentence;
};

static void every_mistake_is_named(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        {"min_node = 2\n", NULL, NULL,
         "nexus.cfg:9: unknown key \"min_node\" in section [SUBGROUP/CATEGORIZER_TIER]"},
        {"[RDMA]\nprovider = pigeon\n", NULL, NULL,
         "nexus.cfg:10: provider must be tcp or verbs, not \"pigeon\""},
        {"num_shards = 99\n", NULL, NULL,
         "nexus.cfg:9: num_shards must be a number from 1 to 32, not \"99\""},
        {"num_shards = -1\n", NULL, NULL,
         "nexus.cfg:9: num_shards must be a number from 1 to 32, not \"-1\""},
        {"max_nodes = 4\n", NULL, NULL, "nexus.cfg:9: max_nodes is given twice"},
        {"what is this\n", NULL, NULL, "nexus.cfg:9: expected \"key = value\" or \"[section]\""},
        {"[RDNA]\nprovider = tcp\n", NULL, NULL,
         "nexus.cfg:10: unknown key \"provider\" in section [RDNA]"},
        {"min_nodes = 3\n", NULL, NULL,
         "nexus.cfg: [SUBGROUP/CATEGORIZER_TIER] min_nodes 3 is over max_nodes 2"},
        {"num_shards = 2\nmin_nodes = 2\n", NULL, NULL,
         "nexus.cfg: first_view_nodes is 4, but the shards need 5 nodes (1 + 2 x 2)"},
        {"", "--local_id", "x",
         "option --local_id: local_id must be a number from 0 to 1000000, not \"x\""},
        {"", "--local_ip", "localhost",
         "option --local_ip: local_ip must be an IPv4 address, not \"localhost\""},
        {"[NEXUS]\nsecret_file = a\nsecret_file = b\n", NULL, NULL,
         "nexus.cfg:11: secret_file is given twice"},
        {"", "--RDMA/domain", "a-domain-of-more-than-31-characters",
         "option --RDMA/domain: domain is longer than 31 bytes"},
        {"", "--color", "x", "unknown option \"--color\""},
        {"", "--local_id", NULL, "option \"--local_id\" has no value"},
        {"", "--local_id=1", "--local_id=2", "option --local_id is given twice"},
        {"", "fast", NULL, "unexpected argument \"fast\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[1024];
        snprintf(text, sizeof text, "%s%s", good, cases[i].more);
        assert_int_equal(parse(text, cases[i].option, cases[i].value, NULL, NULL), NX_INVALID);
        assert_string_equal(err.text, cases[i].sentence);
    }
}

static void a_missing_key_is_named(void **state)
{
    (void)state;
    assert_int_equal(parse("[NEXUS]\nlocal_id = 1\n", NULL, NULL, NULL, NULL), NX_INVALID);
    assert_string_equal(err.text, "nexus.cfg: leader_ip is missing in section [NEXUS]");
}

static void a_file_that_is_none_is_refused(void **state)
{
    (void)state;
    assert_int_equal(nx_config_load("/nonexistent/nexus.cfg", 0, NULL, &config, &err), NX_IO);
    assert_non_null(strstr(err.text, "No such file or directory"));
    assert_int_equal(nx_config_load("/", 0, NULL, &config, &err), NX_INVALID);
    assert_string_equal(err.text, "no configuration file: / is a directory, not a plain file");
    assert_int_equal(nx_config_load("/proc/self/exe", 0, NULL, &config, &err), NX_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_and_its_defaults),
        cmocka_unit_test(contacts_are_a_list),
        cmocka_unit_test(clients_may_come_by_either_protocol),
        cmocka_unit_test(a_precision_is_one_of_two),
        cmocka_unit_test(the_command_line_wins),
        cmocka_unit_test(every_mistake_is_named),
        cmocka_unit_test(a_missing_key_is_named),
        cmocka_unit_test(a_file_that_is_none_is_refused),
        cmocka_unit_test(a_secret_s_path_may_be_longer_than_other_texts),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
