/* served_tensor.c — what a query may want beside the best category of a photo: a tensor in, all of the first output,
 * several categories. The model has one input, and both are f32; a tensor's rows run in batches of the best size. */
#include "categorizer/served.h"

#include "categorizer/graph/graph.h"
#include "categorizer/model/model.h"
#include "common/arena.h"
#include "common/codec.h"
#include "common/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char default_input[] = "data", default_output[] = "output";

enum { TOP_ENTRY_BYTES = 10 + NX_LABEL_BYTES_MAX };

struct telling {
    struct nx_model *model;
    const struct nx_want *want;
    uint32_t rows;
    size_t row_bytes;    /* of the input */
    const uint8_t *body; /* rows of the input; NULL: `output` is what they came to */
    uint32_t batch;      /* rows that run together */
    float *output;       /* of a batch */
    struct nx_top *top;
    struct nx_answer *answer;
    char input_name[NX_TENSOR_NAME_BYTES], output_name[NX_TENSOR_NAME_BYTES];
};

/* The file's own name, where clients can be told it. */
static void name_port(const struct nx_model_port *port, const char *otherwise,
                      char name[NX_TENSOR_NAME_BYTES])
{
    size_t len = strlen(port->name);
    bool fits = len > 0 && len < NX_TENSOR_NAME_BYTES && nx_utf8_ok(port->name, len);
    snprintf(name, NX_TENSOR_NAME_BYTES, "%s", fits ? port->name : otherwise);
}

bool nx_want_is_plain(const struct nx_want *want)
{
    return want->input == NX_INPUT_PHOTO && want->top_max == 0 && !want->outputs;
}

static void describe_ports(const struct nx_model_port *ports, uint32_t count, const char *otherwise,
                           struct nx_tensor_facts *tensors, uint32_t *told)
{
    *told = count < NX_MODEL_TENSORS_MAX ? count : NX_MODEL_TENSORS_MAX;
    for (uint32_t i = 0; i < *told; i++) {
        tensors[i] = (struct nx_tensor_facts){.rank = ports[i].shape.rank};
        for (uint32_t k = 0; k < ports[i].shape.rank; k++)
            tensors[i].dims[k] = k == 0 && ports[i].batched ? -1 : ports[i].shape.dims[k];
        name_port(&ports[i], otherwise, tensors[i].name);
    }
}

void nx_served_describe(const struct nx_served *served, struct nx_model_facts_wire *wire)
{
    static_assert((unsigned)NX_TENSOR_RANK_MAX == NX_RANK_MAX, "shapes pass through");
    const struct nx_model_facts *facts = nx_model_facts(nx_served_model(served));
    const struct nx_served_facts *ours = nx_served_facts(served);
    wire->params = facts->params;
    wire->memory_bytes = ours->memory_bytes;
    wire->weights_bytes = ours->weights_bytes;
    wire->arena_bytes = ours->arena_bytes;
    snprintf(wire->recipe, sizeof wire->recipe, "%s", ours->recipe);
    snprintf(wire->backend, sizeof wire->backend, "%s", facts->backend);
    describe_ports(facts->in, facts->n_in, default_input, wire->inputs, &wire->inputs_count);
    describe_ports(facts->out, 1, default_output, wire->outputs, &wire->outputs_count);
}

static void show_shape(const int64_t *dims, uint32_t rank, bool any_rows, char *text, size_t cap)
{
    size_t at = (size_t)snprintf(text, cap, "[");
    for (uint32_t i = 0; i < rank && at < cap; i++)
        at += (size_t)snprintf(text + at, cap - at, "%s%lld", i ? "," : "",
                               (long long)(i == 0 && any_rows ? -1 : dims[i]));
    if (at < cap)
        snprintf(text + at, cap - at, "]");
}

static enum nx_status refuse_shape(const struct telling *t, const struct nx_model_port *port,
                                   struct nx_err *err)
{
    char came[160], expected[160];
    int64_t dims[NX_TENSOR_RANK_MAX];
    for (uint32_t i = 0; i < t->want->rank; i++)
        dims[i] = (int64_t)t->want->dims[i];
    show_shape(dims, t->want->rank, false, came, sizeof came);
    show_shape(port->shape.dims, port->shape.rank, port->batched, expected, sizeof expected);
    return nx_err_set(err, NX_INVALID, "the input '%s' has shape %s, expected %s", t->input_name,
                      came, expected);
}

