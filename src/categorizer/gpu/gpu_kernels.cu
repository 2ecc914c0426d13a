/* One thread for one element, neighbours in memory by neighbouring threads; sums in f32. */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <float.h>
#include <math.h>

#include "categorizer/gpu/gpu_kernels.h"
#include "categorizer/gpu/gpu_space.h"
#include "categorizer/graph/half_round.h"
#include "categorizer/graph/step_round.h"

enum { THREADS = 256 };

__device__ static float load(const void *array, enum nx_gpu_type type, int64_t i)
{
    if (type == NX_GPU_F32)
        return ((const float *)array)[i];
    if (type == NX_GPU_F16)
        return __half2float(((const __half *)array)[i]);
    return __bfloat162float(((const __nv_bfloat16 *)array)[i]);
}

__device__ static void save(void *array, enum nx_gpu_type type, int64_t i, float value)
{
    if (type == NX_GPU_F32)
        ((float *)array)[i] = value;
    else if (type == NX_GPU_F16)
        ((__half *)array)[i] = __float2half_rn(value);
    else
        ((__nv_bfloat16 *)array)[i] = __float2bfloat16_rn(value);
}

__device__ static float nx_mod(float a, float b)
{
    float m = b == 0 ? 0 : fmodf(a, b);
    return m != 0 && (m < 0) != (b < 0) ? m + b : m;
}

#define FN_CASE(fn, name, expression) \
    case fn: return expression;

__device__ static float unary(nx_attr_unary f, float x)
{
    float a = f.a, b = f.b;
    (void)a;
    (void)b;
    switch (f.fn) {
        NX_UNARY_LIST(FN_CASE)
    default: return x;
    }
}

__device__ static float binary(nx_binary kind, float a, float b)
{
    switch (kind) {
        NX_BINARY_LIST(FN_CASE)
    default: return a;
    }
}
#undef FN_CASE

__device__ static float combine(const nx_gpu_space &s, const float *x)
{
    switch (s.fn) {
    case NX_GPU_COPY: return x[0];
    case NX_GPU_BINARY: return binary(s.binary, x[0], x[1]);
    case NX_GPU_SCALE_SHIFT: return x[0] * x[1] + x[2];
    case NX_GPU_PRELU: return x[0] > 0 ? x[0] : x[1] * x[0];
    case NX_GPU_SELECT: return x[0] != 0 ? x[1] : x[2];
    }
    return 0;
}

__global__ static void each_kernel(nx_gpu_space s, nx_gpu_pointers at)
{
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < s.n;
         i += (int64_t)gridDim.x * THREADS) {
        int64_t rest = i, y_at = 0, x_at[3] = {0, 0, 0};
        bool is_valid = true;
        for (int d = (int)s.rank - 1; d >= 0; d--) {
            int64_t k = rest % s.dims[d];
            rest /= s.dims[d];
            y_at += k * s.y_stride[d];
            for (uint32_t j = 0; j < s.n_x; j++)
                x_at[j] += k * s.x_stride[j][d];
            is_valid = is_valid && !(s.valid && (uint32_t)d == s.valid_dim && k >= s.valid);
        }
        float x[3] = {0, 0, 0}, y = 0;
        if (is_valid) {
            for (uint32_t j = 0; j < s.n_x; j++)
                x[j] = load(at.x[j], s.x_type[j], x_at[j]);
            y = unary(s.act, combine(s, x));
        }
        save(at.y, s.y_type, y_at, y);
    }
}

__global__ static void epilogue_kernel(int64_t n, int64_t channels, nx_gpu_type type,
                                       nx_attr_unary act, nx_gpu_pointers at)
{
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS) {
        float y = load(at.y, type, i);
        y += at.x[2] ? load(at.x[2], type, i % channels) : 0;
        y += at.x[3] ? load(at.x[3], type, i) : 0;
        save(at.y, type, i, unary(act, y));
    }
}

struct windows {
    nx_gpu_image in, out;
    nx_attr_pool pool;
    nx_gpu_type type;
};

struct span {
    int64_t from, to, extent;
};

/* As cpu_ref_conv.c: window_span. */
__device__ static span window_span(const nx_attr_pool &a, int i, int64_t at, int64_t in)
{
    if (!a.even) {
        int64_t first = at * in / a.cells[i], end = ((at + 1) * in + a.cells[i] - 1) / a.cells[i];
        return span{first, end, end - first};
    }
    int64_t from = at * a.window.stride[i] - a.window.before[i], to = from + a.window.kernel[i];
    to = min(to, in + a.window.after[i]);
    return span{max(from, (int64_t)0), min(to, in), to - from};
}

__global__ static void pool_kernel(windows w, nx_gpu_pointers at)
{
    int64_t n = w.out.n * w.out.h * w.out.w * w.out.c;
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS) {
        int64_t c = i % w.out.c, pixel = i / w.out.c, image = pixel / w.out.w / w.out.h;
        span y = window_span(w.pool, 0, pixel / w.out.w % w.out.h, w.in.h);
        span x = window_span(w.pool, 1, pixel % w.out.w, w.in.w);
        float sum = 0, most = -FLT_MAX;
        int64_t count = 0;
        for (int64_t iy = y.from; iy < y.to; iy++)
            for (int64_t ix = x.from; ix < x.to; ix++, count++) {
                float v = load(at.x[0], w.type, ((image * w.in.h + iy) * w.in.w + ix) * w.in.c + c);
                sum += w.pool.kind == NX_POOL_LP ? powf(fabsf(v), (float)w.pool.p) : v;
                most = v > most ? v : most;
            }
        if (w.pool.kind == NX_POOL_MAX)
            sum = most;
        else if (w.pool.kind == NX_POOL_LP)
            sum = powf(sum, 1 / (float)w.pool.p);
        else if (w.pool.kind == NX_POOL_AVG && count)
            sum /= (float)(w.pool.include_pad ? y.extent * x.extent : count);
        save(at.y, w.type, i, sum);
    }
}

