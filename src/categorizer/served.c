#include "categorizer/served.h"

#include "categorizer/image/photo.h"
#include "categorizer/model/model.h"
#include "common/arena.h"
#include "common/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_REPEATS = 5 };
static const nx_ns WARM_NS = 300 * NX_MS; /* for the profile at load */

struct nx_served {
    struct nx_model *model;
    struct nx_recipe recipe;
    struct nx_served_facts facts;
    float *inputs, *outputs;  /* of a full batch */
    struct nx_budget *budget; /* also of what a photo is decoded to */
    uint64_t buffers_bytes;   /* of the budget, for the two */
};

static enum nx_status open_model(struct nx_served *s, const struct nx_request_head *head,
                                 const uint8_t *body, const struct nx_served_options *options,
                                 struct nx_err *err)
{
    const uint8_t *symbol = body + head->synset_bytes, *params = symbol + head->symbol_bytes;
    const uint8_t *calibration = params + head->params_bytes;
    struct nx_model_files files = {.synset = {body, head->synset_bytes}};
    if (head->format == NX_FORMAT_ONNX) {
        files.onnx = (struct nx_file){symbol, head->symbol_bytes};
    } else {
        files.symbol = (struct nx_file){symbol, head->symbol_bytes};
        files.params = (struct nx_file){params, head->params_bytes};
    }
    if (head->calibration_bytes)
        files.calibration = (struct nx_file){calibration, head->calibration_bytes};
    struct nx_model_options model_options = {
        .backend = options->backend,
        .load = {.batch_max = options->batch_max,
                 .threads = options->threads,
                 .precision = head->precision},
        .hint_height_px = s->recipe.crop,
        .hint_width_px = s->recipe.crop,
        .budget = options->budget,
    };
    return nx_model_open(&files, &model_options, &s->model, err);
}

/* One input with a batch: what a photo, or a tensor of rows, can be put into. */
static bool runs_alone(const struct nx_model_facts *facts)
{
    return facts->n_in == 1 && facts->in[0].batched && facts->channels > 0;
}

/* Inputs and outputs of a full batch. */
static enum nx_status make_buffers(struct nx_served *s, const struct nx_served_options *options,
                                   struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(s->model);
    if (!runs_alone(facts))
        return NX_OK;
    size_t in = (size_t)facts->channels * facts->height_px * facts->width_px;
    s->facts.tensor_bytes = in * sizeof(float);
    uint64_t bytes = options->batch_max * (in + facts->outputs) * sizeof(float);
    NX_TRY(nx_budget_take(options->budget, bytes, "a batch's input and output", err));
    s->buffers_bytes = bytes;
    s->inputs = nx_calloc(options->batch_max * in, sizeof(float));
    s->outputs = nx_calloc((size_t)options->batch_max * facts->outputs, sizeof(float));
    if (!s->inputs || !s->outputs)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the model's input and output");
    return NX_OK;
}

static enum nx_status fit_recipe(struct nx_served *s, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(s->model);
    if (!facts->takes_photos)
        return NX_OK; /* it is there for those who bring tensors */
    return nx_recipe_check(&s->recipe, facts->channels, facts->height_px, facts->width_px, err);
}

static enum nx_status run_warm(void *ctx, uint32_t batch, struct nx_err *err)
{
    struct nx_served *s = ctx;
    return nx_model_run(s->model, batch, s->inputs, s->outputs, err);
}

enum nx_status nx_served_measure(struct nx_served *s, const struct nx_profile_plan *plan,
                                 struct nx_profile *profile, struct nx_err *err)
{
    return nx_profile_measure(plan, run_warm, s, profile, err);
}

