#include "categorizer/graph/shape.h"
#include "categorizer/model/symbol.h"
#include "nx_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct nx_arena arena;
static struct nx_graph graph;
static struct nx_err err;

static enum nx_status build(const char *json, size_t len)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, json, len);
    nx_arena_free(&arena);
    nx_arena_init(&arena, 16 << 20);
    nx_graph_init(&graph, &arena);
    err = (struct nx_err){0};
    enum nx_status status = nx_symbol_build(copy, len, NULL, &graph, &err);
    free(copy);
    assert_true(status == NX_OK || err.text[0]);
    return status;
}

static void assert_refused(const char *json, enum nx_status wanted, const char *sentence)
{
    enum nx_status status = build(json, strlen(json));
    if (status != wanted || !strstr(err.text, sentence))
        fail_msg("status %d, \"%s\" is not in \"%s\"", (int)status, sentence, err.text);
}

/* conv → bn → relu → pooling → fc → softmax, in the three generations of keys. */
#define VAR(name) "{\"op\":\"null\",\"name\":\"" name "\",\"inputs\":[]},"
#define CONV(key)                                                               \
    "{\"op\":\"Convolution\",\"name\":\"conv\",\"inputs\":[[0,0],[1,0]],\"" key \
    "\":{\"kernel\":\"(3, 3)\",\"num_filter\":\"4\",\"no_bias\":\"True\"}},"
static const char old_file[] = "{\"nodes\":[" VAR("data") VAR("w") CONV("param") VAR("gamma") VAR(
    "beta") "{\"op\":\"BatchNorm\",\"name\":\"bn\",\"inputs\":[[2,0],[3,0],[4,0]],\"param\":{},"
            "\"backward_source_id\":-1},"
            "{\"op\":\"Activation\",\"name\":\"relu\",\"inputs\":[[5,0]],\"param\":{\"act_type\":"
            "\"relu\"}}," VAR("softmax_label") "{\"op\":\"Softmax\",\"name\":\"softmax\","
                                               "\"inputs\":[[6,0],[7,0]],\"param\":{}}"
                                               "],\"arg_nodes\":[0,1,3,4,7],\"heads\":[[8,0]]}";

static const char *const new_keys[] = {"attr", "attrs"};

static void new_file(const char *key, char *json, size_t bytes)
{
    snprintf(
        json, bytes,
        "{\"nodes\":[" VAR("data") VAR(
            "w") "{\"op\":\"Convolution\",\"name\":\"conv\",\"inputs\":[[0,0,0],[1,0,0]],\"%s\":"
                 "{\"kernel\":\"(3,3)\",\"num_filter\":\"4\",\"no_bias\":\"1\",\"lr_mult\":\"0.1\"}"
                 "}," VAR("gamma") VAR("beta") VAR("mean")
                     VAR("var") "{\"op\":\"BatchNorm\",\"name\":\"bn\",\"inputs\":[[2,0,0],[3,0,0],"
                                "[4,0,0],[5,0,1],"
                                "[6,0,1]]},"
                                "{\"op\":\"relu\",\"name\":\"relu\",\"inputs\":[[7,0,0]]}," VAR(
                                    "softmax_label") "{\"op\":\"SoftmaxOutput\",\"name\":"
                                                     "\"softmax\",\"inputs\":[[8,0,0],[9,0,0]]}"
                                                     "],\"heads\":[[10,0,0]],\"attrs\":{\"mxnet_"
                                                     "version\":[\"int\",10500]}}",
        key);
}

