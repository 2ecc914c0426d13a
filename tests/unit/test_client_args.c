#include "cli/client_args.h"
#include "nx_test.h"

#include <stdio.h>
#include <string.h>

enum { ARGS_MAX = 14 };

/* Splits a line at blanks, puts "client" before it, and parses. */
static enum nx_status parse(const char *line, struct nx_client_args *args, struct nx_err *err)
{
    static char copy[4096];
    char *argv[ARGS_MAX + 1] = {(char[]){"client"}};
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word && argc < ARGS_MAX; word = strtok(NULL, " "))
        argv[argc++] = word;
    return nx_client_args_parse(argc, argv, args, err);
}

static void an_install_names_three_files(void **state)
{
    (void)state;
    struct nx_client_args args;
    assert_int_equal(parse("h:1 installmodel 7 s y p", &args, NULL), NX_OK);
    assert_int_equal(args.verb, NX_CLIENT_INSTALL);
    assert_string_equal(args.node, "h:1");
    assert_int_equal(args.tags[0], 7);
    assert_int_equal(args.tag_count, 1);
    assert_string_equal(args.synset_path, "s");
    assert_string_equal(args.model_path, "y");
    assert_string_equal(args.params_path, "p");
    assert_null(args.recipe);
    assert_null(args.calibration_path);
    assert_true(args.timeout_s > 0);
}

static void an_onnx_model_needs_no_params(void **state)
{
    (void)state;
    struct nx_client_args args;
    assert_int_equal(parse("h:1 installmodel 7 s m.onnx", &args, NULL), NX_OK);
    assert_string_equal(args.model_path, "m.onnx");
    assert_null(args.params_path);
    assert_int_equal(parse("h:1 installmodel 7 s .onnx", &args, NULL), NX_INVALID);
}

static void options_stand_anywhere(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--timeout 9 --recipe r --calibration c h:1 installmodel 7 s y p",
        "h:1 installmodel 7 s --recipe=r y p --timeout=9 --calibration=c",
    };
    for (int i = 0; i < 2; i++) {
        struct nx_client_args args;
        assert_int_equal(parse(lines[i], &args, NULL), NX_OK);
        assert_string_equal(args.recipe, "r");
        assert_string_equal(args.calibration_path, "c");
        assert_int_equal(args.timeout_s, 9);
        assert_string_equal(args.params_path, "p");
    }
}

static void models_takes_a_node_and_perhaps_json(void **state)
{
    (void)state;
    struct nx_client_args args;
    assert_int_equal(parse("h:1 models", &args, NULL), NX_OK);
    assert_int_equal(args.verb, NX_CLIENT_MODELS);
    assert_false(args.json);
    assert_int_equal(parse("h:1 models --json", &args, NULL), NX_OK);
    assert_true(args.json);
}

static void tags_keep_their_order(void **state)
{
    (void)state;
    struct nx_client_args args;
    assert_int_equal(parse("h:1 inference 3,0,4294967295,3 photo", &args, NULL), NX_OK);
    assert_int_equal(args.tag_count, 4);
    assert_int_equal(args.tags[0], 3);
    assert_int_equal(args.tags[1], 0);
    assert_int_equal(args.tags[2], UINT32_MAX);
    assert_int_equal(args.tags[3], 3);
    assert_string_equal(args.photo_path, "photo");
}

static void as_many_tags_as_allowed_and_no_more(void **state)
{
    (void)state;
    char line[64 + 2 * NX_CLIENT_TAGS_MAX] = "h:1 inference 1";
    for (int i = 1; i < NX_CLIENT_TAGS_MAX; i++)
        strcat(line, ",1");
    struct nx_client_args args;
    struct nx_err err = {0};
    strcat(line, " photo");
    assert_int_equal(parse(line, &args, &err), NX_OK);
    assert_int_equal(args.tag_count, NX_CLIENT_TAGS_MAX);
    *strrchr(line, ' ') = 0;
    strcat(line, ",1 photo");
    assert_int_equal(parse(line, &args, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "more than 64"));
}

