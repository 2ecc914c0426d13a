#include "function_tier/v2_request.h"

#include "common/arena.h"
#include "common/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t bytes;
} types[] = {
#define V2_TYPE(type, name, bytes) {name, bytes},
    NX_V2_TYPE_LIST(V2_TYPE)
#undef V2_TYPE
};

enum nx_v2_type nx_v2_type_of(const char *name)
{
    for (int i = NX_V2_NONE + 1; i < NX_V2_TYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0)
            return (enum nx_v2_type)i;
    return NX_V2_NONE;
}

const char *nx_v2_type_name(enum nx_v2_type type)
{
    return types[type].name;
}

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

enum nx_status nx_v2_check_version(const char *model, const char *version, struct nx_err *err)
{
    if (version[0] == 0 || strcmp(version, "1") == 0)
        return NX_OK;
    return nx_err_set(err, NX_NOT_FOUND,
                      "Request for unknown model: '%s' version '%s' is not found, its version is 1",
                      model, version);
}

bool nx_v2_elements(const uint64_t *dims, uint32_t rank, uint64_t *elements)
{
    uint64_t product = 1;
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] > INT32_MAX || __builtin_mul_overflow(product, dims[i], &product))
            return false;
    *elements = product;
    return true;
}

static enum nx_status read_photos(const struct nx_v2_input *in, struct nx_infer_ask *ask,
                                  struct nx_err *err)
{
    uint64_t photos;
    struct nx_reader r;
    if (in->rank == 0 || in->rank > 2 || !nx_v2_elements(in->dims, in->rank, &photos) ||
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
    ask->want.input = NX_INPUT_PHOTO;
    ask->bodies_count = (uint32_t)photos;
    return NX_OK;
}

static enum nx_status read_tensor(const struct nx_v2_input *in, struct nx_infer_ask *ask,
                                  struct nx_err *err)
{
    uint64_t elements, expected;
    if (in->type != NX_V2_FP32)
        return nx_err_set(
            err, NX_INVALID,
            "input '%s' has datatype %s; FP32, or BYTES of encoded photos, is expected", in->name,
            types[in->type].name);
    if (!nx_v2_elements(in->dims, in->rank, &elements) || elements > NX_PHOTO_BYTES_MAX / 4)
        return nx_err_set(err, NX_TOO_LARGE, "input '%s' has a shape of more than %d elements",
                          in->name, NX_PHOTO_BYTES_MAX / 4);
    expected = elements * 4;
    if (in->data_bytes != expected)
        return nx_err_set(err, NX_INVALID, "input '%s' has %zu bytes, its shape needs %llu",
                          in->name, in->data_bytes, (unsigned long long)expected);
    ask->want.input = NX_INPUT_TENSOR;
    ask->want.rank = in->rank;
    memcpy(ask->want.dims, in->dims, sizeof ask->want.dims);
    ask->bodies_count = 1;
    ask->bodies[0] = (struct nx_infer_span){in->data, in->data_bytes};
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

enum nx_status nx_v2_to_ask(const struct nx_v2_request *r, struct nx_infer_ask *ask,
                            struct nx_err *err)
{
    const struct nx_v2_input *in = &r->inputs[0];
    memset(&ask->want, 0, sizeof ask->want);
    ask->want.priority = (uint32_t)r->priority;
    memcpy(ask->model, r->model, sizeof ask->model);
    NX_TRY(nx_v2_check_version(r->model, r->version, err));
    if (r->inputs_count != 1)
        return nx_err_set(err, NX_INVALID, "%u inputs for model '%s', it has one", r->inputs_count,
                          r->model);
    if (in->type == NX_V2_NONE)
        return nx_err_set(err, NX_INVALID, "input '%s' has an unknown datatype", in->name);
    if (!in->data)
        return nx_err_set(err, NX_INVALID, "input '%s' has no data", in->name);
    NX_TRY(in->type == NX_V2_BYTES ? read_photos(in, ask, err) : read_tensor(in, ask, err));
    memcpy(ask->want.tensor, in->name, sizeof ask->want.tensor);
    return read_outputs(r, &ask->want, err);
}

enum nx_status nx_v2_check_result(const struct nx_v2_request *r,
                                  const struct nx_infer_result *result, struct nx_err *err)
{
    for (uint32_t i = 0; i < r->outputs_count; i++)
        if (strcmp(r->outputs[i].name, result->output) != 0)
            return nx_err_set(err, NX_INVALID,
                              "unexpected inference output '%s', model '%s' has '%s'",
                              r->outputs[i].name, r->model, result->output);
    return NX_OK;
}

size_t nx_v2_classes(const struct nx_infer_result *result, uint8_t *dst)
{
    size_t used = 0;
    for (uint32_t i = 0; i < result->parts_count; i++) {
        struct nx_top_entry e;
        for (size_t at = 0; nx_rows_next_top(&result->parts[i], &at, &e);) {
            char text[64];
            size_t len = (size_t)snprintf(text, sizeof text, "%f:%u:", (double)e.value, e.index);
            uint32_t total = (uint32_t)len + e.label_bytes;
            if (dst) {
                struct nx_writer w;
                nx_writer_init(&w, dst + used, 4 + (size_t)total);
                nx_write_u32(&w, total);
                nx_write_bytes(&w, text, len);
                nx_write_bytes(&w, e.label, e.label_bytes);
            }
            used += 4 + (size_t)total;
        }
    }
    return used;
}
