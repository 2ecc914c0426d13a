#include "function_tier/v2_reply.h"

#include "common/arena.h"

#include <stdlib.h>
#include <string.h>

bool nx_v2_is_raw_only(enum nx_tensor_type type)
{
    return type == NX_TYPE_FP16 || type == NX_TYPE_BF16;
}

static enum nx_status take_room(struct nx_v2_tensor *t, size_t bytes, struct nx_err *err)
{
    t->owned = nx_malloc(bytes); /* filled before it is read */
    t->data = t->owned;
    t->data_bytes = bytes;
    return t->owned ? NX_OK
                    : nx_err_set(err, NX_NO_MEMORY, "no memory for an output of %zu bytes", bytes);
}

/* With dst NULL how many bytes the categories of all photos take. */
static size_t write_classes(const struct nx_infer_result *result, uint8_t *dst)
{
    size_t used = 0;
    for (uint32_t i = 0; i < result->parts_count; i++) {
        struct nx_top_entry e;
        for (size_t at = 0; nx_rows_next_top(&result->parts[i], &at, &e);)
            used += nx_class_encode(&e, dst ? dst + used : NULL);
    }
    return used;
}

static void write_rows(const struct nx_infer_result *result, uint8_t *dst)
{
    for (uint32_t i = 0; i < result->parts_count; i++) {
        size_t bytes = (size_t)result->parts[i].rows * result->columns * sizeof(float);
        memcpy(dst, result->parts[i].values, bytes);
        dst += bytes;
    }
}

/* The only output of photos. Entries of a classification with fewer categories than another one asked for would need
 * rows of their own: all share the larger k. */
static enum nx_status tell_photos(const struct nx_v2_request *q,
                                  const struct nx_infer_result *result, struct nx_v2_tensor *t,
                                  struct nx_err *err)
{
    bool classes = q->outputs_count && q->outputs[0].classification > 0;
    t->name = result->output;
    t->type = classes ? NX_TYPE_BYTES : NX_TYPE_FP32;
    t->rank = 2;
    t->dims[0] = result->rows;
    t->dims[1] = classes ? result->top : result->columns;
    if (q->outputs_count && strcmp(q->outputs[0].name, result->output) != 0)
        return nx_err_set(err, NX_INVALID,
                          "unexpected inference output '%s', for photos model '%s' tells '%s'",
                          q->outputs[0].name, q->model, result->output);
    if (q->outputs_count > 1)
        return nx_err_set(err, NX_INVALID,
                          "unexpected inference output '%s', for photos model '%s' tells '%s'",
                          q->outputs[1].name, q->model, result->output);
    NX_TRY(take_room(t,
                     classes ? write_classes(result, NULL)
                             : (size_t)result->rows * result->columns * sizeof(float),
                     err));
    if (classes)
        write_classes(result, t->owned);
    else
        write_rows(result, t->owned);
    return NX_OK;
}

static enum nx_status tell_tensors(const struct nx_v2_request *q, const struct nx_tensors *tensors,
                                   struct nx_v2_reply *reply, struct nx_err *err)
{
    if (q->outputs_count && q->outputs_count != tensors->count)
        return nx_err_set(err, NX_CORRUPT, "a replica sent %u outputs, %u were asked for",
                          tensors->count, q->outputs_count);
    reply->count = tensors->count;
    for (uint32_t i = 0; i < tensors->count; i++) {
        const struct nx_tensor_part *from = &tensors->parts[i];
        struct nx_v2_tensor *t = &reply->tensors[i];
        t->name = from->name;
        t->type = from->type;
        t->rank = from->rank;
        memcpy(t->dims, from->dims, sizeof t->dims);
        t->data = from->data;
        t->data_bytes = from->bytes;
    }
    return NX_OK;
}

enum nx_status nx_v2_reply_make(const struct nx_v2_request *q, const struct nx_infer_result *result,
                                struct nx_v2_reply *reply, struct nx_err *err)
{
    *reply = (struct nx_v2_reply){.count = 1};
    enum nx_status status = result->tensors ? tell_tensors(q, result->tensors, reply, err)
                                            : tell_photos(q, result, &reply->tensors[0], err);
    if (status != NX_OK) {
        nx_v2_reply_free(reply);
        return status;
    }
    for (uint32_t i = 0; i < reply->count; i++)
        reply->tensors[i].binary = q->outputs_count ? q->outputs[i].binary : q->binary_outputs;
    return NX_OK;
}

void nx_v2_reply_free(struct nx_v2_reply *reply)
{
    for (uint32_t i = 0; i < reply->count; i++)
        free(reply->tensors[i].owned);
    reply->count = 0;
}
