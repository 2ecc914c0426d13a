/* graph.h — a neural network as data: tensors, and nodes that compute some of them from others.
 *
 * A loader builds a graph and nothing behind the loader knows the file format; passes rewrite it; a
 * backend turns it into a program. Nodes stand in an order in which they can run:
 *
 *   for every node n and every input t of n:  t is an input, a constant, or computed by a node
 * before n
 *
 * Loaders lower what they read to the few canonical ops below (Flatten, expand_dims and squeeze are
 * NX_OP_RESHAPE; Dropout is NX_OP_IDENTITY; _plus_scalar is NX_OP_UNARY), so that a backend has few
 * things to know. Every op's meaning is its code in cpu/cpu_ref.c.
 *
 * Shapes  row-major; images are (N, C, H, W). Dimension 0 of every batched graph input is the batch and
 *         nothing else is known about it until nx_shape_infer(graph, batch) (shape.h), which gives
 *         every tensor its shape and makes attributes explicit: see "resolved" at each.
 * Owner   everything lives in the arena given at nx_graph_init, except the data of constants, which
 *         its source owns (the params file's bytes, or an arena); it must outlive the graph.
 * Thread  one at a time. */
#ifndef NX_CATEGORIZER_GRAPH_GRAPH_H
#define NX_CATEGORIZER_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/status.h"

/* Bounds on what a file can make us hold. The largest real symbol seen has 2,250 nodes. */
#define NX_NODES_MAX        20000u
#define NX_TENSORS_MAX      60000u
#define NX_NODE_INPUTS_MAX  1024u
#define NX_NODE_OUTPUTS_MAX 1024u
#define NX_PORTS_MAX        64u /* inputs, outputs of a graph */
#define NX_RANK_MAX         6u
#define NX_DIM_MAX          (INT64_C(1) << 31)
#define NX_TENSOR_BYTES_MAX (UINT64_C(1) << 32) /* one tensor, at the batch it is inferred for */
#define NX_BATCH_MAX        4096u

#define NX_NONE UINT32_MAX /* no tensor, no node */

/* How numbers stand in a file and in a caller's input or output: X(name, code, bytes of an element).
 * The codes are those of MXNet's .params. All that is computed is computed in f32 (see nx_port). */
#define NX_DTYPE_LIST(X) \
    X(F32, 0, 4)         \
    X(F64, 1, 8)         \
    X(F16, 2, 2)         \
    X(U8, 3, 1)          \
    X(I32, 4, 4)         \
    X(I8, 5, 1)          \
    X(I64, 6, 8)         \
    X(BOOL, 7, 1)        \
    X(I16, 8, 2)         \
    X(U16, 9, 2)         \
    X(U32, 10, 4)        \
    X(U64, 11, 8)        \
    X(BF16, 12, 2)

enum nx_dtype {
#define NX_DTYPE_ENUM(name, code, bytes) NX_##name = code,
    NX_DTYPE_LIST(NX_DTYPE_ENUM)
#undef NX_DTYPE_ENUM
        NX_DTYPES
};

#define NX_RANK_UNKNOWN UINT32_MAX

struct nx_shape {
    uint32_t rank; /* <= NX_RANK_MAX, or NX_RANK_UNKNOWN before inference; 0 is a scalar */
    int64_t dims[NX_RANK_MAX]; /* each 1 … NX_DIM_MAX once inferred; unused ones are 0 */
};

enum nx_tensor_kind {
    NX_TENSOR_INPUT,    /* brought by each run; dims[0] is the batch */
    NX_TENSOR_CONSTANT, /* a weight or a folded value; data NULL while only its name is known */
    NX_TENSOR_COMPUTED  /* written by its producer */
};

struct nx_tensor {
    const char *name; /* from the file, for sentences; never NULL, printable or not */
    enum nx_tensor_kind kind;
    struct nx_shape shape;
    const void *data;  /* constants: dense row-major f32, aligned; else NULL */
    uint32_t producer; /* node index, for computed ones; else NX_NONE */
};

