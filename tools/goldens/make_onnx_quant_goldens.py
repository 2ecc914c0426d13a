#!/usr/bin/env python3
"""Golden tensors for quantised ONNX files, among them what onnxruntime.quantization writes, computed by ONNX Runtime.

    python3 tools/goldens/make_onnx_quant_goldens.py tests/parity/goldens/onnx_quant.golden

As make_onnx_goldens.py, whose file format and needs these are. A value halfway between two steps may go either way when
its sum was made in another order: inputs for which a net has one as near as that are not taken.
"""
import contextlib
import io
import logging
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h
from onnxruntime import quantization as oq

import make_onnx_goldens as base
from make_onnx_goldens import IMG, RNG, case, i64, n, w

TYPES = {"u8": ("u1", 13), "i8": ("i1", 13), "u16": ("u2", 21), "i16": ("i2", 21)}
MARGIN = 1e-5  # of a step


def f(*values):
    return np.array(values if len(values) > 1 else values[0], "f4")


def ints(dtype, *shape):
    info = np.iinfo(dtype)
    return RNG.randint(max(info.min, -9999), min(info.max, 9999) + 1, shape).astype(dtype)


def pair(x="x", y="y", grid="s z", **attrs):
    return [n("QuantizeLinear", "%s %s" % (x, grid), "q_" + y, **attrs), n("DequantizeLinear", "q_%s %s" % (y, grid), y, **attrs)]


def activations():
    for name, (dtype, opset) in TYPES.items():
        zero = {"u8": 131, "i8": -7, "u16": 30000, "i16": 0}[name]
        grid = {"s": f(0.013), "z": np.array(zero, dtype)}
        case("quantize_" + name, ("N", 37), [n("QuantizeLinear", "x s z", "q"), n("Cast", "q", to=T.FLOAT)], grid, opset=opset)
        case("pair_" + name, ("N", 37), pair(), grid, opset=opset)
        case("pair_image_" + name, ("N", 19, 5, 4), [n("Relu", "x", "r"), *pair("r")], grid, opset=opset)
    case("pair_default_zero", ("N", 9), pair(grid="s"), {"s": f(0.01)}, opset=10, low=-1, high=4)
    case("pair_list_of_one", ("N", 9), pair(), {"s": np.array([0.02], "f4"), "z": np.array([3], "u1")}, opset=13)
    case("pair_output_type", ("N", 9), [n("QuantizeLinear", "x s", "q", output_dtype=T.INT8), n("DequantizeLinear", "q s")],
         {"s": f(0.02)}, opset=21)
    case("pair_halves", ("N", 99), [n("Mul", "x k", "m"), n("Round", "m", "r"), n("Mul", "r h", "v"), *pair("v")],
         {"k": f(8), "h": f(0.125), "s": f(0.25), "z": np.array(5, "u1")})
    case("pair_cut", ("N", 33), pair(), {"s": f(0.003), "z": np.array(9, "i1")})
    case("pair_tiny_step", ("N", 9), pair(), {"s": f(1e-30), "z": np.array(100, "u1")})
    axis = {"s": w(4, low=.01, high=.1), "z": ints("u1", 4)}
    case("pair_axis", IMG, pair(), axis)
    case("pair_axis_last", ("N", 3, 4), pair(axis=-1), axis)
    case("pair_other_grid", ("N", 9), [n("QuantizeLinear", "x s z", "q"), n("DequantizeLinear", "q t z")],
         {"s": f(0.02), "t": f(0.05), "z": np.array(7, "u1")})
    case("pair_other_zero", ("N", 9), [n("QuantizeLinear", "x s z", "q"), n("DequantizeLinear", "q s v")],
         {"s": f(0.02), "v": np.array(7, "u1"), "z": np.array(70, "u1")})
    grid = {"s": f(0.02), "z": np.array(120, "u1")}
    between = lambda *nodes: [n("QuantizeLinear", "x s z", "q"), *nodes, n("DequantizeLinear", "p s z")]
    case("between_max_pool", IMG, between(n("MaxPool", "q", "p", kernel_shape=[2, 3])), grid)
    case("between_reshape", IMG, between(n("Flatten", "q", "p")), grid)
    case("between_transpose", IMG, between(n("Transpose", "q", "p", perm=[0, 2, 3, 1])), grid)
    case("between_concat", IMG, [n("QuantizeLinear", "x s z", "q"), n("Concat", "q q", "p", axis=1), n("DequantizeLinear", "p s z")], grid)
    case("pair_read_twice", ("N", 9), [*pair("x", "a"), n("Relu", "a", "b"), n("DequantizeLinear", "q_a s z", "c"), n("Add", "b c")], grid)


