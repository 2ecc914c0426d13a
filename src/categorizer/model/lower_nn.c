#include <string.h>

#include "categorizer/model/lower.h"
#include "categorizer/model/params.h"

enum { WINDOW_MAX = 1 << 16 };

static enum nx_status check_layout(const struct nx_lower *l)
{
    const char *const layouts[] = {"NCHW", NULL};
    int ignored;
    return nx_lower_choice(l, "layout", layouts, &ignored);
}

/* "(3, 3)" → two numbers; absent or "()" → both `otherwise`. */
static enum nx_status read_pair(const struct nx_lower *l, const char *key, int32_t least,
                                int32_t otherwise, int32_t pair[2])
{
    struct nx_tuple tuple = {.n = 0};
    NX_TRY(nx_lower_tuple(l, key, &tuple));
    pair[0] = pair[1] = otherwise;
    if (tuple.n == 0)
        return NX_OK;
    if (tuple.n != 2)
        return nx_err_set(l->err, NX_UNSUPPORTED,
                          "%s '%s' has %s = \"%s\": only windows of 2 dimensions are supported",
                          l->op, l->name, key, nx_lower_attr(l, key));
    for (int i = 0; i < 2; i++) {
        if (tuple.items[i] < least || tuple.items[i] > WINDOW_MAX)
            return nx_err_set(l->err, NX_INVALID, "%s '%s' has %s = \"%s\": %d to %d are possible",
                              l->op, l->name, key, nx_lower_attr(l, key), least, WINDOW_MAX);
        pair[i] = (int32_t)tuple.items[i];
    }
    return NX_OK;
}

static enum nx_status read_window(const struct nx_lower *l, struct nx_window *w)
{
    NX_TRY(read_pair(l, "kernel", 1, 1, w->kernel));
    NX_TRY(read_pair(l, "stride", 1, 1, w->stride));
    NX_TRY(read_pair(l, "dilate", 1, 1, w->dilate));
    NX_TRY(read_pair(l, "pad", 0, 0, w->before));
    memcpy(w->after, w->before, sizeof w->after);
    return NX_OK;
}

/* data, weight and, unless no_bias (whose default is given), bias */
static enum nx_status read_dot_inputs(struct nx_lower *l, bool no_bias, uint32_t inputs[3],
                                      uint32_t *n)
{
    NX_TRY(nx_lower_bool(l, "no_bias", &no_bias));
    *n = no_bias ? 2 : 3;
    NX_TRY(nx_lower_arity(l, *n));
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    for (uint32_t i = 1; i < *n; i++)
        NX_TRY(nx_lower_weight(l, i, &inputs[i]));
    return NX_OK;
}

enum nx_status nx_lower_convolution(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_CONV};
    uint32_t inputs[3], n;
    int64_t groups = 1;
    NX_TRY(check_layout(l));
    NX_TRY(nx_lower_required(l, "kernel"));
    NX_TRY(nx_lower_required(l, "num_filter"));
    NX_TRY(read_window(l, &node.attr.conv.window));
    NX_TRY(nx_lower_int(l, "num_filter", 1, NX_DIM_MAX, &node.attr.conv.filters));
    NX_TRY(nx_lower_int(l, "num_group", 1, INT32_MAX, &groups));
    node.attr.conv.groups = (int32_t)groups;
    NX_TRY(read_dot_inputs(l, false, inputs, &n));
    return nx_lower_add(l, &node, inputs, n);
}

/* target_shape is of the output; pad and adj do not count then. Without bias by default. */
enum nx_status nx_lower_deconvolution(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_DECONV};
    struct nx_attr_deconv *a = &node.attr.deconv;
    int32_t target[2];
    uint32_t inputs[3], n;
    int64_t groups = 1;
    NX_TRY(check_layout(l));
    NX_TRY(nx_lower_required(l, "kernel"));
    NX_TRY(nx_lower_required(l, "num_filter"));
    NX_TRY(read_window(l, &a->window));
    NX_TRY(read_pair(l, "adj", 0, 0, a->extra));
    NX_TRY(read_pair(l, "target_shape", 0, 0, target));
    for (int i = 0; i < 2; i++) {
        a->target[i] = target[i];
        if (a->extra[i] >= a->window.stride[i])
            return nx_lower_unsupported(l, "an adj that is not below the stride");
    }
    if (!target[0] != !target[1])
        return nx_lower_unsupported(l, "a target_shape of one side");
    NX_TRY(nx_lower_int(l, "num_filter", 1, NX_DIM_MAX, &a->filters));
    NX_TRY(nx_lower_int(l, "num_group", 1, INT32_MAX, &groups));
    a->groups = (int32_t)groups;
    NX_TRY(read_dot_inputs(l, true, inputs, &n));
    return nx_lower_add(l, &node, inputs, n);
}

