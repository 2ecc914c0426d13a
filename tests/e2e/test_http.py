#!/usr/bin/env python3
"""HTTP/1.1 on the clients' port: operations, MXNet Model Server's calls and management, archives; with curl where it is there."""

import concurrent.futures
import gzip
import http.client
import io
import json
import os
import re
import select
import shutil
import socket
import stat
import struct
import subprocess
import threading
import time
import zipfile
import zlib

import grpc

import harness
import tiny_model
from harness import GroupCase

CURL = shutil.which("curl")
FORM = "multipart/form-data; boundary=xyz"


def form(name, data, kind="image/png"):
    return (("--xyz\r\nContent-Disposition: form-data; name=\"%s\"; filename=\"f\"\r\nContent-Type: %s\r\n\r\n" %
             (name, kind)).encode() + data + b"\r\n--xyz--\r\n")


def archive(entries, **kwargs):
    """The bytes of a zip; an entry is (name or ZipInfo, bytes)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **kwargs) as z:
        for name, data in entries:
            z.writestr(name, data)
    return out.getvalue()


def model_entries(prefix=""):
    return [(prefix + "MANIFEST.json", b"{}"), (prefix + "signature.json", b"{}"),
            (prefix + "synset.txt", tiny_model.synset()), (prefix + "tiny-symbol.json", tiny_model.symbol()),
            (prefix + "tiny-0000.params", tiny_model.params())]


class Reply:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)


class HttpCase(GroupCase):
    """The group, with a model store at its function tier."""

    OPTIONS = ("--CLIENTS/model_store", "store")

    @classmethod
    def setUpClass(cls):
        start_node = harness.Group.start_node

        def with_options(group, k, *args, **kwargs):
            if k == 0:
                cls.store = os.path.join(group.folder(0), "store")
                os.makedirs(cls.store, exist_ok=True)
                args = (*args, *cls.OPTIONS)
            return start_node(group, k, *args, **kwargs)
        harness.Group.start_node = with_options
        try:
            super().setUpClass()
        finally:
            harness.Group.start_node = start_node
        cls.red = tiny_model.png(tiny_model.RED)

    def connect(self):
        host, port = self.group.address().split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=harness.WAIT_S)
        self.addCleanup(connection.close)
        return connection

    def ask(self, method, path, body=None, **headers):
        connection = self.connect()
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        reply = Reply(connection.getresponse())
        self.assertTrue(reply.headers["x-request-id"])
        return reply

    def raw(self, data, shut=True):
        """What comes back for these bytes, until the server closes."""
        host, port = self.group.address().split(":")
        with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
            s.sendall(data)
            if shut:
                s.shutdown(socket.SHUT_WR)
            got = b""
            while True:
                more = s.recv(65536)
                if not more:
                    return got
                got += more

    def put(self, name, data):
        with open(os.path.join(self.store, name), "wb") as out:
            out.write(data)

    def curl(self, *args):
        if not CURL:
            self.skipTest("SKIP: no curl")
        done = subprocess.run([CURL, "-sS", "--max-time", str(harness.WAIT_S), *args], capture_output=True,
                              timeout=2 * harness.WAIT_S, stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout


class Compression(HttpCase):
    OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/request_max_mb", "1")

    def test_a_body_may_come_packed(self):
        reply = self.ask("POST", "/predictions/1", gzip.compress(self.red), Content_Encoding="gzip")
        self.assertEqual((reply.status, reply.json[0]["class"]), (200, "red"), reply.body)
        reply = self.ask("POST", "/predictions/1", zlib.compress(self.red), Content_Encoding="deflate")
        self.assertEqual((reply.status, reply.json[0]["class"]), (200, "red"), reply.body)
        reply = self.ask("POST", "/1/predict", gzip.compress(form("data", self.red)), Content_Encoding="gzip", Content_Type=FORM)
        self.assertEqual(reply.status, 200, reply.body)

    def test_a_bomb_or_a_broken_member_is_refused_and_the_node_goes_on(self):
        bomb = gzip.compress(bytes(200 << 20), 9)
        self.assertLess(len(bomb), 1 << 20)
        before = self.group.nodes[0].resident_bytes()
        reply = self.ask("POST", "/predictions/1", bomb, Content_Encoding="gzip")
        self.assertEqual((reply.status, "inflates over" in reply.json["message"]), (413, True), reply.body)
        self.assertLess(self.group.nodes[0].resident_bytes() - before, 50 << 20)
        for body in (b"nonsense", gzip.compress(self.red)[:-3], gzip.compress(self.red) + b"tail"):
            self.assertEqual(self.ask("POST", "/predictions/1", body, Content_Encoding="gzip").status, 400)
            self.assertEqual(self.ask("POST", "/predictions/1", body, Content_Encoding="deflate").status, 400)
        self.assertEqual(self.ask("POST", "/predictions/1", zlib.compress(bytes(200 << 20), 9), Content_Encoding="deflate").status, 413)
        self.assertEqual(self.ask("POST", "/predictions/1", self.red, Content_Encoding="br").status, 415)

    def test_replies_are_packed_for_those_who_accept(self):
        plain = self.ask("GET", "/metrics")
        self.assertNotIn("Content-Encoding", plain.headers)
        for accept, packed in (("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), ("br", False), ("gzip;q=0", False),
                               ("gzip;q=0.0, br", False), ("identity", False), (",,;", False)):
            reply = self.ask("GET", "/metrics", Accept_Encoding=accept)
            self.assertEqual(reply.headers["Content-Encoding"] == "gzip", packed, accept)
            text = gzip.decompress(reply.body) if packed else reply.body
            self.assertIn(b"nexus_ready 1", text)
            if packed:
                self.assertEqual(reply.headers["Vary"], "Accept-Encoding")
                self.assertLess(len(reply.body), len(plain.body))
        self.assertNotIn("Content-Encoding", self.ask("GET", "/ping", Accept_Encoding="gzip").headers)  # too short
        self.assertIn(b"nexus_ready 1", self.curl("--compressed", "http://%s/metrics" % self.group.address()))


class Operations(HttpCase):
    def test_ping_has_both_dialects(self):
        reply = self.ask("GET", "/ping")
        self.assertEqual((reply.status, reply.json), (200, {"health": "healthy!", "status": "Healthy"}))
        self.assertEqual(reply.headers["Content-Type"], "application/json")

    def test_health_has_bodies(self):
        self.assertEqual(self.ask("GET", "/v2/health/live").json, {"live": True})
        self.assertEqual(self.ask("GET", "/v2/health/ready").json, {"ready": True})

    def test_what_a_model_is(self):
        meta = self.ask("GET", "/v2/models/1").json
        self.assertEqual((meta["name"], meta["versions"], meta["platform"]), ("1", ["1"], "mxnet_symbol"))
        self.assertEqual(meta["inputs"][0]["datatype"], "FP32")
        self.assertEqual(self.ask("GET", "/v2/models/1/versions/1").json, meta)
        self.assertEqual(self.ask("GET", "/v2/models/1/versions/1/ready").json, {"name": "1", "ready": True})
        self.assertEqual(self.ask("GET", "/v2/models/1/config").json["name"], "1")
        self.assertIn("binary_tensor_data", self.ask("GET", "/v2").json["extensions"])
        for path in ("/v2/models/9", "/v2/models/9/ready", "/v2/models/1/versions/2", "/v2/models/a%2Fb",
                     "/v2/models/" + "x" * 500):
            reply = self.ask("GET", path)
            self.assertEqual((reply.status, list(reply.json)), (404, ["error"]), path)

    def test_errors_follow_the_family_of_the_path(self):
        for path, method, status in (("/v2/x", "GET", 404), ("/v2/models/1/infer", "GET", 405),
                                     ("/v2/health/live", "POST", 405)):
            reply = self.ask(method, path)
            self.assertEqual((reply.status, list(reply.json)), (status, ["error"]))
        for path, method, status, kind in (
                ("/nothing", "GET", 404, "ResourceNotFoundException"), ("/ping", "DELETE", 405, "MethodNotAllowedException"),
                ("/v2x", "GET", 404, "ResourceNotFoundException"), ("/%ff", "GET", 404, "ResourceNotFoundException"),
                ("/predictions/9", "POST", 404, "ModelNotFoundException"), ("/models/9", "GET", 404, "ModelNotFoundException")):
            reply = self.ask(method, path, body=b"x" if method == "POST" else None)
            self.assertEqual((reply.status, reply.json["code"], reply.json["type"]), (status, status, kind), path)
        self.assertEqual(self.ask("DELETE", "/ping").headers["Allow"], "GET, HEAD")

    def test_request_ids_pass_through_if_they_are_harmless(self):
        self.assertEqual(self.ask("GET", "/ping", x_request_id="my.id-1").headers["x-request-id"], "my.id-1")
        self.assertNotIn("<", self.ask("GET", "/ping", x_request_id="<script>").headers["x-request-id"])
        self.assertTrue(self.ask("GET", "/nowhere").headers["x-request-id"])

    def test_head_has_no_body(self):
        reply = self.ask("HEAD", "/ping")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertGreater(int(reply.headers["Content-Length"]), 10)

    def metrics(self):
        return self.ask("GET", "/metrics").body.decode()

    def value(self, name):
        for line in self.metrics().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError("no metric " + name)

    def test_metrics(self):
        before = self.value('nexus_inferences_total{model="1",outcome="success"}') \
            if 'nexus_inferences_total{model="1"' in self.metrics() else 0
        self.ask("POST", "/predictions/1", self.red)
        self.assertEqual(self.value('nexus_inferences_total{model="1",outcome="success"}'), before + 1)
        self.assertEqual(self.value('nexus_inference_duration_seconds_bucket{model="1",le="+Inf"}'),
                         self.value('nexus_inference_duration_seconds_count{model="1"}'))
        self.assertGreaterEqual(self.value("nexus_view_id"), 1)
        self.assertEqual(self.value("nexus_members"), 2)
        self.assertEqual(self.value('nexus_shard_replicas{shard="0"}'), 1)
        self.assertEqual(self.value("nexus_ready"), 1)
        self.assertEqual(self.ask("GET", "/metrics").headers["Content-Type"],
                         "text/plain; version=0.0.4; charset=utf-8")
        self.assertIn('nv_inference_count{model="1",version="1"}', self.ask("GET", "/metrics/triton").body.decode())

    def test_metrics_of_batches(self):
        replica = '{shard="0",node="1"}'
        self.ask("POST", "/predictions/1", self.red)
        before = {name: self.value(name + replica) for name in ("nexus_batches_total", "nexus_batch_photos_total")}
        for _ in range(3):
            self.assertEqual(self.ask("POST", "/predictions/1", self.red).status, 200)
        for name in before:
            self.assertEqual(self.value(name + replica), before[name] + 3)
        photos = self.value("nexus_batch_photos_total" + replica)
        self.assertEqual(self.value('nexus_batch_size_bucket{shard="0",node="1",le="256"}'),
                         self.value("nexus_batch_size_count" + replica))
        self.assertEqual(self.value("nexus_batch_size_sum" + replica), photos)
        self.assertEqual(self.value("nexus_queue_wait_seconds_count" + replica), photos)
        self.assertEqual(self.value('nexus_queue_wait_seconds_bucket{shard="0",node="1",le="+Inf"}'), photos)
        self.assertEqual(self.value("nexus_photos_refused_total" + replica), 0)
        triton = dict(line.rsplit(" ", 1) for line in self.ask("GET", "/metrics/triton").body.decode().splitlines()
                      if not line.startswith("#"))
        model = '{model="1",version="1"}'
        self.assertGreaterEqual(int(triton["nv_inference_exec_count" + model]), 4)
        self.assertGreater(int(triton["nv_inference_compute_infer_duration_us" + model]), 0)
        self.assertGreaterEqual(int(triton["nv_inference_queue_duration_us" + model]), 0)
        self.assertGreater(int(triton["nv_inference_compute_input_duration_us" + model]), 0)
        self.assertGreaterEqual(int(triton["nv_inference_compute_output_duration_us" + model]), 0)
        self.assertEqual(int(triton["nv_inference_pending_request_count" + model]), 0)

    def test_metrics_as_promtool_sees_them(self):
        self.ask("POST", "/predictions/1", self.red)
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("SKIP: no promtool (package prometheus)")
        done = subprocess.run([promtool, "check", "metrics"], input=self.metrics(), capture_output=True, text=True,
                              timeout=harness.WAIT_S)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Wire(HttpCase):
    GET = b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"

    def test_keep_alive(self):
        connection = self.connect()
        for _ in range(50):
            connection.request("GET", "/ping")
            self.assertEqual(Reply(connection.getresponse()).status, 200)

    def test_pipelined(self):
        got = self.raw(self.GET * 40 + b"GET /ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", shut=False)
        self.assertEqual(got.count(b"HTTP/1.1 200 OK"), 41)

    def test_a_body_in_every_way(self):
        want = self.ask("POST", "/predictions/1", self.red).json
        self.assertEqual([entry["class"] for entry in want], ["red", "green", "blue"])

        def pieces():
            for k in range(0, len(self.red), 17):
                yield self.red[k:k + 17]
        connection = self.connect()
        connection.request("POST", "/predictions/1", pieces(), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(Reply(connection.getresponse()).json, want)
        for step in (1, 3, 1000):  # byte by byte, head and body
            host, port = self.group.address().split(":")
            data = b"POST /predictions/1 HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(self.red) + self.red
            with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for k in range(0, len(data), step):
                    s.sendall(data[k:k + step])
                got = b""
                while more := s.recv(65536):
                    got += more
            self.assertEqual(json.loads(got.split(b"\r\n\r\n", 1)[1]), want)

    def test_100_continue(self):
        host, port = self.group.address().split(":")
        head = b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
            s.sendall(head % len(self.red))
            self.assertEqual(s.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(self.red)
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 200 OK"))
        with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
            s.sendall(head % (1 << 30))  # refused before it is sent
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 413"))

    def test_malformed_requests(self):
        for data, status in (
                (b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
                (b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n" % (b"a" * 5000), 414),
                (b"GET / HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n" % (b"a" * 20000), 431),
                (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
                (b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
                (b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\n\r\n", 417),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600), 400),
                (b"\0" * 20000, 400), (b"A" * 20000, 431), (b"P", None), (b"PR", None), (b"", None)):
            with self.subTest(data=data[:40]):
                got = self.raw(data)
                if status:
                    self.assertTrue(got.startswith(b"HTTP/1.1 %d " % status), got[:80])
                    self.assertIn(b"\r\nx-request-id: ", got)
                    self.assertIn(b"\r\nConnection: close\r\n", got)
                else:
                    self.assertEqual(got, b"")

    def test_too_large(self):
        reply = self.ask("POST", "/predictions/1", iter([b"x" * (1 << 20)] * 3), Content_Length=str(100 << 20))
        self.assertEqual(reply.status, 413)
        self.assertIn("exceeds max_request_size=67108864", reply.json["message"])
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        got = self.raw(b"POST /models HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + 2 * chunk)
        self.assertTrue(got.startswith(b"HTTP/1.1 413"), got[:80])

    def test_with_grpc_beside_it(self):
        """Both protocols on the one port, at once."""
        def over_grpc(_):
            with harness.Wire(self.group.address()) as calls:
                return [calls.whatsthis([1], self.red) for _ in range(10)]

        def over_http(_):
            return [self.ask("POST", "/predictions/1", self.red).json[0]["class"] for _ in range(10)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(f, k) for k in range(4) for f in (over_grpc, over_http)]
            for future in futures:
                self.assertEqual(future.result(), ["red"] * 10)


class Predictions(HttpCase):
    def test_the_dialect_of_0_4(self):
        reply = self.ask("POST", "/1/predict", form("data", self.red), Content_Type=FORM)
        self.assertEqual([e["class"] for e in reply.json["prediction"][0]], ["red", "green", "blue"])

    def test_curl_as_everybody_writes_it(self):
        path = self.file("kitten.png", self.red)
        answer = json.loads(self.curl("-X", "POST", "http://%s/1/predict" % self.group.address(), "-F", "data=@" + path))
        self.assertEqual(answer["prediction"][0][0]["class"], "red")
        answer = json.loads(self.curl("http://%s/predictions/1" % self.group.address(), "-T", path, "-X", "POST"))
        self.assertEqual(answer[0]["class"], "red")

    def test_the_dialect_of_1_x(self):
        for path, body, kind in (("/predictions/1", self.red, "image/png"), ("/predictions/1/1", self.red, ""),
                                 ("/predictions/1", form("body", self.red), FORM), ("/models/1/invoke", self.red, "image/png"),
                                 ("/invocations?model_name=1", self.red, "image/png")):
            self.assertEqual(self.ask("POST", path, body, Content_Type=kind).json[0]["class"], "red", path)

    def test_bad_input(self):
        for path, body, kind, status, word in (
                ("/1/predict", form("image", self.red), FORM, 400, "data_name of data"),
                ("/1/predict", self.red, "image/png", 400, "data_name of data"),
                ("/1/predict", b"--xyz\r\nnonsense", FORM, 400, "multipart"),
                ("/1/predict", form("data", self.red), "multipart/form-data", 400, "boundary"),
                ("/1/predict", form("data", b"text"), FORM, 400, "neither JPEG"),
                ("/predictions/1", b"", "image/png", 400, "empty"),
                ("/predictions/1", b"{}", "application/json", 415, "photo"),
                ("/predictions/77", self.red, "image/png", 404, "Model not found: 77"),
                ("/predictions/1/2", self.red, "image/png", 404, "version"),
                ("/predictions/" + "x" * 200, self.red, "image/png", 404, "Model not found"),
                ("/invocations", self.red, "image/png", 400, "Parameter model_name is required."),
                ("/invocations?model_name=%zz", self.red, "image/png", 400, "model_name"),
                ("/predictions/1", bytes(33 << 20), "image/png", 413, "limit")):
            with self.subTest(path=path, word=word):
                reply = self.ask("POST", path, body, Content_Type=kind)
                self.assertEqual((reply.status, reply.json["code"]), (status, status))
                self.assertIn(word, reply.json["message"])


class Management(HttpCase):
    def names(self):
        return [m["modelName"] for m in self.ask("GET", "/models").json["models"]]

    def test_register_ask_unregister(self):
        for file, entries in (("tiny.model", model_entries()), ("tiny.mar", model_entries()),
                              ("nested.mar", model_entries("tiny/"))):
            self.put(file, archive(entries))
            reply = self.ask("POST", "/models?url=%s&model_name=tiny&batch_size=1" % file)
            self.assertEqual((reply.status, reply.json), (200, {"status": 'Model "tiny" registered'}))
            self.assertEqual(self.ask("POST", "/tiny/predict", form("data", self.red),
                                      Content_Type=FORM).json["prediction"][0][0]["class"], "red")
            self.assertEqual(self.names(), ["1", "tiny"])
            described = self.ask("GET", "/models/tiny").json
            self.assertEqual((described["modelName"], described["engine"]), ("tiny", "MXNet"))
            again = self.ask("POST", "/models?url=%s&model_name=tiny" % file)
            self.assertEqual((again.status, again.json["message"]), (409, "Model tiny is already registered."))
            # the same model by its number, as the demo's clients ask
            self.assert_says("red", self.group.client("inference", str(described["tag"]), self.photo))
            gone = self.ask("DELETE", "/models/tiny")
            self.assertEqual((gone.status, gone.json), (200, {"status": 'Model "tiny" unregistered'}))
            self.assertEqual(self.ask("DELETE", "/models/tiny").status, 404)
            self.assertEqual(self.ask("POST", "/predictions/tiny", self.red).status, 404)
        self.group.nodes[0].wait_error("audit: ", "tiny registered")

    def test_a_folder_a_number_and_a_recipe(self):
        folder = os.path.join(self.store, "plain")
        os.mkdir(folder)
        for name, data in model_entries():
            with open(os.path.join(folder, name), "wb") as out:
                out.write(data)
        body = json.dumps({"url": "plain", "model_name": "8", "recipe": "raw-255"})
        self.assertEqual(self.ask("POST", "/models", body, Content_Type="application/json").status, 200)
        self.assert_says("red", self.group.client("inference", "8", self.photo))
        self.assert_done(self.group.client("removemodel", "8"))
        self.assertEqual(self.ask("POST", "/models", "url=plain&model_name=9",
                                  Content_Type="application/x-www-form-urlencoded").status, 200)
        self.assertEqual(self.ask("DELETE", "/models/9").status, 200)

    def test_by_the_repository_of_v2(self):
        self.put("repo.mar", archive(model_entries()))
        self.assertEqual(self.ask("POST", "/v2/repository/models/repo/load").status, 200)
        index = self.ask("POST", "/v2/repository/index", "{}").json
        version, = self.ask("GET", "/v2/models/repo").json["versions"]
        self.assertIn({"name": "repo", "version": version, "state": "READY", "reason": ""}, index)
        self.assertEqual(self.ask("POST", "/v2/repository/models/repo/unload").status, 200)
        self.assertEqual(self.ask("POST", "/v2/repository/models/repo/unload").status, 404)
        reply = self.ask("POST", "/v2/repository/models/nothing/load")
        self.assertEqual((reply.status, list(reply.json)), (400, ["error"]))

    def test_pages_of_the_list(self):
        self.put("p.mar", archive(model_entries()))
        for k in range(5):
            self.assertEqual(self.ask("POST", "/models?url=p.mar&model_name=page%d" % k).status, 200)
        first = self.ask("GET", "/models?limit=4").json
        rest = self.ask("GET", "/models?limit=4&next_page_token=" + first["nextPageToken"]).json
        self.assertEqual([m["modelName"] for m in first["models"] + rest["models"]], ["1"] + ["page%d" % k for k in range(5)])
        self.assertNotIn("nextPageToken", rest)
        for k in range(5):
            self.assertEqual(self.ask("DELETE", "/models/page%d" % k).status, 200)
        self.assertEqual(self.ask("GET", "/models?limit=x").status, 400)

    def test_urls_that_lead_elsewhere(self):
        with open(os.path.join(self.group.folder(0), "outside.mar"), "wb") as out:
            out.write(archive(model_entries()))
        os.symlink("../outside.mar", os.path.join(self.store, "alias.mar"))
        os.mkfifo(os.path.join(self.store, "fifo.mar"))
        for url, status in (("../outside.mar", 404), ("%2e%2e%2foutside.mar", 404), ("/etc/passwd", 404),
                            ("http://h/x.mar", 404), ("file:///etc/passwd", 404), ("missing.mar", 404), ("..", 404),
                            (".hidden", 404), ("a%5cb", 404), ("alias.mar", 400), ("fifo.mar", 400), ("", 400),
                            ("x" * 200, 400), ("%00", 400)):
            with self.subTest(url=url):
                self.assertEqual(self.ask("POST", "/models?model_name=bad&url=" + url).status, status)
        self.assertEqual(self.ask("POST", "/models").json["message"], "Parameter url is required.")
        self.assertEqual(self.names(), ["1"])

    def test_names_and_numbers_that_cannot_be(self):
        self.put("n.mar", archive(model_entries()))
        for query, word in (("model_name=v2", "name"), ("model_name=a/b", "name"), ("model_name=", "name"),
                            ("model_name=" + "x" * 200, "model_name"), ("batch_size=two", "batch_size must be an integer"),
                            ("initial_workers=-1", "initial_workers"), ("recipe=unheard-of", "recipe")):
            with self.subTest(query=query):
                reply = self.ask("POST", "/models?url=n.mar&" + query)
                self.assertEqual(reply.status, 400)
                self.assertIn(word, reply.json["message"])
        self.assertEqual(self.names(), ["1"])

    def test_archives_that_are_attacks_or_broken(self):
        link = zipfile.ZipInfo("tiny-0000.params")
        link.create_system = 3
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        good = archive(model_entries())
        half = bytearray(good)
        half[len(good) // 2] ^= 0xff
        lie = bytearray(good)  # the directory claims more bytes than there are
        at = lie.rindex(b"PK\x01\x02")
        struct.pack_into("<I", lie, at + 24, struct.unpack_from("<I", lie, at + 24)[0] + 5)
        for name, data, word in (
                ("escape", archive(model_entries() + [("../../etc/cron.d/x", b"x")]), "leads out"),
                ("absolute", archive(model_entries() + [("/etc/x", b"x")]), "leads out"),
                ("link", archive(model_entries()[:4] + [(link, b"/etc/passwd")]), "symbolic link"),
                ("bomb", archive(model_entries()[:4] + [("tiny-0000.params", bytes(64 << 20))]), "expands"),
                ("many", archive([("f%d" % k, b"") for k in range(1500)]), "entries"),
                ("two", archive(model_entries() + [("other-0000.params", b"x")]), "both"),
                ("none", archive([]), "no synset"), ("empty", b"", "no archive"), ("text", b"hello" * 100, "no archive"),
                ("cut", good[:-30], "no archive"), ("flipped", bytes(half), ""), ("lie", bytes(lie), ""),
                ("nolabels", archive([e for e in model_entries() if e[0] != "synset.txt"]), "synset.txt"),
                ("noweights", archive(model_entries()[:4]), "params"),
                ("wrong", archive(model_entries()[:4] + [("tiny-0000.params", b"no weights")]), "")):
            with self.subTest(name=name):
                self.put(name + ".mar", data)
                reply = self.ask("POST", "/models?url=%s.mar" % name)
                self.assertEqual(reply.status, 400, reply.body)
                self.assertIn(word, reply.json["message"])
        self.assertEqual(self.names(), ["1"])

    def test_two_at_once_of_one_name(self):
        self.put("race.mar", archive(model_entries()))
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            codes = list(pool.map(lambda _: self.ask("POST", "/models?url=race.mar").status, range(4)))
        self.assertEqual(sorted(codes), [200, 409, 409, 409])
        self.assertEqual(self.ask("DELETE", "/models/race").status, 200)


class Contended(HttpCase):
    """Several manage the same names at once, at two nodes: each is told what came of it, and the replicas agree."""

    NODES = 4

    def replicas(self):
        status = self.ask("GET", "/nexus/status").json
        return [sorted((m["name"], m["version"], m["state"]) for m in r["models"]) for r in status["replicas"]]

    def test_replicas_agree(self):
        self.put("tiny.mar", archive(model_entries()))
        answers = []

        def manage(seed):
            for i in range(12):
                name, what = "ab"[(seed + i) % 2], (seed * 5 + i * 3) % 7
                if what < 3:
                    method, path, node = "POST", "/models?url=tiny.mar&model_name=" + name, 0
                elif what < 5:
                    method, path, node = "POST", "/models?url=tiny.mar&replace=true&model_name=" + name, 0
                else:
                    method, path, node = "DELETE", "/models/" + name, seed % 2
                host, port = self.group.address(node).split(":")
                connection = http.client.HTTPConnection(host, int(port), timeout=harness.WAIT_S)
                connection.request(method, path)
                answers.append((method, Reply(connection.getresponse()).status))
                connection.close()
        threads = [threading.Thread(target=manage, args=(seed,)) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 6 * 12)
        self.assertEqual({status for _, status in answers} - {200, 404, 409}, set())
        self.assertIn(("POST", 200), answers)
        harness.wait_until(lambda: all(state == "ready" for r in self.replicas() for _, _, state in r), "a model does not get ready")
        first, second = self.replicas()
        self.assertEqual(first, second)
        for name, _, _ in first:
            if name in ("a", "b"):
                self.assertEqual(self.ask("POST", "/predictions/" + name, self.red).status, 200)


class Bounds(HttpCase):
    """A node that may do little at once says so."""

    OPTIONS = ("--CLIENTS/requests_max", "2", "--CLIENTS/requests_mb", "8", "--CLIENTS/compat", "1.x")

    def test_count_and_bytes(self):
        host, port = self.group.address().split(":")
        head = b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
        pause = 0

        def hold():
            """All but ten bytes of a body; whoever's last byte comes second is refused, which may be this one."""
            held = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
            self.addCleanup(held.close)
            held.sendall(head % (8 << 20) + bytes((8 << 20) - 10))
            time.sleep(pause)
            return held

        def refused():
            nonlocal held, pause
            reply = self.ask("POST", "/predictions/1", self.red)
            if (reply.status, reply.headers["Retry-After"]) == (429, "1"):
                return True
            if select.select([held], [], [], 0)[0]:  # the photo came before its last bytes
                held.close()
                pause += 0.05
                held = hold()
            return False
        held = hold()
        harness.wait_until(refused, "what has arrived does not count")
        held.close()
        harness.wait_until(lambda: self.ask("POST", "/predictions/1", self.red).status == 200, "no room after a close")
        self.assertEqual(self.ask("POST", "/predictions/1", iter([b"x"]), Content_Length=str(9 << 20)).status, 413)

    def test_one_dialect(self):
        self.assertEqual(self.ask("GET", "/ping").json, {"status": "Healthy"})
        self.assertIsInstance(self.ask("POST", "/1/predict", form("data", self.red), Content_Type=FORM).json, list)

    def test_no_store(self):
        self.assertIn("model_store", self.ask("POST", "/models?url=x.mar").json["message"])


