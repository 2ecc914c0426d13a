#!/usr/bin/env python3
"""Writes well-known image networks with random weights as ONNX files, for benchmarks.

    tools/onnx_nets.py OUT [NET ...]        all of them without NET

writes OUT/NET.onnx. Written as exporters write them: batch norms on their own, swish as x sigmoid(x), hard-swish and
layer norms spelled out or not as PyTorch's exporter does at opset 17. The same net gives the same bytes. Needs onnx and numpy.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 1000


class Net:
    """A graph being written. Tensors are names; `channels` remembers how wide each is."""

    def __init__(self, seed: int = 1):
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels = {"x": 3}

    def weight(self, values) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def op(self, kind: str, *inputs: str, width: int | None = None, **attrs) -> str:
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attrs))
        self.channels[out] = self.channels.get(inputs[0], 0) if width is None else width
        return out

    def random(self, shape, fan_in: int, gain: float = 1.0) -> str:
        scale = np.float32(np.sqrt(gain / fan_in))
        return self.weight(self.rng.standard_normal(shape, np.float32) * scale)

    def conv(self, x: str, out: int, k: int = 1, stride: int = 1, groups: int = 1, bias=False, pad=None) -> str:
        width = self.channels[x] // groups
        inputs = [x, self.random((out, width, k, k), width * k * k, 1.6)]
        if bias:
            inputs.append(self.weight(np.zeros(out, "f4")))
        pads = [k // 2 if pad is None else pad] * 4
        return self.op("Conv", *inputs, width=out, kernel_shape=[k, k], strides=[stride] * 2, pads=pads, group=groups)

    def norm(self, x: str) -> str:
        n = self.channels[x]
        values = [self.rng.uniform(0.8, 1.1, n), self.rng.normal(0, 0.1, n), np.zeros(n), np.ones(n)]
        return self.op("BatchNormalization", x, *(self.weight(v.astype("f4")) for v in values), epsilon=1e-5)

    def act(self, x: str, kind: str | None) -> str:
        if kind is None:
            return x
        if kind == "swish":
            return self.op("Mul", x, self.op("Sigmoid", x))
        if kind == "relu6":
            return self.op("Clip", x, self.weight(np.float32(0)), self.weight(np.float32(6)))
        if kind == "gelu":
            half = self.op("Erf", self.op("Div", x, self.weight(np.float32(1.4142135))))
            product = self.op("Mul", x, self.op("Add", half, self.weight(np.float32(1))))
            return self.op("Mul", product, self.weight(np.float32(0.5)))
        return self.op({"relu": "Relu", "hswish": "HardSwish", "sigmoid": "Sigmoid"}[kind], x)

    def block(self, x: str, out: int, k: int = 1, stride: int = 1, groups: int = 1, act: str | None = "relu") -> str:
        return self.act(self.norm(self.conv(x, out, k, stride, groups)), act)

    def squeeze_excite(self, x: str, inner: int, act: str, gate: str) -> str:
        s = self.op("GlobalAveragePool", x)
        s = self.act(self.conv(s, inner, bias=True), act)
        s = self.conv(s, self.channels[x], bias=True)
        s = self.op("HardSigmoid", s, alpha=1 / 6, beta=0.5) if gate == "hard" else self.op("Sigmoid", s)
        return self.op("Mul", x, s)

    def head(self, x: str) -> str:
        return self.dense(self.op("Flatten", self.op("GlobalAveragePool", x), axis=1), CLASSES)

    def dense(self, x: str, out: int) -> str:
        n = self.channels[x]
        return self.op("Gemm", x, self.random((out, n), n), self.weight(np.zeros(out, "f4")), width=out, transB=1)

    def model(self, y: str) -> onnx.ModelProto:
        self.nodes[-1].output[0] = "y"
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 224, 224])]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", inputs, outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def resnet(n: Net, depth=(3, 4, 6, 3), groups=1, base=64) -> str:
    """ResNet-50 v1.5: the stride is in the 3x3."""
    x = n.op("MaxPool", n.block("x", 64, 7, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, blocks in enumerate(depth):
        for i in range(blocks):
            stride, wide, inner = 1 + (i == 0 and stage > 0), 256 << stage, base << stage
            short = x if i else n.block(x, wide, 1, stride, act=None)
            y = n.block(n.block(x, inner), inner, 3, stride, groups)
            x = n.op("Relu", n.op("Add", n.block(y, wide, act=None), short))
    return n.head(x)


def resnet_v2(n: Net) -> str:
    """Pre-activation."""
    x = n.op("MaxPool", n.block("x", 64, 7, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for i in range(blocks):
            stride, wide, inner = 1 + (i == 0 and stage > 0), 256 << stage, 64 << stage
            pre = n.act(n.norm(x), "relu")
            short = x if i else n.conv(pre, wide, 1, stride)
            y = n.conv(n.block(n.block(pre, inner), inner, 3, stride), wide)
            x = n.op("Add", y, short)
    return n.head(n.act(n.norm(x), "relu"))


def squeezenet(n: Net) -> str:
    def pool(x):
        return n.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])

    def fire(x, inner, out):
        s = n.act(n.conv(x, inner, bias=True), "relu")
        sides = [n.act(n.conv(s, out, k, bias=True), "relu") for k in (1, 3)]
        return n.op("Concat", *sides, axis=1, width=2 * out)

    x = pool(n.act(n.conv("x", 64, 3, 2, bias=True, pad=0), "relu"))
    x = pool(fire(fire(x, 16, 64), 16, 64))
    x = pool(fire(fire(x, 32, 128), 32, 128))
    x = fire(fire(fire(fire(x, 48, 192), 48, 192), 64, 256), 64, 256)
    x = n.op("GlobalAveragePool", n.act(n.conv(x, CLASSES, bias=True), "relu"))
    return n.op("Flatten", x, axis=1)


def inverted(n: Net, x: str, wide: int, out: int, k: int, stride: int, act: str, se: tuple | None = None) -> str:
    y = n.block(x, wide, act=act) if wide != n.channels[x] else x
    y = n.block(y, wide, k, stride, wide, act)
    if se:
        y = n.squeeze_excite(y, *se)
    y = n.block(y, out, act=None)
    return n.op("Add", x, y) if stride == 1 and out == n.channels[x] else y


def mobilenet_v2(n: Net) -> str:
    x = n.block("x", 32, 3, 2, act="relu6")
    for t, c, repeats, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
                             (6, 320, 1, 1)):
        for i in range(repeats):
            x = inverted(n, x, t * n.channels[x], c, 3, s if i == 0 else 1, "relu6")
    return n.head(n.block(x, 1280, act="relu6"))


V3_LARGE = ((3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
            (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
            (3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2),
            (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1))


def mobilenet_v3(n: Net) -> str:
    x = n.block("x", 16, 3, 2, act="hswish")
    for k, wide, out, se, hard, s in V3_LARGE:
        gate = (max(8, (wide // 4 + 4) // 8 * 8), "relu", "hard") if se else None
        x = inverted(n, x, wide, out, k, s, "hswish" if hard else "relu", gate)
    x = n.op("Flatten", n.op("GlobalAveragePool", n.block(x, 960, act="hswish")), axis=1)
    return n.dense(n.act(n.dense(x, 1280), "hswish"), CLASSES)


def efficientnet(n: Net) -> str:
    x = n.block("x", 32, 3, 2, act="swish")
    for t, c, repeats, s, k in ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
                                (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)):
        for i in range(repeats):
            width = n.channels[x]
            x = inverted(n, x, t * width, c, k, s if i == 0 else 1, "swish", (width // 4, "swish", "sigmoid"))
    return n.head(n.block(x, 1280, act="swish"))


def regnet_y(n: Net) -> str:
    """RegNetY-400MF."""
    x = n.block("x", 32, 3, 2)
    for out, repeats in ((48, 1), (104, 3), (208, 6), (440, 6)):
        for i in range(repeats):
            stride, width = (2 if i == 0 else 1), n.channels[x]
            short = x if i else n.block(x, out, 1, 2, act=None)
            y = n.block(n.block(x, out), out, 3, stride, out // 8)
            y = n.block(n.squeeze_excite(y, width // 4, "relu", "sigmoid"), out, act=None)
            x = n.op("Relu", n.op("Add", short, y))
    return n.head(x)


def layer_norm(n: Net, x: str) -> str:
    """Over the last dimension."""
    w = [n.weight(v.astype("f4")) for v in (np.ones(n.channels[x]), np.zeros(n.channels[x]))]
    return n.op("LayerNormalization", x, *w, axis=-1, epsilon=1e-6)


def matrix(n: Net, x: str, out: int) -> str:
    y = n.op("MatMul", x, n.random((n.channels[x], out), n.channels[x]), width=out)
    return n.op("Add", n.weight(np.zeros(out, "f4")), y, width=out)


def last(n: Net, x: str) -> str:
    return n.op("Transpose", x, perm=[0, 2, 3, 1])


def first(n: Net, x: str) -> str:
    return n.op("Transpose", x, perm=[0, 3, 1, 2])


def convnext(n: Net) -> str:
    """ConvNeXt-T."""
    x = first(n, layer_norm(n, last(n, n.conv("x", 96, 4, 4, bias=True, pad=0))))
    for stage, (width, blocks) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3))):
        if stage:
            x = n.conv(first(n, layer_norm(n, last(n, x))), width, 2, 2, bias=True, pad=0)
        for _ in range(blocks):
            y = layer_norm(n, last(n, n.conv(x, width, 7, groups=width, bias=True)))
            y = first(n, matrix(n, n.act(matrix(n, y, 4 * width), "gelu"), width))
            y = n.op("Mul", n.weight(np.full((width, 1, 1), 0.1, "f4")), y, width=width)
            x = n.op("Add", y, x)
    x = layer_norm(n, last(n, n.op("GlobalAveragePool", x)))
    return n.dense(n.op("Flatten", first(n, x), axis=1), CLASSES)


def densenet(n: Net) -> str:
    """DenseNet-121."""
    x = n.op("MaxPool", n.block("x", 64, 7, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for stage, layers in enumerate((6, 12, 24, 16)):
        for _ in range(layers):
            y = n.block(n.act(n.norm(x), "relu"), 128)
            x = n.op("Concat", x, n.conv(y, 32, 3), axis=1, width=n.channels[x] + 32)
        x = n.act(n.norm(x), "relu")
        if stage < 3:
            x = n.op("AveragePool", n.conv(x, n.channels[x] // 2), kernel_shape=[2, 2], strides=[2, 2])
    return n.head(x)


def vit(n: Net, width=384, heads=6, layers=12) -> str:
    """ViT-S/16: 196 patches and a class token."""
    x = n.conv("x", width, 16, 16, bias=True, pad=0)
    x = n.op("Reshape", x, n.weight(np.array([0, width, 196], "i8")))
    x = n.op("Transpose", x, perm=[0, 2, 1])
    token = n.op("Expand", n.random((1, 1, width), 1), n.op("Concat", batch(n), n.weight(np.array([1, width], "i8")), axis=0))
    x = n.op("Concat", token, x, axis=1, width=width)
    x = n.op("Add", x, n.random((1, 197, width), 1, 0.01))
    split = n.weight(np.array([0, 197, heads, width // heads], "i8"))
    scale = n.weight(np.float32((width // heads) ** -0.5))
    for _ in range(layers):
        y = layer_norm(n, x)
        q, k, v = (n.op("Reshape", matrix(n, y, width), split) for _ in range(3))
        q, v = (n.op("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
        k = n.op("Transpose", k, perm=[0, 2, 3, 1])
        a = n.op("Softmax", n.op("Mul", n.op("MatMul", q, k), scale), axis=-1)
        y = n.op("Transpose", n.op("MatMul", a, v), perm=[0, 2, 1, 3])
        y = n.op("Reshape", y, n.weight(np.array([0, 197, width], "i8")), width=width)
        x = n.op("Add", matrix(n, y, width), x)
        y = layer_norm(n, x)
        x = n.op("Add", matrix(n, n.act(matrix(n, y, 4 * width), "gelu"), width), x)
    x = n.op("Gather", layer_norm(n, x), n.weight(np.int64(0)), axis=1)
    return n.dense(x, CLASSES)


def batch(n: Net) -> str:
    """The batch as a shape of one."""
    return n.op("Slice", n.op("Shape", "x"), *(n.weight(np.array([v], "i8")) for v in (0, 1, 0)))


def shufflenet(n: Net) -> str:
    """ShuffleNet v2, 1.0x."""
    def shuffle(parts, wide, side):
        x = n.op("Concat", *parts, axis=1, width=wide)
        x = n.op("Reshape", x, n.weight(np.array([0, 2, wide // 2, side, side], "i8")))
        x = n.op("Transpose", x, perm=[0, 2, 1, 3, 4])
        return n.op("Reshape", x, n.weight(np.array([0, wide, side, side], "i8")), width=wide)

    def slice_of(x, low, high):
        return n.op("Slice", x, *(n.weight(np.array([v], "i8")) for v in (low, high, 1)), width=high - low)

    def depthwise(x, stride):
        return n.norm(n.conv(x, n.channels[x], 3, stride, n.channels[x]))

    x = n.op("MaxPool", n.block("x", 24, 3, 2), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    side = 28
    for wide, repeats in ((116, 4), (232, 8), (464, 4)):
        half = wide // 2
        left = n.block(depthwise(x, 2), half)
        x = shuffle((left, n.block(depthwise(n.block(x, half), 2), half)), wide, side)
        for _ in range(repeats - 1):
            right = slice_of(x, half, wide)
            x = shuffle((slice_of(x, 0, half), n.block(depthwise(n.block(right, half), 1), half)), wide, side)
        side //= 2
    return n.head(n.block(x, 1024))


NETS: dict[str, Callable[[Net], str]] = {
    "resnet50": resnet,
    "resnet50_v2": resnet_v2,
    "resnext50": lambda n: resnet(n, groups=32, base=128),
    "squeezenet1.1": squeezenet,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_large": mobilenet_v3,
    "efficientnet_b0": efficientnet,
    "regnet_y_400mf": regnet_y,
    "convnext_tiny": convnext,
    "densenet121": densenet,
    "shufflenet_v2": shufflenet,
    "vit_small": vit,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("nets", nargs="*", metavar="NET", help=", ".join(NETS))
    options = parser.parse_args()
    unknown = [name for name in options.nets if name not in NETS]
    if unknown:
        parser.error(f"no net {unknown[0]!r}; there are {', '.join(NETS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.nets or NETS:
        net = Net()
        path = options.out / f"{name}.onnx"
        path.write_bytes(net.model(NETS[name](net)).SerializeToString())
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
