#include "parity_net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "categorizer/graph/shape.h"

static void must(enum nx_status status, const struct nx_err *err)
{
    if (status != NX_OK)
        fail_msg("%s", err->text);
}

void net_open(struct net *net, uint64_t seed)
{
    *net = (struct net){0};
    nx_arena_init(&net->arena, SIZE_MAX);
    nx_graph_init(&net->graph, &net->arena);
    nx_prng_init(&net->prng, seed);
}

void net_close(struct net *net)
{
    nx_arena_free(&net->arena);
}

static struct nx_shape shape_from(uint32_t rank, const int64_t *dims)
{
    struct nx_shape shape = {.rank = rank};
    memcpy(shape.dims, dims, rank * sizeof *dims);
    return shape;
}

uint32_t net_input(struct net *net, uint32_t rank, const int64_t *dims)
{
    struct nx_err err = {0};
    uint32_t t;
    must(nx_graph_add_tensor(&net->graph, NX_TENSOR_INPUT, "data", &t, &err), &err);
    net->graph.tensors[t].shape = shape_from(rank, dims);
    return t;
}

static float *random_floats(struct net *net, uint64_t n, double low, double high)
{
    float *values = nx_arena_array(&net->arena, n, sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < n; i++)
        values[i] = (float)(low + nx_prng_unit(&net->prng) * (high - low));
    return values;
}

uint32_t net_constant(struct net *net, uint32_t rank, const int64_t *dims, double low, double high)
{
    struct nx_err err = {0};
    struct nx_shape shape = shape_from(rank, dims);
    uint64_t n;
    uint32_t t;
    assert_true(nx_shape_elements(&shape, &n));
    must(
        nx_graph_add_constant(&net->graph, "w", &shape, random_floats(net, n, low, high), &t, &err),
        &err);
    return t;
}

uint32_t net_node(struct net *net, const struct nx_node *node, const uint32_t *inputs, uint32_t n)
{
    struct nx_err err = {0};
    uint32_t i, copy[16];
    struct nx_node own = *node;
    memcpy(copy, inputs, n * sizeof *copy);
    own.inputs = copy;
    own.n_inputs = n;
    own.n_outputs = own.n_outputs ? own.n_outputs : 1;
    own.name = "node";
    must(nx_graph_add_node(&net->graph, &own, &i, &err), &err);
    return net->graph.nodes[i].outputs[0];
}

void net_output(struct net *net, uint32_t tensor)
{
    net->outputs[net->n_outputs++] = tensor;
}

const struct nx_window net_one_by_one = {.kernel = {1, 1}, .stride = {1, 1}, .dilate = {1, 1}};

uint32_t net_conv(struct net *net, uint32_t x, int64_t channels, int64_t filters,
                  const struct nx_window *w, int32_t groups, bool bias, uint32_t residual,
                  enum nx_unary act)
{
    int64_t dims[] = {filters, channels / groups, w->kernel[0], w->kernel[1]};
    double reach = 1.7 / (double)(dims[1] * dims[2] * dims[3]);
    reach = reach > 0.3 ? 0.3 : reach * 4;
    uint32_t inputs[4] = {x, net_constant(net, 4, dims, -reach, reach)}, n = 2;
    if (bias)
        inputs[n++] = net_constant(net, 1, &filters, -1, 1);
    if (residual != NX_NONE)
        inputs[n++] = residual;
    struct nx_node node = {
        .op = NX_OP_CONV,
        .post = {.sum = residual != NX_NONE, .act = {.fn = act, .a = 0.1f, .b = 0.6f}},
        .attr.conv = {.window = *w, .groups = groups, .filters = filters}};
    return net_node(net, &node, inputs, n);
}

uint32_t net_source(struct net *net, bool blocked, int64_t c, int64_t h, int64_t w)
{
    int64_t dims[] = {0, c, h, w};
    uint32_t x = net_input(net, 4, dims);
    return blocked ? net_conv(net, x, c, c, &net_one_by_one, 1, true, NX_NONE, NX_UNARY_NONE) : x;
}

