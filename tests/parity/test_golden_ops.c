/* Every op against MXNet 1.9.1's own forward pass (goldens/README.md): through the loaders, as they are and
 * after all passes, on every backend of this build, at the golden's batch and one photo at a time. */
#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/symbol.h"
#include "common/codec.h"
#include "golden_run.h"
#include "gpu_interpret.h"

#include <string.h>

struct golden {
    char name[64];
    const char *symbol;
    size_t symbol_len;
    const uint8_t *params;
    size_t params_len;
};

static bool next_golden(struct nx_reader *r, struct golden *g)
{
    if (nx_reader_left(r) == 0)
        return false;
    nx_golden_name(r, g->name, sizeof g->name);
    g->symbol_len = nx_read_u32(r);
    g->symbol = (const char *)nx_read_bytes(r, g->symbol_len);
    g->params_len = nx_read_u32(r);
    g->params = nx_read_bytes(r, g->params_len);
    assert_non_null(g->params);
    return true;
}

static void run_golden(const struct nx_backend *backend, const struct golden *g, unsigned passes,
                       float *largest)
{
    char how[64];
    struct nx_err err = {0};
    struct nx_arena arena;
    struct nx_params params;
    struct nx_graph graph;
    const float *input, *want;
    snprintf(how, sizeof how, "%s%s", backend->name, passes ? " with passes" : "");
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    enum nx_status status = nx_params_parse(g->params, g->params_len, &arena, &params, &err);
    if (status == NX_OK)
        status = nx_symbol_build(g->symbol, g->symbol_len, &params, &graph, &err);
    const struct nx_array *x = nx_params_find(&params, "golden:input");
    const struct nx_array *y = nx_params_find(&params, "golden:output");
    if (status == NX_OK)
        status = nx_shape_infer(&graph, (uint32_t)x->shape.dims[0], &err);
    if (status == NX_OK)
        status = nx_pass_run(&graph, passes, &nx_backend_cpu_ref, &err);
    if (status != NX_OK)
        fail_msg("%s, %s: %s", g->name, how, err.text);
    assert_true(nx_shape_equal(&graph.tensors[graph.inputs[0]].shape, &x->shape));
    assert_true(nx_shape_equal(&graph.tensors[graph.outputs[0]].shape, &y->shape));
    assert_int_equal(nx_array_to_f32(x, &arena, &input, &err), NX_OK);
    assert_int_equal(nx_array_to_f32(y, &arena, &want, &err), NX_OK);
    struct nx_golden_run run = {g->name, how, "MXNet", input, want, largest};
    unsigned refused = gpu_interpret_refused;
    nx_golden_check(backend, &graph, &run);
    if (strncmp(g->name, "net_", 4) == 0 && gpu_interpret_refused > refused)
        fail_msg("%s is of the zoo and has no plan for a GPU", g->name);
    nx_arena_free(&arena);
}

static bool next(struct nx_reader *r, const struct nx_backend *backend, unsigned passes,
                 float *largest)
{
    struct golden g;
    if (!next_golden(r, &g))
        return false;
    run_golden(backend, &g, passes, largest);
    return true;
}

int main(void)
{
    static const struct nx_golden_set set = {
        .name = "golden ops",
        .magic = "NXGOLD1",
        .next = next,
        .files = {{"ops.golden", 101}, {"ops_wide.golden", 159}, {"ops_more.golden", 37}},
        .planned = 205,
    };
    return nx_golden_main(&set);
}
