#include "function_tier/v2_json.h"

#include "common/arena.h"
#include "common/codec.h"
#include "function_tier/http/json_read.h"

#include <stdlib.h>
#include <string.h>

struct reading {
    struct nx_json j;
    struct nx_v2_request *request;
    const uint8_t *binary; /* what is left behind the JSON */
    size_t binary_bytes;
};

struct parameters {
    bool has_binary_size, binary_data, has_binary_data;
    uint64_t binary_size, classification;
};

static void read_parameters(struct nx_json *j, struct parameters *p)
{
    char key[40];
    for (nx_json_enter(j, '{'); nx_json_key(j, key, sizeof key);) {
        if (strcmp(key, "binary_data_size") == 0)
            p->has_binary_size = nx_json_uint(j, UINT32_MAX, &p->binary_size);
        else if (strcmp(key, "binary_data") == 0)
            p->has_binary_data = nx_json_bool(j, &p->binary_data);
        else if (strcmp(key, "classification") == 0)
            nx_json_uint(j, NX_TOP_MAX, &p->classification);
        else
            nx_json_skip(j);
    }
}

static void read_shape(struct nx_json *j, struct nx_v2_input *in)
{
    in->rank = 0;
    for (nx_json_enter(j, '['); nx_json_item(j);) {
        if (in->rank == NX_TENSOR_RANK_MAX)
            nx_json_fail(j, "a shape of more than %d dimensions", NX_TENSOR_RANK_MAX);
        else
            nx_json_uint(j, INT32_MAX, &in->dims[in->rank++]);
    }
}

/* --- data within the JSON ------------------------------------------------------------------------- */

static bool take_room(struct reading *r, struct nx_v2_input *in, size_t bytes)
{
    in->owned = malloc(bytes ? bytes : 1); /* filled before it is read */
    in->data = in->owned;
    in->data_bytes = bytes;
    return in->owned || nx_json_fail(&r->j, "no memory for a tensor of %zu bytes", bytes);
}

static void read_floats(struct reading *r, struct nx_v2_input *in, uint64_t elements)
{
    /* As many bytes as elements must stand in the JSON: nothing is allocated for a shape that only claims. */
    if (elements > (uint64_t)(r->j.end - r->j.at))
        nx_json_fail(&r->j, "fewer elements than the shape's %llu", (unsigned long long)elements);
    else if (take_room(r, in, (size_t)elements * sizeof(float)))
        nx_json_floats(&r->j, (float *)(void *)in->owned, (size_t)elements);
}

static void read_strings(struct reading *r, struct nx_v2_input *in, uint64_t elements)
{
    struct nx_writer w;
    uint64_t n = 0;
    size_t room = (size_t)(r->j.end - r->j.at);
    if (elements > NX_INFER_PHOTOS_MAX) {
        nx_json_fail(&r->j, "a BYTES tensor of more than %d elements", NX_INFER_PHOTOS_MAX);
        return;
    }
    if (!take_room(r, in, room + 4 * (size_t)elements))
        return;
    nx_writer_init(&w, in->owned, in->data_bytes);
    for (nx_json_enter(&r->j, '['); nx_json_item(&r->j); n++) {
        size_t len = 0;
        if (n == elements || nx_writer_used(&w) + 4 > in->data_bytes) {
            nx_json_fail(&r->j, "more than the %llu elements of the tensor's shape",
                         (unsigned long long)elements);
            break;
        }
        uint8_t *at = w.at;
        if (!nx_json_string_bytes(&r->j, at + 4, (size_t)(w.end - at) - 4, &len))
            break;
        nx_write_u32(&w, (uint32_t)len);
        w.at += len;
    }
    if (!r->j.bad && n != elements)
        nx_json_fail(&r->j, "%llu elements, the tensor's shape has %llu", (unsigned long long)n,
                     (unsigned long long)elements);
    in->data_bytes = nx_writer_used(&w);
}

