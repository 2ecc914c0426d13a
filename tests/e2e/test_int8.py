#!/usr/bin/env python3
"""An install with a calibration: every replica serves the model in int8, who joins and who comes back from its log too.

A processor without VNNI is one whose oneDNN is told to use AVX2 and no more; on such a machine the replicas are cpu_ref.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
import zipfile

import grpc

import harness
import sosp_wire as wire
from harness import GroupCase
from test_models import models_of
from test_restart import RestartCase

FLOWERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "models", "flowers")
PHOTOS = os.path.join(FLOWERS, "photos")
SYNSET, SYMBOL, PARAMS = (os.path.join(FLOWERS, name) for name in
                          ("synset.txt", "flowers-symbol.json", "flowers-0000.params"))
OLD_CPU = {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def has_vnni():
    with open("/proc/cpuinfo") as cpuinfo:
        return re.search(r"\bavx(512)?_vnni\b", cpuinfo.read()) is not None


BACKEND = ("--CATEGORIZER/backend", "cpu_dnnl" if has_vnni() else "cpu_ref")


def labels():
    with open(os.path.join(PHOTOS, "labels.tsv"), encoding="utf-8") as text:
        return [line.split() for line in text]


def calibrate(out, *model, photos=PHOTOS, recipe="demo-2019"):
    subprocess.run([harness.nexus(), "model", "calibrate", *(model or (SYMBOL, PARAMS)), "--photos", photos,
                    "--recipe", recipe, "--output", out], check=True, capture_output=True)
    with open(out, "rb") as file:
        return file.read()


class Int8(RestartCase):
    def start_kept(self):
        """Nodes 0 and 1 of the function tier, 2 and 3 replicas."""
        self.group = harness.Group(4)
        self.addCleanup(self.group.close)
        for k in range(4):
            with open(self.group.config(k)) as config:
                text = config.read()
            with open(self.group.config(k), "w") as config:
                config.write(text.replace("[SUBGROUP/CATEGORIZER_TIER]\n", "[SUBGROUP/CATEGORIZER_TIER]\npersist = true\n"))
        self.start_nodes((0, 1, 2, 3))
        self.calibration = os.path.join(self.group.top, "flowers.cal")
        calibrate(self.calibration)

    def start_nodes(self, order):
        for k in order:
            self.group.start_node(k, *BACKEND)
        for k in order:
            self.group.nodes[k].wait_line(harness.READY)
            if self.group.is_function_tier(k):
                self.group.nodes[k].wait_line(harness.LISTENING)

    def install(self, tag, *more):
        return self.group.client("installmodel", str(tag), SYNSET, SYMBOL, PARAMS, *more)

    def precisions(self, tag):
        """Of the replicas that serve: one that is still being given its state is not among them."""
        listed = json.loads(self.group.client("models", "--json").out)
        return {replica["node"]: row["precision"] for replica in listed["replicas"] for row in replica["models"]
                if row["tag"] == tag}

    def assert_right(self):
        """Twice: the photos are spread over the replicas."""
        for photo, kind in 2 * labels():
            answer = self.group.client("inference", "1", os.path.join(PHOTOS, photo))
            self.assertTrue(answer.out.endswith("\nphoto description:%s\n" % kind), photo + ": " + answer.story)

    def test_all_replicas_serve_it_so_for_as_long_as_it_is_installed(self):
        self.start_kept()
        answer = self.install(1, "--calibration", self.calibration)
        self.assertEqual(answer.code, 0, answer.story)
        self.assertEqual(self.install(2).code, 0)
        int8 = {2: "int8", 3: "int8"}
        self.assertEqual(self.precisions(1), int8)
        self.assertEqual(self.precisions(2), {2: "f32", 3: "f32"})
        self.assertRegex(self.group.client("models").out, r"(?m)^ +1 .* %s +int8 " % BACKEND[1])
        with urllib.request.urlopen("http://%s/metrics" % self.group.address(), timeout=10) as metrics:
            self.assertIn('nexus_model_info{model="1",node="3",device="%s",precision="int8"} 1\n' % BACKEND[1],
                          metrics.read().decode())
        self.assert_right()
        versions = {row["version"] for row in models_of(self.group, 1).values()}

        self.group.nodes[3].kill()  # it joins again, and is given files and calibration by the other
        self.start_nodes([3])
        harness.wait_until(lambda: self.precisions(1) == int8, "node 3 does not serve")
        self.assert_right()

        self.kill_all()  # and now there are only the logs
        self.start_nodes((3, 2, 1, 0))
        harness.wait_until(lambda: self.precisions(1) == int8, "model 1 is not back")
        harness.wait_until(lambda: self.precisions(2) == {2: "f32", 3: "f32"}, "model 2 is not back")
        self.assertEqual({row["version"] for row in models_of(self.group, 1).values()}, versions)
        self.assert_right()

        self.assertEqual(self.install(2, "--calibration", self.calibration, "--replace").code, 0)
        self.assertEqual(self.install(1, "--replace").code, 0)
        self.assertEqual((self.precisions(1), self.precisions(2)), ({2: "f32", 3: "f32"}, int8))

    def test_a_processor_that_cannot_has_a_vote_and_no_place(self):
        if not has_vnni():
            print("SKIP: this processor has no VNNI", flush=True)
            self.skipTest("no VNNI")
        self.start_kept()
        self.group.nodes[3].kill()
        old = self.group.start_node(3, *BACKEND, env=OLD_CPU)
        old.wait_line(harness.READY)
        answer = self.install(1, "--calibration", self.calibration)
        self.assertIn("cpu_dnnl: int8 needs VNNI, this machine has none, it is", answer.err)
        self.assertEqual(self.precisions(1), {})
        self.assertEqual(self.install(2).code, 0)
        old.kill()
        harness.wait_until(lambda: self.install(1, "--calibration", self.calibration).code == 0, "no install")
        late = self.group.start_node(3, *BACKEND, env=OLD_CPU)
        self.assertNotEqual(late.wait(), 0)
        self.assertRegex("\n".join(late.errors), "tag 1, which its shard serves, is of no use here: cpu_dnnl: int8 needs VNNI")
        self.assertEqual(self.precisions(1), {2: "int8"})
        self.assert_right()


class Refused(GroupCase):
    """What is no calibration of the model is refused by all replicas, and changes none."""

    NODES = 4

    def setUp(self):
        self.own = calibrate(os.path.join(self.files.name, "own.cal"))
        other = bytearray()
        with open(PARAMS, "rb") as file:
            other += file.read()
        other[-4000] ^= 1
        self.other = calibrate(os.path.join(self.files.name, "other.cal"), SYMBOL, self.file("other.params", other))

    def install(self, calibration, *more):
        return self.group.client("installmodel", "2", SYNSET, SYMBOL, PARAMS, "--calibration",
                                 self.file("x.cal", calibration), *more)

    def assert_unchanged(self):
        self.assertEqual(models_of(self.group, 2), {})
        self.assertEqual({row["precision"] for row in models_of(self.group, 1).values()}, {"f32"})

    def test_of_another_model(self):
        self.assert_refused_by_return_code(self.install(self.other), "the calibration is for model", "it was made for another one")
        self.assert_unchanged()

    def test_what_is_none(self):
        lines = self.own.splitlines(keepends=True)
        for bad, words in ((b"int8", "calibration line 1"), (os.urandom(5000), "calibration line 1"),
                           (self.own[:-4], "the file is cut"), (lines[0], "calibration line"),
                           (self.own[:-4] + b"9999 0 1 x\nend\n", "the index of a tensor that the model has"),
                           (self.own.replace(b"tensors 5", b"tensors 6"), "it was made for another one"),
                           (b"#" * (8 << 20), "calibration line 1"),
                           (b"#" * ((8 << 20) + 1), "8388609 bytes, at most 8388608 are possible")):
            with self.subTest(bad=bad[:30]):
                self.assert_refused_by_return_code(self.install(bad), words)
                self.assert_unchanged()
        self.assert_refused(self.install(b""), "x.cal is empty")

    def test_sizes_that_lie(self):
        files = []
        for path in (SYNSET, SYMBOL, PARAMS):
            with open(path, "rb") as file:
                files.append(file.read())
        with harness.Wire(self.group.address()) as calls:
            for announced, last, words in ((len(self.own) + 1, self.own, "fewer bytes than announced"),
                                           (len(self.own) - 1, self.own, "more bytes than announced"),
                                           (0, self.own, "more bytes than announced")):
                with self.subTest(announced=announced):
                    with self.assertRaises(grpc.RpcError) as caught:
                        calls.install(2, *files, wire.number(20, announced), tail=last)
                    self.assertIn(words, caught.exception.details())
                    self.assert_unchanged()
            for announced, last, words in ((len(self.own) - 7, self.own[:-7], "the file is cut"),
                                           (4294967295, self.own, "the calibration has 4294967295 bytes, at most 8388608")):
                code, text = calls.install(2, *files, wire.number(20, announced), tail=last)
                self.assertNotEqual(code, 0)
                self.assertIn(words, text)
                self.assert_unchanged()

    def test_in_place_of_a_model_that_goes_on(self):
        self.assert_done(self.install(self.own) if has_vnni() else
                         self.group.client("installmodel", "2", SYNSET, SYMBOL, PARAMS))
        before = {node: row["version"] for node, row in models_of(self.group, 2).items()}
        self.assert_refused_by_return_code(self.install(self.other, "--replace"), "it was made for another one")
        self.assertEqual({node: row["version"] for node, row in models_of(self.group, 2).items()}, before)
        self.assert_done(self.group.client("removemodel", "2"))

    def test_int8_is_no_precision_of_a_node(self):
        node = self.group.spawn(self.group.folder(0), "--CATEGORIZER/precision", "int8")
        self.assertNotEqual(node.wait(), 0)
        self.assertRegex("\n".join(node.errors), 'precision must be f32 or bf16, not "int8": int8 comes with a model, .* --calibration')


class Archive(unittest.TestCase):
    """An archive of the model store that holds a calibration, installed by HTTP."""

    def setUp(self):
        self.group = harness.Group(2)
        self.addCleanup(self.group.close)
        self.store = os.path.join(self.group.folder(0), "store")
        os.mkdir(self.store)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.calibration = calibrate(os.path.join(folder.name, "x.cal"))
        self.group.start_node(0, "--CLIENTS/model_store", "store")
        self.group.start_node(1, *BACKEND)
        self.group.wait_ready()

    def put(self, name, *calibrations):
        with zipfile.ZipFile(os.path.join(self.store, name), "w", zipfile.ZIP_DEFLATED) as z:
            for path in (SYNSET, SYMBOL, PARAMS):
                z.write(path, os.path.basename(path))
            for k, calibration in enumerate(calibrations):
                z.writestr("flowers%d.cal" % k, calibration)

    def register(self, url):
        request = urllib.request.Request("http://%s/models?url=%s" % (self.group.address(), url), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def test_it_is_served_in_int8(self):
        self.put("flowers.mar", self.calibration)
        status, body = self.register("flowers.mar")
        self.assertEqual(status, 200, body)
        listed = json.loads(self.group.client("models", "--json").out)
        rows = [row for replica in listed["replicas"] for row in replica["models"]]
        self.assertEqual([(row["name"], row["precision"]) for row in rows], [("flowers", "int8")])
        for photo, kind in labels():
            with open(os.path.join(PHOTOS, photo), "rb") as file:
                request = urllib.request.Request("http://%s/predictions/flowers" % self.group.address(), file.read())
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.assertIn(kind, answer.read().decode().split("}")[0], photo)

    def test_what_is_refused(self):
        for name, calibrations, words in (("two.mar", (self.calibration, self.calibration), "holds both flowers0.cal and flowers1.cal"),
                                          ("empty.mar", (b"",), "has no *.cal with bytes in it"),
                                          ("big.mar", (os.urandom((8 << 20) + 1),), "has 8388609 bytes, the limit is 8388608"),
                                          ("bad.mar", (b"int8",), "calibration line 1")):
            with self.subTest(name=name):
                self.put(name, *calibrations)
                status, body = self.register(name)
                self.assertGreaterEqual(status, 400)
                self.assertIn(words, body)
        listed = json.loads(self.group.client("models", "--json").out)
        self.assertEqual([replica["models"] for replica in listed["replicas"]], [[]])


class Profiles(unittest.TestCase):
    def test_what_is_measured_in_int8_is_for_that(self):
        group = harness.Group(2)
        self.addCleanup(group.close)
        calibration, folder = os.path.join(group.top, "flowers.cal"), os.path.join(group.top, "profiles")
        calibrate(calibration)
        os.mkdir(folder)
        measure = [harness.nexus(), "profile", SYNSET, SYMBOL, PARAMS, "--threads", "1", "--batch-max", "1", "--repeats", "1",
                   "--backend", BACKEND[1]]
        for more in (["--precision", "int8"], ["--calibration", calibration], ["--precision", "bf16", "--calibration", calibration]):
            done = subprocess.run([*measure, *more], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr.splitlines()),
                             (2, ["nexus profile: --precision int8 and --calibration go together"]))
        done = subprocess.run([*measure, "--precision", "int8", "--calibration", calibration], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[2], "backend %s int8" % BACKEND[1])
        lines[6:] = ["1,1234567,0,1,1"]  # so slow that it is no other's
        with open(os.path.join(folder, done.stderr.split()[-1]), "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")
        group.start_node(0)
        group.start_node(1, *BACKEND, "--CATEGORIZER/profiles", folder, "--CATEGORIZER/threads", "1")
        group.wait_ready()
        for tag, more in (("1", ()), ("2", ("--calibration", calibration))):
            answer = group.client("installmodel", tag, SYNSET, SYMBOL, PARAMS, *more)
            self.assertEqual(answer.code, 0, answer.story)
        self.assertNotEqual([row["batch_us"] for row in models_of(group, 1).values()], [1234567])
        self.assertEqual([row["batch_us"] for row in models_of(group, 2).values()], [1234567])


if __name__ == "__main__":
    sys.exit(harness.main())
