#!/usr/bin/env python3
"""Golden tensors for ONNX: small files, computed by ONNX Runtime.

    python3 tools/goldens/make_onnx_goldens.py tests/parity/goldens/onnx.golden

Needs onnx and onnxruntime (versions in tests/parity/goldens/README.md). Each case is a graph of one or a few
nodes over odd shapes with seeded weights, of the opset it names.

File: "NXGOLD2\\0", then per case  u32 len, name | u32 len, ONNX file | two tensors: input, output.
Tensor: u32 rank | rank x u32 | f32 values.
"""
import struct
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nph

CASES = []
IMG = ("N", 4, 7, 6)
RNG = np.random.RandomState(1)


def w(*shape, low=-0.6, high=0.6):
    return RNG.uniform(low, high, shape).astype("f4")


def i64(*values):
    return np.array(values, "i8")


def n(op, inputs, outputs="y", **attrs):
    """A node; inputs and outputs are lists of names parted by spaces ('-': left out)."""
    names = lambda text: ["" if s == "-" else s for s in text.split()]
    return h.make_node(op, names(inputs), names(outputs), **attrs)


def tensor(name, value):
    return value if isinstance(value, onnx.TensorProto) else nph.from_array(np.asarray(value), name)


def case(name, shape, nodes, weights=None, opset=13, low=-2.0, high=2.0, batch=2, as_inputs=False, ir=None,
         extra_outputs=()):
    nodes = nodes if isinstance(nodes, list) else [nodes]
    inits = [tensor(k, v) for k, v in (weights or {}).items()]
    inputs = [h.make_tensor_value_info("x", T.FLOAT, list(shape))]
    if as_inputs:
        inputs = [h.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in inits] + inputs
    outputs = [h.make_tensor_value_info(o, T.FLOAT, None) for o in ("y", *extra_outputs)]
    domains = [h.make_opsetid(d, 1) for d in sorted({node.domain for node in nodes} - {""})]
    model = h.make_model(h.make_graph(nodes, "g", inputs, outputs, inits),
                         opset_imports=[h.make_opsetid("", opset), *domains], ir_version=ir or (3 if opset < 9 else 8))
    if ir is None and opset < 9 and not as_inputs:
        model.ir_version = 4
    x = RNG.uniform(low, high, [batch if d == "N" else 6 if isinstance(d, str) else d for d in shape]).astype("f4")
    CASES.append((name, model, x))