def weights():
    deq = lambda what, **attrs: n("DequantizeLinear", "%s %s_s %s_z" % (what, what, what), "d_" + what, **attrs)
    conv = lambda inputs: n("Conv", inputs, pads=[1, 1, 1, 1])
    one = {"w": ints("i1", 5, 4, 3, 3), "w_s": f(0.0125), "w_z": np.array(0, "i1")}
    case("weight", IMG, [deq("w"), conv("x d_w")], one)
    case("weight_no_zero", IMG, [n("DequantizeLinear", "w w_s", "d"), conv("x d")], one, opset=10)
    case("weight_u8", IMG, [deq("w"), conv("x d_w")], {"w": ints("u1", 5, 4, 3, 3), "w_s": f(0.01), "w_z": np.array(127, "u1")})
    each = {"w": ints("i1", 5, 4, 3, 3), "w_s": w(5, low=.001, high=.01), "w_z": ints("i1", 5)}
    case("weight_axis", IMG, [deq("w", axis=0), conv("x d_w")], each)
    bias = {"b": ints("i4", 5), "b_s": w(5, low=.00001, high=.0001), "b_z": np.zeros(5, "i4")}
    case("weight_axis_and_bias", IMG, [deq("w", axis=0), deq("b", axis=0), conv("x d_w d_b")], {**each, **bias})
    case("bias_no_zero", IMG, [deq("w", axis=0), n("DequantizeLinear", "b b_s", "d_b", axis=0), conv("x d_w d_b")], {**each, **bias})
    case("weight_matmul", ("N", 6), [deq("w", axis=1), n("MatMul", "x d_w")],
         {"w": ints("i1", 6, 3), "w_s": w(3, low=.001, high=.01), "w_z": np.zeros(3, "i1")})
    case("weight_gemm", ("N", 6), [deq("w", axis=-2), deq("b"), n("Gemm", "x d_w d_b", transB=1)],
         {"w": ints("i1", 3, 6), "w_s": w(3, low=.001, high=.01), "w_z": np.zeros(3, "i1"),
          "b": np.array([70000000, -50000001, 3], "i4"), "b_s": f(1e-8), "b_z": np.array(0, "i4")})
    case("weight_rounded", IMG, [*pair("w", "d", axis=0), conv("x d")],
         {"w": w(5, 4, 3, 3), "s": w(5, low=.003, high=.01), "z": np.zeros(5, "i1")})
    case("weight_of_node", ("N", 6), [n("Constant", "", "w", value=base.tensor("w", ints("i1", 6, 3))),
                                      n("DequantizeLinear", "w w_s", "d"), n("MatMul", "x d")], {"w_s": f(0.01)})
    case("weight_transposed", ("N", 6), [deq("w"), n("Transpose", "d_w", "t"), n("MatMul", "x t")],
         {"w": ints("i1", 3, 6), "w_s": f(0.01), "w_z": np.array(0, "i1")})
    case("weight_i16", ("N", 6), [deq("w"), n("MatMul", "x d_w")], {"w": ints("i2", 6, 3), "w_s": f(1e-4), "w_z": np.array(0, "i2")}, opset=21)


# --- ops on integers ---