/* clang-format off */
/* X(enum, name for sentences, fewest inputs, most inputs, member of nx_node.attr)
 *   CONV         x (N,C,H,W), weight (O, C/groups, kh, kw), [bias (O)], [residual, if post.sum]
 *   DECONV       x (N,C,H,W), weight (C, O/groups, kh, kw), [bias (O)]: the transposed convolution, each x adding
 *                its multiple of the filters to the output
 *   FC           x (N, …) or (…, K), weight (O, K), [bias (O)], [residual, if post.sum]
 *   BATCH_NORM   x, gamma (C), beta (C), mean (C), var (C)
 *                y = gamma (x - mean) / sqrt(var + eps) + beta, C = x.dims[axis]
 *   SCALE_SHIFT  x, scale (C), shift (C);  y = x scale + shift, C = x.dims[axis]
 *   LAYER_NORM   x, [gamma, [beta]], these of the dimensions first … last;
 *                y = gamma (x - mean) / sqrt(var + eps) + beta, mean and var over these dimensions
 *   GROUP_NORM   x (N,C,…), gamma and beta (C), or both (groups); the same over C/groups channels and all
 *                that is behind them
 *   POOL         x (N,C,H,W)
 *   UNARY        x; elementwise, see nx_unary
 *   PRELU        x, slope (1) or (C = x.dims[1]);  y = x > 0 ? x : slope x
 *   BINARY       a, b; elementwise with NumPy broadcasting
 *   WHERE        c, a, b; elementwise c != 0 ? a : b with NumPy broadcasting
 *   MATMUL       a (…, M, K), b (…, K, N), or transposed; … with NumPy broadcasting → (…, M, N)
 *   CONCAT       x0, x1, … along axis
 *   RESHAPE      x; the same elements in row-major order
 *   SOFTMAX      x; along axis, of x / temperature
 *   REDUCE       x; over axes
 *   SPLIT        x; its outputs are equal parts of axis
 *   SLICE        x; x[begin : end : step] in each dimension
 *   TRANSPOSE    x
 *   PAD          x
 *   TILE         x, repeated along each dimension
 *   GATHER       x, indices of any shape; x's slices along axis, in the indices' order and shape
 *   GATHER_EACH  x, indices of as many dimensions, each but axis no longer than x's; of the indices' shape:
 *                y[i] = x[i but for axis, where it is indices[i]]
 *   RESIZE       x (N,C,H,W)
 *   TOPK         x; the first k along axis, in order
 *   LRN          x (N,C,H,W);  y = x (knorm + alpha / size * sum of x² over `size` channels)^-beta
 *   L2_NORM      x;  y = x / sqrt(sum x² + eps), the sum over what mode says
 *   IDENTITY     x */
#define NX_OP_LIST(X)                                            \
    X(NX_OP_CONV,        "convolution",          2, 4, conv)        \
    X(NX_OP_DECONV,      "transposed convolution", 2, 3, deconv)    \
    X(NX_OP_FC,          "fully connected",      2, 4, fc)          \
    X(NX_OP_BATCH_NORM,  "batch norm",           5, 5, batch_norm)  \
    X(NX_OP_SCALE_SHIFT, "scale-shift",          3, 3, scale_shift) \
    X(NX_OP_LAYER_NORM,  "layer norm",           1, 3, layer_norm)  \
    X(NX_OP_GROUP_NORM,  "group norm",           3, 3, group_norm)  \
    X(NX_OP_POOL,        "pooling",              1, 1, pool)        \
    X(NX_OP_UNARY,       "elementwise function", 1, 1, unary)       \
    X(NX_OP_PRELU,       "prelu",                2, 2, none)        \
    X(NX_OP_BINARY,      "binary",               2, 2, binary)      \
    X(NX_OP_WHERE,       "where",                3, 3, none)        \
    X(NX_OP_MATMUL,      "matrix product",       2, 2, matmul)      \
    X(NX_OP_CONCAT,      "concat",               1, NX_NODE_INPUTS_MAX, concat) \
    X(NX_OP_RESHAPE,     "reshape",              1, 1, reshape)     \
    X(NX_OP_SOFTMAX,     "softmax",              1, 1, softmax)     \
    X(NX_OP_REDUCE,      "reduce",               1, 1, reduce)      \
    X(NX_OP_SPLIT,       "split",                1, 1, split)       \
    X(NX_OP_SLICE,       "slice",                1, 1, slice)       \
    X(NX_OP_TRANSPOSE,   "transpose",            1, 1, transpose)   \
    X(NX_OP_PAD,         "pad",                  1, 1, pad)         \
    X(NX_OP_TILE,        "tile",                 1, 1, tile)        \
    X(NX_OP_GATHER,      "gather",               2, 2, gather)      \
    X(NX_OP_GATHER_EACH, "gather elements",      2, 2, gather)      \
    X(NX_OP_RESIZE,      "resize",               1, 1, resize)      \
    X(NX_OP_TOPK,        "top k",                1, 1, topk)        \
    X(NX_OP_LRN,         "local response norm",  1, 1, lrn)         \
    X(NX_OP_L2_NORM,     "l2 norm",              1, 1, l2_norm)     \
    X(NX_OP_IDENTITY,    "identity",             1, 1, none)
