#include "cli/model_time.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/clock.h"

enum { STEPS_MAX = 4 * NX_NODES_MAX, WARM_RUNS = 2 };

struct timed_step {
    const char *node, *op, *how;
    nx_ns ns; /* of all rounds */
    uint32_t calls;
};

struct timing {
    struct nx_model_args *args;
    struct nx_err *err;
    struct nx_model *model;
    struct nx_tensor_in inputs[NX_PORTS_MAX];
    struct nx_tensor_out outputs[NX_PORTS_MAX];
    void *rooms[NX_PORTS_MAX]; /* the inputs' data, to be freed */
    struct timed_step *steps, *kinds;
    uint32_t n_steps, n_kinds, at, cap;
    nx_ns total, best, worst; /* of the watched runs; of one that nobody watches */
};

static enum nx_status no_memory(struct timing *t)
{
    return nx_err_set(t->err, NX_NO_MEMORY, "out of memory");
}

/* Values from 0 to 1 where the input is f32, 0 elsewhere: an index of 0 exists in every table. */
static enum nx_status make_input(struct timing *t, uint32_t i, const struct nx_model_port *port)
{
    struct nx_tensor_in *in = &t->inputs[i];
    *in = (struct nx_tensor_in){.name = port->name, .dtype = port->dtype, .shape = port->shape};
    if (port->batched)
        in->shape.dims[0] = t->args->options.load.batch_max;
    uint64_t n;
    if (!nx_shape_elements(&in->shape, &n))
        return nx_err_set(t->err, NX_TOO_LARGE, "input '%s' is too large", port->name);
    in->bytes = n * nx_dtype_bytes(port->dtype);
    float *values = nx_calloc(in->bytes ? in->bytes : 1, 1);
    in->data = t->rooms[i] = values;
    for (uint64_t k = 0; values && port->dtype == NX_F32 && k < n; k++)
        values[k] = (float)(k * 2654435761u % 1024) / 1024;
    return values ? NX_OK : no_memory(t);
}

static enum nx_status make_ports(struct timing *t)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    uint32_t batch = facts->batched ? t->args->options.load.batch_max : 1;
    for (uint32_t i = 0; i < facts->n_in; i++)
        NX_TRY(make_input(t, i, &facts->in[i]));
    for (uint32_t i = 0; i < facts->n_out; i++) {
        uint64_t bytes = nx_model_output_bytes(t->model, i, batch);
        t->outputs[i] = (struct nx_tensor_out){
            .name = facts->out[i].name, .data = nx_calloc(bytes ? bytes : 1, 1), .bytes = bytes};
        if (!t->outputs[i].data)
            return no_memory(t);
    }
    return NX_OK;
}

/* Every run has the same steps in the same order. */
static void took(void *ctx, const struct nx_step_took *step)
{
    struct timing *t = ctx;
    if (t->at == t->cap)
        return;
    struct timed_step *own = &t->steps[t->at++];
    *own = (struct timed_step){step->node, step->op, step->how, own->ns + step->ns, 1};
    t->n_steps = t->at > t->n_steps ? t->at : t->n_steps;
    t->total += step->ns;
}

static enum nx_status run_once(struct timing *t, nx_ns *ns)
{
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    nx_ns start = nx_clock_now();
    t->at = 0;
    NX_TRY(nx_model_infer(t->model, t->inputs, facts->n_in, t->outputs, facts->n_out, t->err));
    *ns = nx_clock_now() - start;
    return NX_OK;
}

/* Alternately without and with the watch, so that what it costs can be seen. */
static enum nx_status run_rounds(struct timing *t)
{
    const struct nx_step_watch watch = {t, took};
    nx_ns ns = 0;
    for (uint32_t i = 0; i < WARM_RUNS; i++)
        NX_TRY(run_once(t, &ns));
    t->best = INT64_MAX;
    for (uint32_t i = 0; i < t->args->rounds; i++) {
        NX_TRY(run_once(t, &ns));
        t->best = ns < t->best ? ns : t->best;
        t->worst = ns > t->worst ? ns : t->worst;
        nx_model_watch(t->model, &watch);
        enum nx_status status = run_once(t, &ns);
        nx_model_watch(t->model, NULL);
        NX_TRY(status);
    }
    return NX_OK;
}