class LargeBodies(HttpCase):
    """Those who send much leave room for those who send a photo."""

    OPTIONS = ("--CLIENTS/requests_mb", "16")

    def buffered(self):
        metrics = self.ask("GET", "/metrics").body.decode()
        return int(re.search(r"(?m)^nexus_http_buffered_bytes (\d+)$", metrics).group(1))

    def send(self, *sizes):
        """A body of no announced length that never ends."""
        host, port = self.group.address().split(":")
        s = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
        self.addCleanup(s.close)
        s.sendall(b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for size in sizes:
                s.sendall(b"%x\r\n" % size + bytes(size) + b"\r\n")
        except OSError:  # refused
            pass
        return s

    def test_photos_pass_them(self):
        self.send(*[1 << 20] * 10)
        harness.wait_until(lambda: self.buffered() >= 10 << 20, "nothing arrives")
        self.send(*[1 << 20] * 5, (1 << 20) - 50)  # and there would be room for 50 bytes
        for _ in range(50):  # meanwhile it arrives
            self.assertEqual(self.ask("POST", "/predictions/1", self.red).status, 200)


class Hostile(HttpCase):
    """Whatever strangers do, an honest client keeps being served."""

    def strangers(self, stop):
        host, port = self.group.address().split(":")
        sockets = []

        def dial():
            s = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
            s.setblocking(False)
            sockets.append(s)
            return s
        slow_writers = [dial() for _ in range(30)]
        slow_readers = [dial() for _ in range(10)]
        silent = [dial() for _ in range(30)]
        for s in slow_readers:  # ask for a lot and read nothing
            with self.swallow():
                s.send(b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n" * 400)
        head = b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
        at = 0
        while not stop.is_set():
            for s in slow_writers:
                with self.swallow():
                    s.send((head + bytes(1000))[at:at + 1])
            at = min(at + 1, len(head))
            for junk in (os.urandom(300), b"GET " + b"a" * 20000, b"POST /models HTTP/1.1\r\nHost: h\r\n"
                         b"Content-Length: 99999999999\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(99)):
                with self.swallow():
                    s = dial()
                    s.send(junk)
                    s.close()
                    sockets.remove(s)
        for s in sockets:
            s.close()
        del silent

    @staticmethod
    def swallow():
        import contextlib
        return contextlib.suppress(OSError)

    def test_an_honest_client_among_strangers(self):
        before = self.group.nodes[0].resident_bytes()
        stop = threading.Event()
        crowd = threading.Thread(target=self.strangers, args=(stop,))
        crowd.start()
        path = self.file("honest.png", self.red)
        try:
            for _ in range(30):
                if CURL:
                    answer = json.loads(self.curl("-X", "POST", "http://%s/1/predict" % self.group.address(),
                                                  "-F", "data=@" + path))
                    self.assertEqual(answer["prediction"][0][0]["class"], "red")
                self.assertEqual(self.ask("POST", "/predictions/1", self.red).json[0]["class"], "red")
        finally:
            stop.set()
            crowd.join()
        self.assertLess(self.group.nodes[0].resident_bytes() - before, 256 << 20)

    def test_more_connections_than_there_is_room_for(self):
        host, port = self.group.address().split(":")
        idle = []
        for _ in range(600):
            s = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
            s.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            idle.append(s)
        for s in idle:
            self.addCleanup(s.close)
        self.assertEqual(self.ask("GET", "/ping").status, 200)


class Connections(HttpCase):
    """connections_max bounds both wires together, half of it one address; the longest idle make room, and none of those who are
    served goes."""

    OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/connections_max", "20")

    def idle(self):
        host, port = self.group.address().split(":")
        s = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
        self.addCleanup(s.close)
        s.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertIn(b"200 OK", s.recv(4096))
        return s

    def open_connections(self):
        rows = dict(re.findall(r"(?m)^nexus_(http|grpc)_connections (\d+)$", self.ask("GET", "/metrics").body.decode()))
        self.assertEqual(len(rows), 2)
        return {wire: int(count) for wire, count in rows.items()}

    def test_the_longest_idle_make_room(self):
        with harness.Wire(self.group.address()) as honest:
            honest.unary("/grpc.health.v1.Health/Check", b"")
            crowd = [self.idle() for _ in range(50)]
            held = self.open_connections()
            self.assertLessEqual(sum(held.values()), 10)
            self.assertEqual(held["grpc"], 1)  # the wire that has fewer connections keeps its own
            self.assertEqual(crowd[0].recv(1), b"")
            crowd[-1].sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            self.assertIn(b"200 OK", crowd[-1].recv(4096))

    def watch(self):
        """A channel of its own, with a Watch that has heard its first news."""
        channel = grpc.insecure_channel(self.group.address(), options=[("grpc.use_local_subchannel_pool", 1)])
        self.addCleanup(channel.close)
        news = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=harness.WAIT_S)
        self.assertEqual(next(news), b"\x08\x01")
        return news

    def ask_until_told(self, *request):
        deadline = time.monotonic() + harness.WAIT_S
        while True:
            try:
                return self.ask(*request)
            except OSError:  # all of this address's connections are younger than a second
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def test_who_only_watches_makes_room(self):
        watches = [self.watch() for _ in range(10)]
        self.assertEqual(self.ask_until_told("GET", "/ping").status, 200)
        with self.assertRaises(grpc.RpcError) as ended:
            next(watches[0])
        self.assertEqual(ended.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("only waits", ended.exception.details())

    def test_the_oldest_watch_ends_where_there_are_too_many(self):
        channels = [grpc.insecure_channel(self.group.address(), options=[("grpc.use_local_subchannel_pool", 1)])
                    for _ in range(5)]
        watches = []
        for channel in channels:  # 1025 in all
            self.addCleanup(channel.close)
            for _ in range(205):
                watches.append(channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=2 * harness.WAIT_S))
                if len(watches) == 1:
                    self.assertEqual(next(watches[0]), b"\x08\x01")  # the oldest
        with self.assertRaises(grpc.RpcError) as ended:
            next(watches[0])
        self.assertEqual(ended.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertIn("too many clients watch", ended.exception.details())

    def test_heads_in_drops_make_room(self):
        host, port = self.group.address().split(":")
        for _ in range(60):
            s = socket.create_connection((host, int(port)), timeout=harness.WAIT_S)
            self.addCleanup(s.close)
            s.sendall(b"GET /ping HTTP/1.1\r\nX")
        for _ in range(20):
            self.assertEqual(self.ask("GET", "/ping").status, 200)

    def test_an_address_does_not_shut_out_another(self):
        host, port = self.group.address().split(":")
        for _ in range(40):  # requests that wait for their bodies: nothing that makes room
            s = socket.create_connection((host, int(port)), timeout=harness.WAIT_S, source_address=("127.0.0.2", 0))
            self.addCleanup(s.close)
            with Hostile.swallow():
                s.sendall(b"POST /predictions/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n")
        self.assertEqual(self.ask("GET", "/ping").status, 200)

    def test_a_number_beyond_the_limit_is_refused(self):
        done = subprocess.run(["sh", "-c", 'ulimit -n 600 && exec "$0" server --CLIENTS/connections_max 500', harness.nexus()],
                              cwd=self.group.folder(0), capture_output=True, text=True, timeout=harness.WAIT_S)
        self.assertEqual(done.returncode, 2)
        self.assertIn("connections_max: 500 connections; expected at most 344", done.stderr)


class Descriptors(HttpCase):
    """A node with few descriptors left makes room, and listens on."""

    def test_exhaustion(self):
        import resource
        node = self.group.nodes[0]
        host, port = self.group.address().split(":")
        limits = resource.prlimit(node.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, (node.open_files() + 20, limits[1]))
        crowd = [socket.create_connection((host, int(port)), timeout=harness.WAIT_S) for _ in range(100)]
        for s in crowd:
            with Hostile.swallow():
                s.sendall(b"GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
        for _ in range(5):
            self.assertEqual(self.ask("GET", "/ping").status, 200)
        for s in crowd:
            s.close()
        resource.prlimit(node.pid, resource.RLIMIT_NOFILE, limits)
        self.assertEqual(self.ask("GET", "/ping").status, 200)


if __name__ == "__main__":
    harness.main()