/* clang-format on */

enum nx_op {
#define NX_OP_ENUM(op, name, least, most, attr) op,
    NX_OP_LIST(NX_OP_ENUM)
#undef NX_OP_ENUM
        NX_OP_COUNT
};

/* clang-format off */
/* X(enum, name, y as an expression of float x, a, b): the expression is the definition; cpu_ref
 * compiles it. nx_round_f16 and nx_round_bf16 are half_round.h's, nx_round_steps is step_round.h's. */
#define NX_UNARY_LIST(X)                                                    \
    X(NX_UNARY_NONE,         "none",                 x)                     \
    X(NX_UNARY_RELU,         "relu",                 x > 0 ? x : 0)         \
    X(NX_UNARY_LEAKY,        "leaky relu",           x > 0 ? x : a * x)     \
    X(NX_UNARY_ELU,          "elu",                  x > 0 ? x : a * expm1f(x)) \
    X(NX_UNARY_SELU,         "selu",                                        \
      1.0507009873554805f * (x > 0 ? x : 1.6732632423543772f * expm1f(x)))  \
    X(NX_UNARY_GELU,         "gelu",                 0.5f * x * (1 + erff(x * 0.70710678118654752f))) \
    X(NX_UNARY_SIGMOID,      "sigmoid",              1 / (1 + expf(-x)))    \
    X(NX_UNARY_TANH,         "tanh",                 tanhf(x))              \
    X(NX_UNARY_SOFTRELU,     "softrelu",             x > 20 ? x : log1pf(expf(x))) \
    X(NX_UNARY_SOFTSIGN,     "softsign",             x / (1 + fabsf(x)))    \
    X(NX_UNARY_LOG_SIGMOID,  "log sigmoid",          x < -20 ? x : -log1pf(expf(-x))) \
    X(NX_UNARY_MISH,         "mish",                 x * tanhf(x > 20 ? x : log1pf(expf(x)))) \
    X(NX_UNARY_CLIP,         "clip",                 x < a ? a : x > b ? b : x) \
    X(NX_UNARY_HARD_SIGMOID, "hard sigmoid",         fmaxf(0, fminf(1, a * x + b))) \
    X(NX_UNARY_HARD_SWISH,   "hard swish",           x * fmaxf(0, fminf(1, a * x + b))) \
    X(NX_UNARY_GELU_TANH,    "gelu by tanh",                                \
      0.5f * x * (1 + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)))) \
    X(NX_UNARY_ERF,          "error function",       erff(x))               \
    X(NX_UNARY_ADD,          "add scalar",           x + a)                 \
    X(NX_UNARY_RSUB,         "subtract from scalar", a - x)                 \
    X(NX_UNARY_MUL,          "multiply by scalar",   x * a)                 \
    X(NX_UNARY_DIV,          "divide by scalar",     x / a)                 \
    X(NX_UNARY_RDIV,         "divide scalar by",     a / x)                 \
    X(NX_UNARY_POW,          "power",                powf(x, a))            \
    X(NX_UNARY_MAX,          "maximum with scalar",  x > a ? x : a)         \
    X(NX_UNARY_MIN,          "minimum with scalar",  x < a ? x : a)         \
    X(NX_UNARY_EXP,          "exp",                  expf(x))               \
    X(NX_UNARY_LOG,          "log",                  logf(x))               \
    X(NX_UNARY_SQRT,         "sqrt",                 sqrtf(x))              \
    X(NX_UNARY_SQUARE,       "square",               x * x)                 \
    X(NX_UNARY_ABS,          "abs",                  fabsf(x))              \
    X(NX_UNARY_SIGN,         "sign",                 (float)((x > 0) - (x < 0))) \
    X(NX_UNARY_FLOOR,        "floor",                floorf(x))             \
    X(NX_UNARY_CEIL,         "ceil",                 ceilf(x))              \
    X(NX_UNARY_TRUNC,        "truncate",             truncf(x))             \
    X(NX_UNARY_ROUND,        "round, halves away from 0", roundf(x))        \
    X(NX_UNARY_RINT,         "round, halves to even",  rintf(x))            \
    X(NX_UNARY_RINT_DOWN,    "round, halves down",   x - floorf(x) <= ceilf(x) - x ? floorf(x) : ceilf(x)) \
    X(NX_UNARY_RSQRT,        "reciprocal square root", 1 / sqrtf(x))        \
    X(NX_UNARY_CBRT,         "cube root",            cbrtf(x))              \
    X(NX_UNARY_RCBRT,        "reciprocal cube root", 1 / cbrtf(x))          \
    X(NX_UNARY_EXPM1,        "exp minus 1",          expm1f(x))             \
    X(NX_UNARY_LOG1P,        "log of 1 plus",        log1pf(x))             \
    X(NX_UNARY_LOG2,         "log to 2",             log2f(x))              \
    X(NX_UNARY_LOG10,        "log to 10",            log10f(x))             \
    X(NX_UNARY_SIN,          "sine",                 sinf(x))               \
    X(NX_UNARY_COS,          "cosine",               cosf(x))               \
    X(NX_UNARY_TAN,          "tangent",              tanf(x))               \
    X(NX_UNARY_ASIN,         "arc sine",             asinf(x))              \
    X(NX_UNARY_ACOS,         "arc cosine",           acosf(x))              \
    X(NX_UNARY_ATAN,         "arc tangent",          atanf(x))              \
    X(NX_UNARY_SINH,         "hyperbolic sine",      sinhf(x))              \
    X(NX_UNARY_COSH,         "hyperbolic cosine",    coshf(x))              \
    X(NX_UNARY_ASINH,        "inverse hyperbolic sine", asinhf(x))          \
    X(NX_UNARY_ACOSH,        "inverse hyperbolic cosine", acoshf(x))        \
    X(NX_UNARY_ATANH,        "inverse hyperbolic tangent", atanhf(x))       \
    X(NX_UNARY_CONSTANT,     "constant",             a)                     \
    X(NX_UNARY_SWISH,        "swish",                x / (1 + expf(-a * x))) \
    X(NX_UNARY_CELU,         "celu",                 x > 0 ? x : a * expm1f(x / a)) \
    X(NX_UNARY_THRESHOLD,    "thresholded relu",     x > a ? x : 0)         \
    X(NX_UNARY_SHRINK,       "shrink",               x < -a ? x + b : x > a ? x - b : 0) \
    X(NX_UNARY_SMOOTH_L1,    "smooth l1",            fabsf(x) < 1 / (a * a) \
      ? 0.5f * a * a * x * x : fabsf(x) - 0.5f / (a * a))                   \
    X(NX_UNARY_RPOW,         "power of scalar",      powf(a, x))            \
    X(NX_UNARY_MOD,          "modulo scalar",        nx_mod(x, a))          \
    X(NX_UNARY_RMOD,         "scalar modulo",        nx_mod(a, x))          \
    X(NX_UNARY_HYPOT,        "hypotenuse with scalar", hypotf(x, a))        \
    X(NX_UNARY_EQ,           "equal to scalar",      (float)(x == a))       \
    X(NX_UNARY_NE,           "not equal to scalar",  (float)(x != a))       \
    X(NX_UNARY_GT,           "greater than scalar",  (float)(x > a))        \
    X(NX_UNARY_GE,           "scalar or greater",    (float)(x >= a))       \
    X(NX_UNARY_LT,           "less than scalar",     (float)(x < a))        \
    X(NX_UNARY_LE,           "scalar or less",       (float)(x <= a))       \
    X(NX_UNARY_NOT,          "not",                  (float)(x == 0))       \
    X(NX_UNARY_IS_NAN,       "is not a number",      (float)(x != x))       \
    X(NX_UNARY_IS_INF,       "is infinite",          (float)(fabsf(x) > 3.402823466e38f)) \
    X(NX_UNARY_ROUND_F16,    "round to f16",         nx_round_f16(x))        \
    X(NX_UNARY_ROUND_BF16,   "round to bf16",        nx_round_bf16(x))      \
    X(NX_UNARY_STEPS_8,      "round to 8 bits",      nx_round_steps(x, a, b, NX_STEPS_8)) \
    X(NX_UNARY_STEPS_16,     "round to 16 bits",     nx_round_steps(x, a, b, NX_STEPS_16))
