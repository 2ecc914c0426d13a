/* Tensors in, tensors out: names, types and shapes are checked, and what is not f32 is converted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/dtype.h"
#include "categorizer/model/model_parts.h"

struct call {
    struct nx_model *model;
    struct nx_err *err;
    uint32_t batch;                    /* 0 until an input has said it */
    const float *inputs[NX_PORTS_MAX]; /* as the program takes them */
    float *outputs[NX_PORTS_MAX];
    void *own[2 * NX_PORTS_MAX]; /* what to free */
    uint32_t n_own;
};

static float *make_room(struct call *c, uint64_t elements)
{
    float *room = nx_calloc(elements, sizeof *room);
    c->own[c->n_own++] = room;
    return room;
}

static enum nx_status no_memory(const struct call *c)
{
    return nx_err_set(c->err, NX_NO_MEMORY, "out of memory for the tensors of a run");
}

static uint32_t find_port(const struct nx_model_port *ports, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(ports[i].name, name) == 0)
            return i;
    return NX_NONE;
}

/* The shape that a port has at that batch. */
static struct nx_shape shape_at(const struct nx_model_port *port, uint32_t batch)
{
    struct nx_shape shape = port->shape;
    if (port->batched)
        shape.dims[0] = batch;
    return shape;
}

static enum nx_status check_batch(struct call *c, const struct nx_tensor_in *in)
{
    int64_t batch = in->shape.dims[0];
    if (batch < 1 || batch > c->model->batch_max)
        return nx_err_set(c->err, NX_INVALID,
                          "the input '%s' has a batch of %" PRId64 ", this model takes 1 to %u",
                          in->name, batch, c->model->batch_max);
    if (c->batch && batch != c->batch)
        return nx_err_set(c->err, NX_INVALID,
                          "the input '%s' has a batch of %" PRId64 ", another input has %u",
                          in->name, batch, c->batch);
    c->batch = (uint32_t)batch;
    return NX_OK;
}

static enum nx_status check_input(struct call *c, const struct nx_tensor_in *in,
                                  const struct nx_model_port *port, uint64_t *elements)
{
    char wanted[NX_SHAPE_TEXT_BYTES], got[NX_SHAPE_TEXT_BYTES];
    if (in->dtype != port->dtype)
        return nx_err_set(c->err, NX_INVALID, "the input '%s' is %s, %s was expected", in->name,
                          (unsigned)in->dtype < NX_DTYPES ? nx_dtype_name(in->dtype) : "of no type",
                          nx_dtype_name(port->dtype));
    if (port->batched && in->shape.rank == port->shape.rank)
        NX_TRY(check_batch(c, in));
    struct nx_shape shape = shape_at(port, c->batch ? c->batch : 1);
    if (!nx_shape_equal(&in->shape, &shape))
        return nx_err_set(c->err, NX_INVALID, "the input '%s' is %s, %s was expected%s", in->name,
                          nx_shape_text(&in->shape, got), nx_shape_text(&shape, wanted),
                          port->batched ? " with any batch" : "");
    if (!nx_shape_elements(&shape, elements) || in->bytes != *elements * nx_dtype_bytes(in->dtype))
        return nx_err_set(c->err, NX_INVALID,
                          "the input '%s' has %" PRIu64 " bytes, %s of %s has others", in->name,
                          in->bytes, nx_shape_text(&shape, wanted), nx_dtype_name(in->dtype));
    return NX_OK;
}

static enum nx_status take_input(struct call *c, const struct nx_tensor_in *in)
{
    const struct nx_model_facts *facts = &c->model->facts;
    uint32_t at = find_port(facts->in, facts->n_in, in->name);
    uint64_t elements = 0, wrong;
    if (at == NX_NONE)
        return nx_err_set(c->err, NX_INVALID, "the model has no input '%s'", in->name);
    if (c->inputs[at])
        return nx_err_set(c->err, NX_INVALID, "the input '%s' is there twice", in->name);
    NX_TRY(check_input(c, in, &facts->in[at], &elements));
    if (in->dtype == NX_F32 && (uintptr_t)in->data % sizeof(float) == 0) {
        c->inputs[at] = in->data;
        return NX_OK;
    }
    float *room = make_room(c, elements);
    if (!room)
        return no_memory(c);
    c->inputs[at] = room;
    if (nx_dtype_to_f32(in->dtype, in->data, elements, room, &wrong))
        return NX_OK;
    return nx_err_set(c->err, NX_INVALID,
                      "the input '%s' has at element %" PRIu64
                      " a number beyond 2^24, which f32 does not hold",
                      in->name, wrong);
}

