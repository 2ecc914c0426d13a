/* served_photo.c — what a query may want beside the best category of a photo: all of the first output, several
 * categories. */
#include "categorizer/served.h"

#include "categorizer/model/model.h"
#include "common/arena.h"
#include "common/codec.h"

#include <stdlib.h>
#include <string.h>

enum { TOP_ENTRY_BYTES = 10 + NX_LABEL_BYTES_MAX };

struct telling {
    struct nx_model *model;
    const struct nx_want *want;
    float *output; /* one row */
    struct nx_top *top;
    struct nx_answer *answer;
    char output_name[NX_TENSOR_NAME_BYTES];
};

bool nx_want_is_plain(const struct nx_want *want)
{
    return want->input == NX_INPUT_PHOTO && want->top_max == 0 && !want->outputs;
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

static void tell_row(struct telling *t, struct nx_writer *values, struct nx_writer *tops,
                     uint32_t top)
{
    uint32_t outputs = nx_model_facts(t->model)->outputs;
    for (uint32_t i = 0; t->want->outputs && i < outputs; i++)
        write_value(values, t->output[i]);
    nx_topk(t->output, outputs, top ? top : 1, t->top);
    write_top(t, tops, top);
    keep_best(t);
}

static enum nx_status make_payload(struct telling *t, uint8_t **payload, struct nx_err *err)
{
    uint32_t outputs = nx_model_facts(t->model)->outputs;
    uint32_t top = t->want->top_max < outputs ? t->want->top_max : outputs;
    size_t head = 1 + strlen(t->output_name) + 12;
    size_t values = t->want->outputs ? (size_t)outputs * sizeof(float) : 0;
    size_t tops = (size_t)top * TOP_ENTRY_BYTES;
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
    nx_write_u32(&w, 1);
    nx_write_u32(&w, t->want->outputs ? outputs : 0);
    nx_write_u32(&w, top);
    nx_writer_init(&at, bytes + nx_writer_used(&w), values);
    nx_writer_init(&behind, bytes + nx_writer_used(&w) + values, tops);
    tell_row(t, &at, &behind, top);
    *payload = bytes;
    t->answer->payload = bytes;
    t->answer->payload_bytes = (uint32_t)(nx_writer_used(&w) + values + nx_writer_used(&behind));
    return NX_OK;
}

static enum nx_status check_input(const struct telling *t, struct nx_err *err)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    char name[NX_TENSOR_NAME_BYTES];
    nx_served_port_name(facts->in, 0, true, name);
    if (t->want->tensor[0] && strcmp(t->want->tensor, name) != 0)
        return nx_err_set(err, NX_INVALID, "unexpected input '%s', the model's input is '%s'",
                          t->want->tensor, name);
    return NX_OK;
}

enum nx_status nx_served_tell_row(const struct nx_served *served, const struct nx_want *want,
                                  float *row, struct nx_answer *answer, uint8_t **payload,
                                  struct nx_err *err)
{
    struct telling t = {
        .model = nx_served_model(served), .want = want, .output = row, .answer = answer};
    NX_TRY(check_input(&t, err));
    nx_served_port_name(nx_model_facts(t.model)->out, 0, false, t.output_name);
    t.top = nx_calloc(want->top_max + 1, sizeof *t.top);
    enum nx_status status =
        t.top ? make_payload(&t, payload, err)
              : nx_err_set(err, NX_NO_MEMORY, "no memory for the photo's categories");
    free(t.top);
    return status;
}