void net_infer(struct net *net)
{
    struct nx_err err = {0};
    uint32_t inputs[4], n = 0;
    if (net->graph.n_inputs) /* a pass has renumbered what was told here */
        return;
    for (uint32_t t = 0; t < net->graph.n_tensors; t++)
        if (net->graph.tensors[t].kind == NX_TENSOR_INPUT)
            inputs[n++] = t;
    must(nx_graph_set_io(&net->graph, inputs, n, net->outputs, net->n_outputs, &err), &err);
    must(nx_shape_infer(&net->graph, 1, &err), &err);
}

static size_t row_floats(const struct net *net, uint32_t t)
{
    return nx_tensor_bytes(&net->graph.tensors[t]) / sizeof(float);
}

/* Arrays for `batch` rows of each of `n` tensors. */
static void alloc_rows(const struct net *net, const uint32_t *tensors, uint32_t n, uint32_t batch,
                       float **rows)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t floats = row_floats(net, tensors[i]) * batch;
        rows[i] = malloc(floats * sizeof(float));
        assert_non_null(rows[i]);
        memset(rows[i], 0x7f, floats * sizeof(float)); /* 3e38: not to be mistaken for a result */
    }
}

static double compare_rows(const float *got, const float *want, size_t n)
{
    double most = 0, scale = 1;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)want[i]));
    for (size_t i = 0; i < n; i++) {
        double off = fabs((double)got[i] - (double)want[i]) / scale;
        most = !(off <= most) ? off : most; /* a NaN counts as the most */
    }
    return most;
}

static double run_both(struct net *net, struct nx_program *a, struct nx_program *b, uint32_t batch)
{
    struct nx_err err = {0};
    const struct nx_graph *g = &net->graph;
    float *in[4], *got[8], *want[8];
    alloc_rows(net, g->inputs, g->n_inputs, batch, in);
    alloc_rows(net, g->outputs, g->n_outputs, batch, got);
    alloc_rows(net, g->outputs, g->n_outputs, batch, want);
    for (uint32_t i = 0; i < g->n_inputs; i++)
        for (size_t k = 0; k < row_floats(net, g->inputs[i]) * batch; k++)
            in[i][k] = (float)(nx_prng_unit(&net->prng) * 2 - 1);
    must(a->backend->run(a, batch, (const float *const *)in, want, &err), &err);
    must(b->backend->run(b, batch, (const float *const *)in, got, &err), &err);
    double most = 0;
    for (uint32_t i = 0; i < g->n_outputs; i++) {
        double off = compare_rows(got[i], want[i], row_floats(net, g->outputs[i]) * batch);
        most = !(off <= most) ? off : most;
        free(got[i]);
        free(want[i]);
    }
    for (uint32_t i = 0; i < g->n_inputs; i++)
        free(in[i]);
    return most;
}

double net_compare(struct net *net, const struct net_options *options, const char *name)
{
    struct nx_err err = {0};
    struct nx_program *a, *b;
    struct nx_load_options plain = options->load;
    if (plain.precision == NX_PRECISION_BF16) /* which cpu_ref does not have */
        plain.precision = NX_PRECISION_F32;
    net_infer(net);
    must(nx_backend_cpu_ref.load(&net->graph, &plain, &a, &err), &err);
    must(options->backend->load(&net->graph, &options->load, &b, &err), &err);
    double most = 0;
    for (uint32_t batch = options->load.batch_max; batch >= 1; batch--) {
        double off = run_both(net, a, b, batch);
        most = !(off <= most) ? off : most;
        if (!(off <= options->tolerance))
            fail_msg("%s, batch %u, %u threads: off by %g, allowed is %g", name, batch,
                     options->load.threads, off, options->tolerance);
    }
    a->backend->free(a);
    b->backend->free(b);
    return most;
}
