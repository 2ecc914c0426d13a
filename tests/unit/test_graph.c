#include "categorizer/graph/graph.h"
#include "nx_net.h"

#include <string.h>

static void arity_is_the_ops(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 1);
    uint32_t x = nx_net_input(&net, 3, 4, 4), inputs[] = {x, x, x}, at;
    struct nx_node node = {.op = NX_OP_POOL, .name = "p", .inputs = inputs, .n_outputs = 1};
    node.n_inputs = 2;
    assert_int_equal(nx_graph_add_node(&net.graph, &node, &at, &net.err), NX_INVALID);
    assert_non_null(strstr(net.err.text, "pooling 'p' has 2 inputs, it takes 1 to 1"));
    node.n_inputs = 1;
    node.n_outputs = 0;
    assert_int_equal(nx_graph_add_node(&net.graph, &node, &at, &net.err), NX_INVALID);
    assert_int_equal(net.graph.n_nodes, 0);
    nx_net_close(&net);
}

static void nodes_are_bounded(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 1);
    uint32_t x = nx_net_input(&net, 3, 4, 4), at;
    struct nx_node node = {
        .op = NX_OP_IDENTITY, .name = "i", .inputs = &x, .n_inputs = 1, .n_outputs = 1};
    for (uint32_t i = 0; i < NX_NODES_MAX; i++)
        assert_int_equal(nx_graph_add_node(&net.graph, &node, &at, &net.err), NX_OK);
    assert_int_equal(nx_graph_add_node(&net.graph, &node, &at, &net.err), NX_TOO_LARGE);
    assert_true(nx_graph_is_sound(&net.graph));
    nx_net_close(&net);
}

static void a_clone_stands_alone(void **state)
{
    (void)state;
    struct nx_net net;
    struct nx_arena arena;
    struct nx_graph clone;
    nx_net_open(&net, 1);
    nx_arena_init(&arena, 1 << 20);
    uint32_t y = nx_net_conv(&net, nx_net_input(&net, 3, 4, 4), 3, 8, 3, true);
    nx_net_outputs(&net, &y, 1);
    nx_net_infer(&net, 2);
    assert_int_equal(nx_graph_clone(&net.graph, &arena, &clone, &net.err), NX_OK);
    assert_int_equal(nx_shape_infer(&clone, 7, &net.err), NX_OK);
    assert_true(nx_graph_is_sound(&clone));
    assert_int_equal(net.graph.tensors[y].shape.dims[0], 2);
    assert_int_equal(clone.tensors[y].shape.dims[0], 7);
    assert_ptr_equal(clone.tensors[1].data, net.graph.tensors[1].data);
    assert_int_equal(nx_graph_keep_names(&clone, &arena, &net.err), NX_OK);
    nx_net_close(&net); /* the address sanitizer sees who still reads there */
    assert_string_equal(clone.tensors[0].name, "data");
    assert_string_equal(clone.nodes[0].name, "node");
    assert_string_equal(clone.in[0].name, "data");
    assert_string_equal(clone.out[0].name, "node");
    nx_arena_free(&arena);
}

static void an_unsound_graph_is_noticed(void **state)
{
    (void)state;
    struct nx_net net;
    nx_net_open(&net, 1);
    uint32_t a = nx_net_unary(&net, nx_net_input(&net, 3, 4, 4), NX_UNARY_RELU, 0);
    uint32_t b = nx_net_unary(&net, a, NX_UNARY_RELU, 0);
    nx_net_outputs(&net, &b, 1);
    assert_true(nx_graph_is_sound(&net.graph));
    net.graph.nodes[0].inputs[0] = b;
    assert_false(nx_graph_is_sound(&net.graph));
    nx_net_close(&net);
}

static void shapes_as_text_and_bytes(void **state)
{
    (void)state;
    char text[NX_SHAPE_TEXT_BYTES];
    uint64_t n;
    struct nx_shape scalar = {0}, unknown = {.rank = NX_RANK_UNKNOWN}, full = {6, {0}};
    for (int i = 0; i < 6; i++)
        full.dims[i] = INT64_MIN;
    assert_string_equal(nx_shape_text(&scalar, text), "()");
    assert_string_equal(nx_shape_text(&unknown, text), "unknown");
    assert_true(strlen(nx_shape_text(&full, text)) == 6 * 20 + 5 * 2 + 2);
    assert_true(nx_shape_elements(&scalar, &n) && n == 1);
    struct nx_shape large = {3, {1 << 15, 1 << 15, 2}};
    assert_false(nx_shape_elements(&large, &n));
    large.dims[2] = 1;
    assert_true(nx_shape_elements(&large, &n) && n == 1u << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arity_is_the_ops),         cmocka_unit_test(nodes_are_bounded),
        cmocka_unit_test(a_clone_stands_alone),     cmocka_unit_test(an_unsound_graph_is_noticed),
        cmocka_unit_test(shapes_as_text_and_bytes),
    };
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
