#include "categorizer/graph/shape.h"
#include "nx_net.h"

#include <string.h>

static struct nx_net net;

/* The shape that one node gives to x, or its refusal. */
static enum nx_status infer_one(struct nx_shape x, struct nx_node node, uint32_t extra,
                                const struct nx_shape *extras)
{
    uint32_t inputs[4], at;
    if (net.arena.newest)
        nx_net_close(&net);
    nx_net_open(&net, 1);
    inputs[0] = nx_net_input(&net, 1, 0, 0);
    net.graph.tensors[inputs[0]].shape = x;
    for (uint32_t i = 0; i < extra; i++) {
        assert_int_equal(
            nx_graph_add_tensor(&net.graph, NX_TENSOR_CONSTANT, "other", &inputs[1 + i], &net.err),
            NX_OK);
        if (extras)
            net.graph.tensors[inputs[1 + i]].shape = extras[i];
    }
    node.name = "n";
    node.inputs = inputs;
    node.n_inputs = 1 + extra;
    node.n_outputs = node.n_outputs ? node.n_outputs : 1;
    assert_int_equal(nx_graph_add_node(&net.graph, &node, &at, &net.err), NX_OK);
    nx_net_outputs(&net, net.graph.nodes[0].outputs, 1);
    return nx_shape_infer(&net.graph, (uint32_t)x.dims[0], &net.err);
}

static void assert_gives(struct nx_shape x, struct nx_node node, uint32_t extra,
                         const struct nx_shape *extras, struct nx_shape want)
{
    char got[NX_SHAPE_TEXT_BYTES], wanted[NX_SHAPE_TEXT_BYTES];
    if (infer_one(x, node, extra, extras) != NX_OK)
        fail_msg("%s", net.err.text);
    const struct nx_shape *y = &net.graph.tensors[net.graph.outputs[0]].shape;
    if (!nx_shape_equal(y, &want))
        fail_msg("%s, not %s", nx_shape_text(y, got), nx_shape_text(&want, wanted));
}

static void assert_refused(struct nx_shape x, struct nx_node node, uint32_t extra,
                           const struct nx_shape *extras, const char *sentence)
{
    enum nx_status status = infer_one(x, node, extra, extras);
    if (status == NX_OK || !strstr(net.err.text, sentence))
        fail_msg("status %d: \"%s\" is not in \"%s\"", (int)status, sentence, net.err.text);
}

static struct nx_shape shape4(int64_t n, int64_t c, int64_t h, int64_t w)
{
    return (struct nx_shape){4, {n, c, h, w}};
}

static struct nx_node conv_node(int32_t kernel, int32_t stride, int32_t pad, int32_t dilate,
                                int32_t groups)
{
    struct nx_node node = {.op = NX_OP_CONV};
    node.attr.conv = (struct nx_attr_conv){
        {{kernel, kernel}, {stride, stride}, {dilate, dilate}, {pad, pad}, {pad, pad}}, groups, 8};
    return node;
}

static void convolutions(void **state)
{
    (void)state;
    struct nx_shape x = shape4(2, 4, 9, 7);
    assert_gives(x, conv_node(3, 1, 0, 1, 1), 1, NULL, shape4(2, 8, 7, 5));
    assert_gives(x, conv_node(3, 2, 1, 1, 2), 2, NULL, shape4(2, 8, 5, 4));
    assert_gives(x, conv_node(3, 1, 2, 2, 4), 1, NULL, shape4(2, 8, 9, 7));
    assert_refused(x, conv_node(9, 1, 0, 1, 1), 1, NULL, "window of 9 x 9");
    assert_refused(x, conv_node(3, 1, 0, 1, 3), 1, NULL, "3 groups");
    assert_refused(x, conv_node(3, 0, 0, 1, 1), 1, NULL, "stride 0");
    assert_refused(x, conv_node(0, 1, 0, 1, 1), 1, NULL, "kernel 0");
    assert_refused(x, conv_node(3, 1, -1, 1, 1), 1, NULL, "padding -1");
    assert_refused((struct nx_shape){2, {2, 4}}, conv_node(3, 1, 0, 1, 1), 1, NULL, "(N, C, H, W)");
    struct nx_shape wrong = shape4(8, 3, 3, 3);
    assert_refused(x, conv_node(3, 1, 0, 1, 1), 1, &wrong,
                   "needs a weight of (8, 4, 3, 3), 'other' is (8, 3, 3, 3)");
}

