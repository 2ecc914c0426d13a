/* pb_v2_decode.c — hostile bytes → the structs of pb_v2.h. */
#include "common/arena.h"
#include "function_tier/pb/pb_unpack.h"
#include "function_tier/pb/pb_v2.h"
#include "function_tier/pb/pb_v2_contents.h"

#include <stdlib.h>
#include <string.h>

enum { NAMED_BYTES_MAX = 64 << 10, NAMED_ALLOC_MAX = 256 << 10, MESSAGE_BYTES_MAX = 1 << 30 };

static enum nx_status copy_name(char dst[NX_PB_V2_NAME_BYTES], const char *text, struct nx_err *err)
{
    size_t len = strlen(text);
    if (len >= NX_PB_V2_NAME_BYTES)
        return nx_err_set(err, NX_INVALID, "a name of %zu bytes, the limit is %d", len,
                          NX_PB_V2_NAME_BYTES - 1);
    memcpy(dst, text, len + 1);
    return NX_OK;
}

enum nx_status nx_pb_v2_refuse_load(const char *parameter, struct nx_err *err)
{
    return nx_err_set(err, NX_INVALID,
                      "the load parameter '%.64s' is not supported: a model is installed as its "
                      "archive in the repository has it",
                      parameter);
}

/* All four messages of name and version are alike, and so are the two of the repository. */
static enum nx_status copy_named(enum nx_pb_v2_named which, const ProtobufCMessage *message,
                                 struct nx_pb_v2_name *name, struct nx_err *err)
{
    if (which != NX_PB_V2_LOAD && which != NX_PB_V2_UNLOAD) {
        const Inference__ModelReadyRequest *m = (const Inference__ModelReadyRequest *)message;
        NX_TRY(copy_name(name->name, m->name, err));
        return copy_name(name->version, m->version, err);
    }
    const Inference__RepositoryModelLoadRequest *m =
        (const Inference__RepositoryModelLoadRequest *)message;
    if (which == NX_PB_V2_LOAD && m->n_parameters > 0)
        return nx_pb_v2_refuse_load(m->parameters[0]->key, err);
    return copy_name(name->name, m->model_name[0] ? m->model_name : m->repository_name, err);
}

static_assert(sizeof(Inference__ModelReadyRequest) == sizeof(Inference__ModelMetadataRequest) &&
                  sizeof(Inference__ModelReadyRequest) == sizeof(Inference__ModelConfigRequest) &&
                  sizeof(Inference__ModelReadyRequest) == sizeof(Inference__ModelStatisticsRequest),
              "messages of the same two fields");
static_assert(sizeof(Inference__RepositoryModelLoadRequest) ==
                  sizeof(Inference__RepositoryModelUnloadRequest),
              "messages of the same fields");

enum nx_status nx_pb_v2_name_decode(enum nx_pb_v2_named which, const uint8_t *bytes, size_t len,
                                    struct nx_pb_v2_name *name, struct nx_err *err)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &inference__model_ready_request__descriptor,
        &inference__model_metadata_request__descriptor,
        &inference__model_config_request__descriptor,
        &inference__model_statistics_request__descriptor,
        &inference__repository_model_load_request__descriptor,
        &inference__repository_model_unload_request__descriptor,
    };
    struct nx_pb_v2_name found = {0};
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(types[which], "a request", bytes, len, NAMED_BYTES_MAX, NAMED_ALLOC_MAX,
                        &message, err));
    enum nx_status status = copy_named(which, message, &found, err);
    nx_pb_release(message);
    NX_TRY(status);
    *name = found;
    return NX_OK;
}

/* --- ModelInfer ----------------------------------------------------------------------------------- */

static enum nx_status read_dims(const Inference__ModelInferRequest__InferInputTensor *from,
                                struct nx_pb_v2_input *in, struct nx_err *err)
{
    if (from->n_shape > NX_PB_V2_RANK_MAX)
        return nx_err_set(err, NX_INVALID, "input '%s' has %zu dimensions, the limit is %d",
                          from->name, from->n_shape, NX_PB_V2_RANK_MAX);
    in->rank = (uint32_t)from->n_shape;
    for (uint32_t i = 0; i < in->rank; i++) {
        in->dims[i] = from->shape[i];
        if (in->dims[i] < 0)
            return nx_err_set(err, NX_INVALID, "input '%s' has a negative dimension", from->name);
    }
    return NX_OK;
}

static enum nx_status read_elements(struct nx_pb_v2_infer *infer, struct nx_pb_v2_input *in,
                                    const Inference__InferTensorContents *c, struct nx_err *err)
{
    if (infer->elements)
        return nx_err_set(err, NX_INVALID, "more than one input with bytes_contents");
    infer->elements = nx_calloc(c->n_bytes_contents, sizeof *infer->elements);
    if (!infer->elements)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for %zu elements", c->n_bytes_contents);
    for (size_t i = 0; i < c->n_bytes_contents; i++)
        infer->elements[i] =
            (struct nx_pb_v2_bytes){c->bytes_contents[i].data, c->bytes_contents[i].len};
    in->elements = infer->elements;
    in->elements_count = c->n_bytes_contents;
    return NX_OK;
}

static enum nx_status read_contents(struct nx_pb_v2_infer *infer, uint32_t i,
                                    const Inference__InferTensorContents *c, struct nx_err *err)
{
    struct nx_pb_v2_input *in = &infer->inputs[i];
    if (c->n_bytes_contents && nx_pb_v2_contents_kinds(c) == 1)
        return read_elements(infer, in, c, err);
    return nx_pb_v2_contents_read(in->name, in->datatype, c, &infer->converted[i], &in->data, err);
}

