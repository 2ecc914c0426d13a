#!/usr/bin/python3
"""The tools that make our models, and the flower model that is committed.

Needs numpy and Pillow; the one test that runs the net is skipped without PyTorch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tools" / "flowers")]

import draw
from gluon_resnet import build, standard
from kinds import KINDS
from mxnet_files import FormatError, read_model, read_params, symbol_text, write_params
from recipe import decode, squash, tensor
from resnet50_mxnet import random_values
from scene import render

MODEL = ROOT / "models" / "flowers"

# sha256 of the symbol files that MXNet 1.9.1 exports for mxnet.gluon.model_zoo.vision's
# resnet{depth}_v{version}(classes=102), with the instance number in the prefix set to 0.
EXPORTED_BY_MXNET = {
    (18, 1): "e0fbc528ad151f09c756ff4ef4438a51172ecdd9a824c7ac3668dab79cadda78",
    (18, 2): "14c190f3d123b627f04e744e0a146f671a2d093fe17a770b83b72b8329d9b971",
    (50, 1): "48f2bc5d186c67737e292741276683076afef4f0cbb973fe7a0e710ff96eba00",
    (50, 2): "271873f53e3f633888d7edd24f6d8816c3a4ab66734f5b71da04c85aae0bda1d",
}


class MxnetFiles(unittest.TestCase):
    def test_symbols_equal_mxnets_own_exports(self) -> None:
        for (depth, version), digest in EXPORTED_BY_MXNET.items():
            text = symbol_text(build(standard(depth, version, 102)))
            self.assertEqual(hashlib.sha256(text.encode()).hexdigest(), digest, (depth, version))

    def test_params_come_back_and_every_truncation_is_refused(self) -> None:
        arrays = {
            "arg:w": np.arange(6, dtype=np.float32).reshape(2, 3),
            "aux:m": np.array([7], dtype=np.int64),
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.params"
            write_params(path, arrays)
            back = read_params(path)
            self.assertEqual(list(back), list(arrays))
            for name, value in arrays.items():
                np.testing.assert_array_equal(back[name], value)
            whole = path.read_bytes()
            for damaged in [whole[:size] for size in range(len(whole))] + [whole + b"\0"]:
                path.write_bytes(damaged)
                with self.assertRaises(FormatError):
                    read_params(path)

    def test_random_resnet_is_reproducible_and_complete(self) -> None:
        head = build(standard(18, 2, 7, width=0.125))
        first, again = random_values(head, 3), random_values(head, 3)
        self.assertEqual(set(first), set(again))
        for name, value in first.items():
            np.testing.assert_array_equal(value, again[name])
            self.assertTrue(np.isfinite(value).all(), name)
            if name.endswith("_running_var"):
                self.assertGreater(value.min(), 0, name)


class Recipe(unittest.TestCase):
    def test_halving_takes_the_mean_of_two_by_two(self) -> None:
        pixels = np.random.default_rng(1).integers(0, 256, (512, 512, 3), dtype=np.uint8)
        mean = pixels.reshape(256, 2, 256, 2, 3).mean((1, 3))
        self.assertLessEqual(np.abs(squash(pixels) - mean).max(), 0.5 + 1e-4)

    def test_shrinking_does_not_antialias(self) -> None:
        # Every fourth column is white; a sample of the two middle ones of each four sees none.
        pixels = np.zeros((256, 1024, 3), np.uint8)
        pixels[:, ::4] = 255
        self.assertEqual(squash(pixels).max(), 0)

    def test_crop_and_scale(self) -> None:
        pixels = np.zeros((1, 256, 256, 3), np.uint8)
        pixels[0, 16, 239] = (255, 128, 0)
        cut = tensor(pixels)
        self.assertEqual(cut.shape, (1, 3, 224, 224))
        np.testing.assert_array_equal(cut[0, :, 0, 223], np.float32([255 / 256, 0.5, 0]))

    def test_all_eight_orientations_come_back_upright(self) -> None:
        upright = np.zeros((48, 64, 3), np.uint8)
        upright[:24, :32] = (250, 20, 20)
        upright[24:, 32:] = (20, 20, 250)
        for orientation in range(1, 9):
            encoded = draw.encode(Image.fromarray(upright), "JPEG", 95, orientation)
            back = decode(encoded).astype(int)
            self.assertEqual(back.shape, upright.shape)
            self.assertLess(np.abs(back - upright).mean(), 4, orientation)


class Drawing(unittest.TestCase):
    def test_a_seed_is_a_picture(self) -> None:
        for kind in KINDS:
            first, again, other = (render(kind, seed, (90, 120)) for seed in (5, 5, 6))
            self.assertEqual(first.size, (90, 120))
            self.assertEqual(first.tobytes(), again.tobytes(), kind)
            self.assertNotEqual(first.tobytes(), other.tobytes(), kind)


class FlowerModel(unittest.TestCase):
    def labels(self) -> list[list[str]]:
        lines = (MODEL / "photos" / "labels.tsv").read_text().splitlines()
        return [line.split("\t") for line in lines]

    def test_files_belong_together(self) -> None:
        head, values, classes = read_model(MODEL, "flowers")
        self.assertEqual(classes, sorted(KINDS))
        self.assertEqual(head.op, "FullyConnected")
        self.assertEqual(values[head.inputs[1].name].shape[0], len(classes))
        self.assertEqual(symbol_text(head), (MODEL / "flowers-symbol.json").read_text())
        self.assertLess((MODEL / "flowers-0000.params").stat().st_size, 2_000_000)
        self.assertLess(sum(p.stat().st_size for p in MODEL.rglob("*") if p.is_file()), 3_000_000)

    def test_photos_cover_every_kind_and_format(self) -> None:
        labels = self.labels()
        self.assertEqual(sorted(kind for _name, kind in labels), sorted(KINDS))
        images = [Image.open(MODEL / "photos" / name) for name, _kind in labels]
        self.assertEqual({image.format for image in images}, {"JPEG", "PNG", "WEBP"})
        self.assertGreaterEqual(sum(0x0112 in image.getexif() for image in images), 1)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "python3-torch is not installed")
    def test_photos_are_recognised(self) -> None:
        from classify import run_torch

        labels = self.labels()
        photos = [(MODEL / "photos" / name).read_bytes() for name, _kind in labels]
        outputs = run_torch(MODEL, tensor(np.stack([squash(decode(photo)) for photo in photos])))
        guesses = [sorted(KINDS)[k] for k in outputs.argmax(1)]
        self.assertEqual(guesses, [kind for _name, kind in labels])


if __name__ == "__main__":
    unittest.main()
