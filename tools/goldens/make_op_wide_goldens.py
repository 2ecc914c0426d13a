#!/usr/bin/env python3
"""Golden tensors for the ops that nets for photos seldom need, computed by Apache MXNet itself.

    python3 tools/goldens/make_op_wide_goldens.py tests/parity/goldens/ops_wide.golden

As make_op_goldens.py, whose file format and needs these are.
"""
import sys

import make_op_goldens as base
from make_op_goldens import S, case
import mxnet as mx

IMG = (2, 4, 7, 6)


def constant(name, *shape):
    return S.var(name, shape=shape)


def numpy_op(name, *inputs, **attrs):
    """An op of MXNet's NumPy interface, whose names 2.0 writes."""
    return getattr(mx.symbol.numpy._internal, name)(*[i.as_np_ndarray() for i in inputs], **attrs).as_nd_ndarray()


def npx(name, *inputs, **attrs):
    return getattr(mx.symbol.numpy_extension, name)(*[i.as_np_ndarray() for i in inputs], **attrs).as_nd_ndarray()


def norms():
    case("layer_norm", (2, 3, 8), lambda d: S.LayerNorm(d, name="ln"))
    case("layer_norm_axis", (2, 3, 8), lambda d: S.LayerNorm(d, axis=1, eps=1e-2, name="ln"))
    case("layer_norm_image", IMG, lambda d: S.LayerNorm(d, axis=1, name="ln"))
    case("instance_norm", IMG, lambda d: S.InstanceNorm(d, name="norm"))
    case("instance_norm_rows", (2, 3, 5), lambda d: S.InstanceNorm(d, eps=0.1, name="norm"))
    case("group_norm", (2, 4, 3, 3), lambda d: S.GroupNorm(d, constant("g_gamma", 4), constant("g_beta", 4), num_groups=2))
    case("group_norm_one", (2, 4, 3, 3), lambda d: S.GroupNorm(d, constant("g_gamma", 4), constant("g_beta", 4), num_groups=1, eps=0.1))
    case("norm_2", IMG, lambda d: S.norm(d, axis=(2, 3)))
    case("norm_1_keepdims", IMG, lambda d: S.norm(d, ord=1, axis=1, keepdims=True))
    case("softmin", (2, 3, 4), lambda d: S.softmin(d, axis=1), -8, 8)


def products():
    case("dot", (3, 5), lambda d: S.dot(d, constant("w", 5, 4)))
    case("dot_transposed", (3, 5), lambda d: S.dot(d, constant("w", 4, 5), transpose_b=True))
    case("dot_deep", (2, 3, 5), lambda d: S.dot(d, constant("w", 5, 4)))
    case("batch_dot", (2, 3, 5), lambda d: S.batch_dot(d, S.transpose(d, axes=(0, 2, 1))))
    case("batch_dot_transposed", (2, 3, 5), lambda d: S.batch_dot(d, S.sin(d), transpose_a=True))
    case("batch_dot_both", (2, 3, 5), lambda d: S.batch_dot(d, S.slice_axis(d, axis=1, begin=0, end=3), transpose_b=True))
    case("linalg_gemm2", (2, 3, 5), lambda d: S.linalg_gemm2(d, S.relu(d), transpose_b=True, alpha=0.5))
    case("attention", (2, 4, 6), lambda d: S.batch_dot(S.softmax(S.batch_dot(d, d, transpose_b=True) / 2), d))