static enum nx_status read_inputs(const Inference__ModelInferRequest *m,
                                  struct nx_pb_v2_infer *infer, struct nx_err *err)
{
    static const uint8_t nothing[1];
    infer->raw = m->n_raw_input_contents > 0;
    if (m->n_inputs > NX_PB_V2_TENSORS_MAX)
        return nx_err_set(err, NX_INVALID, "%zu inputs, the limit is %d", m->n_inputs,
                          NX_PB_V2_TENSORS_MAX);
    if (infer->raw && m->n_raw_input_contents != m->n_inputs)
        return nx_err_set(err, NX_INVALID, "%zu raw_input_contents for %zu inputs",
                          m->n_raw_input_contents, m->n_inputs);
    infer->inputs_count = (uint32_t)m->n_inputs;
    for (uint32_t i = 0; i < infer->inputs_count; i++) {
        struct nx_pb_v2_input *in = &infer->inputs[i];
        const Inference__ModelInferRequest__InferInputTensor *from = m->inputs[i];
        in->name = from->name;
        in->datatype = from->datatype;
        NX_TRY(read_dims(from, in, err));
        if (infer->raw && from->contents)
            return nx_err_set(err, NX_INVALID, "input '%s' has contents beside raw_input_contents",
                              from->name);
        if (infer->raw) {
            const ProtobufCBinaryData *raw = &m->raw_input_contents[i];
            in->data = (struct nx_pb_v2_bytes){raw->len ? raw->data : nothing, raw->len};
        } else if (from->contents) {
            NX_TRY(read_contents(infer, i, from->contents, err));
        }
    }
    return NX_OK;
}

/* NX_INVALID: neither kind of whole number, or a negative one. */
static enum nx_status read_whole(const Inference__InferParameter *p, uint64_t *value)
{
    bool is_signed =
        p->parameter_choice_case == INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_INT64_PARAM;
    bool is_unsigned =
        p->parameter_choice_case == INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_UINT64_PARAM;
    if ((!is_signed && !is_unsigned) || (is_signed && p->int64_param < 0))
        return NX_INVALID;
    *value = is_signed ? (uint64_t)p->int64_param : p->uint64_param;
    return NX_OK;
}

static enum nx_status read_classification(
    const Inference__ModelInferRequest__InferRequestedOutputTensor *from,
    struct nx_pb_v2_output *out, struct nx_err *err)
{
    for (size_t i = 0; i < from->n_parameters; i++) {
        const Inference__InferParameter *p = from->parameters[i]->value;
        if (!p || strcmp(from->parameters[i]->key, "classification") != 0)
            continue;
        if (read_whole(p, &out->classification) != NX_OK)
            return nx_err_set(err, NX_INVALID,
                              "parameter classification of output '%s' is no whole number",
                              from->name);
    }
    return NX_OK;
}

static enum nx_status read_priority(const Inference__ModelInferRequest *m,
                                    struct nx_pb_v2_infer *infer, struct nx_err *err)
{
    for (size_t i = 0; i < m->n_parameters; i++) {
        const Inference__InferParameter *p = m->parameters[i]->value;
        if (p && strcmp(m->parameters[i]->key, "priority") == 0 &&
            read_whole(p, &infer->priority) != NX_OK)
            return nx_err_set(err, NX_INVALID, "parameter priority is no whole number");
    }
    return NX_OK;
}

static enum nx_status read_outputs(const Inference__ModelInferRequest *m,
                                   struct nx_pb_v2_infer *infer, struct nx_err *err)
{
    if (m->n_outputs > NX_PB_V2_TENSORS_MAX)
        return nx_err_set(err, NX_INVALID, "%zu outputs, the limit is %d", m->n_outputs,
                          NX_PB_V2_TENSORS_MAX);
    infer->outputs_count = (uint32_t)m->n_outputs;
    for (uint32_t i = 0; i < infer->outputs_count; i++) {
        infer->outputs[i].name = m->outputs[i]->name;
        NX_TRY(read_classification(m->outputs[i], &infer->outputs[i], err));
    }
    return NX_OK;
}

/* A varint of one byte is an INT64 of eight, or a UINT8 that is an uint32_t meanwhile. */
static size_t allowance(size_t len)
{
    size_t numbers = len < NX_PB_V2_ALLOC_NUMBERS / 7 ? 7 * len : NX_PB_V2_ALLOC_NUMBERS;
    return 2 * len + numbers + NX_PB_V2_ALLOC_EXTRA;
}

enum nx_status nx_pb_v2_infer_decode(const uint8_t *bytes, size_t len, struct nx_pb_v2_infer *infer,
                                     struct nx_err *err)
{
    ProtobufCMessage *message;
    NX_TRY(nx_pb_unpack(&inference__model_infer_request__descriptor, "an inference request", bytes,
                        len, MESSAGE_BYTES_MAX, allowance(len), &message, err));
    const Inference__ModelInferRequest *m = (Inference__ModelInferRequest *)message;
    struct nx_pb_v2_infer found = {
        .model = m->model_name, .version = m->model_version, .id = m->id, .message = message};
    enum nx_status status = read_inputs(m, &found, err);
    if (status == NX_OK)
        status = read_outputs(m, &found, err);
    if (status == NX_OK)
        status = read_priority(m, &found, err);
    if (status != NX_OK) {
        nx_pb_v2_infer_free(&found);
        return status;
    }
    *infer = found;
    return NX_OK;
}

void nx_pb_v2_infer_free(struct nx_pb_v2_infer *infer)
{
    if (infer->message)
        nx_pb_release(infer->message);
    free(infer->elements);
    infer->message = NULL;
    infer->elements = NULL;
    for (uint32_t i = 0; i < NX_PB_V2_TENSORS_MAX; i++) {
        free(infer->converted[i]);
        infer->converted[i] = NULL;
    }
}
