/* pb_v2_encode.c — the structs of pb_v2.h → bytes. protobuf-c's structs are not const-correct; packing only reads. */
#include "common/arena.h"
#include "common/utf8.h"
#include "function_tier/pb/pb_unpack.h"
#include "function_tier/pb/pb_v2.h"
#include "function_tier/pb/pb_v2_contents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Inference__ModelInferResponse__InferOutputTensor OutputTensor;
typedef Inference__ModelMetadataResponse__TensorMetadata TensorMetadata;

enum { VERSION_BYTES = 24 };

static char *version_text(uint64_t version, char text[VERSION_BYTES])
{
    snprintf(text, VERSION_BYTES, "%llu", (unsigned long long)version);
    return text;
}

static char *text(const char *t)
{
    return (char *)(uintptr_t)t;
}

static int64_t *dims_of(const struct nx_pb_v2_tensor *t, uint32_t from)
{
    return (int64_t *)(uintptr_t)(t->dims + from);
}

static bool is_text(const char *t)
{
    return nx_utf8_ok(t, strlen(t));
}

static enum nx_status pack(const ProtobufCMessage *message, uint8_t **bytes, size_t *len)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t *packed = nx_malloc(size);
    if (!packed)
        return NX_NO_MEMORY;
    *len = protobuf_c_message_pack(message, packed);
    *bytes = packed;
    return NX_OK;
}

/* --- inference ------------------------------------------------------------------------------------ */

static void fill_output(const struct nx_pb_v2_tensor *t, OutputTensor *out)
{
    inference__model_infer_response__infer_output_tensor__init(out);
    out->name = text(t->name);
    out->datatype = text(t->datatype);
    out->shape = dims_of(t, 0);
    out->n_shape = t->rank;
}

static enum nx_status pack_response(Inference__ModelInferResponse *response, bool stream,
                                    uint8_t **bytes, size_t *len)
{
    if (!stream)
        return pack(&response->base, bytes, len);
    Inference__ModelStreamInferResponse around;
    inference__model_stream_infer_response__init(&around);
    around.infer_response = response;
    return pack(&around.base, bytes, len);
}

enum nx_status nx_pb_v2_result_encode(const struct nx_pb_v2_result *r, uint8_t **bytes, size_t *len)
{
    OutputTensor outputs[NX_PB_V2_TENSORS_MAX], *list[NX_PB_V2_TENSORS_MAX];
    ProtobufCBinaryData raw[NX_PB_V2_TENSORS_MAX];
    char version[VERSION_BYTES];
    Inference__InferTensorContents contents[NX_PB_V2_TENSORS_MAX];
    void *owned[NX_PB_V2_TENSORS_MAX] = {0};
    enum nx_status status = is_text(r->model) && is_text(r->id) ? NX_OK : NX_INVALID;
    for (uint32_t i = 0; i < r->outputs_count && status == NX_OK; i++) {
        const struct nx_pb_v2_tensor *t = &r->outputs[i];
        status = is_text(t->name) ? NX_OK : NX_INVALID;
        fill_output(t, &outputs[i]);
        list[i] = &outputs[i];
        raw[i] = (ProtobufCBinaryData){t->data.len, (uint8_t *)(uintptr_t)t->data.at};
        if (!r->raw && status == NX_OK)
            status = nx_pb_v2_contents_write(t, &contents[i], &owned[i]);
        if (!r->raw)
            outputs[i].contents = &contents[i];
    }
    if (status == NX_OK) {
        Inference__ModelInferResponse message;
        inference__model_infer_response__init(&message);
        message.model_name = text(r->model);
        message.model_version = version_text(r->version, version);
        message.id = text(r->id);
        message.outputs = list;
        message.n_outputs = r->outputs_count;
        message.raw_output_contents = raw;
        message.n_raw_output_contents = r->raw ? r->outputs_count : 0;
        status = pack_response(&message, r->stream, bytes, len);
    }
    for (uint32_t i = 0; i < r->outputs_count; i++)
        free(owned[i]);
    return status;
}

enum nx_status nx_pb_v2_stream_error_encode(const char *message, const char *id, uint8_t **bytes,
                                            size_t *len)
{
    if (!is_text(message) || !is_text(id))
        return NX_INVALID;
    Inference__ModelInferResponse response;
    Inference__ModelStreamInferResponse around;
    inference__model_infer_response__init(&response);
    inference__model_stream_infer_response__init(&around);
    response.id = text(id);
    around.error_message = text(message);
    around.infer_response = id[0] ? &response : NULL;
    return pack(&around.base, bytes, len);
}

