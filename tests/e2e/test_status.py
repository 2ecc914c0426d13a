#!/usr/bin/env python3
"""What an operator sees: nexus status and top, GET /nexus/status, the group in /metrics; before, during and after a death."""

import fcntl
import http.client
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import harness
from harness import GroupCase, Wire


class StatusCase(GroupCase):
    NODES = 4

    def run_nexus(self, *args, **kwargs):
        done = subprocess.run([harness.nexus(), *args], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=harness.WAIT_S, **kwargs)
        return harness.Answer(done.returncode, done.stdout, done.stderr)

    def get(self, path, node=0):
        host, port = self.group.address(node).split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=harness.WAIT_S)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        response = connection.getresponse()
        return response, response.read().decode()

    def status(self, node=0):
        response, body = self.get("/nexus/status", node)
        self.assertEqual((response.status, response.headers["Content-Type"]), (200, "application/json"))
        self.assertIn("no-store", response.headers["Cache-Control"])
        return json.loads(body)

    def metrics(self):
        """{'name{labels}': value}"""
        response, body = self.get("/metrics")
        self.assertEqual(response.status, 200)
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in body.splitlines() if not line.startswith("#"))}


class Facts(StatusCase):
    def test_json_by_http_and_by_the_command_are_the_same_facts(self):
        told = self.run_nexus("status", self.group.address(), "--json")
        self.assertEqual((told.code, told.err), (0, ""), told.story)
        for status in (self.status(), json.loads(told.out)):
            self.assertEqual((status["node"], status["ready"], status["vid"]), (0, True, 1))
            self.assertEqual({m["node"]: (m["tier"], m["shard"], m["state"]) for m in status["members"]},
                             {0: ("function", 0, "alive"), 1: ("function", 0, "alive"),
                              2: ("categorizer", 0, "alive"), 3: ("categorizer", 0, "alive")})
            self.assertEqual([(s["tier"], s["members"], s["alive"], s["adequate"]) for s in status["shards"]],
                             [("function", 2, 2, True), ("categorizer", 2, 2, True)])
            self.assertEqual([(c["vid"], c["members"], c["cause"]) for c in status["changes"]],
                             [(1, 4, "the group formed")])
            self.assertLess(abs(status["changes"][0]["at_ms"] / 1000 - time.time()), 3600)
            self.assertEqual(sorted((r["node"], r["error"], [m["tag"] for m in r["models"]])
                                    for r in status["replicas"]), [(2, "", [1]), (3, "", [1])])
            traffic = status["traffic"]
            self.assertEqual(len(traffic["counts"]), len(traffic["bounds_us"]) + 1)
            self.assertEqual(sum(traffic["counts"]), traffic["success"] + traffic["failure"])

    def test_an_inference_is_counted_whoever_asks(self):
        before = self.status()["traffic"]
        self.assert_serving()
        after = self.status()["traffic"]
        self.assertEqual((after["success"], after["rows"]), (before["success"] + 1, before["rows"] + 1))
        self.assert_refused(self.group.client("inference", "999", self.photo))  # a tag nobody has is no traffic
        self.assertEqual(self.status()["traffic"]["failure"], before["failure"])

    def test_the_table(self):
        told = self.run_nexus("status", self.group.address(1))
        self.assertEqual((told.code, told.err), (0, ""), told.story)
        self.assertRegex(told.out, r"^node 1  nexus \S+  ready  view 1  4 members  up 0d 00:")
        self.assertRegex(told.out, r"(?m)^ +2  categorizer +0  alive +0 +1  127\.0\.0\.1$")
        self.assertRegex(told.out, r"(?m)^ +0  categorizer +2 +2  yes$")
        self.assertRegex(told.out, r"(?m)^ +1  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d +4 +-  the group formed$")
        self.assertIn("since its start: ", told.out)

    def test_metrics_have_the_group(self):
        metrics = self.metrics()
        self.assertEqual(metrics["nexus_view_id"], 1)
        self.assertEqual(metrics["nexus_members"], 4)
        self.assertEqual(metrics["nexus_views_total"], 1)
        self.assertEqual(metrics["nexus_view_change_duration_seconds_count"], 0)
        self.assertEqual(metrics['nexus_member_up{node="3",tier="categorizer"}'], 1)
        self.assertEqual(metrics['nexus_shard_replicas{shard="0"}'], 2)
        for node in (2, 3):
            self.assertGreater(metrics['nexus_model_memory_bytes{model="1",node="%d"}' % node], 0)
            self.assertGreater(metrics['nexus_replica_memory_limit_bytes{shard="0",node="%d"}' % node], 0)

    def test_what_the_commands_refuse(self):
        for args, words in ((("status",), "one node"), (("status", "x"), "host:port"),
                            (("status", "a:1", "b:2"), "one node"), (("status", "a:1", "--jsn"), "--jsn"),
                            (("status", "a:1", "--timeout", "0"), "--timeout"), (("top", "a:1", "--interval"), "--interval"),
                            (("top", "a:1", "--interval", "0"), "--interval"), (("top",), "one node")):
            told = self.run_nexus(*args)
            self.assertEqual(told.code, 2, told.story)
            self.assert_refused(told, words)
        nobody = "127.0.0.1:%d" % harness.free_ports(1)[0]
        for command in ("status", "top"):
            told = self.run_nexus(command, nobody)
            self.assertEqual((told.code, told.out), (1, ""), told.story)
            self.assert_refused(told, nobody)

    def test_garbage_for_a_status_is_refused(self):
        with Wire(self.group.address()) as wire:
            self.assertTrue(wire.unary("/nexus.Control/Status", b""))
            with self.assertRaises(harness.grpc.RpcError) as refused:
                wire.unary("/nexus.Control/Status", b"\xff\xff")
            self.assertEqual(refused.exception.code(), harness.grpc.StatusCode.INVALID_ARGUMENT)

    def test_top_into_a_pipe_is_once_and_plain(self):
        told = self.run_nexus("top", self.group.address())
        self.assertEqual((told.code, told.err), (0, ""), told.story)
        self.assertNotIn("\033", told.out)
        self.assertIn("node 0  nexus", told.out)


