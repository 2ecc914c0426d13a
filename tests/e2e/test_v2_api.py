#!/usr/bin/env python3
"""The Open Inference Protocol v2, row by row: each RPC and each path, each way in which they fail, the traps of clients.

Which row is tested where:
  gRPC: each RPC, its codes and words                          Grpc, here (by raw bytes: a renumbered field is found)
  REST: each path, its statuses and words                      Rest, here; more bodies that are none: test_v2_clients.py (Json)
  binary tensors, classification, BYTES photos                 test_v2_clients.py: by tritonclient, and by hand
  gzip, deflate, 100-continue, HEAD, 413, 415                  test_http.py (Compression, Wire)
  429, 503, RESOURCE_EXHAUSTED, UNAVAILABLE, when to come again   test_admission.py
  401, 403, UNAUTHENTICATED, PERMISSION_DENIED                 test_tokens.py, test_far_clients.py
  not ready: 503 with a body, NOT_SERVING                      test_drain.py
  reflection                                                   test_reflection.py
Not served, and said so here: shared memory, trace and log settings (UNIMPLEMENTED, 404); KServe's v1.
"""

import json
import re
import socket
import struct
import time

import harness
import sosp_wire as wire
import tiny_onnx
from harness import grpc
from test_admission import infer_request
from test_http import HttpCase, archive, model_entries

SERVICE = "/inference.GRPCInferenceService/"
PACKED = wire.varint


def tensor(name=b"data", datatype=b"BYTES", shape=(1,), contents=b""):
    return wire.blob(5, wire.blob(1, name) + wire.blob(2, datatype) + wire.blob(3, b"".join(map(PACKED, shape))) +
                     (wire.blob(5, contents) if contents else b""))


def element(data):
    return len(data).to_bytes(4, "little") + data