def on_integers():
    ms = {"domain": "com.microsoft"}
    grids = {"xs": f(1 / 64), "xz": np.array(128, "u1"), "ys": f(1 / 32), "yz": np.array(90, "u1")}
    head = n("QuantizeLinear", "x xs xz", "q")
    tail = n("DequantizeLinear", "r ys yz")
    of = lambda name, shape, nodes, more, **kw: case("on_integers_" + name, shape, [head, *nodes, tail], {**grids, **more}, **kw)
    conv = {"w": ints("i1", 5, 4, 3, 3), "ws": f(1 / 256), "wz": np.array(0, "i1")}
    each = {"w": ints("i1", 5, 4, 3, 3), "ws": f(*(2.0 ** -RNG.randint(6, 11, 5))), "wz": np.zeros(5, "i1"), "b": ints("i4", 5)}
    of("conv", IMG, [n("QLinearConv", "q xs xz w ws wz ys yz", "r")], conv)
    of("conv_bias", IMG, [n("QLinearConv", "q xs xz w ws wz ys yz b", "r", pads=[1, 0, 2, 1], strides=[2, 1])], each)
    of("conv_group_u8", IMG, [n("QLinearConv", "q xs xz w ws wz ys yz", "r", group=2)],
       {"w": ints("u1", 6, 2, 3, 3), "ws": f(1 / 128), "wz": np.array(127, "u1")})
    of("matmul", ("N", 6), [n("QLinearMatMul", "q xs xz w ws wz ys yz", "r")], {"w": ints("i1", 6, 3), "ws": f(1 / 128), "wz": np.array(0, "i1")})
    columns = {"ws": f(1 / 64, 1 / 128, 1 / 256), "wz": np.zeros(3, "i1")}
    of("matmul_columns", ("N", 6), [n("QLinearMatMul", "q xs xz w ws wz ys yz", "r")], {"w": ints("i1", 6, 3), **columns})
    of("gemm", ("N", 6), [n("QGemm", "q xs xz w ws wz b ys yz", "r", transB=1, **ms)], {"w": ints("i1", 3, 6), **columns, "b": ints("i4", 3)})
    of("gemm_columns", ("N", 6), [n("QGemm", "q xs xz w ws wz - ys yz", "r", **ms)], {"w": ints("i1", 6, 3), **columns})
    case("on_integers_gemm_to_f32", ("N", 6), [head, n("QGemm", "q xs xz w ws wz b", **ms)], {**grids, "w": ints("i1", 6, 3), **columns, "b": ints("i4", 3)})
    two = {"as": f(1 / 32), "az": np.array(100, "u1")}
    another = [n("Neg", "x", "m"), n("QuantizeLinear", "m as az", "p")]
    for op in ("Add", "Mul"):
        of(op.lower(), IMG, [*another, n("QLinear" + op, "q xs xz p as az ys yz", "r", **ms)], two)
    of("concat", IMG, [*another, n("QLinearConcat", "ys yz q xs xz p as az", "r", axis=1, **ms)], two)
    of("sigmoid", ("N", 99), [n("QLinearSigmoid", "q xs xz ys yz", "r", **ms)], {})
    of("leaky_relu", ("N", 99), [n("QLinearLeakyRelu", "q xs xz ys yz", "r", alpha=0.25, **ms)], {})
    of("average_pool", IMG, [n("QLinearAveragePool", "q xs xz ys yz", "r", kernel_shape=[2, 2], **ms)], {})
    of("global_average_pool", IMG, [n("QLinearGlobalAveragePool", "q xs xz ys yz", "r", **ms)], {})


# --- whole nets ---


