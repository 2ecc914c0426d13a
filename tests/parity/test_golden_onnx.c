/* ONNX files against ONNX Runtime (goldens/README.md): through the loader, as they are and after all passes, on
 * every backend of this build, at the golden's batch and one photo at a time. */
#include "categorizer/graph/pass.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/input_size.h"
#include "categorizer/model/onnx.h"
#include "common/codec.h"
#include "golden_run.h"
#include "gpu_interpret.h"

#include <string.h>

struct golden_tensor {
    struct nx_shape shape;
    float *values;
};

struct golden {
    char name[64];
    uint8_t *file; /* of its own, so that the address sanitizer sees a read past it */
    size_t len;
    struct golden_tensor x, y;
};

static struct golden_tensor read_tensor(struct nx_reader *r)
{
    struct golden_tensor t = {.shape.rank = nx_read_u32(r)};
    uint64_t n;
    assert_in_range(t.shape.rank, 0, NX_RANK_MAX);
    for (uint32_t i = 0; i < t.shape.rank; i++)
        t.shape.dims[i] = nx_read_u32(r);
    assert_true(nx_shape_elements(&t.shape, &n));
    t.values = malloc(n * sizeof *t.values);
    const uint8_t *bytes = nx_read_bytes(r, n * sizeof *t.values);
    assert_non_null(bytes);
    memcpy(t.values, bytes, n * sizeof *t.values);
    return t;
}

static bool next_golden(struct nx_reader *r, struct golden *g)
{
    if (nx_reader_left(r) == 0)
        return false;
    nx_golden_name(r, g->name, sizeof g->name);
    g->len = nx_read_u32(r);
    const uint8_t *file = nx_read_bytes(r, g->len);
    assert_non_null(file);
    g->file = malloc(g->len);
    memcpy(g->file, file, g->len);
    g->x = read_tensor(r);
    g->y = read_tensor(r);
    return true;
}

static void run_golden(const struct nx_backend *backend, const struct golden *g, unsigned passes,
                       float *largest)
{
    char how[64];
    struct nx_err err = {0};
    struct nx_arena arena;
    struct nx_graph graph;
    const struct nx_size_hint hint = {6, 6};
    bool size_is_free;
    snprintf(how, sizeof how, "%s%s", backend->name, passes ? " with passes" : "");
    nx_arena_init(&arena, 64 << 20);
    nx_graph_init(&graph, &arena);
    enum nx_status status = nx_onnx_build(g->file, g->len, &hint, &graph, &size_is_free, &err);
    if (status == NX_OK)
        status = nx_pass_run(&graph, passes, &nx_backend_cpu_ref, &err);
    bool batched = status == NX_OK && graph.in[0].batched; /* else it is computed as a whole */
    if (status == NX_OK)
        status = nx_shape_infer(&graph, batched ? (uint32_t)g->x.shape.dims[0] : 1, &err);
    if (status != NX_OK)
        fail_msg("%s, %s: %s", g->name, how, err.text);
    assert_int_equal(size_is_free, strcmp(g->name, "open_size") == 0);
    assert_true(nx_shape_equal(&graph.tensors[graph.inputs[0]].shape, &g->x.shape));
    if (!nx_shape_equal(&graph.tensors[graph.outputs[0]].shape, &g->y.shape)) {
        char ours[NX_SHAPE_TEXT_BYTES], theirs[NX_SHAPE_TEXT_BYTES];
        fail_msg("%s, %s: the output is %s, ONNX Runtime has %s", g->name, how,
                 nx_shape_text(&graph.tensors[graph.outputs[0]].shape, ours),
                 nx_shape_text(&g->y.shape, theirs));
    }
    struct nx_golden_run run = {g->name, how, "ONNX Runtime", g->x.values, g->y.values, largest};
    nx_golden_check(backend, &graph, &run);
    nx_arena_free(&arena);
}

static bool next(struct nx_reader *r, const struct nx_backend *backend, unsigned passes,
                 float *largest)
{
    struct golden g;
    if (!next_golden(r, &g))
        return false;
    run_golden(backend, &g, passes, largest);
    free(g.file);
    free(g.x.values);
    free(g.y.values);
    return true;
}

int main(void)
{
    static const struct nx_golden_set set = {
        .name = "golden onnx",
        .magic = "NXGOLD2",
        .next = next,
        .files = {{"onnx.golden", 173},
                  {"onnx_wide.golden", 101},
                  {"onnx_more.golden", 27},
                  {"onnx_mask.golden", 43},
                  {"onnx_quant.golden", 62},
                  {"onnx_pick.golden", 22}},
        .planned = 298,
    };
    return nx_golden_main(&set);
}
