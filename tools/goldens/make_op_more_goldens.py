#!/usr/bin/env python3
"""Golden tensors for transposed convolutions and sorting, computed by Apache MXNet itself.

    python3 tools/goldens/make_op_more_goldens.py tests/parity/goldens/ops_more.golden

As make_op_goldens.py, whose file format and needs these are.
"""
import sys

import make_op_goldens as base
from make_op_goldens import S, case
from make_op_wide_goldens import IMG, npx, numpy_op


def transposed():
    conv = lambda **kw: (lambda d: S.Deconvolution(d, name="deconv", **kw))
    case("deconv", IMG, conv(kernel=(3, 3), num_filter=5))
    case("deconv_bias", IMG, conv(kernel=(3, 2), num_filter=5, no_bias=False))
    case("deconv_stride_pad", IMG, conv(kernel=(4, 3), num_filter=3, stride=(2, 3), pad=(1, 1)))
    case("deconv_adj", IMG, conv(kernel=(3, 3), num_filter=3, stride=(2, 2), pad=(1, 1), adj=(1, 0)))
    case("deconv_dilate", IMG, conv(kernel=(3, 3), num_filter=3, dilate=(2, 1), stride=(1, 2), pad=(2, 0)))
    case("deconv_groups", IMG, conv(kernel=(3, 3), num_filter=6, num_group=2, stride=(2, 2)))
    case("deconv_depthwise", IMG, conv(kernel=(4, 4), num_filter=4, num_group=4, stride=(2, 2), pad=(1, 1)))
    case("deconv_target", IMG, conv(kernel=(4, 4), num_filter=3, stride=(2, 2), target_shape=(14, 12)))
    case("deconv_target_odd", IMG, conv(kernel=(4, 4), num_filter=3, stride=(2, 2), target_shape=(15, 11)))
    case("deconv_1x1", IMG, conv(kernel=(1, 1), num_filter=3, stride=(2, 2)))
    case("deconv_wide", (2, 2, 3, 50), conv(kernel=(3, 5), num_filter=2, stride=(2, 3), pad=(1, 2)))
    case("deconv_norm_relu", IMG, lambda d: S.relu(S.BatchNorm(S.Deconvolution(d, name="deconv", kernel=(4, 4), num_filter=3, stride=(2, 2), pad=(1, 1)), name="bn", fix_gamma=False)))
    case("npx_deconvolution", IMG, lambda d: npx("deconvolution", d, S.var("w", shape=(4, 3, 2, 2)), kernel=(2, 2), stride=(2, 2), num_filter=3))
    for scale in (2, 3, 4):
        case("up_sampling_bilinear_%d" % scale, IMG, lambda d, s=scale: S.UpSampling(d, S.var("w", shape=(4, 1, 2 * s - s % 2, 2 * s - s % 2)), scale=s, sample_type="bilinear", num_filter=4, num_args=2))


def sorting():
    top = lambda **kw: (lambda d: S.topk(d, **kw))
    case("topk", (2, 9), top())
    case("topk_value", (2, 9), top(k=3, ret_typ="value"))
    case("topk_indices_axis", (2, 7, 3), top(k=4, axis=1))
    case("topk_smallest", (2, 7, 3), top(k=2, axis=-1, is_ascend=True, ret_typ="value"))
    case("topk_both", (2, 9), lambda d: (lambda p: p[0] * 10 + p[1])(S.topk(d, k=5, ret_typ="both")))
    case("topk_all", (2, 9), top(k=0))
    case("sort", (2, 9), lambda d: S.sort(d))
    case("sort_down", (2, 7, 3), lambda d: S.sort(d, axis=1, is_ascend=False))
    case("argsort", (2, 9), lambda d: S.argsort(d))
    case("argsort_down", (2, 7, 3), lambda d: S.argsort(d, axis=1, is_ascend=False))
    case("npx_topk", (2, 9), lambda d: npx("topk", d, k=2, ret_typ="value"))


def names():
    """Other names of what is there."""
    case("npi_amax_amin", (2, 3, 4), lambda d: numpy_op_of("_np_amax", d, axis=1) - numpy_op_of("_np_amin", d, axis=1))
    case("npi_abs_hypot", (2, 6), lambda d: numpy_op("hypot_scalar", numpy_op("absolute", d), scalar=2.0))
    case("npx_smooth_l1", (2, 6), lambda d: npx("smooth_l1", d, scalar=1.5))


def casts():
    """What a cast takes away, made large: without the rounding it would be 0."""
    back = lambda d, h: (d - S.Cast(h, dtype="float32")) * 4096
    case("cast_f16", (2, 33), lambda d: back(d, S.Cast(d, dtype="float16")))
    case("amp_cast_f16", (2, 33), lambda d: back(d, S.amp_cast(d, dtype="float16")))
    case("cast_f16_image", (2, 19, 3, 2), lambda d: back(d, S.Cast(d, dtype="float16")))
    for name, narrow in (("wide", False), ("narrow", True)):
        case("amp_multicast_" + name, (2, 9), lambda d, k=narrow: back(d, S.amp_multicast(d, S.Cast(d, dtype="float16"), num_outputs=2, cast_narrow=k)[0]))
    case("amp_multicast_narrow_f32", (2, 9), lambda d: (lambda p: p[0] + p[1])(S.amp_multicast(d, S.relu(d), num_outputs=2, cast_narrow=True)))
    weight = S.var("w", shape=(3, 5))
    case("cast_weight", (2, 5), lambda d: S.FullyConnected(d, back(weight, S.Cast(weight, dtype="float16")), num_hidden=3, no_bias=True))


def numpy_op_of(name, d, **attrs):
    import mxnet as mx
    which = {"_np_amax": mx.symbol.numpy.max, "_np_amin": mx.symbol.numpy.min}[name]
    return which(d.as_np_ndarray(), **attrs).as_nd_ndarray()


def main():
    base.CASES.clear()
    for part in (transposed, sorting, names, casts):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
