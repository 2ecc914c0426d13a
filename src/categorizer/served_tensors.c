/* served_tensors.c — tensors in, tensors out: any of the model's inputs and outputs by name, in the types that its file
 * declares. Rows of a batch run together, as many as are best (where there are several inputs, which are not measured:
 * as many as the model takes), and come to what they come to one by one. */
#include "categorizer/served.h"

#include "categorizer/model/model.h"
#include "common/arena.h"
#include "common/codec.h"
#include "common/utf8.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = NX_MODEL_TENSORS_MAX };

struct output {
    uint32_t port;    /* of facts->out */
    uint32_t top_max; /* categories of each row; 0: its values */
    char name[NX_TENSOR_NAME_BYTES];
    uint64_t row_bytes;
    uint8_t *values; /* of all rows */
};

struct call {
    struct nx_model *model;
    const struct nx_model_facts *facts;
    struct nx_tensors_ask ask;
    uint32_t of_port[TENSORS]; /* which part of the ask an input is; NX_NONE: none yet */
    uint32_t rows;             /* 0 until an input has said it */
    uint32_t batch;            /* rows that run together */
    uint32_t outputs_count;
    struct output outputs[TENSORS];
};

/* --- what the model is ---------------------------------------------------------------------------- */

static const struct {
    enum nx_dtype dtype;
    enum nx_tensor_type type;
} types[] = {
    {NX_F32, NX_TYPE_FP32},   {NX_F64, NX_TYPE_FP64},   {NX_F16, NX_TYPE_FP16},
    {NX_U8, NX_TYPE_UINT8},   {NX_I32, NX_TYPE_INT32},  {NX_I8, NX_TYPE_INT8},
    {NX_I64, NX_TYPE_INT64},  {NX_BOOL, NX_TYPE_BOOL},  {NX_I16, NX_TYPE_INT16},
    {NX_U16, NX_TYPE_UINT16}, {NX_U32, NX_TYPE_UINT32}, {NX_U64, NX_TYPE_UINT64},
    {NX_BF16, NX_TYPE_BF16},
};
static_assert(sizeof types / sizeof *types == NX_DTYPES, "each dtype has a name on the wire");

static enum nx_tensor_type type_of(enum nx_dtype dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].dtype == dtype)
            return types[i].type;
    return NX_TYPE_NONE;
}

/* The file's own name, where clients can be told it. */
void nx_served_port_name(const struct nx_model_port *ports, uint32_t i, bool input,
                         char name[NX_TENSOR_NAME_BYTES])
{
    const char *own = ports[i].name, *otherwise = input ? "data" : "output";
    size_t len = strlen(own);
    if (len > 0 && len < NX_TENSOR_NAME_BYTES && nx_utf8_ok(own, len))
        snprintf(name, NX_TENSOR_NAME_BYTES, "%s", own);
    else if (i == 0)
        snprintf(name, NX_TENSOR_NAME_BYTES, "%s", otherwise);
    else
        snprintf(name, NX_TENSOR_NAME_BYTES, "%s_%u", otherwise, i);
}

static uint32_t told(uint32_t ports)
{
    return ports < TENSORS ? ports : TENSORS;
}

static void describe_ports(const struct nx_model_port *ports, uint32_t count, bool input,
                           struct nx_tensor_facts *tensors)
{
    for (uint32_t i = 0; i < count; i++) {
        tensors[i] =
            (struct nx_tensor_facts){.type = type_of(ports[i].dtype), .rank = ports[i].shape.rank};
        for (uint32_t k = 0; k < ports[i].shape.rank; k++)
            tensors[i].dims[k] = k == 0 && ports[i].batched ? -1 : ports[i].shape.dims[k];
        nx_served_port_name(ports, i, input, tensors[i].name);
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
    wire->precision = ours->precision;
    wire->inputs_count = told(facts->n_in);
    wire->outputs_count = told(facts->n_out);
    describe_ports(facts->in, wire->inputs_count, true, wire->inputs);
    describe_ports(facts->out, wire->outputs_count, false, wire->outputs);
}

/* --- what came ------------------------------------------------------------------------------------ */

/* "'a', 'b'": the names of inputs or outputs. */
static void list_ports(const struct nx_model_port *ports, uint32_t n, bool input, char *text,
                       size_t cap)
{
    size_t at = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < n && at < cap; i++) {
        char name[NX_TENSOR_NAME_BYTES];
        nx_served_port_name(ports, i, input, name);
        at += (size_t)snprintf(text + at, cap - at, "%s'%s'", i ? ", " : "", name);
    }
}