/* --- facts ---------------------------------------------------------------------------------------- */

size_t nx_pb_v2_flag_encode(bool flag, uint8_t dst[4])
{
    Inference__ServerLiveResponse message;
    inference__server_live_response__init(&message);
    message.live = flag;
    return protobuf_c_message_pack(&message.base, dst);
}

enum nx_status nx_pb_v2_server_encode(const char *version, const char *const *extensions,
                                      size_t count, uint8_t **bytes, size_t *len)
{
    static char name[] = "nexus";
    Inference__ServerMetadataResponse message;
    inference__server_metadata_response__init(&message);
    message.name = name;
    message.version = text(version);
    message.extensions = (char **)(uintptr_t)extensions;
    message.n_extensions = count;
    return pack(&message.base, bytes, len);
}

static void fill_metadata(const struct nx_pb_v2_tensor *tensors, uint32_t count,
                          TensorMetadata *messages, TensorMetadata **list)
{
    for (uint32_t i = 0; i < count; i++) {
        inference__model_metadata_response__tensor_metadata__init(&messages[i]);
        messages[i].name = text(tensors[i].name);
        messages[i].datatype = text(tensors[i].datatype);
        messages[i].shape = dims_of(&tensors[i], 0);
        messages[i].n_shape = tensors[i].rank;
        list[i] = &messages[i];
    }
}

enum nx_status nx_pb_v2_metadata_encode(const struct nx_pb_v2_model *model, uint8_t **bytes,
                                        size_t *len)
{
    TensorMetadata messages[2][NX_PB_V2_TENSORS_MAX], *lists[2][NX_PB_V2_TENSORS_MAX];
    Inference__ModelMetadataResponse message;
    char version[VERSION_BYTES], *number = version_text(model->version, version);
    fill_metadata(model->inputs, model->inputs_count, messages[0], lists[0]);
    fill_metadata(model->outputs, model->outputs_count, messages[1], lists[1]);
    inference__model_metadata_response__init(&message);
    message.name = text(model->name);
    message.platform = text(model->platform);
    message.versions = &number;
    message.n_versions = 1;
    message.inputs = lists[0];
    message.n_inputs = model->inputs_count;
    message.outputs = lists[1];
    message.n_outputs = model->outputs_count;
    return pack(&message.base, bytes, len);
}

enum nx_status nx_pb_v2_config_encode(const struct nx_pb_v2_model *model, uint8_t **bytes,
                                      size_t *len)
{
    Inference__ModelInput inputs[NX_PB_V2_TENSORS_MAX], *input_list[NX_PB_V2_TENSORS_MAX];
    Inference__ModelOutput outputs[NX_PB_V2_TENSORS_MAX], *output_list[NX_PB_V2_TENSORS_MAX];
    Inference__ModelConfig config;
    Inference__ModelConfigResponse message;
    for (uint32_t i = 0; i < model->inputs_count; i++) {
        inference__model_input__init(&inputs[i]);
        inputs[i].name = text(model->inputs[i].name);
        inputs[i].data_type = (Inference__DataType)model->inputs[i].code;
        inputs[i].dims = dims_of(&model->inputs[i], model->inputs[i].batched);
        inputs[i].n_dims = model->inputs[i].rank - model->inputs[i].batched;
        input_list[i] = &inputs[i];
    }
    for (uint32_t i = 0; i < model->outputs_count; i++) {
        inference__model_output__init(&outputs[i]);
        outputs[i].name = text(model->outputs[i].name);
        outputs[i].data_type = (Inference__DataType)model->outputs[i].code;
        outputs[i].dims = dims_of(&model->outputs[i], model->outputs[i].batched);
        outputs[i].n_dims = model->outputs[i].rank - model->outputs[i].batched;
        output_list[i] = &outputs[i];
    }
    inference__model_config__init(&config);
    config.name = text(model->name);
    config.platform = text(model->platform);
    config.backend = text(model->backend);
    config.max_batch_size = (int32_t)model->batch_max;
    config.input = input_list;
    config.n_input = model->inputs_count;
    config.output = output_list;
    config.n_output = model->outputs_count;
    inference__model_config_response__init(&message);
    message.config = &config;
    return pack(&message.base, bytes, len);
}

struct statistics {
    Inference__ModelStatistics model;
    Inference__InferStatistics infer;
    Inference__StatisticDuration success, fail, queue, input, compute, output, none;
    Inference__MemoryUsage *memory, **memory_list;
    char version[VERSION_BYTES];
};