class Top(StatusCase):
    NODES = 2

    def start_top(self, rows, columns):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(harness.nexus(), [harness.nexus(), "top", self.group.address()])
        self.fd, self.seen = fd, b""
        self.resize(rows, columns)
        return pid

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern):
        """What came so far, once it has the pattern; what comes after it is left for the next."""
        end = time.monotonic() + harness.WAIT_S
        while not re.search(pattern, self.seen, re.S):
            self.assertLess(time.monotonic(), end, "no %r in %r" % (pattern, self.seen))
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:
                    self.fail("it ended before %r: %r" % (pattern, self.seen))
        seen, self.seen = self.seen, b""
        return seen

    def end_of(self, pid):
        try:
            while True:
                self.seen += os.read(self.fd, 65536)
        except OSError:
            pass  # the other end is closed
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_it_draws_again_and_q_quits(self):
        pid = self.start_top(24, 80)
        self.assertIn(b"\033[?1049h", self.read_until(rb"q quits"))
        self.read_until(rb"now: .*q quits")
        os.write(self.fd, b"q")
        self.assertEqual(self.end_of(pid), 0)
        self.assertIn(b"\033[?25h\033[?1049l", self.seen)

    def test_it_fits_the_terminal(self):
        pid = self.start_top(24, 80)
        self.read_until(rb"q quits")
        self.resize(6, 20)
        self.read_until(rb"q quits")
        frame = self.read_until(rb"\033\[H.*q quits.{0,9}\033\[J")
        frame = frame[frame.rindex(b"\033[H") + 3:]
        lines = [re.sub(rb"\033\[[0-9;?]*[A-Za-z]", b"", line) for line in frame.split(b"\r\n")]
        self.assertLessEqual(len(lines), 6)
        self.assertLessEqual(max(map(len, lines)), 20)
        os.write(self.fd, b"q")
        self.assertEqual(self.end_of(pid), 0)

    def test_a_signal_gives_the_terminal_back(self):
        pid = self.start_top(24, 80)
        self.read_until(rb"q quits")
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(self.end_of(pid), 128 + signal.SIGTERM)
        self.assertIn(b"\033[?1049l", self.seen)


class Deaths(StatusCase):
    def tearDown(self):
        pass  # a node is dead by then

    @classmethod
    def tearDownClass(cls):
        cls.group.close()
        cls.files.cleanup()

    def test_a_death_is_told_and_a_frozen_replica_does_not_hang_the_status(self):
        os.kill(self.group.nodes[3].pid, signal.SIGSTOP)
        begun = time.monotonic()
        frozen = self.status()
        self.assertLess(time.monotonic() - begun, harness.WAIT_S / 2)
        os.kill(self.group.nodes[3].pid, signal.SIGCONT)
        if len(frozen["members"]) == 4:  # else its heartbeats were missed meanwhile
            self.assertEqual({r["node"]: bool(r["error"]) for r in frozen["replicas"]}, {2: False, 3: True})
        self.group.nodes[3].kill()
        harness.wait_until(lambda: self.status()["vid"] == 2, "no second view")
        status = self.status()
        self.assertEqual([m["node"] for m in status["members"]], [0, 1, 2])
        change = status["changes"][-1]
        self.assertEqual((change["vid"], change["members"]), (2, 3))
        self.assertRegex(change["cause"], "^node 3 failed")
        self.assertGreater(change["took_us"], 0)
        metrics = self.metrics()
        self.assertEqual(metrics["nexus_view_change_duration_seconds_count"], 1)
        self.assertEqual(metrics["nexus_members"], 3)
        self.group.nodes[2].kill()  # the last replica: the status goes on without
        harness.wait_until(lambda: not self.status()["replicas"], "a replica that is none")


if __name__ == "__main__":
    harness.main()