static uint32_t find_port(const struct nx_model_port *ports, uint32_t n, bool input,
                          const char *name)
{
    for (uint32_t i = 0; i < told(n); i++) {
        char own[NX_TENSOR_NAME_BYTES];
        nx_served_port_name(ports, i, input, own);
        if (strcmp(own, name) == 0 || (name[0] == 0 && n == 1))
            return i;
    }
    return NX_NONE;
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

static enum nx_status check_shape(const struct nx_tensor_part *in, const struct nx_model_port *port,
                                  struct nx_err *err)
{
    char came[160], expected[160];
    int64_t dims[NX_TENSOR_RANK_MAX];
    bool fits = in->rank == port->shape.rank;
    for (uint32_t i = 0; i < in->rank; i++) {
        dims[i] = (int64_t)in->dims[i];
        if (fits && i >= port->batched)
            fits = dims[i] == port->shape.dims[i];
    }
    if (fits)
        return NX_OK;
    show_shape(dims, in->rank, false, came, sizeof came);
    show_shape(port->shape.dims, port->shape.rank, port->batched, expected, sizeof expected);
    return nx_err_set(err, NX_INVALID, "the input '%s' has shape %s, expected %s", in->name, came,
                      expected);
}

static enum nx_status check_rows(struct call *c, const struct nx_tensor_part *in,
                                 struct nx_err *err)
{
    uint64_t rows = in->dims[0];
    if (rows == 0 || rows > NX_ROWS_MAX)
        return nx_err_set(err, NX_INVALID, "the input '%s' has %llu rows, 1 to %d are allowed",
                          in->name, (unsigned long long)rows, NX_ROWS_MAX);
    if (c->rows && rows != c->rows)
        return nx_err_set(err, NX_INVALID, "the input '%s' has %llu rows, another input has %u",
                          in->name, (unsigned long long)rows, c->rows);
    c->rows = (uint32_t)rows;
    return NX_OK;
}

static enum nx_status take_input(struct call *c, uint32_t i, struct nx_err *err)
{
    const struct nx_tensor_part *in = &c->ask.in.parts[i];
    uint32_t at = find_port(c->facts->in, c->facts->n_in, true, in->name);
    char names[NX_ERR_TEXT_BYTES / 2];
    if (at == NX_NONE) {
        list_ports(c->facts->in, told(c->facts->n_in), true, names, sizeof names);
        return nx_err_set(err, NX_INVALID, "unexpected input '%s', the model has %s", in->name,
                          names);
    }
    const struct nx_model_port *port = &c->facts->in[at];
    if (c->of_port[at] != NX_NONE)
        return nx_err_set(err, NX_INVALID, "the input '%s' is there twice", in->name);
    if (in->type != type_of(port->dtype))
        return nx_err_set(err, NX_INVALID, "the input '%s' has datatype %s, %s is expected",
                          in->name, nx_tensor_type_name(in->type),
                          nx_tensor_type_name(type_of(port->dtype)));
    NX_TRY(check_shape(in, port, err));
    c->of_port[at] = i;
    return port->batched ? check_rows(c, in, err) : NX_OK;
}

static enum nx_status take_inputs(struct call *c, struct nx_err *err)
{
    if (c->facts->n_in > TENSORS || c->facts->n_out > TENSORS)
        return nx_err_set(err, NX_UNSUPPORTED,
                          "the model has %u inputs and %u outputs, at most %d of each are served",
                          c->facts->n_in, c->facts->n_out, TENSORS);
    memset(c->of_port, 0xff, sizeof c->of_port);
    for (uint32_t i = 0; i < c->ask.in.count; i++)
        NX_TRY(take_input(c, i, err));
    for (uint32_t i = 0; i < c->facts->n_in; i++)
        if (c->of_port[i] == NX_NONE) {
            char name[NX_TENSOR_NAME_BYTES];
            nx_served_port_name(c->facts->in, i, true, name);
            return nx_err_set(err, NX_INVALID, "the input '%s' is missing", name);
        }
    c->rows = c->rows ? c->rows : 1;
    return NX_OK;
}

/* --- what is wanted ------------------------------------------------------------------------------- */

static enum nx_status take_output(struct call *c, uint32_t port, uint32_t top_max,
                                  struct nx_err *err)
{
    struct output *out = &c->outputs[c->outputs_count++];
    const struct nx_model_port *p = &c->facts->out[port];
    *out = (struct output){.port = port, .top_max = top_max};
    out->row_bytes = nx_dtype_bytes(p->dtype);
    for (uint32_t i = p->batched; i < p->shape.rank; i++)
        out->row_bytes *= (uint64_t)p->shape.dims[i]; /* bounded: an inferred tensor */
    nx_served_port_name(c->facts->out, port, false, out->name);
    if (top_max && (p->dtype != NX_F32 || !p->batched))
        return nx_err_set(err, NX_INVALID,
                          "output '%s' is no batch of FP32 rows, of which categories could be told",
                          out->name);
    return NX_OK;
}

static enum nx_status take_outputs(struct call *c, struct nx_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; c->ask.outputs_count == 0 && i < c->facts->n_out; i++)
        NX_TRY(take_output(c, i, 0, err));
    for (uint32_t i = 0; i < c->ask.outputs_count; i++) {
        const struct nx_output_want *want = &c->ask.outputs[i];
        uint32_t at = find_port(c->facts->out, c->facts->n_out, false, want->name);
        char names[NX_ERR_TEXT_BYTES / 2];
        if (at == NX_NONE) {
            list_ports(c->facts->out, c->facts->n_out, false, names, sizeof names);
            return nx_err_set(err, NX_INVALID, "unexpected inference output '%s', the model has %s",
                              want->name, names);
        }
        for (uint32_t k = 0; k < c->outputs_count; k++)
            if (c->outputs[k].port == at)
                return nx_err_set(err, NX_INVALID, "the output '%s' is asked for twice",
                                  want->name);
        NX_TRY(take_output(c, at, want->top_max, err));
    }
    for (uint32_t i = 0; i < c->outputs_count; i++)
        total += c->outputs[i].row_bytes * c->rows;
    if (total > NX_PAYLOAD_BYTES_MAX - NX_TENSORS_HEAD_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "an answer of %llu bytes, the limit is %d",
                          (unsigned long long)total, NX_PAYLOAD_BYTES_MAX);
    return NX_OK;
}

