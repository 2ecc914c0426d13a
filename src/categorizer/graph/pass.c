#include "categorizer/graph/pass.h"

#include <string.h>

#include "categorizer/graph/rewrite.h"
#include "categorizer/graph/shape.h"
#include "common/nx_assert.h"

/* More than this is left to be computed in each run: a small file must not unfold without end. */
#define FOLDED_BYTES_MAX (UINT64_C(256) << 20)
#define FOLDED_WORK_MAX  UINT64_C(1000000000)

static bool pads_nothing(const struct nx_attr_pad *a)
{
    for (uint32_t i = 0; i < a->n; i++)
        if (a->before[i] || a->after[i])
            return false;
    return true;
}

static bool is_no_op(const struct nx_graph *graph, const struct nx_node *node)
{
    switch (node->op) {
    case NX_OP_IDENTITY: return true;
    case NX_OP_UNARY: return node->attr.unary.fn == NX_UNARY_NONE;
    case NX_OP_RESHAPE:
        return nx_shape_equal(&graph->tensors[node->inputs[0]].shape,
                              &graph->tensors[node->outputs[0]].shape);
    case NX_OP_PAD: return pads_nothing(&node->attr.pad);
    case NX_OP_CONCAT: return node->n_inputs == 1;
    default: return false;
    }
}

/* FC with flatten reads (N, C, H, W) as (N, C H W) by itself. */
static void skip_flatten(struct nx_rewrite *rw, struct nx_node *node)
{
    const struct nx_graph *graph = rw->graph;
    const struct nx_tensor *x = &graph->tensors[node->inputs[0]];
    if (node->op != NX_OP_FC || !node->attr.fc.flatten || x->kind != NX_TENSOR_COMPUTED)
        return;
    const struct nx_node *before = &graph->nodes[x->producer];
    if (before->op != NX_OP_RESHAPE || before->attr.reshape.kind != NX_RESHAPE_FLATTEN ||
        graph->tensors[before->inputs[0]].shape.rank < 2)
        return;
    rw->uses[node->inputs[0]]--;
    node->inputs[0] = before->inputs[0];
    rw->uses[node->inputs[0]]++;
}

static enum nx_status drop_no_ops(struct nx_graph *graph, struct nx_err *err)
{
    struct nx_rewrite rw;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        struct nx_node *node = nx_rewrite_visit(&rw, i);
        skip_flatten(&rw, node);
        if (is_no_op(graph, node))
            nx_rewrite_drop(&rw, i, node->inputs[0]);
    }
    return nx_rewrite_end(&rw);
}

static bool has_only_constants(const struct nx_graph *graph, const struct nx_node *node)
{
    for (uint32_t i = 0; i < node->n_inputs; i++)
        if (graph->tensors[node->inputs[i]].kind != NX_TENSOR_CONSTANT ||
            !graph->tensors[node->inputs[i]].data)
            return false;
    return true;
}

static uint64_t output_bytes(const struct nx_graph *graph, const struct nx_node *node)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < node->n_outputs; i++)
        bytes += nx_tensor_bytes(&graph->tensors[node->outputs[i]]);
    return bytes;
}

/* A graph of this node alone, its inputs as constants. */
static enum nx_status isolate(const struct nx_graph *graph, const struct nx_node *node,
                              struct nx_graph *alone, struct nx_err *err)
{
    struct nx_node copy = *node;
    uint32_t index;
    copy.inputs = nx_arena_array(alone->arena, node->n_inputs, sizeof *copy.inputs);
    if (!copy.inputs)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory to fold '%s'", node->name);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const struct nx_tensor *t = &graph->tensors[node->inputs[i]];
        NX_TRY(nx_graph_add_constant(alone, t->name, &t->shape, t->data, &copy.inputs[i], err));
    }
    NX_TRY(nx_graph_add_node(alone, &copy, &index, err));
    const struct nx_node *made = &alone->nodes[index];
    NX_TRY(nx_graph_set_io(alone, NULL, 0, made->outputs, made->n_outputs, err));
    return nx_shape_infer(alone, 1, err);
}