def sizes():
    pool = S.contrib.AdaptiveAvgPooling2D
    case("adaptive_one", IMG, lambda d: pool(d))
    case("adaptive_uneven", IMG, lambda d: pool(d, output_size=(3, 4)))
    case("adaptive_even", (2, 4, 6, 8), lambda d: pool(d, output_size=(3, 2)))
    case("adaptive_larger", IMG, lambda d: pool(d, output_size=9))
    case("up_sampling", IMG, lambda d: S.UpSampling(d, scale=2, sample_type="nearest"))
    case("up_sampling_3", (2, 3, 2, 5), lambda d: S.UpSampling(d, scale=3, sample_type="nearest", num_args=1))
    resize = S.contrib.BilinearResize2D
    case("bilinear_resize", IMG, lambda d: resize(d, height=9, width=11))
    case("bilinear_resize_smaller", IMG, lambda d: resize(d, height=3, width=4))
    case("bilinear_resize_half_pixel", IMG, lambda d: resize(d, height=9, width=4, align_corners=False))
    case("pool_lp", IMG, lambda d: S.Pooling(d, kernel=(3, 3), pool_type="lp", stride=(2, 2), p_value=2), 0.1, 2)
    case("pool_lp_3", IMG, lambda d: S.Pooling(d, kernel=(2, 2), pool_type="lp", p_value=3, pad=(1, 1)), 0.1, 2)
    case("pool_lp_global", IMG, lambda d: S.Pooling(d, kernel=(2, 2), pool_type="lp", p_value=1, global_pool=True), 0.1, 2)
    case("tile", (2, 3, 4), lambda d: S.tile(d, reps=(1, 2, 3)))
    case("tile_fewer", (2, 3, 4), lambda d: S.tile(d, reps=(2,)))
    case("repeat", (2, 3, 4), lambda d: S.repeat(d, repeats=3, axis=1))
    case("repeat_last", (2, 3, 4), lambda d: S.repeat(d, repeats=2, axis=2))
    case("broadcast_to", (2, 1, 4), lambda d: S.broadcast_to(d, shape=(0, 3, 0)))
    case("broadcast_like", (2, 1, 4), lambda d: S.broadcast_like(d, S.concat(d, d, dim=1)))
    case("depth_to_space", (2, 12, 2, 3), lambda d: S.depth_to_space(d, block_size=2))
    case("space_to_depth", (2, 3, 4, 6), lambda d: S.space_to_depth(d, block_size=2))
    case("stack", (2, 3, 4), lambda d: S.stack(d, d * 2, S.relu(d), axis=1))
    case("flip", (2, 3, 4), lambda d: S.flip(d, axis=2))
    case("reverse_two", (2, 3, 4), lambda d: S.reverse(d, axis=(1, 2)))
    case("split_v2_indices", (2, 7, 3), lambda d: (lambda p: S.concat(p[2], p[0], dim=1))(S.split_v2(d, (2, 3), axis=1)))
    case("split_v2_sections", (2, 6, 3), lambda d: (lambda p: p[1] - p[2])(S.split_v2(d, 3, axis=1)))
    case("split_v2_squeeze", (2, 3, 4), lambda d: S.split_v2(d, 3, axis=1, squeeze_axis=True)[1] * 2)
    case("pad_edge_deep", (2, 3, 4, 5), lambda d: S.pad(d, mode="edge", pad_width=(0, 0, 0, 0, 0, 3, 1, 0)))
    case("pad_reflect_uneven", (2, 3, 4, 5), lambda d: S.pad(d, mode="reflect", pad_width=(0, 0, 0, 0, 3, 0, 0, 2)))
    case("squeeze_all", (2, 1, 3, 1), lambda d: S.squeeze(d))
    case("slice_negative", (2, 6, 5), lambda d: S.slice(d, begin=(0, -4, -2), end=(None, -1, None)))


def indices():
    case("take", (2, 6, 3), lambda d: S.take(d, S.cast(S.abs(constant("i", 4) * 9), dtype="int32"), axis=1))
    case("take_wrap", (2, 6, 3), lambda d: S.take(d, S.cast(constant("i", 2, 2) * 20, dtype="int32"), axis=1, mode="wrap"))
    case("embedding", (2, 5), lambda d: S.Embedding(S.abs(d), input_dim=7, output_dim=3, name="emb"), -6.9, 6.9)
    case("where", (2, 9), lambda d: S.where(d > 0.5, d * 3, S.sin(d)))
    case("one_hot", (2, 4), lambda d: S.one_hot(S.abs(d), depth=5, on_value=2.5, off_value=-1), -4.9, 4.9)
    case("argmax", (2, 7, 3), lambda d: S.argmax(d, axis=1))
    case("argmin_keepdims", (2, 7, 3), lambda d: S.argmin(d, axis=2, keepdims=True))
    case("argmax_channel", (2, 7), lambda d: S.argmax_channel(d))
    case("min_axis", (2, 3, 4), lambda d: S.min(d, axis=(1, 2)))
    case("prod", (2, 3, 4), lambda d: S.prod(d, axis=-1))
    case("arange", (2, 6), lambda d: S.broadcast_add(d, S.reshape(S.arange(start=1, stop=13, step=2), shape=(1, 6))))
    case("arange_repeat", (2, 6), lambda d: S.broadcast_mul(d, S.reshape(S.arange(3, repeat=2), shape=(1, 6))))
    case("filled", (2, 6), lambda d: S.broadcast_add(d, S.ones(shape=(1, 6)) + S.full(shape=(1, 6), val=2.5) + S.zeros(shape=(1, 6))))
    case("likes", (2, 6), lambda d: d + S.ones_like(d) + S.zeros_like(d))


