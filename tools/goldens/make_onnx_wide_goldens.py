#!/usr/bin/env python3
"""Golden tensors for the ONNX ops that nets for photos seldom need, computed by ONNX Runtime.

    python3 tools/goldens/make_onnx_wide_goldens.py tests/parity/goldens/onnx_wide.golden

As make_onnx_goldens.py, whose file format and needs these are.
"""
import sys

import numpy as np
from onnx import TensorProto as T

import make_onnx_goldens as base
from make_onnx_goldens import case, i64, n, w

IMG = ("N", 4, 7, 6)


def norms():
    sb = {"s": w(4, low=.5, high=1.5), "b": w(4)}
    case("group_norm_18", IMG, n("GroupNormalization", "x s b", num_groups=2), {"s": w(2), "b": w(2)}, opset=18)
    case("group_norm_21", IMG, n("GroupNormalization", "x s b", num_groups=2, epsilon=0.1), sb, opset=21)
    case("instance_norm_rows", ("N", 4, 5), n("InstanceNormalization", "x s b", epsilon=0.01), sb)
    case("layer_norm_image", ("N", 3, 2, 4), n("LayerNormalization", "x s b", axis=2), {"s": w(2, 4), "b": w(2, 4)}, opset=17)
    case("layer_norm_by_hand", ("N", 3, 8), [
        n("ReduceMean", "x", "m", axes=[-1]), n("Sub", "x m", "d"), n("Pow", "d two", "q"), n("ReduceMean", "q", "v", axes=[-1]),
        n("Add", "v eps", "e"), n("Sqrt", "e", "r"), n("Div", "d r", "z"), n("Mul", "z s", "t"), n("Add", "t b")],
        {"two": np.float32(2), "eps": np.float32(1e-5), "s": w(8), "b": w(8)})
    case("lp_norm_2", IMG, n("LpNormalization", "x", axis=1))
    case("lp_norm_1", IMG, n("LpNormalization", "x", axis=-1, p=1))