class Grpc(HttpCase):
    def call(self, method, *messages, stream=False):
        """(code, bytes of the replies or words)."""
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            try:
                if stream:
                    return "OK", list(channel.stream_stream(SERVICE + method)(iter(messages), timeout=harness.WAIT_S))
                return "OK", channel.unary_unary(SERVICE + method)(messages[0] if messages else b"", timeout=harness.WAIT_S)
            except grpc.RpcError as refused:
                return refused.code().name, refused.details()

    def good(self, method, *messages, **more):
        code, reply = self.call(method, *messages, **more)
        self.assertEqual(code, "OK", reply)
        return reply

    def test_server(self):
        for method in ("ServerLive", "ServerReady"):
            self.assertEqual(wire.field(self.good(method), 1), 1)
        reply = self.good("ServerMetadata")
        self.assertEqual(wire.field(reply, 1), b"nexus")
        self.assertTrue(wire.field(reply, 2))
        extensions = {value.decode() for key, value in wire.fields(reply) if key == 3}
        self.assertEqual(extensions, {"classification", "model_repository", "model_configuration", "statistics", "parameters"})

    def test_a_model(self):
        named = wire.blob(1, b"1")
        self.assertEqual(wire.field(self.good("ModelReady", named + wire.blob(2, b"1")), 1), 1)
        meta = self.good("ModelMetadata", named)
        self.assertEqual((wire.field(meta, 1), wire.field(meta, 2), wire.field(meta, 3)), (b"1", b"1", b"mxnet_symbol"))
        config = wire.field(self.good("ModelConfig", named), 1)
        self.assertEqual(wire.field(config, 1), b"1")

        def names(message, number):
            return [wire.field(value, 1) for key, value in wire.fields(message) if key == number]
        self.assertEqual((names(meta, 4), names(meta, 5)), (names(config, 5), names(config, 6)))  # as perf_analyzer needs it
        stats = wire.field(self.good("ModelStatistics", named), 1)
        self.assertEqual((wire.field(stats, 1), wire.field(stats, 2)), (b"1", b"1"))
        self.assertEqual(len(wire.fields(self.good("ModelStatistics"))), 1)

    def test_large_ones_are_read_and_written_aside(self):
        """By threads of their own, in each form of the numbers, in a call of their own and in a stream."""
        n, i = tiny_onnx.node, tiny_onnx.info
        echo = tiny_onnx.model([n("Identity", ["x"], ["y"])], [i("x", tiny_onnx.FLOAT, ["N", 8192])], [i("y", tiny_onnx.FLOAT, ["N", 8192])])
        answer = self.group.client("installmodel", "3", self.file("echo.txt", b"a\n" * 8192), self.file("echo.onnx", echo))
        self.assertEqual(answer.code, 0, answer.story)
        self.addCleanup(self.group.client, "removemodel", "3")
        node = self.group.nodes[0]
        for rows, worker in ((16, "nexus-infer"), (100, "nexus-infer-lg")):
            raw = struct.pack("<%df" % (rows * 8192), *range(rows * 8192))
            typed = wire.blob(1, b"3") + tensor(b"x", b"FP32", (rows, 8192), wire.blob(6, raw))
            packed = wire.blob(1, b"3") + tensor(b"x", b"FP32", (rows, 8192)) + wire.blob(7, raw)
            before = node.thread_switches(worker)
            for message, number in ((typed, None), (packed, 6)):
                for reply in (self.good("ModelInfer", message),
                              *(wire.field(r, 2) for r in self.good("ModelStreamInfer", message, message, stream=True))):
                    if number:
                        self.assertEqual(wire.field(reply, number), raw)
                    else:
                        self.assertEqual(wire.field(wire.field(wire.field(reply, 5), 5), 6), raw)
            self.assertGreaterEqual(node.thread_switches(worker) - before, 6)
            wrong = wire.blob(1, b"3") + tensor(b"x", b"FP32", (rows, 8192)) + wire.blob(7, raw[:-4])
            self.assertEqual(self.call("ModelInfer", wrong)[0], "INVALID_ARGUMENT")
            failed, fine = self.good("ModelStreamInfer", wrong, packed, stream=True)
            self.assertIn(b"its shape needs", wire.field(failed, 1))
            self.assertEqual(wire.field(wire.field(fine, 2), 6), raw)
            with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
                reply = channel.unary_unary(SERVICE + "ModelInfer")(packed, timeout=harness.WAIT_S, compression=grpc.Compression.Gzip)
            self.assertEqual(wire.field(reply, 6), raw)
            torn = typed[:-1]
            self.assertEqual(self.call("ModelInfer", torn)[0], "INVALID_ARGUMENT")
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            for _ in range(8):  # who leaves meanwhile leaves nothing
                call = channel.unary_unary(SERVICE + "ModelInfer").future(typed)
                time.sleep(0.02)
                call.cancel()
        self.assert_serving()

    def test_statistics(self):
        """Both wires tell the same; requests are this node's, the work behind them all replicas'."""
        before = time.time()
        for _ in range(2):
            self.assertEqual(self.ask("POST", "/predictions/1", self.red).status, 200)
        stats = self.ask("GET", "/v2/models/1/stats").json["model_stats"]
        self.assertEqual(stats, self.ask("GET", "/v2/models/stats").json["model_stats"])
        self.assertEqual([(s["name"], s["version"]) for s in stats], [("1", "1")])
        one, durations = stats[0], stats[0]["inference_stats"]
        self.assertLess(abs(one["last_inference"] / 1000 - before), 60)
        self.assertGreaterEqual(one["inference_count"], 2)
        self.assertGreaterEqual(one["execution_count"], 2)
        self.assertGreaterEqual(durations["success"]["count"], 2)
        for key in ("queue", "compute_input", "compute_infer", "compute_output"):
            self.assertGreaterEqual(durations[key]["count"], 2, key)
        for key in ("success", "compute_input", "compute_infer"):
            self.assertGreater(durations[key]["ns"], 0, key)
        self.assertEqual((durations["cache_hit"], durations["cache_miss"]), ({"count": 0, "ns": 0}, {"count": 0, "ns": 0}))
        self.assertEqual([(m["type"], m["id"]) for m in one["memory_usage"]], [("CPU", 1)])
        self.assertGreater(one["memory_usage"][0]["byte_size"], 0)
        told = wire.field(self.good("ModelStatistics", wire.blob(1, b"1")), 1)
        self.assertEqual([wire.field(told, k) for k in (3, 4, 5)],
                         [one[k] for k in ("last_inference", "inference_count", "execution_count")])
        inner = wire.field(told, 6)
        for number, key in enumerate(("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"), 1):
            pair = wire.field(inner, number)
            self.assertEqual([wire.field(pair, k) or 0 for k in (1, 2)], [durations[key][k] for k in ("count", "ns")], key)
        self.assertEqual(wire.field(wire.field(told, 8), 3), one["memory_usage"][0]["byte_size"])

    def test_a_model_that_is_not_there(self):
        for method in ("ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"):
            for message in (wire.blob(1, b"nobody"), wire.blob(1, b"a/b"), wire.blob(1, b"")):
                if method == "ModelStatistics" and message == wire.blob(1, b""):
                    continue  # all models
                code, words = self.call(method, message)
                if method == "ModelReady" and code == "OK":
                    self.assertEqual(wire.field(words, 1, 0), 0, message)  # as Triton: not ready, and no failure
                    continue
                self.assertEqual(code, "NOT_FOUND", (method, message, words))
                self.assertTrue(words.startswith("Request for unknown model: '"), words)
            code, words = self.call(method, wire.blob(1, b"1") + wire.blob(2, b"2"))
            self.assertEqual((code, "version" in words), ("NOT_FOUND", True), words)
            self.assertEqual(self.call(method, wire.blob(1, b"\xff"))[0], "INVALID_ARGUMENT")
            self.assertEqual(self.call(method, b"\x0a\x7f")[0], "INVALID_ARGUMENT")

    def test_inference(self):
        reply = self.good("ModelInfer", infer_request(self.red) + wire.blob(3, b"id-7"))
        self.assertEqual((wire.field(reply, 1), wire.field(reply, 2), wire.field(reply, 3)), (b"1", b"1", b"id-7"))
        self.assertEqual(len(wire.field(reply, 6)), 12)  # raw, as the request was
        typed = wire.blob(1, b"1") + tensor(contents=wire.blob(8, self.red))
        reply = self.good("ModelInfer", typed)
        self.assertIsNone(wire.field(reply, 6))
        self.assertEqual(len(wire.field(wire.field(wire.field(reply, 5), 5), 6)), 12)  # fp32_contents

    def test_inference_refused(self):
        one, photo = wire.blob(1, b"1"), wire.blob(7, element(self.red))
        classes = wire.blob(2, wire.blob(1, b"classification") + wire.blob(2, wire.blob(3, b"two")))
        for what, message, code, *words in (
                ("no model", tensor() + photo, "NOT_FOUND", "unknown model: ''"),
                ("unknown model", wire.blob(1, b"nobody") + tensor() + photo, "NOT_FOUND", "unknown model: 'nobody'"),
                ("unknown version", one + wire.blob(2, b"7") + tensor() + photo, "NOT_FOUND", "version"),
                ("no input", one, "INVALID_ARGUMENT", "no inputs"),
                ("two inputs", one + tensor() + tensor() + photo + photo, "INVALID_ARGUMENT", "only input"),
                ("one raw for two", one + tensor() + tensor() + photo, "INVALID_ARGUMENT", "1 raw_input_contents for 2 inputs"),
                ("raw and contents", one + tensor(contents=wire.blob(8, self.red)) + photo, "INVALID_ARGUMENT",
                 "contents beside raw_input_contents"),
                ("no data", one + tensor(), "INVALID_ARGUMENT", "no data"),
                ("two kinds of contents", one + tensor(contents=wire.blob(8, b"x") + wire.blob(6, b"\0" * 4)), "INVALID_ARGUMENT",
                 "two datatypes"),
                ("unknown datatype", one + tensor(datatype=b"FP33") + photo, "INVALID_ARGUMENT", "datatype"),
                ("another datatype", one + tensor(datatype=b"INT32") + photo, "INVALID_ARGUMENT", "its shape needs 4"),
                ("negative dimension", one + tensor(shape=(-1,)) + photo, "INVALID_ARGUMENT", "negative dimension"),
                ("seven dimensions", one + tensor(shape=(1,) * 7) + photo, "INVALID_ARGUMENT", "7 dimensions"),
                ("other shape", one + tensor(datatype=b"FP32", shape=(1, 3, 1, 1)) + wire.blob(7, b"\0" * 12), "INVALID_ARGUMENT",
                 "[1,3,1,1]", "expected"),
                ("bytes for a shape", one + tensor(datatype=b"FP32", shape=(1, 3)) + wire.blob(7, b"\0" * 11), "INVALID_ARGUMENT", "11"),
                ("two photos for one", one + tensor() + wire.blob(7, element(self.red) * 2), "INVALID_ARGUMENT"),
                ("a length that lies", one + tensor() + wire.blob(7, b"\xff\xff\xff\x7f"), "INVALID_ARGUMENT"),
                ("no photo", one + tensor() + wire.blob(7, element(b"text")), "INVALID_ARGUMENT", "JPEG"),
                ("unknown input", one + tensor(b"dato", b"FP32", (1, 3, 9, 9)) + wire.blob(7, bytes(4 * 243)), "INVALID_ARGUMENT"),
                ("unknown output", one + tensor() + wire.blob(6, wire.blob(1, b"nope")) + photo, "INVALID_ARGUMENT", "nope"),
                ("classification", one + tensor() + wire.blob(6, wire.blob(1, b"x") + classes) + photo, "INVALID_ARGUMENT",
                 "classification"),
                ("a long id", one + wire.blob(3, b"i" * 500) + tensor() + photo, "INVALID_ARGUMENT", "500"),
                ("no message", b"\x0a\xff\xff", "INVALID_ARGUMENT")):
            with self.subTest(what=what):
                got, said = self.call("ModelInfer", message)
                self.assertEqual(got, code, said)
                self.assertTrue(said)
                for word in words:
                    self.assertIn(word, said)
                # the same within a stream: an error message in band, and the stream goes on
                replies = self.good("ModelStreamInfer", message, infer_request(self.red), stream=True)
                self.assertEqual((len(replies), wire.field(replies[0], 1).decode(), wire.field(replies[1], 1)), (2, said, None))

    def test_repository(self):
        self.put("row.mar", archive(model_entries()))
        named = wire.blob(2, b"row")
        self.good("RepositoryModelLoad", named)
        self.good("RepositoryModelLoad", named)  # a reload
        index = [value for key, value in wire.fields(self.good("RepositoryIndex")) if key == 1]
        version = wire.field(self.good("ModelMetadata", wire.blob(1, b"row")), 2)
        self.assertIn((b"row", version, b"READY"), [tuple(wire.field(m, k) for k in (1, 2, 3)) for m in index])
        before = b"%d" % (int(version) - 1)  # what the reload took the place of
        missing = ("NOT_FOUND", "Request for unknown model: 'row' version %s is not found, its version is %s" % (
            before.decode(), version.decode()))
        stats = wire.field(self.good("ModelStatistics", wire.blob(1, b"row") + wire.blob(2, version)), 1)
        self.assertEqual(wire.field(stats, 2), version)
        for method in ("ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics"):
            self.good(method, wire.blob(1, b"row") + wire.blob(2, version))
            self.assertEqual(self.call(method, wire.blob(1, b"row") + wire.blob(2, before)), missing, method)
        ask = wire.blob(1, b"row") + tensor(contents=wire.blob(8, self.red))
        self.assertEqual(wire.field(self.good("ModelInfer", ask + wire.blob(2, version)), 2), version)
        self.assertEqual(wire.field(self.good("ModelInfer", ask), 2), version)
        self.assertEqual(self.call("ModelInfer", ask + wire.blob(2, before)), missing)
        self.good("RepositoryModelUnload", named)
        self.assertEqual(self.call("RepositoryModelUnload", named)[0], "NOT_FOUND")
        config = wire.blob(3, wire.blob(1, b"config") + wire.blob(2, wire.blob(3, b"{}")))
        code, words = self.call("RepositoryModelLoad", named + config)
        self.assertEqual((code, "'config' is not supported" in words), ("INVALID_ARGUMENT", True), words)
        code, words = self.call("RepositoryModelLoad", wire.blob(2, b"absent"))
        self.assertEqual((code, "failed to load 'absent'" in words), ("INVALID_ARGUMENT", True), words)

    def test_what_is_not_served(self):
        for method in ("SystemSharedMemoryStatus", "SystemSharedMemoryRegister", "SystemSharedMemoryUnregister", "CudaSharedMemoryStatus",
                       "CudaSharedMemoryRegister", "CudaSharedMemoryUnregister", "LogSettings", "TraceSetting", "Wonder"):
            self.assertEqual(self.call(method)[0], "UNIMPLEMENTED", method)