/* The data may stand before shape and datatype: its place is kept, and read when those are known. */
static void read_data(struct reading *r, struct nx_v2_input *in, struct nx_json place)
{
    uint64_t elements;
    struct nx_json after = r->j;
    if (after.bad)
        return;
    r->j = place;
    if (!nx_v2_elements(in->dims, in->rank, &elements))
        nx_json_fail(&r->j, "a shape whose size overflows");
    else if (in->type == NX_V2_FP32)
        read_floats(r, in, elements);
    else if (in->type == NX_V2_BYTES)
        read_strings(r, in, elements);
    else
        nx_json_fail(&r->j, "input '%s' has datatype %s; FP32 or BYTES is expected", in->name,
                     in->type == NX_V2_NONE ? "that is unknown" : nx_v2_type_name(in->type));
    after.bad = r->j.bad;
    r->j = after;
}

/* --- inputs and outputs --------------------------------------------------------------------------- */

static void read_binary(struct reading *r, struct nx_v2_input *in, const struct parameters *p)
{
    if (p->binary_size > r->binary_bytes) {
        nx_json_fail(&r->j, "input '%s' has binary_data_size %llu, %zu bytes are left in the body",
                     in->name, (unsigned long long)p->binary_size, r->binary_bytes);
        return;
    }
    in->data = r->binary;
    in->data_bytes = (size_t)p->binary_size;
    r->binary += p->binary_size;
    r->binary_bytes -= (size_t)p->binary_size;
}

static void read_input(struct reading *r, struct nx_v2_input *in)
{
    struct nx_json *j = &r->j, place = {0};
    struct parameters p = {0};
    char key[16], type[16];
    bool shaped = false;
    for (nx_json_enter(j, '{'); nx_json_key(j, key, sizeof key);) {
        if (strcmp(key, "name") == 0)
            nx_json_string(j, in->name, sizeof in->name);
        else if (strcmp(key, "datatype") == 0 && nx_json_string(j, type, sizeof type))
            in->type = nx_v2_type_of(type);
        else if (strcmp(key, "shape") == 0) {
            read_shape(j, in);
            shaped = true;
        } else if (strcmp(key, "parameters") == 0)
            read_parameters(j, &p);
        else if (strcmp(key, "data") == 0) {
            place = *j;
            nx_json_skip(j);
        } else
            nx_json_skip(j);
    }
    if (j->bad)
        return;
    if (in->name[0] == 0 || !shaped || in->type == NX_V2_NONE)
        nx_json_fail(j, "an input without name, shape, or a datatype that is known");
    else if (p.has_binary_size && place.at)
        nx_json_fail(j, "input '%s' has both data and binary_data_size", in->name);
    else if (p.has_binary_size)
        read_binary(r, in, &p);
    else if (place.at)
        read_data(r, in, place);
}

static void read_output(struct reading *r, struct nx_v2_output *out)
{
    struct nx_json *j = &r->j;
    struct parameters p = {0};
    char key[16];
    for (nx_json_enter(j, '{'); nx_json_key(j, key, sizeof key);) {
        if (strcmp(key, "name") == 0)
            nx_json_string(j, out->name, sizeof out->name);
        else if (strcmp(key, "parameters") == 0)
            read_parameters(j, &p);
        else
            nx_json_skip(j);
    }
    out->classification = (uint32_t)p.classification;
    out->binary = p.has_binary_data ? p.binary_data : r->request->binary_outputs;
    if (!j->bad && out->name[0] == 0)
        nx_json_fail(j, "an output without a name");
}

static void read_inputs(struct reading *r)
{
    struct nx_v2_request *q = r->request;
    for (nx_json_enter(&r->j, '['); nx_json_item(&r->j);) {
        if (q->inputs_count == NX_V2_INPUTS_MAX)
            nx_json_fail(&r->j, "more than %d inputs", NX_V2_INPUTS_MAX);
        else
            read_input(r, &q->inputs[q->inputs_count++]);
    }
}

