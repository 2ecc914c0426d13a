#!/usr/bin/env python3
"""Nodes that come back: started again in their own folder, whoever they are, and the group serves."""

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import harness
import tiny_model
from harness import Group, wait_until


WAITS_S = 18  # who leaves waits 20 s for whom it waits


def slow_weights():
    """Those of the tiny model behind some that it does not use: they take a while from one replica to another."""
    identity, count = (1, 0, 0, 0, 1, 0, 0, 0, 1), 16 << 20
    return tiny_model.params({"arg:unused": ((count,), (0,) * count), "arg:fc_weight": ((3, 3), identity)})


class RejoinCase(unittest.TestCase):
    def serve(self, count, weights=tiny_model.params, **keys):
        self.group = Group(count)
        self.addCleanup(self.group.close)
        for k in range(count):
            harness.edit_config(self.group.config(k), **keys)
        self.group.start()
        files = [self.path(*file) for file in (("s", tiny_model.synset()), ("m.json", tiny_model.symbol()),
                                               ("p", weights()))]
        self.photo = self.path("red.png", tiny_model.png())
        self.assertEqual(self.group.client("installmodel", "1", *files).code, 0)

    def path(self, name, data):
        path = "%s/%s" % (self.group.top, name)
        with open(path, "wb") as out:
            out.write(data)
        return path

    def await_red(self, node):
        """Unavailable for a while is honest; then the photo is described."""
        until = time.monotonic() + harness.WAIT_S
        answer = self.group.client("inference", "1", self.photo, node=node)
        while answer.code and time.monotonic() < until:
            time.sleep(0.05)
            answer = self.group.client("inference", "1", self.photo, node=node)
        self.assertEqual(answer.code, 0, answer.story)
        self.assertTrue(answer.out.endswith("\nphoto description:red\n"), answer.story)

    def restart(self, k):
        self.group.nodes[k].kill()
        self.group.start_node(k).wait_line(harness.READY)

    def test_the_leader_of_two(self):
        """It is the only function tier node, the leader by configuration, and half of the group."""
        self.serve(2)
        for _ in range(2):
            self.restart(0)
            self.await_red(0)

    def test_the_leader_of_four(self):
        """Its seat is another than it had; the function tier node that stayed goes on, too."""
        self.serve(4)
        self.restart(0)
        for node in self.group.function_tier:
            self.await_red(node)

    def test_a_rolling_restart_keeps_the_models(self):
        """Each replica is told to stop as soon as the other is back, which is given the state then; nothing is on disks."""
        self.serve(4, slow_weights)
        for k in 2 * (2, 3):
            node = self.group.nodes[k]
            node.signal(signal.SIGTERM)
            self.assertEqual(node.wait(), 0, node.story())
            self.group.start_node(k).wait_line(harness.READY)
        self.await_red(0)

    def test_who_is_waited_for(self):
        """The log names it, the leaver serves on, and a second SIGTERM ends the wait."""
        self.serve(4, slow_weights, heartbeat_ms=20000)
        self.restart(2)
        joiner, leaver = self.group.nodes[2], self.group.nodes[3]
        joiner.signal(signal.SIGSTOP)
        began = time.monotonic()
        leaver.signal(signal.SIGTERM)
        told = "leaving waits until node 2 has the state of shard 0"
        wait_until(lambda: any(told in line for line in leaver.errors), leaver.story())
        self.await_red(0)
        self.assertTrue(leaver.running)
        leaver.signal(signal.SIGTERM)
        self.assertEqual(leaver.wait(), 0, leaver.story())
        self.assertLess(time.monotonic() - began, WAITS_S)
        joiner.signal(signal.SIGCONT)

    def test_all_replicas_and_then_all_nodes_stop(self):
        """While one is given the state: who leaves itself needs none, so nobody waits."""
        self.serve(4)
        self.restart(2)
        began = time.monotonic()
        self.assertEqual(self.group.stop(), [0, 0, 0, 0])
        self.assertLess(time.monotonic() - began, WAITS_S)

    def states(self):
        told = subprocess.run([harness.nexus(), "status", self.group.address(), "--json"], capture_output=True, check=True)
        return sorted((member["node"], member["state"]) for member in json.loads(told.stdout)["members"])

    def test_the_status_says_when_the_state_is_there(self):
        """In the view in which it comes, not only in the next one."""
        self.serve(4)
        self.group.nodes[3].kill()
        wait_until(lambda: len(self.states()) == 3, "node 3 is still there")
        self.group.start_node(3).wait_line(harness.READY)
        wait_until(lambda: self.states() == [(k, "alive") for k in range(4)], self.states())

    def status(self, node):
        told = subprocess.run([harness.nexus(), "status", self.group.address(node)], capture_output=True, text=True)
        return told.stdout

    def test_a_majority_is_lost_with_what_it_held(self):
        """Nobody forms a second group beside the member that is left; both sides say what is to be done, and that helps."""
        self.serve(4)
        dead = (1, 2, 3)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for k in dead:
                self.group.nodes[k].signal(number)
        for k in dead:
            self.group.nodes[k].wait()
        wait_until(lambda: "cannot go on with node 0 alone" in self.status(0), self.status(0))
        for k in dead:
            self.group.start_node(k)
        advice = "waits: view 1 cannot go on with node 0 alone, of 4; unless the others went on elsewhere, what they held is lost: to begin anew, stop node 0 as well, then start all nodes"
        for node in (0, 1):
            wait_until(lambda: advice in self.status(node), self.status(node))
        self.assertIn(advice[len("waits: "):], self.group.client("removemodel", "1", node=1).story)
        self.group.nodes[0].kill()
        for k in range(4):
            if k == 0:
                self.group.start_node(0)
            self.group.nodes[k].wait_line(harness.READY)
        self.assertNotIn("waits: ", self.status(0))

    def test_who_stays_out(self):
        """Another node with the id of one that lives is refused, with the reason on both sides."""
        self.serve(2)
        twin = self.path("twin", b"") + "-folder"
        shutil.copytree(self.group.folder(1), twin)
        harness.edit_config(os.path.join(twin, "nexus.cfg"), gms_port=harness.free_ports(1)[0])
        process = self.group.spawn(twin)
        self.assertEqual(process.wait(), 1, process.story())
        self.assertIn("node id 1 is taken by the member at 127.0.0.1:%d" % self.group.gms_ports[1],
                      "\n".join(process.errors))
        self.group.nodes[0].wait_error("node id 1 is taken by the member")
        self.await_red(0)


if __name__ == "__main__":
    harness.main()