/* UpSampling of sample_type bilinear: each channel by the transposed convolution that its weight says. */
enum nx_status nx_lower_up_sampling_bilinear(struct nx_lower *l, int64_t scale)
{
    struct nx_node node = {.op = NX_OP_DECONV};
    struct nx_attr_deconv *a = &node.attr.deconv;
    uint32_t inputs[2];
    int64_t channels = 0;
    NX_TRY(nx_lower_arity(l, 2));
    NX_TRY(nx_lower_required(l, "num_filter"));
    NX_TRY(nx_lower_int(l, "num_filter", 1, INT32_MAX, &channels));
    a->filters = channels;
    a->groups = (int32_t)channels;
    for (int i = 0; i < 2; i++) {
        a->window.kernel[i] = (int32_t)(2 * scale - scale % 2);
        a->window.stride[i] = (int32_t)scale;
        a->window.dilate[i] = 1;
        a->window.before[i] = a->window.after[i] = (int32_t)(scale / 2);
    }
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(nx_lower_weight(l, 1, &inputs[1]));
    return nx_lower_add(l, &node, inputs, 2);
}

enum nx_status nx_lower_fully_connected(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_FC, .attr.fc.flatten = true};
    uint32_t inputs[3], n;
    NX_TRY(nx_lower_required(l, "num_hidden"));
    NX_TRY(nx_lower_int(l, "num_hidden", 1, NX_DIM_MAX, &node.attr.fc.units));
    NX_TRY(nx_lower_bool(l, "flatten", &node.attr.fc.flatten));
    NX_TRY(read_dot_inputs(l, false, inputs, &n));
    return nx_lower_add(l, &node, inputs, n);
}

/* Files of 0.8 and before do not list the two statistics as inputs. */
static enum nx_status read_statistics(struct nx_lower *l, uint32_t inputs[5])
{
    static const char *const suffixes[] = {"_moving_mean", "_moving_var"};
    char name[NX_ARRAY_NAME_BYTES_MAX];
    for (uint32_t i = 0; i < 2; i++) {
        if (l->n_inputs == 5) {
            NX_TRY(nx_lower_weight(l, 3 + i, &inputs[3 + i]));
            continue;
        }
        size_t stem = strlen(l->name), tail = strlen(suffixes[i]) + 1;
        if (stem + tail > sizeof name)
            return nx_err_set(l->err, NX_TOO_LARGE, "%s '%s': its name is too long", l->op,
                              l->name);
        memcpy(name, l->name, stem);
        memcpy(name + stem, suffixes[i], tail);
        NX_TRY(nx_lower_named_weight(l, name, &inputs[3 + i]));
    }
    return NX_OK;
}

/* detail: 1 with a ReLU behind */
enum nx_status nx_lower_batch_norm(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_BATCH_NORM, .attr.batch_norm = {1e-3f, true, 1}};
    struct nx_attr_batch_norm *a = &node.attr.batch_norm;
    uint32_t inputs[5];
    int64_t axis = 1;
    NX_TRY(nx_lower_float(l, "eps", &a->eps));
    NX_TRY(nx_lower_bool(l, "fix_gamma", &a->fix_gamma));
    NX_TRY(nx_lower_int(l, "axis", -(int64_t)NX_RANK_MAX, NX_RANK_MAX - 1, &axis));
    a->axis = (int32_t)axis;
    if (l->n_inputs != 3)
        NX_TRY(nx_lower_arity(l, 5));
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(nx_lower_weight(l, 1, &inputs[1]));
    NX_TRY(nx_lower_weight(l, 2, &inputs[2]));
    NX_TRY(read_statistics(l, inputs));
    NX_TRY(nx_lower_add(l, &node, inputs, 5));
    if (l->alias->detail == 0)
        return NX_OK;
    struct nx_node relu = {.op = NX_OP_UNARY, .attr.unary.fn = NX_UNARY_RELU};
    uint32_t y = l->outputs[0];
    return nx_lower_add(l, &relu, &y, 1);
}

