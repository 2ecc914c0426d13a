#include "function_tier/v2_request.h"

#include "common/arena.h"
#include "common/codec.h"
#include "common/nx_assert.h"

#include <stdlib.h>
#include <string.h>

struct nx_v2_request *nx_v2_new(void)
{
    return nx_calloc(1, sizeof(struct nx_v2_request));
}

void nx_v2_free(struct nx_v2_request *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < NX_V2_INPUTS_MAX; i++)
        free(r->inputs[i].owned);
    free(r);
}

enum nx_status nx_v2_read_version(const char *model, const char *text, uint64_t *version,
                                  struct nx_err *err)
{
    size_t len = strlen(text);
    *version = 0;
    if (len == 0)
        return NX_OK;
    if (len > 18 || strspn(text, "0123456789") != len || text[0] == '0')
        return nx_err_set(err, NX_NOT_FOUND,
                          "Request for unknown model: '%s' version '%.40s' is not found, versions "
                          "are numbers from 1 on",
                          model, text);
    *version = strtoull(text, NULL, 10);
    return NX_OK;
}

enum nx_status nx_v2_check_version(const char *model, uint64_t asked, uint64_t serving,
                                   struct nx_err *err)
{
    if (asked == 0 || asked == serving)
        return NX_OK;
    return nx_err_set(err, NX_NOT_FOUND,
                      "Request for unknown model: '%s' version %llu is not found, its version is "
                      "%llu",
                      model, (unsigned long long)asked, (unsigned long long)serving);
}

void nx_v2_say_unknown(const char *model, const struct nx_err *told, struct nx_err *err)
{
    const char *version =
        strstr(told->text, "its version is ") ? strstr(told->text, "version ") : NULL;
    nx_err_set(err, NX_NOT_FOUND, "Request for unknown model: '%s' %.200s", model,
               version ? version : "is not found");
}

static enum nx_status read_photos(const struct nx_v2_input *in, struct nx_infer_ask *ask,
                                  struct nx_err *err)
{
    uint64_t photos;
    struct nx_reader r;
    if (in->rank == 0 || in->rank > 2 || !nx_tensor_elements(in->dims, in->rank, &photos) ||
        photos == 0 || photos > NX_INFER_PHOTOS_MAX)
        return nx_err_set(err, NX_INVALID,
                          "input '%s' of BYTES must have shape [N] or [N,1], 1 <= N <= %d",
                          in->name, NX_INFER_PHOTOS_MAX);
    nx_reader_init(&r, in->data, in->data_bytes);
    for (uint64_t i = 0; i < photos; i++) {
        uint32_t len = nx_read_u32(&r);
        ask->bodies[i] = (struct nx_infer_span){nx_read_bytes(&r, len), len};
        if (!r.bad && len > NX_PHOTO_BYTES_MAX)
            return nx_err_set(err, NX_TOO_LARGE,
                              "element %llu of input '%s' has %u bytes, the limit is %d",
                              (unsigned long long)i, in->name, len, NX_PHOTO_BYTES_MAX);
    }
    if (r.bad || nx_reader_left(&r) > 0)
        return nx_err_set(err, NX_INVALID,
                          "input '%s' has %zu bytes, which are not the %llu elements of its shape",
                          in->name, in->data_bytes, (unsigned long long)photos);
    ask->bodies_count = (uint32_t)photos;
    return NX_OK;
}

static enum nx_status read_tensor(const struct nx_v2_input *in, struct nx_tensor_part *part,
                                  struct nx_err *err)
{
    uint64_t elements;
    if (in->type == NX_TYPE_BYTES)
        return nx_err_set(err, NX_INVALID,
                          "input '%s' has datatype BYTES: encoded photos come as the only input",
                          in->name);
    if (!nx_tensor_elements(in->dims, in->rank, &elements) || elements > NX_PHOTO_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "input '%s' has a shape of more than %d elements",
                          in->name, NX_PHOTO_BYTES_MAX);
    part->bytes = elements * nx_tensor_type_bytes(in->type);
    if (in->data_bytes != part->bytes)
        return nx_err_set(err, NX_INVALID, "input '%s' has %zu bytes, its shape needs %llu",
                          in->name, in->data_bytes, (unsigned long long)part->bytes);
    memcpy(part->name, in->name, sizeof part->name);
    part->type = in->type;
    part->rank = in->rank;
    memcpy(part->dims, in->dims, sizeof part->dims);
    return NX_OK;
}

