#include "categorizer/model/calibrate.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/graph/shape.h"
#include "categorizer/model/histogram.h"
#include "categorizer/model/model_parts.h"
#include "common/nx_assert.h"

struct nx_calibrator {
    struct nx_opening opening; /* of a model; its work holds the graph */
    struct nx_model_facts facts;
    struct nx_arena arena;
    uint64_t mark;
    const struct nx_graph *graph;
    struct nx_graph watched; /* the graph with the tensors in question as its outputs */
    struct nx_program *program;
    uint32_t *tensors; /* of graph, per output of watched */
    float **rows;
    struct nx_histogram *histograms;
    uint32_t n;
};

static enum nx_status no_memory(struct nx_err *err)
{
    return nx_err_set(err, NX_NO_MEMORY, "out of memory for the calibration");
}

static enum nx_status choose_tensors(struct nx_calibrator *c, struct nx_err *err)
{
    uint64_t bytes = 0;
    bool *wanted = nx_arena_array(&c->arena, c->graph->n_tensors, sizeof *wanted);
    c->tensors = nx_arena_array(&c->arena, c->graph->n_tensors, sizeof *c->tensors);
    if (!wanted || !c->tensors)
        return no_memory(err);
    nx_quant_wanted_ranges(c->graph, wanted);
    for (uint32_t t = 0; t < c->graph->n_tensors; t++) {
        if (!wanted[t] || c->graph->tensors[t].kind == NX_TENSOR_CONSTANT)
            continue;
        c->tensors[c->n++] = t;
        bytes += nx_tensor_bytes(&c->graph->tensors[t]);
    }
    if (c->n == 0)
        return nx_err_set(err, NX_INVALID,
                          "the model has no convolution and no fully connected layer for int8");
    if (bytes > NX_CALIBRATOR_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE,
                          "the model has %" PRIu64 " bytes of activations for one photo, at most "
                          "%" PRIu64 " are possible for a calibration",
                          bytes, NX_CALIBRATOR_BYTES_MAX);
    return NX_OK;
}

/* A copy of each tensor is an output: the tensor itself may be overwritten by a sum before the run ends. */
static enum nx_status add_copies(struct nx_calibrator *c, uint32_t *copies, struct nx_err *err)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct nx_node copy = {.op = NX_OP_UNARY,
                               .name = c->graph->tensors[c->tensors[i]].name,
                               .n_inputs = 1,
                               .n_outputs = 1,
                               .inputs = &c->tensors[i],
                               .attr.unary = {.fn = NX_UNARY_MUL, .a = 1}};
        uint32_t at;
        NX_TRY(nx_graph_add_node(&c->watched, &copy, &at, err));
        copies[i] = c->watched.nodes[at].outputs[0];
    }
    return NX_OK;
}

static void put_node(struct nx_graph *g, struct nx_node *nodes, uint32_t *n, uint32_t from)
{
    for (uint32_t k = 0; k < g->nodes[from].n_outputs; k++)
        g->tensors[g->nodes[from].outputs[k]].producer = *n;
    nodes[(*n)++] = g->nodes[from];
}

/* Each copy right behind what it copies: before it are those of inputs, the i-th one is node `first` + i. */
static enum nx_status order_nodes(struct nx_calibrator *c, uint32_t first, struct nx_err *err)
{
    struct nx_graph *g = &c->watched;
    uint32_t *behind = nx_arena_array(&c->arena, g->n_tensors, sizeof *behind), n = 0;
    struct nx_node *nodes = nx_arena_array(g->arena, g->n_nodes, sizeof *nodes);
    if (!behind || !nodes)
        return no_memory(err);
    for (uint32_t i = 0; i < c->n; i++)
        behind[c->tensors[i]] = first + i;
    for (uint32_t i = 0; i < c->n; i++)
        if (g->tensors[c->tensors[i]].producer == NX_NONE)
            put_node(g, nodes, &n, first + i);
    for (uint32_t i = 0; i < first; i++) {
        const struct nx_node node = g->nodes[i];
        put_node(g, nodes, &n, i);
        for (uint32_t k = 0; k < node.n_outputs; k++)
            if (behind[node.outputs[k]])
                put_node(g, nodes, &n, behind[node.outputs[k]]);
    }
    nx_assert(n == g->n_nodes);
    g->nodes = nodes;
    g->cap_nodes = n;
    return NX_OK;
}

static enum nx_status watch(struct nx_calibrator *c, struct nx_err *err)
{
    uint32_t *copies = nx_arena_array(&c->arena, c->n, sizeof *copies);
    if (!copies)
        return no_memory(err);
    NX_TRY(nx_graph_clone(c->graph, &c->arena, &c->watched, err));
    uint32_t first = c->watched.n_nodes;
    struct nx_port *in = c->watched.in;
    NX_TRY(add_copies(c, copies, err));
    NX_TRY(order_nodes(c, first, err));
    NX_TRY(nx_graph_set_io(&c->watched, c->watched.inputs, c->watched.n_inputs, copies, c->n, err));
    c->watched.in = in; /* as they were: with or without a batch */
    return nx_shape_infer(&c->watched, 1, err);
}

static enum nx_status make_rows(struct nx_calibrator *c, struct nx_err *err)
{
    c->rows = nx_arena_array(&c->arena, c->n, sizeof *c->rows);
    c->histograms = nx_arena_array(&c->arena, c->n, sizeof *c->histograms);
    if (!c->rows || !c->histograms)
        return no_memory(err);
    for (uint32_t i = 0; i < c->n; i++) {
        c->rows[i] = nx_arena_alloc(&c->arena, nx_tensor_bytes(&c->graph->tensors[c->tensors[i]]));
        if (!c->rows[i])
            return no_memory(err);
    }
    return NX_OK;
}

