#include "function_tier/v2_json.h"

#include "common/arena.h"
#include "common/codec.h"
#include "function_tier/http/json_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct nx_json j;
    struct nx_v2_request *request;
    const uint8_t *binary; /* what is left behind the JSON */
    size_t binary_bytes;
    size_t tensor_bytes; /* of what the JSON's numbers became, so far */
    bool over;           /* … or would have: more than any model is asked with */
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
    in->owned = nx_malloc(bytes); /* filled before it is read */
    in->data = in->owned;
    in->data_bytes = bytes;
    return in->owned || nx_json_fail(&r->j, "no memory for a tensor of %zu bytes", bytes);
}

/* The whole numbers of a type: from its least to its most. */
static bool range_of(enum nx_tensor_type type, double *least, double *most)
{
    uint32_t bits = 8 * nx_tensor_type_bytes(type);
    bool is_signed = type >= NX_TYPE_INT8 && type <= NX_TYPE_INT64;
    bool is_unsigned = type >= NX_TYPE_BOOL && type <= NX_TYPE_UINT64;
    *most = type == NX_TYPE_BOOL ? 1 : ldexp(1, (int)bits - (is_signed ? 1 : 0)) - (bits < 64);
    *least = is_signed ? -ldexp(1, (int)bits - 1) : 0;
    return is_signed || is_unsigned;
}

/* 2^63 and 2^64 do not fit, but are the next double after what does. */
static void put_integer(enum nx_tensor_type type, double value, uint8_t *dst)
{
    uint64_t wide = value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value;
    memcpy(dst, &wide, nx_tensor_type_bytes(type)); /* little-endian */
}

static bool take_number(struct nx_json *j, void *user, size_t i, double value)
{
    const struct nx_v2_input *in = user;
    uint8_t *dst = in->owned + i * nx_tensor_type_bytes(in->type);
    double least, most;
    if (in->type == NX_TYPE_FP32) {
        float narrow = (float)value;
        memcpy(dst, &narrow, sizeof narrow);
    } else if (in->type == NX_TYPE_FP64) {
        memcpy(dst, &value, sizeof value);
    } else if (range_of(in->type, &least, &most)) {
        bool in_range = value >= least &&
                        (in->type == NX_TYPE_INT64 || in->type == NX_TYPE_UINT64 ? value < most
                                                                                 : value <= most);
        if (!in_range || value != trunc(value))
            return nx_json_fail(j, "expected a value of %s in input '%s', got %.17g",
                                nx_tensor_type_name(in->type), in->name, value);
        put_integer(in->type, value, dst);
    }
    return true;
}

/* "0," is two bytes, and eight as a double: a body of the size that is let in could become four times that. */
static bool may_take(struct reading *r, uint64_t bytes)
{
    if (bytes > NX_PHOTO_BYTES_MAX - r->tensor_bytes) {
        r->over = true;
        return nx_json_fail(&r->j, "too large");
    }
    r->tensor_bytes += (size_t)bytes;
    return true;
}

static void read_numbers(struct reading *r, struct nx_v2_input *in, uint64_t elements)
{
    /* As many bytes as elements must stand in the JSON: nothing is allocated for a shape that only claims. */
    if (elements > (uint64_t)(r->j.end - r->j.at))
        nx_json_fail(&r->j, "fewer elements than the shape's %llu", (unsigned long long)elements);
    else if (may_take(r, elements * nx_tensor_type_bytes(in->type)) &&
             take_room(r, in, (size_t)elements * nx_tensor_type_bytes(in->type)))
        nx_json_numbers(&r->j, (size_t)elements, in->type == NX_TYPE_BOOL, take_number, in);
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
    uint8_t *less = nx_realloc(in->owned, in->data_bytes);
    if (less) /* the room was for all that stood behind */
        in->data = in->owned = less;
}

