#include "categorizer/model/inspect.h"

#include <math.h>
#include <string.h>

#include "categorizer/graph/shape.h"
#include "categorizer/model/calibration.h"
#include "categorizer/model/model_parts.h"
#include "categorizer/model/onnx.h"
#include "categorizer/model/symbol.h"

static enum nx_status survey(const struct nx_model_files *files, struct nx_inspection *i)
{
    if (files->onnx.bytes)
        return nx_onnx_survey(files->onnx.bytes, files->onnx.len, &i->arena, &i->survey, &i->err);
    nx_survey_init(&i->survey, "MXNet symbol and params", &i->arena);
    if (!files->symbol.bytes)
        return nx_err_set(&i->err, NX_INVALID, "there is no symbol file");
    return nx_symbol_survey(files->symbol.bytes, files->symbol.len, &i->arena, &i->survey, &i->err);
}

static void look_at(const struct nx_tensor *t, struct nx_inspection *i, struct nx_odd_weight *odd)
{
    const float *values = t->data;
    uint64_t n = nx_tensor_bytes(t) / sizeof *values, nans = 0, infinities = 0;
    i->weight_bytes += n * sizeof *values;
    for (uint64_t k = 0; values && k < n; k++) {
        nans += isnan(values[k]) != 0;
        infinities += isinf(values[k]) != 0;
    }
    if (nans || infinities)
        odd[i->n_odd++] = (struct nx_odd_weight){t->name, nans, infinities};
}

/* Each weight once, in the order in which the nodes read them. */
static enum nx_status look_at_weights(struct nx_inspection *i)
{
    const struct nx_graph *graph = &i->graph;
    bool *seen = nx_arena_array(&i->arena, graph->n_tensors, sizeof *seen);
    struct nx_odd_weight *odd = nx_arena_array(&i->arena, graph->n_tensors, sizeof *odd);
    if (!seen || !odd)
        return nx_err_set(&i->err, NX_NO_MEMORY, "out of memory to look at the weights");
    for (uint32_t k = 0; k < graph->n_nodes; k++)
        for (uint32_t n = 0; n < graph->nodes[k].n_inputs; n++) {
            uint32_t t = graph->nodes[k].inputs[n];
            if (!seen[t] && graph->tensors[t].kind == NX_TENSOR_CONSTANT)
                look_at(&graph->tensors[t], i, odd);
            seen[t] = true;
        }
    i->odd = odd;
    return NX_OK;
}

static enum nx_status keep_graph(struct nx_opening *o, struct nx_inspection *i)
{
    NX_TRY(nx_shape_infer(&o->graph, o->options->load.batch_max, &i->err));
    NX_TRY(nx_graph_clone(&o->graph, &i->arena, &i->graph, &i->err));
    i->macs = nx_graph_macs(&i->graph);
    i->has_graph = true;
    return look_at_weights(i);
}

static enum nx_status try_backend(struct nx_opening *o, struct nx_inspection *i)
{
    struct nx_program *program;
    if (!nx_backend_find(o->options->backend))
        return nx_err_set(&i->err, NX_UNAVAILABLE, "there is no backend '%s' in this build",
                          o->options->backend);
    NX_TRY(nx_opening_prepare(o, &i->activation_bytes));
    i->planned_bytes = nx_opening_planned(o, i->activation_bytes);
    struct nx_load_options load = o->options->load;
    NX_TRY(nx_calibration_read(o->files, &o->graph, &o->work, &load, &i->err));
    NX_TRY(nx_backend_load(o->options->backend, &o->graph, &load, &program, &i->err));
    i->backend = program->backend->name;
    i->program = program->backend->memory(program);
    program->backend->free(program);
    return NX_OK;
}

static enum nx_status inspect(struct nx_opening *o, struct nx_inspection *i)
{
    NX_TRY(survey(o->files, i));
    NX_TRY(nx_opening_read(o, &i->arena, &i->facts));
    NX_TRY(keep_graph(o, i));
    return try_backend(o, i);
}

void nx_model_inspect(const struct nx_model_files *files, const struct nx_model_options *options,
                      struct nx_inspection *inspection)
{
    struct nx_opening o = {.files = files, .options = options, .err = &inspection->err};
    uint64_t bytes = (uint64_t)files->params.len + files->onnx.len;
    *inspection = (struct nx_inspection){0};
    nx_arena_init(&inspection->arena, SIZE_MAX);
    nx_arena_init(&o.work, NX_OPENING_BYTES(bytes));
    inspection->err.status = inspect(&o, inspection);
    inspection->work = o.work; /* names and weights of the graph lie there */
}

void nx_inspection_close(struct nx_inspection *inspection)
{
    nx_arena_free(&inspection->work);
    nx_arena_free(&inspection->arena);
}
