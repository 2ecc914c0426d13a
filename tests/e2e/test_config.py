#!/usr/bin/env python3
"""A configuration that cannot work ends the node with one sentence; it never harms the others."""

import os
import re
import shutil
import socket
import subprocess
import unittest

import harness
from harness import READY, Group


class Config(unittest.TestCase):
    def setUp(self):
        self.group = Group(2)
        self.addCleanup(self.group.close)

    def refuse(self, process, *words):
        self.assertGreater(process.wait(), 0, process.story())
        said = "\n".join(process.errors).lower()
        for word in words:
            self.assertIn(word.lower(), said, process.story())
        self.assertNotIn(READY, process.lines)

    def listens(self, k):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.group.gms_ports[k])) == 0

    def line_of(self, k, start):
        with open(self.group.config(k)) as config:
            return [line.startswith(start) for line in config].index(True) + 1

    def test_wrong_values(self):
        with open(self.group.config(0)) as config:
            good = config.read()
        for key, value in (("local_id", "x"), ("local_id", "-1"), ("local_id", ""), ("tier", "both"),
                           ("gms_port", "65536"), ("gms_port", "0x5c1c"), ("client_port", "many"),
                           ("leader_ip", "999.0.0.1"), ("first_view_nodes", "0"), ("local_ip", "here there")):
            with self.subTest(key=key, value=value):
                harness.edit_config(self.group.config(0), **{key: value})
                line = self.line_of(0, key)
                self.refuse(self.group.start_node(0), "nexus.cfg:%d" % line, key)
                with open(self.group.config(0), "w") as config:
                    config.write(good)

    def test_missing_keys(self):
        with open(self.group.config(0)) as config:
            good = config.read()
        for key in ("leader_ip", "local_id", "local_ip", "tier"):
            with self.subTest(key=key):
                harness.edit_config(self.group.config(0), **{key: None})
                self.refuse(self.group.start_node(0), key)
                with open(self.group.config(0), "w") as config:
                    config.write(good)

    def test_wrong_key(self):
        harness.edit_config(self.group.config(0), lokal_id="0")
        self.refuse(self.group.start_node(0), "nexus.cfg:%d" % self.line_of(0, "lokal_id"), "lokal_id")

    def test_processors(self):
        """Every thread of a node is on those that `cpus` names; one that is not there ends the node."""
        self.refuse(self.group.start_node(1, "--cpus", "1023"), 'cpus "1023"')
        self.refuse(self.group.start_node(1, "--cpus", "0-"), 'such as 0-3,8, not "0-"')
        one = str(min(os.sched_getaffinity(0)))
        for k in range(2):
            self.group.start_node(k, "--cpus", one)
        self.group.wait_ready()
        for node in self.group.nodes:
            for thread in os.listdir("/proc/%d/task" % node.pid):
                with open("/proc/%d/task/%s/status" % (node.pid, thread)) as status:
                    self.assertIn("Cpus_allowed_list:\t%s\n" % one, status.read())

    def test_wrong_section(self):
        with open(self.group.config(0), "a") as config:
            config.write("\n[SUBGROUP/FLOWER_TIER]\nnum_shards = 1\n")
        self.refuse(self.group.start_node(0), "FLOWER_TIER")

    def test_a_line_that_is_no_key(self):
        with open(self.group.config(0), "a") as config:
            config.write("\nthis is not a setting\n")
        self.refuse(self.group.start_node(0), "nexus.cfg:%d" % self.line_of(0, "this is not"))

    def test_no_file(self):
        os.unlink(self.group.config(0))
        self.refuse(self.group.start_node(0), "nexus.cfg")

    def test_wrong_arguments(self):
        for args, word in ((["--no_such_key", "1"], "no_such_key"), (["--local_id"], "local_id"),
                           (["--local_id", "x"], "local_id"), (["surplus"], "surplus"),
                           (["--RDMA/colour", "red"], "colour")):
            with self.subTest(args=args):
                self.refuse(self.group.start_node(0, *args), word)

    def test_provider_that_is_not_there(self):
        self.refuse(self.group.start_node(0, "--RDMA/provider", "carrier-pigeon"), "carrier-pigeon")

    def test_taken_ports(self):
        for port in (self.group.client_ports[0], self.group.gms_ports[0]):
            with self.subTest(port=port), socket.create_server(("127.0.0.1", port)):
                self.refuse(self.group.start_node(0), str(port))

    def test_address_that_is_not_ours(self):
        harness.edit_config(self.group.config(0), local_ip="192.0.2.1")
        self.refuse(self.group.start_node(0), "192.0.2.1")

    def test_a_secret(self):
        """Named from the node's folder; who has another or none is refused on both sides; with the right one it works."""
        def secret(k, text, mode=0o600):
            path = os.path.join(self.group.folder(k), "secret")
            with open(path, "wb") as out:
                out.write(text)
            os.chmod(path, mode)

        right = bytes(range(32))
        with_secret = ("--secret_file", "secret")
        self.refuse(self.group.start_node(0, *with_secret), "secret_file: cannot read secret")
        secret(0, right, 0o644)
        self.refuse(self.group.start_node(0, *with_secret), "secret_file: secret is open to other users (mode 0644")
        secret(0, right[:15])
        self.refuse(self.group.start_node(0, *with_secret), "secret_file: secret holds 15 bytes")
        secret(0, right)
        leader = self.group.start_node(0, *with_secret)
        self.refuse(self.group.start_node(1), "refused node 1", "node 1 gives none (secret_file)")
        secret(1, right + b"\n")
        self.refuse(self.group.start_node(1, *with_secret), "refused node 1", "node 1 does not prove")
        said = "\n".join(leader.errors)
        self.assertIn("node 1 gives none (secret_file)", said)
        self.assertIn("node 1 does not prove that it knows this group's secret", said)
        secret(1, right)
        self.group.start_node(1, *with_secret)
        self.group.wait_ready()
        self.assert_all_is_well()

    def test_who_waits_does_not_end_the_leader(self):
        """A node that was started first, without the secret or for a larger group: the leader asks it, and is not refused for good."""
        with open(os.path.join(self.group.folder(0), "secret"), "wb") as out:
            out.write(bytes(range(32)))
        os.chmod(out.name, 0o600)
        shutil.copy(out.name, self.group.folder(1))
        with_secret = ("--secret_file", "secret")
        for wrong, why in (((), "node 1 gives none (secret_file)"), (with_secret + ("--first_view_nodes", "3"), "first_view_nodes")):
            early = self.group.start_node(1, *wrong)
            harness.wait_until(lambda: self.listens(1), "node 1 does not wait")
            leader = self.group.start_node(0, *with_secret)
            self.refuse(early, "refused node 1", why)
            self.assertTrue(leader.running, leader.errors)
            self.group.start_node(1, *with_secret)
            self.group.wait_ready()
            self.assert_all_is_well()
            for node in self.group.nodes:
                node.kill()

    def test_two_nodes_with_one_id(self):
        twin = self.twin(1)
        self.group.start_node(0)
        self.group.start_node(1)
        self.group.wait_ready()
        self.refuse(self.group.spawn(twin), "node 1")
        self.assert_all_is_well()

    def test_an_impostor_of_the_leader(self):
        """Node 1 says that it is node 0, before the group stands: refused, and node 1 itself still joins."""
        twin = self.twin(1, local_id=0, tier="function", client_port=harness.free_ports(1)[0])
        self.group.start_node(0)
        self.refuse(self.group.spawn(twin), "id 0")
        self.group.start_node(1)
        self.group.wait_ready()
        self.assert_all_is_well()

    def twin(self, k, **values):
        """A folder with node k's configuration on a port of its own."""
        folder = self.group.folder(k) + "-twin"
        os.mkdir(folder)
        with open(self.group.config(k)) as config, open(os.path.join(folder, "nexus.cfg"), "w") as copy:
            copy.write(config.read())
        harness.edit_config(os.path.join(folder, "nexus.cfg"), gms_port=harness.free_ports(1)[0], **values)
        return folder

    def test_a_layout_that_differs(self):
        """All nodes must mean the same group: the one that does not is told so."""
        path = self.group.config(1)
        with open(path) as config:
            text = config.read()
        head, tail = text.split("[SUBGROUP/CATEGORIZER_TIER]")
        with open(path, "w") as config:
            config.write(head + "[SUBGROUP/CATEGORIZER_TIER]" +
                         re.sub("num_shards = 1", "num_shards = 2", tail))
        self.group.start_node(0)
        self.group.start_node(1)
        self.refuse(self.group.nodes[1])
        with open(path, "w") as config:
            config.write(text)
        self.group.start_node(1)
        self.group.wait_ready()
        self.assert_all_is_well()

    def assert_all_is_well(self):
        for node in self.group.nodes:
            self.assertTrue(node.running, node.story())
        photo = os.path.join(self.group.top, "p")
        with open(photo, "wb") as out:
            out.write(harness.tiny_model.png())
        answer = self.group.client("inference", "1", photo)
        self.assertIn("tag 1", answer.err, answer.story)  # the group answers: nothing is installed
        self.assertEqual(self.group.stop(), [0, 0])


class Modes(unittest.TestCase):
    def test_help_of_the_server(self):
        done = subprocess.run([harness.nexus(), "server", "--help"], capture_output=True, text=True,
                              timeout=harness.WAIT_S, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 0)
        self.assertIn("usage:", done.stdout)


if __name__ == "__main__":
    harness.main()
