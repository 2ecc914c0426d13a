#include "categorizer/model/input_size.h"
#include "nx_net.h"

#include <string.h>

static struct nx_net net;
static bool size_is_free;

/* Closes over `y` as the output, forgets the input's shape and asks for it again. */
static enum nx_status choose(uint32_t y, uint32_t height, uint32_t width)
{
    struct nx_size_hint hint = {height, width};
    nx_net_outputs(&net, &y, 1);
    net.graph.tensors[0].shape.rank = NX_RANK_UNKNOWN;
    return nx_input_size_choose(&net.graph, &hint, &size_is_free, &net.err);
}

static void assert_chosen(int64_t c, int64_t h, int64_t w)
{
    char text[NX_SHAPE_TEXT_BYTES];
    const struct nx_shape *x = &net.graph.tensors[0].shape;
    const struct nx_shape want = {h ? 4 : 2, {2, c, h, w}};
    if (!nx_shape_equal(x, &want))
        fail_msg("chose %s", nx_shape_text(x, text));
    assert_int_equal(net.graph.batch, 2);
    nx_net_close(&net);
}

static void a_net_of_convolutions_takes_the_hint(void **state)
{
    (void)state;
    nx_net_open(&net, 1);
    assert_int_equal(choose(nx_net_conv(&net, nx_net_input(&net, 1, 1, 1), 5, 4, 3, false), 96, 64),
                     NX_OK);
    assert_true(size_is_free);
    assert_chosen(5, 96, 64);
    nx_net_open(&net, 1);
    assert_int_equal(choose(nx_net_conv(&net, nx_net_input(&net, 1, 1, 1), 1, 4, 3, false), 0, 0),
                     NX_OK);
    assert_chosen(1, 224, 224);
}

static void fully_connected_layers_fix_the_size(void **state)
{
    (void)state;
    nx_net_open(&net, 2);
    uint32_t y = nx_net_conv(&net, nx_net_input(&net, 1, 1, 1), 3, 4, 3, true);
    assert_int_equal(choose(nx_net_fc(&net, y, 4 * 37 * 37, 10), 224, 224), NX_OK);
    assert_false(size_is_free);
    assert_chosen(3, 37, 37);
}

static void a_layer_on_the_photo_itself(void **state)
{
    (void)state;
    static const int64_t rows[][4] = {
        {784, 1, 28, 28}, {3072, 3, 32, 32}, {13, 13, 0, 0}, {100003, 100003, 0, 0}};
    for (int i = 0; i < 4; i++) {
        nx_net_open(&net, 3);
        uint32_t x = nx_net_input(&net, 1, 1, 1);
        assert_int_equal(choose(nx_net_fc(&net, x, rows[i][0], 2), 224, 224), NX_OK);
        assert_chosen(rows[i][1], rows[i][2], rows[i][3]);
    }
}

static void no_size_at_all_is_said(void **state)
{
    (void)state;
    nx_net_open(&net, 4);
    uint32_t y = nx_net_conv(&net, nx_net_input(&net, 1, 1, 1), 3, 4, 3, true);
    assert_int_equal(choose(nx_net_fc(&net, y, 7, 10), 224, 224), NX_INVALID);
    assert_non_null(
        strstr(net.err.text, "no input size fits; with 3 x 224 x 224: fully connected"));
    nx_net_close(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_net_of_convolutions_takes_the_hint),
        cmocka_unit_test(fully_connected_layers_fix_the_size),
        cmocka_unit_test(a_layer_on_the_photo_itself),
        cmocka_unit_test(no_size_at_all_is_said),
    };
    return cmocka_run_group_tests_name("input size", tests, NULL, NULL);
}