static void numbers_are_digits_of_32_bits(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "4294967296", "18446744073709551617", "1,2", "one"};
    uint32_t value = 5;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(nx_client_parse_u32(bad[i], &value));
    assert_int_equal(value, 5);
    assert_true(nx_client_parse_u32("4294967295", &value));
    assert_int_equal(value, UINT32_MAX);
    assert_true(nx_client_parse_u32("0007", &value));
    assert_int_equal(value, 7);
}

static void a_refusal_names_the_value_and_writes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *line, *words;
    } rows[] = {
        {"", "a function tier node"},
        {"h:1", "installmodel, inference, removemodel or models"},
        {"h:1 install 1", "unknown command \"install\""},
        {"h:1 removemodel x", "tag \"x\""},
        {"h:1 removemodel 1 2", "superfluous argument \"2\""},
        {"h:1 inference 1,,2 p", "\"\" in tags \"1,,2\""},
        {"h:1 inference 1,2, p", "\"\" in tags \"1,2,\""},
        {"h:1 inference 1,4294967296 p", "\"4294967296\" in tags"},
        {"h:1 inference 1", "missing argument: inference takes <models> <photo>"},
        {"h:1 installmodel 1 s y", "\"y\" does not end in .onnx"},
        {"h removemodel 1", "\"h\" is not host:port"},
        {"h:65536 removemodel 1", "\"h:65536\" is not host:port"},
        {"[]:1 removemodel 1", "\"[]:1\" is not host:port"},
        {"h:1 removemodel 1 --recipe r", "--recipe belongs to installmodel"},
        {"h:1 removemodel 1 --replace", "--replace belongs to installmodel"},
        {"h:1 inference 1 p --calibration c", "--calibration belongs to installmodel"},
        {"h:1 removemodel 1 --json", "--json belongs to models"},
        {"h:1 models --ca a --cert c", "--cert and --key belong together"},
        {"h:1 models --ca a --key k", "--cert and --key belong together"},
        {"h:1 models --cert c --key k", "need --ca"},
        {"h:1 models --ca", "--ca needs a value"},
        {"h:1 models 1", "superfluous argument \"1\": models takes nothing"},
        {"h:1 removemodel 1 --timeout 0", "--timeout \"0\""},
        {"h:1 removemodel 1 --timeout", "--timeout needs a value"},
        {"h:1 removemodel 1 --frob", "unknown option --frob"},
        {"h:1 removemodel -1", "unknown option -1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct nx_client_args args = {.timeout_s = 4711};
        struct nx_err err = {0};
        assert_int_equal(parse(rows[i].line, &args, &err), NX_INVALID);
        if (!strstr(err.text, rows[i].words))
            fail_msg("\"%s\": \"%s\" lacks \"%s\"", rows[i].line, err.text, rows[i].words);
        assert_int_equal(args.timeout_s, 4711);
    }
}

static void help_needs_nothing_else(void **state)
{
    (void)state;
    struct nx_client_args args;
    assert_int_equal(parse("--help", &args, NULL), NX_OK);
    assert_true(args.help);
    assert_int_equal(parse("h:1 installmodel -h", &args, NULL), NX_OK);
    assert_true(args.help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_install_names_three_files),
        cmocka_unit_test(an_onnx_model_needs_no_params),
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(models_takes_a_node_and_perhaps_json),
        cmocka_unit_test(tags_keep_their_order),
        cmocka_unit_test(as_many_tags_as_allowed_and_no_more),
        cmocka_unit_test(numbers_are_digits_of_32_bits),
        cmocka_unit_test(a_refusal_names_the_value_and_writes_nothing),
        cmocka_unit_test(help_needs_nothing_else),
    };
    return cmocka_run_group_tests_name("client_args", tests, NULL, NULL);
}
