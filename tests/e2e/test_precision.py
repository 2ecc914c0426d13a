#!/usr/bin/env python3
"""`precision = bf16`: all replicas of a model compute in it, and what lacks it says so, at its start or by its vote.

A processor without bfloat16 is one whose oneDNN is told to use AVX2 and no more.
"""

import os
import re
import sys
import unittest
import urllib.request

import harness
import tiny_model
from harness import Group
from test_models import models_of

BF16 = ("--CATEGORIZER/precision", "bf16")
OLD_CPU = {"ONEDNN_MAX_CPU_ISA": "AVX2"}


def has_bf16():
    with open("/proc/cpuinfo") as cpuinfo:
        return re.search(r"\bavx512_bf16\b", cpuinfo.read()) is not None


class Precision(unittest.TestCase):
    def setUp(self):
        self.group = Group(4)  # 0 and 1 of the function tier, 2 and 3 replicas
        self.addCleanup(self.group.close)
        self.files = []
        for name, data in (("synset", tiny_model.synset()), ("symbol", tiny_model.symbol()),
                           ("params", tiny_model.params()), ("red.png", tiny_model.png())):
            self.files.append(os.path.join(self.group.top, name))
            with open(self.files[-1], "wb") as out:
                out.write(data)
        self.photo = self.files.pop()

    def start(self, replicas):
        """(arguments, environment) of nodes 2 and 3."""
        for k in (0, 1):
            self.group.start_node(k)
        for k, (args, env) in zip((2, 3), replicas):
            self.group.start_node(k, *args, env=env)
        self.group.wait_ready()

    def install(self):
        return self.group.client("installmodel", "1", *self.files)

    def precisions(self):
        return {node: row["precision"] for node, row in models_of(self.group, 1).items()}

    def test_a_node_without_it_does_not_start(self):
        self.group.start_node(0)
        self.group.start_node(1)
        for args in ((), ("--CATEGORIZER/backend", "cpu_ref")):
            node = self.group.spawn(self.group.folder(2), *BF16, *args, env=OLD_CPU)
            self.assertNotEqual(node.wait(), 0)
            self.assertRegex("\n".join(node.errors), r"precision = bf16: cpu_(dnnl: this machine has no bf16, it is|ref)")

    def test_f32_is_the_default(self):
        self.start([((), None), ((), None)])
        self.assertEqual(self.install().code, 0)
        self.assertEqual(self.precisions(), {2: "f32", 3: "f32"})

    def need_bf16(self):
        if not has_bf16():
            print("SKIP: this processor has no bfloat16", flush=True)
            self.skipTest("no bfloat16")

    def test_all_replicas_compute_in_it_and_say_so(self):
        self.need_bf16()
        self.start([(BF16, None), (BF16, None)])
        self.assertEqual(self.install().code, 0)
        self.assertEqual(self.precisions(), {2: "bf16", 3: "bf16"})
        self.assertRegex(self.group.client("models").out, r"(?m)^ +1 .* cpu_dnnl +bf16 ")
        answer = self.group.client("inference", "1", self.photo)
        self.assertTrue(answer.out.endswith("\nphoto description:red\n"), answer.story)
        with urllib.request.urlopen("http://%s/metrics" % self.group.address(), timeout=harness.WAIT_S) as metrics:
            self.assertIn('nexus_model_info{model="1",node="3",device="cpu_dnnl",precision="bf16"} 1\n',
                          metrics.read().decode())
        self.group.nodes[3].kill()  # one that joins again, whatever its own file says, computes as the others do
        self.group.start_node(3, "--CATEGORIZER/precision", "f32").wait_line(harness.READY)
        harness.wait_until(lambda: self.precisions() == {2: "bf16", 3: "bf16"}, "node 3 does not serve")

    def test_what_one_replica_cannot_do_none_does(self):
        self.need_bf16()
        self.start([(BF16, None), ((), OLD_CPU)])
        for _ in range(10):  # through either replica, as they are chosen
            answer = self.install()
            if answer.code:
                self.assertIn("cpu_dnnl: this machine has no bf16", answer.err)
                self.assertEqual(self.precisions(), {})
            else:
                self.assertEqual(self.precisions(), {2: "f32", 3: "f32"})
                self.assertEqual(self.group.client("removemodel", "1").code, 0)


if __name__ == "__main__":
    sys.exit(harness.main())