static bool shape_fits(const struct nx_want *want, const struct nx_model_port *port)
{
    if (want->rank != port->shape.rank)
        return false;
    for (uint32_t i = port->batched; i < want->rank; i++)
        if (want->dims[i] != (uint64_t)port->shape.dims[i])
            return false;
    return true;
}

static enum nx_status check_tensor(struct telling *t, size_t len, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    const struct nx_model_port *port = &facts->in[0];
    uint64_t rows = port->batched && t->want->rank ? t->want->dims[0] : 1, expected;
    if (port->dtype != NX_F32 || facts->out[0].dtype != NX_F32)
        return nx_err_set(err, NX_UNSUPPORTED,
                          "the model's tensors are %s and %s, both must be F32",
                          nx_dtype_name(port->dtype), nx_dtype_name(facts->out[0].dtype));
    if (!shape_fits(t->want, port))
        return refuse_shape(t, port, err);
    if (rows == 0 || rows > NX_ROWS_MAX)
        return nx_err_set(err, NX_INVALID, "the input '%s' has %llu rows, 1 to %d are allowed",
                          t->input_name, (unsigned long long)rows, NX_ROWS_MAX);
    t->row_bytes = sizeof(float);
    for (uint32_t i = port->batched; i < port->shape.rank; i++)
        t->row_bytes *= (size_t)port->shape.dims[i];
    expected = rows * t->row_bytes;
    if (len != expected)
        return nx_err_set(err, NX_INVALID, "the input '%s' has %zu bytes, its shape needs %llu",
                          t->input_name, len, (unsigned long long)expected);
    t->rows = (uint32_t)rows;
    return NX_OK;
}

/* Names the ports as well, for the sentences and for the answer. */
static enum nx_status check_want(struct telling *t, size_t len, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    const char *tensor = t->want->tensor;
    name_port(&facts->in[0], default_input, t->input_name);
    name_port(&facts->out[0], default_output, t->output_name);
    if (facts->n_in != 1)
        return nx_err_set(err, NX_UNSUPPORTED, "the model has %u inputs, one can be brought",
                          facts->n_in);
    if (tensor[0] && strcmp(tensor, t->input_name) != 0)
        return nx_err_set(err, NX_INVALID, "unexpected input '%s', the model's input is '%s'",
                          tensor, t->input_name);
    t->rows = 1;
    if (t->want->input == NX_INPUT_TENSOR)
        return check_tensor(t, len, err);
    return facts->takes_photos
               ? NX_OK
               : nx_err_set(err, NX_INVALID, "this model takes tensors, not photos");
}

/* The rows from `first` on, as many as run together. A tensor's answer is the model's own output, without softmax. */
static enum nx_status run_rows(struct telling *t, uint32_t first, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    uint32_t left = t->rows - first, count = left < t->batch ? left : t->batch;
    struct nx_tensor_in in = {.name = facts->in[0].name,
                              .dtype = NX_F32,
                              .shape = facts->in[0].shape,
                              .data = t->body + first * t->row_bytes,
                              .bytes = count * t->row_bytes};
    struct nx_tensor_out out = {.name = facts->out[0].name,
                                .data = t->output,
                                .bytes = (size_t)count * facts->outputs * sizeof(float)};
    if (facts->in[0].batched)
        in.shape.dims[0] = count;
    return nx_model_infer(t->model, &in, 1, &out, 1, err);
}

static uint32_t label_of(const struct telling *t, uint32_t index, const char **label)
{
    *label = nx_model_class(t->model, index);
    return (uint32_t)strnlen(*label, NX_LABEL_BYTES_MAX);
}

static void write_value(struct nx_writer *w, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    nx_write_u32(w, bits);
}

static void write_top(struct telling *t, struct nx_writer *w, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *label;
        uint32_t len = label_of(t, t->top[i].index, &label);
        nx_write_u32(w, t->top[i].index);
        write_value(w, t->top[i].value);
        nx_write_u16(w, (uint16_t)len);
        nx_write_bytes(w, label, len);
    }
}

