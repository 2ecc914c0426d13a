#!/usr/bin/env python3
"""Golden tensors for ops that pick, turn round and cast by what another tensor is, and for files without a batch, computed
by ONNX Runtime.

    python3 tools/goldens/make_onnx_pick_goldens.py tests/parity/goldens/onnx_pick.golden

As make_onnx_goldens.py, whose file format and needs these are.
"""
import sys

import numpy as np
from onnx import TensorProto as T

import make_onnx_goldens as base
from make_onnx_goldens import IMG, case, i64, n, w


def picks():
    places = n("Cast", "x", "i", to=T.INT64)
    case("gather_elements_sorted", ("N", 9), [n("TopK", "x k", "v i", axis=1), n("GatherElements", "x i", axis=1)], {"k": i64(4)})
    case("gather_elements_negative", ("N", 3, 5), [places, n("GatherElements", "x i", axis=2)], low=-5, high=5)
    case("gather_elements_middle", ("N", 5, 3), [places, n("GatherElements", "x i", axis=-2)], low=-5, high=5)
    case("gather_elements_image", ("N", 19, 3, 2), [n("Relu", "x", "r"), n("Cast", "r", "i", to=T.INT32), n("GatherElements", "x i", axis=1)],
         low=-4, high=9)
    case("gather_elements_fewer", ("N", 4, 6), [n("Slice", "x b e a", "s"), n("Abs", "s", "p"), n("Cast", "p", "i", to=T.INT64),
                                               n("GatherElements", "x i", axis=2)],
         {"b": i64(0, 0), "e": i64(3, 2), "a": i64(1, 2)}, opset=11)
    case("gather_elements_fixed", (2, 3), n("GatherElements", "x i", axis=0), {"i": i64(1, 0, 1, -1, 0, -2).reshape(2, 3)})


def reversals():
    case("reverse_sequence", (4, 5, 2), n("ReverseSequence", "x l", batch_axis=0, time_axis=1), {"l": i64(5, 1, 3, 2)}, opset=10)
    case("reverse_sequence_time_first", (5, 3, 2), n("ReverseSequence", "x l"), {"l": i64(4, 5, 1)}, opset=10)
    case("reverse_sequence_of_photos", ("N", 6), [n("ArgMax", "x", "a", axis=1, keepdims=0), n("Add", "a one", "l"),
                                                  n("ReverseSequence", "x l", batch_axis=0, time_axis=1)], {"one": i64(1)[0]}, batch=4)


def shapes():
    case("eye_like", ("N", 4), [n("EyeLike", "w", "e"), n("MatMul", "x e")], {"w": w(4, 6)}, opset=9)
    case("eye_like_k", ("N", 4), [n("EyeLike", "w", "e", k=2), n("MatMul", "x e")], {"w": w(4, 5)}, opset=9)
    case("eye_like_below", ("N", 4), [n("EyeLike", "w", "e", k=-1, dtype=T.FLOAT), n("MatMul", "x e")], {"w": i64(1, 2, 3, 4, 5, 6, 7, 8).reshape(4, 2)})
    case("eye_like_far", ("N", 4), [n("EyeLike", "w", "e", k=99), n("Gemm", "x v e")], {"v": w(4, 2), "w": w(1, 2)})


def casts():
    lost = lambda: [n("Cast", "h", "f", to=T.FLOAT), n("Sub", "x f", "d"), n("Mul", "d k")]
    k = {"k": np.array(4096.0, "f4")}
    case("cast_like_half_weight", ("N", 9), [n("CastLike", "x w", "h"), *lost()], {"w": w(1).astype("f2"), **k}, opset=15)
    case("cast_like_a_cast", ("N", 9), [n("Cast", "x", "c", to=T.BFLOAT16), n("CastLike", "x c", "h"), *lost()], k, opset=15)
    case("cast_like_input", ("N", 9), [n("CastLike", "w x", "v"), n("Mul", "x v")], {"w": i64(*range(9))}, opset=15)
    case("cast_like_computed", ("N", 9), [n("Relu", "x", "r"), n("CastLike", "w r", "v"), n("Add", "x v")], {"w": i64(2)}, opset=15)
    case("cast_like_integers", ("N", 9), [n("CastLike", "x w", "i"), n("CastLike", "i x", "y")], {"w": i64(0)}, opset=15, low=-9, high=9)


def fixed():
    case("mean_variance_of_photos", (3, 4, 5, 2), n("MeanVarianceNormalization", "x"), low=3, high=4)
    case("mean_variance_of_one", (1, 4, 5, 2), n("MeanVarianceNormalization", "x"), opset=9)
    case("mean_variance_of_everything", (2, 3, 4), n("MeanVarianceNormalization", "x", axes=[0, 1, 2]))
    case("softmax_of_photos", (3, 4), n("Softmax", "x", axis=0))


def main():
    base.CASES.clear()
    for part in (picks, reversals, shapes, casts, fixed):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