def reductions():
    for op in ("ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
        case(op.lower(), IMG, n(op, "x", axes=[1, 3]), opset=11)
        case(op.lower() + "_18", IMG, n(op, "x a", keepdims=0), {"a": i64(-1)}, opset=18)
    case("reducelogsum", IMG, n("ReduceLogSum", "x", axes=[2]), opset=11, low=0.1, high=2)
    for op in ("ArgMax", "ArgMin"):
        case(op.lower(), IMG, [n(op, "x", "i", axis=1), n("Cast", "i", to=T.FLOAT)])
        case(op.lower() + "_last", IMG, [n("Floor", "x", "f"), n(op, "f", "i", axis=-1, keepdims=0, select_last_index=1), n("Cast", "i", to=T.FLOAT)])


def elementwise():
    for op in ("Sign", "Floor", "Ceil", "Round", "Sin", "Cos", "Sinh", "Cosh", "Asinh", "Atan"):
        case(op.lower(), ("N", 9), n(op, "x"), low=-3, high=3)
    for op in ("Asin", "Acos", "Atanh", "Tan"):
        case(op.lower(), ("N", 9), n(op, "x"), low=-0.95, high=0.95)
    case("acosh", ("N", 9), n("Acosh", "x"), low=1.1, high=4)
    case("round_halves", ("N", 9), [n("Floor", "x", "f"), n("Add", "f h", "g"), n("Round", "g")], {"h": np.float32(0.5)}, low=-5, high=5)
    case("celu", ("N", 9), n("Celu", "x", alpha=0.7))
    case("thresholded_relu", ("N", 9), n("ThresholdedRelu", "x", alpha=0.5))
    case("shrink", ("N", 9), n("Shrink", "x", lambd=0.8, bias=0.25))
    case("pow_tensor", ("N", 5), n("Pow", "x e"), {"e": w(5, low=-1, high=3)}, low=0.1)
    case("pow_number_first", ("N", 5), n("Pow", "k x"), {"k": np.float32(2.5)})
    case("fmod", ("N", 9), n("Mod", "x k", fmod=1), {"k": np.float32(0.7)})
    for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
        case(op.lower(), ("N", 9), [n("Round", "x", "r"), n(op, "r k", "t"), n("Cast", "t", to=T.FLOAT)], {"k": np.float32(1)})
    for op in ("And", "Or", "Xor"):
        case(op.lower(), ("N", 9), [n("Greater", "x k", "a"), n("Less", "x j", "b"), n(op, "a b", "t"), n("Not", "t", "u"), n("Cast", "u", to=T.FLOAT)],
             {"k": np.float32(-0.5), "j": np.float32(0.5)})
    case("cast_integer", ("N", 9), [n("Cast", "x", "i", to=T.INT32), n("Cast", "i", to=T.FLOAT)], low=-4, high=4)
    case("cast_bool", ("N", 9), [n("Round", "x", "r"), n("Cast", "r", "i", to=T.BOOL), n("Cast", "i", to=T.FLOAT)])
    case("is_nan", ("N", 9), [n("Sqrt", "x", "s"), n("IsNaN", "s", "t"), n("Where", "t k s")], {"k": np.float32(-1)})
    case("where", ("N", 3, 4), [n("Greater", "x k", "c"), n("Neg", "x", "m"), n("Where", "c x m")], {"k": w(4)})
    case("where_broadcast", ("N", 3, 4), [n("Greater", "x k", "c"), n("Where", "c v j")], {"k": w(3, 1), "v": w(4), "j": np.float32(9)})
    case("silu", IMG, [n("Sigmoid", "x", "s"), n("Mul", "x s")])


def products():
    case("matmul_activations", ("N", 3, 5), [n("Transpose", "x", "t", perm=[0, 2, 1]), n("MatMul", "x t")])
    case("matmul_heads", ("N", 2, 3, 5), [n("Sin", "x", "s"), n("Transpose", "s", "t", perm=[0, 1, 3, 2]), n("MatMul", "x t")])
    case("matmul_broadcast", ("N", 2, 3, 5), n("MatMul", "x k"), {"k": w(2, 5, 4)})
    case("matmul_constant_first", ("N", 5, 4), n("MatMul", "k x"), {"k": w(3, 5)})
    case("matmul_vector", ("N", 3, 5), n("MatMul", "x k"), {"k": w(5)})
    case("attention", ("N", 6, 8), [
        n("MatMul", "x wq", "q0"), n("Reshape", "q0 s", "q1"), n("Transpose", "q1", "q", perm=[0, 2, 1, 3]),
        n("MatMul", "x wk", "k0"), n("Reshape", "k0 s", "k1"), n("Transpose", "k1", "k", perm=[0, 2, 3, 1]),
        n("MatMul", "x wv", "v0"), n("Reshape", "v0 s", "v1"), n("Transpose", "v1", "v", perm=[0, 2, 1, 3]),
        n("MatMul", "q k", "a0"), n("Div", "a0 d", "a1"), n("Softmax", "a1", "a", axis=-1), n("MatMul", "a v", "o0"),
        n("Transpose", "o0", "o1", perm=[0, 2, 1, 3]), n("Reshape", "o1 f")],
        {"wq": w(8, 8), "wk": w(8, 8), "wv": w(8, 8), "s": i64(0, 6, 2, 4), "f": i64(0, 6, 8), "d": np.float32(2)})
    case("gemm_row_c", ("N", 5), n("Gemm", "x w b", transB=1), {"w": w(3, 5), "b": w(1, 3)})


def indices():
    case("gather_many", ("N", 6, 3), n("Gather", "x i", axis=1), {"i": i64(5, 0, -2)})
    case("gather_table", ("N", 6, 3), n("Gather", "x i", axis=2), {"i": np.array([[0, 2], [1, 1]], "i8")})
    case("embedding", ("N", 4), [n("Abs", "x", "a"), n("Cast", "a", "i", to=T.INT64), n("Gather", "t i")], {"t": w(7, 3)}, low=-6.9, high=6.9)
    case("tile", ("N", 3, 2), n("Tile", "x r"), {"r": i64(1, 2, 3)})
    case("expand", ("N", 1, 4), n("Expand", "x s"), {"s": i64(1, 3, 1)})
    case("expand_more", ("N", 4), [n("Unsqueeze", "x ax", "u"), n("Expand", "u s")], {"ax": i64(1), "s": i64(3, 4)})
    case("expand_constant_to_batch", ("N", 3, 4), [n("Shape", "x", "s"), n("Gather", "s z", "b"), n("Unsqueeze", "b z1", "u"), n("Concat", "u r", "t", axis=0),
                                                  n("Expand", "k t", "e"), n("Concat", "e x", axis=1)],
         {"z": np.int64(0), "z1": i64(0), "r": i64(-1, -1) * 0 + i64(1, 4), "k": w(1, 1, 4)})
    case("expand_as_torch_writes_it", ("N", 3, 4), [
        n("Shape", "x", "s"), n("Gather", "s z", "b"), n("Unsqueeze", "b z1", "u"), n("Concat", "u m m", "t", axis=0), n("ConstantOfShape", "three", "ones", value=base.h.make_tensor("v", T.INT64, [1], [1])),
        n("Mul", "ones mm", "minus"), n("Equal", "t minus", "eq"), n("Where", "eq ones t", "shape"), n("Expand", "k shape", "e"), n("Concat", "e x", axis=1)],
        {"z": np.int64(0), "z1": i64(0), "m": i64(-1), "mm": np.int64(-1), "three": i64(3), "k": w(1, 1, 4)})
    case("range_and_size", ("N", 6), [n("Range", "a b c", "r"), n("Gather", "x r", axis=1)], {"a": np.int64(5), "b": np.int64(0), "c": np.int64(-2)})
    for mode in ("DCR", "CRD"):
        case("depth_to_space_" + mode.lower(), ("N", 12, 2, 3), n("DepthToSpace", "x", blocksize=2, mode=mode))
    case("space_to_depth", ("N", 3, 4, 6), n("SpaceToDepth", "x", blocksize=2))


def sizes():
    c = {"roi": np.zeros(0, "f4"), "s": np.array([1, 1, 2, 1.5], "f4")}
    case("upsample_7", IMG, n("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0]), opset=7)
    case("upsample_9_linear", IMG, n("Upsample", "x s", mode="linear"), {"s": np.array([1, 1, 2, 2], "f4")}, opset=9)
    case("resize_10", IMG, n("Resize", "x s"), {"s": np.array([1, 1, 2, 0.5], "f4")}, opset=10)
    case("resize_10_linear", IMG, n("Resize", "x s", mode="linear"), {"s": np.array([1, 1, 2, 1.5], "f4")}, opset=10)
    for place in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"):
        case("resize_linear_" + place, IMG, n("Resize", "x - s", mode="linear", coordinate_transformation_mode=place), {"s": c["s"]})
        case("resize_linear_smaller_" + place, (2, 4, 7, 6), n("Resize", "x - - z", mode="linear", coordinate_transformation_mode=place), {"z": i64(2, 4, 3, 1)})
    for place, rounding in (("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"), ("asymmetric", "floor"), ("asymmetric", "ceil"), ("align_corners", "floor")):
        case("resize_nearest_%s_%s" % (place, rounding), IMG, n("Resize", "x - s", coordinate_transformation_mode=place, nearest_mode=rounding), {"s": c["s"]})
    case("resize_sizes", (2, 4, 7, 6), n("Resize", "x roi e z", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), {"roi": c["roi"], "e": np.zeros(0, "f4"), "z": i64(2, 4, 14, 12)}, opset=11)
    case("resize_axes", IMG, n("Resize", "x - - z", mode="linear", axes=[2, 3]), {"z": i64(10, 5)}, opset=18)
    case("resize_by_shape", IMG, [n("Shape", "x", "s"), n("Slice", "s a b", "nc"), n("Concat", "nc z", "t", axis=0), n("Resize", "x - - t")], {"a": i64(0), "b": i64(2), "z": i64(9, 9)})


def nets():
    case("net_convnext_block", ("N", 4, 5, 5), [
        n("Conv", "x dw", "d", group=4, pads=[1, 1, 1, 1]), n("Transpose", "d", "t", perm=[0, 2, 3, 1]), n("LayerNormalization", "t s b", "l", epsilon=1e-6),
        n("MatMul", "l w1", "m1"), n("Add", "m1 b1", "a1"), n("Div", "a1 r2", "e0"), n("Erf", "e0", "e1"), n("Add", "e1 one", "e2"), n("Mul", "a1 e2", "g0"), n("Mul", "g0 half", "g"),
        n("MatMul", "g w2", "m2"), n("Add", "m2 b2", "a2"), n("Transpose", "a2", "u", perm=[0, 3, 1, 2]), n("Mul", "u gamma", "v"), n("Add", "x v")],
        {"dw": w(4, 1, 3, 3), "s": w(4), "b": w(4), "w1": w(4, 8), "b1": w(8), "w2": w(8, 4), "b2": w(4), "gamma": w(4, 1, 1), "r2": np.float32(2 ** .5), "one": np.float32(1), "half": np.float32(.5)}, opset=17)
    case("net_fpn", ("N", 3, 8, 8), [
        n("Conv", "x w1", "c1", strides=[2, 2], pads=[1, 1, 1, 1]), n("Relu", "c1", "r1"), n("Conv", "r1 w2", "c2", strides=[2, 2], pads=[1, 1, 1, 1]), n("Relu", "c2", "r2"),
        n("Resize", "r2 - s", "up", coordinate_transformation_mode="asymmetric", nearest_mode="floor"), n("Add", "up r1", "p"), n("GlobalAveragePool", "p", "g"), n("Flatten", "g")],
        {"w1": w(4, 3, 3, 3), "w2": w(4, 4, 3, 3), "s": np.array([1, 1, 2, 2], "f4")})


def main():
    for part in (norms, reductions, elementwise, products, indices, sizes, nets):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