def elementwise():
    for op in ("sign", "floor", "ceil", "trunc", "fix", "round", "rint", "sin", "cos", "sinh", "cosh", "arctan", "arcsinh",
               "expm1", "cbrt", "erf", "degrees", "radians", "softsign", "logical_not", "negative"):
        case("unary_" + op, (2, 9), lambda d, o=op: getattr(S, o)(d))
    for op in ("rsqrt", "rcbrt", "log", "log2", "log10", "log1p", "reciprocal", "sqrt", "exp"):
        case("unary_" + op, (2, 9), lambda d, o=op: getattr(S, o)(d), 0.2, 4)
    for op in ("arcsin", "arccos", "arctanh", "tan"):
        case("unary_" + op, (2, 9), lambda d, o=op: getattr(S, o)(d), -0.95, 0.95)
    case("unary_arccosh", (2, 9), lambda d: S.arccosh(d), 1.1, 4)
    case("round_halves", (2, 9), lambda d: S.round(S.floor(d) + 0.5) + 10 * S.rint(S.floor(d) + 0.5), -4, 4)
    case("smooth_l1", (2, 9), lambda d: S.smooth_l1(d, scalar=1.5))
    case("hard_sigmoid_other", (2, 9), lambda d: S.hard_sigmoid(d, alpha=0.3, beta=0.4), -4, 4)
    case("prelu_one", IMG, lambda d: S.LeakyReLU(d, constant("g", 1), act_type="prelu"))
    case("elu_slope", (2, 9), lambda d: S.LeakyReLU(d, act_type="elu", slope=0.7))
    for op in ("broadcast_power", "broadcast_mod", "broadcast_hypot", "broadcast_equal", "broadcast_not_equal", "broadcast_greater",
               "broadcast_greater_equal", "broadcast_lesser", "broadcast_lesser_equal", "broadcast_logical_and",
               "broadcast_logical_or", "broadcast_logical_xor"):
        case(op, (2, 3, 4), lambda d, o=op: getattr(S, o)(S.round(d), S.abs(S.round(S.sum(d, axis=1, keepdims=True)))), 0.6, 3)
    case("mod_signs", (2, 9), lambda d: (d % 1.5) + 10 * (d % -1.5))
    i = S._internal
    for op in ("_rpower_scalar", "_mod_scalar", "_rmod_scalar", "_hypot_scalar", "_equal_scalar", "_not_equal_scalar",
               "_greater_scalar", "_greater_equal_scalar", "_lesser_scalar", "_lesser_equal_scalar", "_power_scalar",
               "_rminus_scalar", "_rdiv_scalar"):
        case("scalar" + op, (2, 9), lambda d, o=op: getattr(i, o)(S.round(d), scalar=2.0), 0.6, 4)
    case("amp_multicast", (2, 6), lambda d: (lambda p: p[0] + p[1])(S.amp_multicast(d, S.relu(d), num_outputs=2)))
    case("cast_integers", (2, 9), lambda d: S.cast(S.cast(d, dtype="int32"), dtype="float32"), -4, 4)
    case("elemwise_chain", (2, 9), lambda d: S.sqrt(S.square(d) + 1) - S.log(S.abs(d) + 1) * S.exp(-d))


