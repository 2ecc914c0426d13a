#include "function_tier/v2_pb.h"

#include "common/arena.h"
#include "common/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum nx_status copy_text(char *dst, size_t cap, const char *text, const char *what,
                                struct nx_err *err)
{
    size_t len = strlen(text);
    if (len >= cap)
        return nx_err_set(err, NX_INVALID, "%s of %zu bytes, the limit is %zu", what, len, cap - 1);
    memcpy(dst, text, len + 1);
    return NX_OK;
}

/* bytes_contents as the raw form has them. */
static enum nx_status join_elements(const struct nx_pb_v2_input *from, struct nx_v2_input *in,
                                    struct nx_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < from->elements_count; i++)
        total += 4 + from->elements[i].len;
    in->owned = nx_malloc(total);
    if (!in->owned)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a tensor of %zu bytes", total);
    struct nx_writer w;
    nx_writer_init(&w, in->owned, total);
    for (size_t i = 0; i < from->elements_count; i++) {
        nx_write_u32(&w, (uint32_t)from->elements[i].len);
        if (from->elements[i].len)
            nx_write_bytes(&w, from->elements[i].at, from->elements[i].len);
    }
    in->data = in->owned;
    in->data_bytes = total;
    return NX_OK;
}

static enum nx_status read_input(const struct nx_pb_v2_input *from, struct nx_v2_input *in,
                                 struct nx_err *err)
{
    static_assert((int)NX_PB_V2_RANK_MAX == (int)NX_TENSOR_RANK_MAX, "dimensions pass through");
    NX_TRY(copy_text(in->name, sizeof in->name, from->name, "an input's name", err));
    in->type = nx_tensor_type_of(from->datatype);
    in->rank = from->rank;
    for (uint32_t i = 0; i < in->rank; i++)
        in->dims[i] = (uint64_t)from->dims[i];
    if (from->elements && in->type != NX_TYPE_BYTES)
        return nx_err_set(err, NX_INVALID, "input '%s' of datatype %s has bytes_contents", in->name,
                          nx_tensor_type_name(in->type));
    if (from->elements)
        return join_elements(from, in, err);
    in->data = from->data.at;
    in->data_bytes = from->data.len;
    return NX_OK;
}

enum nx_status nx_v2_pb_read(const struct nx_pb_v2_infer *infer, struct nx_v2_request *q,
                             struct nx_err *err)
{
    static_assert((int)NX_PB_V2_TENSORS_MAX == (int)NX_V2_INPUTS_MAX, "as many as are decoded");
    if (!nx_model_name_ok(infer->model))
        return nx_err_set(err, NX_NOT_FOUND, "Request for unknown model: '%.100s' is not found",
                          infer->model);
    NX_TRY(copy_text(q->model, sizeof q->model, infer->model, "a model's name", err));
    NX_TRY(copy_text(q->version, sizeof q->version, infer->version, "a model's version", err));
    NX_TRY(copy_text(q->id, sizeof q->id, infer->id, "a request's id", err));
    if (infer->priority > NX_PRIORITY_MAX)
        return nx_err_set(err, NX_INVALID, "parameter priority must be 0 to %d, not %llu",
                          NX_PRIORITY_MAX, (unsigned long long)infer->priority);
    q->priority = infer->priority;
    q->inputs_count = infer->inputs_count;
    q->outputs_count = infer->outputs_count;
    for (uint32_t i = 0; i < q->inputs_count; i++)
        NX_TRY(read_input(&infer->inputs[i], &q->inputs[i], err));
    for (uint32_t i = 0; i < q->outputs_count; i++) {
        uint64_t k = infer->outputs[i].classification;
        NX_TRY(copy_text(q->outputs[i].name, sizeof q->outputs[i].name, infer->outputs[i].name,
                         "an output's name", err));
        q->outputs[i].classification = k > NX_TOP_MAX ? NX_TOP_MAX + 1 : (uint32_t)k;
    }
    return NX_OK;
}

enum nx_status nx_v2_pb_write(const struct nx_v2_request *q, bool raw, bool stream,
                              const struct nx_v2_reply *reply, uint8_t **bytes, size_t *len,
                              struct nx_err *err)
{
    struct nx_pb_v2_tensor outputs[NX_V2_OUTPUTS_MAX] = {0};
    for (uint32_t i = 0; i < reply->count; i++) {
        const struct nx_v2_tensor *from = &reply->tensors[i];
        struct nx_pb_v2_tensor *t = &outputs[i];
        t->name = from->name;
        t->datatype = nx_tensor_type_name(from->type);
        t->rank = from->rank;
        for (uint32_t k = 0; k < t->rank; k++)
            t->dims[k] = (int64_t)from->dims[k];
        t->data = (struct nx_pb_v2_bytes){from->data, from->data_bytes};
        raw |= nx_v2_is_raw_only(from->type);
    }
    struct nx_pb_v2_result result = {q->model, q->id,        q->answered_by, raw,
                                     stream,   reply->count, outputs};
    enum nx_status status = nx_pb_v2_result_encode(&result, bytes, len);
    if (status != NX_OK)
        nx_err_set(err, status, "the answer could not be encoded: %s", nx_status_text(status));
    return status;
}
