#!/usr/bin/env python3
"""Golden tensors for every op of the engine, computed by Apache MXNet itself.

    python3 tools/goldens/make_op_goldens.py tests/parity/goldens/ops.golden

Needs mxnet 1.9.1 and numpy < 1.24 (Python 3.10 or older).  Each case is a small Symbol with random,
seeded weights.  It is written as MXNet writes it (symbol JSON and params), so that reading these files
is part of what the goldens test; the input and the output of MXNet's own forward pass stand in the
params under "golden:input" and "golden:output".

File: "NXGOLD1\0", then per case  u32 len, name | u32 len, symbol JSON | u32 len, params.
"""
import json
import os
import struct
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
# MXNet's own kernels: its oneDNN path normalises a SoftmaxOutput of more than 2 dimensions over the last
# one, where the operator's definition (and every other device) flattens.
os.environ["MXNET_MKLDNN_ENABLED"] = "0"
import mxnet as mx  # noqa: E402
import numpy as np  # noqa: E402

S = mx.sym
CASES = []


def case(name, shape, build, low=-2.0, high=2.0):
    CASES.append((name, shape, build, low, high))


def ops():
    img = (2, 4, 7, 6)
    x = lambda: S.var("data")
    conv = lambda **kw: (lambda d: S.Convolution(d, name="conv", **kw))
    case("conv_plain", img, conv(kernel=(3, 3), num_filter=5))
    case("conv_no_bias_pad_stride", img, conv(kernel=(3, 2), num_filter=5, pad=(1, 1), stride=(2, 1), no_bias=True))
    case("conv_dilate", img, conv(kernel=(3, 3), num_filter=3, pad=(2, 2), dilate=(2, 2)))
    case("conv_groups", img, conv(kernel=(3, 3), num_filter=6, pad=(1, 1), num_group=2))
    case("conv_depthwise", img, conv(kernel=(3, 3), num_filter=4, pad=(1, 1), num_group=4))
    case("conv_1x1", img, conv(kernel=(1, 1), num_filter=7, stride=(2, 2)))
    bn = lambda **kw: (lambda d: S.BatchNorm(d, name="bn", **kw))
    case("bn_defaults", img, bn())
    case("bn_gamma_eps", img, bn(fix_gamma=False, eps=2e-5))
    case("bn_rows", (3, 5), bn(fix_gamma=False))
    case("bn_global_stats", img, bn(fix_gamma=False, use_global_stats=True, eps=1e-4))
    pool = lambda **kw: (lambda d: S.Pooling(d, name="pool", **kw))
    for kind in ("max", "avg", "sum"):
        case("pool_%s" % kind, img, pool(kernel=(3, 3), pool_type=kind, stride=(2, 2)))
        case("pool_%s_pad" % kind, img, pool(kernel=(3, 3), pool_type=kind, stride=(2, 2), pad=(1, 1)))
        case("pool_%s_full" % kind, img, pool(kernel=(2, 3), pool_type=kind, stride=(2, 2), pooling_convention="full"))
        case("pool_%s_full_pad" % kind, img, pool(kernel=(3, 3), pool_type=kind, stride=(2, 2), pad=(1, 1), pooling_convention="full"))
        case("pool_%s_global" % kind, img, pool(kernel=(2, 2), pool_type=kind, global_pool=True))
    case("pool_avg_exclude_pad", img, pool(kernel=(3, 3), pool_type="avg", pad=(1, 1), count_include_pad=False))
    case("pool_avg_full_exclude_pad", img, pool(kernel=(3, 3), pool_type="avg", stride=(2, 2), pad=(1, 1), count_include_pad=False, pooling_convention="full"))
    case("fc", (2, 3, 2, 2), lambda d: S.FullyConnected(d, num_hidden=5, name="fc"))
    case("fc_no_bias", (3, 6), lambda d: S.FullyConnected(d, num_hidden=4, no_bias=True, name="fc"))
    case("fc_no_flatten", (2, 3, 4), lambda d: S.FullyConnected(d, num_hidden=5, flatten=False, name="fc"))
    for act in ("relu", "sigmoid", "tanh", "softrelu", "softsign"):
        case("act_%s" % act, (2, 9), lambda d, a=act: S.Activation(d, act_type=a), -6, 6)
    for act in ("leaky", "elu", "selu", "gelu"):
        case("leaky_%s" % act, (2, 9), lambda d, a=act: S.LeakyReLU(d, act_type=a), -4, 4)
    case("leaky_slope0", (2, 9), lambda d: S.LeakyReLU(d, act_type="leaky", slope=0.0))
    case("leaky_rrelu", (2, 9), lambda d: S.LeakyReLU(d, act_type="rrelu", lower_bound=0.1, upper_bound=0.5))
    case("prelu", img, lambda d: S.LeakyReLU(d, act_type="prelu", name="prelu"))
    case("clip", (2, 9), lambda d: S.clip(d, a_min=0.0, a_max=1.5))
    case("hard_sigmoid", (2, 9), lambda d: S.hard_sigmoid(d), -4, 4)
    case("unary_sigmoid_exp_log", (2, 9), lambda d: S.log(S.exp(S.sigmoid(d)) + 1))
    case("unary_sqrt_square_abs", (2, 9), lambda d: S.sqrt(S.square(d) + S.abs(d)))
    case("unary_negative_relu_tanh", (2, 9), lambda d: S.negative(S.tanh(S.relu(d))))
    case("scalar_chain", (2, 9), lambda d: ((((d + 1.5) * 0.5 - 0.25) / 3 + 2) ** 2))
    case("scalar_reverse", (2, 9), lambda d: 3 / (5 - d))
    case("scalar_max_min", (2, 9), lambda d: S._internal._minimum_scalar(S._internal._maximum_scalar(d, scalar=-0.5), scalar=1.0))
    flat = lambda d: S.Flatten(d)
    case("elemwise", (2, 3, 4), lambda d: (d + d * d - d / (d + 5)))
    case("elemwise_add_n", (2, 6), lambda d: S.add_n(d, d * 2, S.relu(d)))
    case("broadcast_channels", img, lambda d: S.broadcast_mul(d, S.Pooling(d, kernel=(1, 1), global_pool=True, pool_type="avg")))
    case("broadcast_constant", img, lambda d: S.broadcast_add(d, S.var("offset", shape=(1, 4, 1, 1))))
    case("broadcast_sub_div", img, lambda d: S.broadcast_div(S.broadcast_sub(d, S.max(d, axis=(2, 3), keepdims=True)), S.sum(d * d, axis=1, keepdims=True)))
    case("broadcast_max_min", img, lambda d: S.broadcast_maximum(S.broadcast_minimum(d, S.mean(d, axis=1, keepdims=True)), S.var("floor", shape=(1, 1, 1, 1))))
    case("concat", img, lambda d: S.Concat(d, d * 2, S.relu(d), dim=1))
    case("concat_last", (2, 3, 4), lambda d: S.Concat(d, d * 2, dim=2))
    case("flatten", (2, 3, 2, 2), flat)
    case("reshape_zero_minus", (2, 6, 4), lambda d: S.Reshape(d, shape=(0, -1, 2)))
    case("reshape_merge", (2, 3, 4), lambda d: S.Reshape(d, shape=(0, -3)))
    case("reshape_split_rest", (2, 6, 4), lambda d: S.Reshape(d, shape=(0, -4, 2, -1, -2)))
    case("reshape_two_zeros", (2, 6, 1, 1), lambda d: S.Reshape(d, shape=(0, 0)))
    case("reshape_reverse", (2, 3, 8), lambda d: S.Reshape(d, shape=(-1, 0), reverse=True))
    case("softmax", (2, 3, 4), lambda d: S.softmax(d), -8, 8)
    case("softmax_axis_temperature", (2, 3, 4), lambda d: S.softmax(d, axis=1, temperature=2.0), -8, 8)
    case("log_softmax", (2, 5), lambda d: S.log_softmax(d), -8, 8)
    case("softmax_output", (2, 7), lambda d: S.SoftmaxOutput(d, name="softmax"), -8, 8)
    case("softmax_output_deep", (2, 3, 2, 2), lambda d: S.SoftmaxOutput(d, name="softmax"), -8, 8)
    case("softmax_output_multi", (2, 5, 1, 1), lambda d: S.SoftmaxOutput(d, name="softmax", multi_output=True), -8, 8)
    case("softmax_output_preserve", (2, 3, 4), lambda d: S.SoftmaxOutput(d, name="softmax", preserve_shape=True), -8, 8)
    case("softmax_activation", (2, 7), lambda d: S.SoftmaxActivation(d), -8, 8)
    case("softmax_activation_channel", img, lambda d: S.SoftmaxActivation(d, mode="channel"), -8, 8)
    case("identities", (2, 5), lambda d: S.Dropout(S.BlockGrad(S.identity(S.Cast(d, dtype="float32")))))
    case("mean_hw", img, lambda d: S.mean(d, axis=(2, 3)))
    case("mean_exclude", img, lambda d: S.mean(d, axis=(0, 1), exclude=True, keepdims=True))
    case("sum_negative_axis", (2, 3, 4), lambda d: S.sum(d, axis=-1))
    case("max_axis", (2, 3, 4), lambda d: S.max(d, axis=1, keepdims=True))
    case("slice_channel", img, lambda d: (lambda p: p[0] * 2 - p[1])(S.SliceChannel(d, num_outputs=2)))
    case("slice_channel_squeeze", (2, 3, 4), lambda d: S.SliceChannel(d, num_outputs=3, squeeze_axis=True)[2] * 1)
    case("slice_axis", (2, 6, 3), lambda d: S.slice_axis(d, axis=1, begin=-4, end=None))
    case("slice_step", (2, 6, 5), lambda d: S.slice(d, begin=(None, 1, 4), end=(None, None, 0), step=(1, 2, -2)))
    case("transpose", (2, 3, 4, 5), lambda d: S.transpose(d, axes=(0, 2, 3, 1)))
    case("transpose_twice", (2, 3, 4), lambda d: S.transpose(S.transpose(d)))
    case("swap_axis", (2, 3, 4), lambda d: S.SwapAxis(d, dim1=1, dim2=2))
    case("expand_squeeze", (2, 3, 4), lambda d: S.squeeze(S.expand_dims(S.expand_dims(d, axis=1), axis=-1), axis=1))
    case("channel_shuffle", img, lambda d: S.Reshape(S.SwapAxis(S.Reshape(d, shape=(0, -4, 2, -1, -2)), dim1=1, dim2=2), shape=(0, -3, -2)))
    pads = (0, 0, 0, 0, 1, 2, 2, 1)
    case("pad_constant", img, lambda d: S.Pad(d, mode="constant", pad_width=pads, constant_value=1.5))
    case("pad_edge", img, lambda d: S.Pad(d, mode="edge", pad_width=pads))
    case("pad_reflect", img, lambda d: S.Pad(d, mode="reflect", pad_width=pads))
    case("pad_then_conv", img, lambda d: S.Convolution(S.Pad(d, mode="constant", pad_width=pads), kernel=(3, 3), num_filter=3, pad=(1, 0), name="conv"))
    case("lrn", (2, 7, 3, 3), lambda d: S.LRN(d, nsize=5))
    case("lrn_strong", (2, 7, 3, 3), lambda d: S.LRN(d, nsize=3, alpha=0.5, beta=0.6, knorm=1.0))
    for mode in ("instance", "channel", "spatial"):
        case("l2_%s" % mode, img, lambda d, m=mode: S.L2Normalization(d, mode=m))