class Rest(HttpCase):
    def tensor(self, **more):
        shape = self.ask("GET", "/v2/models/1").json["inputs"][0]["shape"]
        row = [[[float(c)] * shape[3]] * shape[2] for c in range(3)]
        return {"name": "data", "shape": [1] + shape[1:], "datatype": "FP32", "data": [row], **more}

    def test_paths(self):
        facts = {"/v2": ("name", "version", "extensions"), "/v2/health/live": ("live",), "/v2/health/ready": ("ready",),
                 "/v2/models/1": ("name", "versions", "platform", "inputs", "outputs"),
                 "/v2/models/1/versions/1": ("name", "versions", "platform", "inputs", "outputs"),
                 "/v2/models/1/ready": ("name", "ready"), "/v2/models/1/versions/1/ready": ("name", "ready"),
                 "/v2/models/1/config": ("name", "max_batch_size", "input", "output"),
                 "/v2/models/1/stats": ("model_stats",), "/v2/models/stats": ("model_stats",)}
        for path, keys in facts.items():
            reply = self.ask("GET", path)
            self.assertEqual(reply.status, 200, path)
            for key in keys:
                self.assertIn(key, reply.json, path)
        self.assertEqual(self.ask("GET", "/v2/health/live").json["live"], True)  # KServe's client reads these
        self.assertEqual(self.ask("GET", "/v2/health/ready").json["ready"], True)
        meta, config = self.ask("GET", "/v2/models/1").json, self.ask("GET", "/v2/models/1/config").json
        for theirs, ours in (("inputs", "input"), ("outputs", "output")):
            self.assertEqual([t["name"] for t in meta[theirs]], [t["name"] for t in config[ours]])
        extensions = self.ask("GET", "/v2").json["extensions"]
        self.assertEqual(set(extensions), {"classification", "binary_tensor_data", "model_repository", "model_configuration",
                                           "statistics", "parameters"})

    def test_versions_count_installs(self):
        self.put("twice.mar", archive(model_entries()))
        versions = []
        for _ in range(2):
            self.assertEqual(self.ask("POST", "/v2/repository/models/twice/load").status, 200)
            versions += self.ask("GET", "/v2/models/twice").json["versions"]
        old, new = versions
        self.assertGreater(int(new), int(old))
        good = json.dumps({"inputs": [self.tensor()]}).encode()
        self.assertEqual(self.ask("POST", "/v2/models/twice/infer", good).json["model_version"], new)
        for path, body in (("", None), ("/ready", None), ("/config", None), ("/stats", None), ("/infer", good)):
            ask = lambda version: self.ask("POST" if body else "GET", "/v2/models/twice/versions/%s%s" % (version, path), body)
            self.assertEqual(ask(new).status, 200, path)
            reply = ask(old)
            self.assertEqual((reply.status, reply.json["error"]),
                             (404, "Request for unknown model: 'twice' version %s is not found, its version is %s" % (old, new)), path)
        self.assertEqual(self.ask("GET", "/v2/models/twice/stats").json["model_stats"][0]["version"], new)
        self.assertEqual(self.ask("POST", "/v2/repository/models/twice/unload").status, 200)

    def test_errors(self):
        good = json.dumps({"inputs": [self.tensor()]}).encode()

        def inputs(**more):
            return json.dumps({"inputs": [self.tensor(**more)]}).encode()
        infer = "/v2/models/1/infer"
        head = json.dumps({"inputs": [{"name": "data", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 9}}]})
        length = {"Inference_Header_Content_Length": str(len(head))}
        for method, path, body, headers, status, *words in (
                ("GET", "/v2/models/nobody", None, {}, 404, "Request for unknown model: 'nobody' is not found"),
                ("GET", "/v2/models/nobody/ready", None, {}, 404, "unknown model"),
                ("GET", "/v2/models/nobody/config", None, {}, 404, "unknown model"),
                ("GET", "/v2/models/nobody/stats", None, {}, 404, "unknown model"),
                ("GET", "/v2/models/1/versions/beta", None, {}, 404, "version"),
                ("POST", "/v2/models/nobody/infer", good, {}, 404, "unknown model: 'nobody'"),
                ("POST", "/v2/models/1/versions/9/infer", good, {}, 404, "version"),
                ("GET", infer, None, {}, 405), ("DELETE", "/v2/models/1", None, {}, 405), ("POST", "/v2/health/ready", None, {}, 405),
                ("GET", "/v2/repository/index", None, {}, 405), ("GET", "/v2/nothing", None, {}, 404),
                ("GET", "/v2/logging", None, {}, 501), ("GET", "/v2/trace/setting", None, {}, 501),
                ("POST", "/v2/models/1/trace/setting", b"{}", {}, 501), ("POST", "/v2/cudasharedmemory/region/x/register", b"{}", {}, 501),
                ("GET", "/v2/systemsharedmemory/status", None, {}, 501),
                ("POST", infer, b"{nonsense}", {}, 400, "byte 1"),
                ("POST", infer, b"{}", {}, 400, "input"),
                ("POST", infer, inputs(name="dato"), {}, 400, "dato"),
                ("POST", infer, json.dumps({"inputs": [self.tensor()], "outputs": [{"name": "nope"}]}).encode(), {}, 400, "nope"),
                ("POST", infer, inputs(datatype="FP16"), {}, 400, "FP16"),
                ("POST", infer, inputs(shape=[1, 3, 1, 1], data=[1, 2, 3]), {}, 400, "[1,3,1,1]", "expected"),
                ("POST", infer, inputs(data=[1, 2]), {}, 400, "elements"),
                ("POST", infer, b'{"x":' * 101 + b"1" + b"}" * 101, {}, 400),
                ("POST", infer, head.encode() + b"12345678", length, 400, "binary_data_size 9", "8 bytes are left"),
                ("POST", infer, head.encode() + element(b"12345") + b"more", length, 400),
                ("POST", infer, good, {"Inference_Header_Content_Length": str(len(good) + 1)}, 400),
                ("POST", infer, good, {"Content_Encoding": "br"}, 415, "br"),
                ("POST", "/v2/repository/index", b"{nonsense", {}, 400),
                ("POST", "/v2/repository/models/absent/load", b'{"parameters": {"config": "{}"}}', {}, 400, "'config' is not"),
                ("POST", "/v2/repository/models/absent/load", b'{"x": 1, "parameters": {"file:1/model.onnx": "AA=="}}', {}, 400,
                 "'file:1/model.onnx' is not supported"),
                ("POST", "/v2/repository/models/absent/load", b'{"parameters": [1]}', {}, 400, "byte"),
                ("POST", "/v2/repository/models/absent/load", b'{"parameters": {}}', {}, 400, "failed to load 'absent'"),
                ("POST", "/v2/repository/models/absent/load", b"", {}, 400, "failed to load 'absent'"),
                ("POST", "/v2/repository/models/absent/unload", b"", {}, 404, "unknown model: 'absent'")):
            with self.subTest(row="%s %s" % (method, path), body=(body or b"")[:60]):
                reply = self.ask(method, path, body, **headers)
                self.assertEqual((reply.status, list(reply.json)), (status, ["error"]), reply.body)
                self.assertTrue(reply.json["error"])
                for word in words:
                    self.assertIn(word, reply.json["error"])

    def buffered_bytes(self):
        metrics = self.ask("GET", "/metrics").body.decode()
        return int(re.search(r"(?m)^nexus_http_buffered_bytes (\d+)$", metrics).group(1))

    def test_large_json_is_read_aside(self):
        good = json.dumps({"inputs": [self.tensor()]}).encode()
        want = self.ask("POST", "/v2/models/1/infer", good).json["outputs"]
        for padding in (64 << 10, 4 << 20):  # one worker reads the one, another the other
            reply = self.ask("POST", "/v2/models/1/infer", good[:-1] + b" " * padding + b"}")
            self.assertEqual((reply.status, reply.json["outputs"]), (200, want))
            reply = self.ask("POST", "/v2/models/1/infer", good[:-1] + b" " * padding + b"]")
            self.assertEqual(reply.status, 400)
            self.assertIn("expected ',' or '}', got ']', at byte %d of the JSON" % (len(good) - 1 + padding), reply.json["error"])
        head = b'{"inputs":[{"name":"data","datatype":"FP32","shape":[4000000],"data":['
        long = head + b"1.5e-45," * 3999999 + b"0]}]}"  # half a second of computing and more
        self.assertEqual(self.ask("POST", "/v2/models/1/infer", long).status, 400)
        node = self.group.nodes[0]
        self.assertGreater(node.thread_cpu_s("nexus-json-long"), 0.05)
        wide = head.replace(b"FP32", b"FP64").replace(b"4000000", b"4194305") + b"0," * 4194304 + b"0]}]}"
        reply = self.ask("POST", "/v2/models/1/infer", wide)
        self.assertEqual((reply.status, reply.json["error"]), (413, "tensors of more than 33554432 bytes"))

    def test_who_leaves_while_json_is_read_leaves_nothing(self):
        body = b'{"inputs":[{"name":"data","datatype":"FP32","shape":[4000000],"data":[' + b"1.5e-45," * 3999999 + b"0]}]}"
        host, port = self.group.address().split(":")
        for _ in range(3):
            with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
                s.sendall(b"POST /v2/models/1/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        harness.wait_until(lambda: self.buffered_bytes() < 1 << 20, "the bodies are still there")
        self.assert_serving()

    def ask_echo(self, count):
        """Of a model that answers what it is asked: (request as JSON and bytes, its headers); each float takes nine digits."""
        value = struct.pack("<f", 1.2345679e-30)
        head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [count // 8192, 8192],
                                       "parameters": {"binary_data_size": 4 * count}}]}).encode()
        return head + value * count, {"Inference-Header-Content-Length": str(len(head))}

    def test_large_json_replies_are_written_aside(self):
        n, i = tiny_onnx.node, tiny_onnx.info
        echo = tiny_onnx.model([n("Identity", ["x"], ["y"])], [i("x", tiny_onnx.FLOAT, ["N", 8192])], [i("y", tiny_onnx.FLOAT, ["N", 8192])])
        answer = self.group.client("installmodel", "2", self.file("echo.txt", b"a\n" * 8192), self.file("echo.onnx", echo))
        self.assertEqual(answer.code, 0, answer.story)
        self.addCleanup(self.group.client, "removemodel", "2")
        node = self.group.nodes[0]
        wrong = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}
        self.assertEqual(self.ask("POST", "/v2/models/2/infer", json.dumps(wrong).encode()).status, 400)
        for count in (8192, 1 << 20):  # one worker writes the one, another the other
            body, headers = self.ask_echo(count)
            reply = self.ask("POST", "/v2/models/2/infer", body, **headers)
            self.assertEqual(reply.status, 200, reply.body[:200])
            self.assertEqual(reply.body.count(b"1.2345679e-30"), count)
            self.assertEqual((reply.json["outputs"][0]["shape"], len(reply.json["outputs"][0]["data"])), ([count // 8192, 8192], count))
        self.assertGreater(node.thread_cpu_s("nexus-reply-lg"), 0.05)
        stats = self.ask("GET", "/v2/models/2/stats").json["model_stats"][0]  # what was refused was not computed
        counts = [stats[key] for key in ("inference_count", "execution_count")] + [stats["inference_stats"]["queue"]["count"]]
        self.assertEqual(counts, [129, 2, 2], stats)
        body, headers = self.ask_echo(1 << 20)
        lines = b"".join(b"%s: %s\r\n" % (k.encode(), v.encode()) for k, v in headers.items())
        host, port = self.group.address().split(":")
        for _ in range(3):  # who leaves meanwhile leaves nothing
            with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
                s.sendall(b"POST /v2/models/2/infer HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n" % (lines, len(body)) + body)
        harness.wait_until(lambda: self.buffered_bytes() < 1 << 20, "the bodies are still there")
        self.assert_serving()

    def test_kserve_v1_is_not_offered(self):
        self.assertEqual(self.ask("POST", "/v1/models/1:predict", b"{}").status, 404)


del HttpCase  # its subclasses are the tests
if __name__ == "__main__":
    harness.main()