static void keep_best(struct telling *t)
{
    const char *label;
    t->answer->index = t->top[0].index;
    t->answer->value = t->top[0].value;
    t->answer->label_bytes = label_of(t, t->top[0].index, &label);
    memcpy(t->answer->label, label, t->answer->label_bytes);
}

static enum nx_status tell_rows(struct telling *t, struct nx_writer *values, struct nx_writer *tops,
                                uint32_t top, struct nx_err *err)
{
    uint32_t outputs = nx_model_facts(t->model)->outputs;
    for (uint32_t row = 0; row < t->rows; row++) {
        if (t->body && row % t->batch == 0)
            NX_TRY(run_rows(t, row, err));
        const float *output = t->output + (size_t)(row % t->batch) * outputs;
        for (uint32_t i = 0; t->want->outputs && i < outputs; i++)
            write_value(values, output[i]);
        nx_topk(output, outputs, top ? top : 1, t->top);
        write_top(t, tops, top);
        if (row == 0)
            keep_best(t);
    }
    return NX_OK;
}

static enum nx_status make_payload(struct telling *t, uint8_t **payload, struct nx_err *err)
{
    uint32_t outputs = nx_model_facts(t->model)->outputs;
    uint32_t top = t->want->top_max < outputs ? t->want->top_max : outputs;
    size_t head = 1 + strlen(t->output_name) + 12;
    size_t values = t->want->outputs ? (size_t)t->rows * outputs * sizeof(float) : 0;
    size_t tops = (size_t)t->rows * top * TOP_ENTRY_BYTES;
    if (values + tops + head > NX_PAYLOAD_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "an answer of %zu bytes, the limit is %d",
                          values + tops + head, NX_PAYLOAD_BYTES_MAX);
    uint8_t *bytes = nx_calloc(1, head + values + tops);
    if (!bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an answer of %zu bytes",
                          head + values + tops);
    struct nx_writer w, at, behind;
    nx_writer_init(&w, bytes, head);
    nx_write_name(&w, t->output_name);
    nx_write_u32(&w, t->rows);
    nx_write_u32(&w, t->want->outputs ? outputs : 0);
    nx_write_u32(&w, top);
    nx_writer_init(&at, bytes + nx_writer_used(&w), values);
    nx_writer_init(&behind, bytes + nx_writer_used(&w) + values, tops);
    enum nx_status status = tell_rows(t, &at, &behind, top, err);
    if (status != NX_OK) {
        free(bytes);
        return status;
    }
    *payload = bytes;
    t->answer->payload = bytes;
    t->answer->payload_bytes = (uint32_t)(nx_writer_used(&w) + values + nx_writer_used(&behind));
    return NX_OK;
}

static enum nx_status tell(struct telling *t, size_t len, uint8_t **payload, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    NX_TRY(check_want(t, len, err));
    t->output = nx_calloc((size_t)t->batch * facts->outputs, sizeof *t->output);
    t->top = nx_calloc(t->want->top_max + 1, sizeof *t->top);
    if (!t->output || !t->top)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for the model's output");
    return make_payload(t, payload, err);
}

void nx_served_tell(struct nx_served *served, const struct nx_want *want, const uint8_t *body,
                    size_t len, struct nx_answer *answer, uint8_t **payload)
{
    struct telling t = {.model = nx_served_model(served),
                        .want = want,
                        .body = body,
                        .batch = nx_profile_best(&nx_served_facts(served)->profile),
                        .answer = answer};
    *answer = (struct nx_answer){0};
    answer->err.status = tell(&t, len, payload, &answer->err);
    free(t.output);
    free(t.top);
}

enum nx_status nx_served_tell_row(const struct nx_served *served, const struct nx_want *want,
                                  float *row, struct nx_answer *answer, uint8_t **payload,
                                  struct nx_err *err)
{
    struct telling t = {.model = nx_served_model(served),
                        .want = want,
                        .batch = 1,
                        .output = row,
                        .answer = answer};
    NX_TRY(check_want(&t, 0, err));
    t.top = nx_calloc(want->top_max + 1, sizeof *t.top);
    enum nx_status status =
        t.top ? make_payload(&t, payload, err)
              : nx_err_set(err, NX_NO_MEMORY, "no memory for the photo's categories");
    free(t.top);
    return status;
}