def nets():
    def conv(d, name, n, k=3, s=1, g=1, bias=False):
        return S.Convolution(d, name=name, num_filter=n, kernel=(k, k), stride=(s, s), pad=(k // 2, k // 2), num_group=g, no_bias=not bias)

    def bn(d, name):
        return S.BatchNorm(d, name=name, fix_gamma=False, eps=1e-5)

    relu = lambda d: S.Activation(d, act_type="relu")

    def resnet_v1(d):
        d = relu(bn(conv(d, "c0", 6), "b0"))
        for i, n in enumerate((6, 8)):
            short = d if n == 6 else bn(conv(d, "s%d" % i, n, 1, 2), "sb%d" % i)
            y = relu(bn(conv(d, "c%da" % i, 4, 1, 1 if n == 6 else 2), "b%da" % i))
            y = bn(conv(y, "c%db" % i, n), "b%db" % i)
            d = relu(y + short)
        d = S.Pooling(d, kernel=(1, 1), global_pool=True, pool_type="avg")
        return S.SoftmaxOutput(S.FullyConnected(S.Flatten(d), num_hidden=5, name="fc"), name="softmax")

    def resnet_v2(d):
        d = S.BatchNorm(d, name="bn_data", fix_gamma=True)
        d = conv(d, "c0", 6)
        for i, n in enumerate((6, 8)):
            act = relu(bn(d, "b%da" % i))
            short = d if n == 6 else conv(act, "s%d" % i, n, 1, 2)
            y = relu(bn(conv(act, "c%da" % i, 4, 3, 1 if n == 6 else 2), "b%db" % i))
            d = conv(y, "c%db" % i, n) + short
        d = relu(bn(d, "b9"))
        d = S.Pooling(d, kernel=(1, 1), global_pool=True, pool_type="avg")
        return S.FullyConnected(d, num_hidden=5, name="fc")

    def mobilenet_v2(d):
        d = S.clip(bn(conv(d, "c0", 6, 3, 2), "b0"), 0, 6)
        y = S.clip(bn(conv(d, "c1", 12, 1), "b1"), 0, 6)
        y = S.clip(bn(conv(y, "c2", 12, 3, 1, 12), "b2"), 0, 6)
        d = bn(conv(y, "c3", 6, 1), "b3") + d
        d = S.Pooling(d, kernel=(1, 1), global_pool=True, pool_type="avg")
        return S.Flatten(S.Convolution(d, name="head", num_filter=5, kernel=(1, 1)))

    def squeezenet(d):
        d = S.Pooling(relu(conv(d, "c0", 6, bias=True)), kernel=(3, 3), stride=(2, 2), pool_type="max", pooling_convention="full")
        s = relu(conv(d, "sq", 3, 1, bias=True))
        d = S.Concat(relu(conv(s, "e1", 4, 1, bias=True)), relu(conv(s, "e3", 4, 3, bias=True)))
        d = relu(conv(S.Dropout(d), "c9", 5, 1, bias=True))
        return S.softmax(S.Flatten(S.Pooling(d, kernel=(13, 13), global_pool=True, pool_type="avg")))

    def se_hswish(d):
        d = bn(conv(d, "c0", 6), "b0")
        d = d * S.clip(d + 3, 0, 6) / 6
        s = S.Pooling(d, kernel=(1, 1), global_pool=True, pool_type="avg")
        s = relu(S.FullyConnected(s, num_hidden=2, name="f1"))
        s = S.Activation(S.FullyConnected(s, num_hidden=6, name="f2"), act_type="sigmoid")
        d = S.broadcast_mul(d, S.Reshape(s, shape=(-1, 6, 1, 1)))
        return S.mean(d, axis=(2, 3))

    for build in (resnet_v1, resnet_v2, mobilenet_v2, squeezenet, se_hswish):
        case("net_" + build.__name__, (2, 3, 8, 8), build)


def weights_of(symbol, shape, rng):
    args, _, auxs = symbol.infer_shape(data=shape)
    arg, aux = {}, {}
    for name, s in zip(symbol.list_arguments(), args):
        if name != "data" and not name.endswith("label"):
            arg[name] = rng.uniform(-0.6, 0.6, s).astype("f4")
            if name.endswith("gamma"):
                arg[name] = rng.uniform(0.5, 1.5, s).astype("f4")
    for name, s in zip(symbol.list_auxiliary_states(), auxs):
        low, high = (0.5, 1.5) if name.endswith("var") else (-0.5, 0.5)
        aux[name] = rng.uniform(low, high, s).astype("f4")
    return arg, aux


def forward(symbol, x, arg, aux):
    feed = {k: mx.nd.array(v) for k, v in arg.items()}
    feed["data"] = mx.nd.array(x)
    arg_shapes, _, _ = symbol.infer_shape(data=x.shape)
    for name, shape in zip(symbol.list_arguments(), arg_shapes):
        if name not in feed:
            feed[name] = mx.nd.zeros(shape)  # labels
    ex = symbol.bind(mx.cpu(), feed, aux_states={k: mx.nd.array(v) for k, v in aux.items()})
    return ex.forward(is_train=False)[0].asnumpy()


def params_bytes(arrays):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "p")
        mx.nd.save(path, {k: mx.nd.array(v) for k, v in arrays.items()})
        return open(path, "rb").read()


def record(out, blob):
    out.write(struct.pack("<I", len(blob)))
    out.write(blob)


def write(path):
    with open(path, "wb") as out:
        out.write(b"NXGOLD1\0")
        for seed, (name, shape, build, low, high) in enumerate(CASES):
            rng = np.random.RandomState(seed)
            symbol = build(S.var("data", shape=shape))
            x = rng.uniform(low, high, shape).astype("f4")
            arg, aux = weights_of(symbol, shape, rng)
            y = forward(symbol, x, arg, aux)
            arrays = {"arg:" + k: v for k, v in arg.items()}
            arrays.update({"aux:" + k: v for k, v in aux.items()})
            arrays.update({"golden:input": x, "golden:output": y})
            record(out, name.encode())
            record(out, json.dumps(json.loads(symbol.tojson(remove_amp_cast=False)), separators=(",", ":")).encode())
            record(out, params_bytes(arrays))
    print("%d cases, mxnet %s" % (len(CASES), mx.__version__))


def main():
    ops()
    nets()
    write(sys.argv[1])


if __name__ == "__main__":
    main()
