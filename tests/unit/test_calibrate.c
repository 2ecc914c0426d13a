/* Which ranges does a calibrator see? Those of every tensor as it was written, whatever overwrites it later. */
#include <math.h>
#include <string.h>

#include "categorizer/graph/shape.h"
#include "categorizer/model/calibrate.h"
#include "nx_test.h"

struct sketch {
    struct nx_arena arena;
    struct nx_graph g;
    uint32_t x, r, y, z;
};

/* 1x1 over 2 channels: out = [[a, b], [c, d]] in */
static uint32_t conv(struct sketch *s, uint32_t x, const float w[4], uint32_t residual)
{
    static const struct nx_window one = {.kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1}};
    const struct nx_shape shape = {4, {2, 2, 1, 1}};
    uint32_t inputs[3] = {x, 0, residual}, at;
    assert_int_equal(nx_graph_add_constant(&s->g, "w", &shape, w, &inputs[1], NULL), NX_OK);
    struct nx_node node = {.op = NX_OP_CONV,
                           .name = "conv",
                           .inputs = inputs,
                           .n_inputs = residual == NX_NONE ? 2 : 3,
                           .n_outputs = 1,
                           .post.sum = residual != NX_NONE,
                           .attr.conv = {.window = one, .groups = 1, .filters = 2}};
    assert_int_equal(nx_graph_add_node(&s->g, &node, &at, NULL), NX_OK);
    return s->g.nodes[at].outputs[0];
}

/* r = 2 x; y = -3 r + r, in r's place; z = y swapped */
static void open_sketch(struct sketch *s)
{
    static const float twice[] = {2, 0, 0, 2}, minus[] = {-3, 0, 0, -3}, swap[] = {0, 1, 1, 0};
    struct nx_err err = {0};
    memset(s, 0, sizeof *s);
    nx_arena_init(&s->arena, SIZE_MAX);
    nx_graph_init(&s->g, &s->arena);
    assert_int_equal(nx_graph_add_tensor(&s->g, NX_TENSOR_INPUT, "x", &s->x, NULL), NX_OK);
    s->g.tensors[s->x].shape = (struct nx_shape){4, {0, 2, 1, 2}};
    s->r = conv(s, s->x, twice, NX_NONE);
    uint32_t between = conv(s, s->r, minus, NX_NONE);
    s->y = conv(s, between, twice, s->r);
    s->z = conv(s, s->y, swap, NX_NONE);
    assert_int_equal(nx_graph_set_io(&s->g, &s->x, 1, &s->z, 1, NULL), NX_OK);
    if (nx_shape_infer(&s->g, 1, &err) != NX_OK)
        fail_msg("%s", err.text);
}

static const struct nx_calibration_how minmax = {.rule = NX_RULE_MINMAX};

static void assert_range(const struct nx_quant_range *range, float low, float high)
{
    assert_true(range->known);
    assert_true(fabsf(range->low - low) < 1e-5f && fabsf(range->high - high) < 1e-5f);
}

static void ranges_are_of_what_was_written(void **state)
{
    (void)state;
    static const char *const backends[] = {"cpu_ref", "auto"};
    for (int i = 0; i < 2; i++) {
        struct sketch s;
        struct nx_calibrator *c;
        struct nx_quant_range ranges[32];
        struct nx_err err = {0};
        open_sketch(&s);
        if (nx_calibrator_open_graph(&s.g, backends[i], 1, &c, &err) != NX_OK)
            fail_msg("%s", err.text);
        static const float a[] = {0, 1, 0.5f, 0.25f}, b[] = {-1, 0, 0, 0};
        const float *inputs[] = {a}, *more[] = {b};
        assert_int_equal(nx_calibrator_see(c, inputs, &err), NX_OK);
        nx_calibrator_ranges(c, &minmax, ranges);
        assert_range(&ranges[s.x], 0, 1);
        assert_range(&ranges[s.r], 0, 2);
        assert_range(&ranges[s.y], -10, 0); /* 2 · -3 · 2 + 2 */
        assert_range(&ranges[s.z], -10, 0);
        assert_int_equal(nx_calibrator_see(c, more, &err), NX_OK);
        nx_calibrator_ranges(c, &minmax, ranges);
        assert_range(&ranges[s.x], -1, 1);
        assert_range(&ranges[s.y], -10, 10);
        assert_false(ranges[s.g.nodes[0].inputs[1]].known);
        nx_calibrator_close(c);
        nx_arena_free(&s.arena);
    }
}

static void numbers_that_are_none_are_refused_by_name(void **state)
{
    (void)state;
    struct sketch s;
    struct nx_calibrator *c;
    struct nx_err err = {0};
    open_sketch(&s);
    assert_int_equal(nx_calibrator_open_graph(&s.g, "cpu_ref", 1, &c, &err), NX_OK);
    static const float odd[] = {0, NAN, 0, 0};
    const float *inputs[] = {odd};
    assert_int_equal(nx_calibrator_see(c, inputs, &err), NX_INVALID);
    assert_string_equal(err.text, "'x' has values that are infinite or no number");
    nx_calibrator_close(c);
    nx_arena_free(&s.arena);
}

static void a_graph_without_a_convolution_has_nothing_to_see(void **state)
{
    (void)state;
    struct sketch s;
    struct nx_calibrator *c;
    struct nx_err err = {0};
    memset(&s, 0, sizeof s);
    nx_arena_init(&s.arena, SIZE_MAX);
    nx_graph_init(&s.g, &s.arena);
    assert_int_equal(nx_graph_add_tensor(&s.g, NX_TENSOR_INPUT, "x", &s.x, NULL), NX_OK);
    s.g.tensors[s.x].shape = (struct nx_shape){2, {0, 3}};
    assert_int_equal(nx_graph_set_io(&s.g, &s.x, 1, &s.x, 1, NULL), NX_OK);
    assert_int_equal(nx_shape_infer(&s.g, 1, NULL), NX_OK);
    assert_int_equal(nx_calibrator_open_graph(&s.g, "cpu_ref", 1, &c, &err), NX_INVALID);
    assert_non_null(strstr(err.text, "no convolution"));
    nx_arena_free(&s.arena);
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    struct sketch s;
    open_sketch(&s);
    enum nx_status status = NX_NO_MEMORY;
    for (uint64_t nth = 1; status != NX_OK && nth < 2000; nth++) {
        struct nx_calibrator *c = NULL;
        struct nx_err err = {0};
        nx_alloc_fail_at(nth);
        status = nx_calibrator_open_graph(&s.g, "cpu_ref", 1, &c, &err);
        nx_alloc_fail_at(0);
        assert_true(status == NX_OK || status == NX_NO_MEMORY);
        nx_calibrator_close(c);
    }
    assert_int_equal(status, NX_OK);
    nx_arena_free(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_of_what_was_written),
        cmocka_unit_test(numbers_that_are_none_are_refused_by_name),
        cmocka_unit_test(a_graph_without_a_convolution_has_nothing_to_see),
        cmocka_unit_test(no_memory_is_an_answer),
    };
    return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
