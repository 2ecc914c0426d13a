/* The plan of int8: what is computed in it, what is stored on a grid, and which grid. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/graph/quant.h"
#include "categorizer/graph/shape.h"
#include "nx_test.h"

struct sketch {
    struct nx_arena arena;
    struct nx_graph g;
    struct nx_quant_range ranges[64];
    struct nx_quant plan;
};

static const struct nx_window one = {.kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1}};

static void begin(struct sketch *s)
{
    memset(s, 0, sizeof *s);
    nx_arena_init(&s->arena, SIZE_MAX);
    nx_graph_init(&s->g, &s->arena);
}

static uint32_t input(struct sketch *s, int64_t c)
{
    uint32_t t;
    assert_int_equal(nx_graph_add_tensor(&s->g, NX_TENSOR_INPUT, "x", &t, NULL), NX_OK);
    s->g.tensors[t].shape = (struct nx_shape){4, {0, c, 4, 4}};
    return t;
}

static uint32_t node(struct sketch *s, const struct nx_node *what, const uint32_t *inputs,
                     uint32_t n)
{
    struct nx_node own = *what;
    uint32_t at, copy[8];
    memcpy(copy, inputs, n * sizeof *copy);
    own.inputs = copy;
    own.n_inputs = n;
    own.n_outputs = 1;
    own.name = "n";
    assert_int_equal(nx_graph_add_node(&s->g, &own, &at, NULL), NX_OK);
    return s->g.nodes[at].outputs[0];
}

/* 1x1, c channels to c, weights 1, 2, 3, … c² */
static uint32_t conv(struct sketch *s, uint32_t x, int64_t c, uint32_t residual)
{
    const struct nx_shape shape = {4, {c, c, 1, 1}};
    float *w = nx_arena_array(&s->arena, (size_t)(c * c), sizeof *w);
    uint32_t inputs[3] = {x, 0, residual};
    for (int64_t i = 0; i < c * c; i++)
        w[i] = (float)(i + 1);
    assert_int_equal(nx_graph_add_constant(&s->g, "w", &shape, w, &inputs[1], NULL), NX_OK);
    struct nx_node what = {.op = NX_OP_CONV,
                           .post.sum = residual != NX_NONE,
                           .attr.conv = {.window = one, .groups = 1, .filters = c}};
    return node(s, &what, inputs, residual == NX_NONE ? 2 : 3);
}

static void range(struct sketch *s, uint32_t t, float low, float high)
{
    s->ranges[t] = (struct nx_quant_range){true, low, high};
}

static void plan(struct sketch *s, uint32_t output)
{
    uint32_t in = 0;
    struct nx_err err = {0};
    assert_int_equal(nx_graph_set_io(&s->g, &in, 1, &output, 1, NULL), NX_OK);
    if (nx_shape_infer(&s->g, 2, &err) != NX_OK)
        fail_msg("%s", err.text);
    assert_int_equal(nx_quant_plan(&s->g, s->ranges, &s->arena, &s->plan, &err), NX_OK);
}

static void grids_come_from_ranges(void **state)
{
    (void)state;
    struct sketch s;
    begin(&s);
    uint32_t x = input(&s, 2), a = conv(&s, x, 2, NX_NONE), b = conv(&s, a, 2, NX_NONE);
    range(&s, x, -0.5f, 2.54f);
    range(&s, a, 0, 510);
    range(&s, b, 0, 1);
    plan(&s, b);
    assert_int_equal(s.plan.grids[x].kind, NX_GRID_S8);
    assert_true(fabsf(s.plan.grids[x].step - 0.02f) < 1e-8f);
    assert_int_equal(s.plan.grids[a].kind, NX_GRID_U8);
    assert_true(s.plan.grids[a].step == 2);
    assert_true(s.plan.stored[a] && !s.plan.stored[x]);
    assert_false(s.plan.stored[b]); /* nobody wants it in 8 bits */
    assert_int_equal(s.plan.n_int8, 2);
    assert_true(s.plan.steps[0][0] == 2.0f / 127 && s.plan.steps[0][1] == 4.0f / 127);
    nx_arena_free(&s.arena);
}

static void rounding_is_to_even_and_cut(void **state)
{
    (void)state;
    const struct nx_grid u8 = {NX_GRID_U8, 0.5f}, s8 = {NX_GRID_S8, 0.5f};
    assert_true(nx_grid_round(&u8, 0.25f) == 0 && nx_grid_round(&u8, 0.75f) == 2);
    assert_true(nx_grid_round(&u8, -3) == 0 && nx_grid_round(&u8, 1e9f) == 255);
    assert_true(nx_grid_round(&s8, -1e9f) == -128 && nx_grid_round(&s8, INFINITY) == 127);
    assert_true(nx_grid_round(&s8, NAN) == 0);
    const float w[] = {1, -2, 0.5f, 0, 0, 0}, steps[] = {2.0f / 127, 1};
    int8_t q[6];
    nx_quant_weights(w, 6, steps, 2, q);
    const int8_t want[] = {64, -127, 32, 0, 0, 0};
    assert_memory_equal(q, want, 6);
}

