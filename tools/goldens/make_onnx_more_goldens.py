#!/usr/bin/env python3
"""Golden tensors for transposed convolutions, sorting and pools of powers, computed by ONNX Runtime.

    python3 tools/goldens/make_onnx_more_goldens.py tests/parity/goldens/onnx_more.golden

As make_onnx_goldens.py, whose file format and needs these are.
"""
import sys

import numpy as np
from onnx import TensorProto as T

import make_onnx_goldens as base
from make_onnx_goldens import IMG, case, i64, n, w


def transposed():
    c = {"w": w(4, 3, 3, 3), "b": w(3)}
    up = lambda **kw: n("ConvTranspose", "x w b", **kw)
    case("deconv", IMG, up(), c)
    case("deconv_no_bias", IMG, n("ConvTranspose", "x w", kernel_shape=[3, 3]), c, opset=7)
    case("deconv_pads_uneven", IMG, up(strides=[2, 3], pads=[1, 0, 0, 2]), c)
    case("deconv_output_padding", IMG, up(strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 0]), c)
    case("deconv_dilations", IMG, up(dilations=[2, 1], strides=[1, 2]), c)
    case("deconv_output_shape", IMG, up(strides=[2, 2], output_shape=[14, 12]), c)
    case("deconv_output_shape_upper", IMG, up(strides=[2, 2], output_shape=[14, 12], auto_pad="SAME_UPPER"), c)
    case("deconv_output_shape_larger", IMG, up(strides=[2, 2], output_shape=[16, 14], output_padding=[1, 1]), c)
    case("deconv_same_upper", IMG, up(strides=[2, 2], auto_pad="SAME_UPPER"), c)
    case("deconv_same_lower", IMG, up(strides=[2, 2], auto_pad="SAME_LOWER"), c)
    case("deconv_valid", IMG, up(strides=[2, 2], auto_pad="VALID"), c)
    case("deconv_group", IMG, n("ConvTranspose", "x w", group=2, strides=[2, 2]), {"w": w(4, 3, 2, 2)}, opset=11)
    case("deconv_depthwise", IMG, n("ConvTranspose", "x w", group=4, strides=[2, 2], pads=[1, 1, 1, 1]), {"w": w(4, 1, 4, 4)})
    case("deconv_wide", ("N", 2, 3, 50), n("ConvTranspose", "x w", strides=[2, 3], pads=[1, 2, 1, 2]), {"w": w(2, 2, 3, 5)})
    case("net_unet", ("N", 3, 8, 8), [
        n("Conv", "x w1", "c1", pads=[1, 1, 1, 1]), n("Relu", "c1", "r1"), n("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        n("Conv", "p1 w2", "c2", pads=[1, 1, 1, 1]), n("Relu", "c2", "r2"), n("ConvTranspose", "r2 u b", "u1", strides=[2, 2]),
        n("Concat", "r1 u1", "k", axis=1), n("Conv", "k w3", "c3", pads=[1, 1, 1, 1]), n("Sigmoid", "c3")],
        {"w1": w(4, 3, 3, 3), "w2": w(6, 4, 3, 3), "u": w(6, 4, 2, 2), "b": w(4), "w3": w(1, 8, 3, 3)})


def sorting():
    both = lambda *head: [*head, n("Cast", "i", "f", to=T.FLOAT), n("Add", "v f")]
    case("topk", ("N", 9), both(n("TopK", "x k", "v i")), {"k": i64(3)})
    case("topk_axis_smallest", ("N", 7, 3), both(n("TopK", "x k", "v i", axis=1, largest=0)), {"k": i64(4)})
    case("topk_values_only", ("N", 7, 3), n("TopK", "x k", "y unread", axis=-1), {"k": i64(2)})
    case("topk_indices_only", ("N", 9), [n("TopK", "x k", "unread i"), n("Cast", "i", to=T.FLOAT)], {"k": i64(9)})
    case("topk_ties", ("N", 9), both(n("Round", "x", "r"), n("TopK", "r k", "v i")), {"k": i64(6)})
    case("topk_9", ("N", 9), both(n("TopK", "x", "v i", k=2)), opset=9)
    case("topk_10", ("N", 9), both(n("TopK", "x k", "v i")), {"k": i64(2)}, opset=10)


def pools():
    case("lp_pool", IMG, n("LpPool", "x", kernel_shape=[3, 2], strides=[2, 1]), low=0.1)
    case("lp_pool_3_pads", IMG, n("LpPool", "x", kernel_shape=[2, 2], pads=[1, 1, 0, 0], p=3), opset=18)
    case("lp_pool_1", IMG, n("LpPool", "x", kernel_shape=[2, 2], p=1))
    case("global_lp_pool", IMG, n("GlobalLpPool", "x"))
    case("global_lp_pool_3", IMG, n("GlobalLpPool", "x", p=3))


def main():
    base.CASES.clear()
    for part in (transposed, sorting, pools):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
