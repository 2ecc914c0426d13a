#include "categorizer/model/model.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/graph/pass.h"
#include "categorizer/graph/plan.h"
#include "categorizer/graph/shape.h"
#include "categorizer/model/calibration.h"
#include "categorizer/model/input_size.h"
#include "categorizer/model/model_parts.h"
#include "categorizer/model/onnx.h"
#include "categorizer/model/symbol.h"

/* What the activations of one program may take, planned, before any of it is allocated. */
#define ACTIVATION_BYTES_MAX (UINT64_C(8) << 30)
static enum nx_status check_file(const struct nx_file *file, const char *what, uint64_t max,
                                 struct nx_err *err)
{
    if (!file->bytes || file->len == 0)
        return nx_err_set(err, NX_INVALID, "the %s file is empty", what);
    if (file->len > max)
        return nx_err_set(err, NX_TOO_LARGE,
                          "the %s file has %zu bytes, at most %" PRIu64 " are possible", what,
                          file->len, max);
    return NX_OK;
}

static enum nx_status check_files(const struct nx_model_files *files, struct nx_err *err)
{
    if (files->onnx.bytes) {
        if (files->symbol.bytes || files->params.bytes)
            return nx_err_set(
                err, NX_INVALID,
                "an ONNX file brings its own weights, with it came a symbol or params");
        NX_TRY(check_file(&files->onnx, "ONNX", NX_ONNX_BYTES_MAX, err));
    } else {
        NX_TRY(check_file(&files->symbol, "symbol", NX_SYMBOL_BYTES_MAX, err));
        NX_TRY(check_file(&files->params, "params", NX_PARAMS_BYTES_MAX, err));
    }
    if (!files->synset.bytes)
        return NX_OK;
    return check_file(&files->synset, "synset", NX_SYNSET_BYTES_MAX, err);
}

static uint64_t count_nonfinite(const float *values, uint64_t n)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < n; i++)
        found += !isfinite(values[i]);
    return found;
}

/* A training that diverged: the model loads, since it may still answer, but somebody has to be told. */
static enum nx_status note_nonfinite(struct nx_opening *o, const struct nx_tensor *t,
                                     struct nx_arena *arena, struct nx_model_facts *facts)
{
    uint64_t found = t->data ? count_nonfinite(t->data, nx_tensor_bytes(t) / sizeof(float)) : 0;
    facts->nonfinite += found;
    if (found == 0 || facts->nonfinite_name)
        return NX_OK;
    facts->nonfinite_name = nx_arena_strndup(arena, t->name, strlen(t->name));
    return facts->nonfinite_name ? NX_OK
                                 : nx_err_set(o->err, NX_NO_MEMORY, "out of memory for the model");
}

/* Weights that nodes read: a loader may have put some in another order and left the first ones behind. */
static enum nx_status count_params(struct nx_opening *o, struct nx_arena *arena,
                                   struct nx_model_facts *facts)
{
    const struct nx_graph *graph = &o->graph;
    bool *seen = nx_arena_array(&o->work, graph->n_tensors, sizeof *seen);
    if (!seen)
        return nx_err_set(o->err, NX_NO_MEMORY, "out of memory for the model");
    for (uint32_t i = 0; i < graph->n_nodes; i++)
        for (uint32_t k = 0; k < graph->nodes[i].n_inputs; k++) {
            uint32_t t = graph->nodes[i].inputs[k];
            if (!seen[t] && graph->tensors[t].kind == NX_TENSOR_CONSTANT) {
                facts->params += nx_tensor_bytes(&graph->tensors[t]) / sizeof(float);
                NX_TRY(note_nonfinite(o, &graph->tensors[t], arena, facts));
            }
            seen[t] = true;
        }
    return NX_OK;
}

/* Every output that has a batch is one row per photo, whatever the batch: of the first, how long is one? */
static enum nx_status check_outputs(struct nx_opening *o, uint32_t batch, uint64_t *per_photo)
{
    char text[NX_SHAPE_TEXT_BYTES];
    NX_TRY(nx_shape_infer(&o->graph, batch, o->err));
    for (uint32_t i = 0; i < o->graph.n_outputs; i++) {
        const struct nx_tensor *y = &o->graph.tensors[o->graph.outputs[i]];
        if (o->graph.out[i].batched && (y->shape.rank < 1 || y->shape.dims[0] != batch))
            return nx_err_set(
                o->err, NX_INVALID,
                "the output '%s' is %s for a batch of %u photos, one row for each was "
                "expected",
                y->name, nx_shape_text(&y->shape, text), batch);
    }
    const struct nx_tensor *first = &o->graph.tensors[o->graph.outputs[0]];
    *per_photo = nx_tensor_bytes(first) / sizeof(float) / (o->graph.out[0].batched ? batch : 1);
    return NX_OK;
}

