#!/usr/bin/env python3
"""Logs as JSON lines: each line an object, whatever clients send; requests and audits by HTTP and gRPC; ids go back to who asked."""

import hashlib
import json
import os
import re
import signal
import time

import harness
import sosp_wire as wire
from harness import grpc
from test_http import HttpCase, archive, model_entries

SECRET = "secret-" + os.urandom(16).hex()
LINE = "admin infer,manage,observe sha256:%s\n" % hashlib.sha256(SECRET.encode()).hexdigest()
ABOVE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = ABOVE[3:35]
RESPONSE = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$"


class Logs(HttpCase):
    @classmethod
    def setUpClass(cls):
        cls.OPTIONS = (*HttpCase.OPTIONS, "--CLIENTS/tokens", "tokens", "--CLIENTS/log_requests", "yes")
        plain_client, start_node = harness.Group.client, harness.Group.start_node

        def start(group, k, *args, **kwargs):
            cls.token_file = os.path.join(group.top, "token")
            for path, text in ((os.path.join(group.folder(k), "tokens"), LINE), (cls.token_file, SECRET + "\n")):
                with open(path, "w") as out:
                    out.write(text)
                os.chmod(path, 0o600)
            level = ("--log_level", "debug") if k == 1 else ()
            return start_node(group, k, "--log_format", "json", *level, *args, **kwargs)
        harness.Group.start_node = start
        harness.Group.client = lambda group, *args, **kwargs: plain_client(group, *args, "--token", cls.token_file, **kwargs)
        cls.addClassCleanup(setattr, harness.Group, "client", plain_client)
        try:
            super().setUpClass()
        finally:
            harness.Group.start_node = start_node

    def lines(self, node=0):
        """Every line of a node's stderr, each of them an object with the four members that all have."""
        found = []
        for text in list(self.group.nodes[node].errors):
            line = json.loads(text)
            self.assertEqual(line["node"], node)
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
            self.assertIn(line["level"], ("error", "warn", "info", "debug", "trace"))
            self.assertIsInstance(line["message"], str)
            found.append(line)
        return found

    def wait_line(self, node=0, **members):
        def fits(line):
            return all(line.get(key) == value for key, value in members.items())
        harness.wait_until(lambda: any(fits(line) for line in self.lines(node)), "no line %s: %s" % (
            members, "\n".join(self.group.nodes[node].errors[-10:])))
        return [line for line in self.lines(node) if fits(line)][-1]

    def get(self, path, token=SECRET, method="GET", body=None, **headers):
        return self.ask(method, path, body, Authorization="Bearer " + token, **headers)

    def call(self, method, message, *metadata):
        """What came of a unary call, and its metadata: a refusal has them all in one."""
        with grpc.insecure_channel(self.group.address(), [("grpc.enable_http_proxy", 0)]) as channel:
            call = channel.unary_unary(method).future(message, timeout=harness.WAIT_S, metadata=metadata)
            return call.code().name, {**dict(call.initial_metadata()), **dict(call.trailing_metadata())}

    def test_a_request_by_http(self):
        reply = self.get("/predictions/1", method="POST", body=self.red, x_request_id="by-http", traceparent=ABOVE)
        self.assertEqual(reply.status, 200)
        self.assertRegex(reply.headers["traceresponse"], RESPONSE)
        self.assertEqual(reply.headers["traceresponse"][3:35], TRACE)
        self.assertNotEqual(reply.headers["traceresponse"][36:52], ABOVE[36:52])
        line = self.wait_line(kind="request", request="by-http")
        self.assertEqual((line["method"], line["path"], line["model"], line["status"], line["token"], line["trace_id"]),
                         ("POST", "/predictions/1", "1", 200, "admin", TRACE))
        self.assertEqual((line["bytes_in"], line["bytes_out"]), (len(self.red), len(reply.body)))
        self.assertGreater(line["duration_us"], 0)
        self.assertRegex(line["client"], r"^127\.0\.0\.1:\d+$")

    def test_the_trace_goes_on_at_the_replica(self):
        trace = os.urandom(16).hex()
        self.get("/predictions/1", method="POST", body=self.red, traceparent="00-%s-%s-01" % (trace, "b7ad6b7169203331"))
        self.assertIn("a photo of %d bytes: red" % len(self.red), self.wait_line(1, trace_id=trace)["message"])
        trace = os.urandom(16).hex()
        self.call("/sospdemo.FunctionTierService/RemoveModel", wire.remove_request(77), ("authorization", "Bearer " + SECRET),
                  ("traceparent", "00-%s-%s-00" % (trace, "b7ad6b7169203331")))
        self.assertEqual(self.wait_line(1, trace_id=trace)["message"], "tag 77: tag 77 is not installed")

    def test_a_request_by_grpc(self):
        auth = ("authorization", "Bearer " + SECRET)
        code, metadata = self.call("/inference.GRPCInferenceService/ModelReady", wire.blob(1, b"1"), auth,
                                   ("x-request-id", "by-grpc"), ("traceparent", ABOVE))
        self.assertEqual((code, metadata["x-request-id"], metadata["traceresponse"][3:35]), ("OK", "by-grpc", TRACE))
        line = self.wait_line(kind="request", request="by-grpc")
        self.assertEqual((line["method"], line["path"], line["model"], line["grpc_status"], line["trace_id"], line["token"]),
                         ("gRPC", "/inference.GRPCInferenceService/ModelReady", "1", 0, TRACE, "admin"))
        code, metadata = self.call("/no.Service/Method", b"", ("x-request-id", "a b"))
        self.assertEqual(code, "UNIMPLEMENTED")
        self.assertRegex(metadata["x-request-id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4")
        self.assertEqual(self.wait_line(request=metadata["x-request-id"])["grpc_status"], 12)

    def test_what_is_no_traceparent_begins_a_trace(self):
        for bad in ("", "00-0-0-00", ABOVE.upper(), ABOVE + "-", ABOVE.replace("0af", "0ag"), "ff" + ABOVE[2:],
                    "00-" + "0" * 32 + ABOVE[35:]):
            told = self.get("/ping", traceparent=bad).headers["traceresponse"]
            self.assertRegex(told, RESPONSE)
            self.assertNotEqual(told[3:35], TRACE, bad)
            self.assertEqual(told[-2:], "00")
        head = "GET /ping HTTP/1.1\r\nHost: a\r\nConnection: close\r\ntraceparent: %s\r\ntraceparent: %s\r\n\r\n" % (ABOVE, ABOVE)
        told = re.search(rb"traceresponse: 00-(\w+)", self.raw(head.encode())).group(1)
        self.assertNotEqual(told.decode(), TRACE)

    def test_hostile_bytes_break_no_line(self):
        for k, target in enumerate((b"/a%0ab", b'/q"x\\', b"/" + b"\xff\xc0\xaf", b"/\xed\xa0\x80", b"/" + b"a" * 3900,
                                    b"/" + b"\xff" * 3900, b"/v2/models/%22%0d%0a/infer")):
            name = "hostile-%d" % k
            self.raw(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nx-request-id: " + name.encode() + b"\r\nContent-Length: 0\r\n"
                     b"Connection: close\r\nAuthorization: Bearer \"\\\xff\r\n\r\n")
            if k not in (2, 3, 5):  # those may be no request at all
                self.assertEqual(self.wait_line(kind="request", request=name)["method"], "POST")
        self.lines()

    def test_who_changed_what(self):
        self.put("audited.mar", archive(model_entries()))
        self.assertEqual(self.get("/models?url=audited.mar&model_name=audited", method="POST", x_request_id="in").status, 200)
        self.assertEqual(self.get("/models/audited", method="DELETE", x_request_id="out").status, 200)
        for name, words in (("in", "model audited registered"), ("out", "model audited unregistered")):
            line = self.wait_line(kind="audit", request=name)
            self.assertEqual((line["message"], line["token"]), (words, "admin"))
        harness.wait_until(lambda: any("install tag 1, change " in line["message"] for line in self.lines()), "no install")

    def test_a_refused_token(self):
        self.assertEqual(self.get("/metrics", "guess", x_request_id="stranger").status, 401)
        self.assertIn("metrics refused: this node does not know that token",
                      self.wait_line(kind="audit", request="stranger")["message"])
        code, _ = self.call("/inference.GRPCInferenceService/ModelInfer", b"", ("x-request-id", "stranger-2"))
        self.assertEqual(code, "UNAUTHENTICATED")
        self.assertIn("ModelInfer refused: a token is needed",
                      self.wait_line(kind="audit", request="stranger-2")["message"])
        begun = time.monotonic()
        for _ in range(60):
            self.get("/metrics", "guess", x_request_id="many")
        most = 21 + 10 * (time.monotonic() - begun)
        told = [line for line in self.lines() if line.get("request") == "many" and line.get("kind") == "audit"]
        self.assertLess(len(told), most)
        harness.wait_until(lambda: self.get("/metrics", "guess").status == 401 and any(
            "others before it" in line["message"] for line in self.lines()), "nobody says how many were left out")

    def test_files_read_again(self):
        node, path = self.group.nodes[0], os.path.join(self.group.folder(0), "tokens")
        node.signal(signal.SIGHUP)
        self.wait_line(kind="audit", message="SIGHUP: files for clients' connections read again")
        with open(path, "w") as out:
            out.write("nonsense\n")
        node.signal(signal.SIGHUP)
        harness.wait_until(lambda: any("all stays as it was: tokens" in line["message"] for line in self.lines()), "not told")
        with open(path, "w") as out:
            out.write(LINE)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        last = [json.loads(text) for text in cls.group.nodes[0].errors]
        if not any(line.get("kind") == "audit" and "drains" in line["message"] for line in last):
            raise AssertionError("the stop is not told: %s" % last[-3:])


class Trouble(harness.unittest.TestCase):
    def test_a_node_that_cannot_start_says_so_in_its_format(self):
        group = harness.Group(2)
        self.addCleanup(group.close)
        node = group.start_node(0, "--log_format", "json", "--CLIENTS/tokens", "nowhere")
        self.assertEqual(node.wait(), 2)
        line = json.loads(node.errors[-1])
        self.assertEqual((line["level"], line["node"]), ("error", 0))
        self.assertIn("nowhere", line["message"])


if __name__ == "__main__":
    harness.main()