static void read_outputs(struct reading *r)
{
    struct nx_v2_request *q = r->request;
    for (nx_json_enter(&r->j, '['); nx_json_item(&r->j);) {
        if (q->outputs_count == NX_V2_OUTPUTS_MAX)
            nx_json_fail(&r->j, "more than %d outputs", NX_V2_OUTPUTS_MAX);
        else
            read_output(r, &q->outputs[q->outputs_count++]);
    }
}

static void read_request_parameters(struct reading *r)
{
    char key[40];
    for (nx_json_enter(&r->j, '{'); nx_json_key(&r->j, key, sizeof key);) {
        if (strcmp(key, "binary_data_output") == 0)
            nx_json_bool(&r->j, &r->request->binary_outputs);
        else if (strcmp(key, "priority") == 0)
            nx_json_uint(&r->j, NX_PRIORITY_MAX, &r->request->priority);
        else
            nx_json_skip(&r->j);
    }
}

static void read_request(struct reading *r)
{
    struct nx_json *j = &r->j, outputs = {0}, after;
    bool inputs = false;
    char key[16];
    for (nx_json_enter(j, '{'); nx_json_key(j, key, sizeof key);) {
        if (strcmp(key, "id") == 0)
            nx_json_string(j, r->request->id, sizeof r->request->id);
        else if (strcmp(key, "inputs") == 0 && !inputs) {
            inputs = true;
            read_inputs(r);
        } else if (strcmp(key, "outputs") == 0) {
            outputs = *j; /* they depend on binary_data_output, which may follow */
            nx_json_skip(j);
        } else if (strcmp(key, "parameters") == 0)
            read_request_parameters(r);
        else
            nx_json_skip(j);
    }
    if (!j->bad && !inputs)
        nx_json_fail(j, "a request without inputs");
    after = *j;
    if (j->bad || !outputs.at)
        return;
    r->j = outputs;
    read_outputs(r);
    after.bad = r->j.bad;
    r->j = after;
}

enum nx_status nx_v2_json_read(const uint8_t *body, size_t len, size_t json_bytes,
                               struct nx_v2_request *request, struct nx_err *err)
{
    if (json_bytes > len)
        return nx_err_set(err, NX_INVALID,
                          "Inference-Header-Content-Length is %zu, the body has %zu bytes",
                          json_bytes, len);
    struct reading r = {
        .request = request, .binary = body + json_bytes, .binary_bytes = len - json_bytes};
    nx_json_init(&r.j, body, json_bytes, err);
    read_request(&r);
    NX_TRY(nx_json_end(&r.j));
    if (r.binary_bytes > 0)
        return nx_err_set(err, NX_INVALID,
                          "%zu bytes behind the JSON belong to no input's binary_data_size",
                          r.binary_bytes);
    return NX_OK;
}

enum nx_status nx_v2_raw_read(const uint8_t *body, size_t len, struct nx_v2_request *q,
                              struct nx_err *err)
{
    struct nx_v2_input *in = &q->inputs[0];
    if (len > NX_PHOTO_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "the photo has %zu bytes, the limit is %d", len,
                          NX_PHOTO_BYTES_MAX);
    in->owned = malloc(len + 4);
    if (!in->owned)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a body of %zu bytes", len);
    struct nx_writer w;
    nx_writer_init(&w, in->owned, len + 4);
    nx_write_u32(&w, (uint32_t)len);
    if (len)
        nx_write_bytes(&w, body, len);
    in->data = in->owned;
    in->data_bytes = len + 4;
    in->type = NX_V2_BYTES;
    in->rank = 1;
    in->dims[0] = 1;
    q->inputs_count = 1;
    q->binary_outputs = true;
    return NX_OK;
}

/* --- the reply ------------------------------------------------------------------------------------ */

static float value_at(const struct nx_rows *rows, uint32_t i)
{
    float value;
    memcpy(&value, rows->values + 4 * (size_t)i, sizeof value);
    return value;
}

static void write_values(struct nx_text *t, const struct nx_infer_result *result)
{
    bool first = true;
    for (uint32_t k = 0; k < result->parts_count; k++)
        for (uint32_t i = 0; i < result->parts[k].rows * result->columns; i++) {
            if (!first)
                nx_text_add(t, ",");
            first = false;
            nx_text_float(t, value_at(&result->parts[k], i));
        }
}

