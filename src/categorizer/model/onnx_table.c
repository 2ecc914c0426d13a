#include <string.h>

#include "categorizer/model/onnx_parts.h"

static const struct nx_onnx_op table[] = {
    {"Conv", nx_onnx_conv, 0},
    {"Gemm", nx_onnx_gemm, 0},
    {"MatMul", nx_onnx_matmul, 0},
    {"MaxPool", nx_onnx_pool, NX_POOL_MAX},
    {"AveragePool", nx_onnx_pool, NX_POOL_AVG},
    {"GlobalMaxPool", nx_onnx_global_pool, NX_POOL_MAX},
    {"GlobalAveragePool", nx_onnx_global_pool, NX_POOL_AVG},
    {"LRN", nx_onnx_lrn, 0},

    {"BatchNormalization", nx_onnx_batch_norm, 0},
    {"InstanceNormalization", nx_onnx_instance_norm, 0},
    {"LayerNormalization", nx_onnx_layer_norm, 0},
    {"Softmax", nx_onnx_softmax, 0},
    {"LogSoftmax", nx_onnx_softmax, 1},
    {"ReduceMean", nx_onnx_lower_reduce, NX_REDUCE_MEAN},
    {"ReduceSum", nx_onnx_lower_reduce, NX_REDUCE_SUM},
    {"ReduceMax", nx_onnx_lower_reduce, NX_REDUCE_MAX},

    {"Relu", nx_onnx_plain, NX_UNARY_RELU},
    {"Sigmoid", nx_onnx_plain, NX_UNARY_SIGMOID},
    {"Tanh", nx_onnx_plain, NX_UNARY_TANH},
    {"Softplus", nx_onnx_plain, NX_UNARY_SOFTRELU},
    {"Softsign", nx_onnx_plain, NX_UNARY_SOFTSIGN},
    {"Mish", nx_onnx_plain, NX_UNARY_MISH},
    {"Exp", nx_onnx_plain, NX_UNARY_EXP},
    {"Log", nx_onnx_plain, NX_UNARY_LOG},
    {"Sqrt", nx_onnx_plain, NX_UNARY_SQRT},
    {"Abs", nx_onnx_plain, NX_UNARY_ABS},
    {"Erf", nx_onnx_plain, NX_UNARY_ERF},
    {"Neg", nx_onnx_negative, 0},
    {"Reciprocal", nx_onnx_reciprocal, 0},
    {"LeakyRelu", nx_onnx_scaled, NX_UNARY_LEAKY},
    {"Elu", nx_onnx_scaled, NX_UNARY_ELU},
    {"HardSigmoid", nx_onnx_scaled, NX_UNARY_HARD_SIGMOID},
    {"HardSwish", nx_onnx_hard_swish, 0},
    {"Selu", nx_onnx_selu, 0},
    {"Gelu", nx_onnx_gelu, 0},
    {"Clip", nx_onnx_clip, 0},
    {"PRelu", nx_onnx_prelu, 0},

    {"Add", nx_onnx_arithmetic, NX_BINARY_ADD},
    {"Sub", nx_onnx_arithmetic, NX_BINARY_SUB},
    {"Mul", nx_onnx_arithmetic, NX_BINARY_MUL},
    {"Div", nx_onnx_arithmetic, NX_BINARY_DIV},
    {"Max", nx_onnx_variadic, NX_BINARY_MAX},
    {"Min", nx_onnx_variadic, NX_BINARY_MIN},
    {"Sum", nx_onnx_variadic, NX_BINARY_ADD},
    {"Mean", nx_onnx_mean, 0},
    {"Pow", nx_onnx_pow, 0},

    {"Identity", nx_onnx_pass_on, 0},
    {"Dropout", nx_onnx_pass_on, 0},
    {"Flatten", nx_onnx_flatten, 0},
    {"Reshape", nx_onnx_lower_reshape, 0},
    {"Transpose", nx_onnx_transpose, 0},
    {"Pad", nx_onnx_pad, 0},
    {"Concat", nx_onnx_concat, 0},
    {"Gather", nx_onnx_gather, 0},
    {"Slice", nx_onnx_slice, 0},
    {"Split", nx_onnx_split, 0},
    {"Squeeze", nx_onnx_squeeze, 0},
    {"Unsqueeze", nx_onnx_unsqueeze, 0},

    {"Shape", nx_onnx_shape, 0},
    {"Constant", nx_onnx_constant, 0},
    {"ConstantOfShape", nx_onnx_constant_of_shape, 0},
    {"Cast", nx_onnx_cast, 0},
};

const struct nx_onnx_op *nx_onnx_find_op(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}
