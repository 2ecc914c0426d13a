#!/usr/bin/env python3
"""Models and photos that others made: they install, and the labelled photos get their labels.

They cannot be shipped: NEXUS_SHARED_DATA names a folder with lenet-mxnet (digits), squeezenet1.1-mxnet
and squeezenet1.1-onnx-fp16 (with photos and labels.tsv: file, accepted synset lines from 0, note).
Without it the test is skipped.
"""

import os
import sys

import harness
from harness import GroupCase
from test_int8 import calibrate, has_vnni
from test_models import models_of

DATA = os.environ.get("NEXUS_SHARED_DATA", "")


def lines(*path):
    with open(os.path.join(DATA, *path), encoding="utf-8") as text:
        return text.read().splitlines()


def labelled(folder):
    """(photo, accepted synset lines)"""
    for line in lines(folder, "labels.tsv"):
        name, accepted = line.split("\t")[:2]
        photo = os.path.join(DATA, folder, "photos", name)
        if os.path.exists(photo):
            yield photo, [int(k) for k in accepted.split(",")]


class RealModels(GroupCase):
    def install(self, tag, recipe, folder, *files, more=()):
        """`files`: symbol and params, or one ONNX file."""
        paths = [os.path.join(DATA, folder, name) for name in ("synset.txt", *files)]
        self.assert_done(self.group.client("installmodel", tag, *paths, "--recipe", recipe, *more))

    def ask(self, tag, photo):
        answer = self.group.client("inference", tag, photo)
        self.assertEqual((answer.code, answer.err), (0, ""), photo + ": " + answer.story)
        return answer.out.split("photo description:")[1].rstrip("\n")

    def assert_labels(self, tag, photos, synset, misses=None):
        """Every photo gets an accepted label, but for the misses (file, answer) of the model itself."""
        answers = [(self.ask(tag, photo), [synset[k] for k in accepted], photo) for photo, accepted in photos]
        wrong = {os.path.basename(photo): said for said, accepted, photo in answers if said not in accepted}
        self.assertEqual(wrong, misses or {})

    def test_lenet(self):
        self.install("2", "grey-255", "lenet-mxnet", "LeNet-symbol.json", "LeNet-0010.params")
        photos = list(labelled("lenet-mxnet"))
        self.assertGreaterEqual(len(photos), 40)
        # Two of the 40 digits are beyond this net: MXNet 1.9.1 itself answers the same.
        self.assert_labels("2", photos, lines("lenet-mxnet", "synset.txt"),
                           {"3_1062.png": "7", "6_1014.png": "5"})
        self.assert_done(self.group.client("removemodel", "2"))

    def test_in_int8(self):
        """Calibrated on every second photo: the labels of all are those of f32."""
        if not has_vnni():
            print("SKIP: this processor has no VNNI", flush=True)
            self.skipTest("no VNNI")
        for tag, recipe, folder, files, photos, misses in (
                ("5", "grey-255", "lenet-mxnet", ("LeNet-symbol.json", "LeNet-0010.params"), "lenet-mxnet",
                 {"3_1062.png": "7", "6_1014.png": "5"}),
                ("6", "caffe-bgr", "squeezenet1.1-mxnet", ("squeezenet_v1.1-symbol.json", "squeezenet_v1.1-0000.params"),
                 "squeezenet1.1-onnx-fp16", None)):
            listed = list(labelled(photos))
            half = self.file("half.txt", "".join(photo + "\n" for photo, _ in listed[::2]).encode())
            calibration = os.path.join(self.files.name, folder + ".cal")
            calibrate(calibration, *(os.path.join(DATA, folder, name) for name in files), photos=half, recipe=recipe)
            self.install(tag, recipe, folder, *files, more=("--calibration", calibration))
            self.assertEqual({row["precision"] for row in models_of(self.group, int(tag)).values()}, {"int8"})
            self.assert_labels(tag, listed, lines(folder, "synset.txt"), misses)
            self.assert_done(self.group.client("removemodel", tag))

    def test_squeezenet(self):
        self.install("3", "caffe-bgr", "squeezenet1.1-mxnet", "squeezenet_v1.1-symbol.json",
                     "squeezenet_v1.1-0000.params")
        photos = list(labelled("squeezenet1.1-onnx-fp16"))
        self.assertGreaterEqual(len(photos), 3)
        self.assert_labels("3", photos, lines("squeezenet1.1-mxnet", "synset.txt"))
        self.assert_done(self.group.client("removemodel", "3"))

    def test_squeezenet_of_onnx(self):
        folder = "squeezenet1.1-onnx-fp16"
        self.install("4", "caffe-bgr", folder, "SqueezeNet_fp16.onnx")
        photos = list(labelled(folder))
        self.assertGreaterEqual(len(photos), 3)
        self.assert_labels("4", photos, lines(folder, "synset.txt"))
        self.assert_done(self.group.client("removemodel", "4"))


if __name__ == "__main__":
    if not os.path.isdir(DATA):
        print("SKIP: NEXUS_SHARED_DATA names no folder")
        sys.exit(77)
    harness.main()