def two_point_zero():
    """The names of 2.0, where 1.9.1 has them already."""
    case("npi_arithmetic", (2, 6), lambda d: numpy_op("subtract_scalar", numpy_op("multiply", numpy_op("add_scalar", d, scalar=1.5), d), scalar=0.5))
    case("npi_mean", IMG, lambda d: numpy_op("mean", d, axis=(2, 3), keepdims=True))
    case("npi_concatenate", (2, 3, 4), lambda d: numpy_op("concatenate", d, numpy_op("exp", d), axis=1))
    case("npi_stack", (2, 3, 4), lambda d: numpy_op("stack", d, numpy_op("tanh", d), axis=1))
    case("npi_split", (2, 6, 4), lambda d: mx.symbol.numpy.split(d.as_np_ndarray(), 3, axis=1)[1].as_nd_ndarray() * 2)
    case("npi_where", (2, 6), lambda d: numpy_op("where", d > 0, d * 2, S.sin(d)))
    case("npi_matmul", (2, 3, 5), lambda d: mx.symbol.numpy.matmul(d.as_np_ndarray(), S.transpose(d, axes=(0, 2, 1)).as_np_ndarray()).as_nd_ndarray())
    case("npx_activations", (2, 6), lambda d: npx("relu", npx("sigmoid", d) - 0.5) + npx("softmax", d) + npx("leaky_relu", d, act_type="gelu"))
    case("npx_layers", IMG, lambda d: npx("fully_connected", npx("pooling", npx("convolution", d, constant("w", 3, 4, 3, 3), constant("b", 3), kernel=(3, 3), num_filter=3),
                                                                 kernel=(2, 2), stride=(2, 2), pool_type="max"),
                                          constant("fw", 5, 12), constant("fb", 5), num_hidden=5))
    case("npx_batch_norm", IMG, lambda d: npx("batch_norm", d, *[constant(n, 4) for n in ("bn_gamma", "bn_beta")],
                                              S.var("bn_running_mean", shape=(4,), __aux__="1"), S.var("bn_running_var", shape=(4,), __aux__="1"), fix_gamma=False)[0])
    case("npx_layer_norm", (2, 3, 8), lambda d: npx("layer_norm", d, constant("g", 8), constant("b", 8), axis=-1))
    case("npx_reshape", (2, 6, 4), lambda d: npx("reshape", d, newshape=(-2, -6, 2, -1, -4)))
    case("npx_reshape_merge", (2, 6, 4), lambda d: npx("reshape", d, newshape=(-2, -5)))
    case("np_reshape", (2, 6, 4), lambda d: mx.symbol.numpy.reshape(d.as_np_ndarray(), (-1, 24)).as_nd_ndarray() * 1)
    case("np_transpose", (2, 3, 4), lambda d: mx.symbol.numpy.transpose(d.as_np_ndarray(), (0, 2, 1)).as_nd_ndarray() * 1)
    case("npi_swapaxes", (2, 3, 4), lambda d: mx.symbol.numpy.swapaxes(d.as_np_ndarray(), 1, 2).as_nd_ndarray() * 1)
    case("npi_flip", (2, 3, 4), lambda d: mx.symbol.numpy.flip(d.as_np_ndarray(), 1).as_nd_ndarray() * 1)
    case("np_sum_max", (2, 3, 4), lambda d: mx.symbol.numpy.sum(d.as_np_ndarray(), axis=1, keepdims=True).as_nd_ndarray() + mx.symbol.numpy.max(d.as_np_ndarray(), axis=1, keepdims=True).as_nd_ndarray())
    case("npi_expand_squeeze", (2, 3, 4), lambda d: mx.symbol.numpy.squeeze(mx.symbol.numpy.expand_dims(d.as_np_ndarray(), 1), 1).as_nd_ndarray() * 1)