static void read_photo_facts(const struct nx_opening *o, struct nx_model_facts *facts)
{
    const struct nx_tensor *x = &o->graph.tensors[o->graph.inputs[0]];
    bool photo = x->shape.rank == 4;
    bool lone = o->graph.n_inputs == 1 && o->graph.in[0].batched && o->graph.out[0].batched;
    facts->takes_photos = lone && photo;
    if (!lone || (!photo && x->shape.rank != 2))
        return;
    facts->channels = (uint32_t)x->shape.dims[1];
    facts->height_px = photo ? (uint32_t)x->shape.dims[2] : 1;
    facts->width_px = photo ? (uint32_t)x->shape.dims[3] : 1;
}

static enum nx_status read_ports(const struct nx_opening *o, struct nx_arena *arena,
                                 const struct nx_port *ports, const uint32_t *tensors, uint32_t n,
                                 const struct nx_model_port **out)
{
    struct nx_model_port *own = nx_arena_array(arena, n, sizeof *own);
    for (uint32_t i = 0; own && i < n; i++) {
        const char *name = nx_arena_strndup(arena, ports[i].name, strlen(ports[i].name));
        own[i] = (struct nx_model_port){name, ports[i].dtype, ports[i].batched,
                                        o->graph.tensors[tensors[i]].shape};
        if (!name)
            return nx_err_set(o->err, NX_NO_MEMORY, "out of memory for the model");
    }
    *out = own;
    return own ? NX_OK : nx_err_set(o->err, NX_NO_MEMORY, "out of memory for the model");
}

static enum nx_status read_port_facts(const struct nx_opening *o, struct nx_arena *arena,
                                      struct nx_model_facts *facts)
{
    const struct nx_graph *graph = &o->graph;
    facts->n_in = graph->n_inputs;
    facts->n_out = graph->n_outputs;
    for (uint32_t i = 0; i < graph->n_inputs; i++)
        facts->batched |= graph->in[i].batched;
    NX_TRY(read_ports(o, arena, graph->in, graph->inputs, graph->n_inputs, &facts->in));
    return read_ports(o, arena, graph->out, graph->outputs, graph->n_outputs, &facts->out);
}

static enum nx_status read_facts(struct nx_opening *o, struct nx_arena *arena,
                                 struct nx_model_facts *facts)
{
    uint64_t outputs, again;
    NX_TRY(check_outputs(o, 2, &again));
    NX_TRY(check_outputs(o, 1, &outputs));
    if (outputs != again || outputs > UINT32_MAX)
        return nx_err_set(o->err, NX_INVALID,
                          "the model has %" PRIu64 " outputs for 1 photo and %" PRIu64
                          " for each of 2",
                          outputs, again);
    facts->outputs = (uint32_t)outputs;
    read_photo_facts(o, facts);
    NX_TRY(read_port_facts(o, arena, facts));
    NX_TRY(count_params(o, arena, facts));
    facts->macs = nx_graph_macs(&o->graph);
    if (nx_graph_work(&o->graph) > NX_MODEL_WORK_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE,
                          "the model needs %" PRIu64 " operations for a photo, at most %" PRIu64
                          " are possible",
                          nx_graph_work(&o->graph), NX_MODEL_WORK_MAX);
    return NX_OK;
}

static enum nx_status check_activations(struct nx_opening *o, uint64_t *bytes)
{
    struct nx_plan plan;
    NX_TRY(nx_plan_slots(&o->graph, true, &plan, o->err));
    NX_TRY(nx_plan_pack(&o->work, plan.slots, plan.n_slots, 64, bytes, o->err));
    if (*bytes > ACTIVATION_BYTES_MAX)
        return nx_err_set(o->err, NX_TOO_LARGE,
                          "the model needs %" PRIu64 " bytes of activations at a batch of %u, at "
                          "most %" PRIu64 " are possible",
                          *bytes, o->graph.batch, ACTIVATION_BYTES_MAX);
    return NX_OK;
}