/* The data may stand before shape and datatype: its place is kept, and read when those are known. */
static void read_data(struct reading *r, struct nx_v2_input *in, struct nx_json place)
{
    uint64_t elements;
    struct nx_json after = r->j;
    if (after.bad)
        return;
    r->j = place;
    if (!nx_tensor_elements(in->dims, in->rank, &elements))
        nx_json_fail(&r->j, "a shape whose size overflows");
    else if (in->type == NX_TYPE_BYTES)
        read_strings(r, in, elements);
    else if (in->type == NX_TYPE_NONE)
        nx_json_fail(&r->j, "input '%s' has a datatype that is unknown", in->name);
    else if (nx_v2_is_raw_only(in->type))
        nx_json_fail(&r->j, "input '%s' is %s, which comes as binary data only", in->name,
                     nx_tensor_type_name(in->type));
    else
        read_numbers(r, in, elements);
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

/* Names the first that is missing; `type` as it came. */
static bool has_description(struct nx_json *j, const struct nx_v2_input *in, bool shaped,
                            const char *type)
{
    if (in->name[0] == 0)
        return nx_json_fail(j, "expected an input with a name, got none");
    if (!shaped)
        return nx_json_fail(j, "expected a shape of input '%s', got none", in->name);
    if (!type[0])
        return nx_json_fail(j, "expected a datatype of input '%s', got none", in->name);
    return in->type != NX_TYPE_NONE ||
           nx_json_fail(j, "expected a datatype of input '%s' such as FP32 or BYTES, got %s",
                        in->name, type);
}

static void read_input(struct reading *r, struct nx_v2_input *in)
{
    struct nx_json *j = &r->j, place = {0};
    struct parameters p = {0};
    char key[16], type[16] = "";
    bool shaped = false;
    for (nx_json_enter(j, '{'); nx_json_key(j, key, sizeof key);) {
        if (strcmp(key, "name") == 0)
            nx_json_string(j, in->name, sizeof in->name);
        else if (strcmp(key, "datatype") == 0 && nx_json_string(j, type, sizeof type))
            in->type = nx_tensor_type_of(type);
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
    if (!has_description(j, in, shaped, type))
        return;
    if (p.has_binary_size && place.at)
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
        nx_json_fail(j, "expected an output with a name, got none");
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
        nx_json_fail(j, "expected a request with inputs, got none");
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
    if (r.over)
        return nx_err_set(err, NX_TOO_LARGE, "tensors of more than %d bytes", NX_PHOTO_BYTES_MAX);
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
    in->owned = nx_malloc(len + 4);
    if (!in->owned)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for a body of %zu bytes", len);
    struct nx_writer w;
    nx_writer_init(&w, in->owned, len + 4);
    nx_write_u32(&w, (uint32_t)len);
    if (len)
        nx_write_bytes(&w, body, len);
    in->data = in->owned;
    in->data_bytes = len + 4;
    in->type = NX_TYPE_BYTES;
    in->rank = 1;
    in->dims[0] = 1;
    q->inputs_count = 1;
    q->binary_outputs = true;
    return NX_OK;
}

/* --- the reply ------------------------------------------------------------------------------------ */

static double number_at(const struct nx_v2_tensor *t, size_t i)
{
    uint32_t bytes = nx_tensor_type_bytes(t->type);
    uint64_t bits = 0;
    double wide;
    memcpy(&bits, t->data + i * bytes, bytes);
    memcpy(&wide, &bits, sizeof wide);
    return wide;
}

static int64_t integer_at(const struct nx_v2_tensor *t, size_t i)
{
    uint32_t bytes = nx_tensor_type_bytes(t->type);
    uint64_t bits = 0, sign = UINT64_C(1) << (8 * bytes - 1);
    memcpy(&bits, t->data + i * bytes, bytes);
    bool negative = t->type >= NX_TYPE_INT8 && t->type <= NX_TYPE_INT64 && (bits & sign);
    return (int64_t)(negative ? bits | ~(sign - 1) : bits);
}

static void write_number(struct nx_text *t, const struct nx_v2_tensor *from, size_t i)
{
    float narrow;
    switch (from->type) {
    case NX_TYPE_BOOL: nx_text_add(t, from->data[i] ? "true" : "false"); break;
    case NX_TYPE_FP32:
        memcpy(&narrow, from->data + i * sizeof narrow, sizeof narrow);
        nx_text_float(t, narrow);
        break;
    case NX_TYPE_FP64:
        if (isfinite(number_at(from, i)))
            nx_text_printf(t, "%.17g", number_at(from, i));
        else
            nx_text_add(t, "null");
        break;
    case NX_TYPE_UINT64: nx_text_printf(t, "%llu", (unsigned long long)integer_at(from, i)); break;
    default: nx_text_printf(t, "%lld", (long long)integer_at(from, i)); break;
    }
}

static void write_strings(struct nx_text *t, const struct nx_v2_tensor *from)
{
    struct nx_reader r;
    nx_reader_init(&r, from->data, from->data_bytes);
    for (bool first = true; !r.bad && nx_reader_left(&r) > 0; first = false) {
        uint32_t n = nx_read_u32(&r);
        const char *text = (const char *)nx_read_bytes(&r, n);
        if (!first)
            nx_text_add(t, ",");
        if (text)
            nx_text_json(t, text, n);
    }
}

static void write_data(struct nx_text *t, const struct nx_v2_tensor *from)
{
    nx_text_add(t, ",\"data\":[");
    if (from->type == NX_TYPE_BYTES)
        write_strings(t, from);
    else
        for (size_t i = 0; i < from->data_bytes / nx_tensor_type_bytes(from->type) && !t->bad;
             i++) {
            if (i)
                nx_text_add(t, ",");
            write_number(t, from, i);
        }
    nx_text_add(t, "]}");
}

static bool goes_as_bytes(const struct nx_v2_tensor *t)
{
    return t->binary || nx_v2_is_raw_only(t->type);
}

static void write_output(struct nx_text *t, const struct nx_v2_tensor *from)
{
    nx_text_add(t, "{\"name\":");
    nx_text_json(t, from->name, strlen(from->name));
    nx_text_printf(t, ",\"datatype\":\"%s\",\"shape\":[", nx_tensor_type_name(from->type));
    for (uint32_t i = 0; i < from->rank; i++)
        nx_text_printf(t, "%s%llu", i ? "," : "", (unsigned long long)from->dims[i]);
    nx_text_add(t, "]");
    if (goes_as_bytes(from))
        nx_text_printf(t, ",\"parameters\":{\"binary_data_size\":%zu}}", from->data_bytes);
    else
        write_data(t, from);
}

void nx_v2_json_write(const struct nx_v2_request *q, const struct nx_v2_reply *reply,
                      struct nx_text *t, size_t *json_bytes, bool *binary)
{
    nx_text_add(t, "{\"model_name\":");
    nx_text_json(t, q->model, strlen(q->model));
    nx_text_printf(t, ",\"model_version\":\"%llu\"", (unsigned long long)q->answered_by);
    if (q->id[0]) {
        nx_text_add(t, ",\"id\":");
        nx_text_json(t, q->id, strlen(q->id));
    }
    nx_text_add(t, ",\"outputs\":[");
    for (uint32_t i = 0; i < reply->count; i++) {
        if (i)
            nx_text_add(t, ",");
        write_output(t, &reply->tensors[i]);
    }
    nx_text_add(t, "]}");
    *json_bytes = t->len;
    *binary = false;
    for (uint32_t i = 0; i < reply->count; i++) {
        const struct nx_v2_tensor *from = &reply->tensors[i];
        if (!goes_as_bytes(from))
            continue;
        *binary = true;
        if (from->data_bytes)
            nx_text_bytes(t, from->data, from->data_bytes);
    }
}
