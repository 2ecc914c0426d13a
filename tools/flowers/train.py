#!/usr/bin/env python3
"""Trains the flower model on drawings and writes it as MXNet files.

    tools/flowers/train.py models/flowers [--pictures 600] [--epochs 4] [--held-out 150]

Draws its own pictures (and keeps them in --cache), trains a ResNet V2 of about 1.2 MB, measures it
on drawings with seeds it never trained on, and writes flowers-symbol.json, flowers-0000.params and
synset.txt. Needs PyTorch (Debian's python3-torch); two idle cores take about ten minutes. The
drawings are reproducible; the weights too, with the same PyTorch on the same kind of CPU.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from multiprocessing import Pool
from pathlib import Path

# Threads that spin while they wait cost twice the time on a machine with other work. Read at import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from draw import HELD_OUT_SEEDS, TRAINING_SEEDS, photograph
from gluon_resnet import Shape, build
from graph_net import GraphNet
from kinds import KINDS
from mxnet_files import write_model
from recipe import BORDER, CROP, SQUASHED, decode, squash, tensor

CLASSES = sorted(KINDS)
SHAPE = Shape(
    version=2,
    bottleneck=False,
    layers=(1, 1, 1, 1),
    channels=(16, 16, 32, 64, 128),
    classes=len(CLASSES),
)
BATCH = 32
PEAK_RATE = 3e-3


def picture(job: tuple[str, int]) -> np.ndarray:
    """(256, 256, 3) bytes of one drawing, stored, decoded and squashed as a server will."""
    encoded, _ending = photograph(*job)
    return squash(decode(encoded))


def pictures(cache: Path, count: int, seed: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` drawings of each kind: (N, 256, 256, 3) bytes and (N,) class numbers."""
    labels = np.tile(np.arange(len(CLASSES)), count)
    store = cache / f"pictures-{seed}-{count}.npy"
    if not store.exists():
        jobs = [(CLASSES[label], seed + k // len(CLASSES)) for k, label in enumerate(labels)]
        cache.mkdir(parents=True, exist_ok=True)
        drawn = np.lib.format.open_memmap(
            cache / "drawing.npy", "w+", np.uint8, (len(jobs), SQUASHED, SQUASHED, 3)
        )
        with Pool(workers) as pool:
            for k, image in enumerate(pool.imap(picture, jobs, chunksize=16)):
                drawn[k] = image
        drawn.flush()
        (cache / "drawing.npy").rename(store)
    return np.load(store, mmap_mode="r"), labels


def augmented(images: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """A batch as the recipe makes it, but cut anywhere, mirrored, a little recoloured."""
    batch = np.empty((len(images), CROP, CROP, 3), np.float32)
    for out, image in zip(batch, images):
        y, x = rng.integers(0, 2 * BORDER + 1, 2)
        cut = image[y : y + CROP, x : x + CROP].astype(np.float32) / 256
        if rng.random() < 0.5:
            cut = cut[:, ::-1]
        grey = cut.mean((0, 1))
        contrast = np.float32(rng.uniform(0.8, 1.2))
        colour = grey * rng.uniform(0.85, 1.15) + rng.normal(0, 0.015, 3) - grey * contrast
        out[:] = cut * contrast + colour.astype(np.float32)
    np.clip(batch, 0, 255 / 256, out=batch)
    return torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))


def train(net: GraphNet, images: np.ndarray, labels: np.ndarray, epochs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = len(images) // BATCH
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, epochs * steps, pct_start=0.2
    )
    begun = time.monotonic()
    for epoch in range(epochs):
        net.train()
        order = rng.permutation(len(images))
        total, right = 0.0, 0
        for step in range(steps):
            chosen = np.sort(order[step * BATCH : (step + 1) * BATCH])
            target = torch.from_numpy(labels[chosen])
            output = net(augmented(images[chosen], rng))
            loss = F.cross_entropy(output, target, label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            right += int((output.argmax(1) == target).sum())
        print(
            f"epoch {epoch + 1}: loss {total / steps:.3f}, right {right / (steps * BATCH):.4f}, "
            f"{time.monotonic() - begun:.0f} s",
            flush=True,
        )


def answers(net: GraphNet, images: np.ndarray) -> np.ndarray:
    """(N, classes) outputs under exactly the served recipe."""
    net.eval()
    with torch.no_grad():
        parts = [
            net(torch.from_numpy(tensor(images[k : k + 64]))).numpy()
            for k in range(0, len(images), 64)
        ]
    return np.concatenate(parts)


def report(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Prints accuracy, and per kind what it is taken for; returns the accuracy."""
    guesses = outputs.argmax(1)
    accuracy = float((guesses == labels).mean())
    print(f"held out: {accuracy:.4f} of {len(labels)} drawings right")
    for label, name in enumerate(CLASSES):
        wrong = guesses[(labels == label) & (guesses != label)]
        taken = ", ".join(
            f"{CLASSES[g]} {n}" for g, n in zip(*np.unique(wrong, return_counts=True))
        )
        print(
            f"  {name}: {(guesses[labels == label] == label).mean():.3f}"
            + (f" (taken for {taken})" if taken else "")
        )
    return accuracy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the model")
    parser.add_argument(
        "--pictures", type=int, default=600, help="drawings of each kind to train on"
    )
    parser.add_argument(
        "--held-out", type=int, default=150, help="drawings of each kind to measure on"
    )
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--cache", type=Path, default=Path("build/flowers"), help="keeps the drawings"
    )
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    images, labels = pictures(options.cache, options.pictures, TRAINING_SEEDS, options.threads)
    unseen, truth = pictures(options.cache, options.held_out, HELD_OUT_SEEDS, options.threads)
    head = build(SHAPE)
    net = GraphNet(head)
    train(net, images, labels, options.epochs, options.seed)
    if report(answers(net, unseen), truth) < 0.95:
        sys.exit("less than 95 % right: nothing written")
    for path in write_model(options.out, "flowers", head, net.values(), CLASSES):
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
