#!/usr/bin/env python3
"""Writes a ResNet with random weights as MXNet files: a realistic size for installs and benchmarks.

    tools/resnet50_mxnet.py OUT [--depth 50] [--version 2] [--classes 102] [--width-mult 1]

writes OUT/resnet50_v2-symbol.json, OUT/resnet50_v2-0000.params (about 95 MB) and OUT/synset.txt.
The same options and seed give the same bytes. Needs numpy only.

Random weights alone let the signal of a deep net grow or die out. Here mean and variance of every
value, on average over such weights, are carried through the net, and each BatchNorm's running
statistics are those of its input: so every normalised value stays near 1.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np

from gluon_resnet import LAYERS, build, standard
from mxnet_files import Node, topological, write_model

INPUT_MEAN, INPUT_VARIANCE = 0.45, 0.07  # of a photo's values in 0..1


Moments = tuple[float, float]  # mean and variance


def rectified(mean: float, variance: float) -> Moments:
    """Mean and variance of max(0, x) for normal x."""
    sigma = math.sqrt(variance)
    above = 0.5 * (1 + math.erf(mean / sigma / math.sqrt(2)))
    density = math.exp(-0.5 * mean * mean / variance) / math.sqrt(2 * math.pi)
    first = mean * above + sigma * density
    second = (mean * mean + variance) * above + mean * sigma * density
    return first, second - first * first


def moments(node: Node, inputs: list[Moments]) -> Moments:
    """Mean and variance of a node's output, from those of its inputs."""
    if node.op == "elemwise_add":
        return inputs[0][0] + inputs[1][0], inputs[0][1] + inputs[1][1]
    if node.op == "Convolution":  # weights of mean 0: the mean square counts
        return 0.0, gain(node.inputs[1]) * (inputs[0][0] ** 2 + inputs[0][1])
    if node.op == "BatchNorm":
        return 0.0, 1.0
    if node.op == "Activation":
        return rectified(*inputs[0])
    if node.op == "Pooling" and node.attrs["pool_type"] == "max":
        return inputs[0][0] + math.sqrt(inputs[0][1]), inputs[0][1]
    return inputs[0] if inputs else (INPUT_MEAN, INPUT_VARIANCE)


def gain(weight: Node) -> float:
    """He's 2 where ReLU has halved the mean square; 1 for the first and the last layer."""
    return 1.0 if weight.shape[1] == 3 or len(weight.shape) == 2 else 2.0


def _weight(node: Node, rng: np.random.Generator) -> np.ndarray:
    fan_in = int(np.prod(node.shape[1:]))
    return rng.standard_normal(node.shape, np.float32) * np.float32(np.sqrt(gain(node) / fan_in))


def _statistics(norm: Node, before: Moments, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """gamma, beta, running mean and variance of one BatchNorm, different for each channel."""
    data, gamma, beta, mean, var = norm.inputs
    size = gamma.shape
    level, variance = before
    if data.op == "null":
        values = (
            np.ones(size),
            np.zeros(size),
            np.full(size, INPUT_MEAN),
            np.full(size, INPUT_VARIANCE),
        )
    else:
        values = (
            rng.uniform(0.85, 1.15, size),
            rng.normal(0, 0.1, size),
            level + rng.normal(0, 0.1, size) * np.sqrt(variance),
            variance * rng.uniform(0.8, 1.25, size),
        )
    return {
        node.name: value.astype(np.float32) for node, value in zip((gamma, beta, mean, var), values)
    }


def random_values(head: Node, seed: int) -> dict[str, np.ndarray]:
    """A value for every parameter of the net."""
    rng = np.random.default_rng(seed)
    after: dict[int, Moments] = {}
    values: dict[str, np.ndarray] = {}
    for node in topological(head):
        before = [after[id(child)] for child in node.inputs]
        after[id(node)] = moments(node, before)
        if node.op == "BatchNorm":
            values.update(_statistics(node, before[0], rng))
        elif node.name.endswith("_weight"):
            values[node.name] = _weight(node, rng)
        elif node.name.endswith("_bias"):
            values[node.name] = (rng.standard_normal(node.shape) * 0.05).astype(np.float32)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--depth", type=int, choices=sorted(LAYERS), default=50)
    parser.add_argument(
        "--version",
        type=int,
        choices=(1, 2),
        default=2,
        help="1: post-activation, 2: pre-activation",
    )
    parser.add_argument("--classes", type=int, default=102)
    parser.add_argument(
        "--width-mult", type=float, default=1.0, help="scales the channels (multiples of 8)"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    head = build(standard(options.depth, options.version, options.classes, options.width_mult))
    classes = [f"class-{k:03d}" for k in range(options.classes)]
    stem = f"resnet{options.depth}_v{options.version}"
    for path in write_model(options.out, stem, head, random_values(head, options.seed), classes):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
