#include "categorizer/gpu/cudnn_conv.h"

#include "common/unconst.h"

#include <float.h>

/* Names of the tensors with memory behind them; virtual ones count on from VIRTUAL. */
enum { UID_X, UID_W, UID_BIAS, UID_RESIDUAL, UID_Y, UIDS, VIRTUAL = 16 };

enum { OPS_MAX = 4, DESCRIPTORS_MAX = 32, CONFIGS = 16 };

/* Descriptors of one graph; a plan outlives them. The first failure sticks. */
struct drawing {
    cudnnHandle_t handle;
    cudnnStatus_t status;
    cudnnDataType_t type;
    int64_t next_virtual;
    cudnnBackendDescriptor_t all[DESCRIPTORS_MAX], ops[OPS_MAX];
    uint32_t n_all, n_ops;
};

static void set(struct drawing *d, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t n, const void *value)
{
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendSetAttribute(of, name, type, n, value);
}

static void set_part(struct drawing *d, cudnnBackendDescriptor_t of,
                     cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t part)
{
    set(d, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part);
}

static cudnnBackendDescriptor_t begin(struct drawing *d, cudnnBackendDescriptorType_t kind)
{
    cudnnBackendDescriptor_t made = NULL;
    if (d->status == CUDNN_STATUS_SUCCESS && d->n_all == DESCRIPTORS_MAX)
        d->status = CUDNN_STATUS_INTERNAL_ERROR;
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendCreateDescriptor(kind, &made);
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->all[d->n_all++] = made;
    return made;
}

static void finish(struct drawing *d, cudnnBackendDescriptor_t made)
{
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendFinalize(made);
}

static void erase(struct drawing *d)
{
    while (d->n_all)
        cudnnBackendDestroyDescriptor(d->all[--d->n_all]);
}