/* The head, and behind it each input's bytes where they lie. */
static enum nx_status read_tensors(struct nx_v2_request *r, struct nx_infer_ask *ask,
                                   struct nx_err *err)
{
    struct nx_tensors_ask tensors = {.outputs_count = r->outputs_count};
    size_t total = 0;
    tensors.in.count = r->inputs_count;
    for (uint32_t i = 0; i < r->outputs_count; i++) {
        memcpy(tensors.outputs[i].name, r->outputs[i].name, sizeof tensors.outputs[i].name);
        tensors.outputs[i].top_max = r->outputs[i].classification;
    }
    for (uint32_t i = 0; i < r->inputs_count; i++) {
        const struct nx_v2_input *in = &r->inputs[i];
        NX_TRY(read_tensor(in, &tensors.in.parts[i], err));
        ask->bodies[1 + i] = (struct nx_infer_span){in->data, in->data_bytes};
        total += in->data_bytes;
    }
    size_t head = nx_tensors_ask_encode(&tensors, r->head, sizeof r->head);
    nx_assert(head > 0); /* there is room for the longest names */
    if (total > NX_PHOTO_BYTES_MAX - head)
        return nx_err_set(err, NX_TOO_LARGE, "tensors of %zu bytes, the limit is %zu", total,
                          NX_PHOTO_BYTES_MAX - head);
    ask->bodies[0] = (struct nx_infer_span){r->head, head};
    ask->bodies_count = 1 + r->inputs_count;
    ask->want.input = NX_INPUT_TENSORS;
    return NX_OK;
}

static enum nx_status read_outputs(const struct nx_v2_request *r, struct nx_want *want,
                                   struct nx_err *err)
{
    want->outputs = r->outputs_count == 0;
    for (uint32_t i = 0; i < r->outputs_count; i++) {
        const struct nx_v2_output *out = &r->outputs[i];
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(out->name, r->outputs[k].name) == 0)
                return nx_err_set(err, NX_INVALID, "output '%s' is asked for twice", out->name);
        if (out->classification > NX_TOP_MAX)
            return nx_err_set(err, NX_INVALID, "classification of %u categories, the limit is %d",
                              out->classification, NX_TOP_MAX);
        want->outputs |= out->classification == 0;
        if (out->classification > want->top_max)
            want->top_max = out->classification;
    }
    return NX_OK;
}

enum nx_status nx_v2_to_ask(struct nx_v2_request *r, struct nx_infer_ask *ask, struct nx_err *err)
{
    const struct nx_v2_input *first = &r->inputs[0];
    memset(&ask->want, 0, sizeof ask->want);
    ask->whole = NULL;
    ask->want.priority = (uint32_t)r->priority;
    memcpy(ask->model, r->model, sizeof ask->model);
    NX_TRY(nx_v2_read_version(r->model, r->version, &ask->version, err));
    if (r->inputs_count == 0)
        return nx_err_set(err, NX_INVALID, "no inputs for model '%s'", r->model);
    for (uint32_t i = 0; i < r->inputs_count; i++) {
        if (r->inputs[i].type == NX_TYPE_NONE)
            return nx_err_set(err, NX_INVALID, "input '%s' has an unknown datatype",
                              r->inputs[i].name);
        if (!r->inputs[i].data)
            return nx_err_set(err, NX_INVALID, "input '%s' has no data", r->inputs[i].name);
    }
    struct nx_want outputs = {0};
    NX_TRY(read_outputs(r, &outputs, err));
    if (r->inputs_count > 1 || first->type != NX_TYPE_BYTES)
        return read_tensors(r, ask, err);
    NX_TRY(read_photos(first, ask, err));
    ask->want = outputs;
    memcpy(ask->want.tensor, first->name, sizeof ask->want.tensor);
    return NX_OK;
}