static enum nx_status read_graph(struct nx_opening *o, bool *size_is_free)
{
    const struct nx_model_files *files = o->files;
    struct nx_size_hint hint = {o->options->hint_height_px, o->options->hint_width_px};
    nx_graph_init(&o->graph, &o->work);
    if (files->onnx.bytes)
        return nx_onnx_build(files->onnx.bytes, files->onnx.len, &hint, &o->graph, size_is_free,
                             o->err);
    NX_TRY(nx_params_parse(files->params.bytes, files->params.len, &o->work, &o->params, o->err));
    NX_TRY(nx_symbol_build(files->symbol.bytes, files->symbol.len, &o->params, &o->graph, o->err));
    return nx_input_size_choose(&o->graph, &hint, size_is_free, o->err);
}

enum nx_status nx_opening_read(struct nx_opening *o, struct nx_arena *arena,
                               struct nx_model_facts *facts)
{
    NX_TRY(check_files(o->files, o->err));
    NX_TRY(read_graph(o, &facts->size_is_free));
    return read_facts(o, arena, facts);
}

static uint64_t count_weights(const struct nx_graph *graph)
{
    uint64_t bytes = 0;
    for (uint32_t t = 0; t < graph->n_tensors; t++)
        if (graph->tensors[t].kind == NX_TENSOR_CONSTANT)
            bytes += nx_tensor_bytes(&graph->tensors[t]);
    return bytes;
}

static void estimate(struct nx_opening *o, struct nx_load_estimate *e)
{
    const struct nx_load_options *load = &o->options->load;
    const struct nx_backend *backend = nx_backend_find(o->options->backend);
    *e = (struct nx_load_estimate){.at_once = load->batch_max,
                                   .element_bytes = sizeof(float),
                                   .weights = count_weights(&o->graph)};
    if (backend && backend->estimate)
        backend->estimate(&o->graph, load, e);
}

/* The graph is inferred for a batch. A backend that computes photo by photo needs no room for one. */
static enum nx_status plan_for_backend(struct nx_opening *o, uint64_t *activation_bytes)
{
    uint32_t batch_max = o->options->load.batch_max;
    struct nx_load_estimate e;
    estimate(o, &e);
    o->weights_bytes = e.weights;
    o->weights_least = count_weights(&o->graph) / sizeof(float) * e.element_bytes;
    o->scratch_bytes = e.scratch;
    if (e.at_once != batch_max) {
        NX_TRY(nx_shape_infer(&o->graph, e.at_once, o->err));
        NX_TRY(check_activations(o, activation_bytes));
        NX_TRY(nx_shape_infer(&o->graph, batch_max, o->err));
    }
    *activation_bytes = *activation_bytes / sizeof(float) * e.element_bytes + e.scratch;
    return NX_OK;
}

enum nx_status nx_opening_prepare(struct nx_opening *o, uint64_t *activation_bytes)
{
    NX_TRY(nx_shape_infer(&o->graph, 2, o->err));
    NX_TRY(nx_pass_run(&o->graph, NX_PASS_ALL, &nx_backend_cpu_ref, o->err));
    NX_TRY(nx_shape_infer(&o->graph, o->options->load.batch_max, o->err));
    NX_TRY(check_activations(o, activation_bytes));
    return plan_for_backend(o, activation_bytes);
}

/* A photo's caller takes the first output only; the others have to go somewhere. */
static enum nx_status make_room(const struct nx_opening *o, struct nx_model *model)
{
    const struct nx_graph *graph = &o->graph;
    model->room = nx_arena_array(&model->arena, graph->n_outputs, sizeof *model->room);
    for (uint32_t i = 1; model->room && i < graph->n_outputs; i++) {
        uint64_t bytes = nx_tensor_bytes(&graph->tensors[graph->outputs[i]]);
        model->room[i] = nx_arena_alloc(&model->arena, bytes);
        if (!model->room[i])
            model->room = NULL;
    }
    return model->room ? NX_OK : nx_err_set(o->err, NX_NO_MEMORY, "out of memory for the model");
}