static struct nx_node deconv_node(int32_t kernel, int32_t stride, int32_t pad, int32_t extra,
                                  int64_t target)
{
    struct nx_node node = {.op = NX_OP_DECONV};
    node.attr.deconv = (struct nx_attr_deconv){
        .window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}},
        .extra = {extra, extra},
        .target = {target, target},
        .groups = 2,
        .filters = 6};
    return node;
}

static void transposed_convolutions(void **state)
{
    (void)state;
    struct nx_shape x = shape4(2, 4, 9, 7), weight = shape4(4, 3, 4, 4);
    assert_gives(x, deconv_node(4, 2, 1, 0, 0), 1, NULL, shape4(2, 6, 18, 14));
    assert_true(nx_shape_equal(&net.graph.tensors[1].shape, &weight));
    assert_int_equal(nx_graph_macs(&net.graph), 2 * 4 * 9 * 7 * 3 * 16);
    assert_gives(x, deconv_node(3, 2, 1, 1, 0), 2, NULL, shape4(2, 6, 18, 14));
    assert_gives(x, deconv_node(4, 2, 0, 0, 15), 1, NULL, shape4(2, 6, 15, 15));
    assert_int_equal(net.graph.nodes[0].attr.deconv.window.before[0], 3);
    assert_refused(x, deconv_node(4, 2, 0, 0, 99), 1, NULL, "at least one pixel");
    assert_refused(x, deconv_node(1, 1, 5, 0, 0), 1, NULL, "at least one pixel");
    assert_refused(x, deconv_node(4, 2, 0, -1, 0), 1, NULL, "out of bounds");
    assert_refused(shape4(2, 3, 9, 7), deconv_node(4, 2, 1, 0, 0), 1, NULL, "2 groups");
    struct nx_shape wrong = shape4(6, 2, 4, 4);
    assert_refused(x, deconv_node(4, 2, 1, 0, 0), 1, &wrong, "needs a weight of (4, 3, 4, 4)");
}

static void the_first_of_many(void **state)
{
    (void)state;
    struct nx_shape x = {3, {2, 6, 5}};
    struct nx_node node = {.op = NX_OP_TOPK, .attr.topk = {.axis = -2, .k = 4}};
    assert_gives(x, node, 0, NULL, (struct nx_shape){3, {2, 4, 5}});
    node.attr.topk.k = 0;
    assert_gives(x, node, 0, NULL, x);
    node.attr.topk.k = 7;
    assert_refused(x, node, 0, NULL, "takes 7 of 6");
    node.attr.topk = (struct nx_attr_topk){.axis = 1};
    assert_refused((struct nx_shape){2, {1, NX_TOPK_SIDE_MAX + 1}}, node, 0, NULL, "takes 0 of");
}

static struct nx_node pool_node(enum nx_pool_rounding rounding, int32_t kernel, int32_t stride,
                                int32_t pad)
{
    struct nx_node node = {.op = NX_OP_POOL};
    node.attr.pool = (struct nx_attr_pool){
        .rounding = rounding,
        .window = {{kernel, kernel}, {stride, stride}, {1, 1}, {pad, pad}, {pad, pad}}};
    return node;
}