class Photos(oq.CalibrationDataReader):
    def __init__(self):
        rng = np.random.RandomState(2)
        self.left = [{"x": rng.uniform(-2, 2, (1, 3, 12, 12)).astype("f4")} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


def float_net():
    nodes = [n("Conv", "x c1 b1", "t1", pads=[1, 1, 1, 1], strides=[2, 2]), n("Relu", "t1", "r1"),
             n("Conv", "r1 c2 b2", "t2", pads=[1, 1, 1, 1], group=20), n("Clip", "t2 lo hi", "r2"), n("Conv", "r2 c3 b3", "t3"),
             n("Add", "t3 r1", "a"), n("Relu", "a", "r3"), n("MaxPool", "r3", "p", kernel_shape=[2, 2], strides=[2, 2]), n("Conv", "r3 c4", "t4", strides=[2, 2]),
             n("Concat", "p t4", "k", axis=1), n("Sigmoid", "k", "g"), n("Mul", "k g", "m"), n("GlobalAveragePool", "m", "v"),
             n("Flatten", "v", "l"), n("Gemm", "l fc fb", "y", transB=1)]
    inits = {"c1": w(20, 3, 3, 3), "b1": w(20), "c2": w(20, 1, 3, 3), "b2": w(20), "c3": w(20, 20, 1, 1, low=-.3, high=.3), "b3": w(20),
             "c4": w(8, 20, 1, 1), "fc": w(10, 28), "fb": w(10), "lo": f(0), "hi": f(6)}
    graph = h.make_graph(nodes, "g", [h.make_tensor_value_info("x", T.FLOAT, ["N", 3, 12, 12])],
                         [h.make_tensor_value_info("y", T.FLOAT, None)], [base.tensor(k, v) for k, v in inits.items()])
    return h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)


def is_clear(model, x):
    """Does no value that is rounded in the net lie halfway between two steps?"""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    scale = {i.name: onnx.numpy_helper.to_array(i) for i in probe.graph.initializer}
    rounded = [(k.input[0], float(scale[k.input[1]].ravel()[0])) for k in probe.graph.node
               if k.op_type == "QuantizeLinear" and k.input[0] != "x" and k.input[0] not in scale]
    probe.graph.output.extend(h.make_tensor_value_info(name, T.FLOAT, None) for name in {name for name, _ in rounded} - {"y"})
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    values = dict(zip(names, session.run(names, {"x": x})))
    for name, step in rounded:
        place = values[name].astype("f8") / step
        if np.abs(place - np.floor(place) - 0.5).min() < MARGIN:
            return False
    return True


def nets():
    net = float_net()
    kinds = {"u8_i8": ("QUInt8", "QInt8", {}), "u8_i8_per_channel": ("QUInt8", "QInt8", {"per_channel": True}),
             "i8_i8_per_channel": ("QInt8", "QInt8", {"per_channel": True, "extra_options": {"ActivationSymmetric": True}}),
             "u8_u8": ("QUInt8", "QUInt8", {}), "u8_i8_weight_pairs": ("QUInt8", "QInt8", {"extra_options": {"AddQDQPairToWeight": True}}),
             "u16_i8": ("QUInt16", "QInt8", {"per_channel": True})}
    for name, (activation, weight, more) in kinds.items():
        with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
            path = folder + "/net.onnx"
            onnx.save(net, folder + "/f32.onnx")
            oq.quantize_static(folder + "/f32.onnx", path, Photos(), quant_format=oq.QuantFormat.QDQ, activation_type=oq.QuantType[activation],
                               weight_type=oq.QuantType[weight], **more)
            model = onnx.load(path)
        del model.graph.value_info[:]
        while True:
            x = RNG.uniform(-2, 2, (2, 3, 12, 12)).astype("f4")
            if activation == "QUInt16" or is_clear(model, x):
                break
        base.CASES.append(("net_" + name, model, x))
    for name, weight, more in (("u8_i8", "QInt8", {"per_channel": True}), ("u8_u8", "QUInt8", {})):
        with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
            onnx.save(net, folder + "/f32.onnx")
            oq.quantize_static(folder + "/f32.onnx", folder + "/net.onnx", Photos(), quant_format=oq.QuantFormat.QOperator,
                               activation_type=oq.QuantType.QUInt8, weight_type=oq.QuantType[weight], **more)
            model = onnx.load(folder + "/net.onnx")
        del model.graph.value_info[:]
        base.CASES.append(("net_on_integers_" + name, model, RNG.uniform(-2, 2, (2, 3, 12, 12)).astype("f4")))


def main():
    logging.disable(logging.WARNING)
    base.CASES.clear()
    for part in (activations, weights, on_integers, nets):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