/* clang-format on */

enum nx_unary {
#define NX_UNARY_ENUM(fn, name, expression) fn,
    NX_UNARY_LIST(NX_UNARY_ENUM)
#undef NX_UNARY_ENUM
        NX_UNARY_COUNT
};

struct nx_attr_unary {
    enum nx_unary fn;
    float a, b;
};

/* clang-format off */
/* X(enum, name, y as an expression of float a, b) */
#define NX_BINARY_LIST(X)                                            \
    X(NX_BINARY_ADD,   "add",              a + b)                    \
    X(NX_BINARY_SUB,   "subtract",         a - b)                    \
    X(NX_BINARY_MUL,   "multiply",         a * b)                    \
    X(NX_BINARY_DIV,   "divide",           a / b)                    \
    X(NX_BINARY_MAX,   "maximum",          a > b ? a : b)            \
    X(NX_BINARY_MIN,   "minimum",          a < b ? a : b)            \
    X(NX_BINARY_POW,   "power",            powf(a, b))               \
    X(NX_BINARY_MOD,   "modulo",           nx_mod(a, b))             \
    X(NX_BINARY_FMOD,  "remainder",        fmodf(a, b))              \
    X(NX_BINARY_HYPOT, "hypotenuse",       hypotf(a, b))             \
    X(NX_BINARY_ATAN2, "arc tangent of 2", atan2f(a, b))             \
    X(NX_BINARY_EQ,    "equal",            (float)(a == b))          \
    X(NX_BINARY_NE,    "not equal",        (float)(a != b))          \
    X(NX_BINARY_GT,    "greater",          (float)(a > b))           \
    X(NX_BINARY_GE,    "greater or equal", (float)(a >= b))          \
    X(NX_BINARY_LT,    "less",             (float)(a < b))           \
    X(NX_BINARY_LE,    "less or equal",    (float)(a <= b))          \
    X(NX_BINARY_AND,   "and",              (float)(a != 0 && b != 0)) \
    X(NX_BINARY_OR,    "or",               (float)(a != 0 || b != 0)) \
    X(NX_BINARY_XOR,   "exclusive or",     (float)((a != 0) != (b != 0)))