static enum nx_status run_alone(const struct nx_graph *alone, const struct nx_backend *evaluator,
                                float *const *results, struct nx_err *err)
{
    struct nx_load_options options = {.batch_max = 1, .threads = 1};
    struct nx_program *program;
    NX_TRY(evaluator->load(alone, &options, &program, err));
    enum nx_status status = evaluator->run(program, 1, NULL, results, err);
    evaluator->free(program);
    return status;
}

/* The node's outputs become constants; nobody needs the node then. */
static enum nx_status fold_node(struct nx_graph *graph, const struct nx_node *node,
                                const struct nx_backend *evaluator, struct nx_arena *scratch,
                                struct nx_err *err)
{
    struct nx_graph alone;
    float **results = nx_arena_array(graph->arena, node->n_outputs, sizeof *results);
    if (!results)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory to fold '%s'", node->name);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const struct nx_tensor *t = &graph->tensors[node->outputs[i]];
        results[i] = nx_arena_alloc(graph->arena, nx_tensor_bytes(t));
        if (!results[i])
            return nx_err_set(err, NX_NO_MEMORY, "out of memory to fold '%s'", node->name);
    }
    nx_graph_init(&alone, scratch);
    NX_TRY(isolate(graph, node, &alone, err));
    NX_TRY(run_alone(&alone, evaluator, results, err));
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        struct nx_tensor *t = &graph->tensors[node->outputs[i]];
        t->kind = NX_TENSOR_CONSTANT;
        t->data = results[i];
        t->producer = NX_NONE;
    }
    return NX_OK;
}

static enum nx_status fold_constants(struct nx_graph *graph, const struct nx_backend *evaluator,
                                     struct nx_err *err)
{
    struct nx_rewrite rw;
    uint64_t bytes = 0, work = 0;
    NX_TRY(nx_rewrite_begin(&rw, graph, err));
    for (uint32_t i = 0; i < graph->n_nodes; i++) {
        const struct nx_node *node = nx_rewrite_visit(&rw, i);
        if (!has_only_constants(graph, node))
            continue;
        bytes += output_bytes(graph, node);
        work += nx_graph_node_work(graph, node);
        if (bytes > FOLDED_BYTES_MAX || work > FOLDED_WORK_MAX)
            break;
        struct nx_arena scratch;
        nx_arena_init(&scratch, SIZE_MAX);
        enum nx_status status = fold_node(graph, node, evaluator, &scratch, err);
        nx_arena_free(&scratch);
        NX_TRY(status);
        rw.dead[i] = true;
    }
    return nx_rewrite_end(&rw);
}

enum nx_status nx_pass_run(struct nx_graph *graph, unsigned passes,
                           const struct nx_backend *evaluator, struct nx_err *err)
{
    nx_assert(graph->batch > 0 && nx_graph_is_sound(graph));
    if (passes & NX_PASS_NO_OPS)
        NX_TRY(drop_no_ops(graph, err));
    if (passes & NX_PASS_CONSTANTS)
        NX_TRY(fold_constants(graph, evaluator, err));
    if (passes & NX_PASS_PATTERNS)
        NX_TRY(nx_pass_patterns(graph, err));
    if (passes & NX_PASS_PAD)
        NX_TRY(nx_pass_pad(graph, err));
    if (passes & NX_PASS_FOLD_BN)
        NX_TRY(nx_pass_fold_bn(graph, err));
    if (passes & NX_PASS_SCALE_SHIFT)
        NX_TRY(nx_pass_scale_shift(graph, err));
    if (passes & NX_PASS_SUM)
        NX_TRY(nx_pass_sum(graph, err));
    if (passes & NX_PASS_ACTIVATION)
        NX_TRY(nx_pass_activation(graph, err));
    return NX_OK;
}