void nx_served_origin(const struct nx_served *s, const struct nx_digest *digest,
                      struct nx_profile_origin *origin)
{
    size_t at = (size_t)snprintf(origin->model, sizeof origin->model, "sha256:");
    for (int i = 0; i < NX_DIGEST_BYTES; i++)
        at += (size_t)snprintf(origin->model + at, sizeof origin->model - at, "%02x",
                               digest->bytes[i]);
    bool plain = s->facts.precision == NX_PRECISION_F32;
    snprintf(origin->backend, sizeof origin->backend, "%s%s%s", s->facts.backend, plain ? "" : " ",
             plain ? "" : nx_precision_name(s->facts.precision));
    origin->threads = s->facts.threads;
    nx_profile_machine(origin->machine);
}

/* The first run of a program is slow; nobody who asks shall meet it. */
static enum nx_status warm_up(struct nx_served *s, const struct nx_served_options *options,
                              const struct nx_digest *digest, struct nx_err *err)
{
    struct nx_profile_plan plan = {.batch_max = s->facts.batch_max,
                                   .repeats = WARM_REPEATS,
                                   .time_max_ns = WARM_NS,
                                   .memory_bytes = s->facts.memory_bytes};
    if (!runs_alone(nx_model_facts(s->model))) {
        s->facts.profile =
            (struct nx_profile){.rows_count = 1, .rows = {{.batch = 1, .mean_us = 1}}};
        return NX_OK;
    }
    NX_TRY(nx_served_measure(s, &plan, &s->facts.profile, err));
    if (!options->profiles[0])
        return NX_OK;
    struct nx_profile_origin origin;
    struct nx_err why = {0};
    nx_served_origin(s, digest, &origin);
    if (nx_profile_find(options->profiles, &origin, plan.batch_max, &s->facts.profile, &why) !=
        NX_OK)
        nx_warn("no profile from a file: %s; the one measured at load is used", why.text);
    return NX_OK;
}

static void describe(struct nx_served *s, const struct nx_request_head *head)
{
    const struct nx_model_facts *model = nx_model_facts(s->model);
    struct nx_served_facts *facts = &s->facts;
    facts->format = head->format;
    facts->precision = head->precision;
    facts->takes_photos = model->takes_photos;
    facts->weights_bytes = model->weights_bytes;
    facts->arena_bytes = model->activation_bytes;
    facts->memory_bytes = model->memory_bytes + s->buffers_bytes;
    snprintf(facts->backend, sizeof facts->backend, "%s", model->backend);
    snprintf(facts->recipe, sizeof facts->recipe, "%.*s", (int)head->recipe_bytes, head->recipe);
    if (head->recipe_bytes == 0)
        snprintf(facts->recipe, sizeof facts->recipe, "%s", NX_RECIPE_DEFAULT);
    else if (!nx_recipe_preset(facts->recipe))
        snprintf(facts->recipe, sizeof facts->recipe, "custom");
    if (model->nonfinite)
        snprintf(facts->note, sizeof facts->note,
                 "Note: %llu weights are infinite or not a number, the first in \"%.60s\".",
                 (unsigned long long)model->nonfinite, model->nonfinite_name);
}

static enum nx_status open_all(struct nx_served *s, const struct nx_request_head *head,
                               const uint8_t *body, const struct nx_served_options *options,
                               const struct nx_digest *digest, struct nx_err *err)
{
    if (head->format == NX_FORMAT_ONNX && head->params_bytes)
        return nx_err_set(err, NX_INVALID,
                          "an ONNX file brings its own weights, with it came %llu bytes of params",
                          (unsigned long long)head->params_bytes);
    if (head->synset_bytes == 0)
        return nx_err_set(err, NX_INVALID, "the synset is empty; it names one category per line");
    const char *recipe = head->recipe_bytes ? head->recipe : NX_RECIPE_DEFAULT;
    size_t len = head->recipe_bytes ? head->recipe_bytes : strlen(NX_RECIPE_DEFAULT);
    s->budget = options->budget;
    NX_TRY(nx_recipe_parse(recipe, len, &s->recipe, err));
    NX_TRY(open_model(s, head, body, options, err));
    NX_TRY(fit_recipe(s, err));
    NX_TRY(make_buffers(s, options, err));
    s->facts.batch_max = options->batch_max;
    s->facts.threads = options->threads;
    describe(s, head);
    return warm_up(s, options, digest, err);
}

