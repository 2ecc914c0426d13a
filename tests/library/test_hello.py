#!/usr/bin/env python3
"""The program in docs/library.md: built against the installed library as the reader would, and run as two nodes."""
import os
import re
import subprocess
import sys
import tempfile

import installed
from port_blocks import free_port  # in a folder that installed adds


def program_text():
    with open(os.path.join(installed.SOURCES, "docs/library.md"), encoding="utf-8") as f:
        found = re.findall(r"^```c\n(.*?)^```", f.read(), re.S | re.M)
    assert len(found) == 1, f"{len(found)} programs in docs/library.md"
    return found[0]


def build(lib, folder, port):
    source, program = os.path.join(folder, "hello.c"), os.path.join(folder, "hello")
    text = program_text()
    assert text.count("23700") == 2
    with open(source, "w", encoding="utf-8") as f:
        f.write(text.replace("23700", str(port)))
    lib.build(source, program)
    return program


def test_hello(lib):
    """each of two nodes hears both greetings, in one order, and leaves"""
    with tempfile.TemporaryDirectory() as folder:
        program = build(lib, folder, free_port())
        nodes = [subprocess.Popen([program, str(n), "2"], env=lib.environ, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) for n in range(2)]
        try:
            told = [n.communicate(timeout=60) for n in nodes]
        finally:
            for n in nodes:
                n.kill()
        assert [n.returncode for n in nodes] == [0, 0], told
        assert told[0] == told[1], told
        assert sorted(told[0][0].splitlines()) == [f"member {r} says: good morning" for r in (0, 1)], told


def test_alone(lib):
    """a group of one hears itself"""
    with tempfile.TemporaryDirectory() as folder:
        program = build(lib, folder, free_port())
        told = subprocess.run([program], env=lib.environ, text=True, capture_output=True, timeout=60,
                              check=True)
        assert told.stdout == "member 0 says: good morning\n" and not told.stderr, told


if __name__ == "__main__":
    sys.exit(installed.run([test_hello, test_alone], installed.from_arguments()))