/* --- the run -------------------------------------------------------------------------------------- */

static struct nx_tensor_in input_rows(const struct call *c, uint32_t port, uint32_t first,
                                      uint32_t count)
{
    const struct nx_model_port *p = &c->facts->in[port];
    const struct nx_tensor_part *part = &c->ask.in.parts[c->of_port[port]];
    struct nx_tensor_in in = {.name = p->name,
                              .dtype = p->dtype,
                              .shape = p->shape,
                              .data = part->data,
                              .bytes = part->bytes};
    if (p->batched) {
        uint64_t row = part->bytes / c->rows;
        in.shape.dims[0] = count;
        in.data = part->data + first * row;
        in.bytes = count * row;
    }
    return in;
}

static enum nx_status run_rows(struct call *c, uint32_t first, uint32_t count, struct nx_err *err)
{
    struct nx_tensor_in in[TENSORS];
    struct nx_tensor_out out[TENSORS];
    for (uint32_t i = 0; i < c->facts->n_in; i++)
        in[i] = input_rows(c, i, first, count);
    for (uint32_t i = 0; i < c->outputs_count; i++) {
        const struct output *o = &c->outputs[i];
        bool batched = c->facts->out[o->port].batched;
        out[i] = (struct nx_tensor_out){.name = c->facts->out[o->port].name,
                                        .data = o->values + (batched ? first * o->row_bytes : 0),
                                        .bytes = o->row_bytes * (batched ? count : 1)};
    }
    return nx_model_infer(c->model, in, c->facts->n_in, out, c->outputs_count, err);
}

static enum nx_status run(struct call *c, struct nx_err *err)
{
    for (uint32_t i = 0; i < c->outputs_count; i++) {
        struct output *o = &c->outputs[i];
        o->values = nx_calloc(c->rows, o->row_bytes);
        if (!o->values)
            return nx_err_set(err, NX_NO_MEMORY, "no memory for the output '%s'", o->name);
    }
    for (uint32_t first = 0; first < c->rows; first += c->batch) {
        uint32_t left = c->rows - first;
        NX_TRY(run_rows(c, first, left < c->batch ? left : c->batch, err));
    }
    return NX_OK;
}

/* --- the answer ----------------------------------------------------------------------------------- */

/* The largest of a row as BYTES; with dst NULL how many bytes that takes. */
static uint64_t write_classes(const struct call *c, const struct output *o, struct nx_top *top,
                              uint8_t *dst)
{
    uint32_t columns = (uint32_t)(o->row_bytes / sizeof(float));
    uint64_t used = 0;
    for (uint32_t row = 0; row < c->rows; row++) {
        const float *values = (const float *)(const void *)(o->values + row * o->row_bytes);
        uint32_t n = nx_topk(values, columns, o->top_max, top);
        for (uint32_t i = 0; i < n; i++) {
            struct nx_top_entry entry = {.index = top[i].index, .value = top[i].value, .label = ""};
            if (o->port == 0)
                entry.label = nx_model_class(c->model, top[i].index);
            entry.label_bytes = (uint32_t)strnlen(entry.label, NX_LABEL_BYTES_MAX);
            used += nx_class_encode(&entry, dst ? dst + used : NULL);
        }
    }
    return used;
}

