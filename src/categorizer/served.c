#include "categorizer/served.h"

#include "categorizer/image/photo.h"
#include "categorizer/model/model.h"
#include "common/arena.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct nx_served {
    struct nx_model *model;
    struct nx_recipe recipe;
    float *input, *output; /* one photo's; classify runs one at a time */
};

static enum nx_status open_model(struct nx_served *s, const struct nx_request_head *head,
                                 const uint8_t *body, const struct nx_served_options *options,
                                 struct nx_err *err)
{
    const uint8_t *symbol = body + head->synset_bytes, *params = symbol + head->symbol_bytes;
    struct nx_model_files files = {.synset = {body, head->synset_bytes}};
    if (head->format == NX_FORMAT_ONNX) {
        files.onnx = (struct nx_file){symbol, head->symbol_bytes};
    } else {
        files.symbol = (struct nx_file){symbol, head->symbol_bytes};
        files.params = (struct nx_file){params, head->params_bytes};
    }
    struct nx_model_options model_options = {
        .backend = options->backend,
        .load = {.batch_max = 1, .threads = options->threads, .precision = NX_PRECISION_F32},
        .hint_height_px = s->recipe.crop,
        .hint_width_px = s->recipe.crop,
    };
    return nx_model_open(&files, &model_options, &s->model, err);
}

static enum nx_status fit_recipe(struct nx_served *s, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(s->model);
    NX_TRY(nx_recipe_check(&s->recipe, facts->channels, facts->height_px, facts->width_px, err));
    s->input =
        nx_calloc((size_t)facts->channels * facts->height_px * facts->width_px, sizeof(float));
    s->output = nx_calloc(facts->outputs, sizeof(float));
    if (!s->input || !s->output)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the model's input and output");
    return NX_OK;
}

static enum nx_status open_all(struct nx_served *s, const struct nx_request_head *head,
                               const uint8_t *body, const struct nx_served_options *options,
                               struct nx_err *err)
{
    if (head->format == NX_FORMAT_ONNX && head->params_bytes)
        return nx_err_set(err, NX_INVALID,
                          "an ONNX file brings its own weights, with it came %llu bytes of params",
                          (unsigned long long)head->params_bytes);
    if (head->synset_bytes == 0)
        return nx_err_set(err, NX_INVALID, "the synset is empty; it names one category per line");
    const char *recipe = head->recipe_bytes ? head->recipe : NX_RECIPE_DEFAULT;
    size_t len = head->recipe_bytes ? head->recipe_bytes : strlen(NX_RECIPE_DEFAULT);
    NX_TRY(nx_recipe_parse(recipe, len, &s->recipe, err));
    NX_TRY(open_model(s, head, body, options, err));
    return fit_recipe(s, err);
}

enum nx_status nx_served_open(const struct nx_request_head *head, const uint8_t *body,
                              const struct nx_served_options *options, struct nx_served **served,
                              struct nx_digest *digest, struct nx_err *err)
{
    size_t body_bytes = head->synset_bytes + head->symbol_bytes + head->params_bytes;
    NX_TRY(nx_digest_of(body, body_bytes, digest, err));
    struct nx_served *s = nx_calloc(1, sizeof *s);
    if (!s)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a model");
    enum nx_status status = open_all(s, head, body, options, err);
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
    free(s->input);
    free(s->output);
    free(s);
}

uint64_t nx_served_bytes(const struct nx_served *s)
{
    return nx_model_facts(s->model)->memory_bytes;
}

static enum nx_status run(struct nx_served *s, const uint8_t *photo, size_t len, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(s->model);
    NX_TRY(nx_photo_to_tensor(photo, len, &s->recipe, facts->channels, facts->height_px,
                              facts->width_px, s->input, NULL, err));
    NX_TRY(nx_model_run(s->model, 1, s->input, s->output, err));
    for (uint32_t i = 0; i < facts->outputs; i++)
        if (!isfinite(s->output[i]))
            return nx_err_set(err, NX_INTERNAL,
                              "output %u of the model is not finite for this photo", i);
    if (s->recipe.softmax)
        nx_softmax(s->output, facts->outputs);
    return NX_OK;
}

void nx_served_classify(struct nx_served *s, const uint8_t *photo, size_t len,
                        struct nx_answer *answer)
{
    *answer = (struct nx_answer){0};
    answer->err.status = run(s, photo, len, &answer->err);
    if (answer->err.status != NX_OK)
        return;
    struct nx_top top;
    if (nx_topk(s->output, nx_model_facts(s->model)->outputs, 1, &top) != 1) {
        nx_err_set(&answer->err, NX_INTERNAL, "the model has no output");
        return;
    }
    const char *label = nx_model_class(s->model, top.index);
    answer->index = top.index;
    answer->value = top.value;
    answer->label_bytes = (uint32_t)strnlen(label, NX_LABEL_BYTES_MAX);
    memcpy(answer->label, label, answer->label_bytes);
}