/* clang-format on */

/* nx_mod (cpu_ref_ops.h): the remainder with the divisor's sign, as Python's %; 0 for a divisor of 0. */
enum nx_binary {
#define NX_BINARY_ENUM(kind, name, expression) kind,
    NX_BINARY_LIST(NX_BINARY_ENUM)
#undef NX_BINARY_ENUM
        NX_BINARY_COUNT
};

/* [0] is along H, [1] along W. A convolution's output is
 * (in + before + after - ((kernel - 1) dilate + 1)) / stride + 1, rounded down. */
struct nx_window {
    int32_t kernel[2], stride[2], dilate[2];
    int32_t before[2], after[2]; /* zero padding; for a POOL see below */
};

struct nx_attr_conv {
    struct nx_window window;
    int32_t groups;  /* groups == C == O is depthwise */
    int64_t filters; /* O */
};

/* The output's side is (in - 1) stride + (kernel - 1) dilate + 1 - before - after + extra: what was padding of the
 * convolution is cut off. */
struct nx_attr_deconv {
    struct nx_window window; /* resolved: before, where target is set */
    int32_t extra[2];        /* more rows below, more columns on the right */
    /* the output's sides instead, of which before is cut so as to be even; 0: none */
    int64_t target[2];
    int32_t groups;
    int64_t filters; /* O */
};

struct nx_attr_fc {
    int64_t units; /* O */
    bool flatten; /* true: x is (N, K = the rest in C,H,W order) → (N, O); false: (…, K) → (…, O) */
};

struct nx_attr_batch_norm {
    float eps;
    bool fix_gamma; /* gamma counts as 1 whatever its values */
    int32_t axis;   /* resolved: 0 … rank-1 */
};

struct nx_attr_layer_norm {
    float eps;
    int32_t first, last; /* resolved; first <= last */
};

struct nx_attr_group_norm {
    float eps;
    int32_t groups; /* 0: as many as channels */
};

struct nx_attr_scale_shift {
    int32_t axis; /* resolved */
};

enum nx_pool { NX_POOL_MAX, NX_POOL_AVG, NX_POOL_SUM, NX_POOL_LP };

enum nx_pool_rounding {
    NX_ROUND_DOWN, /* MXNet "valid": floor((in + before + after - kernel) / stride) + 1 */
    NX_ROUND_UP, /* MXNet "full": ceil of the same; a window may start in the padding at the end */
    NX_ROUND_UP_INSIDE, /* ONNX ceil_mode: the same, without a last window that starts past the input */
    NX_ROUND_SAME       /* MXNet "same": ceil((in + before + after) / stride) */
};