static enum nx_status make_classes(struct call *c, struct output *o, struct nx_tensor_part *part,
                                   struct nx_err *err)
{
    uint32_t columns = (uint32_t)(o->row_bytes / sizeof(float));
    uint32_t n = o->top_max < columns ? o->top_max : columns;
    struct nx_top *top = nx_calloc(n, sizeof *top);
    uint64_t bytes = top ? write_classes(c, o, top, NULL) : 0;
    uint8_t *text = top && bytes <= NX_PAYLOAD_BYTES_MAX ? nx_malloc(bytes) : NULL;
    if (text)
        write_classes(c, o, top, text);
    free(top);
    if (!text)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for %u categories of %u rows", n, c->rows);
    free(o->values);
    o->values = text;
    part->type = NX_TYPE_BYTES;
    part->rank = 2;
    part->dims[0] = c->rows;
    part->dims[1] = n;
    part->bytes = bytes;
    return NX_OK;
}

static enum nx_status describe_output(struct call *c, struct output *o, struct nx_tensor_part *part,
                                      struct nx_err *err)
{
    const struct nx_model_port *port = &c->facts->out[o->port];
    memcpy(part->name, o->name, sizeof part->name);
    if (o->top_max)
        return make_classes(c, o, part, err);
    part->type = type_of(port->dtype);
    part->rank = port->shape.rank;
    for (uint32_t i = 0; i < part->rank; i++)
        part->dims[i] = i == 0 && port->batched ? c->rows : (uint64_t)port->shape.dims[i];
    part->bytes = o->row_bytes * (port->batched ? c->rows : 1);
    return NX_OK;
}

static enum nx_status make_payload(struct call *c, struct nx_answer *answer, uint8_t **payload,
                                   struct nx_err *err)
{
    uint8_t head[NX_TENSORS_HEAD_BYTES_MAX];
    struct nx_tensors tensors = {.rows = c->rows, .count = c->outputs_count};
    for (uint32_t i = 0; i < c->outputs_count; i++)
        NX_TRY(describe_output(c, &c->outputs[i], &tensors.parts[i], err));
    uint64_t used = nx_tensors_encode(&tensors, head, sizeof head), total = used;
    for (uint32_t i = 0; i < tensors.count; i++)
        total += tensors.parts[i].bytes;
    if (total > NX_PAYLOAD_BYTES_MAX)
        return nx_err_set(err, NX_TOO_LARGE, "an answer of %llu bytes, the limit is %d",
                          (unsigned long long)total, NX_PAYLOAD_BYTES_MAX);
    uint8_t *bytes = nx_malloc(total);
    if (!bytes)
        return nx_err_set(err, NX_NO_MEMORY, "no memory for an answer of %llu bytes",
                          (unsigned long long)total);
    memcpy(bytes, head, used);
    for (uint32_t i = 0; i < tensors.count; i++) {
        memcpy(bytes + used, c->outputs[i].values, tensors.parts[i].bytes);
        used += tensors.parts[i].bytes;
    }
    *payload = bytes;
    answer->payload = bytes;
    answer->payload_bytes = (uint32_t)total;
    return NX_OK;
}

static enum nx_status tell(struct call *c, const uint8_t *body, size_t len,
                           struct nx_answer *answer, uint8_t **payload)
{
    struct nx_err *err = &answer->err;
    NX_TRY(nx_tensors_ask_decode(body, len, &c->ask, err));
    NX_TRY(take_inputs(c, err));
    NX_TRY(take_outputs(c, err));
    NX_TRY(run(c, err));
    return make_payload(c, answer, payload, err);
}

void nx_served_tell(struct nx_served *served, const uint8_t *body, size_t len,
                    struct nx_answer *answer, uint8_t **payload)
{
    *answer = (struct nx_answer){0};
    struct call *c = nx_calloc(1, sizeof *c);
    if (!c) {
        nx_err_set(&answer->err, NX_NO_MEMORY, "no memory for tensors");
        return;
    }
    c->model = nx_served_model(served);
    c->facts = nx_model_facts(c->model);
    const struct nx_served_facts *ours = nx_served_facts(served);
    c->batch = ours->tensor_bytes ? nx_profile_best(&ours->profile) : ours->batch_max;
    answer->err.status = tell(c, body, len, answer, payload);
    for (uint32_t i = 0; i < c->outputs_count; i++)
        free(c->outputs[i].values);
    free(c);
}