static enum nx_status start(struct nx_calibrator *c, const struct nx_graph *graph,
                            const char *backend, uint32_t threads, struct nx_err *err)
{
    const struct nx_load_options load = {.batch_max = 1, .threads = threads};
    c->graph = graph;
    NX_TRY(choose_tensors(c, err));
    NX_TRY(watch(c, err));
    NX_TRY(make_rows(c, err));
    return nx_backend_load(backend, &c->watched, &load, &c->program, err);
}

static struct nx_calibrator *make(struct nx_err *err)
{
    struct nx_calibrator *c = nx_calloc(1, sizeof *c);
    if (!c) {
        no_memory(err);
        return NULL;
    }
    nx_arena_init(&c->arena, SIZE_MAX);
    nx_arena_init(&c->opening.work, SIZE_MAX);
    return c;
}

static enum nx_status done(struct nx_calibrator *c, enum nx_status status,
                           struct nx_calibrator **calibrator)
{
    if (status == NX_OK)
        *calibrator = c;
    else
        nx_calibrator_close(c);
    return status;
}

enum nx_status nx_calibrator_open_graph(const struct nx_graph *graph, const char *backend,
                                        uint32_t threads, struct nx_calibrator **calibrator,
                                        struct nx_err *err)
{
    struct nx_calibrator *c = make(err);
    return c ? done(c, start(c, graph, backend, threads, err), calibrator) : NX_NO_MEMORY;
}

static enum nx_status open_model(struct nx_calibrator *c, const struct nx_model_files *files,
                                 const struct nx_model_options *options, struct nx_err *err)
{
    struct nx_opening *o = &c->opening;
    struct nx_model_options own = *options;
    uint64_t activation_bytes;
    own.load.batch_max = 1;
    own.load.precision = NX_PRECISION_F32;
    o->files = files;
    o->options = &own;
    o->err = err;
    o->work.limit_bytes = NX_OPENING_BYTES(files->params.len + files->onnx.len);
    NX_TRY(nx_opening_read(o, &c->arena, &c->facts));
    NX_TRY(nx_opening_prepare(o, &activation_bytes));
    c->mark = nx_calibration_mark(files, &o->graph);
    enum nx_status status = start(c, &o->graph, options->backend, options->load.threads, err);
    *o = (struct nx_opening){.work = o->work, .graph = o->graph}; /* the rest is the caller's */
    return status;
}

enum nx_status nx_calibrator_open(const struct nx_model_files *files,
                                  const struct nx_model_options *options,
                                  struct nx_calibrator **calibrator, struct nx_err *err)
{
    struct nx_calibrator *c = make(err);
    return c ? done(c, open_model(c, files, options, err), calibrator) : NX_NO_MEMORY;
}

void nx_calibrator_close(struct nx_calibrator *c)
{
    if (!c)
        return;
    if (c->program)
        c->program->backend->free(c->program);
    nx_arena_free(&c->arena);
    nx_arena_free(&c->opening.work);
    free(c);
}

const struct nx_model_facts *nx_calibrator_facts(const struct nx_calibrator *calibrator)
{
    return calibrator->facts.n_in ? &calibrator->facts : NULL;
}

enum nx_status nx_calibrator_see(struct nx_calibrator *c, const float *const *inputs,
                                 struct nx_err *err)
{
    NX_TRY(c->program->backend->run(c->program, 1, inputs, c->rows, err));
    for (uint32_t i = 0; i < c->n; i++) {
        const struct nx_tensor *t = &c->graph->tensors[c->tensors[i]];
        nx_histogram_add(&c->histograms[i], c->rows[i], nx_tensor_bytes(t) / sizeof(float));
        if (c->histograms[i].nonfinite)
            return nx_err_set(err, NX_INVALID, "'%s' has values that are infinite or no number",
                              t->name);
    }
    return NX_OK;
}

static float within(float x)
{
    return fmaxf(-NX_QUANT_RANGE_MAX, fminf(NX_QUANT_RANGE_MAX, x));
}

void nx_calibrator_ranges(const struct nx_calibrator *c, const struct nx_calibration_how *how,
                          struct nx_quant_range *ranges)
{
    memset(ranges, 0, c->graph->n_tensors * sizeof *ranges);
    for (uint32_t i = 0; i < c->n; i++) {
        const struct nx_histogram *h = &c->histograms[i];
        double percent = how->rule == NX_RULE_MINMAX ? 100 : how->percent;
        float most = nx_histogram_percentile(h, percent);
        ranges[c->tensors[i]] = (struct nx_quant_range){true, within(fmaxf(h->low, -most)),
                                                        within(fminf(h->high, most))};
    }
}

enum nx_status nx_calibrator_write(struct nx_calibrator *c, const struct nx_calibration_how *how,
                                   const char *seen, FILE *out, struct nx_err *err)
{
    uint32_t n = c->graph->n_tensors;
    struct nx_calibration file = {
        .mark = c->mark,
        .n_tensors = n,
        .ranges = nx_arena_array(&c->arena, n, sizeof *file.ranges),
    };
    const char **names = nx_arena_array(&c->arena, n, sizeof *names);
    if (!file.ranges || !names)
        return no_memory(err);
    for (uint32_t t = 0; t < n; t++)
        names[t] = c->graph->tensors[t].name;
    nx_calibrator_ranges(c, how, file.ranges);
    if (how->rule == NX_RULE_MINMAX)
        snprintf(file.rule, sizeof file.rule, "minmax, %s", seen);
    else
        snprintf(file.rule, sizeof file.rule, "percentile %g, %s", how->percent, seen);
    return nx_calibration_write(out, &file, names, err);
}