/* The window of output o covers [o stride - before, min(that + kernel, in + after)) and is then cut
 * to [0, in). AVG divides by the first extent with include_pad, else by the second. An empty window
 * gives 0 (SUM, AVG) or -FLT_MAX (MAX). Resolved: a global pool has kernel = (H, W), no padding,
 * stride 1; `rounding` has been used up in the output's shape. dilate is 1. LP is (sum |x|^p)^(1/p).
 * With cells[] the output has that many, AVG alone: cell o covers [o in / cells, (o + 1) in / cells), its bounds
 * rounded outwards. Resolved: where cells divide both sides, the window is set as well. */
struct nx_attr_pool {
    enum nx_pool kind;
    enum nx_pool_rounding rounding;
    bool global;
    bool include_pad;
    int32_t p;        /* of LP */
    int64_t cells[2]; /* 0: none */
    bool even;        /* resolved: without cells, or where these divide the sides */
    struct nx_window window;
};

struct nx_attr_binary {
    enum nx_binary kind;
};

struct nx_attr_matmul {
    bool transpose_a, transpose_b; /* the last two dimensions lie the other way round */
    bool one_matrix;               /* b has to be a matrix, and a one as well if it is transposed */
};

struct nx_attr_concat {
    int32_t axis; /* resolved */
};

enum nx_reshape {
    NX_RESHAPE_CODES, /* codes: > 0, 0 copy, -1 infer, -2 copy the rest, -3 merge two, -4 a b split
                       */
    NX_RESHAPE_FLATTEN, /* (N, …) → (N, product) */
    NX_RESHAPE_EXPAND,  /* a 1 put in at codes[0] */
    NX_RESHAPE_SQUEEZE  /* the 1s at codes[] taken out; none given: all of them */
};

#define NX_RESHAPE_CODES_MAX 16u

struct nx_attr_reshape {
    enum nx_reshape kind;
    uint32_t n;                          /* of codes */
    int64_t codes[NX_RESHAPE_CODES_MAX]; /* EXPAND, SQUEEZE: axes, maybe negative */
    bool reverse;                        /* codes are matched from the right */
};

struct nx_attr_softmax {
    int32_t axis; /* resolved; NX_AXIS_REST: over all of a row of the batch */
    bool log;
    float temperature;
};
#define NX_AXIS_REST INT32_MAX

/* NORM is sqrt(sum x²). ARGMAX and ARGMIN are the first index (last_index: the last) along one axis. */
enum nx_reduce {
    NX_REDUCE_MEAN,
    NX_REDUCE_SUM,
    NX_REDUCE_MAX,
    NX_REDUCE_MIN,
    NX_REDUCE_PROD,
    NX_REDUCE_NORM,
    NX_REDUCE_ARGMAX,
    NX_REDUCE_ARGMIN
};

struct nx_attr_reduce {
    enum nx_reduce kind;
    bool keepdims, exclude; /* exclude: over all axes but these */
    bool last_index;
    uint32_t n;                /* of axes; 0: all of them */
    int32_t axes[NX_RANK_MAX]; /* maybe negative */
    uint32_t mask;             /* resolved: bit i set = dimension i is reduced */
};

struct nx_attr_split {
    int32_t axis; /* resolved */
    bool squeeze; /* the parts are 1 wide and lose that dimension */
};

#define NX_SLICE_TO_END INT64_MAX

struct nx_range {
    int32_t axis;             /* maybe negative */
    int64_t begin, end, step; /* negative ones count from the end of the dimension */
};

struct nx_attr_slice {
    uint32_t n; /* of ranges; dimensions without one are whole */
    struct nx_range ranges[NX_RANK_MAX];
    int64_t first[NX_RANK_MAX],
        stride[NX_RANK_MAX]; /* resolved, per dimension: x[first + i stride] */
};

enum nx_transpose { NX_TRANSPOSE_AXES, NX_TRANSPOSE_REVERSE, NX_TRANSPOSE_SWAP };

struct nx_attr_transpose {
    enum nx_transpose kind;
    uint32_t n;
    int32_t axes[NX_RANK_MAX]; /* as given: a permutation, or the two to swap */
    int32_t perm[NX_RANK_MAX]; /* resolved: y.dims[i] = x.dims[perm[i]] */
};

enum nx_pad { NX_PAD_CONSTANT, NX_PAD_EDGE, NX_PAD_REFLECT };

struct nx_attr_pad {
    enum nx_pad mode;
    float value;
    uint32_t n; /* dimensions given = rank */
    int64_t before[NX_RANK_MAX], after[NX_RANK_MAX];
};