static void poolings(void **state)
{
    (void)state;
    struct nx_shape x = shape4(2, 4, 8, 6);
    assert_gives(x, pool_node(NX_ROUND_DOWN, 3, 2, 0), 0, NULL, shape4(2, 4, 3, 2));
    assert_gives(x, pool_node(NX_ROUND_UP, 3, 2, 0), 0, NULL, shape4(2, 4, 4, 3));
    assert_gives(x, pool_node(NX_ROUND_UP, 3, 2, 1), 0, NULL, shape4(2, 4, 5, 4));
    assert_gives(x, pool_node(NX_ROUND_SAME, 3, 2, 0), 0, NULL, shape4(2, 4, 4, 3));
    struct nx_node global = pool_node(NX_ROUND_DOWN, 1, 1, 0);
    global.attr.pool.global = true;
    assert_gives(x, global, 0, NULL, shape4(2, 4, 1, 1));
    assert_int_equal(net.graph.nodes[0].attr.pool.window.kernel[1], 6);
    assert_refused(x, pool_node(NX_ROUND_DOWN, 9, 1, 0), 0, NULL, "window of 9 x 9");
}

static void fully_connected(void **state)
{
    (void)state;
    struct nx_node node = {.op = NX_OP_FC, .attr.fc = {10, true}};
    struct nx_shape want = {2, {2, 10}}, weight = {2, {10, 96}}, wrong = {2, {10, 95}};
    assert_gives(shape4(2, 4, 4, 6), node, 1, NULL, want);
    assert_true(nx_shape_equal(&net.graph.tensors[1].shape, &weight));
    assert_refused(shape4(2, 4, 4, 6), node, 1, &wrong, "needs a weight of (10, 96)");
    node.attr.fc.flatten = false;
    struct nx_shape deep = {3, {2, 3, 10}};
    assert_gives((struct nx_shape){3, {2, 3, 5}}, node, 2, NULL, deep);
    assert_refused((struct nx_shape){1, {5}}, node, 1, NULL, "2 dimensions or more");
}

static void broadcasts(void **state)
{
    (void)state;
    struct nx_node add = {.op = NX_OP_BINARY};
    struct nx_shape channel = shape4(1, 4, 1, 1), row = {1, {6}}, wrong = {1, {4}};
    assert_gives(shape4(2, 4, 5, 6), add, 1, &channel, shape4(2, 4, 5, 6));
    assert_gives(shape4(2, 1, 5, 1), add, 1, &row, shape4(2, 1, 5, 6));
    assert_refused(shape4(2, 4, 5, 6), add, 1, &wrong, "cannot combine (2, 4, 5, 6) with (4)");
}

static struct nx_node codes(uint32_t n, const int64_t *values)
{
    struct nx_node node = {.op = NX_OP_RESHAPE, .attr.reshape.kind = NX_RESHAPE_CODES};
    node.attr.reshape.n = n;
    memcpy(node.attr.reshape.codes, values, n * sizeof *values);
    return node;
}

#define CODES(...) \
    codes(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})

static void reshapes(void **state)
{
    (void)state;
    struct nx_shape x = {3, {2, 12, 5}};
    assert_gives(x, CODES(0, -1), 0, NULL, (struct nx_shape){2, {2, 60}});
    assert_gives(x, CODES(-2), 0, NULL, x);
    assert_gives(x, CODES(0, -3), 0, NULL, (struct nx_shape){2, {2, 60}});
    assert_gives(x, CODES(0, -4, -1, 4, 0), 0, NULL, shape4(2, 3, 4, 5));
    assert_gives(x, CODES(0, 3, -1), 0, NULL, (struct nx_shape){3, {2, 3, 20}});
    assert_refused(x, CODES(0, 7, -1), 0, NULL, "cannot turn (2, 12, 5) into");
    assert_refused(x, CODES(-1, -1), 0, NULL, "more than one -1");
    assert_refused(x, CODES(0, 0, 0, 0), 0, NULL, "does not have");
    assert_refused(x, CODES(0, -4, 5, -1, 0), 0, NULL, "-4 does not divide");
    assert_refused(x, CODES(0, -4, 5), 0, NULL, "without its two sizes");
    assert_refused(x, CODES(-5), 0, NULL, "means nothing");
    assert_refused(x, CODES(INT64_MAX), 0, NULL, "means nothing");
    assert_refused(x, CODES(2147483648, 2147483648, 2147483648, 2147483648), 0, NULL, "too large");
    assert_refused(x, CODES(1, 1, 1, 1, 1, 1, -1), 0, NULL, "more than 6 dimensions");
}