static int slower_first(const void *a, const void *b)
{
    const struct timed_step *x = a, *y = b;
    return (x->ns < y->ns) - (x->ns > y->ns);
}

static void sum_kinds(struct timing *t)
{
    for (uint32_t i = 0; i < t->n_steps; i++) {
        const struct timed_step *step = &t->steps[i];
        uint32_t k = 0;
        while (k < t->n_kinds &&
               (strcmp(t->kinds[k].how, step->how) || strcmp(t->kinds[k].op, step->op)))
            k++;
        if (k == t->n_kinds)
            t->kinds[t->n_kinds++] = (struct timed_step){"", step->op, step->how, 0, 0};
        t->kinds[k].ns += step->ns;
        t->kinds[k].calls++;
    }
}

static void print_text(FILE *out, const char *text)
{
    for (const char *c = text; *c; c++)
        putc(*c < ' ' || *c > '~' ? '?' : *c, out);
}

static double ms(nx_ns ns)
{
    return (double)ns / 1e6;
}

static void print_rows(const struct timing *t, const struct timed_step *rows, uint32_t n,
                       bool kinds, FILE *out)
{
    for (uint32_t i = 0; i < n; i++) {
        fprintf(out, "%9.3f %5.1f %%", ms(rows[i].ns) / t->args->rounds,
                100 * (double)rows[i].ns / (double)(t->total ? t->total : 1));
        if (kinds)
            fprintf(out, " %6u ", rows[i].calls);
        else
            fputs("        ", out);
        fprintf(out, " %-16s ", *rows[i].op ? rows[i].op : "output");
        fprintf(out, kinds ? "%s" : "%-40s ", rows[i].how);
        print_text(out, rows[i].node);
        putc('\n', out);
    }
}

static void print(struct timing *t, FILE *out)
{
    const struct nx_load_options *load = &t->args->options.load;
    const struct nx_model_facts *facts = nx_model_facts(t->model);
    fprintf(out, "backend     %s, %s, batch %u, %u thread%s\n", facts->backend,
            nx_precision_name(load->precision), facts->batched ? load->batch_max : 1, load->threads,
            load->threads == 1 ? "" : "s");
    fprintf(out, "a run       %.3f to %.3f ms in %u runs, %.3f ms by its steps\n", ms(t->best),
            ms(t->worst), t->args->rounds, ms(t->total) / t->args->rounds);
    if (!t->n_steps) {
        fputs("            this backend does not tell its steps\n", out);
        return;
    }
    sum_kinds(t);
    qsort(t->kinds, t->n_kinds, sizeof *t->kinds, slower_first);
    qsort(t->steps, t->n_steps, sizeof *t->steps, slower_first);
    fputs("       ms   share  steps  op               how\n", out);
    print_rows(t, t->kinds, t->n_kinds, true, out);
    uint32_t top = t->n_steps < t->args->top ? t->n_steps : t->args->top;
    fprintf(out, "the slowest %u of %u steps\n", top, t->n_steps);
    print_rows(t, t->steps, top, false, out);
}

static enum nx_status time_it(struct timing *t, FILE *out)
{
    NX_TRY(nx_model_open(&t->args->files, &t->args->options, &t->model, t->err));
    NX_TRY(make_ports(t));
    t->cap = STEPS_MAX;
    t->steps = nx_calloc(t->cap, sizeof *t->steps);
    t->kinds = nx_calloc(t->cap, sizeof *t->kinds);
    if (!t->steps || !t->kinds)
        return no_memory(t);
    NX_TRY(run_rounds(t));
    print(t, out);
    return NX_OK;
}

enum nx_status nx_model_time_files(struct nx_model_args *args, FILE *out, struct nx_err *err)
{
    struct timing t = {.args = args, .err = err};
    enum nx_status status = time_it(&t, out);
    for (uint32_t i = 0; i < NX_PORTS_MAX; i++) {
        free(t.rooms[i]);
        free(t.outputs[i].data);
    }
    free(t.steps);
    free(t.kinds);
    nx_model_close(t.model);
    return status;
}
