"""Residual networks as MXNet's Gluon model zoo builds and names them, version 1 and 2.

Structure and names are those of `mxnet.gluon.model_zoo.vision`; the symbol text of resnet18 and
resnet50, v1 and v2, equals MXNet 1.9.1's own export byte for byte.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from mxnet_files import Node

LAYERS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
CHANNELS = {"basic": (64, 64, 128, 256, 512), "bottleneck": (64, 256, 512, 1024, 2048)}


@dataclass(frozen=True)
class Shape:
    """What distinguishes one residual network from another."""

    version: int  # 1: post-activation, 2: pre-activation
    bottleneck: bool
    layers: tuple[int, ...]  # blocks in each stage
    channels: tuple[int, ...]  # of the stem, then of each stage
    classes: int


def standard(depth: int, version: int, classes: int, width: float = 1.0) -> Shape:
    """The zoo's net of that depth; `width` multiplies the channels, kept a multiple of 8."""
    bottleneck = depth >= 50
    channels = CHANNELS["bottleneck" if bottleneck else "basic"]
    scaled = tuple(max(8, int(c * width / 8 + 0.5) * 8) for c in channels)
    return Shape(version, bottleneck, LAYERS[depth], scaled, classes)


class _Scope:
    """Gluon's naming: each prefix counts its own conv0, conv1, batchnorm0 …"""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.counts: Counter[str] = Counter()

    def name(self, hint: str) -> str:
        self.counts[hint] += 1
        return f"{self.prefix}{hint}{self.counts[hint] - 1}"

    def variable(
        self, name: str, shape: tuple[int, ...], declared: str, init: str | None, aux: bool = False
    ) -> Node:
        attrs = {
            "__dtype__": "0",
            "__lr_mult__": "1.0",
            "__shape__": declared,
            "__storage_type__": "0",
            "__wd_mult__": "1.0",
        }
        if init:
            attrs["__init__"] = init
        return Node("null", name, [], attrs, shape, aux)

    def conv(
        self,
        data: Node,
        inside: int,
        outside: int,
        kernel: int,
        stride: int = 1,
        bias: bool = False,
        deferred: bool = False,
    ) -> Node:
        """A square convolution, "same" padding. `deferred`: input channels are written as 0."""
        name = self.name("conv")
        shape = (outside, inside, kernel, kernel)
        declared = str((outside, 0 if deferred else inside, kernel, kernel))
        inputs = [data, self.variable(f"{name}_weight", shape, declared, None)]
        if bias:
            inputs.append(self.variable(f"{name}_bias", (outside,), str((outside,)), "zeros"))
        pad = kernel // 2
        attrs = {
            "dilate": "(1, 1)",
            "kernel": str((kernel, kernel)),
            "layout": "NCHW",
            "no_bias": str(not bias),
            "num_filter": str(outside),
            "num_group": "1",
            "pad": str((pad, pad)),
            "stride": str((stride, stride)),
        }
        return Node("Convolution", f"{name}_fwd", inputs, attrs)

    def norm(self, data: Node, channels: int, fixed: bool = False) -> Node:
        """Batch normalisation; `fixed` takes gamma as 1, as on the input of version 2."""
        name = self.name("batchnorm")
        parts = [
            ("gamma", "ones", False),
            ("beta", "zeros", False),
            ("running_mean", "zeros", True),
            ("running_var", "ones", True),
        ]
        inputs = [data] + [
            self.variable(f"{name}_{part}", (channels,), "(0,)", init, aux)
            for part, init, aux in parts
        ]
        attrs = {
            "axis": "1",
            "eps": "1e-05",
            "fix_gamma": str(fixed),
            "momentum": "0.9",
            "use_global_stats": "False",
        }
        return Node("BatchNorm", f"{name}_fwd", inputs, attrs)

    def relu_layer(self, data: Node) -> Node:
        return Node("Activation", f"{self.name('relu')}_fwd", [data], {"act_type": "relu"})

    def relu(self, data: Node) -> Node:
        return Node("Activation", self.name("activation"), [data], {"act_type": "relu"})

    def plus(self, left: Node, right: Node) -> Node:
        return Node("elemwise_add", self.name("_plus"), [left, right])

    def pool(self, data: Node, everywhere: bool) -> Node:
        """Max pooling 3x3 by 2, or the mean of each channel."""
        kernel, pad, stride = (1, 0, 1) if everywhere else (3, 1, 2)
        attrs = {
            "global_pool": str(everywhere),
            "kernel": str((kernel, kernel)),
            "layout": "NCHW",
            "pad": str((pad, pad)),
            "pool_type": "avg" if everywhere else "max",
            "stride": str((stride, stride)),
            "pooling_convention": "full" if everywhere else "valid",
        }
        return Node("Pooling", f"{self.name('pool')}_fwd", [data], attrs)

    def dense(self, data: Node, inside: int, outside: int) -> Node:
        name = self.name("dense")
        inputs = [
            data,
            self.variable(f"{name}_weight", (outside, inside), str((outside, inside)), None),
            self.variable(f"{name}_bias", (outside,), str((outside,)), "zeros"),
        ]
        return Node(
            "FullyConnected",
            f"{name}_fwd",
            inputs,
            {"flatten": "True", "no_bias": "False", "num_hidden": str(outside)},
        )