static enum nx_status take_inputs(struct call *c, const struct nx_tensor_in *inputs, uint32_t n)
{
    const struct nx_model_facts *facts = &c->model->facts;
    for (uint32_t i = 0; i < n; i++)
        NX_TRY(take_input(c, &inputs[i]));
    for (uint32_t i = 0; i < facts->n_in; i++)
        if (!c->inputs[i])
            return nx_err_set(c->err, NX_INVALID, "the input '%s' is missing", facts->in[i].name);
    c->batch = c->batch ? c->batch : 1;
    return NX_OK;
}

static uint64_t elements_at(const struct nx_model_port *port, uint32_t batch)
{
    struct nx_shape shape = shape_at(port, batch);
    uint64_t elements = 0;
    return nx_shape_elements(&shape, &elements) ? elements : 0;
}

uint64_t nx_model_output_bytes(const struct nx_model *model, uint32_t i, uint32_t batch)
{
    const struct nx_model_port *port = &model->facts.out[i];
    return elements_at(port, batch) * nx_dtype_bytes(port->dtype);
}

static enum nx_status place_output(struct call *c, struct nx_tensor_out *out, bool *asked)
{
    const struct nx_model_facts *facts = &c->model->facts;
    uint32_t at = find_port(facts->out, facts->n_out, out->name);
    if (at == NX_NONE)
        return nx_err_set(c->err, NX_INVALID, "the model has no output '%s'", out->name);
    if (asked[at])
        return nx_err_set(c->err, NX_INVALID, "the output '%s' is asked for twice", out->name);
    uint64_t bytes = nx_model_output_bytes(c->model, at, c->batch);
    if (out->bytes < bytes)
        return nx_err_set(c->err, NX_INVALID,
                          "the output '%s' has %" PRIu64 " bytes, there is room for %" PRIu64,
                          out->name, bytes, out->bytes);
    asked[at] = true;
    out->dtype = facts->out[at].dtype;
    out->shape = shape_at(&facts->out[at], c->batch);
    out->bytes = bytes;
    if (out->dtype == NX_F32 && (uintptr_t)out->data % sizeof(float) == 0)
        c->outputs[at] = out->data;
    return NX_OK;
}

static enum nx_status place_outputs(struct call *c, struct nx_tensor_out *outputs, uint32_t n)
{
    const struct nx_model_facts *facts = &c->model->facts;
    bool asked[NX_PORTS_MAX] = {false};
    for (uint32_t i = 0; i < n; i++)
        NX_TRY(place_output(c, &outputs[i], asked));
    for (uint32_t i = 0; i < facts->n_out; i++) {
        if (!c->outputs[i])
            c->outputs[i] = make_room(c, elements_at(&facts->out[i], c->batch));
        if (!c->outputs[i])
            return no_memory(c);
    }
    return NX_OK;
}

static void give_outputs(const struct call *c, const struct nx_tensor_out *outputs, uint32_t n)
{
    const struct nx_model_facts *facts = &c->model->facts;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = find_port(facts->out, facts->n_out, outputs[i].name);
        if (c->outputs[at] != outputs[i].data)
            nx_dtype_from_f32(outputs[i].dtype, c->outputs[at],
                              outputs[i].bytes / nx_dtype_bytes(outputs[i].dtype), outputs[i].data);
    }
}

static enum nx_status infer(struct call *c, const struct nx_tensor_in *inputs, uint32_t n_inputs,
                            struct nx_tensor_out *outputs, uint32_t n_outputs)
{
    struct nx_program *program = c->model->program;
    NX_TRY(take_inputs(c, inputs, n_inputs));
    NX_TRY(place_outputs(c, outputs, n_outputs));
    NX_TRY(program->backend->run(program, c->batch, c->inputs, c->outputs, c->err));
    give_outputs(c, outputs, n_outputs);
    return NX_OK;
}

enum nx_status nx_model_infer(struct nx_model *model, const struct nx_tensor_in *inputs,
                              uint32_t n_inputs, struct nx_tensor_out *outputs, uint32_t n_outputs,
                              struct nx_err *err)
{
    struct call c = {.model = model, .err = err};
    enum nx_status status = infer(&c, inputs, n_inputs, outputs, n_outputs);
    for (uint32_t i = 0; i < c.n_own; i++)
        free(c.own[i]);
    return status;
}
