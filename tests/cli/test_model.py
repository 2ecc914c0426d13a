#!/usr/bin/env python3
"""`nexus model inspect` and `nexus model run` on files of both formats, good and bad.

Usage: test_model.py NEXUS [unittest arguments]
"""

import json
import math
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))

import tiny_model
import tiny_onnx as onnx

NEXUS = None
FLOWERS = os.path.join(HERE, "..", "..", "models", "flowers")


class Model(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as out:
            out.write(content)
        return path

    def nexus(self, *args, code=0):
        done = subprocess.run([NEXUS, "model", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def inspected(self, *args, code=0):
        return json.loads(self.nexus("inspect", *args, "--json", code=code).stdout)


class Inspect(Model):
    def flowers(self):
        return [os.path.join(FLOWERS, n) for n in ("flowers-symbol.json", "flowers-0000.params")]

    def test_text_tells_all_of_it(self):
        out = self.nexus("inspect", *self.flowers()).stdout
        for part in ("format      MXNet symbol and params", "ops         ", "Convolution", "GMAC",
                     "MB of weights", "activations planned", "runs        yes, on "):
            self.assertIn(part, out)
        self.assertNotIn("unsupported", out)

    def test_the_files_order_does_not_matter(self):
        self.assertEqual(self.inspected(*self.flowers()), self.inspected(*reversed(self.flowers())))

    def test_json_and_batch(self):
        one, four = (self.inspected(*self.flowers(), *more) for more in ((), ("--batch", "4")))
        self.assertEqual(one["inputs"][0]["shape"], [1, 3, 224, 224])
        self.assertEqual(four["inputs"][0]["shape"], [4, 3, 224, 224])
        self.assertEqual(4 * one["macs"], four["macs"])
        self.assertEqual(one["parameters"], four["parameters"])
        self.assertEqual(one["weight_bytes"], 4 * one["parameters"])
        self.assertGreater(four["activation_bytes"], one["activation_bytes"])
        self.assertTrue(one["runs"] and one["takes_photos"])
        self.assertEqual(one["nodes"][-1]["outputs"], one["outputs"][0]["shape"] and [one["outputs"][0]["shape"]])

    def wide(self):
        """Convolutions of 3x3 that Winograd's algorithm is for, one that it is not for, and a layer for all of the last."""
        nodes = [{"op": "null", "name": "data", "inputs": [], "attrs": {"__shape__": "(1, 3, 32, 32)"}}]
        arrays, planes = {}, 3
        for k, (filters, stride) in enumerate(((64, 2), (128, 1), (128, 1), (128, 2))):
            nodes.append({"op": "null", "name": "w%d" % k, "inputs": []})
            nodes.append({"op": "Convolution", "name": "c%d" % k, "inputs": [[len(nodes) - 2, 0, 0], [len(nodes) - 1, 0, 0]],
                          "attrs": {"kernel": "(3, 3)", "pad": "(1, 1)", "stride": "(%d, %d)" % (stride, stride),
                                    "no_bias": "True", "num_filter": str(filters)}})
            arrays["arg:w%d" % k] = ((filters, planes, 3, 3), [0.01] * (filters * planes * 9))
            planes = filters
        nodes.append({"op": "null", "name": "fc_weight", "inputs": []})
        nodes.append({"op": "FullyConnected", "name": "fc", "inputs": [[len(nodes) - 2, 0, 0], [len(nodes) - 1, 0, 0]],
                      "attrs": {"no_bias": "True", "num_hidden": "10"}})
        arrays["arg:fc_weight"] = ((10, 128 * 64), [0.0] * (10 * 128 * 64))
        return self.file("symbol.json", tiny_model.symbol(nodes)), self.file("params", tiny_model.params(arrays))

    def test_what_is_planned_is_what_it_comes_to(self):
        """A replica takes what is planned out of its budget before it loads: not twice as much, nor half of it."""
        files = self.wide()
        for precision in ("f32", "bf16"):
            for batch in ("1", "8"):
                args = [*files, "--precision", precision, "--batch", batch]
                done = subprocess.run([NEXUS, "model", "inspect", *args, "--json"], capture_output=True, text=True, timeout=60)
                told = json.loads(done.stdout)
                if precision == "bf16" and "has no bf16" in done.stderr:
                    print("SKIP: this processor has no bfloat16: memory in bf16 is not compared", flush=True)
                    break
                with self.subTest(precision=precision, batch=batch):
                    planned = told["planned_bytes"]
                    self.assertLess(told["program_bytes"], 2 * planned)
                    self.assertGreater(told["program_bytes"], planned / 2)
                    self.assertGreaterEqual(told["program_bytes"], told["program_weight_bytes"] + told["program_activation_bytes"])

    def test_a_net_of_any_size_is_told_one(self):
        nodes = tiny_model.symbol_nodes()
        files = [self.file("symbol.json", tiny_model.symbol(nodes)), self.file("params", tiny_model.params())]
        self.assertEqual(self.inspected(*files)["inputs"][0]["shape"], [1, 3, 224, 224])
        self.assertEqual(self.inspected(*files, "--size", "64x32")["inputs"][0]["shape"], [1, 3, 64, 32])
        self.assertIn("a run ", self.nexus("time", *files, "--size", "8x9", "--rounds", "1").stdout)
        for bad in ("64", "x64", "64x", "0x64", "64x0", "64x64x3", "123456789x1", "-1x2"):
            self.nexus("inspect", *files, "--size", bad, code=2)
        fixed = self.flowers()
        self.assertEqual(self.inspected(*fixed)["inputs"], self.inspected(*fixed, "--size", "224x224")["inputs"])

    def test_every_unsupported_op_is_counted(self):
        nodes = tiny_model.symbol_nodes()
        last = len(nodes) - 1
        for name in ("RNN", "ROIPooling", "RNN"):
            nodes.append({"op": name, "name": "n%d" % len(nodes), "inputs": [[last, 0, 0]]})
            last = len(nodes) - 1
        files = [self.file("s", tiny_model.symbol(nodes)), self.file("p", tiny_model.params())]
        out = self.nexus("inspect", *files, code=1)
        self.assertIn("unsupported RNN 2, ROIPooling 1", out.stdout)
        self.assertIn("runs        no: ", out.stdout)
        self.assertIn("unknown op 'RNN'", out.stderr)
        said = self.inspected(*files, code=1)
        self.assertIn({"op": "RNN", "count": 2, "supported": False}, said["ops"])
        self.assertFalse(said["runs"])

    def test_what_no_output_needs_does_not_count(self):
        nodes = tiny_model.symbol_nodes()
        nodes.append({"op": "RNN", "name": "aside", "inputs": [[0, 0, 0]]})
        said = self.inspected(self.file("s", tiny_model.symbol(nodes, heads=[[len(nodes) - 2, 0, 0]])),
                              self.file("p", tiny_model.params()))
        self.assertNotIn("RNN", [op["op"] for op in said["ops"]])

    def test_ops_of_other_domains(self):
        nodes = [onnx.node("FusedThing", ["x"], ["a"], domain="com.microsoft"),
                 onnx.node("NonMaxSuppression", ["a"], ["y"])]
        path = self.file("m.onnx", onnx.model(nodes, [onnx.info("x", onnx.FLOAT, ("N", 3))],
                                              [onnx.info("y", onnx.FLOAT, ("N", 3))]))
        out = self.nexus("inspect", path, code=1).stdout
        self.assertIn("unsupported com.microsoft.FusedThing 1, NonMaxSuppression 1", out)
        self.assertIn("producer    test 1.2, IR version 8, opset 13", out)

    def test_weights_that_are_not_finite(self):
        values = [1, 0, 0, math.nan, 1, math.inf, 0, math.nan, 1]
        files = [self.file("s", tiny_model.symbol()),
                 self.file("p", tiny_model.params({"arg:fc_weight": ((3, 3), values)}))]
        self.assertIn("warning     the weight 'fc_weight' has 2 NaN and 1 infinite values",
                      self.nexus("inspect", *files).stdout)
        self.assertEqual(self.inspected(*files)["not_finite"], [{"weight": "fc_weight", "nan": 2, "infinite": 1}])

    def test_names_move_no_cursor(self):
        path = self.file("m.onnx", onnx.model([onnx.node("Relu", ["x"], ["\x1b[2Jy\"\\"])],
                                              [onnx.info("x", onnx.FLOAT, ("N", 3))],
                                              [onnx.info("\x1b[2Jy\"\\", onnx.FLOAT, ("N", 3))]))
        self.assertNotIn("\x1b", self.nexus("inspect", path).stdout)
        self.assertEqual(self.inspected(path)["outputs"][0]["name"], "?[2Jy??")

    def test_files_that_are_none(self):
        self.assertIn("No such file", self.nexus("inspect", "/nowhere", code=1).stderr)
        self.assertIn("is empty", self.nexus("inspect", self.file("e", b""), code=1).stderr)
        self.assertIn("onnx", self.nexus("inspect", self.file("g", b"\xff" * 100), code=1).stderr)
        self.assertIn("not a plain file", self.nexus("inspect", self.folder, code=1).stderr)

    def test_usage(self):
        symbol = self.flowers()[0]
        for args in ((), ("look",), ("inspect",), ("inspect", symbol), ("inspect", symbol, symbol),
                     ("inspect", *self.flowers(), "--batch", "0"), ("inspect", *self.flowers(), "--batch"),
                     ("inspect", *self.flowers(), "--input", "x"), ("inspect", *self.flowers(), symbol)):
            said = self.nexus(*args, code=2).stderr
            self.assertRegex(said, r"\Anexus model: [^\n]+; see nexus model --help\n\Z", args)


class Run(Model):
    """y = a w + b, and idx = what came as integers, plus 1: two inputs of two types and two outputs."""

    def two_by_two(self, batch="N"):
        nodes = [onnx.node("MatMul", ["a", "w"], ["m"]), onnx.node("Add", ["m", "b"], ["y"]),
                 onnx.node("Add", ["idx", "one"], ["next"])]
        return self.file("two.onnx", onnx.model(
            nodes, [onnx.info("idx", onnx.INT64, (batch, 3)), onnx.info("a", onnx.FLOAT, (batch, 2)),
                    onnx.info("b", onnx.FLOAT, (batch, 2))],
            [onnx.info("y", onnx.FLOAT, (batch, 2)), onnx.info("next", onnx.INT64, (batch, 3))],
            [onnx.weight("w", (2, 2), (1, 2, 3, 4)), onnx.weight("one", (1,), (1,))]))

    def inputs(self, **changed):
        files = {"a": ("<f4", (2, 2), (1, 0, 0, 1)), "b": ("<f4", (2, 2), (10, 20, 30, 40)),
                 "idx": ("<i8", (2, 3), (5, 6, 7, -8, 9, 1 << 24))}
        files.update(changed)
        args = []
        for name, content in files.items():
            if content:
                args += ["--input", "%s=%s" % (name, self.file(name + ".npy", onnx.npy(*content)))]
        return args

    def test_several_tensors_by_name(self):
        self.nexus("run", self.two_by_two(), *self.inputs(), "--output", self.folder)
        self.assertEqual(onnx.read_npy(os.path.join(self.folder, "y.npy")), ("<f4", (2, 2), [11, 22, 33, 44]))
        # 2^24 + 1 is not a float: what is computed is computed in f32
        self.assertEqual(onnx.read_npy(os.path.join(self.folder, "next.npy")),
                         ("<i8", (2, 3), [6, 7, 8, -7, 10, 1 << 24]))

    def test_on_the_terminal(self):
        out = self.nexus("run", self.two_by_two(2), *self.inputs(), "--backend", "cpu_ref").stdout
        self.assertEqual(out, "y  F32  (2, 2)  11 22 33 44\nnext  I64  (2, 3)  6 7 8 -7 10 16777216\n")

    def test_what_does_not_fit_is_named(self):
        for changed, sentence in (
                ({"a": None}, "the input 'a' is missing"),
                ({"c": ("<f4", (1,), (1,))}, "the model has no input 'c'"),
                ({"a": ("<i4", (2, 2), (1, 2, 3, 4))}, "the input 'a' is I32, F32 was expected"),
                ({"a": ("<f4", (2, 3), [0] * 6)}, "the input 'a' is (2, 3), (2, 2) was expected"),
                ({"a": ("<f4", (3, 2), [0] * 6)}, "has a batch of"),
                ({"a": ("<f4", (2, 2), [0] * 3)}, "16 bytes of data expected, 12 are there"),
                ({"idx": ("<i8", (2, 3), [0, 0, 0, 0, (1 << 24) + 1, 0])}, "at element 4 a number beyond 2^24")):
            with self.subTest(sentence):
                self.assertIn(sentence, self.nexus("run", self.two_by_two(), *self.inputs(**changed), code=1).stderr)

    def test_a_lone_input_needs_no_name(self):
        files = [self.file("s", tiny_model.symbol()), self.file("p", tiny_model.params())]
        x = self.file("x.npy", onnx.npy("<f4", (1, 3, 224, 224), [1.0] * 50176 + [2.0] * 50176 + [3.0] * 50176))
        self.assertEqual(self.nexus("run", *files, "--input", x).stdout, "fc_output  F32  (1, 3)  1 2 3\n")

    def test_params_as_mxnet_2_writes_them(self):
        """An .npz, stored and deflated, as numpy.savez and zip tools make it."""
        x = self.file("x.npy", onnx.npy("<f4", (1, 3, 2, 2), [1.0] * 4 + [2.0] * 4 + [3.0] * 4))
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            path = os.path.join(self.folder, "p%d.params" % method)
            with zipfile.ZipFile(path, "w", method) as archive:
                with archive.open("arg:fc_weight.npy", "w", force_zip64=True) as out:
                    out.write(onnx.npy("<f4", (3, 3), (0, 0, 1, 0, 1, 0, 1, 0, 0)))
            nodes = tiny_model.symbol_nodes()
            nodes[0]["attrs"] = {"__shape__": "(0, 3, 2, 2)"}
            symbol = self.file("s", tiny_model.symbol(nodes))
            self.assertEqual(self.nexus("run", symbol, path, "--input", x).stdout, "fc_output  F32  (1, 3)  3 2 1\n")

    def test_not_a_tensor(self):
        bad = self.file("bad.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<c8',")
        self.assertIn("npy", self.nexus("run", self.two_by_two(), "--input", bad, code=1).stderr)


class Time(Model):
    def flowers(self):
        return [os.path.join(FLOWERS, n) for n in ("flowers-symbol.json", "flowers-0000.params")]

    def rows(self, out):
        """The table by kind of step, and the slowest steps: milliseconds, share, and the rest of each line."""
        kinds, steps = re.split(r"the slowest \d+ of \d+ steps\n", out.split("how\n")[1])
        read = lambda lines: [(float(l.split()[0]), float(l.split()[1]), l.split("%", 1)[1]) for l in lines.splitlines()]
        return read(kinds), read(steps)

    def test_the_shares_are_of_all_and_the_slowest_come_first(self):
        for backend in ("auto", "cpu_ref"):
            out = self.nexus("time", *self.flowers(), "--rounds", "1", "--top", "3", "--backend", backend).stdout
            kinds, steps = self.rows(out)
            self.assertEqual(len(steps), 3)
            for rows in kinds, steps:
                self.assertEqual(rows, sorted(rows, key=lambda row: -row[0]))
            self.assertAlmostEqual(sum(share for _, share, _ in kinds), 100, delta=0.1 * len(kinds))
            total = float(re.search(r"([\d.]+) ms by its steps", out).group(1))
            self.assertAlmostEqual(sum(ms for ms, _, _ in kinds), total, delta=0.001 * (len(kinds) + 1))
            self.assertTrue(any("convolution" in rest for _, _, rest in kinds), out)

    def test_every_node_is_told_by_its_name(self):
        nodes = [onnx.node("MatMul", ["a", "w"], ["m"], name="product"), onnx.node("Exp", ["m"], ["y"], name="power")]
        path = self.file("n.onnx", onnx.model(nodes, [onnx.info("a", onnx.FLOAT, ("N", 2))],
                                              [onnx.info("y", onnx.FLOAT, ("N", 2))], [onnx.weight("w", (2, 2), (1, 2, 3, 4))]))
        out = self.nexus("time", path, "--backend", "cpu_ref", "--batch", "3", "--top", "9").stdout
        self.assertIn("cpu_ref, f32, batch 3, 1 thread\n", out)
        self.assertIn("the slowest 1 of 1 steps", out)  # the power rides on the product
        self.assertIn("plain loops", out)

    def test_integers_and_several_inputs(self):
        nodes = [onnx.node("Add", ["a", "b"], ["y"]), onnx.node("Add", ["idx", "one"], ["next"])]
        path = self.file("n.onnx", onnx.model(
            nodes, [onnx.info("idx", onnx.INT64, ("N", 3)), onnx.info("a", onnx.FLOAT, ("N", 2)),
                    onnx.info("b", onnx.FLOAT, ("N", 2))],
            [onnx.info("y", onnx.FLOAT, ("N", 2)), onnx.info("next", onnx.INT64, ("N", 3))],
            [onnx.weight("one", (1,), (1,))]))
        self.assertIn("a run ", self.nexus("time", path, "--batch", "5").stdout)

    def test_threads_of_onednn_wait_asleep(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
        done = subprocess.run([NEXUS, "model", "time", *self.flowers(), "--rounds", "1"], capture_output=True, text=True,
                              timeout=60, env=dict(env, OMP_DISPLAY_ENV="verbose"), check=True)
        if "OPENMP DISPLAY ENVIRONMENT" not in done.stderr:
            self.skipTest("no OpenMP in this build")
        self.assertEqual(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)[-1], "0")

    def test_usage(self):
        for more in (["--input", "x"], ["--precision", "f16"], ["--rounds", "0"], ["--top"], ["--json"]):
            self.nexus("time", *self.flowers(), *more, code=2)
        self.nexus("time", self.file("x.onnx", b"no"), code=1)


class Calibrate(Model):
    PHOTOS = os.path.join(FLOWERS, "photos")

    def setUp(self):
        super().setUp()
        self.files = [os.path.join(FLOWERS, n) for n in ("flowers-symbol.json", "flowers-0000.params")]
        self.out = os.path.join(self.folder, "flowers.cal")

    def calibrated(self, *more):
        self.nexus("calibrate", *self.files, "--photos", self.PHOTOS, "--output", self.out, *more)
        with open(self.out, encoding="ascii") as file:
            return file.read()

    def int8(self, *args, code=0):
        """Without VNNI there is cpu_ref, which computes the same, slowly."""
        done = self.nexus("time", *self.files, "--precision", "int8", "--rounds", "1", "--backend", "cpu_ref", *args, code=code)
        return done.stdout if code == 0 else done.stderr

    def test_from_photos_to_int8(self):
        done = self.nexus("calibrate", *self.files, "--photos", self.PHOTOS, "-o", self.out)
        self.assertIn("from 10 of 11 files", done.stdout)
        self.assertIn("passed over: %s/labels.tsv: " % self.PHOTOS, done.stderr)
        self.assertIn("cpu_ref, int8, batch 1, 1 thread\n", self.int8("--calibration", self.out))

    def test_a_list_and_the_rules(self):
        paths = [os.path.join(self.PHOTOS, n) for n in ("rose.jpg", "violet.png")]
        listed = self.file("list", "\n".join(paths).encode())
        args = ["calibrate", *self.files, "--photos", listed, "-o", self.out, "--recipe", "imagenet"]
        wide = {}
        for rule, more in (("minmax", ["--minmax"]), ("percentile 99", ["--percentile", "99"])):
            self.assertIn("from 2 of 2 files", self.nexus(*args, *more).stdout)
            with open(self.out, encoding="ascii") as file:
                lines = file.read().splitlines()
            self.assertEqual(lines[2], "rule %s, 2 photos" % rule)
            wide[rule] = [float(line.split()[2]) - float(line.split()[1]) for line in lines[4:-1]]
        self.assertTrue(all(a >= b for a, b in zip(wide["minmax"], wide["percentile 99"])))
        self.assertGreater(sum(wide["minmax"]), 1.1 * sum(wide["percentile 99"]))

    def test_auto_is_never_the_slow_one(self):
        self.calibrated()
        done = subprocess.run([NEXUS, "model", "time", *self.files, "--precision", "int8", "--calibration", self.out],
                              capture_output=True, text=True, timeout=60, env=dict(os.environ, DNNL_MAX_CPU_ISA="AVX2"))
        if "cpu_ref" in done.stdout:
            self.skipTest("no oneDNN in this build")
        self.assertEqual(done.returncode, 1)
        self.assertIn("int8 needs VNNI, this machine has none, it is avx2", done.stderr)

    def test_a_line_taken_out_leaves_a_layer_in_f32(self):
        lines = self.calibrated().splitlines(keepends=True)
        path = self.file("less.cal", "".join(lines[:-2] + lines[-1:]).encode())
        self.assertIn("int8", self.int8("--calibration", path))

    def test_other_files_are_refused(self):
        text = self.calibrated()
        self.assertTrue(text.endswith("\nend\n"))
        lines = text[:-4]
        self.assertIn("int8 needs a calibration", self.int8(code=1))
        for bad, why in ((text.replace("model ", "model 0", 1)[:-1], "calibration line 2"),
                         (re.sub("model .{16}", "model " + 16 * "0", text), "was made for another one"),
                         (lines + "1 0 1 again\nend\n", "an index above that of the line before"),
                         (lines, "the file is cut"),
                         (lines + "99999 0 1 unknown\nend\n", "a tensor that the model has"),
                         (re.sub(r"(?m)^(\d+) \S+ ", r"\1 nan ", text), "two numbers"),
                         (text + "x" * 100000, "the index of a tensor"),
                         (lines + "%d 0 1 a weight\nend\n" % (int(text.splitlines()[3].split()[1]) - 1), "takes none")):
            said = self.int8("--calibration", self.file("bad.cal", bad.encode()), code=1)
            self.assertIn(why, said)
            self.assertEqual(said.count("\n"), 1)

    def test_what_cannot_be_calibrated(self):
        def said(*args, code=1):
            return self.nexus("calibrate", *args, code=code).stderr
        empty = os.path.join(self.folder, "empty")
        os.mkdir(empty)
        self.assertIn("there is no photo", said(*self.files, "--photos", empty, "-o", self.out))
        self.assertIn("No such file", said(*self.files, "--photos", empty + "x", "-o", self.out))
        self.assertIn("recipe line 1", said(*self.files, "--photos", empty, "-o", self.out, "--recipe", self.file("r", b"bad = 1")))
        self.assertFalse(os.path.exists(self.out))
        self.assertIn("No such file", said(*self.files, "--photos", self.PHOTOS, "-o", empty + "x/y"))
        rows = self.file("m.onnx", onnx.model([onnx.node("Relu", ["x"], ["y"])], [onnx.info("x", onnx.FLOAT, ("N", 3))],
                                              [onnx.info("y", onnx.FLOAT, ("N", 3))]))
        self.assertIn("no convolution", said(rows, "--photos", self.PHOTOS, "-o", self.out))
        for more in ([], ["--photos", "x"], ["-o", "x"], ["--percentile", "50"], ["--percentile", "nan"],
                     ["--percentile", "101"], ["--batch", "2"]):
            said(*self.files, *more, code=2)


if __name__ == "__main__":
    NEXUS = sys.argv.pop(1)
    unittest.main()