/* What a backend's own layouts and tables come to beyond weights and activations: measured, 1 % to 14 % and 100 KB. */
static uint64_t overhead(uint64_t program)
{
    return program / 8 + (UINT64_C(128) << 10);
}

uint64_t nx_opening_planned(const struct nx_opening *o, uint64_t activation_bytes)
{
    uint64_t program = o->weights_bytes + activation_bytes;
    return program + overhead(program);
}

/* Below that no layout brings it: an arena may turn out smaller than the plan's by what is computed in place. */
static uint64_t least(const struct nx_opening *o, const struct nx_model_facts *facts)
{
    return o->weights_least + (facts->activation_bytes - o->scratch_bytes) / 4 * 3;
}

/* What loading will take at its height: what has been made of the files so far, and the program. Where the plan does not fit
 * but the model might, all that is left is taken, and the load goes as far as that. */
static enum nx_status reserve(struct nx_opening *o, struct nx_model_facts *facts)
{
    struct nx_budget *budget = o->options->budget;
    facts->weights_bytes = o->weights_bytes;
    facts->planned_bytes = nx_opening_planned(o, facts->activation_bytes);
    uint64_t need = facts->planned_bytes + o->work.used_bytes;
    if (!budget)
        return NX_OK;
    uint64_t left = nx_budget_left(budget), want = need < left ? need : left;
    if (least(o, facts) + o->work.used_bytes <= left &&
        nx_budget_take(budget, want, "a model", NULL) == NX_OK) {
        o->reserved = want;
        return NX_OK;
    }
    return nx_err_set(o->err, NX_NO_MEMORY,
                      "the model needs %" PRIu64 " bytes (weights %" PRIu64 ", activations %" PRIu64
                      " for a batch of %u, %" PRIu64
                      " more while it is loaded): of this node's model memory %" PRIu64
                      " of %" PRIu64 " bytes are left",
                      need, facts->weights_bytes, facts->activation_bytes, o->graph.batch,
                      need - facts->weights_bytes - facts->activation_bytes, nx_budget_left(budget),
                      budget->limit_bytes);
}

/* From what was reserved to what it came to; the work is freed already. */
static enum nx_status settle(struct nx_opening *o, struct nx_model *model)
{
    struct nx_budget *budget = o->options->budget;
    uint64_t held = model->facts.memory_bytes;
    if (!budget)
        return NX_OK;
    if (held > o->reserved)
        NX_TRY(nx_budget_take(budget, held - o->reserved, "the rest of a model", o->err));
    else
        nx_budget_give(budget, o->reserved - held);
    o->reserved = 0;
    model->budget = budget;
    return NX_OK;
}

/* For the program, beside what has been made of the files so far. 0: nobody counts. */
static uint64_t bytes_left(struct nx_opening *o)
{
    if (!o->options->budget)
        return 0;
    uint64_t ours = o->reserved + nx_budget_left(o->options->budget);
    return ours > o->work.used_bytes ? ours - o->work.used_bytes : 1;
}

static enum nx_status explain_load(struct nx_opening *o, const struct nx_model_facts *facts,
                                   uint64_t bytes_max, enum nx_status status)
{
    if (status != NX_NO_MEMORY || bytes_max == 0)
        return status;
    return nx_err_set(o->err, NX_NO_MEMORY,
                      "the model (weights %" PRIu64 " bytes, activations %" PRIu64
                      ") comes to more than %" PRIu64 " bytes as this machine computes it: that is "
                      "what is left of this node's model memory of %" PRIu64 " bytes",
                      facts->weights_bytes, facts->activation_bytes, bytes_max,
                      o->options->budget->limit_bytes);
}

/* What it came to, in place of what was planned. */
static void take_figures(struct nx_model *model)
{
    const struct nx_backend *backend = model->program->backend;
    struct nx_program_bytes bytes = backend->memory(model->program);
    model->facts.backend = backend->name;
    model->facts.weights_bytes = bytes.weights;
    model->facts.activation_bytes = bytes.arena;
    model->facts.memory_bytes = bytes.all + model->arena.used_bytes + sizeof *model;
}

