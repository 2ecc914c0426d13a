#!/usr/bin/env python3
"""Requests that are odd but plausible, as clients, proxies and people at a shell send them: what is served, and what is refused how.

Bodies and heads that are wrong are in test_bad_input.py and test_http.py.
"""

import gzip
import json
import socket

import harness
from test_http import HttpCase

READY = "/v2/health/ready"


class Plausible(HttpCase):
    @classmethod
    def setUpClass(cls):
        cls.port, = harness.free_ports(1)
        cls.OPTIONS = (*cls.OPTIONS, "--CLIENTS/listen", "[::1]:%d" % cls.port)
        super().setUpClass()

    def say(self, *lines, body=b""):
        """One request as it is written; (status, headers in lower case, body)."""
        reply = self.raw("\r\n".join((*lines, "Connection: close")).encode() + b"\r\n\r\n" + body)
        head, _, rest = reply.partition(b"\r\n\r\n")
        status, *headers = head.decode().split("\r\n")
        return int(status.split()[1]), dict(h.lower().split(": ", 1) for h in headers), rest

    def raw(self, request):
        host, port = self.group.address().split(":")
        with socket.create_connection((host, int(port)), timeout=harness.WAIT_S) as s:
            s.sendall(request)
            return b"".join(iter(lambda: s.recv(65536), b""))

    def test_over_ipv6(self):
        url = "http://[::1]:%d" % self.port
        self.assertEqual(json.loads(self.curl("-g", url + READY)), {"ready": True})
        self.assertIn(b"red", self.curl("-g", url + "/predictions/1", "-T", self.photo))
        told = self.curl("-g", "-w", "%{http_code}", "-X", "DELETE", url + "/models/none")  # loopback there, too: it may manage
        self.assertTrue(told.endswith(b"404"), told)
        answer = harness.client_at("[::1]:%d" % self.port, "inference", "1", self.photo)
        self.assertEqual((answer.code, answer.out.splitlines()[-1]), (0, "photo description:red"), answer.story)

    def test_served(self):
        for first, more in (("GET %s/ HTTP/1.1" % READY, ()),
                            ("GET %s?verbose=1 HTTP/1.1" % READY, ()),
                            ("GET http://another.example%s HTTP/1.1" % READY, ()),
                            ("GET %s HTTP/1.1" % READY.replace("health", "%68ealth"), ()),
                            ("GET %s HTTP/1.1" % READY, ("Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")),
                            ("GET %s HTTP/1.1" % READY, ("Accept: text/html, */*;q=0.1", "Accept-Encoding: br, zstd"))):
            with self.subTest(first=first, more=more):
                status, _, body = self.say(first, "Host: h", *more)
                self.assertEqual((status, json.loads(body)), (200, {"ready": True}))
        status, headers, body = self.say("HEAD /v2/models/1 HTTP/1.1", "Host: h")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["content-length"]), 0)
        for method in ("POST", "PUT"):  # curl -T file, with and without -X POST
            status, _, body = self.say("%s /predictions/1 HTTP/1.1" % method, "Host: h", "Content-Length: %d" % len(self.red), body=self.red)
            self.assertEqual((status, json.loads(body)[0]["class"]), (200, "red"))

    def test_http_1_0(self):
        self.assertEqual(self.raw(b"GET %s HTTP/1.0\r\n\r\n" % READY.encode()).count(b"Connection: close"), 1)
        kept = self.raw(b"GET %s HTTP/1.0\r\nConnection: %s\r\n\r\n" % (READY.encode(), b"keep-alive") +
                        b"GET %s HTTP/1.0\r\n\r\n" % READY.encode())
        self.assertEqual(kept.count(b"HTTP/1.1 200 OK"), 2)

    def test_bodies(self):
        packed = gzip.compress(self.red)
        for more, body, status in ((("Content-Encoding: gzip",), packed, 200), (("Content-Encoding: x-gzip",), packed, 200),
                                   (("Content-Encoding: br",), packed, 415), (("Content-Encoding: gzip",), self.red, 400),
                                   (("Content-Type: application/x-www-form-urlencoded",), self.red, 200),
                                   (("Content-Type: text/plain",), self.red, 200), (("Expect: 200-ok",), self.red, 417),
                                   (("Transfer-Encoding: chunked",), self.red, 400)):
            with self.subTest(more=more):
                got = self.say("POST /predictions/1 HTTP/1.1", "Host: h", "Content-Length: %d" % len(body), *more, body=body)
                self.assertEqual(got[0], status, got[2])

    def test_refused_on_purpose(self):
        for method, path, status, word in (
                ("OPTIONS", "/v2/models/1/infer", 405, "not allowed"),  # no other origin's page may ask
                ("GET", "/v2/repository/index", 405, "not allowed"),
                ("POST", "/v2/models/1/generate", 501, "not implemented here"),
                ("POST", "/v2/models/1/generate_stream", 501, "not implemented here"),
                ("GET", "/v2/systemsharedmemory/status", 501, "not implemented here"),
                ("POST", "/v1/models/1:predict", 404, "POST /v2/models/M/infer"),
                ("GET", "/v1/models/1", 404, "POST /v2/models/M/infer"),
                ("POST", "/explanations/1", 404, "POST /predictions/M"),
                ("POST", "/wfpredict/flow", 404, "POST /predictions/M"),
                ("GET", "/workflows/flow", 404, "POST /models?url=FILE"),
                ("GET", "//v2//models/1", 404, "not found"),
                ("GET", "/V2/models/1", 404, "not found"),
                ("GET", "/v2/models/r%C3%B6se", 404, "letters, digits"),
                ("POST", "/inference.GRPCInferenceService/ServerLive", 404, "not found")):
            with self.subTest(path=path):
                got, headers, body = self.say("%s %s HTTP/1.1" % (method, path), "Host: h", "Content-Length: 0",
                                              "Origin: http://page.example", "Access-Control-Request-Method: POST")
                self.assertEqual(got, status, body)
                self.assertIn(word, body.decode())
                self.assertNotIn("access-control-allow-origin", headers)


del HttpCase
if __name__ == "__main__":
    harness.main()