__global__ static void lrn_kernel(nx_gpu_image image, nx_attr_lrn a, nx_gpu_type type,
                                  nx_gpu_pointers at)
{
    int64_t n = image.n * image.h * image.w * image.c;
    for (int64_t i = blockIdx.x * (int64_t)THREADS + threadIdx.x; i < n;
         i += (int64_t)gridDim.x * THREADS) {
        int64_t c = i % image.c, from = c - a.size / 2, to = c + a.size / 2;
        float sum = 0;
        for (int64_t k = max(from, (int64_t)0); k <= to && k < image.c; k++) {
            float v = load(at.x[0], type, i - c + k);
            sum += v * v;
        }
        float base = a.knorm + a.alpha / (float)a.size * sum;
        save(at.y, type, i, load(at.x[0], type, i) * powf(base, -a.beta));
    }
}

struct lines {
    uint32_t rank, axis;
    int64_t dims[NX_RANK_MAX], x_stride[NX_RANK_MAX], y_stride[NX_RANK_MAX];
    nx_gpu_type x_type, y_type;
    float temperature;
    bool log;
};

/* Of one value from each thread of the block. */
__device__ static float over_block(float value, bool largest)
{
    __shared__ float part[THREADS];
    part[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) {
            float other = part[threadIdx.x + half];
            part[threadIdx.x] =
                largest ? fmaxf(part[threadIdx.x], other) : part[threadIdx.x] + other;
        }
        __syncthreads();
    }
    value = part[0];
    __syncthreads();
    return value;
}

/* A block for each line. */
__global__ static void softmax_kernel(lines l, nx_gpu_pointers at)
{
    int64_t rest = blockIdx.x, x_at = 0, y_at = 0;
    for (int d = (int)l.rank - 1; d >= 0; d--) {
        if ((uint32_t)d == l.axis)
            continue;
        x_at += rest % l.dims[d] * l.x_stride[d];
        y_at += rest % l.dims[d] * l.y_stride[d];
        rest /= l.dims[d];
    }
    int64_t n = l.dims[l.axis], step = l.x_stride[l.axis];
    float most = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += THREADS)
        most = fmaxf(most, load(at.x[0], l.x_type, x_at + i * step));
    most = over_block(most, true);
    for (int64_t i = threadIdx.x; i < n; i += THREADS)
        sum += expf((load(at.x[0], l.x_type, x_at + i * step) - most) / l.temperature);
    sum = over_block(sum, false);
    for (int64_t i = threadIdx.x; i < n; i += THREADS) {
        float v = (load(at.x[0], l.x_type, x_at + i * step) - most) / l.temperature;
        save(at.y, l.y_type, y_at + i * l.y_stride[l.axis], l.log ? v - logf(sum) : expf(v) / sum);
    }
}

static unsigned blocks_for(int64_t n)
{
    int64_t blocks = (n + THREADS - 1) / THREADS;
    return (unsigned)(blocks < 65536 * 8 ? blocks : 65536 * 8);
}

static void launch_softmax(const nx_gpu_step *step, const nx_gpu_pointers *at, cudaStream_t stream)
{
    lines l = {};
    int64_t n = 1;
    l.rank = step->rank;
    l.axis = step->axis;
    l.x_type = step->x[0].type;
    l.y_type = step->y.type;
    l.temperature = step->temperature;
    l.log = step->log;
    for (uint32_t d = 0; d < step->rank; d++) {
        l.dims[d] = step->dims[d];
        l.x_stride[d] = step->x[0].stride[d];
        l.y_stride[d] = step->y.stride[d];
        n *= d == step->axis ? 1 : step->dims[d];
    }
    softmax_kernel<<<(unsigned)n, THREADS, 0, stream>>>(l, *at);
}

static const char *outcome(void)
{
    cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? NULL : cudaGetErrorString(error);
}

const char *nx_gpu_launch(const struct nx_gpu_step *step, const struct nx_gpu_pointers *at,
                          cudaStream_t stream)
{
    int64_t n = step->out.n * step->out.h * step->out.w * step->out.c;
    if (step->kind == NX_GPU_EACH) {
        nx_gpu_space s;
        nx_gpu_space_of(step, &s);
        each_kernel<<<blocks_for(s.n), THREADS, 0, stream>>>(s, *at);
    } else if (step->kind == NX_GPU_POOL) {
        windows w = {step->in, step->out, step->pool, step->y.type};
        pool_kernel<<<blocks_for(n), THREADS, 0, stream>>>(w, *at);
    } else if (step->kind == NX_GPU_LRN) {
        lrn_kernel<<<blocks_for(n), THREADS, 0, stream>>>(step->in, step->lrn, step->y.type, *at);
    } else {
        launch_softmax(step, at, stream);
    }
    return outcome();
}

const char *nx_gpu_launch_epilogue(const struct nx_gpu_step *step, const struct nx_gpu_pointers *at,
                                   cudaStream_t stream)
{
    int64_t n = step->out.n * step->out.h * step->out.w * step->out.c;
    epilogue_kernel<<<blocks_for(n), THREADS, 0, stream>>>(n, step->out.c, step->y.type, step->act,
                                                           *at);
    return outcome();
}