static void assert_is_the_net(void)
{
    static const enum nx_op ops[] = {NX_OP_CONV, NX_OP_BATCH_NORM, NX_OP_UNARY, NX_OP_SOFTMAX};
    assert_int_equal(graph.n_nodes, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(graph.nodes[i].op, ops[i]);
    assert_int_equal(graph.n_inputs, 1);
    assert_string_equal(graph.tensors[graph.inputs[0]].name, "data");
    assert_true(graph.nodes[1].attr.batch_norm.fix_gamma);
    graph.tensors[graph.inputs[0]].shape = (struct nx_shape){4, {1, 3, 8, 8}};
    assert_int_equal(nx_shape_infer(&graph, 2, &err), NX_OK);
    const struct nx_shape want = {4, {2, 4, 6, 6}};
    assert_true(nx_shape_equal(&graph.tensors[graph.outputs[0]].shape, &want));
    const struct nx_shape weight = {4, {4, 3, 3, 3}}, channels = {1, {4}};
    assert_true(nx_shape_equal(&graph.tensors[graph.nodes[0].inputs[1]].shape, &weight));
    for (int i = 1; i < 5; i++)
        assert_true(nx_shape_equal(&graph.tensors[graph.nodes[1].inputs[i]].shape, &channels));
}

static void three_generations_of_keys_read_alike(void **state)
{
    (void)state;
    char json[4096];
    assert_int_equal(build(old_file, sizeof old_file - 1), NX_OK);
    assert_string_equal(graph.tensors[graph.nodes[1].inputs[3]].name, "bn_moving_mean");
    assert_string_equal(graph.tensors[graph.nodes[1].inputs[4]].name, "bn_moving_var");
    assert_is_the_net();
    for (int i = 0; i < 2; i++) {
        new_file(new_keys[i], json, sizeof json);
        assert_int_equal(build(json, strlen(json)), NX_OK);
        assert_is_the_net();
    }
}

static void a_declared_shape_is_the_inputs(void **state)
{
    (void)state;
    static const char json[] =
        "{\"nodes\":[{\"op\":\"null\",\"name\":\"/in1\",\"attrs\":{\"__shape__\":\"(0, 3, 30, "
        "20)\"},"
        "\"inputs\":[]},{\"op\":\"Flatten\",\"name\":\"f\",\"inputs\":[[0,0,0]]}],"
        "\"heads\":[[1,0,0]]}";
    assert_int_equal(build(json, sizeof json - 1), NX_OK);
    const struct nx_shape want = {4, {1, 3, 30, 20}};
    assert_true(nx_shape_equal(&graph.tensors[graph.inputs[0]].shape, &want));
}

static void only_what_the_head_needs_is_lowered(void **state)
{
    (void)state;
    static const char json[] =
        "{\"nodes\":[" VAR("data") "{\"op\":\"Flatten\",\"name\":\"f\",\"inputs\":[[0,0]]},"
                                   "{\"op\":\"NobodyKnowsThisOp\",\"name\":\"loss\",\"inputs\":[[1,"
                                   "0]]}],\"heads\":[[1,0]]}";
    assert_int_equal(build(json, sizeof json - 1), NX_OK);
    assert_int_equal(graph.n_nodes, 1);
}

static void a_symbol_cut_anywhere_is_refused(void **state)
{
    (void)state;
    for (size_t cut = 0; cut + 1 < sizeof old_file; cut++)
        assert_int_equal(build(old_file, cut), NX_CORRUPT);
}

static void any_changed_byte_is_read_or_refused(void **state)
{
    (void)state;
    static const char changes[] = {'\0', '"', '9', '-', '}', '[', 'x', (char)0xff};
    char json[sizeof old_file];
    for (size_t at = 0; at + 1 < sizeof old_file; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            memcpy(json, old_file, sizeof json);
            json[at] = changes[i];
            build(json, sizeof json - 1);
        }
}

static void a_cycle_and_other_bad_references(void **state)
{
    (void)state;
    assert_refused(
        "{\"nodes\":[" VAR(
            "data") "{\"op\":\"relu\",\"name\":\"a\",\"inputs\":[[2,0]]},"
                    "{\"op\":\"relu\",\"name\":\"b\",\"inputs\":[[1,0]]}],\"heads\":[[2,0]]}",
        NX_CORRUPT, "node 1 'a' reads node 2");
    assert_refused(
        "{\"nodes\":[{\"op\":\"relu\",\"name\":\"a\",\"inputs\":[[0,0]]}],\"heads\":[[0,0]]}",
        NX_CORRUPT, "a cycle");
    assert_refused(
        "{\"nodes\":[" VAR("data") "{\"op\":\"relu\",\"name\":\"a\",\"inputs\":[[0,1]]}],"
                                   "\"heads\":[[1,0]]}",
        NX_CORRUPT, "reads output 1 of 'data', which has 1");
    assert_refused(
        "{\"nodes\":[" VAR("data") "{\"op\":\"relu\",\"name\":\"a\",\"inputs\":[[0,0]]}],"
                                   "\"heads\":[[2,0]]}",
        NX_CORRUPT, "a head is node 2 of 2");
    assert_refused(
        "{\"nodes\":[" VAR("data") "{\"op\":\"relu\",\"name\":\"a\",\"inputs\":[[-1,0]]}],"
                                   "\"heads\":[[1,0]]}",
        NX_CORRUPT, "input 0 of node 'a'");
    assert_refused("{\"nodes\":[],\"heads\":[[0,0]]}", NX_CORRUPT, "nodes");
    assert_refused("[1, 2]", NX_CORRUPT, "not a JSON object");
}

static void ops_and_attributes_are_named(void **state)
{
    (void)state;
#define NET(op, attrs)                                                                \
    "{\"nodes\":[" VAR("data") VAR("w") "{\"op\":\"" op                               \
                                        "\",\"name\":\"n\",\"inputs\":[[0,0],[1,0]]," \
                                        "\"attrs\":{" attrs "}}],\"heads\":[[2,0]]}"
    assert_refused(NET("Convolutoin", ""), NX_UNSUPPORTED,
                   "node 'n' is of unknown op 'Convolutoin'");
    assert_refused(NET("Convolution", "\"num_filter\":\"4\""), NX_INVALID, "has no kernel");
    assert_refused(NET("Convolution", "\"kernel\":\"(3, 3)\",\"num_filter\":\"-4\""), NX_INVALID,
                   "num_filter = -4");
    assert_refused(NET("Convolution", "\"kernel\":\"(3, 3\",\"num_filter\":\"4\""), NX_INVALID,
                   "kernel = \"(3, 3\"");
    assert_refused(NET("Convolution", "\"kernel\":\"(3, 3, 3)\",\"num_filter\":\"4\""),
                   NX_UNSUPPORTED, "2 dimensions");
    assert_refused(NET("Convolution", "\"kernel\":\"(3, 3)\",\"num_filter\":\"4\""), NX_INVALID,
                   "has 2 inputs, 3 were expected");
    assert_refused(NET("Convolution", "\"kernel\":\"(99999, 3)\",\"num_filter\":\"4\""), NX_INVALID,
                   "kernel");
    assert_refused(NET("LeakyReLU", "\"act_type\":\"swish9\""), NX_UNSUPPORTED, "swish9");
    assert_refused(NET("Cast", "\"dtype\":\"complex64\""), NX_UNSUPPORTED, "complex64");
    assert_refused(NET("elemwise_add", ""), NX_INVALID, "one input is expected");
    assert_refused("{\"nodes\":[" VAR("data")
                       VAR("data") "{\"op\":\"_plus\",\"name\":\"n\",\"inputs\":[[0,0],[1,0]]}],"
                                   "\"heads\":[[2,0]]}",
                   NX_CORRUPT, "two variables are named 'data'");
#undef NET
}

static void deep_json_is_refused(void **state)
{
    (void)state;
    size_t depth = 100000;
    char *json = malloc(depth);
    memset(json, '[', depth);
    assert_int_equal(build(json, depth), NX_CORRUPT);
    free(json);
    nx_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_generations_of_keys_read_alike),
        cmocka_unit_test(a_declared_shape_is_the_inputs),
        cmocka_unit_test(only_what_the_head_needs_is_lowered),
        cmocka_unit_test(a_symbol_cut_anywhere_is_refused),
        cmocka_unit_test(any_changed_byte_is_read_or_refused),
        cmocka_unit_test(a_cycle_and_other_bad_references),
        cmocka_unit_test(ops_and_attributes_are_named),
        cmocka_unit_test(deep_json_is_refused),
    };
    return cmocka_run_group_tests_name("symbol", tests, NULL, NULL);
}