def nets():
    """The zoo at reduced width, as far as make_op_goldens.py does not have it. tools/zoo_sweep.py has it at full size."""

    def conv(d, name, n, k=3, s=1, g=1, bias=False):
        return S.Convolution(d, name=name, num_filter=n, kernel=(k, k), stride=(s, s), pad=(k // 2, k // 2), num_group=g, no_bias=not bias)

    def bn(d, name, fix=False):
        return S.BatchNorm(d, name=name + "_bn", fix_gamma=fix, eps=1e-5)

    relu = lambda d: S.Activation(d, act_type="relu")
    unit = lambda d, name, n, k=3, s=1, g=1: relu(bn(conv(d, name, n, k, s, g), name))
    pool = lambda d, kind, k=3, s=2, p=1: S.Pooling(d, kernel=(k, k), stride=(s, s), pad=(p, p), pool_type=kind)
    head = lambda d: S.FullyConnected(S.Flatten(S.Pooling(d, kernel=(1, 1), global_pool=True, pool_type="avg")), num_hidden=5, name="fc")

    def alexnet(d):
        d = relu(S.Convolution(d, name="c0", num_filter=6, kernel=(5, 5), stride=(2, 2), pad=(2, 2)))
        d = S.LRN(pool(d, "max", 3, 2, 0), nsize=5)
        d = S.Flatten(pool(relu(conv(d, "c1", 6, bias=True)), "max", 2, 2, 0))
        return S.FullyConnected(S.Dropout(relu(S.FullyConnected(d, num_hidden=8, name="f0"))), num_hidden=5, name="f1")

    def vgg_bn(d):
        for i, n in enumerate((4, 6)):
            d = pool(relu(bn(conv(relu(bn(conv(d, "c%da" % i, n, bias=True), "c%da" % i)), "c%db" % i, n, bias=True), "c%db" % i)), "max", 2, 2, 0)
        return S.FullyConnected(relu(S.FullyConnected(d, num_hidden=8, name="f0")), num_hidden=5, name="f1")

    def densenet(d):
        d = pool(unit(d, "c0", 4), "max")
        for i in range(2):
            for k in range(2):
                y = conv(relu(bn(d, "d%d%da" % (i, k))), "d%d%da" % (i, k), 6, 1)
                d = S.Concat(d, conv(relu(bn(y, "d%d%db" % (i, k))), "d%d%db" % (i, k), 3))
            if i == 0:
                d = pool(conv(relu(bn(d, "t")), "t", 4, 1), "avg", 2, 2, 0)
        return head(relu(bn(d, "last")))

    def mobilenet(d):
        d = unit(d, "c0", 4, 3, 2)
        for i, (n, s) in enumerate(((8, 1), (8, 2))):
            inside = 4 if i == 0 else 8
            d = unit(unit(d, "c%dd" % i, inside, 3, s, inside), "c%dp" % i, n, 1)
        return head(d)

    hswish = lambda d: d * S.clip(d + 3, 0, 6) / 6

    def squeeze(d, name, n, hard):
        w = S.contrib.AdaptiveAvgPooling2D(d, output_size=1)
        w = conv(relu(conv(w, name + "_down", 2, 1, bias=True)), name + "_up", n, 1, bias=True)
        return S.broadcast_mul(d, S.clip(w + 3, 0, 6) / 6 if hard else S.sigmoid(w))

    def mobilenet_v3(d):
        d = hswish(bn(conv(d, "c0", 4, 3, 2), "c0"))
        y = hswish(bn(conv(d, "e", 8, 1), "e"))
        y = squeeze(hswish(bn(conv(y, "w", 8, 5, 1, 8), "w")), "se", 8, True)
        d = bn(conv(y, "p", 4, 1), "p") + d
        d = S.Pooling(hswish(bn(conv(d, "l", 8, 1), "l")), kernel=(1, 1), global_pool=True, pool_type="avg")
        return S.Flatten(conv(hswish(conv(d, "h", 6, 1, bias=True)), "o", 5, 1, bias=True))

    def bottleneck(d, name, n, groups, se):
        y = bn(conv(unit(unit(d, name + "a", n, 1), name + "b", n, 3, 1, groups), name + "c", 8, 1), name + "c")
        return relu((squeeze(y, name, 8, False) if se else y) + bn(conv(d, name + "s", 8, 1), name + "s"))

    def resnext(d):
        return head(bottleneck(pool(unit(d, "c0", 4, 3, 2), "max"), "r", 8, 4, False))

    def se_resnet(d):
        return head(bottleneck(pool(unit(d, "c0", 4, 3, 2), "max"), "r", 4, 1, True))

    def inception_bn(d):
        d = pool(unit(d, "c0", 4), "max")
        a = S.Concat(unit(d, "i1", 3, 1), unit(unit(d, "i3r", 2, 1), "i3", 3), unit(unit(unit(d, "id", 2, 1), "id0", 3), "id1", 3),
                     unit(pool(d, "avg", 3, 1, 1), "ip", 2, 1))
        return head(S.Concat(unit(unit(a, "j3r", 2, 1), "j3", 3, 3, 2), pool(a, "max")))

    def inception_v3(d):
        """Factored convolutions and average pools of padding that counts."""
        d = unit(d, "c0", 4, 3, 2)
        row = lambda x, name, n: relu(bn(S.Convolution(x, name=name, num_filter=n, kernel=(1, 7), pad=(0, 3), no_bias=True), name))
        column = lambda x, name, n: relu(bn(S.Convolution(x, name=name, num_filter=n, kernel=(7, 1), pad=(3, 0), no_bias=True), name))
        d = S.Concat(unit(d, "a", 3, 1), column(row(unit(d, "b0", 2, 1), "b1", 3), "b2", 3), unit(pool(d, "avg", 3, 1, 1), "p", 2, 1))
        return head(S.Concat(unit(unit(d, "e", 3, 1), "e1", 3, 3, 2), S.Pooling(d, kernel=(3, 3), stride=(2, 2), pad=(1, 1), pool_type="max")))

    for build in (alexnet, vgg_bn, densenet, mobilenet, mobilenet_v3, resnext, se_resnet, inception_bn, inception_v3):
        case("net_" + build.__name__, (2, 3, 16, 16), build)


def main():
    for part in (norms, products, sizes, indices, elementwise, two_point_zero, nets):
        part()
    base.write(sys.argv[1])


if __name__ == "__main__":
    main()
