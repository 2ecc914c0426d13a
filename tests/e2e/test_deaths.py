#!/usr/bin/env python3
"""Nodes that die or leave: noticed at once, answered honestly, and the rest goes on."""

import concurrent.futures
import os
import signal
import threading
import unittest

import grpc

import harness
import sosp_wire as wire
import tiny_model
from harness import Group, Wire

AT_ONCE_S = 20  # a bound for a busy machine; the answer takes milliseconds
UNAVAILABLE = "shard %d is unavailable"


class DeathCase(unittest.TestCase):
    def serve(self, count, tags=(1,)):
        self.group = Group(count)
        self.addCleanup(self.group.close)
        self.group.start()
        self.files = tiny_model.synset(), tiny_model.symbol(), tiny_model.params()
        self.paths = [self.path(name, data) for name, data in zip(("s", "m.json", "p"), self.files)]
        self.photo = self.path("red.png", tiny_model.png())
        for tag in tags:
            self.assertEqual(self.group.client("installmodel", str(tag), *self.paths).code, 0)
            self.assert_red(self.ask(tag))
        return self.group

    def path(self, name, data):
        path = os.path.join(self.group.top, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def ask(self, tags, node=0):
        return self.group.client("inference", str(tags), self.photo, node=node, timeout_s=AT_ONCE_S)

    def kill_mid_install(self, node):
        """Half of an install of tag 2 is sent, the node dies, the other half follows: code and text of the answer."""
        params = self.files[2]
        half_sent, resume = threading.Event(), threading.Event()
        self.addCleanup(resume.set)

        def upload():
            yield wire.install_start(2, len(self.files[0]), len(self.files[1]), len(params))
            yield wire.chunk(self.files[0] + self.files[1] + params[:50])
            half_sent.set()
            resume.wait(harness.WAIT_S)
            yield wire.chunk(params[50:])
        with Wire(self.group.address()) as calls:
            future = calls.start_stream(wire.INSTALL, upload())
            self.assertTrue(half_sent.wait(harness.WAIT_S))
            self.group.nodes[node].kill()
            resume.set()
            try:
                code, text = wire.outcome(future.result(AT_ONCE_S))
            except grpc.RpcError as error:
                code, text = 1, error.details()
        return code, text

    def assert_red(self, answer):
        self.assertEqual(answer.code, 0, answer.story)
        self.assertTrue(answer.out.endswith("\nphoto description:red\n"), answer.story)

    def assert_unavailable(self, answer, shard):
        self.assertGreater(answer.code, 0, answer.story)
        self.assertIn(UNAVAILABLE % shard, answer.err)
        self.assertEqual(answer.err.count("\n"), 1, answer.story)

    def assert_honest(self, answer, shard):
        if answer.code == 0:
            self.assert_red(answer)
        else:
            self.assert_unavailable(answer, shard)

    def assert_stops(self, *nodes):
        for k in nodes:
            self.group.nodes[k].signal(signal.SIGTERM)
        for k in nodes:
            self.assertEqual(self.group.nodes[k].wait(), 0, self.group.nodes[k].story())


class TheOnlyCategorizer(DeathCase):
    def setUp(self):
        self.serve(2)

    def assert_all_refused(self):
        self.assert_unavailable(self.ask(1), 0)
        installed = self.group.client("installmodel", "2", *self.paths, timeout_s=AT_ONCE_S)
        self.assert_unavailable(installed, 0)
        self.assert_unavailable(self.group.client("removemodel", "1", timeout_s=AT_ONCE_S), 0)
        self.assert_stops(0)

    def test_it_is_killed(self):
        self.group.nodes[1].kill()
        self.assert_all_refused()

    def test_it_leaves(self):
        self.assert_stops(1)
        self.assert_all_refused()

    def test_it_is_killed_under_load(self):
        """Every query gets an answer: the right one, or the honest one. None hangs."""
        begun, dead = threading.Event(), threading.Event()
        self.addCleanup(dead.set)

        def load(_):
            answers, left = [], 100
            with Wire(self.group.address()) as calls:
                while left > 0:
                    left -= dead.is_set()
                    try:
                        answers.append(calls.whatsthis([1], tiny_model.png()))
                    except grpc.RpcError as error:
                        answers.append("%s: %s" % (error.code().name, error.details()))
                    if len(answers) == 20:
                        begun.set()
            return answers
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            loads = [pool.submit(load, k) for k in range(8)]
            self.assertTrue(begun.wait(harness.WAIT_S))
            self.group.nodes[1].kill()
            dead.set()
            answers = [answer for future in loads for answer in future.result(harness.WAIT_S)]
        others = {answer for answer in answers if answer != "red"}
        self.assertIn("red", answers)
        self.assertTrue(others)
        for answer in others:
            self.assertIn(UNAVAILABLE % 0, answer)
        self.assert_unavailable(self.ask(1), 0)
        self.assert_stops(0)

    def test_it_is_killed_in_the_middle_of_an_install(self):
        code, text = self.kill_mid_install(1)
        self.assertNotEqual(code, 0)
        self.assertIn(UNAVAILABLE % 0, text)
        self.assert_stops(0)

    def test_the_function_tier_is_killed(self):
        self.group.nodes[0].kill()
        answer = self.ask(1)
        self.assertIn("no function tier node answers at", answer.err)
        self.group.nodes[1].signal(signal.SIGTERM)
        self.group.nodes[1].wait()


class OneOfTwoReplicas(DeathCase):
    def setUp(self):
        self.serve(4)

    def lose(self, end):
        end(self.group.nodes[3])
        for _ in range(6):  # wherever the route goes: the other replica answers
            for node in (0, 1):
                self.assert_red(self.ask(1, node))
        # The next view takes changes again, among those that are left.
        installed = self.group.client("installmodel", "2", *self.paths, timeout_s=AT_ONCE_S)
        self.assertIn("install model successfully.", installed.out, installed.story)
        self.assert_red(self.ask(2))
        removed = self.group.client("removemodel", "2", timeout_s=AT_ONCE_S)
        self.assertEqual(removed.code, 0, removed.err)
        self.assert_stops(0, 1, 2)

    def test_killed(self):
        self.lose(lambda node: node.kill())

    def test_left(self):
        self.lose(lambda node: (node.signal(signal.SIGTERM), self.assertEqual(node.wait(), 0)))

    def test_killed_in_the_middle_of_an_install(self):
        """It goes on without the dead replica; if that was the entry replica, the other one is sent the files again."""
        code, text = self.kill_mid_install(3)
        self.assertEqual(code, 0, text)
        self.assert_red(self.ask(2))
        installed = self.group.client("installmodel", "3", *self.paths, timeout_s=AT_ONCE_S)
        self.assertIn("install model successfully.", installed.out, installed.story)
        self.assert_red(self.ask(3))
        self.assert_stops(0, 1, 2)

    def test_both_killed(self):
        for k in (2, 3):
            self.group.nodes[k].kill()
        for node in (0, 1):
            self.assert_unavailable(self.ask(1, node), 0)
        self.assert_stops(0, 1)

    def test_a_function_tier_node_is_killed(self):
        self.group.nodes[1].kill()
        self.assertIn("no function tier node answers at", self.ask(1, node=1).err)
        self.assert_red(self.ask(1))
        self.assert_stops(0, 2, 3)


class OneOfTwoShards(DeathCase):
    def test_a_whole_shard_is_killed(self):
        self.serve(6, tags=(1, 2))  # tag % 2: tag 1 in shard 1, tag 2 in shard 0
        shard_1 = self.shard_of_tag(1)
        for k in shard_1:
            self.group.nodes[k].kill()
        for node in (0, 1):
            self.assert_unavailable(self.ask(1, node), 1)
            self.assert_red(self.ask(2, node))
            self.assert_unavailable(self.ask("2,1", node), 1)
        self.assert_stops(*[k for k in range(6) if k not in shard_1])

    def shard_of_tag(self, tag):
        """The layout gives each shard its min_nodes, then fills them evenly: n2, n4 | n3, n5."""
        return (3, 5) if tag % 2 else (2, 4)


if __name__ == "__main__":
    harness.main()