/* dims in the order N, C, H, W; the memory is N, H, W, C. */
static cudnnBackendDescriptor_t tensor(struct drawing *d, int64_t uid, const int64_t dims[4],
                                       bool is_virtual)
{
    const int64_t strides[] = {dims[1] * dims[2] * dims[3], 1, dims[1] * dims[3], dims[1]};
    const int64_t alignment = 16;
    cudnnDataType_t type = is_virtual ? CUDNN_DATA_FLOAT : d->type;
    cudnnBackendDescriptor_t t = begin(d, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(d, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(d, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(d, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(d, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(d, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(d, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    finish(d, t);
    return t;
}

static cudnnBackendDescriptor_t window(struct drawing *d, const struct nx_window *w)
{
    const int64_t rank = 2;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t stride[] = {w->stride[0], w->stride[1]}, dilate[] = {w->dilate[0], w->dilate[1]},
                  before[] = {w->before[0], w->before[1]}, after[] = {w->after[0], w->after[1]};
    cudnnBackendDescriptor_t c = begin(d, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(d, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &rank);
    set(d, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    set(d, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(d, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    set(d, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilate);
    set(d, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before);
    set(d, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, after);
    finish(d, c);
    return c;
}

static void convolution(struct drawing *d, const struct nx_gpu_step *s, cudnnBackendDescriptor_t y)
{
    const float one = 1, zero = 0;
    const int64_t x_dims[] = {s->in.n, s->in.c, s->in.h, s->in.w},
                  w_dims[] = {s->out.c, s->in.c / s->groups, s->window.kernel[0],
                              s->window.kernel[1]};
    cudnnBackendDescriptor_t x = tensor(d, UID_X, x_dims, false),
                             w = tensor(d, UID_W, w_dims, false), c = window(d, &s->window);
    cudnnBackendDescriptor_t op = begin(d, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set_part(d, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    set_part(d, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    set_part(d, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    set_part(d, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, c);
    set(d, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &one);
    set(d, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &zero);
    finish(d, op);
    d->ops[d->n_ops++] = op;
}

/* ReLU, leaky ReLU and ReLU6 are one function with a slope below 0 and an upper end. */
static void set_clips(struct drawing *d, cudnnBackendDescriptor_t point,
                      const struct nx_attr_unary *act)
{
    const double lower = 0, slope = act->fn == NX_UNARY_LEAKY ? (double)act->a : 0,
                 upper = act->fn == NX_UNARY_CLIP ? (double)act->b : (double)FLT_MAX;
    set(d, point, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, CUDNN_TYPE_DOUBLE, 1, &lower);
    set(d, point, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, CUDNN_TYPE_DOUBLE, 1, &upper);
    set(d, point, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE, 1, &slope);
}

/* y = x + b, or act(x) without a `b`. */
static void pointwise(struct drawing *d, cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b,
                      cudnnBackendDescriptor_t y, const struct nx_attr_unary *act)
{
    const cudnnPointwiseMode_t mode = b ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_RELU_FWD;
    const cudnnDataType_t math = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t point = begin(d, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(d, point, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(d, point, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &math);
    if (!b)
        set_clips(d, point, act);
    finish(d, point);
    cudnnBackendDescriptor_t op = begin(d, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_part(d, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, point);
    set_part(d, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        set_part(d, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_part(d, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finish(d, op);
    d->ops[d->n_ops++] = op;
}

static bool has_bias(const struct nx_gpu_step *s)
{
    return s->x[2].buffer != NX_NONE;
}

static bool has_residual(const struct nx_gpu_step *s)
{
    return s->x[3].buffer != NX_NONE;
}

static bool has_epilogue(const struct nx_gpu_step *s)
{
    return has_bias(s) || has_residual(s) || s->act.fn != NX_UNARY_NONE;
}

/* conv → (+ bias) → (+ residual) → (act) → y; all between are virtual. */
static void draw(struct drawing *d, const struct nx_gpu_step *s, bool fused)
{
    const int64_t y_dims[] = {s->out.n, s->out.c, s->out.h, s->out.w},
                  b_dims[] = {1, s->out.c, 1, 1};
    int left = fused ? has_bias(s) + has_residual(s) + (s->act.fn != NX_UNARY_NONE) : 0;
    cudnnBackendDescriptor_t x, y = tensor(d, left ? d->next_virtual++ : UID_Y, y_dims, left > 0);
    convolution(d, s, y);
    for (int stage = 0; fused && stage < 3; stage++) {
        const bool wanted[] = {has_bias(s), has_residual(s), s->act.fn != NX_UNARY_NONE};
        if (!wanted[stage])
            continue;
        left--;
        x = y;
        y = tensor(d, left ? d->next_virtual++ : UID_Y, y_dims, left > 0);
        cudnnBackendDescriptor_t b = stage == 0   ? tensor(d, UID_BIAS, b_dims, false)
                                     : stage == 1 ? tensor(d, UID_RESIDUAL, y_dims, false)
                                                  : NULL;
        pointwise(d, x, b, y, &s->act);
    }
}

static cudnnBackendDescriptor_t graph_of(struct drawing *d)
{
    cudnnBackendDescriptor_t graph = begin(d, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(d, graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, d->n_ops, d->ops);
    set(d, graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &d->handle);
    finish(d, graph);
    return graph;
}

/* The plan of one configuration, or false: the engine may still refuse. */
static bool try_config(struct drawing *d, cudnnBackendDescriptor_t config,
                       struct nx_cudnn_conv *conv)
{
    cudnnBackendDescriptor_t plan;
    int64_t bytes = 0, n;
    if (cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan) !=
        CUDNN_STATUS_SUCCESS)
        return false;
    bool made = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE,
                                         1, &d->handle) == CUDNN_STATUS_SUCCESS &&
                cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                         &config) == CUDNN_STATUS_SUCCESS &&
                cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS &&
                cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                         CUDNN_TYPE_INT64, 1, &n, &bytes) == CUDNN_STATUS_SUCCESS;
    if (!made) {
        cudnnBackendDestroyDescriptor(plan);
        return false;
    }
    conv->plan = plan;
    conv->workspace_bytes = (uint64_t)bytes;
    return true;
}

/* The first configuration of this heuristic that becomes a plan. */
static bool ask(struct drawing *d, cudnnBackendDescriptor_t graph, cudnnBackendHeurMode_t mode,
                struct nx_cudnn_conv *conv)
{
    cudnnBackendDescriptor_t configs[CONFIGS];
    int64_t n = 0;
    uint32_t before = d->n_all;
    cudnnBackendDescriptor_t heur = begin(d, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    set_part(d, heur, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    set(d, heur, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finish(d, heur);
    int made = 0;
    while (made < CONFIGS && d->status == CUDNN_STATUS_SUCCESS &&
           cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[made]) ==
               CUDNN_STATUS_SUCCESS)
        made++;
    if (d->status == CUDNN_STATUS_SUCCESS)
        d->status = cudnnBackendGetAttribute(heur, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                             CUDNN_TYPE_BACKEND_DESCRIPTOR, made, &n, configs);
    bool found = false;
    for (int i = 0; d->status == CUDNN_STATUS_SUCCESS && i < made && i < n && !found; i++)
        found = try_config(d, configs[i], conv);
    for (int i = 0; i < made; i++)
        cudnnBackendDestroyDescriptor(configs[i]);
    while (d->n_all > before)
        cudnnBackendDestroyDescriptor(d->all[--d->n_all]);
    return found;
}

static bool plan_graph(cudnnHandle_t handle, const struct nx_gpu_step *step, bool fused,
                       struct nx_cudnn_conv *conv, cudnnStatus_t *status)
{
    struct drawing d = {
        .handle = handle,
        .type = step->y.type == NX_GPU_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16,
        .next_virtual = VIRTUAL,
    };
    draw(&d, step, fused);
    cudnnBackendDescriptor_t graph = graph_of(&d);
    bool found = false;
    if (d.status == CUDNN_STATUS_SUCCESS)
        found = ask(&d, graph, CUDNN_HEUR_MODE_A, conv);
    *status = d.status;
    if (!found && graph) {
        d.status = CUDNN_STATUS_SUCCESS;
        found = ask(&d, graph, CUDNN_HEUR_MODE_FALLBACK, conv);
    }
    erase(&d);
    conv->is_fused = fused;
    return found;
}

enum nx_status nx_cudnn_conv_build(cudnnHandle_t handle, const struct nx_gpu_step *step,
                                   struct nx_cudnn_conv *conv, struct nx_err *err)
{
    cudnnStatus_t status;
    if (plan_graph(handle, step, true, conv, &status))
        return NX_OK;
    if (has_epilogue(step) && plan_graph(handle, step, false, conv, &status))
        return NX_OK;
    return nx_err_set(err, NX_UNSUPPORTED,
                      "gpu_cudnn: cuDNN has no engine for the convolution '%s' (%s)", step->name,
                      cudnnGetErrorString(status));
}

void nx_cudnn_conv_free(struct nx_cudnn_conv *conv)
{
    if (conv->plan)
        cudnnBackendDestroyDescriptor(conv->plan);
    conv->plan = NULL;
}

static cudnnStatus_t execute(cudnnHandle_t handle, const struct nx_cudnn_conv *conv,
                             const struct nx_gpu_pointers *at, void *workspace)
{
    struct drawing d = {.handle = handle};
    int64_t uids[UIDS];
    void *pointers[UIDS];
    int64_t n = 0;
    for (int64_t uid = UID_X; uid <= UID_RESIDUAL; uid++) {
        if (!at->x[uid] || (uid >= UID_BIAS && !conv->is_fused))
            continue;
        uids[n] = uid;
        pointers[n++] = nx_unconst(at->x[uid]);
    }
    uids[n] = UID_Y;
    pointers[n++] = at->y;
    cudnnBackendDescriptor_t pack = begin(&d, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    set(&d, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers);
    set(&d, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, uids);
    set(&d, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    finish(&d, pack);
    if (d.status == CUDNN_STATUS_SUCCESS)
        d.status = cudnnBackendExecute(handle, conv->plan, pack);
    erase(&d);
    return d.status;
}

enum nx_status nx_cudnn_conv_run(cudnnHandle_t handle, const struct nx_cudnn_conv *conv,
                                 const struct nx_gpu_step *step, const struct nx_gpu_pointers *at,
                                 void *workspace, cudaStream_t stream, struct nx_err *err)
{
    cudnnStatus_t status = execute(handle, conv, at, workspace);
    if (status != CUDNN_STATUS_SUCCESS)
        return nx_err_set(err, NX_INTERNAL, "gpu_cudnn: convolution '%s': %s", step->name,
                          cudnnGetErrorString(status));
    if (conv->is_fused || !has_epilogue(step))
        return NX_OK;
    const char *wrong = nx_gpu_launch_epilogue(step, at, stream);
    return wrong
               ? nx_err_set(err, NX_INTERNAL, "gpu_cudnn: epilogue of '%s': %s", step->name, wrong)
               : NX_OK;
}
