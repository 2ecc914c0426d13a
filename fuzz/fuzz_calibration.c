/* A calibration from a file: refused with a sentence, or one that is written and read again is the same; and a plan for a
 * small net by its ranges has grids that can be computed with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/graph/shape.h"
#include "categorizer/model/calibration.h"
#include "common/nx_assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void write_and_read(const struct nx_calibration *c, struct nx_arena *arena)
{
    char *text = NULL;
    size_t len = 0;
    struct nx_calibration again;
    const char **names = nx_arena_array(arena, c->n_tensors, sizeof *names);
    FILE *out = open_memstream(&text, &len);
    nx_assert(names && out);
    nx_assert(nx_calibration_write(out, c, names, NULL) == NX_OK);
    nx_assert(fclose(out) == 0);
    nx_assert(nx_calibration_parse(text, len, arena, &again, NULL) == NX_OK);
    nx_assert(again.mark == c->mark && again.n_tensors == c->n_tensors);
    for (uint32_t t = 0; t < c->n_tensors; t++) {
        const struct nx_quant_range *a = &c->ranges[t], *b = &again.ranges[t];
        nx_assert(a->known == b->known);
        nx_assert(!a->known || memcmp(&a->low, &b->low, 2 * sizeof a->low) == 0);
    }
    free(text);
}

/* x, w → convolution → convolution, whose tensors the first indices name. */
static void plan(const struct nx_calibration *c, struct nx_arena *arena)
{
    static const float w[4] = {1, -2, 0.5f, 0};
    static const struct nx_window one = {.kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1}};
    const struct nx_shape sides = {4, {2, 2, 1, 1}};
    struct nx_graph g;
    struct nx_quant quant;
    uint32_t x, inputs[2], at;
    nx_graph_init(&g, arena);
    nx_assert(nx_graph_add_tensor(&g, NX_TENSOR_INPUT, "x", &x, NULL) == NX_OK);
    g.tensors[x].shape = (struct nx_shape){4, {0, 2, 3, 3}};
    nx_assert(nx_graph_add_constant(&g, "w", &sides, w, &inputs[1], NULL) == NX_OK);
    inputs[0] = x;
    for (int i = 0; i < 2; i++) {
        struct nx_node node = {.op = NX_OP_CONV,
                               .name = "n",
                               .inputs = inputs,
                               .n_inputs = 2,
                               .n_outputs = 1,
                               .attr.conv = {.window = one, .groups = 1, .filters = 2}};
        nx_assert(nx_graph_add_node(&g, &node, &at, NULL) == NX_OK);
        inputs[0] = g.nodes[at].outputs[0];
    }
    nx_assert(nx_graph_set_io(&g, &x, 1, inputs, 1, NULL) == NX_OK);
    nx_assert(nx_shape_infer(&g, 1, NULL) == NX_OK);
    if (c->n_tensors < g.n_tensors)
        return;
    nx_assert(nx_quant_plan(&g, c->ranges, arena, &quant, NULL) == NX_OK);
    for (uint32_t t = 0; t < g.n_tensors; t++)
        if (quant.grids[t].kind != NX_GRID_NONE) {
            nx_assert(quant.grids[t].step >= 1e-18f && quant.grids[t].step <= NX_QUANT_RANGE_MAX);
            float q = nx_grid_round(&quant.grids[t], 1e30f);
            nx_assert(q >= -128 && q <= 255);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct nx_arena arena;
    struct nx_calibration c;
    struct nx_err err = {0};
    nx_arena_init(&arena, SIZE_MAX);
    if (nx_calibration_parse((const char *)bytes, len, &arena, &c, &err) == NX_OK) {
        write_and_read(&c, &arena);
        plan(&c, &arena);
    } else {
        nx_assert(err.text[0] != 0);
    }
    nx_arena_free(&arena);
    return 0;
}