def _block_v1(
    scope: _Scope, data: Node, inside: int, outside: int, stride: int, bottleneck: bool
) -> Node:
    """conv-norm-relu … conv-norm, plus the shortcut, then ReLU."""
    if bottleneck:
        middle = outside // 4
        x = scope.norm(
            scope.conv(data, inside, middle, 1, stride, bias=True, deferred=True), middle
        )
        x = scope.norm(scope.conv(scope.relu_layer(x), middle, middle, 3), middle)
        x = scope.norm(
            scope.conv(scope.relu_layer(x), middle, outside, 1, bias=True, deferred=True), outside
        )
    else:
        x = scope.norm(scope.conv(data, inside, outside, 3, stride), outside)
        x = scope.norm(scope.conv(scope.relu_layer(x), outside, outside, 3), outside)
    shortcut = data
    if inside != outside or stride != 1:
        shortcut = scope.norm(scope.conv(data, inside, outside, 1, stride), outside)
    # Gluon adds in this order, and the order decides in which order the nodes are written.
    return scope.relu(scope.plus(x, shortcut) if bottleneck else scope.plus(shortcut, x))


def _block_v2(
    scope: _Scope, data: Node, inside: int, outside: int, stride: int, bottleneck: bool
) -> Node:
    """norm-relu-conv …, plus the shortcut; one with a convolution starts after the first ReLU."""
    first = scope.relu(scope.norm(data, inside))
    if bottleneck:
        middle = outside // 4
        x = scope.relu(scope.norm(scope.conv(first, inside, middle, 1, deferred=True), middle))
        x = scope.relu(scope.norm(scope.conv(x, middle, middle, 3, stride), middle))
        x = scope.conv(x, middle, outside, 1, deferred=True)
    else:
        x = scope.relu(scope.norm(scope.conv(first, inside, outside, 3, stride), outside))
        x = scope.conv(x, outside, outside, 3)
    shortcut = data
    if inside != outside or stride != 1:
        shortcut = scope.conv(first, inside, outside, 1, stride)
    return scope.plus(x, shortcut)


def build(shape: Shape) -> Node:
    """The net's last node, without softmax; its input is the variable `data`, (N, 3, 224, 224)."""
    prefix = f"resnetv{shape.version}0_"
    outer = _Scope(prefix)
    x = Node("null", "data")
    if shape.version == 2:
        x = outer.norm(x, 3, fixed=True)
    x = outer.norm(outer.conv(x, 3, shape.channels[0], 7, 2, deferred=True), shape.channels[0])
    x = outer.pool(outer.relu_layer(x), everywhere=False)
    block = _block_v1 if shape.version == 1 else _block_v2
    inside = shape.channels[0]
    for stage, (count, outside) in enumerate(zip(shape.layers, shape.channels[1:])):
        scope = _Scope(f"{prefix}stage{stage + 1}_")
        for k in range(count):
            x = block(scope, x, inside, outside, 2 if stage > 0 and k == 0 else 1, shape.bottleneck)
            inside = outside
    if shape.version == 2:
        x = outer.relu_layer(outer.norm(x, inside))
    x = outer.pool(x, everywhere=True)
    if shape.version == 2:
        x = Node("Flatten", f"{prefix}flatten0_flatten0", [x])
    return outer.dense(x, inside, shape.classes)