enum nx_tile {
    NX_TILE_REPEAT, /* counts are how often; aligned with the last dimensions, as NumPy does */
    NX_TILE_TO /* counts are the sides of the result, of which 0 copies x's; x's others are 1 */
};

struct nx_attr_tile {
    enum nx_tile kind;
    uint32_t n; /* of counts */
    int64_t counts[NX_RANK_MAX];
};

struct nx_attr_gather {
    int32_t axis; /* resolved */
    /* indices outside count modulo the side; else they are cut to it, after -1 meant the last */
    bool wrap;
    bool negative_is_from_end;
};

enum nx_resize { NX_RESIZE_NEAREST, NX_RESIZE_LINEAR };

/* Where does place o of the output lie in the input? (in, out: sides; scale: out / in, or as given) */
enum nx_resize_place {
    NX_PLACE_HALF_PIXEL,         /* (o + 0.5) / scale - 0.5 */
    NX_PLACE_HALF_PIXEL_OR_ZERO, /* the same, and 0 where the output is 1 wide */
    NX_PLACE_ASYMMETRIC,         /* o / scale */
    NX_PLACE_ALIGN_CORNERS       /* o (in - 1) / (out - 1) */
};

enum nx_resize_round { NX_ROUND_FLOOR, NX_ROUND_CEIL, NX_ROUND_HALF_DOWN, NX_ROUND_HALF_UP };

/* NEAREST takes the place rounded, LINEAR weighs the four around it; both are cut to the image first. */
struct nx_attr_resize {
    enum nx_resize kind;
    enum nx_resize_place place;
    enum nx_resize_round round;
    int64_t size[2]; /* of the output; 0: from scale */
    float scale[2];  /* size is in * scale, rounded down; 0: from size */
    float step[2];   /* resolved: 1 / scale, or in / out where there is none */
};

enum nx_topk_gives { NX_TOPK_VALUES, NX_TOPK_INDICES };

/* Largest first, or smallest first; of equal ones the lowest index first, a NaN behind all numbers. */
struct nx_attr_topk {
    enum nx_topk_gives gives;
    bool smallest;
    int32_t axis; /* resolved */
    int64_t k;    /* 0: the whole side */
};

#define NX_TOPK_SIDE_MAX (INT64_C(1) << 24) /* indices are f32 as all else */

struct nx_attr_lrn {
    int32_t size; /* odd */
    float alpha, beta, knorm;
};

enum nx_l2 { NX_L2_INSTANCE, NX_L2_CHANNEL, NX_L2_SPATIAL };

struct nx_attr_l2_norm {
    enum nx_l2 mode; /* sum over: all but the batch; dimension 1; the dimensions from 2 on */
    float eps;
};

/* What a pass hung on a node that computes anyway:  y = act(op(x) + residual).
 * Legal on CONV and FC (sum and act), SCALE_SHIFT and BINARY (act). With `sum` the residual is the
 * node's last input, a computed tensor of the output's shape, and dies here: the output takes its
 * place in memory (plan.h). A backend may refuse weights that are not constants. */
struct nx_post {
    bool sum;
    struct nx_attr_unary act; /* fn NX_UNARY_NONE: none */
};

struct nx_node {
    enum nx_op op;
    const char *name; /* from the file, for sentences; never NULL */
    uint32_t n_inputs, n_outputs;
    uint32_t *inputs, *outputs; /* tensor indices */
    struct nx_post post;
    union {
        struct nx_attr_conv conv;
        struct nx_attr_deconv deconv;
        struct nx_attr_fc fc;
        struct nx_attr_batch_norm batch_norm;
        struct nx_attr_layer_norm layer_norm;
        struct nx_attr_group_norm group_norm;
        struct nx_attr_matmul matmul;
        struct nx_attr_tile tile;
        struct nx_attr_gather gather;
        struct nx_attr_resize resize;
        struct nx_attr_scale_shift scale_shift;
        struct nx_attr_pool pool;
        struct nx_attr_unary unary;
        struct nx_attr_binary binary;
        struct nx_attr_concat concat;
        struct nx_attr_reshape reshape;
        struct nx_attr_softmax softmax;
        struct nx_attr_reduce reduce;
        struct nx_attr_split split;
        struct nx_attr_slice slice;
        struct nx_attr_transpose transpose;
        struct nx_attr_pad pad;
        struct nx_attr_topk topk;
        struct nx_attr_lrn lrn;
        struct nx_attr_l2_norm l2_norm;
        char none;
    } attr;
};

