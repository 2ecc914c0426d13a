#!/usr/bin/env python3
"""SIGTERM under load: readiness turns false, what comes is served, and nobody who retries as proxies and gRPC do loses a request."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest

import harness
import sosp_wire as wire
import tiny_model
from harness import grpc

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
DRAIN_S = 6

PROXY = """
global
    maxconn 200
defaults
    mode http
    timeout connect 60s
    timeout client 60s
    timeout server 60s
    option redispatch
    retries 3
    option httpchk GET /v2/health/ready
    default-server check inter 100ms fall 2 rise 1
frontend in
    bind 127.0.0.1:%d
    default_backend nodes
backend nodes
    balance roundrobin
%s
"""


class Load:
    """Threads that ask until told to stop; what each answer was."""

    def __init__(self, ask, threads=4):
        self.answers, self.failures = 0, []
        self._ask, self._stop, self._lock = ask, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._stop.is_set():
            try:
                failure = self._ask()
            except Exception as why:  # every way to fail counts
                failure = repr(why)
            with self._lock:
                self.answers += 1
                if failure:
                    self.failures.append(failure)

    def more(self, count):
        wanted = self.answers + count
        harness.wait_until(lambda: self.answers >= wanted, "the load stands still: %s" % self.failures[:3])

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()


class Drain(unittest.TestCase):
    def setUp(self):
        self.group = harness.Group(4)
        self.addCleanup(self.group.close)
        self.nodes = self.group.function_tier
        self.assertGreaterEqual(len(self.nodes), 2)
        for k in range(4):
            self.group.start_node(k, *(("--CLIENTS/drain_s", str(DRAIN_S)) if k in self.nodes else ()))
        self.group.wait_ready()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        files = {"synset.txt": tiny_model.synset(), "symbol.json": tiny_model.symbol(), "p.params": tiny_model.params()}
        for name, data in files.items():
            with open(os.path.join(self.folder, name), "wb") as out:
                out.write(data)
        answer = self.group.client("installmodel", "1", *(os.path.join(self.folder, name) for name in files),
                                   node=self.nodes[0])
        self.assertEqual(answer.code, 0, answer.story)
        self.red = tiny_model.png(tiny_model.RED)
        self.leaver = self.nodes[-1]  # the other one leads the group, and is asked for the rest of the test

    def get(self, k, path):
        """Status, JSON and headers, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.group.client_ports[k], timeout=harness.WAIT_S)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read()), reply.headers
        finally:
            connection.close()

    def leave_under(self, load):
        """SIGTERM in the middle; its clean end; and some more."""
        node = self.group.nodes[self.leaver]
        load.more(50)
        node.signal(signal.SIGTERM)
        load.more(50)
        self.assertEqual(node.wait(), 0, node.story())
        load.more(50)
        load.stop()
        self.assertEqual(load.failures[:3], [])

    def test_a_node_in_its_notice_is_not_ready_and_serves(self):
        node = self.group.nodes[self.leaver]
        self.assertEqual(self.get(self.leaver, "/v2/health/ready")[0], 200)
        node.signal(signal.SIGTERM)
        harness.wait_until(lambda: self.get(self.leaver, "/v2/health/ready")[0] == 503, "still ready")
        status, _, headers = self.get(self.leaver, "/v2/models/1")
        self.assertEqual((status, headers["Connection"]), (200, "close"))
        with harness.Wire(self.group.address(self.leaver)) as w:
            self.assertEqual(w.whatsthis([1], self.red), "red")
            health = w.unary("/grpc.health.v1.Health/Check", b"")
            self.assertEqual(health, b"\x08\x02")  # NOT_SERVING
        node.signal(signal.SIGTERM)  # a second one does not wait for the rest of the notice
        self.assertEqual(node.wait(), 0, node.story())

    def test_behind_haproxy_no_request_fails(self):
        if not HAPROXY:
            self.skipTest("SKIP: no haproxy")
        port = harness.free_ports(1)[0]
        servers = "\n".join("    server n%d 127.0.0.1:%d" % (k, self.group.client_ports[k]) for k in self.nodes)
        config = os.path.join(self.folder, "haproxy.cfg")
        with open(config, "w") as out:
            out.write(PROXY % (port, servers))
        proxy = subprocess.Popen([HAPROXY, "-db", "-f", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.kill)
        local = threading.local()

        def ask():
            if not getattr(local, "connection", None):
                local.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=harness.WAIT_S)
            try:
                local.connection.request("POST", "/predictions/1", self.red)
                reply = local.connection.getresponse()
                body = reply.read()
            except Exception:
                local.connection = None
                raise
            return None if reply.status == 200 and b"red" in body else "%d: %s" % (reply.status, body[:200])

        def listens():
            try:
                return ask() is None
            except OSError:
                return False
        harness.wait_until(listens, "haproxy does not serve")
        self.leave_under(Load(ask))

    def test_grpc_clients_that_retry_lose_nothing(self):
        targets = "ipv4:" + ",".join(self.group.address(k) for k in self.nodes)
        service = {"loadBalancingConfig": [{"round_robin": {}}],
                   "methodConfig": [{"name": [{}], "retryPolicy": {
                       "maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
                       "retryableStatusCodes": ["UNAVAILABLE"]}}]}
        channel = grpc.insecure_channel(targets, [("grpc.enable_http_proxy", 0), ("grpc.service_config", json.dumps(service))])
        self.addCleanup(channel.close)
        messages = [wire.photo_start(len(self.red), [1], True), *wire.chunks(self.red, 64 * 1024)]

        def ask():
            answer = wire.description(channel.stream_unary(wire.WHATSTHIS)(iter(messages), timeout=harness.WAIT_S))
            return None if answer == "red" else answer
        self.leave_under(Load(ask))


if __name__ == "__main__":
    harness.main()
