#!/usr/bin/env python3
"""nexus-bench serve against real nodes: every API, what fails, what it says about a node that stood still."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

import harness

BENCH = os.path.abspath(sys.argv.pop(2))


class Load(harness.GroupCase):
    def bench(self, *args, address=None):
        done = subprocess.run([BENCH, "serve", address or self.group.address(), "--json", *args],
                              capture_output=True, text=True, timeout=4 * harness.WAIT_S)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def requests(self):
        """How many a function tier node has answered."""
        with urllib.request.urlopen("http://%s/metrics" % self.group.address(), timeout=harness.WAIT_S) as metrics:
            return sum(int(n) for n in re.findall(r"(?m)^nexus_requests_total\{.*\} (\d+)$", metrics.read().decode()))

    def assert_all_succeed(self, report):
        self.assertGreater(report["due"], 0, report)
        self.assertEqual((report["succeeded"], report["broken"]), (report["due"], {}), report)
        self.assertEqual(report["from_sent"]["count"], report["due"], report)

    def test_every_api(self):
        for api in ("ping", "live", "live-grpc", "health-grpc", "metrics", "status",
                    "demo", "v2-grpc", "v2-rest", "mms", "mms-form"):
            for loop in (("--rate", "40"), ("--clients", "2")):
                with self.subTest(api=api, loop=loop[0]):
                    self.assert_all_succeed(self.bench("--api", api, *loop, "--seconds", "0.3", "--warmup", "0",
                                                       "--model", "1", "--photo", self.photo))

    def test_several_threads_and_streams(self):
        report = self.bench("--api", "live-grpc", "--clients", "64", "--connections", "4", "--threads", "2",
                            "--seconds", "0.3", "--warmup", "0")
        self.assert_all_succeed(report)
        self.assertEqual((report["threads"], report["grpc"]), (2, {"0": report["due"]}))

    def test_failures_are_counted_by_status(self):
        report = self.bench("--api", "mms", "--model", "9", "--photo", self.photo, "--rate", "50", "--seconds", "0.3",
                            "--warmup", "0")
        self.assertEqual((report["http"], report["succeeded"]), ({"404": report["due"]}, 0), report)
        report = self.bench("--api", "v2-grpc", "--model", "9", "--photo", self.photo, "--rate", "50",
                            "--seconds", "0.3", "--warmup", "0")
        self.assertEqual((report["grpc"], report["succeeded"]), ({"5": report["due"]}, 0), report)

    def test_a_node_that_is_down_is_said(self):
        port = harness.free_ports(1)[0]
        why = self.bench("--api", "ping", "--rate", "50", "--timeout-ms", "200", address="127.0.0.1:%d" % port)
        self.assertIn("none of 32 connections", why)
        report = self.bench("--api", "ping", "--rate", "100", "--seconds", "0.3", "--warmup", "0",
                            "--timeout-ms", "8000", address="%s,127.0.0.1:%d" % (self.group.address(), port))
        self.assert_all_succeed(report)  # the others carry the load
        self.assertGreater(report["connects_failed"], 0)

    def test_an_end_without_answer_is_no_success(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            def hang_up():
                while True:
                    try:
                        peer = listener.accept()[0]
                    except OSError:
                        return
                    peer.recv(1)
                    peer.close()
            threading.Thread(target=hang_up, daemon=True).start()
            address = "127.0.0.1:%d" % listener.getsockname()[1]
            report = self.bench("--api", "ping", "--rate", "50", "--seconds", "0.3", "--warmup", "0", address=address)
            text = subprocess.run([BENCH, "serve", address, "--api", "ping", "--rate", "50", "--seconds", "0.3", "--warmup", "0"],
                                  capture_output=True, text=True, timeout=harness.WAIT_S).stdout
            self.assertRegex(text, r"(?m)^  \S.*( +-)+$")  # no latency, rather than one of 0.000
            self.assertNotIn("0.000", text)
            listener.shutdown(socket.SHUT_RDWR)
        self.assertEqual((report["answered"], sum(report["broken"].values())), (0, report["due"]), report)

    def test_a_stall_shows_from_due(self):
        """A stop of 400 ms in 2 s: 1 in 5 requests is due while nobody answers, but one per connection is asked."""
        before = self.requests()
        bench = subprocess.Popen([BENCH, "serve", self.group.address(), "--json", "--api", "ping", "--rate", "1000",
                                  "--connections", "1", "--seconds", "2", "--warmup", "0"],
                                 stdout=subprocess.PIPE, text=True)
        node = self.group.nodes[self.group.function_tier[0]]
        harness.wait_until(lambda: self.requests() > before + 200, "the load does not begin")
        node.signal(signal.SIGSTOP)
        time.sleep(0.4)
        node.signal(signal.SIGCONT)
        report = json.loads(bench.communicate(timeout=harness.WAIT_S)[0])
        self.assert_all_succeed(report)
        self.assertGreater(report["from_due"]["p99_ms"], 200, report)
        # also on a busy machine: answers come one by one, so 20 of 2000 cannot take half of the stall each
        self.assertLess(report["from_sent"]["p99_ms"], report["from_due"]["p99_ms"] / 2, report)

    def test_what_the_command_refuses(self):
        for args in ((), ("--api", "ping"), ("--api", "soap", "--rate", "1"), ("--api", "ping", "--rate", "0"),
                     ("--api", "mms", "--rate", "1"), ("--api", "ping", "--rate", "1", "--clients", "1"),
                     ("--api", "ping", "--clients", "4", "--connections", "2"),
                     ("--api", "ping", "--rate", "1", "--header", "x"), ("--api", "ping", "--rate", "1", "--ca", "/no")):
            done = subprocess.run([BENCH, "serve", self.group.address(), *args], capture_output=True, text=True,
                                  timeout=harness.WAIT_S)
            self.assertEqual(done.returncode, 2, args)
            self.assertTrue(done.stderr, args)


if __name__ == "__main__":
    harness.main()