/* CONV, DECONV and FC: is inputs[2] a bias? */
static inline bool nx_node_has_bias(const struct nx_node *node)
{
    return node->n_inputs - (node->post.sum ? 1u : 0u) > 2;
}

/* A graph's input or output as its file declares it. A program takes and gives f32 whatever the dtype:
 * who brings other types converts at the edge (model.h). */
struct nx_port {
    const char *name; /* the file's; lives as long as the graph's tensors' names */
    enum nx_dtype dtype;
    bool batched; /* dimension 0 is the batch; else the shape is the same for every batch */
};

struct nx_graph {
    struct nx_arena *arena;
    struct nx_tensor *tensors;
    struct nx_node *nodes;
    uint32_t *inputs, *outputs; /* tensor indices; an output may be an input or a constant */
    struct nx_port *in, *out;   /* what is said of them */
    uint32_t n_tensors, n_nodes, n_inputs, n_outputs;
    uint32_t cap_tensors, cap_nodes;
    uint32_t batch; /* the batch of the shapes; 0 before inference */
};

void nx_graph_init(struct nx_graph *graph, struct nx_arena *arena);

/* Appends; *index is set on success. NX_TOO_LARGE over a bound above, NX_NO_MEMORY. Pointers into
 * graph->tensors and graph->nodes do not survive an append. `name` is copied. */
enum nx_status nx_graph_add_tensor(struct nx_graph *graph, enum nx_tensor_kind kind,
                                   const char *name, uint32_t *index, struct nx_err *err);
/* A constant whose shape and data are known. */
enum nx_status nx_graph_add_constant(struct nx_graph *graph, const char *name,
                                     const struct nx_shape *shape, const void *data,
                                     uint32_t *index, struct nx_err *err);
/* `node` is copied with its inputs; its n_outputs computed tensors are made here, named after it,
 * and node->outputs is ignored. NX_INVALID if the number of inputs is not one the op takes. */
enum nx_status nx_graph_add_node(struct nx_graph *graph, const struct nx_node *node,
                                 uint32_t *index, struct nx_err *err);
/* The ports are named as the tensors are, f32 and batched; a loader that knows better says so afterwards. */
enum nx_status nx_graph_set_io(struct nx_graph *graph, const uint32_t *inputs, uint32_t n_inputs,
                               const uint32_t *outputs, uint32_t n_outputs, struct nx_err *err);

/* A graph of its own in `arena`; names and the data of constants are shared with `src`. */
enum nx_status nx_graph_clone(const struct nx_graph *src, struct nx_arena *arena,
                              struct nx_graph *dst, struct nx_err *err);
/* The names, copied into `arena`: a clone for a program outlives the graph that the file became.
 * On failure the graph is of no use. */
enum nx_status nx_graph_keep_names(struct nx_graph *graph, struct nx_arena *arena,
                                   struct nx_err *err);

/* Our own invariant, for tests and under NX_CHECKED: order, indices, producers, arities. */
bool nx_graph_is_sound(const struct nx_graph *graph);

/* Elements of a known shape (1 for a scalar). False if the product passes NX_TENSOR_BYTES_MAX / 4.
 */
bool nx_shape_elements(const struct nx_shape *shape, uint64_t *elements);
bool nx_shape_equal(const struct nx_shape *a, const struct nx_shape *b);
uint64_t nx_tensor_bytes(const struct nx_tensor *tensor); /* of an inferred tensor */

#define NX_SHAPE_TEXT_BYTES 160
/* "(64, 3, 7, 7)", "()" or "unknown". Returns `text`. */
const char *nx_shape_text(const struct nx_shape *shape, char text[NX_SHAPE_TEXT_BYTES]);

uint32_t nx_dtype_bytes(uint32_t dtype);        /* of an element; 0: no such dtype */
const char *nx_dtype_name(enum nx_dtype dtype); /* "F32" */

const char *nx_op_name(enum nx_op op);
const char *nx_unary_name(enum nx_unary fn);

/* Multiply-adds of CONV, DECONV, FC and MATMUL at the inferred batch; saturates. */
uint64_t nx_graph_macs(const struct nx_graph *graph);

/* The same, with an element read or written by any other op counted as one: what a run costs at most,
 * for bounds on what a file may make us do. */
uint64_t nx_graph_work(const struct nx_graph *graph);
uint64_t nx_graph_node_work(const struct nx_graph *graph, const struct nx_node *node);

#endif
