#!/usr/bin/env python3
"""Says what is on photos, with the model's files and an engine that is not nexus.

    tools/flowers/classify.py models/flowers models/flowers/photos/*.* [--engine torch|mxnet]

prints: file, class, and every class's output. With --engine mxnet it needs MXNet 1.9.1 and numpy 1.23
(Python 3.10 or older) and shows that the files are genuine: both engines print the same numbers.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from recipe import decode, squash, tensor


def run_torch(folder: Path, batch: np.ndarray) -> np.ndarray:
    import torch

    from graph_net import GraphNet
    from mxnet_files import read_model

    head, values, _classes = read_model(folder, "flowers")
    net = GraphNet(head)
    net.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    net.eval()
    with torch.no_grad():
        return net(torch.from_numpy(batch)).numpy()


def run_mxnet(folder: Path, batch: np.ndarray) -> np.ndarray:
    import mxnet

    symbol, params = folder / "flowers-symbol.json", folder / "flowers-0000.params"
    net = mxnet.gluon.SymbolBlock.imports(str(symbol), ["data"], str(params))
    return net(mxnet.nd.array(batch)).asnumpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--engine", choices=("torch", "mxnet"), default="torch")
    options = parser.parse_args()
    photos = [path for path in options.photos if path.suffix != ".tsv"]
    batch = tensor(np.stack([squash(decode(path.read_bytes())) for path in photos]))
    outputs = {"torch": run_torch, "mxnet": run_mxnet}[options.engine](options.model, batch)
    classes = (options.model / "synset.txt").read_text().splitlines()
    for path, row in zip(photos, outputs):
        numbers = " ".join(f"{value:.5f}" for value in row)
        print(f"{path.name}\t{classes[int(row.argmax())]}\t{numbers}")


if __name__ == "__main__":
    main()