def ops():
    c = {"w": w(5, 4, 3, 3), "b": w(5)}
    case("conv", IMG, n("Conv", "x w b", kernel_shape=[3, 3]), c)
    case("conv_no_kernel_shape_no_bias", IMG, n("Conv", "x w", strides=[2, 1]), c)
    case("conv_pads_uneven", IMG, n("Conv", "x w b", pads=[1, 0, 2, 1], strides=[1, 2]), c)
    case("conv_same_upper", IMG, n("Conv", "x w b", auto_pad="SAME_UPPER", strides=[2, 2]), c)
    case("conv_same_lower", IMG, n("Conv", "x w b", auto_pad="SAME_LOWER", strides=[2, 3]), c)
    case("conv_valid", IMG, n("Conv", "x w b", auto_pad="VALID", strides=[3, 1]), c)
    case("conv_dilations", IMG, n("Conv", "x w b", pads=[2, 2, 2, 2], dilations=[2, 2]), c)
    case("conv_group", IMG, n("Conv", "x w", group=2, pads=[1, 1, 1, 1]), {"w": w(6, 2, 3, 3)}, opset=7)
    case("conv_depthwise", IMG, n("Conv", "x w", group=4, pads=[1, 1, 1, 1]), {"w": w(4, 1, 3, 3)})
    case("conv_initialisers_are_inputs", IMG, n("Conv", "x w b"), c, opset=7, as_inputs=True, ir=3)
    case("conv_weight_is_computed", IMG, [n("Identity", "w", "v"), n("Conv", "x v b")], c)

    case("gemm", ("N", 5), n("Gemm", "x w b", transB=1), {"w": w(3, 5), "b": w(3)})
    case("gemm_plain_b", ("N", 5), n("Gemm", "x w b"), {"w": w(5, 37), "b": w(1, 37)}, batch=3)
    case("gemm_alpha_beta", ("N", 5), n("Gemm", "x w b", transB=1, alpha=0.5, beta=-2.0), {"w": w(3, 5), "b": w(3)}, opset=9)
    case("gemm_scalar_c", ("N", 5), n("Gemm", "x w b", alpha=1.5), {"w": w(5, 3), "b": w(1)})
    case("gemm_no_c", ("N", 5), n("Gemm", "x w"), {"w": w(5, 3)}, opset=11)
    case("gemm_trans_a", ("N", 3, 4), [n("ReduceMean", "x", "r", axes=[2], keepdims=0), n("Transpose", "r", "t"),
                                       n("Gemm", "t w", transA=1)], {"w": w(3, 2)})
    case("matmul", ("N", 5), n("MatMul", "x w"), {"w": w(5, 3)})
    case("matmul_3d_bias", ("N", 3, 5), [n("MatMul", "x w", "m"), n("Add", "m b")], {"w": w(5, 4), "b": w(4)})
    case("matmul_transposed_weight", ("N", 5), [n("Transpose", "w", "v"), n("MatMul", "x v")], {"w": w(3, 5)})

    bn = {"s": w(4, low=.5, high=1.5), "b": w(4), "m": w(4), "v": w(4, low=.5, high=1.5)}
    case("batch_norm", IMG, n("BatchNormalization", "x s b m v"), bn, opset=7)
    case("batch_norm_eps", IMG, n("BatchNormalization", "x s b m v", epsilon=0.1), bn, opset=15)
    case("conv_batch_norm_relu", IMG, [n("Conv", "x w c", "k"), n("BatchNormalization", "k s b m v", "t"), n("Relu", "t")],
         dict(w=w(4, 4, 3, 3), c=w(4), **bn))
    case("instance_norm", IMG, n("InstanceNormalization", "x s b"), {"s": w(4), "b": w(4)})
    case("layer_norm", ("N", 3, 8), n("LayerNormalization", "x s b"), {"s": w(8), "b": w(8)}, opset=17)
    case("layer_norm_axis", ("N", 3, 4), n("LayerNormalization", "x s", axis=1, epsilon=0.01), {"s": w(3, 4)}, opset=17)

    for op in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Abs", "Neg", "Erf"):
        case(op.lower(), ("N", 9), n(op, "x"), opset=13 if op == "Erf" else 7, low=-5, high=5)
    for op in ("Sqrt", "Log", "Reciprocal"):
        case(op.lower(), ("N", 9), n(op, "x"), low=0.1, high=5)
    case("mish", ("N", 9), n("Mish", "x"), opset=18, low=-5, high=5)
    case("hard_swish", ("N", 9), n("HardSwish", "x"), opset=14, low=-5, high=5)
    case("conv_hard_swish", IMG, [n("Conv", "x w b", "k"), n("HardSwish", "k")], c, opset=14)
    case("gelu", ("N", 9), n("Gelu", "x"), opset=20, low=-5, high=5)
    case("gelu_tanh", ("N", 9), n("Gelu", "x", approximate="tanh"), opset=20, low=-5, high=5)
    case("leaky_relu", ("N", 9), n("LeakyRelu", "x"), opset=7)
    case("leaky_relu_alpha", ("N", 9), n("LeakyRelu", "x", alpha=0.3), opset=16)
    case("elu", ("N", 9), n("Elu", "x"))
    case("elu_alpha", ("N", 9), n("Elu", "x", alpha=0.4))
    case("selu", ("N", 9), n("Selu", "x"))
    case("selu_other", ("N", 9), n("Selu", "x", alpha=2.0, gamma=3.0))
    case("hard_sigmoid", ("N", 9), n("HardSigmoid", "x"), low=-4, high=4)
    case("hard_sigmoid_alpha", ("N", 9), n("HardSigmoid", "x", alpha=0.3, beta=0.4), low=-4, high=4)
    case("clip_attributes", ("N", 9), n("Clip", "x", min=-0.5, max=1.0), opset=7)
    case("clip_inputs", ("N", 9), n("Clip", "x a b"), {"a": np.float32(0), "b": np.float32(1.5)})
    case("clip_only_max", ("N", 9), n("Clip", "x - b"), {"b": np.float32(0.25)})
    case("clip_constant_nodes", ("N", 9), [n("Constant", "", "a", value_float=-0.25), n("Clip", "x a")], opset=13)
    case("prelu_channels", IMG, n("PRelu", "x s"), {"s": w(4, 1, 1)}, opset=9)
    case("prelu_one", IMG, n("PRelu", "x s"), {"s": w(1)}, opset=9)
    case("prelu_last", ("N", 3, 4), n("PRelu", "x s"), {"s": w(4)}, opset=9)
    case("prelu_each", IMG, n("PRelu", "x s"), {"s": w(4, 7, 6)}, opset=16)

    for op in ("Add", "Sub", "Mul", "Div"):
        case(op.lower() + "_number", ("N", 5), n(op, "x k"), {"k": np.float32(1.75)}, opset=7)
        case(op.lower() + "_number_first", ("N", 5), n(op, "k x"), {"k": w(1)}, low=0.5, high=2)
        case(op.lower() + "_channels", IMG, n(op, "x k"), {"k": w(4, 1, 1, low=.5, high=2)})
        case(op.lower() + "_last", IMG, n(op, "x k"), {"k": w(6, low=.5, high=2)})
        case(op.lower() + "_each", IMG, n(op, "k x"), {"k": w(4, 7, 6)}, low=0.5, high=2)
    case("channels_then_relu_after_conv", IMG, [n("Conv", "x w", "k"), n("Mul", "k s", "t"), n("Sub", "t b", "u"), n("Relu", "u")],
         {"w": w(5, 4, 3, 3), "s": w(5, 1, 1), "b": w(1, 5, 1, 1)})
    case("add_itself", ("N", 5), n("Add", "x x"))
    case("sum_three", ("N", 5), [n("Relu", "x", "r"), n("Sum", "x r k")], {"k": w(5)}, opset=8)
    case("mean_three", ("N", 5), [n("Relu", "x", "r"), n("Mean", "x r x")])
    case("max_min", ("N", 5), [n("Max", "x k", "m"), n("Min", "m j x")], {"k": w(5), "j": np.float32(0.5)})
    for e in (2.0, 0.5, 3.0, -1.5):
        case("pow_%g" % e, ("N", 5), n("Pow", "x e"), {"e": np.float32(e)}, low=0.1)

    for kind in ("MaxPool", "AveragePool"):
        k = kind.lower()
        case(k, IMG, n(kind, "x", kernel_shape=[3, 2], strides=[2, 2]), opset=7)
        case(k + "_pads", IMG, n(kind, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), opset=8)
        case(k + "_pads_uneven", IMG, n(kind, "x", kernel_shape=[3, 3], pads=[0, 1, 2, 0]), opset=10)
        case(k + "_ceil", IMG, n(kind, "x", kernel_shape=[2, 3], strides=[2, 2], ceil_mode=1), opset=10)
        case(k + "_ceil_pads", IMG, n(kind, "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1), opset=11)
        case(k + "_ceil_pads_drop", ("N", 2, 6, 6), n(kind, "x", kernel_shape=[2, 2], strides=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1), opset=11)
        case(k + "_same_upper", IMG, n(kind, "x", kernel_shape=[3, 2], strides=[2, 2], auto_pad="SAME_UPPER"), opset=11)
        case(k + "_same_lower", IMG, n(kind, "x", kernel_shape=[3, 2], strides=[2, 1], auto_pad="SAME_LOWER"), opset=11)
        case(k + "_global", IMG, n("Global" + kind, "x"))
    case("averagepool_include_pad", IMG, n("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1), opset=7)
    case("averagepool_include_pad_ceil", IMG, n("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1, ceil_mode=1), opset=19)

    case("concat", IMG, [n("Relu", "x", "r"), n("Concat", "x r x", axis=1)], opset=7)
    case("concat_last", ("N", 3, 4), [n("Relu", "x", "r"), n("Concat", "x r", axis=-1)])
    case("flatten", IMG, n("Flatten", "x"))
    case("flatten_2", ("N", 3, 4, 5), n("Flatten", "x", axis=2), opset=9)
    case("flatten_negative", ("N", 3, 4), n("Flatten", "x", axis=-2))
    case("reshape_zero_minus", ("N", 6, 4), n("Reshape", "x s"), {"s": i64(0, -1, 2)}, opset=7)
    case("reshape_minus_first", ("N", 6, 4), n("Reshape", "x s"), {"s": i64(-1, 24)})
    case("reshape_fixed_batch", (1, 6, 4), n("Reshape", "x s"), {"s": i64(1, 24)})
    case("reshape_fixed_batch_minus", (2, 6, 4), n("Reshape", "x s"), {"s": i64(2, -1)})
    case("reshape_by_shape", ("N", 6, 4), [n("Shape", "x", "s"), n("Gather", "s zero", "b", axis=0), n("Unsqueeze", "b ax", "u"),
                                          n("Concat", "u m", "t", axis=0), n("Reshape", "x t")],
         {"zero": np.int64(0), "ax": i64(0), "m": i64(-1)})
    case("reshape_by_slice_opset9", ("N", 6, 2, 2), [n("Shape", "x", "s"), n("Slice", "s", "b", axes=[0], starts=[0], ends=[2]),
                                                   n("Cast", "b", "d", to=T.INT64), n("Concat", "d m", "t", axis=0), n("Reshape", "x t")],
         {"m": i64(-1)}, opset=9)
    case("channel_shuffle", ("N", 6, 3, 2), [
        n("Shape", "x", "s"), n("Gather", "s zero", "b", axis=0), n("Gather", "s one", "c", axis=0), n("Div", "c two", "d"),
        n("Unsqueeze", "b", "ub", axes=[0]), n("Unsqueeze", "d", "ud", axes=[0]), n("Concat", "ub g ud hw", "t", axis=0),
        n("Reshape", "x t", "r"), n("Transpose", "r", "p", perm=[0, 2, 1, 3, 4]), n("Concat", "ub m hw", "t2", axis=0), n("Reshape", "p t2")],
        {"zero": np.int64(0), "one": np.int64(1), "two": np.int64(2), "g": i64(2), "hw": i64(3, 2), "m": i64(-1)}, opset=11)
    case("shape_start_end", ("N", 6, 4), [n("Shape", "x", "s", start=0, end=1), n("Concat", "s m", "t", axis=0), n("Reshape", "x t")],
         {"m": i64(4, 6)}, opset=15)
    case("constant_of_shape", ("N", 3, 4), [n("ConstantOfShape", "s", "k", value=h.make_tensor("v", T.FLOAT, [1], [1.5])), n("Add", "x k")], {"s": i64(3, 4)})
    case("transpose", ("N", 3, 4, 5), n("Transpose", "x", perm=[0, 2, 3, 1]), opset=7)
    case("softmax_12_flattens", ("N", 3, 4), n("Softmax", "x"), opset=12)
    case("softmax_12_axis_2", ("N", 3, 2, 4), n("Softmax", "x", axis=2), opset=11)
    case("softmax_12_last", ("N", 3, 2, 4), n("Softmax", "x", axis=3), opset=7)
    case("softmax_13", ("N", 3, 4), n("Softmax", "x"))
    case("softmax_13_axis", ("N", 3, 4), n("Softmax", "x", axis=1))
    case("log_softmax_12", ("N", 3, 4), n("LogSoftmax", "x"), opset=12)
    case("log_softmax_13", ("N", 5), n("LogSoftmax", "x"))
    case("lrn", ("N", 7, 3, 3), n("LRN", "x", size=5))
    case("lrn_strong", ("N", 7, 3, 3), n("LRN", "x", size=3, alpha=0.5, beta=0.6, bias=2.0))
    case("pad_2", IMG, n("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 2, 1], value=1.5), opset=10)
    case("pad_11", IMG, n("Pad", "x p v"), {"p": i64(0, 1, 1, 2, 0, 0, 2, 1), "v": np.float32(0.5)}, opset=11)
    case("pad_reflect", IMG, n("Pad", "x p", mode="reflect"), {"p": i64(0, 0, 1, 2, 0, 0, 2, 1)})
    case("pad_edge", IMG, n("Pad", "x p", mode="edge"), {"p": i64(0, 0, 1, 2, 0, 0, 2, 1)})
    case("pad_axes", IMG, n("Pad", "x p - a"), {"p": i64(1, 2, 0, 1), "a": i64(2, -1)}, opset=18)
    case("pad_then_conv", IMG, [n("Pad", "x p", "q"), n("Conv", "q w b")], dict(c, p=i64(0, 0, 1, 1, 0, 0, 1, 1)))
    case("reduce_mean", IMG, n("ReduceMean", "x", axes=[2, 3]), opset=7)
    case("reduce_mean_negative", IMG, n("ReduceMean", "x", axes=[-1, -2], keepdims=0), opset=13)
    case("reduce_mean_18", IMG, n("ReduceMean", "x a", keepdims=0), {"a": i64(2, 3)}, opset=18)
    case("reduce_sum_13", IMG, n("ReduceSum", "x a"), {"a": i64(1)}, opset=13)
    case("reduce_max", IMG, n("ReduceMax", "x", axes=[1, 3]), opset=11)
    case("squeeze_11", ("N", 3, 1, 1), n("Squeeze", "x", axes=[2, 3]), opset=11)
    case("squeeze_13", ("N", 3, 1, 1), n("Squeeze", "x a"), {"a": i64(-1, 2)})
    case("unsqueeze_11", ("N", 3), n("Unsqueeze", "x", axes=[3, 1]), opset=11)
    case("unsqueeze_13", ("N", 3), n("Unsqueeze", "x a"), {"a": i64(-1, 1)})
    case("dropout_identity", ("N", 5), [n("Dropout", "x", "d", ratio=0.5), n("Identity", "d")], opset=7)
    case("dropout_12", ("N", 5), n("Dropout", "x r t"), {"r": np.float32(0.5), "t": np.array(False)}, opset=13)
    case("cast", ("N", 5), [n("Cast", "x", "d", to=T.DOUBLE), n("Cast", "d", to=T.FLOAT)])
    case("gather_one", ("N", 3, 4), n("Gather", "x i", axis=1), {"i": np.int64(-1)})
    case("gather_list_of_one", ("N", 3, 4), n("Gather", "x i", axis=2), {"i": i64(2)})
    case("slice_9", ("N", 6, 5), n("Slice", "x", axes=[1, 2], starts=[1, -3], ends=[5, 9223372036854775807]), opset=9)
    case("slice_10_steps", ("N", 6, 5), n("Slice", "x s e a t"), {"s": i64(0, 4), "e": i64(5, -9223372036854775807), "a": i64(1, 2), "t": i64(2, -2)}, opset=10)
    case("split_even", ("N", 6, 2), [n("Split", "x", "a b c", axis=1), n("Sub", "a c")], opset=7)
    case("split_sizes_11", ("N", 6, 2), [n("Split", "x", "a b", axis=1, split=[2, 4]), n("Relu", "b")], opset=11)
    case("split_sizes_13", ("N", 6, 2), [n("Split", "x s", "a b", axis=1), n("Relu", "b")], {"s": i64(5, 1)}, opset=13)
    case("split_num_outputs", ("N", 7, 2), [n("Split", "x", "a b c", axis=1, num_outputs=3), n("Relu", "c")], opset=18)
    case("two_outputs", ("N", 5), [n("Relu", "x"), n("Neg", "x", "z")], extra_outputs=("z",))
    case("open_size", ("N", 4, "height", "width"), n("Conv", "x w b"), c)

    k = w(5, 4, 3, 3)
    to32 = [n("Cast", "w", "v", to=T.FLOAT), n("Conv", "x v")]
    case("weights_f16", IMG, to32, {"w": k.astype("f2")})
    case("weights_f64", IMG, to32, {"w": k.astype("f8")})
    bf16 = (k.reshape(-1).view("u4") >> 16).astype("u2")
    case("weights_bf16", IMG, to32, {"w": h.make_tensor("w", T.BFLOAT16, k.shape, bf16.tobytes(), raw=True)}, opset=13)
    case("weights_i8", IMG, to32, {"w": RNG.randint(-3, 4, k.shape).astype("i1")})
    case("weights_typed_f32", IMG, n("Conv", "x w"), {"w": h.make_tensor("w", T.FLOAT, k.shape, k.reshape(-1).tolist())})
    case("weights_typed_f16", IMG, to32, {"w": h.make_tensor("w", T.FLOAT16, k.shape, k.reshape(-1).tolist())})
    case("weights_typed_i32", IMG, to32, {"w": h.make_tensor("w", T.INT32, k.shape, RNG.randint(-3, 4, k.size).tolist())})
    case("weights_typed_f64", IMG, to32, {"w": h.make_tensor("w", T.DOUBLE, k.shape, k.reshape(-1).tolist())})
    case("weights_typed_i64_shape", ("N", 6, 4), n("Reshape", "x s"), {"s": h.make_tensor("s", T.INT64, [3], [0, -1, 2])})


def nets():
    def resnet():
        ws, nodes = {}, []

        def conv(x, y, o, i, k, s=1, bn=True, relu=True):
            ws[y + "w"] = w(o, i, k, k)
            nodes.append(n("Conv", "%s %sw" % (x, y), y + "c", strides=[s, s], pads=[k // 2] * 4))
            ws.update({y + "s": w(o, low=.5, high=1.5), y + "b": w(o), y + "m": w(o), y + "v": w(o, low=.5, high=1.5)})
            nodes.append(n("BatchNormalization", "%sc %ss %sb %sm %sv" % ((y,) * 5), y + "n" if relu else y))
            if relu:
                nodes.append(n("Relu", y + "n", y))
        conv("x", "a", 6, 3, 3, 2)
        conv("a", "b", 6, 6, 3)
        conv("b", "c", 6, 6, 3, relu=False)
        nodes.append(n("Add", "c a", "d"))
        nodes.append(n("Relu", "d", "e"))
        conv("e", "f", 8, 6, 3, 2, relu=False)
        conv("e", "g", 8, 6, 1, 2, relu=False)
        nodes.extend([n("Add", "f g", "i"), n("Relu", "i", "j"), n("GlobalAveragePool", "j", "k"), n("Flatten", "k", "l"), n("Gemm", "l last_w last_b", transB=1)])
        ws.update(last_w=w(5, 8), last_b=w(5))
        case("net_resnet", ("N", 3, 9, 9), nodes, ws)

    def mobile():
        ws = {"a": w(6, 3, 3, 3), "ab": w(6), "b": w(6, 1, 3, 3), "bb": w(6), "s1": w(3, 6, 1, 1), "s1b": w(3), "s2": w(6, 3, 1, 1), "s2b": w(6),
              "p": w(6, 6, 1, 1), "pb": w(6), "fw": w(6, 5), "zero": np.float32(0), "six": np.float32(6), "three": np.float32(3)}
        case("net_mobile_v3", ("N", 3, 8, 8), [
            n("Conv", "x a ab", "c0", strides=[2, 2], pads=[1] * 4), n("Add", "c0 three", "h0"), n("Clip", "h0 zero six", "h1"), n("Mul", "c0 h1", "h2"), n("Div", "h2 six", "h3"),
            n("Conv", "h3 b bb", "c1", group=6, pads=[1] * 4), n("Clip", "c1 zero six", "r1"),
            n("GlobalAveragePool", "r1", "g"), n("Conv", "g s1 s1b", "g1"), n("Relu", "g1", "g2"), n("Conv", "g2 s2 s2b", "g3"), n("HardSigmoid", "g3", "g4"),
            n("Mul", "r1 g4", "m"), n("Conv", "m p pb", "c2"), n("Add", "c2 h3", "d"), n("ReduceMean", "d", "e", axes=[2, 3], keepdims=0), n("MatMul", "e fw", "f"), n("Softmax", "f")], ws)

    def fire():
        ws = {"a": w(6, 3, 3, 3), "ab": w(6), "s": w(3, 6, 1, 1), "e1": w(4, 3, 1, 1), "e3": w(4, 3, 3, 3), "k": w(5, 8, 1, 1)}
        ws = {key: v.astype("f2") for key, v in ws.items()}
        up = [n("Cast", key, key + "_", to=T.FLOAT) for key in ws]
        case("net_squeeze_fp16", (1, 3, 11, 11), up + [
            n("Conv", "x a_ ab_", "c", strides=[2, 2]), n("Relu", "c", "r"), n("MaxPool", "r", "p", kernel_shape=[3, 3], strides=[2, 2]),
            n("Conv", "p s_", "q"), n("Relu", "q", "t"), n("Conv", "t e1_", "u"), n("Conv", "t e3_", "v", pads=[1] * 4), n("Concat", "u v", "z", axis=1),
            n("Dropout", "z", "d"), n("Conv", "d k_", "f"), n("GlobalAveragePool", "f", "g"), n("Softmax", "g")], ws, opset=7, as_inputs=True, ir=3)
    resnet()
    mobile()
    fire()
    # The engine takes (N, C, H, W) whatever the file takes: main() records the input so.
    case("net_channels_last", ("N", 9, 8, 3), [
        n("Transpose", "x", "t", perm=[0, 3, 1, 2]), n("Conv", "t w", "c"), n("Transpose", "c", "d", perm=[0, 2, 3, 1]), n("Relu", "d", "e"),
        n("ReduceMean", "e", "f", axes=[1, 2], keepdims=0), n("MatMul", "f v")], {"w": w(5, 3, 3, 3), "v": w(5, 4)})


def run(model, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def record(out, blob):
    out.write(struct.pack("<I", len(blob)) + blob)


def write_tensor(out, t):
    out.write(struct.pack("<I%dI" % t.ndim, t.ndim, *t.shape) + np.ascontiguousarray(t, "<f4").tobytes())


def write(path):
    with open(path, "wb") as out:
        out.write(b"NXGOLD2\0")
        for name, model, x in CASES:
            blob = model.SerializeToString()
            try:
                y = run(blob, x)
            except Exception as error:
                sys.exit("%s: %s" % (name, error))
            record(out, name.encode())
            record(out, blob)
            write_tensor(out, x.transpose(0, 3, 1, 2) if name == "net_channels_last" else x)
            write_tensor(out, y)
    print("%d cases, onnx %s, onnxruntime %s" % (len(CASES), onnx.__version__, ort.__version__))


def main():
    ops()
    nets()
    write(sys.argv[1])


if __name__ == "__main__":
    main()