static void zeros_have_a_grid(void **state)
{
    (void)state;
    struct sketch s;
    begin(&s);
    uint32_t x = input(&s, 2), a = conv(&s, x, 2, NX_NONE);
    range(&s, x, 0, 0);
    plan(&s, a);
    assert_true(s.plan.grids[x].step == 1 && s.plan.grids[x].kind == NX_GRID_U8);
    nx_arena_free(&s.arena);
}

/* A residual is stored if its sum is; without a range of its own neither is. */
static void residuals_follow_their_sum(void **state)
{
    (void)state;
    for (int with = 0; with < 2; with++) {
        struct sketch s;
        begin(&s);
        uint32_t x = input(&s, 2), r = conv(&s, x, 2, NX_NONE), y = conv(&s, x, 2, r);
        uint32_t z = conv(&s, y, 2, NX_NONE);
        range(&s, x, -1, 1);
        range(&s, y, 0, 1);
        if (with)
            range(&s, r, -1, 1);
        plan(&s, z);
        assert_true(s.plan.stored[y]);
        assert_int_equal(s.plan.stored[r], with);
        nx_arena_free(&s.arena);
    }
}

static void a_concat_and_its_parts_share_a_grid(void **state)
{
    (void)state;
    for (int foreign = 0; foreign < 2; foreign++) {
        struct sketch s;
        begin(&s);
        uint32_t x = input(&s, 2), parts[2] = {conv(&s, x, 2, NX_NONE), conv(&s, x, 2, NX_NONE)};
        struct nx_node pool = {.op = NX_OP_POOL, .attr.pool = {.kind = NX_POOL_MAX, .window = one}};
        struct nx_node tanh = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_TANH};
        struct nx_node concat = {.op = NX_OP_CONCAT, .attr.concat.axis = 1};
        uint32_t before = parts[1];
        parts[1] = node(&s, foreign ? &tanh : &pool, &before, 1);
        uint32_t whole = node(&s, &concat, parts, 2), y = conv(&s, whole, 4, NX_NONE);
        range(&s, x, -1, 1);
        range(&s, parts[0], 0, 10);
        range(&s, before, -3, 20);
        range(&s, parts[1], -3, 20);
        range(&s, whole, -3, 20);
        plan(&s, y);
        assert_int_equal(s.plan.stored[whole], !foreign);
        assert_int_equal(s.plan.stored[parts[0]], !foreign);
        assert_int_equal(s.plan.stored[before], !foreign);
        enum nx_grid_kind kind = foreign ? NX_GRID_U8 : NX_GRID_S8;
        assert_int_equal(s.plan.grids[parts[0]].kind, kind);
        if (!foreign)
            assert_true(s.plan.grids[parts[0]].step == s.plan.grids[whole].step &&
                        s.plan.grids[before].step == s.plan.grids[whole].step);
        nx_arena_free(&s.arena);
    }
}

static void weights_that_do_not_suit_stay_f32(void **state)
{
    (void)state;
    const float odd[] = {NAN, INFINITY, 1e30f, 1e-30f};
    for (int i = 0; i < 4; i++) {
        struct sketch s;
        begin(&s);
        uint32_t x = input(&s, 2), a = conv(&s, x, 2, NX_NONE);
        uint32_t w = s.g.nodes[0].inputs[1];
        float *own = nx_arena_array(&s.arena, 4, sizeof *own);
        own[2] = own[3] = 1;
        own[1] = odd[i];
        s.g.tensors[w].data = own;
        range(&s, x, -1, 1);
        plan(&s, a);
        assert_int_equal(s.plan.n_int8, 0);
        assert_null(s.plan.steps[0]);
        nx_arena_free(&s.arena);
    }
}

static void wanted_ranges_are_those_that_are_looked_at(void **state)
{
    (void)state;
    struct sketch s;
    begin(&s);
    uint32_t x = input(&s, 2), a = conv(&s, x, 2, NX_NONE);
    struct nx_node tanh = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_TANH};
    uint32_t b = node(&s, &tanh, &a, 1);
    bool wanted[64];
    plan(&s, b);
    nx_quant_wanted_ranges(&s.g, wanted);
    assert_true(wanted[x] && wanted[a]);
    assert_false(wanted[b] || wanted[s.g.nodes[0].inputs[1]]);
    nx_arena_free(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids_come_from_ranges),
        cmocka_unit_test(rounding_is_to_even_and_cut),
        cmocka_unit_test(zeros_have_a_grid),
        cmocka_unit_test(residuals_follow_their_sum),
        cmocka_unit_test(a_concat_and_its_parts_share_a_grid),
        cmocka_unit_test(weights_that_do_not_suit_stay_f32),
        cmocka_unit_test(wanted_ranges_are_those_that_are_looked_at),
    };
    return cmocka_run_group_tests_name("quant", tests, NULL, NULL);
}
