#!/usr/bin/env python3
"""A member that was cut off and does not know that the others went on. In a network namespace of its own, where each node has
an address that can be taken away: skipped with a line where none can be made."""

import subprocess
import sys

import netns

HOSTS = ["10.77.0.%d" % (k + 1) for k in range(4)]

if __name__ == "__main__":
    # What a killed process still had to say is given up soon, or it would arrive when its network is back.
    trouble = netns.enter(HOSTS, tcp_orphan_retries=1)
    if trouble:
        print("SKIP: no network namespace: %s" % trouble)
        sys.exit(77)

import json
import signal
import unittest.mock

import harness
from harness import Group, wait_until
from test_restart import RestartCase


class HostsGroup(Group):
    """test-4-nodes with a log, each node at a host of its own."""

    def __init__(self, count):
        super().__init__(count)
        for k in range(count):
            contacts = ", ".join("%s:%d" % (HOSTS[c], self.gms_ports[c]) for c in range(count) if c != k)
            harness.edit_config(self.config(k), local_ip=HOSTS[k], leader_ip=HOSTS[0], contacts=contacts, heartbeat_ms=500,
                                members_max=8)
            with open(self.config(k)) as config:
                text = config.read()
            with open(self.config(k), "w") as config:
                config.write(text.replace("[SUBGROUP/CATEGORIZER_TIER]\n", "[SUBGROUP/CATEGORIZER_TIER]\npersist = true\n"))

    def address(self, k=0):
        return "%s:%d" % (HOSTS[k], self.client_ports[k])

    def start_node(self, k, *args, **kwargs):
        return super().start_node(k, "--RDMA/domain=", *args, **kwargs)


class CutOff(RestartCase):
    def setUp(self):
        with unittest.mock.patch("test_deaths.Group", HostsGroup):
            self.serve(4)

    def members(self):
        told = subprocess.run([harness.nexus(), "status", self.group.address(), "--json"], capture_output=True)
        if told.returncode != 0:
            return []
        return sorted(m["node"] for m in json.loads(told.stdout)["members"] if m["state"] == "alive")

    def speaks_to(self, host):
        """Whether the kernel still has anything for it."""
        words = ["%02X" % int(part) for part in reversed(host.split("."))]
        with open("/proc/net/tcp") as table:
            return [line for line in list(table)[1:] if line.split()[2].startswith("".join(words) + ":")
                    and not line.split()[1].startswith("".join(words) + ":")]

    def test_it_learns_from_a_newcomer_that_it_was_left_behind(self):
        """Node 3 is in view 1 when all others have died in a later one. The first that is back asks it, of all nodes."""
        netns.address("del", HOSTS[3])
        self.group.nodes[3].signal(signal.SIGSTOP)  # or it would ask the others, a second after it hears nobody
        self.addCleanup(subprocess.run, ["ip", "address", "add", HOSTS[3] + "/32", "dev", "lo"], capture_output=True)
        wait_until(lambda: self.members() == [0, 1, 2], "node 3 is still a member")
        for tag in ("2", "3"):
            self.assertEqual(self.group.client("installmodel", tag, *self.paths).code, 0)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for k in range(3):
                self.group.nodes[k].signal(number)
        for k in range(3):
            self.group.nodes[k].wait()
        wait_until(lambda: not self.speaks_to(HOSTS[3]), "words of the dead are under way")
        netns.address("add", HOSTS[3])
        self.group.nodes[3].signal(signal.SIGCONT)
        harness.edit_config(self.group.config(2), leader_ip=HOSTS[3], leader_gms_port=self.group.gms_ports[3])
        newcomer = self.group.start_node(2)
        self.await_lines(self.group.nodes[3], "node 3 was left behind in view 1: the disk of node 2 holds view 2 of this group")
        for k in (0, 1):
            self.group.start_node(k)
        wait_until(lambda: self.members() == [0, 1, 2, 3], "not all are back: " + newcomer.story() +
                   self.group.nodes[3].story() + self.group.nodes[0].story())
        for tag in (1, 2, 3):
            wait_until(lambda: self.answers(tag), "model %d is not back" % tag)


if __name__ == "__main__":
    harness.main()