enum nx_status nx_lower_pooling(struct nx_lower *l)
{
    const char *const kinds[] = {"max", "avg", "sum", "lp", NULL};
    int64_t p = 2;
    const char *const roundings[] = {"valid", "full", "same", NULL};
    struct nx_node node = {.op = NX_OP_POOL, .attr.pool.include_pad = true};
    struct nx_attr_pool *a = &node.attr.pool;
    int kind = 0, rounding = 0;
    NX_TRY(check_layout(l));
    NX_TRY(nx_lower_choice(l, "pool_type", kinds, &kind));
    NX_TRY(nx_lower_int(l, "p_value", 1, 64, &p));
    a->p = (int32_t)p;
    NX_TRY(nx_lower_choice(l, "pooling_convention", roundings, &rounding));
    NX_TRY(nx_lower_bool(l, "global_pool", &a->global));
    NX_TRY(nx_lower_bool(l, "count_include_pad", &a->include_pad));
    if (!a->global) {
        NX_TRY(nx_lower_required(l, "kernel"));
        NX_TRY(read_window(l, &a->window));
    }
    a->kind = (enum nx_pool)kind;
    a->rounding = (enum nx_pool_rounding)rounding;
    NX_TRY(nx_lower_arity(l, 1));
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_activation(struct nx_lower *l)
{
    const char *const names[] = {"relu",     "sigmoid",     "tanh", "softrelu",
                                 "softsign", "log_sigmoid", "mish", NULL};
    static const enum nx_unary fns[] = {NX_UNARY_RELU,     NX_UNARY_SIGMOID,  NX_UNARY_TANH,
                                        NX_UNARY_SOFTRELU, NX_UNARY_SOFTSIGN, NX_UNARY_LOG_SIGMOID,
                                        NX_UNARY_MISH};
    struct nx_node node = {.op = NX_OP_UNARY};
    int choice = 0;
    NX_TRY(nx_lower_required(l, "act_type"));
    NX_TRY(nx_lower_choice(l, "act_type", names, &choice));
    node.attr.unary.fn = fns[choice];
    NX_TRY(nx_lower_arity(l, 1));
    return nx_lower_simple(l, &node);
}

static enum nx_status lower_prelu(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_PRELU};
    uint32_t inputs[2];
    NX_TRY(nx_lower_arity(l, 2));
    NX_TRY(nx_lower_data(l, 0, &inputs[0]));
    NX_TRY(nx_lower_weight(l, 1, &inputs[1]));
    return nx_lower_add(l, &node, inputs, 2);
}

enum nx_status nx_lower_leaky_relu(struct nx_lower *l)
{
    enum { LEAKY, PRELU, ELU, SELU, GELU, RRELU, GELU_ERF, GELU_TANH };
    const char *const names[] = {"leaky", "prelu",    "elu",       "selu", "gelu",
                                 "rrelu", "gelu_erf", "gelu_tanh", NULL};
    static const enum nx_unary fns[] = {
        [LEAKY] = NX_UNARY_LEAKY,        [ELU] = NX_UNARY_ELU,     [SELU] = NX_UNARY_SELU,
        [GELU] = NX_UNARY_GELU,          [RRELU] = NX_UNARY_LEAKY, [GELU_ERF] = NX_UNARY_GELU,
        [GELU_TANH] = NX_UNARY_GELU_TANH};
    struct nx_node node = {.op = NX_OP_UNARY};
    float slope = 0.25f, lower = 0.125f, upper = 0.334f;
    int choice = LEAKY;
    NX_TRY(nx_lower_choice(l, "act_type", names, &choice));
    NX_TRY(nx_lower_float(l, "slope", &slope));
    NX_TRY(nx_lower_float(l, "lower_bound", &lower));
    NX_TRY(nx_lower_float(l, "upper_bound", &upper));
    if (choice == PRELU)
        return lower_prelu(l);
    node.attr.unary.fn = fns[choice];
    node.attr.unary.a = choice == RRELU ? (lower + upper) / 2 : slope;
    NX_TRY(nx_lower_arity(l, 1));
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_lrn(struct nx_lower *l)
{
    struct nx_node node = {.op = NX_OP_LRN, .attr.lrn = {0, 1e-4f, 0.75f, 2.0f}};
    struct nx_attr_lrn *a = &node.attr.lrn;
    int64_t size = 0;
    NX_TRY(nx_lower_required(l, "nsize"));
    NX_TRY(nx_lower_int(l, "nsize", 1, WINDOW_MAX, &size));
    NX_TRY(nx_lower_float(l, "alpha", &a->alpha));
    NX_TRY(nx_lower_float(l, "beta", &a->beta));
    NX_TRY(nx_lower_float(l, "knorm", &a->knorm));
    a->size = (int32_t)size;
    return nx_lower_simple(l, &node);
}

enum nx_status nx_lower_l2_normalization(struct nx_lower *l)
{
    const char *const modes[] = {"instance", "channel", "spatial", NULL};
    struct nx_node node = {.op = NX_OP_L2_NORM, .attr.l2_norm = {NX_L2_INSTANCE, 1e-10f}};
    int mode = 0;
    NX_TRY(nx_lower_choice(l, "mode", modes, &mode));
    NX_TRY(nx_lower_float(l, "eps", &node.attr.l2_norm.eps));
    node.attr.l2_norm.mode = (enum nx_l2)mode;
    return nx_lower_simple(l, &node);
}