static Inference__StatisticDuration duration(const struct nx_pb_v2_duration *d)
{
    Inference__StatisticDuration message;
    inference__statistic_duration__init(&message);
    message.count = d->count;
    message.ns = d->ns;
    return message;
}

static void fill_durations(const struct nx_pb_v2_statistics *m, struct statistics *s)
{
    s->success = duration(&m->success);
    s->fail = duration(&m->failure);
    s->queue = duration(&m->queue);
    s->input = duration(&m->input);
    s->compute = duration(&m->infer);
    s->output = duration(&m->output);
    inference__statistic_duration__init(&s->none);
    inference__infer_statistics__init(&s->infer);
    s->infer.success = &s->success;
    s->infer.fail = &s->fail;
    s->infer.queue = &s->queue;
    s->infer.compute_input = &s->input;
    s->infer.compute_infer = &s->compute;
    s->infer.compute_output = &s->output;
    s->infer.cache_hit = s->infer.cache_miss = &s->none;
}

static bool fill_memory(const struct nx_pb_v2_statistics *m, struct statistics *s)
{
    s->memory = nx_calloc(m->memory_count + 1, sizeof *s->memory);
    s->memory_list = nx_calloc(m->memory_count + 1, sizeof(void *));
    if (!s->memory || !s->memory_list)
        return false;
    for (uint32_t i = 0; i < m->memory_count; i++) {
        inference__memory_usage__init(&s->memory[i]);
        s->memory[i].type = text(m->memory[i].gpu ? "GPU" : "CPU");
        s->memory[i].id = m->memory[i].node;
        s->memory[i].byte_size = m->memory[i].bytes;
        s->memory_list[i] = &s->memory[i];
    }
    s->model.n_memory_usage = m->memory_count;
    s->model.memory_usage = s->memory_list;
    return true;
}

static bool fill_statistics(const struct nx_pb_v2_statistics *m, struct statistics *s)
{
    inference__model_statistics__init(&s->model);
    fill_durations(m, s);
    s->model.name = text(m->name);
    s->model.version = version_text(m->version, s->version);
    s->model.last_inference = m->last_ms;
    s->model.inference_count = m->rows;
    s->model.execution_count = m->execs;
    s->model.inference_stats = &s->infer;
    return fill_memory(m, s);
}

enum nx_status nx_pb_v2_statistics_encode(const struct nx_pb_v2_statistics *models, size_t count,
                                          uint8_t **bytes, size_t *len)
{
    struct statistics *all = nx_calloc(count + 1, sizeof *all);
    Inference__ModelStatistics **list = nx_calloc(count + 1, sizeof(void *));
    enum nx_status status = NX_NO_MEMORY;
    bool ok = all && list;
    for (size_t i = 0; ok && i < count; i++) {
        ok = fill_statistics(&models[i], &all[i]);
        list[i] = &all[i].model;
    }
    if (ok) {
        Inference__ModelStatisticsResponse message;
        inference__model_statistics_response__init(&message);
        message.model_stats = list;
        message.n_model_stats = count;
        status = pack(&message.base, bytes, len);
    }
    for (size_t i = 0; all && i < count; i++) {
        free(all[i].memory);
        free(all[i].memory_list);
    }
    free(all);
    free(list);
    return status;
}

enum nx_status nx_pb_v2_index_encode(const struct nx_pb_v2_model *models, size_t count,
                                     uint8_t **bytes, size_t *len)
{
    Inference__RepositoryIndexResponse__ModelIndex *all = nx_calloc(count + 1, sizeof *all);
    Inference__RepositoryIndexResponse__ModelIndex **list = nx_calloc(count + 1, sizeof(void *));
    char(*numbers)[VERSION_BYTES] = nx_calloc(count + 1, sizeof *numbers);
    enum nx_status status = NX_NO_MEMORY;
    if (all && list && numbers) {
        Inference__RepositoryIndexResponse message;
        inference__repository_index_response__init(&message);
        for (size_t i = 0; i < count; i++) {
            inference__repository_index_response__model_index__init(&all[i]);
            all[i].name = text(models[i].name);
            all[i].version = version_text(models[i].version, numbers[i]);
            all[i].state = text(models[i].state);
            list[i] = &all[i];
        }
        message.models = list;
        message.n_models = count;
        status = pack(&message.base, bytes, len);
    }
    free(all);
    free(list);
    free(numbers);
    return status;
}