static enum nx_status load_program(struct nx_opening *o, struct nx_model *model)
{
    if (!nx_backend_find(o->options->backend))
        return nx_err_set(o->err, NX_UNAVAILABLE, "there is no backend '%s' in this build",
                          o->options->backend);
    NX_TRY(nx_opening_prepare(o, &model->facts.activation_bytes));
    NX_TRY(reserve(o, &model->facts));
    NX_TRY(make_room(o, model));
    struct nx_load_options load = o->options->load;
    NX_TRY(nx_calibration_read(o->files, &o->graph, &o->work, &load, o->err));
    load.bytes_max = bytes_left(o);
    enum nx_status status =
        nx_backend_load(o->options->backend, &o->graph, &load, &model->program, o->err);
    if (status != NX_OK)
        return explain_load(o, &model->facts, load.bytes_max, status);
    take_figures(model);
    model->batch_max = load.batch_max;
    return NX_OK;
}

static enum nx_status open_model(struct nx_opening *o, struct nx_model *model)
{
    const struct nx_file *synset = &o->files->synset;
    NX_TRY(nx_opening_read(o, &model->arena, &model->facts));
    if (synset->bytes)
        NX_TRY(nx_synset_parse(synset->bytes, synset->len, model->facts.outputs, &model->arena,
                               &model->synset, o->err));
    return load_program(o, model);
}

/* The arena for the work ends where the budget does. */
static size_t work_bytes_max(struct nx_opening *o)
{
    uint64_t most = NX_OPENING_BYTES(o->files->params.len + o->files->onnx.len);
    uint64_t left = o->options->budget ? nx_budget_left(o->options->budget) : UINT64_MAX;
    o->is_tight = left < most;
    return o->is_tight ? left : most;
}

/* Nothing was reserved yet: what ran out is the work's arena. */
static enum nx_status explain(struct nx_opening *o, const struct nx_model *model,
                              enum nx_status status)
{
    if (status != NX_NO_MEMORY || !o->is_tight || model->facts.weights_bytes > 0)
        return status;
    return nx_err_set(o->err, NX_NO_MEMORY,
                      "opening the model takes more than what is left of this node's model memory "
                      "(%" PRIu64 " of %" PRIu64 " bytes)",
                      nx_budget_left(o->options->budget), o->options->budget->limit_bytes);
}

enum nx_status nx_model_open(const struct nx_model_files *files,
                             const struct nx_model_options *options, struct nx_model **model,
                             struct nx_err *err)
{
    struct nx_opening o = {.files = files, .options = options, .err = err};
    struct nx_model *own = nx_calloc(1, sizeof *own);
    if (!own)
        return nx_err_set(err, NX_NO_MEMORY, "out of memory for the model");
    nx_arena_init(&own->arena, SIZE_MAX);
    nx_arena_init(&o.work, work_bytes_max(&o));
    enum nx_status status = explain(&o, own, open_model(&o, own));
    nx_arena_free(&o.work);
    if (status == NX_OK)
        status = settle(&o, own);
    if (status != NX_OK) {
        nx_model_close(own);
        if (o.reserved)
            nx_budget_give(options->budget, o.reserved);
        return status;
    }
    *model = own;
    return NX_OK;
}

void nx_model_close(struct nx_model *model)
{
    if (!model)
        return;
    if (model->program)
        model->program->backend->free(model->program);
    nx_arena_free(&model->arena);
    if (model->budget)
        nx_budget_give(model->budget, model->facts.memory_bytes);
    free(model);
}

const struct nx_model_facts *nx_model_facts(const struct nx_model *model)
{
    return &model->facts;
}

void nx_model_watch(struct nx_model *model, const struct nx_step_watch *watch)
{
    model->program->watch = watch;
}

const char *nx_model_class(const struct nx_model *model, uint32_t i)
{
    return i < model->synset.n ? model->synset.names[i] : "";
}

enum nx_status nx_model_run(struct nx_model *model, uint32_t n, const float *inputs, float *outputs,
                            struct nx_err *err)
{
    if (model->facts.n_in != 1 || !model->facts.in[0].batched)
        return nx_err_set(err, NX_INVALID,
                          "the model takes %u inputs%s: a photo does not say what they are",
                          model->facts.n_in, model->facts.batched ? "" : " without a batch");
    float *all[NX_PORTS_MAX] = {outputs};
    for (uint32_t i = 1; i < model->facts.n_out; i++)
        all[i] = model->room[i];
    return model->program->backend->run(model->program, n, &inputs, all, err);
}
