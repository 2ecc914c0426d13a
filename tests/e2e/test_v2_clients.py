#!/usr/bin/env python3
"""Open Inference Protocol v2 with the clients that people have: tritonclient by HTTP and gRPC; and what its rules forbid.

tritonclient comes from PyPI into an environment of its own, made once under the temporary folder; where it cannot be had the
tests that need it say SKIP. The KServe SDK brings half a gigabyte of other packages: it is asked where NEXUS_KSERVE_VENV names an
environment with it (python3 -m venv DIR && DIR/bin/pip install kserve).
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import unittest

import harness
import tiny_model

sys.path.insert(0, os.path.join(harness.HERE, "..", "lib"))
import tiny_onnx
from test_http import HttpCase, archive, model_entries

ENVIRONMENT = os.environ.get("NEXUS_CLIENTS_VENV") or os.path.join(tempfile.gettempdir(), "nexus-clients-venv")
PYTHON = os.path.join(ENVIRONMENT, "bin", "python")


def have_tritonclient():
    if not os.path.exists(PYTHON):
        try:
            subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True, capture_output=True, timeout=120)
            subprocess.run([PYTHON, "-m", "pip", "install", "-q", "tritonclient[http,grpc]"], check=True,
                           capture_output=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as why:
            print("SKIP: tritonclient cannot be had: %s" % why)
            return False
    return subprocess.run([PYTHON, "-c", "import tritonclient.http, tritonclient.grpc"],
                          capture_output=True).returncode == 0


def pair_model():
    """y = a * scale + b, kept = b + b, half = b as FP16, many = a > 2: three inputs and four outputs, of six types."""
    n, i = tiny_onnx.node, tiny_onnx.info
    return tiny_onnx.model(
        [n("Mul", ["a", "scale"], ["m"]), n("Add", ["m", "b"], ["y"]), n("Add", ["b", "b"], ["kept"]), n("Cast", ["b"], ["half"], to=10),
         n("Greater", ["m", "scale"], ["many"])],
        [i("a", tiny_onnx.UINT8, ["N", 3]), i("b", tiny_onnx.INT64, ["N", 1]), i("scale", tiny_onnx.FLOAT, [1])],
        [i("y", tiny_onnx.FLOAT, ["N", 3]), i("kept", tiny_onnx.INT64, ["N", 1]), i("half", 10, ["N", 1]), i("many", 9, ["N", 3])])


class Triton(HttpCase):
    """The same story by both wires, told by tritonclient_story.py."""

    def tell(self, wire, story="tritonclient_story.py", python=PYTHON):
        if python == PYTHON and not have_tritonclient():
            self.skipTest("SKIP: no tritonclient")
        for name, colour in (("red", tiny_model.RED), ("blue", tiny_model.BLUE)):
            self.file(name + ".png", tiny_model.png(colour))
        with open(os.path.join(self.store, "loaded.mar"), "wb") as out:
            out.write(archive(model_entries()))
        with open(os.path.join(self.store, "pair.mar"), "wb") as out:
            out.write(archive([("MANIFEST.json", b"{}"), ("synset.txt", tiny_model.synset()), ("pair.onnx", pair_model())]))
        done = subprocess.run([python, os.path.join(harness.HERE, story), wire, self.group.address(),
                               self.files.name], capture_output=True, text=True, timeout=4 * harness.WAIT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], "told")

    def test_by_http(self):
        self.tell("http")

    def test_by_grpc(self):
        self.tell("grpc")

    def test_by_asyncio_and_http(self):
        self.tell("http", "tritonclient_aio_story.py")

    def test_by_asyncio_and_grpc(self):
        self.tell("grpc", "tritonclient_aio_story.py")

    def tell_kserve(self, wire):
        folder = os.environ.get("NEXUS_KSERVE_VENV")
        if not folder:
            print("SKIP: the KServe SDK is only asked where NEXUS_KSERVE_VENV names an environment that has it")
            self.skipTest("SKIP: no NEXUS_KSERVE_VENV")
        self.tell(wire, "kserve_story.py", os.path.join(folder, "bin", "python"))

    def test_by_kserve_and_http(self):
        self.tell_kserve("http")

    def test_by_kserve_and_grpc(self):
        self.tell_kserve("grpc")


class Json(HttpCase):
    def infer(self, body, **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        return self.ask("POST", "/v2/models/1/infer", body, **headers)

    @staticmethod
    def photo_input(*photos, **more):
        return {"name": "data", "shape": [len(photos)], "datatype": "BYTES",
                "parameters": {"binary_data_size": sum(4 + len(p) for p in photos)}, **more}

    def photos(self, request, *photos):
        head = json.dumps(request).encode()
        tail = b"".join(struct.pack("<I", len(p)) + p for p in photos)
        return self.infer(head + tail, Inference_Header_Content_Length=str(len(head)))

    def output(self):
        return self.ask("GET", "/v2/models/1").json["outputs"][0]["name"]

    def test_a_photo_and_its_classes(self):
        reply = self.photos({"id": "7", "inputs": [self.photo_input(self.red)],
                             "outputs": [{"name": self.output(), "parameters": {"classification": 2}}]}, self.red)
        self.assertEqual((reply.status, reply.json["id"], reply.json["model_name"]), (200, "7", "1"))
        output = reply.json["outputs"][0]
        self.assertEqual((output["datatype"], output["shape"]), ("BYTES", [1, 2]))
        self.assertRegex(output["data"][0], r"^[0-9.]+:0:red$")

    def test_a_raw_photo(self):
        reply = self.infer(self.red, Inference_Header_Content_Length="0")
        at = int(reply.headers["Inference-Header-Content-Length"])
        output = json.loads(reply.body[:at])["outputs"][0]
        values = struct.unpack("<3f", reply.body[at:])
        self.assertEqual((output["shape"], output["datatype"]), ([1, 3], "FP32"))
        self.assertEqual(max(range(3), key=lambda k: values[k]), 0)

    def tensor(self, **more):
        shape = self.ask("GET", "/v2/models/1").json["inputs"][0]["shape"]
        row = [[[float(c)] * shape[3]] * shape[2] for c in range(3)]
        return {"name": "data", "shape": [1] + shape[1:], "datatype": "FP32", "data": [row], **more}

    def test_a_tensor_as_json(self):
        reply = self.infer({"inputs": [self.tensor()]})
        self.assertEqual(reply.json["outputs"][0]["data"], [0, 1, 2])

    def test_what_is_refused(self):
        good = self.tensor()
        for what, body in (
                ("nothing", b""), ("no JSON", b"hello"), ("cut", json.dumps({"inputs": [good]}).encode()[:-3]),
                ("a list", []), ("no inputs", {"id": "x"}), ("no input", {"inputs": []}),
                ("two inputs", {"inputs": [good, good]}), ("deep", b'{"x":' * 3000 + b"1" + b"}" * 3000),
                ("no datatype", {"inputs": [{**good, "datatype": "FP33"}]}),
                ("FP16", {"inputs": [{**good, "datatype": "FP16"}]}),
                ("INT32", {"inputs": [{**good, "datatype": "INT32"}]}),
                ("too few elements", {"inputs": [{**good, "data": [1, 2, 3]}]}),
                ("a shape that claims", {"inputs": [{**good, "shape": [2147483647, 2147483647, 9, 9]}]}),
                ("a negative shape", {"inputs": [{**good, "shape": [-1, 3, 8, 8]}]}),
                ("seven dimensions", {"inputs": [{**good, "shape": [1] * 7}]}),
                ("text for numbers", {"inputs": [{**good, "data": ["a"]}]}),
                ("another name", {"inputs": [{**good, "name": "dato"}]}),
                ("another output", {"inputs": [good], "outputs": [{"name": "out"}]}),
                ("an output twice", {"inputs": [good], "outputs": [{"name": self.output()}] * 2}),
                ("another shape", {"inputs": [{**good, "shape": [1, 3, 1, 1], "data": [1, 2, 3]}]}),
                ("no data", {"inputs": [{k: v for k, v in good.items() if k != "data"}]}),
                ("bytes that are not there", {"inputs": [self.photo_input(self.red)]}),
                ("data twice", {"inputs": [self.photo_input(self.red, data=["x"])]}),
                ("not a photo", {"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "data": ["text"]}]}),
                ("too many photos", {"inputs": [{"name": "data", "shape": [1000], "datatype": "BYTES",
                                                 "data": ["x"] * 1000}]})):
            with self.subTest(what=what):
                reply = self.infer(body)
                self.assertEqual((reply.status, list(reply.json)), (400, ["error"]))
                self.assertTrue(reply.json["error"])

    def test_headers_that_do_not_fit(self):
        body = json.dumps({"inputs": [self.tensor()]}).encode()
        for value in (str(len(body) + 1), "x", "-1", "99999999999999999999", ""):
            self.assertEqual(self.infer(body, Inference_Header_Content_Length=value).status, 400, value)
        self.assertEqual(self.infer(body + b"surplus", Inference_Header_Content_Length=str(len(body))).status, 400)
        self.assertEqual(self.infer(body, Content_Encoding="br").status, 415)

    def test_one_bad_photo_of_three_is_named(self):
        reply = self.photos({"inputs": [self.photo_input(self.red, b"text", self.red)]}, self.red, b"text", self.red)
        self.assertEqual(reply.status, 400)
        self.assertIn("photo 2 of 3", reply.json["error"])


del HttpCase  # its subclasses are the tests
if __name__ == "__main__":
    harness.main()