static struct nx_node slice_node(int64_t begin, int64_t end, int64_t step)
{
    struct nx_node node = {.op = NX_OP_SLICE};
    node.attr.slice = (struct nx_attr_slice){.n = 1, .ranges = {{1, begin, end, step}}};
    return node;
}

static void slices_as_python_does(void **state)
{
    (void)state;
    struct nx_shape x = {2, {2, 10}};
#define ROW(n) ((struct nx_shape){2, {2, n}})
    assert_gives(x, slice_node(2, 8, 1), 0, NULL, ROW(6));
    assert_gives(x, slice_node(-3, NX_SLICE_TO_END, 1), 0, NULL, ROW(3));
    assert_gives(x, slice_node(0, -1, 4), 0, NULL, ROW(3));
    assert_gives(x, slice_node(INT64_MAX, INT64_MIN, -1), 0, NULL, ROW(10));
    assert_gives(x, slice_node(8, 2, -3), 0, NULL, ROW(2));
    assert_gives(x, slice_node(0, 1000, 1), 0, NULL, ROW(10));
    assert_refused(x, slice_node(5, 5, 1), 0, NULL, "takes nothing");
    assert_refused(x, slice_node(0, 10, 0), 0, NULL, "step of 0");
    assert_refused(x, slice_node(0, 10, INT64_MIN), 0, NULL, "step of");
}

static void axes_and_paddings_out_of_bounds(void **state)
{
    (void)state;
    struct nx_shape x = {3, {2, 6, 5}};
    struct nx_node concat = {.op = NX_OP_CONCAT, .attr.concat.axis = 3};
    assert_refused(x, concat, 0, NULL, "axis 3 of an input with 3 dimensions");
    struct nx_node split = {.op = NX_OP_SPLIT, .n_outputs = 4, .attr.split = {1, false}};
    assert_refused(x, split, 0, NULL, "cannot cut 6 along axis 1 into 4");
    struct nx_node turn = {.op = NX_OP_TRANSPOSE, .attr.transpose = {.n = 3, .axes = {0, 1, 1}}};
    assert_refused(x, turn, 0, NULL, "permutation");
    struct nx_node pad = {.op = NX_OP_PAD, .attr.pad = {.mode = NX_PAD_REFLECT, .n = 3}};
    pad.attr.pad.before[1] = 6;
    assert_refused(x, pad, 0, NULL, "adds 6 and 0 to dimension 1");
    struct nx_node lrn = {.op = NX_OP_LRN, .attr.lrn.size = 4};
    assert_refused(shape4(1, 2, 3, 3), lrn, 0, NULL, "must be odd");
    struct nx_node softmax = {.op = NX_OP_SOFTMAX, .attr.softmax = {-1, false, 0}};
    assert_refused(x, softmax, 0, NULL, "temperature 0");
}

static void another_batch_infers_again(void **state)
{
    (void)state;
    assert_gives(shape4(2, 4, 9, 7), conv_node(3, 1, 0, 1, 1), 1, NULL, shape4(2, 8, 7, 5));
    assert_int_equal(net.graph.batch, 2);
    assert_int_equal(nx_shape_infer(&net.graph, 5, &net.err), NX_OK);
    assert_int_equal(net.graph.tensors[net.graph.outputs[0]].shape.dims[0], 5);
    assert_int_equal(nx_graph_macs(&net.graph), 5 * 8 * 7 * 5 * 4 * 9);
    assert_int_equal(nx_shape_infer(&net.graph, 0, &net.err), NX_INVALID);
    nx_net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(the_first_of_many),
        cmocka_unit_test(poolings),
        cmocka_unit_test(fully_connected),
        cmocka_unit_test(broadcasts),
        cmocka_unit_test(reshapes),
        cmocka_unit_test(slices_as_python_does),
        cmocka_unit_test(axes_and_paddings_out_of_bounds),
        cmocka_unit_test(another_batch_infers_again),
    };
    return cmocka_run_group_tests_name("shape", tests, NULL, NULL);
}
