#!/usr/bin/env python3
"""Golden tensors for casts to f16 and bf16, masks, shifts and pads of all kinds, computed by ONNX Runtime.

    python3 tools/goldens/make_onnx_mask_goldens.py tests/parity/goldens/onnx_mask.golden

As make_onnx_goldens.py, whose file format and needs these are.
"""
import sys

import numpy as np
from onnx import TensorProto as T

import make_onnx_goldens as base
from make_onnx_goldens import IMG, case, i64, n, w

HALVES = (("f16", T.FLOAT16), ("bf16", T.BFLOAT16))


def casts():
    """What a cast takes away, made large: without the rounding it would be 0."""
    k = {"k": np.array(4096.0, "f4")}
    lost = lambda: [n("Cast", "h", "f", to=T.FLOAT), n("Sub", "x f", "d"), n("Mul", "d k")]
    for name, half in HALVES:
        case("cast_" + name, ("N", 33), [n("Cast", "x", "h", to=half), *lost()], k)
        case("cast_%s_small" % name, ("N", 33), [n("Cast", "x", "h", to=half), n("Cast", "h", "f", to=T.FLOAT), n("Mul", "f k")],
             {"k": np.array(2.0**15, "f4")}, low=-1e-4, high=1e-4)
        case("cast_%s_image" % name, ("N", 19, 5, 4), [n("Relu", "x", "r"), n("Cast", "r", "h", to=half), *lost()], k)
        case("cast_%s_weight" % name, ("N", 5), [n("Cast", "w", "h", to=half), n("Cast", "h", "f", to=T.FLOAT), n("Sub", "w f", "d"),
                                                 n("Mul", "d k", "e"), n("MatMul", "x e")], {"w": w(5, 3), **k})
    # in blocks of channels: between two convolutions, and after one whose sum and ReLU are fused
    c = {"w": w(20, 4, 3, 3), "b": w(20), "v": w(20, 20, 1, 1), **k}
    case("cast_between_convs", IMG, [n("Conv", "x w b", "c", pads=[1, 1, 1, 1]), n("Cast", "c", "h", to=T.FLOAT16),
                                     n("Cast", "h", "f", to=T.FLOAT), n("Conv", "f v")], c)
    case("cast_what_a_conv_loses", IMG, [n("Conv", "x w b", "c", pads=[1, 1, 1, 1]), n("Relu", "c", "r"), n("Cast", "r", "h", to=T.BFLOAT16),
                                         n("Cast", "h", "f", to=T.FLOAT), n("MaxPool", "f", "p", kernel_shape=[2, 2]),
                                         n("Conv", "p v")], c)
    case("cast_of_integers", ("N", 9), [n("Cast", "x", "i", to=T.INT32), n("Cast", "i", "h", to=T.FLOAT16), n("Cast", "h", to=T.FLOAT)],
         low=-9000, high=9000)


def pads():
    case("pad_negative", IMG, n("Pad", "x p"), {"p": i64(0, 0, -1, -2, 0, 0, -2, 0)})
    case("pad_negative_and_more", IMG, n("Pad", "x p v"), {"p": i64(0, -1, -1, 2, 0, 1, 3, -2), "v": np.array(0.5, "f4")})
    case("pad_negative_edge", IMG, n("Pad", "x p", mode="edge"), {"p": i64(0, 0, -1, 2, 0, 0, 3, -2)})
    case("pad_negative_reflect", IMG, n("Pad", "x p", mode="reflect"), {"p": i64(0, 0, -1, 2, 0, 0, 3, -2)})
    case("pad_negative_attributes", IMG, n("Pad", "x", pads=[0, 0, -1, -2, 0, 0, -2, 1], value=2.0), opset=7)
    case("pad_wrap", IMG, n("Pad", "x p", mode="wrap"), {"p": i64(0, 0, 1, 2, 0, 0, 3, 0)}, opset=19)
    case("pad_wrap_all_around", IMG, n("Pad", "x p", mode="wrap"), {"p": i64(0, 1, 7, 6, 0, 3, 7, 6)}, opset=19)
    case("pad_wrap_axes", IMG, n("Pad", "x p - a", mode="wrap"), {"p": i64(2, 1), "a": i64(-1)}, opset=19)
    case("center_crop_pad", IMG, n("CenterCropPad", "x s", axes=[2, 3]), {"s": i64(4, 9)}, opset=18)
    case("center_crop_pad_odd", IMG, n("CenterCropPad", "x s", axes=[1, -1, 2]), {"s": i64(3, 3, 10)}, opset=18)


def shifts():
    for name, attrs in (("", {}), ("_exclusive", {"exclusive": 1}), ("_reverse", {"reverse": 1}),
                        ("_exclusive_reverse", {"exclusive": 1, "reverse": 1})):
        case("cum_sum" + name, ("N", 3, 7), n("CumSum", "x a", **attrs), {"a": i64(2)})
    case("cum_sum_axis", ("N", 5, 3), n("CumSum", "x a"), {"a": np.array(-2, "i4")}, opset=11)
    case("cum_sum_one", ("N", 1), n("CumSum", "x a", exclusive=1), {"a": i64(1)})
    case("cum_sum_long", ("N", 100), n("CumSum", "x a"), {"a": i64(1)}, opset=14)


def masks():
    case("hardmax", ("N", 3, 5), n("Hardmax", "x"))
    case("hardmax_axis", ("N", 3, 5), n("Hardmax", "x", axis=1))
    case("hardmax_ties", ("N", 9), [n("Round", "x", "r"), n("Hardmax", "r")])
    case("hardmax_11", ("N", 3, 4), n("Hardmax", "x"), opset=11)
    case("hardmax_11_axis", ("N", 3, 4, 2), n("Hardmax", "x", axis=2), opset=7)
    case("trilu", ("N", 4, 5), n("Trilu", "x"), opset=14)
    case("trilu_k", ("N", 2, 5, 4), n("Trilu", "x k"), {"k": np.array(1, "i8")}, opset=14)
    case("trilu_lower", ("N", 5, 4), n("Trilu", "x k", upper=0), {"k": np.array(-1, "i8")}, opset=14)
    case("trilu_far", ("N", 3, 3), n("Trilu", "x k"), {"k": np.array(-99, "i8")}, opset=14)
    places = lambda: n("Cast", "x", "i", to=T.INT64)
    case("one_hot", ("N", 7), [places(), n("OneHot", "i d v")], {"d": np.array(4, "i8"), "v": np.array([-1, 2], "f4")}, low=-6, high=6)
    case("one_hot_axis", ("N", 3, 2), [places(), n("OneHot", "i d v", axis=1)], {"d": i64(5), "v": np.array([0, 1], "f4")}, low=0, high=5)
    case("one_hot_of_max", ("N", 5), [n("ArgMax", "x", "i", axis=1, keepdims=0), n("OneHot", "i d v")],
         {"d": np.array(5, "f4"), "v": np.array([0, 3], "f4")}, opset=11)
    case("mean_variance", IMG, n("MeanVarianceNormalization", "x", axes=[2, 3]))
    case("mean_variance_of_all", IMG, n("MeanVarianceNormalization", "x", axes=[1, 2, 3]), low=3, high=4)
    case("mean_variance_rows", ("N", 3, 8), n("MeanVarianceNormalization", "x", axes=[-1]), opset=9)


def main():
    base.CASES.clear()
    for part in (casts, pads, shifts, masks):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