enum nx_status nx_served_open(const struct nx_request_head *head, const uint8_t *body,
                              const struct nx_served_options *options, struct nx_served **served,
                              struct nx_digest *digest, struct nx_err *err)
{
    uint64_t body_bytes;
    if (!nx_install_body_bytes(head, &body_bytes))
        return nx_err_set(err, NX_INVALID, "the files' sizes overflow");
    NX_TRY(nx_digest_of(body, body_bytes, digest, err));
    struct nx_served *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a model");
    enum nx_status status = open_all(s, head, body, options, digest, err);
    if (status != NX_OK) {
        nx_served_close(s);
        return status;
    }
    *served = s;
    return NX_OK;
}

void nx_served_close(struct nx_served *s)
{
    if (!s)
        return;
    nx_model_close(s->model);
    free(s->inputs);
    free(s->outputs);
    if (s->buffers_bytes)
        nx_budget_give(s->budget, s->buffers_bytes);
    free(s);
    nx_heap_trim(); /* thousands of oneDNN's objects among what others allocated meanwhile */
}

const struct nx_served_facts *nx_served_facts(const struct nx_served *s)
{
    return &s->facts;
}

enum nx_status nx_served_prepare(const struct nx_served *s, const uint8_t *photo, size_t len,
                                 float *tensor, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(s->model);
    if (!facts->takes_photos)
        return nx_err_set(err, NX_INVALID, "this model takes tensors, not photos");
    struct nx_photo_limits limits = NX_PHOTO_LIMITS_DEFAULT;
    limits.budget = s->budget;
    return nx_photo_to_tensor(photo, len, &s->recipe, facts->channels, facts->height_px,
                              facts->width_px, tensor, &limits, err);
}

/* outputs: one photo's row. */
static enum nx_status tell(const struct nx_served *s, float *outputs,
                           const struct nx_served_photo *photo, struct nx_err *err)
{
    uint32_t n = nx_model_facts(s->model)->outputs;
    struct nx_answer *answer = photo->answer;
    struct nx_top top;
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(outputs[i]))
            return nx_err_set(err, NX_INTERNAL,
                              "output %u of the model is not finite for this photo", i);
    if (s->recipe.softmax)
        nx_softmax(outputs, n);
    if (!nx_want_is_plain(photo->want))
        return nx_served_tell_row(s, photo->want, outputs, answer, photo->payload, err);
    if (nx_topk(outputs, n, 1, &top) != 1)
        return nx_err_set(err, NX_INTERNAL, "the model has no output");
    const char *label = nx_model_class(s->model, top.index);
    answer->index = top.index;
    answer->value = top.value;
    answer->label_bytes = (uint32_t)strnlen(label, NX_LABEL_BYTES_MAX);
    memcpy(answer->label, label, answer->label_bytes);
    return NX_OK;
}

/* One alone needs no copy. */
static const float *gather(struct nx_served *s, const struct nx_served_photo *photos,
                           uint32_t count)
{
    size_t floats = s->facts.tensor_bytes / sizeof(float);
    if (count == 1)
        return photos[0].tensor;
    for (uint32_t i = 0; i < count; i++)
        memcpy(s->inputs + i * floats, photos[i].tensor, s->facts.tensor_bytes);
    return s->inputs;
}

void nx_served_run(struct nx_served *s, const struct nx_served_photo *photos, uint32_t count)
{
    struct nx_err err = {0};
    uint32_t outputs = nx_model_facts(s->model)->outputs;
    enum nx_status status =
        nx_model_run(s->model, count, gather(s, photos, count), s->outputs, &err);
    for (uint32_t i = 0; i < count; i++) {
        struct nx_answer *answer = photos[i].answer;
        *answer = (struct nx_answer){.err = err};
        if (status == NX_OK)
            answer->err.status =
                tell(s, s->outputs + (size_t)i * outputs, &photos[i], &answer->err);
    }
}

struct nx_model *nx_served_model(const struct nx_served *s)
{
    return s->model;
}
