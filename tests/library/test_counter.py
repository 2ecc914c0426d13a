#!/usr/bin/env python3
"""examples/counter.c, built with pkg-config against the installed library, as three processes over loopback."""
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

import installed
from port_blocks import free_port  # in a folder that installed adds

NODES = 3
NUMBERS_EACH = 40
MESSAGE = re.compile(r"message (\d+): node (\d) adds (-?\d+), total (-?\d+)$")


class Node:
    """One counter; its lines are collected as they come."""

    def __init__(self, lib, program, node, port, nodes=NODES):
        self.name, self.lines, self.grown = f"node {node}", [], threading.Condition()
        self.process = subprocess.Popen([program, str(node), str(nodes), str(port)],
                                        env=lib.environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            with self.grown:
                self.lines.append(line.rstrip("\n"))
                self.grown.notify()

    def type(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait_for(self, pattern, count=1):
        """Until so many lines match; returns their matches."""
        until = time.monotonic() + 60
        with self.grown:
            while True:
                found = [m for m in (re.match(pattern, line) for line in self.lines) if m]
                if len(found) >= count:
                    return found
                if not self.grown.wait(until - time.monotonic()):
                    raise AssertionError(f"{self.name}: {len(found)} of {count} lines match "
                                         f"{pattern}:\n" + "\n".join(self.lines[-20:]))

    def expect_end(self):
        code = self.process.wait(timeout=30)
        self.reader.join()
        complaints = self.process.stderr.read()
        assert code == 0 and not complaints, f"{self.name}: exit code {code}, said: {complaints}"


def number(node, i):
    return (-1) ** i * (1000 * node + i)


def check_agreement(nodes):
    """The same messages in the same order with the same totals; each sender's in the order of its typing."""
    histories = [[m.group(0) for m in n.wait_for(MESSAGE.pattern, NODES * NUMBERS_EACH)] for n in nodes]
    assert all(h == histories[0] for h in histories), "histories differ"
    total, last, added = 0, -1, {str(n): [] for n in range(NODES)}
    for line in histories[0]:
        seq, node, adds, told = MESSAGE.match(line).groups()
        total += int(adds)
        added[node].append(int(adds))
        assert int(told) == total, f"{line}: expected total {total}"
        assert int(seq) > last, f"{line}: after message {last}"
        last = int(seq)
    for node, numbers in added.items():
        typed = [number(int(node), i) for i in range(NUMBERS_EACH)]
        assert numbers == typed, f"node {node} typed {typed}, added were {numbers}"


def check_leaving(nodes):
    """Each leaves by itself; those that stay are told who is left."""
    nodes[0].type("q\n")
    nodes[0].expect_end()
    for n in nodes[1:]:
        n.wait_for("2 nodes are here")
    nodes[1].process.stdin.close()
    nodes[1].expect_end()
    nodes[2].wait_for("1 nodes are here")
    nodes[2].type("q\n")
    nodes[2].expect_end()


def test_counters(lib, program):
    """three counters agree on every total, and leave cleanly"""
    port = free_port()
    nodes = []
    try:
        for node in (2, 0, 1):
            nodes.append(Node(lib, program, node, port))
        nodes.sort(key=lambda n: n.name)
        for n in nodes:
            n.wait_for("3 nodes are here")
        for i in range(NUMBERS_EACH):
            for node, n in enumerate(nodes):
                n.type(f"{number(node, i)}\n")
        nodes[1].type("seven\n99999999999999999999\n")
        check_agreement(nodes)
        nodes[1].wait_for('"seven" is not a number')
        nodes[1].wait_for('"99999999999999999999" is not a number')
        check_leaving(nodes)
    finally:
        for n in nodes:
            n.process.kill()
            n.reader.join()


def test_last_word(lib, program):
    """what is typed right before leaving is added at every node"""
    port = free_port()
    nodes = []
    try:
        for node in (0, 1):
            nodes.append(Node(lib, program, node, port, nodes=2))
        nodes[0].type("5\n" * 500 + "q\n")
        nodes[1].wait_for("message .* total 2500$")
        nodes[1].wait_for("1 nodes are here")
        nodes[0].expect_end()
        nodes[1].type("1\nq\n")
        nodes[1].wait_for("1 is not added: |message .* total 2501$") # alone, or in the next view
        nodes[1].expect_end()
    finally:
        for n in nodes:
            n.process.kill()
            n.reader.join()


def comes_back(lib, program, who):
    others = [node for node in range(NODES) if node != who]
    port = free_port()
    nodes = []
    try:
        for node in range(NODES):
            nodes.append(Node(lib, program, node, port))
        for n in nodes:
            n.wait_for("3 nodes are here")
        nodes[others[1]].type("40\n")
        nodes[others[0]].wait_for("message .* total 40$")
        nodes[who].process.kill()
        nodes[others[0]].wait_for("2 nodes are here")
        nodes[others[0]].type("2\n")
        nodes[others[1]].wait_for("message .* total 42$")
        nodes.append(Node(lib, program, who, port))
        nodes[NODES].wait_for("joined, total 42$")
        nodes[NODES].type("100\n")
        for node in (*others, NODES):
            nodes[node].wait_for("message .* total 142$")
    finally:
        for n in nodes:
            n.process.kill()
            n.reader.join()


def test_comeback(lib, program):
    """a node that died comes back with the total, and goes on with the others"""
    comes_back(lib, program, 2)


def test_comeback_of_node_0(lib, program):
    """so does the one where they met"""
    comes_back(lib, program, 0)


def test_usage(lib, program):
    """a node that cannot be is refused"""
    for arguments in ([], ["3", "3"], ["-1", "3"], ["0", "33"], ["0", "3", "65534"], ["a", "b"]):
        result = subprocess.run([program, *arguments], env=lib.environ, capture_output=True, text=True,
                                check=False)
        assert result.returncode == 2 and "usage: counter" in result.stderr, f"{arguments}: {result}"


def test_length(_lib, _program):
    """the example has under 150 lines"""
    with open(os.path.join(installed.SOURCES, "examples/counter.c"), encoding="utf-8") as f:
        lines = len(f.readlines())
    assert lines < 150, f"{lines} lines"


def main():
    lib = installed.from_arguments()
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "counter")
        lib.build(os.path.join(installed.SOURCES, "examples/counter.c"), program)
        return installed.run([test_usage, test_counters, test_last_word, test_comeback, test_comeback_of_node_0,
                              test_length], lib, program)


if __name__ == "__main__":
    sys.exit(main())