static uint8_t *make_classes(const struct nx_infer_result *result, size_t *len)
{
    *len = nx_v2_classes(result, NULL);
    uint8_t *bytes = malloc(*len ? *len : 1);
    if (bytes)
        nx_v2_classes(result, bytes);
    return bytes;
}

static void write_classes(struct nx_text *t, const uint8_t *bytes, size_t len)
{
    struct nx_reader r;
    nx_reader_init(&r, bytes, len);
    for (bool first = true; nx_reader_left(&r) > 0; first = false) {
        uint32_t n = nx_read_u32(&r);
        if (!first)
            nx_text_add(t, ",");
        nx_text_json(t, (const char *)nx_read_bytes(&r, n), n);
    }
}

struct blob {    /* an output behind the JSON */
    bool values; /* the result's; else `bytes` */
    uint8_t *bytes;
    size_t len;
};

static void write_output(const struct nx_infer_result *result, const struct nx_v2_output *out,
                         struct nx_text *t, struct blob *blob)
{
    bool classes = out->classification > 0;
    uint32_t columns = classes ? result->top : result->columns;
    size_t len = (size_t)result->rows * result->columns * 4;
    uint8_t *bytes = NULL;
    if (classes) {
        bytes = make_classes(result, &len);
        t->bad |= !bytes;
    }
    nx_text_add(t, "{\"name\":");
    nx_text_json(t, out->name, strlen(out->name));
    nx_text_printf(t, ",\"datatype\":\"%s\",\"shape\":[%u,%u]", classes ? "BYTES" : "FP32",
                   result->rows, columns);
    if (out->binary) {
        nx_text_printf(t, ",\"parameters\":{\"binary_data_size\":%zu}}", len);
        *blob = (struct blob){!classes, bytes, len};
        return;
    }
    nx_text_add(t, ",\"data\":[");
    if (classes && bytes)
        write_classes(t, bytes, len);
    else if (!classes)
        write_values(t, result);
    nx_text_add(t, "]}");
    free(bytes);
}

static void append(struct nx_text *t, const struct nx_infer_result *result, struct blob *blob)
{
    for (uint32_t k = 0; blob->values && k < result->parts_count; k++)
        nx_text_bytes(t, result->parts[k].values,
                      (size_t)result->parts[k].rows * result->columns * 4);
    if (!blob->values && blob->bytes)
        nx_text_bytes(t, blob->bytes, blob->len);
    free(blob->bytes);
}

/* Entries of a classification with fewer categories than another output asked for would need their own rows: all outputs
 * share the larger k, as there is one output today. */
void nx_v2_json_write(const struct nx_v2_request *q, const struct nx_infer_result *result,
                      struct nx_text *t, size_t *json_bytes, bool *binary)
{
    struct nx_v2_output only = {.binary = q->binary_outputs};
    struct blob blobs[NX_V2_OUTPUTS_MAX] = {{0}};
    uint32_t count = q->outputs_count ? q->outputs_count : 1;
    strncpy(only.name, result->output, sizeof only.name - 1);
    nx_text_add(t, "{\"model_name\":");
    nx_text_json(t, q->model, strlen(q->model));
    nx_text_add(t, ",\"model_version\":\"1\"");
    if (q->id[0]) {
        nx_text_add(t, ",\"id\":");
        nx_text_json(t, q->id, strlen(q->id));
    }
    nx_text_add(t, ",\"outputs\":[");
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            nx_text_add(t, ",");
        write_output(result, q->outputs_count ? &q->outputs[i] : &only, t, &blobs[i]);
    }
    nx_text_add(t, "]}");
    *json_bytes = t->len;
    *binary = false;
    for (uint32_t i = 0; i < count; i++) {
        *binary |= blobs[i].values || blobs[i].bytes;
        append(t, result, &blobs[i]);
    }
}
