#include "cli/model_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/model/dtype.h"
#include "categorizer/model/npy.h"
#include "common/arena.h"

enum { VALUES_SHOWN = 8, PATH_BYTES_MAX = 4096 };

struct run {
    struct nx_model_args *args;
    struct nx_err *err;
    struct nx_model *model;
    struct nx_mapped_file mapped[NX_PORTS_MAX];
    struct nx_tensor_in inputs[NX_PORTS_MAX];
    struct nx_tensor_out outputs[NX_PORTS_MAX];
    char *names[NX_PORTS_MAX]; /* of the inputs, as they were given */
};

/* A model of one input needs no name for it. */
static enum nx_status name_input(struct run *r, uint32_t i)
{
    const struct nx_model_input_arg *arg = &r->args->inputs[i];
    const char *only = nx_model_facts(r->model)->in[0].name;
    const char *name = arg->name ? arg->name : only;
    size_t len = arg->name ? arg->name_len : strlen(only);
    if (!arg->name && (r->args->n_inputs > 1 || nx_model_facts(r->model)->n_in > 1))
        return nx_err_set(r->err, NX_INVALID, "%s: the model has %u inputs, say which: NAME=%s",
                          arg->path, nx_model_facts(r->model)->n_in, arg->path);
    r->names[i] = nx_calloc(len + 1, 1);
    if (!r->names[i])
        return nx_err_set(r->err, NX_NO_MEMORY, "out of memory");
    memcpy(r->names[i], name, len);
    r->inputs[i].name = r->names[i];
    return NX_OK;
}

static enum nx_status read_inputs(struct run *r)
{
    for (uint32_t i = 0; i < r->args->n_inputs; i++) {
        const struct nx_model_input_arg *arg = &r->args->inputs[i];
        struct nx_npy npy;
        NX_TRY(nx_mapped_file_open_for("--input", arg->path, &r->mapped[i], r->err));
        enum nx_status status = nx_npy_parse(r->mapped[i].bytes, r->mapped[i].len, &npy, r->err);
        if (status != NX_OK) {
            nx_err_prefix(r->err, "%s", arg->path);
            return status;
        }
        r->inputs[i] = (struct nx_tensor_in){NULL, npy.dtype, npy.shape, npy.data, npy.bytes};
    }
    return NX_OK;
}

/* The largest first dimension that comes: the batch, where the model has one. */
static uint32_t largest_batch(const struct run *r)
{
    int64_t batch = 1;
    for (uint32_t i = 0; i < r->args->n_inputs; i++)
        if (r->inputs[i].shape.rank && r->inputs[i].shape.dims[0] > batch)
            batch = r->inputs[i].shape.dims[0];
    return batch < (int64_t)NX_BATCH_MAX ? (uint32_t)batch : NX_BATCH_MAX;
}

/* The batch of an input that has one; 1 without. */
static uint32_t batch_of(const struct run *r)
{
    const struct nx_model_facts *facts = nx_model_facts(r->model);
    for (uint32_t i = 0; i < r->args->n_inputs; i++)
        for (uint32_t k = 0; k < facts->n_in; k++)
            if (facts->in[k].batched && r->inputs[i].shape.rank &&
                !strcmp(facts->in[k].name, r->inputs[i].name))
                return (uint32_t)r->inputs[i].shape.dims[0];
    return 1;
}

static enum nx_status make_outputs(struct run *r)
{
    const struct nx_model_facts *facts = nx_model_facts(r->model);
    uint32_t batch = batch_of(r);
    for (uint32_t i = 0; i < facts->n_out; i++) {
        uint64_t bytes = nx_model_output_bytes(r->model, i, batch);
        r->outputs[i] = (struct nx_tensor_out){
            .name = facts->out[i].name, .data = nx_calloc(bytes ? bytes : 1, 1), .bytes = bytes};
        if (!r->outputs[i].data)
            return nx_err_set(r->err, NX_NO_MEMORY, "out of memory for the outputs");
    }
    return NX_OK;
}

static void show(FILE *out, const struct nx_tensor_out *y)
{
    char text[NX_SHAPE_TEXT_BYTES];
    uint64_t n = y->bytes / nx_dtype_bytes(y->dtype);
    float values[VALUES_SHOWN];
    uint64_t shown = n < VALUES_SHOWN ? n : VALUES_SHOWN;
    for (const char *c = y->name; *c; c++)
        putc(*c < ' ' || *c > '~' ? '?' : *c, out);
    fprintf(out, "  %s  %s ", nx_dtype_name(y->dtype), nx_shape_text(&y->shape, text));
    nx_dtype_to_f32_rounded(y->dtype, y->data, shown, values);
    for (uint64_t i = 0; i < shown; i++)
        fprintf(out, " %.9g", (double)values[i]);
    fputs(shown < n ? " ...\n" : "\n", out);
}

static bool may_stand_in_a_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

static enum nx_status write_output(const struct run *r, const struct nx_tensor_out *y)
{
    char path[PATH_BYTES_MAX];
    const struct nx_npy npy = {y->dtype, y->shape, y->data, y->bytes};
    int folder = snprintf(path, sizeof path, "%s/", r->args->output);
    int n = snprintf(path, sizeof path, "%s/%s.npy", r->args->output, y->name);
    if (n < 0 || (size_t)n >= sizeof path)
        return nx_err_set(r->err, NX_INVALID, "the path of an output is too long");
    for (char *c = path + folder; *c; c++)
        *c = may_stand_in_a_name(*c) && !(c == path + folder && *c == '.') ? *c : '_';
    FILE *file = fopen(path, "wb");
    if (!file)
        return nx_err_set(r->err, NX_IO, "%s: %s", path, strerror(errno));
    enum nx_status status = nx_npy_write(file, &npy, r->err);
    if (fclose(file) != 0 && status == NX_OK)
        return nx_err_set(r->err, NX_IO, "%s: %s", path, strerror(errno));
    return status;
}

static enum nx_status run(struct run *r, FILE *out)
{
    NX_TRY(read_inputs(r));
    r->args->options.load.batch_max = largest_batch(r);
    NX_TRY(nx_model_open(&r->args->files, &r->args->options, &r->model, r->err));
    const struct nx_model_facts *facts = nx_model_facts(r->model);
    for (uint32_t i = 0; i < r->args->n_inputs; i++)
        NX_TRY(name_input(r, i));
    NX_TRY(make_outputs(r));
    NX_TRY(
        nx_model_infer(r->model, r->inputs, r->args->n_inputs, r->outputs, facts->n_out, r->err));
    for (uint32_t i = 0; i < facts->n_out; i++) {
        if (r->args->output)
            NX_TRY(write_output(r, &r->outputs[i]));
        else
            show(out, &r->outputs[i]);
    }
    return NX_OK;
}

enum nx_status nx_model_run_files(struct nx_model_args *args, FILE *out, struct nx_err *err)
{
    struct run r = {.args = args, .err = err};
    enum nx_status status = run(&r, out);
    for (uint32_t i = 0; i < NX_PORTS_MAX; i++) {
        nx_mapped_file_close(&r.mapped[i]);
        free(r.outputs[i].data);
        free(r.names[i]);
    }
    nx_model_close(r.model);
    return status;
}
